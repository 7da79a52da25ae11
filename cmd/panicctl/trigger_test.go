package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/crash"
)

// lab is a running machine that comes back, with all files by which it can be made to fail. They are plain
// files in a directory of their own: what is written there happens to nobody.
func lab(t *testing.T, change map[string]string) string {
	t.Helper()
	files := map[string]string{
		"proc/sys/kernel/osrelease":        "6.1.0-56-amd64",
		"proc/sys/kernel/arch":             "x86_64",
		"proc/cmdline":                     "quiet",
		"proc/sys/kernel/panic":            "5",
		"proc/sys/kernel/panic_on_oops":    "1",
		"proc/sys/kernel/softlockup_panic": "1",
		"proc/sysrq-trigger":               "",
		provokeDirect:                      "Available crash types:\nPANIC\nBUG\nEXCEPTION\nSOFTLOCKUP",
		watchdogZero:                       "",
	}
	for name, text := range change {
		files[name] = text
		if text == "-" {
			delete(files, name)
		}
	}
	return root(t, files)
}

// pulled is what has been written to a file of the lab.
func pulled(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestTriggerAsksFirst(t *testing.T) {
	for answer, want := range map[string]struct {
		status  int
		written string
	}{
		"sysrq-e\n": {exitOK, "e"}, " sysrq-e \n": {exitOK, "e"}, "yes\n": {exitRefused, ""},
		"": {exitRefused, ""}, "\n": {exitRefused, ""}, "sysrq-c\n": {exitRefused, ""},
	} {
		dir := lab(t, nil)
		status, out, err := panicctlReading(t, answer, "trigger", "-root", dir, "sysrq-e")
		wants(t, status, want.status, out, `sysrq-e: panicctl writes "e" to /proc/sysrq-trigger.`,
			"outcome   goes on\n", "Type sysrq-e to let the kernel of this machine fail now: ")
		if got := pulled(t, dir, sysrqTrigger); got != want.written {
			t.Errorf("%q: got %q written, want %q", answer, got, want.written)
		}
		if want.status == exitRefused && !strings.Contains(err, "panicctl: trigger: nothing has been done\n") {
			t.Errorf("%q: got %q", answer, err)
		}
	}
}

// stopped runs a command line that somebody stops at once by Ctrl-C, for what waits for the end.
func stopped(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var o, e bytes.Buffer
	status = (&tool{ctx: ctx, in: strings.NewReader(""), out: &o, err: &e}).main(args)
	return status, o.String(), e.String()
}

func TestTriggerWrites(t *testing.T) {
	for _, c := range []struct {
		failure, file, want, predicts string
		change                        map[string]string
	}{
		{"sysrq-c", sysrqTrigger, "c", "comes back: the next kernel starts 5s after the failure", nil},
		{"sysrq-b", sysrqTrigger, "b", "comes back: the next kernel starts at once", nil},
		{"emergency-restart", sysrqTrigger, "b", "comes back: the next kernel starts at once", nil},
		{"panic", provokeDirect, "PANIC", "comes back: the next kernel starts 5s", nil},
		{"panic", sysrqTrigger, "c", "comes back", map[string]string{provokeDirect: "-"}},
		{"oops", provokeDirect, "EXCEPTION", "comes back", nil},
		{"soft-lockup", provokeDirect, "SOFTLOCKUP", "comes back", nil},
		{"sysrq-c", sysrqTrigger, "c", "captured", map[string]string{"sys/kernel/kexec_crash_loaded": "1"}},
	} {
		dir := lab(t, c.change)
		// The plain files of the lab keep nobody from going on.
		status, out, err := stopped(t, "trigger", "--yes", "-root", dir, c.failure)
		wants(t, status, exitAmiss, out+err, c.predicts,
			"trigger: "+c.failure+" was foretold to end this kernel, and it has not\n")
		got := pulled(t, dir, c.file)
		if c.file == provokeDirect {
			got = got[:min(len(got), len(c.want))] // over what stood there
		}
		if got != c.want {
			t.Errorf("%s: got %q in %s, want %q", c.failure, got, c.file, c.want)
		}
	}
}

func TestTriggerRefusesWhatWouldNotComeBack(t *testing.T) {
	hangs := map[string]string{"proc/sys/kernel/panic": "0"}
	for _, c := range []struct {
		failure, why string
		change       map[string]string
	}{
		{"sysrq-c", "the machine would hang for ever", hangs},
		{"sysrq-o", "the machine would be off until somebody comes", nil},
		{"sysrq-b", "the model knows no kernel for this machine", map[string]string{"proc/sys/kernel/arch": "riscv64"}},
	} {
		dir := lab(t, c.change)
		status, _, err := stopped(t, "trigger", "--yes", "-root", dir, c.failure)
		wants(t, status, exitRefused, err, "panicctl: trigger: nothing has been done: "+c.why,
			": -force does it all the same\n")
		if got := pulled(t, dir, sysrqTrigger); got != "" {
			t.Errorf("%s: %q is written", c.failure, got)
		}
		status, _, err = stopped(t, "trigger", "--yes", "--force", "-root", dir, c.failure)
		wants(t, status, exitAmiss, err)
		if got, want := pulled(t, dir, sysrqTrigger), strings.TrimPrefix(c.failure, "sysrq-"); got != want {
			t.Errorf("%s: got %q written with -force, want %q", c.failure, got, want)
		}
	}
}

func TestTriggerWatchdog(t *testing.T) {
	dir := lab(t, nil)
	status, out, err := stopped(t, "trigger", "--yes", "-root", dir, "watchdog")
	wants(t, status, exitRefused, out+err, "watchdog: panicctl opens /dev/watchdog0, and does not feed it.",
		"The watchdog runs, and nobody feeds it.", "the watchdog has been asked to stop\n")
	if got := pulled(t, dir, watchdogZero); got != "V" {
		t.Errorf("got %q written, want the V that lets it be closed", got)
	}
}

func TestTriggerSyncs(t *testing.T) {
	dir := lab(t, nil)
	if err := os.Remove(filepath.Join(dir, sysrqTrigger)); err != nil {
		t.Fatal(err)
	}
	status, _, err := stopped(t, "trigger", "--yes", "--sync", "-root", dir, "oops")
	wants(t, status, exitAmiss, err, "panicctl: trigger: the disks are not written: open ")
	status, _, err = stopped(t, "trigger", "--yes", "--sync", "-root", lab(t, nil), "sysrq-e")
	wants(t, status, exitOK, err)
	if err != "" {
		t.Errorf("said %q", err)
	}
}

func TestTriggerSaysWhatIsMissing(t *testing.T) {
	none := map[string]string{provokeDirect: "-", watchdogZero: "-", sysrqTrigger: "-"}
	for _, c := range []struct {
		args, want string
		status     int
		change     map[string]string
	}{
		{"init-death", "no program can bring about init-death: PID 1 ends by itself", exitUsage, nil},
		{"oops-irq", "no program can bring about oops-irq: it takes code in the kernel", exitUsage, nil},
		{"oops", "trigger: oops: it takes the kernel's test driver lkdtm, and debugfs: open ", exitDenied, none},
		{"stack-overflow", "the kernel's test driver has no EXHAUST_STACK", exitDenied, nil},
		{"sysrq-c", "trigger: sysrq-c: open ", exitDenied, none},
		{"watchdog", "trigger: watchdog: stat ", exitDenied, none},
		{
			"panic", "it takes the kernel's test driver", exitDenied,
			map[string]string{provokeDirect: "-", "proc/sys/kernel/osrelease": "4.19.0"},
		},
		{"painc", `unknown failure "painc": did you mean "panic"?`, exitUsage, nil},
		{"", "expected the name of one failure", exitUsage, nil},
		{"panic oops", "expected the name of one failure", exitUsage, nil},
		{"sysrq-c", "what would come of it cannot be told: open ", exitDenied, map[string]string{"proc/cmdline": "-"}},
	} {
		dir := lab(t, c.change)
		status, _, err := stopped(t, append([]string{"trigger", "--yes", "-root", dir}, strings.Fields(c.args)...)...)
		wants(t, status, c.status, err, c.want)
	}
}

// TestEveryFailureHasATrigger: each is either written somewhere, or there is a reason why not.
func TestEveryFailureHasATrigger(t *testing.T) {
	status, out, _ := panicctl(t, "trigger", "--list")
	wants(t, status, exitOK, out, "\nsysrq-c ", `writes "c" to /proc/sysrq-trigger`)
	known := make(map[string]bool)
	for _, f := range crash.Failures() {
		known[f.Name] = true
		g := triggerOf(f.Name)
		if (g.never == "") == (g.file == "") {
			t.Errorf("%s: got %+v, want a file or a reason", f.Name, g)
		}
	}
	for name := range provoked {
		if !known[name] {
			t.Errorf("provoked: there is no failure %q", name)
		}
	}
	for name := range never {
		if !known[name] {
			t.Errorf("never: there is no failure %q", name)
		}
	}
}

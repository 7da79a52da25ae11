package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/crash/matrix"
	"github.com/rebound-init/rebound/internal/knob"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-) and what is printed (+); -update writes it anew:\n%s", path, d)
	}
}

func TestGolden(t *testing.T) {
	for name, args := range map[string]string{
		"matrix-panic.txt":   "matrix -kernel linux-6.1-x86_64 -policy comeback -cpus 2 -family panic",
		"explain-oops.txt":   "explain -kernel linux-6.1-x86_64 -policy comeback -cpus 2 oops",
		"explain-pstore.txt": "explain -kernel linux-6.1-x86_64 -set panic=5 -ramoops sysrq-c",
		"explain-kdump.txt":  "explain -kernel linux-6.12-x86_64 -policy capture -crash-kernel -cpus 2 oops-irq",
		"explain-dog.txt":    "explain -kernel linux-6.1-x86_64 -watchdog i6300esb,30 hard-lockup",
	} {
		status, out, err := panicctl(t, strings.Fields(args)...)
		wants(t, status, exitOK, err)
		golden(t, name, out)
	}
}

// TestJSON: what programs are told of a failure. Of the steps, of which the model gets more and more, it
// looks at one.
func TestJSON(t *testing.T) {
	for name, args := range map[string]string{
		"matrix-arm64.json": "matrix -json -kernel linux-6.1-arm64 -family watchdog -watchdog softdog,8",
		"explain.json":      "explain --json -kernel linux-6.1-x86_64 -set panic=-1 sysrq-c",
	} {
		status, out, said := panicctl(t, strings.Fields(args)...)
		wants(t, status, exitOK, said)
		var rows []map[string]any
		text := out
		if !strings.HasPrefix(text, "[") {
			text = "[" + text + "]"
		}
		if err := json.Unmarshal([]byte(text), &rows); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			steps, ok := row["steps"].([]any)
			if !ok {
				t.Fatalf("%s: steps are %T", name, row["steps"])
			}
			row["steps"] = slices.DeleteFunc(steps, func(s any) bool {
				n := s.(map[string]any)["name"]
				return n != "pr_emerg" && n != "softdog_fire"
			})
		}
		short, err := json.MarshalIndent(rows, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, string(short)+"\n")
	}
}

// TestMatrixAsJSON: each row says the same as a play of its own.
func TestMatrixAsJSON(t *testing.T) {
	for _, policy := range knob.Presets() {
		_, out, _ := panicctl(t, "matrix", "-json", "-kernel", "linux-6.1-x86_64", "-policy", policy)
		var rows []struct {
			Failure  string
			Outcome  string
			Back     *float64 `json:"back_after_seconds"`
			Evidence []crash.Evidence
		}
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(err)
		}
		o := machineFlags{kernel: "linux-6.1-x86_64", policy: policy}
		m, err := o.machine()
		if err != nil {
			t.Fatal(err)
		}
		const least = 50
		if len(rows) < least {
			t.Errorf("%s: got %d rows, want %d at least", policy, len(rows), least)
		}
		for _, row := range rows {
			r, err := crash.Play(m.For(row.Failure))
			if err != nil {
				t.Fatal(err)
			}
			v := &r.Verdict
			if d := cmp.Diff(v.Evidence, row.Evidence); d != "" && len(v.Evidence)+len(row.Evidence) > 0 {
				t.Errorf("%s, %s: evidence of the play (-) and the matrix (+):\n%s", policy, row.Failure, d)
			}
			ends := map[crash.Ending]string{
				crash.Survived: "goes-on", crash.Restarted: "comes-back", crash.Rescued: "comes-back",
				crash.Captured: "captured", crash.Off: "powers-off", crash.Halted: "halts", crash.Hung: "hangs",
			}
			if want := ends[v.Ending]; row.Outcome != want {
				t.Errorf("%s, %s: got %s, want %s", policy, row.Failure, row.Outcome, want)
			}
			comes := row.Outcome == "comes-back" || row.Outcome == "captured"
			if comes != (row.Back != nil) {
				t.Errorf("%s, %s: %s, and back %v", policy, row.Failure, row.Outcome, row.Back)
			}
		}
	}
}

// TestWhatThePresetsAreFor: with comeback, nothing that the kernel can notice makes the machine hang.
func TestWhatThePresetsAreFor(t *testing.T) {
	hangs := func(policy string) map[string]bool {
		o := machineFlags{kernel: "linux-6.1-x86_64", policy: policy, cpus: 2}
		m, err := o.machine()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := matrix.Of(m.Machine)
		if err != nil {
			t.Fatal(err)
		}
		names := make(map[string]bool)
		for i := range rows {
			if rows[i].Outcome == matrix.Hangs {
				names[rows[i].Failure] = true
			}
		}
		return names
	}
	for failure := range hangs("comeback") {
		if !matrix.BeforeInit(failure) {
			t.Errorf("comeback: hangs after %s", failure)
		}
	}
	for _, failure := range []string{"panic", "init-death", "oops-irq"} {
		if !hangs("kernel")[failure] || !hangs("debug")[failure] || hangs("standard")[failure] {
			t.Errorf("%s: want it to hang with kernel and debug, and not with standard", failure)
		}
	}
}

func TestMatrixSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string]string{
		"panicctl: matrix: \"oops\" is too much: `panicctl explain oops` tells of one failure":                "matrix oops",
		`panicctl: matrix: unknown policy "comback": did you mean "comeback"?`:                                "matrix -policy comback",
		`panicctl: matrix: unknown kernel "linux-6.2-x86_64": did you mean "linux-6.1-x86_64"?`:               "matrix -kernel linux-6.2-x86_64",
		`panicctl: matrix: panic_on_warn=7: expected a number from 0 to 1`:                                    "matrix -kernel linux-6.1-x86_64 -set panic_on_warn=7",
		`panicctl: matrix: unknown setting "panic_on_opps": did you mean "panic_on_oops"?`:                    "matrix -kernel linux-6.1-x86_64 -set panic_on_opps=1",
		`panicctl: matrix: unknown family "dog": expected one of panic, oops, `:                               "matrix -family dog",
		"panicctl: explain: expected the name of one failure: `panicctl matrix` names all":                    "explain",
		`panicctl: explain: unknown failure "painc": did you mean "panic"?`:                                   "explain -kernel linux-6.1-x86_64 painc",
		"panicctl: explain: unknown failure \"xyzzy\": `panicctl matrix` names all":                           "explain xyzzy",
		`panicctl: explain: linux-6.1-x86_64 has no failure "serror": only arm64 has it`:                      "explain -kernel linux-6.1-x86_64 serror",
		`panicctl: explain: timeout 1h0m0s of i6300esb: expected 1 to 2046 seconds`:                           "explain -kernel linux-6.1-x86_64 -watchdog i6300esb,1h oops",
		`panicctl: matrix: 65 CPUs: expected a number from 1 to 64`:                                           "matrix -kernel linux-6.1-x86_64 -cpus 65",
		`panicctl: matrix: invalid value "panic" for flag -set: "panic": expected NAME=VALUE: ` + "`panicctl": "matrix -set panic",
	} {
		status, out, err := panicctl(t, strings.Fields(args)...)
		wants(t, status, exitUsage, err, want)
		if out != "" {
			t.Errorf("%s: printed %q", args, out)
		}
	}
}

func TestStrictIsForScripts(t *testing.T) {
	for args, want := range map[string]int{
		"matrix -kernel linux-6.1-x86_64 -strict":                                   exitAmiss,
		"matrix -kernel linux-6.1-x86_64":                                           exitOK,
		"matrix -kernel linux-6.1-x86_64 -strict -set panic=1 -family oops -cpus 2": exitOK,
	} {
		status, _, err := panicctl(t, strings.Fields(args)...)
		wants(t, status, want, err)
	}
}

// root makes a directory with the files of a running machine.
func root(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// server is a running machine of Debian 12 with a few settings of its own.
func server() map[string]string {
	return map[string]string{
		"proc/sys/kernel/osrelease":                               "6.1.0-56-amd64",
		"proc/sys/kernel/arch":                                    "x86_64",
		"proc/cmdline":                                            "BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet panic=7 sysctl.kernel.panic_on_oops=1",
		"proc/sys/kernel/panic":                                   "7",
		"proc/sys/kernel/panic_on_oops":                           "1",
		"proc/sys/kernel/panic_on_warn":                           "0",
		"proc/sys/kernel/printk":                                  "4\t4\t1\t7",
		"proc/sys/kernel/hostname":                                "server",
		"sys/module/rcupdate/parameters/rcu_cpu_stall_timeout":    "21",
		"sys/module/kernel/parameters/crash_kexec_post_notifiers": "Y",
		"sys/devices/system/cpu/online":                           "0-3",
		"sys/kernel/kexec_crash_loaded":                           "1",
		"sys/module/pstore/parameters/backend":                    "efi_pstore",
		"sys/class/watchdog/watchdog0/identity":                   "iTCO_wdt",
		"sys/class/watchdog/watchdog0/state":                      "active",
		"sys/class/watchdog/watchdog0/timeout":                    "30",
		"sys/class/watchdog/watchdog0/pretimeout":                 "0",
		"sys/class/watchdog/watchdog1/identity":                   "Software Watchdog",
		"sys/class/watchdog/watchdog1/state":                      "inactive",
		"sys/class/watchdog/watchdog1/timeout":                    "60",
	}
}

func TestTheRunningMachine(t *testing.T) {
	dir := root(t, server())
	status, out, err := panicctl(t, "explain", "-root", dir, "panic")
	wants(t, status, exitOK, out+err,
		"kernel   linux-6.1-x86_64, the model's nearest to this machine's 6.1.0-56-amd64 x86_64\n",
		"machine  4 CPUs, watchdog i6300esb 30s, crash kernel, pstore\n",
		"set      kernel.panic=7 crash_kexec_post_notifiers=Y kernel.panic_on_oops=1 loglevel=4\n",
		"note     pstore keeps the log by efi_pstore: the model takes ramoops for it\n",
		"note     watchdog0 is a iTCO_wdt: the model takes i6300esb for it\n",
		"note     watchdog1 (Software Watchdog) is not active: nobody feeds it, and it rescues nobody\n",
		"captured: the crash kernel starts at once")
	// What is asked for comes over what there is.
	status, out, err = panicctl(t, "explain", "-root", dir, "-set", "panic=3", "-policy", "comeback", "init-death")
	wants(t, status, exitOK, out+err, "kernel.panic=3", "kernel.hung_task_panic=1", "crash_kexec_post_notifiers=N",
		"note     kernel.panic = 10: the kernel command line has panic=7: it stays 7\n")
	// Before there is a PID 1 only the boot line counts.
	status, out, err = panicctl(t, "explain", "-root", dir, "no-root")
	wants(t, status, exitOK, out+err, "the next kernel starts 7s after the failure")
	files := server()
	files["proc/cmdline"] = "quiet"
	status, out, err = panicctl(t, "explain", "-root", root(t, files), "no-root")
	wants(t, status, exitOK, out+err, "hangs for ever")
	status, _, err = panicctl(t, "matrix", "-root", t.TempDir())
	wants(t, status, exitDenied, err, "panicctl: matrix: the running machine cannot be read: open ",
		"-kernel takes another\n")
}

func TestTheNearestKernel(t *testing.T) {
	for _, c := range []struct{ release, arch, want string }{
		{"6.1.0-56-amd64", "x86_64", "linux-6.1-x86_64"},
		{"6.11.2", "x86_64", "linux-6.1-x86_64"},
		{"6.18.44", "x86_64", "linux-6.12-x86_64"},
		{"9.0", "x86_64", "linux-7.2-x86_64"},
		{"3.2.0", "x86_64", "linux-4.19-x86_64"},
		{"2.6.20", "i686", "linux-2.6.17-i386"},
		{"6.12.3+", "aarch64", "linux-6.1-arm64"},
		{"5.15", "armv7l", "linux-3.10-arm"},
		{"6.6.1", "riscv64", "linux-6.1-arm64"},
		{"", "x86_64", "linux-4.19-x86_64"},
	} {
		if got, _ := profileFor(c.release, c.arch); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.release, c.arch, got, c.want)
		}
	}
}

func TestCPULists(t *testing.T) {
	for list, want := range map[string]int{"0": 1, "0-3": 4, "0,2-3": 3, "": 1, "x": 1} {
		if got := cpuCount(list); got != want {
			t.Errorf("%q: got %d, want %d", list, got, want)
		}
	}
}

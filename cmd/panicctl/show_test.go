package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rebound-init/rebound/internal/knob"
)

// tree unpacks a machine of testdata, and returns where it is.
func tree(t *testing.T, name string) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		put(t, root, f.Name, string(f.Data))
	}
	return root
}

// put writes a file of a machine.
func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// printed compares what panicctl prints with a file of testdata.
func printed(t *testing.T, name string, want int, args ...string) {
	t.Helper()
	status, out, said := panicctl(t, args...)
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(golden), out); d != "" || status != want || said != "" {
		t.Errorf("panicctl %s: status %d, want %d; said %q; got (+) is not %s (-):\n%s",
			strings.Join(args, " "), status, want, said, file, d)
	}
}

func TestShow(t *testing.T) {
	root := tree(t, "pc")
	printed(t, "show.txt", exitOK, "show", "--root", root)
	printed(t, "show-all.txt", exitOK, "show", "--root", root, "--all")
	printed(t, "show-changed.txt", exitOK, "show", "--root", root, "--changed")
	printed(t, "show-knobs.txt", exitOK, "show", "--root", root, "panic", "sysrq.mask", "pstore.kmsg_bytes", "crashkernel")
	printed(t, "show-devices.txt", exitOK, "show", "--root", root, "--devices")
	printed(t, "show-devices.json", exitOK, "show", "--root", root, "--devices", "--json")
	printed(t, "show.json", exitOK, "show", "--root", root, "--json", "panic", "kernel.printk", "panic.on_soft_lockup",
		"hung_task_panic", "pstore.kmsg_bytes", "panic_on_taint", "crashkernel")
}

// TestShowJSONHasEveryKnob: one object for each, those that the kernel lacks, too.
func TestShowJSONHasEveryKnob(t *testing.T) {
	status, out, _ := panicctl(t, "show", "--json", "--root", tree(t, "pc"))
	var all []shownKnob
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != exitOK {
		t.Fatalf("%v, status %d", err, status)
	}
	table := knob.Table()
	if len(all) != len(table) {
		t.Fatalf("got %d knobs, want %d", len(all), len(table))
	}
	states := make(map[state]int)
	for i, k := range table {
		s := all[i]
		states[s.State]++
		if s.Name != k.Name || s.Meaning == "" || s.Place == "" || (s.State == stateSet) != (s.Value != nil) ||
			(s.State == stateSet) != (s.From != fromNowhere) {
			t.Errorf("%s: got %+v", k.Name, s)
		}
	}
	for _, s := range []state{stateSet, stateLacking, stateUnsaid} {
		if states[s] == 0 {
			t.Errorf("no knob is %s", s)
		}
	}
}

// TestOrigins: where a value is from, as its neighbours tell.
func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		name, knob string
		files      map[string]string
		want       origin
		by         string
	}{
		{"nobody", "kernel.panic", map[string]string{"proc/sys/kernel/panic": "0"}, fromDefault, ""},
		{"init, without a policy", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "10", "proc/1/comm": "init\n", "etc/rebound.conf": "",
		}, fromInit, ""},
		{"not so under another init", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "10", "proc/1/comm": "systemd\n", "etc/rebound.conf": "",
		}, fromSomebody, ""},
		{"a key", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "10", "etc/rebound.conf": "\npanic.timeout = 10s",
		}, fromPolicy, policyFile + ":2"},
		{"a key on the command line", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "9", "proc/cmdline": "rebound.panic.timeout=9s",
		}, fromPolicy, "kernel command line"},
		{"a preset", "kernel.softlockup_panic", map[string]string{
			"proc/sys/kernel/softlockup_panic": "1", "etc/rebound.conf": "panic.policy = comeback",
		}, fromPreset, "preset comeback"},
		{"a word", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "5", "proc/cmdline": "quiet panic=5",
		}, fromBoot, "panic=5"},
		{"a word that somebody has changed since", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "6", "proc/cmdline": "quiet panic=5",
		}, fromSomebody, ""},
		{"the last word", "kernel.panic_on_oops", map[string]string{
			"proc/sys/kernel/panic_on_oops": "1", "proc/cmdline": "oops=panic sysctl.kernel.panic_on_oops=1",
		}, fromBoot, "sysctl.kernel.panic_on_oops=1"},
		{"sysctl.d", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "20", "usr/lib/sysctl.d/50-x.conf": "-kernel/panic = 20",
		}, fromSysctl, "/usr/lib/sysctl.d/50-x.conf:1"},
		{"the later file", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "20", "usr/lib/sysctl.d/50-x.conf": "kernel.panic=20",
			"run/sysctl.d/90-y.conf": "kernel.panic=20",
		}, fromSysctl, "/run/sysctl.d/90-y.conf:1"},
		{"a file that is hidden", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "20", "usr/lib/sysctl.d/50-x.conf": "kernel.panic=20",
			"etc/sysctl.d/50-x.conf": "# nothing",
		}, fromSomebody, ""},
		{"sysctl.conf", "kernel.panic", map[string]string{
			"proc/sys/kernel/panic": "20", "etc/sysctl.d/50-x.conf": "kernel.panic=30",
			"etc/sysctl.conf": "; x\n\nkernel.panic=20\n",
		}, fromSysctl, "/etc/sysctl.conf:3"},
		{"Debian", "kernel.sysrq", map[string]string{"proc/sys/kernel/sysrq": "438"}, fromDebian, ""},
		{"Ctrl-Alt-Del is init's", "kernel.ctrl-alt-del", map[string]string{"proc/sys/kernel/ctrl-alt-del": "0"}, fromInit, ""},
		{"a counter", "kernel.tainted", map[string]string{"proc/sys/kernel/tainted": "512"}, fromKernel, ""},
		{"quiet", "kernel.printk", map[string]string{
			"proc/sys/kernel/printk": "4\t4\t1\t7", "proc/cmdline": "quiet",
		}, fromBoot, "quiet"},
		{"a word of no file", "crashkernel", map[string]string{"proc/cmdline": "crashkernel=1M"}, fromBoot, "crashkernel=1M"},
	} {
		root := tree(t, "pc")
		for _, name := range []string{"etc/sysctl.d/10-panic.conf", "etc/rebound.conf"} {
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
		}
		put(t, root, "proc/cmdline", "")
		for name, text := range c.files {
			put(t, root, name, text+"\n")
		}
		status, out, said := panicctl(t, "show", "--json", "--root", root, c.knob)
		var all []shownKnob
		if err := json.Unmarshal([]byte(out), &all); err != nil || status != exitOK || len(all) != 1 {
			t.Fatalf("%s: %v, status %d, %s", c.name, err, status, said)
		}
		if all[0].From != c.want || all[0].By != c.by {
			t.Errorf("%s:\ngot  %q by %q\nwant %q by %q", c.name, all[0].From, all[0].By, c.want, c.by)
		}
	}
}

func TestShowOnBadMachines(t *testing.T) {
	// Nothing is mounted.
	status, out, said := panicctl(t, "show", "--root", t.TempDir())
	wants(t, status, exitDenied, said, "no settings of a kernel below ", "is proc mounted?")
	if out != "" {
		t.Errorf("got %q", out)
	}
	// No sysfs.
	root := tree(t, "pc")
	if err := os.RemoveAll(root + "/sys"); err != nil {
		t.Fatal(err)
	}
	status, out, said = panicctl(t, "show", "--root", root)
	wants(t, status, exitOK, said, "is sysfs mounted? Nothing is known of parameters")
	wants(t, status, exitOK, out, "crash_kexec_post_notifiers", "unknown", "watchdog      unknown")
	// A file that cannot be read: a loop of links, which root cannot read either.
	root = tree(t, "pc")
	panicFile := root + "/proc/sys/kernel/panic"
	if err := os.Remove(panicFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("panic", panicFile); err != nil {
		t.Fatal(err)
	}
	status, out, _ = panicctl(t, "show", "--root", root, "panic")
	wants(t, status, exitOK, out, "value    unreadable", "error    too many levels of symbolic links")
	// A policy that cannot be read.
	if err := os.Remove(root + policyFile); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(root+policyFile, 0o755); err != nil {
		t.Fatal(err)
	}
	status, _, said = panicctl(t, "show", "--root", root, "panic_on_oops")
	wants(t, status, exitOK, said, "rebound.conf: is a directory: what is from there is not known")
}

func TestShowIsToldWhat(t *testing.T) {
	for want, args := range map[string][]string{
		`there is no knob "panic_on_opps": did you mean`:      {"panic_on_opps"},
		"there is no knob \"x\": `panicctl show --all` lists": {"x"},
		`-devices shows no knobs, and "panic" is too much`:    {"--devices", "panic"},
		"flag provided but not defined: -jason":               {"--jason"},
	} {
		status, _, said := panicctl(t, append([]string{"show"}, args...)...)
		wants(t, status, exitUsage, said, want)
	}
}

// TestTableFitsATerminal: the last column is cut where a line would be longer.
func TestTableFitsATerminal(t *testing.T) {
	tb := &table{}
	tb.add(cell{"a", plain}, cell{"b", plain}, cell{"c", plain}, cell{"d", plain}, cell{strings.Repeat("word ", 30), plain})
	if got := (&tool{}).fit(tb); got != tb || len(got.rows[0][4].text) != 150 {
		t.Errorf("got %q where there is no terminal", got.rows[0][4].text)
	}
	cut(tb, 60)
	if got, want := tb.rows[0][4].text, strings.TrimSpace(strings.Repeat("word ", 9))+" w…"; len(got) > 50 {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzSysctls: whatever stands in a file, what is taken of it has a name and a line of the file.
func FuzzSysctls(f *testing.F) {
	for _, text := range []string{
		"kernel.panic = 10\n", "-kernel/panic=10", "# x\n; y\n\nno value\n = 1\n", "a=b=c\r\n", "net.*.x = 1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := make(map[string]sysctlLine)
		readSysctls(found, "f", text)
		lines := strings.Count(text, "\n") + 1
		for name, l := range found {
			if l.line < 1 || l.line > lines || l.file != "f" || strings.ContainsAny(name, "/\n=") ||
				strings.ContainsAny(l.value, "\n") {
				t.Errorf("%q: got %q, %+v", text, name, l)
			}
		}
	})
}

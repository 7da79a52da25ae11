package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file writes a policy, and returns its name.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policy.conf")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCheck(t *testing.T) {
	root := tree(t, "pc")
	printed(t, "check.txt", exitAmiss, "check", "--root", root)
	printed(t, "check.json", exitAmiss, "check", "--root", root, "--json")
}

// said is a finding as its JSON has it.
type said struct{ Place, Severity, Rule, What, Reason, Remedy string }

// checked is what check says.
func checked(t *testing.T, args ...string) (status int, found []said) {
	t.Helper()
	status, out, text := panicctl(t, append([]string{"check", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return status, found
}

// TestCheckOfAFileIsAboutWhatWouldBe: the policy of the file on the machine, not that of the machine.
func TestCheckOfAFileIsAboutWhatWouldBe(t *testing.T) {
	root := tree(t, "pc")
	for _, c := range []struct {
		policy      string
		status      int
		has, hasNot string
	}{
		{"crash_kexec.post_notifiers = no\nreboot.mode = warm\n", exitAmiss, "flag-sysrq_always_enabled", "notifier-before-crash-kernel"},
		// There are a watchdog in hardware and a crash kernel.
		{"panic.timeout = never\n", exitAmiss, "watchdog-cuts-dump", "trigger-hangs"},
		{"panic.timeout = 2147484s\n", exitAmiss, "policy", "panic-wraps"},
		{"panic.oops_limit = 1\npanic.on_oops = no", exitAmiss, "oops-limit-1", "changed"},
		{"panic.policy = debug\n", exitAmiss, "notifier-before-crash-kernel", "crash-kernel-only"},
		{"reboot.method = watchdog\n", exitAmiss, "reboot-by-no-watchdog", "no-such-watchdog"},
		{
			"watchdog.device = /dev/watchdog /dev/watchdog1\nwatchdog.pretimeout = 2m\n", exitAmiss,
			"no-such-watchdog pretimeout-too-long watchdog-cuts-dump", "reboot-by-no-watchdog",
		},
		{"watchdog.device = /dev/watchdog0\nwatchdog.timeout = 3m\n", exitAmiss, "watchdog-fed-for-ever", "watchdog-cuts-dump"},
		{"panic.after_oops = stop-feeding-watchdog\n", exitAmiss, "stops-feeding-none panics-before", "panics-and-hangs"},
		{
			"panic.after_oops = stop-feeding-watchdog\nwatchdog.device = /dev/watchdog0\npanic.on_oops = no\n", exitAmiss,
			"hung-task-after-oops", "stops-feeding-none",
		},
		{"panic.after_lockup = reboot\nlockup.threshold = off\n", exitAmiss, "nobody-looks", "panics-before"},
		{"panic.after_hung_task = panic\npanic.timeout = never\n", exitAmiss, "panics-before", "panics-and-hangs"},
		{"panic.warn_limit = 3\n", exitAmiss, "warn-limit-reached", ""},
	} {
		status, found := checked(t, "--root", root, file(t, c.policy))
		var rules []string
		for _, f := range found {
			rules = append(rules, f.Rule)
		}
		if status != c.status {
			t.Errorf("%q: status %d, want %d", c.policy, status, c.status)
		}
		for _, want := range strings.Fields(c.has) {
			if !slices.Contains(rules, want) {
				t.Errorf("%q: got %q, want %q", c.policy, rules, want)
			}
		}
		if slices.Contains(rules, c.hasNot) {
			t.Errorf("%q: got %q, and not %q", c.policy, rules, c.hasNot)
		}
	}
}

// TestCheckNamesTheLine: what a line of the policy has led to stands by that line.
func TestCheckNamesTheLine(t *testing.T) {
	name := file(t, "# Not so.\npanic.timeout = 60s\npanic.warn_limit = 1\npanic.on_ops = yes\n")
	_, found := checked(t, "--root", tree(t, "pc"), name)
	for _, c := range []struct{ rule, place, remedy string }{
		{"watchdog-before-restart", name + ":2", "panic.timeout = 15s"},
		{"warn-limit-1", name + ":3", "panic.warn_limit = 2; or 0 for no limit"},
		{"policy", name + ":4", "write panic.on_oops"},
	} {
		i := slices.IndexFunc(found, func(f said) bool { return f.Rule == c.rule })
		if i < 0 || found[i].Place != c.place || found[i].Remedy != c.remedy {
			t.Errorf("%s: got %+v\nwant it at %s with the remedy %q", c.rule, found, c.place, c.remedy)
		}
	}
}

// TestCheckNoticesChanges: what is not as the policy has it, though the file is the machine's own.
func TestCheckNoticesChanges(t *testing.T) {
	root := tree(t, "pc")
	put(t, root, "etc/rebound.conf", "panic.policy = comeback\npanic.timeout = 30s\npanic.warn_limit = policy\n")
	_, found := checked(t, "--root", root)
	var got []string
	for _, f := range found {
		if f.Rule == "changed" {
			got = append(got, f.Place+": "+f.What)
		}
	}
	for _, want := range []string{
		"/etc/rebound.conf:2: kernel.panic is 10s, and the policy has 30s",
		"preset comeback: kernel.softlockup_panic is no, and the policy has yes",
		"preset comeback: crash_kexec_post_notifiers is yes, and the policy has no",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("\ngot  %q\nwant %q", got, want)
		}
	}
	// The command line comes before a preset, and what the kernel lacks is not changed.
	for _, g := range got {
		if strings.Contains(g, "panic_on_oops") || strings.Contains(g, "stackoverflow") {
			t.Errorf("got %q", g)
		}
	}
	// Without a policy there is nothing that could have been changed.
	if err := os.Remove(root + policyFile); err != nil {
		t.Fatal(err)
	}
	_, found = checked(t, "--root", root)
	if slices.ContainsFunc(found, func(f said) bool { return f.Rule == "changed" }) {
		t.Errorf("got %+v", found)
	}
}

func TestCheckOfAHealthyMachine(t *testing.T) {
	root := tree(t, "pc")
	put(t, root, "etc/rebound.conf", "panic.policy = comeback\n")
	put(t, root, "proc/cmdline", "\n")
	put(t, root, "sys/module/kernel/parameters/crash_kexec_post_notifiers", "N\n")
	put(t, root, "sys/class/watchdog/watchdog0/timeout", "120\n")
	for _, name := range []string{"softlockup_panic", "hardlockup_panic", "panic_on_rcu_stall"} {
		put(t, root, "proc/sys/kernel/"+name, "1\n")
	}
	put(t, root, "proc/sys/kernel/hung_task_timeout_secs", "600\n")
	put(t, root, "proc/sys/kernel/hung_task_check_interval_secs", "60\n")
	status, out, said := panicctl(t, "check", "--root", root)
	wants(t, status, exitOK, out, "\nNothing is wrong, ")
	if said != "" {
		t.Errorf("said %q", said)
	}
}

func TestCheckReadsStandardInput(t *testing.T) {
	status, out, _ := panicctlReading(t, "panic.timout = 5s\n", "check", "--root", tree(t, "pc"), "-")
	wants(t, status, exitAmiss, out, "standard input:1: mistake: panic.timout = 5s: there is no such key",
		"  remedy: write panic.timeout\n")
}

func TestCheckWhereNothingIsMounted(t *testing.T) {
	status, _, said := panicctl(t, "check", "--root", t.TempDir())
	wants(t, status, exitDenied, said, "is proc mounted?")
	status, out, said := panicctl(t, "check", "--root", t.TempDir(), file(t, "panic.timeout = 10\n"))
	wants(t, status, exitAmiss, said, "Nothing but the lines of ")
	wants(t, status, exitAmiss, out, ":1: mistake: panic.timeout = 10: expected ", "1 mistake, no traps.")
	status, out, _ = panicctl(t, "check", "--root", t.TempDir(), file(t, "panic.timeout = 10s\n"))
	wants(t, status, exitOK, out, "Nothing is wrong.\n")
	status, _, said = panicctl(t, "check", "--root", t.TempDir(), "/nowhere/rebound.conf")
	wants(t, status, exitDenied, said, "/nowhere/rebound.conf: no such file or directory")
	status, _, said = panicctl(t, "check", "a", "b")
	wants(t, status, exitUsage, said, `expected one file, and "b" is too much`)
}

// TestCheckNoticesUnfedWatchdogs: those that the policy has init feed, and that nobody does.
func TestCheckNoticesUnfedWatchdogs(t *testing.T) {
	root := tree(t, "pc")
	put(t, root, "etc/rebound.conf", "watchdog.device = /dev/watchdog0\nwatchdog.timeout = 1m\n")
	for _, c := range []struct{ state, timeout, want string }{
		{"active", "60", ""},
		{"active", "30", "/etc/rebound.conf:2: watchdog0 (i6300ESB timer) resets the machine after 30s, and the policy has 1m"},
		{"inactive", "60", "/etc/rebound.conf:1: watchdog0 (i6300ESB timer) does not count, and the policy has init feed it"},
	} {
		put(t, root, "sys/class/watchdog/watchdog0/state", c.state+"\n")
		put(t, root, "sys/class/watchdog/watchdog0/timeout", c.timeout+"\n")
		_, found := checked(t, "--root", root)
		got := ""
		for _, f := range found {
			if f.Rule == "changed" && strings.Contains(f.What, "watchdog0") {
				got = f.Place + ": " + f.What
			}
		}
		if got != c.want {
			t.Errorf("%s, %s s:\ngot  %q\nwant %q", c.state, c.timeout, got, c.want)
		}
	}
}

// TestCheckOfAPanicByInit: one that nothing would end.
func TestCheckOfAPanicByInit(t *testing.T) {
	root := tree(t, "pc")
	put(t, root, "sys/kernel/kexec_crash_loaded", "0\n")
	name := file(t, "panic.timeout = never\n\npanic.after_warn = panic\n")
	for state, want := range map[string]bool{"active": false, "inactive": true} {
		put(t, root, "sys/class/watchdog/watchdog0/state", state+"\n")
		_, found := checked(t, "--root", root, name)
		i := slices.IndexFunc(found, func(f said) bool { return f.Rule == "panics-and-hangs" })
		if (i >= 0) != want || i >= 0 && found[i].Place != name+":3" {
			t.Errorf("%s: got %+v", state, found)
		}
	}
}

func TestCheckListsItsRules(t *testing.T) {
	status, out, _ := panicctl(t, "check", "--list")
	wants(t, status, exitOK, out, "\nsoftdog-only ", "  mistake  ", "  trap ", "  note ", "[Kernel 6.14, 10.3]\n")
	if strings.ContainsAny(out, "{}") {
		t.Errorf("got %s", out)
	}
	status, out, _ = panicctl(t, "check", "--list", "--json")
	wants(t, status, exitOK, out, `"rule": "panic-wraps"`, `"severity": "trap"`)
	status, _, text := panicctl(t, "check", "--list", "x")
	wants(t, status, exitUsage, text, `-list checks nothing, and "x" is too much`)
}

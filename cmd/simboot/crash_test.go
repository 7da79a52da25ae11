package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/crash"
)

func TestCrashTellsWhatComesOfIt(t *testing.T) {
	status, out, _ := simboot(t, "crash", "-set", "panic=5", "-set", "nokaslr", "panic")
	wants(t, status, exitOK, out,
		"[    1.000000] Kernel panic - not syncing: a driver has called panic()\n",
		"[    1.000000] Kernel Offset: disabled\n",
		"[    1.000000] Rebooting in 5 seconds..\n\ncause     Kernel panic",
		"\nended by  restart, 5s after the failure\n",
		"\nback      the next kernel starts 5s after the failure",
		"\nevidence  console: ")
	status, out, _ = simboot(t, "crash", "panic", "-kernel", "linux-6.1-arm64", "-cpus", "2")
	wants(t, status, exitOK, out, "ended by  nothing: it hangs until somebody comes\n",
		"answers   interrupts are taken (ping, the keys of SysRq), and no process runs: CPU 0",
		"back      never by itself\n")
	// In an interrupt that never ends no soft one runs, and they are who answers a ping.
	status, out, _ = simboot(t, "crash", "panic-softirq", "-kernel", "linux-2.6.24-i386")
	wants(t, status, exitOK, out, "answers   interrupts are taken (the keys of SysRq), but no soft ones (no ping)")
	// What is started without a reset has no firmware before it.
	status, out, _ = simboot(t, "crash", "-crash-kernel", "panic")
	wants(t, status, exitOK, out, "back      the crash kernel starts at once, without any firmware\n")
}

func TestHelpOfACommand(t *testing.T) {
	status, out, _ := simboot(t, "help", "crash")
	wants(t, status, exitOK, out, "Usage: simboot crash [OPTIONS] FAILURE...\n", "Of several failures each comes")
}

// TestCrashNeedsCPUs: what only another CPU can see is not played on one, unless that is asked for.
func TestCrashNeedsCPUs(t *testing.T) {
	status, out, _ := simboot(t, "crash", "rcu-stall")
	wants(t, status, exitOK, out, "rcu: INFO: rcu_preempt self-detected stall on CPU\n")
	status, out, _ = simboot(t, "crash", "-cpus", "1", "rcu-stall")
	wants(t, status, exitOK, out, "evidence  none\n")
}

func TestCrashExplains(t *testing.T) {
	status, out, _ := simboot(t, "crash", "-explain", "-set", "panic=1", "panic")
	wants(t, status, exitOK, out, "Rebooting in 1 seconds..", "  <- panic: panic_timeout\n")
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "[") && !strings.Contains(line, "  <- panic: ") {
			t.Errorf("no origin: %q", line)
		}
	}
}

func TestCrashAsJSON(t *testing.T) {
	status, out, _ := simboot(t, "crash", "-json", "sysrq-b")
	wants(t, status, exitOK, out)
	var r struct {
		Lines   []crash.Line
		Verdict struct {
			Ending string
			Back   *int64
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Lines) != 1 || r.Verdict.Ending != "restarted" || r.Verdict.Back == nil {
		t.Errorf("got %+v", r)
	}
	status, out, _ = simboot(t, "crash", "-json", "panic")
	wants(t, status, exitOK, out, `"back": null`, `"ending": "hung"`)
}

func TestCrashLists(t *testing.T) {
	status, out, _ := simboot(t, "crash", "-list")
	wants(t, status, exitOK, out, "Failures:\n", "\n  sysrq-c ", "\nKernels:\n  linux-6.1-x86_64\n",
		"\nSettings:\n", " kernel.panic_on_oops ")
	for line := range strings.Lines(out) {
		const width = 110
		if len(line) > width {
			t.Errorf("too long: %q", line)
		}
	}
	status, out, _ = simboot(t, "crash", "-list", "-json")
	wants(t, status, exitOK, out, `"name": "sysrq-c"`, `"settings": [`)
}

func TestCrashSaysWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		`simboot: crash: unknown failure "painc": did you mean "panic"?`:                        {"painc"},
		"simboot: crash: expected the name of a failure: `simboot crash -list` names all":       nil,
		`simboot: crash: panic_on_warn=7: expected a number from 0 to 1`:                        {"-set", "panic_on_warn=7", "panic"},
		`simboot: crash: invalid value "panic" for flag -set: "panic": expected NAME=VALUE`:     {"-set", "panic", "panic"},
		`simboot: crash: unknown kernel "linux-6.2-x86_64": did you mean "linux-6.1-x86_64"?`:   {"-kernel", "linux-6.2-x86_64", "panic"},
		`simboot: crash: unknown kernel "4.19": did you mean "linux-4.19-x86_64"?`:              {"-kernel", "4.19", "panic"},
		`simboot: crash: -list lists everything, and "panic" is too much`:                       {"-list", "panic"},
		`simboot: crash: unknown setting "panic_on_opps": did you mean "panic_on_oops"?`:        {"-set", "panic_on_opps=1", "panic"},
		`simboot: crash: linux-2.6.17-i386 has no setting nokaslr: it needs Linux 3.14 or late`: {"-set", "nokaslr", "-kernel", "linux-2.6.17-i386", "panic"},
	} {
		status, _, err := simboot(t, append([]string{"crash"}, args...)...)
		wants(t, status, exitUsage, err, want)
	}
}

package simkernel

import (
	"testing"
	"time"
)

// Where CPUs cannot be asked by an NMI, nobody shows where all are, but who is on a CPU that is stuck.
func TestBacktracesWithoutNMI(t *testing.T) {
	cfg := Config{
		Reboot: twoCPUs, MagicSysrq: true, Until: 90 * time.Second,
		Cmdline: "sysctl.kernel.softlockup_all_cpu_backtrace=1",
	}
	stuck := func(how StuckCPU) Action {
		how.Comm, how.PID = "loop", 9
		return Fail{CPU: 1, How: how}
	}
	onEach(t, []string{"linux-6.1-x86_64"}, cfg, func(t *testing.T, f failed) {
		f.wantLines(t, "Sending NMI from CPU 0 to CPUs 1:", "NMI backtrace for cpu 1")
		f.wantNone(t, "Task dump")
	}, stuck(StuckCPU{IRQsOff: true}))
	onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
		f.wantLines(t, "Task dump for CPU 1:", "Call trace:")
		f.wantNone(t, "NMI")
	}, stuck(StuckCPU{IRQsOff: true}))
	onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
		if !f.has("soft lockup - CPU#1") {
			t.Errorf("said %q", f.said)
		}
		f.wantNone(t, "NMI")
	}, stuck(StuckCPU{}))
}

// The key l asks all CPUs.
func TestSysrqShowsAllCPUs(t *testing.T) {
	cfg := Config{Reboot: twoCPUs, MagicSysrq: true, Until: 5 * time.Second}
	stuck := Fail{CPU: 1, How: StuckCPU{Comm: "loop", PID: 9}}
	onEach(t, []string{"linux-6.1-x86_64", "linux-6.12-x86_64"}, cfg, func(t *testing.T, f failed) {
		f.wantLines(t, "NMI backtrace for cpu 0", "Sending NMI from CPU 0 to CPUs 1:", "NMI backtrace for cpu 1")
	}, stuck, PressSysrq{Key: 'l'})
	onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
		f.wantLines(t, "sysrq: CPU0:", "Call trace:", "sysrq: CPU1:", "Call trace:")
		f.wantNone(t, "NMI")
	}, stuck, PressSysrq{Key: 'l'})
}

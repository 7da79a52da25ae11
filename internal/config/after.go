package config

// After is what init does when the kernel has failed and goes on.
type After uint8

// The values. To go on is the default, as it is the kernel's.
const (
	AfterContinue After = iota
	AfterReboot
	AfterPanic
	AfterStopFeeding
)

var afterNames = []string{
	AfterContinue: "continue", AfterReboot: "reboot", AfterPanic: "panic",
	AfterStopFeeding: "stop-feeding-watchdog",
}

// failures are the kinds of failure that the kernel survives, with the ends of their keys.
var failures = [...]struct{ name, what string }{
	{"oops", "an oops of the kernel"},
	{"warn", "a WARN() of the kernel"},
	{"bug", "a BUG() of the kernel"},
	{"lockup", "a soft or hard lockup of a CPU"},
	{"hung_task", "a task has hung in state D"},
	{"rcu_stall", "a stall of RCU"},
	{"taint", "a new flag of a failure in kernel.tainted"},
}

// afterField is the setting for one of them, by its place.
func afterField(kind int) field {
	return choice{
		at:    func(s *Settings) *uint8 { return (*uint8)(&s.Panic.After[kind]) },
		names: afterNames,
	}
}

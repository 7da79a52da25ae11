package matrix

import "strings"

// Family is what a failure is one of, for people who look for theirs.
type Family string

// The families, in the order of a page.
const (
	Panics   Family = "panic"
	Oopses   Family = "oops"
	Bugs     Family = "bug and warning"
	Inits    Family = "init and boot"
	Stalls   Family = "lockup and stall"
	Memory   Family = "memory and stack"
	Hardware Family = "hardware"
	Dogs     Family = "watchdog"
	Keys     Family = "sysrq"
	Others   Family = "other" // than all of these
)

// Families are all of them, in the order of a page.
func Families() []Family {
	return []Family{Panics, Oopses, Bugs, Inits, Stalls, Memory, Hardware, Dogs, Keys, Others}
}

// FamilyOf is the family of a failure, by its name.
func FamilyOf(failure string) Family {
	if strings.HasPrefix(failure, "sysrq-") {
		return Keys
	}
	switch failure {
	case "panic", "double-panic", "panic-softirq", "emergency-restart":
		return Panics
	case "oops", "oops-read", "oops-irqs-off", "oops-atomic", "oops-irq", "oops-softirq", "oops-idle",
		"oops-kthread", "oops-init", "oops-locked", "bad-pointer", "bad-jump", "bad-instruction", "read-only",
		"unhandled-exception":
		return Oopses
	case "bug", "bug-irq", "bug-off", "bug-generic", "schedule-atomic", "warn", "warn-on":
		return Bugs
	case "init-fault", "init-death", "no-init", "no-such-init", "no-root":
		return Inits
	case "soft-lockup", "hard-lockup", "rcu-stall", "rcu-stall-other", "hung-task":
		return Stalls
	case "oom", "oom-init", "stack-overflow", "stack-end", "stack-canary":
		return Memory
	case "nmi", "nmi-serr", "nmi-io", "mce", "mce-local", "serror", "bus-error":
		return Hardware
	case "watchdog", "pretimeout":
		return Dogs
	}
	return Others
}

package advice

import (
	"slices"
	"strings"
)

// condition is something that holds of a machine, or not. What is not known does not hold.
type condition func(m *Machine) bool

func all(cs ...condition) condition {
	return func(m *Machine) bool {
		return !slices.ContainsFunc(cs, func(c condition) bool { return !c(m) })
	}
}

func either(cs ...condition) condition {
	return func(m *Machine) bool {
		return slices.ContainsFunc(cs, func(c condition) bool { return c(m) })
	}
}

func not(c condition) condition { return func(m *Machine) bool { return !c(m) } }

// is, atLeast and below are about the number that a setting has.
func is(name string, n int64) condition {
	return func(m *Machine) bool { got, ok := m.number(name); return ok && got == n }
}

func atLeast(name string, n int64) condition {
	return func(m *Machine) bool { got, ok := m.number(name); return ok && got >= n }
}

func below(name string, n int64) condition {
	return func(m *Machine) bool { got, ok := m.number(name); return ok && got < n }
}

// on and off are for settings that are a number or Y and N.
func on(name string) condition  { return atLeast(name, 1) }
func off(name string) condition { return is(name, 0) }

// text is about a setting that is a word.
func text(name, want string) condition {
	return func(m *Machine) bool { return strings.TrimSpace(m.Values[name]) == want }
}

// wanted holds if somebody has asked for one of these settings.
func wanted(names ...string) condition {
	return func(m *Machine) bool {
		return slices.ContainsFunc(names, func(name string) bool { return m.Wanted[name] })
	}
}

// since holds if the version of the kernel is not known, and before does not.
func since(major, minor int) condition {
	return func(m *Machine) bool {
		v := m.Kernel
		return v == (Version{}) || v.Major > major || v.Major == major && v.Minor >= minor
	}
}

func before(major, minor int) condition { return not(since(major, minor)) }

// x86 holds of PCs; elsewhere of others that are known.
func x86(m *Machine) bool       { return m.Arch == "x86" }
func elsewhere(m *Machine) bool { return m.Arch != "" && m.Arch != "x86" }

// said holds if a word stands on the kernel's command line.
func said(name string) condition {
	return func(m *Machine) bool { _, ok := m.boot(name); return ok }
}

// deniedFlag holds if a word stands there that is only asked whether it does, with a value that says no.
func deniedFlag(name string) condition {
	return func(m *Machine) bool {
		w, ok := m.boot(name)
		return ok && w.HasValue && slices.Contains([]string{"0", "n", "no", "off", "false", "N"}, w.Value)
	}
}

// The conditions on devices.
func hardwareCounts(m *Machine) bool { return m.hardware() != nil }
func softdogCounts(m *Machine) bool  { return m.softdog() != nil }
func hardwareIsIdle(m *Machine) bool { _, ok := m.idle(); return ok && m.hardware() == nil }
func hasTriggers(m *Machine) bool    { return len(m.triggers()) > 0 }
func crashLoaded(m *Machine) bool    { return m.Crash.Known && m.Crash.Loaded }
func crashNotLoaded(m *Machine) bool { return m.Crash.Known && !m.Crash.Loaded }
func crashReserved(m *Machine) bool  { return m.Crash.Known && m.Crash.Reserved > 0 }
func noReservation(m *Machine) bool  { return m.Crash.Known && m.Crash.Reserved == 0 }
func hasBackend(m *Machine) bool     { return m.Pstore.Known && m.Pstore.Backend != "" }
func noBackend(m *Machine) bool      { return m.Pstore.Known && m.Pstore.Backend == "" }
func backendIs(name string) condition {
	return func(m *Machine) bool { return m.Pstore.Backend == name }
}
func hasRiskyNotifiers(m *Machine) bool { return len(m.riskyNotifiers()) > 0 }
func silentWatchdog(m *Machine) bool    { _, ok := m.silent(); return ok }
func attended(m *Machine) bool          { return m.Attended }
func wantsCapture(m *Machine) bool      { return m.Capture }

// biteWithin holds if a watchdog in hardware resets the machine within so many seconds.
func biteWithin(n float64) condition {
	return func(m *Machine) bool { return m.hardware() != nil && m.bite().Seconds() <= n }
}

// biteBeforeRestart holds if it does so before the kernel restarts by itself.
func biteBeforeRestart(m *Machine) bool {
	n, ok := m.number("kernel.panic")
	return ok && m.hardware() != nil && n > 0 && n < wraps && float64(n) >= m.bite().Seconds()
}

// biteBeforeDetector holds if it does so before a soft lockup is told of.
func biteBeforeDetector(m *Machine) bool {
	return m.hardware() != nil && m.softLockup() > 0 && m.bite() <= m.softLockup()
}

func governor(name string) condition {
	return func(m *Machine) bool { w, ok := m.pretimed(); return ok && w.Governor == name }
}

func pretimeoutWithin(n float64) condition {
	return func(m *Machine) bool {
		w, ok := m.pretimed()
		return ok && !w.Software() && w.Pretimeout.Seconds() <= n
	}
}

// reaches holds if a count is one below its limit, or beyond.
func reaches(count, limit string) condition {
	return func(m *Machine) bool {
		n, ok := m.number(count)
		max, known := m.number(limit)
		return ok && known && n > 0 && max > 0 && n+1 >= max
	}
}

// without holds if a setting has none of these bits.
func without(name string, bits int64) condition {
	return func(m *Machine) bool { n, ok := m.number(name); return ok && n&bits == 0 }
}

func with(name string, bits int64) condition {
	return func(m *Machine) bool { n, ok := m.number(name); return ok && n&bits != 0 }
}

// taintedAsForbidden holds if the kernel has a taint that it panics of.
func taintedAsForbidden(m *Machine) bool {
	n, ok := m.number("kernel.tainted")
	return ok && n&m.taintMask() != 0
}

// rebootForced holds if reboot= has the word force, of which the first letter counts [Kernel 5.70].
func rebootForced(m *Machine) bool {
	w, _ := m.boot("reboot")
	return slices.ContainsFunc(strings.Split(w.Value, ","), func(s string) bool {
		return strings.HasPrefix(s, "f")
	})
}

// Numbers that the conditions are about.
const (
	wraps       = 2147484 // the first delay whose milliseconds are too many for an int [Kernel 1.19]
	sysrqReboot = 128
	taintDie    = 1 << 7
)

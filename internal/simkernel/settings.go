package simkernel

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Sysctls are the names of the settings below /proc/sys, as sysctl(8) writes them. Only those are
// among them that the command line can set, too.
func Sysctls() []string {
	names := make([]string, 0, len(knobs))
	for i := range knobs {
		if knobs[i].settable() {
			names = append(names, strings.ReplaceAll(knobs[i].name, "/", "."))
		}
	}
	return names
}

// HasSysctl reports whether a name is one of Sysctls.
func HasSysctl(name string) bool {
	k := findKnob(strings.ReplaceAll(name, ".", "/"))
	return k != nil && k.settable()
}

// settable reports whether a word of the command line can set it.
func (k *knob) settable() bool {
	// This one wants a newline, which no word of the command line has.
	return k.perm()&0o200 != 0 && k.name != "kernel/printk_devkmsg"
}

// CheckSysctl says what is wrong with a value for one of Sysctls, if something is.
func CheckSysctl(name, value string) error {
	k := findKnob(strings.ReplaceAll(name, ".", "/"))
	if k == nil {
		return errors.New("simkernel: no sysctl " + name)
	}
	if k.kind != knobText && strings.TrimSpace(value) == "" {
		return fmt.Errorf("expected %s", k.expects())
	}
	_, e := k.parse(k.value, value)
	if k.get != nil || k.check != nil {
		// The last kernel has them all.
		e = New(Config{Kernel: profiles[len(profiles)-1].name}).setKnob(k.name, value)
	}
	switch {
	case e != 0 && k.kind == knobText:
		return e
	case e != 0:
		return fmt.Errorf("expected %s", k.expects())
	}
	// The kernel itself leaves some out without an error.
	if n, e := k.number(strings.Fields(value + " 0")[0]); k.kind == knobLong && k.max != 0 &&
		(e != 0 || n < k.min || n > k.max) {
		return fmt.Errorf("expected %s", k.expects())
	}
	return nil
}

// expects is what can be written to it, in words.
func (k *knob) expects() string {
	low, high := k.min, k.max
	switch {
	case k.kind == knobText:
		return "a text"
	case k.kind == knobInts:
		return "numbers with blanks between"
	case k.max != 0:
	case k.kind == knobUint:
		low, high = 0, math.MaxUint32
	case k.kind == knobLong, k.kind == knobSpread:
		low, high = 0, math.MaxInt64
	default:
		low, high = math.MinInt32, math.MaxInt32
	}
	return fmt.Sprintf("a number from %d to %d", low, high)
}

// Parameters are the names of the parameters of modules, as the command line writes them: those of
// the kernel itself have no module before them. Those that are a sysctl, too, are left out.
func Parameters() []string {
	var names []string
	for i := range sysAttrs {
		if a := &sysAttrs[i]; a.knob == "" && (a.mode == 0 || a.mode&0o200 != 0) {
			if name, ok := a.parameter(); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// parameter is the name of a file of sysfs on the command line, if it is one's there.
func (a *sysAttr) parameter() (string, bool) {
	rest, ok := strings.CutPrefix(a.path, "module/")
	module, name, found := strings.Cut(rest, "/parameters/")
	if !ok || !found {
		return "", false
	}
	if module == "kernel" {
		return name, true
	}
	return module + "." + name, true
}

// CheckParameter says what is wrong with a value for one of Parameters, if something is.
func CheckParameter(name, value string) error {
	for i := range sysAttrs {
		a := &sysAttrs[i]
		if has, ok := a.parameter(); !ok || has != name {
			continue
		}
		if _, e := a.parse(value); e == 0 {
			return nil
		}
		switch a.kind {
		case attrBool:
			return errors.New("expected Y or N")
		case attrUint:
			return fmt.Errorf("expected a number from 0 to %d", uint32(math.MaxUint32))
		case attrULong:
			return fmt.Errorf("expected a number from 0 to %d", uint64(math.MaxUint64))
		case attrInt, attrText:
		}
		return fmt.Errorf("expected a number from %d to %d", math.MinInt32, math.MaxInt32)
	}
	return errors.New("simkernel: no parameter " + name)
}

// EndAt ends the run at a time, as the bound on time does, unless the kernel is about to die then: that
// takes as long as it takes. A machine on which nobody can run has hung.
func (m *Machine) EndAt(t time.Duration) {
	m.raise(t, Do(func(m *Machine) {
		switch {
		case m.dying.first != nil || m.dying.runs > 0:
		case m.aCPUIsFree():
			m.finish(End{How: TimedOut, Text: "still running after " + m.now.String()})
		default:
			m.finish(End{How: Hung, Text: m.Answers().Why})
		}
	}))
}

// WatchdogTimeouts are the timeouts that a watchdog can have, in seconds: from and to. Both are the same
// where it has but one, and to is 0 where there is no end.
func WatchdogTimeouts(driver string) (from, to int) {
	for i := range watchdogDrivers {
		switch d := &watchdogDrivers[i]; {
		case d.name != driver:
		case d.options&wdSetTimeout == 0:
			return d.start, d.start
		default:
			return d.min, d.max
		}
	}
	return 0, 0
}

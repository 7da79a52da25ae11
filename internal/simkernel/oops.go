package simkernel

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// oopsEnter begins an oops (kernel/panic.c, oops_enter).
func (m *Machine) oopsEnter(x *context) {
	m.pauseOnOops(x)
	if m.isSet("kernel/oops_all_cpu_backtrace") {
		_ = m.backtraceOfAll(x)
	}
}

// oopsExit ends an oops (kernel/panic.c, oops_exit).
func (m *Machine) oopsExit(x *context) {
	m.pauseOnOops(x)
	if x.over(m) {
		return
	}
	m.sayEndTrace()
	if m.kernel.panic.dumps() {
		m.kmsgDump(DumpOops)
	}
}

// dumps reports whether a version knows kmsg_dump.
func (p *panicProfile) dumps() bool {
	for _, s := range p.steps {
		if s == panicDump {
			return true
		}
	}
	return false
}

// pauseOnOops lets the first oops be read: who comes to it next, be it the same oops at its end,
// waits for as long as pause_on_oops says (kernel/panic.c, do_oops_enter_exit).
func (m *Machine) pauseOnOops(x *context) {
	seconds := m.attrNumber(moduleOfKernel + "pause_on_oops")
	if seconds <= 0 {
		return
	}
	o := &m.oopses
	switch {
	case !o.pausing:
		o.pausing = true
		return
	case o.pausedUntil > m.now:
		// Somebody else counts.
		m.mdelay(o.pausedUntil - m.now)
		return
	}
	o.pausedUntil = m.now + time.Duration(seconds)*time.Second
	m.mdelay(time.Duration(seconds) * time.Second)
	if !x.over(m) {
		o.pausing = false
	}
}

// oopsMayPrint says whether nobody is to be left to read an oops (kernel/panic.c, oops_may_print).
func (m *Machine) oopsMayPrint() bool { return !m.oopses.pausing }

// sayEndTrace is the line by which an oops can be found again (kernel/panic.c,
// print_oops_end_marker). Since 5.18 the number is always zero.
func (m *Machine) sayEndTrace() {
	o := &m.oopses
	switch m.kernel.endTrace {
	case endTraceNone:
		return
	case endTraceZero:
	case endTraceSame, endTraceCounts:
		if o.id == 0 {
			o.id = m.randomID()
		} else if m.kernel.endTrace == endTraceCounts {
			o.id++
		}
	}
	m.printk(kernel.Warning, fmt.Sprintf("---[ end trace %016x ]---", o.id))
}

// endTrace is what kind of number an oops has.
type endTrace uint8

const (
	endTraceNone   endTrace = iota
	endTraceSame            // drawn once
	endTraceCounts          // drawn once, and one more each time
	endTraceZero
)

// randomID is drawn from the seed.
func (m *Machine) randomID() uint64 {
	if m.rng == nil {
		return 0x8e1f2d3c4b5a6978
	}
	return m.rng.Uint64() | 1
}

// attrNumber is a parameter's number, or 0.
func (m *Machine) attrNumber(path string) int64 {
	v, _ := m.attr(path)
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}

// Oops lets the process fail in the kernel, in a system call of its own. It goes on if it survives.
type Oops struct {
	How Failure
	// Locks is how many locks it holds that keep it from being preempted, and IRQsOff says
	// that it has interrupts off.
	Locks   int
	IRQsOff bool
}

func (Oops) step() {}

func (s Oops) do(m *Machine, p *process) verdict {
	x := m.here(p)
	x.preempt, x.irqsOff = s.Locks, s.IRQsOff
	s.How.fail(m, x)
	if x.over(m) {
		return gone
	}
	return done
}

// oopsCount is /sys/kernel/oops_count.
func (m *Machine) oopsCount() (string, kernel.Errno) {
	if !m.kernel.exit.limit {
		return "", kernel.ENOENT
	}
	return strconv.FormatUint(uint64(m.oopses.count), 10), 0
}

// warnCount is /sys/kernel/warn_count.
func (m *Machine) warnCount() (string, kernel.Errno) {
	if !m.kernel.warn.limit {
		return "", kernel.ENOENT
	}
	return strconv.FormatUint(uint64(m.oopses.warned), 10), 0
}

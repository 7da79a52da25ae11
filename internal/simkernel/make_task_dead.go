package simkernel

import (
	"fmt"

	"github.com/rebound-init/rebound/internal/kernel"
)

// exitProfile is what happens to a task that an oops kills, by version (kernel/exit.c).
type exitProfile struct {
	// irqs says that it is told if interrupts were off.
	irqs bool
	// limit says that there is oops_limit, and early that it is asked before whether the task
	// can be missed at all.
	limit, early bool
	// uncounted says that the kernel does not count what keeps a task from being preempted: it
	// never preempts itself (no CONFIG_PREEMPT_COUNT).
	uncounted bool
}

// The versions of what becomes of it [Kernel 3.19 to 3.22].
var (
	exit5 = exitProfile{limit: true, early: true}
	exit6 = exitProfile{limit: true, irqs: true}
)

// makeTaskDead takes the task off its CPU for good, if it can be spared (kernel/exit.c,
// make_task_dead; before 5.17 do_exit does it).
func (m *Machine) makeTaskDead(x *context, sig kernel.Signal) {
	defer m.in("make_task_dead")()
	p := &m.kernel.exit
	if p.limit && p.early && m.oopsLimit(x) {
		return
	}
	switch {
	case x.in != InTask:
		m.panic(x, "Aiee, killing interrupt handler!")
		return
	case x.who.pid == 0:
		m.panic(x, "Attempted to kill the idle task!")
		return
	}
	if x.irqsOff && p.irqs {
		m.printk(kernel.Info, fmt.Sprintf("note: %s[%d] exited with irqs disabled", x.who.comm, x.who.pid))
	}
	x.irqsOff, x.cpu.irqsOff = false, false
	t := x.who.task
	exiting := t != nil && t.is(taskExiting)
	if x.preempt > 0 && !p.uncounted && !(p.early && exiting) {
		m.printk(kernel.Info, fmt.Sprintf("note: %s[%d] exited with preempt_count %d",
			x.who.comm, x.who.pid, x.preempt))
		x.preempt = 0
	}
	if p.limit && !p.early && m.oopsLimit(x) {
		return
	}
	if exiting {
		m.printk(alert, "Fixing recursive fault but reboot is needed!")
		x.gone = true
		m.stayForEver(t)
		return
	}
	m.kill9(x, sig)
}

// oopsLimit counts the oops, and reports whether it was one too many.
func (m *Machine) oopsLimit(x *context) bool {
	limit := uint32(m.knobNumber("kernel/oops_limit"))
	m.oopses.count++
	if limit != 0 && m.oopses.count >= limit {
		m.panic(x, "Oopsed too often (kernel.oops_limit is %d)", int32(limit))
		return true
	}
	return false
}

// stayForEver leaves a task where it is: nobody waits for it, and no signal reaches it.
func (m *Machine) stayForEver(t *process) {
	t.turn++
	t.flags |= taskDying
	t.frame, t.frames = frame{}, nil
	m.setState(t, Uninterruptible)
}

// kill9 ends the task, which has done nothing to deserve it, with a signal as its exit code: that
// thread alone, and the process with it if it is the last (do_exit).
func (m *Machine) kill9(x *context, sig kernel.Signal) {
	defer func() { x.gone = true }()
	t := x.who.task
	if x.cpu.stuck == x.who {
		x.cpu.stuck = nil
	}
	if t == nil {
		return // a thread of the kernel
	}
	p, status := t.lead, kernel.WaitStatus(sig)
	if t == p && !p.has(signalGroupExit) {
		p.status = status
	}
	if t == m.init {
		m.initThreadDies(x, status)
		return
	}
	m.doExit(t)
}

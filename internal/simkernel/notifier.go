package simkernel

import (
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// NotifyResult is what a function on a notifier chain returns (include/linux/notifier.h).
type NotifyResult uint32

// The results. NotifyBad and NotifyStop end the chain, and nothing else: what is under way goes on.
const (
	NotifyDone NotifyResult = 0x0000
	NotifyOK   NotifyResult = 0x0001
	NotifyBad  NotifyResult = notifyStopMask | 0x0002
	NotifyStop NotifyResult = notifyStopMask | 0x0001

	notifyStopMask NotifyResult = 0x8000
)

// Effect is what a handler asks of the firmware.
type Effect uint8

// The effects.
const (
	Nothing   Effect = iota
	Resets           // the machine, as Firmware.OnReset says
	PowersOff        // as Firmware.OnPowerOff says
)

// Notifier is a function on a notifier chain, as data.
type Notifier struct {
	Name     string
	Priority int
	Returns  NotifyResult
	// Takes is how long it takes: kernel.Never if it hangs.
	Takes time.Duration
	// Says is what it prints, if anything, at this level.
	Says  string
	Level kernel.Level
	// Does is for the handlers that restart or power off.
	Does Effect
	// Fails is how it fails itself, if it does.
	Fails Failure
	// calls is one of the model's own, which says what it returns.
	calls func(m *Machine) NotifyResult
}

// Failure is a way in which the kernel fails, wherever it is.
type Failure interface{ fail(m *Machine, x *context) }

// PanicCall is a call of panic().
type PanicCall struct{ Text string }

func (f PanicCall) fail(m *Machine, x *context) { m.panic(x, "%s", f.Text) }

// Fail lets the kernel fail on a CPU, on behalf of whoever is there: the one who keeps the CPU, or
// the idle task.
type Fail struct {
	CPU int
	// In is what the CPU is in.
	In Interrupt
	// PID or Name is the process on whose behalf it fails, in a system call of its own.
	// Kthread is a thread of the kernel instead.
	PID     kernel.PID
	Name    string
	Kthread string
	// Locks is how many locks it holds that keep it from being preempted, and IRQsOff says
	// that it has interrupts off.
	Locks   int
	IRQsOff bool
	How     Failure
}

func (a Fail) act(m *Machine) {
	if x := a.context(m); x != nil {
		a.How.fail(m, x)
	}
}

// context is where it fails, or nil if nobody can: the CPU does nothing any more, or there is no such
// process.
func (a Fail) context(m *Machine) *context {
	if a.CPU >= len(m.cpus) || m.cpus[a.CPU].stopped || !m.cpus[a.CPU].online {
		return nil
	}
	c := &m.cpus[a.CPU]
	x := &context{cpu: c, in: a.In, preempt: a.Locks, irqsOff: a.IRQsOff, who: c.stuck}
	switch {
	case a.Kthread != "":
		t, e := m.newTask(m.root)
		if e != 0 {
			return nil
		}
		x.who = &occupant{comm: a.Kthread, pid: t.pid}
		// It is there for this only, and nobody sees it.
		m.slots[t.pid].p = nil
		m.freePID(t.pid)
	case a.PID != 0 || a.Name != "":
		t := m.find(a.PID)
		for p := m.all.first; a.PID == 0 && p != nil && t == nil; p = p.nextAll {
			if p.isNamed(a.Name) && !p.dead() {
				t = p
			}
		}
		if t == nil || t.state == Zombie {
			return nil
		}
		x.who = &occupant{comm: t.name(), pid: t.pid, task: t}
	case x.who == nil:
		x.who = m.idleTask(c.id)
	}
	return x
}

// chain is notifiers in the order in which they are called: the highest priority first, and those
// of one priority as they were registered (kernel/notifier.c, notifier_chain_register).
func chain(registered []Notifier) []Notifier {
	if len(registered) < 2 {
		return registered
	}
	sorted := slices.Clone(registered)
	slices.SortStableFunc(sorted, func(a, b Notifier) int { return b.Priority - a.Priority })
	return sorted
}

// callNext calls the next function of a chain that may sleep, and reports whether there may be more
// (kernel/notifier.c, notifier_call_chain).
func (m *Machine) callNext(w *wayDown, name string) bool {
	if w.i >= len(w.chain) {
		return false
	}
	n := &w.chain[w.i]
	w.i++
	m.called(name, n)
	w.until = m.later(n.Takes)
	returns := n.Returns
	if n.calls != nil {
		returns = n.calls(m)
	}
	if returns&notifyStopMask != 0 {
		w.i = len(w.chain)
	}
	return true
}

// callAtomic calls a chain that may not sleep: nobody else runs meanwhile. It comes back if nothing
// of that has ended the machine.
func (m *Machine) callAtomic(name string, c []Notifier) {
	for i := range c {
		n := &c[i]
		m.called(name, n)
		m.spend(n.Takes)
		m.effect(n.Does)
		if m.ended || n.Returns&notifyStopMask != 0 {
			return
		}
	}
}

// called tells that a notifier is called.
func (m *Machine) called(chain string, n *Notifier) {
	m.trace(chain, n.Name)
	if n.Says == "" {
		return
	}
	for line := range strings.SplitSeq(n.Says, "\n") {
		m.printk(n.Level, line)
	}
}

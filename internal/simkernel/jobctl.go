package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// doSignalStop stops a thread, and the others of its process as soon as each of them can be. The
// last one tells the parent (kernel/signal.c, do_signal_stop). sig is 0 if another thread has begun.
func (m *Machine) doSignalStop(t *process, sig kernel.Signal) {
	p := t.lead
	others := p.rare != nil && len(p.rare.threads) > 0
	if sig != 0 {
		if !p.has(signalStopped) {
			p.stopCode = uint8(sig)
		}
		if others {
			p.rare.stops = 1
			m.eachThread(p, func(o *process) {
				if o != t && o.state != Stopped && !o.is(taskExiting) {
					p.rare.stops++
					o.flags |= taskStopPending
					m.signalWake(o, false)
				}
			})
		}
	}
	t.turn++
	t.flags &^= taskStopPending
	m.setState(t, Stopped)
	if others {
		p.rare.stops--
		if p.rare.stops > 0 {
			return
		}
	}
	m.setStopped(p, true)
	p.signal &^= signalContinued
	m.notifyCldstop(p)
}

// setStopped says that all threads of a process are stopped, or no longer.
func (m *Machine) setStopped(p *process, on bool) {
	if p.has(signalStopped) != on {
		p.signal.set(signalStopped, on)
		if on {
			p.group.stopped++
		} else {
			p.group.stopped--
		}
	}
}

// cont is what SIGCONT does as it is sent: the stopped threads go on, and the first of them that
// runs tells the parent (kernel/signal.c, prepare_signal).
func (m *Machine) cont(p *process) {
	stopping := p.rare != nil && p.rare.stops > 0
	m.eachThread(p, func(t *process) {
		t.flags &^= taskStopPending
		if t.state == Stopped {
			m.setState(t, Sleeping)
			if t != m.init {
				m.wake(t)
			}
		}
	})
	switch {
	case p.has(signalStopped):
		m.setStopped(p, false)
		p.signal |= signalContinued | signalCldContinued
	case stopping:
		p.signal |= signalContinued | signalCldStopped
		p.rare.stops = 0
	default:
		return
	}
	p.stopCode = 0
	m.toBeTold(p)
}

// tellOfStop tells the parent what cont has left to be told (kernel/signal.c, get_signal).
func (m *Machine) tellOfStop(p *process) {
	if p.signal&(signalCldStopped|signalCldContinued) != 0 {
		p.signal &^= signalCldStopped | signalCldContinued
		m.notifyCldstop(p)
	}
}

// toBeTold lets a wait of the parent find a child that has stopped or goes on.
func (m *Machine) toBeTold(p *process) {
	if p.parent != nil && p.heapAt < 0 {
		p.parent.more().changed.push(p)
	}
}

// notifyCldstop tells a parent that a child has stopped or gone on (kernel/signal.c,
// do_notify_parent_cldstop).
func (m *Machine) notifyCldstop(p *process) {
	parent := p.parent
	if parent == nil {
		return
	}
	m.toBeTold(p)
	if !parent.ignored.has(syscall.SIGCHLD) && !parent.has(signalNoCldStop) {
		m.send(parent, syscall.SIGCHLD, false)
	}
	m.wakeParent(parent)
}

// do is sigaction(2) of SIGCHLD with flags only.
func (s ChildSignals) do(m *Machine, p *process) verdict {
	p.lead.signal.set(signalNoCldStop, s.NoStop)
	p.lead.signal.set(signalNoCldWait, s.NoWait)
	return done
}

package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// runQueue holds the processes that can run, in the order in which they became able to.
type runQueue struct {
	q    []*process
	head int
}

func (r *runQueue) len() int { return len(r.q) - r.head }

func (r *runQueue) push(p *process) { r.q = append(r.q, p) }

func (r *runQueue) pop() *process {
	p := r.q[r.head]
	r.q[r.head] = nil
	r.head++
	switch {
	case r.head == len(r.q):
		r.q, r.head = r.q[:0], 0
	case r.head >= 1024 && 2*r.head >= len(r.q):
		// It may never be empty, and must not grow for that.
		n := copy(r.q, r.q[r.head:])
		clear(r.q[n:])
		r.q, r.head = r.q[:n], 0
	}
	return p
}

// wake makes p able to run. Whatever it waited for, it no longer does.
func (m *Machine) wake(p *process) {
	if p.is(taskQueued|taskDying) || p == m.current || p.state == Zombie || p.state == Stopped {
		return
	}
	p.turn++
	p.flags |= taskQueued
	m.setState(p, Running)
	m.runq.push(p)
}

// schedule lets the next process run.
func (m *Machine) schedule() {
	if n := m.runq.len(); m.rng != nil && n > 1 {
		i := m.runq.head + m.rng.IntN(n)
		q := m.runq.q
		q[m.runq.head], q[i] = q[i], q[m.runq.head]
	}
	p := m.runq.pop()
	p.flags &^= taskQueued
	if p.state != Zombie {
		m.run(p)
	}
}

// Next waits.
//
// PID 1 is one process among those that can run, and takes its turn after those that could run
// before it: when it has killed a thousand, it wakes up to one SIGCHLD and not to a thousand.
// With a seed it may be quicker, as it would be on a second CPU.
func (k *pid1Calls) Next(deadline time.Duration) kernel.Event {
	k.enter(callNext)
	m := k.m
	for {
		k.check()
		if m.noCPU() {
			continue
		}
		if m.runq.len() == 0 || m.chance(4) {
			if ev := m.concern(); ev != nil {
				return ev
			}
		}
		if m.runq.len() > 0 {
			m.schedule()
			continue
		}
		next, more := m.peek()
		if m.init.state == Stopped {
			// Nothing but SIGCONT gets it on (signal(7)), no deadline either.
			m.advance(next, more, "stopped, and nobody sends SIGCONT")
			continue
		}
		if more && (next <= deadline || next <= m.now) {
			m.advance(next, more, "")
			continue
		}
		if deadline == kernel.Never {
			m.advance(next, more, "waiting for an event, and none can come")
			continue
		}
		if deadline > m.cfg.Until {
			m.outOfTime()
			continue
		}
		m.moveTo(deadline)
		return kernel.Expired{}
	}
}

// concern returns what PID 1 is to be told, or nil.
func (m *Machine) concern() kernel.Event {
	if m.init.state == Stopped {
		return nil
	}
	if s := m.init.pending; s != 0 {
		sig := s.lowest()
		m.init.pending.remove(sig)
		return kernel.Signaled{Signal: sig}
	}
	if r, ok := m.takeReady(); ok {
		return r
	}
	return nil
}

// advance goes on to the next event; if there is none PID 1 is stuck.
func (m *Machine) advance(next time.Duration, more bool, stuck string) {
	switch {
	case !more:
		m.finish(End{How: Stuck, Text: stuck})
	case next > m.cfg.Until:
		m.outOfTime()
	default:
		m.fire()
	}
}

func (m *Machine) outOfTime() {
	m.moveTo(m.cfg.Until)
	m.finish(End{How: TimedOut, Text: "still running after " + m.cfg.Until.String()})
}

// Blocked is a time that PID 1 spent in a call other than Next.
type Blocked struct {
	Call string
	At   time.Duration
	For  time.Duration
}

// Blocked returns the calls other than Next in which PID 1 waited: there should be none but Exec
// and RebootSelf.
func (m *Machine) Blocked() []Blocked { return m.waits }

// block lets the machine go on while PID 1 waits in a call that is not Next, until it can go on.
// It takes no signals there: they interrupt nothing, for Go installs all handlers with SA_RESTART.
func (k *pid1Calls) block(name string, until func() bool) {
	m := k.m
	since := m.now
	for !until() {
		if m.noCPU() {
			k.check()
			continue
		}
		if m.runq.len() > 0 {
			m.schedule()
		} else {
			next, more := m.peek()
			m.advance(next, more, "waiting in "+name+" for ever")
		}
		k.check()
	}
	if m.now > since {
		m.waits = append(m.waits, Blocked{name, since, m.now - since})
	}
}

// blockFor is block for a time; for ever if it is kernel.Never.
func (k *pid1Calls) blockFor(name string, d time.Duration) {
	if d == 0 {
		return
	}
	m := k.m
	t := m.later(d)
	if t != kernel.Never {
		m.post(t, tick{})
	}
	k.block(name, func() bool { return m.now >= t })
}

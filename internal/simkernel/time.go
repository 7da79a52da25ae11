package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// event is something that will happen: a process wakes up, or an action is carried out.
//
// A process that no longer waits for its event has another turn number by then. Forgetting an
// event so is cheaper than finding it in the heap.
type event struct {
	at   time.Duration
	seq  uint64
	p    *process // nil: an action
	turn uint32   // of p
	act  int32    // an index of Machine.actions
}

// eventHeap is a binary heap. The standard one would box every event.
type eventHeap []event

func (h eventHeap) less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

func (h *eventHeap) pop() event {
	s := *h
	e := s[0]
	n := len(s) - 1
	s[0] = s[n]
	s[n] = event{}
	s = s[:n]
	*h = s
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if s.less(c, least) {
				least = c
			}
		}
		if least == i {
			return e
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// at schedules p's waking.
func (m *Machine) at(t time.Duration, p *process) {
	m.seq++
	m.events.push(event{at: t, seq: m.seq, p: p, turn: p.turn})
}

// peek returns the instant of the next event. If no CPU can run anybody only those count that need
// none.
func (m *Machine) peek() (time.Duration, bool) {
	at, ok := m.peekEvent()
	if i := m.nextHardware(); i >= 0 && (!ok || m.hardware[i].at < at) {
		at, ok = max(m.hardware[i].at, m.now), true
	}
	if m.nextHung(at, ok) {
		return m.hungAt, true
	}
	return at, ok
}

// peekEvent drops the events that nobody waits for, and returns the instant of the next.
func (m *Machine) peekEvent() (time.Duration, bool) {
	for len(m.events) > 0 {
		e := &m.events[0]
		if e.p == nil || e.turn == e.p.turn && e.p.state != Zombie {
			return e.at, true
		}
		m.events.pop()
	}
	return 0, false
}

// fire carries the next event out, after peek has said that there is one.
func (m *Machine) fire() {
	at, ok := m.peekEvent()
	if i := m.nextHardware(); i >= 0 && (!ok || m.hardware[i].at < at) {
		if !m.nextHung(m.hardware[i].at, true) {
			m.fireHardware(i)
			return
		}
		ok = false
	}
	if m.nextHung(at, ok) {
		m.moveTo(m.hungAt)
		m.toil()
		m.checkHung()
		return
	}
	e := m.events.pop()
	m.moveTo(e.at)
	m.toil()
	if m.ended {
		return
	}
	if e.p != nil {
		m.wake(e.p)
		return
	}
	s := m.actions[e.act]
	m.actions[e.act] = scheduled{}
	s.action.act(m)
}

// moveTo moves the clock, never back.
func (m *Machine) moveTo(t time.Duration) {
	if t > m.now {
		m.now, m.work, m.most = t, 0, m.tasks
	}
}

// vary makes a time longer or shorter if there is a seed.
func (m *Machine) vary(d time.Duration) time.Duration {
	if m.rng == nil || d <= 0 || d > kernel.Never/2 {
		return d
	}
	return d/2 + time.Duration(m.rng.Int64N(int64(d)+int64(d)/2+1))
}

// chance is true once in n times if there is a seed, else never.
func (m *Machine) chance(n int) bool { return m.rng != nil && m.rng.IntN(n) == 0 }

// Now is the time since boot.
func (m *Machine) Now() time.Duration { return m.now }

func (k *pid1Calls) Now() time.Duration {
	k.enter(callNow)
	return k.m.now
}

func (k *pid1Calls) Wall() time.Time {
	k.enter(callWall)
	return k.m.cfg.Epoch.Add(k.m.now + k.m.wallJump)
}

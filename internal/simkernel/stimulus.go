package simkernel

import (
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Action is something that happens to the machine from outside.
type Action interface{ act(m *Machine) }

// scheduled is an action and when it was asked for.
type scheduled struct {
	action Action
	// outside says that it needs nobody in the machine to happen.
	outside bool
}

// At lets actions happen at a time since boot, or at once if that has passed. Those of one call
// happen together: nobody runs in between.
func (m *Machine) At(t time.Duration, actions ...Action) {
	m.post(max(t, m.now), both(actions))
	m.actions[len(m.actions)-1].outside = true
}

// Apply lets actions happen now.
func (m *Machine) Apply(actions ...Action) { both(actions).act(m) }

// When lets actions happen when a line first stands on a terminal, whichever that is: complete, or
// so far as it has been written. Carriage returns do not count, nor do blanks that follow it.
func (m *Machine) When(line string, actions ...Action) { m.WhenAfter(line, 0, actions...) }

// WhenAfter is When with a delay.
func (m *Machine) WhenAfter(line string, d time.Duration, actions ...Action) {
	if m.whens == nil {
		m.whens = make(map[string][]*whenLine)
	}
	m.whens[line] = append(m.whens[line], &whenLine{d, both(actions)})
}

// whenLine waits for a line.
type whenLine struct {
	delay  time.Duration
	action Action
}

// appeared starts what waits for a line. The actions follow as events: a line is written in the
// middle of a call.
func (m *Machine) appeared(line string) {
	m.starts(line)
	if bare := strings.TrimRight(line, " \t"); bare != line {
		m.starts(bare)
	}
}

func (m *Machine) starts(line string) {
	for _, w := range m.whens[line] {
		m.post(m.now+w.delay, w.action)
	}
	delete(m.whens, line)
}

func (m *Machine) post(t time.Duration, a Action) {
	m.actions = append(m.actions, scheduled{action: a})
	m.seq++
	m.events.push(event{at: t, seq: m.seq, act: int32(len(m.actions) - 1)})
}

// both are actions that happen together.
type both []Action

func (b both) act(m *Machine) {
	for _, a := range b {
		a.act(m)
	}
}

// tick does nothing, but is an event.
type tick struct{}

func (tick) act(*Machine) {}

// Signal sends signals: to the processes of a name, or to the process with a number, or else to
// PID 1. Several to one process are all pending before it takes the first.
type Signal struct {
	Signals []kernel.Signal
	Name    string
	PID     kernel.PID
	// Ancestor says that the sender is outside PID 1's namespace: then SIGKILL and SIGSTOP
	// do reach it.
	Ancestor bool
}

// Signals is a Signal to PID 1.
func Signals(sigs ...kernel.Signal) Signal { return Signal{Signals: sigs} }

func (a Signal) act(m *Machine) {
	for _, sig := range a.Signals {
		switch {
		case a.Name != "":
			m.sendNamed(a.Name, sig)
		case a.PID != 0:
			m.kill(nil, a.PID, sig, a.Ancestor)
		default:
			m.send(m.init, sig, a.Ancestor)
		}
	}
}

// Thaw wakes the threads that hang in D of the processes of a name, however long they would have
// hung.
type Thaw struct{ Name string }

func (a Thaw) act(m *Machine) {
	for p := m.all.first; p != nil; p = p.nextAll {
		if !p.isNamed(a.Name) {
			continue
		}
		m.eachThread(p, func(t *process) {
			if t.state == Uninterruptible {
				t.frame.until = m.now
				m.wake(t)
			}
		})
	}
}

// Flood is a kernel that has much to say: Lines lines of its own, one each time that Every has
// passed.
type Flood struct {
	Lines int
	Every time.Duration
	Level kernel.Level
	Text  string
}

func (a Flood) act(m *Machine) {
	if a.Lines == 0 {
		return
	}
	m.printk(a.Level, a.Text)
	a.Lines--
	m.post(m.now+a.Every, a)
}

// JumpWall moves the time of day.
type JumpWall struct{ By time.Duration }

func (a JumpWall) act(m *Machine) { m.wallJump += a.By }

// Do is anything else.
type Do func(m *Machine)

func (a Do) act(m *Machine) { a(m) }

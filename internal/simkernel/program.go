package simkernel

import (
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Program is an executable file. A program without steps exits with status 0 at once.
type Program struct {
	// Steps are what it does, one after the other. At their end it exits with status 0.
	Steps []Step
	// Main, if set, says what it does from its arguments, argv[0] included.
	Main func(argv []string) []Step
	// Load is how long it takes to load: Config.ExecTime if zero. kernel.Never is a disk
	// that does not answer: the process stays in D.
	Load time.Duration
	// NotExecutable is a file without the permission: EACCES.
	NotExecutable bool
	// Setuid lets it run as Owner, whoever executes it.
	Setuid bool
	Owner  int
	// Text is an executable text without "#!": it needs /bin/sh.
	Text bool
	// Shell makes it a shell of few words. With -c "exec NAME WORD..." it becomes the
	// program NAME; there are no shell characters. Without arguments it reads lines from its
	// terminal and runs each as a program, waits for it, and ends with "exit" or at the end
	// of file.
	Shell bool
}

// Step is something that a simulated process does.
type Step interface {
	step()
	// do does it, or begins to.
	do(m *Machine, p *process) verdict
}

// verdict is how the process goes on after a step.
type verdict uint8

const (
	done   verdict = iota // the next step
	again                 // the same step, when the process is woken; Spin is only by a signal
	jumped                // whatever the frame says now
	gone                  // no more: the process has ended or stopped
)

// The steps of programs.
type (
	// Say writes a line to standard output, and waits if the terminal does not take it.
	Say struct{ Text string }
	// Sleep sleeps.
	Sleep struct{ For time.Duration }
	// Exit ends the process with a status.
	Exit struct{ Status int }
	// Pause sleeps for ever.
	Pause struct{}
	// Spin computes for ever, in state R.
	Spin struct{}
	// Hang sleeps in D, where no signal reaches it: for ever if For is 0. A Killable one
	// can still be killed (TASK_KILLABLE).
	Hang struct {
		For      time.Duration
		Killable bool
	}
	// Ignore ignores a signal; Default takes that or a handler back.
	Ignore  struct{ Signal kernel.Signal }
	Default struct{ Signal kernel.Signal }
	// Block and Unblock block a signal and let it through.
	Block   struct{ Signal kernel.Signal }
	Unblock struct{ Signal kernel.Signal }
	// Catch installs a handler. The signal is blocked while it runs. Afterwards what was
	// interrupted goes on, until when it would have ended anyway.
	Catch struct {
		Signal kernel.Signal
		Do     []Step
	}
	// Fork makes Times children, one if 0, that do Do and exit. It waits for none of them.
	// Where fork fails it stops trying.
	Fork struct {
		Times int
		Do    []Step
	}
	// Run is Fork with one child that executes a program, and Wait for it.
	Run struct{ Argv []string }
	// Exec executes a program in the same process; exits with 127 if there is none.
	// Argv[0] is its path.
	Exec struct{ Argv []string }
	// Wait waits until there are no more children.
	Wait struct{}
	// Loop repeats steps, for ever if Times is 0. Then a turn takes a millisecond at least.
	Loop struct {
		Times int
		Do    []Step
	}
	// Stop stops the process (SIGSTOP to itself).
	Stop struct{}
	// Kill is kill(2). PID 0 is the own group, -1 everybody. With a Name it goes to the
	// processes of that name instead.
	Kill struct {
		PID    kernel.PID
		Name   string
		Signal kernel.Signal
	}
	// Raise sends the thread itself a signal.
	Raise struct{ Signal kernel.Signal }
	// Setsid makes a session of its own, if the process leads no group.
	Setsid struct{}
	// Setpgid makes a group of its own, as a shell with job control does for its jobs. With
	// numbers it is setpgid(2).
	Setpgid struct{ PID, Group kernel.PID }
	// Subreaper makes the process adopt its orphaned descendants, or no longer
	// (PR_SET_CHILD_SUBREAPER).
	Subreaper struct{ Off bool }
	// DeathSignal asks for a signal when the parent ends (PR_SET_PDEATHSIG).
	DeathSignal struct{ Signal kernel.Signal }
	// ChildSignals are the flags of SIGCHLD's action: no signal when a child stops
	// (SA_NOCLDSTOP), no zombie when it ends (SA_NOCLDWAIT).
	ChildSignals struct{ NoStop, NoWait bool }
	// Clone is Fork with more to say. A NewPID child is the init of a PID namespace of its
	// own. With VFork the process waits, in killable D, until the child executes or ends.
	// ExitSignal is what it is sent at the child's end: SIGCHLD if 0.
	Clone struct {
		NewPID, VFork bool
		ExitSignal    kernel.Signal
		Do            []Step
	}
	// WaitFor is waitid(2): for any child if PID is 0; with Group for one of the group PID, or of
	// the own one. Without options it waits for one that ends.
	WaitFor struct {
		PID     kernel.PID
		Group   bool
		Options WaitOptions
	}
	// StartThread starts a thread of the same process. Signal handlers are the process's,
	// what is blocked is the thread's. At the end of its steps the thread ends.
	StartThread struct{ Do []Step }
	// ThreadExit ends the thread, and the process if it is the last one.
	ThreadExit struct{}
	// Fault is an error of the program such as a bad address: a signal that neither
	// blocking nor ignoring helps against.
	Fault struct{ Signal kernel.Signal }
	// ReadLine reads a line from standard input and throws it away. At the end of file the
	// process exits with status 0, as a shell does.
	ReadLine struct{}
	// Reboot is reboot(2). The process exits with the errno if it fails. It goes on if the
	// kernel cannot restart, and exits with 0 if it cannot halt or power off.
	Reboot struct {
		Cmd kernel.RebootCmd
		Arg string
		// BadArg is a pointer to nowhere instead of Arg.
		BadArg bool
		// Magic1 and Magic2 are the right ones if 0.
		Magic1, Magic2 uint32
	}
)

func (Watch) step()        {}
func (Say) step()          {}
func (Sleep) step()        {}
func (Exit) step()         {}
func (Pause) step()        {}
func (Spin) step()         {}
func (Hang) step()         {}
func (Ignore) step()       {}
func (Default) step()      {}
func (Block) step()        {}
func (Unblock) step()      {}
func (Catch) step()        {}
func (Fork) step()         {}
func (Run) step()          {}
func (Exec) step()         {}
func (Wait) step()         {}
func (Loop) step()         {}
func (Stop) step()         {}
func (Kill) step()         {}
func (Raise) step()        {}
func (Setsid) step()       {}
func (Setpgid) step()      {}
func (Subreaper) step()    {}
func (DeathSignal) step()  {}
func (ChildSignals) step() {}
func (Clone) step()        {}
func (WaitFor) step()      {}
func (StartThread) step()  {}
func (ThreadExit) step()   {}
func (Fault) step()        {}
func (ReadLine) step()     {}
func (Reboot) step()       {}
func (WriteFile) step()    {}

// run lets p go on until it waits or ends.
func (m *Machine) run(p *process) {
	m.current = p
	p.flags &^= taskKillable
	m.setState(p, Running)
	for m.runStep(p) {
	}
	m.current = nil
}

// runStep does one thing, and reports whether p can go on at once.
func (m *Machine) runStep(p *process) bool {
	m.toil()
	if m.ended || !m.deliver(p) {
		return false
	}
	s := p.step()
	if s == nil {
		return m.endOfSteps(p)
	}
	switch s.do(m, p) {
	case done:
		p.frame.next()
	case jumped:
	case again, gone:
		return false
	}
	return true
}

// waits reports whether p is in a step that a child's death may end.
func (p *process) waits() bool {
	switch p.step().(type) {
	case Wait, WaitFor, Run, shellStep, zapStep:
		return true
	}
	return false
}

// endOfSteps goes on after a list of steps: with the next turn of a loop, with what a handler
// interrupted, or not at all.
func (m *Machine) endOfSteps(p *process) bool {
	f := &p.frame
	if f.loop {
		if f.left == 0 && m.now == f.began {
			// An endless loop must not stand still in time.
			const turn = time.Millisecond
			m.sleepUntil(p, m.now+turn, Sleeping)
			f.began-- // so that the next time is another one
			return false
		}
		if f.left != 1 {
			if f.left > 1 {
				f.left--
			}
			f.pc, f.began = 0, m.now
			return true
		}
	}
	if len(p.frames) == 0 {
		m.exit(p, 0)
		return false
	}
	if f.handler {
		p.blocked = f.mask
	}
	n := len(p.frames) - 1
	loop := f.loop
	p.frame = p.frames[n]
	p.frames = p.frames[:n]
	if loop {
		p.frame.next()
	}
	return true
}

// sleepUntil makes p wait for an instant, in state S or D.
func (m *Machine) sleepUntil(p *process, t time.Duration, s State) {
	m.setState(p, s)
	if t != kernel.Never {
		m.at(t, p)
	}
}

// later is the end of a wait of d from now, with what chance adds to it.
func (m *Machine) later(d time.Duration) time.Duration {
	if d >= kernel.Never-m.now {
		return kernel.Never
	}
	return m.now + m.vary(d)
}

// sleepFor is a step that takes d in state s.
func (m *Machine) sleepFor(p *process, d time.Duration, s State) verdict {
	f := &p.frame
	if !f.begun {
		f.begun, f.until = true, m.later(d)
	}
	if m.now >= f.until {
		return done
	}
	m.sleepUntil(p, f.until, s)
	return again
}

// do sleeps; with a seed somewhat longer, but never less, than was asked for (nanosleep(2)).
func (s Sleep) do(m *Machine, p *process) verdict {
	f := &p.frame
	if !f.begun && m.rng != nil && s.For > 0 && s.For < kernel.Never/2 {
		f.begun, f.until = true, m.now+s.For+time.Duration(m.rng.Int64N(int64(s.For)/8+1))
	}
	return m.sleepFor(p, s.For, Sleeping)
}

func (Pause) do(m *Machine, p *process) verdict { return m.sleepFor(p, kernel.Never, Sleeping) }
func (Spin) do(m *Machine, p *process) verdict  { return again }

func (s Hang) do(m *Machine, p *process) verdict {
	d := s.For
	if d == 0 {
		d = kernel.Never
	}
	p.flags.set(taskKillable, s.Killable)
	return m.sleepFor(p, d, Uninterruptible)
}

func (s Exit) do(m *Machine, p *process) verdict {
	m.exit(p, kernel.WaitStatus(s.Status&0xff)<<8)
	return gone
}

func (s Ignore) do(m *Machine, p *process) verdict {
	p.setAction(s.Signal, true, nil)
	return done
}

func (s Default) do(m *Machine, p *process) verdict {
	p.setAction(s.Signal, false, nil)
	return done
}

func (s Catch) do(m *Machine, p *process) verdict {
	steps := s.Do
	if steps == nil {
		steps = []Step{}
	}
	p.setAction(s.Signal, false, steps)
	return done
}

func (s Block) do(m *Machine, p *process) verdict {
	p.blocked |= setOf(s.Signal) &^ unstoppable
	return done
}

func (s Unblock) do(m *Machine, p *process) verdict {
	p.blocked.remove(s.Signal)
	return done
}

func (s Fork) do(m *Machine, p *process) verdict {
	for range max(s.Times, 1) {
		c, e := m.fork(p)
		if e != 0 {
			break
		}
		c.frame = frame{steps: s.Do}
		m.wake(c)
	}
	return done
}

func (s Clone) do(m *Machine, p *process) verdict {
	f := &p.frame
	if f.begun {
		if p.is(taskVforking) {
			m.waitVfork(p)
			return again
		}
		return done
	}
	sig := s.ExitSignal
	if sig == 0 {
		sig = syscall.SIGCHLD
	}
	c, e := m.clone(p, cloneArgs{newPID: s.NewPID, exitSignal: sig})
	if e != 0 {
		return done
	}
	c.frame = frame{steps: s.Do}
	m.wake(c)
	if !s.VFork {
		return done
	}
	f.begun = true
	c.more().vfork = p
	m.waitVfork(p)
	return again
}

func (s Run) do(m *Machine, p *process) verdict {
	if !p.frame.begun {
		c, e := m.fork(p)
		if e != 0 {
			return done
		}
		p.frame.begun = true
		c.frame = frame{steps: []Step{Exec(s)}}
		m.wake(c)
	}
	return m.waitAll(p)
}

func (s Exec) do(m *Machine, p *process) verdict {
	img, e := m.execvp(pathSearch(s.Argv[0], nil), s.Argv, p.lead.environ())
	if e != 0 {
		m.exit(p, 127<<8)
		return gone
	}
	m.load(p, img)
	return jumped
}

func (Wait) do(m *Machine, p *process) verdict { return m.waitAll(p) }

func (s Loop) do(m *Machine, p *process) verdict {
	p.frames = append(p.frames, p.frame)
	p.frame = frame{steps: s.Do, loop: true, left: int32(s.Times), began: m.now}
	return jumped
}

func (Stop) do(m *Machine, p *process) verdict { return Raise{syscall.SIGSTOP}.do(m, p) }

func (s Kill) do(m *Machine, p *process) verdict {
	// The step is over before a signal to the process itself is delivered.
	p.frame.next()
	if s.Name == "" {
		m.kill(p, s.PID, s.Signal, false)
		return jumped
	}
	m.sendNamed(s.Name, s.Signal)
	return jumped
}

func (s Raise) do(m *Machine, p *process) verdict {
	p.frame.next()
	m.sendSignal(p, s.Signal, false, false)
	return jumped
}

func (s Fault) do(m *Machine, p *process) verdict {
	p.frame.next()
	m.forceSig(p, s.Signal)
	return jumped
}

// sendNamed sends a signal to all processes of a name.
func (m *Machine) sendNamed(name string, sig kernel.Signal) {
	m.signalled(m.all.n)
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && p.isNamed(name) {
			m.send(p, sig, false)
		}
	}
}

func (s WriteFile) do(m *Machine, p *process) verdict {
	return p.result(m.replace(s.Path, s.Text))
}

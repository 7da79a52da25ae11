package simkernel

import (
	"math/bits"
	"slices"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sigset is a set of signals: bit n-1 is signal n.
type sigset uint64

const everySignal = ^sigset(0)

func setOf(sigs ...kernel.Signal) sigset {
	var s sigset
	for _, sig := range sigs {
		s |= 1 << (sig - 1)
	}
	return s
}

func (s sigset) has(sig kernel.Signal) bool { return s&(1<<(sig-1)) != 0 }
func (s *sigset) add(sig kernel.Signal)     { *s |= 1 << (sig - 1) }
func (s *sigset) remove(sig kernel.Signal)  { *s &^= 1 << (sig - 1) }

func (s sigset) lowest() kernel.Signal {
	return kernel.Signal(bits.TrailingZeros64(uint64(s)) + 1)
}

func (s sigset) signals() []kernel.Signal {
	var sigs []kernel.Signal
	for s != 0 {
		sig := s.lowest()
		s.remove(sig)
		sigs = append(sigs, sig)
	}
	return sigs
}

// What a signal does by default (signal(7)). What is in none of these sets ends the process.
const (
	stopping = 1<<(syscall.SIGSTOP-1) | 1<<(syscall.SIGTSTP-1) |
		1<<(syscall.SIGTTIN-1) | 1<<(syscall.SIGTTOU-1)
	harmless = 1<<(syscall.SIGCHLD-1) | 1<<(syscall.SIGCONT-1) |
		1<<(syscall.SIGURG-1) | 1<<(syscall.SIGWINCH-1)
	dumping = 1<<(syscall.SIGQUIT-1) | 1<<(syscall.SIGILL-1) | 1<<(syscall.SIGTRAP-1) |
		1<<(syscall.SIGABRT-1) | 1<<(syscall.SIGBUS-1) | 1<<(syscall.SIGFPE-1) |
		1<<(syscall.SIGSEGV-1) | 1<<(syscall.SIGXCPU-1) | 1<<(syscall.SIGXFSZ-1) |
		1<<(syscall.SIGSYS-1)
	// unstoppable can be neither caught, blocked nor ignored.
	unstoppable = 1<<(syscall.SIGKILL-1) | 1<<(syscall.SIGSTOP-1)
)

const lastSignal = 64

// handler is what a process does when a signal comes.
type handler struct {
	sig   kernel.Signal
	steps []Step
}

func (p *process) handler(sig kernel.Signal) *handler {
	for i := range p.handlers {
		if p.handlers[i].sig == sig {
			return &p.handlers[i]
		}
	}
	return nil
}

// setAction makes p ignore a signal, or catch it if there are steps, or neither.
func (p *process) setAction(sig kernel.Signal, ignore bool, steps []Step) {
	if setOf(sig)&unstoppable != 0 {
		return
	}
	p.handlers = slices.DeleteFunc(p.handlers, func(h handler) bool { return h.sig == sig })
	p.ignored.remove(sig)
	if ignore {
		p.ignored.add(sig)
		p.pending.remove(sig)
	} else if steps != nil {
		p.handlers = append(p.handlers, handler{sig, steps})
	}
}

// discards reports whether a signal is thrown away as it is sent (kernel/signal.c, sig_ignored).
// A blocked one never is: it may have a handler by the time it is let through.
func (p *process) discards(sig kernel.Signal) bool {
	if p.blocked.has(sig) {
		return false
	}
	if p.ignored.has(sig) {
		return true
	}
	return setOf(sig)&harmless != 0 && p.handler(sig) == nil
}

// send sends a signal to a process (kernel/signal.c, send_signal_locked). An ancestor is outside
// PID 1's namespace.
func (m *Machine) send(p *process, sig kernel.Signal, ancestor bool) {
	if sig == 0 || p.state == Zombie || p.kthread {
		return
	}
	if p == m.init {
		m.sendInit(sig, ancestor)
		return
	}
	// prepare_signal: stopping and going on cancel each other at once, whatever becomes of
	// the signal.
	if setOf(sig)&stopping != 0 {
		p.pending.remove(syscall.SIGCONT)
	} else if sig == syscall.SIGCONT {
		p.pending &^= stopping
		m.cont(p)
	}
	if p.discards(sig) {
		return
	}
	p.pending.add(sig)
	if p.blocked.has(sig) {
		return
	}
	switch p.state {
	case Running:
		m.wake(p) // if it only spins
	case Sleeping:
		m.wake(p)
	case Uninterruptible:
		if p.killable && m.fatal(p, sig) {
			m.wake(p)
		}
	case Stopped:
		// Only SIGKILL is acted on before SIGCONT.
		if sig == syscall.SIGKILL {
			m.setState(p, Sleeping)
			m.wake(p)
		}
	case Zombie, stateCount:
	}
}

// fatal reports whether a signal will end p (kernel/signal.c, sig_fatal).
func (m *Machine) fatal(p *process, sig kernel.Signal) bool {
	return sig == syscall.SIGKILL ||
		setOf(sig)&(stopping|harmless) == 0 && !p.ignored.has(sig) && p.handler(sig) == nil
}

// sendInit sends a signal to PID 1. SIGNAL_UNKILLABLE spares it SIGKILL and SIGSTOP, unless in a
// namespace an ancestor sends them (kernel/signal.c, sig_task_ignored). It has a handler for all
// others.
func (m *Machine) sendInit(sig kernel.Signal, ancestor bool) {
	p := m.init
	switch {
	case setOf(sig)&unstoppable != 0 && !(m.cfg.Namespace && ancestor):
		return
	case sig == syscall.SIGKILL:
		m.finish(End{How: Exited, Status: kernel.WaitStatus(syscall.SIGKILL)})
		return
	case sig == syscall.SIGSTOP:
		p.pending.remove(syscall.SIGCONT)
		m.setState(p, Stopped)
		return
	}
	if setOf(sig)&stopping != 0 {
		p.pending.remove(syscall.SIGCONT)
	}
	if sig == syscall.SIGCONT {
		p.pending &^= stopping
		if p.state == Stopped {
			m.setState(p, Sleeping)
		}
	}
	p.pending.add(sig)
}

// stop stops p and tells its parent.
func (m *Machine) stop(p *process) {
	p.turn++
	m.setState(p, Stopped)
	m.notify(p.parent)
}

// cont lets a stopped process go on and tells its parent (kernel/signal.c, prepare_signal).
func (m *Machine) cont(p *process) {
	if p.state != Stopped {
		return
	}
	m.setState(p, Sleeping)
	m.wake(p)
	m.notify(p.parent)
}

// notify sends SIGCHLD to a parent.
func (m *Machine) notify(parent *process) {
	if parent == nil {
		return
	}
	m.send(parent, syscall.SIGCHLD, false)
	if parent != m.init && parent.state == Sleeping && parent.waits() {
		m.wake(parent)
	}
}

// deliver acts on the pending signals of a process that is about to run (kernel/signal.c,
// get_signal). It returns false if the process does not run on.
func (m *Machine) deliver(p *process) bool {
	for {
		due := p.pending &^ p.blocked
		if due == 0 {
			return true
		}
		sig := due.lowest()
		if due.has(syscall.SIGKILL) {
			sig = syscall.SIGKILL
		}
		p.pending.remove(sig)
		if h := p.handler(sig); h != nil {
			p.frames = append(p.frames, p.frame)
			p.frame = frame{steps: h.steps, handler: true, mask: p.blocked}
			p.blocked.add(sig)
			continue
		}
		bit := setOf(sig)
		switch {
		case p.ignored.has(sig) || bit&harmless != 0:
		case bit&stopping != 0:
			// A stop from the terminal is for shells with job control, and a group whose
			// parents are all in other sessions has none (setpgid(2), "orphaned").
			if sig != syscall.SIGSTOP && orphaned(p.group, nil) {
				continue
			}
			m.stop(p)
			return false
		default:
			ws := kernel.WaitStatus(sig)
			if bit&dumping != 0 && p.core {
				ws |= 0x80
			}
			m.exit(p, ws)
			return false
		}
	}
}

// orphaned reports whether no member's parent is in another group of the same session
// (kernel/exit.c, will_become_orphaned_pgrp). The one that is leaving does not count.
func orphaned(g *group, leaving *process) bool {
	for p := g.first; p != nil; p = p.nextMember {
		if p == leaving || p.state == Zombie || p.parent == nil {
			continue
		}
		if p.parent.group != g && p.parent.session == g.session {
			return false
		}
	}
	return true
}

// sendGroup sends a signal to all members of a group.
func (m *Machine) sendGroup(g *group, sig kernel.Signal) {
	for p := g.first; p != nil; p = p.nextMember {
		m.send(p, sig, false)
	}
}

// kill is kill(2), called by from, who may send to anybody. The permissions of users are not
// modelled: everybody is root.
func (m *Machine) kill(
	from *process, pid kernel.PID, sig kernel.Signal, ancestor bool,
) kernel.Errno {
	if sig < 0 || sig > lastSignal {
		return kernel.EINVAL
	}
	switch {
	case pid > 0:
		p := m.find(pid)
		if p == nil {
			return kernel.ESRCH
		}
		m.send(p, sig, ancestor)
		return 0
	case pid == -1:
		// __kill_something_info: neither PID 1 nor the caller; zombies and the kernel's
		// threads count, though nothing happens to them.
		found := false
		for p := m.all.first; p != nil; p = p.nextAll {
			if p == m.init || p == from {
				continue
			}
			found = true
			m.send(p, sig, false)
		}
		if !found {
			return kernel.ESRCH
		}
		return 0
	}
	g := from.group
	if pid != 0 {
		g = nil
		if -int(pid) < len(m.slots) {
			g = m.slots[-pid].g
		}
	}
	if g == nil {
		return kernel.ESRCH
	}
	m.sendGroup(g, sig)
	return 0
}

func (k *pid1Calls) Kill(pid kernel.PID, sig kernel.Signal) error {
	if e := k.enter(callKill); e != 0 {
		return e
	}
	return asError(k.m.kill(k.m.init, pid, sig, false))
}

func (k *pid1Calls) KillAll(sig kernel.Signal) error {
	if e := k.enter(callKillAll); e != 0 {
		return e
	}
	return asError(k.m.kill(k.m.init, -1, sig, false))
}

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
	// synchronous are those that a thread brings upon itself by what it does.
	synchronous = 1<<(syscall.SIGSEGV-1) | 1<<(syscall.SIGBUS-1) | 1<<(syscall.SIGILL-1) |
		1<<(syscall.SIGTRAP-1) | 1<<(syscall.SIGFPE-1) | 1<<(syscall.SIGSYS-1)
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

// setAction makes p ignore a signal, or catch it if there are steps, or neither (kernel/signal.c,
// do_sigaction). What is pending and would be ignored now is gone.
func (p *process) setAction(sig kernel.Signal, ignore bool, steps []Step) {
	p = p.lead
	if setOf(sig)&unstoppable != 0 {
		return
	}
	// The list may be a child's or a parent's, too.
	var hs []handler
	for _, h := range p.handlers {
		if h.sig != sig {
			hs = append(hs, h)
		}
	}
	p.ignored.remove(sig)
	switch {
	case ignore:
		p.ignored.add(sig)
	case steps != nil:
		hs = append(hs, handler{sig, steps})
	}
	p.handlers = hs
	if ignore || steps == nil && setOf(sig)&harmless != 0 {
		p.flush(setOf(sig))
	}
}

// flush forgets pending signals, whoever they are for (kernel/signal.c, flush_sigqueue_mask).
func (p *process) flush(sigs sigset) {
	p.pending &^= sigs
	forget := func(t *process) {
		t.own &^= sigs
		if t.rare != nil {
			t.rare.queuedOwn.flush(sigs)
		}
	}
	forget(p)
	if r := p.rare; r != nil {
		r.queued.flush(sigs)
		for _, t := range r.threads {
			forget(t)
		}
	}
}

// caught reports whether p has a handler for a signal. PID 1's code has one for all.
func (m *Machine) caught(p *process, sig kernel.Signal) bool {
	if p == m.init {
		return setOf(sig)&unstoppable == 0
	}
	return p.handler(sig) != nil
}

// sigIgnored reports whether a signal to t is thrown away as it is sent (kernel/signal.c,
// sig_ignored and sig_task_ignored). A blocked one never is: it may have a handler by the time it
// is let through. A forced one comes from the kernel, or from outside the PID namespace.
func (m *Machine) sigIgnored(t *process, sig kernel.Signal, force bool) bool {
	if t.blocked.has(sig) {
		return false
	}
	p := t.lead
	only := setOf(sig)&unstoppable != 0
	switch {
	case p.is(taskKthread), p.ignored.has(sig):
		return true
	case m.caught(p, sig):
		return false
	case only && m.globalInit(p):
		return true
	case p.has(signalUnkillable) && !(force && only):
		return true
	}
	return setOf(sig)&harmless != 0
}

// send sends a signal to the process of t, of whose threads t is the first to be asked. Forced is
// what the kernel sends, or somebody outside the PID namespace.
func (m *Machine) send(t *process, sig kernel.Signal, force bool) {
	m.sendSignal(t, sig, force, true)
}

// sendSignal sends a signal to a process, or to one thread of it (kernel/signal.c,
// send_signal_locked).
func (m *Machine) sendSignal(t *process, sig kernel.Signal, force, group bool) {
	if sig == 0 || !m.prepareSignal(t, sig, force) {
		return
	}
	p := t.lead
	set := &t.own
	if group {
		set = &p.pending
	}
	if sig >= firstRealTime {
		t.queue(sig, group)
	} else if set.has(sig) {
		return // legacy_queue: once is enough
	}
	set.add(sig)
	m.completeSignal(t, sig, group)
}

// prepareSignal does what stopping and going on do as they are sent, whatever becomes of the
// signal: they cancel each other at once. It returns false if the signal is thrown away
// (kernel/signal.c, prepare_signal).
func (m *Machine) prepareSignal(t *process, sig kernel.Signal, force bool) bool {
	p := t.lead
	switch {
	case p.has(signalGroupExit):
		// It is dying already.
		return false
	case setOf(sig)&stopping != 0:
		p.flush(setOf(syscall.SIGCONT))
	case sig == syscall.SIGCONT:
		p.flush(stopping)
		m.cont(p)
	}
	return !m.sigIgnored(t, sig, force)
}

// wantsSignal reports whether a thread is one to take a signal (kernel/signal.c, wants_signal).
func (m *Machine) wantsSignal(t *process, sig kernel.Signal) bool {
	switch {
	case t.blocked.has(sig), t.is(taskExiting), t.state == Zombie:
		return false
	case sig == syscall.SIGKILL:
		return true
	case t.state == Stopped:
		return false
	}
	return t == m.current || !t.is(taskSigpending)
}

// takerOf returns the thread that takes a signal to the process of t, or nil: t itself, or the next
// in turn that can, beginning with the one that was found so last (kernel/signal.c, complete_signal).
func (m *Machine) takerOf(t *process, sig kernel.Signal) *process {
	p := t.lead
	others := p.others()
	if m.wantsSignal(t, sig) {
		return t
	}
	if len(others) == 0 {
		return nil
	}
	// The first thread is number 0, also if it has ended.
	from := slices.Index(others, p.rare.taker) + 1
	for i := range len(others) + 1 {
		o := p
		if n := (from + i) % (len(others) + 1); n > 0 {
			o = others[n-1]
		}
		if m.wantsSignal(o, sig) {
			p.rare.taker = o
			return o
		}
	}
	return nil
}

// completeSignal wakes a thread that takes the signal, or all if it is the end of the process
// (kernel/signal.c, complete_signal).
func (m *Machine) completeSignal(t *process, sig kernel.Signal, group bool) {
	p := t.lead
	if group {
		t = m.takerOf(t, sig)
	} else if !m.wantsSignal(t, sig) {
		t = nil
	}
	if t == nil {
		return // whoever lets it through takes it
	}
	if !m.fatal(p, sig) || setOf(sig)&dumping != 0 {
		m.signalWake(t, sig == syscall.SIGKILL)
		return
	}
	m.beginGroupExit(p)
	p.status = kernel.WaitStatus(sig)
	if p == m.init {
		m.finish(End{How: Exited, Status: p.status})
		return
	}
	if p.rare != nil {
		p.rare.stops = 0
	}
	m.eachThread(p, func(o *process) {
		o.flags &^= taskStopPending
		o.own.add(syscall.SIGKILL)
		m.signalWake(o, true)
	})
}

// beginGroupExit says that all threads are to end. What stopping and going on have left is void.
func (m *Machine) beginGroupExit(p *process) {
	m.setStopped(p, false)
	p.signal &^= signalContinued | signalCldStopped | signalCldContinued
	p.signal |= signalGroupExit
}

// fatal reports whether a signal will end p (kernel/signal.c, sig_fatal).
func (m *Machine) fatal(p *process, sig kernel.Signal) bool {
	return setOf(sig)&(stopping|harmless) == 0 && !p.ignored.has(sig) && !m.caught(p, sig)
}

// signalWake tells a thread that there is a signal for it (kernel/signal.c, signal_wake_up). One
// that kills reaches it in more states.
func (m *Machine) signalWake(t *process, kills bool) {
	if t == m.init {
		// PID 1's code takes its signals in Next. Only a SIGSTOP stops it there and then.
		if t.pending.has(syscall.SIGSTOP) {
			t.pending.remove(syscall.SIGSTOP)
			m.doSignalStop(t, syscall.SIGSTOP)
		}
		return
	}
	t.flags |= taskSigpending
	switch t.state {
	case Running, Sleeping: // R: if it only spins
		m.wake(t)
	case Uninterruptible:
		if kills && t.is(taskKillable) {
			m.wake(t)
		}
	case Stopped:
		if kills {
			m.setState(t, Sleeping)
			m.wake(t)
		}
	case Zombie, stateCount:
	}
}

// dequeue takes the next signal that t is to act on: its own before the process's, and of those the
// ones that stand for an error of the program before the others, then the lowest number
// (kernel/signal.c, dequeue_signal). 0 is none.
func (t *process) dequeue() kernel.Signal {
	if due := t.own &^ t.blocked; due != 0 {
		sig := due.next()
		if sig < firstRealTime || t.rare.queuedOwn.take(sig) {
			t.own.remove(sig)
		}
		return sig
	}
	p := t.lead
	if due := p.pending &^ t.blocked; due != 0 {
		sig := due.next()
		if sig < firstRealTime || p.rare.queued.take(sig) {
			p.pending.remove(sig)
		}
		return sig
	}
	return 0
}

// next is the signal of a set that is acted on first (kernel/signal.c, next_signal).
func (s sigset) next() kernel.Signal {
	if s&synchronous != 0 {
		s &= synchronous
	}
	return s.lowest()
}

// deliver acts on the pending signals of a thread that is about to run on (kernel/signal.c,
// get_signal). It returns false if it does not run on.
func (m *Machine) deliver(t *process) bool {
	p := t.lead
	const toTell = signalCldStopped | signalCldContinued | signalGroupExit
	for {
		if p.signal&toTell == 0 && (t.own|p.pending)&^t.blocked == 0 && !t.is(taskStopPending) {
			t.flags &^= taskSigpending
			return true
		}
		if t.is(taskExiting) {
			return true
		}
		m.tellOfStop(p)
		if p.has(signalGroupExit) || t.own.has(syscall.SIGKILL) {
			m.doExit(t)
			return false
		}
		if t.is(taskStopPending) {
			m.doSignalStop(t, 0)
			return false
		}
		sig := t.dequeue()
		if sig == 0 {
			continue
		}
		if h := p.handler(sig); h != nil {
			t.frames = append(t.frames, t.frame)
			t.frame = frame{steps: h.steps, handler: true, mask: t.blocked}
			t.blocked.add(sig)
			continue
		}
		bit := setOf(sig)
		switch {
		case p.ignored.has(sig) || bit&harmless != 0:
		case p.has(signalUnkillable) && bit&unstoppable == 0:
			// It was blocked when it was sent, and is discarded now.
		case bit&stopping != 0:
			// A stop from the terminal is for shells with job control, and a group whose
			// parents are all in other sessions has none (setpgid(2), "orphaned").
			if sig != syscall.SIGSTOP && m.orphaned(p.group, nil) {
				continue
			}
			m.doSignalStop(t, sig)
			return false
		default:
			ws := kernel.WaitStatus(sig)
			if bit&dumping != 0 && p.has(signalCore) {
				ws |= 0x80
			}
			m.exit(t, ws)
			return false
		}
	}
}

// forceSig is a signal for an error of the thread itself, such as a bad address. Neither blocking
// nor ignoring helps, and not being the init of a namespace (kernel/signal.c,
// force_sig_info_to_task).
func (m *Machine) forceSig(t *process, sig kernel.Signal) {
	p := t.lead
	if t.blocked.has(sig) || p.ignored.has(sig) {
		p.setAction(sig, false, nil)
		t.blocked.remove(sig)
	}
	if !m.caught(p, sig) {
		p.signal &^= signalUnkillable
	}
	m.sendSignal(t, sig, true, false)
}

// sendGroup sends a signal of the kernel's to all members of a group.
func (m *Machine) sendGroup(g *group, sig kernel.Signal) {
	for p := g.first; p != nil; p = p.nextMember {
		m.send(p, sig, true)
	}
}

// mayKill asks whether one thread may send another a signal (kernel/signal.c,
// check_kill_permission). Who is nil is outside of the machine.
func mayKill(who, p *process, sig kernel.Signal) kernel.Errno {
	if sig < 0 || sig > lastSignal {
		return kernel.EINVAL
	}
	if who == nil || who.lead == p.lead {
		return 0
	}
	c, to := who.cred, p.cred
	switch {
	case c.euid == to.suid, c.euid == to.uid, c.uid == to.suid, c.uid == to.uid:
	case who.capable(CapKill):
	case sig == syscall.SIGCONT && who.lead.session == p.lead.session:
	default:
		return kernel.EPERM
	}
	return 0
}

// foreign reports whether the sender of a signal has no number in the namespace of who gets it:
// then the signal is forced.
func foreign(from, p *process) bool { return from.ns != p.ns && p.ns.number(from.pid) == 0 }

// kill is kill(2), called by from, or if that is nil by somebody outside (kernel/signal.c,
// kill_something_info). The number is one of from's namespace.
func (m *Machine) kill(
	from *process, pid kernel.PID, sig kernel.Signal, ancestor bool,
) kernel.Errno {
	ns := m.root
	if from != nil {
		ns = from.ns
	}
	send := func(p *process) kernel.Errno {
		e := mayKill(from, p, sig)
		if e == 0 {
			m.send(p, sig, ancestor || from != nil && foreign(from, p))
		}
		return e
	}
	if pid > 0 {
		p := m.find(m.global(ns, pid))
		if p == nil {
			return kernel.ESRCH
		}
		return send(p)
	}
	if pid == -1 {
		// Neither PID 1 nor the caller. Zombies and the kernel's threads count, though
		// nothing happens to them; that somebody may not be sent to is no error.
		found, last := false, kernel.Errno(0)
		m.signalled(m.all.n)
		for p := m.all.first; p != nil; p = p.nextAll {
			if ns.number(p.pid) <= 1 || from != nil && p == from.lead {
				continue
			}
			found = true
			if e := send(p); e != kernel.EPERM {
				last = e
			}
		}
		if !found {
			return kernel.ESRCH
		}
		return last
	}
	// A group: it is enough that one member could be sent to.
	var g *group
	if pid == 0 {
		g = from.group
	} else if id := m.global(ns, -pid); id > 0 && int(id) < len(m.slots) {
		g = m.slots[id].g
	}
	if g == nil || g.first == nil {
		return kernel.ESRCH
	}
	sent, last := false, kernel.Errno(0)
	m.signalled(g.members)
	for p := g.first; p != nil; p = p.nextMember {
		last = send(p)
		sent = sent || last == 0
	}
	if sent {
		return 0
	}
	return last
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

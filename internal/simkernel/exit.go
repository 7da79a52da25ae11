package simkernel

import (
	"fmt"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// exit ends the process of t with a status, which is called by the thread itself (kernel/exit.c,
// do_group_exit).
func (m *Machine) exit(t *process, status kernel.WaitStatus) {
	p := t.lead
	if !p.has(signalGroupExit) {
		m.beginGroupExit(p)
		p.status = status
		m.zapOtherThreads(t)
	}
	m.doExit(t)
}

// doExit ends a thread, and with the last one the process (kernel/exit.c, do_exit).
func (m *Machine) doExit(t *process) {
	p := t.lead
	t.turn++
	t.flags |= taskExiting
	t.frame, t.frames = frame{}, nil
	if t.alone() {
		p.handlers = nil
		if p.session.leader == p {
			m.leaveTerminal(p)
		}
		p.stdio, p.fs = nil, nil
		if len(m.watchdogs) > 0 {
			m.leaveWatchdogs(p)
		}
		if p.ns.init == p && p != m.init {
			m.zapPIDNamespace(t)
			t.frame.steps = []Step{zapStep{}}
			t.setRunning(m)
			return
		}
	}
	m.exitNotify(t)
}

// setRunning lets a thread that is ending run its last steps.
func (t *process) setRunning(m *Machine) {
	m.setState(t, Sleeping)
	if t == m.current {
		// It is in the middle of a step, and looks for the next one when it comes back.
		m.current = nil
	}
	m.wake(t)
}

// exitNotify tells of a thread's end and hands on its children (kernel/exit.c, exit_notify).
func (m *Machine) exitNotify(t *process) {
	p := t.lead
	last := t.alone()
	if last {
		// Only then: while another thread lives it has the children (find_alive_thread).
		m.forgetOriginalParent(p)
		m.killOrphanedGroup(p, nil)
	}
	t.stdio = nil
	m.setState(t, Zombie)
	m.reapLazy()
	if t != p {
		m.releaseThread(t)
	}
	if t == p {
		m.completeVfork(p)
	}
	if last {
		m.notifyExit(p)
	} else {
		// An exec waits for the others, and so does the end of PID 1.
		m.eachThread(p, func(o *process) {
			if o.is(taskExecing) {
				m.wake(o)
			}
		})
	}
}

// notifyExit tells the parent that a process has ended, or gives it up at once if the parent has
// said that it will not wait (kernel/signal.c, do_notify_parent).
func (m *Machine) notifyExit(p *process) {
	parent := p.parent
	if parent == nil {
		return
	}
	sig := kernel.Signal(p.exitSignal)
	reap := false
	if sig == syscall.SIGCHLD {
		if parent.ignored.has(syscall.SIGCHLD) {
			reap, sig = true, 0
		} else if parent.has(signalNoCldWait) {
			reap = true
		}
	}
	if p.heapAt >= 0 {
		parent.rare.changed.take(int(p.heapAt))
	}
	if reap {
		m.release(p)
	} else {
		parent.zombies.push(p)
	}
	if sig != 0 {
		m.send(parent, sig, false)
	}
	m.wakeParent(parent)
}

// forgetOriginalParent gives the children of a process that ends to another (kernel/exit.c,
// forget_original_parent).
func (m *Machine) forgetOriginalParent(p *process) {
	if p.children == 0 {
		return
	}
	to := m.findNewReaper(p)
	p.zombies = nil
	if p.rare != nil {
		p.rare.changed = nil
	}
	for c := p.first; c != nil; c = p.first {
		c.disown()
		c.heapAt = -1
		to.adopt(c)
		// Brothers are ordered by when they came to this parent.
		m.births++
		c.birth = m.births
		if c.rare != nil && mayKill(p, c, c.rare.deathSignal) == 0 {
			m.send(c, c.rare.deathSignal, foreign(p, c))
		}
		c.exitSignal = uint8(syscall.SIGCHLD)
		if c.dead() {
			m.notifyExit(c)
			continue
		}
		if c.stopCode != 0 || c.has(signalContinued) {
			to.more().changed.push(c)
		}
		m.killOrphanedGroup(c, p)
	}
}

// findNewReaper is who gets the children of p, which has no living thread left: the nearest
// ancestor in its PID namespace that is a subreaper and lives, else the namespace's init
// (kernel/exit.c, find_new_reaper).
func (m *Machine) findNewReaper(p *process) *process {
	if p.has(signalUnderSubreaper) {
		for q := p.parent; q != nil && q.ns.level == p.ns.level; q = q.parent {
			if q.has(signalSubreaper) && !q.dead() && !q.leaving() {
				return q
			}
		}
	}
	return p.ns.init
}

// leaving reports whether all threads of a process are on their way out (find_alive_thread finds
// none).
func (p *process) leaving() bool {
	if p.state != Zombie && !p.is(taskExiting) {
		return false
	}
	for _, t := range p.others() {
		if !t.is(taskExiting) {
			return false
		}
	}
	return true
}

// killOrphanedGroup tells the members of p's group, if one is stopped and nobody will continue it
// any more, because p is leaving and was the group's only link to its session, or because p has
// lost its parent, which was (kernel/exit.c, kill_orphaned_pgrp).
func (m *Machine) killOrphanedGroup(p, parent *process) {
	g := p.group
	if g.stopped == 0 {
		return
	}
	ignored := p
	if parent == nil {
		parent = p.parent
	} else {
		ignored = nil
	}
	if parent == nil || parent.group == g || parent.session != p.session || !m.orphaned(g, ignored) {
		return
	}
	m.sendGroup(g, syscall.SIGHUP)
	m.sendGroup(g, syscall.SIGCONT)
}

// orphaned reports whether no member's parent is in another group of the same session; the one
// that is leaving does not count, nor does PID 1 of the machine, which continues nobody
// (kernel/exit.c, will_become_orphaned_pgrp).
func (m *Machine) orphaned(g *group, leaving *process) bool {
	for p := g.first; p != nil; p = p.nextMember {
		if p == leaving || p.dead() || p.parent == nil || m.globalInit(p.parent) {
			continue
		}
		if p.parent.group != g && p.parent.session == p.session {
			return false
		}
	}
	return true
}

// globalInit reports whether p is PID 1 of the machine and not of a namespace.
func (m *Machine) globalInit(p *process) bool { return p == m.init && !m.cfg.Namespace }

// release forgets a process that has been waited for (kernel/exit.c, release_task).
func (m *Machine) release(p *process) {
	p.cred.user.threads--
	m.tasks--
	p.disown()
	m.leaveGroup(p)
	m.all.remove(p)
	m.states[Zombie]--
	m.slots[p.pid].p = nil
	m.freePID(p.pid)
}

// endInit ends PID 1, and with it the machine or the namespace. Its other threads end first; if
// one of them hangs, so does the end. In a namespace all processes are ended and waited for
// (kernel/pid_namespace.c, zap_pid_ns_processes).
func (m *Machine) endInit(e End) {
	if m.ending {
		return
	}
	m.ending, m.rest = true, e
	m.zapOtherThreads(m.init)
	if len(m.init.others()) == 0 {
		m.endNamespace()
	}
}

// endNamespace goes on when PID 1's last thread ends.
func (m *Machine) endNamespace() {
	if !m.cfg.Namespace || m.root.dying {
		return
	}
	m.root.dying = true
	m.init.ignored.add(syscall.SIGCHLD)
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init {
			m.send(p, syscall.SIGKILL, true)
		}
	}
}

// initEnded goes on with the end of PID 1 and reports whether it has come.
func (m *Machine) initEnded() bool {
	if len(m.init.others()) > 0 && (!m.kernel.initDeath.leader || m.cfg.Namespace) {
		return false
	}
	m.endNamespace()
	if m.cfg.Namespace {
		m.reapAll(m.init)
		if m.all.n > 1 {
			return false
		}
	}
	e := m.rest
	if e.How == Exited && !m.cfg.Namespace {
		if m.restOfFirst {
			e.Status = 0 // what counts is the last one's
		}
		m.attemptedToKillInit(m.lastOfInit(), e.Status)
		return m.ended
	}
	m.over(e)
	return true
}

// drain lets the machine go on until PID 1 has ended.
func (m *Machine) drain() {
	for !m.ended && !m.initEnded() {
		if m.noCPU() {
			continue
		}
		if m.runq.len() > 0 {
			m.schedule()
			continue
		}
		next, more := m.peek()
		if more && next <= m.cfg.Until {
			m.fire()
			continue
		}
		m.over(End{How: Lingering, Status: m.rest.Status, Text: m.lingering()})
	}
}

// lingering says what PID 1 waits for at its end.
func (m *Machine) lingering() string {
	s := "PID 1 is to end (" + m.rest.How.String() + "), but there is "
	if ts := m.init.others(); len(ts) > 0 {
		return s + fmt.Sprintf("its thread %d in state %v", ts[0].pid, ts[0].state)
	}
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init {
			return s + fmt.Sprintf("process %d (%s) in state %v", p.pid, p.name(), p.state)
		}
	}
	return s + "nobody left"
}

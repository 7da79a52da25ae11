package simkernel

import (
	"fmt"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// exit ends a process (kernel/exit.c, do_exit and exit_notify).
func (m *Machine) exit(p *process, status kernel.WaitStatus) {
	p.turn++
	p.status = status
	m.setState(p, Zombie)
	p.frame, p.frames, p.handlers = frame{}, nil, nil
	if p.session.leader == p {
		m.leaveTerminal(p)
	}
	if p.children > 0 {
		m.reparent(p)
	}
	p.stdio = nil
	parent := p.parent
	m.hangUpOrphans(p.group, parent, p)
	if parent.ignored.has(syscall.SIGCHLD) {
		// do_notify_parent: nobody will wait.
		m.release(p)
	} else {
		parent.zombies.push(p)
	}
	m.notify(parent)
}

// reparent gives the children of p to the nearest subreaper above, else to PID 1
// (kernel/exit.c, find_new_reaper).
func (m *Machine) reparent(p *process) {
	to := m.init
	if p.underSubreaper {
		for q := p.parent; q != nil && q != m.init; q = q.parent {
			if q.subreaper && q.state != Zombie {
				to = q
				break
			}
		}
	}
	p.zombies = nil
	for c := p.first; c != nil; c = p.first {
		c.disown()
		to.adopt(c)
		// Brothers are ordered by when they came to this parent.
		m.births++
		c.birth = m.births
		if c.state == Zombie {
			if to.ignored.has(syscall.SIGCHLD) {
				m.release(c)
			} else {
				to.zombies.push(c)
			}
			m.notify(to)
			continue
		}
		m.hangUpOrphans(c.group, p, nil)
	}
}

// hangUpOrphans tells the members of a group, if one is stopped and nobody will continue it any
// more, because the group had its only parent in the session through the process that is leaving
// or that has lost this parent (kernel/exit.c, kill_orphaned_pgrp).
func (m *Machine) hangUpOrphans(g *group, parent, leaving *process) {
	if g.stopped == 0 || parent.group == g || parent.session != g.session ||
		!orphaned(g, leaving) {
		return
	}
	m.sendGroup(g, syscall.SIGHUP)
	m.sendGroup(g, syscall.SIGCONT)
}

// release forgets a process that has been waited for (kernel/exit.c, release_task).
func (m *Machine) release(p *process) {
	p.cred.user.threads--
	p.disown()
	m.leaveGroup(p)
	m.all.remove(p)
	m.states[Zombie]--
	m.slots[p.pid].p = nil
	m.freeNumber(p.pid)
}

// exitInit is the end of PID 1. It takes the namespace with it, or the machine.
func (m *Machine) exitInit(status kernel.WaitStatus) {
	e := End{How: Exited, Status: status}
	if !m.cfg.Namespace {
		e.Text = fmt.Sprintf(
			"Kernel panic - not syncing: Attempted to kill init! exitcode=0x%08x", uint32(status))
		m.printk(0, e.Text)
	}
	m.finish(e)
}

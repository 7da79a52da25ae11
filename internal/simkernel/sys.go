package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// setsid makes a process the leader of a new session and a new group (kernel/sys.c, ksys_setsid).
func (m *Machine) setsid(p *process) kernel.Errno {
	p = p.lead
	at := &m.slots[p.pid]
	if p.session.leader == p || at.g != nil {
		return kernel.EPERM
	}
	m.leaveGroup(p)
	if len(m.sessions) == 0 {
		m.sessions = make([]newSession, chunk)
	}
	n := &m.sessions[0]
	m.sessions = m.sessions[1:]
	n.session = session{id: p.pid, leader: p}
	n.group = group{id: p.pid, session: &n.session}
	at.s, at.g = &n.session, &n.group
	m.joinGroup(p, &n.group)
	m.shareGroup(p)
	return 0
}

// setpgid is setpgid(2), called by from; 0 stands for from, and for the number of the process
// (kernel/sys.c).
func (m *Machine) setpgid(from *process, pid, pgid kernel.PID) kernel.Errno {
	from = from.lead
	if pid == 0 {
		pid = from.ns.number(from.pid)
	}
	if pgid == 0 {
		pgid = pid
	}
	if pgid < 0 {
		return kernel.EINVAL
	}
	p := m.find(m.global(from.ns, pid))
	switch {
	case p == nil:
		return kernel.ESRCH
	case p.lead != p:
		return kernel.EINVAL
	case p.parent == from && p.session != from.session:
		return kernel.EPERM
	case p.parent == from && p.has(signalExeced):
		return syscall.EACCES
	case p.parent != from && p != from:
		return kernel.ESRCH
	case p.session.leader == p:
		return kernel.EPERM
	}
	id := m.global(from.ns, pgid)
	var g *group
	if id > 0 && int(id) < len(m.slots) {
		g = m.slots[id].g
	}
	if pgid != pid && (g == nil || g.session != from.session) {
		return kernel.EPERM
	}
	if g == p.group && g != nil {
		return 0
	}
	// The group left behind keeps its number only as long as it has members, and p may be the
	// last of the one it comes to.
	if g == nil {
		g = &group{id: p.pid, session: p.session}
		m.slots[p.pid].g = g
	}
	p.session.members++
	m.leaveGroup(p)
	g.session.members--
	m.joinGroup(p, g)
	m.shareGroup(p)
	return 0
}

// shareGroup gives the other threads the group of the first.
func (m *Machine) shareGroup(p *process) {
	for _, t := range p.others() {
		t.group, t.session = p.group, p.session
	}
}

// setSubreaper is prctl(2), PR_SET_CHILD_SUBREAPER. Those that descend from the process already
// are its own from now on, too (kernel/sys.c, propagate_has_child_subreaper).
func (m *Machine) setSubreaper(p *process, on bool) {
	p = p.lead
	p.signal.set(signalSubreaper, on)
	if !on {
		return
	}
	for c := p.first; c != nil; {
		if !c.has(signalUnderSubreaper) && c.ns.init != c {
			c.signal |= signalUnderSubreaper
			if c.first != nil {
				c = c.first
				continue
			}
		}
		for c != p && c.younger == nil {
			c = c.parent
		}
		if c == p {
			return
		}
		c = c.younger
	}
}

// Setsid makes PID 1 a session leader.
func (k *pid1Calls) Setsid() error {
	if e := k.enter(callSetsid); e != 0 {
		return e
	}
	return asError(k.m.setsid(k.m.init))
}

// do makes a session of its own.
func (Setsid) do(m *Machine, p *process) verdict {
	m.setsid(p)
	return done
}

// do makes or enters a group.
func (s Setpgid) do(m *Machine, p *process) verdict {
	m.setpgid(p, s.PID, s.Group)
	return done
}

// do is prctl(2).
func (s Subreaper) do(m *Machine, p *process) verdict {
	m.setSubreaper(p, !s.Off)
	return done
}

// do is prctl(2), PR_SET_PDEATHSIG.
func (s DeathSignal) do(m *Machine, p *process) verdict {
	p.lead.more().deathSignal = s.Signal
	return done
}

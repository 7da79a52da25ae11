package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// pidNamespace is a PID namespace. That of the machine is the outermost one that there is, and
// its numbers are those that the model itself goes by; a nested one translates.
type pidNamespace struct {
	parent *pidNamespace // nil: the machine's
	level  int
	init   *process // child_reaper
	dying  bool     // no more processes (kernel/pid.c, disable_pid_allocation)
	zapper *process // the thread of init that waits for the others to end
	// reboot is what reboot(2) within makes init end of, or 0.
	reboot kernel.WaitStatus

	// Of a nested one.
	pids  pidMap
	outer []kernel.PID              // the machine's numbers by its own; 0: not in use
	inner map[kernel.PID]kernel.PID // its own numbers by the machine's
}

// number is what a namespace calls the process with one of the machine's numbers; 0 if it cannot
// see it (kernel/pid.c, pid_nr_ns).
func (ns *pidNamespace) number(pid kernel.PID) kernel.PID {
	if ns.parent == nil {
		return pid
	}
	return ns.inner[pid]
}

// global is the machine's number for one of a namespace's; 0 if there is none.
func (m *Machine) global(ns *pidNamespace, pid kernel.PID) kernel.PID {
	if ns.parent == nil {
		return pid
	}
	if pid <= 0 || int(pid) >= len(ns.outer) {
		return 0
	}
	return ns.outer[pid]
}

// newPIDNamespace makes a namespace below another (kernel/pid_namespace.c, create_pid_namespace).
func (m *Machine) newPIDNamespace(parent *pidNamespace) *pidNamespace {
	return &pidNamespace{
		parent: parent, level: parent.level + 1, pids: pidMap{max: m.cfg.PIDMax},
		inner: make(map[kernel.PID]kernel.PID),
	}
}

// maxPIDNamespaces is how deep they may be nested (include/linux/pid_namespace.h,
// MAX_PID_NS_LEVEL).
const maxPIDNamespaces = 32

// allocPID takes a number in a namespace and all around it, and returns the machine's
// (kernel/pid.c, alloc_pid).
func (m *Machine) allocPID(ns *pidNamespace) (kernel.PID, kernel.Errno) {
	if ns.dying {
		return 0, syscall.ENOMEM
	}
	if ns.parent == nil {
		n := m.pids.alloc()
		if n == 0 {
			return 0, kernel.EAGAIN
		}
		return kernel.PID(n), 0
	}
	n := ns.pids.alloc()
	if n == 0 {
		return 0, kernel.EAGAIN
	}
	pid, e := m.allocPID(ns.parent)
	if e != 0 {
		ns.pids.release(n)
		return 0, e
	}
	for n >= len(ns.outer) {
		ns.outer = append(ns.outer, 0)
	}
	ns.outer[n] = pid
	ns.inner[pid] = kernel.PID(n)
	m.nested[pid] = ns
	return pid, 0
}

// freePID gives a number back if nothing bears it any more (kernel/pid.c, free_pid).
func (m *Machine) freePID(pid kernel.PID) {
	if m.slots[pid] != (slot{}) {
		return
	}
	m.pids.release(int(pid))
	if len(m.nested) == 0 {
		return
	}
	ns := m.nested[pid]
	delete(m.nested, pid)
	for ; ns != nil && ns.parent != nil; ns = ns.parent {
		n := ns.inner[pid]
		ns.pids.release(int(n))
		ns.outer[n] = 0
		delete(ns.inner, pid)
		if ns.zapper != nil && ns.empty() {
			m.wake(ns.zapper)
		}
	}
}

// empty reports whether nobody but a dying init is left. It has one number, or two if its first
// thread ended before the last.
func (ns *pidNamespace) empty() bool {
	if ns.zapper == ns.init {
		return len(ns.inner) == 1
	}
	return len(ns.inner) == 2
}

// zapPIDNamespace ends everybody in a namespace whose init is about to end
// (kernel/pid_namespace.c, zap_pid_ns_processes).
func (m *Machine) zapPIDNamespace(last *process) {
	init, ns := last.lead, last.ns
	ns.dying, ns.zapper = true, last
	// Nobody is to wait for those that end now.
	init.ignored.add(syscall.SIGCHLD)
	for _, pid := range ns.outer {
		if p := m.find(pid); p != nil && p.lead == p && p != init {
			m.send(p, syscall.SIGKILL, true)
		}
	}
}

// reapAll releases the zombies among the children of an ending init. Those that would have sent it
// another signal than SIGCHLD do not go by themselves.
func (m *Machine) reapAll(init *process) {
	for len(init.zombies) > 0 {
		m.release(init.zombies.take(0))
	}
}

// zapStep is what the init of a nested namespace does at its end: it waits, in S, until it is the
// last.
type zapStep struct{}

func (zapStep) step() {}

func (zapStep) do(m *Machine, p *process) verdict {
	m.reapAll(p.lead)
	if !p.ns.empty() {
		m.setState(p, Sleeping)
		return again
	}
	if p.ns.reboot != 0 {
		p.lead.status = p.ns.reboot
	}
	m.exitNotify(p)
	return gone
}

// rebootPIDNS is reboot(2) in a nested namespace: its init is killed, and that one's parent is told
// by the signal why. The caller ends (kernel/pid_namespace.c, reboot_pid_ns).
func (m *Machine) rebootPIDNS(p *process, cmd kernel.RebootCmd) kernel.Errno {
	switch cmd {
	case kernel.Restart, kernel.Restart2:
		p.ns.reboot = kernel.WaitStatus(syscall.SIGHUP)
	case kernel.Halt, kernel.PowerOff:
		p.ns.reboot = kernel.WaitStatus(syscall.SIGINT)
	default:
		return kernel.EINVAL
	}
	m.send(p.ns.init, syscall.SIGKILL, true)
	if !p.is(taskExiting) {
		m.exit(p, 0)
	}
	return 0
}

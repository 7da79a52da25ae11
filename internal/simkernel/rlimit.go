package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// Limits bound how many there may be. 0 is no limit.
type Limits struct {
	// Processes is RLIMIT_NPROC, of PID 1 and all its children: how many threads may run for one
	// user. It does not hold for root, nor for who has CAP_SYS_RESOURCE or CAP_SYS_ADMIN.
	Processes int
	// Tasks is pids.max of the control group that all are in, PID 1 included: how many threads
	// there may be.
	Tasks int
}

// mayFork asks whether one more thread of t's user is allowed (kernel/fork.c, copy_process; it is
// EAGAIN there, too, though nothing will change by waiting).
func (m *Machine) mayFork(t *process) kernel.Errno {
	limit := m.cfg.Limits.Processes
	if limit > 0 && t.cred.user.threads >= limit && t.cred.uid != 0 &&
		!t.capable(CapSysResource) && !t.capable(CapSysAdmin) {
		return kernel.EAGAIN
	}
	return 0
}

// tasksFull reports whether the control group has more than it may (kernel/cgroup/pids.c, pids_can_fork).
func (m *Machine) tasksFull() bool {
	limit := m.cfg.Limits.Tasks
	return limit > 0 && m.tasks > limit
}

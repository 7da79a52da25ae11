package simkernel

import (
	"strconv"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// CadOn reports whether Ctrl-Alt-Del restarts the machine without asking PID 1.
func (m *Machine) CadOn() bool { return m.reboot.cad != 0 }

// CtrlAltDel is the three keys (kernel/reboot.c, ctrl_alt_del). In a namespace they are somebody
// else's.
type CtrlAltDel struct{}

func (CtrlAltDel) act(m *Machine) {
	r := &m.reboot
	switch {
	case m.cfg.Namespace:
	case r.cad == 0:
		if p := r.cadPID; m.find(p.pid) == p {
			m.send(p, syscall.SIGINT, false)
		}
	case !r.cadQueued:
		// There is one work item, so the keys do nothing while it is queued or under way.
		r.cadQueued = true
		m.queue(m.kernelRestart(), func() { r.cadQueued = false })
	}
}

// cadPIDText is kernel.cad_pid. It goes on saying the number when the process is gone.
func (m *Machine) cadPIDText() string { return strconv.Itoa(int(m.reboot.cadPID.pid)) }

// checkCadPID says whether there is a process to be told (kernel/sysctl.c, proc_do_cad_pid).
func (m *Machine) checkCadPID(value string) kernel.Errno {
	if n, _ := strconv.Atoi(value); m.find(kernel.PID(n)) == nil {
		return kernel.ESRCH
	}
	return 0
}

func (m *Machine) setCadPID(value string) {
	n, _ := strconv.Atoi(value)
	m.reboot.cadPID = m.find(kernel.PID(n)).lead
}

package simkernel

import (
	"fmt"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// initDeathProfile is what the kernel does when PID 1 of the machine ends (kernel/exit.c).
type initDeathProfile struct {
	// text is the panic's, with the exit code if it has a place for it.
	text string
	// leader says that the first thread's end is enough.
	leader bool
	// late says that it comes when PID 1 has already given up its files and its terminal.
	late bool
}

// The versions of the death of init [Kernel 3.23 to 3.28].
var (
	initDeath2617 = initDeathProfile{text: "Attempted to kill init!", leader: true}
	initDeath2624 = initDeathProfile{text: "Attempted to kill init!"}
	initDeath3    = initDeathProfile{text: "Attempted to kill init! exitcode=0x%08x\n", late: true}
	initDeath5    = initDeathProfile{text: "Attempted to kill init! exitcode=0x%08x\n"}
)

// attemptedToKillInit is the panic at PID 1's end.
func (m *Machine) attemptedToKillInit(x *context, status kernel.WaitStatus) {
	p := &m.kernel.initDeath
	m.diesOf(End{How: Exited, Status: status})
	if p.late {
		defer m.in("exit_notify")()
		m.init.stdio, m.init.fs = nil, nil
		if m.init.session.leader == m.init {
			m.leaveTerminal(m.init)
		}
	} else {
		defer m.in("do_exit")()
	}
	text := p.text
	if text[len(text)-1] != '!' {
		text = fmt.Sprintf(text, uint32(status))
	}
	m.panic(x, "%s", text)
}

// initThreadDies ends the thread that runs PID 1's code, and no other. With others left the
// process lives on, if one can call it that: they have nobody to work for.
func (m *Machine) initThreadDies(x *context, status kernel.WaitStatus) {
	if m.ending {
		return
	}
	m.ending, m.rest = true, End{How: Exited, Status: status}
	if !m.cfg.Namespace && (m.kernel.initDeath.leader || len(m.init.others()) == 0) {
		m.attemptedToKillInit(x, status)
		return
	}
	m.restOfFirst = true
}

// lastOfInit is the thread of PID 1 that ends last: it is the one whose number the panic shows, and
// that is seldom 1.
func (m *Machine) lastOfInit() *context {
	x := m.here(m.init)
	if last := m.lastThread; last != 0 && !m.kernel.initDeath.leader {
		x.who = &occupant{comm: x.who.comm, pid: last, task: m.init}
	}
	return x
}

// InitFault is PID 1 using memory of its own that is not there, with no handler for SIGSEGV
// (arch/x86/mm/fault.c, show_signal_msg; kernel/signal.c, force_sig_fault).
type InitFault struct{}

func (InitFault) fail(m *Machine, x *context) {
	x.who = &occupant{comm: m.init.name(), pid: m.init.pid, task: m.init}
	defer m.in("force_sig_fault")()
	if m.kernel.saysFault {
		where := ""
		if m.kernel.saysWhere {
			where = fmt.Sprintf(" likely on CPU %d (core %[1]d, socket 0)", x.cpu.id)
		}
		m.printk(emergency, fmt.Sprintf("%s[%d]: segfault at 8 ip 0000000000401000 sp "+
			"00007ffc00000000 error 6 in %[1]s[400000+1000]", x.who.comm, x.who.pid)+where)
		m.printk(emergency, "Code: 00 00 00 00 00 00 00 00 <c7> 04 25 08 00 00 00 00 ")
	}
	m.attemptedToKillInit(x, kernel.WaitStatus(syscall.SIGSEGV))
}

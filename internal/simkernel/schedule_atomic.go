package simkernel

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// ScheduleAtomic is a task that waits although it holds a lock which keeps it from being preempted
// (kernel/sched/core.c, __schedule_bug). It goes on all the same.
type ScheduleAtomic struct{}

func (ScheduleAtomic) fail(m *Machine, x *context) {
	defer m.in("__schedule_bug")()
	m.printk(kernel.Error, fmt.Sprintf("BUG: scheduling while atomic: %s/%d/0x%08x",
		x.who.comm, x.who.pid, x.preempt+1))
	m.printModules()
	m.checkPanicOnWarn(x, "scheduling while atomic")
	if x.over(m) {
		return
	}
	m.dumpStack(x)
	m.addTaint(x, taintWarn)
}

// EmergencyRestart is a call of emergency_restart(), by a driver that knows no other way.
type EmergencyRestart struct{}

func (EmergencyRestart) fail(m *Machine, x *context) {
	x.cpu.irqsOff = true
	m.reboot.words = End{Text: "a driver has called emergency_restart()"}
	m.emergencyRestart()
	if !m.ended {
		m.hang()
	}
}

// InitFault is PID 1 using memory of its own that is not there, with no handler for SIGSEGV
// (arch/x86/mm/fault.c, show_signal_msg; kernel/signal.c, force_sig_fault).
type InitFault struct{}

func (InitFault) fail(m *Machine, x *context) {
	x.who = &occupant{comm: m.init.name(), pid: m.init.pid, task: m.init}
	if m.kernel.arch == archX86 && !strings.HasPrefix(m.kernel.name, "linux-2.6") {
		where := ""
		if m.kernel.sysOff { // 6.1.192 has it from 6.2
			where = fmt.Sprintf(" likely on CPU %d (core %[1]d, socket 0)", x.cpu.id)
		}
		m.printk(emergency, fmt.Sprintf("%s[%d]: segfault at 8 ip 0000000000401000 sp "+
			"00007ffc00000000 error 6 in %[1]s[400000+1000]", x.who.comm, x.who.pid)+where)
		m.printk(emergency, "Code: 00 00 00 00 00 00 00 00 <c7> 04 25 08 00 00 00 00 ")
	}
	m.attemptedToKillInit(x, kernel.WaitStatus(syscall.SIGSEGV))
}

package simkernel

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// backtraceOf lets some CPUs show where they are, by an NMI (lib/nmi_backtrace.c). It reports whether the
// kernel can: of those here none but a PC's, as arm64 has had a way since 6.7.
func (m *Machine) backtraceOf(x *context, list []string) bool {
	if !m.kernel.backtraces {
		return false
	}
	defer m.in("nmi_backtrace")()
	m.printk(kernel.Info, "Sending NMI from CPU "+strconv.Itoa(x.cpu.id)+" to CPUs "+
		strings.Join(list, ",")+":")
	m.others(x.cpu, func(c *cpu) {
		if !slices.Contains(list, strconv.Itoa(c.id)) || c.inNMI {
			return
		}
		if c.stuck == nil && c.busy == 0 && c.free() {
			m.printk(defaultMessageLevel, "NMI backtrace for cpu "+strconv.Itoa(c.id)+
				" skipped: idling at default_idle")
			return
		}
		m.printk(defaultMessageLevel, "NMI backtrace for cpu "+strconv.Itoa(c.id))
		who := c.stuck
		if who == nil {
			who = m.idleTask(c.id)
		}
		m.showRegs(&context{cpu: c, who: who})
	})
	return true
}

// dumpCPUTask shows who is on a CPU: from there if it can be asked, else from here
// (kernel/sched/core.c, dump_cpu_task).
func (m *Machine) dumpCPUTask(x *context, c *cpu) {
	if m.backtraceOf(x, []string{strconv.Itoa(c.id)}) {
		return
	}
	m.printk(kernel.Info, "Task dump for CPU "+strconv.Itoa(c.id)+":")
	who, parent := c.stuck, kernel.PID(0)
	if who == nil {
		who = m.idleTask(c.id)
	}
	if t := who.task; t != nil && t.lead.parent != nil {
		parent = t.lead.parent.pid
	}
	m.showOccupant(who, "R  running task", parent)
}

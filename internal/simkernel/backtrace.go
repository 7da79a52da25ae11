package simkernel

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// backtraceOf lets some CPUs show where they are: by an NMI on x86, and by an interrupt elsewhere,
// which one that has them off does not hear (lib/nmi_backtrace.c).
func (m *Machine) backtraceOf(x *context, list []string) {
	defer m.in("nmi_backtrace")()
	m.printk(kernel.Info, "Sending NMI from CPU "+strconv.Itoa(x.cpu.id)+" to CPUs "+
		strings.Join(list, ",")+":")
	m.others(x.cpu, func(c *cpu) {
		if !slices.Contains(list, strconv.Itoa(c.id)) || c.inNMI {
			return
		}
		if m.kernel.arch != archX86 && !c.takesInterrupts() {
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
}

package simkernel

import (
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// stopProfile is how a kernel stops the other CPUs (smp_send_stop).
type stopProfile struct {
	// says is printed before, if there are others.
	says string
	// waits is how long it waits for them.
	waits time.Duration
	// nmi says that those that did not stop get an NMI, and nmiSays what is printed then.
	nmi     bool
	nmiSays string
	// failed is printed if some still have not, with the list of all that are online.
	failed string
	// deafens says that the CPU turns its own interrupt controller off, even if it is alone.
	deafens bool
	// forced says that reboot=force lets them all run.
	forced bool
}

// How CPUs are stopped [Kernel 1.25 to 1.29].
var (
	stop26 = stopProfile{deafens: true}
	// stopX86 is native_stop_other_cpus.
	stopX86 = stopProfile{
		waits: time.Second, nmi: true, nmiSays: "Shutting down cpus with NMI", deafens: true,
		forced: true,
	}
	stopARM = stopProfile{
		waits: time.Second, failed: "SMP: failed to stop secondary CPUs",
	}
	stopARM64 = stopProfile{
		says: "SMP: stopping secondary CPUs", waits: time.Second,
		failed: "SMP: failed to stop secondary CPUs",
	}
	stopMIPS = stopProfile{}
)

// smpSendStop stops the other CPUs.
func (m *Machine) smpSendStop(x *context) {
	defer m.in("smp_send_stop")()
	p := &m.kernel.stop
	if p.forced && m.reboot.force {
		return
	}
	others := 0
	m.others(x.cpu, func(*cpu) { others++ })
	if others > 0 {
		if p.says != "" && m.reboot.state == SystemRunning {
			m.printk(critical, p.says)
		}
		m.others(x.cpu, func(c *cpu) {
			if c.takesInterrupts() {
				m.halt(c)
				c.online = false
			}
		})
	}
	if left := m.leftOnline(x.cpu); len(left) > 0 && p.waits > 0 {
		m.mdelay(p.waits)
		if x.over(m) {
			return
		}
		if p.nmi {
			m.printk(emergency, p.nmiSays)
			m.others(x.cpu, func(c *cpu) {
				if !c.inNMI {
					m.halt(c)
					c.online = false
				}
			})
		} else if p.failed != "" {
			m.printk(kernel.Warning, p.failed+" "+m.onlineList())
		}
	}
	if p.deafens && (m.kernel.deafAlone || others > 0) {
		x.cpu.deaf = true
	}
}

// leftOnline are the CPUs that are online besides one.
func (m *Machine) leftOnline(self *cpu) []string {
	var left []string
	m.others(self, func(c *cpu) { left = append(left, strconv.Itoa(c.id)) })
	return left
}

// onlineList are the CPUs that are online as the kernel prints them: 0-2,5.
func (m *Machine) onlineList() string {
	var parts []string
	for i := 0; i < len(m.cpus); i++ {
		from := i
		for i < len(m.cpus) && m.cpus[i].online {
			i++
		}
		switch i - from {
		case 0:
		case 1:
			parts = append(parts, strconv.Itoa(from))
		default:
			parts = append(parts, strconv.Itoa(from)+"-"+strconv.Itoa(i-1))
		}
	}
	return strings.Join(parts, ",")
}

package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// rcuProfile is what a kernel says of a CPU that lets no grace period end (kernel/rcu/tree_stall.h).
type rcuProfile struct {
	flavour string
	// prefix stands before the lines.
	prefix string
	// whole says that the line about its time is one of its own, not the rest of another.
	whole bool
	// panics says that there is kernel.panic_on_rcu_stall.
	panics bool
}

var (
	rcu3   = rcuProfile{flavour: "rcu_sched", prefix: "INFO: "}
	rcu4   = rcuProfile{flavour: "rcu_sched", prefix: "rcu: INFO: ", panics: true}
	rcu6   = rcuProfile{flavour: "rcu_preempt", prefix: "rcu: INFO: ", panics: true}
	rcu612 = rcuProfile{flavour: "rcu_preempt", prefix: "rcu: INFO: ", panics: true, whole: true}
)

// How long after the first stall the next is looked for, and how long the others leave it to the CPU
// itself (RCU_STALL_RAT_DELAY, in jiffies of 4 ms).
const (
	rcuAgain    = 3 * time.Second
	rcuRatDelay = 8 * time.Millisecond
	jiffy       = 4 * time.Millisecond
)

// rcuStallTimeout is rcupdate.rcu_cpu_stall_timeout, within its bounds.
func (m *Machine) rcuStallTimeout() time.Duration {
	text, _ := m.attr("module/rcupdate/parameters/rcu_cpu_stall_timeout")
	n, _ := strconv.Atoi(text)
	return time.Duration(min(max(n, 3), 300)) * time.Second
}

// watchRCU waits for the grace period that a stuck CPU keeps from ending.
func (m *Machine) watchRCU(c *cpu, lateTick bool) {
	suppressed := m.attrIsSet("module/rcupdate/parameters/rcu_cpu_stall_suppress")
	if m.kernel.rcu.flavour == "" || suppressed {
		return
	}
	t := m.rcuStallTimeout()
	s := &rcuStall{stuck: c, late: lateTick, since: m.now, next: t}
	m.post(m.now, Do(s.wait))
}

// rcuStall is a grace period that does not end.
type rcuStall struct {
	stuck       *cpu
	late        bool // it looks later than the others do
	since, next time.Duration
}

// wait leaves the finding to the CPU itself, if it takes interrupts in time, and else to another.
func (s *rcuStall) wait(m *Machine) {
	self := Do(func(m *Machine) { s.found(m, s.stuck) })
	if s.stuck.takesInterrupts() && !s.late {
		m.interruptAt(s.since+s.next, s.stuck.id, self)
		return
	}
	for i := range m.cpus {
		if c := &m.cpus[i]; c != s.stuck && c.takesInterrupts() {
			m.interruptAt(s.since+s.next+rcuRatDelay, i, Do(func(m *Machine) { s.found(m, c) }))
			return
		}
	}
	if s.stuck.takesInterrupts() {
		m.interruptAt(s.since+s.next+rcuRatDelay, s.stuck.id, self)
	}
}

// found is print_cpu_stall or print_other_cpu_stall.
func (s *rcuStall) found(m *Machine, by *cpu) {
	if s.stuck.stuck == nil || s.stuck.stopped {
		return
	}
	defer m.in("rcu_sched_clock_irq")()
	p := &m.kernel.rcu
	x := &context{cpu: by, who: by.stuck, in: InHardIRQ}
	if x.who == nil {
		x.who = idleTask(by.id)
	}
	cpus := ""
	if m.kernel.dump.tags {
		cpus = fmt.Sprintf(" ncpus=%d", m.onlineCPUs())
	}
	jiffies := int((m.now - s.since) / jiffy)
	where := fmt.Sprintf("rcu: \t%d-....: (%d ticks this GP) idle=0001/1/0x4000000000000000 softirq=1/1 fqs=1",
		s.stuck.id, jiffies)
	if strings.HasPrefix(p.prefix, "INFO") {
		where = strings.TrimPrefix(where, "rcu: ")
	}
	if by == s.stuck {
		m.printk(kernel.Error, p.prefix+p.flavour+" self-detected stall on CPU")
		m.printk(kernel.Error, where)
		p.time(m, fmt.Sprintf("\t(t=%d jiffies g=1 q=1%s)", jiffies, cpus))
		m.showRegs(&context{cpu: by, who: x.who})
	} else {
		m.printk(kernel.Error, p.prefix+p.flavour+" detected stalls on CPUs/tasks:")
		m.printk(kernel.Error, strings.Replace(where, "....", "...0", 1))
		p.time(m, fmt.Sprintf("\t(detected by %d, t=%d jiffies, g=1, q=1%s)",
			by.id, jiffies, cpus))
		m.dumpCPUTask(x, s.stuck)
	}
	s.next += 3*m.rcuStallTimeout() + rcuAgain
	s.wait(m)
	if p.panics && m.isSet("kernel/panic_on_rcu_stall") && m.rcuStallPanics() {
		m.panic(x, "RCU Stall")
	}
}

// time says how long it has been. What continues a line that has ended is a line that has no level of
// its own.
func (p *rcuProfile) time(m *Machine, text string) {
	if p.whole {
		m.printk(kernel.Error, "rcu: "+text)
		return
	}
	m.printk(defaultMessageLevel, text)
}

// rcuStallPanics counts the stalls that kernel.max_rcu_stall_to_panic still lets pass.
func (m *Machine) rcuStallPanics() bool {
	m.dying.rcuStalls++
	return int64(m.dying.rcuStalls) >= m.knobNumber("kernel/max_rcu_stall_to_panic")
}

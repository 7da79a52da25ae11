package simkernel

import (
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// cpu is a processor. As long as the kernel is well there is nothing to know of it: processes run
// one after the other, wherever that is. When the kernel dies it matters which of them still
// compute, and what reaches them.
type cpu struct {
	id     int
	online bool // in cpu_online_mask
	// stopped says that it does nothing more, whatever reaches it.
	stopped bool
	// irqsOff says that interrupts wait, inNMI that non-maskable ones do, too, and deaf that
	// its local interrupt controller delivers nothing any more.
	irqsOff, inNMI, deaf bool
	// inIRQ says that it is in an interrupt that never ends.
	inIRQ bool
	// stuck is who computes on it for ever, if somebody does.
	stuck *occupant
	// busy is how many calls of the kernel that nobody can preempt are under way on it.
	busy int
	// saved says that its registers are in a crash note, shot that an NMI has stopped it, and
	// polls that it waits for that while it is in another.
	saved, shot, polls bool
}

// occupant is who is on a CPU when the kernel looks: a process, or a thread of the kernel.
type occupant struct {
	comm string
	pid  kernel.PID
	task *process // nil: not one of the model's
}

// idleTask is who is on a CPU that has nothing to do.
func idleTask(id int) *occupant { return &occupant{comm: "swapper/" + strconv.Itoa(id)} }

// idleTask is the name that the version has for it: one for all CPUs up to 3.1.
func (m *Machine) idleTask(id int) *occupant {
	if m.kernel.oneSwapper {
		return &occupant{comm: "swapper"}
	}
	return idleTask(id)
}

// Interrupt is what a CPU is in.
type Interrupt uint8

// The interrupts. In the last three of them the kernel is on behalf of nobody, whoever they have
// interrupted (in_interrupt).
const (
	InTask Interrupt = iota
	InHardIRQ
	InSoftIRQ
	InNMI
)

// context is where the kernel is when it fails: on which CPU, on behalf of whom, and in what. All
// functions of the kernel that die are told.
type context struct {
	cpu *cpu
	who *occupant
	in  Interrupt
	// irqsOff and preempt are what a task has when it fails: interrupts off, and locks that
	// keep it from being preempted (preempt_count).
	irqsOff bool
	preempt int
	// ofTask says that what failed is a task, although it is handled as an NMI is.
	ofTask bool
	// gone says that it does not go on: its task has been killed, or waits for ever.
	gone bool
}

// takesInterrupts reports whether an interrupt of a device or of another CPU reaches it.
func (c *cpu) takesInterrupts() bool { return c.online && !c.stopped && !c.irqsOff && !c.deaf }

// free reports whether processes can run on it.
func (c *cpu) free() bool { return c.online && !c.stopped && c.stuck == nil && c.busy == 0 }

// setUpCPUs makes the CPUs, of which some may be offline.
func (m *Machine) setUpCPUs() {
	m.cpus = make([]cpu, m.possibleCPUs())
	for i := range m.cpus {
		m.cpus[i] = cpu{id: i, online: m.online(i)}
	}
}

// onlineCPUs is num_online_cpus().
func (m *Machine) onlineCPUs() int {
	n := 0
	for i := range m.cpus {
		if m.cpus[i].online {
			n++
		}
	}
	return n
}

// aCPUIsFree reports whether processes can run.
func (m *Machine) aCPUIsFree() bool {
	for i := range m.cpus {
		if m.cpus[i].free() {
			return true
		}
	}
	return false
}

// stick lets somebody keep a CPU for ever, with interrupts off or not.
func (m *Machine) stick(c *cpu, who *occupant, irqsOff bool) {
	c.stuck, c.irqsOff = who, irqsOff
	m.stuckCPUs++
}

// halt lets a CPU do nothing more.
func (m *Machine) halt(c *cpu) {
	c.stopped = true
	m.stuckCPUs++
}

// others calls f for all CPUs that are online but one.
func (m *Machine) others(self *cpu, f func(c *cpu)) {
	for i := range m.cpus {
		if c := &m.cpus[i]; c != self && c.online {
			f(c)
		}
	}
}

// enterKernel begins what nobody on that CPU can preempt. The function it returns ends it.
func (m *Machine) enterKernel(c *cpu) (leave func()) {
	c.busy++
	return func() { c.busy-- }
}

// here is the context of a process that calls the kernel, on the first CPU that is free.
func (m *Machine) here(p *process) *context {
	c := &m.cpus[0]
	for i := range m.cpus {
		if m.cpus[i].free() {
			c = &m.cpus[i]
			break
		}
	}
	who := m.idleTask(c.id)
	if p != nil {
		who = &occupant{comm: p.name(), pid: p.pid, task: p}
	}
	return &context{cpu: c, who: who}
}

// over reports whether a context does not go on: its machine has ended, or its CPU has been
// stopped by another, or its task is no more.
func (x *context) over(m *Machine) bool { return m.ended || x.cpu.stopped || x.gone }

// hardware is a heap of its own for what happens whether or not anybody can run: a watchdog that
// resets the machine, a button, a timer's interrupt.
type hardwareEvent struct {
	at  time.Duration
	seq uint64
	// cpu is who must take interrupts for it to happen; -1 if it is no interrupt.
	cpu int
	act Action
}

// hardwareEvents are few, so a list will do.
type hardwareEvents []hardwareEvent

// hardwareTimer is a pending one that can be taken back.
type hardwareTimer struct{ seq uint64 }

// raise lets something happen that needs no CPU.
func (m *Machine) raise(t time.Duration, a Action) hardwareTimer { return m.interruptAt(t, -1, a) }

// interruptAt lets something happen by an interrupt of a CPU. If the CPU takes none at that time it
// happens when it does.
func (m *Machine) interruptAt(t time.Duration, cpu int, a Action) hardwareTimer {
	m.seq++
	m.hardware = append(m.hardware, hardwareEvent{t, m.seq, cpu, a})
	return hardwareTimer{m.seq}
}

// cancel takes back what is to happen. It may have happened.
func (m *Machine) cancel(t hardwareTimer) {
	for i := range m.hardware {
		if m.hardware[i].seq == t.seq {
			m.hardware = append(m.hardware[:i], m.hardware[i+1:]...)
			return
		}
	}
}

// nextHardware is the first of those that can happen, or -1.
func (m *Machine) nextHardware() int {
	first := -1
	for i := range m.hardware {
		e := &m.hardware[i]
		if e.cpu >= 0 && !m.cpus[e.cpu].takesInterrupts() {
			continue
		}
		if f := first; f < 0 || e.at < m.hardware[f].at ||
			e.at == m.hardware[f].at && e.seq < m.hardware[f].seq {
			first = i
		}
	}
	return first
}

// fireHardware lets one happen.
func (m *Machine) fireHardware(i int) {
	e := m.hardware[i]
	m.hardware = append(m.hardware[:i], m.hardware[i+1:]...)
	m.moveTo(e.at)
	m.toil()
	if !m.ended {
		e.act.act(m)
	}
}

// hardwareUntil lets what needs no CPU happen until then. Interrupts are off.
func (m *Machine) hardwareUntil(t time.Duration) {
	for !m.ended {
		at, do := m.nextWithoutCPU(false)
		if do == nil || at > t {
			return
		}
		do()
	}
}

// nextWithoutCPU is what happens next of what needs no process to run: hardware, interrupts if
// anybody takes them, and what is done to the machine from outside.
func (m *Machine) nextWithoutCPU(interrupts bool) (time.Duration, func()) {
	first := -1
	for i := range m.hardware {
		e := &m.hardware[i]
		if e.cpu >= 0 && (!interrupts || !m.cpus[e.cpu].takesInterrupts()) {
			continue
		}
		if first < 0 || e.at < m.hardware[first].at {
			first = i
		}
	}
	outside := -1
	for i := range m.events {
		e := &m.events[i]
		if e.p == nil && m.actions[e.act].outside && (outside < 0 || m.events.less(i, outside)) {
			outside = i
		}
	}
	switch {
	case outside >= 0 && (first < 0 || m.events[outside].at <= m.hardware[first].at):
		e := m.events[outside]
		return max(e.at, m.now), func() {
			a := m.actions[e.act].action
			m.actions[e.act] = scheduled{action: tick{}}
			m.moveTo(e.at)
			m.toil()
			a.act(m)
		}
	case first >= 0:
		return max(m.hardware[first].at, m.now), func() { m.fireHardware(first) }
	}
	return 0, nil
}

// mdelay lets a CPU wait without sleeping. Meanwhile the others go on, as far as they can, and so
// does the hardware. PID 1 does not, for it is on the stack of who called. kernel.Never is for
// ever: what ends it is the hardware, or the bound on time.
func (m *Machine) mdelay(d time.Duration) {
	// The loop is calibrated: chance adds nothing.
	since, until := m.now, kernel.Never
	if d < kernel.Never-m.now {
		until = m.now + d
	}
	for !m.ended {
		at, do := m.nextOfOthers()
		if do == nil || at > until {
			break
		}
		if at > m.cfg.Until {
			m.outOfTime()
			return
		}
		do()
	}
	switch {
	case m.ended:
	case until == kernel.Never:
		if !m.aCPUIsFree() {
			m.now = since // nothing that has happened since helps it
		}
		m.hang()
	case until > m.cfg.Until:
		m.outOfTime()
	default:
		m.moveTo(until)
	}
}

// nextOfOthers is when something next happens besides the CPU that waits, and what.
func (m *Machine) nextOfOthers() (time.Duration, func()) {
	if m.aCPUIsFree() {
		if m.runq.len() > 0 {
			return m.now, m.scheduleOther
		}
		if at, ok := m.peek(); ok {
			return at, m.fire
		}
		return 0, nil
	}
	return m.nextWithoutCPU(true)
}

// noCPU goes on while no CPU can run anybody: with the hardware, or not at all. It reports whether
// that was so.
func (m *Machine) noCPU() bool {
	if m.stuckCPUs == 0 || m.aCPUIsFree() {
		return false
	}
	switch at, do := m.nextWithoutCPU(true); {
	case do == nil:
		m.finish(End{How: Hung, Text: m.Answers().Why})
	case at > m.cfg.Until:
		m.outOfTime()
	default:
		do()
	}
	return true
}

// scheduleOther lets a process run while another one is in the kernel.
func (m *Machine) scheduleOther() {
	p := m.current
	m.schedule()
	m.current = p
}

// Answers is what a machine that has died, or is about to, still answers.
type Answers struct {
	// Interrupts says that some CPU takes them: with them come timers, and the keys of SysRq
	// on a keyboard.
	Interrupts bool
	// Ping says that the network replies: it does so in soft interrupts, and they run where
	// interrupts are taken, unless the CPU is in one that never ends.
	Ping bool
	// Processes says that some CPU runs them.
	Processes bool
	// Why says what is in the way, if something is.
	Why string
}

// Answers looks at the CPUs, now or at the end.
func (m *Machine) Answers() Answers {
	if m.ended {
		return m.answers
	}
	a := Answers{Processes: m.aCPUIsFree()}
	var why []string
	for i := range m.cpus {
		c := &m.cpus[i]
		a.Interrupts = a.Interrupts || c.takesInterrupts()
		a.Ping = a.Ping || c.takesInterrupts() && !c.inIRQ
		if s := c.state(); s != "" {
			why = append(why, "CPU "+strconv.Itoa(i)+" "+s)
		}
	}
	a.Why = strings.Join(why, "; ")
	return a
}

// state says why a CPU does not do what it should.
func (c *cpu) state() string {
	switch {
	case c.stopped:
		return "is stopped"
	case !c.online:
		return "is offline"
	case c.deaf:
		return "has its local interrupt controller off"
	case c.irqsOff:
		return "has interrupts off"
	case c.stuck != nil:
		return "is kept by " + c.stuck.comm
	case c.busy > 0:
		return "is in the kernel"
	}
	return ""
}

package simkernel

import (
	"fmt"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// lockupProfile is what the lockup detectors of a kernel are (kernel/watchdog.c, before 2.6.36
// kernel/softlockup.c).
type lockupProfile struct {
	// soft is what is said of a CPU that schedules nobody: its number, the seconds, who is
	// there. Without it there is no detector. level is that of the line.
	soft  string
	level kernel.Level
	// every is the time after which 2.6 says so, whatever is set, and looks at each tick. With
	// inUnits it counts in softUnit.
	every   time.Duration
	inUnits bool
	// repeats says that it is said again as long as it lasts.
	repeats bool
	// softPanics and hardPanics say that there are knobs for it.
	softPanics bool
	// hard is what is said of one that takes no interrupts.
	hard string
}

var (
	lockup2617 = lockupProfile{
		soft: "BUG: soft lockup detected on CPU#%[1]d!", level: kernel.Error, every: 10 * time.Second,
	}
	lockup2624 = lockupProfile{
		soft: "BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", level: kernel.Error,
		every: 10 * time.Second, inUnits: true,
	}
	lockup3 = lockupProfile{
		soft: "BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", softPanics: true,
	}
	lockup4 = lockupProfile{
		soft: "watchdog: BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", softPanics: true,
		hard: "NMI watchdog: Watchdog detected hard LOCKUP on cpu %d",
	}
	lockup6 = lockupProfile{
		soft: "watchdog: BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", softPanics: true,
		hard: "NMI watchdog: Watchdog detected hard LOCKUP on cpu %d", repeats: true,
	}
	lockup612 = lockupProfile{
		soft: "watchdog: BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", softPanics: true,
		hard: "watchdog: Watchdog detected hard LOCKUP on cpu %d", repeats: true,
	}
	lockup7 = lockupProfile{
		soft: "watchdog: BUG: soft lockup - CPU#%d stuck for %ds! [%s:%d]", softPanics: true,
		hard: "watchdog: CPU%[1]d: Watchdog detected hard LOCKUP on cpu %[1]d", repeats: true,
	}
)

// StuckCPU is somebody who computes in the kernel on a CPU for ever, and lets nobody else onto it. With
// IRQsOff it takes no interrupts either. LateTick says that its timer's interrupt is always a little late,
// as on a host that has more to do, so that others see a stall of RCU first. Comm and PID are who.
type StuckCPU struct {
	IRQsOff  bool
	LateTick bool
	Comm     string
	PID      int
}

func (f StuckCPU) fail(m *Machine, x *context) {
	who := x.who
	if f.Comm != "" {
		who = &occupant{comm: f.Comm, pid: kernel.PID(f.PID)}
	}
	if who.task != nil {
		who.task.flags |= taskDying
	}
	m.stick(x.cpu, who, f.IRQsOff)
	m.watchCPU(x.cpu, f.LateTick)
}

// softUnit is what the detector counts in: its clock is shifted, and not divided
// (kernel/watchdog.c, get_timestamp).
const softUnit = 1 << 30 * time.Nanosecond

// watchCPU lets the detectors look at a CPU that is stuck.
func (m *Machine) watchCPU(c *cpu, lateTick bool) {
	if l := &m.kernel.lockup; l.every > 0 && !c.irqsOff {
		// A thread of the CPU was there at the last full second.
		d := &softDetector{cpu: c}
		at := m.now.Truncate(time.Second) + l.every + jiffy
		if l.inUnits {
			d.touched = m.now.Truncate(time.Second) / softUnit
			d.reported = d.touched
			at = (d.touched+l.every/time.Second+1)*softUnit + jiffy
		}
		m.interruptAt(at, c.id, d)
	}
	m.watchCPUByKnobs(c)
	m.watchRCU(c, lateTick)
}

// watchCPUByKnobs is what watches from 2.6.36 on.
func (m *Machine) watchCPUByKnobs(c *cpu) {
	if m.kernel.lockup.every > 0 {
		return
	}
	thresh := time.Duration(m.knobNumber("kernel/watchdog_thresh")) * time.Second
	if thresh > 0 && m.isSet("kernel/watchdog") {
		l := &m.kernel.lockup
		if !c.irqsOff && l.soft != "" && m.isSet("kernel/soft_watchdog") {
			d := &softDetector{cpu: c, period: 2 * thresh / 5, thresh: 2 * thresh}
			// The last tick before found it well.
			tick := m.now / d.period * d.period
			d.touched, d.reported = tick/softUnit, tick/softUnit
			m.interruptAt(tick+d.period, c.id, d)
		}
		if c.irqsOff && l.hard != "" && m.isSet("kernel/nmi_watchdog") {
			// The sample after the next finds that no timer has come meanwhile.
			next := (m.now/thresh + 2) * thresh
			m.raise(next, &hardDetector{cpu: c})
		}
	}
}

// softDetector is the timer of a CPU that looks for soft lockups (watchdog_timer_fn).
type softDetector struct {
	cpu               *cpu
	period, thresh    time.Duration
	touched, reported time.Duration // in softUnit
	said              bool
}

func (d *softDetector) act(m *Machine) {
	if d.cpu.stuck == nil {
		return
	}
	if d.period > 0 {
		m.interruptAt(m.now+d.period, d.cpu.id, d)
	}
	now := m.now / softUnit
	if now <= d.reported+d.thresh/time.Second || d.said && !m.kernel.lockup.repeats {
		return
	}
	d.reported, d.said = now, true
	x := &context{cpu: d.cpu, who: d.cpu.stuck, in: InHardIRQ}
	defer m.in("watchdog_timer_fn")()
	m.printk(m.kernel.lockup.level, fmt.Sprintf(m.kernel.lockup.soft, d.cpu.id, int(now-d.touched),
		x.who.comm, x.who.pid))
	if m.kernel.lockup.every == 0 {
		m.printModules()
	}
	m.showRegs(&context{cpu: d.cpu, who: d.cpu.stuck})
	if m.kernel.lockup.every > 0 {
		return
	}
	if m.isSet("kernel/softlockup_all_cpu_backtrace") {
		m.allCPUBacktrace(x)
	}
	m.addTaint(x, taintSoftLockup)
	if m.kernel.lockup.softPanics && m.isSet("kernel/softlockup_panic") {
		m.panic(x, "softlockup: hung tasks")
	}
}

// hardDetector is the performance counter's NMI of a CPU that looks for hard lockups
// (watchdog_overflow_callback).
type hardDetector struct{ cpu *cpu }

func (d *hardDetector) act(m *Machine) {
	if d.cpu.stuck == nil || d.cpu.stopped {
		return
	}
	x := &context{cpu: d.cpu, who: d.cpu.stuck, in: InNMI}
	defer m.in("watchdog_overflow_callback")()
	m.printk(emergency, fmt.Sprintf(m.kernel.lockup.hard, d.cpu.id))
	m.printModules()
	m.showRegs(&context{cpu: d.cpu, who: d.cpu.stuck})
	if m.isSet("kernel/hardlockup_all_cpu_backtrace") {
		m.allCPUBacktrace(x)
	}
	if m.isSet("kernel/hardlockup_panic") {
		m.nmiPanic(x, "Hard LOCKUP")
	}
}

// allCPUBacktrace lets the other CPUs show where they are (lib/nmi_backtrace.c,
// nmi_trigger_cpumask_backtrace).
func (m *Machine) allCPUBacktrace(x *context) {
	list := m.leftOnline(x.cpu)
	if len(list) == 0 {
		return
	}
	_ = m.backtraceOf(x, list) // where there is no way to, nothing is said
}

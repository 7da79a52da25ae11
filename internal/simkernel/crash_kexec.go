package simkernel

import (
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// crashStep is a step of machine_crash_shutdown. Its name is the kernel's for what it does.
type crashStep string

// The steps.
const (
	crashIRQOff         crashStep = "local_irq_disable"
	crashStopOthers     crashStep = "crash_smp_send_stop"
	crashShootdown      crashStep = "nmi_shootdown_cpus"
	crashNonpanic       crashStep = "machine_crash_nonpanic_core"
	crashVMClear        crashStep = "cpu_crash_vmclear_loaded_vmcss"
	crashVirtualization crashStep = "cpu_emergency_disable_virtualization"
	crashPT             crashStep = "cpu_emergency_stop_pt"
	crashZapLocks       crashStep = "ioapic_zap_locks"
	crashIOAPIC         crashStep = "clear_IO_APIC"
	crashLAPIC          crashStep = "lapic_shutdown"
	crashIRQMode        crashStep = "restore_boot_irq_mode"
	crashHPET           crashStep = "hpet_disable"
	crashEnc            crashStep = "enc_kexec"
	crashSave           crashStep = "crash_save_cpu"
	crashMask           crashStep = "machine_kexec_mask_interrupts"
	crashSays           crashStep = "pr_info"
)

// crashStop is how the other CPUs are stopped so that their registers are kept.
type crashStop uint8

// The ways.
const (
	crashStopNone  crashStop = iota // there is no such thing: only smp_send_stop
	crashStopNMI                    // x86: kdump_nmi_shootdown_cpus
	crashStopIPI                    // ARM: they leave the CPUs that are online
	crashStopARM64                  // they stay, and it is said
)

// machine_crash_shutdown by version [Kernel 2.51, 2.57, 2.59].
var (
	crash26 = []crashStep{crashIRQOff, crashShootdown, crashLAPIC, crashIOAPIC, crashSave}
	crash4  = []crashStep{
		crashIRQOff, crashStopOthers, crashVMClear, crashVirtualization, crashPT, crashZapLocks,
		crashIOAPIC, crashLAPIC, crashIRQMode, crashHPET, crashSave,
	}
	crash6 = []crashStep{
		crashIRQOff, crashStopOthers, crashVirtualization, crashPT, crashZapLocks, crashIOAPIC,
		crashLAPIC, crashIRQMode, crashHPET, crashSave,
	}
	crash612 = []crashStep{
		crashIRQOff, crashStopOthers, crashVirtualization, crashPT, crashZapLocks, crashIOAPIC,
		crashLAPIC, crashIRQMode, crashHPET, crashEnc, crashSave,
	}
	crashARM   = []crashStep{crashIRQOff, crashNonpanic, crashSave, crashMask, crashSays}
	crashARM64 = []crashStep{crashIRQOff, crashStopOthers, crashSave, crashMask, crashSays}
)

// crashBound is how long the other CPUs are waited for: 1000 times a millisecond.
const crashBound = time.Second

// kexecShouldCrash says whether an oops itself starts the crash kernel (kernel/kexec_core.c,
// kexec_should_crash).
func (m *Machine) kexecShouldCrash(x *context) bool {
	if m.kernel.kexecs.post && m.postNotifiers() {
		return false
	}
	t := x.who.task
	return x.in != InTask || x.who.pid == 0 || t != nil && m.globalInit(t.lead) ||
		m.isSet("kernel/panic_on_oops")
}

// postNotifiers is crash_kexec_post_notifiers.
func (m *Machine) postNotifiers() bool {
	return m.attrIsSet(moduleOfKernel + "crash_kexec_post_notifiers")
}

// crashKexec is how an oops starts the crash kernel (kernel/kexec_core.c, crash_kexec). A CPU comes
// too late if there is a panic under way, even its own.
func (m *Machine) crashKexec(x *context) {
	defer m.in("crash_kexec")()
	d := &m.dying
	if m.kernel.kexecs.owns {
		if d.owner != nil {
			return
		}
		d.owner = x.cpu
	}
	m.crashKexecAny(x, m.faultRegisters(x))
	if m.kernel.kexecs.owns && !x.over(m) {
		// A later panic() must be able to have it.
		d.owner = nil
	}
}

// crashKexecAny starts the kernel that is loaded for this, if there is one
// (kernel/kexec_core.c, __crash_kexec). It comes back if there is none, and if somebody is just
// loading one: then nothing is dumped, and nobody told. What is kept of this CPU are the registers that
// are given, or those of this place.
func (m *Machine) crashKexecAny(x *context, regs kexec.Regs) {
	k := m.kexecs.state
	if k == nil || x.over(m) {
		return
	}
	defer m.in("__crash_kexec")()
	if !k.TryLock() {
		return
	}
	defer k.Unlock()
	im := k.Image(kexec.CrashImage)
	if im == nil {
		return
	}
	m.trace("crash_setup_regs", "")
	if regs == nil {
		regs = m.registers(x.cpu, x.who, atKexec, x.cpu.irqsOff || x.irqsOff || x.in == InHardIRQ || x.in == InNMI)
	}
	m.kexecs.regs = regs
	k.SaveInfo(m.cfg.Epoch.Add(m.now + m.wallJump).Unix())
	m.trace("crash_save_vmcoreinfo", "")
	m.machineCrashShutdown(x)
	if x.over(m) {
		return
	}
	if m.warnOfStale(x); x.over(m) {
		return
	}
	m.diesOf(End{How: Panicked, Text: "Oops"})
	m.kexecs.crashed = true
	m.machineKexec(im, m.onlineCPUs())
	if !x.over(m) {
		m.kexecs.crashed = false
	}
}

// machineCrashShutdown is machine_crash_shutdown.
func (m *Machine) machineCrashShutdown(x *context) {
	defer m.in("machine_crash_shutdown")()
	for _, s := range m.kernel.kexecs.shutdown {
		m.trace("machine_crash_shutdown", string(s))
		out := m.in(string(s))
		m.crashStep(x, s)
		out()
		if x.over(m) {
			return
		}
	}
}

// crashStep does one step. Those of devices the model does not have are only named.
func (m *Machine) crashStep(x *context, s crashStep) {
	switch s {
	case crashIRQOff:
		x.cpu.irqsOff = true
	case crashStopOthers:
		m.crashSMPSendStop(x)
	case crashShootdown:
		m.nmiShootdownCPUs(x, m.kdumpNMICallback)
	case crashNonpanic:
		m.crashNonpanic(x)
	case crashLAPIC:
		x.cpu.deaf = true
	case crashSave:
		m.crashSaveCPU(x.cpu, x.who, m.kexecs.regs)
	case crashSays:
		says := "Loading crashdump kernel..."
		if m.kernel.arch == archARM64 {
			says = "Starting crashdump kernel..."
		}
		m.printk(kernel.Info, says)
	case crashVMClear, crashVirtualization, crashPT, crashZapLocks, crashIOAPIC, crashIRQMode,
		crashHPET, crashEnc, crashMask:
	}
}

// crashSMPSendStop stops the other CPUs so that their registers are kept (crash_smp_send_stop). It
// does so once: a panic that has done it before its notifiers does not when it starts the crash
// kernel after them.
func (m *Machine) crashSMPSendStop(x *context) {
	if m.dying.stopsSent {
		return
	}
	m.dying.stopsSent = true
	switch m.kernel.kexecs.stop {
	case crashStopNone:
		m.smpSendStop(x)
	case crashStopNMI:
		m.nmiShootdownCPUs(x, m.kdumpNMICallback)
		x.cpu.deaf = true
	case crashStopIPI:
		m.crashNonpanic(x)
	case crashStopARM64:
		m.crashStopARM64(x)
	}
}

// kdumpNMICallback is what a CPU does that has been shot (arch/x86/kernel/crash.c,
// kdump_nmi_callback).
func (m *Machine) kdumpNMICallback(c *cpu) {
	m.crashSaveOther(c)
	c.deaf = true
}

// nmiShootdownCPUs stops the others by an NMI (arch/x86/kernel/reboot.c, nmi_shootdown_cpus). It is
// waited for a second at most, and nothing is said of those that did not answer. Those that did are
// still online for the rest of the kernel. It can be done once: afterwards they listen no more.
func (m *Machine) nmiShootdownCPUs(x *context, callback func(c *cpu)) {
	defer m.in("nmi_shootdown_cpus")()
	d := &m.dying
	x.cpu.irqsOff = true
	if d.ipiIssued && m.kernel.kexecs.once {
		WarnCall{Once: true, At: Place{
			File: "arch/x86/kernel/reboot.c", Line: m.kernel.kexecs.onceLine, Function: "nmi_shootdown_cpus",
		}}.fail(m, x)
		return
	}
	if m.kernel.kexecs.registers && m.cfg.Panic.NoNMIHandler {
		return
	}
	d.ipiIssued = true
	waiting := 0
	m.others(x.cpu, func(c *cpu) {
		waiting++
		// One that is in an NMI gets no other, unless it looks for this one itself.
		if c.inNMI && !c.polls || c.shot {
			return
		}
		if callback != nil {
			callback(c)
		}
		waiting--
		c.shot = true
		m.halt(c)
	})
	if waiting > 0 {
		m.mdelay(crashBound)
	}
}

// crashNonpanic stops the others by an interrupt of which ARM's CPUs do not return
// (arch/arm/kernel/machine_kexec.c, machine_crash_nonpanic_core). They leave the CPUs that are
// online.
func (m *Machine) crashNonpanic(x *context) {
	waiting := 0
	m.others(x.cpu, func(c *cpu) {
		if !c.takesInterrupts() {
			waiting++
			return
		}
		m.printk(kernel.Debug, "CPU "+strconv.Itoa(c.id)+
			" will stop doing anything useful since another CPU has crashed")
		m.crashSaveOther(c)
		m.halt(c)
		c.online = false
	})
	if waiting == 0 {
		return
	}
	m.mdelay(crashBound)
	if !x.over(m) {
		m.printk(kernel.Warning, "Non-crashing CPUs did not react to IPI")
	}
}

// crashStopARM64 is arm64's crash_smp_send_stop (arch/arm64/kernel/smp.c). At its end, whether or not
// there was anybody to stop, the firmware is told to send this CPU no events (SDEI): the model's
// firmware has none.
func (m *Machine) crashStopARM64(x *context) {
	m.crashStopOthersARM64(x)
	if !x.over(m) {
		m.in("sdei_mask_local_cpu")()
	}
}

func (m *Machine) crashStopOthersARM64(x *context) {
	others := m.leftOnline(x.cpu)
	if len(others) == 0 {
		return
	}
	m.printk(critical, "SMP: stopping secondary CPUs")
	var left []string
	m.others(x.cpu, func(c *cpu) {
		if !c.takesInterrupts() {
			left = append(left, strconv.Itoa(c.id))
			return
		}
		m.crashSaveOther(c)
		m.halt(c)
	})
	if len(left) == 0 {
		return
	}
	m.mdelay(crashBound)
	if !x.over(m) {
		m.printk(kernel.Warning, "SMP: failed to stop secondary CPUs "+cpuList(left))
		m.dying.stopFailed = true
	}
}

// warnOfStale is how arm64's machine_kexec complains of CPUs that were not stopped: by a whole WARN(),
// which panic_on_warn and warn_limit make another panic of (arch/arm64/kernel/machine_kexec.c).
func (m *Machine) warnOfStale(x *context) {
	if !m.dying.stopFailed {
		return
	}
	defer m.in("machine_kexec")()
	WarnCall{Text: "Some CPUs may be stale, kdump will be unreliable.", At: Place{
		File: "arch/arm64/kernel/machine_kexec.c", Line: 184, Function: "machine_kexec",
	}}.fail(m, x)
}

// cpuList is how the kernel prints a set of CPUs: ranges (lib/vsprintf.c, %*pbl).
func cpuList(cpus []string) string {
	text, first, last := "", -2, -2
	end := func() {
		if last > first {
			text += "-" + strconv.Itoa(last)
		}
	}
	for _, s := range cpus {
		n, _ := strconv.Atoi(s)
		if n == last+1 {
			last = n
			continue
		}
		end()
		if text != "" {
			text += ","
		}
		text += s
		first, last = n, n
	}
	end()
	return text
}

// How each version starts other kernels.
var (
	starts26 = kexecProfile{
		arch: kexec.I386, rules: kexec.RulesOf(kexec.I386, 2, 6), shutdown: crash26,
		files: kexecLoaded,
	}
	starts3 = kexecProfile{
		arch: kexec.ARM, rules: kexec.RulesOf(kexec.ARM, 3, 10), shutdown: crashARM,
		files: kexecCrashSize,
	}
	startsMIPS = kexecProfile{
		arch: kexec.MIPS, rules: kexec.RulesOf(kexec.MIPS, 3, 10), files: kexecCrashSize,
	}
	starts4 = kexecProfile{
		arch: kexec.X8664, rules: kexec.RulesOf(kexec.X8664, 4, 19), shutdown: crash4,
		stop: crashStopNMI, once: true, registers: true, owns: true, post: true, marks: true, finds: true,
		files: kexecCrashSize,
	}
)

// of is the same in a later version.
func (p kexecProfile) of(major, minor int) kexecProfile {
	p.rules = kexec.RulesOf(p.arch, major, minor)
	return p
}

// crashing is the same with another machine_crash_shutdown.
func (p kexecProfile) crashing(steps []crashStep) kexecProfile {
	p.shutdown, p.registers = steps, false
	return p
}

// onARM64 is the same on arm64.
func (p kexecProfile) onARM64(major, minor int) kexecProfile {
	p.arch, p.stop, p.exact = kexec.ARM64, crashStopARM64, true
	return p.of(major, minor).crashing(crashARM64)
}

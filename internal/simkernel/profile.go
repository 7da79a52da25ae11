package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/esr"
)

// arch is the architecture that a kernel is built for.
type arch uint8

const (
	archX86 arch = iota
	archARM
	archARM64
	archMIPS
)

// profile is a kernel: what differs between versions and architectures, as data. A version more
// is an entry more.
type profile struct {
	name string
	arch arch
	// The ways down [Kernel 5.15 to 5.20].
	restart, halt, powerOff, kexec []stage
	// says is the kernel's last words, and prefix is before other lines of theirs
	// [Kernel 5.21].
	says   words
	prefix string
	// states are the values of system_state, in order [Kernel 5.23].
	states []SystemState
	// reasons are what kmsg_dump is told for a restart, a halt and a power-off
	// [Kernel 5.22]. Without them it is not called.
	reasons []DumpReason
	// fallback says that a power-off without a method is remembered [Kernel 5.5].
	fallback bool
	// sysOff says that powering off is a chain of handlers and not a pointer [Kernel 5.29].
	sysOff bool
	// restartHandlers says that machine_restart calls them [Kernel 5.36, 5.37].
	restartHandlers bool
	// failsAfter is how long machine_restart waits before it says that it failed
	// [Kernel 5.37].
	saysFailed bool
	failsAfter time.Duration
	// saysRestart is x86's word of its own [Kernel 5.36].
	saysRestart bool
	// haltReturns says that machine_halt comes back [Kernel 5.41].
	haltReturns bool
	// noMethod says that the firmware has none to power off.
	noMethod bool
	// powerOffAlive says that machine_power_off stops nothing before it tries
	// [Kernel 5.52].
	powerOffAlive bool
	// warnsIRQs says that do_exit warns where interrupts are off [Kernel 5.50].
	warnsIRQs bool
	// deadlocks says that reboot(2) and hibernate take the same lock [Kernel 5.13].
	deadlocks bool
	// sysfs says that there is /sys/kernel/reboot [Kernel 5.67].
	sysfs bool
	// panicModes says that reboot= knows panic_ [Kernel 5.72].
	panicModes bool
	// limitsCPU says that reboot= refuses a CPU that cannot be [Kernel 5.71].
	limitsCPU bool
	// protects says that there is hw_protection_shutdown, and protectsBy that it can
	// reboot, too [Kernel 5.64 to 5.66].
	protects, protectsBy bool
	// emergencyState and emergencyDump say what emergency_restart does besides
	// [Kernel 5.43].
	emergencyState, emergencyDump bool
	// starting and startingLevel are what kexec says [Kernel 5.26].
	starting      string
	startingLevel kernel.Level
	// kexecCommand is what kexec tells the notifiers.
	kexecCommand string
	// kexecs is how other kernels are loaded and started, after a crash, too.
	kexecs kexecProfile

	// release and version are what uname(2) says.
	release, version string
	// panic is panic(), and stop how it stops the other CPUs. deafAlone says that a CPU turns
	// its interrupt controller off even if it is the only one.
	panic     panicProfile
	stop      stopProfile
	deafAlone bool
	// dump is what a stack dump looks like, offset who says where the kernel is, and taints
	// how many flags there are.
	dump   dumpProfile
	offset *kernelOffset
	taints int
	// readsKmsg says that /dev/kmsg can be read, from 3.5 on.
	readsKmsg bool
	// saysFault says that a program's segmentation fault is told of, as i386 does not up to 2.6.24, and
	// saysWhere that it is with its CPU: from 6.2 on, and in Debian's 6.1.
	saysFault, saysWhere bool
	// stopsAtPowerOff says that the watchdogs' notifier stops them at a power-off, too.
	stopsAtPowerOff bool
	// exceptions is what an arm64 kernel does about them, and idleWarn where it complains of one
	// that has no end.
	exceptions esr.Version
	idleWarn   Place
	// stack is what is made of one that is full, and sysrq the keys.
	stack stackProfile
	sysrq sysrqProfile
	// nmi is what is said of an NMI that nobody has asked for.
	nmi nmiProfile
	// The detectors.
	lockup lockupProfile
	rcu    rcuProfile
	hung   hungProfile
	oom    oomProfile
	// die is die(), warn WARN(), exit what becomes of a task that they kill, and initDeath of
	// the machine when it is PID 1.
	die       dieProfile
	warn      warnProfile
	exit      exitProfile
	initDeath initDeathProfile
	noInit    noInitProfile
	endTrace  endTrace
	// panicOnTaint says that there is such an argument, and backtraces that there is a way
	// to get one from a CPU that has interrupts off.
	panicOnTaint, backtraces bool
	// doubleFault is what happens at one, stackProtector the panic's text if a function's stack
	// is overwritten, and guessesAddress says that the kernel says what a general protection
	// fault was.
	doubleFault    doubleFault
	stackProtector string
	guessesAddress bool
	// oneSwapper says that all idle tasks have the same name.
	oneSwapper bool
}

// words are what a kernel says at the end of its ways down.
type words struct {
	restart  string
	with     [2]string // around the command
	halt     string
	instead  string // of a power-off for which there is no method
	powerOff string
}

var (
	words3 = words{
		restart:  "Restarting system.",
		with:     [2]string{"Restarting system with command '", "'."},
		halt:     "System halted.",
		powerOff: "Power down.",
	}
	words4 = words{
		restart:  "reboot: Restarting system",
		with:     [2]string{"reboot: Restarting system with command '", "'"},
		halt:     "reboot: System halted",
		instead:  "reboot: Power off not available: System halted instead",
		powerOff: "reboot: Power down",
	}
)

// The ways down by version [Kernel 5.15 to 5.20].
var (
	restart26 = []stage{
		stageNotifiers, stageSystemState, stageDeviceShutdown, stageSyscore, stageMessage,
		stageMachine,
	}
	down3 = []stage{
		stageNotifiers, stageSystemState, stageUsermodehelper, stageDeviceShutdown,
		stageMigrate, stageSyscore, stageMessage, stageKmsgDump, stageMachine,
	}
	prepared = []stage{
		stageNotifiers, stageSystemState, stageUsermodehelper, stageDeviceShutdown,
		stagePrepare, stageMigrate, stageSyscore, stageMessage, stageKmsgDump, stageMachine,
	}
	powerOff26 = []stage{
		stageNotifiers, stageSystemState, stageDeviceShutdown, stagePrepare, stageSyscore,
		stageMessage, stageMachine,
	}
	kexec26 = []stage{
		stageNotifiers, stageSystemState, stageDeviceShutdown, stageMessage, stageMachine,
	}
	kexec3 = []stage{
		stageNotifiers, stageSystemState, stageUsermodehelper, stageDeviceShutdown,
		stageMigrate, stageMessage, stageMachine,
	}
	kexec5 = []stage{
		stageNotifiers, stageSystemState, stageUsermodehelper, stageDeviceShutdown,
		stageMigrate, stageSyscore, stageMessage, stageMachine,
	}
	kexec6 = []stage{
		stageNotifiers, stageSystemState, stageUsermodehelper, stageDeviceShutdown,
		stageMigrate, stageSyscore, stageMessage, stageKmsgDump, stageMachine,
	}

	states26 = []SystemState{Booting, SystemRunning, SystemHalt, SystemPowerOff, SystemRestart}
	states4  = []SystemState{
		Booting, Scheduling, SystemRunning, SystemHalt, SystemPowerOff, SystemRestart,
	}
	states6 = []SystemState{
		Booting, Scheduling, FreeingInitmem, SystemRunning, SystemHalt, SystemPowerOff,
		SystemRestart, SystemSuspend,
	}

	reasonsByKind = []DumpReason{DumpRestart, DumpHalt, DumpPowerOff}
	reasonsOne    = []DumpReason{DumpShutdown, DumpShutdown, DumpShutdown}
)

// linux26 is 2.6.17 to 2.6.24.
func linux26(name string) profile {
	return profile{
		name: name, arch: archX86,
		restart: restart26, halt: restart26, powerOff: powerOff26, kexec: kexec26,
		says: words3, states: states26, haltReturns: true,
		starting: "Starting new kernel",
		kexecs:   starts26,
		panic:    panic26, stop: stop26, dump: dump26, taints: 8,
		lockup: lockup2617, oom: oom2617, sysrq: sysrq2617,
		die: die2617, warn: warn2617, initDeath: initDeath2617, noInit: noInit26,
		oneSwapper: true, doubleFault: doubleFaultSpins, nmi: nmi2617,
	}
}

// linux2624 is 2.6.24.
func linux2624(name string) profile {
	p := linux26(name)
	p.die, p.warn, p.initDeath, p.noInit = die2624, warn2624, initDeath2624, noInit2624
	p.endTrace, p.nmi, p.sysrq = endTraceSame, nmi2624, sysrq2624
	p.oom, p.lockup = oom2624, lockup2624
	return p
}

// linux3 is 3.10.
func linux3(name string, a arch) profile {
	p := profile{
		name: name, arch: a, readsKmsg: true,
		panic: panic3, taints: 13, dump: dumpARM, stop: stopARM,
		lockup: lockup3, rcu: rcu3, hung: hung3, oom: oom3, sysrq: sysrq3,
		restart: down3, halt: down3, powerOff: prepared, kexec: kexec3,
		says: words3, states: states26, reasons: reasonsByKind, emergencyDump: true,
		starting: "Starting new kernel",
		kexecs:   starts3,
		die:      dieARM, warn: warn3, initDeath: initDeath3, noInit: noInit3, endTrace: endTraceCounts,
		stackProtector: "stack-protector: Kernel stack is corrupted in: 80000000\n",
	}
	if a == archMIPS {
		p.kexecs = startsMIPS
		p.dump, p.stop, p.die = dumpMIPS, stopMIPS, dieMIPS
	}
	return p
}

// linux4 is 4.19.
func linux4(name string, a arch) profile {
	p := linux3(name, a)
	p.says, p.prefix, p.states = words4, "reboot: ", states4
	p.restartHandlers = a != archX86
	p.deadlocks = true
	p.kexecs = starts4
	if a == archARM64 {
		p.kexecs = starts4.onARM64(4, 19)
	}
	p.starting = "kexec_core: Starting new kernel"
	p.panic, p.taints = panic4, 18
	p.lockup, p.rcu, p.hung, p.oom = lockup4, rcu4, hung4, oom4
	p.dump, p.stop, p.offset = dump4, stopX86, offsetX86
	p.deafAlone = true
	p.die, p.warn, p.noInit = die4, warn4, noInit4
	p.stackProtector = "stack-protector: Kernel stack is corrupted in: {sym}"
	p.backtraces, p.doubleFault = true, doubleFaultPanics
	p.sysrq, p.nmi = sysrq4, nmi4
	if a == archX86 {
		p.stack = stack4
	}
	if a == archARM64 {
		p.stop, p.offset = stopARM64, offsetARM64
		p.deafAlone, p.backtraces, p.doubleFault = false, false, doubleFaultNone
	}
	return p
}

// linux5 is 5.10.
func linux5(name string, a arch) profile {
	p := linux4(name, a)
	p.reasons = reasonsOne
	p.panic, p.hung, p.oom = panic5, hung5, oom5
	p.kexecs = p.kexecs.of(5, 10)
	p.kexec = kexec5
	p.startingLevel, p.kexecCommand = notice, "kexec reboot"
	p.panicModes, p.limitsCPU, p.emergencyState = true, true, true
	p.die, p.warn, p.exit, p.initDeath, p.noInit = die5, warn5, exit5, initDeath5, noInit5
	p.panicOnTaint, p.guessesAddress = true, true
	if a == archX86 {
		p.doubleFault, p.stack = doubleFaultDies, stack5
	}
	p.sysrq = sysrq5
	return p
}

// linux6 is 6.1.
func linux6(name string, a arch) profile {
	p := linux5(name, a)
	p.restart, p.kexec, p.states = prepared, kexec6, states6
	p.panic, p.lockup, p.rcu, p.hung = panic6, lockup6, rcu6, hung6
	p.exit, p.endTrace, p.taints = exit6, endTraceZero, 19
	p.kexecs = p.kexecs.of(6, 1)
	if a == archX86 {
		p.kexecs = p.kexecs.crashing(crash6)
		p.kexecs.onceLine = 897
	}
	if a == archX86 {
		p.dump, p.die, p.stack, p.nmi = dump6, die6, stack6, nmi6
	}
	p.sysOff, p.warnsIRQs, p.sysfs, p.protects, p.saysWhere = true, true, true, true, true
	return p
}

// linux612 is 6.12.
func linux612(name string, a arch) profile {
	p := linux6(name, a)
	p.fallback, p.hung, p.panic, p.oom = true, hung612, panic612, oom612
	p.stopsAtPowerOff, p.rcu, p.lockup = true, rcu612, lockup612
	p.sysrq, p.noInit = sysrq612, noInit612
	p.kexecs = p.kexecs.of(6, 12)
	p.kexecs.exact = true
	if a == archX86 {
		p.kexecs = p.kexecs.crashing(crash612)
		p.kexecs.onceLine = 920
	}
	if a == archX86 {
		p.dump, p.die = dump612, die612
	}
	return p
}

// linux7 is 7.2.
func linux7(name string, a arch) profile {
	p := linux612(name, a)
	p.restartHandlers, p.protectsBy = true, true
	p.panic, p.lockup, p.die, p.warn, p.taints = panic7, lockup7, die7, warn7, 20
	p.kexecs = p.kexecs.of(7, 2)
	p.kexecs.files, p.kexecs.onceLine = kexecDirectory, 0
	return p
}

// release is what a kernel calls itself.
func release(p profile, release, version string) profile {
	p.release, p.version = release, version
	return p
}

// onPC is an x86 kernel from 3.x on.
func onPC(p profile) profile {
	p.saysRestart, p.saysFault = true, true
	return p
}

// onARM is a kernel that says when it could not restart, after a time.
func onARM(p profile, after time.Duration) profile {
	p.saysFailed, p.failsAfter = true, after
	return p
}

// onWatchdog is a board whose machine_restart is its watchdog, and which can neither halt nor power
// off.
func onWatchdog(p profile) profile {
	p.haltReturns, p.powerOffAlive, p.noMethod = true, true, true
	return p
}

// profiles are all kernels. The first is the one that a machine has if it is not asked for another.
var profiles = []profile{
	release(onPC(linux6("linux-6.1-x86_64", archX86)), "6.1.0", "#1 SMP PREEMPT_DYNAMIC"),
	release(linux26("linux-2.6.17-i386"), "2.6.17", "#1"),
	release(linux2624("linux-2.6.24-i386"), "2.6.24", "#1"),
	release(onARM(linux3("linux-3.10-arm", archARM), time.Second), "3.10.105", "#1"),
	release(onWatchdog(linux3("linux-3.10-mips-wdt", archMIPS)), "3.10.105", "#1"),
	release(onPC(linux4("linux-4.19-x86_64", archX86)), "4.19.0", "#1"),
	release(onPC(linux5("linux-5.10-x86_64", archX86)), "5.10.0", "#1 SMP"),
	exceptions(release(onARM(linux5("linux-5.10-arm64", archARM64), 0), "5.10.0", "#1 SMP"), esr.Linux510, idleWarn510),
	exceptions(release(onARM(linux6("linux-6.1-arm64", archARM64), 0), "6.1.0", "#1 SMP"), esr.Linux61, idleWarn61),
	release(onPC(linux612("linux-6.12-x86_64", archX86)), "6.12.0", "#1 SMP PREEMPT_DYNAMIC"),
	release(onPC(linux7("linux-7.2-x86_64", archX86)), "7.2.0", "#1 SMP PREEMPT(lazy)"),
}

// Kernels are the names that Config.Kernel may have.
func Kernels() []string {
	names := make([]string, len(profiles))
	for i := range profiles {
		names[i] = profiles[i].name
	}
	return names
}

// profileOf finds a kernel by its name.
func profileOf(name string) *profile {
	if name == "" {
		return &profiles[0]
	}
	for i := range profiles {
		if profiles[i].name == name {
			return &profiles[i]
		}
	}
	panic("simkernel: no kernel is named " + name)
}

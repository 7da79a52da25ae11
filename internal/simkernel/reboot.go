package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// The magic numbers of reboot(2), and the commands that PID 1 does not use
// (include/uapi/linux/reboot.h).
const (
	RebootMagic1  = 0xfee1dead
	RebootMagic2  = 0x28121969
	RebootMagic2A = 0x05121996
	RebootMagic2B = 0x16041998
	RebootMagic2C = 0x20112000

	SWSuspend kernel.RebootCmd = 0xD000FCE2
	Kexec     kernel.RebootCmd = 0x45584543
)

// maxRebootArg is where RESTART2's argument is cut (kernel/reboot.c, a buffer of 256 bytes).
const maxRebootArg = 255

// RebootConfig is what reboot(2) meets on its way down. The zero value is a machine without
// drivers, which its firmware can reset and power off.
type RebootConfig struct {
	// Notifiers are reboot_notifier_list, in the order of registration, as all of these are.
	Notifiers []Notifier
	// Devices and Syscore are shut down in the reverse order.
	Devices []Device
	Syscore []Syscore
	// RestartHandlers are those of register_restart_handler. On ARM the firmware has
	// registered one of priority 129 before them. x86 calls them from 7.x on only.
	RestartHandlers []Notifier
	// RestartPrepare, PowerOffPrepare and PowerOffHandlers are sys-off handlers. Before 6.0
	// there is but the last of PowerOffPrepare, as pm_power_off_prepare, and none of the
	// others.
	RestartPrepare, PowerOffPrepare, PowerOffHandlers []Notifier
	// PMPowerOff is pm_power_off, if a driver has set it.
	PMPowerOff *Notifier
	// NoPowerOff says that the firmware has no method to power off, as without ACPI.
	NoPowerOff bool
	// CPUs is how many there can be: 1 if zero. OfflineCPUs are not there now.
	CPUs        int
	OfflineCPUs []int
	// Image says what has been loaded for KEXEC before PID 1 runs, and Hibernation what for SW_SUSPEND.
	Image       KexecImage
	Hibernation Hibernation
	// SingleThreaded says that PID 1 has one thread, if it has no others in Config.Threads. A
	// program written in Go has several.
	SingleThreaded bool
	// Trace, if set, is told every step of a way down: the name of the kernel's function or
	// list, and what it is about.
	Trace func(at time.Duration, step, what string)
}

// KexecImage says whether a kernel has been loaded by kexec_load(2).
type KexecImage uint8

// The answers.
const (
	NoImage     KexecImage = iota
	ImageLoaded            // and it is started
	ImageLocked            // somebody is loading one
)

// Hibernation says whether the machine can hibernate.
type Hibernation uint8

// The answers.
const (
	NotBuilt  Hibernation = iota // CONFIG_HIBERNATION=n
	Forbidden                    // nohibernate, or lockdown
	Built                        // but there is no swap to write to
)

// rebootState is what a machine remembers of all this.
type rebootState struct {
	state SystemState
	words End // the last: Text and Arg

	cad       int // C_A_D
	cadPID    *process
	cadQueued bool

	// The knobs of reboot= and /sys/kernel/reboot.
	mode, panicMode RebootMode
	method          ResetMethod
	cpu             int
	force           bool

	acpiOff, initcallDebug bool

	transition     transition
	umh            usermodehelper
	fallback       bool // poweroff_fallback_to_halt
	powerOffCmd    string
	orderlyOff     orderlyWork
	orderlyRestart orderlyWork
	protection     protection
	cycled         bool // the reset took the memory's power away
}

// transition is system_transition_mutex, and what its holder does.
type transition struct {
	holder  *process // nil: free
	begun   bool
	way     wayDown
	waiters []*process
}

// setUpReboot gives all that its start.
func (m *Machine) setUpReboot() {
	m.reboot.cad, m.reboot.cadPID = 1, m.init
	m.reboot.powerOffCmd = "/sbin/poweroff"
	m.setUpRebootMode()
}

// checkReboot is what reboot(2) looks at before it takes the lock. The order is that of
// kernel/reboot.c: who asks, the magic numbers, the namespace, and whether there is a method to
// power off.
func (m *Machine) checkReboot(p *process, s *Reboot) kernel.Errno {
	// ns_capable: in the user namespace that the process's PID namespace belongs to.
	if !p.capable(CapSysBoot) {
		return kernel.EPERM
	}
	if e := m.fault(callReboot); e != 0 {
		return e
	}
	if !rightMagic(s.Magic1, s.Magic2) {
		return kernel.EINVAL
	}
	if m.cfg.Namespace || p.ns != m.root {
		return 0
	}
	if s.Cmd == kernel.PowerOff && !m.canPowerOff() {
		m.reboot.fallback = m.kernel.fallback
		s.Cmd = kernel.Halt
	}
	return 0
}

// rightMagic reports whether the magic numbers are right. 0 stands for the right one.
func rightMagic(one, two uint32) bool {
	if one != 0 && one != RebootMagic1 {
		return false
	}
	switch two {
	case 0, RebootMagic2, RebootMagic2A, RebootMagic2B, RebootMagic2C:
		return true
	}
	return false
}

// rebootNamespace is what reboot(2) does in a PID namespace (kernel/pid_namespace.c,
// reboot_pid_ns): PID 1 is killed, and its parent sees a signal that says why. The caller ends.
func (m *Machine) rebootNamespace(p *process, cmd kernel.RebootCmd) kernel.Errno {
	if p.ns != m.root {
		return m.rebootPIDNS(p, cmd)
	}
	e := End{Status: kernel.WaitStatus(syscall.SIGINT)}
	switch cmd {
	case kernel.Restart, kernel.Restart2:
		e.How, e.Status = Restarted, kernel.WaitStatus(syscall.SIGHUP)
	case kernel.Halt:
		e.How = Halted
	case kernel.PowerOff:
		e.How = PoweredOff
	default:
		return kernel.EINVAL
	}
	m.finish(e)
	if p != m.init {
		m.exit(p, 0)
	}
	return 0
}

// outcome is how a call of reboot(2) goes on.
type outcome uint8

const (
	answered outcome = iota // with an errno, or 0
	goesDown                // transition.way is to be gone
	blocked                 // in D, for ever
)

// command carries out a command for who holds the lock (kernel/reboot.c, the switch).
func (m *Machine) command(s *Reboot) (outcome, kernel.Errno) {
	t := &m.reboot.transition
	t.begun = true
	switch s.Cmd {
	case kernel.CadOn, kernel.CadOff:
		m.reboot.cad = 0
		if s.Cmd == kernel.CadOn {
			m.reboot.cad = 1
		}
		return answered, 0
	case kernel.Restart:
		t.way = m.kernelRestart()
	case kernel.Restart2:
		if s.BadArg {
			return answered, syscall.EFAULT
		}
		arg, _, _ := strings.Cut(s.Arg, "\x00")
		t.way = m.kernelRestartWith(arg[:min(len(arg), maxRebootArg)])
	case kernel.Halt:
		t.way = m.kernelHalt()
	case kernel.PowerOff:
		t.way = m.kernelPowerOff()
	case Kexec:
		return m.kernelKexec()
	case SWSuspend:
		return m.hibernate()
	default:
		return answered, kernel.EINVAL
	}
	return goesDown, 0
}

// kernelKexec starts the loaded kernel (kernel/kexec_core.c, kernel_kexec).
func (m *Machine) kernelKexec() (outcome, kernel.Errno) {
	k := m.kexec()
	switch {
	case !k.TryLock():
		return answered, syscall.EBUSY
	case k.Image(kexec.NormalImage) == nil:
		k.Unlock()
		return answered, kernel.EINVAL
	}
	m.reboot.transition.way = wayDown{kind: toKexec, stages: m.kernel.kexec}
	return goesDown, 0
}

// hibernate answers SW_SUSPEND (kernel/power/hibernate.c, hibernate). Since 4.19 it takes the lock
// that reboot(2) already holds.
func (m *Machine) hibernate() (outcome, kernel.Errno) {
	switch m.cfg.Reboot.Hibernation {
	case NotBuilt:
		return answered, kernel.EINVAL
	case Forbidden:
		return answered, kernel.EPERM
	case Built:
	}
	if m.kernel.deadlocks {
		return blocked, 0
	}
	return answered, syscall.ENODEV
}

// unlockTransition lets the next one have the lock.
func (m *Machine) unlockTransition() {
	t := &m.reboot.transition
	t.holder, t.begun, t.way = nil, false, wayDown{}
	waiters := t.waiters
	t.waiters = nil
	for _, p := range waiters {
		if p == m.init {
			m.post(m.now, tick{})
		} else {
			m.wake(p)
		}
	}
}

// do calls reboot(2) in a process. It waits in D: for the lock, and for the devices.
func (s Reboot) do(m *Machine, p *process) verdict {
	t := &m.reboot.transition
	if !p.frame.begun {
		if e := m.checkReboot(p, &s); e != 0 {
			m.exit(p, kernel.WaitStatus(e)<<8)
			return gone
		}
		if m.cfg.Namespace || p.ns != m.root {
			if e := m.rebootNamespace(p, s.Cmd); e != 0 {
				m.exit(p, kernel.WaitStatus(e)<<8)
			}
			return gone
		}
		p.frame.begun = true
	} else if s.Cmd == kernel.PowerOff && !m.canPowerOff() {
		s.Cmd = kernel.Halt
	}
	if t.holder == nil {
		t.holder = p
	}
	if t.holder != p {
		t.waiters = append(t.waiters, p)
		m.setState(p, Uninterruptible)
		return again
	}
	if !t.begun {
		switch o, e := m.command(&s); {
		case o == blocked:
			t.way.until = kernel.Never
		case o == goesDown:
			t.way.process = p
		default:
			m.unlockTransition()
			if e != 0 {
				m.exit(p, kernel.WaitStatus(e)<<8)
				return gone
			}
			return done
		}
	}
	switch m.proceed(&t.way) {
	case underWay:
		if t.way.queued {
			p.flags |= taskDying
			m.setState(p, Running)
			return again
		}
		m.sleepUntil(p, t.way.until, Uninterruptible)
		return again
	case cameBack:
		return m.leaveReboot(p)
	case ended:
	}
	return gone
}

// leaveReboot is when the kernel could not do what it was asked. A restart returns to the caller;
// halting and powering off end it, with the lock held (kernel/reboot.c, the calls of do_exit).
func (m *Machine) leaveReboot(p *process) verdict {
	w := &m.reboot.transition.way
	if w.kind == toRestart {
		m.unlockTransition()
		return done
	}
	if w.dead {
		m.warnIRQs(p)
		m.hang()
		return gone
	}
	m.doExit(p)
	return gone
}

// warnIRQs is do_exit's word on interrupts that are off (kernel/exit.c).
func (m *Machine) warnIRQs(p *process) {
	if m.kernel.warnsIRQs {
		at := Place{File: "kernel/exit.c", Line: 806, Function: "do_exit"}
		WarnCall{At: at}.fail(m, m.here(p))
	}
}

// RebootSelf calls reboot(2) in PID 1.
func (k *pid1Calls) RebootSelf(cmd kernel.RebootCmd) error {
	if e := k.enter(callRebootSelf); e != 0 {
		return e
	}
	return asError(k.reboot(&Reboot{Cmd: cmd}))
}

func (k *pid1Calls) reboot(s *Reboot) kernel.Errno {
	const name = "RebootSelf"
	m := k.m
	if e := m.checkReboot(m.init, s); e != 0 {
		return e
	}
	if m.cfg.Namespace {
		e := m.rebootNamespace(m.init, s.Cmd)
		k.check()
		return e
	}
	t := &m.reboot.transition
	k.block(name, func() bool {
		if t.holder != nil && t.holder != m.init {
			if !slices.Contains(t.waiters, m.init) {
				t.waiters = append(t.waiters, m.init)
			}
			return false
		}
		t.holder = m.init
		return true
	})
	o, e := m.command(s)
	switch o {
	case answered:
		m.unlockTransition()
		return e
	case blocked:
		k.block(name, func() bool { return false })
	case goesDown:
	}
	t.way.process = m.init
	result, asked := underWay, time.Duration(-1)
	k.block(name, func() bool {
		result = m.proceed(&t.way)
		if result == underWay && t.way.until != kernel.Never && t.way.until != asked {
			asked = t.way.until
			m.post(asked, tick{})
		}
		return result != underWay
	})
	k.check()
	return k.leaveReboot()
}

// leaveReboot is leaveReboot of a process, for PID 1. Its end is the machine's if it has one
// thread; else only the thread's that has called, and that was the only one to do anything.
func (k *pid1Calls) leaveReboot() kernel.Errno {
	m := k.m
	w := &m.reboot.transition.way
	if w.kind == toRestart {
		m.unlockTransition()
		return 0
	}
	if w.dead {
		m.warnIRQs(m.init)
	}
	switch {
	case m.cfg.Reboot.SingleThreaded && len(m.init.others()) == 0:
		m.finish(End{How: Exited})
	case w.dead:
		m.hang()
	default:
		m.finish(End{How: Stuck, Text: "PID 1's thread has ended in reboot(2)"})
	}
	k.check()
	return 0
}

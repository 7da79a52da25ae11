package simkernel

import (
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The levels of the kernel's last words.
const (
	emergency kernel.Level = 0
	alert     kernel.Level = 1
	critical  kernel.Level = 2
	warning                = kernel.Warning
	notice    kernel.Level = 5
	info                   = kernel.Info
)

// stage is a step of a way down.
type stage uint8

const (
	stageNotifiers      stage = iota // blocking_notifier_call_chain of reboot_notifier_list
	stageSystemState                 // system_state becomes another
	stageUsermodehelper              // usermodehelper_disable
	stageDeviceShutdown              // device_shutdown
	stagePrepare                     // do_kernel_*_prepare; before 6.0 pm_power_off_prepare
	stageMigrate                     // migrate_to_reboot_cpu
	stageSyscore                     // syscore_shutdown
	stageMessage                     // the last words
	stageKmsgDump                    // kmsg_dump
	stageMachine                     // machine_restart, _halt, _power_off, _kexec
)

// wayKind is what a way leads to.
type wayKind uint8

const (
	toRestart wayKind = iota
	toHalt
	toPowerOff
	toKexec
)

// function is the kernel's for the whole of it.
func (k wayKind) function() string {
	return [...]string{
		toRestart: "kernel_restart", toHalt: "kernel_halt", toPowerOff: "kernel_power_off",
		toKexec: "kernel_kexec",
	}[k]
}

// actions are what the reboot notifiers are told: SYS_RESTART, SYS_HALT, SYS_POWER_OFF
// (include/linux/reboot.h).
func (k wayKind) action() int {
	switch k {
	case toHalt:
		return 2
	case toPowerOff:
		return 3
	case toRestart, toKexec:
	}
	return 1
}

func (k wayKind) state() SystemState {
	switch k {
	case toHalt:
		return SystemHalt
	case toPowerOff:
		return SystemPowerOff
	case toRestart, toKexec:
	}
	return SystemRestart
}

// wayDown is a kernel_restart, kernel_halt, kernel_power_off or kernel_kexec that is under way.
// It takes time, and while it waits everybody else goes on.
type wayDown struct {
	kind   wayKind
	arg    string // RESTART2's
	hasArg bool
	stages []stage       // left; the first is under way
	i      int           // how much of it has been done
	chain  []Notifier    // that it calls
	until  time.Duration // when it goes on
	// dead says that nothing can run any more: the other CPUs have been stopped, and this
	// one takes no interrupts.
	dead bool
	// queued says that who is on the way has moved to a CPU that somebody else keeps: it could run, if
	// that ever let it.
	queued bool
	// Who is on the way: a process, or else a thread of the kernel.
	process *process
	thread  *work
}

// hurry lets who is on a way look again before until.
func (m *Machine) hurry(w *wayDown) {
	w.until = m.now
	switch {
	case w.thread != nil:
		m.post(m.now, w.thread)
	case w.process == m.init:
		m.post(m.now, tick{})
	default:
		m.wake(w.process)
	}
}

// progress is how far a way has come.
type progress uint8

const (
	underWay progress = iota // until wayDown.until
	ended                    // with the machine
	cameBack                 // the kernel could not do it
)

// kernelRestart begins a way down to a restart (kernel/reboot.c, kernel_restart).
func (m *Machine) kernelRestart() wayDown {
	return wayDown{kind: toRestart, stages: m.kernel.restart}
}

// kernelRestartWith is kernelRestart with a command for the firmware.
func (m *Machine) kernelRestartWith(arg string) wayDown {
	return wayDown{kind: toRestart, stages: m.kernel.restart, arg: arg, hasArg: true}
}

// kernelHalt begins a way down to a halt (kernel/reboot.c, kernel_halt).
func (m *Machine) kernelHalt() wayDown { return wayDown{kind: toHalt, stages: m.kernel.halt} }

// kernelPowerOff begins a way down to a power-off (kernel/reboot.c, kernel_power_off).
func (m *Machine) kernelPowerOff() wayDown {
	return wayDown{kind: toPowerOff, stages: m.kernel.powerOff}
}

// proceed goes on as far as it can without waiting.
func (m *Machine) proceed(w *wayDown) progress {
	for !m.ended {
		switch {
		case m.now < w.until:
			return underWay
		case len(w.stages) == 0:
			return cameBack
		case !m.enterStage(w):
			w.stages, w.i, w.chain = w.stages[1:], 0, nil
		}
	}
	return ended
}

// enterStage does the next thing of a stage, and reports whether there may be more.
func (m *Machine) enterStage(w *wayDown) bool {
	defer m.in(w.kind.function())()
	switch w.stages[0] {
	case stageNotifiers:
		if w.i == 0 {
			w.chain = chain(m.rebootNotifiers(w.kind.action()))
			m.traceAction(w)
		}
		return m.callNext(w, "reboot_notifier_list")
	case stageSystemState:
		m.reboot.state = w.kind.state()
		m.trace("system_state", m.reboot.state.String())
	case stageUsermodehelper:
		return m.disableUsermodehelper(w)
	case stageDeviceShutdown:
		return m.shutDownNext(w)
	case stagePrepare:
		return m.prepareNext(w)
	case stageMigrate:
		if !m.migrateToRebootCPU() {
			w.until, w.queued = kernel.Never, true
			return true
		}
	case stageSyscore:
		return m.syscoreNext(w)
	case stageMessage:
		m.lastWords(w)
	case stageKmsgDump:
		if r := m.kernel.reasons; r != nil && w.kind < toKexec {
			m.kmsgDump(r[w.kind])
		} else {
			m.kmsgDump(DumpShutdown)
		}
	case stageMachine:
		m.machine(w)
	}
	return false
}

// traceAction tells what the notifiers are told.
func (m *Machine) traceAction(w *wayDown) {
	if m.cfg.Reboot.Trace == nil {
		return
	}
	arg := ""
	switch {
	case w.kind == toKexec:
		arg = " " + m.kernel.kexecCommand
	case w.hasArg:
		arg = " " + w.arg
	}
	m.trace("reboot_notifier_list", "action "+strconv.Itoa(w.kind.action())+arg)
}

// lastWords is what the kernel says when all is shut down.
func (m *Machine) lastWords(w *wayDown) {
	k := m.kernel
	level, text := emergency, ""
	switch {
	case w.kind == toKexec:
		text, level = k.starting, k.startingLevel
	case w.kind == toHalt && m.reboot.fallback:
		text = k.says.instead
	case w.kind == toHalt:
		text = k.says.halt
	case w.kind == toPowerOff:
		text = k.says.powerOff
	case w.hasArg:
		text = k.says.with[0] + w.arg + k.says.with[1]
	default:
		text = k.says.restart
	}
	m.printk(level, text)
	m.reboot.words = End{Text: text, Arg: w.arg}
}

// trace tells the user's function of a step of a way down.
func (m *Machine) trace(step, what string) {
	if f := m.cfg.Reboot.Trace; f != nil {
		f(m.now, step, what)
	}
}

// spend lets time pass in which nobody runs, because interrupts are off. Where that has no end, or
// none within the bound on time, so has the machine.
func (m *Machine) spend(d time.Duration) {
	if d == 0 || m.ended {
		return
	}
	t := m.later(d)
	switch {
	case t == kernel.Never:
		m.hang()
	case t > m.cfg.Until:
		m.outOfTime()
	default:
		m.hardwareUntil(t)
		if !m.ended {
			m.moveTo(t)
		}
	}
}

// hang is the end of a machine that computes or waits with interrupts off, for ever.
//
// The hardware goes on. If a watchdog is pending it ends the machine after all.
func (m *Machine) hang() {
	since := m.now
	m.hardwareUntil(m.cfg.Until)
	if !m.ended {
		m.now = since // what has been tried since has changed nothing
	}
	m.finish(End{How: Hung, Text: m.reboot.words.Text})
}

// work is a way down that a thread of the kernel is on.
type work struct {
	way wayDown
	// then is what the thread does if it comes back.
	then func()
}

// queue lets a thread of the kernel go a way down (kernel/workqueue.c, schedule_work).
func (m *Machine) queue(way wayDown, then func()) {
	w := &work{way: way, then: then}
	w.way.thread = w
	m.post(m.now, w)
}

func (w *work) act(m *Machine) {
	switch m.proceed(&w.way) {
	case underWay:
		if w.way.until != kernel.Never {
			m.post(w.way.until, w)
		}
	case cameBack:
		if w.way.dead {
			m.hang()
		} else if w.then != nil {
			w.then()
		}
	case ended:
	}
}

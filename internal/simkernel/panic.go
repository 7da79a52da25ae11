package simkernel

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// PanicConfig is what panic() meets besides what the profile of the kernel says.
type PanicConfig struct {
	// Notifiers are those that modules have put onto panic_notifier_list, in the order of
	// registration. The kernel's own came before them.
	Notifiers []Notifier
	// DieNotifiers are those on die_chain. One that returns NotifyStop has mended what was
	// wrong, as a debugger does.
	DieNotifiers []Notifier
	// Modules are those that are loaded, as the kernel lists them: "lab(OE)".
	Modules []string
	// NoKASLR is a kernel that is where it was linked.
	NoKASLR bool
	// Blinker is what makes the keyboard's lights blink, if there is such a keyboard.
	Blinker *Blinker
	// NoNMIHandler is no memory, or the like, for the handler of the NMI that is to stop the other
	// CPUs of a PC.
	NoNMIHandler bool
	// Debugger is kgdb, if somebody has attached it: it keeps the machine for as long as
	// it takes. 2.6 has none.
	Debugger *Notifier
}

// Blinker is i8042's function for panic_blink (drivers/input/serio/i8042.c).
type Blinker struct {
	// Every is i8042.panicblink: half a second if it is zero, never if it is negative, as with
	// panicblink=0. Only 2.6 asks for it.
	Every time.Duration
	// Takes is how long the keyboard needs to take one command: it counts as waited.
	Takes time.Duration
}

// panicStep is a step of panic(). Its name is the kernel's for what it does.
type panicStep string

// The steps. What they do differently by version stands in panicProfile.
const (
	panicPreempt    panicStep = "preempt_disable"
	panicClearWarn  panicStep = "panic_on_warn"
	panicIRQOff     panicStep = "local_irq_disable"
	panicForceCPU   panicStep = "panic_try_force_cpu"
	panicTrylock    panicStep = "spin_trylock(&panic_lock)"
	panicCPU        panicStep = "panic_cpu"
	panicVerbose    panicStep = "console_verbose"
	panicBust       panicStep = "bust_spinlocks(1)"
	panicMessage    panicStep = "pr_emerg"
	panicUnbust     panicStep = "bust_spinlocks(0)"
	panicDumpStack  panicStep = "dump_stack"
	panicKGDB       panicStep = "kgdb_panic"
	panicCrashKexec panicStep = "crash_kexec"   // tried always
	panicEarlyKexec panicStep = "__crash_kexec" // unless post_notifiers
	panicSafeFlush  panicStep = "printk_safe_flush_on_panic"
	panicLegacySync panicStep = "printk_legacy_allow_panic_sync"
	panicSendStop   panicStep = "smp_send_stop"        // always
	panicStopOthers panicStep = "crash_smp_send_stop"  // or smp_send_stop, by post_notifiers
	panicNotifiers  panicStep = "panic_notifier_list"  //
	panicPrint      panicStep = "panic_print_sys_info" //
	panicDump       panicStep = "kmsg_dump"            //
	panicLateKexec  panicStep = "__crash_kexec (late)" // if post_notifiers
	panicUnblankVT  panicStep = "unblank_screen"
	panicLocksOff   panicStep = "debug_locks_off"
	panicNbcon      panicStep = "nbcon_atomic_flush_unsafe"
	panicUnblank    panicStep = "console_unblank"        //
	panicFlush      panicStep = "console_flush_on_panic" //
	panicReplay     panicStep = "console_replay"         //
	panicDelay      panicStep = "panic_timeout"          //
	panicRebootMode panicStep = "panic_reboot_mode"      //
	panicRestart    panicStep = "emergency_restart"      //
	panicEndLine    panicStep = "end Kernel panic"       //
	panicSuppress   panicStep = "suppress_printk"        //
	panicIRQOn      panicStep = "local_irq_enable"       //
	panicLoop       panicStep = "for (;;)"               //
)

// panicProfile is what panic() is in a version, from top to bottom, and its constants.
type panicProfile struct {
	steps []panicStep
	// strips says that a newline at the end of the message is taken away.
	strips bool
	// open says that "Rebooting in" ends without a newline.
	open bool
	// restarts says that a negative panic_timeout restarts at once. Before it waits for
	// ever.
	restarts bool
	// step and blink are the times of the loops.
	step, blink time.Duration
	// unsigned says that panic= reads no sign (simple_strtoul).
	unsigned bool
	// prints are the bits of panic_print that it knows.
	prints int64
	// kgdb is when a debugger gets the machine, and kgdbYields says that it does not if the
	// machine is to restart (kernel/debug/debug_core.c).
	kgdb       kgdbPlace
	kgdbYields bool
}

// kgdbPlace is when a debugger gets a machine that panics.
type kgdbPlace uint8

const (
	kgdbNone     kgdbPlace = iota
	kgdbNotifier           // as the first of all notifiers (kgdb_panic_event)
	kgdbStep               // by panicKGDB
)

// The versions of panic() [Kernel 1.1 to 1.5].
var (
	panic26 = panicProfile{
		steps: []panicStep{
			panicPreempt, panicBust, panicMessage, panicUnbust, panicCrashKexec, panicSendStop,
			panicNotifiers, panicDelay, panicIRQOn, panicLoop,
		},
		open: true, unsigned: true, step: time.Millisecond, blink: time.Millisecond,
	}
	panic3 = panicProfile{
		steps: []panicStep{
			panicIRQOff, panicTrylock, panicVerbose, panicBust, panicMessage, panicDumpStack,
			panicCrashKexec, panicSendStop, panicDump, panicNotifiers, panicUnbust, panicFlush,
			panicDelay, panicRestart, panicIRQOn, panicLoop,
		},
		open: true, restarts: true, step: panicTimerStep, blink: panicBlinkTime,
		kgdb: kgdbNotifier,
	}
	panic4 = panicProfile{
		steps: []panicStep{
			panicClearWarn, panicIRQOff, panicPreempt, panicCPU, panicVerbose, panicBust,
			panicMessage, panicDumpStack, panicSafeFlush, panicEarlyKexec, panicStopOthers,
			panicNotifiers, panicSafeFlush, panicDump, panicLateKexec, panicUnblankVT, panicUnblank,
			panicLocksOff, panicFlush, panicDelay, panicRestart, panicEndLine, panicIRQOn, panicLoop,
		},
		restarts: true, step: panicTimerStep, blink: panicBlinkTime,
		kgdb: kgdbNotifier, kgdbYields: true,
	}
	panic5 = panicProfile{
		steps: []panicStep{
			panicClearWarn, panicIRQOff, panicPreempt, panicCPU, panicVerbose, panicBust,
			panicMessage, panicDumpStack, panicKGDB, panicSafeFlush, panicEarlyKexec, panicStopOthers,
			panicNotifiers, panicSafeFlush, panicDump, panicLateKexec, panicUnblankVT, panicUnblank,
			panicLocksOff, panicFlush, panicPrint, panicReplay, panicDelay, panicRebootMode,
			panicRestart, panicEndLine, panicSuppress, panicFlush, panicIRQOn, panicLoop,
		},
		prints: 0x3f, strips: true, restarts: true, step: panicTimerStep, blink: panicBlinkTime,
		kgdb: kgdbStep, kgdbYields: true,
	}
	panic6 = panicProfile{
		steps: []panicStep{
			panicClearWarn, panicIRQOff, panicPreempt, panicCPU, panicVerbose, panicBust,
			panicMessage, panicDumpStack, panicKGDB, panicEarlyKexec, panicStopOthers,
			panicNotifiers, panicPrint, panicDump, panicLateKexec, panicUnblank, panicLocksOff,
			panicFlush, panicReplay, panicDelay, panicRebootMode, panicRestart, panicEndLine,
			panicSuppress, panicFlush, panicIRQOn, panicLoop,
		},
		prints: 0x7f, strips: true, restarts: true, step: panicTimerStep, blink: panicBlinkTime,
		kgdb: kgdbStep, kgdbYields: true,
	}
	panic612 = panicProfile{
		steps: []panicStep{
			panicClearWarn, panicIRQOff, panicPreempt, panicCPU, panicVerbose, panicBust,
			panicMessage, panicDumpStack, panicKGDB, panicEarlyKexec, panicStopOthers, panicLegacySync,
			panicNotifiers, panicPrint, panicDump, panicLateKexec, panicUnblank, panicLocksOff,
			panicFlush, panicReplay, panicDelay, panicRebootMode, panicRestart, panicEndLine,
			panicSuppress, panicFlush, panicNbcon, panicIRQOn, panicLoop,
		},
		prints: 0xff, strips: true, restarts: true, step: panicTimerStep, blink: panicBlinkTime,
		kgdb: kgdbStep, kgdbYields: true,
	}
)

// panic7 is 7.2: as 6.12, but that another CPU may be the one to panic.
var panic7 = func() panicProfile {
	p := panic612
	i := slices.Index(p.steps, panicCPU)
	p.steps = slices.Insert(slices.Clone(p.steps), i, panicForceCPU)
	return p
}()

// The times of the loops since 2.6.36 (kernel/panic.c, PANIC_TIMER_STEP and 3600/PANIC_BLINK_SPD).
const (
	panicTimerStep = 100 * time.Millisecond
	panicBlinkTime = 200 * time.Millisecond
)

// maxPanicMessage is what panic()'s buffer holds.
const maxPanicMessage = 1023

// motormouthConsoleLevel is console_verbose's.
const motormouthConsoleLevel = 15

// deathState is what a machine knows of its own death.
type deathState struct {
	first *End // why it dies, if it does
	owner *cpu // panic_cpu, or who holds panic_lock
	runs  int  // how often panic() has begun

	oopsInProgress int  // bust_spinlocks
	suppress       bool // suppress_printk
	blinks         int
	function       []string // what the kernel is in, for who wants to know who says a line
	stopsSent      bool     // crash_smp_send_stop, once
	redirected     *cpu     // panic_redirect_cpu: who has handed its panic on
	deep           int      // how many deaths are under way, each in the one before
	stopFailed     bool     // and who did not answer
	ipiIssued      bool     // crash_ipi_issued
	rival          *rival   // who is about to panic, too
	rescuer        string   // the watchdog that is restarting the machine
	rcuStalls      int
}

// panicRun is a run of panic().
type panicRun struct {
	*context
	text string
	post bool // crash_kexec_post_notifiers, as it was at the start
}

// panic ends the machine (kernel/panic.c). It comes back only if the context does not go on, or the
// machine has ended.
func (m *Machine) panic(x *context, format string, args ...any) {
	if x.over(m) {
		return
	}
	leave, fits := m.onStack(x)
	defer leave()
	if !fits {
		return
	}
	defer m.enterKernel(x.cpu)()
	defer m.in("panic")()
	x.cpu.inIRQ = x.in != InTask
	if x.who.task != nil {
		x.who.task.flags |= taskDying
	}
	p := &m.kernel.panic
	r := &panicRun{context: x, post: m.attrIsSet(moduleOfKernel + "crash_kexec_post_notifiers")}
	r.text = fmt.Sprintf(format, args...)
	r.text = r.text[:min(len(r.text), maxPanicMessage)]
	if p.strips {
		r.text = strings.TrimSuffix(r.text, "\n")
	}
	m.dying.runs++
	for _, s := range p.steps {
		out := m.in(string(s))
		m.panicStep(r, s)
		m.rivalPanics(r, s)
		out()
		if x.over(m) {
			return
		}
	}
	m.hang()
}

// panicStep does one step.
func (m *Machine) panicStep(r *panicRun, s panicStep) {
	x, d := r.context, &m.dying
	switch s {
	case panicPreempt: // nothing preempts the model's kernel
	case panicClearWarn:
		m.keepKnob("kernel/panic_on_warn", "0")
	case panicIRQOff:
		x.cpu.irqsOff = true
	case panicTrylock:
		if d.owner != nil {
			// Even the CPU that holds the lock: it waits for itself.
			m.panicSelfStop(x)
			return
		}
		d.owner = x.cpu
	case panicForceCPU:
		m.panicForcedCPU(r)
	case panicCPU:
		if d.owner != nil && d.owner != x.cpu {
			m.panicSelfStop(x)
			return
		}
		d.owner = x.cpu
	case panicVerbose:
		m.consoleVerbose()
	case panicBust:
		d.oopsInProgress++
	case panicUnbust:
		d.oopsInProgress--
	case panicMessage:
		m.panicSays(r)
	case panicDumpStack:
		if !m.redirectedHere(x.cpu) && !m.isTainted(taintDie) && d.oopsInProgress <= 1 {
			m.dumpStack(x)
		}
	case panicKGDB:
		if k := m.debugger(); k != nil {
			m.called("kgdb_panic", k)
			m.mdelay(k.Takes)
		}
	case panicCrashKexec:
		m.crashKexecAny(x, nil)
	case panicEarlyKexec:
		if !r.post {
			m.crashKexecAny(x, nil)
		}
	case panicLateKexec:
		if r.post {
			m.crashKexecAny(x, nil)
		}
	case panicSendStop:
		m.smpSendStop(x)
	case panicStopOthers:
		if m.panicPrints()&panicPrintAllCPU != 0 {
			_ = m.backtraceOfAll(x)
		}
		if r.post {
			m.crashSMPSendStop(x)
		} else {
			m.smpSendStop(x)
		}
	case panicNotifiers:
		m.rivalPanics(r, s)
		if !x.over(m) {
			m.callPanicNotifiers(r)
		}
	case panicPrint:
		m.panicPrint()
	case panicDump:
		m.kmsgDump(DumpPanic)
	case panicSafeFlush, panicLegacySync, panicUnblankVT, panicUnblank, panicLocksOff, panicFlush,
		panicNbcon: // the model's console has no backlog, and nothing looks for deadlocks
	case panicReplay:
		m.panicReplay()
	case panicDelay:
		m.panicDelay(r)
	case panicRebootMode:
		if m.panicTimeout() != 0 && m.reboot.panicMode != ModeUndefined {
			m.reboot.mode = m.reboot.panicMode
		}
	case panicRestart:
		if m.panicTimeout() != 0 {
			m.emergencyRestart()
			m.hang()
		}
	case panicEndLine:
		m.printk(emergency, "---[ end Kernel panic - not syncing: "+r.text+" ]---")
	case panicSuppress:
		d.suppress = true
	case panicIRQOn:
		x.cpu.irqsOff = false
	case panicLoop:
		m.mdelay(kernel.Never)
	}
}

// panicSays prints why, and keeps it if it is the first reason.
func (m *Machine) panicSays(r *panicRun) {
	text := "Kernel panic - not syncing: " + r.text
	m.diesOf(End{How: Panicked, Text: strings.TrimSuffix(text, "\n")})
	m.printk(emergency, text)
}

// diesOf keeps why a machine dies. Only the first reason counts.
func (m *Machine) diesOf(e End) {
	d := &m.dying
	switch {
	case d.first == nil:
		e.Since = m.now
		d.first = &e
	case d.first.Text == "":
		d.first.Text = e.Text
	}
}

// panicSelfStop is a CPU that comes too late (panic_smp_self_stop). On ARM it leaves the CPUs that
// are online first; elsewhere whoever stops the others must find out that it does not listen.
func (m *Machine) panicSelfStop(x *context) {
	defer m.in("panic_smp_self_stop")()
	c := x.cpu
	if m.kernel.arch == archARM || m.kernel.arch == archARM64 {
		c.online = false
	}
	c.irqsOff = true
	m.halt(c)
	if c == m.dying.owner {
		m.mdelay(kernel.Never)
	}
}

// nmiPanic is panic() from where a panic may be under way on this very CPU (kernel/panic.c,
// nmi_panic).
func (m *Machine) nmiPanic(x *context, text string) {
	d := &m.dying
	switch d.owner {
	case nil:
		d.owner = x.cpu
		m.panic(x, "%s", text)
	case x.cpu:
	default:
		// nmi_panic_self_stop: it waits for the shootdown, and joins it.
		x.cpu.polls = true
		m.halt(x.cpu)
	}
}

// panicTimeout is panic_timeout.
func (m *Machine) panicTimeout() int32 { return int32(m.knobNumber("kernel/panic")) }

// panicDelay waits for panic_timeout seconds, while it blinks. 2.6 restarts there, too.
func (m *Machine) panicDelay(r *panicRun) {
	p, t := &m.kernel.panic, m.panicTimeout()
	if t <= 0 {
		return
	}
	m.emit(record{
		LogLine: LogLine{
			At: m.now, Text: "Rebooting in " + strconv.Itoa(int(t)) + " seconds..", Kernel: true,
			By: m.function(),
		},
		level: emergency, open: p.open,
	})
	// The bound of the loop is the product of two ints, and wraps.
	if bound := t * 1000; bound > 0 {
		m.mdelay(m.blinkFor(time.Duration(bound) * time.Millisecond))
	}
	if !p.restarts && !r.over(m) {
		m.emergencyRestart()
		m.hang()
	}
}

// blinkFor counts how often the lights are told to change in a loop that waits for so long, and
// returns how long it really takes. A loop of years has no end of turns, so they are not played one
// by one.
func (m *Machine) blinkFor(d time.Duration) time.Duration {
	p, b := &m.kernel.panic, m.cfg.Panic.Blinker
	if p.step == p.blink {
		// 2.6 calls every millisecond, and the driver counts.
		if b != nil {
			every := b.Every
			if every == 0 {
				every = 500 * time.Millisecond
			}
			// The driver looks at each millisecond from 0 on, and not at the last.
			if every > 0 {
				m.dying.blinks += int((d - p.step) / every)
			}
		}
		return d
	}
	var takes time.Duration
	if b != nil {
		takes = b.Takes
	}
	// One turn: the lights, which take their time, and two steps.
	turn := takes + p.blink
	full, rest := d/turn, d%turn
	m.dying.blinks += int(full)
	d = full * turn
	if rest > 0 {
		m.dying.blinks++
		d += takes + p.step
		if rest > takes+p.step {
			d += p.step
		}
	}
	return d
}

// Blinks is how often the keyboard's lights have been told to change since the panic.
func (m *Machine) Blinks() int { return m.dying.blinks }

// panicReplay prints the whole log once more (panic_print, bit 5).
func (m *Machine) panicReplay() {
	if m.knobNumber("kernel/panic_print")&panicPrintReplay == 0 {
		return
	}
	m.replayLog()
}

// replayLog prints the whole log on the console once more (kernel/printk/printk.c,
// console_replay_all).
func (m *Machine) replayLog() {
	for i := m.ring.head; i < len(m.ring.records); i++ {
		m.onConsole(m.ring.records[i])
	}
}

// The bits of panic_print (kernel/panic.c).
const (
	panicPrintTasks   = 1 << 0
	panicPrintMemory  = 1 << 1
	panicPrintTimers  = 1 << 2
	panicPrintLocks   = 1 << 3
	panicPrintFtrace  = 1 << 4
	panicPrintReplay  = 1 << 5
	panicPrintAllCPU  = 1 << 6
	panicPrintBlocked = 1 << 7
)

// callPanicNotifiers calls panic_notifier_list: the kernel's own first, those of modules after
// them, and a higher priority before a lower. What they return ends the chain, and nothing else.
func (m *Machine) callPanicNotifiers(r *panicRun) {
	all := append(m.ownPanicNotifiers(), m.cfg.Panic.Notifiers...)
	if k := m.debugger(); k != nil && m.kernel.panic.kgdb == kgdbNotifier {
		first := *k
		first.Priority = math.MaxInt32
		all = append(all, first)
	}
	for _, n := range chain(all) {
		m.called("panic_notifier_list", &n)
		if n.Fails != nil {
			n.Fails.fail(m, r.context)
		}
		if !r.over(m) {
			m.mdelay(n.Takes)
		}
		if r.over(m) || n.Returns&notifyStopMask != 0 {
			return
		}
	}
}

// debugger is kgdb, if it wants this panic.
func (m *Machine) debugger() *Notifier {
	p := &m.kernel.panic
	if p.kgdb == kgdbNone || p.kgdbYields && m.panicTimeout() != 0 {
		return nil
	}
	return m.cfg.Panic.Debugger
}

// ownPanicNotifiers are the kernel's own, as far as they say something (arch/x86/kernel/setup.c,
// arch/arm64/kernel/setup.c).
func (m *Machine) ownPanicNotifiers() []Notifier {
	off := m.kernel.offset
	if off == nil {
		return nil
	}
	says := off.moved
	if m.cfg.Panic.NoKASLR {
		says = off.fixed
	}
	return []Notifier{{Name: off.name, Says: says, Level: emergency}}
}

// kernelOffset is a notifier that says where the kernel is.
type kernelOffset struct{ name, moved, fixed string }

var (
	offsetX86 = &kernelOffset{
		name: "dump_kernel_offset",
		moved: "Kernel Offset: 0x3000000 from 0xffffffff81000000 " +
			"(relocation range: 0xffffffff80000000-0xffffffffbfffffff)",
		fixed: "Kernel Offset: disabled",
	}
	offsetARM64 = &kernelOffset{
		name: "dump_kernel_offset",
		moved: "Kernel Offset: 0x3a0000000000 from 0xffff800008000000\n" +
			"PHYS_OFFSET: 0xfff0000040000000\n" +
			"CPU features: 0x00000,000800a4,00000000\n" +
			"Memory Limit: none",
		fixed: "Kernel Offset: disabled\n" +
			"CPU features: 0x00000,000800a4,00000000\n" +
			"Memory Limit: none",
	}
)

// in says which function of the kernel is under way, until the function that it returns is called.
func (m *Machine) in(function string) (leave func()) {
	m.steps++
	d := &m.dying
	d.function = append(d.function, function)
	n := len(d.function)
	left := m.passes(function, n-1)
	return func() {
		left()
		d.function = d.function[:n-1]
	}
}

// function is what is under way, from the outermost on.
func (m *Machine) function() string { return strings.Join(m.dying.function, ": ") }

// isSet reports whether a knob is not 0.
func (m *Machine) isSet(name string) bool { return m.knobNumber(name) != 0 }

// knobNumber is a knob's number, or 0 if there is no such knob.
func (m *Machine) knobNumber(name string) int64 {
	k := findKnob(name)
	if k == nil {
		return 0
	}
	n, _ := strconv.ParseInt(m.knobValue(k), 10, 64)
	return n
}

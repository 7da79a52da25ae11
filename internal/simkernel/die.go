package simkernel

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// dieStep is a step of die(). Its name is the kernel's for what it does.
type dieStep string

// The steps. What they do differently by version stands in dieProfile.
const (
	dieEnter     dieStep = "oops_enter"
	dieLock      dieStep = "die_lock" // with interrupts off
	dieVerbose   dieStep = "console_verbose"
	dieBust      dieStep = "bust_spinlocks(1)"
	dieFault     dieStep = "show_fault_oops"
	dieReportBug dieStep = "report_bug"
	dieHeader    dieStep = "__die_header"
	dieShow      dieStep = "__die_body"
	dieNotify    dieStep = "notify_die"
	dieCR2       dieStep = "page_fault_oops"
	dieKexec     dieStep = "crash_kexec"
	dieUnbust    dieStep = "bust_spinlocks(0)"
	dieTaint     dieStep = "add_taint"
	dieUnlock    dieStep = "die_unlock"
	dieExit      dieStep = "oops_exit"
	dieSummary   dieStep = "__show_regs"
	dieStopped   dieStep = "NOTIFY_STOP"
	dieInIRQ     dieStep = "in_interrupt"
	dieOnOops    dieStep = "panic_on_oops"
	dieKill      dieStep = "make_task_dead"
)

// dieProfile is what die() is in a version on an architecture, from top to bottom, and its constants.
type dieProfile struct {
	steps []dieStep
	// header is the line with the error, its number and the count of oopses: {str}, {err} in as
	// many digits as it has, and {n}. Lines of their own may follow.
	header []string
	digits int
	level  kernel.Level
	// prefix is before what has happened.
	prefix string
	// shows is what is printed of the machine, and evenStopped says that no notifier keeps it
	// from that.
	shows       []dieLine
	evenStopped bool
	// nests says that a CPU which has the lock may die once more, and quiet that it has nothing
	// to say the third time.
	nests bool
	quiet string
	// named says that the panic's text begins with what has happened.
	named bool
	// waits is said and waited for before the panic.
	waits     string
	waitsOpen bool
	// fault says what an access to a bad address leads to.
	fault func(m *Machine, x *context, f access) fault86
	// bug is what BUG() traps as: its text, its number, and whether that is die()'s own to say.
	bug     string
	bugErr  uint64
	bugCode string
	bugSays []saying
}

// saying is a line with its level. The text may have names in braces (dieRun.text).
type saying struct {
	level kernel.Level
	text  string
}

// dieLine is a line, or a part that others print, too.
type dieLine struct {
	saying
	part func(m *Machine, x *context)
}

// fault86 is how an access dies.
type fault86 struct {
	str   string
	err   uint64
	sig   kernel.Signal
	lines []saying
	// by is who says the lines, where that is not die().
	by string
	// after is printed after the rest, on x86.
	after string
	// code are the instructions that have led there, on arm64.
	code string
}

// oops is what die() is told.
type oops struct {
	str string
	err uint64
	// sig is what the task is killed by.
	sig kernel.Signal
	// lines and after are a page fault's.
	lines []saying
	after string
	// code are the instructions that have led there, where they are not BUG's: on arm64.
	code string
	// bug is where BUG() stands, if it was one.
	bug *Place
	at  Place
}

// dieRun is a run of die().
type dieRun struct {
	*context
	oops
	n       int
	silent  bool // recursive
	stopped bool // by a notifier
	leave   func()
}

// oopsState is what a kernel keeps of its oopses.
type oopsState struct {
	counter       int    // die_counter
	count, warned uint32 // oops_count, warn_count
	owner         *cpu   // die_owner
	held          bool   // die_lock
	nest          int
	waiting       []func() // for die_lock
	pausing       bool     // pause_on_oops_flag
	pausedUntil   time.Duration
	id            uint64
	once          map[Place]bool
}

// die is the kernel that cannot go on where it is (arch/x86/kernel/dumpstack.c and its like). It
// comes back with a context that is over, or, if a notifier has stopped it, with one that goes on.
func (m *Machine) die(x *context, o oops) {
	if x.over(m) {
		return
	}
	leave, fits := m.onStack(x)
	defer leave()
	if !fits {
		return
	}
	r := &dieRun{context: x, oops: o, leave: m.enterKernel(x.cpu)}
	if r.sig == 0 {
		r.sig = syscall.SIGSEGV
	}
	m.dieFrom(r, 0)
}

// deaths is how many deaths fit on a stack, each in a notifier of the one before. The number is the
// model's own.
const deaths = 20

// onStack reports whether there is room for one more. If there is none a PC ends by a triple fault,
// which resets it, and others hang.
func (m *Machine) onStack(x *context) (leave func(), fits bool) {
	d := &m.dying
	d.deep++
	leave = func() { d.deep-- }
	if d.deep <= deaths {
		return leave, true
	}
	if m.kernel.arch == archX86 {
		m.effect(Resets)
	}
	m.hang()
	return leave, false
}

// dieFrom goes on at a step.
func (m *Machine) dieFrom(r *dieRun, first int) {
	defer m.in("die")()
	defer r.leave()
	for i := first; i < len(m.kernel.die.steps); i++ {
		s := m.kernel.die.steps[i]
		if s == dieLock && !m.dieLocked(r) {
			m.waitForDieLock(r, i)
			return
		}
		out := m.in(string(s))
		on := m.dieStep(r, s)
		out()
		if !on || r.over(m) {
			return
		}
	}
}

// dieStep does one step, and reports whether die() goes on.
func (m *Machine) dieStep(r *dieRun, s dieStep) bool {
	x, p, d := r.context, &m.kernel.die, &m.dying
	switch s {
	case dieEnter:
		m.oopsEnter(x)
	case dieLock: // taken
	case dieVerbose:
		m.consoleVerbose()
	case dieBust:
		d.oopsInProgress++
	case dieUnbust:
		d.oopsInProgress--
	case dieFault:
		if m.oopsMayPrint() {
			m.sayAll(r, r.lines)
		}
	case dieReportBug:
		if r.bug != nil && !r.silent {
			m.sayBug(*r.bug)
		}
	case dieHeader:
		m.dieSaysHeader(r)
	case dieShow:
		if !r.silent && (!r.stopped || p.evenStopped) {
			m.dieShows(r)
		}
	case dieNotify:
		if !r.silent {
			r.stopped = m.notifyDie(x) == NotifyStop
		}
	case dieCR2:
		if r.after != "" {
			m.printk(defaultMessageLevel, r.after)
		}
	case dieKexec:
		if m.kexecShouldCrash(x) {
			m.crashKexec(x)
		}
	case dieTaint:
		m.addTaint(x, taintDie)
	case dieUnlock:
		m.dieUnlock(r)
	case dieExit:
		m.oopsExit(x)
	case dieSummary:
		m.sayRegs()
	case dieStopped:
		return !r.stopped
	case dieInIRQ:
		if x.in != InTask {
			m.panic(x, "%sFatal exception in interrupt", r.name(p))
		}
	case dieOnOops:
		if m.isSet("kernel/panic_on_oops") {
			m.waitBeforePanic()
			m.panic(x, "%sFatal exception", r.name(p))
		}
	case dieKill:
		sig := r.sig
		if r.stopped {
			sig = 0 // where that does not save the task
		}
		m.makeTaskDead(x, sig)
	}
	return true
}

// name is what the text of the panic begins with.
func (r *dieRun) name(p *dieProfile) string {
	if p.named {
		return r.str + ": "
	}
	return ""
}

// dieLocked takes die_lock, if it can.
func (m *Machine) dieLocked(r *dieRun) bool {
	o, p := &m.oopses, &m.kernel.die
	if o.held && (!p.nests || o.owner != r.cpu) {
		return false
	}
	if p.quiet != "" && o.owner != r.cpu {
		o.nest = 0
	}
	o.held, o.owner = true, r.cpu
	o.nest++
	r.silent = p.quiet != "" && o.nest >= 3
	r.cpu.irqsOff = true
	return true
}

// waitForDieLock lets the CPU wait for it with interrupts off. If it has it itself that is for ever.
func (m *Machine) waitForDieLock(r *dieRun, step int) {
	m.stick(r.cpu, r.who, true)
	x := r.context
	x.gone = true
	if t := x.who.task; t != nil {
		t.flags |= taskDying
	}
	m.oopses.waiting = append(m.oopses.waiting, func() {
		x.cpu.stuck, x.gone = nil, false
		if t := x.who.task; t != nil {
			t.flags &^= taskDying
		}
		r.leave = m.enterKernel(x.cpu)
		m.dieFrom(r, step)
		if t := x.who.task; t != nil && !x.over(m) {
			m.wake(t)
		}
	})
}

// dieUnlock gives it back, and interrupts with it.
func (m *Machine) dieUnlock(r *dieRun) {
	o := &m.oopses
	o.owner = nil
	o.nest--
	// 2.6 lets go of it whoever still dies on this CPU.
	if o.nest <= 0 || m.kernel.die.quiet != "" {
		o.held = false
	}
	r.cpu.irqsOff = r.irqsOff
	if !o.held && len(o.waiting) > 0 {
		next := o.waiting[0]
		o.waiting = o.waiting[1:]
		m.raise(m.now, Do(func(*Machine) { next() }))
	}
}

// dieSaysHeader counts the oops and says what it is.
func (m *Machine) dieSaysHeader(r *dieRun) {
	p := &m.kernel.die
	if r.silent {
		m.printk(emergency, p.quiet)
		return
	}
	m.oopses.counter++
	r.n = m.oopses.counter
	for _, line := range p.header {
		m.printk(p.level, m.dieText(r, line))
	}
}

// dieShows prints what there is to see: modules, registers, the stack.
func (m *Machine) dieShows(r *dieRun) {
	for _, l := range m.kernel.die.shows {
		if l.part != nil {
			l.part(m, r.context)
			continue
		}
		m.printk(l.level, m.dieText(r, l.text))
	}
}

func (m *Machine) sayAll(r *dieRun, lines []saying) {
	for _, l := range lines {
		m.printk(l.level, m.dieText(r, l.text))
	}
}

// dieText puts in what a line has in braces.
func (m *Machine) dieText(r *dieRun, text string) string {
	return strings.NewReplacer(
		"{str}", r.str, "{err}", fmt.Sprintf("%0*x", m.kernel.die.digits, r.err),
		"{n}", fmt.Sprint(r.n), "{pre}", m.kernel.die.prefix,
		"{cpu}", fmt.Sprint(r.cpu.id), "{pid}", fmt.Sprint(r.who.pid), "{comm}", r.who.comm,
		"{taint}", m.printTainted(), "{release}", m.kernel.release, "{version}", m.kernel.version,
		"{sym}", r.at.symbol(), "{code}", r.code,
	).Replace(text)
}

// notifyDie calls the die chain, and returns what the last of its functions has (kernel/notifier.c).
func (m *Machine) notifyDie(x *context) NotifyResult {
	last := NotifyDone
	for _, n := range chain(m.cfg.Panic.DieNotifiers) {
		m.called("die_chain", &n)
		if n.Fails != nil {
			n.Fails.fail(m, x)
		}
		if !x.over(m) {
			m.mdelay(n.Takes)
		}
		last = n.Returns
		if x.over(m) || last&notifyStopMask != 0 {
			break
		}
	}
	return last
}

// waitBeforePanic is the five seconds in which the disks could be written. The task sleeps, so
// others go on.
func (m *Machine) waitBeforePanic() {
	p := &m.kernel.die
	if p.waits == "" {
		return
	}
	m.emit(record{
		LogLine: LogLine{At: m.now, Text: p.waits, Kernel: true, By: m.function()},
		level:   emergency, open: p.waitsOpen,
	})
	m.mdelay(5 * time.Second)
}

// consoleVerbose lets all lines be seen on the console from now on.
func (m *Machine) consoleVerbose() {
	if m.ring.levels[0] != 0 {
		m.ring.levels[0] = motormouthConsoleLevel
	}
}

// sayRegs are the registers once more, without the rest (__show_regs).
func (m *Machine) sayRegs() {
	for _, line := range m.kernel.dump.regs {
		m.printk(defaultMessageLevel, line)
	}
}

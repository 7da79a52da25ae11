package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/esr"
)

// exceptions is an arm64 kernel with its way with them.
func exceptions(p profile, v esr.Version, idleWarn Place) profile {
	p.exceptions, p.idleWarn = v, idleWarn
	p.dump = dumpProfile{trace: "Call trace:", machine: virtName}
	for _, l := range v.Registers(someRegs()) {
		p.dump.regs = append(p.dump.regs, l.Text)
	}
	p.die = dieARM64(v)
	// Debian's kernels for arm64 do not preempt themselves.
	p.exit.uncounted, p.rcu.flavour = true, rcu4.flavour
	return p
}

// someRegs are registers, of which the model has none.
func someRegs() *esr.Regs {
	const somewhere = 0xffff800008000000
	return &esr.Regs{
		PC: "0xffff800008000000", LR: "0xffff800008000000", SP: somewhere,
		PState: 0x60000005, // in the kernel, with interrupts on
	}
}

// dieARM64 is die() (arch/arm64/kernel/traps.c) [Kernel 4.45 to 4.47].
func dieARM64(v esr.Version) dieProfile {
	return dieProfile{
		steps: []dieStep{
			dieLock, dieEnter, dieVerbose, dieBust, dieHeader, dieNotify, dieShow, dieKexec,
			dieUnbust, dieTaint, dieExit, dieInIRQ, dieOnOops, dieUnlock, dieStopped, dieKill,
		},
		header: []string{"Internal error: {str}: {err} [#{n}]" + v.AfterOops()}, digits: 16,
		level: emergency,
		shows: []dieLine{
			{part: (*Machine).modulesOf},
			{part: (*Machine).showRegs},
			{saying: saying{emergency, "{code}"}},
		},
		named: true, fault: faultARM64,
		bug: "Oops - BUG", bugErr: uint64(esr.New(esr.BRK64, true, esr.BRKBug, 0)),
		bugCode: codeOf(v, brk), bugSays: dieX86Bug,
	}
}

// The instructions at which the kernel dies: BRK 0x800, and a store.
const (
	nop   = 0xd503201f
	brk   = 0xd4210000
	store = 0xb9000001
)

// codeOf is the line of the instructions before one, and that one. A zero is none that can be read.
func codeOf(v esr.Version, last uint32) string {
	words := [5]uint32{nop, nop, nop, nop, last}
	var read [5]*uint32
	for i := range words {
		if last != 0 {
			read[i] = &words[i]
		}
	}
	return v.Code(read).Text
}

// Exception is an exception that the processor of an arm64 machine takes. Other machines know none, and
// go on.
type Exception struct {
	// Vector is where it comes in: from the kernel, synchronously, if it is zero.
	Vector esr.Vector
	// Access is the register, and what is true of the memory. What follows from who is on the
	// CPU need not be said: that nobody takes a page fault in an interrupt, and that a thread of
	// the kernel's has no memory. Without a walk the page tables are such as the register says.
	esr.Access
	// Break is what a BRK stands for, and At where it is.
	Break esr.Breakpoint
	At    Place
	// RAS says that the processor can tell how bad an SError is.
	RAS bool
}

func (e Exception) fail(m *Machine, x *context) {
	if m.kernel.arch != archARM64 || x.over(m) {
		return
	}
	v := m.kernel.exceptions
	defer m.in(v.Handler(e.Vector))()
	r := v.Exception(e.Vector, e.ESR)
	defer m.in(r.Entry)()
	switch r.Fate.Kind {
	case esr.Served:
	case esr.Aborts:
		m.doMemAbort(x, e)
	case esr.Debugs:
		m.doDebugException(x, e)
	case esr.Checks:
		m.doSError(x, e)
	case esr.Signals:
		m.forceSigFault(x, r.Fate)
	case esr.Dies:
		m.dieOfException(x, r.Fate, m.kernel.exceptions.Err(r.Fate, e.ESR), e.At)
	case esr.Panics:
		m.unexpected(x, e, r.Fate)
	}
}

// sayException prints lines, each as the function's that says it.
func (m *Machine) sayException(lines ...esr.Line) {
	for _, l := range lines {
		level := kernel.Level(l.Level)
		if l.Level == esr.Default {
			level = defaultMessageLevel
		}
		out := m.in(l.From)
		m.printk(level, l.Text)
		out()
	}
}

// doMemAbort is an access that has failed (arch/arm64/mm/fault.c, do_mem_abort).
func (m *Machine) doMemAbort(x *context, e Exception) {
	defer m.in("do_mem_abort")()
	a := e.Access
	a.User = e.Vector.Source == esr.User || e.Vector.Source == esr.User32
	if !a.User && (x.in != InTask || x.who.task == nil) {
		a.NoContext = true
	}
	if a.Walk.Entries == nil {
		a.Walk.PGD, a.Walk.Entries = walkOf(a.ESR)
	}
	d := m.kernel.exceptions.MemAbort(a)
	if d.MachineCheck {
		m.addTaint(x, taintMachineCheck)
	}
	m.sayException(d.Lines...)
	switch d.Fate.Kind {
	case esr.Signals:
		m.forceSigFault(x, d.Fate)
	case esr.Dies:
		m.dieOfException(x, d.Fate, d.Err, e.At)
	}
}

// walkOf are page tables in which an access fails as a register says. Where they lie means nothing.
func walkOf(e esr.ESR) (pgd uint64, entries []uint64) {
	const (
		table = 0x0800000040001003
		page  = 0x0068000040002f93
	)
	full := []uint64{table, table, table, table, page}
	s := e.Abort().FSC
	if !s.Translation() {
		return 0x40000000, full
	}
	// The second entry is the first one's again, for there are four levels.
	last := int(s.Level()) + 1
	full[last] = 0
	if last == 1 {
		full[0] = 0
	}
	return 0x40000000, full[:last+1]
}

// doDebugException is a debug exception of the kernel's own, or a program's, with nobody debugging
// (arch/arm64/mm/fault.c, do_debug_exception).
func (m *Machine) doDebugException(x *context, e Exception) {
	if e.Vector.Source != esr.Kernel {
		m.forceSigFault(x, esr.Fate{Signal: syscall.SIGTRAP})
		return
	}
	if e.ESR.EC() == esr.BRK64 && e.ESR.BRK() == esr.BRKBug {
		switch e.Break {
		case esr.BugHere:
			BugCall{At: e.At}.fail(m, x)
			return
		case esr.WarnHere:
			WarnCall{At: e.At}.fail(m, x)
			return
		case esr.NoBug:
		}
	}
	defer m.enterDebug(x)()
	f, said := m.kernel.exceptions.Debug(e.ESR, e.Break)
	m.sayException(said...)
	if f.Kind == esr.Dies {
		m.dieOfException(x, f, m.kernel.exceptions.Err(f, e.ESR), e.At)
	}
}

// dieOfException is die() as the exceptions call it.
func (m *Machine) dieOfException(x *context, f esr.Fate, err uint64, at Place) {
	m.die(x, oops{str: f.Die, err: err, code: codeOf(m.kernel.exceptions, store), at: at})
}

// forceSigFault is a program that is to blame (arch/arm64/kernel/traps.c, arm64_force_sig_fault).
func (m *Machine) forceSigFault(x *context, f esr.Fate) {
	if t := x.who.task; t != nil {
		m.forceSig(t, f.Signal)
	}
}

// unexpected is an exception that cannot be (arch/arm64/kernel/entry-common.c, __panic_unhandled;
// 5.10: arch/arm64/kernel/traps.c, bad_mode).
func (m *Machine) unexpected(x *context, e Exception, f esr.Fate) {
	x.in = InNMI
	m.consoleVerbose()
	m.sayException(m.kernel.exceptions.Unexpected(e.Vector, x.cpu.id, e.ESR))
	m.showRegsOnly(x)
	m.panic(x, "%s", f.Panic)
}

// doSError is something outside of the processor that has failed (arch/arm64/kernel/traps.c,
// do_serror).
func (m *Machine) doSError(x *context, e Exception) {
	defer m.in("do_serror")()
	f, said, machineCheck := m.kernel.exceptions.SError(x.cpu.id, e.ESR, e.RAS)
	if f.Kind != esr.Panics {
		return
	}
	x.in = InNMI
	defer m.in("arm64_serror_panic")()
	if machineCheck {
		m.addTaint(x, taintMachineCheck)
	}
	m.consoleVerbose()
	m.sayException(said)
	m.showRegsOnly(x)
	m.nmiPanic(x, f.Panic)
}

// badStackARM64 is an exception for which there is no room on the stack (arch/arm64/kernel/traps.c,
// panic_bad_stack). Where the stacks lie means nothing.
func (m *Machine) badStackARM64(x *context) {
	const (
		vmalloc = 0xffff800008000000
		threads = 16 << 10 // THREAD_SIZE
		spare   = 4 << 10  // OVERFLOW_STACK_SIZE
	)
	defer m.in("handle_bad_stack")()
	x.in = InNMI
	m.consoleVerbose()
	e := esr.New(esr.DAbort, true, 0x47, 0)
	task := esr.Stack{Low: vmalloc + 0x700000, Size: threads}
	m.sayException(m.kernel.exceptions.BadStack(e, task.Low-0x80, task,
		esr.Stack{Low: vmalloc, Size: threads},
		esr.Stack{Low: 0xffff00007fb8a2c0, Size: spare})...)
	m.showRegsOnly(x)
	m.nmiPanic(x, esr.StackOverflow)
}

// showRegsOnly is who, where and the registers, without the stack (arch/arm64/kernel/process.c,
// __show_regs).
func (m *Machine) showRegsOnly(x *context) {
	defer m.in("__show_regs")()
	m.dumpStackInfo(x)
	for _, line := range m.kernel.dump.regs {
		m.printk(defaultMessageLevel, line)
	}
}

// faultARM64 is an access of the kernel's to a bad address.
func faultARM64(m *Machine, x *context, f access) fault86 {
	class, iss, last := esr.DAbort, uint32(0), uint32(store)
	if f.exec {
		class, last = esr.IAbort, 0
	} else if !f.read {
		iss = 1 << 6
	}
	e := esr.New(class, true, iss|uint32(missing(f.addr)), 0)
	pgd, entries := walkOf(e)
	defer m.in("el1_abort: do_mem_abort")()
	d := m.kernel.exceptions.MemAbort(esr.Access{
		ESR: e, FAR: f.addr, NoContext: x.in != InTask || x.who.task == nil,
		Walk: esr.Walk{PGD: pgd, Entries: entries},
	})
	m.sayException(d.Lines...)
	return fault86{str: d.Fate.Die, err: d.Err, code: codeOf(m.kernel.exceptions, last)}
}

// missing is at which level of the tables nothing is there for an address. A program of Go's is linked
// at 64 KiB, so that of the first addresses only pages are missing; so are they between modules and what
// the kernel has for I/O. Elsewhere there is nothing at all.
func missing(addr uint64) esr.Status {
	const (
		level0, level3 = 0x04, 0x07
		program        = 0x200000
		vmalloc        = 0xffff800000000000
		vmallocEnd     = 0xfffffbfff0000000
	)
	if addr < program || addr >= vmalloc && addr < vmallocEnd {
		return level3
	}
	return level0
}

// enterDebug is what it is to take a BRK in the kernel (arch/arm64/kernel/entry-common.c,
// arm64_enter_el1_dbg): interrupts are off, and RCU is told of something like an NMI. If the task does
// not come back nobody tells it of the end, and it complains when the CPU is next idle [Kernel 4.48].
func (m *Machine) enterDebug(x *context) (leave func()) {
	if m.kernel.arch != archARM64 {
		return func() {}
	}
	before := x.irqsOff
	x.irqsOff = true
	return func() {
		t := x.who.task
		switch {
		case !x.gone:
			x.irqsOff = before
		case x.cpu.stuck == nil && (t == nil || t.dead()):
			m.post(m.now, Fail{CPU: x.cpu.id, How: WarnCall{Once: true, At: m.kernel.idleWarn}})
		}
	}
}

// The places of that complaint (rcu_eqs_enter and ct_kernel_exit).
var (
	idleWarn510 = Place{File: "kernel/rcu/tree.c", Line: 625, Function: "rcu_eqs_enter.constprop.0"}
	idleWarn61  = Place{
		File: "kernel/context_tracking.c", Line: 128, Function: "ct_kernel_exit.constprop.0",
	}
)

package esr

import (
	"maps"
	"syscall"
)

// A Source is where an exception comes from: a group of four vectors (arch/arm64/kernel/entry.S).
type Source uint8

const (
	Kernel   Source = iota // from EL1 on its own stack pointer, el1h: the kernel
	KernelSP               // from EL1 on the stack pointer of EL0, el1t: never on purpose
	User                   // from EL0, a program of 64 bits
	User32                 // from EL0, a program of 32 bits
)

// A Reason is which of the four vectors of a source it is.
type Reason uint8

const (
	Sync Reason = iota
	IRQ
	FIQ
	Error // an SError
)

// A Vector is one of the sixteen.
type Vector struct {
	Source Source
	Reason Reason
}

// String is the vector as the kernel names it from 5.14 on: "64-bit el1h sync".
func (v Vector) String() string {
	return [...]string{"64-bit el1h ", "64-bit el1t ", "64-bit el0t ", "32-bit el0t "}[v.Source] +
		[...]string{"sync", "irq", "fiq", "error"}[v.Reason]
}

// A Kind is what becomes of an exception.
type Kind uint8

const (
	Served  Kind = iota // it is no error: all goes on
	Aborts              // do_mem_abort decides, see [Version.MemAbort]
	Debugs              // the debug exceptions decide, see [Version.Debug]
	Checks              // do_serror decides, see [Version.SError]
	Signals             // the process is sent a signal
	Dies                // die(): an oops
	Panics              // panic()
)

func (k Kind) String() string {
	return [...]string{"served", "aborts", "debugs", "checks", "signals", "dies", "panics"}[k]
}

// A Fate is what becomes of an exception, and by what words.
type Fate struct {
	Kind Kind
	// Die is what die() is called with, and Notify says that arm64_notify_die does so.
	Die    string
	Notify bool
	// Panic is what panic() is called with.
	Panic string
	// Signal and Code are what a process is sent, and What is what the kernel calls the reason.
	Signal syscall.Signal
	Code   Code
	What   string
}

// A Route is the way of an exception: the function of entry-common.c that takes it, and the one that
// it calls.
type Route struct {
	Entry, Calls string
	Fate         Fate
}

// injection is what force_signal_inject calls a signal that it sends, and the signal
// (arch/arm64/kernel/traps.c).
type injection struct {
	signal syscall.Signal
	what   string
}

var (
	undefined     = injection{syscall.SIGILL, "undefined instruction"}
	illegalAccess = injection{syscall.SIGSEGV, "illegal memory access"}
)

func injected(i injection, code Code) Fate {
	return Fate{Kind: Signals, Signal: i.signal, Code: code, What: i.what}
}

// misaligned is the fate of a program whose PC or SP is not aligned (do_sp_pc_abort). The kernel dies
// of the same words.
var misaligned = Fate{
	Kind: Signals, Signal: syscall.SIGBUS, Code: "BUS_ADRALN", What: "SP/PC alignment exception",
}

// kernelRoutes are the classes that the kernel's own vector knows, but for debugging
// (el1h_64_sync_handler). An SP that is not aligned is not among them: the kernel's first push would
// fault again, so that nobody comes here.
func kernelRoutes() map[Class]Route {
	undef := Route{
		"el1_undef", "do_el1_undef", Fate{Kind: Dies, Die: "Oops - Undefined instruction"},
	}
	return map[Class]Route{
		DAbort: {"el1_abort", "do_mem_abort", Fate{Kind: Aborts}},
		IAbort: {"el1_abort", "do_mem_abort", Fate{Kind: Aborts}},
		PCAlign: {"el1_pc", "do_sp_pc_abort", Fate{
			Kind: Dies, Die: misaligned.What, Notify: true,
		}},
		Sys64:   undef,
		Unknown: undef,
		BTI:     {"el1_bti", "do_el1_bti", Fate{Kind: Dies, Die: "Oops - BTI"}},
		FPAC:    {"el1_fpac", "do_el1_fpac", Fate{Kind: Dies, Die: "Oops - FPAC"}},
	}
}

// userRoutes are those of programs of 64 bits (el0t_64_sync_handler).
func userRoutes() map[Class]Route {
	return map[Class]Route{
		SVC64:       {"el0_svc", "do_el0_svc", Fate{Kind: Served}},
		DAbortLower: {"el0_da", "do_mem_abort", Fate{Kind: Aborts}},
		IAbortLower: {"el0_ia", "do_mem_abort", Fate{Kind: Aborts}},
		FPASIMD:     {"el0_fpsimd_acc", "do_fpsimd_acc", Fate{Kind: Served}},
		SVE:         {"el0_sve_acc", "do_sve_acc", Fate{Kind: Served}},
		FP64: {"el0_fpsimd_exc", "do_fpsimd_exc", Fate{
			Kind: Signals, Signal: syscall.SIGFPE, Code: "FPE_FLTUNK",
		}},
		// What some instructions would have done is done in the program's stead: reading a
		// few registers, waiting for an interrupt. Then there is no signal.
		Sys64:   {"el0_sys", "do_el0_sys", injected(undefined, "ILL_ILLOPC")},
		WFx:     {"el0_sys", "do_el0_sys", injected(undefined, "ILL_ILLOPC")},
		SPAlign: {"el0_sp", "do_sp_pc_abort", misaligned},
		PCAlign: {"el0_pc", "do_sp_pc_abort", misaligned},
		Unknown: {"el0_undef", "do_el0_undef", injected(undefined, "ILL_ILLOPC")},
		BTI:     {"el0_bti", "do_el0_bti", injected(undefined, "ILL_ILLOPC")},
		FPAC:    {"el0_fpac", "do_el0_fpac", injected(undefined, "ILL_ILLOPN")},
	}
}

// user32Routes are those of programs of 32 bits (el0t_32_sync_handler).
func user32Routes() map[Class]Route {
	undef := Route{"el0_undef", "do_el0_undef", injected(undefined, "ILL_ILLOPC")}
	cp15 := Route{"el0_cp15", "do_el0_cp15", injected(undefined, "ILL_ILLOPC")}
	user := userRoutes()
	fp := user[FP64]
	return map[Class]Route{
		SVC32:       {"el0_svc_compat", "do_el0_svc_compat", Fate{Kind: Served}},
		DAbortLower: user[DAbortLower],
		IAbortLower: user[IAbortLower],
		FPASIMD:     user[FPASIMD],
		FP32:        fp,
		PCAlign:     user[PCAlign],
		Unknown:     undef,
		CP14MR:      undef,
		CP14LS:      undef,
		CP14x64:     undef,
		CP15x32:     cp15,
		CP15x64:     cp15,
	}
}

// debugs are the classes of debug exceptions of a source, and the words by which functions of their
// own are named.
type debugs struct {
	prefix string // of the function in entry-common.c
	of     map[Class][2]string
}

func kernelDebug() debugs {
	return debugs{"el1_", map[Class][2]string{
		Break: {"breakpt", "do_breakpoint"}, Step: {"softstp", "do_el1_softstep"},
		Watch: {"watchpt", "do_watchpoint"}, BRK64: {"brk64", "do_el1_brk64"},
	}}
}

func userDebug() debugs {
	return debugs{"el0_", map[Class][2]string{
		BreakLower: {"breakpt", "do_breakpoint"}, StepLower: {"softstp", "do_el0_softstep"},
		WatchLower: {"watchpt", "do_watchpoint"}, BRK64: {"brk64", "do_el0_brk64"},
	}}
}

func user32Debug() debugs {
	d := userDebug()
	delete(d.of, BRK64)
	d.of[BKPT32] = [2]string{"bkpt32", "do_bkpt32"}
	return d
}

// debugRoutes is how debug exceptions go by way of a table of handlers, debug_fault_info[].
func debugRoutes(d debugs) map[Class]Route {
	rows := make(map[Class]Route, len(d.of))
	for c := range d.of {
		rows[c] = Route{d.prefix + "dbg", "do_debug_exception", Fate{Kind: Debugs}}
	}
	return rows
}

// ownDebugRoutes is how each goes to a function of its own, in 7.2.
func ownDebugRoutes(d debugs) map[Class]Route {
	rows := make(map[Class]Route, len(d.of))
	for c, names := range d.of {
		rows[c] = Route{d.prefix + names[0], names[1], Fate{Kind: Debugs}}
	}
	return rows
}

// renamed are routes whose functions have other names in a version.
func renamed(of map[Class]Route, names map[string]string) map[Class]Route {
	rows := make(map[Class]Route)
	for c, r := range of {
		if name, ok := names[r.Calls]; ok {
			r.Calls = name
			rows[c] = r
		}
	}
	return rows
}

// names61 are functions that had other names in mainline until 6.2. Debian's 5.10 has the newer ones
// from stable.
func names61() map[string]string {
	return map[string]string{
		"do_el1_undef": "do_undefinstr", "do_el0_undef": "do_undefinstr",
		"do_el0_sys": "do_sysinstr", "do_el0_cp15": "do_cp15instr",
	}
}

func undefRoutes61() map[Class]Route       { return renamed(kernelRoutes(), names61()) }
func undefRoutes61User() map[Class]Route   { return renamed(userRoutes(), names61()) }
func undefRoutes61User32() map[Class]Route { return renamed(user32Routes(), names61()) }

// routes joins maps. The last one wins.
func routes(parts ...map[Class]Route) map[Class]Route {
	all := make(map[Class]Route)
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

// Handler is the function that a vector jumps to.
func (v Version) Handler(vec Vector) string {
	if !v.data().badMode {
		return [...]string{"el1h_64_", "el1t_64_", "el0t_64_", "el0t_32_"}[vec.Source] +
			[...]string{"sync", "irq", "fiq", "error"}[vec.Reason] + "_handler"
	}
	if v.unexpected(vec) {
		return "bad_mode"
	}
	switch {
	case vec.Reason == Sync:
		return [...]string{
			"el1_sync_handler", "", "el0_sync_handler", "el0_sync_compat_handler",
		}[vec.Source]
	case vec.Reason == Error:
		return "do_serror"
	}
	return "handle_arch_irq"
}

// unexpected reports whether nothing that comes by a vector is expected.
func (v Version) unexpected(vec Vector) bool {
	return vec.Source == KernelSP || vec.Reason == FIQ && !v.data().fiq
}

// Exception is the way of an exception.
func (v Version) Exception(vec Vector, e ESR) Route {
	d := v.data()
	switch {
	case v.unexpected(vec):
		return v.unhandled()
	case vec.Reason == Error:
		return Route{v.Handler(vec), "do_serror", Fate{Kind: Checks}}
	case vec.Reason != Sync:
		return Route{v.Handler(vec), "handle_arch_irq", Fate{Kind: Served}}
	}
	of := [...]map[Class]Route{Kernel: d.kernel, User: d.user, User32: d.user32}[vec.Source]
	if r, ok := of[e.EC()]; ok {
		return r
	}
	if vec.Source == Kernel {
		return v.unhandled()
	}
	return Route{"el0_inv", "bad_el0_sync", Fate{
		Kind: Signals, Signal: syscall.SIGILL, Code: "ILL_ILLOPC",
		What: "Bad EL0 synchronous exception",
	}}
}

// unhandled is the way of what the kernel does not expect of itself.
func (v Version) unhandled() Route {
	if v.data().badMode {
		return Route{"el1_inv", "bad_mode", Fate{Kind: Panics, Panic: "bad mode"}}
	}
	return Route{
		"__panic_unhandled", "panic", Fate{Kind: Panics, Panic: "Unhandled exception"},
	}
}

// Numbers that the kernel's own BRK instructions have (arch/arm64/include/asm/brk-imm.h).
const (
	BRKFault = 0x100 // in a place that is never to be reached
	BRKBug   = 0x800 // BUG and WARN
)

// BRK is the number in a BRK instruction.
func (e ESR) BRK() uint16 { return uint16(e) }

// A Breakpoint is what only the machine knows of a BRK with the number of a bug.
type Breakpoint uint8

const (
	NoBug   Breakpoint = iota // there is no entry for it in the bug table
	BugHere                   // BUG()
	WarnHere
)

// Debug is what becomes of a debug exception in the kernel, with nobody debugging it. What the kernel
// prints of BUG and WARN itself is not the concern of this package; from NoBug on the lines here.
func (v Version) Debug(e ESR, b Breakpoint) (Fate, []Line) {
	switch e.EC() {
	case Break, Watch:
		// Their handlers find no breakpoint of theirs, and are content.
		return Fate{Kind: Served}, nil
	case Step:
		// Stepping goes on: there is nobody who could stop it.
		return Fate{Kind: Served}, []Line{
			{Warning, "Unexpected kernel single-step exception at EL1", v.stepper()},
		}
	case BRK64:
	default:
		return v.unhandled().Fate, nil
	}
	if e.BRK() == BRKBug && b == WarnHere {
		return Fate{Kind: Served}, nil
	}
	if e.BRK() == BRKBug && b == BugHere {
		return Fate{Kind: Dies, Die: "Oops - BUG"}, nil
	}
	d := v.data()
	var said []Line
	if d.debugTable {
		said = []Line{{Warning, "Unexpected kernel BRK exception at EL1", "brk_handler"}}
	}
	return Fate{Kind: Dies, Die: d.diesOfBRK, Notify: d.debugTable}, said
}

// stepper is who says that there was a step.
func (v Version) stepper() string {
	if v.data().debugTable {
		return "single_step_handler"
	}
	return "do_el1_softstep"
}

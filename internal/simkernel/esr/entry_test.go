package esr

import (
	"syscall"
	"testing"
)

// TestEveryClassInTheKernel sends all 64 classes to the kernel's own synchronous vector
// [Kernel 4.10 to 4.13].
func TestEveryClassInTheKernel(t *testing.T) {
	abort := Route{"el1_abort", "do_mem_abort", Fate{Kind: Aborts}}
	pc := Route{"el1_pc", "do_sp_pc_abort", Fate{
		Kind: Dies, Die: "SP/PC alignment exception", Notify: true,
	}}
	undef := func(calls string) Route {
		return Route{"el1_undef", calls, Fate{Kind: Dies, Die: "Oops - Undefined instruction"}}
	}
	bti := Route{"el1_bti", "do_el1_bti", Fate{Kind: Dies, Die: "Oops - BTI"}}
	fpac := Route{"el1_fpac", "do_el1_fpac", Fate{Kind: Dies, Die: "Oops - FPAC"}}
	dbg := Route{"el1_dbg", "do_debug_exception", Fate{Kind: Debugs}}
	own := func(entry, calls string) Route { return Route{entry, calls, Fate{Kind: Debugs}} }

	for _, c := range []struct {
		version Version
		known   map[Class]Route
		rest    Route
	}{
		{Linux510, map[Class]Route{
			0x00: undef("do_el1_undef"), 0x18: undef("do_el1_undef"), 0x0d: bti, 0x1c: fpac,
			0x21: abort, 0x25: abort, 0x22: pc, 0x31: dbg, 0x33: dbg, 0x35: dbg, 0x3c: dbg,
		}, Route{"el1_inv", "bad_mode", Fate{Kind: Panics, Panic: "bad mode"}}},
		{Linux61, map[Class]Route{
			0x00: undef("do_undefinstr"), 0x18: undef("do_undefinstr"), 0x0d: bti, 0x1c: fpac,
			0x21: abort, 0x25: abort, 0x22: pc, 0x31: dbg, 0x33: dbg, 0x35: dbg, 0x3c: dbg,
		}, Route{"__panic_unhandled", "panic", Fate{Kind: Panics, Panic: "Unhandled exception"}}},
		{Linux72, map[Class]Route{
			0x00: undef("do_el1_undef"), 0x18: undef("do_el1_undef"), 0x0d: bti, 0x1c: fpac,
			0x21: abort, 0x25: abort, 0x22: pc,
			0x31: own("el1_breakpt", "do_breakpoint"), 0x33: own("el1_softstp", "do_el1_softstep"),
			0x35: own("el1_watchpt", "do_watchpoint"), 0x3c: own("el1_brk64", "do_el1_brk64"),
			0x2d: {"el1_gcs", "do_el1_gcs", Fate{Kind: Dies, Die: "Oops - GCS"}},
			0x27: {"el1_mops", "do_el1_mops", Fate{Kind: Served}},
		}, Route{"__panic_unhandled", "panic", Fate{Kind: Panics, Panic: "Unhandled exception"}}},
	} {
		for class := range Class(64) {
			want, ok := c.known[class]
			if !ok {
				want = c.rest
			}
			equal(t, c.version.String()+", "+c.version.Class(class),
				c.version.Exception(Vector{Kernel, Sync}, New(class, true, 0, 0)), want)
		}
	}
}

// TestEveryClassOfAProgram sends them to the vectors of programs: none takes the kernel down, but by
// what do_mem_abort and the debug exceptions have to say [Kernel 4.15, 4.16].
func TestEveryClassOfAProgram(t *testing.T) {
	entries := map[Source]map[Class]string{
		User: {
			0x00: "el0_undef", 0x01: "el0_sys", 0x07: "el0_fpsimd_acc", 0x0d: "el0_bti",
			0x15: "el0_svc", 0x18: "el0_sys", 0x19: "el0_sve_acc", 0x1c: "el0_fpac",
			0x20: "el0_ia", 0x22: "el0_pc", 0x24: "el0_da", 0x26: "el0_sp",
			0x2c: "el0_fpsimd_exc", 0x30: "el0_dbg", 0x32: "el0_dbg", 0x34: "el0_dbg",
			0x3c: "el0_dbg",
		},
		User32: {
			0x00: "el0_undef", 0x03: "el0_cp15", 0x04: "el0_cp15", 0x05: "el0_undef",
			0x06: "el0_undef", 0x07: "el0_fpsimd_acc", 0x0c: "el0_undef",
			0x11: "el0_svc_compat", 0x20: "el0_ia", 0x22: "el0_pc", 0x24: "el0_da",
			0x28: "el0_fpsimd_exc", 0x30: "el0_dbg", 0x32: "el0_dbg", 0x34: "el0_dbg",
			0x38: "el0_dbg",
		},
	}
	newer := map[Version]map[Source]map[Class]string{
		Linux61: {User: {0x1d: "el0_sme_acc"}},
		Linux72: {
			User: {
				0x1d: "el0_sme_acc", 0x27: "el0_mops", 0x2d: "el0_gcs", 0x30: "el0_breakpt",
				0x32: "el0_softstp", 0x34: "el0_watchpt", 0x3c: "el0_brk64",
			},
			User32: {
				0x30: "el0_breakpt", 0x32: "el0_softstp", 0x34: "el0_watchpt", 0x38: "el0_bkpt32",
			},
		},
	}
	for _, v := range Versions() {
		for source, of := range entries {
			for class := range Class(64) {
				want, ok := newer[v][source][class]
				if !ok {
					want, ok = of[class]
				}
				r := v.Exception(Vector{source, Sync}, New(class, true, 0, 0))
				if !ok {
					want = "el0_inv"
					equal(t, "signal", r.Fate.Signal, syscall.SIGILL)
					equal(t, "what", r.Fate.What, "Bad EL0 synchronous exception")
				}
				equal(t, v.String()+", "+v.Class(class), r.Entry, want)
				if r.Fate.Kind == Dies || r.Fate.Kind == Panics {
					t.Errorf("%s: %s of a program takes the kernel down", v, v.Class(class))
				}
			}
		}
	}
}

// TestCallees: what a function is called has changed to and fro.
func TestCallees(t *testing.T) {
	for _, c := range []struct {
		source Source
		class  Class
		want   [3]string
	}{
		{User, Unknown, [3]string{"do_el0_undef", "do_undefinstr", "do_el0_undef"}},
		{User, Sys64, [3]string{"do_el0_sys", "do_sysinstr", "do_el0_sys"}},
		{User32, CP15x32, [3]string{"do_el0_cp15", "do_cp15instr", "do_el0_cp15"}},
		{User32, CP14LS, [3]string{"do_el0_undef", "do_undefinstr", "do_el0_undef"}},
		{User, SPAlign, [3]string{"do_sp_pc_abort", "do_sp_pc_abort", "do_sp_pc_abort"}},
		{User, BRK64, [3]string{"do_debug_exception", "do_debug_exception", "do_el0_brk64"}},
	} {
		for i, v := range Versions() {
			equal(t, v.String(), v.Exception(Vector{c.source, Sync}, New(c.class, true, 0, 0)).Calls,
				c.want[i])
		}
	}
}

// TestVectors goes through all sixteen [Kernel 4.9, 4.14].
func TestVectors(t *testing.T) {
	type row struct {
		name    string
		handler [2]string // in 5.10, and later
		kind    [2]Kind   // of an exception of class 0x3f
	}
	all := map[Vector]row{
		{KernelSP, Sync}:  {"64-bit el1t sync", [2]string{"bad_mode", "el1t_64_sync_handler"}, [2]Kind{Panics, Panics}},
		{KernelSP, IRQ}:   {"64-bit el1t irq", [2]string{"bad_mode", "el1t_64_irq_handler"}, [2]Kind{Panics, Panics}},
		{KernelSP, FIQ}:   {"64-bit el1t fiq", [2]string{"bad_mode", "el1t_64_fiq_handler"}, [2]Kind{Panics, Panics}},
		{KernelSP, Error}: {"64-bit el1t error", [2]string{"bad_mode", "el1t_64_error_handler"}, [2]Kind{Panics, Panics}},
		{Kernel, Sync}:    {"64-bit el1h sync", [2]string{"el1_sync_handler", "el1h_64_sync_handler"}, [2]Kind{Panics, Panics}},
		{Kernel, IRQ}:     {"64-bit el1h irq", [2]string{"handle_arch_irq", "el1h_64_irq_handler"}, [2]Kind{Served, Served}},
		{Kernel, FIQ}:     {"64-bit el1h fiq", [2]string{"bad_mode", "el1h_64_fiq_handler"}, [2]Kind{Panics, Served}},
		{Kernel, Error}:   {"64-bit el1h error", [2]string{"do_serror", "el1h_64_error_handler"}, [2]Kind{Checks, Checks}},
		{User, Sync}:      {"64-bit el0t sync", [2]string{"el0_sync_handler", "el0t_64_sync_handler"}, [2]Kind{Signals, Signals}},
		{User, IRQ}:       {"64-bit el0t irq", [2]string{"handle_arch_irq", "el0t_64_irq_handler"}, [2]Kind{Served, Served}},
		{User, FIQ}:       {"64-bit el0t fiq", [2]string{"bad_mode", "el0t_64_fiq_handler"}, [2]Kind{Panics, Served}},
		{User, Error}:     {"64-bit el0t error", [2]string{"do_serror", "el0t_64_error_handler"}, [2]Kind{Checks, Checks}},
		{User32, Sync}:    {"32-bit el0t sync", [2]string{"el0_sync_compat_handler", "el0t_32_sync_handler"}, [2]Kind{Signals, Signals}},
		{User32, IRQ}:     {"32-bit el0t irq", [2]string{"handle_arch_irq", "el0t_32_irq_handler"}, [2]Kind{Served, Served}},
		{User32, FIQ}:     {"32-bit el0t fiq", [2]string{"bad_mode", "el0t_32_fiq_handler"}, [2]Kind{Panics, Served}},
		{User32, Error}:   {"32-bit el0t error", [2]string{"do_serror", "el0t_32_error_handler"}, [2]Kind{Checks, Checks}},
	}
	equal(t, "vectors", len(all), 16)
	for vec, want := range all {
		equal(t, "name", vec.String(), want.name)
		for i, v := range []Version{Linux510, Linux61} {
			equal(t, v.String()+", "+vec.String(), v.Handler(vec), want.handler[i])
			equal(t, v.String()+", "+vec.String(), v.Exception(vec, New(0x3f, true, 0, 0)).Fate.Kind,
				want.kind[i])
		}
		equal(t, "7.2", Linux72.Handler(vec), want.handler[1])
		equal(t, "7.2", Linux72.Exception(vec, New(0x3f, true, 0, 0)).Fate.Kind, want.kind[1])
	}
}

// TestDebug: what the kernel makes of debug exceptions of its own, if nobody debugs it
// [Kernel 4.39 to 4.41].
func TestDebug(t *testing.T) {
	const (
		step = "Unexpected kernel single-step exception at EL1"
		brk  = "Unexpected kernel BRK exception at EL1"
	)
	for _, c := range []struct {
		class Class
		imm   uint32
		at    Breakpoint
		die   [3]string // none if it goes on
		said  [3]string
	}{
		{class: Break},
		{class: Watch},
		{class: Step, said: [3]string{step, step, step}},
		{
			class: BRK64, imm: BRKBug, at: BugHere,
			die: [3]string{"Oops - BUG", "Oops - BUG", "Oops - BUG"},
		},
		{class: BRK64, imm: BRKBug, at: WarnHere},
		{
			class: BRK64, imm: BRKBug,
			die: [3]string{"BRK handler", "BRK handler", "Oops - BRK"}, said: [3]string{brk, brk},
		},
		{
			class: BRK64, imm: 1, at: BugHere,
			die: [3]string{"BRK handler", "BRK handler", "Oops - BRK"}, said: [3]string{brk, brk},
		},
	} {
		for i, v := range Versions() {
			fate, said := v.Debug(New(c.class, true, c.imm, 0), c.at)
			equal(t, "die", fate.Die, c.die[i])
			equal(t, "dies", fate.Kind == Dies, c.die[i] != "")
			want := []string{c.said[i]}
			if c.said[i] == "" {
				want = []string{}
			}
			equalLines(t, v.String(), said, want...)
		}
	}
	for _, v := range Versions() {
		fate, _ := v.Debug(New(DAbort, true, 0, 0), NoBug)
		equal(t, "what is none", fate.Kind, Panics)
	}
}

// TestUnexpected: the words for what must not come [Kernel 4.13, 4.14].
func TestUnexpected(t *testing.T) {
	e := New(SPAlign, true, 0, 0)
	for _, c := range []struct {
		version Version
		vec     Vector
		esr     ESR
		want    string
		from    string
	}{
		{Linux510, Vector{Kernel, Sync}, e, "Bad mode in Synchronous Abort handler detected on CPU1, code 0x9a000000 -- SP Alignment", "bad_mode"},
		{Linux510, Vector{KernelSP, IRQ}, e, "Bad mode in IRQ handler detected on CPU1, code 0x9a000000 -- SP Alignment", "bad_mode"},
		{Linux510, Vector{User, FIQ}, 0x56000000, "Bad mode in FIQ handler detected on CPU1, code 0x56000000 -- SVC (AArch64)", "bad_mode"},
		{Linux510, Vector{KernelSP, Error}, 0xbe000000, "Bad mode in Error handler detected on CPU1, code 0xbe000000 -- SError", "bad_mode"},
		{Linux61, Vector{Kernel, Sync}, e, "Unhandled 64-bit el1h sync exception on CPU1, ESR 0x000000009a000000 -- SP Alignment", "__panic_unhandled"},
		{Linux61, Vector{KernelSP, FIQ}, 0xfe000000, "Unhandled 64-bit el1t fiq exception on CPU1, ESR 0x00000000fe000000 -- UNRECOGNIZED EC", "__panic_unhandled"},
		{Linux72, Vector{KernelSP, Sync}, 0xb6000000, "Unhandled 64-bit el1t sync exception on CPU1, ESR 0x00000000b6000000 -- Guarded Control Stack", "__panic_unhandled"},
	} {
		equal(t, c.version.String(), c.version.Unexpected(c.vec, 1, c.esr),
			Line{Critical, c.want, c.from})
	}
}

package esr

import (
	"fmt"
	"strings"
)

// A Level is how much a line matters, as in kernel.Level.
type Level uint8

const (
	Emergency Level = 0
	Alert     Level = 1
	Critical  Level = 2
	Warning   Level = 4
	// Default is whatever kernel.printk says is the level of a line without one.
	Default Level = 0xff
)

// A Line is a record of the kernel log, and the function that has printed it.
type Line struct {
	Level Level
	Text  string
	From  string
}

func hex64(n uint64) string  { return fmt.Sprintf("0x%016x", n) }
func bare64(n uint64) string { return fmt.Sprintf("%016x", n) }

// esr is the register as a version prints it.
func (v Version) esr(e ESR) string {
	if v.data().short {
		return fmt.Sprintf("0x%08x", uint32(e))
	}
	return hex64(uint64(e))
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Decode is mem_abort_decode, and for a data abort data_abort_decode: the register in words.
func (v Version) Decode(e ESR) []Line {
	d := v.data()
	if d.short {
		e = ESR(uint32(e))
	}
	a := e.Abort()
	said := printer{from: "mem_abort_decode"}
	said.printf("Mem abort info:")
	said.printf("  ESR = %s", v.esr(e))
	said.printf("  EC = 0x%02x: %s, IL = %d bits", uint8(e.EC()), v.Class(e.EC()), e.Bits())
	said.printf("  SET = %d, FnV = %d", a.SET, one(a.FnV))
	said.printf("  EA = %d, S1PTW = %d", one(a.EA), one(a.S1PTW))
	if d.saysStatus {
		said.printf("  FSC = 0x%02x: %s", uint8(a.FSC), v.Fault(a.FSC).Name)
	}
	if !e.EC().DataAbort() {
		return said.lines
	}
	said.from = "data_abort_decode"
	said.printf("Data abort info:")
	switch {
	case a.ISV:
		said.printf("  Access size = %d byte(s)", 1<<a.SAS)
		said.printf("  SSE = %d, SRT = %d", one(a.SSE), a.SRT)
		said.printf("  SF = %d, AR = %d", one(a.SF), one(a.AR))
		if d.saysISS2 {
			said.printf("  Xs = %d", a.Xs)
		}
	case d.saysISS2:
		said.printf("  ISV = 0, ISS = 0x%08x, ISS2 = 0x%08x", e.ISS(), e.ISS2())
	default:
		said.printf("  ISV = 0, ISS = 0x%08x", e.ISS())
	}
	if !d.saysISS2 {
		said.printf("  CM = %d, WnR = %d", one(a.CM), one(a.WnR))
		return said.lines
	}
	said.printf("  CM = %d, WnR = %d, TnD = %d, TagAccess = %d", one(a.CM), one(a.WnR), one(a.TnD),
		one(a.TagAccess))
	said.printf("  GCS = %d, Overlay = %d, DirtyBit = %d", one(a.GCS), one(a.Overlay),
		one(a.DirtyBit))
	return said.lines
}

// printer collects ALERT lines of a function.
type printer struct {
	from  string
	lines []Line
}

func (p *printer) printf(format string, args ...any) {
	p.lines = append(p.lines, Line{Alert, fmt.Sprintf(format, args...), p.from})
}

// A Walk is what the page tables have for an address.
type Walk struct {
	// Swapper says that there is no process's memory: the thread is the kernel's own, and has
	// borrowed none.
	Swapper bool
	// PGD is where the first table is.
	PGD uint64
	// Entries are those of the tables, from the first on: pgd, p4d, pud, pmd, pte. There are
	// four levels, so the first two are the same. The walk ends at one that is 0, and at one that
	// is no table but memory. Without any the first is 0.
	Entries []uint64
}

// tables are the names of the levels.
func tables() []string { return []string{"pgd", "p4d", "pud", "pmd", "pte"} }

// lines is show_pte.
func (w Walk) lines(addr uint64) []Line {
	said := printer{from: "show_pte"}
	mm := "user"
	switch space := SpaceOf(addr); {
	case space == UserSpace && w.Swapper:
		said.printf("[%016x] user address but active_mm is swapper", addr)
		return said.lines
	case space == NoSpace:
		said.printf("[%016x] address between user and kernel address ranges", addr)
		return said.lines
	case space == KernelSpace:
		mm = "swapper"
	}
	said.printf("%s pgtable: %dk pages, %d-bit VAs, pgdp=%016x", mm, pageKiB, vaBits, w.PGD)
	var b strings.Builder
	entries := w.Entries
	if len(entries) < 2 {
		entries = []uint64{0, 0}
	}
	fmt.Fprintf(&b, "[%016x]", addr)
	comma := ""
	for i, name := range tables()[:min(len(entries), len(tables()))] {
		fmt.Fprintf(&b, "%s %s=%016x", comma, name, entries[i])
		// The first is that of a level which is not there, and so it is never missing.
		if entries[i] == 0 && i > 0 {
			break
		}
		comma = ","
	}
	said.printf("%s", b.String())
	return said.lines
}

// Unexpected is what the kernel says of an exception that it cannot expect, before the registers
// (__panic_unhandled, and in 5.10 bad_mode). The console is made verbose first.
func (v Version) Unexpected(vec Vector, cpu int, e ESR) Line {
	if v.data().badMode {
		what := [...]string{"Synchronous Abort", "IRQ", "FIQ", "Error"}[vec.Reason]
		return Line{Critical, fmt.Sprintf("Bad mode in %s handler detected on CPU%d, code %s -- %s",
			what, cpu, v.esr(e), v.Class(e.EC())), "bad_mode"}
	}
	return Line{Critical, fmt.Sprintf("Unhandled %s exception on CPU%d, ESR %s -- %s",
		vec, cpu, v.esr(e), v.Class(e.EC())), "__panic_unhandled"}
}

// AfterOops is what comes after the number of an oops.
func (v Version) AfterOops() string { return v.data().afterOops }

// InternalError is the first line of an oops: the n-th, counted from 1 (__die).
func (v Version) InternalError(what string, err uint64, n int) Line {
	return Line{
		Emergency, fmt.Sprintf("Internal error: %s: %016x [#%d]%s", what, err, n,
			v.AfterOops()), "__die",
	}
}

// InInterrupt and Fatal are what panic() is called with by die() where an oops is too much. Other
// architectures leave the first words out.
func InInterrupt(what string) string { return what + ": Fatal exception in interrupt" }

// Fatal is the same for panic_on_oops.
func Fatal(what string) string { return what + ": Fatal exception" }

// Code is the line of the instructions before the one that failed, and that one
// (dump_kernel_instr). Nil stands for what cannot be read.
func (v Version) Code(words [5]*uint32) Line {
	var b strings.Builder
	b.WriteString("Code: ")
	for i, w := range words {
		text := v.data().unreadable
		switch {
		case w != nil:
			text = fmt.Sprintf("%08x", *w)
		case text == "":
			b.WriteString("bad PC value")
			return Line{Emergency, b.String(), "dump_kernel_instr"}
		}
		if i == len(words)-1 {
			text = "(" + text + ")"
		}
		b.WriteString(text + " ")
	}
	return Line{Emergency, b.String(), "dump_kernel_instr"}
}

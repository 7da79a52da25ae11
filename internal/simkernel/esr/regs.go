package esr

import (
	"fmt"
	"strings"
)

// A PState is the state of the processor as an exception has saved it (PSTATE).
type PState uint64

// The bits that are printed (arch/arm64/include/uapi/asm/ptrace.h). All others are without a name.
const (
	psrF     = 1 << 6
	psrI     = 1 << 7
	psrA     = 1 << 8
	psrD     = 1 << 9
	psrSSBS  = 1 << 12
	psrPAN   = 1 << 22
	psrUAO   = 1 << 23
	psrDIT   = 1 << 24
	psrTCO   = 1 << 25
	psrV     = 1 << 28
	psrC     = 1 << 29
	psrZ     = 1 << 30
	psrN     = 1 << 31
	btypeLow = 10
)

// Masked reports whether interrupts were off.
func (p PState) Masked() bool { return p&psrI != 0 }

// flag is a letter, upper case if set.
func (p PState) flag(bit PState, letter byte) byte {
	if p&bit != 0 {
		return letter &^ ('a' - 'A')
	}
	return letter
}

// sign is whether a feature is on.
func (p PState) sign(bit PState) byte {
	if p&bit != 0 {
		return '+'
	}
	return '-'
}

// PState is print_pstate, of a program of 64 bits or of the kernel.
func (v Version) PState(p PState) Line {
	newer := ""
	if v.data().dit {
		newer = fmt.Sprintf(" %cDIT %cSSBS", p.sign(psrDIT), p.sign(psrSSBS))
	}
	btype := [...]string{"--", "jc", "-c", "j-"}[p>>btypeLow&3]
	return Line{Default, fmt.Sprintf(
		"pstate: %08x (%c%c%c%c %c%c%c%c %cPAN %cUAO %cTCO%s BTYPE=%s)", uint64(p),
		p.flag(psrN, 'n'), p.flag(psrZ, 'z'), p.flag(psrC, 'c'), p.flag(psrV, 'v'),
		p.flag(psrD, 'd'), p.flag(psrA, 'a'), p.flag(psrI, 'i'), p.flag(psrF, 'f'),
		p.sign(psrPAN), p.sign(psrUAO), p.sign(psrTCO), newer, btype), "print_pstate"}
}

// Regs are the registers of the kernel at an exception.
type Regs struct {
	X      [30]uint64 // x0 to x29
	PC, LR string     // as the kernel prints symbols: lab_init+0x9c/0x1000 [lab]
	SP     uint64
	PState PState
}

// Registers is __show_regs, behind the lines about the task: pstate, pc, lr, sp and x29 to x0.
func (v Version) Registers(r *Regs) []Line {
	d := v.data()
	const from = "__show_regs"
	lines := []Line{
		v.PState(r.PState),
		{Default, "pc : " + r.PC, from},
		{Default, "lr : " + r.LR, from},
		{Default, fmt.Sprintf("sp : %016x", r.SP), from},
	}
	for i := len(r.X) - 1; i >= 0; i -= d.perRow {
		row := make([]string, 0, d.perRow)
		for j := i; j > i-d.perRow; j-- {
			row = append(row, fmt.Sprintf("x%-2d: %016x", j, r.X[j]))
		}
		lines = append(lines, Line{Default, strings.Join(row, " ") + d.rowEnd, from})
	}
	return lines
}

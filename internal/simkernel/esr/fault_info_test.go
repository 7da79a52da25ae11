package esr

import (
	"syscall"
	"testing"
)

// faults are all 64 rows of 5.10 and 6.1.
func faults() [64]FaultInfo {
	const (
		kill = syscall.SIGKILL
		segv = syscall.SIGSEGV
		bus  = syscall.SIGBUS
	)
	return [64]FaultInfo{
		{DoBad, kill, "SI_KERNEL", "ttbr address size fault"},
		{DoBad, kill, "SI_KERNEL", "level 1 address size fault"},
		{DoBad, kill, "SI_KERNEL", "level 2 address size fault"},
		{DoBad, kill, "SI_KERNEL", "level 3 address size fault"},
		{DoTranslationFault, segv, "SEGV_MAPERR", "level 0 translation fault"},
		{DoTranslationFault, segv, "SEGV_MAPERR", "level 1 translation fault"},
		{DoTranslationFault, segv, "SEGV_MAPERR", "level 2 translation fault"},
		{DoTranslationFault, segv, "SEGV_MAPERR", "level 3 translation fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 8"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 1 access flag fault"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 2 access flag fault"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 3 access flag fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 12"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 1 permission fault"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 2 permission fault"},
		{DoPageFault, segv, "SEGV_ACCERR", "level 3 permission fault"},
		{DoSEA, bus, "BUS_OBJERR", "synchronous external abort"},
		{DoTagCheckFault, segv, "SEGV_MTESERR", "synchronous tag check fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 18"},
		{DoBad, kill, "SI_KERNEL", "unknown 19"},
		{DoSEA, kill, "SI_KERNEL", "level 0 (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 1 (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 2 (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 3 (translation table walk)"},
		{DoSEA, bus, "BUS_OBJERR", "synchronous parity or ECC error"},
		{DoBad, kill, "SI_KERNEL", "unknown 25"},
		{DoBad, kill, "SI_KERNEL", "unknown 26"},
		{DoBad, kill, "SI_KERNEL", "unknown 27"},
		{DoSEA, kill, "SI_KERNEL", "level 0 synchronous parity error (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 1 synchronous parity error (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 2 synchronous parity error (translation table walk)"},
		{DoSEA, kill, "SI_KERNEL", "level 3 synchronous parity error (translation table walk)"},
		{DoBad, kill, "SI_KERNEL", "unknown 32"},
		{DoAlignmentFault, bus, "BUS_ADRALN", "alignment fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 34"},
		{DoBad, kill, "SI_KERNEL", "unknown 35"},
		{DoBad, kill, "SI_KERNEL", "unknown 36"},
		{DoBad, kill, "SI_KERNEL", "unknown 37"},
		{DoBad, kill, "SI_KERNEL", "unknown 38"},
		{DoBad, kill, "SI_KERNEL", "unknown 39"},
		{DoBad, kill, "SI_KERNEL", "unknown 40"},
		{DoBad, kill, "SI_KERNEL", "unknown 41"},
		{DoBad, kill, "SI_KERNEL", "unknown 42"},
		{DoBad, kill, "SI_KERNEL", "unknown 43"},
		{DoBad, kill, "SI_KERNEL", "unknown 44"},
		{DoBad, kill, "SI_KERNEL", "unknown 45"},
		{DoBad, kill, "SI_KERNEL", "unknown 46"},
		{DoBad, kill, "SI_KERNEL", "unknown 47"},
		{DoBad, kill, "SI_KERNEL", "TLB conflict abort"},
		{DoBad, kill, "SI_KERNEL", "Unsupported atomic hardware update fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 50"},
		{DoBad, kill, "SI_KERNEL", "unknown 51"},
		{DoBad, kill, "SI_KERNEL", "implementation fault (lockdown abort)"},
		{DoBad, bus, "BUS_OBJERR", "implementation fault (unsupported exclusive)"},
		{DoBad, kill, "SI_KERNEL", "unknown 54"},
		{DoBad, kill, "SI_KERNEL", "unknown 55"},
		{DoBad, kill, "SI_KERNEL", "unknown 56"},
		{DoBad, kill, "SI_KERNEL", "unknown 57"},
		{DoBad, kill, "SI_KERNEL", "unknown 58"},
		{DoBad, kill, "SI_KERNEL", "unknown 59"},
		{DoBad, kill, "SI_KERNEL", "unknown 60"},
		{DoBad, kill, "SI_KERNEL", "section domain fault"},
		{DoBad, kill, "SI_KERNEL", "page domain fault"},
		{DoBad, kill, "SI_KERNEL", "unknown 63"},
	}
}

// faults72 are the rows that are others in 7.2.
func faults72() map[Status]FaultInfo {
	const (
		kill = syscall.SIGKILL
		segv = syscall.SIGSEGV
	)
	return map[Status]FaultInfo{
		8:  {DoPageFault, segv, "SEGV_ACCERR", "level 0 access flag fault"},
		12: {DoPageFault, segv, "SEGV_ACCERR", "level 0 permission fault"},
		19: {DoSEA, kill, "SI_KERNEL", "level -1 (translation table walk)"},
		27: {
			DoSEA, kill, "SI_KERNEL",
			"level -1 synchronous parity error (translation table walk)",
		},
		41: {DoBad, kill, "SI_KERNEL", "level -1 address size fault"},
		43: {DoTranslationFault, segv, "SEGV_MAPERR", "level -1 translation fault"},
	}
}

// TestEveryStatus holds all 64 rows of each version against the list [Kernel 4.17, 4.18].
func TestEveryStatus(t *testing.T) {
	for _, v := range Versions() {
		for s := range Status(64) {
			want := faults()[s]
			if row, ok := faults72()[s]; ok && v == Linux72 {
				want = row
			}
			equal(t, v.String(), v.Fault(s), want)
			// What is above the six bits does not reach the table.
			equal(t, v.String(), v.Fault(s|0xc0), want)
		}
	}
}

// TestEveryStatusKillsTheKernel plays a data abort of each status in the kernel, at an address where
// nothing is, with nobody prepared for it.
func TestEveryStatusKillsTheKernel(t *testing.T) {
	for _, v := range Versions() {
		for s := range Status(64) {
			got := v.MemAbort(Access{ESR: New(DAbort, true, uint32(s), 0), FAR: 0xffff_8000_0000_1000})
			row := v.Fault(s)
			die, served := "Oops", false
			switch {
			case row.Handler == DoSEA, row.Handler == DoBad && v == Linux510:
				die = row.Name
			case s == TagCheck && v != Linux510:
				die, served = "", true
			}
			equal(t, "die", got.Fate.Die, die)
			equal(t, "served", got.Fate.Kind == Served, served)
			equal(t, "dies", got.Fate.Kind == Dies, !served)
			equal(t, "machine check", got.MachineCheck, row.Handler == DoSEA && v != Linux510)
		}
	}
}

// TestEveryStatusOfAProgram: it is sent what the table has, but where do_page_fault knows better.
func TestEveryStatusOfAProgram(t *testing.T) {
	for _, v := range Versions() {
		for s := range Status(64) {
			row := v.Fault(s)
			got := v.MemAbort(Access{
				ESR: New(DAbortLower, true, uint32(s), 0), FAR: 0x1000, User: true,
				Area: row.Code == "SEGV_ACCERR",
			})
			equal(t, "kind", got.Fate.Kind, Signals)
			equal(t, "signal", got.Fate.Signal, row.Signal)
			equal(t, "code", got.Fate.Code, row.Code)
			equal(t, "lines", len(got.Lines), 0)
		}
	}
}

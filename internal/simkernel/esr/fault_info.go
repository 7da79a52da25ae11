package esr

import (
	"strconv"
	"syscall"
)

// A Handler is a function that serves a fault status (arch/arm64/mm/fault.c).
type Handler uint8

const (
	DoBad Handler = iota // nobody does
	DoTranslationFault
	DoPageFault
	DoSEA
	DoTagCheckFault
	DoAlignmentFault
)

func (h Handler) String() string {
	return [...]string{
		"do_bad", "do_translation_fault", "do_page_fault", "do_sea", "do_tag_check_fault",
		"do_alignment_fault",
	}[h]
}

// A Code is a signal's si_code, by name.
type Code string

// A FaultInfo is what a kernel has for a fault status: a row of fault_info[].
type FaultInfo struct {
	Handler Handler
	Signal  syscall.Signal // that a process is sent
	Code    Code
	Name    string
}

// statuses is how many there are.
const statuses = fscMask + 1

// bad is a row that no handler serves.
func bad(name string) FaultInfo { return FaultInfo{DoBad, syscall.SIGKILL, "SI_KERNEL", name} }

// unmapped, denied and walk are rows that come once for each level.
func unmapped(level string) FaultInfo {
	return FaultInfo{
		DoTranslationFault, syscall.SIGSEGV, "SEGV_MAPERR", "level " + level + " translation fault",
	}
}

func denied(level, what string) FaultInfo {
	return FaultInfo{
		DoPageFault, syscall.SIGSEGV, "SEGV_ACCERR", "level " + level + " " + what + " fault",
	}
}

func walk(level, what string) FaultInfo {
	return FaultInfo{
		DoSEA, syscall.SIGKILL, "SI_KERNEL", "level " + level + what + " (translation table walk)",
	}
}

// commonFaults are the rows that are the same in 5.10, 6.1 and 7.2, and in all between. Those that
// are not here are bad, and unknown.
func commonFaults() map[Status]FaultInfo {
	rows := map[Status]FaultInfo{
		0x00: bad("ttbr address size fault"),

		0x10: {DoSEA, syscall.SIGBUS, "BUS_OBJERR", "synchronous external abort"},
		0x11: {DoTagCheckFault, syscall.SIGSEGV, "SEGV_MTESERR", "synchronous tag check fault"},
		0x18: {DoSEA, syscall.SIGBUS, "BUS_OBJERR", "synchronous parity or ECC error"},
		0x21: {DoAlignmentFault, syscall.SIGBUS, "BUS_ADRALN", "alignment fault"},

		0x30: bad("TLB conflict abort"),
		0x31: bad("Unsupported atomic hardware update fault"),
		0x34: bad("implementation fault (lockdown abort)"),
		0x35: {
			DoBad, syscall.SIGBUS, "BUS_OBJERR", "implementation fault (unsupported exclusive)",
		},
		0x3d: bad("section domain fault"),
		0x3e: bad("page domain fault"),
	}
	for level := range Status(4) {
		n := strconv.Itoa(int(level))
		if level > 0 {
			rows[0x00+level] = bad("level " + n + " address size fault")
			rows[0x08+level] = denied(n, "access flag")
			rows[0x0c+level] = denied(n, "permission")
		}
		rows[0x04+level] = unmapped(n)
		rows[0x14+level] = walk(n, "")
		rows[0x1c+level] = walk(n, " synchronous parity error")
	}
	return rows
}

// wideFaults are the rows that came with addresses of 52 bits, which have a level -1, and whose
// level 0 can have pages (LPA2).
func wideFaults() map[Status]FaultInfo {
	return map[Status]FaultInfo{
		0x08: denied("0", "access flag"),
		0x0c: denied("0", "permission"),
		0x13: walk("-1", ""),
		0x1b: walk("-1", " synchronous parity error"),
		0x29: bad("level -1 address size fault"),
		0x2b: unmapped("-1"),
	}
}

// faultTable lays maps of rows over one that knows nothing. The last one wins.
func faultTable(rows ...map[Status]FaultInfo) (table [statuses]FaultInfo) {
	for s := range table {
		table[s] = bad("unknown " + strconv.Itoa(s))
	}
	for _, m := range rows {
		for s, row := range m {
			table[s] = row
		}
	}
	return table
}

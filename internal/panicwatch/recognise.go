package panicwatch

import (
	"bytes"
	"strings"
)

// Kind is a way for a kernel to fail and to go on.
type Kind uint8

// The kinds.
const (
	// Oops is a fault in the kernel's own code. It kills the task, and what that held stays
	// locked.
	Oops Kind = iota
	// Warn is a WARN(): something that must not be, and the code goes on.
	Warn
	// Bug is a BUG(), which is an oops, too; or what the kernel itself calls a BUG.
	Bug
	// Lockup is a CPU that does not get out of the kernel, with interrupts on (soft) or off
	// (hard).
	Lockup
	// HungTask is a task that does not get out of state D.
	HungTask
	// RCUStall is a CPU or a task that lets no grace period of RCU end.
	RCUStall
	// Taint is a flag of kernel.tainted for something that has gone wrong.
	Taint
	// Nothing is what most lines tell of.
	Nothing

	kinds = Nothing
)

// String returns the kind as messages have it.
func (k Kind) String() string { return kindNames[k] }

var kindNames = [...]string{
	Oops: "oops", Warn: "WARN", Bug: "BUG", Lockup: "lockup", HungTask: "hung task",
	RCUStall: "RCU stall", Taint: "taint", Nothing: "nothing",
}

// A sign is the first line of a report, or a line that tells more than the first one. Each is a line
// of signs: the letter of its kind, how it begins (what follows may be a program's choice, such as
// its name), and behind a bar what stands anywhere behind that. As a list of structs it would be
// twice as large.
//
// The letters are o, w, b, l, h and r. A b that an oops follows, whose own first line says less, is a B;
// an i is a line that only introduces one. The first sign that a line has counts.
const signs = "" +
	// kernel/watchdog.c; the prefix came with 4.13, and from 3.6 on it was the longer one. The last
	// is that of kernel/softlockup.c in 2.6.
	"lwatchdog: BUG: soft lockup - CPU#\n" +
	"lNMI watchdog: BUG: soft lockup - CPU#\n" +
	"lBUG: soft lockup - CPU#\n" +
	"lBUG: soft lockup detected on CPU#\n" +
	// kernel/watchdog_hld.c, before 4.10 in kernel/watchdog.c. 7.x has the CPU in front, too.
	"lwatchdog: |detected hard LOCKUP on cpu \n" +
	"lNMI watchdog: Watchdog detected hard LOCKUP on cpu \n" +
	"lWatchdog detected hard LOCKUP on cpu \n" +
	// kernel/workqueue.c, wq_watchdog_timer_fn.
	"lBUG: workqueue lockup - pool\n" +
	// kernel/hung_task.c; 7.x may say what for in between.
	"hINFO: task | for more than \n" +
	// kernel/rcu/tree_stall.h, tree_exp.h and tasks.h; the prefix came with 4.19.
	"rrcu: INFO: rcu_| stall\n" +
	"rINFO: rcu_| stall\n" +
	// lib/bug.c; include/asm-generic/bug.h; arch/mips/kernel/traps.c.
	"Bkernel BUG at \n" +
	"bBUG: failure at \n" +
	"bKernel bug detected[#\n" +
	// kernel/panic.c, __warn: 3.12 and later, before, 7.x; and 2.6.17.
	"wWARNING: CPU: | at \n" +
	"wWARNING: at \n" +
	"wWARNING: |, CPU#\n" +
	"wBUG: warning at \n" +
	// arch/x86/mm/fault.c, arch/x86/kernel/traps.c; arch/arm and arch/arm64/mm/fault.c;
	// arch/mips/mm/fault.c.
	"iBUG: kernel NULL pointer dereference\n" +
	"iBUG: unable to handle \n" +
	"iBUG: |stack guard page was hit at \n" +
	"iUnable to handle kernel \n" +
	"iCPU | Unable to handle kernel \n" +
	// All else that the kernel calls a BUG: kernel/sched/core.c, mm/, sanitizers.
	"bBUG: \n" +
	// What die() begins with, and the number of the oops: "Oops" for a fault on x86 and MIPS,
	// for all on x86 from 6.12 on, and for most on RISC-V; "Internal error" on arm and arm64
	// (their kernel/traps.c). On x86 before 6.12 it is the name of the exception, see exceptions.
	"oOops|[#\n" +
	"oInternal error: |[#\n" +
	"oKernel BUG [#\n"

// letters are those of the kinds, in their order.
const letters = "owblhr"

// Recognise returns what a line of the kernel's own says has happened, and whether it is followed by
// the first line of an oops, which says less.
//
// Each report has one line that counts. A BUG() has two, for it is an oops as well: the one of its
// own, and that of die(). Where both are one line (MIPS), Died says so.
func Recognise(text []byte) (kind Kind, opens bool) {
	for rest := signs; rest != ""; {
		end := strings.IndexByte(rest, '\n')
		letter, sign := rest[0], rest[1:end]
		rest = rest[end+1:]
		within := ""
		if bar := strings.IndexByte(sign, '|'); bar >= 0 {
			sign, within = sign[:bar], sign[bar+1:]
		}
		if !begins(text, sign) || !bytes.Contains(text[len(sign):], []byte(within)) {
			continue
		}
		switch letter {
		case 'i':
			return Nothing, true
		case 'B':
			return Bug, true
		}
		return Kind(strings.IndexByte(letters, letter)), false
	}
	if bytes.Contains(text, []byte("[#")) && strings.Contains(exceptions, "/"+string(name(text))+"/") {
		return Oops, false
	}
	return Nothing, false
}

// exceptions are what x86 calls those that die() is called for, besides "Oops"
// (arch/x86/kernel/traps.c and dumpstack.c). Behind the name comes what is known of it, and then the
// error code and the count: "invalid opcode: 0000 [#1] PREEMPT SMP NOPTI".
const exceptions = "/invalid opcode/general protection fault/stack guard page/double fault/" +
	"kernel stack overflow /divide error/stack segment/segment not present/invalid TSS/" +
	"alignment check/bounds/overflow/int3/Bad pagetable/control protection fault/" +
	"spurious interrupt bug/coprocessor segment overrun/"

// name is what stands before a colon, a comma or a parenthesis.
func name(text []byte) []byte {
	for i, c := range text {
		if c == ':' || c == ',' || c == '(' {
			return text[:i]
		}
	}
	return nil
}

// Died reports whether a line of the kind Bug is also that of an oops.
func Died(text []byte) bool { return begins(text, "Kernel bug detected[#") }

func begins(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

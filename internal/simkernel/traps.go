package simkernel

import "fmt"

// doubleFault is what a kernel for PCs does about one (arch/x86/kernel/traps.c).
type doubleFault uint8

const (
	doubleFaultNone   doubleFault = iota
	doubleFaultSpins              // the task of its own that it starts says where, and spins
	doubleFaultPanics             // it panics
	doubleFaultDies               // it dies in what counts as an NMI, and panics of that
)

// DoubleFault is a fault of a PC's that cannot even be handled, for want of a stack or because of its
// tables. Other machines have none.
type DoubleFault struct{ At Place }

func (f DoubleFault) fail(m *Machine, x *context) {
	if x.over(m) {
		return
	}
	const says = "PANIC: double fault, error_code: 0x0"
	switch m.kernel.doubleFault {
	case doubleFaultNone:
	case doubleFaultSpins:
		for _, line := range []string{
			"PANIC: double fault, gdt at c0100000 [255 bytes]",
			"double fault, tss at c0100000",
			"eip = c0100000, esp = c0000000",
			"eax = 00000000, ebx = 00000000, ecx = 00000000, edx = 00000000",
			"esi = 00000000, edi = 00000000",
		} {
			m.printk(emergency, line)
		}
		x.irqsOff = true
		m.keepCPU(x)
	case doubleFaultPanics:
		m.printk(emergency, says)
		m.showRegs(x)
		m.panic(x, "Machine halted.")
	case doubleFaultDies:
		m.printk(emergency, says)
		nmi := *x
		nmi.in = InNMI
		m.die(&nmi, oops{str: "double fault", at: f.At})
		m.panic(&nmi, "Machine halted.")
		x.gone = true
	}
}

// StackProtector is a function that finds its stack overwritten as it returns (kernel/panic.c,
// __stack_chk_fail). A kernel without such checks finds nothing.
type StackProtector struct{ At Place }

func (f StackProtector) fail(m *Machine, x *context) {
	if text := m.kernel.stackProtector; text != "" {
		m.panic(x, "%s", f.At.put(text))
	}
}

// InExit is a failure while the task ends: it cannot be made to end once more.
type InExit struct{ How Failure }

func (f InExit) fail(m *Machine, x *context) {
	if t := x.who.task; t != nil && t != m.init {
		t.flags |= taskExiting
	}
	f.How.fail(m, x)
}

// canonical reports whether a 64-bit PC has such an address at all.
func canonical(addr uint64) bool { return addr < 1<<47 || addr >= 1<<64-1<<47 }

// protectionX86 is exc_general_protection, for an address that there cannot be.
func (m *Machine) protectionX86(f access) fault86 {
	d := fault86{str: "general protection fault"}
	if m.kernel.guessesAddress {
		d.str += fmt.Sprintf(", probably for non-canonical address 0x%x", f.addr)
	}
	return d
}

// BadInstruction is the kernel executing what is no instruction. Of a PC's processor it is what BUG()
// is, but for the place that a BUG() has.
type BadInstruction struct{ At Place }

func (f BadInstruction) fail(m *Machine, x *context) {
	if !x.over(m) && m.kernel.arch == archX86 {
		m.die(x, oops{str: m.kernel.die.bug, err: m.kernel.die.bugErr, at: f.At})
	}
}

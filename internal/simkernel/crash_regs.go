package simkernel

import (
	"maps"

	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// codePlace is where in the kernel a CPU is when its registers are kept. The model computes with no
// registers: two CPUs that do the same have the same instruction pointer, and each its own stack.
type codePlace uint64

// The places, as distances from the kernel's first instruction.
const (
	atFault codePlace = 0x0      // an oops, whose lines say so, too
	atKexec codePlace = 0x1c5a40 // __crash_kexec, which takes a picture of itself
	atIdle  codePlace = 0x0a3f10 // the loop of a CPU that has nothing to do
	atWork  codePlace = 0x2e7b80 // somebody who keeps a CPU
)

// regsLayout is where an architecture's kernel has its code and its stacks, and how it calls what the
// model knows of a CPU.
type regsLayout struct {
	ip, sp, state string
	text, stacks  uint64
	// stack is the size of one (THREAD_SIZE).
	stack uint64
	// irqsOn and irqsOff are the state with interrupts on and off, in the kernel.
	irqsOn, irqsOff uint64
	// also are registers that do not change.
	also kexec.Regs
}

// regsLayouts are theirs.
var regsLayouts = map[kexec.Arch]regsLayout{
	kexec.X8664: {
		ip: "ip", sp: "sp", state: "flags", text: 0xffffffff81000000, stacks: 0xffffc90000000000,
		stack: 16 << 10, irqsOn: 0x246, irqsOff: 0x46, also: kexec.Regs{"cs": 0x10, "ss": 0x18},
	},
	kexec.I386: {
		ip: "ip", sp: "sp", state: "flags", text: 0xc0100000, stacks: 0xc1000000,
		stack: 8 << 10, irqsOn: 0x246, irqsOff: 0x46, also: kexec.Regs{"cs": 0x60, "ss": 0x68},
	},
	kexec.ARM: {
		ip: "pc", sp: "sp", state: "cpsr", text: 0xc0008000, stacks: 0xc1000000,
		stack: 8 << 10, irqsOn: 0x60000013, irqsOff: 0x60000093,
	},
	kexec.ARM64: {
		ip: "pc", sp: "sp", state: "pstate", text: 0xffff800008000000, stacks: 0xffff800010000000,
		stack: 16 << 10, irqsOn: 0x60000005, irqsOff: 0x600000c5,
	},
}

// registers are those of a CPU that runs somebody. MIPS keeps none here.
func (m *Machine) registers(c *cpu, who *occupant, at codePlace, irqsOff bool) kexec.Regs {
	l, ok := regsLayouts[m.kernel.kexecs.arch]
	if !ok {
		return nil
	}
	// Each CPU's idle task has a stack, and so has each task. Of somebody who is not one of the
	// model's tasks no more is known than the CPU.
	slot := uint64(c.id)
	if who.pid != 0 {
		slot += uint64(len(m.cpus))
	}
	if who.task != nil {
		slot = 2*uint64(len(m.cpus)) + uint64(who.pid)
	}
	const used = 0x180 // of the stack
	regs := kexec.Regs{
		l.ip: l.text + uint64(at), l.sp: l.stacks + (slot+1)*l.stack - used, l.state: l.irqsOn,
	}
	if irqsOff {
		regs[l.state] = l.irqsOff
	}
	maps.Copy(regs, l.also)
	return regs
}

// faultRegisters are those of where an oops has happened.
func (m *Machine) faultRegisters(x *context) kexec.Regs {
	return m.registers(x.cpu, x.who, atFault, x.irqsOff || x.in == InHardIRQ || x.in == InNMI)
}

// crashSaveCPU leaves what a CPU was doing (kernel/crash_core.c, crash_save_cpu).
func (m *Machine) crashSaveCPU(c *cpu, who *occupant, regs kexec.Regs) {
	c.saved = true
	m.kexec().SaveCPU(c.id, int32(who.pid), regs)
}

// crashSaveOther is crashSaveCPU of a CPU that has been stopped in what it did.
func (m *Machine) crashSaveOther(c *cpu) {
	who, at := c.stuck, atWork
	if who == nil {
		who, at = idleTask(c.id), atIdle
	}
	m.crashSaveCPU(c, who, m.registers(c, who, at, c.irqsOff))
}

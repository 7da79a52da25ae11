package kexec

import "debug/elf"

// Arch is an architecture that has kexec.
type Arch uint8

// The architectures.
const (
	X8664 Arch = iota
	I386
	ARM
	ARM64
	MIPS // normal images only: the model's board has no memory to spare for others
)

// String returns the kernel's name for it.
func (a Arch) String() string { return a.facts().name }

// archFacts are what differs between architectures, as data.
type archFacts struct {
	name    string
	number  uint32 // in the high half of kexec_load's flags (include/uapi/linux/kexec.h)
	word    int    // bytes in a word of the page list
	limit   uint64 // KEXEC_DESTINATION_MEMORY_LIMIT
	machine elf.Machine
	class   elf.Class
	// regs are the registers of NT_PRSTATUS, in its order (arch/*/include/asm/elf.h).
	regs []string
	// prstatus and its offsets (include/linux/elfcore.h).
	prstatus, pid, reg int
	// direct is where the kernel maps all memory (PAGE_OFFSET).
	direct uint64
	// tests is in which order the relocating code looks at the flags of a word.
	tests [4]Flag
	// swaps says that a page is exchanged and not copied.
	swaps bool
	// fromHead says that the list's first word is the head itself; else the list is where the
	// head points to.
	fromHead bool
	// doneAtOnce says that DONE is looked at when a word has been read, before all other flags.
	doneAtOnce bool
}

const (
	limit32 = 1<<32 - 1
	limit64 = 1<<64 - 1
)

func (a Arch) facts() archFacts {
	switch a {
	case X8664:
		return archFacts{
			name: "x86_64", number: 62, word: 8, limit: 1<<46 - 1,
			machine: elf.EM_X86_64, class: elf.ELFCLASS64,
			regs: []string{
				"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax",
				"cx", "dx", "si", "di", "orig_ax", "ip", "cs", "flags", "sp", "ss",
				"fs_base", "gs_base", "ds", "es", "fs", "gs",
			},
			prstatus: 336, pid: 32, reg: 112, direct: 0xffff888000000000,
			tests:    [4]Flag{Destination, Indirection, Done, Source},
			fromHead: true, swaps: true,
		}
	case I386:
		return archFacts{
			name: "i386", number: 3, word: 4, limit: limit32,
			machine: elf.EM_386, class: elf.ELFCLASS32,
			regs: []string{
				"bx", "cx", "dx", "si", "di", "bp", "ax", "ds", "es", "fs", "gs", "orig_ax",
				"ip", "cs", "flags", "sp", "ss",
			},
			prstatus: 144, pid: 24, reg: 72, direct: 0xc0000000,
			tests:    [4]Flag{Destination, Indirection, Done, Source},
			fromHead: true,
		}
	case ARM:
		return archFacts{
			name: "arm", number: 40, word: 4, limit: limit32,
			machine: elf.EM_ARM, class: elf.ELFCLASS32,
			regs: []string{
				"r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "fp", "ip",
				"sp", "lr", "pc", "cpsr", "orig_r0",
			},
			prstatus: 148, pid: 24, reg: 72, direct: 0xc0000000,
			tests: [4]Flag{Destination, Indirection, Done, Source},
		}
	case ARM64:
		return archFacts{
			name: "arm64", number: 183, word: 8, limit: limit64,
			machine: elf.EM_AARCH64, class: elf.ELFCLASS64,
			regs: []string{
				"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
				"x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22",
				"x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp", "pc", "pstate",
			},
			prstatus: 392, pid: 32, reg: 112, direct: 0xffff000000000000,
			tests:    [4]Flag{Source, Indirection, Destination, Done},
			fromHead: true, doneAtOnce: true,
		}
	}
	if a == MIPS {
		return archFacts{
			name: "mips", number: 8, word: 4, limit: limit32, machine: elf.EM_MIPS,
			class: elf.ELFCLASS32, direct: 0x80000000,
			tests: [4]Flag{Destination, Indirection, Done, Source},
		}
	}
	panic("kexec: no such architecture")
}

// Registers are the names of the registers that a core note has, in its order.
func (a Arch) Registers() []string { return a.facts().regs }

// Regs are the registers of a CPU, by the kernel's name for each. One that is not there is 0.
type Regs map[string]uint64

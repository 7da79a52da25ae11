package kexec

import (
	"errors"
	"strconv"
)

// A CPU is what kexec changes of one, and what the new kernel finds.
type CPU struct {
	// IRQ and FIQ say that these interrupts are taken; x86 has but the first.
	IRQ, FIQ bool
	// MMU is paging. ICache and DCache are the first level, Outer is ARM's second.
	MMU, ICache, DCache, Outer bool
	// Thumb says that exceptions are taken in Thumb state (SCTLR.TE).
	Thumb bool
	Mode  string // "svc", "el1", "el2", "long"
	// Tables says that there are an IDT and a GDT (x86).
	Tables bool
	Regs   Regs
}

// A Step is a function of the kernel on the way to the new one, and what it says there.
type Step struct {
	Func  string
	Level int    // of the line, as printk's
	Says  string // "": nothing
}

// The levels of printk that kexec uses.
const (
	levelError = 3
	levelInfo  = 6
)

// Where ARM's kernels expect themselves, and their parameters, above the start of memory
// (arch/arm/include/asm/kexec.h, KEXEC_ARM_ZIMAGE_OFFSET and KEXEC_ARM_ATAGS_OFFSET).
const (
	zimageOffset = 0x8000
	atagsOffset  = 0x1000
)

// These are why machine_kexec does not arrive at the new kernel.
var (
	// ErrStillOnline: ARM 3.10 found other CPUs online and has come back.
	ErrStillOnline = errors.New("machine_kexec: multiple CPUs still online")
	// ErrBug: a later kernel has met its own BUG_ON there.
	ErrBug = errors.New("machine_kexec: BUG_ON: multiple CPUs still online")
)

// Running is a CPU of an architecture that executes a kernel, interrupts taken.
func (s *State) Running() CPU {
	c := CPU{
		IRQ: true, FIQ: true, MMU: true, ICache: true, DCache: true, Outer: true, Mode: "svc",
		Regs: Regs{},
	}
	switch s.cfg.Arch {
	case X8664, I386:
		c.FIQ, c.Outer, c.Mode, c.Tables = false, false, "long", true
		if s.cfg.Arch == I386 {
			c.Mode = "protected"
		}
	case ARM64:
		c.Outer, c.Mode = false, "el1"
	case ARM, MIPS:
	}
	return c
}

// Handover is machine_kexec: it takes the CPU, with a number of CPUs that are online, to the
// image's start. The CPU is as the new kernel finds it, with its pc or ip there. limit bounds the
// words of the page list.
//
// The steps are those that were made, also where an error says that it did not arrive: *Endless,
// *Fault, ErrStillOnline or ErrBug.
func (s *State) Handover(im *Image, c *CPU, online, limit int) ([]Step, error) {
	if c.Regs == nil {
		c.Regs = Regs{}
	}
	switch s.cfg.Arch {
	case X8664, I386:
		return s.handoverX86(im, c, limit)
	case ARM:
		return s.handoverARM(im, c, online, limit)
	case ARM64:
		return s.handoverARM64(im, c, online, limit)
	case MIPS:
		// arch/mips/kernel/machine_kexec.c. The board says where the registers lead.
		c.IRQ = false
		_, err := Relocate(s.cfg.Memory, MIPS, im, limit)
		c.Regs["pc"] = im.Start
		return []Step{
			{Func: "machine_kexec"},
			{Func: "local_irq_disable"},
			{Func: "machine_kexec", Level: levelInfo, Says: "Bye ..."},
			{Func: "relocate_new_kernel"},
		}, err
	}
	panic("kexec: no such architecture")
}

// The words at the end of ARM's relocate_new_kernel: machine_kexec fills them in, and the code
// loads them with the MMU off.
const (
	armStart = iota
	armIndirection
	armMachType
	armBootData
	armWords
)

// handoverARM is arch/arm/kernel/machine_kexec.c and process.c's soft_restart, then
// relocate_new_kernel.
func (s *State) handoverARM(im *Image, c *CPU, online, limit int) ([]Step, error) {
	var steps []Step
	do := func(name string) { steps = append(steps, Step{Func: name}) }
	do("machine_kexec")
	if online > 1 {
		switch s.cfg.Rules.Online {
		case OnlineGoesOn:
		case OnlineReturns:
			steps[0].Level = levelError
			steps[0].Says = "kexec: error: multiple CPUs still online"
			return steps, ErrStillOnline
		case OnlineBugs:
			return steps, ErrBug
		}
	}
	for i, w := range [armWords]uint64{
		armStart: im.Start, armIndirection: im.Head &^ (PageSize - 1),
		armMachType: uint64(s.cfg.MachType), armBootData: im.bootData,
	} {
		if err := s.setControlWord(im, i, w); err != nil {
			return steps, err
		}
	}
	steps = append(steps, Step{Func: "machine_kexec", Level: levelInfo, Says: "Bye!"})
	if f := s.cfg.Reinit; f != nil {
		do("kexec_reinit")
		f(c)
	}

	do("soft_restart")
	c.IRQ, c.FIQ = false, false
	if online == 1 {
		do("outer_disable")
		c.Outer = false
	}
	do("call_with_stack")
	do("setup_mm_for_reboot")
	do("flush_cache_all")
	do("cpu_proc_fin")
	c.ICache, c.DCache = false, false
	do("flush_cache_all") // what was written meanwhile
	do("cpu_reset")
	c.MMU, c.Thumb = false, false

	do("relocate_new_kernel")
	if _, err := Relocate(s.cfg.Memory, ARM, im, limit); err != nil {
		return steps, err
	}
	start, err := s.controlWord(im, armStart)
	if err != nil {
		return steps, err
	}
	machType, err := s.controlWord(im, armMachType)
	if err != nil {
		return steps, err
	}
	bootData, err := s.controlWord(im, armBootData)
	if err != nil {
		return steps, err
	}
	c.Regs["lr"], c.Regs["r0"], c.Regs["r1"], c.Regs["r2"] = start, 0, machType, bootData
	c.Regs["pc"] = start
	return steps, nil
}

func (s *State) setControlWord(im *Image, i int, w uint64) error {
	return s.cfg.Memory.SetWord(im.ControlPage+controlCodeWords+uint64(4*i), 4, w)
}

func (s *State) controlWord(im *Image, i int) (uint64, error) {
	return s.cfg.Memory.Word(im.ControlPage+controlCodeWords+uint64(4*i), 4)
}

// handoverARM64 is arch/arm64/kernel/machine_kexec.c. A crash image needs no code of its own on the
// way: cpu_soft_restart enters it. kexec_load's images begin with purgatory, which knows its device
// tree; the others are the kernel, and find it in x0.
func (s *State) handoverARM64(im *Image, c *CPU, online, limit int) ([]Step, error) {
	steps := []Step{{Func: "machine_kexec"}}
	if im.Kind == NormalImage && online > 1 {
		return steps, ErrBug
	}
	steps = append(steps,
		Step{Func: "machine_kexec", Level: levelInfo, Says: "Bye!"},
		Step{Func: "local_daif_mask"}, Step{Func: "cpu_install_idmap"},
		Step{Func: "cpu_soft_restart"})
	c.IRQ, c.FIQ = false, false
	c.MMU, c.DCache, c.ICache = false, false, false
	c.Mode = "el1"
	if s.cfg.EL2 {
		c.Mode = "el2"
	}
	if Flag(im.Head)&Done == 0 {
		steps = append(steps, Step{Func: "arm64_relocate_new_kernel"})
		if _, err := Relocate(s.cfg.Memory, ARM64, im, limit); err != nil {
			return steps, err
		}
	}
	for i := range 4 {
		c.Regs["x"+strconv.Itoa(i)] = 0
	}
	c.Regs["x0"], c.Regs["pc"] = im.bootData, im.Start
	return steps, nil
}

// handoverX86 is arch/x86/kernel/machine_kexec_64.c and relocate_kernel_64.S. It says nothing. The
// new kernel runs with paging on 64 bits, on pages that map all memory to itself, and with every
// register but the stack's at 0; on 32 bits paging is off.
func (s *State) handoverX86(im *Image, c *CPU, limit int) ([]Step, error) {
	steps := []Step{
		{Func: "machine_kexec"},
		{Func: "local_irq_disable"},
		{Func: "hw_breakpoint_disable"},
		{Func: "load_segments"},
		{Func: "native_idt_invalidate"},
		{Func: "native_gdt_invalidate"},
		{Func: "relocate_kernel"},
	}
	c.IRQ, c.Tables = false, false
	c.MMU = s.cfg.Arch == X8664
	if _, err := Relocate(s.cfg.Memory, s.cfg.Arch, im, limit); err != nil {
		return steps, err
	}
	for name := range c.Regs {
		if name != "sp" {
			c.Regs[name] = 0
		}
	}
	c.Regs["ip"] = im.Start
	return steps, nil
}

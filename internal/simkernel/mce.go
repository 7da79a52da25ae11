package simkernel

import (
	"fmt"
	"slices"
	"strings"
)

// MachineCheck is the processor's report that it cannot go on (arch/x86/kernel/cpu/mce/core.c,
// do_machine_check).
type MachineCheck struct {
	// Bank and Status are what the processor says.
	Bank   int
	Status uint64
	// Why is the panic's text: "Fatal machine check" if empty.
	Why string
	// NoBootlog is what mce=nobootlog on the command line is, and all processors of AMD's before
	// family 17: then panic_timeout stays as it is.
	NoBootlog bool
}

// mcePanicTimeout replaces a panic_timeout of 0 (mca_cfg.panic_timeout).
const mcePanicTimeout = 30

func (f MachineCheck) fail(m *Machine, x *context) {
	if m.kernel.arch != archX86 {
		return
	}
	defer m.in("mce_panic")()
	x = &context{cpu: x.cpu, who: x.who, in: InNMI}
	x.cpu.inNMI = true
	m.addTaint(x, taintMachineCheck)
	m.dying.oopsInProgress++
	if m.ring.levels[0] != 0 {
		m.ring.levels[0] = motormouthConsoleLevel
	}
	say := func(text string) { m.printk(emergency, "mce: [Hardware Error]: "+text) }
	say(fmt.Sprintf("CPU %d: Machine Check Exception: 5 Bank %d: %016x", x.cpu.id, f.Bank, f.Status))
	say("RIP !INEXACT! 10:<0000000000000000>")
	say("TSC 0 ")
	say("PROCESSOR 0:0 TIME 0 SOCKET 0 APIC 0 microcode 0")
	say("Run the above through 'mcelog --ascii'")
	say("Machine check: Processor context corrupt")
	if m.panicTimeout() == 0 && !f.NoBootlog && !slices.Contains(strings.Fields(m.cfg.Cmdline), "mce=nobootlog") {
		m.keepKnob("kernel/panic", fmt.Sprint(mcePanicTimeout))
	}
	why := f.Why
	if why == "" {
		why = "Fatal machine check"
	}
	m.panic(x, "%s", why)
}

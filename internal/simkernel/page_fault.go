package simkernel

import (
	"fmt"

	"github.com/rebound-init/rebound/internal/kernel"
)

// access is one to a bad address.
type access struct {
	addr       uint64
	read, exec bool
	// present says that there is memory, which must not be used so.
	present bool
	at      Place
}

// NullWrite is a write through a null pointer, to a member of what it should point to.
type NullWrite struct {
	Addr uint64
	At   Place
}

func (f NullWrite) fail(m *Machine, x *context) { m.badAccess(x, access{addr: f.Addr, at: f.At}) }

// BadPointer is a use of a pointer to where nothing is.
type BadPointer struct {
	Addr uint64
	// Reads says that it is read, and Executes that it is jumped to. Else it is written to.
	Reads, Executes bool
	// Present says that there is memory, which must not be used so.
	Present bool
	At      Place
}

func (f BadPointer) fail(m *Machine, x *context) {
	m.badAccess(x, access{addr: f.Addr, read: f.Reads, exec: f.Executes, present: f.Present, at: f.At})
}

// pageSize is below what a null pointer's members lie.
const pageSize = 4096

// badAccess is a page fault of the kernel's that nothing helps against.
func (m *Machine) badAccess(x *context, f access) {
	if x.over(m) {
		return
	}
	d := m.kernel.die.fault(m, x, f)
	o := oops{str: d.str, err: d.err, sig: d.sig, after: d.after, code: d.code, at: f.at}
	if m.kernel.die.showsFault() {
		o.lines = d.lines
	} else {
		out := m.in(d.by)
		for _, l := range d.lines {
			m.printk(l.level, f.at.put(l.text))
		}
		out()
	}
	m.die(x, o)
}

// showsFault says whether the lines of a page fault come after the oops has begun.
func (p *dieProfile) showsFault() bool {
	for _, s := range p.steps {
		if s == dieFault {
			return true
		}
	}
	return false
}

// null reports whether an address is a null pointer's.
func (f *access) null() bool { return f.addr < pageSize }

// what is written, read or executed as an error code of x86 has it: what is not a write bit or a
// fetch bit is a read, and no page is there.
func (f *access) codeX86() uint64 {
	if f.present {
		g := *f
		g.present = false
		return g.codeX86() | 1
	}
	switch {
	case f.exec:
		return 0x10
	case f.read:
		return 0
	}
	return 2
}

// kernelHalf is where the addresses of 64-bit kernels begin.
const kernelHalf = 1 << 63

// faultX86 is page_fault_oops (arch/x86/mm/fault.c). In a thread without memory of its own, and in
// an interrupt, nothing has switched interrupts on.
func faultX86(m *Machine, x *context, f access) fault86 {
	if !canonical(f.addr) {
		return m.protectionX86(f)
	}
	// Only a fault at an address of the process's own gets as far as having interrupts put on
	// again: not one of the kernel's half, nor a jump out of the kernel (arch/x86/mm/fault.c,
	// do_kern_addr_fault and the begin of do_user_addr_fault).
	// Nor one of who must not sleep, for which nothing is looked up (faulthandler_disabled).
	if x.in == InTask && (x.who.task == nil || x.preempt > 0 || f.exec || f.addr >= kernelHalf) {
		x.irqsOff = true
	}
	d := fault86{
		str: "Oops", err: f.codeX86(), sig: kernel.SIGKILL,
		after: fmt.Sprintf("CR2: %016x", f.addr),
	}
	what := "unable to handle page fault for address: "
	if f.null() {
		what = "kernel NULL pointer dereference, address: "
	}
	how := "write access"
	if f.read {
		how = "read access"
	}
	if f.exec {
		how = "instruction fetch"
	}
	why := "not-present page"
	if f.present {
		why = "permissions violation"
	}
	d.lines = []saying{
		{alert, "BUG: " + what + fmt.Sprintf("%016x", f.addr)},
		{alert, "#PF: supervisor " + how + " in kernel mode"},
		{alert, fmt.Sprintf("#PF: error_code(0x%04x) - %s", d.err, why)},
		{info, pageTablesX86},
	}
	return d
}

// pageTablesX86 are the tables' entries. The values mean nothing.
const pageTablesX86 = "PGD 0 P4D 0 "

// fault419 is no_context of 4.19.
func fault419(m *Machine, x *context, f access) fault86 {
	d := faultX86(m, x, f)
	if !canonical(f.addr) {
		return d
	}
	what := "paging request"
	if f.null() {
		what = "NULL pointer dereference"
	}
	d.lines = []saying{
		{alert, "BUG: unable to handle kernel " + what + fmt.Sprintf(" at %016x", f.addr)},
		{info, pageTablesX86},
	}
	return d
}

// fault26 is do_page_fault of 2.6 on a 32-bit PC. apart says that its last numbers have lines of
// their own.
func fault26(apart bool) func(m *Machine, x *context, f access) fault86 {
	return func(m *Machine, x *context, f access) fault86 {
		what := "paging request"
		if f.null() {
			what = "NULL pointer dereference"
		}
		d := fault86{str: "Oops", by: "do_page_fault", err: f.codeX86(), lines: []saying{
			{alert, "BUG: unable to handle kernel " + what + fmt.Sprintf(" at virtual address %08x", f.addr)},
		}}
		if apart {
			d.lines = append(d.lines, saying{alert, " printing eip:"}, saying{alert, "c0100000"},
				saying{alert, "*pde = 00000000"})
		} else {
			d.lines = append(d.lines, saying{alert, "printing eip: c0100000 *pde = 00000000 "})
		}
		if !m.oopsMayPrint() {
			d.lines = nil
		}
		return d
	}
}

// faultARM is __do_kernel_fault (arch/arm/mm/fault.c).
func faultARM(m *Machine, x *context, f access) fault86 {
	what := "paging request"
	if f.null() {
		what = "NULL pointer dereference"
	}
	d := fault86{str: "Oops", by: "__do_kernel_fault", err: 0x805, lines: []saying{
		{alert, "Unable to handle kernel " + what + fmt.Sprintf(" at virtual address %08x", f.addr)},
		{alert, "pgd = c0004000"},
		{alert, fmt.Sprintf("[%08x] *pgd=00000000", f.addr)},
	}}
	if f.read {
		d.err = 0x5
	}
	if f.exec {
		d.err = 0x80000005
	}
	return d
}

// faultMIPS is __do_page_fault (arch/mips/mm/fault.c).
func faultMIPS(m *Machine, x *context, f access) fault86 {
	return fault86{str: "Oops", by: "__do_page_fault", lines: []saying{{alert, fmt.Sprintf("CPU %d Unable to handle kernel "+
		"paging request at virtual address %08x, epc == 80000000, ra == 80000000", x.cpu.id, f.addr)}}}
}

package simkernel

import "fmt"

// NMI is a non-maskable interrupt that nobody has asked for (arch/x86/kernel/nmi.c). Reason is what
// port 0x61 says of it: bit 7 is the bus's SERR, bit 6 a card's IOCHK, and neither is unknown.
type NMI struct{ Reason uint8 }

// The reasons.
const (
	NMISERR  = 0x80
	NMIIOCHK = 0x40
)

func (f NMI) fail(m *Machine, x *context) {
	if m.kernel.arch != archX86 || x.cpu.inNMI {
		return
	}
	x = &context{cpu: x.cpu, who: x.who, in: InNMI}
	x.cpu.inNMI = true
	defer func() { x.cpu.inNMI = false }()
	switch {
	case f.Reason&NMISERR != 0:
		defer m.in("pci_serr_error")()
		m.printk(emergency, fmt.Sprintf(
			"NMI: PCI system error (SERR) for reason %02x on CPU %d.", f.Reason, x.cpu.id))
		if m.isSet("kernel/panic_on_unrecovered_nmi") {
			m.nmiPanic(x, "NMI: Not continuing")
			return
		}
		m.printk(emergency, dazed)
	case f.Reason&NMIIOCHK != 0:
		defer m.in("io_check_error")()
		m.printk(emergency, fmt.Sprintf(
			"NMI: IOCK error (debug interrupt?) for reason %02x on CPU %d.", f.Reason, x.cpu.id))
		m.showRegs(x)
		if m.isSet("kernel/panic_on_io_nmi") {
			m.nmiPanic(x, "NMI IOCK error: Not continuing")
		}
	default:
		defer m.in("unknown_nmi_error")()
		m.printk(emergency, fmt.Sprintf(
			"Uhhuh. NMI received for unknown reason %02x on CPU %d.", f.Reason, x.cpu.id))
		if m.isSet("kernel/unknown_nmi_panic") || m.isSet("kernel/panic_on_unrecovered_nmi") {
			m.nmiPanic(x, "NMI: Not continuing")
			return
		}
		m.printk(emergency, dazed)
	}
}

const dazed = "Dazed and confused, but trying to continue"

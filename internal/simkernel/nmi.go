package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// NMI is a non-maskable interrupt that nobody has asked for (arch/x86/kernel/nmi.c; up to 2.6
// traps.c). Reason is what port 0x61 says of it: bit 7 is the bus's SERR, bit 6 a card's IOCHK, and
// neither is unknown.
type NMI struct{ Reason uint8 }

// The reasons.
const (
	NMISERR  = 0x80
	NMIIOCHK = 0x40
)

// nmiProfile is what a kernel says of such an NMI. The names in braces are the reason and the CPU.
type nmiProfile struct {
	// unknown and serr are said first, and so is iock, before the registers.
	unknown, serr []string
	iock          string
	// unknownGoesOn and serrGoesOn are said where it does not panic, which it can only if asks.
	unknownGoesOn, serrGoesOn []string
	asks                      bool
	// level is that of an unknown one's lines. All others are for everybody.
	level kernel.Level
}

const (
	uhhuh = "Uhhuh. NMI received for unknown reason {reason} on CPU {cpu}."
	dazed = "Dazed and confused, but trying to continue"
	// strange is a guess that the kernel makes up to 6.0.
	strange = "Do you have a strange power saving mode enabled?"
)

var (
	nmi2617 = nmiProfile{
		unknown: []string{uhhuh}, unknownGoesOn: []string{dazed, strange}, level: defaultMessageLevel,
		serr:       []string{"Uhhuh. NMI received. Dazed and confused, but trying to continue"},
		serrGoesOn: []string{"You probably have a hardware problem with your RAM chips"},
		iock:       "NMI: IOCK error (debug interrupt?)",
	}
	nmi2624 = nmiProfile{
		unknown: []string{uhhuh, strange}, unknownGoesOn: []string{dazed}, asks: true,
		serr:       []string{uhhuh, "You have some hardware problem, likely on the PCI bus."},
		serrGoesOn: []string{dazed},
		iock:       nmi2617.iock,
	}
	nmi4 = nmiProfile{
		unknown: nmi2624.unknown, unknownGoesOn: []string{dazed}, asks: true,
		serr:       []string{"NMI: PCI system error (SERR) for reason {reason} on CPU {cpu}."},
		serrGoesOn: []string{dazed},
		iock:       "NMI: IOCK error (debug interrupt?) for reason {reason} on CPU {cpu}.",
	}
	nmi6 = nmiProfile{
		unknown: []string{uhhuh}, unknownGoesOn: []string{dazed}, asks: true,
		serr: nmi4.serr, serrGoesOn: nmi4.serrGoesOn, iock: nmi4.iock,
	}
)

// iockWait is for how long the line of IOCHK is off before it is on again: 19999 times 100 us.
const iockWait = 19999 * 100 * time.Microsecond

func (f NMI) fail(m *Machine, x *context) {
	if m.kernel.arch != archX86 || x.cpu.inNMI || x.over(m) {
		return
	}
	p := &m.kernel.nmi
	x = &context{cpu: x.cpu, who: x.who, in: InNMI}
	x.cpu.inNMI = true
	defer func() { x.cpu.inNMI = false }()
	put := strings.NewReplacer("{reason}", fmt.Sprintf("%02x", f.Reason), "{cpu}", strconv.Itoa(x.cpu.id))
	say := func(level kernel.Level, lines ...string) {
		for _, l := range lines {
			m.printk(level, put.Replace(l))
		}
	}
	panics := func(text string, knobs ...string) bool {
		for _, k := range knobs {
			if p.asks && m.isSet(k) {
				m.nmiPanic(x, text)
				return true
			}
		}
		return false
	}
	const unrecovered = "kernel/panic_on_unrecovered_nmi"
	switch {
	case f.Reason&NMISERR != 0:
		defer m.in("pci_serr_error")()
		say(emergency, p.serr...)
		if !panics("NMI: Not continuing", unrecovered) {
			say(emergency, p.serrGoesOn...)
		}
	case f.Reason&NMIIOCHK != 0:
		defer m.in("io_check_error")()
		say(emergency, p.iock)
		m.showRegs(x)
		if !panics("NMI IOCK error: Not continuing", "kernel/panic_on_io_nmi") {
			m.reenableIOCK(x)
		}
	default:
		defer m.in("unknown_nmi_error")()
		say(p.level, p.unknown...)
		if !panics("NMI: Not continuing", "kernel/unknown_nmi_panic", unrecovered) {
			say(p.level, p.unknownGoesOn...)
		}
	}
}

// reenableIOCK turns the line off, waits, and turns it on. The CPU does nothing else meanwhile.
func (m *Machine) reenableIOCK(x *context) {
	defer m.enterKernel(x.cpu)()
	before := x.cpu.irqsOff
	x.cpu.irqsOff = true
	m.mdelay(iockWait)
	x.cpu.irqsOff = before
}

package simkernel

import (
	"slices"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// rebootFailed is what ARM says before it waits for ever.
const rebootFailed = "Reboot failed -- System halted"

// machine is the last stage, which is the architecture's. It comes back only from a machine that
// has ended, or that could not do it.
func (m *Machine) machine(w *wayDown) {
	switch w.kind {
	case toRestart:
		m.trace("machine_restart", w.arg)
		m.machineRestart()
	case toHalt:
		m.trace("machine_halt", "")
		if !m.kernel.haltReturns && !m.cfg.HaltReturns {
			m.finish(End{How: Halted, Text: m.reboot.words.Text})
		}
	case toPowerOff:
		m.trace("machine_power_off", "")
		m.machinePowerOff(w)
	case toKexec:
		// machine_shutdown has stopped all others.
		m.machineKexec(m.kexec().Image(kexec.NormalImage), 1)
	}
}

// machineRestart follows machine_restart: on x86 arch/x86/kernel/reboot.c,
// native_machine_restart; on ARM arch/arm64/kernel/process.c and arch/arm/kernel/reboot.c; on MIPS
// arch/mips/kernel/reset.c, which calls the board's function and nothing else.
func (m *Machine) machineRestart() {
	k := m.kernel
	defer m.in("machine_restart")()
	if k.saysRestart {
		m.printk(notice, "reboot: machine restart")
	}
	if k.arch == archARM || k.arch == archARM64 {
		m.stopBeforeRestart()
		if m.ended {
			return
		}
	}
	if k.restartHandlers {
		m.doKernelRestart()
	}
	switch {
	case k.arch == archX86:
		m.emergencyRestartX86()
	case !k.restartHandlers:
		m.effect(Resets)
	}
	if !k.saysFailed {
		return
	}
	m.spend(k.failsAfter)
	if !m.ended {
		m.printk(kernel.Warning, rebootFailed)
		m.reboot.words.Text = rebootFailed
		m.hang()
	}
}

// stopBeforeRestart stops the other CPUs, as ARM's machine_restart does even after a panic: one that
// does not listen is waited for once more (arch/arm64/kernel/process.c).
func (m *Machine) stopBeforeRestart() {
	self := m.dying.owner
	for i := range m.cpus {
		if self == nil && m.cpus[i].online {
			self = &m.cpus[i]
		}
	}
	if self != nil && !self.stopped {
		m.smpSendStop(&context{cpu: self, who: idleTask(self.id)})
	}
}

// machinePowerOff follows machine_power_off: on x86 arch/x86/kernel/reboot.c,
// native_machine_power_off, which does nothing where there is no method; elsewhere all is stopped
// first, but on the boards where it is not.
func (m *Machine) machinePowerOff(w *wayDown) {
	k := m.kernel
	if m.cfg.PowerOffReturns {
		return
	}
	stops := !k.powerOffAlive
	if k.arch == archX86 {
		if !m.canPowerOff() {
			return
		}
		stops = !m.reboot.force
	}
	handlers, pointer := m.powerOffHandlers()
	m.callAtomic("power_off_handler_list", handlers)
	if m.ended {
		return
	}
	if pointer && k.sysOff && stops {
		// unregister_sys_off_handler waits for a grace period of RCU, which cannot come.
		m.hang()
		return
	}
	w.dead = stops
}

// emergencyRestart restarts without shutting anything down (kernel/reboot.c, emergency_restart).
func (m *Machine) emergencyRestart() {
	k := m.kernel
	if k.emergencyDump {
		m.kmsgDump(DumpEmergency)
	}
	if k.emergencyState {
		m.reboot.state = SystemRestart
		m.trace("system_state", m.reboot.state.String())
	}
	m.trace("machine_emergency_restart", "")
	if k.arch == archX86 {
		m.emergencyRestartX86()
		return
	}
	m.machineRestart()
}

// ResetMethod is a way to reset a PC.
type ResetMethod byte

// The methods, by the letters that reboot= has for them.
const (
	ResetACPI   ResetMethod = 'a' // the reset register of the FADT
	ResetKBD    ResetMethod = 'k' // the keyboard controller
	ResetEFI    ResetMethod = 'e'
	ResetBIOS   ResetMethod = 'b'
	ResetCF9    ResetMethod = 'p' // the PCI chip set's port
	ResetTriple ResetMethod = 't' // a triple fault
)

// String returns the name that /sys/kernel/reboot/type has for it.
func (r ResetMethod) String() string {
	switch r {
	case ResetACPI:
		return "acpi"
	case ResetKBD:
		return "kbd"
	case ResetEFI:
		return "efi"
	case ResetBIOS:
		return "bios"
	case ResetCF9:
		return "pci"
	case ResetTriple:
		return "triple"
	}
	return "undefined"
}

// resetOrder is what is tried after what, by the method that has failed.
var resetOrder = map[ResetMethod]ResetMethod{
	ResetACPI: ResetKBD, ResetKBD: ResetEFI, ResetEFI: ResetBIOS, ResetBIOS: ResetCF9,
	ResetCF9: ResetTriple, ResetTriple: ResetKBD,
}

// What a method takes that has no effect.
const (
	acpiWait = 15 * time.Millisecond
	kbdWait  = 10 * 100 * time.Microsecond
)

// emergencyRestartX86 tries the methods in turn, for ever (arch/x86/kernel/reboot.c,
// native_machine_emergency_restart).
func (m *Machine) emergencyRestartX86() {
	r := m.reboot.method
	again := r == ResetACPI // ACPI is tried twice, before and after the keyboard controller
	for range 2 * len(resetOrder) {
		if m.ended {
			return
		}
		m.trace("reset", r.String())
		if m.cfg.Firmware.OnReset != Refuses && !slices.Contains(m.cfg.Firmware.NoReset, r) {
			m.reboot.cycled = r == ResetCF9 && m.reboot.mode != ModeWarm
			m.effect(Resets)
		}
		next := resetOrder[r]
		switch r {
		case ResetACPI:
			m.spend(acpiWait)
		case ResetKBD:
			m.spend(kbdWait)
			if again {
				again, next = false, ResetACPI
			}
		case ResetEFI, ResetBIOS, ResetCF9, ResetTriple:
		}
		r = next
	}
	m.hang()
}

// EmergencyRestart is a call of emergency_restart(), by a driver that knows no other way.
type EmergencyRestart struct{}

func (EmergencyRestart) fail(m *Machine, x *context) {
	x.cpu.irqsOff = true
	m.reboot.words = End{Text: "a driver has called emergency_restart()"}
	m.emergencyRestart()
	if !m.ended {
		m.hang()
	}
}

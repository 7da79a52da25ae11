package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// The priorities of sys-off handlers (include/linux/reboot.h).
const (
	SysOffPlatform = -256
	SysOffLow      = -128
	SysOffDefault  = 0
	SysOffHigh     = 192
	SysOffFirmware = 224
)

// registered is the handlers that could be registered: at any priority but the default there can
// be one only, and a second is refused with EBUSY (kernel/reboot.c, register_sys_off_handler).
func registered(handlers []Notifier) []Notifier {
	if len(handlers) < 2 {
		return handlers
	}
	taken := make(map[int]bool)
	var ok []Notifier
	for _, n := range handlers {
		if n.Priority != SysOffDefault && taken[n.Priority] {
			continue
		}
		taken[n.Priority] = true
		ok = append(ok, n)
	}
	return ok
}

// acpi reports whether a PC has ACPI, which the kernel command line may turn off.
func (m *Machine) acpi() bool { return m.kernel.arch == archX86 && !m.reboot.acpiOff }

// canPowerOff reports whether there is a method (kernel/reboot.c, kernel_can_power_off; before 6.0
// pm_power_off is not null).
func (m *Machine) canPowerOff() bool {
	r := &m.cfg.Reboot
	if r.PMPowerOff != nil || m.firmwarePowersOff() {
		return true
	}
	return m.kernel.sysOff && len(r.PowerOffHandlers) > 0
}

// firmwarePowersOff reports whether the firmware has registered a method: ACPI on a PC, PSCI or
// the board elsewhere.
func (m *Machine) firmwarePowersOff() bool {
	return !m.cfg.Reboot.NoPowerOff && !m.kernel.noMethod && (m.kernel.arch != archX86 || m.acpi())
}

// powerOffHandlers are the functions that are called to power off, and whether pm_power_off is one
// of them. Before 6.0 there is nothing but that pointer, and who sets it last has it
// (kernel/reboot.c, do_kernel_power_off).
func (m *Machine) powerOffHandlers() (handlers []Notifier, pointer bool) {
	r := &m.cfg.Reboot
	own := Notifier{Name: "firmware", Priority: SysOffFirmware, Does: PowersOff}
	// ACPI has registered a handler of its own since 6.0. PSCI sets the pointer.
	byPointer := !m.kernel.sysOff || m.kernel.arch != archX86
	legacy := r.PMPowerOff
	if legacy == nil && byPointer && m.firmwarePowersOff() {
		legacy = &own
	}
	if m.kernel.sysOff {
		if !byPointer && m.firmwarePowersOff() {
			handlers = append(handlers, own)
		}
		handlers = registered(append(handlers, r.PowerOffHandlers...))
	}
	if legacy != nil {
		// It is registered only now, and at the default priority.
		n := *legacy
		n.Priority = SysOffDefault
		handlers = append(handlers, n)
	}
	return chain(handlers), legacy != nil
}

// prepareNext calls the next of the functions that prepare for a power-off or a restart, and
// reports whether there may be more (kernel/reboot.c, do_kernel_power_off_prepare and
// do_kernel_restart_prepare; before 6.0 pm_power_off_prepare).
func (m *Machine) prepareNext(w *wayDown) bool {
	if w.i == 0 {
		w.chain = m.preparers(w.kind)
	}
	name := "power_off_prep_handler_list"
	if w.kind == toRestart {
		name = "restart_prep_handler_list"
	}
	return m.callNext(w, name)
}

func (m *Machine) preparers(k wayKind) []Notifier {
	handlers := m.cfg.Reboot.PowerOffPrepare
	if k == toRestart {
		handlers = m.cfg.Reboot.RestartPrepare
	}
	if m.cfg.Firmware.ACPI && m.acpi() {
		says := "ACPI: Preparing to enter system sleep state S5"
		if m.kernel.sysOff {
			says = "ACPI: PM: Preparing to enter system sleep state S5"
		}
		handlers = append([]Notifier{{
			Name: "acpi", Priority: SysOffFirmware, Says: says, Level: kernel.Info,
		}}, handlers...)
	}
	if !m.kernel.sysOff && len(handlers) > 1 {
		handlers = handlers[len(handlers)-1:] // a pointer: who sets it last has it
	}
	return chain(registered(handlers))
}

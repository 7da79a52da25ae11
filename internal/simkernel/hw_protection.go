package simkernel

import "time"

// protection is hw_protection_shutdown, which acts once.
type protection struct {
	acted   bool
	reboots bool // hw_protection=reboot
}

// action is the name of what it does.
func (p *protection) action() string {
	if p.reboots {
		return "reboot"
	}
	return "shutdown"
}

// HWProtection is a driver that fears for the hardware: it wants an orderly power-off, and after a
// time, if that is more than 0, one at any price (kernel/reboot.c, hw_protection_shutdown). It is
// there from 5.14 on.
type HWProtection struct {
	Reason string
	After  time.Duration
}

func (a HWProtection) act(m *Machine) {
	k, p := m.kernel, &m.reboot.protection
	if !k.protects {
		panic("simkernel: " + k.name + " has no hw_protection_shutdown")
	}
	if m.cfg.Namespace {
		return
	}
	defer m.in("hw_protection_shutdown")()
	m.printk(emergency, k.prefix+"HARDWARE PROTECTION "+p.action()+" ("+a.Reason+")")
	if p.acted {
		return
	}
	p.acted = true
	if a.After > 0 {
		reboots := p.reboots
		m.post(m.now+a.After, Do(func(m *Machine) { m.protectionTimedOut(reboots) }))
	}
	if p.reboots {
		OrderlyReboot{}.act(m)
	} else {
		OrderlyPowerOff{Force: true}.act(m)
	}
}

// protectionTimedOut is when that has not been enough (kernel/reboot.c,
// hw_failure_emergency_poweroff_func; since 6.15 hw_failure_emergency_action_func).
func (m *Machine) protectionTimedOut(reboots bool) {
	prefix := m.kernel.prefix
	what, forced, way := "shutdown", "poweroff", m.kernelPowerOff()
	if m.kernel.protectsBy {
		forced = "shutdown"
	}
	if reboots {
		what, forced, way = "reboot", "reboot", m.kernelRestart()
	}
	defer m.in("hw_failure_emergency_poweroff_func")()
	m.printk(emergency, prefix+"Hardware protection timed-out. Trying forced "+forced)
	m.queue(way, func() {
		defer m.in("hw_failure_emergency_poweroff_func")()
		m.printk(emergency,
			prefix+"Hardware protection "+what+" failed. Trying emergency restart")
		m.emergencyRestart()
	})
}

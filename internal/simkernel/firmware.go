package simkernel

import "time"

// Firmware is what is left of a machine when the kernel lets go of it. The zero value does what it
// is asked, at once.
type Firmware struct {
	// ACPI is a PC's: it says that it prepares for power-off and restart.
	ACPI bool
	// OnReset and OnPowerOff are what it does when it is asked to.
	OnReset, OnPowerOff Outcome
	// ResetTime is from a reset, or from the power coming on, to the next kernel.
	ResetTime time.Duration
	// PowerOffTime is how long powering off takes.
	PowerOffTime time.Duration
	// NoReset are the methods of a PC that have no effect.
	NoReset []ResetMethod
	// ClearsMemory says that it writes over the memory when it starts, so that nothing
	// survives a warm reset there.
	ClearsMemory bool
	// StaysOff says that it waits for the power button when the power comes back.
	StaysOff bool
	// NoClock is a machine without a clock that goes on while it is off: its time of day
	// begins at Config.Epoch every time.
	NoClock bool
}

// Outcome is what firmware does when it is asked for something.
type Outcome uint8

// The outcomes.
const (
	Obeys         Outcome = iota
	Refuses               // nothing happens, and the kernel goes on
	Hangs                 // for ever
	ResetsInstead         // it resets the machine, though it was to power off
	OffInstead            // it powers off, though it was to reset
)

// effect is what a handler has asked of the firmware. It comes back with the machine ended, or if
// the firmware refuses.
func (m *Machine) effect(e Effect) {
	f := &m.cfg.Firmware
	if m.ended {
		return
	}
	o := Refuses
	switch e {
	case Resets:
		o = f.OnReset
	case PowersOff:
		o = f.OnPowerOff
		if o == Obeys {
			o = OffInstead
		}
	case Nothing:
	}
	end := m.reboot.words
	switch o {
	case Obeys, ResetsInstead:
		end.How = Restarted
		m.finish(end)
	case OffInstead:
		m.spend(f.PowerOffTime)
		end.How = PoweredOff
		m.finish(end)
	case Hangs:
		m.hang()
	case Refuses:
	}
}

package simkernel

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// By is who or what brings a machine back.
type By uint8

// The ways to come back.
const (
	// ByItself is nobody: the kernel, the firmware or the power has done it.
	ByItself By = iota
	// ByReset is the reset button.
	ByReset
	// ByButton is the power button: a machine that is on is switched off by holding it.
	ByButton
	// ByCut is the power failing, and coming back.
	ByCut
)

// holdTime is how long the power button must be held (ACPI 6.5, 4.8.2.2.1.3).
const holdTime = 4 * time.Second

// PowerOn is how a machine comes back.
type PowerOn struct {
	By By
	// After is how long that takes to happen, from the machine's end.
	After time.Duration
	// Change, if set, changes the next machine's configuration, before anything else is
	// done with it.
	Change func(*Config)
}

// Persistent is what a machine has besides its disks that may outlive it. What stands in it is up
// to who writes it.
type Persistent struct {
	// Memory is memory that the kernel leaves alone. It is lost with the power.
	Memory map[string][]byte
	// Flash is a memory that needs no power.
	Flash map[string][]byte
	// BootStatus is what the watchdog says of how this boot came about
	// (WDIOC_GETBOOTSTATUS). A watchdog that resets the machine leaves it for the next boot.
	BootStatus uint32
}

// Persistent is the machine's.
func (m *Machine) Persistent() *Persistent { return &m.persistent }

// Boots is which boot of its machine this is, from 1.
func (m *Machine) Boots() int { return m.earlierBoots + 1 }

// CutPower is the power failing.
type CutPower struct{}

func (CutPower) act(m *Machine) { m.finish(End{How: LostPower}) }

// PressReset is the reset button.
type PressReset struct{}

func (PressReset) act(m *Machine) { m.finish(End{How: ResetByHand}) }

// NextBoot makes the machine that comes up after this one has ended. It has what survives: the
// disks, as far as they have been written; the clock that goes on while the machine is off;
// persistent memory, if its power was never gone. Processes, settings, memory and what was to
// happen to the machine are gone. The error says why it does not come up.
func (m *Machine) NextBoot(on PowerOn) (*Machine, error) {
	if !m.ended {
		return nil, errors.New("simkernel: next boot of a machine that is running")
	}
	if m.cfg.Namespace {
		return nil, errors.New("simkernel: a PID namespace has no next boot")
	}
	if m.end.How == Execed {
		return nil, errors.New("simkernel: PID 1 has replaced itself, and goes on by Boot")
	}
	passed, lost, err := m.comesBack(on.By)
	if err != nil {
		return nil, err
	}
	for _, d := range m.disks {
		if lost {
			d.PowerCut()
		} else {
			d.Reset()
		}
	}
	cfg := m.powerOn
	cfg.Epoch, cfg.Seed = m.cfg.Epoch, m.cfg.Seed
	if !cfg.Firmware.NoClock {
		// The time of day that was set is the kernel's own: the clock has not been told.
		cfg.Epoch = cfg.Epoch.Add(m.now + on.After + passed)
	}
	if cfg.Seed != 0 {
		// Another course of chance, and the same one every time.
		cfg.Seed = cfg.Seed*0x9e3779b97f4a7c15 + 1 | 1
	}
	cfg.Reboot.Image = NoImage
	powerOn, from := cfg, (*handedOver)(nil)
	if m.how() == Kexeced {
		cfg, from = m.nextKernel(cfg)
	}
	if on.Change != nil {
		on.Change(&cfg)
	}
	next := newMachine(cfg, from)
	if from != nil {
		next.powerOn = powerOn
	}
	next.earlierBoots = m.earlierBoots + 1
	next.persistent = Persistent{
		Memory: maps.Clone(m.persistent.Memory), Flash: maps.Clone(m.persistent.Flash),
		BootStatus: m.persistent.BootStatus,
	}
	if lost {
		next.persistent.Memory, next.persistent.BootStatus = nil, 0
	}
	for _, w := range next.watchdogs {
		next.readBootStatus(w)
	}
	if m.how() != Kexeced && cfg.Firmware.ClearsMemory {
		next.persistent.Memory = nil
	}
	return next, nil
}

// comesBack says how long a machine takes to come back, and whether its power was gone meanwhile.
func (m *Machine) comesBack(by By) (passed time.Duration, lost bool, err error) {
	f := &m.cfg.Firmware
	off := m.how() == PoweredOff || m.how() == LostPower
	switch by {
	case ByReset:
		if off {
			return 0, false, errors.New("simkernel: the reset button of a machine that is off")
		}
		return f.ResetTime, false, nil
	case ByButton:
		if !off {
			passed = holdTime
		}
		return passed + f.ResetTime, true, nil
	case ByCut:
		if f.StaysOff {
			return 0, true, errStaysOff
		}
		return f.ResetTime, true, nil
	case ByItself:
	}
	switch m.how() {
	case Restarted:
		return f.ResetTime, m.reboot.cycled, nil
	case ResetByHand, ResetByWatchdog:
		return f.ResetTime, false, nil
	case Kexeced:
		return 0, false, nil
	case LostPower:
		if f.StaysOff {
			return 0, true, errStaysOff
		}
		return f.ResetTime, true, nil
	case Exited, Panicked, Halted, PoweredOff, Execed, Stuck, TimedOut, Livelocked, Lingering, Hung:
	}
	return 0, false, fmt.Errorf("simkernel: a machine that has %v does not come back by itself", m.end.How)
}

var errStaysOff = errors.New("simkernel: the machine stays off when its power comes back")

// how is what has become of a machine in the end.
func (m *Machine) how() How {
	if m.end.Then != 0 {
		return m.end.Then
	}
	return m.end.How
}

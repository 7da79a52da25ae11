// Package config reads Rebound's settings from /etc/rebound.conf and the kernel command line.
//
// The file has the form of sysctl.conf(5):
//
//	# How long a service has to end before it is killed.
//	shutdown.term_timeout = 30s
//
// One "key = value" stands in a line. Blanks around both are dropped, blanks inside the value
// are kept. A line whose first character is # or ; is a comment; anywhere else these are part
// of the value. Empty lines are skipped.
//
// On the kernel command line the same keys have rebound. in front: rebound.mounts=auto. They
// override the file, so that a machine can be brought up in spite of it.
//
// A wrong line never stops the boot: it changes nothing, and is reported as a [Problem]. All
// keys, with their values, defaults and meanings, are rows of the table that [Keys] returns.
//
// The package works on text alone. It opens no file.
package config

import (
	"time"

	"github.com/rebound-init/rebound/internal/knob"
)

// Settings are the values that init goes by.
type Settings struct {
	Shutdown Shutdown
	Reboot   Reboot
	Watchdog Watchdog
	Mounts   Mounts
	Log      Log
	Panic    Panic
}

// Panic is the policy for kernel panics.
type Panic struct {
	// Plan is which knobs of the kernel are turned.
	Plan knob.Plan
	// After is what to do after each kind of failure that the kernel survives, in the order of
	// the keys panic.after_*.
	After [len(failures)]After
}

// Reboot says how the machine is made to reboot.
type Reboot struct {
	Method RebootMethod
}

// RebootMethod is what resets the machine.
type RebootMethod uint8

const (
	// RebootByKernel is reboot(2).
	RebootByKernel RebootMethod = iota
	// RebootByWatchdog is a watchdog that is not fed, for machines that the kernel cannot reset.
	RebootByWatchdog
)

func rebootMethodNames() []string {
	return []string{RebootByKernel: "kernel", RebootByWatchdog: "watchdog"}
}

// Watchdog says which watchdogs init keeps, and how.
type Watchdog struct {
	Devices         string // paths with a blank between two; empty for none
	Timeout         time.Duration
	Pretimeout      time.Duration // 0 for none
	Governor        WatchdogGovernor
	ShutdownTimeout time.Duration // for a phase of the way down that has no limit of its own
	PowerOff        WatchdogPowerOff
}

// WatchdogGovernor is what the kernel does at the pretimeout.
type WatchdogGovernor uint8

const (
	// GovernorKeep leaves what is set.
	GovernorKeep WatchdogGovernor = iota
	// GovernorNoop writes a line to the kernel log.
	GovernorNoop
	// GovernorPanic panics, which leaves a record of what hangs.
	GovernorPanic
)

// String returns the kernel's name for it, as it is written in the file.
func (g WatchdogGovernor) String() string { return watchdogGovernorNames()[g] }

func watchdogGovernorNames() []string {
	return []string{GovernorKeep: "keep", GovernorNoop: "noop", GovernorPanic: "panic"}
}

// WatchdogPowerOff is what becomes of watchdogs when the machine is about to be off, or halted.
type WatchdogPowerOff uint8

const (
	// WatchdogStop stops them, if they can be stopped.
	WatchdogStop WatchdogPowerOff = iota
	// WatchdogKeep lets them reset a machine that is not off in time.
	WatchdogKeep
)

func watchdogPowerOffNames() []string {
	return []string{WatchdogStop: "stop", WatchdogKeep: "keep"}
}

// Shutdown bounds the way down.
type Shutdown struct {
	TermTimeout time.Duration // from SIGTERM for all processes to SIGKILL
	KillTimeout time.Duration // from SIGKILL for all processes to going on without them
	SyncTimeout time.Duration // for writing the file systems to their disks
}

// Log says where messages go, beside the console and the kernel log.
type Log struct {
	Syslog bool
}

// Mounts says which file systems init mounts at boot.
type Mounts uint8

const (
	// MountsNone leaves all mounting to the inittab, as BusyBox init does.
	MountsNone Mounts = iota
	// MountsAuto mounts what is missing of /proc, /sys, /dev, /dev/pts and /run.
	MountsAuto
)

// String returns the value as it is written in the file.
func (m Mounts) String() string {
	if int(m) < len(mountsNames()) {
		return mountsNames()[m]
	}
	return "no value of mounts"
}

// mountsNames lists the values of Mounts by their numbers.
func mountsNames() []string {
	return []string{MountsNone: "none", MountsAuto: "auto"}
}

// Keys returns the table of all keys: ours, those of the failures that the kernel survives, and those
// of the knobs of the kernel that a policy can set (package knob).
func Keys() []Key {
	keys := ownKeys()
	for i, f := range failures {
		keys = append(keys, Key{
			Name: "panic.after_" + f.name, Meaning: "what to do after " + f.what, field: afterField(i),
		})
	}
	for i := range knob.Policy() {
		k := &knob.Policy()[i]
		keys = append(keys, Key{Name: k.Key, Meaning: k.Name, knob: k})
	}
	return keys
}

// ownKeys are those that are init's own settings. Adding one takes a row here and a field in
// Settings.
func ownKeys() []Key {
	return []Key{
		{
			Name:    "shutdown.term_timeout",
			Meaning: "how long processes have to end after SIGTERM before they are killed",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.TermTimeout },
				def: 5 * time.Second, min: 0, max: 10 * time.Minute,
			},
		},
		{
			Name:    "shutdown.kill_timeout",
			Meaning: "how long to wait for processes to vanish after SIGKILL",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.KillTimeout },
				def: time.Second, min: 0, max: time.Minute,
			},
		},
		{
			Name:    "shutdown.sync_timeout",
			Meaning: "how long writing the file systems to their disks may take",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.SyncTimeout },
				def: 30 * time.Second, min: 0, max: time.Hour,
			},
		},
		{
			Name:    "reboot.method",
			Meaning: "what resets the machine: the kernel, or a watchdog that is not fed",
			field: choice{
				at:    func(s *Settings) *uint8 { return (*uint8)(&s.Reboot.Method) },
				names: rebootMethodNames(), def: uint8(RebootByKernel),
			},
		},
		{
			Name:    "watchdog.device",
			Meaning: "the watchdogs that init opens and feeds",
			field:   devices{at: func(s *Settings) *string { return &s.Watchdog.Devices }},
		},
		{
			Name:    "watchdog.timeout",
			Meaning: "how long after init's last sign of life a watchdog resets the machine",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Watchdog.Timeout },
				def: time.Minute, min: time.Second, max: 18 * time.Hour,
			},
		},
		{
			Name:    "watchdog.pretimeout",
			Meaning: "how long before that the kernel gives a warning, or panics",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Watchdog.Pretimeout },
				def: 0, min: 0, max: 18 * time.Hour,
			},
		},
		{
			Name:    "watchdog.pretimeout_governor",
			Meaning: "what the kernel does then",
			field: choice{
				at:    func(s *Settings) *uint8 { return (*uint8)(&s.Watchdog.Governor) },
				names: watchdogGovernorNames(), def: uint8(GovernorKeep),
			},
		},
		{
			Name: "watchdog.shutdown_timeout",
			Meaning: "how long the shutdown entries, or the power-off, may take until a watchdog resets " +
				"the machine",
			field: duration{
				at:  func(s *Settings) *time.Duration { return &s.Watchdog.ShutdownTimeout },
				def: 10 * time.Minute, min: time.Second, max: 18 * time.Hour,
			},
		},
		{
			Name:    "watchdog.poweroff",
			Meaning: "whether watchdogs are stopped before the machine is off or halted",
			field: choice{
				at:    func(s *Settings) *uint8 { return (*uint8)(&s.Watchdog.PowerOff) },
				names: watchdogPowerOffNames(), def: uint8(WatchdogStop),
			},
		},
		{
			Name:    "mounts",
			Meaning: "auto mounts what is missing of /proc, /sys, /dev, /dev/pts and /run at boot",
			field: choice{
				at:    func(s *Settings) *uint8 { return (*uint8)(&s.Mounts) },
				names: mountsNames(), def: uint8(MountsNone),
			},
		},
		{
			Name:    "log.syslog",
			Meaning: "whether messages also go to the system log at /dev/log",
			field:   yesNo{at: func(s *Settings) *bool { return &s.Log.Syslog }, def: true},
		},
		{
			Name:    "panic.policy",
			Meaning: "which preset decides about what the kernel does when it fails",
			field: choice{
				at:    func(s *Settings) *uint8 { return (*uint8)(&s.Panic.Plan.Preset) },
				names: knob.Presets(), def: uint8(knob.Standard),
			},
		},
	}
}

// Default returns the settings of a machine that has no configuration.
func Default() Settings {
	var s Settings
	// Nothing is asked of the kernel's knobs in settings that are new.
	for _, key := range ownKeys() {
		key.field.reset(&s)
	}
	return s
}

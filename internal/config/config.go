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

import "time"

// Settings are the values that init goes by.
type Settings struct {
	Shutdown Shutdown
	Mounts   Mounts
	Log      Log
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

// Keys returns the table of all keys. Adding a key takes a row here and a field in Settings.
func Keys() []Key {
	return []Key{
		{
			"shutdown.term_timeout",
			"how long processes have to end after SIGTERM before they are killed",
			duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.TermTimeout },
				def: 5 * time.Second, min: 0, max: 10 * time.Minute,
			},
		},
		{
			"shutdown.kill_timeout",
			"how long to wait for processes to vanish after SIGKILL",
			duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.KillTimeout },
				def: time.Second, min: 0, max: time.Minute,
			},
		},
		{
			"shutdown.sync_timeout",
			"how long writing the file systems to their disks may take",
			duration{
				at:  func(s *Settings) *time.Duration { return &s.Shutdown.SyncTimeout },
				def: 30 * time.Second, min: 0, max: time.Hour,
			},
		},
		{
			"mounts",
			"auto mounts what is missing of /proc, /sys, /dev, /dev/pts and /run at boot",
			choice[Mounts]{
				at:    func(s *Settings) *Mounts { return &s.Mounts },
				names: mountsNames(), def: MountsNone,
			},
		},
		{
			"log.syslog",
			"whether messages also go to the system log at /dev/log",
			yesNo{at: func(s *Settings) *bool { return &s.Log.Syslog }, def: true},
		},
	}
}

// Default returns the settings of a machine that has no configuration.
func Default() Settings {
	var s Settings
	for _, key := range Keys() {
		key.field.reset(&s)
	}
	return s
}

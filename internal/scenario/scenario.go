// Package scenario is one text that tells what a machine is like, what happens to it, and what it
// must leave on its console, and is played in every world that can: on the simulated kernel, in a
// PID namespace, in a container, and in QEMU on a real kernel.
//
// The text is a txtar archive; docs/scenarios.md describes it. Parse reads it, a World plays it
// and returns a Transcript, Check holds the transcript against what the scenario wants, and Agree
// compares the transcripts of two worlds.
package scenario

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Scenario is a parsed scenario.
type Scenario struct {
	// Name is the file's, without directory and suffix; File is as it was given, for messages.
	Name, File string
	// Title is the first sentence of the comments: what the scenario shows.
	Title string

	Machine Machine
	// Files are there before PID 1 is started.
	Files  []File
	Events []Event
	Wants  []Want
	// Consoles are the sections that say what must stand on a terminal, by its name; "" is
	// the console.
	Consoles map[string]Pattern
	// Not tells why a world cannot play it, by the world's name.
	Not map[string]string
	// Lasts is how long it is played if the machine does not end before. Time is counted
	// from the start of PID 1.
	Lasts time.Duration
}

// Machine is what PID 1 is started on, and how. The zero value is a machine of its own, with
// nothing but a console.
type Machine struct {
	// Cmdline is the kernel command line, Args are PID 1's arguments after its name, and Env
	// is what it has in its environment besides HOME=/ and TERM=linux.
	Cmdline string
	Args    []string
	Env     []string
	// Linuxrc starts init as a process that is not PID 1.
	Linuxrc bool

	Console Console
	// Terminals are further ones, /dev/NAME each.
	Terminals []Terminal
	// Shell asks for a /bin/sh that reads lines and runs them; else there is none. Worlds that
	// have no shell cannot play it.
	Shell bool

	// CPUs is how many it has: 1 if it is zero.
	CPUs int

	Privilege Privilege
	// Disk mounts a file system on which sync(2) has something to write.
	Disk bool
	// Watchdogs are /dev/watchdog0 and so on.
	Watchdogs []Watchdog

	// Faults are system calls that fail.
	Faults []Fault
	// Slow is how long a thing takes: "sync", "exec" or "reboot". kernel.Never is a thing that
	// never comes to an end.
	Slow map[string]time.Duration
	// Returns are the commands of reboot(2), "halt" or "poweroff", that the kernel cannot do
	// and comes back from.
	Returns []string
}

// Console is what PID 1 has as descriptors 0 to 2.
type Console uint8

// The kinds of consoles.
const (
	ConsoleTTY     Console = iota // a terminal: /dev/console
	ConsolePipe                   // a pipe that somebody reads, as a container has it
	ConsoleNull                   // /dev/null
	ConsoleNone                   // nothing: the descriptors are closed
	ConsoleStopped                // a terminal whose output is stopped (Ctrl-S)
)

// String returns the word of the format.
func (c Console) String() string { return consoleWords[c] }

var consoleWords = []string{"terminal", "pipe", "null", "none", "stopped"}

// Privilege is what PID 1 may do.
type Privilege uint8

// The kinds of privilege.
const (
	// Any leaves it to the world: a machine of its own where there is one, else the init of a
	// PID namespace that may call reboot(2).
	Any Privilege = iota
	// Own needs a machine of its own.
	Own
	// Container is the init of a PID namespace with CAP_SYS_BOOT, Unprivileged one without.
	Container
	Unprivileged
)

// String returns the words of the format.
func (p Privilege) String() string { return privilegeWords[p] }

var privilegeWords = []string{"any", "own", "container", "container unprivileged"}

// Terminal is a terminal besides the console.
type Terminal struct {
	Name string // without /dev/
	// Stopped is one whose output is stopped from the start.
	Stopped bool
	// Dead is one that is there but cannot be opened: EIO, as a line without a device.
	Dead bool
}

// Watchdog is a watchdog of the machine.
type Watchdog struct {
	// Driver is one of WatchdogDrivers.
	Driver string
	// NoWayOut is one that cannot be stopped once it runs, and Running one that the firmware has
	// started.
	NoWayOut, Running bool
}

// WatchdogDrivers are the drivers that there are. Of "board" the hardware waits for 16 s only, "latch"
// cannot be switched off, and "fixed" takes no other timeout than its own.
func WatchdogDrivers() []string {
	return []string{"softdog", "i6300esb", "board", "latch", "fixed"}
}

// Fault makes a system call fail.
type Fault struct {
	Line int    // in the scenario
	Call string // "fork", "exec", "reboot", "sync", "kill", "open", "mount"
	// N is which call of the name, counted from 1; 0 is every one.
	N     int
	Errno kernel.Errno
}

// File is a file of the machine.
type File struct {
	Line int    // of its header in the scenario
	Path string // absolute
	Text string
	// Executable is a program: a text that needs /bin/sh.
	Executable bool
	// Dir is an empty directory and no file.
	Dir bool
}

// ActorPath is where the program lies that does what its arguments say, in every world.
const ActorPath = "/bin/actor"

// InitPath is where PID 1's program lies, in every world that has one as a file.
const InitPath = "/sbin/init"

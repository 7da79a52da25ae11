package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Transcript is what a play has left.
type Transcript struct {
	World string
	// Terminals are the lines on each terminal that the scenario names, by its name without
	// /dev/; "" is the console. What was typed is among them where the terminal echoes. The
	// kernel's own lines are not: the world leaves them out.
	Terminals map[string][]Line
	// End is how the play ended.
	End End
	// Parent is what the parent of PID 1 saw: "SIGHUP", "exit 0". It is empty where there is
	// none, or where it has seen nothing.
	Parent string
	// Files are the texts, at the end, of the files that the scenario wants to know about.
	// Those that are not there are left out.
	Files map[string]string
	// Done is when each event has happened, in the scenario's order; Undone for one that has
	// not.
	Done []time.Duration
	// Complaints are what no PID 1 may do, whatever the scenario wants: waiting elsewhere
	// than it should, or leaving zombies.
	Complaints []string
	// Slack is by how much the world may be late: it is added to every upper bound.
	Slack time.Duration
	// Blur is by how much the time between two things that were seen may be wrong: it is taken
	// from every lower bound.
	Blur time.Duration
	// Log is the kernel log, for people who want to know why. It is not compared.
	Log []Line
}

// Undone is the time of an event that did not happen.
const Undone = time.Duration(-1)

// Line is a line on a terminal, without carriage returns and newline.
type Line struct {
	// At is when its first byte came, since the start of PID 1.
	At   time.Duration
	Text string
}

// String is the line with its time in seconds.
func (l Line) String() string { return fmt.Sprintf("%12.6f  %s", l.At.Seconds(), l.Text) }

// How is a way to end.
type How uint8

// The ways to end.
const (
	// Alive: PID 1 still runs when the time of the scenario is over.
	Alive How = 1 + iota
	// Reboot, Halt and PowerOff are what the kernel has been told and has done.
	Reboot
	Halt
	PowerOff
	// Exit: PID 1 has ended with a status. On a machine of its own the kernel panics.
	Exit
	// Replaced: another program has taken the place of init, and what it does there is not
	// known to the world.
	Replaced
	// Died: PID 1 was ended by a signal, or the kernel panicked for another reason.
	Died
	// Hung: PID 1 is there and will never do anything again, whatever happens.
	Hung
)

// String returns the word of the format.
func (h How) String() string {
	if int(h) < len(howWords) {
		return howWords[h]
	}
	return "nothing"
}

var howWords = []string{
	"nothing", "alive", "reboot", "halt", "poweroff", "exit", "restart", "died", "hung",
}

// Then is what becomes of a machine whose kernel has died.
type Then uint8

// The answers.
const (
	// ThenRestart: the kernel restarts it.
	ThenRestart Then = 1 + iota
	// ThenHung: nothing more happens.
	ThenHung
	// ThenWatchdog: a watchdog resets it.
	ThenWatchdog
	// ThenCapture: the crash kernel takes over.
	ThenCapture
)

// String returns the word of the format.
func (t Then) String() string { return thenWords[t] }

var thenWords = []string{"nothing", "restart", "hung", "watchdog", "capture"}

// End is the end of a play.
type End struct {
	// How is what has happened. More than one are ways that the world cannot tell apart: the
	// parent of a PID namespace sees the same for halt and for power-off.
	How []How
	// At is when, since the start of PID 1. If the kernel has died that is when it did; Then is
	// what became of the machine, where the world has seen it, and After how long that took.
	At    time.Duration
	Then  Then
	After time.Duration
	// Status is that of Exit.
	Status int
	// Text says more, for people.
	Text string
}

// May reports whether the end may have been h.
func (e End) May(h How) bool { return slices.Contains(e.How, h) }

// String is the end in the words of the format.
func (e End) String() string {
	words := make([]string, len(e.How))
	for i, h := range e.How {
		words[i] = h.String()
		if h == Exit {
			words[i] += fmt.Sprintf(" %d", e.Status)
		}
	}
	return strings.Join(words, " or ")
}

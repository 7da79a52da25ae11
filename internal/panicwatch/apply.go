package panicwatch

import (
	"errors"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/knob"
)

// Knobs reads and writes the files behind the knobs: those of proc, and of sysfs.
type Knobs interface {
	Proc(name string) ([]byte, error)
	SetProc(name, value string) error
	Sys(name string) ([]byte, error)
	SetSys(name, value string) error
}

// Result is what came of a choice.
type Result uint8

// The results.
const (
	Same    Result = iota // it was so already
	Set                   // it is so now
	Kept                  // the boot line says otherwise, and a preset leaves that alone
	Lacking               // this kernel has no such knob
	Refused               // the kernel did not take it, or would not show it
	Altered               // the kernel took it and made something else of it
	Changed               // it was so, and is not any more
)

// Outcome is one choice and what came of it.
type Outcome struct {
	_ [0]func() // as with a knob
	knob.Choice
	Result Result
	// Was and Is are what the file showed before and afterwards, without the newline; empty if it
	// could not be read.
	Was, Is string
	// Word is the word of the boot line that sets the same knob, or empty.
	Word string
	// Err is why it was refused.
	Err error
}

// Apply makes the choices of a plan, on a kernel that was booted with a line of words.
//
// The order leaves no state in between that is worse than before and after: first go the triggers that
// are turned off, then what brings the machine back is turned on, then comes what is only shown or
// measured, then the triggers that are turned on, and last what brings it back and is turned off. One
// that fails does not stop the others.
func Apply(k Knobs, plan knob.Plan, bootLine []byte) []Outcome {
	choices := plan.Choices()
	outcomes := make([]Outcome, 0, len(choices))
	for turn := range lastTurn + 1 {
		for _, c := range choices {
			if turnOf(c) == turn {
				outcomes = append(outcomes, Outcome{Choice: c, Word: c.Knob.SetBy(string(bootLine))})
				outcomes[len(outcomes)-1].apply(k)
			}
		}
	}
	// One knob may change another: kernel.watchdog sets two. So they are read back when all are set.
	for i := range outcomes {
		if o := &outcomes[i]; o.Result == Set {
			o.look(k, Altered)
		}
	}
	return outcomes
}

// lastTurn is the last one of turnOf.
const lastTurn = 4

// turnOf is when a choice is made, counted from 0.
func turnOf(c knob.Choice) int {
	off := c.Knob.Off(c.Value)
	switch c.Knob.Role {
	case knob.Trigger:
		if off {
			return 0
		}
		return 3
	case knob.Rescue:
		if !off {
			return 1
		}
		return lastTurn
	case knob.Aid:
	}
	return 2
}

// apply makes a choice.
func (o *Outcome) apply(k Knobs) {
	o.look(k, Set)
	o.Was = o.Is
	switch {
	case o.Result != Set:
	case o.Word != "" && !o.Asked:
		o.Result = Kept
	default:
		if o.Err = write(k, o.Knob, o.Value); o.Err != nil {
			o.Result = Refused
		}
	}
}

// look reads the knob, and gives the outcome a result if it cannot be read or has another value than
// it should have.
func (o *Outcome) look(k Knobs, otherwise Result) {
	read := k.Sys
	if o.Knob.Place == knob.Sysctl {
		read = k.Proc
	}
	text, err := read(o.Knob.Path())
	o.Is, o.Err = o.Knob.Shown(string(text)), err
	switch {
	case errors.Is(err, kernel.ENOENT):
		o.Result = Lacking
	case err != nil:
		o.Result = Refused
	case o.Is != o.Value:
		o.Result = otherwise
	}
}

// Check looks whether somebody has changed a knob since it was set, and reports it if so, once. It does
// not look at those whose files wait for a lock of the kernel's: somebody else may hang in it, and
// PID 1 must not.
func (o *Outcome) Check(k Knobs) (changed bool) {
	if o.Result > Set || o.Knob.Waits() {
		return false
	}
	o.look(k, Changed)
	return o.Result == Changed
}

func write(k Knobs, of *knob.Knob, value string) error {
	if of.Place == knob.Sysctl {
		return k.SetProc(of.Path(), value)
	}
	return k.SetSys(of.Path(), value)
}

// Worth reports whether a user should hear of an outcome, and does not only find it in the log: what
// was asked for and is not so. That an older kernel lacks what a preset would have set is no news.
func (o *Outcome) Worth() bool { return o.Result >= Kept && (o.Result != Lacking || o.Asked) }

// String says an outcome in a line, as "kernel.panic = 10: read-only file system: it stays 0".
func (o *Outcome) String() string {
	s := o.Knob.Name + " = " + o.Value + ": "
	switch o.Result {
	case Same:
		return s + "as it was"
	case Set:
		s += "it was " + o.Was
		if o.Word != "" {
			s += " by " + o.Word + " of the kernel command line"
		}
		return s
	case Kept:
		s += "the kernel command line has " + o.Word
	case Lacking:
		return s + "this kernel has no such setting"
	case Refused:
		s += o.Err.Error()
	case Altered:
		return s + "the kernel has made " + o.Is + " of it"
	case Changed:
		return s + "somebody has made " + o.Is + " of it since"
	}
	if o.Is != "" {
		s += ": it stays " + o.Is
	}
	return s
}

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// own is a machine of the user's own.
type own struct {
	inittab, config string
	at              time.Duration
}

func (w *own) flags(fs *flag.FlagSet) {
	fs.StringVar(&w.inittab, "inittab", "", "no scenario: boot this inittab, a `file`")
	fs.StringVar(&w.config, "config", "", "with -inittab: the rebound.conf of that machine, a `file`")
	fs.Var((*timeValue)(&w.at), "at", "with -inittab: at this `time` after the start ask for ACTION, "+
		"which is reboot, halt, poweroff, ctrl-alt-del, or signal NAME")
}

func (w *own) given() bool { return w.inittab != "" || w.config != "" || w.at != 0 }

// check says if there are options that cannot be for a machine of the user's own.
func (w *own) check(fs *flag.FlagSet) error {
	if w.inittab == "" {
		return errors.New("-config and -at belong to -inittab FILE")
	}
	var err error
	fs.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "world", "init", "actor":
			err = fmt.Errorf("-%s belongs to scenarios: an inittab of your own is played in sim only, "+
				"for the other worlds have none of its programs", f.Name)
		}
	})
	return err
}

// The time after a request within which the machine must be down, or is shown to be alive.
const ownPatience = 10 * time.Minute

// request is what a user asks a machine for.
func request(words []string) (scenario.Deed, error) {
	expected := "expected reboot, halt, poweroff, ctrl-alt-del, or signal NAME"
	signal := func(s kernel.Signal) scenario.Deed {
		return scenario.Signal{Signals: []kernel.Signal{s}}
	}
	switch {
	case len(words) == 0:
		return nil, errors.New("-at says when, and not what: " + expected)
	case len(words) == 1 && words[0] == "reboot":
		return signal(kernel.SIGTERM), nil
	case len(words) == 1 && words[0] == "halt":
		return signal(kernel.SIGUSR1), nil
	case len(words) == 1 && words[0] == "poweroff":
		return signal(kernel.SIGUSR2), nil
	case len(words) == 1 && words[0] == "ctrl-alt-del":
		return scenario.CtrlAltDel{}, nil
	case len(words) == 2 && words[0] == "signal":
		sig, err := scenario.ParseSignal(words[1])
		return signal(sig), err
	}
	return nil, fmt.Errorf("%q: %s", strings.Join(words, " "), expected)
}

// runOwn tells what would happen on a machine with an inittab.
func (t *tool) runOwn(w *own, words []string, o scenario.Options) int {
	s := &scenario.Scenario{Name: "own", File: w.inittab, Lasts: w.at + time.Minute}
	if w.at != 0 || len(words) > 0 {
		deed, err := request(words)
		if err != nil {
			return t.wrong("run: %v", err)
		}
		s.Events = []scenario.Event{{At: w.at, Do: deed}}
		s.Lasts = w.at + ownPatience
	}
	text, err := os.ReadFile(w.inittab)
	if err != nil {
		return t.wrong("run: %v", err)
	}
	s.Files = []scenario.File{{Path: pid1.InittabPath, Text: string(text)}}
	if w.config != "" {
		conf, err := os.ReadFile(w.config)
		if err != nil {
			return t.wrong("run: %v", err)
		}
		s.Files = append(s.Files, scenario.File{Path: pid1.ConfigPath, Text: string(conf)})
	}
	table, found := inittab.Parse(w.inittab, text)
	wrong := 0
	for _, d := range found {
		if d.Severity != inittab.Note {
			wrong++
		}
	}
	if wrong > 0 {
		fmt.Fprintf(t.out, "%s has mistakes or traps, %d in all: `init --check -inittab %s` explains "+
			"them.\n\n", w.inittab, wrong, w.inittab)
	}
	world := sim.World{}
	var assumed []sim.Assumption
	world.Programs, assumed = sim.Assume(table)
	s.Machine.Terminals = sim.Devices(table)
	t.assumptions(assumed)

	tr, err := world.Play(t.ctx, s, o)
	if err != nil {
		fmt.Fprintf(t.err, "simboot: %v\n", err)
		return exitDiffers
	}
	t.show(tr)
	return t.tell(s, tr)
}

// assumptions says what the model takes for granted.
func (t *tool) assumptions(all []sim.Assumption) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(t.out, "Taken to be so, for nobody knows these programs here:")
	for _, a := range all {
		fmt.Fprintf(t.out, "  line %-4d %s\n            %s\n", a.Line, a.Command, a.Does)
	}
	fmt.Fprintln(t.out)
}

// tell says how it ended. It is a success unless the machine was asked to go down and has not.
func (t *tool) tell(s *scenario.Scenario, tr *scenario.Transcript) int {
	for _, c := range tr.Complaints {
		fmt.Fprintln(t.out, c)
	}
	if tr.End.May(scenario.Alive) || tr.End.May(scenario.Hung) {
		fmt.Fprintf(t.out, "\nThe machine is up after %s.\n", span(tr.End.At))
		if len(s.Events) > 0 && goesDown(s.Events[0].Do) {
			fmt.Fprintf(t.out, "It was asked to go down at %s.\n", span(s.Events[0].At))
			return exitDiffers
		}
		return exitOK
	}
	fmt.Fprintf(t.out, "\nThe end is %s", tr.End)
	if tr.End.Text != "" {
		fmt.Fprintf(t.out, " (%s)", tr.End.Text)
	}
	fmt.Fprintf(t.out, " at %s", span(tr.End.At))
	if len(tr.Done) > 0 && tr.Done[0] != scenario.Undone {
		fmt.Fprintf(t.out, ", %s after it was asked for", span(tr.End.At-tr.Done[0]))
	}
	fmt.Fprintln(t.out, ".")
	if len(tr.Complaints) > 0 {
		return exitDiffers
	}
	return exitOK
}

// goesDown reports whether a deed asks for the way down by itself: Ctrl-Alt-Del does what the
// inittab says, and other signals nothing.
func goesDown(d scenario.Deed) bool {
	sig, ok := d.(scenario.Signal)
	if !ok {
		return false
	}
	switch sig.Signals[0] {
	case kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGUSR2, kernel.SIGPWR:
		return true
	}
	return false
}

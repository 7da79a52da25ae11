package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

const runDoes = `Play scenarios. For each, print one line: that it went as it must, or where it did not.`

func (t *tool) run(args []string) int {
	fs := t.flags("run", "FILE... | -inittab FILE [-config FILE] -at TIME ACTION", runDoes)
	var (
		o     scenario.Options
		own   own
		world = fs.String("world", "sim", "the `worlds` to play in, with commas between: "+
			strings.Join(scenario.WorldNames(), ", "))
		trace   = fs.Bool("trace", false, "show every call of PID 1 with its result (sim only)")
		console = fs.Bool("console", false, "show what stands on the terminals")
	)
	fs.Uint64Var(&o.Seed, "seed", 0,
		"draw what chance decides from this `number` (sim only); 0 is no chance")
	programs(fs, &o)
	own.flags(fs)
	words, status, done := t.parse(fs, args)
	if done {
		return status
	}
	if *trace {
		o.Trace = func(at time.Duration, call string) {
			fmt.Fprintf(t.out, "%12.6f  %s\n", at.Seconds(), call)
		}
	}
	if own.given() {
		if err := own.check(fs); err != nil {
			return t.wrong("run: %v", err)
		}
		return t.runOwn(&own, words, o)
	}
	if len(words) == 0 {
		return t.wrong("run: expected scenarios, or -inittab FILE for an inittab of your own")
	}
	ws, err := choose(*world)
	if err != nil {
		return t.wrong("run: %v", err)
	}
	if *trace && !slices.ContainsFunc(ws, func(w scenario.World) bool { return w.Name() == sim.Name }) {
		return t.wrong("run: -trace -world %s: only the simulated world sees calls", *world)
	}
	scenarios, status := t.load(words)
	if status != exitOK {
		return status
	}
	for _, s := range scenarios {
		for _, w := range ws {
			slow := w.Name() != sim.Name
			if slow {
				t.progress(s.Name + " in " + w.Name())
			}
			tr, err := w.Play(t.ctx, s, o)
			if slow {
				t.progress("")
			}
			var not *scenario.Unplayable
			switch {
			case errors.As(err, &not):
				// That is what was asked for, so it is no success.
				fmt.Fprintf(t.out, "%s: %v\n", s.File, not)
				status = exitDiffers
				continue
			case err != nil:
				fmt.Fprintf(t.err, "simboot: %s: %s: %v\n", s.File, w.Name(), err)
				status = exitDiffers
				continue
			}
			if *console {
				t.show(tr)
			}
			if !t.verdict(s, tr, o) {
				status = exitDiffers
			}
		}
	}
	return status
}

// verdict prints whether a play went as it must.
func (t *tool) verdict(s *scenario.Scenario, tr *scenario.Transcript, o scenario.Options) bool {
	differences := scenario.Check(s, tr)
	in := tr.World
	if o.Seed != 0 && tr.World == sim.Name {
		in += fmt.Sprintf(" -seed %d", o.Seed)
	}
	if len(differences) == 0 {
		fmt.Fprintf(t.out, "pass     %s (%s): %s after %s\n", s.File, in, tr.End, span(tr.End.At))
		return true
	}
	fmt.Fprintf(t.out, "differs  %s (%s): %s\n", s.File, in, s.Title)
	for _, d := range differences {
		fmt.Fprintln(t.out, indent(place(s, d)+d.Text))
	}
	return false
}

// place is where in a scenario a difference belongs.
func place(s *scenario.Scenario, d scenario.Difference) string {
	if d.Line == 0 {
		return s.File + ": "
	}
	return fmt.Sprintf("%s:%d: ", s.File, d.Line)
}

// indent moves all lines of a text to the right.
func indent(text string) string {
	return "         " + strings.ReplaceAll(text, "\n", "\n         ")
}

// span is a time for people.
func span(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.String()
}

// load reads the scenarios of files and of all directories. What is wrong with them is printed.
func (t *tool) load(names []string) ([]*scenario.Scenario, int) {
	files, err := scenarioFiles(names)
	if err != nil {
		return nil, t.wrong("%v", err)
	}
	if len(files) == 0 {
		return nil, t.wrong("no scenarios: expected files or directories with files *.txtar")
	}
	var all []*scenario.Scenario
	status := exitOK
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, t.wrong("%v", err)
		}
		s, err := scenario.Parse(file, text)
		if err != nil {
			fmt.Fprintln(t.err, err)
			status = exitUsage
			continue
		}
		all = append(all, s)
	}
	return all, status
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/crash/matrix"
	"github.com/rebound-init/rebound/internal/nearest"
)

const explainDoes = `Tell step by step what the kernel does from a failure to the end, how long each step takes, and
what the end is. Nothing happens to the machine: the failure is played on a model of its kernel,
with its own settings, or with those of the options. ` + "`panicctl matrix`" + ` names all failures.`

func (t *tool) explain(args []string) int {
	fs := t.flags("explain", "FAILURE", explainDoes)
	var (
		o           machineFlags
		asJSON, all bool
	)
	o.define(fs)
	fs.BoolVar(&asJSON, "json", false, "print an object; times are in seconds")
	fs.BoolVar(&all, "all", false, "show the steps on which nothing depends, too, and all lines of the log")
	words, status, done := t.parse(fs, args)
	switch {
	case done:
		return status
	case len(words) != 1:
		return t.wrong("explain: expected the name of one failure: `panicctl matrix` names all")
	}
	if status := t.knows("explain", words[0]); status != exitOK {
		return status
	}
	m, err := o.machine()
	if err != nil {
		return t.noMachine("explain", err)
	}
	row, err := matrix.One(m.Machine, words[0])
	if err != nil {
		return t.wrong("explain: %v", err)
	}
	if asJSON {
		return t.printJSON(row)
	}
	t.print(t.out, t.describe(m), "")
	fmt.Fprintf(t.out, "\n%s: %s\n%s\n\n", t.paint(bold, row.Failure), row.Means,
		t.paint(faint, "in the model: "+row.Caused))
	t.printSteps(row, all)
	fmt.Fprintln(t.out)
	t.printEnd(row)
	return exitOK
}

// knows says so if a name is no failure's.
func (t *tool) knows(command, failure string) int {
	var names []string
	for _, f := range crash.Failures() {
		names = append(names, f.Name)
	}
	if slices.Contains(names, failure) {
		return exitOK
	}
	hint := "`panicctl matrix` names all"
	if w := nearest.Word(failure, names); w != "" {
		hint = fmt.Sprintf("did you mean %q?", w)
	}
	return t.wrong("%s: unknown failure %q: %s", command, failure, hint)
}

// printSteps prints what happens when, and how long each step takes without those within it.
func (t *tool) printSteps(row *matrix.Row, all bool) {
	tb := &table{}
	line := func(at, takes matrix.Span, step, does string) {
		when, long := at.String(), ""
		if takes != 0 {
			long = takes.String()
		}
		tb.add(cell{when, plain}, cell{long, plain}, cell{step, plain}, cell{does, plain})
	}
	tb.add(cell{"AT", bold}, cell{"TAKES", bold}, cell{"STEP", bold}, cell{"WHAT IT DOES", bold})
	line(0, 0, "(failure)", row.Means)
	at := matrix.Span(0)
	var shown []int // depths of the steps around that are shown
	for i := range row.Steps {
		s := &row.Steps[i]
		if s.At > at {
			does := "nobody notices"
			if i > 0 {
				does = ""
			}
			line(at, s.At-at, "", does)
		}
		if s.Takes != matrix.Never {
			at = max(at, s.At+s.Takes)
		}
		for len(shown) > 0 && shown[len(shown)-1] >= s.Depth {
			shown = shown[:len(shown)-1]
		}
		if s.Minor && !all {
			continue
		}
		does := s.Does
		if s.Repeats > 0 {
			does += again(s.Repeats)
		}
		if len(s.Lines) > 0 && !all {
			does += ": " + quote(s.Lines)
		}
		line(s.At, own(row.Steps, i), strings.Repeat("  ", len(shown))+s.Name, does)
		shown = append(shown, s.Depth)
		for _, l := range s.Lines {
			if all {
				tb.add(cell{"", plain}, cell{"", plain}, cell{"", plain}, cell{"| " + l, faint})
			}
		}
	}
	switch row.Outcome {
	case matrix.ComesBack:
		if row.Back > at {
			line(at, row.Back-at, "", "nothing happens")
		}
		line(row.Back, 0, "(next kernel)", "starts, when the firmware is ready")
	case matrix.Captured:
		line(row.Back, 0, "(crash kernel)", "starts")
	case matrix.Hangs, matrix.Halts, matrix.PowersOff, matrix.GoesOn:
	}
	t.print(t.out, tb, "")
}

// again says how often a step comes again.
func again(n int) string {
	if n == 1 {
		return " (and once more)"
	}
	return fmt.Sprintf(" (and %d times more)", n)
}

// own is how long a step takes without those within it.
func own(all []matrix.Step, i int) matrix.Span {
	takes := all[i].Takes
	for j := i + 1; j < len(all) && all[j].Depth > all[i].Depth; j++ {
		switch {
		case all[j].Depth > all[i].Depth+1:
		case all[j].Takes == matrix.Never:
			return 0
		default:
			takes -= all[j].Takes
		}
	}
	return takes
}

// quote shows what a step has said, in few words.
func quote(lines []string) string {
	const width = 64
	text := lines[0]
	if r := []rune(text); len(r) > width {
		text = string(r[:width]) + "..."
	}
	text = `"` + text + `"`
	if n := len(lines) - 1; n > 0 {
		text += fmt.Sprintf(" and %d lines", n)
		if n == 1 {
			text = strings.TrimSuffix(text, "s")
		}
	}
	return text
}

// printEnd prints what comes of it.
func (t *tool) printEnd(row *matrix.Row) {
	tb := &table{}
	add := func(name, text string, c colour) {
		if text != "" {
			tb.add(cell{name, faint}, cell{text, c})
		}
	}
	add("outcome", outcome(row), colourOf(row.Outcome))
	add("why", row.Cause, plain)
	if row.Lost != row.Cause {
		add("lost", row.Lost, plain)
	}
	if len(row.Evidence) == 0 {
		add("evidence", "none", plain)
	}
	for i, e := range row.Evidence {
		name := "evidence"
		if i > 0 {
			name = ""
		}
		add(name, e.Where+": "+e.What, plain)
	}
	t.print(t.out, tb, "")
}

// outcome is what becomes of the machine, in a sentence.
func outcome(row *matrix.Row) string {
	after := row.Back.String() + " after the failure"
	if row.Back == 0 {
		after = "at once"
	}
	switch row.Outcome {
	case matrix.Hangs:
		return "hangs for ever: somebody has to come"
	case matrix.GoesOn:
		return "goes on"
	case matrix.ComesBack:
		by := ""
		if row.By != "kernel" {
			by = " by " + row.By
		}
		return "comes back" + by + ": the next kernel starts " + after + ", plus what the firmware takes"
	case matrix.Captured:
		return "captured: the crash kernel starts " + after + ", and decides what comes next"
	case matrix.PowersOff, matrix.Halts:
		return row.Outcome.String() + ", " + row.After.String() + " after the failure: somebody has to come"
	}
	return ""
}

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/scenario"
)

const agreeDoes = `Play scenarios in every world that can play them. Each transcript must be what the
scenario wants, and the same in all worlds. Prints a table: pass, differs, "no" where the world
cannot play it, "-" where this machine lacks something that the world needs.`

// cell is the outcome of a scenario in a world.
type cell struct {
	word       string
	transcript *scenario.Transcript
}

func (t *tool) agree(args []string) int {
	fs := t.flags("agree", "DIR|FILE...", agreeDoes)
	var o scenario.Options
	var all []string
	for _, w := range worlds() {
		all = append(all, w.Name())
	}
	names := fs.String("world", strings.Join(all, ","), "the `worlds`, with commas between")
	fs.Uint64Var(&o.Seed, "seed", 0, "of the simulated world, a `number`; 0 is no chance")
	programs(fs, &o)
	words, status, done := t.parse(fs, args)
	if done {
		return status
	}
	ws, err := choose(*names)
	if err != nil {
		return t.wrong("agree: %v", err)
	}
	scenarios, status := t.load(words)
	if status != exitOK {
		return status
	}
	a := agreement{t: t, worlds: ws, reasons: make(map[string][]string)}
	a.header(scenarios)
	for i, s := range scenarios {
		a.row(s, o, fmt.Sprintf("%d of %d: %s", i+1, len(scenarios), s.Name))
		if t.ctx.Err() != nil {
			return t.wrong("agree: %v", t.ctx.Err())
		}
	}
	return a.end()
}

// column is the width of a column of the table: that of the longest name of a world.
const column = len("qemu-amd64")

// agreement is a table that is being made.
type agreement struct {
	t      *tool
	worlds []scenario.World
	width  int
	// found are differences to be told below the table; reasons are the scenarios that a world
	// cannot play, by why.
	found   []string
	reasons map[string][]string
	order   []string
	counts  map[string]int
	differs bool
}

func (a *agreement) header(scenarios []*scenario.Scenario) {
	const title = "scenario"
	a.width = len(title)
	for _, s := range scenarios {
		a.width = max(a.width, len(s.Name))
	}
	fmt.Fprintf(a.t.out, "%-*s", a.width, title)
	for _, w := range a.worlds {
		fmt.Fprintf(a.t.out, "  %-*s", column, w.Name())
	}
	fmt.Fprintln(a.t.out)
	a.counts = make(map[string]int)
}

// row plays a scenario in all worlds.
func (a *agreement) row(s *scenario.Scenario, o scenario.Options, title string) {
	cells := make([]cell, len(a.worlds))
	for i, w := range a.worlds {
		a.t.progress(title + " in " + w.Name())
		cells[i] = a.play(s, w, o)
	}
	a.compare(s, cells)
	a.t.progress("")
	fmt.Fprintf(a.t.out, "%-*s", a.width, s.Name)
	for i, c := range cells {
		fmt.Fprintf(a.t.out, "  %-*s", column, c.word)
		a.counts[a.worlds[i].Name()+" "+c.word]++
	}
	fmt.Fprintln(a.t.out)
}

// play plays a scenario in a world.
func (a *agreement) play(s *scenario.Scenario, w scenario.World, o scenario.Options) cell {
	tr, err := w.Play(a.t.ctx, s, o)
	var not *scenario.Unplayable
	switch {
	case errors.As(err, &not):
		key := not.Error()
		if len(a.reasons[key]) == 0 {
			a.order = append(a.order, key)
		}
		a.reasons[key] = append(a.reasons[key], s.Name)
		if not.Missing {
			return cell{word: "-"}
		}
		return cell{word: "no"}
	case err != nil:
		a.differ(fmt.Sprintf("%s in %s: %v", s.File, w.Name(), err))
		return cell{word: "differs"}
	}
	c := cell{word: "pass", transcript: tr}
	for _, d := range scenario.Check(s, tr) {
		c.word = "differs"
		a.differ(fmt.Sprintf("%s (%s)", place(s, d)+d.Text, w.Name()))
	}
	return c
}

// compare compares each world with the first that has played.
func (a *agreement) compare(s *scenario.Scenario, cells []cell) {
	first := -1
	for i, c := range cells {
		if c.transcript == nil {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		for _, d := range scenario.Agree(s, cells[first].transcript, c.transcript) {
			cells[i].word = "differs"
			a.differ(place(s, d) + d.Text)
		}
	}
}

func (a *agreement) differ(text string) {
	a.differs = true
	a.found = append(a.found, text)
}

// end prints what is below the table.
func (a *agreement) end() int {
	out := a.t.out
	fmt.Fprintln(out)
	for _, w := range a.worlds {
		n := func(word string) int { return a.counts[w.Name()+" "+word] }
		fmt.Fprintf(out, "%-*s  %d pass, %d differ, %d cannot be played there, %d lack something here\n",
			column, w.Name(), n("pass"), n("differs"), n("no"), n("-"))
	}
	for _, key := range a.order {
		fmt.Fprintf(out, "\n%s:\n  %s\n", key, strings.Join(a.reasons[key], ", "))
	}
	for _, text := range a.found {
		fmt.Fprintf(out, "\n%s\n", text)
	}
	if a.differs {
		return exitDiffers
	}
	return exitOK
}

// progress shows on a terminal what is being done.
func (t *tool) progress(text string) {
	f, ok := t.err.(*os.File)
	if !ok {
		return
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return
	}
	const clearLine = "\r\x1b[K"
	fmt.Fprint(f, clearLine+text)
}

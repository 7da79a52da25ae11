package main

import (
	"bytes"
	_ "embed" // for the template
	"fmt"
	"html/template"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/crash/matrix"
)

//go:embed page.tmpl
var pageText string

// page is what the template shows.
type page struct {
	Kernel, Of, Hardware, Summary string
	Set, Notes                    []string
	Tiles                         []tile
	Ticks                         []tick
	Groups                        []pageGroup
}

// tile is a number at the top of the page, and a part of the bar above it, in percent.
type tile struct {
	Class, Label string
	Count        int
	X, W         float64
}

// tick is a time on the axis.
type tick struct {
	X           float64 // percent
	Text        string
	Anchor      string
	Axis, Minor bool
}

type pageGroup struct {
	Name string
	Rows []pageRow
}

// pageRow is a failure with its timeline.
type pageRow struct {
	Name, Means, Caused, Class, Outcome, Left, Sentence, Why string
	// Says is the timeline in words.
	Says     string
	Evidence []crash.Evidence
	Bars     []bar
	EndX     float64 // percent
	Label    *label
	Steps    []pageStep
}

// bar is a phase.
type bar struct {
	Class, Says string
	X, W        float64 // percent
	Y, H        int
}

// label is the time beside the sign at the end.
type label struct {
	Class, Text, Anchor string
	DX                  int
}

type pageStep struct {
	At, Takes, Name, Does string
	Indent                int
	Minor                 bool
	Lines                 []string
}

// classOf is an outcome's in the style sheet.
func classOf(o matrix.Outcome) string {
	switch o {
	case matrix.Hangs:
		return "hangs"
	case matrix.Halts, matrix.PowersOff:
		return "off"
	case matrix.GoesOn:
		return "goes"
	case matrix.ComesBack:
		return "back"
	case matrix.Captured:
		return "captured"
	}
	return ""
}

// scale puts times onto the axis. Short ones get more room than long ones: the first second about as
// much as the time from one minute to two.
type scale struct{ longest time.Duration }

// What the axis takes of the width, in percent. What never ends goes on to the right edge.
const (
	axisFrom = 2.0
	axisTo   = 90.0
	forEver  = 97.5
)

// scaleFor is a scale for all times of some rows.
func scaleFor(rows []matrix.Row) scale {
	s := scale{time.Minute}
	for i := range rows {
		times := []matrix.Span{rows[i].After}
		for _, p := range rows[i].Phases {
			times = append(times, p.From, p.To)
		}
		for _, t := range times {
			if t != matrix.Never {
				s.longest = max(s.longest, time.Duration(t))
			}
		}
	}
	return s
}

// x is where a time is, in percent.
func (s scale) x(t matrix.Span) float64 {
	if t == matrix.Never {
		return forEver
	}
	part := math.Log1p(time.Duration(t).Seconds()) / math.Log1p(s.longest.Seconds())
	return rounded(axisFrom + part*(axisTo-axisFrom))
}

// rounded keeps the page short.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// ticks are the times that the axis names.
func (s scale) ticks() []tick {
	all := []tick{{X: s.x(0), Text: "0", Anchor: "middle", Axis: true}}
	minor := false
	for _, t := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute / 2,
		time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, time.Hour / 2,
		time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
	} {
		const room = 4.5 // percent that a label takes
		x := s.x(matrix.Span(t))
		if t > s.longest || x-all[len(all)-1].X < room || x > axisTo+room/2 {
			continue
		}
		minor = !minor
		all = append(all, tick{X: x, Text: matrix.Span(t).String(), Anchor: "middle", Minor: !minor})
	}
	return append(all, tick{X: forEver, Text: "ever", Anchor: "middle"})
}

// pageOf is the page for a machine.
func pageOf(m *machine, rows []matrix.Row, summary string) *page {
	p := &page{Kernel: m.Kernel, Of: m.of, Hardware: m.hardware(), Notes: m.notes, Summary: summary}
	if words := m.words(); len(words) > 0 {
		p.Set = words
	}
	p.Tiles = tiles(rows)
	s := scaleFor(rows)
	p.Ticks = s.ticks()
	for _, f := range matrix.Families() {
		g := pageGroup{Name: string(f)}
		for i := range rows {
			if rows[i].Family == f {
				g.Rows = append(g.Rows, pageRowOf(&rows[i], s))
			}
		}
		if len(g.Rows) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	return p
}

// tiles count the outcomes.
func tiles(rows []matrix.Row) []tile {
	n := matrix.Count(rows)
	all := []tile{
		{Class: "back", Label: "come back", Count: n[matrix.ComesBack]},
		{Class: "captured", Label: "captured by the crash kernel", Count: n[matrix.Captured]},
		{Class: "goes", Label: "go on", Count: n[matrix.GoesOn]},
		{Class: "off", Label: "switched off", Count: n[matrix.PowersOff] + n[matrix.Halts]},
		{Class: "hangs", Label: "hang for ever", Count: n[matrix.Hangs]},
	}
	all = slices.DeleteFunc(all, func(t tile) bool { return t.Count == 0 })
	x := 0.0
	for i := range all {
		all[i].X = rounded(x)
		all[i].W = rounded(100 * float64(all[i].Count) / float64(len(rows)))
		x += all[i].W
	}
	return append([]tile{{Class: "all", Label: "failures", Count: len(rows)}}, all...)
}

// pageRowOf is a failure on the page.
func pageRowOf(r *matrix.Row, s scale) pageRow {
	v := pageRow{
		Name: r.Failure, Means: r.Means, Caused: r.Caused, Class: classOf(r.Outcome), Why: r.Cause,
		Evidence: r.Evidence, Sentence: outcome(r), Outcome: short(r),
	}
	if v.Why == "" {
		v.Why = r.Lost
	}
	switch r.Outcome {
	case matrix.ComesBack:
		v.Outcome += " " + afterWords(r.Back)
		if r.By != "kernel" {
			v.Outcome += ", by " + r.By
		}
	case matrix.Hangs:
		v.Outcome += " for ever"
	case matrix.Captured, matrix.Halts, matrix.PowersOff:
		v.Outcome += " " + afterWords(r.After)
	case matrix.GoesOn:
	}
	v.Left = "nothing is left"
	if places := r.Places(); len(places) > 0 {
		v.Left = strings.Join(places, ", ")
	}
	v.Says = r.Failure + ": " + v.Outcome
	for _, p := range r.Phases {
		b := barOf(p, s)
		v.Bars = append(v.Bars, b)
		v.Says += "; " + b.Says
	}
	end := r.After
	if r.Outcome == matrix.Hangs || r.Outcome == matrix.GoesOn {
		end = matrix.Never
	}
	v.EndX = s.x(end)
	if end != matrix.Never {
		text := end.String()
		if end == 0 {
			text = "at once"
		}
		v.Label = &label{Class: v.Class, Text: text, Anchor: "start", DX: 13}
	}
	v.Steps = pageSteps(r)
	return v
}

// afterWords is a time, as a sentence goes on.
func afterWords(t matrix.Span) string {
	if t == 0 {
		return "at once"
	}
	return "after " + t.String()
}

// barOf is a phase on the timeline.
func barOf(p matrix.Phase, s scale) bar {
	b := bar{Class: string(p.Kind), X: s.x(p.From), Y: 9, H: 16}
	b.W = rounded(s.x(p.To) - b.X)
	if p.Kind == matrix.Running {
		b.Y, b.H = 14, 6
	}
	does := map[matrix.PhaseKind]string{
		matrix.Unnoticed: "not noticed", matrix.Dying: "dying", matrix.Waiting: "waits", matrix.Dead: "dead",
		matrix.Running: "goes on",
	}[p.Kind]
	if p.To == matrix.Never {
		b.Says = fmt.Sprintf("%s from %v on", does, p.From)
	} else {
		b.Says = fmt.Sprintf("%s from %v to %v", does, p.From, p.To)
	}
	return b
}

// pageSteps are the steps as a table.
func pageSteps(r *matrix.Row) []pageStep {
	const indent = 14
	var all []pageStep
	for i := range r.Steps {
		s := &r.Steps[i]
		one := pageStep{
			At: s.At.String(), Name: s.Name, Does: s.Does, Indent: indent * s.Depth, Minor: s.Minor, Lines: s.Lines,
		}
		if takes := own(r.Steps, i); takes != 0 {
			one.Takes = takes.String()
		}
		if s.Repeats > 0 {
			one.Does += again(s.Repeats)
		}
		all = append(all, one)
	}
	return all
}

// writePage writes the page into a file.
func (t *tool) writePage(path string, m *machine, rows []matrix.Row) int {
	text, err := template.New("page").Parse(pageText)
	if err != nil {
		return t.fails(exitAmiss, "matrix: %v", err)
	}
	var b bytes.Buffer
	if err := text.Execute(&b, pageOf(m, rows, (&tool{}).summary(rows))); err != nil {
		return t.fails(exitAmiss, "matrix: %v", err)
	}
	if path == "-" {
		if _, err := t.out.Write(b.Bytes()); err != nil {
			return t.failsBy(err, "matrix")
		}
		return exitOK
	}
	const readable = 0o644
	if err := os.WriteFile(path, b.Bytes(), readable); err != nil {
		return t.failsBy(err, "matrix")
	}
	fmt.Fprintf(t.out, "%s: %s\n", path, t.summary(rows))
	return exitOK
}

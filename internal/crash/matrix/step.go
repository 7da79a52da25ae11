package matrix

import (
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Step is a function of the kernel, or a step of one, on the way from the failure to its end.
type Step struct {
	// Name is the kernel's, and Depth how deep it lies in others: 0 is the outermost. The steps
	// within it follow.
	Name  string `json:"name"`
	Depth int    `json:"depth"`
	// Does is what it does here, in words.
	Does string `json:"does"`
	// At is when it begins, since the failure, and Takes how long it takes.
	At    Span `json:"at_seconds"`
	Takes Span `json:"takes_seconds"`
	// Lines are what it has said itself, without the steps within it.
	Lines []string `json:"lines,omitempty"`
	// Minor says that nothing depends on it here: it is bookkeeping, or does nothing.
	Minor bool `json:"minor,omitempty"`
	// Repeats is how often it comes again, for what a detector says as long as it sees it.
	Repeats int `json:"repeats,omitempty"`
}

// passage is one of simkernel's with the place of its last descendant.
type passage struct {
	simkernel.Passage
	last int // index of the last one within it, or its own
}

// steps are the steps of a report. There may be none, but an empty list is no null for programs.
func steps(spec *crash.Spec, r *crash.Report) []Step {
	all := passages(r)
	c := &context{spec: spec, report: r, all: all}
	out := []Step{}
	depths := make([]int, len(all)) // in out
	var within []int                // the passages around the one at hand, in all
	for i := range all {
		p := &all[i]
		for n := len(within); n > 0 && all[within[n-1]].Depth >= p.Depth; n-- {
			within = within[:n-1]
		}
		if n := len(within); n > 0 {
			around := within[n-1]
			depths[i] = depths[around] + 1
			if a := &all[around]; a.Name == p.Name && around == i-1 && a.last == p.last {
				// A step is often called as the function that it calls: one of the two is enough.
				depths[i] = depths[around]
				out[len(out)-1].Lines = append(out[len(out)-1].Lines, c.own(i)...)
				within = append(within, i)
				continue
			}
		}
		within = append(within, i)
		out = append(out, c.step(i, depths[i]))
	}
	return fold(join(out))
}

// passages are those of a report that belong to the failure, with what lies within them.
func passages(r *crash.Report) []passage {
	var all []passage
	for _, p := range r.Passages {
		// The detector of hung tasks looks often, and mostly finds nobody.
		idle := p.Name == "check_hung_task" && p.Said == p.Until
		if p.Name != "" && !idle {
			all = append(all, passage{Passage: p})
		}
	}
	for i := range all {
		all[i].last = i
		for j := i + 1; j < len(all) && all[j].Depth > all[i].Depth; j++ {
			all[i].last = j
		}
	}
	if r.At > 0 {
		return all
	}
	// A kernel that fails at boot has done other things at this very moment.
	for first := 0; first < len(all); first = all[first].last + 1 {
		if slices.ContainsFunc(all[first:all[first].last+1], func(p passage) bool { return p.Name == "panic" }) {
			rest := all[first:]
			for i := range rest {
				rest[i].last -= first
			}
			return rest
		}
	}
	return all
}

// context is what the words for a step may depend on.
type context struct {
	spec   *crash.Spec
	report *crash.Report
	all    []passage
}

// step is the step of a passage.
func (c *context) step(i, depth int) Step {
	p := &c.all[i]
	s := Step{
		Name: p.Name, Depth: depth, At: Span(p.From - c.report.At),
		Takes: Span(p.To - p.From), Lines: c.own(i),
	}
	if c.endless(i) {
		s.Takes = Never
	}
	w := words[p.Name]
	s.Does, s.Minor = w.does, w.minor
	if w.says != nil {
		s.Does, s.Minor = w.says(c, i)
	}
	idle := len(s.Lines) == 0 && p.last == i && s.Takes == 0
	if idle && w.idle != "" {
		s.Does, s.Minor = w.idle, true
	}
	if s.Does == "" {
		s.Minor = true // of a step that nobody has words for yet
	}
	if s.Takes != 0 {
		s.Minor = false
	}
	return s
}

// endless reports whether a passage lasts until the machine's end, which does not come.
func (c *context) endless(i int) bool {
	if c.report.Verdict.Ending != crash.Hung {
		return false
	}
	last := len(c.all) - 1
	return last >= 0 && c.all[i].last == last && c.all[last].Name == endlessLoop
}

// endlessLoop is the last step of panic().
const endlessLoop = "for (;;)"

// holds reports whether a step of a name lies within a passage.
func (c *context) holds(i int, name string) bool {
	for j := i + 1; j <= c.all[i].last; j++ {
		if c.all[j].Name == name {
			return true
		}
	}
	return false
}

// around is the name of the function that a passage is directly within.
func (c *context) around(i int) string {
	for j := i - 1; j >= 0; j-- {
		if c.all[j].Depth < c.all[i].Depth {
			return c.all[j].Name
		}
	}
	return ""
}

// own are the lines that a passage has said, and none within it.
func (c *context) own(i int) []string {
	p := &c.all[i]
	var lines []string
	for n := p.Said; n < p.Until && n < len(c.report.Lines); n++ {
		within := slices.ContainsFunc(c.all[i+1:p.last+1], func(q passage) bool {
			return q.Said <= n && n < q.Until
		})
		if !within {
			lines = append(lines, c.report.Lines[n].Text)
		}
	}
	return lines
}

// join makes one of steps that follow each other by the same name: one after the other says something.
func join(all []Step) []Step {
	out := []Step{}
	for i, s := range all {
		n := len(out) - 1
		within := i+1 < len(all) && all[i+1].Depth > s.Depth
		if n >= 0 && !within && out[n].Name == s.Name && out[n].Depth == s.Depth && out[n].At == s.At &&
			out[n].Takes == 0 {
			out[n].Lines = append(out[n].Lines, s.Lines...)
			out[n].Takes = s.Takes
			continue
		}
		out = append(out, s)
	}
	return out
}

// fold keeps the first of what comes again and again: of what a detector says as long as it sees
// something.
func fold(all []Step) []Step {
	out := []Step{}
	var firsts [][]Step // groups in out
	for i := 0; i < len(all); {
		n := group(all, i)
		again := slices.IndexFunc(firsts, func(f []Step) bool { return same(f, all[i:i+n]) })
		if again >= 0 {
			firsts[again][0].Repeats++
		} else {
			firsts = append(firsts, all[i:i+n:i+n])
		}
		i += n
	}
	for _, f := range firsts {
		out = append(out, f...)
	}
	return out
}

// group is how many steps belong to the outermost one at a place.
func group(all []Step, i int) int {
	n := 1
	for i+n < len(all) && all[i+n].Depth > all[i].Depth {
		n++
	}
	return n
}

// same reports whether the same has happened later.
func same(a, b []Step) bool {
	if a[0].At == b[0].At {
		return false
	}
	return slices.EqualFunc(a, b, func(a, b Step) bool {
		return a.Name == b.Name && a.Depth == b.Depth && len(a.Lines) == len(b.Lines)
	})
}

// PhaseKind is what a machine does for a while.
type PhaseKind string

// The kinds.
const (
	// Unnoticed: something is wrong, and the kernel does not know it yet.
	Unnoticed PhaseKind = "unnoticed"
	// Dying: the kernel goes through its steps, which take no time in the model, but where it waits
	// for other CPUs.
	Dying PhaseKind = "dying"
	// Waiting: it waits, as panic= says, before it restarts.
	Waiting PhaseKind = "waiting"
	// Dead: it does nothing more. Either a watchdog ends that, or nothing does.
	Dead PhaseKind = "dead"
	// Running: it goes on.
	Running PhaseKind = "running"
)

// Phase is what a machine does from a time to another, since the failure. To is Never for what does not
// end.
type Phase struct {
	Kind PhaseKind `json:"kind"`
	From Span      `json:"from_seconds"`
	To   Span      `json:"to_seconds"`
}

// phases are what the machine does when. What takes no time has none.
func phases(row *Row, r *crash.Report) []Phase {
	end := Span(r.Verdict.At - r.At)
	if row.Outcome == Hangs || row.Outcome == GoesOn {
		end = Never
	}
	all := passages(r)
	// Between two of these times nothing begins or ends.
	times := []Span{0, end}
	for i := range all {
		times = append(times, Span(all[i].From-r.At), Span(all[i].To-r.At))
	}
	slices.Sort(times)
	out := []Phase{}
	for i, to := range times[1:] {
		from := times[i]
		if from == to || from < 0 || to > end {
			continue
		}
		kind := doing(row, r, all, from, to)
		if n := len(out); n > 0 && out[n-1].Kind == kind {
			out[n-1].To = to
			continue
		}
		out = append(out, Phase{kind, from, to})
	}
	return out
}

// doing is what the machine does between two times: what the innermost function does that is under way.
func doing(row *Row, r *crash.Report, all []passage, from, to Span) PhaseKind {
	noticed := len(all) > 0 && Span(all[0].From-r.At) <= from
	for i := len(all) - 1; i >= 0; i-- {
		if Span(all[i].From-r.At) > from || Span(all[i].To-r.At) < to {
			continue
		}
		switch all[i].Name {
		case "panic_timeout":
			return Waiting
		case endlessLoop:
			return Dead
		default:
			return Dying
		}
	}
	switch {
	case !noticed && len(all) > 0:
		return Unnoticed
	case row.Outcome == GoesOn, strings.HasPrefix(row.Failure, "oom"):
		// Whoever has fed a watchdog may be among those who were killed.
		return Running
	case row.Outcome == Hangs, row.Family != Dogs && strings.HasPrefix(row.By, "watchdog "):
		// Whoever is left to do something does not.
		return Dead
	}
	return Unnoticed
}

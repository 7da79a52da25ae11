package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Difference is something that is not as it must be.
type Difference struct {
	Line int // in the scenario, or 0
	Text string
}

// Check holds a transcript against what the scenario wants. No difference is a pass.
func Check(s *Scenario, t *Transcript) []Difference {
	c := &checker{s: s, t: t}
	for _, w := range s.Wants {
		if why := c.want(w.Is); why != "" {
			c.add(w.Line, w.Text+": "+why)
		}
	}
	for _, tty := range keys(s.Consoles) {
		p := s.Consoles[tty]
		got := texts(t.Terminals[tty])
		if _, ok := p.match(got); !ok {
			c.add(p.Line, terminalTitle(tty)+":\n"+p.difference(got))
		}
	}
	for i, e := range s.Events {
		if i < len(t.Done) && t.Done[i] != Undone {
			continue
		}
		why := fmt.Sprintf("the play ended at %s", short(t.End.At))
		if e.When != "" && !c.stands(e.When) {
			why = fmt.Sprintf("there was no line %q", e.When)
		}
		c.add(e.Line, "this has not happened: "+why)
	}
	for _, text := range t.Complaints {
		c.add(0, text)
	}
	slices.SortStableFunc(c.found, func(a, b Difference) int { return a.Line - b.Line })
	return c.found
}

// terminalTitle is a terminal as it is called in a difference.
func terminalTitle(tty string) string {
	if tty == "" {
		return "console"
	}
	return tty
}

// short is a time for people.
func short(d time.Duration) string {
	if d >= time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Microsecond).String()
}

type checker struct {
	s     *Scenario
	t     *Transcript
	found []Difference
}

func (c *checker) add(line int, text string) {
	c.found = append(c.found, Difference{line, text})
}

// place is where a line stands.
type place struct {
	tty   string
	index int
	at    time.Duration
}

// before reports whether a came before b: by its place on the same terminal, else by time.
func (a place) before(b place) bool {
	if a.tty == b.tty {
		return a.index < b.index
	}
	return a.at < b.at
}

// places are all places where a line stands, by time.
func (c *checker) places(text string) []place {
	text = trimLine(text)
	var found []place
	for _, tty := range keys(c.t.Terminals) {
		for i, l := range c.t.Terminals[tty] {
			if trimLine(l.Text) == text {
				found = append(found, place{tty, i, l.At})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b place) int { return int(a.at - b.at) })
	return found
}

func (c *checker) stands(text string) bool { return len(c.places(text)) > 0 }

// want says why something is not as expected, or "".
func (c *checker) want(x Expectation) string {
	switch x := x.(type) {
	case WantEnd:
		return c.wantEnd(x)
	case WantDown:
		return c.wantDown(x)
	case WantOrder:
		return c.wantOrder(x)
	case WantLine:
		ps := c.places(x.Text)
		if len(ps) == 0 {
			return "there is no such line"
		}
		return c.bounded(x.Bound, ps[0].at, "it came at")
	case WantSpan:
		from, to := c.places(x.From), c.places(x.To)
		switch {
		case len(from) == 0:
			return fmt.Sprintf("there is no line %q", x.From)
		case len(to) == 0:
			return fmt.Sprintf("there is no line %q", x.To)
		}
		return c.bounded(x.Bound, to[0].at-from[0].at, "it took")
	case WantCount:
		if n := len(c.places(x.Text)); !x.Bound.holds(int64(n), 0, 0) {
			return fmt.Sprintf("it stands there %d times", n)
		}
	case WantFile:
		return c.wantFile(x)
	case WantThen:
		return c.wantThen(x)
	case WantKernel:
		said := slices.ContainsFunc(c.t.Log, func(l Line) bool { return strings.Contains(l.Text, x.Text) })
		if said == x.Absent {
			return map[bool]string{true: "it has", false: "it has not"}[said]
		}
	case WantParent:
		if c.t.Parent != "" && c.t.Parent != x.Sees {
			return "it saw " + c.t.Parent
		}
	}
	return ""
}

// bounded compares a time with a bound. A world that is late is granted its slack, and one that
// does not see exactly when something was its blur.
func (c *checker) bounded(b Bound, d time.Duration, how string) string {
	if b.holds(int64(d), c.t.Slack, c.t.Blur) {
		return ""
	}
	return how + " " + short(d)
}

// holds compares n with the bound. late is what is granted to an upper bound, early to a lower one.
func (b Bound) holds(n int64, late, early time.Duration) bool {
	switch b.Op {
	case "<":
		return n < b.By+int64(late)
	case "<=":
		return n <= b.By+int64(late)
	case "=":
		return n == b.By
	case ">=":
		return n >= b.By-int64(early)
	case ">":
		return n > b.By-int64(early)
	}
	return false
}

func (c *checker) wantEnd(x WantEnd) string {
	e := c.t.End
	if e.May(x.How) && (x.How != Exit || e.Status == x.Status) {
		return ""
	}
	why := fmt.Sprintf("the end was %s at %s", e, short(e.At))
	if e.Text != "" {
		why += " (" + e.Text + ")"
	}
	return why
}

func (c *checker) wantThen(x WantThen) string {
	e := c.t.End
	switch {
	case e.Then == 0:
		return "the end was " + e.String() + ", and its kernel has not died"
	case e.Then != x.Then:
		return fmt.Sprintf("it was %s, %s after its kernel had died", e.Then, short(e.After))
	case x.Bound.Op == "":
		return ""
	}
	return c.bounded(x.Bound, e.After, "it took")
}

// goingDown is the line with which PID 1 begins to end everybody.
const goingDown = "The system is going down NOW!"

func (c *checker) wantDown(x WantDown) string {
	e := c.t.End
	if e.May(Alive) || e.May(Hung) {
		return "it has not gone down"
	}
	from := time.Duration(-1)
	for i, ev := range c.s.Events {
		if i < len(c.t.Done) && c.t.Done[i] != Undone && asks(ev.Do) {
			if from < 0 || c.t.Done[i] < from {
				from = c.t.Done[i]
			}
		}
	}
	if from < 0 {
		ps := c.places(goingDown)
		if len(ps) == 0 {
			return "nobody has asked for it, and there is no line " + goingDown
		}
		from = ps[0].at
	}
	return c.bounded(x.Bound, e.At-from, "it took")
}

// asks reports whether a deed asks PID 1 to go down.
func asks(d Deed) bool {
	switch d := d.(type) {
	case Signal:
		return slices.ContainsFunc(d.Signals, func(s kernel.Signal) bool {
			switch s {
			case kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGUSR2, kernel.SIGQUIT, kernel.SIGPWR:
				return true
			}
			return false
		})
	case CtrlAltDel:
		return true
	}
	return false
}

func (c *checker) wantOrder(x WantOrder) string {
	var last place
	for i, text := range x.Lines {
		ps := c.places(text)
		switch {
		case len(ps) == 0:
			return fmt.Sprintf("there is no line %q", text)
		case i > 0 && !last.before(ps[0]):
			return fmt.Sprintf("%q came at %s, before %q", text, short(ps[0].at), x.Lines[i-1])
		}
		last = ps[0]
	}
	return ""
}

func (c *checker) wantFile(x WantFile) string {
	text, there := c.t.Files[x.Path]
	switch {
	case x.Absent && there:
		return "it is there"
	case x.Absent:
		return ""
	case !there:
		return "there is no such file"
	case text != x.Text:
		return "its text is another one:\n" +
			diffText("wanted", strings.Split(x.Text, "\n"), "found", strings.Split(text, "\n"))
	}
	return ""
}

// Agree compares the transcripts of two worlds. What the scenario leaves open counts as equal: the
// order within its "any order", times, and ends that one of the worlds cannot tell apart.
func Agree(s *Scenario, a, b *Transcript) []Difference {
	c := &checker{s: s}
	ttys := make(map[string]bool)
	for tty := range a.Terminals {
		ttys[tty] = true
	}
	for tty := range b.Terminals {
		ttys[tty] = true
	}
	for _, tty := range keys(ttys) {
		p, known := s.Consoles[tty]
		la, lb := texts(a.Terminals[tty]), texts(b.Terminals[tty])
		if known {
			la, lb = p.normal(la), p.normal(lb)
		}
		if !slices.Equal(la, lb) {
			c.add(p.Line, terminalTitle(tty)+":\n"+diffText(a.World, la, b.World, lb))
		}
	}
	same := slices.ContainsFunc(a.End.How, func(h How) bool {
		return b.End.May(h) && (h != Exit || a.End.Status == b.End.Status)
	})
	if !same {
		c.add(0, fmt.Sprintf("end: %s in %s, %s in %s", a.End, a.World, b.End, b.World))
	}
	// A namespace has no kernel of its own to die, and its world has seen nothing of that.
	if a.End.Then != b.End.Then && a.End.Then != 0 && b.End.Then != 0 {
		c.add(0, fmt.Sprintf("after the kernel's death: %s in %s, %s in %s",
			a.End.Then, a.World, b.End.Then, b.World))
	}
	if a.Parent != "" && b.Parent != "" && a.Parent != b.Parent {
		c.add(0, fmt.Sprintf("the parent of PID 1: %s in %s, %s in %s",
			a.Parent, a.World, b.Parent, b.World))
	}
	for _, path := range s.WantedFiles() {
		ta, isA := a.Files[path]
		tb, isB := b.Files[path]
		if isA != isB || ta != tb {
			c.add(0, fmt.Sprintf("%s: %q in %s, %q in %s", path, ta, a.World, tb, b.World))
		}
	}
	return c.found
}

// normal are lines in the form in which all that fit are the same, or as they are if they do not.
func (p Pattern) normal(got []string) []string {
	if normal, ok := p.match(got); ok {
		return normal
	}
	return got
}

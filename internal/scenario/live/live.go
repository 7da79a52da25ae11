// Package live is what the worlds with a running kernel have in common: they listen to terminals,
// do what happens when its time has come, and write down what is left.
package live

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
)

// Play is one play in real time. Its methods may be called by several goroutines.
type Play struct {
	s      *scenario.Scenario
	kernel *regexp.Regexp

	mu        sync.Mutex
	began     time.Time
	terminals map[string]*terminal
	due       []time.Duration // of each event; unknown for one that waits for its line
	tried     []bool
	done      []time.Duration
	trouble   []scenario.Line
	changed   chan struct{} // closed, and replaced, when an event becomes due
}

// unknown is when an event happens whose line has not been there.
const unknown = time.Duration(-1)

// terminal is what has been heard from a terminal.
type terminal struct {
	text  []byte
	marks []mark
	line  int // where in text the last line begins that has not ended
	// open is what a program has written of a line that the kernel has interrupted: the end of
	// that line is the kernel's.
	open string
}

// mark says when the bytes from an offset on came.
type mark struct {
	off int
	at  time.Time
}

// New begins a play of a scenario. If kernel is set, it matches what the kernel itself writes on a
// terminal, up to the end of the line.
func New(s *scenario.Scenario, kernel *regexp.Regexp) *Play {
	p := &Play{
		s: s, kernel: kernel, began: time.Now(), terminals: make(map[string]*terminal),
		changed: make(chan struct{}),
	}
	for _, e := range s.Events {
		due := e.At
		if e.When != "" {
			due = unknown
		}
		p.due = append(p.due, due)
		p.done = append(p.done, scenario.Undone)
		p.tried = append(p.tried, false)
	}
	return p
}

// Start says when PID 1 has started. Until it is called, that is when the play was begun. Its first
// lines may have been heard before.
func (p *Play) Start(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.s.Events {
		if e.When != "" && p.due[i] != unknown {
			p.due[i] = max(p.due[i]-at.Sub(p.began), 0)
		}
	}
	p.began = at
}

// Now is the time since the start of PID 1.
func (p *Play) Now() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.began)
}

// Hear takes what has been written on a terminal, by its name in the scenario.
func (p *Play) Hear(tty string, b []byte, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.terminals[tty]
	if t == nil {
		t = &terminal{}
		p.terminals[tty] = t
	}
	t.marks = append(t.marks, mark{len(t.text), at})
	t.text = append(t.text, bytes.ReplaceAll(b, []byte("\r"), nil)...)
	for {
		line := t.text[t.line:]
		end := bytes.IndexByte(line, '\n')
		if end < 0 {
			own, _, _ := p.parted(string(line))
			p.appeared(t.open+own, at)
			return
		}
		own, _, isKernel := p.parted(string(line[:end]))
		p.appeared(t.open+own, at)
		if t.open += own; !isKernel {
			t.open = ""
		}
		t.line += end + 1
	}
}

// appeared makes the events due that wait for a line.
func (p *Play) appeared(line string, at time.Time) {
	bare := strings.TrimRight(line, " \t")
	for i, e := range p.s.Events {
		if p.due[i] == unknown && (e.When == line || e.When == bare) {
			p.due[i] = at.Sub(p.began) + e.After
			close(p.changed)
			p.changed = make(chan struct{})
		}
	}
}

// parted parts a line into what programs have written and what the kernel has.
func (p *Play) parted(line string) (own, kernel string, isKernel bool) {
	if p.kernel == nil {
		return line, "", false
	}
	at := p.kernel.FindStringIndex(line)
	if at == nil {
		return line, "", false
	}
	return line[:at[0]], line[at[0]:], true
}

// Perform lets the events happen when their time has come, until the time of the play is over, or
// the machine has ended, which closes ended. It reports whether that was so.
func (p *Play) Perform(
	ctx context.Context, ended <-chan struct{}, do func(scenario.Deed) error,
) bool {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// What happens at the moment of the end does not happen.
		select {
		case <-ended:
			return true
		default:
		}
		i, next, changed := p.next()
		now := p.Now()
		if i >= 0 && next <= now {
			p.happen(i, do)
			continue
		}
		if now >= p.s.Lasts {
			return false
		}
		if i < 0 || next > p.s.Lasts {
			next = p.s.Lasts
		}
		timer.Reset(next - now)
		select {
		case <-ended:
			return true
		case <-ctx.Done():
			return false
		case <-changed:
		case <-timer.C:
		}
	}
}

// next is the event that happens next, or -1, and when.
func (p *Play) next() (i int, at time.Duration, changed chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i = -1
	for j, due := range p.due {
		if due != unknown && !p.tried[j] && (i < 0 || due < at) {
			i, at = j, due
		}
	}
	return i, at, p.changed
}

// happen lets an event happen.
func (p *Play) happen(i int, do func(scenario.Deed) error) {
	now := p.Now()
	err := do(p.s.Events[i].Do)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried[i] = true
	if err != nil {
		p.trouble = append(p.trouble, scenario.Line{At: now, Text: err.Error()})
		return
	}
	p.done[i] = now
}

// Pending reports whether an event is still to happen that is meant.
func (p *Play) Pending(meant func(scenario.Deed) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, e := range p.s.Events {
		if !p.tried[i] && meant(e.Do) {
			return true
		}
	}
	return false
}

// Kernel returns the lines of the kernel on a terminal.
func (p *Play) Kernel(tty string) []scenario.Line {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, kernel := p.lines(tty)
	return kernel
}

// lines are what programs and the kernel have written on a terminal. The caller holds p.mu.
func (p *Play) lines(tty string) (own, kernel []scenario.Line) {
	own = []scenario.Line{}
	t := p.terminals[tty]
	if t == nil {
		return own, nil
	}
	off, open := 0, false
	for line := range strings.Lines(string(t.text)) {
		at := t.since(off).Sub(p.began)
		off += len(line)
		mine, its, isKernel := p.parted(strings.TrimSuffix(line, "\n"))
		if isKernel {
			kernel = append(kernel, scenario.Line{At: at, Text: its})
		}
		switch {
		case open:
			own[len(own)-1].Text += mine
		case !isKernel || mine != "":
			own = append(own, scenario.Line{At: at, Text: mine})
		}
		open = isKernel && (open || mine != "")
	}
	return own, kernel
}

// since is when the byte at an offset came.
func (t *terminal) since(off int) time.Time {
	at := t.marks[0].at
	for _, m := range t.marks {
		if m.off > off {
			break
		}
		at = m.at
	}
	return at
}

// Clock is how well a world keeps time: see scenario.Transcript.
type Clock struct{ Slack, Blur time.Duration }

// Transcript is what is left. Its terminals are the console and those of the scenario.
func (p *Play) Transcript(world string, c Clock, end scenario.End) *scenario.Transcript {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &scenario.Transcript{
		World: world, End: end, Slack: c.Slack, Blur: c.Blur, Done: p.done, Log: p.trouble,
		Terminals: make(map[string][]scenario.Line), Files: make(map[string]string),
	}
	names := []string{""}
	for _, tty := range p.s.Machine.Terminals {
		names = append(names, tty.Name)
	}
	for _, name := range names {
		own, kernel := p.lines(name)
		t.Terminals[name] = own
		t.Log = append(t.Log, kernel...)
	}
	return t
}

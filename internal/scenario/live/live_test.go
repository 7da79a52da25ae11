package live

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
)

func parsed(t *testing.T, text string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("test.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLines: what is heard in pieces becomes lines, without those of the kernel. One that the kernel
// has interrupted goes on behind what it says.
func TestLines(t *testing.T) {
	s := parsed(t, "# Lines.\nterminal tty1\nlasts 1s\nwant end alive\n")
	p := New(s, regexp.MustCompile(`\[ *\d+\.\d{6}\] .*`))
	began := time.Now()
	p.Start(began)
	for i, piece := range []string{
		"on", "e\r\n", "[    1.234567] kernel\r\n", "tw[    1.234567] more\r\n[    2.000000] still\r\no",
		"\r\nthree[    3.000000] end\r\n", "\r\nfo", "ur",
	} {
		p.Hear("", []byte(piece), began.Add(time.Duration(i)*time.Second))
	}
	tr := p.Transcript("test", Clock{}, scenario.End{})
	line := func(at time.Duration, text string) scenario.Line {
		return scenario.Line{At: at * time.Second, Text: text}
	}
	want := []scenario.Line{line(0, "one"), line(3, "two"), line(4, "three"), line(5, "four")}
	if got := tr.Terminals[""]; !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	want = []scenario.Line{
		line(2, "[    1.234567] kernel"), line(3, "[    1.234567] more"), line(3, "[    2.000000] still"),
		line(4, "[    3.000000] end"),
	}
	if !slices.Equal(tr.Log, want) {
		t.Errorf("log: got  %v\nwant %v", tr.Log, want)
	}
	if lines, ok := tr.Terminals["tty1"]; !ok || len(lines) != 0 {
		t.Errorf("tty1: got %v, %v, want nothing on it", lines, ok)
	}
}

// TestInterruptedLine: what waits for a line happens, though the kernel has interrupted it.
func TestInterruptedLine(t *testing.T) {
	for _, pieces := range [][]string{
		{"the system goes down\r\n"},
		{"the sys[    1.234567] kernel\r\n[    2.000000] more\r\ntem goes down\r\n"},
		{"the sys", "[    1.234567] ker", "nel\r\ntem goes", " down"},
		{"the system goes down[    1.234567] kernel\r\n", "\r\n"},
	} {
		s := parsed(t, "# Interrupted.\nwhen \"the system goes down\" remove /file\nlasts 10s\nwant end alive\n")
		p := New(s, regexp.MustCompile(`\[ *\d+\.\d{6}\] .*`))
		p.Start(time.Now())
		for _, piece := range pieces {
			p.Hear("", []byte(piece), time.Now())
		}
		if i, _, _ := p.next(); i != 0 {
			t.Errorf("%q: nothing happens", pieces)
		}
		// The end of the kernel's line is none of this one.
		p.Hear("", []byte("next\r\n"), time.Now())
		if last := pieces[len(pieces)-1]; last[len(last)-1] == '\n' {
			tr := p.Transcript("test", Clock{}, scenario.End{})
			if got := len(tr.Terminals[""]); got != 2 {
				t.Errorf("%q: got %v, want two lines", pieces, tr.Terminals[""])
			}
		}
	}
}

// TestLineBeforeTheStart: a line may be heard before it is noticed that PID 1 has started. What waits
// for it happens in time all the same, however long it took to get there.
func TestLineBeforeTheStart(t *testing.T) {
	s := parsed(t, "# Early.\nwhen \"early\" after 2s remove /file\nlasts 10s\nwant end alive\n")
	for _, first := range []time.Duration{-time.Millisecond, 0, time.Millisecond} {
		p := New(s, nil)
		// PID 1 starts an hour after the play was begun.
		start := p.began.Add(time.Hour)
		p.Hear("", []byte("early\n"), start.Add(first))
		p.Start(start)
		if _, at, _ := p.next(); at != first+2*time.Second {
			t.Errorf("line %v after the start: due %v after it, want 2s later", first, at)
		}
	}
}

// TestPerform: events happen in the order of their times, and those that wait for a line when it is
// there, even if it has not ended, and blanks follow it.
func TestPerform(t *testing.T) {
	s := parsed(t, `# Events.
at 20ms remove /second
at 10ms remove /first
when "ready" after 20ms remove /third
when "never" remove /never
lasts 10s
want end alive
`)
	p := New(s, nil)
	ended := make(chan struct{})
	var order []string
	over := p.Perform(t.Context(), ended, func(d scenario.Deed) error {
		path := d.(scenario.RemoveFile).Path
		order = append(order, path)
		switch path {
		case "/second":
			p.Hear("", []byte("rea"), time.Now())
			p.Hear("", []byte("dy "), time.Now())
		case "/third":
			close(ended)
			return errors.New("no third")
		}
		return nil
	})
	if want := []string{"/first", "/second", "/third"}; !over || !slices.Equal(order, want) {
		t.Errorf("got %v, %v, want %v, true", order, over, want)
	}
	tr := p.Transcript("test", Clock{}, scenario.End{})
	for i, happened := range []bool{true, true, false, false} {
		if got := tr.Done[i] != scenario.Undone; got != happened {
			t.Errorf("event %d: happened %v, want %v", i, got, happened)
		}
	}
	if len(tr.Log) != 1 || tr.Log[0].Text != "no third" {
		t.Errorf("log: got %v, want that there was no third", tr.Log)
	}
}

// TestPerformUntilTheTimeIsOver, or until it is given up.
func TestPerformUntilTheTimeIsOver(t *testing.T) {
	s := parsed(t, "# Nothing.\nlasts 10ms\nwhen \"x\" remove /late\nwant end alive\n")
	if New(s, nil).Perform(t.Context(), nil, nil) {
		t.Error("it says that the machine has ended")
	}
	s = parsed(t, "# Nothing.\nlasts 1m\nwant end alive\n")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if New(s, nil).Perform(ctx, nil, nil) {
		t.Error("given up: it says that the machine has ended")
	}
}

func TestUnplayable(t *testing.T) {
	for text, playable := range map[string]bool{
		"# A.\nlasts 1s\nwant end alive\n": true,
		"# A.\nlasts 1s\nwant end alive\n-- etc/inittab --\n::once:/bin/actor fork, hang killable\n": true,
		"# A.\nlasts 1s\nwant end alive\n-- etc/inittab --\n::once:/bin/actor fork, hang\n":          false,
		"# A.\nlasts 1s\nslow sync 1s\nwant end alive\n":                                             false,
		"# A.\nlasts 1s\nat 500ms thaw x\nwant end alive\n":                                          false,
		"# A.\nlasts 1s\nnot pidns: because\nwant end alive\n":                                       false,
	} {
		err := Unplayable("pidns", parsed(t, text))
		var un *scenario.Unplayable
		if playable != (err == nil) || err != nil && !errors.As(err, &un) {
			t.Errorf("%q: got %v, want playable %v", text, err, playable)
		}
	}
}

package pid1_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// prompt is what people, and their expect scripts, wait for [BusyBox 3.9].
const prompt = "\nPlease press Enter to activate this console. "

// wantPrompts checks how often a terminal was prompted on.
func wantPrompts(t *testing.T, w *pid1test.World, tty string, n int) {
	t.Helper()
	if got := strings.Count(string(w.Output(tty)), prompt); got != n {
		t.Errorf("prompts on %s: got %d, want %d\n%s", tty, got, n, w.Story())
	}
}

// TestAskFirstTakesNoProcess: a hundred terminals wait for Enter, and there is no process.
func TestAskFirstTakesNoProcess(t *testing.T) {
	const n = 100
	s := pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute, Terminals: make(map[string]simkernel.Terminal),
		},
		Prompts: n,
	}
	var ttys []string
	for i := range n {
		tty := "/dev/tty" + string(rune('a'+i/26)) + string(rune('a'+i%26))
		ttys = append(ttys, tty)
		s.Terminals[tty] = simkernel.Terminal{}
		s.Inittab += strings.TrimPrefix(tty, "/dev/") + "::askfirst:actor pause\n"
	}
	w := pid1test.New(t, s)
	w.At(30*time.Second, simkernel.Type{TTY: ttys[50], Text: "\n"})
	w.Look(20*time.Second, func() {
		if ps := w.Processes(); len(ps) > 0 {
			t.Errorf("processes: got %v, want none", ps)
		}
	})
	w.Boot()
	w.WantAlive()
	for _, tty := range ttys {
		wantPrompts(t, w, tty, 1)
		if w.MadeSane(tty) == 0 {
			t.Errorf("%s was not made sane before the prompt", tty)
		}
	}
	if ps := w.Processes(); len(ps) != 1 || ps[0].Command.TTY != ttys[50] {
		t.Errorf("processes: got %v, want one on %s", ps, ttys[50])
	}
	if len(w.Spawned) != 1 || w.Spawned[0].At != 30*time.Second {
		t.Errorf("started: got %v, want one after 30s", w.Spawned)
	}
}

// TestEnter: the command starts at the first newline. What is typed before it is thrown away, and
// what comes after it is for the command [BusyBox 3.9].
func TestEnter(t *testing.T) {
	const wait = time.Minute
	for _, c := range []struct {
		name, typed string
		starts      bool
		said        string
	}{
		{name: "nothing", typed: ""},
		{name: "no newline", typed: "hello"},
		{name: "newline", typed: "\n", starts: true},
		{name: "carriage return", typed: "\r", starts: true},
		{name: "text before", typed: "some text \x7f\x00\xff\n", starts: true},
		{name: "a long text before", typed: strings.Repeat("x", 10_000) + "\n", starts: true},
		{name: "text after", typed: "\nfor you\n", starts: true, said: "got it"},
		{name: "end of file", typed: "\x04", starts: true},
		{name: "text and then an end of file", typed: "abc\x04"},
		{name: "and then a newline", typed: "abc\x04def\n", starts: true},
		{name: "Ctrl-C goes nowhere", typed: "abc\x03"},
	} {
		for _, tty := range []string{"", "tty1"} {
			t.Run(c.name+" on "+tty, func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{
					Config: simkernel.Config{
						Until:     2 * wait,
						Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
					},
					Prompts: 1,
					Inittab: tty + "::askfirst:-actor readline, say got it, pause\n",
				})
				path := "/dev/" + tty
				if tty == "" {
					path = ""
				}
				w.At(wait, simkernel.Type{TTY: path, Text: c.typed})
				w.Boot()
				w.WantAlive()
				var want []time.Duration
				if c.starts {
					want = append(want, wait)
				}
				w.WantStarts("-actor readline, say got it, pause", want...)
				said := 0
				if c.said != "" {
					said = 1
				}
				w.WantLine(path, "got it", said)
			})
		}
	}
}

// TestEnterAgain: when the command ends it is asked for again, at once, however short its life
// was: the person at the terminal sets the pace.
func TestEnterAgain(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Until: time.Minute},
		Prompts: 1,
		Inittab: "::askfirst:actor exit 1\n",
	})
	want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}
	for _, at := range want {
		w.At(at, simkernel.Type{Text: "\n"})
	}
	w.Boot()
	w.WantStarts("actor exit 1", want...)
	wantPrompts(t, w, "/dev/ttyS0", len(want)+1)
	if n := strings.Count(w.ConsoleText(), "has ended within"); n > 0 {
		t.Errorf("short lives were complained about %d times, want none\n%s", n, w.Story())
	}
}

// TestEndOfFileIsThrottled: a terminal at its end would else start a command that ends at once,
// without end [BusyBox 3.9].
func TestEndOfFileIsThrottled(t *testing.T) {
	for _, c := range []struct {
		name   string
		setup  func(s *pid1test.Setup)
		prompt bool // there is somebody to see it
	}{
		{name: "/dev/null as terminal", setup: func(s *pid1test.Setup) {
			s.Inittab = "null::askfirst:actor exit 1\n"
		}},
		{name: "no stdin", setup: func(s *pid1test.Setup) { s.Closed = []kernel.FD{0} }},
		{name: "a plain file", setup: func(s *pid1test.Setup) {
			s.Inittab = "file::askfirst:actor exit 1\n"
			s.Files = map[string]string{"/dev/file": "no newline"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := pid1test.Setup{
				Config:  simkernel.Config{Until: time.Minute},
				Inittab: "::askfirst:actor exit 1\n",
			}
			c.setup(&s)
			w := pid1test.New(t, s)
			w.Boot()
			w.WantAlive()
			// Delays of 1, 2, 4, 8, 16 and 30 seconds.
			ms := pid1test.ExecTime
			w.WantStarts("actor exit 1", 0, time.Second+ms, 3*time.Second+2*ms,
				7*time.Second+3*ms, 15*time.Second+4*ms, 31*time.Second+5*ms)
		})
	}
}

// TestTwoTerminals: each has its own prompt and its own answer.
func TestTwoTerminals(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until:     time.Minute,
			Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}, "/dev/tty2": {}},
		},
		Prompts: 2,
		Inittab: `
		tty1::askfirst:actor as one, sleep 5s
		tty2::askfirst:actor as two, sleep 5s
		`,
	})
	w.At(1*time.Second, simkernel.Type{TTY: "/dev/tty2", Text: "abc"})
	w.At(2*time.Second, simkernel.Type{TTY: "/dev/tty1", Text: "\n"})
	w.At(3*time.Second, simkernel.Type{TTY: "/dev/tty2", Text: "\n"})
	w.At(20*time.Second, simkernel.Type{TTY: "/dev/tty1", Text: "\n"})
	w.Boot()
	w.WantStarts("actor as one, sleep 5s", 2*time.Second, 20*time.Second)
	w.WantStarts("actor as two, sleep 5s", 3*time.Second)
	wantPrompts(t, w, "/dev/tty1", 3)
	wantPrompts(t, w, "/dev/tty2", 2)
}

// TestHangUpAtThePrompt: the end of a modem line counts as Enter, and the command finds out by
// itself; afterwards the prompt is there for the next caller.
func TestHangUpAtThePrompt(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute, Terminals: map[string]simkernel.Terminal{"/dev/ttyS1": {}},
		},
		Prompts: 1,
		Inittab: "ttyS1::askfirst:actor readline\n",
	})
	w.At(10*time.Second, simkernel.HangUp{TTY: "/dev/ttyS1"})
	w.At(20*time.Second, simkernel.Type{TTY: "/dev/ttyS1", Text: "\n"})
	w.Boot()
	w.WantAlive()
	// The first reads the line that was meant for the prompt, and ends.
	w.WantStarts("actor readline", 10*time.Second)
	wantPrompts(t, w, "/dev/ttyS1", 2)
}

// TestHangUpAfterAWait: the time at the prompt is no part of the command's life.
func TestHangUpAfterAWait(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute, Terminals: map[string]simkernel.Terminal{"/dev/ttyS1": {}},
		},
		Prompts: 1,
		Inittab: "ttyS1::askfirst:actor exit 1\n",
	})
	w.At(30*time.Second, simkernel.HangUp{TTY: "/dev/ttyS1"})
	w.Boot()
	w.WantStarts("actor exit 1", 30*time.Second)
	want := []time.Duration{0, 31*time.Second + pid1test.ExecTime}
	if got := w.Times("/dev/ttyS1", strings.TrimPrefix(prompt, "\n")); !slices.Equal(got, want) {
		t.Errorf("prompts: got %v, want %v", got, want)
	}
}

// TestNoTerminalToAskOn: it is said once on the console, and tried again more and more seldom
// [BusyBox 2.21, where it is said every second or two].
func TestNoTerminalToAskOn(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Until: 10 * time.Minute},
		Prompts: 1,
		Inittab: "tty9::askfirst:actor pause\n",
	})
	w.At(5*time.Minute, simkernel.OpenFails{TTY: "/dev/tty9"}) // with success
	w.At(6*time.Minute, simkernel.Type{TTY: "/dev/tty9", Text: "\n"})
	w.Boot()
	w.WantAlive()
	w.WantLine("", "can't open /dev/tty9: No such file or directory", 1)
	if n := len(w.Console()); n != 1 {
		t.Errorf("lines on the console: got %d, want 1\n%s", n, w.Story())
	}
	w.WantStarts("actor pause", 6*time.Minute)
	if n := w.Calls("Open"); n > 16 {
		t.Errorf("the terminal was opened %d times in 5 minutes, want 16 at most", n)
	}
}

// TestEnterDuringAPause is not lost: the command starts when the pause is over [BusyBox 4.20].
func TestEnterDuringAPause(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute}, Inittab: "::askfirst:actor pause\n",
	})
	w.At(1*time.Second, simkernel.Signals(kernel.SIGTSTP))
	w.At(2*time.Second, simkernel.Type{Text: "\n"})
	w.At(3*time.Second, simkernel.Type{Text: "\n"})
	w.At(9*time.Second, simkernel.Signals(kernel.SIGCONT))
	w.Boot()
	w.WantStarts("actor pause", 9*time.Second)
}

// TestEnterOnTheWayDown starts nothing.
func TestEnterOnTheWayDown(t *testing.T) {
	for name, pause := range map[string][]kernel.Signal{
		"": nil, "after a pause": {kernel.SIGTSTP},
	} {
		t.Run(name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Prompts: 1,
				Inittab: "::askfirst:actor pause\n::shutdown:actor sleep 9s\n",
			})
			w.At(1*time.Second, simkernel.Signals(pause...))
			if pause != nil {
				w.At(2*time.Second, simkernel.Type{Text: "\n"})
			}
			w.At(3*time.Second, simkernel.Signals(kernel.SIGTERM, kernel.SIGCONT))
			w.At(4*time.Second, simkernel.Type{Text: "\n"})
			w.Boot()
			w.WantEnd(simkernel.Restarted, 12*time.Second+pid1test.ExecTime)
			w.WantStarts("actor pause")
		})
	}
}

// TestPromptOnAStoppedTerminal: the terminal takes nothing, and Enter works all the same.
func TestPromptOnAStoppedTerminal(t *testing.T) {
	for _, tty := range []string{"", "tty1"} {
		w := pid1test.New(t, pid1test.Setup{
			Config: simkernel.Config{
				Until: time.Minute, Console: "/dev/tty0",
				Terminals: map[string]simkernel.Terminal{
					"/dev/tty0": {Stopped: true, Buffer: 1},
					"/dev/tty1": {Stopped: true, Buffer: 1},
				},
			},
			Inittab: tty + "::askfirst:actor pause\n",
			Prompts: 1, // the terminal stays open while its command runs
		})
		path := "/dev/" + tty
		if tty == "" {
			path = ""
		}
		w.At(time.Second, simkernel.Type{TTY: path, Text: "\n"})
		w.Boot()
		w.WantStarts("actor pause", time.Second)
	}
}

// TestCannotWatchTheTerminalAgain: then nobody will ever be heard there, which counts as Enter.
func TestCannotWatchTheTerminalAgain(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::askfirst:actor pause\n"})
	w.Fail("Watch", 2, kernel.EPERM)
	w.At(30*time.Second, simkernel.Type{Text: "abc\x04"})
	w.Boot()
	w.WantStarts("actor pause", 30*time.Second)
}

// TestCannotWatchTheTerminal: it is tried again like everything else.
func TestCannotWatchTheTerminal(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute, Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
		},
		Inittab: "tty1::askfirst:actor pause\n",
		Prompts: 1, // the terminal stays open while its command runs
	})
	w.Fail("Watch", 1, kernel.EPERM)
	w.At(30*time.Second, simkernel.Type{TTY: "/dev/tty1", Text: "\n"})
	w.Boot()
	w.WantLine("", "askfirst on /dev/tty1: Operation not permitted", 1)
	w.WantStarts("actor pause", 30*time.Second)
}

package actor

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		words string
		want  []Op
	}{
		{"", nil},
		{"pause", []Op{Pause{}}},
		{"say", []Op{Say{""}}},
		{"say hello world, exit 3", []Op{Say{"hello world"}, Exit{3}}},
		{"say a,b", []Op{Say{"a,b"}}},
		{"say one , say two", []Op{Say{"one "}, Say{"two"}}},
		{"as one, sleep 1m30s", []Op{As{"one"}, Sleep{90 * time.Second}}},
		{"hang", []Op{Hang{}}},
		{"hang 2s", []Op{Hang{For: 2 * time.Second}}},
		{"hang killable", []Op{Hang{Killable: true}}},
		{"hang killable 2s, stop", []Op{Hang{2 * time.Second, true}, Stop{}}},
		{"exit", []Op{Exit{0}}},
		{"die KILL", []Op{Die{9}}},
		{"ignore TERM 34", []Op{Ignore{[]kernel.Signal{15, 34}}}},
		{"default TERM", []Op{Default{[]kernel.Signal{15}}}},
		{
			"block INT, unblock INT",
			[]Op{Block{[]kernel.Signal{2}}, Unblock{[]kernel.Signal{2}}},
		},
		{"catch TERM", []Op{Catch{Signal: 15}}},
		{"catch TERM, exit 1", []Op{Catch{15, []Op{Exit{1}}}}},
		{
			"setsid, fork, beside 2, orphan 3, loop, loop 4, spin",
			[]Op{Setsid{}, Fork{1, []Op{Beside{2, []Op{Orphan{3, []Op{
				Loop{0, []Op{Loop{4, []Op{Spin{}}}}},
			}}}}}}},
		},
		{
			"run /bin/a b, start c, wait, exec d -e",
			[]Op{
				Run{[]string{"/bin/a", "b"}},
				Start{[]string{"c"}},
				Wait{},
				Exec{[]string{"d", "-e"}},
			},
		},
		{
			"kill all TERM, kill group HUP, kill 1 USR1, kill one STOP",
			[]Op{
				Kill{PID: -1, Signal: 15},
				Kill{Signal: 1},
				Kill{PID: 1, Signal: 10},
				Kill{Name: "one", Signal: 19},
			},
		},
		{
			"loop, fork, block HUP",
			[]Op{Loop{0, []Op{Fork{1, []Op{Block{[]kernel.Signal{1}}}}}}},
		},
		{"setpgid, subreaper, readline", []Op{Setpgid{}, Subreaper{}, ReadLine{}}},
		{
			"write /a, write /a b c, append /a d, cat /a, remove /a, env PATH",
			[]Op{
				Write{"/a", ""},
				Write{"/a", "b c"},
				Append{"/a", "d"},
				Cat{"/a"},
				Remove{"/a"},
				Env{"PATH"},
			},
		},
		{
			"reboot restart, reboot restart x, reboot halt, reboot poweroff, reboot cad-on, " +
				"reboot cad-off",
			[]Op{
				Reboot{kernel.Restart, ""},
				Reboot{kernel.Restart2, "x"},
				Reboot{kernel.Halt, ""},
				Reboot{kernel.PowerOff, ""},
				Reboot{kernel.CadOn, ""},
				Reboot{kernel.CadOff, ""},
			},
		},
	} {
		got, err := Parse(strings.Fields(c.words))
		if err != nil {
			t.Errorf("%q: %v", c.words, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.words, diff)
		}
	}
}

func TestParseAll(t *testing.T) {
	ops, err := Parse([]string{"ignore", "all"})
	if err != nil {
		t.Fatal(err)
	}
	got := ops[0].(Ignore).Signals
	if len(got) != LastSignal-2 || slices.Contains(got, 9) || slices.Contains(got, 19) {
		t.Errorf("got  %v\nwant all but KILL and STOP", got)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"slep 2s", `word 1, "slep": want a step, such as say, sleep or exit (sleep?)`},
		{"say hello, world", `word 3, "world": want a step, such as say, sleep or exit`},
		{"xyzzy", `word 1, "xyzzy": want a step, such as say, sleep or exit`},
		{"pause, , stop", `word 2, "": want a step, such as say, sleep or exit`},
		{"pause,", `word 2 is missing: want a step, such as say, sleep or exit`},
		{"pause stop", `word 2, "stop": want a comma, and then the next step`},
		{"sleep", `word 2 is missing: want a time with a unit: 300ms, 2s, 1m30s`},
		{"sleep 2", `word 2, "2": want a time with a unit: 300ms, 2s, 1m30s`},
		{"sleep -2s", `word 2, "-2s": want a time with a unit: 300ms, 2s, 1m30s`},
		{"sleep 2s,exit 3", `word 2, "2s,exit": want a time with a unit: 300ms, 2s, 1m30s`},
		{"say a,, exit", `word 2, "a,,": want one comma at the end of a step`},
		{"hang 0s", `word 2, "0s": want a time to hang, or nothing`},
		{"exit 256", `word 2, "256": want an exit status from 0 to 255`},
		{"exit 1 2", `word 3, "2": want a comma, and then the next step`},
		{
			"die TRAM",
			`word 2, "TRAM": want a signal: a name such as TERM, or a number from 1 to 64 (TRAP?)`,
		},
		{"die 65", `word 2, "65": want a signal: a name such as TERM, or a number from 1 to 64`},
		{"die 015", `word 2, "015": want a signal: a name such as TERM, or a number from 1 to 64`},
		{
			"ignore, pause",
			`word 2 is missing: want a signal: a name such as TERM, or a number from 1 to 64`,
		},
		{
			"ignore TERM STOP",
			`word 3, "STOP": want a signal that can be ignored, blocked or caught`,
		},
		{"catch TERM exit", `word 3, "exit": want a comma, and then the next step`},
		{"fork 0", `word 2, "0": want a number from 1 to 1048576`},
		{"fork 2 3", `word 3, "3": want a comma, and then the next step`},
		{"as", `word 2 is missing: want a name of at most 15 letters, none of them a slash`},
		{
			"as sixteen-letters-",
			`word 2, "sixteen-letters-": want a name of at most 15 letters, none of them a slash`,
		},
		{"exec", `word 2 is missing: want the name of a program`},
		{"cat passwd", `word 2, "passwd": want the name of a file, from the root`},
		{"env A=B", `word 2, "A=B": want the name of a variable`},
		{"kill 0 TERM", `word 2, "0": want a process number, a name, "all" or "group"`},
		{"kill all", `word 3 is missing: want a signal: a name such as TERM, or a number from 1 to 64`},
		{"reboot now", `word 2, "now": want restart, halt, poweroff, cad-on or cad-off`},
		{"reboot halt x", `word 3, "x": want a comma, and then the next step`},
	} {
		ops, err := Parse(strings.Fields(c.words))
		if err == nil {
			t.Errorf("%q: got %v, want the error %s", c.words, ops, c.want)
			continue
		}
		if got := err.Error(); got != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.words, got, c.want)
		}
	}
}

// TestStepWords: each word of the hint begins a step, and is documented.
func TestStepWords(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range stepWords() {
		_, err := Parse([]string{word})
		var e *Error
		if errors.As(err, &e) && e.At == 1 {
			t.Errorf("%s: %v", word, err)
		}
		if !regexp.MustCompile(`(?m)^//\t(setsid, )?` + word + `\b`).Match(text) {
			t.Errorf("%s is not in the package's documentation", word)
		}
	}
}

func TestUnreal(t *testing.T) {
	for words, want := range map[string]bool{
		"": false, "hang": true, "hang killable": false, "hang 2s": true,
		"fork, loop, catch TERM, hang": true, "say hang": false,
	} {
		ops, err := Parse(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		if got := Unreal(ops) != ""; got != want {
			t.Errorf("%q: got %v, want %v", words, got, want)
		}
	}
}

// FuzzParse: what is read can be written down and read again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"say hello, sleep 2s, exit 3", "catch TERM, say a,b, loop 3, fork 2, beside, orphan, spin",
		"ignore all, block TERM, unblock 34, default INT, die SEGV", "hang killable 1ms",
		"kill one TERM, kill 5 HUP, run a b, start c, exec d", "write /a b, append /a, cat /a",
		"reboot restart x, env A, as b, remove /c", ",", "say ,", "say a,,",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := strings.Split(s, " ")
		ops, err := Parse(words)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.At < 1 || e.At > len(words)+1 || e.Want == "" {
				t.Errorf("%q: error %#v", words, err)
			}
			return
		}
		again, err := Parse(Words(ops))
		if err != nil {
			t.Fatalf("%q: written as %q: %v", words, Words(ops), err)
		}
		if diff := cmp.Diff(ops, again); diff != "" {
			t.Errorf("%q: written as %q (-first +again):\n%s", words, Words(ops), diff)
		}
	})
}

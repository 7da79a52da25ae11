package config

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rebound-init/rebound/internal/knob"
)

const file = "/etc/rebound.conf"

// samePlan says whether two plans ask for the same, in whatever order.
func samePlan(a, b knob.Plan) bool {
	same := a.Preset == b.Preset
	for i := range knob.Policy() {
		key := knob.Policy()[i].Key
		same = same && a.Asked(key) == b.Asked(key)
	}
	return same
}

func diff(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(samePlan)); d != "" {
		t.Errorf("got (+) is not want (-):\n%s", d)
	}
}

// said renders problems as they are printed, notes marked.
func said(problems []Problem) (lines []string) {
	for _, p := range problems {
		line := p.Error()
		if p.Note {
			line = "note: " + line
		}
		lines = append(lines, line)
	}
	return lines
}

func TestDefaults(t *testing.T) {
	want := Settings{
		Shutdown: Shutdown{
			TermTimeout: 5 * time.Second,
			KillTimeout: time.Second,
			SyncTimeout: 30 * time.Second,
		},
		Watchdog: Watchdog{Timeout: time.Minute, ShutdownTimeout: 10 * time.Minute},
		Mounts:   MountsNone,
		Log:      Log{Syslog: true},
	}
	diff(t, want, Default())
	r := Read(file, nil, nil)
	diff(t, want, r.Settings)
	diff(t, []string(nil), said(r.Problems))
}

func TestSettings(t *testing.T) {
	def := Default()
	for _, c := range []struct {
		name        string
		text        string
		commandLine string
		change      func(*Settings)
		problems    []string
	}{
		{
			name: "watchdogs", text: "watchdog.device = /dev/watchdog0  /dev/watchdog1\n",
			change: func(s *Settings) { s.Watchdog.Devices = "/dev/watchdog0 /dev/watchdog1" },
		},
		{
			name: "no watchdog after all", text: "watchdog.device = /dev/watchdog\n",
			commandLine: "rebound.watchdog.device=none",
		},
		{
			name: "what is no watchdog", text: "watchdog.device = watchdog0\n",
			problems: []string{file + ":1: watchdog.device = watchdog0: expected one or more paths " +
				"such as /dev/watchdog0, or none"},
		},
		{
			name: "the same watchdog twice", text: "watchdog.device = /dev/watchdog /dev/watchdog\n",
			problems: []string{file + ":1: watchdog.device = /dev/watchdog /dev/watchdog: expected " +
				"one or more paths such as /dev/watchdog0, or none"},
		},
		{
			name: "what resets the machine",
			text: "reboot.method = watchdog\nwatchdog.poweroff = keep\nwatchdog.pretimeout_governor = panic\n",
			change: func(s *Settings) {
				s.Reboot.Method = RebootByWatchdog
				s.Watchdog.PowerOff, s.Watchdog.Governor = WatchdogKeep, GovernorPanic
			},
		},
		{
			name: "a line", text: "shutdown.term_timeout = 30s\n",
			change: func(s *Settings) { s.Shutdown.TermTimeout = 30 * time.Second },
		},
		{
			name: "without a newline and blanks", text: "mounts=auto",
			change: func(s *Settings) { s.Mounts = MountsAuto },
		},
		{
			name: "with many blanks and a carriage return", text: "\t mounts \t=  auto \r\n",
			change: func(s *Settings) { s.Mounts = MountsAuto },
		},
		{
			name: "comments and empty lines",
			text: "# mounts = auto\n; mounts = auto\n  # mounts = auto\n\n \r\n#",
		},
		{
			name: "units", text: "shutdown.term_timeout = 1m30s\nshutdown.kill_timeout = 300ms",
			change: func(s *Settings) {
				s.Shutdown.TermTimeout = 90 * time.Second
				s.Shutdown.KillTimeout = 300 * time.Millisecond
			},
		},
		{
			name: "the bounds are in the range",
			text: "shutdown.term_timeout = 10m\nshutdown.kill_timeout = 0s",
			change: func(s *Settings) {
				s.Shutdown.TermTimeout = 10 * time.Minute
				s.Shutdown.KillTimeout = 0
			},
		},

		{name: "a bare number", text: "\n\nshutdown.term_timeout = 5\n", problems: []string{
			"/etc/rebound.conf:3: shutdown.term_timeout = 5: " +
				"expected a time with a unit, such as 5s",
		}},
		{
			name: "a bare zero, no number, nothing, a blank before the unit, no unit of ours",
			text: "shutdown.term_timeout = 0\nshutdown.term_timeout = soon\n" +
				"shutdown.term_timeout =\nshutdown.term_timeout = 5 s\nshutdown.term_timeout = 1d",
			problems: []string{
				"/etc/rebound.conf:1: shutdown.term_timeout = 0: " +
					"expected a time with a unit, such as 5s",
				"/etc/rebound.conf:2: shutdown.term_timeout = soon: " +
					"expected a time with a unit, such as 5s",
				"/etc/rebound.conf:3: shutdown.term_timeout = \"\": " +
					"expected a time with a unit, such as 5s",
				"/etc/rebound.conf:4: shutdown.term_timeout = 5 s: " +
					"expected a time with a unit, such as 5s",
				"/etc/rebound.conf:5: shutdown.term_timeout = 1d: " +
					"expected a time with a unit, such as 5s",
			},
		},
		{
			name: "out of range", text: "shutdown.term_timeout = 11m\nshutdown.kill_timeout = -1s",
			problems: []string{
				"/etc/rebound.conf:1: shutdown.term_timeout = 11m: expected 0s to 10m",
				"/etc/rebound.conf:2: shutdown.kill_timeout = -1s: expected 0s to 1m",
			},
		},
		{
			name: "a policy, and knobs of the kernel over it, in whatever order",
			text: "panic.on_oops = no\npanic.timeout = 1m30s\npanic.policy = comeback\n" +
				"crash_kexec.post_notifiers = yes\npanic.print = mem,tasks\npanic.on_oom = system\n" +
				"lockup.threshold = off\nreboot.mode = warm\npanic.warn_limit = 3",
			change: func(s *Settings) {
				s.Panic.Plan.Preset = knob.Comeback
				for key, text := range map[string]string{
					"panic.on_oops": "no", "panic.timeout": "1m30s", "crash_kexec.post_notifiers": "yes",
					"panic.print": "mem,tasks", "panic.on_oom": "system", "lockup.threshold": "off",
					"reboot.mode": "warm", "panic.warn_limit": "3",
				} {
					s.Panic.Plan.Ask(key, text)
				}
			},
		},
		{
			name: "the boot line wins over the file, and can leave a knob to the policy again",
			text: "panic.policy = capture\npanic.timeout = 5s\npanic.on_oops = no",
			commandLine: "panic=3 rebound.panic.policy=kernel rebound.panic.timeout=never " +
				"rebound.panic.on_oops=policy",
			change: func(s *Settings) {
				s.Panic.Plan.Preset = knob.Kernel
				s.Panic.Plan.Ask("panic.timeout", "never")
			},
		},
		{
			name: "what a knob does not take",
			text: "panic.timeout = 10\npanic.timeout = 2147484s\npanic.on_oops = 1\n" +
				"panic.policy = safe\npanic.on_ooops = yes\nkernel.panic = 10\n" +
				"panic.oops_limit = 4294967296",
			problems: []string{
				"/etc/rebound.conf:1: panic.timeout = 10: expected never, now, a time from 1s to " +
					"596h31m23s in whole seconds with its unit (s, m or h)",
				"/etc/rebound.conf:2: panic.timeout = 2147484s: expected never, now, a time from 1s " +
					"to 596h31m23s in whole seconds with its unit (s, m or h)",
				"/etc/rebound.conf:3: panic.on_oops = 1: expected yes or no",
				"/etc/rebound.conf:4: panic.policy = safe: expected standard, comeback, capture, " +
					"debug or kernel",
				"/etc/rebound.conf:5: panic.on_ooops = yes: there is no such key; the nearest is " +
					"panic.on_oops",
				"/etc/rebound.conf:6: kernel.panic = 10: there is no such key",
				"/etc/rebound.conf:7: panic.oops_limit = 4294967296: expected off, a number from 1 to " +
					"4294967295",
			},
		},
		{name: "no such word", text: "mounts = all\nlog.syslog = true", problems: []string{
			"/etc/rebound.conf:1: mounts = all: expected none or auto",
			"/etc/rebound.conf:2: log.syslog = true: expected yes or no",
		}},
		{
			name: "a comment behind the value", text: "mounts = auto # all of them",
			problems: []string{"/etc/rebound.conf:1: mounts = auto # all of them: " +
				"expected none or auto; a comment needs a line of its own"},
		},
		{name: "a misspelt key", text: "shutdown.term_timout = 5s", problems: []string{
			"/etc/rebound.conf:1: shutdown.term_timout = 5s: " +
				"there is no such key; the nearest is shutdown.term_timeout",
		}},
		{name: "half a key", text: "syslog = no", problems: []string{
			"/etc/rebound.conf:1: syslog = no: there is no such key; the nearest is log.syslog",
		}},
		{name: "a key unlike any", text: "net.ipv4.ip_forward = 1\n-mounts = auto", problems: []string{
			"/etc/rebound.conf:1: net.ipv4.ip_forward = 1: there is no such key",
			"/etc/rebound.conf:2: -mounts = auto: there is no such key; the nearest is mounts",
		}},
		{name: "no assignment", text: "mounts auto\n= auto\n[shutdown]", problems: []string{
			"/etc/rebound.conf:1: mounts auto: expected key = value",
			"/etc/rebound.conf:2: = auto: expected key = value",
			"/etc/rebound.conf:3: [shutdown]: expected key = value",
		}},
		{
			name: "the last one wins", text: "mounts = none\n\nmounts = auto",
			change: func(s *Settings) { s.Mounts = MountsAuto },
			problems: []string{
				"note: /etc/rebound.conf:3: mounts = auto: replaces mounts = none of line 1",
			},
		},
		{
			name: "the last valid one wins", text: "mounts = auto\nmounts = al",
			change: func(s *Settings) { s.Mounts = MountsAuto },
			problems: []string{
				"/etc/rebound.conf:2: mounts = al: expected none or auto",
			},
		},
		{
			name: "control characters are made visible", text: "mo\x1bunts = \x00\xff",
			problems: []string{`/etc/rebound.conf:1: "mo\x1bunts" = "\x00\xff": ` +
				`there is no such key; the nearest is mounts`},
		},

		{
			name: "the command line wins", text: "mounts = none\n",
			commandLine: "quiet rebound.mounts=auto root=/dev/vda1\n",
			change:      func(s *Settings) { s.Mounts = MountsAuto },
		},
		{
			name: "its last word wins", commandLine: "rebound.mounts=none rebound.mounts=auto",
			change: func(s *Settings) { s.Mounts = MountsAuto },
			problems: []string{
				"note: kernel command line: rebound.mounts=auto: replaces rebound.mounts=none",
			},
		},
		{
			name: "quotes", commandLine: `rebound.mounts="auto" "rebound.log.syslog=no"`,
			change: func(s *Settings) { s.Mounts = MountsAuto; s.Log.Syslog = false },
		},
		{name: "words of others", commandLine: "mounts=auto xrebound.mounts=auto rebound=1"},
		{
			name: "wrong words",
			commandLine: `rebound.mounts=all rebound.mount=auto rebound.log.syslog ` +
				`"rebound.mounts=a o"`,
			problems: []string{
				"kernel command line: rebound.mounts=all: expected none or auto",
				"kernel command line: rebound.mount=auto: " +
					"there is no such key; the nearest is mounts",
				"kernel command line: rebound.log.syslog: expected rebound.key=value",
				"kernel command line: rebound.mounts=a o: expected none or auto",
			},
		},
		{
			name: "behind the dashes", commandLine: "-- single rebound.mounts=auto",
			problems: []string{"kernel command line: rebound.mounts=auto: " +
				"stands behind --, where words are arguments for init and not settings"},
		},
		{
			name: "file before command line", text: "mounts = x", commandLine: "rebound.mounts=y",
			problems: []string{
				"/etc/rebound.conf:1: mounts = x: expected none or auto",
				"kernel command line: rebound.mounts=y: expected none or auto",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := def
			if c.change != nil {
				c.change(&want)
			}
			r := Read(file, []byte(c.text), []byte(c.commandLine))
			diff(t, want, r.Settings)
			diff(t, c.problems, said(r.Problems))
			settings, problems := Load(file, []byte(c.text), []byte(c.commandLine))
			diff(t, r.Settings, settings)
			diff(t, r.Problems, problems)
			for _, p := range r.Problems {
				if p.Note != (p.Remedy == "") {
					t.Errorf("%v: note is %v, remedy is %q", p, p.Note, p.Remedy)
				}
			}
		})
	}
}

func TestEverySettingKnowsItsSource(t *testing.T) {
	r := Read(file, []byte("\nmounts = auto\nlog.syslog = maybe\nshutdown.kill_timeout = 2s\n"),
		[]byte("rebound.shutdown.kill_timeout=3s"))
	for key, want := range map[string]string{
		"mounts":                "/etc/rebound.conf:2",
		"log.syslog":            "",
		"shutdown.term_timeout": "",
		"shutdown.kill_timeout": "kernel command line",
	} {
		if got := r.Source(key); got != want {
			t.Errorf("source of %s\n got  %q\n want %q", key, got, want)
		}
	}
}

// Whoever adds a row finds here what he forgot.
func TestEveryRowIsComplete(t *testing.T) {
	seen := make(map[string]bool)
	for _, key := range Keys() {
		if seen[key.Name] {
			t.Errorf("%s is there twice", key.Name)
		}
		seen[key.Name] = true
		if strings.Trim(key.Name, "abcdefghijklmnopqrstuvwxyz_.") != "" {
			t.Errorf("%s: a key consists of a-z, _ and dots", key.Name)
		}
		if key.Meaning == "" || key.Takes() == "" || strings.Contains(key.Meaning, "\n") {
			t.Errorf("%s: no meaning or no values", key.Name)
		}
		s := Default()
		if expected := key.set(&s, key.Default()); expected != "" {
			t.Errorf("%s = %s is the default, but not accepted: expected %s",
				key.Name, key.Default(), expected)
		}
		diff(t, Default(), s)
		if key.set(&s, "no such value") == "" {
			t.Errorf("%s takes anything", key.Name)
		}
		diff(t, Default(), s)
	}
	// Each field of Settings has its row, and no two rows share one. The knobs share one, and so do
	// the kinds of failure.
	if fields := leaves(reflect.TypeFor[Settings]()); fields-2 != len(ownKeys()) {
		t.Errorf("got %d fields in Settings and %d keys", fields, len(seen))
	}
	for i, key := range Keys() {
		if key.field == nil {
			continue // knobs are not set to anything by default
		}
		zero, changed := Settings{}, Settings{}
		touched := 0
		key.field.reset(&changed)
		if changed == zero {
			continue // its default is the zero value, which cannot be seen here
		}
		for j, other := range Keys() {
			if other.Value(changed) != other.Value(zero) {
				touched++
				if j != i {
					t.Errorf("%s changes %s", key.Name, other.Name)
				}
			}
		}
		if touched != 1 {
			t.Errorf("%s changes %d values", key.Name, touched)
		}
	}
}

// leaves counts the fields of a struct, those of structs in it included.
func leaves(t reflect.Type) (n int) {
	if t.Kind() != reflect.Struct {
		return 1
	}
	for i := range t.NumField() {
		n += leaves(t.Field(i).Type)
	}
	return n
}

func TestCommandLine(t *testing.T) {
	word := func(name string) Param { return Param{Name: name} }
	set := func(name, value string) Param { return Param{name, value, true} }
	for _, c := range []struct {
		text   string
		params []Param
		args   []Param
	}{
		{"", nil, nil},
		{" \n", nil, nil},
		{"quiet", []Param{word("quiet")}, nil},
		{"  a \t b=c\n", []Param{word("a"), set("b", "c")}, nil},
		{"a= b==c =d =e=f", []Param{set("a", ""), set("b", "=c"), word("=d"), set("=e", "f")}, nil},
		{`a="b c" d`, []Param{set("a", "b c"), word("d")}, nil},
		{`"a=b c" d`, []Param{set("a", "b c"), word("d")}, nil},
		{`"a b"`, []Param{word("a b")}, nil},
		{`a="b`, []Param{set("a", "b")}, nil},
		{`a="b c`, []Param{set("a", "b c")}, nil},
		{`a=b"c d"e`, []Param{set("a", `b"c d"e`)}, nil},
		{`a=b"c d"`, []Param{set("a", `b"c d"`)}, nil},
		{`a=""`, []Param{set("a", "")}, nil},
		{`"a="b""`, []Param{set("a", `b"`)}, nil},
		{`"`, []Param{word("")}, nil},
		{`""`, []Param{word("")}, nil},
		{`a="`, []Param{set("a", "")}, nil},
		{"a -- b=c -- d", []Param{word("a")}, []Param{set("b", "c"), word("--"), word("d")}},
		{"--", nil, nil},
		{"--=x a", []Param{set("--", "x"), word("a")}, nil},
		{"---", []Param{word("---")}, nil},
		{"a\xa0b", []Param{word("a"), word("b")}, nil},
		{"a\u0100b", []Param{word("a\u0100b")}, nil},
	} {
		params, args := CommandLine(c.text)
		if d := cmp.Diff(c.params, params) + cmp.Diff(c.args, args); d != "" {
			t.Errorf("%q: got (+) is not want (-):\n%s", c.text, d)
		}
	}
}

func TestALongFileIsReadToItsEnd(t *testing.T) {
	const lines = 100_000
	text := strings.Repeat("mounts = al\n", lines-1) + "mounts = auto"
	r := Read(file, []byte(text), nil)
	if len(r.Problems) != lines-1 || r.Settings.Mounts != MountsAuto {
		t.Errorf("got %d problems, mounts %v", len(r.Problems), r.Settings.Mounts)
	}
	if got, want := r.Source("mounts"), file+":"+strconv.Itoa(lines); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// One line of megabytes makes a message of a line.
	r = Read(file, []byte(strings.Repeat("m", 10_000_000)+" = auto"), nil)
	if len(r.Problems) != 1 || len(r.Problems[0].Error()) > 250 {
		t.Errorf("got %d problems, the first of %d bytes",
			len(r.Problems), len(r.Problems[0].Error()))
	}
}

func FuzzRead(f *testing.F) {
	f.Add("shutdown.term_timeout = 5\nmounts=auto\n#\n;\n= \nx", "rebound.mounts=auto -- x")
	f.Add("mounts = auto\r\nmounts = none", `"rebound.mounts=auto" rebound.x= rebound. rebound.y`)
	f.Fuzz(func(t *testing.T, text, commandLine string) {
		r := Read("f", []byte(text), []byte(commandLine))
		lines := strings.Count(text, "\n") + 1
		last := 0
		for _, p := range r.Problems {
			if p.Text == "" || p.Note != (p.Remedy == "") {
				t.Errorf("%+v: incomplete", p)
			}
			if strings.ContainsFunc(p.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("control character in %q", p.Error())
			}
			if p.File == KernelCommandLine {
				last = lines + 1
				if p.Line != 0 {
					t.Errorf("%v: line %d", p, p.Line)
				}
				continue
			}
			if p.Line < 1 || p.Line > lines || p.Line < last {
				t.Errorf("%v: line %d of %d, after %d", p, p.Line, lines, last)
			}
			last = p.Line
		}
		// Written out, the settings read as they are.
		var written strings.Builder
		for _, key := range Keys() {
			written.WriteString(key.Name + " = " + key.Value(r.Settings) + "\n")
		}
		again := Read("f", []byte(written.String()), nil)
		if !cmp.Equal(again.Settings, r.Settings, cmp.Comparer(samePlan)) || len(again.Problems) != 0 {
			t.Errorf("%q reads as %+v, was %+v", written.String(), again.Settings, r.Settings)
		}
	})
}

func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{`a="b c" -- d`, `"a=b`, "=", `"`, `a"b"c=" "`, "\xa0", "--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		params, args := CommandLine(text)
		size := 0
		for _, p := range append(params, args...) {
			size += len(p.Name) + len(p.Value)
			if !p.HasValue && p.Value != "" {
				t.Errorf("%q: %+v has a value", text, p)
			}
			// What needs no quotes stays as it is.
			word := p.Name
			if p.HasValue {
				word += "=" + p.Value
			}
			special := func(r rune) bool { return r == '"' || r <= ' ' || r > '~' }
			if word == "" || word == "--" || strings.ContainsFunc(word, special) {
				continue
			}
			again, rest := CommandLine("x " + word + "\n")
			if len(again) != 2 || len(rest) != 0 || again[1] != p {
				t.Errorf("%q: %+v reads as %+v", text, p, again)
			}
		}
		if size > len(text) {
			t.Errorf("%q: words of %d bytes", text, size)
		}
	})
}

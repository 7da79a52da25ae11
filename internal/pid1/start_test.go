package pid1_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestEnvironment: PATH, SHELL and USER are always the same, RUNLEVEL is the first argument, the
// rest is what init was given; words for Go's runtime are init's own [BusyBox 1.20].
func TestEnvironment(t *testing.T) {
	fixed := []string{"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "SHELL=/bin/sh", "USER=root"}
	for _, c := range []struct {
		name      string
		env, args []string
		want      []string // besides the fixed ones and TERM
	}{
		{name: "empty"},
		{name: "HOME is the kernel's", env: []string{"HOME=/"}, want: []string{"HOME=/"}},
		{
			name: "always the same",
			env:  []string{"PATH=/evil", "SHELL=/bin/evil", "USER=evil", "PATH=/evil/too"},
		},
		{
			name: "words of the kernel command line",
			env:  []string{"HELLO=1", "bar=baz", "EMPTY=", "a=b=c", "PATHS=1", "CONSOLE=/dev/ttyS0"},
			want: []string{"HELLO=1", "bar=baz", "EMPTY=", "a=b=c", "PATHS=1", "CONSOLE=/dev/ttyS0"},
		},
		{
			name: "words for Go",
			env: []string{
				"GODEBUG=gctrace=1", "GOGC=off", "GOMEMLIMIT=1", "GOMAXPROCS=1",
				"GOTRACEBACK=crash", "GOPHER=stays",
			},
			want: []string{"GOPHER=stays"},
		},
		{name: "runlevel", args: []string{"3"}, want: []string{"RUNLEVEL=3"}},
		{name: "any word", args: []string{"two words", "x"}, want: []string{"RUNLEVEL=two words"}},
		{
			name: "a runlevel instead of another", args: []string{"3"},
			env: []string{"RUNLEVEL=5"}, want: []string{"RUNLEVEL=3"},
		},
		{name: "a runlevel that was given", env: []string{"RUNLEVEL=5"}, want: []string{"RUNLEVEL=5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Env: c.env, Args: c.args,
				Inittab: "::sysinit:actor\n::respawn:actor pause\n::shutdown:actor say bye\n",
			})
			w.At(time.Second, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			want := append(slices.Clone(c.want), fixed...)
			want = append(want, "TERM=vt102")
			slices.Sort(want)
			for _, s := range w.Spawned {
				got := slices.Sorted(slices.Values(s.Env))
				if s.Argv[len(s.Argv)-1] == "bye" {
					// What shutdown entries get besides is tested in package shutdown.
					got = slices.DeleteFunc(got, func(v string) bool {
						return v == "REBOUND_ACTION=reboot"
					})
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("environment of %q (-want +got):\n%s", s.Argv, d)
				}
			}
		})
	}
}

// TestWordsOfACommand: how commands are split, when the shell is needed, and where a program is
// looked for [BusyBox 3.8, 3.12, 3.14, 3.15].
func TestWordsOfACommand(t *testing.T) {
	search := func(name string) []string {
		return []string{"/sbin/" + name, "/usr/sbin/" + name, "/bin/" + name, "/usr/bin/" + name}
	}
	shell := []string{"/bin/sh"}
	type result struct {
		Paths, Argv []string
		TakeTTY     bool
	}
	for command, want := range map[string]result{
		"getty":            {search("getty"), []string{"getty"}, false},
		"/sbin/getty":      {[]string{"/sbin/getty"}, []string{"/sbin/getty"}, false},
		"sbin/getty":       {[]string{"sbin/getty"}, []string{"sbin/getty"}, false},
		"getty -L \t38400": {search("getty"), []string{"getty", "-L", "38400"}, false},
		"-getty -L":        {search("getty"), []string{"-getty", "-L"}, true},
		"-/bin/sh":         {shell, []string{"-/bin/sh"}, true},
		"--x":              {search("-x"), []string{"--x"}, true},
		" getty":           {[]string{""}, []string{"getty"}, false},
		"  ":               {[]string{""}, []string{""}, false},
		"a%b,c@d:e.f_g+h":  {search("a%b,c@d:e.f_g+h"), []string{"a%b,c@d:e.f_g+h"}, false},
		"a; b":             {shell, []string{"/bin/sh", "-c", "exec a; b"}, false},
		"-a; b":            {shell, []string{"-/bin/sh", "-c", "exec a; b"}, true},
		" a; b":            {shell, []string{"/bin/sh", "-c", "exec  a; b"}, false},
		`echo "x y"`:       {shell, []string{"/bin/sh", "-c", `exec echo "x y"`}, false},
		"a >/dev/null":     {shell, []string{"/bin/sh", "-c", "exec a >/dev/null"}, false},
		"a $HOME":          {shell, []string{"/bin/sh", "-c", "exec a $HOME"}, false},
	} {
		t.Run(command, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Inittab: "::once:" + command + "\n"})
			w.Boot()
			w.WantAlive()
			if len(w.Spawned) != 1 {
				t.Fatalf("started: got %q, want one command", w.Order())
			}
			s := w.Spawned[0]
			if d := cmp.Diff(want, result{s.Paths, s.Argv, s.TakeTTY}); d != "" {
				t.Errorf("command (-want +got):\n%s", d)
			}
		})
	}
}

// TestShellCharacters: each of them, and no other, takes the command to the shell [BusyBox 3.12].
func TestShellCharacters(t *testing.T) {
	const special = "~`!$^&*()=|\\{}[];\"'<>?"
	var table strings.Builder
	for c := byte(' '); c < 0x7f; c++ {
		if c != '#' {
			table.WriteString("::once:p" + string(c) + "x\n")
		}
	}
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Files: map[string]string{"/etc/inittab": table.String()}},
	})
	w.Boot()
	w.WantAlive()
	if len(w.Spawned) != 0x7f-' '-1 {
		t.Errorf("started: got %d commands, want %d", len(w.Spawned), 0x7f-' '-1)
	}
	for _, s := range w.Spawned {
		toShell := s.Argv[0] == "/bin/sh"
		line := s.Argv[len(s.Argv)-1]
		if want := strings.ContainsAny(line, special); toShell != want {
			t.Errorf("%q goes to the shell: got %t, want %t", line, toShell, want)
		}
	}
}

// TestSearch: the first directory of PATH that has the program, be it executable, wins
// [BusyBox 3.14].
func TestSearch(t *testing.T) {
	says := func(text string) simkernel.Program {
		return simkernel.Program{Steps: []simkernel.Step{simkernel.Say{Text: text}}}
	}
	denied := simkernel.Program{NotExecutable: true}
	for _, c := range []struct {
		name     string
		programs map[string]simkernel.Program
		want     string
	}{
		{
			name:     "the first",
			programs: map[string]simkernel.Program{"/usr/sbin/p": says("2"), "/usr/bin/p": says("4")},
			want:     "2",
		},
		{
			name:     "one that may not be executed is passed over",
			programs: map[string]simkernel.Program{"/sbin/p": denied, "/bin/p": says("3")}, want: "3",
		},
		{
			name:     "and explains why, if there is no other",
			programs: map[string]simkernel.Program{"/sbin/p": denied},
			want:     "can't run 'p': Permission denied",
		},
		{name: "none", want: "can't run 'p': No such file or directory"},
		{
			name:     "nowhere else",
			programs: map[string]simkernel.Program{"/p": says("root"), "/usr/local/bin/p": says("local")},
			want:     "can't run 'p': No such file or directory",
		},
		{
			name: "a text without #! is run by the shell",
			programs: map[string]simkernel.Program{"/bin/p": {
				Text: true, Steps: []simkernel.Step{simkernel.Say{Text: "by the shell"}},
			}},
			want: "by the shell",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Programs: c.programs}, Inittab: "::sysinit:p\n",
			})
			w.Boot()
			w.WantAlive()
			w.WantConsole(c.want + "\n")
		})
	}
}

// TestCannotRun: the command's name and the reason, on the terminal of the command, and in the
// log; the boot goes on [BusyBox 3.17, 2.10].
func TestCannotRun(t *testing.T) {
	const message = "can't run '/no/such': No such file or directory"
	for _, action := range []string{"sysinit", "wait", "once", "respawn", "ctrlaltdel", "shutdown"} {
		for _, tty := range []string{"", "tty1"} {
			t.Run(action+" on "+tty, func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{
					Config: simkernel.Config{
						Until:     30 * time.Second,
						Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
					},
					Inittab: tty + "::" + action + ":/no/such\n::respawn:actor say up, pause\n",
				})
				w.At(10*time.Second, simkernel.CtrlAltDel{})
				w.At(20*time.Second, simkernel.Signals(kernel.SIGTERM))
				w.Boot()
				w.WantEnd(simkernel.Restarted, 20*time.Second)
				w.WantLog(message, 1)
				w.WantLine("", "up", 1)
				other := ""
				if tty == "" {
					other = "/dev/tty1"
				} else {
					tty = "/dev/tty1"
				}
				w.WantLine(tty, message, 1)
				w.WantLine(other, message, 0)
			})
		}
	}
}

// TestCannotRunOnATerminalThatIsGone: then it is said on the console.
func TestCannotRunOnATerminalThatIsGone(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}}},
		Inittab: "tty1::once:/no/such\n",
	})
	w.Fail("Open", 1, kernel.EIO)
	w.Boot()
	w.WantConsole("can't run '/no/such': No such file or directory\n")
}

// TestCannotOpen: a terminal that is not there is a matter for the console. The entry counts as
// run, and the boot goes on [BusyBox 3.6].
func TestCannotOpen(t *testing.T) {
	for errno, text := range map[kernel.Errno]string{
		kernel.EIO: "Input/output error", kernel.EPERM: "Operation not permitted",
		kernel.ENOENT: "No such file or directory",
	} {
		for _, action := range []string{"sysinit", "wait", "once", "respawn", "askfirst"} {
			t.Run(action+" "+text, func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{
					Config: simkernel.Config{
						Until:     time.Minute,
						Terminals: map[string]simkernel.Terminal{"/dev/tty1": {OpenErr: errno}},
					},
					Inittab: "/dev/tty1::" + action + ":actor say no\n::respawn:actor say up, pause\n",
				})
				w.Boot()
				w.WantAlive()
				w.WantLine("", "can't open /dev/tty1: "+text, 1)
				w.WantLine("", "up", 1)
				w.WantLine("/dev/tty1", "no", 0)
			})
		}
	}
}

// TestTerminals: an entry with an id has that terminal, as its controlling one unless another
// session has it; without an id it shares init's own and gets no controlling terminal, but for a
// leading dash. None is ever stolen [BusyBox 2.11, 3.5, 3.7, 3.8].
func TestTerminals(t *testing.T) {
	const console, given, tty1 = "/dev/ttyS0", "/dev/console", "/dev/tty1"
	for _, c := range []struct {
		name    string
		inittab string
		stdio   []string // of the commands, in order
		control []string
	}{
		{name: "no id", inittab: "::once:actor pause\n", stdio: []string{given}, control: []string{""}},
		{
			name: "a dash", inittab: "::once:-actor pause\n",
			stdio: []string{given}, control: []string{console},
		},
		{
			name:    "two dashes on one terminal",
			inittab: "::once:-actor as one, pause\n::once:-actor as two, pause\n",
			stdio:   []string{given, given}, control: []string{console, ""},
		},
		{
			name: "an id", inittab: "tty1::once:actor pause\n",
			stdio: []string{tty1}, control: []string{tty1},
		},
		{
			name:    "two on one terminal",
			inittab: "tty1::once:actor as one, pause\n//tty1::once:-actor as two, pause\n",
			stdio:   []string{tty1, tty1}, control: []string{tty1, ""},
		},
		{
			name:    "the same by three names",
			inittab: "/dev/tty1::sysinit:actor\n/tty1::sysinit:-actor\n//tty1::once:actor pause\n",
			stdio:   []string{tty1}, control: []string{tty1},
		},
		{
			name: "the console by name is nobody's", inittab: "console::once:actor pause\n",
			stdio: []string{given}, control: []string{""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{Terminals: map[string]simkernel.Terminal{tty1: {}}},
				Inittab: c.inittab,
			})
			w.Boot()
			w.WantAlive()
			var stdio, control []string
			for _, p := range w.Processes() {
				if p.Stdio[1] != p.Stdio[0] || p.Stdio[2] != p.Stdio[0] {
					t.Errorf("descriptors: got %q, want three times the same", p.Stdio)
				}
				if p.SID != p.PID || p.PGID != p.PID {
					t.Errorf("session %d and group %d: want %d", p.SID, p.PGID, p.PID)
				}
				stdio, control = append(stdio, p.Stdio[0]), append(control, p.TTY)
			}
			if d := cmp.Diff(c.stdio, stdio); d != "" {
				t.Errorf("terminals (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.control, control); d != "" {
				t.Errorf("controlling terminals (-want +got):\n%s", d)
			}
		})
	}
}

// TestCleanSignals: a command starts with no signal blocked, ignored or pending [BusyBox 3.3].
func TestCleanSignals(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::once:actor pause\n"})
	w.Boot()
	p := w.Processes()[0]
	if len(p.Blocked)+len(p.Ignored)+len(p.Pending)+len(p.Caught) > 0 {
		t.Errorf("signals: got %+v, want none of any kind", p)
	}
}

// TestCoreSwitch: dumps are allowed if the file is there when the command starts [BusyBox 3.10]. It
// is not looked for all the time, but what a group of the boot has made counts for the next.
func TestCoreSwitch(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute,
			Programs: map[string]simkernel.Program{"/bin/touch": {
				Steps: []simkernel.Step{simkernel.WriteFile{Path: "/.init_enable_core"}},
			}},
		},
		Inittab: `
		::sysinit:actor as sysinit
		::sysinit:touch
		::wait:actor as wait
		::respawn:actor as service, pause
		`,
	})
	w.At(10*time.Second, simkernel.RemoveFile{Path: "/.init_enable_core"})
	w.At(20*time.Second, simkernel.Signal{Name: "actor", Signals: []kernel.Signal{kernel.SIGTERM}})
	w.Boot()
	w.WantAlive()
	var got []bool
	for _, s := range w.Spawned {
		got = append(got, s.Core)
	}
	if want := []bool{false, false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("core dumps allowed: got %t, want %t", got, want)
	}
}

// TestSlowDisk: while a program is loaded from a disk that does not answer, init goes on, and goes
// down when asked.
func TestSlowDisk(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Programs: map[string]simkernel.Program{
			"/mnt/dead": {Load: kernel.Never},
		}},
		Inittab: `
		::ctrlaltdel:actor say still here
		::sysinit:/mnt/dead
		`,
	})
	w.At(time.Minute, simkernel.CtrlAltDel{})
	w.At(time.Hour/2, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantStarts("actor say still here", time.Minute)
	w.WantEnd(simkernel.Restarted, time.Hour/2+6*time.Second)
}

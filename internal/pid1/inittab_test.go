package pid1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// builtIn is a machine on which all that the built-in table names is there.
func builtIn() pid1test.Setup {
	tty := map[string]simkernel.Terminal{"/dev/tty2": {}, "/dev/tty3": {}, "/dev/tty4": {}}
	programs := map[string]simkernel.Program{"/etc/init.d/rcS": {}}
	for _, name := range []string{"/sbin/reboot", "/bin/umount", "/sbin/swapoff"} {
		programs[name] = simkernel.Program{}
	}
	return pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute, Terminals: tty, Programs: programs,
		},
		Prompts: 4,
	}
}

// TestNoInittab: the built-in table [BusyBox 2.18, 2.20].
func TestNoInittab(t *testing.T) {
	t.Run("boots and goes down", func(t *testing.T) {
		w := pid1test.New(t, builtIn())
		w.At(time.Second, simkernel.CtrlAltDel{})
		w.At(2*time.Second, simkernel.Signals(kernel.SIGTERM))
		w.Boot()
		want := []string{"/etc/init.d/rcS", "reboot", "umount -a -r", "swapoff -a"}
		if got := w.Order(); !slices.Equal(got, want) {
			t.Errorf("started:\ngot  %q\nwant %q", got, want)
		}
		w.WantEnd(simkernel.Restarted, 2*time.Second+2*pid1test.ExecTime)
		for _, tty := range []string{"/dev/ttyS0", "/dev/tty2", "/dev/tty3", "/dev/tty4"} {
			wantPrompts(t, w, tty, 1)
		}
		w.WantLog("/etc/inittab does not exist: using the built-in table", 1)
	})
	t.Run("restarts init", func(t *testing.T) {
		w := pid1test.New(t, builtIn())
		w.At(time.Second, simkernel.Signals(kernel.SIGQUIT))
		w.Boot()
		if w.End.How != simkernel.Execed || w.End.Command.Argv[0] != "init" {
			t.Errorf("end: got %+v, want init to be executed", w.End)
		}
	})
}

// TestEmptyTables: a file without entries, and a directory, give an empty table and not the
// built-in one. Init idles and goes down when asked [BusyBox 2.18].
func TestEmptyTables(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  simkernel.Config
		console string
	}{
		{name: "empty", config: simkernel.Config{Files: map[string]string{pid1.InittabPath: ""}}},
		{name: "comments", config: simkernel.Config{
			Files: map[string]string{pid1.InittabPath: "# nothing\n\n#::once:actor say no\n"},
		}},
		{
			name: "directory", config: simkernel.Config{Dirs: []string{pid1.InittabPath}},
			console: "/etc/inittab is a directory, and holds no entries: a file was expected\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: c.config})
			w.At(time.Second, simkernel.CtrlAltDel{})
			w.At(time.Minute, simkernel.Signals(kernel.SIGUSR2))
			w.Boot()
			w.WantEnd(simkernel.PoweredOff, time.Minute)
			w.WantConsole(c.console + "The system is going down NOW!\n" +
				"Sent SIGTERM to all processes\nRequesting system poweroff\n")
			if got := w.Order(); len(got) > 0 {
				t.Errorf("started: got %q, want nothing", got)
			}
		})
	}
}

// TestUnreadableInittab: as without one, but it is said.
func TestUnreadableInittab(t *testing.T) {
	for errno, text := range map[kernel.Errno]string{
		kernel.EIO: "Input/output error", kernel.EFBIG: "File too large",
	} {
		s := builtIn()
		s.Inittab = "::sysinit:actor say no\n"
		w := pid1test.New(t, s)
		w.Fail("ReadFile", 2, errno) // the configuration comes first
		w.Boot()
		w.WantAlive()
		w.WantLine("", "/etc/inittab: "+text+": using the built-in table", 1)
		if got := w.Order(); !slices.Equal(got, []string{"/etc/init.d/rcS"}) {
			t.Errorf("started: got %q, want rcS only", got)
		}
	}
}

// TestBadEntries: each is reported with the number of its last line, and the boot goes on
// [BusyBox 2.4 to 2.9].
func TestBadEntries(t *testing.T) {
	for _, c := range []struct {
		name, inittab string
		lines         []int // that are bad
		said          string
	}{
		{
			name:    "too few fields [BusyBox 2.9]",
			inittab: "sysinit:actor say a\n::sysinit:actor say b\nx\n",
			lines:   []int{1, 3}, said: "b",
		},
		{
			name: "unknown actions [BusyBox 2.8]",
			inittab: "::SYSINIT:actor say a\n:: sysinit:actor say b\nid:3:initdefault:\n" +
				"::sysinit:actor say c\n",
			lines: []int{1, 2, 3}, said: "c",
		},
		{
			name:    "empty commands [BusyBox 2.9]",
			inittab: "::sysinit:\n::sysinit:#actor say a\n::sysinit:actor say b\n",
			lines:   []int{1, 2}, said: "b",
		},
		{
			name:    "blanks are no empty line [BusyBox 2.4]",
			inittab: "  \n # a comment\n\n#\n::sysinit:actor say a\n",
			lines:   []int{1, 2}, said: "a",
		},
		{
			name: "joined lines count by the last [BusyBox 2.5, 2.9]",
			inittab: "::wrong:\\\nactor say a \\\n b\n# comment \\\n::sysinit:actor say c\n" +
				"::sysinit:actor say d",
			lines: []int{3}, said: "d",
		},
		{
			name:    "a NUL ends the line [BusyBox 2.6]",
			inittab: "::sysinit:actor say a\x00b\n\x00::sysinit:actor say b\n::sysinit\x00:actor say c\n",
			lines:   []int{3}, said: "a",
		},
		{
			name:    "carriage returns belong to the command [BusyBox 2.6]",
			inittab: "::sysinit:actor say a\r\n\r\n::sysinit:actor say b\n",
			lines:   []int{2}, said: "a\nb",
		},
		{
			name:    "no text at all",
			inittab: strings.Repeat("\xff\xfe\x80:", 3) + "\n\x7fELF\x02\x01\n::sysinit:actor say a\n",
			lines:   []int{1, 2}, said: "a",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
				Files: map[string]string{pid1.InittabPath: c.inittab},
			}})
			w.Boot()
			w.WantAlive()
			var want strings.Builder
			for _, n := range c.lines {
				fmt.Fprintf(&want, "Bad inittab entry at line %d\n", n)
				w.WantLog(fmt.Sprintf("Bad inittab entry at line %d", n), 1)
			}
			w.WantConsole(want.String() + c.said + "\n")
		})
	}
}

// TestConsoleBytes: a line of init's own begins with a carriage return and ends with a newline
// [BusyBox 4.41].
func TestConsoleBytes(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
		Files: map[string]string{pid1.InittabPath: "wrong\n"},
	}})
	w.Boot()
	const want = "\rBad inittab entry at line 1\n"
	if got := string(w.Output("/dev/ttyS0")); got != want {
		t.Errorf("bytes on the console:\ngot  %q\nwant %q", got, want)
	}
}

// TestCarriageReturnInACommand: the program's name ends in it, and so there is no such program
// [BusyBox 2.6].
func TestCarriageReturnInACommand(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
		Files: map[string]string{pid1.InittabPath: "::sysinit:actor\r\n::sysinit:actor say a\r\n"},
	}})
	w.Boot()
	w.WantAlive()
	w.WantLog("can't run 'actor\r': No such file or directory", 1)
	w.WantLine("", "a", 1)
}

// TestSameEntryTwice: the later line takes the place of the earlier [BusyBox 2.14 to 2.16].
func TestSameEntryTwice(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}}},
		Inittab: `
		::sysinit:actor as twin
		::sysinit:actor as first
		::shutdown:actor as twin
		::once:actor as third
		tty1::once:actor as third
		::once:actor as third
		`,
	})
	w.Boot()
	want := []string{"actor as first", "actor as third", "actor as third"}
	if got := w.Order(); !slices.Equal(got, want) {
		t.Errorf("started:\ngot  %q\nwant %q", got, want)
	}
}

// TestMillionLines: a table of a million lines is no trouble, whatever they say. Of so many bad
// ones the first hundred are named: printing them all would keep a serial console busy for an
// hour.
func TestMillionLines(t *testing.T) {
	const million = 1_000_000
	for name, c := range map[string]struct {
		line  string
		lines int
		said  int // lines of the console
	}{
		"comments": {line: "# nothing here\n", lines: million},
		"empty":    {line: "\n", lines: million},
		// A tenth, to be quick under -race. The benchmark has a million.
		"same entry":  {line: "::once:actor say once\n", lines: million / 10, said: 1},
		"bad entries": {line: "bad\n", lines: million / 10, said: 101},
	} {
		t.Run(name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
				Files: map[string]string{
					pid1.InittabPath: strings.Repeat(c.line, c.lines) + "::once:actor say last\n",
				},
			}})
			w.Boot()
			w.WantAlive()
			if n := len(w.Console()); n != c.said+1 {
				t.Errorf("lines on the console: got %d, want %d", n, c.said+1)
			}
			w.WantLine("", "last", 1)
			if name == "bad entries" {
				w.WantLine("", "Bad inittab entry at line 100", 1)
				w.WantLine("", "99900 more bad inittab entries: init --check names them", 1)
			}
		})
	}
}

// TestSingleUser: one shell on init's own console, and nothing else is known; the inittab is not
// read, until a reload asks for it [BusyBox 1.22].
func TestSingleUser(t *testing.T) {
	const inittab = `
		::sysinit:actor as sysinit
		::respawn:actor as respawn, pause
		::ctrlaltdel:actor as ctrlaltdel
		::shutdown:actor as shutdown
		::restart:actor as restart
	`
	normal := []string{
		"actor as sysinit", "actor as respawn, pause", "actor as ctrlaltdel", "actor as shutdown",
	}
	for _, c := range []struct {
		args   []string
		reload bool
		want   []string
	}{
		{args: []string{"single"}, want: []string{"-/bin/sh"}},
		{args: []string{"-s"}, want: []string{"-/bin/sh"}},
		{args: []string{"1", "3"}, want: []string{"-/bin/sh"}},
		{args: []string{"single"}, reload: true, want: []string{
			"-/bin/sh", "actor as respawn, pause", "actor as ctrlaltdel", "actor as shutdown",
		}},
		{args: nil, want: normal},
		{args: []string{"S"}, want: normal},
		{args: []string{"Single"}, want: normal},
		{args: []string{"emergency"}, want: normal},
		{args: []string{"3", "single"}, want: normal},
		{args: []string{"auto", "-s"}, want: normal},
	} {
		t.Run(fmt.Sprint(c.args, c.reload), func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Args: c.args, Inittab: inittab})
			if c.reload {
				w.At(time.Second, simkernel.Signals(kernel.SIGHUP))
			}
			if !slices.Equal(c.want, normal) && !c.reload {
				// Neither has an entry.
				w.At(2*time.Second, simkernel.Signals(kernel.SIGQUIT))
			}
			w.At(3*time.Second, simkernel.CtrlAltDel{})
			w.At(4*time.Second, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			if w.End.How != simkernel.Restarted {
				t.Errorf("end: got %v, want a restart", w.End.How)
			}
			if got := w.Order(); !slices.Equal(got, c.want) {
				t.Errorf("started:\ngot  %q\nwant %q", got, c.want)
			}
		})
	}
}

func BenchmarkMillionEntries(b *testing.B) {
	var table strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&table, "::ctrlaltdel:actor say %d\n", i)
	}
	for b.Loop() {
		w := pid1test.New(b, pid1test.Setup{Config: simkernel.Config{
			Files: map[string]string{pid1.InittabPath: table.String()},
		}})
		w.Boot()
		w.WantAlive()
	}
}

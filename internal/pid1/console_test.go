package pid1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// terminals are three of them.
func terminals() map[string]simkernel.Terminal {
	return map[string]simkernel.Terminal{
		"/dev/ttyS0": {}, "/dev/ttyS1": {}, "/dev/tty0": {VT: true},
	}
}

// TestChoiceOfTheConsole: CONSOLE, else console, else what init was given; the first line of init's
// own shows which it is, and the command's descriptors too [BusyBox 1.10, 1.12, 1.14].
func TestChoiceOfTheConsole(t *testing.T) {
	const cannot = "can't open console /dev/ttyS9: No such file or directory"
	for _, c := range []struct {
		name    string
		env     []string
		console string
		said    string
	}{
		{name: "none", console: "/dev/ttyS0"},
		{name: "CONSOLE", env: []string{"CONSOLE=/dev/ttyS1"}, console: "/dev/ttyS1"},
		{name: "console", env: []string{"console=/dev/ttyS1"}, console: "/dev/ttyS1"},
		{
			name: "both", env: []string{"console=/dev/tty0", "CONSOLE=/dev/ttyS1"},
			console: "/dev/ttyS1",
		},
		{
			name: "the last of two", env: []string{"CONSOLE=/dev/tty0", "CONSOLE=/dev/ttyS1"},
			console: "/dev/ttyS1",
		},
		{name: "relative", env: []string{"CONSOLE=dev/ttyS1"}, console: "/dev/ttyS1"},
		{
			name: "missing", env: []string{"CONSOLE=/dev/ttyS9"}, console: "/dev/ttyS0",
			said: cannot,
		},
		{
			name: "missing, and not the other", console: "/dev/ttyS0", said: cannot,
			env: []string{"CONSOLE=/dev/ttyS9", "console=/dev/ttyS1"},
		},
		{
			name: "a name that only looks like it", console: "/dev/ttyS0",
			env: []string{"CONSOLES=/dev/ttyS1", "Console=/dev/ttyS1", "CONSOLE"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Terminals: terminals()},
				Env:    c.env, Inittab: "bad\n::respawn:actor pause\n",
			})
			w.Boot()
			w.WantAlive()
			w.WantLine(c.console, "Bad inittab entry at line 1", 1)
			if c.said != "" {
				w.WantLine(c.console, c.said, 1)
				w.WantLog(c.said, 1)
			}
			ps := w.Processes()
			given := "/dev/console"
			if c.console != "/dev/ttyS0" {
				given = c.console
			}
			if want := [3]string{given, given, given}; ps[0].Stdio != want {
				t.Errorf("descriptors of the command:\ngot  %q\nwant %q", ps[0].Stdio, want)
			}
		})
	}
}

// TestEmptyCONSOLE names no device, and says so.
func TestEmptyCONSOLE(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Env: []string{"CONSOLE="}, Inittab: "::once:actor say up\n"})
	w.Boot()
	w.WantAlive()
	w.WantLine("", "up", 1)
	if n := len(w.Console()); n != 2 || !strings.HasPrefix(w.Console()[0].Text, "can't open console") {
		t.Errorf("console: want a complaint and a line of the command\n%s", w.Story())
	}
}

// TestClosedDescriptors: they are filled with /dev/null, or else with the root directory, and the
// boot goes on [BusyBox 1.13, 1.14].
func TestClosedDescriptors(t *testing.T) {
	all := []kernel.FD{0, 1, 2}
	const given, tty, null = "/dev/console", "/dev/ttyS0", "/dev/null"
	for _, c := range []struct {
		name   string
		config simkernel.Config
		noNull bool
		env    []string
		want   [3]string
	}{
		{name: "stdin", config: simkernel.Config{Closed: all[:1]}, want: [3]string{null, given, given}},
		{name: "stderr", config: simkernel.Config{Closed: all[2:]}, want: [3]string{given, given, null}},
		{name: "all", config: simkernel.Config{Closed: all}, want: [3]string{null, null, null}},
		{
			name: "no console", config: simkernel.Config{Console: "none"},
			want: [3]string{null, null, null},
		},
		{
			name: "nor /dev/null", config: simkernel.Config{Console: "none"}, noNull: true,
			want: [3]string{"/", "/", "/"},
		},
		{
			name: "stdin and CONSOLE", config: simkernel.Config{Closed: all[:1]},
			env: []string{"CONSOLE=/dev/ttyS0"}, want: [3]string{tty, tty, tty},
		},
		{
			name: "all and CONSOLE", config: simkernel.Config{Closed: all},
			env: []string{"CONSOLE=/dev/ttyS0"}, want: [3]string{tty, tty, tty},
		},
		{
			name: "all and a CONSOLE that is not there", config: simkernel.Config{Closed: all},
			env: []string{"CONSOLE=/dev/ttyS9"}, want: [3]string{null, null, null},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: c.config, Env: c.env, Inittab: "bad\n::respawn:actor pause\n",
			})
			if c.noNull {
				w.Apply(simkernel.RemoveFile{Path: null})
			}
			var stdio [3]string
			w.Look(time.Second, func() { stdio = w.Processes()[0].Stdio })
			w.At(time.Minute, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			w.WantEnd(simkernel.Restarted, time.Minute)
			if stdio != c.want {
				t.Errorf("descriptors of the command:\ngot  %q\nwant %q", stdio, c.want)
			}
			// What the console does not show, the log does.
			w.WantLog("Bad inittab entry at line 1", 1)
		})
	}
}

// TestTERM fits the console: the kernel says "linux" to all, which a serial line is not
// [BusyBox 1.16, 1.17].
func TestTERM(t *testing.T) {
	for _, c := range []struct {
		console string
		env     []string
		want    string
	}{
		{console: "/dev/ttyS0", want: "TERM=vt102"},
		{console: "/dev/ttyS0", env: []string{"TERM=linux"}, want: "TERM=vt102"},
		{console: "/dev/ttyS0", env: []string{"TERM=xterm"}, want: "TERM=xterm"},
		{console: "/dev/ttyS0", env: []string{"TERM=dumb"}, want: "TERM=dumb"},
		{console: "/dev/tty0", want: "TERM=linux"},
		{console: "/dev/tty0", env: []string{"TERM=linux"}, want: "TERM=linux"},
		{console: "/dev/tty0", env: []string{"TERM=xterm"}, want: "TERM=xterm"},
		{console: "none", want: "TERM=vt102"},
		{
			console: "/dev/tty0", env: []string{"TERM=linux", "CONSOLE=/dev/ttyS1"},
			want: "TERM=vt102",
		},
		{console: "/dev/ttyS0", env: []string{"TERM=xterm", "TERM=vt220"}, want: "TERM=vt220"},
	} {
		t.Run(fmt.Sprint(c.console, c.env), func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{Console: c.console, Terminals: terminals()},
				Env:     c.env,
				Inittab: "::once:actor\nttyS1::once:actor\n",
			})
			w.Boot()
			for _, s := range w.Spawned {
				var got []string
				for _, v := range s.Env {
					if strings.HasPrefix(v, "TERM=") {
						got = append(got, v)
					}
				}
				if len(got) != 1 || got[0] != c.want {
					t.Errorf("TERM on %q: got %q, want %q", s.TTY, got, c.want)
				}
			}
		})
	}
}

// TestSaneConsole: init's terminal is set up before anything is written or started, and again for
// each command [BusyBox 1.18, 3.7].
func TestSaneConsole(t *testing.T) {
	for _, console := range []string{"/dev/ttyS0", "/dev/ttyS1"} {
		w := pid1test.New(t, pid1test.Setup{
			Config:  simkernel.Config{Terminals: terminals()},
			Env:     []string{"CONSOLE=" + console},
			Inittab: "::once:actor\n::once:actor pause\n",
		})
		before := -1
		w.Look(0, func() { before = w.MadeSane(console) })
		w.Boot()
		if before < 1 || w.MadeSane(console) != 3 {
			t.Errorf("%s was made sane %d times, and %d times before a command ran; want 3 and 1",
				console, w.MadeSane(console), before)
		}
		if console != "/dev/ttyS0" && w.MadeSane("/dev/ttyS0") > 0 {
			t.Error("a terminal was touched that is not the console")
		}
	}
}

// TestSessionAndDirectory [BusyBox 1.19]: none of it can stop the boot.
func TestSessionAndDirectory(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::once:actor say up\n"})
	w.Boot()
	if p, _ := w.Process(1); p.SID != 1 || p.PGID != 1 {
		t.Errorf("session and group of PID 1: got %d and %d, want 1 and 1", p.SID, p.PGID)
	}
	if w.Calls("Chdir") != 1 || w.Cwd() != "/" {
		t.Errorf("directory: got %s after %d calls, want / after 1", w.Cwd(), w.Calls("Chdir"))
	}

	w = pid1test.New(t, pid1test.Setup{Inittab: "::once:actor say up\n"})
	w.Fail("Chdir", 1, kernel.EIO)
	w.Fail("Setsid", 1, kernel.EPERM)
	w.Boot()
	w.WantConsole("chdir /: Input/output error\nup\n")
}

// bad is an inittab of which every line is complained about.
func bad(lines int) map[string]string {
	return map[string]string{pid1.InittabPath: strings.Repeat("bad\n", lines) +
		"::sysinit:actor as sysinit\n::respawn:actor as respawn, pause\n"}
}

// TestStoppedConsole: nothing waits for a console that somebody has stopped with Ctrl-S, whatever
// room it has. What it did not take comes, in order, when it goes on.
func TestStoppedConsole(t *testing.T) {
	for _, room := range []int{1, 2, 10, 100, 4096} {
		for _, noReopen := range []bool{false, true} {
			t.Run(fmt.Sprint(room, noReopen), func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
					Files: bad(50), Until: time.Hour,
					Terminals: map[string]simkernel.Terminal{
						"/dev/ttyS0": {Stopped: true, Buffer: room},
					},
				}})
				if noReopen {
					// Without proc.
					w.Fail("Reopen", 0, kernel.ENOENT)
				}
				w.At(time.Minute, simkernel.Type{Text: "\x11"})
				w.At(2*time.Minute, simkernel.Signals(kernel.SIGTERM))
				w.Boot()
				w.WantEnd(simkernel.Restarted, 2*time.Minute)
				w.WantStarts("actor as sysinit", 0)
				var want strings.Builder
				for n := range 50 {
					fmt.Fprintf(&want, "Bad inittab entry at line %d\n", n+1)
				}
				w.WantConsole(want.String() + "The system is going down NOW!\n" +
					"Sent SIGTERM to all processes\nRequesting system reboot\n")
			})
		}
	}
}

// TestStoppedConsoleOnTheWayDown: nor does the way down.
func TestStoppedConsoleOnTheWayDown(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n::shutdown:actor sleep 1s\n"})
	w.At(time.Second, simkernel.Type{Text: "\x13"})
	w.At(2*time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, 3*time.Second+pid1test.ExecTime)
	if text := w.ConsoleText(); text != "" {
		t.Errorf("console: got %q, want nothing", text)
	}
	w.WantLog("The system is going down NOW!", 1)
}

// TestLostLines: a console that stays stopped is written no more than so much for; what is lost is
// counted, and that is said when it goes on. The log has it all.
func TestLostLines(t *testing.T) {
	const restarts = 1000
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Files: map[string]string{pid1.InittabPath: "bad\n"}, Until: time.Hour,
			Terminals: map[string]simkernel.Terminal{"/dev/ttyS0": {Stopped: true, Buffer: 10}},
			Cmdline:   "log_buf_len=1M", // else the log overwrites the oldest
		},
	})
	const from, step, to = time.Second, time.Second, time.Second * restarts
	for at := from; at < to; at += step {
		w.At(at, simkernel.Signals(kernel.SIGHUP))
	}
	w.At(to, simkernel.StartOutput{})
	w.At(to+time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, to+time.Second)
	w.WantLog("Bad inittab entry at line 1", restarts)

	const line = "Bad inittab entry at line 1"
	shown := len(w.Times("", line))
	w.WantConsole(strings.Repeat(line+"\n", shown) + fmt.Sprintf(
		"%d lines that the console did not take are in the kernel log only\n", restarts-shown) +
		"The system is going down NOW!\nSent SIGTERM to all processes\nRequesting system reboot\n")
	// 16 KiB are kept.
	if bytes := shown * (len(line) + 2); bytes < 16000 || bytes > 16500 {
		t.Errorf("kept for the console: %d bytes, want about 16384", bytes)
	}
}

// TestConsoleThatStopsAgain: while it takes a little at a time the order stays, and new lines come
// after old ones.
func TestConsoleThatStopsAgain(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
		Files: bad(30), Until: time.Hour,
		Terminals: map[string]simkernel.Terminal{"/dev/ttyS0": {Stopped: true, Buffer: 7}},
	}})
	for n := range 10 {
		at := time.Duration(n+1) * time.Second
		w.At(at, simkernel.StartOutput{}, simkernel.StopOutput{}, simkernel.Signals(kernel.SIGHUP))
	}
	w.At(time.Minute, simkernel.StartOutput{})
	w.Boot()
	var want strings.Builder
	for range 11 {
		for n := range 30 {
			fmt.Fprintf(&want, "Bad inittab entry at line %d\n", n+1)
		}
	}
	w.WantConsole(want.String())
}

// TestHungUpConsole: nobody is at the other end, so what is said is lost on the console; nothing
// waits, and the services go on.
func TestHungUpConsole(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped %t", stopped), func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{
				Files:     bad(20),
				Terminals: map[string]simkernel.Terminal{"/dev/ttyS0": {Stopped: stopped, Buffer: 9}},
			}})
			w.At(time.Second, simkernel.HangUp{})
			w.At(2*time.Second, simkernel.Signals(kernel.SIGHUP))
			w.At(3*time.Second, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			w.WantEnd(simkernel.Restarted, 3*time.Second)
			w.WantLog("Bad inittab entry at line 1", 2)
		})
	}
}

// TestConsoleThatFails: whatever the errors are. One that may take more later is given a moment on
// the way down.
func TestConsoleThatFails(t *testing.T) {
	const moment = 250 * time.Millisecond
	for errno, takes := range map[kernel.Errno]time.Duration{
		kernel.EIO: 0, kernel.EPERM: 0, kernel.EAGAIN: moment, kernel.EINTR: 0,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: simkernel.Config{Files: bad(1000)}})
			w.Fail("Write", 0, errno)
			w.Fail("Watch", 0, errno)
			w.At(3*time.Second, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			w.WantEnd(simkernel.Restarted, 3*time.Second+takes)
			w.WantLog("Bad inittab entry at line 1", 1)
		})
	}
}

// TestConsoleThatOthersWriteTo: while another process writes, the terminal refuses a write that may
// not wait. What it has refused comes a moment later, on the way down too.
func TestConsoleThatOthersWriteTo(t *testing.T) {
	for n := 1; n <= 3; n++ {
		w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
		w.At(time.Second, simkernel.Do(func(m *simkernel.Machine) { m.Fail("Write", n, kernel.EAGAIN) }),
			simkernel.Signals(kernel.SIGTERM))
		w.Boot()
		w.WantEnd(simkernel.Restarted, time.Second)
		w.WantConsole("The system is going down NOW!\nSent SIGTERM to all processes\n" +
			"Requesting system reboot\n")
	}
}

package shutdown_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestRestart: the way is the same, but at its end init becomes the first restart entry's program,
// without a message, at once, and Ctrl-Alt-Del is the kernel's again [BusyBox 2.28, 5.20, 5.21].
func TestRestart(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Config: simkernel.Config{
			Files:     map[string]string{"/.init_enable_core": ""},
			Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
		},
		Env: []string{"HELLO=1"},
		Inittab: `
		::respawn:actor ignore TERM, pause
		tty1::restart:-actor as next --flag
		::restart:actor as another
		::shutdown:actor as down
		`,
	}, kernel.SIGQUIT)
	w.WantEnd(simkernel.Execed, asked+5*time.Second+2*exec)
	w.WantConsole(`
		The system is going down NOW!
		Sent SIGTERM to all processes
		Sent SIGKILL to all processes
	`)
	c := w.End.Command
	if want := []string{"-actor", "as", "next", "--flag"}; !slices.Equal(c.Argv, want) {
		t.Errorf("arguments: got %q, want %q", c.Argv, want)
	}
	if c.TTY != "/dev/tty1" || !c.TakeTTY || !c.Core {
		t.Errorf("terminal %q, take it %t, core %t: want /dev/tty1, true, true",
			c.TTY, c.TakeTTY, c.Core)
	}
	want := []string{
		"HELLO=1", "PATH=/sbin:/usr/sbin:/bin:/usr/bin", "SHELL=/bin/sh", "TERM=vt102", "USER=root",
	}
	if got := slices.Sorted(slices.Values(c.Env)); !slices.Equal(got, want) {
		t.Errorf("environment:\ngot  %q\nwant %q", got, want)
	}
	if !w.CadOn() {
		t.Error("Ctrl-Alt-Del is not the kernel's")
	}
	if n := len(w.Reboots()); n > 0 {
		t.Errorf("reboot(2) was called %d times, want never", n)
	}
}

// TestRestartThroughTheShell [BusyBox 5.20].
func TestRestartThroughTheShell(t *testing.T) {
	w := boot(t, pid1test.Setup{Inittab: "::restart:/sbin/next $HOME\n"}, kernel.SIGQUIT)
	if want := []string{"/bin/sh", "-c", "exec /sbin/next $HOME"}; w.End.How != simkernel.Execed ||
		!slices.Equal(w.End.Command.Argv, want) {
		t.Errorf("end: got %+v, want %q", w.End, want)
	}
}

// TestNoRestartEntry: nothing happens at all, but for a word in the log [BusyBox 4.7].
func TestNoRestartEntry(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Inittab: "::respawn:actor sleep 20s\n::shutdown:actor as down\n",
		Config:  simkernel.Config{Until: 30 * time.Second},
	}, kernel.SIGQUIT)
	w.WantAlive()
	w.WantConsole("")
	w.WantLog("restart asked for, but the inittab has no restart entry", 1)
	w.WantStarts("actor sleep 20s", 0, 20*time.Second+exec)
}

// TestRestartFails: the machine reboots, for it can neither stay nor halt without somebody going
// there [BusyBox 5.22, where it halts].
func TestRestartFails(t *testing.T) {
	for _, c := range []struct {
		name, inittab, said string
		fail                kernel.Errno
	}{
		{
			name: "no program", inittab: "::restart:/no/such\n",
			said: "can't run '/no/such': No such file or directory",
		},
		{
			name: "no terminal", inittab: "tty9::restart:actor\n",
			said: "can't open /dev/tty9: No such file or directory",
		},
		{
			name: "no memory", inittab: "::restart:actor\n", fail: kernel.EAGAIN,
			said: "can't run 'actor': Resource temporarily unavailable",
		},
	} {
		for _, namespace := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{
					Inittab: c.inittab, Config: simkernel.Config{Namespace: namespace},
				})
				if c.fail != 0 {
					w.Fail("Exec", 1, c.fail)
				}
				w.At(asked, simkernel.Signals(kernel.SIGQUIT))
				w.Boot()
				w.WantEnd(simkernel.Restarted, asked)
				w.WantConsole("The system is going down NOW!\nSent SIGTERM to all processes\n" +
					c.said + "\nNo init to restart: rebooting\nRequesting system reboot\n")
			})
		}
	}
}

// TestRestartGivesWay: a restart is none of the ways to leave the machine; whoever asks for one of
// those wins, before it and after it.
func TestRestartGivesWay(t *testing.T) {
	const inittab = "::restart:actor\n::shutdown:actor sleep 5s\n"
	w := pid1test.New(t, pid1test.Setup{Inittab: inittab})
	w.At(asked, simkernel.Signals(kernel.SIGQUIT))
	w.At(asked+time.Second, simkernel.Signals(kernel.SIGUSR2))
	w.At(asked+2*time.Second, simkernel.Signals(kernel.SIGQUIT))
	w.Boot()
	w.WantEnd(simkernel.PoweredOff, asked+5*time.Second+exec)
	w.WantLine("", "Already going down for restart: now for poweroff", 1)
	w.WantLine("", "Already going down for poweroff: not restarting init", 1)
}

// TestChildrenOfARestartedInit: what outlives KILL is still there, a child of the new program
// [BusyBox 5.21], which can be init itself [BusyBox 5.24].
func TestChildrenOfARestartedInit(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Inittab: "::sysinit:actor as sysinit\n::once:actor hang 1m\n::restart:init\n",
		Twice:   true, // the second init starts it again
	})
	w.At(asked, simkernel.Signals(kernel.SIGQUIT))
	w.Boot()
	if w.End.How != simkernel.Execed || w.End.Command.Argv[0] != "init" {
		t.Fatalf("end: got %+v, want init to be executed\n%s", w.End, w.Story())
	}
	w.At(2*time.Minute, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, 2*time.Minute)
	if n := len(w.Starts("actor as sysinit")); n != 2 {
		t.Errorf("sysinit was run %d times, want once by each init", n)
	}
	if strings.Contains(w.Story(), "crashed") {
		t.Error("the second init takes the first for one that has crashed")
	}
}

package pid1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestGroupsInOrder: sysinit, wait, once, and then respawn and askfirst as they are listed,
// whatever the order of the groups in the file [BusyBox 2.22 to 2.25].
func TestGroupsInOrder(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Until: time.Minute},
		Prompts: 1,
		Inittab: `
		::respawn:actor as one, pause
		::shutdown:actor say not now
		::once:actor as one, sleep 1h
		::wait:actor as one, sleep 2s
		::sysinit:actor as one, sleep 1s
		::askfirst:actor as asked, pause
		::restart:actor say not now either
		::sysinit:actor as two, sleep 1s
		::ctrlaltdel:actor say nor now
		::wait:actor as two, sleep 2s
		::respawn:actor as two, pause
		::once:actor as two, sleep 1h
		`,
	})
	w.WhenAfter("Please press Enter to activate this console. ", 0, simkernel.Type{Text: "\n"})
	w.Boot()
	w.WantAlive()

	const (
		exec    = pid1test.ExecTime
		sysinit = time.Duration(0)
		wait    = sysinit + 2*(exec+time.Second)
		rest    = wait + 2*(exec+2*time.Second)
	)
	want := []string{
		"0s actor as one, sleep 1s",
		"1.001s actor as two, sleep 1s",
		fmt.Sprint(wait, " actor as one, sleep 2s"),
		"4.003s actor as two, sleep 2s",
		fmt.Sprint(rest, " actor as one, sleep 1h"),
		fmt.Sprint(rest, " actor as two, sleep 1h"),
		fmt.Sprint(rest, " actor as one, pause"),
		fmt.Sprint(rest, " actor as two, pause"),
		fmt.Sprint(rest, " actor as asked, pause"),
	}
	var got []string
	for _, s := range w.Spawned {
		got = append(got, fmt.Sprint(s.At, " ", strings.Join(s.Argv, " ")))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("started (-want +got):\n%s", d)
	}
}

// TestLogOfStarts: every start stands in the log with its terminal [BusyBox 3.11], and the end of
// what is kept running [BusyBox 3.20].
func TestLogOfStarts(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: 5 * time.Second, Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
		},
		Inittab: `
		::sysinit:actor exit 1
		tty1::once:actor exit 1
		tty1::respawn:actor sleep 3s
		`,
	})
	w.Boot()
	w.WantConsole(ended("actor sleep 3s", "has ended with status 0", "/dev/tty1") + "\n")
	w.WantLog("starting pid 3, tty '': 'actor exit 1'", 1)
	w.WantLog("starting pid 4, tty '/dev/tty1': 'actor exit 1'", 1)
	w.WantLog("starting pid 5, tty '/dev/tty1': 'actor sleep 3s'", 1)
	w.WantLog("process 'actor sleep 3s' (pid 5) exited. Scheduling for restart.", 1)
	w.WantLog("starting pid 6, tty '/dev/tty1': 'actor sleep 3s'", 1)
}

// TestHowAnEntryEndsDoesNotMatter [BusyBox 2.22, 3.18].
func TestHowAnEntryEndsDoesNotMatter(t *testing.T) {
	for _, end := range []string{"exit 0", "exit 1", "exit 255", "die KILL", "die SEGV", "die TERM"} {
		for _, action := range []string{"sysinit", "wait"} {
			t.Run(action+" "+end, func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{Inittab: fmt.Sprintf(`
					::%s:actor %s
					::%[1]s:actor say next
				`, action, end)})
				w.Boot()
				w.WantAlive()
				w.WantConsole("next\n")
			})
		}
	}
}

// TestWaitedForIsTheDirectChild: a command that puts itself into the background is done, and one
// that is stopped is not [BusyBox 2.29].
func TestWaitedForIsTheDirectChild(t *testing.T) {
	for _, action := range []string{"sysinit", "wait"} {
		t.Run(action+" daemonises", func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: time.Minute},
				Inittab: fmt.Sprintf(`
				::%s:actor fork, sleep 1h
				::%[1]s:actor say next
				`, action),
			})
			w.Boot()
			w.WantStarts("actor say next", pid1test.ExecTime)
			if n := len(w.Running("actor fork, sleep 1h")); n != 1 {
				t.Errorf("daemons that run: got %d, want 1", n)
			}
		})
		t.Run(action+" stopped", func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Inittab: fmt.Sprintf(`
				::%s:actor stop
				::%[1]s:actor say next
			`, action)})
			w.At(time.Minute, simkernel.Signal{
				Name: "actor", Signals: []kernel.Signal{kernel.SIGCONT},
			})
			w.Boot()
			w.WantStarts("actor say next", time.Minute)
		})
	}
}

// TestOrphansAreReaped: they come by the hundred, and go at once, whatever init is waiting for
// [BusyBox 2.29, 3.23, 4.20].
func TestOrphansAreReaped(t *testing.T) {
	// Each leaves 300 orphans behind, which all end at the same instant, a second later.
	const breed = "actor fork 300, sleep 1s"
	for _, c := range []struct {
		phase   string
		inittab string
		at      time.Duration
		event   simkernel.Action
	}{
		{phase: "sysinit", inittab: "::sysinit:" + breed + "\n::sysinit:actor sleep 1m"},
		{phase: "wait", inittab: "::wait:" + breed + "\n::wait:actor sleep 1m"},
		{phase: "once", inittab: "::once:" + breed},
		{
			phase:   "ctrlaltdel",
			inittab: "::ctrlaltdel:" + breed + "\n::ctrlaltdel:actor sleep 1m",
			at:      time.Millisecond, event: simkernel.CtrlAltDel{},
		},
		{
			phase: "paused", inittab: "::once:" + breed,
			at: time.Second / 2, event: simkernel.Signals(kernel.SIGTSTP),
		},
		{
			phase:   "shutdown entries",
			inittab: "::shutdown:" + breed + "\n::shutdown:actor sleep 1m",
			at:      time.Millisecond, event: simkernel.Signals(kernel.SIGTERM),
		},
		{
			phase: "terminating",
			inittab: "::once:actor ignore TERM, fork 300, sleep 1s\n" +
				"::once:actor ignore TERM, pause",
			at: 2 * time.Millisecond, event: simkernel.Signals(kernel.SIGTERM),
		},
	} {
		t.Run(c.phase, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: 4 * time.Second}, Inittab: c.inittab,
			})
			if c.event != nil {
				w.At(c.at, c.event)
			}
			w.Look(900*time.Millisecond, func() {
				if n := len(w.Processes()); n < 300 {
					t.Errorf("processes after 900ms: got %d, want 300 orphans", n)
				}
			})
			w.Boot()
			w.WantAlive() // and no zombies, which Boot has checked
			if n := len(w.Processes()); n > 1 {
				t.Errorf("processes at the end: got %d, want 1 at most", n)
			}
			if n := w.Calls("Wait"); n > 700 {
				t.Errorf("wait4 was called %d times, want no more than twice for each", n)
			}
		})
	}
}

// TestManyServices: a thousand start in their order, at once, and go down at once.
func TestManyServices(t *testing.T) {
	var table strings.Builder
	var want []string
	for i := range 1000 {
		command := fmt.Sprintf("actor as %d, pause", i)
		fmt.Fprintf(&table, "::respawn:%s\n", command)
		want = append(want, command)
	}
	w := pid1test.New(t, pid1test.Setup{Inittab: table.String()})
	w.At(time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, time.Second)
	if got := w.Order(); !slices.Equal(got, want) {
		t.Errorf("started: got %d commands, want %d in the order of the file", len(got), len(want))
	}
}

// TestAnIdleInitDoesNothing: no timer wakes it, and nobody is started.
func TestAnIdleInitDoesNothing(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
	w.Boot()
	if w.End.How != simkernel.Stuck {
		t.Errorf("end: got %v, want an init that waits without a deadline", w.End.How)
	}
	if n := w.Waits(); n != 1 {
		t.Errorf("waits: got %d, want 1", n)
	}
}

// TestLoopback: lo is up before the first command; that it cannot be is a word in the log only.
func TestLoopback(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::sysinit:actor say up\n"})
	w.Look(0, func() {
		if !w.Loopback() {
			t.Error("lo is not up")
		}
	})
	w.Boot()

	w = pid1test.New(t, pid1test.Setup{Inittab: "::sysinit:actor say up\n"})
	w.Fail("LoopbackUp", 1, kernel.EPERM)
	w.Boot()
	w.WantConsole("up\n")
	w.WantLog("lo: Operation not permitted", 1)
}

// TestConfiguration: what is wrong with it is said, and the boot goes on with the rest.
func TestConfiguration(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Inittab: "::sysinit:actor say up\n::respawn:actor ignore TERM, pause\n",
		Conf: `
		shutdown.term_timeout = soon
		shutdown.kil_timeout = 1s
		log.syslog = no
		shutdown.term_timeout = 3s
		`,
		Config: simkernel.Config{Cmdline: "quiet rebound.mounts=some rebound.shutdown.term_timeout=2s"},
	})
	w.At(10*time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, 12*time.Second)
	for _, line := range []string{
		"/etc/rebound.conf:1: shutdown.term_timeout = soon: expected a time with a unit, such as 5s",
		"/etc/rebound.conf:2: shutdown.kil_timeout = 1s: there is no such key; " +
			"the nearest is shutdown.kill_timeout",
		"kernel command line: rebound.mounts=some: expected none or auto",
	} {
		w.WantLine("", line, 1)
		w.WantLog(line, 1)
	}
	if w.NoSyslog != 1 {
		t.Errorf("syslog was turned off %d times, want once", w.NoSyslog)
	}
}

// TestNotesAboutTheConfiguration are for the log: nothing is wrong.
func TestNotesAboutTheConfiguration(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Inittab: "::sysinit:actor say up\n",
		Conf:    "mounts = auto\nmounts = none\n",
	})
	w.Boot()
	w.WantConsole("up\n")
	w.WantLog("/etc/rebound.conf:2: mounts = none: replaces mounts = auto of line 1", 1)
	if got := w.Mounted(); len(got) > 0 {
		t.Errorf("mounted: got %v, want nothing", got)
	}
}

// TestUnreadableConfiguration: the defaults count, and it is said.
func TestUnreadableConfiguration(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Dirs: []string{"/etc/rebound.conf"}},
		Inittab: "::sysinit:actor say up\n::respawn:actor ignore TERM, pause\n",
	})
	w.At(10*time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, 15*time.Second)
	w.WantLine("", "/etc/rebound.conf: Is a directory: using the defaults", 1)
	if w.NoSyslog != 0 {
		t.Error("syslog was turned off")
	}
}

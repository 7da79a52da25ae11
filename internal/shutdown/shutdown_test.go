package shutdown_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/shutdown"
	"github.com/rebound-init/rebound/internal/simkernel"
)

const (
	exec = pid1test.ExecTime
	// asked is when the machine is asked to go down in most tests.
	asked = 10 * time.Second
)

// way is one of the ways down.
type way struct {
	signal  kernel.Signal
	word    string
	how     simkernel.How
	command kernel.RebootCmd
}

// ways are those that end in reboot(2) [BusyBox 4.8, 5.1].
func ways() []way {
	return []way{
		{kernel.SIGTERM, "reboot", simkernel.Restarted, kernel.Restart},
		{kernel.SIGUSR1, "halt", simkernel.Halted, kernel.Halt},
		{kernel.SIGPWR, "halt", simkernel.Halted, kernel.Halt},
		{kernel.SIGUSR2, "poweroff", simkernel.PoweredOff, kernel.PowerOff},
	}
}

// boot makes a machine, asks it to go down after a while, and lets it run.
func boot(t *testing.T, s pid1test.Setup, sig kernel.Signal) *pid1test.World {
	t.Helper()
	w := pid1test.New(t, s)
	w.At(asked, simkernel.Signals(sig))
	w.Boot()
	return w
}

// TestOrder: the steps, the messages and the calls, with nothing between them but what must be
// waited for [BusyBox 5.1].
func TestOrder(t *testing.T) {
	for _, c := range ways() {
		t.Run(fmt.Sprint(c.signal), func(t *testing.T) {
			var calls []string
			w := boot(t, pid1test.Setup{
				Config: simkernel.Config{
					SyncTime: 2 * time.Second, RebootTime: 3 * time.Second,
					Trace: func(at time.Duration, call string) {
						name, _, _ := strings.Cut(call, "(")
						if at >= asked && slices.Contains([]string{"KillAll", "Call", "Kill"}, name) {
							calls = append(calls, fmt.Sprint(at, " ", call))
						}
					},
				},
				Mounts: []kernel.Mount{{Type: "ext4", Target: "/data"}},
				Inittab: `
				::respawn:actor ignore TERM, pause
				::shutdown:actor as one, say first, sleep 1s
				::shutdown:actor as two, say second, sleep 1s
				`,
			}, c.signal)
			killed := asked + 2*(time.Second+exec)
			w.WantEnd(c.how, killed+5*time.Second+2*time.Second+3*time.Second)
			w.WantConsole(`
				first
				second
				The system is going down NOW!
				Sent SIGTERM to all processes
				Sent SIGKILL to all processes
				Requesting system ` + c.word + "\n")
			// Of these the first alone is for the log, too [BusyBox, messages].
			w.WantLog("The system is going down NOW!", 1)
			w.WantLog("Sent SIGTERM to all processes", 0)
			w.WantLog("Requesting system "+c.word, 0)
			want := []string{
				"12.002s KillAll(TERM) = 0",
				"12.002s KillAll(CONT) = 0",
				"17.002s KillAll(KILL) = 0",
				"17.002s Call(sync) = 6",
				"19.002s Call(reboot " + c.command.String() + ") = 7",
			}
			if d := cmp.Diff(want, calls); d != "" {
				t.Errorf("calls (-want +got):\n%s", d)
			}
		})
	}
}

// TestEndsWhenTheLastProcessEnds, at that instant: neither before nor after [BusyBox 5.4, where it
// takes a second, always].
func TestEndsWhenTheLastProcessEnds(t *testing.T) {
	for _, c := range []struct {
		name    string
		inittab string
		takes   time.Duration
	}{
		{name: "no process at all", inittab: ""},
		{name: "one that obeys", inittab: "::respawn:actor pause\n"},
		{
			name:    "a hundred that obey",
			inittab: "::once:actor fork 100, pause\n",
		},
		{
			name:    "one that takes its time",
			inittab: "::respawn:actor catch TERM, sleep 1234ms, exit 0\n",
			takes:   1234 * time.Millisecond,
		},
		{
			name: "several that do",
			inittab: "::respawn:actor catch TERM, sleep 3s, exit 0\n" +
				"::respawn:actor catch TERM, sleep 4999ms, exit 1\n::respawn:actor pause\n",
			takes: 4999 * time.Millisecond,
		},
		{
			name:    "an orphan of an orphan",
			inittab: "::once:actor fork, catch TERM, sleep 2s, fork, fork, sleep 1s\n",
			takes:   3 * time.Second,
		},
		{
			name:    "one that is stopped goes on to hear of it",
			inittab: "::respawn:actor stop\n",
		},
		{
			name: "one in D that wakes up in time", takes: 2 * time.Second,
			inittab: "::once:actor hang 12s\n",
		},
		{
			name: "the last one has ended before", inittab: "::once:actor sleep 5s\n",
		},
		{
			name: "one that just keeps dying", inittab: "::respawn:actor exit 1\n",
		},
	} {
		for _, namespace := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, namespace), func(t *testing.T) {
				s := pid1test.Setup{
					Config:  simkernel.Config{Namespace: namespace},
					Inittab: c.inittab,
				}
				if c.inittab == "" {
					s.Inittab = "# nothing\n"
				}
				w := pid1test.New(t, s)
				w.At(asked+exec, simkernel.Signals(kernel.SIGTERM))
				w.Boot()
				w.WantEnd(simkernel.Restarted, asked+exec+c.takes)
				if killed := c.takes >= 5*time.Second; !killed {
					w.WantLine("", "Sent SIGKILL to all processes", 0)
				}
			})
		}
	}
}

// TestTermTimeout: who ignores TERM is killed when the time is over, and not before.
func TestTermTimeout(t *testing.T) {
	for _, c := range []struct {
		conf  string
		takes time.Duration
	}{
		{conf: "", takes: 5 * time.Second},
		{conf: "shutdown.term_timeout = 2s\n", takes: 2 * time.Second},
		{conf: "shutdown.term_timeout = 1m\n", takes: time.Minute},
		{conf: "shutdown.term_timeout = 0s\n"},
	} {
		t.Run(c.conf, func(t *testing.T) {
			var before, after int
			s := pid1test.Setup{
				Conf: c.conf, Inittab: "::respawn:actor ignore TERM, pause\n::respawn:actor pause\n",
			}
			w := pid1test.New(t, s)
			w.At(asked, simkernel.Signals(kernel.SIGTERM))
			if c.takes > 0 {
				w.Look(asked+c.takes-1, func() { before = len(w.Processes()) })
			} else {
				before = 1
			}
			w.Boot()
			after = len(w.Processes())
			w.WantEnd(simkernel.Restarted, asked+c.takes)
			// What is left at the end is the caller of reboot(2).
			if before != 1 || after != 1 {
				t.Errorf("processes right before the time limit: got %d, and %d after; want 1 and 1",
					before, after)
			}
			if at := w.Times("", "Sent SIGKILL to all processes"); !slices.Equal(at,
				[]time.Duration{asked + c.takes}) {
				t.Errorf("killed at %v, want %v", at, asked+c.takes)
			}
		})
	}
}

// TestUnkillable: a process that KILL does not end is not waited for longer than the limit, and it
// is said.
func TestUnkillable(t *testing.T) {
	const said = "Processes are left that SIGKILL does not end: going on without them"
	for _, c := range []struct {
		name, conf, inittab string
		killable            bool
		takes               time.Duration
		said                int
	}{
		{
			name: "for ever", inittab: "::once:actor hang\n",
			takes: 6 * time.Second, said: 1,
		},
		{
			name: "limits of one's own", inittab: "::once:actor hang\n",
			conf:  "shutdown.term_timeout = 1s\nshutdown.kill_timeout = 20s\n",
			takes: 21 * time.Second, said: 1,
		},
		{
			name: "no time at all", inittab: "::once:actor hang\n",
			conf: "shutdown.term_timeout = 0s\nshutdown.kill_timeout = 0s\n",
			said: 1,
		},
		{
			name: "until after KILL", inittab: "::once:actor hang 15500ms\n",
			takes: 5500*time.Millisecond + exec,
		},
		{
			name: "the child of another", inittab: "::once:actor fork, hang\n",
			takes: 6 * time.Second, said: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := boot(t, pid1test.Setup{Conf: c.conf, Inittab: c.inittab}, kernel.SIGUSR2)
			w.WantEnd(simkernel.PoweredOff, asked+c.takes)
			w.WantLine("", said, c.said)
			w.WantLog(said, c.said)
		})
	}
}

// TestBornOnTheWayDown: what a handler of TERM starts is waited for, and killed like the others
// [BusyBox 5.5].
func TestBornOnTheWayDown(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Inittab: "::respawn:actor catch TERM, fork 10, ignore TERM, pause\n",
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked+5*time.Second)
}

// TestNothingIsStartedOnTheWayDown: a service that ends while the entries run stays down, and so
// does one that was to be started soon [BusyBox 5.1 b].
func TestNothingIsStartedOnTheWayDown(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Inittab: `
		::respawn:actor sleep 12s
		::respawn:actor exit 1
		::shutdown:actor as down, sleep 1m
		`,
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked+time.Minute+exec)
	w.WantStarts("actor sleep 12s", 0)
	for _, at := range w.Starts("actor exit 1") {
		if at > asked {
			t.Errorf("a service was started at %v", at)
		}
	}
}

// TestSignalsFail: it is said, and the time limits do the rest.
func TestSignalsFail(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
	w.Fail("KillAll", 0, kernel.EPERM)
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, asked+6*time.Second)
	w.WantLine("", "kill -1: operation not permitted", 3)
}

// TestLinuxrc is not PID 1: orphans do not come to it, so it cannot know when the last process is
// gone, and where the kernel's threads count as processes it waits as long as it may [BusyBox 1.7].
func TestLinuxrc(t *testing.T) {
	for namespace, takes := range map[bool]time.Duration{false: 6 * time.Second, true: 0} {
		w := boot(t, pid1test.Setup{
			Linuxrc: true, Config: simkernel.Config{Namespace: namespace},
			Inittab: "::respawn:actor pause\n",
		}, kernel.SIGTERM)
		w.WantEnd(simkernel.Restarted, asked+takes)
	}
}

// TestContainerEnteredFromOutside: who comes in by setns(2) is no descendant of init, and nothing
// tells of its end. Init looks now and then; that it is there shows as another answer than ESRCH.
func TestContainerEnteredFromOutside(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Namespace: true}, Inittab: "::respawn:actor pause\n",
	})
	// After TERM and CONT it is there three times.
	for n := 3; n <= 5; n++ {
		w.Fail("KillAll", n, kernel.EPERM)
	}
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	took := w.End.At - asked
	if w.End.How != simkernel.Restarted || took <= 0 || took > 30*time.Millisecond {
		t.Errorf("end: got %v after %v, want a restart after some looks, 10ms apart\n%s",
			w.End.How, took, w.Story())
	}
	w.WantLine("", "Sent SIGKILL to all processes", 0)
}

// TestDuringTheBoot: a request is heard in the middle of sysinit, and what had not been run by then
// is not run [BusyBox 4.5, where the group must end first].
func TestDuringTheBoot(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Inittab: `
		::sysinit:actor as sysinit, pause
		::wait:actor as wait
		::once:actor as once
		::respawn:actor as respawn
		::shutdown:actor as shutdown
		`,
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked+exec)
	want := []string{"actor as sysinit, pause", "actor as shutdown"}
	if got := w.Order(); !slices.Equal(got, want) {
		t.Errorf("started:\ngot  %q\nwant %q", got, want)
	}
}

func TestActionNamed(t *testing.T) {
	for a := shutdown.Reboot; a <= shutdown.Restart; a++ {
		if got := shutdown.ActionNamed(a.String()); got != a {
			t.Errorf("ActionNamed(%q): got %d, want %d", a.String(), got, a)
		}
	}
	for _, word := range []string{"", "nothing", "Reboot", "reboot "} {
		if got := shutdown.ActionNamed(word); got != 0 {
			t.Errorf("ActionNamed(%q): got %v, want none", word, got)
		}
	}
}

// TestNames: whatever a message may have to call by name has one.
func TestNames(t *testing.T) {
	names := make(map[string]bool)
	for p := shutdown.Entries; p <= shutdown.Parked; p++ {
		names[p.String()] = true
	}
	for a := shutdown.Reboot; a <= shutdown.Restart; a++ {
		names[a.String()] = true
	}
	if len(names) != 11 || names["unknown"] || names["nothing"] {
		t.Errorf("names: got %v, want eleven", names)
	}
}

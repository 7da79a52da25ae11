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
	"github.com/rebound-init/rebound/internal/simkernel"
)

// action is what a command was told in its environment.
func action(s pid1test.Spawned) string {
	for _, v := range s.Env {
		if value, ok := strings.CutPrefix(v, "REBOUND_ACTION="); ok {
			return value
		}
	}
	return ""
}

// TestEntriesAreToldTheAction: in their environment, and nobody else is [BusyBox 2.27, where they
// cannot know].
func TestEntriesAreToldTheAction(t *testing.T) {
	for _, c := range append(ways(), way{kernel.SIGQUIT, "restart", simkernel.Execed, 0}) {
		t.Run(fmt.Sprint(c.signal), func(t *testing.T) {
			w := boot(t, pid1test.Setup{
				Inittab: `
				::sysinit:actor as sysinit
				::respawn:actor as respawn, pause
				::shutdown:actor as down one
				::shutdown:actor as down two
				::restart:actor as restart
				`,
			}, c.signal)
			if w.End.How != c.how {
				t.Errorf("end: got %v, want %v", w.End.How, c.how)
			}
			var got []string
			for _, s := range w.Spawned {
				got = append(got, strings.Join(s.Argv[2:], " ")+": "+action(s))
			}
			want := []string{
				"sysinit: ", "respawn, pause: ", "down one: " + c.word, "down two: " + c.word,
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("told (-want +got):\n%s", d)
			}
		})
	}
}

// TestEntriesRunWhileEverythingIsAlive: they come before any process is asked to end
// [BusyBox 2.27, 5.6].
func TestEntriesRunWhileEverythingIsAlive(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Inittab: "::respawn:actor as service, pause\n::shutdown:actor as down, sleep 1h\n",
		Config:  simkernel.Config{Until: 2 * time.Hour},
	})
	alive := 0
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Look(asked+time.Hour, func() { alive = len(w.Running("actor as service, pause")) })
	w.Boot()
	// However long they take: there is no time limit.
	w.WantEnd(simkernel.Restarted, asked+time.Hour+exec)
	if alive != 1 {
		t.Errorf("services while the entry ran: got %d, want 1", alive)
	}
}

// TestEntriesThatDoNotRun are skipped: the way goes on with the next.
func TestEntriesThatDoNotRun(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Inittab: `
		::shutdown:/no/such
		tty9::shutdown:actor as two
		::shutdown:actor as three, say three, die SEGV
		::shutdown:actor as four, fork, ignore TERM, sleep 2s
		::shutdown:actor as five, say five
		`,
	}, kernel.SIGTERM)
	// The fourth leaves an orphan behind, which ends by itself.
	w.WantEnd(simkernel.Restarted, asked+2*time.Second+2*exec)
	// What cannot be started is explained before the next thing happens.
	w.WantConsole(`
		can't run '/no/such': No such file or directory
		can't open /dev/tty9: No such file or directory
		three
		five
		The system is going down NOW!
		Sent SIGTERM to all processes
		Requesting system reboot
	`)
}

// TestTheLastEntryCannotRun: that is explained before the processes are told.
func TestTheLastEntryCannotRun(t *testing.T) {
	w := boot(t, pid1test.Setup{Inittab: "::shutdown:/no/such\n"}, kernel.SIGTERM)
	w.WantConsole(`
		can't run '/no/such': No such file or directory
		The system is going down NOW!
		Sent SIGTERM to all processes
		Requesting system reboot
	`)
}

// TestLaterEntriesAreToldTheLatestAction: whoever asks last decides, and what is started after that
// knows it.
func TestLaterEntriesAreToldTheLatestAction(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: `
		::shutdown:actor as one, sleep 2s
		::shutdown:actor as two, sleep 2s
		::shutdown:actor as three, sleep 2s
	`})
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.At(asked+1*time.Second, simkernel.Signals(kernel.SIGUSR1))
	w.At(asked+3*time.Second, simkernel.Signals(kernel.SIGUSR2))
	w.Boot()
	w.WantEnd(simkernel.PoweredOff, asked+3*(2*time.Second+exec))
	var got []string
	for _, s := range w.Spawned {
		got = append(got, action(s))
	}
	if want := []string{"reboot", "halt", "poweroff"}; !slices.Equal(got, want) {
		t.Errorf("told: got %q, want %q", got, want)
	}
	w.WantLine("", "Already going down for reboot: now for halt", 1)
	w.WantLine("", "Already going down for halt: now for poweroff", 1)
}

// TestAHungEntry: init answers and goes on when somebody kills it [BusyBox 4.31].
func TestAHungEntry(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::shutdown:actor as hung, pause\n"})
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.At(2*asked, simkernel.Signals(kernel.SIGTERM))
	w.At(3*asked, simkernel.Signal{Name: "actor", Signals: []kernel.Signal{kernel.SIGKILL}})
	w.Boot()
	w.WantEnd(simkernel.Restarted, 3*asked)
	w.WantLine("", "Already going down for reboot: shutdown entries", 1)
}

// TestForkFails at each step of the way: what cannot be started is left out, the kernel is asked by
// init itself in the end, and the machine goes down at once.
func TestForkFails(t *testing.T) {
	const again = "resource temporarily unavailable"
	for _, c := range []struct {
		name  string
		fail  map[string][]int
		takes time.Duration
		param bool
		said  []string
		self  []string // calls of reboot(2) by init itself
	}{
		{
			name: "the first entry", fail: map[string][]int{"Spawn": {1}}, takes: time.Second + exec,
			said: []string{"can't fork: Resource temporarily unavailable: " +
				"'actor as one, sleep 1s' is not started"},
		},
		{
			name: "the last entry", fail: map[string][]int{"Spawn": {2}}, takes: time.Second + exec,
			said: []string{"can't fork: Resource temporarily unavailable: " +
				"'actor as two, sleep 1s' is not started"},
		},
		{name: "all entries", fail: map[string][]int{"Spawn": {1, 2}}},
		{
			name: "sync", fail: map[string][]int{"Call": {1}}, takes: 2 * (time.Second + exec),
			said: []string{"sync: can't fork: " + again},
		},
		{
			name: "reboot", fail: map[string][]int{"Call": {2}}, takes: 2 * (time.Second + exec),
			said: []string{"can't fork: " + again + ": calling reboot(2) from init itself"},
			self: []string{"RebootSelf(RESTART)"},
		},
		{
			name: "reboot with an argument", fail: map[string][]int{"Call": {2}}, param: true,
			takes: 2 * (time.Second + exec),
			said: []string{"can't fork: " + again +
				": calling reboot(2) from init itself, without its argument"},
			self: []string{"RebootSelf(RESTART)"},
		},
		{
			name: "everything", fail: map[string][]int{"Spawn": {1, 2}, "Call": {1, 2}},
			said: []string{"can't fork: " + again + ": calling reboot(2) from init itself"},
			self: []string{"RebootSelf(RESTART)"},
		},
	} {
		for _, namespace := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, namespace), func(t *testing.T) {
				var self []string
				w := pid1test.New(t, pid1test.Setup{
					Config: simkernel.Config{
						SyncTime: time.Nanosecond, Namespace: namespace,
						Trace: func(at time.Duration, call string) {
							if at >= asked && strings.HasPrefix(call, "RebootSelf") {
								self = append(self, call)
							}
						},
					},
					Mounts: []kernel.Mount{{Type: "ext4", Target: "/data"}},
					Inittab: `
					::shutdown:actor as one, sleep 1s
					::shutdown:actor as two, sleep 1s
					`,
				})
				for call, ns := range c.fail {
					for _, n := range ns {
						w.Fail(call, n, kernel.EAGAIN)
					}
				}
				if c.param {
					w.At(asked, simkernel.WriteFile{Path: param, Text: "recovery\n"})
				}
				w.At(asked, simkernel.Signals(kernel.SIGTERM))
				w.Boot()
				if w.End.How != simkernel.Restarted || w.End.At-asked-c.takes > time.Microsecond {
					t.Errorf("end: got %v at %v, want a restart at %v\n%s",
						w.End.How, w.End.At, asked+c.takes, w.Story())
				}
				if !slices.Equal(self, c.self) {
					t.Errorf("reboot(2) by init itself: got %q, want %q", self, c.self)
				}
				for _, line := range c.said {
					w.WantLine("", line, 1)
				}
			})
		}
	}
}

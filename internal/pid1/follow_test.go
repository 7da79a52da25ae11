package pid1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// failure is a failure of the kernel.
func failure(t *testing.T, name string) simkernel.Action {
	t.Helper()
	a, ok := crash.Event(name, "crash")
	if !ok {
		t.Fatalf("no failure %q", name)
	}
	return a
}

const (
	failsAt = 2 * time.Second
	oopsed  = "the kernel has failed: oops: BUG: kernel NULL pointer dereference, address: " +
		"0000000000000020: "
)

// TestNothingIsFollowed: without a key panic.after_* that says something, nobody opens the kernel log.
func TestNothingIsFollowed(t *testing.T) {
	for _, conf := range []string{"", "panic.after_oops = continue\nmounts = none\n"} {
		w := pid1test.New(t, pid1test.Setup{
			Inittab: "::respawn:actor pause\n", Conf: conf,
			Config: simkernel.Config{Until: time.Minute},
		})
		w.At(failsAt, failure(t, "oops"), failure(t, "warn"))
		w.Boot()
		w.WantAlive()
		if n := w.Calls("FollowLog"); n != 0 {
			t.Errorf("%q: FollowLog: called %d times", conf, n)
		}
	}
}

// TestAfterOops: each response, and where it cannot be had.
func TestAfterOops(t *testing.T) {
	for _, c := range []struct {
		name   string
		after  string
		config simkernel.Config
		at     time.Duration // the end, after the failure
		how    simkernel.How
		lines  []string
	}{
		{
			name: "reboot", after: "reboot", how: simkernel.Restarted,
			lines: []string{oopsed + "rebooting"},
		},
		{
			name: "panic", after: "panic", how: simkernel.Panicked,
			config: simkernel.Config{MagicSysrq: true, Cmdline: "panic=-1"},
			lines:  []string{oopsed + "panicking"},
		},
		{
			name: "panic without sysrq", after: "panic", how: simkernel.Restarted,
			lines: []string{
				oopsed + "panicking",
				oopsed + "sysrq c: No such file or directory: rebooting instead",
			},
		},
		{
			name: "no watchdog", after: "stop-feeding-watchdog", how: simkernel.Restarted,
			lines: []string{oopsed + "there is no watchdog to stop feeding: rebooting instead"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Inittab: "::respawn:actor pause\n", Config: c.config,
				Conf: "panic.after_oops = " + c.after + "\n",
			})
			w.At(failsAt, failure(t, "oops"))
			w.Boot()
			if w.End.How != c.how || w.End.At != failsAt+c.at {
				t.Errorf("end: got %v at %v, want %v at %v", w.End.How, w.End.At, c.how, failsAt+c.at)
			}
			for _, l := range c.lines {
				w.WantLine("/dev/console", l, 1)
				w.WantLog(l, 1)
			}
		})
	}
}

// TestAfterOopsTheWatchdogStarves: init feeds the watchdog no more, says why, and is reset within its
// timeout. What comes then changes nothing.
func TestAfterOopsTheWatchdogStarves(t *testing.T) {
	w := pid1test.New(t, guarded(esb, oneService, "panic.after_oops = stop-feeding-watchdog\n"))
	w.At(failsAt, failure(t, "oops"))
	w.At(failsAt+time.Second, failure(t, "oops"))
	w.Boot()
	if w.End.How != simkernel.ResetByWatchdog || w.End.At > failsAt+31*time.Second {
		t.Errorf("end: got %v, want a reset by the watchdog", w.End)
	}
	said := 0
	for _, l := range w.Log() {
		if !l.Kernel && strings.Contains(l.Text, strings.TrimSuffix(oopsed, ": ")) {
			said++
		}
	}
	if said != 1 {
		t.Errorf("said %d times", said)
	}
}

// TestAfterEachKind: each key is about its own kind and no other.
func TestAfterEachKind(t *testing.T) {
	for _, c := range []struct {
		key, failure, says string
		cmdline            string
		by                 time.Duration
	}{
		{"oops", "oops", "oops: BUG: kernel NULL", "", failsAt},
		{"warn", "warn", "WARN: WARNING: CPU: 0", "", failsAt},
		{"bug", "bug", "BUG: kernel BUG at", "", failsAt},
		{"taint", "warn", "taint: kernel.tainted went from 0 to 512", "", failsAt + time.Second},
		{"lockup", "soft", "lockup: watchdog: BUG: soft lockup - CPU#1", "", failsAt + 30*time.Second},
		{"lockup", "hard", "lockup: NMI watchdog: Watchdog detected hard LOCKUP on cpu 1", "sysctl.kernel.nmi_watchdog=1", failsAt + 30*time.Second},
		{"rcu_stall", "soft", "RCU stall: rcu: INFO: rcu_preempt", "", failsAt + 30*time.Second},
		{"hung_task", "hung", "hung task: INFO: task disk:", "sysctl.kernel.hung_task_timeout_secs=10", failsAt + 30*time.Second},
	} {
		for _, key := range []string{"oops", "warn", "bug", "lockup", "hung_task", "rcu_stall", "taint"} {
			others := c.failure == "soft" || c.failure == "hard" // both are told of a CPU that is stuck
			if key != c.key && (others || c.failure == "bug" || c.failure == "oops" || c.failure == "warn") &&
				(key == "taint" || key == "oops" || others) {
				continue // it is an oops as well, leaves its flag, or is reported in two ways
			}
			if c.key == "taint" && key == "warn" {
				continue
			}
			w := pid1test.New(t, pid1test.Setup{
				Inittab: "::respawn:actor pause\n",
				Conf:    "panic.after_" + key + " = reboot\n",
				Config: simkernel.Config{
					Cmdline: c.cmdline, Until: 3 * time.Minute,
					Reboot: simkernel.RebootConfig{CPUs: 2},
					Programs: map[string]simkernel.Program{
						"/bin/disk": {Steps: []simkernel.Step{simkernel.Hang{}}},
					},
				},
			})
			switch c.failure {
			case "soft", "hard":
				w.At(failsAt, simkernel.Fail{
					CPU: 1, Kthread: "crash", How: simkernel.StuckCPU{IRQsOff: c.failure == "hard"},
				})
			case "hung":
				w.At(failsAt, simkernel.WriteFile{Path: "/etc/inittab", Text: "::respawn:/bin/disk\n"},
					simkernel.Signals(kernel.SIGHUP))
			default:
				w.At(failsAt, failure(t, c.failure))
			}
			w.Boot()
			said := 0
			for _, l := range w.Log() {
				if !l.Kernel && strings.HasPrefix(l.Text, "the kernel has failed: "+c.says) {
					said++
				}
			}
			if key != c.key {
				if w.End.How == simkernel.Restarted || said > 0 {
					t.Errorf("%s with after_%s: got %v, said %d times", c.failure, key, w.End, said)
				}
				continue
			}
			if w.End.How != simkernel.Restarted || w.End.At > c.by+10*time.Second || said != 1 {
				t.Errorf("%s with after_%s: got %v, said %d times", c.failure, key, w.End, said)
				for _, l := range w.Log() {
					t.Log(l)
				}
			}
		}
	}
}

// TestFailureWhileGoingDown: it changes neither where the way leads nor how, but that shutdown entries
// have an end.
func TestFailureWhileGoingDown(t *testing.T) {
	for _, c := range []struct {
		after string
		sig   kernel.Signal
		how   simkernel.How
	}{
		{"reboot", kernel.SIGUSR2, simkernel.PoweredOff},
		{"panic", kernel.SIGUSR2, simkernel.PoweredOff},
		{"reboot", kernel.SIGTERM, simkernel.Restarted},
	} {
		w := pid1test.New(t, pid1test.Setup{
			Inittab: "::shutdown:actor as first, sleep 1h\n::shutdown:actor as second\n",
			Conf:    "panic.after_oops = " + c.after + "\n",
			Config:  simkernel.Config{MagicSysrq: true, Until: 2 * time.Hour},
		})
		w.At(failsAt, simkernel.Signals(c.sig))
		w.At(failsAt+time.Minute, failure(t, "oops"), failure(t, "oops"))
		w.Boot()
		w.WantEnd(c.how, failsAt+2*time.Minute)
		w.WantLine("/dev/console", oopsed+"going down already", 1)
		w.WantLine("/dev/console",
			"The shutdown entries have not finished after 1m0s: going on without them", 1)
		if n := len(w.Starts("actor as second")); n != 0 {
			t.Errorf("the second entry was started %d times", n)
		}
	}
}

// TestRebootAfterAFailureEnds: entries that never end have a minute, those that do are waited for.
func TestRebootAfterAFailureEnds(t *testing.T) {
	for _, c := range []struct {
		sleep string
		end   time.Duration
		more  int
	}{
		{"59s", 59*time.Second + 2*exec, 1},
		{"1h", time.Minute, 0},
	} {
		w := pid1test.New(t, pid1test.Setup{
			Inittab: "::shutdown:actor as first, sleep " + c.sleep + "\n::shutdown:actor as second\n",
			Conf:    "panic.after_oops = reboot\n",
			Config:  simkernel.Config{Until: 2 * time.Hour},
		})
		w.At(failsAt, failure(t, "oops"))
		w.Boot()
		w.WantEnd(simkernel.Restarted, failsAt+c.end)
		if n := len(w.Starts("actor as second")); n != c.more {
			t.Errorf("%s: the second entry was started %d times, want %d", c.sleep, n, c.more)
		}
	}
}

// TestFailureInAPause: it ends the pause, for nobody may be there who could. What was asked for
// meanwhile comes first.
func TestFailureInAPause(t *testing.T) {
	for _, c := range []struct {
		meanwhile kernel.Signal
		how       simkernel.How
	}{
		{0, simkernel.Restarted},
		{kernel.SIGUSR2, simkernel.PoweredOff},
		{kernel.SIGQUIT, simkernel.Restarted}, // there is no restart entry
	} {
		w := pid1test.New(t, pid1test.Setup{
			Inittab: "::respawn:actor pause\n", Conf: "panic.after_oops = reboot\n",
		})
		w.At(time.Second, simkernel.Signals(kernel.SIGTSTP))
		if c.meanwhile != 0 {
			w.At(1500*time.Millisecond, simkernel.Signals(c.meanwhile))
		}
		w.At(failsAt, failure(t, "oops"))
		w.Boot()
		w.WantEnd(c.how, failsAt)
	}
}

// TestFailureWhileInitCrashes: the init that takes over reads what the crashed one has not, and does
// not act on what was before.
func TestFailureWhileInitCrashes(t *testing.T) {
	for _, c := range []struct {
		name  string
		when  time.Duration // of the failure
		alive bool
	}{
		{"unread", failsAt, false},
		{"before anybody looked", 0, true},
	} {
		crashed := false
		var w *pid1test.World
		w = pid1test.New(t, pid1test.Setup{
			Inittab: "::respawn:actor pause\n", Conf: "panic.after_oops = reboot\n",
			Config: simkernel.Config{Until: time.Minute},
			Crash: func(int) bool {
				// SIGHUP comes first, and before the log is read the next wait crashes.
				now := !crashed && w.Machine.Now() >= failsAt
				crashed = crashed || now
				return now
			},
		})
		if c.when == 0 {
			w.Apply(simkernel.Flood{Lines: 1, Text: "Oops: 0002 [#1] PREEMPT SMP NOPTI"})
		} else {
			w.At(c.when, failure(t, "oops"))
		}
		w.At(failsAt, simkernel.Signals(kernel.SIGHUP))
		w.Boot()
		if w.Crashes != 1 || w.Alive() != c.alive || !c.alive && w.End.How != simkernel.Restarted {
			t.Errorf("%s: got %d crashes and %v", c.name, w.Crashes, w.End)
		}
		if n := w.Calls("FollowLog"); n != 2 {
			t.Errorf("%s: FollowLog: called %d times, want 2", c.name, n)
		}
	}
}

// perRead is more than a read of one record takes on the slowest board, with all that is done with it.
const perRead = 100 * time.Microsecond

// TestFloodDoesNotHoldUpAPowerOff: 100,000 lines a second in the kernel log, and a request is answered
// within 50 ms, what PID 1 has read until then included. The machine's other events are those of a
// service that ends and is started again all the time.
func TestFloodDoesNotHoldUpAPowerOff(t *testing.T) {
	const rate, answer = 100_000, 50 * time.Millisecond
	for _, askAt := range []time.Duration{1001, 1500, 2500, 3999} {
		askAt *= time.Millisecond
		w := pid1test.New(t, pid1test.Setup{
			Inittab: "::sysinit:actor sleep 500ms\n::respawn:actor sleep 100ms\n::shutdown:actor as down\n",
			Conf:    "panic.after_oops = reboot\n",
		})
		w.At(time.Second, simkernel.Flood{
			Lines: 10 * rate, Every: time.Second / rate, Level: kernel.Debug, Text: "a line of the flood",
		})
		before, atAsk := 0, 0
		w.Look(time.Second, func() { before = w.Calls("Read") })
		w.Look(askAt, func() { atAsk = w.Calls("Read") })
		w.At(askAt, simkernel.Signals(kernel.SIGUSR2))
		w.Boot()
		if w.End.How != simkernel.PoweredOff {
			t.Fatalf("%v: end: got %v", askAt, w.End)
		}
		said := w.Times("/dev/console", "The system is going down NOW!")
		if len(said) != 1 {
			t.Fatalf("%v: said at %v", askAt, said)
		}
		// Of the reads at most those of one turn come before the signal.
		if d := said[0] - askAt + turnReads*perRead; d > answer {
			t.Errorf("%v: answered after %v, want %v", askAt, d, answer)
		}
		if n := w.Calls("Read") - atAsk; n > 6_400/10 {
			t.Errorf("%v: %d reads on the way down", askAt, n)
		}
		if n, limit := atAsk-before, int((askAt-time.Second)*6_400/time.Second)+2*turnReads; n > limit {
			t.Errorf("%v: %d reads before, want at most %d", askAt, n, limit)
		}
	}
}

// turnReads is how many reads there are at most before PID 1 asks for events again.
const turnReads = 64

package pid1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// eventful is a boot with everything in it. It ends at down with a power-off.
const (
	eventful = `
		::sysinit:actor as sysinit 1, sleep 1s
		::sysinit:actor as sysinit 2, sleep 1s
		::wait:actor as wait 1, sleep 1s
		::wait:actor as wait 2, sleep 1s
		::once:actor as once 1, sleep 9s
		::once:actor as once 2, fork 5, sleep 9s
		::respawn:actor as service 1, pause
		tty1::respawn:actor as service 2, sleep 8s
		::respawn:actor as service 3, ignore TERM, pause
		::askfirst:-actor as shell, pause
		::ctrlaltdel:actor as cad, sleep 1s
		::shutdown:actor as down 1, sleep 1s
		::shutdown:actor as down 2, sleep 1s
	`
	downAfter = 30 * time.Second
	// Two entries and, for the one that does not obey, the time limit.
	downTakes = 2*(time.Second+exec) + 5*time.Second
)

// eventfulWorld is a machine on which that happens, and a bit more.
func eventfulWorld(t pid1test.TB, s pid1test.Setup) *pid1test.World {
	s.Inittab = eventful
	s.Terminals = map[string]simkernel.Terminal{"/dev/tty1": {}}
	s.Prompts = 1
	w := pid1test.New(t, s)
	w.At(10*time.Second, simkernel.CtrlAltDel{})
	w.At(20*time.Second, simkernel.Signals(kernel.SIGHUP))
	w.At(downAfter, simkernel.Signals(kernel.SIGUSR2))
	return w
}

// groups are the entries of that table that are run once in a boot, and how often they may be at
// least where init has crashed in the middle of their group.
func wantGroups(t *testing.T, w *pid1test.World, exactly bool) {
	t.Helper()
	for _, name := range []string{
		"sysinit 1, sleep 1s", "sysinit 2, sleep 1s", "wait 1, sleep 1s", "wait 2, sleep 1s",
		"once 1, sleep 9s", "once 2, fork 5, sleep 9s", "down 1, sleep 1s", "down 2, sleep 1s",
	} {
		n := len(w.Starts("actor as " + name))
		// Of once and shutdown entries it is not known which had run.
		few := strings.HasPrefix(name, "once") || strings.HasPrefix(name, "down")
		if n > 1 || n == 0 && (exactly || !few) {
			t.Errorf("%q was run %d times\n%s", name, n, w.Story())
		}
	}
}

// TestCrashAtEveryWait: wherever init crashes, the next one goes on with the processes of the one
// before: no sysinit entry is run again, no service started beside itself, and the machine goes
// down when asked, at the latest when it would have done so anyway.
func TestCrashAtEveryWait(t *testing.T) {
	calm := eventfulWorld(t, pid1test.Setup{})
	calm.Boot()
	calm.WantEnd(simkernel.PoweredOff, downAfter+downTakes)
	wantGroups(t, calm, true)
	for n := 1; n <= calm.Waits(); n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var at time.Duration
			var w *pid1test.World
			w = eventfulWorld(t, pid1test.Setup{Crash: func(wait int) bool {
				if wait == n {
					at = w.Now()
				}
				return wait == n
			}})
			w.Boot()
			if w.Crashes != 1 {
				t.Fatalf("init has crashed %d times, want once", w.Crashes)
			}
			if w.End.How != simkernel.PoweredOff || w.End.At > downAfter+downTakes+time.Second {
				t.Errorf("end: got %v at %v, want a power-off after %v at most\n%s",
					w.End.How, w.End.At, downAfter+downTakes, w.Story())
			}
			wantGroups(t, w, at < downAfter)
			if n < calm.Waits() { // in the last one the machine ends before the next init begins
				w.WantLog("init has crashed and goes on with its children", 1)
			}
		})
	}
}

// TestCrashAtEveryCall: init crashes right after any of its calls, in the middle of what it does.
// Then more may be lost, but never the machine.
func TestCrashAtEveryCall(t *testing.T) {
	var calls []string
	calm := eventfulWorld(t, pid1test.Setup{Config: simkernel.Config{
		Trace: func(_ time.Duration, call string) { calls = append(calls, call) },
	}})
	calm.Boot()
	for n := range calls {
		if strings.HasSuffix(calls[n], "= USR2") {
			continue // The kernel has told nobody of the request but the one that has crashed.
		}
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			i := -1
			w := eventfulWorld(t, pid1test.Setup{
				// What is started is not known before Spawn comes back.
				Twice: strings.HasPrefix(calls[n], "Spawn"),
				Config: simkernel.Config{Trace: func(time.Duration, string) {
					if i++; i == n {
						panic(pid1test.Crash)
					}
				}},
			})
			w.Boot()
			if w.Crashes != 1 {
				t.Fatalf("init has crashed %d times, want once", w.Crashes)
			}
			if w.End.How != simkernel.PoweredOff || w.End.At > downAfter+downTakes+10*time.Second {
				t.Errorf("crash after %s: end: got %v at %v, want a power-off after %v at most\n%s",
					calls[n], w.End.How, w.End.At, downAfter+downTakes, w.Story())
			}
			if !strings.HasPrefix(calls[n], "Spawn") {
				wantGroups(t, w, false)
			}
		})
	}
}

// TestCrashesAgainAndAgain: ten at random places, with a kernel that is not orderly either.
func TestCrashesAgainAndAgain(t *testing.T) {
	for seed := range uint64(300) {
		rng := seed*2 + 1
		w := eventfulWorld(t, pid1test.Setup{
			Config: simkernel.Config{Seed: seed + 1},
			Crash: func(int) bool {
				// Enough of a generator for this.
				rng = rng*6364136223846793005 + 1442695040888963407
				return rng>>33%8 == 0
			},
		})
		w.Boot()
		if w.End.How != simkernel.PoweredOff || w.End.At > 2*(downAfter+downTakes) {
			t.Fatalf("seed %d: end: got %v at %v after %d crashes, want a power-off\n%s",
				seed, w.End.How, w.End.At, w.Crashes, w.Story())
		}
		if n := len(w.Reboots()); n < 1 {
			t.Errorf("seed %d: reboot(2) was not called", seed)
		}
	}
}

// TestCrashDuringCtrlAltDel: its entries go on, and are not begun anew beside themselves.
func TestCrashDuringCtrlAltDel(t *testing.T) {
	var w *pid1test.World
	crashed := false
	w = pid1test.New(t, pid1test.Setup{
		Inittab: "::ctrlaltdel:actor as one, sleep 5s\n::ctrlaltdel:actor as two\n",
		Crash: func(int) bool {
			now := !crashed && w.Now() > time.Second
			crashed = crashed || now
			return now
		},
	})
	w.At(1*time.Second, simkernel.CtrlAltDel{})
	w.At(2*time.Second, simkernel.Signals(kernel.Signal(28)))
	w.At(3*time.Second, simkernel.CtrlAltDel{})
	w.Boot()
	w.WantAlive()
	w.WantStarts("actor as one, sleep 5s", time.Second, 6*time.Second+2*exec)
	w.WantStarts("actor as two", 6*time.Second+exec, 11*time.Second+3*exec)
}

// TestCrashDuringAPause: the pause goes on, and what was asked for meanwhile is not lost.
func TestCrashDuringAPause(t *testing.T) {
	var w *pid1test.World
	crashed := false
	w = pid1test.New(t, pid1test.Setup{
		Inittab: "::respawn:actor sleep 15s\n",
		Crash: func(int) bool {
			now := !crashed && w.Now() > 12*time.Second
			crashed = crashed || now
			return now
		},
	})
	w.At(10*time.Second, simkernel.Signals(kernel.SIGTSTP))
	w.At(12*time.Second, simkernel.Signals(kernel.SIGUSR2))
	w.At(13*time.Second, simkernel.Signals(kernel.Signal(28)))
	w.At(30*time.Second, simkernel.Signals(kernel.SIGCONT))
	w.Boot()
	w.WantEnd(simkernel.PoweredOff, 30*time.Second)
	w.WantStarts("actor sleep 15s", 0)
}

// TestCrashOnTheWayToARebootWithAnArgument: the argument is still there.
func TestCrashOnTheWayToARebootWithAnArgument(t *testing.T) {
	var w *pid1test.World
	crashed := false
	w = pid1test.New(t, pid1test.Setup{
		Inittab: "::respawn:actor ignore TERM, pause\n",
		Crash: func(int) bool {
			now := !crashed && w.Now() > time.Second
			crashed = crashed || now
			return now
		},
	})
	w.At(time.Second, simkernel.WriteFile{Path: "/run/rebound/reboot-param", Text: "recovery\n"},
		simkernel.Signals(kernel.SIGTERM))
	w.At(2*time.Second, simkernel.Signals(kernel.Signal(28)))
	w.Boot()
	if w.End.How != simkernel.Restarted || w.End.Arg != "recovery" {
		t.Errorf("end: got %v with %q, want a restart with recovery", w.End.How, w.End.Arg)
	}
}

// TestStateOfProcessesThatAreGone: a child whose end the crashed init had just been told of is not
// waited for, and a service that is gone is started.
func TestStateOfProcessesThatAreGone(t *testing.T) {
	const inittab = `
		::sysinit:actor as sysinit
		::sysinit:actor as second
		::respawn:actor as service, pause
	`
	w := pid1test.New(t, pid1test.Setup{Inittab: inittab})
	w.Resume([]byte("phase 1\nwaiting 99\nleft 1\n"))
	w.WantStarts("actor as sysinit")
	w.WantStarts("actor as second", 0)
	w.WantStarts("actor as service, pause", exec)

	w = pid1test.New(t, pid1test.Setup{Inittab: inittab})
	w.Resume([]byte("phase 4\nservice 99 0 \x00actor as service, pause\n"))
	w.WantStarts("actor as sysinit")
	w.WantStarts("actor as service, pause", 0)
}

// FuzzState: whatever the snapshot says, init does not crash of it, and goes down when asked.
func FuzzState(f *testing.F) {
	for _, state := range []string{
		"", "phase 0\n", "phase 1\nwaiting 3\nleft 1\n", "phase 2\nleft 2\n", "phase 3\n",
		"phase 4\nservice 5 1000 /dev/tty1\x00actor as service 2, sleep 8s\n",
		"phase 4\nservice 5 0 \x00actor as service 1, pause\n" +
			"service 6 0 \x00actor as service 1, pause\nservice 5 0 \x00x\n",
		"down poweroff\n", "down restart\n", "phase 1\ndown reboot\nwaiting 7",
		"paused 16384\n", "paused 18446744073709551615\nphase 4\n", "phase -1\nphase 99\nleft -7\n",
		"phase 1\nwaiting 1\nleft 99999999999999999999\n", "service\nservice 2\nservice 1 1 x\x00y\n",
		"\x00\n\n\xff phase 1", "phase 4\ncadwaiting 2\ncadleft 5\n",
		"service 2 x y\x00z\nservice 2 1 no NUL\nservice 2 1 y\x00z\nservice 2 1 y\x00z\n",
	} {
		f.Add([]byte(state))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		w := eventfulWorld(t, pid1test.Setup{})
		w.At(downAfter, simkernel.Signals(kernel.SIGCONT))
		w.Resume(state)
		if w.End.How == simkernel.Execed {
			return
		}
		if !down(w.End.How) || w.End.At > downAfter+downTakes+time.Second {
			t.Errorf("state %q: end: got %v at %v, want a way down\n%s",
				state, w.End.How, w.End.At, w.Story())
		}
	})
}

// down reports whether the machine has gone down as it should.
func down(how simkernel.How) bool {
	return how == simkernel.Restarted || how == simkernel.Halted || how == simkernel.PoweredOff
}

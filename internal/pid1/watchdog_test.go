package pid1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// guarded is a machine with a watchdog that init keeps.
func guarded(dog simkernel.Watchdog, inittab, conf string) pid1test.Setup {
	return pid1test.Setup{
		Config:  simkernel.Config{Watchdogs: []simkernel.Watchdog{dog}, Until: time.Hour},
		Inittab: inittab,
		Conf:    "watchdog.device = /dev/watchdog\nwatchdog.timeout = 30s\n" + conf,
	}
}

const oneService = "::respawn:actor as service, pause\n"

var esb = simkernel.Watchdog{Driver: "i6300esb"}

// TestNoWatchdogUnasked makes no call that has to do with watchdogs where none is configured.
func TestNoWatchdogUnasked(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Watchdogs: []simkernel.Watchdog{esb}, Until: time.Hour},
		Inittab: oneService,
	})
	w.At(time.Minute, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, time.Minute)
	for _, call := range []string{"OpenWatchdog", "WatchdogSupport", "WatchdogControl"} {
		if n := w.Calls(call); n != 0 {
			t.Errorf("%s was called %d times", call, n)
		}
	}
	for _, c := range w.Called {
		if c.Call == (kernel.Nothing{}) {
			t.Errorf("a child that does nothing was started at %v", c.At)
		}
	}
}

// TestWatchdogIsFed as long as PID 1 is well: for an hour, while services come and go, and during a
// pause.
func TestWatchdogIsFed(t *testing.T) {
	w := pid1test.New(t, guarded(esb, oneService+"::respawn:actor sleep 3s\n", ""))
	w.At(10*time.Minute, simkernel.Signals(kernel.SIGTSTP))
	w.Boot()
	w.WantAlive()
	w.WantLog("watchdog: /dev/watchdog: i6300ESB timer: 30s were asked for, 30s are granted", 1)
	if n := len(w.Called); n < 359 || n > 361 {
		t.Errorf("children that prove that PID 1 is well: got %d in an hour, want 360", n)
	}
}

// TestWatchdogResetsHungInit when PID 1 waits for something that does not come.
func TestWatchdogResetsHungInit(t *testing.T) {
	w := pid1test.New(t, guarded(esb, oneService, ""))
	w.At(time.Minute, simkernel.Do(func(m *simkernel.Machine) {
		m.Fail("Call", 0, kernel.EAGAIN)
		m.Fail("Spawn", 0, kernel.EAGAIN)
	}))
	w.Boot()
	if w.End.How != simkernel.ResetByWatchdog || w.End.At > 91*time.Second {
		t.Errorf("got  %v at %v\nwant a reset within 30s of 1m", w.End.How, w.End.At)
	}
	w.WantLine("", "watchdog: not fed: cannot start a child: resource temporarily unavailable: "+
		"the machine is reset if this lasts", 1)
}

// TestWatchdogSurvivesACrashOfInit at any moment: it is opened again, and what was said is not said
// again.
func TestWatchdogSurvivesACrashOfInit(t *testing.T) {
	for wait := 1; wait < 40; wait += 3 {
		s := guarded(esb, oneService+"::sysinit:actor sleep 20s\n", "")
		s.Until = 5 * time.Minute
		s.Crash = func(n int) bool { return n == wait }
		w := pid1test.New(t, s)
		w.Boot()
		if w.Crashes != 1 {
			t.Fatalf("init has crashed %d times, want once", w.Crashes)
		}
		w.WantAlive()
	}
}

// TestStarvationSurvivesACrashOfInit lets a machine that is to be reset be reset.
func TestStarvationSurvivesACrashOfInit(t *testing.T) {
	w := pid1test.New(t, guarded(esb, oneService, ""))
	w.Resume([]byte("phase 4\nstarved the kernel has oopsed\n"))
	w.WantAlive() // It was not opened before, so that nothing counts.
	if n := w.Calls("OpenWatchdog"); n != 0 {
		t.Errorf("OpenWatchdog was called %d times: it must not be fed by that", n)
	}
}

// TestWatchdogOnTheWayDown guards each phase, and is in no way's way.
func TestWatchdogOnTheWayDown(t *testing.T) {
	for _, c := range []struct {
		name    string
		inittab string
		conf    string
		sig     kernel.Signal
		how     simkernel.How
		change  func(w *pid1test.World)
		from    time.Duration // after the request
		to      time.Duration
	}{
		{
			name: "reboot", inittab: oneService, sig: kernel.SIGTERM,
			how: simkernel.Restarted, to: time.Second,
		},
		{
			name: "a shutdown entry that never ends", inittab: oneService + "::shutdown:actor pause\n",
			conf: "watchdog.shutdown_timeout = 2m\n", sig: kernel.SIGTERM,
			how: simkernel.ResetByWatchdog, from: 150 * time.Second, to: 151 * time.Second,
		},
		{
			name: "a poweroff that takes long", inittab: oneService, sig: kernel.SIGUSR2,
			how: simkernel.PoweredOff, from: 25 * time.Minute, to: 26 * time.Minute,
		},
		{
			name: "reboot by the watchdog", inittab: oneService, sig: kernel.SIGTERM,
			conf: "reboot.method = watchdog\n",
			how:  simkernel.ResetByWatchdog, from: time.Second, to: 2 * time.Second,
		},
		{
			name: "reboot(2) refused and no sysrq", inittab: oneService, sig: kernel.SIGTERM,
			how: simkernel.ResetByWatchdog, from: time.Second, to: 2 * time.Second,
			change: func(w *pid1test.World) {
				w.Fail("Reboot", 0, kernel.EPERM)
				w.Fail("SetProc", 0, kernel.ENOENT)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := guarded(esb, c.inittab, c.conf)
			if c.how == simkernel.PoweredOff {
				s.RebootTime = c.from
			}
			w := pid1test.New(t, s)
			const at = 100 * time.Second
			w.At(at, simkernel.Signals(c.sig))
			if c.change != nil {
				w.Look(50*time.Second, func() { c.change(w) })
			}
			w.Boot()
			if w.End.How != c.how || w.End.At < at+c.from || w.End.At > at+c.to {
				t.Errorf("got  %v %v after the request\nwant %v after %v to %v\n%s",
					w.End.How, w.End.At-at, c.how, c.from, c.to, w.Story())
			}
		})
	}
}

// TestLastResort is a watchdog that nobody has configured, where everything else has failed.
func TestLastResort(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Watchdogs: []simkernel.Watchdog{{Driver: "softdog"}}, Until: time.Hour},
		Inittab: oneService,
	})
	w.Look(time.Second, func() {
		w.Fail("Reboot", 0, kernel.EPERM)
		w.Fail("SetProc", 0, kernel.ENOENT)
	})
	w.At(time.Minute, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	if w.End.How != simkernel.ResetByWatchdog || w.End.At > time.Minute+2*time.Second {
		t.Errorf("got  %v at %v\nwant a reset a second after 1m\n%s", w.End.How, w.End.At, w.Story())
	}
	w.WantLine("", "sysrq b: no such file or directory: the watchdog resets the machine within 1s", 1)
}

// TestRebootByAWatchdogThatIsNotThere asks the kernel instead.
func TestRebootByAWatchdogThatIsNotThere(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: oneService, Conf: "reboot.method = watchdog\n"})
	w.At(time.Minute, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, time.Minute)
	w.WantLine("", "There is no watchdog to reset the machine: asking the kernel", 1)
}

// TestRebootByAWatchdogThatDoesNothing asks the kernel when it is clear that there is no reset.
func TestRebootByAWatchdogThatDoesNothing(t *testing.T) {
	s := guarded(simkernel.Watchdog{Driver: "softdog", NoBoot: true}, oneService, "reboot.method = watchdog\n")
	w := pid1test.New(t, s)
	w.At(time.Minute, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, time.Minute+6*time.Second)
	w.WantLine("", "The watchdog has not reset the machine: asking the kernel", 1)
}

// TestWatchdogInAContainer is left alone: it is the host's.
func TestWatchdogInAContainer(t *testing.T) {
	s := guarded(esb, oneService, "")
	s.Namespace = true
	w := pid1test.New(t, s)
	w.Boot()
	if n := w.Calls("OpenWatchdog"); n != 0 {
		t.Errorf("OpenWatchdog was called %d times", n)
	}
	if !strings.Contains(w.Story(), "watchdog.device: the machine is not init's own") {
		t.Errorf("it is not said\n%s", w.Story())
	}
}

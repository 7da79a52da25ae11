package wdt

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// pid1 is a PID 1 that does nothing but keep watchdogs.
type pid1 struct {
	kernel.Kernel
	*Keeper
	warned, noted []string
}

func (p *pid1) Warn(text string) { p.warned = append(p.warned, text) }
func (p *pid1) Note(text string) { p.noted = append(p.noted, text) }

// until keeps them until an instant.
func (p *pid1) until(at time.Duration) {
	for p.Now() < at {
		p.Step()
		p.Next(min(at, p.Deadline()))
		for {
			e, err := p.Wait()
			if err != nil {
				break
			}
			p.Reaped(e.PID)
		}
	}
}

// first is the device of most machines here.
const first = "/dev/watchdog0"

// boot boots a machine whose PID 1 does what the test says, with all watchdogs of the configuration
// opened, and then hangs.
func boot(t *testing.T, m *simkernel.Machine, set Settings, do func(p *pid1)) (*pid1, simkernel.End) {
	t.Helper()
	p := &pid1{}
	if set.Devices == nil {
		set.Devices = []string{first}
	}
	if set.Timeout == 0 {
		set.Timeout = 30 * time.Second
	}
	if set.Endless == 0 {
		set.Endless = 10 * time.Minute
	}
	end := m.Boot(func(k kernel.Kernel) int {
		p.Kernel = k
		p.Keeper = New(k, p, set)
		p.Keeper.Open(true)
		do(p)
		for {
			k.Next(kernel.Never) // hangs
		}
	})
	return p, end
}

// machine has one watchdog.
func machine(w simkernel.Watchdog) *simkernel.Machine {
	return simkernel.New(simkernel.Config{Watchdogs: []simkernel.Watchdog{w}, Until: 2 * time.Hour})
}

// wantReset compares how a machine ended with a reset by a watchdog: not before, and at most a second
// later.
func wantReset(t *testing.T, end simkernel.End, at time.Duration) {
	t.Helper()
	if end.How != simkernel.ResetByWatchdog || end.At < at || end.At > at+time.Second {
		t.Errorf("got  %v at %v\nwant a reset by the watchdog at %v", end.How, end.At, at)
	}
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: got (+) is not want (-):\n%s", what, diff)
	}
}

// TestDrivers opens each kind of watchdog, keeps it for an hour, and hangs: the machine is up for the
// hour and reset when the timeout that was granted has passed since the last meal.
func TestDrivers(t *testing.T) {
	for _, c := range []struct {
		name    string
		dog     simkernel.Watchdog
		asked   time.Duration
		granted time.Duration
		warned  []string
	}{
		{name: "softdog", dog: simkernel.Watchdog{Driver: "softdog"}, granted: 30 * time.Second},
		{name: "i6300esb", dog: simkernel.Watchdog{Driver: "i6300esb"}, granted: 30 * time.Second},
		{
			name: "one second", dog: simkernel.Watchdog{Driver: "i6300esb"},
			asked: time.Second, granted: time.Second,
		},
		{
			name: "half a second is one", dog: simkernel.Watchdog{Driver: "i6300esb"},
			asked: 500 * time.Millisecond, granted: time.Second,
			warned: []string{"watchdog: /dev/watchdog0: i6300ESB timer: 500ms were asked for, 1s are granted"},
		},
		{
			name: "more than the driver takes", dog: simkernel.Watchdog{Driver: "i6300esb"},
			asked: time.Hour, granted: 30 * time.Second,
			warned: []string{"watchdog: /dev/watchdog0: i6300ESB timer: 1h0m0s were asked for, 30s are granted"},
		},
		{
			name: "the kernel feeds the hardware in between", dog: simkernel.Watchdog{Driver: "board"},
			asked: time.Minute, granted: time.Minute,
		},
		{
			name: "a timeout that cannot be set", dog: simkernel.Watchdog{Driver: "fixed"},
			asked: time.Minute, granted: 30 * time.Second,
			warned: []string{"watchdog: /dev/watchdog0: Fixed Watchdog: 1m0s were asked for, 30s are granted"},
		},
		{
			name:    "counting since before the boot",
			dog:     simkernel.Watchdog{Driver: "latch", Running: true},
			granted: 30 * time.Second,
		},
		{
			name:    "nowayout",
			dog:     simkernel.Watchdog{Driver: "softdog", NoWayOut: true},
			granted: 30 * time.Second,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fed time.Duration
			p, end := boot(t, machine(c.dog), Settings{Timeout: c.asked}, func(p *pid1) {
				p.until(time.Hour)
				fed = p.since
			})
			wantLines(t, "warnings", p.warned, c.warned...)
			wantReset(t, end, fed+c.granted)
			if late := time.Hour - fed; late > c.granted/3+time.Second {
				t.Errorf("the last meal was %v before the end, want a third of %v", late, c.granted)
			}
		})
	}
}

// TestErrors lets each call fail for good: the machine is never worse off than without, and it is
// said once.
func TestErrors(t *testing.T) {
	const name = "watchdog: /dev/watchdog0: "
	refused := []string{name + "Software Watchdog: 20s were asked for, 1m0s are granted"}
	for _, c := range []struct {
		call   string
		n      int
		errno  kernel.Errno
		set    Settings
		warned []string
		reset  bool // when PID 1 hangs
	}{
		{
			call: "OpenWatchdog", errno: kernel.ENOENT,
			warned: []string{name + "open: no such file or directory"},
		},
		{
			call: "OpenWatchdog", errno: kernel.EBUSY,
			warned: []string{name + "open: device or resource busy"},
		},
		{
			call: "OpenWatchdog", errno: kernel.EPERM,
			warned: []string{name + "open: operation not permitted"},
		},
		{
			call: "WatchdogSupport", errno: kernel.ENOTTY,
			warned: []string{name + "is no watchdog: inappropriate ioctl for device"}, reset: true,
		},
		{call: "WatchdogControl", n: 1, errno: kernel.EOPNOTSUPP, reset: true},
		{call: "WatchdogControl", n: 2, errno: kernel.EINVAL, warned: refused, reset: true},
		{call: "WatchdogControl", n: 2, errno: kernel.EOPNOTSUPP, warned: refused, reset: true},
		{
			call: "WatchdogControl", n: 3, errno: kernel.EOPNOTSUPP, reset: true,
			set:    Settings{Pretimeout: 5 * time.Second},
			warned: []string{name + "pretimeout: operation not supported"},
		},
		{
			call: "WatchdogControl", errno: kernel.EOPNOTSUPP, reset: true,
			warned: []string{name + "Software Watchdog: 20s were asked for, 3s are granted"},
		},
		{
			call: "SetSys", errno: kernel.ENOENT, reset: true, set: Settings{Governor: "panic"},
			warned: []string{name + "pretimeout governor panic: no such file or directory"},
		},
		{
			call: "Write", errno: kernel.EIO, reset: true,
			warned: []string{name + "write: input/output error"},
		},
	} {
		t.Run(fmt.Sprint(c.call, " ", c.n, " ", c.errno), func(t *testing.T) {
			m := machine(simkernel.Watchdog{Driver: "softdog"})
			m.Fail(c.call, c.n, c.errno)
			c.set.Timeout = 20 * time.Second
			p, end := boot(t, m, c.set, func(p *pid1) { p.until(time.Hour) })
			wantLines(t, "warnings", p.warned, c.warned...)
			if got := end.How == simkernel.ResetByWatchdog; got != c.reset {
				t.Errorf("got  %v, want a reset: %t", end.How, c.reset)
			}
		})
	}
}

// TestUnwell lets PID 1 be unable to start children: nothing is fed, and why is said long before the
// reset.
func TestUnwell(t *testing.T) {
	m := machine(simkernel.Watchdog{Driver: "i6300esb"})
	var at time.Duration
	p, end := boot(t, m, Settings{}, func(p *pid1) {
		p.until(time.Minute)
		wantLines(t, "warnings while well", p.warned)
		m.Fail("Call", 0, kernel.EAGAIN)
		last := p.since
		for len(p.warned) == 0 {
			p.until(p.Now() + 100*time.Millisecond)
		}
		at = p.Now() - last
		p.until(time.Hour)
	})
	wantLines(t, "warnings", p.warned,
		"watchdog: not fed: cannot start a child: resource temporarily unavailable: "+
			"the machine is reset if this lasts")
	if at > 15*time.Second {
		t.Errorf("it was said %v after the last meal, want half of the timeout at most", at)
	}
	if end.How != simkernel.ResetByWatchdog || end.At > time.Minute+31*time.Second {
		t.Errorf("got  %v at %v, want a reset 30s after the last meal", end.How, end.At)
	}
}

// TestWellAgain goes on as if nothing had been when the trouble is over in time.
func TestWellAgain(t *testing.T) {
	m := machine(simkernel.Watchdog{Driver: "i6300esb"})
	m.Fail("Call", 2, kernel.EAGAIN)
	m.Fail("Call", 3, syscall.ENOMEM)
	p, _ := boot(t, m, Settings{}, func(p *pid1) { p.until(30 * time.Minute); p.StopFeeding("over") })
	wantLines(t, "warnings", p.warned[:1],
		"watchdog: not fed: cannot start a child: resource temporarily unavailable: "+
			"the machine is reset if this lasts")
	if !slices.Contains(p.noted, "watchdog: fed again") {
		t.Errorf("notes: got %q, want that it is fed again", p.noted)
	}
}

// TestDeafPID1 does not reap: a proof is one only when its end was heard of.
func TestDeafPID1(t *testing.T) {
	p, end := boot(t, machine(simkernel.Watchdog{Driver: "i6300esb"}), Settings{}, func(p *pid1) {
		for {
			p.Step()
			p.Next(p.Deadline())
		}
	})
	wantLines(t, "warnings", p.warned, "watchdog: not fed: a child that was started 10s ago has not "+
		"ended: the machine is reset if this lasts")
	wantReset(t, end, 30*time.Second)
}

// TestLateDevice is opened when its module has been loaded, whether PID 1 is told or not.
func TestLateDevice(t *testing.T) {
	for _, told := range []bool{false, true} {
		m := machine(simkernel.Watchdog{Driver: "softdog", Appears: time.Minute})
		p, end := boot(t, m, Settings{}, func(p *pid1) {
			p.until(time.Minute + time.Millisecond)
			if told {
				p.LookAgain()
			}
			p.until(10 * time.Minute)
		})
		wantLines(t, "warnings", p.warned, "watchdog: /dev/watchdog0: open: no such file or directory")
		opened := "watchdog: /dev/watchdog0: Software Watchdog: 30s were asked for, 30s are granted"
		wantLines(t, "notes", p.noted, "watchdog: /dev/watchdog0: is not there yet", opened)
		if end.How != simkernel.ResetByWatchdog || end.At < 10*time.Minute {
			t.Errorf("got  %v at %v, want a reset after 10m", end.How, end.At)
		}
	}
}

// TestSeveral keeps two, by the shorter timeout.
func TestSeveral(t *testing.T) {
	m := simkernel.New(simkernel.Config{
		Watchdogs: []simkernel.Watchdog{{Driver: "i6300esb"}, {Driver: "fixed"}},
		Until:     2 * time.Hour,
	})
	set := Settings{Devices: []string{first, "/dev/watchdog1"}, Timeout: 2 * time.Minute}
	p, end := boot(t, m, set, func(p *pid1) {
		p.until(time.Hour)
		if got, want := p.period(), 10*time.Second; got != want {
			t.Errorf("period: got %v, want %v", got, want)
		}
	})
	wantLines(t, "warnings", p.warned,
		"watchdog: /dev/watchdog1: Fixed Watchdog: 2m0s were asked for, 30s are granted")
	if end.How != simkernel.ResetByWatchdog || end.By != "fixed" {
		t.Errorf("got  %v by %q, want a reset by the one with the shorter timeout", end.How, end.By)
	}
}

// TestPretimeout sets the warning and what it does.
func TestPretimeout(t *testing.T) {
	m := machine(simkernel.Watchdog{Driver: "i6300esb"})
	_, end := boot(t, m, Settings{Pretimeout: 10 * time.Second, Governor: "panic"}, func(p *pid1) {
		if b, _ := p.Sys("class/watchdog/watchdog0/pretimeout"); string(b) != "10\n" {
			t.Errorf("pretimeout: got %q, want 10", b)
		}
	})
	if end.How != simkernel.Panicked {
		t.Errorf("got  %v at %v, want a panic", end.How, end.At)
	}
}

// TestBootStatus is said once, and not by an init that goes on after a crash of its own.
func TestBootStatus(t *testing.T) {
	m := machine(simkernel.Watchdog{Driver: "i6300esb"})
	boot(t, m, Settings{}, func(*pid1) {})
	next, err := m.NextBoot(simkernel.PowerOn{})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := boot(t, next, Settings{}, func(*pid1) {})
	wantLines(t, "warnings", p.warned, "watchdog: /dev/watchdog0: has reset the machine before this boot")
}

// TestStopFeeding ends in a reset, whatever happens besides.
func TestStopFeeding(t *testing.T) {
	p, end := boot(t, machine(simkernel.Watchdog{Driver: "i6300esb"}), Settings{}, func(p *pid1) {
		p.until(time.Minute)
		if !p.StopFeeding("the kernel has oopsed") {
			t.Error("StopFeeding: got false, want that there is a watchdog")
		}
		p.Guard("killing processes", kernel.Never)
		p.Last("calling the kernel", true)
		p.until(time.Hour)
	})
	wantLines(t, "warnings", p.warned,
		"watchdog: not fed: the kernel has oopsed: the machine is reset within 20s")
	if end.How != simkernel.ResetByWatchdog || end.At > 91*time.Second {
		t.Errorf("got  %v at %v, want a reset within 30s of 1m", end.How, end.At)
	}
	if got, want := p.Starving(), "the kernel has oopsed"; got != want {
		t.Errorf("Starving: got %q, want %q", got, want)
	}
}

// TestNobodyToStarve says that there is no watchdog.
func TestNobodyToStarve(t *testing.T) {
	m := simkernel.New(simkernel.Config{Until: time.Minute})
	boot(t, m, Settings{}, func(p *pid1) {
		if p.StopFeeding("x") {
			t.Error("StopFeeding: got true without a watchdog")
		}
		if _, ok := p.Reset(); ok {
			t.Error("Reset: got true without a watchdog")
		}
	})
}

// TestGuard goes down with a phase that hangs, on watchdogs that take the timeout of the phase and on
// those that do not: the reset comes when the phase should have been over and PID 1 has been late by
// as much as it may be.
func TestGuard(t *testing.T) {
	const limit = 2 * time.Minute
	for _, c := range []struct {
		driver string
		hangs  bool          // PID 1 hangs, too
		reset  time.Duration // after the phase has begun
	}{
		{"softdog", false, limit + 30*time.Second},
		{"softdog", true, limit + 30*time.Second},
		{"i6300esb", true, limit + 30*time.Second},
		{"board", true, limit + 30*time.Second},
		// These have to be fed meanwhile, and bite at once if PID 1 hangs.
		{"latch", false, limit + 20*time.Second},
		{"fixed", false, limit + 20*time.Second},
		{"fixed", true, 30 * time.Second},
	} {
		t.Run(fmt.Sprint(c.driver, " ", c.hangs), func(t *testing.T) {
			var began time.Duration
			p, end := boot(t, machine(simkernel.Watchdog{Driver: c.driver}), Settings{}, func(p *pid1) {
				p.until(time.Minute)
				began = p.Now()
				p.Guard("killing processes", began+limit)
				if !c.hangs {
					p.until(time.Hour)
				}
			})
			if end.How != simkernel.ResetByWatchdog || end.At < began+c.reset ||
				end.At > began+limit+31*time.Second {
				t.Errorf("got  %v %v after the phase began, want a reset after %v",
					end.How, end.At-began, c.reset)
			}
			said := slices.ContainsFunc(p.warned, func(s string) bool {
				return strings.HasPrefix(s, "watchdog: not fed: killing processes: not over after 2m0s: ")
			})
			if said == c.hangs {
				t.Errorf("warnings: got %q, want the phase: %t", p.warned, !c.hangs)
			}
		})
	}
}

// TestPhases feed by going on: many of them, each within its limit, take longer than any timeout.
func TestPhases(t *testing.T) {
	for _, driver := range simkernel.WatchdogDrivers() {
		m := machine(simkernel.Watchdog{Driver: driver})
		p, end := boot(t, m, Settings{}, func(p *pid1) {
			for range 20 {
				p.Guard("phase", p.Now()+time.Minute)
				p.until(p.Now() + time.Minute)
			}
			p.StopFeeding("over")
		})
		if end.At < 20*time.Minute {
			t.Errorf("%s: got  %v at %v, want none before 20m: %q", driver, end.How, end.At, p.warned)
		}
	}
}

// TestLast leaves a machine alone that is to be off, if its watchdog can be stopped.
func TestLast(t *testing.T) {
	for _, c := range []struct {
		name   string
		dog    simkernel.Watchdog
		stop   bool
		reset  time.Duration // 0 for none
		warned bool
	}{
		{"stopped", simkernel.Watchdog{Driver: "i6300esb"}, true, 0, false},
		{"kept", simkernel.Watchdog{Driver: "i6300esb"}, false, 10*time.Minute + 30*time.Second, false},
		{
			"nowayout",
			simkernel.Watchdog{Driver: "i6300esb", NoWayOut: true},
			true,
			10*time.Minute + 30*time.Second, true,
		},
		{"the kernel feeds it", simkernel.Watchdog{Driver: "latch"}, true, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, end := boot(t, machine(c.dog), Settings{}, func(p *pid1) {
				p.Last("calling the kernel", c.stop)
				// The kernel has not come back, and init tries something else.
				p.Guard("waiting for the console", p.Now()+5*time.Second)
			})
			switch {
			case c.reset == 0 && end.How == simkernel.ResetByWatchdog:
				t.Errorf("got  %v at %v, want none", end.How, end.At)
			case c.reset != 0:
				wantReset(t, end, c.reset)
			}
			if got := len(p.warned) > 0; got != c.warned {
				t.Errorf("warnings: got %q, want some: %t", p.warned, c.warned)
			}
		})
	}
}

// TestReset is as quick as each watchdog can, kept or not.
func TestReset(t *testing.T) {
	for driver, want := range map[string]time.Duration{
		"softdog": time.Second, "i6300esb": time.Second, "board": time.Second, "latch": time.Second,
		"fixed": 30 * time.Second,
	} {
		for _, devices := range [][]string{{first}, {"/dev/watchdog7"}} {
			m := machine(simkernel.Watchdog{Driver: driver})
			_, end := boot(t, m, Settings{Devices: devices}, func(p *pid1) {
				p.until(5 * time.Second)
				within, ok := p.Reset()
				if !ok || within != want {
					t.Errorf("%s %q: got %v, %t, want %v", driver, devices, within, ok, want)
				}
				p.until(time.Hour)
			})
			if end.How != simkernel.ResetByWatchdog || end.At > 6*time.Second+want {
				t.Errorf("%s %q: got  %v at %v", driver, devices, end.How, end.At)
			}
		}
	}
}

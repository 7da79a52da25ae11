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

// starts are when a command is started that lives for a time too short, up to a limit.
func starts(from, life, until time.Duration) []time.Duration {
	// The last delay stays.
	delays := []time.Duration{
		1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
		30 * time.Second,
	}
	var at []time.Duration
	for i := 0; from <= until; i++ {
		at = append(at, from)
		from += life + delays[min(i, len(delays)-1)]
	}
	return at
}

// ended is what is said about a command, on a terminal if there is one, that keeps ending.
func ended(command, how string, tty ...string) string {
	return again(command, how+" within 10s: starting it again", tty...)
}

// unable is what is said about one that cannot be started.
func unable(command string) string { return again(command, "cannot be started: trying again") }

func again(command, why string, tty ...string) string {
	on := ""
	if len(tty) > 0 {
		on = " on " + tty[0]
	}
	return "'" + command + "'" + on + " " + why + " in 1s; the delay doubles up to 30s"
}

// TestShortLives: a command that ends at once is started more and more seldom, and never given up.
// It is said once.
func TestShortLives(t *testing.T) {
	const until = 24 * time.Hour
	for _, c := range []struct {
		command string
		life    time.Duration
		how     string
	}{
		{"actor exit 0", pid1test.ExecTime, "has ended with status 0"},
		{"actor exit 1", pid1test.ExecTime, "has ended with status 1"},
		{"actor die SEGV", pid1test.ExecTime, "was ended by SIGSEGV"},
		{"actor sleep 9s", 9*time.Second + pid1test.ExecTime, "has ended with status 0"},
		{"actor fork, sleep 1m", pid1test.ExecTime, "has ended with status 0"},
	} {
		t.Run(c.command, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: until}, Inittab: "::respawn:" + c.command + "\n",
			})
			w.Boot()
			w.WantAlive()
			w.WantConsole(ended(c.command, c.how) + "\n")
			w.WantStarts(c.command, starts(0, c.life, until)...)
		})
	}
}

// TestLongLife: after a life of ten seconds or more a command is started again at once.
func TestLongLife(t *testing.T) {
	const exec = pid1test.ExecTime
	for _, c := range []struct {
		life  time.Duration
		pause time.Duration
	}{
		{life: 10*time.Second - exec, pause: time.Second},
		{life: 10 * time.Second},
		{life: 10*time.Second + exec},
		{life: 100 * time.Hour},
	} {
		t.Run(c.life.String(), func(t *testing.T) {
			command := "actor sleep " + (c.life - exec).String()
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{Until: c.life + c.life/2},
				Inittab: "::respawn:" + command + "\n",
			})
			w.Boot()
			w.WantStarts(command, 0, c.life+c.pause)
		})
	}
}

// TestALongLifeForgivesShortOnes: afterwards the delays begin anew, and so does the warning.
func TestALongLifeForgivesShortOnes(t *testing.T) {
	n := 0
	lives := []time.Duration{0, 0, 0, 20 * time.Second, 0, 0}
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until: time.Minute,
			Programs: map[string]simkernel.Program{
				"/bin/moody": {Main: func([]string) []simkernel.Step {
					n++
					if n > len(lives) {
						return []simkernel.Step{simkernel.Pause{}}
					}
					return []simkernel.Step{simkernel.Sleep{For: lives[n-1]}}
				}},
			},
		},
		Inittab: "::respawn:moody\n",
	})
	w.Boot()
	const exec = pid1test.ExecTime
	w.WantStarts("moody",
		0,
		1*time.Second+1*exec,
		3*time.Second+2*exec,
		7*time.Second+3*exec,  // lives long
		27*time.Second+4*exec, // at once
		28*time.Second+5*exec,
		30*time.Second+6*exec,
	)
	line := ended("moody", "has ended with status 0") + "\n"
	w.WantConsole(line + line)
}

// TestAProgramThatIsNotThere is explained once, and tried again all the same: it may be on a file
// system that is not mounted yet.
func TestAProgramThatIsNotThere(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Until: 10 * time.Minute},
		Inittab: "::respawn:/mnt/bin/late\n",
	})
	w.At(5*time.Minute, simkernel.Install{Path: "/mnt/bin/late", Program: simkernel.Program{
		Steps: []simkernel.Step{simkernel.Pause{}},
	}})
	w.Boot()
	w.WantConsole("can't run '/mnt/bin/late': No such file or directory\n")
	w.WantLog(unable("/mnt/bin/late"), 1)
	w.WantStarts("/mnt/bin/late", starts(0, 0, 5*time.Minute+20*time.Second)...)
}

// TestOneServiceDoesNotDelayAnother: the pauses are each service's own.
func TestOneServiceDoesNotDelayAnother(t *testing.T) {
	const until = 10 * time.Minute
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: until},
		Inittab: `
		::respawn:actor exit 1
		::respawn:actor sleep 15s
		::respawn:actor sleep 5s
		`,
	})
	w.Boot()
	const exec = pid1test.ExecTime
	w.WantStarts("actor exit 1", starts(0, exec, until)...)
	w.WantStarts("actor sleep 5s", starts(0, 5*time.Second+exec, until)...)
	var want []time.Duration
	for at := time.Duration(0); at <= until; at += 15*time.Second + exec {
		want = append(want, at)
	}
	w.WantStarts("actor sleep 15s", want...)
}

// TestForkFails: a service that could not be started is tried again like one that has ended, and
// is not lost [BusyBox 3.2, where it is]. What is not kept running is left out, and the boot goes
// on.
func TestForkFails(t *testing.T) {
	failed := func(command string) string {
		return "can't fork: Resource temporarily unavailable: '" + command + "' is not started"
	}
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute},
		Inittab: `
		::sysinit:actor as sysinit
		::sysinit:actor as second
		::wait:actor as wait
		::once:actor as once
		::respawn:actor as respawn, pause
		`,
	})
	for _, n := range []int{1, 3, 4, 5, 6, 7} {
		w.Fail("Spawn", n, kernel.EAGAIN)
	}
	w.Boot()
	w.WantAlive()
	const boot = pid1test.ExecTime // of the one that could be started
	w.WantStarts("actor as second", 0)
	w.WantStarts("actor as respawn, pause", boot+7*time.Second)
	for _, name := range []string{"sysinit", "wait", "once"} {
		w.WantLine("", failed("actor as "+name), 1)
	}
	// Once on the console, however often it happens.
	w.WantLine("", failed("actor as respawn, pause"), 1)
	w.WantLog(unable("actor as respawn, pause"), 1)
}

// TestNoProcessNumbersLeft: while a fork bomb takes every number that comes free nothing can be
// started, and afterwards everything is.
func TestNoProcessNumbersLeft(t *testing.T) {
	const (
		services = 20
		from     = 10 * time.Second
		to       = 5 * time.Minute
		until    = 10 * time.Minute
		turn     = 100 * time.Millisecond
	)
	var table strings.Builder
	for i := range services {
		fmt.Fprintf(&table, "::respawn:actor as %d, sleep 5s\n", i)
	}
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			PIDMax: 100, Until: until,
			Programs: map[string]simkernel.Program{
				"/bin/bomb": {Steps: []simkernel.Step{
					simkernel.Sleep{For: from},
					simkernel.Loop{
						Times: int((to - from) / turn),
						Do: []simkernel.Step{
							simkernel.Fork{Times: 1000, Do: []simkernel.Step{
								simkernel.Sleep{For: time.Minute},
							}},
							simkernel.Sleep{For: turn},
						},
					},
				}},
			},
		},
		Inittab: "::once:bomb\n" + table.String(),
	})
	w.Boot()
	w.WantAlive()
	for i := range services {
		during, after := 0, 0
		for _, at := range w.Starts(fmt.Sprintf("actor as %d, sleep 5s", i)) {
			switch {
			case at > from+time.Minute && at < to:
				during++
			case at > until-time.Minute:
				after++
			}
		}
		if during > 0 || after == 0 {
			t.Errorf("starts of service %d: got %d during the bomb and %d in the last minute, "+
				"want none and some", i, during, after)
		}
	}
	if n := len(w.Console()); n != 2*services {
		t.Errorf("lines on the console: got %d, want 2 for each service", n)
	}
}

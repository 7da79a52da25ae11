package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

const benchDoes = `Measure the simulated machine with the real PID 1 on it: boots per second, a machine
with a million processes, and what an event costs as the number of processes grows.`

func (t *tool) bench(args []string) int {
	fs := t.flags("bench", "", benchDoes)
	long := 3 * time.Second
	fs.Var((*timeValue)(&long), "time", "for what `length` of time to boot again and again")
	most := fs.Int("processes", 1_000_000, "the greatest `number` of processes")
	words, status, done := t.parse(fs, args)
	if done {
		return status
	}
	if len(words) > 0 || long <= 0 || *most < 1000 || *most > maxProcesses {
		return t.wrong("bench: expected no arguments, a time, and 1000 to %d processes", maxProcesses)
	}
	// The machine with most processes comes first: the kernel tells the greatest size ever.
	t.benchMany(*most)
	t.benchBoots(long)
	t.benchEvents(*most)
	return exitOK
}

// maxProcesses is below the greatest pid_max (include/linux/threads.h, PID_MAX_LIMIT).
const (
	maxProcesses = 4_000_000
	pidMax       = 1 << 22
)

// benchMachine boots PID 1 with an inittab and a program, lets happen what plan says, and returns
// the end.
func benchMachine(
	plan func(*simkernel.Machine), inittab string, program simkernel.Program,
) simkernel.End {
	m := simkernel.New(simkernel.Config{
		PIDMax: pidMax,
		Files:  map[string]string{pid1.InittabPath: inittab},
		Programs: map[string]simkernel.Program{
			scenario.ActorPath: program, scenario.InitPath: {Load: time.Nanosecond},
		},
	})
	plan(m)
	return m.Boot(func(k kernel.Kernel) int { return pid1.New(k, pid1.Options{}).Run() })
}

// rebootAfterASecond is the plan that needs no more words.
func rebootAfterASecond(m *simkernel.Machine) { m.At(time.Second, simkernel.Signals(kernel.SIGTERM)) }

// cpu is the processor time that this process has used. Other processes do not count in it.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchBoots boots as often as it can.
func (t *tool) benchBoots(long time.Duration) {
	const inittab = "::respawn:/bin/actor 1\n::respawn:/bin/actor 2\n" +
		"::respawn:/bin/actor 3\n::respawn:/bin/actor 4\n"
	service := simkernel.Program{Steps: []simkernel.Step{
		simkernel.Say{Text: "up"},
		simkernel.Catch{Signal: kernel.SIGTERM, Do: []simkernel.Step{simkernel.Exit{}}},
		simkernel.Pause{},
	}}
	begin, used, n := time.Now(), cpu(), 0
	for time.Since(begin) < long && t.ctx.Err() == nil {
		const batch = 64
		for range batch {
			if end := benchMachine(rebootAfterASecond, inittab, service); end.How != simkernel.Restarted {
				fmt.Fprintf(t.out, "the machine %s\n", end.How)
				return
			}
			n++
		}
	}
	used = cpu() - used
	fmt.Fprintf(t.out, "Boot, four services, orderly reboot:\n"+
		"  %s boots in %s of processor time: %s per second and core, %s each\n\n",
		grouped(n), span(used), grouped(int(float64(n)/used.Seconds())),
		(used / time.Duration(n)).Round(100*time.Nanosecond))
}

// benchMany brings a machine with n processes up and down.
func (t *tool) benchMany(n int) {
	program := simkernel.Program{Steps: []simkernel.Step{
		simkernel.Fork{Times: n, Do: []simkernel.Step{simkernel.Pause{}}}, simkernel.Exit{},
	}}
	begin, used := time.Now(), cpu()
	end := benchMachine(rebootAfterASecond, "::once:/bin/actor\n", program)
	took := time.Since(begin)
	used = cpu() - used
	var u unix.Rusage
	size := "unknown"
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err == nil {
		size = strconv.FormatInt(u.Maxrss>>10, 10) + " MiB"
	}
	fmt.Fprintf(t.out, "%s processes, forked, adopted by PID 1, ended and reaped, and the reboot:\n"+
		"  %s of processor time, %s by the clock, at most %s of memory (%s)\n\n",
		grouped(n), span(used), span(took), size, end.How)
}

// benchEvents measures an event with ever more processes around.
func (t *tool) benchEvents(most int) {
	const (
		active = 1000
		turns  = 1000
	)
	fmt.Fprintf(t.out, "An event, %s times: one of %s processes goes to sleep and wakes up again.\n"+
		"  %12s  %s\n", grouped(active*turns), grouped(active), "processes", "per event")
	for n := active; n <= most; n *= 10 {
		took := benchTurns(n, active, turns)
		fmt.Fprintf(t.out, "  %12s  %s\n", grouped(n), took/(active*turns))
		runtime.GC()
	}
}

// benchTurns is the processor time in which some of n processes take turns at sleeping. It does not
// count what it takes to make the processes and to end them.
func benchTurns(n, active, turns int) time.Duration {
	const begin = 10 * time.Second // when all are there, for sure
	end := begin + time.Duration(turns+1)*time.Millisecond
	program := simkernel.Program{Steps: []simkernel.Step{
		simkernel.Fork{Times: active, Do: []simkernel.Step{
			simkernel.Sleep{For: begin},
			simkernel.Loop{Times: turns, Do: []simkernel.Step{simkernel.Sleep{For: time.Millisecond}}},
			simkernel.Pause{},
		}},
		simkernel.Fork{Times: n - active, Do: []simkernel.Step{simkernel.Pause{}}},
		simkernel.Exit{},
	}}
	var used time.Duration
	look := func(sign time.Duration) simkernel.Action {
		return simkernel.Do(func(*simkernel.Machine) {
			if sign < 0 {
				runtime.GC()
			}
			used += sign * cpu()
		})
	}
	benchMachine(func(m *simkernel.Machine) {
		m.At(begin-time.Millisecond, look(-1))
		m.At(end+time.Millisecond, look(1))
		m.At(end+time.Second, simkernel.Signals(kernel.SIGTERM))
	}, "::once:/bin/actor\n", program)
	return used
}

// grouped is a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

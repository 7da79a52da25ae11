package simkernel

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rebound-init/rebound/internal/kernel"
)

// anySteps draws what a program may do.
func anySteps(t *rapid.T, depth int, label string) []Step {
	signal := rapid.SampledFrom([]kernel.Signal{
		kernel.SIGHUP, kernel.SIGTERM, kernel.SIGKILL, kernel.SIGCONT, kernel.SIGTSTP, syscall.SIGSTOP,
		kernel.SIGCHLD, kernel.SIGQUIT,
	})
	some := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond
	})
	var steps []Step
	for range rapid.IntRange(0, 5).Draw(t, label) {
		kinds := 17
		if depth > 0 {
			kinds = 21
		}
		var s Step
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			s = Say{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "text")}
		case 1:
			s = Sleep{some.Draw(t, "sleep")}
		case 2:
			s = Exit{rapid.IntRange(0, 255).Draw(t, "status")}
		case 3:
			s = Pause{}
		case 4:
			s = Spin{}
		case 5:
			s = Hang{For: some.Draw(t, "hang"), Killable: rapid.Bool().Draw(t, "killable")}
		case 6:
			s = Ignore{signal.Draw(t, "signal")}
		case 7:
			s = Default{signal.Draw(t, "signal")}
		case 8:
			s = Block{signal.Draw(t, "signal")}
		case 9:
			s = Unblock{signal.Draw(t, "signal")}
		case 10:
			s = Stop{}
		case 11:
			s = Kill{
				PID:    kernel.PID(rapid.IntRange(-8, 12).Draw(t, "pid")),
				Signal: signal.Draw(t, "signal"),
			}
		case 12:
			s = Setsid{}
		case 13:
			s = Setpgid{}
		case 14:
			s = Subreaper{}
		case 15:
			s = ReadLine{}
		case 16:
			s = Wait{}
		case 17:
			s = Catch{signal.Draw(t, "signal"), anySteps(t, depth-1, "handler")}
		case 18:
			s = Fork{rapid.IntRange(0, 3).Draw(t, "times"), anySteps(t, depth-1, "child")}
		case 19:
			s = Loop{rapid.IntRange(0, 3).Draw(t, "turns"), anySteps(t, depth-1, "loop")}
		case 20:
			s = Run{[]string{fmt.Sprintf("/bin/p%d", rapid.IntRange(0, 3).Draw(t, "program"))}}
		}
		steps = append(steps, s)
	}
	return steps
}

// anyMachine draws a machine, and a function that makes it anew.
func anyMachine(t *rapid.T) func() *Machine {
	cfg := Config{
		Seed:      rapid.Uint64Range(0, 1<<20).Draw(t, "seed"),
		Namespace: rapid.Bool().Draw(t, "namespace"),
		// Room for few processes: fork bombs that signal each other take long.
		PIDMax:    rapid.SampledFrom([]int{12, 310}).Draw(t, "pid_max"),
		Until:     time.Minute,
		Terminals: map[string]Terminal{"/dev/tty1": {Buffer: 16}},
	}
	steps := make(map[string][]Step)
	for i := range 3 {
		steps[fmt.Sprint("p", i)] = anySteps(t, 2, "steps")
	}
	cfg.Programs = programs(steps)
	type stimulus struct {
		at     time.Duration
		action Action
	}
	var stimuli []stimulus
	for range rapid.IntRange(0, 6).Draw(t, "stimuli") {
		at := time.Duration(rapid.IntRange(0, 9000).Draw(t, "at")) * time.Millisecond
		action := rapid.SampledFrom([]Action{
			Signals(kernel.SIGHUP),
			Type{"/dev/tty1", "x\n"},
			Type{"/dev/tty1", "\x03"},
			Type{"/dev/tty1", "\x1a"},
			Type{"/dev/tty1", "\x13"},
			Type{"/dev/tty1", "\x11"},
			HangUp{"/dev/tty1"},
			Thaw{"p1"},
			Signal{Name: "p0", Signals: []kernel.Signal{kernel.SIGCONT}},
		}).Draw(t, "action")
		stimuli = append(stimuli, stimulus{at, action})
	}
	return func() *Machine {
		m := New(cfg)
		for _, s := range stimuli {
			m.At(s.at, s.action)
		}
		return m
	}
}

// goThrough is a PID 1 that starts the programs, goes down after ten seconds and gives up five
// seconds later. It checks the machine now and then.
func goThrough(t *rapid.T, m *Machine) End {
	return m.Boot(func(k kernel.Kernel) int {
		for i := range 3 {
			c := command(fmt.Sprint("p", i))
			if i > 0 {
				c.TTY = "/dev/tty1"
			}
			k.Spawn(c)
		}
		wait := func(at time.Duration) {
			until(k, at)
			if err := m.audit(); err != nil {
				t.Fatal(err)
			}
		}
		wait(5 * time.Second)
		wait(10 * time.Second)
		k.KillAll(kernel.SIGTERM)
		wait(12 * time.Second)
		k.KillAll(kernel.SIGKILL)
		wait(15 * time.Second)
		for _, p := range m.Processes() {
			// Whatever a process does, it is dead by now, unless it hangs in D.
			if p.State != Uninterruptible && p.State != Zombie {
				t.Fatalf("still there after SIGKILL: %+v", p)
			}
		}
		k.Call(kernel.Reboot{Cmd: kernel.PowerOff})
		until(k, 20*time.Second)
		return 0
	})
}

func TestSameSeedSameRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		boot := anyMachine(t)
		transcript := func() string {
			m := boot()
			end := goThrough(t, m)
			processes := m.Processes()
			for i := range processes {
				processes[i].Command = nil // the text of a pointer says nothing
			}
			return fmt.Sprint(end, m.Console(), m.Transcript("/dev/tty1"), processes, m.counts)
		}
		first := transcript()
		if second := transcript(); first != second {
			t.Fatalf("two runs differ:\n%s\n%s", first, second)
		}
	})
}

func TestEveryRunEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMachine(t)()
		end := goThrough(t, m)
		if end.How != PoweredOff && end.How != Exited && end.How != Livelocked {
			t.Fatalf("end: got %+v", end)
		}
		if end.At > time.Minute {
			t.Fatalf("end at %v, later than the bound", end.At)
		}
	})
}

// audit looks for contradictions in the process table.
func (m *Machine) audit() error {
	var states [stateCount]int
	n := 0
	members := make(map[*group]int)
	for p := m.all.first; p != nil; p = p.nextAll {
		n++
		states[p.state]++
		members[p.group]++
		if m.slots[p.pid].p != p {
			return fmt.Errorf("process %d is not in its slot", p.pid)
		}
		if p.session != p.group.session {
			return fmt.Errorf("process %d and its group are in different sessions", p.pid)
		}
		children, zombies := 0, 0
		for c := p.first; c != nil; c = c.younger {
			children++
			if c.parent != p {
				return fmt.Errorf("process %d has another parent than %d", c.pid, p.pid)
			}
			if c.state == Zombie {
				zombies++
			}
		}
		if children != p.children || zombies != len(p.zombies) {
			return fmt.Errorf("process %d: %d children and %d zombies, counted %d and %d",
				p.pid, children, zombies, p.children, len(p.zombies))
		}
		if p.state == Zombie && p.children > 0 {
			return fmt.Errorf("zombie %d has children", p.pid)
		}
		if p != m.init && !p.kthread && p.parent == nil {
			return fmt.Errorf("process %d has no parent", p.pid)
		}
		if p.queued && p.state != Running {
			return fmt.Errorf("process %d waits for the CPU in state %v", p.pid, p.state)
		}
	}
	if n != m.all.n || states != m.states {
		return fmt.Errorf("%d processes %v, counted %d %v", n, states, m.all.n, m.states)
	}
	for g, n := range members {
		stopped := 0
		for p := g.first; p != nil; p = p.nextMember {
			if p.state == Stopped {
				stopped++
			}
		}
		if n != g.members || stopped != g.stopped {
			return fmt.Errorf("group %d: %d members, %d stopped, counted %d, %d",
				g.id, n, stopped, g.members, g.stopped)
		}
	}
	for pid, s := range m.slots {
		used := m.pids.used[pid/64]&(1<<(pid%64)) != 0
		if used != (s != slot{}) && pid/64 < len(m.pids.used) {
			return fmt.Errorf("number %d: in use %t, slot %+v", pid, used, s)
		}
	}
	return nil
}

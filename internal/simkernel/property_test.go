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
		kernel.SIGCHLD, kernel.SIGQUIT, syscall.SIGTTIN, 34,
	})
	some := rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond
	})
	var steps []Step
	for range rapid.IntRange(0, 5).Draw(t, label) {
		kinds := 25
		if depth > 0 {
			kinds = 31
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
			s = Raise{signal.Draw(t, "signal")}
		case 18:
			s = Fault{signal.Draw(t, "signal")}
		case 19:
			s = SetUID{rapid.IntRange(0, 2).Draw(t, "uid")}
		case 20:
			s = DeathSignal{signal.Draw(t, "signal")}
		case 21:
			s = ChildSignals{rapid.Bool().Draw(t, "no stop"), rapid.Bool().Draw(t, "no wait")}
		case 22:
			s = WaitFor{
				PID: kernel.PID(rapid.IntRange(0, 8).Draw(t, "pid")), Group: rapid.Bool().Draw(t, "group"),
				Options: WaitOptions(rapid.SampledFrom([]uint32{
					0, 1, 2, 8, 14, 1 << 30, 1 << 31, 1<<24 | 14,
				}).Draw(t, "options")),
			}
		case 23:
			s = Setpgid{
				PID:   kernel.PID(rapid.IntRange(0, 8).Draw(t, "pid")),
				Group: kernel.PID(rapid.IntRange(0, 8).Draw(t, "group")),
			}
		case 24:
			s = ThreadExit{}
		case 25:
			s = Catch{signal.Draw(t, "signal"), anySteps(t, depth-1, "handler")}
		case 26:
			s = Fork{rapid.IntRange(0, 3).Draw(t, "times"), anySteps(t, depth-1, "child")}
		case 27:
			s = Loop{rapid.IntRange(0, 3).Draw(t, "turns"), anySteps(t, depth-1, "loop")}
		case 28:
			s = Run{[]string{fmt.Sprintf("/bin/p%d", rapid.IntRange(0, 3).Draw(t, "program"))}}
		case 29:
			s = StartThread{anySteps(t, depth-1, "thread")}
		case 30:
			s = Clone{
				NewPID: rapid.Bool().Draw(t, "namespace"), VFork: rapid.Bool().Draw(t, "vfork"),
				ExitSignal: rapid.SampledFrom([]kernel.Signal{0, 10}).Draw(t, "exit signal"),
				Do:         anySteps(t, depth-1, "child"),
			}
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
		Limits:    Limits{Processes: 5, Tasks: rapid.SampledFrom([]int{0, 8}).Draw(t, "pids.max")},
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
			// Whatever a process does, it is dead by now, unless it hangs in D, or is the init of a
			// namespace and waits at its end for one that does.
			if p.State != Uninterruptible && p.State != Zombie && !m.find(p.PID).zaps() {
				t.Fatalf("still there after SIGKILL: %+v", p)
			}
		}
		k.Call(kernel.Reboot{Cmd: kernel.PowerOff})
		until(k, 20*time.Second)
		return 0
	})
}

// zaps reports whether p is the init of a namespace and waits at its end for the others.
func (p *process) zaps() bool {
	return p.ns.init == p && p.ns.zapper != nil && !p.ns.empty()
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
		// In a namespace a process that hangs in D keeps PID 1's end back.
		lingers := end.How == Lingering && m.cfg.Namespace
		if end.How != PoweredOff && end.How != Exited && end.How != Livelocked && !lingers {
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
	n, tasks := 0, 0
	members := make(map[*group]int)
	users := make(map[*user]int)
	for p := m.all.first; p != nil; p = p.nextAll {
		n++
		states[p.state]++
		members[p.group]++
		if err := m.auditProcess(p); err != nil {
			return fmt.Errorf("process %d (%v): %w", p.pid, p.state, err)
		}
		for _, t := range append([]*process{p}, p.others()...) {
			users[t.cred.user]++
			if !p.is(taskKthread) {
				tasks++
			}
			if err := m.auditThread(t); err != nil {
				return fmt.Errorf("thread %d of %d (%v): %w", t.pid, p.pid, t.state, err)
			}
		}
	}
	if n != m.all.n || states != m.states || tasks != m.tasks {
		return fmt.Errorf("%d processes %v, %d tasks, counted %d %v, %d",
			n, states, tasks, m.all.n, m.states, m.tasks)
	}
	for uid, u := range m.users {
		if users[u] != u.threads {
			return fmt.Errorf("user %d: %d threads, counted %d", uid, users[u], u.threads)
		}
	}
	for g, n := range members {
		stopped := 0
		for p := g.first; p != nil; p = p.nextMember {
			if p.has(signalStopped) {
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
		if ns := m.nested[kernel.PID(pid)]; ns != nil && (!used || ns.number(kernel.PID(pid)) == 0) {
			return fmt.Errorf("number %d of a nested namespace: in use %t, there %d",
				pid, used, ns.number(kernel.PID(pid)))
		}
	}
	return nil
}

// auditProcess looks at what a process is to others.
func (m *Machine) auditProcess(p *process) error {
	children, zombies, changed := 0, 0, 0
	for c := p.first; c != nil; c = c.younger {
		children++
		if c.parent != p {
			return fmt.Errorf("child %d has another parent", c.pid)
		}
		switch {
		case c.dead():
			zombies++
			if c.heapAt < 0 || p.zombies[c.heapAt] != c {
				return fmt.Errorf("zombie %d is not to be waited for", c.pid)
			}
		case c.stopCode != 0 && c.has(signalStopped) || c.has(signalContinued):
			changed++
			if c.heapAt < 0 || p.rare.changed[c.heapAt] != c {
				return fmt.Errorf("what happened to %d is not to be told", c.pid)
			}
		}
		if p.has(signalSubreaper) && !c.has(signalUnderSubreaper) && c.ns == p.ns {
			return fmt.Errorf("child %d does not know of the subreaper above", c.pid)
		}
	}
	switch {
	case children != p.children || zombies != len(p.zombies):
		return fmt.Errorf("%d children and %d zombies, counted %d and %d",
			children, zombies, p.children, len(p.zombies))
	case p.rare != nil && changed > len(p.rare.changed):
		return fmt.Errorf("%d children to tell of, counted %d", changed, len(p.rare.changed))
	case p.dead() && p.children > 0:
		return fmt.Errorf("dead, and has children")
	case p.parent == nil && p != m.init && !p.is(taskKthread):
		return fmt.Errorf("no parent")
	case p.has(signalUnkillable) && p.ns.init != p:
		return fmt.Errorf("unkillable, and not init")
	case !p.dead() && p.ns.init.dead():
		return fmt.Errorf("survives the init of its namespace")
	case p.has(signalStopped) && p.has(signalContinued):
		return fmt.Errorf("stopped and continued")
	case p.pending&p.ignored&^p.blocked != 0 && len(p.others()) == 0:
		return fmt.Errorf("ignored signals are pending: %v", p.pending.signals())
	}
	return nil
}

// auditThread looks at a thread by itself.
func (m *Machine) auditThread(t *process) error {
	switch {
	case m.slots[t.pid].p != t:
		return fmt.Errorf("not in its slot")
	case t.session != t.group.session || t.group != t.lead.group:
		return fmt.Errorf("in other groups and sessions than its process and its group")
	case t.is(taskQueued) && t.state != Running:
		return fmt.Errorf("waits for the CPU")
	case t.blocked&unstoppable != 0:
		return fmt.Errorf("blocks SIGKILL or SIGSTOP")
	case t != t.lead && t.state == Zombie:
		return fmt.Errorf("a zombie, and not the first thread")
	case t.state == Stopped && t.lead.has(signalGroupExit):
		return fmt.Errorf("stopped, and is to end")
	}
	return nil
}

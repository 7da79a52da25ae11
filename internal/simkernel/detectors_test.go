package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// has reports whether a line begins so.
func has(said []string, prefix string) bool {
	return slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// starts lets the kernel start a program.
func starts(name string, steps ...Step) Action {
	return Do(func(m *Machine) {
		m.plantProgram("/bin/"+name, &Program{Steps: steps})
		m.callUsermodehelper("/bin/"+name, func(kernel.Errno) {})
	})
}

// TestDetectors lets each detector find what it is for, with its knob and without.
func TestDetectors(t *testing.T) {
	two := RebootConfig{CPUs: 2}
	for _, test := range []struct {
		name string
		cfg  Config
		do   []Action
		says string
		knob string
		why  string
		last time.Duration
	}{
		{
			name: "soft lockup", cfg: Config{Reboot: two},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{Comm: "loop", PID: 7}}},
			says: "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [loop:7]",
			knob: "sysctl.kernel.softlockup_panic=1", why: "softlockup: hung tasks", last: 25 * time.Second,
		},
		{
			name: "soft lockup, threshold 3", cfg: Config{Reboot: two, Cmdline: "watchdog_thresh=3"},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{Comm: "loop", PID: 7}}},
			says: "watchdog: BUG: soft lockup - CPU#1 stuck for 7s! [loop:7]",
			knob: "sysctl.kernel.softlockup_panic=1", why: "softlockup: hung tasks", last: 10 * time.Second,
		},
		{
			name: "hard lockup", cfg: Config{Reboot: two, Cmdline: "sysctl.kernel.nmi_watchdog=1"},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{IRQsOff: true}}},
			says: "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1",
			knob: "sysctl.kernel.hardlockup_panic=1", why: "Hard LOCKUP", last: 22 * time.Second,
		},
		{
			name: "RCU stall of a CPU", cfg: Config{Reboot: two},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{}}},
			says: "rcu: INFO: rcu_preempt self-detected stall on CPU",
			knob: "sysctl.kernel.panic_on_rcu_stall=1", why: "RCU Stall", last: 23 * time.Second,
		},
		{
			name: "RCU stall of a CPU that is late", cfg: Config{Reboot: two},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{LateTick: true}}},
			says: "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
			knob: "sysctl.kernel.panic_on_rcu_stall=1", why: "RCU Stall", last: 25 * time.Second,
		},
		{
			name: "RCU stall of another", cfg: Config{Reboot: two},
			do:   []Action{Fail{CPU: 1, How: StuckCPU{IRQsOff: true}}},
			says: "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
			knob: "sysctl.kernel.panic_on_rcu_stall=1", why: "RCU Stall", last: 25 * time.Second,
		},
		{
			name: "hung task", do: []Action{starts("dead", Hang{})},
			says: "INFO: task dead:3 blocked for more than 120 seconds.",
			knob: "sysctl.kernel.hung_task_panic=1", why: "hung_task: blocked tasks", last: 4 * time.Minute,
		},
		{
			name: "hung thread of the kernel", do: []Action{Kthread{Name: "dead", Steps: []Step{Hang{}}}},
			says: "INFO: task dead:3 blocked for more than 120 seconds.",
			knob: "sysctl.kernel.hung_task_panic=1", why: "hung_task: blocked tasks", last: 4 * time.Minute,
		},
		{
			name: "no memory", do: []Action{starts("big", Pause{}), Fail{How: OutOfMemory{Name: "big"}}},
			says: "big invoked oom-killer",
			knob: "sysctl.vm.panic_on_oom=1", why: "Out of memory: system-wide panic_on_oom is enabled", last: time.Minute,
		},
		{
			name: "unknown NMI", do: []Action{Fail{How: NMI{Reason: 0x21}}},
			says: "Uhhuh. NMI received for unknown reason 21 on CPU 0.",
			knob: "sysctl.kernel.unknown_nmi_panic=1", why: "NMI: Not continuing", last: time.Minute,
		},
		{
			name: "SERR", do: []Action{Fail{How: NMI{Reason: NMISERR}}},
			says: "NMI: PCI system error (SERR) for reason 80 on CPU 0.",
			knob: "sysctl.kernel.panic_on_unrecovered_nmi=1", why: "NMI: Not continuing", last: time.Minute,
		},
		{
			name: "IOCHK", do: []Action{Fail{How: NMI{Reason: NMIIOCHK}}},
			says: "NMI: IOCK error (debug interrupt?) for reason 40 on CPU 0.",
			knob: "sysctl.kernel.panic_on_io_nmi=1", why: "NMI IOCK error: Not continuing", last: time.Minute,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Until = 5 * time.Minute
			_, end, said := dead(t, test.cfg, test.do...)
			if end.Since != 0 || !has(said, test.says) {
				t.Errorf("without the knob: got %+v, said %q", end, said)
			}
			test.cfg.Cmdline += " " + test.knob
			_, end, said = dead(t, test.cfg, test.do...)
			if end.Text != "Kernel panic - not syncing: "+test.why || end.Since > test.last || !has(said, test.says) {
				t.Errorf("with it: got %+v, said %q", end, said)
			}
		})
	}
}

func TestNothingToKill(t *testing.T) {
	_, end, _ := dead(t, Config{}, Fail{How: OutOfMemory{}})
	if end.Text != "Kernel panic - not syncing: System is deadlocked on memory" {
		t.Errorf("got %+v", end)
	}
}

// TestMachineCheck brings the machine back although panic is 0.
func TestMachineCheck(t *testing.T) {
	for _, nobootlog := range []bool{false, true} {
		_, end, said := dead(t, Config{}, Fail{How: MachineCheck{NoBootlog: nobootlog}})
		then := Restarted
		if nobootlog {
			then = Hung
		}
		if end.Then != then || has(said, "Rebooting in 30 seconds..") == nobootlog {
			t.Errorf("nobootlog %v: got %+v, said %q", nobootlog, end, said)
		}
	}
}

// TestKthread: no signal reaches a thread of the kernel, and a container has none.
func TestKthread(t *testing.T) {
	for _, namespace := range []bool{false, true} {
		m := New(Config{Until: 10 * time.Second, Namespace: namespace})
		m.At(time.Second, Kthread{Name: "dead", Steps: []Step{Hang{}}})
		m.At(2*time.Second, Signal{Name: "dead", Signals: []kernel.Signal{syscall.SIGKILL}})
		var found []State
		m.At(3*time.Second, Do(func(m *Machine) {
			for p := m.all.first; p != nil; p = p.nextAll {
				if p.isNamed("dead") {
					found = append(found, p.state)
				}
			}
		}))
		m.Boot(idle)
		want := []State{Uninterruptible}
		if namespace {
			want = nil
		}
		if !slices.Equal(found, want) {
			t.Errorf("in a container %v: got %v, want %v", namespace, found, want)
		}
	}
}

// TestRebootWithAStuckCPU: a way down goes on on the first CPU, and waits for ever if that is kept;
// by force it needs none.
func TestRebootWithAStuckCPU(t *testing.T) {
	for _, test := range []struct {
		stuck int
		force bool
		want  How
	}{
		{stuck: 1, want: Restarted},
		{stuck: 0, want: TimedOut},
		{stuck: 0, force: true, want: Restarted},
	} {
		m := New(Config{Until: 10 * time.Second, MagicSysrq: true, Reboot: RebootConfig{CPUs: 2}})
		m.At(time.Second, Fail{CPU: test.stuck, Kthread: "crash", How: StuckCPU{}})
		end := m.Boot(func(k kernel.Kernel) int {
			for k.Now() < 2*time.Second {
				k.Next(2 * time.Second)
			}
			if test.force {
				_ = k.SetProc("sysrq-trigger", "b")
			} else {
				_, _ = k.Call(kernel.Reboot{Cmd: kernel.Restart})
			}
			for {
				k.Next(kernel.Never)
			}
		})
		if end.How != test.want {
			t.Errorf("%+v: got %+v", test, end)
		}
	}
}

// TestWhoWaitsForAStuckCPUIsRunnable: who has moved to a CPU that somebody keeps is in its queue, and
// nothing that khungtaskd tells of.
func TestWhoWaitsForAStuckCPUIsRunnable(t *testing.T) {
	m := New(Config{
		Until: 10 * time.Minute, Reboot: RebootConfig{CPUs: 2}, Cmdline: "hung_task_panic=1",
		Programs: programs(map[string][]Step{"down": {Reboot{Cmd: kernel.Restart}}}),
	})
	m.At(time.Second, Fail{How: StuckCPU{Comm: "loop", PID: 7}})
	var waits Process
	end := m.Boot(func(k kernel.Kernel) int {
		for k.Now() < 2*time.Second {
			k.Next(2 * time.Second)
		}
		pid := spawn(t, k, "down")[0]
		for k.Now() < 3*time.Second {
			k.Next(3 * time.Second)
		}
		waits, _ = m.Process(pid)
		for {
			k.Next(kernel.Never)
		}
	})
	for _, l := range m.Log() {
		if strings.HasPrefix(l.Text, "INFO: task") {
			t.Errorf("said %q", l.Text)
		}
	}
	wantEqual(t, "state", waits.State, Running)
	wantEqual(t, "end", end.How, TimedOut)
}

// TestDetectorStopsAfterOops is khungtaskd, which looks no more once the kernel is tainted by an
// oops.
func TestDetectorStopsAfterOops(t *testing.T) {
	taint := Do(func(m *Machine) { m.addTaint(m.here(nil), taintDie) })
	_, end, said := dead(t, Config{Until: 10 * time.Minute, Cmdline: "hung_task_panic=1"}, taint,
		starts("dead", Hang{}))
	if end.Since != 0 || has(said, "INFO: task") {
		t.Errorf("got %+v, said %q", end, said)
	}
}

// TestHungTaskDetectorRests: a task that stays in D for ever because of an oops is nothing that it
// would look at, and does not keep it busy.
func TestHungTaskDetectorRests(t *testing.T) {
	// Older kernels have no taint that switches it off before.
	cfg := Config{Kernel: "linux-3.10-arm", Until: time.Hour}
	stays := Do(func(m *Machine) { m.stayForEver(m.find(3)) })
	m, end, said := dead(t, cfg, starts("victim", Pause{}), Do(func(m *Machine) { m.At(2*time.Second, stays) }))
	if m.Now() < time.Second || has(said, "INFO: task") || end.How == Livelocked {
		t.Errorf("got %+v, said %q", end, said)
	}
}

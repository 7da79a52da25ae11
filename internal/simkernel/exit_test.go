package simkernel

import (
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestEnds(t *testing.T) {
	for _, test := range []struct {
		name    string
		steps   []Step
		console string
		ends    []kernel.WaitStatus
	}{{
		name: "orphans come to PID 1", steps: []Step{
			Fork{Times: 3, Do: []Step{Sleep{time.Second}, Exit{5}}}, Exit{1},
		},
		ends: []kernel.WaitStatus{1 << 8, 5 << 8, 5 << 8, 5 << 8},
	}, {
		name: "zombies of a dead parent, too", steps: []Step{
			Fork{Do: []Step{Exit{5}}}, Sleep{time.Second}, Exit{1},
		},
		ends: []kernel.WaitStatus{1 << 8, 5 << 8},
	}, {
		name: "not what the parent has waited for", steps: []Step{
			Fork{Times: 2, Do: []Step{Sleep{time.Second}, Say{"child"}, Exit{5}}}, Wait{}, Say{"parent"},
		},
		console: "child\nchild\nparent\n", ends: []kernel.WaitStatus{0},
	}, {
		name: "nor what nobody will wait for", steps: []Step{
			Ignore{kernel.SIGCHLD}, Fork{Do: []Step{Exit{5}}}, Sleep{time.Second},
		},
		ends: []kernel.WaitStatus{0},
	}, {
		name: "a subreaper takes the orphans below it", steps: []Step{
			Subreaper{},
			Fork{Do: []Step{Fork{Do: []Step{Sleep{time.Second}, Exit{5}}}, Exit{4}}},
			Wait{},
			Say{"all gone"},
			Exit{3},
		},
		console: "all gone\n", ends: []kernel.WaitStatus{3 << 8},
	}, {
		name: "a stopped job that nobody will continue is hung up", steps: []Step{
			Fork{Do: []Step{Setpgid{}, Stop{}, Exit{5}}}, Sleep{time.Second}, Exit{1},
		},
		ends: []kernel.WaitStatus{1 << 8, 1},
	}, {
		name: "unless it ignores that", steps: []Step{
			Fork{Do: []Step{Setpgid{}, Ignore{kernel.SIGHUP}, Stop{}, Exit{5}}},
			Sleep{time.Second},
			Exit{1},
		},
		ends: []kernel.WaitStatus{1 << 8, 5 << 8},
	}, {
		name: "a group in another session keeps no parent", steps: []Step{
			Fork{Do: []Step{Setsid{}, Stop{}, Exit{5}}}, Sleep{time.Second}, Exit{1},
		},
		ends: []kernel.WaitStatus{1 << 8}, // the other is stopped for good
	}, {
		name: "run another program", steps: []Step{
			Run{[]string{"/bin/other", "x"}}, Say{"back"}, Run{[]string{"/bin/missing"}}, Exit{2},
		},
		console: "other\nback\n", ends: []kernel.WaitStatus{2 << 8},
	}, {
		name: "become another program", steps: []Step{
			Exec{[]string{"/bin/other"}}, Say{"not here"},
		},
		console: "other\n", ends: []kernel.WaitStatus{9 << 8},
	}, {
		name: "become none", steps: []Step{
			Exec{[]string{"/bin/missing"}}, Say{"not here"},
		},
		ends: []kernel.WaitStatus{127 << 8},
	}, {
		name: "what is ignored stays so over exec, a handler does not", steps: []Step{
			Ignore{kernel.SIGHUP}, Catch{kernel.SIGUSR1, nil}, Exec{[]string{"/bin/self"}},
		},
		ends: []kernel.WaitStatus{10},
	}, {
		name: "loops", steps: []Step{
			Loop{Times: 2, Do: []Step{Say{"a"}, Loop{Times: 3, Do: []Step{Say{"b"}}}}}, Say{"c"},
		},
		console: "a\nb\nb\nb\na\nb\nb\nb\nc\n", ends: []kernel.WaitStatus{0},
	}} {
		t.Run(test.name, func(t *testing.T) {
			console, ends := play(t, test.steps, func(m *Machine) {
				m.Apply(
					Install{"/bin/other", Program{Steps: []Step{Say{"other"}, Exit{9}}}},
					Install{"/bin/self", Program{Steps: []Step{
						Kill{PID: 0, Signal: kernel.SIGHUP}, Kill{PID: 0, Signal: kernel.SIGUSR1},
					}}},
				)
			})
			wantEqual(t, "console", console, test.console)
			wantEqual(t, "ends", ends, test.ends)
		})
	}
}

func TestOneChildSignalForMany(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"daemon": {Pause{}}})})
	m.Boot(func(k kernel.Kernel) int {
		const n = 100
		for range n {
			spawn(t, k, "daemon")
		}
		until(k, time.Second)
		k.KillAll(kernel.SIGKILL)
		// Nobody has died yet: PID 1 has the CPU.
		_, err := k.Wait()
		wantErr(t, "Wait", err, kernel.EAGAIN)
		wantEqual(t, "event", k.Next(kernel.Never),
			kernel.Event(kernel.Signaled{Signal: kernel.SIGCHLD}))
		if got := m.Count(Zombie); got != n {
			t.Errorf("zombies: got %d, want %d", got, n)
		}
		for i := range n {
			e, err := k.Wait()
			// The eldest first.
			if err != nil || e.PID != kernel.PID(3+i) {
				t.Fatalf("Wait: got %+v, %v", e, err)
			}
		}
		_, err = k.Wait()
		wantErr(t, "Wait", err, kernel.ECHILD)
		wantEqual(t, "event", k.Next(2*time.Second), kernel.Event(kernel.Expired{}))
		return 0
	})
}

func TestStatesOfProcesses(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{
		"r": {Spin{}}, "s": {Pause{}}, "d": {Hang{}}, "t": {Stop{}}, "z": nil,
	})})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "r", "s", "d", "t", "z")
		for k.Next(time.Second) != (kernel.Expired{}) {
			// SIGCHLD for the stopped one, and for the zombie, which stays one.
		}
		got := ""
		for _, p := range m.Processes() {
			got += p.Name + p.State.String() + " "
			stat, err := k.Proc(string(rune('0'+p.PID)) + "/stat")
			if want := "(" + p.Name + ") " + p.State.String(); err != nil ||
				!contains(stat, want) {
				t.Errorf("stat: got %q, %v, want %q in it", stat, err, want)
			}
		}
		wantEqual(t, "states", got, "rR sS dD tT zZ ")
		// PID 1 and kthreadd sleep, too.
		for state, want := range map[State]int{
			Running: 1, Sleeping: 3, Uninterruptible: 1, Stopped: 1, Zombie: 1,
		} {
			if got := m.Count(state); got != want {
				t.Errorf("Count(%v): got %d, want %d", state, got, want)
			}
		}
		return 0
	})
}

package simkernel

import (
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// tallyStep counts how often it is done, and ends a machine that has let it be done too often.
type tallyStep struct{ n *int }

func (tallyStep) step() {}

// tooOften is more than the machine lets be done at one instant in these tests.
const tooOften = 2 * workLimit

func (s tallyStep) do(m *Machine, _ *process) verdict {
	*s.n++
	if *s.n > tooOften {
		m.over(End{How: Stuck, Text: "the machine does not see that there is no end"})
	}
	return done
}

// What has no end at one instant is ended, however many processes come and go in it.
func TestLivelockOfForks(t *testing.T) {
	var n int
	tally := tallyStep{&n}
	forever := []Step{tally, nil}
	forever[1] = Fork{Do: forever}
	thread := []Step{tally, nil}
	thread[1] = StartThread{thread}
	for name, steps := range map[string][]Step{
		"a death wakes a loop that forks": {
			ChildSignals{NoWait: true},
			Catch{kernel.SIGCHLD, []Step{tally}},
			Loop{Do: []Step{Fork{}}},
		},
		"a death makes a handler fork": {
			ChildSignals{NoWait: true},
			Catch{kernel.SIGCHLD, []Step{tally, Fork{}}},
			Fork{},
			Loop{Do: []Step{Pause{}}},
		},
		"a handler forks, waits and raises its own signal": {
			Catch{kernel.SIGTERM, []Step{tally, Fork{}, Wait{}, Raise{kernel.SIGTERM}}},
			Raise{kernel.SIGTERM},
		},
		"a process forks its successor and ends": {
			Subreaper{}, ChildSignals{NoWait: true}, Fork{Do: forever}, Pause{},
		},
		"a thread starts its successor and ends": {StartThread{thread}, Pause{}},
	} {
		t.Run(name, func(t *testing.T) {
			n = 0
			m := New(Config{Programs: programs(map[string][]Step{"p": steps})})
			end := m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Second)
				return 0
			})
			wantLivelock(t, end)
		})
	}
}

// PID 1 is not spared, either, when it starts again at once what ends at once.
func TestLivelockOfRespawns(t *testing.T) {
	end := New(Config{}).Boot(func(k kernel.Kernel) int {
		for range tooOften {
			if _, err := k.Spawn(command("nothing")); err != nil {
				t.Fatal(err)
			}
			k.Next(kernel.Never)
			k.Wait()
		}
		return 0
	})
	wantLivelock(t, end)
}

func wantLivelock(t *testing.T, end End) {
	t.Helper()
	if end.How != Livelocked {
		t.Errorf("end: got %+v, want livelocked", end)
	}
}

// A signal to a thousand processes takes longer than one to one process.
func TestLivelockOfSignals(t *testing.T) {
	var n int
	m := New(Config{Programs: programs(map[string][]Step{"p": {
		Ignore{kernel.SIGUSR1},
		Fork{1000, []Step{Pause{}}},
		Catch{kernel.SIGTERM, []Step{
			tallyStep{&n}, Kill{PID: -1, Signal: kernel.SIGUSR1}, Raise{kernel.SIGTERM},
		}},
		Raise{kernel.SIGTERM},
	}})})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, time.Second)
		return 0
	})
	wantLivelock(t, end)
	if most := (workLimit + workLimitPerTask*1003) * signalsPerWork / 1000; n > most {
		t.Errorf("signals to 1000 processes: got %d, want %d at most", n, most)
	}
}

// Many processes may do much at one instant, even if they have all ended when it is over.
func TestManyProcessesAtOneInstant(t *testing.T) {
	var n int
	const processes, turns = 20_000, 100
	m := New(Config{Programs: programs(map[string][]Step{"p": {
		ChildSignals{NoWait: true},
		Fork{processes, []Step{Loop{turns, []Step{tallyStep{&n}}}}},
		Wait{},
	}})})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, time.Second)
		return 0
	})
	if end.How != Exited || n != processes*turns || m.Count(Zombie) > 0 {
		t.Errorf("got %d turns, %d zombies, %+v; want %d turns and PID 1's exit",
			n, m.Count(Zombie), end, processes*turns)
	}
}

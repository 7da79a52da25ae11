package simkernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// trivial is the least that a PID 1 does: it starts commands, reaps, and at SIGTERM ends all and
// reboots.
func trivial(k kernel.Kernel, n int, c *kernel.Command) int {
	for range n {
		if _, err := k.Spawn(c); err != nil {
			return 1
		}
	}
	for {
		ev, ok := k.Next(kernel.Never).(kernel.Signaled)
		if !ok {
			continue
		}
		switch ev.Signal {
		case kernel.SIGTERM:
			if err := k.KillAll(kernel.SIGTERM); err != nil {
				return 2
			}
		case kernel.SIGCHLD:
			for {
				_, err := k.Wait()
				if err == kernel.ECHILD {
					if _, err := k.Call(kernel.Reboot{Cmd: kernel.Restart}); err != nil {
						return 3
					}
				}
				if err != nil {
					break
				}
			}
		}
	}
}

func BenchmarkBoot(b *testing.B) {
	cfg := Config{Programs: map[string]Program{
		"/bin/daemon": {Steps: []Step{Say{"up"}, Catch{kernel.SIGTERM, []Step{Exit{0}}}, Pause{}}},
	}}
	c := &kernel.Command{Paths: []string{"/bin/daemon"}, Argv: []string{"daemon"}}
	b.ReportAllocs()
	for b.Loop() {
		m := New(cfg)
		m.At(time.Second, Signals(kernel.SIGTERM))
		end := m.Boot(func(k kernel.Kernel) int { return trivial(k, 4, c) })
		if end.How != Restarted {
			b.Fatal(end)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "boots/s")
}

func BenchmarkMachine(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			cfg := Config{PIDMax: 1 << 22, Programs: map[string]Program{
				"/bin/daemon": {Steps: []Step{
					Catch{kernel.SIGTERM, []Step{Exit{0}}}, Pause{},
				}},
			}}
			c := &kernel.Command{Paths: []string{"/bin/daemon"}, Argv: []string{"daemon"}}
			b.ReportAllocs()
			for b.Loop() {
				m := New(cfg)
				m.At(time.Second, Signals(kernel.SIGTERM))
				end := m.Boot(func(k kernel.Kernel) int { return trivial(k, n, c) })
				if end.How != Restarted {
					b.Fatal(end)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/process")
		})
	}
}

func TestManyProcesses(t *testing.T) {
	const n = 100_000
	m := New(Config{PIDMax: 1 << 22, Programs: programs(map[string][]Step{"daemon": {Pause{}}})})
	m.At(time.Second, Signals(kernel.SIGTERM))
	end := m.Boot(func(k kernel.Kernel) int { return trivial(k, n, command("daemon")) })
	if end.How != Restarted || end.At != time.Second {
		t.Errorf("end: got %+v, want a restart at 1s", end)
	}
	// Once for what they print, SIGTERM, once for all the deaths, and the end of Next.
	if got := m.Calls("Next"); got > 4 {
		t.Errorf("calls of Next: got %d, want 4 at most: signals are not counted", got)
	}
}

package simkernel

import (
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestBootToRestart(t *testing.T) {
	m := New(Config{Programs: map[string]Program{
		"/bin/hello": {Steps: []Step{Say{"hello"}}},
		"/bin/daemon": {Steps: []Step{Say{"up"}, Catch{kernel.SIGTERM, []Step{
			Sleep{time.Second}, Say{"bye"}, Exit{3},
		}}, Pause{}}},
	}})
	m.At(2*time.Second, Signals(kernel.SIGTERM, kernel.SIGINT))
	end := m.Boot(func(k kernel.Kernel) int {
		k.Spawn(&kernel.Command{Paths: []string{"/bin/hello"}, Argv: []string{"hello"}})
		k.Spawn(&kernel.Command{Paths: []string{"/bin/daemon"}, Argv: []string{"daemon"}})
		for {
			switch ev := k.Next(kernel.Never).(type) {
			case kernel.Signaled:
				switch ev.Signal {
				case kernel.SIGTERM:
					k.KillAll(kernel.SIGTERM)
				case kernel.SIGCHLD:
					for {
						e, err := k.Wait()
						if err == kernel.ECHILD {
							k.Call(kernel.Reboot{Cmd: kernel.Restart})
						}
						if err != nil {
							break
						}
						t.Log(k.Now(), e)
					}
				}
			}
		}
	})
	t.Log(end)
	for _, l := range m.Console() {
		t.Log(l)
	}
}

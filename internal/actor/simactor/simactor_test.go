package simactor

import (
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestProgram: what the operations come to. That it is the same on the running kernel is shown by
// the scripts of package realactor.
func TestProgram(t *testing.T) {
	for _, c := range []struct {
		words, want string
		status      kernel.WaitStatus
		takes       time.Duration
	}{
		{words: ""},
		{words: "say one, sleep 2s, say two, exit 3", want: "one\ntwo\n", status: 3 << 8, takes: 2 * time.Second},
		{words: "exti 3", want: "actor: word 1, \"exti\": want a step, such as say, sleep or exit (exit?)\n", status: 2 << 8},
		{words: "ignore all, block TERM, die TERM", status: 15},
		{words: "loop 3, say turn", want: "turn\nturn\nturn\n"},
		{words: "beside 2, say here", want: "here\nhere\nhere\n"},
		{words: "hang 2s, exit 1", status: 1 << 8, takes: 2 * time.Second},
		{words: "fork 2, sleep 1s, say orphan", want: "orphan\norphan\n", takes: time.Second},
		{words: "as a name, fork, sleep 1s, kill name KILL, say alive", want: "alive\n", takes: time.Second},
		{words: "as one, fork, kill one KILL, say dead"},
		{words: "write /tmp/f a b, append /tmp/f c, cat /tmp/f", want: "a b\nc\n"},
		{words: "write /tmp/f, cat /tmp/f, remove /tmp/f, cat /tmp/f", want: "/tmp/f: no such file or directory\n"},
		{words: "write /none/f x, remove /none, cat /tmp", want: "/none/f: no such file or directory\n/none: no such file or directory\n/tmp: is a directory\n"},
		{words: "env A, env B, run actor env A", want: "A=1\nB is not set\nA=1\n"},
		{words: "exec nothing", status: 127 << 8},
		{words: "start actor sleep 2s, wait, say waited", want: "waited\n", takes: 2 * time.Second},
	} {
		m := simkernel.New(simkernel.Config{
			Dirs: []string{"/tmp"}, Until: time.Minute,
			Programs: map[string]simkernel.Program{"/bin/actor": Program()},
		})
		var status kernel.WaitStatus
		var takes time.Duration
		m.Boot(func(k kernel.Kernel) int {
			pid, err := k.Spawn(&kernel.Command{
				Paths: []string{"/bin/actor"}, Env: []string{"A=1"},
				Argv: append([]string{"actor"}, strings.Fields(c.words)...),
			})
			if err != nil {
				t.Fatal(err)
			}
			for {
				e, err := k.Wait()
				switch {
				case err == nil && e.PID == pid:
					status = e.Status
				case err == kernel.ECHILD:
					takes = m.Now().Truncate(time.Second)
					return 0
				case err != nil:
					k.Next(kernel.Never)
				}
			}
		})
		if got := m.ConsoleText(); got != c.want || status != c.status || takes != c.takes {
			t.Errorf("%q:\n got %q, status %#x, after %v\nwant %q, status %#x, after %v",
				c.words, got, uint32(status), takes, c.want, uint32(c.status), c.takes)
		}
	}
}

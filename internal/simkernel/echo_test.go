package simkernel

import (
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestEchoShowsTheEnvironment(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"echo": {
		Echo{"going down: $ACTION${NOTHING}."},
	}})})
	m.Boot(func(k kernel.Kernel) int {
		c := command("echo")
		c.Env = []string{"ACTION=reboot"}
		if _, err := k.Spawn(c); err != nil {
			t.Error(err)
		}
		k.Next(kernel.Never)
		return 0
	})
	if got, want := m.ConsoleText(), "going down: reboot.\n"; got != want {
		t.Errorf("console:\ngot  %q\nwant %q", got, want)
	}
}

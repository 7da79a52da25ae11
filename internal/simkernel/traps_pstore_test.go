package simkernel

import "testing"

// TestTrap18 is a panic that restarts: the log is dumped twice, first for the panic, and ramoops keeps
// the first alone unless it is told otherwise. Other ways down leave something only if it is.
func TestTrap18(t *testing.T) {
	reset := Do(func(m *Machine) { m.emergencyRestart() })
	for _, c := range []struct {
		ramoops, cmdline string
		how              Action
		want             []string
	}{
		{"", "panic=1", panics, []string{"Panic#1 Part1"}},
		{" max_reason=3", "panic=1", panics, []string{"Panic#1 Part1", "Emergency#2 Part1"}},
		{" max_reason=3", "panic=-1", panics, []string{"Panic#1 Part1", "Emergency#2 Part1"}},
		{" max_reason=3", "panic=0", panics, []string{"Panic#1 Part1"}},
		{" max_reason=1", "panic=0", inThread, nil},
		{"", "", reset, nil},
		{" max_reason=3", "", reset, []string{"Emergency#1 Part1"}},
		{" max_reason=0", "printk.always_kmsg_dump", reset, []string{"Emergency#1 Part1"}},
	} {
		cfg := Config{Ramoops: ramoopsHere + c.ramoops, Cmdline: c.cmdline}
		how := []Action{c.how, Do(func(m *Machine) { m.raise(m.now, PressReset{}) })}
		if c.how != Action(panics) {
			wantEqual(t, c.cmdline+c.ramoops, leaves(t, cfg, how...), c.want)
			continue
		}
		wantEqual(t, c.cmdline+c.ramoops, leaves(t, cfg, c.how), c.want)
	}
}

package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// idle is a PID 1 that waits.
func idle(k kernel.Kernel) int {
	for {
		k.Next(kernel.Never)
	}
}

// dead plays a machine on which the kernel fails after a second, and returns it with its end and
// what the kernel has said since.
func dead(t *testing.T, cfg Config, fails ...Action) (*Machine, End, []string) {
	t.Helper()
	m := New(cfg)
	before := 0
	m.At(time.Second, Do(func(m *Machine) { before = len(m.Log()) }))
	m.At(time.Second, fails...)
	end := m.Boot(idle)
	var said []string
	for _, l := range m.Log()[before:] {
		if l.Kernel {
			said = append(said, l.Text)
		}
	}
	return m, end, said
}

func TestPanicTimeout(t *testing.T) {
	const overflow = "2147484"
	for _, test := range []struct {
		kernel, panic string
		then          How
		after         time.Duration
		rebooting     bool
	}{
		{"linux-6.1-x86_64", "0", Hung, 0, false},
		{"linux-6.1-x86_64", "5", Restarted, 5 * time.Second, true},
		{"linux-6.1-x86_64", "-1", Restarted, 0, false},
		{"linux-6.1-x86_64", overflow, Restarted, 0, true},
		{"linux-6.1-arm64", "2", Restarted, 2 * time.Second, true},
		{"linux-3.10-arm", "-1", Restarted, 0, false},
		{"linux-3.10-mips-wdt", "3", Restarted, 3 * time.Second, true},
		{"linux-2.6.24-i386", "0", Hung, 0, false},
		{"linux-2.6.24-i386", "4", Restarted, 4 * time.Second, true},
		{"linux-2.6.24-i386", "-1", Hung, 0, false},
	} {
		t.Run(test.kernel+" "+test.panic, func(t *testing.T) {
			cfg := Config{Kernel: test.kernel, Cmdline: "sysctl.kernel.panic=" + test.panic}
			_, end, said := dead(t, cfg, Fail{How: PanicCall{"x"}})
			if end.How != Panicked || end.Then != test.then || end.Since != time.Second ||
				end.At-end.Since < test.after || end.At-end.Since > test.after+time.Second {
				t.Errorf("got %+v", end)
			}
			got := slices.ContainsFunc(said, func(s string) bool {
				return s == "Rebooting in "+test.panic+" seconds.."
			})
			if got != test.rebooting {
				t.Errorf("said %q", said)
			}
		})
	}
}

// TestPanicSays looks at the lines of each kind of kernel, without the stack.
func TestPanicSays(t *testing.T) {
	const first, last = "Kernel panic - not syncing: x", "---[ end Kernel panic - not syncing: x ]---"
	for kernel, want := range map[string][]string{
		"linux-2.6.17-i386":   {first},
		"linux-3.10-mips-wdt": {first},
		"linux-4.19-x86_64":   {first, "Kernel Offset: disabled", last},
		"linux-6.1-x86_64":    {first, "Kernel Offset: disabled", last},
	} {
		cfg := Config{Kernel: kernel, Panic: PanicConfig{NoKASLR: true}}
		_, _, said := dead(t, cfg, Fail{How: PanicCall{"x"}})
		said = slices.DeleteFunc(said, func(s string) bool {
			return strings.HasPrefix(s, "CPU: ") || strings.HasPrefix(s, "Hardware name") ||
				strings.HasPrefix(s, "Call Trace") || strings.HasPrefix(s, " <")
		})
		if !slices.Equal(said, want) {
			t.Errorf("%s: said %q, want %q", kernel, said, want)
		}
	}
}

// TestTwoPanics lets two CPUs panic at once: the second waits with interrupts off, and the first
// needs an NMI to stop it.
func TestTwoPanics(t *testing.T) {
	cfg := Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: "sysctl.kernel.panic=1"}
	second := Do(func(m *Machine) { m.stick(&m.cpus[1], idleTask(1), true) })
	_, end, said := dead(t, cfg, second, Fail{How: PanicCall{"x"}})
	if end.Then != Restarted || end.At-end.Since < 2*time.Second {
		t.Errorf("got %+v", end)
	}
	if !slices.Contains(said, "Shutting down cpus with NMI") {
		t.Errorf("said %q", said)
	}
}

// TestWatchdogDuringPanic is hardware that goes on when nothing else does.
func TestWatchdogDuringPanic(t *testing.T) {
	bite := Do(func(m *Machine) { m.finish(End{How: ResetByWatchdog}) })
	for _, panic := range []string{"0", "60"} {
		start := Do(func(m *Machine) { m.raise(m.now+8*time.Second, bite) })
		m, end, _ := dead(t, Config{Cmdline: "sysctl.kernel.panic=" + panic}, start,
			Fail{How: PanicCall{"x"}})
		if end.Then != ResetByWatchdog || end.At != 9*time.Second {
			t.Errorf("panic=%s: got %+v", panic, end)
		}
		if _, err := m.NextBoot(PowerOn{}); err != nil {
			t.Error(err)
		}
	}
}

// TestDeaf is a timer of the kernel, as softdog has: no panic on x86 lets it happen, but on ARM.
func TestDeaf(t *testing.T) {
	bite := Do(func(m *Machine) { m.finish(End{How: ResetByWatchdog}) })
	for kernel, want := range map[string]How{
		"linux-6.1-x86_64": Hung, "linux-6.1-arm64": ResetByWatchdog,
	} {
		start := Do(func(m *Machine) { m.interruptAt(m.now+8*time.Second, 0, bite) })
		m, end, _ := dead(t, Config{Kernel: kernel}, start, Fail{How: PanicCall{"x"}})
		if end.Then != want {
			t.Errorf("%s: got %+v, %+v", kernel, end, m.Answers())
		}
	}
}

// TestPanicInNotifier runs the whole of panic() again, without a second stack dump.
func TestPanicInNotifier(t *testing.T) {
	cfg := Config{
		Panic:   PanicConfig{Notifiers: []Notifier{{Name: "bad", Fails: &once{how: PanicCall{"again"}}}}},
		Cmdline: "sysctl.kernel.panic=1",
	}
	_, end, said := dead(t, cfg, Fail{How: PanicCall{"x"}})
	want := []string{"Kernel panic - not syncing: x", "Kernel panic - not syncing: again"}
	var got []string
	traces := 0
	for _, s := range said {
		if strings.HasPrefix(s, "Kernel panic") {
			got = append(got, s)
		}
		if s == "Call Trace:" {
			traces++
		}
	}
	if !slices.Equal(got, want) || traces != 1 || end.Then != Restarted || end.Text != want[0] {
		t.Errorf("got %+v, %d traces, %q", end, traces, said)
	}
}

// once fails the first time only.
type once struct {
	how  Failure
	done bool
}

func (o *once) fail(m *Machine, x *context) {
	if !o.done {
		o.done = true
		o.how.fail(m, x)
	}
}

// TestBlinks counts the lights: ten steps and five blinks a second.
func TestBlinks(t *testing.T) {
	for _, test := range []struct {
		kernel string
		blinks int
	}{{"linux-6.1-x86_64", 15}, {"linux-2.6.24-i386", 0}} {
		m, _, _ := dead(t, Config{Kernel: test.kernel, Cmdline: "sysctl.kernel.panic=3"},
			Fail{How: PanicCall{"x"}})
		if m.Blinks() != test.blinks {
			t.Errorf("%s: %d blinks, want %d", test.kernel, m.Blinks(), test.blinks)
		}
	}
	blinker := PanicConfig{Blinker: &Blinker{}}
	m, _, _ := dead(t, Config{
		Kernel: "linux-2.6.24-i386", Panic: blinker, Cmdline: "sysctl.kernel.panic=3",
	}, Fail{How: PanicCall{"x"}})
	if m.Blinks() != 5 {
		t.Errorf("with i8042: %d blinks, want 5", m.Blinks())
	}
}

package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The traps of section 10 that are about reboot(2), signals and the clock.

// TestTrap4 is a halt by a PID 1 that has one thread: a modern kernel stands still and does not
// panic. Only where machine_halt comes back the caller ends.
func TestTrap4(t *testing.T) {
	byInit := func(name string) (End, []string) {
		m := New(Config{Kernel: name, Reboot: RebootConfig{SingleThreaded: true}})
		end := m.Boot(func(k kernel.Kernel) int {
			k.RebootSelf(kernel.Halt)
			return 0
		})
		var said []string
		for _, l := range m.Log() {
			said = append(said, l.Text)
		}
		return end, said
	}
	for _, name := range slices.Concat(x86s, arms) {
		if end, said := byInit(name); end.How != Halted || has(said, "Kernel panic") {
			t.Errorf("%s: got %+v, said %q", name, end, said)
		}
	}
	for _, name := range linux26s {
		end, said := byInit(name)
		if end.How != Exited || !has(said, "Kernel panic - not syncing: Attempted to kill init!") {
			t.Errorf("%s: got %+v, said %q", name, end, said)
		}
	}
}

// TestTrap5 is a Go program that has not asked for SIGTERM. Its runtime has a handler all the same,
// which takes itself away and raises the signal again. That ends it, unless it is an init, for which
// there is no such thing as the default: then the runtime exits with 2, and if it is PID 1 of the
// machine that is a panic.
func TestTrap5(t *testing.T) {
	const term = kernel.Signal(syscall.SIGTERM)
	goProgram := []Step{
		Catch{term, []Step{Default{term}, Unblock{term}, Raise{term}, Exit{2}}}, Pause{},
	}
	for _, c := range []struct {
		newPID bool
		want   kernel.WaitStatus
	}{{false, 15}, {true, 2 << 8}} {
		m := New(Config{Programs: programs(map[string][]Step{
			"parent": {Clone{NewPID: c.newPID, Do: goProgram}, Pause{}},
		})})
		var child kernel.PID
		var got kernel.WaitStatus
		m.Boot(func(k kernel.Kernel) int {
			parent := spawn(t, k, "parent")[0]
			k.Next(time.Second)
			for p := m.all.first; p != nil; p = p.nextAll {
				if p.parent != nil && p.parent.pid == parent {
					child = p.pid
				}
			}
			wantErr(t, "SIGTERM", k.Kill(child, term), 0)
			k.Next(2 * time.Second)
			if p := m.find(child); p != nil && p.state == Zombie {
				got = p.status
			}
			return 0
		})
		if got != c.want {
			t.Errorf("an init %v: process %d ended with %#x, want %#x", c.newPID, child, got, c.want)
		}
	}
	// PID 1 itself is code of the test: what its runtime would do last is to exit with 2.
	for _, sent := range []bool{true, false} {
		cfg := Config{Until: time.Minute}
		m := New(cfg)
		if sent {
			m.At(3*time.Second, Signals(term))
		}
		end := m.Boot(func(k kernel.Kernel) int {
			for {
				if s, ok := k.Next(kernel.Never).(kernel.Signaled); ok && s.Signal == term {
					return 2
				}
			}
		})
		const text = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000200"
		told := slices.ContainsFunc(m.Log(), func(l LogLine) bool { return l.Text == text })
		if told != sent || sent && (end.Text != text || end.Since != 3*time.Second || end.Status != 2<<8) {
			t.Errorf("sent %v: got %+v", sent, end)
		}
	}
}

// TestTrap7 is to kill all until nobody is left: there is always somebody but in a namespace.
func TestTrap7(t *testing.T) {
	for namespace, want := range map[bool]kernel.Errno{false: 0, true: kernel.ESRCH} {
		New(Config{Namespace: namespace}).Boot(func(k kernel.Kernel) int {
			for range 100 {
				wantErr(t, "KillAll", k.KillAll(kernel.SIGKILL), want)
			}
			return 0
		})
	}
}

// TestTrap8 are signals that do nothing and are said to have been sent.
func TestTrap8(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"ends": {}})})
	m.Boot(func(k kernel.Kernel) int {
		wantErr(t, "to itself", k.Kill(1, kernel.SIGKILL), 0)
		wantErr(t, "to a thread of the kernel", k.Kill(2, kernel.SIGKILL), 0)
		pid := spawn(t, k, "ends")[0]
		k.Next(time.Second)
		wantErr(t, "to a zombie", k.Kill(pid, kernel.SIGKILL), 0)
		k.Next(2 * time.Second)
		return 0
	})
}

// TestTrap8 of a user: everybody is somebody else's, and yet all is said to be well.
func TestTrap8OfAUser(t *testing.T) {
	caseOf{
		steps: []Step{SetUID{1000}, Kill{PID: -1, Signal: kernel.SIGKILL}, Exit{5}},
	}.play(t, func(t *testing.T, f *fate) {
		wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{5 << 8})
		if !f.lived() {
			t.Errorf("got %+v", f.end)
		}
	})
	m := New(Config{Programs: programs(map[string][]Step{"user": {SetUID{1000}, Pause{}}})})
	m.Boot(func(k kernel.Kernel) int {
		pid := spawn(t, k, "user")[0]
		k.Next(time.Second)
		if e := m.kill(m.find(pid), -1, kernel.SIGKILL, false); e != 0 {
			t.Errorf("got %v, want none", e)
		}
		return 0
	})
}

// TestTrap10 is who may not, who asks for nonsense, and who asks for what a namespace has not.
func TestTrap10(t *testing.T) {
	caseOf{cfg: lacking(CapSysBoot), steps: []Step{Reboot{Magic1: 1}}, kernels: Kernels()}.play(
		t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EPERM) })
	for cmd, want := range map[kernel.RebootCmd]kernel.WaitStatus{
		kernel.Restart: 1, kernel.Halt: 2, kernel.PowerOff: 2,
	} {
		end := New(Config{Namespace: true}).Boot(func(k kernel.Kernel) int {
			wantErr(t, "CAD_ON", k.RebootSelf(kernel.CadOn), kernel.EINVAL)
			wantErr(t, "KEXEC", k.RebootSelf(Kexec), kernel.EINVAL)
			k.RebootSelf(cmd)
			return 0
		})
		wantEqual(t, "status", end.Status, want)
	}
}

// TestTrap11 is a power-off without a method, which is a halt, to the notifiers as well.
func TestTrap11(t *testing.T) {
	for name, want := range map[string]string{
		"linux-6.1-x86_64":  "0 reboot: System halted",
		"linux-6.12-x86_64": "0 reboot: Power off not available: System halted instead",
	} {
		caseOf{
			cfg:   Config{Cmdline: "acpi=off", Reboot: RebootConfig{Notifiers: []Notifier{{Name: "n"}}}},
			steps: []Step{powerOff}, kernels: []string{name},
		}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Halted)
			wantEqual(t, "action", f.stepsOf("reboot_notifier_list")[0], "action 2")
			wantEqual(t, "last word", f.said[len(f.said)-1], want)
		})
	}
}

// TestTrap22 is that no time of the log passes while a panic prints.
func TestTrap22(t *testing.T) {
	m, end, said := dead(t, Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: "panic=5"}, panics)
	for _, l := range m.Log() {
		if l.At != end.Since {
			t.Errorf("%v: %q", l.At, l.Text)
		}
	}
	if len(said) < 5 || end.At != end.Since+5*time.Second {
		t.Errorf("got %+v, said %q", end, said)
	}
}

// TestTrap23 is that a restart says two things on a PC, of which quiet shows one, and that ACPI speaks
// of a sleep state in any case.
func TestTrap23(t *testing.T) {
	for words, want := range map[string][]string{
		"": {
			"ACPI: PM: Preparing to enter system sleep state S5", "reboot: Restarting system",
			"reboot: machine restart",
		},
		"quiet": {"reboot: Restarting system"},
	} {
		caseOf{
			cfg: Config{Cmdline: words, Firmware: Firmware{ACPI: true}}, steps: []Step{restart},
		}.play(t, func(t *testing.T, f *fate) {
			var shown []string
			for _, l := range f.Screen() {
				if _, text, ok := strings.Cut(l.Text, "] "); ok {
					shown = append(shown, text)
				}
			}
			wantEqual(t, "on the console, "+words, shown, want)
		})
	}
}

// TestTrap24 is a reboot notifier that ends the chain, and not the reboot.
func TestTrap24(t *testing.T) {
	caseOf{
		cfg: Config{Reboot: RebootConfig{Notifiers: []Notifier{
			{Name: "last"}, {Name: "bad", Priority: 5, Returns: NotifyBad}, {Name: "first", Priority: 10},
		}}},
		steps: []Step{restart}, kernels: modern,
	}.play(t, func(t *testing.T, f *fate) {
		wantHow(t, f, Restarted)
		called := f.stepsOf("reboot_notifier_list")
		if !slices.Contains(called, "first") || !slices.Contains(called, "bad") ||
			slices.Contains(called, "last") {
			t.Errorf("called %q", called)
		}
	})
}

// TestTrap25 is that the ways to end differ, though QEMU with -no-reboot exits the same way for most
// of them.
func TestTrap25(t *testing.T) {
	hard := Config{Watchdogs: []Watchdog{{Driver: "i6300esb"}}}
	for name, c := range map[string]struct {
		cfg       Config
		do        Action
		how, then How
	}{
		"reboot":    {Config{}, starts("off", restart), Restarted, 0},
		"power-off": {Config{}, starts("off", powerOff), PoweredOff, 0},
		"halt":      {Config{}, starts("off", halt), Halted, 0},
		"triple":    {Config{Cmdline: "reboot=t"}, writes("b"), Restarted, 0},
		"panic=1":   {Config{Cmdline: "panic=1"}, panics, Panicked, Restarted},
		"panic=0":   {Config{}, panics, Panicked, Hung},
		"watchdog":  {hard, keeper(8, 0, kernel.Never), ResetByWatchdog, 0},
	} {
		_, end, _ := dead(t, c.cfg, c.do)
		if end.How != c.how || end.Then != c.then {
			t.Errorf("%s: got %+v", name, end)
		}
	}
}

// TestTrap27 is Ctrl-Alt-Del, which asks nobody unless PID 1 has said that it wants to be.
func TestTrap27(t *testing.T) {
	for _, told := range []bool{false, true} {
		m := New(Config{})
		m.At(time.Second, CtrlAltDel{})
		asked := false
		end := m.Boot(func(k kernel.Kernel) int {
			if told {
				k.RebootSelf(kernel.CadOff)
			}
			for {
				switch e := k.Next(5 * time.Second).(type) {
				case kernel.Signaled:
					asked = asked || e.Signal == syscall.SIGINT
				case kernel.Expired:
					return 0
				}
			}
		})
		if asked != told || (end.How == Restarted) == told {
			t.Errorf("told %v: asked %v, %+v", told, asked, end)
		}
	}
}

// TestTrap31 is that reboot notifiers and devices are for reboot(2) and what goes the same way: neither
// a panic nor the key b calls them. Who writes files down is nobody.
func TestTrap31(t *testing.T) {
	for name, c := range map[string]struct {
		do      Action
		orderly bool
	}{
		"reboot(2)": {starts("off", restart), true},
		"panic":     {panics, false},
		"sysrq b":   {writes("b"), false},
		"keys":      {CtrlAltDel{}, true},
		"sysrq o":   {writes("o"), true},
	} {
		var steps []string
		cfg := Config{
			Cmdline: "panic=-1",
			Reboot: RebootConfig{
				Notifiers: []Notifier{{Name: "n"}}, Devices: []Device{{Name: "d", Driver: "d"}},
				Trace: func(_ time.Duration, step, _ string) { steps = append(steps, step) },
			},
		}
		_, _, said := dead(t, cfg, c.do)
		orderly := slices.Contains(steps, "reboot_notifier_list") && slices.Contains(steps, "device_shutdown")
		if orderly != c.orderly || has(said, "Emergency Sync") {
			t.Errorf("%s: steps %q, said %q", name, steps, said)
		}
	}
}

package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Where a simulation of panics and oopses goes wrong if it does what one would expect. The numbers are
// those of section 10 of docs/kernel.md.

// TestTrap1 is a panic_timeout in milliseconds that no int holds.
func TestTrap1(t *testing.T) {
	for _, name := range Kernels() {
		for panic, after := range map[string]time.Duration{"2147483": 2147483 * time.Second, "2147484": 0} {
			cfg := Config{Kernel: name, Cmdline: "sysctl.kernel.panic=" + panic, Until: kernel.Never / 2}
			_, end, said := dead(t, cfg, Fail{How: PanicCall{"x"}})
			if end.Then != Restarted || end.At-end.Since < after || end.At-end.Since > after+time.Second {
				t.Errorf("%s: panic=%s: got %+v", name, panic, end)
			}
			if !slices.Contains(said, "Rebooting in "+panic+" seconds..") {
				t.Errorf("%s: said %q", name, said)
			}
		}
	}
}

// TestTrap2 is a negative panic_timeout: it restarts at once and without a word, but in 2.6 never.
func TestTrap2(t *testing.T) {
	onEach(t, Kernels(), Config{Cmdline: "sysctl.kernel.panic=-1"}, func(t *testing.T, f failed) {
		f.wantNone(t, "Rebooting")
		if is26(f) {
			if f.end.Then != Hung {
				t.Errorf("got %+v", f.end)
			}
			return
		}
		if f.end.Then != Restarted || f.end.At != f.end.Since {
			t.Errorf("got %+v", f.end)
		}
		last := f.said[len(f.said)-1]
		if f.kernel.arch == archX86 && !strings.HasPrefix(last, "Kernel Offset:") {
			t.Errorf("the last line is %q", last)
		}
	}, Fail{How: PanicCall{"x"}})
}

// TestTrap6 is a C library's abort() in PID 1: the signal that it raises is ignored, and what kills it
// is the instruction behind.
func TestTrap6(t *testing.T) {
	abort := []Step{Raise{kernel.Signal(6)}, Fault{kernel.Signal(11)}, Exit{3}}
	caseOf{
		steps: []Step{Clone{NewPID: true, Do: abort}, WaitFor{}, Exit{9}}, kernels: pcs,
	}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, 9) })
	for _, c := range []struct {
		do   []Step
		want kernel.WaitStatus
	}{{abort, 11}, {[]Step{Raise{kernel.Signal(6)}, Exit{3}}, 3 << 8}} {
		m := New(Config{Programs: map[string]Program{
			"/bin/a": {Steps: []Step{Clone{NewPID: true, Do: c.do}, Pause{}}},
		}})
		var got kernel.WaitStatus
		m.At(time.Second, Do(func(m *Machine) {
			for p := m.all.first; p != nil; p = p.nextAll {
				if p.ns != m.root && p.state == Zombie {
					got = p.status
				}
			}
		}))
		m.Boot(func(k kernel.Kernel) int {
			k.Spawn(command("a"))
			k.Next(2 * time.Second)
			return 0
		})
		if got != c.want {
			t.Errorf("the init of a namespace ended with %#x, want %#x", got, c.want)
		}
	}
	onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
		f.wantPanic(t, "Attempted to kill init! exitcode=0x0000000b")
	}, Do(func(m *Machine) { m.finish(End{How: Exited, Status: 11}) }))
}

// TestTrap9 is the process that the panic shows when an init with threads ends: it is not 1.
func TestTrap9(t *testing.T) {
	cfg := Config{Threads: [][]Step{{Pause{}}, {Pause{}}, {Pause{}}}}
	onEachInit(t, newPCs, cfg, 2, func(t *testing.T, f failed) {
		f.wantPanic(t, "Attempted to kill init! exitcode=0x00000200")
		if count(f.said, " Comm: init ") != 1 || f.has(" PID: 1 ") {
			t.Errorf("said %q", f.said)
		}
	})
}

// TestTrap14 is the signal by which an oops kills: it depends on the error, and on the architecture.
// The detector of hung tasks is off from then on.
func TestTrap14(t *testing.T) {
	exitOf(t, newPCs, NullWrite{Addr: 0x30}, 9)
	exitOf(t, newPCs, BugCall{}, 11)
	exitOf(t, arm64s, NullWrite{Addr: 0x30}, 11)
	exitOf(t, arm64s, BugCall{}, 11)
	for _, first := range [][]Action{nil, {inThread}} {
		cfg := Config{Until: 10 * time.Minute, Cmdline: "hung_task_panic=1"}
		onEach(t, newPCs, cfg, func(t *testing.T, f failed) {
			if f.has("blocked for more than") != (first == nil) {
				t.Errorf("said %q", f.said)
			}
		}, append(first, starts("hung", Hang{}))...)
	}
}

// TestTrap15 is an oops in a timer: a panic, though nobody has asked for one, and with one stack only.
func TestTrap15(t *testing.T) {
	onEach(t, newPCs, Config{Cmdline: "sysctl.kernel.panic_on_oops=0"}, func(t *testing.T, f failed) {
		f.wantPanic(t, "Fatal exception in interrupt")
		if n := count(f.said, "Call Trace:"); n != 1 {
			t.Errorf("%d stacks", n)
		}
	}, inTimer)
}

// TestTrap16 is where a limit strikes: at the warning that reaches it, after its registers, and its end
// trace is never said.
func TestTrap16(t *testing.T) {
	warn := starts("warned", Oops{How: WarnCall{}}, Oops{How: WarnCall{}}, Oops{How: WarnCall{}})
	onEach(t, newPCs, Config{Cmdline: "sysctl.kernel.warn_limit=2"}, func(t *testing.T, f failed) {
		f.wantPanic(t, "kernel: system warned too often (kernel.warn_limit is 2)")
		if n := count(f.said, "end trace"); n != 1 || count(f.said, cutHere) != 2 {
			t.Errorf("%d end traces", n)
		}
	}, warn)
	onEach(t, newPCs, Config{Cmdline: "sysctl.kernel.oops_limit=1"}, func(t *testing.T, f failed) {
		f.wantPanic(t, "Oopsed too often (kernel.oops_limit is 1)")
	}, inProgram)
}

// TestTrap19 is two CPUs that panic: the second one waits with interrupts off, so the first needs a
// second and an NMI to stop it.
func TestTrap19(t *testing.T) {
	cfg := Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: "sysctl.kernel.panic=1"}
	cfg.Panic.NoKASLR = true
	onEach(t, newPCs, cfg, func(t *testing.T, f failed) {
		f.wantPanic(t, "first")
		f.wantNone(t, "not syncing: second")
		f.wantLines(t, "Kernel panic - not syncing: first", "Call Trace:", "Shutting down cpus with NMI",
			"Kernel Offset: disabled", "Rebooting in 1 seconds..")
		// A second for the one that does not listen, and the one of panic=1.
		if f.end.At-f.end.Since != 2*time.Second {
			t.Errorf("got %+v", f.end)
		}
	}, Fail{How: PanicTwice{First: "first", Second: "second"}})
}

// TestTrap28 are the settings that a panic clears so that it is not its own cause, and a panic in its
// own notifier, which is one from the top.
func TestTrap28(t *testing.T) {
	onEach(t, newPCs, Config{Cmdline: "panic_on_warn=1 sysctl.kernel.panic=1", Panic: PanicConfig{
		Notifiers: []Notifier{{Name: "careless", Fails: WarnCall{}}},
	}}, func(t *testing.T, f failed) {
		if n := count(f.said, "Kernel panic"); n != 1 || f.end.Then != Restarted || !f.has("WARNING") {
			t.Errorf("%d panics, got %+v", n, f.end)
		}
	}, Fail{How: PanicCall{"x"}})
	onEach(t, newPCs, Config{Cmdline: "panic_on_taint=0x280 sysctl.kernel.panic=1", Panic: PanicConfig{
		Notifiers: []Notifier{{Name: "careless", Fails: WarnCall{}}},
	}}, func(t *testing.T, f failed) {
		if n := count(f.said, "Kernel panic"); n != 1 || f.end.Then != Restarted {
			t.Errorf("%d panics, got %+v", n, f.end)
		}
	}, inThread)
	for _, name := range newPCs {
		again := Config{Cmdline: "sysctl.kernel.panic=1", Panic: PanicConfig{
			Notifiers: []Notifier{{Name: "bad", Fails: &once{how: PanicCall{"again"}}, Says: "notified"}},
		}}
		onEach(t, []string{name}, again, func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel panic - not syncing: x", "notified", "Kernel panic - not syncing: again",
				"notified", "Rebooting in 1 seconds..")
			if n := count(f.said, "Call Trace:"); n != 1 {
				t.Errorf("%d stacks", n)
			}
			if n := count(f.said, "Kernel Offset:"); n != 2 {
				t.Errorf("%d offsets", n)
			}
		}, Fail{How: PanicCall{"x"}})
	}
}

// TestTrap30 is what nobody can say any more once the last line stands there, on whichever CPU.
func TestTrap30(t *testing.T) {
	cfg := Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: "reboot=force"}
	late := Do(func(m *Machine) {
		m.raise(m.now+5*time.Second, Do(func(m *Machine) { m.printk(emergency, "too late") }))
	})
	onEach(t, pcs, cfg, func(t *testing.T, f failed) {
		mute := f.kernel.name != "linux-4.19-x86_64"
		if f.has("too late") == mute {
			t.Errorf("said %q", f.said)
		}
		if last := f.said[len(f.said)-1]; mute && last != "---[ end Kernel panic - not syncing: x ]---" {
			t.Errorf("the last line is %q", last)
		}
	}, late, Fail{How: PanicCall{"x"}})
}

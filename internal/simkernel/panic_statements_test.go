package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The statements of section 1 of docs/kernel.md.

func TestPanicStatements(t *testing.T) {
	for _, s := range panicStatements {
		t.Run(s.name, s.test)
	}
	wantTested(t, 35, `1\.\d+`, panicStatements)
}

var (
	panics      = Fail{How: PanicCall{"x"}}
	sincePanic4 = slices.Concat(pcs, arm64s)
	sincePanic5 = slices.Concat(newPCs, arm64s)
	old26       = []string{"linux-2.6.17-i386", "linux-2.6.24-i386"}
)

// milestones are what panic() does that can be seen from outside, in order.
func milestones(t *testing.T, name string, cfg Config) []string {
	t.Helper()
	var found []string
	cfg.Kernel = name
	cfg.Panic.NoKASLR = true
	cfg.Panic.Notifiers = []Notifier{{Name: "n", Says: "notified"}}
	cfg.Cmdline += " panic_print=1 sysctl.kernel.panic=1"
	cfg.Programs = programs(map[string][]Step{"p": {Pause{}}})
	cfg.Reboot.Trace = func(_ time.Duration, step, what string) {
		if step == "kmsg_dump" {
			found = append(found, "kmsg_dump "+what)
		}
	}
	m := New(cfg)
	said := 0
	m.At(time.Second, starts("p", Pause{}))
	look := func() {
		for ; said < len(m.Log()); said++ {
			l := m.Log()[said]
			for _, known := range []string{
				"Kernel panic", "Call ", "Backtrace", "notified", "task:", "Rebooting", "---[ end",
			} {
				// The stacks of tasks are the tasks' part.
				ofTask := known == "Call " && len(found) > 0 && found[len(found)-1] == "task:"
				if strings.HasPrefix(l.Text, known) && l.At >= 2*time.Second && !ofTask {
					found = append(found, known)
				}
			}
		}
	}
	before := m.cfg.Reboot.Trace
	m.cfg.Reboot.Trace = func(at time.Duration, step, what string) {
		look()
		before(at, step, what)
	}
	m.At(2*time.Second, panics)
	m.Boot(idle)
	look()
	return slices.Compact(found)
}

var panicStatements = []statement{
	{"1.1 2.6", func(t *testing.T) {
		for _, k := range old26 {
			wantEqual(t, k, milestones(t, k, Config{}), []string{"Kernel panic", "notified", "Rebooting"})
		}
	}},
	{"1.2 3.10", func(t *testing.T) {
		wantEqual(t, "3.10", milestones(t, "linux-3.10-arm", Config{}), []string{
			"Kernel panic", "Backtrace", "kmsg_dump 1", "notified", "Rebooting", "kmsg_dump 3",
		})
	}},
	{"1.3 4.19", func(t *testing.T) {
		wantEqual(t, "4.19", milestones(t, "linux-4.19-x86_64", Config{}), []string{
			"Kernel panic", "Call ", "notified", "kmsg_dump 1", "Rebooting", "kmsg_dump 3",
		})
	}},
	{"1.4 5.10", func(t *testing.T) {
		for _, k := range []string{"linux-5.10-x86_64", "linux-5.10-arm64"} {
			wantEqual(t, k, milestones(t, k, Config{}), []string{
				"Kernel panic", "Call ", "notified", "kmsg_dump 1", "task:", "Rebooting",
				"kmsg_dump 3",
			})
		}
	}},
	{"1.5 6.1", func(t *testing.T) {
		for _, k := range []string{"linux-6.1-x86_64", "linux-6.1-arm64", "linux-6.12-x86_64"} {
			wantEqual(t, k, milestones(t, k, Config{}), []string{
				"Kernel panic", "Call ", "notified", "task:", "kmsg_dump 1", "Rebooting",
				"kmsg_dump 3",
			})
		}
	}},

	{"1.6 a second CPU of 2.6", func(t *testing.T) {
		onEach(t, old26, Config{Reboot: RebootConfig{CPUs: 2}}, func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel panic - not syncing: first", "Kernel panic - not syncing: second")
		}, Fail{How: PanicTwice{"first", "second"}})
	}},
	{"1.7 a second CPU waits", func(t *testing.T) {
		onEach(t, append(slices.Clone(sincePanic4), "linux-3.10-arm"), Config{Reboot: RebootConfig{CPUs: 2}},
			func(t *testing.T, f failed) {
				f.wantPanic(t, "first")
				f.wantNone(t, "second")
				arm := f.kernel.arch == archARM || f.kernel.arch == archARM64
				if c := &f.cpus[1]; !c.stopped || !c.irqsOff || c.online && arm {
					t.Errorf("the second CPU: %+v", c)
				}
			}, Fail{How: PanicTwice{"first", "second"}})
	}},
	{"1.8 the same CPU again", func(t *testing.T) {
		again := Config{Cmdline: "sysctl.kernel.panic=2"}
		play := func(kernels []string, then How, traces int) {
			for _, k := range kernels {
				cfg := again
				cfg.Kernel = k
				cfg.Panic.Notifiers = []Notifier{{Name: "bad", Fails: &once{how: PanicCall{"again"}}}}
				_, end, said := dead(t, cfg, panics)
				n := 0
				for _, s := range said {
					if s == "Call Trace:" || s == "Call trace:" || strings.HasPrefix(s, "Backtrace") {
						n++
					}
				}
				second := slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, ": again") })
				if end.Then != then || n != traces || second != (then == Restarted) {
					t.Errorf("%s: got %+v, %d stacks, said %q", k, end, n, said)
				}
			}
		}
		play(old26, Restarted, 0)
		play([]string{"linux-3.10-arm"}, Hung, 1)
		play(sincePanic4, Restarted, 1)
	}},
	{"1.9 in an NMI", func(t *testing.T) {
		m := New(Config{Reboot: RebootConfig{CPUs: 2}})
		m.dying.owner = &m.cpus[0]
		m.nmiPanic(&context{cpu: &m.cpus[0], who: idleTask(0), in: InNMI}, "x")
		m.nmiPanic(&context{cpu: &m.cpus[1], who: idleTask(1), in: InNMI}, "x")
		if m.cpus[0].stopped || !m.cpus[1].stopped || m.dying.runs != 0 {
			t.Errorf("got %+v, %d runs", m.cpus, m.dying.runs)
		}
	}},
	{"1.10 panic_on_warn is turned off", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Cmdline: "panic_on_warn=1"}, func(t *testing.T, f failed) {
			if f.isSet("kernel/panic_on_warn") {
				t.Error("it is still on")
			}
		}, panics)
	}},

	{"1.11 the reason", func(t *testing.T) {
		long := strings.Repeat("a", 2000)
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "length", len(f.end.Text), len("Kernel panic - not syncing: ")+1023)
		}, Fail{How: PanicCall{long}})
		line := Fail{How: PanicCall{"x\n"}}
		onEach(t, sincePanic5, Config{}, func(t *testing.T, f failed) { f.wantPanic(t, "x") }, line)
		onEach(t, []string{"linux-4.19-x86_64"}, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "---[ end Kernel panic - not syncing: x\n ]---")
		}, line)
	}},
	{"1.12 the stack", func(t *testing.T) {
		onEach(t, sincePanic4, Config{}, func(t *testing.T, f failed) {
			if !f.has("Call Trace:") && !f.has("Call trace:") {
				t.Errorf("said %q", f.said)
			}
		}, panics)
		tainted := Do(func(m *Machine) { m.addTaint(nil, taintDie) })
		onEach(t, sincePanic4, Config{}, func(t *testing.T, f failed) {
			f.wantNone(t, "Call ")
		}, tainted, panics)
	}},
	{"1.13 where the kernel is", func(t *testing.T) {
		onEach(t, pcs, Config{Panic: PanicConfig{NoKASLR: true}}, func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel panic - not syncing: x", "Call Trace:", "Kernel Offset: disabled")
		}, panics)
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			if !f.has("Kernel Offset: 0x") || !f.has("relocation range: ") {
				t.Errorf("said %q", f.said)
			}
		}, panics)
		onEach(t, arm64s, Config{}, func(t *testing.T, f failed) {
			if !f.has("Kernel Offset: 0x") || !f.has("CPU features: ") || !f.has("Memory Limit: none") {
				t.Errorf("said %q", f.said)
			}
		}, panics)
	}},
	{"1.14 the end line", func(t *testing.T) {
		const line = "---[ end Kernel panic - not syncing: x ]---"
		onEach(t, sincePanic4, Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "last line", f.said[len(f.said)-1], line)
		}, panics)
		onEach(t, sincePanic4, Config{Cmdline: "panic=1"}, func(t *testing.T, f failed) {
			f.wantNone(t, "---[ end")
		}, panics)
		onEach(t, slices.Concat(old26, boards), Config{}, func(t *testing.T, f failed) {
			f.wantNone(t, "---[ end")
		}, panics)
	}},
	{"1.15 silence", func(t *testing.T) {
		later := Do(func(m *Machine) { m.raise(5*time.Second, Do(func(m *Machine) { m.printk(0, "later") })) })
		onEach(t, sincePanic5, Config{}, func(t *testing.T, f failed) { f.wantNone(t, "later") }, later, panics)
		onEach(t, []string{"linux-4.19-x86_64"}, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "later")
		}, later, panics)
	}},
	{"1.16 the log once more", func(t *testing.T) {
		onEach(t, sincePanic5, Config{Cmdline: "panic_print=32 panic=1"}, func(t *testing.T, f failed) {
			var why, rebooting int
			for _, l := range f.Screen() {
				why += strings.Count(l.Text, "Kernel panic - not syncing: x")
				rebooting += strings.Count(l.Text, "Rebooting in")
			}
			if why != 2 || rebooting != 1 {
				t.Errorf("the console has it %d times:\n%v", why, f.Screen())
			}
		}, panics)
	}},

	{"1.17 a delay", func(t *testing.T) {
		var steps []string
		cfg := Config{
			Cmdline: "sysctl.kernel.panic=7",
			Reboot: RebootConfig{
				Notifiers: []Notifier{{Name: "n"}}, Devices: []Device{{Name: "d", Driver: "d"}},
				Trace: func(_ time.Duration, step, _ string) { steps = append(steps, step) },
			},
		}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "Rebooting in 7 seconds..")
			if f.end.Then != Restarted || f.end.At-f.end.Since < 7*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
		for _, s := range []string{"reboot_notifier_list", "device_shutdown"} {
			if slices.Contains(steps, s) {
				t.Errorf("%s is called", s)
			}
		}
	}},
	{"1.18 below 0", func(t *testing.T) {
		negative := Config{Cmdline: "sysctl.kernel.panic=-1"}
		onEach(t, slices.Concat(sincePanic4, boards), negative, func(t *testing.T, f failed) {
			f.wantNone(t, "Rebooting")
			if f.end.Then != Restarted {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
		onEach(t, old26, negative, func(t *testing.T, f failed) {
			if f.end.Then != Hung {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
	}},
	{"1.19 too long", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Cmdline: "panic=2147484"}, func(t *testing.T, f failed) {
			f.wantLines(t, "Rebooting in 2147484 seconds..")
			if f.end.Then != Restarted || f.end.At-f.end.Since > time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
		onEach(t, sincePanic4, Config{Cmdline: "panic=2147483"}, func(t *testing.T, f failed) {
			if f.end.Then != TimedOut {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
	}},
	{"1.20 the lights", func(t *testing.T) {
		lit := Config{Cmdline: "sysctl.kernel.panic=3", Panic: PanicConfig{Blinker: &Blinker{}}}
		onEach(t, slices.Concat(sincePanic4, boards), lit, func(t *testing.T, f failed) {
			wantEqual(t, "blinks", f.Blinks(), 15)
		}, panics)
		onEach(t, old26, lit, func(t *testing.T, f failed) { wantEqual(t, "blinks", f.Blinks(), 5) }, panics)
		lit.Panic.Blinker = &Blinker{Every: 250 * time.Millisecond}
		onEach(t, old26, lit, func(t *testing.T, f failed) { wantEqual(t, "blinks", f.Blinks(), 11) }, panics)
	}},
	{"1.21 what they take counts", func(t *testing.T) {
		slow := Config{
			Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{Takes: 10 * time.Millisecond}},
		}
		onEach(t, pcs, slow, func(t *testing.T, f failed) {
			if d := f.end.At - f.end.Since; d < 3*time.Second || d > 3200*time.Millisecond {
				t.Errorf("took %v", d)
			}
			wantEqual(t, "blinks", f.Blinks(), 15)
		}, panics)
	}},
	{"1.22 emergency_restart", func(t *testing.T) {
		for _, k := range slices.Concat(sincePanic4, boards) {
			var steps []string
			cfg := Config{Kernel: k, Cmdline: "sysctl.kernel.panic=-1"}
			cfg.Reboot.Trace = func(_ time.Duration, step, what string) { steps = append(steps, step+" "+what) }
			m := New(cfg)
			m.At(time.Second, panics)
			m.Boot(idle)
			if i := slices.Index(steps, "kmsg_dump 3"); i < 0 || i < slices.Index(steps, "kmsg_dump 1") ||
				i > slices.IndexFunc(steps, func(s string) bool {
					return strings.HasPrefix(s, "machine_emergency_restart")
				}) {
				t.Errorf("%s: steps %q", k, steps)
			}
		}
	}},
	{"1.23 how to restart", func(t *testing.T) {
		onEach(t, sincePanic5, Config{Cmdline: "panic=-1 reboot=cold,panic_warm"}, func(t *testing.T, f failed) {
			wantEqual(t, "mode", f.reboot.mode, ModeWarm)
		}, panics)
	}},
	{"1.24 for ever", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			if f.end.Then != Hung || f.end.At != f.end.Since {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
	}},

	{"1.25 by NMI", func(t *testing.T) {
		cfg := Config{Reboot: RebootConfig{CPUs: 3}, Cmdline: "panic=-1"}
		const line = "Shutting down cpus with NMI"
		onEach(t, pcs, cfg, func(t *testing.T, f failed) {
			f.wantNone(t, line)
			if f.end.At != f.end.Since {
				t.Errorf("took %v", f.end.At-f.end.Since)
			}
		}, panics)
		onEach(t, pcs, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "Call Trace:", line)
			if f.end.At-f.end.Since != time.Second || f.onlineCPUs() != 1 {
				t.Errorf("took %v, %d CPUs", f.end.At-f.end.Since, f.onlineCPUs())
			}
		}, Fail{CPU: 2, How: StuckCPU{IRQsOff: true}}, panics)
	}},
	{"1.26 on arm64", func(t *testing.T) {
		cfg := Config{Reboot: RebootConfig{CPUs: 3}, Cmdline: "panic=-1"}
		onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "SMP: stopping secondary CPUs", "SMP: failed to stop secondary CPUs 0,2")
			// A second here, and another before the restart.
			if f.end.At-f.end.Since != 2*time.Second || !f.cpus[2].online || f.cpus[1].online {
				t.Errorf("got %+v", f.cpus)
			}
		}, Fail{CPU: 2, How: StuckCPU{IRQsOff: true}}, panics)
		onEach(t, arm64s, Config{}, func(t *testing.T, f failed) { f.wantNone(t, "SMP: ") }, panics)
	}},
	{"1.27 2.6 does not wait", func(t *testing.T) {
		onEach(t, old26, Config{Reboot: RebootConfig{CPUs: 2}}, func(t *testing.T, f failed) {
			f.wantNone(t, "NMI")
			if f.end.At != f.end.Since || f.cpus[1].stopped {
				t.Errorf("got %+v, %+v", f.end, f.cpus)
			}
		}, Fail{CPU: 1, How: StuckCPU{IRQsOff: true}}, panics)
	}},
	{"1.28 reboot=force", func(t *testing.T) {
		onEach(t, pcs, Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: "reboot=force panic=1"},
			func(t *testing.T, f failed) {
				if f.cpus[1].stopped || !f.cpus[1].online {
					t.Errorf("got %+v", f.cpus)
				}
			}, panics)
	}},
	{"1.29 its own interrupts", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "deaf", f.cpus[0].deaf, slices.Contains(pcs, f.kernel.name))
		}, panics)
	}},

	{"1.30 nothing answers", func(t *testing.T) {
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			if a := f.Answers(); a.Interrupts || a.Processes || !strings.Contains(a.Why, "interrupt controller") {
				t.Errorf("got %+v", a)
			}
		}, panics)
	}},
	{"1.31 interrupts are answered", func(t *testing.T) {
		onEach(t, slices.Concat(old26, boards, arm64s), Config{}, func(t *testing.T, f failed) {
			if a := f.Answers(); !a.Interrupts || a.Processes {
				t.Errorf("got %+v", a)
			}
		}, panics)
	}},

	{"1.32 their order", func(t *testing.T) {
		cfg := Config{Panic: PanicConfig{NoKASLR: true, Notifiers: []Notifier{
			{Name: "a", Says: "a"}, {Name: "b", Says: "b", Priority: 5}, {Name: "c", Says: "c"},
		}}}
		onEach(t, pcs, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "b", "Kernel Offset: disabled", "a", "c")
		}, panics)
	}},
	{"1.33 the end of the chain", func(t *testing.T) {
		cfg := Config{Cmdline: "sysctl.kernel.panic=1", Panic: PanicConfig{Notifiers: []Notifier{
			{Name: "a", Says: "a", Returns: NotifyStop}, {Name: "b", Says: "b"},
		}}}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "a", "Rebooting in 1 seconds..")
			if slices.Contains(f.said, "b") || f.end.Then != Restarted {
				t.Errorf("got %+v, said %q", f.end, f.said)
			}
		}, panics)
	}},
	{"1.34 one that hangs", func(t *testing.T) {
		cfg := Config{Cmdline: "sysctl.kernel.panic=1", Panic: PanicConfig{Notifiers: []Notifier{
			{Name: "a", Takes: kernel.Never},
		}}}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			f.wantNone(t, "Rebooting")
			if f.end.Then != Hung {
				t.Errorf("got %+v", f.end)
			}
		}, panics)
	}},
	{"1.35 a debugger", func(t *testing.T) {
		cfg := Config{Reboot: two, Panic: PanicConfig{
			NoKASLR: true, Debugger: &Notifier{Says: "attached", Takes: time.Minute},
			Notifiers: []Notifier{{Name: "urgent", Says: "urgent", Priority: 1000}},
		}}
		later := Do(func(m *Machine) {
			m.raise(m.now+30*time.Second, Do(func(m *Machine) {
				wantEqual(t, m.kernel.name+": the other CPU is stopped", m.cpus[1].stopped, m.kernel.panic.kgdb == kgdbNotifier)
			}))
		})
		onEach(t, newPCs, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "Call Trace:", "attached", "urgent", "Kernel Offset: disabled", "---[ end Kernel panic - not syncing: x ]---")
		}, later, panics)
		// Before it is the first of the notifiers, so all is stopped by then.
		onEach(t, []string{"linux-4.19-x86_64"}, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "Call Trace:", "attached", "urgent", "Kernel Offset: disabled", "---[ end Kernel panic - not syncing: x ]---")
		}, later, panics)
		onEach(t, []string{"linux-3.10-arm"}, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "Backtrace: ", "attached", "urgent")
		}, later, panics)
		onEach(t, linux26s, cfg, func(t *testing.T, f failed) { f.wantNone(t, "attached") }, panics)
		// Who wants the machine back does not want it to wait for somebody's keys.
		for _, timeout := range []string{"1", "-1"} {
			cfg.Cmdline = "sysctl.kernel.panic=" + timeout
			for _, name := range Kernels() {
				p := profileOf(name)
				onEach(t, []string{name}, cfg, func(t *testing.T, f failed) {
					if f.has("attached") != (p.panic.kgdb == kgdbNotifier && !p.panic.kgdbYields) {
						t.Errorf("panic=%s: said %q", timeout, f.said)
					}
				}, panics)
			}
		}
	}},
	{"1.36 panic_force_cpu", func(t *testing.T) {
		const newest = "linux-7.2-x86_64"
		cfg := Config{
			Kernel: newest, Cmdline: "panic_force_cpu=1 panic=1", Reboot: RebootConfig{CPUs: 2},
			Panic: PanicConfig{NoKASLR: true},
		}
		m, end, said := dead(t, cfg, panics)
		said = slices.DeleteFunc(said, func(s string) bool {
			return strings.HasPrefix(s, "Hardware name") || strings.HasPrefix(s, " <")
		})
		wantEqual(t, "said", said, []string{
			"panic: Redirecting from CPU 0 to CPU 1 for crash kernel.",
			"CPU: 0 UID: 0 PID: 0 Comm: swapper/0 Not tainted 7.2.0 #1", "Call Trace:",
			"Kernel panic - not syncing: x", "panic: Redirected from CPU 0, skipping stack dump.",
			"Kernel Offset: disabled", "Rebooting in 1 seconds..",
		})
		wantEqual(t, "end", [...]any{end.How, end.Then, end.Text},
			[...]any{Panicked, Restarted, "Kernel panic - not syncing: x"})
		wantEqual(t, "owner", m.dying.owner.id, 1)
		// On the CPU itself, and on older kernels, it is nothing.
		own := cfg
		own.Cmdline = "panic_force_cpu=0 panic=1"
		_, _, said = dead(t, own, panics)
		if has(said, "panic: Redirect") {
			t.Errorf("said %q", said)
		}
		old := cfg
		old.Kernel = "linux-6.12-x86_64"
		_, _, said = dead(t, old, panics)
		if has(said, "panic: Redirect") {
			t.Errorf("6.12: said %q", said)
		}
		// One that is offline cannot.
		offline := cfg
		offline.Reboot.OfflineCPUs = []int{1}
		_, end, said = dead(t, offline, panics)
		if !has(said, "panic: target CPU 1 is offline, continuing on CPU 0") || end.Then != Restarted {
			t.Errorf("offline: got %+v, said %q", end, said)
		}
		// One that takes no interrupts never hears of it.
		_, end, said = dead(t, cfg, Do(func(m *Machine) {
			m.stick(&m.cpus[1], &occupant{comm: "loop", pid: 9}, true)
		}), panics)
		if has(said, "Kernel panic") || end.How != Hung {
			t.Errorf("deaf: got %+v, said %q", end, said)
		}
		wrong := New(Config{Kernel: newest, Cmdline: "panic_force_cpu=9"})
		wantEqual(t, "at boot", wrong.Log()[0].Text, "panic_force_cpu: invalid value '9'")
	}},
}

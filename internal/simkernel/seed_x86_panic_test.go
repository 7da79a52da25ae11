package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// on419 is the kernel that the document describes.
const on419 = "linux-4.19-x86_64"

// TestPanicAndCrashKexecOnX86 walks a description of panic() and of the way to the crash kernel in 4.19
// on x86 from its first claim to its last.
func TestPanicAndCrashKexecOnX86(t *testing.T) {
	for _, c := range slices.Concat(claimsOf419Panic, claimsOf419Kexec, claimsOf419Shootdown) {
		name := c.at + " " + c.says
		if c.but != "" {
			name += " (but " + c.but + ")"
		}
		t.Run(name, c.test)
	}
}

// panicOn419 plays a panic of 4.19 with a restart after a second.
func panicOn419(t *testing.T, cfg Config, fails ...Action) *death {
	t.Helper()
	cfg.Kernel = on419
	if cfg.Cmdline == "" {
		cfg.Cmdline = "panic=1"
	}
	if fails == nil {
		fails = []Action{panics}
	}
	return crashed(t, cfg, fails...)
}

var claimsOf419Panic = []claim{
	{at: "panic", says: "a parameter decides about notifiers, and is usually N", test: func(t *testing.T) {
		text, e := New(Config{Kernel: on419}).attr(moduleOfKernel + "crash_kexec_post_notifiers")
		wantEqual(t, "errno", e, 0)
		wantEqual(t, "parameter", text, "N")
	}},
	{at: "panic", says: "panic_on_warn is turned off first", test: func(t *testing.T) {
		d := panicOn419(t, Config{Cmdline: "panic=1 panic_on_warn=1"})
		wantEqual(t, "panic_on_warn", d.knobNumber("kernel/panic_on_warn"), 0)
		wantEqual(t, "first step", d.kernel.panic.steps[0], panicClearWarn)
	}},
	{at: "panic", says: "interrupts and preemption are turned off before panic_cpu", test: func(t *testing.T) {
		wantEqual(t, "steps", profileOf(on419).panic.steps[1:4],
			[]panicStep{panicIRQOff, panicPreempt, panicCPU})
		off := false
		cfg := Config{Panic: PanicConfig{Notifiers: []Notifier{{Fails: failFunc(
			func(_ *Machine, x *context) { off = x.cpu.irqsOff })}}}}
		panicOn419(t, cfg)
		wantEqual(t, "interrupts off", off, true)
	}},
	{at: "panic", says: "one CPU goes on, others stop themselves", test: func(t *testing.T) {
		d := panicOn419(t, Config{Reboot: RebootConfig{CPUs: 2}}, Do(func(m *Machine) {
			m.dying.owner = &m.cpus[0]
			m.panic(&context{cpu: &m.cpus[1], who: idleTask(1)}, "late")
			wantEqual(t, "stopped", m.cpus[1].stopped && m.cpus[1].irqsOff, true)
		}), panics)
		wantEqual(t, "what the second one says", d.has("late"), false)
	}},
	{at: "panic", says: "the same CPU goes on if nmi_panic has made it the owner", test: func(t *testing.T) {
		d := panicOn419(t, Config{}, Do(func(m *Machine) {
			m.nmiPanic(&context{cpu: &m.cpus[0], who: idleTask(0), in: InNMI}, "by an NMI")
		}))
		wantEqual(t, "said", d.heard("0 Kernel panic - not syncing: by an NMI"), true)
		d.wantThen(t, Restarted)
	}},
	{at: "panic", says: "the console is made verbose before the message", test: func(t *testing.T) {
		d := panicOn419(t, Config{Cmdline: "quiet panic=1"})
		wantEqual(t, "level", d.ring.levels[0], motormouthConsoleLevel)
		wantEqual(t, "steps", d.kernel.panic.steps[4:7],
			[]panicStep{panicVerbose, panicBust, panicMessage})
	}},
	{at: "panic", says: "the message has 1023 bytes at most", test: func(t *testing.T) {
		d := panicOn419(t, Config{}, Fail{How: PanicCall{strings.Repeat("x", 2000)}})
		wantEqual(t, "message", d.heard("0 Kernel panic - not syncing: "+strings.Repeat("x", 1023)), true)
	}},
	{at: "panic", says: "the stack is shown, unless an oops has shown it", test: func(t *testing.T) {
		wantEqual(t, "stack", panicOn419(t, Config{}).has("Call Trace:"), true)
		tainted := Do(func(m *Machine) { m.keepKnob("kernel/tainted", "128") })
		wantEqual(t, "after an oops", panicOn419(t, Config{}, tainted, panics).has("Call Trace:"), false)
		within := Do(func(m *Machine) { m.dying.oopsInProgress = 1 })
		wantEqual(t, "within one", panicOn419(t, Config{}, within, panics).has("Call Trace:"), false)
	}},
	{at: "panic", says: "what NMIs have said is flushed before the crash kernel, and after the notifiers", test: func(t *testing.T) {
		steps := profileOf(on419).panic.steps
		i := slices.Index(steps, panicSafeFlush)
		wantEqual(t, "first", steps[i-1:i+2], []panicStep{panicDumpStack, panicSafeFlush, panicEarlyKexec})
		i += 1 + slices.Index(steps[i+1:], panicSafeFlush)
		wantEqual(t, "second", steps[i-1:i+2], []panicStep{panicNotifiers, panicSafeFlush, panicDump})
	}},
	{at: "panic", says: "without post_notifiers the crash kernel is started at once", test: func(t *testing.T) {
		d := panicOn419(t, cpus("", 2))
		d.wantThen(t, Kexeced)
		wantEqual(t, "Kernel Offset", d.has("Kernel Offset"), false)
	}},
	{at: "panic", says: "without an image smp_send_stop stops the others", test: func(t *testing.T) {
		d := panicOn419(t, Config{Reboot: RebootConfig{CPUs: 3}})
		wantEqual(t, "online", d.onlineCPUs(), 1)
	}},
	{
		at: "panic", says: "with post_notifiers crash_smp_send_stop does, so the others are stopped here too",
		test: func(t *testing.T) {
			cfg := Config{Cmdline: "panic=1 crash_kexec_post_notifiers", Reboot: RebootConfig{CPUs: 3}}
			d := panicOn419(t, cfg)
			wantEqual(t, "stopped", d.cpus[1].stopped && d.cpus[2].stopped, true)
			wantEqual(t, "saved", d.cpus[1].saved, true)
			wantEqual(t, "online", d.onlineCPUs(), 3)
		},
	},
	{at: "panic", says: "notifiers, then kmsg_dump, then perhaps the crash kernel", test: func(t *testing.T) {
		cfg := cpus("", 1)
		cfg.Cmdline = "crash_kexec_post_notifiers"
		cfg.Panic.Notifiers = []Notifier{{Name: "lab"}}
		d := panicOn419(t, cfg)
		var order []string
		for _, s := range d.steps {
			switch name, what, _ := strings.Cut(s, ": "); name {
			case "panic_notifier_list", "kmsg_dump", "crash_setup_regs":
				order = append(order, strings.TrimSuffix(name+" "+what, " "))
			}
		}
		wantEqual(t, "order", order, []string{
			"panic_notifier_list dump_kernel_offset", "panic_notifier_list lab", "kmsg_dump 1",
			"crash_setup_regs",
		})
	}},
	{at: "panic", says: "screen and console are unblanked, locks looked at no more, the console flushed", test: func(t *testing.T) {
		steps := profileOf(on419).panic.steps
		i := slices.Index(steps, panicUnblankVT)
		wantEqual(t, "steps", steps[i:i+5],
			[]panicStep{panicUnblankVT, panicUnblank, panicLocksOff, panicFlush, panicDelay})
	}},
	{at: "panic", says: "without a function for the lights there is one that does nothing", test: func(t *testing.T) {
		d := panicOn419(t, Config{Cmdline: "panic=3"})
		lit := panicOn419(t, Config{Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{Takes: 7 * time.Millisecond}}})
		// It is told as often, but for the time that real lights take.
		wantEqual(t, "blinks", []int{d.Blinks(), lit.Blinks()}, []int{15, 15})
		wantEqual(t, "time", d.end.At-d.end.Since, 3*time.Second)
	}},
	{
		at: "panic", says: "panic_timeout above 0 waits in steps of 100 ms and blinks each 200",
		test: func(t *testing.T) {
			d := panicOn419(t, Config{Cmdline: "panic=3"})
			wantEqual(t, "said", d.heard("0 Rebooting in 3 seconds.."), true)
			wantEqual(t, "time", d.end.At-d.end.Since, 3*time.Second)
			wantEqual(t, "blinks", d.Blinks(), 15)
		},
	},
	{at: "panic", says: "panic_timeout other than 0 restarts", test: func(t *testing.T) {
		panicOn419(t, Config{Cmdline: "panic=2"}).wantThen(t, Restarted)
		d := panicOn419(t, Config{Cmdline: "panic=-1"})
		d.wantThen(t, Restarted)
		wantEqual(t, "said", d.has("Rebooting"), false)
	}},
	{
		at: "panic", says: "SPARC and S390 have words and ways of their own",
		but: "no kernel of the model is one of them", test: func(t *testing.T) {
			for _, name := range Kernels() {
				if strings.Contains(name, "sparc") || strings.Contains(name, "s390") {
					t.Errorf("%s is in the model, and its part of panic() is not tested", name)
				}
			}
			wantEqual(t, "said", panicOn419(t, Config{Cmdline: "panic=0"}).has("Stop-A"), false)
		},
	},
	{
		at: "panic", says: "else the last line, interrupts on, and a loop for ever",
		but: "the local APIC is off, so nothing answers", test: func(t *testing.T) {
			d := panicOn419(t, Config{Cmdline: "panic=0"})
			wantEqual(t, "said", d.heard("0 ---[ end Kernel panic - not syncing: x ]---"), true)
			d.wantThen(t, Hung)
			wantEqual(t, "interrupts", d.cpus[0].irqsOff, false)
			wantEqual(t, "answers", d.Answers().Interrupts, false)
		},
	},
}

var claimsOf419Kexec = []claim{
	{
		at: "__crash_kexec", says: "the lock is tried, so that nobody replaces the image meanwhile",
		test: func(t *testing.T) {
			d := panicOn419(t, cpus("", 1), Do(func(m *Machine) { m.kexec().TryLock() }), panics)
			wantEqual(t, "steps", d.shutdown(), nil)
			wantEqual(t, "panic goes on", d.has("Kernel Offset"), true)
		},
	},
	{
		at: "__crash_kexec", says: "without an image the lock is given back and panic() goes on",
		test: func(t *testing.T) {
			d := panicOn419(t, Config{Cmdline: "crashkernel=64M panic=1"})
			d.wantThen(t, Restarted)
			wantEqual(t, "lock", d.kexec().TryLock(), true)
		},
	},
	{
		at: "__crash_kexec", says: "registers, vmcoreinfo, shutdown, machine_kexec, in this order",
		test: func(t *testing.T) {
			d := panicOn419(t, cpus("", 1))
			var order []string
			for _, s := range d.steps {
				name, _, _ := strings.Cut(s, ":")
				order = append(order, name)
			}
			wantEqual(t, "order", slices.Compact(order), []string{
				"crash_setup_regs", "crash_save_vmcoreinfo", "machine_crash_shutdown", "machine_kexec",
			})
		},
	},
	{
		at: "machine_crash_shutdown", says: "the architecture's function does it, step by step",
		test: func(t *testing.T) {
			wantEqual(t, "steps", panicOn419(t, cpus("", 2)).shutdown(), []string{
				"local_irq_disable", "crash_smp_send_stop", "cpu_crash_vmclear_loaded_vmcss",
				"cpu_emergency_disable_virtualization", "cpu_emergency_stop_pt", "ioapic_zap_locks",
				"clear_IO_APIC", "lapic_shutdown", "restore_boot_irq_mode", "hpet_disable",
				"crash_save_cpu",
			})
		},
	},
	{at: "machine_crash_shutdown", says: "the crashing CPU's registers are saved last", test: func(t *testing.T) {
		d := panicOn419(t, cpus("", 2), stuck(1, true, true), Do(func(m *Machine) {
			m.raise(m.now+500*time.Millisecond, Do(func(m *Machine) {
				wantEqual(t, "while it waits for the other", m.cpus[0].saved, false)
			}))
		}), panics)
		wantEqual(t, "in the end", d.Kexec().Saved(0), true)
	}},
	{at: "crash_smp_send_stop", says: "the CPUs are stopped once", test: func(t *testing.T) {
		m := New(cpus(on419, 2))
		x := m.here(nil)
		m.crashSMPSendStop(x)
		wantEqual(t, "stopped", m.cpus[1].shot, true)
		m.cpus[1].shot = false
		m.crashSMPSendStop(x)
		wantEqual(t, "again", m.cpus[1].shot, false)
	}},
	{at: "smp_ops", says: "on x86 the function is kdump_nmi_shootdown_cpus", test: func(t *testing.T) {
		wantEqual(t, "way", profileOf(on419).kexecs.stop, crashStopNMI)
	}},
}

var claimsOf419Shootdown = []claim{
	{
		at: "kdump_nmi_shootdown_cpus", says: "the crashing CPU's local APIC is off afterwards",
		test: func(t *testing.T) {
			m := New(cpus(on419, 2))
			m.crashSMPSendStop(m.here(nil))
			wantEqual(t, "deaf", m.cpus[0].deaf, true)
		},
	},
	{
		at: "nmi_shootdown_cpus", says: "interrupts off, and a second call warns and returns",
		test: func(t *testing.T) {
			m := New(cpus(on419, 2))
			x := m.here(nil)
			m.nmiShootdownCPUs(x, nil)
			wantEqual(t, "interrupts", x.cpu.irqsOff, true)
			m.nmiShootdownCPUs(x, func(*cpu) { t.Error("a callback is called") })
			m.nmiShootdownCPUs(x, nil)
			warnings := 0
			for _, l := range m.Log() {
				if strings.HasPrefix(l.Text, "WARNING: CPU: 0 PID: 0 at arch/x86/kernel/reboot.c:") {
					warnings++
				}
			}
			wantEqual(t, "warnings", warnings, 1)
		},
	},
	{at: "nmi_shootdown_cpus", says: "all online CPUs but this one are counted", test: func(t *testing.T) {
		cfg := cpus(on419, 4)
		cfg.Reboot.OfflineCPUs = []int{2}
		m := New(cfg)
		var shot []int
		m.nmiShootdownCPUs(m.here(nil), func(c *cpu) { shot = append(shot, c.id) })
		wantEqual(t, "shot", shot, []int{1, 3})
	}},
	{
		at: "nmi_shootdown_cpus", says: "without a handler nobody is stopped, and nobody waited for",
		test: func(t *testing.T) {
			cfg := cpus("", 2)
			cfg.Panic.NoNMIHandler = true
			d := panicOn419(t, cfg)
			d.wantThen(t, Kexeced)
			wantEqual(t, "time", d.end.At-d.end.Since, 0)
			wantEqual(t, "stopped, saved", [...]bool{d.cpus[1].stopped, d.cpus[1].saved}, [...]bool{false, false})
		},
	},
	{
		at: "nmi_shootdown_cpus", says: "the NMI reaches CPUs that have interrupts off, and those in an NMI that look",
		test: func(t *testing.T) {
			m := New(cpus(on419, 4))
			m.cpus[1].irqsOff = true
			m.cpus[2].inNMI, m.cpus[2].polls = true, true
			m.nmiShootdownCPUs(m.here(nil), m.kdumpNMICallback)
			wantEqual(t, "saved", [...]bool{m.cpus[1].saved, m.cpus[2].saved, m.cpus[3].saved},
				[...]bool{true, true, true})
			wantEqual(t, "time", m.now, 0)
		},
	},
	{
		at: "nmi_shootdown_cpus", says: "1000 times a millisecond at most, and then it goes on",
		test: func(t *testing.T) {
			d := panicOn419(t, cpus("", 3), stuck(1, true, true), panics)
			d.wantThen(t, Kexeced)
			wantEqual(t, "time", d.end.At-d.end.Since, time.Second)
			last := d.said[len(d.said)-1]
			if d.has("NMI") || !strings.HasPrefix(last, "4 ") {
				t.Errorf("something is said of it: %q", d.said)
			}
		},
	},
	{at: "crash_nmi_callback", says: "an NMI on the crashing CPU itself is ignored", test: func(t *testing.T) {
		m := New(cpus(on419, 2))
		x := m.here(nil)
		m.nmiShootdownCPUs(x, func(c *cpu) {
			if c == x.cpu {
				t.Error("it is shot")
			}
		})
		wantEqual(t, "stopped", x.cpu.stopped, false)
	}},
	{at: "crash_nmi_callback", says: "without a callback the CPU halts all the same", test: func(t *testing.T) {
		m := New(cpus(on419, 2))
		m.nmiShootdownCPUs(m.here(nil), nil)
		c := &m.cpus[1]
		wantEqual(t, "state", [...]bool{c.stopped, c.saved, c.online}, [...]bool{true, false, true})
	}},
	{at: "crash_nmi_callback", says: "it spins there for ever", test: func(t *testing.T) {
		m := New(cpus(on419, 2))
		m.nmiShootdownCPUs(m.here(nil), nil)
		wantEqual(t, "takes interrupts", m.cpus[1].takesInterrupts(), false)
	}},
	{at: "kdump_nmi_callback", says: "registers are saved, and the local APIC turned off", test: func(t *testing.T) {
		m := New(cpus(on419, 2))
		m.stick(&m.cpus[1], &occupant{comm: "spinner", pid: 42}, true)
		m.nmiShootdownCPUs(m.here(nil), m.kdumpNMICallback)
		wantEqual(t, "deaf", m.cpus[1].deaf, true)
		wantEqual(t, "note", m.Kexec().Saved(1), true)
		addr, _ := m.Kexec().NoteOf(1)
		b := make([]byte, 4)
		m.Kexec().Memory().Read(addr+20+32, b)
		wantEqual(t, "process", b, []byte{42, 0, 0, 0})
	}},
	{
		at: "kdump_nmi_callback", says: "on 32 bits the stack's registers are put right",
		but: "the model's registers mean nothing", test: func(t *testing.T) {
			d := crashed(t, cpus("linux-2.6.24-i386", 2), panics)
			wantEqual(t, "saved", d.Kexec().Saved(1), true)
			_, size := d.Kexec().NoteOf(1)
			wantEqual(t, "size of a note of 32 bits", size, 176)
		},
	},
}

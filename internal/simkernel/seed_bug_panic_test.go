package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestPanicAndBugOf26 walks a description of panic() and BUG() in Linux 2.6 on a PC, from its first
// claim to its last.
func TestPanicAndBugOf26(t *testing.T) {
	for _, c := range slices.Concat(claimsOfPanic26, claimsOfPing, claimsOfBlinking, claimsOfNMI, claimsOfBug) {
		name := c.at + ": " + c.says
		if c.but != "" {
			name += " (but " + c.but + ")"
		}
		t.Run(name, c.test)
	}
}

// on26 plays a failure on both kernels of 2.6, and checks what becomes of it.
func on26(cfg Config, check func(t *testing.T, f failed), how ...Action) func(t *testing.T) {
	return func(t *testing.T) { onEach(t, linux26s, cfg, check, how...) }
}

var two = RebootConfig{CPUs: 2}

var claimsOfPanic26 = []claim{
	{at: "introduction", says: "the kernel shows registers and stack", but: "panic() itself shows neither; an oops does", test: func(t *testing.T) {
		on26(Config{}, func(t *testing.T, f failed) {
			f.wantNone(t, "Call Trace:")
			f.wantNone(t, "EIP")
		}, panics)(t)
		on26(Config{}, func(t *testing.T, f failed) { f.wantLines(t, "Call Trace:") }, inThread)(t)
	}},
	{at: "panic", says: "nobody else runs on the CPU from the first line on", test: func(t *testing.T) {
		on26(Config{}, func(t *testing.T, f failed) {
			if f.Answers().Processes {
				t.Errorf("got %+v", f.Answers())
			}
			f.wantNone(t, "later")
		}, starts("later", Sleep{time.Minute}, Oops{How: WarnCall{Text: "later"}}), panics)(t)
	}},
	{at: "panic", says: "the message has a buffer of 1024 bytes", test: func(t *testing.T) {
		long := strings.Repeat("x", 2000)
		on26(Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel panic - not syncing: "+long[:1023])
		}, Fail{How: PanicCall{long}})(t)
	}},
	{at: "panic", says: "the line is of the highest level, and nothing else is made louder", test: func(t *testing.T) {
		on26(Config{Cmdline: "loglevel=1"}, func(t *testing.T, f failed) {
			last := f.Log()[len(f.Log())-1]
			if last.Level != emergency || !last.Shown || f.ring.levels[0] != 1 {
				t.Errorf("got %+v, level %d", last, f.ring.levels[0])
			}
		}, panics)(t)
	}},
	{at: "panic", says: "the crash kernel is tried before anything is stopped or told", test: func(t *testing.T) {
		p := &profileOf(linux26s[0]).panic
		wantEqual(t, "steps", p.steps, []panicStep{
			panicPreempt, panicBust, panicMessage, panicUnbust, panicCrashKexec, panicSendStop,
			panicNotifiers, panicDelay, panicIRQOn, panicLoop,
		})
	}},
	{at: "panic", says: "the other CPUs halt, and this one goes on", test: on26(Config{Reboot: two}, func(t *testing.T, f failed) {
		if f.cpus[1].state() != "is stopped" || f.cpus[0].stopped {
			t.Errorf("CPU 0 %s, CPU 1 %s", f.cpus[0].state(), f.cpus[1].state())
		}
	}, panics)},
	{
		at: "panic", says: "asking is enough to halt them",
		but: "one that has interrupts off does not hear it, and goes on",
		test: on26(Config{Reboot: two}, func(t *testing.T, f failed) {
			if f.cpus[1].stopped {
				t.Error("CPU 1 is stopped")
			}
		}, Do(func(m *Machine) { m.stick(&m.cpus[1], &occupant{comm: "loop", pid: 9}, true) }), panics),
	},
	{at: "panic", says: "the notifiers are told", test: on26(
		Config{Cmdline: "panic=1", Panic: PanicConfig{Notifiers: []Notifier{{Name: "n", Says: "told"}}}},
		func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel panic - not syncing: x", "told", "Rebooting in 1 seconds..")
		}, panics)},
	{at: "panic", says: "a timeout is counted down and ends in a restart", test: on26(
		Config{Cmdline: "panic=30"}, func(t *testing.T, f failed) {
			if f.end.Then != Restarted || f.end.At-f.end.Since != 30*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, panics)},
	{
		at: "panic", says: "a timeout other than 0 restarts", but: "less than 0 waits for ever, as 0 does",
		test: on26(Config{Cmdline: "sysctl.kernel.panic=-5"}, func(t *testing.T, f failed) {
			if f.end.Then != Hung {
				t.Errorf("got %+v", f.end)
			}
		}, panics),
	},
	{at: "panic", says: "it counts by itself, since timers may not work", test: on26(
		Config{Cmdline: "panic=3"}, func(t *testing.T, f failed) {
			if f.end.Then != Restarted || f.end.At-f.end.Since != 3*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, Fail{In: InHardIRQ, IRQsOff: true, How: PanicCall{"x"}})},
	{at: "panic", says: "without a timeout interrupts are on again, for ever", test: on26(
		Config{}, func(t *testing.T, f failed) {
			if f.end.Then != Hung || !f.Answers().Interrupts || f.cpus[0].irqsOff {
				t.Errorf("got %+v, %+v", f.end, f.Answers())
			}
		}, panics)},
}

var claimsOfPing = []claim{
	{at: "ping", says: "a panic out of an interrupt still answers a ping", test: on26(Config{}, func(t *testing.T, f failed) {
		if !f.Answers().Ping {
			t.Errorf("got %+v", f.Answers())
		}
	}, panics)},
	{at: "ping", says: "one in an interrupt does not, though interrupts are taken", test: func(t *testing.T) {
		for _, in := range []Interrupt{InHardIRQ, InSoftIRQ} {
			on26(Config{}, func(t *testing.T, f failed) {
				if a := f.Answers(); a.Ping || !a.Interrupts {
					t.Errorf("got %+v", a)
				}
			}, Fail{In: in, How: PanicCall{"x"}})(t)
		}
	}},
	{
		at: "ping", says: "so one can tell where it panicked",
		but: "with more CPUs the stop turns the interrupt controller off: no ping, wherever it was",
		test: on26(Config{Reboot: two}, func(t *testing.T, f failed) {
			if a := f.Answers(); a.Ping || a.Interrupts {
				t.Errorf("got %+v", a)
			}
		}, panics),
	},
	{at: "ping", says: "no process runs, for who holds the CPU never gives it up", test: on26(Config{}, func(t *testing.T, f failed) {
		if f.Answers().Processes {
			t.Errorf("got %+v", f.Answers())
		}
	}, panics)},
}

var claimsOfBlinking = []claim{
	{at: "blinking", says: "without a keyboard that can, nothing blinks", test: on26(
		Config{Cmdline: "panic=3"}, func(t *testing.T, f failed) { wantEqual(t, "blinks", f.Blinks(), 0) }, panics)},
	{at: "blinking", says: "with one the driver counts the time and switches the lights", test: on26(
		Config{Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{}}}, func(t *testing.T, f failed) {
			// At 500 ms, and so on, but not at 3 s, when the loop has ended.
			wantEqual(t, "blinks", f.Blinks(), 5)
		}, panics)},
	{at: "blinking", says: "how often can be set", test: on26(
		Config{Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{Every: 100 * time.Millisecond}}},
		func(t *testing.T, f failed) { wantEqual(t, "blinks", f.Blinks(), 29) }, panics)},
	{at: "blinking", says: "and turned off", test: on26(
		Config{Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{Every: -1}}},
		func(t *testing.T, f failed) { wantEqual(t, "blinks", f.Blinks(), 0) }, panics)},
	{at: "blinking", says: "what the lights take counts as waited", test: on26(
		Config{Cmdline: "panic=3", Panic: PanicConfig{Blinker: &Blinker{Takes: 10 * time.Millisecond}}},
		func(t *testing.T, f failed) {
			if f.end.At-f.end.Since != 3*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, panics)},
}

var claimsOfNMI = []claim{
	{
		at: "NMI watchdog", says: "an NMI comes whatever the CPU does, and what handles it may panic",
		test: func(t *testing.T) {
			stuck := Do(func(m *Machine) {
				m.stick(&m.cpus[0], &occupant{comm: "loop", pid: 9}, true)
				m.raise(m.now+5*time.Second, Fail{In: InNMI, How: NullWrite{Addr: 0x30}})
			})
			on26(Config{}, func(t *testing.T, f failed) {
				f.wantPanic(t, "Fatal exception in interrupt")
				if f.end.Since != 6*time.Second {
					t.Errorf("got %+v", f.end)
				}
			}, stuck)(t)
		},
	},
	{at: "SysRq", says: "after an oops the keys work", test: on26(Config{}, func(t *testing.T, f failed) {
		f.wantAlive(t)
		if !f.has("SysRq : ") && !f.has("sysrq: ") {
			t.Errorf("said %q", f.said)
		}
	}, inThread, PressSysrq{Key: 's'})},
	{at: "SysRq", says: "X stands for a key: m shows the memory", test: on26(Config{}, func(t *testing.T, f failed) {
		f.wantLines(t, "SysRq : Show Memory", "Mem-Info:")
	}, inThread, PressSysrq{Key: 'm'})},
	{
		at: "SysRq", says: "where keys are handled in soft interrupts, a panic in a hard one makes them deaf",
		but: "the keyboard's own interrupt hands the key on to SysRq, and soft ones are not needed",
		test: on26(Config{}, func(t *testing.T, f failed) {
			if f.Answers().Ping || f.end.Then != Restarted {
				t.Errorf("got %+v, %+v", f.end, f.Answers())
			}
		}, Do(func(m *Machine) { m.interruptAt(m.now+5*time.Second, 0, PressSysrq{Key: 'b'}) }),
			Fail{In: InHardIRQ, How: PanicCall{"x"}}),
	},
}

var claimsOfBug = []claim{
	{at: "BUG_ON", says: "without an instruction for it BUG() says where, and panics", test: on26(Config{}, func(t *testing.T, f failed) {
		f.wantLines(t, "BUG: failure at mm/slab.c:620/kfree()!", "Kernel panic - not syncing: BUG!")
		f.wantPanic(t, "BUG!")
	}, Fail{Kthread: "worker", How: GenericBug{Place{File: "mm/slab.c", Line: 620, Function: "kfree"}}})},
	{at: "BUG_ON", says: "a kernel may be built without BUG(), and then it is nothing", test: func(t *testing.T) {
		caseOf{steps: []Step{Oops{How: BugLeftOut{}}, Exit{3}}, kernels: linux26s}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{3 << 8})
			wantUnsaid(t, f, "BUG")
		})
	}},
	{at: "BUG of 2.6.17", says: "an invalid instruction brings out registers and stack", test: func(t *testing.T) {
		onEach(t, linux26s[:1], Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "kernel BUG at mm/slab.c:620!", "invalid opcode: 0000 [#1]", "Call Trace:")
		}, Fail{Kthread: "worker", How: BugCall{Place{File: "mm/slab.c", Line: 620}}})
	}},
	{
		at: "BUG of 2.6.17", says: "and then all is well again, as if nothing had been",
		but: "the task is killed there and then, and the line after BUG() is never reached",
		test: func(t *testing.T) {
			exitOf(t, linux26s[:1], BugCall{}, 11)
			// In an interrupt, or if that is asked for, the whole kernel dies of it.
			onEach(t, linux26s[:1], Config{}, func(t *testing.T, f failed) {
				f.wantPanic(t, "Fatal exception in interrupt")
			}, Fail{In: InHardIRQ, How: BugCall{}})
			onEach(t, linux26s[:1], Config{Cmdline: "sysctl.kernel.panic_on_oops=1"}, func(t *testing.T, f failed) {
				f.wantPanic(t, "Fatal exception")
			}, Fail{Kthread: "worker", How: BugCall{}})
		},
	},
	{
		at: "BUG of 2.6.20 and later", says: "an endless loop keeps who has called it for ever",
		but: "nobody comes to the loop: the task is killed as before",
		test: func(t *testing.T) {
			caseOf{
				steps: []Step{Oops{How: BugCall{}}, Exit{3}}, second: []Step{Exit{7}},
				kernels: linux26s[1:],
			}.play(t, func(t *testing.T, f *fate) {
				wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{11, 7 << 8})
				if !f.lived() {
					t.Errorf("got %+v", f.end)
				}
			})
		},
	},
	{
		at: "BUG of 2.6.20 and later", says: "whoever preempts the loop goes on",
		but: "only a debugger that stops die() leads there, or rather back to the instruction",
		test: func(t *testing.T) {
			cfg := Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Name: "kgdb", Returns: NotifyStop}}}}
			onEach(t, linux26s[1:], cfg, func(t *testing.T, f failed) {
				if n := count(f.said, "kernel BUG at"); n < 2 || f.Answers().Processes {
					t.Errorf("%d times, %+v", n, f.Answers())
				}
			}, Fail{Kthread: "worker", How: BugCall{}})
		},
	},
}

package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// exits is a call of do_exit by who must not end.
type exits struct{}

func (exits) fail(m *Machine, x *context) { m.makeTaskDead(x, 0) }

var spareStatements = []statement{
	{"3.19 who cannot be spared", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Attempted to kill the idle task!")
		}, Fail{How: NullWrite{Addr: 0x30}})
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Aiee, killing interrupt handler!")
		}, Fail{In: InHardIRQ, How: exits{}})
	}},
	{"3.20 what it still had", func(t *testing.T) {
		holds := Fail{Kthread: "worker", Locks: 2, IRQsOff: true, How: BugCall{}}
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			if f.has("note: worker[3] exited with preempt_count 2") == f.kernel.exit.uncounted {
				t.Errorf("said %q", f.said)
			}
			if f.has("exited with irqs disabled") != f.kernel.warnsIRQs {
				t.Errorf("said %q", f.said)
			}
			f.wantAlive(t)
		}, holds)
		// A program that touches a bad address has interrupts on by then, and a thread of the
		// kernel off.
		onEach(t, pcs[2:], Config{}, func(t *testing.T, f failed) {
			if n := count(f.said, "exited with irqs disabled"); n != 1 {
				t.Errorf("%d notes", n)
			}
		}, inProgram, inThread)
	}},
	{"3.21 oops_limit", func(t *testing.T) {
		one := Config{Cmdline: "sysctl.kernel.oops_limit=1"}
		onEach(t, counting, one, func(t *testing.T, f failed) {
			f.wantPanic(t, "Oopsed too often (kernel.oops_limit is 1)")
			noted := f.has("exited with irqs disabled")
			if noted != (f.kernel.arch == archX86 && f.kernel.exit.irqs) {
				t.Errorf("said %q", f.said)
			}
		}, inThread)
		onEach(t, slices.Concat(linux26s, boards, pcs[:1]), one, func(t *testing.T, f failed) {
			f.wantAlive(t)
			if _, e := f.attr("kernel/oops_count"); e != kernel.ENOENT {
				t.Errorf("there is a count: %v", e)
			}
		}, inThread)
		three := Config{Cmdline: "sysctl.kernel.oops_limit=3"}
		onEach(t, counting, three, func(t *testing.T, f failed) { f.wantAlive(t) }, inThread, inThread)
		onEach(t, counting, three, func(t *testing.T, f failed) {
			f.wantPanic(t, "Oopsed too often (kernel.oops_limit is 3)")
			if n, _ := f.attr("kernel/oops_count"); n != "3" {
				t.Errorf("counted %s", n)
			}
		}, inThread, inThread, inThread)
		never := Config{Cmdline: "sysctl.kernel.oops_limit=0"}
		onEach(t, counting, never, func(t *testing.T, f failed) { f.wantAlive(t) }, inThread)
		// Which comes first for the idle task?
		onEach(t, newPCs, one, func(t *testing.T, f failed) {
			want := "Attempted to kill the idle task!"
			if f.kernel.exit.early {
				want = "Oopsed too often (kernel.oops_limit is 1)"
			}
			f.wantPanic(t, want)
		}, Fail{How: NullWrite{}})
	}},
	{"3.22 a task that fails as it ends", func(t *testing.T) {
		caseOf{
			steps: []Step{Oops{How: InExit{NullWrite{}}}, Exit{3}}, kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "1 Fixing recursive fault but reboot is needed!")
			wantEqual(t, "statuses", f.exits, []kernel.WaitStatus(nil))
			if !f.lived() || f.Count(Uninterruptible) != 1 {
				t.Errorf("got %+v, %d in D", f.end, f.Count(Uninterruptible))
			}
		})
	}},
}

// count is how many lines have a part.
func count(lines []string, part string) int {
	n := 0
	for _, l := range lines {
		if strings.Contains(l, part) {
			n++
		}
	}
	return n
}

var initStatements = []statement{
	{"3.23 an oops in PID 1", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			code := "0x0000000b"
			if f.kernel.arch == archX86 && !is26(f) {
				code = "0x00000009"
			}
			text := "Attempted to kill init! exitcode=" + code
			if is26(f) {
				text = "Attempted to kill init!"
			}
			f.wantPanic(t, text)
			if f.end.How != Exited {
				t.Errorf("got %+v", f.end)
			}
			// There is no second stack: where an oops does not taint, panic() shows none.
			if n := count(f.said, f.kernel.dump.trace); n != 1 {
				t.Errorf("%d traces:\n%s", n, strings.Join(f.said, "\n"))
			}
		}, Fail{Name: "init", How: NullWrite{Addr: 0x30}})
	}},
	{"3.24 the exit code", func(t *testing.T) {
		for _, c := range []struct {
			status int
			want   string
		}{{0, "0x00000000"}, {3, "0x00000300"}, {255, "0x0000ff00"}} {
			onEachInit(t, slices.Concat(boards, pcs, arm64s), Config{}, c.status, func(t *testing.T, f failed) {
				f.wantPanic(t, "Attempted to kill init! exitcode="+c.want)
				if f.end.Status != kernel.WaitStatus(c.status)<<8 {
					t.Errorf("got %+v", f.end)
				}
			})
		}
	}},
	{"3.25 the text of 2.6", func(t *testing.T) {
		onEachInit(t, linux26s, Config{}, 3, func(t *testing.T, f failed) {
			f.wantPanic(t, "Attempted to kill init!")
		})
	}},
	{"3.26 the first thread or the last", func(t *testing.T) {
		cfg := Config{Threads: [][]Step{{Pause{}}}, Until: time.Minute}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			if f.kernel.name == linux26s[0] {
				f.wantPanic(t, "Attempted to kill init!")
			} else if f.end.How != Lingering || f.has("Kernel panic") {
				t.Errorf("got %+v", f.end)
			}
		}, Fail{Name: "init", How: NullWrite{}})
		// The last one to end is enough, and necessary, from 2.6.24 on.
		cfg.Threads = [][]Step{{Sleep{5 * time.Second}}}
		onEach(t, pcs, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "Attempted to kill init! exitcode=0x00000000")
			if f.end.Since != 5*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}, Fail{Name: "init", How: NullWrite{}})
	}},
	{"3.27 the thread that is shown", func(t *testing.T) {
		cfg := Config{Threads: [][]Step{{Pause{}}, {Pause{}}}}
		onEachInit(t, newPCs, cfg, 2, func(t *testing.T, f failed) {
			f.wantPanic(t, "Attempted to kill init! exitcode=0x00000200")
			if count(f.said, " Comm: init ") != 1 || f.has("PID: 1 ") {
				t.Errorf("said %q", f.said)
			}
		})
		onEachInit(t, newPCs, Config{}, 2, func(t *testing.T, f failed) {
			if !f.has("PID: 1 Comm: init ") {
				t.Errorf("said %q", f.said)
			}
		})
	}},
	{"3.28 what PID 1 still has then", func(t *testing.T) {
		onEachInit(t, Kernels(), Config{}, 1, func(t *testing.T, f failed) {
			if late := f.kernel.initDeath.late; (f.init.stdio == nil) != late {
				t.Errorf("late %v, files %v", late, f.init.stdio)
			}
		})
	}},
	{"3.29 no init", func(t *testing.T) {
		broken := NoInit{Rdinit: "/init", Broken: []BrokenInit{{"/bin/init", syscall.ENOEXEC}}}
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Run /init as init process", "Failed to execute /init (error -2)",
				"Run /sbin/init as init process", "Run /etc/init as init process",
				"Run /bin/init as init process",
				"Starting init: /bin/init exists but couldn't execute it (error -8)",
				"Run /bin/sh as init process")
			f.wantNone(t, "/sbin/init exists")
			f.wantPanic(t, "No working init found.  Try passing init= option to kernel. "+
				"See Linux Documentation/admin-guide/init.rst for guidance.")
			if !f.has("PID: 1 Comm: swapper/0 ") {
				t.Errorf("said %q", f.said)
			}
		}, Fail{How: broken})
		// What is asked for and is one of the usual ones is tried twice.
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Run /bin/init as init process", "Failed to execute /bin/init (error -8)",
				"Run /bin/init as init process",
				"Starting init: /bin/init exists but couldn't execute it (error -8)",
				"Run /bin/sh as init process")
		}, Fail{How: NoInit{Rdinit: "/bin/init", Broken: broken.Broken}})
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Failed to execute /bin/init (error -8)", "Run /bin/init as init process")
			f.wantNone(t, "Starting init")
			f.wantPanic(t, "Requested init /bin/init failed (error -8).")
		}, Fail{How: NoInit{Rdinit: "/bin/init", Init: "/bin/init", Broken: broken.Broken}})
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Requested init /linuxrc failed (error -13).")
		}, Fail{How: NoInit{Init: "/linuxrc", Broken: []BrokenInit{{"/linuxrc", syscall.EACCES}}}})
		asked := Fail{How: NoInit{Rdinit: "/init", Init: "/linuxrc"}}
		const text = "No init found.  Try passing init= option to kernel."
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Failed to execute /init",
				"Failed to execute /linuxrc.  Attempting defaults...")
			f.wantPanic(t, text)
		}, asked)
		onEach(t, boards, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, text+" See Linux Documentation/init.txt for guidance.")
		}, asked)
	}},
	{"3.30 no root", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			line := "VFS: Cannot open root device \"sda1\" or unknown-block(0,0)"
			if !is26(f) {
				line += ": error -6"
			}
			f.wantLines(t, line)
			if f.has("here are the available partitions:") == (f.kernel.name == linux26s[0]) {
				t.Errorf("said %q", f.said)
			}
			f.wantPanic(t, "VFS: Unable to mount root fs on unknown-block(0,0)")
		}, Fail{How: NoRoot{Root: "/dev/sda1"}})
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "VFS: Cannot open root device \"(null)\" or unknown-block(0,0): error -6")
		}, Fail{How: NoRoot{}})
	}},
}

func is26(f failed) bool { return strings.HasPrefix(f.kernel.name, "linux-2.6") }

// onEachInit lets PID 1 exit with a status after a second.
func onEachInit(
	t *testing.T, kernels []string, cfg Config, status int, check func(t *testing.T, f failed),
) {
	t.Helper()
	for _, name := range kernels {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			cfg.Kernel = name
			f := failed{Machine: New(cfg)}
			f.end = f.Boot(func(k kernel.Kernel) int {
				k.Next(time.Second)
				return status
			})
			for _, l := range f.Log() {
				f.said = append(f.said, l.Text)
			}
			check(t, f)
		})
	}
}

var bugStatements = []statement{
	{"3.31 BUG", func(t *testing.T) {
		at := Place{File: "mm/slab.c", Line: 620, Function: "kfree"}
		bug := Fail{Kthread: "worker", How: BugCall{at}}
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "------------[ cut here ]------------", "kernel BUG at mm/slab.c:620!")
			if !f.has("invalid opcode: 0000 [#1]") || f.has("CR2: 0000000000000030") {
				t.Errorf("said %q", f.said)
			}
		}, bug)
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "------------[ cut here ]------------", "kernel BUG at mm/slab.c:620!",
				strings.ReplaceAll(f.kernel.die.header[0], "{str}: {err} [#{n}]", "invalid opcode: 0000 [#1]"))
			f.wantAlive(t)
		}, bug)
		onEach(t, []string{"linux-3.10-arm"}, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "kernel BUG at mm/slab.c:620!", "Internal error: Oops - BUG: 0 [#1] SMP ARM")
		}, bug)
		onEach(t, arm64s[1:], Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "kernel BUG at mm/slab.c:620!",
				"Internal error: Oops - BUG: 00000000f2000800 [#1] SMP")
		}, bug)
		onEach(t, boards[1:], Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "Kernel bug detected[#1]:")
			f.wantNone(t, "kernel BUG at")
		}, bug)
	}},
	{"3.32 BUG does not go on", func(t *testing.T) {
		cfg := Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Returns: NotifyStop}}}}
		onEach(t, slices.Concat(linux26s, pcs), cfg, func(t *testing.T, f failed) {
			if n := count(f.said, "kernel BUG at"); n < 2 {
				t.Errorf("it traps %d times", n)
			}
			if !f.Answers().Interrupts || f.Answers().Processes {
				t.Errorf("got %+v", f.Answers())
			}
		}, Fail{Kthread: "worker", How: BugCall{}})
	}},
	{"3.33 BUG without an instruction for it", func(t *testing.T) {
		at := Place{File: "mm/slab.c", Line: 620, Function: "kfree"}
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "BUG: failure at mm/slab.c:620/kfree()!", "Kernel panic - not syncing: BUG!")
			f.wantPanic(t, "BUG!")
		}, Fail{Kthread: "worker", How: GenericBug{at}})
	}},
	{"3.34 the line of a WARN", func(t *testing.T) {
		at := Place{File: "mm/slab.c", Line: 620, Function: "kfree"}
		for name, want := range map[string]string{
			"linux-2.6.17-i386": "BUG: warning at mm/slab.c:620/kfree()",
			"linux-2.6.24-i386": "WARNING: at mm/slab.c:620 kfree()",
			"linux-3.10-arm":    "WARNING: at mm/slab.c:620 kfree+0x10/0x100()",
			"linux-4.19-x86_64": "WARNING: CPU: 0 PID: 3 at mm/slab.c:620 kfree+0x10/0x100",
			"linux-6.1-x86_64":  "WARNING: CPU: 0 PID: 3 at mm/slab.c:620 kfree+0x10/0x100",
			"linux-6.12-x86_64": "WARNING: CPU: 0 PID: 3 at mm/slab.c:620 kfree+0x10/0x100",
			"linux-7.2-x86_64":  "WARNING: mm/slab.c:620 at kfree+0x10/0x100, CPU#0: worker/3",
		} {
			onEach(t, []string{name}, Config{}, func(t *testing.T, f failed) {
				f.wantLines(t, want)
				f.wantAlive(t)
			}, Fail{Kthread: "worker", How: WarnCall{At: at}})
		}
	}},
	{"3.35 the order of a WARN", func(t *testing.T) {
		warn := Fail{Kthread: "worker", How: WarnCall{Text: "so it goes"}}
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "steps", f.stepsBy(t, "__warn"), []string{
				"cut here", "text", "WARNING", "print_modules", "show_regs", "print_oops_end_marker",
			})
			if !f.isTainted(taintWarn) {
				t.Error("not tainted")
			}
		}, warn)
		onEach(t, boards, Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "steps", f.stepsBy(t, "__warn"), []string{
				"cut here", "WARNING", "text", "print_modules", "dump_stack", "print_oops_end_marker",
			})
		}, warn)
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) {
			if f.said[0] == cutHere || f.isTainted(taintWarn) {
				t.Errorf("said %q", f.said)
			}
		}, warn)
		// The second one shows the taint of the first.
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			if !f.has("Tainted: G        W ") {
				t.Errorf("said %q", f.said)
			}
		}, warn, warn)
	}},
	{"3.36 panic_on_warn", func(t *testing.T) {
		cfg := Config{Cmdline: "panic_on_warn=1"}
		warn := Fail{Kthread: "worker", How: WarnCall{}}
		onEach(t, counting, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "kernel: panic_on_warn set ...")
			f.wantLines(t, "Modules linked in:", f.kernel.dump.trace,
				"Kernel panic - not syncing: kernel: panic_on_warn set ...", f.kernel.dump.trace)
			f.wantNone(t, "end trace")
			if f.isSet("kernel/panic_on_warn") || f.isTainted(taintWarn) {
				t.Error("the knob is still set, or the kernel is tainted")
			}
		}, warn)
		onEach(t, pcs[:1], cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "panic_on_warn set ...")
			f.wantNone(t, "Modules linked in:")
		}, warn)
		onEach(t, slices.Concat(linux26s, boards), cfg, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, warn)
	}},
	{"3.37 warn_limit", func(t *testing.T) {
		cfg := Config{Cmdline: "sysctl.kernel.warn_limit=2"}
		warn := Fail{Kthread: "worker", How: WarnCall{}}
		once := Fail{Kthread: "worker", How: WarnCall{Once: true}}
		onEach(t, counting, cfg, func(t *testing.T, f failed) { f.wantAlive(t) }, warn)
		onEach(t, counting, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "kernel: system warned too often (kernel.warn_limit is 2)")
			if n := count(f.said, "[ end trace"); n != 1 {
				t.Errorf("%d end traces", n)
			}
		}, warn, warn)
		onEach(t, counting, cfg, func(t *testing.T, f failed) {
			f.wantAlive(t)
			if n, _ := f.attr("kernel/warn_count"); n != "1" || count(f.said, "WARNING") != 1 {
				t.Errorf("counted %s, said %q", n, f.said)
			}
		}, once, once)
		onEach(t, slices.Concat(linux26s, boards, pcs[:1]), cfg, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, warn, warn, warn)
	}},
	{"3.38 panic_on_taint", func(t *testing.T) {
		warn := Fail{Kthread: "worker", How: WarnCall{}}
		onEach(t, newPCs, Config{Cmdline: "panic_on_taint=0x200"}, func(t *testing.T, f failed) {
			f.wantPanic(t, "panic_on_taint set ...")
			if f.panicOnTaint != 0 {
				t.Error("it is not cleared")
			}
		}, warn)
		onEach(t, newPCs, Config{Cmdline: "panic_on_taint=80"}, func(t *testing.T, f failed) {
			f.wantPanic(t, "panic_on_taint set ...")
			f.wantNone(t, "end trace")
		}, inThread)
		onEach(t, newPCs, Config{Cmdline: "panic_on_taint=0x200"}, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, inThread)
		onEach(t, pcs[:1], Config{Cmdline: "panic_on_taint=0x200"}, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, warn)
		write := func(want kernel.Errno) Action {
			return Do(func(m *Machine) {
				if e := m.setKnob("kernel/tainted", "512"); e != want {
					t.Errorf("got %v, want %v", e, want)
				}
			})
		}
		onEach(t, newPCs, Config{Cmdline: "panic_on_taint=200"}, func(t *testing.T, f failed) {
			f.wantPanic(t, "panic_on_taint set ...")
		}, write(0))
		onEach(t, newPCs, Config{Cmdline: "panic_on_taint=200,nousertaint"}, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, write(kernel.EINVAL))
	}},
	{"3.39 a double fault, and a broken stack", func(t *testing.T) {
		double := Fail{Kthread: "worker", How: DoubleFault{}}
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "PANIC: double fault, error_code: 0x0")
			f.wantPanic(t, "Fatal exception in interrupt")
			if !f.has("double fault: 0000 [#1]") {
				t.Errorf("said %q", f.said)
			}
		}, double)
		onEach(t, pcs[:1], Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Machine halted.")
		}, double)
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "PANIC: double fault, gdt at c0100000 [255 bytes]")
			if f.end.How != Hung || f.Answers().Interrupts {
				t.Errorf("got %+v", f.end)
			}
		}, double)
		onEach(t, append(slices.Clone(arm64s), boards...), Config{}, func(t *testing.T, f failed) {
			f.wantAlive(t)
		}, double)
		broken := Fail{Kthread: "worker", How: StackProtector{}}
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "stack-protector: Kernel stack is corrupted in: crash_write+0x10/0x100 [crash]")
		}, broken)
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) { f.wantAlive(t) }, broken)
	}},
}

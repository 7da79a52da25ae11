package simkernel

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The statements of section 3 of docs/kernel.md that are about the kernel's own failures. Those from
// 3.40 on are the detectors'.

// oopsKernels are those of an architecture with the same way to die.
var (
	pcs      = []string{"linux-4.19-x86_64", "linux-5.10-x86_64", "linux-6.1-x86_64", "linux-6.12-x86_64", "linux-7.2-x86_64"}
	newPCs   = pcs[1:]
	arm64s   = []string{"linux-5.10-arm64", "linux-6.1-arm64"}
	boards   = []string{"linux-3.10-arm", "linux-3.10-mips-wdt"}
	counting = append(slices.Clone(newPCs), arm64s...) // know oops_limit and warn_limit
)

// failed is a machine on which something has failed, and what its kernel has said since.
type failed struct {
	*Machine
	end  End
	said []string
}

// onEach plays a failure on each of some kernels.
func onEach(t *testing.T, kernels []string, cfg Config, check func(t *testing.T, f failed), how ...Action) {
	t.Helper()
	for _, name := range kernels {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			c := cfg
			c.Kernel = name
			if c.Until == 0 {
				c.Until = time.Hour
			}
			m, end, said := dead(t, c, how...)
			check(t, failed{m, end, said})
		})
	}
}

// wantLines checks that the kernel has said these lines, in this order and perhaps others besides.
func (f failed) wantLines(t *testing.T, lines ...string) {
	t.Helper()
	left := lines
	for _, s := range f.said {
		if len(left) > 0 && s == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("the kernel has not said %q, but\n%s", left, strings.Join(f.said, "\n"))
	}
}

func (f failed) wantNone(t *testing.T, part string) {
	t.Helper()
	if f.has(part) {
		t.Errorf("the kernel has said %q:\n%s", part, strings.Join(f.said, "\n"))
	}
}

func (f failed) has(part string) bool {
	return slices.ContainsFunc(f.said, func(s string) bool { return strings.Contains(s, part) })
}

// wantPanic checks why the machine ended.
func (f failed) wantPanic(t *testing.T, text string) {
	t.Helper()
	if want := "Kernel panic - not syncing: " + text; f.end.Text != want || f.end.Since == 0 {
		t.Errorf("got %+v, want %q\n%s", f.end, want, strings.Join(f.said, "\n"))
	}
}

// wantAlive checks that the kernel went on.
func (f failed) wantAlive(t *testing.T) {
	t.Helper()
	if f.end.Since != 0 || f.has("Kernel panic") {
		t.Errorf("got %+v\n%s", f.end, strings.Join(f.said, "\n"))
	}
}

// stepsBy are the functions that have said something, each once in a row, below the outermost.
func (f failed) stepsBy(t *testing.T, within string) []string {
	t.Helper()
	var steps []string
	for _, l := range f.Log() {
		rest, ok := strings.CutPrefix(l.By, within+": ")
		if !ok {
			continue
		}
		step, _, _ := strings.Cut(rest, ": ")
		steps = append(steps, step)
	}
	return slices.Compact(steps)
}

var (
	inThread  = Fail{Kthread: "worker", How: NullWrite{Addr: 0x30}}
	inProgram = starts("victim", Oops{How: NullWrite{Addr: 0x30}})
	inTimer   = Fail{In: InSoftIRQ, How: NullWrite{Addr: 0x10}}
)

// exitOf plays a program that fails in the kernel, and returns how its parent sees it end.
func exitOf(t *testing.T, kernels []string, how Failure, want kernel.WaitStatus) {
	t.Helper()
	caseOf{steps: []Step{Oops{How: how}, Exit{3}}, kernels: kernels}.play(
		t, func(t *testing.T, f *fate) {
			wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{want})
			if !f.lived() {
				t.Errorf("got %+v", f.end)
			}
		})
}

func TestOopsStatements(t *testing.T) {
	for _, s := range slices.Concat(oopsStatements, spareStatements, initStatements, bugStatements) {
		t.Run(s.name, s.test)
	}
}

// TestEveryOopsStatementHasATest holds docs/kernel.md against these tables.
func TestEveryOopsStatementHasATest(t *testing.T) {
	wantTested(t, 39, `3\.(?:[1-9]|[12]\d|3\d)`, oopsStatements, spareStatements, initStatements, bugStatements)
}

var oopsStatements = []statement{
	{"3.1 the order on a PC", func(t *testing.T) {
		onEach(t, pcs, Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Says: "notified"}}}},
			func(t *testing.T, f failed) {
				wantEqual(t, "steps", f.stepsBy(t, "die"), []string{
					"show_fault_oops", "__die_header", "__die_body", "notify_die", "page_fault_oops",
					"oops_exit", "__show_regs",
				})
				f.wantLines(t, "Call Trace:", "Modules linked in:", "notified", "CR2: 0000000000000030")
				f.wantAlive(t)
			}, inProgram)
	}},
	{"3.2 the order on an arm", func(t *testing.T) {
		onEach(t, []string{"linux-3.10-arm"},
			Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Says: "notified"}}}},
			func(t *testing.T, f failed) {
				f.wantLines(t, "Unable to handle kernel NULL pointer dereference at virtual address 00000030",
					"Internal error: Oops: 805 [#1] SMP ARM", "notified", "Modules linked in:",
					"Backtrace: ")
				wantEqual(t, "steps", f.stepsBy(t, "die"),
					[]string{"__die_header", "notify_die", "__die_body", "oops_exit"})
			}, inThread)
	}},
	{"3.3 the order on an arm64", func(t *testing.T) {
		cfg := Config{
			Reboot:  RebootConfig{CPUs: 2},
			Panic:   PanicConfig{DieNotifiers: []Notifier{{Says: "notified"}}},
			Cmdline: "oops=panic panic=0",
		}
		onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "notified", "Modules linked in:", "Call trace:")
			if !f.oopses.held {
				t.Error("the lock was given back before the panic")
			}
		}, inThread)
	}},
	{"3.4 the order on a MIPS", func(t *testing.T) {
		onEach(t, []string{"linux-3.10-mips-wdt"},
			Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Says: "notified"}}}},
			func(t *testing.T, f failed) {
				wantEqual(t, "steps", f.stepsBy(t, "die"),
					[]string{"notify_die", "__die_header", "__die_body", "oops_exit"})
			}, inThread)
	}},
	{"3.5 the order in 2.6", func(t *testing.T) {
		cfg := Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Says: "notified"}}}}
		onEach(t, linux26s, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "notified", "Modules linked in:")
			newer := f.kernel.name == linux26s[1]
			if f.has("end trace") != newer || f.isTainted(taintDie) != newer {
				t.Errorf("tainted %v, said\n%s", f.isTainted(taintDie), strings.Join(f.said, "\n"))
			}
		}, inThread)
		cfg.Cmdline = "oops=panic sysctl.kernel.panic_on_oops=1"
		onEach(t, linux26s, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "Fatal exception")
			f.wantNone(t, "end trace")
		}, inThread)
	}},
	{"3.6 the line with the error", func(t *testing.T) {
		for name, want := range map[string]string{
			"linux-2.6.17-i386":   "Oops: 0002 [#1]",
			"linux-2.6.24-i386":   "Oops: 0002 [#1] SMP ",
			"linux-3.10-arm":      "Internal error: Oops: 805 [#1] SMP ARM",
			"linux-3.10-mips-wdt": "Oops[#1]:",
			"linux-4.19-x86_64":   "Oops: 0002 [#1] SMP NOPTI",
			"linux-5.10-x86_64":   "Oops: 0002 [#1] SMP NOPTI",
			"linux-6.1-x86_64":    "Oops: 0002 [#1] PREEMPT SMP NOPTI",
			"linux-6.12-x86_64":   "Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI",
			"linux-7.2-x86_64":    "Oops: Oops: 0002 [#1] SMP NOPTI",
			"linux-5.10-arm64":    "Internal error: Oops: 0000000096000047 [#1] SMP",
			"linux-6.1-arm64":     "Internal error: Oops: 0000000096000047 [#1] SMP",
		} {
			onEach(t, []string{name}, Config{}, func(t *testing.T, f failed) {
				f.wantLines(t, want, strings.Replace(want, "#1", "#2", 1))
			}, inThread, inThread)
		}
	}},
	{"3.7 the lines of a page fault", func(t *testing.T) {
		for _, c := range []struct {
			kernel    string
			null, bad []string
		}{
			{
				linux26s[0],
				[]string{"BUG: unable to handle kernel NULL pointer dereference at virtual address 00000030"},
				[]string{"BUG: unable to handle kernel paging request at virtual address c8001000"},
			},
			{
				linux26s[1],
				[]string{"BUG: unable to handle kernel NULL pointer dereference at virtual address 00000030"},
				[]string{"BUG: unable to handle kernel paging request at virtual address c8001000"},
			},
			{
				"linux-3.10-arm",
				[]string{"Unable to handle kernel NULL pointer dereference at virtual address 00000030"},
				[]string{"Unable to handle kernel paging request at virtual address c8001000"},
			},
			{
				"linux-4.19-x86_64",
				[]string{"BUG: unable to handle kernel NULL pointer dereference at 0000000000000030"},
				[]string{"BUG: unable to handle kernel paging request at 00000000c8001000"},
			},
			{
				"linux-6.1-x86_64",
				[]string{
					"BUG: kernel NULL pointer dereference, address: 0000000000000030",
					"#PF: supervisor write access in kernel mode", "#PF: error_code(0x0002) - not-present page",
				},
				[]string{
					"BUG: unable to handle page fault for address: 00000000c8001000",
					"#PF: supervisor read access in kernel mode", "#PF: error_code(0x0000) - not-present page",
				},
			},
		} {
			onEach(t, []string{c.kernel}, Config{}, func(t *testing.T, f failed) {
				f.wantLines(t, slices.Concat(c.null, c.bad)...)
			}, inThread, Fail{Kthread: "worker", How: BadPointer{Addr: 0xc8001000, Reads: true}})
		}
		jump := Fail{Kthread: "worker", How: BadPointer{Addr: 0x123, Executes: true}}
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantLines(t, "#PF: supervisor instruction fetch in kernel mode",
				"#PF: error_code(0x0010) - not-present page")
		}, jump)
		poison := Fail{Kthread: "worker", How: BadPointer{Addr: 0xdead000000000100}}
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantNone(t, "page fault")
			if !f.has("general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]") {
				t.Errorf("said %q", f.said)
			}
		}, poison)
	}},
	{"3.8 who sees it", func(t *testing.T) {
		quiet := Config{Cmdline: "quiet loglevel=1"}
		onEach(t, Kernels(), quiet, func(t *testing.T, f failed) {
			if f.ring.levels[0] != motormouthConsoleLevel {
				t.Errorf("the level is %d", f.ring.levels[0])
			}
			shown := make(map[string]bool)
			for _, l := range f.Log() {
				shown[l.Text] = l.Shown
			}
			if !shown["Modules linked in:"] {
				t.Error("the modules were not shown")
			}
			for text, at := range map[string]bool{
				"BUG: kernel NULL pointer dereference, address: 0000000000000030":                   true,
				"Unable to handle kernel NULL pointer dereference at virtual address 00000030":      false,
				"BUG: unable to handle kernel NULL pointer dereference at virtual address 00000030": false,
			} {
				if got, said := shown[text]; said && got != at {
					t.Errorf("%q shown: %v, want %v", text, got, at)
				}
			}
		}, inThread)
	}},
	{"3.9 the number at the end", func(t *testing.T) {
		number := regexp.MustCompile(`^---\[ end trace ([0-9a-f]{16}) \]---$`)
		ids := func(f failed) []string {
			var found []string
			for _, s := range f.said {
				if m := number.FindStringSubmatch(s); m != nil {
					found = append(found, m[1])
				}
			}
			return found
		}
		onEach(t, Kernels(), Config{Seed: 7}, func(t *testing.T, f failed) {
			got := ids(f)
			switch f.kernel.endTrace {
			case endTraceNone:
				wantEqual(t, "ids", len(got), 0)
				return
			case endTraceZero:
				zero := strings.Repeat("0", 16)
				wantEqual(t, "ids", got, []string{zero, zero})
				return
			case endTraceSame, endTraceCounts:
			}
			if len(got) != 2 || got[0] == strings.Repeat("0", 16) {
				t.Fatalf("got %q", got)
			}
			if same := got[0] == got[1]; same != (f.kernel.endTrace == endTraceSame) {
				t.Errorf("got %q", got)
			}
		}, inThread, inThread)
	}},
	{"3.10 by which signal", func(t *testing.T) {
		exitOf(t, pcs, NullWrite{}, 9)
		exitOf(t, slices.Concat(linux26s, boards, arm64s), NullWrite{}, 11)
		exitOf(t, Kernels(), BugCall{}, 11)
		exitOf(t, pcs, BadPointer{Addr: 0xdead000000000100}, 11)
	}},
	{"3.11 the others go on", func(t *testing.T) {
		caseOf{
			steps: []Step{Oops{How: NullWrite{}}}, second: []Step{Sleep{2 * time.Second}, Exit{7}},
			kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			if !f.lived() || len(f.exits) != 2 || f.exits[1] != 7<<8 {
				t.Errorf("got %+v, %v", f.end, f.exits)
			}
			if f.isTainted(taintDie) == (f.kernel.name == linux26s[0]) {
				t.Error("the taint is wrong")
			}
		})
	}},
	{"3.12 in an interrupt", func(t *testing.T) {
		for _, in := range []Interrupt{InHardIRQ, InSoftIRQ} {
			onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
				text := "Fatal exception in interrupt"
				if f.kernel.arch == archARM64 {
					text = "Oops: " + text
				}
				f.wantPanic(t, text)
				traces := 0
				for _, s := range f.said {
					if s == f.kernel.dump.trace {
						traces++
					}
				}
				if traces != 1 {
					t.Errorf("%d traces:\n%s", traces, strings.Join(f.said, "\n"))
				}
			}, Fail{In: in, How: NullWrite{}})
		}
	}},
	{"3.13 panic_on_oops", func(t *testing.T) {
		cfg := Config{Cmdline: "sysctl.kernel.panic_on_oops=1"}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			text := "Fatal exception"
			if f.kernel.arch == archARM64 {
				text = "Oops: " + text
			}
			f.wantPanic(t, text)
			waits := f.kernel.arch == archMIPS || f.kernel.name == linux26s[0]
			if f.has("Fatal exception: panic in 5 seconds") != waits {
				t.Errorf("said\n%s", strings.Join(f.said, "\n"))
			}
			if waited := f.end.Since - time.Second; (waited == 5*time.Second) != waits {
				t.Errorf("panicked %v after the oops", waited)
			}
		}, inThread)
		onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "Oops - BUG: Fatal exception")
		}, Fail{Kthread: "worker", How: BugCall{}})
		// It is also a word of the command line.
		onEach(t, newPCs, Config{Cmdline: "oops=panic"}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Fatal exception")
		}, inThread)
	}},
	{"3.14 the crash kernel from the oops", func(t *testing.T) {
		for _, c := range []struct {
			cmdline string
			fail    Fail
			want    bool
		}{
			{"", inThread, false},
			{"", Fail{Name: "init"}, true},
			{"", Fail{}, true},
			{"", inTimer, true},
			{"sysctl.kernel.panic_on_oops=1", inThread, true},
			{"crash_kexec_post_notifiers sysctl.kernel.panic_on_oops=1", inThread, false},
		} {
			var got []bool
			ask := probe(func(m *Machine, x *context) { got = append(got, m.kexecShouldCrash(x)) })
			c.fail.How = ask
			onEach(t, pcs, Config{Cmdline: c.cmdline}, func(t *testing.T, f failed) {
				wantEqual(t, c.cmdline, got, []bool{c.want})
				got = nil
			}, c.fail)
		}
	}},
	{"3.15 a notifier that stops it", func(t *testing.T) {
		stop := func(r NotifyResult) Config {
			return Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Name: "kgdb", Returns: r}}}}
		}
		play := func(kernels []string, cfg Config, want ...kernel.WaitStatus) {
			caseOf{cfg: cfg, steps: []Step{Oops{How: NullWrite{}}, Exit{3}}, kernels: kernels}.play(
				t, func(t *testing.T, f *fate) { wantEqual(t, "statuses", f.exits, want) })
		}
		survivors := slices.Concat(linux26s, pcs, arm64s, []string{"linux-3.10-arm"})
		play(survivors, stop(NotifyStop), 3<<8)
		play([]string{"linux-3.10-mips-wdt"}, stop(NotifyStop), 0)
		play(pcs, stop(NotifyBad), 9)
		play(pcs, stop(NotifyOK), 9)
		// On arm and arm64 the panics are not prevented, on a PC they are.
		cfg := stop(NotifyStop)
		cfg.Cmdline = "sysctl.kernel.panic_on_oops=1"
		onEach(t, pcs, cfg, func(t *testing.T, f failed) { f.wantAlive(t) }, inThread)
		onEach(t, linux26s, cfg, func(t *testing.T, f failed) { f.wantAlive(t) }, inThread)
		onEach(t, arm64s, cfg, func(t *testing.T, f failed) {
			f.wantPanic(t, "Oops: Fatal exception")
			f.wantNone(t, "Modules linked in:")
		}, inThread)
		onEach(t, boards, cfg, func(t *testing.T, f failed) { f.wantPanic(t, "Fatal exception") }, inThread)
	}},
	{"3.16 an oops in an oops", func(t *testing.T) {
		again := func() Config {
			return Config{Panic: PanicConfig{DieNotifiers: []Notifier{
				{Name: "bad", Fails: &times{n: 1, how: NullWrite{}}},
			}}}
		}
		for _, name := range pcs {
			onEach(t, []string{name}, again(), func(t *testing.T, f failed) {
				if !f.has("[#1]") || !f.has("[#2]") || !f.oopses.held {
					t.Errorf("held %v, said\n%s", f.oopses.held, strings.Join(f.said, "\n"))
				}
				f.wantAlive(t)
			}, inThread)
			// The next one, on another CPU, waits for ever.
			cfg := again()
			cfg.Reboot.CPUs = 2
			onEach(t, []string{name}, cfg, func(t *testing.T, f failed) {
				f.wantNone(t, "[#3]")
				if f.cpus[1].state() != "has interrupts off" {
					t.Errorf("CPU 1 %s", f.cpus[1].state())
				}
			}, inThread, Fail{CPU: 1, Kthread: "other", How: NullWrite{}})
		}
		for _, name := range arm64s {
			onEach(t, []string{name}, again(), func(t *testing.T, f failed) {
				f.wantNone(t, "[#2]")
				if f.end.How != Hung {
					t.Errorf("got %+v", f.end)
				}
			}, inThread)
		}
		// 2.6 says nothing of the third one in a row.
		for _, name := range linux26s {
			cfg := Config{Panic: PanicConfig{DieNotifiers: []Notifier{
				{Name: "bad", Fails: &times{n: 2, how: NullWrite{}}},
			}}}
			onEach(t, []string{name}, cfg, func(t *testing.T, f failed) {
				f.wantLines(t, "Recursive die() failure, output suppressed")
				f.wantNone(t, "[#3]")
			}, inThread)
		}
	}},
	{"3.17 pause_on_oops", func(t *testing.T) {
		cfg := Config{Cmdline: "pause_on_oops=20"}
		onEach(t, pcs, cfg, func(t *testing.T, f failed) {
			// The page fault's lines are not shown, for the oops has begun.
			f.wantNone(t, "NULL pointer")
			f.wantLines(t, "Modules linked in:")
			for _, l := range f.Log() {
				if strings.Contains(l.Text, "end trace") && l.At != 21*time.Second {
					t.Errorf("the end comes at %v", l.At)
				}
			}
		}, inThread)
		cfg.Reboot.CPUs = 2
		second := Do(func(m *Machine) {
			m.At(5*time.Second, Fail{CPU: 1, Kthread: "other", How: NullWrite{}})
		})
		onEach(t, newPCs, cfg, func(t *testing.T, f failed) {
			for _, l := range f.Log() {
				if strings.Contains(l.Text, "Comm: other") && l.At < 20*time.Second {
					t.Errorf("the second one is told at %v", l.At)
				}
			}
		}, second, inThread)
	}},
	{"3.18 oops_all_cpu_backtrace", func(t *testing.T) {
		cfg := Config{
			Reboot: RebootConfig{CPUs: 2}, Cmdline: "sysctl.kernel.oops_all_cpu_backtrace=1",
		}
		busy := Do(func(m *Machine) { m.stick(&m.cpus[1], &occupant{comm: "loop", pid: 9}, true) })
		onEach(t, newPCs, cfg, func(t *testing.T, f failed) {
			f.wantLines(t, "NMI backtrace for cpu 0", "Sending NMI from CPU 0 to CPUs 1:",
				"NMI backtrace for cpu 1", "Modules linked in:")
		}, busy, inThread)
		onEach(t, slices.Concat(linux26s, boards, arm64s), cfg, func(t *testing.T, f failed) {
			f.wantNone(t, "backtrace for cpu")
		}, busy, inThread)
	}},
}

// probe is a failure that only looks.
type probe func(m *Machine, x *context)

func (p probe) fail(m *Machine, x *context) { p(m, x) }

// times fails so many times only.
type times struct {
	n   int
	how Failure
}

func (f *times) fail(m *Machine, x *context) {
	if f.n > 0 {
		f.n--
		f.how.fail(m, x)
	}
}

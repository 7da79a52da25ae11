package simkernel

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The statements of section 3 of docs/kernel.md from 3.40 on, and those of section 6.

func TestNoticeStatements(t *testing.T) {
	for _, s := range slices.Concat(noticeStatements, sysrqStatements) {
		t.Run(s.name, s.test)
	}
	wantTested(t, 25, `3\.(?:[4-9]\d)`, noticeStatements, sysrqStatements)
}

func TestWatchdogStatements(t *testing.T) {
	for _, s := range watchdogStatements {
		t.Run(s.name, s.test)
	}
	wantTested(t, 19, `6\.\d+`, watchdogStatements)
}

var (
	twoCPUs = RebootConfig{CPUs: 2}
	loops   = Fail{CPU: 1, How: StuckCPU{Comm: "loop", PID: 7}}
	locked  = Fail{CPU: 1, How: StuckCPU{Comm: "loop", PID: 7, IRQsOff: true}}
	dStates = starts("dead", Hang{})
)

// told are when a line that begins so was said.
func (f failed) told(prefix string) []time.Duration {
	var at []time.Duration
	for _, l := range f.Log() {
		if strings.HasPrefix(l.Text, prefix) {
			at = append(at, l.At)
		}
	}
	return at
}

// lives reports whether a process of that name does.
func (f failed) lives(name string) bool {
	for p := f.all.first; p != nil; p = p.nextAll {
		if p.isNamed(name) && p.state != Zombie {
			return true
		}
	}
	return false
}

// wantNothing checks that a line was not said.
func (f failed) wantNothing(t *testing.T, prefix string) {
	t.Helper()
	if at := f.told(prefix); len(at) > 0 {
		t.Errorf("%q is said at %v", prefix, at)
	}
}

const softLockup = "watchdog: BUG: soft lockup - CPU#1 stuck for "

var noticeStatements = []statement{
	{"3.40 a soft lockup", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Reboot: twoCPUs, Until: 40 * time.Second}, func(t *testing.T, f failed) {
			f.wantLines(t, softLockup+"22s! [loop:7]")
			if at := f.told(softLockup); at[0] < 21*time.Second || at[0] > 29*time.Second {
				t.Errorf("told at %v", at)
			}
		}, loops)
		onEach(t, boards, Config{Reboot: twoCPUs, Until: 40 * time.Second}, func(t *testing.T, f failed) {
			f.wantLines(t, "BUG: soft lockup - CPU#1 stuck for 22s! [loop:7]")
		}, loops)
	}},
	{"3.41 again", func(t *testing.T) {
		cfg := Config{Reboot: twoCPUs, Until: 10 * time.Minute}
		onEach(t, []string{"linux-6.1-x86_64", "linux-6.12-x86_64", "linux-6.1-arm64"}, cfg,
			func(t *testing.T, f failed) {
				if n := len(f.told(softLockup)); n < 10 {
					t.Errorf("told %d times", n)
				}
			}, loops)
		onEach(t, []string{"linux-4.19-x86_64", "linux-5.10-x86_64"}, cfg, func(t *testing.T, f failed) {
			wantEqual(t, "times", len(f.told(softLockup)), 1)
		}, loops)
	}},
	{"3.42 a panic", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Reboot: twoCPUs, Cmdline: "softlockup_panic=1"},
			func(t *testing.T, f failed) {
				f.wantPanic(t, "softlockup: hung tasks")
				if !f.isTainted(taintSoftLockup) {
					t.Error("it is not tainted")
				}
			}, loops)
		onEach(t, []string{"linux-2.6.24-i386"}, Config{
			Reboot: twoCPUs, Cmdline: "softlockup_panic=1", Until: time.Minute,
		}, func(t *testing.T, f failed) {
			f.wantLines(t, "BUG: soft lockup - CPU#1 stuck for 11s! [loop:7]")
			f.wantAlive(t)
		}, loops)
		onEach(t, []string{"linux-2.6.17-i386"}, Config{Reboot: twoCPUs, Until: 5 * time.Minute},
			func(t *testing.T, f failed) {
				const says = "BUG: soft lockup detected on CPU#1!"
				f.wantLines(t, says)
				if at := f.told(says); len(at) != 1 || at[0] < 11*time.Second || at[0] > 12*time.Second {
					t.Errorf("told at %v", at)
				}
			}, loops)
	}},
	{"3.43 off", func(t *testing.T) {
		for _, words := range []string{
			"nosoftlockup", "sysctl.kernel.watchdog=0", "sysctl.kernel.soft_watchdog=0", "watchdog_thresh=0",
		} {
			cfg := Config{Reboot: twoCPUs, Cmdline: words, Until: time.Minute}
			onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) { f.wantNothing(t, softLockup) }, loops)
		}
	}},
	{"3.44 a hard lockup", func(t *testing.T) {
		says := func(f failed) string {
			if f.kernel.name == "linux-6.12-x86_64" {
				return "watchdog: Watchdog detected hard LOCKUP on cpu 1"
			}
			return "NMI watchdog: Watchdog detected hard LOCKUP on cpu 1"
		}
		cfg := Config{Reboot: twoCPUs, Until: time.Minute}
		onEach(t, pcs[:4], cfg, func(t *testing.T, f failed) { f.wantNothing(t, says(f)) }, locked)
		cfg.Cmdline = "nmi_watchdog=1"
		onEach(t, pcs[:4], cfg, func(t *testing.T, f failed) {
			f.wantAlive(t)
			if at := f.told(says(f)); len(at) != 1 || at[0] < 11*time.Second || at[0] > 21*time.Second {
				t.Errorf("told at %v", at)
			}
		}, locked)
		for _, words := range []string{"nmi_watchdog=panic", "nmi_watchdog=1 sysctl.kernel.hardlockup_panic=1"} {
			cfg.Cmdline = words
			onEach(t, pcs[:4], cfg, func(t *testing.T, f failed) { f.wantPanic(t, "Hard LOCKUP") }, locked)
		}
	}},
	{"3.45 an RCU stall", func(t *testing.T) {
		cfg := Config{Reboot: twoCPUs, Until: 90 * time.Second}
		const self, other = " self-detected stall on CPU", " detected stalls on CPUs/tasks:"
		onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
			if !f.has(self) || f.has(other) {
				t.Errorf("said %q", f.said)
			}
		}, loops)
		onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
			if f.has(self) || !f.has(other) {
				t.Errorf("said %q", f.said)
			}
		}, locked)
		alone := Fail{How: StuckCPU{IRQsOff: true}}
		onEach(t, sincePanic4, Config{}, func(t *testing.T, f failed) {
			f.wantNone(t, "stall")
			wantEqual(t, "end", f.end.How, Hung)
		}, alone)
		for given, want := range map[string]time.Duration{"5": 5, "1": 3, "1000": 300} {
			cfg := Config{
				Reboot: twoCPUs, Until: 6 * time.Minute,
				Cmdline: "watchdog_thresh=0 rcupdate.rcu_cpu_stall_timeout=" + given,
			}
			onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
				at := f.told("rcu: INFO: ")
				if len(at) == 0 || at[0] != (want+1)*time.Second {
					t.Errorf("%s: told at %v", given, at)
				}
			}, loops)
		}
	}},
	{"3.46 the next one", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Reboot: twoCPUs, Until: 3 * time.Minute}, func(t *testing.T, f failed) {
			at := f.told("rcu: INFO: ")
			if len(at) < 2 || at[1]-at[0] != 66*time.Second {
				t.Errorf("told at %v", at)
			}
		}, loops)
	}},
	{"3.47 a panic", func(t *testing.T) {
		for n := 1; n <= 3; n++ {
			cfg := Config{Reboot: twoCPUs, Cmdline: fmt.Sprintf(
				"sysctl.kernel.panic_on_rcu_stall=1 sysctl.kernel.max_rcu_stall_to_panic=%d", n)}
			onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
				f.wantPanic(t, "RCU Stall")
				want := n
				if f.ownKnob("kernel/max_rcu_stall_to_panic") == nil {
					want = 1
				}
				wantEqual(t, "stalls", len(f.told("rcu: INFO: ")), want)
			}, loops)
		}
	}},
	{"3.48 a hung task", func(t *testing.T) {
		cfg := Config{Until: 5 * time.Minute}
		kernels := append(slices.Clone(sincePanic4), boards...)
		onEach(t, kernels, cfg, func(t *testing.T, f failed) {
			at := f.told("INFO: task dead:3 blocked for more than 120 seconds.")
			if len(at) == 0 || at[0] < 121*time.Second || at[0] > 241*time.Second {
				t.Errorf("told at %v", at)
			}
		}, dStates)
		onEach(t, kernels, cfg, func(t *testing.T, f failed) { f.wantNothing(t, "INFO: task") },
			starts("waits", Hang{Killable: true}))
		onEach(t, old26, cfg, func(t *testing.T, f failed) { f.wantNothing(t, "INFO: task") }, dStates)
	}},
	{"3.49 ten times", func(t *testing.T) {
		for given, want := range map[string]int{"10": 10, "3": 3, "0": 0, "-1": 29} {
			cfg := Config{Until: time.Hour, Cmdline: "sysctl.kernel.hung_task_warnings=" + given}
			onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
				if n := len(f.told("INFO: task")); n != want {
					t.Errorf("%s: told %d times, want %d", given, n, want)
				}
			}, dStates)
		}
	}},
	{"3.50 a panic", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Cmdline: "hung_task_panic=1"}, func(t *testing.T, f failed) {
			f.wantPanic(t, "hung_task: blocked tasks")
			wantEqual(t, "told of", len(f.told("INFO: task")), 2)
		}, dStates, starts("other", Hang{}))
	}},
	{"3.51 after an oops", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Cmdline: "hung_task_panic=1", Until: 10 * time.Minute},
			func(t *testing.T, f failed) {
				f.wantAlive(t)
				f.wantNothing(t, "INFO: task")
			}, inThread, dStates)
	}},
	{"3.52 no memory", func(t *testing.T) {
		onEach(t, Kernels(), Config{Until: time.Minute}, func(t *testing.T, f failed) {
			f.wantAlive(t)
			if !f.has("(big)") || f.lives("big") {
				t.Errorf("said %q", f.said)
			}
		}, starts("big", Pause{}), Fail{How: OutOfMemory{Name: "big"}})
		for _, k := range Kernels() {
			want := "System is deadlocked on memory"
			if slices.Contains(slices.Concat(old26, boards), k) {
				want = "Out of memory and no killable processes..."
			}
			onEach(t, []string{k}, Config{}, func(t *testing.T, f failed) { f.wantPanic(t, want) },
				Fail{How: OutOfMemory{}})
		}
	}},
	{"3.53 panic_on_oom", func(t *testing.T) {
		const wide, compulsory = "Out of memory: system-wide panic_on_oom is enabled",
			"Out of memory: compulsory panic_on_oom is enabled"
		for _, c := range []struct {
			value int
			oom   OutOfMemory
			want  string
		}{
			{1, OutOfMemory{}, wide},
			{1, OutOfMemory{Constrained: true}, ""},
			{2, OutOfMemory{}, compulsory},
			{2, OutOfMemory{Constrained: true}, compulsory},
			{1, OutOfMemory{Sysrq: true}, ""},
			{2, OutOfMemory{Sysrq: true}, ""},
		} {
			cfg := Config{Until: time.Minute, Cmdline: fmt.Sprintf("sysctl.vm.panic_on_oom=%d", c.value)}
			onEach(t, sincePanic4, cfg, func(t *testing.T, f failed) {
				if c.want == "" {
					f.wantAlive(t)
				} else {
					f.wantPanic(t, c.want)
				}
			}, starts("big", Pause{}), Fail{How: c.oom})
		}
	}},
	{"3.54 an unknown NMI", func(t *testing.T) {
		nmi := Fail{How: NMI{Reason: 0x21}}
		onEach(t, pcs, Config{Until: time.Minute}, func(t *testing.T, f failed) {
			f.wantLines(t, "Uhhuh. NMI received for unknown reason 21 on CPU 0.",
				"Dazed and confused, but trying to continue")
			f.wantAlive(t)
		}, nmi)
		for _, knob := range []string{"unknown_nmi_panic", "panic_on_unrecovered_nmi"} {
			onEach(t, pcs, Config{Cmdline: "sysctl.kernel." + knob + "=1"}, func(t *testing.T, f failed) {
				f.wantPanic(t, "NMI: Not continuing")
			}, nmi)
		}
	}},
	{"3.55 SERR and IOCHK", func(t *testing.T) {
		for _, c := range []struct {
			reason     uint8
			knob, want string
		}{
			{NMISERR, "panic_on_unrecovered_nmi", "NMI: Not continuing"},
			{NMIIOCHK, "panic_on_io_nmi", "NMI IOCK error: Not continuing"},
		} {
			nmi := Fail{How: NMI{Reason: c.reason}}
			onEach(t, pcs, Config{Until: time.Minute}, func(t *testing.T, f failed) { f.wantAlive(t) }, nmi)
			onEach(t, pcs, Config{Cmdline: "sysctl.kernel." + c.knob + "=1"}, func(t *testing.T, f failed) {
				f.wantPanic(t, c.want)
			}, nmi)
		}
	}},
	{"3.56 a machine check", func(t *testing.T) {
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Fatal machine check")
			f.wantLines(t, "Rebooting in 30 seconds..")
			f.wantNone(t, "Call Trace")
		}, Fail{How: MachineCheck{}})
		onEach(t, pcs, Config{}, func(t *testing.T, f failed) { f.wantNone(t, "Rebooting") },
			Fail{How: MachineCheck{NoBootlog: true}})
		onEach(t, pcs, Config{Cmdline: "panic=5"}, func(t *testing.T, f failed) {
			f.wantLines(t, "Rebooting in 5 seconds..")
		}, Fail{How: MachineCheck{}})
	}},
	{"3.57 a full stack", func(t *testing.T) {
		deep := starts("deep", Oops{How: StackOverflow{}})
		onEach(t, newPCs, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Fatal exception in interrupt")
		}, deep)
		onEach(t, []string{"linux-4.19-x86_64"}, Config{Until: time.Minute}, func(t *testing.T, f failed) {
			f.wantAlive(t)
			if !f.has("stack guard page was hit") {
				t.Errorf("said %q", f.said)
			}
		}, deep)
	}},
	{"3.58 beyond the end of the stack", func(t *testing.T) {
		onEach(t, sincePanic4, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "corrupted stack end detected inside scheduler")
		}, Fail{How: StackEnd{}})
	}},
}

var sysrqStatements = []statement{
	{"3.59 a write", func(t *testing.T) {
		const off = "sysctl.kernel.sysrq=0"
		onEach(t, []string{"linux-5.10-x86_64", "linux-6.1-x86_64", "linux-6.1-arm64"},
			Config{Cmdline: off, Until: time.Minute}, func(t *testing.T, f failed) {
				f.wantLines(t, "sysrq: Show Memory")
				f.wantNone(t, "Resetting")
			}, writes("mb"))
		onEach(t, []string{"linux-6.12-x86_64", "linux-7.2-x86_64"}, Config{Cmdline: off},
			func(t *testing.T, f failed) {
				f.wantLines(t, "sysrq: Show Memory", "sysrq: Resetting")
			}, writes("_mb"))
	}},
	{"3.60 a key", func(t *testing.T) {
		onEach(t, sincePanic5, Config{Cmdline: "sysctl.kernel.sysrq=438", Until: time.Minute},
			func(t *testing.T, f failed) {
				f.wantLines(t, "sysrq: This sysrq operation is disabled.")
				f.wantNone(t, "Terminate")
			}, PressSysrq{Key: 'e'})
		for _, words := range []string{"sysctl.kernel.sysrq=1", "sysctl.kernel.sysrq=0 sysrq_always_enabled=0"} {
			onEach(t, sincePanic5, Config{Cmdline: words, Until: time.Minute}, func(t *testing.T, f failed) {
				f.wantLines(t, "sysrq: Terminate All Tasks")
			}, PressSysrq{Key: 'e'})
		}
	}},
	{"3.61 c", func(t *testing.T) {
		onEach(t, sincePanic5, Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "sysrq triggered crash")
		}, writes("c"))
		onEach(t, append([]string{"linux-4.19-x86_64"}, boards...), Config{}, func(t *testing.T, f failed) {
			f.wantPanic(t, "Fatal exception")
			if !f.isSet("kernel/panic_on_oops") {
				t.Error("panic_on_oops is not set")
			}
		}, writes("c"))
		onEach(t, old26, Config{Until: time.Minute}, func(t *testing.T, f failed) { f.wantAlive(t) }, writes("c"))
	}},
	{"3.62 b", func(t *testing.T) {
		onEach(t, Kernels(), Config{}, func(t *testing.T, f failed) {
			wantEqual(t, "end", f.end.How, Restarted)
			wantEqual(t, "at", f.end.At, time.Second)
		}, writes("b"))
	}},
	{"3.63 e, i, s and u", func(t *testing.T) {
		for _, key := range []string{"e", "i"} {
			onEach(t, sincePanic4, Config{Until: time.Minute}, func(t *testing.T, f failed) {
				f.wantAlive(t)
				wantEqual(t, "lives", f.lives("p"), false)
			}, starts("p", Pause{}), Do(func(m *Machine) { m.At(2*time.Second, writes(key)) }))
		}
		onEach(t, sincePanic4, Config{Until: time.Minute}, func(t *testing.T, f failed) {
			f.wantLines(t, "Emergency Sync complete")
			f.wantAlive(t)
		}, writes("s"))
		onEach(t, sincePanic4, Config{Until: time.Minute}, func(t *testing.T, f failed) {
			f.wantLines(t, "Emergency Remount complete")
			f.wantAlive(t)
		}, writes("u"))
	}},
	{"3.64 f", func(t *testing.T) {
		onEach(t, sincePanic4, Config{Until: time.Minute, Cmdline: "sysctl.vm.panic_on_oom=2"},
			func(t *testing.T, f failed) {
				f.wantAlive(t)
				wantEqual(t, "lives", f.lives("p"), false)
			}, starts("p", Pause{}), Do(func(m *Machine) { m.At(2*time.Second, writes("f")) }))
	}},
}

// device is a machine with one watchdog.
func device(driver string) (*Machine, *watchdog) {
	m := New(Config{Watchdogs: []Watchdog{{Driver: driver}}})
	return m, m.watchdogs[0]
}

// asks is an ioctl of a watchdog.
func asks(t *testing.T, m *Machine, w *watchdog, cmd int, value int64, want kernel.Errno) int64 {
	t.Helper()
	n, e := m.ioctlWatchdog(w, cmd, value)
	if e != want {
		t.Errorf("command %d with %d: got %v, want %v", cmd, value, e, want)
	}
	return n
}

// bitten plays a machine with a watchdog.
func bitten(t *testing.T, cfg Config, w Watchdog, want How, at time.Duration, do ...Action) failed {
	t.Helper()
	cfg.Watchdogs = []Watchdog{w}
	if cfg.Until == 0 {
		cfg.Until = 10 * time.Minute
	}
	m, end, said := dead(t, cfg, do...)
	how := end.How
	if end.Then != 0 {
		how = end.Then
	}
	if how != want || end.At-at > 500*time.Millisecond || end.At < at {
		t.Errorf("%+v: got %+v, want %v at %v", w, end, want, at)
	}
	return failed{m, end, said}
}

var watchdogStatements = []statement{
	{"6.1 opening", func(t *testing.T) {
		m, w := device("i6300esb")
		wantEqual(t, "first", m.openWatchdog(w, nil), 0)
		wantEqual(t, "second", m.openWatchdog(w, nil), syscall.EBUSY)
		wantEqual(t, "active", w.active, true)
		bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog, 31*time.Second,
			keeper(0, 0, kernel.Never))
	}},
	{"6.2 writing", func(t *testing.T) {
		m, w := device("i6300esb")
		m.openWatchdog(w, nil)
		for text, want := range map[string]bool{"V": true, "aVb": true, "a": false} {
			m.writeWatchdog(w, []byte(text))
			wantEqual(t, text, w.magic, want)
		}
		m.writeWatchdog(w, []byte("V"))
		m.writeWatchdog(w, []byte("a"))
		wantEqual(t, "the last write", w.magic, false)
		bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, TimedOut, 10*time.Minute, keeper(8, 0, 5*time.Second))
	}},
	{"6.3 closing", func(t *testing.T) {
		f := bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog, 14*time.Second,
			keeper(8, 0, kernel.Never), Do(func(m *Machine) {
				m.At(6*time.Second, Do(func(m *Machine) { m.closeWatchdog(m.watchdogs[0]) }))
			}))
		f.wantLines(t, "watchdog: watchdog0: watchdog did not stop!")
		for noWayOut, want := range map[bool]How{true: ResetByWatchdog, false: Stuck} {
			at := 6 * time.Second
			if noWayOut {
				at += 8 * time.Second
			}
			bitten(t, Config{}, Watchdog{Driver: "i6300esb", NoWayOut: noWayOut}, want, at,
				keeper(8, 0, kernel.Never), Do(func(m *Machine) {
					m.At(6*time.Second, Do(func(m *Machine) {
						m.writeWatchdog(m.watchdogs[0], []byte("V"))
						m.closeWatchdog(m.watchdogs[0])
					}))
				}))
		}
	}},
	{"6.4 nowayout", func(t *testing.T) {
		m := New(Config{Watchdogs: []Watchdog{{Driver: "softdog", NoWayOut: true}}})
		w := m.watchdogs[0]
		m.openWatchdog(w, nil)
		asks(t, m, w, wdSetOptions, wdDisableCard, syscall.EBUSY)
		m, w = device("softdog")
		m.openWatchdog(w, nil)
		asks(t, m, w, wdSetOptions, wdDisableCard, 0)
	}},
	{"6.5 SETTIMEOUT", func(t *testing.T) {
		m, w := device("i6300esb")
		m.openWatchdog(w, nil)
		for _, n := range []int64{0, -1, 2047, 1 << 40} {
			asks(t, m, w, wdSetTimeoutCmd, n, kernel.EINVAL)
		}
		wantEqual(t, "timeout", asks(t, m, w, wdGetTimeout, 0, 0), 30)
		asks(t, m, w, wdSetTimeoutCmd, 2046, 0)
		m, w = device("fixed")
		asks(t, m, w, wdSetTimeoutCmd, 10, syscall.EOPNOTSUPP)
		bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog, 17*time.Second,
			keeper(8, 0, kernel.Never), Do(func(m *Machine) {
				m.At(7*time.Second, Do(func(m *Machine) { m.setWatchdogTimeout(m.watchdogs[0], 10) }))
			}))
	}},
	{"6.6 SETPRETIMEOUT", func(t *testing.T) {
		m, w := device("softdog")
		asks(t, m, w, wdSetPretimeout, 60, kernel.EINVAL)
		asks(t, m, w, wdSetPretimeout, 59, 0)
		m.openWatchdog(w, nil)
		asks(t, m, w, wdSetPretimeout, 20, 0)
		before := len(m.hardware)
		m.feedWatchdog(w)
		asks(t, m, w, wdSetPretimeout, 30, 0)
		wantEqual(t, "fed, with a pretimeout", len(m.hardware), before)
		asks(t, m, w, wdSetTimeoutCmd, 30, 0)
		wantEqual(t, "pretimeout", asks(t, m, w, wdGetPretimeout, 0, 0), 0)
	}},
	{"6.7 what it does not know", func(t *testing.T) {
		for _, driver := range []string{"softdog", "i6300esb"} {
			m, w := device(driver)
			asks(t, m, w, wdGetTimeLeft, 0, syscall.EOPNOTSUPP)
			asks(t, m, w, 77, 0, syscall.ENOTTY)
		}
	}},
	{"6.8 sysfs", func(t *testing.T) {
		m, w := device("i6300esb")
		for name, want := range map[string]string{
			"identity": "i6300ESB timer", "state": "inactive", "timeout": "30", "min_timeout": "1",
			"max_timeout": "2046", "bootstatus": "0", "nowayout": "0", "pretimeout_governor": "noop",
		} {
			got, e := sysFS{}.read(m, nil, "class/watchdog/watchdog0/"+name)
			if e != 0 || got != want+"\n" {
				t.Errorf("%s: got %q, %v", name, got, e)
			}
		}
		set := func(text string) kernel.Errno {
			return sysFS{}.write(m, nil, "class/watchdog/watchdog0/nowayout", text)
		}
		wantEqual(t, "1", set("1\n"), 0)
		wantEqual(t, "0", set("0\n"), kernel.EPERM)
		m.openWatchdog(w, nil)
		got, _ := sysFS{}.read(m, nil, "class/watchdog/watchdog0/state")
		wantEqual(t, "state", got, "active\n")
	}},
	{"6.9 a process that dies", func(t *testing.T) {
		f := bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog, 14*time.Second,
			keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(6*time.Second, Signal{Name: "keeper", Signals: []kernel.Signal{kernel.SIGKILL}})
			}))
		f.wantLines(t, "watchdog: watchdog0: watchdog did not stop!")
	}},

	{"6.10 hardware that waits for less", func(t *testing.T) {
		bitten(t, Config{}, Watchdog{Driver: "board"}, ResetByWatchdog, 61*time.Second, keeper(60, 0, kernel.Never))
		m, end, _ := dead(t, Config{Watchdogs: []Watchdog{{Driver: "board"}}}, keeper(60, 0, time.Second),
			Do(func(m *Machine) { m.At(10*time.Second, panics) }))
		if end.Then != ResetByWatchdog || end.At > 26*time.Second || m.now > 26*time.Second {
			t.Errorf("got %+v", end)
		}
	}},
	{"6.11 one that runs at boot", func(t *testing.T) {
		w := Watchdog{Driver: "latch", Running: true}
		bitten(t, Config{}, w, TimedOut, 10*time.Minute)
		bitten(t, Config{Cmdline: "watchdog.handle_boot_enabled=0"}, w, ResetByWatchdog, 30*time.Second)
		bitten(t, Config{Cmdline: "watchdog.open_timeout=20"}, w, ResetByWatchdog, 45*time.Second)
	}},
	{"6.12 one that nothing stops", func(t *testing.T) {
		closes := Do(func(m *Machine) {
			w := m.watchdogs[0]
			m.writeWatchdog(w, []byte("V"))
			m.closeWatchdog(w)
		})
		w := Watchdog{Driver: "latch"}
		bitten(t, Config{}, w, TimedOut, 10*time.Minute, keeper(8, 0, kernel.Never),
			Do(func(m *Machine) { m.At(3*time.Second, closes) }))
		bitten(t, Config{}, w, ResetByWatchdog, 27*time.Second, keeper(8, 0, kernel.Never),
			Do(func(m *Machine) { m.At(3*time.Second, closes); m.At(20*time.Second, panics) }))
	}},

	{"6.13 softdog", func(t *testing.T) {
		silent := keeper(8, 0, kernel.Never)
		bitten(t, Config{}, Watchdog{Driver: "softdog"}, Restarted, 9*time.Second, silent).
			wantLines(t, "softdog: Initiating system reboot")
		bitten(t, Config{}, Watchdog{Driver: "softdog", NoBoot: true}, Stuck, 9*time.Second, silent).
			wantLines(t, "softdog: Triggered - Reboot ignored")
		bitten(t, Config{}, Watchdog{Driver: "softdog", Panic: true}, Hung, 9*time.Second, silent).
			wantPanic(t, "Software Watchdog Timer expired")
		bitten(t, Config{}, Watchdog{Driver: "softdog", RebootCommand: "x"}, Restarted, 9*time.Second, silent).
			wantLines(t, "reboot: Restarting system with command 'x'")
	}},
	{"6.14 where softdog does nothing", func(t *testing.T) {
		for _, how := range []Failure{PanicCall{"x"}, StuckCPU{IRQsOff: true}} {
			bitten(t, Config{}, Watchdog{Driver: "softdog"}, Hung, 3*time.Second, keeper(8, 0, time.Second),
				Do(func(m *Machine) { m.At(3*time.Second, Fail{How: how}) }))
		}
	}},
	{"6.15 hardware", func(t *testing.T) {
		for _, how := range []Failure{PanicCall{"x"}, StuckCPU{IRQsOff: true}} {
			bitten(t, Config{Cmdline: "panic=60"}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog,
				10*time.Second, keeper(8, 0, time.Second),
				Do(func(m *Machine) { m.At(3*time.Second, Fail{How: how}) }))
		}
	}},
	{"6.16 bootstatus", func(t *testing.T) {
		for driver, want := range map[string][]string{"i6300esb": {"32\n", "0\n"}, "softdog": {"0\n", "0\n"}} {
			m, _, _ := dead(t, Config{Watchdogs: []Watchdog{{Driver: driver}}}, keeper(8, 0, kernel.Never))
			for _, want := range want {
				next, err := m.NextBoot(PowerOn{})
				if err != nil {
					t.Fatal(err)
				}
				got, _ := sysFS{}.read(next, nil, "class/watchdog/watchdog0/bootstatus")
				wantEqual(t, driver, got, want)
				next.At(time.Second, writes("b"))
				next.Boot(idle)
				m = next
			}
		}
	}},
	{"6.17 the warning before", func(t *testing.T) {
		bitten(t, Config{}, Watchdog{Driver: "i6300esb"}, ResetByWatchdog, 9*time.Second,
			keeper(8, 3, kernel.Never)).wantLines(t, "watchdog0: pretimeout event")
		bitten(t, Config{Cmdline: "panic=1"}, Watchdog{Driver: "i6300esb", Governor: "panic"}, Restarted,
			7*time.Second, keeper(8, 3, kernel.Never)).wantPanic(t, "watchdog pretimeout event")
	}},

	{"6.18 on the way down", func(t *testing.T) {
		hangs := RebootConfig{Devices: []Device{{Name: "sda", Driver: "sd", Takes: kernel.Never}}}
		for _, c := range []struct {
			kernel, driver string
			cmd            kernel.RebootCmd
			bites          bool
		}{
			{"linux-6.1-x86_64", "softdog", kernel.Restart, false},
			{"linux-6.1-x86_64", "i6300esb", kernel.Halt, false},
			{"linux-6.1-x86_64", "i6300esb", kernel.PowerOff, true},
			{"linux-6.12-x86_64", "i6300esb", kernel.PowerOff, false},
			{"linux-6.1-x86_64", "board", kernel.Restart, true},
		} {
			cfg := Config{Kernel: c.kernel, Reboot: hangs, Watchdogs: []Watchdog{{Driver: c.driver}}}
			_, end, _ := dead(t, cfg, keeper(20, 0, kernel.Never),
				Do(func(m *Machine) { m.At(2*time.Second, starts("off", Reboot{Cmd: c.cmd})) }))
			wantEqual(t, fmt.Sprint(c), end.How == ResetByWatchdog, c.bites)
		}
	}},
	{"6.19 stop_on_reboot", func(t *testing.T) {
		hangs := RebootConfig{Devices: []Device{{Name: "sda", Driver: "sd", Takes: kernel.Never}}}
		for _, c := range []struct {
			driver, value string
			bites         bool
		}{
			{"board", "1", false}, {"i6300esb", "0", true}, {"latch", "1", true},
		} {
			cfg := Config{
				Reboot: hangs, Watchdogs: []Watchdog{{Driver: c.driver}},
				Cmdline: "watchdog.stop_on_reboot=" + c.value,
			}
			cfg.Reboot.Notifiers = []Notifier{{Name: "after", Says: "after"}}
			_, end, said := dead(t, cfg, keeper(20, 0, kernel.Never),
				Do(func(m *Machine) { m.At(2*time.Second, starts("off", Reboot{Cmd: kernel.Restart})) }))
			wantEqual(t, fmt.Sprint(c), end.How == ResetByWatchdog, c.bites)
			wantEqual(t, "the chain goes on", slices.Contains(said, "after"), c.driver != "latch")
		}
	}},
}

// TestSysrqShows is what each key has the kernel say, by version.
func TestSysrqShows(t *testing.T) {
	for _, test := range []struct {
		kernel, key string
		want        []string
	}{
		{"linux-6.1-x86_64", "m", []string{"sysrq: Show Memory", "Mem-Info:"}},
		{"linux-6.1-x86_64", "q", []string{
			"sysrq: Show clockevent devices & pending hrtimers (no others)", "Timer List Version: v0.9",
		}},
		{"linux-6.1-x86_64", "z", []string{
			"sysrq: Dump ftrace buffer", "Dumping ftrace buffer:", "   (ftrace buffer empty)",
		}},
		{"linux-6.1-x86_64", "j", []string{
			"sysrq: Emergency Thaw of all frozen filesystems", "Emergency Thaw complete",
		}},
		{"linux-6.1-x86_64", "d", []string{"sysrq: " + sysrqHelp}},
		{"linux-6.1-x86_64", "R", []string{"sysrq: " + sysrqHelp}},
		{"linux-6.1-x86_64", "5", []string{"sysrq: Changing Loglevel", "sysrq: Loglevel set to 5"}},
		{"linux-4.19-x86_64", "5", []string{"sysrq: SysRq : Changing Loglevel", "sysrq: Loglevel set to 5"}},
		{"linux-3.10-arm", "5", []string{"SysRq : Changing Loglevel", "Loglevel set to 5"}},
		{"linux-2.6.24-i386", "5", []string{"SysRq : Changing Loglevel", "Loglevel set to 5"}},
		{"linux-2.6.24-i386", "w", []string{"SysRq : Show Blocked State"}},
		{"linux-2.6.24-i386", "z", []string{"SysRq : " + sysrq2624.help}},
		{"linux-2.6.17-i386", "w", []string{"SysRq : " + sysrq2617.help}},
	} {
		_, _, said := dead(t, Config{Kernel: test.kernel, Until: time.Minute}, writes(test.key))
		if !slices.Equal(said, test.want) {
			t.Errorf("%s, %s: said %q, want %q", test.kernel, test.key, said, test.want)
		}
	}
}

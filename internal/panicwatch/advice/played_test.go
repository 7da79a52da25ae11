package advice

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// simFiles are the files of a simulated machine.
type simFiles struct{ kernel.Kernel }

func (f simFiles) Read(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "proc/"); ok {
		text, err := f.Proc(rest)
		return string(text), err
	}
	text, err := f.ReadFile("/" + path)
	return string(text), err
}

// seen is a machine of package crash, before it fails, as its own files show it.
func seen(t *testing.T, spec crash.Spec) *Machine {
	t.Helper()
	cfg := simkernel.Config{
		Kernel: spec.Kernel, MagicSysrq: true, Until: time.Minute,
		Dirs:     []string{"/proc", "/sys"},
		Mounts:   []simkernel.Mount{{Type: "proc", Target: "/proc"}, {Type: "sysfs", Target: "/sys"}},
		Programs: make(map[string]simkernel.Program),
		Cmdline:  spec.Cmdline,
	}
	if cfg.Kernel == "" {
		cfg.Kernel = simkernel.Kernels()[0]
	}
	if spec.CrashKernel {
		cfg.Kexec.Crash = &simkernel.NewKernel{}
	}
	if spec.Ramoops {
		cfg.Ramoops = "mem_address=0x1e000000 mem_size=0x100000"
	}
	for _, s := range spec.Settings {
		word := s.Name
		for _, name := range []string{s.Name, "kernel." + s.Name} {
			if simkernel.HasSysctl(name) {
				word = "sysctl." + name
			}
		}
		if s.Value != "" {
			word += "=" + s.Value
		}
		cfg.Cmdline += " " + word
	}
	for i, w := range spec.Watchdogs {
		driver := simkernel.Watchdog{Driver: w.Name, Panic: w.SoftPanic, NoBoot: w.SoftNoBoot}
		if w.Pretimeout > 0 && !w.Noop {
			driver.Governor = "panic"
		}
		cfg.Watchdogs = append(cfg.Watchdogs, driver)
		cfg.Programs["/feeder"+w.Name] = simkernel.Program{Steps: []simkernel.Step{simkernel.Watch{
			Watchdog: i, Timeout: int(w.Timeout / time.Second), Pretimeout: int(w.Pretimeout / time.Second),
			Every: w.Timeout / 2,
		}}}
	}
	var m *Machine
	simkernel.New(cfg).Boot(func(k kernel.Kernel) int {
		for path := range cfg.Programs {
			if _, err := k.Spawn(&kernel.Command{Paths: []string{path}, Argv: []string{path}}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		k.Next(time.Second)
		s := Look(simFiles{k})
		if s.NoProc != nil || s.NoSys != nil || len(s.Unread) > 0 {
			t.Errorf("not seen: %v, %v, %v", s.NoProc, s.NoSys, s.Unread)
		}
		m = &s.Machine
		return 0
	})
	// The model calls all its kernels 6.1.0.
	if _, err := fmt.Sscanf(cfg.Kernel, "linux-%d.%d", &m.Kernel.Major, &m.Kernel.Minor); err != nil {
		t.Fatal(err)
	}
	switch {
	case strings.HasSuffix(cfg.Kernel, "arm64"):
		m.Arch = "arm64"
	case strings.Contains(cfg.Kernel, "arm"):
		m.Arch = "arm"
	case m.Arch == "":
		m.Arch = "x86"
	}
	// The model has no files for these parameters.
	for _, w := range spec.Watchdogs {
		if w.Name == "softdog" {
			m.Values["softdog.soft_panic"], m.Values["softdog.soft_noboot"] = yes(w.SoftPanic), yes(w.SoftNoBoot)
		}
	}
	return m
}

func yes(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// says reports whether a rule says something of a machine.
func says(m *Machine, rule string) *Finding {
	for _, f := range Findings(m) {
		if f.Rule == rule {
			return &f
		}
	}
	return nil
}

func set(words ...string) []crash.Setting {
	var all []crash.Setting
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		all = append(all, crash.Setting{Name: name, Value: value})
	}
	return all
}

func dog(text string) []crash.Watchdog {
	w, err := crash.ParseWatchdog(text)
	if err != nil {
		panic(err)
	}
	return []crash.Watchdog{w}
}

// proof shows on the model that what a rule says is so, and that its remedy helps.
type proof struct {
	rule string
	spec crash.Spec
	// bad is what the rule says of a play.
	bad func(r *crash.Report) bool
	// heal is the remedy where it is no setting: it changes the machine.
	heal func(s *crash.Spec)
	// state is what the machine has come to before: the files show it, and the play does not have
	// it at its start.
	state map[string]string
	// still says that the rule speaks of the healed machine, too.
	still bool
}

func ended(e crash.Ending) func(*crash.Report) bool {
	return func(r *crash.Report) bool { return r.Verdict.Ending == e }
}

// stays reports whether the machine does not come back by itself.
func stays(r *crash.Report) bool { return r.Verdict.Back == crash.Never }

// within reports whether the machine is restarted within so much time of the failure.
func within(d time.Duration) func(*crash.Report) bool {
	return func(r *crash.Report) bool {
		return r.Verdict.Back != crash.Never && time.Duration(r.Verdict.Back)-r.At < d
	}
}

func lacks(where string) func(*crash.Report) bool {
	return func(r *crash.Report) bool {
		return !slices.ContainsFunc(r.Verdict.Evidence, func(e crash.Evidence) bool { return e.Where == where })
	}
}

// never reports whether no line on the console has a text.
func never(text string) func(*crash.Report) bool {
	return func(r *crash.Report) bool {
		return !slices.ContainsFunc(r.Lines, func(l crash.Line) bool {
			return l.OnConsole && strings.Contains(l.Text, text)
		})
	}
}

const hour = time.Hour

func proofs() []proof {
	return []proof{
		{rule: "panic-hangs", spec: crash.Spec{Failure: "panic"}, bad: stays},
		{rule: "panic-hangs", spec: crash.Spec{Failure: "init-death", Kernel: "linux-6.1-arm64"}, bad: stays},
		{
			rule: "trigger-hangs",
			spec: crash.Spec{Failure: "oops", Settings: set("panic_on_oops=1")}, bad: stays,
		},
		{
			rule: "trigger-hangs",
			spec: crash.Spec{Failure: "warn", Settings: set("panic_on_warn=1"), Watchdogs: dog("softdog,10")},
			bad:  stays,
		},
		{
			rule: "trigger-hangs",
			spec: crash.Spec{Failure: "soft-lockup", Settings: set("softlockup_panic=1")}, bad: stays,
		},
		{
			rule: "softdog-only",
			spec: crash.Spec{Failure: "panic", Watchdogs: dog("softdog,10")}, bad: stays,
		},
		{
			rule: "softdog-panics-and-hangs",
			spec: crash.Spec{Failure: "watchdog", Watchdogs: dog("softdog,10,soft_panic")}, bad: stays,
		},
		{
			rule: "softdog-only-tells",
			spec: crash.Spec{
				Failure: "watchdog", Settings: set("panic=10"), Watchdogs: dog("softdog,10,soft_noboot"),
			},
			bad: stays, heal: func(s *crash.Spec) { s.Watchdogs = dog("softdog,10") },
		},
		{
			rule: "crash-kernel-only",
			spec: crash.Spec{
				Kernel: "linux-3.10-arm", CPUs: 2, CrashKernel: true, Failure: "hard-lockup",
				Then: []string{"panic"},
			},
			bad: stays,
		},
		{
			rule: "panic-waits",
			spec: crash.Spec{Kernel: "linux-2.6.24-i386", Failure: "panic", Settings: set("panic=-1")},
			bad:  stays,
		},
		{
			rule: "panic-waits-for-somebody", spec: crash.Spec{Failure: "panic"}, bad: stays,
		},
		{
			// Who wants the lock of the first victim waits for ever.
			rule: "oops-goes-on",
			spec: crash.Spec{Failure: "oops-locked", Settings: set("panic=10")}, bad: stays,
		},
		{
			rule: "lockup-goes-on",
			spec: crash.Spec{Failure: "soft-lockup", Settings: set("panic=10")}, bad: stays,
		},
		{
			rule: "panic-wraps",
			spec: crash.Spec{Failure: "panic", Settings: set("panic=2147484")}, bad: within(time.Second),
		},
		{
			rule: "panic-at-once",
			spec: crash.Spec{Failure: "panic", Settings: set("panic=-1")}, bad: within(time.Second),
		},
		{
			rule: "panic-long", spec: crash.Spec{Failure: "panic", Settings: set("panic=3600")},
			bad: func(r *crash.Report) bool { return !within(hour)(r) },
		},
		{
			// What is said here is that the machine restarts although it was told to wait.
			rule: "machine-check-restarts", spec: crash.Spec{Failure: "mce"},
			bad:  func(r *crash.Report) bool { return within(31*time.Second)(r) && !within(30*time.Second)(r) },
			heal: func(s *crash.Spec) { s.Settings = set("panic=10") },
		},
		{
			rule: "oops-limit-1", spec: crash.Spec{Failure: "oops", Settings: set("oops_limit=1", "panic=10")},
			bad: ended(crash.Restarted),
		},
		{
			rule: "warn-limit-1", spec: crash.Spec{Failure: "warn", Settings: set("warn_limit=1", "panic=10")},
			bad: ended(crash.Restarted),
		},
		{
			rule: "warn-limit-reached",
			spec: crash.Spec{
				Failure: "warn", Then: []string{"warn"}, Settings: set("warn_limit=2", "panic=10"),
			},
			bad: ended(crash.Restarted), state: map[string]string{"/sys/kernel/warn_count": "1"},
		},
		{
			rule: "oops-limit-reached",
			spec: crash.Spec{
				Failure: "oops", Then: []string{"oops-kthread"}, Settings: set("oops_limit=2", "panic=10"),
			},
			bad: ended(crash.Restarted), state: map[string]string{"/sys/kernel/oops_count": "1"},
		},
		{
			rule: "warn-loop", spec: crash.Spec{Failure: "warn", Settings: set("panic_on_warn=1", "panic=10")},
			bad: ended(crash.Restarted),
		},
		{
			rule: "sysrq-trigger", spec: crash.Spec{Failure: "sysrq-b", Settings: set("sysrq=0", "panic=10")},
			bad: ended(crash.Restarted),
			// Nothing that can be set helps.
			heal: nil, still: true,
		},
		{
			rule: "rcu-stall-counts-alone",
			spec: crash.Spec{Failure: "rcu-stall", Settings: set("max_rcu_stall_to_panic=1", "panic=10")},
			bad:  stays,
		},
		{
			rule: "rcu-stall-later",
			spec: crash.Spec{
				Failure:  "rcu-stall",
				Settings: set("panic_on_rcu_stall=1", "max_rcu_stall_to_panic=2", "panic=10"),
			},
			bad: func(r *crash.Report) bool { return !within(time.Minute)(r) },
		},
		{
			rule: "flag-unknown_nmi_panic",
			spec: crash.Spec{Failure: "nmi", Cmdline: "unknown_nmi_panic=0 panic=10"},
			bad:  ended(crash.Restarted), heal: func(s *crash.Spec) { s.Cmdline = "panic=10" },
		},
		{
			rule: "flag-nosoftlockup",
			spec: crash.Spec{Failure: "soft-lockup", Cmdline: "nosoftlockup=0 softlockup_panic=1 panic=10"},
			bad:  stays, heal: func(s *crash.Spec) { s.Cmdline = "softlockup_panic=1 panic=10" },
		},
		{
			rule: "flag-nowatchdog",
			spec: crash.Spec{Failure: "soft-lockup", Cmdline: "nowatchdog=0 softlockup_panic=1 panic=10"},
			bad:  stays, heal: func(s *crash.Spec) { s.Cmdline = "softlockup_panic=1 panic=10" },
		},
		{
			rule: "flag-quiet",
			spec: crash.Spec{Failure: "warn", Cmdline: "quiet=0 panic=10"},
			bad:  never("WARNING"), heal: func(s *crash.Spec) { s.Cmdline = "panic=10" },
		},
		{
			rule: "hung-task-after-oops",
			spec: crash.Spec{
				Failure: "oops-kthread", Then: []string{"hung-task"},
				Settings: set("hung_task_panic=1", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "hung-task-off",
			spec: crash.Spec{
				Failure: "hung-task", Settings: set("hung_task_panic=1", "hung_task_timeout_secs=0", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "soft-lockup-off",
			spec: crash.Spec{
				Failure: "soft-lockup", Settings: set("softlockup_panic=1", "soft_watchdog=0", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "soft-lockup-watchdog-off",
			spec: crash.Spec{
				Failure: "soft-lockup", Settings: set("softlockup_panic=1", "watchdog=0", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "soft-lockup-thresh-0",
			spec: crash.Spec{
				Failure: "soft-lockup", Settings: set("softlockup_panic=1", "watchdog_thresh=0", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "hard-lockup-unseen",
			spec: crash.Spec{
				Failure: "hard-lockup", Settings: set("hardlockup_panic=1", "nmi_watchdog=0", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "rcu-stall-off",
			spec: crash.Spec{
				Failure:  "rcu-stall",
				Settings: set("panic_on_rcu_stall=1", "rcupdate.rcu_cpu_stall_suppress=1", "panic=10"),
			},
			bad: stays,
		},
		{
			rule: "watchdog-before-restart",
			spec: crash.Spec{Failure: "panic", Settings: set("panic=60"), Watchdogs: dog("i6300esb,30")},
			bad:  ended(crash.Rescued),
		},
		{
			rule: "pretimeout-only-tells",
			spec: crash.Spec{
				Failure: "pretimeout", Ramoops: true, Settings: set("panic=1"), Watchdogs: dog("softdog,30,10,noop"),
			},
			bad: lacks("pstore"), heal: func(s *crash.Spec) { s.Watchdogs = dog("softdog,30,10") },
		},
		{
			rule: "watchdog-before-detector",
			spec: crash.Spec{
				Failure: "soft-lockup", Ramoops: true, Settings: set("softlockup_panic=1", "panic=1"),
				Watchdogs: dog("i6300esb,20"),
			},
			bad: lacks("pstore"),
		},
		{
			rule: "softdog-and-lockups",
			spec: crash.Spec{Failure: "hard-lockup", Settings: set("panic=10"), Watchdogs: dog("softdog,30")},
			bad:  stays, heal: func(s *crash.Spec) { s.Watchdogs = dog("i6300esb,30") },
		},
		{
			rule: "no-evidence", spec: crash.Spec{Failure: "panic", Settings: set("panic=1")},
			bad:  lacks("pstore"),
			heal: func(s *crash.Spec) { s.Ramoops = true },
		},
		{
			rule: "pstore-without-backend",
			spec: crash.Spec{Failure: "panic", Settings: set("panic=1", "printk.always_kmsg_dump=Y")},
			bad:  lacks("pstore"), heal: func(s *crash.Spec) {
				s.Ramoops, s.Settings = true, set("panic=1")
			},
		},
		{
			rule: "console-hides-errors",
			spec: crash.Spec{Failure: "hung-task", Settings: set("panic=10"), Cmdline: "loglevel=3"},
			bad:  never("blocked for more than"),
			heal: func(s *crash.Spec) { s.Cmdline = "loglevel=5" },
		},
		{
			rule: "console-hides-warnings",
			spec: crash.Spec{Failure: "warn", Settings: set("panic=10"), Cmdline: "quiet"},
			bad:  never("WARNING"),
			heal: func(s *crash.Spec) { s.Cmdline = "loglevel=5" },
		},
		{
			rule: "oops-captured-without-panic",
			spec: crash.Spec{Failure: "oops", CrashKernel: true, Settings: set("panic_on_oops=1", "panic=10")},
			bad:  never("Kernel panic"), heal: func(s *crash.Spec) {
				s.Settings = append(s.Settings, set("crash_kexec_post_notifiers=Y")...)
			},
		},
		{
			rule: "crash-kernel-before-pstore",
			spec: crash.Spec{Failure: "panic", CrashKernel: true, Ramoops: true, Settings: set("panic=10")},
			bad:  lacks("pstore"),
		},
		{
			// A panic that nobody captures leaves no vmcore, whatever is set.
			rule: "post-notifiers-for-nothing",
			spec: crash.Spec{Failure: "panic", Settings: set("panic=10", "crash_kexec_post_notifiers=Y")},
			bad:  lacks("vmcore"), heal: func(s *crash.Spec) { s.CrashKernel, s.Ramoops = true, true },
		},
	}
}

// TestRulesSayWhatIsSo plays what a rule warns of, on the machine that it warns of, and on the same
// machine with the remedy.
func TestRulesSayWhatIsSo(t *testing.T) {
	for i, p := range proofs() {
		t.Run(p.rule+"/"+p.spec.Failure, func(t *testing.T) {
			t.Parallel()
			m := seen(t, p.spec)
			m.Attended = p.rule == "panic-waits-for-somebody"
			for name, value := range p.state {
				m.Values[name] = value
			}
			f := says(m, p.rule)
			if f == nil {
				t.Fatalf("proof %d: %q says nothing of %+v", i, p.rule, p.spec)
			}
			r, err := crash.Play(p.spec)
			if err != nil {
				t.Fatal(err)
			}
			if !p.bad(r) {
				t.Errorf("not so: %s\ngot %+v", f.What, r.Verdict)
			}
			if p.still {
				return
			}
			healed := p.spec
			healed.Settings = slices.Clone(p.spec.Settings)
			if p.heal != nil {
				p.heal(&healed)
			} else {
				for _, s := range f.Remedy.Settings {
					healed.Settings = slices.DeleteFunc(healed.Settings, func(old crash.Setting) bool {
						return strings.TrimPrefix(s.Name, "kernel.") == strings.TrimPrefix(old.Name, "kernel.")
					})
					healed.Settings = append(healed.Settings, crash.Setting(s))
				}
				if len(f.Remedy.Settings) == 0 {
					t.Fatal("no remedy")
				}
			}
			after := seen(t, healed)
			after.Attended = m.Attended
			for name, value := range p.state {
				after.Values[name] = value
			}
			if f := says(after, p.rule); f != nil {
				t.Errorf("the remedy does not silence the rule: %s", f.What)
			}
			if r, err = crash.Play(healed); err != nil {
				t.Fatal(err)
			}
			if p.bad(r) {
				t.Errorf("the remedy does not help: %s\n%+v\ngot %+v", f.Remedy, healed.Settings, r.Verdict)
			}
		})
	}
}

// died plays how a machine dies that has a configuration of its own, and returns how it ended and the
// records that its next boot finds in pstore.
func died(t *testing.T, cfg simkernel.Config, then func(k kernel.Kernel), how ...simkernel.Action) (
	end simkernel.End, records []string,
) {
	t.Helper()
	cfg.Dirs = []string{"/proc", "/sys"}
	cfg.Mounts = []simkernel.Mount{
		{Type: "proc", Target: "/proc"},
		{Type: "sysfs", Target: "/sys"},
		{Type: "pstore", Target: "/sys/fs/pstore"},
	}
	cfg.MagicSysrq, cfg.Until = true, time.Minute
	m := simkernel.New(cfg)
	m.At(time.Second, how...)
	end = m.Boot(func(k kernel.Kernel) int {
		then(k)
		for {
			k.Next(kernel.Never)
		}
	})
	next, err := m.NextBoot(simkernel.PowerOn{})
	if err != nil {
		return end, nil
	}
	next.Boot(func(k kernel.Kernel) int {
		for _, name := range []string{"0", "1", "2"} {
			text, err := k.ReadFile("/sys/fs/pstore/dmesg-ramoops-" + name)
			if head, _, ok := strings.Cut(string(text), "\n"); err == nil && ok {
				records = append(records, head)
			}
		}
		return 0
	})
	return end, records
}

// TestRamoopsRulesSayWhatIsSo: what ramoops keeps is up to its own parameter, which package crash does
// not set.
func TestRamoopsRulesSayWhatIsSo(t *testing.T) {
	oops := simkernel.Fail{Kthread: "kworker/0:1", How: simkernel.NullWrite{Addr: 0x20}}
	restart := func(k kernel.Kernel) {
		for k.Now() < 2*time.Second {
			k.Next(2 * time.Second)
		}
		_ = k.SetProc("sysrq-trigger", "b")
	}
	for _, c := range []struct {
		rule, ramoops, cmdline string
		how                    []simkernel.Action
		says                   bool
		want                   []string
	}{
		{"always-dump-not-ramoops", "", "printk.always_kmsg_dump", nil, true, nil},
		{"always-dump-not-ramoops", "max_reason=4", "printk.always_kmsg_dump", nil, false, []string{"Emergency#1 Part1"}},
		{"always-dump-not-ramoops", "max_reason=0", "printk.always_kmsg_dump", nil, false, []string{"Emergency#1 Part1"}},
		{"ramoops-keeps-panics-only", "max_reason=1", "panic=1", []simkernel.Action{oops}, true, nil},
		{"ramoops-keeps-panics-only", "max_reason=2", "panic=1", []simkernel.Action{oops}, false, []string{"Oops#1 Part1"}},
		{
			"ramoops-keeps-panics-only", "max_reason=1", "panic=1 oops=panic",
			[]simkernel.Action{oops},
			false,
			[]string{"Panic#1 Part1"},
		},
	} {
		cfg := simkernel.Config{Ramoops: "mem_address=0x1e000000 mem_size=0x100000 " + c.ramoops, Cmdline: c.cmdline}
		var m *Sight
		_, got := died(t, cfg, func(k kernel.Kernel) {
			m = Look(simFiles{k})
			restart(k)
		}, c.how...)
		if f := says(&m.Machine, c.rule); (f != nil) != c.says {
			t.Errorf("%s, %s, %s: got %+v", c.rule, c.ramoops, c.cmdline, f)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %s, %s: records\ngot  %q\nwant %q", c.rule, c.ramoops, c.cmdline, got, c.want)
		}
	}
}

// TestNotifierKeepsCrashKernelFromStarting is what notifier-before-crash-kernel warns of.
func TestNotifierKeepsCrashKernelFromStarting(t *testing.T) {
	for _, c := range []struct {
		cmdline string
		says    bool
		want    simkernel.How
	}{
		{"panic=10 crash_kexec_post_notifiers=Y", true, simkernel.Hung},
		{"panic=10", false, simkernel.Kexeced},
	} {
		cfg := simkernel.Config{
			Cmdline: c.cmdline, Kexec: simkernel.KexecConfig{Crash: &simkernel.NewKernel{}},
			Panic: simkernel.PanicConfig{Notifiers: []simkernel.Notifier{{Name: "bmc", Takes: kernel.Never}}},
		}
		var m *Sight
		end, _ := died(t, cfg, func(k kernel.Kernel) { m = Look(simFiles{k}) },
			simkernel.Fail{Kthread: "kworker/0:1", How: simkernel.PanicCall{Text: "a driver has called panic()"}})
		if f := says(&m.Machine, "notifier-before-crash-kernel"); (f != nil) != c.says {
			t.Errorf("%s: got %+v", c.cmdline, f)
		}
		if end.Then != c.want {
			t.Errorf("%s: ended by %v, want %v", c.cmdline, end.Then, c.want)
		}
	}
}

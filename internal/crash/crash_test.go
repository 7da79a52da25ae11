package crash

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/simkernel"
)

// played plays what must be playable.
func played(t *testing.T, spec Spec) *Report {
	t.Helper()
	r, err := Play(spec)
	if err != nil {
		t.Fatalf("%+v: %v", spec, err)
	}
	return r
}

func set(t *testing.T, words ...string) []Setting {
	t.Helper()
	var all []Setting
	for _, w := range words {
		s, err := ParseSetting(w)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// says reports whether a line of the log begins so.
func (r *Report) says(text string) bool {
	return slices.ContainsFunc(r.Lines, func(l Line) bool { return strings.HasPrefix(l.Text, text) })
}

func TestVerdicts(t *testing.T) {
	const never = time.Duration(Never)
	for _, test := range []struct {
		failure, kernel string
		cpus            int
		set             []string
		ending          Ending
		cause           string
		back            time.Duration
	}{
		{"panic", "", 1, nil, Hung, "Kernel panic - not syncing: a driver", never},
		{
			"panic", "", 1,
			[]string{"panic=5"},
			Restarted,
			"Kernel panic - not syncing: a driver", 6 * time.Second,
		},
		{"panic", "", 1, []string{"panic=-1"}, Restarted, "Kernel panic", time.Second},
		{"panic", "", 1, []string{"kernel.panic=2147484"}, Restarted, "Kernel panic", time.Second},
		{"panic", "linux-2.6.24-i386", 1, []string{"panic=-1"}, Hung, "Kernel panic", never},
		{"sysrq-c", "", 2, nil, Hung, "Kernel panic - not syncing: sysrq triggered crash", never},
		{"sysrq-b", "", 2, nil, Restarted, "sysrq: Resetting", time.Second},
		{
			"init-death", "linux-6.1-arm64", 1,
			[]string{"kernel/panic=1"},
			Restarted,
			"Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100",
			2 * time.Second,
		},
		{"double-panic", "", 1, []string{"panic=1"}, Restarted, "Kernel panic", 2 * time.Second},
		// The loser is deaf, so that the winner needs a second and an NMI to stop it.
		{"double-panic", "", 2, []string{"panic=1"}, Restarted, "Kernel panic", 3 * time.Second},
		{
			"double-panic", "linux-2.6.24-i386", 2,
			[]string{"panic=1"},
			Restarted, "Kernel panic",
			2 * time.Second,
		},
		{
			"stack-overflow", "linux-6.1-arm64", 1, nil, Hung,
			"Kernel panic - not syncing: kernel stack overflow", never,
		},
		{
			"unhandled-exception", "linux-5.10-arm64", 1,
			[]string{"panic=1"},
			Restarted,
			"Kernel panic - not syncing: bad mode", 2 * time.Second,
		},
		{
			"bad-instruction", "linux-6.1-arm64", 1,
			[]string{"panic=1", "oops=panic"},
			Restarted,
			"Kernel panic - not syncing: Oops - Undefined instruction: Fatal exception",
			2 * time.Second,
		},
		{
			"bus-error", "linux-6.1-arm64", 1,
			[]string{"panic=1", "oops=panic"},
			Restarted,
			"Kernel panic - not syncing: synchronous external abort: Fatal exception",
			2 * time.Second,
		},
	} {
		r := played(t, Spec{
			Kernel: test.kernel, CPUs: test.cpus, Settings: set(t, test.set...),
			Failure: test.failure,
		})
		v := r.Verdict
		back := time.Duration(v.Back)
		if v.Ending != test.ending || !strings.HasPrefix(v.Cause, test.cause) ||
			back < test.back || test.back != never && back > test.back+time.Second/2 {
			t.Errorf("%+v:\ngot %+v", test, v)
		}
		if (v.Ending == Hung) != (v.Answers != nil) || len(v.Evidence) == 0 {
			t.Errorf("%+v:\ngot %+v", test, v)
		}
	}
}

func TestDoublePanicSays(t *testing.T) {
	one := played(t, Spec{Failure: "double-panic"})
	if !one.says("Kernel panic - not syncing: another driver has, too") {
		t.Errorf("got %+v", one.Lines)
	}
	two := played(t, Spec{Failure: "double-panic", CPUs: 2})
	if two.says("Kernel panic - not syncing: another driver has, too") ||
		!two.says("Shutting down cpus with NMI") {
		t.Errorf("got %+v", two.Lines)
	}
}

// TestWatchdogs: hardware rescues a machine from a panic, softdog only where interrupts are taken
// then, and what is left says which it was.
func TestWatchdogs(t *testing.T) {
	for _, test := range []struct {
		failure, kernel, watchdog, setting string
		ending                             Ending
		by, evidence                       string
		back                               time.Duration
	}{
		{
			"panic", "linux-6.1-x86_64", "i6300esb,8", "panic=60", Rescued, "i6300esb",
			"bootstatus is 32", 8 * time.Second,
		},
		{"panic", "linux-6.1-x86_64", "i6300esb,8", "panic=5", Restarted, "", "", 6 * time.Second},
		{"panic", "linux-6.1-x86_64", "softdog,8", "panic=0", Hung, "", "", time.Duration(Never)},
		{"panic", "linux-6.1-arm64", "softdog,8", "panic=0", Rescued, "softdog", "", 8 * time.Second},
		{"watchdog", "", "i6300esb,8", "quiet", Rescued, "i6300esb", "bootstatus is 32", 9 * time.Second},
		{"watchdog", "", "softdog,8", "quiet", Rescued, "softdog", "", 9 * time.Second},
		{"pretimeout", "", "softdog,8,3", "panic=1", Restarted, "", "", 7 * time.Second},
		{"oops", "", "softdog,8", "panic=1", Survived, "", "", time.Duration(Never)},
	} {
		w, err := ParseWatchdog(test.watchdog)
		if err != nil {
			t.Fatal(err)
		}
		r := played(t, Spec{
			Kernel: test.kernel, Failure: test.failure, Watchdogs: []Watchdog{w},
			Settings: set(t, test.setting),
		})
		v := r.Verdict
		back := time.Duration(v.Back)
		if v.Ending != test.ending || v.Watchdog != test.by || !strings.Contains(v.List(), test.evidence) ||
			back < test.back || back > test.back && back > test.back+time.Second/2 {
			t.Errorf("%+v:\ngot %+v", test, v)
		}
		if n := len(r.Lines); n > 0 && r.Lines[n-1].At > v.At {
			t.Errorf("%+v: said after the end: %+v", test, r.Lines[n-1])
		}
		if r.says("softdog: Reboot didn't") {
			t.Errorf("%+v: it did", test)
		}
	}
}

// TestChanceDoesNotShortenTimeouts: what the kernel waits for before it restarts is no matter of
// chance.
func TestChanceDoesNotShortenTimeouts(t *testing.T) {
	for seed := range uint64(20) {
		v := played(t, Spec{Settings: set(t, "panic=10"), Seed: seed}).Verdict
		if back := time.Duration(v.Back); back != 11*time.Second {
			t.Errorf("seed %d: back at %v, want 11s", seed, back)
		}
	}
}

// TestEvidence is what each of the ways to keep some leaves.
func TestEvidence(t *testing.T) {
	for _, test := range []struct {
		spec   Spec
		ending Ending
		has    []string
		hasNot []string
	}{
		{
			Spec{Ramoops: true, Settings: set(t, "panic=5")},
			Restarted,
			[]string{"pstore (/sys/fs/pstore/dmesg-ramoops-0: Panic#1 Part1"},
			[]string{"vmcore"},
		},
		{Spec{Ramoops: true}, Hung, nil, []string{"pstore", "vmcore"}},
		{Spec{CrashKernel: true}, Captured, []string{"vmcore (/proc/vmcore)"}, []string{"pstore"}},
		{
			// kmsg_dump comes behind the crash kernel, unless it is told otherwise.
			Spec{CrashKernel: true, Ramoops: true}, Captured, []string{"vmcore"}, []string{"dmesg-ramoops"},
		},
		{
			Spec{
				CrashKernel: true, Ramoops: true, Settings: set(t, "crash_kexec_post_notifiers=1"),
			},
			Captured,
			[]string{"vmcore", "dmesg-ramoops-0: Panic#1"},
			nil,
		},
		{Spec{CrashKernel: true, Failure: "oops"}, Survived, nil, []string{"vmcore"}},
		{
			Spec{CrashKernel: true, Failure: "oops", Settings: set(t, "panic_on_oops=1")},
			Captured,
			[]string{"vmcore"},
			nil,
		},
		{Spec{CrashKernel: true, Failure: "sysrq-b"}, Restarted, nil, []string{"vmcore"}},
	} {
		v := played(t, test.spec).Verdict
		if v.Ending != test.ending {
			t.Errorf("%+v:\ngot %+v", test.spec, v)
		}
		for _, want := range test.has {
			if !strings.Contains(v.List(), want) {
				t.Errorf("%+v: want %q\ngot %s", test.spec, want, v.List())
			}
		}
		for _, no := range test.hasNot {
			if strings.Contains(v.List(), no) {
				t.Errorf("%+v: want no %q\ngot %s", test.spec, no, v.List())
			}
		}
	}
	for want, spec := range map[string]Spec{
		"linux-3.10-mips-wdt cannot start a crash kernel": {Kernel: "linux-3.10-mips-wdt", CrashKernel: true},
		"linux-2.6.24-i386 has no ramoops":                {Kernel: "linux-2.6.24-i386", Ramoops: true},
	} {
		if _, err := Play(spec); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestAnswers: after a panic an x86 machine is deaf, and an ARM's takes interrupts; no process runs on
// either.
func TestAnswers(t *testing.T) {
	for kernel, interrupts := range map[string]bool{"linux-6.1-x86_64": false, "linux-6.1-arm64": true} {
		for _, cpus := range []int{1, 2} {
			r := played(t, Spec{Kernel: kernel, CPUs: cpus})
			if a := r.Verdict.Answers; a.Interrupts != interrupts || a.Processes {
				t.Errorf("%s with %d CPUs: got %+v", kernel, cpus, a)
			}
		}
	}
}

// TestQuiet: the lines of a panic come to the console whatever its level, and what is said before
// panic() makes it verbose does not.
func TestQuiet(t *testing.T) {
	r := played(t, Spec{Failure: "sysrq-c", Settings: set(t, "quiet")})
	for _, l := range r.Lines {
		if l.By == "" || !l.OnConsole {
			t.Errorf("got %+v", l)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		spec Spec
		want string
	}{
		{Spec{Failure: "painc"}, `unknown failure "painc": did you mean "panic"?`},
		{Spec{Kernel: "linux-6.1-x86-64"}, `unknown kernel "linux-6.1-x86-64": did you mean "linux-6.1-x86_64"?`},
		{Spec{CPUs: -1}, "-1 CPUs: expected a number from 1 to 64"},
		{Spec{CPUs: 65}, "65 CPUs: expected a number from 1 to 64"},
		{
			Spec{Settings: []Setting{{"panic_on_oop", "1"}}},
			`unknown setting "panic_on_oop": did you mean "panic_on_oops"?`,
		},
		{
			Spec{Settings: []Setting{{"panic_on_warn", "2"}}},
			"panic_on_warn=2: expected a number from 0 to 1",
		},
		{
			Spec{Settings: []Setting{{"panic", "much"}}},
			"panic=much: expected a number from -2147483648 to 2147483647",
		},
		{Spec{Settings: []Setting{{"panic", ""}}}, "panic=: expected a number from"},
		{
			Spec{Settings: []Setting{{"crash_kexec_post_notifiers", "maybe"}}},
			"crash_kexec_post_notifiers=maybe: expected Y or N",
		},
		{Spec{Settings: []Setting{{"oops", "1"}}}, "oops=1: expected panic"},
		{Spec{Settings: []Setting{{"quiet", "1"}}}, "quiet=1: expected quiet without a value"},
		{Spec{Settings: []Setting{{"panic", "1 2"}}}, `panic="1 2": expected a value without blanks`},
		{
			Spec{Kernel: "linux-4.19-x86_64", Settings: []Setting{{"warn_limit", "1"}}},
			"linux-4.19-x86_64 has no setting kernel.warn_limit: it needs Linux 6.2 or later, or a stable 5.10",
		},
		{
			Spec{Kernel: "linux-6.1-x86_64", Settings: []Setting{{"kexec_load_limit_panic", "1"}}},
			"linux-6.1-x86_64 has no setting kernel.kexec_load_limit_panic: it needs Linux 6.3 or later",
		},
		{
			Spec{Kernel: "linux-2.6.24-i386", Settings: []Setting{{"hung_task_timeout_secs", "5"}}},
			"linux-2.6.24-i386 has no setting kernel.hung_task_timeout_secs: it needs Linux 2.6.25 or later",
		},
		{
			Spec{Kernel: "linux-4.19-x86_64", Settings: []Setting{{"watchdog.open_timeout", "5"}}},
			"linux-4.19-x86_64 has no setting watchdog.open_timeout: it needs Linux 5.3 or later",
		},
		{
			Spec{Kernel: "linux-6.1-arm64", Settings: []Setting{{"unknown_nmi_panic", "1"}}},
			"linux-6.1-arm64 has no setting kernel.unknown_nmi_panic: only x86 has it",
		},
		{
			Spec{Watchdogs: []Watchdog{{Name: "softdg", Timeout: 8 * time.Second}}},
			`unknown watchdog "softdg": did you mean "softdog"?`,
		},
		{
			Spec{Watchdogs: []Watchdog{{Name: "i6300esb", Timeout: time.Hour}}},
			"timeout 1h0m0s of i6300esb: expected 1 to 2046 seconds",
		},
		{
			Spec{Watchdogs: []Watchdog{{Name: "softdog", Timeout: 8 * time.Second, Pretimeout: 8 * time.Second}}},
			"pretimeout 8s of softdog: expected whole seconds, and less than the timeout",
		},
	} {
		_, err := Play(test.spec)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v:\ngot  %v\nwant %s", test.spec, err, test.want)
		}
	}
	for _, text := range []string{"", "panic", "=1"} {
		if _, err := ParseSetting(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestSettingsAreTaken: each name of the list can be set, by each of its spellings.
func TestSettingsAreTaken(t *testing.T) {
	k, err := kernelNamed("linux-7.2-x86_64")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range spellings() {
		taken := false
		for _, value := range []string{"", "1", "400", "panic", "warm", "Y", "on"} {
			taken = taken || (&play{}).set(k, Setting{name, value}) == nil
		}
		if !taken {
			t.Errorf("%s takes nothing", name)
		}
	}
	for name := range came {
		if !slices.Contains(Settings(), name) {
			t.Errorf("no setting %s", name)
		}
	}
}

// TestEachFailure plays each on each profile that knows it: twice the same.
func TestEachFailure(t *testing.T) {
	for _, f := range Failures() {
		if f.Means == "" || f.Caused == "" || len(f.Kernels) == 0 {
			t.Errorf("%+v: something is empty", f)
		}
		for _, name := range simkernel.Kernels() {
			for _, cpus := range []int{1, 4} {
				spec := Spec{Kernel: name, CPUs: cpus, Failure: f.Name, Seed: 1}
				r, err := Play(spec)
				if known := slices.Contains(f.Kernels, name); known != (err == nil) {
					t.Errorf("%s on %s: %v", f.Name, name, err)
				}
				if err != nil {
					continue
				}
				if again := played(t, spec); !reflect.DeepEqual(r, again) {
					t.Errorf("%s on %s: two plays differ:\n%+v\n%+v", f.Name, name, r, again)
				}
				if r.Verdict.Ending != Survived && r.Verdict.Cause == "" {
					t.Errorf("%s on %s: no cause: %+v", f.Name, name, r.Verdict)
				}
			}
		}
	}
}

// TestEachLineHasItsStep: of each line of the log, from the first of the boot on, it is known which
// function of the kernel has said it.
func TestEachLineHasItsStep(t *testing.T) {
	for _, f := range Failures() {
		for _, name := range f.Kernels {
			k, err := kernelNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			rich := Spec{CPUs: 2, Settings: set(t, "panic=1"), Watchdogs: []Watchdog{{Name: "i6300esb", Timeout: 9 * time.Second}}}
			rich.CrashKernel, rich.Ramoops = k.arch != mips, k.is >= v(3, 5, 0)
			for _, spec := range []Spec{{}, {Settings: set(t, "panic=1"), CPUs: 2}, rich} {
				spec.Kernel, spec.Failure = name, f.Name
				for _, l := range played(t, spec).Lines {
					if l.By == "" {
						t.Errorf("%+v: nobody says %q", spec, l.Text)
					}
				}
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, name := range simkernel.Kernels() {
		all, err := Defaults(name)
		if err != nil {
			t.Fatal(err)
		}
		if all["kernel.panic"] != "0" || all["kernel.sysrq"] == "" {
			t.Errorf("%s: got %v", name, all)
		}
		for s, value := range all {
			// What a kernel has, it can be given.
			if s == "kernel.printk" || strings.ContainsAny(value, " \t") || value == "" {
				continue
			}
			if _, err := prepare(Spec{Kernel: name, Settings: []Setting{{s, value}}}); err != nil &&
				!strings.Contains(err.Error(), "expected") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	old, _ := Defaults("linux-4.19-x86_64")
	if v, ok := old["kernel.warn_limit"]; ok {
		t.Errorf("linux-4.19-x86_64 has warn_limit %q", v)
	}
	now, _ := Defaults("linux-6.1-x86_64")
	for name, want := range map[string]string{
		"kernel.oops_limit": "10000", "crash_kexec_post_notifiers": "N",
		"rcupdate.rcu_cpu_stall_timeout": "21", "vm.panic_on_oom": "0",
	} {
		if now[name] != want {
			t.Errorf("%s: got %q, want %q", name, now[name], want)
		}
	}
}

// TestDetectorsAreWaitedFor: what a setting puts off is seen all the same.
func TestDetectorsAreWaitedFor(t *testing.T) {
	for setting, test := range map[string]struct {
		failure     string
		after, most time.Duration
	}{
		"hung_task_timeout_secs=600":         {"hung-task", 10 * time.Minute, 20 * time.Minute},
		"rcupdate.rcu_cpu_stall_timeout=300": {"rcu-stall", 5 * time.Minute, 6 * time.Minute},
	} {
		r := played(t, Spec{Failure: test.failure, CPUs: 2, Settings: set(t, setting, "panic=-1",
			"hung_task_panic=1", "panic_on_rcu_stall=1", "softlockup_panic=1")})
		v := &r.Verdict
		if after := v.At - r.At; v.Ending != Restarted || after < test.after || after > test.most {
			t.Errorf("%s: got %v after %v, want a restart after %v to %v", setting, v.Ending, after,
				test.after, test.most)
		}
	}
}

// TestOOMKillsWhoWantsTooMuch: not whoever happens to be the youngest, as who feeds the watchdog.
func TestOOMKillsWhoWantsTooMuch(t *testing.T) {
	for _, kernel := range simkernel.Kernels() {
		r := played(t, Spec{
			Kernel: kernel, Failure: "oom", Watchdogs: []Watchdog{{Name: "i6300esb", Timeout: 30 * time.Second}},
		})
		if r.Verdict.Ending != Survived {
			t.Errorf("%s: got %v, want that it goes on", kernel, r.Verdict.Ending)
		}
	}
}

// TestMachineChecks are told of with what the processor has said: to all CPUs, or to one.
func TestMachineChecks(t *testing.T) {
	for failure, want := range map[string]string{
		"mce":       "Kernel panic - not syncing: Fatal machine check",
		"mce-local": "Kernel panic - not syncing: Fatal local machine check",
	} {
		for _, name := range []string{"linux-4.19-x86_64", "linux-6.1-x86_64", "linux-6.12-x86_64"} {
			r, err := Play(Spec{Kernel: name, CPUs: 2, Failure: failure})
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, l := range r.Lines {
				if strings.HasPrefix(l.Text, "Kernel panic") {
					said = append(said, l.Text)
				}
			}
			if !slices.Equal(said, []string{want}) {
				t.Errorf("%s, %s: said %q, want %q", name, failure, said, want)
			}
		}
	}
	if _, err := Play(Spec{Kernel: "linux-2.6.24-i386", Failure: "mce-local"}); err == nil {
		t.Error("2.6.24 has local machine checks")
	}
}

package advice

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/knob"
)

// healthy is a PC of which no rule says anything.
func healthy() *Machine {
	return &Machine{
		Kernel: Version{6, 1}, Arch: "x86",
		Values: map[string]string{
			"kernel.panic": "10", "kernel.panic_on_oops": "1", "kernel.oops_limit": "10000",
			"kernel.warn_limit": "0", "kernel.panic_on_warn": "0", "kernel.softlockup_panic": "1",
			"kernel.watchdog": "1", "kernel.soft_watchdog": "1", "kernel.nmi_watchdog": "1",
			"kernel.watchdog_thresh": "10", "kernel.hardlockup_panic": "1",
			"kernel.hung_task_panic": "1", "kernel.hung_task_timeout_secs": "120",
			"kernel.hung_task_check_count": "4194304", "kernel.panic_on_rcu_stall": "1",
			"kernel.max_rcu_stall_to_panic": "0", "vm.panic_on_oom": "0", "kernel.sysrq": "438",
			"kernel.printk": "7 4 1 7", "kernel.panic_print": "0", "kernel.ctrl-alt-del": "0",
			"kernel.cad_pid": "1", "kernel.tainted": "0", "crash_kexec_post_notifiers": "N",
			"kernel.kexec_load_disabled": "0", "printk.always_kmsg_dump": "N",
			"rcupdate.rcu_cpu_stall_suppress": "0", "watchdog.handle_boot_enabled": "Y",
			"watchdog.open_timeout": "120", "watchdog.stop_on_reboot": "-1",
			"/sys/kernel/warn_count": "0", "/sys/kernel/oops_count": "0", "kernel.ftrace_dump_on_oops": "0",
		},
		Watchdogs: []Watchdog{{
			Name: "watchdog0", Identity: "i6300ESB timer", Active: true, Timeout: 90 * time.Second,
		}},
		Crash:  CrashKernel{Known: true},
		Pstore: Pstore{Known: true, Backend: "efi_pstore"},
	}
}

func names(found []Finding) []string {
	var names []string
	for _, f := range found {
		names = append(names, f.Rule)
	}
	return names
}

func TestNothingIsSaidOfAHealthyMachine(t *testing.T) {
	if got := Findings(healthy()); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
}

func TestNothingIsSaidOfWhatIsNotKnown(t *testing.T) {
	if got := Findings(&Machine{}); len(got) > 0 {
		t.Errorf("got %+v", got)
	}
}

// TestRules changes one thing or two of the healthy machine, and says what rules speak then.
func TestRules(t *testing.T) {
	value := func(words ...string) func(m *Machine) {
		return func(m *Machine) {
			for _, w := range words {
				name, value, _ := strings.Cut(w, "=")
				if value == "lacking" {
					delete(m.Values, name)
					continue
				}
				m.Values[name] = value
			}
		}
	}
	boot := func(words ...string) func(m *Machine) {
		return func(m *Machine) {
			for _, w := range words {
				name, value, has := strings.Cut(w, "=")
				m.Boot = append(m.Boot, Word{name, value, has})
			}
		}
	}
	noWatchdog := func(m *Machine) { m.Watchdogs = nil }
	softdog := func(m *Machine) {
		m.Watchdogs = []Watchdog{{
			Name: "watchdog0", Identity: "Software Watchdog", Active: true, Timeout: time.Minute,
		}}
	}
	idle := func(m *Machine) { m.Watchdogs[0].Active = false }
	timeout := func(d, pre time.Duration, governor string) func(m *Machine) {
		return func(m *Machine) {
			w := &m.Watchdogs[0]
			w.Timeout, w.Pretimeout, w.Governor = d, pre, governor
		}
	}
	loaded := func(m *Machine) { m.Crash = CrashKernel{Known: true, Loaded: true, Reserved: 256 << 20} }
	reserved := func(m *Machine) { m.Crash = CrashKernel{Known: true, Reserved: 256 << 20} }
	noPstore := func(m *Machine) { m.Pstore = Pstore{Known: true} }
	ramoops := func(m *Machine) { m.Pstore = Pstore{Known: true, Backend: "ramoops"} }
	type change = func(m *Machine)
	seen := make(map[string]bool)
	for _, c := range []struct {
		want    string
		changes []change
	}{
		{"trigger-hangs machine-check-restarts", []change{value("kernel.panic=0"), noWatchdog}},
		// A watchdog in hardware rescues it, be it late.
		{"machine-check-restarts", []change{value("kernel.panic=0")}},
		{"", []change{value("kernel.panic=0"), boot("mce=nobootlog")}},
		{"trigger-hangs watchdog-is-idle machine-check-restarts", []change{value("kernel.panic=0"), idle}},
		{"softdog-only trigger-hangs machine-check-restarts softdog-and-lockups", []change{value("kernel.panic=0"), softdog}},
		{
			"softdog-and-lockups",
			[]change{value("kernel.panic=0"), softdog, func(m *Machine) { m.Arch = "arm64" }},
		},
		{
			"crash-kernel-only watchdog-is-silent oops-captured-without-panic crash-kernel-before-pstore",
			[]change{value("kernel.panic=0"), loaded, boot("mce=nobootlog"), func(m *Machine) {
				m.Watchdogs = []Watchdog{{Name: "watchdog0", Silent: true}}
			}},
		},
		{"lockup-goes-on", []change{value("kernel.softlockup_panic=0"), noWatchdog}},
		{"panic-wraps", []change{value("kernel.panic=2147484")}},
		{"watchdog-before-restart", []change{value("kernel.panic=2147483")}},
		{"panic-long", []change{value("kernel.panic=2147483"), noWatchdog}},
		{"panic-at-once", []change{value("kernel.panic=-1")}},
		{"panic-waits", []change{value("kernel.panic=-1"), noWatchdog, func(m *Machine) { m.Kernel = Version{3, 0} }}},
		{"panic-at-once", []change{value("kernel.panic=-1"), func(m *Machine) { m.Kernel = Version{3, 1} }}},
		{"oops-limit-1", []change{value("kernel.oops_limit=1", "kernel.panic_on_oops=0")}},
		{
			"hung-task-after-oops oops-goes-on oops-limit-0",
			[]change{value("kernel.oops_limit=0", "kernel.panic_on_oops=0")},
		},
		{
			"oops-limit-reached hung-task-has-ended oops-goes-on",
			[]change{value(
				"kernel.oops_limit=3", "kernel.panic_on_oops=0", "/sys/kernel/oops_count=2", "kernel.tainted=128",
			)},
		},
		{"warn-limit-1 warn-loop", []change{value("kernel.warn_limit=1")}},
		{"", []change{value("kernel.warn_limit=2")}},
		{"warn-limit-reached", []change{value("kernel.warn_limit=2", "/sys/kernel/warn_count=1")}},
		{"warn-loop", []change{value("kernel.panic_on_warn=1")}},
		{"oom-of-a-cgroup", []change{value("vm.panic_on_oom=2")}},
		{"", []change{value("vm.panic_on_oom=1")}},
		{"sysrq-trigger", []change{value("kernel.sysrq=0")}},
		{"sysrq-cannot-restart", []change{value("kernel.sysrq=16")}},
		{"", []change{value("kernel.sysrq=1")}},
		{"flag-sysrq_always_enabled", []change{value("kernel.sysrq=0"), boot("sysrq_always_enabled=0")}},
		{"", []change{boot("sysrq_always_enabled", "quiet", "unknown_nmi_panic=1")}},
		{
			"flag-unknown_nmi_panic flag-nosoftlockup flag-nowatchdog flag-ignore_loglevel flag-quiet " +
				"flag-debug flag-nokaslr",
			[]change{boot(
				"unknown-nmi-panic=0", "nosoftlockup=0", "nowatchdog=off", "ignore_loglevel=n", "quiet=0", "debug=no",
				"nokaslr=false",
			)},
		},
		{
			"rcu-stall-counts-alone",
			[]change{value("kernel.panic_on_rcu_stall=0", "kernel.max_rcu_stall_to_panic=3")},
		},
		{"rcu-stall-later", []change{value("kernel.max_rcu_stall_to_panic=3")}},
		{"panic-print-twice", []change{func(m *Machine) {
			m.Wanted = map[string]bool{"kernel.panic_print": true, "kernel.panic_sys_info": true}
		}}},
		{"hung-task-off", []change{value("kernel.hung_task_timeout_secs=0")}},
		{"hung-task-looks-at-none", []change{value("kernel.hung_task_check_count=0")}},
		{"soft-lockup-off", []change{value("kernel.soft_watchdog=0")}},
		{"soft-lockup-watchdog-off", []change{value("kernel.watchdog=0")}},
		{"soft-lockup-thresh-0", []change{value("kernel.watchdog_thresh=0")}},
		{"hard-lockup-unseen", []change{value("kernel.nmi_watchdog=0")}},
		{"hard-lockup-off", []change{value("kernel.nmi_watchdog=0"), func(m *Machine) {
			m.Wanted = map[string]bool{"kernel.hardlockup_panic": true}
		}}},
		{"", []change{value("kernel.nmi_watchdog=lacking")}},
		{"rcu-stall-off", []change{value("rcupdate.rcu_cpu_stall_suppress=1")}},
		{"watchdog-is-idle", []change{idle}},
		{"watchdog-before-restart", []change{value("kernel.panic=90")}},
		{"", []change{value("kernel.panic=89")}},
		{
			"watchdog-cuts-dump oops-captured-without-panic crash-kernel-before-pstore",
			[]change{loaded, timeout(time.Minute, 0, "")},
		},
		{
			"pretimeout-cuts-dump oops-captured-without-panic crash-kernel-before-pstore",
			[]change{loaded, timeout(90*time.Second, 30*time.Second, "panic")},
		},
		{"pretimeout-only-tells", []change{timeout(90*time.Second, 30*time.Second, "noop")}},
		{"", []change{timeout(90*time.Second, 30*time.Second, "panic")}},
		{"watchdog-before-detector", []change{timeout(24*time.Second, 0, "")}},
		{"", []change{timeout(25*time.Second, 0, "")}},
		{"watchdog-stops-for-reboot", []change{value("watchdog.stop_on_reboot=1")}},
		{"watchdog-unfed-at-boot", []change{value("watchdog.handle_boot_enabled=N")}},
		{"watchdog-fed-for-ever", []change{value("watchdog.open_timeout=0")}},
		{
			"softdog-panics-and-hangs softdog-and-lockups",
			[]change{
				softdog, value("kernel.panic=0", "softdog.soft_panic=1"), boot("mce=nobootlog"),
				func(m *Machine) { m.Arch = "arm64" },
			},
		},
		{"softdog-only-tells softdog-and-lockups", []change{softdog, value("softdog.soft_noboot=1")}},
		{
			"dump-outlasts-watchdog",
			[]change{timeout(time.Minute, 0, ""), value("kernel.ftrace_dump_on_oops=1")},
		},
		{"no-evidence", []change{noPstore}},
		{"pstore-without-backend", []change{noPstore, boot("pstore.backend=ramoops")}},
		{"pstore-without-backend", []change{noPstore, value("printk.always_kmsg_dump=Y")}},
		{"always-dump-not-ramoops", []change{ramoops, value("printk.always_kmsg_dump=Y")}},
		{
			"",
			[]change{ramoops, value("printk.always_kmsg_dump=Y", "ramoops.max_reason=5")},
		},
		{
			"ramoops-keeps-panics-only hung-task-after-oops oops-goes-on",
			[]change{ramoops, value("ramoops.max_reason=1", "kernel.panic_on_oops=0")},
		},
		{"console-hides-errors", []change{value("kernel.printk=3 4 1 7")}},
		{"", []change{value("kernel.printk=3 4 1 7"), boot("ignore_loglevel")}},
		{"console-hides-warnings", []change{value("kernel.printk=4 4 1 7")}},
		{"", []change{value("kernel.printk=4 4 1 7", "kernel.panic_print=32")}},
		{
			"notifier-before-crash-kernel",
			[]change{loaded, value("crash_kexec_post_notifiers=Y"), noPstore},
		},
		{"", []change{loaded, value("crash_kexec_post_notifiers=Y")}},
		{
			"notifier-before-crash-kernel",
			[]change{loaded, value("crash_kexec_post_notifiers=Y"), func(m *Machine) {
				m.Modules = []string{"ext4", "ipmi_msghandler"}
			}},
		},
		{"post-notifiers-for-nothing", []change{value("crash_kexec_post_notifiers=Y")}},
		{"crash-memory-idle", []change{reserved}},
		{"crash-kernel-locked-out", []change{reserved, value("kernel.kexec_load_disabled=1")}},
		{"crash-kernel-limited-out", []change{reserved, value("kernel.kexec_load_limit_panic=0")}},
		{"", []change{value("kernel.kexec_load_disabled=1")}},
		{"capture-without-means no-evidence", []change{noPstore, func(m *Machine) { m.Capture = true }}},
		{"ctrl-alt-del-at-once", []change{value("kernel.ctrl-alt-del=1")}},
		{"ctrl-alt-del-to-another", []change{value("kernel.cad_pid=77")}},
		{"protection-powers-off", []change{value("/sys/kernel/reboot/hw_protection=shutdown")}},
		{"reboot-forced", []change{boot("reboot=acpi,force")}},
		{"", []change{boot("reboot=acpi,warm")}},
		{"forbidden-taint-is-there", []change{boot("panic_on_taint=0x1000,nousertaint"), value("kernel.tainted=4096")}},
		{"", []change{boot("panic_on_taint=20"), value("kernel.tainted=4096")}},
		{
			"panic-hangs machine-check-restarts",
			[]change{noWatchdog, func(m *Machine) {
				m.Values = map[string]string{"kernel.panic": "0", "kernel.panic_on_oops": "0"}
			}},
		},
		{
			"panic-waits-for-somebody machine-check-restarts",
			[]change{noWatchdog, value("kernel.panic=0"), func(m *Machine) { m.Attended = true }},
		},
	} {
		m := healthy()
		for _, change := range c.changes {
			change(m)
		}
		found := Findings(m)
		got, want := names(found), strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		for i, f := range found {
			seen[f.Rule] = true
			if i > 0 && f.Severity > found[i-1].Severity {
				t.Errorf("%s (%v) comes behind %s (%v)", f.Rule, f.Severity, found[i-1].Rule, found[i-1].Severity)
			}
			for _, text := range []string{f.What, f.Reason, f.Remedy.String()} {
				if text == "" || strings.ContainsAny(text, "{}\n") || strings.Contains(text, "  ") ||
					strings.HasSuffix(text, ".") || strings.Contains(text, "is ,") {
					t.Errorf("%s: %q is no text in a line", f.Rule, text)
				}
			}
		}
	}
	for _, r := range Rules() {
		if !seen[r.Name] {
			t.Errorf("no case for rule %q", r.Name)
		}
	}
}

// TestTheTable: names are there once, what rules speak of are knobs, and what they say to set, the
// knobs take.
func TestTheTable(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range rules() {
		if known[r.name] {
			t.Errorf("rule %q is there twice", r.name)
		}
		known[r.name] = true
		if len(r.set) == 0 && r.remedy == "" {
			t.Errorf("rule %q has no remedy", r.name)
		}
		for _, s := range r.set {
			if knob.ByName(s.Name) == nil {
				t.Errorf("rule %q sets %s, which is no knob", r.name, s.Name)
			}
		}
	}
	for name := range healthy().Values {
		if k := knob.ByName(name); k == nil || k.Name != name {
			t.Errorf("%s is no knob", name)
		}
	}
}

// fileMap is the files of a machine in memory.
type fileMap map[string]string

func (f fileMap) Read(path string) (string, error) {
	text, ok := f[path]
	switch {
	case text == "denied":
		return "", &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}
	case ok:
		return text, nil
	}
	for name := range f {
		if strings.HasPrefix(name, path+"/") {
			return "", &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
		}
	}
	return "", &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
}

func TestLook(t *testing.T) {
	files := fileMap{
		"proc/sys/kernel/panic":                            "10\n",
		"proc/sys/kernel/printk":                           "7\t4\t1\t7\n",
		"proc/sys/kernel/cad_pid":                          "denied",
		"proc/sys/kernel/osrelease":                        "6.12.117-amd64\n",
		"proc/sys/kernel/arch":                             "aarch64\n",
		"proc/cmdline":                                     "quiet panic=\"10\" -- panic=20\n",
		"proc/modules":                                     "ext4 1 0 - Live 0x0\nipmi_msghandler 1 0 - Live 0x0\n",
		"sys/module/kernel/parameters/panic_on_warn":       "0\n",
		"sys/kernel/kexec_crash_loaded":                    "1\n",
		"sys/kernel/kexec_crash_size":                      "268435456\n",
		"sys/module/pstore/parameters/backend":             "(null)\n",
		"sys/class/watchdog/watchdog0/dev":                 "10:130\n",
		"sys/class/watchdog/watchdog2/identity":            "iTCO_wdt\n",
		"sys/class/watchdog/watchdog2/state":               "active\n",
		"sys/class/watchdog/watchdog2/timeout":             "30\n",
		"sys/class/watchdog/watchdog2/pretimeout":          "5\n",
		"sys/class/watchdog/watchdog2/pretimeout_governor": "noop\n",
		"sys/class/watchdog/watchdog2/nowayout":            "1\n",
		"sys/class/watchdog/watchdog2/bootstatus":          "32\n",
	}
	s := Look(files)
	want := Machine{
		Kernel: Version{6, 12}, Arch: "arm64",
		Values: map[string]string{
			"kernel.panic": "10", "kernel.printk": "7\t4\t1\t7", "pstore.backend": "(null)",
		},
		BootLine: "quiet panic=\"10\" -- panic=20\n",
		Boot:     []Word{{"quiet", "", false}, {"panic", "10", true}},
		Modules:  []string{"ext4", "ipmi_msghandler"},
		Watchdogs: []Watchdog{{Name: "watchdog0", Silent: true}, {
			Name: "watchdog2", Identity: "iTCO_wdt", Active: true, Timeout: 30 * time.Second,
			Pretimeout: 5 * time.Second, Governor: "noop", NoWayOut: true, Bootstatus: "32",
		}},
		Crash:  CrashKernel{Known: true, Loaded: true, Reserved: 256 << 20},
		Pstore: Pstore{Known: true},
	}
	if d := cmp.Diff(want, s.Machine); d != "" {
		t.Errorf("got (+) is not want (-):\n%s", d)
	}
	if err := s.Unread["kernel.cad_pid"]; len(s.Unread) != 1 || !errors.Is(err, syscall.EACCES) {
		t.Errorf("unread: got %v", s.Unread)
	}
	if s.NoProc != nil || s.NoSys != nil {
		t.Errorf("got %v, %v", s.NoProc, s.NoSys)
	}
	// Where nothing can be seen, nothing is known.
	s = Look(fileMap{})
	if !errors.Is(s.NoProc, fs.ErrNotExist) || !errors.Is(s.NoSys, fs.ErrNotExist) || s.Crash.Known || s.Pstore.Known {
		t.Errorf("got %+v", s)
	}
	if found := Findings(&s.Machine); len(found) > 0 {
		t.Errorf("got %+v", found)
	}
}

func TestArch(t *testing.T) {
	for machine, want := range map[string]string{
		"x86_64": "x86", "i686": "x86", "i386": "x86", "aarch64": "arm64", "armv7l": "arm",
		"mips64": "mips", "riscv64": "riscv64", "": "",
	} {
		if got := Arch(machine); got != want {
			t.Errorf("%s: got %q, want %q", machine, got, want)
		}
	}
}

// TestWith: a plan changes what the kernel has, a preset not what the command line says, and the
// machine that it is for stays as it is.
func TestWith(t *testing.T) {
	m := &Machine{
		Values: map[string]string{
			"kernel.panic": "0", "kernel.printk": "4\t4\t1\t7", "kernel.panic_on_oops": "0",
			"kernel.softlockup_panic": "0",
		},
		BootLine: "oops=panic",
	}
	before := maps.Clone(m.Values)
	plan := func(text string) knob.Plan { return config.Read("", []byte(text), nil).Settings.Panic.Plan }
	for _, c := range []struct {
		plan knob.Plan
		want map[string]string
	}{
		{knob.Plan{}, map[string]string{"kernel.panic": "10"}},
		{knob.Plan{Preset: knob.Kernel}, nil},
		{plan("panic.timeout = 30s"), map[string]string{"kernel.panic": "30"}},
		{plan("panic.timeout = never"), nil},
		{
			knob.Plan{Preset: knob.Comeback},
			map[string]string{"kernel.panic": "10", "kernel.softlockup_panic": "1"},
		},
		{
			plan("panic.policy = comeback\npanic.on_oops = yes"),
			map[string]string{"kernel.panic": "10", "kernel.softlockup_panic": "1", "kernel.panic_on_oops": "1"},
		},
		{
			plan("panic.policy = kernel\nprintk.console_level = 7"),
			map[string]string{"kernel.printk": "7 4 1 7"},
		},
		{plan("panic.policy = kernel\npanic.warn_limit = 5"), nil},
	} {
		want := maps.Clone(before)
		maps.Copy(want, c.want)
		if d := cmp.Diff(want, m.With(c.plan).Values); d != "" {
			t.Errorf("%+v: got (+) is not want (-):\n%s", c.plan, d)
		}
	}
	if d := cmp.Diff(before, m.Values); d != "" || m.Wanted != nil {
		t.Errorf("the machine has been changed: %s, %v", d, m.Wanted)
	}
}

// TestPresetsDoNotContradictThemselves on a PC that has all they could need.
func TestPresetsDoNotContradictThemselves(t *testing.T) {
	for _, p := range []knob.Preset{knob.Comeback, knob.Capture} {
		m := healthy()
		for _, c := range (knob.Plan{Preset: p}).Choices() {
			m.Values[c.Knob.Name] = "0"
		}
		for _, f := range Findings(m.With(knob.Plan{Preset: p})) {
			if f.Severity != Note {
				t.Errorf("%v: %v: %s", p, f.Rule, f.What)
			}
		}
	}
	m := healthy().With(knob.Plan{Preset: knob.Debug})
	for _, f := range Findings(m) {
		if f.Severity != Note {
			t.Errorf("debug: %v: %s", f.Rule, f.What)
		}
	}
}

// TestFeeding: watchdogs count as the configuration has it, but those that are not there.
func TestFeeding(t *testing.T) {
	m := &Machine{Watchdogs: []Watchdog{
		{Name: "watchdog0", Identity: "iTCO_wdt", Governor: "noop"}, {Name: "watchdog1", Silent: true},
	}}
	set := config.Watchdog{
		Devices: "/dev/watchdog /dev/watchdog1 /dev/watchdog7", Timeout: time.Minute, Pretimeout: 10 * time.Second,
	}
	want := []Watchdog{
		{
			Name: "watchdog0", Identity: "iTCO_wdt", Active: true, Timeout: time.Minute,
			Pretimeout: 10 * time.Second, Governor: "noop",
		},
		{Name: "watchdog1", Active: true, Timeout: time.Minute, Pretimeout: 10 * time.Second},
	}
	if d := cmp.Diff(want, m.Feeding(set).Watchdogs); d != "" {
		t.Errorf("got (+) is not want (-):\n%s", d)
	}
	set.Governor = config.GovernorPanic
	if got := m.Feeding(set).Watchdogs[0].Governor; got != "panic" {
		t.Errorf("governor: got %q", got)
	}
	if m.Watchdogs[0].Active || !m.Watchdogs[1].Silent {
		t.Errorf("the machine has been changed: %+v", m.Watchdogs)
	}
}

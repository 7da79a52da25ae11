package simkernel

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// knob is a file of /proc/sys (kernel/sysctl.c).
type knob struct {
	name  string // below /proc/sys
	value string // its default
	kind  knobKind
	mode  uint16 // 0644 if 0
	// min and max bound a number; both 0 is what the type can hold.
	min, max int64
	// has says whether this kernel has it, if not all have.
	has func(m *Machine) bool
	// get and set are for what stands elsewhere in the model. set is told what has been checked,
	// by check, too, if there is one.
	get   func(m *Machine) string
	check func(m *Machine, value string) kernel.Errno
	set   func(m *Machine, value string)
}

// knobKind is how a knob is read and written.
type knobKind uint8

const (
	knobInt    knobKind = iota // proc_dointvec_minmax: EINVAL out of range
	knobUint                   // proc_douintvec_minmax: ERANGE out of range
	knobLong                   // proc_doulongvec_minmax: out of range is left out
	knobInts                   // proc_dointvec of several: those that are written
	knobText                   // proc_dostring
	knobSwitch                 // as knobInt, but once it is 1 it stays: EINVAL
	knobSpread                 // proc_taint: bits are added, never taken
)

// knobs are sorted by name. Defaults and ranges are those of Linux 6.1.
var knobs = [...]knob{
	{name: "fs/file-max", value: "9223372036854775807", kind: knobLong},
	{name: "fs/nr_open", value: "1048576", min: 64, max: 2147483584},
	{name: "fs/protected_hardlinks", value: "0", min: 0, max: 1},
	{name: "fs/protected_symlinks", value: "0", min: 0, max: 1},
	{name: "fs/suid_dumpable", value: "0", min: 0, max: 2},
	{
		name: "kernel/cad_pid", mode: 0o600,
		get: (*Machine).cadPIDText, check: (*Machine).checkCadPID, set: (*Machine).setCadPID,
	},
	{name: "kernel/core_pattern", value: "core", kind: knobText},
	{name: "kernel/core_uses_pid", value: "0"},
	{
		name: "kernel/ctrl-alt-del",
		get:  func(m *Machine) string { return strconv.Itoa(m.reboot.cad) },
		set:  func(m *Machine, value string) { m.reboot.cad, _ = strconv.Atoi(value) },
	},
	{name: "kernel/dmesg_restrict", value: "0", min: 0, max: 1},
	{name: "kernel/domainname", value: "(none)", kind: knobText},
	{name: "kernel/hardlockup_all_cpu_backtrace", value: "0", min: 0, max: 1},
	{name: "kernel/hardlockup_panic", value: "0", min: 0, max: 1},
	{name: "kernel/hostname", value: "(none)", kind: knobText},
	{name: "kernel/hung_task_all_cpu_backtrace", value: "0", min: 0, max: 1},
	{name: "kernel/hung_task_check_count", value: "4194304", min: 0, max: math.MaxInt32},
	{
		name: "kernel/hung_task_check_interval_secs", value: "0", kind: knobLong,
		min: 0, max: math.MaxInt64 / 250,
	},
	{name: "kernel/hung_task_panic", value: "0", min: 0, max: 1},
	{
		name: "kernel/hung_task_timeout_secs", value: "120", kind: knobLong,
		min: 0, max: math.MaxInt64 / 250,
	},
	{name: "kernel/hung_task_warnings", value: "10", min: -1, max: math.MaxInt32},
	{
		name: "kernel/kexec_load_disabled", min: 1, max: 1,
		get: (*Machine).kexecLoadDisabled, set: (*Machine).setKexecLoadDisabled,
	},
	{
		name: "kernel/kexec_load_limit_panic", has: (*Machine).limitsKexec,
		get:   func(m *Machine) string { return m.loadLimit(kexec.CrashImage) },
		check: func(m *Machine, v string) kernel.Errno { return m.setLoadLimit(kexec.CrashImage, v) },
		set:   func(*Machine, string) {},
	},
	{
		name: "kernel/kexec_load_limit_reboot", has: (*Machine).limitsKexec,
		get:   func(m *Machine) string { return m.loadLimit(kexec.NormalImage) },
		check: func(m *Machine, v string) kernel.Errno { return m.setLoadLimit(kexec.NormalImage, v) },
		set:   func(*Machine, string) {},
	},
	{name: "kernel/max_rcu_stall_to_panic", value: "0", min: 1, max: math.MaxInt32},
	{name: "kernel/nmi_watchdog", value: "0", min: 0, max: 1},
	{name: "kernel/oops_all_cpu_backtrace", value: "0", min: 0, max: 1},
	{name: "kernel/oops_limit", value: "10000", kind: knobUint},
	{name: "kernel/osrelease", value: osRelease, kind: knobText, mode: 0o444},
	{name: "kernel/ostype", value: "Linux", kind: knobText, mode: 0o444},
	{name: "kernel/panic", value: "0"},
	{name: "kernel/panic_on_io_nmi", value: "0"},
	{name: "kernel/panic_on_oops", value: "0"},
	{name: "kernel/panic_on_rcu_stall", value: "0", min: 0, max: 1},
	{name: "kernel/panic_on_unrecovered_nmi", value: "0"},
	{name: "kernel/panic_on_warn", value: "0", min: 0, max: 1},
	{name: "kernel/panic_print", value: "0", kind: knobLong},
	{
		name: "kernel/pid_max", min: 301, max: 4194304,
		get: func(m *Machine) string { return strconv.Itoa(m.pids.max) },
		set: func(m *Machine, value string) { m.pids.max, _ = strconv.Atoi(value) },
	},
	{
		name: "kernel/poweroff_cmd", kind: knobText,
		get: func(m *Machine) string { return m.reboot.powerOffCmd },
		set: (*Machine).setPowerOffCmd,
	},
	{name: "kernel/print-fatal-signals", value: "0"},
	{
		name: "kernel/printk", kind: knobInts,
		get: (*Machine).printkLevels, set: (*Machine).setPrintkLevels,
	},
	{name: "kernel/printk_delay", value: "0", min: 0, max: 10000},
	{
		name: "kernel/printk_devkmsg", kind: knobText,
		get: func(m *Machine) string { return m.devkmsg.String() },
		set: func(m *Machine, value string) { m.devkmsg = devkmsgModes[value] },
	},
	{name: "kernel/printk_ratelimit", value: "5"},
	{name: "kernel/printk_ratelimit_burst", value: "10"},
	{name: "kernel/random/boot_id", kind: knobText, mode: 0o444, get: (*Machine).bootID},
	{name: "kernel/soft_watchdog", value: "1", min: 0, max: 1},
	{name: "kernel/softlockup_all_cpu_backtrace", value: "0", min: 0, max: 1},
	{name: "kernel/softlockup_panic", value: "0", min: 0, max: 1},
	{name: "kernel/sysrq", value: "1"},
	{name: "kernel/tainted", value: "0", kind: knobSpread},
	{name: "kernel/threads-max", value: "4096", min: 1, max: math.MaxInt32},
	{name: "kernel/unknown_nmi_panic", value: "0"},
	{name: "kernel/version", value: osVersion, kind: knobText, mode: 0o444},
	{name: "kernel/warn_limit", value: "0", kind: knobUint},
	{name: "kernel/watchdog", value: "1", min: 0, max: 1},
	{name: "kernel/watchdog_thresh", value: "10", min: 0, max: 60},
	{name: "net/ipv4/ip_forward", value: "0"},
	{name: "vm/dirty_background_bytes", value: "0", kind: knobLong},
	{name: "vm/dirty_background_ratio", value: "10", min: 0, max: 100},
	{name: "vm/dirty_bytes", value: "0", kind: knobLong},
	{name: "vm/dirty_expire_centisecs", value: "3000", min: 0, max: math.MaxInt32},
	{name: "vm/dirty_ratio", value: "20", min: 0, max: 100},
	{name: "vm/dirty_writeback_centisecs", value: "500"},
	{name: "vm/min_free_kbytes", value: "2847", min: 0, max: math.MaxInt32},
	{name: "vm/oom_dump_tasks", value: "1"},
	{name: "vm/oom_kill_allocating_task", value: "0"},
	{name: "vm/overcommit_memory", value: "0", min: 0, max: 2},
	{name: "vm/panic_on_oom", value: "0", min: 0, max: 2},
	{name: "vm/swappiness", value: "60", min: 0, max: 200},
}

// bootArguments are words of the command line that set a knob.
var bootArguments = [...]struct {
	key, knob, value string
	// flag and off say that the word sets the knob to 1 or 0, whatever its value is.
	flag, off bool
}{
	{key: "panic", knob: "kernel/panic"},
	{key: "panic_on_warn", knob: "kernel/panic_on_warn"},
	{key: "panic_print", knob: "kernel/panic_print"},
	{key: "hung_task_panic", knob: "kernel/hung_task_panic"},
	{key: "softlockup_panic", knob: "kernel/softlockup_panic"},
	{key: "watchdog_thresh", knob: "kernel/watchdog_thresh"},
	{key: "oops", knob: "kernel/panic_on_oops", value: "panic"},
	{key: "unknown_nmi_panic", knob: "kernel/unknown_nmi_panic", flag: true},
	{key: "nmi_watchdog", knob: "kernel/hardlockup_panic", value: "panic"},
	{key: "nmi_watchdog", knob: "kernel/nmi_watchdog", value: "panic"},
	{key: "nmi_watchdog", knob: "kernel/nmi_watchdog", value: "1"},
	{key: "nosoftlockup", knob: "kernel/soft_watchdog", off: true},
	{key: "nowatchdog", knob: "kernel/watchdog", off: true},
}

func findKnob(name string) *knob {
	i, ok := slices.BinarySearchFunc(knobs[:], name, func(k knob, name string) int {
		return strings.Compare(k.name, name)
	})
	if !ok {
		return nil
	}
	return &knobs[i]
}

// ownKnob is a knob that this kernel has, or nil.
func (m *Machine) ownKnob(name string) *knob {
	k := findKnob(name)
	if k == nil || k.has != nil && !k.has(m) || !m.kernel.knows(k.name) {
		return nil
	}
	return k
}

// setUpKnobs gives the knobs what the command line says (init/main.c), but for setUpSysctls.
func (m *Machine) setUpKnobs() {
	m.ring.levels = [4]int{
		defaultConsoleLevel, defaultMessageLevel, minimumConsoleLevel, defaultConsoleLevel,
	}
	if m.cfg.Cmdline == "" {
		return
	}
	for word := range strings.FieldsSeq(m.cfg.Cmdline) {
		key, value, given := strings.Cut(word, "=")
		for _, a := range bootArguments {
			switch {
			case a.key != key:
			case a.flag:
				m.keepKnob(a.knob, "1")
			case a.off:
				m.keepKnob(a.knob, "0")
			case a.value == "":
				m.setKnob(a.knob, value)
			case a.value == value:
				m.keepKnob(a.knob, "1")
			}
		}
		switch key {
		case "panic_on_taint":
			m.panicOnTaintArgument(value)
		case "panic_force_cpu":
			m.forceCPUArgument(value)
		}
		m.attrArgument(key, value, given)
		if key == "sysrq_always_enabled" {
			m.sysrqAlways = true
			out := m.in("sysrq_always_enabled_setup")
			m.printk(kernel.Info, "sysrq: sysrq always enabled.")
			out()
		}
		m.printkArgument(key, value)
	}
}

// setUpSysctls does what the words of the command line say that begin with sysctl. The kernel does
// so last, when there is a PID 1 (fs/proc/proc_sysctl.c, do_sysctl_args).
func (m *Machine) setUpSysctls() {
	if m.cfg.Cmdline == "" {
		return
	}
	for word := range strings.FieldsSeq(m.cfg.Cmdline) {
		key, value, given := strings.Cut(word, "=")
		if name, ok := strings.CutPrefix(key, "sysctl."); ok && given {
			m.setKnob(strings.ReplaceAll(name, ".", "/"), value)
		}
	}
}

// knob is the text of a knob.
func (m *Machine) knob(name string) (string, kernel.Errno) {
	k := m.ownKnob(name)
	if k == nil {
		if _, _, ok := m.statKnob(name); ok {
			return "", kernel.EISDIR
		}
		return "", kernel.ENOENT
	}
	return m.knobValue(k) + "\n", 0
}

func (m *Machine) knobValue(k *knob) string {
	if v, ok := m.knobs[k.name]; ok {
		return v
	}
	if k.get != nil {
		return k.get(m)
	}
	return k.value
}

// knobTime is a knob that is in hundredths of a second.
func (m *Machine) knobTime(path string) time.Duration {
	k := findKnob(strings.TrimPrefix(path, "sys/"))
	n, _ := strconv.ParseInt(m.knobValue(k), 10, 64)
	return time.Duration(n) * centisecond
}

// mayWriteKnob says whether a knob can be opened for writing. Root needs the permission too
// (fs/proc/proc_sysctl.c, test_perm).
func (m *Machine) mayWriteKnob(name string) kernel.Errno {
	k := m.ownKnob(name)
	switch {
	case k == nil:
		_, e := m.knob(name)
		return e
	case k.perm()&0o200 == 0:
		return syscall.EACCES
	}
	return 0
}

func (k *knob) perm() uint16 {
	if k.mode == 0 {
		return 0o644
	}
	return k.mode
}

// setKnob writes a knob.
func (m *Machine) setKnob(name, text string) kernel.Errno {
	k := m.ownKnob(name)
	if k == nil {
		return kernel.ENOENT
	}
	value, e := k.parse(m.knobValue(k), text)
	if e != 0 {
		return e
	}
	if name == "kernel/tainted" {
		return m.writeTainted(value)
	}
	if name == "kernel/printk_devkmsg" {
		// It wants the newline, too (kernel/printk/printk.c, devkmsg_sysctl_set_loglvl).
		mode, ok := devkmsgModes[value]
		if !ok || text != value+"\n" {
			return kernel.EINVAL
		}
		if m.devkmsgFixed && mode != m.devkmsg {
			return kernel.EINVAL
		}
	}
	if k.check != nil {
		if e := k.check(m, value); e != 0 {
			return e
		}
	}
	if k.set != nil {
		k.set(m, value)
		return 0
	}
	m.keepKnob(name, value)
	return 0
}

func (m *Machine) keepKnob(name, value string) {
	if m.knobs == nil {
		m.knobs = make(map[string]string)
	}
	m.knobs[name] = value
}

// parse reads what is written to a knob, and returns its new text.
func (k *knob) parse(before, text string) (string, kernel.Errno) {
	if k.kind == knobText {
		line, _, _ := strings.Cut(text, "\n")
		return line, 0
	}
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return "", kernel.EINVAL
	}
	if k.kind == knobInts {
		values := strings.Fields(before)
		for i := range min(len(values), len(fields)) {
			n, e := k.number(fields[i])
			if e != 0 {
				return "", e
			}
			values[i] = strconv.FormatInt(n, 10)
		}
		return strings.Join(values, "\t"), 0
	}
	n, e := k.number(fields[0])
	if e != 0 {
		return "", e
	}
	was, _ := strconv.ParseInt(before, 10, 64)
	switch {
	case k.kind == knobSwitch && was == 1 && n == 0:
		return "", kernel.EINVAL
	case k.kind == knobSpread:
		n |= was
	case k.kind == knobLong && k.max != 0 && (n < k.min || n > k.max):
		n = was
	}
	return strconv.FormatInt(n, 10), 0
}

// number reads a number as the kernel does: decimal, hexadecimal by 0x, octal by 0.
func (k *knob) number(s string) (int64, kernel.Errno) {
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil || strings.HasPrefix(s, "+") || strings.ContainsAny(s, "_oObB") &&
		!strings.HasPrefix(s, "0x") && !strings.HasPrefix(s, "0X") {
		return 0, kernel.EINVAL
	}
	switch k.kind {
	case knobInt, knobInts, knobSwitch:
		if n < math.MinInt32 || n > math.MaxInt32 || k.max != 0 && (n < k.min || n > k.max) {
			return 0, kernel.EINVAL
		}
	case knobUint:
		if n < 0 || n > math.MaxUint32 {
			return 0, kernel.EINVAL
		}
		if k.max != 0 && (n < k.min || n > k.max) {
			return 0, syscall.ERANGE
		}
	case knobLong, knobSpread:
		if n < 0 {
			return 0, kernel.EINVAL
		}
	case knobText:
	}
	return n, 0
}

// statKnob says what is at a path below /proc/sys.
func (m *Machine) statKnob(path string) (nodeKind, uint16, bool) {
	if k := m.ownKnob(path); k != nil {
		return kindFile, k.perm(), true
	}
	if path == "" || path == "fs/binfmt_misc" {
		return kindDir, 0o555, true
	}
	for i := range knobs {
		if rest, ok := strings.CutPrefix(knobs[i].name, path+"/"); ok && rest != "" &&
			m.ownKnob(knobs[i].name) != nil {
			return kindDir, 0o555, true
		}
	}
	for name := range m.procTexts {
		if rest, ok := strings.CutPrefix(name, "sys/"+path); ok && rest[0] == '/' {
			return kindDir, 0o555, true
		}
	}
	return 0, 0, false
}

// listKnobs are the names in a directory of /proc/sys.
func (m *Machine) listKnobs(dir string) []string {
	var names []string
	for i := range knobs {
		if m.ownKnob(knobs[i].name) == nil {
			continue
		}
		rest := knobs[i].name
		if dir != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, dir+"/"); !ok {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, "/")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// bootID is another one at each boot, drawn from the seed and the time of day.
func (m *Machine) bootID() string {
	a := uint64(m.cfg.Seed)*0x9e3779b97f4a7c15 + uint64(m.cfg.Epoch.UnixNano())
	b := a*0xbf58476d1ce4e5b9 + 1
	hex := func(n uint64, digits int) string {
		s := strconv.FormatUint(n, 16)
		s = strings.Repeat("0", 16) + s
		return s[len(s)-digits:]
	}
	return hex(a, 8) + "-" + hex(a>>32, 4) + "-4" + hex(a>>48, 3) + "-a" + hex(b, 3) + "-" +
		hex(b>>16, 12)
}

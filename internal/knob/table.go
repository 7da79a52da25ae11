package knob

import (
	"math"
	"slices"
	"strings"
)

// others are the knobs that no policy sets: what is set at boot or once, counters, and what belongs
// to somebody else. They are documentation, and not in PID 1.
var others = [...]Knob{
	{
		Name: "kernel.panic_sys_info", Kind: Text, Boot: "panic_sys_info= panic_print=",
	},
	{Name: "kernel.kernel_sys_info", Kind: Text},
	{Name: "kernel.softlockup_sys_info", Kind: Text},
	{Name: "kernel.hardlockup_sys_info", Kind: Text},
	{Name: "kernel.hung_task_sys_info", Kind: Text},
	{Name: "panic_force_cpu", Place: Boot, Kind: Number, Max: math.MaxInt32},
	{Name: "panic_on_taint", Place: Boot, Kind: Text, Role: Trigger},
	{Name: "/sys/kernel/oops_count", Place: Sysfs, Kind: Number, Max: math.MaxInt32},
	{Name: "/sys/kernel/warn_count", Place: Sysfs, Kind: Number, Max: math.MaxInt32},
	{Name: "kernel.tainted", Kind: Number, Max: math.MaxInt64},
	{
		Name: "pause_on_oops", Place: Parameter, Kind: Seconds, Min: 1, Max: math.MaxInt32,
		Words: "off=0",
	},
	{Name: "kernel.watchdog_cpumask", Kind: Text},
	{Name: "kernel.hung_task_check_count", Kind: Number, Max: math.MaxInt32},
	{Name: "kernel.hung_task_detect_count", Kind: Number, Max: math.MaxInt64},
	{Name: "rcupdate.rcu_cpu_stall_suppress", Place: Parameter, Kind: Number, Max: 1},
	{Name: "vm.oom_kill_allocating_task"},
	{
		Name: "kernel.kexec_load_disabled", Max: 1,
	},
	{
		Name: "kernel.kexec_load_limit_panic", Kind: Number, Max: math.MaxInt32,
		Words: "unlimited=-1",
	},
	{
		Name: "kernel.kexec_load_limit_reboot", Kind: Number, Max: math.MaxInt32,
		Words: "unlimited=-1",
	},
	{Name: "crashkernel", Place: Boot, Kind: Text},
	{Name: "kernel.ctrl-alt-del", Max: 1},
	{Name: "kernel.cad_pid", Kind: Number, Min: 1, Max: math.MaxInt32},
	{Name: "kernel.poweroff_cmd", Kind: Text},
	{
		Name: "/sys/kernel/reboot/force", Place: Sysfs, Kind: Word, Words: "no=0,yes=1",
		Boot: "reboot=force",
	},
	{
		Name: "/sys/kernel/reboot/cpu", Place: Sysfs, Kind: Number, Max: math.MaxInt32,
		Boot: "reboot=s",
	},
	{
		Name: "/sys/kernel/reboot/hw_protection", Place: Sysfs, Kind: Word,
		Words: "shutdown,reboot", Boot: "hw_protection=",
	},
	{Name: "kernel.traceoff_on_warning", Boot: "traceoff_on_warning", Max: 1},
	{Name: "kernel.ftrace_dump_on_oops", Kind: Text, Boot: "ftrace_dump_on_oops"},
	{Name: "kernel.print-fatal-signals", Boot: "print_fatal_signals="},
	{Name: "pstore.backend", Place: Parameter, Kind: Text},
	{Name: "pstore.compress", Place: Parameter, Kind: Text},
	{Name: "pstore.kmsg_bytes", Place: Parameter, Kind: Number, Max: math.MaxUint32},
	{
		Name: "pstore.update_ms", Place: Parameter, Kind: Number, Max: math.MaxInt32,
		Words: "never=-1",
	},
	{Name: "ramoops.mem_address", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.mem_name", Place: Parameter, Kind: Text},
	{Name: "ramoops.mem_size", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.mem_type", Place: Parameter, Kind: Number, Max: 2},
	{Name: "ramoops.record_size", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.console_size", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.ftrace_size", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.pmsg_size", Place: Parameter, Kind: Number, Max: math.MaxInt64},
	{Name: "ramoops.ecc", Place: Parameter, Kind: Number, Max: math.MaxInt32},
	{
		Name: "ramoops.max_reason", Place: Parameter, Kind: Number, Max: math.MaxInt32,
		Words: "default=-1",
	},
	{
		Name: "ramoops.dump_oops", Place: Parameter, Kind: Number, Max: 1, Words: "default=-1",
	},
	{Name: "watchdog.handle_boot_enabled", Place: Parameter, Role: Rescue},
	{
		Name: "watchdog.open_timeout", Place: Parameter, Kind: Seconds, Role: Rescue,
		Min: 1, Max: math.MaxUint32, Words: "unlimited=0",
	},
	{
		Name: "watchdog.stop_on_reboot", Place: Parameter, Kind: Word, Role: Rescue,
		Words: "no=0,yes=1,driver=-1",
	},
	{
		Name: "/sys/class/watchdog/watchdog0/pretimeout_governor", Place: Sysfs, Kind: Text,
		Role: Trigger,
	},
	{Name: "softdog.soft_panic", Place: Parameter, Kind: Number, Role: Trigger, Max: 1},
	{Name: "softdog.soft_noboot", Place: Parameter, Kind: Number, Max: 1},
	{Name: "i8042.panicblink", Place: Parameter, Kind: Number, Max: math.MaxUint32},
	{Name: "mce", Place: Boot, Kind: Text, Role: Trigger},
}

// Table is all knobs: those of [Policy] first. It is not the caller's to change.
func Table() []*Knob {
	all := make([]*Knob, 0, len(policy)+len(others))
	for i := range policy {
		all = append(all, &policy[i])
	}
	for i := range others {
		all = append(all, &others[i])
	}
	return all
}

// ByKey finds a knob by its key in rebound.conf, or returns nil.
func ByKey(key string) *Knob {
	for i := range policy {
		if policy[i].Key == key {
			return &policy[i]
		}
	}
	return nil
}

// ByName finds a knob by its name, or returns nil. The name may be written with slashes, and
// without its kernel., its /sys/ or the path of its file before it.
func ByName(name string) *Knob {
	dotted := name
	if rest, ok := strings.CutPrefix(dotted, "/proc/sys/"); ok {
		dotted = rest
	}
	if !strings.HasPrefix(dotted, "/") {
		dotted = strings.ReplaceAll(dotted, "/", ".")
	}
	all := Table()
	for _, spelled := range []string{name, dotted, "kernel." + dotted, "/sys/" + name} {
		i := slices.IndexFunc(all, func(k *Knob) bool { return k.Name == spelled })
		if i >= 0 {
			return all[i]
		}
	}
	i := slices.IndexFunc(all, func(k *Knob) bool { return k.File() == name && name != "" })
	if i >= 0 {
		return all[i]
	}
	return nil
}

// Names are the names of all knobs, in the order of [Table], and then the keys of those that have
// one: what may be meant by a word that is none of them.
func Names() []string {
	var names, keys []string
	for _, k := range Table() {
		names = append(names, k.Name)
		if k.Key != "" {
			keys = append(keys, k.Key)
		}
	}
	return append(names, keys...)
}

// File is the whole path of the knob's file, or empty for a word of the boot line.
func (k *Knob) File() string {
	switch k.Place {
	case Sysctl:
		return "/proc/" + k.Path()
	case Parameter, Sysfs:
		return "/sys/" + k.Path()
	case Boot:
	}
	return ""
}

// String says it in a word.
func (p Place) String() string {
	switch p {
	case Sysctl:
		return "sysctl"
	case Parameter:
		return "parameter"
	case Sysfs:
		return "sysfs"
	case Boot:
		return "boot"
	}
	return "nowhere"
}

// String says it in a word.
func (r Role) String() string {
	switch r {
	case Aid:
		return "aid"
	case Rescue:
		return "rescue"
	case Trigger:
		return "trigger"
	}
	return "nothing"
}

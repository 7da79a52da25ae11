package simkernel

import (
	"strconv"
	"strings"
)

// linux is a version of Linux, as KERNEL_VERSION() counts.
func linux(major, minor, patch int) int { return major<<16 | minor<<8 | patch }

// since are the versions that brought a file of /proc/sys or of sysfs, where a profile may be older.
// What is older than all of them is left out. Package crash has the same, by the names of settings; a
// test compares them.
var since = map[string]int{
	"fs/protected_hardlinks":               linux(3, 6, 0),
	"fs/protected_symlinks":                linux(3, 6, 0),
	"kernel/dmesg_restrict":                linux(2, 6, 37),
	"kernel/hardlockup_all_cpu_backtrace":  linux(4, 4, 0),
	"kernel/hardlockup_panic":              linux(4, 5, 0),
	"kernel/hung_task_all_cpu_backtrace":   linux(5, 9, 0),
	"kernel/hung_task_check_count":         linux(2, 6, 25),
	"kernel/hung_task_check_interval_secs": linux(4, 19, 0),
	"kernel/hung_task_panic":               linux(2, 6, 30),
	"kernel/hung_task_timeout_secs":        linux(2, 6, 25),
	"kernel/hung_task_warnings":            linux(2, 6, 25),
	"kernel/kexec_load_disabled":           linux(3, 14, 0),
	"kernel/max_rcu_stall_to_panic":        linux(5, 11, 0),
	"kernel/oops_all_cpu_backtrace":        linux(5, 8, 0),
	"kernel/oops_limit":                    linux(5, 10, 0), // 6.2, and stable releases from 5.10 on
	"kernel/panic_on_io_nmi":               linux(2, 6, 31),
	"kernel/panic_on_rcu_stall":            linux(4, 8, 0),
	"kernel/panic_on_unrecovered_nmi":      linux(2, 6, 19),
	"kernel/panic_on_warn":                 linux(3, 19, 0),
	"kernel/panic_print":                   linux(5, 0, 0),
	"kernel/poweroff_cmd":                  linux(2, 6, 24),
	"kernel/print-fatal-signals":           linux(2, 6, 24),
	"kernel/printk_delay":                  linux(2, 6, 33),
	"kernel/soft_watchdog":                 linux(4, 1, 0),
	"kernel/softlockup_all_cpu_backtrace":  linux(3, 16, 0),
	"kernel/softlockup_panic":              linux(2, 6, 27),
	"kernel/warn_limit":                    linux(5, 10, 0), // as oops_limit
	"kernel/watchdog":                      linux(2, 6, 38),
	"kernel/watchdog_thresh":               linux(2, 6, 38),
	"vm/oom_dump_tasks":                    linux(2, 6, 25),
	"vm/oom_kill_allocating_task":          linux(2, 6, 24),
	"vm/panic_on_oom":                      linux(2, 6, 18),

	"module/kernel/parameters/crash_kexec_post_notifiers": linux(3, 16, 0),
	"module/kernel/parameters/panic_on_warn":              linux(3, 19, 0),
	"module/kernel/parameters/panic_print":                linux(5, 0, 0),
	"module/printk/parameters/always_kmsg_dump":           linux(3, 3, 0),
	"module/pstore/parameters/update_ms":                  linux(3, 1, 0),
	"module/rcupdate/parameters/rcu_cpu_stall_suppress":   linux(2, 6, 37),
	"module/rcupdate/parameters/rcu_cpu_stall_timeout":    linux(3, 3, 0),
	"module/watchdog/parameters/handle_boot_enabled":      linux(4, 12, 0),
	"module/watchdog/parameters/open_timeout":             linux(5, 3, 0),
	"module/watchdog/parameters/stop_on_reboot":           linux(5, 7, 0),
}

// onlyX86 are the files of one architecture.
var onlyX86 = map[string]bool{
	"kernel/panic_on_io_nmi":          true,
	"kernel/panic_on_unrecovered_nmi": true,
	"kernel/unknown_nmi_panic":        true,
}

// knows reports whether a kernel is new enough, and built for the right architecture, to have a file.
func (p *profile) knows(path string) bool {
	from, ok := since[path]
	return (!ok || p.linux() >= from) && (p.arch == archX86 || !onlyX86[path])
}

// linux is the kernel's version.
func (p *profile) linux() int {
	var numbers [3]int
	for i, n := range strings.SplitN(p.release, ".", len(numbers)) {
		numbers[i], _ = strconv.Atoi(n)
	}
	return linux(numbers[0], numbers[1], numbers[2])
}

// HasSetting reports whether a kernel has a setting of Sysctls or of Parameters.
func HasSetting(kernelName, name string) bool {
	m := New(Config{Kernel: kernelName})
	if m.ownKnob(strings.ReplaceAll(name, ".", "/")) != nil {
		return true
	}
	for i := range sysAttrs {
		if of, ok := sysAttrs[i].parameter(); ok && of == name {
			_, e := m.attr(sysAttrs[i].path)
			return e == 0
		}
	}
	return false
}

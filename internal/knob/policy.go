package knob

import "math"

// maxTimeout is the longest panic timeout, in seconds. The kernel counts in milliseconds, in an int:
// with one more it restarts at once (kernel/panic.c).
const maxTimeout = math.MaxInt32 / 1000

// policy are the knobs that rebound.conf can set. PID 1 has them in it, so each costs it about a
// hundred bytes. Left out are those that are nobody's policy for a panic: what can only be
// set at boot, what can never be taken back (kexec_load_disabled and its limits), what PID 1 sets
// itself (ctrl-alt-del), and what belongs to the watchdog.
var policy = [...]Knob{
	{
		Name: "kernel.panic", Key: "panic.timeout", Kind: Seconds, Role: Rescue,
		Min: 1, Max: maxTimeout, Words: "never=0,now=-1", Boot: "panic=",
	},
	{
		Name: "crash_kexec_post_notifiers", Key: "crash_kexec.post_notifiers", Place: Parameter,
	},
	{
		Name: "/sys/kernel/reboot/mode", Key: "reboot.mode", Place: Sysfs, Kind: Word, Role: Rescue,
		Words: "cold,warm,hard,soft,gpio", Boot: "reboot=",
	},
	{
		Name: "/sys/kernel/reboot/type", Key: "reboot.type", Place: Sysfs, Kind: Word, Role: Rescue,
		Words: "acpi,kbd,triple,bios,efi,pci", Boot: "reboot=",
	},
	{
		Name: "kernel.sysrq", Key: "sysrq.mask", Kind: Mask, Role: Rescue, Max: 511,
		Words: "no=0,yes=1,log=2,keyboard=4,dump=8,sync=16,remount=32,signal=64,reboot=128,nice=256",
		Boot:  "sysrq_always_enabled",
	},

	// What finds a failure comes before what makes a panic of it: kernel.watchdog turns both of the
	// others on and off, and so it is the first of the three.
	{
		Name: "kernel.watchdog", Key: "lockup.detect", Role: Trigger, Max: 1, Boot: "nowatchdog",
	},
	{
		Name: "kernel.soft_watchdog", Key: "soft_lockup.detect", Role: Trigger, Max: 1,
		Boot: "nosoftlockup nowatchdog",
	},
	{
		Name: "kernel.nmi_watchdog", Key: "hard_lockup.detect", Role: Trigger, Max: 1,
		Boot: "nmi_watchdog= nowatchdog",
	},
	{
		Name: "kernel.watchdog_thresh", Key: "lockup.threshold", Kind: Seconds, Min: 1, Max: 60,
		Words: "off=0", Boot: "watchdog_thresh=",
	},
	{
		Name: "kernel.hung_task_timeout_secs", Key: "hung_task.timeout", Kind: Seconds,
		Min: 1, Max: maxTimeout, Words: "off=0",
	},
	{
		Name: "kernel.hung_task_check_interval_secs", Key: "hung_task.interval", Kind: Seconds,
		Min: 1, Max: maxTimeout, Words: "off=0",
	},
	{
		Name: "kernel.hung_task_warnings", Key: "hung_task.warnings", Kind: Number,
		Max: math.MaxInt32, Words: "unlimited=-1",
	},
	{
		Name: "rcupdate.rcu_cpu_stall_timeout", Key: "rcu_stall.timeout", Place: Parameter,
		Kind: Seconds, Min: 3, Max: 300,
	},

	{Name: "kernel.panic_on_oops", Key: "panic.on_oops", Role: Trigger, Boot: "oops=panic"},
	{
		Name: "kernel.panic_on_warn", Key: "panic.on_warn", Role: Trigger, Max: 1,
		Boot: "panic_on_warn=",
	},
	{
		Name: "kernel.softlockup_panic", Key: "panic.on_soft_lockup", Role: Trigger, Max: 1,
		Boot: "softlockup_panic=",
	},
	{
		Name: "kernel.hardlockup_panic", Key: "panic.on_hard_lockup", Role: Trigger, Max: 1,
		Boot: "nmi_watchdog=panic nmi_watchdog=nopanic",
	},
	{
		Name: "kernel.hung_task_panic", Key: "panic.on_hung_task", Role: Trigger, Max: 1,
		Boot: "hung_task_panic=",
	},
	{Name: "kernel.panic_on_rcu_stall", Key: "panic.on_rcu_stall", Role: Trigger, Max: 1},
	{
		Name: "kernel.max_rcu_stall_to_panic", Key: "panic.rcu_stall_limit", Kind: Number,
		Min: 1, Max: math.MaxInt32,
	},
	{
		Name: "vm.panic_on_oom", Key: "panic.on_oom", Kind: Word, Role: Trigger, Max: 2,
		Words: "no=0,system=1,always=2",
	},
	{
		Name: "kernel.unknown_nmi_panic", Key: "panic.on_unknown_nmi", Role: Trigger,
		Boot: "unknown_nmi_panic",
	},
	{
		Name: "kernel.panic_on_unrecovered_nmi", Key: "panic.on_unrecovered_nmi", Role: Trigger,
	},
	{Name: "kernel.panic_on_io_nmi", Key: "panic.on_io_nmi", Role: Trigger},
	{Name: "kernel.panic_on_stackoverflow", Key: "panic.on_stack_overflow", Role: Trigger},
	{
		Name: "kernel.oops_limit", Key: "panic.oops_limit", Kind: Number, Role: Trigger,
		Min: 1, Max: math.MaxUint32, Words: "off=0",
	},
	{
		Name: "kernel.warn_limit", Key: "panic.warn_limit", Kind: Number, Role: Trigger,
		Min: 1, Max: math.MaxUint32, Words: "off=0",
	},

	{
		Name: "kernel.panic_print", Key: "panic.print", Kind: Mask, Max: 255,
		Words: "none=0,tasks=1,mem=2,timers=4,locks=8,ftrace=16,replay=32,all_bt=64," +
			"blocked_tasks=128",
		Boot: "panic_print= panic_sys_info=",
	},
	{Name: "panic_console_replay", Key: "panic.console_replay", Place: Parameter},
	{Name: "kernel.oops_all_cpu_backtrace", Key: "oops.all_cpu_backtrace", Max: 1},
	{Name: "kernel.softlockup_all_cpu_backtrace", Key: "soft_lockup.all_cpu_backtrace", Max: 1},
	{Name: "kernel.hardlockup_all_cpu_backtrace", Key: "hard_lockup.all_cpu_backtrace", Max: 1},
	{Name: "kernel.hung_task_all_cpu_backtrace", Key: "hung_task.all_cpu_backtrace", Max: 1},
	{
		Name: "kernel.printk", Key: "printk.console_level", Kind: Level, Min: 1, Max: 8,
		Boot: "loglevel= quiet debug ignore_loglevel",
	},
	{Name: "printk.always_kmsg_dump", Key: "printk.always_kmsg_dump", Place: Parameter},
}

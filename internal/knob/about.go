package knob

// About is what a person wants to know of a knob.
type About struct {
	// Meaning is a sentence or two.
	Meaning string
	// Default is the kernel's, as its file shows it, and Debian what Debian's kernels have where
	// that is something else.
	Default, Debian string
	// Since is the version of Linux that brought it, and empty if it was there in 2.6.17.
	// Older names the stable versions that have it nevertheless, Gone the version that took it away.
	Since, Older, Gone string
	// On are the architectures that have it, and empty if all have.
	On string
	// Needs is what else must be so for it to be there, or to do anything.
	Needs string
	// Takes is what the kernel takes beyond Min and Max, and what it makes of it.
	Takes string
	// Access says how its file may be written, where that is not at any time.
	Access string
}

// About returns what there is to know of the knob.
func (k *Knob) About() About { return abouts()[k.Name] }

func abouts() map[string]About {
	const (
		onlyRead = "read only"
		atBoot   = "set by the boot line or as the module is loaded; read only afterwards"
		lockups  = "CONFIG_SOFTLOCKUP_DETECTOR"
		hard     = "CONFIG_HARDLOCKUP_DETECTOR, and a counter of the CPU that makes NMIs, or from 6.5 " +
			"on the buddy detector"
		hungs = "CONFIG_DETECT_HUNG_TASK"
		ram   = "CONFIG_PSTORE_RAM, with its module loaded"
		ftr   = "CONFIG_TRACING"
	)
	return map[string]About{
		"kernel.panic": {
			Meaning: "How long the kernel waits after a panic before it restarts the machine. At 0 " +
				"it waits for ever; below 0 it restarts at once.",
			Default: "0",
			Needs: "A fatal machine check replaces 0 by 30 s on x86. A crash kernel that is loaded is " +
				"started instead, and nothing waits.",
			Takes: "Any number of an int. From 2147484 on the count of milliseconds wraps, and the " +
				"kernel restarts at once. Before 3.1, below 0 it waits for ever.",
		},
		"crash_kexec_post_notifiers": {
			Meaning: "Whether panic notifiers and pstore come before the crash kernel. A notifier that " +
				"hangs then takes away the dump and the restart.",
			Default: "N", Since: "3.16",
			Needs: "It matters only if a crash kernel is loaded. With it an oops does not start the " +
				"crash kernel by itself, but only by way of a panic.",
		},
		"/sys/kernel/reboot/mode": {
			Meaning: "How the machine is restarted. A warm restart keeps the memory, and with it " +
				"ramoops, where the firmware lets it.",
			Default: "cold; hard on arm", Since: "5.11", Needs: "CAP_SYS_BOOT to write it",
		},
		"/sys/kernel/reboot/type": {
			Meaning: "By what means the machine is restarted: ACPI, the keyboard controller, a triple " +
				"fault, the BIOS, EFI or PCI's reset register.",
			Default: "acpi", Since: "5.11", On: "x86", Needs: "CAP_SYS_BOOT to write it",
		},
		"kernel.sysrq": {
			Meaning: "What the keys of SysRq may do. 1 is all, else each bit allows some. What is " +
				"written to /proc/sysrq-trigger is done in any case.",
			Default: "1", Debian: "438", Needs: "CONFIG_MAGIC_SYSRQ",
			Takes: "Any number of an int. sysrq_always_enabled=0 on the boot line enables all keys, too.",
		},
		"kernel.watchdog": {
			Meaning: "Whether the kernel looks for CPUs that are stuck: both detectors at once.",
			Default: "1", Since: "2.6.38", Needs: lockups,
		},
		"kernel.soft_watchdog": {
			Meaning: "Whether the kernel looks for a CPU on which no other task gets to run.",
			Default: "1", Since: "4.1", Needs: lockups,
		},
		"kernel.nmi_watchdog": {
			Meaning: "Whether the kernel looks for a CPU that does not even take interrupts.",
			Default: "1", Needs: hard,
			Access: "refused, or read only from 6.5 on, where there is no detector",
		},
		"kernel.watchdog_thresh": {
			Meaning: "After how long without an interrupt a CPU counts as hard locked up. Twice as " +
				"long without a change of tasks is a soft lockup. 0 turns both off.",
			Default: "10", Since: "2.6.38", Needs: lockups,
		},
		"kernel.hung_task_timeout_secs": {
			Meaning: "How long a task may wait, without having run and not to be killed, before it is " +
				"reported. 0 turns the detector off.",
			Default: "120", Since: "2.6.25", Needs: hungs + "; after the first oops it looks no more",
			Takes: "Up to the largest long in ticks; what is more is left out without an error.",
		},
		"kernel.hung_task_check_interval_secs": {
			Meaning: "How often the tasks are looked through. 0 is as often as the timeout, so that a " +
				"report comes after one to two times as long.",
			Default: "0", Since: "4.19", Needs: hungs,
			Takes: "Up to the largest long in ticks; what is more is left out without an error.",
		},
		"kernel.hung_task_warnings": {
			Meaning: "How many hung tasks are reported before the kernel says no more of them. -1 is " +
				"no limit. A panic is made of them all the same.",
			Default: "10", Since: "2.6.25", Needs: hungs,
		},
		"rcupdate.rcu_cpu_stall_timeout": {
			Meaning: "How long a CPU may hold up RCU before it is reported.",
			Default: "21", Since: "3.3", Takes: "Any int; what is below 3 counts as 3, above 300 as 300.",
		},
		"kernel.panic_on_oops": {
			Meaning: "Whether an oops, which else kills the task that caused it, is a panic. Without it " +
				"locks that the task held stay taken.",
			Default: "0",
			Needs:   "An oops in an interrupt, in an idle task or in PID 1 is a panic in any case.",
			Takes:   "Any int; other than 0 is yes.",
		},
		"kernel.panic_on_warn": {
			Meaning: "Whether a WARN is a panic.", Default: "0", Since: "3.19",
			Needs: "The kernel takes it back with the first panic.",
			Takes: "As a parameter of the kernel, any int.",
		},
		"kernel.softlockup_panic": {
			Meaning: "Whether a soft lockup is a panic.", Default: "0", Since: "2.6.27", Needs: lockups,
			Takes: "From 6.19 on a number: after how many thresholds.",
		},
		"kernel.hardlockup_panic": {
			Meaning: "Whether a hard lockup is a panic.", Default: "0", Since: "4.5", Needs: hard,
		},
		"kernel.hung_task_panic": {
			Meaning: "Whether a hung task is a panic.", Default: "0", Since: "2.6.30",
			Needs: hungs + ", and panic_on_oops: the detector stops with the first oops",
			Takes: "From 6.19 on a number: how many tasks must hang at once.",
		},
		"kernel.panic_on_rcu_stall": {
			Meaning: "Whether a CPU that holds up RCU is a panic.", Default: "0", Since: "4.8",
		},
		"kernel.max_rcu_stall_to_panic": {
			Meaning: "At which stall of RCU the panic comes.", Default: "0", Since: "5.11",
			Needs: "panic_on_rcu_stall",
			Takes: "It shows 0 until it is written, which means the first; 0 cannot be written.",
		},
		"vm.panic_on_oom": {
			Meaning: "Whether the memory that is full is a panic instead of the death of a process. 1 " +
				"is so unless a cgroup, a cpuset or a memory policy has set the limit, 2 always.",
			Default: "0", Since: "2.6.18", Needs: "From 2.6.22 on 2 is there. SysRq's f never panics.",
		},
		"kernel.unknown_nmi_panic": {
			Meaning: "Whether an NMI that nobody knows the reason of is a panic. Such a one is what the " +
				"NMI button sends.",
			Default: "0", On: "x86",
			Takes: "Any int; other than 0 is yes. On the boot line the value is ignored: it is always on.",
		},
		"kernel.panic_on_unrecovered_nmi": {
			Meaning: "Whether an NMI that is of an unknown reason, or says of broken memory or PCI, is " +
				"a panic.",
			Default: "0", Since: "2.6.19", On: "x86", Takes: "Any int; other than 0 is yes.",
		},
		"kernel.panic_on_io_nmi": {
			Meaning: "Whether an NMI that says of an error of a device is a panic.",
			Default: "0", Since: "2.6.31", On: "x86", Takes: "Any int; other than 0 is yes.",
		},
		"kernel.panic_on_stackoverflow": {
			Meaning: "Whether a kernel stack that is nearly full is a panic.",
			Default: "0", Since: "3.3", On: "x86 (32 bits), parisc", Needs: "CONFIG_DEBUG_STACKOVERFLOW",
			Takes: "Any int; other than 0 is yes.",
		},
		"kernel.oops_limit": {
			Meaning: "At which oops the kernel panics, though each by itself would not be one.",
			Default: "10000", Since: "6.2", Older: "5.10.165, 5.15.90, 6.1.8",
		},
		"kernel.warn_limit": {
			Meaning: "At which WARN the kernel panics.",
			Default: "0", Since: "6.2", Older: "5.10.165, 5.15.90, 6.1.8",
		},
		"kernel.panic_print": {
			Meaning: "What a panic shows besides: tasks, memory, timers, locks, the ftrace buffer, the " +
				"whole log again, backtraces of all CPUs, blocked tasks.",
			Default: "0", Since: "5.0",
			Needs: "Bit 32 is from 5.2 on, 64 from 5.18, 128 from 6.9. From 6.17 on panic_sys_info is the " +
				"same variable by names.",
			Takes: "Any number of a long; bits without a meaning are ignored.",
		},
		"panic_console_replay": {
			Meaning: "Whether a panic shows the whole log on the console again.",
			Default: "N", Since: "6.17",
		},
		"kernel.oops_all_cpu_backtrace": {
			Meaning: "Whether an oops shows what all CPUs do.", Default: "0", Since: "5.8",
			Needs: "CONFIG_SMP",
		},
		"kernel.softlockup_all_cpu_backtrace": {
			Meaning: "Whether a soft lockup shows what all CPUs do.", Default: "0", Since: "3.16",
			Needs: lockups + " and CONFIG_SMP",
		},
		"kernel.hardlockup_all_cpu_backtrace": {
			Meaning: "Whether a hard lockup shows what all CPUs do.", Default: "0", Since: "4.4",
			Needs: hard,
		},
		"kernel.hung_task_all_cpu_backtrace": {
			Meaning: "Whether a hung task shows what all CPUs do.", Default: "0", Since: "5.9",
			Needs: hungs + " and CONFIG_SMP",
		},
		"kernel.printk": {
			Meaning: "Lines of the log below this level are shown on the console. A panic shows all. " +
				"Behind it are the level of lines without one, the lowest that can be set, " +
				"and the one at boot.",
			Default: "7\t4\t1\t7", Takes: "One to four numbers.",
		},
		"printk.always_kmsg_dump": {
			Meaning: "Whether pstore gets a record of each restart, halt and power-off, too. That wears " +
				"out flash memory.",
			Default: "N", Since: "3.3",
			Needs: "From 5.8 on only for those that set no limit of their own, as ramoops.max_reason does.",
		},

		"kernel.panic_sys_info": {
			Meaning: "What a panic shows besides, by names: tasks, mem, timers, locks, ftrace, all_bt, " +
				"blocked_tasks. The same variable as panic_print.",
			Since: "6.17",
		},
		"kernel.kernel_sys_info": {
			Meaning: "What is shown where a panic or a detector has nothing of its own to show.",
			Since:   "6.19",
		},
		"kernel.softlockup_sys_info": {Meaning: "What a soft lockup shows besides.", Since: "6.19"},
		"kernel.hardlockup_sys_info": {Meaning: "What a hard lockup shows besides.", Since: "6.19"},
		"kernel.hung_task_sys_info":  {Meaning: "What a hung task shows besides.", Since: "6.19"},
		"panic_force_cpu": {
			Meaning: "The CPU to which a panic goes over, for crash kernels that can only start there.",
			Default: "-1", Since: "7.0", Needs: "CONFIG_SMP",
		},
		"panic_on_taint": {
			Meaning: "The taint flags, as a hexadecimal number, of which a new one is a panic. With " +
				",nousertaint programs cannot set those by kernel.tainted.",
			Default: "0", Since: "5.8", Needs: "It is taken back with the first such panic.",
		},
		"/sys/kernel/oops_count": {
			Meaning: "How many oopses there were since the boot.", Default: "0", Since: "6.2",
			Older: "5.10.165, 5.15.90, 6.1.8", Access: onlyRead,
		},
		"/sys/kernel/warn_count": {
			Meaning: "How many WARNs there were since the boot.", Default: "0", Since: "6.2",
			Older: "5.10.165, 5.15.90, 6.1.8", Access: onlyRead,
		},
		"kernel.tainted": {
			Meaning: "What has happened to the kernel since the boot, as bits: an oops is 128, a WARN " +
				"512, a soft lockup 16384.",
			Default: "0", Access: "bits can be set and never cleared",
		},
		"pause_on_oops": {
			Meaning: "How long other CPUs wait before they report an oops after the first, which would " +
				"else scroll off the screen.",
			Default: "0",
		},
		"kernel.watchdog_cpumask": {
			Meaning: "The CPUs that the detectors of lockups look after.",
			Default: "all that are not isolated", Since: "4.1", Needs: lockups,
		},
		"kernel.hung_task_check_count": {
			Meaning: "How many tasks are looked through at most.", Default: "4194304", Since: "2.6.25",
			Needs: hungs,
		},
		"kernel.hung_task_detect_count": {
			Meaning: "How many hung tasks there were since the boot.", Default: "0", Since: "6.14",
			Needs: hungs, Access: onlyRead + "; from 7.0 on it can be set to 0",
		},
		"rcupdate.rcu_cpu_stall_suppress": {
			Meaning: "Whether CPUs that hold up RCU are not reported.", Default: "0", Since: "2.6.37",
		},
		"vm.oom_kill_allocating_task": {
			Meaning: "Whether the OOM killer takes the task that asks for memory, instead of the one " +
				"that has most.",
			Default: "0", Since: "2.6.24",
		},
		"kernel.kexec_load_disabled": {
			Meaning: "Whether no other kernel can be loaded any more, not even for a crash.",
			Default: "0", Since: "3.14", Needs: "CONFIG_KEXEC_CORE", Access: "once 1, for good",
		},
		"kernel.kexec_load_limit_panic": {
			Meaning: "How often a crash kernel can still be loaded.", Default: "-1", Since: "6.3",
			Needs: "CONFIG_KEXEC_CORE", Access: "it only goes down",
		},
		"kernel.kexec_load_limit_reboot": {
			Meaning: "How often a kernel for a restart can still be loaded.", Default: "-1", Since: "6.3",
			Needs: "CONFIG_KEXEC_CORE", Access: "it only goes down",
		},
		"crashkernel": {
			Meaning: "The memory that is set aside for a crash kernel. Without it none can be loaded.",
			Needs:   "CONFIG_CRASH_DUMP, before 6.9 CONFIG_KEXEC_CORE",
		},
		"kernel.ctrl-alt-del": {
			Meaning: "Whether Ctrl-Alt-Del restarts the machine at once, without asking PID 1, which " +
				"turns that off.",
			Default: "1",
		},
		"kernel.cad_pid": {
			Meaning: "The process that Ctrl-Alt-Del sends SIGINT to.", Default: "1",
			Access: "root only, to read it, too",
		},
		"kernel.poweroff_cmd": {
			Meaning: "The program that the kernel starts to power off in order, as when it is too hot.",
			Default: "/sbin/poweroff", Since: "2.6.24",
		},
		"/sys/kernel/reboot/force": {
			Meaning: "Whether to restart without stopping the other CPUs, which then run on, in a " +
				"panic, too.",
			Default: "0", Since: "5.11", On: "x86", Needs: "CAP_SYS_BOOT to write it",
		},
		"/sys/kernel/reboot/cpu": {
			Meaning: "The CPU that restarts the machine.", Default: "0", Since: "5.11",
			Needs: "CONFIG_SMP; CAP_SYS_BOOT to write it",
		},
		"/sys/kernel/reboot/hw_protection": {
			Meaning: "What the kernel does to save hardware that is too hot: power off or restart.",
			Default: "shutdown", Since: "6.15",
		},
		"kernel.traceoff_on_warning": {
			Meaning: "Whether a WARN stops tracing, so that what led to it stays in the buffer.",
			Default: "0", Since: "3.10", Needs: ftr,
		},
		"kernel.ftrace_dump_on_oops": {
			Meaning: "Whether an oops or a panic shows the trace buffer: of all CPUs, or of its own. That " +
				"may take minutes on a serial line.",
			Default: "0", Since: "2.6.29", Needs: ftr,
			Takes: "0, 1 for all CPUs, 2 for the one; from 6.10 on also names of instances.",
		},
		"kernel.print-fatal-signals": {
			Meaning: "Whether the log tells of processes that die of a signal.", Default: "0",
			Since: "2.6.24",
		},
		"pstore.backend": {
			Meaning: "What keeps the records of a crash: ramoops, efi_pstore, erst and others. Only one " +
				"can. Without one nothing is kept.",
			Default: "the first that is there", Since: "3.3", Access: atBoot,
		},
		"pstore.compress": {
			Meaning: "How records are compressed.", Default: "deflate", Since: "4.17", Access: atBoot,
		},
		"pstore.kmsg_bytes": {
			Meaning: "How much of the log's end a record keeps, in bytes.", Default: "10240",
			Since: "2.6.39", Access: atBoot,
		},
		"pstore.update_ms": {
			Meaning: "After how many milliseconds a record of an oops that was survived is shown. -1 is " +
				"not before the next boot.",
			Default: "-1", Since: "3.1", Access: "root only, to read it, too",
		},
		"ramoops.mem_address": {
			Meaning: "Where in memory the records are kept.", Default: "0", Since: "2.6.36",
			Needs: ram, Access: atBoot,
		},
		"ramoops.mem_name": {
			Meaning: "The name that reserve_mem= gave to the memory for the records.", Since: "6.12",
			Needs: ram, Access: atBoot,
		},
		"ramoops.mem_size": {
			Meaning: "How much memory the records have, in bytes.", Default: "0", Since: "2.6.36",
			Needs: ram, Access: atBoot,
		},
		"ramoops.mem_type": {
			Meaning: "How that memory is mapped: 0 write-combined, 1 uncached, 2 cached.",
			Default: "0", Since: "3.16", Needs: ram, Access: atBoot,
		},
		"ramoops.record_size": {
			Meaning: "How long one record is at most, in bytes.", Default: "4096", Since: "2.6.39",
			Needs: ram, Access: atBoot,
		},
		"ramoops.console_size": {
			Meaning: "How much of the console is kept all the time, in bytes.", Default: "4096",
			Since: "3.5", Needs: ram + ", and CONFIG_PSTORE_CONSOLE, which Debian's kernels lack",
			Access: atBoot,
		},
		"ramoops.ftrace_size": {
			Meaning: "How much of the function trace is kept, in bytes.", Default: "4096", Since: "3.6",
			Needs: ram + ", and CONFIG_PSTORE_FTRACE", Access: atBoot,
		},
		"ramoops.pmsg_size": {
			Meaning: "How much of what programs write to /dev/pmsg0 is kept, in bytes.",
			Default: "4096", Since: "4.0",
			Needs: ram + ", and CONFIG_PSTORE_PMSG, which Debian's kernels lack", Access: atBoot,
		},
		"ramoops.ecc": {
			Meaning: "How many bytes of each block guard against errors; 1 stands for 16.",
			Default: "0", Since: "3.5", Needs: ram, Access: atBoot,
		},
		"ramoops.max_reason": {
			Meaning: "Up to which reason a record is kept: 1 panic, 2 oops, 3 emergency restart, 4 way " +
				"down. -1 stands for 2.",
			Default: "-1", Since: "5.8", Needs: ram, Access: atBoot,
		},
		"ramoops.dump_oops": {
			Meaning: "Whether oopses are kept, too. max_reason says more.", Default: "-1",
			Since: "2.6.36", Needs: ram, Access: atBoot,
		},
		"watchdog.handle_boot_enabled": {
			Meaning: "Whether the kernel feeds a watchdog that the firmware has started until somebody " +
				"opens it.",
			Default: "Y", Since: "4.12", Needs: "CONFIG_WATCHDOG_CORE",
		},
		"watchdog.open_timeout": {
			Meaning: "How long the kernel feeds a watchdog that nobody opens. 0 is for ever: a machine that " +
				"hangs before PID 1 opens the watchdog hangs for ever.",
			Default: "0", Since: "5.3", Needs: "CONFIG_WATCHDOG_CORE, and handle_boot_enabled",
		},
		"watchdog.stop_on_reboot": {
			Meaning: "Whether watchdogs are stopped when the machine is restarted in order, so that " +
				"nothing helps if that hangs. -1 leaves it to the driver.",
			Default: "-1", Since: "5.7", Needs: "CONFIG_WATCHDOG_CORE", Access: atBoot,
		},
		"/sys/class/watchdog/watchdog0/pretimeout_governor": {
			Meaning: "What happens when the watchdog's time is nearly over: a panic, or a line in the log.",
			Default: "as the kernel was built", Since: "4.9",
			Needs: "CONFIG_WATCHDOG_PRETIMEOUT_GOV, a watchdog, and a pretimeout",
		},
		"softdog.soft_panic": {
			Meaning: "Whether the software watchdog panics instead of restarting the machine.",
			Default: "0", Since: "2.6.37", Needs: "The module softdog", Access: atBoot,
		},
		"softdog.soft_noboot": {
			Meaning: "Whether the software watchdog only says that it would have restarted the machine.",
			Default: "0", Needs: "The module softdog", Access: atBoot,
		},
		"i8042.panicblink": {
			Meaning: "How often the keyboard's lights blink in a panic, in milliseconds.",
			Default: "500", Gone: "2.6.36", On: "x86", Needs: "A keyboard of that kind",
		},
		"mce": {
			Meaning: "What machine checks do. mce=off, mce=nobootlog and others; a fatal one makes 30 s " +
				"of a panic timeout of 0.",
			On: "x86",
		},
	}
}

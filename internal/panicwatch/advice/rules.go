package advice

import "slices"

// rules is the table. It is made anew for each use: nothing of it is kept.
func rules() []rule {
	return slices.Concat(
		comingBack(), values(), flags(), detectors(), watchdogs(), evidence(), crashKernels(), others(),
	)
}

// comeBack is what makes a kernel that panics restart.
var comeBack = []Setting{{"kernel.panic", "10"}}

// nobody holds if a panic ends where it is: with no delay, no watchdog and no crash kernel. Who has
// chosen that, to look at the machine, need not be told. Elsewhere than on a PC a timer runs after a
// panic, and so does softdog [Kernel 1.31].
func nobody(m *Machine) bool {
	return all(
		is("kernel.panic", 0), not(hardwareCounts), not(silentWatchdog), not(crashLoaded), not(attended),
		not(all(softdogCounts, elsewhere)),
	)(m)
}

// comingBack are rules about a machine that stays away.
func comingBack() []rule {
	return []rule{
		{
			name: "panic-hangs", severity: Mistake,
			when: all(nobody, not(softdogCounts), not(hasTriggers)),
			what: "kernel.panic is 0, and nothing else restarts this machine",
			reason: "a kernel that panics waits for ever; on a PC it then hears " +
				"neither keys nor ping [Kernel 1.24, 1.30]",
			set:   comeBack,
			about: []string{"kernel.panic"},
		},
		{
			name: "trigger-hangs", severity: Mistake,
			when: all(nobody, hasTriggers),
			what: "{triggers} would panic this machine, and kernel.panic is 0",
			reason: "what the kernel could live through ends it, and then it waits " +
				"for ever [Kernel 1.24]",
			set:   comeBack,
			about: []string{"kernel.panic"},
		},
		{
			name: "softdog-only", severity: Mistake,
			when: all(nobody, softdogCounts, x86),
			what: "kernel.panic is 0, and the only watchdog that counts is softdog",
			reason: "softdog is a timer of the kernel; on a PC no timer runs after " +
				"a panic, so that it never " +
				"resets the machine [Kernel 6.14, 10.3]",
			set: comeBack, remedy: "or let init feed a watchdog in hardware by watchdog.device",
			about: []string{"kernel.panic"},
		},
		{
			name: "softdog-panics-and-hangs", severity: Mistake,
			when: all(is("kernel.panic", 0), on("softdog.soft_panic"), not(hardwareCounts), not(crashLoaded)),
			what: "softdog.soft_panic is on, and kernel.panic is 0",
			reason: "softdog then panics instead of restarting the machine, and a " +
				"panic waits for ever [Kernel 6.13]",
			set:   comeBack,
			about: []string{"softdog.soft_panic", "kernel.panic"},
		},
		{
			name: "softdog-only-tells", severity: Mistake,
			when: all(on("softdog.soft_noboot"), softdogCounts, not(hardwareCounts)),
			what: "softdog.soft_noboot is on, and softdog is the only watchdog " +
				"that counts",
			reason: "it then writes a line when nobody feeds it, and restarts " +
				"nothing [Kernel 6.13]",
			remedy: "load softdog with soft_noboot=0",
			about:  []string{"softdog.soft_noboot"},
		},
		{
			name: "crash-kernel-only", severity: Trap,
			when: all(is("kernel.panic", 0), crashLoaded, not(hardwareCounts)),
			what: "kernel.panic is 0, so that only the crash kernel takes this " +
				"machine back",
			reason: "where it is not started, as while it is being loaded anew, the " +
				"panic goes on without " +
				"it, and waits for ever [Kernel 2.43, 2.58]",
			set: comeBack, remedy: "which counts only if the crash kernel is not started",
			about: []string{"kernel.panic"},
		},
		{
			name: "panic-waits", severity: Mistake,
			when: all(below("kernel.panic", 0), before(3, 1), not(hardwareCounts), not(crashLoaded)),
			what: "kernel.panic is {kernel.panic}, with which this kernel waits for ever",
			reason: "only from 3.1 on does a number below 0 mean to restart at once " +
				"[Kernel 1.18]",
			set:   []Setting{{"kernel.panic", "1"}},
			about: []string{"kernel.panic"},
		},
		{
			name: "panic-waits-for-somebody", severity: Note,
			when: all(is("kernel.panic", 0), attended, not(hardwareCounts), not(crashLoaded)),
			what: "kernel.panic is 0, as preset debug has it: after a panic this " +
				"machine waits for you",
			reason: "on a PC it then hears neither keys nor ping, so that it takes " +
				"the reset button [Kernel 1.24, 1.30]",
			set: comeBack, remedy: "where nobody sits before it",
			about: []string{"kernel.panic"},
		},
		{
			name: "watchdog-is-silent", severity: Note,
			when: silentWatchdog,
			what: "the kernel does not tell whether {silent} counts",
			reason: "it is built without CONFIG_WATCHDOG_SYSFS, so that nothing can " +
				"be said of its timeout",
			remedy: "ask the program that feeds it",
		},
		{
			name: "oops-goes-on", severity: Note,
			when: all(off("kernel.panic_on_oops"), not(is("kernel.oops_limit", 1)), not(is("kernel.panic", 0))),
			what: "kernel.panic_on_oops is 0: after an oops the kernel goes on",
			reason: "the task is killed where it stands; locks that it had stay " +
				"locked, and who wants them " +
				"waits for ever [Kernel 3.20]",
			set:   []Setting{{"kernel.panic_on_oops", "1"}},
			about: []string{"kernel.panic_on_oops"},
		},
		{
			name: "lockup-goes-on", severity: Note,
			when: all(
				off("kernel.softlockup_panic"), not(hardwareCounts), not(softdogCounts), not(is("kernel.panic", 0)),
			),
			what: "kernel.softlockup_panic is 0, and no watchdog counts",
			reason: "a CPU that computes in the kernel for ever is told of, and " +
				"stays lost with all that waits " +
				"for it [Kernel 3.40]",
			set:   []Setting{{"kernel.softlockup_panic", "1"}},
			about: []string{"kernel.softlockup_panic"},
		},
	}
}

// values are rules about values that mean something else than they say.
func values() []rule {
	return []rule{
		{
			name: "panic-wraps", severity: Trap,
			when: atLeast("kernel.panic", wraps),
			what: "kernel.panic is {kernel.panic}, with which the machine " +
				"restarts at once",
			reason: "the kernel counts the delay in milliseconds, and so many do " +
				"not fit in an int [Kernel 1.19]",
			set:   []Setting{{"kernel.panic", "2147483"}},
			about: []string{"kernel.panic"},
		},
		{
			name: "panic-at-once", severity: Note,
			when: all(below("kernel.panic", 0), since(3, 1)),
			what: "kernel.panic is {kernel.panic}: a panic restarts the machine at once",
			reason: "nobody can read the screen, and the console has no line about " +
				"a restart [Kernel 1.18]",
			set:   comeBack,
			about: []string{"kernel.panic"},
		},
		{
			name: "panic-long", severity: Note,
			when: all(atLeast("kernel.panic", 600), below("kernel.panic", wraps), not(biteBeforeRestart)),
			what: "kernel.panic is {kernel.panic}: so many seconds the machine is " +
				"away after a panic",
			reason: "it does nothing in them but wait for somebody to read its " +
				"screen [Kernel 1.17]",
			set:   comeBack,
			about: []string{"kernel.panic"},
		},
		{
			name: "machine-check-restarts", severity: Note,
			when: all(is("kernel.panic", 0), x86, not(saidValue("mce", "nobootlog"))),
			what: "kernel.panic is 0, and a fatal machine check restarts after 30 " +
				"s all the same",
			reason: "the kernel makes 30 of a 0 then [Kernel 3.56, 10.33]",
			set:    comeBack, remedy: "or say mce=nobootlog on the kernel's command line",
			about: []string{"kernel.panic", "mce"},
		},
		{
			name: "oops-limit-1", severity: Trap,
			when: all(is("kernel.oops_limit", 1), off("kernel.panic_on_oops")),
			what: "kernel.oops_limit is 1: the first oops panics, although " +
				"kernel.panic_on_oops is 0",
			reason: "the limit is how many oopses are too many, and the one that " +
				"reaches it panics " +
				"[Kernel 3.21]",
			set:   []Setting{{"kernel.oops_limit", "2"}},
			about: []string{"kernel.oops_limit"}, remedy: "or kernel.panic_on_oops " +
				"= 1 if that is meant",
		},
		{
			name: "oops-limit-0", severity: Note,
			when: all(is("kernel.oops_limit", 0), off("kernel.panic_on_oops")),
			what: "kernel.oops_limit is 0: the kernel goes on after any number of oopses",
			reason: "each may leave a count too high, and enough of them make it " +
				"wrap [Kernel 3.21]",
			set:   []Setting{{"kernel.oops_limit", "10000"}},
			about: []string{"kernel.oops_limit"},
		},
		{
			name: "oops-limit-reached", severity: Trap,
			when: all(
				reaches("/sys/kernel/oops_count", "kernel.oops_limit"), off("kernel.panic_on_oops"),
			),
			what: "kernel.oops_limit is {kernel.oops_limit}, and " +
				"{/sys/kernel/oops_count} have been: the next oops panics",
			reason: "the kernel counts from its boot on, and not from when the " +
				"limit is set [Kernel 3.21]",
			set:   []Setting{{"kernel.oops_limit", "{oops limit+}"}},
			about: []string{"kernel.oops_limit"},
		},
		{
			name: "warn-limit-1", severity: Trap,
			when: all(is("kernel.warn_limit", 1), off("kernel.panic_on_warn")),
			what: "kernel.warn_limit is 1: the first warning panics, although " +
				"kernel.panic_on_warn is 0",
			reason: "the limit is how many warnings are too many, and the one that " +
				"reaches it panics [Kernel 3.37]",
			set: []Setting{{"kernel.warn_limit", "2"}}, remedy: "or 0 for no limit",
			about: []string{"kernel.warn_limit"},
		},
		{
			name: "warn-limit-reached", severity: Trap,
			when: all(
				reaches("/sys/kernel/warn_count", "kernel.warn_limit"), not(is("kernel.warn_limit", 1)), off("kernel.panic_on_warn"),
			),
			what: "kernel.warn_limit is {kernel.warn_limit}, and " +
				"{/sys/kernel/warn_count} have been: the next warning panics",
			reason: "the kernel counts from its boot on, and not from when the " +
				"limit is set [Kernel 3.37]",
			set:   []Setting{{"kernel.warn_limit", "{warn limit+}"}},
			about: []string{"kernel.warn_limit"},
		},
		{
			name: "warn-loop", severity: Note,
			when: either(on("kernel.panic_on_warn"), is("kernel.warn_limit", 1)),
			what: "a warning of the kernel restarts this machine",
			reason: "many warnings do no harm, and one at each boot makes the " +
				"machine restart for ever [Kernel 3.36]",
			set:   []Setting{{"kernel.panic_on_warn", "0"}, {"kernel.warn_limit", "0"}},
			about: []string{"kernel.panic_on_warn", "kernel.warn_limit"},
		},
		{
			name: "oom-of-a-cgroup", severity: Trap,
			when: is("vm.panic_on_oom", 2),
			what: "vm.panic_on_oom is 2: a cgroup or a cpuset that has no memory " +
				"left panics the machine",
			reason: "with 1 the kernel panics only if the whole machine has none " +
				"left, and 2 knows no " +
				"difference [Kernel 3.53]",
			set:   []Setting{{"vm.panic_on_oom", "1"}},
			about: []string{"vm.panic_on_oom"},
		},
		{
			name: "sysrq-trigger", severity: Note,
			when: all(is("kernel.sysrq", 0), not(said("sysrq_always_enabled"))),
			what: "kernel.sysrq is 0, and /proc/sysrq-trigger does as it is told " +
				"all the same",
			reason: "the mask is for the keys; who may write the file may crash and " +
				"restart the machine " +
				"[Kernel 3.59]",
			remedy: "keep /proc/sysrq-trigger from those who should not",
			about:  []string{"kernel.sysrq"},
		},
		{
			name: "sysrq-cannot-restart", severity: Note,
			when: all(
				without("kernel.sysrq", sysrqReboot|1), not(off("kernel.sysrq")), not(said("sysrq_always_enabled")),
			),
			what: "kernel.sysrq is {kernel.sysrq}, which allows some keys and not " +
				"b, to restart",
			reason: "bit 128 is for b and o [Kernel 3.60]",
			set:    []Setting{{"kernel.sysrq", "{sysrq+128}"}},
			about:  []string{"kernel.sysrq"},
		},
		{
			name: "rcu-stall-counts-alone", severity: Trap,
			when: all(on("kernel.max_rcu_stall_to_panic"), off("kernel.panic_on_rcu_stall")),
			what: "kernel.max_rcu_stall_to_panic is " +
				"{kernel.max_rcu_stall_to_panic}, and no stall panics",
			reason: "it only says at which stall kernel.panic_on_rcu_stall panics, " +
				"and that is 0 [Kernel 3.47]",
			set:   []Setting{{"kernel.panic_on_rcu_stall", "1"}},
			about: []string{"kernel.max_rcu_stall_to_panic", "kernel.panic_on_rcu_stall"},
		},
		{
			name: "rcu-stall-later", severity: Note,
			when: all(on("kernel.panic_on_rcu_stall"), atLeast("kernel.max_rcu_stall_to_panic", 2)),
			what: "kernel.panic_on_rcu_stall is 1, and the first stall does not panic",
			reason: "kernel.max_rcu_stall_to_panic is " +
				"{kernel.max_rcu_stall_to_panic}, and a stall is told of " +
				"again only after three times as long [Kernel 3.46, 3.47]",
			set:   []Setting{{"kernel.max_rcu_stall_to_panic", "1"}},
			about: []string{"kernel.max_rcu_stall_to_panic"},
		},
		{
			name: "panic-print-twice", severity: Trap,
			when: func(m *Machine) bool {
				return m.Wanted["kernel.panic_print"] && m.Wanted["kernel.panic_sys_info"]
			},
			what:   "kernel.panic_print and kernel.panic_sys_info are both asked for",
			reason: "they are two names of one variable, and who comes last wins",
			remedy: "leave kernel.panic_print out",
			about:  []string{"kernel.panic_print", "kernel.panic_sys_info"},
		},
	}
}

// flags are rules about words of the command line that are only asked whether they stand there.
func flags() []rule {
	var rows []rule
	for _, f := range []struct{ word, does, instead string }{
		{"unknown_nmi_panic", "makes an NMI that nobody knows panic", "say nothing, for " +
			"0 is the default"},
		{"sysrq_always_enabled", "allows every key of SysRq", "leave it out, and set " +
			"kernel.sysrq"},
		{"nosoftlockup", "turns the soft lockup detector off", "leave it out"},
		{"nowatchdog", "turns both lockup detectors off", "leave it out"},
		{"ignore_loglevel", "shows all lines on the console", "leave it out"},
		{"quiet", "keeps lines from the console", "leave it out"},
		{"debug", "shows all lines on the console", "leave it out"},
		{"nokaslr", "leaves the kernel where it was linked", "leave it out"},
	} {
		rows = append(rows, rule{
			name: "flag-" + f.word, severity: Trap,
			when: deniedFlag(f.word),
			what: "the kernel's command line denies " + f.word + ", and by that " + f.does,
			reason: "the kernel only looks whether the word is there, and not at " +
				"what stands behind it " +
				"[Kernel 10.37]",
			remedy: f.instead,
			about:  []string{f.word},
		})
	}
	return rows
}

// noCounter is why hard lockups are not found.
const noCounter = "it is the detector itself, and 0 where the machine has no counter that " +
	"raises NMIs, " +
	"as most virtual ones [Kernel 3.44]"

// detector is what finds a failure, and what keeps it from it.
type detector struct {
	name, panics string
	severity     Severity
	knob         string
	off          condition
	set          []Setting
	remedy       string
	reason       string
}

// detectors are rules about what is to panic and is not found.
func detectors() []rule {
	rows := []rule{
		{
			name: "hung-task-after-oops", severity: Trap,
			when: all(
				on("kernel.hung_task_panic"), off("kernel.panic_on_oops"), not(is("kernel.oops_limit", 1)),
				without("kernel.tainted", taintDie),
			),
			what: "kernel.hung_task_panic is on, and after an oops nobody looks " +
				"for hung tasks any more",
			reason: "khungtaskd stops at the first oops, which is what leaves locks " +
				"that others hang on [Kernel 3.51]",
			set:   []Setting{{"kernel.panic_on_oops", "1"}},
			about: []string{"kernel.hung_task_panic", "kernel.panic_on_oops"},
		},
		{
			name: "hung-task-has-ended", severity: Trap,
			when: all(on("kernel.hung_task_panic"), with("kernel.tainted", taintDie)),
			what: "kernel.hung_task_panic is on, and nobody looks for hung tasks: " +
				"there has been an oops",
			reason: "khungtaskd stops at the first oops of a boot [Kernel 3.51]",
			set:    nil, remedy: "restart the machine; kernel.panic_on_oops = 1 " +
				"does that by itself",
			about: []string{"kernel.hung_task_panic"},
		},
	}
	for _, d := range []detector{
		{
			name: "hung-task-off", severity: Trap,
			panics: "kernel.hung_task_panic", knob: "kernel.hung_task_timeout_secs",
			off: off("kernel.hung_task_timeout_secs"), reason: "with 0 khungtaskd " +
				"does not look [Kernel 3.48]",
			set: []Setting{{"kernel.hung_task_timeout_secs", "120"}},
		},
		{
			name: "hung-task-looks-at-none", severity: Trap,
			panics: "kernel.hung_task_panic", knob: "kernel.hung_task_check_count",
			off:    off("kernel.hung_task_check_count"),
			reason: "it is how many tasks are looked at, and 0 of them are none",
			set:    []Setting{{"kernel.hung_task_check_count", "4194304"}},
		},
		{
			name: "soft-lockup-off", severity: Trap,
			panics: "kernel.softlockup_panic", knob: "kernel.soft_watchdog",
			off: off("kernel.soft_watchdog"), reason: "it is the detector itself " +
				"[Kernel 3.43]",
			set: []Setting{{"kernel.soft_watchdog", "1"}},
		},
		{
			name: "soft-lockup-watchdog-off", severity: Trap,
			panics: "kernel.softlockup_panic", knob: "kernel.watchdog",
			off: off("kernel.watchdog"), reason: "it turns both lockup detectors " +
				"off [Kernel 3.43]",
			set: []Setting{{"kernel.watchdog", "1"}}, remedy: "and no nowatchdog on " +
				"the kernel's command line",
		},
		{
			name: "soft-lockup-thresh-0", severity: Trap,
			panics: "kernel.softlockup_panic", knob: "kernel.watchdog_thresh",
			off: off("kernel.watchdog_thresh"), reason: "0 is no short time, but " +
				"turns both lockup detectors off [Kernel 3.43]",
			set: []Setting{{"kernel.watchdog_thresh", "10"}},
		},
		{
			name: "hard-lockup-off", severity: Trap,
			panics: "kernel.hardlockup_panic", knob: "kernel.nmi_watchdog",
			off:    all(off("kernel.nmi_watchdog"), wanted("kernel.hardlockup_panic")),
			reason: noCounter, set: []Setting{{"kernel.nmi_watchdog", "1"}},
			remedy: "or, where that is refused, a watchdog in hardware",
		},
		{
			// Nobody has asked for it by its name, so that it may stand for machines that have a counter.
			name: "hard-lockup-unseen", severity: Note,
			panics: "kernel.hardlockup_panic", knob: "kernel.nmi_watchdog",
			off:    all(off("kernel.nmi_watchdog"), not(wanted("kernel.hardlockup_panic"))),
			reason: noCounter, set: []Setting{{"kernel.nmi_watchdog", "1"}},
			remedy: "or, where that is refused, a watchdog in hardware",
		},
		{
			name: "rcu-stall-off", severity: Trap,
			panics: "kernel.panic_on_rcu_stall", knob: "rcupdate.rcu_cpu_stall_suppress",
			off: on("rcupdate.rcu_cpu_stall_suppress"), reason: "stalls are then " +
				"not looked for",
			set: []Setting{{"rcupdate.rcu_cpu_stall_suppress", "0"}},
		},
	} {
		rows = append(rows, rule{
			name: d.name, severity: d.severity, when: all(on(d.panics), d.off),
			what:   d.panics + " is on, and never panics: " + d.knob + " is {" + d.knob + "}",
			reason: d.reason, set: d.set, remedy: d.remedy,
			about: []string{d.panics, d.knob},
		})
	}
	return rows
}

// dump is how long a crash kernel needs at least, in seconds: to boot, and to write the memory down.
const dump = 60

// watchdogs are rules about how watchdogs go with the rest.
func watchdogs() []rule {
	return []rule{
		{
			name: "watchdog-is-idle", severity: Note,
			when:   hardwareIsIdle,
			what:   "{idle} does not count: nobody has opened it",
			reason: "a machine that locks up without a panic stays away [Kernel 6.1]",
			remedy: "let init feed it by watchdog.device = /dev/{idle}, or another process",
		},
		{
			name: "watchdog-before-restart", severity: Note,
			when: biteBeforeRestart,
			what: "kernel.panic is {kernel.panic}, and {watchdog} resets the " +
				"machine after {timeout}",
			reason: "nobody feeds it in a panic, so that the reset comes before the " +
				"restart, and the delay is never " +
				"over [Kernel 6.15]",
			set:   []Setting{{"kernel.panic", "{half}"}},
			about: []string{"kernel.panic"},
		},
		{
			name: "watchdog-cuts-dump", severity: Trap,
			when: all(crashLoaded, biteWithin(dump)),
			what: "{watchdog} resets the machine {timeout} after it was fed last, " +
				"and the crash kernel needs longer",
			reason: "it goes on counting when the crash kernel has taken over, " +
				"which has to boot, open it and " +
				"write the memory down [Kernel 6.15]",
			remedy: "give it more than a minute, as by watchdog.timeout = 3m, and let the crash kernel feed it",
		},
		{
			name: "pretimeout-cuts-dump", severity: Trap,
			when: all(crashLoaded, governor("panic"), pretimeoutWithin(dump), not(biteWithin(dump))),
			what: "{pretimed} panics {pretimeout} before it resets the machine, " +
				"and the crash kernel needs longer",
			reason: "of the timeout only the pretimeout is left then [Kernel 6.15, 6.17]",
			remedy: "give it more than a minute, as by watchdog.pretimeout = 90s",
		},
		{
			name: "pretimeout-only-tells", severity: Trap,
			when: governor("noop"),
			what: "{pretimed} has a pretimeout of {pretimeout}, and its governor is noop",
			reason: "it writes a line and then resets the machine, which loses the " +
				"line with the log [Kernel 6.17]",
			remedy: "watchdog.pretimeout_governor = panic",
		},
		{
			name: "watchdog-before-detector", severity: Trap,
			when: all(on("kernel.softlockup_panic"), biteBeforeDetector),
			what: "{watchdog} resets the machine after {timeout}, and a soft lockup " +
				"is told of after up to {soft lockup}",
			reason: "if the lockup keeps the one who feeds it from running, the " +
				"reset comes before the panic, and " +
				"nothing says why [Kernel 3.40, 6.15]",
			set: []Setting{{"kernel.watchdog_thresh", "{a fifth}"}}, remedy: "or a " +
				"longer timeout of the watchdog",
			about: []string{"kernel.softlockup_panic", "kernel.watchdog_thresh"},
		},
		{
			name: "watchdog-stops-for-reboot", severity: Trap,
			when: all(is("watchdog.stop_on_reboot", 1), hardwareCounts),
			what: "watchdog.stop_on_reboot is 1: a reboot that hangs is not helped",
			reason: "all watchdogs are stopped before devices are shut down, where " +
				"reboots hang [Kernel 6.18, 6.19]",
			set:   []Setting{{"watchdog.stop_on_reboot", "0"}},
			about: []string{"watchdog.stop_on_reboot"},
		},
		{
			name: "watchdog-unfed-at-boot", severity: Trap,
			when: all(off("watchdog.handle_boot_enabled"), either(hardwareCounts, hardwareIsIdle)),
			what: "watchdog.handle_boot_enabled is off: nobody feeds a watchdog " +
				"that the firmware has started",
			reason: "it resets the machine in the middle of the boot if the boot " +
				"takes longer [Kernel 6.11]",
			set: []Setting{{"watchdog.handle_boot_enabled", "1"}}, remedy: "and " +
				"watchdog.open_timeout for a limit",
			about: []string{"watchdog.handle_boot_enabled"},
		},
		{
			name: "watchdog-fed-for-ever", severity: Note,
			when: all(
				on("watchdog.handle_boot_enabled"), is("watchdog.open_timeout", 0),
				either(hardwareCounts, hardwareIsIdle),
			),
			what: "watchdog.open_timeout is 0: until somebody opens the watchdog, " +
				"the kernel feeds it without limit",
			reason: "a boot that hangs before that is not helped [Kernel 6.11]",
			set:    []Setting{{"watchdog.open_timeout", "120"}},
			about:  []string{"watchdog.open_timeout"},
		},
		{
			name: "softdog-and-lockups", severity: Note,
			when: all(softdogCounts, not(hardwareCounts)),
			what: "the only watchdog that counts is softdog",
			reason: "a CPU that takes no interrupts runs no timer, and softdog is " +
				"one [Kernel 6.14]",
			remedy: "let init feed a watchdog in hardware by watchdog.device",
		},
		{
			name: "dump-outlasts-watchdog", severity: Note,
			when: all(on("kernel.ftrace_dump_on_oops"), biteWithin(dump)),
			what: "kernel.ftrace_dump_on_oops is on, and {watchdog} resets the " +
				"machine after {timeout}",
			reason: "the whole trace buffer goes over the console, at 9600 baud a " +
				"thousand characters a second, " +
				"and nobody feeds the watchdog",
			set:   []Setting{{"kernel.ftrace_dump_on_oops", "0"}},
			about: []string{"kernel.ftrace_dump_on_oops"},
		},
	}
}

// evidence are rules about what is left to find out why.
func evidence() []rule {
	return []rule{
		{
			name: "no-evidence", severity: Note,
			when: all(noBackend, crashNotLoaded, not(asksForPstore)),
			what: "nothing keeps the log of a kernel that dies: no pstore " +
				"backend, no crash kernel",
			reason: "only who has written the console down knows why [Kernel 8.25]",
			remedy: "load ramoops or efi_pstore, or a crash kernel",
		},
		{
			name: "pstore-without-backend", severity: Trap,
			when: all(noBackend, asksForPstore),
			what: "pstore is asked for, and it has no backend: nothing is kept",
			reason: "pstore only hands the log to a backend: ramoops, efi_pstore, " +
				"erst, nvme or another [Kernel 8.10, 8.11]",
			remedy: "load ramoops with mem_address and mem_size, or efi_pstore",
			about:  pstoreSettings,
		},
		{
			name: "always-dump-not-ramoops", severity: Trap,
			when: all(on("printk.always_kmsg_dump"), backendIs("ramoops"), not(atLeast("ramoops.max_reason", 3)),
				not(is("ramoops.max_reason", 0)),
			),
			what: "printk.always_kmsg_dump is on, and ramoops keeps panics and " +
				"oopses only",
			reason: "ramoops has a limit of its own, max_reason, and that is what " +
				"counts [Kernel 8.2]",
			remedy: "load ramoops with max_reason=4, or say ramoops.max_reason=4 on " +
				"the kernel's command line",
			about: []string{"printk.always_kmsg_dump", "ramoops.max_reason"},
		},
		{
			name: "ramoops-keeps-panics-only", severity: Trap,
			when: all(
				off("kernel.panic_on_oops"), either(is("ramoops.max_reason", 1), off("ramoops.dump_oops")),
			),
			what: "ramoops keeps panics only, and an oops does not panic here",
			reason: "what an oops said is lost if the machine then hangs or is " +
				"reset [Kernel 8.2]",
			set: []Setting{{"kernel.panic_on_oops", "1"}}, remedy: "or load " +
				"ramoops with max_reason=2",
			about: []string{"ramoops.max_reason", "kernel.panic_on_oops"},
		},
		{
			name: "console-hides-errors", severity: Trap,
			when: all(below("kernel.printk", 4), not(said("ignore_loglevel"))),
			what: "the console's level is {kernel.printk}: what the kernel says " +
				"of errors does not come there",
			reason: "only lines below the level do, and errors have 3; of a hung " +
				"task nothing is seen",
			set:   []Setting{{"kernel.printk", "5 4 1 7"}},
			about: []string{"kernel.printk"},
		},
		{
			name: "console-hides-warnings", severity: Note,
			when: all(is("kernel.printk", 4), not(said("ignore_loglevel")), without("kernel.panic_print", 1<<5)),
			what: "the console's level is 4, as with quiet: warnings of the kernel " +
				"do not come there",
			reason: "only lines below the level do, and a warning has 4; a panic " +
				"shows what comes after it, and " +
				"not what has led to it",
			set: []Setting{{"kernel.printk", "5 4 1 7"}}, remedy: "or bit 5 of " +
				"kernel.panic_print, which prints the " +
				"whole log at a panic",
			about: []string{"kernel.printk"},
		},
		{
			name: "oops-captured-without-panic", severity: Note,
			when: all(crashLoaded, on("kernel.panic_on_oops"), off("crash_kexec_post_notifiers")),
			what: "an oops starts the crash kernel, and the console never says " +
				"\"Kernel panic\"",
			reason: "the crash kernel starts before the oops becomes a panic, so " +
				"that who looks for that line in the " +
				"console finds none [Kernel 2.48, 10.38]",
			remedy: "look for \"Oops\" and \"BUG:\", too",
			about:  []string{"kernel.panic_on_oops"},
		},
	}
}

// pstoreSettings are settings that nobody makes who does not want pstore.
var pstoreSettings = []string{
	"printk.always_kmsg_dump", "pstore.backend", "pstore.compress", "pstore.kmsg_bytes", "pstore.update_ms",
	"ramoops.max_reason", "ramoops.mem_address", "ramoops.mem_size",
}

func asksForPstore(m *Machine) bool {
	if wanted(pstoreSettings...)(m) || on("printk.always_kmsg_dump")(m) {
		return true
	}
	return slices.ContainsFunc(pstoreSettings, func(name string) bool { return said(name)(m) })
}

// crashKernels are rules about the kernel that is started when this one crashes.
func crashKernels() []rule {
	return []rule{
		{
			name: "notifier-before-crash-kernel", severity: Trap,
			when: all(crashLoaded, on("crash_kexec_post_notifiers"), either(noBackend, hasRiskyNotifiers)),
			what: "crash_kexec_post_notifiers is on: every panic notifier stands " +
				"before the crash kernel",
			reason: "one that does not come back, as of a driver that waits for its " +
				"hardware, keeps the crash kernel " +
				"from starting, and the machine from restarting [Kernel 1.34, 2.49]",
			set:   []Setting{{"crash_kexec_post_notifiers", "N"}},
			about: []string{"crash_kexec_post_notifiers"},
		},
		{
			name: "crash-kernel-before-pstore", severity: Note,
			when: all(crashLoaded, off("crash_kexec_post_notifiers"), hasBackend),
			what: "pstore keeps nothing of a panic that the crash kernel takes over",
			reason: "the crash kernel starts before the log is handed to {backend}; " +
				"its dump of the memory has the " +
				"log, too [Kernel 2.48, 8.5]",
			set: []Setting{{"crash_kexec_post_notifiers", "Y"}}, remedy: "only if " +
				"that is wanted twice",
			about: []string{"crash_kexec_post_notifiers"},
		},
		{
			name: "post-notifiers-for-nothing", severity: Note,
			when:   all(crashNotLoaded, on("crash_kexec_post_notifiers")),
			what:   "crash_kexec_post_notifiers is on, and no crash kernel is loaded",
			reason: "it says when the crash kernel starts, and there is none [Kernel 2.44]",
			set:    []Setting{{"crash_kexec_post_notifiers", "N"}}, remedy: "or " +
				"load a crash kernel",
			about: []string{"crash_kexec_post_notifiers"},
		},
		{
			name: "crash-kernel-locked-out", severity: Trap,
			when: all(crashNotLoaded, on("kernel.kexec_load_disabled"), either(crashReserved, wantsCapture)),
			what: "kernel.kexec_load_disabled is 1, and no crash kernel is loaded",
			reason: "none can be until the next boot: it cannot be set back to 0 " +
				"[Kernel 10.35]",
			remedy: "load the crash kernel first, and then set it; for now, restart",
			about:  []string{"kernel.kexec_load_disabled"},
		},
		{
			name: "crash-kernel-limited-out", severity: Trap,
			when: all(crashNotLoaded, is("kernel.kexec_load_limit_panic", 0), either(crashReserved, wantsCapture)),
			what: "kernel.kexec_load_limit_panic is 0, and no crash kernel is loaded",
			reason: "it is how many more times one can be loaded, and only falls " +
				"[Kernel 10.35]",
			remedy: "load the crash kernel first, and then set it; for now, restart",
			about:  []string{"kernel.kexec_load_limit_panic"},
		},
		{
			name: "crash-memory-idle", severity: Trap,
			when: all(
				crashNotLoaded, crashReserved, not(on("kernel.kexec_load_disabled")),
				not(is("kernel.kexec_load_limit_panic", 0)),
			),
			what: "{reserved} are reserved for a crash kernel, and none is loaded",
			reason: "a panic leaves no dump, and nobody else can use the memory " +
				"[Kernel 2.44, 2.61]",
			remedy: "load one, as by kexec -p or kdump-tools, or leave crashkernel= out",
		},
		{
			name: "capture-without-means", severity: Trap,
			when: all(wantsCapture, noReservation, noBackend),
			what: "the policy is to capture, and there is nothing that could: no " +
				"memory for a crash kernel, no pstore",
			reason: "a crash kernel needs memory that is set aside at boot [Kernel 2.61]",
			remedy: "say crashkernel=256M on the kernel's command line and load " +
				"one, or load ramoops or efi_pstore",
		},
	}
}

// others are rules about ways to go that are no panic.
func others() []rule {
	return []rule{
		{
			name: "ctrl-alt-del-at-once", severity: Trap,
			when: on("kernel.ctrl-alt-del"),
			what: "kernel.ctrl-alt-del is {kernel.ctrl-alt-del}: the keys restart " +
				"the machine at once",
			reason: "no process is asked, and nothing is written to disks [Kernel 5.54]",
			set:    []Setting{{"kernel.ctrl-alt-del", "0"}},
			about:  []string{"kernel.ctrl-alt-del"},
		},
		{
			name: "ctrl-alt-del-to-another", severity: Note,
			when: all(off("kernel.ctrl-alt-del"), atLeast("kernel.cad_pid", 2)),
			what: "Ctrl-Alt-Del is a signal for process {kernel.cad_pid}, and not " +
				"for process 1",
			reason: "when that process is gone, the keys do nothing [Kernel 5.56]",
			set:    []Setting{{"kernel.cad_pid", "1"}},
			about:  []string{"kernel.cad_pid"},
		},
		{
			name: "protection-powers-off", severity: Note,
			when:   text("/sys/kernel/reboot/hw_protection", "shutdown"),
			what:   "hw_protection is shutdown: a machine that is too hot powers off",
			reason: "it does not come back until somebody turns it on [Kernel 5.64, 5.66]",
			set:    []Setting{{"/sys/kernel/reboot/hw_protection", "reboot"}},
			about:  []string{"/sys/kernel/reboot/hw_protection"},
		},
		{
			name: "reboot-forced", severity: Note,
			when: all(x86, rebootForced),
			what: "reboot=force on the kernel's command line: a panic leaves the " +
				"other CPUs running",
			reason: "they go on with what they do, and may write to disks while the " +
				"machine dies [Kernel 1.28, 5.73]",
			remedy: "leave force out",
			about:  []string{"reboot"},
		},
		{
			name: "forbidden-taint-is-there", severity: Trap,
			when: taintedAsForbidden,
			what: "panic_on_taint forbids taints that the kernel has already: {taints}",
			reason: "it panics when one is set, and not because it is: the next " +
				"time panics [Kernel 3.38]",
			remedy: "restart, or leave these out of panic_on_taint=",
			about:  []string{"panic_on_taint"},
		},
	}
}

// saidValue holds if a word stands on the kernel's command line with this value.
func saidValue(name, value string) condition {
	return func(m *Machine) bool { w, ok := m.boot(name); return ok && w.Value == value }
}

package main

import (
	"fmt"
	"slices"
	"strings"
)

// A Kernel is one of Debian's that is made to fail, and the profile of the model that must fail
// the same way.
type Kernel struct {
	Name    string // "6.1-amd64"
	Profile string // of internal/simkernel
	Arch    string // Go's name
	Tree    string // below build/kernels and build/headers
}

func kernels() []Kernel {
	return []Kernel{
		{"6.1-amd64", "linux-6.1-x86_64", "amd64", "amd64-generic"},
		{"6.1-arm64", "linux-6.1-arm64", "arm64", "arm64-generic"},
		{"6.12-amd64", "linux-6.12-x86_64", "amd64", "amd64-6.12"},
	}
}

// A Setting is a knob of the kernel and its value, as simboot crash -set takes them.
type Setting struct{ Knob, Value string }

// A Watchdog is a device that is opened, and then not fed any more.
type Watchdog struct {
	Name       string // "softdog" or "i6300esb"; empty if there is none
	Timeout    int    // in seconds
	Pretimeout int    // in seconds; 0 if there is none
	Governor   string // of the pretimeout
	Params     string // further parameters of the module
}

// A Cell is one failure under some settings. It is played on each of its kernels. What the model has
// no name for is played all the same: its recording waits for the model.
type Cell struct {
	Name    string
	Kernels []string // names
	Failure string   // the model's name for it

	Settings    []Setting
	CPUs        int  // if 0, 1
	CrashKernel bool // is loaded
	Watchdog    Watchdog
	Ramoops     int // its max_reason; if 0, there is none

	// How is what the guest is to do, one command after the other, and "!" before what QEMU is.
	How []string

	// Chance are lines that are there or not, by who is first.
	Chance []string

	// Or is the model's name for what it may be as well, by who is first.
	Or string

	// Quiet is how many seconds of silence on the console make the machine a hanging one; if 0, 4.
	Quiet int

	// Boot is for failures before there is an init: words for the kernel's command line, with
	// an initramfs that has no program, but a file /nothing.
	Boot string
	From string // what the first line says that tells of it
}

// The kernels of a cell.
var (
	everywhere = []string{"6.1-amd64", "6.1-arm64", "6.12-amd64"}
	x86        = []string{"6.1-amd64", "6.12-amd64"}
	first      = []string{"6.1-amd64"}
	both61     = []string{"6.1-amd64", "6.1-arm64"}
)

// with makes settings of "knob=value" words.
func with(words ...string) []Setting {
	var s []Setting
	for _, w := range words {
		knob, value, ok := strings.Cut(w, "=")
		if !ok {
			panic(fmt.Sprintf("setting %q: want knob=value", w))
		}
		s = append(s, Setting{knob, value})
	}
	return s
}

// cells are all cells, by what they are about.
func cells() []Cell {
	return slices.Concat(
		panicCells(), oopsCells(), warnCells(), initCells(), detectorCells(), stackCells(),
		watchdogCells(), recordCells(), crashKernelCells(), sysrqCells(),
	)
}

// aftermath is what the guest is to do, with a second's wait at the end if there is none yet.
func (c Cell) aftermath() []string {
	if len(c.How) == 0 || strings.HasPrefix(c.How[len(c.How)-1], "wait ") {
		return c.How
	}
	return append(c.How[:len(c.How):len(c.How)], "wait 1")
}

// cellsOf are the cells of one kernel.
func cellsOf(k Kernel) []Cell {
	return slices.DeleteFunc(cells(), func(c Cell) bool { return !slices.Contains(c.Kernels, k.Name) })
}

func panicCells() []Cell {
	return []Cell{
		{
			Name: "sysrq-c-panic-0", Kernels: everywhere, Failure: "sysrq-c",
			How: []string{"sysrq c"},
		},
		{
			Name: "sysrq-c-panic-5", Kernels: everywhere, Failure: "sysrq-c",
			Settings: with("panic=5"), How: []string{"sysrq c"}, Quiet: 150,
		},
		{
			Name: "sysrq-c-panic-minus-1", Kernels: everywhere, Failure: "sysrq-c",
			Settings: with("panic=-1"), How: []string{"sysrq c"},
		},
		{
			Name: "sysrq-c-panic-overflow", Kernels: everywhere, Failure: "sysrq-c",
			Settings: with("panic=2147484"), How: []string{"sysrq c"},
		},
		{
			Name: "sysrq-c-two-cpus", Kernels: everywhere, Failure: "sysrq-c", CPUs: 2,
			Settings: with("panic=-1"), How: []string{"sysrq c"},
		},
		{
			Name: "sysrq-c-quiet", Kernels: everywhere, Failure: "sysrq-c",
			Settings: with("panic=-1", "printk=4 4 1 7"), How: []string{"sysrq c"},
		},
		{
			Name: "sysrq-c-cpu-deaf", Kernels: everywhere, Failure: "sysrq-c", CPUs: 2,
			Settings: with("panic=-1", "soft_watchdog=0"),
			How:      []string{"crash hard-lockup", "wait 1", "sysrq c"}, Quiet: 60,
		},
		{
			Name: "panic", Kernels: everywhere, Failure: "panic",
			Settings: with("panic=1"), How: []string{"crash panic"}, Quiet: 60,
		},
		{
			Name: "panic-newline", Kernels: first, Failure: "panic",
			Settings: with("panic=-1"), How: []string{"crash panic-newline"},
		},
		{
			Name: "panic-irq", Kernels: everywhere, Failure: "panic-softirq",
			Settings: with("panic=-1"), How: []string{"crash timer-panic", "wait 2"},
		},
		{
			Name: "panic-print-memory", Kernels: first, Failure: "sysrq-c",
			Settings: with("panic=-1", "panic_print=2"), How: []string{"sysrq c"},
		},
		{
			Name: "panic-observed", Kernels: everywhere, Failure: "panic", CPUs: 2,
			Settings: with("panic=1"), How: []string{"crash observe", "crash panic"}, Quiet: 60,
		},
		{
			Name: "double-panic", Kernels: everywhere, Failure: "double-panic", CPUs: 2,
			Settings: with("panic=-1"), How: []string{"crash double-panic"}, Quiet: 60,
			// A CPU that has panicked, too, may already be offline then.
			Chance: []string{"<2>SMP: stopping secondary CPUs"},
		},
		{
			Name: "notifier-panic", Kernels: everywhere, Failure: "double-panic",
			Settings: with("panic=-1"), How: []string{"crash notifier-panic"}, Quiet: 20,
		},
		{
			Name: "emergency-restart", Kernels: first, Failure: "emergency-restart",
			How: []string{"crash emergency-restart"},
		},
	}
}

func oopsCells() []Cell {
	return []Cell{
		{
			Name: "oops", Kernels: everywhere, Failure: "oops",
			How: []string{"crash null-write"},
		},
		{
			Name: "oops-read", Kernels: everywhere, Failure: "oops-read",
			How: []string{"crash null-read"},
		},
		{
			Name: "bad-jump", Kernels: everywhere, Failure: "bad-jump",
			How: []string{"crash null-jump"},
		},
		{
			Name: "bad-pointer", Kernels: everywhere, Failure: "bad-pointer",
			How: []string{"crash wild-read"},
		},
		{
			Name: "bad-pointer-panic_on_oops", Kernels: first, Failure: "bad-pointer",
			Settings: with("panic=-1", "panic_on_oops=1"), How: []string{"crash wild-read"},
		},
		{
			Name: "read-only", Kernels: everywhere, Failure: "read-only",
			How: []string{"crash text-write"},
		},
		{
			Name: "bad-instruction", Kernels: everywhere, Failure: "bad-instruction",
			How: []string{"crash undefined"},
		},
		{
			Name: "oops-two-cpus", Kernels: x86, Failure: "oops", CPUs: 2,
			How: []string{"crash null-write"},
		},
		{
			Name: "oops-panic_on_oops", Kernels: everywhere, Failure: "oops",
			Settings: with("panic=5", "panic_on_oops=1"), How: []string{"crash null-write"}, Quiet: 150,
		},
		{
			Name: "oops-panic_on_oops-panic-0", Kernels: x86, Failure: "oops",
			Settings: with("panic_on_oops=1"), How: []string{"crash null-write"},
		},
		{
			Name: "oops-softirq", Kernels: everywhere, Failure: "oops-softirq",
			Settings: with("panic=-1"), How: []string{"crash timer-oops", "wait 2"},
		},
		{
			Name: "oops-irq", Kernels: everywhere, Failure: "oops-irq",
			Settings: with("panic=-1"), How: []string{"crash irq-oops", "wait 2"},
		},
		{
			Name: "oops-init", Kernels: everywhere, Failure: "oops-init",
			Settings: with("panic=-1"), How: []string{"crash-init null-write"},
		},
		{
			Name: "oops-kthread", Kernels: first, Failure: "oops-kthread",
			How: []string{"crash kthread-oops", "wait 1"},
		},
		{
			Name: "oops-limit-1", Kernels: everywhere, Failure: "oops",
			Settings: with("panic=-1", "oops_limit=1"), How: []string{"crash null-write"},
		},
		{
			Name: "oops-limit-2", Kernels: x86, Failure: "oops",
			Settings: with("panic=-1", "oops_limit=2"),
			How:      []string{"crash null-write", "crash null-write"},
		},
		{
			Name: "oops-locked", Kernels: everywhere, Failure: "oops-locked",
			How: []string{"crash locked-oops"},
		},
		{
			Name: "oops-irqs-off", Kernels: first, Failure: "oops-irqs-off",
			How: []string{"crash irqs-off-oops"},
		},
		{
			Name: "oops-atomic", Kernels: first, Failure: "oops-atomic",
			How: []string{"crash atomic-oops"},
		},
		{
			Name: "bug", Kernels: everywhere, Failure: "bug",
			How: []string{"crash bug"},
		},
		{
			Name: "bug-panic_on_oops", Kernels: everywhere, Failure: "bug",
			Settings: with("panic=-1", "panic_on_oops=1"), How: []string{"crash bug"},
		},
		{
			Name: "bug-irq", Kernels: everywhere, Failure: "bug-irq",
			Settings: with("panic=-1"), How: []string{"crash timer-bug", "wait 2"},
		},
	}
}

func warnCells() []Cell {
	return []Cell{
		{
			Name: "warn", Kernels: everywhere, Failure: "warn",
			How: []string{"crash warn"},
		},
		{
			Name: "warn-on", Kernels: first, Failure: "warn-on",
			How: []string{"crash bare-warn"},
		},
		{
			Name: "warn-limit-2", Kernels: everywhere, Failure: "warn",
			Settings: with("panic=-1", "warn_limit=2"), How: []string{"crash warn", "crash warn"},
		},
		{
			Name: "panic_on_warn", Kernels: everywhere, Failure: "warn",
			Settings: with("panic=-1", "panic_on_warn=1"), How: []string{"crash warn"},
		},
		{
			Name: "schedule-atomic", Kernels: first, Failure: "schedule-atomic",
			How: []string{"crash atomic-schedule"},
		},
		{
			Name: "schedule-atomic-panic_on_warn", Kernels: first, Failure: "schedule-atomic",
			Settings: with("panic=-1", "panic_on_warn=1"), How: []string{"crash atomic-schedule"},
		},
	}
}

func initCells() []Cell {
	return []Cell{
		{
			Name: "init-exit", Kernels: everywhere, Failure: "init-death",
			Settings: with("panic=-1"), How: []string{"exit 1"},
		},
		{
			Name: "init-exit-panic-0", Kernels: first, Failure: "init-death",
			How: []string{"exit 1"},
		},
		{
			Name: "init-segv", Kernels: first, Failure: "init-fault",
			Settings: with("panic=-1"), How: []string{"kill 11"},
		},
		{
			Name: "no-init", Kernels: everywhere, Failure: "no-init",
			Settings: with("panic=-1"), Boot: "rdinit=/nothing", From: "Run /sbin/init as",
		},
		{
			Name: "no-root", Kernels: everywhere, Failure: "no-root",
			Settings: with("panic=-1"), Boot: "root=/dev/vda rootfstype=ext4 rdinit=/missing", From: "VFS: Cannot open root device",
		},
		{
			Name: "no-init-asked-for", Kernels: first, Failure: "no-such-init",
			Settings: with("panic=-1"), Boot: "rdinit=/nothing init=/bin/missing", From: "Run /bin/missing as",
		},
	}
}

func detectorCells() []Cell {
	const softly = "watchdog_thresh=3"
	return []Cell{
		{
			Name: "soft-lockup", Kernels: everywhere, Failure: "soft-lockup", CPUs: 2,
			Settings: with(softly), How: []string{"crash soft-lockup", "wait 11"}, Quiet: 60,
		},
		{
			Name: "soft-lockup-panic", Kernels: everywhere, Failure: "soft-lockup", CPUs: 2,
			Settings: with("panic=-1", softly, "softlockup_panic=1"),
			How:      []string{"crash soft-lockup", "wait 20"}, Quiet: 60,
		},
		{
			Name: "soft-lockup-one-cpu", Kernels: x86, Failure: "soft-lockup",
			Settings: with("panic=-1", softly, "softlockup_panic=1"),
			How:      []string{"crash self-lockup"}, Quiet: 60,
		},
		{
			Name: "hard-lockup", Kernels: first, Failure: "hard-lockup",
			How: []string{"crash self-irqs-off"}, Quiet: 20,
		},
		{
			Name: "hung-task", Kernels: everywhere, Failure: "hung-task",
			Settings: with("hung_task_timeout_secs=4", "hung_task_check_interval_secs=4"),
			How:      []string{"crash& d-state", "wait 10"}, Quiet: 60,
		},
		{
			Name: "hung-task-panic", Kernels: everywhere, Failure: "hung-task",
			Settings: with("panic=-1", "hung_task_panic=1", "hung_task_timeout_secs=4"),
			How:      []string{"crash& d-state", "wait 20"}, Quiet: 60,
		},
		{
			// The CPU itself is two jiffies ahead of the others, unless the host lets it wait.
			Name: "rcu-stall", Kernels: x86, Failure: "rcu-stall", Or: "rcu-stall-other", CPUs: 2,
			Settings: with("rcu_cpu_stall_timeout=4", "soft_watchdog=0"),
			How:      []string{"crash soft-lockup", "wait 8"}, Quiet: 60,
		},
		{
			Name: "rcu-stall-panic", Kernels: everywhere, CPUs: 2,
			Failure: "rcu-stall", Or: "rcu-stall-other",
			Settings: with("panic=-1", "rcu_cpu_stall_timeout=4", "soft_watchdog=0", "panic_on_rcu_stall=1"),
			How:      []string{"crash soft-lockup", "wait 20"}, Quiet: 60,
		},
		{
			Name: "rcu-stall-deaf", Kernels: everywhere, Failure: "hard-lockup", CPUs: 2,
			Settings: with("rcu_cpu_stall_timeout=4", "soft_watchdog=0"),
			How:      []string{"crash hard-lockup", "wait 8"}, Quiet: 60,
		},
		{
			Name: "rcu-stall-deaf-panic", Kernels: everywhere, Failure: "hard-lockup", CPUs: 2,
			Settings: with("panic=-1", "rcu_cpu_stall_timeout=4", "soft_watchdog=0", "panic_on_rcu_stall=1"),
			How:      []string{"crash hard-lockup", "wait 20"}, Quiet: 60,
		},
		{
			Name: "oom", Kernels: first, Failure: "oom",
			How: []string{"crash oom"}, Quiet: 60,
		},
		{
			Name: "oom-panic-1", Kernels: everywhere, Failure: "oom",
			Settings: with("panic=-1", "panic_on_oom=1"), How: []string{"crash oom"}, Quiet: 60,
		},
		{
			Name: "oom-panic-2", Kernels: x86, Failure: "oom",
			Settings: with("panic=-1", "panic_on_oom=2"), How: []string{"crash oom"}, Quiet: 60,
		},
		{
			Name: "nmi", Kernels: x86, Failure: "nmi", How: []string{"!nmi", "wait 1"},
		},
		{
			Name: "nmi-panic", Kernels: x86, Failure: "nmi",
			Settings: with("panic=-1", "unknown_nmi_panic=1"), How: []string{"!nmi", "wait 1"},
		},
		{
			Name: "nmi-unrecovered", Kernels: first, Failure: "nmi",
			Settings: with("panic=-1", "panic_on_unrecovered_nmi=1"), How: []string{"!nmi", "wait 1"},
		},
		{
			Name: "mce", Kernels: x86, Failure: "mce",
			Settings: with("panic=-1"), How: []string{"!mce", "wait 1"}, Quiet: 60,
		},
		{
			Name: "mce-panic-0", Kernels: first, Failure: "mce",
			How: []string{"!mce", "wait 1"}, Quiet: 60,
		},
	}
}

func stackCells() []Cell {
	return []Cell{
		{
			Name: "stack-overflow", Kernels: everywhere, Failure: "stack-overflow",
			Settings: with("panic=-1"), How: []string{"crash stack-overflow"}, Quiet: 60,
		},
		{
			Name: "stack-canary", Kernels: everywhere, Failure: "stack-canary",
			Settings: with("panic=-1"), How: []string{"crash stack-canary"}, Quiet: 60,
		},
		{
			Name: "stack-end", Kernels: first, Failure: "stack-end",
			Settings: with("panic=-1"), How: []string{"crash stack-end"}, Quiet: 60,
		},
	}
}

func watchdogCells() []Cell {
	return []Cell{
		{
			Name: "softdog", Kernels: everywhere, Failure: "watchdog",
			Watchdog: Watchdog{Name: "softdog", Timeout: 4}, How: []string{"wait 20"}, Quiet: 60,
		},
		{
			Name: "softdog-panic", Kernels: x86, Failure: "watchdog", Settings: with("panic=-1"),
			Watchdog: Watchdog{Name: "softdog", Timeout: 4, Params: "soft_panic=1"},
			How:      []string{"wait 20"}, Quiet: 60,
		},
		{
			Name: "softdog-noboot", Kernels: first, Failure: "watchdog",
			Watchdog: Watchdog{Name: "softdog", Timeout: 4, Params: "soft_noboot=1"},
			How:      []string{"wait 6"}, Quiet: 60,
		},
		{
			Name: "pretimeout-panic", Kernels: everywhere, Failure: "pretimeout",
			Settings: with("panic=-1"),
			Watchdog: Watchdog{Name: "softdog", Timeout: 8, Pretimeout: 4, Governor: "panic"},
			How:      []string{"wait 20"}, Quiet: 60,
		},
		{
			Name: "pretimeout-noop", Kernels: first, Failure: "pretimeout",
			Watchdog: Watchdog{Name: "softdog", Timeout: 8, Pretimeout: 4, Governor: "noop"},
			How:      []string{"wait 20"}, Quiet: 60,
		},
		{
			Name: "softdog-after-panic-0", Kernels: x86, Failure: "sysrq-c",
			Watchdog: Watchdog{Name: "softdog", Timeout: 4}, How: []string{"sysrq c"}, Quiet: 30,
		},
		{
			Name: "i6300esb", Kernels: x86, Failure: "watchdog",
			Watchdog: Watchdog{Name: "i6300esb", Timeout: 4}, How: []string{"wait 30"}, Quiet: 60,
		},
		{
			Name: "i6300esb-after-panic-0", Kernels: everywhere, Failure: "sysrq-c",
			Watchdog: Watchdog{Name: "i6300esb", Timeout: 4}, How: []string{"sysrq c"}, Quiet: 60,
		},
		{
			Name: "i6300esb-before-panic-60", Kernels: first, Failure: "sysrq-c",
			Settings: with("panic=60"),
			Watchdog: Watchdog{Name: "i6300esb", Timeout: 4}, How: []string{"sysrq c"}, Quiet: 60,
		},
		{
			Name: "i6300esb-after-hard-lockup", Kernels: x86, Failure: "hard-lockup",
			Watchdog: Watchdog{Name: "i6300esb", Timeout: 4}, How: []string{"crash self-irqs-off"},
			Quiet: 60,
		},
	}
}

func recordCells() []Cell {
	return []Cell{
		{
			Name: "ramoops-panic", Kernels: everywhere, Failure: "sysrq-c", Ramoops: 2,
			Settings: with("panic=-1"), How: []string{"sysrq c"},
		},
		{
			Name: "ramoops-oops-then-panic", Kernels: everywhere, Failure: "oops", Ramoops: 2,
			Settings: with("panic=-1", "panic_on_oops=1"), How: []string{"crash null-write"},
		},
		{
			Name: "ramoops-panic-only", Kernels: x86, Failure: "oops", Ramoops: 1,
			Settings: with("panic=-1", "panic_on_oops=1"), How: []string{"crash null-write"},
		},
		{
			Name: "ramoops-emergency", Kernels: first, Failure: "sysrq-c", Ramoops: 3,
			Settings: with("panic=1"), How: []string{"sysrq c"}, Quiet: 60,
		},
		{
			Name: "ramoops-sysrq-b", Kernels: everywhere, Failure: "sysrq-b", Ramoops: 3,
			How: []string{"sysrq b"},
		},
		{
			Name: "ramoops-sysrq-b-not-kept", Kernels: first, Failure: "sysrq-b", Ramoops: 2,
			How: []string{"sysrq b"},
		},
		{
			Name: "ramoops-i6300esb", Kernels: first, Failure: "watchdog", Ramoops: 5,
			Watchdog: Watchdog{Name: "i6300esb", Timeout: 4}, How: []string{"wait 30"}, Quiet: 60,
		},
		{
			Name: "ramoops-softdog", Kernels: first, Failure: "watchdog", Ramoops: 5,
			Watchdog: Watchdog{Name: "softdog", Timeout: 4}, How: []string{"wait 30"}, Quiet: 60,
		},
		{
			Name: "ramoops-crash-kernel", Kernels: both61, Failure: "sysrq-c", Ramoops: 2,
			CrashKernel: true, How: []string{"sysrq c"}, Quiet: 60,
		},
	}
}

func crashKernelCells() []Cell {
	loaded := func(c Cell) Cell {
		c.CrashKernel, c.Quiet = true, 90
		return c
	}
	return []Cell{
		loaded(Cell{
			Name: "kdump-sysrq-c", Kernels: everywhere, Failure: "sysrq-c", How: []string{"sysrq c"},
		}),
		loaded(Cell{
			Name: "kdump-two-cpus", Kernels: everywhere, Failure: "panic", CPUs: 2,
			How: []string{"crash panic"},
		}),
		loaded(Cell{
			Name: "kdump-post-notifiers", Kernels: everywhere, Failure: "sysrq-c", CPUs: 2,
			Settings: with("crash_kexec_post_notifiers=1"), How: []string{"sysrq c"},
		}),
		loaded(Cell{
			Name: "kdump-oops", Kernels: everywhere, Failure: "oops", How: []string{"crash null-write"},
		}),
		loaded(Cell{
			Name: "kdump-oops-panic_on_oops", Kernels: everywhere, Failure: "oops",
			Settings: with("panic_on_oops=1"), How: []string{"crash null-write"},
		}),
		loaded(Cell{
			Name: "kdump-oops-post-notifiers", Kernels: both61, Failure: "oops",
			Settings: with("panic_on_oops=1", "crash_kexec_post_notifiers=1"),
			How:      []string{"crash null-write"},
		}),
		loaded(Cell{
			Name: "kdump-oops-softirq", Kernels: both61, Failure: "oops-softirq",
			How: []string{"crash timer-oops", "wait 2"},
		}),
		loaded(Cell{
			Name: "kdump-oops-init", Kernels: both61, Failure: "oops-init",
			How: []string{"crash-init null-write"},
		}),
		loaded(Cell{
			Name: "kdump-init-exit", Kernels: both61, Failure: "init-death", How: []string{"exit 1"},
		}),
		loaded(Cell{
			Name: "kdump-cpu-deaf", Kernels: both61, Failure: "sysrq-c", CPUs: 2,
			Settings: with("soft_watchdog=0"),
			How:      []string{"crash hard-lockup", "wait 1", "sysrq c"},
		}),
		// Of a CPU that does not stop arm64 warns, here once too often.
		loaded(Cell{
			Name: "kdump-cpu-deaf-warn-limit", Kernels: []string{"6.1-arm64"},
			Failure: "sysrq-c", CPUs: 2, Settings: with("panic=-1", "soft_watchdog=0", "warn_limit=1"),
			How: []string{"crash hard-lockup", "wait 1", "sysrq c"},
		}),
		loaded(Cell{
			Name: "kdump-panic-observed", Kernels: both61, Failure: "panic", CPUs: 2,
			How: []string{"crash observe", "crash panic"},
		}),
	}
}

func sysrqCells() []Cell {
	sysrq := func(letter string, on []string) Cell {
		return Cell{
			Name: "sysrq-" + letter, Kernels: on, Failure: "sysrq-" + letter,
			How: []string{"sysrq " + letter, "wait 1"},
		}
	}
	return []Cell{
		sysrq("b", everywhere), sysrq("s", everywhere), sysrq("u", first), sysrq("x", first),
		sysrq("9", first), sysrq("r", first), sysrq("l", everywhere),
	}
}

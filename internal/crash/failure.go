package crash

import (
	"slices"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
	"github.com/rebound-init/rebound/internal/simkernel/esr"
)

// Failure is a way for a kernel to fail.
type Failure struct {
	Name string `json:"name"`
	// Means is what it is, in a line; Caused is how it comes about in the model.
	Means  string `json:"means"`
	Caused string `json:"caused"`
	// Kernels are the profiles that know it.
	Kernels []string `json:"kernels"`
}

// failure is one with what makes it happen.
type failure struct {
	Failure
	// since is the first version that has it, on the architectures of on; all if it is empty.
	since version
	on    []arch
	// why says what the others lack.
	why string
	// cpus is how many CPUs it needs to be seen: 1 if it is zero.
	cpus int
	// plan puts down what happens.
	plan func(p *play)
}

// lacks says why a kernel does not know it, or nothing.
func (f *failure) lacks(k *profile) string {
	switch {
	case k.is < f.since:
		return "it needs Linux " + f.since.String() + " or later"
	case len(f.on) > 0 && !slices.Contains(f.on, k.arch):
		return f.why
	}
	return ""
}

// failures are all of them.
var failures = []failure{
	{
		Failure: Failure{
			Name: "panic", Means: "the kernel calls panic()",
			Caused: "a thread of the kernel calls it on the first CPU",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{
				Kthread: "kworker/0:1", How: simkernel.PanicCall{Text: "a driver has called panic()"},
			})
		},
	},
	{
		Failure: Failure{
			Name: "double-panic", Means: "two CPUs panic at once, or a panic panics",
			Caused: "the second CPU calls panic() when the first has; with one CPU a panic " +
				"notifier does",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{Kthread: "kworker/0:1", How: simkernel.PanicTwice{
				First: "a driver has called panic()", Second: "another driver has, too",
			}})
		},
	},
	{
		Failure: Failure{
			Name: "panic-softirq", Means: "the kernel calls panic() in a softirq, as a timer's",
			Caused: "a timer of the first CPU calls it",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{
				In: simkernel.InSoftIRQ, How: simkernel.PanicCall{Text: "a driver has called panic()"},
			})
		},
	},
	{
		Failure: Failure{
			Name: "emergency-restart", Means: "the kernel restarts the machine at once, and says nothing",
			Caused: "process victim makes a system call that calls emergency_restart()",
		},
		plan: victimFails(simkernel.EmergencyRestart{}),
	},
	{
		Failure: Failure{
			Name: "oops-read", Means: "the kernel reads by a null pointer, in a system call of a process",
			Caused: "process victim makes a system call that reads address 0x20",
		},
		plan: victimFails(simkernel.BadPointer{Addr: 0x20, Reads: true}),
	},
	{
		Failure: Failure{
			Name: "oops-irqs-off", Means: "an oops of a process that has interrupts off",
			Caused: "process victim writes to address 0x20 in a system call, with interrupts off",
		},
		plan: func(p *play) {
			p.start("victim", simkernel.Pause{})
			p.act(simkernel.Fail{Name: "victim", IRQsOff: true, How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops-atomic", Means: "an oops of a process that must not be preempted",
			Caused: "process victim writes to address 0x20 in a system call, with preemption off",
		},
		plan: func(p *play) {
			p.start("victim", simkernel.Pause{})
			p.act(simkernel.Fail{Name: "victim", Locks: 1, How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops", Means: "the kernel uses a null pointer in a system call of a process",
			Caused: "process victim makes a system call that writes to address 0x20",
		},
		plan: victimFails(simkernel.NullWrite{Addr: 0x20}),
	},
	{
		Failure: Failure{
			Name: "oops-irq", Means: "the kernel uses a null pointer in an interrupt",
			Caused: "the handler of an interrupt of the first CPU writes to address 0x20",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{In: simkernel.InHardIRQ, How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops-softirq", Means: "the kernel uses a null pointer in a softirq, as a timer's",
			Caused: "a timer of the first CPU writes to address 0x20",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{In: simkernel.InSoftIRQ, How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops-idle", Means: "the kernel uses a null pointer while a CPU has nothing to do",
			Caused: "the idle task of the first CPU writes to address 0x20",
		},
		plan: func(p *play) { p.act(simkernel.Fail{How: simkernel.NullWrite{Addr: 0x20}}) },
	},
	{
		Failure: Failure{
			Name: "oops-kthread", Means: "the kernel uses a null pointer in a thread of its own",
			Caused: "thread kworker/0:1 writes to address 0x20",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{Kthread: "kworker/0:1", How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops-init", Means: "the kernel uses a null pointer in a system call of PID 1",
			Caused: "PID 1 makes a system call that writes to address 0x20",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{PID: 1, How: simkernel.NullWrite{Addr: 0x20}})
		},
	},
	{
		Failure: Failure{
			Name: "oops-locked", Means: "an oops of a process that holds a lock and has interrupts off",
			Caused: "process victim writes to address 0x20 in a system call, with a spinlock held",
		},
		plan: func(p *play) {
			p.start("victim", simkernel.Pause{})
			p.act(simkernel.Fail{
				Name: "victim", Locks: 1, IRQsOff: true, How: simkernel.NullWrite{Addr: 0x20},
			})
		},
	},
	{
		Failure: Failure{
			Name: "bad-pointer", Means: "the kernel reads where nothing is, in a system call",
			Caused: "process victim makes a system call that reads address 0xffffc90000001000",
		},
		plan: victimFails(simkernel.BadPointer{Addr: 0xffffc90000001000, Reads: true}),
	},
	{
		Failure: Failure{
			Name: "bad-jump", Means: "the kernel jumps to where nothing is, in a system call",
			Caused: "process victim makes a system call that jumps to address 0",
		},
		plan: victimFails(simkernel.BadPointer{Executes: true}),
	},
	{
		Failure: Failure{
			Name: "bug", Means: "BUG() in a system call of a process",
			Caused: "process victim makes a system call that comes to a BUG()",
		},
		plan: victimFails(simkernel.BugCall{}),
	},
	{
		Failure: Failure{
			Name: "bug-irq", Means: "BUG() in a softirq, as a timer's",
			Caused: "a timer of the first CPU comes to a BUG()",
		},
		plan: func(p *play) {
			p.act(simkernel.Fail{In: simkernel.InSoftIRQ, How: simkernel.BugCall{}})
		},
	},
	{
		Failure: Failure{
			Name: "schedule-atomic", Means: "a task waits while it must not be preempted",
			Caused: "process victim sleeps in a system call, with preemption off",
		},
		since: v(3, 10, 0), plan: victimFails(simkernel.ScheduleAtomic{}),
	},
	{
		Failure: Failure{
			Name: "stack-canary", Means: "a function of the kernel finds its stack overwritten",
			Caused: "process victim makes a system call that writes beyond an array of its own",
		},
		since: v(4, 19, 0), plan: victimFails(simkernel.StackProtector{}),
	},
	{
		Failure: Failure{
			Name: "bug-generic", Means: "BUG() of a kernel built without an instruction for it",
			Caused: "process victim makes a system call that comes to a BUG()",
		},
		on: []arch{arm, mips}, why: "its BUG() is an instruction: see bug",
		plan: victimFails(simkernel.GenericBug{}),
	},
	{
		Failure: Failure{
			Name: "bug-off", Means: "BUG() of a kernel built without it (CONFIG_BUG): nothing happens",
			Caused: "process victim makes a system call that comes to a BUG()",
		},
		plan: victimFails(simkernel.BugLeftOut{}),
	},
	{
		Failure: Failure{
			Name: "warn", Means: "WARN() in a system call of a process",
			Caused: "process victim makes a system call that comes to a WARN()",
		},
		plan: victimFails(simkernel.WarnCall{Text: "something is odd"}),
	},
	{
		Failure: Failure{
			Name: "warn-on", Means: "WARN_ON() in a system call of a process: without a text of its own",
			Caused: "process victim makes a system call that comes to a WARN_ON()",
		},
		plan: victimFails(simkernel.WarnCall{}),
	},
	{
		Failure: Failure{
			Name: "init-fault", Means: "PID 1 uses memory that it does not have",
			Caused: "PID 1 gets a SIGSEGV for which it has no handler",
		},
		plan: func(p *play) { p.act(simkernel.Fail{PID: 1, How: simkernel.InitFault{}}) },
	},
	{
		Failure: Failure{
			Name: "init-death", Means: "PID 1 ends", Caused: "PID 1 exits with status 1",
		},
		plan: func(p *play) { p.then = func(kernel.Kernel) bool { return true } },
	},
	{
		Failure: Failure{
			Name: "no-init", Means: "the kernel finds no init at boot",
			Caused: "there is no init in any of the usual places",
		},
		plan: func(p *play) {
			p.at = 0
			p.act(simkernel.Fail{How: simkernel.NoInit{}})
		},
	},
	{
		Failure: Failure{
			Name: "no-such-init", Means: "init= names a program that is not there",
			Caused: "init=/bin/missing is on the command line",
		},
		plan: func(p *play) {
			p.at = 0
			p.act(simkernel.Fail{How: simkernel.NoInit{Init: "/bin/missing"}})
		},
	},
	{
		Failure: Failure{
			Name: "no-root", Means: "the kernel cannot mount its root at boot",
			Caused: "the device of root= is not there",
		},
		plan: func(p *play) {
			p.at = 0
			p.act(simkernel.Fail{How: simkernel.NoRoot{}})
		},
	},
	{
		Failure: Failure{
			Name: "oom", Means: "there is no memory left",
			Caused: "process victim asks for more memory than there is",
		},
		plan: func(p *play) {
			p.start("victim", simkernel.Pause{})
			p.act(simkernel.Fail{Name: "victim", How: simkernel.OutOfMemory{Name: "victim"}})
		},
	},
	{
		Failure: Failure{
			Name: "oom-init", Means: "there is no memory left, and nobody but PID 1 to kill",
			Caused: "PID 1 asks for more memory than there is",
		},
		plan: func(p *play) { p.act(simkernel.Fail{PID: 1, How: simkernel.OutOfMemory{}}) },
	},
	{
		Failure: Failure{
			Name: "soft-lockup", Means: "a CPU computes in the kernel for ever, with interrupts on",
			Caused: "process victim does not come back from a system call, on the last CPU",
		},
		plan: victimKeepsCPU(simkernel.StuckCPU{}),
	},
	{
		Failure: Failure{
			Name: "hard-lockup", Means: "a CPU computes in the kernel for ever, with interrupts off",
			Caused: "process victim does not come back from a system call, on the last CPU; only " +
				"nmi_watchdog=1 and other CPUs can see it",
		},
		plan: victimKeepsCPU(simkernel.StuckCPU{IRQsOff: true}),
	},
	{
		Failure: Failure{
			Name: "rcu-stall", Means: "a CPU does not let RCU go on, and no lockup detector looks",
			Caused: "as soft-lockup, with kernel.watchdog=0 unless it is set otherwise, and with two " +
				"CPUs if -cpus does not say otherwise: with one nobody is left who could notice",
		},
		cpus: 2,
		plan: func(p *play) {
			p.first("sysctl.kernel.watchdog=0")
			victimKeepsCPU(simkernel.StuckCPU{})(p)
		},
	},
	{
		Failure: Failure{
			Name: "rcu-stall-other", Means: "as rcu-stall, but another CPU sees it first",
			Caused: "as rcu-stall, with a timer of the CPU that is too late to look itself, as under a " +
				"busy hypervisor",
		},
		cpus: 2,
		plan: func(p *play) {
			p.first("sysctl.kernel.watchdog=0")
			victimKeepsCPU(simkernel.StuckCPU{LateTick: true})(p)
		},
	},
	{
		Failure: Failure{
			Name: "hung-task", Means: "a process waits in state D for ever",
			Caused: "process victim waits for a disk that does not answer",
		},
		plan: func(p *play) { p.start("victim", simkernel.Sleep{For: p.at}, simkernel.Hang{}) },
	},
	{
		Failure: Failure{
			Name: "nmi", Means: "an NMI of which nobody knows why",
			Caused: "the first CPU gets an NMI; port 0x61 says 0x21",
		},
		on: []arch{x86}, why: onlyPC,
		plan: func(p *play) { p.act(simkernel.Fail{How: simkernel.NMI{Reason: 0x21}}) },
	},
	{
		Failure: Failure{
			Name: "nmi-serr", Means: "an NMI for an error of the bus",
			Caused: "the first CPU gets an NMI; port 0x61 says SERR",
		},
		on: []arch{x86}, why: onlyPC,
		plan: func(p *play) { p.act(simkernel.Fail{How: simkernel.NMI{Reason: simkernel.NMISERR}}) },
	},
	{
		Failure: Failure{
			Name: "nmi-io", Means: "an NMI for an error of a card",
			Caused: "the first CPU gets an NMI; port 0x61 says IOCHK",
		},
		on: []arch{x86}, why: onlyPC,
		plan: func(p *play) { p.act(simkernel.Fail{How: simkernel.NMI{Reason: simkernel.NMIIOCHK}}) },
	},
	{
		Failure: Failure{
			Name: "mce", Means: "the processor reports that it cannot go on",
			Caused: "the first CPU gets a fatal machine check exception",
		},
		on: []arch{x86}, why: "only the model's PCs have machine checks",
		plan: func(p *play) {
			p.act(simkernel.Fail{How: simkernel.MachineCheck{Bank: 4, Status: 0xb200000000070f0f}})
		},
	},
	{
		Failure: Failure{
			Name: "mce-local", Means: "the processor tells one CPU only that it cannot go on",
			Caused: "the first CPU gets a fatal machine check exception that is local",
		},
		// Before, the panic was that of the others.
		since: v(4, 18, 0), on: []arch{x86}, why: "only the model's PCs have machine checks",
		plan: func(p *play) {
			p.act(simkernel.Fail{How: simkernel.MachineCheck{
				Bank: 4, Status: 0xb200000000070f0f, Why: "Fatal local machine check",
			}})
		},
	},
	{
		Failure: Failure{
			Name: "stack-overflow", Means: "a function of the kernel calls itself until its stack is full",
			Caused: "process victim makes a system call that does so",
		},
		since: v(4, 9, 0), on: []arch{x86, arm64}, why: "nothing notices it in the model",
		plan: victimFails(simkernel.StackOverflow{}),
	},
	{
		Failure: Failure{
			Name: "stack-end", Means: "the scheduler finds that a stack has grown over its end",
			Caused: "process victim has used up its stack, with CONFIG_SCHED_STACK_END_CHECK",
		},
		since: v(3, 18, 0),
		plan:  victimFails(simkernel.StackEnd{}),
	},
	{
		Failure: Failure{
			Name: "serror", Means: "the memory or the bus reports an error that came too late (SError)",
			Caused: "the first CPU takes an SError while a process runs",
		},
		on: []arch{arm64}, why: "only arm64 has it",
		plan: func(p *play) {
			late := simkernel.Exception{Vector: esr.Vector{Source: esr.User, Reason: esr.Error}}
			late.ESR = esr.New(esr.SError, true, 0, 0)
			p.start("victim", simkernel.Pause{})
			p.act(simkernel.Fail{Name: "victim", How: late})
		},
	},
	{
		Failure: Failure{
			Name: "bus-error", Means: "memory that the kernel uses does not answer (external abort)",
			Caused: "process victim makes a system call that reads such memory",
		},
		on: []arch{arm64}, why: onlyARM64,
		plan: victimFails(exception(esr.DAbort, uint32(esr.ExternalAbort), 0xffff800008123450)),
	},
	{
		Failure: Failure{
			Name: "bad-instruction", Means: "the kernel executes what is no instruction",
			Caused: "process victim makes a system call that does so",
		},
		since: v(4, 19, 0), on: []arch{x86, arm64}, why: onlyNew,
		plan: byArch(simkernel.BadInstruction{}, exception(esr.Unknown, 0, 0)),
	},
	{
		Failure: Failure{
			Name: "read-only", Means: "the kernel writes to memory of its own that is read-only",
			Caused: "process victim makes a system call that does so",
		},
		since: v(4, 19, 0), on: []arch{x86, arm64}, why: onlyNew,
		plan: byArch(simkernel.BadPointer{Addr: 0xffffffff81a00000, Present: true},
			exception(esr.DAbort, 0x4f, 0xffff800008123450)),
	},
	{
		Failure: Failure{
			Name: "unhandled-exception", Means: "the processor takes an exception that the kernel does not expect",
			Caused: "process victim makes a system call that ends in an illegal execution state",
		},
		on: []arch{arm64}, why: onlyARM64,
		plan: victimFails(exception(esr.Illegal, 0, 0)),
	},
	{
		Failure: Failure{
			Name: "watchdog", Means: "nobody feeds the watchdog any more",
			Caused: "who feeds the machine's watchdog stops: softdog with 30 s if -watchdog does not " +
				"say otherwise",
		},
		plan: func(p *play) { p.starve = true },
	},
	{
		Failure: Failure{
			Name: "pretimeout", Means: "a watchdog says that it is about to reset the machine",
			Caused: "as watchdog; the pretimeout is 10 s if -watchdog does not say otherwise, and its " +
				"governor panics",
		},
		since: v(4, 9, 0),
		plan:  func(p *play) { p.starve, p.pretimeout = true, true },
	},
	sysrq("0", "show nothing on the console but the worst"),
	sysrq("9", "show everything on the console"),
	sysrq("b", "restart at once"),
	sysrq("c", "crash on purpose"),
	sysrq("e", "SIGTERM to all processes but PID 1"),
	sysrq("f", "kill somebody as if there were no memory"),
	sysrq("i", "SIGKILL to all processes but PID 1"),
	sysrq("j", "thaw file systems that are frozen").from(v(2, 6, 29)),
	sysrq("k", "kill all on this terminal"),
	sysrq("l", "show where all CPUs are").from(v(2, 6, 29)),
	sysrq("m", "show the memory"),
	sysrq("n", "take their priority from processes in real time"),
	sysrq("o", "power off"),
	sysrq("p", "show the registers"),
	sysrq("q", "show the timers").from(v(2, 6, 24)),
	sysrq("r", "take the keyboard back from whoever has it raw"),
	sysrq("s", "sync in an emergency"),
	sysrq("t", "show all tasks"),
	sysrq("u", "remount all read-only in an emergency"),
	sysrq("w", "show the tasks in state D").from(v(2, 6, 24)),
	sysrq("x", "a key that no kernel of the model knows"),
	sysrq("z", "show what ftrace has").from(v(2, 6, 33)),
	sysrq("R", "show the log once more").from(v(6, 12, 0)),
}

const (
	onlyNew   = "the model has it of 64-bit PCs and arm64"
	onlyPC    = "only a PC has such NMIs"
	onlyARM64 = "only arm64 kernels of the model take it as an exception"
)

// byArch lets a process fail in one way on a PC, and in another on arm64.
func byArch(onPC, onARM64 simkernel.Failure) func(*play) {
	return func(p *play) {
		how := onPC
		if k, err := kernelNamed(p.cfg.Kernel); err == nil && k.arch == arm64 {
			how = onARM64
		}
		victimFails(how)(p)
	}
}

// exception is one of the kernel's own on arm64.
func exception(c esr.Class, iss uint32, far uint64) simkernel.Exception {
	return simkernel.Exception{Access: esr.Access{ESR: esr.New(c, true, iss, 0), FAR: far}}
}

// Failures lists them, in the order of their names.
func Failures() []Failure {
	all := make([]Failure, 0, len(failures))
	for i := range failures {
		f := failures[i].Failure
		for _, name := range simkernel.Kernels() {
			if k, err := kernelNamed(name); err == nil && failures[i].lacks(k) == "" {
				f.Kernels = append(f.Kernels, name)
			}
		}
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
	return all
}

// failureNamed finds one.
func failureNamed(name string) (*failure, error) {
	names := make([]string, len(failures))
	for i := range failures {
		if failures[i].Name == name {
			return &failures[i], nil
		}
		names[i] = failures[i].Name
	}
	return nil, unknown("failure", name, names)
}

// Event is a failure by its name, on a running machine with processes of its own. Where a process
// would have to make a system call, a thread of the kernel with this name fails instead. Not all
// failures can be had so.
func Event(name, thread string) (simkernel.Action, bool) {
	f, err := failureNamed(name)
	if err != nil {
		return nil, false
	}
	p := &play{at: failsAt}
	p.cfg.Programs = make(map[string]simkernel.Program)
	p.cfg.Reboot.CPUs = 1
	f.plan(p)
	if p.at != failsAt || p.then != nil || p.starve || len(p.actions) != 1 {
		return nil, false
	}
	a, ok := p.actions[0].(simkernel.Fail)
	if ok && a.Name != "" {
		a.Name, a.Kthread = "", thread
	}
	return a, ok
}

// victimFails lets a process fail in a system call.
func victimFails(how simkernel.Failure) func(*play) {
	return func(p *play) {
		p.start("victim", simkernel.Pause{})
		p.act(simkernel.Fail{Name: "victim", How: how})
	}
}

// victimKeepsCPU lets a process stay in the kernel on the last CPU.
func victimKeepsCPU(how simkernel.StuckCPU) func(*play) {
	return func(p *play) {
		p.start("victim", simkernel.Pause{})
		p.act(simkernel.Fail{
			CPU: p.cfg.Reboot.CPUs - 1, Name: "victim", How: how,
		})
	}
}

// from is a failure that older versions do not have.
func (f failure) from(since version) failure {
	f.since = since
	return f
}

// sysrq lets PID 1 write a key to /proc/sysrq-trigger.
func sysrq(key, means string) failure {
	return failure{
		Failure: Failure{
			Name: "sysrq-" + key, Means: "SysRq " + key + ": " + means,
			Caused: "PID 1 writes " + key + " to /proc/sysrq-trigger",
		},
		plan: func(p *play) {
			p.start("victim", simkernel.Pause{})
			p.then = func(k kernel.Kernel) bool {
				// The kernel does what it does; there is nobody to tell an error.
				_ = k.SetProc("sysrq-trigger", key)
				return false
			}
		},
	}
}

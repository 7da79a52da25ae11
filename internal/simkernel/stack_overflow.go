package simkernel

// stackProfile is what a kernel makes of a stack that is full (arch/x86/kernel/traps.c).
type stackProfile struct {
	// guard is said of a stack that has run into its guard page, dies what it dies of, and
	// panics what it panics with if die() comes back. Without them nobody notices.
	guard, dies, panics string
	// asNMI says that the double fault counts as an NMI, so that an oops in it is one in an
	// interrupt.
	asNMI bool
}

var (
	stack4 = stackProfile{
		guard:  "BUG: stack guard page was hit at 0000000000000000 (stack is 0000000000000000..0000000000000000)",
		dies:   "kernel stack overflow (double-fault)",
		panics: "kernel stack overflow (double-fault)",
	}
	stack5 = stackProfile{guard: stack4.guard, dies: stack4.dies, panics: stack4.panics, asNMI: true}
	stack6 = stackProfile{
		guard:  "BUG: TASK stack guard page was hit at 0000000000000000 (stack is 0000000000000000..0000000000000000)",
		dies:   "stack guard page",
		panics: "TASK stack guard hit",
		asNMI:  true,
	}
)

// StackOverflow is a function that calls itself until its stack is full. With a guard page below it
// (CONFIG_VMAP_STACK) x86 notices by a double fault, and arm64 before it saves the registers.
type StackOverflow struct{}

func (StackOverflow) fail(m *Machine, x *context) {
	if m.kernel.arch == archARM64 {
		m.badStackARM64(x)
		return
	}
	t := &m.kernel.stack
	if t.guard == "" {
		return
	}
	defer m.in("handle_stack_overflow")()
	m.enterDoubleFault(x)
	m.printk(emergency, t.guard)
	m.die(x, oops{str: t.dies})
	m.panic(x, "%s", t.panics)
}

// enterDoubleFault is what handling a double fault counts as.
func (m *Machine) enterDoubleFault(x *context) {
	if m.kernel.stack.asNMI {
		x.ofTask = x.in == InTask
		x.in = InNMI
	}
}

// StackEnd is a task whose stack has grown over the mark at its end, found by the scheduler
// (kernel/sched/core.c, schedule_debug, with CONFIG_SCHED_STACK_END_CHECK).
type StackEnd struct{}

func (StackEnd) fail(m *Machine, x *context) {
	defer m.in("schedule_debug")()
	m.panic(x, "corrupted stack end detected inside scheduler")
}

package matrix

// word is what people are told about a step.
type word struct {
	does string
	// idle is what is said instead if nothing has come of it: no line, no time, and no further step.
	idle string
	// minor says that nothing depends on it.
	minor bool
	// says says it where that depends on more.
	says func(c *context, i int) (does string, minor bool)
}

// words are those of all steps, by their names in the kernel. A test holds that none lacks.
var words = map[string]word{
	// How it begins.
	"__handle_sysrq":    {does: "does what the key of SysRq says"},
	"do_exit":           {does: "ends the process; PID 1 must not end, so the kernel panics"},
	"exit_notify":       {does: "looks for who takes over the children of the process; PID 1's have nobody"},
	"kernel_init":       {does: "looks for the first program"},
	"mount_block_root":  {does: "mounts the root file system"},
	"watchdog_timer_fn": {does: "the timer of the soft lockup detector finds that the CPU schedules nobody"},
	"watchdog_overflow_callback": {
		does: "the NMI of the hard lockup detector finds that the CPU takes no interrupts",
	},
	"rcu_sched_clock_irq":        {does: "RCU finds that a CPU has been busy for too long"},
	"check_hung_task":            {does: "khungtaskd finds a task that has been in state D for too long"},
	"softdog_fire":               {does: "the timer of softdog fires: nobody has fed it"},
	"watchdog_notify_pretimeout": {does: "the governor of the pretimeout is told that a reset is near"},
	"out_of_memory": {says: func(c *context, i int) (string, bool) {
		return yes(c, i, "finds no memory, and panics as vm.panic_on_oom says",
			"finds no memory, and looks for a process to kill"), false
	}},
	"dump_header": {does: "shows the memory", minor: true},
	"mce_panic": {
		does: "a machine check that cannot be outlived: if kernel.panic is 0, the kernel takes 30 s instead",
	},
	"pci_serr_error":    {does: "an NMI for SERR on the bus"},
	"io_check_error":    {does: "an NMI for an error of a card"},
	"unknown_nmi_error": {does: "an NMI of which nobody knows why"},
	"handle_stack_overflow": {
		does: "the guard page below the stack has been hit",
	},
	"handle_bad_stack": {does: "the stack has no room for the exception", minor: true},
	"panic_bad_stack":  {does: "the stack has no room left: the kernel panics on another one"},
	"schedule_debug":   {does: "the scheduler finds that the end of the stack is overwritten"},
	"__schedule_bug":   {does: "the scheduler is called by a task that must not be preempted"},

	"force_sig_fault":       {does: "sends PID 1 a signal that ends even it"},
	"kernel_power_off":      {does: "powers off: tells the drivers, shuts the devices down"},
	"do_sync_work":          {does: "writes all disks, and does not wait for them"},
	"do_emergency_remount":  {does: "makes all file systems read-only"},
	"do_thaw_all":           {does: "thaws the file systems that are frozen"},
	"show_mem":              {does: "shows the memory"},
	"sysrq_timer_list_show": {does: "shows the timers"},
	"ftrace_dump":           {does: "shows what ftrace has"},
	"watchdog_release":      {does: "who has fed the watchdog has ended"},
	"BUG":                   {does: "a BUG, which is no instruction here: it panics"},
	"machine_restart":       {does: "restarts the machine"},

	// From the exception to die().
	"do_page_fault":         {does: "the kernel has used an address that it cannot", minor: true},
	"__do_page_fault":       {does: "the kernel has used an address that it cannot", minor: true},
	"__do_kernel_fault":     {does: "the kernel has used an address that it cannot", minor: true},
	"el1h_64_sync_handler":  {does: "takes the exception", minor: true},
	"el1_sync_handler":      {does: "takes the exception", minor: true},
	"el0t_64_error_handler": {does: "takes the SError", minor: true},
	"do_serror":             {does: "sees whether the SError can be outlived", minor: true},
	"arm64_serror_panic":    {does: "it cannot: the kernel panics"},
	"el1_abort":             {does: "the kernel has used an address that it cannot", minor: true},
	"el1_abort: do_mem_abort": {
		does: "looks for who handles the fault, and finds nobody", minor: true,
	},
	"do_mem_abort":      {does: "looks for who handles the fault, and finds nobody", minor: true},
	"el1_undef":         {does: "the kernel has executed what is no instruction", minor: true},
	"el1_inv":           {does: "an exception that there should not be", minor: true},
	"bad_mode":          {does: "an exception that there should not be"},
	"__panic_unhandled": {does: "an exception that the kernel does not expect: it panics"},
	"die_kernel_fault":  {does: "says which address it was"},
	"mem_abort_decode":  {does: "says what the exception register has", minor: true},
	"data_abort_decode": {does: "says what the exception register has", minor: true},
	"show_pte":          {does: "shows the page tables of the address", minor: true},

	// An oops.
	"die":               {does: "an oops: the kernel cannot go on where it is"},
	"oops_enter":        {does: "stops tracing, and lets the other CPUs wait if pause_on_oops says so", minor: true},
	"die_lock":          {does: "only one CPU at a time may die", minor: true},
	"console_verbose":   {does: "from here on the console shows every line", minor: true},
	"bust_spinlocks(1)": {does: "printing does not wait for locks any more", minor: true},
	"bust_spinlocks(0)": {does: "printing waits for locks again", minor: true},
	"show_fault_oops":   {does: "says which address it was", idle: "it was no address"},
	"report_bug":        {does: "says where the BUG stands", idle: "it was no BUG"},
	"__die_header":      {does: "says what it was, and counts"},
	"__die_body":        {does: "shows modules, registers and the stack", minor: true},
	"show_regs":         {does: "shows the registers", minor: true},
	"notify_die":        {does: "tells debuggers, which may mend it", idle: "there is no debugger to tell"},
	"page_fault_oops":   {does: "shows the address register", minor: true},
	"add_taint":         {does: "marks the kernel as tainted", minor: true},
	"die_unlock":        {does: "the next CPU may die", minor: true},
	"oops_exit":         {does: "ends the report, and lets pstore keep the log if its max_reason says so"},
	"__show_regs":       {does: "shows the registers once more", minor: true},
	"NOTIFY_STOP":       {does: "has a debugger mended it? no", minor: true},
	"in_interrupt": {says: func(c *context, i int) (string, bool) {
		return yes(c, i, "it was in an interrupt, which cannot be given up: the kernel panics",
			"it was in no interrupt, so that the task can be given up"), !c.holds(i, "panic")
	}},
	"panic_on_oops": {says: func(c *context, i int) (string, bool) {
		return yes(c, i, "kernel.panic_on_oops says that an oops is a panic",
			"kernel.panic_on_oops is 0: the kernel goes on without the task"), false
	}},
	"make_task_dead": {says: func(c *context, i int) (string, bool) {
		return yes(c, i, "the kernel cannot do without this task, or has seen too many oopses: it panics",
			"kills the task; what it had locked stays locked"), false
	}},

	// A warning.
	"__warn":        {does: "a warning: the kernel sees that something is odd, and could go on"},
	"cut here":      {does: "begins the report", minor: true},
	"text":          {does: "says what is odd", minor: true},
	"WARNING":       {does: "says where it is"},
	"print_modules": {does: "lists the modules", minor: true},
	"check_panic_on_warn": {says: func(c *context, i int) (string, bool) {
		return yes(c, i, "kernel.panic_on_warn or warn_limit says that this is a panic",
			"kernel.panic_on_warn is 0, and warn_limit is not reached: the kernel goes on"), false
	}},
	"print_oops_end_marker": {does: "ends the report", minor: true},

	// A panic.
	"panic":                     {does: "panic(): the kernel gives up"},
	"panic_on_warn":             {does: "a warning from here on is no second panic", minor: true},
	"local_irq_disable":         {does: "this CPU takes no interrupts any more", minor: true},
	"preempt_disable":           {does: "nobody else runs on this CPU any more", minor: true},
	"panic_cpu":                 {does: "this CPU is the one that panics", minor: true},
	"spin_trylock(&panic_lock)": {does: "this CPU is the one that panics", minor: true},
	"panic_smp_self_stop":       {does: "another CPU panics already: this one stops"},
	"pr_emerg":                  {does: "says why"},
	"dump_stack": {
		idle: "an oops has shown the stack already",
		says: func(c *context, i int) (string, bool) { return "shows the stack", c.around(i) != "panic" },
	},
	"panic_try_force_cpu":  {does: "hands the panic on to the CPU of panic_force_cpu=", idle: "this CPU may be the one that panics"},
	"kgdb_panic":           {does: "a debugger takes over", idle: "there is no debugger to take over"},
	"crash_kexec":          {says: kexecs},
	"__crash_kexec":        {says: kexecs},
	"__crash_kexec (late)": {says: kexecs},
	"smp_send_stop":        {says: stops},
	"crash_smp_send_stop":  {says: stops},
	"nmi_backtrace":        {does: "the other CPUs show where they are", minor: true},
	"showacpu":             {does: "the other CPUs show where they are", minor: true},
	"panic_notifier_list":  {does: "tells those who want to know of a panic: hypervisors, modules"},
	"panic_print_sys_info": {does: "shows what kernel.panic_print says", idle: "kernel.panic_print is 0"},
	"kmsg_dump": {says: func(c *context, _ int) (string, bool) {
		if c.spec.Ramoops {
			return "pstore keeps the kernel log for the next boot", false
		}
		return "nobody keeps the kernel log: pstore has no backend", false
	}},
	"console_unblank":                {does: "switches the screen on", minor: true},
	"console_flush_on_panic":         {does: "sends what the console has not shown yet", minor: true},
	"console_replay":                 {does: "shows the whole log once more", idle: "kernel.panic_print does not ask for the log"},
	"debug_locks_off":                {does: "looks after no locks any more", minor: true},
	"unblank_screen":                 {does: "switches the screen on", minor: true},
	"printk_safe_flush_on_panic":     {does: "takes over what has been said in NMIs", minor: true},
	"printk_legacy_allow_panic_sync": {does: "old consoles may print from here again", minor: true},
	"nbcon_atomic_flush_unsafe":      {does: "sends what the console has not shown yet, whoever has it", minor: true},
	"panic_timeout": {says: func(c *context, i int) (string, bool) {
		p := &c.all[i]
		switch {
		case p.To > p.From:
			return "waits for kernel.panic seconds", false
		case len(c.own(i)) > 0:
			return "kernel.panic has more milliseconds than an int can hold: no wait at all", false
		}
		return "kernel.panic is not above 0: no wait", true
	}},
	"panic_reboot_mode": {does: "takes the mode of reboot=panic_..., if there is one", minor: true},
	"emergency_restart": {says: func(c *context, i int) (string, bool) {
		if i == len(c.all)-1 {
			return "restarts the machine, without syncing any disk", false
		}
		return "kernel.panic is 0: the kernel does not restart the machine", false
	}},
	"end Kernel panic": {does: "says its last line"},
	"suppress_printk":  {does: "nothing is printed any more", minor: true},
	"local_irq_enable": {does: "interrupts are on again, if the interrupt controller were", minor: true},
	endlessLoop:        {does: "waits for ever: only a watchdog in hardware, or somebody's hand, ends this"},

	// The crash kernel.
	"machine_crash_shutdown":               {does: "makes the machine ready for the crash kernel"},
	"nmi_shootdown_cpus":                   {does: "stops the other CPUs by NMI, and keeps their registers"},
	"machine_crash_nonpanic_core":          {does: "stops the other CPUs, and keeps their registers"},
	"cpu_crash_vmclear_loaded_vmcss":       {does: "puts away the state of virtual machines", minor: true},
	"cpu_emergency_disable_virtualization": {does: "switches virtualization off", minor: true},
	"cpu_emergency_stop_pt":                {does: "stops Intel's processor trace", minor: true},
	"ioapic_zap_locks":                     {does: "does not wait for locks of the I/O APIC", minor: true},
	"clear_IO_APIC":                        {does: "switches the I/O APIC off", minor: true},
	"lapic_shutdown":                       {does: "switches the local APIC off", minor: true},
	"restore_boot_irq_mode":                {does: "interrupts are as at boot again", minor: true},
	"hpet_disable":                         {does: "switches the HPET off", minor: true},
	"enc_kexec":                            {does: "makes encrypted memory readable", minor: true},
	"sdei_mask_local_cpu":                  {does: "the firmware sends no events any more", minor: true},
	"crash_save_cpu":                       {does: "keeps the registers of this CPU", minor: true},
	"machine_kexec_mask_interrupts":        {does: "switches all interrupts off", minor: true},
	"pr_info":                              {does: "says that the crash kernel is next", minor: true},
	"machine_kexec":                        {does: "jumps into the crash kernel"},
}

// yes is the first text if a panic came of a step, and the second if not.
func yes(c *context, i int, panics, not string) string {
	if c.holds(i, "panic") {
		return panics
	}
	return not
}

// kexecs is a try to start the crash kernel.
func kexecs(c *context, i int) (does string, minor bool) {
	name := c.all[i].Name
	switch {
	case c.holds(i, "machine_kexec"):
		return "a crash kernel is loaded: it is started", false
	case !c.spec.CrashKernel:
		return "no crash kernel is loaded", name == "__crash_kexec (late)"
	case name == "__crash_kexec (late)":
		return "the crash kernel would have been started before", true
	}
	return "the crash kernel is not started here", false
}

// stops is how the other CPUs are stopped.
func stops(c *context, i int) (does string, minor bool) {
	if c.spec.CPUs <= 1 {
		return "there is no other CPU to stop", true
	}
	if c.around(i) == "crash_smp_send_stop" && c.all[i].From == c.all[i].To {
		return "stops the other CPUs", true
	}
	if p := &c.all[i]; p.To > p.From {
		return "stops the other CPUs, and waits for one that does not listen", false
	}
	return "stops the other CPUs", false
}

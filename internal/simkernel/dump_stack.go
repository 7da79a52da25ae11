package simkernel

import (
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// dumpProfile is what a stack dump looks like. The frames themselves are not the model's to know:
// between its lines a real kernel has them.
type dumpProfile struct {
	// trace is the line before the frames.
	trace string
	// tags says that they stand between <TASK> and </TASK>.
	tags bool
	// uid says that there is the user's number.
	uid bool
	// machine is what firmware says the machine is.
	machine string
	// regs are the lines of the registers. Their values mean nothing: the model computes
	// with none.
	regs []string
}

// The lines of registers (arch/x86/kernel/process_64.c).
var (
	regsX86 = []string{
		"RIP: 0010:0xffffffff81000000",
		"Code: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 <90>",
		"RSP: 0018:0000000000000000 EFLAGS: 00000246",
		"RAX: 0000000000000000 RBX: 0000000000000000 RCX: 0000000000000000",
		"RDX: 0000000000000000 RSI: 0000000000000000 RDI: 0000000000000000",
		"RBP: 0000000000000000 R08: 0000000000000000 R09: 0000000000000000",
		"R10: 0000000000000000 R11: 0000000000000000 R12: 0000000000000000",
		"R13: 0000000000000000 R14: 0000000000000000 R15: 0000000000000000",
		"FS:  0000000000000000(0000) GS:0000000000000000(0000) knlGS:0000000000000000",
		"CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033",
		"CR2: 0000000000000000 CR3: 0000000000000000 CR4: 00000000000006f0",
	}
)

var (
	dump26   = dumpProfile{trace: "Call Trace:"}
	dump4    = dumpProfile{trace: "Call Trace:", machine: pcName, regs: regsX86}
	dump6    = dumpProfile{trace: "Call Trace:", tags: true, machine: pcName, regs: regsX86}
	dump612  = dumpProfile{trace: "Call Trace:", tags: true, uid: true, machine: pcName, regs: regsX86}
	dumpARM  = dumpProfile{trace: "Backtrace: "}
	dumpMIPS = dumpProfile{trace: "Call Trace:"}
)

const (
	pcName   = "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014"
	virtName = "linux,dummy-virt (DT)"
)

// dumpStack is dump_stack() (lib/dump_stack.c).
func (m *Machine) dumpStack(x *context) {
	defer m.in("dump_stack")()
	m.dumpStackInfo(x)
	m.showStack(x)
}

// dumpStackInfo says who and where (kernel/printk/printk.c, dump_stack_print_info).
func (m *Machine) dumpStackInfo(x *context) {
	d := &m.kernel.dump
	uid := ""
	if d.uid {
		uid = "UID: 0 "
	}
	m.printk(defaultMessageLevel, "CPU: "+strconv.Itoa(x.cpu.id)+" "+uid+"PID: "+
		strconv.Itoa(int(x.who.pid))+" Comm: "+x.who.comm+" "+m.kdumpLoaded()+m.printTainted()+" "+
		m.kernel.release+" "+firstWord(m.kernel.version))
	m.spellTaints()
	if d.machine != "" {
		m.printk(defaultMessageLevel, "Hardware name: "+d.machine)
	}
}

// firstWord is a text up to its first blank.
func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// showRegs is show_regs(): who, where, the registers and the stack.
func (m *Machine) showRegs(x *context) {
	defer m.in("show_regs")()
	m.dumpStackInfo(x)
	for _, line := range m.kernel.dump.regs {
		m.printk(defaultMessageLevel, line)
	}
	m.showStack(x)
}

// printModules is the list of modules (kernel/module/main.c, print_modules).
func (m *Machine) printModules() {
	m.printk(defaultMessageLevel, "Modules linked in:"+m.modules())
}

// modules are the modules that the machine has loaded, each after a blank.
func (m *Machine) modules() string {
	var b strings.Builder
	for _, name := range m.cfg.Panic.Modules {
		b.WriteString(" " + name)
	}
	return b.String()
}

// showStack is what stands around the frames.
func (m *Machine) showStack(x *context) { m.showStackAt(defaultMessageLevel, x) }

// showStackAt is the same at another level.
func (m *Machine) showStackAt(level kernel.Level, x *context) {
	d := &m.kernel.dump
	m.printk(level, d.trace)
	if !d.tags {
		return
	}
	in := x.in
	if x.ofTask {
		in = InTask
	}
	switch in {
	case InHardIRQ, InSoftIRQ:
		m.printk(level, " <IRQ>")
		m.printk(level, " </IRQ>")
	case InNMI:
		m.printk(level, " <NMI>")
		m.printk(level, " </NMI>")
	case InTask:
	}
	m.printk(level, " <TASK>")
	m.printk(level, " </TASK>")
}

// panicPrint prints what panic_print asks for (kernel/panic.c, panic_print_sys_info). Of the kernel's
// own tables, which the model does not have, there is the first line only. Locks are shown by kernels
// that check them, and these do not.
func (m *Machine) panicPrint() {
	bits := m.panicPrints()
	if bits&panicPrintTasks != 0 {
		m.showState(false)
	}
	if bits&panicPrintMemory != 0 {
		m.showMem()
	}
	if bits&panicPrintTimers != 0 {
		m.showTimers()
	}
	if bits&panicPrintFtrace != 0 {
		m.dumpFtrace()
	}
	if bits&panicPrintBlocked != 0 {
		m.showState(true)
	}
}

// showMem, showTimers and dumpFtrace are show_mem, sysrq_timer_list_show and ftrace_dump. What they
// would have to show is not the model's to know, but for the first line.
func (m *Machine) showMem() {
	defer m.in("show_mem")()
	m.printk(defaultMessageLevel, "Mem-Info:")
}

func (m *Machine) showTimers() {
	defer m.in("sysrq_timer_list_show")()
	m.printk(defaultMessageLevel, "Timer List Version: v0.9")
}

func (m *Machine) dumpFtrace() {
	defer m.in("ftrace_dump")()
	m.printk(emergency, "Dumping ftrace buffer:")
	m.printk(emergency, "   (ftrace buffer empty)")
}

// panicPrints are the bits of panic_print that the version knows.
func (m *Machine) panicPrints() int64 {
	return m.knobNumber("kernel/panic_print") & m.kernel.panic.prints
}

// backtraceOfAll lets every CPU show where it is, this one first, which needs no interrupt for that
// (trigger_all_cpu_backtrace). It reports whether CPUs can be asked by an NMI, and does nothing where not.
func (m *Machine) backtraceOfAll(x *context) bool {
	if !m.kernel.backtraces {
		return false
	}
	m.printk(kernel.Warning, "NMI backtrace for cpu "+strconv.Itoa(x.cpu.id))
	m.dumpStack(x)
	m.allCPUBacktrace(x)
	return true
}

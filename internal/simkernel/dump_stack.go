package simkernel

import (
	"strconv"

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
}

var (
	dump26    = dumpProfile{trace: "Call Trace:"}
	dump4     = dumpProfile{trace: "Call Trace:", machine: pcName}
	dump6     = dumpProfile{trace: "Call Trace:", tags: true, machine: pcName}
	dump612   = dumpProfile{trace: "Call Trace:", tags: true, uid: true, machine: pcName}
	dumpARM   = dumpProfile{trace: "Backtrace: "}
	dumpARM64 = dumpProfile{trace: "Call trace:", machine: virtName}
	dumpMIPS  = dumpProfile{trace: "Call Trace:"}
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
		strconv.Itoa(int(x.who.pid))+" Comm: "+x.who.comm+" "+m.printTainted()+" "+
		m.kernel.release+" "+m.kernel.version)
	if d.machine != "" {
		m.printk(defaultMessageLevel, "Hardware name: "+d.machine)
	}
}

// showStack is what stands around the frames.
func (m *Machine) showStack(x *context) {
	d := &m.kernel.dump
	m.printk(defaultMessageLevel, d.trace)
	if !d.tags {
		return
	}
	if x.in == inHardIRQ || x.in == inSoftIRQ {
		m.printk(defaultMessageLevel, " <IRQ>")
		m.printk(defaultMessageLevel, " </IRQ>")
	}
	m.printk(defaultMessageLevel, " <TASK>")
	m.printk(defaultMessageLevel, " </TASK>")
}

// panicPrint prints what panic_print asks for (kernel/panic.c, panic_print_sys_info): here only that
// it was asked. What the kernel prints are its own tables, of which the model has none.
func (m *Machine) panicPrint(*context) {
	bits := m.knobNumber("kernel/panic_print")
	if bits&panicPrintTasks != 0 {
		for p := m.all.first; p != nil; p = p.nextAll {
			m.printk(kernel.Info, "task:"+p.name()+" state:"+p.state.String()+" pid:"+
				strconv.Itoa(int(p.pid)))
		}
	}
}

package simkernel

import (
	"slices"
	"strconv"
)

// forceCPUArgument takes panic_force_cpu=N: which CPU is to panic, whoever calls panic(), for not every
// crash kernel can start on any (kernel/panic.c, panic_force_cpu_setup; 7.0).
func (m *Machine) forceCPUArgument(value string) {
	if !slices.Contains(m.kernel.panic.steps, panicForceCPU) {
		return
	}
	n, err := strconv.ParseInt(value, 0, 32)
	if err != nil || n < 0 || int(n) >= m.possibleCPUs() {
		defer m.in("panic_force_cpu_setup")()
		m.printk(warning, "panic_force_cpu: invalid value '"+value+"'")
		return
	}
	m.forcedCPU = new(int)
	*m.forcedCPU = int(n)
}

// panicForcedCPU hands the panic on to the CPU that is to have it, and stops this one (kernel/panic.c,
// panic_try_force_cpu). It is asked by an interrupt: one that takes none never panics.
func (m *Machine) panicForcedCPU(r *panicRun) {
	x, d := r.context, &m.dying
	if m.forcedCPU == nil || *m.forcedCPU == x.cpu.id {
		return
	}
	target := &m.cpus[*m.forcedCPU]
	from, to := strconv.Itoa(x.cpu.id), strconv.Itoa(target.id)
	if !target.online {
		m.printk(warning, "panic: target CPU "+to+" is offline, continuing on CPU "+from)
		return
	}
	if d.owner != nil || d.redirected != nil {
		return
	}
	d.redirected = x.cpu
	m.consoleVerbose()
	d.oopsInProgress++
	m.printk(emergency, "panic: Redirecting from CPU "+from+" to CPU "+to+" for crash kernel.")
	if !m.isTainted(taintDie) && d.oopsInProgress <= 1 {
		m.dumpStack(x)
	}
	m.interruptAt(m.now, target.id, Do(func(m *Machine) {
		there := &context{cpu: target, who: target.stuck, in: InHardIRQ}
		if there.who == nil {
			there.who = m.idleTask(target.id)
		}
		m.panic(there, "%s", r.text)
	}))
	x.cpu.online = false
	m.panicSelfStop(x)
}

// redirectedHere says that another CPU has handed the panic on, and shown its own stack.
func (m *Machine) redirectedHere(c *cpu) bool {
	from := m.dying.redirected
	if from == nil || from == c || m.forcedCPU == nil || *m.forcedCPU != c.id {
		return false
	}
	m.printk(emergency, "panic: Redirected from CPU "+strconv.Itoa(from.id)+", skipping stack dump.")
	return true
}

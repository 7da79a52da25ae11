package simkernel

import (
	"fmt"

	"github.com/rebound-init/rebound/internal/kernel"
)

// ScheduleAtomic is a task that waits although it holds a lock which keeps it from being preempted
// (kernel/sched/core.c, __schedule_bug). It goes on all the same.
type ScheduleAtomic struct{}

func (ScheduleAtomic) fail(m *Machine, x *context) {
	defer m.in("__schedule_bug")()
	m.printk(kernel.Error, fmt.Sprintf("BUG: scheduling while atomic: %s/%d/0x%08x",
		x.who.comm, x.who.pid, x.preempt+1))
	m.printModules()
	m.checkPanicOnWarn(x, "scheduling while atomic")
	if x.over(m) {
		return
	}
	m.dumpStack(x)
	m.addTaint(x, taintWarn)
}

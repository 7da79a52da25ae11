package simkernel

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// OutOfMemory is an allocation that finds no page, by the process of a name, or by nobody in
// particular (mm/oom_kill.c, out_of_memory).
type OutOfMemory struct {
	Name string
	// Constrained says that only a cgroup or a cpuset has none left, and Sysrq that somebody
	// has pressed the key: that never panics.
	Constrained, Sysrq bool
}

// oomProfile is what a kernel says when it has no memory.
type oomProfile struct {
	systemWide, compulsory string
	// hopeless is the panic when there is nobody to kill, and warns what is said before.
	hopeless, warns string
	killed          string // the number and the name
	// chose is what is said of the choice before: the same two.
	chose string
}

var (
	oom26 = oomProfile{
		systemWide: "out of memory. panic_on_oom is selected",
		compulsory: "out of memory. Compulsory panic_on_oom is selected.",
		hopeless:   "Out of memory and no killable processes...",
		killed:     "Out of memory: kill process %d (%s) score 0 or a child",
	}
	oom3 = oomProfile{
		systemWide: "Out of memory: system-wide panic_on_oom is enabled",
		compulsory: "Out of memory: compulsory panic_on_oom is enabled",
		hopeless:   "Out of memory and no killable processes...",
		killed:     "Out of memory: Kill process %d (%s) score 0 or sacrifice child",
	}
	oom4 = oomProfile{
		systemWide: "Out of memory: system-wide panic_on_oom is enabled",
		compulsory: "Out of memory: compulsory panic_on_oom is enabled",
		warns:      "Out of memory and no killable processes...",
		hopeless:   "System is deadlocked on memory",
		killed:     "Out of memory: Killed process %d (%s)",
	}
	oom5 = oomProfile{
		systemWide: oom4.systemWide, compulsory: oom4.compulsory, warns: oom4.warns,
		hopeless: oom4.hopeless, killed: oom4.killed,
		chose: "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0," +
			"global_oom,task_memcg=/,task=%[2]s,pid=%[1]d,uid=0",
	}
)

func (f OutOfMemory) fail(m *Machine, x *context) {
	defer m.in("out_of_memory")()
	o := &m.kernel.oom
	for p := m.all.first; p != nil && f.Name != ""; p = p.nextAll {
		if p.isNamed(f.Name) {
			x = &context{cpu: x.cpu, who: &occupant{p.name(), p.pid, p}, in: x.in}
			break
		}
	}
	policy := m.knobNumber("vm/panic_on_oom")
	if !f.Sysrq && (policy == 2 || policy == 1 && !f.Constrained) {
		m.dumpMemory(x)
		if policy == 2 {
			m.panic(x, "%s", o.compulsory)
		} else {
			m.panic(x, "%s", o.systemWide)
		}
		return
	}
	victim := m.oomVictim(x)
	if victim == nil {
		m.dumpMemory(x)
		if o.warns != "" {
			m.printk(kernel.Warning, o.warns)
		}
		if !f.Sysrq && !f.Constrained {
			m.panic(x, "%s", o.hopeless)
		}
		return
	}
	m.dumpMemory(x)
	if o.chose != "" {
		m.printk(kernel.Info, fmt.Sprintf(o.chose, victim.pid, victim.name()))
	}
	m.printk(kernel.Error, fmt.Sprintf(o.killed, victim.pid, victim.name()))
	m.send(victim, syscall.SIGKILL, true)
}

// oomVictim is who is killed: who has asked, if kernel.oom_kill_allocating_task says so, or the
// youngest, as the model has no sizes. Never PID 1, nor a thread of the kernel.
func (m *Machine) oomVictim(x *context) *process {
	if p := x.who.task; p != nil && p.lead != m.init && m.isSet("vm/oom_kill_allocating_task") {
		return p.lead
	}
	var victim *process
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && !p.is(taskKthread) && p.state != Zombie {
			victim = p
		}
	}
	return victim
}

// dumpMemory is dump_header: who asked, the stack, and tables, of which the model has the lines that
// say who there is.
func (m *Machine) dumpMemory(x *context) {
	defer m.in("dump_header")()
	m.printk(kernel.Warning, x.who.comm+" invoked oom-killer: gfp_mask=0x140dca"+
		"(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0")
	m.dumpStack(x)
	m.printk(defaultMessageLevel, "Mem-Info:")
	if !m.isSet("vm/oom_dump_tasks") {
		return
	}
	m.printk(kernel.Info, "Tasks state (memory values in pages):")
	kinds := ""
	if m.kernel.dump.uid {
		kinds = "rss_anon rss_file rss_shmem "
	}
	m.printk(kernel.Info, "[  pid  ]   uid  tgid total_vm      rss "+kinds+"pgtables_bytes swapents "+
		"oom_score_adj name")
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && !p.is(taskKthread) && p.state != Zombie {
			m.printk(kernel.Info, fmt.Sprintf("[%7d]     0 %5d        0        0        0        0"+
				"             0 %s", p.pid, p.pid, strings.TrimSpace(p.name())))
		}
	}
}

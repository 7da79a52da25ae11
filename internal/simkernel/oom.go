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
	// killed are the lines about who is: the number and the name.
	killed []string
	// chose is what is said of the choice before: the same two.
	chose string
	// asked is the line about who wants memory, and askedLevel its level.
	asked      string
	askedLevel kernel.Level
	// mem is the first line of what there is of it.
	mem saying
	// tasks are the lines before those of the processes, and task the one of each: its number
	// twice, and its name. Without them they are not listed.
	tasks []string
	task  string
}

var (
	// What is in the log is the same up to 3.10, but for the line at its beginning.
	oom2617 = oomProfile{
		systemWide: "out of memory. panic_on_oom is selected",
		compulsory: "out of memory. Compulsory panic_on_oom is selected.",
		hopeless:   "Out of memory and no killable processes...",
		killed:     []string{"Out of memory: Killed process %d (%s)."},
		asked:      "oom-killer: gfp_mask=0x280d2, order=0", askedLevel: defaultMessageLevel,
		mem: saying{info, "Mem-info:"},
	}
	oom2624 = oomProfile{
		systemWide: oom2617.systemWide, compulsory: oom2617.compulsory, hopeless: oom2617.hopeless,
		killed: []string{
			"Out of memory: kill process %d (%s) score 0 or a child", "Killed process %d (%s)",
		},
		asked:      "{comm} invoked oom-killer: gfp_mask=0x280d2, order=0, oomkilladj=0",
		askedLevel: warning, mem: oom2617.mem,
	}
	oom3 = oomProfile{
		systemWide: "Out of memory: system-wide panic_on_oom is enabled",
		compulsory: "Out of memory: compulsory panic_on_oom is enabled",
		hopeless:   "Out of memory and no killable processes...",
		killed:     oomSacrifices,
		asked:      "{comm} invoked oom-killer: gfp_mask=0x280da, order=0, oom_score_adj=0",
		askedLevel: warning, mem: saying{defaultMessageLevel, "Mem-Info:"},
		tasks: []string{"[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name"},
		task:  "[%5d]     0 %5d        0        0       0        0             0 %s",
	}
	oom4 = oomProfile{
		systemWide: oom3.systemWide, compulsory: oom3.compulsory,
		warns:    "Out of memory and no killable processes...",
		hopeless: "System is deadlocked on memory",
		killed:   oomSacrifices,
		asked: "{comm} invoked oom-killer: gfp_mask=0x6280ca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO), " +
			"nodemask=(null), order=0, oom_score_adj=0",
		askedLevel: warning, mem: oom3.mem, tasks: oomTasks, task: oomTask,
	}
	oom5 = oomProfile{
		systemWide: oom3.systemWide, compulsory: oom3.compulsory, warns: oom4.warns,
		hopeless: oom4.hopeless, killed: []string{"Out of memory: Killed process %d (%s)"},
		chose: "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0," +
			"global_oom,task_memcg=/,task=%[2]s,pid=%[1]d,uid=0",
		asked: "{comm} invoked oom-killer: gfp_mask=0x140dca" +
			"(GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO), order=0, oom_score_adj=0",
		askedLevel: warning, mem: oom3.mem, tasks: oomTasks, task: oomTask,
	}
	oom612 = oom5.withTasks(oomTasks[0], "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file "+
		"rss_shmem pgtables_bytes swapents oom_score_adj name")

	oomSacrifices = []string{
		"Out of memory: Kill process %d (%s) score 0 or sacrifice child", "Killed process %d (%s)",
	}
	oomTasks = []string{
		"Tasks state (memory values in pages):",
		"[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
	}
)

const oomTask = "[%7d]     0 %5d        0        0        0        0             0 %s"

// withTasks is the same with other lines before the processes.
func (p oomProfile) withTasks(lines ...string) oomProfile {
	p.tasks = lines
	return p
}

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
	if t := x.who.task; f.Name != "" && t != nil && t.lead != m.init && !t.is(taskKthread) {
		// Who wants more than there is has more than all others.
		victim = t.lead
	}
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
	for _, line := range o.killed {
		m.printk(kernel.Error, fmt.Sprintf(line, victim.pid, victim.name()))
	}
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
	o := &m.kernel.oom
	m.printk(o.askedLevel, strings.ReplaceAll(o.asked, "{comm}", x.who.comm))
	m.dumpStack(x)
	m.printk(o.mem.level, o.mem.text)
	if o.task == "" || !m.isSet("vm/oom_dump_tasks") {
		return
	}
	for _, line := range o.tasks {
		m.printk(kernel.Info, line)
	}
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && !p.is(taskKthread) && p.state != Zombie {
			m.printk(kernel.Info, fmt.Sprintf(o.task, p.pid, p.pid, strings.TrimSpace(p.name())))
		}
	}
}

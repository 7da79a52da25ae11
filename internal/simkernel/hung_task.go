package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// hungProfile is what a kernel says of a task that stays in D (kernel/hung_task.c).
type hungProfile struct {
	// task is the line of its state: name, number, number of the parent. Without it there
	// is no detector.
	task string
	// says says that the kernel tells its version.
	says bool
	// low says that the lines around the frames have the level of the task's line. Before 5.8
	// they have the one of those that say none.
	low bool
}

var (
	hung3   = hungProfile{task: "%-15.15s D 00000000     0 %5d %6d 0x00000000"}
	hung4   = hungProfile{task: "%-15.15s D    0 %5d %6d 0x00000000", says: true}
	hung5   = hungProfile{task: "task:%-15.15s state:D stack:    0 pid:%5d ppid:%6d flags:0x00000000", says: true, low: true}
	hung6   = hungProfile{task: "task:%-15s state:D stack:0     pid:%-5d ppid:%-6d flags:0x00000000", says: true, low: true}
	hung612 = hungProfile{
		task: "task:%-15s state:D stack:0     pid:%-5d tgid:%-5[2]d ppid:%-6[3]d flags:0x00000000",
		says: true, low: true,
	}
)

// seenHung is a task in D, as khungtaskd has last seen it.
type seenHung struct {
	turn  uint32
	since time.Duration
}

// enterD counts who is in D, and says when khungtaskd looks next. As long as nobody is there it has
// nothing to find, and does not wake up: see nextHung.
func (m *Machine) enterD() {
	m.inD++
	if m.hungAt <= m.now {
		m.watchHung()
	}
}

// watchHung says when khungtaskd looks next.
func (m *Machine) watchHung() {
	m.hungAt = kernel.Never
	if m.cfg.Namespace || m.kernel.hung.task == "" {
		return
	}
	if every := m.hungInterval(); every != 0 {
		m.hungAt = (m.now/every + 1) * every
	}
}

// nextHung reports whether khungtaskd is who does something next, before the given event.
func (m *Machine) nextHung(at time.Duration, more bool) bool {
	return m.inD > 0 && m.hungAt > 0 && m.hungAt != kernel.Never && (!more || m.hungAt < at)
}

// hungTimeout is how long a task may stay in D, and hungInterval how often that is looked at.
func (m *Machine) hungTimeout() time.Duration {
	return time.Duration(m.knobNumber("kernel/hung_task_timeout_secs")) * time.Second
}

func (m *Machine) hungInterval() time.Duration {
	t := m.hungTimeout()
	n := time.Duration(m.knobNumber("kernel/hung_task_check_interval_secs")) * time.Second
	if n != 0 && n < t {
		return n
	}
	return t
}

// checkHung is check_hung_uninterruptible_tasks. After an oops or a panic it looks no more: what
// hangs then may hang because of that.
func (m *Machine) checkHung() {
	m.hungAt = kernel.Never
	t := m.hungTimeout()
	if t == 0 || m.isTainted(taintDie) || m.dying.first != nil {
		return
	}
	defer m.in("check_hung_task")()
	seen := make(map[*process]seenHung)
	panics, waits := false, false
	left := m.knobNumber("kernel/hung_task_check_count")
	for p := m.all.first; p != nil && left > 0; p = p.nextAll {
		m.eachThread(p, func(o *process) {
			left--
			if o.state != Uninterruptible || o.is(taskKillable) || o.is(taskDying) {
				return
			}
			waits = true
			was, known := m.hungSeen[o]
			if !known || was.turn != o.turn {
				was = seenHung{o.turn, m.now}
			}
			seen[o] = was
			if known && m.now-was.since >= t {
				panics = m.hungTask(o, t) || panics
			}
		})
	}
	m.hungSeen = seen
	if panics {
		m.panic(m.kthread("khungtaskd"), "hung_task: blocked tasks")
		return
	}
	if !waits {
		m.hungAt = 0 // the next one in D lets it look again
	} else if m.knobNumber("kernel/hung_task_warnings") != 0 || m.isSet("kernel/hung_task_panic") {
		m.watchHung()
	}
}

// hungTask tells of one, as long as kernel.hung_task_warnings lasts, and reports whether the kernel
// is to panic (check_hung_task).
func (m *Machine) hungTask(p *process, t time.Duration) (panics bool) {
	if m.isSet("kernel/hung_task_panic") {
		// All is to be seen, then.
		m.ring.levels[0] = max(m.ring.levels[0], motormouthConsoleLevel)
		panics = true
	}
	warnings := m.knobNumber("kernel/hung_task_warnings")
	if warnings == 0 && !panics {
		return false
	}
	if warnings > 0 {
		m.keepKnob("kernel/hung_task_warnings", strconv.FormatInt(warnings-1, 10))
	}
	h := &m.kernel.hung
	m.printk(kernel.Error, fmt.Sprintf("INFO: task %s:%d blocked for more than %d seconds.",
		p.name(), p.pid, t/time.Second))
	if h.says {
		m.printk(kernel.Error, "      "+m.printTainted()+" "+m.kernel.release+" "+m.kernel.version)
	}
	m.printk(kernel.Error,
		`"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.`)
	m.showTask(p)
	return panics
}

// showTask is sched_show_task (kernel/sched/core.c).
func (m *Machine) showTask(p *process) {
	parent := kernel.PID(0)
	if p.lead.parent != nil {
		parent = p.lead.parent.pid
	}
	m.showOccupant(&occupant{comm: p.name(), pid: p.pid}, p.state.String(), parent)
}

// showOccupant is showTask of somebody who need not be one of the model's tasks.
func (m *Machine) showOccupant(who *occupant, state string, parent kernel.PID) {
	line := m.kernel.hung.task
	if line == "" {
		line = hung3.task
	}
	line = strings.Replace(line, "state:D", "state:"+state, 1)
	m.printk(kernel.Info, fmt.Sprintf(line, who.comm, who.pid, parent))
	level := kernel.Level(defaultMessageLevel)
	if m.kernel.hung.low {
		level = kernel.Info
	}
	m.showStackAt(level, &context{cpu: &m.cpus[0], who: who})
}

// kthread is the context of a thread of the kernel that is not one of the model's tasks.
func (m *Machine) kthread(comm string) *context {
	x := m.here(nil)
	x.who = &occupant{comm: comm, pid: kthreadPID}
	return x
}

// kthreadPID stands for the number of a thread of the kernel: which one it is is chance.
const kthreadPID = 2

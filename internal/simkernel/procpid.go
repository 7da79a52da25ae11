package simkernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// commLen is TASK_COMM_LEN without the end of the string.
const commLen = 15

// stateNames are the words in /proc/PID/status (fs/proc/array.c, task_state_array).
var stateNames = [stateCount]string{
	"R (running)", "S (sleeping)", "D (disk sleep)", "T (stopped)", "Z (zombie)",
}

// procOf is a file of /proc/PID (fs/proc/base.c).
func (m *Machine) procOf(p *process, name string) (string, kernel.Errno) {
	if rest, ok := strings.CutPrefix(name, "task/"); ok {
		return m.procTask(p.lead, rest)
	}
	switch name {
	case "comm":
		return p.comm() + "\n", 0
	case "cmdline":
		if p.state == Zombie || p.is(taskKthread) {
			return "", 0
		}
		return strings.Join(p.lead.argv, "\x00") + "\x00", 0
	case "stat":
		return m.procStat(p), 0
	case "status":
		return m.procStatus(p), 0
	case "task":
		return "", kernel.EISDIR
	}
	return m.pidText(p, name)
}

// procTask is a file of /proc/PID/task/TID.
func (m *Machine) procTask(p *process, name string) (string, kernel.Errno) {
	tid, rest, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(tid)
	t := m.find(kernel.PID(n))
	switch {
	case err != nil || t == nil || t.lead != p:
		return "", kernel.ENOENT
	case rest == "":
		return "", kernel.EISDIR
	case rest == "children":
		// All are shown as the first thread's.
		var b strings.Builder
		if t == p {
			for c := p.first; c != nil; c = c.younger {
				fmt.Fprintf(&b, "%d ", c.pid)
			}
		}
		return b.String(), 0
	}
	return m.procOf(t, rest)
}

// Tasks returns the numbers of a process's threads, as /proc/PID/task lists them. A first thread
// that ended before the others is among them.
func (m *Machine) Tasks(pid kernel.PID) []kernel.PID {
	p := m.find(pid)
	if p == nil {
		return nil
	}
	p = p.lead
	tids := []kernel.PID{p.pid}
	for _, t := range p.others() {
		tids = append(tids, t.pid)
	}
	slices.Sort(tids)
	return tids
}

func (p *process) comm() string {
	comm := p.lead.name()
	return comm[:min(len(comm), commLen)]
}

// procStat is /proc/PID/stat as far as the terminal's number (fs/proc/array.c, do_task_stat).
func (m *Machine) procStat(p *process) string {
	v := m.look(p.lead)
	tty := 0
	if t := p.session.tty; t != nil {
		tty = t.device
	}
	return fmt.Sprintf("%d (%s) %s %d %d %d %d -1 0 0 0\n",
		p.pid, p.comm(), p.state, v.PPID, v.PGID, v.SID, tty)
}

// procStatus is /proc/PID/status without the lines about memory (fs/proc/array.c,
// proc_pid_status).
func (m *Machine) procStatus(p *process) string {
	lead := p.lead
	v := m.look(lead)
	var caught sigset
	for _, h := range lead.handlers {
		caught.add(h.sig)
	}
	if lead == m.init {
		caught = everySignal &^ unstoppable
	}
	c := p.cred
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, key+":\t"+format+"\n", args...)
	}
	line("Name", "%s", p.comm())
	line("State", "%s", stateNames[p.state])
	line("Tgid", "%d", lead.pid)
	line("Pid", "%d", p.pid)
	line("PPid", "%d", v.PPID)
	line("TracerPid", "0")
	line("Uid", "%d\t%d\t%d\t%d", c.uid, c.euid, c.suid, c.euid)
	line("Gid", "%d\t%d\t%d\t%d", c.gid, c.gid, c.gid, c.gid)
	line("NStgid", "%s", p.ns.numbers(lead.pid))
	line("NSpid", "%s", p.ns.numbers(p.pid))
	line("NSpgid", "%s", p.ns.numbers(v.PGID))
	line("NSsid", "%s", p.ns.numbers(v.SID))
	if p.is(taskKthread) {
		line("Kthread", "1")
	} else {
		line("Kthread", "0")
	}
	line("Threads", "%d", v.Threads)
	line("SigPnd", "%016x", uint64(p.own))
	line("ShdPnd", "%016x", uint64(lead.pending))
	line("SigBlk", "%016x", uint64(p.blocked))
	line("SigIgn", "%016x", uint64(lead.ignored))
	line("SigCgt", "%016x", uint64(caught))
	line("CapInh", "%016x", 0)
	line("CapPrm", "%016x", uint64(c.effective))
	line("CapEff", "%016x", uint64(c.effective))
	line("CapBnd", "%016x", uint64(c.bounding))
	line("CapAmb", "%016x", 0)
	return b.String()
}

// numbers are those that a process or a group has, the outermost namespace's first.
func (ns *pidNamespace) numbers(pid kernel.PID) string {
	var all []string
	for ; ns != nil; ns = ns.parent {
		all = append(all, strconv.Itoa(int(ns.number(pid))))
	}
	slices.Reverse(all)
	return strings.Join(all, "\t")
}

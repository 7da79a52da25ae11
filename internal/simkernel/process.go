package simkernel

import (
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// State is the state of a process, as ps(1) shows it.
type State uint8

// The states.
const (
	Running         State = iota // R
	Sleeping                     // S: a signal wakes it
	Uninterruptible              // D: no signal does
	Stopped                      // T
	Zombie                       // Z
	stateCount
)

// String returns the letter.
func (s State) String() string { return "RSDTZ"[s : s+1] }

// process is a process. It has one thread.
type process struct {
	pid      kernel.PID
	state    State
	queued   bool // in the run queue
	kthread  bool
	turn     uint32 // changes whenever it stops waiting
	birth    uint64 // the order of brothers
	argv     []string
	cmd      *kernel.Command
	failed   *kernel.StartError
	status   kernel.WaitStatus
	core     bool // RLIMIT_CORE allows a dump
	killable bool // in D, but a fatal signal wakes it (TASK_KILLABLE)

	pending, blocked, ignored sigset
	handlers                  []handler

	frame  frame
	frames []frame // interrupted or outer ones
	stdio  *stdio
	cred   *cred

	parent                 *process
	first, last            *process // children, in the order of birth
	elder, younger         *process // brothers
	children               int
	zombies                zombieHeap // children to be waited for
	subreaper              bool
	underSubreaper         bool
	group                  *group
	session                *session
	prevMember, nextMember *process // in the group
	prevAll, nextAll       *process
}

// frame is where a process is in one list of steps.
type frame struct {
	steps []Step
	pc    int32
	// The current step, if it waits: it is taken again when the process wakes up.
	off   int32         // bytes of a Say already written
	begun bool          // until is set, or a child forked
	until time.Duration // the end of a sleep
	image *image        // being loaded
	// What the list of steps is.
	handler bool          // a signal handler
	loop    bool          // a Loop's
	left    int32         // turns of the loop still to come; 0: endless
	began   time.Duration // when the turn did
	mask    sigset        // blocked before the handler
}

// step is the step that p is at, or nil after the last.
func (p *process) step() Step {
	f := &p.frame
	if int(f.pc) < len(f.steps) {
		return f.steps[f.pc]
	}
	return nil
}

// next goes on to the next step.
func (f *frame) next() {
	f.pc++
	f.begun, f.until, f.off = false, 0, 0
}

// group is a process group.
type group struct {
	id      kernel.PID
	session *session
	first   *process
	members int
	stopped int // members in state T
}

// session is a session. Its leader may be gone.
type session struct {
	id      kernel.PID
	leader  *process
	tty     *terminal // the controlling terminal
	members int
}

// chunk is how many processes or sessions are allocated at once.
const chunk = 16

// newSession is a session with its leader's group.
type newSession struct {
	session session
	group   group
}

// slot is what a process number stands for. It is given to a new process only when it stands for
// nothing (kernel/pid.c, free_pid).
type slot struct {
	p *process
	g *group
	s *session
}

// processList is all processes in the order of birth.
type processList struct {
	first, last *process
	n           int
}

func (l *processList) push(p *process) {
	p.prevAll = l.last
	if l.last == nil {
		l.first = p
	} else {
		l.last.nextAll = p
	}
	l.last = p
	l.n++
}

func (l *processList) remove(p *process) {
	if p.prevAll == nil {
		l.first = p.nextAll
	} else {
		p.prevAll.nextAll = p.nextAll
	}
	if p.nextAll == nil {
		l.last = p.prevAll
	} else {
		p.nextAll.prevAll = p.prevAll
	}
	p.prevAll, p.nextAll = nil, nil
	l.n--
}

// setUpProcesses makes PID 1, and kthreadd where the kernel's threads can be seen.
func (m *Machine) setUpProcesses() {
	m.init = m.newProcess()
	m.init.argv = []string{"init"}
	m.init.stdio = m.stdio
	m.init.cred = m.setUpCred()
	m.init.cred.user.threads++
	m.setState(m.init, Sleeping)
	// PID 1 has neither session nor group of its own until setsid(2): both are the kernel's,
	// number 0.
	g := &group{session: &session{}}
	m.joinGroup(m.init, g)
	if !m.cfg.Namespace {
		k := m.newProcess()
		k.kthread = true
		k.argv = []string{"kthreadd"}
		k.cred = &cred{user: m.userOf(0), effective: everyCapability, bounding: everyCapability}
		m.setState(k, Sleeping)
		m.joinGroup(k, g)
	}
}

// newProcess takes a number and enters a process in the table, or returns nil.
func (m *Machine) newProcess() *process {
	n := m.pids.alloc()
	if n == 0 {
		return nil
	}
	if len(m.processes) == 0 {
		m.processes = make([]process, chunk)
	}
	p := &m.processes[0]
	m.processes = m.processes[1:]
	for n >= len(m.slots) {
		m.slots = append(m.slots, slot{})
	}
	m.slots[n].p = p
	m.births++
	p.pid, p.birth, p.state = kernel.PID(n), m.births, Sleeping
	m.states[Sleeping]++
	m.all.push(p)
	return p
}

func (m *Machine) setState(p *process, s State) {
	if p.group != nil {
		if p.state == Stopped {
			p.group.stopped--
		}
		if s == Stopped {
			p.group.stopped++
		}
	}
	m.states[p.state]--
	p.state = s
	m.states[s]++
}

// find returns the process with a number, zombie or not, or nil.
func (m *Machine) find(pid kernel.PID) *process {
	if pid <= 0 || int(pid) >= len(m.slots) {
		return nil
	}
	return m.slots[pid].p
}

// adopt makes p the youngest child of parent.
func (parent *process) adopt(p *process) {
	p.parent = parent
	p.elder, p.younger = parent.last, nil
	if parent.last == nil {
		parent.first = p
	} else {
		parent.last.younger = p
	}
	parent.last = p
	parent.children++
}

// disown takes p from its parent.
func (p *process) disown() {
	parent := p.parent
	if p.elder == nil {
		parent.first = p.younger
	} else {
		p.elder.younger = p.younger
	}
	if p.younger == nil {
		parent.last = p.elder
	} else {
		p.younger.elder = p.elder
	}
	p.parent, p.elder, p.younger = nil, nil, nil
	parent.children--
}

func (m *Machine) joinGroup(p *process, g *group) {
	p.group, p.session = g, g.session
	g.session.members++
	p.prevMember, p.nextMember = nil, g.first
	if g.first != nil {
		g.first.prevMember = p
	}
	g.first = p
	g.members++
}

func (m *Machine) leaveGroup(p *process) {
	g, s := p.group, p.session
	if p.prevMember == nil {
		g.first = p.nextMember
	} else {
		p.prevMember.nextMember = p.nextMember
	}
	if p.nextMember != nil {
		p.nextMember.prevMember = p.prevMember
	}
	p.prevMember, p.nextMember, p.group, p.session = nil, nil, nil, nil
	g.members--
	s.members--
	if g.members == 0 && g.id != 0 {
		m.slots[g.id].g = nil
		m.freeNumber(g.id)
	}
	if s.members == 0 && s.id != 0 {
		m.slots[s.id].s = nil
		m.freeNumber(s.id)
	}
}

// freeNumber gives a number back if nothing bears it any more.
func (m *Machine) freeNumber(pid kernel.PID) {
	if m.slots[pid] == (slot{}) {
		m.pids.release(int(pid))
	}
}

// setsid makes p the leader of a new session and a new group (kernel/sys.c, ksys_setsid).
func (m *Machine) setsid(p *process) kernel.Errno {
	at := &m.slots[p.pid]
	if p.session.leader == p || at.g != nil {
		return kernel.EPERM
	}
	m.leaveGroup(p)
	if len(m.sessions) == 0 {
		m.sessions = make([]newSession, chunk)
	}
	n := &m.sessions[0]
	m.sessions = m.sessions[1:]
	n.session = session{id: p.pid, leader: p}
	n.group = group{id: p.pid, session: &n.session}
	at.s, at.g = &n.session, &n.group
	m.joinGroup(p, &n.group)
	return 0
}

func (k *pid1Calls) Setsid() error {
	if e := k.enter(callSetsid); e != 0 {
		return e
	}
	return asError(k.m.setsid(k.m.init))
}

// Process is what can be seen of a process.
type Process struct {
	PID, PPID, PGID, SID kernel.PID
	State                State
	// Name is the last part of Argv[0].
	Name string
	Argv []string
	// Command is what PID 1 started it by, else nil.
	Command *kernel.Command
	// TTY is the controlling terminal, or empty.
	TTY string
	// Stdio are the files behind descriptors 0, 1 and 2; empty if closed.
	Stdio                             [3]string
	Pending, Blocked, Ignored, Caught []kernel.Signal
	Core                              bool
}

// Process returns one process.
func (m *Machine) Process(pid kernel.PID) (Process, bool) {
	p := m.find(pid)
	if p == nil {
		return Process{}, false
	}
	return m.look(p), true
}

// Processes returns all processes but PID 1 and the kernel's threads, in the order of birth.
func (m *Machine) Processes() []Process {
	var ps []Process
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && !p.kthread {
			ps = append(ps, m.look(p))
		}
	}
	return ps
}

// Count returns how many processes are in a state, PID 1 and the kernel's threads included.
func (m *Machine) Count(s State) int { return m.states[s] }

func (m *Machine) look(p *process) Process {
	v := Process{
		PID: p.pid, State: p.state, Argv: p.argv, Name: p.name(), Command: p.cmd, Core: p.core,
		Pending: p.pending.signals(), Blocked: p.blocked.signals(), Ignored: p.ignored.signals(),
	}
	if p.parent != nil {
		v.PPID = p.parent.pid
	}
	if p.group != nil {
		v.PGID, v.SID = p.group.id, p.session.id
		if p.session.tty != nil {
			v.TTY = p.session.tty.path
		}
	}
	if p.stdio != nil {
		for i, f := range p.stdio {
			if f != nil {
				v.Stdio[i] = f.path
			}
		}
	}
	for _, h := range p.handlers {
		v.Caught = append(v.Caught, h.sig)
	}
	return v
}

// name is the last part of the program's name, without the dash of a login shell.
func (p *process) name() string {
	if len(p.argv) == 0 {
		return "pid " + strconv.Itoa(int(p.pid))
	}
	n := p.argv[0]
	if len(n) > 0 && n[0] == '-' {
		n = n[1:]
	}
	for i := len(n) - 1; i >= 0; i-- {
		if n[i] == '/' {
			return n[i+1:]
		}
	}
	return n
}

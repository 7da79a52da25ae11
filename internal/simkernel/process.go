package simkernel

import (
	"strconv"
	"syscall"
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

// process is a thread, and the first thread of a process is the process: what all its threads share
// is kept there. Nearly all processes have one thread.
type process struct {
	// Of each thread.
	pid     kernel.PID // its number in the machine's namespace
	lead    *process   // the first thread of the process
	state   State
	errno   uint8 // of the last step that concerned files
	flags   taskFlags
	turn    uint32 // changes whenever it stops waiting
	own     sigset // pending, sent to this thread alone
	blocked sigset
	frame   frame
	frames  []frame // interrupted or outer ones
	cred    *cred
	stdio   *stdio
	group   *group
	session *session

	// Of the process.
	birth      uint64 // the order of brothers
	ns         *pidNamespace
	rare       *rare // nil: nothing of it
	argv       []string
	self       *self // nil: nothing of it
	cmd        *kernel.Command
	fs         *fsState
	signal     signalFlags
	exitSignal uint8 // what its parent is sent
	stopCode   uint8 // by what it was stopped, if its parent was not yet told by wait4
	heapAt     int32 // where it is in a heap of its parent's
	status     kernel.WaitStatus
	pending    sigset
	ignored    sigset
	handlers   []handler

	parent                 *process
	first, last            *process // children, in the order of birth
	elder, younger         *process // brothers
	children               int
	zombies                childHeap // children to be waited for
	prevMember, nextMember *process  // in the group
	prevAll, nextAll       *process
}

// taskFlags are what is so of a thread.
type taskFlags uint16

const (
	taskQueued      taskFlags = 1 << iota // in the run queue
	taskKthread                           // PF_KTHREAD
	taskKillable                          // in D, but a fatal signal wakes it (TASK_KILLABLE)
	taskExiting                           // PF_EXITING
	taskSigpending                        // TIF_SIGPENDING
	taskStopPending                       // JOBCTL_STOP_PENDING
	taskVforking                          // waits until its child executes or ends
	taskExecing                           // waits in an exec until the other threads have ended
	taskDying                             // the kernel fails on its behalf, or its CPU is kept: it never runs again
)

// signalFlags are what is so of a process.
type signalFlags uint16

const (
	signalUnkillable     signalFlags = 1 << iota // SIGNAL_UNKILLABLE: the init of a namespace
	signalGroupExit                              // SIGNAL_GROUP_EXIT: all threads are to end
	signalStopped                                // SIGNAL_STOP_STOPPED
	signalContinued                              // SIGNAL_STOP_CONTINUED: wait4 may tell so once
	signalCldStopped                             // SIGNAL_CLD_STOPPED: its parent is to be told
	signalCldContinued                           // SIGNAL_CLD_CONTINUED
	signalSubreaper                              // is_child_subreaper
	signalUnderSubreaper                         // has_child_subreaper
	signalNoCldStop                              // SA_NOCLDSTOP of SIGCHLD
	signalNoCldWait                              // SA_NOCLDWAIT of SIGCHLD
	signalExeced                                 // has executed a program since fork
	signalCore                                   // RLIMIT_CORE allows a dump
	signalClones                                 // has or had children that are clones
)

func (p *process) is(f taskFlags) bool    { return p.flags&f != 0 }
func (p *process) has(f signalFlags) bool { return p.signal&f != 0 }

// set sets flags or clears them.
func (f *taskFlags) set(which taskFlags, on bool) {
	*f &^= which
	if on {
		*f |= which
	}
}

func (f *signalFlags) set(which signalFlags, on bool) {
	*f &^= which
	if on {
		*f |= which
	}
}

// rare is what few processes need.
type rare struct {
	threads     []*process // all that live but the first
	taker       *process   // of signals that the one asked first did not take (curr_target)
	stops       int        // threads that are still to stop (group_stop_count)
	queued      sigqueue
	queuedOwn   sigqueue
	changed     childHeap // children that have stopped or gone on
	failed      *kernel.StartError
	vfork       *process // what waits until this process executes or ends
	deathSignal kernel.Signal
	errno       uint8 // the last of several steps
}

// more makes p's rare things.
func (p *process) more() *rare {
	if p.rare == nil {
		p.rare = &rare{}
	}
	return p.rare
}

// others are the living threads of a process but the first.
func (p *process) others() []*process {
	if p.rare == nil {
		return nil
	}
	return p.rare.threads
}

// dead reports whether the last thread of a process has ended.
func (p *process) dead() bool { return p.state == Zombie && len(p.others()) == 0 }

// frame is where a process is in one list of steps.
type frame struct {
	steps []Step
	pc    int32
	// The current step, if it waits: it is taken again when the process wakes up.
	off   int32         // bytes of a Say already written
	begun bool          // until is set, or a child forked
	until time.Duration // the end of a sleep
	image *image        // being loaded
	io    *ioWait       // that the step waits for
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
	f.begun, f.until, f.off, f.io = false, 0, 0, nil
}

// group is a process group.
type group struct {
	id      kernel.PID
	session *session
	first   *process
	members int
	stopped int // members that are stopped
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
	m.root = &pidNamespace{}
	c := m.setUpCred()
	p, _ := m.newProcess(m.root)
	m.init, m.root.init = p, p
	p.argv = []string{"init"}
	p.stdio, p.fs = m.stdio, m.fs
	m.setCred(p, c)
	p.signal = signalUnkillable
	m.tasks = 1
	// PID 1 has neither session nor group of its own until setsid(2): both are the kernel's,
	// number 0.
	g := &group{session: &session{}}
	m.joinGroup(p, g)
	if !m.cfg.Namespace {
		k, _ := m.newProcess(m.root)
		k.flags = taskKthread
		k.ignored = everySignal
		k.argv = []string{"kthreadd"}
		m.setCred(k, &cred{
			user: m.userOf(0), effective: everyCapability, bounding: everyCapability,
		})
		m.joinGroup(k, g)
	}
	for _, steps := range m.cfg.Threads {
		m.startThread(p, steps)
	}
}

// newTask takes a number for a thread.
func (m *Machine) newTask(ns *pidNamespace) (*process, kernel.Errno) {
	n, e := m.allocPID(ns)
	if e != 0 {
		return nil, e
	}
	if len(m.processes) == 0 {
		m.processes = make([]process, chunk)
	}
	p := &m.processes[0]
	m.processes = m.processes[1:]
	for int(n) >= len(m.slots) {
		m.slots = append(m.slots, slot{})
	}
	m.slots[n].p = p
	p.pid, p.lead, p.ns, p.state = n, p, ns, Sleeping
	return p, 0
}

// newProcess takes a number and enters a process in the table.
func (m *Machine) newProcess(ns *pidNamespace) (*process, kernel.Errno) {
	p, e := m.newTask(ns)
	if e != 0 {
		return nil, e
	}
	m.births++
	p.birth, p.exitSignal, p.heapAt = m.births, uint8(syscall.SIGCHLD), -1
	m.states[Sleeping]++
	m.all.push(p)
	return p, 0
}

func (m *Machine) setState(p *process, s State) {
	if p.lead == p {
		m.states[p.state]--
		m.states[s]++
	}
	switch {
	case s == p.state:
	case s == Uninterruptible:
		m.enterD()
	case p.state == Uninterruptible:
		m.inD--
	}
	p.state = s
}

// find returns the process or thread with a number, zombie or not, or nil.
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
	if p.has(signalStopped) {
		g.stopped++
	}
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
	if p.has(signalStopped) {
		g.stopped--
	}
	s.members--
	if g.members == 0 && g.id != 0 {
		m.slots[g.id].g = nil
		m.freePID(g.id)
	}
	if s.members == 0 && s.id != 0 {
		m.slots[s.id].s = nil
		m.freePID(s.id)
	}
}

// Process is what can be seen of a process.
type Process struct {
	PID, PPID, PGID, SID kernel.PID
	State                State
	// Name is the one that it has given itself, else the last part of Argv[0].
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
	// UID is its effective user.
	UID int
	// Threads is how many threads it has.
	Threads int
	// NSPID is its number in its own PID namespace.
	NSPID kernel.PID
}

// Process returns one process.
func (m *Machine) Process(pid kernel.PID) (Process, bool) {
	p := m.find(pid)
	if p == nil {
		return Process{}, false
	}
	return m.look(p.lead), true
}

// Processes returns all processes but PID 1 and the kernel's threads, in the order of birth.
func (m *Machine) Processes() []Process {
	var ps []Process
	for p := m.all.first; p != nil; p = p.nextAll {
		if p != m.init && !p.is(taskKthread) {
			ps = append(ps, m.look(p))
		}
	}
	return ps
}

// Count returns how many processes are in a state, PID 1 and the kernel's threads included.
func (m *Machine) Count(s State) int { return m.states[s] }

func (m *Machine) look(p *process) Process {
	v := Process{
		PID: p.pid, State: p.state, Argv: p.argv, Name: p.name(), Command: p.cmd,
		Pending: (p.pending | p.own).signals(),
		Blocked: p.blocked.signals(), Ignored: p.ignored.signals(),
		Core: p.has(signalCore), UID: p.cred.euid, Threads: 1 + len(p.others()),
		NSPID: p.ns.number(p.pid),
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

// name is the one that the process has given itself, else its program's.
func (p *process) name() string {
	if s := p.self; s != nil && s.name != "" {
		return s.name
	}
	return p.program()
}

// isNamed reports whether a name is the one that the process has given itself, or its program's.
func (p *process) isNamed(name string) bool { return p.name() == name || p.program() == name }

// program is the last part of the program's name, without the dash of a login shell.
func (p *process) program() string {
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

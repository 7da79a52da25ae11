package simkernel

import (
	"slices"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// startThread starts a thread of the process of t (kernel/fork.c, copy_process with CLONE_THREAD).
func (m *Machine) startThread(t *process, steps []Step) (*process, kernel.Errno) {
	p := t.lead
	if e := m.mayFork(t); e != 0 {
		return nil, e
	}
	n, e := m.newTask(p.ns)
	if e != 0 {
		return nil, e
	}
	m.addTask()
	n.lead = p
	n.stdio, n.group, n.session, n.blocked = t.stdio, t.group, t.session, t.blocked
	n.argv = p.argv
	m.setCred(n, t.cred)
	r := p.more()
	r.threads = append(r.threads, n)
	if m.tasksFull() {
		m.releaseThread(n)
		return nil, kernel.EAGAIN
	}
	n.frame = frame{steps: append(slices.Clip(steps), ThreadExit{})}
	m.wake(n)
	return n, 0
}

// releaseThread forgets a thread that has ended and is not the first. Nobody waits for it.
func (m *Machine) releaseThread(t *process) {
	r := t.lead.rare
	i := slices.Index(r.threads, t)
	if r.taker == t {
		r.taker = nil
		if i+1 < len(r.threads) {
			r.taker = r.threads[i+1]
		}
	}
	r.threads = slices.Delete(r.threads, i, i+1)
	t.state = Zombie // nobody sees it
	if t.lead == m.init {
		m.lastThread = t.pid
	}
	t.turn++
	t.cred.user.threads--
	m.tasks--
	m.slots[t.pid].p = nil
	m.freePID(t.pid)
}

// zapOtherThreads lets all threads of a process end but one (kernel/signal.c, zap_other_threads).
// One that hangs in D does not, until it leaves it.
func (m *Machine) zapOtherThreads(t *process) {
	p := t.lead
	if p.rare == nil {
		return
	}
	p.rare.stops = 0
	m.eachThread(p, func(o *process) {
		if o != t {
			o.flags &^= taskStopPending
			o.own.add(syscall.SIGKILL)
			m.signalWake(o, true)
		}
	})
}

// eachThread calls f for all living threads, the first one first.
func (m *Machine) eachThread(p *process, f func(t *process)) {
	if p.state != Zombie {
		f(p)
	}
	for _, t := range p.others() {
		f(t)
	}
}

// alone reports whether t is the last thread of its process that lives.
func (t *process) alone() bool {
	p := t.lead
	if t == p {
		return len(p.others()) == 0
	}
	return p.state == Zombie && len(p.others()) == 1
}

// leadAfterExec makes t, which is the last thread, the first: after an exec the process is what it
// was to everybody, whichever thread has executed (fs/exec.c, de_thread). It returns the first.
func (m *Machine) leadAfterExec(t *process) *process {
	p := t.lead
	if t == p {
		return p
	}
	m.setState(p, Sleeping)
	const ofItsEnd = taskExiting | taskSigpending
	p.flags = p.flags&^ofItsEnd | t.flags&taskSigpending
	p.own, p.blocked = t.own, t.blocked
	p.frame, p.frames = t.frame, nil
	p.stdio = t.stdio
	m.commitCred(p, t.cred)
	m.releaseThread(t)
	return p
}

// Thread is a further thread of PID 1 that begins now, and what it does. What Go's runtime has
// besides the one that is in PID 1's code sleeps; one that hangs keeps PID 1 from executing
// another program, and from ending.
type Thread struct{ Do []Step }

func (a Thread) act(m *Machine) { m.startThread(m.init, a.Do) }

// do starts a thread of the process itself.
func (s StartThread) do(m *Machine, p *process) verdict {
	m.startThread(p, s.Do)
	return done
}

// do ends the thread, and the process if it was the last.
func (ThreadExit) do(m *Machine, p *process) verdict {
	m.doExit(p)
	return gone
}

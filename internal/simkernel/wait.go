package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// childHeap holds children of a process, the eldest on top: wait4(-1) takes the first in the list of
// children that it is to tell of, not the one of which it could have told first (kernel/exit.c,
// do_wait_thread). Each thread has a list of its own, however, and the caller's comes first; which
// thread of PID 1 has forked a child, and which waits, is up to the Go runtime. So with a seed any
// zombie may be the next.
//
// A child is in one heap at most: it is a zombie, or it has stopped or gone on.
type childHeap []*process

func (h childHeap) set(i int, p *process) {
	h[i] = p
	p.heapAt = int32(i)
}

// up moves the child at index i towards the top as far as it goes.
func (h childHeap) up(i int) int {
	p := h[i]
	for i > 0 && p.birth < h[(i-1)/2].birth {
		h.set(i, h[(i-1)/2])
		i = (i - 1) / 2
	}
	h.set(i, p)
	return i
}

func (h *childHeap) push(p *process) {
	*h = append(*h, p)
	h.up(len(*h) - 1)
}

// take removes the child at index i.
func (h *childHeap) take(i int) *process {
	s := *h
	p := s[i]
	p.heapAt = -1
	n := len(s) - 1
	last := s[n]
	s[n] = nil
	s = s[:n]
	*h = s
	if i == n {
		return p
	}
	s.set(i, last)
	i = s.up(i)
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < n; c++ {
			if s[c].birth < s[least].birth {
				least = c
			}
		}
		if least == i {
			return p
		}
		a, b := s[i], s[least]
		s.set(i, b)
		s.set(least, a)
		i = least
	}
}

// eldest returns the eldest that is to be told of, or nil. It looks no further than the first,
// unless that one is not wanted.
func (h childHeap) eldest(w *wanted) *process {
	if len(h) == 0 {
		return nil
	}
	if w.ready(h[0]) {
		return h[0]
	}
	var first *process
	for _, p := range h[1:] {
		if (first == nil || p.birth < first.birth) && w.ready(p) {
			first = p
		}
	}
	return first
}

// WaitOptions are the options of wait4(2) and waitid(2).
type WaitOptions uint32

// The options. WaitExited is waitid's; wait4 always waits for exits.
const (
	WaitNoHang    WaitOptions = 1          // WNOHANG
	WaitStopped   WaitOptions = 2          // WUNTRACED, WSTOPPED
	WaitExited    WaitOptions = 4          // WEXITED
	WaitContinued WaitOptions = 8          // WCONTINUED
	WaitNoWait    WaitOptions = 0x01000000 // WNOWAIT
	WaitNoThread  WaitOptions = 0x20000000 // __WNOTHREAD: the children are the process's, always
	WaitAll       WaitOptions = 0x40000000 // __WALL
	WaitClone     WaitOptions = 0x80000000 // __WCLONE
)

// waited is what a wait tells.
type waited struct {
	child  *process
	number kernel.PID        // the caller's for it
	status kernel.WaitStatus // as wait4 says it
	code   int32             // as waitid says it: CLD_EXITED and so on
}

// The codes of waitid(2).
const (
	cldExited    = 1
	cldKilled    = 2
	cldDumped    = 3
	cldStopped   = 5
	cldContinued = 6
)

// wait4 is wait4(2), but never waits: EAGAIN if it would have to. A child that has ended is not
// released yet.
func (m *Machine) wait4(parent *process, pid kernel.PID, options WaitOptions) (waited, kernel.Errno) {
	const known = WaitNoHang | WaitStopped | WaitContinued | WaitNoThread | WaitClone | WaitAll
	if options&^known != 0 {
		return waited{}, kernel.EINVAL
	}
	w := wanted{options: options | WaitExited}
	switch {
	case pid > 0:
		w.kind, w.id = wantProcess, pid
	case pid == 0:
		w.kind = wantGroup
	case pid < -1:
		w.kind, w.id = wantGroup, -pid
	}
	return m.wait(parent, w)
}

// waitid is waitid(2), but never waits.
func (m *Machine) waitid(
	parent *process, kind wantedKind, id kernel.PID, options WaitOptions,
) (waited, kernel.Errno) {
	const kinds = WaitExited | WaitStopped | WaitContinued
	const known = kinds | WaitNoHang | WaitNoWait | WaitNoThread | WaitClone | WaitAll
	if options&^known != 0 || options&kinds == 0 {
		return waited{}, kernel.EINVAL
	}
	if id < 0 || id == 0 && kind == wantProcess {
		return waited{}, kernel.EINVAL
	}
	return m.wait(parent, wanted{kind: kind, id: id, options: options})
}

// wanted says which children a wait is for, and what of them (kernel/exit.c, struct wait_opts).
type wanted struct {
	kind    wantedKind
	id      kernel.PID // of the process or the group; 0: the own group
	options WaitOptions
}

type wantedKind uint8

const (
	wantAny wantedKind = iota
	wantProcess
	wantGroup
)

// eligible is eligible_child.
func (w *wanted) eligible(p *process) bool {
	switch {
	case w.kind == wantProcess && p.pid != w.id:
		return false
	case w.kind == wantGroup && p.group.id != w.id:
		return false
	}
	clone := p.exitSignal != uint8(syscall.SIGCHLD)
	return w.options&WaitAll != 0 || clone == (w.options&WaitClone != 0)
}

// ready reports whether there is something to tell of a child now.
func (w *wanted) ready(p *process) bool {
	switch {
	case !w.eligible(p):
		return false
	case p.dead():
		return w.options&WaitExited != 0
	case p.stopCode != 0 && p.has(signalStopped):
		return w.options&WaitStopped != 0
	}
	return p.has(signalContinued) && w.options&WaitContinued != 0
}

// hope reports whether there is something to tell of a child, or may be in time.
func (w *wanted) hope(p *process) bool {
	return w.eligible(p) && (!p.dead() || w.options&WaitExited != 0)
}

// wait finds a child of the process of t to tell of (kernel/exit.c, do_wait): ECHILD if there is
// none that could ever be told of, EAGAIN if there is nothing to tell yet.
func (m *Machine) wait(t *process, w wanted) (waited, kernel.Errno) {
	parent := t.lead
	if w.id != 0 {
		w.id = m.global(t.ns, w.id)
	} else if w.kind == wantGroup {
		w.id = parent.group.id
	}
	child := m.waitFor(parent, &w)
	if child == nil {
		if m.hopeless(parent, &w) {
			return waited{}, kernel.ECHILD
		}
		return waited{}, kernel.EAGAIN
	}
	return m.collect(parent, child, w.options), 0
}

// waitFor returns the child to tell of now, or nil.
func (m *Machine) waitFor(parent *process, w *wanted) *process {
	if w.kind == wantProcess {
		p := m.find(w.id)
		if p != nil && p.lead == p && p.parent == parent && w.ready(p) {
			return p
		}
		return nil
	}
	var child *process
	if w.options&WaitExited != 0 {
		child = parent.zombies.eldest(w)
		if child != nil && m.rng != nil && parent == m.init {
			if any := parent.zombies[m.rng.IntN(len(parent.zombies))]; w.ready(any) {
				child = any
			}
		}
	}
	if r := parent.rare; r != nil && w.options&(WaitStopped|WaitContinued) != 0 {
		if p := r.changed.eldest(w); p != nil && (child == nil || p.birth < child.birth) {
			child = p
		}
	}
	return child
}

// hopeless reports whether no child will ever be told of: there is none of those asked for, or
// those are all zombies and the caller does not ask for exits.
func (m *Machine) hopeless(parent *process, w *wanted) bool {
	if w.kind == wantProcess {
		p := m.find(w.id)
		return p == nil || p.lead != p || p.parent != parent || !w.hope(p)
	}
	if w.kind == wantAny && !parent.has(signalClones) && w.options&WaitClone == 0 {
		if w.options&WaitExited != 0 {
			return parent.children == 0
		}
		return parent.children == len(parent.zombies)
	}
	for p := parent.first; p != nil; p = p.younger {
		if w.hope(p) {
			return false
		}
	}
	return true
}

// collect tells of a child, which then is no longer to be told of, unless the caller only looks
// (kernel/exit.c, wait_task_zombie, wait_task_stopped, wait_task_continued).
func (m *Machine) collect(parent, p *process, options WaitOptions) waited {
	w := waited{child: p, number: parent.ns.number(p.pid)}
	look := options&WaitNoWait != 0
	switch {
	case p.dead():
		w.status, w.code = p.status, cldExited
		if p.status.Signaled() {
			w.code = cldKilled
			if p.status.CoreDump() {
				w.code = cldDumped
			}
		}
		if !look {
			parent.zombies.take(int(p.heapAt))
			m.release(p)
		}
		return w
	case p.has(signalStopped):
		w.status, w.code = kernel.WaitStatus(p.stopCode)<<8|0x7f, cldStopped
		if !look {
			p.stopCode = 0
		}
	default:
		w.status, w.code = 0xffff, cldContinued
		if !look {
			p.signal &^= signalContinued
		}
	}
	if !look {
		parent.rare.changed.take(int(p.heapAt))
	}
	return w
}

// wakeParent wakes the threads of a process that wait for children (kernel/exit.c,
// __wake_up_parent).
func (m *Machine) wakeParent(parent *process) {
	m.eachThread(parent, func(t *process) {
		if t != m.init && t.state == Sleeping && t.waits() {
			m.wake(t)
		}
	})
}

// Wait reaps one child of PID 1.
func (k *pid1Calls) Wait() (kernel.Exit, error) {
	if e := k.enter(callWait); e != 0 {
		return kernel.Exit{}, e
	}
	w, e := k.m.wait4(k.m.init, -1, 0)
	if e != 0 {
		return kernel.Exit{}, e
	}
	exit := kernel.Exit{PID: w.child.pid, Status: w.status}
	if w.child.rare != nil {
		exit.Failed = w.child.rare.failed
	}
	return exit, nil
}

// waitAll waits until the process of t has no more children.
func (m *Machine) waitAll(t *process) verdict {
	for {
		switch _, e := m.wait4(t, -1, WaitAll); e {
		case 0:
		case kernel.EAGAIN:
			m.setState(t, Sleeping)
			return again
		default:
			return done
		}
	}
}

// do waits for one child.
func (s WaitFor) do(m *Machine, p *process) verdict {
	kind := wantAny
	switch {
	case s.Group:
		kind = wantGroup
	case s.PID != 0:
		kind = wantProcess
	}
	options := s.Options
	if options&(WaitExited|WaitStopped|WaitContinued) == 0 {
		options |= WaitExited
	}
	if _, e := m.waitid(p, kind, s.PID, options); e == kernel.EAGAIN && options&WaitNoHang == 0 {
		m.setState(p, Sleeping)
		return again
	}
	return done
}

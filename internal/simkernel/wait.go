package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// zombieHeap holds the zombies among a process's children, the eldest on top: wait4(-1) takes the
// first zombie in the list of children, not the one that died first (kernel/exit.c,
// do_wait_thread). Each thread has a list of its own, however, and the caller's comes first; which
// thread of PID 1 has forked a child, and which waits, is up to the Go runtime. So with a seed any
// zombie may be the next.
type zombieHeap []*process

func (h *zombieHeap) push(p *process) {
	*h = append(*h, p)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[up].birth < s[i].birth {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

// take removes the zombie at index i.
func (h *zombieHeap) take(i int) *process {
	s := *h
	p := s[i]
	n := len(s) - 1
	last := s[n]
	s[n] = nil
	*h = s[:n]
	if i == n {
		return p
	}
	s = s[:n]
	s[i] = last
	for i > 0 && s[i].birth < s[(i-1)/2].birth {
		s[i], s[(i-1)/2] = s[(i-1)/2], s[i]
		i = (i - 1) / 2
	}
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
		s[i], s[least] = s[least], s[i]
		i = least
	}
}

// wait4 reaps a child of parent: EAGAIN if none has ended, ECHILD if there is none.
func (m *Machine) wait4(parent *process) (kernel.Exit, kernel.Errno) {
	if len(parent.zombies) == 0 {
		if parent.children == 0 {
			return kernel.Exit{}, kernel.ECHILD
		}
		return kernel.Exit{}, kernel.EAGAIN
	}
	i := 0
	if m.rng != nil && parent == m.init {
		i = m.rng.IntN(len(parent.zombies))
	}
	p := parent.zombies.take(i)
	e := kernel.Exit{PID: p.pid, Status: p.status, Failed: p.failed}
	m.release(p)
	return e, 0
}

func (k *pid1Calls) Wait() (kernel.Exit, error) {
	if e := k.enter(callWait); e != 0 {
		return kernel.Exit{}, e
	}
	exit, e := k.m.wait4(k.m.init)
	return exit, asError(e)
}

package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// zombieHeap holds the zombies among a process's children, the eldest on top: wait4(-1) takes the
// first zombie in the list of children, not the one that died first (kernel/exit.c,
// do_wait_thread).
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

func (h *zombieHeap) pop() *process {
	s := *h
	p := s[0]
	n := len(s) - 1
	s[0] = s[n]
	s[n] = nil
	s = s[:n]
	*h = s
	for i := 0; ; {
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
	p := parent.zombies.pop()
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

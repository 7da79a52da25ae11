package simkernel

import (
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// fork makes a child of parent, which is not yet able to run (kernel/fork.c, copy_process). It
// returns nil if there is no number left: EAGAIN.
func (m *Machine) fork(parent *process) *process {
	p := m.newProcess()
	if p == nil {
		return nil
	}
	parent.adopt(p)
	m.joinGroup(p, parent.group)
	p.argv, p.stdio, p.core = parent.argv, parent.stdio, parent.core
	p.cred = parent.cred
	p.cred.user.threads++
	p.blocked, p.ignored = parent.blocked, parent.ignored
	p.underSubreaper = parent.subreaper || parent.underSubreaper
	return p
}

// Spawn forks, and does at once what the child does before its exec takes time. The child ends, if
// it must, only in its own turn.
func (k *pid1Calls) Spawn(c *kernel.Command) (kernel.PID, error) {
	if e := k.enter(callSpawn); e != 0 {
		return 0, e
	}
	for _, s := range [][]string{c.Paths, c.Argv, c.Env, {c.TTY}} {
		if slices.ContainsFunc(s, func(s string) bool { return strings.IndexByte(s, 0) >= 0 }) {
			return 0, kernel.EINVAL
		}
	}
	m := k.m
	p := m.fork(m.init)
	if p == nil {
		return 0, kernel.EAGAIN
	}
	own := *c
	p.cmd, p.argv, p.core = &own, c.Argv, c.Core
	p.blocked, p.ignored = 0, 0
	m.setsid(p)
	if e := m.childTTY(p, c); e != 0 {
		m.failStart(p, kernel.StageTTY, e)
		return p.pid, nil
	}
	img, e := m.execvp(c.Paths, c.Argv, c.Env)
	if e != 0 {
		m.failStart(p, kernel.StageExec, e)
		return p.pid, nil
	}
	m.load(p, img)
	m.wake(p)
	return p.pid, nil
}

// failStart lets the child end before its program began. The exit codes are those of BusyBox's
// children [BusyBox 3.6, 3.17].
func (m *Machine) failStart(p *process, stage kernel.Stage, e kernel.Errno) {
	p.failed = &kernel.StartError{Stage: stage, Errno: e}
	code := 255
	if stage == kernel.StageTTY {
		code = 1
	}
	p.frame = frame{steps: []Step{Exit{code}}}
	m.wake(p)
}

// Call forks a child that makes one system call and exits with its errno.
func (k *pid1Calls) Call(c kernel.Call) (kernel.PID, error) {
	if e := k.enter(callCall); e != 0 {
		return 0, e
	}
	m := k.m
	p := m.fork(m.init)
	if p == nil {
		return 0, kernel.EAGAIN
	}
	// All signals are blocked there: PID 1's handlers must not run in it.
	p.blocked = everySignal
	switch c := c.(type) {
	case kernel.Sync:
		p.frame = frame{steps: []Step{syncStep{}}}
	case kernel.Reboot:
		p.frame = frame{steps: []Step{Reboot{Cmd: c.Cmd, Arg: c.Arg}}}
	}
	m.wake(p)
	return p.pid, nil
}

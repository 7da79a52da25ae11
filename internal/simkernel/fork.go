package simkernel

import (
	"slices"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// cloneArgs are what clone(2) is told.
type cloneArgs struct {
	newPID     bool // CLONE_NEWPID: the child is the init of a new PID namespace
	parent     bool // CLONE_PARENT: the child is the caller's brother
	exitSignal kernel.Signal
}

// fork makes a child of the process of t, which is not yet able to run.
func (m *Machine) fork(t *process) (*process, kernel.Errno) {
	return m.clone(t, cloneArgs{exitSignal: syscall.SIGCHLD})
}

// clone is fork with more to say (kernel/fork.c, copy_process).
func (m *Machine) clone(t *process, args cloneArgs) (*process, kernel.Errno) {
	of := t.lead
	if args.parent && of.has(signalUnkillable) {
		// Its brothers would be children of somebody outside.
		return nil, kernel.EINVAL
	}
	if e := m.mayFork(t); e != 0 {
		return nil, e
	}
	ns := of.ns
	if args.newPID {
		if !t.capable(CapSysAdmin) {
			return nil, kernel.EPERM
		}
		if ns.level == maxPIDNamespaces {
			return nil, syscall.ENOSPC
		}
		ns = m.newPIDNamespace(ns)
	}
	p, e := m.newProcess(ns)
	if e != 0 {
		return nil, e
	}
	parent := of
	p.exitSignal = uint8(args.exitSignal)
	if args.parent {
		parent, p.exitSignal = of.parent, of.exitSignal
	}
	parent.adopt(p)
	if p.exitSignal != uint8(syscall.SIGCHLD) {
		parent.signal |= signalClones
	}
	m.joinGroup(p, of.group)
	m.setCred(p, t.cred)
	p.argv, p.self, p.stdio, p.fs = of.argv, of.self, t.stdio, of.fs
	p.blocked, p.ignored, p.handlers = t.blocked, of.ignored, of.handlers
	const inherited = signalCore | signalUnderSubreaper | signalNoCldStop | signalNoCldWait
	p.signal = of.signal & inherited
	if of.has(signalSubreaper) {
		p.signal |= signalUnderSubreaper
	}
	if args.newPID {
		ns.init = p
		p.signal |= signalUnkillable
	}
	m.addTask()
	if m.tasksFull() {
		// The number is spent all the same: the control group is asked last (cgroup_can_fork).
		m.setState(p, Zombie)
		m.release(p)
		return nil, kernel.EAGAIN
	}
	return p, 0
}

// waitVfork makes t wait until its child executes a program or ends (kernel/fork.c,
// wait_for_vfork_done).
func (m *Machine) waitVfork(t *process) {
	t.flags |= taskVforking | taskKillable
	m.setState(t, Uninterruptible)
}

// completeVfork lets the parent go on that waits for p (kernel/fork.c, complete_vfork_done).
func (m *Machine) completeVfork(p *process) {
	if p.rare == nil || p.rare.vfork == nil {
		return
	}
	t := p.rare.vfork
	p.rare.vfork = nil
	t.flags &^= taskVforking
	if t.state == Uninterruptible {
		m.wake(t)
	}
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
	p, e := m.fork(m.init)
	if e != 0 {
		return 0, e
	}
	own := *c
	own.Paths, own.Argv = slices.Clone(c.Paths), slices.Clone(c.Argv)
	p.cmd, p.argv = &own, own.Argv
	p.signal.set(signalCore, c.Core)
	p.blocked, p.ignored = 0, 0
	m.setsid(p)
	if e := m.childTTY(p, c); e != 0 {
		m.failStart(p, kernel.StageTTY, e)
		return p.pid, nil
	}
	img, e := m.execvp(own.Paths, own.Argv, c.Env)
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
	p.more().failed = &kernel.StartError{Stage: stage, Errno: e}
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
	p, e := m.fork(m.init)
	if e != 0 {
		return 0, e
	}
	// All signals are blocked there: PID 1's handlers must not run in it.
	p.blocked = everySignal
	switch c := c.(type) {
	case kernel.Nothing:
		p.frame = frame{steps: []Step{Exit{0}}}
	case kernel.Sync:
		p.frame = frame{steps: []Step{syncStep{}}}
	case kernel.Reboot:
		p.frame = frame{steps: []Step{Reboot{Cmd: c.Cmd, Arg: c.Arg}}}
	}
	m.wake(p)
	return p.pid, nil
}

package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// maxRebootArg is where RESTART2's argument is cut (kernel/reboot.c, a buffer of 256 bytes).
const maxRebootArg = 255

// reboot is reboot(2), up to where it takes time. The order of the checks is that of
// kernel/reboot.c. It returns what will happen when the devices are shut down; How is 0 if nothing
// will.
func (m *Machine) reboot(cmd kernel.RebootCmd, arg string) (End, kernel.Errno) {
	if !m.init.capable(CapSysBoot) {
		return End{}, kernel.EPERM
	}
	if e := m.fault(callReboot); e != 0 {
		return End{}, e
	}
	if m.cfg.Namespace {
		return rebootNamespace(cmd)
	}
	switch cmd {
	case kernel.CadOn, kernel.CadOff:
		m.cad = cmd == kernel.CadOn
		return End{}, 0
	case kernel.Restart:
		return End{How: Restarted, Text: "reboot: Restarting system"}, 0
	case kernel.Restart2:
		arg = arg[:min(len(arg), maxRebootArg)]
		return End{
			How: Restarted, Arg: arg,
			Text: "reboot: Restarting system with command '" + arg + "'",
		}, 0
	case kernel.Halt:
		return End{How: Halted, Text: "reboot: System halted"}, 0
	case kernel.PowerOff:
		return End{How: PoweredOff, Text: "reboot: Power down"}, 0
	}
	return End{}, kernel.EINVAL
}

// rebootNamespace is what reboot(2) does in a PID namespace (kernel/pid_namespace.c,
// reboot_pid_ns): PID 1 is killed, and its parent sees a signal that says why.
func rebootNamespace(cmd kernel.RebootCmd) (End, kernel.Errno) {
	switch cmd {
	case kernel.Restart, kernel.Restart2:
		return End{How: Restarted, Status: kernel.WaitStatus(syscall.SIGHUP)}, 0
	case kernel.Halt:
		return End{How: Halted, Status: kernel.WaitStatus(syscall.SIGINT)}, 0
	case kernel.PowerOff:
		return End{How: PoweredOff, Status: kernel.WaitStatus(syscall.SIGINT)}, 0
	case kernel.CadOn, kernel.CadOff:
	}
	return End{}, kernel.EINVAL
}

// down carries out what reboot has decided. It returns true if the kernel comes back from it.
func (m *Machine) down(e End) (returns bool) {
	if e.Text != "" {
		m.printk(0, e.Text)
	}
	if !m.cfg.Namespace &&
		(e.How == Halted && m.cfg.HaltReturns || e.How == PoweredOff && m.cfg.PowerOffReturns) {
		return true
	}
	m.finish(e)
	return false
}

// do calls reboot(2) in a process. Shutting the devices down takes its time in D; who comes second
// waits for ever, for the first never unlocks the mutex.
func (s Reboot) do(m *Machine, p *process) verdict {
	f := &p.frame
	if p.ns != m.root && p.capable(CapSysBoot) {
		if e := m.rebootPIDNS(p, s.Cmd); e != 0 {
			m.exit(p, kernel.WaitStatus(e)<<8)
		}
		return gone
	}
	if !f.begun {
		e, errno := m.reboot(s.Cmd, s.Arg)
		if errno != 0 {
			m.exit(p, kernel.WaitStatus(errno)<<8)
			return gone
		}
		if e.How == 0 {
			return done
		}
		f.begun, f.until = true, m.later(m.cfg.RebootTime)
		if m.transit {
			f.until = kernel.Never
		}
		m.transit = m.transit || !m.cfg.Namespace
		m.rebooting = e
	}
	if m.now < f.until {
		m.sleepUntil(p, f.until, Uninterruptible)
		return again
	}
	if m.down(m.rebooting) || m.ending {
		m.exit(p, 0)
	}
	return gone
}

// RebootSelf calls reboot(2) in PID 1.
func (k *pid1Calls) RebootSelf(cmd kernel.RebootCmd) error {
	if e := k.enter(callRebootSelf); e != 0 {
		return e
	}
	m := k.m
	e, errno := m.reboot(cmd, "")
	if errno != 0 {
		return errno
	}
	if e.How == 0 {
		return nil
	}
	takes := m.cfg.RebootTime
	if m.transit {
		takes = kernel.Never
	}
	m.transit = !m.cfg.Namespace
	k.blockFor("RebootSelf", takes)
	if m.down(e) {
		// do_exit ends the calling thread only, and that is PID 1's only one that does
		// anything.
		m.finish(End{How: Stuck, Text: "PID 1's thread has ended in reboot(2)"})
	}
	k.check()
	return nil
}

// CadOn reports whether Ctrl-Alt-Del restarts the machine without asking PID 1.
func (m *Machine) CadOn() bool { return m.cad }

// CtrlAltDel is the three keys (kernel/reboot.c, ctrl_alt_del).
type CtrlAltDel struct{}

func (CtrlAltDel) act(m *Machine) {
	switch {
	case m.cfg.Namespace:
	case m.cad:
		m.down(End{How: Restarted, Text: "reboot: Restarting system"})
	default:
		m.send(m.init, syscall.SIGINT, false)
	}
}

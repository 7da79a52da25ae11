package sim

import (
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// schedule puts the events down, and notes when each happens.
func (p *play) schedule() {
	p.t.Done = make([]time.Duration, len(p.s.Events))
	for i, e := range p.s.Events {
		p.t.Done[i] = scenario.Undone
		note := simkernel.Do(func(m *simkernel.Machine) { p.t.Done[i] = m.Now() })
		act := p.action(e.Do)
		if e.When != "" {
			p.m.WhenAfter(e.When, e.After, note, act)
			continue
		}
		p.m.At(e.At, note, act)
	}
}

// action is a deed as the model knows it.
func (p *play) action(d scenario.Deed) simkernel.Action {
	switch d := d.(type) {
	case scenario.Signal:
		// Whoever signals the init of a container from outside is its ancestor.
		outside := p.s.Machine.Privilege >= scenario.Container
		return simkernel.Signal{Signals: d.Signals, Ancestor: outside}
	case scenario.Kill:
		return simkernel.Signal{Name: d.Name, Signals: []kernel.Signal{d.Signal}}
	case scenario.Type:
		return simkernel.Type{TTY: device(d.TTY), Text: d.Text}
	case scenario.WriteFile:
		return simkernel.WriteFile{Path: d.Path, Text: d.Text}
	case scenario.RemoveFile:
		return simkernel.RemoveFile{Path: d.Path}
	case scenario.HangUp:
		return simkernel.HangUp{TTY: device(d.TTY)}
	case scenario.StopOutput:
		return simkernel.StopOutput{TTY: device(d.TTY)}
	case scenario.StartOutput:
		return simkernel.StartOutput{TTY: device(d.TTY)}
	case scenario.CtrlAltDel:
		return simkernel.CtrlAltDel{}
	case scenario.Thaw:
		return simkernel.Thaw{Name: d.Name}
	case scenario.KernelFails:
		return kernelFails(d.Failure)
	case scenario.CPUStuck:
		return simkernel.Fail{
			CPU: d.CPU, Kthread: culprit, How: simkernel.StuckCPU{IRQsOff: d.IRQsOff},
		}
	case scenario.WatchdogFires:
		return simkernel.WatchdogFires{}
	}
	panic("scenario: no such deed")
}

// culprit is in whose name the kernel fails: a thread of the kernel, here as in QEMU.
const culprit = "crash"

// kernelFails is a failure by its name.
func kernelFails(name string) simkernel.Action {
	switch name {
	case "panic":
		return simkernel.Fail{Kthread: culprit, How: simkernel.PanicCall{Text: "sysrq triggered crash"}}
	case "hung-task":
		return simkernel.Kthread{Name: culprit, Steps: []simkernel.Step{simkernel.Hang{}}}
	}
	a, ok := crash.Event(name, culprit)
	if !ok {
		panic("scenario: no such failure of the kernel")
	}
	return a
}

// device is a terminal's path.
func device(tty string) string {
	if tty == "" {
		return ""
	}
	return "/dev/" + tty
}

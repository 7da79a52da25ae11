package qemu

import (
	"strconv"

	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/test/crashmodule"
)

// failure is how a deed makes the kernel of a virtual machine fail.
type failure struct {
	// poke is for the agent, and button is a command of QEMU's. One of them is set, or cannot,
	// which says why it cannot be done.
	poke   stage.Poke
	button string
	cannot string
	// module says that the crash module must be there.
	module bool
}

// failureOf is how a deed makes a kernel of that architecture fail. The zero value is for all other
// deeds.
func failureOf(d scenario.Deed, arch string) failure {
	switch d := d.(type) {
	case scenario.KernelFails:
		return kernelFails(d.Failure, arch)
	case scenario.CPUStuck:
		way := "self-lockup"
		if d.IRQsOff {
			way = "self-irqs-off"
		}
		return byModule(way, d.CPU)
	}
	return failure{}
}

// byModule lets a thread of the kernel fail by the crash module, on a CPU.
func byModule(way string, cpu int) failure {
	return failure{
		module: true,
		poke:   stage.Poke{File: crashmodule.Control, Text: way + " " + strconv.Itoa(cpu)},
	}
}

// kernelFails is a way to fail by its name in the scenario.
func kernelFails(name, arch string) failure {
	ways := map[string]string{
		"bad-instruction": "undefined",
		"bad-jump":        "null-jump",
		"bad-pointer":     "wild-read",
		"bug":             "bug",
		"bug-irq":         "timer-bug",
		"hung-task":       "d-state",
		"oops":            "null-write",
		"oops-atomic":     "atomic-oops",
		"oops-idle":       "idle-oops",
		"oops-init":       "init-oops",
		"oops-irq":        "irq-oops",
		"oops-kthread":    "null-write",
		"oops-locked":     "locked-oops",
		"oops-read":       "null-read",
		"oops-softirq":    "timer-oops",
		"panic-softirq":   "timer-panic",
		"read-only":       "text-write",
		"schedule-atomic": "atomic-schedule",
		"stack-canary":    "stack-canary",
		"stack-overflow":  "stack-overflow",
		"warn":            "warn",
		"warn-on":         "bare-warn",
	}
	switch {
	case name == "panic":
		return failure{poke: stage.Poke{File: "/proc/sysrq-trigger", Text: "c"}}
	case name == "nmi" && arch == "amd64":
		return failure{button: "inject-nmi"}
	case name == "nmi":
		return failure{cannot: "its processor has no NMI"}
	case name == "mce" && arch == "amd64":
		return failure{cannot: "its kernel is built without machine checks"}
	case name == "mce":
		return failure{cannot: "its processor has no machine checks"}
	case name == "schedule-atomic" && arch == "arm64":
		return failure{cannot: "its kernel does not count what keeps a task from being preempted"}
	case ways[name] == "":
		return failure{cannot: "its crash module has no such way to fail"}
	}
	return byModule(ways[name], 0)
}

// needsModule reports whether a scenario's kernel fails by the crash module.
func needsModule(s *scenario.Scenario, arch string) bool {
	for _, e := range s.Events {
		if failureOf(e.Do, arch).module {
			return true
		}
	}
	return false
}

// fail makes the kernel fail.
func (g *guest) fail(f failure) error {
	if f.button != "" {
		_, err := g.vm.Monitor.Execute(f.button, nil)
		return err
	}
	// Not all that the kernel says of it is of a level that shows on a quiet console.
	const all = "7"
	return g.order(stage.Order{Poke: []stage.Poke{{File: "/proc/sys/kernel/printk", Text: all}, f.poke}})
}

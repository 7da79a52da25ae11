package scenario

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Event is something that happens to the machine from outside, once.
type Event struct {
	Line int // in the scenario

	// At is when, since the start of PID 1, if When is empty.
	At time.Duration
	// When is a line that must stand on some terminal first, whole or so far as it has been
	// written, carriage returns left out; After is how long after that.
	When  string
	After time.Duration

	// Do happens.
	Do Deed
}

// Deed is what happens in an Event.
type Deed interface{ deed() }

// The deeds. A TTY is a name without /dev/; "" is the console. Paths are absolute.
type (
	// Signal sends PID 1 signals. All are pending before it takes the first.
	Signal struct{ Signals []kernel.Signal }
	// Kill sends a signal to the processes of a name: that which an actor has given itself,
	// or the last part of its path.
	Kill struct {
		Name   string
		Signal kernel.Signal
	}
	// Type types text on a terminal; control characters do there what they do.
	Type struct{ TTY, Text string }
	// WriteFile gives a file a new text, as the rename of a new file over it does.
	WriteFile struct{ Path, Text string }
	// RemoveFile removes a file.
	RemoveFile struct{ Path string }
	// HangUp drops the line of a terminal.
	HangUp struct{ TTY string }
	// StopOutput is Ctrl-S on a terminal, StartOutput is Ctrl-Q.
	StopOutput  struct{ TTY string }
	StartOutput struct{ TTY string }
	// CtrlAltDel is the three keys.
	CtrlAltDel struct{}
	// Thaw wakes the processes of a name that hang in state D.
	Thaw struct{ Name string }
	// KernelFails lets the kernel fail in one of the ways of KernelFailures.
	KernelFails struct{ Failure string }
	// CPUStuck lets a CPU compute in the kernel for ever, with interrupts off or on.
	CPUStuck struct {
		CPU     int
		IRQsOff bool
	}
	// WatchdogFires is a hardware watchdog that resets the machine now.
	WatchdogFires struct{}
)

// KernelFailures are the ways in which a scenario can let a running kernel fail, as
// `simboot crash -list` describes them. The words of a panic are those of SysRq c.
func KernelFailures() []string {
	return []string{
		"bad-instruction", "bad-jump", "bad-pointer", "bug", "bug-irq", "hung-task", "mce", "nmi", "oops",
		"oops-atomic", "oops-idle", "oops-init", "oops-irq", "oops-kthread", "oops-locked", "oops-read",
		"oops-softirq", "panic", "panic-softirq", "read-only", "schedule-atomic", "stack-canary",
		"stack-overflow", "warn", "warn-on",
	}
}

// FailsKernel reports whether the kernel is not to survive unharmed: then it must be the machine's
// own.
func (s *Scenario) FailsKernel() bool {
	for _, e := range s.Events {
		switch e.Do.(type) {
		case KernelFails, CPUStuck, WatchdogFires:
			return true
		}
	}
	return false
}

func (Signal) deed()      {}
func (Kill) deed()        {}
func (Type) deed()        {}
func (WriteFile) deed()   {}
func (RemoveFile) deed()  {}
func (HangUp) deed()      {}
func (StopOutput) deed()  {}
func (StartOutput) deed() {}
func (CtrlAltDel) deed()  {}
func (Thaw) deed()        {}

func (KernelFails) deed()   {}
func (CPUStuck) deed()      {}
func (WatchdogFires) deed() {}

// Package qemu plays scenarios on a real kernel, in a virtual machine: init is PID 1 of a machine of
// its own, which really goes down.
//
// Who signals PID 1 must be in the machine. So where a scenario has signals, or changes files, an
// agent is there before init is: a child of PID 1 that this does not know of, in a session of its
// own, which ignores all signals and leaves as soon as it has nothing more to do. As long as it is
// there it counts for init: a way down that begins before its last order waits for it as for any
// process that ignores SIGTERM.
package qemu

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
	"github.com/rebound-init/rebound/test/crashmodule"
	"github.com/rebound-init/rebound/test/qemu"
)

// Name is what the names of these worlds begin with, and what stands for all of them.
const Name = "qemu"

// AccelVariable is the variable of the environment that names QEMU's accelerator, in place of tcg:
// kvm is never taken unasked, for it is not always sound.
const AccelVariable = "REBOUND_ACCEL"

// clock is how well an emulated machine on a busy host keeps time.
func clock() live.Clock {
	return live.Clock{Slack: 15 * time.Second, Blur: 100 * time.Millisecond}
}

// bootTime is the longest that a kernel may take to get to PID 1.
const bootTime = 3 * time.Minute

// World plays scenarios. The zero value is a machine like this one.
type World struct {
	// Arch is "amd64" or "arm64"; if empty, that of this machine.
	Arch string
}

var _ scenario.World = World{}

// Name returns the world's name, which has the architecture in it.
func (w World) Name() string { return Name + "-" + w.arch() }

func (w World) arch() string {
	if w.Arch == "" {
		return runtime.GOARCH
	}
	return w.Arch
}

// Play plays a scenario.
func (w World) Play(
	ctx context.Context, s *scenario.Scenario, o scenario.Options,
) (*scenario.Transcript, error) {
	if err := live.Unplayable(w.Name(), s); err != nil {
		return nil, err
	}
	if why := w.reason(s); why != "" {
		return nil, &scenario.Unplayable{World: w.Name(), Why: why}
	}
	g := &guest{s: s, arch: w.arch(), play: live.New(s, kernelLine), ended: make(chan struct{})}
	// Before anything is built.
	if err := g.describe().Check(); err != nil {
		return nil, w.missing(err)
	}
	if needsModule(s, g.arch) {
		module, err := crashmodule.Target{Arch: g.arch, Tree: tree(s, g.arch)}.Build(ctx)
		if err != nil {
			return nil, w.missing(err)
		}
		g.module = module
	}
	programs, err := live.Find(ctx, w.Name(), s, o, g.arch)
	if err != nil {
		return nil, err
	}
	defer g.close()
	if err := g.launch(ctx, programs); err != nil {
		return nil, w.missing(err)
	}
	end := scenario.End{How: []scenario.How{scenario.Alive}}
	switch {
	case g.play.Perform(ctx, g.ended, g.do):
		end = g.how()
	case g.panicked():
		g.endedAt = g.play.Now()
		end = g.how()
	default:
		end.At = g.play.Now()
		if g.initDied() {
			end.How = []scenario.How{scenario.Hung}
		}
	}
	g.close()
	t := g.play.Transcript(w.Name(), clock(), end)
	t.Log = append(t.Log, g.remarks...)
	return t, ctx.Err()
}

// missing turns what this machine lacks into an *Unplayable.
func (w World) missing(err error) error {
	var m *qemu.MissingError
	if errors.As(err, &m) {
		return &scenario.Unplayable{World: w.Name(), Why: "needs " + m.What + ": " + m.Remedy, Missing: true}
	}
	return err
}

// ports is how many serial ports a machine has for the scenario's terminals, besides the console
// and the line.
const ports = 2

// reason says why a virtual machine cannot play a scenario, or "".
func (w World) reason(s *scenario.Scenario) string {
	m := &s.Machine
	stopped := slices.ContainsFunc(m.Terminals, func(t scenario.Terminal) bool { return t.Stopped })
	switch {
	case m.Privilege >= scenario.Container:
		return "a machine of its own is no container"
	case m.Console == scenario.ConsolePipe:
		return "a machine's console is no pipe"
	case m.Console == scenario.ConsoleStopped || stopped:
		return "its terminals are not stopped before somebody opens them"
	case len(m.Terminals) > ports:
		return "it has no more than two terminals besides the console"
	case len(s.WantedFiles()) > 0:
		return "its files are gone when it has gone down"
	}
	if why := strangeWatchdog(s, w.arch()); why != "" {
		return why
	}
	restarts := false
	for _, e := range s.Events {
		if restarts && ordered(e.Do) {
			return "who sends signals there does not outlive the restart of init"
		}
		switch d := e.Do.(type) {
		case scenario.HangUp:
			return "its serial lines have no carrier to lose"
		case scenario.StopOutput:
			if d.TTY != "" {
				return "a serial line that nobody has open hears no Ctrl-S"
			}
		case scenario.CtrlAltDel:
			if w.arch() != "amd64" {
				return "it has no keyboard"
			}
		case scenario.KernelFails, scenario.CPUStuck:
			if why := failureOf(d, w.arch()).cannot; why != "" {
				return why
			}
		case scenario.Signal:
			if slices.Contains(d.Signals, syscall.SIGKILL) ||
				slices.Contains(d.Signals, syscall.SIGSTOP) {
				return "nobody is outside who could send that signal to PID 1"
			}
			restarts = restarts || slices.Contains(d.Signals, syscall.SIGQUIT)
		}
	}
	return ""
}

// accel is QEMU's accelerator.
func accel() string { return os.Getenv(AccelVariable) }

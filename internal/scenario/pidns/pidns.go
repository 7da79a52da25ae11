// Package pidns plays scenarios in a PID namespace of the running kernel: init is a real process
// with real children and terminals, in a root file system of its own. It needs root.
package pidns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
)

// Name is the world's name.
const Name = "pidns"

// clock is how well a busy machine keeps time.
func clock() live.Clock {
	return live.Clock{Slack: 3 * time.Second, Blur: 20 * time.Millisecond}
}

// World plays scenarios, several at a time if asked so. The zero value is ready for use.
type World struct{}

var _ scenario.World = World{}

// Name returns the world's name.
func (World) Name() string { return Name }

// Play plays a scenario.
func (World) Play(
	ctx context.Context, s *scenario.Scenario, o scenario.Options,
) (*scenario.Transcript, error) {
	if err := live.Unplayable(Name, s); err != nil {
		return nil, err
	}
	if why := reason(s); why != "" {
		return nil, &scenario.Unplayable{World: Name, Why: why}
	}
	if os.Geteuid() != 0 {
		return nil, &scenario.Unplayable{World: Name, Why: "needs root", Missing: true}
	}
	programs, err := live.Find(ctx, Name, s, o, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	r := &room{s: s, play: live.New(s, nil), ended: make(chan struct{})}
	defer r.close()
	if err := r.furnish(programs); err != nil {
		return nil, fmt.Errorf("furnish a room: %w", err)
	}
	if err := r.launch(); err != nil {
		return nil, err
	}
	end := scenario.End{How: []scenario.How{scenario.Alive}}
	parent := ""
	if r.play.Perform(ctx, r.ended, r.do) {
		end, parent = live.Seen(r.status)
		end.At = r.endedAt
	} else {
		end.At = r.play.Now()
	}
	r.end()
	t := r.play.Transcript(Name, clock(), end)
	t.Parent = parent
	r.readFiles(t)
	return t, ctx.Err()
}

// reason says why a PID namespace cannot play a scenario, or "".
func reason(s *scenario.Scenario) string {
	m := &s.Machine
	switch {
	case m.Privilege == scenario.Own:
		return "a PID namespace is no machine of its own"
	case m.Cmdline != "":
		return "a PID namespace has the kernel command line of its machine"
	case s.FailsKernel() || m.CPUs != 0:
		return "a PID namespace has the kernel and the CPUs of its machine"
	case len(m.Watchdogs) > 0:
		return "a PID namespace has no watchdog of its own: one resets the machine"
	}
	for _, e := range s.Events {
		if _, ok := e.Do.(scenario.CtrlAltDel); ok {
			return "a PID namespace has no Ctrl-Alt-Del"
		}
	}
	return ""
}

// do lets something happen.
func (r *room) do(d scenario.Deed) error {
	switch d := d.(type) {
	case scenario.Signal:
		return r.signal(d.Signals)
	case scenario.Kill:
		return live.KillNamed(r.cmd.Process.Pid, d.Name, d.Signal)
	case scenario.Type:
		t, err := r.terminal(d.TTY)
		if err != nil {
			return err
		}
		_, err = t.master.WriteString(d.Text)
		return err
	case scenario.WriteFile:
		return r.put(scenario.File{Path: d.Path, Text: d.Text})
	case scenario.RemoveFile:
		return os.Remove(r.dir + d.Path)
	case scenario.HangUp:
		t, err := r.terminal(d.TTY)
		if err != nil {
			return err
		}
		t.hangUp()
		return nil
	case scenario.StopOutput:
		return r.flow(d.TTY, unix.TCOOFF)
	case scenario.StartOutput:
		return r.flow(d.TTY, unix.TCOON)
	}
	return fmt.Errorf("a PID namespace has nothing like %T", d)
}

// signal sends PID 1 signals. If they are several it is stopped meanwhile, so that all are pending
// before it takes the first.
func (r *room) signal(sigs []syscall.Signal) error {
	return live.SignalAll(r.cmd.Process.Pid, sigs)
}

func (r *room) terminal(name string) (*terminal, error) {
	t := r.terminals[name]
	if t == nil {
		return nil, fmt.Errorf("there is no terminal %q", name)
	}
	return t, nil
}

// flow stops or starts the output of a terminal.
func (r *room) flow(name string, how int) error {
	t, err := r.terminal(name)
	if err != nil {
		return err
	}
	return unix.IoctlSetInt(t.slave, unix.TCXONC, how)
}

// readFiles reads what the scenario wants to know.
func (r *room) readFiles(t *scenario.Transcript) {
	for _, path := range r.s.WantedFiles() {
		text, err := os.ReadFile(r.dir + path)
		switch {
		case err == nil:
			t.Files[path] = string(text)
		case !errors.Is(err, os.ErrNotExist):
			t.Log = append(t.Log, scenario.Line{At: t.End.At, Text: err.Error()})
		}
	}
}

// Package sim plays scenarios on the simulated kernel, with the very PID 1 that boots machines.
package sim

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Name is the world's name.
const Name = "sim"

// World is the simulated world. The zero value is ready for use.
type World struct {
	// Programs are there besides the actor and the commands reboot, halt and poweroff, by
	// path.
	Programs map[string]simkernel.Program
}

var _ scenario.World = World{}

// Name returns the world's name.
func (World) Name() string { return Name }

// Play plays a scenario. It takes no real time to speak of, so the context is looked at only
// before.
func (w World) Play(
	ctx context.Context, s *scenario.Scenario, o scenario.Options,
) (*scenario.Transcript, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Playable(Name); err != nil {
		return nil, err
	}
	cfg, err := w.config(s, o)
	if err != nil {
		return nil, err
	}
	p := &play{
		s: s, m: simkernel.New(cfg),
		t: &scenario.Transcript{World: Name, Terminals: make(map[string][]scenario.Line)},
	}
	p.fail()
	p.schedule()
	p.run()
	p.look()
	return p.t, nil
}

// play is one play.
type play struct {
	s *scenario.Scenario
	m *simkernel.Machine
	t *scenario.Transcript
	// crashed says that PID 1 has panicked.
	crashed bool
}

// run runs PID 1, and what takes its place, until the machine ends.
func (p *play) run() {
	boot := p.pid1(p.s.Machine.Args, p.environ(), true)
	for boot != nil {
		end := p.boot(boot)
		boot = nil
		switch {
		case p.crashed:
			p.t.End = scenario.End{How: []scenario.How{scenario.Died}, At: p.m.Now()}
		case end.How == simkernel.Execed:
			boot = p.successor(end)
		default:
			p.ended(end)
		}
	}
}

// boot runs a program as PID 1. A panic of init is a fault of init: here there is nobody to catch
// it.
func (p *play) boot(program func(kernel.Kernel) int) (end simkernel.End) {
	defer func() {
		if v := recover(); v != nil {
			p.crashed = true
			p.complain(fmt.Sprintf("PID 1 has panicked at %v: %v\n%s", p.m.Now(), v, debug.Stack()))
		}
	}()
	return p.m.Boot(program)
}

func (p *play) complain(text string) { p.t.Complaints = append(p.t.Complaints, text) }

// environ is what the kernel gives PID 1 (init/main.c, envp_init), and what the scenario adds.
func (p *play) environ() []string {
	return append([]string{"HOME=/", "TERM=linux"}, p.s.Machine.Env...)
}

// pid1 is init.
func (p *play) pid1(args, env []string, first bool) func(kernel.Kernel) int {
	return func(k kernel.Kernel) int {
		if first && p.s.Machine.Disk {
			if err := k.Mount(kernel.Mount{Type: "ext4", Target: "/data"}); err != nil {
				p.complain("mount /data: " + err.Error())
			}
		}
		in := pid1.New(k, pid1.Options{Args: args, Env: env, Linuxrc: p.s.Machine.Linuxrc})
		return in.Run()
	}
}

// successor is the program that has taken init's place, or nil if the model does not know it.
func (p *play) successor(end simkernel.End) func(kernel.Kernel) int {
	c := end.Command
	switch {
	case slices.Contains(c.Paths, scenario.InitPath):
		return p.pid1(c.Argv[1:], c.Env, false)
	case slices.Contains(c.Paths, scenario.ActorPath):
		return p.actor(c.Argv[1:], c.Env)
	}
	p.t.End = scenario.End{
		How: []scenario.How{scenario.Replaced}, At: end.At, Text: strings.Join(c.Argv, " "),
	}
	return nil
}

// ended takes over how the machine ended.
func (p *play) ended(end simkernel.End) {
	e := scenario.End{At: end.At, Text: end.Text}
	inside := p.s.Machine.Privilege >= scenario.Container
	switch end.How {
	case simkernel.Restarted:
		e.How = []scenario.How{scenario.Reboot}
	case simkernel.Halted:
		e.How = []scenario.How{scenario.Halt}
	case simkernel.PoweredOff:
		e.How = []scenario.How{scenario.PowerOff}
	case simkernel.Exited:
		e.How, e.Status = []scenario.How{scenario.Exit}, end.Status.ExitStatus()
		if end.Status.Signaled() {
			e.How, e.Status = []scenario.How{scenario.Died}, 0
		}
	case simkernel.Stuck:
		e.How = []scenario.How{scenario.Hung}
		if strings.HasPrefix(end.Text, "waiting for an event") {
			// Nothing will happen any more, so it is still so at the end of the play.
			e = scenario.End{How: []scenario.How{scenario.Alive}, At: p.s.Lasts}
		}
	case simkernel.Lingering:
		// It has ended, and yet has not: a thread of its is left, or in a container a process.
		e.How, e.At = []scenario.How{scenario.Hung}, p.s.Lasts
	case simkernel.TimedOut:
		e.How = []scenario.How{scenario.Alive}
	case simkernel.Livelocked:
		e.How = []scenario.How{scenario.Hung}
		p.complain("PID 1 works for ever at one instant")
	default:
		e.How = []scenario.How{scenario.Died}
	}
	died(&e, end)
	p.t.End = e
	if !inside || e.May(scenario.Alive) || e.May(scenario.Hung) {
		return
	}
	p.t.Parent = fmt.Sprintf("exit %d", end.Status.ExitStatus())
	if end.Status.Signaled() {
		p.t.Parent = "SIG" + kernel.SignalName(end.Status.Signal())
	}
}

// died tells when a kernel died, and what became of its machine.
func died(e *scenario.End, end simkernel.End) {
	then := end.Then
	if end.How == simkernel.ResetByWatchdog && then == 0 {
		// Nothing was wrong with the kernel.
		e.Then = scenario.ThenWatchdog
		return
	}
	switch {
	case then == 0:
		return
	case then == simkernel.ResetByWatchdog || end.By != "":
		e.Then = scenario.ThenWatchdog
	case then == simkernel.Restarted:
		e.Then = scenario.ThenRestart
	case then == simkernel.Kexeced:
		e.Then = scenario.ThenCapture
	default:
		e.Then = scenario.ThenHung
	}
	e.At, e.After = end.Since, end.At-end.Since
}

// look takes what is left into the transcript.
func (p *play) look() {
	console := []scenario.Line{}
	if c := p.s.Machine.Console; c != scenario.ConsoleNull && c != scenario.ConsoleNone {
		console = linesOf(p.m.Console())
	}
	p.t.Terminals[""] = console
	for _, tty := range p.s.Machine.Terminals {
		p.t.Terminals[tty.Name] = linesOf(p.m.Transcript("/dev/" + tty.Name))
	}
	for _, l := range p.m.Log() {
		p.t.Log = append(p.t.Log, scenario.Line{At: l.At, Text: l.Text})
	}
	p.t.Files = make(map[string]string)
	for _, path := range p.s.WantedFiles() {
		if text, ok := p.m.File(path); ok {
			p.t.Files[path] = text
		}
	}
	p.checkPID1()
}

func linesOf(lines []simkernel.Line) []scenario.Line {
	ls := make([]scenario.Line, len(lines))
	for i, l := range lines {
		ls[i] = scenario.Line{At: l.At, Text: l.Text}
	}
	return ls
}

// checkPID1 checks what must hold for every play.
func (p *play) checkPID1() {
	for _, b := range p.m.Blocked() {
		// An exec is awaited, and reboot(2) in PID 1 itself is the last resort.
		if b.Call != "Exec" && b.Call != "RebootSelf" {
			p.complain(fmt.Sprintf("PID 1 has waited in %s at %v for %v", b.Call, b.At, b.For))
		}
	}
	// Three for the children, one for the console, one for the kernel log if it is followed, and
	// for each prompt its terminal.
	const builtInPrompts = 4
	own, prompts := 4, builtInPrompts
	if p.m.Calls("FollowLog") > 0 {
		own++
	}
	for _, f := range p.s.Files {
		prompts += strings.Count(f.Text, ":askfirst:")
	}
	for _, e := range p.s.Events {
		if f, ok := e.Do.(scenario.WriteFile); ok {
			prompts += strings.Count(f.Text, ":askfirst:")
		}
	}
	if fds := p.m.OpenFDs(); len(fds) > own+prompts {
		p.complain(fmt.Sprintf("PID 1 has %d descriptors open in the end, and needs at most %d",
			len(fds), own+prompts))
	}
	if n := p.m.Count(simkernel.Zombie); p.t.End.May(scenario.Alive) && n > 0 {
		p.complain(fmt.Sprintf("%d processes have ended and were not reaped", n))
	}
}

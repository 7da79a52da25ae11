package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/actor/simactor"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// execTime is how long it takes to load a program, if the scenario does not say.
const execTime = time.Millisecond

// consolePath is the device behind the console.
const consolePath = "/dev/ttyS0"

// config is the machine of a scenario.
func (w World) config(s *scenario.Scenario, o scenario.Options) (simkernel.Config, error) {
	sm := &s.Machine
	cfg := simkernel.Config{
		Seed: o.Seed, Trace: o.Trace, Until: s.Lasts,
		Cmdline: sm.Cmdline, NoShell: !sm.Shell && w.Programs["/bin/sh"].Main == nil,
		Namespace: sm.Privilege >= scenario.Container,
		Reboot:    simkernel.RebootConfig{CPUs: sm.CPUs},
		ExecTime:  execTime,
		Threads:   threads(s),
		// A kernel that is to fail is like those that do it in QEMU. The others have less, so that what
		// init says without it can be played.
		MagicSysrq: s.FailsKernel(),
		Files:      make(map[string]string),
		Terminals:  make(map[string]simkernel.Terminal),
		Programs:   commands(),
		Dirs:       []string{"/data", "/tmp", "/run", "/proc", "/sys"},
	}
	maps.Copy(cfg.Programs, w.Programs)
	if sm.Privilege == scenario.Unprivileged {
		cfg.Privileges.Without = simkernel.CapSysBoot
	}
	for thing, d := range sm.Slow {
		switch thing {
		case "sync":
			cfg.SyncTime = d
		case "exec":
			cfg.ExecTime = d
		case "reboot":
			cfg.RebootTime = d
		}
	}
	for _, cmd := range sm.Returns {
		cfg.HaltReturns = cfg.HaltReturns || cmd == "halt"
		cfg.PowerOffReturns = cfg.PowerOffReturns || cmd == "poweroff"
	}
	for _, w := range sm.Watchdogs {
		cfg.Watchdogs = append(cfg.Watchdogs, simkernel.Watchdog{
			Driver: w.Driver, NoWayOut: w.NoWayOut, Running: w.Running,
		})
	}
	setConsole(&cfg, sm.Console)
	for _, t := range sm.Terminals {
		tty := simkernel.Terminal{Stopped: t.Stopped}
		if t.Dead {
			tty.OpenErr = kernel.EIO
		}
		cfg.Terminals["/dev/"+t.Name] = tty
	}
	for _, f := range s.Files {
		switch {
		case f.Executable:
			return cfg, &scenario.Unplayable{
				World: Name, Why: "the simulated machine has no shell that could read " + f.Path,
			}
		case f.Dir:
			cfg.Dirs = append(cfg.Dirs, f.Path)
		default:
			cfg.Files[f.Path] = f.Text
		}
	}
	return cfg, nil
}

// threads are PID 1's further ones. Go's runtime has some, and they count when an oops ends the one
// that had it, and no other. They take no signals: in Go's, whoever takes one hands it on, which is
// as if the first had taken it.
func threads(s *scenario.Scenario) [][]simkernel.Step {
	oops := func(e scenario.Event) bool { return e.Do == scenario.KernelFails{Failure: "oops-init"} }
	if !slices.ContainsFunc(s.Events, oops) {
		return nil
	}
	var sleeps []simkernel.Step
	for sig := kernel.Signal(1); sig <= actor.LastSignal; sig++ {
		sleeps = append(sleeps, simkernel.Block{Signal: sig})
	}
	return [][]simkernel.Step{append(sleeps, simkernel.Pause{})}
}

// setConsole gives PID 1 its descriptors 0 to 2.
func setConsole(cfg *simkernel.Config, c scenario.Console) {
	cfg.Console = consolePath
	switch c {
	case scenario.ConsoleTTY:
	case scenario.ConsoleStopped:
		cfg.Terminals[consolePath] = simkernel.Terminal{Stopped: true}
	case scenario.ConsolePipe:
		cfg.Terminals[consolePath] = simkernel.Terminal{Plain: true}
	case scenario.ConsoleNull:
		cfg.Console, cfg.Stdio = "none", "/dev/null"
	case scenario.ConsoleNone:
		cfg.Console = "none"
	}
}

// commands are the programs that are on every machine of a scenario. The commands that bring the
// machine down are init's under other names; here they do no more than ask PID 1.
func commands() map[string]simkernel.Program {
	ask := func(sig kernel.Signal) simkernel.Program {
		return simkernel.Program{Steps: []simkernel.Step{simkernel.Kill{PID: 1, Signal: sig}}}
	}
	return map[string]simkernel.Program{
		scenario.ActorPath: simactor.Program(),
		// The time it takes would count as waiting of PID 1.
		scenario.InitPath: {Load: time.Nanosecond},
		"/sbin/reboot":    ask(kernel.SIGTERM),
		"/sbin/halt":      ask(kernel.SIGUSR1),
		"/sbin/poweroff":  ask(kernel.SIGUSR2),
	}
}

// callNames are the model's names for the calls of a scenario. Of fork there are two, and the n-th
// is one that starts a command.
func callNames(f scenario.Fault) []string {
	switch f.Call {
	case "fork":
		if f.N == 0 {
			return []string{"Spawn", "Call"}
		}
		return []string{"Spawn"}
	case "open":
		return []string{"Open"}
	case "kill":
		return []string{"KillAll"}
	}
	return []string{strings.ToUpper(f.Call[:1]) + f.Call[1:]}
}

// fail makes calls fail.
func (p *play) fail() {
	for _, f := range p.s.Machine.Faults {
		for _, name := range callNames(f) {
			p.m.Fail(name, f.N, f.Errno)
		}
	}
}

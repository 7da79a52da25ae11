// Package simactor plays the language of package actor on the simulated kernel.
package simactor

import (
	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Program is the actor.
func Program() simkernel.Program {
	return simkernel.Program{Main: func(argv []string) []simkernel.Step {
		ops, err := actor.Parse(argv[min(1, len(argv)):])
		if err != nil {
			return []simkernel.Step{
				simkernel.Say{Text: "actor: " + err.Error()},
				simkernel.Exit{Status: actor.ExitUnreadable},
			}
		}
		return Steps(ops)
	}}
}

// Steps are what a simulated process does for the operations.
func Steps(ops []actor.Op) []simkernel.Step {
	steps := make([]simkernel.Step, 0, len(ops)+1)
	for _, op := range ops {
		steps = add(steps, op)
	}
	return steps
}

// add appends the steps of one operation.
func add(steps []simkernel.Step, op actor.Op) []simkernel.Step {
	switch op := op.(type) {
	case actor.As:
		return append(steps, simkernel.SetName{Name: op.Name})
	case actor.Say:
		return append(steps, simkernel.Say{Text: op.Text})
	case actor.Sleep:
		return append(steps, simkernel.Sleep{For: op.For})
	case actor.Pause:
		return append(steps, simkernel.Pause{})
	case actor.Spin:
		return append(steps, simkernel.Spin{})
	case actor.Hang:
		return append(steps, simkernel.Hang{For: op.For, Killable: op.Killable})
	case actor.Stop:
		return append(steps, simkernel.Stop{})
	case actor.Exit:
		return append(steps, simkernel.Exit{Status: op.Status})
	case actor.Die:
		return append(steps, simkernel.Default{Signal: op.Signal},
			simkernel.Unblock{Signal: op.Signal}, simkernel.Raise{Signal: op.Signal})
	case actor.Ignore:
		return each(steps, op.Signals, func(sig kernel.Signal) simkernel.Step {
			return simkernel.Ignore{Signal: sig}
		})
	case actor.Default:
		return each(steps, op.Signals, func(sig kernel.Signal) simkernel.Step {
			return simkernel.Default{Signal: sig}
		})
	case actor.Block:
		return each(steps, op.Signals, func(sig kernel.Signal) simkernel.Step {
			return simkernel.Block{Signal: sig}
		})
	case actor.Unblock:
		return each(steps, op.Signals, func(sig kernel.Signal) simkernel.Step {
			return simkernel.Unblock{Signal: sig}
		})
	case actor.Catch:
		return append(steps, simkernel.Catch{Signal: op.Signal, Do: Steps(op.Rest)},
			simkernel.Pause{})
	case actor.Fork:
		return append(steps, simkernel.Fork{Times: op.N, Do: Steps(op.Rest)}, simkernel.Exit{})
	case actor.Beside:
		rest := Steps(op.Rest)
		return append(append(steps, simkernel.Fork{Times: op.N, Do: rest}), rest...)
	case actor.Orphan:
		child := []simkernel.Step{simkernel.Fork{Do: Steps(op.Rest)}, simkernel.Exit{}}
		return append(steps, simkernel.Fork{Times: op.N, Do: child}, simkernel.Wait{},
			simkernel.Pause{})
	case actor.Loop:
		return append(steps, simkernel.Loop{Times: op.N, Do: Steps(op.Rest)})
	case actor.Exec:
		return append(steps, simkernel.Exec{Argv: op.Argv})
	case actor.Start:
		return append(steps, simkernel.Fork{Do: []simkernel.Step{simkernel.Exec{Argv: op.Argv}}})
	case actor.Run:
		return append(steps, simkernel.Run{Argv: op.Argv})
	case actor.Wait:
		return append(steps, simkernel.Wait{})
	case actor.Kill:
		return append(steps, simkernel.Kill{PID: op.PID, Name: op.Name, Signal: op.Signal})
	case actor.Setsid:
		return append(steps, simkernel.Setsid{})
	case actor.Setpgid:
		return append(steps, simkernel.Setpgid{})
	case actor.Subreaper:
		return append(steps, simkernel.Subreaper{})
	case actor.ReadLine:
		return append(steps, simkernel.ReadLine{})
	case actor.Write:
		return append(steps, simkernel.PutText{Path: op.Path, Text: line(op.Text)})
	case actor.Append:
		return append(steps, simkernel.PutText{Path: op.Path, Text: op.Text + "\n", AtEnd: true})
	case actor.Cat:
		return append(steps, simkernel.SayFile{Path: op.Path})
	case actor.Remove:
		return append(steps, simkernel.Unlink{Path: op.Path})
	case actor.Env:
		return append(steps, simkernel.SayEnv{Name: op.Name})
	case actor.Reboot:
		return append(steps, simkernel.Reboot{Cmd: op.Cmd, Arg: op.Arg})
	}
	return steps
}

// each appends one step for each signal.
func each(
	steps []simkernel.Step, sigs []kernel.Signal, step func(kernel.Signal) simkernel.Step,
) []simkernel.Step {
	for _, sig := range sigs {
		steps = append(steps, step(sig))
	}
	return steps
}

// line is a text of one line, or none.
func line(text string) string {
	if text == "" {
		return ""
	}
	return text + "\n"
}

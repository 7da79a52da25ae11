package pid1test

import (
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Actor is the program that does what its arguments say, one after the other:
//
//	actor say hello, sleep 2s, exit 3
//
// The commas end the steps:
//
//	as NAME       does nothing, but tells one actor from another
//	say WORD...   writes a line
//	sleep TIME    sleeps
//	pause         sleeps for ever
//	hang [TIME]   sleeps in D
//	stop          stops itself
//	exit N        exits with a status
//	die SIGNAL    sends itself a signal
//	ignore SIGNAL ignores it
//	readline      takes a line from standard input
//	catch SIGNAL  does the rest when the signal comes, and pauses
//	fork [N]      does the rest in N children, and exits itself
//	beside [N]    does the rest in N children and itself
func Actor() simkernel.Program {
	return simkernel.Program{Main: func(argv []string) []simkernel.Step {
		steps := strings.Split(strings.Join(argv[1:], " "), ",")
		if len(argv) < 2 {
			steps = nil
		}
		return act(steps)
	}}
}

func act(steps []string) []simkernel.Step {
	var do []simkernel.Step
	for i, step := range steps {
		word, arg, _ := strings.Cut(strings.TrimSpace(step), " ")
		switch word {
		case "as":
		case "say":
			do = append(do, simkernel.Say{Text: arg})
		case "sleep":
			do = append(do, simkernel.Sleep{For: span(arg)})
		case "pause":
			do = append(do, simkernel.Pause{})
		case "hang":
			do = append(do, simkernel.Hang{For: span(arg)})
		case "stop":
			do = append(do, simkernel.Stop{})
		case "exit":
			do = append(do, simkernel.Exit{Status: number(arg, 0)})
		case "die":
			// What has no core and no handler dies of any of them.
			do = append(do, suicide(signal(arg))...)
		case "ignore":
			do = append(do, simkernel.Ignore{Signal: signal(arg)})
		case "readline":
			do = append(do, simkernel.ReadLine{})
		case "catch":
			return append(do, simkernel.Catch{Signal: signal(arg), Do: act(steps[i+1:])},
				simkernel.Pause{})
		case "fork":
			return append(do, simkernel.Fork{Times: number(arg, 1), Do: act(steps[i+1:])},
				simkernel.Exit{})
		case "beside":
			rest := act(steps[i+1:])
			return append(append(do, simkernel.Fork{Times: number(arg, 1), Do: rest}), rest...)
		default:
			panic("actor: no step " + strconv.Quote(step))
		}
	}
	return do
}

// suicide sends a signal to the own group, of which every command of init is the only member.
func suicide(sig kernel.Signal) []simkernel.Step {
	return []simkernel.Step{simkernel.Kill{PID: 0, Signal: sig}}
}

func span(arg string) time.Duration {
	if arg == "" {
		return 0
	}
	d, err := time.ParseDuration(arg)
	if err != nil {
		panic("actor: " + err.Error())
	}
	return d
}

func number(arg string, otherwise int) int {
	if arg == "" {
		return otherwise
	}
	n, err := strconv.Atoi(arg)
	if err != nil {
		panic("actor: " + err.Error())
	}
	return n
}

func signal(name string) kernel.Signal {
	for sig := syscall.SIGHUP; sig <= syscall.SIGSYS; sig++ {
		if simkernel.SignalName(sig) == name {
			return sig
		}
	}
	panic("actor: no signal " + strconv.Quote(name))
}

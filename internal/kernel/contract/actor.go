package contract

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	eacces  = syscall.EACCES
	ebadf   = syscall.EBADF
	enotdir = syscall.ENOTDIR
	sigstop = syscall.SIGSTOP
)

// Act is the actor of a world with a real kernel: it does as its steps say, and exits with status
// 0 after the last. The steps are
//
//	exit N        exit with that status
//	pause         sleep for ever
//	ignore SIG    ignore a signal
//	stop          stop itself
//	kill PID SIG  send a signal
//	fork          go on in a child, and exit in the parent
//
// The program that calls it must pass the steps on as they are: fork starts it once more, with
// args as its arguments before the steps that are left.
func Act(args []string, steps []string) {
	for i, step := range steps {
		words := strings.Fields(step)
		switch words[0] {
		case "exit":
			os.Exit(Number(words[1]))
		case "pause":
			for {
				time.Sleep(time.Hour)
			}
		case "ignore":
			signal.Ignore(SignalNamed(words[1]))
		case "stop":
			must(syscall.Kill(os.Getpid(), syscall.SIGSTOP))
		case "kill":
			must(syscall.Kill(Number(words[1]), SignalNamed(words[2])))
		case "fork":
			argv := append(append([]string(nil), args...), steps[i+1:]...)
			_, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
				Env: os.Environ(), Files: []uintptr{0, 1, 2},
			})
			must(err)
			os.Exit(0)
		default:
			panic("actor: no step " + step)
		}
	}
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "actor:", err)
		os.Exit(99)
	}
}

// Number is a number in a step.
func Number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("actor: " + err.Error())
	}
	return n
}

// SignalNamed is a signal in a step.
func SignalNamed(s string) kernel.Signal {
	switch s {
	case "HUP":
		return kernel.SIGHUP
	case "USR1":
		return kernel.SIGUSR1
	case "TERM":
		return kernel.SIGTERM
	}
	panic("actor: no signal " + s)
}

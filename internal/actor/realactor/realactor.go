// Package realactor plays the language of package actor on the running kernel.
//
// An actor is to be what its words say and nothing else: what a signal does to it is up to the
// kernel, and its children have what a C program's would have. Go's runtime stands in the way in
// three places. It has a handler for each signal; so Main gives all of them back. It is not made to
// be forked; so a child executes the program anew, with the words that are left. And it forgets at
// its start which signals were ignored and unblocks most that were blocked, and its threads take
// what the first one has blocked; so an actor tells the next one in the environment, and has
// handlers that keep the blocked ones for later.
//
// Two marks are left of that. What is blocked also counts as caught (SigCgt in
// proc_pid_status(5)). And in its first millisecond a program neither ignores nor blocks what it
// inherited.
package realactor

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/actor/stage"
)

// Main does as the words behind argv[0] say, and returns the exit status.
func Main(argv []string) int {
	if len(argv) > 2 && argv[1] == stage.Word {
		return stage.Main(argv)
	}
	if len(argv) > 1 && argv[1] == stage.AgentWord {
		return agent()
	}
	// Masks and names are those of a thread, and a process is judged by its first one.
	runtime.LockOSThread()
	a := &act{argv0: argv[0], signals: takeSignalsBack()}
	a.signals.inherit()
	words := argv[1:]
	ops, err := actor.Parse(words)
	if err != nil {
		a.say("actor: " + err.Error())
		return actor.ExitUnreadable
	}
	if a.name == "" {
		a.call(base(argv[0]))
	}
	return a.do(ops)
}

// act is an actor at work.
type act struct {
	argv0   string
	name    string // that it has given itself
	signals signals
}

// onward is the status of steps that have not ended the process.
const onward = -1

// do does the steps, and exits with status 0 after the last.
func (a *act) do(ops []actor.Op) int {
	if status := a.steps(ops); status != onward {
		return status
	}
	return 0
}

// steps does the steps, and returns onward or an exit status.
func (a *act) steps(ops []actor.Op) int {
	for _, op := range ops {
		if status := a.step(op); status != onward {
			return status
		}
	}
	return onward
}

// step does one step.
func (a *act) step(op actor.Op) int {
	switch op := op.(type) {
	case actor.As:
		a.name = op.Name
		a.call(op.Name)
	case actor.Say:
		a.say(op.Text)
	case actor.Sleep:
		sleep(op.For)
	case actor.Pause:
		pause()
	case actor.Spin:
		spin()
	case actor.Hang:
		return a.hang(op)
	case actor.Stop:
		_ = unix.Kill(os.Getpid(), unix.SIGSTOP)
	case actor.Exit:
		return op.Status
	case actor.Die:
		a.signals.die(op.Signal)
	case actor.Ignore:
		a.signals.ignore(op.Signals)
	case actor.Default:
		a.signals.restore(op.Signals)
	case actor.Block:
		a.signals.block(op.Signals)
	case actor.Unblock:
		a.signals.unblock(op.Signals)
	case actor.Catch:
		return a.catch(op)
	case actor.Fork:
		a.fork(op.N, op.Rest)
		return 0
	case actor.Beside:
		a.fork(op.N, op.Rest)
		return a.steps(op.Rest)
	case actor.Orphan:
		a.fork(op.N, []actor.Op{actor.Fork{N: 1, Rest: op.Rest}})
		wait()
		pause()
	case actor.Loop:
		return a.loop(op)
	case actor.Exec:
		return a.exec(op.Argv)
	case actor.Start:
		a.start(op.Argv)
	case actor.Run:
		a.start(op.Argv)
		wait()
	case actor.Wait:
		wait()
	case actor.Kill:
		kill(op)
	case actor.Setsid:
		_, _ = unix.Setsid()
	case actor.Setpgid:
		_ = unix.Setpgid(0, 0)
	case actor.Subreaper:
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	case actor.ReadLine:
		if !readLine() {
			return 0
		}
	case actor.Write:
		text := op.Text
		if text != "" {
			text += "\n"
		}
		a.write(op.Path, text, unix.O_TRUNC)
	case actor.Append:
		a.write(op.Path, op.Text+"\n", unix.O_APPEND)
	case actor.Cat:
		a.cat(op.Path)
	case actor.Remove:
		if err := unix.Unlink(op.Path); err != nil {
			a.complain(op.Path, err)
		}
	case actor.Env:
		value, ok := os.LookupEnv(op.Name)
		if ok {
			a.say(op.Name + "=" + value)
		} else {
			a.say(op.Name + " is not set")
		}
	case actor.Reboot:
		return reboot(op)
	}
	return onward
}

// base is the last part of a program's name, without the dash of a login shell.
func base(name string) string {
	name = strings.TrimPrefix(name, "-")
	return name[strings.LastIndexByte(name, '/')+1:]
}

// sleep sleeps, whatever signals come.
func sleep(d time.Duration) {
	left := unix.NsecToTimespec(int64(d))
	for unix.Nanosleep(&left, &left) == unix.EINTR {
	}
}

// pause sleeps for ever.
func pause() {
	for {
		_ = unix.Pause()
	}
}

// spin computes for ever.
func spin() {
	for n := 0; ; n++ {
	}
}

func (a *act) loop(l actor.Loop) int {
	// An endless loop of the simulated kernel must not stand still in time.
	const turn = time.Millisecond
	for n := 0; l.N == 0 || n < l.N; n++ {
		began := time.Now()
		if status := a.steps(l.Rest); status != onward {
			return status
		}
		if l.N == 0 {
			sleep(max(0, turn-time.Since(began)))
		}
	}
	return onward
}

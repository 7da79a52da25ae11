package actor

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Op is one step of an actor.
type Op interface{ op() }

// The operations. Those with a Rest say by whom the steps behind them are done, and are the last of
// their list.
type (
	// As gives the process a name, by which it can be found (PR_SET_NAME, proc_pid_comm(5)).
	As struct{ Name string }
	// Say writes a line to standard output, and waits until that takes it.
	Say struct{ Text string }
	// Sleep sleeps.
	Sleep struct{ For time.Duration }
	// Pause sleeps for ever.
	Pause struct{}
	// Spin computes for ever, in state R.
	Spin struct{}
	// Hang sleeps in D: for ever if For is 0. No signal reaches it, but a fatal one does if it
	// is Killable (TASK_KILLABLE).
	Hang struct {
		For      time.Duration
		Killable bool
	}
	// Stop stops the process until SIGCONT.
	Stop struct{}
	// Exit ends the process with a status.
	Exit struct{ Status int }
	// Die ends the process by a signal, even if that was ignored or blocked.
	Die struct{ Signal kernel.Signal }

	// Ignore ignores signals; Default takes that back.
	Ignore  struct{ Signals []kernel.Signal }
	Default struct{ Signals []kernel.Signal }
	// Block blocks signals; Unblock lets them through.
	Block   struct{ Signals []kernel.Signal }
	Unblock struct{ Signals []kernel.Signal }
	// Catch pauses, and does the rest each time that the signal comes, which is blocked
	// meanwhile.
	Catch struct {
		Signal kernel.Signal
		Rest   []Op
	}

	// Fork does the rest in N children, and exits with status 0. So they are orphans soon.
	Fork struct {
		N    int
		Rest []Op
	}
	// Beside does the rest in N children and in the process itself.
	Beside struct {
		N    int
		Rest []Op
	}
	// Orphan does the rest in N grandchildren, after their parents have ended. It waits for
	// all its children and pauses.
	Orphan struct {
		N    int
		Rest []Op
	}
	// Loop does the rest N times, for ever if N is 0: then a turn takes a millisecond at
	// least.
	Loop struct {
		N    int
		Rest []Op
	}

	// Exec becomes another program; without a slash in its name it is looked for in /bin and
	// /usr/bin. If there is none the process exits with status 127.
	Exec struct{ Argv []string }
	// Start executes a program in a child, Run also waits for all children.
	Start struct{ Argv []string }
	Run   struct{ Argv []string }
	// Wait waits until there are no more children.
	Wait struct{}

	// Kill sends a signal: to the processes of a name, but never to PID 1, if there is one;
	// else it is kill(2): PID 0 is the own group, -1 everybody but the process itself and
	// PID 1. It does not matter whether anybody is there.
	Kill struct {
		Name   string
		PID    kernel.PID
		Signal kernel.Signal
	}
	// Setsid makes a session of its own, if the process leads no group; Setpgid a group of
	// its own.
	Setsid  struct{}
	Setpgid struct{}
	// Subreaper makes the process adopt its orphaned descendants (PR_SET_CHILD_SUBREAPER).
	Subreaper struct{}

	// ReadLine takes a line from standard input. At the end of file the process exits with
	// status 0.
	ReadLine struct{}
	// Write gives a file a new text of one line, or none; Append adds a line to it. What
	// fails is said.
	Write  struct{ Path, Text string }
	Append struct{ Path, Text string }
	// Cat says the lines of a file.
	Cat struct{ Path string }
	// Remove removes a file.
	Remove struct{ Path string }
	// Env says a variable of the environment, as NAME=VALUE.
	Env struct{ Name string }

	// Reboot is reboot(2). If it fails the process exits with the errno; it exits with 0 if
	// the kernel comes back from it, except that CAD_ON and CAD_OFF go on with the next step.
	Reboot struct {
		Cmd kernel.RebootCmd
		Arg string
	}
)

func (As) op()        {}
func (Say) op()       {}
func (Sleep) op()     {}
func (Pause) op()     {}
func (Spin) op()      {}
func (Hang) op()      {}
func (Stop) op()      {}
func (Exit) op()      {}
func (Die) op()       {}
func (Ignore) op()    {}
func (Default) op()   {}
func (Block) op()     {}
func (Unblock) op()   {}
func (Catch) op()     {}
func (Fork) op()      {}
func (Beside) op()    {}
func (Orphan) op()    {}
func (Loop) op()      {}
func (Exec) op()      {}
func (Start) op()     {}
func (Run) op()       {}
func (Wait) op()      {}
func (Kill) op()      {}
func (Setsid) op()    {}
func (Setpgid) op()   {}
func (Subreaper) op() {}
func (ReadLine) op()  {}
func (Write) op()     {}
func (Append) op()    {}
func (Cat) op()       {}
func (Remove) op()    {}
func (Env) op()       {}
func (Reboot) op()    {}

// The lengths and numbers that are taken.
const (
	maxName   = 15      // of a process: TASK_COMM_LEN without its end
	maxTimes  = 1 << 20 // children or turns
	maxPID    = 1 << 22 // PID_MAX_LIMIT
	maxStatus = 255
	// LastSignal is the highest number of a signal.
	LastSignal = 64
)

// ExitUnreadable is the status of an actor that does not understand its words.
const ExitUnreadable = 2

// Rest returns the steps behind the last operation of ops, which it is to have done by whom it
// says.
func Rest(ops []Op) []Op {
	if len(ops) == 0 {
		return nil
	}
	switch op := ops[len(ops)-1].(type) {
	case Catch:
		return op.Rest
	case Fork:
		return op.Rest
	case Beside:
		return op.Rest
	case Orphan:
		return op.Rest
	case Loop:
		return op.Rest
	}
	return nil
}

// Unreal returns why a running kernel cannot be asked for one of the steps, as a part of a
// sentence, or "".
func Unreal(ops []Op) string {
	for ; len(ops) > 0; ops = Rest(ops) {
		for _, op := range ops {
			if h, ok := op.(Hang); ok && !h.Killable {
				return "no program can make itself hang in D where not even SIGKILL ends it"
			}
		}
	}
	return ""
}

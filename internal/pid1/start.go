package pid1

import (
	"errors"
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
)

// coreSwitch lifts the limit on core dumps of all commands if it is there [BusyBox 3.10].
const coreSwitch = "/.init_enable_core"

// command says how an entry's command is started.
func (in *Init) command(e inittab.Entry, env []string) *kernel.Command {
	// With the room of the last one: what a start leaves behind it would leave for each service.
	x := inittab.WordsIn(in.cmd.Argv, e.Command)
	argv := x.Argv
	if len(argv) == 0 {
		argv = append(argv, "")
	}
	in.cmd = kernel.Command{
		Paths:   candidates(in.cmd.Paths, x.Path),
		Argv:    argv,
		Env:     append(in.env[:len(in.env):len(in.env)], env...),
		TTY:     e.TTY,
		TakeTTY: x.Login,
		Core:    in.coreDumps(),
	}
	return &in.cmd
}

// coreDumps reports whether the limit on core dumps is lifted. It looks once a second at most.
func (in *Init) coreDumps() bool {
	if now := in.k.Now(); now >= in.core.next {
		in.core.next = now + time.Second
		in.core.lifted = in.k.Exists(coreSwitch)
	}
	return in.core.lifted
}

// Start starts a once or a shutdown entry's command.
func (in *Init) Start(e inittab.Entry, env []string) (kernel.PID, error) {
	pid, err := in.start(e, none, env)
	if err == nil {
		in.noteStart(pid, e)
	}
	return pid, err
}

// start starts an entry's command, that of the service at i or, with none, another. It is the one
// place where programs are started. The number is put down, by it and its callers, before anything
// else is done, such as to note the start: should init crash, the next one must know of it.
func (in *Init) start(e inittab.Entry, i int32, env []string) (kernel.PID, error) {
	pid, err := in.k.Spawn(in.command(e, env))
	if err != nil {
		if in.services.at(i).isNews(0, kernel.ErrnoOf(err)) {
			in.warn("can't fork: " + strerror(err) + ": '" + e.Command + "' is not started")
		}
		return 0, err
	}
	if i == none {
		in.commands[pid] = e
	} else {
		in.services.started(i, pid)
	}
	return pid, nil
}

// noteStart writes a start to the log. Services are noted after all that are due have been
// started: the line costs a tenth of the start, and nobody should wait for it.
func (in *Init) noteStart(pid kernel.PID, e inittab.Entry) {
	in.note(kernel.Info, "starting pid "+strconv.Itoa(int(pid))+", tty '"+e.TTY+"': '"+
		e.Command+"'")
}

// Become replaces init by an entry's command.
func (in *Init) Become(e inittab.Entry) error {
	err := in.k.Exec(in.command(e, nil))
	var failed *kernel.StartError
	if errors.As(err, &failed) {
		in.explain(e, none, failed)
	} else {
		in.warn(strerror(err))
	}
	return err
}

// explain says why a command could not be started [BusyBox 3.6, 3.17], and for a service why again
// only if that has changed.
func (in *Init) explain(e inittab.Entry, i int32, failed *kernel.StartError) {
	if !in.services.at(i).isNews(failed.Stage, failed.Errno) {
		return
	}
	if failed.Stage == kernel.StageTTY {
		in.warn("can't open " + e.TTY + ": " + strerror(failed.Errno))
		return
	}
	in.warnOn(e.TTY, "can't run '"+inittab.Words(e.Command).Path+"': "+strerror(failed.Errno))
}

// sequence runs entries one after another, each waited for.
type sequence struct {
	queue   []inittab.Entry
	waiting kernel.PID
}

// done reports whether there is nothing left to run or to wait for.
func (s *sequence) done() bool { return s.waiting == 0 && len(s.queue) == 0 }

// step starts the next entry if the one before has ended.
func (in *Init) stepSequence(s *sequence) {
	for s.waiting == 0 && len(s.queue) > 0 {
		e := s.queue[0]
		pid, err := in.start(e, none, nil)
		s.queue = s.queue[1:]
		if err == nil {
			s.waiting = pid
			in.noteStart(pid, e)
		}
	}
}

// reaped tells the sequence that a child has ended.
func (s *sequence) reaped(pid kernel.PID) {
	if s.waiting == pid {
		s.waiting = 0
	}
}

// of returns the table's entries with an action, in order.
//
//go:noinline
func of(t inittab.Table, a inittab.Action) []inittab.Entry {
	var es []inittab.Entry
	for _, e := range t {
		if e.Action == a {
			es = append(es, e)
		}
	}
	return es
}

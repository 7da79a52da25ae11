package pid1

import (
	"errors"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
)

// prompt is what askfirst says [BusyBox 3.9]: people and their expect scripts know it.
const prompt = "\nPlease press Enter to activate this console. "

// ask prompts for Enter on a service's terminal. PID 1 waits for the answer itself, among its
// other events, so an entry costs no process until somebody comes.
func (in *Init) ask(sv *service) {
	fd, err := in.terminal(sv.TTY)
	if err != nil {
		in.explain(sv.Entry, sv, &kernel.StartError{
			Stage: kernel.StageTTY, Errno: errnoOf(err),
		})
		in.again(sv, true)
		return
	}
	in.k.Sane(fd)
	if sv.TTY == "" {
		in.con.write(prompt)
	} else {
		// A terminal that does not take it gets no prompt; Enter works all the same.
		_, _ = in.k.Write(fd, []byte(prompt))
	}
	if err := in.k.Watch(fd, kernel.In); err != nil {
		in.warn("askfirst" + on(sv.TTY) + ": " + strerror(err))
		_ = in.k.Close(fd)
		in.again(sv, true)
		return
	}
	sv.prompt = fd
	in.services.asking[fd] = sv
}

// terminal opens a terminal for reading by PID 1.
func (in *Init) terminal(tty string) (kernel.FD, error) {
	if tty != "" {
		return in.k.Open(tty)
	}
	return in.k.Reopen(0, kernel.In)
}

// terminalReady reads what was typed. One byte at a time: what comes after the newline is for the
// command. The end of the file, or an error, counts as Enter [BusyBox 3.9].
func (in *Init) terminalReady(fd kernel.FD) {
	sv := in.services.asking[fd]
	if sv == nil {
		return
	}
	if in.paused {
		// Enter is not lost: it is read when the pause is over.
		in.heldTTYs = append(in.heldTTYs, fd)
		return
	}
	for {
		var b [1]byte
		n, err := in.k.Read(fd, b[:])
		if errors.Is(err, kernel.EAGAIN) {
			if in.k.Watch(fd, kernel.In) == nil {
				return
			}
			break
		}
		if n <= 0 || err != nil {
			break
		}
		if b[0] == '\n' {
			sv.typed = true
			break
		}
	}
	if !in.running() {
		in.stopAsking(sv)
		return
	}
	sv.since = in.k.Now()
	in.startService(sv)
	if sv.pid == 0 || sv.TTY == "" {
		in.stopAsking(sv)
	} else {
		delete(in.services.asking, fd)
		sv.prompt, sv.terminal = 0, fd
	}
	if sv.pid != 0 {
		in.noteStart(sv.pid, sv.Entry)
	}
}

// stopAsking takes the prompt back.
func (in *Init) stopAsking(sv *service) {
	delete(in.services.asking, sv.prompt)
	_ = in.k.Close(sv.prompt)
	sv.prompt = 0
}

func errnoOf(err error) kernel.Errno {
	var errno kernel.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return kernel.EIO
}

// isService reports whether an entry is kept running.
func isService(a inittab.Action) bool {
	return a == inittab.Respawn || a == inittab.AskFirst
}

package pid1

import (
	"errors"

	"github.com/rebound-init/rebound/internal/kernel"
)

// prompt is what askfirst says [BusyBox 3.9]: people and their expect scripts know it.
const prompt = "\nPlease press Enter to activate this console. "

// ask prompts for Enter on a service's terminal. PID 1 waits for the answer itself, among its
// other events, so an entry costs no process until somebody comes.
func (in *Init) ask(i int32) {
	e := in.services.entry(i)
	fd, err := in.terminal(e.TTY)
	if err != nil {
		in.explain(e, i, &kernel.StartError{Stage: kernel.StageTTY, Errno: kernel.ErrnoOf(err)})
		in.again(i, cannotStart)
		return
	}
	in.k.Sane(fd)
	if e.TTY == "" {
		in.con.write(prompt)
	} else {
		// A terminal that does not take it gets no prompt; Enter works all the same.
		_, _ = in.k.Write(fd, []byte(prompt))
	}
	if err := in.k.Watch(fd, kernel.In); err != nil {
		in.warn("askfirst" + on(e.TTY) + ": " + strerror(err))
		_ = in.k.Close(fd)
		in.again(i, cannotStart)
		return
	}
	in.services.asks(i, fd)
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
	i, asking := in.services.asking[fd]
	if !asking {
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
			in.services.at(i).set(typed, true)
			break
		}
	}
	if !in.running() {
		in.stopAsking(i)
		return
	}
	in.services.answered(i)
	sv := in.services.at(i)
	sv.at = in.k.Now()
	in.startService(i)
	if sv.pid == 0 || in.services.key(i).TTY == "" {
		in.letGo(sv)
	}
	in.noteService(i)
}

// stopAsking takes the prompt back.
func (in *Init) stopAsking(i int32) {
	in.services.answered(i)
	in.letGo(in.services.at(i))
}

// letGo closes a service's terminal, if one is open.
func (in *Init) letGo(sv *service) {
	if sv.tty != 0 {
		_ = in.k.Close(kernel.FD(sv.tty))
		sv.tty = 0
	}
}

package pid1

import (
	"errors"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Say prints a line on the console and in the log.
func (in *Init) Say(text string) {
	in.note(kernel.Info, text)
	in.con.print(text)
}

// Print prints a line on the console only.
func (in *Init) Print(text string) { in.con.print(text) }

// Unsent returns about how many bytes of all that the console has not sent yet.
func (in *Init) Unsent() int { return in.con.unsent() }

// Note writes a line to the log only.
func (in *Init) Note(text string) { in.note(kernel.Info, text) }

// warn prints a line about something that has gone wrong on the console and in the log.
func (in *Init) warn(text string) {
	in.note(kernel.Warning, text)
	in.con.print(text)
}

//go:noinline
func (in *Init) note(level kernel.Level, text string) { in.k.Log(level, text) }

// warnOn prints it on another terminal instead of the console: that of the command in question.
func (in *Init) warnOn(tty, text string) {
	if tty == "" {
		in.warn(text)
		return
	}
	in.note(kernel.Warning, text)
	fd, err := in.k.Open(tty)
	if err != nil {
		in.con.print(text)
		return
	}
	defer in.k.Close(fd)
	// A terminal that does not take it is one nobody reads; the log has it.
	_, _ = in.k.Write(fd, []byte("\r"+text+"\n"))
}

// strerror is the text of an errno as the C library has it, which begins with a capital.
func strerror(err error) string {
	var errno kernel.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	s := errno.Error()
	if c := s[0]; 'a' <= c && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	return s
}

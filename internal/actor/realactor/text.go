package realactor

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// say writes a line to standard output, in one piece if that takes it so.
func (a *act) say(line string) {
	for b := []byte(line + "\n"); len(b) > 0; {
		n, err := unix.Write(1, b)
		if err != nil && err != unix.EINTR {
			return // it fails, and nobody looks
		}
		b = b[max(n, 0):]
	}
}

// complain says what has failed with a file.
func (a *act) complain(path string, err error) { a.say(path + ": " + err.Error()) }

// readLine takes a line from standard input, and reports whether there was one.
func readLine() bool {
	b := make([]byte, 1)
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err == nil {
		// A terminal gives one line at a time.
		b = make([]byte, 4096)
	}
	for {
		n, err := unix.Read(0, b)
		switch {
		case err == unix.EINTR:
		case err != nil || n <= 0:
			return false
		case len(b) > 1 || b[0] == '\n':
			return true
		}
	}
}

// write writes a file, which it makes if need be.
func (a *act) write(path, text string, how int) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC|how, 0o644)
	if err != nil {
		a.complain(path, err)
		return
	}
	defer unix.Close(fd)
	if text == "" {
		return
	}
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		a.complain(path, err)
	}
}

// cat says the lines of a file.
func (a *act) cat(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		a.complain(path, errnoOf(err))
		return
	}
	if len(text) == 0 {
		return
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		a.say(line)
	}
}

// errnoOf is the error of the system call alone.
func errnoOf(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}

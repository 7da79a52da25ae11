package pid1

import (
	"errors"
	"strconv"

	"github.com/rebound-init/rebound/internal/kernel"
)

// maxBacklog is how much text is kept for a console that does not take it, in bytes.
const maxBacklog = 16 << 10

// console writes to init's terminal and never waits for it: a terminal that somebody has stopped
// with Ctrl-S must not stop the machine.
type console struct {
	k       kernel.Kernel
	fd      kernel.FD
	backlog []byte
	lost    int // lines
	waiting bool
}

// open makes the console's own descriptor, non-blocking, of the one that children share.
func (c *console) open() {
	if c.fd > 2 {
		_ = c.k.Close(c.fd)
	}
	fd, err := c.k.Reopen(2, kernel.Out)
	if err != nil {
		// Without proc, or for a socket. The seam does not block on the shared one either.
		fd = 2
	}
	c.fd, c.waiting = fd, false
}

// print writes one line: carriage return, text, newline [BusyBox 4.41]. The carriage return is
// for a terminal on which a program has left half a line.
func (c *console) print(text string) { c.write("\r" + text + "\n") }

// write writes text, or keeps it for when the console takes it.
func (c *console) write(text string) {
	if len(c.backlog) == 0 {
		n, err := c.k.Write(c.fd, []byte(text))
		if err == nil && n == len(text) {
			return
		}
		if err != nil && !errors.Is(err, kernel.EAGAIN) {
			return // There is nobody at the other side.
		}
		text = text[max(n, 0):]
	}
	if len(c.backlog)+len(text) > maxBacklog {
		c.lost++
		return
	}
	c.backlog = append(c.backlog, text...)
	c.watch()
}

func (c *console) watch() {
	if !c.waiting && c.k.Watch(c.fd, kernel.Out) == nil {
		c.waiting = true
	}
}

// drain writes what has been kept, once the terminal takes it again.
func (c *console) drain() {
	c.waiting = false
	for len(c.backlog) > 0 {
		n, err := c.k.Write(c.fd, c.backlog)
		if errors.Is(err, kernel.EAGAIN) {
			c.watch()
			return
		}
		if err != nil {
			c.backlog = nil
			return
		}
		c.backlog = c.backlog[n:]
	}
	c.backlog = nil
	if c.lost > 0 {
		n := c.lost
		c.lost = 0
		c.print(strconv.Itoa(n) + " lines that the console did not take are in the kernel log only")
	}
}

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
		// Without proc, or for a socket.
		fd = 2
	}
	c.fd, c.waiting = fd, false
}

// print writes one line: carriage return, text, newline [BusyBox 4.41]. The carriage return is
// for a terminal on which a program has left half a line.
//
//go:noinline
func (c *console) print(text string) { c.write("\r" + text + "\n") }

// write writes text, or keeps it for when the console takes it.
func (c *console) write(text string) {
	if len(c.backlog) == 0 {
		n, err := c.put([]byte(text))
		if err == nil && n == len(text) {
			return
		}
		if err != nil && !errors.Is(err, kernel.EAGAIN) {
			return // There is nobody at the other side.
		}
		text = text[n:]
	}
	if len(c.backlog)+len(text) > maxBacklog {
		c.lost++
		return
	}
	c.backlog = append(c.backlog, text...)
	c.watch()
}

// put writes as much as there is room for. The descriptor that children share is blocking: the seam
// writes to it only if there is room, but then the kernel waits until all of it is written. So it
// gets a byte at a time.
func (c *console) put(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		end := len(b)
		if c.fd <= 2 {
			end = n + 1
		}
		var m int
		m, err = c.k.Write(c.fd, b[n:end])
		if m <= 0 && err == nil {
			err = kernel.EAGAIN
		}
		n += max(m, 0)
	}
	return n, err
}

func (c *console) watch() {
	if !c.waiting && c.k.Watch(c.fd, kernel.Out) == nil {
		c.waiting = true
	}
}

// unsent returns about how many bytes have not left the machine: those that are kept here, and those
// that the terminal keeps. It first offers it what is kept here, for a terminal refuses a write
// that may not wait also while another process is in the middle of one (drivers/tty/tty_io.c,
// tty_write_lock).
func (c *console) unsent() int {
	if len(c.backlog) > 0 {
		c.drain()
	}
	return len(c.backlog) + c.k.Unsent(c.fd)
}

// drain writes what has been kept, once the terminal takes it again.
func (c *console) drain() {
	c.waiting = false
	for len(c.backlog) > 0 {
		n, err := c.put(c.backlog)
		c.backlog = c.backlog[n:]
		if errors.Is(err, kernel.EAGAIN) {
			c.watch()
			return
		}
		if err != nil {
			c.backlog = nil
			return
		}
	}
	c.backlog = nil
	if c.lost > 0 {
		n := c.lost
		c.lost = 0
		c.print(strconv.Itoa(n) + " lines that the console did not take are in the kernel log only")
	}
}

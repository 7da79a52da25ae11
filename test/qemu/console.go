package qemu

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
)

// A Console is one serial port of a machine, seen from the far end of the cable. What arrives is
// kept; Expect reads on from where the last one stopped.
type Console struct {
	conn net.Conn

	mu      sync.Mutex
	text    []byte
	arrived []arrival
	read    int           // text[:read] has been consumed by Expect
	changed chan struct{} // closed, and replaced, when text grows or the port ends
	ended   bool
	paused  chan struct{} // nil while the port is drained, closed by Resume
	pace    pace
	tee     io.Writer
}

// An arrival says when the text up to a length had come in.
type arrival struct {
	length int
	at     time.Time
}

// A pace is how many bytes are taken at a time, and how long it takes; the zero value is as quick as
// can be.
type pace struct {
	bytes int
	time  time.Duration
}

// A Match is what Expect found.
type Match struct {
	Text   string   // what the pattern matched
	Groups []string // its subexpressions
	At     time.Time
}

// A ConsoleError says what did not appear.
type ConsoleError struct {
	Want   string
	Ended  bool // the machine ended; otherwise time ran out
	Within time.Duration
	Unread string // what came instead
}

func (e *ConsoleError) Error() string {
	why := fmt.Sprintf("not within %v", e.Within)
	if e.Ended {
		why = "the machine ended"
	}
	return fmt.Sprintf("console: want %q: %s; unread:\n%s", e.Want, why, e.Unread)
}

func newConsole(conn net.Conn, tee io.Writer) *Console {
	c := &Console{conn: conn, changed: make(chan struct{}), tee: tee}
	go c.drain()
	return c
}

// drain collects what arrives until the port ends.
func (c *Console) drain() {
	buf := make([]byte, 4096)
	for {
		c.mu.Lock()
		paused, pace := c.paused, c.pace
		c.mu.Unlock()
		if paused != nil {
			<-paused
			continue
		}
		some := buf
		if pace.bytes > 0 {
			time.Sleep(pace.time)
			some = buf[:pace.bytes]
		}
		n, err := c.conn.Read(some)
		c.mu.Lock()
		c.text = append(c.text, buf[:n]...)
		c.arrived = append(c.arrived, arrival{len(c.text), time.Now()})
		c.ended = err != nil
		if c.tee != nil && n > 0 {
			// A console must not stop because its onlooker has gone.
			_, _ = c.tee.Write(buf[:n])
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Expect waits until the text that has not been read yet matches, and reads up to the end of the
// match. The pattern sees lines ended by CR LF, as they go over the wire.
func (c *Console) Expect(pattern *regexp.Regexp, within time.Duration) (Match, error) {
	deadline := time.After(within)
	for {
		c.mu.Lock()
		unread, ended, changed := c.text[c.read:], c.ended, c.changed
		if loc := pattern.FindSubmatchIndex(unread); loc != nil {
			m := Match{Text: string(unread[loc[0]:loc[1]])}
			for i := 2; i < len(loc); i += 2 {
				group := ""
				if loc[i] >= 0 {
					group = string(unread[loc[i]:loc[i+1]])
				}
				m.Groups = append(m.Groups, group)
			}
			c.read += loc[1]
			m.At = c.arrivalOf(c.read)
			c.mu.Unlock()
			return m, nil
		}
		c.mu.Unlock()
		failure := &ConsoleError{
			Want: pattern.String(), Ended: ended, Within: within, Unread: string(unread),
		}
		if ended {
			return Match{}, failure
		}
		select {
		case <-changed:
		case <-deadline:
			return Match{}, failure
		}
	}
}

// arrivalOf is when the byte that makes the text this long came in.
func (c *Console) arrivalOf(length int) time.Time {
	for _, a := range c.arrived {
		if a.length >= length {
			return a.at
		}
	}
	return time.Time{}
}

var wholeLine = regexp.MustCompile(`(?s)^(.*?)\r*\n`)

// Line reads one line, without its end.
func (c *Console) Line(within time.Duration) (string, error) {
	m, err := c.Expect(wholeLine, within)
	if err != nil {
		return "", err
	}
	return m.Groups[0], nil
}

// Send types. A line is ended by "\r", as the Enter key does.
func (c *Console) Send(keys string) error {
	_, err := io.WriteString(c.conn, keys)
	return err
}

// Slow takes no more than so many bytes in a time from now on, as a slow line would. See Pause for
// what is on the way in spite of that.
func (c *Console) Slow(bytes int, in time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pace = pace{bytes, in}
}

// Pause stops taking what the machine sends. After a few hundred bytes its serial port is full,
// as if the cable were held busy; the machine's own flow control (Ctrl-S) is not involved.
func (c *Console) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused == nil {
		c.paused = make(chan struct{})
	}
}

// Resume undoes Pause.
func (c *Console) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused != nil {
		close(c.paused)
		c.paused = nil
	}
}

// Transcript is all that has arrived so far, with line ends as "\n".
func (c *Console) Transcript() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.ReplaceAll(string(c.text), "\r", "")
}

// finish waits until all that a machine sent before its end has been read. It does not wait for a
// port that is paused.
func (c *Console) finish() {
	for {
		c.mu.Lock()
		over, changed := c.ended || c.paused != nil, c.changed
		c.mu.Unlock()
		if over {
			return
		}
		<-changed
	}
}

// close ends the port; whoever waits for it is told.
func (c *Console) close() {
	c.Resume()
	c.conn.Close()
}

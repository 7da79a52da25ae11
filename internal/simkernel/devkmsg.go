package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// devkmsgMode is kernel.printk_devkmsg: whether programs may write to the log.
type devkmsgMode uint8

const (
	devkmsgRatelimit devkmsgMode = iota
	devkmsgOn
	devkmsgOff
)

var devkmsgModes = map[string]devkmsgMode{
	"ratelimit": devkmsgRatelimit, "on": devkmsgOn, "off": devkmsgOff,
}

// String is what the sysctl says.
func (d devkmsgMode) String() string {
	switch d {
	case devkmsgOn:
		return "on"
	case devkmsgOff:
		return "off"
	case devkmsgRatelimit:
	}
	return "ratelimit"
}

// logReader is an open /dev/kmsg.
type logReader struct {
	ring    *logRing
	next    uint64 // number of the record to read
	watcher *descriptor

	// The limit on what is written (lib/ratelimit.c).
	begin   time.Duration
	begun   bool
	written int
	missed  int
}

// The limit on records that a program writes through one descriptor, unless it is turned off.
const (
	devkmsgInterval = 5 * time.Second
	devkmsgBurst    = 10
)

// maxRecord is the longest record that is taken, in bytes (kernel/printk/printk.c, LOG_LINE_MAX).
const maxRecord = 992

// openKmsg opens the log (kernel/printk/printk.c, devkmsg_open).
func (m *Machine) openKmsg(p *process, f *openFile) kernel.Errno {
	if f.writes && m.devkmsg == devkmsgOff {
		return kernel.EPERM
	}
	restricted, _ := m.knob("kernel/dmesg_restrict")
	if f.reads && restricted != "0\n" && p != nil && !p.capable(CapSyslog) {
		return kernel.EPERM
	}
	f.log = &logReader{ring: &m.ring, next: m.ring.first}
	m.ring.readers = append(m.ring.readers, f.log)
	return 0
}

// FollowLog is the seam's. PID 1's own devtmpfs has the device wherever the user's /dev is.
func (k *pid1Calls) FollowLog(from kernel.LogStart) (kernel.FD, error) {
	if e := k.enter(callFollowLog); e != 0 {
		return -1, e
	}
	m := k.m
	if m.cfg.Namespace {
		return -1, kernel.EPERM
	}
	f := &openFile{reads: true, nonblock: true}
	if e := m.openKmsg(m.init, f); e != 0 {
		return -1, e
	}
	if from == kernel.LogEnd {
		f.log.next = m.ring.next()
	}
	return m.install(f, 3), nil
}

// ready reports whether there is something to read, if only that something is lost.
func (r *logReader) ready() bool { return r.next < r.ring.end() }

// tellReader tells who waits for the record that has just come.
func (m *Machine) tellReader(r *logReader) {
	d := r.watcher
	// A newline ends the record before, too: two may have come.
	if d != nil && d.watched[kernel.In] && r.ready() && r.next+2 >= r.ring.end() {
		m.ready = append(m.ready, readiness{d, kernel.In})
	}
}

// readKmsg reads one record (devkmsg_read). EPIPE says that some are lost; the next read goes on
// with the oldest there is.
func (m *Machine) readKmsg(f *openFile, b []byte) (int, kernel.Errno) {
	r := f.log
	switch {
	case !m.kernel.readsKmsg:
		return 0, kernel.EINVAL // it can only be written to
	case r.next < m.ring.first:
		r.next = m.ring.first
		return 0, syscall.EPIPE
	case !r.ready():
		return 0, kernel.EAGAIN
	}
	text := m.ring.at(r.next).format(r.next)
	r.next++
	if len(text) > len(b) {
		return 0, kernel.EINVAL // and the record is gone for this reader
	}
	return copy(b, text), 0
}

// format is a record as /dev/kmsg shows it (Documentation/ABI/testing/dev-kmsg).
func (r *record) format(seq uint64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d,%d,%d,-;", int(r.facility)<<3|int(r.level), seq, r.At/time.Microsecond)
	for i := range len(r.Text) {
		c := r.Text[i]
		if c < ' ' || c >= 0x7f || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('\n')
	return b.String()
}

// writeKmsg writes one record (devkmsg_write). "<N>" in front is its level and its facility, which
// is never the kernel's.
func (m *Machine) writeKmsg(p *process, f *openFile, b []byte) (int, kernel.Errno) {
	switch {
	case len(b) > maxRecord:
		return 0, kernel.EINVAL
	case m.devkmsg == devkmsgOff:
		return len(b), 0
	case m.devkmsg == devkmsgRatelimit && !m.allowed(f.log):
		return len(b), 0
	}
	level, facility := uint64(m.ring.levels[1]), uint64(facilityUser)
	text := string(b)
	if rest, ok := strings.CutPrefix(text, "<"); ok {
		if digits, rest, ok := strings.Cut(rest, ">"); ok {
			if n, err := strconv.ParseUint(digits, 10, 32); err == nil || digits == "" {
				level, text = n&7, rest
				if n>>3 != 0 {
					facility = n >> 3
				}
			}
		}
	}
	text, ended := strings.CutSuffix(text, "\n")
	m.emit(record{
		LogLine: LogLine{At: m.now, Level: kernel.Level(level), Text: text}, level: kernel.Level(level),
		facility: uint16(facility), open: !ended,
	})
	return len(b), 0
}

// allowed reports whether a descriptor may write one more record (lib/ratelimit.c, ___ratelimit).
func (m *Machine) allowed(r *logReader) bool {
	if !r.begun || m.now > r.begin+devkmsgInterval {
		r.begun, r.begin, r.written = true, m.now, 0
	}
	if r.written == devkmsgBurst {
		r.missed++
		return false
	}
	r.written++
	return true
}

// closeKmsg ends a reader, and says what its writer has lost (devkmsg_release).
func (m *Machine) closeKmsg(p *process, r *logReader) {
	m.ring.forget(r)
	if r.missed > 0 {
		m.printk(kernel.Warning, fmt.Sprintf(
			"%s: %d output lines suppressed due to ratelimiting", p.name(), r.missed))
	}
}

func (g *logRing) forget(r *logReader) {
	for i, o := range g.readers {
		if o == r {
			g.readers = append(g.readers[:i], g.readers[i+1:]...)
			return
		}
	}
}

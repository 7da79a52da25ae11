package simkernel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// LogLine is a line of the kernel log.
type LogLine struct {
	At    time.Duration
	Level kernel.Level
	Text  string
	// Kernel says that it is the kernel's own and not PID 1's or another program's.
	Kernel bool
	// By is which function of the kernel has said it, from the outermost on, or of a line of
	// the boot the name of the driver. It is empty if that was none.
	By string
	// Shown says that it stood on the console when it was said: its level was low enough.
	Shown bool
}

// String is the line as dmesg(1) shows it.
func (l LogLine) String() string {
	return fmt.Sprintf("[%12.6f] %s", l.At.Seconds(), l.Text)
}

// The levels (kernel/printk/printk.c).
const (
	defaultConsoleLevel = 7 // CONFIG_CONSOLE_LOGLEVEL_DEFAULT
	quietConsoleLevel   = 4 // CONFIG_CONSOLE_LOGLEVEL_QUIET
	debugConsoleLevel   = 10
	defaultMessageLevel = 4 // CONFIG_MESSAGE_LOGLEVEL_DEFAULT
	minimumConsoleLevel = 1
)

// facilityUser is what /dev/kmsg makes of a record without a facility (syslog(3), LOG_USER).
const facilityUser = 1

// record is a record of the ring.
type record struct {
	LogLine
	level    kernel.Level // in the ring
	facility uint16
	// open says that it has no newline. Readers see it when the next record has come: until
	// then more could be added to it (kernel/printk/printk.c, LOG_NEWLINE).
	open bool
}

// logRing is the kernel log: a ring that overwrites its oldest records
// (kernel/printk/printk_ringbuffer.c).
type logRing struct {
	records []record // from head on
	head    int
	first   uint64 // number of the oldest
	bytes   int    // that the records take

	// levels are kernel.printk: console_loglevel, default_message_loglevel, and two that
	// nothing here asks for.
	levels  [4]int
	ignore  bool // ignore_loglevel
	noTime  bool // printk.time=0
	size    int
	readers []*logReader
}

// The ring's sizes: CONFIG_LOG_BUF_SHIFT is 17, and a record is taken to have 32 bytes of text.
const (
	ringSize    = 1 << 17
	ringPerText = 32
	ringHeader  = 8 // before the text of each record
)

// printk is a line of the kernel's own.
func (m *Machine) printk(level kernel.Level, text string) {
	m.emit(record{
		LogLine: LogLine{At: m.now, Level: level, Text: text, Kernel: true, By: m.function()},
		level:   level,
	})
}

// Log is the seam's. As by internal/linux, the limit of /dev/kmsg is off, and the kernel is told a
// level that is not for the console, for what is to stand there PID 1 writes itself.
func (k *pid1Calls) Log(level kernel.Level, text string) {
	k.enter(callLog)
	k.m.emit(record{
		LogLine: LogLine{At: k.m.now, Level: level, Text: text}, level: kernel.Debug, facility: facilityUser,
	})
}

// Log returns what stands in the kernel log, the oldest first.
func (m *Machine) Log() []LogLine {
	lines := make([]LogLine, 0, len(m.ring.records)-m.ring.head)
	for i := m.ring.head; i < len(m.ring.records); i++ {
		lines = append(lines, m.ring.records[i].LogLine)
	}
	return lines
}

// Overwritten is how many lines of the kernel log are gone.
func (m *Machine) Overwritten() int { return int(m.ring.first) }

// emit enters a record, and shows it on the console if it matters enough (kernel/printk/printk.c,
// vprintk_emit).
func (m *Machine) emit(r record) {
	if m.dying.suppress {
		return
	}
	m.steps++
	g := &m.ring
	size := g.size
	if size == 0 {
		size = ringSize
	}
	r.Shown = int(r.level) < g.levels[0] || g.ignore
	g.records = append(g.records, r)
	g.bytes += r.takes()
	for g.bytes > size || len(g.records)-g.head > size/ringPerText {
		g.bytes -= g.records[g.head].takes()
		g.records[g.head] = record{}
		g.head++
		g.first++
	}
	if g.head > len(g.records)/2 && g.head > 64 {
		g.records = append(g.records[:0], g.records[g.head:]...)
		g.head = 0
	}
	if r.Shown {
		m.onConsole(r)
	}
	for _, reader := range g.readers {
		m.tellReader(reader)
	}
}

// takes is how many bytes of the ring a record needs.
func (r *record) takes() int { return ringHeader + (len(r.Text)+7)&^7 }

// next is the number of the record to come.
func (g *logRing) next() uint64 { return g.first + uint64(len(g.records)-g.head) }

// end is the number of the record to be read after all others.
func (g *logRing) end() uint64 {
	if n := len(g.records); n > g.head && g.records[n-1].open {
		return g.next() - 1
	}
	return g.next()
}

// at is the record with a number that is not overwritten.
func (g *logRing) at(n uint64) *record { return &g.records[g.head+int(n-g.first)] }

// onConsole writes a record to the console. The driver does so past the terminal's flow control.
func (m *Machine) onConsole(r record) {
	t := m.terminals[consoleDevice]
	if t == nil || m.cfg.Namespace {
		return // of a container the log is the host's
	}
	t.printed = append(t.printed, printed{len(t.raw), r.At, r.Text})
	if len(m.whens) > 0 {
		for line := range strings.SplitSeq(r.Text, "\n") {
			m.appeared(line)
		}
	}
}

// consoleText is a record as the console shows it: each line with the time.
func (m *Machine) consoleText(p printed) string {
	stamp := fmt.Sprintf("[%5d.%06d] ", p.at/time.Second, p.at%time.Second/time.Microsecond)
	if m.ring.noTime {
		stamp = ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(p.text, "\n"), "\n") {
		b.WriteString(stamp + line + "\n")
	}
	return b.String()
}

// appendStamp appends what stands before a line: the seconds, on five places or more, and the
// microseconds (kernel/printk/printk.c, print_time).
func appendStamp(b []byte, at time.Duration) []byte {
	b = append(b, '[')
	for least := int64(10000); least > 1 && int64(at/time.Second) < least; least /= 10 {
		b = append(b, ' ')
	}
	b = strconv.AppendInt(b, int64(at/time.Second), 10)
	b = append(b, '.')
	micros := int64(at % time.Second / time.Microsecond)
	for least := int64(100000); least > 1 && micros < least; least /= 10 {
		b = append(b, '0')
	}
	b = strconv.AppendInt(b, micros, 10)
	return append(b, "] "...)
}

// printkArgument takes the words of the command line that concern the log.
func (m *Machine) printkArgument(key, value string) {
	switch key {
	case "quiet":
		m.ring.levels[0] = quietConsoleLevel
	case "debug":
		m.ring.levels[0] = debugConsoleLevel
	case "ignore_loglevel":
		m.ring.ignore = true
	case "loglevel":
		if n, err := strconv.Atoi(value); err == nil {
			m.ring.levels[0] = n
		}
	case "printk.time":
		m.ring.noTime = value == "0" || value == "N" || value == "n"
	case "printk.devkmsg":
		if mode, ok := devkmsgModes[value]; ok {
			m.devkmsg = mode
			// "ratelimit" leaves the choice to the sysctl.
			m.devkmsgFixed = mode != devkmsgRatelimit
		}
	case "log_buf_len":
		if n, ok := memparse(value); ok && n > ringSize {
			m.ring.size = 1
			for m.ring.size < int(min(n, 1<<30)) {
				m.ring.size *= 2
			}
		}
	}
}

// printkLevels is kernel.printk.
func (m *Machine) printkLevels() string {
	l := m.ring.levels
	return fmt.Sprintf("%d\t%d\t%d\t%d", l[0], l[1], l[2], l[3])
}

func (m *Machine) setPrintkLevels(value string) {
	for i, f := range strings.Fields(value) {
		m.ring.levels[i], _ = strconv.Atoi(f)
	}
}

// stamp is a time in seconds, as the transcripts show it.
func stamp(t time.Duration) string { return fmt.Sprintf("%.6f", t.Seconds()) }

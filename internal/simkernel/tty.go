package simkernel

import (
	"bytes"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Terminal describes a device that can be opened.
type Terminal struct {
	// VT makes it a Linux virtual terminal.
	VT bool
	// Plain makes it a pipe and not a terminal: no echo, no control characters, no
	// controlling terminal.
	Plain bool
	// Buffer is how many bytes it keeps that cannot leave yet: 4096 if 0.
	Buffer int
	// Baud makes it a serial line that takes its time: ten bits a byte. What it has not sent when
	// the machine goes down is lost.
	Baud int
	// Stopped is a terminal whose output is stopped from the start (Ctrl-S).
	Stopped bool
	// OpenErr is what opening it says.
	OpenErr kernel.Errno
}

// terminal is a terminal device.
type terminal struct {
	Terminal
	path   string
	device int // number

	// Output.
	raw     []byte
	printed []printed // the kernel's lines
	marks   []mark    // when the bytes from an offset on came
	held    []byte    // written and not sent yet
	fifo    int       // how many of them the port has; those leave even if it is stopped
	line    int       // where in raw the current line begins
	stopped bool

	// Input: lines with their newline; an empty one is an end of file.
	in     [][]byte
	typing []byte // a line not yet ended
	life   int    // changes when it is hung up

	session    *session // whose controlling terminal it is
	foreground *group
	readers    []waiter
	writers    []waiter
	watchers   []*descriptor
	sane       int
}

// printed is a record of the kernel, which stands before what was written from an offset on.
type printed struct {
	off  int
	at   time.Duration
	text string
}

type mark struct {
	off int
	at  time.Duration
}

// waiter is a process that waits for a terminal, unless its turn has changed.
type waiter struct {
	p    *process
	turn uint32
}

const consoleDevice = "/dev/console"

func (m *Machine) setUpTerminals() {
	m.terminals = make(map[string]*terminal, len(m.cfg.Terminals)+1)
	for path, t := range m.cfg.Terminals {
		m.addTerminal(path, t)
	}
	if m.cfg.Console != "none" {
		t := m.terminals[m.cfg.Console]
		if t == nil {
			t = m.addTerminal(m.cfg.Console, Terminal{})
		}
		if m.terminals[consoleDevice] == nil {
			m.terminals[consoleDevice] = t
			m.addDevice(consoleDevice, node{kind: kindChar, mode: 0o600, tty: t})
		}
		if at, e := m.walk(nil, consoleDevice, followLast); e == 0 {
			at.node.device = devConsole
		}
		m.console = m.terminals[consoleDevice]
	}
	m.stdio, m.fds = &stdio{}, make([]*descriptor, 3, 8)
	path := m.cfg.Stdio
	if path == "" {
		path = consoleDevice
	}
	f, e := m.openFor(nil, path)
	if e != 0 {
		return
	}
	for fd := range kernel.FD(3) {
		if !slices.Contains(m.cfg.Closed, fd) {
			m.setFD(int(fd), f)
		}
	}
	if f.tty != nil {
		m.console = f.tty
	}
}

func (m *Machine) addTerminal(path string, t Terminal) *terminal {
	if t.Buffer == 0 {
		t.Buffer = 4096
	}
	const major = 136 << 8 // of pseudoterminals
	tty := &terminal{
		Terminal: t, path: path, stopped: t.Stopped, device: major + len(m.terminals),
	}
	m.terminals[path] = tty
	m.addDevice(path, node{kind: kindChar, mode: 0o620, tty: tty})
	return tty
}

// Line is a line of a terminal's transcript.
type Line struct {
	// At is when its first byte was written.
	At time.Duration
	// Text is without carriage returns and newline.
	Text string
}

// String is the line with its time in seconds.
func (l Line) String() string { return stamp(l.At) + " " + l.Text }

// Console returns what stands on the console, line by line, what was typed there included, without
// the kernel's lines: Screen has those too. The
// last line may have no newline yet. The console is what PID 1 was started on, or else the device
// behind /dev/console.
func (m *Machine) Console() []Line {
	if m.console == nil {
		return nil
	}
	return m.console.lines()
}

// ConsoleText is Console without the times, each line with a newline.
func (m *Machine) ConsoleText() string {
	var b strings.Builder
	for _, l := range m.Console() {
		b.WriteString(l.Text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Screen is what a person sees on the console: Console with the lines of the kernel, as far as their
// levels let them there. Where a program had not ended its line, the kernel goes on in it.
func (m *Machine) Screen() []Line {
	t := m.terminals[consoleDevice]
	if t == nil {
		return nil
	}
	var lines []Line
	open := false
	show := func(at time.Duration, text string) {
		for part := range strings.Lines(text) {
			if !open {
				lines = append(lines, Line{At: at})
			}
			line := &lines[len(lines)-1]
			ended := strings.HasSuffix(part, "\n")
			line.Text += plain([]byte(strings.TrimSuffix(part, "\n")))
			open = !ended
		}
	}
	next := 0
	for i, from := range t.marks {
		to := len(t.raw)
		if i+1 < len(t.marks) {
			to = t.marks[i+1].off
		}
		off := from.off
		for ; next < len(t.printed) && t.printed[next].off < to; next++ {
			p := t.printed[next]
			show(from.at, string(t.raw[off:max(off, p.off)]))
			off = max(off, p.off)
			show(p.at, m.consoleText(p))
		}
		show(from.at, string(t.raw[off:to]))
	}
	for ; next < len(t.printed); next++ {
		show(t.printed[next].at, m.consoleText(t.printed[next]))
	}
	return lines
}

// Transcript returns what stands on a terminal.
func (m *Machine) Transcript(path string) []Line {
	if t := m.terminals[path]; t != nil {
		return t.lines()
	}
	return nil
}

// Output returns the bytes that were written to a terminal.
func (m *Machine) Output(path string) []byte {
	if t := m.terminals[path]; t != nil {
		return bytes.Clone(t.raw)
	}
	return nil
}

// MadeSane returns how often PID 1 or a child of it has set a terminal's state by Sane.
func (m *Machine) MadeSane(path string) int {
	if t := m.terminals[path]; t != nil {
		return t.sane
	}
	return 0
}

func (t *terminal) lines() []Line {
	var ls []Line
	for off := 0; off < len(t.raw); {
		end := bytes.IndexByte(t.raw[off:], '\n')
		text := t.raw[off:]
		next := len(t.raw)
		if end >= 0 {
			text = t.raw[off : off+end]
			next = off + end + 1
		}
		i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].off > off }) - 1
		ls = append(ls, Line{t.marks[i].at, plain(text)})
		off = next
	}
	return ls
}

// plain is a line as it is read: carriage returns move the cursor and nothing else.
func plain(line []byte) string { return strings.ReplaceAll(string(line), "\r", "") }

// room is how many bytes can be written now.
func (t *terminal) room() int {
	if !t.stopped && t.Baud == 0 {
		return 1 << 30
	}
	return t.Buffer - len(t.held)
}

// unsent is how many bytes are on their way.
func (t *terminal) unsent() int {
	if t.stopped {
		return t.fifo
	}
	return len(t.held)
}

// put writes what there is room for.
func (m *Machine) put(t *terminal, b []byte) int {
	if !t.stopped && t.Baud == 0 {
		m.show(t, b)
		return len(b)
	}
	n := min(len(b), t.room())
	t.held = append(t.held, b[:n]...)
	m.transmit(t)
	return n
}

// fifoSize is how many bytes a serial port takes from its driver at a time: those of a 16550A.
const fifoSize = 16

// transmit gives a serial port what it is to send next, unless it is at work.
func (m *Machine) transmit(t *terminal) {
	if t.Baud == 0 || t.stopped || t.fifo > 0 || len(t.held) == 0 {
		return
	}
	t.fifo = min(len(t.held), fifoSize)
	const bits = 10 // a start bit, eight of the byte, a stop bit
	m.post(m.now+time.Duration(t.fifo*bits)*time.Second/time.Duration(t.Baud), transmitted{t})
}

// transmitted is a serial port that has sent what it was given.
type transmitted struct{ t *terminal }

func (a transmitted) act(m *Machine) {
	t := a.t
	sent := t.held[:t.fifo]
	t.held, t.fifo = t.held[t.fifo:], 0
	m.show(t, sent)
	m.transmit(t)
	m.writable(t)
}

// discard forgets what is written and not yet with the port.
func (t *terminal) discard() { t.held = t.held[:t.fifo] }

// show appends to the transcript, and starts what waits for a line of it.
func (m *Machine) show(t *terminal, b []byte) {
	if len(b) == 0 {
		return
	}
	if n := len(t.marks); n == 0 || t.marks[n-1].at != m.now {
		t.marks = append(t.marks, mark{len(t.raw), m.now})
	}
	t.raw = append(t.raw, b...)
	if len(m.whens) == 0 {
		return
	}
	for {
		end := bytes.IndexByte(t.raw[t.line:], '\n')
		if end < 0 {
			m.appeared(plain(t.raw[t.line:]))
			return
		}
		m.appeared(plain(t.raw[t.line : t.line+end]))
		t.line += end + 1
	}
}

// Step Say.
func (s Say) do(m *Machine, p *process) verdict {
	f := p.stdio.get(1)
	if f == nil || f.dir || f.dead() {
		return done // it fails, and nobody looks
	}
	b := []byte(s.Text + "\n")
	if f.tty == nil {
		m.write(p, f, b)
		return done
	}
	return m.say(p, f, b)
}

// say writes to a terminal, and waits if it does not take it.
func (m *Machine) say(p *process, f *openFile, b []byte) verdict {
	t := f.tty
	if f.dead() {
		return p.result(kernel.EIO)
	}
	p.frame.off += int32(m.put(t, b[p.frame.off:]))
	if int(p.frame.off) == len(b) {
		return done
	}
	m.setState(p, Sleeping)
	t.writers = append(t.writers, waiter{p, p.turn})
	return again
}

// Step ReadLine.
func (ReadLine) do(m *Machine, p *process) verdict {
	_, eof, v := m.readLine(p)
	if v == done && eof {
		m.exit(p, 0)
		return gone
	}
	return v
}

// readLine takes a line from standard input, or waits for one.
func (m *Machine) readLine(p *process) (line []byte, eof bool, v verdict) {
	f := p.stdio.get(0)
	if f == nil || f.tty == nil || f.dead() {
		return nil, true, done
	}
	t := f.tty
	if p.session == t.session && t.foreground != nil && p.group != t.foreground {
		// A background group is stopped, or gets EIO where nobody would continue it
		// (drivers/tty/tty_jobctrl.c, __tty_check_change).
		if m.orphaned(p.group, nil) || p.lead.ignored.has(syscall.SIGTTIN) {
			return nil, true, done
		}
		m.sendGroup(p.group, syscall.SIGTTIN)
		return nil, false, jumped
	}
	if len(t.in) > 0 {
		line = t.in[0]
		t.in = t.in[1:]
		return line, len(line) == 0, done
	}
	m.setState(p, Sleeping)
	t.readers = append(t.readers, waiter{p, p.turn})
	return nil, false, again
}

// wakeAll wakes those who wait.
func (m *Machine) wakeAll(ws *[]waiter) {
	for _, w := range *ws {
		if w.turn == w.p.turn {
			m.wake(w.p)
		}
	}
	*ws = (*ws)[:0]
}

// readable tells those who wait for input: the processes in turn, then PID 1.
func (m *Machine) readable(t *terminal) {
	m.wakeAll(&t.readers)
	m.tellWatchers(t, kernel.In)
}

func (m *Machine) writable(t *terminal) {
	m.wakeAll(&t.writers)
	m.tellWatchers(t, kernel.Out)
}

// control makes a terminal the controlling one of p's session, if p leads one without, and no
// other session has it (drivers/tty/tty_jobctrl.c, tty_open_proc_set_tty).
func (m *Machine) control(p *process, t *terminal) {
	if t == nil || t.Plain || p.session.leader != p || p.session.tty != nil || t.session != nil {
		return
	}
	p.session.tty, t.session, t.foreground = t, p.session, p.group
}

// controlByOpen is what opening a terminal without O_NOCTTY does. Opening the console or the
// current virtual terminal does not (drivers/tty/tty_io.c, tty_open).
func (m *Machine) controlByOpen(p *process, f *openFile) {
	if f.at.node.device != devConsole && f.path != "/dev/tty0" {
		m.control(p, f.tty)
	}
}

// takeTTY is TIOCSCTTY on descriptor 0, without stealing [BusyBox 3.8].
func (m *Machine) takeTTY(p *process) {
	if f := p.stdio.get(0); f != nil {
		m.control(p, f.tty)
	}
}

// leaveTerminal is what happens to a session's terminal when its leader ends
// (drivers/tty/tty_jobctrl.c, disassociate_ctty).
func (m *Machine) leaveTerminal(p *process) {
	s := p.session
	s.leader = nil
	t := s.tty
	if t == nil {
		return
	}
	if g := t.foreground; g != nil {
		m.sendGroup(g, syscall.SIGHUP)
		m.sendGroup(g, syscall.SIGCONT)
	}
	s.tty, t.session, t.foreground = nil, nil, nil
}

// childTTY gives a child of Spawn its terminal.
func (m *Machine) childTTY(p *process, c *kernel.Command) kernel.Errno {
	if c.TTY != "" {
		f, e := m.openFor(p, c.TTY)
		if e != 0 {
			return e
		}
		p.stdio = &stdio{f, f, f}
		m.controlByOpen(p, f)
	}
	if c.TakeTTY {
		m.takeTTY(p)
	}
	if f := p.stdio.get(0); f != nil {
		m.saneTTY(f)
	}
	return 0
}

func (m *Machine) saneTTY(f *openFile) {
	if f != nil && f.tty != nil && !f.tty.Plain {
		f.tty.sane++
	}
}

// The keys that a terminal takes for itself, as Sane sets them.
const (
	keyInterrupt = 3
	keyEOF       = 4
	keyStart     = 17
	keyStop      = 19
	keySuspend   = 26
	keyQuit      = 28
)

// key is a byte that comes in.
func (m *Machine) key(t *terminal, c byte) {
	if t.Plain {
		t.typing = append(t.typing, c)
		if c == '\n' {
			m.endLine(t)
		}
		return
	}
	switch c {
	case keyInterrupt:
		m.signalKey(t, syscall.SIGINT, "^C")
	case keyQuit:
		m.signalKey(t, syscall.SIGQUIT, "^\\")
	case keySuspend:
		m.signalKey(t, syscall.SIGTSTP, "^Z")
	case keyEOF:
		m.endLine(t)
	case keyStop:
		t.stopped = true
	case keyStart:
		m.startOutput(t)
	case '\n', '\r':
		m.put(t, []byte{'\n'})
		t.typing = append(t.typing, '\n')
		m.endLine(t)
	default:
		m.put(t, []byte{c})
		t.typing = append(t.typing, c)
	}
}

// endLine gives what was typed to the readers.
func (m *Machine) endLine(t *terminal) {
	t.in = append(t.in, t.typing)
	t.typing = nil
	m.readable(t)
}

// signalKey is a key that signals. It lets a stopped terminal go on, too, and is echoed as a caret and
// a letter (drivers/tty/n_tty.c, n_tty_receive_signal_char).
func (m *Machine) signalKey(t *terminal, sig kernel.Signal, echo string) {
	m.signalForeground(t, sig)
	t.discard()
	m.startOutput(t)
	m.put(t, []byte(echo))
}

func (m *Machine) signalForeground(t *terminal, sig kernel.Signal) {
	t.typing, t.in = nil, nil
	if t.foreground != nil {
		m.sendGroup(t.foreground, sig)
	}
}

func (m *Machine) startOutput(t *terminal) {
	if !t.stopped {
		return
	}
	t.stopped = false
	if t.Baud > 0 {
		m.transmit(t)
		return
	}
	held := t.held
	t.held = nil
	m.show(t, held)
	m.writable(t)
}

// The actions on terminals. TTY is a path; /dev/console if empty.
type (
	// Type types text. Control characters do what they do on a terminal: Ctrl-C, Ctrl-D
	// at the start of a line, Ctrl-S and Ctrl-Q.
	Type struct{ TTY, Text string }
	// StopOutput and StartOutput stop the output as Ctrl-S does, and let it go on.
	StopOutput  struct{ TTY string }
	StartOutput struct{ TTY string }
	// HangUp is a modem line that drops: whoever has it open reads the end of file and can
	// write no more, and its session is told. What is opened afterwards is not concerned.
	HangUp struct{ TTY string }
	// OpenFails changes what opening a terminal says; 0 is success. It may be a new one.
	OpenFails struct {
		TTY   string
		Errno kernel.Errno
	}
)

func (m *Machine) terminal(path string) *terminal {
	if path == "" {
		path = consoleDevice
	}
	t := m.terminals[path]
	if t == nil {
		panic("simkernel: no terminal " + path)
	}
	return t
}

func (a Type) act(m *Machine) {
	t := m.terminal(a.TTY)
	for i := range len(a.Text) {
		m.key(t, a.Text[i])
	}
}

func (a StopOutput) act(m *Machine)  { m.terminal(a.TTY).stopped = true }
func (a StartOutput) act(m *Machine) { m.startOutput(m.terminal(a.TTY)) }

// act does what __tty_hangup does (drivers/tty/tty_io.c).
func (a HangUp) act(m *Machine) {
	t := m.terminal(a.TTY)
	t.life++
	t.discard()
	t.in, t.typing, t.stopped = nil, nil, false
	s, g := t.session, t.foreground
	t.session, t.foreground = nil, nil
	if s != nil {
		s.tty = nil
		if s.leader != nil {
			m.send(s.leader, syscall.SIGHUP, false)
			m.send(s.leader, syscall.SIGCONT, false)
		}
	}
	if g != nil {
		m.sendGroup(g, syscall.SIGHUP)
		m.sendGroup(g, syscall.SIGCONT)
	}
	m.readable(t)
	m.writable(t)
}

func (a OpenFails) act(m *Machine) {
	t := m.terminals[a.TTY]
	if t == nil {
		t = m.addTerminal(a.TTY, Terminal{})
	}
	t.OpenErr = a.Errno
}

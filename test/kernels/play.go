package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rebound-init/rebound/test/qemu"
)

// A Recording is what one kernel did in one cell.
type Recording struct {
	Kernel  string // the kernel's name
	Release string // uname -r
	Cell    string
	Ended   string   // one of the ends
	Left    []string // evidence, found by the next boot
	Lines   []string // of the console, from the failure on, with level and time
}

// How a machine may end.
const (
	endHang     = "hangs"
	endGoesOn   = "goes on"
	endReset    = "restarts"
	endWatchdog = "is reset by its watchdog"
	endCapture  = "boots the crash kernel"
	endPowerOff = "powers off"
)

const (
	mark     = "rebound-kernels: "
	bootTime = 150 * time.Second
)

// A session is a machine being played with.
type session struct {
	vm *qemu.VM
	in *lines
}

// lines collects a console, line by line.
type lines struct {
	mu      sync.Mutex
	partial []byte
	all     []string
	last    time.Time
	changed chan struct{}
}

func newLines() *lines { return &lines{changed: make(chan struct{}), last: time.Now()} }

// Write takes what the console says.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, b...)
	l.last = time.Now()
	for {
		line, rest, ok := bytes.Cut(l.partial, []byte("\n"))
		if !ok {
			break
		}
		l.all = append(l.all, strings.TrimRight(string(line), "\r"))
		l.partial = bytes.Clone(rest)
	}
	close(l.changed)
	l.changed = make(chan struct{})
	return len(b), nil
}

// from are the lines from number n on, when the last byte came, and what is closed with the next.
func (l *lines) from(n int) (all []string, last time.Time, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all[min(n, len(l.all)):]...), l.last, l.changed
}

// marked is a line of the guest's own, without what the kernel puts before it.
var marked = regexp.MustCompile(`^(?:<\d+>)?\[[ 0-9.]+\] ` + mark + `(.*)$`)

// own returns what the guest said in a line, if it is one of the guest's.
func own(line string) (string, bool) {
	m := marked.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// snapshot is where the state of a machine that has booted is kept.
func (g guests) snapshot(k Kernel, cpus int) string {
	return filepath.Join(g.build, "crash", fmt.Sprintf("booted-%s-%d", k.Name, cpus))
}

// boot boots a machine for a kernel's cells and keeps it as it is then. Most of the time would
// otherwise go into one boot for each cell.
func (g guests) boot(k Kernel, cpus int) error {
	m, err := g.machine(k, cpus)
	if err != nil {
		return err
	}
	in := newLines()
	vm, err := qemu.Launch(m, in)
	if err != nil {
		return err
	}
	defer vm.Kill()
	s := session{vm, in}
	said, _, err := s.await(0, bootTime)
	if err == nil && said != "ready first" {
		err = fmt.Errorf("the guest said %q after the boot", said)
	}
	if err != nil {
		return s.explain(err)
	}
	return s.keep(g.snapshot(k, cpus))
}

// keep stops a machine and writes its state into a file.
func (s session) keep(file string) error {
	if _, err := s.vm.Monitor.Execute("stop", nil); err != nil {
		return err
	}
	if _, err := s.vm.Monitor.Execute("migrate", map[string]any{"uri": "exec:cat > " + file}); err != nil {
		return err
	}
	for {
		answer, err := s.vm.Monitor.Execute("query-migrate", nil)
		if err != nil {
			return err
		}
		var migration struct{ Status string }
		if err := json.Unmarshal(answer, &migration); err != nil {
			return err
		}
		switch migration.Status {
		case "completed":
			return nil
		case "failed", "cancelled":
			return fmt.Errorf("%s: migration %s", file, migration.Status)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// resume lets a machine go on that has been kept, once all of it is there.
func resume(vm *qemu.VM) error {
	for {
		answer, err := vm.Monitor.Execute("query-status", nil)
		if err != nil {
			return err
		}
		var state struct{ Status string }
		if err := json.Unmarshal(answer, &state); err != nil {
			return err
		}
		if state.Status != "inmigrate" {
			_, err := vm.Monitor.Execute("cont", nil)
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// play runs a cell on a kernel. Its machine must have been booted, unless the cell is about that.
func (g guests) play(k Kernel, c Cell) (Recording, error) {
	release, err := g.release(k)
	if err != nil {
		return Recording{}, err
	}
	cpus := max(c.CPUs, 1)
	m := g.bootMachine(k, c)
	if c.Boot == "" {
		if m, err = g.machine(k, cpus); err != nil {
			return Recording{}, err
		}
		m.Options = append(m.Options, "-incoming", "exec:cat "+g.snapshot(k, cpus))
	}
	in := newLines()
	vm, err := qemu.Launch(m, in)
	if err != nil {
		return Recording{}, err
	}
	defer vm.Kill()
	if c.Boot == "" {
		if err := resume(vm); err != nil {
			return Recording{}, err
		}
	}
	s, p := session{vm, in}, newPlan(k, c)
	rec := Recording{Kernel: k.Name, Release: release, Cell: c.Name}
	rec.Ended, rec.Lines, err = s.failure(p, c)
	if err != nil {
		return rec, s.explain(err)
	}
	if (rec.Ended == endReset || rec.Ended == endWatchdog) && len(p.after) > 0 {
		if rec.Left, err = s.left(p); err != nil {
			return rec, s.explain(err)
		}
	}
	if rec.Ended == endCapture {
		rec.Left = []string{"vmcore"}
	}
	return rec, nil
}

// explain adds the end of the console to an error.
func (s session) explain(err error) error {
	all, _, _ := s.in.from(0)
	if end, up := s.vm.Wait(0); up == nil {
		err = fmt.Errorf("%w; QEMU has ended: %q %v", err, end.Reason, end.Err)
	}
	return fmt.Errorf("%w\n--- console\n%s\n---", err, strings.Join(all[max(0, len(all)-25):], "\n"))
}

// await waits for the next own line of the guest from line n on, and returns the number of the
// line after it.
func (s session) await(n int, within time.Duration) (said string, next int, err error) {
	deadline := time.After(within)
	for {
		all, _, changed := s.in.from(n)
		for i, line := range all {
			if said, ok := own(line); ok {
				return said, n + i + 1, nil
			}
		}
		select {
		case <-changed:
		case <-deadline:
			return "", n, fmt.Errorf("the guest did not answer within %v", within)
		}
	}
}

// tell has the guest do something that works.
func (s session) tell(n int, commands []string) (next int, err error) {
	if err := s.send(commands); err != nil {
		return n, err
	}
	return s.done(n, commands)
}

// send gives the guest commands, all at once: its time may pass much quicker than ours.
func (s session) send(commands []string) error {
	return s.vm.Console(0).Send(strings.Join(commands, ";") + "\r")
}

// done waits until the commands have been carried out, all with success.
func (s session) done(n int, commands []string) (next int, err error) {
	for _, command := range commands {
		var said string
		if said, n, err = s.await(n, time.Minute); err != nil {
			return n, fmt.Errorf("%s: %w", command, err)
		}
		if said != "done "+command {
			return n, fmt.Errorf("%s: the guest said %q", command, said)
		}
	}
	return n, nil
}

// failure boots, sets up and lets fail. The lines are those from the failure on.
func (s session) failure(p plan, c Cell) (ended string, from []string, err error) {
	if c.Boot != "" {
		n, err := s.seen("] Kernel panic", bootTime)
		if err != nil {
			return "", nil, err
		}
		ended, end, err := s.ending(n, 0, 20*time.Second, true)
		all, _, _ := s.in.from(0)
		begin := slices.IndexFunc(all[:end], func(l string) bool {
			return strings.Contains(l, "] "+c.From)
		})
		return ended, all[max(begin, 0):end], err
	}
	how, button := c.aftermath(), ""
	if strings.HasPrefix(how[0], "!") {
		button, how = how[0][1:], how[1:]
	}
	if button == "" {
		if err := s.send(append(p.setup[:len(p.setup):len(p.setup)], how...)); err != nil {
			return "", nil, err
		}
	} else if err := s.send(p.setup); err != nil {
		return "", nil, err
	}
	n, err := s.done(0, p.setup)
	if err != nil {
		return "", nil, err
	}
	if button != "" {
		// The last line must have left the kernel: a panic would say it again.
		time.Sleep(300 * time.Millisecond)
		if err := s.press(button); err != nil {
			return "", nil, err
		}
		if err := s.send(how); err != nil {
			return "", nil, err
		}
	}
	quiet := time.Duration(max(c.Quiet, 15)) * time.Second
	ended, end, err := s.ending(n, len(how), quiet, c.Watchdog.Name == "")
	all, _, _ := s.in.from(0)
	return ended, all[n:end], err
}

// seen waits for a line with a text, and returns the number of the line after it.
func (s session) seen(text string, within time.Duration) (next int, err error) {
	deadline := time.After(within)
	for {
		all, _, changed := s.in.from(0)
		if i := slices.IndexFunc(all, func(l string) bool { return strings.Contains(l, text) }); i >= 0 {
			return i + 1, nil
		}
		select {
		case <-changed:
		case <-deadline:
			return 0, fmt.Errorf("no %q within %v", text, within)
		}
	}
}

// ending watches what becomes of a machine that was given so many commands. The lines that belong
// to it are those before number end. A console that is quiet for so long means that it hangs, and so
// does the last line of a panic if nothing can come behind it.
func (s session) ending(n, commands int, quiet time.Duration, last bool) (
	ended string, end int, err error,
) {
	begun, seen, answered := time.Now(), n, 0
	for {
		all, heard, changed := s.in.from(seen)
		for i, line := range all {
			if last && strings.Contains(line, "---[ end Kernel panic") {
				quiet = 4 * time.Second
			}
			said, ok := own(line)
			switch {
			case !ok:
			case said == "ready capture":
				return endCapture, s.begins(n, seen+i), nil
			case strings.HasPrefix(said, "done "), strings.HasPrefix(said, "error "):
				if answered++; answered == commands {
					return endGoesOn, seen + i + 1, nil
				}
			}
		}
		seen += len(all)
		if how := s.happened(); how != "" {
			// What was on the way before it is still to come.
			time.Sleep(200 * time.Millisecond)
			all, _, _ := s.in.from(n)
			return how, s.begins(n, n+len(all)), nil
		}
		if time.Since(begun) > 4*time.Minute {
			return "", seen, errors.New("no end after four minutes")
		}
		if time.Since(heard) > quiet && time.Since(begun) > quiet {
			return endHang, seen, nil
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// begins is the number of the line where another system starts, between n and end: the firmware
// speaks, or the next kernel.
func (s session) begins(n, end int) int {
	all, _, _ := s.in.from(n)
	for i, line := range all[:end-n] {
		if strings.Contains(line, "] Linux version ") || strings.Contains(line, "SeaBIOS") ||
			strings.Contains(line, "] Booting Linux on physical CPU") {
			return n + i
		}
	}
	return end
}

// happened tells from QEMU's events how the machine ended, if it has.
func (s session) happened() string {
	watchdog := false
	for _, e := range s.vm.Monitor.Events() {
		switch e.Name {
		case "WATCHDOG":
			watchdog = true
		case "RESET":
			if watchdog {
				return endWatchdog
			}
			return endReset
		case "SHUTDOWN":
			return endPowerOff
		}
	}
	return ""
}

// press does what only QEMU can.
func (s session) press(button string) error {
	switch button {
	case "nmi":
		_, err := s.vm.Monitor.Execute("inject-nmi", nil)
		return err
	case "mce":
		// Processor 0, bank 4, an uncorrected error that makes the processor's state worthless.
		_, err := s.vm.Monitor.Execute("human-monitor-command", map[string]any{
			"command-line": "mce 0 4 0xb200000000070f0f 0x5 0x0 0x0",
		})
		return err
	}
	return fmt.Errorf("no button %q", button)
}

// left boots once more and asks what is left.
func (s session) left(p plan) ([]string, error) {
	n, said := 0, ""
	var err error
	for !strings.HasPrefix(said, "ready ") {
		if said, n, err = s.await(n, bootTime); err != nil {
			return nil, err
		}
	}
	from := n
	if _, err = s.tell(n, p.after); err != nil {
		return nil, err
	}
	all, _, _ := s.in.from(from)
	return evidence(all), nil
}

var (
	fileLine   = regexp.MustCompile(`^file (\S+) \d+ `)
	recordLine = regexp.MustCompile(`^\| ([A-Z][a-z]+#\d+ Part\d+)$`)
)

// evidence makes a list of what the guest showed: for a record its name and its first line, for
// another file its name and content.
func evidence(shown []string) []string {
	var left []string
	name, begun := "", false
	for _, line := range shown {
		if m := fileLine.FindStringSubmatch(line); m != nil {
			name, begun = m[1][strings.LastIndex(m[1], "/")+1:], true
			continue
		}
		content, ok := strings.CutPrefix(line, "| ")
		if !begun || !ok {
			continue
		}
		begun = false
		if m := recordLine.FindStringSubmatch(line); m != nil {
			content = m[1]
		}
		left = append(left, name+": "+content)
	}
	return left
}

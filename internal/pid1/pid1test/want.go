package pid1test

import (
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// WantEnd checks how and when the machine ended.
func (w *World) WantEnd(how simkernel.How, at time.Duration) {
	w.t.Helper()
	if w.End.How != how || w.End.At != at {
		w.t.Errorf("end:\ngot  %v at %v %s\nwant %v at %v\n%s",
			w.End.How, w.End.At, w.End.Text, how, at, w.Story())
	}
}

// WantAlive checks that PID 1 still ran at the end.
func (w *World) WantAlive() {
	w.t.Helper()
	if !w.Alive() {
		w.t.Errorf("end:\ngot  %v at %v %s\nwant PID 1 to be alive\n%s",
			w.End.How, w.End.At, w.End.Text, w.Story())
	}
}

// WantConsole checks the whole of the console, which may be indented by tabs.
func (w *World) WantConsole(want string) {
	w.t.Helper()
	if d := cmp.Diff(Text(want), w.ConsoleText()); d != "" {
		w.t.Errorf("console (-want +got):\n%s\n%s", d, w.Story())
	}
}

// WantLine checks that a line stands on a terminal, "" being the console, just so often.
func (w *World) WantLine(tty, line string, times int) {
	w.t.Helper()
	if n := len(w.Times(tty, line)); n != times {
		w.t.Errorf("%q stands on the terminal %d times, want %d\n%s", line, n, times, w.Story())
	}
}

// WantLog checks that a line stands in PID 1's log just so often.
func (w *World) WantLog(line string, times int) {
	w.t.Helper()
	n := 0
	for _, l := range w.Log() {
		if !l.Kernel && l.Text == line {
			n++
		}
	}
	if n != times {
		w.t.Errorf("%q stands in the log %d times, want %d\n%s", line, n, times, w.Story())
	}
}

// WantStarts checks when a command was started, in order.
func (w *World) WantStarts(command string, want ...time.Duration) {
	w.t.Helper()
	if got := w.Starts(command); !cmp.Equal(got, want) {
		w.t.Errorf("starts of %q:\ngot  %v\nwant %v\n%s", command, got, want, w.Story())
	}
}

// Starts returns when a command was started.
func (w *World) Starts(command string) []time.Duration {
	var at []time.Duration
	for _, s := range w.Spawned {
		if strings.Join(s.Argv, " ") == command {
			at = append(at, s.At)
		}
	}
	return at
}

// Order returns the commands that were started, in order.
func (w *World) Order() []string {
	var commands []string
	for _, s := range w.Spawned {
		commands = append(commands, strings.Join(s.Argv, " "))
	}
	return commands
}

// Times returns when a line appeared on a terminal, "" being the console.
func (w *World) Times(tty, line string) []time.Duration {
	lines := w.Console()
	if tty != "" {
		lines = w.Transcript(tty)
	}
	var at []time.Duration
	for _, l := range lines {
		if l.Text == line {
			at = append(at, l.At)
		}
	}
	return at
}

// Running returns the processes whose command is this, zombies excluded.
func (w *World) Running(command string) []simkernel.Process {
	var ps []simkernel.Process
	for _, p := range w.Processes() {
		if p.State != simkernel.Zombie && strings.Join(p.Argv, " ") == command {
			ps = append(ps, p)
		}
	}
	return ps
}

// Reboots returns the calls of reboot(2) that were asked for.
func (w *World) Reboots() []kernel.Reboot {
	var calls []kernel.Reboot
	for _, c := range w.Called {
		if r, ok := c.Call.(kernel.Reboot); ok {
			calls = append(calls, r)
		}
	}
	return calls
}

// Story is all that can be told, for a test that has failed.
func (w *World) Story() string {
	const most = 25 // lines of each
	var b strings.Builder
	b.WriteString("console:\n")
	lines := w.Console()
	for _, l := range lines[max(0, len(lines)-most):] {
		b.WriteString("\t" + l.String() + "\n")
	}
	b.WriteString("log:\n")
	log := w.Log()
	for _, l := range log[max(0, len(log)-most):] {
		b.WriteString("\t" + l.String() + "\n")
	}
	return b.String()
}

package simkernel

import (
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	term = kernel.WaitStatus(syscall.SIGTERM)
	kill = kernel.WaitStatus(syscall.SIGKILL)
)

// play boots a machine with one program, lets things happen to it, and returns the console and how
// the children ended within a minute.
func play(t *testing.T, steps []Step, happen func(m *Machine)) (string, []kernel.WaitStatus) {
	t.Helper()
	m := New(Config{Programs: programs(map[string][]Step{"p": steps})})
	happen(m)
	var exits []kernel.Exit
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		exits = until(k, time.Minute)
		return 0
	})
	return m.ConsoleText(), statuses(exits)
}

func TestSignalsToAProcess(t *testing.T) {
	tell := func(sigs ...kernel.Signal) Signal { return Signal{Name: "p", Signals: sigs} }
	for _, test := range []struct {
		name    string
		steps   []Step
		at      map[time.Duration][]Action
		console string
		ends    []kernel.WaitStatus
	}{{
		name: "default", steps: []Step{Pause{}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGTERM)}}, ends: []kernel.WaitStatus{term},
	}, {
		name: "a dump only with the limit lifted", steps: []Step{Pause{}},
		at:   map[time.Duration][]Action{1: {tell(kernel.SIGQUIT)}},
		ends: []kernel.WaitStatus{3},
	}, {
		name: "harmless by default", steps: []Step{Sleep{5 * time.Second}, Exit{4}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGCHLD, kernel.SIGCONT, syscall.SIGURG, syscall.SIGWINCH)},
		},
		ends: []kernel.WaitStatus{4 << 8},
	}, {
		name:  "a handler interrupts a sleep, which ends when it would have",
		steps: []Step{Catch{kernel.SIGHUP, []Step{Say{"hup"}}}, Sleep{5 * time.Second}, Say{"slept"}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGHUP)}, 2: {tell(kernel.SIGHUP)},
			4: {Do(func(m *Machine) { m.show(m.console, []byte("four\n")) })},
			6: {Do(func(m *Machine) { m.show(m.console, []byte("six\n")) })},
		},
		console: "hup\nhup\nfour\nslept\nsix\n", ends: []kernel.WaitStatus{0},
	}, {
		name: "blocked while its handler runs",
		steps: []Step{
			Catch{kernel.SIGHUP, []Step{Say{"in"}, Sleep{2 * time.Second}, Say{"out"}}},
			Sleep{9 * time.Second},
		},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGHUP)}, 2: {tell(kernel.SIGHUP), tell(kernel.SIGHUP)},
		},
		console: "in\nout\nin\nout\n", ends: []kernel.WaitStatus{0},
	}, {
		name: "another signal interrupts a handler",
		steps: []Step{
			Catch{kernel.SIGHUP, []Step{Say{"in"}, Sleep{2 * time.Second}, Say{"out"}}},
			Catch{kernel.SIGUSR1, []Step{Say{"usr1"}}},
			Sleep{9 * time.Second},
		},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGHUP)}, 2: {tell(kernel.SIGUSR1)},
		},
		console: "in\nusr1\nout\n", ends: []kernel.WaitStatus{0},
	}, {
		name:  "ignored, then default",
		steps: []Step{Ignore{kernel.SIGTERM}, Sleep{5 * time.Second}, Default{kernel.SIGTERM}, Pause{}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGTERM)}, 9: {tell(kernel.SIGTERM)},
		},
		ends: []kernel.WaitStatus{term},
	}, {
		name:  "KILL and STOP cannot be ignored",
		steps: []Step{Ignore{kernel.SIGKILL}, Block{kernel.SIGKILL}, Pause{}},
		at:    map[time.Duration][]Action{1: {tell(kernel.SIGKILL)}},
		ends:  []kernel.WaitStatus{kill},
	}, {
		name: "a blocked signal stays pending",
		steps: []Step{
			Block{kernel.SIGTERM},
			Sleep{5 * time.Second},
			Say{"still here"},
			Unblock{kernel.SIGTERM},
			Say{"not here"},
		},
		at:      map[time.Duration][]Action{1: {tell(kernel.SIGTERM)}},
		console: "still here\n", ends: []kernel.WaitStatus{term},
	}, {
		name: "a blocked signal is not dropped, though the default is to do nothing",
		steps: []Step{
			Block{kernel.SIGCHLD},
			Sleep{5 * time.Second},
			Catch{kernel.SIGCHLD, []Step{Say{"child"}}},
			Unblock{kernel.SIGCHLD},
		},
		at:      map[time.Duration][]Action{1: {tell(kernel.SIGCHLD)}},
		console: "child\n", ends: []kernel.WaitStatus{0},
	}, {
		name:  "D outlives KILL, which is pending",
		steps: []Step{Hang{For: 5 * time.Second}, Say{"not reached"}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGKILL)},
			2: {Do(func(m *Machine) { m.show(m.console, []byte(m.Processes()[0].State.String())) })},
		},
		console: "D\n", ends: []kernel.WaitStatus{kill},
	}, {
		name: "D for ever", steps: []Step{Hang{}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGKILL)}},
	}, {
		name: "D until it is thawed", steps: []Step{Hang{}, Exit{6}},
		at: map[time.Duration][]Action{1: {Thaw{"p"}}}, ends: []kernel.WaitStatus{6 << 8},
	}, {
		name: "killable D and KILL", steps: []Step{Hang{Killable: true}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGKILL)}}, ends: []kernel.WaitStatus{kill},
	}, {
		name: "killable D and a fatal signal", steps: []Step{Hang{Killable: true}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGTERM)}}, ends: []kernel.WaitStatus{term},
	}, {
		name: "killable D and a caught signal",
		steps: []Step{
			Catch{kernel.SIGTERM, []Step{Say{"late"}}},
			Hang{For: 5 * time.Second, Killable: true},
			Say{"after"},
		},
		at:      map[time.Duration][]Action{1: {tell(kernel.SIGTERM)}},
		console: "late\nafter\n", ends: []kernel.WaitStatus{0},
	}, {
		name: "stopped: TERM waits for CONT", steps: []Step{Stop{}, Pause{}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGTERM)}, 5: {Signal{Name: "p", Signals: []kernel.Signal{syscall.SIGCONT}}},
		},
		ends: []kernel.WaitStatus{term},
	}, {
		name: "stopped: KILL does not wait", steps: []Step{Stop{}, Pause{}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGKILL)}}, ends: []kernel.WaitStatus{kill},
	}, {
		name: "a sleep goes by while stopped", steps: []Step{Sleep{5 * time.Second}, Say{"slept"}},
		at: map[time.Duration][]Action{
			1: {tell(syscall.SIGSTOP)}, 7: {tell(kernel.SIGCONT)},
		},
		console: "slept\n", ends: []kernel.WaitStatus{0},
	}, {
		name:  "CONT cancels a stop that is pending",
		steps: []Step{Block{kernel.SIGTSTP}, Sleep{5 * time.Second}, Unblock{kernel.SIGTSTP}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGTSTP)}, 2: {tell(kernel.SIGCONT)},
		},
		ends: []kernel.WaitStatus{0},
	}, {
		name: "TSTP does not stop an orphaned group", steps: []Step{Sleep{5 * time.Second}, Exit{2}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGTSTP)}}, ends: []kernel.WaitStatus{2 << 8},
	}, {
		name:  "TSTP stops a child of a shell with job control",
		steps: []Step{Fork{Do: []Step{Setpgid{}, Pause{}}}, Sleep{9 * time.Second}},
		at: map[time.Duration][]Action{
			1: {Signal{PID: 4, Signals: []kernel.Signal{kernel.SIGTSTP}}},
			2: {Do(func(m *Machine) { m.show(m.console, []byte(m.Processes()[1].State.String())) })},
		},
		// When the shell ends the group is orphaned: HUP and CONT.
		console: "T\n", ends: []kernel.WaitStatus{0, 1},
	}, {
		name: "R: a signal interrupts computing", steps: []Step{Spin{}},
		at: map[time.Duration][]Action{1: {tell(kernel.SIGTERM)}}, ends: []kernel.WaitStatus{term},
	}, {
		name:  "R: a handler, and on",
		steps: []Step{Catch{kernel.SIGHUP, []Step{Say{"hup"}}}, Spin{}},
		at: map[time.Duration][]Action{
			1: {tell(kernel.SIGHUP)}, 2: {tell(kernel.SIGHUP)}, 3: {tell(kernel.SIGKILL)},
		},
		console: "hup\nhup\n", ends: []kernel.WaitStatus{kill},
	}, {
		name: "to itself", steps: []Step{
			Catch{kernel.SIGHUP, []Step{Say{"hup"}}},
			Kill{Name: "p", Signal: kernel.SIGHUP},
			Say{"then"},
		},
		console: "hup\nthen\n", ends: []kernel.WaitStatus{0},
	}, {
		name: "to the own group, the children first here", steps: []Step{
			Fork{Times: 2, Do: []Step{Pause{}}}, Kill{PID: 0, Signal: kernel.SIGTERM},
		},
		ends: []kernel.WaitStatus{term, term, term},
	}} {
		t.Run(test.name, func(t *testing.T) {
			console, ends := play(t, test.steps, func(m *Machine) {
				for at, actions := range test.at {
					m.At(at*time.Second, actions...)
				}
			})
			if console != "" && console[len(console)-1] != '\n' {
				console += "\n"
			}
			wantEqual(t, "console", console, test.console)
			wantEqual(t, "ends", ends, test.ends)
		})
	}
}

package simkernel

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

func contains(b []byte, s string) bool { return strings.Contains(string(b), s) }

func TestHowProgramsStart(t *testing.T) {
	const path = "PATH=/sbin:/bin"
	for _, test := range []struct {
		name    string
		command kernel.Command
		console string
		end     kernel.Exit
	}{{
		name:    "arguments",
		command: kernel.Command{Paths: []string{"/bin/args"}, Argv: []string{"-args", "a b", "c"}},
		console: "-args|a b|c\n",
	}, {
		name:    "a relative path",
		command: kernel.Command{Paths: []string{"bin/args"}, Argv: []string{"x"}},
		console: "x\n",
	}, {
		name: "paths in turn",
		command: kernel.Command{
			Paths: []string{"/sbin/args", "/etc/plain", "/bin/args"}, Argv: []string{"x"},
		},
		console: "x\n",
	}, {
		name:    "a text without an interpreter",
		command: kernel.Command{Paths: []string{"/bin/text"}, Argv: []string{"text", "a"}},
		console: "/bin/sh|/bin/text|a\n",
	}, {
		name: "the shell's exec",
		command: kernel.Command{
			Paths: []string{"/bin/sh"}, Env: []string{path},
			Argv: []string{"/bin/sh", "-c", "exec args a  b"},
		},
		console: "args|a|b\n",
	}, {
		name: "the shell finds nothing",
		command: kernel.Command{
			Paths: []string{"/bin/sh"}, Env: []string{path},
			Argv: []string{"/bin/sh", "-c", "exec nothing"},
		},
		console: "sh: exec: nothing: not found\n", end: kernel.Exit{Status: 127 << 8},
	}, {
		name: "the shell may not",
		command: kernel.Command{
			Paths: []string{"/bin/sh"}, Env: []string{path},
			Argv: []string{"/bin/sh", "-c", "exec /etc/plain"},
		},
		console: "sh: exec: /etc/plain: Permission denied\n", end: kernel.Exit{Status: 126 << 8},
	}, {
		name:    "missing",
		command: kernel.Command{Paths: []string{"/bin/missing"}, Argv: []string{"x"}},
		end: kernel.Exit{
			Status: 255 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageExec, Errno: kernel.ENOENT},
		},
	}, {
		name:    "an empty name",
		command: kernel.Command{Paths: []string{""}, Argv: []string{""}},
		end: kernel.Exit{
			Status: 255 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageExec, Errno: kernel.ENOENT},
		},
	}, {
		name:    "a file in the place of a directory",
		command: kernel.Command{Paths: []string{"/etc/plain/x"}, Argv: []string{"x"}},
		end: kernel.Exit{
			Status: 255 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageExec, Errno: syscall.ENOTDIR},
		},
	}, {
		name:    "without permission",
		command: kernel.Command{Paths: []string{"/bin/locked"}, Argv: []string{"x"}},
		end: kernel.Exit{
			Status: 255 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageExec, Errno: syscall.EACCES},
		},
	}, {
		name:    "no such terminal",
		command: kernel.Command{Paths: []string{"/bin/args"}, Argv: []string{"x"}, TTY: "/dev/tty9"},
		end: kernel.Exit{
			Status: 1 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageTTY, Errno: kernel.ENOENT},
		},
	}, {
		name:    "a terminal without hardware",
		command: kernel.Command{Paths: []string{"/bin/args"}, Argv: []string{"x"}, TTY: "/dev/ttyS3"},
		end: kernel.Exit{
			Status: 1 << 8,
			Failed: &kernel.StartError{Stage: kernel.StageTTY, Errno: kernel.EIO},
		},
	}} {
		t.Run(test.name, func(t *testing.T) {
			m := New(Config{
				Files:     map[string]string{"/etc/plain": ""},
				Terminals: map[string]Terminal{"/dev/ttyS3": {OpenErr: kernel.EIO}},
				Programs: map[string]Program{
					"/bin/args": {Main: func(argv []string) []Step {
						return []Step{Say{strings.Join(argv, "|")}}
					}},
					"/bin/text": {Text: true, Main: func(argv []string) []Step {
						return []Step{Say{strings.Join(argv, "|")}}
					}},
					"/bin/locked": {NotExecutable: true},
				},
			})
			m.Boot(func(k kernel.Kernel) int {
				pid, err := k.Spawn(&test.command)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := k.Wait(); err != kernel.EAGAIN {
					t.Errorf("Wait at once: got %v, want EAGAIN", err)
				}
				test.end.PID = pid
				wantEqual(t, "ends", until(k, time.Second), []kernel.Exit{test.end})
				return 0
			})
			wantEqual(t, "console", m.ConsoleText(), test.console)
		})
	}
}

func TestTextWithoutShell(t *testing.T) {
	m := New(Config{NoShell: true, Programs: map[string]Program{"/bin/text": {Text: true}}})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "text")
		exits := until(k, time.Second)
		wantErr(t, "start", exits[0].Failed, kernel.ENOENT)
		return 0
	})
}

func TestLoading(t *testing.T) {
	m := New(Config{Programs: map[string]Program{
		"/bin/dead": {Load: kernel.Never}, "/bin/slow": {Load: 5 * time.Second},
	}})
	m.Boot(func(k kernel.Kernel) int {
		pids := spawn(t, k, "dead", "slow")
		until(k, time.Second)
		for _, pid := range pids {
			if p, _ := m.Process(pid); p.State != Uninterruptible {
				t.Errorf("%s: got state %v, want D", p.Name, p.State)
			}
		}
		// What reads from a disk that answers can be killed, though in D.
		k.KillAll(kernel.SIGTERM)
		wantEqual(t, "dead", until(k, time.Minute), []kernel.Exit{{PID: pids[1], Status: term}})
		return 0
	})
}

func TestCoreLimit(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"p": {Pause{}}})})
	m.At(time.Second, Signal{Name: "p", Signals: []kernel.Signal{kernel.SIGQUIT}})
	m.Boot(func(k kernel.Kernel) int {
		c := command("p")
		c.Core = true
		if _, err := k.Spawn(c); err != nil {
			t.Fatal(err)
		}
		exits := until(k, time.Minute)
		if !exits[0].Status.CoreDump() {
			t.Errorf("end: got %#x, want a core dump", exits[0].Status)
		}
		return 0
	})
}

func TestNulInStrings(t *testing.T) {
	New(Config{}).Boot(func(k kernel.Kernel) int {
		for _, c := range []kernel.Command{
			{Paths: []string{"\x00"}}, {Argv: []string{"a\x00"}}, {Env: []string{"\x00"}}, {TTY: "\x00"},
		} {
			_, err := k.Spawn(&c)
			wantErr(t, "Spawn", err, kernel.EINVAL)
		}
		return 0
	})
}

func TestInteractiveShell(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{
		"hello": {Say{"hello"}}, "slow": {Sleep{5 * time.Second}, Say{"slow"}},
	})})
	m.At(1*time.Second, Type{Text: "hello\n"})
	m.At(2*time.Second, Type{Text: "slow\n"})
	m.At(3*time.Second, Type{Text: "hello\n\nnothing\n"})
	m.At(9*time.Second, Type{Text: "exit 3\n"})
	m.Boot(func(k kernel.Kernel) int {
		_, err := k.Spawn(&kernel.Command{Paths: []string{"/bin/sh"}, Argv: []string{"-/bin/sh"}})
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "ends", statuses(until(k, time.Minute)), []kernel.WaitStatus{3 << 8})
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(),
		"hello\nhello\nslow\nhello\n\nnothing\nslow\nhello\nsh: nothing: not found\nexit 3\n")
}

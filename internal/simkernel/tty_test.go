package simkernel

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// next compares the next event.
func next(t *testing.T, k kernel.Kernel, deadline time.Duration, want kernel.Event) {
	t.Helper()
	if got := k.Next(deadline); got != want {
		t.Errorf("Next(%v) at %v: got %#v, want %#v", deadline, k.Now(), got, want)
	}
}

func TestStoppedTerminal(t *testing.T) {
	m := New(Config{
		Terminals: map[string]Terminal{"/dev/ttyS0": {Buffer: 8, Stopped: true}},
		Programs:  programs(map[string][]Step{"p": {Say{"from a process"}, Say{"twice"}}}),
	})
	m.At(5*time.Second, StartOutput{})
	m.At(6*time.Second, Type{Text: "\x13"})
	m.At(8*time.Second, Type{Text: "\x11"})
	m.Boot(func(k kernel.Kernel) int {
		fd, err := k.Reopen(1, kernel.Out)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := k.Write(fd, []byte("0123456789")); n != 8 || err != nil {
			t.Errorf("Write: got %d, %v, want 8 that fit", n, err)
		}
		_, err = k.Write(fd, []byte("89"))
		wantErr(t, "Write", err, kernel.EAGAIN)
		_, err = k.Write(1, []byte("89"))
		wantErr(t, "Write to the shared descriptor", err, kernel.EAGAIN)
		wantErr(t, "Watch", k.Watch(fd, kernel.Out), 0)
		next(t, k, 2*time.Second, kernel.Expired{})
		if got := m.ConsoleText(); got != "" {
			t.Errorf("console while stopped: got %q", got)
		}
		next(t, k, kernel.Never, kernel.Ready{FD: fd, What: kernel.Out})
		if now := k.Now(); now != 5*time.Second {
			t.Errorf("ready at %v, want 5s", now)
		}
		k.Write(fd, []byte("89\n"))
		until(k, 7*time.Second)
		pid := spawn(t, k, "p")[0]
		next(t, k, 7500*time.Millisecond, kernel.Expired{})
		if p, _ := m.Process(pid); p.State != Sleeping {
			t.Errorf("writer to a stopped terminal: got %v, want S", p.State)
		}
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGCHLD})
		if now := k.Now(); now != 8*time.Second {
			t.Errorf("writer has ended at %v, want 8s", now)
		}
		wantEqual(t, "blocked", m.Blocked(), nil)
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "0123456789\nfrom a process\ntwice\n")
}

func TestWriteThatBlocks(t *testing.T) {
	m := New(Config{Terminals: map[string]Terminal{"/dev/ttyS0": {Buffer: 8, Stopped: true}}})
	m.At(5*time.Second, StartOutput{})
	m.Boot(func(k kernel.Kernel) int {
		// Descriptor 1 is blocking: what does not fit is waited for.
		if n, err := k.Write(1, []byte("0123456789\n")); n != 11 || err != nil {
			t.Errorf("Write: got %d, %v, want 11", n, err)
		}
		return 0
	})
	wantEqual(t, "blocked", m.Blocked(), []Blocked{{"write", 0, 5 * time.Second}})
}

func TestWriteThatBlocksForEver(t *testing.T) {
	m := New(Config{Terminals: map[string]Terminal{"/dev/ttyS0": {Buffer: 8, Stopped: true}}})
	end := m.Boot(func(k kernel.Kernel) int {
		k.Write(1, []byte("0123456789\n"))
		return 0
	})
	wantEqual(t, "end", end, End{How: Stuck, Text: "waiting in write for ever"})
}

func TestInput(t *testing.T) {
	m := New(Config{Terminals: map[string]Terminal{"/dev/tty1": {VT: true}}})
	m.At(1*time.Second, Type{"/dev/tty1", "one\ntwo\n"})
	m.At(2*time.Second, Type{"/dev/tty1", "half"})
	m.At(3*time.Second, Type{"/dev/tty1", "\x04"})
	m.At(4*time.Second, Type{"/dev/tty1", "\x04"})
	m.Boot(func(k kernel.Kernel) int {
		fd, err := k.Open("/dev/tty1")
		wantErr(t, "Open", err, 0)
		if !k.IsVT(fd) || k.IsVT(0) {
			t.Errorf("IsVT: got %t for tty1 and %t for the console", k.IsVT(fd), k.IsVT(0))
		}
		read := func(size int) string {
			b := make([]byte, size)
			n, err := k.Read(fd, b)
			if err != nil {
				return err.Error()
			}
			return string(b[:n])
		}
		wantEqual(t, "nothing yet", read(9), kernel.EAGAIN.Error())
		k.Watch(fd, kernel.In)
		ready := kernel.Ready{FD: fd, What: kernel.In}
		next(t, k, kernel.Never, ready)
		wantEqual(t, "a line", read(9), "one\n")
		// It is not told again unless asked, and then at once.
		next(t, k, k.Now(), kernel.Expired{})
		k.Watch(fd, kernel.In)
		next(t, k, kernel.Never, ready)
		wantEqual(t, "part of a line", read(1), "t")
		wantEqual(t, "the rest", read(9), "wo\n")
		k.Watch(fd, kernel.In)
		next(t, k, kernel.Never, ready)
		wantEqual(t, "half a line and an end of file", read(9), "half")
		k.Watch(fd, kernel.In)
		next(t, k, kernel.Never, ready)
		wantEqual(t, "the end of file", read(9), "")
		wantEqual(t, "nothing after it", read(9), kernel.EAGAIN.Error())
		return 0
	})
	wantEqual(t, "echo", string(m.Output("/dev/tty1")), "one\ntwo\nhalf")
}

func TestSomebodyElseTakesTheInput(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"reader": {ReadLine{}, Say{"mine"}}})})
	m.At(time.Second, Type{Text: "x\n"})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "reader")
		k.Watch(0, kernel.In)
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGCHLD})
		next(t, k, 2*time.Second, kernel.Expired{})
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "x\nmine\n")
}

func TestKeys(t *testing.T) {
	catch := func(sig kernel.Signal, say string) Step { return Catch{sig, []Step{Say{say}}} }
	m := New(Config{
		Terminals: map[string]Terminal{"/dev/tty1": {}},
		Programs: programs(map[string][]Step{"p": {
			catch(kernel.SIGINT, "int"), catch(kernel.SIGQUIT, "quit"), catch(kernel.SIGTSTP, "tstp"),
			Fork{Do: []Step{Setpgid{}, ReadLine{}, Say{"read in the background"}}},
			Wait{},
			ReadLine{},
			Say{"line"},
			ReadLine{},
			Say{"not after the end of file"},
		}}),
	})
	for i, key := range []string{"\x03", "\x1c", "\x1a", "a\n", "\x04"} {
		m.At(time.Duration(i+1)*time.Second, Type{"/dev/tty1", key})
	}
	m.Boot(func(k kernel.Kernel) int {
		c := command("p")
		c.TTY = "/dev/tty1"
		if _, err := k.Spawn(c); err != nil {
			t.Fatal(err)
		}
		until(k, 500*time.Millisecond)
		// The child in a group of its own is stopped as it reads.
		if p, _ := m.Process(4); p.State != Stopped || p.TTY != "/dev/tty1" {
			t.Errorf("background reader: got %+v, want it stopped", p)
		}
		k.Kill(4, kernel.SIGKILL)
		wantEqual(t, "ends", statuses(until(k, time.Minute)), []kernel.WaitStatus{0})
		return 0
	})
	var got []string
	for _, l := range m.Transcript("/dev/tty1") {
		got = append(got, l.Text)
	}
	wantEqual(t, "lines", got, []string{"^Cint", `^\quit`, "^Ztstp", "a", "line"})
}

func TestControllingTerminal(t *testing.T) {
	const tty = "/dev/tty1"
	for _, test := range []struct {
		name    string
		command kernel.Command
		want    string
	}{
		{"own descriptors", kernel.Command{}, ""},
		{"a terminal", kernel.Command{TTY: tty}, tty},
		{"the console is none by opening", kernel.Command{TTY: "/dev/console"}, ""},
		{"the console is one by asking", kernel.Command{TakeTTY: true}, "/dev/ttyS0"},
		{"a pipe is none", kernel.Command{TTY: "/pipe", TakeTTY: true}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := New(Config{
				Terminals: map[string]Terminal{tty: {}, "/pipe": {Plain: true}},
				Programs:  programs(map[string][]Step{"p": {Pause{}}}),
			})
			m.Boot(func(k kernel.Kernel) int {
				c := test.command
				c.Paths, c.Argv = []string{"/bin/p"}, []string{"p"}
				first, _ := k.Spawn(&c)
				second, _ := k.Spawn(&c)
				until(k, time.Second)
				p, _ := m.Process(first)
				wantEqual(t, "terminal", p.TTY, test.want)
				if p, _ := m.Process(second); p.TTY != "" {
					t.Errorf("a second session got %s, too", p.TTY)
				}
				// When the session's leader is gone it is free again.
				k.Kill(first, kernel.SIGKILL)
				until(k, 2*time.Second)
				third, _ := k.Spawn(&c)
				p, _ = m.Process(third)
				wantEqual(t, "terminal of a third", p.TTY, test.want)
				return 0
			})
			if c := test.command; c.TTY != "/pipe" {
				name := test.command.TTY
				if name == "" {
					name = "/dev/console"
				}
				wantEqual(t, "made sane", m.MadeSane(name), 3)
			}
		})
	}
}

func TestLeaderLeavesTerminal(t *testing.T) {
	m := New(Config{
		Terminals: map[string]Terminal{"/dev/tty1": {}},
		Programs: programs(map[string][]Step{"shell": {
			Fork{Do: []Step{Catch{kernel.SIGHUP, []Step{Say{"hung up"}, Exit{4}}}, Pause{}}},
			Sleep{time.Second},
		}}),
	})
	m.Boot(func(k kernel.Kernel) int {
		c := command("shell")
		c.TTY = "/dev/tty1"
		k.Spawn(c)
		wantEqual(t, "ends", statuses(until(k, time.Minute)), []kernel.WaitStatus{0, 4 << 8})
		return 0
	})
}

func TestHangUp(t *testing.T) {
	m := New(Config{
		Terminals: map[string]Terminal{"/dev/ttyS1": {}},
		Programs: programs(map[string][]Step{
			"shell":  {ReadLine{}, Say{"not here"}},
			"reader": {Ignore{kernel.SIGHUP}, ReadLine{}, Say{"not here"}},
		}),
	})
	m.At(time.Second, HangUp{"/dev/ttyS1"})
	m.At(3*time.Second, Type{"/dev/ttyS1", "x\n"})
	m.Boot(func(k kernel.Kernel) int {
		for _, name := range []string{"shell", "reader"} {
			c := command(name)
			c.TTY = "/dev/ttyS1"
			k.Spawn(c)
		}
		fd, err := k.Open("/dev/ttyS1")
		wantErr(t, "Open", err, 0)
		k.Watch(fd, kernel.In)
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGCHLD})
		next(t, k, kernel.Never, kernel.Ready{FD: fd, What: kernel.In})
		var b [9]byte
		if n, err := k.Read(fd, b[:]); n != 0 || err != nil {
			t.Errorf("Read: got %d, %v, want the end of file", n, err)
		}
		_, err = k.Write(fd, []byte("x"))
		wantErr(t, "Write", err, kernel.EIO)
		var ends []kernel.Exit
		for range 2 {
			e, err := k.Wait()
			wantErr(t, "Wait", err, 0)
			ends = append(ends, e)
		}
		wantEqual(t, "ends", statuses(ends), []kernel.WaitStatus{1, 0})
		// Opened anew it is as good as new.
		again, err := k.Open("/dev/ttyS1")
		wantErr(t, "Open", err, 0)
		k.Watch(again, kernel.In)
		next(t, k, kernel.Never, kernel.Ready{FD: again, What: kernel.In})
		return 0
	})
	wantEqual(t, "console", m.Transcript("/dev/ttyS1"), []Line{{3 * time.Second, "x"}})
}

func TestOpen(t *testing.T) {
	m := New(Config{
		Files:     map[string]string{"/etc/passwd": ""},
		Terminals: map[string]Terminal{"/dev/ttyS1": {OpenErr: kernel.EIO}},
	})
	m.At(time.Second, OpenFails{"/dev/ttyS1", 0}, OpenFails{"/dev/ttyS2", syscall.ENXIO})
	m.Boot(func(k kernel.Kernel) int {
		open := func(path string, want kernel.Errno) {
			t.Helper()
			fd, err := k.Open(path)
			wantErr(t, "Open "+path, err, want)
			if err == nil {
				wantErr(t, "Close", k.Close(fd), 0)
			}
		}
		open("/dev/ttyS1", kernel.EIO)
		open("/dev/ttyS2", kernel.ENOENT)
		open("/dev/null", 0)
		open("/etc/passwd", 0)
		open("/etc/passwd/x", syscall.ENOTDIR)
		open("/etc", kernel.EISDIR)
		open("/dev/tty", syscall.ENXIO)
		until(k, 2*time.Second)
		open("/dev/ttyS1", 0)
		open("/dev/ttyS2", syscall.ENXIO)
		k.Setsid()
		wantErr(t, "Stdio", k.Stdio("/dev/ttyS1", true), 0)
		open("/dev/tty", 0)
		wantEqual(t, "left open", m.OpenFDs(), []kernel.FD{0, 1, 2})
		if p, _ := m.Process(1); p.TTY != "/dev/ttyS1" ||
			p.Stdio != [3]string{"/dev/ttyS1", "/dev/ttyS1", "/dev/ttyS1"} {
			t.Errorf("PID 1: got %+v", p)
		}
		return 0
	})
}

func TestClosedDescriptors(t *testing.T) {
	for _, null := range []bool{true, false} {
		m := New(Config{Closed: []kernel.FD{0, 2}})
		if !null {
			m.Apply(RemoveFile{"/dev/null"})
		}
		m.Boot(func(k kernel.Kernel) int {
			wantEqual(t, "open", m.OpenFDs(), []kernel.FD{1})
			_, err := k.Write(2, []byte("x"))
			wantErr(t, "Write", err, syscall.EBADF)
			k.FillStdio()
			wantEqual(t, "open", m.OpenFDs(), []kernel.FD{0, 1, 2})
			p, _ := m.Process(1)
			_, err = k.Write(2, []byte("x"))
			if null {
				wantEqual(t, "files", p.Stdio, [3]string{"/dev/null", "/dev/console", "/dev/null"})
				wantErr(t, "Write", err, 0)
			} else {
				wantEqual(t, "files", p.Stdio, [3]string{"/", "/dev/console", "/"})
				wantErr(t, "Write", err, syscall.EBADF)
			}
			return 0
		})
	}
}

func TestNoConsole(t *testing.T) {
	m := New(Config{Console: "none"})
	m.Boot(func(k kernel.Kernel) int {
		wantEqual(t, "open", m.OpenFDs(), nil)
		_, err := k.Open("/dev/console")
		wantErr(t, "Open", err, kernel.ENOENT)
		return 0
	})
	wantEqual(t, "console", m.Console(), nil)
}

func TestWhenALineAppears(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"p": {
		Sleep{time.Second}, Say{"ready"}, Sleep{time.Second}, Say{"ready"}, ReadLine{}, Say{"bye"},
	}})})
	m.When("ready", Signals(kernel.SIGHUP))
	m.When("Press Enter. ", Type{Text: "go"})
	m.When("Press Enter.", Type{Text: "\n"})
	m.WhenAfter("bye", time.Second, Signals(kernel.SIGTERM))
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGHUP})
		next(t, k, 2500*time.Millisecond, kernel.Expired{}) // once only
		k.Write(1, []byte("\nPress "))
		k.Write(1, []byte("Enter. "))
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGCHLD})
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGTERM})
		if now := k.Now(); now != 3500*time.Millisecond {
			t.Errorf("now: got %v, want 3.5s", now)
		}
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "ready\nready\n\nPress Enter. go\nbye\n")
}

func TestTranscript(t *testing.T) {
	m := New(Config{})
	m.Boot(func(k kernel.Kernel) int {
		k.Write(1, []byte("\rone\nha"))
		until(k, time.Second)
		k.Write(1, []byte("lf\n\r"))
		k.Write(1, []byte("tail"))
		return 0
	})
	wantEqual(t, "console", m.Console(),
		[]Line{{0, "one"}, {0, "half"}, {time.Second, "tail"}})
	wantEqual(t, "bytes", string(m.Output("/dev/console")), "\rone\nhalf\n\rtail")
	if s := m.Console()[2].String(); !strings.HasPrefix(s, "1.000000 tail") {
		t.Errorf("String: got %q", s)
	}
}

// TestSerialLine takes its time for what is written, keeps what has not been sent, and loses that
// when the machine goes down. The kernel's own lines do not wait for it.
func TestSerialLine(t *testing.T) {
	const baud = 1600 // a tenth of a second for the sixteen bytes of the port
	machine := func() *Machine {
		return New(Config{
			Terminals: map[string]Terminal{"/dev/ttyS0": {Baud: baud, Buffer: 40}},
			Programs: programs(map[string][]Step{
				"p": {Say{strings.Repeat("p", 47)}},
			}),
		})
	}
	m := machine()
	m.Boot(func(k kernel.Kernel) int {
		fd, err := k.Reopen(1, kernel.Out)
		wantErr(t, "Reopen", err, 0)
		wantEqual(t, "unsent at first", k.Unsent(fd), 0)
		n, err := k.Write(fd, []byte(strings.Repeat("0123456789", 5)))
		wantErr(t, "Write", err, 0)
		wantEqual(t, "bytes that fit", n, 40)
		wantEqual(t, "unsent", k.Unsent(fd), 40)
		_, err = k.Write(fd, []byte("x"))
		wantErr(t, "Write to a full line", err, kernel.EAGAIN)
		wantErr(t, "Watch", k.Watch(fd, kernel.Out), 0)
		next(t, k, kernel.Never, kernel.Ready{FD: fd, What: kernel.Out})
		wantEqual(t, "room after", k.Now(), 100*time.Millisecond)
		wantEqual(t, "unsent then", k.Unsent(fd), 24)
		wantEqual(t, "shown then", m.ConsoleText(), "0123456789012345\n")

		// What the port has leaves in spite of Ctrl-S; the rest does not count.
		m.Apply(StopOutput{})
		wantEqual(t, "unsent when stopped", k.Unsent(fd), 16)
		until(k, time.Second)
		wantEqual(t, "unsent later", k.Unsent(fd), 0)
		wantEqual(t, "shown when stopped", len(m.Output("/dev/ttyS0")), 32)
		m.Apply(StartOutput{})
		wantEqual(t, "unsent when it goes on", k.Unsent(fd), 8)
		until(k, 2*time.Second)

		// A process waits until all fits.
		spawn(t, k, "p")
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGCHLD})
		if now := k.Now(); now < 2100*time.Millisecond {
			t.Errorf("the process, which had to wait for room, has ended at %v", now)
		}
		next(t, k, 3*time.Second, kernel.Expired{})
		wantEqual(t, "all is shown", len(m.Output("/dev/ttyS0")), 88)
		k.Write(fd, []byte("last words, of which only sixteen bytes have"))
		until(k, 3150*time.Millisecond)
		wantErr(t, "RebootSelf", k.RebootSelf(kernel.Restart), 0)
		return 0
	})
	lines := m.Console()
	wantEqual(t, "last line", lines[len(lines)-1].Text, "last words, of w")

	// A line that is hung up, or interrupted by a key, forgets what the port does not have yet.
	for name, a := range map[string]Action{"hung up": HangUp{}, "Ctrl-C": Type{Text: "\x03"}} {
		m := machine()
		m.At(50*time.Millisecond, a)
		m.Boot(func(k kernel.Kernel) int {
			k.Write(1, []byte(strings.Repeat("x", 30)))
			until(k, time.Second)
			wantEqual(t, name+": unsent", k.Unsent(1), 0)
			return 0
		})
		wantEqual(t, name+": sent", strings.Count(string(m.Output("/dev/ttyS0")), "x"), 16)
	}
}

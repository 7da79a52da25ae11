package qemu

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		line string
		want Record
		ok   bool
	}{
		{
			"[    5.295326] reboot: Power down\r\n",
			Record{5295326 * time.Microsecond, "", "reboot: Power down"},
			true,
		},
		{"[12345.000001] x", Record{12345*time.Second + time.Microsecond, "", "x"}, true},
		{"[    0.000000][    T0] Linux version", Record{0, "T0", "Linux version"}, true},
		{"[    1.000000][   C12] softirq", Record{time.Second, "C12", "softirq"}, true},
		{"[    1.500000] ", Record{1500 * time.Millisecond, "", ""}, true},
		{"Please press Enter", Record{}, false},
		{"[ok] started", Record{}, false},
		{"hello [    1.000000] not at the start", Record{}, false},
	} {
		got, ok := ParseRecord(c.line)
		if got != c.want || ok != c.ok {
			t.Errorf("ParseRecord(%q)\n got %+v, %v\nwant %+v, %v", c.line, got, ok, c.want, c.ok)
		}
	}
}

// cable makes a console and gives its far end.
func cable(t *testing.T) (*Console, net.Conn) {
	t.Helper()
	ours, file, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	far, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	c := newConsole(ours, nil)
	t.Cleanup(func() { c.close(); far.Close() })
	return c, far
}

func send(t *testing.T, to net.Conn, text string) {
	t.Helper()
	if _, err := to.Write([]byte(text)); err != nil {
		t.Error(err)
	}
}

func TestExpectReadsOnFromWhereItStopped(t *testing.T) {
	c, far := cable(t)
	send(t, far, "one\r\ntwo\r\n")
	go send(t, far, "prompt> ")
	if line, err := c.Line(time.Minute); line != "one" || err != nil {
		t.Fatalf("got %q, %v; want one", line, err)
	}
	m, err := c.Expect(regexp.MustCompile(`(t.o)\r\npr`), time.Minute)
	if err != nil || m.Groups[0] != "two" {
		t.Fatalf("got %+v, %v; want two", m, err)
	}
	if _, err := c.Expect(regexp.MustCompile(`^ompt> $`), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Transcript(), "one\ntwo\nprompt> "; got != want {
		t.Errorf("transcript:\n got %q\nwant %q", got, want)
	}
}

func TestExpectSaysWhatCameInstead(t *testing.T) {
	c, far := cable(t)
	send(t, far, "something else\r\n")
	var failure *ConsoleError
	_, err := c.Expect(regexp.MustCompile("login:"), time.Millisecond)
	if !errors.As(err, &failure) || failure.Ended {
		t.Fatalf("got %v, want a ConsoleError for the time limit", err)
	}
	far.Close()
	_, err = c.Expect(regexp.MustCompile("login:"), time.Minute)
	if !errors.As(err, &failure) || !failure.Ended || failure.Unread != "something else\r\n" {
		t.Fatalf("got %v, want a ConsoleError for the end, with the text", err)
	}
}

// Pausing must reach the far end: a port that is not drained becomes one that takes no more.
func TestPausedConsoleStopsTheSender(t *testing.T) {
	c, far := cable(t)
	c.Pause()
	text := []byte(strings.Repeat("0123456789abcde\n", 1<<16))
	sent := make(chan error, 1)
	go func() {
		_, err := far.Write(text)
		sent <- err
	}()
	if err := far.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-sent; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the sender got %v, want a full line", err)
	}
	c.Resume()
	if err := far.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	send(t, far, "end of text")
	if _, err := c.Expect(regexp.MustCompile("end of text"), time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestMonitorTellsAnswersFromEvents(t *testing.T) {
	ours, far := net.Pipe()
	m := newMonitor(ours)
	go func() {
		defer far.Close()
		lines := bufio.NewScanner(far)
		lines.Split(splitJSON)
		send(t, far, `{"QMP": {"version": {}}}`)
		lines.Scan()
		send(t, far, `{"timestamp": {"seconds": 7, "microseconds": 5}, "event": "RESET",
			"data": {"guest": true, "reason": "guest-reset"}}`)
		send(t, far, `{"return": {"status": "running"}, "id": 1}`)
		lines.Scan()
		send(t, far, `{"error": {"class": "CommandNotFound", "desc": "no"}, "id": 2}`)
		lines.Scan()
	}()
	got, err := m.Execute("query-status", nil)
	if err != nil || string(got) != `{"status": "running"}` {
		t.Fatalf("got %s, %v", got, err)
	}
	var refused *MonitorError
	if _, err := m.Execute("frobnicate", nil); !errors.As(err, &refused) ||
		refused.Class != "CommandNotFound" {
		t.Fatalf("got %v, want a MonitorError", err)
	}
	e, err := m.Await("RESET", time.Minute)
	want := Event{
		"RESET",
		map[string]any{"guest": true, "reason": "guest-reset"},
		time.Unix(7, 5000),
	}
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Fatalf("\n got %+v, %v\nwant %+v", e, err, want)
	}
	if _, err := m.Execute("quit", nil); !errors.Is(err, errMonitorEnded) {
		t.Fatalf("got %v, want the end of the machine", err)
	}
	if _, err := m.Await("RESET", time.Minute); !errors.Is(err, errMonitorEnded) {
		t.Fatalf("got %v, want the end of the machine", err)
	}
}

// splitJSON is a bufio.SplitFunc for values that stand side by side.
func splitJSON(data []byte, _ bool) (int, []byte, error) {
	var value json.RawMessage
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	if decoder.Decode(&value) != nil {
		return 0, nil, nil // not all of it yet
	}
	return int(decoder.InputOffset()), value, nil
}

func TestMissingThingsAreNamedWithTheirRemedy(t *testing.T) {
	t.Setenv("REBOUND_BUILD", t.TempDir())
	t.Setenv("PATH", t.TempDir())
	check := func(m Machine, want string) {
		t.Helper()
		var missing *MissingError
		if err := m.Check(); !errors.As(err, &missing) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a MissingError with %q", err, want)
		}
	}
	check(Machine{Arch: "arm64"}, "make deps ARCH=arm64")
	program := filepath.Join(os.Getenv("PATH"), "qemu-system-x86_64")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	check(Machine{}, "make deps ARCH=amd64")
	kernel := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(kernel, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check(Machine{Kernel: kernel, Initrd: []string{Image("amd64")}}, "make image ARCH=amd64")
	if err := (Machine{Kernel: kernel}).Check(); err != nil {
		t.Errorf("all is there, yet: %v", err)
	}
}

// busyboxGuest is a guest with BusyBox's own init, so that what fails is the harness.
func busyboxGuest(t *testing.T, arch, inittab string, m Machine) *Guest {
	t.Helper()
	m.Arch = arch
	m.Files = append(BusyBoxFiles(arch), File{Path: "etc/inittab", Data: inittab})
	return Start(t, m)
}

func TestHarnessTalksToAMachine(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			m := busyboxGuest(t, arch, "::sysinit:/bin/busybox echo sysinit ran\n::respawn:-/bin/sh\n",
				Machine{})
			m.Expect("sysinit ran")
			m.Expect("# ")
			// The shell hands the terminal over when it has said so, and not before.
			m.Type("echo now''; read x; echo got $x")
			m.Expect("\nnow\r\n")
			m.Type("these words")
			m.Expect("got these words")
			m.WantStillUp()
			m.Type("busybox poweroff -f")
			m.WantPowerOff()
			log := KernelLog(m.Console(0).Transcript())
			if len(log) == 0 || log[len(log)-1].Text != "reboot: Power down" {
				t.Errorf("the kernel log ends %+v, want reboot: Power down", log)
			}
		})
	}
}

func TestHarnessKeepsResets(t *testing.T) {
	m := busyboxGuest(t, "amd64", "::sysinit:/bin/busybox reboot -f\n", Machine{KeepResets: true})
	for range 2 {
		m.Expect("reboot: Restarting system")
		e, err := m.Monitor.Await("RESET", m.Patience)
		if err != nil || e.Data["reason"] != "guest-reset" {
			t.Fatalf("got %+v, %v; want a reset by the guest", e, err)
		}
	}
}

func TestHarnessSeesAPanic(t *testing.T) {
	m := busyboxGuest(t, "amd64", "::restart:/bin/busybox true\n::once:/bin/busybox kill -QUIT 1\n",
		Machine{})
	m.Expect("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000")
	m.WantEnd("guest-reset") // by panic=-1
}

func TestHarnessEndsAMachineAtItsLimit(t *testing.T) {
	t.Parallel()
	// QEMU itself must have started by then.
	m := busyboxGuest(t, "amd64", "", Machine{Limit: 15 * time.Second})
	end, err := m.Wait(m.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if !end.TimedOut() {
		t.Errorf("got %+v, want the end by the time limit", end)
	}
}

func TestHarnessTypesAtASecondPort(t *testing.T) {
	m := busyboxGuest(t, "amd64", "::sysinit:/bin/busybox mkdir /dev\n"+
		"::sysinit:/bin/busybox mount -t devtmpfs dev /dev\nttyS1::respawn:-/bin/sh\n",
		Machine{Serial: 2})
	m.ExpectOn(1, "# ")
	if err := m.Console(1).Send("echo $((40 + 2))\r"); err != nil {
		t.Fatal(err)
	}
	m.ExpectOn(1, "\n42\r")
}

// A machine that leaves panics or the console's level to its kernel says nothing of them.
func TestBootLineSaysWhatIsAskedFor(t *testing.T) {
	for _, c := range []struct {
		m    Machine
		want string
	}{
		{Machine{Append: "x"}, "console=ttyS0 no_timer_check panic=-1 quiet x"},
		{Machine{Append: "x", KernelPanic: true}, "console=ttyS0 no_timer_check quiet x"},
		{Machine{Append: "x", KernelPanic: true, Loud: true}, "console=ttyS0 no_timer_check x"},
	} {
		_, args, err := c.m.Command("")
		if err != nil {
			t.Fatal(err)
		}
		if got := args[slices.Index(args, "-append")+1]; got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/qemu"
)

// The test binary is also the program under test, for those tests that need it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("BOOT_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience is how long anything may take on a slow and busy machine.
const patience = 3 * time.Minute

// busyboxMachine runs one command as BusyBox's init's only entry.
func busyboxMachine(command string) qemu.Machine {
	return qemu.Machine{Files: append(qemu.BusyBoxFiles("amd64"),
		qemu.File{Path: "etc/inittab", Data: "::once:/bin/busybox " + command + "\n"})}
}

// require skips the test on a machine that lacks something for it.
func require(t *testing.T, m qemu.Machine) {
	t.Helper()
	err := m.Check()
	var missing *qemu.MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing) && !qemu.Required("qemu"):
		t.Skipf("needs QEMU: %v", err)
	default:
		t.Fatal(err)
	}
}

func TestUnattendedSucceedsOnlyByAPowerDown(t *testing.T) {
	for _, c := range []struct {
		command string
		limit   time.Duration
		want    string // in the error; empty: none
	}{
		{"poweroff -f", patience, ""},
		{"reboot -f", patience, "ended by guest-reset"},
		{"kill -QUIT 1", 15 * time.Second, "not powered down"}, // which BusyBox does not mind
	} {
		t.Run(c.command, func(t *testing.T) {
			t.Parallel()
			m := busyboxMachine(c.command)
			m.Limit = c.limit
			require(t, m)
			var console strings.Builder
			err := unattended(m, &console)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want no error; console:\n%s", err, console.String())
			case c.want == "" && !strings.Contains(console.String(), "boot: powered down after"):
				t.Errorf("console does not say so:\n%s", console.String())
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestTooLittleMemoryIsGuessed: the kernel ends before it has a console to say so on.
func TestTooLittleMemoryIsGuessed(t *testing.T) {
	t.Parallel()
	m := busyboxMachine("poweroff -f")
	m.Memory, m.Limit = 16, patience
	require(t, m)
	err := unattended(m, io.Discard)
	if want := "16 MiB of memory may be too little"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want an error with %q", err, want)
	}
}

// A terminal in front of `make run`, with a person's keys.
type terminal struct {
	t      *testing.T
	master *os.File
	seen   string
	status chan error
}

// openTerminal runs boot with a new pseudo-terminal as its standard streams.
func openTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	// Fd has made it blocking, and reads from it would have no deadline.
	if err := unix.SetNonblock(int(master.Fd()), true); err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command("timeout", append([]string{"--foreground", "600", os.Args[0]}, args...)...)
	cmd.Env = append(os.Environ(), "BOOT_TEST_MAIN=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, status: make(chan error, 1)}
	gone := make(chan struct{})
	go func() {
		term.status <- cmd.Wait()
		close(gone)
	}()
	t.Cleanup(func() {
		select {
		case <-gone: // Its number may be somebody else's by now.
		default:
			_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		}
	})
	return term
}

// expect reads until the pattern has appeared, and forgets all up to its end.
func (term *terminal) expect(pattern string) {
	term.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	chunks := make(chan string)
	for {
		if loc := re.FindStringIndex(term.seen); loc != nil {
			term.seen = term.seen[loc[1]:]
			return
		}
		go func() {
			buf := make([]byte, 4096)
			n, err := term.master.Read(buf)
			if err != nil && n == 0 {
				close(chunks)
				return
			}
			chunks <- string(buf[:n])
		}()
		select {
		case s, ok := <-chunks:
			if !ok {
				term.t.Fatalf("the terminal ended; want %q, got:\n%s", pattern, term.seen)
			}
			term.seen += s
		case <-deadline:
			term.t.Fatalf("want %q within %v, got:\n%s", pattern, patience, term.seen)
		}
	}
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := io.WriteString(term.master, keys); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) wantEnd() {
	term.t.Helper()
	select {
	case err := <-term.status:
		if err != nil {
			term.t.Errorf("boot ended by %v, want exit status 0", err)
		}
	case <-time.After(patience):
		term.t.Fatalf("boot has not ended after %v; unread:\n%s", patience, term.seen)
	}
}

// One session of a person with `make run`: the shell waits for Enter, reboot really boots again,
// halt leaves a machine to be left by the keys that were announced, poweroff ends it.
func TestOnATerminalTheGuestIsInteractive(t *testing.T) {
	require(t, qemu.Machine{Initrd: []string{qemu.Image("amd64")}})
	start := func() *terminal {
		term := openTerminal(t, "--initrd", qemu.Image("amd64"))
		term.expect("Ctrl-A, then x")
		term.expect("Please press Enter to activate this console. ")
		term.press("\r")
		term.expect("# ")
		return term
	}
	term := start()
	term.press("reboot\r")
	term.expect("reboot: Restarting system")
	term.expect("Please press Enter to activate this console. ")
	term.press("\r")
	term.expect("# ")
	term.press("poweroff\r")
	term.expect("reboot: Power down")
	term.wantEnd()

	term = start()
	term.press("halt\r")
	term.expect("reboot: System halted")
	term.press("\x01x")
	term.wantEnd()
}

package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
)

// box is a container.
type box struct {
	s    *scenario.Scenario
	play *live.Play
	name string // of the container, and of its image
	dir  string // of files of this machine

	cmd      *exec.Cmd
	pid      int // of PID 1, on this machine
	keyboard io.Writer
	files    []*os.File
	ears     sync.WaitGroup
	said     bytes.Buffer // by podman itself

	ended   chan struct{} // closed when PID 1 has ended; endedAt is set then
	endedAt time.Duration
	over    chan struct{} // closed when podman has ended
}

func (b *box) pidFile() string { return filepath.Join(b.dir, "pid") }

// launch starts the container, and waits until init is executed in it.
func (b *box) launch(ctx context.Context) error {
	args := append([]string{"run"}, b.options()...)
	args = append(append(args, b.name), b.s.Machine.Args...)
	b.cmd = exec.Command("podman", args...)
	// Nothing of a container outlives the process that plays: see remove for the usual end.
	connected, err := b.connect()
	if err != nil {
		b.cmd = nil
		return err
	}
	err = b.cmd.Start()
	connected()
	if err != nil {
		b.cmd = nil
		return err
	}
	go func() {
		_ = b.cmd.Wait() // the status says more
		b.ears.Wait()
		close(b.over)
	}()
	if err := b.awaitInit(ctx); err != nil {
		return err
	}
	b.play.Start(time.Now())
	fd, err := unix.PidfdOpen(b.pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd of init: %w", err)
	}
	go b.awaitEnd(fd)
	return nil
}

// awaitInit waits until the container's first process is init, and no longer the runtime's.
func (b *box) awaitInit(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if b.pid == 0 {
			if text, err := os.ReadFile(b.pidFile()); err == nil {
				b.pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
			}
		}
		if b.pid != 0 && live.Named(fmt.Sprintf("/proc/%d", b.pid), "init") {
			return nil
		}
		select {
		case <-b.over:
			return &podmanError{"run", b.cmd.ProcessState.String(), strings.TrimSpace(b.said.String())}
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// awaitEnd waits until PID 1 has ended.
func (b *box) awaitEnd(fd int) {
	defer unix.Close(fd)
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, -1); n > 0 || err != nil && err != unix.EINTR {
			break
		}
	}
	b.endedAt = b.play.Now()
	close(b.ended)
}

// connect gives podman its descriptors: a terminal of ours, which it connects to that of the
// container, or a pipe. What it returns is to be called when podman has them.
func (b *box) connect() (func(), error) {
	b.cmd.Stderr = &b.said
	if b.s.Machine.Console == scenario.ConsolePipe {
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		// PID 1's standard error comes that way too.
		b.cmd.Stdout, b.cmd.Stderr = writer, writer
		b.follow(reader)
		return func() { writer.Close() }, nil
	}
	master, slave, err := openTerminal()
	if err != nil {
		return nil, err
	}
	b.cmd.Stdin, b.cmd.Stdout = slave, slave
	b.keyboard = master
	b.follow(master)
	return func() { slave.Close() }, nil
}

// follow listens until nobody has the other end.
func (b *box) follow(f *os.File) {
	b.files = append(b.files, f)
	b.ears.Add(1)
	go func() {
		defer b.ears.Done()
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if n > 0 {
				b.play.Hear("", buf[:n], time.Now())
			}
			if err != nil {
				return
			}
		}
	}()
}

// openTerminal makes a pseudo-terminal on which bytes go as they are.
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return nil, nil, err
	}
	var n uint32
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			n, failed = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return nil, nil, err
	}
	fd, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, nil, err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return nil, nil, err
	}
	return master, os.NewFile(uintptr(fd), "terminal"), nil
}

// root is the container's root, while PID 1 lives.
func (b *box) root() string { return fmt.Sprintf("/proc/%d/root", b.pid) }

// do lets something happen.
func (b *box) do(d scenario.Deed) error {
	const (
		ctrlS = "\x13"
		ctrlQ = "\x11"
	)
	switch d := d.(type) {
	case scenario.Signal:
		return live.SignalAll(b.pid, d.Signals)
	case scenario.Kill:
		return live.KillNamed(b.pid, d.Name, d.Signal)
	case scenario.Type:
		return b.typed(d.Text)
	case scenario.StopOutput:
		return b.typed(ctrlS)
	case scenario.StartOutput:
		return b.typed(ctrlQ)
	case scenario.WriteFile:
		return live.Put(b.root(), scenario.File{Path: d.Path, Text: d.Text})
	case scenario.RemoveFile:
		return os.Remove(b.root() + d.Path)
	}
	return fmt.Errorf("a container has nothing like %T", d)
}

func (b *box) typed(text string) error {
	if b.keyboard == nil {
		return errors.New("there is no terminal")
	}
	_, err := io.WriteString(b.keyboard, text)
	return err
}

// stop ends a container that is still alive.
func (b *box) stop() {
	_ = syscall.Kill(b.pid, syscall.SIGKILL)
	<-b.over
}

// status is what PID 1's parent has seen, as podman tells it: 128 and the number for a signal.
func (b *box) status() syscall.WaitStatus {
	const signaled = 128
	code := b.cmd.ProcessState.ExitCode()
	if code > signaled {
		return syscall.WaitStatus(code - signaled)
	}
	return syscall.WaitStatus(code << 8)
}

// readFiles reads what the scenario wants to know.
func (b *box) readFiles(t *scenario.Transcript) error {
	wanted := b.s.WantedFiles()
	if len(wanted) == 0 {
		return nil
	}
	// The play may have been given up, and the files are still of interest.
	root, err := podman(context.Background(), "mount", b.name)
	if err != nil {
		return err
	}
	for _, path := range wanted {
		if text, err := os.ReadFile(root + path); err == nil {
			t.Files[path] = string(text)
		}
	}
	_, err = podman(context.Background(), "umount", b.name)
	return err
}

package pidns

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
)

// room is where one init lives.
//
// It has nothing of the host's file systems in it, not even by a bind mount: an init that remounts
// read-only all that it sees must not do so to the host.
type room struct {
	s    *scenario.Scenario
	play *live.Play

	// root and pts are file systems of its own; dir is the root as this process sees it, and
	// mountPoint an empty directory by way of which it becomes the root.
	root, pts  *os.File
	dir        string
	mountPoint string
	plan       stage.Plan
	terminals  map[string]*terminal
	pipe       *os.File // the reading end of a console that is a pipe
	pipeRead   chan struct{}

	cmd     *exec.Cmd
	ended   chan struct{} // closed when PID 1 has ended
	status  syscall.WaitStatus
	endedAt time.Duration
}

// The descriptors that the stage gets besides the first three.
const (
	rootFD = stage.Trouble + 1 + iota
	ptsFD
)

// namespaces are those that a room has for itself. The network is one of them, so that bringing
// loopback up is not done to the host.
const namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
	unix.CLONE_NEWNET

// newFileSystem makes a file system that is not mounted anywhere yet.
func newFileSystem(fstype string) (*os.File, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsopen %s: %w", fstype, err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig %s: %w", fstype, err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("fsmount %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// furnish makes the room's files and terminals.
func (r *room) furnish(programs live.Programs) error {
	var err error
	if r.root, err = newFileSystem("tmpfs"); err != nil {
		return err
	}
	if r.pts, err = newFileSystem("devpts"); err != nil {
		return err
	}
	if r.mountPoint, err = os.MkdirTemp("", "pidns"); err != nil {
		return err
	}
	r.dir = fmt.Sprintf("/proc/self/fd/%d", r.root.Fd())
	if err := os.Chmod(r.dir, 0o755); err != nil {
		return err
	}
	if err := live.Furnish(r.dir, r.s, programs); err != nil {
		return err
	}
	// Numbers and modes are those of devtmpfs (Documentation/admin-guide/devices.txt).
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7} {
		if err := r.node("dev/"+name, 1, minor); err != nil {
			return err
		}
	}
	if err := r.node("dev/tty", 5, 0); err != nil {
		return err
	}
	r.plan = stage.Plan{
		Root: rootFD, Pts: ptsFD, RootDir: r.mountPoint, Proc: true,
		NoSysBoot: r.s.Machine.Privilege == scenario.Unprivileged,
		NoStdio:   r.s.Machine.Console == scenario.ConsoleNone,
		Path:      scenario.InitPath, Argv: live.Argv(r.s), Env: live.Env(r.s),
	}
	return r.connect()
}

func (r *room) node(path string, major, minor uint32) error {
	path = filepath.Join(r.dir, path)
	dev := unix.Mkdev(major, minor)
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(dev)); err != nil {
		return fmt.Errorf("mknod %s: %w", path, err)
	}
	return os.Chmod(path, 0o666)
}

// put gives a file of the room a new text.
func (r *room) put(f scenario.File) error { return live.Put(r.dir, f) }

// connect makes the terminals.
func (r *room) connect() error {
	r.terminals = make(map[string]*terminal)
	add := func(name, path string, stopped bool) error {
		t, err := openTerminal(int(r.pts.Fd()))
		if err != nil {
			return err
		}
		r.terminals[name] = t
		if stopped {
			if err := unix.IoctlSetInt(t.slave, unix.TCXONC, unix.TCOOFF); err != nil {
				return err
			}
		}
		t.follow(func(b []byte) { r.play.Hear(name, b, time.Now()) })
		r.plan.Bind = append(r.plan.Bind, [2]string{fmt.Sprintf("/dev/pts/%d", t.minor), path})
		return os.WriteFile(filepath.Join(r.dir, path), nil, 0o600)
	}
	m := &r.s.Machine
	if m.Console == scenario.ConsoleTTY || m.Console == scenario.ConsoleStopped {
		if err := add("", "/dev/console", m.Console == scenario.ConsoleStopped); err != nil {
			return err
		}
	}
	for _, t := range m.Terminals {
		if err := add(t.Name, "/dev/"+t.Name, t.Stopped); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the stage, and waits until it has become PID 1.
func (r *room) launch() error {
	complaint, trouble, err := os.Pipe()
	if err != nil {
		return err
	}
	defer complaint.Close()
	defer trouble.Close()
	text, err := json.Marshal(r.plan)
	if err != nil {
		return err
	}
	// The stage comes from the room: the file may be a program that was deleted meanwhile.
	r.cmd = exec.Command(r.dir+scenario.ActorPath, stage.Word, string(text))
	r.cmd.Env = []string{}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: namespaces,
		// Nothing of a room outlives the process that plays, however that ends.
		Pdeathsig: syscall.SIGKILL,
	}
	r.cmd.ExtraFiles = []*os.File{trouble, r.root, r.pts}
	done, err := r.console()
	if err != nil {
		return err
	}
	err = r.cmd.Start()
	done()
	trouble.Close()
	if err != nil {
		return fmt.Errorf("start PID 1: %w", err)
	}
	go r.wait()
	said, err := io.ReadAll(complaint)
	if err == nil && len(said) > 0 {
		err = errors.New(string(said))
	}
	if err != nil {
		r.end()
		return fmt.Errorf("start PID 1: %w", err)
	}
	r.play.Start(time.Now())
	return nil
}

// console gives PID 1 its first three descriptors. The function that it returns is to be called
// when PID 1 has them.
func (r *room) console() (done func(), err error) {
	switch r.s.Machine.Console {
	case scenario.ConsoleTTY, scenario.ConsoleStopped:
		// One open file for all three, as the kernel gives it.
		fd, err := r.terminals[""].open()
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), "console")
		r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = f, f, f
		return func() { f.Close() }, nil
	case scenario.ConsolePipe:
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		r.cmd.Stdout, r.cmd.Stderr = writer, writer
		r.pipe, r.pipeRead = reader, make(chan struct{})
		go r.followPipe()
		return func() { writer.Close() }, nil
	case scenario.ConsoleNull, scenario.ConsoleNone:
	}
	return func() {}, nil // os/exec opens /dev/null
}

func (r *room) followPipe() {
	defer close(r.pipeRead)
	buf := make([]byte, 4096)
	for {
		n, err := r.pipe.Read(buf)
		if n > 0 {
			r.play.Hear("", buf[:n], time.Now())
		}
		if err != nil {
			return
		}
	}
}

// wait reaps PID 1. The kernel lets its parent see its end only when no other process of the
// namespace is left (kernel/pid_namespace.c, zap_pid_ns_processes).
func (r *room) wait() {
	var exit *exec.ExitError
	if err := r.cmd.Wait(); err == nil || errors.As(err, &exit) {
		r.status = r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	r.endedAt = r.play.Now()
	close(r.ended)
}

// end ends the room, whatever state it is in, and reads the last of what was written.
func (r *room) end() {
	_ = r.cmd.Process.Kill()
	<-r.ended
	for _, t := range r.terminals {
		t.release()
	}
	if r.pipe != nil {
		<-r.pipeRead
	}
}

// close gives back what the room has held.
func (r *room) close() {
	for _, t := range r.terminals {
		t.release()
	}
	for _, f := range []*os.File{r.root, r.pts, r.pipe} {
		if f != nil {
			f.Close()
		}
	}
	if r.mountPoint != "" {
		os.Remove(r.mountPoint)
	}
}

// terminal is a pseudo-terminal of a room.
type terminal struct {
	minor  uint32
	pts    int
	master *os.File
	// slave is kept open, so that the terminal is not hung up when nobody else has it.
	slave int
	done  chan struct{} // closed when all has been read
	over  bool
}

// openTerminal makes a pseudo-terminal in a devpts.
func openTerminal(pts int) (*terminal, error) {
	fd, err := unix.Openat(pts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open ptmx: %w", err)
	}
	t := &terminal{pts: pts, master: os.NewFile(uintptr(fd), "ptmx"), done: make(chan struct{})}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock pty: %w", err)
	}
	if t.minor, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN); err != nil {
		return nil, fmt.Errorf("number of pty: %w", err)
	}
	if t.slave, err = t.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// open opens the slave once more.
func (t *terminal) open() (int, error) {
	fd, err := unix.Openat(t.pts, strconv.Itoa(int(t.minor)),
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open pty %d: %w", t.minor, err)
	}
	return fd, nil
}

// follow hands on what is written to the terminal.
func (t *terminal) follow(heard func([]byte)) {
	go func() {
		defer close(t.done)
		buf := make([]byte, 4096)
		for {
			n, err := t.master.Read(buf)
			if n > 0 {
				heard(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
}

// hangUp closes the terminal as a serial line that loses its carrier: reads of its slaves give the
// end of file, writes fail, and its session leader gets SIGHUP.
func (t *terminal) hangUp() {
	if !t.over {
		t.over = true
		unix.Close(t.slave)
		t.master.Close()
	}
}

// release waits until all has been read, and closes the terminal. No process of the room must be
// left.
func (t *terminal) release() {
	if t.over {
		<-t.done
		return
	}
	t.over = true
	// What a stopped terminal has kept is dropped: nobody will ever see it.
	unix.Close(t.slave)
	const patience = 2 * time.Second
	_ = t.master.SetReadDeadline(time.Now().Add(patience))
	<-t.done
	t.master.Close()
}

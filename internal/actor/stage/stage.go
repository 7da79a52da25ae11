// Package stage prepares the world in which an init is started as PID 1, then becomes that init. It
// is a part of the actor, so that a world needs no further program: the word @stage before all
// others asks for it.
package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The words that make an actor something else.
const (
	Word      = "@stage" // with a plan behind it, or the name of a file that has it
	AgentWord = "@agent" // which takes orders on descriptor AgentLine
)

// Plan is what the stage does, in this order.
type Plan struct {
	// Root is the descriptor of a file system that is not mounted yet, and becomes the root
	// by way of RootDir, an empty directory. Pts is one that is mounted on /dev/pts. None if 0.
	Root, Pts int
	RootDir   string
	// Bind are files that are bound over others.
	Bind [][2]string
	// Proc mounts /proc.
	Proc bool
	// Module is a kernel module that is loaded, and removed; and so are, before it, Drivers.
	Module  string
	Drivers []Driver
	// NoSysBoot takes CAP_SYS_BOOT away.
	NoSysBoot bool
	// Keyboard waits for the keyboard.
	Keyboard bool
	// Line is the node of a serial line, which is removed. The line is told that PID 1 starts;
	// with Agent it gives orders to an agent, too.
	Line  string
	Agent bool
	// Avoid are CPUs that the agent does not run on.
	Avoid []int
	// Console is a device, or a file, that becomes descriptors 0 to 2. Without one they stay
	// what they are; with NoStdio they are closed.
	Console string
	NoStdio bool
	// Path, Argv and Env are those of the init.
	Path string
	Argv []string
	Env  []string
}

// Trouble is the descriptor on which a stage in a PID namespace says why it fails. That the init is
// executed shows there as the end of the file.
const Trouble = 3

// Started is what the serial line is told when PID 1 starts.
const Started = "started\n"

// The agent's descriptors: the line, and one to close when it is ready.
const (
	AgentLine  = 3
	AgentReady = 4
)

// failed is the status of a stage that fails.
const failed = 111

// Main prepares the world and becomes the init. It returns only if that fails.
func Main(argv []string) int {
	runtime.LockOSThread()
	err := play(argv)
	out := os.Stderr
	if _, e := unix.FcntlInt(Trouble, unix.F_GETFD, 0); e == nil {
		out = os.NewFile(Trouble, "trouble")
	}
	fmt.Fprintf(out, "stage: %v\n", err)
	return failed
}

// play returns why the init could not be executed.
func play(argv []string) error {
	text := []byte(argv[2])
	if filepath.IsAbs(argv[2]) {
		var err error
		if text, err = os.ReadFile(argv[2]); err != nil {
			return err
		}
		if err := os.Remove(argv[2]); err != nil {
			return err
		}
	}
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	for _, step := range []func() error{p.root, p.mounts, p.module, p.keyboard, p.line, p.descriptors, p.calm} {
		if err := step(); err != nil {
			return err
		}
	}
	if p.NoSysBoot {
		if err := dropSysBoot(); err != nil {
			return fmt.Errorf("drop CAP_SYS_BOOT: %w", err)
		}
	}
	return fmt.Errorf("execute %s: %w", p.Path, syscall.Exec(p.Path, p.Argv, p.Env))
}

// root makes Root the root of this mount namespace and forgets the old one.
func (p *Plan) root() error {
	if p.Root == 0 {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := attach(p.Root, p.RootDir); err != nil {
		return err
	}
	if err := unix.Chdir(p.RootDir); err != nil {
		return fmt.Errorf("chdir %s: %w", p.RootDir, err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return unix.Chdir("/")
}

// attach mounts a file system that is not mounted yet.
func attach(fd int, at string) error {
	err := unix.MoveMount(fd, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
	if err != nil {
		return fmt.Errorf("move_mount %s: %w", at, err)
	}
	return nil
}

func (p *Plan) mounts() error {
	if p.Pts != 0 {
		if err := attach(p.Pts, "/dev/pts"); err != nil {
			return err
		}
	}
	for _, b := range p.Bind {
		if err := unix.Mount(b[0], b[1], "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s over %s: %w", b[0], b[1], err)
		}
	}
	if p.Proc {
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	}
	return nil
}

// Driver is a kernel module with its parameters.
type Driver struct{ Path, Params string }

// module loads the modules.
func (p *Plan) module() error {
	all := p.Drivers
	if p.Module != "" {
		all = append(all, Driver{Path: p.Module})
	}
	for _, d := range all {
		if err := d.load(); err != nil {
			return err
		}
	}
	return nil
}

func (d Driver) load() error {
	fd, err := unix.Open(d.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", d.Path, err)
	}
	defer unix.Close(fd)
	if err := unix.FinitModule(fd, d.Params, 0); err != nil {
		return fmt.Errorf("load %s: %w", d.Path, err)
	}
	return os.Remove(d.Path)
}

// line starts the agent, and tells the serial line that PID 1 starts.
func (p *Plan) line() error {
	if p.Line == "" {
		return nil
	}
	l, err := openLine(p.Line)
	if err != nil {
		return err
	}
	defer unix.Close(l)
	if err := os.Remove(p.Line); err != nil {
		return err
	}
	if p.Agent {
		if err := p.startAgent(l); err != nil {
			return fmt.Errorf("start the agent: %w", err)
		}
	}
	_, err = unix.Write(l, []byte(Started))
	return err
}

// startAgent starts the agent, and waits until it is ready.
func (p *Plan) startAgent(line int) error {
	var all, some unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	some = all
	for _, cpu := range p.Avoid {
		some.Clear(cpu)
	}
	// A child inherits it from this thread. If no CPU is left it makes no difference.
	if some.Count() > 0 {
		if err := unix.SchedSetaffinity(0, &some); err != nil {
			return err
		}
		defer unix.SchedSetaffinity(0, &all)
	}

	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	waiting, ready, err := os.Pipe()
	if err != nil {
		return err
	}
	defer waiting.Close()
	fd := null.Fd()
	_, err = syscall.ForkExec(os.Args[0], []string{"actor", AgentWord}, &syscall.ProcAttr{
		Files: []uintptr{fd, fd, fd, uintptr(line), ready.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	ready.Close()
	if err != nil {
		return err
	}
	_, err = io.ReadAll(waiting)
	return err
}

// openLine opens a serial line, on which bytes go as they are.
func openLine(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", path, err)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return -1, fmt.Errorf("settings of %s: %w", path, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag |= unix.CLOCAL | unix.CREAD
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return -1, fmt.Errorf("settings of %s: %w", path, err)
	}
	return fd, nil
}

// descriptors gives PID 1 its first three, and no others.
func (p *Plan) descriptors() error {
	if p.Console != "" {
		fd, err := unix.Open(p.Console, unix.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return fmt.Errorf("open %s: %w", p.Console, err)
		}
		for i := range 3 {
			if err := unix.Dup3(fd, i, 0); err != nil && fd != i {
				return err
			}
		}
	}
	if err := unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	for i := 0; p.NoStdio && i < 3; i++ {
		unix.Close(i)
	}
	return nil
}

// calm takes back what the process before has left: ignored and blocked signals.
func (p *Plan) calm() error {
	var usual [8]uint64 // a struct sigaction of zeros: SIG_DFL
	for sig := uintptr(1); sig <= 64; sig++ {
		_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&usual)), 0,
			8, 0, 0)
	}
	return unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
}

// dropSysBoot takes CAP_SYS_BOOT away for good.
func dropSysBoot() error {
	err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_BOOT, 0, 0, 0)
	if err != nil {
		return err
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	const bit = 1 << unix.CAP_SYS_BOOT
	data[0].Effective &^= bit
	data[0].Permitted &^= bit
	data[0].Inheritable &^= bit
	return unix.Capset(&hdr, &data[0])
}

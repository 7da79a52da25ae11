package linux

import (
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pages"
)

const shell = "/bin/sh"

// Spawn starts a program in a child.
func (k *Kernel) Spawn(cmd *kernel.Command) (kernel.PID, error) {
	if err := k.starts.open(); err != nil {
		return 0, err
	}
	c := k.free()
	if err := k.prepare(c, cmd); err != nil {
		return 0, err
	}
	pid, err := k.start(c)
	if err == nil && c.takeTTY {
		c.awaitTTY()
	}
	return pid, err
}

// Call starts a child that makes one system call.
func (k *Kernel) Call(call kernel.Call) (kernel.PID, error) {
	c := k.free()
	c.call = true
	switch call := call.(type) {
	case kernel.Nothing:
		// A call that cannot fail would return a number, which is no errno.
		c.nr = unix.SYS_SCHED_YIELD
		c.args = [4]uintptr{}
	case kernel.Sync:
		c.nr = unix.SYS_SYNC
		c.args = [4]uintptr{}
	case kernel.Reboot:
		if err := noNUL(call.Arg); err != nil {
			return 0, err
		}
		c.reserve(len(call.Arg)+1, 0)
		c.nr = unix.SYS_REBOOT
		c.args = [4]uintptr{
			unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
			uintptr(call.Cmd), uintptr(unsafe.Pointer(c.cstring(call.Arg))),
		}
	}
	return k.start(c)
}

// free returns a child that nobody uses. There are as many as have ever been on their way to their
// programs at the same moment.
func (k *Kernel) free() *child {
	c := k.idle()
	if c == nil && len(k.children) >= crowd {
		// They have not got round to their programs yet. That is no reason to wait, for they
		// may hang, but one to let them go first.
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		c = k.idle()
	}
	if c == nil {
		c = k.newChild()
		k.children = append(k.children, c)
	}
	c.call, c.quiet = false, false
	return c
}

// newChild makes a child. During the boot there are dozens on their way at the same moment, and they
// are made in large blocks (package pages) that go as a whole when it is over.
func (k *Kernel) newChild() *child {
	if len(k.spare) == 0 {
		n := 1
		if k.tidy.stage != tidied {
			n = pages.Room(0, int(unsafe.Sizeof(child{})))
		}
		k.spare, k.stacks = make([]child, n), make([]byte, n*stackSize)
	}
	c := &k.spare[0]
	c.stack = k.stacks[:stackSize:stackSize]
	c.text, c.ptrs = c.ownText[:0], c.ownPtrs[:0]
	k.spare, k.stacks = k.spare[1:], k.stacks[stackSize:]
	return c
}

// crowd is how many children on their way make PID 1 step aside before it starts another one.
const crowd = 8

// idle returns a child whose memory can be used again, or nil.
func (k *Kernel) idle() *child {
	for _, c := range k.children {
		if c.busy.Load() == 0 {
			return c
		}
	}
	return nil
}

func (k *Kernel) start(c *child) (kernel.PID, error) {
	c.busy.Store(1)
	c.clearsHandlers = !k.oldClone
	pid, errno := c.start()
	if c.clearsHandlers && errno != 0 && errno != syscall.EAGAIN && errno != syscall.ENOMEM {
		// Before Linux 5.5 there is no such flag, and some containers forbid clone3(2).
		k.oldClone = true
		c.clearsHandlers = false
		pid, errno = c.start()
	}
	if errno != 0 {
		c.busy.Store(0)
		return 0, errno
	}
	return kernel.PID(pid), nil
}

// prepare makes all that the child needs.
func (k *Kernel) prepare(c *child, cmd *kernel.Command) error {
	c.takeTTY, c.core = cmd.TakeTTY, cmd.Core
	c.hasTTY.Store(0)
	c.nofile = k.inheritedNofile()
	c.lift = unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	c.report = k.starts.w
	c.failed = startReport{}
	if err := noNUL(cmd.TTY, cmd.Paths, cmd.Argv, cmd.Env); err != nil {
		return err
	}
	size, pointers := len(cmd.TTY)+len(shell)+2, len(cmd.Argv)+len(cmd.Env)+2
	for _, list := range [][]string{cmd.Paths, cmd.Argv, cmd.Env} {
		for _, s := range list {
			size += len(s) + 1
		}
	}
	for range cmd.Paths {
		pointers += len(cmd.Argv) + 2
	}
	c.reserve(size, pointers)

	c.tty = nil
	if cmd.TTY != "" {
		c.tty = c.cstring(cmd.TTY)
	}
	c.sh = c.cstring(shell)
	argv := c.array(cmd.Argv)
	c.argv = &argv[0]
	c.env = &c.array(cmd.Env)[0]
	c.tries = c.tries[:0]
	for _, path := range cmd.Paths {
		t := try{path: c.cstring(path)}
		// /bin/sh PATH ARGUMENTS, as execvp(3) does it.
		n := len(c.ptrs)
		c.ptrs = append(append(c.ptrs, c.sh, t.path), argv[1:]...)
		t.script = &c.ptrs[n]
		c.tries = append(c.tries, t)
	}
	return nil
}

// reserve makes room for strings and arrays of pointers, for neither may move afterwards.
func (c *child) reserve(bytes, pointers int) {
	if cap(c.text) < bytes {
		c.text = make([]byte, 0, bytes)
	}
	if cap(c.ptrs) < pointers {
		c.ptrs = make([]*byte, 0, pointers)
	}
	c.text, c.ptrs = c.text[:0], c.ptrs[:0]
}

// cstring writes a string as C has it. Inlined, it would be two kilobytes more.
//
//go:noinline
func (c *child) cstring(s string) *byte {
	n := len(c.text)
	c.text = append(append(c.text, s...), 0)
	return &c.text[n]
}

// array writes an array of strings as C has it, with nil at its end.
func (c *child) array(ss []string) []*byte {
	n := len(c.ptrs)
	for _, s := range ss {
		c.ptrs = append(c.ptrs, c.cstring(s))
	}
	c.ptrs = append(c.ptrs, nil)
	return c.ptrs[n:]
}

// noNUL returns EINVAL if a string cannot be one of C's.
func noNUL(s string, lists ...[]string) error {
	bad := strings.IndexByte(s, 0) >= 0
	for _, list := range lists {
		for _, s := range list {
			bad = bad || strings.IndexByte(s, 0) >= 0
		}
	}
	if bad {
		return kernel.EINVAL
	}
	return nil
}

// startReports is the pipe on which children that cannot start their program say so: one for all
// of them and for ever. A child writes before it exits, so when it is reaped the report is there.
type startReports struct {
	r, w   int // both 0 before the first child
	failed map[kernel.PID]*kernel.StartError
}

func (s *startReports) open() error {
	if s.w != 0 {
		return nil
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	r, err := above(p[0], nil)
	if err == nil {
		err = unix.SetNonblock(r, true)
	}
	if err != nil {
		unix.Close(p[1])
		return err
	}
	w, err := above(p[1], nil)
	if err != nil {
		unix.Close(r)
		return err
	}
	s.r, s.w = r, w
	s.failed = make(map[kernel.PID]*kernel.StartError)
	return nil
}

// of returns the report of a child, if there is one.
func (s *startReports) of(pid kernel.PID) *kernel.StartError {
	if s.w == 0 {
		return nil
	}
	for {
		var rep startReport
		b := (*[startReportSize]byte)(unsafe.Pointer(&rep))[:]
		if n, err := unix.Read(s.r, b); err != nil || n != startReportSize {
			break
		}
		s.failed[kernel.PID(rep.pid)] = &kernel.StartError{
			Stage: kernel.Stage(rep.stage),
			Errno: kernel.Errno(rep.errno),
		}
	}
	f := s.failed[pid]
	delete(s.failed, pid)
	return f
}

// Wait reaps one child.
func (k *Kernel) Wait() (kernel.Exit, error) {
	var ws unix.WaitStatus
	pid, err := again(func() (int, error) { return unix.Wait4(-1, &ws, unix.WNOHANG, nil) })
	if err != nil {
		return kernel.Exit{}, err
	}
	if pid == 0 {
		return kernel.Exit{}, kernel.EAGAIN
	}
	e := kernel.Exit{PID: kernel.PID(pid), Status: kernel.WaitStatus(ws)}
	if ws.Exited() && (ws.ExitStatus() == exitNoExec || ws.ExitStatus() == exitNoTTY) {
		e.Failed = k.starts.of(e.PID)
	}
	return e, nil
}

// Kill sends a signal.
func (k *Kernel) Kill(pid kernel.PID, sig kernel.Signal) error {
	return unix.Kill(int(pid), sig)
}

// KillAll sends a signal to every process but PID 1.
func (k *Kernel) KillAll(sig kernel.Signal) error { return unix.Kill(-1, sig) }

// Setsid makes PID 1 a session leader.
func (k *Kernel) Setsid() error {
	_, err := unix.Setsid()
	return err
}

// Chdir changes the working directory.
func (k *Kernel) Chdir(dir string) error { return unix.Chdir(dir) }

// Exec replaces PID 1's program.
func (k *Kernel) Exec(cmd *kernel.Command) error {
	if cmd.TTY != "" {
		if err := k.Stdio(cmd.TTY, true); err != nil {
			return &kernel.StartError{Stage: kernel.StageTTY, Errno: kernel.ErrnoOf(err)}
		}
	}
	if cmd.TakeTTY {
		// It fails where another session has the terminal, which is as it should be.
		_ = unix.IoctlSetInt(0, unix.TIOCSCTTY, 0)
	}
	k.Sane(0)
	if cmd.Core {
		_ = unix.Setrlimit(unix.RLIMIT_CORE,
			&unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
	}
	// The new program gets this thread's mask.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.Sigset_t
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, &old)
	defer unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil)
	errno, denied := kernel.Errno(kernel.ENOENT), false
	for _, path := range cmd.Paths {
		// syscall.Exec, unlike unix.Exec's raw call, gives back the limit on open files
		// that the runtime has raised.
		errno = kernel.ErrnoOf(syscall.Exec(path, cmd.Argv, cmd.Env))
		if errno == unix.ENOEXEC {
			args := append([]string{shell, path}, cmd.Argv[1:]...)
			errno = kernel.ErrnoOf(syscall.Exec(shell, args, cmd.Env))
			break
		}
		if errno == unix.EACCES {
			denied = true
		} else if errno != unix.ENOENT && errno != unix.ENOTDIR {
			break
		}
	}
	if denied && errno == unix.ENOENT {
		errno = unix.EACCES
	}
	return &kernel.StartError{Stage: kernel.StageExec, Errno: errno}
}

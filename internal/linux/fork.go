package linux

//lint:file-ignore U1000 What the child runs is called from assembly.

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// child is all that a child needs between its start and its program, made by the parent, for the
// child must not allocate. The two share their memory: the child runs beside PID 1 like a thread,
// on a stack of its own, until it has executed its program.
type child struct {
	// busy is set by the parent, and cleared by the kernel when the child has executed its
	// program or has ended (CLONE_CHILD_CLEARTID). Until then nothing here may change.
	busy  atomic.Uint32
	stack []byte
	// hasTTY is set when the child has its terminal, for a parent that waits for that.
	hasTTY atomic.Uint32
	quiet  bool // its end sends no SIGCHLD, and only wait4 with __WALL sees it

	// Memory for all strings and arrays below, used again by the next child. What is here is
	// enough for most.
	text    []byte
	ptrs    []*byte
	ownText [256]byte
	ownPtrs [32]*byte

	// One system call, if call is set; the child exits with its errno.
	call bool
	nr   uintptr
	args [4]uintptr

	// Otherwise a program.
	tries   []try
	argv    **byte // its arguments; like env, a C array with nil at its end
	env     **byte
	sh      *byte
	tty     *byte // or nil
	takeTTY bool
	core    bool
	termios unix.Termios
	nofile  *unix.Rlimit // or nil
	lift    unix.Rlimit  // no limit
	report  int          // where to write a failure

	clearsHandlers bool // the kernel resets signal handlers at the start of the child
	clone3         cloneArgs
	failed         startReport
}

// try is a file that the program may be, as execvp(3) tries them.
type try struct {
	path   *byte
	script **byte // the arguments of /bin/sh, if the file is a script without "#!"
}

// stackSize is ample for code that may not grow its stack: the linker holds that below 1 KiB.
const stackSize = 2048

// cloneArgs is struct clone_args of clone3(2), first version.
type cloneArgs struct {
	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
}

// startReport is what a child writes when its program cannot be started.
type startReport struct {
	pid   int32
	stage uint16
	errno uint16
}

const startReportSize = int(unsafe.Sizeof(startReport{}))

// The exit codes of children that did not get to their program [BusyBox 3.6, 3.17].
const (
	exitNoTTY  = 1
	exitNoExec = 255
)

// How often opening a terminal is tried [BusyBox 3.5].
const ttyTries = 5

// sigset is the kernel's set of 64 signals.
type sigset uint64

const sigsetSize = unsafe.Sizeof(sigset(0))

// clone makes the system call trap, clone3(2) or clone(2), with a stack for the child. The child
// calls runChild there and never comes back.
//
//go:noescape
func clone(trap, a1, a2, a3, a4, a5 uintptr, c *child) (pid uintptr)

// start starts a child that shares our memory and does not stop us meanwhile.
//
// vfork(2), and with it Go's own ForkExec, would stop PID 1 until the child has executed its
// program, and that comes from a disk that may never answer. A fork(2) that copies the memory
// costs twice as much as the whole of a vfork: the page tables, and each page that PID 1 writes to
// afterwards.
//
// Go's signal handlers must not run in the child: they would look for threads that are not there.
// Either the kernel resets them as it makes the child, or all signals are blocked until the child
// has done so. A child that makes one call keeps them blocked: only KILL ends it.
//
//go:nosplit
//go:norace
func (c *child) start() (pid uintptr, errno syscall.Errno) {
	const flags = unix.CLONE_VM | unix.CLONE_CHILD_CLEARTID
	all, old := ^sigset(0), sigset(0)
	block := c.call || !c.clearsHandlers
	if block {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
			uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), sigsetSize, 0, 0)
	}
	busy := uintptr(unsafe.Pointer(&c.busy))
	end := uintptr(unix.SIGCHLD)
	if c.quiet {
		end = 0
	}
	stack := uintptr(unsafe.Pointer(&c.stack[0]))
	if c.clearsHandlers {
		c.clone3 = cloneArgs{
			flags: flags | unix.CLONE_CLEAR_SIGHAND, childTID: uint64(busy),
			exitSignal: uint64(end), stack: uint64(stack),
			stackSize: stackSize - callRoom,
		}
		pid = clone(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&c.clone3)),
			unsafe.Sizeof(c.clone3), 0, 0, 0, c)
	} else {
		top := stack + stackSize - callRoom
		// amd64 and riscv64 disagree about the order of the last two: one is zero on
		// each (kernel/fork.c, CONFIG_CLONE_BACKWARDS).
		ctid, tls := busy, uintptr(0)
		if tlsBeforeTID {
			ctid, tls = tls, ctid
		}
		pid = clone(unix.SYS_CLONE, flags|end, top, 0, ctid, tls, c)
	}
	if block {
		syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
			uintptr(unsafe.Pointer(&old)), 0, sigsetSize, 0, 0)
	}
	const maxErrno = 4095
	if pid > ^uintptr(maxErrno) {
		return 0, syscall.Errno(-pid)
	}
	return pid, 0
}

// Operations of futex(2), from linux/futex.h.
const (
	futexWait = 0
	futexWake = 1
)

// awaitTTY waits until the child has taken its terminal. Of two that want the same one the first
// in the inittab must get it [BusyBox 3.8], and the second is started right after. It takes as long
// as a few system calls that do not wait for anything; the limit is there all the same.
func (c *child) awaitTTY() {
	const limit = 50 * time.Millisecond
	// A signal, such as SIGCHLD of another child, ends a wait early.
	for end := time.Now().Add(limit); c.hasTTY.Load() == 0 && c.busy.Load() != 0; {
		left := unix.NsecToTimespec(int64(time.Until(end)))
		if left.Sec < 0 || left.Nsec <= 0 {
			return
		}
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.hasTTY)),
			futexWait, 0, uintptr(unsafe.Pointer(&left)), 0, 0)
	}
}

// callRoom is what the first call in the child needs at the top of its stack: the argument, and on
// some architectures a place for the return address. It keeps the stack aligned.
const callRoom = 64

// tlsBeforeTID says that clone(2) has the thread pointer before the address of the thread's number
// (CONFIG_CLONE_BACKWARDS; of our architectures, only amd64 has it the other way round).
const tlsBeforeTID = runtime.GOARCH != "amd64"

// runChild is the child. It shares PID 1's memory, with no Go thread of its own: it must not
// allocate, grow the stack, take a lock, write a pointer or return. Hence nosplit, and raw system
// calls only.
//
//go:nosplit
//go:norace
func runChild(c *child) {
	code := uintptr(exitNoExec)
	if c.call {
		_, _, errno := syscall.RawSyscall6(c.nr, c.args[0], c.args[1], c.args[2], c.args[3], 0, 0)
		code = uintptr(errno)
	} else {
		c.exec()
		if c.failed.stage == uint16(kernel.StageTTY) {
			code = exitNoTTY
		}
	}
	for {
		syscall.RawSyscall6(unix.SYS_EXIT_GROUP, code, 0, 0, 0, 0, 0)
	}
}

// exec prepares the child and executes its program. It returns if that fails, with the failure
// reported. The order is that of BusyBox's child [BusyBox 3.3].
//
//go:nosplit
//go:norace
//go:noinline
func (c *child) exec() {
	if !c.clearsHandlers {
		var dfl [4]uint64 // a struct sigaction of zeros: SIG_DFL, on every architecture
		for sig := uintptr(1); sig <= 64; sig++ {
			syscall.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&dfl)),
				0, sigsetSize, 0, 0)
		}
	}
	syscall.RawSyscall6(unix.SYS_SETSID, 0, 0, 0, 0, 0, 0)
	if c.tty != nil {
		if errno := openStdio(c.tty); errno != 0 {
			c.fail(kernel.StageTTY, errno)
			return
		}
	}
	if c.takeTTY {
		// Argument 0: do not steal it from a session that has it [BusyBox 3.8].
		syscall.RawSyscall6(unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0, 0, 0, 0)
		c.hasTTY.Store(1)
		syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.hasTTY)),
			futexWake, 1, 0, 0, 0)
	}
	if _, _, e := syscall.RawSyscall6(unix.SYS_IOCTL, 0, unix.TCGETS,
		uintptr(unsafe.Pointer(&c.termios)), 0, 0, 0); e == 0 {
		sane(&c.termios)
		syscall.RawSyscall6(unix.SYS_IOCTL, 0, unix.TCSETS,
			uintptr(unsafe.Pointer(&c.termios)), 0, 0, 0)
	}
	if c.core {
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_CORE,
			uintptr(unsafe.Pointer(&c.lift)), 0, 0, 0)
	}
	if c.nofile != nil {
		syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE,
			uintptr(unsafe.Pointer(c.nofile)), 0, 0, 0)
	}
	// From here on a signal ends the child, as it would end the program.
	none := sigset(0)
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&none)), 0, sigsetSize, 0, 0)
	c.fail(kernel.StageExec, execvp(c))
}

// openStdio makes a terminal descriptors 0 to 2. It is opened without waiting for a carrier, and
// becomes the controlling terminal of the session leader that calls this, unless another session
// has it [BusyBox 3.5].
//
//go:nosplit
//go:norace
func openStdio(path *byte) syscall.Errno {
	// The free descriptor with the lowest number is the one that open returns.
	syscall.RawSyscall6(unix.SYS_CLOSE, 0, 0, 0, 0, 0, 0)
	const at = ^uintptr(0) - 99 // AT_FDCWD, -100
	var errno syscall.Errno
	for range ttyTries {
		_, _, errno = syscall.RawSyscall6(unix.SYS_OPENAT, at, uintptr(unsafe.Pointer(path)),
			unix.O_RDWR|unix.O_NONBLOCK, 0, 0, 0)
		if errno == 0 {
			break
		}
	}
	if errno != 0 {
		return errno
	}
	syscall.RawSyscall6(unix.SYS_FCNTL, 0, unix.F_SETFL, 0, 0, 0, 0)
	syscall.RawSyscall6(unix.SYS_DUP3, 0, 1, 0, 0, 0, 0)
	syscall.RawSyscall6(unix.SYS_DUP3, 0, 2, 0, 0, 0, 0)
	return 0
}

// execvp tries the paths in turn and returns the errno of execvp(3): it goes on to the next
// directory where there is no such file, or none that may be executed, and says EACCES in the end
// if there was one of those.
//
//go:nosplit
//go:norace
func execvp(c *child) syscall.Errno {
	errno, denied := syscall.ENOENT, false
	for _, t := range c.tries {
		errno = execve(t.path, c.argv, c.env)
		switch errno {
		case syscall.ENOEXEC:
			return execve(c.sh, t.script, c.env)
		case syscall.EACCES:
			denied = true
		case syscall.ENOENT, syscall.ENOTDIR, syscall.ESTALE, syscall.ENODEV, syscall.ETIMEDOUT:
		default:
			return errno
		}
	}
	if denied {
		return syscall.EACCES
	}
	return errno
}

//go:nosplit
//go:norace
func execve(path *byte, argv, env **byte) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)),
		uintptr(unsafe.Pointer(argv)), uintptr(unsafe.Pointer(env)), 0, 0, 0)
	return errno
}

//go:nosplit
//go:norace
func (c *child) fail(stage kernel.Stage, errno syscall.Errno) {
	pid, _, _ := syscall.RawSyscall6(unix.SYS_GETPID, 0, 0, 0, 0, 0, 0)
	c.failed = startReport{pid: int32(pid), stage: uint16(stage), errno: uint16(errno)}
	syscall.RawSyscall6(unix.SYS_WRITE, uintptr(c.report),
		uintptr(unsafe.Pointer(&c.failed)), unsafe.Sizeof(c.failed), 0, 0, 0)
}

// sane is the state of a terminal that init's children expect [BusyBox 1.18].
//
//go:nosplit
//go:norace
func sane(t *unix.Termios) {
	t.Cc[unix.VINTR] = 3
	t.Cc[unix.VQUIT] = 28
	t.Cc[unix.VERASE] = 127
	t.Cc[unix.VKILL] = 21
	t.Cc[unix.VEOF] = 4
	t.Cc[unix.VSTART] = 17
	t.Cc[unix.VSTOP] = 19
	t.Cc[unix.VSUSP] = 26
	t.Line = 0
	t.Cflag &= unix.CBAUD | unix.CBAUDEX | unix.CSIZE | unix.CSTOPB | unix.PARENB | unix.PARODD |
		unix.CRTSCTS
	t.Cflag |= unix.CREAD | unix.HUPCL | unix.CLOCAL
	t.Iflag = unix.ICRNL | unix.IXON | unix.IXOFF
	t.Oflag = unix.OPOST | unix.ONLCR
	t.Lflag = unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL |
		unix.ECHOKE | unix.IEXTEN
}

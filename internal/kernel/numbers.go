package kernel

import "syscall"

// The errnos that PID 1 tells apart.
const (
	EAGAIN  = syscall.EAGAIN
	ECHILD  = syscall.ECHILD
	EINTR   = syscall.EINTR
	EINVAL  = syscall.EINVAL
	EIO     = syscall.EIO
	EISDIR  = syscall.EISDIR
	ENOENT  = syscall.ENOENT
	ENOTDIR = syscall.ENOTDIR
	EPERM   = syscall.EPERM
	ESRCH   = syscall.ESRCH
	EFBIG   = syscall.EFBIG
	EPIPE   = syscall.EPIPE
)

// The signals that mean something to PID 1 (signal(7); the numbers are those of all the
// architectures Rebound is built for).
const (
	SIGHUP  = syscall.Signal(1)
	SIGINT  = syscall.Signal(2)
	SIGQUIT = syscall.Signal(3)
	SIGKILL = syscall.Signal(9)
	SIGUSR1 = syscall.Signal(10)
	SIGUSR2 = syscall.Signal(12)
	SIGTERM = syscall.Signal(15)
	SIGCHLD = syscall.Signal(17)
	SIGCONT = syscall.Signal(18)
	SIGTSTP = syscall.Signal(20)
	SIGPWR  = syscall.Signal(30)
)

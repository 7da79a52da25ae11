package realactor

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/kernel"
)

// call gives the process a name.
func (a *act) call(name string) {
	b := make([]byte, 16) // TASK_COMM_LEN
	copy(b[:15], name)
	_, _, _ = unix.Syscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0)
}

// reboot is reboot(2) with its argument, which x/sys does not take.
func reboot(r actor.Reboot) int {
	arg := append([]byte(r.Arg), 0)
	_, _, errno := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1,
		unix.LINUX_REBOOT_MAGIC2, uintptr(r.Cmd), uintptr(unsafe.Pointer(&arg[0])), 0, 0)
	switch {
	case errno != 0:
		return int(errno)
	case r.Cmd == kernel.CadOn || r.Cmd == kernel.CadOff:
		return onward
	}
	return 0
}

// sigaction is the kernel's struct sigaction, which begins with the handler on all architectures
// Rebound is built for, and has room for the longest.
type sigaction [8]uint64

// The handlers that are none (signal(7)).
const (
	sigDefault = 0
	sigIgnore  = 1
)

// setSize is the size of the kernel's sigset_t.
const setSize = 8

// handler is the first word of the action.
func (s *sigaction) handler() uintptr { return *(*uintptr)(unsafe.Pointer(s)) }

// action returns what a signal does.
func action(sig kernel.Signal) (s sigaction) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0,
		uintptr(unsafe.Pointer(&s)), setSize, 0, 0)
	return s
}

// setAction changes it.
func setAction(sig kernel.Signal, s sigaction) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&s)), 0,
		setSize, 0, 0)
}

// hang sleeps in D, as a parent does whose child of vfork(2) has neither executed a program nor
// ended: it can be killed, and nothing else wakes it (kernel/fork.c, wait_for_vfork_done). A child
// that hears nothing sleeps in its place.
func (a *act) hang(h actor.Hang) int {
	if why := actor.Unreal([]actor.Op{h}); why != "" {
		a.say("actor: hang: " + why)
		return actor.ExitUnreadable
	}
	span := unix.NsecToTimespec(int64(h.For))
	if h.For == 0 {
		span.Sec = 1<<31 - 1
	}
	all := ^uint64(0)
	pid, errno := sleeper(uintptr(os.Getpid()), &all, &span)
	runtime.KeepAlive(&all)
	if errno == 0 {
		var status unix.WaitStatus
		for {
			if _, err := unix.Wait4(int(pid), &status, 0, nil); err != unix.EINTR {
				break
			}
		}
	}
	return onward
}

// sleeper forks a child for which its parent waits, and which sleeps and exits. It ends with its
// parent.
//
// The child runs on a copy of the memory without Go's other threads: it must not allocate, grow
// its stack or return.
//
//go:nosplit
//go:norace
//go:noinline
func sleeper(parent uintptr, all *uint64, span *unix.Timespec) (uintptr, unix.Errno) {
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_VFORK|uintptr(unix.SIGCHLD),
		0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(all)), 0,
		setSize, 0, 0)
	unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	if now, _, _ := unix.RawSyscall6(unix.SYS_GETPPID, 0, 0, 0, 0, 0, 0); now == parent {
		unix.RawSyscall6(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(span)), 0, 0, 0, 0, 0)
	}
	for {
		unix.RawSyscall6(unix.SYS_EXIT_GROUP, 0, 0, 0, 0, 0, 0)
	}
}

package halt_test

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ptraceGetSyscallInfo is the request of ptrace(2) that tells number and arguments of a system
// call alike on every architecture (Linux 5.3).
const ptraceGetSyscallInfo = 0x420e

// syscallInfo is struct ptrace_syscall_info of include/uapi/linux/ptrace.h, at a call's entry.
type syscallInfo struct {
	Op   uint8 // 1 at the entry
	_    [3]uint8
	Arch uint32
	IP   uint64
	SP   uint64
	Nr   uint64
	Args [6]uint64
	_    [32]byte
}

// follow runs a traced command to its end, with all its threads and children, and returns its
// status. Those of its system calls that concern anybody else are written to calls, in order and
// before they are carried out. With hold, who calls sync is left standing there, as a disk that no
// longer answers would leave it.
func follow(pid int, calls io.Writer, hold bool) (status int, err error) {
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil {
		return 0, fmt.Errorf("wait for the traced command: %w", err)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE |
		unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return 0, fmt.Errorf("trace: %w", err)
	}
	for stopped, signal := pid, 0; ; {
		if stopped != 0 {
			// One that was killed in the meantime is met again by the wait.
			err := unix.PtraceSyscall(stopped, signal)
			if err != nil && err != unix.ESRCH {
				return 0, fmt.Errorf("trace: %w", err)
			}
		}
		at, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		stopped, signal = at, 0
		switch {
		case err == unix.EINTR:
			stopped = 0
		case err == unix.ECHILD:
			return status, nil
		case err != nil:
			return 0, fmt.Errorf("wait: %w", err)
		case ws.Exited() || ws.Signaled():
			if at == pid && hold {
				return exitStatus(ws), nil
			}
			if at == pid {
				status = exitStatus(ws)
			}
			stopped = 0
		case ws.StopSignal() == unix.SIGTRAP|0x80:
			call := callAt(at)
			if call != "" {
				fmt.Fprintln(calls, call)
			}
			if call == "sync" && hold {
				stopped = 0
			}
		case ws.StopSignal() == unix.SIGTRAP, ws.StopSignal() == unix.SIGSTOP:
			// A thread or child has been made, or begins.
		default:
			signal = int(ws.StopSignal())
		}
	}
}

// callAt describes the system call that a thread is about to make, "" if it is of no interest.
func callAt(tid int) string {
	var info syscallInfo
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info.Op != 1 {
		return ""
	}
	switch info.Nr {
	case unix.SYS_SYNC:
		return "sync"
	case unix.SYS_KILL:
		return fmt.Sprintf("kill %d %d", int32(info.Args[0]), info.Args[1])
	case unix.SYS_PWRITE64:
		return "record"
	case unix.SYS_REBOOT:
		return fmt.Sprintf("reboot %#x %#x %#x %q", info.Args[0], info.Args[1], info.Args[2],
			textAt(tid, uintptr(info.Args[3])))
	}
	return ""
}

// textAt reads a C string of the traced process.
func textAt(tid int, addr uintptr) string {
	if addr == 0 {
		return ""
	}
	buf := make([]byte, 256)
	n, err := unix.PtracePeekData(tid, addr, buf)
	if err != nil {
		return err.Error()
	}
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(text)
}

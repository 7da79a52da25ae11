// Package oldkernel makes the running kernel look like an older one: a filter of system calls
// (seccomp(2)) refuses what the older one did not have, with the errno that it gave. What cannot be
// told from the number and the arguments of a call, such as the files of proc, stays as it is.
//
// It is for tests only.
package oldkernel

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Kernel is what programs see of an older kernel.
type Kernel struct {
	// Version is that of Linux.
	Version string
	// last is the number of its newest system call. Numbers are given in the order of time.
	last uint32
	// refused are calls that it has but that did less then.
	refused []refusal
}

// A refusal is a call that fails with EINVAL where one of its arguments has a certain value.
type refusal struct {
	number uint32
	arg    uint32 // counted from 0
	value  uint32
}

// Kernels are the ones between which the calls that an init uses have changed. The numbers of what
// came with Linux 5.1 and later are the same on all architectures.
func Kernels() []Kernel {
	return []Kernel{
		// The oldest that Go runs on; elsewhere than on amd64 and arm, the oldest there is. On
		// arm programs made with Go do not run on this one: they go by the release that
		// uname(2) tells, and then insist on calls of 5.1.
		{Version: "3.2", last: oldest()},
		// The last without fsopen(2), fsmount(2) and clone3(2).
		{Version: "5.1", last: unix.SYS_IO_URING_REGISTER},
		// The last whose clone3(2) knows only the flags of clone(2). They lie in memory, where a
		// filter cannot see them, but init, which calls clone3 for that one flag alone, is told
		// from the C library by the size of what it gives.
		{Version: "5.4", last: unix.SYS_CLONE3, refused: []refusal{
			{number: unix.SYS_CLONE3, arg: 1, value: cloneArgsSize},
		}},
		// The last whose close_range(2) only closes.
		{Version: "5.10", last: unix.SYS_PROCESS_MADVISE, refused: []refusal{
			{number: unix.SYS_CLOSE_RANGE, arg: 2, value: unix.CLOSE_RANGE_CLOEXEC},
		}},
	}
}

// cloneArgsSize is that of the first version of struct clone_args (linux/sched.h).
const cloneArgsSize = 64

func oldest() uint32 {
	if runtime.GOARCH == "riscv64" {
		return unix.SYS_STATX // of 4.15, the first on that architecture
	}
	return unix.SYS_PROCESS_VM_WRITEV
}

// Named returns the kernel of that version, which must be one of Kernels.
func Named(version string) (Kernel, error) {
	var all []string
	for _, k := range Kernels() {
		if k.Version == version {
			return k, nil
		}
		all = append(all, k.Version)
	}
	return Kernel{}, fmt.Errorf("no Linux %q: want one of %v", version, all)
}

// arms is where 32-bit ARM has calls of its own, for caches and thread pointers; they have always
// been there.
const arms = 0xf0000

// Program is the kernel as a filter, for seccomp(2). It does not look at the architecture of the
// call, which one that is to keep somebody in would have to do first.
func (k Kernel) Program() []unix.SockFilter {
	// Offsets in struct seccomp_data (linux/seccomp.h), on a little-endian machine.
	const (
		numberAt = 0
		argsAt   = 16
		argSize  = 8
	)
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	// jump goes on behind the next yes or no instructions.
	jump := func(test uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | test, K: k, Jt: yes, Jf: no}
	}
	end := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	fail := func(e unix.Errno) unix.SockFilter {
		return end(unix.SECCOMP_RET_ERRNO | uint32(e))
	}
	var p []unix.SockFilter
	for _, r := range k.refused {
		p = append(p,
			load(numberAt), jump(unix.BPF_JEQ, r.number, 0, 3),
			load(argsAt+argSize*r.arg), jump(unix.BPF_JEQ, r.value, 0, 1), fail(unix.EINVAL))
	}
	return append(p,
		load(numberAt),
		jump(unix.BPF_JGE, arms, 2, 0),
		jump(unix.BPF_JGT, k.last, 0, 1),
		fail(unix.ENOSYS),
		end(unix.SECCOMP_RET_ALLOW))
}

// Enter installs the filter for the calling thread, which must be locked to its goroutine, and for
// all that it will execute and start. There is no way back.
func (k Kernel) Enter() error {
	// Whoever has not CAP_SYS_ADMIN must do without set-user-ID programs.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl PR_SET_NO_NEW_PRIVS: %w", err)
	}
	p := k.Program()
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&prog)), 0, 0)
	runtime.KeepAlive(p)
	if err != nil {
		return fmt.Errorf("prctl PR_SET_SECCOMP: %w", err)
	}
	return nil
}

// Exec executes a program on an older kernel. It returns only if it fails.
func Exec(version, path string, argv []string) error {
	k, err := Named(version)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if os.Getpid() == 1 {
		// What an init mounts for a moment is not to be seen outside its namespace.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
	}
	if err := k.Enter(); err != nil {
		return err
	}
	// Not unix.Exec: this one gives back the limit on open files that the runtime has raised.
	return syscall.Exec(path, argv, os.Environ())
}

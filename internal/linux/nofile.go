package linux

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// The limits of the kernel's first process (include/asm-generic/resource.h).
const (
	kernelNofileSoft = 1024
	kernelNofileHard = 4096
)

// inheritedNofile returns the limit on open files that PID 1 was started with, or nil if it still
// has it. Go's runtime raises the soft limit to one below the hard one before main, keeps the old
// value to itself and gives it back only in the children that its own fork starts.
func (k *Kernel) inheritedNofile() *unix.Rlimit {
	if k.nofile != nil {
		return k.nofile
	}
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil {
		return nil
	}
	was := now
	switch {
	case now.Cur+1 != now.Max:
		// It was not raised.
	case now.Max == kernelNofileHard:
		// The first process of a machine.
		was.Cur = kernelNofileSoft
	default:
		was.Cur = askedNofile(now)
	}
	k.nofile = &was
	return k.nofile
}

// askedNofile finds the soft limit out by looking at a child of the runtime's own fork: it is
// traced, so it stands still between its exec and its first instruction, and is killed there.
func askedNofile(now unix.Rlimit) uint64 {
	guess := min(kernelNofileSoft, now.Max)
	// Tracing is a matter of threads.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, err := forkTraced("/proc/self/exe")
	if err != nil {
		return guess
	}
	defer func() {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = again(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
	}()
	var was unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was) != nil {
		return guess
	}
	return was.Cur
}

// Package linux is the seam over the running kernel.
//
// All goroutines of PID 1 but the main one live here, and all its system calls. The calls that
// wait are Next and nothing else.
package linux

import (
	"runtime/debug"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pages"
)

// maxStack ends a runaway recursion with a trace before it has eaten a small machine's memory.
// The runtime's own limit is a gigabyte.
const maxStack = 16 << 20

// Kernel is the running kernel. It is used by one goroutine only.
type Kernel struct {
	signals signals
	poll    poller
	crash   crash
	timer   *time.Timer
	views   views
	starts  startReports
	log     *logger
	tidy    tidy

	boot     time.Time     // an instant of the runtime's clock,
	bootAge  time.Duration // and the time since boot at that instant
	nofile   *unix.Rlimit  // what Go's runtime has changed, or nil
	oldClone bool          // clone3(2) is not to be had
	// contained is set where the machine is not ours: then its kernel log is not either.
	contained bool

	bootRoom []byte // for the files that are read during the boot
	children []*child
	spare    []child // see newChild
	stacks   []byte
	blocking []kernel.FD // of ours, those that are blocking
}

var _ kernel.Kernel = (*Kernel)(nil)

// Open takes every signal, and what else must be done before anything can go wrong. It is the
// first thing PID 1 does, and it cannot fail: what is missing is missing when it is asked for.
func Open() *Kernel {
	k := &Kernel{boot: time.Now(), bootRoom: make([]byte, 0, pages.Room(0, 1))}
	k.log = newLogger(&k.poll)
	k.signals.listen()
	k.crash.listen()

	debug.SetMaxStack(maxStack)
	debug.SetPanicOnFault(true)
	closeOnExec()

	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		k.bootAge = time.Duration(ts.Nano())
	}
	k.timer = time.NewTimer(time.Hour)
	k.timer.Stop()
	if h, crashed := inherit(); crashed {
		k.signals.pending = h.pending
		// By way of /proc/self/exe the kernel has called us "exe".
		_ = setName("init")
	}
	k.contained = k.RebootSelf(kernel.CadOff) != nil
	if k.contained {
		// A container may allow few processes, and others may soon have taken them all. On
		// a machine of our own there is time for this later.
		k.stockThreads()
	}
	return k
}

// closeOnExec keeps what PID 1 has inherited beyond standard input and output from its children.
func closeOnExec() {
	const all = ^uint(0) >> 1
	if unix.CloseRange(3, all, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// Before Linux 5.11 there is no such flag. PID 1 starts with few descriptors.
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd)
	}
}

// Now returns the time since boot, without what the machine has slept since PID 1 started.
func (k *Kernel) Now() time.Duration { return k.bootAge + time.Since(k.boot) }

// Wall returns the time of day.
func (k *Kernel) Wall() time.Time { return time.Now() }

// above moves a descriptor out of the way of 0, 1 and 2, which belong to the children.
func above(fd int, err error) (int, error) {
	if err != nil || fd > 2 {
		return fd, err
	}
	defer unix.Close(fd)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
}

// setName changes what the kernel calls this process (comm of proc(5)).
func setName(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(p)), 0, 0, 0)
}

// again repeats a call that a signal has interrupted.
func again[T any](f func() (T, error)) (T, error) {
	for {
		v, err := f()
		if err != unix.EINTR {
			return v, err
		}
	}
}

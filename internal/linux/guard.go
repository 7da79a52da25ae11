package linux

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	// stateVar tells a new init where the snapshot of the crashed one is.
	stateVar = "REBOUND_STATE"
	// An init that crashes this often in such a time will not get better.
	maxCrashes  = 5
	crashWindow = time.Minute
)

// Guard runs init, and survives its crash: it writes the trace to the kernel log and executes
// init's program anew in the same process, so that the children stay. The new one gets a snapshot
// of what the old one knew, from State. If it crashes again and again, the machine is rebooted.
//
// It catches a Go panic and a memory fault. What Go does not let anyone catch (a runtime without
// memory or threads) ends the process; the kernel panics and reboots after its timeout.
func (k *Kernel) Guard(run func() int, snapshot func() []byte) (status int) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		k.logCrash(v, debug.Stack())
		status = k.startOver(safely(snapshot))
	}()
	k.catchFatal()
	return run()
}

// safely calls a function that looks at data in which a panic has just happened.
func safely(snapshot func() []byte) (state []byte) {
	defer func() { _ = recover() }()
	return snapshot()
}

// catchFatal makes the runtime write what it dies of to the kernel log.
func (k *Kernel) catchFatal() {
	k.log.kmsg.open(k)
	if k.log.kmsg.fd <= 0 {
		return
	}
	fd, err := unix.FcntlInt(uintptr(k.log.kmsg.fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "/dev/kmsg")
	defer f.Close()
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
}

// logCrash writes one record per line: the kernel log takes no longer ones.
func (k *Kernel) logCrash(v any, stack []byte) {
	k.Log(kernel.Error, fmt.Sprintf("init has crashed: %v", v))
	for line := range strings.Lines(string(stack)) {
		k.Log(kernel.Error, strings.TrimRight(line, "\n"))
	}
}

// crashes counts those of the last minute. The count is passed on in front of the snapshot.
type crashes struct {
	n     int
	since time.Duration // since boot
}

// line is the count as it stands in front of the snapshot.
func (c crashes) line() []byte {
	return []byte(strconv.Itoa(c.n) + " " + strconv.FormatInt(int64(c.since), 10) + "\n")
}

// startOver executes init anew. It returns only if the process is to end.
func (k *Kernel) startOver(state []byte) int {
	c, _ := k.inheritedState()
	if now := k.Now(); c.n == 0 || now-c.since > crashWindow {
		c = crashes{since: now}
	}
	c.n++
	if c.n > maxCrashes {
		k.Log(kernel.Error, "init has crashed "+strconv.Itoa(c.n)+" times within "+
			crashWindow.String()+": rebooting")
		_, _ = k.Call(kernel.Sync{})
		time.Sleep(2 * time.Second)
		_ = k.RebootSelf(kernel.Restart)
		// Refused: the end of init is the end of a container, and makes a machine panic.
		return 1
	}
	fd, err := memory(append(c.line(), state...))
	if err != nil {
		k.Log(kernel.Error, "memfd_create: "+err.Error()+": going on without a snapshot")
	}
	env := append(k.environ(), stateVar+"="+strconv.Itoa(fd))
	blockRequests()
	// Our own proc is where our program is found, whatever has become of its file.
	if dir, err := k.procView(); err == nil && unix.Fchdir(dir) == nil {
		err = syscall.Exec("self/exe", os.Args, env)
		k.Log(kernel.Error, "execve: "+err.Error())
	}
	err = syscall.Exec("/proc/self/exe", os.Args, env)
	k.Log(kernel.Error, "execve: "+err.Error())
	return 1
}

// blockRequests keeps signals pending until the new program has asked for them. The runtime dies of
// those that come before.
func blockRequests() {
	runtime.LockOSThread()
	set := sigset(0)
	for _, sig := range taken {
		set |= 1 << (sig - 1)
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK,
		uintptr(unsafe.Pointer(&set)), 0, sigsetSize, 0, 0)
}

// memory makes a file in memory that survives execve.
func memory(b []byte) (int, error) {
	fd, err := unix.MemfdCreate("rebound-state", 0)
	if err != nil {
		return -1, err
	}
	if _, err := unix.Write(fd, b); err != nil {
		return -1, err
	}
	return fd, nil
}

// environ is what init was started with, without our own variable.
func (k *Kernel) environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, stateVar+"=") {
			env = append(env, v)
		}
	}
	return env
}

// Environ returns the environment init was started with.
func (k *Kernel) Environ() []string { return k.environ() }

// State returns the snapshot of an init that has crashed, or nil if none has.
func (k *Kernel) State() []byte {
	_, state := k.inheritedState()
	return state
}

// inheritedState reads the snapshot. It can be read again, for the next crash.
func (k *Kernel) inheritedState() (crashes, []byte) {
	fd, err := strconv.Atoi(os.Getenv(stateVar))
	if err != nil || fd < 3 {
		return crashes{}, nil
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Size <= 0 || st.Size > kernel.MaxFile {
		return crashes{}, nil
	}
	b := make([]byte, st.Size)
	if n, err := unix.Pread(fd, b, 0); err != nil || n != len(b) {
		return crashes{}, nil
	}
	head, state, _ := strings.Cut(string(b), "\n")
	count, since, _ := strings.Cut(head, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		return crashes{}, nil
	}
	at, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return crashes{}, nil
	}
	return crashes{n: n, since: time.Duration(at)}, []byte(state)
}

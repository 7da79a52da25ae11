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

// inherited is what a crashed init passes on in the variable, beside its snapshot: how often it has
// crashed, since when, and the signals that it had not yet taken.
type inherited struct {
	fd      int           // of the snapshot, or -1 if it is lost
	crashes int           // within the window
	since   time.Duration // since boot
	pending uint64        // bit n-1 for signal n
}

// String is the value of the variable.
func (h inherited) String() string {
	return strconv.Itoa(h.fd) + ":" + strconv.Itoa(h.crashes) + ":" +
		strconv.FormatInt(int64(h.since), 10) + ":" + strconv.FormatUint(h.pending, 10)
}

// inherit reads the variable. It reports whether there is one, which means that init has crashed.
func inherit() (h inherited, crashed bool) {
	f := strings.Split(os.Getenv(stateVar), ":")
	if len(f) != 4 {
		return inherited{fd: -1}, false
	}
	h.fd, _ = strconv.Atoi(f[0])
	h.crashes, _ = strconv.Atoi(f[1])
	since, _ := strconv.ParseInt(f[2], 10, 64)
	h.since = time.Duration(since)
	h.pending, _ = strconv.ParseUint(f[3], 10, 64)
	return h, true
}

// startOver executes init anew. It returns only if the process is to end.
func (k *Kernel) startOver(state []byte) int {
	h, _ := inherit()
	if now := k.Now(); h.crashes == 0 || now-h.since > crashWindow {
		h = inherited{since: now}
	}
	h.crashes++
	if h.crashes > maxCrashes {
		k.Log(kernel.Error, "init has crashed "+strconv.Itoa(h.crashes)+" times within "+
			crashWindow.String()+": rebooting")
		_, _ = k.Call(kernel.Sync{})
		time.Sleep(2 * time.Second)
		_ = k.RebootSelf(kernel.Restart)
		// Refused: the end of init is the end of a container, and makes a machine panic.
		return 1
	}
	var err error
	if h.fd, err = memory(state); err != nil {
		k.Log(kernel.Error, "init's snapshot: "+err.Error()+": going on without it")
	}
	blockRequests()
	k.signals.collect()
	h.pending = k.signals.pending
	env := append(k.environ(), stateVar+"="+h.String())
	// Our own proc is where our program is found, whatever has become of its file.
	if dir, err := k.procView(); err == nil && unix.Fchdir(dir) == nil {
		err = syscall.Exec("self/exe", os.Args, env)
		k.Log(kernel.Error, "execve: "+err.Error())
	}
	err = syscall.Exec("/proc/self/exe", os.Args, env)
	k.Log(kernel.Error, "execve: "+err.Error())
	return 1
}

// blockRequests keeps signals pending until the new program has asked for them. It helps for those
// that Go's runtime leaves blocked: not for HUP, INT, QUIT and TERM, of which it dies when they come
// in its first millisecond.
func blockRequests() {
	runtime.LockOSThread()
	set := sigset(0)
	for _, sig := range taken {
		switch sig {
		case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM:
		default:
			set |= 1 << (sig - 1)
		}
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK,
		uintptr(unsafe.Pointer(&set)), 0, sigsetSize, 0, 0)
}

// memory makes a file in memory that survives execve, or before Linux 3.17 a pipe, which root can
// make as large as is needed.
func memory(b []byte) (int, error) {
	if fd, err := unix.MemfdCreate("rebound-state", 0); err == nil {
		if n, err := unix.Write(fd, b); err == nil && n == len(b) {
			_, _ = unix.Seek(fd, 0, 0)
			return fd, nil
		}
		unix.Close(fd)
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK); err != nil {
		return -1, err
	}
	defer unix.Close(p[1])
	// If it fails, the pipe holds the snapshot of some hundred services.
	_, _ = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, len(b))
	if n, err := unix.Write(p[1], b); err != nil || n != len(b) {
		unix.Close(p[0])
		return -1, kernel.EFBIG
	}
	return p[0], nil
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

// State returns the snapshot of an init that has crashed: empty if it is lost, and nil if none has
// crashed.
func (k *Kernel) State() []byte {
	h, crashed := inherit()
	if !crashed {
		return nil
	}
	if h.fd < 3 {
		return []byte{}
	}
	defer unix.Close(h.fd)
	b, err := readAll(h.fd)
	if err != nil {
		return []byte{}
	}
	return b
}

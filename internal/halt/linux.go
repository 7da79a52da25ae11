package halt

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/utmp"
)

// wtmpPath is where glibc keeps the record of logins (paths.h, _PATH_WTMP).
const wtmpPath = "/var/log/wtmp"

// linux is the system this program runs on. All its system calls are in this file.
type linux struct {
	synced chan struct{} // closed when the sync's child is gone
}

var _ system = (*linux)(nil)

func (*linux) Getpid() int           { return os.Getpid() }
func (*linux) Now() time.Time        { return time.Now() }
func (*linux) Sleep(d time.Duration) { time.Sleep(d) }

func (*linux) Within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (*linux) OutliveTerm() { signal.Ignore(unix.SIGTERM, unix.SIGHUP) }

func (*linux) Kill(pid int, sig unix.Signal) error { return unix.Kill(pid, sig) }

func (*linux) Reboot(cmd uint32, arg string) error {
	var text unsafe.Pointer
	if arg != "" {
		p, err := unix.BytePtrFromString(arg)
		if err != nil {
			return err
		}
		text = unsafe.Pointer(p)
	}
	// unix.Reboot has no fourth argument, and its int is too small for half of the commands
	// on 32-bit machines.
	_, _, errno := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1,
		unix.LINUX_REBOOT_MAGIC2, uintptr(cmd), uintptr(text), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// StartSync lets a child call sync(2). A thread would do for the waiting, but a process with a
// thread stuck in the kernel cannot exit, and then whoever started reboot waits for ever if
// reboot(2) is refused in the end.
func (s *linux) StartSync() error {
	pid, errno := forkSync()
	if errno != 0 {
		return errno
	}
	s.synced = make(chan struct{})
	go func() {
		defer close(s.synced)
		for {
			if _, err := unix.Wait4(int(pid), nil, 0, nil); err != unix.EINTR {
				return
			}
		}
	}()
	return nil
}

func (s *linux) SyncDone() bool {
	select {
	case <-s.synced:
		return true
	default:
		return false
	}
}

// forkSync starts a child that calls sync(2) and exits. It is a fork, not an exec: there may be no
// file system left to execute from.
//
// The child runs on a copy of this stack, with no other thread. It may not allocate, grow the
// stack, take a lock or return; hence nosplit, and raw calls only. All signals are blocked across
// the clone, because the Go handler of one would look for threads that are not there.
//
//go:nosplit
//go:norace
//go:noinline
func forkSync() (pid uintptr, errno unix.Errno) {
	all, old := ^uint64(0), uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)),
		uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(all), 0, 0)
	pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		unix.RawSyscall(unix.SYS_SYNC, 0, 0, 0)
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)),
		0, unsafe.Sizeof(old), 0, 0)
	return pid, errno
}

func (*linux) ReadFile(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(limit)))
}

func (*linux) Readlink(path string) (string, error) { return os.Readlink(path) }

func (*linux) SameFile(a, b string) bool {
	var sa, sb unix.Stat_t
	return unix.Stat(a, &sa) == nil && unix.Stat(b, &sb) == nil &&
		sa.Dev == sb.Dev && sa.Ino == sb.Ino
}

func (*linux) Release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// AppendRecord writes as glibc does (login/utmp_file.c, updwtmp): under a lock, and over a record
// that somebody did not write to its end, which would put all later ones out of step.
func (*linux) AppendRecord(r utmp.Record) error {
	layout, ok := utmp.LayoutOf(runtime.GOARCH)
	if !ok {
		return fmt.Errorf("%s: the layout of its records on %s is not known", wtmpPath, runtime.GOARCH)
	}
	fail := func(op string, err error) error {
		return fmt.Errorf("%s: %s: %s", wtmpPath, op, strerror(err))
	}
	// Without O_NONBLOCK the opening of a FIFO waits for a reader.
	fd, err := unix.Open(wtmpPath, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil // a link to /dev/null is how people say that they want no records
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	for {
		err := unix.FcntlFlock(uintptr(fd), unix.F_SETLKW, &lock)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return fail("lock", err)
		}
	}
	end, err := unix.Seek(fd, 0, io.SeekEnd)
	if err != nil {
		return fail("seek", err)
	}
	end -= end % int64(layout.Size())
	b := layout.Encode(r)
	n, err := unix.Pwrite(fd, b, end)
	if err == nil && n < len(b) {
		err = unix.ENOSPC
	}
	if err != nil {
		unix.Ftruncate(fd, end)
		return fail("write", err)
	}
	return nil
}

// openParamDir opens the directory of rebootparam, and refuses one that somebody else could have
// prepared. Everything in it is then done relative to the descriptor.
func openParamDir() (int, error) {
	const dir = rebootparam.Dir
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "fstat", Path: dir, Err: err}
	}
	if st.Uid != 0 || st.Mode&0o022 != 0 {
		unix.Close(fd)
		return -1, fmt.Errorf("%s: owner %d, mode %#o, expected a directory that only root may write",
			dir, st.Uid, st.Mode&0o7777)
	}
	return fd, nil
}

// PlaceParam writes the file under another name first: PID 1 may be looking for it at any moment.
func (*linux) PlaceParam(content []byte) error {
	err := unix.Mkdir(rebootparam.Dir, 0o700)
	if err != nil && err != unix.EEXIST {
		return &os.PathError{Op: "mkdir", Path: rebootparam.Dir, Err: err}
	}
	dir, err := openParamDir()
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	name := "." + rebootparam.Name + "." + strconv.Itoa(os.Getpid())
	fail := func(op string, err error) error {
		unix.Unlinkat(dir, name, 0)
		return &os.PathError{Op: op, Path: rebootparam.Path, Err: err}
	}
	fd, err := unix.Openat(dir, name,
		unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return fail("create", err)
	}
	n, err := unix.Write(fd, content)
	if e := unix.Close(fd); err == nil {
		err = e
	}
	if err == nil && n < len(content) {
		err = unix.ENOSPC
	}
	if err != nil {
		return fail("write", err)
	}
	if err := unix.Renameat(dir, name, dir, rebootparam.Name); err != nil {
		return fail("rename", err)
	}
	return nil
}

func (*linux) RemoveParam() error {
	dir, err := openParamDir()
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	err = unix.Unlinkat(dir, rebootparam.Name, 0)
	if err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "remove", Path: rebootparam.Path, Err: err}
	}
	return nil
}

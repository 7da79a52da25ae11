// Package kernel is the seam: what PID 1 may ask of a kernel, and the types of the answers.
//
// PID 1 is written against Kernel and touches nothing else, so that the very code that boots a
// machine runs unmodified on a simulated kernel. The methods bear the names of the system calls
// they stand for and return their errnos (errors.Is(err, kernel.EBUSY) works). None of them waits,
// but for Next: whatever could hang is a Call, made by a child.
//
// There is no behaviour here. internal/linux is the running kernel, internal/simkernel the model.
package kernel

import (
	"syscall"
	"time"
)

// Kernel is everything PID 1 asks of a kernel. Packages take the smaller slices they use.
type Kernel interface {
	Clock
	Events
	Processes
	Terminals
	Files
	Machine
	Watchdogs
	Log
}

// Clock tells the time.
type Clock interface {
	// Now returns the time since boot. It never goes back and is not the time of day.
	Now() time.Duration
	// Wall returns the time of day, which may jump. It is for records such as utmp only.
	Wall() time.Time
}

// Never is the deadline that does not come.
const Never = time.Duration(1<<63 - 1)

// Events is the one place where PID 1 waits.
type Events interface {
	// Next waits for the next thing that concerns PID 1: a signal, a descriptor that became
	// ready, or the deadline, an instant of Clock.Now. It is the only call of the seam that
	// waits. Of several signals the lowest number comes first [BusyBox 4.3]; signals come
	// before descriptors, and those before the deadline. A signal that is sent several times
	// before it is taken comes once, as everywhere on Linux.
	Next(deadline time.Duration) Event
	// Watch asks for one Ready event when fd can be read (or written). It must be called
	// again for the next. A descriptor that cannot be waited for, such as a plain file, is
	// ready at once. Close ends the watch.
	Watch(fd FD, what Direction) error
}

// Event is what Next returns: Signaled, Ready or Expired.
type Event interface{ event() }

// Signaled says that a signal was sent to PID 1.
type Signaled struct{ Signal Signal }

// Ready says that a watched descriptor can be read or written, or is at its end.
type Ready struct {
	FD   FD
	What Direction
}

// Expired says that the deadline has come and nothing else.
type Expired struct{}

func (Signaled) event() {}
func (Ready) event()    {}
func (Expired) event()  {}

// Direction is what a descriptor is watched for.
type Direction uint8

// The two directions.
const (
	In  Direction = iota // to be read
	Out                  // to be written
)

// Processes starts, ends and reaps.
type Processes interface {
	// Spawn starts a program in a child. The error is fork's (EAGAIN, ENOMEM). What goes
	// wrong after the fork is told when the child is reaped, in Exit.Failed: PID 1 does not
	// wait until the program is loaded, for the disk may never answer. Paths and Argv may
	// be used again, for another command, when Spawn has returned.
	Spawn(c *Command) (PID, error)
	// Call forks a child that makes one system call and exits with its errno. There is no
	// exec, so it needs no file system. It is for the calls that may not come back.
	Call(c Call) (PID, error)
	// Wait reaps one child (wait4(-1, WNOHANG)): ECHILD when there are none, EAGAIN when
	// there are some and none has ended.
	Wait() (Exit, error)
	// Kill sends a signal (kill(2)).
	Kill(pid PID, sig Signal) error
	// KillAll sends a signal to every process that kill(2) with pid -1 reaches. Signal 0
	// only asks whether there is any: ESRCH says no. In the initial PID namespace kernel
	// threads count, so there the answer is never no.
	KillAll(sig Signal) error
	// Exec replaces PID 1's program (execve(2)) and returns only if that failed.
	// Children stay.
	Exec(c *Command) error
	// Setsid makes PID 1 a session leader. EPERM says that it is one.
	Setsid() error
	// Chdir changes PID 1's working directory, which its children inherit.
	Chdir(dir string) error
}

// PID is a process number.
type PID int

// FD is a file descriptor of PID 1. 0, 1 and 2 are what its children inherit.
type FD int

// Signal is a signal's number.
type Signal = syscall.Signal

// WaitStatus is the status word of wait4(2).
type WaitStatus = syscall.WaitStatus

// Errno is an error number. Every error of the seam is one, or wraps one.
type Errno = syscall.Errno

// Command says how to start a program. The child gets a session of its own, no blocked or ignored
// signal, the limits PID 1 was started with and descriptors 0, 1 and 2 only [BusyBox 3.3, 3.4].
type Command struct {
	// Paths are the files to try in turn, as execvp(3) does: one if the name has a slash,
	// else one per directory of PATH. A text without "#!" is run by /bin/sh [BusyBox 3.14].
	Paths []string
	Argv  []string
	Env   []string
	// TTY is the device that becomes descriptors 0 to 2 and the controlling terminal,
	// unless another session has it. Empty: PID 1's own descriptors [BusyBox 3.5, 3.7].
	TTY string
	// TakeTTY asks for descriptor 0 as controlling terminal if no session has it, never
	// stealing it: the leading dash of inittab [BusyBox 3.8].
	TakeTTY bool
	// Core lifts the limit on core dumps [BusyBox 3.10].
	Core bool
}

// Exit is the end of a child.
type Exit struct {
	PID    PID
	Status WaitStatus
	// Failed is set when the child ended before its program began.
	Failed *StartError
}

// Stage is a step between fork and the first instruction of the program.
type Stage uint8

// The stages that can fail. All others cannot, or do not matter if they do.
const (
	StageTTY  Stage = 1 + iota // opening Command.TTY
	StageExec                  // execve(2)
)

// StartError says at which stage a child failed, and why.
type StartError struct {
	Stage Stage
	Errno Errno
}

// Error says it in the kernel's words.
func (e *StartError) Error() string {
	if e.Stage == StageTTY {
		return "open: " + e.Errno.Error()
	}
	return "execve: " + e.Errno.Error()
}

// Unwrap returns the errno.
func (e *StartError) Unwrap() error { return e.Errno }

// Call is what a child does that needs no program: Sync and Reboot, which may not come back, and
// Nothing.
type Call interface{ call() }

// Nothing is the child itself: that there can be one, that it runs, and that its end is heard of.
type Nothing struct{}

// Sync is sync(2): all file systems, however long their disks take.
type Sync struct{}

// Reboot is reboot(2). Halting and powering off end the caller where the kernel cannot do them
// (kernel/reboot.c goes on to do_exit), and PID 1 must not be the one that ends.
type Reboot struct {
	Cmd RebootCmd
	// Arg is RESTART2's argument; the kernel cuts it to 255 bytes.
	Arg string
}

func (Nothing) call() {}
func (Sync) call()    {}
func (Reboot) call()  {}

// RebootCmd is the command word of reboot(2) (include/uapi/linux/reboot.h).
type RebootCmd uint32

// The commands of reboot(2) that PID 1 uses.
const (
	Restart  RebootCmd = 0x01234567
	Restart2 RebootCmd = 0xA1B2C3D4
	Halt     RebootCmd = 0xCDEF0123
	PowerOff RebootCmd = 0x4321FEDC
	CadOn    RebootCmd = 0x89ABCDEF
	CadOff   RebootCmd = 0x00000000
)

// String returns the name in reboot(2).
func (c RebootCmd) String() string {
	switch c {
	case Restart:
		return "RESTART"
	case Restart2:
		return "RESTART2"
	case Halt:
		return "HALT"
	case PowerOff:
		return "POWER_OFF"
	case CadOn:
		return "CAD_ON"
	case CadOff:
		return "CAD_OFF"
	}
	return "unknown"
}

// Terminals reads and writes terminals without ever waiting for them.
type Terminals interface {
	// Open opens a terminal for reading and writing, close-on-exec. It waits neither for a
	// carrier nor in later reads and writes: those return EAGAIN. It does not become the
	// controlling terminal.
	Open(path string) (FD, error)
	// Reopen opens the file behind fd once more, so that the descriptor can be non-blocking
	// while the one that children inherit is not.
	Reopen(fd FD, what Direction) (FD, error)
	// Stdio makes path descriptors 0, 1 and 2. With ctty it also becomes the controlling
	// terminal, as for a child with Command.TTY.
	Stdio(path string, ctty bool) error
	// FillStdio opens /dev/null, or else / for reading, for each of the descriptors 0 to 2
	// that is closed [BusyBox 1.14].
	FillStdio()
	Read(fd FD, b []byte) (int, error)
	Write(fd FD, b []byte) (int, error)
	Close(fd FD) error
	// Unsent returns about how many bytes that were written to a terminal have not left the
	// machine: those that its driver keeps (TIOCOUTQ), and one as long as a serial port is at work
	// (TIOCSERGETLSR). What a serial port keeps because it was stopped does not count, for
	// it does not leave by itself. 0 if fd is no terminal.
	Unsent(fd FD) int
	// IsVT reports whether fd is a Linux virtual terminal (VT_OPENQRY answers).
	IsVT(fd FD) bool
	// Sane sets the terminal to the state that init's children expect [BusyBox 1.18].
	// It does nothing if fd is no terminal.
	Sane(fd FD)
}

// Files reads what PID 1 must read.
type Files interface {
	// ReadFile returns a whole file of at most MaxFile bytes (else EFBIG). It does not wait
	// for the writer of a fifo. The bytes are the caller's until the next ReadFile.
	ReadFile(path string) ([]byte, error)
	// ReadTrusted is ReadFile for a file that tells PID 1 what to do: EPERM unless it is a
	// regular file of root that nobody else may write, and ELOOP if it is a symbolic link.
	ReadTrusted(path string) ([]byte, error)
	// Exists reports whether there is something at path.
	Exists(path string) bool
	// Remove deletes a file.
	Remove(path string) error
	// Proc reads a file of PID 1's own detached proc, whether or not /proc is mounted.
	Proc(name string) ([]byte, error)
	// SetProc writes one, for instance "sys/kernel/panic".
	SetProc(name, value string) error
	// Sys reads a file of PID 1's own detached sysfs, for instance "kernel/reboot/mode". Some
	// of them wait for a lock of the kernel's, those of modules' parameters for a single one.
	Sys(name string) ([]byte, error)
	// SetSys writes one.
	SetSys(name, value string) error
	// Mount mounts a kernel file system on target, which it makes if need be.
	Mount(m Mount) error
	// WriteAt writes into a file that exists, at an offset from its start in bytes, or at its
	// end if the offset is AtEnd. It never makes a file.
	WriteAt(path string, b []byte, off int64) error
}

// AtEnd is the offset of WriteAt that appends.
const AtEnd = -1

// MaxFile is the largest file ReadFile reads, in bytes: an inittab of a million lines fits.
const MaxFile = 64 << 20

// Mount is a call of mount(2) for a file system that the kernel itself provides.
type Mount struct {
	Type   string // the source is called the same
	Target string
	Flags  uintptr // MS_*
	Data   string
}

// Machine is the machine itself.
type Machine interface {
	// RebootSelf calls reboot(2) in PID 1 itself: for CadOn and CadOff, which return, and
	// as the last resort for the others. In a PID namespace CadOff is EINVAL, or EPERM
	// without CAP_SYS_BOOT, so it also tells whether the machine is PID 1's own.
	RebootSelf(cmd RebootCmd) error
	// LoopbackUp brings up the interface lo.
	LoopbackUp() error
}

// Level is how much a log line matters (syslog(3)).
type Level uint8

// The levels PID 1 uses.
const (
	Error   Level = 3
	Warning Level = 4
	Info    Level = 6
	Debug   Level = 7
)

// Log is the kernel log and syslog.
type Log interface {
	// Log writes one line to both. It never waits: what they do not take is lost, and the
	// next line that gets through says how many were.
	Log(level Level, text string)
	// FollowLog opens the kernel log for reading (/dev/kmsg of PID 1's own devtmpfs), as it
	// stands in Documentation/ABI/testing/dev-kmsg: each Read returns one record, EAGAIN if
	// there is none yet, and EPIPE if records were overwritten before they were read; the
	// next Read goes on with the oldest there is. EPERM in a container, whose log is its
	// host's.
	FollowLog(from LogStart) (FD, error)
}

// LogStart is where reading the kernel log begins.
type LogStart uint8

// The places. Both are exact: a record that comes after the call is not missed.
const (
	LogEnd    LogStart = iota // behind the last record (SEEK_END)
	LogOldest                 // with the oldest that is kept (SEEK_SET)
)

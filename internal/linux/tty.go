package linux

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	vtOpenQuery      = 0x5600 // VT_OPENQRY of linux/vt.h
	transmitterEmpty = 1      // TIOCSER_TEMT of asm-generic/ioctls.h
)

// Open opens a terminal for PID 1 itself.
func (k *Kernel) Open(path string) (kernel.FD, error) {
	fd, err := above(unix.Open(path,
		unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0))
	return kernel.FD(fd), err
}

// Stdio makes path descriptors 0, 1 and 2.
func (k *Kernel) Stdio(path string, ctty bool) error {
	if ctty {
		p, err := syscall.BytePtrFromString(path)
		if err != nil {
			return err
		}
		// Descriptor 0 must be free for it, but not lost if it cannot be opened.
		old, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
		if err == nil {
			defer unix.Close(old)
		}
		if errno := openStdio(p); errno != 0 {
			if err == nil {
				_ = unix.Dup3(old, 0, 0)
			}
			return errno
		}
		return nil
	}
	fd, err := k.Open(path)
	if err != nil {
		return err
	}
	defer unix.Close(int(fd))
	// Children share these descriptors, and few programs expect EAGAIN from standard output.
	if err := unix.SetNonblock(int(fd), false); err != nil {
		return err
	}
	for to := range 3 {
		if err := unix.Dup3(int(fd), to, 0); err != nil {
			return err
		}
	}
	return nil
}

// FillStdio opens what is closed of descriptors 0 to 2.
func (k *Kernel) FillStdio() {
	for fd := range 3 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
			continue
		}
		// The lowest free descriptor is fd itself.
		if _, err := unix.Open("/dev/null", unix.O_RDWR, 0); err != nil {
			_, _ = unix.Open("/", unix.O_RDONLY, 0)
		}
	}
}

// Read reads what there is.
func (k *Kernel) Read(fd kernel.FD, b []byte) (int, error) {
	if err := k.ready(fd, unix.POLLIN); err != nil {
		return 0, err
	}
	return again(func() (int, error) { return unix.Read(int(fd), b) })
}

// Write writes what the other side takes.
func (k *Kernel) Write(fd kernel.FD, b []byte) (int, error) {
	if err := k.ready(fd, unix.POLLOUT); err != nil {
		return 0, err
	}
	if k.isBlocking(fd) && len(b) > 1 {
		// There is room for a byte. For more the kernel might wait.
		b = b[:1]
	}
	return again(func() (int, error) { return unix.Write(int(fd), b) })
}

// ready returns EAGAIN if fd is not ready. For the descriptors that children share, which are
// blocking, this is what keeps PID 1 from being blocked; the others say EAGAIN themselves.
func (k *Kernel) ready(fd kernel.FD, events int16) error {
	if !k.isBlocking(fd) {
		return nil
	}
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	n, err := again(func() (int, error) { return unix.Poll(p, 0) })
	if err == nil && n == 0 {
		return kernel.EAGAIN
	}
	return err
}

// isBlocking reports whether reads and writes of fd may block.
func (k *Kernel) isBlocking(fd kernel.FD) bool {
	return fd <= 2 || slices.Contains(k.blocking, fd)
}

// Close closes a descriptor and ends its watch.
func (k *Kernel) Close(fd kernel.FD) error {
	k.poll.forget(fd)
	k.blocking = slices.DeleteFunc(k.blocking, func(b kernel.FD) bool { return b == fd })
	return unix.Close(int(fd))
}

// Unsent returns about how many bytes have not left the machine.
func (k *Kernel) Unsent(fd kernel.FD) int {
	// The serial core answers whether all has gone over the wire, its own buffer and the port's
	// (drivers/tty/serial/serial_core.c, uart_get_lsr_info); TIOCOUTQ knows of the first only.
	lsr, err := unix.IoctlGetInt(int(fd), unix.TIOCSERGETLSR)
	serial := err == nil
	if serial && lsr&transmitterEmpty != 0 {
		return 0
	}
	n, err := unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	if serial {
		n++
	}
	return n
}

// IsVT reports whether fd is a Linux virtual terminal.
func (k *Kernel) IsVT(fd kernel.FD) bool {
	_, err := unix.IoctlGetInt(int(fd), vtOpenQuery)
	return err == nil
}

// Sane sets a terminal to the state that children expect.
func (k *Kernel) Sane(fd kernel.FD) {
	t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
	if err != nil {
		return
	}
	sane(t)
	_ = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
}

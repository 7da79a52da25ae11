package linux

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// OpenWatchdog opens a watchdog, and so starts it. What is below /dev is opened in PID 1's own
// devtmpfs, for the inittab may not have mounted one yet; only if it is not there, or there is no
// devtmpfs, the path counts as it stands.
func (k *Kernel) OpenWatchdog(path string) (kernel.FD, error) {
	// A watchdog knows nothing of the last two. They are for a wrong path: a fifo would wait for a
	// reader, a serial line for its carrier, and become the terminal of PID 1's session.
	const flags = unix.O_WRONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	if name, ok := strings.CutPrefix(path, "/dev/"); ok {
		if dir, err := k.devView(); err == nil {
			fd, err := above(unix.Openat(dir, name, flags, 0))
			if err != unix.ENOENT {
				return kernel.FD(fd), err
			}
		}
	}
	fd, err := above(unix.Open(path, flags, 0))
	return kernel.FD(fd), err
}

// WatchdogSupport is WDIOC_GETSUPPORT.
func (k *Kernel) WatchdogSupport(fd kernel.FD) (kernel.WatchdogSupport, error) {
	var info unix.WatchdogInfo
	err := watchdogIoctl(fd, unix.WDIOC_GETSUPPORT, unsafe.Pointer(&info))
	if err != nil {
		return kernel.WatchdogSupport{}, err
	}
	return kernel.WatchdogSupport{
		Options:  kernel.WatchdogOptions(info.Options),
		Identity: unix.ByteSliceToString(info.Identity[:]),
	}, nil
}

// WatchdogControl makes a call with a number, which is C's int: 32 bits on every architecture. The
// library's helpers that set one take Go's own int, of which a big-endian kernel would read the
// wrong half.
func (k *Kernel) WatchdogControl(fd kernel.FD, c kernel.WatchdogCall, n int32) (int32, error) {
	// All are of one form, but for the two that also take a number (_IOR and _IOWR of
	// include/uapi/linux/watchdog.h). The lowest byte is the call.
	const number = 0xff
	req := uintptr(unix.WDIOC_GETSTATUS) &^ number
	if c == kernel.SetTimeout || c == kernel.SetPretimeout {
		req = unix.WDIOC_SETTIMEOUT &^ number
	}
	req |= uintptr(c)
	err := watchdogIoctl(fd, req, unsafe.Pointer(&n))
	return n, err
}

func watchdogIoctl(fd kernel.FD, req uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), req, uintptr(arg))
	if errno != 0 {
		return errno
	}
	return nil
}

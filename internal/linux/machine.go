package linux

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink/nl"

	"github.com/rebound-init/rebound/internal/kernel"
)

// loopback is the index of lo in every network namespace (LOOPBACK_IFINDEX of include/net/flow.h).
const loopback = 1

// RebootSelf calls reboot(2) in PID 1 itself.
func (k *Kernel) RebootSelf(cmd kernel.RebootCmd) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1,
		unix.LINUX_REBOOT_MAGIC2, uintptr(cmd), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// LoopbackUp brings up lo by one request (rtnetlink(7)).
//
// Of the netlink library only the messages are used. Its LinkSetUp reads a list of all links first,
// and package netlink as a whole is half a megabyte; its sockets start the runtime's poller and
// receive into 64 KiB, which together take as long as the rest of the boot up to the first command.
func (k *Kernel) LoopbackUp() error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = loopback
	msg.Change = unix.IFF_UP
	msg.Flags = unix.IFF_UP
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	req.AddData(msg)

	fd, err := above(unix.Socket(unix.AF_NETLINK,
		unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Sendto(fd, req.Serialize(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err != nil {
		return err
	}
	// The kernel answers before sendto returns. The answer is struct nlmsghdr, then struct
	// nlmsgerr, which begins with the negative errno.
	var answer [256]byte
	n, err := unix.Read(fd, answer[:])
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return kernel.EIO
	}
	if e := int32(nl.NativeEndian().Uint32(answer[unix.SizeofNlMsghdr:])); e != 0 {
		return kernel.Errno(-e)
	}
	return nil
}

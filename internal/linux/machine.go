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

// LoopbackUp brings up lo by one request. netlink.LinkSetUp would first read a list of all links;
// and package netlink as a whole costs half a megabyte that its sub-package nl does not.
func (k *Kernel) LoopbackUp() error {
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = loopback
	msg.Change = unix.IFF_UP
	msg.Flags = unix.IFF_UP
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	req.AddData(msg)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

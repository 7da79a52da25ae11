package kernel

import "syscall"

// Watchdogs are the machine's watchdogs (Documentation/watchdog/watchdog-api.rst). An open one is fed
// by Write with any byte. Write of "V" and then Close stop it, if its driver lets itself be stopped;
// Close without that leaves it counting, from then on.
type Watchdogs interface {
	// OpenWatchdog opens a watchdog and so starts it, whether or not /dev is mounted. The
	// descriptor is close-on-exec, so that no child can keep it open. EBUSY says that somebody
	// has it: each can be open once. ENOENT says that there is none yet.
	OpenWatchdog(path string) (FD, error)
	// WatchdogSupport is WDIOC_GETSUPPORT. ENOTTY says that fd is no watchdog.
	WatchdogSupport(fd FD) (WatchdogSupport, error)
	// WatchdogControl makes a call of ioctl(2) that takes a number, returns one, or both. What
	// SetTimeout returns is the timeout that was granted. EOPNOTSUPP says that the driver
	// cannot do it, EINVAL that it cannot with this number, and EBUSY of an attempt to stop it
	// that it does not let itself be stopped (nowayout).
	WatchdogControl(fd FD, call WatchdogCall, n int32) (int32, error)
}

// WatchdogSupport is what a driver says of itself (struct watchdog_info).
type WatchdogSupport struct {
	Options  WatchdogOptions
	Identity string
}

// WatchdogOptions are the bits of WatchdogSupport, and those of the status and the boot status.
type WatchdogOptions uint32

// The bits (include/uapi/linux/watchdog.h): as a status, what has happened; as options, what the
// driver can tell or do.
const (
	WatchdogOverheat      WatchdogOptions = 0x1
	WatchdogFanFault      WatchdogOptions = 0x2
	WatchdogExtern1       WatchdogOptions = 0x4
	WatchdogExtern2       WatchdogOptions = 0x8
	WatchdogPowerUnder    WatchdogOptions = 0x10
	WatchdogCardReset     WatchdogOptions = 0x20 // it has reset the machine
	WatchdogPowerOver     WatchdogOptions = 0x40
	WatchdogSetsTimeout   WatchdogOptions = 0x80
	WatchdogMagicClose    WatchdogOptions = 0x100 // Close without a V before does not stop it
	WatchdogPretimeouts   WatchdogOptions = 0x200
	WatchdogKeepAlivePing WatchdogOptions = 0x8000
)

// WatchdogCall is a call of ioctl(2), by its number in include/uapi/linux/watchdog.h.
type WatchdogCall uint8

// The calls. Times are in seconds.
const (
	GetStatus     WatchdogCall = 1
	GetBootStatus WatchdogCall = 2
	GetTemp       WatchdogCall = 3
	SetOptions    WatchdogCall = 4 // takes DisableCard or EnableCard
	KeepAlive     WatchdogCall = 5
	SetTimeout    WatchdogCall = 6
	GetTimeout    WatchdogCall = 7
	SetPretimeout WatchdogCall = 8
	GetPretimeout WatchdogCall = 9
	GetTimeLeft   WatchdogCall = 10
)

// What SetOptions takes.
const (
	DisableCard = 1
	EnableCard  = 2
)

// The errnos that watchdogs have.
const (
	EBUSY      = syscall.EBUSY
	ENODEV     = syscall.ENODEV
	ENOTTY     = syscall.ENOTTY
	ENXIO      = syscall.ENXIO
	EOPNOTSUPP = syscall.EOPNOTSUPP
)

// String returns the name that the call has in that header, without its WDIOC_.
func (c WatchdogCall) String() string {
	names := [...]string{
		GetStatus: "GETSTATUS", GetBootStatus: "GETBOOTSTATUS", GetTemp: "GETTEMP",
		SetOptions: "SETOPTIONS", KeepAlive: "KEEPALIVE", SetTimeout: "SETTIMEOUT",
		GetTimeout: "GETTIMEOUT", SetPretimeout: "SETPRETIMEOUT", GetPretimeout: "GETPRETIMEOUT",
		GetTimeLeft: "GETTIMELEFT",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown"
}

package pid1

import (
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/mountinfo"
)

// Flags of mount(2), from linux/mount.h.
const (
	msNosuid   = 0x2
	msNodev    = 0x4
	msNoexec   = 0x8
	msRelatime = 0x200000
)

// usualMounts are what programs expect to find, parents first.
func usualMounts() []kernel.Mount {
	return []kernel.Mount{
		{Type: "proc", Target: "/proc", Flags: msNosuid | msNodev | msNoexec},
		{Type: "sysfs", Target: "/sys", Flags: msNosuid | msNodev | msNoexec},
		{Type: "devtmpfs", Target: "/dev", Flags: msNosuid, Data: "mode=0755"},
		{
			Type: "devpts", Target: "/dev/pts", Flags: msNosuid | msNoexec,
			Data: "mode=0620,gid=5,ptmxmode=0666",
		},
		{Type: "tmpfs", Target: "/run", Flags: msNosuid | msNodev, Data: "mode=0755"},
	}
}

// mountAll mounts what is missing, never over something that is mounted.
func (in *Init) mountAll() {
	b, err := in.k.Proc("self/mountinfo")
	if err != nil {
		in.warn("mounts = auto: cannot see what is mounted: " + strerror(err))
		return
	}
	mounted := make(map[string]bool)
	for _, m := range mountinfo.Parse(b) {
		mounted[m.Point] = true
	}
	for _, m := range usualMounts() {
		if mounted[m.Target] {
			continue
		}
		if err := in.k.Mount(m); err != nil {
			in.warn("mount " + m.Type + " on " + m.Target + ": " + strerror(err))
		}
	}
}

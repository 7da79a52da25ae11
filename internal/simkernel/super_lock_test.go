package simkernel

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestRemountInTurn: who changes a file system while another makes it read-only, and waits for a
// dead disk, waits too, and what he asks for is what stays.
func TestRemountInTurn(t *testing.T) {
	remount := func(flags uintptr) Step { return Mount{Target: "/data", Flags: flags} }
	for _, test := range []struct {
		name   string
		second Step
		clean  bool
	}{
		{"read-write", remount(remountRW), false},
		{"read-only too", remount(remountRO), true},
		{"the mount alone", remount(remountRO | syscall.MS_BIND), true},
		{"lazy umount", Umount{Target: "/data", Flags: mntDetach}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := disks()
			cfg.Disks = cfg.Disks[:1] // no loop device, which would keep it busy
			cfg.Programs = map[string]Program{
				"/bin/first":  {Steps: []Step{Append{"/data/f", "x"}, remount(remountRO)}},
				"/bin/second": {Steps: []Step{Sleep{time.Second}, test.second, SayErrno{}, Pause{}}},
			}
			for seed := range uint64(20) {
				cfg.Seed = seed
				cfg.Disks[0] = disks().Disks[0]
				m := New(cfg)
				m.At(0, DiskDies{"vda"})
				m.At(10*time.Second, DiskRevives{"vda"})
				m.Boot(func(k kernel.Kernel) int {
					spawn(t, k, "first")
					second := m.find(spawn(t, k, "second")[0])
					until(k, 9*time.Second)
					wantEqual(t, "state while the disk is dead", second.state, Uninterruptible)
					until(k, 11*time.Second)
					wantEqual(t, "state after that", second.state, Sleeping)
					wantEqual(t, "tables", fmt.Sprint(m.auditFiles()), "<nil>")
					m.finish(End{How: TimedOut})
					return 0
				})
				wantEqual(t, "said", m.ConsoleText(), "ok\n")
				wantEqual(t, "clean", m.Disk("vda").Clean(), test.clean)
			}
		})
	}
}

// TestEmergencyRemountOneByOne: the dead disk of one file system does not keep another one busy.
func TestEmergencyRemountOneByOne(t *testing.T) {
	cfg := disks()
	cfg.Disks = []*Disk{cfg.Disks[0], {Name: "vde", Type: "ext4"}}
	cfg.Mounts = append(cfg.Mounts, ext4("/dev/vde", "/mnt"))
	cfg.Programs = map[string]Program{"/bin/p": {Steps: []Step{
		Append{"/data/f", "x"}, Sleep{2 * time.Second}, Umount{Target: "/mnt"}, SayErrno{}, Pause{},
	}}}
	m := New(cfg)
	m.At(0, DiskDies{"vda"})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, time.Second)
		m.kworker(m.emergencyRemount())
		until(k, 3*time.Second)
		m.finish(End{How: TimedOut})
		return 0
	})
	wantEqual(t, "said", m.ConsoleText(), "ok\n")
	wantEqual(t, "the dead disk is clean", m.Disk("vda").Clean(), false)
	wantEqual(t, "the other disk is clean", m.Disk("vde").Clean(), true)
}

// TestMountThatFailsUsesNoDisk: the disk is as if nobody had asked.
func TestMountThatFailsUsesNoDisk(t *testing.T) {
	cfg := disks()
	cfg.Disks = []*Disk{cfg.Disks[0], {Name: "vde", Type: "ext4"}}
	m, got := perform(t, cfg, told(ext4("/dev/vde", "/bin/p"))...)
	wantEqual(t, "said", got, "ENOTDIR")
	wantEqual(t, "clean", m.Disk("vde").Clean(), true)
}

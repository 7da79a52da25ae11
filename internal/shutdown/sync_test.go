package shutdown_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// syncs is how often a child was to sync.
func syncs(w *pid1test.World) int {
	n := 0
	for _, c := range w.Called {
		if _, ok := c.Call.(kernel.Sync); ok {
			n++
		}
	}
	return n
}

// TestSync: a child syncs if a file system is mounted that has something to write, after the last
// process is gone and before reboot(2); else there is nothing to wait for.
func TestSync(t *testing.T) {
	const takes = 3 * time.Second
	memory := []string{
		"rootfs", "ramfs", "tmpfs", "devtmpfs", "proc", "sysfs", "devpts", "cgroup", "cgroup2",
		"securityfs", "debugfs", "tracefs", "configfs", "mqueue", "bpf", "hugetlbfs", "pstore",
		"efivarfs", "binfmt_misc", "autofs", "squashfs", "erofs", "cramfs", "romfs", "iso9660",
	}
	disks := []string{
		"ext4", "xfs", "btrfs", "vfat", "ubifs", "jffs2", "f2fs", "overlay", "nfs", "fuse.sshfs",
		"a-type-that-nobody-knows",
	}
	for _, fstype := range append(slices.Clone(memory), disks...) {
		t.Run(fstype, func(t *testing.T) {
			w := boot(t, pid1test.Setup{
				Config:  simkernel.Config{SyncTime: takes},
				Mounts:  []kernel.Mount{{Type: fstype, Target: "/mnt"}},
				Inittab: "::respawn:actor pause\n",
			}, kernel.SIGTERM)
			if slices.Contains(disks, fstype) {
				w.WantEnd(simkernel.Restarted, asked+takes)
			} else {
				w.WantEnd(simkernel.Restarted, asked)
			}
			if n, want := syncs(w), slices.Contains(disks, fstype); (n == 1) != want || n > 1 {
				t.Errorf("syncs: got %d, want one: %t", n, want)
			}
		})
	}
}

// TestAllMountsCount: one disk among many is enough.
func TestAllMountsCount(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Mounts: []kernel.Mount{
			{Type: "proc", Target: "/proc"},
			{Type: "ext4", Target: "/a"},
			{Type: "tmpfs", Target: "/b"},
		},
		Inittab: "::respawn:actor pause\n",
	}, kernel.SIGTERM)
	if n := syncs(w); n != 1 {
		t.Errorf("syncs: got %d, want 1", n)
	}
}

// TestMountsCannotBeSeen: then there may be a disk.
func TestMountsCannotBeSeen(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
	w.At(asked, simkernel.Do(func(m *simkernel.Machine) { m.Fail("Proc", 0, kernel.EIO) }),
		simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	if n := syncs(w); n != 1 {
		t.Errorf("syncs: got %d, want 1", n)
	}
}

// TestSyncThatHangs is not waited for longer than the limit, and it is said.
func TestSyncThatHangs(t *testing.T) {
	for conf, takes := range map[string]time.Duration{
		"":                             30 * time.Second,
		"shutdown.sync_timeout = 2s\n": 2 * time.Second,
		"shutdown.sync_timeout = 0s\n": 0,
	} {
		t.Run(conf, func(t *testing.T) {
			w := boot(t, pid1test.Setup{
				Conf: conf, Config: simkernel.Config{SyncTime: kernel.Never},
				Mounts:  []kernel.Mount{{Type: "ext4", Target: "/mnt"}},
				Inittab: "::respawn:actor pause\n",
			}, kernel.SIGTERM)
			w.WantEnd(simkernel.Restarted, asked+takes)
			w.WantLine("", "sync has not finished after "+takes.String()+": going on without it", 1)
		})
	}
}

// TestSyncThatFails is over.
func TestSyncThatFails(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Mounts: []kernel.Mount{{Type: "ext4", Target: "/mnt"}}, Inittab: "::respawn:actor pause\n",
	})
	w.Fail("Sync", 0, kernel.EIO)
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantEnd(simkernel.Restarted, asked)
}

// TestUnkillableAndHung: the limits add up, and that is all.
func TestUnkillableAndHung(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Config:  simkernel.Config{SyncTime: kernel.Never},
		Mounts:  []kernel.Mount{{Type: "ext4", Target: "/mnt"}},
		Inittab: "::once:actor hang\n::respawn:actor ignore TERM, pause\n",
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked+(5+1+30)*time.Second)
}

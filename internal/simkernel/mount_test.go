package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// disks is a machine with an ext4 on /dev/vda, a loop device on it, and others.
func disks() Config {
	return Config{
		Dirs: []string{"/mnt", "/data", "/net", "/d/sub"},
		Disks: []*Disk{
			{Name: "vda", Type: "ext4", Files: map[string]string{
				"/f": "on disk\n", "/swapfile": swapMagic + "\n", "/sub/x": "",
			}},
			{Name: "vdb", Type: "swap"},
			{Name: "vdc", Type: "ext4", ReadOnly: true},
			{Name: "loop0", Type: "vfat", On: []string{"/data/image"}, Size: 1 << 20},
			{Name: "dm-0", Type: "ext4", On: []string{"vdd"}},
			{Name: "vdd", Type: "ext4"},
			{Name: "server:/export", Type: "nfs"},
		},
		Mounts: []Mount{{Source: "/dev/vda", Target: "/data", Type: "ext4"}},
		Files:  map[string]string{"/data/image": "x"},
	}
}

func ext4(source, target string) Mount { return Mount{Source: source, Target: target, Type: "ext4"} }

const (
	remountRO = syscall.MS_REMOUNT | syscall.MS_RDONLY
	remountRW = syscall.MS_REMOUNT
)

func openRW(path string) Open { return Open{Path: path, Flags: syscall.O_RDWR, FD: 3} }
func openRO(path string) Open { return Open{Path: path, FD: 3} }

// TestMountErrors are what mount(2), umount2(2) and their like say. Only the last step of each is
// told.
func TestMountErrors(t *testing.T) {
	tmpfs := func(target string) Mount { return Mount{Source: "t", Target: target, Type: "tmpfs"} }
	ro := Mount{Target: "/data", Flags: remountRO}
	for _, test := range []struct {
		name  string
		steps []Step
		want  string
	}{
		{"no such type", []Step{Mount{Target: "/mnt", Type: "nosuchfs"}}, "ENODEV"},
		{"no type", []Step{Mount{Target: "/mnt"}}, "ENODEV"},
		{"no such target", []Step{tmpfs("/no")}, "ENOENT"},
		{"target is a file", []Step{tmpfs("/bin/p")}, "ENOTDIR"},
		{"no such device", []Step{ext4("/dev/no", "/mnt")}, "ENOENT"},
		{"not a device", []Step{ext4("/bin/p", "/mnt")}, "ENOTBLK"},
		{"another type", []Step{ext4("/dev/vdb", "/mnt")}, "EINVAL"},
		{"write-protected", []Step{ext4("/dev/vdc", "/mnt")}, "EACCES"},
		{
			"write-protected, read-only",
			[]Step{Mount{"/dev/vdc", "/mnt", "ext4", syscall.MS_RDONLY, ""}},
			"ok",
		},
		{"twice", []Step{ext4("/dev/vda", "/mnt")}, "ok"},
		{"twice at one place", []Step{ext4("/dev/vda", "/data")}, "EBUSY"},
		{
			"twice, and read-only",
			[]Step{Mount{"/dev/vda", "/mnt", "ext4", syscall.MS_RDONLY, ""}},
			"EBUSY",
		},
		{"carries another", []Step{ext4("/dev/vdd", "/mnt")}, "EBUSY"},
		{"is carried", []Step{ext4("/dev/dm-0", "/mnt")}, "ok"},
		{"tmpfs with a wrong option", []Step{Mount{"t", "/mnt", "tmpfs", 0, "sise=1"}}, "EINVAL"},
		{"no such server", []Step{Mount{"who:/x", "/net", "nfs", 0, ""}}, "EINVAL"},
		{"server", []Step{Mount{"server:/export", "/net", "nfs", 0, ""}}, "ok"},

		{"unmount", []Step{Umount{Target: "/data"}}, "ok"},
		{"unmount what is none", []Step{Umount{Target: "/mnt"}}, "EINVAL"},
		{"unmount nothing", []Step{Umount{Target: "/no"}}, "ENOENT"},
		{"unmount with a wrong flag", []Step{Umount{"/data", 0x80}}, "EINVAL"},
		{"unmount the first root", []Step{Umount{Target: "/"}}, "EINVAL"},
		{"unmount below", []Step{tmpfs("/data/sub"), Umount{Target: "/data"}}, "EBUSY"},
		{"unmount with a file open", []Step{openRO("/data/f"), Umount{Target: "/data"}}, "EBUSY"},
		{"unmount with it closed", []Step{
			openRO("/data/f"), Close{3}, Umount{Target: "/data"},
		}, "ok"},
		{"unmount the working directory", []Step{Chdir{"/data/sub"}, Umount{Target: "/data"}}, "EBUSY"},
		{"unmount what is detached", []Step{
			Chroot{"/data"}, Umount{"/", mntDetach}, Umount{"/", mntDetach},
		}, "EINVAL"},
		{"mount on what is detached", []Step{
			Chroot{"/data"}, Umount{"/", mntDetach}, tmpfs("/"),
		}, "EINVAL"},
		{"remount what is detached", []Step{
			Chroot{"/data"}, Umount{"/", mntDetach}, Mount{Target: "/", Flags: remountRO},
		}, "EINVAL"},
		{"bind on what is detached", []Step{
			Chroot{"/data"},
			Umount{"/", mntDetach},
			Mount{Source: "/sub", Target: "/", Flags: syscall.MS_BIND},
		}, "EINVAL"},
		{"move what is detached", []Step{
			Chroot{"/data"},
			Umount{"/", mntDetach},
			Mount{Source: "/", Target: "/sub", Flags: syscall.MS_MOVE},
		}, "EINVAL"},
		{"make private what is detached", []Step{
			Chroot{"/data"}, Umount{"/", mntDetach}, Mount{Target: "/", Flags: syscall.MS_PRIVATE},
		}, "EINVAL"},
		{"unmount the root directory", []Step{Chroot{"/data"}, Umount{Target: "/"}}, "ok"},
		{"and it is read-only then", []Step{
			Chroot{"/data"}, Umount{Target: "/"}, Append{"/f", "x"},
		}, "EROFS"},
		{"unmount what a loop device lies on", []Step{
			Umount{Target: "/data"},
		}, "ok"},
		{"unmount by force", []Step{openRO("/data/f"), Umount{"/data", mntForce}}, "EBUSY"},
		{"unmount lazily", []Step{openRO("/data/f"), Umount{"/data", mntDetach}}, "ok"},
		{"unmount lazily what is below", []Step{
			tmpfs("/data/sub"), Umount{"/data", mntDetach}, Umount{Target: "/data"},
		}, "EINVAL"},
		{"write to what is unmounted lazily", []Step{
			openRW("/data/f"), Umount{"/data", mntDetach}, Write{3, "x"},
		}, "ok"},
		{"mount what is unmounted lazily", []Step{
			openRO("/data/f"), Umount{"/data", mntDetach}, ext4("/dev/vda", "/mnt"),
		}, "ok"},
		{"expire once", []Step{Chdir{"/data"}, Chdir{"/"}, Umount{"/data", mntExpire}}, "EAGAIN"},
		{"expire twice", []Step{
			Chdir{"/data"}, Chdir{"/"}, Umount{"/data", mntExpire}, Umount{"/data", mntExpire},
		}, "ok"},
		{"expire by force", []Step{Umount{"/data", mntExpire | mntForce}}, "EINVAL"},

		{"read-only", []Step{ro}, "ok"},
		{"read-only, not a mount", []Step{Mount{Target: "/mnt", Flags: remountRO}}, "EINVAL"},
		{"read-only with a reader", []Step{openRO("/data/f"), ro}, "ok"},
		{"read-only with a writer", []Step{openRW("/data/f"), ro}, "EBUSY"},
		{"read-only with a reader of what is removed", []Step{
			openRO("/data/f"), Delete{"/data/f"}, ro,
		}, "EBUSY"},
		{"write to what is read-only", []Step{ro, Append{"/data/f", "x"}}, "EROFS"},
		{"make what is there", []Step{ro, Mkdir{Path: "/data/sub"}}, "EEXIST"},
		{"make in what is read-only", []Step{ro, Mkdir{Path: "/data/new"}}, "EROFS"},
		{"remove from what is read-only", []Step{ro, Delete{"/data/f"}}, "EROFS"},
		{"remove nothing from it", []Step{ro, Delete{"/data/no"}}, "EROFS"},
		{"a device on what is read-only", []Step{
			Mknod{Path: "/data/null", Mode: syscall.S_IFCHR, Major: 1, Minor: 3},
			ro,
			Append{"/data/null", "x"},
		}, "ok"},
		{"and back", []Step{
			ro, Mount{Target: "/data", Flags: remountRW}, Append{"/data/f", "x"},
		}, "ok"},
		{"of the mount alone", []Step{
			ext4("/dev/vda", "/mnt"),
			Mount{Target: "/mnt", Flags: remountRO | syscall.MS_BIND},
			Append{"/data/f", "x"},
		}, "ok"},
		{"of the mount alone: through it", []Step{
			ext4("/dev/vda", "/mnt"),
			Mount{Target: "/mnt", Flags: remountRO | syscall.MS_BIND},
			Append{"/mnt/f", "x"},
		}, "EROFS"},
		{"write-protected stays so", []Step{
			Mount{"/dev/vdc", "/mnt", "ext4", syscall.MS_RDONLY, ""},
			Mount{Target: "/mnt", Flags: remountRW},
		}, "EACCES"},

		{"bind", []Step{
			Mount{Source: "/data/sub", Target: "/mnt", Flags: syscall.MS_BIND}, openRO("/mnt/x"),
		}, "ok"},
		{"bind a file on a directory", []Step{
			Mount{Source: "/data/f", Target: "/mnt", Flags: syscall.MS_BIND},
		}, "ENOTDIR"},
		{"bind without what is below", []Step{
			tmpfs("/data/sub"),
			Append{"/data/sub/y", "x"},
			Mount{Source: "/data", Target: "/mnt", Flags: syscall.MS_BIND},
			openRO("/mnt/sub/y"),
		}, "ENOENT"},
		{"bind with what is below", []Step{
			tmpfs("/data/sub"),
			Append{"/data/sub/y", "x"},
			Mount{Source: "/data", Target: "/mnt", Flags: syscall.MS_BIND | syscall.MS_REC},
			openRO("/mnt/sub/y"),
		}, "ok"},
		{"move", []Step{
			Mount{Source: "/data", Target: "/mnt", Flags: syscall.MS_MOVE}, openRO("/mnt/f"),
		}, "ok"},
		{"move away", []Step{
			Mount{Source: "/data", Target: "/mnt", Flags: syscall.MS_MOVE}, openRO("/data/f"),
		}, "ENOENT"},
		{"move below itself", []Step{
			Mount{Source: "/data", Target: "/data/sub", Flags: syscall.MS_MOVE},
		}, "ELOOP"},
		{"move what is no mount", []Step{
			Mount{Source: "/d", Target: "/mnt", Flags: syscall.MS_MOVE},
		}, "EINVAL"},
		{"make private", []Step{Mount{Target: "/data", Flags: syscall.MS_PRIVATE}}, "ok"},
		{"noexec", []Step{
			Mount{Target: "/data", Flags: remountRW | syscall.MS_BIND | syscall.MS_NODEV},
			Mknod{Path: "/data/null", Mode: syscall.S_IFCHR, Major: 1, Minor: 3},
			openRO("/data/null"),
		}, "EACCES"},

		{"cover", []Step{tmpfs("/data"), openRO("/data/f")}, "ENOENT"},
		{"uncover", []Step{tmpfs("/data"), Umount{Target: "/data"}, openRO("/data/f")}, "ok"},
		{"remove a mount point", []Step{tmpfs("/d/sub"), Rmdir{"/d/sub"}}, "EBUSY"},
		{"rename a mount point", []Step{tmpfs("/d/sub"), Rename{"/d/sub", "/d/x"}}, "EBUSY"},
		{"rename what has one", []Step{tmpfs("/d/sub"), Rename{"/d", "/e"}}, "ok"},
		{"rename to another mount", []Step{Rename{"/data/f", "/f"}}, "EXDEV"},
		{"full tmpfs", []Step{
			Mount{"t", "/mnt", "tmpfs", 0, "size=8k"}, Fill{"/mnt/a", 9000},
		}, "ENOSPC"},
		{"tmpfs with just enough room", []Step{
			Mount{"t", "/mnt", "tmpfs", 0, "size=8k"}, Fill{"/mnt/a", 8192},
		}, "ok"},
		{"room after a removal", []Step{
			Mount{"t", "/mnt", "tmpfs", 0, "size=8k"},
			Fill{"/mnt/a", 8192},
			Delete{"/mnt/a"},
			Fill{"/mnt/b", 8192},
		}, "ok"},
		{"full disk", []Step{Fill{"/data/big", 2 << 30}}, "ENOSPC"},

		{"swap", []Step{Swapon{"/dev/vdb"}}, "ok"},
		{"swap twice", []Step{Swapon{"/dev/vdb"}, Swapon{"/dev/vdb"}}, "EBUSY"},
		{"swap on what is mounted", []Step{Swapon{"/dev/vda"}}, "EBUSY"},
		{"swap on what is none", []Step{Swapon{"/dev/vdd"}}, "EBUSY"},
		{"swap on a file", []Step{Swapon{"/data/swapfile"}}, "ok"},
		{"swap on another file", []Step{Swapon{"/data/f"}}, "EINVAL"},
		{"unmount below swap", []Step{Swapon{"/data/swapfile"}, Umount{Target: "/data"}}, "EBUSY"},
		{"swap off", []Step{Swapon{"/dev/vdb"}, Swapoff{"/dev/vdb"}}, "ok"},
		{"swap off twice", []Step{Swapon{"/dev/vdb"}, SwapoffAll{}, Swapoff{"/dev/vdb"}}, "EINVAL"},
		{"swap off, then unmount", []Step{
			Swapon{"/data/swapfile"}, SwapoffAll{}, Umount{Target: "/data"},
		}, "ok"},

		{"detach dm", []Step{Detach{"/dev/dm-0"}}, "ok"},
		{"detach dm while mounted", []Step{ext4("/dev/dm-0", "/mnt"), Detach{"dm-0"}}, "EBUSY"},
		{"detach dm, then mount what it was on", []Step{
			Detach{"dm-0"}, ext4("/dev/vdd", "/mnt"),
		}, "ok"},
		{"detach a disk", []Step{Detach{"vda"}}, "ENXIO"},
		{"open what is detached", []Step{Detach{"dm-0"}, openRO("/dev/dm-0")}, "ENOENT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got := perform(t, disks(), append(test.steps, SayErrno{})...)
			if got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// TestLoopDevice keeps what it lies on busy, and goes when it is not used any more.
func TestLoopDevice(t *testing.T) {
	cfg := disks()
	cfg.Disks[0].Files["/image"] = "an image"
	cfg.Mounts = append(cfg.Mounts, Mount{Type: "sysfs", Target: "/sys"})
	_, got := perform(t, cfg, told(
		Mount{"/dev/loop0", "/mnt", "vfat", 0, ""},
		Umount{Target: "/data"}, // the image is open
		Cat{"/sys/block/loop0/loop/backing_file"},
		Detach{"loop0"}, // when it is unmounted
		openRO("/dev/loop0"),
		Close{3},
		Umount{Target: "/mnt"},
		openRO("/dev/loop0"),
		Umount{Target: "/data"},
	)...)
	wantEqual(t, "said", got, "ok EBUSY /data/image ok ok ok ok ok ENOENT ok")
}

func TestProcMounts(t *testing.T) {
	cfg := disks()
	m, _ := perform(t, cfg,
		Mount{Type: "proc", Source: "proc", Target: "/mnt", Flags: syscall.MS_NOSUID | syscall.MS_NODEV},
		Mkdir{Path: "/d/a b#\\"},
		Mount{"s p#", "/d/a b#\\", "tmpfs", syscall.MS_NOATIME, "size=1m,mode=755"},
		Mount{Source: "/data/sub", Target: "/net", Flags: syscall.MS_BIND},
		Mount{"cover", "/data", "tmpfs", syscall.MS_RDONLY | syscall.MS_NOEXEC, ""},
		Mount{Target: "/net", Flags: remountRO | syscall.MS_BIND},
	)
	text, e := m.proc(m.init, "mounts")
	wantEqual(t, "errno", e, 0)
	wantEqual(t, "mounts", text, `rootfs / rootfs rw 0 0
/dev/vda /data ext4 rw,relatime 0 0
proc /mnt proc rw,nosuid,nodev,relatime 0 0
s\040p\043 /d/a\040b#\134 tmpfs rw,noatime,size=1024k,mode=755 0 0
/dev/vda /net ext4 ro,relatime 0 0
cover /data tmpfs ro,noexec,relatime 0 0
`)
	text, _ = m.proc(m.init, "self/mountinfo")
	wantEqual(t, "mountinfo", text, `1 1 0:2 / / rw - rootfs rootfs rw
22 1 254:0 / /data rw,relatime - ext4 /dev/vda rw
23 1 0:4 / /mnt rw,nosuid,nodev,relatime - proc proc rw
24 1 0:5 / /d/a\040b#\134 rw,noatime - tmpfs s\040p\043 rw,size=1024k,mode=755
25 1 254:0 /sub /net ro,relatime - ext4 /dev/vda rw
26 22 0:6 / /data ro,noexec,relatime - tmpfs cover ro
`)
}

// TestUmountAll is what a usual shutdown entry does.
func TestUmountAll(t *testing.T) {
	cfg := disks()
	cfg.Mounts = append(cfg.Mounts, Mount{Type: "proc", Source: "proc", Target: "/net"})
	for _, test := range []struct {
		name  string
		steps []Step
		said  string
		clean bool
		left  []string
	}{
		{"all", []Step{UmountAll{}}, "EINVAL", true, []string{"/", "/net"}},
		{
			"one is busy",
			[]Step{Chdir{"/data"}, UmountAll{}},
			"EINVAL", false,
			[]string{"/", "/data", "/net"},
		},
		{
			"it becomes read-only",
			[]Step{Chdir{"/data"}, UmountAll{ReadOnly: true}},
			"EINVAL", true,
			[]string{"/", "/data", "/net"},
		},
		{
			"it cannot",
			[]Step{openRW("/data/f"), UmountAll{ReadOnly: true}},
			"EINVAL", false,
			[]string{"/", "/data", "/net"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := disks()
			c.Mounts = cfg.Mounts
			c.Disks = c.Disks[:1] // no loop device, which would keep it busy
			m, got := perform(t, c, append(test.steps, SayErrno{}, Pause{})...)
			wantEqual(t, "said", got, test.said)
			wantEqual(t, "clean", m.Disk("vda").Clean(), test.clean)
			var left []string
			for _, mnt := range m.mounts {
				path, _ := m.pathOf(m.fs.root, place{mnt, mnt.root})
				left = append(left, path)
			}
			slices.Sort(left)
			wantEqual(t, "left", left, test.left)
		})
	}
}

// TestRootOnDisk: the first file system cannot be seen any more, and the last thing that can be
// done to the root is to make it read-only.
func TestRootOnDisk(t *testing.T) {
	m, got := perform(t, Config{
		Disks:  []*Disk{{Name: "sda2", Type: "ext4", Files: map[string]string{"/etc/f": "disk"}}},
		Mounts: []Mount{{Source: "/dev/sda2", Target: "/", Type: "ext4"}},
		Files:  map[string]string{"/etc/f": "configured", "/etc/g": "configured"},
	}, Cat{"/etc/f"}, Say{}, Cat{"/etc/g"}, Say{}, Append{"/etc/g", "!"}, Append{"/dev/null", "x"},
		SayErrno{}, Umount{Target: "/"}, SayErrno{}, Umount{Target: "/"}, SayErrno{}, Append{"/etc/g", "!"},
		SayErrno{})
	wantEqual(t, "said", got, "configured configured ok ok ok EROFS")
	text, _ := m.proc(m.init, "mounts")
	wantEqual(t, "mounts", text, "/dev/sda2 / ext4 ro,relatime 0 0\n"+
		"devtmpfs /dev devtmpfs rw,relatime,size=245760k,nr_inodes=61440 0 0\n")
	wantEqual(t, "clean", m.Disk("sda2").Clean(), true)
}

// TestHolders are found by what proc shows.
func TestHolders(t *testing.T) {
	m := New(disks())
	for _, p := range []string{"cwd", "file", "not"} {
		step := map[string]Step{"cwd": Chdir{"/data/sub"}, "file": openRO("/data/f"), "not": Chdir{"/"}}
		Install{"/bin/" + p, Program{Steps: []Step{step[p], Pause{}}}}.act(m)
	}
	m.Boot(func(k kernel.Kernel) int {
		pids := spawn(t, k, "cwd", "not", "file")
		until(k, time.Second)
		wantEqual(t, "holders", m.Holders("/data"), []kernel.PID{pids[0], pids[2]})
		var seen []string
		for _, f := range []string{"/3/cwd", "/5/fd/3", "/3/root"} {
			target, _, e := procFS{}.readlink(m, nil, f[1:])
			seen = append(seen, target+errnoName(e))
		}
		wantEqual(t, "links", seen, []string{"/data/subok", "/data/fok", "/ok"})
		m.finish(End{})
		return 0
	})
}

// TestDevices that appear are in all the places where devices are.
func TestDevices(t *testing.T) {
	m := New(Config{Dirs: []string{"/dev2"}, Programs: programs(map[string][]Step{"p": told(
		Mount{Type: "devtmpfs", Target: "/dev2"}, openRO("/dev2/ttyS0"), openRO("/dev2/null"),
		openRO("/dev2/vdz"), Sleep{2 * time.Second}, openRO("/dev2/vdz"), openRO("/dev/vdz"),
		openRO("/dev2/tty9"), openRO("/dev/tty9"), Umount{Target: "/dev2"}, Close{3},
		Umount{Target: "/dev2"}, Mount{Type: "devtmpfs", Target: "/dev2"}, openRO("/dev2/vdz"),
	)})})
	m.At(time.Second, Plug{&Disk{Name: "vdz"}}, OpenFails{TTY: "/dev/tty9"})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, 3*time.Second)
		m.finish(End{})
		return 0
	})
	wantEqual(t, "said", strings.Join(strings.Fields(m.ConsoleText()), " "),
		"ok ok ok ENOENT ENOENT ok ok ok ok ok ok EINVAL ok ok")
}

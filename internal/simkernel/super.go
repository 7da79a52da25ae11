package simkernel

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// fsType is a type of file system.
type fsType struct {
	name   string
	noDev  bool // needs no device: "nodev" in /proc/filesystems
	single bool // there is but one, however often it is mounted
	// network lies on a server, whose disk has the name of the source.
	network bool
	// shown are the options that it shows by itself.
	shown string
	// recovers is what the kernel says of one that was not unmounted; %s is the device.
	recovers string
}

// fsTypes are the types of a kernel with the usual drivers, in the order of /proc/filesystems.
var fsTypes = [...]fsType{
	{name: "sysfs", noDev: true, single: true},
	{name: "rootfs", noDev: true, single: true},
	{name: "tmpfs", noDev: true},
	{name: "bdev", noDev: true},
	{name: "proc", noDev: true},
	{name: "cgroup", noDev: true},
	{name: "cgroup2", noDev: true, single: true},
	{name: "devtmpfs", noDev: true, single: true, shown: ",size=245760k,nr_inodes=61440"},
	{name: "debugfs", noDev: true, single: true},
	{name: "tracefs", noDev: true, single: true},
	{name: "securityfs", noDev: true, single: true},
	{name: "configfs", noDev: true, single: true},
	{name: "sockfs", noDev: true},
	{name: "bpf", noDev: true},
	{name: "pipefs", noDev: true},
	{name: "ramfs", noDev: true},
	{name: "hugetlbfs", noDev: true},
	{name: "devpts", noDev: true},
	{name: "mqueue", noDev: true, single: true},
	{name: pstoreType, noDev: true, single: true},
	{name: "efivarfs", noDev: true, single: true},
	{name: "autofs", noDev: true},
	{name: "ext4", recovers: "EXT4-fs (%s): recovery complete"},
	{name: "xfs", recovers: "XFS (%s): Ending recovery (logdev: internal)"},
	{
		name: "vfat",
		recovers: "FAT-fs (%s): Volume was not properly unmounted. " +
			"Some data may be corrupt. Please run fsck.",
	},
	{name: "squashfs"},
	{name: "iso9660"},
	{name: "overlay", noDev: true},
	{name: "fuseblk"},
	{name: "fuse", noDev: true, network: true},
	{name: "fusectl", noDev: true, single: true},
	{name: "nfs", noDev: true, network: true},
	{name: "nfs4", noDev: true, network: true},
	{name: "cifs", noDev: true, network: true},
	{name: "9p", noDev: true, network: true},
}

// fsTypeOf finds a type. "fuse.sshfs" is a fuse by another name (fs/fs_context.c).
func fsTypeOf(name string) (t fsType, ok bool) {
	base, _, _ := strings.Cut(name, ".")
	for i := range fsTypes {
		if fsTypes[i].name == base {
			t = fsTypes[i]
			t.name = name
			return t, true
		}
	}
	return t, false
}

// superblock is a file system that is in use.
type superblock struct {
	typ      fsType
	dev      devID
	source   string
	root     *node
	disk     *Disk    // that it lies on
	virtual  provider // proc and sysfs
	readOnly bool
	size     int64  // in blocks; 0 is without bounds
	used     int64  // in blocks
	options  string // as /proc/mounts shows them, with a comma before each
	mounts   int
	locked   bool // s_umount, by who makes it read-only and waits for its disk
	waiters  []waiter
}

// room is how many blocks are free.
func (s *superblock) room() int64 {
	if s.size == 0 {
		return 1 << 50
	}
	return s.size - s.used
}

// newSuper makes a file system in memory, with a root and nothing else.
func (m *Machine) newSuper(t fsType, source string) *superblock {
	s := &superblock{typ: t, source: source, options: t.shown}
	m.anonymous++
	s.dev = devID{0, firstAnonymous + m.anonymous}
	s.root = m.newNode("", kindDir, 0o755)
	s.root.fs = s
	return s
}

// firstAnonymous is the number of devices that the kernel's own file systems have.
const firstAnonymous = 1

// superFor finds or makes the file system of a mount (fs/super.c, get_tree_*).
func (m *Machine) superFor(p *process, a Mount) (*superblock, *ioWait, kernel.Errno) {
	t, ok := fsTypeOf(a.Type)
	if !ok {
		return nil, nil, syscall.ENODEV
	}
	if t.single {
		for _, s := range m.singles {
			if s.typ.name == t.name {
				if t.name == pstoreType {
					m.pstoreOptions(s, a.Data)
				}
				return s, nil, 0
			}
		}
	}
	if t.noDev && !t.network {
		s := m.newSuper(t, a.Source)
		s.readOnly = a.Flags&syscall.MS_RDONLY != 0
		if t.name == pstoreType {
			m.pstoreOptions(s, a.Data)
		} else if e := s.parse(a.Data); e != 0 {
			return nil, nil, e
		}
		m.furnish(s)
		if t.single {
			m.singles = append(m.singles, s)
		}
		return s, nil, 0
	}
	d, e := m.diskFor(p, t, a)
	if e != 0 {
		return nil, nil, e
	}
	return m.superOn(d, t, a)
}

// diskFor finds the disk to mount.
func (m *Machine) diskFor(p *process, t fsType, a Mount) (*Disk, kernel.Errno) {
	if t.network {
		d := m.Disk(a.Source)
		if d == nil {
			return nil, syscall.EINVAL
		}
		return d, 0
	}
	if a.Source == "" {
		return nil, kernel.EINVAL
	}
	at, e := m.walk(p, a.Source, followLast)
	switch {
	case e != 0:
		return nil, e
	case at.node.kind != kindBlock:
		return nil, syscall.ENOTBLK
	case at.mnt.flags&syscall.MS_NODEV != 0:
		return nil, syscall.EACCES
	}
	d := m.diskOf(at.node.device)
	if d == nil {
		return nil, syscall.ENXIO
	}
	return d, 0
}

// superOn is the file system of a disk.
func (m *Machine) superOn(d *Disk, t fsType, a Mount) (*superblock, *ioWait, kernel.Errno) {
	readOnly := a.Flags&syscall.MS_RDONLY != 0
	switch {
	case d.swap != nil || m.heldBy(d) != "":
		return nil, nil, syscall.EBUSY
	case d.super != nil && d.super.typ.name != t.name:
		return nil, nil, syscall.EBUSY
	case d.super != nil && d.super.readOnly != readOnly:
		return nil, nil, syscall.EBUSY
	case d.super != nil:
		return d.super, nil, 0
	case !t.network && d.Type != t.name:
		return nil, nil, kernel.EINVAL // no such superblock on it
	case d.ReadOnly && !readOnly:
		return nil, nil, syscall.EACCES
	}
	s := m.newSuper(t, a.Source)
	if !t.network {
		s.dev = m.deviceOf(d)
	}
	s.disk, s.readOnly = d, readOnly
	if e := s.parse(a.Data); e != 0 {
		return nil, nil, e
	}
	s.size = d.size() / block
	m.readTree(s)
	d.super = s
	if d.unclean && t.recovers != "" {
		defer m.in(t.name)()
		m.printk(kernel.Info, strings.Replace(t.recovers, "%s", d.Name, 1))
	}
	if !readOnly {
		d.unclean = true
	} else if !d.ReadOnly && d.unclean && t.name == "ext4" {
		d.unclean = false // the journal is played back even so
	}
	// A dead disk does not even say what is on it.
	return s, &ioWait{disks: []diskWait{{d, d.wanted}}}, 0
}

// readTree makes the tree of what stands on a disk.
func (m *Machine) readTree(s *superblock) {
	paths := make([]string, 0, len(s.disk.stored))
	for p := range s.disk.stored {
		paths = append(paths, p)
	}
	slices.Sort(paths) // a directory before what is in it
	for _, p := range paths {
		st := s.disk.stored[p]
		n := m.makePath(s.root, p, st.kind, st.mode)
		n.uid, n.gid, n.target, n.device = st.uid, st.gid, st.target, st.device
		n.content, n.size = slices.Clone(st.content), st.size
		if n.kind == kindFile {
			s.used += n.takes()
		}
	}
}

// parse reads the options of a file system. Those that it does not know are kept as they are.
func (s *superblock) parse(data string) kernel.Errno {
	var given []string
	for opt := range strings.SplitSeq(data, ",") {
		key, value, _ := strings.Cut(opt, "=")
		switch key {
		case "":
			continue
		case "mode":
			mode, err := strconv.ParseUint(value, 8, 12)
			if err != nil {
				return kernel.EINVAL
			}
			if s.root != nil && s.typ.name != "devpts" {
				s.root.mode = uint16(mode)
			}
			opt = "mode=" + strconv.FormatUint(mode, 8)
		case "size":
			n, ok := memparse(value)
			if !ok {
				return kernel.EINVAL
			}
			s.size = blocks(n)
			opt = "size=" + strconv.FormatInt(s.size*block/1024, 10) + "k"
		case "gid", "uid", "ptmxmode", "nr_inodes":
		default:
			if s.typ.name == "tmpfs" {
				return kernel.EINVAL
			}
		}
		given = append(given, opt)
	}
	if s.typ.name == "tmpfs" {
		slices.SortStableFunc(given, func(a, b string) int { return tmpfsOrder(a) - tmpfsOrder(b) })
	}
	for _, opt := range given {
		s.options += "," + opt
	}
	return 0
}

// tmpfsOrder is where tmpfs shows an option (mm/shmem.c, shmem_show_options).
func tmpfsOrder(opt string) int {
	key, _, _ := strings.Cut(opt, "=")
	return slices.Index([]string{"size", "nr_inodes", "mode", "uid", "gid"}, key)
}

// memparse reads a size with its letter (lib/cmdline.c, memparse). A percentage is of memory.
func memparse(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	shift := strings.IndexByte("kmgt", s[len(s)-1]|0x20)
	if shift >= 0 {
		s = s[:len(s)-1]
	}
	if percent, ok := strings.CutSuffix(s, "%"); ok {
		n, err := strconv.ParseInt(percent, 10, 64)
		return n * memTotal / 100, err == nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n << (10 * (shift + 1)), err == nil && n >= 0
}

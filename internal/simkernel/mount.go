package simkernel

import (
	"slices"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Mount is a call of mount(2): a step of a program, and in Config what is mounted before PID 1
// runs.
type Mount struct {
	Source, Target, Type string
	Flags                uintptr // MS_*
	Data                 string
}

// mount is a mounted file system (fs/mount.h).
type mount struct {
	id       int
	parent   *mount // nil: of the first
	at       *node  // on which it stands, in the parent
	root     *node
	fs       *superblock
	flags    uintptr // those of MS_* that a mount has by itself
	source   string
	attached bool // to the tree of mounts
	used     bool // something was opened through it, or made a working directory
	children int
	// What PID 1 has asked for.
	asked  kernel.Mount
	byInit bool
}

func (mnt *mount) readOnly() bool { return mnt.flags&syscall.MS_RDONLY != 0 }

// Flags of mount(2) that package syscall does not name (include/uapi/linux/mount.h).
const (
	msNosymfollow = 1 << 8
	msLazytime    = 1 << 25
	msOfMount     = syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC |
		syscall.MS_NOATIME | syscall.MS_NODIRATIME | syscall.MS_RELATIME | msNosymfollow
	msPropagation = syscall.MS_SHARED | syscall.MS_PRIVATE | syscall.MS_SLAVE |
		syscall.MS_UNBINDABLE
)

// firstID is the number of the first mount that is not the kernel's own.
const firstID = 22

// mountedOn is the mount that stands on a place, or nil.
func (m *Machine) mountedOn(at place) *mount {
	if at.node.mounts == 0 {
		return nil
	}
	for _, mnt := range m.mounts {
		if mnt.parent == at.mnt && mnt.at == at.node {
			return mnt
		}
	}
	return nil
}

// mount is mount(2) (fs/namespace.c, path_mount). What it returns is to be waited for.
func (m *Machine) mount(p *process, a Mount) (*ioWait, kernel.Errno) {
	at, e := m.walk(p, a.Target, followLast)
	switch {
	case e != 0:
		return nil, e
	case p != nil && !p.capable(CapSysAdmin):
		return nil, kernel.EPERM
	case a.Flags&syscall.MS_REMOUNT != 0:
		if p == m.init {
			return m.remount(at, a) // PID 1's calls wait for no disk
		}
		return at.mnt.fs.exclusively(func() (*ioWait, kernel.Errno) { return m.remount(at, a) })
	case a.Flags&syscall.MS_BIND != 0:
		return nil, m.bind(p, at, a)
	case a.Flags&msPropagation != 0:
		return nil, m.propagate(at)
	case a.Flags&syscall.MS_MOVE != 0:
		return nil, m.move(p, at, a)
	}
	return m.mountNew(p, at, a)
}

// mountNew mounts a file system (fs/namespace.c, do_new_mount).
func (m *Machine) mountNew(p *process, at place, a Mount) (*ioWait, kernel.Errno) {
	fs, io, e := m.superFor(p, a)
	if e != 0 {
		return nil, e
	}
	graft := func() (*ioWait, kernel.Errno) {
		if e := mayGraft(at, fs, fs.root); e != 0 {
			m.unused(fs)
			return nil, e
		}
		m.graft(at, fs, a)
		return nil, 0
	}
	if io == nil {
		return graft()
	}
	io.next = graft
	return io, 0
}

// unused ends a file system that a mount has found and not used, unless somebody else uses it.
func (m *Machine) unused(fs *superblock) {
	if fs.disk != nil && fs.mounts == 0 && !slices.Contains(m.lazy, fs) {
		m.kworker(m.shutDown(fs))
	}
}

// mayGraft says whether a tree can be mounted on a place (fs/namespace.c, do_add_mount).
func mayGraft(at place, fs *superblock, root *node) kernel.Errno {
	switch {
	case at.node.gone:
		return kernel.ENOENT
	case !at.mnt.attached:
		return kernel.EINVAL // somebody has unmounted it (fs/mount.h, check_mnt)
	case at.node == at.mnt.root && at.node == root && at.mnt.fs == fs:
		return syscall.EBUSY
	case (at.node.kind == kindDir) != (root.kind == kindDir):
		return kernel.ENOTDIR
	}
	return 0
}

// graft puts a mount of a file system on a place, over what is there.
func (m *Machine) graft(at place, fs *superblock, a Mount) *mount {
	flags := a.Flags & msOfMount
	if flags&syscall.MS_NOATIME == 0 && a.Flags&syscall.MS_STRICTATIME == 0 {
		flags |= syscall.MS_RELATIME
	}
	mnt := &mount{root: fs.root, fs: fs, flags: flags, source: a.Source}
	m.attach(mnt, at)
	return mnt
}

func (m *Machine) attach(mnt *mount, at place) {
	// Somebody may have been quicker, while the disk was read.
	at = m.onto(at)
	mnt.parent, mnt.at, mnt.attached = at.mnt, at.node, true
	mnt.id = m.freeMountID()
	at.node.mounts++
	at.mnt.children++
	mnt.fs.mounts++
	m.mounts = append(m.mounts, mnt)
}

// freeMountID is the lowest number that no mount has.
func (m *Machine) freeMountID() int {
	id := firstID
	for slices.ContainsFunc(m.mounts, func(o *mount) bool { return o.id == id }) {
		id++
	}
	return id
}

// bind is MS_BIND (fs/namespace.c, do_loopback).
func (m *Machine) bind(p *process, at place, a Mount) kernel.Errno {
	from, e := m.walk(p, a.Source, followLast)
	switch {
	case e != 0:
		return e
	case !at.mnt.attached || !from.mnt.attached:
		return kernel.EINVAL
	case (at.node.kind == kindDir) != (from.node.kind == kindDir):
		return kernel.ENOTDIR
	}
	var below []*mount
	if a.Flags&syscall.MS_REC != 0 {
		below = m.subtree(from.mnt)
	}
	top := m.cloneMount(from.mnt, from.node, at)
	clones := map[*mount]*mount{from.mnt: top}
	for _, mnt := range below {
		parent := clones[mnt.parent]
		if mnt == from.mnt || parent == nil || mnt.parent == from.mnt && !mnt.at.within(from.node) {
			continue
		}
		clones[mnt] = m.cloneMount(mnt, mnt.root, place{parent, mnt.at})
	}
	return 0
}

// cloneMount makes a second mount of what a mount shows (fs/namespace.c, clone_mnt).
func (m *Machine) cloneMount(of *mount, root *node, at place) *mount {
	mnt := &mount{root: root, fs: of.fs, flags: of.flags, source: of.source}
	m.attach(mnt, at)
	return mnt
}

// within reports whether a file is in a directory, or is it.
func (n *node) within(dir *node) bool {
	for ; n != nil; n = n.parent {
		if n == dir {
			return true
		}
	}
	return false
}

// subtree is a mount and those that stand on it, parents first.
func (m *Machine) subtree(top *mount) []*mount {
	in := []*mount{top}
	for _, mnt := range m.mounts {
		for at := mnt.parent; at != nil; at = at.parent {
			if at == top {
				in = append(in, mnt)
				break
			}
		}
	}
	return in
}

// propagate is MS_PRIVATE and its like. There is but one namespace of mounts, so nothing changes.
func (m *Machine) propagate(at place) kernel.Errno {
	if at.node != at.mnt.root || !at.mnt.attached {
		return kernel.EINVAL
	}
	return 0
}

// move is MS_MOVE (fs/namespace.c, do_move_mount).
func (m *Machine) move(p *process, at place, a Mount) kernel.Errno {
	from, e := m.walk(p, a.Source, followLast)
	switch {
	case e != 0:
		return e
	case from.node != from.mnt.root || from.mnt.parent == nil,
		!from.mnt.attached, !at.mnt.attached:
		return kernel.EINVAL
	case (at.node.kind == kindDir) != (from.node.kind == kindDir):
		return kernel.EINVAL
	}
	for up := at.mnt; up != nil; up = up.parent {
		if up == from.mnt {
			return syscall.ELOOP
		}
	}
	mnt := from.mnt
	mnt.parent.children--
	mnt.at.mounts--
	mnt.parent, mnt.at = at.mnt, at.node
	at.mnt.children++
	at.node.mounts++
	return 0
}

// remount is MS_REMOUNT: of the mount alone with MS_BIND (fs/namespace.c, do_reconfigure_mnt),
// else of the file system (do_remount, fs/super.c, reconfigure_super).
func (m *Machine) remount(at place, a Mount) (*ioWait, kernel.Errno) {
	mnt, fs := at.mnt, at.mnt.fs
	if at.node != mnt.root || !mnt.attached {
		return nil, kernel.EINVAL
	}
	flags := a.Flags & msOfMount
	if flags&syscall.MS_NOATIME == 0 && a.Flags&syscall.MS_STRICTATIME == 0 {
		flags |= syscall.MS_RELATIME
	}
	readOnly := a.Flags&syscall.MS_RDONLY != 0
	if a.Flags&syscall.MS_BIND != 0 {
		if readOnly && !mnt.readOnly() && m.written(mnt, nil) {
			return nil, syscall.EBUSY
		}
		mnt.flags = flags
		return nil, 0
	}
	switch {
	case !readOnly && fs.disk != nil && fs.disk.ReadOnly:
		return nil, syscall.EACCES
	case readOnly && !fs.readOnly && m.written(nil, fs):
		return nil, syscall.EBUSY
	}
	if e := fs.reparse(a.Data); e != 0 {
		return nil, e
	}
	mnt.flags = flags
	return m.setReadOnly(fs, readOnly), 0
}

// reparse takes the options of a remount in place of the old ones.
func (s *superblock) reparse(data string) kernel.Errno {
	if data == "" {
		return 0
	}
	before := s.options
	s.options = s.typ.shown
	if e := s.parse(data); e != 0 {
		s.options = before
		return e
	}
	return 0
}

// setReadOnly changes whether a file system can be written to. What is dirty is written first, and
// then it is clean.
func (m *Machine) setReadOnly(fs *superblock, readOnly bool) *ioWait {
	was := fs.readOnly
	fs.readOnly = readOnly
	if fs.disk == nil || was == readOnly {
		return nil
	}
	if !readOnly {
		fs.disk.unclean = true
		return nil
	}
	io := m.writeOut(fs.disk)
	fs.locked = true
	io.then = func() {
		if fs.readOnly {
			fs.disk.unclean = false
		}
		m.unlock(fs)
	}
	return io
}

// written reports whether a mount, or a file system, is open for writing. Files that are open and
// have been removed count too, for their blocks are still to be freed
// (fs/namespace.c, sb_prepare_remount_readonly).
func (m *Machine) written(mnt *mount, fs *superblock) bool {
	return m.anyOpen(func(f *openFile) bool {
		if f.at.node == nil || mnt != nil && f.at.mnt != mnt || fs != nil && f.at.mnt.fs != fs {
			return false
		}
		return f.writes && f.at.node.kind == kindFile || fs != nil && f.at.node.gone
	})
}

// setUpMounts makes the first file system, and what is mounted before PID 1 runs. A root among
// them hides the first one, and then the kernel mounts /dev too (init/do_mounts.c,
// prepare_namespace).
func (m *Machine) setUpMounts() {
	fs := m.newSuper(fsType{name: "rootfs", noDev: true}, "rootfs")
	m.rootMount = &mount{id: 1, root: fs.root, fs: fs, source: "rootfs", attached: true}
	fs.mounts = 1
	m.mounts = append(m.mounts, m.rootMount)
	here := place{m.rootMount, fs.root}
	m.fs = &fsState{root: here, cwd: here}
	if len(m.cfg.Mounts) > 0 {
		m.furnishDev(m.makePath(fs.root, "/dev", kindDir, 0o755))
	}
	for _, a := range m.cfg.Mounts {
		m.mountAtStart(a)
		if strings.Trim(a.Target, "/") == "" {
			here = m.onto(here)
			m.fs = &fsState{root: here, cwd: here}
			if !slices.ContainsFunc(m.cfg.Mounts, func(a Mount) bool { return a.Target == "/dev" }) {
				m.mountAtStart(Mount{Source: "devtmpfs", Target: "/dev", Type: "devtmpfs"})
			}
		}
		m.openBacking()
	}
}

// mountAtStart mounts before PID 1 runs, on a directory that is made if need be. What is wrong with
// it is an error of the test.
func (m *Machine) mountAtStart(a Mount) {
	m.plant(a.Target, kindDir, 0o755)
	io, e := m.mount(nil, a)
	if e == 0 {
		e = io.now()
	}
	if e != 0 {
		panic("simkernel: mount " + a.Target + ": " + e.Error())
	}
}

// plant finds or makes a file by its path, and the directories that it needs. It is not asked who
// may.
func (m *Machine) plant(path string, kind nodeKind, mode uint16) place {
	at := m.fs.root
	for path != "" {
		path = strings.TrimLeft(path, "/")
		name, rest, more := strings.Cut(path, "/")
		path = rest
		if name == "" {
			break
		}
		c := m.lookup(nil, at.node, name)
		switch {
		case c == nil && more:
			c = m.plantIn(at.node, name, kindDir, 0o755)
		case c == nil:
			c = m.plantIn(at.node, name, kind, mode)
		case more && c.kind != kindDir:
			c.kind, c.mode = kindDir, 0o755
		}
		at = m.onto(place{at.mnt, c})
	}
	return at
}

func (m *Machine) plantIn(dir *node, name string, kind nodeKind, mode uint16) *node {
	if dir.fs.disk == nil {
		return m.make(dir, name, kind, mode)
	}
	return m.enter(dir, name, stored{kind: kind, mode: mode})
}

// makePath is plant below the root of a file system that is not mounted yet.
func (m *Machine) makePath(at *node, path string, kind nodeKind, mode uint16) *node {
	for path = strings.Trim(path, "/"); path != ""; {
		name, rest, more := strings.Cut(path, "/")
		path = rest
		c := at.child(name)
		switch {
		case c == nil && more:
			c = m.make(at, name, kindDir, 0o755)
		case c == nil:
			c = m.make(at, name, kind, mode)
		}
		at = c
	}
	return at
}

// Mount is what PID 1 mounts. The kernel's own file systems need no device; one of another type,
// known or not, lies on an empty disk of the same name if there is none.
func (k *pid1Calls) Mount(mt kernel.Mount) error {
	if e := k.enter(callMount); e != 0 {
		return e
	}
	m := k.m
	if _, e := m.walk(m.init, mt.Target, followLast); e == kernel.ENOENT {
		if _, e := m.create(m.init, mt.Target, stored{kind: kindDir, mode: 0o755}); e != 0 {
			return e
		}
	}
	a := Mount{mt.Type, mt.Target, mt.Type, mt.Flags, mt.Data}
	io, e := m.mountForInit(a)
	if e == 0 {
		e = io.now()
	}
	if e != 0 {
		return e
	}
	mnt := m.mounts[len(m.mounts)-1]
	if mnt.byInit || mt.Flags&(syscall.MS_REMOUNT|syscall.MS_MOVE|msPropagation) != 0 {
		return nil
	}
	mnt.asked, mnt.byInit = mt, true
	mnt.asked.Target, _ = m.pathOf(m.fs.root, place{mnt, mnt.root})
	return nil
}

// mountForInit is mount, but it finds a disk for everything.
func (m *Machine) mountForInit(a Mount) (*ioWait, kernel.Errno) {
	t, known := fsTypeOf(a.Type)
	if known && t.noDev && !t.network {
		return m.mount(m.init, a)
	}
	at, e := m.walk(m.init, a.Target, followLast)
	if e != 0 {
		return nil, e
	}
	t.name = a.Type
	d := m.Disk(a.Type)
	if d == nil {
		d = &Disk{Name: a.Type, Type: a.Type}
		d.attach(m)
		m.disks = append(m.disks, d)
	}
	fs, _, e := m.superOn(d, t, a)
	if e == 0 {
		e = mayGraft(at, fs, fs.root)
	}
	if e == 0 {
		m.graft(at, fs, a)
	}
	return nil, e
}

// Mounted returns what PID 1 has mounted, in order.
func (m *Machine) Mounted() []kernel.Mount {
	var mounted []kernel.Mount
	for _, mnt := range m.mounts {
		if mnt.byInit {
			mounted = append(mounted, mnt.asked)
		}
	}
	return mounted
}

package simkernel

import (
	"slices"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Flags of umount2(2) that package syscall does not name (include/linux/fs.h).
const (
	mntForce       = 1
	mntDetach      = 2
	mntExpire      = 4
	umountNofollow = 8
)

// umount is umount2(2) (fs/namespace.c, path_umount). The mount is gone at once; what is returned,
// the writing of what is dirty, is to be waited for.
func (m *Machine) umount(p *process, target string, flags int) (*ioWait, kernel.Errno) {
	if flags&^(mntForce|mntDetach|mntExpire|umountNofollow) != 0 {
		return nil, kernel.EINVAL
	}
	follow := followLast
	if flags&umountNofollow != 0 {
		follow = noFollow
	}
	at, e := m.walk(p, target, follow)
	switch {
	case e != 0:
		return nil, e
	case p != nil && !p.capable(CapSysAdmin):
		return nil, kernel.EPERM
	case at.node != at.mnt.root || !at.mnt.attached:
		return nil, kernel.EINVAL // not mounted there, or no more (fs/namespace.c, can_umount)
	case at.mnt == m.rootMount:
		return nil, kernel.EINVAL // it is locked (fs/namespace.c, init_mount_tree)
	case flags&mntExpire != 0:
		return m.expire(at.mnt, flags)
	}
	mnt := at.mnt
	if flags&mntForce != 0 && mnt.fs.typ.network {
		m.abort(mnt.fs.disk)
	}
	if at == m.fsOf(p).root && flags&mntDetach == 0 {
		return mnt.fs.exclusively(func() (*ioWait, kernel.Errno) { return m.umountRoot(mnt.fs) })
	}
	if flags&mntDetach != 0 {
		return m.detach(m.subtree(mnt)), 0
	}
	if m.busy(mnt) {
		return nil, syscall.EBUSY
	}
	return m.detach([]*mount{mnt}), 0
}

// umountRoot makes the root read-only instead (fs/namespace.c, do_umount_root).
func (m *Machine) umountRoot(fs *superblock) (*ioWait, kernel.Errno) {
	switch {
	case fs.readOnly:
		return nil, 0
	case m.written(nil, fs):
		return nil, syscall.EBUSY
	}
	return m.setReadOnly(fs, true), 0
}

// expire is MNT_EXPIRE: a mount that is not used is first marked, and the second time unmounted.
func (m *Machine) expire(mnt *mount, flags int) (*ioWait, kernel.Errno) {
	switch {
	case flags&(mntForce|mntDetach) != 0 || mnt == m.fs.root.mnt:
		return nil, kernel.EINVAL
	case m.busy(mnt):
		return nil, syscall.EBUSY
	case mnt.used:
		mnt.used = false
		return nil, kernel.EAGAIN
	}
	return m.detach([]*mount{mnt}), 0
}

// busy reports whether a mount is used: by mounts on it, open files, working and root directories.
func (m *Machine) busy(mnt *mount) bool {
	if mnt.children > 0 {
		return true
	}
	if !mnt.used {
		return false
	}
	return m.anyPlace(func(at place) bool { return at.mnt == mnt })
}

// anyPlace reports whether a place that somebody holds is such: a look at all processes, so it is
// only for what is rare.
func (m *Machine) anyPlace(such func(place) bool) bool {
	if m.anyOpen(func(f *openFile) bool { return such(f.at) }) ||
		such(m.fs.cwd) || such(m.fs.root) {
		return true
	}
	for p := m.all.first; p != nil; p = p.nextAll {
		if p.state != Zombie && p.fs != nil && (such(p.fs.cwd) || such(p.fs.root)) {
			return true
		}
	}
	return false
}

// anyOpen reports whether there is such an open file.
func (m *Machine) anyOpen(such func(*openFile) bool) bool {
	for _, d := range m.fds {
		if d != nil && such(d.file) {
			return true
		}
	}
	for _, b := range m.backings {
		if such(b.file) {
			return true
		}
	}
	for _, a := range m.swapAreas {
		if such(a.file) {
			return true
		}
	}
	for p := m.all.first; p != nil; p = p.nextAll {
		if p.state == Zombie {
			continue
		}
		for fd := range 3 {
			if f := p.stdio.get(fd); f != nil && such(f) {
				return true
			}
		}
		if p.fs != nil && slices.ContainsFunc(p.fs.files, func(f *openFile) bool {
			return f != nil && such(f)
		}) {
			return true
		}
	}
	return false
}

// detach takes mounts from the tree (fs/namespace.c, umount_tree). What is still open in them
// stays so, and keeps the file system.
func (m *Machine) detach(mounts []*mount) *ioWait {
	var io *ioWait
	for _, mnt := range slices.Backward(mounts) {
		mnt.attached = false
		mnt.parent.children--
		mnt.at.mounts--
		m.mounts = slices.DeleteFunc(m.mounts, func(o *mount) bool { return o == mnt })
		mnt.fs.mounts--
		if mnt == mounts[0] {
			mnt.parent, mnt.at = nil, nil
		}
		if mnt.fs.mounts > 0 {
			continue
		}
		if m.anyPlace(func(at place) bool { return at.mnt != nil && at.mnt.fs == mnt.fs }) {
			m.lazy = append(m.lazy, mnt.fs)
			continue
		}
		io = io.and(m.shutDown(mnt.fs))
	}
	return io
}

// shutDown ends a file system that is mounted nowhere (fs/super.c, generic_shutdown_super).
func (m *Machine) shutDown(fs *superblock) *ioWait {
	if fs.typ.name == pstoreType {
		m.pstoreUnmounted(fs)
	}
	if fs.disk == nil {
		return nil
	}
	d := fs.disk
	io := m.writeOut(d)
	io.behind = []*superblock{fs}
	io.then = func() {
		if fs.mounts > 0 || d.super != fs {
			return // it was mounted once more meanwhile, and may have been unmounted again
		}
		d.super = nil
		if !fs.readOnly {
			d.unclean = false
		}
		if d.goes {
			m.removeDisk(d)
		}
	}
	return io
}

// reapLazy ends the file systems that were unmounted lazily and are not used any more. It is
// called when something has been closed.
func (m *Machine) reapLazy() {
	if len(m.lazy) == 0 {
		return
	}
	m.lazy = slices.DeleteFunc(m.lazy, func(fs *superblock) bool {
		if fs.mounts > 0 {
			return true // it was mounted once more
		}
		if m.anyPlace(func(at place) bool { return at.mnt != nil && at.mnt.fs == fs }) {
			return false
		}
		if io := m.shutDown(fs); io != nil {
			m.kworker(io)
		}
		return true
	})
}

// detachFrom unmounts what stands on a file that is removed.
func (m *Machine) detachFrom(n *node) {
	for n.mounts > 0 {
		i := slices.IndexFunc(m.mounts, func(mnt *mount) bool { return mnt.at == n })
		m.kworker(m.detach(m.subtree(m.mounts[i])))
	}
}

// abort fails what waits for a server (fs/nfs/super.c, nfs_umount_begin). What was to be written
// there is lost.
func (m *Machine) abort(d *Disk) {
	if d.answers() {
		return
	}
	d.settle()
	d.log = nil
	d.dirtied, d.wanted = d.written, d.written
	m.wakeAll(&d.waiters)
}

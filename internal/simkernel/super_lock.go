package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// locked is a file system that keeps w waiting because somebody else holds its s_umount, or nil.
func (w *ioWait) locked() *superblock {
	for _, fs := range w.behind {
		if fs.locked {
			return fs
		}
	}
	return nil
}

// exclusively makes a call under s_umount. Who comes second waits in D for the first, however dead
// the disk is, and only then asks whether it may (fs/namespace.c, do_remount, do_umount_root).
func (s *superblock) exclusively(call func() (*ioWait, kernel.Errno)) (*ioWait, kernel.Errno) {
	if !s.locked {
		return call()
	}
	return &ioWait{
		behind: []*superblock{s},
		next:   func() (*ioWait, kernel.Errno) { return s.exclusively(call) },
	}, 0
}

// unlock lets those go on who wait for s_umount.
func (m *Machine) unlock(s *superblock) {
	s.locked = false
	m.wakeAll(&s.waiters)
	if len(m.works) > 0 {
		m.post(m.now, workTick{})
	}
}

package simkernel

import (
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// openFile is an open file description (include/linux/fs.h, struct file).
type openFile struct {
	at       place
	path     string    // that it was opened by
	tty      *terminal // or nil
	life     int       // of tty when it was opened
	log      *logReader
	dog      *watchdog
	swallows bool // a device that has nothing to read, and takes everything
	off      int64
	dir      bool
	nonblock bool
	reads    bool
	writes   bool
	appends  bool
	text     *string // of a virtual file, since it was first read
}

// open opens a file (fs/namei.c, path_openat). A device opens what is behind it.
func (m *Machine) open(p *process, path string, flags int, mode uint16) (*openFile, kernel.Errno) {
	at, e := m.openPlace(p, path, flags, mode)
	if e != 0 {
		return nil, e
	}
	if path[0] != '/' {
		path, _ = m.pathOf(m.fsOf(p).root, at)
	}
	f := &openFile{
		at: at, path: path, dir: at.node.kind == kindDir,
		reads: flags&syscall.O_ACCMODE != syscall.O_WRONLY, writes: flags&syscall.O_ACCMODE != 0,
		appends: flags&syscall.O_APPEND != 0, nonblock: flags&syscall.O_NONBLOCK != 0,
	}
	if e := m.mayOpen(p, f, flags); e != 0 {
		return nil, e
	}
	if e := m.openNode(p, f, flags); e != 0 {
		return nil, e
	}
	at.mnt.used = true
	return f, 0
}

// openPlace finds the file to open, or makes it.
func (m *Machine) openPlace(p *process, path string, flags int, mode uint16) (place, kernel.Errno) {
	follow := followLast
	if flags&syscall.O_NOFOLLOW != 0 || flags&(syscall.O_CREAT|syscall.O_EXCL) ==
		syscall.O_CREAT|syscall.O_EXCL {
		follow = noFollow
	}
	if flags&syscall.O_CREAT != 0 && strings.HasSuffix(path, "/") {
		if _, _, e := m.walkParent(p, path); e != 0 && e != syscall.EBUSY {
			return place{}, e
		}
		return place{}, kernel.EISDIR
	}
	at, e := m.walk(p, path, follow)
	switch {
	case e == kernel.ENOENT && flags&syscall.O_CREAT != 0:
		return m.openNew(p, path, mode)
	case e != 0:
		return place{}, e
	case flags&syscall.O_CREAT != 0 && flags&syscall.O_EXCL != 0:
		return place{}, syscall.EEXIST
	case at.node.kind == kindLink:
		return place{}, syscall.ELOOP
	}
	return at, 0
}

// openNew makes a file to open: where a symbolic link leads to, if that leads nowhere yet.
func (m *Machine) openNew(p *process, path string, mode uint16) (place, kernel.Errno) {
	from := m.fsOf(p).cwd
	for range maxLinks + 1 {
		dir, name, e := m.walkParentFrom(p, from, path)
		if e != 0 {
			return place{}, e
		}
		if n := m.lookup(p, dir.node, name); n != nil && n.kind == kindLink {
			from, path = dir, n.target
			continue
		}
		n, e := m.createIn(p, dir, name, path, stored{kind: kindFile, mode: mode})
		return place{dir.mnt, n}, e
	}
	return place{}, syscall.ELOOP
}

// mayOpen checks what a file may be opened for (fs/namei.c, may_open).
func (m *Machine) mayOpen(p *process, f *openFile, flags int) kernel.Errno {
	n := f.at.node
	var want uint16
	if f.reads {
		want |= mayRead
	}
	if f.writes {
		want |= mayWrite
	}
	switch {
	case f.dir && (f.writes || flags&syscall.O_CREAT != 0):
		return kernel.EISDIR
	case !f.dir && flags&syscall.O_DIRECTORY != 0:
		return kernel.ENOTDIR
	case (n.kind == kindChar || n.kind == kindBlock) && f.at.mnt.flags&syscall.MS_NODEV != 0:
		return syscall.EACCES
	case !m.permitted(p, n, want):
		return syscall.EACCES
	case f.writes && n.kind == kindFile && n.fs.virtual == nil && !f.at.writable():
		return syscall.EROFS
	}
	return 0
}

// openNode opens what the file stands for.
func (m *Machine) openNode(p *process, f *openFile, flags int) kernel.Errno {
	n := f.at.node
	switch n.kind {
	case kindFile:
		if v := n.fs.virtual; v != nil {
			return v.open(m, p, n.target, f.writes)
		}
		if flags&syscall.O_TRUNC != 0 && f.writes && n.fs.typ.name != pstoreType {
			return m.truncate(n, 0)
		}
	case kindChar:
		return m.openChar(p, f)
	case kindBlock:
		if m.diskOf(n.device) == nil {
			return syscall.ENXIO
		}
		f.swallows = true
	case kindFifo:
		// A reader that does not wait finds the end, a writer nobody.
		if f.writes && !f.reads {
			return syscall.ENXIO
		}
		f.swallows = true
	case kindSocket:
		return syscall.ENXIO
	case kindDir, kindLink:
	}
	return 0
}

// The character devices that every kernel has (drivers/char/mem.c, drivers/tty/tty_io.c).
var (
	devNull    = devID{1, 3}
	devZero    = devID{1, 5}
	devFull    = devID{1, 7}
	devRandom  = devID{1, 8}
	devUrandom = devID{1, 9}
	devKmsg    = devID{1, 11}
	devTTY     = devID{5, 0}
	devConsole = devID{5, 1}
)

// openChar opens a character device.
func (m *Machine) openChar(p *process, f *openFile) kernel.Errno {
	n := f.at.node
	t := n.tty
	switch n.device {
	case devNull, devZero, devFull, devRandom, devUrandom:
		f.swallows = true
		return 0
	case devKmsg:
		return m.openKmsg(p, f)
	case devWatchdog:
		return m.openWatchdogFile(p, f, 0)
	case devTTY:
		if p == nil || p.session.tty == nil {
			return syscall.ENXIO // tty(4)
		}
		t = p.session.tty
		f.path = t.path
	case devConsole:
		t = m.terminals[consoleDevice]
	}
	if n.device.major == watchdogMajor {
		return m.openWatchdogFile(p, f, int(n.device.minor))
	}
	if t == nil {
		return syscall.ENXIO
	}
	if t.OpenErr != 0 {
		return t.OpenErr
	}
	f.tty, f.life = t, t.life
	return 0
}

// write writes to what is no terminal, and returns how much it took.
func (m *Machine) write(p *process, f *openFile, b []byte) (int, kernel.Errno) {
	n := f.at.node
	switch {
	case !f.writes:
		return 0, syscall.EBADF
	case f.log != nil:
		return m.writeKmsg(p, f, b)
	case f.dog != nil:
		return m.writeWatchdog(f.dog, b)
	case n == nil:
		return len(b), 0
	case n.device == devFull && n.kind == kindChar:
		return 0, syscall.ENOSPC
	case f.swallows:
		return len(b), 0
	case n.fs.virtual != nil:
		if e := n.fs.virtual.write(m, p, n.target, string(b)); e != 0 {
			return 0, e
		}
		return len(b), 0
	case n.fs.readOnly:
		return 0, syscall.EROFS
	case n.fs.typ.name == pstoreType:
		return 0, kernel.EINVAL
	}
	if f.appends {
		f.off = n.length()
	}
	done, e := m.store(n, f.off, b, int64(len(b)))
	f.off += done
	return int(done), e
}

// read reads from what is no terminal. Nothing and no error is the end.
func (m *Machine) read(p *process, f *openFile, b []byte) (int, kernel.Errno) {
	n := f.at.node
	switch {
	case f.dir:
		return 0, kernel.EISDIR
	case !f.reads:
		return 0, syscall.EBADF
	case f.log != nil:
		return m.readKmsg(f, b)
	case f.dog != nil:
		return 0, kernel.EINVAL // it has no read
	case n == nil || f.swallows:
		return 0, 0
	case n.fs.virtual != nil:
		if f.text == nil {
			text, e := n.fs.virtual.read(m, p, n.target)
			if e != 0 {
				return 0, e
			}
			f.text = &text
		}
		got := copy(b, (*f.text)[min(f.off, int64(len(*f.text))):])
		f.off += int64(got)
		return got, 0
	}
	got := n.readAt(b, f.off)
	f.off += int64(got)
	return got, 0
}

// readAt copies from a plain file.
func (n *node) readAt(b []byte, off int64) int {
	left := n.length() - off
	if left <= 0 {
		return 0
	}
	b = b[:min(int64(len(b)), left)]
	clear(b)
	if n.content != nil {
		copy(b, n.content[min(off, int64(len(n.content))):])
	} else {
		copy(b, n.text[min(off, int64(len(n.text))):])
	}
	return len(b)
}

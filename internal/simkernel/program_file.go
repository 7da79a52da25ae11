package simkernel

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The steps that concern files. One that fails leaves its errno, for Check and SayErrno, and the
// program goes on. Mount and Sync are steps, too.
type (
	// Open opens a file. FD is the descriptor it becomes: 0 to 2, or else one from 3 on.
	Open struct {
		Path  string
		Flags int // syscall.O_*
		Mode  uint16
		FD    int
	}
	// Close closes a descriptor.
	Close struct{ FD int }
	// Write writes to a descriptor, and waits if the terminal does not take it.
	Write struct {
		FD   int
		Text string
	}
	// Append writes to the end of a file, which it makes if need be.
	Append struct{ Path, Text string }
	// Fill makes a file, or writes over it, with so many bytes of nothing in particular.
	Fill struct {
		Path  string
		Bytes int64
	}
	// Cat writes a file to standard output.
	Cat struct{ Path string }
	// List writes the names in a directory to standard output, a line each.
	List struct{ Dir string }
	// Truncate gives a file a size.
	Truncate struct {
		Path string
		Size int64
	}
	// Delete removes a file, Rmdir an empty directory.
	Delete struct{ Path string }
	Rmdir  struct{ Path string }
	// Mkdir makes a directory; with mode 0755 if Mode is 0.
	Mkdir struct {
		Path string
		Mode uint16
	}
	// Symlink makes a symbolic link at Path.
	Symlink struct{ Target, Path string }
	// Mknod makes a fifo (Mode has syscall.S_IFIFO), a socket or a device.
	Mknod struct {
		Path         string
		Mode         uint32
		Major, Minor uint16
	}
	// Rename renames a file.
	Rename struct{ From, To string }
	// Chmod and Chown change who may do what with a file.
	Chmod struct {
		Path string
		Mode uint16
	}
	Chown struct {
		Path     string
		UID, GID int
	}
	// Chdir and Chroot change the working and the root directory.
	Chdir  struct{ Dir string }
	Chroot struct{ Dir string }
	// Fsync waits until what was written to a file is on its disk.
	Fsync struct{ Path string }
	// Umount is umount2(2).
	Umount struct {
		Target string
		Flags  int
	}
	// UmountAll is "umount -a": it unmounts all that /proc/mounts names, the last first, but
	// for proc; with ReadOnly, as by -r, what is busy becomes read-only. It goes on after an
	// error and leaves the last one.
	UmountAll struct{ ReadOnly bool }
	// Swapon, Swapoff and SwapoffAll ("swapoff -a") are about swap areas.
	Swapon     struct{ Path string }
	Swapoff    struct{ Path string }
	SwapoffAll struct{}
	// Detach takes a loop, dm or md device apart, as "losetup -d" does.
	Detach struct{ Name string }
	// Check ends the program with the errno of the last of these steps, if that failed.
	Check struct{}
	// SayErrno writes the name of that errno, or "ok".
	SayErrno struct{}
)

func (Open) step()       {}
func (Close) step()      {}
func (Write) step()      {}
func (Append) step()     {}
func (Fill) step()       {}
func (Cat) step()        {}
func (List) step()       {}
func (Truncate) step()   {}
func (Delete) step()     {}
func (Rmdir) step()      {}
func (Mkdir) step()      {}
func (Symlink) step()    {}
func (Mknod) step()      {}
func (Rename) step()     {}
func (Chmod) step()      {}
func (Chown) step()      {}
func (Chdir) step()      {}
func (Chroot) step()     {}
func (Fsync) step()      {}
func (Mount) step()      {}
func (Umount) step()     {}
func (UmountAll) step()  {}
func (Swapon) step()     {}
func (Swapoff) step()    {}
func (SwapoffAll) step() {}
func (Detach) step()     {}
func (Check) step()      {}
func (SayErrno) step()   {}

// result leaves a step's errno, 0 if there was none.
func (p *process) result(e kernel.Errno) verdict {
	p.errno = uint8(e)
	return done
}

// diskCall is a step that makes a system call which may have to wait for disks.
func (m *Machine) diskCall(p *process, call func() (*ioWait, kernel.Errno)) verdict {
	if p.frame.io == nil {
		io, e := call()
		p.result(e)
		if io == nil {
			return done
		}
		p.frame.io = io
	}
	return m.await(p)
}

// reach waits for the server of a file before anything else is done with it.
func (m *Machine) reach(p *process, path string) (verdict, bool) {
	at, e := m.walk(p, path, followLast)
	if e != 0 || at.node.fs.disk == nil || !at.node.fs.typ.network || at.node.fs.disk.answers() {
		return done, true
	}
	p.flags |= taskKillable
	m.sleepUntil(p, kernel.Never, Uninterruptible)
	at.node.fs.disk.waits(p)
	return again, false
}

func (s Open) do(m *Machine, p *process) verdict {
	if v, ok := m.reach(p, s.Path); !ok {
		return v
	}
	f, e := m.open(p, s.Path, s.Flags, s.Mode)
	if e != 0 {
		return p.result(e)
	}
	if f.tty != nil && s.Flags&syscall.O_NOCTTY == 0 {
		m.controlByOpen(p, f)
	}
	m.setFile(p, s.FD, f)
	return p.result(0)
}

// setFile makes f a descriptor of a process, or closes that if f is nil.
func (m *Machine) setFile(p *process, fd int, f *openFile) {
	if fd < 3 {
		var std stdio
		if p.stdio != nil {
			std = *p.stdio
		}
		std[fd] = f
		p.stdio = &std
		m.eachThread(p.lead, func(t *process) { t.stdio = &std })
		return
	}
	m.changeFS(p, func(s *fsState) {
		s.files = slices.Clone(s.files)
		for len(s.files) <= fd-3 {
			s.files = append(s.files, nil)
		}
		s.files[fd-3] = f
	})
}

// fileOf is a descriptor of a process, or nil.
func (m *Machine) fileOf(p *process, fd int) *openFile {
	if fd < 3 {
		return p.stdio.get(fd)
	}
	if p.lead.fs == nil || fd-3 >= len(p.lead.fs.files) {
		return nil
	}
	return p.lead.fs.files[fd-3]
}

func (s Close) do(m *Machine, p *process) verdict {
	f := m.fileOf(p, s.FD)
	if f == nil {
		return p.result(syscall.EBADF)
	}
	if f.log != nil {
		m.closeKmsg(p, f.log)
	}
	if f.dog != nil {
		m.closeWatchdog(f.dog)
	}
	m.setFile(p, s.FD, nil)
	m.reapLazy()
	return p.result(0)
}

func (s Write) do(m *Machine, p *process) verdict {
	f := m.fileOf(p, s.FD)
	if f == nil {
		return p.result(syscall.EBADF)
	}
	if f.tty != nil {
		return m.say(p, f, []byte(s.Text))
	}
	if p.frame.io != nil {
		return m.await(p)
	}
	_, e := m.write(p, f, []byte(s.Text))
	return m.wrote(p, f, e)
}

func (s Append) do(m *Machine, p *process) verdict {
	if p.frame.io != nil {
		return m.await(p)
	}
	if v, ok := m.reach(p, s.Path); !ok {
		return v
	}
	f, e := m.open(p, s.Path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND, 0o644)
	if e == 0 && f.tty == nil {
		_, e = m.write(p, f, []byte(s.Text))
	}
	return m.wrote(p, f, e)
}

func (s Fill) do(m *Machine, p *process) verdict {
	if p.frame.io != nil {
		return m.await(p)
	}
	f, e := m.open(p, s.Path, syscall.O_WRONLY|syscall.O_CREAT, 0o644)
	if e != 0 {
		return p.result(e)
	}
	if f.at.node.kind == kindFile {
		var n int64
		if n, e = m.store(f.at.node, 0, nil, s.Bytes); e == 0 && n < s.Bytes {
			e = syscall.ENOSPC
		}
	}
	return m.wrote(p, f, e)
}

func (s Cat) do(m *Machine, p *process) verdict {
	if v, ok := m.reach(p, s.Path); !ok {
		return v
	}
	out := p.stdio.get(1)
	_, text, e := m.readFile(p, s.Path, followLast)
	if p.result(e); e != 0 || out == nil {
		return done
	}
	if out.tty != nil {
		return m.say(p, out, text)
	}
	_, e = m.write(p, out, text)
	return p.result(e)
}

func (s List) do(m *Machine, p *process) verdict {
	names, e := m.readDir(p, s.Dir)
	if p.result(e); e != 0 || len(names) == 0 {
		return done
	}
	return Say{strings.Join(names, "\n")}.do(m, p)
}

func (s Truncate) do(m *Machine, p *process) verdict {
	f, e := m.open(p, s.Path, syscall.O_WRONLY, 0)
	if e == 0 && f.at.node.kind == kindFile {
		e = m.truncate(f.at.node, s.Size)
	}
	return p.result(e)
}

func (s Delete) do(m *Machine, p *process) verdict { return p.result(m.unlink(p, s.Path, false)) }
func (s Rmdir) do(m *Machine, p *process) verdict  { return p.result(m.unlink(p, s.Path, true)) }
func (s Rename) do(m *Machine, p *process) verdict { return p.result(m.rename(p, s.From, s.To)) }
func (s Chdir) do(m *Machine, p *process) verdict  { return p.result(m.chdir(p, s.Dir)) }
func (s Chroot) do(m *Machine, p *process) verdict { return p.result(m.chroot(p, s.Dir)) }
func (s Swapon) do(m *Machine, p *process) verdict { return p.result(m.swapon(p, s.Path)) }

func (s Mkdir) do(m *Machine, p *process) verdict {
	mode := s.Mode
	if mode == 0 {
		mode = 0o755
	}
	_, e := m.create(p, s.Path, stored{kind: kindDir, mode: mode})
	return p.result(e)
}

func (s Symlink) do(m *Machine, p *process) verdict {
	if s.Target == "" {
		return p.result(kernel.ENOENT)
	}
	_, e := m.create(p, s.Path, stored{kind: kindLink, mode: 0o777, target: s.Target})
	return p.result(e)
}

func (s Mknod) do(m *Machine, p *process) verdict {
	made := stored{mode: uint16(s.Mode & 0o7777), device: devID{s.Major, s.Minor}}
	switch s.Mode & syscall.S_IFMT {
	case 0, syscall.S_IFREG:
	case syscall.S_IFIFO:
		made.kind = kindFifo
	case syscall.S_IFSOCK:
		made.kind = kindSocket
	case syscall.S_IFCHR:
		made.kind = kindChar
	case syscall.S_IFBLK:
		made.kind = kindBlock
	default:
		return p.result(kernel.EINVAL)
	}
	if (made.kind == kindChar || made.kind == kindBlock) && !p.capable(CapMknod) {
		return p.result(kernel.EPERM)
	}
	_, e := m.create(p, s.Path, made)
	return p.result(e)
}

func (s Chmod) do(m *Machine, p *process) verdict {
	return p.result(m.setAttr(p, s.Path, func(n *node) kernel.Errno {
		if !p.owns(n) {
			return kernel.EPERM
		}
		n.mode = s.Mode
		return 0
	}))
}

func (s Chown) do(m *Machine, p *process) verdict {
	return p.result(m.setAttr(p, s.Path, func(n *node) kernel.Errno {
		if !p.capable(CapChown) {
			return kernel.EPERM
		}
		n.uid, n.gid = int32(s.UID), int32(s.GID)
		return 0
	}))
}

// setAttr changes what stands in a file's inode.
func (m *Machine) setAttr(
	p *process, path string, how func(n *node) kernel.Errno,
) kernel.Errno {
	at, e := m.walk(p, path, followLast)
	if e != 0 {
		return e
	}
	if !at.writable() {
		return syscall.EROFS
	}
	if e := how(at.node); e != 0 {
		return e
	}
	if d := at.node.fs.disk; d != nil && !at.node.gone {
		d.change(change{what: changeAttr, path: at.node.path(), made: at.node.kept()})
	}
	return 0
}

func (s Fsync) do(m *Machine, p *process) verdict {
	return m.diskCall(p, func() (*ioWait, kernel.Errno) {
		at, e := m.walk(p, s.Path, followLast)
		if e != 0 {
			return nil, e
		}
		return m.fsync(at.node)
	})
}

func (s Mount) do(m *Machine, p *process) verdict {
	return m.diskCall(p, func() (*ioWait, kernel.Errno) { return m.mount(p, s) })
}

func (s Umount) do(m *Machine, p *process) verdict {
	return m.diskCall(p, func() (*ioWait, kernel.Errno) { return m.umount(p, s.Target, s.Flags) })
}

func (s Detach) do(m *Machine, p *process) verdict {
	return m.diskCall(p, func() (*ioWait, kernel.Errno) { return m.detachDisk(p, s.Name) })
}

// do becomes the steps for what is mounted now: umount reads /proc/mounts once.
func (s UmountAll) do(m *Machine, p *process) verdict {
	var steps []Step
	for _, mnt := range slices.Backward(m.mounts) {
		path, seen := m.pathOf(m.fsOf(p).root, place{mnt, mnt.root})
		if !seen || mnt.fs.typ.name == "proc" {
			continue
		}
		steps = append(steps, umountOrReadOnly{path, mnt.source, s.ReadOnly})
	}
	return m.instead(p, append(steps, leaveErrno{}))
}

// instead lets p do steps, and go on after the one that it is at.
func (m *Machine) instead(p *process, steps []Step) verdict {
	p.frame.next()
	p.lead.more().errno = 0
	p.frames = append(p.frames, p.frame)
	p.frame = frame{steps: steps}
	return jumped
}

// umountOrReadOnly is a turn of UmountAll.
type umountOrReadOnly struct {
	target, source string
	readOnly       bool
}

func (umountOrReadOnly) step() {}

func (s umountOrReadOnly) do(m *Machine, p *process) verdict {
	v := m.diskCall(p, func() (*ioWait, kernel.Errno) {
		io, e := m.umount(p, s.target, 0)
		if e == 0 || !s.readOnly || e != syscall.EBUSY {
			return io, e
		}
		return m.mount(p, Mount{
			Source: s.source, Target: s.target, Flags: syscall.MS_REMOUNT | syscall.MS_RDONLY,
		})
	})
	if v == done && p.errno != 0 {
		p.lead.more().errno = p.errno
	}
	return v
}

// leaveErrno leaves the last errno of several steps.
type leaveErrno struct{}

func (leaveErrno) step() {}

func (leaveErrno) do(_ *Machine, p *process) verdict {
	p.errno = p.lead.more().errno
	return done
}

func (s Swapoff) do(m *Machine, p *process) verdict {
	v, e := m.swapoff(p, s.Path)
	p.result(e)
	if v == done && e != 0 && p.errno != 0 {
		p.lead.more().errno = p.errno
	}
	return v
}

func (SwapoffAll) do(m *Machine, p *process) verdict {
	var steps []Step
	for _, a := range m.swapAreas {
		steps = append(steps, Swapoff{a.path})
	}
	return m.instead(p, append(steps, leaveErrno{}))
}

func (Check) do(m *Machine, p *process) verdict {
	if p.errno == 0 {
		return done
	}
	return Exit{int(p.errno)}.do(m, p)
}

func (SayErrno) do(m *Machine, p *process) verdict {
	return Say{errnoName(kernel.Errno(p.errno))}.do(m, p)
}

// errnoNames are the errnos that the calls of programs return.
var errnoNames = map[kernel.Errno]string{
	0: "ok", syscall.EPERM: "EPERM", syscall.ENOENT: "ENOENT", syscall.EIO: "EIO",
	syscall.ENXIO: "ENXIO", syscall.EBADF: "EBADF", syscall.EAGAIN: "EAGAIN",
	syscall.ENOMEM: "ENOMEM", syscall.EACCES: "EACCES", syscall.ENOTBLK: "ENOTBLK",
	syscall.EBUSY: "EBUSY", syscall.EEXIST: "EEXIST", syscall.EXDEV: "EXDEV",
	syscall.ENODEV: "ENODEV", syscall.ENOTDIR: "ENOTDIR", syscall.EISDIR: "EISDIR",
	syscall.EINVAL: "EINVAL", syscall.EFBIG: "EFBIG", syscall.ENOSPC: "ENOSPC",
	syscall.EROFS: "EROFS", syscall.EPIPE: "EPIPE", syscall.ERANGE: "ERANGE",
	syscall.ENAMETOOLONG: "ENAMETOOLONG", syscall.ENOTEMPTY: "ENOTEMPTY",
	syscall.ELOOP: "ELOOP",
}

func errnoName(e kernel.Errno) string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return "errno " + strconv.Itoa(int(e))
}

package simkernel

import (
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// place is a file as it is reached: through which mount.
type place struct {
	mnt  *mount
	node *node
}

// Limits of path resolution (include/uapi/linux/limits.h, include/linux/namei.h).
const (
	maxLinks = 40
	maxName  = 255
	maxPath  = 4096
)

// walkFlags are how a path is resolved.
type walkFlags uint8

const (
	followLast walkFlags = 0
	noFollow   walkFlags = 1 << iota // a symbolic link in the end is meant itself
	wantDir                          // the last component must be a directory
)

// fsState is what a process has of files (fs/fs_struct.c). It is never changed, so that children
// share it.
type fsState struct {
	root, cwd place
	files     []*openFile // from 3 on
}

// fsOf is where a process is; nil is PID 1, or the kernel.
func (m *Machine) fsOf(p *process) *fsState {
	if p == nil || p.lead.fs == nil {
		return m.fs
	}
	return p.lead.fs
}

// walk finds a file (fs/namei.c, path_lookupat).
func (m *Machine) walk(p *process, path string, flags walkFlags) (place, kernel.Errno) {
	if path == "" {
		return place{}, kernel.ENOENT
	}
	links := 0
	return m.walkFrom(p, m.fsOf(p).cwd, path, flags, &links)
}

// walkParent finds the directory that a file is, or would be, in, and its name there
// (fs/namei.c, path_parentat).
func (m *Machine) walkParent(p *process, path string) (place, string, kernel.Errno) {
	return m.walkParentFrom(p, m.fsOf(p).cwd, path)
}

// walkParentFrom is walkParent from a directory that may not be the working directory.
func (m *Machine) walkParentFrom(
	p *process, from place, path string,
) (place, string, kernel.Errno) {
	trimmed := strings.TrimRight(path, "/")
	if trimmed == "" {
		if path == "" {
			return place{}, "", kernel.ENOENT
		}
		return place{}, "", syscall.EBUSY // the root
	}
	i := strings.LastIndexByte(trimmed, '/')
	dir, name := trimmed[:i+1], trimmed[i+1:]
	if dir == "" {
		dir = "."
	}
	links := 0
	at, e := m.walkFrom(p, from, dir, wantDir, &links)
	if e == 0 && len(name) > maxName {
		e = syscall.ENAMETOOLONG
	}
	return at, name, e
}

// walkFrom goes through a path, component by component.
func (m *Machine) walkFrom(
	p *process, at place, path string, flags walkFlags, links *int,
) (place, kernel.Errno) {
	if len(path) >= maxPath {
		return place{}, syscall.ENAMETOOLONG
	}
	if path != "" && path[0] == '/' {
		at = m.fsOf(p).root
	}
	for path != "" {
		i := 0
		for i < len(path) && path[i] == '/' {
			i++
		}
		path = path[i:]
		if path == "" {
			break
		}
		name, rest := path, ""
		if i := strings.IndexByte(path, '/'); i >= 0 {
			name, rest = path[:i], path[i:]
		}
		last := strings.TrimLeft(rest, "/") == ""
		next, e := m.step(p, at, name)
		if e != 0 {
			return place{}, e
		}
		follow := !last || flags&noFollow == 0 || rest != ""
		if next.node.kind == kindLink && follow {
			*links++
			if *links > maxLinks {
				return place{}, syscall.ELOOP
			}
			if next, e = m.followLink(p, at, next, links); e != 0 {
				return place{}, e
			}
		}
		if (rest != "" || last && flags&wantDir != 0) && next.node.kind != kindDir {
			return place{}, kernel.ENOTDIR
		}
		at, path = next, rest
	}
	return at, 0
}

// step goes from a directory to one of its files, and onto what is mounted there.
func (m *Machine) step(p *process, at place, name string) (place, kernel.Errno) {
	if at.node.kind != kindDir {
		return place{}, kernel.ENOTDIR
	}
	if !m.permitted(p, at.node, mayExec) {
		return place{}, syscall.EACCES
	}
	switch name {
	case ".":
		return at, 0
	case "..":
		return m.up(p, at), 0
	}
	if len(name) > maxName {
		return place{}, syscall.ENAMETOOLONG
	}
	c := m.lookup(p, at.node, name)
	if c == nil {
		return place{}, kernel.ENOENT
	}
	return m.onto(place{at.mnt, c}), 0
}

// lookup finds a file in a directory.
func (m *Machine) lookup(p *process, dir *node, name string) *node {
	if c := dir.child(name); c != nil {
		return c
	}
	if v := dir.fs.virtual; v != nil && !dir.gone {
		return m.lookupVirtual(v, p, dir, name)
	}
	return nil
}

// onto is the root of what is mounted on a place, the uppermost, or the place itself
// (fs/namei.c, traverse_mounts).
func (m *Machine) onto(at place) place {
	for at.node.mounts > 0 {
		mnt := m.mountedOn(at)
		if mnt == nil {
			break
		}
		at = place{mnt, mnt.root}
	}
	return at
}

// up is "..", which leaves a mount by its root, but no root directory (fs/namei.c, follow_dotdot).
func (m *Machine) up(p *process, at place) place {
	root := m.fsOf(p).root
	for at != root && at.node == at.mnt.root {
		if at.mnt.parent == nil { // the first mount, or one that was unmounted lazily
			return at
		}
		at = place{at.mnt.parent, at.mnt.at}
	}
	if at == root || at.node.parent == nil {
		return at
	}
	return m.onto(place{at.mnt, at.node.parent})
}

// followLink goes where a symbolic link in a directory points to.
func (m *Machine) followLink(
	p *process, dir, link place, links *int,
) (place, kernel.Errno) {
	if v := link.node.fs.virtual; v != nil {
		target, direct, e := v.readlink(m, p, link.node.target)
		if e != 0 || direct.node != nil {
			return direct, e
		}
		return m.walkFrom(p, dir, target, followLast, links)
	}
	if link.node.target == "" {
		return place{}, kernel.ENOENT
	}
	return m.walkFrom(p, dir, link.node.target, followLast, links)
}

// pathOf is a place as a process sees it, and whether it can see it (fs/d_path.c).
func (m *Machine) pathOf(root, at place) (string, bool) {
	var parts []string
	for at != root {
		if at.node == at.mnt.root {
			if at.mnt.parent == nil {
				return "/" + join(parts), false
			}
			at = place{at.mnt.parent, at.mnt.at}
			continue
		}
		if at.node.parent == nil {
			return "/" + join(parts), false
		}
		parts = append(parts, at.node.name)
		at.node = at.node.parent
	}
	return "/" + join(parts), true
}

// join puts the parts of a path together, which come last first.
func join(parts []string) string {
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
		if i > 0 {
			b.WriteByte('/')
		}
	}
	return b.String()
}

// The permissions (include/linux/fs.h, MAY_EXEC and so on).
const (
	mayExec  = 1
	mayWrite = 2
	mayRead  = 4
)

// permitted reports whether a process may do something with a file by its mode
// (fs/namei.c, generic_permission). Root may all, but executes only what somebody may.
func (m *Machine) permitted(p *process, n *node, want uint16) bool {
	if p == nil || p.capable(CapDACOverride) {
		return want&mayExec == 0 || n.kind == kindDir || n.mode&0o111 != 0
	}
	mode := n.mode
	switch {
	case p.cred.euid == int(n.uid):
		mode >>= 6
	case p.cred.gid == int(n.gid):
		mode >>= 3
	}
	return mode&want == want
}

// writable reports whether a file's mount and file system can be written to: EROFS.
func (at place) writable() bool { return !at.mnt.readOnly() && !at.node.fs.readOnly }

// mayChange says whether files may be made in a directory, or removed from it.
func (m *Machine) mayChange(p *process, dir place) kernel.Errno {
	switch {
	case !m.permitted(p, dir.node, mayWrite|mayExec):
		return syscall.EACCES
	case dir.node.gone:
		return kernel.ENOENT
	case dir.node.fs.virtual != nil:
		return kernel.EPERM
	}
	return 0
}

// mayRemove says whether a file may be removed: in a directory with the sticky bit by its owner
// only (include/linux/fs.h, check_sticky).
func (m *Machine) mayRemove(p *process, dir place, n *node) kernel.Errno {
	if e := m.mayChange(p, dir); e != 0 {
		return e
	}
	const sticky = 0o1000
	if dir.node.mode&sticky != 0 && !p.owns(n) && !p.owns(dir.node) {
		return kernel.EPERM
	}
	return 0
}

// owns reports whether a process may do what a file's owner may.
func (p *process) owns(n *node) bool {
	return p == nil || p.cred.euid == int(n.uid) || p.capable(CapFowner)
}

// create makes a file where there is none (fs/namei.c, vfs_create, vfs_mkdir, vfs_mknod,
// vfs_symlink).
func (m *Machine) create(p *process, path string, made stored) (*node, kernel.Errno) {
	dir, name, e := m.walkParent(p, path)
	if e == syscall.EBUSY {
		return nil, syscall.EEXIST
	}
	if e != 0 {
		return nil, e
	}
	return m.createIn(p, dir, name, path, made)
}

// createIn is create in a directory. The path says by a slash whether a directory is meant.
func (m *Machine) createIn(
	p *process, dir place, name, path string, made stored,
) (*node, kernel.Errno) {
	if name == "." || name == ".." || m.lookup(p, dir.node, name) != nil {
		return nil, syscall.EEXIST
	}
	if made.kind != kindDir && strings.HasSuffix(path, "/") {
		return nil, kernel.ENOENT
	}
	if e := dir.node.fs.takesNone(made.kind); e != 0 {
		return nil, e
	}
	if !dir.writable() {
		return nil, syscall.EROFS
	}
	if e := m.mayChange(p, dir); e != 0 {
		return nil, e
	}
	if dir.node.fs.room() < 1 {
		return nil, syscall.ENOSPC
	}
	if p != nil {
		made.uid, made.gid = int32(p.cred.euid), int32(p.cred.gid)
	}
	return m.enter(dir.node, name, made), 0
}

// takesNone is why no file can be made in a virtual file system: proc finds nothing by the name and
// leaves it at that, sysfs and pstore know no call for it.
func (s *superblock) takesNone(kind nodeKind) kernel.Errno {
	switch {
	case s.virtual == nil && s.typ.name != pstoreType:
		return 0
	case s.typ.name == "proc":
		return kernel.ENOENT
	case kind == kindFile:
		return syscall.EACCES
	}
	return kernel.EPERM
}

// enter makes a file in a directory, and tells the disk.
func (m *Machine) enter(dir *node, name string, made stored) *node {
	n := m.newNode(strings.Clone(name), made.kind, made.mode)
	n.uid, n.gid, n.target, n.device = made.uid, made.gid, made.target, made.device
	dir.add(n)
	if made.kind == kindDir || made.kind == kindLink {
		n.fs.used++
	}
	if d := n.fs.disk; d != nil {
		d.change(change{what: changeMake, path: n.path(), made: n.kept()})
	}
	return n
}

// unlink removes a file (fs/namei.c, do_unlinkat), or an empty directory if dir is set
// (do_rmdir).
func (m *Machine) unlink(p *process, path string, dir bool) kernel.Errno {
	in, name, e := m.walkParent(p, path)
	switch {
	case e == syscall.EBUSY && !dir:
		return kernel.EISDIR
	case e != 0:
		return e
	case name == "." && dir:
		return kernel.EINVAL
	case name == ".." && dir:
		return syscall.ENOTEMPTY
	case name == "." || name == "..":
		return kernel.EISDIR
	}
	if !in.writable() {
		return syscall.EROFS
	}
	n := m.lookup(p, in.node, name)
	if n == nil {
		return kernel.ENOENT
	}
	if !dir && strings.HasSuffix(path, "/") && n.kind != kindDir {
		return kernel.ENOTDIR
	}
	if e := m.mayRemove(p, in, n); e != 0 {
		return e
	}
	switch {
	case dir && n.kind != kindDir:
		return kernel.ENOTDIR
	case !dir && n.kind == kindDir:
		return kernel.EISDIR
	case m.mountedOn(place{in.mnt, n}) != nil:
		return syscall.EBUSY
	case dir && n.entries > 0:
		return syscall.ENOTEMPTY
	}
	if n.fs.typ.name == pstoreType {
		m.eraseRecord(n)
	}
	m.drop(n)
	return 0
}

// drop removes a file from its directory.
func (m *Machine) drop(n *node) {
	if d := n.fs.disk; d != nil {
		d.change(change{what: changeRemove, path: n.path()})
	}
	m.forgetNode(n)
}

// forgetNode is drop without a word to the disk.
func (m *Machine) forgetNode(n *node) {
	// Mounts on it elsewhere go with it (fs/namespace.c, __detach_mounts).
	m.detachFrom(n)
	n.fs.used -= n.takes()
	n.take()
	n.gone = true
}

// takes is how many blocks a file takes.
func (n *node) takes() int64 {
	switch n.kind {
	case kindFile:
		return blocks(n.length())
	case kindDir, kindLink:
		return 1
	case kindChar, kindBlock, kindFifo, kindSocket:
	}
	return 0
}

// rename moves a file within its file system, over what is there (fs/namei.c, do_renameat2).
func (m *Machine) rename(p *process, from, to string) kernel.Errno {
	src, name, e := m.walkParent(p, from)
	if e != 0 {
		return e
	}
	dst, newName, e := m.walkParent(p, to)
	if e != 0 {
		return e
	}
	if src.mnt != dst.mnt {
		return syscall.EXDEV
	}
	if name == "." || name == ".." || newName == "." || newName == ".." {
		return syscall.EBUSY
	}
	if !src.writable() {
		return syscall.EROFS
	}
	n := m.lookup(p, src.node, name)
	if n == nil {
		return kernel.ENOENT
	}
	for d := dst.node; d != nil; d = d.parent {
		if d == n {
			return kernel.EINVAL // into itself
		}
	}
	over := m.lookup(p, dst.node, newName)
	records := n.fs.typ.name == pstoreType
	if e := dst.node.fs.takesNone(n.kind); over == nil && e != 0 && !records {
		return e
	}
	if e := m.mayRemove(p, src, n); e != 0 {
		return e
	}
	if e := m.mayChange(p, dst); e != 0 {
		return e
	}
	if records {
		return kernel.EPERM // the directory knows no rename
	}
	if over == n {
		return 0
	}
	if over != nil {
		if e := m.mayReplace(p, dst, n, over); e != 0 {
			return e
		}
	}
	if n.mounts > 0 {
		return syscall.EBUSY
	}
	d, before := n.fs.disk, ""
	if d != nil {
		before = n.path()
	}
	if over != nil {
		m.forgetNode(over) // on the disk both is one change
	}
	n.take()
	n.name = strings.Clone(newName)
	dst.node.add(n)
	if d != nil {
		d.change(change{what: changeRename, path: before, to: n.path()})
	}
	return 0
}

// mayReplace says whether a file may take the place of another.
func (m *Machine) mayReplace(p *process, dst place, n, over *node) kernel.Errno {
	if e := m.mayRemove(p, dst, over); e != 0 {
		return e
	}
	switch {
	case over.mounts > 0:
		return syscall.EBUSY
	case n.kind == kindDir && over.kind != kindDir:
		return kernel.ENOTDIR
	case n.kind != kindDir && over.kind == kindDir:
		return kernel.EISDIR
	case over.kind == kindDir && over.entries > 0:
		return syscall.ENOTEMPTY
	}
	return 0
}

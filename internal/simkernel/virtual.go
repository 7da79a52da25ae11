package simkernel

import (
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// provider is a file system whose files are texts that are made when somebody reads them. Paths are
// without a slash at either end; the root is empty.
type provider interface {
	// stat says what is at a path, and who may do what with it.
	stat(m *Machine, p *process, path string) (kind nodeKind, mode uint16, ok bool)
	list(m *Machine, p *process, path string) []string
	// readlink is where a link points to: a path, or directly a place.
	readlink(m *Machine, p *process, path string) (string, place, kernel.Errno)
	open(m *Machine, p *process, path string, write bool) kernel.Errno
	read(m *Machine, p *process, path string) (string, kernel.Errno)
	write(m *Machine, p *process, path, text string) kernel.Errno
}

// lookupVirtual makes the node of a virtual file. Directories stay, for something may be mounted on
// them, except those of processes.
func (m *Machine) lookupVirtual(v provider, p *process, dir *node, name string) *node {
	path := name
	if dir.target != "" {
		path = dir.target + "/" + name
	}
	kind, mode, ok := v.stat(m, p, path)
	if !ok {
		return nil
	}
	n := m.newNode(strings.Clone(name), kind, mode)
	n.target = path
	if kind == kindDir && (path[0] < '0' || path[0] > '9') {
		dir.add(n)
		return n
	}
	n.parent, n.fs = dir, dir.fs
	return n
}

// readDir are the names in a directory, sorted.
func (m *Machine) readDir(p *process, path string) ([]string, kernel.Errno) {
	at, e := m.walk(p, path, wantDir)
	switch {
	case e != 0:
		return nil, e
	case !m.permitted(p, at.node, mayRead):
		return nil, syscall.EACCES
	case at.node.fs.virtual != nil:
		return at.node.fs.virtual.list(m, p, at.node.target), 0
	}
	return at.node.names(), 0
}

package simkernel

import (
	"slices"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// nodeKind is what a file is.
type nodeKind uint8

// The kinds.
const (
	kindFile nodeKind = iota
	kindDir
	kindLink
	kindChar
	kindBlock
	kindFifo
	kindSocket
)

// devID is the number of a device.
type devID struct{ major, minor uint16 }

// node is a file with its name: dentry and inode in one, for there are no hard links.
type node struct {
	name     string
	parent   *node
	fs       *superblock
	kind     nodeKind
	gone     bool // removed, but perhaps still open
	mode     uint16
	mounts   uint16 // that stand on it
	uid, gid int32

	// A directory: the list of its files, and an index once they are many.
	first, next *node
	index       map[string]*node
	entries     int

	// A plain file: text until it is first written to, then content. What lies between its
	// end and the size are zeros that nobody has written.
	text    string
	content []byte
	size    int64
	program *Program

	target string // of a symbolic link; the path in a virtual file system
	device devID
	tty    *terminal // behind the device
}

// manyEntries is when a directory gets an index.
const manyEntries = 24

// child finds a file in a directory.
func (n *node) child(name string) *node {
	if n.index != nil {
		return n.index[name]
	}
	for c := n.first; c != nil; c = c.next {
		if c.name == name {
			return c
		}
	}
	return nil
}

// add puts a file into a directory.
func (n *node) add(c *node) {
	c.parent, c.fs, c.gone = n, n.fs, false
	c.next, n.first = n.first, c
	n.entries++
	if n.index == nil && n.entries > manyEntries {
		n.index = make(map[string]*node, 2*manyEntries)
		for e := n.first; e != nil; e = e.next {
			n.index[e.name] = e
		}
	}
	if n.index != nil {
		n.index[c.name] = c
	}
}

// take takes a file out of its directory.
func (n *node) take() {
	dir := n.parent
	at := &dir.first
	for *at != n {
		at = &(*at).next
	}
	*at = n.next
	n.next = nil
	dir.entries--
	delete(dir.index, n.name)
}

// names are the files in a directory, sorted.
func (n *node) names() []string {
	names := make([]string, 0, n.entries)
	for c := n.first; c != nil; c = c.next {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return names
}

// newNode makes a file. Those of a machine's start come from one allocation.
func (m *Machine) newNode(name string, kind nodeKind, mode uint16) *node {
	if len(m.nodes) == 0 {
		m.nodes = make([]node, chunk)
	}
	n := &m.nodes[0]
	m.nodes = m.nodes[1:]
	n.name, n.kind, n.mode = name, kind, mode
	return n
}

// make makes a file in a directory, for good.
func (m *Machine) make(dir *node, name string, kind nodeKind, mode uint16) *node {
	c := m.newNode(name, kind, mode)
	dir.add(c)
	c.fs.used += c.takes()
	return c
}

// length is how many bytes a plain file has.
func (n *node) length() int64 {
	return max(n.size, int64(len(n.text)), int64(len(n.content)))
}

// load returns a plain file's bytes, a copy, zeros included.
func (n *node) load() []byte {
	if n.content == nil && n.size <= int64(len(n.text)) {
		return []byte(n.text)
	}
	b := make([]byte, n.length())
	copy(b, n.text)
	copy(b, n.content)
	return b
}

// own makes the text one that can be changed.
func (n *node) own() {
	if n.content == nil {
		n.content, n.text = []byte(n.text), ""
	}
}

// path is where a file is in its file system.
func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	var parts []string
	for ; n.parent != nil; n = n.parent {
		parts = append(parts, n.name)
	}
	slices.Reverse(parts)
	return "/" + strings.Join(parts, "/")
}

// store puts bytes at an offset, as many as there is room for, and returns how many. Where data is
// shorter than size the rest are zeros.
func (m *Machine) store(n *node, off int64, data []byte, size int64) (int64, kernel.Errno) {
	had := blocks(n.length())
	if room := n.fs.room(); blocks(off+size)-had > room {
		size = (had+room)*block - off
		if size <= 0 {
			return 0, syscall.ENOSPC
		}
		data = data[:min(int64(len(data)), size)]
	}
	n.own()
	n.content = overwrite(n.content, off, data)
	n.size = max(n.length(), off+size)
	n.fs.used += blocks(n.size) - had
	if d := n.fs.disk; d != nil && !n.gone {
		d.write(n.path(), off, data, size)
	}
	return size, 0
}

// truncate gives a plain file a size.
func (m *Machine) truncate(n *node, size int64) kernel.Errno {
	had := n.length()
	if size == had {
		return 0
	}
	if blocks(size)-blocks(had) > n.fs.room() {
		return syscall.ENOSPC
	}
	n.own()
	n.content = n.content[:min(size, int64(len(n.content)))]
	n.size = size
	n.fs.used += blocks(size) - blocks(had)
	if d := n.fs.disk; d != nil && !n.gone {
		d.change(change{what: changeSize, path: n.path(), off: size})
	}
	return 0
}

// blocks is how many blocks so many bytes take.
func blocks(n int64) int64 { return (n + block - 1) / block }

// kept is a node as it is stored.
func (n *node) kept() stored {
	return stored{
		kind: n.kind, mode: n.mode, uid: n.uid, gid: n.gid, target: n.target, device: n.device,
	}
}

package simkernel

import (
	"path"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// file is a plain file, or /dev/null.
type file struct {
	content   []byte
	null      bool
	untrusted bool
}

func (m *Machine) setUpFiles() {
	m.files = make(map[string]*file, len(m.cfg.Files)+len(m.cfg.Dirs)+1)
	m.files["/dev/null"] = &file{null: true}
	for p, text := range m.cfg.Files {
		m.files[p] = &file{content: []byte(text)}
	}
	for _, d := range m.cfg.Dirs {
		m.files[d] = nil
	}
	m.programs = make(map[string]*Program, len(m.cfg.Programs)+1)
	for p, prog := range m.cfg.Programs {
		m.programs[p] = &prog
	}
	if m.programs[shellPath] == nil && !m.cfg.NoShell {
		m.programs[shellPath] = &Program{Shell: true}
	}
}

// abs is a path without dots and from the root.
func (m *Machine) abs(p string) string {
	if len(p) == 0 || p[0] != '/' {
		p = m.cwd + "/" + p
	} else if !strings.Contains(p, "/.") && !strings.Contains(p, "//") {
		return p
	}
	return path.Clean(p)
}

// lookup says whether there is something at an absolute path: 0, ENOENT or ENOTDIR.
func (m *Machine) lookup(p string) kernel.Errno {
	if p == "/" || m.something(p) || m.isDir(p) {
		return 0
	}
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if m.something(d) && !m.isDir(d) {
			return syscall.ENOTDIR
		}
	}
	return kernel.ENOENT
}

func (m *Machine) something(p string) bool {
	if _, ok := m.files[p]; ok {
		return true
	}
	return m.programs[p] != nil || m.terminals[p] != nil
}

// isDir reports whether p is a directory: because it was said to be one, or because something is
// in it.
func (m *Machine) isDir(p string) bool {
	if m.dirs == nil {
		m.dirs = map[string]bool{"/": true}
		for q, f := range m.files {
			if f == nil {
				m.dirs[q] = true
			}
			m.addDirs(q)
		}
		for q := range m.programs {
			m.addDirs(q)
		}
		for q := range m.terminals {
			m.addDirs(q)
		}
	}
	return m.dirs[p]
}

// addDirs enters the directories that q is in.
func (m *Machine) addDirs(q string) {
	for {
		i := strings.LastIndexByte(q, '/')
		if i <= 0 || m.dirs[q[:i]] {
			return
		}
		q = q[:i]
		m.dirs[q] = true
	}
}

// changed says that something was made or removed.
func (m *Machine) changed() { m.dirs = nil }

// read returns a file's bytes.
func (m *Machine) read(p string) (*file, kernel.Errno) {
	p = m.abs(p)
	if f := m.files[p]; f != nil {
		if len(f.content) > kernel.MaxFile {
			return nil, kernel.EFBIG
		}
		return f, 0
	}
	if e := m.lookup(p); e != 0 {
		return nil, e
	}
	if m.isDir(p) {
		return nil, kernel.EISDIR
	}
	// A program or a terminal: there is nothing to read.
	return &file{}, 0
}

func (k *pid1Calls) ReadFile(p string) ([]byte, error) {
	if e := k.enter(callReadFile); e != 0 {
		return nil, e
	}
	f, e := k.m.read(p)
	if e != 0 {
		return nil, e
	}
	return append([]byte(nil), f.content...), nil
}

func (k *pid1Calls) ReadTrusted(p string) ([]byte, error) {
	if e := k.enter(callReadTrusted); e != 0 {
		return nil, e
	}
	f, e := k.m.read(p)
	if e == 0 && f.untrusted {
		e = kernel.EPERM
	}
	if e != 0 {
		return nil, e
	}
	return append([]byte(nil), f.content...), nil
}

func (k *pid1Calls) Exists(p string) bool {
	k.enter(callExists)
	return k.m.lookup(k.m.abs(p)) == 0
}

func (k *pid1Calls) Remove(p string) error {
	if e := k.enter(callRemove); e != 0 {
		return e
	}
	p = k.m.abs(p)
	if e := k.m.lookup(p); e != 0 {
		return e
	}
	if k.m.isDir(p) {
		return kernel.EISDIR
	}
	k.m.remove(p)
	return nil
}

func (m *Machine) remove(p string) {
	m.changed()
	delete(m.files, p)
	delete(m.programs, p)
	delete(m.terminals, p)
}

func (k *pid1Calls) WriteAt(p string, b []byte, off int64) error {
	if e := k.enter(callWriteAt); e != 0 {
		return e
	}
	f, e := k.m.read(p)
	if e != 0 {
		return e
	}
	if off == kernel.AtEnd {
		off = int64(len(f.content))
	}
	if off < 0 {
		return kernel.EINVAL
	}
	for int64(len(f.content)) < off+int64(len(b)) {
		f.content = append(f.content, 0)
	}
	copy(f.content[off:], b)
	return nil
}

func (k *pid1Calls) Chdir(dir string) error {
	if e := k.enter(callChdir); e != 0 {
		return e
	}
	p := k.m.abs(dir)
	if e := k.m.lookup(p); e != 0 {
		return e
	}
	if !k.m.isDir(p) {
		return syscall.ENOTDIR
	}
	k.m.cwd = p
	return nil
}

// Cwd is PID 1's working directory.
func (m *Machine) Cwd() string { return m.cwd }

// File returns the text of a file, and whether there is one.
func (m *Machine) File(p string) (string, bool) {
	f := m.files[p]
	if f == nil {
		return "", false
	}
	return string(f.content), true
}

// The actions on files. WriteFile is a step, too.
type (
	// WriteFile gives a file a new text, as a rename of a new file over it does.
	WriteFile struct{ Path, Text string }
	// RemoveFile removes a file, a program or a device.
	RemoveFile struct{ Path string }
	// MakeDir makes a directory, in the place of whatever was there.
	MakeDir struct{ Path string }
	// Install makes a program.
	Install struct {
		Path    string
		Program Program
	}
	// Distrust makes a file one that others than root may write.
	Distrust struct{ Path string }
)

func (a RemoveFile) act(m *Machine) { m.remove(a.Path) }

func (a WriteFile) act(m *Machine) {
	m.changed()
	m.files[a.Path] = &file{content: []byte(a.Text)}
}

func (a Install) act(m *Machine) {
	m.changed()
	m.programs[a.Path] = &a.Program
}

func (a MakeDir) act(m *Machine) {
	m.remove(a.Path)
	m.files[a.Path] = nil
}

func (a Distrust) act(m *Machine) {
	if f := m.files[a.Path]; f != nil {
		own := *f
		own.untrusted = true
		m.files[a.Path] = &own
	}
}

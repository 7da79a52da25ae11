package simkernel

import (
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// setUpFiles makes the files that a machine has from the start.
func (m *Machine) setUpFiles() {
	m.nodes = make([]node, 2*(len(m.cfg.Files)+len(m.cfg.Programs))+chunk)
	m.setUpMounts()
	if len(m.cfg.Mounts) == 0 {
		m.furnishDev(m.plant("/dev", kindDir, 0o755).node)
	}
	for p, text := range m.cfg.Files {
		if m.inherits(p) {
			continue
		}
		n := m.plant(p, kindFile, 0o644).node
		if n.fs.disk != nil {
			m.store(n, 0, []byte(text), int64(len(text)))
			continue
		}
		n.text = text
		n.fs.used += n.takes()
	}
	for _, d := range m.cfg.Dirs {
		if !m.inherits(d) {
			m.plant(d, kindDir, 0o755)
		}
	}
	for p, prog := range m.cfg.Programs {
		m.setUpProgram(p, &prog)
	}
	if _, own := m.cfg.Programs[shellPath]; !own && !m.cfg.NoShell {
		m.setUpProgram(shellPath, shell)
	}
}

// inherits reports whether a path is on a disk that an earlier machine had: what stands there is
// that one's, and the configuration adds nothing.
func (m *Machine) inherits(path string) bool {
	if len(m.disks) == 0 {
		return false
	}
	at := m.fs.root
	for name := range strings.SplitSeq(path, "/") {
		if name == "" {
			continue
		}
		c := m.lookup(nil, at.node, name)
		if c == nil {
			break
		}
		at = m.onto(place{at.mnt, c})
	}
	return at.node.fs.disk != nil && at.node.fs.disk.boots > 1
}

// setUpProgram makes a program, or says what the file is that an earlier machine has left.
func (m *Machine) setUpProgram(path string, prog *Program) {
	if !m.inherits(path) {
		m.plantProgram(path, prog)
		return
	}
	if at, e := m.walk(nil, path, noFollow); e == 0 && at.node.kind == kindFile {
		at.node.program = prog
	}
}

// shell is the program behind shellPath if the configuration names no other.
var shell = &Program{Shell: true}

func (m *Machine) plantProgram(path string, prog *Program) {
	n := m.plant(path, kindFile, 0o755).node
	n.program = prog
	n.mode = 0o755
	if prog.NotExecutable {
		n.mode = 0o644
	}
}

// caller is the process that runs: one of the programs, or PID 1.
func (m *Machine) caller() *process {
	if m.current != nil {
		return m.current
	}
	return m.init
}

// readFile returns a file's bytes, a copy.
func (m *Machine) readFile(p *process, path string, flags walkFlags) (*node, []byte, kernel.Errno) {
	at, e := m.walk(p, path, flags)
	if e != 0 {
		return nil, nil, e
	}
	n := at.node
	switch {
	case n.kind == kindDir:
		return n, nil, kernel.EISDIR
	case n.kind == kindLink:
		return n, nil, syscall.ELOOP
	case n.kind != kindFile:
		return n, nil, 0 // a device: there is nothing to read
	case !m.permitted(p, n, mayRead):
		return n, nil, syscall.EACCES
	case n.fs.virtual != nil:
		text, e := n.fs.virtual.read(m, p, n.target)
		return n, []byte(text), e
	case n.length() > kernel.MaxFile:
		return n, nil, kernel.EFBIG
	}
	return n, n.load(), 0
}

func (k *pid1Calls) ReadFile(p string) ([]byte, error) {
	if e := k.enter(callReadFile); e != 0 {
		return nil, e
	}
	_, b, e := k.m.readFile(k.m.init, p, followLast)
	if e != 0 {
		return nil, e
	}
	return b, nil
}

func (k *pid1Calls) ReadTrusted(p string) ([]byte, error) {
	if e := k.enter(callReadTrusted); e != 0 {
		return nil, e
	}
	n, b, e := k.m.readFile(k.m.init, p, noFollow)
	if e == 0 && (n.kind != kindFile || n.uid != 0 || n.mode&0o022 != 0) {
		e = kernel.EPERM
	}
	if e != 0 {
		return nil, e
	}
	return b, nil
}

func (k *pid1Calls) Exists(p string) bool {
	k.enter(callExists)
	_, e := k.m.walk(k.m.init, p, followLast)
	return e == 0
}

func (k *pid1Calls) Remove(p string) error {
	if e := k.enter(callRemove); e != 0 {
		return e
	}
	m := k.m
	if at, e := m.walk(m.init, p, noFollow); e == 0 && at.node.tty != nil {
		delete(m.terminals, at.node.tty.path)
	}
	return asError(m.unlink(m.init, p, false))
}

func (k *pid1Calls) WriteAt(p string, b []byte, off int64) error {
	if e := k.enter(callWriteAt); e != 0 {
		return e
	}
	m := k.m
	f, e := m.open(m.init, p, syscall.O_WRONLY, 0)
	switch {
	case e != 0:
		return e
	case off < 0 && off != kernel.AtEnd:
		return kernel.EINVAL
	case f.tty != nil:
		return nil
	}
	f.off, f.appends = off, off == kernel.AtEnd
	_, e = m.write(m.init, f, b)
	return asError(e)
}

func (k *pid1Calls) Chdir(dir string) error {
	if e := k.enter(callChdir); e != 0 {
		return e
	}
	return asError(k.m.chdir(k.m.init, dir))
}

// chdir is chdir(2). The children of before stay where they are.
func (m *Machine) chdir(p *process, dir string) kernel.Errno {
	at, e := m.walk(p, dir, wantDir)
	switch {
	case e != 0:
		return e
	case !m.permitted(p, at.node, mayExec):
		return syscall.EACCES
	}
	at.mnt.used = true
	m.changeFS(p, func(s *fsState) { s.cwd = at })
	return 0
}

// chroot is chroot(2).
func (m *Machine) chroot(p *process, dir string) kernel.Errno {
	at, e := m.walk(p, dir, wantDir)
	switch {
	case e != 0:
		return e
	case !p.capable(CapSysChroot):
		return kernel.EPERM
	}
	at.mnt.used = true
	m.changeFS(p, func(s *fsState) { s.root = at })
	return 0
}

// changeFS changes what a process has of files, and not what it shares that with.
func (m *Machine) changeFS(p *process, how func(s *fsState)) {
	s := *m.fsOf(p)
	how(&s)
	if p.lead == m.init {
		m.fs = &s
	}
	p.lead.fs = &s
	m.reapLazy()
}

// Cwd is PID 1's working directory.
func (m *Machine) Cwd() string {
	path, _ := m.pathOf(m.fs.root, m.fs.cwd)
	return path
}

// File returns the text of a file, and whether there is one.
func (m *Machine) File(p string) (string, bool) {
	at, e := m.walk(nil, p, followLast)
	if e != 0 || at.node.kind != kindFile {
		return "", false
	}
	if v := at.node.fs.virtual; v != nil {
		text, e := v.read(m, m.init, at.node.target)
		return text, e == 0
	}
	return string(at.node.load()), true
}

// The actions on files. WriteFile is a step, too.
type (
	// WriteFile gives a file a new text, as a rename of a new file over it does.
	WriteFile struct{ Path, Text string }
	// RemoveFile removes a file, a program, a device or a directory with all that is in it.
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

func (a RemoveFile) act(m *Machine) {
	if at, e := m.walk(nil, a.Path, noFollow); e == 0 {
		m.removeAll(at.node)
	}
}

func (m *Machine) removeAll(n *node) {
	if n.parent == nil || n.fs.virtual != nil {
		return
	}
	for n.first != nil {
		m.removeAll(n.first)
	}
	if n.tty != nil {
		delete(m.terminals, n.tty.path)
	}
	m.drop(n)
}

func (a WriteFile) act(m *Machine) {
	if at, e := m.walk(nil, a.Path, noFollow); e == 0 && at.node.kind == kindDir {
		m.removeAll(at.node)
	}
	m.replace(a.Path, a.Text)
}

// replace puts a new plain file in the place of what is there. It is not asked who may.
func (m *Machine) replace(path, text string) kernel.Errno {
	at, e := m.walk(nil, path, noFollow)
	if e == 0 && at.node.kind == kindLink {
		at, e = m.walk(nil, path, followLast)
	}
	switch {
	case e == 0 && at.node.fs.virtual != nil:
		return at.node.fs.virtual.write(m, m.init, at.node.target, text)
	case e == 0 && at.node.kind != kindFile:
		return kernel.EISDIR
	case e == 0 && !at.writable():
		return syscall.EROFS
	}
	mode, prog := uint16(0o644), (*Program)(nil)
	if e == 0 {
		prog = at.node.program
		dir := place{at.mnt, at.node.parent}
		name := at.node.name
		m.drop(at.node)
		at = place{dir.mnt, m.enter(dir.node, name, stored{kind: kindFile, mode: mode})}
	} else {
		m.plant(path[:len(path)-len(base(path))], kindDir, 0o755)
		n, e := m.create(nil, path, stored{kind: kindFile, mode: mode})
		if e != 0 {
			return e
		}
		at.node = n
	}
	at.node.program = prog
	if at.node.fs.disk == nil && at.node.fs.size == 0 {
		at.node.text = text
		at.node.fs.used += blocks(int64(len(text)))
		return 0
	}
	_, e = m.store(at.node, 0, []byte(text), int64(len(text)))
	return e
}

// base is the last part of a path.
func base(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[i+1:]
		}
	}
	return path
}

func (a Install) act(m *Machine) { m.plantProgram(a.Path, &a.Program) }

func (a MakeDir) act(m *Machine) {
	RemoveFile(a).act(m)
	m.plant(a.Path, kindDir, 0o755)
}

func (a Distrust) act(m *Machine) {
	if at, e := m.walk(nil, a.Path, followLast); e == 0 {
		at.node.mode |= 0o022
	}
}

package simkernel

import (
	"slices"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// stdio is what a process has as descriptors 0, 1 and 2. It is never changed, so children share it.
type stdio [3]*openFile

func (s *stdio) get(fd int) *openFile {
	if s == nil {
		return nil
	}
	return s[fd]
}

// descriptor is a descriptor of PID 1.
type descriptor struct {
	fd      kernel.FD
	file    *openFile
	watched [2]bool
}

// readiness is an entry of the queue of descriptors that may be ready.
type readiness struct {
	d    *descriptor
	what kernel.Direction
}

// OpenFDs returns PID 1's open descriptors.
func (m *Machine) OpenFDs() []kernel.FD {
	var fds []kernel.FD
	for i, d := range m.fds {
		if d != nil {
			fds = append(fds, kernel.FD(i))
		}
	}
	return fds
}

func (m *Machine) descriptor(fd kernel.FD) (*descriptor, kernel.Errno) {
	if fd < 0 || int(fd) >= len(m.fds) || m.fds[fd] == nil {
		return nil, syscall.EBADF
	}
	return m.fds[fd], 0
}

// install opens f as the lowest free descriptor from low on.
func (m *Machine) install(f *openFile, low int) kernel.FD {
	fd := low
	for fd < len(m.fds) && m.fds[fd] != nil {
		fd++
	}
	for fd >= len(m.fds) {
		m.fds = append(m.fds, nil)
	}
	m.setFD(fd, f)
	return kernel.FD(fd)
}

func (m *Machine) setFD(fd int, f *openFile) {
	m.closeFD(kernel.FD(fd))
	d := &descriptor{fd: kernel.FD(fd), file: f}
	m.fds[fd] = d
	if f.tty != nil {
		f.tty.watchers = append(f.tty.watchers, d)
	}
	if fd < 3 {
		m.setStdio(fd, f)
	}
}

// setStdio changes what children inherit.
func (m *Machine) setStdio(fd int, f *openFile) {
	s := *m.stdio
	s[fd] = f
	m.stdio = &s
	if m.init != nil {
		m.init.stdio = &s
	}
}

func (m *Machine) closeFD(fd kernel.FD) {
	d := m.fds[fd]
	if d == nil {
		return
	}
	m.fds[fd] = nil
	if r := d.file.log; r != nil {
		m.closeKmsg(m.init, r)
	}
	if w := d.file.dog; w != nil {
		m.closeWatchdog(w)
	}
	if t := d.file.tty; t != nil {
		t.watchers = slices.DeleteFunc(t.watchers, func(w *descriptor) bool { return w == d })
	}
	if fd < 3 {
		m.setStdio(int(fd), nil)
	}
	m.reapLazy()
}

// openFor opens a path for reading and writing, for a process.
func (m *Machine) openFor(p *process, path string) (*openFile, kernel.Errno) {
	return m.open(p, path, syscall.O_RDWR, 0)
}

func (k *pid1Calls) Open(path string) (kernel.FD, error) {
	if e := k.enter(callOpen); e != 0 {
		return -1, e
	}
	f, e := k.m.openFor(k.m.init, path)
	if e != 0 {
		return -1, e
	}
	f.nonblock = true
	return k.m.install(f, 3), nil
}

func (k *pid1Calls) Reopen(fd kernel.FD, what kernel.Direction) (kernel.FD, error) {
	if e := k.enter(callReopen); e != 0 {
		return -1, e
	}
	d, e := k.m.descriptor(fd)
	if e != 0 {
		return -1, e
	}
	if n := d.file.at.node; n != nil && n.kind == kindFile {
		// A file that is opened anew would be written from its start: internal/linux
		// copies the descriptor instead, and both have one offset.
		return k.m.install(d.file, 3), nil
	}
	f := *d.file
	if f.dog != nil {
		return -1, kernel.EBUSY
	}
	if f.tty != nil && f.tty.OpenErr != 0 {
		return -1, f.tty.OpenErr
	}
	if f.dir && what == kernel.Out {
		return -1, kernel.EISDIR
	}
	f.off, f.nonblock = 0, true
	if f.tty != nil {
		f.life = f.tty.life
	}
	return k.m.install(&f, 3), nil
}

// stdioFrom makes path descriptors 0 to 2. If it cannot be opened they stay what they are.
func (m *Machine) stdioFrom(path string, ctty bool) kernel.Errno {
	f, e := m.openFor(m.init, path)
	if e != 0 {
		return e
	}
	for fd := range 3 {
		m.setFD(fd, f)
	}
	if ctty {
		m.controlByOpen(m.init, f)
	}
	return 0
}

func (k *pid1Calls) Stdio(path string, ctty bool) error {
	if e := k.enter(callStdio); e != 0 {
		return e
	}
	return asError(k.m.stdioFrom(path, ctty))
}

func (k *pid1Calls) FillStdio() {
	k.enter(callFillStdio)
	m := k.m
	for fd := range 3 {
		if m.fds[fd] != nil {
			continue
		}
		f, e := m.openFor(m.init, "/dev/null")
		if e != 0 {
			f = &openFile{at: m.fs.root, path: "/", dir: true, reads: true}
		}
		m.setFD(fd, f)
	}
}

func (k *pid1Calls) Close(fd kernel.FD) error {
	if e := k.enter(callClose); e != 0 {
		return e
	}
	if _, e := k.m.descriptor(fd); e != 0 {
		return e
	}
	k.m.closeFD(fd)
	return nil
}

// dead reports whether the terminal was hung up since it was opened: then there is nothing to read
// and no writing, for good.
func (f *openFile) dead() bool { return f.tty != nil && f.tty.life != f.life }

// poll reports whether a read or a write would not wait.
func (f *openFile) poll(what kernel.Direction) bool {
	switch {
	case f.log != nil && what == kernel.In:
		return f.log.ready()
	case f.tty == nil || f.dead():
		return true
	case what == kernel.In:
		return len(f.tty.in) > 0
	default:
		return f.tty.room() > 0
	}
}

// Read reads what there is. On descriptors 0 to 2 it looks first, as internal/linux does, for those
// are blocking.
func (k *pid1Calls) Read(fd kernel.FD, b []byte) (int, error) {
	if e := k.enter(callRead); e != 0 {
		return 0, e
	}
	d, e := k.m.descriptor(fd)
	if e != 0 {
		return 0, e
	}
	f := d.file
	switch {
	case f.tty == nil:
		n, e := k.m.read(k.m.init, f, b)
		return n, asError(e)
	case f.dead():
		return 0, nil
	case len(f.tty.in) == 0:
		return 0, kernel.EAGAIN
	}
	t := f.tty
	n := copy(b, t.in[0])
	if n == len(t.in[0]) {
		t.in = t.in[1:]
	} else {
		t.in[0] = t.in[0][n:]
	}
	return n, nil
}

// Write writes what there is room for. A blocking descriptor, which only 0 to 2 can be, waits for
// the rest (drivers/tty/n_tty.c, n_tty_write).
func (k *pid1Calls) Write(fd kernel.FD, b []byte) (int, error) {
	if e := k.enter(callWrite); e != 0 {
		return 0, e
	}
	m := k.m
	d, e := m.descriptor(fd)
	if e != 0 {
		return 0, e
	}
	f := d.file
	switch {
	case f.dir:
		return 0, syscall.EBADF
	case f.dead():
		return 0, kernel.EIO
	case f.tty == nil:
		n, e := m.write(m.init, f, b)
		return n, asError(e)
	case len(b) > 0 && f.tty.room() <= 0:
		return 0, kernel.EAGAIN
	}
	n := m.put(f.tty, b)
	if n < len(b) && !f.nonblock {
		k.block("write", func() bool {
			if !f.dead() {
				n += m.put(f.tty, b[n:])
			}
			return n == len(b) || f.dead()
		})
	}
	return n, nil
}

func (k *pid1Calls) Unsent(fd kernel.FD) int {
	k.enter(callUnsent)
	d, e := k.m.descriptor(fd)
	if e != 0 || d.file.tty == nil || d.file.dead() {
		return 0
	}
	return d.file.tty.unsent()
}

func (k *pid1Calls) IsVT(fd kernel.FD) bool {
	k.enter(callIsVT)
	d, e := k.m.descriptor(fd)
	return e == 0 && d.file.tty != nil && d.file.tty.VT
}

func (k *pid1Calls) Sane(fd kernel.FD) {
	k.enter(callSane)
	if d, e := k.m.descriptor(fd); e == 0 {
		k.m.saneTTY(d.file)
	}
}

func (k *pid1Calls) Watch(fd kernel.FD, what kernel.Direction) error {
	if e := k.enter(callWatch); e != 0 {
		return e
	}
	m := k.m
	d, e := m.descriptor(fd)
	if e != 0 {
		return e
	}
	d.watched[what] = true
	if r := d.file.log; r != nil {
		r.watcher = d
	}
	if d.file.poll(what) {
		m.ready = append(m.ready, readiness{d, what})
	}
	return nil
}

// tellWatchers queues the watched descriptors of a terminal.
func (m *Machine) tellWatchers(t *terminal, what kernel.Direction) {
	for _, d := range t.watchers {
		if d.watched[what] {
			m.ready = append(m.ready, readiness{d, what})
		}
	}
}

// takeReady returns a descriptor that is ready. It asks once more, for somebody else may have
// taken the input, or the descriptor may be closed: epoll_wait(2) does so too.
func (m *Machine) takeReady() (kernel.Ready, bool) {
	for len(m.ready) > 0 {
		r := m.ready[0]
		m.ready = slices.Delete(m.ready, 0, 1)
		if m.fds[r.d.fd] == r.d && r.d.watched[r.what] && r.d.file.poll(r.what) {
			r.d.watched[r.what] = false
			return kernel.Ready{FD: r.d.fd, What: r.what}, true
		}
	}
	return kernel.Ready{}, false
}

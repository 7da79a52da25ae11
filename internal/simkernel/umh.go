package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// helpersTimeout is how long usermodehelper_disable waits for the helpers that are being started
// (kernel/umh.c, RUNNING_HELPERS_TIMEOUT).
const helpersTimeout = 5 * time.Second

// usermodehelper is the kernel's way of starting programs (kernel/umh.c).
type usermodehelper struct {
	disabled bool
	starting int        // helpers that have not executed their program yet
	waiters  []*wayDown // for there to be none
}

// disableUsermodehelper lets no helper start any more, and waits for those that are starting. If
// they take too long it is all taken back, which nobody on the way down looks at (kernel/umh.c,
// __usermodehelper_disable).
func (m *Machine) disableUsermodehelper(w *wayDown) bool {
	u := &m.reboot.umh
	w.i++
	if w.i == 1 {
		u.disabled = true
		m.trace("usermodehelper_disable", "")
		if u.starting == 0 {
			return false
		}
		u.waiters = append(u.waiters, w)
		w.until = m.now + helpersTimeout
		return true
	}
	u.waiters = slices.DeleteFunc(u.waiters, func(x *wayDown) bool { return x == w })
	if u.starting > 0 {
		u.disabled = false
		m.trace("usermodehelper_disable", "timed out: enabled again")
	}
	return false
}

// helper is a program that the kernel starts, and waits for until it is executed or cannot be
// (kernel/umh.c, UMH_WAIT_EXEC).
type helper struct {
	p     *process
	errno kernel.Errno
	then  func(kernel.Errno)
}

// callUsermodehelper starts a program as a child of kthreadd, which reaps it (kernel/umh.c,
// call_usermodehelper_exec). then is told the errno, 0 if the program runs.
func (m *Machine) callUsermodehelper(command string, then func(kernel.Errno)) {
	argv := strings.Fields(command)
	if len(argv) == 0 {
		then(kernel.EINVAL)
		return
	}
	u := &m.reboot.umh
	if u.disabled {
		then(syscall.EBUSY)
		return
	}
	kthreadd := m.find(2)
	// It ignores SIGCHLD, so that nobody waits for the child.
	kthreadd.ignored.add(syscall.SIGCHLD)
	p, e := m.fork(kthreadd)
	if e != 0 {
		then(e)
		return
	}
	p.blocked, p.ignored, p.stdio = 0, 0, nil // flush_signal_handlers
	u.starting++
	h := &helper{p: p, then: then}
	img, e := m.execveKernel(argv)
	if e != 0 {
		h.errno = e
		p.frame = frame{steps: []Step{Exit{0}}}
		m.post(m.now, h)
	} else {
		m.load(p, img)
		if img.load != kernel.Never {
			// This comes first: the process is put to sleep until the same instant
			// only when it has its turn.
			m.post(m.now+img.load, h)
		}
	}
	m.wake(p)
}

// execveKernel finds a program as the kernel does for itself: without PATH, and without a shell for
// a text that does not name one (fs/exec.c, kernel_execve).
func (m *Machine) execveKernel(argv []string) (*image, kernel.Errno) {
	p, e := m.executable(argv[0])
	if e != 0 {
		return nil, e
	}
	if p.Text {
		return nil, syscall.ENOEXEC
	}
	return m.newImage(p, argv, []string{"HOME=/", "PATH=/sbin:/bin:/usr/sbin:/usr/bin"})
}

// act is the end of a helper's start.
func (h *helper) act(m *Machine) {
	if h.errno == 0 && (m.find(h.p.pid) != h.p || h.p.state == Zombie) {
		h.errno = kernel.EINTR // It was killed while it was being loaded.
	}
	u := &m.reboot.umh
	u.starting--
	if u.starting == 0 {
		for _, w := range u.waiters {
			m.hurry(w)
		}
	}
	h.then(h.errno)
}

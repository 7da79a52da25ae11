package simkernel

import (
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// image is a program that a process is about to become.
type image struct {
	prog *Program
	argv []string
	env  []string
	load time.Duration
}

const shellPath = "/bin/sh"

// execvp finds the program to run, as execvp(3) does: it goes on to the next path where there is
// no such file, or none that may be executed, and says EACCES in the end if there was one of those.
// An executable text without "#!" is run by /bin/sh [BusyBox 3.14].
func (m *Machine) execvp(paths, argv, env []string) (*image, kernel.Errno) {
	errno, denied := kernel.Errno(kernel.ENOENT), false
	for _, path := range paths {
		p, e := m.executable(path)
		switch e {
		case 0:
			if p.Text {
				if _, e := m.executable(shellPath); e != 0 {
					return nil, e
				}
				args := []string{shellPath, path}
				if len(argv) > 1 {
					args = append(args, argv[1:]...)
				}
				argv = args
			}
			return m.newImage(p, argv, env)
		case syscall.EACCES:
			denied = true
		case kernel.ENOENT, syscall.ENOTDIR:
		default:
			return nil, e
		}
		errno = e
	}
	if denied {
		return nil, syscall.EACCES
	}
	return nil, errno
}

// executable finds a program by its path.
func (m *Machine) executable(path string) (*Program, kernel.Errno) {
	if path == "" {
		return nil, kernel.ENOENT
	}
	p := m.caller()
	at, e := m.walk(p, path, followLast)
	switch {
	case e != 0:
		return nil, e
	case at.node.program == nil || !m.permitted(p, at.node, mayExec) ||
		at.mnt.flags&syscall.MS_NOEXEC != 0:
		// A directory, a device, or a file without the permission.
		return nil, syscall.EACCES
	}
	return at.node.program, 0
}

// newImage is the program with its arguments. A shell that is told to exec another program becomes
// that at once, after the time for both.
func (m *Machine) newImage(p *Program, argv, env []string) (*image, kernel.Errno) {
	img := &image{prog: p, argv: argv, env: env, load: m.loadTime(p)}
	if !p.Shell || len(argv) < 3 || argv[1] != "-c" {
		return img, 0
	}
	words := strings.Fields(argv[2])
	if len(words) > 0 && words[0] == "exec" {
		words = words[1:]
	}
	if len(words) == 0 {
		img.prog = &Program{}
		return img, 0
	}
	next, e := m.execvp(pathSearch(words[0], env), words, env)
	if e != 0 {
		code, why := 127, "not found"
		if e == syscall.EACCES {
			code, why = 126, "Permission denied"
		}
		img.prog = &Program{Steps: []Step{
			Say{"sh: exec: " + words[0] + ": " + why}, Exit{code},
		}}
		return img, 0
	}
	if img.load == kernel.Never || next.load == kernel.Never {
		next.load = kernel.Never
	} else {
		next.load += img.load
	}
	return next, 0
}

// pathSearch returns the files that a name without a slash may be.
func pathSearch(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	path := "/bin:/usr/bin" // execvp(3), where there is no PATH
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			path = p
		}
	}
	var paths []string
	for dir := range strings.SplitSeq(path, ":") {
		if dir == "" {
			dir = "."
		}
		paths = append(paths, dir+"/"+name)
	}
	return paths
}

func (m *Machine) loadTime(p *Program) time.Duration {
	d := p.Load
	if d == 0 {
		d = m.cfg.ExecTime
	}
	return m.vary(d)
}

// load makes p load a program, and run it then.
func (m *Machine) load(p *process, img *image) {
	p.lead.argv, p.lead.self = img.argv, nil
	if img.env != nil {
		p.lead.self = &self{environ: img.env}
	}
	p.frames = nil
	p.frame = frame{steps: loading, image: img}
}

// loading is the one step of a process that loads a program.
var loading = []Step{loadStep{}}

type loadStep struct{}

func (loadStep) step() {}

// do waits for the disk in state D. A fatal signal ends that (filemap_fault waits killably),
// unless the disk is dead.
func (loadStep) do(m *Machine, p *process) verdict {
	f := &p.frame
	img := f.image
	if !f.begun {
		f.begun, f.until = true, kernel.Never
		if img.load != kernel.Never {
			f.until = m.now + img.load
		}
	}
	if m.now < f.until {
		p.flags.set(taskKillable, img.load != kernel.Never)
		m.sleepUntil(p, f.until, Uninterruptible)
		return again
	}
	if !m.deThread(p) {
		return again
	}
	first := m.beginNewExec(p, img.prog)
	steps := img.prog.Steps
	if img.prog.Main != nil {
		steps = img.prog.Main(img.argv)
	}
	if img.prog.Shell && len(img.argv) < 2 {
		steps = interactiveShell
	}
	first.frame = frame{steps: steps}
	if first != p {
		m.wake(first)
		return gone
	}
	return jumped
}

// deThread ends the other threads of a process that executes a program, and reports whether they
// have ended. Until then the one that executes waits in killable D (fs/exec.c, de_thread).
func (m *Machine) deThread(t *process) bool {
	if t.alone() {
		t.flags &^= taskExecing
		return true
	}
	if !t.is(taskExecing) {
		t.flags |= taskExecing
		m.zapOtherThreads(t)
	}
	t.flags |= taskKillable
	m.setState(t, Uninterruptible)
	return false
}

// beginNewExec makes a process forget what it was (fs/exec.c, begin_new_exec). It returns the only
// thread, which bears the number of the process.
func (m *Machine) beginNewExec(t *process, prog *Program) *process {
	p := m.leadAfterExec(t)
	m.execCred(p, prog)
	p.handlers = nil // what was ignored stays so (flush_signal_handlers)
	p.signal &^= signalNoCldStop | signalNoCldWait
	p.signal |= signalExeced
	p.exitSignal = uint8(syscall.SIGCHLD)
	m.completeVfork(p)
	return p
}

// ExecTakes changes how long loading a program takes from now on, unless the program says itself.
type ExecTakes struct{ Time time.Duration }

func (a ExecTakes) act(m *Machine) { m.cfg.ExecTime = a.Time }

// Exec replaces PID 1.
func (k *pid1Calls) Exec(c *kernel.Command) error {
	if e := k.enter(callExec); e != 0 {
		return &kernel.StartError{Stage: kernel.StageExec, Errno: e}
	}
	m := k.m
	if c.TTY != "" {
		if e := m.stdioFrom(c.TTY, true); e != 0 {
			return &kernel.StartError{Stage: kernel.StageTTY, Errno: e}
		}
	}
	if c.TakeTTY {
		m.takeTTY(m.init)
	}
	m.saneTTY(m.stdio[0])
	img, e := m.execvp(c.Paths, c.Argv, c.Env)
	if e != 0 {
		return &kernel.StartError{Stage: kernel.StageExec, Errno: e}
	}
	k.blockFor("Exec", img.load)
	// An exec waits for the other threads, and one that hangs in D does not end.
	m.zapOtherThreads(m.init)
	k.block("Exec", func() bool { return len(m.init.others()) == 0 })
	// Close-on-exec is everything above 2.
	for fd := 3; fd < len(m.fds); fd++ {
		m.closeFD(kernel.FD(fd))
	}
	own := *c
	m.init.argv, m.init.cmd = img.argv, &own
	m.finish(End{How: Execed, Command: &own})
	k.check()
	return nil
}

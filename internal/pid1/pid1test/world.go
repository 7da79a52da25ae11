// Package pid1test boots PID 1 on a simulated machine, for the tests of its parts.
//
// A test says what is on the machine and what happens to it, boots, and looks at what is left:
//
//	w := pid1test.New(t, pid1test.Setup{Inittab: `
//		::sysinit:actor say hello
//		::respawn:actor pause
//	`})
//	w.At(2*time.Second, simkernel.Signals(kernel.SIGUSR2))
//	w.Boot()
//	w.WantEnd(simkernel.PoweredOff, 2*time.Second)
//
// Boot also checks what must hold whatever the test is about: PID 1 has waited nowhere but in
// Next, holds no descriptor that it does not need, has left no zombie, and never had two processes
// of one entry at a time.
package pid1test

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TB is what is needed of a test: a *testing.T or a *rapid.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Setup is a machine, and how PID 1 is started on it.
type Setup struct {
	simkernel.Config

	// Inittab is the text of /etc/inittab, and Conf that of /etc/rebound.conf. There is no
	// such file where it is empty. They may be indented by tabs.
	Inittab string
	Conf    string
	// Args and Env are what PID 1 is given.
	Args, Env []string
	// Linuxrc is for an init that is not PID 1.
	Linuxrc bool

	// Mounts are the file systems that are there before PID 1.
	Mounts []kernel.Mount

	// Prompts is how many terminals may be waited for at the end, each of which takes a
	// descriptor.
	Prompts int
	// Twice allows two processes of one entry.
	Twice bool
	// Crash, if set, is asked before each wait of PID 1 whether it is to crash there. Waits
	// are counted from 1.
	Crash func(wait int) bool
}

// Spawned is a command that PID 1 has started.
type Spawned struct {
	At  time.Duration
	PID kernel.PID
	*kernel.Command
}

// Called is a system call that a child of PID 1 was to make.
type Called struct {
	At time.Duration
	kernel.Call
}

// World is a simulated machine with PID 1 on it.
type World struct {
	*simkernel.Machine
	// End is how it ended.
	End simkernel.End
	// Spawned and Called are what PID 1 has started, in order.
	Spawned []Spawned
	Called  []Called
	// SetProcs are the files of proc that PID 1 has written, as NAME=VALUE.
	SetProcs []string
	// Crashes is how often PID 1 has crashed, and NoSyslog how often it has turned syslog
	// off.
	Crashes  int
	NoSyslog int

	t     TB
	setup Setup
	waits int
	state []byte // the snapshot that a crashed init has left
	last  map[string]kernel.PID
}

// ExecTime is how long it takes to load a program, if the setup does not say otherwise.
const ExecTime = time.Millisecond

// initPath is where PID 1's program lies.
const initPath = "/sbin/init"

// New makes a machine. Besides what the setup names, there is /bin/actor, which does what its
// arguments say.
func New(t TB, s Setup) *World {
	files := maps.Clone(s.Files)
	if files == nil {
		files = make(map[string]string)
	}
	if s.Inittab != "" {
		files[pid1.InittabPath] = Text(s.Inittab)
	}
	if s.Conf != "" {
		files[pid1.ConfigPath] = Text(s.Conf)
	}
	programs := maps.Clone(s.Programs)
	if programs == nil {
		programs = make(map[string]simkernel.Program)
	}
	programs["/bin/actor"] = actorProgram()
	// The time it takes would count as blocking.
	programs[initPath] = simkernel.Program{Load: time.Nanosecond}
	s.Files, s.Programs = files, programs
	if s.ExecTime == 0 {
		s.ExecTime = ExecTime
	}
	return &World{
		Machine: simkernel.New(s.Config), t: t, setup: s, last: make(map[string]kernel.PID),
	}
}

// Text takes the indentation from a text.
func Text(s string) string {
	lines := strings.SplitAfter(strings.TrimPrefix(s, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimLeft(lines[i], "\t")
	}
	return strings.Join(lines, "")
}

// Boot runs PID 1 until the machine ends, or until it has nothing more to do and nobody asks it
// to. A crash is survived as internal/linux survives it: the snapshot goes to a new init in the
// same process.
func (w *World) Boot() simkernel.End {
	w.t.Helper()
	return w.Resume(nil)
}

// Resume is Boot for an init that takes over with the snapshot of a crashed one.
func (w *World) Resume(state []byte) simkernel.End {
	w.t.Helper()
	w.state = state
	for crashed := true; crashed; {
		before := w.Crashes
		w.End = w.Machine.Boot(w.run)
		crashed = w.Crashes > before && w.End.How == simkernel.Execed
	}
	w.check()
	return w.End
}

// run runs one init. It does not come back if that crashes.
func (w *World) run(k kernel.Kernel) int {
	in := pid1.New(&recorder{Kernel: k, w: w}, pid1.Options{
		Args: w.setup.Args, Env: w.setup.Env, Linuxrc: w.setup.Linuxrc, State: w.state,
		NoSyslog: func() { w.NoSyslog++ },
	})
	if w.Crashes == 0 {
		for _, m := range w.setup.Mounts {
			if err := k.Mount(m); err != nil {
				w.t.Fatalf("mount %s: %v", m.Target, err)
			}
		}
	}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v != Crash {
			panic(v)
		}
		w.Crashes++
		w.state = in.Snapshot()
		_ = k.Exec(&kernel.Command{Paths: []string{initPath}, Argv: []string{"init"}})
	}()
	return in.Run()
}

// Crash is what PID 1 panics with when a test asks for it, here or in Config.Trace.
const Crash = "a crash that the test has asked for"

// recorder is the simulated kernel, with notes of what PID 1 asks it for.
type recorder struct {
	kernel.Kernel
	w *World
}

func (r *recorder) Next(deadline time.Duration) kernel.Event {
	w := r.w
	w.waits++
	if w.setup.Crash != nil && w.setup.Crash(w.waits) {
		panic(Crash)
	}
	return r.Kernel.Next(deadline)
}

func (r *recorder) Spawn(c *kernel.Command) (kernel.PID, error) {
	w := r.w
	if !w.setup.Twice {
		w.checkAlone(c)
	}
	pid, err := r.Kernel.Spawn(c)
	if err == nil {
		own := *c // PID 1 uses its slices again.
		own.Paths, own.Argv = slices.Clone(c.Paths), slices.Clone(c.Argv)
		w.Spawned = append(w.Spawned, Spawned{w.Now(), pid, &own})
		w.last[key(c)] = pid
	}
	return pid, err
}

func (r *recorder) Call(c kernel.Call) (kernel.PID, error) {
	pid, err := r.Kernel.Call(c)
	if err == nil {
		r.w.Called = append(r.w.Called, Called{r.w.Now(), c})
	}
	return pid, err
}

func (r *recorder) SetProc(name, value string) error {
	err := r.Kernel.SetProc(name, value)
	if err == nil {
		r.w.SetProcs = append(r.w.SetProcs, name+"="+value)
	}
	return err
}

// checkAlone checks that the last process of the same entry is gone.
func (w *World) checkAlone(c *kernel.Command) {
	w.t.Helper()
	p, ok := w.Process(w.last[key(c)])
	if ok && p.State != simkernel.Zombie && p.Command != nil && key(p.Command) == key(c) {
		w.t.Errorf("%v: a second %q is started beside pid %d", w.Now(), c.Argv, p.PID)
	}
}

// key tells entries apart.
func key(c *kernel.Command) string { return c.TTY + "\x00" + strings.Join(c.Argv, "\x00") }

// check checks what must hold for every boot.
func (w *World) check() {
	w.t.Helper()
	for _, b := range w.Blocked() {
		if b.Call != "Exec" && b.Call != "RebootSelf" {
			w.t.Errorf("PID 1 has waited in %s at %v for %v", b.Call, b.At, b.For)
		}
	}
	// Three for the children, one for the console, one for the kernel log if it is followed, and one
	// for each watchdog.
	most := 4 + w.setup.Prompts + len(w.setup.Watchdogs)
	if w.Calls("FollowLog") > 0 {
		most++
	}
	if fds := w.OpenFDs(); len(fds) > most {
		w.t.Errorf("open descriptors at the end: got  %v\nwant at most %d", fds, most)
	}
	if n := w.Count(simkernel.Zombie); w.Alive() && n > 0 {
		w.t.Errorf("%d zombies are left", n)
	}
}

// Waits is how often PID 1 has waited.
func (w *World) Waits() int { return w.waits }

// Alive reports whether PID 1 still ran at the end, and waited for something to happen.
func (w *World) Alive() bool {
	return w.End.How == simkernel.TimedOut ||
		w.End.How == simkernel.Stuck && strings.HasPrefix(w.End.Text, "waiting for an event")
}

// Look calls f at a time since boot.
func (w *World) Look(at time.Duration, f func()) {
	w.At(at, simkernel.Do(func(*simkernel.Machine) { f() }))
}

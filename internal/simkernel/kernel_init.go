package simkernel

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// noInitProfile is what the kernel says when it finds no init (init/main.c, kernel_init). The names in
// braces are the program's and the number of its error.
type noInitProfile struct {
	// runs is said before each try, if anything is.
	runs string
	// rdinit and init are said when the one that was asked for cannot be run. If fatal that
	// is the end.
	rdinit, init saying
	fatal        bool
	// other is said of the usual ones that are there and cannot be run.
	other string
	none  string
	// The lines of a root that cannot be mounted (init/do_mounts.c), and what file systems the
	// kernel has for disks, if it tells.
	root, filesystems []string
}

// The versions of kernel_init [Kernel 3.29, 3.30].
var (
	noInit26 = noInitProfile{
		rdinit: saying{warning, "Failed to execute {init}"},
		init:   saying{warning, "Failed to execute {init}.  Attempting defaults..."},
		none:   "No init found.  Try passing init= option to kernel.",
		root: []string{
			"VFS: Cannot open root device \"{root}\" or {dev}",
			"Please append a correct \"root=\" boot option",
		},
	}
	noInit2624 = noInit26.with(func(p *noInitProfile) {
		p.root = []string{noInit26.root[0], rootPartitions}
	})
	noInit3 = noInit26.with(func(p *noInitProfile) {
		p.rdinit.level, p.init.level = kernel.Error, kernel.Error
		p.none += " See Linux Documentation/init.txt for guidance."
		p.root = []string{noInit26.root[0] + ": error {err}", rootPartitions}
	})
	noInit4 = noInitProfile{
		rdinit: saying{kernel.Error, "Failed to execute {init} (error {err})"},
		init:   saying{text: "Requested init {init} failed (error {err})."},
		fatal:  true,
		other:  "Starting init: {init} exists but couldn't execute it (error {err})",
		none: "No working init found.  Try passing init= option to kernel. " +
			"See Linux Documentation/admin-guide/init.rst for guidance.",
		root: noInit3.root,
	}
	noInit5 = noInit4.with(func(p *noInitProfile) { p.runs = "Run {init} as init process" })
	// All that Debian's kernels have for disks and need no module for.
	noInit612 = noInit5.with(func(p *noInitProfile) {
		p.filesystems = []string{"List of all bdev filesystems:", " fuseblk", ""}
	})
)

const rootPartitions = "Please append a correct \"root=\" boot option; here are the available partitions:"

func (p noInitProfile) with(change func(*noInitProfile)) noInitProfile {
	change(&p)
	return p
}

// usualInits are those that are tried without being asked for.
var usualInits = []string{"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}

// NoInit is a machine whose kernel finds no init that it can run.
type NoInit struct {
	// Rdinit and Init are those of the command line, if any.
	Rdinit, Init string
	// Broken are the programs that are there and cannot be run, with the error. The others
	// are not there.
	Broken []BrokenInit
}

// BrokenInit is a program that cannot be run.
type BrokenInit struct {
	Path  string
	Errno kernel.Errno
}

func (f NoInit) fail(m *Machine, x *context) {
	if x.over(m) {
		return
	}
	x = m.firstTask(x)
	defer m.in("kernel_init")()
	p := &m.kernel.noInit
	try := func(path string, usual bool) string {
		e := kernel.Errno(syscall.ENOENT)
		for _, b := range f.Broken {
			if b.Path == path {
				e = b.Errno
			}
		}
		put := strings.NewReplacer("{init}", path, "{err}", fmt.Sprint(-int(e)))
		if p.runs != "" {
			m.printk(info, put.Replace(p.runs))
		}
		if usual && p.other != "" && e != syscall.ENOENT {
			m.printk(kernel.Error, put.Replace(p.other))
		}
		return put.Replace("{err}")
	}
	asked := func(path string, s saying) string {
		put := strings.NewReplacer("{init}", path, "{err}", try(path, false))
		return put.Replace(s.text)
	}
	if f.Rdinit != "" {
		m.printk(p.rdinit.level, asked(f.Rdinit, p.rdinit))
	}
	if f.Init != "" {
		text := asked(f.Init, p.init)
		if p.fatal {
			m.panic(x, "%s", text)
			return
		}
		m.printk(p.init.level, text)
	}
	for _, path := range usualInits {
		try(path, true)
	}
	m.panic(x, "%s", p.none)
}

// NoRoot is a machine whose kernel cannot mount its root.
type NoRoot struct {
	// Root is what the command line says, if it says anything, Device the kernel's name for
	// it: unknown-block(0,0) if it is empty.
	Root, Device string
	// Errno is why: ENXIO if it is 0.
	Errno kernel.Errno
	// Partitions are those that there are, as the kernel lists them.
	Partitions []string
}

func (f NoRoot) fail(m *Machine, x *context) {
	if x.over(m) {
		return
	}
	x = m.firstTask(x)
	defer m.in("mount_block_root")()
	if f.Device == "" {
		f.Device = "unknown-block(0,0)"
	}
	if f.Errno == 0 {
		f.Errno = syscall.ENXIO
	}
	root := strings.TrimPrefix(f.Root, "/dev/")
	if root == "" {
		root = "(null)"
	}
	put := strings.NewReplacer("{root}", root, "{dev}", f.Device, "{err}", fmt.Sprint(-int(f.Errno)))
	for _, line := range m.kernel.noInit.root {
		m.printk(defaultMessageLevel, put.Replace(line))
	}
	for _, line := range f.Partitions {
		m.printk(defaultMessageLevel, line)
	}
	for _, line := range m.kernel.noInit.filesystems {
		m.printk(kernel.Error, line)
	}
	m.panic(x, "VFS: Unable to mount root fs on %s", f.Device)
}

// firstTask is process 1 before it is init: it has the name of the idle task from which it came.
func (m *Machine) firstTask(x *context) *context {
	first := *x
	first.who = &occupant{comm: m.idleTask(0).comm, pid: 1, task: m.init}
	return &first
}

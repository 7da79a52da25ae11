package simkernel

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// pidFiles are the files of a process's directory, with their modes.
var pidFiles = [...]struct {
	name string
	mode uint16
	kind nodeKind
}{
	{"children", 0o444, kindFile},
	{"cmdline", 0o444, kindFile},
	{"comm", 0o644, kindFile},
	{"cwd", 0o777, kindLink},
	{"fd", 0o500, kindDir},
	{"mountinfo", 0o444, kindFile},
	{"mounts", 0o444, kindFile},
	{"root", 0o777, kindLink},
	{"stat", 0o444, kindFile},
	{"status", 0o444, kindFile},
	{"task", 0o555, kindDir},
	{"wchan", 0o444, kindFile},
}

// statPID says what is in the directory of a process.
func (m *Machine) statPID(p *process, path string) (nodeKind, uint16, bool) {
	if path == "" {
		return kindDir, 0o555, true
	}
	first, rest, more := strings.Cut(path, "/")
	for _, f := range pidFiles {
		if f.name != first {
			continue
		}
		switch {
		case !more:
			return f.kind, f.mode, true
		case first == "fd":
			n, err := strconv.Atoi(rest)
			return kindLink, 0o700, err == nil && m.anyFile(p, n) != nil
		case first == "task":
			tid, rest, _ := strings.Cut(rest, "/")
			t := m.processAt(tid)
			if t == nil || t.lead != p.lead {
				return 0, 0, false
			}
			return m.statPID(t, rest)
		}
	}
	return 0, 0, false
}

func (m *Machine) listPID(p *process, path string) []string {
	var names []string
	switch path {
	case "":
		for _, f := range pidFiles {
			names = append(names, f.name)
		}
	case "fd":
		for fd := range m.fileCount(p) {
			if m.anyFile(p, fd) != nil {
				names = append(names, strconv.Itoa(fd))
			}
		}
	case "task":
		for _, tid := range m.Tasks(p.pid) {
			names = append(names, strconv.Itoa(int(tid)))
		}
	default:
		if _, rest, ok := strings.Cut(path, "task/"); ok {
			_, rest, _ = strings.Cut(rest, "/")
			return m.listPID(p, rest)
		}
	}
	return names
}

// anyFile is a descriptor of a process or of PID 1, or nil.
func (m *Machine) anyFile(p *process, fd int) *openFile {
	if p != m.init {
		return m.fileOf(p, fd)
	}
	if fd >= 0 && fd < len(m.fds) && m.fds[fd] != nil {
		return m.fds[fd].file
	}
	return nil
}

// fileCount is above all descriptors of a process.
func (m *Machine) fileCount(p *process) int {
	if p == m.init {
		return len(m.fds)
	}
	if p.lead.fs == nil {
		return 3
	}
	return 3 + len(p.lead.fs.files)
}

// linkPID is a magic link of a process's directory: it leads to the file itself, whatever has
// happened to its name.
func (m *Machine) linkPID(p *process, path string) (string, place, kernel.Errno) {
	if p.state == Zombie {
		return "", place{}, kernel.ENOENT
	}
	var at place
	switch path {
	case "cwd":
		at = m.fsOf(p).cwd
	case "root":
		at = m.fsOf(p).root
	default:
		n, err := strconv.Atoi(strings.TrimPrefix(path, "fd/"))
		f := m.anyFile(p, n)
		if err != nil || f == nil {
			return "", place{}, kernel.ENOENT
		}
		at = f.at
	}
	name, _ := m.pathOf(m.fs.root, at)
	if at.node.gone {
		name += " (deleted)"
	}
	return name, at, 0
}

// Holders returns who keeps a mount busy: the processes that have files open below a path, or a
// directory there as theirs, by what /proc/PID shows. The path is that of the mount.
func (m *Machine) Holders(target string) []kernel.PID {
	at, e := m.walk(nil, target, followLast)
	if e != 0 {
		return nil
	}
	var pids []kernel.PID
	for p := m.all.first; p != nil; p = p.nextAll {
		if p.state == Zombie || p.is(taskKthread) {
			continue
		}
		holds := m.fsOf(p).cwd.mnt == at.mnt || m.fsOf(p).root.mnt == at.mnt && at.mnt.parent != nil
		for fd := range m.fileCount(p) {
			f := m.anyFile(p, fd)
			holds = holds || f != nil && f.at.mnt == at.mnt
		}
		if holds {
			pids = append(pids, p.pid)
		}
	}
	return slices.Clip(pids)
}

// pidText is a file of /proc/PID that is about files, or where a process sleeps.
func (m *Machine) pidText(p *process, name string) (string, kernel.Errno) {
	switch name {
	case "mountinfo", "mounts":
		switch {
		case p.state == Zombie:
			return "", kernel.EINVAL
		case name == "mounts":
			return m.mountTable(m.fsOf(p).root), 0
		}
		return m.mountinfo(m.fsOf(p).root), 0
	case "wchan":
		return p.wchan(), 0
	case "", "fd", "cwd", "root":
		return "", kernel.EISDIR
	}
	return "", kernel.ENOENT
}

// wchan is the kernel's function that a process sleeps in, or "0".
func (p *process) wchan() string {
	if p.state != Sleeping && p.state != Uninterruptible {
		return "0"
	}
	switch p.step().(type) {
	case Sync, syncStep, Fsync, Umount, umountOrReadOnly, Mount:
		return "folio_wait_bit_common"
	case Sleep:
		return "hrtimer_nanosleep"
	case Pause:
		return "sys_pause"
	case Wait, Run:
		return "do_wait"
	case ReadLine:
		return "n_tty_read"
	case Say, Write, Cat:
		return "n_tty_write"
	case loadStep:
		return "filemap_fault"
	case Reboot:
		return "device_shutdown"
	case Hang:
		return "rpc_wait_bit_killable"
	}
	return "0"
}

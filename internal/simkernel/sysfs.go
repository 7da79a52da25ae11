package simkernel

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysFS is sysfs(5), as far as the model has something to show: the disks, the knobs of rebooting,
// and the directories on which others are mounted.
type sysFS struct{}

// sysDirs are its directories besides those of disks.
var sysDirs = [...]string{
	"block", "bus", "class", "class/block", "dev", "devices", "firmware", "fs", "fs/bpf",
	"fs/cgroup", "fs/fuse", "fs/fuse/connections", "fs/pstore", "kernel", "kernel/config",
	"kernel/debug", "kernel/reboot", "kernel/security", "kernel/tracing", "module", "power",
}

// blockFiles are what stands in the directory of a disk.
var blockFiles = [...]struct {
	name string
	text func(m *Machine, d *Disk) string
}{
	{"dev", func(_ *Machine, d *Disk) string {
		n := deviceNumber(d.Name)
		return strconv.Itoa(int(n.major)) + ":" + strconv.Itoa(int(n.minor))
	}},
	{"ro", func(_ *Machine, d *Disk) string {
		if d.ReadOnly {
			return "1"
		}
		return "0"
	}},
	{"size", func(_ *Machine, d *Disk) string { return strconv.FormatInt(d.size()/512, 10) }},
	{"loop/backing_file", func(m *Machine, d *Disk) string { return strings.Join(d.On, "\n") }},
	{"dm/name", func(_ *Machine, d *Disk) string { return d.Name }},
}

// split takes the path of a file of a disk apart.
func (sysFS) split(m *Machine, path string) (*Disk, string) {
	rest, ok := strings.CutPrefix(path, "block/")
	if !ok {
		return nil, ""
	}
	name, rest, _ := strings.Cut(rest, "/")
	if d := m.Disk(name); d != nil && !d.onServer() {
		return d, rest
	}
	return nil, ""
}

// has reports whether a disk has a file: those of loop and dm devices only they do.
func (sysFS) has(d *Disk, name string) bool {
	kind, _, ok := strings.Cut(name, "/")
	return !ok || strings.HasPrefix(d.Name, kind)
}

func (s sysFS) stat(m *Machine, _ *process, path string) (nodeKind, uint16, bool) {
	if name, ok := strings.CutPrefix(path, sysReboot); ok {
		_, e := m.rebootKnob(name)
		return kindFile, 0o644, e == 0
	}
	if path == sysReboot[:len(sysReboot)-1] && !m.kernel.sysfs {
		return 0, 0, false
	}
	if slices.Contains(sysDirs[:], path) {
		return kindDir, 0o755, true
	}
	if kind, mode, ok := m.statAttr(path); ok {
		return kind, mode, true
	}
	if kind, mode, ok := m.statWatchdog(path); ok {
		return kind, mode, true
	}
	if kind, mode, ok := m.statCPU(path); ok {
		return kind, mode, true
	}
	d, name := s.split(m, path)
	if d == nil {
		return 0, 0, false
	}
	if name == "" || name == "holders" || name == "slaves" {
		return kindDir, 0o755, true
	}
	for _, f := range blockFiles {
		switch {
		case !s.has(d, f.name):
		case f.name == name:
			return kindFile, 0o444, true
		case strings.HasPrefix(f.name, name+"/"):
			return kindDir, 0o755, true
		}
	}
	dir, other, _ := strings.Cut(name, "/")
	if (dir == "holders" || dir == "slaves") && slices.Contains(s.list(m, nil, path[:len(path)-
		len(other)-1]), other) {
		return kindLink, 0o777, true
	}
	return 0, 0, false
}

func (s sysFS) list(m *Machine, _ *process, path string) []string {
	var names []string
	switch d, name := s.split(m, path); {
	case d != nil && name == "holders":
		for _, o := range m.disks {
			if slices.Contains(o.On, d.Name) || slices.Contains(o.On, "/dev/"+d.Name) {
				names = append(names, o.Name)
			}
		}
	case d != nil && name == "slaves":
		for _, on := range d.On {
			if o := m.Disk(strings.TrimPrefix(on, "/dev/")); o != nil {
				names = append(names, o.Name)
			}
		}
	case d != nil && name == "":
		names = append(names, "holders", "slaves")
		for _, f := range blockFiles {
			if first, _, _ := strings.Cut(f.name, "/"); s.has(d, f.name) {
				names = append(names, first)
			}
		}
	case path == sysReboot[:len(sysReboot)-1]:
		for _, name := range rebootKnobs {
			if _, e := m.rebootKnob(name); e == 0 {
				names = append(names, name)
			}
		}
	case path == "block":
		for _, d := range m.disks {
			if !d.onServer() {
				names = append(names, d.Name)
			}
		}
	default:
		for _, dir := range sysDirs {
			if path != "" {
				var ok bool
				if dir, ok = strings.CutPrefix(dir, path+"/"); !ok {
					continue
				}
			}
			if !strings.Contains(dir, "/") {
				names = append(names, dir)
			}
		}
	}
	names = append(names, m.listAttrs(path)...)
	names = append(names, m.listWatchdogs(path)...)
	names = append(names, m.listCPUs(path)...)
	slices.Sort(names)
	return slices.Compact(names)
}

// readlink leads from holders and slaves to the directory of the other disk.
func (sysFS) readlink(_ *Machine, _ *process, path string) (string, place, kernel.Errno) {
	return "../../" + base(path), place{}, 0
}

func (sysFS) open(m *Machine, _ *process, path string, write bool) kernel.Errno {
	if !write || strings.HasPrefix(path, sysReboot) {
		return 0
	}
	if a := findAttr(path); a != nil && a.mode&0o200 != 0 || a != nil && a.mode == 0 {
		return 0
	}
	if _, f := m.watchdogFile(path); f != nil && f.mode&0o200 != 0 {
		return 0
	}
	return syscall.EACCES
}

func (s sysFS) read(m *Machine, _ *process, path string) (string, kernel.Errno) {
	if name, ok := strings.CutPrefix(path, sysReboot); ok {
		return m.rebootKnob(name)
	}
	if findAttr(path) != nil {
		text, e := m.attr(path)
		if e != 0 {
			return "", e
		}
		return text + "\n", 0
	}
	if w, f := m.watchdogFile(path); f != nil {
		return f.text(w) + "\n", 0
	}
	d, name := s.split(m, path)
	for _, f := range blockFiles {
		if d != nil && f.name == name {
			return f.text(m, d) + "\n", 0
		}
	}
	return m.readCPU(path)
}

func (sysFS) write(m *Machine, p *process, path, text string) kernel.Errno {
	if name, ok := strings.CutPrefix(path, sysReboot); ok {
		return m.setRebootKnob(p, name, text)
	}
	if findAttr(path) != nil {
		return m.writeAttr(p, path, text)
	}
	if w, f := m.watchdogFile(path); f != nil {
		return m.setWatchdogFile(w, f, text)
	}
	return syscall.EACCES
}

// Sys reads a file of PID 1's own sysfs.
func (k *pid1Calls) Sys(name string) ([]byte, error) {
	if e := k.enter(callSys); e != 0 {
		return nil, e
	}
	if e := k.openSys(name, false); e != 0 {
		return nil, e
	}
	if kind, _, _ := (sysFS{}).stat(k.m, k.m.init, name); kind == kindDir {
		return nil, kernel.EISDIR
	}
	text, e := sysFS{}.read(k.m, k.m.init, name)
	if e != 0 {
		return nil, e
	}
	return []byte(text), nil
}

// SetSys writes a line into one.
func (k *pid1Calls) SetSys(name, value string) error {
	if e := k.enter(callSetSys); e != 0 {
		return e
	}
	if e := k.openSys(name, true); e != 0 {
		return e
	}
	return asError(sysFS{}.write(k.m, k.m.init, name, value+"\n"))
}

// openSys opens a file of PID 1's own sysfs.
func (k *pid1Calls) openSys(name string, write bool) kernel.Errno {
	switch kind, _, ok := (sysFS{}).stat(k.m, k.m.init, name); {
	case !ok:
		return kernel.ENOENT
	case kind != kindDir:
		return sysFS{}.open(k.m, k.m.init, name, write)
	case write:
		return kernel.EISDIR
	}
	return 0
}

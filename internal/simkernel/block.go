package simkernel

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// blockMajors are the numbers of the drivers of disks, by how their names begin. Those with letters
// have so many minor numbers for each (Documentation/admin-guide/devices.txt).
var blockMajors = [...]struct {
	prefix string
	major  uint16
	each   uint16 // 0: the name ends with the minor number
}{
	{"sd", 8, 16},
	{"vd", 254, 16},
	{"xvd", 202, 16},
	{"hd", 3, 64},
	{"loop", 7, 0},
	{"md", 9, 0},
	{"mmcblk", 179, 0},
	{"zram", 252, 0},
	{"dm-", 253, 0},
	{"nvme", 259, 0},
}

// deviceNumber is a disk's number, by its name.
func deviceNumber(name string) devID {
	for _, b := range blockMajors {
		rest, ok := strings.CutPrefix(name, b.prefix)
		if !ok || rest == "" {
			continue
		}
		if b.each == 0 {
			digits := strings.TrimLeftFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
			n, err := strconv.ParseUint(digits, 10, 8)
			if err == nil {
				return devID{b.major, uint16(n)}
			}
			continue
		}
		n := uint16(rest[0]-'a') * b.each
		if part, err := strconv.ParseUint(rest[1:], 10, 4); err == nil {
			n += uint16(part)
		}
		return devID{b.major, n}
	}
	// Whatever it is, it has a number of its own.
	h := uint16(0)
	for i := range len(name) {
		h = h*31 + uint16(name[i])
	}
	return devID{259, h}
}

// deviceOf is the number of a disk.
func (m *Machine) deviceOf(d *Disk) devID { return deviceNumber(d.Name) }

// diskOf is the disk with a number, or nil.
func (m *Machine) diskOf(dev devID) *Disk {
	for _, d := range m.disks {
		if deviceNumber(d.Name) == dev {
			return d
		}
	}
	return nil
}

// onServer reports whether it is no disk but a server's: "server:/export".
func (d *Disk) onServer() bool { return strings.ContainsAny(d.Name, ":/") }

// Plug puts one more disk into the machine.
type Plug struct{ Disk *Disk }

func (a Plug) act(m *Machine) {
	d := a.Disk
	d.attach(m)
	m.disks = append(m.disks, d)
	if !d.onServer() {
		m.addDevice("/dev/"+d.Name, node{
			kind: kindBlock, mode: 0o660, device: deviceNumber(d.Name),
		})
	}
}

// addDevice makes a device: where /dev is, and in the file system that the kernel keeps for
// devices, if it is in use.
func (m *Machine) addDevice(path string, like node) {
	n := m.plant(path, like.kind, like.mode).node
	n.kind, n.device, n.tty = like.kind, like.device, like.tty
	if name, ok := strings.CutPrefix(path, "/dev/"); ok {
		if s := m.singleton("devtmpfs"); s != nil && n.fs != s {
			twin := m.makePath(s.root, name, like.kind, like.mode)
			twin.device, twin.tty = like.device, like.tty
		}
	}
}

// singleton is the file system of a type of which there is but one, or nil.
func (m *Machine) singleton(fstype string) *superblock {
	for _, s := range m.singles {
		if s.typ.name == fstype {
			return s
		}
	}
	return nil
}

// charDevices are what the kernel itself puts into /dev.
var charDevices = [...]struct {
	name   string
	device devID
	mode   uint16
}{
	{"null", devNull, 0o666},
	{"tty", devTTY, 0o666},
	{"kmsg", devKmsg, 0o644},
	{"zero", devZero, 0o666},
	{"full", devFull, 0o666},
	{"random", devRandom, 0o666},
	{"urandom", devUrandom, 0o666},
}

// furnishDev puts the devices into a directory, but for terminals.
func (m *Machine) furnishDev(dir *node) {
	for _, c := range charDevices {
		m.make(dir, c.name, kindChar, c.mode).device = c.device
	}
	for _, d := range m.disks {
		if !d.onServer() {
			n := m.makePath(dir, d.Name, kindBlock, 0o660)
			n.device = deviceNumber(d.Name)
		}
	}
	for _, w := range m.watchdogs {
		for _, n := range w.nodes() {
			m.makePath(dir, n.name, kindChar, n.mode).device = n.device
		}
	}
}

// furnish gives a new file system what the kernel puts into it.
func (m *Machine) furnish(s *superblock) {
	switch s.typ.name {
	case "proc":
		s.virtual = procFS{}
	case "sysfs":
		s.virtual = sysFS{}
	case "tmpfs":
		if !strings.Contains(s.options, ",mode=") {
			s.root.mode = 0o1777
		}
	case pstoreType:
		m.pstoreMounted(s)
	case "devtmpfs":
		m.furnishDev(s.root)
		for path, t := range m.terminals {
			if name, ok := strings.CutPrefix(path, "/dev/"); ok {
				n := m.makePath(s.root, name, kindChar, 0o600)
				n.tty = t
				if path == consoleDevice {
					n.device = devConsole
				}
			}
		}
		// Where terminals and others are mounted.
		m.makePath(s.root, "pts", kindDir, 0o755)
		m.makePath(s.root, "shm", kindDir, 0o755)
	}
}

// heldBy is the disk that is made of d, or empty.
func (m *Machine) heldBy(d *Disk) string {
	for _, o := range m.disks {
		if slices.ContainsFunc(o.On, func(name string) bool {
			return strings.TrimPrefix(name, "/dev/") == d.Name
		}) {
			return o.Name
		}
	}
	return ""
}

// backing is the file that the kernel has open for a loop device.
type backing struct {
	disk *Disk
	file *openFile
}

// openBacking opens the files that disks are made of, if they are there by now.
func (m *Machine) openBacking() {
	for _, d := range m.disks {
		for _, name := range d.On {
			if strings.HasPrefix(name, "/dev/") || !strings.HasPrefix(name, "/") ||
				slices.ContainsFunc(m.backings, func(b backing) bool { return b.disk == d }) {
				continue
			}
			if f, e := m.open(nil, name, syscall.O_RDWR, 0); e == 0 {
				m.backings = append(m.backings, backing{d, f})
			}
		}
	}
}

// detachDisk takes a loop, dm or md device apart. A loop device that is mounted goes when it is not
// any more (drivers/block/loop.c, loop_clr_fd); the others are busy.
func (m *Machine) detachDisk(p *process, name string) (*ioWait, kernel.Errno) {
	d := m.Disk(strings.TrimPrefix(name, "/dev/"))
	switch {
	case d == nil:
		return nil, syscall.ENXIO
	case !p.capable(CapSysAdmin):
		return nil, kernel.EPERM
	case len(d.On) == 0:
		return nil, syscall.ENXIO // it is made of nothing
	}
	if d.super != nil || d.swap != nil || m.heldBy(d) != "" {
		if !strings.HasPrefix(d.Name, "loop") {
			return nil, syscall.EBUSY
		}
		d.goes = true
		return nil, 0
	}
	io := m.writeOut(d)
	io.then = func() { m.removeDisk(d) }
	return io, 0
}

// removeDisk takes a disk out of the machine.
func (m *Machine) removeDisk(d *Disk) {
	d.Reset()
	m.disks = slices.DeleteFunc(m.disks, func(o *Disk) bool { return o == d })
	m.backings = slices.DeleteFunc(m.backings, func(b backing) bool { return b.disk == d })
	if at, e := m.walk(nil, "/dev/"+d.Name, noFollow); e == 0 {
		m.drop(at.node)
	}
	m.reapLazy()
}

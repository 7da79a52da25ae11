package simkernel

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// swapArea is where memory is swapped to.
type swapArea struct {
	path     string
	file     *openFile
	disk     *Disk // that it lies on
	size     int64 // in bytes
	used     int64
	priority int
}

// swapMagic is how a plain file begins that mkswap(8) has prepared. Really it is the end of its
// first page.
const swapMagic = "SWAPSPACE2"

// swapon is swapon(2) (mm/swapfile.c).
func (m *Machine) swapon(p *process, path string) kernel.Errno {
	if !p.capable(CapSysAdmin) {
		return kernel.EPERM
	}
	f, e := m.open(p, path, syscall.O_RDWR, 0)
	if e != 0 {
		return e
	}
	n := f.at.node
	a := &swapArea{path: path, file: f, priority: -2 - m.swaps}
	switch n.kind {
	case kindBlock:
		d := m.diskOf(n.device)
		switch {
		case d.swap != nil || d.super != nil || m.heldBy(d) != "":
			return syscall.EBUSY
		case d.Type != "swap":
			return kernel.EINVAL
		}
		a.disk, a.size, d.swap = d, d.size(), a
	case kindFile:
		if slices.ContainsFunc(m.swapAreas, func(o *swapArea) bool { return o.file.at.node == n }) {
			return syscall.EBUSY
		}
		if !strings.HasPrefix(string(n.load()), swapMagic) {
			return kernel.EINVAL
		}
		a.disk, a.size = n.fs.disk, n.length()
	case kindDir, kindLink, kindChar, kindFifo, kindSocket:
		return kernel.EINVAL
	}
	m.swaps++
	m.swapAreas = append(m.swapAreas, a)
	return 0
}

// swapArea finds the area that a path is.
func (m *Machine) swapArea(p *process, path string) (*swapArea, kernel.Errno) {
	if !p.capable(CapSysAdmin) {
		return nil, kernel.EPERM
	}
	at, e := m.walk(p, path, followLast)
	if e != 0 {
		return nil, e
	}
	for _, a := range m.swapAreas {
		o := a.file.at.node
		if o == at.node || o.kind == kindBlock && at.node.kind == kindBlock &&
			o.device == at.node.device {
			return a, 0
		}
	}
	return nil, kernel.EINVAL
}

// swapoff reads what is in an area back, which takes its time: in D, but a fatal signal ends it
// (mm/swapfile.c, try_to_unuse).
func (m *Machine) swapoff(p *process, path string) (v verdict, e kernel.Errno) {
	a, e := m.swapArea(p, path)
	if e != 0 {
		return done, e
	}
	f := &p.frame
	if a.disk != nil && !a.disk.answers() {
		f.begun = false
		p.flags |= taskKillable
		m.sleepUntil(p, kernel.Never, Uninterruptible)
		a.disk.waits(p)
		return again, 0
	}
	if !f.begun && a.disk != nil {
		f.begun = true
		f.until = m.now + time.Duration(float64(a.used)/float64(a.disk.speed())*float64(time.Second))
	}
	if m.now < f.until {
		p.flags |= taskKillable
		m.sleepUntil(p, f.until, Uninterruptible)
		a.disk.waits(p)
		return again, 0
	}
	if a.disk != nil && a.disk.swap == a {
		a.disk.swap = nil
	}
	m.swapAreas = slices.DeleteFunc(m.swapAreas, func(o *swapArea) bool { return o == a })
	return done, 0
}

// swapTable is /proc/swaps (mm/swapfile.c, swap_show).
func (m *Machine) swapTable() string {
	var b strings.Builder
	b.WriteString("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
	for _, a := range m.swapAreas {
		kind := "partition"
		if a.file.at.node.kind == kindFile {
			kind = "file\t"
		}
		size, used := a.size/1024-4, a.used/1024
		fmt.Fprintf(&b, "%s%*s%s\t%d\t%s%d\t%s%d\n", a.path, max(40-len(a.path), 1), " ", kind,
			size, tabFor(size), used, tabFor(used), a.priority)
	}
	return b.String()
}

// tabFor keeps the columns of /proc/swaps in line.
func tabFor(n int64) string {
	if n < 10_000_000 {
		return "\t"
	}
	return ""
}

// SwapOut fills a swap area, by the path it was made one by, so far as there is room.
type SwapOut struct {
	Path  string
	Bytes int64
}

func (s SwapOut) act(m *Machine) {
	for _, a := range m.swapAreas {
		if a.path == s.Path {
			a.used = min(a.size, a.used+s.Bytes)
		}
	}
}

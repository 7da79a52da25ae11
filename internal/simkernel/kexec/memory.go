// Package kexec is kexec on simulated physical memory: how an image is loaded, how its page list is
// built and executed, what the new kernel finds in the registers, and what the old one leaves in
// memory for /proc/vmcore.
//
// It knows nothing of machines, processes or time: those are simkernel's. Functions that follow one
// of the kernel's say which.
package kexec

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// PageSize is that of all kernels of the model.
const PageSize = 4096

// A Region is a range of physical memory. Nothing is in one without a size.
type Region struct{ Start, Size uint64 }

// End is the first address after the region.
func (r Region) End() uint64 { return r.Start + r.Size }

// Holds reports whether the n bytes at an address are in the region.
func (r Region) Holds(addr, n uint64) bool {
	return addr >= r.Start && n <= r.Size && addr-r.Start <= r.Size-n
}

// overlaps reports whether two regions have a byte in common.
func (r Region) overlaps(o Region) bool {
	return r.Size > 0 && o.Size > 0 && r.Start < o.End() && o.Start < r.End()
}

// without are the parts of regions that are not in a hole.
func without(regions []Region, hole Region) []Region {
	var left []Region
	for _, r := range regions {
		if !r.overlaps(hole) {
			left = append(left, r)
			continue
		}
		if r.Start < hole.Start {
			left = append(left, Region{r.Start, hole.Start - r.Start})
		}
		if hole.End() < r.End() {
			left = append(left, Region{hole.End(), r.End() - hole.End()})
		}
	}
	return left
}

// A Fault is an access that the machine does not survive: to an address where there is no memory, or
// of a word across its boundary where the MMU that would allow it is off.
type Fault struct {
	Addr      uint64
	Unaligned bool
}

func (f *Fault) Error() string {
	if f.Unaligned {
		return fmt.Sprintf("access to %#x is not aligned", f.Addr)
	}
	return fmt.Sprintf("no memory at %#x", f.Addr)
}

// Memory is physical memory. Pages that nobody has written read as zeroes and cost nothing.
type Memory struct {
	ram   []Region
	pages map[uint64]*[PageSize]byte
}

// NewMemory makes a machine's memory. Regions that adjoin become one.
func NewMemory(ram ...Region) *Memory {
	m := &Memory{pages: make(map[uint64]*[PageSize]byte)}
	sorted := slices.SortedFunc(slices.Values(ram), func(a, b Region) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	for _, r := range sorted {
		if n := len(m.ram); n > 0 && m.ram[n-1].End() == r.Start {
			m.ram[n-1].Size += r.Size
		} else if r.Size > 0 {
			m.ram = append(m.ram, r)
		}
	}
	return m
}

// RAM is where there is memory, in order.
func (m *Memory) RAM() []Region { return slices.Clone(m.ram) }

// Size is how much memory there is, in bytes.
func (m *Memory) Size() uint64 {
	var n uint64
	for _, r := range m.ram {
		n += r.Size
	}
	return n
}

// Has reports whether there is memory for all of n bytes at an address.
func (m *Memory) Has(addr, n uint64) bool {
	return slices.ContainsFunc(m.ram, func(r Region) bool { return r.Holds(addr, n) })
}

// Read fills p from an address. The error is a *Fault, and p may be filled in part.
func (m *Memory) Read(addr uint64, p []byte) error {
	if !m.Has(addr, uint64(len(p))) {
		return &Fault{Addr: addr}
	}
	for len(p) > 0 {
		off := addr % PageSize
		n := min(uint64(len(p)), PageSize-off)
		if page := m.pages[addr/PageSize]; page != nil {
			copy(p[:n], page[off:])
		} else {
			clear(p[:n])
		}
		addr, p = addr+n, p[n:]
	}
	return nil
}

// Write puts p at an address. The error is a *Fault, and then nothing has been written.
func (m *Memory) Write(addr uint64, p []byte) error {
	if !m.Has(addr, uint64(len(p))) {
		return &Fault{Addr: addr}
	}
	for len(p) > 0 {
		off := addr % PageSize
		n := min(uint64(len(p)), PageSize-off)
		page := m.pages[addr/PageSize]
		if page == nil {
			page = new([PageSize]byte)
			m.pages[addr/PageSize] = page
		}
		copy(page[off:], p[:n])
		addr, p = addr+n, p[n:]
	}
	return nil
}

// touched reports whether somebody has written to a page.
func (m *Memory) touched(addr uint64) bool { return m.pages[addr/PageSize] != nil }

// zero clears whole pages, and forgets them.
func (m *Memory) zero(addr, n uint64) {
	for p := addr / PageSize; p < (addr+n)/PageSize; p++ {
		delete(m.pages, p)
	}
}

// Word reads a word of 4 or 8 bytes, the lowest first. Its address must be aligned.
func (m *Memory) Word(addr uint64, size int) (uint64, error) {
	if addr%uint64(size) != 0 {
		return 0, &Fault{Addr: addr, Unaligned: true}
	}
	var b [8]byte
	if err := m.Read(addr, b[:size]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// SetWord writes a word as Word reads it.
func (m *Memory) SetWord(addr uint64, size int, w uint64) error {
	if addr%uint64(size) != 0 {
		return &Fault{Addr: addr, Unaligned: true}
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], w)
	return m.Write(addr, b[:size])
}

// copyPage copies a page as the relocating code does, word by word: what it has written it may read
// again.
func (m *Memory) copyPage(to, from uint64, size int) error {
	if to%PageSize == 0 && from%PageSize == 0 && m.Has(to, PageSize) && m.Has(from, PageSize) {
		// Whole pages have no word in common, or all.
		if page := m.pages[from/PageSize]; page == nil {
			delete(m.pages, to/PageSize)
		} else if to != from {
			copied := *page
			m.pages[to/PageSize] = &copied
		}
		return nil
	}
	for off := uint64(0); off < PageSize; off += uint64(size) {
		w, err := m.Word(from+off, size)
		if err != nil {
			return err
		}
		if err := m.SetWord(to+off, size, w); err != nil {
			return err
		}
	}
	return nil
}

// frames are the page frames that the kernel may allocate: the lowest first, and those given back
// before others.
type frames struct {
	free []Region
	back []uint64
	out  map[uint64]bool
}

// take is the address of a page, or false if there is none.
func (f *frames) take() (uint64, bool) {
	addr, ok := f.next()
	if ok {
		f.out[addr] = true
	}
	return addr, ok
}

func (f *frames) next() (uint64, bool) {
	if n := len(f.back); n > 0 {
		addr := f.back[n-1]
		f.back = f.back[:n-1]
		return addr, true
	}
	for len(f.free) > 0 && f.free[0].Size < PageSize {
		f.free = f.free[1:]
	}
	if len(f.free) == 0 {
		return 0, false
	}
	addr := f.free[0].Start
	f.free[0].Start += PageSize
	f.free[0].Size -= PageSize
	return addr, true
}

// give takes a page back.
func (f *frames) give(addr uint64) {
	if !f.out[addr] {
		panic(fmt.Sprintf("kexec: page %#x given back, and nobody has it", addr))
	}
	delete(f.out, addr)
	f.back = append(f.back, addr)
}

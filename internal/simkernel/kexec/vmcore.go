package kexec

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
)

// The description of a crashed kernel's memory is an ELF header with a note segment for each CPU,
// one for vmcoreinfo, and a segment for each region of memory. Its offsets are physical addresses.
// The first kernel writes it when a crash image is loaded; the second makes /proc/vmcore of it.

// phdr is a program header, whatever its class.
type phdr struct {
	Type, Flags         uint32
	Off, Vaddr, Paddr   uint64
	Filesz, Memsz, Algn uint64
}

// form is how headers are written: ELF64, or ELF32 on 32 bits, where the kernel takes nothing else
// (arch/arm/include/asm/elf.h, vmcore_elf64_check_arch).
type form struct {
	class      elf.Class
	ehdr, phdr int // sizes
}

func (f *archFacts) form() form {
	if f.class == elf.ELFCLASS32 {
		return form{f.class, 52, 32}
	}
	return form{f.class, 64, 56}
}

// word appends an address or a size.
func (f form) word(b []byte, w uint64) []byte {
	if f.class == elf.ELFCLASS32 {
		return binary.LittleEndian.AppendUint32(b, uint32(w))
	}
	return binary.LittleEndian.AppendUint64(b, w)
}

func (f form) header(machine elf.Machine, n int) []byte {
	b := append([]byte(elf.ELFMAG), byte(f.class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT), 0)
	b = append(b, make([]byte, elf.EI_NIDENT-len(b))...)
	b = binary.LittleEndian.AppendUint16(b, uint16(elf.ET_CORE))
	b = binary.LittleEndian.AppendUint16(b, uint16(machine))
	b = binary.LittleEndian.AppendUint32(b, uint32(elf.EV_CURRENT))
	b = f.word(b, 0)                           // e_entry
	b = f.word(b, uint64(f.ehdr))              // e_phoff
	b = f.word(b, 0)                           // e_shoff
	b = binary.LittleEndian.AppendUint32(b, 0) // e_flags
	b = binary.LittleEndian.AppendUint16(b, uint16(f.ehdr))
	b = binary.LittleEndian.AppendUint16(b, uint16(f.phdr))
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return append(b, make([]byte, f.ehdr-len(b))...) // no sections
}

func (f form) append(b []byte, p phdr) []byte {
	b = binary.LittleEndian.AppendUint32(b, p.Type)
	if f.class == elf.ELFCLASS64 {
		b = binary.LittleEndian.AppendUint32(b, p.Flags)
	}
	for _, w := range []uint64{p.Off, p.Vaddr, p.Paddr, p.Filesz, p.Memsz} {
		b = f.word(b, w)
	}
	if f.class == elf.ELFCLASS32 {
		b = binary.LittleEndian.AppendUint32(b, p.Flags)
	}
	return f.word(b, p.Algn)
}

func (f form) read(b []byte) phdr {
	w := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8+8*i:]) }
	flags := 4
	if f.class == elf.ELFCLASS32 {
		w = func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(b[4+4*i:])) }
		flags = 24
	}
	p := phdr{
		Type: binary.LittleEndian.Uint32(b), Flags: binary.LittleEndian.Uint32(b[flags:]),
		Off: w(0), Vaddr: w(1), Paddr: w(2), Filesz: w(3), Memsz: w(4),
	}
	return p
}

// Elfcorehdr is crash_prepare_elf64_headers (kernel/crash_core.c; before 6.5 kernel/kexec_file.c),
// and what kexec(8) writes for kexec_load. It is whole pages.
func (s *State) Elfcorehdr() []byte {
	var heads []phdr
	for cpu := range s.cfg.CPUs {
		at, size := s.NoteOf(cpu)
		heads = append(heads, phdr{
			Type: uint32(elf.PT_NOTE), Off: at, Paddr: at, Filesz: size, Memsz: size,
		})
	}
	heads = append(heads, phdr{
		Type: uint32(elf.PT_NOTE), Off: s.infoNote, Paddr: s.infoNote, Filesz: infoNoteSize,
		Memsz: infoNoteSize,
	})
	all := uint32(elf.PF_R | elf.PF_W | elf.PF_X)
	if k := s.cfg.Kernel; s.cfg.Arch == X8664 && k.Size > 0 {
		heads = append(heads, phdr{
			Type: uint32(elf.PT_LOAD), Flags: all, Off: k.Start, Vaddr: kernelMap + k.Start,
			Paddr: k.Start, Filesz: k.Size, Memsz: k.Size,
		})
	}
	for _, r := range s.dumped() {
		heads = append(heads, phdr{
			Type: uint32(elf.PT_LOAD), Flags: all, Off: r.Start, Vaddr: s.facts.direct + r.Start,
			Paddr: r.Start, Filesz: r.Size, Memsz: r.Size,
		})
	}
	f := s.facts.form()
	b := f.header(s.facts.machine, len(heads))
	for _, p := range heads {
		b = f.append(b, p)
	}
	return append(b, make([]byte, int(roundUp(uint64(len(b)), PageSize))-len(b))...)
}

// dumped are the parts of memory that a core describes: all but the reserved region, and on x86_64
// but the first megabyte.
func (s *State) dumped() []Region {
	regions := without(s.cfg.Memory.RAM(), s.cfg.Crash)
	if s.cfg.Arch == X8664 {
		regions = without(regions, Region{0, 1 << 20})
	}
	return regions
}

// kernelMap is where x86_64 maps the kernel's own text (__START_KERNEL_map).
const kernelMap = 0xffffffff80000000

// Vmcore is /proc/vmcore. It reads the old kernel's memory as it is.
type Vmcore struct {
	mem   *Memory
	head  []byte // header and notes, in whole pages
	parts []Region
	size  int64
	// Warnings are what the kernel has said at its start.
	Warnings []string
}

// A BadCore is an elfcorehdr= that does not lead to the description of a core. Then there is no
// /proc/vmcore.
type BadCore struct {
	// Line is what the kernel says of it (fs/proc/vmcore.c, parse_crash_elf_headers).
	Line string
}

func (e *BadCore) Error() string { return "elfcorehdr: " + e.Line }

var (
	errNotSane  = &BadCore{"Warning: Core image elf header is not sane"}
	errNotFound = &BadCore{"Warning: Core image elf header not found"}
)

// The bounds keep a description that lies from taking this program's memory.
const (
	maxNoteSize = 1 << 20
	maxLoadSize = 1 << 46
)

// OpenVmcore is what a kernel makes of elfcorehdr= at its start (fs/proc/vmcore.c, vmcore_init). The
// note segments become one, in front of all else; the others follow it, in whole pages.
func OpenVmcore(mem *Memory, arch Arch, addr uint64) (*Vmcore, error) {
	facts := arch.facts()
	f := facts.form()
	b := make([]byte, f.ehdr)
	if err := mem.Read(addr, b); err != nil {
		return nil, err
	}
	if string(b[:len(elf.ELFMAG)]) != elf.ELFMAG {
		return nil, errNotFound
	}
	// But for the number of program headers there is one right header only.
	n := int(binary.LittleEndian.Uint16(b[f.ehdr-8:]))
	if n == 0 || !bytes.Equal(b, f.header(facts.machine, n)) {
		return nil, errNotSane
	}
	table := make([]byte, n*f.phdr)
	if err := mem.Read(addr+uint64(f.ehdr), table); err != nil {
		return nil, err
	}
	v := &Vmcore{mem: mem}
	var notes []byte
	var loads []phdr
	var room uint64 // of the notes, then of the header
	for i := range n {
		p := f.read(table[i*f.phdr:])
		switch elf.ProgType(p.Type) {
		case elf.PT_NOTE:
			if room += p.Memsz; p.Memsz > maxNoteSize || room > maxNoteSize {
				return nil, errNotSane
			}
			part, err := v.readNotes(p)
			if err != nil {
				return nil, err
			}
			notes = append(notes, part...)
		case elf.PT_LOAD:
			loads = append(loads, p)
		default:
		}
	}
	room = roundUp(uint64(f.ehdr+(1+len(loads))*f.phdr), PageSize)
	v.head = f.append(f.header(facts.machine, 1+len(loads)), phdr{
		Type: uint32(elf.PT_NOTE), Off: room, Filesz: uint64(len(notes)), Memsz: uint64(len(notes)),
	})
	off := room + roundUp(uint64(len(notes)), PageSize)
	for _, p := range loads {
		start := p.Off / PageSize * PageSize
		size := roundUp(p.Off%PageSize+p.Memsz, PageSize)
		if p.Memsz > maxLoadSize || start+size < start {
			return nil, errNotSane
		}
		v.parts = append(v.parts, Region{start, size})
		p.Off = off + p.Off - start
		v.head = f.append(v.head, p)
		off += size
	}
	v.head = append(v.head, make([]byte, int(room)-len(v.head))...)
	v.head = append(v.head, notes...)
	v.head = append(v.head, make([]byte, int(roundUp(uint64(len(v.head)), PageSize))-len(v.head))...)
	v.size = int64(off)
	return v, nil
}

// readNotes is the real part of a note segment: up to the note without a name. That of a CPU that
// has not answered is empty (update_note_header_size_elf64).
func (v *Vmcore) readNotes(p phdr) ([]byte, error) {
	b := make([]byte, p.Memsz)
	if err := v.mem.Read(p.Off, b); err != nil {
		return nil, err
	}
	end := 0
	for end+noteHeader <= len(b) {
		name := binary.LittleEndian.Uint32(b[end:])
		desc := binary.LittleEndian.Uint32(b[end+4:])
		if name == 0 {
			break
		}
		size := noteHeader + (uint64(name)+3)/4*4 + (uint64(desc)+3)/4*4
		if uint64(end)+size > p.Memsz {
			v.Warnings = append(v.Warnings, fmt.Sprintf(
				"Warning: Exceeded p_memsz, dropping PT_NOTE entry n_namesz=0x%x, n_descsz=0x%x",
				name, desc))
			break
		}
		end += int(size)
	}
	if end == 0 {
		v.Warnings = append(v.Warnings, "Warning: Zero PT_NOTE entries found")
	}
	return b[:end], nil
}

// Size is the file's, in bytes.
func (v *Vmcore) Size() int64 { return v.size }

// HeadSize is how much of it is before the memory: headers and notes.
func (v *Vmcore) HeadSize() int64 { return int64(len(v.head)) }

// ReadAt reads it.
func (v *Vmcore) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, &Fault{Addr: uint64(off)}
	}
	n := 0
	for n < len(p) && off+int64(n) < v.size {
		at := uint64(off) + uint64(n)
		if at < uint64(len(v.head)) {
			n += copy(p[n:], v.head[at:])
			continue
		}
		at -= uint64(len(v.head))
		for _, r := range v.parts {
			if at >= r.Size {
				at -= r.Size
				continue
			}
			part := p[n : n+int(min(uint64(len(p)-n), r.Size-at))]
			if err := v.mem.Read(r.Start+at, part); err != nil {
				return n, err
			}
			n += len(part)
			break
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

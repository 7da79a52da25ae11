package kexec

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"syscall"
)

// Notes are what a crash leaves for the next kernel: the registers of each CPU, and vmcoreinfo. The
// memory for them is taken at the start, and the description of the core that is loaded with a crash
// image says where it is.

const (
	noteHeader   = 12 // Elf32_Nhdr and Elf64_Nhdr are the same
	ntPrstatus   = 1
	coreNoteName = "CORE"
	infoNoteSize = 2*noteHeader + 12 + PageSize // VMCOREINFO_NOTE_SIZE
)

// note is an ELF note: lengths, name and contents, each rounded up to four bytes
// (kernel/crash_core.c, append_elf_note).
func note(name string, kind uint32, desc []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(name)+1))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(desc)))
	b = binary.LittleEndian.AppendUint32(b, kind)
	b = append(b, name...)
	b = append(b, make([]byte, int(roundUp(uint64(len(name)+1), 4))-len(name))...)
	b = append(b, desc...)
	return append(b, make([]byte, int(roundUp(uint64(len(desc)), 4))-len(desc))...)
}

// noteSize is the memory of one CPU's note (KEXEC_NOTE_BYTES): the last header is the end.
func (f *archFacts) noteSize() uint64 {
	return uint64(2*noteHeader + 8 + f.prstatus)
}

// setUpNotes takes the memory, and fills vmcoreinfo (kernel/crash_core.c,
// crash_save_vmcoreinfo_init and crash_notes_memory_init).
func (s *State) setUpNotes() {
	pages := func(n uint64) uint64 {
		// They are together: the region from which pages are taken has them in order.
		n = roundUp(n, PageSize)
		for i, r := range s.pool.free {
			if r.Size >= n {
				s.pool.free[i] = Region{r.Start + n, r.Size - n}
				return r.Start
			}
		}
		return 0
	}
	stride := s.noteStride()
	s.notes = pages(stride * uint64(s.cfg.CPUs))
	s.info = pages(PageSize)
	s.infoNote = pages(infoNoteSize)
	if s.notes == 0 || s.info == 0 || s.infoNote == 0 {
		return
	}
	s.cfg.Memory.zero(s.notes, roundUp(stride*uint64(s.cfg.CPUs), PageSize))
	s.cfg.Memory.zero(s.infoNote, roundUp(infoNoteSize, PageSize))
	s.appendInfo(s.cfg.Info)
	s.updateInfoNote()
}

// noteStride is how far apart the notes of CPUs are: a power of two, so that none crosses a page.
func (s *State) noteStride() uint64 {
	n := uint64(1)
	for n < s.facts.noteSize() {
		n *= 2
	}
	return n
}

// NoteOf is where a CPU's note is, and its size: /sys/devices/system/cpu/cpuN/crash_notes and
// crash_notes_size.
func (s *State) NoteOf(cpu int) (addr, size uint64) {
	return s.notes + uint64(cpu)*s.noteStride(), s.facts.noteSize()
}

// SaveCPU is crash_save_cpu: what a CPU was doing, by the process that it ran. A CPU that there is
// not is passed over.
func (s *State) SaveCPU(cpu int, pid int32, regs Regs) {
	if cpu < 0 || cpu >= s.cfg.CPUs || s.notes == 0 {
		return
	}
	f := &s.facts
	desc := make([]byte, f.prstatus)
	binary.LittleEndian.PutUint32(desc[f.pid:], uint32(pid))
	for i, name := range f.regs {
		if f.word == 8 {
			binary.LittleEndian.PutUint64(desc[f.reg+8*i:], regs[name])
		} else {
			binary.LittleEndian.PutUint32(desc[f.reg+4*i:], uint32(regs[name]))
		}
	}
	b := append(note(coreNoteName, ntPrstatus, desc), make([]byte, noteHeader)...)
	addr, _ := s.NoteOf(cpu)
	if s.cfg.Memory.Write(addr, b) == nil {
		s.saved[cpu] = true
	}
}

// Saved reports whether a CPU has left its registers.
func (s *State) Saved(cpu int) bool { return cpu >= 0 && cpu < len(s.saved) && s.saved[cpu] }

// SaveInfo is crash_save_vmcoreinfo: the time of the crash, in seconds since 1970, is appended to
// the copy that is in the reserved region, if there is one, and the note made anew.
func (s *State) SaveInfo(seconds int64) {
	if s.info == 0 {
		return
	}
	if s.safeCopy != 0 {
		s.info, s.infoSize = s.safeCopy, s.safeSize
	}
	s.appendInfo("CRASHTIME=" + strconv.FormatInt(seconds, 10) + "\n")
	s.updateInfoNote()
}

// appendInfo adds to vmcoreinfo, which is a page and no more (vmcoreinfo_append_str).
func (s *State) appendInfo(text string) {
	text = text[:min(len(text), PageSize-s.infoSize)]
	if s.cfg.Memory.Write(s.info+uint64(s.infoSize), []byte(text)) == nil {
		s.infoSize += len(text)
	}
}

// infoText is vmcoreinfo as it stands in memory.
func (s *State) infoText() []byte {
	b := make([]byte, s.infoSize)
	if s.info == 0 || s.cfg.Memory.Read(s.info, b) != nil {
		return nil
	}
	return b
}

func (s *State) updateInfoNote() {
	b := append(note(vmcoreinfoNoteName, 0, s.infoText()), make([]byte, noteHeader)...)
	// The region was there when it was taken.
	_ = s.cfg.Memory.Write(s.infoNote, b[:min(len(b), infoNoteSize)])
}

// copyInfo is kimage_crash_copy_vmcoreinfo.
func (s *State) copyInfo(im *Image) syscall.Errno {
	page, e := s.controlPage(im)
	if e != 0 {
		return e
	}
	b := s.infoText()
	if s.cfg.Memory.Write(page, b) != nil {
		return syscall.EFAULT
	}
	s.safeCopy, s.safeSize = page, len(b)
	return 0
}

// Vmcoreinfo is /sys/kernel/vmcoreinfo: where the note is, and its greatest size, in hexadecimal
// digits without a sign of it.
func (s *State) Vmcoreinfo() string {
	switch {
	case !s.cfg.Rules.Prefix:
		return fmt.Sprintf("%x %x\n", s.infoNote, infoNoteSize)
	case s.facts.word == 4:
		return fmt.Sprintf("0x%08x %x\n", s.infoNote, infoNoteSize)
	}
	return fmt.Sprintf("0x%016x %x\n", s.infoNote, infoNoteSize)
}

// DefaultInfo is the beginning of vmcoreinfo, by which a dump's kernel is recognised.
func DefaultInfo(release, buildID string, offset uint64) string {
	return "OSRELEASE=" + release + "\nBUILD-ID=" + buildID + "\nPAGESIZE=4096\n" +
		"KERNELOFFSET=" + strconv.FormatUint(offset, 16) + "\n"
}

// Iomem is the reserved region's line of /proc/iomem, or nothing.
func (s *State) Iomem() string {
	r := s.cfg.Crash
	if r.Size == 0 {
		return ""
	}
	return fmt.Sprintf("  %08x-%08x : Crash kernel\n", r.Start, r.End()-1)
}

// ReservedLine is what a kernel says of crashkernel= at its start. From 6.12 on it has addresses.
func ReservedLine(crash Region, ram uint64, addresses bool) string {
	if addresses {
		return fmt.Sprintf("crashkernel reserved: 0x%016x - 0x%016x (%d MB)", crash.Start,
			crash.End(), crash.Size>>20)
	}
	return fmt.Sprintf("Reserving %dMB of memory at %dMB for crashkernel (System RAM: %dMB)",
		crash.Size>>20, crash.Start>>20, ram>>20)
}

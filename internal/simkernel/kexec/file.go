package kexec

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// A File is what kexec_file_load(2) is given: the contents of its two files, and the command line.
type File struct {
	Kernel, Initrd []byte
	Cmdline        string
}

// LoadFile is kexec_file_load(2). Where it is not built, and on 32 bits, it is ENOSYS.
func (s *State) LoadFile(privileged bool, f File, flags uint32) syscall.Errno {
	if s.cfg.Rules.FileFlags == 0 {
		return syscall.ENOSYS
	}
	kind := NormalImage
	if flags&FileOnCrash != 0 {
		kind = CrashImage
	}
	if e := s.permitted(privileged, kind); e != 0 {
		return e
	}
	if flags&^s.cfg.Rules.FileFlags != 0 {
		return syscall.EINVAL
	}
	if !s.TryLock() {
		return syscall.EBUSY
	}
	defer s.Unlock()
	if flags&FileUnload != 0 {
		s.install(kind, nil)
		return 0
	}
	if kind == CrashImage {
		s.install(CrashImage, nil)
	}
	im := &Image{Kind: kind, ByFile: true, Cmdline: f.Cmdline}
	if flags&FileNoInitramfs != 0 {
		f.Initrd = nil
	}
	var e syscall.Errno
	if s.cfg.Arch == ARM64 {
		e = s.layOutImage(im, f)
	} else {
		e = s.layOutBzImage(im, f)
	}
	if e != 0 {
		return e
	}
	return s.load(im)
}

// bzHeader is what a bzImage says of itself (Documentation/arch/x86/boot.rst), and where.
const (
	bzSetupSects   = 0x1f1
	bzBootFlag     = 0x1fe
	bzMagic        = 0x202
	bzVersion      = 0x206
	bzLoadFlags    = 0x211
	bzAlignment    = 0x230
	bzXLoadFlags   = 0x236
	bzCmdlineSize  = 0x238
	bzInitSize     = 0x260
	bzHeaderEnd    = 0x264
	bzLoadedHigh   = 1
	bzKernel64     = 1
	bzAbove4G      = 2
	minPurgatory   = 0x3000
	minKernelLoad  = 0x100000
	minInitrdLoad  = 0x1000000
	purgatoryPages = 5
	bzEntry64      = 0x200
)

// layOutBzImage is arch/x86/kernel/kexec-bzimage64.c, bzImage64_load: the description of memory at
// the bottom of the reserved region, and from its top down purgatory, the parameters, the kernel and
// the initramfs.
func (s *State) layOutBzImage(im *Image, f File) syscall.Errno {
	k := f.Kernel
	if len(k) < bzHeaderEnd || binary.LittleEndian.Uint16(k[bzBootFlag:]) != 0xaa55 ||
		string(k[bzMagic:bzMagic+4]) != "HdrS" ||
		binary.LittleEndian.Uint16(k[bzVersion:]) < 0x020c || k[bzLoadFlags]&bzLoadedHigh == 0 ||
		k[bzXLoadFlags]&bzKernel64 == 0 || k[bzXLoadFlags]&bzAbove4G == 0 {
		return syscall.ENOEXEC
	}
	setup := (uint64(k[bzSetupSects]) + 1) * 512
	if k[bzSetupSects] == 0 {
		setup = 5 * 512
	}
	if setup > uint64(len(k)) {
		return syscall.ENOEXEC
	}
	longest := uint64(binary.LittleEndian.Uint32(k[bzCmdlineSize:]))
	if uint64(len(f.Cmdline)) > min(longest, maxCommandLine-1) {
		return syscall.EINVAL
	}
	if im.Kind == CrashImage {
		header := s.Elfcorehdr()
		at, e := s.hole(im, hole{size: uint64(len(header)), align: PageSize})
		if e != 0 {
			return e
		}
		im.Elfcorehdr = at
		im.add(at, header, 0)
		im.Cmdline = fmt.Sprintf("elfcorehdr=%#x %s", at, f.Cmdline)
		if uint64(len(im.Cmdline)) > min(longest, maxCommandLine-1) {
			return syscall.EINVAL
		}
	}
	code := []byte("purgatory")
	purg, e := s.hole(im, hole{
		size: purgatoryPages * PageSize, align: PageSize, min: minPurgatory,
		topDown: true,
	})
	if e != 0 {
		return e
	}
	im.add(purg, code, purgatoryPages*PageSize)
	params := append(make([]byte, bootParamsCmdlineOff), im.Cmdline+"\x00"...)
	boot, e := s.hole(im, hole{
		size: uint64(len(params)), align: 16, min: minPurgatory,
		topDown: true,
	})
	if e != 0 {
		return e
	}
	im.add(boot, params, 0)
	align := max(uint64(binary.LittleEndian.Uint32(k[bzAlignment:])), PageSize)
	size := max(uint64(binary.LittleEndian.Uint32(k[bzInitSize:])), uint64(len(k))-setup)
	at, e := s.hole(im, hole{size: size, align: align, min: minKernelLoad, topDown: true})
	if e != 0 {
		return e
	}
	im.add(at, k[setup:], size)
	if len(f.Initrd) > 0 {
		initrd, e := s.hole(im, hole{
			size: uint64(len(f.Initrd)), align: PageSize,
			min: minInitrdLoad, topDown: true,
		})
		if e != 0 {
			return e
		}
		im.add(initrd, f.Initrd, 0)
	}
	im.Start = purg
	im.purgatory = &purgatory{entry: at + bzEntry64, own: purg}
	return 0
}

// arm64's header (Documentation/arch/arm64/booting.rst).
const (
	imTextOffset = 8
	imSize       = 16
	imMagic      = 56
	imHeaderEnd  = 64
	imAlign      = 2 << 20
)

// layOutImage is arch/arm64/kernel/kexec_image.c and machine_kexec_file.c: the kernel from the
// bottom up, then the initramfs; the description of memory and the device tree from the top down.
func (s *State) layOutImage(im *Image, f File) syscall.Errno {
	k := f.Kernel
	if len(k) < imHeaderEnd || string(k[imMagic:imMagic+4]) != "ARM\x64" {
		return syscall.EINVAL
	}
	text := binary.LittleEndian.Uint64(k[imTextOffset:])
	size := binary.LittleEndian.Uint64(k[imSize:])
	if size == 0 || text >= imAlign || size > 1<<40 {
		return syscall.EINVAL
	}
	if len(f.Cmdline) > maxCommandLine-1 {
		return syscall.EINVAL
	}
	size = max(size, uint64(len(k)))
	base, e := s.hole(im, hole{size: size + text, align: imAlign})
	if e != 0 {
		return e
	}
	im.add(base, append(make([]byte, text), k...), size+text)
	im.Start = base + text
	after := roundUp(base+text+size, PageSize)
	chosen := "bootargs=" + f.Cmdline + "\n"
	if im.Kind == CrashImage {
		header := s.Elfcorehdr()
		at, e := s.hole(im, hole{
			size: uint64(len(header)), align: 64 << 10, min: after, topDown: true,
		})
		if e != 0 {
			return e
		}
		im.Elfcorehdr = at
		im.add(at, header, 0)
		chosen += fmt.Sprintf("linux,elfcorehdr=%#x\nlinux,usable-memory-range=%#x %#x\n",
			at, s.cfg.Crash.Start, s.cfg.Crash.Size)
	}
	if len(f.Initrd) > 0 {
		at, e := s.hole(im, hole{size: uint64(len(f.Initrd)), align: PageSize, min: after})
		if e != 0 {
			return e
		}
		im.add(at, f.Initrd, 0)
	}
	dtb := []byte(dtbMagic + chosen)
	at, e := s.hole(im, hole{size: uint64(len(dtb)), align: imAlign, min: after, topDown: true})
	if e != 0 {
		return e
	}
	im.add(at, dtb, 0)
	im.bootData = at
	return 0
}

// add puts a segment onto an image. Its memory is whole pages.
func (im *Image) add(at uint64, buf []byte, size uint64) {
	size = roundUp(max(size, uint64(len(buf))), PageSize)
	im.Segments = append(im.Segments, Segment{Buf: buf, Mem: at, MemSize: size})
}

// BzImage is the file of a kernel for x86_64 that has nothing in it but a header and some text, and
// that takes so much memory when it runs.
func BzImage(text string, size uint32) []byte {
	const setup = 1024
	b := make([]byte, setup+len(text))
	b[bzSetupSects] = setup/512 - 1
	binary.LittleEndian.PutUint16(b[bzBootFlag:], 0xaa55)
	copy(b[bzMagic:], "HdrS")
	binary.LittleEndian.PutUint16(b[bzVersion:], 0x020f)
	b[bzLoadFlags] = bzLoadedHigh
	binary.LittleEndian.PutUint32(b[bzAlignment:], 2<<20)
	b[bzXLoadFlags] = bzKernel64 | bzAbove4G
	binary.LittleEndian.PutUint32(b[bzCmdlineSize:], maxCommandLine-1)
	binary.LittleEndian.PutUint32(b[bzInitSize:], size)
	copy(b[setup:], text)
	return b
}

// ARM64Image is the same for arm64.
func ARM64Image(text string, size uint64) []byte {
	b := make([]byte, imHeaderEnd, imHeaderEnd+len(text))
	binary.LittleEndian.PutUint64(b[imSize:], size)
	copy(b[imMagic:], "ARM\x64")
	return append(b, text...)
}

// hole is what kexec_add_buffer asks for.
type hole struct {
	size, align, min uint64
	topDown          bool
}

// hole finds a place for a segment: in the reserved region for a crash image, else anywhere in
// memory (kernel/kexec_file.c, kexec_locate_mem_hole).
func (s *State) hole(im *Image, h hole) (uint64, syscall.Errno) {
	regions := []Region{s.cfg.Crash}
	if im.Kind == NormalImage {
		regions = without(s.cfg.Memory.RAM(), s.cfg.Crash)
	}
	size := roundUp(h.size, PageSize)
	align := max(h.align, PageSize)
	for i := range regions {
		r := regions[i]
		if h.topDown {
			r = regions[len(regions)-1-i]
		}
		start, end := max(r.Start, h.min), r.End()
		if r.Size == 0 || end < start || end-start < size {
			continue
		}
		at := roundUp(start, align)
		if h.topDown {
			at = (end - size) / align * align
		}
		for at >= start && at+size <= end && at+size > at {
			g, hit := im.overlap(Region{at, size})
			if !hit {
				return at, 0
			}
			if !h.topDown {
				at = roundUp(g.Mem+g.MemSize, align)
				continue
			}
			if g.Mem < size {
				break
			}
			at = (g.Mem - size) / align * align
		}
	}
	return 0, syscall.EADDRNOTAVAIL
}

// overlap is a segment that has memory in common with a region.
func (im *Image) overlap(r Region) (Segment, bool) {
	for _, g := range im.Segments {
		if g.region().overlaps(r) {
			return g, true
		}
	}
	return Segment{}, false
}

// purgatory is the program between the kernels that x86's kexec_file_load adds. It checks that what
// was loaded is still what is there (arch/x86/purgatory/purgatory.c).
type purgatory struct {
	entry, own uint64
	sum        [sha256.Size]byte
}

// digest is that of what the segments hold, purgatory left out. Pages of zeroes only count by not
// being there, for most of a kernel's memory is empty until it runs.
//
// It is first made of what was given, and then of what is there.
func (s *State) digest(im *Image, there bool) ([sha256.Size]byte, error) {
	h := sha256.New()
	var zeroes [PageSize]byte
	for _, g := range im.Segments {
		if g.Mem == im.purgatory.own {
			continue
		}
		for at := g.Mem; at < g.Mem+g.MemSize; at += PageSize {
			var page [PageSize]byte
			switch off := at - g.Mem; {
			case there && s.cfg.Memory.touched(at):
				if err := s.cfg.Memory.Read(at, page[:]); err != nil {
					return [sha256.Size]byte{}, err
				}
			case there || off >= uint64(len(g.Buf)):
				continue
			default:
				copy(page[:], g.Buf[off:])
			}
			if page != zeroes {
				h.Write(binary.LittleEndian.AppendUint64(nil, at))
				h.Write(page[:])
			}
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// ErrCorrupt says that purgatory has found memory changed. It says nothing itself, and stays where
// it is, for ever.
var ErrCorrupt = errors.New("purgatory: digests do not match")

// Purgatory runs the program that the image starts with, if the model knows it, and returns where
// the new kernel begins.
func (s *State) Purgatory(im *Image) (uint64, error) {
	p := im.purgatory
	if p == nil {
		return im.Start, nil
	}
	sum, err := s.digest(im, true)
	switch {
	case err != nil:
		return 0, err
	case sum != p.sum:
		return 0, ErrCorrupt
	}
	return p.entry, nil
}

// ElfcorehdrArg is what a kernel reads of elfcorehdr= on its command line: the address, and whether
// there is one (kernel/crash_dump.c, setup_elfcorehdr).
func ElfcorehdrArg(cmdline string) (uint64, bool) {
	var addr uint64
	found := false
	for word := range strings.FieldsSeq(cmdline) {
		if text, ok := strings.CutPrefix(word, "elfcorehdr="); ok {
			a, ok := Memparse(text)
			if ok {
				addr, found = a, true
			}
		}
	}
	return addr, found
}

// Memparse reads a number with K, M or G behind it (lib/cmdline.c).
func Memparse(text string) (uint64, bool) {
	shift := 0
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
		if shift > 0 {
			text = text[:n-1]
		}
	}
	base := 10
	if rest, ok := strings.CutPrefix(text, "0x"); ok {
		text, base = rest, 16
	}
	var n uint64
	for _, c := range []byte(strings.ToLower(text)) {
		d := uint64(strings.IndexByte("0123456789abcdef", c))
		if d >= uint64(base) {
			return 0, false
		}
		n = n*uint64(base) + d
	}
	return n << shift, len(text) > 0
}

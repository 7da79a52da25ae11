package kexec

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// statement is a statement of docs/kernel.md that is about this package, and its test.
type statement struct {
	name string
	test func(t *testing.T)
}

func TestKexecStatements(t *testing.T) {
	for _, s := range slices.Concat(
		loadStatements, knobStatements, listStatements, handoverStatements, coreStatements,
	) {
		t.Run(s.name, s.test)
	}
}

const (
	mib = 1 << 20
	// What Linux 6.1 had reserved of 1 GiB with crashkernel=192M.
	crashStart = 0x27000000
	crashSize  = 192 * mib
)

// pc is a machine of 1 GiB as QEMU's, whose kernel is 6.1.
func pc() Config {
	return Config{
		Arch: X8664, Rules: RulesOf(X8664, 6, 1), CPUs: 2,
		Memory: NewMemory(Region{0, 0x9fc00}, Region{mib, 0x3ffe0000 - mib}),
		Kernel: Region{0x1000000, 0x342f000},
		Crash:  Region{crashStart, crashSize},
		Info:   DefaultInfo("6.1.0-56-amd64", "8d5a", 0x1e600000),
	}
}

// board is an ARM board with memory from 0x60000000, whose kernel is 3.10.
func board() Config {
	return Config{
		Arch: ARM, Rules: RulesOf(ARM, 3, 10), CPUs: 2, MachType: 0x113,
		Memory: NewMemory(Region{0x60000000, 256 * mib}),
		Kernel: Region{0x60008000, 8 * mib},
		Crash:  Region{0x68000000, 32 * mib},
	}
}

// server is an arm64 machine with 6.1.
func server() Config {
	return Config{
		Arch: ARM64, Rules: RulesOf(ARM64, 6, 1), CPUs: 2,
		Memory: NewMemory(Region{0x40000000, 1024 * mib}),
		Kernel: Region{0x40200000, 32 * mib},
		Crash:  Region{0x60000000, 256 * mib},
	}
}

// at changes the version of a machine.
func at(cfg Config, major, minor int) Config {
	cfg.Rules = RulesOf(cfg.Arch, major, minor)
	return cfg
}

// seg is a segment of whole pages.
func seg(mem uint64, text string, pages uint64) Segment {
	return Segment{Buf: []byte(text), Mem: mem, MemSize: pages * PageSize}
}

// crashSegments are those of a small crash image.
func crashSegments(s *State) []Segment {
	return []Segment{seg(s.Crash().Start+mib, "capture kernel", 4)}
}

// mustLoad loads a crash image, and returns it.
func mustLoad(t *testing.T, s *State, segments ...Segment) *Image {
	t.Helper()
	if segments == nil {
		segments = crashSegments(s)
	}
	if e := s.Load(true, segments[0].Mem, segments, OnCrash); e != 0 {
		t.Fatalf("kexec_load: %v", e)
	}
	return s.Image(CrashImage)
}

func wantErrno(t *testing.T, what string, got, want syscall.Errno) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %d (%v), want %d (%v)", what, got, got, want, want)
	}
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// text is what stands in memory.
func text(t *testing.T, m *Memory, addr uint64, n int) string {
	t.Helper()
	b := make([]byte, n)
	if err := m.Read(addr, b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var loadStatements = []statement{
	{"2.1 the permission comes first", func(t *testing.T) {
		s := New(pc())
		wantErrno(t, "without CAP_SYS_BOOT", s.Load(false, 0, make([]Segment, 17), 0xffff), syscall.EPERM)
		wantErrno(t, "by file", s.LoadFile(false, File{}, 0xffff), syscall.EPERM)
		s.SetDisabled(1)
		s.TryLock()
		wantErrno(t, "disabled", s.Load(true, 0, nil, 0xffff), syscall.EPERM)
		wantErrno(t, "disabled, by file", s.LoadFile(true, File{}, 0xffff), syscall.EPERM)
	}},
	{"2.2 a limit counts attempts", func(t *testing.T) {
		s := New(at(pc(), 6, 12))
		wantErrno(t, "limit", s.SetLimit(CrashImage, 2), 0)
		wantErrno(t, "first", s.Load(true, 0, nil, OnCrash|0x8000), syscall.EINVAL)
		wantEqual(t, "left", s.Limit(CrashImage), 1)
		wantErrno(t, "unlock", s.Load(true, 0, nil, OnCrash), 0)
		wantErrno(t, "third", s.Load(true, 0, nil, OnCrash), syscall.EPERM)
		wantErrno(t, "the other kind", s.Load(true, 0, nil, 0), 0)
		wantEqual(t, "no limit", s.Limit(NormalImage), -1)

		s = New(pc())
		s.limitPanic = 0
		wantErrno(t, "6.1 has none", s.Load(true, 0, nil, OnCrash), 0)
	}},
	{"2.3 what kexec_load looks at, in order", func(t *testing.T) {
		many := make([]Segment, 17)
		for _, c := range []struct {
			what     string
			lockdown bool
			segments []Segment
			flags    uint32
			locked   bool
			want     syscall.Errno
		}{
			{"lockdown", true, many, 0xffffffff, true, syscall.EPERM},
			{"unknown flag", false, many, 4 | 3<<16, true, syscall.EINVAL},
			{"too many segments", false, many, 0, true, syscall.EINVAL},
			{"another architecture", false, nil, 3 << 16, true, syscall.EINVAL},
			{"the lock", false, nil, 62 << 16, true, syscall.EBUSY},
			{"this architecture", false, nil, 62<<16 | OnCrash | PreserveContext, false, 0},
			{"no architecture", false, nil, 0, false, 0},
		} {
			cfg := pc()
			cfg.Lockdown = c.lockdown
			s := New(cfg)
			s.locked = c.locked
			wantErrno(t, c.what, s.Load(true, 0, c.segments, c.flags), c.want)
		}
		wantErrno(t, "a flag that 6.12 knows", New(at(pc(), 6, 12)).Load(true, 0, nil,
			UpdateElfcorehdr|CrashHotplugSupport), 0)
		wantErrno(t, "and 2.6 does not", New(at(pc(), 2, 6)).Load(true, 0, nil, PreserveContext),
			syscall.EINVAL)
	}},
	{"2.4 what kexec_file_load looks at", func(t *testing.T) {
		s := New(pc())
		s.TryLock()
		wantErrno(t, "unknown flag", s.LoadFile(true, File{}, 8), syscall.EINVAL)
		wantErrno(t, "the lock", s.LoadFile(true, File{}, 0), syscall.EBUSY)
		s.Unlock()
		wantErrno(t, "no kernel", s.LoadFile(true, File{Kernel: []byte("#!/bin/sh")}, 0), syscall.ENOEXEC)
		wantErrno(t, "6.12 has DEBUG", New(at(pc(), 6, 12)).LoadFile(true, File{}, FileDebug),
			syscall.ENOEXEC)
		long := File{Kernel: BzImage("k", mib), Cmdline: strings.Repeat("x", 2048)}
		wantErrno(t, "command line", s.LoadFile(true, long, 0), syscall.EINVAL)
		long.Cmdline = long.Cmdline[:2040]
		wantErrno(t, "with elfcorehdr=", s.LoadFile(true, long, FileOnCrash), syscall.EINVAL)
		wantErrno(t, "without", s.LoadFile(true, long, 0), 0)
		wantErrno(t, "arm64", New(server()).LoadFile(true, File{Kernel: []byte("ELF")}, 0), syscall.EINVAL)
		wantErrno(t, "arm has no such call", New(board()).LoadFile(false, File{}, 0xff), syscall.ENOSYS)
		wantErrno(t, "nor has 3.10", New(at(pc(), 3, 10)).LoadFile(true, File{}, 0), syscall.ENOSYS)
	}},
	{"2.5 unloading", func(t *testing.T) {
		s := New(pc())
		wantErrno(t, "nothing is loaded", s.Load(true, 0, nil, OnCrash), 0)
		mustLoad(t, s)
		wantErrno(t, "no segments", s.Load(true, 0, nil, OnCrash), 0)
		wantEqual(t, "image", s.Image(CrashImage), nil)
		mustLoad(t, s)
		wantErrno(t, "UNLOAD", s.LoadFile(true, File{}, FileUnload|FileOnCrash), 0)
		wantEqual(t, "image", s.Image(CrashImage), nil)
		mustLoad(t, s)
		wantErrno(t, "the other kind", s.LoadFile(true, File{}, FileUnload), 0)
		if s.Image(CrashImage) == nil {
			t.Error("unloading the normal image has unloaded the crash image")
		}
	}},
	{"2.6 the old crash image goes first", func(t *testing.T) {
		s := New(pc())
		mustLoad(t, s)
		wantErrno(t, "a load that fails", s.Load(true, 0, crashSegments(s), OnCrash), syscall.EADDRNOTAVAIL)
		wantEqual(t, "image", s.Image(CrashImage), nil)
		mustLoad(t, s)
		wantErrno(t, "by file", s.LoadFile(true, File{}, FileOnCrash), syscall.ENOEXEC)
		wantEqual(t, "image", s.Image(CrashImage), nil)
		mustLoad(t, s)
		s.Load(true, crashStart, crashSegments(s), OnCrash|0x8000)
		if s.Image(CrashImage) == nil {
			t.Error("wrong flags have unloaded the image")
		}
		normal := []Segment{seg(0x8000000, "kernel", 2)}
		wantErrno(t, "normal", s.Load(true, 0x8000000, normal, 0), 0)
		wantErrno(t, "unaligned", s.Load(true, 0, []Segment{{Mem: 1}}, 0), syscall.EADDRNOTAVAIL)
		if s.Image(NormalImage) == nil {
			t.Error("a normal image is gone after another has failed")
		}
	}},
	{"2.7 the entry is in the reserved region", func(t *testing.T) {
		for _, c := range []struct {
			entry uint64
			want  syscall.Errno
		}{
			{crashStart - 1, syscall.EADDRNOTAVAIL},
			{crashStart, 0},
			{crashStart + crashSize - 1, 0},
			{crashStart + crashSize, syscall.EADDRNOTAVAIL},
		} {
			s := New(pc())
			wantErrno(t, fmt.Sprintf("%#x", c.entry), s.Load(true, c.entry, crashSegments(s), OnCrash), c.want)
		}
		cfg := pc()
		cfg.Crash = Region{}
		s := New(cfg)
		wantErrno(t, "no region", s.Load(true, crashStart, []Segment{seg(crashStart, "", 1)}, OnCrash),
			syscall.EADDRNOTAVAIL)
		wantErrno(t, "no region, by file", s.LoadFile(true, File{Kernel: BzImage("k", mib)}, FileOnCrash),
			syscall.EADDRNOTAVAIL)
	}},
	{"2.8 the segments, in order", func(t *testing.T) {
		const p, c = PageSize, crashStart
		outside := Segment{Mem: c - p, MemSize: p}
		for _, k := range []struct {
			what     string
			segments []Segment
			flags    uint32
			want     syscall.Errno
		}{
			{"unaligned", []Segment{{Mem: c + 1, MemSize: p}}, OnCrash, syscall.EADDRNOTAVAIL},
			{"unaligned end", []Segment{{Mem: c, MemSize: p - 1}}, OnCrash, syscall.EADDRNOTAVAIL},
			{"around the end", []Segment{{Mem: 1<<64 - p, MemSize: 2 * p}}, 0, syscall.EADDRNOTAVAIL},
			{"above the limit", []Segment{{Mem: 1 << 46, MemSize: p}}, 0, syscall.EADDRNOTAVAIL},
			{
				"alignment before overlap",
				[]Segment{seg(c, "", 2), seg(c, "", 1), {Mem: 1}},
				OnCrash,
				syscall.EADDRNOTAVAIL,
			},
			{"overlap before region", []Segment{outside, outside}, OnCrash, syscall.EINVAL},
			{
				"too much data",
				[]Segment{outside, {Mem: c, MemSize: p, Buf: make([]byte, p+1)}},
				OnCrash,
				syscall.EINVAL,
			},
			{"half of memory", []Segment{{Mem: 1 << 40, MemSize: 513 * mib}}, 0, syscall.EINVAL},
			{"half of memory together", []Segment{
				{Mem: 1 << 40, MemSize: 256 * mib}, {Mem: 2 << 40, MemSize: 257 * mib},
			}, 0, syscall.EINVAL},
			{"below the region", []Segment{outside}, OnCrash, syscall.EADDRNOTAVAIL},
			{"above the region", []Segment{seg(c+crashSize-p, "", 2)}, OnCrash, syscall.EADDRNOTAVAIL},
			{"the last page", []Segment{seg(c+crashSize-p, "", 1)}, OnCrash, 0},
		} {
			wantErrno(t, k.what, New(pc()).Load(true, c, k.segments, k.flags), k.want)
		}
	}},
	{"2.9 no room", func(t *testing.T) {
		cfg := pc()
		cfg.Crash.Size = 4 * PageSize
		s := New(cfg)
		full := []Segment{seg(crashStart, "", 4)}
		wantErrno(t, "no page for the code", s.Load(true, crashStart, full, OnCrash), syscall.ENOMEM)
		full[0].MemSize = 3 * PageSize
		wantErrno(t, "none for vmcoreinfo", s.Load(true, crashStart, full, OnCrash), syscall.ENOMEM)
		full[0].MemSize = 2 * PageSize
		wantErrno(t, "room", s.Load(true, crashStart, full, OnCrash), 0)
		wantErrno(t, "by file", s.LoadFile(true, File{Kernel: BzImage("k", mib)}, FileOnCrash),
			syscall.EADDRNOTAVAIL)

		cfg = pc()
		cfg.Memory = NewMemory(Region{mib, mib})
		cfg.Crash, cfg.Kernel = Region{}, Region{}
		cfg.Rules.HalfOfMemory = false
		s = New(cfg)
		wantErrno(t, "no pages", s.Load(true, 0, []Segment{seg(mib, "", 256)}, 0), syscall.ENOMEM)
		wantEqual(t, "pages kept", len(s.pool.out), 0)
	}},
	{"2.10 where kexec_file_load puts what, on x86_64", func(t *testing.T) {
		s := New(pc())
		f := File{
			Kernel: BzImage("kernel text", 0x3400000), Initrd: []byte("070701"),
			Cmdline: "console=ttyS0 nr_cpus=1",
		}
		wantErrno(t, "load", s.LoadFile(true, f, FileOnCrash), 0)
		im := s.Image(CrashImage)
		wantEqual(t, "elfcorehdr", im.Elfcorehdr, crashStart)
		wantEqual(t, "command line", im.Cmdline, "elfcorehdr=0x27000000 console=ttyS0 nr_cpus=1")
		var where []string
		for _, g := range im.Segments {
			where = append(where, fmt.Sprintf("%#x-%#x", g.Mem, g.Mem+g.MemSize))
		}
		wantEqual(t, "segments", where, []string{
			"0x27000000-0x27001000", // the description of memory
			"0x32ffb000-0x33000000", // purgatory
			"0x32ff9000-0x32ffb000", // parameters and command line
			"0x2fa00000-0x32e00000", // the kernel, from a multiple of 2 MiB
			"0x32ff8000-0x32ff9000", // the initramfs, where there is room above it
		})
		wantEqual(t, "start", im.Start, 0x32ffb000)
		wantEqual(t, "kernel", text(t, s.Memory(), 0x2fa00000, 11), "kernel text")
		wantEqual(t, "command line in memory", text(t, s.Memory(), 0x32ffa000, 22),
			"elfcorehdr=0x27000000 ")
		f.Initrd = nil
		wantErrno(t, "no initramfs", s.LoadFile(true, f, FileOnCrash|FileNoInitramfs), 0)
		wantEqual(t, "segments", len(s.Image(CrashImage).Segments), 4)
	}},
	{"2.11 the same on arm64", func(t *testing.T) {
		s := New(server())
		f := File{Kernel: ARM64Image("", 16*mib), Initrd: []byte("070701"), Cmdline: "panic=1"}
		wantErrno(t, "load", s.LoadFile(true, f, FileOnCrash), 0)
		im := s.Image(CrashImage)
		wantEqual(t, "start", im.Start, 0x60000000)
		wantEqual(t, "command line", im.Cmdline, "panic=1")
		dtb := text(t, s.Memory(), im.bootData, 200)
		wantEqual(t, "magic", dtb[:4], dtbMagic)
		for _, want := range []string{
			"bootargs=panic=1\n", fmt.Sprintf("linux,elfcorehdr=%#x\n", im.Elfcorehdr),
			"linux,usable-memory-range=0x60000000 0x10000000\n",
		} {
			if !strings.Contains(dtb, want) {
				t.Errorf("device tree: no %q in %q", want, dtb)
			}
		}
		wantErrno(t, "size 0", s.LoadFile(true, File{Kernel: ARM64Image("", 0)}, 0), syscall.EINVAL)
	}},
}

var knobStatements = []statement{
	{"2.12 kexec_load_disabled takes 1, for ever", func(t *testing.T) {
		s := New(pc())
		for _, v := range []int{0, 2, -1} {
			wantErrno(t, "before", s.SetDisabled(v), syscall.EINVAL)
		}
		wantEqual(t, "disabled", s.Disabled(), false)
		wantErrno(t, "1", s.SetDisabled(1), 0)
		wantErrno(t, "0", s.SetDisabled(0), syscall.EINVAL)
		wantErrno(t, "1 again", s.SetDisabled(1), 0)
		wantEqual(t, "disabled", s.Disabled(), true)
	}},
	{"2.13 limits only get less", func(t *testing.T) {
		s := New(at(pc(), 6, 12))
		for _, c := range []struct {
			v    int
			want syscall.Errno
		}{
			{-1, syscall.EINVAL},
			{10, 0},
			{10, syscall.EINVAL},
			{11, syscall.EINVAL},
			{3, 0},
			{-1, syscall.EINVAL},
			{0, 0},
			{0, syscall.EINVAL},
		} {
			wantErrno(t, fmt.Sprint(c.v), s.SetLimit(NormalImage, c.v), c.want)
		}
		wantEqual(t, "the other kind", s.Limit(CrashImage), -1)
	}},
	{"2.14 kexec_crash_size", func(t *testing.T) {
		s := New(pc())
		got, e := s.CrashSize()
		wantErrno(t, "read", e, 0)
		wantEqual(t, "size", got, 201326592)
		s.TryLock()
		_, e = s.CrashSize()
		wantErrno(t, "read while a load is running", e, syscall.EBUSY)
		wantErrno(t, "write while a load is running", s.Shrink(0), syscall.EBUSY)
	}},
	{"2.15 shrinking", func(t *testing.T) {
		s := New(pc())
		mustLoad(t, s)
		wantErrno(t, "an image is loaded", s.Shrink(64*mib), syscall.ENOENT)
		s.Load(true, 0, nil, OnCrash)
		wantErrno(t, "larger", s.Shrink(crashSize+1), syscall.EINVAL)
		wantErrno(t, "the same", s.Shrink(crashSize), 0)
		wantErrno(t, "less, to the page", s.Shrink(64*mib-1), 0)
		wantEqual(t, "region", s.Crash(), Region{crashStart, 64 * mib})
		wantEqual(t, "iomem", s.Iomem(), "  27000000-2affffff : Crash kernel\n")
		wantErrno(t, "0", s.Shrink(0), 0)
		wantEqual(t, "region", s.Crash(), Region{})
		wantEqual(t, "iomem", s.Iomem(), "")
		wantErrno(t, "no region", s.Shrink(64*mib), syscall.EINVAL)
		wantErrno(t, "0 again", s.Shrink(0), 0)
	}},
	{"2.16 vmcoreinfo's size is hexadecimal", func(t *testing.T) {
		s := New(pc())
		var addr, size uint64
		if _, err := fmt.Sscanf(s.Vmcoreinfo(), "0x%016x %x\n", &addr, &size); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "size", size, 0x1024)
		wantEqual(t, "text", s.Vmcoreinfo(), fmt.Sprintf("0x%016x 1024\n", s.infoNote))
		wantEqual(t, "note", text(t, s.Memory(), addr+12, 10), "VMCOREINFO")
		old := New(board())
		wantEqual(t, "3.10", old.Vmcoreinfo(), fmt.Sprintf("%x 1024\n", old.infoNote))
		later := New(at(board(), 6, 1))
		wantEqual(t, "32 bits", later.Vmcoreinfo(), fmt.Sprintf("0x%08x 1024\n", later.infoNote))
	}},
	{"2.17 what a kernel says of crashkernel=", func(t *testing.T) {
		r := Region{crashStart, crashSize}
		wantEqual(t, "6.1", ReservedLine(r, 1023*mib, false),
			"Reserving 192MB of memory at 624MB for crashkernel (System RAM: 1023MB)")
		wantEqual(t, "6.12", ReservedLine(r, 1023*mib, true),
			"crashkernel reserved: 0x0000000027000000 - 0x0000000033000000 (192 MB)")
	}},
}

// listOf loads a normal image on a machine, and returns the words of its list.
func listOf(t *testing.T, s *State, segments ...Segment) (words []string, im *Image) {
	t.Helper()
	if e := s.Load(true, segments[0].Mem, segments, 0); e != 0 {
		t.Fatalf("kexec_load: %v", e)
	}
	im = s.Image(NormalImage)
	for slot := headSlot; ; {
		w, err := im.word(slot)
		if err != nil {
			t.Fatal(err)
		}
		switch Flag(w) & (PageSize - 1) {
		case Destination:
			words = append(words, fmt.Sprintf("to %#x", w-1))
		case Source:
			words = append(words, "page")
		case Done:
			return append(words, "done"), im
		case Indirection:
			words = append(words, "list")
			slot = w - 2
			continue
		default:
			t.Fatalf("word %#x at %#x", w, slot)
		}
		slot += uint64(s.facts.word)
	}
}

// put writes a page list for ARM at 0x60100000, and returns an image with it.
func put(t *testing.T, m *Memory, words ...uint64) *Image {
	t.Helper()
	const list = 0x60100000
	for i, w := range words {
		if err := m.SetWord(list+uint64(4*i), 4, w); err != nil {
			t.Fatal(err)
		}
	}
	return &Image{Head: list | uint64(Indirection)}
}

var listStatements = []statement{
	{"2.18 the page list", func(t *testing.T) {
		s := New(board())
		words, _ := listOf(t, s, seg(0x64000000, "a", 2), seg(0x65000000, "b", 1))
		wantEqual(t, "words", words, []string{
			"list", "to 0x64000000", "page", "page", "to 0x65000000", "page", "done",
		})
		// A page of the list has 1024 words on 32 bits, and the last leads on.
		words, _ = listOf(t, s, seg(0x64000000, "a", 1023))
		wantEqual(t, "the 1024th word", words[1024], "list")
		wantEqual(t, "the one before", words[1023], "page")
		wantEqual(t, "the one after", words[1025:], []string{"page", "done"})
		words, _ = listOf(t, s, seg(0x64000000, "a", 1022))
		wantEqual(t, "a page that is just full", words[1023:], []string{"page", "done"})
		wantEqual(t, "a crash image", mustLoad(t, s).Head, uint64(Done))
	}},
	{"2.19 no page is overwritten before it is read", func(t *testing.T) {
		cfg := board()
		cfg.Memory = NewMemory(Region{0x60000000, mib})
		cfg.Kernel, cfg.Crash = Region{}, Region{}
		s := New(cfg)
		// The lowest free pages are destinations.
		first := s.pool.free[0].Start
		_, im := listOf(t, s, seg(first+2*PageSize, "second", 1), seg(first, "first", 2),
			seg(first+3*PageSize, "third", 3))
		if _, err := Relocate(cfg.Memory, ARM, im, 100); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "first", text(t, cfg.Memory, first, 5), "first")
		wantEqual(t, "second", text(t, cfg.Memory, first+2*PageSize, 6), "second")
		wantEqual(t, "third", text(t, cfg.Memory, first+3*PageSize, 5), "third")
	}},
	{"2.20 ARM: the first flag decides", func(t *testing.T) {
		m := NewMemory(Region{0x60000000, 4 * mib})
		m.Write(0x60200000, []byte("source"))
		r, err := Relocate(m, ARM, put(t, m,
			0,                  // nothing: passed over
			0x60300000|1|8,     // destination, and its address has 8 in it
			0x60100010|2|4|8,   // to the 7th word: 4 and 8 are part of the address
			0x60000000|4, 0, 0, // not reached
			0,
			0x60300000|1,
			0x60200000|8,
			0x10, // no flag
			4|8,  // done, not a source
		), 100)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "copied", r.Copied, 1)
		wantEqual(t, "words", r.Words, 7)
		wantEqual(t, "there", text(t, m, 0x60300000, 6), "source")
	}},
	{"2.21 ARM: sources move the destination on", func(t *testing.T) {
		m := NewMemory(Region{0x60000000, 4 * mib})
		m.Write(0x60200000, []byte("one"))
		m.Write(0x60280000, []byte("two"))
		r, err := Relocate(m, ARM, put(t, m, 0x60300000|1, 0x60200000|8, 0x60280000|8, 4), 100)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "one", text(t, m, 0x60300000, 3), "one")
		wantEqual(t, "two", text(t, m, 0x60301000, 3), "two")
		wantEqual(t, "destination", r.Last, 0x60302000)
	}},
	{"2.22 ARM: nothing is moved for a crash", func(t *testing.T) {
		r, err := Relocate(NewMemory(), ARM, &Image{Head: uint64(Done)}, 0)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "done", r, Relocation{})
	}},
	{"2.23 x86_64 begins with the head, and exchanges", func(t *testing.T) {
		s := New(pc())
		m := s.Memory()
		m.Write(0x10000000, []byte("here before"))
		_, im := listOf(t, s, seg(0x10000000, "new kernel", 1))
		r, err := Relocate(m, X8664, im, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "words after the head", r.Words, 3)
		wantEqual(t, "there", text(t, m, 0x10000000, 10), "new kernel")
		page, _ := m.Word((im.Head&^4095)+8, 8)
		wantEqual(t, "where it was", text(t, m, page&^4095, 11), "here before")
		r, err = Relocate(NewMemory(), X8664, &Image{Head: uint64(Done)}, 0)
		if err != nil || r != (Relocation{}) {
			t.Errorf("crash image: got %+v, %v", r, err)
		}
	}},
	{"2.24 arm64 looks for a source first", func(t *testing.T) {
		m := NewMemory(Region{0x40000000, 4 * mib})
		m.Write(0x40200000, []byte("source"))
		for i, w := range []uint64{0x40300000 | 1, 0x40200000 | 8 | 2 | 1, 0x40000000 | 8 | 4} {
			m.SetWord(0x40100000+uint64(8*i), 8, w)
		}
		r, err := Relocate(m, ARM64, &Image{Head: 0x40100000 | 2}, 100)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "copied", r.Copied, 1)
		wantEqual(t, "words", r.Words, 3)
		wantEqual(t, "there", text(t, m, 0x40300000, 6), "source")
	}},
	{"2.25 a list without an end, and one that leads nowhere", func(t *testing.T) {
		m := NewMemory(Region{0x60000000, 4 * mib})
		_, err := Relocate(m, ARM, put(t, m, 0x60100000|2), 1000)
		var endless *Endless
		if !errors.As(err, &endless) || endless.Words != 1000 {
			t.Errorf("a circle: got %v", err)
		}
		var fault *Fault
		_, err = Relocate(m, ARM, put(t, m, 0x70000000|2), 1000)
		if !errors.As(err, &fault) || fault.Addr != 0x70000000 {
			t.Errorf("no memory: got %v", err)
		}
		_, err = Relocate(m, ARM, put(t, m, 0x60300000|1|2, 0x60200000|8), 1000)
		if !errors.As(err, &fault) || !fault.Unaligned {
			t.Errorf("an odd destination: got %v", err)
		}
	}},
}

// names are those of steps.
func names(steps []Step) []string {
	var n []string
	for _, s := range steps {
		n = append(n, s.Func)
	}
	return n
}

// said are the lines of steps.
func said(steps []Step) []string {
	var lines []string
	for _, s := range steps {
		if s.Says != "" {
			lines = append(lines, fmt.Sprint(s.Level, " ", s.Says))
		}
	}
	return lines
}

var handoverStatements = []statement{
	{"2.26 ARM: the registers", func(t *testing.T) {
		s := New(board())
		im := mustLoad(t, s, seg(0x68008000, "zImage", 4))
		c := s.Running()
		if _, err := s.Handover(im, &c, 1, 10); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "registers", c.Regs, Regs{
			"r0": 0, "r1": 0x113, "r2": 0x68001000, "lr": 0x68008000, "pc": 0x68008000,
		})
	}},
	{"2.27 ARM: r2 leads to the device tree", func(t *testing.T) {
		segments := []Segment{
			seg(0x68008000, "zImage", 4), seg(0x69000000, dtbMagic+"one", 1),
			seg(0x69800000, dtbMagic+"two", 1), seg(0x69900000, "\xd0\x0d", 1),
		}
		for _, c := range []struct {
			cfg  Config
			want uint64
		}{{board(), 0x69800000}, {at(board(), 3, 4), 0x68001000}} {
			s := New(c.cfg)
			im := mustLoad(t, s, segments...)
			cpu := s.Running()
			if _, err := s.Handover(im, &cpu, 1, 10); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "r2", cpu.Regs["r2"], c.want)
		}
		s := New(board())
		hole := []Segment{seg(0x68008000, "zImage", 1), seg(0x90000000, "dtb", 1)}
		wantErrno(t, "a segment where there is no memory", s.Load(true, 0x60008000, hole, 0), syscall.EINVAL)
	}},
	{"2.28 ARM: soft_restart's steps", func(t *testing.T) {
		s := New(board())
		c := s.Running()
		steps, err := s.Handover(mustLoad(t, s), &c, 1, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "steps", names(steps), []string{
			"machine_kexec", "machine_kexec", "soft_restart", "outer_disable", "call_with_stack",
			"setup_mm_for_reboot", "flush_cache_all", "cpu_proc_fin", "flush_cache_all",
			"cpu_reset", "relocate_new_kernel",
		})
		wantEqual(t, "lines", said(steps), []string{"6 Bye!"})
	}},
	{"2.29 ARM: the state of the CPU", func(t *testing.T) {
		s := New(board())
		c := s.Running()
		c.Thumb = true
		if _, err := s.Handover(mustLoad(t, s), &c, 1, 10); err != nil {
			t.Fatal(err)
		}
		c.Regs = nil
		wantEqual(t, "state", c, CPU{Mode: "svc"})
	}},
	{"2.30 ARM: the second cache only goes with the last CPU", func(t *testing.T) {
		s := New(at(board(), 3, 4))
		c := s.Running()
		steps, err := s.Handover(mustLoad(t, s), &c, 2, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "outer cache", c.Outer, true)
		wantEqual(t, "outer_disable", slices.Contains(names(steps), "outer_disable"), false)
	}},
	{"2.31 ARM: other CPUs online", func(t *testing.T) {
		s := New(board())
		c := s.Running()
		steps, err := s.Handover(mustLoad(t, s), &c, 2, 10)
		if !errors.Is(err, ErrStillOnline) {
			t.Errorf("3.10: got %v", err)
		}
		wantEqual(t, "lines", said(steps), []string{"3 kexec: error: multiple CPUs still online"})
		wantEqual(t, "interrupts", c.IRQ, true)
		s = New(at(board(), 6, 1))
		if _, err := s.Handover(mustLoad(t, s), &c, 2, 10); !errors.Is(err, ErrBug) {
			t.Errorf("6.1: got %v", err)
		}
	}},
	{"2.32 arm64: the entry", func(t *testing.T) {
		for _, c := range []struct {
			el2  bool
			mode string
		}{{false, "el1"}, {true, "el2"}} {
			cfg := server()
			cfg.EL2 = c.el2
			s := New(cfg)
			wantErrno(t, "load", s.LoadFile(true, File{Kernel: ARM64Image("", 16*mib)}, FileOnCrash), 0)
			im := s.Image(CrashImage)
			cpu := s.Running()
			cpu.Regs = Regs{"x0": 1, "x1": 2, "x2": 3, "x3": 4}
			steps, err := s.Handover(im, &cpu, 1, 10)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "registers", cpu.Regs,
				Regs{"x0": im.bootData, "x1": 0, "x2": 0, "x3": 0, "pc": 0x60000000})
			cpu.Regs = nil
			wantEqual(t, "state", cpu, CPU{Mode: c.mode})
			wantEqual(t, "steps", names(steps), []string{
				"machine_kexec", "machine_kexec", "local_daif_mask", "cpu_install_idmap",
				"cpu_soft_restart",
			})
			wantEqual(t, "lines", said(steps), []string{"6 Bye!"})
		}
		s := New(server())
		cpu := s.Running()
		if _, err := s.Handover(mustLoad(t, s), &cpu, 1, 10); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "x0 for kexec_load's purgatory", cpu.Regs["x0"], 0)
	}},
	{"2.33 arm64: other CPUs online", func(t *testing.T) {
		s := New(server())
		_, im := listOf(t, s, seg(0x50000000, "kernel", 1))
		c := s.Running()
		if _, err := s.Handover(im, &c, 2, 10); !errors.Is(err, ErrBug) {
			t.Errorf("normal: got %v", err)
		}
		steps, err := s.Handover(im, &c, 1, 10)
		if err != nil || !slices.Contains(names(steps), "arm64_relocate_new_kernel") {
			t.Errorf("normal, alone: got %v, %v", names(steps), err)
		}
		wantEqual(t, "moved", text(t, s.Memory(), 0x50000000, 6), "kernel")
		if _, err := s.Handover(mustLoad(t, s), &c, 2, 10); err != nil {
			t.Errorf("crash: got %v", err)
		}
	}},
	{"2.34 x86_64: the entry", func(t *testing.T) {
		s := New(pc())
		im := mustLoad(t, s)
		c := s.Running()
		c.Regs = Regs{"ax": 1, "si": 2, "sp": 3}
		steps, err := s.Handover(im, &c, 2, 10)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "lines", said(steps), nil)
		wantEqual(t, "registers", c.Regs, Regs{"ax": 0, "si": 0, "sp": 3, "ip": im.Start})
		c.Regs = nil
		wantEqual(t, "state", c, CPU{MMU: true, ICache: true, DCache: true, Mode: "long"})
	}},
	{"2.35 purgatory", func(t *testing.T) {
		s := New(pc())
		wantErrno(t, "load", s.LoadFile(true, File{Kernel: BzImage("kernel", 4*mib)}, FileOnCrash), 0)
		im := s.Image(CrashImage)
		entry, err := s.Purgatory(im)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "entry", entry, im.Segments[3].Mem+0x200)
		s.Memory().Write(im.Segments[3].Mem+mib, []byte{1})
		if _, err := s.Purgatory(im); !errors.Is(err, ErrCorrupt) {
			t.Errorf("after a stray write: got %v", err)
		}
		own := mustLoad(t, s)
		entry, err = s.Purgatory(own)
		if err != nil || entry != own.Start {
			t.Errorf("kexec_load: got %#x, %v", entry, err)
		}
	}},
}

// crash saves notes as a crash of a machine does, and opens what the next kernel finds.
func crash(t *testing.T, s *State, cpus ...int) *Vmcore {
	t.Helper()
	im := s.Image(CrashImage)
	for _, c := range cpus {
		s.SaveCPU(c, int32(100+c), Regs{s.facts.regs[0]: 0x1234, s.facts.regs[5]: uint64(c)})
	}
	s.SaveInfo(1795293386)
	v, err := OpenVmcore(s.Memory(), s.cfg.Arch, im.Elfcorehdr)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// loadCore loads a crash image that has a description of memory.
func loadCore(t *testing.T, s *State) {
	t.Helper()
	var e syscall.Errno
	switch s.cfg.Arch {
	case X8664:
		e = s.LoadFile(true, File{Kernel: BzImage("k", mib)}, FileOnCrash)
	case ARM64:
		e = s.LoadFile(true, File{Kernel: ARM64Image("", mib)}, FileOnCrash)
	default:
		start := s.Crash().Start
		header := s.Elfcorehdr()
		e = s.Load(true, start+0x8000, []Segment{
			seg(start+0x8000, "zImage", 1),
			{Buf: header, Mem: start + mib, MemSize: uint64(len(header))},
		}, OnCrash)
		if e == 0 {
			s.Image(CrashImage).Elfcorehdr = start + mib
		}
	}
	if e != 0 {
		t.Fatalf("load: %v", e)
	}
}

// notesOf are the notes of a core: name, kind, and contents.
func notesOf(t *testing.T, f *elf.File) (all []elfNote) {
	t.Helper()
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		b := make([]byte, p.Filesz)
		if _, err := p.ReadAt(b, 0); err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			name := int(binary.LittleEndian.Uint32(b))
			desc := int(binary.LittleEndian.Uint32(b[4:]))
			kind := binary.LittleEndian.Uint32(b[8:])
			at := 12 + (name+3)/4*4
			all = append(all, elfNote{string(b[12 : 12+name-1]), kind, b[at : at+desc]})
			b = b[at+(desc+3)/4*4:]
		}
	}
	return all
}

type elfNote struct {
	name string
	kind uint32
	desc []byte
}

// machines are one of each architecture.
func machines() []Config {
	i386 := pc()
	i386.Arch, i386.Rules = I386, RulesOf(I386, 6, 1)
	return []Config{pc(), i386, board(), server()}
}

var coreStatements = []statement{
	{"2.36 the registers of each CPU", func(t *testing.T) {
		for _, cfg := range machines() {
			s := New(cfg)
			loadCore(t, s)
			f, err := elf.NewFile(crash(t, s, 0, 1))
			if err != nil {
				t.Fatal(cfg.Arch, err)
			}
			all := notesOf(t, f)
			if len(all) != 3 {
				t.Fatalf("%v: notes: got %d, want 3", cfg.Arch, len(all))
			}
			facts := s.facts
			for cpu, n := range all[:2] {
				if n.name != "CORE" || elf.NType(n.kind) != elf.NT_PRSTATUS || len(n.desc) != facts.prstatus {
					t.Errorf("%v: got %s %d of %d bytes", cfg.Arch, n.name, n.kind, len(n.desc))
				}
				wantEqual(t, "process", binary.LittleEndian.Uint32(n.desc[facts.pid:]), uint32(100+cpu))
				wantEqual(t, "first register", binary.LittleEndian.Uint16(n.desc[facts.reg:]), 0x1234)
				wantEqual(t, "sixth register", int(n.desc[facts.reg+5*facts.word]), cpu)
			}
		}
		// A CPU that there is not is passed over.
		s := New(pc())
		s.SaveCPU(2, 1, nil)
		s.SaveCPU(-1, 1, nil)
		wantEqual(t, "saved", s.Saved(2) || s.Saved(-1) || s.Saved(0), false)
	}},
	{"2.37 a CPU that has not answered has an empty note", func(t *testing.T) {
		s := New(pc())
		loadCore(t, s)
		v := crash(t, s, 0)
		wantEqual(t, "warnings", v.Warnings, []string{"Warning: Zero PT_NOTE entries found"})
		f, err := elf.NewFile(v)
		if err != nil {
			t.Fatal(err)
		}
		all := notesOf(t, f)
		wantEqual(t, "notes", len(all), 2)
		wantEqual(t, "saved", s.Saved(1), false)
		wantEqual(t, "process", binary.LittleEndian.Uint32(all[0].desc[32:]), 100)
	}},
	{"2.38 vmcoreinfo, with the time of the crash", func(t *testing.T) {
		s := New(pc())
		loadCore(t, s)
		// What runs wild reaches the kernel's copy, and not that in the reserved region.
		s.Memory().Write(s.info, []byte("garbage"))
		f, err := elf.NewFile(crash(t, s, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		last := notesOf(t, f)[2]
		wantEqual(t, "name", last.name, "VMCOREINFO")
		wantEqual(t, "text", string(last.desc), "OSRELEASE=6.1.0-56-amd64\nBUILD-ID=8d5a\n"+
			"PAGESIZE=4096\nKERNELOFFSET=1e600000\nCRASHTIME=1795293386\n")

		s = New(at(pc(), 4, 5))
		loadCore(t, s)
		s.Memory().Write(s.info, []byte("garbage"))
		f, err = elf.NewFile(crash(t, s, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(notesOf(t, f)[2].desc); !strings.HasPrefix(got, "garbage") {
			t.Errorf("before 4.13: got %q", got)
		}
	}},
	{"2.39 vmcoreinfo is a page", func(t *testing.T) {
		cfg := pc()
		cfg.Info = strings.Repeat("x", PageSize-5)
		s := New(cfg)
		loadCore(t, s)
		f, err := elf.NewFile(crash(t, s, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		desc := notesOf(t, f)[2].desc
		wantEqual(t, "length", len(desc), PageSize)
		wantEqual(t, "end", string(desc[PageSize-6:]), "xCRASH")
	}},
	{"2.40 /proc/vmcore", func(t *testing.T) {
		s := New(pc())
		loadCore(t, s)
		s.Memory().Write(0x2000010, []byte("evidence"))
		s.Memory().Write(0x38000010, []byte("more of it"))
		v := crash(t, s, 0, 1)
		f, err := elf.NewFile(v)
		if err != nil {
			t.Fatal(err)
		}
		var head [64]byte
		v.ReadAt(head[:], 0)
		// As read from /proc/vmcore of Linux 6.1 on such a machine.
		wantEqual(t, "header", fmt.Sprintf("% x", head),
			"7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00 04 00 3e 00 01 00 00 00 00 00 00 00 00 00 00 00 "+
				"40 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 40 00 38 00 04 00 00 00 00 00 00 00")
		var kinds []string
		for _, p := range f.Progs {
			kinds = append(kinds, fmt.Sprintf("%v %#x", p.Type, p.Paddr))
		}
		wantEqual(t, "segments", kinds, []string{
			"PT_NOTE 0x0", "PT_LOAD 0x1000000", "PT_LOAD 0x100000", "PT_LOAD 0x33000000",
		})
		for _, c := range []struct {
			prog int
			off  int64
			want string
		}{
			{1, 0x2000010 - 0x1000000, "evidence"},
			{2, 0x2000010 - 0x100000, "evidence"},
			{3, 0x38000010 - 0x33000000, "more of it"},
		} {
			b := make([]byte, len(c.want))
			if _, err := f.Progs[c.prog].ReadAt(b, c.off); err != nil {
				t.Error(err)
			}
			wantEqual(t, "contents", string(b), c.want)
		}
	}},
	{"2.41 its size", func(t *testing.T) {
		cfg := pc()
		// Debian's has more than 3360 bytes, so that the notes are two pages. The kernel's size in pc
		// is what was then left of the size that was measured: memory in two regions, a page of
		// header, two of notes, and the kernel once more.
		cfg.Info += strings.Repeat("SYMBOL(x)=0\n", 300)
		s := New(cfg)
		loadCore(t, s)
		v := crash(t, s, 0, 1)
		ram := int64(crashStart-mib) + 0x3ffe0000 - crashStart - crashSize
		wantEqual(t, "size", v.Size(), ram+0x342f000+3*PageSize)
		wantEqual(t, "as measured", v.Size(), 925966336)
	}},
	{"2.42 a description that is none", func(t *testing.T) {
		s := New(pc())
		loadCore(t, s)
		m, at := s.Memory(), s.Image(CrashImage).Elfcorehdr
		_, err := OpenVmcore(m, ARM64, at)
		wantBad(t, "another architecture", err, "Warning: Core image elf header is not sane")
		_, err = OpenVmcore(m, X8664, at+PageSize)
		wantBad(t, "another address", err, "Warning: Core image elf header not found")
		m.Write(at+56, []byte{0, 0})
		_, err = OpenVmcore(m, X8664, at)
		wantBad(t, "no segments", err, "Warning: Core image elf header is not sane")
		var fault *Fault
		if _, err = OpenVmcore(m, X8664, 1<<40); !errors.As(err, &fault) {
			t.Errorf("no memory: got %v", err)
		}
		for arg, want := range map[string]uint64{
			"quiet elfcorehdr=0x27000000 panic=1": 0x27000000, "elfcorehdr=867704K": 867704 << 10,
			"elfcorehdr=1 elfcorehdr=2M": 2 << 20,
		} {
			got, ok := ElfcorehdrArg(arg)
			if !ok || got != want {
				t.Errorf("%s: got %#x, %v, want %#x", arg, got, ok, want)
			}
		}
		for _, arg := range []string{"", "elfcorehdr", "elfcorehdr=", "elfcorehdr=x", "xelfcorehdr=1"} {
			if got, ok := ElfcorehdrArg(arg); ok {
				t.Errorf("%q: got %#x", arg, got)
			}
		}
	}},
}

func wantBad(t *testing.T, what string, err error, line string) {
	t.Helper()
	var bad *BadCore
	if !errors.As(err, &bad) || bad.Line != line {
		t.Errorf("%s: got %v, want %s", what, err, line)
	}
}

func TestMemory(t *testing.T) {
	m := NewMemory(Region{0x2000, 0x1000}, Region{0x1000, 0x1000}, Region{0x8000, 0x800})
	wantEqual(t, "regions", m.RAM(), []Region{{0x1000, 0x2000}, {0x8000, 0x800}})
	wantEqual(t, "size", m.Size(), 0x2800)
	long := bytes.Repeat([]byte("ab"), 0x1000)
	if err := m.Write(0x1000, long); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(long))
	if err := m.Read(0x1000, back); err != nil || !bytes.Equal(back, long) {
		t.Errorf("read back: %v", err)
	}
	for _, r := range []Region{{0xfff, 1}, {0x2fff, 2}, {0x87ff, 2}, {1<<64 - 1, 2}, {0x3000, 1}} {
		if m.Has(r.Start, r.Size) || m.Write(r.Start, make([]byte, r.Size)) == nil {
			t.Errorf("there is memory at %#x", r.Start)
		}
	}
}

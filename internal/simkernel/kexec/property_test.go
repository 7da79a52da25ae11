package kexec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestEverySegmentArrives: wherever the pages come from that the kernel takes for an image, and even
// where they are other segments' destinations, the list brings each segment to its place, and
// unloading gives all pages back.
func TestEverySegmentArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		arch := rapid.SampledFrom([]Arch{X8664, I386, ARM, ARM64}).Draw(t, "arch")
		const base, pages = 16 * mib, 64
		cfg := Config{Arch: arch, Memory: NewMemory(Region{base, pages * PageSize})}
		s := New(cfg)
		// Destinations may be anywhere but on what the kernel itself has taken.
		first := s.pool.free[0].Start
		var segments []Segment
		at := first
		for range rapid.IntRange(1, 6).Draw(t, "segments") {
			at += uint64(rapid.IntRange(0, 3).Draw(t, "gap")) * PageSize
			n := uint64(rapid.IntRange(0, 5).Draw(t, "pages"))
			size := rapid.Uint64Range(0, n*PageSize).Draw(t, "size")
			if at+n*PageSize > base+pages*PageSize {
				break
			}
			b := bytes.Repeat([]byte{byte(len(segments) + 1)}, int(size))
			for p := 0; p < len(b); p += PageSize {
				b[p] = byte(p/PageSize + 100)
			}
			segments = append(segments, Segment{Buf: b, Mem: at, MemSize: n * PageSize})
			at += n * PageSize
		}
		order := rapid.Permutation(segments).Draw(t, "order")
		if len(order) == 0 {
			return
		}
		if e := s.Load(true, base, order, 0); e != 0 {
			t.Fatalf("kexec_load: %v", e)
		}
		im := s.Image(NormalImage)
		if _, err := Relocate(cfg.Memory, arch, im, 1000); err != nil {
			t.Fatal(err)
		}
		for _, g := range segments {
			want := make([]byte, g.MemSize)
			copy(want, g.Buf)
			got := make([]byte, g.MemSize)
			if err := cfg.Memory.Read(g.Mem, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("segment at %#x is not there", g.Mem)
			}
		}
		if e := s.Load(true, 0, nil, 0); e != 0 || len(s.pool.out) != 0 {
			t.Fatalf("unloaded: %v, and %d pages are kept", e, len(s.pool.out))
		}
	})
}

// TestNothingIsKept: whatever is tried, a load that fails keeps no page, and a crash image never has
// one of the kernel's.
func TestNothingIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Config{
			Arch: X8664, Rules: RulesOf(X8664, 6, 1),
			Memory: NewMemory(Region{16 * mib, 40 * PageSize}),
			Crash:  Region{16*mib + 24*PageSize, 8 * PageSize},
		}
		s := New(cfg)
		for range 8 {
			var segments []Segment
			for range rapid.IntRange(0, 3).Draw(t, "segments") {
				mem := 16*mib + uint64(rapid.IntRange(0, 44).Draw(t, "page"))*PageSize
				segments = append(segments, seg(mem, "x", uint64(rapid.IntRange(0, 20).Draw(t, "pages"))))
			}
			flags := uint32(rapid.IntRange(0, 1).Draw(t, "flags"))
			s.Load(true, 16*mib+24*PageSize, segments, flags)
			want := 0
			if im := s.Image(NormalImage); im != nil {
				want = len(im.pages)
			}
			if len(s.pool.out) != want {
				t.Fatalf("pages: got %d, want %d", len(s.pool.out), want)
			}
			if im := s.Image(CrashImage); im != nil && len(im.pages) != 0 {
				t.Fatal("a crash image has pages of the kernel")
			}
			if s.locked {
				t.Fatal("the lock is still held")
			}
		}
	})
}

// FuzzPageList: whatever words a page list has, executing it ends, and ends in one of three ways.
func FuzzPageList(f *testing.F) {
	words := func(ws ...uint32) []byte {
		var b []byte
		for _, w := range ws {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	f.Add(uint8(ARM), uint64(0x1002), words(0x3001, 0x2008, 4))
	f.Add(uint8(ARM), uint64(0x1002), words(0x1002))
	f.Add(uint8(X8664), uint64(0x1002), words(0x3001, 0, 0x2008, 0, 4, 0))
	f.Add(uint8(ARM64), uint64(4), words())
	f.Add(uint8(I386), uint64(0xfffffff8), words(8))
	f.Fuzz(func(t *testing.T, a uint8, head uint64, list []byte) {
		const limit = 200
		arch := Arch(a % 5)
		m := NewMemory(Region{0, 16 * PageSize}, Region{limit32 - PageSize + 1, PageSize})
		m.Write(PageSize, list[:min(len(list), 15*PageSize)])
		if arch.facts().word == 4 {
			head &= limit32
		}
		r, err := Relocate(m, arch, &Image{Head: head}, limit)
		var endless *Endless
		var fault *Fault
		switch {
		case err == nil:
		case errors.As(err, &endless):
			if r.Words != limit {
				t.Errorf("given up after %d words", r.Words)
			}
		case errors.As(err, &fault):
		default:
			t.Errorf("got %v", err)
		}
		if r.Words > limit || r.Copied > r.Words+1 {
			t.Errorf("got %+v", r)
		}
		again := NewMemory(Region{0, 16 * PageSize}, Region{limit32 - PageSize + 1, PageSize})
		again.Write(PageSize, list[:min(len(list), 15*PageSize)])
		if r2, _ := Relocate(again, arch, &Image{Head: head}, limit); r2 != r {
			t.Errorf("got %+v, then %+v", r, r2)
		}
	})
}

// FuzzElfcorehdr: a description of memory that lies makes no trouble but its own.
func FuzzElfcorehdr(f *testing.F) {
	for _, cfg := range machines() {
		f.Add(uint8(cfg.Arch), New(cfg).Elfcorehdr())
	}
	f.Fuzz(func(t *testing.T, a uint8, header []byte) {
		m := NewMemory(Region{0, 64 * PageSize})
		m.Write(0, header[:min(len(header), 64*PageSize)])
		v, err := OpenVmcore(m, Arch(a%4), 0)
		if err != nil {
			return
		}
		b := make([]byte, 8192)
		for _, off := range []int64{0, 4000, v.Size() - 10, v.Size()} {
			n, err := v.ReadAt(b, off)
			if n < len(b) && err == nil {
				t.Errorf("at %d: %d bytes and no error", off, n)
			}
		}
	})
}

package pstore

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// recorded is what a kernel has left in its memory: Debian's 6.1.192 for clouds in QEMU. The sums
// below are what that kernel said at its next boot of the files it made of it.
func recorded(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", name+".zone.gz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return mem
}

func rules(t testing.TB, major, minor int) Rules {
	t.Helper()
	r, ok := For(major, minor, 192)
	if !ok {
		t.Fatalf("no rules for %d.%d", major, minor)
	}
	return r
}

// booted is the time of the boots below.
func booted() time.Time { return time.Unix(1795321000, 0).UTC() }

// params are those of the recordings.
func params(size, record int) Params {
	p := DefaultParams()
	p.MemAddress, p.MemSize = 0x8000000, size
	if record != 0 {
		p.RecordSize = record
	}
	return p
}

func bare(p Params) Params {
	p.ConsoleSize, p.FtraceSize, p.PmsgSize = 0, 0, 0
	return p
}

// TestReadsWhatTheKernelLeft: the files are those that the kernel itself showed, byte by byte.
// [Kernel 8.15]
func TestReadsWhatTheKernelLeft(t *testing.T) {
	type file struct {
		name, sum string
		size      int
		at        time.Time
	}
	withECC := bare(params(0x10000, 0x4000))
	withECC.ECC = 1
	first := time.Unix(1795320927, 734229000).UTC()
	panicked := time.Unix(1795321090, 289600000).UTC()
	for _, c := range []struct {
		name   string
		mem    string
		params Params
		spoil  func([]byte)
		set    Settings
		want   []file
		lines  []string
	}{
		{
			// The memory less three zones of a page is cut into six that are not a power of two.
			name: "a panic, then the emergency restart", mem: "a1", params: params(0x10000, 0x2000),
			set: Defaults(),
			want: []file{
				{"dmesg-ramoops-0", "93796647d18200bce799d25ea7c07d1f", 19671, first},
				{
					"dmesg-ramoops-1", "ef0452edb760abb44b051dcfbea5695f", 19538,
					time.Unix(1795320928, 733983000).UTC(),
				},
			},
			lines: []string{
				"ramoops: using module parameters", "pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x10000@0x8000000, ecc: 0",
			},
		},
		{
			name: "three wrong bytes", mem: "e1", params: withECC, set: Defaults(),
			spoil: func(mem []byte) {
				for _, at := range []int{100, 101, 110} {
					mem[zoneHeader+at] ^= 0x5a
				}
			},
			want: []file{{"dmesg-ramoops-0", "a2ff751d411eebf5ab66f8c9a670bd13", 24191, panicked}},
			lines: []string{
				"ramoops: using module parameters", "pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x10000@0x8000000, ecc: 16",
			},
		},
		{
			name: "a wrong header and a block beyond help", mem: "e1", params: withECC, set: Defaults(),
			spoil: func(mem []byte) {
				for at := range 20 {
					mem[zoneHeader+1024+at] ^= 0x77
				}
				mem[4] ^= 0xff
			},
			want: []file{{"dmesg-ramoops-0", "281baa3dc6ac32177674c27ccd735846", 24203, panicked}},
			lines: []string{
				"ramoops: using module parameters", "ramoops: error in header, 1",
				"pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x10000@0x8000000, ecc: 16",
			},
		},
		{
			name: "a log that was cleared", mem: "s1", params: params(0x8000, 0), set: Defaults(),
			want: []file{{
				"dmesg-ramoops-0", "7f019a05c9909bc1e67f347a45530f47", 165,
				time.Unix(1795321101, 952202000).UTC(),
			}},
			lines: []string{
				"ramoops: using module parameters", "pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x8000@0x8000000, ecc: 0",
			},
		},
		{
			// Its compressed text begins with 0x0b, which the kernel takes for the header's end.
			name: "a log of two lines", mem: "short", params: params(0x8000, 0), set: Defaults(),
			want: []file{{
				"dmesg-ramoops-0.enc.z", "46244b39514e37465578fa842c6ddc90", 112,
				time.Unix(1795322016, 56622000).UTC(),
			}},
			lines: []string{
				"ramoops: using module parameters", "pstore: Using crash dump compression: deflate",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x8000@0x8000000, ecc: 0",
				"pstore: crypto_comp_decompress failed, ret = -22!",
			},
		},
		{
			name: "a kernel that does not decompress", mem: "s2", params: params(0x8000, 0),
			set: Settings{Compress: "none", KmsgBytes: 10240},
			want: []file{{
				"dmesg-ramoops-0.enc.z", "e25a88f03ae5b54ab0cb04d83e8b1e61", 3519,
				time.Unix(1795321106, 1715000).UTC(),
			}},
			lines: []string{
				"ramoops: using module parameters",
				"pstore: Registered ramoops as persistent store backend",
				"ramoops: using 0x8000@0x8000000, ecc: 0",
				"pstore: no decompression method initialized!",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := recorded(t, c.mem)
			if c.spoil != nil {
				c.spoil(mem)
			}
			s := New(rules(t, 6, 1), c.set)
			lines, err := s.LoadRamoops(mem, &c.params, 1, booted())
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, s.Mount(booted())...)
			var text []string
			for _, l := range lines {
				text = append(text, l.Text)
			}
			if !slices.Equal(text, c.lines) {
				t.Errorf("lines:\ngot  %q\nwant %q", text, c.lines)
			}
			var got []file
			for _, f := range s.Files() {
				got = append(got, file{f.Name, fmt.Sprintf("%x", md5.Sum(f.Data)), len(f.Data), f.Time})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("files:\ngot  %v\nwant %v", got, c.want)
			}
		})
	}
}

// TestTakesMemoryOverAsTheKernelDoes: what the driver does to memory at boot and at an unlink, it
// does to the kernel's bytes as the kernel does.
func TestTakesMemoryOverAsTheKernelDoes(t *testing.T) {
	mem := recorded(t, "a1")
	before := slices.Clone(mem)
	s, p := New(rules(t, 6, 1), Defaults()), params(0x10000, 0x2000)
	if _, err := s.LoadRamoops(mem, &p, 1, booted()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(mem, before) {
		t.Error("loading the module has changed what stands in memory")
	}
	s.Mount(booted())
	if err := s.Unlink("dmesg-ramoops-0"); err != nil {
		t.Fatal(err)
	}
	clear(before[4:12]) // start and size of the first zone; the kernel left the rest
	if !bytes.Equal(mem, before) {
		t.Error("unlink has changed more than the record's header")
	}
}

// TestParityIsTheKernels: a zone with parity that is written again has the same parity.
func TestParityIsTheKernels(t *testing.T) {
	mem := recorded(t, "e1")
	z, lines, err := newZone(slices.Clone(mem[:0x4000]), 0, 16, false)
	if err != nil || len(lines) != 0 {
		t.Fatal(lines, err)
	}
	text := z.old
	again, _, err := newZone(make([]byte, 0x4000), 0, 16, false)
	if err != nil {
		t.Fatal(err)
	}
	n := bytes.IndexByte(text, '\n') + 1
	again.write(text[:n])
	again.write(text[n:])
	if !bytes.Equal(again.mem, mem[:0x4000]) {
		t.Error("the zone differs from the kernel's")
	}
	if !strings.HasSuffix(z.notice(), "No errors detected\n") {
		t.Errorf("notice: got %q", z.notice())
	}
}

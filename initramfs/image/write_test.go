package image

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"
)

// everyKind is an image with an entry of each type.
func everyKind(t *testing.T) *Image {
	t.Helper()
	im, err := settle(
		dir("tmp", 0o1777), file("etc/empty", ""), file("etc/motd", "hello\n"),
		Entry{Path: "bin/su", Rank: Asked, Perm: 0o4755, From: from, Data: []byte("elf")},
		link("/etc/motd", "motd"), char("dev/null", 1, 3),
		Entry{Path: "dev/vda", Kind: Block, Perm: 0o660, From: from, Major: 254, Minor: 300},
		Entry{Path: "run/pipe", Kind: Fifo, Perm: 0o600, From: from},
	)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// write returns the archive in a compression.
func write(t *testing.T, im *Image, c Compression) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := im.Write(&b, c)
	if err != nil {
		t.Fatal(err)
	}
	if s.Packed != int64(b.Len()) {
		t.Errorf("summary says %d bytes, want %d", s.Packed, b.Len())
	}
	return b.Bytes()
}

// unpack undoes a compression.
func unpack(t *testing.T, data []byte, c Compression) []byte {
	t.Helper()
	var r io.Reader = bytes.NewReader(data)
	var err error
	switch c {
	case None:
		return data
	case Gzip:
		r, err = gzip.NewReader(r)
	case Zstd:
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestReadBack(t *testing.T) {
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(
		write(t, everyKind(t), None))))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	inodes := map[uint64]bool{}
	for _, r := range records {
		content, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%06o %d,%d %s %q", r.Mode, r.Rmajor, r.Rminor, r.Name, content))
		if r.UID != 0 || r.GID != 0 || r.MTime != 0 || r.Major != 0 || r.Minor != 0 {
			t.Errorf("%s: want owner, time and device zero: %v", r.Name, r.Info)
		}
		if r.Ino == 0 || inodes[r.Ino] {
			t.Errorf("%s: inode number %d is zero or used twice", r.Name, r.Ino)
		}
		inodes[r.Ino] = true
	}
	want := []string{
		`040755 0,0 . ""`,
		`040755 0,0 bin ""`,
		`104755 0,0 bin/su "elf"`,
		`040755 0,0 dev ""`,
		`020600 1,3 dev/null ""`,
		`060660 254,300 dev/vda ""`,
		`040755 0,0 etc ""`,
		`100644 0,0 etc/empty ""`,
		`100644 0,0 etc/motd "hello\n"`,
		`120777 0,0 motd "/etc/motd"`,
		`040755 0,0 run ""`,
		`010600 0,0 run/pipe ""`,
		`041777 0,0 tmp ""`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestCpioReadsIt(t *testing.T) {
	program, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs the program cpio")
	}
	cmd := exec.Command(program, "-tv", "--quiet", "--numeric-uid-gid")
	cmd.Stdin = bytes.NewReader(write(t, everyKind(t), None))
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"-rwsr-xr-x   1 0        0               3 Jan  1  1970 bin/su",
		"crw-------   1 0        0          1,   3 Jan  1  1970 dev/null",
		"drwxrwxrwt   2 0        0               0 Jan  1  1970 tmp",
		"lrwxrwxrwx   1 0        0               9 Jan  1  1970 motd -> /etc/motd",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("got\n%s\nwant the line\n%s", out, want)
		}
	}
}

func TestCompressions(t *testing.T) {
	im := everyKind(t)
	plain := write(t, im, None)
	for _, c := range []Compression{Gzip, Zstd} {
		packed := write(t, im, c)
		if !bytes.Equal(unpack(t, packed, c), plain) {
			t.Errorf("%s: does not unpack to the plain archive", c)
		}
		if len(packed) >= len(plain) {
			t.Errorf("%s: %d bytes from %d", c, len(packed), len(plain))
		}
	}
	// Bytes 4 to 7 are the time, bit 3 of byte 3 would announce a name [RFC 1952].
	if header := write(t, im, Gzip)[:10]; !bytes.Equal(header[3:8], make([]byte, 5)) {
		t.Errorf("gzip header % x: want no time and no name", header)
	}
	if _, err := ParseCompression("xz"); err == nil {
		t.Error("ParseCompression takes xz")
	}
	if _, err := im.Write(io.Discard, "xz"); err == nil {
		t.Error("Write takes xz")
	}
}

// plant makes a small tree on disk as somebody else, another day, would have it.
func plant(t *testing.T, root string, umask int, mtime time.Time) {
	t.Helper()
	old := unix.Umask(umask)
	defer unix.Umask(old)
	for _, d := range []string{"etc/init.d", "empty"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	big := strings.Repeat("some text that fills more than a block of any compression\n", 60_000)
	for name, mode := range map[string]os.FileMode{
		"etc/passwd": 0o666, "etc/init.d/rcS": 0o777, "etc/big": 0o666,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name+big), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("init.d/rcS", filepath.Join(root, "etc/rc")); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err != nil || info.Mode()&os.ModeSymlink != 0 {
			return err
		}
		return os.Chtimes(p, mtime, mtime)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSameInputsSameBytes(t *testing.T) {
	build := func(umask int, mtime time.Time, procs int, dest string, c Compression) []byte {
		root := filepath.Join(t.TempDir(), dest)
		plant(t, root, umask, mtime)
		t.Chdir(root)
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		defer unix.Umask(unix.Umask(umask))
		im := &Image{}
		// One builds from inside the tree, the other by its name.
		name := map[bool]string{true: ".", false: root}[procs == 1]
		if err := im.AddTree(Tree{Dir: name, Rank: Asked, From: "--tree " + name}); err != nil {
			t.Fatal(err)
		}
		if err := im.Settle(); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "image")
		if _, err := im.WriteFile(out, c); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, c := range []Compression{None, Gzip, Zstd} {
		first := build(0o022, time.Unix(1_000_000_000, 0), 1, "one", c)
		second := build(0o077, time.Unix(1_700_000_000, 500), 4, "another/name", c)
		if !bytes.Equal(first, second) {
			t.Errorf("%s: two builds of the same tree differ: %d and %d bytes",
				c, len(first), len(second))
		}
	}
}

func TestAFailedBuildKeepsTheOldImage(t *testing.T) {
	dir := t.TempDir()
	out, source := filepath.Join(dir, "image"), filepath.Join(dir, "source")
	for _, name := range []string{out, source} {
		if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := file("a", "")
	e.Data, e.Source = nil, source
	im, err := settle(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(source); err != nil {
		t.Fatal(err)
	}
	if _, err := im.WriteFile(out, Gzip); err == nil {
		t.Error("writing a file that has gone succeeds")
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "old" {
		t.Errorf("the image is now %q, %v, want the old one", data, err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, want only the image (%v)", len(left), err)
	}
	if _, err := im.WriteFile(filepath.Join(dir, "none/image"), Gzip); err == nil {
		t.Error("writing into a missing directory succeeds")
	}
	if _, err := (&Image{}).WriteFile(out, Gzip); err == nil {
		t.Error("an unsettled image is written")
	}
}

func TestSummary(t *testing.T) {
	var b bytes.Buffer
	s, err := everyKind(t).Write(&b, Gzip)
	if err != nil {
		t.Fatal(err)
	}
	want := map[Kind]int{File: 3, Dir: 6, Link: 1, Char: 1, Block: 1, Fifo: 1}
	if diff := cmp.Diff(want, s.Kinds); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if s.Entries() != 13 || s.Plain <= s.Packed {
		t.Errorf("got %d entries, %d bytes from %d", s.Entries(), s.Packed, s.Plain)
	}
}

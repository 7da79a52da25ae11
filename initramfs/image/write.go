package image

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"
)

// A Compression is how the archive is packed. Every one of them needs the kernel's CONFIG_RD_
// option of its name, except None.
type Compression string

const (
	None Compression = "none"
	Gzip Compression = "gzip"
	Zstd Compression = "zstd"
)

// ParseCompression takes the name of a compression.
func ParseCompression(name string) (Compression, error) {
	switch c := Compression(name); c {
	case None, Gzip, Zstd:
		return c, nil
	}
	return "", fmt.Errorf("compression %q: want gzip, zstd or none", name)
}

// zstdWindow bounds the memory in which the kernel unpacks, which a small machine may not have
// twice. It is also what `zstd -19` uses.
const zstdWindow = 8 << 20

// packer returns a writer that compresses into w, with nothing in its output that says when,
// where or on how many processors it was made.
func (c Compression) packer(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case None:
		return nopCloser{w}, nil
	case Gzip:
		// The header of a new writer carries no name and the time zero.
		return gzip.NewWriter(w), nil
	case Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
			zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
	}
	return nil, fmt.Errorf("compression %q: want gzip, zstd or none", string(c))
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// A Summary counts what went into an archive.
type Summary struct {
	Kinds  map[Kind]int // entries by type
	Plain  int64        // bytes of the archive before compression
	Packed int64        // bytes written
}

// Entries is the number of entries of all types.
func (s Summary) Entries() int {
	n := 0
	for _, k := range s.Kinds {
		n += k
	}
	return n
}

// Write writes the settled image to w.
func (im *Image) Write(w io.Writer, c Compression) (Summary, error) {
	if im.settled == nil {
		return Summary{}, errors.New("the image is not settled")
	}
	packed := &counter{w: w}
	packer, err := c.packer(packed)
	if err != nil {
		return Summary{}, err
	}
	plain := &counter{w: packer}
	s := Summary{Kinds: map[Kind]int{}}
	buffer := bufio.NewWriterSize(plain, 64<<10)
	records := cpio.Newc.Writer(buffer)
	for i, p := range sortedPaths(im.settled) {
		e := im.settled[p]
		// Inode numbers only have to differ: the kernel takes files with equal ones and more than
		// one link for one file.
		if err := writeEntry(records, p, uint64(i)+1, e); err != nil {
			return Summary{}, err
		}
		s.Kinds[e.Kind]++
	}
	if err := cpio.WriteTrailer(records); err != nil {
		return Summary{}, err
	}
	if err := errors.Join(buffer.Flush(), packer.Close()); err != nil {
		return Summary{}, err
	}
	s.Plain, s.Packed = plain.n, packed.n
	return s, nil
}

// WriteFile writes the settled image to a file, which keeps its old content unless all went well.
func (im *Image) WriteFile(name string, c Compression) (s Summary, err error) {
	dir, base := filepath.Split(name)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+".*")
	if err != nil {
		return Summary{}, err
	}
	defer func() {
		if err != nil {
			f.Close() // the first error is the one to tell
			os.Remove(f.Name())
		}
	}()
	if s, err = im.Write(f, c); err != nil {
		return s, err
	}
	if err = f.Chmod(0o644); err != nil {
		return s, err
	}
	if err = f.Close(); err != nil {
		return s, err
	}
	return s, os.Rename(f.Name(), name)
}

// writeEntry writes one entry under inode number ino.
func writeEntry(w cpio.RecordWriter, p string, ino uint64, e Entry) error {
	r := cpio.Record{Info: cpio.Info{Name: p, Ino: ino, NLink: 1, Mode: uint64(e.Perm)}}
	switch e.Kind {
	case File:
		content, size, err := e.open()
		if err != nil {
			return err
		}
		defer closeReader(content)
		if size > maxSize {
			return &PathError{p, e.From, fmt.Sprintf("%d bytes, a cpio archive takes %d",
				size, maxSize)}
		}
		r.ReaderAt, r.FileSize = content, uint64(size)
		r.Mode |= unix.S_IFREG
	case Dir:
		r.NLink = 2
		r.Mode |= unix.S_IFDIR
	case Link:
		r.ReaderAt, r.FileSize = strings.NewReader(e.Target), uint64(len(e.Target))
		r.Mode = unix.S_IFLNK | 0o777
	case Char, Block:
		r.Rmajor, r.Rminor = uint64(e.Major), uint64(e.Minor)
		if e.Kind == Char {
			r.Mode |= unix.S_IFCHR
		} else {
			r.Mode |= unix.S_IFBLK
		}
	case Fifo:
		r.Mode |= unix.S_IFIFO
	}
	if err := w.WriteRecord(r); err != nil {
		return &PathError{p, e.From, err.Error()}
	}
	return nil
}

// A counter counts the bytes that pass through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

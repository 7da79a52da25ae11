// Package image holds a file system tree that is to become an initramfs, and writes it as a newc
// cpio archive, plain or compressed.
//
// Inputs are collected with Add, Overlay and AddTree in any order; Settle decides what lies where
// and refuses what a kernel would unpack into something else than was asked for; Write makes the
// archive. The archive depends on nothing but the entries: they are sorted, times are zero,
// everything belongs to root, and inode numbers are counted.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
)

// A Kind is the type of an entry.
type Kind byte

const (
	File Kind = iota
	Dir
	Link
	Char
	Block
	Fifo
)

func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Dir:
		return "directory"
	case Link:
		return "link"
	case Char:
		return "character device"
	case Block:
		return "block device"
	case Fifo:
		return "fifo"
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// A Rank says how much an entry is meant: where two inputs name the same path, the higher one
// stays, and two of the same rank must agree.
type Rank byte

const (
	// Implied is a directory that is there because something lies in it.
	Implied Rank = iota
	// Standard is what the builder brings itself: device nodes, mount points, applet links.
	Standard
	// Asked is what the user named.
	Asked
	// Overlaid is what the user named to take the place of something else. The last one stays.
	Overlaid
)

// Limits of the newc format as the kernel reads it [init/initramfs.c, do_header]: a longer name or
// link target is skipped without a word, and sizes are 32 bits wide.
const (
	maxName = 4095
	maxSize = math.MaxUint32
)

// trailer is the name of the record that ends an archive; a file of that name would end it too.
const trailer = "TRAILER!!!"

// An Entry is one thing in the image.
type Entry struct {
	Path string // from the root of the image; a leading slash makes no difference
	Kind Kind
	Rank Rank
	Perm uint32 // permission bits with set-user-id, set-group-id and sticky: 0 to 07777
	From string // who asked for it, for messages: `--file a:b`, `board.manifest:12`

	Source string // of a File: the file on this machine; if empty, Data is the content
	Data   []byte
	// PlainPerm takes the mode from Source in place of Perm: 0755 if its owner may run it, and
	// 0644 otherwise.
	PlainPerm bool

	Target string // of a Link
	// Relative writes an absolute Target as seen from where the link comes to lie, so that someone
	// who looks at the unpacked tree from outside does not follow it into his own machine.
	Relative bool
	Major    uint32 // of a Char or Block
	Minor    uint32
}

// Image collects entries. The zero value is an empty image.
type Image struct {
	asked   []Entry
	runtime []string         // directories that are filled while the machine runs
	opened  []string         // files of trees that others could not read and now can
	settled map[string]Entry // by canonical path, after Settle
}

// A PathError says which path of the image cannot be as it was asked for, by whom, and why.
type PathError struct {
	Path string
	From string
	Why  string
}

func (e *PathError) Error() string {
	return fmt.Sprintf("%s: /%s: %s", e.From, strings.TrimLeft(e.Path, "/"), e.Why)
}

// A ConflictError says that two inputs want different things in one place.
type ConflictError struct {
	Path        string
	First, Then string // who asked
	Why         string // what differs
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: /%s is already there from %s, and differs: %s",
		e.Then, e.Path, e.First, e.Why)
}

// CleanPath brings a path of the image into the form of the archive: no leading slash, no empty
// or `.` component. It refuses `..`, because nobody who writes it means what the kernel does.
func CleanPath(p string) (string, error) {
	if strings.ContainsRune(p, 0) {
		return "", errors.New("the name holds a NUL")
	}
	for c := range strings.SplitSeq(p, "/") {
		if c == ".." {
			return "", errors.New("`..` in the name")
		}
	}
	clean := strings.TrimLeft(path.Clean(p), "/")
	switch {
	case clean == "" || clean == ".":
		return "", errors.New("the name is empty")
	case clean == trailer:
		return "", errors.New("a file of this name would end the archive")
	case len(clean) > maxName:
		return "", fmt.Errorf("the name is %d bytes long, the kernel takes %d", len(clean), maxName)
	}
	return clean, nil
}

// Add takes one entry. What it can refuse by itself it refuses at once; the rest is for Settle.
func (im *Image) Add(e Entry) error {
	clean, err := CleanPath(e.Path)
	if err != nil {
		return &PathError{e.Path, e.From, err.Error()}
	}
	refuse := func(format string, args ...any) error {
		return &PathError{clean, e.From, fmt.Sprintf(format, args...)}
	}
	if e.Perm > 0o7777 {
		return refuse("mode %#o: want 0 to 07777", e.Perm)
	}
	switch e.Kind {
	case File:
		if e.Source == "" {
			break
		}
		// A missing file is reported here, by the name that the user wrote, and not while writing.
		info, err := os.Stat(e.Source)
		if err != nil {
			return fmt.Errorf("%s: %w", e.From, err)
		}
		if !info.Mode().IsRegular() {
			return refuse("%s is not a regular file", e.Source)
		}
		if info.Size() > maxSize {
			return refuse("%s has %d bytes, a cpio archive takes %d", e.Source, info.Size(), maxSize)
		}
		if e.PlainPerm {
			e.Perm = plainPerm(info.Mode())
		}
	case Link:
		if e.Target == "" || strings.ContainsRune(e.Target, 0) {
			return refuse("link target %q: want a path", e.Target)
		}
		if e.Relative && !path.IsAbs(e.Target) {
			return refuse("link target %q: want it from the root of the image", e.Target)
		}
		if len(e.Target) > maxName {
			return refuse("the link target is %d bytes long, the kernel takes %d",
				len(e.Target), maxName)
		}
	case Dir, Char, Block, Fifo:
	}
	e.Path = clean
	im.asked = append(im.asked, e)
	im.settled = nil
	return nil
}

// Runtime names a directory that is filled while the machine runs, such as /proc or a mount point:
// links may point below it although nothing is there in the image.
func (im *Image) Runtime(dir, from string) error {
	clean, err := CleanPath(dir)
	if err != nil {
		return &PathError{dir, from, err.Error()}
	}
	im.runtime = append(im.runtime, clean)
	return im.Add(Entry{Path: clean, Kind: Dir, Rank: Implied, Perm: 0o755, From: from})
}

// Settle decides what lies where. It follows links that stand for directories, so that sbin/init
// comes to lie in usr/sbin where the image has the link sbin -> usr/sbin: the kernel would look
// for a directory that is not unpacked yet, and drop the file silently. It then adds the missing
// parent directories and checks every link.
func (im *Image) Settle() error {
	places := make([]string, len(im.asked))
	for i, e := range im.asked {
		places[i] = e.Path
	}
	for range maxLinks {
		merged, err := merge(im.asked, places)
		if err != nil {
			return err
		}
		moved := false
		for i, e := range im.asked {
			dir, err := (&walk{entries: merged}).resolve(path.Dir(places[i]))
			if err != nil {
				return &PathError{e.Path, e.From, err.Error()}
			}
			if p := path.Join(dir, path.Base(places[i])); p != places[i] {
				places[i], moved = p, true
			}
		}
		if !moved {
			return im.finish(merged)
		}
	}
	return fmt.Errorf("the links of the image form a circle of directories")
}

// finish adds the parents of entries that all have their final place, and checks the links.
func (im *Image) finish(entries map[string]Entry) error {
	// Without an entry of its own the root keeps the mode that the kernel's tmpfs gives it: 1777,
	// in which everyone may make files (seen on 6.1).
	entries["."] = Entry{Path: ".", Kind: Dir, Rank: Standard, Perm: 0o755}
	for _, p := range sortedPaths(entries) {
		e := entries[p]
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			parent, ok := entries[dir]
			if !ok {
				entries[dir] = Entry{Path: dir, Kind: Dir, Perm: 0o755, From: e.From}
				continue
			}
			if parent.Kind != Dir {
				return &PathError{p, e.From, fmt.Sprintf("/%s is a %v and cannot hold it (from %s)",
					dir, parent.Kind, parent.From)}
			}
		}
	}
	for _, p := range sortedPaths(entries) {
		if e := entries[p]; e.Kind == Link {
			if e.Relative {
				e.Target = relative(p, path.Clean(e.Target)[1:])
				entries[p] = e
			}
			if err := im.checkLink(entries, p, e); err != nil {
				return err
			}
		}
	}
	im.settled = entries
	return nil
}

// relative returns the target by which a link at from leads to another path of the image. The
// directory of from is no link, so that `..` leads back the way it came.
func relative(from, to string) string {
	if path.Dir(from) == path.Dir(to) {
		return path.Base(to)
	}
	return strings.Repeat("../", strings.Count(from, "/")) + to
}

// checkLink refuses a link that leads nowhere in the image.
func (im *Image) checkLink(entries map[string]Entry, p string, e Entry) error {
	w := walk{entries: entries, runtime: im.runtime, strict: true, links: 1} // e is the first
	start := path.Dir(p)
	if path.IsAbs(e.Target) {
		start = "."
	}
	_, err := w.resolve(start + "/" + e.Target)
	if err == nil || errors.Is(err, errRuntime) {
		return nil
	}
	return &PathError{p, e.From, fmt.Sprintf("the link target %s %v", e.Target, err)}
}

// Lookup returns what lies at path after Settle, through links.
func (im *Image) Lookup(p string) (Entry, bool) {
	w := walk{entries: im.settled, strict: true}
	p, err := w.resolve(p)
	if err != nil {
		return Entry{}, false
	}
	e, ok := im.settled[p]
	return e, ok
}

// Replaced lists, by path, the entries of a lower rank whose place an overlay took. It is only
// complete after Settle.
func (im *Image) Replaced() []string {
	lower := map[string]bool{}
	for _, e := range im.asked {
		if e.Rank == Asked && e.Kind != Dir {
			lower[e.Path] = true
		}
	}
	var paths []string
	for p, e := range im.settled {
		if e.Rank == Overlaid && lower[e.Path] {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}

// Opened lists the files of trees that others may read in the image but not where they come from.
func (im *Image) Opened() []string { return im.opened }

// merge puts every entry in its place and settles who stays where two want the same one.
func merge(asked []Entry, places []string) (map[string]Entry, error) {
	merged := make(map[string]Entry, len(asked))
	for i, e := range asked {
		p := places[i]
		first, taken := merged[p]
		if !taken {
			merged[p] = e
			continue
		}
		stays, err := choose(p, first, e)
		if err != nil {
			return nil, err
		}
		merged[p] = stays
	}
	return merged, nil
}

// choose returns which of two entries stays at p.
func choose(p string, first, then Entry) (Entry, error) {
	low, high := first, then
	if first.Rank > then.Rank {
		low, high = then, first
	}
	conflict := func(why string) error {
		return &ConflictError{Path: p, First: first.From, Then: then.From, Why: why}
	}
	// A directory may hold what others asked for, and a device of another type is no substitute.
	// Only files and links take each other's place.
	exchangeable := func(k Kind) bool { return k == File || k == Link }
	if low.Kind != high.Kind && !(exchangeable(low.Kind) && exchangeable(high.Kind)) {
		return Entry{}, conflict(fmt.Sprintf("a %v and a %v", first.Kind, then.Kind))
	}
	if low.Rank != high.Rank || high.Rank == Overlaid {
		return high, nil
	}
	why, err := difference(first, then)
	if err != nil {
		return Entry{}, err
	}
	if why != "" {
		return Entry{}, conflict(why)
	}
	return first, nil
}

// difference says in what two entries differ, or nothing.
func difference(a, b Entry) (string, error) {
	switch {
	case a.Kind != b.Kind:
		return fmt.Sprintf("a %v and a %v", a.Kind, b.Kind), nil
	case a.Kind != Link && a.Perm != b.Perm:
		return fmt.Sprintf("modes %04o and %04o", a.Perm, b.Perm), nil
	case a.Kind == Link && a.Target != b.Target:
		return fmt.Sprintf("link targets %s and %s", a.Target, b.Target), nil
	case a.Major != b.Major || a.Minor != b.Minor:
		return fmt.Sprintf("devices %d,%d and %d,%d", a.Major, a.Minor, b.Major, b.Minor), nil
	case a.Kind == File:
		same, err := sameContent(a, b)
		if err != nil {
			return "", err
		}
		if !same {
			return "the contents", nil
		}
	}
	return "", nil
}

// open returns the content of a file and its size.
func (e Entry) open() (io.ReaderAt, int64, error) {
	if e.Source == "" {
		return bytes.NewReader(e.Data), int64(len(e.Data)), nil
	}
	f, err := os.Open(e.Source)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", e.From, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("%s: %w", e.From, err)
	}
	return f, info.Size(), nil
}

func sameContent(a, b Entry) (bool, error) {
	if a.Source != "" && a.Source == b.Source {
		return true, nil
	}
	ra, na, err := a.open()
	if err != nil {
		return false, err
	}
	defer closeReader(ra)
	rb, nb, err := b.open()
	if err != nil {
		return false, err
	}
	defer closeReader(rb)
	if na != nb {
		return false, nil
	}
	var x, y [32 << 10]byte
	for off := int64(0); off < na; off += int64(len(x)) {
		n := min(int64(len(x)), na-off)
		if _, err := ra.ReadAt(x[:n], off); err != nil && err != io.EOF {
			return false, fmt.Errorf("%s: %w", a.From, err)
		}
		if _, err := rb.ReadAt(y[:n], off); err != nil && err != io.EOF {
			return false, fmt.Errorf("%s: %w", b.From, err)
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
	}
	return true, nil
}

func closeReader(r io.ReaderAt) {
	if c, ok := r.(io.Closer); ok {
		c.Close() // read only: there is nothing to lose
	}
}

func sortedPaths(entries map[string]Entry) []string {
	paths := make([]string, 0, len(entries))
	for p := range entries {
		paths = append(paths, p)
	}
	// A parent is a prefix of its children and so comes before them, as the kernel needs it.
	slices.Sort(paths)
	return paths
}

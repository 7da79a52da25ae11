// Package manifest reads the list of what goes into an image.
//
// A manifest is a text file with one entry on a line:
//
//	dir     DEST [MODE]
//	file    SOURCE DEST [MODE]
//	link    TARGET DEST
//	node    DEST c|b|p [MAJOR MINOR [MODE]]
//	tree    SOURCE [DEST]
//	overlay SOURCE [DEST]
//
// Words are separated by blanks. A word that holds blanks or a quote, or begins with `#`, is
// written as a Go string in double quotes. `#` at the beginning of a word starts a comment. DEST is
// a path of the image, with or without a leading slash; SOURCE is a path of this machine, relative
// to the manifest's own directory, so that the same manifest means the same from everywhere. MODE
// is octal.
package manifest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/rebound-init/rebound/initramfs/image"
)

// A LineError says what is wrong in which line of a manifest.
type LineError struct {
	File string
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// An Item is one line of a manifest: an entry of the image, or a whole tree.
type Item struct {
	Entry *image.Entry
	Tree  *image.Tree
}

// ReadFile reads the manifest of that name. Its sources are made relative to its directory.
func ReadFile(name string) ([]Item, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Read(f, name)
}

// Read reads a manifest. The name is that of the file, for messages and for its directory.
func Read(r io.Reader, name string) ([]Item, error) {
	var items []Item
	lines := bufio.NewScanner(r)
	n := 1
	for ; lines.Scan(); n++ {
		words, err := split(lines.Text())
		if err != nil {
			return nil, &LineError{name, n, err}
		}
		if len(words) == 0 {
			continue
		}
		l := line{
			dir:  filepath.Dir(name),
			from: fmt.Sprintf("%s:%d", name, n),
			args: words[1:],
		}
		item, err := l.parse(words[0])
		if err != nil {
			return nil, &LineError{name, n, err}
		}
		items = append(items, item)
	}
	if err := lines.Err(); err != nil {
		return nil, &LineError{name, n, err}
	}
	return items, nil
}

// A line is one line without its first word.
type line struct {
	dir  string // of the manifest
	from string
	args []string
}

func (l line) parse(keyword string) (Item, error) {
	switch keyword {
	case "dir":
		return l.parseDir()
	case "file":
		return l.parseFile()
	case "link":
		return l.parseLink()
	case "node":
		return l.parseNode()
	case "tree":
		return l.parseTree(image.Asked)
	case "overlay":
		return l.parseTree(image.Overlaid)
	}
	return Item{}, fmt.Errorf("%q: want dir, file, link, node, tree or overlay", keyword)
}

func (l line) parseDir() (Item, error) {
	if err := l.want(1, 2, "dir DEST [MODE]"); err != nil {
		return Item{}, err
	}
	return l.entry(0, 1, image.Entry{Kind: image.Dir, Perm: 0o755})
}

func (l line) parseFile() (Item, error) {
	if err := l.want(2, 3, "file SOURCE DEST [MODE]"); err != nil {
		return Item{}, err
	}
	source, err := l.source(l.args[0])
	if err != nil {
		return Item{}, err
	}
	e := image.Entry{Kind: image.File, Source: source, PlainPerm: len(l.args) == 2}
	return l.entry(1, 2, e)
}

func (l line) parseLink() (Item, error) {
	if err := l.want(2, 2, "link TARGET DEST"); err != nil {
		return Item{}, err
	}
	return l.entry(1, 2, image.Entry{Kind: image.Link, Target: l.args[0]})
}

func (l line) parseNode() (Item, error) {
	const usage = "node DEST c|b|p [MAJOR MINOR [MODE]]"
	if err := l.want(2, 5, usage); err != nil {
		return Item{}, err
	}
	e := image.Entry{Perm: 0o600}
	switch l.args[1] {
	case "p":
		// A fifo has no numbers, but is given a mode in the same place.
		e.Kind = image.Fifo
		if err := l.want(2, 3, "node DEST p [MODE]"); err != nil {
			return Item{}, err
		}
		return l.entry(0, 2, e)
	case "c":
		e.Kind = image.Char
	case "b":
		e.Kind = image.Block
	default:
		return Item{}, fmt.Errorf("%q: want c, b or p", l.args[1])
	}
	if err := l.want(4, 5, usage); err != nil {
		return Item{}, err
	}
	var err error
	if e.Major, err = number(l.args[2], "major", 12); err != nil {
		return Item{}, err
	}
	if e.Minor, err = number(l.args[3], "minor", 20); err != nil {
		return Item{}, err
	}
	return l.entry(0, 4, e)
}

func (l line) parseTree(rank image.Rank) (Item, error) {
	if err := l.want(1, 2, "tree|overlay SOURCE [DEST]"); err != nil {
		return Item{}, err
	}
	source, err := l.source(l.args[0])
	if err != nil {
		return Item{}, err
	}
	t := image.Tree{Dir: source, Rank: rank, From: l.from}
	if len(l.args) == 2 {
		if t.Dest, err = TreeDest(l.args[1]); err != nil {
			return Item{}, err
		}
	}
	return Item{Tree: &t}, nil
}

// entry completes e with the path in word dest and the mode in word mode, if there is one.
func (l line) entry(dest, mode int, e image.Entry) (Item, error) {
	p, err := image.CleanPath(l.args[dest])
	if err != nil {
		return Item{}, fmt.Errorf("%q: %w", l.args[dest], err)
	}
	if mode < len(l.args) {
		if e.Perm, err = Mode(l.args[mode]); err != nil {
			return Item{}, err
		}
	}
	e.Path, e.From, e.Rank = p, l.from, image.Asked
	return Item{Entry: &e}, nil
}

// source makes a path of this machine relative to the manifest.
func (l line) source(p string) (string, error) {
	if p == "" {
		return "", errors.New("empty source")
	}
	if filepath.IsAbs(p) {
		return p, nil
	}
	return filepath.Join(l.dir, p), nil
}

func (l line) want(low, high int, usage string) error {
	if n := len(l.args); n < low || n > high {
		return fmt.Errorf("%d words after the first: want %s", n, usage)
	}
	return nil
}

// Mode reads permission bits in octal.
func Mode(s string) (uint32, error) {
	m, err := strconv.ParseUint(s, 8, 32)
	if err != nil || m > 0o7777 {
		return 0, fmt.Errorf("mode %q: want octal, 0 to 7777", s)
	}
	return uint32(m), nil
}

// TreeDest reads the place of a tree in the image. Other than a file, it may be the root, which
// it returns as the empty string.
func TreeDest(s string) (string, error) {
	if s != "" && strings.Trim(s, "/") == "" {
		return "", nil
	}
	p, err := image.CleanPath(s)
	if err != nil {
		return "", fmt.Errorf("%q: %w", s, err)
	}
	return p, nil
}

// number reads a device number of so many bits [include/linux/kdev_t.h].
func number(s, what string, bits int) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s %q: want a number from 0 to %d", what, s, 1<<bits-1)
	}
	return uint32(n), nil
}

// split cuts a line into words and drops its comment.
func split(s string) ([]string, error) {
	var words []string
	for {
		s = strings.TrimLeftFunc(s, unicode.IsSpace)
		if s == "" || s[0] == '#' {
			return words, nil
		}
		if s[0] != '"' {
			end := strings.IndexFunc(s, unicode.IsSpace)
			if end < 0 {
				end = len(s)
			}
			if strings.ContainsAny(s[:end], `"`) {
				return nil, fmt.Errorf("%s: a quote inside a word", s[:end])
			}
			words, s = append(words, s[:end]), s[end:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: the quote is not closed", s)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quoted, err)
		}
		words, s = append(words, word), s[len(quoted):]
		if s != "" && strings.IndexFunc(s, unicode.IsSpace) != 0 {
			return nil, fmt.Errorf("%s: want a blank after the quote", quoted)
		}
	}
}

package image

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A Tree is a directory of this machine whose content goes into the image.
type Tree struct {
	Dir  string
	Dest string // directory of the image that it becomes; empty is the root
	Rank Rank   // Asked or Overlaid
	From string
	// KeepModes takes permission bits as they are on this machine. Without it they are what git
	// keeps of them, 0755 for directories and programs and 0644 for the rest: a checkout made
	// under another umask must not give another image. Set-id bits of files and the sticky bit
	// of directories are always kept.
	KeepModes bool
}

// AddTree takes a whole directory: files, directories, links, device nodes and fifos. Sockets are
// refused, for there is nobody in the image to answer them.
func (im *Image) AddTree(t Tree) error {
	if t.Dest != "" {
		if _, err := CleanPath(t.Dest); err != nil {
			return &PathError{t.Dest, t.From, err.Error()}
		}
	}
	root, err := filepath.EvalSymlinks(t.Dir)
	if err != nil {
		return fmt.Errorf("%s: %w", t.From, err)
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", t.From, err)
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return fmt.Errorf("%s: %w", t.From, err)
		}
		if p == root && !d.IsDir() {
			return fmt.Errorf("%s: %s is not a directory", t.From, t.Dir)
		}
		dest := path.Join("/", t.Dest, filepath.ToSlash(rel))
		if p == root && dest == "/" {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%s: %w", t.From, err)
		}
		e, err := t.entry(p, info)
		if err != nil {
			return &PathError{dest, t.From, err.Error()}
		}
		e.Path = dest
		if t.opens(p, info.Mode()) {
			im.opened = append(im.opened, strings.TrimLeft(dest, "/"))
		}
		return im.Add(e)
	})
}

// entry describes one file of the tree.
func (t Tree) entry(p string, info fs.FileInfo) (Entry, error) {
	e := Entry{Rank: t.Rank, From: t.From, Perm: t.perm(info.Mode())}
	switch info.Mode().Type() {
	case 0:
		e.Kind, e.Source = File, p
	case fs.ModeDir:
		e.Kind = Dir
		if !t.KeepModes {
			// The mode is not from the user, and must not undo the 1777 of our own /tmp.
			e.Rank = Implied
		}
	case fs.ModeSymlink:
		target, err := os.Readlink(p)
		if err != nil {
			return e, err
		}
		e.Kind, e.Target = Link, target
	case fs.ModeNamedPipe:
		e.Kind = Fifo
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		e.Kind = Block
		if info.Mode()&fs.ModeCharDevice != 0 {
			e.Kind = Char
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return e, err
		}
		e.Major, e.Minor = unix.Major(st.Rdev), unix.Minor(st.Rdev)
	default:
		return e, fmt.Errorf("%s is a %v, which cannot go into an image", p, info.Mode().Type())
	}
	return e, nil
}

// perm returns the permission bits that a file of the tree gets in the image.
func (t Tree) perm(m fs.FileMode) uint32 {
	perm := uint32(m.Perm())
	if !t.KeepModes && (m.IsRegular() || m.IsDir()) {
		perm = plainPerm(m)
	}
	if m&fs.ModeSetuid != 0 && m.IsRegular() {
		perm |= unix.S_ISUID
	}
	// A directory takes its set-group-id bit from the one it is made in, so it says nothing.
	if m&fs.ModeSetgid != 0 && (m.IsRegular() || t.KeepModes) {
		perm |= unix.S_ISGID
	}
	if m&fs.ModeSticky != 0 && m.IsDir() {
		perm |= unix.S_ISVTX
		if !t.KeepModes {
			perm |= 0o777
		}
	}
	return perm
}

// opens says whether a file that someone kept from others becomes readable for all. A file in a
// directory that is itself closed says nothing: so is a whole checkout made under umask 077.
func (t Tree) opens(p string, m fs.FileMode) bool {
	if t.KeepModes || !m.IsRegular() || m.Perm()&0o004 != 0 {
		return false
	}
	dir, err := os.Stat(filepath.Dir(p))
	return err == nil && dir.Mode().Perm()&0o001 != 0
}

// plainPerm is what git keeps of a mode.
func plainPerm(m fs.FileMode) uint32 {
	if m.IsDir() || m.Perm()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/panicwatch/advice"
)

// running is the machine that panicctl runs on, below a directory that stands for its root. All that
// panicctl asks of a machine, and does to it, goes through here.
type running struct{ root string }

// file is where a path below / lies.
func (r running) file(path string) string { return filepath.Join(r.root, "/", path) }

// ours reports whether it is this machine, and no copy of the files of another.
func (r running) ours() bool { return filepath.Clean("/"+r.root) == "/" }

// Read reads a setting by its path below /, such as proc/sys/kernel/panic or
// sys/module/kernel/parameters/panic. The error is that of the file, so that errors.Is knows a setting
// that the kernel does not have (fs.ErrNotExist).
func (r running) Read(path string) (string, error) {
	text, err := os.ReadFile(r.file(path))
	return strings.TrimRight(string(text), "\n"), err
}

// write writes a line into a file that is there.
func (r running) write(path, value string) error {
	// A file of the kernel's has no length to cut; that of a copy has.
	f, err := os.OpenFile(r.file(path), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value + "\n")
	return errors.Join(err, f.Close())
}

// Proc reads a file of /proc, as kernel.Files has it: an error is an errno.
func (r running) Proc(name string) ([]byte, error) { return r.bytes("proc/" + name) }

// Sys reads a file of /sys.
func (r running) Sys(name string) ([]byte, error) { return r.bytes("sys/" + name) }

func (r running) bytes(path string) ([]byte, error) {
	text, err := os.ReadFile(r.file(path))
	return text, errno(err)
}

// SetProc writes one of /proc.
func (r running) SetProc(name, value string) error { return errno(r.write("proc/"+name, value)) }

// SetSys writes one of /sys.
func (r running) SetSys(name, value string) error { return errno(r.write("sys/"+name, value)) }

// errno is the errno of an error, without the name of the file.
func errno(err error) error {
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

// look looks at the machine.
func (r running) look() *advice.Sight {
	s := advice.Look(r)
	if s.Arch == "" && r.ours() {
		var u unix.Utsname
		if unix.Uname(&u) == nil {
			s.Arch = advice.Arch(unix.ByteSliceToString(u.Machine[:]))
		}
	}
	return s
}

// list is the names of the files of a directory, in order: none if it cannot be read.
func (r running) list(dir string) []string {
	// What has been read until an error counts.
	entries, _ := os.ReadDir(r.file(dir))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

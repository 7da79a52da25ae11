package qemu

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// BuildDir is the repository's build directory: $REBOUND_BUILD, else "build" beside the go.mod
// that is nearest above the working directory, where `go test` runs a package's tests.
func BuildDir() string {
	if dir := os.Getenv("REBOUND_BUILD"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		return "build"
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, "build")
		}
		if d == filepath.Dir(d) {
			return "build"
		}
	}
}

// A MissingError says what a machine cannot start without, and how to get it.
type MissingError struct {
	What   string
	Remedy string
}

func (e *MissingError) Error() string { return e.What + " is missing: " + e.Remedy }

// Check tells whether everything a machine needs is there.
func (m Machine) Check() error {
	m, err := m.withDefaults()
	if err != nil {
		return err
	}
	program := platforms[m.Arch].program
	if _, err := exec.LookPath(program); err != nil {
		return &MissingError{program, "run make deps ARCH=" + m.Arch}
	}
	needed := append([]string{m.Kernel}, m.Initrd...)
	for _, f := range m.Files {
		if f.Source != "" {
			needed = append(needed, f.Source)
		}
	}
	for _, f := range needed {
		_, err := os.Stat(f)
		switch {
		case err == nil:
		case !errors.Is(err, fs.ErrNotExist):
			return err
		case f == Kernel(m.Arch), filepath.Dir(f) == filepath.Join(BuildDir(), "busybox"):
			return &MissingError{f, "run make deps ARCH=" + m.Arch}
		case f == Image(m.Arch):
			return &MissingError{f, "run make image ARCH=" + m.Arch}
		default:
			return &MissingError{f, "no such file"}
		}
	}
	return nil
}

// Required reports whether $REBOUND_REQUIRE, words separated by commas, has the word. `make test`
// sets it, so that what would be skipped elsewhere fails there.
func Required(word string) bool {
	return slices.Contains(strings.Split(os.Getenv("REBOUND_REQUIRE"), ","), word)
}

// Package crashmodule builds the kernel module that makes the kernel it is loaded into fail, in one
// of the ways that its source lists. Debian's headers of that kernel must have been fetched.
package crashmodule

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/qemu"
)

// The module, loaded, is told by a word in the file Control which way to fail, and on which CPU by
// the number behind that.
const (
	Name    = "rebound_crash.ko"
	Control = "/proc/rebound-crash"
)

// sources are what make(1) is given. Having them in the program, no one needs the repository.
//
//go:embed module
var sources embed.FS

// A Target is the kernel that a module is for.
type Target struct {
	Arch string // Go's name
	Tree string // what the directory of its headers is called, below headers in the build directory
}

// headers is the directory for make -C.
func (t Target) headers() string {
	return filepath.Join(qemu.BuildDir(), "headers", t.Tree, "build")
}

// File is the module, once it is built.
func (t Target) File() string { return filepath.Join(qemu.BuildDir(), "crash", t.Tree, Name) }

// Check tells whether all is there that Build needs. The error is a *qemu.MissingError.
func (t Target) Check() error {
	if _, err := os.Stat(t.headers()); err != nil {
		return &qemu.MissingError{What: "the headers of its kernel, " + t.headers(), Remedy: "run make deps"}
	}
	for _, program := range []string{"make", t.prefix() + "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			return &qemu.MissingError{What: program, Remedy: "run make deps"}
		}
	}
	return nil
}

// prefix is what the names of the compiler and its tools begin with: nothing on a machine of the
// same architecture.
func (t Target) prefix() string {
	if t.Arch == runtime.GOARCH {
		return ""
	}
	return map[string]string{"amd64": "x86_64-linux-gnu-", "arm64": "aarch64-linux-gnu-"}[t.Arch]
}

// Build builds the module, unless that has been done, and returns its file.
func (t Target) Build(ctx context.Context) (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	module, err := filepath.Abs(t.File())
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(module)
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	changed, err := put(dir)
	if err != nil || !changed && newer(module, t.headers()) {
		return module, err
	}
	// What a build that fails has left would count as built.
	if err := os.Remove(module); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	headers, err := filepath.Abs(t.headers())
	if err != nil {
		return "", err
	}
	args := []string{
		"-s", "-C", headers, "M=" + dir, "modules",
		// Type information would need vmlinux and a program that reads it.
		"CONFIG_DEBUG_INFO_BTF_MODULES=",
	}
	// The other architectures are called by the kernel as by Go.
	arch := map[string]string{"amd64": "x86_64"}[t.Arch]
	if arch == "" {
		arch = t.Arch
	}
	args = append(args, "ARCH="+arch, "CROSS_COMPILE="+t.prefix())
	cmd := exec.CommandContext(ctx, "make", args...)
	// What a make above this one was told is not meant for this one: its VERSION is another.
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MFLAGS=", "MAKEOVERRIDES=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("crash module for %s: %w\n%s", t.Tree, err, out)
	}
	return module, nil
}

// put writes the sources, and reports whether there were others.
func put(dir string) (changed bool, err error) {
	const from = "module"
	entries, err := sources.ReadDir(from)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		text, err := sources.ReadFile(path.Join(from, e.Name()))
		if err != nil {
			return false, err
		}
		to := filepath.Join(dir, e.Name())
		if was, err := os.ReadFile(to); err == nil && bytes.Equal(was, text) {
			continue
		}
		changed = true
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return false, err
		}
	}
	return changed, nil
}

// newer reports whether a file is there, and has been written after another.
func newer(file, than string) bool {
	f, err := os.Stat(file)
	if err != nil {
		return false
	}
	// The link to the headers is made when they are fetched; what it leads to is older.
	o, err := os.Lstat(than)
	return err == nil && f.ModTime().After(o.ModTime())
}

// lock makes a directory and takes it: several plays may want the same module at a time.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err {
		case nil:
			return func() { f.Close() }, nil
		case unix.EINTR:
		default:
			f.Close()
			return nil, err
		}
	}
}

// Fetch gets what the tests and `make run` need and a fresh Debian lacks.
//
//	fetch [--arch ARCH] [--into DIR] THING...
//
// A THING is one of
//
//	kernel          the small kernel for virtual machines, with its modules
//	kernel-generic  the kernel for all machines, with its modules
//	kernel-6.12     the same, of Linux 6.12, where Debian has that beside an older one
//	headers         what modules for kernel are built against, for a compiler of this machine
//	                or a cross compiler
//	headers-generic the same for kernel-generic
//	headers-6.12    the same for kernel-6.12
//	busybox         a static BusyBox
//	package:NAME    any package of the distribution, unpacked
//	program:NAME    a program of this machine (qemu-system-x86_64, cc, ...)
//
// All but the last are downloaded by apt-get and unpacked by dpkg-deb below DIR, with package
// lists and a package database of their own. So no root is needed, a foreign architecture needs
// no change to this machine's, and what is there already is not fetched again. Only a program
// of this machine is installed, which needs root.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

func main() {
	flags := pflag.NewFlagSet("fetch", pflag.ContinueOnError)
	arch := flags.String("arch", "amd64", "architecture, by its Go name")
	into := flags.String("into", "build", "directory for what is fetched")
	err := flags.Parse(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	// The tools run in directories of their own, so that a relative name would lead elsewhere.
	dir := ""
	if err == nil {
		dir, err = filepath.Abs(*into)
	}
	if err == nil {
		f := &fetcher{dir: dir, run: runCommand, log: os.Stdout, euid: os.Geteuid()}
		err = f.fetch(*arch, flags.Args())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "fetch: %v\n", err)
		os.Exit(1)
	}
}

// A fetcher knows where things belong and how to run the tools that bring them.
type fetcher struct {
	dir  string // absolute
	run  func(dir, name string, args ...string) (stdout string, err error)
	log  io.Writer
	euid int
}

// fetch brings each thing that is not there yet.
func (f *fetcher) fetch(arch string, things []string) error {
	if len(things) == 0 {
		return errors.New("nothing to fetch: name a kernel, busybox, package:NAME or program:NAME")
	}
	a, ok := arches[arch]
	if !ok {
		return fmt.Errorf("unknown architecture %q: want amd64, arm64, arm or riscv64", arch)
	}
	unlock, err := f.lock()
	if err != nil {
		return err
	}
	defer unlock()
	// Programs are installed in one go, because apt-get is slow to start, and first, because it is
	// better to hear at once that root is needed.
	var programs []string
	for _, thing := range things {
		if name, ok := strings.CutPrefix(thing, "program:"); ok {
			programs = append(programs, name)
		}
	}
	if err := f.install(programs); err != nil {
		return err
	}
	for _, thing := range things {
		kind, name, _ := strings.Cut(thing, ":")
		var err error
		switch {
		case kind == "program":
		case kind == "package" && name != "":
			err = f.unpack(a, name, filepath.Join(f.dir, "packages", arch, name))
		case thing == "busybox":
			err = f.busybox(a, filepath.Join(f.dir, "busybox", arch))
		case thing == "kernel":
			err = f.kernel(a, a.cloud, f.kernelDir(arch, ""))
		case thing == "kernel-generic":
			err = f.kernel(a, a.generic, f.kernelDir(arch, "generic"))
		case thing == "kernel-6.12":
			err = f.kernel(a, "linux-image-6.12-"+a.name, f.kernelDir(arch, "6.12"))
		case thing == "headers":
			err = f.headers(arch, "")
		case thing == "headers-generic", thing == "headers-6.12":
			err = f.headers(arch, strings.TrimPrefix(thing, "headers-"))
		default:
			err = fmt.Errorf("unknown thing %q: want kernel, kernel-generic, kernel-6.12, "+
				"headers, headers-generic, headers-6.12, busybox, package:NAME or program:NAME", thing)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kernel unpacks the kernel that the package meta depends on, and adds a link "vmlinuz" whose
// name does not change with the version.
func (f *fetcher) kernel(a debianArch, meta, to string) error {
	if exists(filepath.Join(to, "vmlinuz")) {
		return nil
	}
	pkg, err := f.dependency(a, meta)
	if err != nil {
		return err
	}
	if err := f.unpack(a, pkg, to); err != nil {
		return err
	}
	images, err := filepath.Glob(filepath.Join(to, "boot", "vmlinu*"))
	if err != nil || len(images) != 1 {
		return fmt.Errorf("package %s: want one boot/vmlinu*, found %d", pkg, len(images))
	}
	return os.Symlink(filepath.Join("boot", filepath.Base(images[0])), filepath.Join(to, "vmlinuz"))
}

// kernelDir is where a kernel of that name goes; the small one for virtual machines has none.
func (f *fetcher) kernelDir(arch, name string) string {
	return filepath.Join(f.dir, "kernels", tree(arch, name))
}

// tree is what the directories of a kernel, and of its headers, are called.
func tree(arch, name string) string {
	if name == "" {
		return arch
	}
	return arch + "-" + name
}

// busybox leaves only the program itself, as the file to.
func (f *fetcher) busybox(a debianArch, to string) error {
	if exists(to) {
		return nil
	}
	unpacked := to + ".unpacked"
	if err := f.unpack(a, "busybox-static", unpacked); err != nil {
		return err
	}
	defer os.RemoveAll(unpacked)
	// Debian 13 has merged /bin into /usr/bin inside its packages too.
	for _, name := range []string{"bin/busybox", "usr/bin/busybox"} {
		if from := filepath.Join(unpacked, name); exists(from) {
			return os.Rename(from, to)
		}
	}
	return errors.New("package busybox-static: no bin/busybox in it")
}

// lock keeps a second fetch, say of a `make -j2`, waiting until this one has what it wants.
func (f *fetcher) lock() (unlock func(), err error) {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, ".fetch-lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, &os.PathError{Op: "flock", Path: file.Name(), Err: err}
	}
	// Closing gives the lock back.
	return func() { file.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A CommandError is a tool that ended badly, with what it said.
type CommandError struct {
	Name   string
	Args   []string
	Stderr string
	Err    error
}

func (e *CommandError) Error() string {
	return fmt.Sprintf("%s %s: %v\n%s", e.Name, strings.Join(e.Args, " "), e.Err,
		strings.TrimSpace(e.Stderr))
}

func (e *CommandError) Unwrap() error { return e.Err }

// runCommand runs a tool in dir and returns its standard output.
func runCommand(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	// Without it debconf asks questions nobody is there to answer.
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), &CommandError{name, args, stderr.String(), err}
	}
	return stdout.String(), nil
}

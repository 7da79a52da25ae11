package live

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/scenario"
)

// Programs are the files of programs that a play needs, on this machine.
type Programs struct {
	Init, Actor string
	// Shell is BusyBox, if the scenario asks for a shell.
	Shell string
}

// actorPackage is the actor as a program of its own.
const actorPackage = "./internal/actor/realactor/program"

// Find finds the programs for an architecture, or builds them if this is done in the repository. The
// error is an *Unplayable that says what is missing.
func Find(
	ctx context.Context, world string, s *scenario.Scenario, o scenario.Options, arch string,
) (Programs, error) {
	var p Programs
	root := repository()
	missing := func(what string, err error) error {
		why := "needs " + what
		if err != nil {
			why += ": " + err.Error()
		}
		return &scenario.Unplayable{World: world, Why: why, Missing: true}
	}
	native := arch == runtime.GOARCH
	var err error
	if p.Init, err = choose(o.Init, native, root, "init-"+arch, func(to string) *exec.Cmd {
		// The Makefile knows how an init is built.
		return exec.CommandContext(ctx, "make", "--no-print-directory", "-s", "init", "ARCH="+arch)
	}); err != nil {
		return p, missing("init, a static program", err)
	}
	if p.Actor, err = choose(o.Actor, native, root, "actor-"+arch, func(to string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", to,
			actorPackage)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
		return cmd
	}); err != nil {
		return p, missing("the actor, a static program", err)
	}
	if !s.Machine.Shell {
		return p, nil
	}
	shells := []string{filepath.Join(root, "build", "busybox", arch)}
	if native {
		shells = append(shells, "/bin/busybox")
	}
	for _, p.Shell = range shells {
		if static(p.Shell) == nil {
			return p, nil
		}
	}
	return p, missing("a static BusyBox for a shell", nil)
}

// choose returns the program that was given, if it is of the right architecture, else the one that
// is built in the repository.
func choose(
	given string, native bool, root, name string, build func(to string) *exec.Cmd,
) (string, error) {
	if given != "" && native {
		err := static(given)
		if err == nil || root == "" {
			return given, err
		}
	}
	if root == "" {
		return "", errors.New("none is given, and this is not the repository, to build it")
	}
	// Several plays may want the same program at a time, and only the first makes it.
	unlock, err := lock(filepath.Join(root, "build"))
	if err != nil {
		return "", err
	}
	defer unlock()
	to := filepath.Join(root, "build", name)
	cmd := build(to)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return to, static(to)
}

// lock makes a directory and takes it for itself.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		switch err {
		case nil:
			return func() { f.Close() }, nil
		case unix.EINTR:
		default:
			f.Close()
			return nil, err
		}
	}
}

// static returns why a file is no program that runs without others.
func static(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static: build it with CGO_ENABLED=0", file)
		}
	}
	return nil
}

// repository is the directory of the nearest go.mod above, if it is ours, else empty.
func repository() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "internal/actor/realactor/program")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

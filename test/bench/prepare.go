package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed programs/*.c programs/*.h
var sources embed.FS

// guestPrograms are in /bin of every contender; the rest of the C programs are contenders.
func guestPrograms() []string { return []string{"action", "ask", "rc6", "service"} }

// sysvinitLibraries are the shared libraries that Debian's /sbin/init is linked with, by the
// package that has them.
func sysvinitLibraries() map[string]string {
	return map[string]string{
		"libc.so.6":            "libc6",
		"ld-linux-x86-64.so.2": "libc6",
		"libselinux.so.1":      "libselinux1",
		"libpcre2-8.so.0":      "libpcre2-8-0",
	}
}

// chooseContenders returns those that -only names, or all there can be, in the order of the
// table.
func chooseContenders(o options) ([]contender, error) {
	all := []contender{
		{name: "floor", init: filepath.Join(o.work, "floor")},
		{name: "C loop", init: filepath.Join(o.work, "cloop"), table: loopTable},
		{name: busybox, init: o.busybox, table: busyboxTable},
		{name: sysvinit, table: sysvinitTable},
		{name: goLoop, init: filepath.Join(o.work, "goloop"), table: loopTable},
	}
	if o.init != "" {
		all = append(all, contender{name: rebound, init: o.init, table: busyboxTable})
	}
	if o.only != "" {
		var chosen []contender
		for name := range strings.SplitSeq(o.only, ",") {
			i := slices.IndexFunc(all, func(c contender) bool {
				return strings.EqualFold(c.name, strings.TrimSpace(name))
			})
			if i < 0 {
				return nil, fmt.Errorf("-only %q: no contender of that name, or no -init", name)
			}
			chosen = append(chosen, all[i])
		}
		all = chosen
	}
	for i := range all {
		if all[i].name == sysvinit {
			if err := all[i].fromPackages(o.packages); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// fromPackages finds sysvinit's executable and its libraries in unpacked packages.
func (c *contender) fromPackages(dir string) error {
	find := func(pkg string, names ...string) (string, error) {
		for _, name := range names {
			file := filepath.Join(dir, pkg, name)
			if _, err := os.Stat(file); err == nil {
				return file, nil
			}
		}
		return "", fmt.Errorf("%s: no %s in it; try `go run ./test/fetch package:%s`",
			filepath.Join(dir, pkg), names[0], pkg)
	}
	var err error
	if c.init, err = find("sysvinit-core", "sbin/init", "usr/sbin/init"); err != nil {
		return err
	}
	c.libs = map[string]string{}
	for lib, pkg := range sysvinitLibraries() {
		file, err := find(pkg, "lib/x86_64-linux-gnu/"+lib, "usr/lib/x86_64-linux-gnu/"+lib)
		if err != nil {
			return err
		}
		// The executable names the loader by its path; the rest the loader finds by itself.
		to := "lib/x86_64-linux-gnu/"
		if strings.HasPrefix(lib, "ld-") {
			to = "lib64/"
		}
		c.libs[to+lib] = file
	}
	return nil
}

// buildPrograms compiles what runs in the guests into the work directory, and returns the
// guest programs' files by name.
func buildPrograms(ctx context.Context, o options, chosen []contender) (map[string]string, error) {
	entries, err := sources.ReadDir("programs")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := sources.ReadFile("programs/" + e.Name())
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(o.work, e.Name()), text, 0o644); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		name, isC := strings.CutSuffix(e.Name(), ".c")
		if !isC {
			continue
		}
		// The return values that are ignored are those after which there is nothing to do.
		err := tool(ctx, nil, "cc", "-static", "-Os", "-s", "-Wall", "-Wno-unused-result",
			"-o", filepath.Join(o.work, name), filepath.Join(o.work, e.Name()))
		if err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(chosen, func(c contender) bool { return c.name == goLoop }) {
		env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1"}
		err := tool(ctx, env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", o.ldflags,
			"-o", filepath.Join(o.work, "goloop"),
			"github.com/rebound-init/rebound/test/bench/programs/goloop")
		if err != nil {
			return nil, err
		}
	}
	programs := map[string]string{}
	for _, name := range guestPrograms() {
		programs[name] = filepath.Join(o.work, name)
	}
	return programs, nil
}

// tool runs a compiler and puts what it said into the error.
func tool(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; `make deps` installs it", err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

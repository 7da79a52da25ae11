package main

import (
	"debug/elf"
	"fmt"
	"path/filepath"

	"github.com/rebound-init/rebound/test/qemu"
)

// kexecTools is kexec(8) and the libraries it wants, for a kernel that cannot read the file of a crash
// kernel itself: Debian's for arm64 has no kexec_file_load. Others need none.
func (g guests) kexecTools(k Kernel) ([]qemu.File, error) {
	if k.Arch != "arm64" {
		return nil, nil
	}
	program := filepath.Join(g.build, "packages", k.Arch, "kexec-tools", "sbin", "kexec")
	files := []qemu.File{{Path: "sbin/kexec", Perm: 0o755, Source: program}}
	known := map[string]bool{}
	for i := 0; i < len(files); i++ {
		needed, err := neededBy(files[i].Source)
		if err != nil {
			return nil, err
		}
		for _, name := range needed {
			if known[name] {
				continue
			}
			known[name] = true
			from, err := g.library(k, name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", files[i].Path, err)
			}
			// The loader looks here, and is itself looked for here.
			files = append(files, qemu.File{Path: "lib/" + name, Perm: 0o755, Source: from})
		}
	}
	return files, nil
}

// neededBy are the names of the libraries that a program or library wants.
func neededBy(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: make agree-kernels fetches it", err)
	}
	defer f.Close()
	return f.ImportedLibraries()
}

// library finds a library in the packages that have been fetched.
func (g guests) library(k Kernel, name string) (string, error) {
	packages := filepath.Join(g.build, "packages", k.Arch, "*")
	for _, dir := range []string{"lib", "usr/lib"} {
		found, err := filepath.Glob(filepath.Join(packages, dir, "aarch64-linux-gnu", name))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("no package in %s has %s", packages, name)
}

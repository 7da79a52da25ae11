package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// headers unpacks what modules for the kernel of that name are built against as one tree, with a
// link "build" to the directory that is to be given to make -C.
//
// Debian spreads it over three packages: the headers of the flavour, those that all flavours have
// in common, and the scripts and programs of the build itself. The last come for this machine's
// architecture, since they run here.
func (f *fetcher) headers(arch, name string) error {
	to := filepath.Join(f.dir, "headers", tree(arch, name))
	if exists(filepath.Join(to, "build")) {
		return nil
	}
	version, err := f.kernelVersion(arch, name)
	if err != nil {
		return err
	}
	pkg := "linux-headers-" + version
	needed, err := f.dependencies(arches[arch], pkg)
	if err != nil {
		return err
	}
	parts := []string{pkg}
	work := to + ".parts"
	defer os.RemoveAll(work)
	if err := f.unpack(arches[arch], pkg, filepath.Join(work, pkg)); err != nil {
		return err
	}
	for _, p := range needed {
		if !strings.HasPrefix(p, "linux-headers-") && !strings.HasPrefix(p, "linux-kbuild-") {
			continue
		}
		if err := f.unpack(arches["amd64"], p, filepath.Join(work, p)); err != nil {
			return err
		}
		parts = append(parts, p)
	}
	whole := filepath.Join(work, "tree")
	for _, p := range parts {
		if err := merge(filepath.Join(work, p, "usr"), filepath.Join(whole, "usr")); err != nil {
			return err
		}
	}
	build := filepath.Join("usr", "src", pkg)
	if err := mendMakefile(filepath.Join(whole, build, "Makefile")); err != nil {
		return err
	}
	if err := os.Symlink(build, filepath.Join(whole, "build")); err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(whole, to)
}

// kernelVersion is what uname would say in a kernel that has been fetched.
func (f *fetcher) kernelVersion(arch, name string) (string, error) {
	configs, err := filepath.Glob(filepath.Join(f.kernelDir(arch, name), "boot", "config-*"))
	if err != nil || len(configs) != 1 {
		if name != "" {
			name = "-" + name
		}
		return "", fmt.Errorf("headers%s: fetch kernel%s first", name, name)
	}
	return strings.TrimPrefix(filepath.Base(configs[0]), "config-"), nil
}

// merge moves what is below from into to, where directories of the same name may be already.
func merge(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		return os.Rename(path, filepath.Join(to, name))
	})
}

// mendMakefile lets the Makefile of the headers include its neighbour, instead of one below the
// root of this machine where nothing has been installed.
func mendMakefile(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	beside := strings.ReplaceAll(string(text), "include /usr/src/",
		"include $(dir $(lastword $(MAKEFILE_LIST)))../")
	return os.WriteFile(name, []byte(beside), 0o644)
}

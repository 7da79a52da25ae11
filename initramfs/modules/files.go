package modules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A File is one file for the directory /lib/modules/VERSION of the image.
type File struct {
	Path   string // in the image
	Source string // on this machine; if empty, Data is the content
	Data   []byte
}

// Files returns the modules and their indexes as they lie in the image.
//
// The indexes are the text files that BusyBox's modprobe reads, and modules.softdep for kmod's,
// which makes the binary ones it wants by `depmod`.
func (s *Selection) Files() ([]File, error) {
	root := path.Join("lib/modules", s.tree.Version)
	var files []File
	for _, m := range s.Modules {
		f := File{Path: path.Join(root, inImage(m)), Source: filepath.Join(s.tree.Dir, m.File)}
		if inImage(m) != m.File {
			data, _, err := unpack(f.Source)
			if err != nil {
				return nil, err
			}
			f.Source, f.Data = "", data
		}
		files = append(files, f)
	}
	dep, err := s.depFile()
	if err != nil {
		return nil, err
	}
	files = append(files,
		File{Path: path.Join(root, "modules.dep"), Data: dep},
		File{Path: path.Join(root, "modules.alias"), Data: s.aliasFile()},
		File{Path: path.Join(root, "modules.softdep"), Data: s.softFile()})
	// Modprobe answers for what is built in by this file.
	builtin := filepath.Join(s.tree.Dir, "modules.builtin")
	switch _, err := os.Stat(builtin); {
	case err == nil:
		files = append(files, File{Path: path.Join(root, "modules.builtin"), Source: builtin})
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return files, nil
}

// inImage is the path of a module relative to its tree in the image.
func inImage(m Module) string {
	if p, _ := packing(m.File); p == "xz" {
		return m.File
	}
	return unpacked(m.File)
}

// depFile writes modules.dep: each line names a module and everything it needs, so ordered that
// loading from right to left works [modules.dep(5)].
func (s *Selection) depFile() ([]byte, error) {
	var lines []string
	for _, m := range s.Modules {
		order, err := s.tree.loadOrder(m)
		if err != nil {
			return nil, err
		}
		slices.Reverse(order)
		line := inImage(m) + ":"
		for _, d := range order {
			line += " " + inImage(d)
		}
		lines = append(lines, line)
	}
	return sortedLines(lines), nil
}

// loadOrder returns the modules that m needs, directly and in turn, each after what it needs
// itself. Select has found that all are there and none needs itself.
func (t *Tree) loadOrder(m Module) ([]Module, error) {
	var order []Module
	seen := map[string]bool{m.Name: true}
	var follow func(m Module) error
	follow = func(m Module) error {
		deps, err := t.depends(m)
		if err != nil {
			return err
		}
		for _, d := range deps {
			dep, ok := t.modules[Name(d)]
			if !ok || seen[dep.Name] {
				continue // not there means built in
			}
			seen[dep.Name] = true
			if err := follow(dep); err != nil {
				return err
			}
			order = append(order, dep)
		}
		return nil
	}
	return order, follow(m)
}

// aliasFile writes modules.alias for the selected modules, by which a device finds its driver.
func (s *Selection) aliasFile() []byte {
	selected := map[string]bool{}
	var lines []string
	add := func(pattern, name string) {
		// Modprobe could not read a pattern with a blank; depmod leaves it out as well.
		if !strings.ContainsAny(pattern, " \t\n") {
			lines = append(lines, fmt.Sprintf("alias %s %s", aliasName(pattern), name))
		}
	}
	for _, m := range s.Modules {
		selected[m.Name] = true
		for _, pattern := range s.tree.infos[m.Name].fields["alias"] {
			add(pattern, m.Name)
		}
	}
	// A module packed by xz has not been asked: what depmod wrote is all there is.
	for _, a := range s.tree.aliases {
		if selected[a.name] {
			add(a.pattern, a.name)
		}
	}
	return sortedLines(lines)
}

// softFile writes modules.softdep for the selected modules.
func (s *Selection) softFile() []byte {
	var lines []string
	for _, m := range s.Modules {
		for _, soft := range s.tree.soft[m.Name] {
			lines = append(lines, soft.line)
		}
	}
	return sortedLines(lines)
}

// sortedLines makes a file of lines, without twins.
func sortedLines(lines []string) []byte {
	slices.Sort(lines)
	var text strings.Builder
	for _, l := range slices.Compact(lines) {
		text.WriteString(l + "\n")
	}
	return []byte(text.String())
}

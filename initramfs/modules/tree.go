// Package modules picks kernel modules with everything they need out of a module tree, and writes
// the indexes by which modprobe finds them in an image.
//
// A module tree is what lies in /lib/modules/VERSION. Where depmod has been there, its modules.dep
// and modules.softdep are taken; otherwise every module is asked itself, as depmod does.
//
// Modules packed by gzip or zstd are unpacked: the image is compressed as a whole, which packs
// better, and BusyBox 1.35 cannot read zstd. Modules packed by xz stay as they are, for want of an
// unpacker; BusyBox reads them if it was built to. Their dependencies can only come from
// modules.dep.
package modules

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Module is one module of the tree.
type Module struct {
	Name string // with `_` for `-`
	File string // relative to the tree, as it is there
	deps []string
}

// A Tree is an open module tree.
type Tree struct {
	Dir     string
	Version string

	byDepmod bool // modules.dep is there
	modules  map[string]Module
	builtin  map[string]bool
	// builtinAliases are other names of what is built in.
	builtinAliases map[string]bool
	aliases        []alias
	soft           map[string][]softDep
	infos          map[string]modinfo // of modules that were asked
}

// Open reads the indexes of a module tree. The name of the directory is the version.
func Open(dir string) (*Tree, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &Tree{
		Dir: dir, Version: filepath.Base(abs),
		modules: map[string]Module{}, soft: map[string][]softDep{}, infos: map[string]modinfo{},
	}
	if err := t.readBuiltin(); err != nil {
		return nil, err
	}
	lines, err := readIndex(t, "modules.dep", parseDep)
	if errors.Is(err, fs.ErrNotExist) {
		return t, t.scan()
	}
	if err != nil {
		return nil, err
	}
	t.byDepmod = true
	for _, l := range lines {
		if err := t.add(Module{Name: Name(l.file), File: l.file, deps: l.deps}); err != nil {
			return nil, err
		}
	}
	return t, t.readSoft()
}

// readIndex parses one of the index files.
func readIndex[T any](t *Tree, name string, parse func(io.Reader, string) (T, error)) (T, error) {
	file := filepath.Join(t.Dir, name)
	f, err := os.Open(file)
	if err != nil {
		var none T
		return none, err
	}
	defer f.Close()
	return parse(f, file)
}

// optional drops the error of an index file that is not there.
func optional(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (t *Tree) readBuiltin() error {
	var err error
	t.builtin, err = readIndex(t, "modules.builtin", parseBuiltin)
	if optional(err) != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(t.Dir, "modules.builtin.modinfo"))
	if optional(err) != nil {
		return err
	}
	t.builtinAliases = parseBuiltinAliases(string(data))
	return nil
}

func (t *Tree) readSoft() error {
	soft, err := readIndex(t, "modules.softdep", parseSoftdep)
	if optional(err) != nil {
		return err
	}
	for _, s := range soft {
		t.soft[s.name] = append(t.soft[s.name], s)
	}
	t.aliases, err = readIndex(t, "modules.alias", parseAlias)
	return optional(err)
}

// scan finds the modules of a tree that depmod has not seen.
func (t *Tree) scan() error {
	return filepath.WalkDir(t.Dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(t.Dir, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if badFile(rel) != "" {
			return nil
		}
		return t.add(Module{Name: Name(rel), File: rel})
	})
}

// add takes a module. A file under updates/ takes the place of any other [depmod.d(5), search].
func (t *Tree) add(m Module) error {
	other, twice := t.modules[m.Name]
	if !twice {
		t.modules[m.Name] = m
		return nil
	}
	switch {
	case isUpdate(m.File) && !isUpdate(other.File):
		t.modules[m.Name] = m
		return nil
	case !isUpdate(m.File) && isUpdate(other.File):
		return nil
	}
	return fmt.Errorf("%s: two files for module %s: %s and %s", t.Dir, m.Name, other.File, m.File)
}

func isUpdate(file string) bool { return strings.HasPrefix(file, "updates/") }

// An UnknownError says that a module is neither in the tree nor built into its kernel.
type UnknownError struct {
	Name string
	Dir  string
	For  string // the module that needs it, if it was not asked for
}

func (e *UnknownError) Error() string {
	if e.For != "" {
		return fmt.Sprintf("module %s, needed by %s: neither in %s nor built in", e.Name, e.For, e.Dir)
	}
	return fmt.Sprintf("module %s: neither in %s nor built in", e.Name, e.Dir)
}

// A Selection is what was asked for and what that needs.
type Selection struct {
	tree *Tree
	// Modules come after those that they need.
	Modules []Module
	// Builtin are the names asked for that the kernel has built in.
	Builtin []string
	// Missing are soft dependencies that are nowhere, which is allowed.
	Missing []string
	// Asked is how many of the modules were asked for by name.
	Asked int
}

// Select finds the named modules and, in turn, everything they depend on.
func (t *Tree) Select(names []string) (*Selection, error) {
	c := chooser{tree: t, sel: &Selection{tree: t}, state: map[string]progress{}}
	asked := map[string]bool{}
	for _, name := range names {
		n := Name(name)
		if _, ok := t.modules[n]; !ok && t.builtin[n] {
			c.sel.Builtin = append(c.sel.Builtin, n)
			continue
		}
		if err := c.take(n, ""); err != nil {
			return nil, err
		}
		asked[n] = true
	}
	c.sel.Asked = len(asked)
	slices.Sort(c.sel.Missing)
	c.sel.Missing = slices.Compact(c.sel.Missing)
	return c.sel, nil
}

// progress is how far a module has been followed.
type progress byte

const (
	unseen progress = iota
	underWay
	taken
)

// A chooser follows dependencies depth first.
type chooser struct {
	tree  *Tree
	sel   *Selection
	state map[string]progress
}

// take adds a module after everything it needs. For is the module that needs it.
func (c *chooser) take(name, user string) error {
	switch c.state[name] {
	case taken:
		return nil
	case underWay:
		return fmt.Errorf("%s: module %s needs itself, through %s", c.tree.Dir, name, user)
	case unseen:
	}
	m, ok := c.tree.modules[name]
	if !ok {
		if c.tree.builtin[name] {
			return nil
		}
		return &UnknownError{Name: name, Dir: c.tree.Dir, For: user}
	}
	c.state[name] = underWay
	deps, err := c.tree.depends(m)
	if err != nil {
		return err
	}
	for _, d := range deps {
		if err := c.take(Name(d), name); err != nil {
			return err
		}
	}
	c.state[name] = taken
	c.sel.Modules = append(c.sel.Modules, m)
	// Soft dependencies come after: they may well need the module in turn.
	for _, s := range c.tree.soft[name] {
		for _, d := range s.all() {
			if err := c.takeSoft(d, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeSoft takes what goes by a name or an alias, or notes that nothing does.
func (c *chooser) takeSoft(name, user string) error {
	found, err := c.tree.find(name)
	if err != nil {
		return err
	}
	for _, n := range found {
		if c.state[n] == underWay {
			continue
		}
		if err := c.take(n, user); err != nil {
			return err
		}
	}
	n := aliasName(name)
	if len(found) == 0 && !c.tree.builtin[n] && !c.tree.builtinAliases[n] {
		c.sel.Missing = append(c.sel.Missing, n)
	}
	return nil
}

// depends returns what a module needs, by name or file.
func (t *Tree) depends(m Module) ([]string, error) {
	if t.byDepmod {
		return m.deps, nil
	}
	info, err := t.ask(m)
	if err != nil {
		return nil, err
	}
	return info.depends(), nil
}

// ask reads what a module says about itself.
func (t *Tree) ask(m Module) (modinfo, error) {
	if info, ok := t.infos[m.Name]; ok {
		return info, nil
	}
	file := filepath.Join(t.Dir, m.File)
	data, readable, err := unpack(file)
	if err != nil {
		return modinfo{}, err
	}
	if !readable {
		return modinfo{}, fmt.Errorf("%s: packed by xz, and %s has no modules.dep to tell what it "+
			"needs: run depmod -b on the tree", file, t.Dir)
	}
	info, err := readModinfo(file, data)
	if err != nil {
		return modinfo{}, err
	}
	t.infos[m.Name] = info
	if t.byDepmod {
		return info, nil // its soft dependencies are in modules.softdep
	}
	for _, text := range info.fields["softdep"] {
		s := newSoftDep(m.Name, strings.Fields(text))
		s.line = fmt.Sprintf("softdep %s %s", m.Name, text)
		t.soft[m.Name] = append(t.soft[m.Name], s)
	}
	return info, nil
}

// find returns the modules that go by a name: the one that has it, else those that have it as an
// alias. Patterns match only themselves: soft dependencies name no devices.
func (t *Tree) find(name string) ([]string, error) {
	n := aliasName(name)
	if _, ok := t.modules[n]; ok {
		return []string{n}, nil
	}
	if t.builtin[n] || t.builtinAliases[n] {
		return nil, nil
	}
	if err := t.askAll(); err != nil {
		return nil, err
	}
	var found []string
	for _, a := range t.aliases {
		if _, ok := t.modules[a.name]; ok && aliasName(a.pattern) == n {
			found = append(found, a.name)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// askAll collects the aliases of every module of a tree without modules.dep. It is only done for
// a soft dependency that is no module's name, since it reads the whole tree.
func (t *Tree) askAll() error {
	if t.byDepmod || t.aliases != nil {
		return nil
	}
	t.aliases = []alias{}
	for _, name := range slices.Sorted(maps.Keys(t.modules)) {
		m := t.modules[name]
		if p, _ := packing(m.File); p == "xz" {
			continue // its aliases are unknown, and it is not needed by name
		}
		info, err := t.ask(m)
		if err != nil {
			return err
		}
		for _, pattern := range info.fields["alias"] {
			t.aliases = append(t.aliases, alias{pattern, name})
		}
	}
	return nil
}

// Check refuses modules for another machine than the image is for, and modules of another kernel
// than the tree is named for, which modprobe would never find. Modules packed by xz cannot be
// checked.
func (s *Selection) Check(machine elf.Machine) error {
	for _, m := range s.Modules {
		if p, _ := packing(m.File); p == "xz" {
			continue
		}
		info, err := s.tree.ask(m)
		if err != nil {
			return err
		}
		file := filepath.Join(s.tree.Dir, m.File)
		if info.machine != machine {
			return fmt.Errorf("%s: a module for %v, want %v", file, info.machine, machine)
		}
		if r := info.release(); r != "" && r != s.tree.Version {
			return fmt.Errorf("%s: a module for kernel %s, but the kernel looks for its modules in "+
				"a directory named like itself: rename %s to %s", file, r, s.tree.Version, r)
		}
	}
	return nil
}

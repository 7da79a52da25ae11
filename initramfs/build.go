package main

import (
	"fmt"
	"strings"

	"github.com/rebound-init/rebound/initramfs/image"
	"github.com/rebound-init/rebound/initramfs/manifest"
	"github.com/rebound-init/rebound/initramfs/modules"
)

// build makes the image that the arguments describe and returns a line about it.
func build(args []string) (string, error) {
	o, err := parseOptions(args)
	if err != nil {
		return "", err
	}
	b := builder{options: o}
	if err := b.assemble(); err != nil {
		return "", err
	}
	c, err := image.ParseCompression(o.compress)
	if err != nil {
		return "", fmt.Errorf("--compress: %w", err)
	}
	s, err := b.image.WriteFile(o.output, c)
	if err != nil {
		return "", fmt.Errorf("--output %s: %w", o.output, err)
	}
	return b.describe(s), nil
}

// A builder collects what the options name.
type builder struct {
	options
	machine machine
	image   image.Image
	brought []string // what to tell at the end
}

// assemble fills the image.
func (b *builder) assemble() error {
	var err error
	if b.machine, err = machineFor(b.arch); err != nil {
		return err
	}
	steps := []func() error{
		b.addStandard, b.addInit, b.addBusybox, b.addTrees, b.addFiles, b.addManifests,
		b.addModules, b.image.Settle, b.checkEssentials,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if r := b.image.Replaced(); len(r) > 0 {
		b.tell("overlaid /%s", strings.Join(r, ", /"))
	}
	if r := b.image.Opened(); len(r) > 0 {
		b.tell("readable for all, which they were not (see --keep-modes): /%s",
			strings.Join(r, ", /"))
	}
	return nil
}

// tell adds to the line at the end.
func (b *builder) tell(format string, args ...any) {
	b.brought = append(b.brought, fmt.Sprintf(format, args...))
}

func (b *builder) addAll(entries ...image.Entry) error {
	for _, e := range entries {
		if err := b.image.Add(e); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addStandard() error {
	for _, dir := range runtimeDirs() {
		if err := b.image.Runtime(dir, standardFrom); err != nil {
			return err
		}
	}
	for _, dir := range b.mounted {
		if err := b.image.Runtime(dir, "--mounted "+dir); err != nil {
			return err
		}
	}
	return b.addAll(standard(b.arch)...)
}

// addInit puts in the one program that is init and its commands.
func (b *builder) addInit() error {
	if err := checkProgram("--init", b.init, b.machine); err != nil {
		return err
	}
	from := "--init " + b.init
	err := b.image.Add(image.Entry{
		Path: "init", Kind: image.File, Rank: image.Asked, Perm: 0o755, From: from, Source: b.init,
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"init", "reboot", "halt", "poweroff"} {
		err := b.image.Add(image.Entry{
			Path: "sbin/" + name, Kind: image.Link, Rank: image.Asked, From: from,
			Target: "/init", Relative: true,
		})
		if err != nil {
			return err
		}
	}
	b.tell("init")
	return nil
}

// addBusybox puts in BusyBox and a link for each applet, which gives way to a file that the user
// brings himself.
func (b *builder) addBusybox() error {
	if b.busybox == "" {
		return nil
	}
	if err := checkProgram("--busybox", b.busybox, b.machine); err != nil {
		return err
	}
	places, err := applets(b.busybox, b.applets, b.machine)
	if err != nil {
		return fmt.Errorf("--busybox: %w", err)
	}
	from := "--busybox " + b.busybox
	err = b.image.Add(image.Entry{
		Path: busyboxPath, Kind: image.File, Rank: image.Asked, Perm: 0o755, From: from,
		Source: b.busybox,
	})
	if err != nil {
		return err
	}
	for _, place := range places {
		err := b.image.Add(image.Entry{
			Path: place, Kind: image.Link, Rank: image.Standard, From: from,
			Target: "/" + busyboxPath, Relative: true,
		})
		if err != nil {
			return err
		}
	}
	b.tell("busybox with %d applets", len(places))
	return nil
}

func (b *builder) addTrees() error {
	add := func(flag string, values []string, rank image.Rank) error {
		for _, v := range values {
			t, err := parseTree(flag, v, rank, b.keepModes)
			if err != nil {
				return err
			}
			if err := b.image.AddTree(t); err != nil {
				return err
			}
		}
		return nil
	}
	if err := add("--tree", b.trees, image.Asked); err != nil {
		return err
	}
	return add("--overlay", b.overlays, image.Overlaid)
}

func (b *builder) addFiles() error {
	for _, v := range b.files {
		e, err := parseFile(v)
		if err != nil {
			return err
		}
		if err := b.image.Add(e); err != nil {
			return err
		}
	}
	for _, v := range b.links {
		e, err := parseLink(v)
		if err != nil {
			return err
		}
		if err := b.image.Add(e); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) addManifests() error {
	for _, name := range b.manifests {
		items, err := manifest.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--manifest: %w", err)
		}
		for _, item := range items {
			if item.Entry != nil {
				err = b.image.Add(*item.Entry)
			} else {
				item.Tree.KeepModes = b.keepModes
				err = b.image.AddTree(*item.Tree)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) addModules() error {
	if b.modulesFrom == "" {
		return nil
	}
	tree, err := modules.Open(b.modulesFrom)
	if err != nil {
		return fmt.Errorf("--modules-from: %w", err)
	}
	chosen, err := tree.Select(b.modules)
	if err != nil {
		return fmt.Errorf("--module: %w", err)
	}
	if err := chosen.Check(b.machine.elf); err != nil {
		return fmt.Errorf("--module: %w", err)
	}
	files, err := chosen.Files()
	if err != nil {
		return fmt.Errorf("--module: %w", err)
	}
	for _, f := range files {
		err := b.image.Add(image.Entry{
			Path: f.Path, Kind: image.File, Rank: image.Asked, Perm: 0o644,
			From: "--modules-from " + b.modulesFrom, Source: f.Source, Data: f.Data,
		})
		if err != nil {
			return err
		}
	}
	b.tell("%s", describeModules(tree.Version, chosen))
	return nil
}

func describeModules(version string, s *modules.Selection) string {
	text := fmt.Sprintf("%d modules for %s (%d of them as dependencies)",
		len(s.Modules), version, len(s.Modules)-s.Asked)
	if len(s.Builtin) > 0 {
		text += ", built in " + strings.Join(s.Builtin, " ")
	}
	if len(s.Missing) > 0 {
		text += ", soft dependencies not found " + strings.Join(s.Missing, " ")
	}
	return text
}

// checkEssentials refuses an image whose init would not get as far as its first instruction,
// which an overlay or a manifest can bring about.
func (b *builder) checkEssentials() error {
	for _, want := range standard(b.arch) {
		if want.Path != "dev/console" && want.Path != "dev/null" {
			continue
		}
		e, ok := b.image.Lookup(want.Path)
		if !ok || e.Kind != want.Kind || e.Major != want.Major || e.Minor != want.Minor {
			return fmt.Errorf("/%s is not the character device %d,%d: init would die before main",
				want.Path, want.Major, want.Minor)
		}
	}
	if e, _ := b.image.Lookup("init"); e.Source != b.init {
		return fmt.Errorf("%s: takes the place of /init: want --init", e.From)
	}
	return nil
}

// describe is the line at the end.
func (b *builder) describe(s image.Summary) string {
	count := func(k image.Kind, one, many string) string {
		if s.Kinds[k] == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", s.Kinds[k], many)
	}
	nodes := s.Kinds[image.Char] + s.Kinds[image.Block] + s.Kinds[image.Fifo]
	return fmt.Sprintf("%s: %d kB (%d kB unpacked) for %s: %d entries (%s, %s, %s, %d nodes): %s",
		b.output, kilo(s.Packed), kilo(s.Plain), b.arch, s.Entries(),
		count(image.File, "file", "files"), count(image.Dir, "directory", "directories"),
		count(image.Link, "link", "links"), nodes, strings.Join(b.brought, "; "))
}

// kilo rounds bytes to the nearest thousand.
func kilo(n int64) int64 { return (n + 500) / 1000 }

package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/pflag"

	"github.com/rebound-init/rebound/initramfs/image"
	"github.com/rebound-init/rebound/initramfs/manifest"
)

// options are what the command line says.
type options struct {
	arch      string
	init      string
	busybox   string
	applets   string
	trees     []string
	overlays  []string
	files     []string
	links     []string
	manifests []string
	mounted   []string
	keepModes bool

	modulesFrom string
	modules     []string

	output   string
	compress string
}

// flagSet describes the command line.
func (o *options) flagSet() *pflag.FlagSet {
	f := pflag.NewFlagSet("initramfs", pflag.ContinueOnError)
	f.SortFlags = false
	// Errors go up as values and are printed once; help is printed by run.
	f.Usage = func() {}
	f.StringVar(&o.output, "output", "", "write the image to `FILE`")
	f.StringVar(&o.compress, "compress", string(image.Gzip), "`gzip`, zstd or none")
	f.StringVar(&o.arch, "arch", runtime.GOARCH, "machine of the image: amd64, arm64, arm, riscv64")
	f.StringVar(&o.init, "init", "",
		"static program `FILE` to be /init and, through links, init, reboot, halt, poweroff in /sbin")
	f.StringVar(&o.busybox, "busybox", "", "static BusyBox `FILE`, with links for its applets")
	f.StringVar(&o.applets, "applets", "",
		"applets to link, one a line, in `FILE`; otherwise BusyBox is asked")
	f.StringArrayVar(&o.trees, "tree", nil, "put in all of a directory: `DIR[:DEST]`")
	f.StringArrayVar(&o.overlays, "overlay", nil,
		"like --tree, but takes the place of what others bring: `DIR[:DEST]`")
	f.StringArrayVar(&o.files, "file", nil, "put in one file: `SRC:DEST[:MODE]`")
	f.StringArrayVar(&o.links, "link", nil, "put in a symbolic link: `TARGET:DEST`")
	f.StringArrayVar(&o.manifests, "manifest", nil, "put in what `FILE` lists")
	f.StringVar(&o.modulesFrom, "modules-from", "",
		"module tree for --module: a `DIR` like /lib/modules/VERSION")
	f.StringArrayVar(&o.modules, "module", nil, "kernel module `NAME`, with what it depends on")
	f.StringArrayVar(&o.mounted, "mounted", nil,
		"`DIR` is filled while the machine runs: links may point below it")
	f.BoolVar(&o.keepModes, "keep-modes", false,
		"take the permissions of trees as they are, not as git keeps them")
	return f
}

// A usageError is a command line that cannot be obeyed, or a request for help.
type usageError struct {
	err  error
	text string // how the program is used
}

func (e *usageError) Error() string { return fmt.Sprintf("%v (see --help)", e.err) }

func (e *usageError) Unwrap() error { return e.err }

// parseOptions reads the command line.
func parseOptions(args []string) (options, error) {
	var o options
	f := o.flagSet()
	text := "usage: initramfs --init FILE --output FILE [flags]\n\n" + f.FlagUsages()
	if err := f.Parse(args); err != nil {
		return o, &usageError{err, text}
	}
	if err := o.check(f.Args()); err != nil {
		return o, &usageError{err, text}
	}
	return o, nil
}

// check refuses what is missing or does not go together.
func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q: want only flags", rest[0])
	case o.output == "":
		return errors.New("--output is missing: want the file to write")
	case o.init == "":
		return errors.New("--init is missing: without an init the kernel panics")
	case o.applets != "" && o.busybox == "":
		return errors.New("--applets without --busybox")
	case len(o.modules) > 0 && o.modulesFrom == "":
		return errors.New("--module without --modules-from")
	case o.modulesFrom != "" && len(o.modules) == 0:
		return errors.New("--modules-from without --module: want the modules to take")
	}
	return nil
}

// parseTree reads DIR[:DEST].
func parseTree(flag, value string, rank image.Rank, keep bool) (image.Tree, error) {
	t := image.Tree{Rank: rank, From: flag + " " + value, KeepModes: keep}
	parts := strings.Split(value, ":")
	t.Dir = parts[0]
	if t.Dir == "" || len(parts) > 2 {
		return t, fmt.Errorf("%s: want DIR[:DEST]", t.From)
	}
	if len(parts) == 2 {
		var err error
		if t.Dest, err = manifest.TreeDest(parts[1]); err != nil {
			return t, fmt.Errorf("%s: %w", t.From, err)
		}
	}
	return t, nil
}

// parseFile reads SRC:DEST[:MODE].
func parseFile(value string) (image.Entry, error) {
	e := image.Entry{Kind: image.File, Rank: image.Asked, From: "--file " + value}
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || parts[1] == "" {
		return e, fmt.Errorf("%s: want SRC:DEST[:MODE]", e.From)
	}
	e.Source, e.Path, e.PlainPerm = parts[0], parts[1], len(parts) == 2
	if strings.HasSuffix(e.Path, "/") {
		return e, fmt.Errorf("%s: %s is a directory, want the name of the file", e.From, e.Path)
	}
	if len(parts) == 3 {
		var err error
		if e.Perm, err = manifest.Mode(parts[2]); err != nil {
			return e, fmt.Errorf("%s: %w", e.From, err)
		}
	}
	return e, nil
}

// parseLink reads TARGET:DEST.
func parseLink(value string) (image.Entry, error) {
	e := image.Entry{Kind: image.Link, Rank: image.Asked, From: "--link " + value}
	target, dest, ok := strings.Cut(value, ":")
	if !ok || target == "" || dest == "" || strings.Contains(dest, ":") {
		return e, fmt.Errorf("%s: want TARGET:DEST", e.From)
	}
	e.Target, e.Path = target, dest
	return e, nil
}

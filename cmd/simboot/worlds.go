package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/nearest"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/container"
	"github.com/rebound-init/rebound/internal/scenario/pidns"
	"github.com/rebound-init/rebound/internal/scenario/qemu"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// worlds are all that there are, in the order of scenario.Worlds.
func worlds() []scenario.World {
	return []scenario.World{
		sim.World{},
		pidns.World{},
		container.World{},
		qemu.World{Arch: "amd64"},
		qemu.World{Arch: "arm64"},
	}
}

// choose returns the worlds of a list of names, with commas or blanks between.
func choose(names string) ([]scenario.World, error) {
	var chosen []scenario.World
	split := func(r rune) bool { return r == ',' || r == ' ' }
	for _, name := range strings.FieldsFunc(names, split) {
		named := scenario.WorldsNamed(name)
		for _, w := range worlds() {
			if slices.Contains(named, w.Name()) {
				chosen = append(chosen, w)
			}
		}
		if named != nil {
			continue
		}
		known := scenario.WorldNames()
		if w := nearest.Word(name, known); w != "" {
			return nil, fmt.Errorf("%q is no world: did you mean %q?", name, w)
		}
		return nil, fmt.Errorf("%q is no world: expected %s", name, strings.Join(known, ", "))
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%q: expected the name of a world", names)
	}
	return chosen, nil
}

// programs are the options that say which programs real worlds take.
func programs(fs *flag.FlagSet, o *scenario.Options) {
	fs.StringVar(&o.Init, "init", "build/init-"+runtime.GOARCH,
		"the init of worlds with a real kernel, a static `program`; `make init` builds it")
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	fs.StringVar(&o.Actor, "actor", self,
		"the actor of worlds with a real kernel, a static `program`")
}

package main

import (
	_ "embed"
	"fmt"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// demoText is a scenario with the inittab of the default image.
//
//go:embed demo.txtar
var demoText []byte

// demo boots the inittab of the default image and shows its console.
func (t *tool) demo() int {
	s, err := scenario.Parse("demo.txtar", demoText)
	if err != nil {
		fmt.Fprintln(t.err, err)
		return exitDiffers
	}
	var table inittab.Table
	for _, f := range s.Files {
		if f.Path == pid1.InittabPath {
			table, _ = inittab.Parse(f.Path, []byte(f.Text))
		}
	}
	world := sim.World{}
	var assumed []sim.Assumption
	world.Programs, assumed = sim.Assume(table)
	fmt.Fprint(t.out, "The inittab of the default image (initramfs/files/etc/inittab) on a simulated "+
		"machine.\nAfter a second somebody presses Enter for a shell, and types poweroff.\n\n")
	t.assumptions(assumed)
	tr, err := world.Play(t.ctx, s, scenario.Options{})
	if err != nil {
		fmt.Fprintf(t.err, "simboot: %v\n", err)
		return exitDiffers
	}
	t.show(tr)
	if ds := scenario.Check(s, tr); len(ds) > 0 {
		for _, d := range ds {
			fmt.Fprintln(t.out, place(s, d)+d.Text)
		}
		return exitDiffers
	}
	fmt.Fprintf(t.out, "\nThe machine is off after %s of its own time.\n", span(tr.End.At))
	fmt.Fprintln(t.out, "`simboot help` tells what else it can do.")
	return exitOK
}

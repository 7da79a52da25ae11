package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rebound-init/rebound/initramfs/image"
	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
)

// What is in the image for the stage, which removes it.
const (
	planPath = "/.plan"
	linePath = "/.line"
	// modulePath is there only if the kernel is to fail by it.
	modulePath = "/.crash.ko"
)

// ttyS is the major number of serial ports, and ttyS0 the minor number of the first
// (Documentation/admin-guide/devices.txt).
const (
	ttyS  = 4
	ttyS0 = 64
)

// port is the minor number of a serial port. That of the console of an ARM board is one of another
// kind, so that the others count from 0.
func (g *guest) port(n int) uint32 {
	if g.arch != "amd64" {
		n--
	}
	return uint32(ttyS0 + n)
}

// plan is what the stage does.
func (g *guest) plan() stage.Plan {
	p := stage.Plan{
		Proc: true, Line: linePath, Agent: g.agent, Path: scenario.InitPath, Argv: live.Argv(g.s),
		Env: live.Env(g.s),
	}
	if g.module != "" {
		p.Module = modulePath
	}
	p.Drivers = drivers(g.s)
	for _, e := range g.s.Events {
		switch d := e.Do.(type) {
		case scenario.CtrlAltDel:
			p.Keyboard = true
		case scenario.CPUStuck:
			// Nobody would take it from there: it is the only realtime process.
			p.Avoid = append(p.Avoid, d.CPU)
		}
	}
	switch g.s.Machine.Console {
	case scenario.ConsoleNull:
		p.Console = os.DevNull
	case scenario.ConsoleNone:
		p.NoStdio = true
	}
	return p
}

// writeImage writes the initramfs: programs, files and device nodes.
func (g *guest) writeImage(name string, programs live.Programs) error {
	root := filepath.Join(g.dir, "root")
	if err := live.Furnish(root, g.s, programs); err != nil {
		return err
	}
	text, err := json.Marshal(g.plan())
	if err != nil {
		return err
	}
	var im image.Image
	if err := im.AddTree(image.Tree{Dir: root, Rank: image.Asked, From: "the scenario"}); err != nil {
		return err
	}
	entries := []image.Entry{
		{Path: planPath, Kind: image.File, Perm: 0o600, Data: text},
		node(linePath, ttyS, g.port(linePort)),
		node("/dev/null", 1, 3), node("/dev/zero", 1, 5), node("/dev/full", 1, 7),
		node("/dev/kmsg", 1, 11), node("/dev/tty", 5, 0),
	}
	if g.module != "" {
		entries = append(entries, image.Entry{
			Path: modulePath, Kind: image.File, Perm: 0o600, Source: g.module,
		})
	}
	for _, d := range drivers(g.s) {
		entries = append(entries, image.Entry{
			Path: d.Path, Kind: image.File, Perm: 0o600, Source: driverFile(g.s, g.arch, d.Path[1:]),
		})
	}
	if c := g.s.Machine.Console; c == scenario.ConsoleTTY {
		entries = append(entries, node("/dev/console", 5, 1))
	}
	for i, t := range g.s.Machine.Terminals {
		entries = append(entries, node("/dev/"+t.Name, ttyS, g.port(firstTerminal+i)))
	}
	for _, e := range entries {
		e.Rank, e.From = image.Asked, "the world"
		if err := im.Add(e); err != nil {
			return err
		}
	}
	if err := im.Settle(); err != nil {
		return err
	}
	if _, err := im.WriteFile(name, image.None); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	return os.RemoveAll(root)
}

func node(path string, major, minor uint32) image.Entry {
	return image.Entry{Path: path, Kind: image.Char, Perm: 0o666, Major: major, Minor: minor}
}

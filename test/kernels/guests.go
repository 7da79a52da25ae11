package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/initramfs/image"
	"github.com/rebound-init/rebound/test/crashmodule"
	"github.com/rebound-init/rebound/test/qemu"
)

// Guests knows what the machines are made of.
type guests struct {
	build string // the build directory, absolute
}

func (g guests) kernelDir(k Kernel) string { return filepath.Join(g.build, "kernels", k.Tree) }
func (g guests) vmlinuz(k Kernel) string   { return filepath.Join(g.kernelDir(k), "vmlinuz") }

func (g guests) busybox(k Kernel) string { return filepath.Join(g.build, "busybox", k.Arch) }

func (g guests) guest(k Kernel) string {
	return filepath.Join(g.build, "crash", "guest-"+k.Arch)
}

func (g guests) capture(k Kernel) string {
	return filepath.Join(g.build, "crash", "capture-"+k.Arch+".cpio")
}

// prepare builds the crash module, the guest's PID 1, and the initramfs of the capture kernel.
func (g guests) prepare(ctx context.Context, k Kernel) error {
	if _, err := crashTarget(k).Build(ctx); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w",
		"-o", g.guest(k), "./test/kernels/guest")
	build.Dir = filepath.Dir(g.build)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+k.Arch)
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("guest for %s: %w\n%s", k.Arch, err, out)
	}
	var im image.Image
	err := im.Add(image.Entry{
		Path: "init", Kind: image.File, Rank: image.Overlaid, Perm: 0o755, From: "test/kernels",
		Source: g.guest(k),
	})
	if err != nil {
		return err
	}
	if err := im.Settle(); err != nil {
		return err
	}
	_, err = im.WriteFile(g.capture(k), image.None)
	return err
}

// crashTarget is the kernel as the builder of the crash module knows it.
func crashTarget(k Kernel) crashmodule.Target {
	return crashmodule.Target{Arch: k.Arch, Tree: k.Tree}
}

// release is what uname says in a kernel.
func (g guests) release(k Kernel) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(g.kernelDir(k), "lib", "modules", "*"))
	if err != nil || len(dirs) != 1 {
		return "", fmt.Errorf("%s: want one kernel's modules, found %d", g.kernelDir(k), len(dirs))
	}
	return filepath.Base(dirs[0]), nil
}

// module finds a module of a kernel. Without an error and a name, it is built in.
func (g guests) module(k Kernel, name string) (string, error) {
	found, builtin := "", false
	err := filepath.WalkDir(filepath.Join(g.kernelDir(k), "lib", "modules"),
		func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.Name() == name+".ko", d.Name() == name+".ko.xz":
				found = path
				return fs.SkipAll
			case d.Name() == "modules.builtin":
				text, err := os.ReadFile(path)
				builtin = strings.Contains(string(text), "/"+name+".ko\n")
				return err
			}
			return nil
		})
	if err == nil && found == "" && !builtin {
		err = fmt.Errorf("kernel %s has no module %s", k.Name, name)
	}
	return found, err
}

// reserved is memory that no kernel uses, for records of crashes.
var reserved = map[string]string{"amd64": "0x2e000000", "arm64": "0x6e000000"}

// modules are all that a guest may be told to load, in an order in which they can be.
var modules = []string{
	"reed_solomon", "ramoops", "watchdog", "pretimeout_noop", "pretimeout_panic", "softdog", "i6300esb",
}

// machine is what all cells of a kernel are played on. Memory is reserved and devices are there
// whether a cell uses them or not, so that few machines must be booted.
func (g guests) machine(k Kernel, cpus int) (qemu.Machine, error) {
	words := []string{"rdinit=/init", "crashkernel=192M"}
	board := ""
	switch k.Arch {
	case "amd64":
		words = append(words, "memmap=0x100000$"+reserved[k.Arch])
	case "arm64":
		words = append(words, "mem=736M")
		// A kernel that is told nokaslr leaves the seed for it where it was, and then
		// kexec(8) loads nothing.
		board = "virt,dtb-randomness=off"
	}
	m := qemu.Machine{
		Arch: k.Arch, Kernel: g.vmlinuz(k), Memory: 768, CPUs: cpus, Board: board,
		Append:      strings.Join(append(words, always...), " "),
		KernelPanic: true, KeepResets: true, Limit: 6 * time.Minute,
		Options: []string{"-device", "i6300esb"},
		Files: []qemu.File{
			{Path: "init", Perm: 0o755, Source: g.guest(k)},
			{Path: "crasher", Perm: 0o755, Source: g.busybox(k)},
			{Path: "shell/init", Perm: 0o755, Source: g.busybox(k)},
			{Path: "modules/" + crashmodule.Name, Source: crashTarget(k).File()},
			{Path: "kernel", Source: g.vmlinuz(k)},
			{Path: "capture.cpio", Source: g.capture(k)},
		},
	}
	tools, err := g.kexecTools(k)
	if err != nil {
		return m, err
	}
	m.Files = append(m.Files, tools...)
	if cpus == 1 {
		m.Options = append(m.Options, icount...)
	}
	for _, name := range modules {
		file, err := g.module(k, name)
		if err != nil {
			return m, err
		}
		if file != "" {
			m.Files = append(m.Files, qemu.File{Path: "modules/" + filepath.Base(file), Source: file})
		}
	}
	return m, nil
}

// always are words of every kernel's command line: each line of the console begins with its level.
var always = []string{"console_msg_format=syslog", "nokaslr", "cryptomgr.notests"}

// icount lets time go by the instructions that were executed, so that a busy host changes nothing,
// and leap to the next timer where there are none. Two CPUs that take turns that way wait too long for
// each other.
//
// An ARM that resets by its firmware is off until QEMU gets round to the reset. If no timer is due any
// more, time would leap to its end then, and the next boot wait for ever. So there is always one: of a
// filter on a network that no guest sees, each 100 ms.
var icount = []string{
	"-icount", "shift=5,sleep=off",
	"-netdev", "hubport,id=nothing,hubid=0",
	"-object", "filter-buffer,id=timer,netdev=nothing,interval=100000",
}

// bootMachine is for a cell that fails before there is an init: what init would set goes on the
// kernel's command line.
func (g guests) bootMachine(k Kernel, c Cell) qemu.Machine {
	words := append([]string{c.Boot, "loglevel=7"}, always...)
	for _, s := range c.Settings {
		words = append(words, s.Knob+"="+s.Value)
	}
	return qemu.Machine{
		Arch: k.Arch, Kernel: g.vmlinuz(k), Memory: 512, KernelPanic: true, KeepResets: true,
		Append: strings.Join(words, " "), Options: icount, Limit: 6 * time.Minute,
		Files: []qemu.File{{Path: "nothing", Data: "\n"}},
	}
}

// A plan is what a guest is told.
type plan struct {
	setup []string // before the failure
	after []string // after the next boot, to see what is left
}

// plan says how a cell is played.
func newPlan(k Kernel, c Cell) plan {
	var p plan
	if c.Ramoops > 0 {
		ramoops := []string{"module reed_solomon", fmt.Sprintf(
			"module ramoops mem_address=%s mem_size=0x100000 record_size=0x8000 max_reason=%d",
			reserved[k.Arch], c.Ramoops)}
		p.setup = append(p.setup, ramoops...)
		p.after = append(append(p.after, ramoops...), "show /sys/fs/pstore/*")
	}
	p.addWatchdog(c.Watchdog)
	if c.CrashKernel {
		p.setup = append(p.setup, "kexec rdinit=/init quiet nokaslr "+consoleOf[k.Arch])
	}
	p.setup = append(p.setup, "module rebound_crash")
	printk := false
	for _, s := range c.Settings {
		p.setup = append(p.setup, "set "+s.Knob+" "+s.Value)
		printk = printk || s.Knob == "printk"
	}
	if !printk {
		p.setup = append(p.setup, "set printk 7 4 1 7")
	}
	return p
}

var consoleOf = map[string]string{"amd64": "console=ttyS0", "arm64": "console=ttyAMA0"}

// addWatchdog loads a watchdog and has it opened.
func (p *plan) addWatchdog(w Watchdog) {
	if w.Name == "" {
		return
	}
	p.setup = append(p.setup, "module watchdog")
	if w.Governor != "" {
		p.setup = append(p.setup, "module pretimeout_"+w.Governor)
	}
	p.setup = append(p.setup, strings.TrimSpace("module "+w.Name+" "+w.Params))
	if w.Name == "i6300esb" {
		p.after = append(p.after, "module watchdog", "module i6300esb",
			"show /sys/class/watchdog/watchdog0/bootstatus")
	}
	open := "watchdog 0 " + strconv.Itoa(w.Timeout)
	if w.Pretimeout > 0 {
		open += " " + strconv.Itoa(w.Pretimeout)
	}
	if w.Governor != "" {
		p.setup = append(p.setup, "set pretimeout_governor "+w.Governor)
	}
	p.setup = append(p.setup, open)
}

package qemu

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live"
	"github.com/rebound-init/rebound/test/qemu"
)

// kernelLine is what printk writes on a console: it begins with the time.
var kernelLine = regexp.MustCompile(`\[ *\d+\.\d{6}\](\[ *[TC]\d+\])? .*`)

// The serial ports: the console, the line to the agent, and the scenario's terminals.
const (
	consolePort = iota
	linePort
	firstTerminal
)

// guest is a virtual machine.
type guest struct {
	s    *scenario.Scenario
	arch string
	play *live.Play
	dir  string
	vm   *qemu.VM
	ears sync.WaitGroup
	// module is the crash module's file, if the scenario needs it.
	module string

	answers chan string
	agent   bool // it is there

	once    sync.Once
	ended   chan struct{} // closed when the machine has ended; the rest is set then
	halted  bool
	endedAt time.Duration
	end     qemu.End
	remarks []scenario.Line
}

// describe is the machine.
func (g *guest) describe() qemu.Machine {
	// Room for hundreds of actors, each with a runtime of a megabyte and more.
	const memory = 1024
	var options []string
	if hasHardware(g.s) {
		options = []string{"-device", hardware}
	}
	// The last words are for the first program.
	return qemu.Machine{
		Kernel: qemu.Kernel(tree(g.s, g.arch)), Options: options,
		Arch: g.arch, Accel: accel(), Memory: memory, Serial: firstTerminal + len(g.s.Machine.Terminals),
		CPUs: g.s.Machine.CPUs, KernelPanic: g.s.FailsKernel(),
		Limit: bootTime + g.s.Lasts + clock().Slack,
		Append: strings.Join([]string{
			g.s.Machine.Cmdline, "rdinit=" + scenario.ActorPath, "--", stage.Word, planPath,
		}, " "),
	}
}

// ordered reports whether a deed is for the agent.
func ordered(d scenario.Deed) bool {
	switch d.(type) {
	case scenario.Signal, scenario.Kill, scenario.WriteFile, scenario.RemoveFile:
		return true
	}
	return failureOf(d, "").poke.File != ""
}

// launch starts the machine, and waits until PID 1 starts.
func (g *guest) launch(ctx context.Context, programs live.Programs) error {
	var err error
	if g.dir, err = os.MkdirTemp("", "qemu"); err != nil {
		return err
	}
	g.agent = g.play.Pending(ordered)
	m := g.describe()
	m.Initrd = []string{filepath.Join(g.dir, "initrd")}
	if err := g.writeImage(m.Initrd[0], programs); err != nil {
		return err
	}
	if g.vm, err = qemu.Launch(m, nil); err != nil {
		return err
	}
	started := make(chan time.Time, 1)
	g.answers = make(chan string, 1)
	g.follow(consolePort, func(b []byte, at time.Time) {
		g.play.Hear("", b, at)
		if g.sawHalt() {
			g.finish(func() { g.halted = true })
		}
	})
	g.follow(linePort, g.answered(started))
	for i, t := range g.s.Machine.Terminals {
		g.follow(firstTerminal+i, func(b []byte, at time.Time) { g.play.Hear(t.Name, b, at) })
	}
	go g.await(m.Limit)
	select {
	case at := <-started:
		g.play.Start(at)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-g.ended:
	}
	return fmt.Errorf("the machine has not come to PID 1:\n%s",
		g.vm.Console(consolePort).Transcript())
}

var anything = regexp.MustCompile(`(?s).+`)

// follow listens to a serial port until the machine ends.
func (g *guest) follow(port int, heard func([]byte, time.Time)) {
	g.ears.Add(1)
	go func() {
		defer g.ears.Done()
		for {
			m, err := g.vm.Console(port).Expect(anything, g.vm.Machine.Limit)
			if err != nil {
				return
			}
			heard([]byte(m.Text), m.At)
		}
	}()
}

// answered hands on the lines from the agent: that PID 1 starts, then its answers.
func (g *guest) answered(started chan<- time.Time) func([]byte, time.Time) {
	var text string
	begun := false
	return func(b []byte, at time.Time) {
		text += strings.ReplaceAll(string(b), "\r", "")
		for {
			line, rest, whole := strings.Cut(text, "\n")
			if !whole {
				return
			}
			text = rest
			if !begun {
				begun = true
				started <- at
				continue
			}
			g.answers <- line
		}
	}
}

// sawHalt reports whether the kernel says that it has halted; then the machine goes on for ever.
func (g *guest) sawHalt() bool {
	for _, l := range g.play.Kernel("") {
		if strings.HasSuffix(l.Text, "reboot: System halted") {
			return true
		}
	}
	return false
}

// await waits for the machine's end.
func (g *guest) await(limit time.Duration) {
	end, err := g.vm.Wait(limit)
	if err != nil {
		end.Err = err
	}
	g.ears.Wait()
	g.finish(func() { g.end = end })
}

// finish says that the machine has ended.
func (g *guest) finish(note func()) {
	g.once.Do(func() {
		g.endedAt = g.play.Now()
		note()
		close(g.ended)
	})
}

var killedInit = regexp.MustCompile(`Attempted to kill init! exitcode=(0x[0-9a-f]{8})`)

// how is how the machine has ended.
func (g *guest) how() scenario.End {
	end := scenario.End{At: g.endedAt}
	for _, l := range g.play.Kernel("") {
		panics := strings.Contains(l.Text, "Kernel panic")
		if panics && end.Then != 0 {
			continue // the same once more, at its end
		}
		if panics {
			end.Then = g.then()
			end.After = g.endedAt - l.At
		}
		if strings.Contains(l.Text, "reboot: ") || panics {
			// QEMU takes its time.
			end.At, end.Text = l.At, l.Text
		}
		if strings.Contains(l.Text, softdogFires) {
			end.How, end.Then = []scenario.How{scenario.Died}, scenario.ThenWatchdog
			end.At, end.Text = l.At, l.Text
			return end
		}
		if m := killedInit.FindStringSubmatch(l.Text); m != nil {
			code, _ := strconv.ParseUint(m[1], 0, 32)
			seen, _ := live.Seen(syscall.WaitStatus(code))
			end.How, end.Status = seen.How, seen.Status
			if syscall.WaitStatus(code).Signaled() {
				end.How = []scenario.How{scenario.Died}
			}
			return end
		}
	}
	switch {
	case end.Then != 0:
		end.How = []scenario.How{scenario.Died}
	case g.end.Reason == resetByQEMU || g.bitten():
		end.How, end.Then = []scenario.How{scenario.Died}, scenario.ThenWatchdog
	case g.halted:
		end.How = []scenario.How{scenario.Halt}
	case g.end.Reason == "guest-reset":
		end.How = []scenario.How{scenario.Reboot}
	case g.end.Reason == "guest-shutdown":
		end.How = []scenario.How{scenario.PowerOff}
	default:
		end.How = []scenario.How{scenario.Died}
		end.Text += fmt.Sprintf(" (QEMU: %q, %v)", g.end.Reason, g.end.Err)
	}
	return end
}

// resetByQEMU is the reason of a machine that the monitor has reset, in the place of a watchdog.
const resetByQEMU = "host-qmp-system-reset"

// then is what has become of a machine whose kernel has died.
func (g *guest) then() scenario.Then {
	select {
	case <-g.ended:
	default:
		return scenario.ThenHung
	}
	if g.end.Reason == resetByQEMU || g.bitten() {
		return scenario.ThenWatchdog
	}
	return scenario.ThenRestart
}

// bitten reports whether QEMU's watchdog has reset the machine.
func (g *guest) bitten() bool {
	return slices.ContainsFunc(g.vm.Monitor.Events(), func(e qemu.Event) bool { return e.Name == "WATCHDOG" })
}

// panicked reports whether the kernel has said that it panics.
func (g *guest) panicked() bool {
	for _, l := range g.play.Kernel("") {
		if strings.Contains(l.Text, "Kernel panic - not syncing") {
			return true
		}
	}
	return false
}

// initDied reports whether an oops has ended the first thread of PID 1. The others are Go's own, and
// keep the process alive without doing anything for anybody (kernel/exit.c, make_task_dead).
func (g *guest) initDied() bool {
	oops := false
	for _, l := range g.play.Kernel("") {
		switch {
		case strings.Contains(l.Text, "Oops: "):
			oops = true
		case strings.Contains(l.Text, "---[ end trace "):
			oops = false
		case oops && strings.Contains(l.Text, " PID: 1 Comm: init "):
			return true
		}
	}
	return false
}

// close ends the machine and gives back what it has held.
func (g *guest) close() {
	if g.vm != nil {
		g.vm.Kill()
		<-g.ended
		g.vm = nil
	}
	if g.dir != "" {
		os.RemoveAll(g.dir)
	}
}

// do lets something happen.
func (g *guest) do(d scenario.Deed) error {
	const (
		ctrlS = "\x13"
		ctrlQ = "\x11"
	)
	switch d := d.(type) {
	case scenario.Signal:
		return g.order(stage.Order{Signals: d.Signals})
	case scenario.Kill:
		return g.order(stage.Order{Signals: []syscall.Signal{d.Signal}, Name: d.Name})
	case scenario.WriteFile:
		return g.order(stage.Order{Write: d.Path, Text: d.Text})
	case scenario.RemoveFile:
		return g.order(stage.Order{Remove: d.Path})
	case scenario.Type:
		return g.typed(d.TTY, d.Text)
	case scenario.StopOutput:
		return g.typed(d.TTY, ctrlS)
	case scenario.StartOutput:
		return g.typed(d.TTY, ctrlQ)
	case scenario.CtrlAltDel:
		return g.press("ctrl", "alt", "delete")
	case scenario.KernelFails, scenario.CPUStuck:
		return g.fail(failureOf(d, g.arch))
	case scenario.WatchdogFires:
		_, err := g.vm.Monitor.Execute("system_reset", nil)
		return err
	}
	return fmt.Errorf("a virtual machine has nothing like %T", d)
}

// typed types on a terminal.
func (g *guest) typed(tty, text string) error {
	port := consolePort
	for i, t := range g.s.Machine.Terminals {
		if t.Name == tty {
			port = firstTerminal + i
		}
	}
	return g.vm.Console(port).Send(text)
}

// press presses keys together, by QEMU's names.
func (g *guest) press(keys ...string) error {
	type key struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}
	var all []key
	for _, k := range keys {
		all = append(all, key{"qcode", k})
	}
	_, err := g.vm.Monitor.Execute("send-key", map[string]any{"keys": all})
	return err
}

// order has the agent do something. With its last order it leaves.
func (g *guest) order(o stage.Order) error {
	if !g.agent {
		return fmt.Errorf("the agent has left before the order %+v", o)
	}
	// This one is still among the pending.
	n := 0
	g.play.Pending(func(d scenario.Deed) bool {
		if ordered(d) {
			n++
		}
		return false
	})
	o.Leave = n <= 1
	g.agent = !o.Leave
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := g.vm.Console(linePort).Send(string(text) + "\n"); err != nil {
		return err
	}
	const patience = 20 * time.Second
	select {
	case answer := <-g.answers:
		return carriedOut(answer)
	case <-g.ended:
	case <-time.After(patience):
		return fmt.Errorf("the agent does not answer")
	}
	// The order may be why it has ended.
	select {
	case answer := <-g.answers:
		return carriedOut(answer)
	default:
		return fmt.Errorf("the machine has ended")
	}
}

// carriedOut is what an answer of the agent's says.
func carriedOut(answer string) error {
	if answer != stage.Done {
		return fmt.Errorf("the agent: %s", answer)
	}
	return nil
}

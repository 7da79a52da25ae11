// Command simboot boots init on a simulated machine, and plays scenarios there and in other worlds.
//
// By the name of actor it is the program that scenarios are made of.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"syscall"

	"github.com/rebound-init/rebound/internal/actor/realactor"
	"github.com/rebound-init/rebound/internal/nearest"
)

// The exit statuses.
const (
	exitOK      = 0
	exitDiffers = 1 // something is not as it must be
	exitUsage   = 2 // simboot was not asked for anything that it can do
)

func main() {
	if path.Base(os.Args[0]) == "actor" {
		os.Exit(realactor.Main(os.Args))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := &tool{ctx: ctx, out: os.Stdout, err: os.Stderr}
	status := t.main(os.Args[1:])
	stop()
	os.Exit(status)
}

// tool is one call of simboot.
type tool struct {
	ctx      context.Context
	out, err io.Writer
}

// command is a subcommand.
type command struct {
	name, args, does string
	run              func(t *tool, args []string) int
}

func commands() []command {
	return []command{
		{"run", "FILE...", "play scenarios, and show where they are not what they must be", (*tool).run},
		{"run", "-inittab FILE -at TIME ACTION", "tell what would happen on your own machine", nil},
		{"agree", "DIR|FILE...", "play scenarios in every world, and compare the worlds", (*tool).agree},
		{"list", "[DIR|FILE...]", "list scenarios, and what each shows", (*tool).list},
		{"crash", "FAILURE...", "tell what a kernel does that fails, and what is left", (*tool).crash},
		{"new", "[FILE]", "write a scenario to begin with, with comments", (*tool).new},
		{"bench", "", "measure the simulated machine", (*tool).bench},
		{"help", "", "print this", nil},
	}
}

func (t *tool) usage(w io.Writer) {
	fmt.Fprint(w, "Usage: simboot [COMMAND]\n\n"+
		"Without a command: boot the demo inittab on a simulated machine, down to the power-off.\n"+
		"It takes neither root nor time.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-35s %s\n", c.name+" "+c.args, c.does)
	}
	fmt.Fprint(w, "\n`simboot COMMAND -help` lists the options of a command. docs/scenarios.md describes\n"+
		"the format of scenarios.\n\n"+
		"Exit status: 0 as it must be; 1 something is not; 2 wrong usage.\n")
}

// main carries out a command line, without the program's name.
func (t *tool) main(args []string) int {
	if len(args) == 0 {
		return t.demo()
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		for _, c := range commands() {
			if len(args) > 1 && c.name == args[1] && c.run != nil {
				return c.run(t, []string{"-help"})
			}
		}
		t.usage(t.out)
		return exitOK
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] && c.run != nil {
			return c.run(t, args[1:])
		}
		names = append(names, c.name)
	}
	hint := "`simboot help` lists the commands"
	if w := nearest.Word(args[0], names); w != "" {
		hint = fmt.Sprintf("did you mean %q?", w)
	}
	fmt.Fprintf(t.err, "simboot: %q is no command: %s\n", args[0], hint)
	return exitUsage
}

// wrong says what is wrong with the usage.
func (t *tool) wrong(format string, args ...any) int {
	fmt.Fprintf(t.err, "simboot: "+format+"\n", args...)
	return exitUsage
}

// Command panicctl is for the policy of a machine whose kernel dies: what it is, what it leads to, and
// whether it works.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rebound-init/rebound/internal/nearest"
)

// The exit statuses. A script tells by them what panicctl has said in words.
const (
	exitOK      = 0
	exitAmiss   = 1 // something is not as it should be, and panicctl has said what
	exitUsage   = 2 // panicctl was not asked for anything that it can do
	exitDenied  = 3 // it takes privileges, or a file of the kernel, that are not there
	exitRefused = 4 // panicctl could have done it, and did not
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t := &tool{
		ctx: ctx, in: os.Stdin, out: os.Stdout, err: os.Stderr,
		colours: coloursOn(os.Stdout, os.Getenv),
	}
	status := t.main(os.Args[1:])
	stop()
	os.Exit(status)
}

// tool is one call of panicctl.
type tool struct {
	ctx      context.Context
	in       io.Reader
	out, err io.Writer
	// colours says that out is somebody's terminal, and that they have not asked for none.
	colours bool
	// defined are the options of the command, once it has defined them: completion asks for them.
	defined *flag.FlagSet
}

// command is a subcommand.
type command struct {
	name, args, does string
	run              func(t *tool, args []string) int
}

func commands() []command {
	return []command{
		{"show", "[NAME...]", "show what decides about a failing kernel, and where each value is from", (*tool).show},
		{"apply", "[FILE]", "set what a policy asks for, and read it back", (*tool).apply},
		{"check", "[FILE]", "find what is wrong in a policy, or with this machine", (*tool).check},
		{"explain", "FAILURE", "tell step by step what the kernel does after a failure", (*tool).explain},
		{"matrix", "", "tell of every failure whether the machine comes back", (*tool).matrix},
		{"trigger", "FAILURE", "let the kernel of this machine fail, to see whether it comes back", (*tool).trigger},
		{"completion", "SHELL", "print the completion for bash, zsh or fish", (*tool).completion},
		{"help", "", "print this", nil},
	}
}

func (t *tool) usage(w io.Writer) {
	fmt.Fprint(w, "Usage: panicctl COMMAND\n\n"+
		"Shows, sets and checks what this machine does when its kernel dies, and tells before it\n"+
		"happens whether the machine will come back.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-22s %s\n", c.name+" "+c.args, c.does)
	}
	fmt.Fprint(w, "\n`panicctl COMMAND --help` lists the options of a command.\n\n"+
		"Exit status: 0 all is well; 1 something is not as it should be; 2 wrong usage;\n"+
		"3 privileges or files of the kernel are missing; 4 refused.\n")
}

// main carries out a command line, without the program's name.
func (t *tool) main(args []string) int {
	if len(args) == 0 {
		t.usage(t.err)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
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
	hint := "`panicctl help` lists the commands"
	if w := nearest.Word(args[0], names); w != "" {
		hint = fmt.Sprintf("did you mean %q?", w)
	}
	return t.wrong("%q is no command: %s", args[0], hint)
}

// wrong says what is wrong with the usage.
func (t *tool) wrong(format string, args ...any) int { return t.fails(exitUsage, format, args...) }

// fails says why the command ends with a status other than exitOK.
func (t *tool) fails(status int, format string, args ...any) int {
	fmt.Fprintf(t.err, "panicctl: "+format+"\n", args...)
	return status
}

// failsBy says an error, and ends with the status that fits it.
func (t *tool) failsBy(err error, format string, args ...any) int {
	return t.fails(statusOf(err), format+": %v", append(args, err)...)
}

// statusOf is the status that fits an error.
func statusOf(err error) int {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.EROFS) {
		return exitDenied
	}
	return exitAmiss
}

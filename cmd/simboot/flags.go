package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// flags is the set of options of a command.
func (t *tool) flags(name, args, does string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		fmt.Fprintf(t.out, "Usage: simboot %s [OPTIONS] %s\n\n%s\n\n", name, args, does)
		fs.SetOutput(t.out)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

// parse reads options. It is done if the command is to end with the status.
func (t *tool) parse(fs *flag.FlagSet, args []string) (status int, done bool) {
	err := fs.Parse(args)
	switch {
	case err == nil:
		return 0, false
	case errors.Is(err, flag.ErrHelp):
		return exitOK, true
	}
	return t.wrong("%s: %v: `simboot %s -help` lists the options", fs.Name(), err, fs.Name()), true
}

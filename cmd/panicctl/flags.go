package main

import (
	"errors"
	"flag"

	"github.com/rebound-init/rebound/internal/options"
)

// flags is the set of options of a command.
func (t *tool) flags(name, args, does string) *flag.FlagSet {
	return options.New(t.out, "panicctl", name, args, does)
}

// parse reads options. It returns the words that are none, unless the command is to end with the
// status.
func (t *tool) parse(fs *flag.FlagSet, args []string) (words []string, status int, done bool) {
	t.defined = fs
	words, err := options.Parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil, exitOK, true
	case err != nil:
		return nil, t.wrong("%s: %v: `panicctl %s --help` lists the options", fs.Name(), err, fs.Name()), true
	}
	return words, exitOK, false
}

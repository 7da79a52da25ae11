package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// flags is the set of options of a command. Each can be written with one dash or with two.
func (t *tool) flags(name, args, does string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		usage := strings.TrimRight("Usage: panicctl "+name+" [OPTIONS] "+args, " ")
		fmt.Fprintf(t.out, "%s\n\n%s\n\n", usage, does)
		fs.SetOutput(t.out)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

// parse reads options, wherever they stand: package flag takes none behind the first name. It
// returns the words that are none, unless the command is to end with the status.
func (t *tool) parse(fs *flag.FlagSet, args []string) (words []string, status int, done bool) {
	t.defined = fs
	usage := fs.Usage
	// Otherwise a mistake in one option would be answered by the list of all.
	fs.Usage = func() {}
	for {
		err := fs.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			usage()
			return nil, exitOK, true
		case err != nil:
			return nil, t.wrong("%s: %v: `panicctl %s --help` lists the options",
				fs.Name(), err, fs.Name()), true
		case fs.NArg() == 0:
			return words, exitOK, false
		}
		if read := args[:len(args)-fs.NArg()]; len(read) > 0 && read[len(read)-1] == "--" {
			return append(words, fs.Args()...), exitOK, false
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}

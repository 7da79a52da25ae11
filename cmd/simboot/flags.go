package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// flags is the set of options of a command.
func (t *tool) flags(name, args, does string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		usage := strings.TrimRight("Usage: simboot "+name+" [OPTIONS] "+args, " ")
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
			return nil, t.wrong("%s: %v: `simboot %s -help` lists the options",
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

// timeValue is an option that is a time.
type timeValue time.Duration

func (v *timeValue) String() string { return time.Duration(*v).String() }

// Set takes a time of the command line.
func (v *timeValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("expected a time such as 5s, 300ms or 1m30s")
	}
	*v = timeValue(d)
	return nil
}

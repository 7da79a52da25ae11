package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
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
	usage := fs.Usage
	// Otherwise a mistake in one option would be answered by the list of all.
	fs.Usage = func() {}
	err := fs.Parse(args)
	fs.Usage = usage
	switch {
	case err == nil:
		return 0, false
	case errors.Is(err, flag.ErrHelp):
		usage()
		return exitOK, true
	}
	return t.wrong("%s: %v: `simboot %s -help` lists the options", fs.Name(), err, fs.Name()), true
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

package main

import (
	"errors"
	"flag"
	"time"

	"github.com/rebound-init/rebound/internal/options"
)

// flags is the set of options of a command.
func (t *tool) flags(name, args, does string) *flag.FlagSet {
	return options.New(t.out, "simboot", name, args, does)
}

// parse reads options. It returns the words that are none, unless the command is to end with the
// status.
func (t *tool) parse(fs *flag.FlagSet, args []string) (words []string, status int, done bool) {
	words, err := options.Parse(fs, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil, exitOK, true
	case err != nil:
		return nil, t.wrong("%s: %v: `simboot %s -help` lists the options", fs.Name(), err, fs.Name()), true
	}
	return words, exitOK, false
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

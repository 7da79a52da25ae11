// Package options reads the options of programs that have commands: simboot run -seed 3 FILE.
package options

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// New is the set of options of a program's command. Each can be written with one dash or with two. args
// is what comes behind them, and does says what the command does. Its help goes to out.
func New(out io.Writer, program, command, args, does string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		usage := strings.TrimRight("Usage: "+program+" "+command+" [OPTIONS] "+args, " ")
		fmt.Fprintf(out, "%s\n\n%s\n\n", usage, does)
		fs.SetOutput(out)
		fs.PrintDefaults()
		fs.SetOutput(io.Discard)
	}
	return fs
}

// Parse reads options, wherever they stand: package flag takes none behind the first word that is
// none. It returns those words. If help was asked for it prints that, and returns flag.ErrHelp.
func Parse(fs *flag.FlagSet, args []string) (words []string, err error) {
	usage := fs.Usage
	// Otherwise a mistake in one option would be answered by the list of all.
	fs.Usage = func() {}
	defer func() { fs.Usage = usage }()
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				usage()
			}
			return nil, err
		}
		if fs.NArg() == 0 {
			return words, nil
		}
		if read := args[:len(args)-fs.NArg()]; len(read) > 0 && read[len(read)-1] == "--" {
			return append(words, fs.Args()...), nil
		}
		words, args = append(words, fs.Arg(0)), fs.Args()[1:]
	}
}

// Several is an option that may be given several times: what parse reads of each is added to the list.
func Several[T any](list *[]T, parse func(string) (T, error)) flag.Value {
	return several[T]{list, parse}
}

type several[T any] struct {
	list  *[]T
	parse func(string) (T, error)
}

func (s several[T]) String() string { return "" }

// Set takes one of the command line.
func (s several[T]) Set(text string) error {
	one, err := s.parse(text)
	if err == nil {
		*s.list = append(*s.list, one)
	}
	return err
}

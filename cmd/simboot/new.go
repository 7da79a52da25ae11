package main

import (
	_ "embed"
	"fmt"
	"os"
)

//go:embed template.txtar
var template []byte

const newDoes = `Write a scenario to begin with, with comments, which can be played as it is. Without a
name it is printed.`

func (t *tool) new(args []string) int {
	fs := t.flags("new", "[FILE]", newDoes)
	if status, done := t.parse(fs, args); done {
		return status
	}
	switch fs.NArg() {
	case 0:
		_, _ = t.out.Write(template)
		return exitOK
	case 1:
	default:
		return t.wrong("new: %q: expected one name at most", fs.Arg(1))
	}
	const mode = 0o644
	f, err := os.OpenFile(fs.Arg(0), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return t.wrong("new: %v", err)
	}
	_, err = f.Write(template)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return t.wrong("new: %v", err)
	}
	fmt.Fprintf(t.out, "%s is written. Play it by: simboot run %s\n", fs.Arg(0), fs.Arg(0))
	return exitOK
}

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
	names, status, done := t.parse(fs, args)
	if done {
		return status
	}
	switch len(names) {
	case 0:
		_, _ = t.out.Write(template)
		return exitOK
	case 1:
	default:
		return t.wrong("new: %q: expected one name at most", names[1])
	}
	const mode = 0o644
	f, err := os.OpenFile(names[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
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
	fmt.Fprintf(t.out, "%s is written. Play it by: simboot run %s\n", names[0], names[0])
	return exitOK
}

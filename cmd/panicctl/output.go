package main

import (
	"encoding/json"
	"os"

	"golang.org/x/sys/unix"
)

// coloursOn reports whether what goes to a file is to have colours: only a terminal's, and not if
// NO_COLOR says that somebody wants none (no-color.org) or if TERM says that it has none.
func coloursOn(f *os.File, getenv func(string) string) bool {
	if getenv("NO_COLOR") != "" || getenv("TERM") == "" || getenv("TERM") == "dumb" {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// colour is how a word is shown on a terminal that has colours (ECMA-48, SGR).
type colour string

// The colours, by what they are for.
const (
	plain colour = ""
	good  colour = "\x1b[32m"
	fair  colour = "\x1b[33m"
	bad   colour = "\x1b[31m"
	bold  colour = "\x1b[1m"
	faint colour = "\x1b[2m"
)

// paint is a text in a colour, if there are any.
func (t *tool) paint(c colour, text string) string {
	if !t.colours || c == plain || text == "" {
		return text
	}
	return string(c) + text + "\x1b[0m"
}

// printJSON prints a value for programs.
func (t *tool) printJSON(v any) int {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return t.fails(exitAmiss, "%v", err)
	}
	return exitOK
}

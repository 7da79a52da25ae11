package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A recording is kept as a head of "name: value" lines, an empty line, and the console.

// uncertain is a frame of a stack that may be a leftover.
var uncertain = regexp.MustCompile(`^<\d>\[[ 0-9.]+\]  \? `)

// format is the recording as it is kept. Uncertain frames of stacks are left out: there are many,
// and they mean nothing.
func (r Recording) format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel: %s\nended: %s\n", r.Release, r.Ended)
	for _, l := range r.Left {
		fmt.Fprintf(&b, "left: %s\n", l)
	}
	b.WriteString("\n")
	for _, l := range r.Lines {
		if !uncertain.MatchString(l) {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

// parseRecording reads what format has written.
func parseRecording(text string) (Recording, error) {
	var r Recording
	head, console, ok := strings.Cut(text, "\n\n")
	if !ok {
		head, console, ok = strings.TrimSuffix(text, "\n"), "", true
	}
	for line := range strings.SplitSeq(head, "\n") {
		name, value, ok := strings.Cut(line, ": ")
		switch {
		case !ok:
			return r, fmt.Errorf("recording: line %q: want a name and a value", line)
		case name == "kernel":
			r.Release = value
		case name == "ended":
			r.Ended = value
		case name == "left":
			r.Left = append(r.Left, value)
		default:
			return r, fmt.Errorf("recording: unknown name %q", name)
		}
	}
	if console = strings.TrimSuffix(console, "\n"); console != "" {
		r.Lines = strings.Split(console, "\n")
	}
	return r, nil
}

// recordingFile is where a cell's recording is kept, below dir.
func recordingFile(dir string, k Kernel, c Cell) string {
	return filepath.Join(dir, k.Name, c.Name+".txt")
}

// load reads a cell's recording.
func load(dir string, k Kernel, c Cell) (Recording, error) {
	text, err := os.ReadFile(recordingFile(dir, k, c))
	if err != nil {
		return Recording{}, err
	}
	r, err := parseRecording(string(text))
	r.Kernel, r.Cell = k.Name, c.Name
	return r, err
}

// save keeps a cell's recording.
func (r Recording) save(dir string, k Kernel, c Cell) error {
	file := recordingFile(dir, k, c)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(r.format()), 0o644)
}

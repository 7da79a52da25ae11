package image

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// maxLinks is how many links the kernel follows in one path [path_resolution(7)].
const maxLinks = 40

// errRuntime says that a path leads into a directory that is filled while the machine runs.
var errRuntime = errors.New("lies in a directory that is filled at run time")

// A walk follows a path through the image as the kernel will follow it on the machine.
type walk struct {
	entries map[string]Entry
	runtime []string // directories whose content is unknown
	strict  bool     // every component must exist
	links   int      // links followed so far
}

// resolve returns the path without links. "." is the root of the image.
func (w *walk) resolve(p string) (string, error) {
	at := "."
	todo := strings.Split(p, "/")
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			// The kernel stays at its root here. A tree that relies on that was made for
			// another place, and its link would be taken for another file.
			if at == "." {
				return "", errors.New("leaves the image")
			}
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, c)
		if w.isRuntime(next) {
			return "", errRuntime
		}
		e, ok := w.entries[next]
		if !ok && w.strict {
			return "", fmt.Errorf("is not in the image (there is no /%s)", next)
		}
		if ok && e.Kind == Link {
			if w.links++; w.links > maxLinks {
				return "", fmt.Errorf("goes through more than %d links", maxLinks)
			}
			todo = append(strings.Split(e.Target, "/"), todo...)
			if path.IsAbs(e.Target) {
				at = "."
			}
			continue
		}
		if w.strict && e.Kind != Dir && len(todo) > 0 {
			return "", fmt.Errorf("goes through /%s, which is a %v", next, e.Kind)
		}
		at = next
	}
	return at, nil
}

func (w *walk) isRuntime(p string) bool {
	for _, dir := range w.runtime {
		if p == dir {
			return true
		}
	}
	return false
}

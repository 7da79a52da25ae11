package scenario

import (
	"fmt"
	"strings"

	"github.com/rebound-init/rebound/internal/nearest"
)

// Problem is something that a scenario's text has wrong.
type Problem struct {
	File string
	Line int
	Text string
}

// Error is the problem in one line: file, line, what was found and what was expected.
func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// Problems are all that a text has wrong, by line.
type Problems []*Problem

// Error is a line for each.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// unknown says that a word is none of those that are known here, and which was probably meant.
func unknown(kind, word string, known []string) error {
	text := fmt.Sprintf("%q is no %s", word, kind)
	if w := nearest.Word(word, known); w != "" {
		return fmt.Errorf("%s: did you mean %q?", text, w)
	}
	return fmt.Errorf("%s: expected %s", text, list(known))
}

// list is words as they are listed in a sentence.
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
}

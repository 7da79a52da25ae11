package scenario

import (
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// texts are the lines of a terminal as they are compared.
func texts(lines []Line) []string {
	ts := make([]string, len(lines))
	for i, l := range lines {
		ts[i] = trimLine(l.Text)
	}
	for len(ts) > 0 && ts[len(ts)-1] == "" {
		ts = ts[:len(ts)-1]
	}
	return ts
}

// match compares the pattern with all lines of a terminal. If they fit it returns them in a form
// that is the same for all that fit in the same way: what may come in any order is sorted, and what
// may be anything is left out.
func (p Pattern) match(got []string) (normal []string, ok bool) {
	return matchParts(p.Parts, got)
}

func matchParts(parts []Part, got []string) (normal []string, ok bool) {
	if len(parts) == 0 {
		return nil, len(got) == 0
	}
	part := parts[0]
	if part.Anything {
		for skip := 0; skip <= len(got); skip++ {
			if normal, ok := matchParts(parts[1:], got[skip:]); ok {
				return normal, true
			}
		}
		return nil, false
	}
	n := len(part.Lines)
	if len(got) < n {
		return nil, false
	}
	head, want := got[:n], part.Lines
	if part.AnyOrder {
		head, want = sorted(head), sorted(want)
	}
	if !slices.Equal(head, want) {
		return nil, false
	}
	rest, ok := matchParts(parts[1:], got[n:])
	return append(slices.Clone(head), rest...), ok
}

func sorted(lines []string) []string {
	s := slices.Clone(lines)
	slices.Sort(s)
	return s
}

// difference is what is missing (-) and what is too much (+), with the lines around it.
func (p Pattern) difference(got []string) string {
	// What may come in any order is shown in the order in which it came.
	var want []string
	for _, part := range p.Parts {
		switch {
		case part.Anything:
			want = append(want, anything)
		case part.AnyOrder:
			want = append(want, likeIn(part.Lines, got)...)
		default:
			want = append(want, part.Lines...)
		}
	}
	return diffText("wanted", want, "came", got)
}

// likeIn are lines in the order in which they stand in got; what is not there comes last.
func likeIn(lines, got []string) []string {
	left := slices.Clone(lines)
	var found []string
	for _, g := range got {
		if i := slices.Index(left, g); i >= 0 {
			found = append(found, g)
			left = slices.Delete(left, i, i+1)
		}
	}
	return append(found, left...)
}

// diffText compares two texts line by line.
func diffText(aName string, a []string, bName string, b []string) string {
	text := func(lines []string) []byte {
		if len(lines) == 0 {
			return nil
		}
		return []byte(strings.Join(lines, "\n") + "\n")
	}
	d := string(diff.Diff(aName, text(a), bName, text(b)))
	// The first line repeats the names.
	_, d, _ = strings.Cut(d, "\n")
	return strings.TrimSuffix(d, "\n")
}

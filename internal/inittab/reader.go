package inittab

import "strings"

// A line is a line of the file as the grammar sees it: several physical lines where
// backslashes join them.
type line struct {
	text      string // without the newline, and without what follows a NUL
	first     int    // number of the first physical line, from 1
	last      int    // number of the last one
	swallowed int    // number of a joined line that reads as an entry of its own, or 0
	nul       bool   // a NUL byte ended the line early
	dangling  bool   // a backslash ended the file: there was nothing to join
}

// A reader cuts the text of the file into lines.
type reader struct {
	rest string
	n    int // physical lines read
}

// next returns the next line, or false at the end of the file.
func (r *reader) next() (line, bool) {
	text, ok := r.physical()
	if !ok {
		return line{}, false
	}
	l := line{first: r.n}
	if strings.HasSuffix(text, `\`) {
		text = r.join(text, &l)
	}
	l.text, l.last = text, r.n
	// BusyBox handles lines as C strings, so that a NUL ends one [BusyBox 2.6].
	if i := strings.IndexByte(text, 0); i >= 0 {
		l.text, l.nul = text[:i], true
	}
	return l, true
}

// join appends physical lines to text for as long as it ends in a backslash, and drops the
// backslashes [BusyBox 2.5].
//
// It is the joined text that must not end in a backslash, not the line just appended: of two
// backslashes at the end of a line, the second is dropped, and if the next line is empty the
// first one then joins the line after that.
func (r *reader) join(text string, l *line) string {
	joined := []byte(text)
	for len(joined) > 0 && joined[len(joined)-1] == '\\' {
		joined = joined[:len(joined)-1]
		more, ok := r.physical()
		if !ok {
			l.dangling = true
			break
		}
		if l.swallowed == 0 && isEntry(more) {
			l.swallowed = r.n
		}
		joined = append(joined, more...)
	}
	return string(joined)
}

// physical returns the next line as it stands in the file. The last one may lack its newline.
func (r *reader) physical() (text string, ok bool) {
	if r.rest == "" {
		return "", false
	}
	r.n++
	text, r.rest, _ = strings.Cut(r.rest, "\n")
	return text, true
}

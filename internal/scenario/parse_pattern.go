package scenario

import (
	"errors"
	"fmt"
	"strings"
)

// The directives of a console section. A line that begins with % and is none of these would be
// misread by the next version of the format, so there is none; %% is a line that begins with %.
const (
	anyOrder = "% any order"
	inOrder  = "% in order"
	anything = "% anything"
)

// pattern reads a console section.
func (p *parser) pattern(tty string, s *section) {
	pat := Pattern{Line: s.line + 1}
	part := Part{Line: s.line + 1}
	flush := func(next Part) {
		if len(part.Lines) > 0 {
			pat.Parts = append(pat.Parts, part)
		}
		part = next
	}
	opened := 0 // the line of a directive that is not yet closed
	n := s.line
	for line := range strings.Lines(s.text) {
		n++
		line = trimLine(line)
		switch {
		case line == anyOrder:
			flush(Part{Line: n + 1, AnyOrder: true})
			opened = n
		case line == inOrder:
			if opened == 0 {
				p.problem(n, fmt.Errorf("%s without %s before it", inOrder, anyOrder))
			}
			flush(Part{Line: n + 1})
			opened = 0
		case line == anything:
			flush(Part{Line: n + 1})
			pat.Parts = append(pat.Parts, Part{Line: n, Anything: true})
			opened = 0
		case strings.HasPrefix(line, "%%"):
			part.Lines = append(part.Lines, line[1:])
		case strings.HasPrefix(line, "%"):
			p.problem(n, errors.New(line+": expected \""+anyOrder+"\", \""+inOrder+"\" or \""+
				anything+"\"; %% begins a line that begins with %"))
		default:
			part.Lines = append(part.Lines, line)
		}
	}
	// Empty lines at the very end are the layout of the file.
	for len(part.Lines) > 0 && part.Lines[len(part.Lines)-1] == "" {
		part.Lines = part.Lines[:len(part.Lines)-1]
	}
	flush(Part{})
	p.s.Consoles[tty] = pat
}

// trimLine is a line as it is compared: without its end, and without blanks there, which nobody
// sees and editors take away.
func trimLine(line string) string { return strings.TrimRight(line, " \t\r\n") }

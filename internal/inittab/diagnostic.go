package inittab

import "strconv"

// A Severity says how much a diagnostic matters.
type Severity uint8

const (
	// Note: nothing is wrong, but it is good to know.
	Note Severity = iota + 1
	// Trap: the line is accepted, but does something else than it seems to say.
	Trap
	// Mistake: the line is not an entry, and init goes on without it [BusyBox 2.9].
	Mistake
)

// String returns "note", "trap" or "mistake".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Trap:
		return "trap"
	case Mistake:
		return "mistake"
	default:
		return "no severity"
	}
}

// A Diagnostic is something to say about one entry, or about the whole file.
type Diagnostic struct {
	Severity  Severity
	File      string // the name given to Parse
	FirstLine int    // where the entry begins, from 1; 0 for the whole file
	Line      int    // where it ends, the number that messages give
	Text      string // what is so
	Remedy    string // what to do about it; "" if there is nothing to do
}

// String returns the diagnostic in the form of a compiler's: FILE:LINE: SEVERITY: TEXT.
func (d Diagnostic) String() string {
	place := d.File
	if d.Line > 0 {
		place += ":" + strconv.Itoa(d.Line)
	}
	return place + ": " + d.Severity.String() + ": " + d.Text
}

// ConsoleMessage returns what init says on the console and in the log about a Mistake
// [BusyBox 2.9]. There is one for each line that is left out, and none, "", for anything but
// a Mistake.
func (d Diagnostic) ConsoleMessage() string {
	if d.Severity != Mistake {
		return ""
	}
	return "Bad inittab entry at line " + strconv.Itoa(d.Line)
}

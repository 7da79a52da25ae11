package inittab

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/nearest"
	"github.com/rebound-init/rebound/internal/pages"
)

// Parse reads the text of an inittab. The name is only there to be repeated in diagnostics.
//
// Parse has no way to fail. Lines that are not entries are left out, and each is reported as
// a Mistake. Entries that do not do what they seem to say are kept and reported as Traps. The
// diagnostics come in the order of their lines, those about the whole file at the end. An
// empty text gives an empty table, which is not the built-in one: that one is for a machine
// that has no file at all [BusyBox 2.18].
//
// Time and memory are in proportion to the length of the text; there is no limit on the
// number or the length of entries. The table shares memory with one copy of the text.
func Parse(name string, text []byte) (Table, []Diagnostic) {
	var own strings.Builder
	own.Grow(pages.Room(len(text), 1))
	own.Write(text)
	in := reader{rest: own.String()}
	// An entry takes three colons and a line.
	most := min(strings.Count(in.rest, ":")/3, strings.Count(in.rest, "\n")+1)
	p := parser{
		file: name, table: make(Table, 0, pages.Room(most, entrySize)),
		at: make(map[Key]int, mapRoom(most)),
	}
	for {
		l, ok := in.next()
		if !ok {
			break
		}
		p.line(l)
	}
	return p.finish(in.n)
}

// entrySize is the size of an Entry, in bytes, where pointers have 64 bits.
const entrySize = 88

// mapRoom returns for how many keys a map is to be made, if it gets n. A map of a few is one small
// block. A larger one is to have blocks of its own, as the table, and with 500 it has.
func mapRoom(n int) int {
	const few, own = 8, 500
	if n <= few {
		return n
	}
	return max(n, own)
}

// A parser gathers the table and the diagnostics line by line.
type parser struct {
	file  string
	table Table       // in file order; an entry replaced by a later twin has Action 0
	at    map[Key]int // where in table each key is
	found []Diagnostic

	id, tty string // the last id and its device: many entries in a row may share them

	carriageReturns int  // entries that end in a carriage return
	firstCR         line // the first of them
}

// line takes one line of the file.
func (p *parser) line(l line) {
	p.lineTraps(l)
	// Only an empty line and one whose very first byte is # are skipped. Blanks, or blanks
	// before a #, are a bad entry [BusyBox 2.4].
	if l.text == "" || l.text[0] == '#' {
		return
	}
	f := split(l.text)
	action := actionNamed(f.action)
	if f.count < 4 || action == 0 || f.command == "" {
		text, remedy := whyBad(l.text, f)
		p.report(Mistake, l, text, remedy)
		return
	}
	if f.id != p.id {
		p.id, p.tty = f.id, device(f.id)
	}
	e := Entry{
		ID: f.id, Runlevels: f.runlevels, TTY: p.tty, Action: action, Command: f.command,
		FirstLine: l.first, Line: l.last,
	}
	p.entryTraps(l, e, f.commented)
	p.add(e)
}

// add puts an entry at the end of the table. A twin that is there already is taken out: the
// later one replaces its action and its place [BusyBox 2.14].
func (p *parser) add(e Entry) {
	key := e.Key()
	if i, ok := p.at[key]; ok {
		text, remedy := replaced(p.table[i], e)
		p.reportEntry(Trap, p.table[i], text, remedy)
		p.table[i].Action = 0
	}
	p.at[key] = len(p.table)
	p.table = append(p.table, e)
}

// finish drops the replaced entries and looks at the table as a whole. The file has so many
// physical lines.
func (p *parser) finish(lines int) (Table, []Diagnostic) {
	kept := p.table[:0]
	for _, e := range p.table {
		if e.Action != 0 {
			kept = append(kept, e)
		}
	}
	clear(p.table[len(kept):])
	p.table = kept
	p.tableTraps()
	p.found = byLine(p.found, lines)
	p.tableNotes()
	return p.table, p.found
}

// byLine puts diagnostics into the order of their lines, and leaves those of one line as they
// are. It counts those of each line, so that a million of them take no longer than they must.
func byLine(found []Diagnostic, lines int) []Diagnostic {
	if slices.IsSortedFunc(found, func(a, b Diagnostic) int { return cmp.Compare(a.Line, b.Line) }) {
		return found
	}
	next := make([]int, lines+2) // where the next one of each line goes
	for _, d := range found {
		next[d.Line+1]++
	}
	for n := range lines {
		next[n+1] += next[n]
	}
	ordered := make([]Diagnostic, len(found))
	for _, d := range found {
		ordered[next[d.Line]] = d
		next[d.Line]++
	}
	return ordered
}

// report adds a diagnostic about a line. It is called from so many places that inlining it would
// show in the size of PID 1.
//
//go:noinline
func (p *parser) report(s Severity, l line, text, remedy string) {
	p.found = append(p.found, Diagnostic{
		Severity: s, File: p.file, FirstLine: l.first, Line: l.last, Text: text, Remedy: remedy,
	})
}

// reportEntry adds a diagnostic about an entry of the table.
func (p *parser) reportEntry(s Severity, e Entry, text, remedy string) {
	p.report(s, line{first: e.FirstLine, last: e.Line}, text, remedy)
}

// fields are the parts of a line.
type fields struct {
	id, runlevels, action, command string

	count     int  // how many fields there are; without a fourth there is no command
	commented bool // a # cut the line short
}

// split cuts a line into its fields. Everything from the first # on is a comment, even
// between quotes [BusyBox 2.3]; colons separate the first three fields, and the fourth takes
// the rest. Nothing is trimmed [BusyBox 2.2].
func split(text string) fields {
	f := fields{count: 1}
	text, _, f.commented = strings.Cut(text, "#")
	for _, field := range []*string{&f.id, &f.runlevels, &f.action} {
		var more bool
		*field, text, more = strings.Cut(text, ":")
		if !more {
			return f
		}
		f.count++
	}
	f.command = text
	return f
}

// isEntry reports whether a physical line would be an entry if it stood alone.
func isEntry(text string) bool {
	text, _, _ = strings.Cut(text, "\x00")
	f := split(text)
	return f.count == 4 && actionNamed(f.action) != 0 && f.command != ""
}

// whyBad explains why a line is not an entry, and what to write instead.
func whyBad(text string, f fields) (string, string) {
	bare := strings.Trim(text, " \t\r")
	switch {
	case strings.HasPrefix(text, byteOrderMark) && f.count < 4:
		return "the file begins with a UTF-8 byte order mark, which makes this line no comment " +
			"and no entry", "save the file without the mark"
	case bare == "" && strings.Contains(text, "\r"):
		return "the line is not empty: it holds a carriage return", unixLines
	case bare == "":
		return "the line is not empty: it holds blanks", "delete the blanks"
	case bare[0] == '#':
		return "a comment begins in the first column", "move the # to the first column"
	case f.count < 4 && f.commented:
		return "the # starts a comment, which leaves fewer than four fields",
			"write id:runlevels:action:command; no quote or backslash protects a #"
	case f.count < 4:
		return "it has " + strconv.Itoa(f.count) + " of the four fields", fourFields
	case actionNamed(f.action) == 0:
		return whyNoAction(f.action)
	case f.commented:
		return "the command is empty: the # before it starts a comment",
			"put the # into the first column to disable the entry; delete it to run the command"
	default:
		return "the command is empty", "write a command, or delete the line"
	}
}

const (
	byteOrderMark = "\xef\xbb\xbf"

	fourFields = "write id:runlevels:action:command; the first two fields may be empty"
	oneOfThem  = "write one of sysinit, wait, once, respawn, askfirst, ctrlaltdel, shutdown, " +
		"restart"
	unixLines = "save the file with Unix line ends, for example with sed -i 's/\\r$//'"
)

// whyNoAction explains why a word is not an action, and which one may be meant.
func whyNoAction(word string) (string, string) {
	bare := strings.Trim(word, " \t")
	switch {
	case bare == "":
		return "the action is empty", oneOfThem
	case actionNamed(bare) != 0:
		return "the action " + strconv.Quote(word) + " has blanks around it", "write " + bare
	case actionNamed(strings.ToLower(bare)) != 0:
		return "the action " + quote(word) + " is not in lower case",
			"write " + strings.ToLower(bare)
	}
	text := "there is no action " + quote(word)
	if remedy := elsewhere(bare); remedy != "" {
		return text, remedy
	}
	names := make([]string, 0, Restart)
	for _, a := range Actions() {
		names = append(names, a.String())
	}
	if name := nearest.Word(bare, names); name != "" {
		return text, "write " + name
	}
	return text, oneOfThem
}

// elsewhere says what to use for an action that other inits have: sysvinit's of inittab(5),
// and those that OpenWrt's procd adds.
func elsewhere(word string) string {
	switch word {
	case "initdefault":
		return "delete the line: there are no runlevels, every entry is used"
	case "boot":
		return "write once: it starts the command at boot and does not wait for it"
	case "bootwait":
		return "write wait: it runs the command at boot and waits for it"
	case "off":
		return "put a # into the first column to disable the entry"
	case "ondemand":
		return "write respawn: there are no runlevels to demand it by"
	case "powerfail", "powerwait", "powerfailnow", "powerokwait":
		return "let the power monitor run poweroff itself: init halts the machine on SIGPWR, " +
			"after the shutdown entries"
	case "kbrequest":
		return "write ctrlaltdel if Ctrl-Alt-Del will do: init hears no other keys"
	case "askconsole", "askconsolelate":
		return "write askfirst, with an empty id for the console"
	case "respawnlate":
		return "write respawn: it starts after all sysinit, wait and once entries"
	default:
		return ""
	}
}

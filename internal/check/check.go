// Package check writes what init --check prints: what init will do with an inittab and a
// configuration, and what is wrong with them.
//
// It works on text alone, so that files can be checked on any machine.
package check

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/inittab"
)

// A File is a file to check.
type File struct {
	Name    string
	Content []byte
	Err     error // from reading it, as os.ReadFile returns it, or nil
}

// Report says what init does with an inittab, a configuration file and a kernel command line.
// It is ok if there are no mistakes and no traps; notes are no fault.
//
// The report shows the table of entries, the settings that are not the defaults, what is wrong
// with each line and what to do about it, and a verdict.
func Report(table, settings File, commandLine []byte) (report string, ok bool) {
	var r reporter
	r.table(table)
	r.settings(settings, commandLine)
	return r.finish()
}

// A finding is one thing to say about a line.
type finding struct {
	place    string // FILE or FILE:LINE
	severity inittab.Severity
	text     string
	remedy   string
}

// A reporter gathers the report. Findings come after all tables.
type reporter struct {
	out   strings.Builder
	found []finding
}

// line prints a line. Inlined in all its places it would show in the size of PID 1, which has
// this package in it.
//
//go:noinline
func (r *reporter) line(parts ...string) {
	for _, part := range parts {
		r.out.WriteString(part)
	}
	r.out.WriteByte('\n')
}

// find adds a finding. It is not inlined for the same reason.
//
//go:noinline
func (r *reporter) find(place string, s inittab.Severity, text, remedy string) {
	r.found = append(r.found, finding{place, s, text, remedy})
}

// table reports the entries that init goes by [BusyBox 2.18].
func (r *reporter) table(f File) {
	switch {
	case errors.Is(f.Err, fs.ErrNotExist):
		r.line(f.Name, " does not exist: init uses its built-in table.")
		r.entries(inittab.BuiltIn())
		return
	case f.Err != nil && !opened(f.Err):
		r.find(f.Name, inittab.Mistake, reason(f.Err)+": init uses its built-in table",
			"make it a file that init can read")
		r.line(f.Name, " cannot be opened: init uses its built-in table.")
		r.entries(inittab.BuiltIn())
		return
	case f.Err != nil:
		r.find(f.Name, inittab.Mistake, reason(f.Err)+": init finds no entries in it",
			"make it a file that init can read")
		r.line(f.Name, " cannot be read: init finds no entries in it.")
		return
	}
	t, found := inittab.Parse(f.Name, f.Content)
	for _, d := range found {
		r.find(place(f.Name, d.Line), d.Severity, d.Text, d.Remedy)
	}
	r.line(f.Name, ": ", count(len(t), "entry", "entries"), ".")
	r.entries(t)
}

// opened reports whether an error is from reading a file that could be opened: a directory, in
// the first place.
func opened(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Op == "read"
}

// reason returns the error without the name of the file, which the report gives.
func reason(err error) string {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}

// entries prints a table, in columns as wide as they need to be.
func (r *reporter) entries(t inittab.Table) {
	if len(t) == 0 {
		return
	}
	header := [3]string{"LINE", "TTY", "ACTION"}
	rows := make([][3]string, 0, len(t))
	var width [3]int
	for i, cell := range header {
		width[i] = len(cell)
	}
	for _, e := range t {
		row := [3]string{lines(e), terminal(e.TTY), e.Action.String()}
		for i, cell := range row {
			width[i] = max(width[i], len(cell))
		}
		rows = append(rows, row)
	}

	row := func(cells [3]string, command string) {
		for i, cell := range cells {
			r.out.WriteString(cell + strings.Repeat(" ", width[i]-len(cell)+2))
		}
		r.line(command)
	}
	indent := strings.Repeat(" ", width[0]+width[1]+width[2]+6)
	r.line()
	row(header, "COMMAND")
	restart := false
	for i, e := range t {
		row(rows[i], printable(e.Command))
		when := timing(e.Action)
		if e.Action == inittab.Restart {
			if restart {
				when = "never: only the first restart entry counts"
			}
			restart = true
		}
		r.line(indent, when)
		r.line(indent, execution(inittab.Words(e.Command)))
	}
}

// lines says where an entry stands. Entries of the built-in table stand nowhere.
func lines(e inittab.Entry) string {
	switch {
	case e.Line == 0:
		return "-"
	case e.FirstLine < e.Line:
		return strconv.Itoa(e.FirstLine) + "-" + strconv.Itoa(e.Line)
	default:
		return strconv.Itoa(e.Line)
	}
}

// terminal names an entry's terminal.
func terminal(tty string) string {
	if tty == "" {
		return "init's own"
	}
	return printable(tty)
}

// timing says when init runs an entry, and what it does about the end of it.
func timing(a inittab.Action) string {
	switch a {
	case inittab.Sysinit:
		return "first at boot; init waits for it to end"
	case inittab.Wait:
		return "at boot, after all sysinit entries; init waits for it to end"
	case inittab.Once:
		return "at boot, after all wait entries; init does not wait for it"
	case inittab.Respawn:
		return "after all once entries, and again whenever it ends"
	case inittab.AskFirst:
		return "after all once entries, and again whenever it ends, each time after Enter"
	case inittab.CtrlAltDel:
		return "on Ctrl-Alt-Del; init waits for it to end"
	case inittab.Shutdown:
		return "on the way down, before processes are killed; init waits for it to end"
	case inittab.Restart:
		return "in place of init on SIGQUIT, after processes are killed"
	default:
		return "never"
	}
}

// execution says what is started.
func execution(x inittab.Exec) string {
	if x.Path == "" {
		return "cannot be run: there is no program where its name should be"
	}
	words := make([]string, 0, len(x.Argv))
	for _, word := range x.Argv {
		words = append(words, strconv.Quote(word))
	}
	argv := strings.Join(words, " ")
	switch {
	case x.Shell && x.Login:
		return "by a login shell: " + argv
	case x.Shell:
		return "by the shell: " + argv
	case x.Login:
		return "runs " + printable(x.Path) + " as a login shell: " + argv
	default:
		return "runs " + argv
	}
}

// settings reports what is not as by default.
func (r *reporter) settings(f File, commandLine []byte) {
	missing := errors.Is(f.Err, fs.ErrNotExist)
	if f.Err != nil && !missing {
		r.find(f.Name, inittab.Mistake, reason(f.Err)+": init uses the defaults",
			"make it a file that init can read")
	}
	read := config.Read(f.Name, f.Content, commandLine)
	for _, p := range read.Problems {
		severity := inittab.Mistake
		if p.Note {
			severity = inittab.Note
		}
		r.find(p.Place(), severity, p.What(), p.Remedy)
	}

	r.line()
	if missing {
		r.line(f.Name, " does not exist.")
	}
	changed := false
	for _, key := range config.Keys() {
		value := key.Value(read.Settings)
		if value == key.Default() {
			continue
		}
		if !changed {
			r.line("Settings that are not the default:")
			r.line()
			changed = true
		}
		r.line("  ", key.Name, " = ", value, "  (default ", key.Default(), "; from ",
			read.Source(key.Name), ")")
	}
	if !changed {
		r.line("All settings are the defaults.")
	}
}

// finish prints the findings and the verdict.
func (r *reporter) finish() (string, bool) {
	var mistakes, traps, notes int
	if len(r.found) > 0 {
		r.line()
	}
	for _, f := range r.found {
		switch f.severity {
		case inittab.Mistake:
			mistakes++
		case inittab.Trap:
			traps++
		case inittab.Note:
			notes++
		}
		r.line(f.place, ": ", f.severity.String(), ": ", f.text)
		if f.remedy != "" {
			r.line("  remedy: ", f.remedy)
		}
	}
	r.line()
	ok := mistakes == 0 && traps == 0
	verdict := "Nothing is wrong"
	if !ok {
		verdict = count(mistakes, "mistake", "mistakes") + ", " + count(traps, "trap", "traps")
	}
	if notes > 0 {
		verdict += ", " + count(notes, "note", "notes")
	}
	r.line(verdict, ".")
	return r.out.String(), ok
}

// place returns FILE:LINE, or FILE for what concerns the whole file.
func place(file string, line int) string {
	if line == 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// count returns a number of things, in words for none.
func count(n int, one, more string) string {
	switch n {
	case 0:
		return "no " + more
	case 1:
		return "1 " + one
	default:
		return strconv.Itoa(n) + " " + more
	}
}

// printable returns text as it stands, or quoted if it holds what a terminal would act on or
// has blanks that would not be seen.
func printable(s string) string {
	if s != strings.Trim(s, " \t") {
		return strconv.Quote(s)
	}
	for _, c := range s {
		if c == utf8.RuneError || !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}

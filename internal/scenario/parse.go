package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/rebound-init/rebound/internal/nearest"
)

// DefaultLasts is how long a scenario is played if it does not say.
const DefaultLasts = 30 * time.Second

// Worlds are the names of all worlds, in the order in which people see them.
func Worlds() []string {
	return []string{"sim", "pidns", "container", "qemu-amd64", "qemu-arm64"}
}

// WorldNames are the names of all worlds, and those that stand for several.
func WorldNames() []string { return append(Worlds(), "qemu") }

// WorldsNamed are the worlds that a name stands for: itself, or all that begin with it and a dash,
// as those of "qemu" do. There are none if nobody knows the name.
func WorldsNamed(name string) []string {
	var named []string
	for _, w := range Worlds() {
		if w == name || strings.HasPrefix(w, name+"-") {
			named = append(named, w)
		}
	}
	return named
}

// Parse reads a scenario. The file's name is for messages and gives the scenario its own. The
// error is Problems.
func Parse(file string, text []byte) (*Scenario, error) {
	if n := namelessSection(text); n > 0 {
		return nil, Problems{{file, n, "-- --: a section without a name: expected -- NAME --"}}
	}
	archive := txtar.Parse(text)
	p := &parser{
		s: &Scenario{
			Name: strings.TrimSuffix(path.Base(file), ".txtar"), File: file,
			Consoles: make(map[string]Pattern), Not: make(map[string]string),
			Lasts: DefaultLasts, Machine: Machine{Slow: make(map[string]time.Duration)},
		},
		sections: make(map[string]*section), said: make(map[string]int),
	}
	p.readSections(archive)
	for text := range strings.Lines(string(archive.Comment)) {
		p.line++
		p.head(strings.TrimSpace(text))
	}
	p.placeSections()
	p.checkTables()
	p.check()
	if len(p.problems) > 0 {
		slices.SortStableFunc(p.problems, func(a, b *Problem) int { return a.Line - b.Line })
		return nil, p.problems
	}
	return p.s, nil
}

// namelessSection returns the number of the first line that begins a section without a name, or 0.
// Package txtar panics at it.
func namelessSection(text []byte) int {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if string(bytes.TrimRight(line, "\r\n")) == "-- --" {
			return n
		}
	}
	return 0
}

// parser is a scenario that is being read.
type parser struct {
	s        *Scenario
	line     int
	problems Problems

	sections map[string]*section
	order    []*section
	said     map[string]int // where the words stand that can be said once
	ends     bool           // something bounds the play other than the end of the machine
}

// section is a file of the archive.
type section struct {
	name string
	line int // of its header
	text string
	used bool // a line of the head refers to it
}

func (p *parser) problem(line int, err error) {
	p.problems = append(p.problems, &Problem{p.s.File, line, err.Error()})
}

// readSections finds out where the sections are. txtar says nothing about lines.
func (p *parser) readSections(a *txtar.Archive) {
	line := 1 + bytes.Count(a.Comment, []byte("\n"))
	for _, f := range a.Files {
		s := &section{name: f.Name, line: line, text: string(f.Data)}
		if first := p.sections[f.Name]; first != nil {
			p.problem(line, fmt.Errorf("a second section %q: the first is in line %d",
				f.Name, first.line))
		} else {
			p.sections[f.Name] = s
			p.order = append(p.order, s)
		}
		line += 1 + bytes.Count(f.Data, []byte("\n"))
	}
}

// heads are the words that a line of the head can begin with.
func heads() map[string]func(*parser, *tokens) error {
	return map[string]func(*parser, *tokens) error{
		"cmdline":   (*parser).cmdline,
		"args":      (*parser).args,
		"env":       (*parser).env,
		"linuxrc":   (*parser).linuxrc,
		"console":   (*parser).console,
		"terminal":  (*parser).terminal,
		"shell":     (*parser).shell,
		"machine":   (*parser).machine,
		"container": (*parser).container,
		"cpus":      (*parser).cpus,
		"disk":      (*parser).disk,
		"watchdog":  (*parser).watchdog,
		"fail":      (*parser).fail,
		"slow":      (*parser).slow,
		"returns":   (*parser).returns,
		"lasts":     (*parser).lasts,
		"not":       (*parser).not,
		"only":      (*parser).only,
		"at":        (*parser).at,
		"when":      (*parser).when,
		"want":      (*parser).want,
	}
}

// head reads a line of the part before the sections.
func (p *parser) head(line string) {
	if text, ok := strings.CutPrefix(line, "#"); ok {
		if p.s.Title == "" {
			p.s.Title = strings.TrimSpace(text)
		}
		return
	}
	if line == "" {
		return
	}
	ts, err := tokenize(line)
	if err != nil {
		p.problem(p.line, err)
		return
	}
	word, err := ts.word("a word that begins a line")
	if err == nil {
		read := heads()[word]
		if read == nil {
			err = unknown("word that begins a line", word, keys(heads()))
		} else if err = p.once(word); err == nil {
			if err = read(p, ts); err == nil {
				err = ts.end()
			}
		}
	}
	if err != nil {
		p.problem(p.line, err)
	}
}

// once says if a line is a second one of which the first would count for nothing.
func (p *parser) once(word string) error {
	switch word {
	case "cmdline", "args", "console", "cpus", "lasts":
	default:
		return nil
	}
	if first := p.said[word]; first != 0 {
		return fmt.Errorf("a second line %q: the first is line %d", word, first)
	}
	p.said[word] = p.line
	return nil
}

// keys are the keys of a map in alphabetical order.
func keys[V any](m map[string]V) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

// oneOf takes a word of a list and returns its index.
func oneOf(ts *tokens, kind string, known []string) (int, error) {
	w, err := ts.word(list(known))
	if err != nil {
		return 0, err
	}
	i := slices.Index(known, w)
	if i < 0 {
		return 0, unknown(kind, w, known)
	}
	return i, nil
}

// consoleSection begins the name of the sections that say what must stand on a terminal.
const consoleSection = "console"

// placeSections makes files and patterns of the sections that no line refers to.
func (p *parser) placeSections() {
	for _, s := range p.order {
		words := strings.Fields(s.name)
		switch {
		case s.used:
		case len(words) == 0:
			p.problem(s.line, errors.New("a section without a name: expected a path"))
		case words[0] == consoleSection && len(words) <= 2:
			tty := strings.Join(words[1:], "")
			if err := p.checkTerminal(tty); err != nil {
				p.problem(s.line, err)
				continue
			}
			p.pattern(tty, s)
		default:
			if err := p.file(words, s); err != nil {
				p.problem(s.line, err)
			}
		}
	}
}

// file places a file. The mark x makes it executable; a slash at the end makes a directory.
func (p *parser) file(words []string, s *section) error {
	if meant := meantSection(words[0]); meant != "" {
		return fmt.Errorf("%q would be a file in the root directory: did you mean %q? "+
			"If not, write /%s", words[0], meant, words[0])
	}
	f := File{Line: s.line, Path: absolute(words[0]), Text: s.text}
	if strings.HasSuffix(words[0], "/") {
		f.Dir = true
		if s.text != "" {
			return fmt.Errorf("%s is a directory by its slash, and has a text", words[0])
		}
	}
	for _, mark := range words[1:] {
		if mark != "x" {
			return fmt.Errorf("%q behind the path: expected nothing, or x for a program", mark)
		}
		f.Executable = true
	}
	if strings.HasPrefix(f.Path, "/dev/") {
		return fmt.Errorf("%s: devices are made by `terminal NAME`", f.Path)
	}
	p.s.Files = append(p.s.Files, f)
	return nil
}

// meantSection is the section that somebody may have meant by a name without a slash, or "".
// Nobody would read the file, and nobody would miss what it was to say.
func meantSection(name string) string {
	if strings.Contains(name, "/") {
		return ""
	}
	switch near := nearest.Word(name, []string{consoleSection, "inittab", "rebound.conf"}); near {
	case "", consoleSection:
		return near
	default:
		return "etc/" + near
	}
}

// absolute is a path from the root.
func absolute(p string) string { return path.Clean("/" + p) }

// textOrSection takes a text in quotes, or <<NAME for the text of a section.
func (p *parser) textOrSection(ts *tokens) (string, error) {
	if ts.more() && !ts.all[0].quoted {
		w, _ := ts.next()
		name, ok := strings.CutPrefix(w.text, "<<")
		if !ok || name == "" {
			return "", fmt.Errorf("%s: expected a text in double quotes, or <<SECTION", w.text)
		}
		s := p.sections[name]
		if s == nil {
			return "", unknown("section of this file", name, keys(p.sections))
		}
		s.used = true
		return s.text, nil
	}
	return ts.text("a text")
}

// checkTerminal says if there is no such terminal. "" is the console.
func (p *parser) checkTerminal(name string) error {
	known := []string{consoleSection}
	for _, t := range p.s.Machine.Terminals {
		if t.Name == name {
			return nil
		}
		known = append(known, t.Name)
	}
	if name == "" {
		return nil
	}
	return unknown("terminal of this machine", name, known)
}

// check looks at the whole.
func (p *parser) check() {
	s := p.s
	if s.Title == "" {
		p.problem(1, errors.New(
			"no title: expected a comment at the top, # and a sentence, that says what it shows"))
	}
	// A line with a mistake may have been one that wants something.
	if len(s.Wants) == 0 && len(s.Consoles) == 0 && len(p.problems) == 0 {
		p.problem(1, errors.New(
			"nothing is expected: want a line such as `want end poweroff`, or a section -- console --"))
	}
	for _, e := range s.Events {
		if err := p.checkTerminals(e.Do); err != nil {
			p.problem(e.Line, err)
		}
		if err := p.checkKernel(e.Do); err != nil {
			p.problem(e.Line, err)
		}
		if e.When == "" && e.At >= s.Lasts {
			p.problem(e.Line, fmt.Errorf("%s is after the end of the play: it lasts %s",
				e.At, s.Lasts))
		}
	}
	for _, w := range s.Wants {
		if e, ok := w.Is.(WantEnd); ok && e.How == Alive && !p.ends {
			p.problem(w.Line, errors.New(
				"to be alive in the end needs a line `lasts TIME` that says when the end is"))
		}
	}
	if len(s.Not) == len(Worlds()) {
		p.problem(1, errors.New("no world is left that can play this"))
	}
}

// checkKernel says if a machine has not the kernel or the CPU that is to fail.
func (p *parser) checkKernel(d Deed) error {
	m := &p.s.Machine
	switch d := d.(type) {
	case CPUStuck:
		if have := max(m.CPUs, 1); d.CPU >= have {
			return fmt.Errorf("there is no CPU %d: with `cpus %d` there would be", d.CPU, d.CPU+1)
		}
	case KernelFails, WatchdogFires:
	default:
		return nil
	}
	if m.Privilege >= Container {
		return errors.New("a container's kernel is that of its machine, and must not fail")
	}
	return nil
}

func (p *parser) checkTerminals(d Deed) error {
	switch d := d.(type) {
	case Type:
		return p.checkLiveTerminal(d.TTY)
	case HangUp:
		return p.checkLiveTerminal(d.TTY)
	case StopOutput:
		return p.checkLiveTerminal(d.TTY)
	case StartOutput:
		return p.checkLiveTerminal(d.TTY)
	case Signal, Kill, WriteFile, RemoveFile, CtrlAltDel, Thaw, KernelFails, CPUStuck, WatchdogFires:
	}
	return nil
}

// checkLiveTerminal also says if the console is no terminal.
func (p *parser) checkLiveTerminal(name string) error {
	c := p.s.Machine.Console
	if name == "" && c != ConsoleTTY && c != ConsoleStopped {
		return fmt.Errorf("the console is no terminal here: `console %s`", c)
	}
	return p.checkTerminal(name)
}

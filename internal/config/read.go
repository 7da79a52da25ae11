package config

import (
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/nearest"
)

// KernelCommandLine stands in the place of a file name where a setting is from there.
const KernelCommandLine = "kernel command line"

// ParamPrefix marks our words on the kernel command line.
const ParamPrefix = "rebound."

// A Reading is what the file and the command line say together.
type Reading struct {
	Settings Settings
	Problems []Problem // those of the file first, each in the order of its lines

	inEffect map[string]assignment // by key: what set it
}

// A Problem is something wrong with a line of the file or a word of the command line, or
// worth knowing about it.
type Problem struct {
	File   string // the name given to Read, or KernelCommandLine
	Line   int    // from 1; 0 on the command line
	Key    string // as written; "" where there is none
	Value  string // as written; without a key, the whole line or word
	Text   string // what is wrong, or what was expected
	Remedy string // what to write instead; "" for a note
	Note   bool   // nothing is wrong
}

// Error returns the problem in one line that names its place:
//
//	/etc/rebound.conf:3: mounts = all: expected none or auto
//	kernel command line: rebound.mounts=all: expected none or auto
func (p Problem) Error() string {
	return p.Place() + ": " + p.What()
}

// Place returns FILE:LINE, or the name of the command line.
func (p Problem) Place() string {
	return assignment{file: p.File, line: p.Line}.place()
}

// What returns the problem without its place.
func (p Problem) What() string {
	a := assignment{file: p.File, key: p.Key, value: p.Value}
	return a.written() + ": " + p.Text
}

// An assignment is one "key = value" and where it stands.
type assignment struct {
	file  string
	line  int
	key   string
	value string
}

func (a assignment) place() string {
	if a.line == 0 {
		return a.file
	}
	return a.file + ":" + strconv.Itoa(a.line)
}

// written returns the assignment in the form of its source. Without a key, its value is the
// whole line or word.
func (a assignment) written() string {
	switch {
	case a.key == "":
		return visible(a.value)
	case a.file == KernelCommandLine:
		return ParamPrefix + visible(a.key) + "=" + visible(a.value)
	default:
		return visible(a.key) + " = " + visible(a.value)
	}
}

// Read returns the settings that the text of a file and the kernel command line give. The name
// of the file is only there to be repeated in problems. A file that is not there is an empty
// text.
//
// What is wrong is left out and reported, and everything else counts. Of several lines for one
// key the last valid one wins, and so for words of the command line, which win over the file.
func Read(name string, text, commandLine []byte) Reading {
	r := Reading{Settings: Default(), inEffect: make(map[string]assignment)}
	keys := Keys()
	r.file(keys, name, string(text))
	r.commandLine(keys, string(commandLine))
	return r
}

// Load is Read for those who need no more than the settings and the problems.
func Load(name string, text, commandLine []byte) (Settings, []Problem) {
	r := Read(name, text, commandLine)
	return r.Settings, r.Problems
}

// Source returns where the value of a key is from, as FILE:LINE or the name of the command
// line. For a default value it returns "".
func (r Reading) Source(key string) string {
	a, ok := r.inEffect[key]
	if !ok {
		return ""
	}
	return a.place()
}

// file takes the lines of the file.
func (r *Reading) file(keys []Key, name, text string) {
	for n := 1; text != ""; n++ {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.Trim(line, blanks)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		a := assignment{
			file: name, line: n, key: strings.Trim(key, blanks), value: strings.Trim(value, blanks),
		}
		if !ok || a.key == "" {
			a.key, a.value = "", line
			r.problem(a, "expected key = value", "write a key and its value, or # in front")
			continue
		}
		r.assign(keys, a)
	}
}

// blanks are dropped around keys and values. The carriage return is one of them, for files
// that come from elsewhere.
const blanks = " \t\r\v\f"

// commandLine takes the words of the kernel command line that are ours.
func (r *Reading) commandLine(keys []Key, text string) {
	params, arguments := CommandLine(text)
	for _, p := range params {
		key, ours := strings.CutPrefix(p.Name, ParamPrefix)
		if !ours {
			continue
		}
		a := assignment{file: KernelCommandLine, key: key, value: p.Value}
		if !p.HasValue {
			a.key, a.value = "", p.Name
			r.problem(a, "expected "+ParamPrefix+"key=value", "write "+visible(p.Name)+"= and the value")
			continue
		}
		r.assign(keys, a)
	}
	for _, p := range arguments {
		if key, ours := strings.CutPrefix(p.Name, ParamPrefix); ours {
			a := assignment{file: KernelCommandLine, key: key, value: p.Value}
			r.problem(a, "stands behind --, where words are arguments for init and not settings",
				"put it in front of the --")
		}
	}
}

// problem adds a problem with an assignment. Without a remedy it is a note. Inlined in all its
// places it would show in the size of PID 1.
//
//go:noinline
func (r *Reading) problem(a assignment, text, remedy string) {
	r.Problems = append(r.Problems, Problem{
		File: a.file, Line: a.line, Key: a.key, Value: a.value, Text: text, Remedy: remedy,
		Note: remedy == "",
	})
}

// assign takes one assignment.
func (r *Reading) assign(keys []Key, a assignment) {
	i := 0
	for i < len(keys) && keys[i].Name != a.key {
		i++
	}
	if i == len(keys) {
		r.unknown(keys, a)
		return
	}
	key := keys[i]
	if expected := key.set(&r.Settings, a.value); expected != "" {
		text := "expected " + expected
		if strings.ContainsAny(a.value, "#;") && a.line > 0 {
			text += "; a comment needs a line of its own"
		}
		r.problem(a, text, a.key+" takes "+key.Takes()+"; the default is "+key.Default())
		return
	}
	if before, ok := r.inEffect[a.key]; ok && before.file == a.file {
		text := "replaces " + before.written()
		if before.line > 0 {
			text += " of line " + strconv.Itoa(before.line)
		}
		r.problem(a, text, "")
	}
	r.inEffect[a.key] = a
}

// unknown reports a key that is not in the table, with the one that may be meant: the nearest
// in spelling, or the one that ends in it.
func (r *Reading) unknown(keys []Key, a assignment) {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		names = append(names, key.Name)
	}
	name := nearest.Word(a.key, names)
	for _, n := range names {
		if name == "" && strings.HasSuffix(n, "."+a.key) {
			name = n
		}
	}
	if name == "" {
		r.problem(a, "there is no such key", "the keys are "+strings.Join(names, ", "))
		return
	}
	r.problem(a, "there is no such key; the nearest is "+name, "write "+name)
}

// visible makes text from outside fit for a message: an empty text, and one with quotes or
// control characters, comes in quotes, and the end of something long is left out.
func visible(s string) string {
	const most = 100
	tail := ""
	if len(s) > most {
		s, tail = s[:most], "..."
	}
	if quoted := strconv.Quote(s); s == "" || quoted[1:len(quoted)-1] != s {
		return quoted + tail
	}
	return s + tail
}

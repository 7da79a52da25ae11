package modules

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode"
)

// This file reads the text files that depmod leaves in a module tree [modules.dep(5),
// modprobe.d(5)] and the two that come with the kernel [Documentation/kbuild/kbuild.rst].

// Name returns the name of the module in a file or as a user writes it: without directory and
// suffixes, and with `_` for `-`, since the kernel and modprobe take the two for the same.
func Name(file string) string {
	name := path.Base(file)
	if i := strings.Index(name, ".ko"); i > 0 {
		name = name[:i]
	}
	return strings.ReplaceAll(name, "-", "_")
}

// aliasName writes an alias as depmod does: with `_` for `-`, except in a [range].
func aliasName(a string) string {
	inRange := false
	return strings.Map(func(r rune) rune {
		switch {
		case r == '[':
			inRange = true
		case r == ']':
			inRange = false
		case r == '-' && !inRange:
			return '_'
		}
		return r
	}, a)
}

// A LineError says what is wrong in which line of a file of the module tree.
type LineError struct {
	File string
	Line int
	Why  string
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why) }

// eachLine calls do for every line that is neither empty nor a comment.
func eachLine(r io.Reader, file string, do func(line string) (wrong string)) error {
	lines := bufio.NewScanner(r)
	// A line of modules.dep lists every dependency, and grows to some kilobytes.
	lines.Buffer(nil, 1<<20)
	n := 1
	for ; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if wrong := do(line); wrong != "" {
			return &LineError{file, n, wrong}
		}
	}
	if err := lines.Err(); err != nil {
		return &LineError{file, n, err.Error()}
	}
	return nil
}

// A depLine is one line of modules.dep.
type depLine struct {
	file string   // relative to the tree
	deps []string // files in the order of loading: depmod writes them the other way round
}

// parseDep reads modules.dep.
func parseDep(r io.Reader, file string) ([]depLine, error) {
	var found []depLine
	err := eachLine(r, file, func(line string) string {
		mod, deps, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Sprintf("%q: want `module: dependencies`", line)
		}
		d := depLine{file: mod}
		words := strings.Fields(deps)
		for _, p := range append([]string{mod}, words...) {
			if why := badFile(p); why != "" {
				return why
			}
		}
		for i := len(words) - 1; i >= 0; i-- {
			d.deps = append(d.deps, words[i])
		}
		found = append(found, d)
		return ""
	})
	return found, err
}

// badFile says why p cannot be a module's path in its tree.
func badFile(p string) string {
	if path.Clean(p) != p || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") {
		return fmt.Sprintf("%q: want a path inside the tree", p)
	}
	// The indexes are lists of words, and could not name it.
	if strings.ContainsFunc(p, unicode.IsSpace) {
		return fmt.Sprintf("%q: a blank in the name", p)
	}
	// Only names with this suffix are known to be modules, and a name that is only a suffix is
	// none.
	if _, ok := packing(p); !ok || Name(p) == "" {
		return fmt.Sprintf("%q: want a .ko file, or .ko.gz, .ko.xz, .ko.zst", p)
	}
	return ""
}

// A softDep names modules that should be loaded with another one if they exist.
type softDep struct {
	name      string // normalised
	pre, post []string
	line      string // as it was written
}

// all returns the names of both lists.
func (s softDep) all() []string { return append(append([]string{}, s.pre...), s.post...) }

// parseSoftdep reads modules.softdep: lines `softdep NAME pre: A B post: C`.
func parseSoftdep(r io.Reader, file string) ([]softDep, error) {
	var found []softDep
	err := eachLine(r, file, func(line string) string {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "softdep" {
			return fmt.Sprintf("%q: want `softdep MODULE pre: ... post: ...`", line)
		}
		s := newSoftDep(words[1], words[2:])
		s.line = line
		found = append(found, s)
		return ""
	})
	return found, err
}

// newSoftDep reads the lists of a soft dependency, as in modules.softdep and in a module itself.
// Words before the first `pre:` or `post:` count for nothing, for kmod as well: cifs of Linux 6.1
// has some.
func newSoftDep(name string, words []string) softDep {
	s := softDep{name: Name(name)}
	list := new([]string)
	for _, w := range words {
		switch w {
		case "pre:":
			list = &s.pre
		case "post:":
			list = &s.post
		default:
			*list = append(*list, w)
		}
	}
	return s
}

// An alias is another name of a module, possibly a pattern.
type alias struct {
	pattern string
	name    string // of the module, normalised
}

// parseAlias reads modules.alias: lines `alias PATTERN MODULE`. A pattern holds no blanks: depmod
// leaves out those that do.
func parseAlias(r io.Reader, file string) ([]alias, error) {
	var found []alias
	err := eachLine(r, file, func(line string) string {
		words := strings.Fields(line)
		if len(words) != 3 || words[0] != "alias" {
			return fmt.Sprintf("%q: want `alias PATTERN MODULE`", line)
		}
		found = append(found, alias{words[1], Name(words[2])})
		return ""
	})
	return found, err
}

// parseBuiltin reads modules.builtin: one path per line.
func parseBuiltin(r io.Reader, file string) (map[string]bool, error) {
	found := map[string]bool{}
	err := eachLine(r, file, func(line string) string {
		if why := badFile(line); why != "" {
			return why
		}
		found[Name(line)] = true
		return ""
	})
	return found, err
}

// parseBuiltinAliases picks the aliases out of modules.builtin.modinfo, which holds
// `module.field=value` strings, each ended by a NUL.
func parseBuiltinAliases(data string) map[string]bool {
	found := map[string]bool{}
	for field := range strings.SplitSeq(data, "\x00") {
		key, value, _ := strings.Cut(field, "=")
		if strings.HasSuffix(key, ".alias") {
			found[aliasName(value)] = true
		}
	}
	return found
}

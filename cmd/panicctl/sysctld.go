package main

import (
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// sysctlLine is a line of the files that sysctl(8) and systemd-sysctl read at boot.
type sysctlLine struct {
	file  string
	line  int
	value string
}

func (l sysctlLine) place() string { return l.file + ":" + strconv.Itoa(l.line) }

// sysctlDirs are where these files are. A file in an earlier one hides those with its name in later ones
// (sysctl.d(5)).
var sysctlDirs = [...]string{
	"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d",
}

// sysctls are what these files say of each sysctl, by its name with dots. The last line counts.
func (r running) sysctls() map[string]sysctlLine {
	files := make(map[string]string) // by the name alone
	for _, dir := range sysctlDirs {
		for _, name := range r.list(dir) {
			if _, hidden := files[name]; !hidden && strings.HasSuffix(name, ".conf") {
				files[name] = path.Join(dir, name)
			}
		}
	}
	order := make([]string, 0, len(files)+1)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		order = append(order, files[name])
	}
	found := make(map[string]sysctlLine)
	for _, file := range append(order, "/etc/sysctl.conf") {
		text, err := r.Read(file)
		if err != nil {
			continue
		}
		readSysctls(found, file, text)
	}
	return found
}

// readSysctls takes the lines of a file.
func readSysctls(found map[string]sysctlLine, file, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		// A dash in front only says that an error does not matter.
		name = strings.TrimSpace(strings.TrimPrefix(name, "-"))
		found[dotted(name)] = sysctlLine{file, n, strings.TrimSpace(value)}
	}
}

// dotted is the name of a sysctl with dots. In one that has slashes first, dots are no separators
// (sysctl.d(5)), but none of the names here has a dot within a part.
func dotted(name string) string { return strings.ReplaceAll(name, "/", ".") }

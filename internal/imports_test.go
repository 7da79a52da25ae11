// Package internal holds nothing but the test that keeps its rooms apart.
package internal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/rebound-init/rebound"

// arrows are the imports of ours that a room of PID 1's program may have. They point one way, from
// what decides to what it is told by; a new room gets a row.
func arrows() map[string][]string {
	return map[string][]string{
		"internal/kernel": {},
		"internal/linux":  {"internal/kernel", "internal/pages"},
		"internal/simkernel": {
			"internal/kernel", "internal/simkernel/esr", "internal/simkernel/kexec",
			"internal/simkernel/pstore",
		},
		"internal/simkernel/kexec": {},

		"internal/actor": {"internal/kernel", "internal/nearest"},
		"internal/actor/realactor": {
			"internal/actor", "internal/actor/stage", "internal/kernel",
		},
		"internal/actor/stage":    {},
		"internal/actor/simactor": {"internal/actor", "internal/kernel", "internal/simkernel"},

		"internal/knob":             {},
		"internal/nearest":          {},
		"internal/pages":            {},
		"internal/mountinfo":        {},
		"internal/utmp":             {},
		"internal/halt/rebootparam": {},
		"internal/halt":             {"internal/halt/rebootparam", "internal/utmp"},
		"internal/inittab":          {"internal/nearest", "internal/pages"},
		"internal/config":           {"internal/knob", "internal/nearest"},
		"internal/check":            {"internal/config", "internal/inittab"},

		"internal/panicwatch": {"internal/kernel", "internal/knob"},
		"internal/wdt":        {"internal/kernel"},
		"internal/shutdown": {
			"internal/halt/rebootparam", "internal/inittab", "internal/kernel", "internal/mountinfo",
		},
		"internal/pid1": {
			"internal/config", "internal/halt/rebootparam", "internal/inittab", "internal/kernel",
			"internal/knob", "internal/mountinfo", "internal/pages", "internal/panicwatch",
			"internal/shutdown", "internal/utmp", "internal/wdt",
		},
	}
}

// pure are the rooms that touch nothing but the seam, or nothing at all: what makes them run
// unmodified on the simulated kernel, with the same result each time.
func pure() []string {
	return []string{
		"internal/kernel", "internal/pid1", "internal/shutdown", "internal/panicwatch", "internal/wdt",
		"internal/inittab",
		"internal/config", "internal/check", "internal/utmp", "internal/mountinfo",
		"internal/nearest", "internal/pages", "internal/halt/rebootparam", "internal/knob",
	}
}

// impure are packages that a pure room must not import, and why.
func impure() map[string]string {
	return map[string]string{
		"os":                    "files and processes are the kernel's: ask the seam",
		"os/signal":             "signals come from Next",
		"os/exec":               "children are started by Spawn alone",
		"syscall":               "the seam has the types; only internal/linux makes the calls",
		"golang.org/x/sys/unix": "the seam has the types; only internal/linux makes the calls",
		"net":                   "the seam brings lo up",
		"runtime":               "nothing here depends on the machine it runs on",
		"runtime/debug":         "nothing here depends on the machine it runs on",
		"sync":                  "there is one goroutine, and nothing to lock",
		"sync/atomic":           "there is one goroutine",
		"context":               "there is one goroutine, and nobody to cancel",
		"math/rand":             "chance is the simulated kernel's",
		"math/rand/v2":          "chance is the simulated kernel's",
		"unsafe":                "nothing here needs it",
	}
}

// library are the packages of the standard library that pure rooms import: those that compute.
func library() []string {
	return []string{
		"bytes", "cmp", "encoding/binary", "errors", "fmt", "io/fs", "math", "math/bits",
		"slices", "strconv", "strings", "time", "unicode/utf8",
	}
}

// types are what the seam may take from package syscall: types and error numbers, and no calls.
func types(name string) bool {
	switch name {
	case "Errno", "Signal", "WaitStatus":
		return true
	}
	return strings.HasPrefix(name, "E") && name == strings.ToUpper(name)
}

// clocks are the functions of package time that a pure room must not use: it asks Clock.Now and
// waits in Next.
func clocks() []string {
	return []string{
		"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker",
	}
}

// unwelcome are packages that must not get into PID 1's program, by whomever they are imported.
func unwelcome() map[string]string {
	return map[string]string{
		"net/http":      "a server and its client, for nobody",
		"text/template": "its reflection keeps the linker from dropping methods",
		"html/template": "its reflection keeps the linker from dropping methods",
		"regexp":        "what it parses at the start is better written out",
		"os/exec":       "its wait and PID 1's wait4(-1) take statuses from each other",
		"testing":       "it registers flags and belongs to tests",
		"flag":          "flag.CommandLine ends the process at an unknown option",
		"plugin":        "there is no C library to load anything with",
	}
}

// listed is a package as go list shows it.
type listed struct {
	path, dir string
	imports   []string
}

// list asks the go command for packages. Those that cannot be built at the moment are left out.
func list(t *testing.T, env []string, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{
		"list", "-e", "-f", "{{.ImportPath}}\t{{.Dir}}\t{{join .Imports \" \"}}",
	}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	var all []listed
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		all = append(all, listed{path: f[0], dir: f[1], imports: strings.Fields(f[2])})
	}
	return all
}

// ours cuts the module's path off, if a package is one of ours.
func ours(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

// linked are our packages in PID 1's program, on this machine's architecture.
func linked(t *testing.T) []listed {
	t.Helper()
	return slices.DeleteFunc(list(t, nil, "-deps", "./cmd/init"), func(p listed) bool {
		_, mine := ours(p.path)
		return !mine
	})
}

// TestArrowsPointOneWay: each room imports what its row allows.
func TestArrowsPointOneWay(t *testing.T) {
	rows := arrows()
	rooms := append(linked(t), list(t, nil, "./internal/simkernel", "./internal/simkernel/kexec", "./internal/actor",
		"./internal/actor/realactor", "./internal/actor/simactor")...)
	if len(rooms) < len(rows) {
		t.Errorf("rooms: got %d, want %d at least", len(rooms), len(rows))
	}
	for _, p := range rooms {
		room, _ := ours(p.path)
		if strings.HasPrefix(room, "cmd/") {
			continue
		}
		allowed, ok := rows[room]
		if !ok {
			t.Errorf("%s is in PID 1's program, and has no row in the table of arrows", room)
			continue
		}
		for _, path := range p.imports {
			if other, mine := ours(path); mine && !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s: the arrow points the wrong way", room, other)
			}
		}
	}
}

// TestWhoChoosesTheKernel: the commands, the scenarios, what plays failures, and tests; everybody else takes the one that
// is given.
func TestWhoChoosesTheKernel(t *testing.T) {
	chooses := func(room string) bool {
		for _, prefix := range []string{
			"cmd/", "internal/actor/", "internal/crash", "internal/scenario", "test/", "initramfs/",
		} {
			if strings.HasPrefix(room, prefix) {
				return true
			}
		}
		// Packages that are for tests: pid1test.
		return strings.HasSuffix(room, "test")
	}
	for _, p := range list(t, nil, "./...") {
		room, _ := ours(p.path)
		for _, path := range p.imports {
			kernel, _ := ours(path)
			if (kernel == "internal/linux" || kernel == "internal/simkernel") && !chooses(room) {
				t.Errorf("%s imports %s: it must be written against internal/kernel", room, kernel)
			}
		}
	}
}

// TestPureRooms: no package that touches the machine, no clock and no goroutine, in these rooms and
// in all that they import.
func TestPureRooms(t *testing.T) {
	for _, room := range pure() {
		for _, f := range parse(t, filepath.Join("..", room)) {
			for _, fault := range impurities(f, room == "internal/kernel") {
				t.Errorf("%s: %s", room, fault)
			}
			for _, path := range f.imports() {
				if other, mine := ours(path); mine && !slices.Contains(pure(), other) {
					t.Errorf("%s: imports %s, which need not be pure", room, other)
				}
			}
		}
	}
}

// TestNoFakeKernels: the tests of PID 1 and of its way down have the simulated kernel and no other.
// A type of theirs with a method of the seam's must have the kernel's in it, and call it.
func TestNoFakeKernels(t *testing.T) {
	seam := make(map[string]bool)
	for _, f := range parse(t, "kernel") {
		ast.Inspect(f.file, func(n ast.Node) bool {
			if i, ok := n.(*ast.InterfaceType); ok {
				for _, m := range i.Methods.List {
					for _, name := range m.Names {
						seam[name.Name] = name.IsExported()
					}
				}
			}
			return true
		})
	}
	const least = 25
	if len(seam) < least {
		t.Fatalf("methods of the seam: got %d, want %d at least", len(seam), least)
	}
	methods := 0
	for _, pattern := range []string{
		"pid1/*_test.go", "pid1/pid1test/*.go", "shutdown/*_test.go", "panicwatch/*_test.go",
	} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				m, ok := d.(*ast.FuncDecl)
				if !ok || m.Recv == nil || !seam[m.Name.Name] {
					continue
				}
				methods++
				if !passesOn(m) {
					t.Errorf("%s: %s is a method of the seam, and does not ask the kernel", name,
						m.Name.Name)
				}
			}
		}
	}
	if methods == 0 {
		t.Error("there is no method of the seam to look at: the test looks at the wrong files")
	}
}

// passesOn reports whether a method calls that of the Kernel in its receiver.
func passesOn(m *ast.FuncDecl) bool {
	found := false
	ast.Inspect(m.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == m.Name.Name {
			inner, ok := sel.X.(*ast.SelectorExpr)
			found = found || ok && inner.Sel.Name == "Kernel"
		}
		return true
	})
	return found
}

// TestForbiddenCalls: in all of ours that is linked into PID 1's program.
func TestForbiddenCalls(t *testing.T) {
	for _, p := range linked(t) {
		room, _ := ours(p.path)
		for _, f := range parse(t, p.dir) {
			for _, fault := range forbidden(f, strings.HasPrefix(room, "cmd/")) {
				t.Errorf("%s: %s", room, fault)
			}
		}
	}
}

// TestUnwelcomePackages: on every architecture.
func TestUnwelcomePackages(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "arm", "riscv64"} {
		env := []string{"GOOS=linux", "GOARCH=" + arch, "CGO_ENABLED=0"}
		packages := list(t, env, "-deps", "./cmd/init")
		if len(packages) < 50 {
			t.Fatalf("%s: got %d packages, want those of a whole program", arch, len(packages))
		}
		for _, p := range packages {
			if why, bad := unwelcome()[p.path]; bad {
				t.Errorf("%s: PID 1's program has %s in it: %s", arch, p.path, why)
			}
		}
	}
}

// source is a parsed file.
type source struct {
	set  *token.FileSet
	file *ast.File
}

// parse reads the files of a package but for its tests, those of all architectures.
func parse(t *testing.T, dir string) []source {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []source
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, source{set, f})
	}
	if len(files) == 0 {
		t.Fatalf("no Go files in %s", dir)
	}
	return files
}

// imports are the paths that a file imports, by the names it has for them.
func (s source) imports() map[string]string {
	names := make(map[string]string)
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		name := path[strings.LastIndex(path, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

func (s source) at(n ast.Node) string {
	p := s.set.Position(n.Pos())
	return filepath.Base(p.Filename) + ":" + strconv.Itoa(p.Line) + ": "
}

// uses calls f for every PACKAGE.NAME in a file, with the package's path, and for every node.
func (s source) uses(f func(n ast.Node, path, name string)) {
	names := s.imports()
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			if n != nil {
				f(n, "", "")
			}
			return true
		}
		path := ""
		if id, ok := sel.X.(*ast.Ident); ok {
			path = names[id.Name]
		}
		f(n, path, sel.Sel.Name)
		return true
	})
}

// impurities are the things in a file that a pure room must not have. The seam has types of package
// syscall.
func impurities(s source, seam bool) []string {
	var faults []string
	for name, path := range s.imports() {
		_, mine := ours(path)
		why, bad := impure()[path]
		switch {
		case seam && path == "syscall" && name != ".":
		case bad:
			faults = append(faults, s.at(s.file)+"imports "+path+": "+why)
		case !mine && !slices.Contains(library(), path):
			faults = append(faults, s.at(s.file)+"imports "+path+", which is not known to be pure")
		case name == ".":
			faults = append(faults, s.at(s.file)+"imports "+path+" without its name")
		}
	}
	s.uses(func(n ast.Node, path, name string) {
		switch n.(type) {
		case *ast.GoStmt:
			faults = append(faults, s.at(n)+"starts a goroutine: PID 1 is one sequential program")
		case *ast.ChanType, *ast.SelectStmt:
			faults = append(faults, s.at(n)+"has a channel: everything comes from Next")
		}
		if path == "time" && slices.Contains(clocks(), name) {
			faults = append(faults, s.at(n)+"uses time."+name+": ask the seam's clock, wait in Next")
		}
		if path == "fmt" && (strings.HasPrefix(name, "Print") || strings.HasPrefix(name, "Scan")) {
			faults = append(faults, s.at(n)+"uses fmt."+name+": descriptors are the kernel's")
		}
		if seam && path == "syscall" && !types(name) {
			faults = append(faults, s.at(n)+"uses syscall."+name+": the seam has types only")
		}
	})
	return faults
}

// forbidden are the calls in a file that must not be in PID 1's program. Commands may exit.
func forbidden(s source, command bool) []string {
	var faults []string
	fault := func(n ast.Node, what string) { faults = append(faults, s.at(n)+what) }
	for _, path := range s.imports() {
		switch path {
		case "os/exec":
			fault(s.file, "imports os/exec: its wait and wait4(-1) take statuses from each other")
		case "log":
			fault(s.file, "imports log: log.Fatal ends PID 1, and the rest writes to where nobody reads")
		case "flag":
			fault(s.file, "imports flag: flag.CommandLine ends PID 1 at an unknown option")
		}
	}
	names := s.imports()
	_, logs := names["logrus"]
	s.uses(func(n ast.Node, path, name string) {
		switch {
		case path == "os" && name == "Exit" && !command:
			fault(n, "calls os.Exit: the end of PID 1 is a panic of the kernel")
		case logs && (strings.HasPrefix(name, "Fatal") || strings.HasPrefix(name, "Panic")) &&
			!strings.HasSuffix(name, "Level"):
			fault(n, "uses "+name+" of logrus: it ends PID 1, or makes it panic")
		}
	})
	return faults
}

// TestTheChecksFindFaults: a check that finds nothing anywhere would be no check.
func TestTheChecksFindFaults(t *testing.T) {
	for _, c := range []struct {
		text    string
		impure  int
		badCall int
		seam    bool
	}{
		{text: `import "os"; func f() { os.Exit(1) }`, impure: 1, badCall: 1},
		{text: `import o "os"; func f() { o.Exit(1) }`, impure: 1, badCall: 1},
		{text: `import "time"; var t = time.Now()`, impure: 1},
		{text: `import "time"; var t = time.Second; func f() { time.Sleep(t) }`, impure: 1},
		{text: `func f() { go f() }`, impure: 1},
		{text: `func f(c chan int) { select { case <-c: } }`, impure: 2},
		{text: `import "golang.org/x/sys/unix"; var x = unix.EIO`, impure: 1},
		{text: `import . "time"; var t = Now()`, impure: 1},
		{text: `import "iter"; var p = iter.Pull[int]`, impure: 1},
		{text: `import "fmt"; func f() { fmt.Println() }`, impure: 1},
		{text: `import "fmt"; var s = fmt.Sprint("")`},
		{text: `import "syscall"; type s syscall.Signal; var e = syscall.EIO`, impure: 1},
		{text: `import "syscall"; type s syscall.Signal; var e = syscall.EIO`, seam: true},
		{text: `import "syscall"; var p = syscall.Getpid()`, impure: 1, seam: true},
		{text: `import "log"; func f() { log.Fatal() }`, impure: 1, badCall: 1},
		{text: `import "flag"; var f = flag.CommandLine`, impure: 1, badCall: 1},
		{text: `import "os/exec"; var c exec.Cmd`, impure: 1, badCall: 1},
		{text: `import "github.com/sirupsen/logrus"; func f() { logrus.Fatalf("") }`, impure: 1, badCall: 1},
		{text: `import "github.com/sirupsen/logrus"; func f(l *logrus.Logger) { l.Panic() }`, impure: 1, badCall: 1},
		{text: `import "github.com/sirupsen/logrus"; var l = logrus.PanicLevel`, impure: 1},
		{text: `import "strings"; var s = strings.Fields("")`},
	} {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, "text.go", "package p; "+c.text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		s := source{set, f}
		if got := impurities(s, c.seam); len(got) != c.impure {
			t.Errorf("%s: got %q, want %d impurities", c.text, got, c.impure)
		}
		if got := forbidden(s, false); len(got) != c.badCall {
			t.Errorf("%s: got %q, want %d forbidden calls", c.text, got, c.badCall)
		}
	}
}

package esr

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestEveryStatementHasATest holds section 4 of docs/kernel.md against what the tests say of
// themselves, here and where the machine dies of exceptions.
func TestEveryStatementHasATest(t *testing.T) {
	page, err := os.ReadFile("../../../docs/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*(4\.\d+)\*\* `).FindAllSubmatch(page, -1) {
		there = append(there, string(m[1]))
	}
	if len(there) < 44 {
		t.Errorf("%d statements, want 44 at least: are they found?", len(there))
	}
	tested := make(map[string]string)
	for _, pattern := range []string{"*_test.go", "../*arm64*_test.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			cites(t, name, tested)
		}
	}
	for _, n := range there {
		if tested[n] == "" {
			t.Errorf("no test says that it is one of %s", n)
		}
	}
	for n, test := range tested {
		if !slices.Contains(there, n) {
			t.Errorf("%s says that it is a test of %s, which is not there", test, n)
		}
	}
}

// cites adds the statements of section 4 that the comments of a file's tests cite.
func cites(t *testing.T, name string, tested map[string]string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	citation := regexp.MustCompile(`\[Kernel ([^\]]*)\]`)
	number := regexp.MustCompile(`4\.(\d+)(?: to 4\.(\d+))?`)
	for _, d := range f.Decls {
		test, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(test.Name.Name, "Test") {
			continue
		}
		for _, c := range citation.FindAllStringSubmatch(test.Doc.Text(), -1) {
			for _, m := range number.FindAllStringSubmatch(c[1], -1) {
				first, _ := strconv.Atoi(m[1])
				last := first
				if m[2] != "" {
					last, _ = strconv.Atoi(m[2])
				}
				for n := first; n <= last; n++ {
					tested["4."+strconv.Itoa(n)] = test.Name.Name
				}
			}
		}
	}
}

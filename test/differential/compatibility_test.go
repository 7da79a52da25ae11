package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// compatibilityFile is the list of intended differences.
const compatibilityFile = "../../docs/compatibility.md"

// A row is one intended difference.
type row struct {
	name       string
	statements []string
	// shownBy is a case of ours, or FOLDER.TestName of a test elsewhere in test/.
	shownBy []string
	line    int
}

var (
	backquoted = regexp.MustCompile("`([^`]+)`")
	statement  = regexp.MustCompile(`\b\d+\.\d+\b`)
)

// rows reads the table whose heading begins with the word Name.
func rows(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(compatibilityFile)
	if err != nil {
		t.Fatal(err)
	}
	var table []row
	inside := false
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "|") {
			inside = false
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if strings.TrimSpace(cells[0]) == "Name" {
			inside = true
			continue
		}
		if !inside || strings.HasPrefix(line, "|--") {
			continue
		}
		if len(cells) != 6 {
			t.Fatalf("%s:%d: %d cells, want 6", compatibilityFile, i+1, len(cells))
		}
		r := row{line: i + 1, statements: statement.FindAllString(cells[4], -1)}
		for _, m := range backquoted.FindAllStringSubmatch(cells[0], 1) {
			r.name = m[1]
		}
		for _, m := range backquoted.FindAllStringSubmatch(cells[5], -1) {
			r.shownBy = append(r.shownBy, m[1])
		}
		if r.name == "" || len(r.shownBy) == 0 || len(r.statements) == 0 {
			t.Fatalf("%s:%d: a row needs a name, a statement and a test", compatibilityFile, i+1)
		}
		table = append(table, r)
	}
	if len(table) == 0 {
		t.Fatalf("%s: no table whose heading begins with Name", compatibilityFile)
	}
	return table
}

// TestEveryDifferenceIsDocumented holds the cases and the table of differences against each other.
func TestEveryDifferenceIsDocumented(t *testing.T) {
	scenes := map[string]*scene{}
	for _, s := range loadScenes(t) {
		scenes[s.name] = s
	}
	names := map[string]bool{}
	for _, r := range rows(t) {
		if names[r.name] {
			t.Errorf("%s:%d: %q is there twice", compatibilityFile, r.line, r.name)
		}
		names[r.name] = true
		for _, test := range r.shownBy {
			if err := r.check(test, scenes); err != nil {
				t.Errorf("%s:%d: %q: %v", compatibilityFile, r.line, r.name, err)
			}
		}
	}
	for _, s := range scenes {
		for _, name := range s.differs {
			if !names[name] {
				t.Errorf("case %s differs by %q, which is no row of %s", s.name, name,
					compatibilityFile)
			}
		}
		if (len(s.differs) > 0) != (s.difference != "") {
			t.Errorf("case %s: the word differs and the part %s go together", s.name,
				differenceFile)
		}
	}
}

// check says what is wrong with a test that a row names.
func (r row) check(test string, scenes map[string]*scene) error {
	folder, name, elsewhere := strings.Cut(test, ".")
	if !elsewhere {
		s, ok := scenes[test]
		switch {
		case !ok:
			return fmt.Errorf("no such case: %q", test)
		case !slices.Contains(s.differs, r.name):
			return fmt.Errorf("case %q does not say so", test)
		}
		for _, st := range r.statements {
			if slices.Contains(s.statements, st) {
				return nil
			}
		}
		return fmt.Errorf("case %q has none of its statements %v", test, r.statements)
	}
	files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "func "+name+"(") {
			return nil
		}
	}
	return fmt.Errorf("no such test: %q", test)
}

// TestCasesNameStatements demands enough cases, each with statements that look like one.
func TestCasesNameStatements(t *testing.T) {
	scenes := loadScenes(t)
	if len(scenes) < 60 {
		t.Errorf("%d cases, want at least 60", len(scenes))
	}
	for _, s := range scenes {
		for _, st := range s.statements {
			if statement.FindString(st) != st {
				t.Errorf("case %s: %q is no statement", s.name, st)
			}
		}
		if len(s.steps) == 0 {
			t.Errorf("case %s has no steps", s.name)
		}
	}
}

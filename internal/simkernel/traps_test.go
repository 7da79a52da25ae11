package simkernel

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestEveryTrapHasATest holds section 10 of docs/kernel.md against the tests that bear its numbers.
func TestEveryTrapHasATest(t *testing.T) {
	page, err := os.ReadFile("../../docs/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	var there, tested []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*10\.(\d+)\*\* `).FindAllSubmatch(page, -1) {
		there = append(there, string(m[1]))
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func TestTrap(\d+)[^\d]`).FindAllSubmatch(text, -1) {
			tested = append(tested, string(m[1]))
		}
	}
	slices.Sort(there)
	slices.Sort(tested)
	wantEqual(t, "traps with a test", slices.Compact(tested), there)
	wantEqual(t, "traps", len(there), 39)
}

package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/crash/matrix"
)

const matrixPage = "../../docs/matrix.md"

// TestPresetsOnThePage compares the table of docs/matrix.md with what the presets lead to.
func TestPresetsOnThePage(t *testing.T) {
	text, err := os.ReadFile(matrixPage)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "-update writes it anew. -->\n"
	before, rest, ok := strings.Cut(string(text), mark)
	old, after, ends := strings.Cut(rest, "\nWhat else is to be seen")
	if !ok || !ends {
		t.Fatalf("%s has no place for the table", matrixPage)
	}
	got := "\n" + presets(t)
	if *update {
		if err := os.WriteFile(matrixPage, []byte(before+mark+got+"\nWhat else is to be seen"+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(old, got); d != "" {
		t.Errorf("%s (-) and the model (+); -update writes it anew:\n%s", matrixPage, d)
	}
}

// presets is the table.
func presets(t *testing.T) string {
	t.Helper()
	columns := []struct {
		name, policy string
		dump         bool
	}{
		{"kernel", "kernel", false},
		{"standard", "standard", false},
		{"comeback", "comeback", false},
		{"capture", "capture", false},
		{"capture, dump", "capture", true},
		{"debug", "debug", false},
	}
	head, line := "| failure |", "|---|"
	cells := make(map[string][]string)
	var order []string
	for _, c := range columns {
		head += " " + c.name + " |"
		line += "---|"
		o := machineFlags{kernel: "linux-6.1-x86_64", policy: c.policy, crashKernel: c.dump, cpus: 2}
		m, err := o.machine()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := matrix.Of(m.Machine)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			r := &rows[i]
			if len(cells[r.Failure]) == 0 {
				order = append(order, r.Failure)
			}
			cells[r.Failure] = append(cells[r.Failure], inTable(r))
		}
	}
	var b strings.Builder
	b.WriteString(head + "\n" + line + "\n")
	var always []string
	for _, name := range order {
		row := strings.Join(cells[name], " | ")
		if strings.ReplaceAll(row, "goes on", "") == strings.Repeat(" | ", len(columns)-1) {
			always = append(always, "`"+name+"`")
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, row)
	}
	return b.String() + "\nThe kernel goes on with all of them after " + strings.Join(always, ", ") + ".\n"
}

// inTable is a row's outcome in a field of the table.
func inTable(r *matrix.Row) string {
	switch r.Outcome {
	case matrix.Hangs:
		return "**hangs**"
	case matrix.ComesBack:
		return strings.TrimPrefix(afterWords(r.Back), "after ")
	case matrix.Captured:
		return "dump " + strings.TrimPrefix(afterWords(r.Back), "after ")
	case matrix.GoesOn, matrix.Halts, matrix.PowersOff:
	}
	return r.Outcome.String()
}

// TestExamplesOfThePages runs the examples of docs/matrix.md and README.md. A line `...` stands for any lines,
// and ` ...` at the end of one for the rest of it.
func TestExamplesOfThePages(t *testing.T) {
	n := 0
	for _, page := range []string{matrixPage, "../../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "\n```\n$ ")[1:] {
			block, _, _ = strings.Cut(block, "\n```\n")
			for _, example := range strings.Split(block, "\n$ ") {
				command, want, _ := strings.Cut(example, "\n")
				words := strings.Fields(strings.TrimPrefix(command, "build/"))
				if words[0] != "panicctl" {
					continue // another program's
				}
				n++
				pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(want+"\n"), `\.\.\.`+"\n", "(?:.*\n)*") + "$"
				pattern = strings.ReplaceAll(pattern, ` \.\.\.`, " .*")
				_, out, said := panicctl(t, words[1:]...)
				if !regexp.MustCompile(pattern).MatchString(out + said) {
					t.Errorf("%s: %s\ngot\n%s\nwant\n%s", page, command, out+said, want)
				}
			}
		}
	}
	const least = 3
	if n < least {
		t.Errorf("examples: got %d, want %d at least", n, least)
	}
}

package main

import (
	"os"
	"strings"
	"testing"
)

// TestCrashExamples runs the examples of docs/crash.md. A line `...` stands for any lines, and ` ... `
// in a line for anything.
func TestCrashExamples(t *testing.T) {
	text, err := os.ReadFile("../../docs/crash.md")
	if err != nil {
		t.Fatal(err)
	}
	const least = 10
	n := 0
	for _, block := range strings.Split(string(text), "\n```\n$ ")[1:] {
		block, _, _ = strings.Cut(block, "\n```\n")
		for _, example := range strings.Split(block, "\n$ ") {
			n++
			command, want, _ := strings.Cut(example, "\n")
			words := strings.Fields(command)
			_, out, said := simboot(t, words[1:]...)
			if !like(strings.Split(strings.TrimSuffix(out+said, "\n"), "\n"), strings.Split(want, "\n")) {
				t.Errorf("%s\ngot\n%s\nwant\n%s", command, out+said, want)
			}
		}
	}
	if n < least {
		t.Errorf("examples: got %d, want %d at least", n, least)
	}
}

// like reports whether lines are as an example shows them.
func like(got, want []string) bool {
	if len(want) == 0 {
		return len(got) == 0
	}
	if want[0] == "..." {
		for i := range len(got) + 1 {
			if like(got[i:], want[1:]) {
				return true
			}
		}
		return false
	}
	if len(got) == 0 {
		return false
	}
	before, after, some := strings.Cut(want[0], " ...")
	fits := got[0] == want[0]
	if some {
		fits = strings.HasPrefix(got[0], before) && strings.HasSuffix(got[0], after)
	}
	return fits && like(got[1:], want[1:])
}

func TestLike(t *testing.T) {
	got := []string{"a", "b 1 c", "d"}
	for text, want := range map[string]bool{
		"a\nb 1 c\nd": true, "...\nd": true, "...": true, "a\n...\nd\n...": true, "a\nb ... c\nd": true,
		"a\nb 1 c": false, "...\ne": false, "b\n...": false, "a\nx ... c\nd": false, "a\nb 1 c\nd\ne": false,
	} {
		if like(got, strings.Split(text, "\n")) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

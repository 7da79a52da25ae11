package scenario

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryWordIsDocumented: each word of the format stands in docs/scenarios.md, in code.
func TestEveryWordIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	var code []string // what stands between backquotes
	for line := range strings.Lines(string(text)) {
		for i, part := range strings.Split(line, "`") {
			if i%2 == 1 {
				code = append(code, strings.Fields(part)...)
			}
		}
	}
	words := slices.Concat(keys(heads()), keys(deeds()), keys(expectations()), consoleWords,
		howWords[1:], Calls(), WorldNames())
	for _, w := range words {
		if !slices.Contains(code, w) {
			t.Errorf("docs/scenarios.md does not tell of %q", w)
		}
	}
	for _, directive := range []string{anyOrder, inOrder, anything} {
		if !strings.Contains(string(text), "`"+directive+"`") {
			t.Errorf("docs/scenarios.md does not tell of %q", directive)
		}
	}
}

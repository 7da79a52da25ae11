package inittab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.inittab")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, text := range []string{
		"", "\\", "\\\n\\\n", "::once:x\\\\", "::once:x\\\\\n\n\ny", "\x00", "::once:\x00",
		":::#\\\n", "a::once:x\n/dev/a::wait:x\n//a::once:x", "::once:'\"`$(${", "::once:-",
		"::once:- ", "\r\n", "::once:\\#\n::wait:x", "::once:x\n::wait:x\n::once:x",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		table, found := Parse("inittab", text)
		physical := strings.Count(string(text), "\n") + 1

		keys := make(map[Key]bool)
		for _, e := range table {
			if !slices.Contains(Actions(), e.Action) {
				t.Errorf("entry with %v: %+v", e.Action, e)
			}
			if e.Command == "" || strings.ContainsAny(e.Command, "\n\x00#") {
				t.Errorf("entry with command %q", e.Command)
			}
			if e.FirstLine < 1 || e.Line < e.FirstLine || e.Line > physical {
				t.Errorf("entry at lines %d to %d of %d", e.FirstLine, e.Line, physical)
			}
			if keys[e.Key()] {
				t.Errorf("two entries with key %+v", e.Key())
			}
			keys[e.Key()] = true
			if (e.TTY == "") != (e.ID == "") || e.TTY != "" && !strings.HasPrefix(e.TTY, "/dev/") {
				t.Errorf("id %q has device %q", e.ID, e.TTY)
			}
			if x := Words(e.Command); x.Path == "" && x.Shell || len(x.Argv) == 0 && x.Path != "" {
				t.Errorf("Words(%q) = %+v", e.Command, x)
			}
		}

		last, lastMistake := 0, 0
		for _, d := range found {
			if d.Text == "" || d.Severity.String() == "no severity" || d.File != "inittab" {
				t.Errorf("%+v says nothing", d)
			}
			if d.Severity != Note && d.Remedy == "" {
				t.Errorf("%s: no remedy", d)
			}
			if (d.ConsoleMessage() != "") != (d.Severity == Mistake) {
				t.Errorf("%s: message %q", d, d.ConsoleMessage())
			}
			if d.Line == 0 { // the whole file; these come last
				last = physical + 1
				continue
			}
			if d.FirstLine < 1 || d.Line < d.FirstLine || d.Line > physical || d.Line < last {
				t.Errorf("%s: lines %d to %d of %d, after %d",
					d, d.FirstLine, d.Line, physical, last)
			}
			last = d.Line
			if d.Severity == Mistake {
				if d.Line == lastMistake {
					t.Errorf("%s: the second mistake in one line", d)
				}
				lastMistake = d.Line
			}
		}

		again, _ := Parse("inittab", []byte(strings.Join(entries(table), "\n")))
		if !slices.Equal(entries(table), entries(again)) {
			t.Errorf("read again\n got  %q\n want %q", entries(again), entries(table))
		}
	})
}

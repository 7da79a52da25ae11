package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/differences.txt anew")

const differencesFile = "testdata/differences.txt"

// The model fails as the real kernels did when they were recorded, but for the cells that
// testdata/differences.txt names, with why.
func TestModelAgreesWithRecordedKernels(t *testing.T) {
	text, err := os.ReadFile(differencesFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, why, _ := strings.Cut(strings.TrimSpace(line), ": ")
		known[name] = why
	}
	var now strings.Builder
	for _, k := range kernels() {
		for _, c := range cellsOf(k) {
			name := k.Name + "/" + c.Name
			t.Run(name, func(t *testing.T) {
				why := "not recorded: as root, make agree-kernels RECORD=1"
				rec, err := load("testdata", k, c)
				switch {
				case err == nil:
					r := compared(k, c, rec)
					why = r.Unplayed + r.Difference
				case !errors.Is(err, fs.ErrNotExist):
					t.Fatal(err)
				}
				if why != "" {
					fmt.Fprintf(&now, "%s: %s\n", name, why)
				}
				switch {
				case *update || why == known[name]:
				case why == "":
					t.Logf("is the same now: go test ./test/kernels -update takes it off the list")
				case known[name] == "":
					t.Errorf("the model and the recording: %s", why)
				}
				delete(known, name)
			})
		}
	}
	if *update {
		if err := os.WriteFile(differencesFile, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !t.Failed() {
		for name := range known {
			t.Errorf("%s names %s, which is no cell", differencesFile, name)
		}
	}
}

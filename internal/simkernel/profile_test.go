package simkernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoKernelIsAskedForItsName: what a version does is a field of its profile, so that adding one is
// adding data. The one exception takes the number of the version out of the name.
func TestNoKernelIsAskedForItsName(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	asked := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		n := strings.Count(string(text), "kernel.name")
		if n > 0 && file != "pstore.go" {
			t.Errorf("%s asks %d times", file, n)
		}
		asked += n
	}
	wantEqual(t, "asked", asked, 1)
}

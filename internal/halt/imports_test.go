package halt

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsNothingThatInitWouldPayFor: this package is part of init's program, and its packages
// are initialised in PID 1 and in every child that PID 1 starts from its own program.
func TestImportsNothingThatInitWouldPayFor(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	why := map[string]string{
		"os/exec":                "its wait and PID 1's wait4(-1) take statuses from each other",
		"regexp":                 "parses at start what is better written out",
		"text/template":          "keeps the linker from dropping unused methods",
		"flag":                   "its CommandLine exits the process",
		"github.com/spf13/pflag": "131 kB in a stripped init (measured 2026-11-21)",
		"encoding/json":          "reflection, for which nothing here has a use",
		"net":                    "a resolver for a command that talks to pid 1",
	}
	for _, pkg := range strings.Fields(string(out)) {
		if reason, bad := why[pkg]; bad {
			t.Errorf("%s is imported: %s", pkg, reason)
		}
	}
}

package halt

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestKnowsInitByItsProgram builds init stripped, as it is shipped, and the command by itself: the
// first is Rebound's init and the second is not.
func TestKnowsInitByItsProgram(t *testing.T) {
	for name, want := range map[string]bool{"init": true, "reboot": false} {
		path := filepath.Join(t.TempDir(), name)
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
			"-o", path, "github.com/rebound-init/rebound/cmd/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", build.Args, err, out)
		}
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := isRebound(program); got != want {
			t.Errorf("cmd/%s taken for Rebound's init: %v, want %v", name, got, want)
		}
	}
}

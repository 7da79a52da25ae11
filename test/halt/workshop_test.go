package halt_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// workshop is shared by all tests, for a build takes longer than most of them.
var workshop bench

// A bench builds cmd/reboot when it is first asked for it.
type bench struct {
	once sync.Once
	dir  string
	err  error
}

// open returns a directory that everybody may read, with a link of each command's name.
func (b *bench) open() (string, error) {
	b.once.Do(func() { b.err = b.build() })
	return b.dir, b.err
}

func (b *bench) build() error {
	var err error
	if b.dir, err = os.MkdirTemp("", "rebound-halt-"); err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(b.dir, "reboot"),
		"github.com/rebound-init/rebound/cmd/reboot")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", build.Args, err, out)
	}
	for _, name := range []string{"halt", "poweroff"} {
		if err := os.Symlink("reboot", filepath.Join(b.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// clear removes what has been built.
func (b *bench) clear() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

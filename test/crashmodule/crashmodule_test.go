package crashmodule

import (
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/test/qemu"
)

// TestBuild builds the module for each kernel of the scenarios, and once more, which takes it as it
// is.
func TestBuild(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			target := Target{Arch: arch, Tree: arch}
			var missing *qemu.MissingError
			file, err := target.Build(t.Context())
			if errors.As(err, &missing) && !qemu.Required("qemu") {
				t.Skipf("needs %v", missing)
			}
			if err != nil {
				t.Fatal(err)
			}
			first, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			f, err := elf.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != machine || f.Section(".modinfo") == nil {
				t.Errorf("it is for %v, with sections %v: want a module for %v", f.Machine, f.Sections, machine)
			}
			if _, err := target.Build(t.Context()); err != nil {
				t.Fatal(err)
			}
			if second, err := os.Stat(file); err != nil || second.ModTime() != first.ModTime() {
				t.Errorf("it was built twice: %v, %v", second, err)
			}
		})
	}
}

// TestWithoutHeaders: what is missing is named.
func TestWithoutHeaders(t *testing.T) {
	t.Setenv("REBOUND_BUILD", t.TempDir())
	target := Target{Arch: "arm64", Tree: "arm64"}
	var missing *qemu.MissingError
	if _, err := target.Build(t.Context()); !errors.As(err, &missing) ||
		!strings.Contains(missing.What, "headers") {
		t.Errorf("without headers: %v", err)
	}
	if err := os.MkdirAll(target.headers(), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Join(t.TempDir(), "empty"))
	if _, err := target.Build(t.Context()); !errors.As(err, &missing) || missing.What != "make" {
		t.Errorf("without make: %v", err)
	}
}

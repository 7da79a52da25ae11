package qemu

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/test/crashmodule"
)

// TestFailures: each way to fail is done in one manner, or there is a reason why not, and what the
// module is told is something that it knows.
func TestFailures(t *testing.T) {
	source, err := os.ReadFile("../../../test/crashmodule/module/rebound_crash.c")
	if err != nil {
		t.Fatal(err)
	}
	deeds := []scenario.Deed{scenario.CPUStuck{CPU: 1}, scenario.CPUStuck{IRQsOff: true}}
	for _, name := range scenario.KernelFailures() {
		deeds = append(deeds, scenario.KernelFails{Failure: name})
	}
	for _, arch := range []string{"amd64", "arm64"} {
		played := 0
		for _, d := range deeds {
			f := failureOf(d, arch)
			ways := 0
			for _, is := range []bool{f.poke.File != "", f.button != "", f.cannot != ""} {
				if is {
					ways++
				}
			}
			if ways != 1 {
				t.Errorf("%+v on %s: got %+v, want an order, a button or a reason", d, arch, f)
			}
			if f.cannot == "" {
				played++
			}
			if f.module != (f.poke.File == crashmodule.Control) {
				t.Errorf("%+v on %s: got %+v: the module is needed for its file, and for nothing else",
					d, arch, f)
			}
			way, _, _ := strings.Cut(f.poke.Text, " ")
			if f.module && !strings.Contains(string(source), `{ "`+way+`",`) {
				t.Errorf("%+v on %s: the module knows no way %q", d, arch, way)
			}
		}
		// All but the machine check; and on arm64 the NMI and what needs CONFIG_PREEMPT_COUNT.
		want := len(deeds) - 1
		if arch == "arm64" {
			want -= 2
		}
		if played != want {
			t.Errorf("%s plays %d ways of %d, want %d", arch, played, len(deeds), want)
		}
	}
	if f := failureOf(scenario.Signal{}, "amd64"); f != (failure{}) {
		t.Errorf("a signal: got %+v, want no failure", f)
	}
}

// TestWithoutHeaders: a scenario that needs the module is not played, and not passed, where the
// module cannot be built.
func TestWithoutHeaders(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-aarch64"); err != nil {
		t.Skip("needs qemu-system-aarch64, else that is what is missing")
	}
	build := t.TempDir()
	kernel := filepath.Join(build, "kernels", "arm64", "vmlinuz")
	if err := os.MkdirAll(filepath.Dir(kernel), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kernel, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REBOUND_BUILD", build)
	s, err := scenario.Parse("test.txtar", []byte(
		"# An oops.\nat 1s kernel oops\nwant kernel \"Oops\"\nlasts 2s\nwant end alive\n"))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := World{Arch: "arm64"}.Play(t.Context(), s, scenario.Options{})
	var un *scenario.Unplayable
	if tr != nil || !errors.As(err, &un) || !un.Missing || !strings.Contains(un.Why, "headers") {
		t.Errorf("got %v, %v, want that its headers are missing", tr, err)
	}
}

// Package pidns starts an init as PID 1 of a PID namespace, in a root file system of its own, and
// watches it from outside: its console, its terminals, what it logs, what it starts and how it
// ends. It is for tests only, and needs root.
package pidns

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed programs/stage.c
var stageSource []byte

//go:embed programs/probe.c
var probeSource []byte

// busyboxPath is where Debian's busybox-static puts its program.
const busyboxPath = "/bin/busybox"

// applets are the names under which BusyBox stands in a room's /bin.
var applets = []string{
	"[", "ash", "cat", "echo", "env", "false", "halt", "kill", "ln", "ls", "mkdir", "mount",
	"poweroff", "printf", "reboot", "rm", "sh", "sleep", "stty", "swapoff", "sync", "test",
	"touch", "true", "umount",
}

// A Workshop holds the programs that rooms are furnished with.
type Workshop struct {
	dir   string
	stage string
}

// Missing says what this machine lacks for the tests of this package, or nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "root, to make PID and mount namespaces"
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		return "gcc and libc6-dev, to build the probe"
	}
	if _, err := os.Stat(busyboxPath); err != nil {
		return "busybox-static, which installs " + busyboxPath
	}
	return ""
}

// Require skips the test if this machine cannot play it, naming what is missing. Where the
// environment's REBOUND_REQUIRE contains the word root the test fails instead.
func Require(t testing.TB) {
	t.Helper()
	lacking := Missing()
	if lacking == "" {
		return
	}
	if strings.Contains(os.Getenv("REBOUND_REQUIRE"), "root") {
		t.Fatalf("REBOUND_REQUIRE asks for this test, which needs %s", lacking)
	}
	t.Skipf("needs %s", lacking)
}

// NewWorkshop compiles stage and probe below dir.
func NewWorkshop(dir string) (*Workshop, error) {
	w := &Workshop{dir: dir, stage: filepath.Join(dir, "stage")}
	for name, source := range map[string][]byte{"stage": stageSource, "probe": probeSource} {
		cmd := exec.Command("gcc", "-static", "-Os", "-Wall", "-Wextra", "-Werror",
			"-o", filepath.Join(dir, name), "-x", "c", "-")
		cmd.Stdin = strings.NewReader(string(source))
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("compile %s: %w\n%s", name, err, out)
		}
	}
	return w, nil
}

// BuildInit returns the path of our init: $REBOUND_INIT where that is set, else a fresh build with
// the given build tags. A build with tags ignores REBOUND_INIT.
func (w *Workshop) BuildInit(tags string) (string, error) {
	if path := os.Getenv("REBOUND_INIT"); path != "" && tags == "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(w.dir, "init"+tags)
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path,
		"github.com/rebound-init/rebound/cmd/init")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build cmd/init: %w\n%s", err, out)
	}
	return path, nil
}

// A Base is the programs of all rooms of one init.
type Base struct {
	busybox, probe, init []byte
}

// Base reads the programs of rooms whose init is program. In them /sbin/init is that program,
// /bin/probe the probe, and everything else BusyBox.
func (w *Workshop) Base(program string) (*Base, error) {
	b := &Base{}
	for _, p := range []struct {
		path string
		data *[]byte
	}{{busyboxPath, &b.busybox}, {filepath.Join(w.dir, "probe"), &b.probe}, {program, &b.init}} {
		var err error
		if *p.data, err = os.ReadFile(p.path); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// BusyBox is the path of the reference on this machine.
func (w *Workshop) BusyBox() string { return busyboxPath }

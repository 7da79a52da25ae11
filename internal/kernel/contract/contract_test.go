package contract_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor/realactor"
	"github.com/rebound-init/rebound/internal/actor/simactor"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/kernel/contract"
	"github.com/rebound-init/rebound/internal/linux"
	"github.com/rebound-init/rebound/internal/simkernel"
	"github.com/rebound-init/rebound/test/oldkernel"
)

// The words that make the test program PID 1 with a check to run, or this program again on an older
// kernel. By the name of actor it is an actor.
const (
	asActor = "actor"
	asPID1  = "contract-pid1"
	asOld   = "contract-on-linux"
)

func TestMain(m *testing.M) {
	if os.Args[0] == asActor {
		os.Exit(realactor.Main(os.Args))
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asPID1:
			os.Exit(runReal(os.Args[2], os.Args[3], os.Args[4]))
		case asOld:
			err := oldkernel.Exec(os.Args[2], os.Args[0], append(os.Args[:1:1], os.Args[3:]...))
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func TestSimulated(t *testing.T) {
	for _, c := range contract.Checks() {
		t.Run(c.Name, func(t *testing.T) {
			for seed := range uint64(20) {
				simulated(t, c, seed)
			}
		})
	}
}

func simulated(t *testing.T, c contract.Check, seed uint64) {
	t.Helper()
	const dir = "/tmp/world"
	w := contract.World{
		Dir: dir, File: dir + "/file", Missing: dir + "/missing", Terminal: "/dev/pts/0",
		Actor: func(steps ...string) *kernel.Command {
			return &kernel.Command{Paths: []string{"/bin/actor"}, Argv: actorArgv(steps)}
		},
	}
	var calls []string
	m := simkernel.New(simkernel.Config{
		Seed: seed, Namespace: true,
		Trace: func(at time.Duration, call string) {
			calls = append(calls, fmt.Sprint(at, " ", call))
		},
		Files:     map[string]string{w.File: contract.FileText},
		Terminals: map[string]simkernel.Terminal{w.Terminal: {}},
		Programs: map[string]simkernel.Program{
			"/bin/actor": simactor.Program(),
		},
	})
	var err error
	end := m.Boot(func(k kernel.Kernel) int {
		err = c.Run(k, w)
		return 0
	})
	if err == nil && end.Status != c.Ends {
		err = fmt.Errorf("end: got %+v, want status %#x", end, uint32(c.Ends))
	}
	if err != nil {
		const last = 20
		t.Errorf("seed %d: %v\n%s", seed, err, strings.Join(calls[max(0, len(calls)-last):], "\n"))
	}
}

// actorArgv are the arguments of an actor.
func actorArgv(steps []string) []string {
	return append([]string{asActor}, strings.Fields(strings.Join(steps, ", "))...)
}

// TestReal runs every check as PID 1 of a PID namespace.
func TestReal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to make PID namespaces")
	}
	if raced {
		// The compiler puts calls of the race detector into the function through which the
		// child of clone begins, and that child is no thread that the detector knows.
		t.Skip("needs a build without -race; make test-root has one")
	}
	for _, c := range contract.Checks() {
		t.Run(c.Name, func(t *testing.T) { real(t, c) })
	}
	// What has an older call to fall back to does the same by that one.
	for _, k := range oldkernel.Kernels() {
		t.Run("Linux "+k.Version, func(t *testing.T) {
			for _, c := range contract.Checks() {
				t.Run(c.Name, func(t *testing.T) { real(t, c, asOld, k.Version) })
			}
		})
	}
}

// real runs a check by this program, with words in front of its arguments.
func real(t *testing.T, c contract.Check, words ...string) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(contract.FileText), 0o644); err != nil {
		t.Fatal(err)
	}
	master, slave := pty(t)
	defer master.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(words, asPID1, c.Name, dir, slave)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	// A mount namespace, too, for whatever PID 1 mounts.
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait() // the status says more
	got := kernel.WaitStatus(cmd.ProcessState.Sys().(syscall.WaitStatus))
	if got != c.Ends {
		t.Errorf("end: got %s, want status %#x\n%s", cmd.ProcessState, uint32(c.Ends), &out)
	}
}

// runReal is PID 1 with one check.
func runReal(name, dir, terminal string) int {
	k := linux.Open()
	checks := contract.Checks()
	i := slices.IndexFunc(checks, func(c contract.Check) bool { return c.Name == name })
	exe := os.Args[0]
	w := contract.World{
		Dir: dir, File: filepath.Join(dir, "file"), Missing: filepath.Join(dir, "missing"),
		Terminal: terminal,
		Actor: func(steps ...string) *kernel.Command {
			return &kernel.Command{Paths: []string{exe}, Argv: actorArgv(steps)}
		},
	}
	if err := checks[i].Run(k, w); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// pty opens a pseudoterminal.
func pty(t *testing.T) (master *os.File, slave string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs a pseudoterminal: %v", err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return master, fmt.Sprintf("/dev/pts/%d", n)
}

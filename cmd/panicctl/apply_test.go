package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asPanicctl in the environment makes the test binary panicctl itself, and readOnly a directory that it
// makes read-only before, in a namespace of its own.
const (
	asPanicctl = "REBOUND_TEST_PANICCTL"
	readOnly   = "REBOUND_TEST_READ_ONLY"
)

func TestMain(m *testing.M) {
	if os.Getenv(asPanicctl) == "" {
		os.Exit(m.Run())
	}
	if dir := os.Getenv(readOnly); dir != "" {
		if err := freeze(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(99)
		}
	}
	os.Args = append([]string{"panicctl"}, os.Args[1:]...)
	main()
}

// freeze mounts a proc of this PID namespace that can only be read onto dir/proc.
func freeze(dir string) error {
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", dir+"/proc", "proc", unix.MS_RDONLY, ""),
	)
}

// start runs panicctl as a process of its own.
func start(t *testing.T, env string, attr *syscall.SysProcAttr, args ...string) (status int, out, said string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asPanicctl+"=1", env)
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// needsRoot skips a test that needs root, unless root has been promised.
func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if strings.Contains(os.Getenv("REBOUND_REQUIRE"), "root") {
		t.Fatal("REBOUND_REQUIRE asks for this test, which needs root")
	}
	t.Skip("needs root")
}

const policyOfTest = "panic.policy = comeback\npanic.timeout = 30s\npanic.warn_limit = 5\n" +
	"panic.on_stack_overflow = yes\nprintk.console_level = 7\n"

func TestApply(t *testing.T) {
	root := tree(t, "pc")
	name := file(t, policyOfTest)
	before := contents(t, root)
	printed(t, "apply-dry-run.txt", exitAmiss, "apply", "--root", root, "--dry-run", name)
	if after := contents(t, root); after != before {
		t.Errorf("--dry-run has changed the machine")
	}
	// The kernel lacks a setting that is asked for.
	printed(t, "apply.txt", exitAmiss, "apply", "--root", root, name)
	for path, want := range map[string]string{
		"proc/sys/kernel/panic": "30\n", "proc/sys/kernel/softlockup_panic": "1\n",
		"proc/sys/kernel/warn_limit":                              "5\n",
		"sys/module/kernel/parameters/crash_kexec_post_notifiers": "N\n",
	} {
		if got, err := os.ReadFile(filepath.Join(root, path)); string(got) != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", path, got, err, want)
		}
	}
	printed(t, "apply-again.json", exitAmiss, "apply", "--root", root, "--json", name)
	// What is lacking apart, the machine is now as the policy has it.
	put(t, root, "etc/rebound.conf", policyOfTest)
	_, found := checked(t, "--root", root)
	for _, f := range found {
		if f.Rule == "changed" {
			t.Errorf("after apply: %s", f.What)
		}
	}
}

// contents are all files of a tree in a text.
func contents(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		b.WriteString(path + ": " + string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestApplyStatus: the exit status says whether all is as asked for.
func TestApplyStatus(t *testing.T) {
	for _, c := range []struct {
		policy string
		status int
		out    string
		err    string
	}{
		{"panic.timeout = 20s\n", exitOK, "kernel.panic = 20: it was 10", ""},
		{"panic.timeout = 10s\n", exitOK, "same  kernel.panic = 10: as it was", ""},
		{"panic.policy = kernel\n", exitOK, "no settings set, 0 as they were.\n", ""},
		{"panic.timeout = 20\npanic.on_warn = no\n", exitAmiss, "kernel.panic_on_warn = 0: as it was", ":1: panic.timeout = 20: expected "},
		{"panic.on_stack_overflow = yes\n", exitAmiss, "this kernel has no such setting", ""},
		// That is the preset's, and the kernel's own business.
		{"panic.policy = comeback\n", exitOK, "", ""},
		// A preset leaves to the boot line what stands there.
		{"panic.policy = debug\n", exitOK, "kept  ", ""},
	} {
		root := tree(t, "pc")
		// Files take everything, and so does this one say what it was told.
		put(t, root, "proc/sys/kernel/panic_on_oops", "1\n")
		status, out, said := panicctl(t, "apply", "--root", root, file(t, c.policy))
		wants(t, status, c.status, strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(c.out), " "))
		wants(t, status, c.status, said, c.err)
	}
}

// TestApplyWithoutAPolicy does what init does: a machine that would wait for ever comes back.
func TestApplyWithoutAPolicy(t *testing.T) {
	root := tree(t, "pc")
	put(t, root, "proc/sys/kernel/panic", "0\n")
	if err := os.Remove(root + policyFile); err != nil {
		t.Fatal(err)
	}
	status, out, _ := panicctl(t, "apply", "--root", root)
	wants(t, status, exitOK, out, "kernel.panic = 10: it was 0", "1 setting set, 0 as they were.\n")
	put(t, root, "proc/sys/kernel/panic", "0\n")
	put(t, root, "proc/cmdline", "panic=0\n")
	status, out, _ = panicctl(t, "apply", "--root", root)
	wants(t, status, exitOK, out, "no settings set, 0 as they were.\n")
}

// TestApplyThatIsRefused: one setting that cannot be made does not stop the others.
func TestApplyThatIsRefused(t *testing.T) {
	root := tree(t, "pc")
	broken := root + "/proc/sys/kernel/softlockup_panic"
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(broken, 0o755); err != nil {
		t.Fatal(err)
	}
	status, out, _ := panicctl(t, "apply", "--root", root, "--json", file(t, "panic.on_soft_lockup = yes\npanic.timeout = 20s\n"))
	var all []applied
	if err := json.Unmarshal([]byte(out), &all); err != nil || status != exitAmiss || len(all) != 2 {
		t.Fatalf("%v, status %d, got\n%s", err, status, out)
	}
	results := map[string]applied{all[0].Name: all[0], all[1].Name: all[1]}
	if r := results["kernel.softlockup_panic"]; r.Result != "refused" || r.Error != "is a directory" {
		t.Errorf("got %+v", r)
	}
	if r := results["kernel.panic"]; r.Result != "set" || r.Is != "20" {
		t.Errorf("got %+v", r)
	}
}

// TestApplyWithoutRoot: who is not root is told so, and nothing is changed.
func TestApplyWithoutRoot(t *testing.T) {
	needsRoot(t)
	root := tree(t, "pc")
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	// The directories of a test are for its own user only.
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, root)
	for _, args := range [][]string{{"--dry-run"}, nil} {
		args = append([]string{"apply", "--root", root}, args...)
		status, out, said := start(t, "", nobody, args...)
		wants(t, status, exitDenied, out, "kernel.softlockup_panic = 1: permission denied: it stays 0")
		wants(t, status, exitDenied, said, "there is no such key; the nearest is panic.on_oops")
	}
	if contents(t, root) != before {
		t.Error("the machine has been changed")
	}
	// On the running machine, where nothing could be done anyway.
	status, out, said := start(t, "", nobody, "apply", "--dry-run", "--json", "/dev/null")
	if status != exitOK && status != exitDenied || !json.Valid([]byte(out)) {
		t.Errorf("status %d, got %s, said %s", status, out, said)
	}
	if status, _, said := start(t, "", nobody, "show", "--json"); status != exitOK {
		t.Errorf("show: status %d, said %s", status, said)
	}
}

// TestReadOnlyProc: a real proc that can only be read, as containers have it.
func TestReadOnlyProc(t *testing.T) {
	needsRoot(t)
	root := t.TempDir()
	if err := os.Mkdir(root+"/proc", 0o755); err != nil {
		t.Fatal(err)
	}
	apart := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	name := file(t, "panic.timeout = 4321s\n")
	status, out, said := start(t, readOnly+"="+root, apart, "apply", "--root", root, name)
	wants(t, status, exitDenied, out, "kernel.panic = 4321: read-only file system: it stays ")
	wants(t, status, exitDenied, said, "is sysfs mounted?")
	status, out, _ = start(t, readOnly+"="+root, apart, "apply", "--dry-run", "--root", root, name)
	wants(t, status, exitDenied, out, "kernel.panic = 4321: read-only file system: it stays ")
	status, out, _ = start(t, readOnly+"="+root, apart, "show", "--root", root, "kernel.panic")
	wants(t, status, exitOK, out, "value    ", "file     /proc/sys/kernel/panic")
	status, out, _ = start(t, readOnly+"="+root, apart, "check", "--root", root)
	if status != exitOK && status != exitAmiss || !strings.Contains(out, ".\n") {
		t.Errorf("check: status %d, got %s", status, out)
	}
}

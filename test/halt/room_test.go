// Package halt_test runs reboot, halt and poweroff for real, under a PID 1 of their own.
//
// Nothing here can reach the machine it runs on. The commands run in a new user and a new PID
// namespace: the first takes away every right over the machine, reboot(2) included, the second
// turns what is left of reboot(2) into the end of the namespace (kernel/pid_namespace.c). And the
// PID 1 of these tests starts nothing before it has seen that both are new.
package halt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/halt"
)

// jobEnv carries a job to the PID 1 of a room.
const jobEnv = "REBOUND_TEST_HALT_JOB"

// A job is what the PID 1 of a room has to do.
type job struct {
	// Outer are the namespaces of the test, as /proc/self/ns names them.
	Outer map[string]string
	// Log and Run are directories that become /var/log and /run; Etc becomes /etc if not "".
	Log, Run, Etc string
	// Proc is "own", "none", or "outer" for that of the test's namespace.
	Proc string
	// Argv is the command, with the path of its program before it.
	Path string
	Argv []string
	// Become makes PID 1 execute the command in its own place, without any signal handler.
	Become bool
	// UID is whom to run the command as.
	UID int
	// NoBoot takes CAP_SYS_BOOT from the command.
	NoBoot bool
	// Sweep makes PID 1 send SIGTERM to all when it is told to go down, as an init does that
	// has nothing else to do first.
	Sweep bool
	// Trace writes down some of the command's system calls.
	Trace bool
	// HoldSync lets sync(2) hang, if it is traced.
	HoldSync bool
}

// roomNamespaces are those that a room must have for itself.
func roomNamespaces() []string { return []string{"pid", "user", "mnt"} }

// A report is what PID 1 saw. There is none if the namespace ended before.
type report struct {
	Setup   string // why the room could not be made, "" if it could
	Status  int    // the command's, or 128 and the signal that ended it
	Signals []int  // that reached PID 1, in order
}

// TestMain makes the test binary three programs: the tests, the PID 1 of a room, and, as init's
// binary does, the commands by their names.
func TestMain(m *testing.M) {
	if _, ok := halt.ActionOf(os.Args[0]); ok {
		os.Exit(halt.Main(os.Args, "test", os.Stdout, os.Stderr))
	}
	if text := os.Getenv(jobEnv); text != "" {
		var j job
		if err := json.Unmarshal([]byte(text), &j); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Unsetenv(jobEnv)
		j.serve(os.NewFile(3, "report"))
		os.Exit(0)
	}
	status := m.Run()
	if err := workshop.clear(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// serve is the PID 1 of a room.
func (j *job) serve(out io.Writer) {
	var r report
	signals := make(chan os.Signal, 64)
	for s := syscall.Signal(1); s <= 64; s++ {
		// Of those two there may be any number: children and threads that are traced, and
		// Go's own runtime.
		if s != syscall.SIGCHLD && s != syscall.SIGURG {
			signal.Notify(signals, s)
		}
	}
	if err := j.prepare(); err != nil {
		r.Setup = err.Error()
	} else if j.Become {
		err := syscall.Exec(j.Path, j.Argv, os.Environ())
		r.Setup = fmt.Sprintf("exec %s: %v", j.Path, err)
	} else if err := j.run(&r); err != nil {
		r.Setup = err.Error()
	} else {
		r.Signals = heard(signals)
	}
	if err := json.NewEncoder(out).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// prepare checks that this is a room, and furnishes it.
func (j *job) prepare() error {
	if os.Getpid() != 1 {
		return fmt.Errorf("pid is %d, expected 1", os.Getpid())
	}
	for _, name := range roomNamespaces() {
		// Whichever /proc this is, self is this process.
		own, err := os.Readlink("/proc/self/ns/" + name)
		outer := j.Outer[name]
		if err != nil || own == "" || outer == "" || own == outer {
			return fmt.Errorf("%s namespace is %q (%v), outside it is %q: not in a room",
				name, own, err, outer)
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make / private: %w", err)
	}
	binds := map[string]string{"/var/log": j.Log, "/run": j.Run}
	if j.Etc != "" {
		binds["/etc"] = j.Etc
	}
	for at, dir := range binds {
		if err := unix.Mount(dir, at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s to %s: %w", dir, at, err)
		}
	}
	switch j.Proc {
	case "own":
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return fmt.Errorf("mount /proc: %w", err)
		}
	case "none":
		if err := unix.Mount("none", "/proc", "tmpfs", 0, ""); err != nil {
			return fmt.Errorf("hide /proc: %w", err)
		}
	}
	return nil
}

// run runs the command.
func (j *job) run(r *report) error {
	// Capabilities and tracing belong to the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if j.NoBoot {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_BOOT, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("drop CAP_SYS_BOOT: %w", err)
		}
	}
	if j.Sweep {
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		go func() {
			<-told
			syscall.Kill(-1, syscall.SIGTERM)
		}()
	}
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: j.Trace}}
	if j.UID != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: uint32(j.UID), Gid: uint32(j.UID)}
	}
	pid, err := syscall.ForkExec(j.Path, j.Argv, attr)
	if err != nil {
		return fmt.Errorf("start %s: %w", j.Path, err)
	}
	if j.Trace {
		r.Status, err = follow(pid, os.NewFile(4, "calls"), j.HoldSync)
		return err
	}
	var ws unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &ws, 0, nil)
		if got == pid {
			break
		}
		if err != unix.EINTR {
			return fmt.Errorf("wait for %s: %w", j.Path, err)
		}
	}
	r.Status = exitStatus(ws)
	return nil
}

func exitStatus(ws unix.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

// heard returns the signals that came until now. The last signal there is comes after them: the
// kernel hands out pending ones in the order of their numbers (kernel/signal.c, next_signal).
func heard(signals <-chan os.Signal) []int {
	const last = syscall.Signal(64)
	list := []int{}
	if err := syscall.Kill(1, last); err != nil {
		return list
	}
	for s := range signals {
		if s == last {
			break
		}
		list = append(list, int(s.(syscall.Signal)))
	}
	return list
}

// A room is a place for one command, and how it looks.
type room struct {
	t *testing.T
	job
	init    string // PID 1's name
	title   string // its argv[0], if that is another
	program string // its program, if that is not this test
}

// newRoom returns a room with an empty wtmp, whose PID 1 is an init that hears everything.
func newRoom(t *testing.T) *room {
	t.Helper()
	if uid := os.Getuid(); uid != 0 {
		// Without root a namespace has one user, so that nothing else changes.
		t.Logf("uid %d: the namespace has no other user", uid)
	}
	dir := t.TempDir()
	r := &room{t: t, init: "init"}
	r.Proc = "own"
	r.Log, r.Run = filepath.Join(dir, "log"), filepath.Join(dir, "run")
	for _, d := range []string{r.Log, r.Run} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.writeWtmp(nil)
	return r
}

func (r *room) writeWtmp(content []byte) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.Log, "wtmp"), content, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) wtmp() []byte {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.Log, "wtmp"))
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// A result is what came of a command.
type result struct {
	report
	stdout, stderr string
	calls          []string // if traced
	// end is what the parent of the namespace saw: "exit 0", "hangup", "interrupt" ...
	end string
}

// firstLine is what can be compared with another program that prints its usage behind it.
func (r result) firstLine() string {
	line, _, _ := strings.Cut(r.stderr, "\n")
	return line
}

// limit is how long a command may take before the test calls it hung, on a slow and busy machine.
const limit = 3 * time.Minute

// run runs a command, by the path of its program and its words, in the room. It is called once.
func (r *room) run(path string, argv ...string) result {
	r.t.Helper()
	cmd, written := r.command(path, argv)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// What the command leaves behind may keep the pipes open.
	cmd.WaitDelay = limit
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.skip(err.Error())
		r.t.Fatal(err)
	}
	res := result{stdout: stdout.String(), stderr: stderr.String(), end: end(cmd)}
	report, calls := written()
	if report != "" {
		if err := json.Unmarshal([]byte(report), &res.report); err != nil {
			r.t.Fatalf("report %q: %v", report, err)
		}
	}
	res.calls = strings.FieldsFunc(calls, func(c rune) bool { return c == '\n' })
	if res.Setup != "" {
		r.skip(res.Setup)
		r.t.Fatalf("room: %s", res.Setup)
	}
	return res
}

// command prepares the start of the room's PID 1. The function returned reads what it has written
// down, once it has ended.
func (r *room) command(path string, argv []string) (*exec.Cmd, func() (report, calls string)) {
	r.t.Helper()
	r.Path, r.Argv = path, argv
	r.Outer = map[string]string{}
	for _, name := range roomNamespaces() {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			r.t.Skip("needs /proc with namespaces: ", err)
		}
		r.Outer[name] = link
	}
	text, err := json.Marshal(r.job)
	if err != nil {
		r.t.Fatal(err)
	}
	program := r.program
	if program == "" {
		program = self(r.t)
	}
	// The kernel takes PID 1's name from the path it is executed by.
	named := filepath.Join(r.t.TempDir(), r.init)
	if err := os.Symlink(program, named); err != nil {
		r.t.Fatal(err)
	}
	dir := r.t.TempDir()
	var files []*os.File
	for _, name := range []string{"report", "calls"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	r.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, named)
	if r.title != "" {
		cmd.Args[0] = r.title
	}
	// The race detector lingers for a second at every exit otherwise.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", jobEnv+"="+string(text))
	cmd.ExtraFiles = files
	cmd.Dir = "/"
	users := 1
	if os.Getuid() == 0 {
		users = 1 << 16
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		UidMappings:                []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: users}},
		GidMappings:                []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: users}},
		GidMappingsEnableSetgroups: users > 1,
		Pdeathsig:                  syscall.SIGKILL,
	}
	return cmd, func() (report, calls string) {
		read := func(f *os.File) string {
			b, err := os.ReadFile(f.Name())
			if err != nil {
				r.t.Fatal(err)
			}
			return string(b)
		}
		return read(files[0]), read(files[1])
	}
}

// skip skips the test if the reason is that this system allows no such namespaces.
func (r *room) skip(reason string) {
	r.t.Helper()
	if strings.Contains(reason, "operation not permitted") ||
		strings.Contains(reason, "permission denied") || strings.Contains(reason, "no space left") {
		r.t.Skip("needs user namespaces and a /proc of its own: ", reason)
	}
}

func end(cmd *exec.Cmd) string {
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return ws.Signal().String()
	}
	return fmt.Sprintf("exit %d", ws.ExitStatus())
}

// self is the path of the test binary.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

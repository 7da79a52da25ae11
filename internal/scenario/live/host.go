package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/scenario"
)

// Argv are PID 1's arguments.
func Argv(s *scenario.Scenario) []string { return append([]string{"init"}, s.Machine.Args...) }

// Env is PID 1's environment (init/main.c, envp_init, and what the scenario adds).
func Env(s *scenario.Scenario) []string {
	return append([]string{"HOME=/", "TERM=linux"}, s.Machine.Env...)
}

// Dirs are there in every world.
func Dirs() []string {
	return []string{
		"/bin", "/sbin", "/dev/pts", "/etc", "/proc", "/run", "/sys", "/tmp", "/data", "/var/run",
	}
}

// Furnish puts the programs and files of a scenario below a directory.
func Furnish(dir string, s *scenario.Scenario, p Programs) error {
	for _, d := range Dirs() {
		if err := os.MkdirAll(dir+d, 0o755); err != nil {
			return err
		}
	}
	for to, from := range map[string]string{
		scenario.InitPath: p.Init, scenario.ActorPath: p.Actor, "/bin/sh": p.Shell,
	} {
		if from == "" {
			continue
		}
		if err := copyProgram(from, dir+to); err != nil {
			return err
		}
	}
	for _, name := range Commands() {
		if err := os.Symlink(filepath.Base(scenario.InitPath), dir+name); err != nil {
			return err
		}
	}
	for _, f := range s.Files {
		if err := Put(dir, f); err != nil {
			return err
		}
	}
	return nil
}

// Commands are the names under which init is a command.
func Commands() []string { return []string{"/sbin/reboot", "/sbin/halt", "/sbin/poweroff"} }

// copyProgram copies an executable file.
func copyProgram(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	// A process forked while a program is open for writing keeps it from being run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, text, 0o755)
}

// Put writes a file below a directory, in one move, so that init never reads half of it.
func Put(dir string, f scenario.File) error {
	path := dir + f.Path
	if f.Dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	perm := os.FileMode(0o644)
	if f.Executable {
		perm = 0o755
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	part := path + ".part"
	if err := os.WriteFile(part, []byte(f.Text), perm); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// Seen is the end of a PID namespace as the parent of its PID 1 sees it. It cannot tell halt from
// power-off (kernel/pid_namespace.c, reboot_pid_ns).
func Seen(ws syscall.WaitStatus) (end scenario.End, parent string) {
	if !ws.Signaled() {
		end.How, end.Status = []scenario.How{scenario.Exit}, ws.ExitStatus()
		return end, fmt.Sprintf("exit %d", end.Status)
	}
	switch ws.Signal() {
	case syscall.SIGHUP:
		end.How = []scenario.How{scenario.Reboot}
	case syscall.SIGINT:
		end.How = []scenario.How{scenario.Halt, scenario.PowerOff}
	default:
		end.How = []scenario.How{scenario.Died}
	}
	return end, unix.SignalName(ws.Signal())
}

// SignalAll sends signals to an init on this machine. If they are several it is stopped meanwhile,
// so that all are pending before it takes the first.
func SignalAll(pid int, sigs []syscall.Signal) error {
	settle(pid)
	if len(sigs) > 1 {
		if err := stop(pid); err != nil {
			return err
		}
		sigs = append(sigs[:len(sigs):len(sigs)], syscall.SIGCONT)
	}
	for _, sig := range sigs {
		if err := syscall.Kill(pid, sig); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until an init leads a session, which it makes after it has taken its signals: what
// comes before is lost, and on a busy machine that is late.
func settle(pid int) {
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if sid, err := unix.Getsid(pid); err != nil || sid == pid {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// stop stops a process, and returns when all its threads have stopped.
func stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); !stopped(pid); {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not stop", pid)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		if after == "" || !strings.Contains("TtXZ", after[:1]) {
			return false
		}
	}
	return true
}

// KillNamed sends a signal to the processes of a name in the PID namespace of a process, but not to
// this one.
func KillNamed(pid1 int, name string, sig syscall.Signal) error {
	namespace, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid1))
	if err != nil {
		return err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == pid1 {
			continue
		}
		if ns, err := os.Readlink("/proc/" + e.Name() + "/ns/pid"); err != nil || ns != namespace {
			continue
		}
		if Named("/proc/"+e.Name(), name) {
			_ = syscall.Kill(pid, sig)
		}
	}
	return nil
}

// Named reports whether a process, by its directory in proc, has given itself a name or has it from
// its program.
func Named(dir, name string) bool {
	comm, err := os.ReadFile(dir + "/comm")
	if err == nil && string(comm) == name+"\n" {
		return true
	}
	line, err := os.ReadFile(dir + "/cmdline")
	if err != nil {
		return false
	}
	program, _, _ := strings.Cut(string(line), "\x00")
	program = strings.TrimPrefix(program, "-")
	return program[strings.LastIndexByte(program, '/')+1:] == name
}

package realactor

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/actor/stage"
)

// self is the file that the actor is executed from.
func (a *act) self() string {
	name := strings.TrimPrefix(a.argv0, "-")
	files := []string{"/proc/self/exe", "/bin/" + name}
	if strings.Contains(name, "/") {
		files = slices.Insert(files, 0, name)
	}
	for _, f := range files {
		if unix.Access(f, unix.X_OK) == nil {
			return f
		}
	}
	return name
}

// argv are the arguments of an actor that does the operations under the same name.
func (a *act) argv(ops []actor.Op) []string {
	if a.name != "" {
		ops = append([]actor.Op{actor.As{Name: a.name}}, ops...)
	}
	return append([]string{a.argv0}, actor.Words(ops)...)
}

// environ is the environment of another program.
func (a *act) environ() []string { return append(os.Environ(), a.signals.variables()...) }

// fork does operations in children. It stops when there can be no more.
func (a *act) fork(n int, ops []actor.Op) {
	self, argv, env := a.self(), a.argv(ops), a.environ()
	for range n {
		if _, err := spawn(self, argv, env); err != nil {
			return
		}
	}
}

func spawn(file string, argv, env []string) (int, error) {
	return syscall.ForkExec(file, argv, &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, 1, 2},
	})
}

// files are those that a program's name may mean.
func files(name string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	return []string{"/bin/" + name, "/usr/bin/" + name}
}

// exec becomes another program.
func (a *act) exec(argv []string) int {
	const notFound = 127
	for _, f := range files(argv[0]) {
		if syscall.Exec(f, argv, a.environ()) == unix.ENOEXEC {
			// A text without "#!" (execvp(3)).
			args := append([]string{"/bin/sh", f}, argv[1:]...)
			_ = syscall.Exec(args[0], args, a.environ())
		}
	}
	return notFound
}

// start executes a program in a child, through an actor: so that there is a child even if there is
// no such program.
func (a *act) start(argv []string) {
	a.fork(1, []actor.Op{actor.Exec{Argv: argv}})
}

// wait waits until there are no more children.
func wait() {
	for {
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}

// kill sends a signal. Nobody minds if there is nobody.
func kill(k actor.Kill) {
	if k.Name == "" {
		_ = unix.Kill(int(k.PID), k.Signal)
		return
	}
	proc, err := openProc()
	if err != nil {
		return
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid != 1 && isNamed(proc, name, k.Name) {
			_ = unix.Kill(pid, k.Signal)
		}
	}
}

// openProc opens /proc, or where it is not mounted a proc of one's own.
func openProc() (*os.File, error) {
	if unix.Access("/proc/self", unix.F_OK) == nil {
		return os.Open("/proc")
	}
	return stage.OpenProc()
}

// isNamed reports whether a process has given itself a name, or has it from its program.
func isNamed(proc *os.File, pid, name string) bool {
	return read(proc, pid+"/comm") == name+"\n" ||
		base(strings.SplitN(read(proc, pid+"/cmdline"), "\x00", 2)[0]) == name
}

// read reads the beginning of a file in a directory.
func read(dir *os.File, path string) string {
	fd, err := unix.Openat(int(dir.Fd()), path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

package simkernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// realCase are steps that the simulated and the running kernel are to answer alike, with the errno
// of each. Both begin in an empty tmpfs as root directory, with /d, /mnt and the file /d/f.
type realCase struct {
	name  string
	steps []Step
}

func realCases() []realCase {
	tmpfs := func(target string) Mount { return Mount{Source: "t", Target: target, Type: "tmpfs"} }
	bind := func(from, to string, flags uintptr) Mount {
		return Mount{Source: from, Target: to, Flags: syscall.MS_BIND | flags}
	}
	remount := func(target string, flags uintptr) Mount {
		return Mount{Source: "t", Target: target, Flags: syscall.MS_REMOUNT | flags}
	}
	on := func(target string, flags uintptr) Mount { return Mount{"t", target, "tmpfs", flags, ""} }
	const ro = syscall.MS_RDONLY
	return []realCase{
		{"links", []Step{
			Symlink{"f", "/d/rel"},
			Symlink{"/d/f", "/d/abs"},
			Symlink{"loop2", "/d/loop1"},
			Symlink{"loop1", "/d/loop2"},
			Symlink{"/no", "/d/dangling"},
			Symlink{"..", "/d/up"},
			Symlink{"", "/d/empty"},
			Symlink{"x", "/d/f"},
			Symlink{"x", "/d/f/"},
			openRO("/d/rel"), openRO("/d/rel/"), openRO("/d/abs"), openRO("/d/loop1"),
			openRO("/d/loop1/x"), openRO("/d/dangling"), openRO("/d/up/d/f"), openRO("/d/up/d/up"),
			Append{"/d/dangling", "x"},
			Delete{"/d/loop1"},
			openRO("/d/loop2"),
			Delete{"/d/up/"},
			Open{Path: "/d/rel", Flags: syscall.O_NOFOLLOW, FD: 3},
			Open{Path: "/d/rel", Flags: syscall.O_CREAT | syscall.O_EXCL, FD: 3},
			Rename{"/d/rel", "/d/abs"},
			openRO("/d/abs"),
			Mkdir{Path: "/d/dangling"},
		}},
		{"paths", []Step{
			openRO("//d/./../d//f"), openRO("/../d/f"), openRO("/d/f/"), openRO("/d/f/."),
			openRO("/d/f/.."), openRO("/d/no/.."), openRO(""), openRO("/" + strings.Repeat("n", 256)),
			openRO("/" + strings.Repeat("n", 255)), openRO(strings.Repeat("/d/..", 900)),
			Chdir{"/d"},
			openRO("f"), openRO("./f"), openRO("../d/f"),
			Chdir{"f"},
			Chdir{"no"},
			Chdir{"/"},
			openRO("."),
			Open{Path: "/d", Flags: syscall.O_RDWR, FD: 3},
			Open{Path: "/d/f", Flags: syscall.O_DIRECTORY, FD: 3},
			Open{Path: "/d/new/", Flags: syscall.O_CREAT | syscall.O_RDWR, FD: 3},
			Open{Path: "/d/f/", Flags: syscall.O_CREAT | syscall.O_RDWR, FD: 3},
			Open{Path: "/no/new", Flags: syscall.O_CREAT | syscall.O_RDWR, FD: 3},
			Open{Path: "/d", Flags: syscall.O_CREAT, FD: 3},
		}},
		{"directories", []Step{
			Mkdir{Path: "/d"},
			Mkdir{Path: "/d/"},
			Mkdir{Path: "/"},
			Mkdir{Path: "/d/f"},
			Mkdir{Path: "/d/f/x"},
			Mkdir{Path: "/no/x"},
			Mkdir{Path: "/d/s/"},
			Mkdir{Path: "/d/."},
			Mkdir{Path: "/d/s/t"},
			Rmdir{"/d/s"},
			Rmdir{"/d/f"},
			Rmdir{"/"},
			Rmdir{"/d/s/t/."},
			Rmdir{"/d/s/t/.."},
			Rmdir{"/d/s/t/"},
			Rmdir{"/d/no"},
			Delete{"/d/s"},
			Delete{"/d/no"},
			Delete{"/d/f/"},
			Delete{"/"},
			Delete{"/d/."},
			Delete{"/d/.."},
			Chdir{"/d/s"},
			Rmdir{"/d/s"},
			Mkdir{Path: "x"},
			openRO(".."),
			Append{"x", "x"},
			openRO("."),
		}},
		{"renames", []Step{
			Mkdir{Path: "/d/a"},
			Mkdir{Path: "/d/b"},
			Append{"/d/b/x", "x"},
			Rename{"/d", "/d/a/y"},
			Rename{"/d/a", "/d/a"},
			Rename{"/d/f", "/d/a"},
			Rename{"/d/a", "/d/f"},
			Rename{"/d/a", "/d/b"},
			Rename{"/d/no", "/d/x"},
			Rename{"/d/f", "/no/x"},
			Rename{"/d", "/."},
			Rename{"/", "/x"},
			Rename{"/d/f", "/"},
			Rename{"/d/b", "/d/a"},
			openRO("/d/a/x"), openRO("/d/b"),
			Rename{"/d/f", "/d/a/x"},
			Cat{"/d/a/x"},
			Rename{"/d/a/x", "/d/a/.."},
			tmpfs("/mnt"),
			Rename{"/d/a", "/mnt/a"},
			Rename{"/mnt", "/x"},
			Rename{"/d/a", "/mnt"},
		}},
		{"reading and writing", []Step{
			Append{"/d/f", "two\n"},
			Cat{"/d/f"},
			Truncate{"/d/f", 3},
			Cat{"/d/f"},
			Truncate{"/d", 3},
			Truncate{"/d/no", 3},
			openRW("/d/f"),
			Delete{"/d/f"},
			Write{3, "x"},
			openRO("/d/f"),
			Close{3},
			Close{3},
			Write{3, "x"},
			openRO("/d"),
			Write{3, "x"},
			Cat{"/d"},
			Cat{"/d/no"},
			Mknod{Path: "/d/null", Mode: syscall.S_IFCHR | 0o666, Major: 1, Minor: 3},
			Append{"/d/null", "x"},
			Cat{"/d/null"},
			Mknod{Path: "/d/full", Mode: syscall.S_IFCHR | 0o666, Major: 1, Minor: 7},
			Append{"/d/full", "x"},
			Mknod{Path: "/d/fifo", Mode: syscall.S_IFIFO | 0o600},
			Open{Path: "/d/fifo", Flags: syscall.O_WRONLY | syscall.O_NONBLOCK, FD: 3},
			Open{Path: "/d/fifo", Flags: syscall.O_RDONLY | syscall.O_NONBLOCK, FD: 3},
			Mknod{Path: "/d/sock", Mode: syscall.S_IFSOCK | 0o600},
			openRO("/d/sock"),
			Mknod{Path: "/d/none", Mode: syscall.S_IFBLK | 0o600, Major: 240, Minor: 99},
			openRO("/d/none"),
			Mknod{Path: "/d/x", Mode: syscall.S_IFLNK},
			Fsync{"/d/f"},
			Fsync{"/d/null"},
			List{"/d"},
		}},
		{"no permission", []Step{
			Append{"/d/mine", "x\n"},
			Chown{"/d/mine", 7, 0},
			Chmod{"/d/mine", 0o600},
			Append{"/d/his", "x\n"},
			Chmod{"/d/his", 0o600},
			Mkdir{Path: "/d/closed"},
			Append{"/d/closed/x", "x"},
			Chmod{"/d/closed", 0o600},
			Mkdir{Path: "/d/sticky"},
			Chmod{"/d/sticky", 0o1777},
			Append{"/d/sticky/his", "x"},
			Mkdir{Path: "/d/open"},
			Chmod{"/d/open", 0o777},
			Append{"/d/open/his", "x"},
			SetUID{7},
			Cat{"/d/mine"},
			Cat{"/d/his"},
			Append{"/d/f", "x"},
			Append{"/d/new", "x"},
			openRO("/d/closed/x"), openRO("/d/closed"),
			Chdir{"/d/closed"},
			Delete{"/d/f"},
			Delete{"/d/sticky/his"},
			Rename{"/d/sticky/his", "/d/open/x"},
			Append{"/d/sticky/my", "x"},
			Delete{"/d/sticky/my"},
			Delete{"/d/open/his"},
			Chmod{"/d/his", 0o666},
			Chown{"/d/mine", 0, 0},
			Chmod{"/d/mine", 0o644},
			tmpfs("/mnt"),
			Umount{Target: "/"},
			Umount{Target: "/mnt"},
			Umount{Target: "/no"},
			Chroot{"/d"},
			Mknod{Path: "/d/open/null", Mode: syscall.S_IFCHR, Major: 1, Minor: 3},
			Mknod{Path: "/d/open/fifo", Mode: syscall.S_IFIFO},
			Mkdir{Path: "/d/new"},
			Symlink{"x", "/d/new"},
			Rmdir{"/d/open"},
		}},
		{"mounts", []Step{
			Mount{Target: "/mnt", Type: "nosuchfs"},
			Mount{Target: "/mnt"},
			tmpfs("/no"), tmpfs("/d/f"),
			Mount{Source: "/dev/no", Target: "/mnt", Type: "ext4"},
			Mount{Source: "/d/f", Target: "/mnt", Type: "ext4"},
			Mount{Target: "/mnt", Type: "tmpfs", Data: "sise=1"},
			tmpfs("/mnt"), tmpfs("/mnt"),
			Append{"/mnt/x", "x"},
			Umount{Target: "/mnt"},
			openRO("/mnt/x"),
			Umount{Target: "/mnt"},
			Umount{Target: "/mnt"},
			Umount{Target: "/no"},
			Umount{"/mnt", 0x80},
			Umount{Target: "/d/f"},
			Mount{Source: "proc", Target: "/mnt", Type: "proc"},
			Mount{Source: "proc", Target: "/mnt", Type: "proc"},
		}},
		{"busy", []Step{
			tmpfs("/mnt"),
			Append{"/mnt/f", "x"},
			openRO("/mnt/f"),
			Umount{Target: "/mnt"},
			Umount{"/mnt", mntForce},
			Close{3},
			Mkdir{Path: "/mnt/s"},
			Chdir{"/mnt/s"},
			Umount{Target: "/mnt"},
			Chdir{"/"},
			tmpfs("/mnt/s"),
			Umount{Target: "/mnt"},
			Rmdir{"/mnt/s"},
			Rename{"/mnt/s", "/mnt/t"},
			Delete{"/mnt/s"},
			Umount{Target: "/mnt/s"},
			Umount{"/mnt", mntExpire | mntForce},
			Umount{"/mnt", mntDetach},
			Umount{Target: "/mnt"},
		}},
		{"expire", []Step{
			tmpfs("/mnt"),
			Chdir{"/mnt"},
			Umount{"/mnt", mntExpire},
			Chdir{"/"},
			Umount{"/mnt", mntExpire},
			Umount{"/mnt", mntExpire},
		}},
		{"lazy", []Step{
			tmpfs("/mnt"),
			Append{"/mnt/f", "x\n"},
			openRW("/mnt/f"),
			Chdir{"/mnt"},
			Umount{"/mnt", mntDetach},
			openRO("/mnt/f"),
			Cat{"f"},
			Write{3, "y"},
			Cat{"f"},
			Append{"g", "x"},
			openRO(".."),
			Chdir{".."},
			openRO("f"),
			Chdir{"/"},
			openRO("d"),
		}},
		{"read-only", []Step{
			tmpfs("/mnt"),
			Append{"/mnt/f", "x\n"},
			openRW("/mnt/f"), remount("/mnt", ro),
			Close{3},
			openRO("/mnt/f"), remount("/mnt", ro),
			Append{"/mnt/f", "y"},
			Append{"/mnt/new", "y"},
			Mkdir{Path: "/mnt/new"},
			Mkdir{Path: "/mnt"},
			Mkdir{Path: "/mnt/f"},
			Delete{"/mnt/f"},
			Delete{"/mnt/no"},
			Rmdir{"/mnt/no"},
			Rename{"/mnt/f", "/mnt/g"},
			Rename{"/mnt/f", "/d/g"},
			Symlink{"x", "/mnt/l"},
			Truncate{"/mnt/f", 0},
			Chmod{"/mnt/f", 0},
			openRW("/mnt/f"),
			Open{Path: "/mnt/f", Flags: syscall.O_CREAT, FD: 3},
			Open{Path: "/mnt/new", Flags: syscall.O_CREAT, FD: 3},
			remount("/d", ro),
			remount("/mnt", 0),
			Append{"/mnt/f", "y\n"},
			Cat{"/mnt/f"},
			openRO("/mnt/f"),
			Delete{"/mnt/f"},
			remount("/mnt", ro),
			Close{3},
			remount("/mnt", ro), on("/mnt", ro),
			Append{"/mnt/x", "x"},
		}},
		{"bind", []Step{
			bind("/d", "/mnt", 0),
			Cat{"/mnt/f"},
			bind("/d/f", "/mnt", 0), bind("/no", "/mnt", 0),
			remount("/mnt", ro|syscall.MS_BIND),
			Append{"/mnt/f", "x"},
			Append{"/d/f", "x\n"},
			Cat{"/mnt/f"},
			Umount{Target: "/mnt"},
			Mkdir{Path: "/d/s"},
			tmpfs("/d/s"),
			Append{"/d/s/x", "x"},
			bind("/d", "/mnt", 0), openRO("/mnt/s/x"),
			Umount{Target: "/mnt"},
			bind("/d", "/mnt", syscall.MS_REC), openRO("/mnt/s/x"),
			Umount{Target: "/mnt"},
			Umount{"/mnt", mntDetach},
			openRO("/d/s/x"),
			Append{"/file", ""},
			bind("/d/f", "/file", 0),
			Cat{"/file"},
			Delete{"/file"},
			Umount{Target: "/file"},
			Delete{"/file"},
		}},
		{"move", []Step{
			tmpfs("/mnt"),
			Append{"/mnt/f", "x"},
			Mkdir{Path: "/mnt/s"},
			Mkdir{Path: "/to"},
			Mount{Source: "/mnt", Target: "/mnt/s", Flags: syscall.MS_MOVE},
			Mount{Source: "/d", Target: "/to", Flags: syscall.MS_MOVE},
			Mount{Source: "/mnt", Target: "/d/f", Flags: syscall.MS_MOVE},
			Mount{Source: "/mnt", Target: "/to", Flags: syscall.MS_MOVE},
			openRO("/to/f"),
			openRO("/mnt/f"),
			Umount{Target: "/mnt"},
			Umount{Target: "/to"},
		}},
		{"options", []Step{
			on("/mnt", syscall.MS_NODEV|syscall.MS_NOEXEC),
			Mknod{Path: "/mnt/null", Mode: syscall.S_IFCHR | 0o666, Major: 1, Minor: 3},
			openRO("/mnt/null"),
			Umount{Target: "/mnt"},
			Mount{"t", "/mnt", "tmpfs", 0, "size=8k,mode=700"},
			Fill{"/mnt/a", 8193},
			Delete{"/mnt/a"},
			Fill{"/mnt/a", 8192},
			Append{"/mnt/a", "x"},
			Delete{"/mnt/a"},
			Fill{"/mnt/a", 4096},
			Append{"/mnt/b", "x"},
			Append{"/mnt/c", "x"},
		}},
		{"table", []Step{
			Mkdir{Path: "/p"},
			Mount{Source: "proc", Target: "/p", Type: "proc", Flags: syscall.MS_NOSUID},
			Mkdir{Path: "/d/a b#\\"},
			Mount{"s p#", "/d/a b#\\", "tmpfs", syscall.MS_NOATIME, "mode=755,size=1m"},
			bind("/d", "/mnt", 0), remount("/mnt", ro|syscall.MS_BIND|syscall.MS_NODEV), on("/d", ro|syscall.MS_NOEXEC),
			Mount{"u", "/d", "tmpfs", syscall.MS_STRICTATIME, ""},
			Cat{"/p/mounts"},
			Umount{Target: "/d"},
			Umount{Target: "/d"},
			Mkdir{Path: "/d/x"},
			Rename{"/d/x", "/d/y"},
			Mount{"y", "/d/y", "tmpfs", 0, ""},
			Rename{"/d", "/e"},
			Cat{"/p/self/mounts"},
			Mkdir{Path: "/new"},
			bind("/e", "/new", 0),
			Chroot{"/new"},
			Cat{"/p/mounts"},
		}},
		{"proc", []Step{
			Mkdir{Path: "/p"},
			Mount{Source: "proc", Target: "/p", Type: "proc"},
			Mkdir{Path: "/p/x"},
			Append{"/p/x", "x"},
			Delete{"/p/uptime"},
			Rename{"/p/uptime", "/p/x"},
			Append{"/p/uptime", "x"},
			Append{"/p/sys/kernel/osrelease", "x"},
			Append{"/p/sys/kernel/panic", "ten\n"},
			Append{"/p/sys/kernel/panic", "10s\n"},
			Append{"/p/sys/kernel/panic", "2147483648\n"},
			Append{"/p/sys/kernel/panic_on_warn", "2\n"},
			Append{"/p/sys/kernel/hung_task_warnings", "-2\n"},
			Append{"/p/sys/kernel/oops_limit", "4294967296\n"},
			Append{"/p/sys/vm/dirty_expire_centisecs", "2147483648\n"},
			Append{"/p/sys/vm/overcommit_memory", "3\n"},
			Append{"/p/sys/kernel/printk", "x\n"},
			Append{"/p/sys/kernel/printk_devkmsg", "foo\n"},
			Append{"/p/sys/kernel/none", "1\n"},
			Cat{"/p/sys/kernel"},
			Chdir{"/p/self/task"},
			Chdir{"/p/none"},
			Umount{Target: "/p"},
			Chdir{"/"},
			Umount{Target: "/p"},
		}},
		{"root", []Step{
			Append{"/x", "x"},
			Umount{Target: "/"},
			Append{"/x", "x"},
			Umount{Target: "/"},
			remount("/", 0),
			Append{"/x", "x"},
			openRW("/x"),
			Umount{Target: "/"},
			Rmdir{"/"},
		}},
		{"sysfs", []Step{
			Mkdir{Path: "/s"},
			Mount{Source: "s", Target: "/s", Type: "sysfs"},
			Mkdir{Path: "/s/kernel/x"},
			Append{"/s/kernel/x", "x"},
			Rmdir{"/s/kernel"},
			Rmdir{"/s/none"},
			Delete{"/s/none"},
			tmpfs("/s/fs"),
			Umount{Target: "/s"},
		}},
	}
}

// realEnv names the case in the environment of a process that plays it on the running kernel.
const realEnv = "SIMKERNEL_REAL_CASE"

// TestAsTheRunningKernel plays the cases in a mount and PID namespace of the running kernel, and
// compares what it answers.
func TestAsTheRunningKernel(t *testing.T) {
	if name := os.Getenv(realEnv); name != "" {
		playReal(name)
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for mounts and namespaces of its own")
	}
	for _, c := range realCases() {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestAsTheRunningKernel$")
			cmd.Env = append(os.Environ(), realEnv+"="+c.name)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				if errors.Is(err, syscall.EPERM) {
					t.Skip("needs the right to make mount and PID namespaces")
				}
				t.Fatalf("%v: %s", err, out)
			}
			wantEqual(t, "the running kernel (-) and the simulated one (+)",
				strings.Split(playSimulated(t, c), "\n"), strings.Split(string(out), "\n"))
		})
	}
}

// line is what a step has come to. The numbers of mounts and devices are those of their order.
func line(s Step, text string, e kernel.Errno) string {
	if cat, ok := s.(Cat); ok && strings.HasSuffix(cat.Path, "mountinfo") {
		text = ordinals(text)
	}
	return fmt.Sprintf("%T%.60v: %s%s\n", s, s, text, errnoName(e))
}

// ordinals replaces the numbers in a mountinfo. A mount that is not shown is 0.
func ordinals(text string) string {
	mounts, devices := make(map[string]int), make(map[string]int)
	var all [][]string
	for l := range strings.Lines(text) {
		f := strings.SplitN(l, " ", 4)
		mounts[f[0]] = len(mounts) + 1
		if devices[f[2]] == 0 {
			devices[f[2]] = len(devices) + 1
		}
		all = append(all, f)
	}
	var b strings.Builder
	for _, f := range all {
		fmt.Fprintf(&b, "%d %d %d %s", mounts[f[0]], mounts[f[1]], devices[f[2]], f[3])
	}
	return b.String()
}

func playSimulated(t *testing.T, c realCase) string {
	var out strings.Builder
	var steps []Step
	for _, s := range c.steps {
		var text string
		if cat, ok := s.(Cat); ok {
			// What it says goes past the console.
			steps = append(steps, noteStep{func(m *Machine) {
				_, b, _ := m.readFile(m.current, cat.Path, followLast)
				text = string(b)
			}})
		}
		if ls, ok := s.(List); ok {
			steps = append(steps, noteStep{func(m *Machine) {
				names, _ := m.readDir(m.current, ls.Dir)
				text = strings.Join(names, " ")
			}})
		}
		steps = append(steps, s, noteStep{func(m *Machine) {
			out.WriteString(line(s, text, kernel.Errno(m.current.errno)))
		}})
	}
	perform(t, Config{
		NoShell: true,
		Mounts:  []Mount{{Source: "t", Target: "/", Type: "tmpfs"}, {Source: "t", Target: "/top", Type: "tmpfs"}},
		Dirs:    []string{"/top/mnt"}, Files: map[string]string{"/top/d/f": "one\n"},
	}, append([]Step{Chroot{"/top"}, Chdir{"/"}}, steps...)...)
	return out.String()
}

// playReal plays a case on the running kernel, in the namespaces that this process has been put
// into.
func playReal(name string) {
	must := func(err error) {
		if err != nil {
			fmt.Println("setting up:", err)
			os.Exit(1)
		}
	}
	must(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	top := os.TempDir()
	must(syscall.Mount("t", top, "tmpfs", 0, ""))
	must(os.MkdirAll(filepath.Join(top, "mnt"), 0o755))
	must(os.MkdirAll(filepath.Join(top, "d"), 0o755))
	must(os.WriteFile(filepath.Join(top, "d/f"), []byte("one\n"), 0o644))
	must(syscall.Chroot(top))
	must(syscall.Chdir("/"))
	syscall.Umask(0)
	fds := make(map[int]int)
	for _, c := range realCases() {
		if c.name != name {
			continue
		}
		for _, s := range c.steps {
			text, err := doReal(s, fds)
			var errno syscall.Errno
			errors.As(err, &errno)
			fmt.Print(line(s, text, errno))
		}
	}
}

// doReal makes the system calls of a step.
func doReal(s Step, fds map[int]int) (string, error) {
	open := func(path string, flags int, mode uint16, use func(fd int) error) error {
		fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, uint32(mode))
		if err != nil {
			return err
		}
		return errors.Join(use(fd), syscall.Close(fd))
	}
	write := func(text string) func(fd int) error {
		return func(fd int) error {
			_, err := syscall.Write(fd, []byte(text))
			return err
		}
	}
	switch s := s.(type) {
	case Open:
		fd, err := syscall.Open(s.Path, s.Flags|syscall.O_CLOEXEC, uint32(s.Mode))
		if err == nil {
			if old, ok := fds[s.FD]; ok {
				syscall.Close(old)
			}
			fds[s.FD] = fd
		}
		return "", err
	case Close:
		fd, ok := fds[s.FD]
		delete(fds, s.FD)
		if !ok {
			return "", syscall.EBADF
		}
		return "", syscall.Close(fd)
	case Write:
		fd, ok := fds[s.FD]
		if !ok {
			return "", syscall.EBADF
		}
		return "", write(s.Text)(fd)
	case Append:
		return "", open(s.Path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_APPEND, 0o644, write(s.Text))
	case Fill:
		return "", open(s.Path, syscall.O_WRONLY|syscall.O_CREAT, 0o644, func(fd int) error {
			n, err := syscall.Write(fd, make([]byte, s.Bytes))
			if err == nil && n < int(s.Bytes) {
				err = syscall.ENOSPC
			}
			return err
		})
	case Cat:
		b, err := os.ReadFile(s.Path)
		return string(b), err
	case List:
		entries, err := os.ReadDir(s.Dir)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		slices.Sort(names)
		return strings.Join(names, " "), err
	case Truncate:
		return "", syscall.Truncate(s.Path, s.Size)
	case Delete:
		return "", syscall.Unlink(s.Path)
	case Rmdir:
		return "", syscall.Rmdir(s.Path)
	case Mkdir:
		return "", syscall.Mkdir(s.Path, 0o755)
	case Symlink:
		return "", syscall.Symlink(s.Target, s.Path)
	case Mknod:
		return "", syscall.Mknod(s.Path, s.Mode, int(s.Major)<<8|int(s.Minor))
	case Rename:
		return "", syscall.Rename(s.From, s.To)
	case Chmod:
		return "", syscall.Chmod(s.Path, uint32(s.Mode))
	case Chown:
		return "", syscall.Chown(s.Path, s.UID, s.GID)
	case Chdir:
		return "", syscall.Chdir(s.Dir)
	case Chroot:
		return "", syscall.Chroot(s.Dir)
	case Fsync:
		return "", open(s.Path, syscall.O_RDONLY, 0, syscall.Fsync)
	case Mount:
		return "", syscall.Mount(s.Source, s.Target, s.Type, s.Flags, s.Data)
	case Umount:
		return "", syscall.Unmount(s.Target, s.Flags)
	case SetUID:
		return "", errors.Join(syscall.Setresuid(s.UID, s.UID, s.UID))
	}
	return "", fmt.Errorf("no such step: %T", s)
}

// TestKmsgAsTheRunningKernel: a record comes back in the same form.
func TestKmsgAsTheRunningKernel(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for the kernel log")
	}
	fd, err := syscall.Open("/dev/kmsg", syscall.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("needs /dev/kmsg:", err)
	}
	defer syscall.Close(fd)
	// Behind the last record.
	if _, err := syscall.Seek(fd, 0, 2); err != nil {
		t.Fatal(err)
	}
	const text = "<15>rebound simkernel test \x01 \\ \u00e9 \x7f."
	numbers := regexp.MustCompile(`^(\d+),\d+,\d+,`)
	record := func(read func(b []byte) (int, error)) string {
		b := make([]byte, 4096)
		for range 100 {
			n, err := read(b)
			if err != nil {
				return err.Error()
			}
			// Others may write, too.
			if bytes.Contains(b[:n], []byte("rebound simkernel test")) {
				return numbers.ReplaceAllString(string(b[:n]), "$1,N,N,")
			}
		}
		return "nothing"
	}
	if _, err := syscall.Write(fd, []byte(text)); err != nil {
		t.Skip("needs a kernel log that takes records:", err)
	}
	onReal := func(b []byte) (int, error) { return syscall.Read(fd, b) }
	real := record(onReal) // nothing, unless somebody else writes at this moment
	if real == kernel.EAGAIN.Error() {
		syscall.Write(fd, []byte("\n"))
		real = "open, " + record(onReal)
	}
	_, realLong := syscall.Write(fd, make([]byte, 2000))
	// A record that does not fit is gone for its reader.
	const two = "<15>rebound simkernel test, the first\n"
	syscall.Write(fd, []byte(two))
	_, realShort := syscall.Read(fd, make([]byte, 5))
	syscall.Write(fd, []byte(strings.Replace(two, "first", "second", 1)))
	realNext := record(onReal)

	m := New(Config{})
	m.Boot(func(k kernel.Kernel) int {
		until(k, time.Second)
		fd, _ := k.Open("/dev/kmsg")
		k.Write(fd, []byte(text))
		simulated := func(b []byte) (int, error) { return k.Read(fd, b) }
		got := ""
		if strings.HasPrefix(real, "open, ") {
			wantEqual(t, "open record", record(simulated), kernel.EAGAIN.Error())
			got = "open, "
		}
		k.Write(fd, []byte("\n"))
		wantEqual(t, "record", got+record(simulated), real)
		_, long := k.Write(fd, make([]byte, 2000))
		wantEqual(t, "a long one", fmt.Sprint(long), fmt.Sprint(realLong))
		k.Write(fd, []byte(two))
		_, short := k.Read(fd, make([]byte, 5))
		wantEqual(t, "little room", fmt.Sprint(short), fmt.Sprint(realShort))
		k.Write(fd, []byte(strings.Replace(two, "first", "second", 1)))
		wantEqual(t, "the record after it", record(simulated), realNext)
		m.finish(End{})
		return 0
	})
}

// TestCleanAsTheRunningKernel: when an ext4 is clean, as its superblock says.
func TestCleanAsTheRunningKernel(t *testing.T) {
	if dir := os.Getenv(cleanEnv); dir != "" {
		playClean(dir)
		os.Exit(0)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for loop devices and mounts")
	}
	for _, tool := range []string{"mkfs.ext4", "dumpe2fs", "losetup"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs the program", tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices:", err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCleanAsTheRunningKernel$")
	cmd.Env = append(os.Environ(), cleanEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	d := &Disk{}
	cfg := slow(d)
	cfg.Mounts = nil
	var said strings.Builder
	var steps []Step
	for _, s := range cleanSteps() {
		steps = append(steps, s, noteStep{func(m *Machine) {
			fmt.Fprintf(&said, "%T %s %t\n", s, errnoName(kernel.Errno(m.current.errno)), d.Clean())
		}})
	}
	perform(t, cfg, steps...)
	wantEqual(t, "the running kernel (-) and the simulated one (+)", said.String(), string(out))
}

// cleanEnv is the directory for the process that does it on the running kernel.
const cleanEnv = "SIMKERNEL_REAL_CLEAN"

// cleanSteps are done with an ext4 on /dev/vda, and /data to mount it on.
func cleanSteps() []Step {
	mount := ext4("/dev/vda", "/data")
	ro := mount
	ro.Flags = syscall.MS_RDONLY
	return []Step{
		mount,
		Append{"/data/f", "x"},
		Sync{},
		Umount{Target: "/data"},
		mount, openRW("/data/f"),
		Mount{"/dev/vda", "/data", "ext4", remountRO, ""},
		Umount{Target: "/data"},
		Close{3},
		Mount{"/dev/vda", "/data", "ext4", remountRO, ""},
		Append{"/data/g", "x"},
		Mount{"/dev/vda", "/data", "ext4", remountRW, ""},
		Append{"/data/g", "x"},
		Umount{"/data", mntDetach},
		ro,
		Umount{Target: "/data"},
	}
}

func playClean(dir string) {
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			fmt.Println(name, err, string(out))
			os.Exit(1)
		}
		return strings.TrimSpace(string(out))
	}
	image, data := filepath.Join(dir, "image"), filepath.Join(dir, "data")
	run("truncate", "-s", "8M", image)
	run("mkfs.ext4", "-q", image)
	if err := errors.Join(
		os.Mkdir(data, 0o755), syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
	); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	loop := run("losetup", "-f", "--show", image)
	defer run("losetup", "-d", loop)
	fds := make(map[int]int)
	for _, s := range cleanSteps() {
		var err error
		switch s := s.(type) {
		case Mount:
			s.Source, s.Target = loop, data
			_, err = doReal(s, fds)
		case Umount:
			s.Target = data
			_, err = doReal(s, fds)
		case Append:
			s.Path = filepath.Join(data, filepath.Base(s.Path))
			_, err = doReal(s, fds)
		case Open:
			s.Path = filepath.Join(data, filepath.Base(s.Path))
			_, err = doReal(s, fds)
		case Sync:
			syscall.Sync()
		default:
			_, err = doReal(s, fds)
		}
		var errno syscall.Errno
		errors.As(err, &errno)
		state := run("dumpe2fs", "-h", loop)
		fmt.Printf("%T %s %t\n", s, errnoName(errno), !strings.Contains(state, "needs_recovery"))
	}
}

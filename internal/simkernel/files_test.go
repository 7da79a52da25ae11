package simkernel

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// told lets a program take steps, and tell the errno of each.
func told(steps ...Step) []Step {
	var all []Step
	for _, s := range steps {
		all = append(all, s, SayErrno{})
	}
	return all
}

// perform runs one program on a machine for ten seconds, and returns the machine and what the program
// has said, in words.
func perform(t *testing.T, cfg Config, steps ...Step) (*Machine, string) {
	t.Helper()
	if cfg.Programs == nil {
		cfg.Programs = make(map[string]Program)
	}
	cfg.Programs["/bin/p"] = Program{Steps: steps}
	m := New(cfg)
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, 10*time.Second)
		m.finish(End{How: TimedOut})
		return 0
	})
	return m, strings.Join(strings.Fields(m.ConsoleText()), " ")
}

func TestPathResolution(t *testing.T) {
	cfg := Config{
		Files: map[string]string{"/d/f": "text\n", "/d/secret/f": ""},
		Dirs:  []string{"/d/closed", "/tmp", "/empty"},
	}
	links := []Step{
		Symlink{"f", "/d/rel"},
		Symlink{"/d/f", "/d/abs"},
		Symlink{"loop2", "/d/loop1"},
		Symlink{"loop1", "/d/loop2"},
		Symlink{"/no/such", "/d/dangling"},
		Symlink{"/d", "/dl"},
		Symlink{"..", "/d/up"},
	}
	open := func(path string) Step { return Open{Path: path, FD: 3} }
	for _, test := range []struct {
		step Step
		want string
	}{
		{open("/d/f"), "ok"},
		{open("//d/./../d//f"), "ok"},
		{open("/../../d/f"), "ok"},
		{open("/d/f/"), "ENOTDIR"},
		{open("/d/f/x"), "ENOTDIR"},
		{open("/d/f/.."), "ENOTDIR"},
		{open("/d/no"), "ENOENT"},
		{open("/d/no/f"), "ENOENT"},
		{open(""), "ENOENT"},
		{open("/d/rel"), "ok"},
		{open("/d/rel/"), "ENOTDIR"},
		{open("/d/abs"), "ok"},
		{open("/dl/rel"), "ok"},
		{open("/d/up/d/f"), "ok"},
		{open("/d/loop1"), "ELOOP"},
		{open("/d/loop1/f"), "ELOOP"},
		{open("/d/dangling"), "ENOENT"},
		{Open{Path: "/d/rel", Flags: syscall.O_NOFOLLOW, FD: 3}, "ELOOP"},
		{Open{Path: "/d/f", Flags: syscall.O_DIRECTORY, FD: 3}, "ENOTDIR"},
		{Open{Path: "/d", Flags: syscall.O_RDWR, FD: 3}, "EISDIR"},
		{Open{Path: "/d/f", Flags: syscall.O_CREAT | syscall.O_EXCL, FD: 3}, "EEXIST"},
		{Open{Path: "/d/rel", Flags: syscall.O_CREAT | syscall.O_EXCL, FD: 3}, "EEXIST"},
		{Open{Path: "/d/new/", Flags: syscall.O_CREAT, FD: 3}, "EISDIR"},
		{open("/" + strings.Repeat("n", 256)), "ENAMETOOLONG"},
		{open("/" + strings.Repeat("n", 255)), "ENOENT"},
		{open(strings.Repeat("/d/..", 900)), "ENAMETOOLONG"},
		{Mkdir{Path: "/d"}, "EEXIST"},
		{Mkdir{Path: "/"}, "EEXIST"},
		{Mkdir{Path: "/d/f/x"}, "ENOTDIR"},
		{Mkdir{Path: "/no/x"}, "ENOENT"},
		{Mkdir{Path: "/d/rel"}, "EEXIST"},
		{Symlink{"", "/d/l"}, "ENOENT"},
		{Delete{"/d"}, "EISDIR"},
		{Delete{"/d/no"}, "ENOENT"},
		{Delete{"/d/f/"}, "ENOTDIR"},
		{Delete{"/"}, "EISDIR"},
		{Rmdir{"/d"}, "ENOTEMPTY"},
		{Rmdir{"/d/f"}, "ENOTDIR"},
		{Rmdir{"/"}, "EBUSY"},
		{Rmdir{"/empty/."}, "EINVAL"},
		{Rmdir{"/empty/.."}, "ENOTEMPTY"},
		{Rmdir{"/empty"}, "ok"},
		{Rename{"/d", "/d/closed/x"}, "EINVAL"},
		{Rename{"/d/f", "/d/closed"}, "EISDIR"},
		{Rename{"/d/closed", "/d/f"}, "ENOTDIR"},
		{Rename{"/tmp", "/d"}, "ENOTEMPTY"},
		{Rename{"/d/no", "/x"}, "ENOENT"},
		{Rename{"/d/f", "/d/f"}, "ok"},
		{Rename{"/d", "/."}, "EBUSY"},
		{Truncate{"/d/f", 2}, "ok"},
		{Truncate{"/d", 2}, "EISDIR"},
		{Fsync{"/d/f"}, "ok"},
		{Fsync{"/dev/null"}, "EINVAL"},
		{Chdir{"/d/f"}, "ENOTDIR"},
		{Mknod{Path: "/d/fifo", Mode: syscall.S_IFIFO | 0o600}, "ok"},
		{Mknod{Path: "/d/x", Mode: syscall.S_IFDIR}, "EINVAL"},
		{open("/dev/kmsg"), "ok"},
		{open("/dev/tty"), "ENXIO"},
		{Append{"/dev/full", "x"}, "ENOSPC"},
		{Append{"/dev/null", "x"}, "ok"},
	} {
		_, got := perform(t, cfg, append(links, told(test.step)...)...)
		if got != test.want {
			t.Errorf("%T%+v: got %s, want %s", test.step, test.step, got, test.want)
		}
	}
}

// TestPermissions are those of a process that is not root.
func TestPermissions(t *testing.T) {
	cfg := Config{
		Files: map[string]string{"/open/f": "", "/open/mine": "", "/closed/f": "", "/tmp/root": ""},
	}
	before := []Step{
		Chmod{"/open", 0o777},
		Chmod{"/open/f", 0o640},
		Chown{"/open/mine", 7, 0},
		Chmod{"/open/mine", 0o600},
		Chmod{"/closed", 0o600},
		Append{"/open/group", ""},
		Chown{"/open/group", 0, 5},
		Chmod{"/open/group", 0o660},
		Chmod{"/tmp", 0o1777},
		SetUID{7},
	}
	read := func(p string) Step { return Open{Path: p, FD: 3} }
	write := func(p string) Step { return Open{Path: p, Flags: syscall.O_WRONLY, FD: 3} }
	for _, test := range []struct {
		step Step
		want string
	}{
		{write("/open/f"), "EACCES"},
		{write("/open/mine"), "ok"},
		{read("/open/f"), "ok"},
		{read("/open/group"), "EACCES"},
		{read("/closed/f"), "EACCES"},
		{read("/closed"), "EACCES"},
		{Chdir{"/closed"}, "EACCES"},
		{Append{"/open/new", "x"}, "ok"},
		{Append{"/new", "x"}, "EACCES"},
		{Delete{"/open/f"}, "ok"},
		{Delete{"/bin/p"}, "EACCES"},
		{Delete{"/tmp/root"}, "EPERM"},
		{Rename{"/tmp/root", "/open/x"}, "EPERM"},
		{Chmod{"/open/f", 0o666}, "EPERM"},
		{Chown{"/open/mine", 0, 0}, "EPERM"},
		{Mknod{Path: "/open/null", Mode: syscall.S_IFCHR, Major: 1, Minor: 3}, "EPERM"},
		{Mount{Type: "tmpfs", Target: "/open"}, "EPERM"},
		{Umount{Target: "/"}, "EPERM"},
		{Swapon{"/open/f"}, "EPERM"},
		{Chroot{"/open"}, "EPERM"},
	} {
		_, got := perform(t, cfg, append(before, told(test.step)...)...)
		if got != test.want {
			t.Errorf("%T%+v: got %s, want %s", test.step, test.step, got, test.want)
		}
	}
}

func TestFilesAreRead(t *testing.T) {
	_, got := perform(t, Config{Files: map[string]string{"/f": "one\n"}},
		Append{"/f", "two\n"}, Cat{"/f"},
		Rename{"/f", "/g"}, Open{Path: "/g", Flags: syscall.O_RDWR, FD: 5}, Delete{"/g"},
		Write{5, "three\n"}, Cat{"/proc/none"}, SayErrno{}, Cat{"/g"}, SayErrno{},
		Mkdir{Path: "/d"}, Chdir{"/d"}, Append{"rel", "x\n"}, Cat{"/d/rel"}, List{"."},
		Fill{"/d/big", 10}, Truncate{"/d/rel", 1}, Append{"/d/rel", "y\n"}, Cat{"rel"},
		Close{5}, SayErrno{}, Close{5}, SayErrno{}, Write{5, "x"}, SayErrno{},
	)
	wantEqual(t, "said", got, "one two ENOENT ENOENT x rel xy ok EBADF EBADF")
}

func TestChroot(t *testing.T) {
	_, got := perform(t, Config{
		Files: map[string]string{"/new/f": "inside\n", "/f": "outside\n"}, Dirs: []string{"/new/proc"},
	},
		Chdir{"/"}, Chroot{"/new"}, Cat{"/f"}, Cat{"/../f"}, Cat{"f"},
		Mount{Type: "proc", Target: "/proc"}, Cat{"/proc/mounts"})
	wantEqual(t, "said", got, "inside inside outside none /proc proc rw,relatime 0 0")
}

func TestCheckEndsTheProgram(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{
		"p": {Delete{"/no"}, Check{}, Say{"not reached"}},
	})})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		got := statuses(until(k, time.Second))
		wantEqual(t, "ends", got, []kernel.WaitStatus{kernel.WaitStatus(syscall.ENOENT) << 8})
		return 0
	})
}

// TestLargeDirectory has an index, and takes it along.
func TestLargeDirectory(t *testing.T) {
	m := New(Config{})
	for i := range 100 {
		WriteFile{"/d/" + strings.Repeat("x", i+1), "text"}.act(m)
	}
	for i := range 50 {
		RemoveFile{"/d/" + strings.Repeat("x", 2*i+1)}.act(m)
	}
	names, e := m.readDir(nil, "/d")
	if e != 0 || len(names) != 50 {
		t.Errorf("readDir: got %d names, %v", len(names), e)
	}
	for i := range 100 {
		if _, ok := m.File("/d/" + strings.Repeat("x", i+1)); ok != (i%2 == 1) {
			t.Errorf("file %d is there: %t", i+1, ok)
		}
	}
}

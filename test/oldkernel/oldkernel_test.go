package oldkernel_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/oldkernel"
)

// asOld is the word that makes this program print what a kernel has.
const asOld = "old-kernel"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asOld {
		if err := printCalls(os.Args[2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// printCalls prints the errno of each call that is to be refused somewhere, asked for in a way that
// a kernel which has it refuses by another.
func printCalls(version string) error {
	runtime.LockOSThread()
	k, err := oldkernel.Named(version)
	if err != nil {
		return err
	}
	if err := k.Enter(); err != nil {
		return err
	}
	const none = ^uintptr(0)
	for _, c := range []struct {
		name   string
		number uintptr
		args   [3]uintptr
	}{
		{"memfd_create", unix.SYS_MEMFD_CREATE, [3]uintptr{}},
		{"open_tree", unix.SYS_OPEN_TREE, [3]uintptr{none, 0, none}},
		{"clone3", unix.SYS_CLONE3, [3]uintptr{0, 64}},
		{"clone3 of libc", unix.SYS_CLONE3, [3]uintptr{0, 88}},
		{"close_range", unix.SYS_CLOSE_RANGE, [3]uintptr{none, none, 0}},
		{"close_range CLOEXEC", unix.SYS_CLOSE_RANGE, [3]uintptr{none, none, 4}},
		{"dup", unix.SYS_DUP, [3]uintptr{none}},
	} {
		_, _, errno := unix.RawSyscall(c.number, c.args[0], c.args[1], c.args[2])
		fmt.Printf("%s %s\n", c.name, unix.ErrnoName(errno))
	}
	return nil
}

func TestKernels(t *testing.T) {
	for version, want := range map[string][]string{
		"3.2": {
			"memfd_create ENOSYS", "open_tree ENOSYS", "clone3 ENOSYS", "clone3 of libc ENOSYS",
			"close_range ENOSYS", "close_range CLOEXEC ENOSYS", "dup EBADF",
		},
		"5.1": {
			"memfd_create EFAULT", "open_tree ENOSYS", "clone3 ENOSYS", "clone3 of libc ENOSYS",
			"close_range ENOSYS", "close_range CLOEXEC ENOSYS", "dup EBADF",
		},
		"5.4": {
			"memfd_create EFAULT", "open_tree EINVAL", "clone3 EINVAL", "clone3 of libc EFAULT",
			"close_range ENOSYS", "close_range CLOEXEC ENOSYS", "dup EBADF",
		},
		"5.10": {
			"memfd_create EFAULT", "open_tree EINVAL", "clone3 EFAULT", "clone3 of libc EFAULT",
			"close_range ", "close_range CLOEXEC EINVAL", "dup EBADF",
		},
	} {
		t.Run(version, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(exe, asOld, version).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got, want := string(out), strings.Join(want, "\n")+"\n"
			if got != want {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		})
	}
	if _, err := oldkernel.Named("2.6"); err == nil {
		t.Error("Linux 2.6: no error")
	}
}

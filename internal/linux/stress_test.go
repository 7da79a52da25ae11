package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/test/oldkernel"
)

// The programs that this one is when it is started with their names as first argument.
const (
	asStarter = "start-children"
	asCrasher = "crash"
	asHeir    = "inherit-descriptors"
	asOld     = "on-linux" // executes this program anew on an older kernel
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		var run func() error
		switch os.Args[1] {
		case asStarter:
			run = func() error {
				n, err := strconv.Atoi(os.Args[2])
				if err != nil {
					return err
				}
				return startChildren(n)
			}
		case asCrasher:
			run = func() error { return crashOnce(os.Args[2]) }
		case asHeir:
			run = inheritDescriptors
		case asOld:
			run = func() error {
				return oldkernel.Exec(os.Args[2], os.Args[0], append(os.Args[:1:1], os.Args[3:]...))
			}
		default:
			os.Exit(m.Run())
		}
		if err := run(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program runs this program under another name. As root it is PID 1 of a namespace, so that Open's
// reboot(2) does not reach the machine's Ctrl-Alt-Del; others are not allowed to do that anyway.
func program(t *testing.T, args ...string) (output string) {
	t.Helper()
	if raced {
		t.Skip("needs a build without -race: the child of clone is no thread the detector knows")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// What comes between a child and its program may well hang.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// everywhere runs a program on this kernel and on older ones.
func everywhere(t *testing.T, args []string, check func(t *testing.T, output string)) {
	t.Helper()
	t.Run("this kernel", func(t *testing.T) { check(t, program(t, args...)) })
	for _, k := range oldkernel.Kernels() {
		t.Run("Linux "+k.Version, func(t *testing.T) {
			check(t, program(t, append([]string{asOld, k.Version}, args...)...))
		})
	}
}

// Children share this process's memory until their exec. Neither the collector nor signals nor
// other goroutines may come between, and nothing may be left of them.
func TestChildrenUnderStress(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 300
	}
	everywhere(t, []string{asStarter, strconv.Itoa(n)}, func(*testing.T, string) {})
}

// What PID 1 has inherited beyond standard input and output does not come to its children.
func TestInheritedDescriptors(t *testing.T) {
	everywhere(t, []string{asHeir}, func(*testing.T, string) {})
}

// inheritDescriptors opens some as a parent may have left them, and looks at what Open makes of
// them.
func inheritDescriptors() error {
	inherited := []int{100, 101, 251}
	for _, fd := range inherited {
		if err := unix.Dup3(0, fd, 0); err != nil {
			return fmt.Errorf("dup3 0 %d: %w", fd, err)
		}
	}
	Open()
	for _, fd := range append(inherited, 0, 1, 2) {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil {
			return fmt.Errorf("fcntl %d F_GETFD: %w", fd, err)
		}
		if got, want := flags&unix.FD_CLOEXEC != 0, fd > 2; got != want {
			return fmt.Errorf("descriptor %d is closed on exec: got %t, want %t", fd, got, want)
		}
	}
	return nil
}

// A crash is survived by the same process: the new program finds the snapshot of the old one.
func TestGuardSurvives(t *testing.T) {
	for _, how := range []string{"panic", "wild address", "panic of the poller"} {
		t.Run(how, func(t *testing.T) {
			everywhere(t, []string{asCrasher, how}, func(t *testing.T, got string) {
				if want := "crashed of " + how + "\n"; !strings.HasSuffix(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		})
	}
}

// snapshotSize is more than a new pipe holds, and enough for thousands of services.
const snapshotSize = 256 << 10

// crashOnce crashes under Guard, and says so when it is there again.
func crashOnce(how string) error {
	k := Open()
	if state := k.State(); state != nil {
		if len(state) != snapshotSize {
			return fmt.Errorf("snapshot: got %d bytes, want %d", len(state), snapshotSize)
		}
		fmt.Println(strings.TrimLeft(string(state), " "))
		return nil
	}
	k.Guard(func() int {
		switch how {
		case "panic":
			panic("asked for")
		case "wild address":
			// A page that is taken away beneath a pointer, as a file that is cut is.
			b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ,
				unix.MAP_PRIVATE|unix.MAP_ANON)
			if err != nil {
				panic(err)
			}
			if err := unix.Mprotect(b, unix.PROT_NONE); err != nil {
				panic(err)
			}
			return int(b[0])
		case "panic of the poller":
			if err := k.poll.start(); err != nil {
				panic(err)
			}
			k.poll.crashed <- "asked for"
			k.Next(kernel.Never)
		}
		return 0
	}, func() []byte { return fmt.Appendf(nil, "%*s", snapshotSize, "crashed of "+how) })
	return errors.New("Guard has come back")
}

// startChildren starts n children of four kinds, in bursts, beside goroutines that make garbage
// and a storm of signals, and checks how each ends.
func startChildren(n int) error {
	k := Open()
	before, err := startBurst(k, n/4)
	if err != nil {
		return err
	}
	after, err := startBurst(k, n)
	if err != nil {
		return err
	}
	const slack = 256 << 10 // how full the heap's spans are
	if after > before+slack {
		return fmt.Errorf("the heap has grown from %d to %d bytes over %d children",
			before, after, n)
	}
	return nil
}

// startBurst does it once, and returns the size of the heap that is left.
func startBurst(k *Kernel, n int) (heap uint64, err error) {
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			var keep [64][]byte
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					keep[i%len(keep)] = make([]byte, 100+i%5000)
				}
			}
		})
	}
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Kill(os.Getpid(), syscall.SIGUSR1)
				runtime.Gosched()
			}
		}
	})

	want := make(map[kernel.PID]string)
	reap := func() error {
		for {
			e, err := k.Wait()
			if err != nil {
				return err
			}
			got := fmt.Sprintf("status %#x, failed %v", uint32(e.Status), e.Failed)
			if got != want[e.PID] {
				return fmt.Errorf("pid %d: got %s, want %s", e.PID, got, want[e.PID])
			}
			delete(want, e.PID)
		}
	}
	kinds := []struct {
		path, arg string
		kill      kernel.Signal // sent at once, before its program or after
		want      string
	}{
		{path: "/bin/true", want: "status 0x0, failed <nil>"},
		{path: "/bin/false", want: "status 0x100, failed <nil>"},
		{
			path: "/nonexistent",
			want: "status 0xff00, failed execve: no such file or directory",
		},
		// A signal that Go has a handler for.
		{
			path: "/bin/sleep", arg: "1000", kill: kernel.SIGTERM,
			want: "status 0xf, failed <nil>",
		},
	}
	for i := range n {
		kind := kinds[i%len(kinds)]
		pid, err := k.Spawn(&kernel.Command{
			Paths: []string{kind.path}, Argv: []string{kind.path, kind.arg}, Env: os.Environ(),
		})
		if err != nil {
			return 0, err
		}
		if kind.kill != 0 {
			if err := k.Kill(pid, kind.kill); err != nil {
				return 0, err
			}
		}
		want[pid] = kind.want
		if i%50 == 49 {
			for len(want) > 20 {
				err := reap()
				if errors.Is(err, kernel.ECHILD) {
					break
				}
				if !errors.Is(err, kernel.EAGAIN) {
					return 0, err
				}
				k.Next(k.Now() + 1e6)
			}
		}
	}
	for {
		err := reap()
		if errors.Is(err, kernel.ECHILD) {
			if len(want) > 0 {
				return 0, fmt.Errorf("%d children are gone without a status", len(want))
			}
			break
		}
		if !errors.Is(err, kernel.EAGAIN) {
			return 0, err
		}
		k.Next(k.Now() + 1e6)
	}
	if left := len(k.starts.failed); left > 0 {
		return 0, fmt.Errorf("%d failures that nobody has asked for are kept", left)
	}
	close(done)
	others.Wait()
	k.forgetChildren()
	if left := len(k.children); left > 0 {
		return 0, fmt.Errorf("the memory of %d children that have ended is not free", left)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(k) // what it keeps counts
	return m.HeapAlloc, nil
}

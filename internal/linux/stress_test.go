package linux

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// The programs that this one is when it is started with their names as first argument.
const (
	asStarter = "start-children"
	asCrasher = "crash"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		var run func() error
		switch os.Args[1] {
		case asStarter:
			run = func() error { return startChildren(2000) }
		case asCrasher:
			run = func() error { return crashOnce(os.Args[2]) }
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
	cmd := exec.Command(exe, args...)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// Children share this process's memory until their exec. Neither the collector nor signals nor
// other goroutines may come between, and nothing may be left of them.
func TestChildrenUnderStress(t *testing.T) { program(t, asStarter) }

// A crash is survived by the same process: the new program finds the snapshot of the old one.
func TestGuardSurvives(t *testing.T) {
	for _, how := range []string{"panic", "wild address", "panic of the poller"} {
		t.Run(how, func(t *testing.T) {
			want := "crashed of " + how
			if got := program(t, asCrasher, how); !strings.Contains(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// crashOnce crashes under Guard, and says so when it is there again.
func crashOnce(how string) error {
	k := Open()
	if state := k.State(); state != nil {
		fmt.Println(string(state))
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
	}, func() []byte { return []byte("crashed of " + how) })
	return errors.New("Guard has come back")
}

// startChildren starts n children of three kinds, in bursts, beside goroutines that make garbage
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
			got := fmt.Sprintf("exit %d, failed %v", e.Status.ExitStatus(), e.Failed)
			if got != want[e.PID] {
				return fmt.Errorf("pid %d: got %s, want %s", e.PID, got, want[e.PID])
			}
			delete(want, e.PID)
		}
	}
	kinds := []struct{ path, want string }{
		{"/bin/true", "exit 0, failed <nil>"},
		{"/bin/false", "exit 1, failed <nil>"},
		{"/nonexistent", "exit 255, failed execve: no such file or directory"},
	}
	for i := range n {
		kind := kinds[i%len(kinds)]
		pid, err := k.Spawn(&kernel.Command{
			Paths: []string{kind.path}, Argv: []string{"x"}, Env: os.Environ(),
		})
		if err != nil {
			return 0, err
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
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, nil
}

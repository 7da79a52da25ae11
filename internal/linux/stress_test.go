package linux

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// asStarter is the first argument of this program when it is the starter of the stress test.
const asStarter = "start-children"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asStarter {
		if err := startChildren(2000); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Children share this process's memory until their exec. Neither the collector nor signals nor
// other goroutines may come between.
func TestChildrenUnderStress(t *testing.T) {
	if raced {
		t.Skip("needs a build without -race: the child of clone is no thread the detector knows")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(exe, asStarter).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// startChildren starts n children of three kinds, in bursts, beside goroutines that make garbage
// and a storm of signals, and checks how each ends.
func startChildren(n int) error {
	k := Open()
	done := make(chan struct{})
	defer close(done)
	for range 3 {
		go func() {
			var keep [64][]byte
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					keep[i%len(keep)] = make([]byte, 100+i%5000)
				}
			}
		}()
	}
	go func() {
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Kill(os.Getpid(), syscall.SIGUSR1)
				runtime.Gosched()
			}
		}
	}()

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
			return err
		}
		want[pid] = kind.want
		if i%50 == 49 {
			for len(want) > 20 {
				err := reap()
				if errors.Is(err, kernel.ECHILD) {
					break
				}
				if !errors.Is(err, kernel.EAGAIN) {
					return err
				}
				k.Next(k.Now() + 1e6)
			}
		}
	}
	for {
		err := reap()
		if errors.Is(err, kernel.ECHILD) {
			if len(want) > 0 {
				return fmt.Errorf("%d children are gone without a status", len(want))
			}
			return nil
		}
		if !errors.Is(err, kernel.EAGAIN) {
			return err
		}
		k.Next(k.Now() + 1e6)
	}
}

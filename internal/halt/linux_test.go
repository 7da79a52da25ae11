package halt

import (
	"os"
	"os/signal"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSyncInAChild forks from a program that is busy with everything a Go program can be busy
// with: the child must not notice, and the parent must be as before.
func TestSyncInAChild(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGUSR1)
	defer signal.Stop(signals)
	for range 2 {
		go func() {
			var kept [][]byte
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				kept = append(kept[:i%64], make([]byte, 10000))
				unix.Kill(os.Getpid(), unix.SIGUSR1)
				runtime.Gosched()
			}
		}()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, after unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, nil, &before); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		var s linux
		if err := s.StartSync(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.synced:
		case <-time.After(time.Minute):
			t.Fatal("the child is not done with its sync after a minute")
		}
		if !s.SyncDone() {
			t.Fatal("SyncDone says no after the child is gone")
		}
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, nil, &after); err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("signal mask: got %v, want %v as before", after, before)
	}
}

func TestWithin(t *testing.T) {
	var s linux
	ran := false
	if !s.Within(time.Minute, func() { ran = true }) || !ran {
		t.Error("what came back in time was not taken")
	}
	never := make(chan struct{})
	defer close(never)
	if s.Within(time.Millisecond, func() { <-never }) {
		t.Error("what did not come back was taken")
	}
}

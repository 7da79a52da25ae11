package linux

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatchdogThatIsAFifo: a wrong path in the configuration must not hold PID 1 up. The simulated
// kernel never waits there.
func TestWatchdogThatIsAFifo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := new(Kernel).OpenWatchdog(path)
		done <- err
	}()
	select {
	case err := <-done:
		if err != unix.ENXIO {
			t.Errorf("got %v, want ENXIO", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for somebody who reads")
	}
}

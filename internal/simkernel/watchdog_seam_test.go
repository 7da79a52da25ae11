package simkernel

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestWatchdogThroughTheSeam is what PID 1 sees of each driver.
func TestWatchdogThroughTheSeam(t *testing.T) {
	const usual = kernel.WatchdogSetsTimeout | kernel.WatchdogMagicClose | kernel.WatchdogKeepAlivePing
	for driver, want := range map[string]struct {
		support kernel.WatchdogSupport
		start   int32
		set10   kernel.Errno // SETTIMEOUT of 10 s
		set1000 kernel.Errno
	}{
		"softdog":  {kernel.WatchdogSupport{Options: usual, Identity: "Software Watchdog"}, 60, 0, 0},
		"i6300esb": {kernel.WatchdogSupport{Options: usual, Identity: "i6300ESB timer"}, 30, 0, 0},
		"board":    {kernel.WatchdogSupport{Options: usual, Identity: "Board Watchdog"}, 60, 0, 0},
		"latch": {
			kernel.WatchdogSupport{Options: usual, Identity: "Latched Watchdog"},
			30, 0, kernel.EINVAL,
		},
		"fixed": {
			kernel.WatchdogSupport{
				Options:  kernel.WatchdogMagicClose | kernel.WatchdogKeepAlivePing,
				Identity: "Fixed Watchdog",
			},
			30, kernel.EOPNOTSUPP, kernel.EOPNOTSUPP,
		},
	} {
		m := New(Config{Watchdogs: []Watchdog{{Driver: driver}}})
		m.Boot(func(k kernel.Kernel) int {
			fd, err := k.OpenWatchdog("/dev/watchdog")
			if err != nil {
				t.Fatalf("%s: %v", driver, err)
			}
			if _, err := k.OpenWatchdog("/dev/watchdog0"); !errors.Is(err, kernel.EBUSY) {
				t.Errorf("%s: the second open: got %v, want EBUSY", driver, err)
			}
			if got, err := k.WatchdogSupport(fd); got != want.support || err != nil {
				t.Errorf("%s: got %+v, %v, want %+v", driver, got, err, want.support)
			}
			call := func(c kernel.WatchdogCall, n, result int32, errno kernel.Errno) {
				t.Helper()
				got, err := k.WatchdogControl(fd, c, n)
				if errno != 0 && !errors.Is(err, errno) ||
					errno == 0 && (err != nil || got != result) {
					t.Errorf("%s: %v %d: got %d, %v, want %d, %v",
						driver, c, n, got, err, result, errno)
				}
			}
			call(kernel.GetTimeout, 0, want.start, 0)
			call(kernel.SetTimeout, 10, 10, want.set10)
			call(kernel.SetTimeout, 1000, 1000, want.set1000)
			call(kernel.SetTimeout, 0, 0, max(want.set10, kernel.EINVAL))
			call(kernel.SetPretimeout, 5, 5, 0)
			call(kernel.GetPretimeout, 0, 5, 0)
			call(kernel.SetPretimeout, -1, 0, kernel.EINVAL)
			call(kernel.GetTimeLeft, 0, 0, kernel.EOPNOTSUPP)
			call(kernel.KeepAlive, 0, 0, 0)
			call(kernel.GetBootStatus, 0, 0, 0)
			if _, err := k.Read(fd, make([]byte, 1)); !errors.Is(err, syscall.EBADF) {
				t.Errorf("%s: read: got %v, want EBADF: it is open for writing", driver, err)
			}
			if n, err := k.Write(fd, []byte("V")); n != 1 || err != nil {
				t.Errorf("%s: write: %d, %v", driver, n, err)
			}
			if err := k.Close(fd); err != nil {
				t.Errorf("%s: close: %v", driver, err)
			}
			return 0
		})
	}
}

// TestWatchdogOutlivesItsExec keeps counting when PID 1 is replaced, for its descriptor is closed
// without a V, and can be opened again.
func TestWatchdogOutlivesItsExec(t *testing.T) {
	m := New(Config{
		Watchdogs: []Watchdog{{Driver: "i6300esb"}},
		Programs:  map[string]Program{"/sbin/init": {Load: time.Nanosecond}},
	})
	m.Boot(func(k kernel.Kernel) int {
		if _, err := k.OpenWatchdog("/dev/watchdog0"); err != nil {
			t.Error(err)
		}
		_ = k.Exec(&kernel.Command{Paths: []string{"/sbin/init"}, Argv: []string{"init"}})
		return 0
	})
	end := m.Boot(func(k kernel.Kernel) int {
		fd, err := k.OpenWatchdog("/dev/watchdog0")
		if err != nil {
			t.Error(err)
		}
		_ = k.Close(fd)
		k.Next(kernel.Never)
		return 0
	})
	if end.How != ResetByWatchdog || end.At < 30*time.Second || end.At > 31*time.Second {
		t.Errorf("got %v at %v, want a reset by the watchdog at 30s", end.How, end.At)
	}
}

// TestLateWatchdog is not there before its module is loaded.
func TestLateWatchdog(t *testing.T) {
	m := New(Config{Watchdogs: []Watchdog{{Driver: "softdog", Appears: 2 * time.Second}}})
	m.Boot(func(k kernel.Kernel) int {
		for _, want := range []error{kernel.ENOENT, nil} {
			_, err := k.OpenWatchdog("/dev/watchdog0")
			if !errors.Is(err, want) {
				t.Errorf("at %v: got %v, want %v", k.Now(), err, want)
			}
			if there := k.Exists("/dev/watchdog0"); there != (want == nil) {
				t.Errorf("at %v: /dev/watchdog0 is there: %t", k.Now(), there)
			}
			k.Next(3 * time.Second)
		}
		return 0
	})
}

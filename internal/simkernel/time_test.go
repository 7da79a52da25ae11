package simkernel

import (
	"math/rand/v2"
	"sort"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestEventHeap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h eventHeap
	var want []event
	for i := range 1000 {
		e := event{at: time.Duration(rng.IntN(50)), seq: uint64(i)}
		h.push(e)
		want = append(want, e)
	}
	sort.Slice(want, func(i, j int) bool { return eventHeap(want).less(i, j) })
	for i := range want {
		if got := h.pop(); got != want[i] {
			t.Fatalf("event %d: got %+v, want %+v", i, got, want[i])
		}
	}
}

func TestSignalsBeforeDescriptorsBeforeTheDeadline(t *testing.T) {
	m := New(Config{})
	m.At(time.Second, Type{Text: "x\n"}, Signals(kernel.SIGTERM, kernel.SIGHUP, kernel.SIGTERM))
	m.Boot(func(k kernel.Kernel) int {
		k.Watch(0, kernel.In)
		next(t, k, time.Second, kernel.Signaled{Signal: kernel.SIGHUP})
		next(t, k, time.Second, kernel.Signaled{Signal: kernel.SIGTERM})
		next(t, k, time.Second, kernel.Ready{FD: 0, What: kernel.In})
		next(t, k, time.Second, kernel.Expired{})
		if now := k.Now(); now != time.Second {
			t.Errorf("now: got %v, want 1s", now)
		}
		// Time does not go back.
		next(t, k, 0, kernel.Expired{})
		if now := k.Now(); now != time.Second {
			t.Errorf("now: got %v, want 1s", now)
		}
		return 0
	})
}

func TestSignalsFromOutsideANamespace(t *testing.T) {
	m := New(Config{Namespace: true})
	m.At(1*time.Second, Signals(syscall.SIGKILL, syscall.SIGSTOP, kernel.SIGUSR1))
	m.At(2*time.Second, Signal{Ancestor: true, Signals: []kernel.Signal{syscall.SIGSTOP}})
	m.At(3*time.Second, Signals(kernel.SIGUSR2))
	m.At(9*time.Second, Signals(kernel.SIGCONT))
	m.At(20*time.Second, Signal{Ancestor: true, Signals: []kernel.Signal{syscall.SIGKILL}})
	end := m.Boot(func(k kernel.Kernel) int {
		next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGUSR1})
		// Stopped it does not see its deadline.
		next(t, k, 4*time.Second, kernel.Signaled{Signal: kernel.SIGUSR2})
		if now := k.Now(); now != 9*time.Second {
			t.Errorf("now: got %v, want 9s", now)
		}
		next(t, k, 10*time.Second, kernel.Signaled{Signal: kernel.SIGCONT})
		next(t, k, kernel.Never, nil)
		return 0
	})
	wantEqual(t, "end", end, End{How: Exited, At: 20 * time.Second, Status: kill})

	m = New(Config{})
	m.At(time.Second, Signal{Ancestor: true, Signals: []kernel.Signal{syscall.SIGKILL}})
	if end := m.Boot(func(k kernel.Kernel) int {
		next(t, k, 2*time.Second, kernel.Expired{})
		return 0
	}); end.How != Exited || end.At != 2*time.Second {
		t.Errorf("end of a machine: got %+v, want PID 1's exit", end)
	}
}

func TestStoppedForEver(t *testing.T) {
	m := New(Config{Namespace: true})
	m.At(2*time.Second, Signal{Ancestor: true, Signals: []kernel.Signal{syscall.SIGSTOP}})
	end := m.Boot(func(k kernel.Kernel) int {
		until(k, time.Minute)
		return 0
	})
	wantEqual(t, "end", end, End{
		How: Stuck, At: 2 * time.Second, Text: "stopped, and nobody sends SIGCONT",
	})
}

func TestWall(t *testing.T) {
	epoch := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := New(Config{Epoch: epoch})
	m.At(time.Second, JumpWall{time.Hour})
	m.Boot(func(k kernel.Kernel) int {
		wantEqual(t, "wall", k.Wall(), epoch)
		until(k, 2*time.Second)
		wantEqual(t, "wall", k.Wall(), epoch.Add(time.Hour+2*time.Second))
		wantEqual(t, "now", k.Now(), 2*time.Second)
		return 0
	})
}

func TestStimuliAndFiles(t *testing.T) {
	m := New(Config{Files: map[string]string{"/etc/inittab": "old"}})
	m.At(1*time.Second, WriteFile{"/etc/inittab", "new"}, Signals(kernel.SIGHUP))
	m.At(2*time.Second, RemoveFile{"/etc/inittab"}, Signals(kernel.SIGHUP))
	m.At(3*time.Second, MakeDir{"/etc/inittab"}, Signals(kernel.SIGHUP))
	m.At(4*time.Second, WriteFile{"/etc/inittab", "x"}, Distrust{"/etc/inittab"},
		Signals(kernel.SIGHUP))
	m.At(5*time.Second, Install{"/bin/late", Program{Steps: []Step{Exit{9}}}})
	m.Boot(func(k kernel.Kernel) int {
		read := func() string {
			b, err := k.ReadFile("/etc/inittab")
			if err != nil {
				return err.Error()
			}
			return string(b)
		}
		wantEqual(t, "text", read(), "old")
		for _, want := range []string{
			"new", kernel.ENOENT.Error(), kernel.EISDIR.Error(), "x",
		} {
			next(t, k, kernel.Never, kernel.Signaled{Signal: kernel.SIGHUP})
			wantEqual(t, "text", read(), want)
		}
		_, err := k.ReadTrusted("/etc/inittab")
		wantErr(t, "ReadTrusted", err, kernel.EPERM)
		until(k, 6*time.Second)
		spawn(t, k, "late")
		wantEqual(t, "ends", statuses(until(k, 7*time.Second)), []kernel.WaitStatus{9 << 8})
		return 0
	})
	text, ok := m.File("/etc/inittab")
	if text != "x" || !ok {
		t.Errorf("File: got %q, %t", text, ok)
	}
}

func TestFileTooLarge(t *testing.T) {
	m := New(Config{})
	m.plant("/big", kindFile, 0o644).node.size = kernel.MaxFile + 1
	m.Boot(func(k kernel.Kernel) int {
		_, err := k.ReadFile("/big")
		wantErr(t, "ReadFile", err, kernel.EFBIG)
		return 0
	})
}

func TestMounts(t *testing.T) {
	m := New(Config{Files: map[string]string{"/file": ""}, Dirs: []string{"/proc"}})
	m.Boot(func(k kernel.Kernel) int {
		mount := func(typ, target string, want kernel.Errno) {
			t.Helper()
			wantErr(t, "Mount "+target, k.Mount(kernel.Mount{Type: typ, Target: target}), want)
		}
		mount("proc", "/proc", 0)
		mount("proc", "/proc", 0) // each is one of its own since Linux 5.8
		mount("sysfs", "/sys", 0)
		mount("sysfs", "/sys", syscall.EBUSY)
		mount("tmpfs", "/run", 0)
		mount("tmpfs", "/run", 0)
		mount("tmpfs", "/file", syscall.ENOTDIR)
		if !k.Exists("/run") {
			t.Error("Mount has not made its target")
		}
		b, err := k.Proc("self/mountinfo")
		wantErr(t, "Proc", err, 0)
		if !contains(b, " / /proc rw") || !contains(b, "- tmpfs tmpfs rw") {
			t.Errorf("mountinfo: got %q", b)
		}
		wantErr(t, "LoopbackUp", k.LoopbackUp(), 0)
		return 0
	})
	wantEqual(t, "mounted", len(m.Mounted()), 5)
	if !m.Loopback() {
		t.Error("Loopback: got false")
	}
}

func TestProcSettings(t *testing.T) {
	m := New(Config{Cmdline: "quiet panic=5"})
	m.Apply(SetProc{"sys/kernel/tainted", "512"})
	m.Boot(func(k kernel.Kernel) int {
		for name, want := range map[string]string{
			"cmdline": "quiet panic=5\n", "sys/kernel/panic": "5\n", "sys/kernel/tainted": "512\n",
		} {
			b, err := k.Proc(name)
			wantErr(t, "Proc", err, 0)
			wantEqual(t, name, string(b), want)
		}
		wantErr(t, "SetProc", k.SetProc("sys/kernel/panic", "10\n"), 0)
		b, _ := k.Proc("sys/kernel/panic")
		wantEqual(t, "panic", string(b), "10\n")
		_, err := k.Proc("99/stat")
		wantErr(t, "Proc", err, kernel.ENOENT)
		k.Log(kernel.Warning, "a line")
		return 0
	})
	wantEqual(t, "log", m.Log()[0].String(), "[    0.000000] a line")
}

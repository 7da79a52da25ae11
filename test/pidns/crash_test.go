package pidns

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// crashNow is the signal that makes an init built with the tag crashtest panic: SIGRTMAX.
const crashNow = syscall.Signal(64)

func startCrashing(t *testing.T, lines ...string) *Room {
	t.Helper()
	Require(t)
	base, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, Plan{Base: base, Files: []File{inittab(lines...)}})
}

// crash makes PID 1 crash and waits until it executes its program anew.
func crash(t *testing.T, r *Room) {
	t.Helper()
	before := r.Program()
	if err := r.Signal(crashNow); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(Patience); r.Program() == before; {
		if time.Now().After(deadline) {
			t.Fatal("init has not executed its program anew")
		}
		time.Sleep(time.Millisecond)
	}
}

// Init crashes and goes on in place, with its children.
func TestCrashKeepsServices(t *testing.T) {
	t.Parallel()
	r := startCrashing(t,
		"::sysinit:/bin/probe boot",
		"::once:/bin/probe once stay",
		"::respawn:/bin/probe one stay",
		"::respawn:-/bin/probe two stay",
		"::shutdown:/bin/probe down",
	)
	for _, name := range []string{"once", "one", "two"} {
		awaitStart(t, r, name, 1)
	}
	crash(t, r)
	alive(t, r, "one")
	crash(t, r)
	alive(t, r, "two")
	v := goesDown(t, r, syscall.SIGTERM)
	for name, times := range map[string]int{
		"boot": 1, "once": 1, "one": 2, "two": 2, "down": 1,
	} {
		if n := v.Count(name); n != times {
			t.Errorf("%s has started %d times, want %d", name, n, times)
		}
	}
}

// A crash during sysinit: the boot goes on with the entry after the one that runs.
func TestCrashInSysinit(t *testing.T) {
	t.Parallel()
	r := startCrashing(t,
		"::sysinit:/bin/probe one",
		"::sysinit:/bin/probe two await /go",
		"::sysinit:/bin/probe three file /go",
		"::wait:/bin/probe four",
		"::respawn:/bin/probe last stay",
	)
	awaitStart(t, r, "two", 1)
	crash(t, r)
	const text = "this lets two end"
	if err := r.Put(File{Path: "go", Mode: 0o644, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	v := awaitStart(t, r, "last", 1)
	if notes := v.Reports(true); len(notes) != 1 || notes[0].Text != text {
		t.Errorf("the entry after the one that runs was started before its end: %+v", notes)
	}
	for _, name := range []string{"one", "two", "three", "four"} {
		if n := v.Count(name); n != 1 {
			t.Errorf("%s has started %d times, want once", name, n)
		}
	}
	goesDown(t, r, syscall.SIGTERM)
}

// A crash on the way down: the machine goes down all the same, and where it was asked to.
func TestCrashOnTheWayDown(t *testing.T) {
	t.Parallel()
	r := startCrashing(t,
		"::respawn:/bin/probe last stay",
		"::shutdown:/bin/probe down stay",
	)
	awaitStart(t, r, "last", 1)
	if err := r.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	awaitStart(t, r, "down", 1)
	if err := r.Signal(crashNow); err != nil {
		t.Fatal(err)
	}
	v := await(t, r, "the end", func(v View) bool { return v.Ended })
	if !v.Status.Signaled() || v.Status.Signal() != syscall.SIGINT {
		t.Errorf("status %#x, want death by SIGINT", uint32(v.Status))
	}
}

// What crashes again and again reboots: that helps more than to go on like this.
func TestCrashAgainAndAgain(t *testing.T) {
	t.Parallel()
	r := startCrashing(t, "::respawn:/bin/probe last stay")
	awaitStart(t, r, "last", 1)
	for i := range 5 {
		crash(t, r)
		// No signal is sent before it is back: see first-millisecond in docs/compatibility.md.
		await(t, r, "init to go on", func(v View) bool {
			return strings.Count(v.Text("log"), "init has crashed and goes on") > i
		})
	}
	if err := r.Signal(crashNow); err != nil {
		t.Fatal(err)
	}
	v := await(t, r, "the end", func(v View) bool { return v.Ended })
	if !v.Status.Signaled() || v.Status.Signal() != syscall.SIGHUP {
		t.Errorf("status %#x, want death by SIGHUP: a reboot", uint32(v.Status))
	}
}

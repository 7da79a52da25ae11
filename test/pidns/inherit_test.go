package pidns

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const noSignals = "0000000000000000"

// Whatever PID 1 is started with, its children start clean.
func TestRudeParent(t *testing.T) {
	t.Parallel()
	var stage []string
	for sig := 1; sig <= 64; sig++ {
		// 32 and 33 belong to the C library, in which stage is written.
		if sig == 9 || sig == 19 || sig == 32 || sig == 33 {
			continue
		}
		n := strconv.Itoa(sig)
		stage = append(stage, "ignore", n, "block", n)
	}
	for _, fd := range []string{"3", "9", "10", "251"} {
		stage = append(stage, "dup", "0", fd)
	}
	r := start(t, Plan{
		Stage:     stage,
		Terminals: []string{"tty7"},
		Files: []File{inittab(
			"::sysinit:/bin/probe sysinit", "::wait:-/bin/probe wait",
			"tty7::once:/bin/probe once stay", "::respawn:/bin/probe quoted 'stay'",
			"tty7::askfirst:/bin/probe asked stay", "::respawn:/bin/probe respawn stay",
			"::ctrlaltdel:/bin/probe cad", "::shutdown:/bin/probe down",
			"::restart:/bin/probe restart stay",
		)},
	})
	for _, name := range []string{"sysinit", "wait", "once", "quoted", "respawn"} {
		awaitStart(t, r, name, 1)
	}
	await(t, r, "the prompt", func(v View) bool {
		return strings.Contains(v.Text("tty7"), "Please press Enter")
	})
	if err := r.Terminals["tty7"].Type("\n"); err != nil {
		t.Fatal(err)
	}
	awaitStart(t, r, "asked", 1)
	if err := r.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	awaitStart(t, r, "cad", 1)
	if err := r.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	v := awaitStart(t, r, "restart", 1)
	for _, rep := range v.Reports(false) {
		for what, mask := range map[string]string{
			"blocked": rep.Blocked, "ignored": rep.Ignored, "caught": rep.Caught,
		} {
			if mask != noSignals {
				t.Errorf("%s starts with the signals %s %s", rep.Name, mask, what)
			}
		}
		var fds []int
		for _, fd := range rep.FDs {
			fds = append(fds, fd.FD)
		}
		if !slices.Equal(fds, []int{0, 1, 2}) {
			t.Errorf("%s starts with the descriptors %v, want 0, 1 and 2", rep.Name, fds)
		}
	}
	if n := v.Count("down"); n != 1 {
		t.Errorf("the shutdown entry has run %d times, want once", n)
	}
}

// Go raises its own limit of open files; children see the one that PID 1 was given.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{
		Stage: []string{"limit", strconv.Itoa(unix.RLIMIT_NOFILE), "256", "512"},
		Files: []File{inittab(
			"::sysinit:/bin/probe sysinit", "::respawn:/bin/probe last stay",
			"::shutdown:/bin/probe down", "::restart:/bin/probe restart stay",
		)},
	})
	awaitStart(t, r, "last", 1)
	if err := r.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	v := awaitStart(t, r, "restart", 1)
	for _, rep := range v.Reports(false) {
		if got, want := rep.Limits[unix.RLIMIT_NOFILE], [2]int64{256, 512}; got != want {
			t.Errorf("%s may open %v files, want %v", rep.Name, got, want)
		}
	}
}

// Whichever of the first three descriptors is closed at the start, children have all three.
func TestClosedDescriptors(t *testing.T) {
	t.Parallel()
	for closed := range 8 {
		t.Run(fmt.Sprintf("%03b", closed), func(t *testing.T) {
			t.Parallel()
			var stage []string
			for fd := range 3 {
				if closed&(1<<fd) != 0 {
					stage = append(stage, "close", strconv.Itoa(fd))
				}
			}
			r := start(t, Plan{Stage: stage, Files: []File{inittab(
				"bad line", "::sysinit:/bin/probe first", "::respawn:/bin/probe last stay",
			)}})
			v := awaitStart(t, r, "last", 1)
			for _, rep := range v.Reports(false) {
				if len(rep.FDs) != 3 {
					t.Fatalf("%s starts with %d descriptors: %v", rep.Name, len(rep.FDs), rep.FDs)
				}
				for i, fd := range rep.FDs {
					isNull := fd.Major == 1 && fd.Minor == 3
					if isNull != (closed&(1<<i) != 0) {
						t.Errorf("%s has device %d:%d on descriptor %d", rep.Name, fd.Major,
							fd.Minor, i)
					}
				}
			}
			goesDown(t, r, syscall.SIGTERM)
		})
	}
}

// Orphans become children of PID 1, and none of them stays a zombie.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{Files: []File{inittab(
		"::once:/bin/probe mother orphans 500 0.2 note left",
		"::respawn:/bin/probe last stay",
	)}})
	awaitStart(t, r, "last", 1)
	awaitNote(t, r, "mother", "note")
	deadline := time.Now().Add(Patience)
	for {
		children := r.Children()
		if len(children) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d children are left: %v", len(children), children)
		}
		time.Sleep(10 * time.Millisecond)
	}
	alive(t, r, "last")
	goesDown(t, r, syscall.SIGTERM)
}

// hostKnobs are what an init must not change from inside a namespace.
var hostKnobs = []string{
	"panic", "panic_on_oops", "printk", "printk_devkmsg", "ctrl-alt-del", "core_pattern", "sysrq",
	"hostname", "cad_pid",
}

func TestHostIsLeftAlone(t *testing.T) {
	before := hostState(t)
	r := start(t, Plan{Files: []File{inittab("::respawn:/bin/probe last stay")}})
	awaitStart(t, r, "last", 1)
	goesDown(t, r, syscall.SIGTERM)
	after := hostState(t)
	for what, was := range before {
		// A mount that is gone was somebody else's.
		if is, ok := after[what]; ok && is != was {
			t.Errorf("%s was %q before and is %q", what, was, is)
		}
	}
}

func hostState(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	for _, knob := range hostKnobs {
		b, err := os.ReadFile("/proc/sys/kernel/" + knob)
		if err != nil {
			t.Logf("%s is not compared: %v", knob, err)
			continue
		}
		state[knob] = string(b)
	}
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		// The first five fields say which mount it is (proc_pid_mountinfo(5)); a number alone may
		// be that of another one by now.
		f := strings.SplitN(line, " ", 6)
		state["mount "+strings.Join(f[:5], " ")] = f[5]
	}
	return state
}

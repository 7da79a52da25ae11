package pidns

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWithoutInittab(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{
		Terminals: []string{"tty2", "tty3", "tty4"},
		Replace:   []string{"bin/sh"},
		Files: []File{
			{Path: "etc/init.d/rcS", Mode: 0o755, Data: []byte("#!/bin/busybox true\n")},
		},
	})
	await(t, r, "the prompt", func(v View) bool {
		return strings.Contains(v.Text("tty4"), "Please press Enter")
	})
	if err := r.Terminals["tty3"].Type("\n"); err != nil {
		t.Fatal(err)
	}
	awaitStart(t, r, "-/bin/sh", 1)
	goesDown(t, r, syscall.SIGTERM)
}

func TestEmptyInittab(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644}}})
	// Nothing else is to be seen of an init that has nothing to do.
	for deadline := time.Now().Add(Patience); !r.Settled(); {
		if time.Now().After(deadline) {
			t.Fatal("PID 1 does not make a session")
		}
		time.Sleep(time.Millisecond)
	}
	if err := r.Put(inittab("::respawn:/bin/probe one stay")); err != nil {
		t.Fatal(err)
	}
	untilStarted(t, r, "one")
	goesDown(t, r, syscall.SIGUSR1)
}

// untilStarted asks for reloads until a service has started: the first may come before the table
// that it is to replace has been read.
func untilStarted(t *testing.T, r *Room, name string) {
	t.Helper()
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
		if err := r.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if r.Await(time.Second/5, func(v View) bool { return v.Count(name) > 0 }) {
			return
		}
	}
	t.Fatalf("%s does not start, however often the inittab is read again", name)
}

func TestDirectoryForInittab(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: os.ModeDir | 0o755}}})
	await(t, r, "a word about the directory", func(v View) bool {
		return strings.Contains(v.Text("console"), "inittab")
	})
	if err := r.Remove("etc/inittab"); err != nil {
		t.Fatal(err)
	}
	if err := r.Put(inittab("::respawn:/bin/probe one stay")); err != nil {
		t.Fatal(err)
	}
	untilStarted(t, r, "one")
	goesDown(t, r, syscall.SIGTERM)
}

// A file that is no inittab at all is told of in few lines, and the boot goes on.
func TestManyBadLines(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("not an entry\n", 100_000) + "::respawn:/bin/probe last stay\n"
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644, Data: []byte(text)}}})
	awaitStart(t, r, "last", 1)
	await(t, r, "the count of the rest", func(v View) bool {
		return strings.Contains(v.Text("console"), "99900 more bad inittab entries")
	})
	v := goesDown(t, r, syscall.SIGTERM)
	if n := strings.Count(v.Text("console"), "Bad inittab entry at line"); n != 100 {
		t.Errorf("%d bad lines are named, want 100", n)
	}
}

func TestMillionLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteString("::sysinit:/bin/probe first\n")
	for range 500_000 {
		b.WriteString("# a comment\n")
		b.WriteString("::wait:/bin/probe never\n")
	}
	b.WriteString("::shutdown:/bin/probe never\n")
	b.WriteString("::respawn:/bin/probe last stay\n")
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644, Data: b.Bytes()}}})
	v := awaitStart(t, r, "last", 1)
	if n := v.Count("never"); n != 0 {
		t.Errorf("an entry replaced by its twin has run %d times at the boot", n)
	}
	v = goesDown(t, r, syscall.SIGTERM)
	if n := v.Count("never"); n != 1 {
		t.Errorf("half a million twins of one shutdown entry have run %d times, want 1", n)
	}
}

func TestMillionEntries(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for i := range 200_000 {
		// Each is another ctrlaltdel entry, which takes its place in the table and no more.
		b.WriteString("::ctrlaltdel:/bin/probe ")
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString(string(rune('a'+i%26)) + strconv.Itoa(i) + "\n")
	}
	for range 1000 {
		b.WriteString("bad line\n")
	}
	b.WriteString("::respawn:/bin/probe last stay\n")
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644, Data: b.Bytes()}}})
	awaitStart(t, r, "last", 1)
	alive(t, r, "last")
	goesDown(t, r, syscall.SIGTERM)
}

func TestNULsAndCarriageReturns(t *testing.T) {
	t.Parallel()
	text := "\x00\x00\x00\n::sysinit:/bin/probe first\x00 rest\n\r\n" +
		"::sysinit:/bin/probe second words\r\n\x00::respawn:/bin/probe never\n" +
		"::respawn:/bin/probe last stay\n" + strings.Repeat("\x00", 1<<20)
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644, Data: []byte(text)}}})
	awaitStart(t, r, "last", 1)
	v := goesDown(t, r, syscall.SIGUSR2)
	for name, times := range map[string]int{"first": 1, "second": 1, "never": 0} {
		if n := v.Count(name); n != times {
			t.Errorf("%s has started %d times, want %d", name, n, times)
		}
	}
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	text := "::sysinit:/bin/" + strings.Repeat("x", 4<<20) + "\n" +
		strings.Repeat(":", 1<<20) + "\n" + "# " + strings.Repeat("comment\\\n", 1<<16) + "\n" +
		"::respawn:/bin/probe last stay\n"
	r := start(t, Plan{Files: []File{{Path: "etc/inittab", Mode: 0o644, Data: []byte(text)}}})
	awaitStart(t, r, "last", 1)
	goesDown(t, r, syscall.SIGTERM)
}

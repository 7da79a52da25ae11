package linux

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestStartAndItsLineLeaveNoGarbage: see the test of the same kind in package pid1.
func TestStartAndItsLineLeaveNoGarbage(t *testing.T) {
	k := &Kernel{contained: true, nofile: &unix.Rlimit{}}
	k.log = newLogger(&k.poll)
	k.NoSyslog()
	cmd := &kernel.Command{
		Paths: []string{"/bin/service"}, Argv: []string{"/bin/service", "1", "1000"},
		Env: []string{"HOME=/", "TERM=vt102", "PATH=/sbin:/usr/sbin:/bin:/usr/bin"},
	}
	k.children = append(k.children, k.newChild())
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"a start", func() {
			if err := k.prepare(k.free(), cmd); err != nil {
				t.Error(err)
			}
		}},
		{"a line of the log", func() { k.Log(kernel.Info, "starting pid 17, tty ''") }},
	} {
		if got := testing.AllocsPerRun(100, c.do); got != 0 {
			t.Errorf("pieces of garbage of %s: got %v, want 0", c.what, got)
		}
	}
}

// TestChildrenOfTheBootShareBlocks, and those after it have little memory each.
func TestChildrenOfTheBootShareBlocks(t *testing.T) {
	k := &Kernel{}
	blocks := testing.AllocsPerRun(10, func() {
		k.forgetChildren()
		for range 30 {
			k.newChild()
		}
	})
	if want := 2.0; blocks != want {
		t.Errorf("blocks for 30 children of the boot: got %v, want %v", blocks, want)
	}
	k.forgetChildren()
	k.tidy.stage = tidied
	c := k.newChild()
	if len(k.spare) != 0 || len(c.stack) != stackSize {
		t.Errorf("after the boot: got %d more children and a stack of %d bytes, want 0 and %d",
			len(k.spare), len(c.stack), stackSize)
	}
}

package qemu

import (
	"errors"
	"runtime"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live/livetest"
)

// cases are what a machine of its own is for.
func cases() []livetest.Case {
	return []livetest.Case{
		{Name: "terminals", Text: `# Each terminal has its own prompt.
terminal tty1
terminal tty2
when "Please press Enter to activate this console. " after 200ms type tty1 "\n"
when "one" after 200ms signal USR2
want end poweroff
-- etc/inittab --
tty1::askfirst:/bin/actor say one, pause
tty2::once:/bin/actor say two, pause
`},
		{Name: "the end of PID 1", Text: `# What takes the place of init and ends is a panic.
machine
when "up" after 200ms signal QUIT
want end exit 3
-- etc/inittab --
::once:/bin/actor say up, pause
::restart:/bin/actor exit 3
`},
		{Name: "a parameter", Text: `# The kernel command line has the last word.
machine
cmdline rebound.shutdown.term_timeout=1s
when "up" after 200ms signal USR1
want end halt
want down >= 1s
-- etc/inittab --
::once:/bin/actor ignore TERM, say up, pause
`},
		{Name: "an oops", Text: `# An oops of somebody else changes nothing for PID 1.
machine
when "up" after 100ms kernel oops
when "up" after 1s signal USR2
want end poweroff
want kernel "Oops"
-- etc/inittab --
::once:/bin/actor say up, pause
`},
		{Name: "an oops of PID 1", Text: `# An oops ends one thread of PID 1, and nobody hears the signal.
machine
lasts 4s
when "up" after 100ms kernel oops-init
when "up" after 1s signal USR2
want end hung
-- etc/inittab --
::once:/bin/actor say up, pause
`},
		{Name: "no console", Text: `# Without a console the machine goes down all the same.
console none
at 2s signal USR2
want end poweroff
-- etc/inittab --
::once:/bin/actor pause
`},
	}
}

func TestCases(t *testing.T) {
	for _, c := range append(livetest.Cases(), cases()...) {
		if c.Name == "reload" {
			continue // It wants a file, and those of a virtual machine are gone with it.
		}
		t.Run(c.Name, func(t *testing.T) {
			playable(t, World{}, c.Text)
		})
	}
}

func TestArm64(t *testing.T) {
	if runtime.GOARCH == "arm64" {
		t.Skip("needs a machine that is not arm64: on one, TestCases plays this")
	}
	for _, c := range append(livetest.Cases()[:3:3], cases()[0]) {
		t.Run(c.Name, func(t *testing.T) {
			playable(t, World{Arch: "arm64"}, c.Text)
		})
	}
}

// playable plays a scenario that asks for nothing that no virtual machine has.
func playable(t *testing.T, w World, text string) {
	t.Helper()
	s, err := scenario.Parse("test.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if why := w.reason(s); why != "" {
		t.Fatalf("it cannot be played: %s", why)
	}
	livetest.Play(t, w, "qemu", text)
}

func TestCtrlAltDel(t *testing.T) {
	livetest.Play(t, World{Arch: "amd64"}, "qemu", `# The three keys run the entry for them.
machine
when "up" after 100ms press ctrl-alt-del
when "three keys" after 100ms signal TERM
want end reboot
-- etc/inittab --
::once:/bin/actor say up, pause
::ctrlaltdel:/bin/actor say three keys
`)
}

// TestUnplayable: what cannot be played is never passed.
func TestUnplayable(t *testing.T) {
	for _, text := range []string{
		"# A container.\ncontainer\nlasts 1s\nwant end alive\n",
		"# A pipe.\nconsole pipe\nlasts 1s\nwant end alive\n",
		"# A fault.\nfail fork EAGAIN\nlasts 1s\nwant end alive\n",
		"# A file.\nlasts 1s\nwant file /a \"x\\n\"\nwant end alive\n",
	} {
		s, err := scenario.Parse("test.txtar", []byte(text))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		tr, err := World{}.Play(t.Context(), s, scenario.Options{})
		var un *scenario.Unplayable
		if tr != nil || !errors.As(err, &un) || un.Missing {
			t.Errorf("%q: got %v, %v, want that it cannot be played", text, tr, err)
		}
	}
}

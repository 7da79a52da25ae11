// Package livetest has the scenarios that every world with a running kernel is tested by.
package livetest

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// Case is a scenario.
type Case struct{ Name, Text string }

// Cases are short, and together make use of all that a world must be able to.
func Cases() []Case {
	return []Case{
		{Name: "ignored TERM", Text: `# A service that ignores TERM is killed.
when "service up" after 200ms signal USR2
want end poweroff
want down >= 1s
want down < 2s
-- etc/inittab --
::sysinit:/bin/actor say hello
::respawn:/bin/actor ignore TERM, say service up, pause
::shutdown:/bin/actor say goodbye
-- etc/rebound.conf --
shutdown.term_timeout = 1s
-- console --
hello
service up
goodbye
The system is going down NOW!
Sent SIGTERM to all processes
Sent SIGKILL to all processes
Requesting system poweroff
`},
		{Name: "caught TERM", Text: `# A service ends when it is asked to, and the reboot comes as soon as it has.
when "service up" after 200ms signal TERM
want end reboot
want down < 1s
-- etc/inittab --
::respawn:/bin/actor say service up, catch TERM, sleep 200ms, say bye, exit 0
-- console --
service up
The system is going down NOW!
% any order
Sent SIGTERM to all processes
bye
% in order
Requesting system reboot
`},
		{Name: "askfirst", Text: `# A terminal asks first.
when "Please press Enter to activate this console. " after 100ms type "\n"
when "shell" after 100ms type "one\n"
when "read" after 100ms signal USR1
want end halt
-- etc/inittab --
::askfirst:/bin/actor say shell, readline, say read, pause
-- console --

Please press Enter to activate this console. 
shell
one
read
The system is going down NOW!
Sent SIGTERM to all processes
Requesting system halt
`},
		{Name: "reload", Text: `# A new inittab is read when HUP says so.
when "first" after 100ms write /etc/inittab <<new
when "first" after 300ms signal HUP
when "second" after 200ms kill second KILL
when "second" after 4s signal USR2
want end poweroff
want file /tmp/there "one\none\n"
-- etc/inittab --
::once:/bin/actor say first
-- new --
::respawn:/bin/actor as second, append /tmp/there one, say second, pause
-- console --
first
second
% anything
second
The system is going down NOW!
Sent SIGTERM to all processes
Requesting system poweroff
`},
		{Name: "orphans", Text: `# Orphans are reaped, and ended on the way down.
when "orphan" after 300ms signal USR2
want end poweroff
want down < 1s
want count "orphan" = 3
-- etc/inittab --
::once:/bin/actor fork 3, setsid, say orphan, pause
`},
		{Name: "alive", Text: `# Nothing happens to a machine that nobody asks to go down.
lasts 5s
want end alive
-- etc/inittab --
::once:/bin/actor say once
-- console --
once
`},
		{Name: "both signals", Text: `# Of two requests at one moment the one with the lower number is taken first, and the other wins.
when "up" after 200ms signal TERM USR2
want end reboot
want order "Already going down for poweroff: now for reboot" < "Sent SIGKILL to all processes" < "Requesting system reboot"
-- etc/inittab --
::respawn:/bin/actor ignore TERM, say up, pause
-- etc/rebound.conf --
shutdown.term_timeout = 500ms
`},
		{Name: "hangs", Text: `# What hangs until it is killed delays the way down.
when "up" after 300ms signal USR2
want end poweroff
want down >= 1s
want down < 2s
-- etc/inittab --
::once:/bin/actor ignore TERM, say up, hang killable
-- etc/rebound.conf --
shutdown.term_timeout = 1s
`},
	}
}

// Contained are for the init of a container.
func Contained() []Case {
	return []Case{
		{Name: "a pipe", Text: `# A container's console is a pipe.
container
console pipe
when "up" after 200ms signal TERM
want end reboot
want parent SIGHUP
-- etc/inittab --
::once:/bin/actor say up, pause
`},
		{Name: "unprivileged", Text: `# Without CAP_SYS_BOOT the init of a container exits.
container unprivileged
when "up" after 200ms signal TERM
want end exit 0
want parent exit 0
-- etc/inittab --
::once:/bin/actor say up, pause
`},
	}
}

// Play plays a scenario in the simulated world and in another one, and holds both against what it
// wants, and against each other. The test is skipped for want of something on this machine, unless
// the environment's REBOUND_REQUIRE has the word.
func Play(t *testing.T, w scenario.World, word, text string) *scenario.Transcript {
	t.Helper()
	s, err := scenario.Parse("test.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const patience = 3 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := scenario.Options{Init: os.Getenv("REBOUND_INIT")}
	got, err := w.Play(ctx, s, o)
	var un *scenario.Unplayable
	required := slices.Contains(strings.Split(os.Getenv("REBOUND_REQUIRE"), ","), word)
	switch {
	case errors.As(err, &un) && un.Missing && !required:
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	want, err := sim.World{}.Play(ctx, s, scenario.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range []*scenario.Transcript{want, got} {
		for _, d := range scenario.Check(s, tr) {
			t.Errorf("%s: %v", tr.World, d)
		}
	}
	for _, d := range scenario.Agree(s, want, got) {
		t.Error(d)
	}
	if t.Failed() {
		show(t, want)
		show(t, got)
	}
	return got
}

func show(t *testing.T, tr *scenario.Transcript) {
	t.Helper()
	for name, lines := range tr.Terminals {
		for _, l := range lines {
			t.Logf("%s %s %v", tr.World, name, l)
		}
	}
	t.Logf("%s: end %v at %v, parent %q, events %v, log %v", tr.World, tr.End, tr.End.At, tr.Parent,
		tr.Done, tr.Log)
}

package pidns

import (
	"errors"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live/livetest"
)

func TestCases(t *testing.T) {
	for _, c := range append(livetest.Cases(), livetest.Contained()...) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			livetest.Play(t, World{}, "root", c.Text)
		})
	}
}

func TestOnlyHere(t *testing.T) {
	for _, c := range []livetest.Case{
		{Name: "terminals", Text: `# Each terminal has its own prompt.
terminal tty1
terminal tty2 stopped
when "Please press Enter to activate this console. " after 200ms type tty1 "\n"
when "one" after 200ms start tty2
when "two" after 200ms signal USR2
want end poweroff
-- etc/inittab --
tty1::askfirst:/bin/actor say one, pause
tty2::once:/bin/actor say two, pause
`},
		{Name: "hangup", Text: `# A terminal that loses its line ends what runs on it.
terminal ttyS9
when "up" after 200ms hangup ttyS9
when "hung up" after 200ms signal USR2
want end poweroff
-- etc/inittab --
ttyS9::once:/bin/actor say up, catch HUP, write /tmp/hup yes, exit 0
::once:/bin/actor sleep 1s, say hung up
`},
		{Name: "no console", Text: `# Without a console the machine goes down all the same.
console none
at 3s signal USR2
want end poweroff
want file /tmp/up "yes\n"
-- etc/inittab --
::once:/bin/actor write /tmp/up yes, pause
`},
	} {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			livetest.Play(t, World{}, "root", c.Text)
		})
	}
}

// TestUnplayable: what cannot be played is never passed.
func TestUnplayable(t *testing.T) {
	for _, text := range []string{
		"# Keys.\nat 1s press ctrl-alt-del\nwant end reboot\n",
		"# A machine.\nmachine\nlasts 1s\nwant end alive\n",
		"# A fault.\nfail fork EAGAIN\nlasts 1s\nwant end alive\n",
		"# In D.\nlasts 1s\nwant end alive\n-- etc/inittab --\n::once:/bin/actor hang\n",
		"# Not here.\nnot pidns: there is a reason\nlasts 1s\nwant end alive\n",
	} {
		s, err := scenario.Parse("test.txtar", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		tr, err := World{}.Play(t.Context(), s, scenario.Options{})
		var un *scenario.Unplayable
		if tr != nil || !errors.As(err, &un) || un.Missing {
			t.Errorf("%q: got %v, %v, want that it cannot be played", text, tr, err)
		}
	}
}

package container

import (
	"errors"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/live/livetest"
)

func TestCases(t *testing.T) {
	for _, c := range append(livetest.Cases(), livetest.Contained()...) {
		t.Run(c.Name, func(t *testing.T) { livetest.Play(t, World{}, "podman", c.Text) })
	}
}

// TestUnplayable: what cannot be played is never passed.
func TestUnplayable(t *testing.T) {
	for _, text := range []string{
		"# Keys.\nat 1s press ctrl-alt-del\nwant end reboot\n",
		"# A machine.\nmachine\nlasts 1s\nwant end alive\n",
		"# No console.\nconsole none\nlasts 1s\nwant end alive\n",
		"# Terminals.\nterminal tty1\nlasts 1s\nwant end alive\n",
		"# Slow.\nslow sync 1s\nlasts 1s\nwant end alive\n",
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

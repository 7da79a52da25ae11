// Package scenarios is the catalogue of what init meets. Its test plays all of it in a PID
// namespace; internal/scenario/sim plays it on the simulated kernel.
package scenarios

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/pidns"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// catalogue reads all scenarios.
func catalogue(t *testing.T) []*scenario.Scenario {
	t.Helper()
	files, err := filepath.Glob("*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []*scenario.Scenario
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(file, text)
		if err != nil {
			t.Error(err)
			continue
		}
		all = append(all, s)
	}
	return all
}

// TestCatalogueIsLarge, and most of it is not for one world alone.
func TestCatalogueIsLarge(t *testing.T) {
	const (
		least     = 60
		leastWide = 45
	)
	all, wide := catalogue(t), 0
	for _, s := range all {
		if worldsOf(s) >= 3 {
			wide++
		}
		if !strings.HasSuffix(s.Title, ".") {
			t.Errorf("%s: %q: expected a sentence of what it shows", s.File, s.Title)
		}
	}
	if len(all) < least || wide < leastWide {
		t.Errorf("got %d scenarios, %d of them for three worlds or more, want %d and %d",
			len(all), wide, least, leastWide)
	}
}

// worldsOf counts the worlds that a scenario is for. A machine of its own is neither a container nor
// a PID namespace, a container is no virtual machine, and linuxrc is not process 1 of anything.
func worldsOf(s *scenario.Scenario) int {
	n := 0
	for _, w := range scenario.Worlds() {
		own := w == sim.Name || w == "qemu"
		switch s.Machine.Privilege {
		case scenario.Own:
			if !own {
				continue
			}
		case scenario.Container, scenario.Unprivileged:
			if w == "qemu" {
				continue
			}
		case scenario.Any:
		}
		if s.Playable(w) == nil && (w == sim.Name || !s.Machine.Linuxrc) {
			n++
		}
	}
	return n
}

// play plays a scenario in a PID namespace and on the simulated kernel, and returns how they are not
// what they must be. The error says that it was not played.
func play(t *testing.T, s *scenario.Scenario) ([]scenario.Difference, error) {
	t.Helper()
	o := scenario.Options{Init: os.Getenv("REBOUND_INIT")}
	real, err := pidns.World{}.Play(t.Context(), s, o)
	if err != nil {
		return nil, err
	}
	found := scenario.Check(s, real)
	if s.Playable(sim.Name) == nil {
		model, err := sim.World{}.Play(t.Context(), s, scenario.Options{})
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, scenario.Agree(s, model, real)...)
	}
	return found, nil
}

// TestInPIDNamespaces plays several at a time. What differs is played again when the others are
// done: on a machine that is too busy an actor may come too late for its scenario.
func TestInPIDNamespaces(t *testing.T) {
	var (
		mu     sync.Mutex
		again  []*scenario.Scenario
		played int
	)
	t.Run("all", func(t *testing.T) {
		for _, s := range catalogue(t) {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				differences, err := play(t, s)
				mu.Lock()
				defer mu.Unlock()
				var not *scenario.Unplayable
				switch {
				case errors.As(err, &not) && not.Missing && !required():
					t.Skip(err)
				case errors.As(err, &not) && !not.Missing:
					t.Log(err)
				case err != nil:
					t.Fatal(err)
				default:
					played++
					if len(differences) > 0 {
						again = append(again, s)
					}
				}
			})
		}
	})
	for _, s := range again {
		t.Run(s.Name+" again", func(t *testing.T) {
			differences, err := play(t, s)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				t.Errorf("%s:%d: %s", s.File, d.Line, d.Text)
			}
		})
	}
	const least = 90
	if required() && played < least {
		t.Errorf("played %d scenarios, want %d at least", played, least)
	}
}

// required reports whether the test must not be skipped on a machine without root.
func required() bool {
	return slices.Contains(strings.Split(os.Getenv("REBOUND_REQUIRE"), ","), "root")
}

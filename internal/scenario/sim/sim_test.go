package sim_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// catalogue reads the scenarios of the catalogue.
func catalogue(t *testing.T) []*scenario.Scenario {
	t.Helper()
	files, err := filepath.Glob("../../../test/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
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

// TestCatalogue plays the scenarios of the catalogue, without chance and with some.
func TestCatalogue(t *testing.T) {
	const seeds = 20
	for _, s := range catalogue(t) {
		t.Run(s.Name, func(t *testing.T) {
			for seed := range uint64(seeds + 1) {
				tr, err := sim.World{}.Play(t.Context(), s, scenario.Options{Seed: seed})
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range scenario.Check(s, tr) {
					t.Errorf("seed %d: %s:%d: %s", seed, s.File, d.Line, d.Text)
				}
				if t.Failed() {
					break
				}
			}
		})
	}
}

package sim_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// TestExamplesPlay plays the examples of docs/scenarios.md.
func TestExamplesPlay(t *testing.T) {
	text, err := os.ReadFile("../../../docs/scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	const least = 4
	blocks := strings.Split(string(text), "\n```txtar\n")[1:]
	if len(blocks) < least {
		t.Fatalf("examples: got %d, want %d at least", len(blocks), least)
	}
	for i, block := range blocks {
		block, _, _ = strings.Cut(block, "\n```\n")
		s, err := scenario.Parse(fmt.Sprintf("example %d", i+1), []byte(block+"\n"))
		if err != nil {
			t.Error(err)
			continue
		}
		for seed := range uint64(20) {
			tr, err := sim.World{}.Play(t.Context(), s, scenario.Options{Seed: seed})
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range scenario.Check(s, tr) {
				t.Errorf("seed %d: %s:%d: %s", seed, s.File, d.Line, d.Text)
			}
		}
	}
}

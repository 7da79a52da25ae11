package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rebound-init/rebound/internal/knob"
)

// panicctl predicts what happened when our PID 1 had set each policy and the kernel failed.
func TestPanicctlPredictsPolicies(t *testing.T) {
	k := policyKernel()
	fates, err := loadFates("testdata", k)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	played := map[string]Fate{}
	for _, f := range fates {
		played[f.Policy+"/"+f.Failure] = f
	}
	for _, policy := range knob.Presets() {
		predicted, err := panicctl(t.Context(), root, k, policy)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range provokable() {
			name := policy + "/" + p.Failure
			t.Run(name, func(t *testing.T) {
				f, ok := played[name]
				if !ok {
					t.Fatal("not recorded: as root, make agree-kernels RECORD=1")
				}
				if why := f.differs(predicted[p.Failure]); why != "" {
					t.Errorf("%s: predicted %v, measured %v", why, predicted[p.Failure], f)
				}
			})
		}
	}
}

// A prediction may be wrong in its time only, and by a fifth or a second at most.
func TestFateDiffers(t *testing.T) {
	at := func(seconds float64) Fate {
		return Fate{Outcome: "comes-back", After: &seconds, Evidence: []string{"console"}}
	}
	silent := at(10)
	silent.Evidence = nil
	for _, c := range []struct {
		name            string
		real, predicted Fate
		want            string
	}{
		{"same", at(10), at(10), ""},
		{"a fifth", at(12), at(10), ""},
		{"more than a fifth", at(12.1), at(10), "time"},
		{"a second", at(1), at(0), ""},
		{"more than a second", at(1.1), at(0), "time"},
		{"no time", Fate{Outcome: "comes-back", Evidence: []string{"console"}}, at(10), "time"},
		{"outcome", Fate{Outcome: "hangs"}, at(10), "outcome"},
		{"evidence", at(10), silent, "evidence"},
	} {
		if got := c.real.differs(c.predicted); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// Each half of the page is written without the other.
func TestHalvesOfThePage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.md")
	for _, c := range []struct {
		which      half
		text, want string
	}{
		{firstHalf, "# one\n\nfirst\n", "# one\n\nfirst\n"},
		{secondHalf, "\nsecond\n", "# one\n\nfirst\n\n" + policyTitle + "\nsecond\n"},
		{firstHalf, "# two\n", "# two\n\n" + policyTitle + "\nsecond\n"},
		{secondHalf, "\nthird\n", "# two\n\n" + policyTitle + "\nthird\n"},
	} {
		if err := writeHalf(file, c.which, c.text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != c.want {
			t.Errorf("after %q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// What the guest and PID 1 say on the console is no evidence that the kernel has left.
func TestEvidenceIsTheKernels(t *testing.T) {
	for line, want := range map[string]bool{
		"<1>[   12.000001] BUG: kernel NULL pointer dereference, address: 0000000000000020": true,
		"<0>[   12.000001] rebound-kernels: done crash null-write":                          false,
		"<4>[   12.000001] init: the kernel has reported an oops":                           false,
		"init: starting pid 7": false,
	} {
		if got := said(line); got != want {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}

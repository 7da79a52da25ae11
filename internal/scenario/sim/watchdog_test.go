package sim

import (
	"slices"
	"testing"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestWatchdogDrivers are those that the model has.
func TestWatchdogDrivers(t *testing.T) {
	if got, want := scenario.WatchdogDrivers(), simkernel.WatchdogDrivers(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

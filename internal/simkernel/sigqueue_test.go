package simkernel

import (
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Each real-time signal counts, but not those that were thrown away: ignored, they are forgotten,
// to the process and to the thread alike.
func TestRealTimeSignals(t *testing.T) {
	const sig = 34
	for name, c := range map[string]struct {
		before []Step
		want   int
	}{
		"each counts": {[]Step{
			Loop{200, []Step{Loop{1000, []Step{Raise{sig}}}}},
		}, 200_000},
		"the thread's are forgotten":  {[]Step{Loop{9, []Step{Raise{sig}}}, Ignore{sig}}, 0},
		"the process's are forgotten": {[]Step{Loop{9, []Step{Kill{0, "", sig}}}, Ignore{sig}}, 0},
		"and then the next one counts": {[]Step{
			Loop{9, []Step{Raise{sig}}}, Ignore{sig}, Raise{sig},
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var n int
			steps := append([]Step{Block{sig}}, c.before...)
			steps = append(steps, Catch{sig, []Step{tallyStep{&n}}}, Sleep{1}, Unblock{sig}, Pause{})
			m := New(Config{Programs: programs(map[string][]Step{"p": steps})})
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Second)
				return 0
			})
			if n != c.want {
				t.Errorf("signals: got %d, want %d", n, c.want)
			}
		})
	}
}

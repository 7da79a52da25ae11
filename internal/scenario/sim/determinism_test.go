package sim_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
	"github.com/rebound-init/rebound/internal/scenario/sim"
)

// busy leaves much to chance: what runs first, what is reaped first, how long loading takes.
const busy = `# Much happens at the same time.
terminal tty2
when "up 3" after 100ms signal HUP INT
when "up 3" write etc/inittab <<second
when "up 5" kill storm KILL
when "up 5" after 2s signal TERM USR1
want end reboot
-- etc/inittab --
::sysinit:/bin/actor beside 3, fork 2, sleep 10ms, say made
::wait:/bin/actor fork 5, sleep 5ms, say waited for by nobody
::respawn:/bin/actor say up 1, catch TERM, say down 1, exit 1
::respawn:/bin/actor say up 2, catch TERM, fork 2, say down 2
::respawn:/bin/actor as storm, say up 3, beside 4, sleep 20ms, say storm
::respawn:/bin/actor say up 4, sleep 300ms
tty2::respawn:/bin/actor say on tty2, sleep 50ms
::ctrlaltdel:/bin/actor say key
-- second --
::respawn:/bin/actor say up 1, catch TERM, say down 1, exit 1
::respawn:/bin/actor say up 5, ignore TERM, pause
::shutdown:/bin/actor say entry, sleep 10ms
-- etc/rebound.conf --
shutdown.term_timeout = 200ms
`

// story is a play with its trace, all of it.
func story(t *testing.T, s *scenario.Scenario, seed uint64) string {
	t.Helper()
	var b strings.Builder
	tr, err := sim.World{}.Play(t.Context(), s, scenario.Options{
		Seed:  seed,
		Trace: func(at time.Duration, call string) { fmt.Fprintln(&b, at, call) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range scenario.Check(s, tr) {
		t.Errorf("seed %d: %s:%d: %s", seed, s.File, d.Line, d.Text)
	}
	fmt.Fprintf(&b, "%+v\n", *tr)
	return b.String()
}

// TestSameSeedSameTranscript plays a scenario a thousand times, on machines of different width.
func TestSameSeedSameTranscript(t *testing.T) {
	s, err := scenario.Parse("busy.txtar", []byte(busy))
	if err != nil {
		t.Fatal(err)
	}
	const (
		times = 1000
		seed  = 7
	)
	want := story(t, s, seed)
	widths := []int{1, 2, 8}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for i := range times {
		if i%(times/len(widths)) == 0 {
			runtime.GOMAXPROCS(widths[min(i*len(widths)/times, len(widths)-1)])
		}
		if got := story(t, s, seed); got != want {
			t.Fatalf("play %d is another one:\ngot\n%s\nwant\n%s", i, got, want)
		}
	}
	// A seed that changed nothing would be no seed.
	stories := make(map[string]bool)
	const seeds = 20
	for seed := range uint64(seeds) {
		stories[story(t, s, seed)] = true
	}
	if len(stories) < seeds/2 {
		t.Errorf("different stories of %d seeds: got %d, want most of them", seeds, len(stories))
	}
}

// TestCatalogueIsTheSameAgain plays every scenario of the catalogue twice with each of a few seeds.
func TestCatalogueIsTheSameAgain(t *testing.T) {
	for _, s := range catalogue(t) {
		for _, seed := range []uint64{0, 1, 1 << 40} {
			if a, b := story(t, s, seed), story(t, s, seed); a != b {
				t.Errorf("%s, seed %d:\nfirst\n%s\nthen\n%s", s.Name, seed, a, b)
			}
		}
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// boots are the figures of a contender that takes up ms to boot and down ms to go down for
// each of n services, and one kB of memory.
func boots(action, up, down, pss float64, n int) []Figures {
	return []Figures{{
		Action: action, Services: action + up*float64(n), Down: down * float64(n),
		PSS: pss + float64(n), Anon: 64, Threads: 1,
	}}
}

func sample() []Result {
	return []Result{
		{Name: "floor", Executable: 667, Boots: map[int][]Figures{4: {{Action: 0.77, Down: 0.08}}}},
		{Name: busybox, Executable: 1936, Boots: map[int][]Figures{
			4: boots(1.02, 0.5, 500, 1460, 4), 100: boots(1.38, 0.5, 20, 1460, 100),
		}},
		{Name: rebound, Executable: 2501, Boots: map[int][]Figures{
			4: boots(3.5, 0.45, 0.2, 2400, 4), 100: boots(3.4, 0.6, 0.11, 2401, 100),
		}},
	}
}

func TestTheTable(t *testing.T) {
	var b strings.Builder
	printTable(&b, sample(), rows(sample(), []int{4, 100}))
	want := `
                         floor  BusyBox  Rebound      limit
with 4 services
first action, ms          0.77     1.02     3.50    <= 3.50  pass
all services up, ms          -     3.02     5.30
way down, ms              0.08  2000.00     0.80    <= 2.00  pass
PSS of PID 1, kB             -     1464     2404    <= 2600  pass
  anonymous, kB              -       64       64
  huge pages, kB             -        0        0
threads                      -        1        1
executable, kB             667     1936     2501    <= 2500  over
with 100 services
first action, ms             -     1.38     3.40
all services up, ms          -     51.4     63.4
  up, per service, ms        -   0.5038   0.6052  <= 0.5038  over
way down, ms                 -   2000.0     11.0  <= 2000.0  pass
  down, per service, ms      -   0.0000   0.1062
PSS of PID 1, kB             -     1560     2501
  PSS, per service, kB       -    1.000    1.010   <= 1.000  over
`
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), b.String()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// Without Rebound there is nothing to judge, and without BusyBox no limit to judge some of
// it by.
func TestOnlyWhatIsThereIsJudged(t *testing.T) {
	all := sample()
	for _, r := range rows(all[:2], []int{4, 100}) {
		if r.Verdict != "" || r.Limit != nil {
			t.Errorf("without Rebound, %s has the verdict %q", r.Figure, r.Verdict)
		}
	}
	judged := 0
	for _, r := range rows(all[2:], []int{4, 100}) {
		if r.Verdict != "" {
			judged++
		}
	}
	if judged != 4 {
		t.Errorf("without BusyBox %d rows are judged, want the 4 with limits of their own", judged)
	}
}

func TestMedianAndSpread(t *testing.T) {
	action := func(f Figures) float64 { return f.Action }
	r := Result{Name: "x", Boots: map[int][]Figures{
		4:   {{Action: 3}, {Action: 1}, {Action: 2}},
		100: {{Action: 10}, {Action: 11}},
	}}
	for services, want := range map[int]float64{4: 2, 100: 10.5} {
		if got, ok := r.median(services, action); !ok || got != want {
			t.Errorf("median with %d services: got %v %v, want %v", services, got, ok, want)
		}
	}
	if got, ok := r.median(7, action); ok {
		t.Errorf("median of no boots: got %v, want none", got)
	}
	got := widest([]Result{r}, "first action", action)
	want := Spread{Contender: "x", Services: 4, Figure: "first action", Percent: 100}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Contenders that something is said about by name.
const (
	busybox  = "BusyBox"
	sysvinit = "sysvinit"
	goLoop   = "Go loop"
	rebound  = "Rebound"
)

// A Result is what was measured of one contender.
type Result struct {
	Name       string            `json:"name"`
	Executable float64           `json:"executable_kb"`
	Libraries  float64           `json:"libraries_kb"`
	Boots      map[int][]Figures `json:"boots"` // by the number of services
}

// median is the median over the boots with so many services, if there were any.
func (r Result) median(services int, pick func(Figures) float64) (float64, bool) {
	values := pickAll(r.Boots[services], pick)
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	i := len(values) / 2
	if len(values)%2 == 0 {
		return (values[i-1] + values[i]) / 2, true
	}
	return values[i], true
}

func pickAll(boots []Figures, pick func(Figures) float64) []float64 {
	var values []float64
	for _, f := range boots {
		values = append(values, pick(f))
	}
	return values
}

// A Verdict is how Rebound's value stands to its limit.
type Verdict string

// The verdicts.
const (
	pass Verdict = "pass"
	over Verdict = "over"
)

// A Row is one figure of all contenders.
type Row struct {
	Figure   string             `json:"figure"`
	Services int                `json:"services"`
	Values   map[string]float64 `json:"values"`            // by contender; who has none is absent
	Limit    *float64           `json:"limit,omitempty"`   // of Rebound's value
	Verdict  Verdict            `json:"verdict,omitempty"` // empty without a limit

	decimals int
}

// rows makes the table: first the figures with the smallest number of services, then what
// each larger number adds. A figure that nobody has is left out.
func rows(results []Result, services []int) []Row {
	action := func(f Figures) float64 { return f.Action }
	running := func(f Figures) float64 { return f.Services }
	down := func(f Figures) float64 { return f.Down }
	pss := func(f Figures) float64 { return f.PSS }
	anon := func(f Figures) float64 { return f.Anon }
	huge := func(f Figures) float64 { return f.Huge }
	threads := func(f Figures) float64 { return f.Threads }

	var table []Row
	add := func(n int, figure string, decimals int, value func(Result) (float64, bool)) *Row {
		row := Row{Figure: figure, Services: n, Values: map[string]float64{}, decimals: decimals}
		for _, r := range results {
			if v, ok := value(r); ok {
				row.Values[r.Name] = v
			}
		}
		table = append(table, row)
		return &table[len(table)-1]
	}
	of := func(n int, pick func(Figures) float64) func(Result) (float64, bool) {
		return func(r Result) (float64, bool) { return r.median(n, pick) }
	}
	// seen leaves out who was not looked at: every process has a thread.
	seen := func(n int, pick func(Figures) float64) func(Result) (float64, bool) {
		return func(r Result) (float64, bool) {
			v, ok := r.median(n, pick)
			t, _ := r.median(n, threads)
			return v, ok && t > 0
		}
	}

	base := services[0]
	add(base, "first action, ms", 2, of(base, action)).limit(3.5)
	add(base, "all services up, ms", 2, seen(base, running))
	add(base, "way down, ms", 2, of(base, down)).limit(2.0)
	add(base, "PSS of PID 1, kB", 0, seen(base, pss)).limit(2600)
	add(base, "  anonymous, kB", 0, seen(base, anon))
	add(base, "  huge pages, kB", 0, seen(base, huge))
	add(base, "threads", 0, seen(base, threads))
	add(base, "executable, kB", 0, func(r Result) (float64, bool) {
		return r.Executable, r.Executable > 0
	}).limit(2500)
	add(base, "  libraries, kB", 0, func(r Result) (float64, bool) {
		return r.Libraries, r.Libraries > 0
	})

	for _, n := range services[1:] {
		// more is what one service more costs, from the smallest number on.
		more := func(pick func(Figures) float64) func(Result) (float64, bool) {
			return func(r Result) (float64, bool) {
				few, ok1 := r.median(base, pick)
				many, ok2 := r.median(n, pick)
				return (many - few) / float64(n-base), ok1 && ok2
			}
		}
		add(n, "first action, ms", 2, of(n, action))
		add(n, "all services up, ms", 1, of(n, running))
		add(n, "  up, per service, ms", 4, more(running)).limitBusyBox()
		// Not judged by what one more costs: BusyBox sleeps while the services die, so that
		// its difference shows next to nothing. The C loop's is the least there can be.
		add(n, "way down, ms", 1, of(n, down)).limitBusyBox()
		add(n, "  down, per service, ms", 4, more(down))
		add(n, "PSS of PID 1, kB", 0, of(n, pss))
		add(n, "  PSS, per service, kB", 3, more(pss)).limitBusyBox()
	}
	return slices.DeleteFunc(table, func(r Row) bool { return len(r.Values) == 0 })
}

// limit judges Rebound's value. Without one there is nothing to judge.
func (r *Row) limit(most float64) {
	got, ok := r.Values[rebound]
	if !ok {
		return
	}
	r.Limit, r.Verdict = &most, pass
	if got > most {
		r.Verdict = over
	}
}

// limitBusyBox takes BusyBox's value for the limit.
func (r *Row) limitBusyBox() {
	if most, ok := r.Values[busybox]; ok {
		r.limit(most)
	}
}

// printTable writes the rows with one column for each contender, aligned.
func printTable(w io.Writer, results []Result, table []Row) {
	head := []string{""}
	for _, r := range results {
		head = append(head, r.Name)
	}
	lines := [][]string{append(head, "limit", "")}
	services := -1
	for _, row := range table {
		if row.Services != services {
			services = row.Services
			lines = append(lines, []string{fmt.Sprintf("with %d services", services)})
		}
		line := []string{row.Figure}
		for _, r := range results {
			line = append(line, row.cell(r.Name))
		}
		if row.Limit != nil {
			line = append(line, "<= "+number(*row.Limit, row.decimals), string(row.Verdict))
		}
		lines = append(lines, line)
	}

	width := make([]int, len(head)+2)
	for _, line := range lines {
		for i, cell := range line {
			width[i] = max(width[i], len(cell))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			switch i {
			case 0:
				fmt.Fprintf(&b, "%-*s", width[i], cell)
			case len(head) + 1: // the verdict
				b.WriteString("  " + cell)
			default:
				fmt.Fprintf(&b, "  %*s", width[i], cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

func (r Row) cell(name string) string {
	v, ok := r.Values[name]
	if !ok {
		return "-"
	}
	return number(v, r.decimals)
}

func number(v float64, decimals int) string {
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// A Spread is how far the boots of one contender lie apart in one figure.
type Spread struct {
	Contender string  `json:"contender"`
	Services  int     `json:"services"`
	Figure    string  `json:"figure"`
	Percent   float64 `json:"percent"` // of the median, from the least to the greatest
}

// widest finds the widest spread of the given figure among all contenders.
func widest(results []Result, figure string, pick func(Figures) float64) Spread {
	worst := Spread{Figure: figure}
	for _, r := range results {
		for _, n := range slices.Sorted(maps.Keys(r.Boots)) {
			values := pickAll(r.Boots[n], pick)
			mid, ok := r.median(n, pick)
			if !ok || mid == 0 {
				continue
			}
			if p := 100 * (slices.Max(values) - slices.Min(values)) / mid; p >= worst.Percent {
				worst = Spread{Contender: r.Name, Services: n, Figure: figure, Percent: p}
			}
		}
	}
	return worst
}

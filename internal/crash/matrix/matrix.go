// Package matrix tells of every failure of a kernel what comes of it on one machine with one policy:
// whether the machine comes back and after how long, what is left to find out why, and through which
// steps of the kernel it gets there.
//
// It plays the failures by package crash, and computes nothing that the play does not say.
package matrix

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Outcome is what becomes of a machine whose kernel fails.
type Outcome uint8

// The outcomes, the worst first.
const (
	// Hangs: it does nothing more until somebody comes.
	Hangs Outcome = iota
	// Halts and PowersOff: somebody has to come, but that is what was asked for.
	Halts
	PowersOff
	// GoesOn: the kernel has survived.
	GoesOn
	// ComesBack: the machine restarts by itself.
	ComesBack
	// Captured: the crash kernel takes over, and it decides what comes next.
	Captured
)

// Outcomes are all of them, the worst first.
func Outcomes() []Outcome { return []Outcome{Hangs, Halts, PowersOff, GoesOn, ComesBack, Captured} }

// String is the outcome in words.
func (o Outcome) String() string {
	return [...]string{"hangs", "halts", "powers off", "goes on", "comes back", "captured"}[o]
}

// MarshalText is the outcome in JSON.
func (o Outcome) MarshalText() ([]byte, error) {
	return []byte(strings.ReplaceAll(o.String(), " ", "-")), nil
}

// Span is how long something takes, or after how long it happens: crash.Never if it does not.
type Span time.Duration

// Never is the end that does not come.
const Never = Span(crash.Never)

// String is the time for people: 24s, 1m30s, never.
func (s Span) String() string {
	d := time.Duration(s)
	switch {
	case s == Never:
		return "never"
	case d < time.Second:
		return d.String()
	case d < time.Minute:
		return d.Round(10 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	// 2m0s is 2m, and 1h0m0s is 1h.
	for _, end := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, end) {
			text = text[:len(text)-len("0s")]
		}
	}
	return text
}

// MarshalJSON is seconds, or null for never.
func (s Span) MarshalJSON() ([]byte, error) {
	if s == Never {
		return []byte("null"), nil
	}
	return []byte(strconv.FormatFloat(time.Duration(s).Seconds(), 'f', -1, 64)), nil
}

// Row is what comes of one failure.
type Row struct {
	// Failure is its name, Family what it belongs to, Means what it is in a line.
	Failure string `json:"failure"`
	Family  Family `json:"family"`
	Means   string `json:"means"`
	// Caused is how it comes about in the model.
	Caused  string  `json:"caused"`
	Outcome Outcome `json:"outcome"`
	// By is what has ended the machine: "kernel", "watchdog i6300esb", or nothing.
	By string `json:"by"`
	// After is when that was, and Back when the next kernel starts, both since the failure. What the
	// firmware takes is not in it.
	After Span `json:"ended_after_seconds"`
	Back  Span `json:"back_after_seconds"`
	// Cause is the kernel's last word on why.
	Cause string `json:"cause"`
	// Lost is what a machine has lost that goes on: "a task", or which CPU. Of one that hangs it is
	// why it answers no more.
	Lost string `json:"lost"`
	// Evidence is what is left to find out why.
	Evidence []crash.Evidence `json:"evidence"`
	// Phases are what the machine does when, without gaps, from the failure on.
	Phases []Phase `json:"phases"`
	// Steps are what the kernel goes through.
	Steps []Step `json:"steps"`
}

// Machine is a machine with its policy.
type Machine struct {
	// Spec is what it is like from its boot on. Its Failure does not count.
	crash.Spec
	// ByInit are settings that PID 1 makes, or whoever it starts: the kernel that fails before that
	// does not have them, and neither a crash kernel nor somebody who feeds a watchdog.
	ByInit []crash.Setting
}

// For is what to play for a failure.
func (m *Machine) For(failure string) crash.Spec {
	spec := m.Spec
	spec.Failure = failure
	if BeforeInit(failure) {
		spec.CrashKernel, spec.Watchdogs = false, nil
		return spec
	}
	spec.Settings = slices.Concat(spec.Settings, m.ByInit)
	return spec
}

// BeforeInit reports whether a failure comes before there is a PID 1.
func BeforeInit(failure string) bool {
	switch failure {
	case "no-init", "no-such-init", "no-root":
		return true
	}
	return false
}

// Of plays all failures that the kernel of a machine knows, in the order of their names. The error says
// what is wrong with the machine.
func Of(m Machine) ([]Row, error) {
	if m.Kernel == "" {
		m.Kernel = simkernel.Kernels()[0]
	}
	var rows []Row
	for _, f := range crash.Failures() {
		if !slices.Contains(f.Kernels, m.Kernel) {
			continue
		}
		row, err := one(m, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		rows = append(rows, *row)
	}
	return rows, nil
}

// One plays one failure.
func One(m Machine, failure string) (*Row, error) {
	for _, f := range crash.Failures() {
		if f.Name == failure {
			return one(m, f)
		}
	}
	m.Failure = failure
	// Play says what is wrong with it.
	_, err := crash.Play(m.Spec)
	return nil, err
}

func one(m Machine, f crash.Failure) (*Row, error) {
	spec := m.For(f.Name)
	r, err := crash.Play(spec)
	if err != nil {
		return nil, err
	}
	return of(spec, f, r), nil
}

// of is the row of a report.
func of(spec crash.Spec, f crash.Failure, r *crash.Report) *Row {
	v := &r.Verdict
	row := &Row{
		Failure: f.Name, Family: FamilyOf(f.Name), Means: f.Means, Caused: f.Caused,
		Outcome: outcome(v.Ending), Cause: v.Cause, After: Never, Back: Never,
		// An empty list is no null for programs.
		Evidence: append([]crash.Evidence{}, v.Evidence...),
	}
	switch row.Outcome {
	case Hangs, GoesOn:
		if v.Answers != nil {
			row.Lost = v.Answers.Why
		}
	case ComesBack, Captured:
		row.Back = Span(time.Duration(v.Back) - r.At)
		fallthrough
	case Halts, PowersOff:
		row.After, row.By = Span(v.At-r.At), "kernel"
	}
	if v.Watchdog != "" {
		row.By = "watchdog " + v.Watchdog
	}
	row.Steps = steps(&spec, r)
	if row.Outcome == GoesOn && row.Lost == "" {
		row.Lost = lost(row.Steps)
	}
	row.Phases = phases(row, r)
	return row
}

// outcome is what an ending comes to.
func outcome(e crash.Ending) Outcome {
	switch e {
	case crash.Survived:
		return GoesOn
	case crash.Restarted, crash.Rescued:
		return ComesBack
	case crash.Captured:
		return Captured
	case crash.Off:
		return PowersOff
	case crash.Halted:
		return Halts
	case crash.Hung:
	}
	return Hangs
}

// lost is what a machine has to do without that goes on.
func lost(steps []Step) string {
	for i := range steps {
		switch steps[i].Name {
		case "make_task_dead", "do_exit":
			return "a task"
		case "out_of_memory":
			return "a process"
		}
	}
	return ""
}

// Count is how many rows have each outcome, by outcome.
func Count(rows []Row) map[Outcome]int {
	n := make(map[Outcome]int)
	for i := range rows {
		n[rows[i].Outcome]++
	}
	return n
}

// Places are where evidence is, each once.
func (r *Row) Places() []string {
	var all []string
	for _, e := range r.Evidence {
		if !slices.Contains(all, e.Where) {
			all = append(all, e.Where)
		}
	}
	return all
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/crash/matrix"
)

const matrixDoes = `Tell of every way for the kernel to fail what becomes of the machine: whether it comes back and
after how long, and what is left to find out why. Nothing happens to the machine: all failures are
played on a model of its kernel, with its own settings, or with those of the options.`

func (t *tool) matrix(args []string) int {
	fs := t.flags("matrix", "", matrixDoes)
	var (
		o              machineFlags
		asJSON, strict bool
		page, only     string
	)
	o.define(fs)
	fs.BoolVar(&asJSON, "json", false, "print an array with an object for each failure; times are in seconds")
	fs.StringVar(&page, "html", "", "write a page with a timeline of each failure to this `file`; - is the standard output")
	fs.BoolVar(&strict, "strict", false, "end with status 1 if there is a failure that the machine hangs after")
	fs.StringVar(&only, "family", "", "only failures of this `family`: "+families())
	words, status, done := t.parse(fs, args)
	switch {
	case done:
		return status
	case len(words) > 0:
		return t.wrong("matrix: %q is too much: `panicctl explain %s` tells of one failure", words[0], words[0])
	case only != "" && !slices.Contains(matrix.Families(), matrix.Family(only)):
		return t.wrong("matrix: unknown family %q: expected one of %s", only, families())
	}
	m, err := o.machine()
	if err != nil {
		return t.noMachine("matrix", err)
	}
	rows, err := matrix.Of(m.Machine)
	if err != nil {
		return t.wrong("matrix: %v", err)
	}
	if only != "" {
		rows = slices.DeleteFunc(rows, func(r matrix.Row) bool { return r.Family != matrix.Family(only) })
	}
	switch {
	case page != "":
		if status := t.writePage(page, m, rows); status != exitOK {
			return status
		}
	case asJSON:
		if status := t.printJSON(rows); status != exitOK {
			return status
		}
	default:
		t.printMatrix(m, rows)
	}
	if strict && matrix.Count(rows)[matrix.Hangs] > 0 {
		return exitAmiss
	}
	return exitOK
}

// families are the names of all families, for a list of them.
func families() string {
	var names []string
	for _, f := range matrix.Families() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// noMachine says why there is no machine to tell of.
func (t *tool) noMachine(command string, err error) int {
	if status := statusOf(err); status == exitDenied {
		return t.fails(status, "%s: the running machine cannot be read: %v: -kernel takes another", command, err)
	}
	return t.wrong("%s: %v", command, err)
}

// colourOf is how an outcome is shown.
func colourOf(o matrix.Outcome) colour {
	switch o {
	case matrix.Hangs:
		return bad
	case matrix.Halts, matrix.PowersOff:
		return fair
	case matrix.ComesBack, matrix.Captured:
		return good
	case matrix.GoesOn:
	}
	return plain
}

// printMatrix prints rows for people: the worst outcomes first.
func (t *tool) printMatrix(m *machine, rows []matrix.Row) {
	t.print(t.out, t.describe(m), "")
	tb := &table{}
	tb.add(cell{"FAILURE", bold}, cell{"OUTCOME", bold}, cell{"AFTER", bold}, cell{"BY", bold},
		cell{"EVIDENCE", bold}, cell{"WHAT FAILS", bold})
	for _, o := range matrix.Outcomes() {
		for i := range rows {
			if rows[i].Outcome == o {
				tb.add(t.row(&rows[i])...)
			}
		}
	}
	fmt.Fprintln(t.out)
	t.print(t.out, tb, "")
	fmt.Fprintf(t.out, "\n%s\n", t.summary(rows))
}

// row is a failure in the table.
func (t *tool) row(r *matrix.Row) []cell {
	after, by, evidence := "-", "-", "none"
	switch r.Outcome {
	case matrix.Hangs:
		after = "never"
	case matrix.GoesOn:
	case matrix.ComesBack, matrix.Captured:
		after, by = r.Back.String(), r.By
	case matrix.Halts, matrix.PowersOff:
		after, by = r.After.String(), r.By
	}
	if places := r.Places(); len(places) > 0 {
		evidence = strings.Join(places, ", ")
	}
	return []cell{
		{r.Failure, plain},
		{short(r), colourOf(r.Outcome)},
		{after, plain},
		{by, plain},
		{evidence, plain},
		{r.Means, faint},
	}
}

// short is the outcome in a few words, with what it costs.
func short(r *matrix.Row) string {
	if r.Outcome != matrix.GoesOn || r.Lost == "" {
		return r.Outcome.String()
	}
	lost := r.Lost
	if strings.HasPrefix(lost, "CPU ") {
		lost = "a CPU"
	}
	return r.Outcome.String() + " without " + lost
}

// summary counts the outcomes.
func (t *tool) summary(rows []matrix.Row) string {
	n := matrix.Count(rows)
	var parts []string
	for _, one := range []struct {
		outcome matrix.Outcome
		does    string
	}{
		{matrix.ComesBack, "come back"},
		{matrix.Captured, "are captured"},
		{matrix.GoesOn, "go on"},
		{matrix.PowersOff, "power off"},
		{matrix.Halts, "halt"},
		{matrix.Hangs, "hang for ever"},
	} {
		if n[one.outcome] > 0 {
			parts = append(parts, t.paint(colourOf(one.outcome), fmt.Sprintf("%d %s", n[one.outcome], one.does)))
		}
	}
	return fmt.Sprintf("Of %d failures %s. Times are from the failure to the next kernel, without the firmware's.",
		len(rows), strings.Join(parts, ", "))
}

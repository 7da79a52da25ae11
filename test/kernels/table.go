package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/knob"
)

// A Result is what came of a cell on a kernel.
type Result struct {
	Kernel Kernel
	Cell   Cell
	Real   Outcome
	// Difference is where the model's outcome is another first. Empty if the two are the same.
	Difference string
	// Unplayed is why the model was not asked, if it was not.
	Unplayed string
	// Failed is why the kernel could not be watched, if so.
	Failed error
}

// word is the result in a word.
func (r Result) word() string {
	switch {
	case r.Failed != nil:
		return "failed"
	case r.Unplayed != "":
		return "not in the model"
	case r.Difference != "":
		return "**differs**"
	}
	return "same"
}

// table is what docs/agreement.md says, for results in any order.
func table(results []Result) string {
	var b strings.Builder
	b.WriteString(`# Where the model and real kernels agree

` + "`make agree-kernels`" + ` has written this page: do not edit it. It makes Debian's kernels fail in QEMU, in
each way of this table, has the model fail the same way, and compares what the two say, line by
line with its level, how the machine ended, and what was left of it for the next boot. What is by
chance or by hardware is taken out first: addresses, registers, frames of stacks, times, numbers of
processes. The real consoles are kept in ` + "`test/kernels/testdata`" + `, and ` + "`make test`" + ` compares the model
with those.

`)
	names := []string{}
	for _, k := range kernels() {
		names = append(names, k.Name)
		n, same := 0, 0
		for _, r := range results {
			if r.Kernel.Name == k.Name {
				n++
				if r.word() == "same" {
					same++
				}
			}
		}
		fmt.Fprintf(&b, "- Linux %s, the model's `%s`: %d of %d cells are the same\n",
			strings.Replace(k.Name, "-", " for ", 1), k.Profile, same, n)
	}
	b.WriteString("\n| cell | settings | " + strings.Join(names, " | ") + " |\n")
	b.WriteString("|---|---|" + strings.Repeat("---|", len(names)) + "\n")
	for _, c := range cells() {
		row := []string{"`" + c.Name + "`", settings(c)}
		for _, name := range names {
			i := slices.IndexFunc(results, func(r Result) bool {
				return r.Kernel.Name == name && r.Cell.Name == c.Name
			})
			if i < 0 {
				row = append(row, "")
				continue
			}
			r := results[i]
			text := r.word()
			if r.Failed == nil {
				text += ": " + r.Real.Ended
			}
			if len(r.Real.Left) > 0 {
				text += "; left " + list(r.Real.Left)
			}
			row = append(row, text)
		}
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	var notes []string
	for _, r := range sorted(results) {
		switch {
		case r.Failed != nil:
			notes = append(notes, note(r, r.Failed.Error()))
		case r.Unplayed != "":
			notes = append(notes, note(r, r.Unplayed))
		case r.Difference != "":
			notes = append(notes, note(r, r.Difference))
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n## What is not the same\n\n" + strings.Join(notes, ""))
	}
	return b.String()
}

func note(r Result, why string) string {
	why, _, _ = strings.Cut(why, "\n")
	return fmt.Sprintf("- %s, `%s`: %s\n", r.Kernel.Name, r.Cell.Name, strings.ReplaceAll(why, "<", `\<`))
}

// sorted are results in the order of kernels and cells.
func sorted(results []Result) []Result {
	var all []Result
	for _, k := range kernels() {
		for _, c := range cellsOf(k) {
			for _, r := range results {
				if r.Kernel.Name == k.Name && r.Cell.Name == c.Name {
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// settings are a cell's, in words.
func settings(c Cell) string {
	var words []string
	for _, s := range c.Settings {
		words = append(words, s.Knob+"="+s.Value)
	}
	if c.Boot != "" {
		words = append(words, c.Boot)
	}
	if c.CPUs > 1 {
		words = append(words, fmt.Sprintf("%d CPUs", c.CPUs))
	}
	if c.CrashKernel {
		words = append(words, "crash kernel")
	}
	if w := c.Watchdog; w.Name != "" {
		text := fmt.Sprintf("%s %d s", w.Name, w.Timeout)
		if w.Pretimeout > 0 {
			text += fmt.Sprintf(", pretimeout %d s (%s)", w.Pretimeout, w.Governor)
		}
		if w.Params != "" {
			text += " " + w.Params
		}
		words = append(words, text)
	}
	if c.Ramoops > 0 {
		words = append(words, fmt.Sprintf("ramoops max_reason=%d", c.Ramoops))
	}
	if len(words) == 0 {
		return "as they are"
	}
	return strings.Join(words, ", ")
}

// The page has two halves, which are written one at a time.
type half int

const (
	firstHalf half = iota
	secondHalf
)

// policyTitle begins the second half.
const policyTitle = "## Policies: predicted and measured\n"

// writeHalf replaces a half of the page and keeps the other one.
func writeHalf(file string, which half, text string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	first, second, _ := strings.Cut(string(old), policyTitle)
	if which == firstHalf {
		first = strings.TrimRight(text, "\n") + "\n\n"
	} else {
		second = text
	}
	page := strings.TrimRight(first, "\n") + "\n"
	if second != "" {
		page += "\n" + policyTitle + second
	}
	return os.WriteFile(file, []byte(page), 0o644)
}

// policyTable is the second half: each failure under each policy.
func policyTable(k Kernel, fates []Fate, predicted map[string]map[string]Fate) string {
	var rows, notes strings.Builder
	n, same := 0, 0
	for _, p := range provokable() {
		rows.WriteString("| `" + p.Failure + "` |")
		for _, policy := range knob.Presets() {
			i := slices.IndexFunc(fates, func(f Fate) bool { return f.is(policy, p) })
			if i < 0 {
				rows.WriteString(" not played |")
				continue
			}
			n++
			real, model := fates[i], predicted[policy][p.Failure]
			if why := real.differs(model); why != "" {
				fmt.Fprintf(&notes, "- `%s` with `%s`: %s: predicted %v; measured %v\n", p.Failure, policy, why,
					model, real)
				rows.WriteString(" **differs**")
			} else {
				same++
			}
			rows.WriteString(" " + inBoth(model, real) + " |")
		}
		rows.WriteString("\n")
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
Of Debian's Linux %s, with one CPU, and without a watchdog that is fed, a crash kernel or
pstore: for each preset of `+"`panic.policy`"+` what `+"`panicctl matrix`"+` predicts, and what happened in QEMU
when our PID 1 had set that preset and the kernel failed. The machine is booted once for each
preset; that PID 1 has set it is read back then. Where two times are given, the first is the
predicted one and the second the measured one, from the failure to the end of the kernel, by a clock of
a guest whose time is the instructions that it executes. Outcome and evidence must be equal, and
times within a fifth or a second. Evidence is what the kernel has said on the console. A
machine goes on if its guest says so and PID 1 then powers it off when asked to.

`+"`init-death`"+`,
`+"`init-fault`"+` and `+"`oops-init`"+` are what the model means by them: failures of a PID 1 with one thread,
or of all its threads. Our PID 1 executes such a program for them. One thread of its own that ends by an
oops takes not all of PID 1 away, and is no panic of itself: see `+"`panic.on_oops`"+`.

%d of %d are as predicted.

`, strings.Replace(k.Name, "-", " for ", 1), same, n)
	b.WriteString("| failure | " + strings.Join(knob.Presets(), " | ") + " |\n")
	b.WriteString("|---|" + strings.Repeat("---|", len(knob.Presets())) + "\n" + rows.String())
	if notes.Len() > 0 {
		b.WriteString("\n### What is not as predicted\n\n" + notes.String())
	}
	return b.String()
}

// inBoth is a prediction with what was measured.
func inBoth(model, real Fate) string {
	text := strings.ReplaceAll(real.Outcome, "-", " ")
	if model.After != nil && real.After != nil {
		text += fmt.Sprintf(": %.2f s, %.2f s", *model.After, *real.After)
	}
	if len(real.Evidence) == 0 {
		text += "; leaves nothing"
	}
	return text
}

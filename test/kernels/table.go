package main

import (
	"fmt"
	"slices"
	"strings"
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

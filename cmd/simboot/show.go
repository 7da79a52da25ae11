package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/scenario"
)

// scenarioFiles are the files that names stand for: a directory is all scenarios in it.
func scenarioFiles(names []string) ([]string, error) {
	var files []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		in, err := filepath.Glob(filepath.Join(name, "*.txtar"))
		if err != nil {
			return nil, err
		}
		files = append(files, in...)
	}
	return files, nil
}

// show prints what stands on all terminals, by time.
func (t *tool) show(tr *scenario.Transcript) {
	type line struct {
		scenario.Line
		tty string
	}
	var lines []line
	width := 0
	for tty, ls := range tr.Terminals {
		for _, l := range ls {
			lines = append(lines, line{l, tty})
		}
		width = max(width, len(tty))
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return strings.Compare(a.tty, b.tty)
	})
	for _, l := range lines {
		tty := ""
		if width > 0 {
			tty = fmt.Sprintf("  %-*s", width, l.tty)
		}
		fmt.Fprintf(t.out, "%s%s\n", timestamp(l.Line), strings.TrimRight(tty+"  "+l.Text, " "))
	}
}

// timestamp is a line's time as the kernel log shows it.
func timestamp(l scenario.Line) string { return fmt.Sprintf("[%12.6f]", l.At.Seconds()) }

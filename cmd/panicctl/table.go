package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// cell is a field of a table.
type cell struct {
	text   string
	colour colour
}

// table is rows of fields, aligned. Colours take no room in it, unlike in text/tabwriter's.
type table struct{ rows [][]cell }

func (tb *table) add(row ...cell) { tb.rows = append(tb.rows, row) }

// print prints the table, each line behind an indent. The last field of a row has no blanks behind it.
func (t *tool) print(w io.Writer, tb *table, indent string) {
	var widths []int
	for _, row := range tb.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	for _, row := range tb.rows {
		var b strings.Builder
		b.WriteString(indent)
		for i, c := range row {
			b.WriteString(t.paint(c.colour, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

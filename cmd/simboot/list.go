package main

import "fmt"

// defaultScenarios is the catalogue, as seen from the root of the repository.
const defaultScenarios = "test/scenarios"

const listDoes = `List scenarios and what each shows. Without names, those of ` + defaultScenarios + `.`

func (t *tool) list(args []string) int {
	fs := t.flags("list", "[DIR|FILE...]", listDoes)
	names, status, done := t.parse(fs, args)
	if done {
		return status
	}
	if len(names) == 0 {
		names = []string{defaultScenarios}
	}
	all, status := t.load(names)
	width := 0
	for _, s := range all {
		width = max(width, len(s.Name))
	}
	for _, s := range all {
		fmt.Fprintf(t.out, "%-*s  %s\n", width, s.Name, s.Title)
	}
	return status
}

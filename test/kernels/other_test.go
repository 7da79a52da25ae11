package main

import "testing"

// Some cells come to one of two ends, by who is first. The recordings below testdata/other are of the one
// that is rare on a quiet host. The model has each of them whole: without its name the same recording
// differs.
func TestWhoeverIsFirst(t *testing.T) {
	seen := 0
	for _, k := range kernels() {
		for _, c := range cellsOf(k) {
			if c.Or == "" || k.Arch != "amd64" {
				continue
			}
			seen++
			t.Run(k.Name+"/"+c.Name, func(t *testing.T) {
				rec, err := load("testdata/other", k, c)
				if err != nil {
					t.Fatal(err)
				}
				if r := compared(k, c, rec); r.word() != "same" {
					t.Errorf("%s: %s%s", r.word(), r.Unplayed, r.Difference)
				}
				c.Or = ""
				if r := compared(k, c, rec); r.Difference == "" {
					t.Error("is the same as when the CPU itself is first")
				}
			})
		}
	}
	if seen == 0 {
		t.Error("there is no such cell")
	}
}

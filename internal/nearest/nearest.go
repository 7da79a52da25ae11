// Package nearest finds the word that was probably meant by a misspelt one.
package nearest

import "strings"

// Word returns the candidate that needs the fewest changes to become word: a letter
// added, left out, replaced, or two neighbours swapped. Case does not count.
//
// It returns "" where no candidate is near. One change in three letters is near, and never
// more than three changes: a wilder guess would send the reader the wrong way. Of equally
// near candidates the first one wins.
func Word(word string, candidates []string) string {
	best, nearest := "", min(max(len(word)/3, 1), 3)+1
	for _, candidate := range candidates {
		// Lengths that differ by n need n changes at least. The test comes first
		// because word may be a line of megabytes.
		if abs(len(word)-len(candidate)) >= nearest {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < nearest {
			best, nearest = candidate, d
		}
	}
	return best
}

// distance counts the changes between a and b, byte by byte. It fills the usual table of
// edit distances of prefixes row by row; a swap needs the last two rows.
func distance(a, b string) int {
	n := len(b) + 1
	rows := make([]int, 0, 3*32) // room on the stack for the usual word
	rows = append(rows, make([]int, 3*n)...)
	before, above, row := rows[:n], rows[n:2*n], rows[2*n:]
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}

func abs(n int) int {
	return max(n, -n)
}

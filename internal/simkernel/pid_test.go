package simkernel

import (
	"testing"

	"pgregory.net/rapid"
)

// The bitmap gives the numbers that a search one by one would give.
func TestPIDMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(301, 9000).Draw(t, "pid_max")
		m := pidMap{max: limit}
		used := make(map[int]bool)
		last := 0
		next := func() int {
			for n := last + 1; n < limit; n++ {
				if !used[n] {
					return n
				}
			}
			low := 1
			if last+1 > reservedPIDs {
				low = reservedPIDs
			}
			for n := low; n <= last; n++ {
				if !used[n] {
					return n
				}
			}
			return 0
		}
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6000).Draw(t, "allocations") {
				want := next()
				if got := m.alloc(); got != want {
					t.Fatalf("alloc after %d: got %d, want %d", last, got, want)
				}
				if want == 0 {
					break
				}
				last, used[want] = want, true
			}
			every := rapid.IntRange(1, 300).Draw(t, "release every")
			for n := 1; n < limit; n += every {
				if used[n] {
					m.release(n)
					delete(used, n)
				}
			}
		}
	})
}

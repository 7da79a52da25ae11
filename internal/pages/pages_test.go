package pages_test

import (
	"testing"

	"github.com/rebound-init/rebound/internal/pages"
)

// TestRoom: it is above what the runtime keeps in blocks with others, and never too little.
func TestRoom(t *testing.T) {
	const small = 32 << 10 // maxSmallSize of the runtime
	for _, size := range []int{1, 4, 8, 24, 104, 328} {
		for _, n := range []int{0, 1, 4, 1000, 1_000_000} {
			got := pages.Room(n, size)
			if got < n || got*size <= small {
				t.Errorf("Room(%d, %d): got %d, want %d at least, and more than %d bytes",
					n, size, got, n, small)
			}
			if n*size > 2*small && got != n {
				t.Errorf("Room(%d, %d): got %d, want no more than is needed", n, size, got)
			}
		}
	}
}

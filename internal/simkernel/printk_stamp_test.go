package simkernel

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStamps compares the quick way to write a time with printk's own format.
func TestStamps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.IntRange(0, 17).Draw(t, "digits")
		at := time.Duration(1)
		for range digits {
			at *= 10
		}
		at += time.Duration(rapid.Int64Range(-1, int64(at)).Draw(t, "more"))
		want := fmt.Sprintf("[%5d.%06d] ", at/time.Second, at%time.Second/time.Microsecond)
		if got := string(appendStamp(nil, at)); got != want {
			t.Fatalf("%d ns: got %q, want %q", at, got, want)
		}
	})
}

package inittab

import (
	"testing"
	"unsafe"
)

// TestEntrySize: the size that the table is made for.
func TestEntrySize(t *testing.T) {
	if got := unsafe.Sizeof(Entry{}); got > entrySize || unsafe.Sizeof(uintptr(0)) == 8 && got != entrySize {
		t.Errorf("Entry: got %d bytes, want %d", got, entrySize)
	}
}

package kexec

import "fmt"

// Flag is what a word of a page list is (include/linux/kexec.h). Its other bits are the address of a
// page.
type Flag uint64

// The flags.
const (
	Destination Flag = 1 // the next pages go there
	Indirection Flag = 2 // the list goes on there
	Done        Flag = 4
	Source      Flag = 8 // this page is copied
)

// A Relocation is what has been done by the code that moves pages.
type Relocation struct {
	Words, Copied int
	// Last is the destination after the last page.
	Last uint64
}

// An Endless page list has been executed for a number of words, and has not ended. On a machine it
// goes on for ever.
type Endless struct{ Words int }

func (e *Endless) Error() string {
	return fmt.Sprintf("no end of the page list after %d words", e.Words)
}

// Relocate executes a page list from its head on, for at most a number of words. The error is
// *Endless, or a *Fault where there is no memory: on a machine, with its vectors gone, both are the
// end.
//
// The flags are looked at one after the other, and the first that is set decides: a word with none
// is passed over. The order is the architecture's (relocate_new_kernel in
// arch/arm/kernel/relocate_kernel.S and its namesakes). A destination moves on by a page with every
// source, so that consecutive pages need but one. What of a word is no address differs, too: see
// address.
func Relocate(mem *Memory, arch Arch, im *Image, words int) (Relocation, error) {
	f := arch.facts()
	var r Relocation
	mask := ^uint64(0)
	if f.word == 4 {
		mask = limit32
	}
	next, w := uint64(0), im.Head
	if !f.fromHead {
		// ARM masks the head, so that a crash image's DONE becomes 0: nothing to do.
		if next = im.Head &^ (PageSize - 1); next == 0 {
			return r, nil
		}
	}
	var to uint64
	for begun := false; ; begun = true {
		if begun || !f.fromHead {
			var err error
			if r.Words == words {
				return r, &Endless{words}
			}
			if w, err = mem.Word(next, f.word); err != nil {
				return r, err
			}
			next = (next + uint64(f.word)) & mask
			r.Words++
		}
		if f.doneAtOnce && begun && Flag(w)&Done != 0 {
			return r, nil
		}
		switch flag := f.first(Flag(w)); flag {
		case Destination:
			to = f.address(w, flag)
			r.Last = to
		case Indirection:
			next = f.address(w, flag)
		case Done:
			return r, nil
		case Source:
			if err := f.move(mem, to, f.address(w, flag), im.SwapPage); err != nil {
				return r, err
			}
			to = (to + PageSize) & mask
			r.Copied++
			r.Last = to
		}
	}
}

// first is the flag that decides about a word, or 0.
func (f *archFacts) first(w Flag) Flag {
	for _, t := range f.tests {
		if w&t != 0 {
			return t
		}
	}
	return 0
}

// address is the address in a word. ARM takes the one bit away that it has found, so that a second
// flag is part of the address; the others take all that is below a page.
func (f *archFacts) address(w uint64, flag Flag) uint64 {
	if f.fromHead {
		return w &^ (PageSize - 1)
	}
	return w &^ uint64(flag)
}

// move copies a page. x86_64 exchanges the two by way of a third, so that it could go back
// (arch/x86/kernel/relocate_kernel_64.S, swap_pages).
func (f *archFacts) move(mem *Memory, to, from, swap uint64) error {
	if !f.swaps {
		return mem.copyPage(to, from, f.word)
	}
	if err := mem.copyPage(swap, from, f.word); err != nil {
		return err
	}
	if err := mem.copyPage(from, to, f.word); err != nil {
		return err
	}
	return mem.copyPage(to, swap, f.word)
}

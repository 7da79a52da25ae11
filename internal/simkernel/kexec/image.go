package kexec

import "syscall"

// Kind is what an image is for.
type Kind uint8

// The kinds.
const (
	NormalImage Kind = iota // reboot(2) with KEXEC starts it
	CrashImage              // a crash does
)

// An Image is a kernel that has been loaded, and how it gets to where it is to run
// (include/linux/kexec.h, struct kimage).
type Image struct {
	Kind  Kind
	Start uint64 // where the CPU goes
	// Head is the first word of the page list: for a crash image Done, as it stands already where
	// it is to run.
	Head     uint64
	Segments []Segment
	// ControlPage has the code that moves the pages, and SwapPage is what it needs besides.
	ControlPage, SwapPage uint64
	PreserveContext       bool
	// ByFile says that kexec_file_load has made it, and Elfcorehdr where it has put the
	// description of the crashed kernel's memory.
	ByFile     bool
	Elfcorehdr uint64
	// Cmdline is that of the new kernel, with what kexec_file_load has added.
	Cmdline string

	// bootData is where ARM and arm64 find a device tree or ATAGs.
	bootData  uint64
	purgatory *purgatory

	state       *State
	entry, last uint64 // addresses of words; headSlot is Head
	pages       []uint64
	// spare are pages that will be written as destinations: they may be used as their own source.
	spare       []uint64
	nextControl uint64
}

// headSlot is the address of Head, which is in the kernel's own data.
const headSlot = ^uint64(0)

// segmentAt is the segment that a page is the destination of (kimage_is_destination_range).
func (im *Image) segmentAt(page uint64) (Segment, bool) {
	for _, g := range im.Segments {
		if g.region().overlaps(Region{page, PageSize}) {
			return g, true
		}
	}
	return Segment{}, false
}

func (im *Image) word(at uint64) (uint64, error) {
	if at == headSlot {
		return im.Head, nil
	}
	return im.state.cfg.Memory.Word(at, im.state.facts.word)
}

func (im *Image) setWord(at, w uint64) error {
	if at == headSlot {
		im.Head = w
		return nil
	}
	return im.state.cfg.Memory.SetWord(at, im.state.facts.word, w)
}

// addEntry puts a word onto the page list (kimage_add_entry). The last word of a page of the list
// leads to the next one; Head is the only word of the first.
func (s *State) addEntry(im *Image, w uint64) syscall.Errno {
	size := uint64(s.facts.word)
	was, err := im.word(im.entry)
	if err != nil {
		return syscall.EFAULT
	}
	if was != 0 {
		im.entry = im.next()
	}
	if im.entry == im.last {
		page, e := s.allocPage(im, noDestination)
		if e != 0 {
			return e
		}
		s.cfg.Memory.zero(page, PageSize)
		if im.setWord(im.entry, page|uint64(Indirection)) != nil {
			return syscall.EFAULT
		}
		im.entry, im.last = page, page+PageSize-size
	}
	if im.setWord(im.entry, w) != nil {
		return syscall.EFAULT
	}
	im.entry = im.next()
	if im.setWord(im.entry, 0) != nil {
		return syscall.EFAULT
	}
	return 0
}

// next is the word after the current one.
func (im *Image) next() uint64 {
	if im.entry == headSlot {
		return headSlot
	}
	return im.entry + uint64(im.state.facts.word)
}

// terminate ends the list (kimage_terminate).
func (s *State) terminate(im *Image) syscall.Errno {
	was, err := im.word(im.entry)
	if err == nil && was != 0 {
		im.entry = im.next()
	}
	if err != nil || im.setWord(im.entry, uint64(Done)) != nil {
		return syscall.EFAULT
	}
	return 0
}

// noDestination is the destination of a page that has none (KIMAGE_NO_DEST).
const noDestination = ^uint64(0)

// allocPage takes a page for the data of a destination, or for the list (kimage_alloc_page). A page
// that is itself a destination must not hold another one's data, or it would be overwritten before
// it is read. Such a page is put aside for when its own data comes, and if that has come already, the
// two change places.
func (s *State) allocPage(im *Image, dest uint64) (uint64, syscall.Errno) {
	for i, p := range im.spare {
		if p == dest {
			im.spare = append(im.spare[:i], im.spare[i+1:]...)
			return p, 0
		}
	}
	for {
		p, ok := s.pool.take()
		if !ok {
			return 0, syscall.ENOMEM
		}
		im.pages = append(im.pages, p)
		if p+PageSize > s.facts.limit {
			continue
		}
		if _, hit := im.segmentAt(p); !hit || p == dest {
			return p, 0
		}
		slot, w, err := im.sourceOf(p)
		if err != nil {
			return 0, syscall.EFAULT
		}
		if w == 0 {
			im.spare = append(im.spare, p)
			continue
		}
		old := w &^ (PageSize - 1)
		if s.cfg.Memory.copyPage(p, old, s.facts.word) != nil ||
			im.setWord(slot, p|w&(PageSize-1)) != nil {
			return 0, syscall.EFAULT
		}
		return old, 0
	}
}

// sourceOf finds the word of the list that will be copied to a page, and where it stands
// (kimage_dst_used). The word is 0 if there is none yet.
func (im *Image) sourceOf(page uint64) (slot, word uint64, err error) {
	dest := uint64(0)
	slot = headSlot
	for {
		w, err := im.word(slot)
		if err != nil || w == 0 || Flag(w)&Done != 0 {
			return 0, 0, err
		}
		at := w &^ (PageSize - 1)
		switch {
		case Flag(w)&Indirection != 0:
			slot = at
			continue
		case Flag(w)&Destination != 0:
			dest = at
		case Flag(w)&Source != 0:
			if dest == page {
				return slot, w, nil
			}
			dest += PageSize
		}
		slot += uint64(im.state.facts.word)
	}
}

// loadSegment puts a segment into memory: where it is to run in the reserved region, else onto pages
// that will be moved there (kimage_load_segment).
func (s *State) loadSegment(im *Image, g Segment) syscall.Errno {
	if im.Kind == CrashImage {
		s.cfg.Memory.zero(g.Mem, roundUp(g.MemSize, PageSize))
		if s.cfg.Memory.Write(g.Mem, g.Buf) != nil {
			return syscall.EFAULT
		}
		return 0
	}
	if e := s.addEntry(im, g.Mem|uint64(Destination)); e != 0 {
		return e
	}
	for off := uint64(0); off < g.MemSize; off += PageSize {
		page, e := s.allocPage(im, g.Mem+off)
		if e != 0 {
			return e
		}
		s.cfg.Memory.zero(page, PageSize)
		if e := s.addEntry(im, page|uint64(Source)); e != 0 {
			return e
		}
		if off < uint64(len(g.Buf)) {
			part := g.Buf[off:min(uint64(len(g.Buf)), off+PageSize)]
			if s.cfg.Memory.Write(page, part) != nil {
				return syscall.EFAULT
			}
		}
	}
	return 0
}

// free gives all pages of an image back (kimage_free). Those of a crash image are never the
// kernel's.
func (s *State) free(im *Image) {
	for _, p := range im.pages {
		s.pool.give(p)
	}
	im.pages = nil
}

package kexec

import (
	"slices"
	"syscall"
)

// The flags of kexec_load(2) and kexec_file_load(2) (include/uapi/linux/kexec.h).
const (
	OnCrash              = 1
	PreserveContext      = 2
	UpdateElfcorehdr     = 4
	CrashHotplugSupport  = 8
	archMask             = 0xffff0000
	FileUnload           = 1
	FileOnCrash          = 2
	FileNoInitramfs      = 4
	FileDebug            = 8
	FileNoCMA            = 0x10
	FileForceDTB         = 0x20
	maxSegments          = 16 // KEXEC_SEGMENT_MAX
	maxCommandLine       = 2048
	dtbMagic             = "\xd0\x0d\xfe\xed"
	vmcoreinfoNoteName   = "VMCOREINFO"
	unlimited            = -1
	crashMemAlign        = PageSize // KEXEC_CRASH_MEM_ALIGN
	controlCodeWords     = 0x80     // where the ARM control page has its four words
	bootParamsCmdlineOff = PageSize
)

// Rules are what differs between versions. The zero value is 2.6.17.
type Rules struct {
	// LoadFlags are the flags that kexec_load knows besides ON_CRASH, and FileFlags those of
	// kexec_file_load: 0 if there is no such call.
	LoadFlags, FileFlags uint32
	// Disable says that there is kexec_load_disabled (3.14).
	Disable bool
	// Limits says that there are kexec_load_limit_panic and _reboot (6.3).
	Limits bool
	// HalfOfMemory bounds what an image may take (4.8).
	HalfOfMemory bool
	// SafeCopy keeps a copy of vmcoreinfo where a crash does not reach it (4.13).
	SafeCopy bool
	// Prefix says that /sys/kernel/vmcoreinfo has the address with 0x and all its digits; before
	// 4.x it had neither.
	Prefix bool
	// FindsDTB says that ARM looks for a device tree among the segments.
	FindsDTB bool
	// Online is what ARM does in machine_kexec if other CPUs are online.
	Online StillOnline
}

// StillOnline is what ARM's machine_kexec does if not only its own CPU is online.
type StillOnline uint8

// The answers.
const (
	OnlineGoesOn  StillOnline = iota // before 3.10: it does not look
	OnlineReturns                    // 3.10: it says so, and comes back
	OnlineBugs                       // 6.1: BUG_ON
)

// RulesOf are those of a version. kexec_file_load came to arm64 in 5.0, and never to 32 bits.
func RulesOf(arch Arch, major, minor int) Rules {
	from := func(a, b int) bool { return major > a || major == a && minor >= b }
	r := Rules{
		Disable: from(3, 14), Limits: from(6, 3), HalfOfMemory: from(4, 8),
		SafeCopy: from(4, 13), Prefix: from(4, 1), FindsDTB: from(3, 8),
	}
	if from(3, 0) {
		r.LoadFlags |= PreserveContext
	}
	if from(6, 6) {
		r.LoadFlags |= UpdateElfcorehdr
	}
	if from(6, 10) {
		r.LoadFlags |= CrashHotplugSupport
	}
	if arch == X8664 && from(3, 17) || arch == ARM64 && from(5, 0) {
		r.FileFlags = FileUnload | FileOnCrash | FileNoInitramfs
		if from(6, 8) {
			r.FileFlags |= FileDebug
		}
		if from(7, 0) {
			r.FileFlags |= FileNoCMA | FileForceDTB
		}
	}
	switch {
	case from(4, 0):
		r.Online = OnlineBugs
	case from(3, 10):
		r.Online = OnlineReturns
	}
	return r
}

// Config is a machine, as far as kexec is concerned.
type Config struct {
	Arch  Arch
	Rules Rules
	// Memory is the machine's. It outlives the kernel.
	Memory *Memory
	// Kernel is where the running kernel stands, and Crash what crashkernel= has reserved.
	Kernel, Crash Region
	// Usable bounds what the kernel takes memory from, if it has a size: a capture kernel lives
	// in the reserved region of the first.
	Usable Region
	// CPUs is how many there can be: 1 if zero.
	CPUs int
	// Lockdown is a kernel that is locked down for integrity.
	Lockdown bool
	// Info is the text of vmcoreinfo, but for CRASHTIME.
	Info string
	// MachType is what ARM's boot loader has called the board.
	MachType uint32
	// EL2 says that arm64 was started at EL2.
	EL2 bool
	// Reinit is what an ARM board does before it lets go of the kernel, if it does anything: it is
	// kexec_reinit.
	Reinit func(c *CPU)
}

// State is what a kernel keeps of kexec (kernel/kexec_core.c).
type State struct {
	cfg   Config
	facts archFacts
	pool  frames

	locked                  bool
	image, crash            *Image
	disabled                bool
	limitPanic, limitReboot int
	notes, info, infoNote   uint64 // addresses
	infoSize                int
	safeCopy                uint64 // 0: none
	safeSize                int
	saved                   []bool // CPUs that have their note
}

// New is a kernel that has just been started.
func New(cfg Config) *State {
	if cfg.CPUs == 0 {
		cfg.CPUs = 1
	}
	s := &State{
		cfg: cfg, facts: cfg.Arch.facts(), limitPanic: unlimited,
		limitReboot: unlimited, saved: make([]bool, cfg.CPUs),
	}
	free := cfg.Memory.RAM()
	for _, hole := range []Region{{0, 1 << 20}, cfg.Kernel, cfg.Crash} {
		free = without(free, hole)
	}
	if cfg.Usable.Size > 0 {
		free = slices.DeleteFunc(free, func(r Region) bool { return !r.overlaps(cfg.Usable) })
		for i, r := range free {
			start, end := max(r.Start, cfg.Usable.Start), min(r.End(), cfg.Usable.End())
			free[i] = Region{start, end - start}
		}
	}
	for i, r := range free {
		start := roundUp(r.Start, PageSize)
		free[i] = Region{start, r.End()/PageSize*PageSize - min(start, r.End()/PageSize*PageSize)}
	}
	s.pool = frames{free: free, out: make(map[uint64]bool)}
	s.setUpNotes()
	return s
}

// Memory is the machine's.
func (s *State) Memory() *Memory { return s.cfg.Memory }

// Crash is the reserved region, as it is now.
func (s *State) Crash() Region { return s.cfg.Crash }

// Image is the loaded image of a kind, or nil.
func (s *State) Image(kind Kind) *Image {
	if kind == CrashImage {
		return s.crash
	}
	return s.image
}

// TryLock takes the lock of loading and of crashing, or returns false: then somebody has it. Nobody
// waits for it (kexec_trylock; up to 2.6 xchg on kexec_lock, then a mutex).
func (s *State) TryLock() bool {
	if s.locked {
		return false
	}
	s.locked = true
	return true
}

// Unlock gives it back.
func (s *State) Unlock() { s.locked = false }

// A Segment is a part of an image: bytes, and where they are to be.
type Segment struct {
	Buf          []byte
	Mem, MemSize uint64
}

// region is where the segment is to be.
func (g Segment) region() Region { return Region{g.Mem, g.MemSize} }

// permitted is who may load (kernel/kexec_core.c, kexec_load_permitted). A limit counts what was
// tried, not what was loaded: it is decremented before anything else is looked at.
func (s *State) permitted(privileged bool, kind Kind) syscall.Errno {
	if !privileged || s.disabled {
		return syscall.EPERM
	}
	if !s.cfg.Rules.Limits {
		return 0
	}
	limit := &s.limitReboot
	if kind == CrashImage {
		limit = &s.limitPanic
	}
	switch {
	case *limit == 0:
		return syscall.EPERM
	case *limit > 0:
		*limit--
	}
	return 0
}

// Load is kexec_load(2), by a caller with CAP_SYS_BOOT or without. No segments unload what is
// loaded.
func (s *State) Load(privileged bool, entry uint64, segments []Segment, flags uint32) syscall.Errno {
	kind := NormalImage
	if flags&OnCrash != 0 {
		kind = CrashImage
	}
	if e := s.permitted(privileged, kind); e != 0 {
		return e
	}
	if s.cfg.Lockdown {
		return syscall.EPERM
	}
	if flags&^archMask&^(OnCrash|s.cfg.Rules.LoadFlags) != 0 {
		return syscall.EINVAL
	}
	if len(segments) > maxSegments {
		return syscall.EINVAL
	}
	if arch := flags & archMask >> 16; arch != 0 && arch != s.facts.number {
		return syscall.EINVAL
	}
	if !s.TryLock() {
		return syscall.EBUSY
	}
	defer s.Unlock()
	if len(segments) == 0 {
		s.install(kind, nil)
		return 0
	}
	if kind == CrashImage {
		// There is but one place for it, so the old one goes before the new one is looked at.
		s.install(CrashImage, nil)
	}
	im := &Image{
		Kind: kind, Start: entry, Segments: segments,
		PreserveContext: flags&PreserveContext != 0,
	}
	if kind == CrashImage && !(s.cfg.Crash.Size > 0 && s.cfg.Crash.Holds(entry, 1)) {
		return syscall.EADDRNOTAVAIL
	}
	return s.load(im)
}

// load checks an image, puts it into memory and installs it (kernel/kexec.c, do_kexec_load).
func (s *State) load(im *Image) syscall.Errno {
	im.entry, im.last = headSlot, headSlot
	im.state = s
	if e := s.checkSegments(im); e != 0 {
		return e
	}
	e := s.fill(im)
	if e != 0 {
		s.free(im)
		return e
	}
	if im.purgatory != nil {
		im.purgatory.sum, _ = s.digest(im, false)
	}
	s.install(im.Kind, im)
	return 0
}

// fill is the part of loading that takes memory.
func (s *State) fill(im *Image) syscall.Errno {
	im.nextControl = s.cfg.Crash.Start
	var e syscall.Errno
	if im.ControlPage, e = s.controlPage(im); e != 0 {
		return e
	}
	if im.Kind == NormalImage {
		if im.SwapPage, e = s.controlPage(im); e != 0 {
			return e
		}
	}
	if e := s.prepare(im); e != 0 {
		return e
	}
	if im.Kind == CrashImage && s.cfg.Rules.SafeCopy {
		if e := s.copyInfo(im); e != 0 {
			return e
		}
	}
	for _, g := range im.Segments {
		if e := s.loadSegment(im, g); e != 0 {
			return e
		}
	}
	return s.terminate(im)
}

// install makes an image the one that is loaded, or none. The old one is freed.
func (s *State) install(kind Kind, im *Image) {
	at := &s.image
	if kind == CrashImage {
		at = &s.crash
		if im == nil {
			s.safeCopy = 0
		}
	}
	old := *at
	*at = im
	if old != nil {
		s.free(old)
	}
}

// checkSegments is sanity_check_segment_list (kernel/kexec_core.c), with its errors in its order.
func (s *State) checkSegments(im *Image) syscall.Errno {
	for _, g := range im.Segments {
		end := g.Mem + g.MemSize
		if g.Mem > end || g.Mem%PageSize != 0 || end%PageSize != 0 || end >= s.facts.limit {
			return syscall.EADDRNOTAVAIL
		}
	}
	for i, g := range im.Segments {
		for _, o := range im.Segments[:i] {
			if g.region().overlaps(o.region()) {
				return syscall.EINVAL
			}
		}
	}
	for _, g := range im.Segments {
		if uint64(len(g.Buf)) > g.MemSize {
			return syscall.EINVAL
		}
	}
	if s.cfg.Rules.HalfOfMemory {
		half := s.cfg.Memory.Size() / PageSize / 2
		var all uint64
		for _, g := range im.Segments {
			pages := g.MemSize / PageSize
			if all += pages; pages > half || all > half {
				return syscall.EINVAL
			}
		}
	}
	if im.Kind == CrashImage {
		for _, g := range im.Segments {
			if !s.cfg.Crash.Holds(g.Mem, g.MemSize) {
				return syscall.EADDRNOTAVAIL
			}
		}
	}
	return 0
}

// controlPage finds a page that no segment will be on: for a crash image in the reserved region,
// from its start; for others wherever there is one (kimage_alloc_control_pages).
func (s *State) controlPage(im *Image) (uint64, syscall.Errno) {
	if im.Kind == CrashImage {
		for at := im.nextControl; s.cfg.Crash.Holds(at, PageSize); {
			if g, ok := im.segmentAt(at); ok {
				at = roundUp(g.Mem+g.MemSize, PageSize)
				continue
			}
			im.nextControl = at + PageSize
			s.cfg.Memory.zero(at, PageSize)
			return at, 0
		}
		return 0, syscall.ENOMEM
	}
	var unfit []uint64
	defer func() {
		for _, p := range unfit {
			s.pool.give(p)
		}
	}()
	for {
		p, ok := s.pool.take()
		if !ok {
			return 0, syscall.ENOMEM
		}
		if _, hit := im.segmentAt(p); hit || p+PageSize > s.facts.limit {
			unfit = append(unfit, p)
			continue
		}
		im.pages = append(im.pages, p)
		return p, 0
	}
}

// prepare is machine_kexec_prepare. ARM looks for a device tree by its magic number, and the last
// one counts.
func (s *State) prepare(im *Image) syscall.Errno {
	if s.cfg.Arch != ARM {
		return 0
	}
	im.bootData = im.Start - zimageOffset + atagsOffset
	if !s.cfg.Rules.FindsDTB {
		return 0
	}
	for _, g := range im.Segments {
		if !s.cfg.Memory.Has(g.Mem, g.MemSize) {
			return syscall.EINVAL
		}
		if len(g.Buf) >= len(dtbMagic) && string(g.Buf[:len(dtbMagic)]) == dtbMagic {
			im.bootData = g.Mem
		}
	}
	return 0
}

// Disabled is kexec_load_disabled.
func (s *State) Disabled() bool { return s.disabled }

// SetDisabled writes kexec_load_disabled. It takes 1, for ever: all else is EINVAL
// (kernel/kexec_core.c: its least and its greatest value are 1).
func (s *State) SetDisabled(v int) syscall.Errno {
	if v != 1 {
		return syscall.EINVAL
	}
	s.disabled = true
	return 0
}

// Limit is kexec_load_limit_panic or _reboot: how often an image may still be loaded, -1 for ever.
func (s *State) Limit(kind Kind) int {
	if kind == CrashImage {
		return s.limitPanic
	}
	return s.limitReboot
}

// SetLimit writes it. It can only get less.
func (s *State) SetLimit(kind Kind, v int) syscall.Errno {
	limit := &s.limitReboot
	if kind == CrashImage {
		limit = &s.limitPanic
	}
	if v < 0 || *limit != -1 && v >= *limit {
		return syscall.EINVAL
	}
	*limit = v
	return 0
}

// CrashSize is /sys/kernel/kexec_crash_size, in bytes (crash_get_memory_size).
func (s *State) CrashSize() (uint64, syscall.Errno) {
	if s.locked {
		return 0, syscall.EBUSY
	}
	return s.cfg.Crash.Size, 0
}

// Shrink writes it: memory that is not needed goes back to the system (crash_shrink_memory).
func (s *State) Shrink(size uint64) syscall.Errno {
	if !s.TryLock() {
		return syscall.EBUSY
	}
	defer s.Unlock()
	if s.crash != nil {
		return syscall.ENOENT
	}
	old := s.cfg.Crash
	if size >= old.Size {
		if size == old.Size {
			return 0
		}
		return syscall.EINVAL
	}
	size = roundUp(size, crashMemAlign)
	back := Region{old.Start + size, old.Size - size}
	s.cfg.Crash.Size = size
	s.pool.free = append(s.pool.free, back)
	if size == 0 {
		s.cfg.Crash = Region{}
	}
	return 0
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

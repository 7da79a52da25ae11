// Package esr is what arm64 kernels make of an exception: the register that says what has happened,
// ESR_ELx, what each version of the kernel does about it, and the text in which it says so.
//
// It knows no machine. What the registers do not tell, as whether memory is mapped, is told to it;
// what is to be done, as dying, is its answer. What differs between versions is data, see [Version].
// The facts are [Kernel 4.1 to 4.44].
package esr

// An ESR is the exception syndrome register, ESR_ELx (arch/arm64/include/asm/esr.h).
//
// EC is in bits 31 to 26, IL in bit 25, ISS in bits 24 to 0, and ISS2 in bits 55 to 32. No other bit
// means anything.
type ESR uint64

const (
	ecShift   = 26
	ecMask    = 0x3f
	ilBit     = 1 << 25
	issMask   = ilBit - 1
	iss2Shift = 32
	iss2Mask  = 1<<24 - 1
)

// New puts a register together. Bits that a field has no room for are dropped.
func New(c Class, il bool, iss, iss2 uint32) ESR {
	e := ESR(c&ecMask)<<ecShift | ESR(iss&issMask) | ESR(iss2&iss2Mask)<<iss2Shift
	if il {
		e |= ilBit
	}
	return e
}

// EC is the exception class: what has happened.
func (e ESR) EC() Class { return Class(e >> ecShift & ecMask) }

// IL is the length of the instruction that trapped: 32 bits if set, else 16. It may be set by
// definition, see TellsLength.
func (e ESR) IL() bool { return e&ilBit != 0 }

// TellsLength reports whether IL says how long an instruction was. Where there is none that trapped, or
// nothing is known of it, IL is set by definition (Arm ARM, ESR_EL1).
func (e ESR) TellsLength() bool {
	switch e.EC() {
	case Unknown, Illegal, IAbort, IAbortLower, PCAlign, SPAlign, SError,
		Break, BreakLower, Step, StepLower, Watch, WatchLower, Vector32:
		return false
	case DAbort, DAbortLower:
		return e.Abort().ISV
	}
	return true
}

// ISS is the instruction specific syndrome. What it means depends on the class.
func (e ESR) ISS() uint32 { return uint32(e & issMask) }

// ISS2 is the second one, which only newer processors have. It is 0 on others.
func (e ESR) ISS2() uint32 { return uint32(e >> iss2Shift & iss2Mask) }

// Bits is the length of the instruction as the kernel prints it.
func (e ESR) Bits() int {
	if e.IL() {
		return 32
	}
	return 16
}

// A Class is an exception class, ESR_ELx.EC, of 6 bits.
type Class uint8

// The classes that mean something to a kernel. All others are unallocated.
const (
	Unknown     Class = 0x00 // no other fits; an undefined instruction is one
	WFx         Class = 0x01
	CP15x32     Class = 0x03
	CP15x64     Class = 0x04
	CP14MR      Class = 0x05
	CP14LS      Class = 0x06
	FPASIMD     Class = 0x07
	CP10ID      Class = 0x08
	PAC         Class = 0x09
	CP14x64     Class = 0x0c
	BTI         Class = 0x0d
	Illegal     Class = 0x0e
	SVC32       Class = 0x11
	HVC32       Class = 0x12
	SMC32       Class = 0x13
	SVC64       Class = 0x15
	HVC64       Class = 0x16
	SMC64       Class = 0x17
	Sys64       Class = 0x18
	SVE         Class = 0x19
	ERET        Class = 0x1a
	FPAC        Class = 0x1c
	SME         Class = 0x1d
	ImpDef      Class = 0x1f
	IAbortLower Class = 0x20
	IAbort      Class = 0x21 // from the level that takes it
	PCAlign     Class = 0x22
	DAbortLower Class = 0x24
	DAbort      Class = 0x25 // from the level that takes it
	SPAlign     Class = 0x26
	MOPS        Class = 0x27
	FP32        Class = 0x28
	FP64        Class = 0x2c
	GCS         Class = 0x2d
	SError      Class = 0x2f
	BreakLower  Class = 0x30
	Break       Class = 0x31
	StepLower   Class = 0x32
	Step        Class = 0x33
	WatchLower  Class = 0x34
	Watch       Class = 0x35
	BKPT32      Class = 0x38
	Vector32    Class = 0x3a
	BRK64       Class = 0x3c
)

// DataAbort reports whether the class is a data abort, from whatever level.
func (c Class) DataAbort() bool { return c == DAbort || c == DAbortLower }

// InstructionAbort reports whether the class is an instruction abort, from whatever level. That is a
// fetch that has failed, not an instruction that nobody knows, which is of class Unknown.
func (c Class) InstructionAbort() bool { return c == IAbort || c == IAbortLower }

// Lower reports whether the class says that the exception came from a lower exception level. Only the
// classes that exist twice do.
func (c Class) Lower() bool {
	switch c {
	case IAbortLower, DAbortLower, BreakLower, StepLower, WatchLower:
		return true
	}
	return false
}

// An Abort is the ISS and ISS2 of a data or instruction abort. An instruction abort has of these only
// SET, FnV, EA, S1PTW and FSC; the other bits are 0 there.
type Abort struct {
	ISV   bool  // bits 23 to 14 are valid
	SAS   uint8 // the size of the access, as a power of two
	SSE   bool  // a load that extends the sign
	SRT   uint8 // the register that was to be loaded or stored
	SF    bool  // the register has 64 bits
	AR    bool  // acquire or release
	SET   uint8 // how far the state of the processor is lost
	FnV   bool  // FAR is not valid
	EA    bool  // what kind of external abort it is, which is for the board to say
	CM    bool  // cache maintenance; then WnR is always set
	S1PTW bool  // at stage 2, for a stage 1 table walk
	WnR   bool  // a write
	FSC   Status

	// Of ISS2, on processors that have it.
	TnD       bool  // tag not data
	TagAccess bool  // no permission for the tag
	GCS       bool  // an access to the guarded control stack
	Overlay   bool  // a permission overlay has refused it
	DirtyBit  bool  // only the dirty state was missing
	Xs        uint8 // the register of a store of 64 bytes
}

// The fields of ISS and ISS2 for an abort.
const (
	isvBit    = 1 << 24
	sasShift  = 22
	sasMask   = 3
	sseBit    = 1 << 21
	srtShift  = 16
	srtMask   = 31
	sfBit     = 1 << 15
	arBit     = 1 << 14
	setShift  = 11
	setMask   = 3
	fnvBit    = 1 << 10
	eaBit     = 1 << 9
	cmBit     = 1 << 8
	s1ptwBit  = 1 << 7
	wnrBit    = 1 << 6
	fscMask   = 1<<6 - 1
	tndBit    = 1 << 10
	tagBit    = 1 << 9
	gcsBit    = 1 << 8
	overBit   = 1 << 6
	dirtyBit  = 1 << 5
	xsMask    = 31
	abortISS2 = tndBit | tagBit | gcsBit | overBit | dirtyBit | xsMask
	abortISS  = issMask &^ (1 << 13) // bit 13 says something of virtual machines only
)

// Abort takes the syndrome of an abort apart.
func (e ESR) Abort() Abort {
	iss, iss2 := e.ISS(), e.ISS2()
	return Abort{
		ISV: iss&isvBit != 0, SAS: uint8(iss >> sasShift & sasMask), SSE: iss&sseBit != 0,
		SRT: uint8(iss >> srtShift & srtMask), SF: iss&sfBit != 0, AR: iss&arBit != 0,
		SET: uint8(iss >> setShift & setMask), FnV: iss&fnvBit != 0, EA: iss&eaBit != 0,
		CM: iss&cmBit != 0, S1PTW: iss&s1ptwBit != 0, WnR: iss&wnrBit != 0,
		FSC: Status(iss & fscMask),
		TnD: iss2&tndBit != 0, TagAccess: iss2&tagBit != 0, GCS: iss2&gcsBit != 0,
		Overlay: iss2&overBit != 0, DirtyBit: iss2&dirtyBit != 0, Xs: uint8(iss2 & xsMask),
	}
}

// ISS puts the syndrome together again.
func (a Abort) ISS() (iss, iss2 uint32) {
	iss = uint32(a.SAS&sasMask)<<sasShift | uint32(a.SRT&srtMask)<<srtShift |
		uint32(a.SET&setMask)<<setShift | uint32(a.FSC)&fscMask |
		bit(a.ISV, isvBit) | bit(a.SSE, sseBit) | bit(a.SF, sfBit) | bit(a.AR, arBit) |
		bit(a.FnV, fnvBit) | bit(a.EA, eaBit) | bit(a.CM, cmBit) | bit(a.S1PTW, s1ptwBit) |
		bit(a.WnR, wnrBit)
	iss2 = bit(a.TnD, tndBit) | bit(a.TagAccess, tagBit) | bit(a.GCS, gcsBit) |
		bit(a.Overlay, overBit) | bit(a.DirtyBit, dirtyBit) | uint32(a.Xs&xsMask)
	return iss, iss2
}

func bit(set bool, b uint32) uint32 {
	if set {
		return b
	}
	return 0
}

// Write reports whether a process is to have write permission for what it did: maintaining a cache
// sets WnR as well, and is a read (arch/arm64/mm/fault.c, is_write_abort).
func (a Abort) Write() bool { return a.WnR && !a.CM }

// A Status is the fault status code of an abort, DFSC and IFSC, of 6 bits.
type Status uint8

// Statuses that a kernel asks for by name. What all 64 are is in its fault table.
const (
	ExternalAbort Status = 0x10
	TagCheck      Status = 0x11
	AsyncSError   Status = 0x11 // the same bits, in an SError
	Alignment     Status = 0x21
)

// The types of statuses that come once for each level of the page tables.
const (
	statusType  = 0x3c
	translation = 0x04
	permission  = 0x0c
)

// Translation reports whether nothing is mapped there, at level 0 to 3. Level -1, 0x2b, is not among
// them: the kernel looks at these bits only.
func (s Status) Translation() bool { return s&statusType == translation }

// Level is the level of the page tables at which a status says that it happened, if it is one of
// those that do.
func (s Status) Level() uint8 { return uint8(s & 3) }

// Permission reports whether what is mapped there may not be used so.
func (s Status) Permission() bool { return s&statusType == permission }

// Addresses of 48 bits and pages of 4 KiB, as Debian's kernels have them.
const (
	vaBits     = 48
	pageSize   = 4096
	pageKiB    = pageSize / 1024
	taskSize   = 1 << vaBits              // CONFIG_ARM64_VA_BITS
	pageOffset = 1<<64 - 1<<vaBits        // where the kernel's addresses begin
	tagShift   = 56                       // tags are in the byte above
	kernelBit  = 1 << (tagShift - 1)      // tells the kernel's addresses from others
	tagMask    = uint64(0xff) << tagShift // what untagged_addr may clear
)

// Untagged is an address without its tag (untagged_addr, arch/arm64/include/asm/memory.h). Only a
// process's address loses it; one of the kernel's stays as it is.
func Untagged(far uint64) uint64 {
	if far&kernelBit != 0 {
		return far
	}
	return far &^ tagMask
}

// A Space is which part of the address space an address is in.
type Space uint8

const (
	UserSpace   Space = iota // TTBR0
	KernelSpace              // TTBR1
	NoSpace                  // in neither
)

// SpaceOf is where an address is. The tag of a kernel's address does not matter.
func SpaceOf(addr uint64) Space {
	switch {
	case addr < taskSize:
		return UserSpace
	case addr >= pageOffset:
		return KernelSpace
	}
	return NoSpace
}

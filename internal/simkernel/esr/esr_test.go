package esr

import (
	"slices"
	"testing"
)

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %v\nwant %v", what, got, want)
	}
}

// words are the texts of lines.
func words(lines []Line) []string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.Text
	}
	return texts
}

func equalLines(t *testing.T, what string, got []Line, want ...string) {
	t.Helper()
	if g := words(got); !slices.Equal(g, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", what, g, want)
	}
}

// TestFields takes registers apart and puts them together again [Kernel 4.1].
func TestFields(t *testing.T) {
	for _, c := range []struct {
		esr  ESR
		ec   Class
		il   bool
		iss  uint32
		iss2 uint32
	}{
		{0x96000046, DAbort, true, 0x46, 0},
		{0x96000005, DAbort, true, 0x05, 0},
		{0x8600000f, IAbort, true, 0x0f, 0},
		{0x02000000, Unknown, true, 0, 0},
		{0xf2000800, BRK64, true, 0x800, 0},
		{0xbe000011, SError, true, 0x11, 0},
		{0x00000760_97c20047, DAbort, true, 0x1c20047, 0x760},
		{0x00ffffff_ffffffff, ecMask, true, 0x1ffffff, 0xffffff},
		{0x00000000_dfffffff, 0x37, true, 0x1ffffff, 0},
		{0x00000000_01ffffff, Unknown, false, 0x1ffffff, 0},
	} {
		equal(t, "EC", c.esr.EC(), c.ec)
		equal(t, "IL", c.esr.IL(), c.il)
		equal(t, "ISS", c.esr.ISS(), c.iss)
		equal(t, "ISS2", c.esr.ISS2(), c.iss2)
		equal(t, "New", New(c.ec, c.il, c.iss, c.iss2), c.esr)
	}
	equal(t, "bits above ISS2", ESR(0xff<<56), ESR(0xff<<56))
	equal(t, "EC of bits above ISS2", ESR(0xff<<56).EC(), Unknown)
	equal(t, "ISS2 of bits above ISS2", ESR(0xff<<56).ISS2(), 0)
}

// TestLength: a data abort that took an instruction of 16 bits can say 32 [Kernel 4.4].
func TestLength(t *testing.T) {
	tells := map[Class]bool{
		Unknown: false, Illegal: false, IAbort: false, IAbortLower: false, PCAlign: false,
		SPAlign: false, SError: false, Break: false, Step: false, Watch: false, BreakLower: false,
		StepLower: false, WatchLower: false, Vector32: false, DAbort: false, DAbortLower: false,
		BKPT32: true, BRK64: true, SVC64: true, SVC32: true, Sys64: true, CP15x32: true,
	}
	for c, want := range tells {
		equal(t, Linux61.Class(c), New(c, true, 0x46, 0).TellsLength(), want)
	}
	equal(t, "with ISV", New(DAbort, false, 1<<24, 0).TellsLength(), true)
	equal(t, "bits", New(SVC32, false, 0, 0).Bits(), 16)
	equal(t, "bits", New(SVC32, true, 0, 0).Bits(), 32)
}

// TestKinds: which classes are aborts, and which come from below. What nobody can execute is not an
// instruction abort [Kernel 4.3].
func TestKinds(t *testing.T) {
	for c := range Class(64) {
		equal(t, "data abort", c.DataAbort(), c == 0x24 || c == 0x25)
		equal(t, "instruction abort", c.InstructionAbort(), c == 0x20 || c == 0x21)
		equal(t, "lower", c.Lower(), c == 0x20 || c == 0x24 || c == 0x30 || c == 0x32 || c == 0x34)
	}
}

// TestAbortFields sets each bit of an abort's syndrome alone [Kernel 4.5, 4.6].
func TestAbortFields(t *testing.T) {
	for bit, want := range map[uint32]Abort{
		24: {ISV: true}, 23: {SAS: 2}, 22: {SAS: 1}, 21: {SSE: true}, 20: {SRT: 16}, 16: {SRT: 1},
		15: {SF: true}, 14: {AR: true}, 13: {}, 12: {SET: 2}, 11: {SET: 1}, 10: {FnV: true},
		9: {EA: true}, 8: {CM: true}, 7: {S1PTW: true}, 6: {WnR: true}, 5: {FSC: 32}, 0: {FSC: 1},
	} {
		equal(t, "abort", New(DAbort, true, 1<<bit, 0).Abort(), want)
	}
	for bit, want := range map[uint32]Abort{
		10: {TnD: true}, 9: {TagAccess: true}, 8: {GCS: true}, 7: {}, 6: {Overlay: true},
		5: {DirtyBit: true}, 4: {Xs: 16}, 0: {Xs: 1}, 11: {}, 23: {},
	} {
		equal(t, "abort", New(DAbort, true, 0, 1<<bit).Abort(), want)
	}
}

// classes are the names of all 64 classes in 5.10; those that are not here are not known.
func classes() map[Class]string {
	return map[Class]string{
		0x00: "Unknown/Uncategorized", 0x01: "WFI/WFE", 0x03: "CP15 MCR/MRC",
		0x04: "CP15 MCRR/MRRC", 0x05: "CP14 MCR/MRC", 0x06: "CP14 LDC/STC", 0x07: "ASIMD",
		0x08: "CP10 MRC/VMRS", 0x09: "PAC", 0x0c: "CP14 MCRR/MRRC", 0x0d: "BTI",
		0x0e: "PSTATE.IL", 0x11: "SVC (AArch32)", 0x12: "HVC (AArch32)", 0x13: "SMC (AArch32)",
		0x15: "SVC (AArch64)", 0x16: "HVC (AArch64)", 0x17: "SMC (AArch64)",
		0x18: "MSR/MRS (AArch64)", 0x19: "SVE", 0x1a: "ERET/ERETAA/ERETAB", 0x1c: "FPAC",
		0x1f: "EL3 IMP DEF", 0x20: "IABT (lower EL)", 0x21: "IABT (current EL)",
		0x22: "PC Alignment", 0x24: "DABT (lower EL)", 0x25: "DABT (current EL)",
		0x26: "SP Alignment", 0x28: "FP (AArch32)", 0x2c: "FP (AArch64)", 0x2f: "SError",
		0x30: "Breakpoint (lower EL)", 0x31: "Breakpoint (current EL)",
		0x32: "Software Step (lower EL)", 0x33: "Software Step (current EL)",
		0x34: "Watchpoint (lower EL)", 0x35: "Watchpoint (current EL)",
		0x38: "BKPT (AArch32)", 0x3a: "Vector catch (AArch32)", 0x3c: "BRK (AArch64)",
	}
}

// TestEveryClass holds the names of all 64 classes of each version against the list [Kernel 4.2].
func TestEveryClass(t *testing.T) {
	newer := map[Version]map[Class]string{
		Linux61: {0x1d: "SME"},
		Linux72: {0x1d: "SME", 0x27: "MOPS", 0x2d: "Guarded Control Stack"},
	}
	equal(t, "names in 5.10", len(classes()), 41)
	for _, v := range Versions() {
		for c := range Class(64) {
			want, ok := classes()[c]
			if name, more := newer[v][c]; more {
				want, ok = name, true
			}
			if !ok {
				want = "UNRECOGNIZED EC"
			}
			if got := v.Class(c); got != want {
				t.Errorf("%s: class %#02x: got %q, want %q", v, uint8(c), got, want)
			}
			equal(t, "EC", New(c, false, 0, 0).EC(), c)
		}
	}
}

// TestUntagged: only a process's address loses its tag [Kernel 4.7, 4.8].
func TestUntagged(t *testing.T) {
	for _, c := range []struct {
		far, want uint64
		space     Space
	}{
		{0x30, 0x30, UserSpace},
		{0xff00_0000_0000_0030, 0x30, UserSpace},
		{0x5a00_ffff_8000_0000, 0xffff_8000_0000, UserSpace},
		{0x00ff_ffff_ffff_ffff, 0x00ff_ffff_ffff_ffff, NoSpace},
		{0xffff_8000_086e_37a0, 0xffff_8000_086e_37a0, KernelSpace},
		{0xf0ff_8000_086e_37a0, 0xf0ff_8000_086e_37a0, NoSpace},
		{0xdead_0000_0000_0100, 0xdead_0000_0000_0100, NoSpace},
		{0x0000_ffff_ffff_ffff, 0x0000_ffff_ffff_ffff, UserSpace},
		{0x0001_0000_0000_0000, 0x0001_0000_0000_0000, NoSpace},
		{0xffff_0000_0000_0000, 0xffff_0000_0000_0000, KernelSpace},
		{0xfffe_ffff_ffff_ffff, 0xfffe_ffff_ffff_ffff, NoSpace},
	} {
		equal(t, "untagged", Untagged(c.far), c.want)
		equal(t, "space", SpaceOf(Untagged(c.far)), c.space)
	}
}

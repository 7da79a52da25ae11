package esr

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzESR: any 64 bits can be taken apart, decided upon and printed by every version, and the text
// says what the register did.
func FuzzESR(f *testing.F) {
	for _, seed := range []struct {
		esr, far uint64
		how      uint16
	}{
		{0x96000046, 0x30, 0},
		{0x97c24047, 1<<64 - 8, 1},
		{1<<64 - 1, 1<<64 - 1, 0x7f},
		{0, 0, 0x100},
		{0x8600000f, 0x400000, 8},
		{0xf2000800, 0, 0x20},
		{0xbe000011, 0, 0x40},
		{0x9600002b, 1 << 48, 2},
	} {
		f.Add(seed.esr, seed.far, seed.how)
	}
	f.Fuzz(func(t *testing.T, n, far uint64, how uint16) {
		e := ESR(n)
		equal(t, "fields", New(e.EC(), e.IL(), e.ISS(), e.ISS2()), e&(1<<56-1))
		iss, iss2 := e.Abort().ISS()
		equal(t, "ISS", iss, e.ISS()&abortISS)
		equal(t, "ISS2", iss2, e.ISS2()&abortISS2)
		// The class and where an exception comes from cannot disagree.
		own := e.EC() == DAbort || e.EC() == IAbort
		for _, v := range Versions() {
			reread(t, v, e)
			a := Access{
				ESR: e, FAR: far, User: how&1 != 0 && !own, NoContext: how&2 != 0, Fixup: how&4 != 0,
				Mapped: how&8 != 0, Spurious: how&16 != 0, KernelDS: how&32 != 0,
				Claimed: how&64 != 0, Area: how&128 != 0,
				Walk: Walk{Swapper: how&256 != 0, Entries: []uint64{n, far}},
			}
			decided(t, v, a)
			for source := range Source(4) {
				for reason := range Reason(4) {
					vec := Vector{source, reason}
					r := v.Exception(vec, e)
					if r.Entry == "" || r.Calls == "" || v.Handler(vec) == "" {
						t.Errorf("%s, %s: %+v", v, vec, r)
					}
					v.Unexpected(vec, 0, e)
				}
			}
			v.Debug(e, Breakpoint(how%3))
			v.SError(0, e, how&1 != 0)
			v.PState(PState(n))
			v.BadStack(e, far, Stack{}, Stack{}, Stack{})
		}
	})
}

// decided checks what becomes of an access: one thing, and with words if it is the end.
func decided(t *testing.T, v Version, a Access) {
	t.Helper()
	d := v.MemAbort(a)
	switch d.Fate.Kind {
	case Served:
	case Signals:
		if d.Fate.Signal == 0 || d.Fate.Code == "" || !a.User {
			t.Errorf("%s: %+v has got %+v", v, a, d.Fate)
		}
	case Dies:
		if d.Fate.Die == "" || a.User && !a.NoContext {
			t.Errorf("%s: %+v has died of %+v", v, a, d.Fate)
		}
	default:
		t.Errorf("%s: %+v comes to %+v", v, a, d.Fate)
	}
	for _, l := range d.Lines {
		if l.Text == "" || l.From == "" || strings.Contains(l.Text, "%!") {
			t.Errorf("%s: %+v says %+v", v, a, l)
		}
	}
}

// reread reads what a version prints of a register, and compares.
func reread(t *testing.T, v Version, e ESR) {
	t.Helper()
	d := v.data()
	if d.short {
		e &= 1<<32 - 1
	}
	a := e.Abort()
	lines := words(v.Decode(e))
	next := func(format string, values ...any) {
		t.Helper()
		if len(lines) == 0 {
			t.Fatalf("%s: %#x: there is no line %q", v, uint64(e), format)
		}
		if n, err := fmt.Sscanf(lines[0], format, values...); err != nil || n != len(values) {
			t.Fatalf("%s: %#x: %q does not read as %q: %v", v, uint64(e), lines[0], format, err)
		}
		lines = lines[1:]
	}
	heading := func(want string) {
		t.Helper()
		if len(lines) == 0 || lines[0] != want {
			t.Fatalf("%s: %#x: got %q, want %q", v, uint64(e), lines, want)
		}
		lines = lines[1:]
	}
	var n [4]uint64
	heading("Mem abort info:")
	next("  ESR = 0x%x", &n[0])
	equal(t, "ESR", ESR(n[0]), e)
	class := fmt.Sprintf("  EC = 0x%02x: %s, IL = ", uint8(e.EC()), v.Class(e.EC()))
	if rest, ok := strings.CutPrefix(lines[0], class); !ok || rest != fmt.Sprint(e.Bits(), " bits") {
		t.Errorf("%s: got %q, want %q", v, lines[0], class)
	}
	lines = lines[1:]
	next("  SET = %d, FnV = %d", &n[0], &n[1])
	back := Abort{SET: uint8(n[0]), FnV: n[1] == 1, FSC: a.FSC}
	next("  EA = %d, S1PTW = %d", &n[0], &n[1])
	back.EA, back.S1PTW = n[0] == 1, n[1] == 1
	if d.saysStatus {
		heading(fmt.Sprintf("  FSC = 0x%02x: %s", uint8(a.FSC), v.Fault(a.FSC).Name))
	}
	if !e.EC().DataAbort() {
		equal(t, "lines left", len(lines), 0)
		return
	}
	heading("Data abort info:")
	switch {
	case a.ISV:
		back.ISV = true
		next("  Access size = %d byte(s)", &n[0])
		for n[0] > 1 {
			back.SAS++
			n[0] /= 2
		}
		next("  SSE = %d, SRT = %d", &n[0], &n[1])
		back.SSE, back.SRT = n[0] == 1, uint8(n[1])
		next("  SF = %d, AR = %d", &n[0], &n[1])
		back.SF, back.AR = n[0] == 1, n[1] == 1
		if d.saysISS2 {
			next("  Xs = %d", &n[0])
			back.Xs = uint8(n[0])
		}
	case d.saysISS2:
		next("  ISV = 0, ISS = 0x%x, ISS2 = 0x%x", &n[0], &n[1])
		equal(t, "ISS", uint32(n[0]), e.ISS())
		equal(t, "ISS2", uint32(n[1]), e.ISS2())
	default:
		next("  ISV = 0, ISS = 0x%x", &n[0])
		equal(t, "ISS", uint32(n[0]), e.ISS())
	}
	if d.saysISS2 {
		next("  CM = %d, WnR = %d, TnD = %d, TagAccess = %d", &n[0], &n[1], &n[2], &n[3])
		back.TnD, back.TagAccess = n[2] == 1, n[3] == 1
	} else {
		next("  CM = %d, WnR = %d", &n[0], &n[1])
	}
	back.CM, back.WnR = n[0] == 1, n[1] == 1
	if d.saysISS2 {
		next("  GCS = %d, Overlay = %d, DirtyBit = %d", &n[0], &n[1], &n[2])
		back.GCS, back.Overlay, back.DirtyBit = n[0] == 1, n[1] == 1, n[2] == 1
	}
	equal(t, "lines left", len(lines), 0)
	// What is not printed cannot be read: compare the rest.
	if !a.ISV {
		back.SAS, back.SSE, back.SRT, back.SF, back.AR = a.SAS, a.SSE, a.SRT, a.SF, a.AR
		back.Xs = a.Xs
	}
	if !d.saysISS2 {
		back.TnD, back.TagAccess, back.GCS = a.TnD, a.TagAccess, a.GCS
		back.Overlay, back.DirtyBit, back.Xs = a.Overlay, a.DirtyBit, a.Xs
	}
	equal(t, v.String(), back, a)
}

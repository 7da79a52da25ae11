package esr

import "testing"

// TestDecode prints a register by each version [Kernel 4.29 to 4.31].
func TestDecode(t *testing.T) {
	const wide = 0x00000760_97c24047
	for _, c := range []struct {
		version Version
		esr     ESR
		want    []string
	}{
		{Linux510, 0x96000046, []string{
			"Mem abort info:",
			"  ESR = 0x96000046",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"Data abort info:",
			"  ISV = 0, ISS = 0x00000046",
			"  CM = 0, WnR = 1",
		}},
		{Linux61, 0x96000046, []string{
			"Mem abort info:",
			"  ESR = 0x0000000096000046",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"  FSC = 0x06: level 2 translation fault",
			"Data abort info:",
			"  ISV = 0, ISS = 0x00000046",
			"  CM = 0, WnR = 1",
		}},
		{Linux72, 0x96000046, []string{
			"Mem abort info:",
			"  ESR = 0x0000000096000046",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"  FSC = 0x06: level 2 translation fault",
			"Data abort info:",
			"  ISV = 0, ISS = 0x00000046, ISS2 = 0x00000000",
			"  CM = 0, WnR = 1, TnD = 0, TagAccess = 0",
			"  GCS = 0, Overlay = 0, DirtyBit = 0",
		}},
		{Linux510, wide, []string{
			"Mem abort info:",
			"  ESR = 0x97c24047",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"Data abort info:",
			"  Access size = 8 byte(s)",
			"  SSE = 0, SRT = 2",
			"  SF = 0, AR = 1",
			"  CM = 0, WnR = 1",
		}},
		{Linux61, wide, []string{
			"Mem abort info:",
			"  ESR = 0x0000076097c24047",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"  FSC = 0x07: level 3 translation fault",
			"Data abort info:",
			"  Access size = 8 byte(s)",
			"  SSE = 0, SRT = 2",
			"  SF = 0, AR = 1",
			"  CM = 0, WnR = 1",
		}},
		{Linux72, wide, []string{
			"Mem abort info:",
			"  ESR = 0x0000076097c24047",
			"  EC = 0x25: DABT (current EL), IL = 32 bits",
			"  SET = 0, FnV = 0",
			"  EA = 0, S1PTW = 0",
			"  FSC = 0x07: level 3 translation fault",
			"Data abort info:",
			"  Access size = 8 byte(s)",
			"  SSE = 0, SRT = 2",
			"  SF = 0, AR = 1",
			"  Xs = 0",
			"  CM = 0, WnR = 1, TnD = 1, TagAccess = 1",
			"  GCS = 1, Overlay = 1, DirtyBit = 1",
		}},
		{Linux61, 0x84001e8f, []string{
			"Mem abort info:",
			"  ESR = 0x0000000084001e8f",
			"  EC = 0x21: IABT (current EL), IL = 16 bits",
			"  SET = 3, FnV = 1",
			"  EA = 1, S1PTW = 1",
			"  FSC = 0x0f: level 3 permission fault",
		}},
	} {
		equalLines(t, c.version.String(), c.version.Decode(c.esr), c.want...)
	}
}

// TestWalk is show_pte [Kernel 4.32, 4.33].
func TestWalk(t *testing.T) {
	const text = 0xffff_8000_1000_0000
	for _, c := range []struct {
		name string
		addr uint64
		walk Walk
		want []string
	}{
		{"a process", 0x30, Walk{PGD: 0x4339f000, Entries: []uint64{0x3, 0x3, 0x13, 0}}, []string{
			"user pgtable: 4k pages, 48-bit VAs, pgdp=000000004339f000",
			"[0000000000000030] pgd=0000000000000003, p4d=0000000000000003, pud=0000000000000013, pmd=0000000000000000",
		}},
		{"no tables", 0x30, Walk{PGD: 0x4339f000}, []string{
			"user pgtable: 4k pages, 48-bit VAs, pgdp=000000004339f000",
			"[0000000000000030] pgd=0000000000000000, p4d=0000000000000000",
		}},
		{"a page", text, Walk{PGD: 0x41f00000, Entries: []uint64{1, 2, 3, 4, 5}}, []string{
			"swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000041f00000",
			"[ffff800010000000] pgd=0000000000000001, p4d=0000000000000002, pud=0000000000000003, pmd=0000000000000004, pte=0000000000000005",
		}},
		{"a big page", text, Walk{Entries: []uint64{1, 2, 3, 0x60000040200f91}}, []string{
			"swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000000000000",
			"[ffff800010000000] pgd=0000000000000001, p4d=0000000000000002, pud=0000000000000003, pmd=0060000040200f91",
		}},
		{"more than there are", text, Walk{Entries: []uint64{1, 2, 3, 4, 5, 6}}, []string{
			"swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000000000000",
			"[ffff800010000000] pgd=0000000000000001, p4d=0000000000000002, pud=0000000000000003, pmd=0000000000000004, pte=0000000000000005",
		}},
		{"a hole in the middle", text, Walk{Entries: []uint64{1, 0, 3}}, []string{
			"swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000000000000",
			"[ffff800010000000] pgd=0000000000000001, p4d=0000000000000000",
		}},
		{"a thread of the kernel's", 0x30, Walk{Swapper: true}, []string{
			"[0000000000000030] user address but active_mm is swapper",
		}},
		{"its own address", text, Walk{Swapper: true}, []string{
			"swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000000000000",
			"[ffff800010000000] pgd=0000000000000000, p4d=0000000000000000",
		}},
		{"nowhere", 0xdead_0000_0000_0100, Walk{}, []string{
			"[dead000000000100] address between user and kernel address ranges",
		}},
	} {
		equalLines(t, c.name, c.walk.lines(c.addr), c.want...)
	}
}

// TestCode prints the instructions, and what cannot be read [Kernel 4.38].
func TestCode(t *testing.T) {
	n := func(u uint32) *uint32 { return &u }
	for _, c := range []struct {
		version Version
		words   [5]*uint32
		want    string
	}{
		{Linux510, [5]*uint32{n(1), n(2), n(3), n(4), n(5)}, "Code: 00000001 00000002 00000003 00000004 (00000005) "},
		{Linux61, [5]*uint32{}, "Code: bad PC value"},
		{Linux61, [5]*uint32{n(1), n(2)}, "Code: 00000001 00000002 bad PC value"},
		{Linux72, [5]*uint32{}, "Code: ???????? ???????? ???????? ???????? (????????) "},
		{Linux72, [5]*uint32{nil, n(2), n(3), n(4), n(5)}, "Code: ???????? 00000002 00000003 00000004 (00000005) "},
	} {
		equal(t, c.version.String(), c.version.Code(c.words), Line{Emergency, c.want, "dump_kernel_instr"})
	}
}

// TestRegisters: how many stand in a line, and what ends it [Kernel 4.36, 4.37].
func TestRegisters(t *testing.T) {
	r := &Regs{PC: "f+0x4/0x8", LR: "g+0x8/0x10", SP: 0xffff800012345678, PState: 0x60400005}
	for i := range r.X {
		r.X[i] = uint64(i)
	}
	old := Linux510.Registers(r)
	equal(t, "lines of 5.10", len(old), 4+15)
	equal(t, "pstate", old[0].Text, "pstate: 60400005 (nZCv daif +PAN -UAO -TCO BTYPE=--)")
	equal(t, "pc", old[1].Text, "pc : f+0x4/0x8")
	equal(t, "lr", old[2].Text, "lr : g+0x8/0x10")
	equal(t, "sp", old[3].Text, "sp : ffff800012345678")
	equal(t, "x29", old[4].Text, "x29: 000000000000001d x28: 000000000000001c ")
	equal(t, "x1", old[18].Text, "x1 : 0000000000000001 x0 : 0000000000000000 ")
	for _, v := range []Version{Linux61, Linux72} {
		lines := v.Registers(r)
		equal(t, "lines", len(lines), 4+10)
		equal(t, "pstate", lines[0].Text,
			"pstate: 60400005 (nZCv daif +PAN -UAO -TCO -DIT -SSBS BTYPE=--)")
		equal(t, "x29", lines[4].Text, "x29: 000000000000001d x28: 000000000000001c x27: 000000000000001b")
		equal(t, "x2", lines[13].Text, "x2 : 0000000000000002 x1 : 0000000000000001 x0 : 0000000000000000")
	}
	equal(t, "all bits", Linux61.PState(1<<64-1).Text,
		"pstate: ffffffffffffffff (NZCV DAIF +PAN +UAO +TCO +DIT +SSBS BTYPE=j-)")
	equal(t, "some bits", Linux61.PState(0x9000_0480).Text,
		"pstate: 90000480 (NzcV daIf -PAN -UAO -TCO -DIT -SSBS BTYPE=jc)")
	equal(t, "masked", PState(0x3c5).Masked(), true)
	equal(t, "not masked", PState(0x5).Masked(), false)
}

// TestSError: which the kernel survives, and its words [Kernel 4.42, 4.43].
func TestSError(t *testing.T) {
	for _, c := range []struct {
		name string
		esr  ESR
		ras  bool
		want Kind
	}{
		{"no RAS", 0xbe000011, false, Panics},
		{"corrected", 0xbe001811, true, Served},
		{"corrected, but nobody can tell", 0xbe001811, false, Panics},
		{"restartable", 0xbe000811, true, Served},
		{"uncontainable", 0xbe000011, true, Panics},
		{"unrecoverable", 0xbe000411, true, Panics},
		{"recoverable", 0xbe000c11, true, Panics},
		{"reserved", 0xbe001011, true, Panics},
		{"the implementer's own", 0xbf001811, true, Panics},
		{"without a severity", 0xbe001800, true, Panics},
	} {
		for _, v := range Versions() {
			fate, said, taints := v.SError(3, c.esr, c.ras)
			equal(t, c.name, fate.Kind, c.want)
			equal(t, c.name, said.Text != "", c.want == Panics)
			equal(t, c.name, taints, c.want == Panics && v != Linux510)
			if c.want == Panics {
				equal(t, c.name, fate.Panic, "Asynchronous SError Interrupt")
			}
		}
	}
	_, said, _ := Linux510.SError(3, 0xbf000002, false)
	equal(t, "5.10", said, Line{
		Critical, "SError Interrupt on CPU3, code 0xbf000002 -- SError", "arm64_serror_panic",
	})
	_, said, _ = Linux61.SError(0, 0xbf000002, false)
	equal(t, "6.1", said.Text, "SError Interrupt on CPU0, code 0x00000000bf000002 -- SError")
}

// TestBadStack: no room for the exception that has come [Kernel 4.44].
func TestBadStack(t *testing.T) {
	task := Stack{0xffff800008700000, 0x4000}
	irq := Stack{0xffff800008000000, 0x4000}
	over := Stack{0xffff00007fb8a2c0, 0x1000}
	got := Linux61.BadStack(0x96000047, 0xffff8000086fff80, task, irq, over)
	equalLines(t, "6.1", got,
		"Insufficient stack space to handle exception!",
		"ESR: 0x0000000096000047 -- DABT (current EL)",
		"FAR: 0xffff8000086fff80",
		"Task stack:     [0xffff800008700000..0xffff800008704000]",
		"IRQ stack:      [0xffff800008000000..0xffff800008004000]",
		"Overflow stack: [0xffff00007fb8a2c0..0xffff00007fb8b2c0]",
	)
	for _, l := range got {
		equal(t, l.Text, l.Level, Emergency)
		equal(t, l.Text, l.From, "panic_bad_stack")
	}
	got = Linux510.BadStack(0x96000047, 0, task, irq, over)
	equal(t, "5.10", got[1], Line{
		Emergency, "ESR: 0x96000047 -- DABT (current EL)", "handle_bad_stack",
	})
}

package esr

import (
	"slices"
	"strings"
	"syscall"
	"testing"
)

// first is the first line that an access makes the kernel say.
func first(d Death) string {
	if len(d.Lines) == 0 {
		return ""
	}
	return d.Lines[0].Text
}

// TestWords: which words the kernel dies with [Kernel 4.20 to 4.25].
func TestWords(t *testing.T) {
	const kernelAddress = 0xffff_8000_1234_5678
	all := []Version{Linux510, Linux61, Linux72}
	data := func(iss uint32) ESR { return New(DAbort, true, iss, 0) }
	fetch := func(iss uint32) ESR { return New(IAbort, true, iss, 0) }
	unable := func(what, at string) string {
		return "Unable to handle kernel " + what + " at virtual address " + at
	}
	for _, c := range []struct {
		name     string
		versions []Version
		access   Access
		want     string // the first line; none if it goes on
		die      string
	}{
		{"write to null", all, Access{ESR: data(0x46), FAR: 0x30}, unable("NULL pointer dereference", "0000000000000030"), "Oops"},
		{"the last byte of the first page", all, Access{ESR: data(0x06), FAR: 0xfff}, unable("NULL pointer dereference", "0000000000000fff"), "Oops"},
		{"the first byte after it", all, Access{ESR: data(0x06), FAR: 0x1000}, unable("paging request", "0000000000001000"), "Oops"},
		{"null with a tag", all, Access{ESR: data(0x06), FAR: 0x5a00_0000_0000_0030}, unable("NULL pointer dereference", "0000000000000030"), "Oops"},
		{"null in an interrupt", all, Access{ESR: data(0x06), FAR: 8, NoContext: true}, unable("NULL pointer dereference", "0000000000000008"), "Oops"},
		{"jump to null", all, Access{ESR: fetch(0x04), FAR: 0}, unable("NULL pointer dereference", "0000000000000000"), "Oops"},
		{"a kernel address", all, Access{ESR: data(0x07), FAR: kernelAddress}, unable("paging request", "ffff800012345678"), "Oops"},
		{"between the ranges", all, Access{ESR: data(0x04), FAR: 0xdead_0000_0000_0100}, unable("paging request", "dead000000000100"), "Oops"},
		{"read-only memory", all, Access{ESR: data(0x4f), FAR: kernelAddress}, unable("write to read-only memory", "ffff800012345678"), "Oops"},
		{"cache maintenance of it", all, Access{ESR: data(0x14f), FAR: kernelAddress}, unable("write to read-only memory", "ffff800012345678"), "Oops"},
		{"unreadable memory", all, Access{ESR: data(0x0f), FAR: kernelAddress}, unable("read from unreadable memory", "ffff800012345678"), "Oops"},
		{"executing data", all, Access{ESR: fetch(0x0f), FAR: kernelAddress}, unable("execute from non-executable memory", "ffff800012345678"), "Oops"},
		{"executing a program", all, Access{ESR: fetch(0x0f), FAR: 0x400000, Mapped: true}, unable("execution of user memory", "0000000000400000"), "Oops"},
		{"executing a program from an interrupt", all, Access{ESR: fetch(0x0f), FAR: 0x400000, NoContext: true}, unable("execute from non-executable memory", "0000000000400000"), "Oops"},
		{"a program's memory without permission", all, Access{ESR: data(0x0f), FAR: 0x400000, Mapped: true}, unable("access to user memory outside uaccess routines", "0000000000400000"), "Oops"},
		{"writing to it", all, Access{ESR: data(0x4f), FAR: 0x400000, Mapped: true}, unable("access to user memory outside uaccess routines", "0000000000400000"), "Oops"},
		{"set_fs", []Version{Linux510}, Access{ESR: data(0x0f), FAR: 0x400000, KernelDS: true}, unable("access to user memory with fs=KERNEL_DS", "0000000000400000"), "Oops"},
		{"what was set_fs", []Version{Linux61, Linux72}, Access{ESR: data(0x0f), FAR: 0x400000, KernelDS: true}, unable("access to user memory outside uaccess routines", "0000000000400000"), "Oops"},
		{"copy_from_user of nothing", all, Access{ESR: data(0x06), FAR: 0x400000, Fixup: true}, "", ""},
		{"copy_from_user of memory", all, Access{ESR: data(0x07), FAR: 0x400000, Fixup: true, Mapped: true}, "", ""},
		{"a fetch cannot be fixed up", all, Access{ESR: fetch(0x06), FAR: 0x400000, Fixup: true}, unable("paging request", "0000000000400000"), "Oops"},
		{"a translation that is there by now", all, Access{ESR: data(0x07), FAR: kernelAddress, Spurious: true}, "Ignoring spurious kernel translation fault at virtual address ffff800012345678", ""},
		{"a permission fault is never spurious", all, Access{ESR: data(0x0f), FAR: kernelAddress, Spurious: true}, unable("read from unreadable memory", "ffff800012345678"), "Oops"},
		{"an unaligned device", all, Access{ESR: data(0x61), FAR: kernelAddress}, unable("paging request", "ffff800012345678"), "Oops"},
		{"an access flag", all, Access{ESR: data(0x0b), FAR: kernelAddress}, unable("paging request", "ffff800012345678"), "Oops"},
		{"a bus error", all, Access{ESR: data(0x10), FAR: kernelAddress}, "", "synchronous external abort"},
		{"a bus error in a table walk", all, Access{ESR: data(0x16), FAR: kernelAddress}, "", "level 2 (translation table walk)"},
		{"a parity error", all, Access{ESR: data(0x18), FAR: kernelAddress}, "", "synchronous parity or ECC error"},
		{"a wrong tag", []Version{Linux61, Linux72}, Access{ESR: data(0x11), FAR: kernelAddress}, "", ""},
		{"a wrong tag in 5.10", []Version{Linux510}, Access{ESR: data(0x11), FAR: kernelAddress}, unable("paging request", "ffff800012345678"), "Oops"},
		{"a TLB conflict", []Version{Linux61, Linux72}, Access{ESR: data(0x30), FAR: kernelAddress}, unable("TLB conflict abort", "ffff800012345678"), "Oops"},
		{"a TLB conflict in 5.10", []Version{Linux510}, Access{ESR: data(0x30), FAR: kernelAddress}, "Unhandled fault at 0xffff800012345678", "TLB conflict abort"},
		{"a status that nobody knows", []Version{Linux61, Linux72}, Access{ESR: data(0x3f), FAR: 0x30}, unable("unknown 63", "0000000000000030"), "Oops"},
		{"level -1", []Version{Linux72}, Access{ESR: data(0x2b), FAR: 0x1000}, unable("paging request", "0000000000001000"), "Oops"},
		{"level -1 before it was known", []Version{Linux61}, Access{ESR: data(0x2b), FAR: 0x1000}, unable("unknown 43", "0000000000001000"), "Oops"},
	} {
		for _, v := range c.versions {
			got := v.MemAbort(c.access)
			if first(got) != c.want || got.Fate.Die != c.die {
				t.Errorf("%s, %s:\ngot  %q, die %q\nwant %q, die %q", c.name, v, first(got),
					got.Fate.Die, c.want, c.die)
			}
			if (got.Fate.Kind == Dies) != (c.die != "") {
				t.Errorf("%s, %s: %v", c.name, v, got.Fate)
			}
		}
	}
}

// TestPath: which functions have decided [Kernel 4.19].
func TestPath(t *testing.T) {
	for _, c := range []struct {
		name   string
		access Access
		want   string
	}{
		{"null", Access{ESR: 0x96000046, FAR: 0x30}, "do_mem_abort do_translation_fault do_page_fault __do_kernel_fault die_kernel_fault"},
		{"a kernel address", Access{ESR: 0x96000007, FAR: 1<<64 - 8}, "do_mem_abort do_translation_fault do_bad_area __do_kernel_fault die_kernel_fault"},
		{"a bus error", Access{ESR: 0x96000010, FAR: 8}, "do_mem_abort do_sea arm64_notify_die"},
		{"nobody's", Access{ESR: 0x96000030, FAR: 8}, "do_mem_abort do_bad die_kernel_fault"},
		{"a tag", Access{ESR: 0x96000011, FAR: 8}, "do_mem_abort do_tag_check_fault do_bad_area __do_kernel_fault do_tag_recovery"},
	} {
		got := strings.Join(Linux61.MemAbort(c.access).Path, " ")
		equal(t, c.name, got, c.want)
	}
}

// TestErr: the number that die() prints. 5.10 takes the sign of the register for a number's where
// arm64_notify_die is in between [Kernel 4.34, 4.35].
func TestErr(t *testing.T) {
	for _, c := range []struct {
		version Version
		esr     ESR
		want    string
	}{
		{Linux510, 0x96000046, "Internal error: Oops: 0000000096000046 [#1] SMP"},
		{Linux510, 0x96000010, "Internal error: synchronous external abort: ffffffff96000010 [#1] SMP"},
		{Linux510, 0x96000030, "Internal error: TLB conflict abort: ffffffff96000030 [#1] SMP"},
		{Linux61, 0x96000010, "Internal error: synchronous external abort: 0000000096000010 [#1] SMP"},
		{Linux61, 0x1_96000046, "Internal error: Oops: 0000000196000046 [#1] SMP"},
		{Linux510, 0x1_96000046, "Internal error: Oops: 0000000096000046 [#1] SMP"},
		{Linux72, 0x96000046, "Internal error: Oops: 0000000096000046 [#1]  SMP"},
	} {
		d := c.version.MemAbort(Access{ESR: c.esr, FAR: 0x30})
		equal(t, c.version.String(), c.version.InternalError(d.Fate.Die, d.Err, 1),
			Line{Emergency, c.want, "__die"})
	}
	equal(t, "5.10, BUG", Linux510.Err(Fate{Die: "Oops - BUG"}, 0xf2000800), 0xf2000800)
	pc := Linux510.Exception(Vector{Kernel, Sync}, New(PCAlign, true, 0, 0)).Fate
	equal(t, "5.10, PC", Linux510.Err(pc, New(PCAlign, true, 0, 0)), 0xffffffff_8a000000)
	equal(t, "panic", Fatal("Oops - BUG"), "Oops - BUG: Fatal exception")
	equal(t, "panic", InInterrupt("Oops"), "Oops: Fatal exception in interrupt")
}

// TestSignals: what a program is sent [Kernel 4.26].
func TestSignals(t *testing.T) {
	low := func(iss uint32) ESR { return New(DAbortLower, true, iss, 0) }
	for _, c := range []struct {
		name   string
		access Access
		want   Fate
		at     uint64
	}{
		{"null", Access{ESR: low(0x46)}, Fate{Signal: syscall.SIGSEGV, Code: "SEGV_MAPERR", What: "level 2 translation fault"}, 0},
		{"its own text", Access{ESR: low(0x4f), FAR: 0x400000, Area: true}, Fate{Signal: syscall.SIGSEGV, Code: "SEGV_ACCERR", What: "level 3 permission fault"}, 0x400000},
		{"the kernel's memory", Access{ESR: low(0x07), FAR: 1<<64 - 8}, Fate{Signal: syscall.SIGSEGV, Code: "SEGV_MAPERR", What: "level 3 translation fault"}, 1<<64 - 8},
		{"an address that is not valid", Access{ESR: low(0x410), FAR: 0x400000}, Fate{Signal: syscall.SIGBUS, Code: "BUS_OBJERR", What: "synchronous external abort"}, 0},
		{"a bus error", Access{ESR: low(0x10), FAR: 0x400000}, Fate{Signal: syscall.SIGBUS, Code: "BUS_OBJERR", What: "synchronous external abort"}, 0x400000},
		{"an unaligned exclusive", Access{ESR: low(0x21), FAR: 0x400001}, Fate{Signal: syscall.SIGBUS, Code: "BUS_ADRALN", What: "alignment fault"}, 0x400001},
		{"a wrong tag", Access{ESR: low(0x11), FAR: 0x0300_0000_0040_0000}, Fate{Signal: syscall.SIGSEGV, Code: "SEGV_MTESERR", What: "synchronous tag check fault"}, 0x400000},
	} {
		for _, v := range Versions() {
			a := c.access
			a.User = true
			got := v.MemAbort(a)
			c.want.Kind = Signals
			equal(t, c.name, got.Fate, c.want)
			equal(t, c.name, got.Address, c.at)
		}
	}
	for _, a := range []Access{
		{ESR: low(0x46), FAR: 0x400000, User: true, Mapped: true},
		{ESR: low(0x10), FAR: 0x400000, User: true, Claimed: true},
	} {
		equal(t, "served", Linux61.MemAbort(a).Fate, Fate{Kind: Served})
	}
}

// TestUserESR: a program learns nothing of the kernel's tables [Kernel 4.27].
func TestUserESR(t *testing.T) {
	for _, c := range []struct {
		esr  ESR
		far  uint64
		want ESR
	}{
		{0x92000047, 0x400000, 0x92000047},
		{0x9300014f, 1<<64 - 8, 0x92000144},
		{0x8200000f, 1<<64 - 8, 0x82000004},
		{0x96000046, 1<<64 - 8, 0},
	} {
		equal(t, "ESR", Linux61.UserESR(Access{ESR: c.esr, FAR: c.far}), c.want)
	}
}

// TestLevels: who has said each line, and how loud [Kernel 4.28].
func TestLevels(t *testing.T) {
	d := Linux61.MemAbort(Access{ESR: 0x96000046, FAR: 0x30})
	var from []string
	for _, l := range d.Lines {
		equal(t, l.Text, l.Level, Alert)
		from = append(from, l.From)
	}
	equal(t, "from", strings.Join(slices.Compact(from), " "),
		"die_kernel_fault mem_abort_decode data_abort_decode show_pte")
	d = Linux510.MemAbort(Access{ESR: 0x96000030, FAR: 0x30})
	equal(t, "from", d.Lines[0], Line{Alert, "Unhandled fault at 0x0000000000000030", "do_mem_abort"})
}

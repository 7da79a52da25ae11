package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// bare leaves out what stands for registers, frames and code.
func bare(lines []string) []string {
	var kept []string
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "R") && len(l) > 4 && l[3] == ':', // RIP: RSP: RAX: R10:
			strings.HasPrefix(l, "Code:"), strings.HasPrefix(l, "FS: "), strings.HasPrefix(l, "CS: "),
			strings.HasPrefix(l, "CR2: ") && strings.Contains(l, "CR3"):
			continue
		}
		kept = append(kept, l)
	}
	return kept
}

// TestOopsSays looks at all lines of a thread of the kernel that dies of a bad pointer, as recorded
// from a Linux 6.1: but for registers and frames.
func TestOopsSays(t *testing.T) {
	cfg := Config{Cmdline: "sysctl.kernel.tainted=12288", Panic: PanicConfig{Modules: []string{"lab(OE)"}}}
	m, end, said := dead(t, cfg, Fail{Kthread: "labkt", How: NullWrite{Addr: 0x20}})
	want := []string{
		"BUG: kernel NULL pointer dereference, address: 0000000000000020",
		"#PF: supervisor write access in kernel mode",
		"#PF: error_code(0x0002) - not-present page",
		"PGD 0 P4D 0 ",
		"Oops: 0002 [#1] PREEMPT SMP NOPTI",
		"CPU: 0 PID: 3 Comm: labkt Tainted: G           OE      6.1.0 #1",
		"Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014",
		"Call Trace:",
		" <TASK>",
		" </TASK>",
		"Modules linked in: lab(OE)",
		"CR2: 0000000000000020",
		"---[ end trace 0000000000000000 ]---",
		"note: labkt[3] exited with irqs disabled",
	}
	if got := bare(said); !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
	// The kernel goes on: PID 1 waits, and nobody ever wakes it.
	if end.How != Stuck || end.Since != 0 {
		t.Errorf("got %+v", end)
	}
	if n, _ := m.attr("kernel/oops_count"); n != "1" || !m.isTainted(taintDie) {
		t.Errorf("oops_count %s, tainted %v", n, m.isTainted(taintDie))
	}
}

// TestDeathsWithoutEnd lets a notifier fail whenever it is called: the stack has an end.
func TestDeathsWithoutEnd(t *testing.T) {
	for _, bad := range []Failure{NullWrite{}, WarnCall{}, PanicCall{"again"}, BugCall{}} {
		always := []Notifier{{Name: "bad", Fails: bad}}
		cfg := Config{
			Cmdline: "panic_on_warn=1 oops=panic",
			Panic:   PanicConfig{Notifiers: always, DieNotifiers: always},
		}
		onEach(t, Kernels(), cfg, func(t *testing.T, f failed) {
			if !f.ended {
				t.Errorf("%T: got %+v", bad, f.end)
			}
		}, inThread)
	}
	always := PanicConfig{Notifiers: []Notifier{{Name: "bad", Fails: PanicCall{"again"}}}}
	_, end, _ := dead(t, Config{Panic: always}, Fail{How: PanicCall{"x"}})
	if end.Then != Restarted || end.At != time.Second {
		t.Errorf("got %+v", end)
	}
}

// TestPing looks at what a panic in 2.6 leaves: out of an interrupt it still answers.
func TestPing(t *testing.T) {
	for in, want := range map[Interrupt]bool{InTask: true, InHardIRQ: false, InSoftIRQ: false} {
		onEach(t, linux26s, Config{}, func(t *testing.T, f failed) {
			if a := f.Answers(); !a.Interrupts || a.Ping != want || a.Processes {
				t.Errorf("in %d: got %+v", in, a)
			}
		}, Fail{In: in, How: PanicCall{"x"}})
	}
}

// TestPanicPrint asks for each part of what panic() can print besides.
func TestPanicPrint(t *testing.T) {
	for bits, part := range map[string]struct {
		line  string
		since int
	}{
		"0x1":  {"task:init ", 0},
		"0x2":  {"Mem-Info:", 0},
		"0x4":  {"Timer List Version: v0.9", 0},
		"0x10": {"   (ftrace buffer empty)", 0},
		"0x40": {"NMI backtrace for cpu 0", 1},
		"0x80": {"task:hung ", 2},
	} {
		hung := starts("hung", Hang{})
		later := Do(func(m *Machine) { m.At(2*time.Second, panics) })
		onEach(t, newPCs, Config{Cmdline: "panic_print=" + bits}, func(t *testing.T, f failed) {
			version := slices.Index(newPCs, f.kernel.name)
			if f.has(part.line) != (version >= part.since) {
				t.Errorf("panic_print=%s: said %q", bits, f.said)
			}
			if bits == "0x80" && f.has("task:init ") {
				t.Error("who is not in D is shown, too")
			}
		}, hung, later)
	}
}

package simkernel

import (
	"slices"
	"strings"
	"testing"
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

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func normalText(console string) string {
	return strings.Join(normal(consoleLines(strings.Split(console, "\n"))), "\n")
}

func TestNormalKeepsWhatIsSaidAndTakesOutWhatIsByChance(t *testing.T) {
	for _, c := range []struct{ name, console, want string }{
		{
			"an oops on a PC",
			`<1>[    9.089289] BUG: kernel NULL pointer dereference, address: 0000000000000010
<1>[    9.089787] #PF: supervisor write access in kernel mode
<1>[    9.092176] #PF: error_code(0x0002) - not-present page
<6>[    9.092501] PGD 1feb6067 P4D 1feb6067 PUD 1feb5067 PMD 0 
<4>[    9.093080] Oops: 0002 [#1] PREEMPT SMP NOPTI
<4>[    9.094188] CPU: 0 PID: 84 Comm: crasher Tainted: G      D    OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
<4>[    9.096337] Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2 04/01/2014
<4>[    9.096916] RIP: 0010:null_write+0x5/0x20 [rebound_crash]
<4>[    9.100671] Code: Unable to access opcode bytes at 0xffffffffc0200fdb.
<4>[    9.101109] RAX: ffffffffc0201000 RBX: 0000000000000010 RCX: 0000000000000000
<4>[    9.105637] Call Trace:
<4>[    9.106810]  <TASK>
<4>[    9.108609]  ? fail+0xbf/0x100 [rebound_crash]
<4>[    9.110597]  proc_reg_write+0x56/0xa0
<4>[    9.215509] RIP: 0033:0x47fbe9
<4>[    9.215702] Code: 08 89 e8 5b 5d c3 66 2e 0f 1f 84 00 00 00 00 00 90 48 89 f8 48 89 f7 48 89 d6 48 89 ca 4d 89 c2 <48> 3d 01
<4>[    9.215990] RSP: 002b:00007fff0604e1c8 EFLAGS: 00000246 ORIG_RAX: 0000000000000139
<4>[    9.124975]  </TASK>
<4>[    9.125177] Modules linked in: rebound_crash(OE)
<4>[    9.126429] CR2: 0000000000000010
<4>[    9.128313] ---[ end trace 0000000000000000 ]---
<4>[    9.132244] RIP: 0010:null_write+0x5/0x20 [rebound_crash]
<6>[    9.132900] note: crasher[84] exited with irqs disabled`,
			`<1>BUG: kernel NULL pointer dereference, address: #
<1>#PF: supervisor write access in kernel mode
<1>#PF: error_code(0x0002) - not-present page
<6>PGD #
<4>Oops: 0002 [#] PREEMPT SMP NOPTI
<4>CPU: # Comm: # Tainted: D
<4>Hardware name: #
<4>registers
<4>Call Trace:
<4><TASK>
<4></TASK>
<4>Modules linked in: #
<4>CR2: #
<4>---[ end trace 0000000000000000 ]---
<4>registers
<6>note: #[#] exited with irqs disabled`,
		},
		{
			"the idle task, in an interrupt",
			`<4>[    5.582026] CPU: 0 PID: 0 Comm: swapper/0 Kdump: loaded Tainted: G           OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
<4>[    5.593810] Call Trace:
<4>[    5.595130]  <IRQ>
<4>[    5.595607]  call_timer_fn+0x27/0x130
<4>[    5.596700]  ? 0xffffffffc043d000
<4>[    5.598377]  </IRQ>
<0>[    5.609045] Kernel panic - not syncing: Fatal exception in interrupt`,
			`<4>CPU: # Comm: swapper Kdump: loaded Not tainted
<4>Call Trace:
<4><IRQ>
<4></IRQ>
<0>Kernel panic - not syncing: Fatal exception in interrupt`,
		},
		{
			"programs, other parts of the kernel, and what is no line of a log",
			`SeaBIOS (version 1.16.2-debian-1.16.2-1)
<8>[    2.0] rebound-kernels: ready first
<6>[    2.406374] tsc: Refined TSC clocksource calibration: 2100.001 MHz
<4>[    2.9] clocksource: timekeeping watchdog on CPU0: hpet wd-wd read-back delay of 45337860ns
<6>[    3.0] sysrq: Trigger a crash`,
			`<6>sysrq: Trigger a crash`,
		},
		{
			"taints of 6.12",
			`<4>[    1.0] CPU: 0 UID: 0 PID: 1 Comm: init Tainted: G      D W  OE      6.12.117+deb12-amd64 #1  Debian 6.12.117-1~deb12u1
<4>[    1.1] Tainted: [D]=DIE, [W]=WARN, [O]=OOT_MODULE, [E]=UNSIGNED_MODULE
<4>[    1.2] Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE`,
			`<4>CPU: # Comm: init Tainted: DW
<4>Tainted: [D]=DIE, [W]=WARN`,
		},
		{
			"memory, when there is none",
			`<4>[   1.0] sh invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
<4>[   1.1] Mem-Info:
<4>[   1.2] active_anon:0 inactive_anon:92 isolated_anon:0
<4>[   1.3] Node 0 DMA free:1844kB boost:0kB min:84kB
<0>[   1.4] Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled`,
			`<4># invoked oom-killer: #
<4>Mem-Info:
<0>Kernel panic - not syncing: Out of memory: system-wide panic_on_oom is enabled`,
		},
		{
			"arm64 says what the exception was",
			`<1>[   1.0] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
<1>[   1.1]   ESR = 0x0000000096000044
<1>[   1.2] user pgtable: 4k pages, 48-bit VAs, pgdp=0000000043c5a000
<1>[   1.3] [0000000000000010] pgd=0000000000000000, p4d=0000000000000000
<0>[   1.4] Internal error: Oops: 0000000096000044 [#1] SMP
<4>[   1.5] pstate: 60000005 (nZCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
<4>[   1.6] pc : null_write+0x8/0x20 [rebound_crash]
<4>[   1.7] x29: ffff80000a4fbc10 x28: ffff000003c3d100 x27: 0000000000000000 
<4>[   1.8] Call trace:
<4>[   1.9]  null_write+0x8/0x20 [rebound_crash]
<0>[   2.0] Code: d503201f d503233f d2800200 52800021 (b9000001) `,
			`<1>Unable to handle kernel NULL pointer dereference at virtual address #
<1>  ESR = 0x000000009600004#
<1>user pgtable: 4k pages, 48-bit VAs, pgdp=#
<1>[#] pgd=#
<0>Internal error: Oops: 000000009600004# [#] SMP
<4>registers
<4>Call trace:
<0>Code: #`,
		},
	} {
		if diff := cmp.Diff(c.want, normalText(c.console)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// The model's lines go through the same mill, and recordings may go through it twice.
func TestNormalTwiceIsNormal(t *testing.T) {
	for _, line := range []Line{
		{4, "CPU: 0 PID: 84 Comm: init Tainted: G      D W         6.1.0-56-amd64 #1  Debian 6.1.192-2"},
		{0, "Kernel Offset: 0x1ec00000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-0xffffffffbfffffff)"},
		{3, "INFO: task crasher:85 blocked for more than 4 seconds."},
		{0, "watchdog: BUG: soft lockup - CPU#1 stuck for 8s! [rebound-crash:90]"},
		{3, "rcu: \t1-....: (1138 ticks this GP) idle=737c/1/0x4000000000000000 softirq=293/296 fqs=591"},
	} {
		once := normal([]Line{line})
		if len(once) != 1 {
			t.Errorf("%q became %q", line.Text, once)
			continue
		}
		text := strings.TrimPrefix(once[0], once[0][:3])
		twice := normal([]Line{{line.Level, text}})
		if len(twice) != 1 || twice[0] != once[0] {
			t.Errorf("%q:\n once %q\ntwice %q", line.Text, once, twice)
		}
	}
}

func TestRecordingsReadBack(t *testing.T) {
	want := Recording{
		Release: "6.1.0-56-amd64", Ended: endReset, Left: []string{"dmesg-ramoops-0: Panic#1 Part1"},
		Lines: []string{
			"<0>[    1.000000] Kernel panic - not syncing: sysrq triggered crash",
			"<4>[    1.000000]  panic+0x118/0x2f4",
		},
	}
	kept := want
	kept.Lines = append(want.Lines[:2:2], "<4>[    1.000000]  ? _printk+0x68/0x83")
	got, err := parseRecording(kept.format())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("read back (%v) (-want +got):\n%s", err, diff)
	}
	if _, err := parseRecording("kernel 6.1\n\n"); err == nil {
		t.Error("a head without names was read")
	}
}

func TestCellsAreNamedOnceAndKnowTheirKernels(t *testing.T) {
	known, seen := map[string]bool{}, map[string]bool{}
	for _, k := range kernels() {
		known[k.Name] = true
	}
	for _, c := range cells() {
		if seen[c.Name] {
			t.Errorf("cell %s is there twice", c.Name)
		}
		seen[c.Name] = true
		if (c.Boot == "") == (len(c.How) == 0) {
			t.Errorf("cell %s: want something to do, or a boot that fails", c.Name)
		}
		for _, k := range c.Kernels {
			if !known[k] {
				t.Errorf("cell %s: unknown kernel %s", c.Name, k)
			}
		}
	}
	for name, least := range map[string]int{"6.1-amd64": 30, "6.1-arm64": 12, "6.12-amd64": 12} {
		n := 0
		for _, k := range kernels() {
			if k.Name == name {
				n = len(cellsOf(k))
			}
		}
		if n < least {
			t.Errorf("%s has %d cells, want %d at least", name, n, least)
		}
	}
}

// TestNMIOfAnInterrupt: whether an NMI has come in an interrupt is by chance, and in others it counts.
func TestNMIOfAnInterrupt(t *testing.T) {
	lines := func(texts ...string) []Line {
		var all []Line
		for _, text := range texts {
			all = append(all, Line{4, text})
		}
		return all
	}
	in := normal(lines("Call Trace:", " <NMI>", " </NMI>", " <IRQ>", " </IRQ>", " <TASK>", " </TASK>", "end"))
	out := normal(lines("Call Trace:", " <NMI>", " </NMI>", " <TASK>", " </TASK>", "end"))
	if !slices.Equal(in, out) {
		t.Errorf("in an interrupt %q, else %q", in, out)
	}
	if got := normal(lines("Call Trace:", " <IRQ>", " </IRQ>", " <TASK>", " </TASK>")); len(got) != 5 {
		t.Errorf("without an NMI: got %q", got)
	}
}

// TestWhomAnNMIMeets is by chance.
func TestWhomAnNMIMeets(t *testing.T) {
	met := func(before, comm string) string {
		lines := normal([]Line{{0, before}, {4, "CPU: 0 PID: 1 Comm: " + comm + " Not tainted 6.1.0 #1"}})
		return lines[len(lines)-1]
	}
	const nmi = "Uhhuh. NMI received for unknown reason 21 on CPU 0."
	if a, b := met(nmi, "init"), met(nmi, "swapper/0"); a != b {
		t.Errorf("got %q and %q", a, b)
	}
	if a, b := met("Kernel panic - not syncing: x", "init"), met("Kernel panic - not syncing: x", "swapper/0"); a == b {
		t.Errorf("without an NMI: got %q twice", a)
	}
}

func TestChance(t *testing.T) {
	a, b := Outcome{Lines: []string{"x", "perhaps", "y"}}, Outcome{Lines: []string{"x", "y"}}
	chance := []string{"perhaps"}
	if differs(a, b) == "" || differs(a.without(chance), b.without(chance)) != "" || len(a.Lines) != 3 {
		t.Errorf("got %q, %q", differs(a, b), differs(a.without(chance), b.without(chance)))
	}
}

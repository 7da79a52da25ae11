package panicwatch_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/panicwatch"
)

// counts is how often each kind was recognised.
type counts [panicwatch.Nothing]int

// String leaves out what was not.
func (c counts) String() string {
	var s []string
	for k, n := range c {
		if n > 0 {
			s = append(s, fmt.Sprintf("%v %d", panicwatch.Kind(k), n))
		}
	}
	return strings.Join(s, ", ")
}

// add counts a line of the kernel's own as the follower does.
func (c *counts) add(line string) {
	kind, _ := panicwatch.Recognise([]byte(line))
	if kind == panicwatch.Nothing {
		return
	}
	c[kind]++
	if kind == panicwatch.Bug && panicwatch.Died([]byte(line)) {
		c[panicwatch.Oops]++
	}
}

// is makes counts of kinds, one each.
func is(kinds ...panicwatch.Kind) (c counts) {
	for _, k := range kinds {
		c[k]++
	}
	return c
}

// reports are how often a kernel reports something in a recording or a play, told from what stands
// in the middle of its reports. What is no report of one of the kinds is not listed.
var reports = []struct {
	kind panicwatch.Kind
	line *regexp.Regexp
}{
	{panicwatch.Lockup, regexp.MustCompile(`soft lockup - CPU#\d+ stuck for \d+s!|` +
		`soft lockup detected on CPU#\d+!|hard LOCKUP on cpu \d+$`)},
	{panicwatch.RCUStall, regexp.MustCompile(`INFO: rcu_\S+ (self-detected stall|detected stalls) on CPU`)},
}

// what a failure of a name is to be recognised as, in a recording or in the model. Lockups and stalls
// are reported as long as they last.
func expected(name string, lines []string) (c counts) {
	for _, r := range reports {
		for _, l := range lines {
			if r.line.MatchString(l) {
				c[r.kind]++
			}
		}
	}
	words := strings.Split(name, "-")
	all := strings.Join(lines, "\n")
	switch {
	case name == "oops-limit-2":
		c[panicwatch.Oops] += 2
	case words[0] == "oops", name == "ramoops-oops-then-panic", name == "ramoops-panic-only",
		strings.HasPrefix(name, "kdump-oops"), words[0] == "bad", name == "read-only",
		name == "bus-error",
		// On arm64 it is a panic at once.
		name == "stack-overflow" && !strings.Contains(all, "Insufficient stack space"),
		// Before 5.0 the key makes an oops.
		name == "sysrq-c" && strings.Contains(all, "[#1]"):
		c[panicwatch.Oops]++
	case name == "bug-off": // a BUG() of a kernel without any
	case words[0] == "bug":
		c[panicwatch.Bug]++
		// A kernel without an instruction for it panics at once.
		if name != "bug-generic" {
			c[panicwatch.Oops]++
		}
		// On arm64 the idle task complains of one in a process.
		if strings.Contains(all, "kernel/context_tracking.c") || strings.Contains(all, "kernel/rcu/tree.c") {
			c[panicwatch.Warn]++
		}
	case name == "warn-limit-2":
		c[panicwatch.Warn] += 2
	case words[0] == "warn", name == "panic_on_warn",
		// arm64 complains of CPUs that do not stop for the crash kernel.
		strings.Contains(all, "Some CPUs may be stale"):
		c[panicwatch.Warn]++
	case strings.HasPrefix(name, "schedule-atomic"):
		c[panicwatch.Bug]++
	case strings.HasPrefix(name, "hung-task") && strings.Contains(all, "blocked for more than"):
		c[panicwatch.HungTask]++
	}
	return c
}

// stamped is a line of a recording: level, time, text.
var stamped = regexp.MustCompile(`^<(\d+)>\[ *[0-9.]+\] (.*)$`)

// kernelLines are the lines of a recorded console that the kernel itself has written.
func kernelLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(b)) {
		// The number has the facility in its upper bits.
		if m := stamped.FindStringSubmatch(strings.TrimSuffix(l, "\n")); m != nil && len(m[1]) == 1 &&
			m[1] < "8" {
			lines = append(lines, m[2])
		}
	}
	return lines
}

// TestRecordedConsoles: in what real kernels have said when they failed, each report is recognised,
// once, and as what it is.
func TestRecordedConsoles(t *testing.T) {
	files, err := filepath.Glob("../../test/kernels/testdata/*/*.txt")
	if err != nil || len(files) < 200 {
		t.Fatalf("recordings: got %d, %v", len(files), err)
	}
	seen := counts{}
	for _, file := range files {
		lines := kernelLines(t, file)
		var got counts
		for _, l := range lines {
			got.add(l)
		}
		want := expected(strings.TrimSuffix(filepath.Base(file), ".txt"), lines)
		if got != want {
			t.Errorf("%s:\ngot  %v\nwant %v", file, got, want)
		}
		for k, n := range got {
			seen[k] += n
		}
	}
	for k := range panicwatch.Taint {
		if seen[k] == 0 {
			t.Errorf("no recording has %v", k)
		}
	}
}

// TestRecordedBoots: nothing is recognised in the boot of a kernel that is well.
func TestRecordedBoots(t *testing.T) {
	files, err := filepath.Glob("testdata/boot-*.txt")
	if err != nil || len(files) != 3 {
		t.Fatalf("recordings: got %d, %v; want 3", len(files), err)
	}
	for _, file := range files {
		lines := kernelLines(t, file)
		if len(lines) < 150 {
			t.Errorf("%s: got %d lines", file, len(lines))
		}
		for _, l := range lines {
			if kind, _ := panicwatch.Recognise([]byte(l)); kind != panicwatch.Nothing {
				t.Errorf("%s: %v: %s", file, kind, l)
			}
		}
	}
}

// TestModelConsoles: the same for all failures of all kernels of the model, which has older and newer
// ones than could be recorded.
func TestModelConsoles(t *testing.T) {
	seen := counts{}
	for _, f := range crash.Failures() {
		for _, k := range f.Kernels {
			r, err := crash.Play(crash.Spec{
				Kernel: k, CPUs: 2, Failure: f.Name, Cmdline: "sysctl.kernel.nmi_watchdog=1",
			})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			var got counts
			for _, l := range r.Lines {
				lines = append(lines, l.Text)
				got.add(l.Text)
			}
			if want := expected(f.Name, lines); got != want {
				t.Errorf("%s of %s:\ngot  %v\nwant %v\n%s", f.Name, k, got, want, strings.Join(lines, "\n"))
			}
			for k, n := range got {
				seen[k] += n
			}
		}
	}
	for k := range panicwatch.Taint {
		if seen[k] == 0 {
			t.Errorf("no failure has %v", k)
		}
	}
}

// TestRecognise: lines that neither a recording nor the model has, and those that look like one.
func TestRecognise(t *testing.T) {
	for _, c := range []struct {
		line string
		want counts
	}{
		{"general protection fault, probably for non-canonical address 0xdead000000000000: 0000 [#1] SMP NOPTI", is(panicwatch.Oops)},
		{"general protection fault: 0000 [#1] SMP", is(panicwatch.Oops)},
		{"kernel stack overflow (double-fault): 0000 [#1] SMP", is(panicwatch.Oops)},
		{"divide error: 0000 [#2] PREEMPT SMP PTI", is(panicwatch.Oops)},
		{"Oops: general protection fault, kernel NULL pointer dereference 0x8: 0000 [#1] SMP NOPTI", is(panicwatch.Oops)},
		{"Oops [#1]", is(panicwatch.Oops)},       // RISC-V
		{"Kernel BUG [#1]", is(panicwatch.Oops)}, // RISC-V, behind "kernel BUG at"
		{"Oops[#1]:", is(panicwatch.Oops)},       // MIPS
		{"Internal error: Oops - undefined instruction: 0 [#1] SMP ARM", is(panicwatch.Oops)},
		{"Kernel bug detected[#1]:", is(panicwatch.Bug, panicwatch.Oops)},
		{"BUG: Bad page state in process sh  pfn:12345", is(panicwatch.Bug)},
		{"BUG: KASAN: slab-out-of-bounds in f+0x10/0x20", is(panicwatch.Bug)},
		{"BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 32s!", is(panicwatch.Lockup)},
		{"NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [sh:123]", is(panicwatch.Lockup)},
		{"NMI watchdog: Watchdog detected hard LOCKUP on cpu 2", is(panicwatch.Lockup)},
		{"watchdog: CPU2: Watchdog detected hard LOCKUP on cpu 2", is(panicwatch.Lockup)},
		{"INFO: task a b c:12 blocked in I/O wait for more than 122 seconds.", is(panicwatch.HungTask)},
		{"rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-.... } 5292 jiffies s: 1 root: 0x2/.", is(panicwatch.RCUStall)},
		{"INFO: rcu_sched self-detected stall on CPU", is(panicwatch.RCUStall)},

		// What only introduces an oops, or belongs to a report.
		{"BUG: kernel NULL pointer dereference, address: 0000000000000010", is()},
		{"BUG: unable to handle page fault for address: ffffffffc0200fdb", is()},
		{"BUG: IRQ stack guard page was hit at (____ptrval____) (stack is (____ptrval____)..(____ptrval____))", is()},
		{"Unable to handle kernel paging request at virtual address ffffff000dead000", is()},
		{"------------[ cut here ]------------", is()},
		{"---[ end trace 0000000000000000 ]---", is()},
		{"rcu: rcu_preempt kthread starved for 5250 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)", is()},
		{"INFO: task sh:12 <reader> blocked on an rw-semaphore likely owned by task cp:13", is()},
		{"Kernel panic - not syncing: Oops: Fatal exception", is()},
		{"watchdog: Delayed init of the lockup detector failed: -19", is()},
		{"WARNING: possible circular locking dependency detected", is()},
		{"WARNING: kernel stack regs at 0 in sh:1 has bad 'bp' value 0", is()},
		{"INFO: lockdep is turned off.", is()},

		// What somebody outside of the kernel chooses stands in the middle: the name of a
		// device, of a program, of a file system.
		{"usb 1-1: Product: Oops: 0002 [#1] SMP", is()},
		{"usb 1-1: Product: x: 0000 [#1] SMP", is()},
		{"usb 1-1: Manufacturer: kernel BUG at x.c:1!", is()},
		{"int3 x: [#1]", is()},
		{"EXT4-fs (WARNING: at x): mounted filesystem with ordered data mode", is()},
		{"Oops, a program has said", is()},
		{"", is()},
		{"[#1]", is()},
		{": 0000 [#1]", is()},
	} {
		var got counts
		got.add(c.line)
		if got != c.want {
			t.Errorf("%s:\ngot  %v\nwant %v", c.line, got, c.want)
		}
	}
}

// FuzzRecognise: no line is too odd, and only the beginning decides which lines can be any kind at
// all.
func FuzzRecognise(f *testing.F) {
	f.Add("BUG: soft lockup - CPU#0 stuck for 22s! [sh:1]")
	f.Add("invalid opcode: 0000 [#1] SMP")
	f.Add("x: [#1]")
	f.Fuzz(func(t *testing.T, line string) {
		kind, opens := panicwatch.Recognise([]byte(line))
		if kind > panicwatch.Nothing {
			t.Errorf("%q: kind %d", line, kind)
		}
		after, opensAfter := panicwatch.Recognise([]byte("usb 1-1: " + line))
		if after != panicwatch.Nothing || opensAfter {
			t.Errorf("%q behind something else: %v", line, after)
		}
		if opens && kind != panicwatch.Nothing && kind != panicwatch.Bug {
			t.Errorf("%q: %v opens an oops", line, kind)
		}
	})
}

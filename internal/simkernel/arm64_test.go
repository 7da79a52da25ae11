package simkernel

import (
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/esr"
)

// shapes are what is left of lines without what differs from oops to oops: numbers, symbols, frames.
func shapes(lines []string) []string {
	cut := regexp.MustCompile(`^(CPU: |pc : |lr : |note: ).*?( exited.*)?$`)
	offset := regexp.MustCompile(`\+0x[0-9a-f]+/0x[0-9a-f]+`)
	flags := regexp.MustCompile(`(?i)\(nzcv`)
	// Whether interrupts are masked, and whether the processor has PAN, is not the model's.
	features := regexp.MustCompile(`(\(nzcv) \w{4} .PAN`)
	hex := regexp.MustCompile(`\b(0x)?[0-9a-f]{8,16}\b`)
	var all []string
	for _, l := range lines {
		if strings.HasPrefix(l, " ") && strings.Contains(l, "+0x") {
			continue
		}
		l = flags.ReplaceAllString(cut.ReplaceAllString(l, "$1$2"), "(nzcv")
		l = offset.ReplaceAllString(features.ReplaceAllString(l, "$1"), "+#")
		all = append(all, hex.ReplaceAllString(l, "#"))
	}
	return all
}

// TestRecordedARM64Oops plays the oops that a 6.1 kernel was seen to have, line by line
// [Kernel 4.28, 4.45].
func TestRecordedARM64Oops(t *testing.T) {
	text, err := os.ReadFile("esr/testdata/oops-6.1.log")
	if err != nil {
		t.Fatal(err)
	}
	stamp := regexp.MustCompile(`(?m)^\[ *[0-9.]+\] `)
	want := strings.Split(strings.TrimSuffix(stamp.ReplaceAllString(string(text), ""), "\n"), "\n")
	c := caseOf{
		kernels: []string{"linux-6.1-arm64"},
		cfg:     Config{Panic: PanicConfig{Modules: []string{"lab(OE+)"}}},
		steps:   []Step{Oops{How: abort(esr.DAbort, 0x46, 0x30)}},
	}
	c.play(t, func(t *testing.T, f *fate) {
		said := make([]string, len(f.said))
		for i, s := range f.said {
			said[i] = s[len("0 "):]
		}
		// What comes after that line is the end of the test.
		const last = "---[ end trace 0000000000000000 ]---"
		wantEqual(t, "lines", shapes(said[:slices.Index(said, last)+1]), shapes(want))
		wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
	})
}

// TestRecordedBRK plays a BRK that nobody knows, the note and the warning that it left [Kernel 4.40, 4.48].
func TestRecordedBRK(t *testing.T) {
	text, err := os.ReadFile("esr/testdata/brk-6.1.log")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	// It was not the first oops of that machine.
	for i := range want {
		want[i] = strings.Replace(want[i], "[#14]", "[#1]", 1)
	}
	caseOf{
		kernels: []string{"linux-6.1-arm64"},
		cfg:     Config{Panic: PanicConfig{Modules: []string{"esrlab(OE)"}}},
		steps:   []Step{Oops{How: abort(esr.BRK64, 1, 0)}},
	}.play(t, func(t *testing.T, f *fate) {
		var said []string
		for _, s := range f.said[:min(len(f.said), len(want))] {
			said = append(said, s[len("0 "):])
		}
		wantEqual(t, "lines", shapes(said), shapes(want))
	})
}

// TestARM64DieStopped: who stops the die chain saves the task, but not the machine [Kernel 4.46].
func TestARM64DieStopped(t *testing.T) {
	stops := PanicConfig{DieNotifiers: []Notifier{{Name: "d", Returns: NotifyStop}}}
	for _, test := range []struct {
		kernels  []string
		panics   string // kernel.panic_on_oops
		want     string // the panic
		printed  bool
		survives bool
	}{
		{armKernels, "0", "", false, true},
		{armKernels, "1", "Oops: Fatal exception", false, false},
		{[]string{"linux-6.1-x86_64"}, "1", "", true, true},
	} {
		caseOf{
			kernels: test.kernels, steps: []Step{Oops{How: NullWrite{}}},
			cfg: Config{Panic: stops, Cmdline: "sysctl.kernel.panic_on_oops=" + test.panics},
		}.play(t, func(t *testing.T, f *fate) {
			if test.survives {
				wantStatus(t, f, 0)
			} else {
				wantPanic(t, f, test.want)
			}
			printed := slices.ContainsFunc(f.said, func(s string) bool {
				return strings.Contains(s, "Modules linked in:")
			})
			wantEqual(t, "printed", printed, test.printed)
		})
	}
}

// TestARM64Signal: every oops ends its task by SIGSEGV [Kernel 4.47].
func TestARM64Signal(t *testing.T) {
	for _, how := range []Failure{
		NullWrite{},
		BugCall{},
		abort(esr.Unknown, 0, 0), abort(esr.BTI, 0, 0),
		abort(esr.DAbort, 0x10, 8), abort(esr.BRK64, 1, 0),
	} {
		fails(how, "", func(t *testing.T, f *fate) {
			wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
		})(t)
	}
	caseOf{kernels: []string{"linux-6.1-x86_64"}, steps: []Step{Oops{How: NullWrite{}}}}.play(t,
		func(t *testing.T, f *fate) { wantStatus(t, f, kernel.WaitStatus(syscall.SIGKILL)) })
}

// TestBadAccessOnARM64: what a driver does wrong, as the processor says it.
func TestBadAccessOnARM64(t *testing.T) {
	for _, test := range []struct {
		how  Failure
		want []string
	}{
		{BadPointer{Addr: 0xdead000000000100, Reads: true}, []string{
			"1 Unable to handle kernel paging request at virtual address dead000000000100",
			"1   CM = 0, WnR = 0",
			"1 [dead000000000100] address between user and kernel address ranges",
		}},
		{BadPointer{Addr: 0xffff800008123456}, []string{
			"1 Unable to handle kernel paging request at virtual address ffff800008123456",
			"1   CM = 0, WnR = 1",
			"1 swapper pgtable: 4k pages, 48-bit VAs, pgdp=0000000040000000",
		}},
		{BadPointer{Executes: true}, []string{
			"1 Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
			"1   EC = 0x21: IABT (current EL), IL = 32 bits",
			"1 user pgtable: 4k pages, 48-bit VAs, pgdp=0000000040000000",
			"0 Code: bad PC value",
		}},
	} {
		fails(test.how, "", func(t *testing.T, f *fate) { wantSaid(t, f, test.want...) })(t)
	}
}

// TestWalkFitsTheStatus: the tables end where the register says that there is nothing more.
func TestWalkFitsTheStatus(t *testing.T) {
	for status, last := range map[uint32]string{
		4: "pgd=0000000000000000, p4d=0000000000000000", 5: "pud=0000000000000000", 6: "pmd=0000000000000000",
		7: "pte=0000000000000000", 0xf: "pte=0068000040002f93", 0x30: "pte=0068000040002f93",
	} {
		fails(abort(esr.DAbort, status, 0xffff800008000000), "", func(t *testing.T, f *fate) {
			if !slices.ContainsFunc(f.said, func(s string) bool { return strings.HasSuffix(s, last) }) {
				t.Errorf("status %#x: want %q at the end, said %q", status, last, f.said)
			}
		})(t)
	}
}

// TestExceptionsElsewhere: no other machine knows them.
func TestExceptionsElsewhere(t *testing.T) {
	caseOf{kernels: []string{"linux-6.1-x86_64", "linux-3.10-arm"}, steps: []Step{Oops{How: toNull}}}.play(t,
		func(t *testing.T, f *fate) {
			wantStatus(t, f, 0)
			wantUnsaid(t, f, "Unable to handle")
		})
}

// TestMachineCheckTaint: 6.1 remembers that the hardware has failed.
func TestMachineCheckTaint(t *testing.T) {
	fails(abort(esr.DAbort, 0x10, 8), "", func(t *testing.T, f *fate) {
		wantEqual(t, "tainted", f.isTainted(taintMachineCheck), f.kernel.name == "linux-6.1-arm64")
	})(t)
}

// TestBRKLeavesRCUBehind: the first task that dies of a BRK is followed by a warning of the idle task
// [Kernel 4.48].
func TestBRKLeavesRCUBehind(t *testing.T) {
	where := map[string]string{
		"linux-5.10-arm64": "WARNING: CPU: 0 PID: 0 at kernel/rcu/tree.c:625 rcu_eqs_enter.constprop.0",
		"linux-6.1-arm64":  "WARNING: CPU: 0 PID: 0 at kernel/context_tracking.c:128 ct_kernel_exit.constprop.0",
	}
	warnings := func(f *fate) int {
		n := 0
		for _, s := range f.said {
			if strings.HasPrefix(s[2:], where[f.kernel.name]) {
				n++
			}
		}
		return n
	}
	for _, how := range []Failure{BugCall{}, abort(esr.BRK64, 1, 0)} {
		c := caseOf{kernels: armKernels, steps: []Step{Oops{How: how}}, second: []Step{Oops{How: how}}}
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "warnings", warnings(f), 1)
			notes := 0
			for _, s := range f.said {
				if strings.HasSuffix(s, " exited with irqs disabled") {
					notes++
				}
			}
			wantEqual(t, "notes", notes == 2, f.kernel.name == "linux-6.1-arm64")
			wantEqual(t, "lived", f.lived(), true)
		})
	}
	// Of no other oops, and not if the task has been saved.
	for _, how := range []Failure{NullWrite{}, abort(esr.Unknown, 0, 0), WarnCall{}} {
		fails(how, "", func(t *testing.T, f *fate) { wantEqual(t, "warnings", warnings(f), 0) })(t)
	}
	stops := PanicConfig{DieNotifiers: []Notifier{{Name: "d", Returns: NotifyStop}}}
	failsIn(Config{Panic: stops}, Oops{How: BugCall{}}, func(t *testing.T, f *fate) {
		wantStatus(t, f, 0)
		wantEqual(t, "warnings", warnings(f), 0)
	})(t)
	fails(BugCall{}, "sysctl.kernel.warn_limit=1", func(t *testing.T, f *fate) {
		wantPanic(t, f, "kernel: system warned too often (kernel.warn_limit is 1)")
	})(t)
}

// TestARM64StackOverflow is seen before there is an exception to handle, and SErrors and what nobody
// expects are the end, too.
func TestARM64StackOverflow(t *testing.T) {
	fails(StackOverflow{}, "", func(t *testing.T, f *fate) {
		saidInOrder(t, f, "Insufficient stack space to handle exception!", "ESR: ", "FAR: ",
			"Task stack:     [", "IRQ stack:      [", "Overflow stack: [", "CPU: ", "pstate: ", "x",
			"Kernel panic - not syncing: kernel stack overflow", "CPU: ", "Call trace:")
		wantPanic(t, f, "kernel stack overflow")
	})(t)
}

// TestAnyException lets machines take exceptions at random: whatever they are, the machine goes on or
// ends, within a minute, and the same way twice.
func TestAnyException(t *testing.T) {
	const plays = 400
	play := func(name string, seed uint64) (End, []LogLine) {
		r := rand.New(rand.NewPCG(seed, 4))
		cfg := Config{Kernel: name, Until: time.Minute, Seed: seed + 1, Reboot: RebootConfig{CPUs: 1 + r.IntN(2)}}
		if r.IntN(4) == 0 {
			cfg.Cmdline = "oops=panic"
		}
		if r.IntN(4) == 0 {
			cfg.Panic.DieNotifiers = []Notifier{{Name: "d", Returns: NotifyStop}}
		}
		cfg.Programs = programs(map[string][]Step{"p": {Pause{}}})
		m := New(cfg)
		for i := range 3 {
			e := Exception{
				Vector: esr.Vector{Source: esr.Source(r.IntN(4)), Reason: esr.Reason(r.IntN(4))},
				Access: esr.Access{
					FAR: r.Uint64() >> r.IntN(64), Fixup: r.IntN(4) == 0, Mapped: r.IntN(4) == 0,
					Spurious: r.IntN(8) == 0, Area: r.IntN(2) == 0, Claimed: r.IntN(4) == 0,
				},
				Break: esr.Breakpoint(r.IntN(3)), RAS: r.IntN(2) == 0,
			}
			class := esr.Class(r.IntN(64))
			if r.IntN(4) > 0 {
				// What nobody expects ends most machines: let it be seldom.
				e.Vector = esr.Vector{Source: []esr.Source{esr.Kernel, esr.User}[r.IntN(2)]}
				class = []esr.Class{
					esr.DAbort, esr.IAbort, esr.DAbortLower, esr.IAbortLower, esr.BRK64, esr.Watch,
				}[r.IntN(6)]
			}
			e.ESR = esr.New(class, r.IntN(2) == 0, r.Uint32(), r.Uint32())
			at := Fail{How: e, CPU: r.IntN(cfg.Reboot.CPUs), Name: "p"}
			if r.IntN(4) == 0 {
				at.Name, at.In = "", Interrupt(r.IntN(4))
			}
			m.At(time.Duration(i+1)*time.Second, at)
		}
		end := m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			return idle(k)
		})
		return end, m.Log()
	}
	ends := make(map[How]int)
	for _, name := range armKernels {
		for seed := range uint64(plays) {
			end, said := play(name, seed)
			again, saidAgain := play(name, seed)
			if end != again || !slices.Equal(said, saidAgain) {
				t.Fatalf("%s, seed %d: two plays differ:\n%+v\n%+v", name, seed, end, again)
			}
			ends[end.How]++
		}
	}
	// Some end, and on some there is just nothing more to happen.
	if ends[Panicked] < plays/4 || ends[Stuck] < plays/4 || ends[Panicked]+ends[Stuck] != 2*plays {
		t.Errorf("ends: %v", ends)
	}
}

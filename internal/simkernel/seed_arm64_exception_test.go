package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/esr"
)

// claim is something that the document says, in our own words.
type claim struct {
	at   string // where in the document
	says string
	// but is what is not so, or only sometimes; the test shows how it is.
	but  string
	test func(t *testing.T)
}

// armKernels are the arm64 kernels of the model. The document's own is between them: it has the
// vectors of 5.14, and still the words of 5.10 for a fault that nobody handles.
var armKernels = []string{"linux-5.10-arm64", "linux-6.1-arm64"}

// TestExceptionsOnARM64 walks a description of exceptions, oops and panic on arm64 from its first
// claim to its last.
func TestExceptionsOnARM64(t *testing.T) {
	for _, c := range slices.Concat(claimsOfErrors, claimsOfRegister, claimsOfHandling, claimsOfDie,
		claimsOfPanic, claimsByHand) {
		name := c.at + " " + c.says
		if c.but != "" {
			name += " (but " + c.but + ")"
		}
		t.Run(name, c.test)
	}
}

// fails lets a process of an arm64 machine fail in the kernel, and checks what becomes of it.
func fails(how Failure, cmdline string, check func(t *testing.T, f *fate)) func(t *testing.T) {
	return failsIn(Config{Cmdline: cmdline}, Oops{How: how}, check)
}

func failsIn(cfg Config, step Step, check func(t *testing.T, f *fate)) func(t *testing.T) {
	return func(t *testing.T) {
		caseOf{cfg: cfg, kernels: armKernels, steps: []Step{step}}.play(t, check)
	}
}

// onIRQ lets the kernel fail in an interrupt after two seconds.
func onIRQ(how Failure, check func(t *testing.T, f *fate)) func(t *testing.T) {
	return func(t *testing.T) {
		caseOf{kernels: armKernels, at: []Action{Fail{In: InHardIRQ, How: how}}}.play(t, check)
	}
}

// wantStatus checks how the process has ended, and that the machine has not.
func wantStatus(t *testing.T, f *fate, status kernel.WaitStatus) {
	t.Helper()
	if !f.lived() {
		t.Errorf("the machine has ended: %+v", f.end)
	}
	wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{status})
}

// wantPanic checks that the kernel has panicked, and of what.
func wantPanic(t *testing.T, f *fate, text string) {
	t.Helper()
	want := "Kernel panic - not syncing: " + text
	if f.end.How != Panicked || f.end.Text != want {
		t.Errorf("got %v %q, want a panic, %q", f.end.How, f.end.Text, want)
	}
}

// abort is an access of the kernel's that fails.
func abort(class esr.Class, iss uint32, far uint64) Exception {
	return Exception{Access: esr.Access{ESR: esr.New(class, true, iss, 0), FAR: far}}
}

// toNull writes to address 0x30.
var toNull = abort(esr.DAbort, 0x46, 0x30)

var claimsOfErrors = []claim{
	{
		"1", "hardware finds an access to bad memory, and the kernel is told by an exception", "",
		fails(toNull, "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 Internal error: Oops: 0000000096000046 [#1] SMP")
		}),
	},
	{
		"1", "it finds an instruction that is none, too", "",
		fails(abort(esr.Unknown, 0, 0), "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 Internal error: Oops - Undefined instruction: 0000000002000000 [#1] SMP")
		}),
	},
	{
		"1", "code that knows no way on calls for the end itself, as an oops", "",
		fails(BugCall{}, "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 Internal error: Oops - BUG: 00000000f2000800 [#1] SMP")
			wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
		}),
	},
	{
		"1", "or as a panic", "",
		fails(PanicCall{"no way on"}, "", func(t *testing.T, f *fate) { wantPanic(t, f, "no way on") }),
	},
	{
		"1", "a panic tells those on its chain, prints, and in the end hangs", "",
		failsIn(Config{Panic: PanicConfig{Notifiers: []Notifier{{Name: "a module's"}}}},
			Oops{How: PanicCall{"x"}}, func(t *testing.T, f *fate) {
				wantEqual(t, "called", f.stepsOf("panic_notifier_list"),
					[]string{"dump_kernel_offset", "a module's"})
				wantEqual(t, "then", f.end.Then, Hung)
			}),
	},
	{
		"1", "or restarts", "",
		fails(PanicCall{"x"}, "panic=3", func(t *testing.T, f *fate) {
			wantEqual(t, "then", f.end.Then, Restarted)
		}),
	},
	{
		"1", "an oops prints and ends the process, and the machine goes on", "not for the idle task: " +
			"without it the kernel has nothing to run",
		func(t *testing.T) {
			fails(toNull, "", func(t *testing.T, f *fate) {
				wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
			})(t)
			caseOf{kernels: armKernels, at: []Action{Fail{How: toNull}}}.play(t,
				func(t *testing.T, f *fate) { wantPanic(t, f, "Attempted to kill the idle task!") })
		},
	},
	{
		"1", "an oops ends the process", "the end of PID 1 is the end of all",
		func(t *testing.T) {
			caseOf{kernels: armKernels, at: []Action{Fail{PID: 1, How: toNull}}}.play(t,
				func(t *testing.T, f *fate) {
					wantEqual(t, "text", f.end.Text,
						"Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b")
				})
		},
	},
	{
		"1", "an oops ends the process", "the machine is not what it was: each counts, and one is too " +
			"many",
		fails(toNull, "sysctl.kernel.oops_limit=1", func(t *testing.T, f *fate) {
			wantPanic(t, f, "Oopsed too often (kernel.oops_limit is 1)")
		}),
	},
	{
		"1", "in an interrupt it becomes a panic", "",
		onIRQ(toNull, func(t *testing.T, f *fate) {
			wantPanic(t, f, "Oops: Fatal exception in interrupt")
		}),
	},
	{
		"1", "so it does with panic_on_oops", "",
		fails(toNull, "oops=panic", func(t *testing.T, f *fate) {
			wantPanic(t, f, "Oops: Fatal exception")
		}),
	},
}

// class checks what 6.1 calls a class of the document's, in binary there.
func class(c esr.Class, name string) func(t *testing.T) {
	return func(t *testing.T) { wantEqual(t, "class", esr.Linux61.Class(c), name) }
}

var claimsOfRegister = []claim{
	{
		"2", "ESR says why, FAR where, if it was memory", "",
		fails(toNull, "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "1 Unable to handle kernel NULL pointer dereference at virtual address "+
				"0000000000000030", "1 Mem abort info:")
		}),
	},
	{
		"2 (1)", "EC 100000 is a program's instruction that is none", "it is a fetch of a program's " +
			"that has failed; an instruction that is none is EC 000000",
		func(t *testing.T) {
			class(0b100000, "IABT (lower EL)")(t)
			wantEqual(t, "class 0", esr.Linux61.Exception(esr.Vector{Source: esr.User}, 0).Fate.What,
				"undefined instruction")
			fetch := abort(esr.IAbortLower, 0x06, 0x1000)
			fetch.Vector.Source = esr.User
			fails(fetch, "", func(t *testing.T, f *fate) {
				wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
			})(t)
			none := abort(esr.Unknown, 0, 0)
			none.Vector.Source = esr.User
			fails(none, "", func(t *testing.T, f *fate) {
				wantStatus(t, f, kernel.WaitStatus(syscall.SIGILL))
			})(t)
		},
	},
	{
		"2 (2)", "EC 100001 is an instruction of the level's own that is none", "it is a fetch that has " +
			"failed",
		func(t *testing.T) {
			class(0b100001, "IABT (current EL)")(t)
			fails(abort(esr.IAbort, 0x06, 0x1000), "", func(t *testing.T, f *fate) {
				wantSaid(t, f, "1 Unable to handle kernel paging request at virtual address "+
					"0000000000001000")
			})(t)
		},
	},
	{
		"2 (3)", "EC 100010 is a PC that is not aligned", "",
		func(t *testing.T) {
			class(0b100010, "PC Alignment")(t)
			fails(abort(esr.PCAlign, 0, 2), "oops=panic", func(t *testing.T, f *fate) {
				wantPanic(t, f, "SP/PC alignment exception: Fatal exception")
			})(t)
		},
	},
	{
		"2 (4)", "EC 100100 is a data abort from below", "",
		func(t *testing.T) {
			class(0b100100, "DABT (lower EL)")(t)
			bus := abort(esr.DAbortLower, 0x10, 0x1000)
			bus.Vector.Source = esr.User
			fails(bus, "", func(t *testing.T, f *fate) {
				wantStatus(t, f, kernel.WaitStatus(syscall.SIGBUS))
			})(t)
		},
	},
	{"2 (5)", "EC 100101 is a data abort of the level's own", "", class(0b100101, "DABT (current EL)")},
	{
		"2 (6)", "EC 100110 is an SP that is not aligned", "in the kernel nobody handles it",
		func(t *testing.T) {
			class(0b100110, "SP Alignment")(t)
			fails(abort(esr.SPAlign, 0, 0), "", func(t *testing.T, f *fate) {
				wantEqual(t, "how", f.end.How, Panicked)
			})(t)
		},
	},
	{
		"2 (7)", "EC 101111 is an SError: it comes when it comes, from outside of the processor", "",
		func(t *testing.T) {
			class(0b101111, "SError")(t)
			late := Exception{Vector: esr.Vector{Source: esr.User, Reason: esr.Error}}
			late.ESR = esr.New(esr.SError, true, 0, 0)
			// The program that was running has nothing to do with it, and yet all is over.
			fails(late, "", func(t *testing.T, f *fate) {
				wantPanic(t, f, "Asynchronous SError Interrupt")
			})(t)
		},
	},
	{
		"2", "IL 0 is an instruction of 16 bits, IL 1 one of 32", "it is 1 where there is no " +
			"instruction, too",
		func(t *testing.T) {
			wantEqual(t, "IL 0", esr.New(esr.SVC32, false, 0, 0).Bits(), 16)
			wantEqual(t, "IL 1", esr.New(esr.SVC32, true, 0, 0).Bits(), 32)
			for _, c := range []esr.Class{esr.SError, esr.IAbort, esr.PCAlign, esr.Unknown, esr.DAbort} {
				wantEqual(t, "tells", esr.New(c, true, 0, 0).TellsLength(), false)
			}
		},
	},
	{
		"2", "what ISS means depends on EC", "",
		func(t *testing.T) {
			const iss = 0x800
			wantEqual(t, "of a BRK", esr.New(esr.BRK64, true, iss, 0).BRK(), esr.BRKBug)
			wantEqual(t, "of an abort", esr.New(esr.DAbort, true, iss, 0).Abort(), esr.Abort{SET: 1})
		},
	},
	{
		"2", "DFSC says what kind of abort it is, as in a list", "the list is a part of 64, and newer " +
			"processors have a level -1",
		func(t *testing.T) {
			known := 0
			for s := range esr.Status(64) {
				if !strings.HasPrefix(esr.Linux61.Fault(s).Name, "unknown") {
					known++
				}
			}
			wantEqual(t, "known", known, 32)
			wantEqual(t, "level -1", esr.Linux72.Fault(0x2b).Name, "level -1 translation fault")
		},
	},
	{
		"2", "FAR is the virtual address", "unless FnV says that it is not",
		func(t *testing.T) {
			for _, v := range []esr.Version{esr.Linux510, esr.Linux61} {
				a := esr.Access{ESR: esr.New(esr.DAbort, true, 0x10, 0), FAR: 0xffff800012345678}
				wantEqual(t, "valid", v.MemAbort(a).Address, a.FAR)
				a.ESR = esr.New(esr.DAbort, true, 0x410, 0)
				wantEqual(t, "not valid", v.MemAbort(a).Address, 0)
			}
		},
	},
}

var claimsOfHandling = []claim{
	{
		"3", "the entry depends on where it comes from, and on the stack pointer in use", "",
		func(t *testing.T) {
			for vec, want := range map[esr.Vector]string{
				{Source: esr.Kernel}:   "el1h_64_sync_handler",
				{Source: esr.KernelSP}: "el1t_64_sync_handler",
				{Source: esr.User}:     "el0t_64_sync_handler",
				{Source: esr.User32}:   "el0t_32_sync_handler",
			} {
				wantEqual(t, "handler", esr.Linux61.Handler(vec), want)
			}
			// The names are younger than 5.10.
			wantEqual(t, "5.10", esr.Linux510.Handler(esr.Vector{}), "el1_sync_handler")
		},
	},
	{
		"3", "the handler takes EC, and calls a function for it, which takes ISS", "",
		func(t *testing.T) {
			r := esr.Linux61.Exception(esr.Vector{}, toNull.ESR)
			wantEqual(t, "by", r.Entry+" "+r.Calls, "el1_abort do_mem_abort")
		},
	},
	{
		"3", "not every exception is an error: page faults, breakpoints and steps are how things work", "",
		func(t *testing.T) {
			user := toNull
			user.ESR, user.Vector.Source, user.Mapped = esr.New(esr.DAbortLower, true, 0x47, 0), esr.User, true
			for _, how := range []Failure{
				user, abort(esr.Break, 0, 0), abort(esr.Step, 0, 0), abort(esr.Watch, 0, 0),
			} {
				fails(how, "", func(t *testing.T, f *fate) { wantStatus(t, f, 0) })(t)
			}
		},
	},
	{
		"3.1", "both aborts of the level's own go to el1_abort, a misaligned PC to el1_pc", "",
		func(t *testing.T) {
			for c, want := range map[esr.Class]string{
				esr.DAbort: "el1_abort", esr.IAbort: "el1_abort", esr.PCAlign: "el1_pc",
			} {
				wantEqual(t, "entry", esr.Linux61.Exception(esr.Vector{}, esr.New(c, true, 0, 0)).Entry, want)
			}
		},
	},
	{
		"3.1", "what is left panics as unhandled, with the vector's name", "5.10 says bad mode",
		func(t *testing.T) {
			for name, want := range map[string][2]string{
				"linux-5.10-arm64": {
					"2 Bad mode in Synchronous Abort handler detected on CPU0, code 0x9a000000 -- " +
						"SP Alignment", "bad mode",
				},
				"linux-6.1-arm64": {
					"2 Unhandled 64-bit el1h sync exception on CPU0, ESR 0x000000009a000000 -- " +
						"SP Alignment", "Unhandled exception",
				},
			} {
				c := caseOf{kernels: []string{name}, steps: []Step{Oops{How: abort(esr.SPAlign, 0, 0)}}}
				c.play(t, func(t *testing.T, f *fate) {
					wantSaid(t, f, want[0])
					wantPanic(t, f, want[1])
				})
			}
		},
	},
	{
		"3.1", "a table of functions is indexed by DFSC: translation faults, 8, access flags", "",
		func(t *testing.T) {
			for s, want := range map[esr.Status]string{
				4: "do_translation_fault level 0 translation fault",
				7: "do_translation_fault level 3 translation fault",
				8: "do_bad unknown 8",
				9: "do_page_fault level 1 access flag fault", 11: "do_page_fault level 3 access flag fault",
			} {
				row := esr.Linux61.Fault(s)
				wantEqual(t, "row", row.Handler.String()+" "+row.Name, want)
			}
			wantEqual(t, "newest", esr.Linux72.Fault(8).Name, "level 0 access flag fault")
		},
	},
	{
		"3.1 (2)", "the address loses its tag", "one of the kernel's does not",
		func(t *testing.T) {
			wantEqual(t, "a program's", esr.Untagged(0x5a00000000000030), 0x30)
			wantEqual(t, "the kernel's", esr.Untagged(0xf0ff800012345678), 0xf0ff800012345678)
		},
	},
	{
		"3.1 (3)", "for a bad address the function is do_translation_fault", "",
		fails(toNull, "", func(t *testing.T, f *fate) {
			path := esr.Linux61.MemAbort(toNull.Access).Path
			wantEqual(t, "path", strings.Join(path[:2], " "), "do_mem_abort do_translation_fault")
		}),
	},
	{
		"3.1 (4)", "for one that its function leaves there are words of its own, and die by the table's " +
			"name", "newer kernels have the same words as for all others",
		func(t *testing.T) {
			for name, want := range map[string][]string{
				"linux-5.10-arm64": {
					"1 Unhandled fault at 0xffff800012345678",
					"0 Internal error: TLB conflict abort: ffffffff96000030 [#1] SMP",
				},
				"linux-6.1-arm64": {
					"1 Unable to handle kernel TLB conflict abort at virtual address ffff800012345678",
					"0 Internal error: Oops: 0000000096000030 [#1] SMP",
				},
			} {
				c := caseOf{kernels: []string{name}, steps: []Step{
					Oops{How: abort(esr.DAbort, 0x30, 0xffff800012345678)},
				}}
				c.play(t, func(t *testing.T, f *fate) { wantSaid(t, f, want...) })
			}
		},
	},
	{
		"3.1", "do_translation_fault does one thing for faults of programs, another for those of the " +
			"kernel", "it asks whose the address is, not whose the fault: the kernel's null pointer is a " +
			"program's address",
		func(t *testing.T) {
			path := func(a esr.Access) string { return strings.Join(esr.Linux61.MemAbort(a).Path, " ") }
			wantEqual(t, "the kernel at a program's address", path(toNull.Access),
				"do_mem_abort do_translation_fault do_page_fault __do_kernel_fault die_kernel_fault")
			wantEqual(t, "the kernel at its own", path(abort(esr.DAbort, 7, 1<<64-8).Access),
				"do_mem_abort do_translation_fault do_bad_area __do_kernel_fault die_kernel_fault")
			wantEqual(t, "a program at the kernel's", path(esr.Access{
				ESR: esr.New(esr.DAbortLower, true, 7, 0), FAR: 1<<64 - 8, User: true,
			}), "do_mem_abort do_translation_fault do_bad_area")
		},
	},
	{
		"3.1 (1)", "die_kernel_fault prints EC, IL and DFSC", "DFSC only from 5.11 on",
		func(t *testing.T) {
			const fsc = "1   FSC = 0x06: level 2 translation fault"
			fails(toNull, "", func(t *testing.T, f *fate) {
				wantSaid(t, f, "1   EC = 0x25: DABT (current EL), IL = 32 bits", "1 Data abort info:")
				wantEqual(t, "FSC", slices.Contains(f.said, fsc), f.kernel.name == "linux-6.1-arm64")
			})(t)
		},
	},
	{
		"3.1 (2)", "then the tables: pgd, p4d, pud, pmd, pte", "only as far as there are some",
		fails(toNull, "", func(t *testing.T, f *fate) {
			i := slices.IndexFunc(f.said, func(s string) bool { return strings.HasPrefix(s, "1 [0000000000000030] pgd=") })
			if i < 0 || !strings.Contains(f.said[i], ", p4d=") || !strings.Contains(f.said[i], ", pud=") ||
				!strings.HasSuffix(f.said[i], ", pmd=0000000000000000") {
				t.Errorf("said %q", f.said)
			}
		}),
	},
	{
		"3.1 (3)", "then die, as Oops", "",
		fails(toNull, "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "1 Mem abort info:", "0 Internal error: Oops: 0000000096000046 [#1] SMP")
		}),
	},
	{
		"3.1 (4)", "and the process is killed with SIGKILL", "die has ended it with SIGSEGV before, and does " +
			"not come back",
		fails(toNull, "", func(t *testing.T, f *fate) {
			wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
		}),
	},
}

// saidInOrder checks that lines which begin so come in this order.
func saidInOrder(t *testing.T, f *fate, starts ...string) {
	t.Helper()
	left := starts
	for _, s := range f.said {
		if len(left) > 0 && strings.HasPrefix(s[2:], left[0]) {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("%q is not said, or not in its place: %q", left, f.said)
	}
}

var claimsOfDie = []claim{
	{
		"3.2 (1)", "die tells its chain, and prints the oops", "the first line comes before the chain is " +
			"told, the others after it",
		failsIn(Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Name: "d", Says: "told"}}}},
			Oops{How: toNull}, func(t *testing.T, f *fate) {
				saidInOrder(t, f, "Internal error: Oops", "told", "Modules linked in:", "CPU: ", "pstate: ",
					"pc : ", "lr : ", "sp : ", "x29: ", "Call trace:", "Code: ", "---[ end trace ")
			}),
	},
	{
		"3.2 (1)", "die tells its chain", "whoever stops it there saves the process, and the line is all",
		failsIn(Config{Panic: PanicConfig{DieNotifiers: []Notifier{{Name: "d", Returns: NotifyStop}}}},
			Oops{How: toNull}, func(t *testing.T, f *fate) {
				wantUnsaid(t, f, "pstate: ")
				wantStatus(t, f, 0)
			}),
	},
	{
		"3.2 (1)", "die tells its chain", "that does not save the machine from panic_on_oops, as it does on " +
			"a PC",
		failsIn(Config{
			Cmdline: "oops=panic",
			Panic:   PanicConfig{DieNotifiers: []Notifier{{Name: "d", Returns: NotifyStop}}},
		}, Oops{How: toNull}, func(t *testing.T, f *fate) { wantPanic(t, f, "Oops: Fatal exception") }),
	},
	{
		"3.2 (2)", "if the crash is to be dumped another kernel is started", "before the panic, of which " +
			"nothing is printed then, and so is no end trace",
		failsIn(Config{Kexec: capture, Cmdline: "oops=panic"}, Oops{How: toNull},
			func(t *testing.T, f *fate) {
				wantEqual(t, "how", f.how(), Kexeced)
				saidInOrder(t, f, "Internal error: Oops", "Code: ")
				wantUnsaid(t, f, "Kernel panic")
				wantUnsaid(t, f, "---[ end trace")
			}),
	},
	{
		"3.2 (2)", "if the crash is to be dumped another kernel is started", "an oops that does not panic " +
			"is none",
		failsIn(Config{Kexec: capture}, Oops{How: toNull}, func(t *testing.T, f *fate) {
			wantStatus(t, f, kernel.WaitStatus(syscall.SIGSEGV))
		}),
	},
	{
		"3.2 (3)", "in an interrupt it panics", "",
		onIRQ(toNull, func(t *testing.T, f *fate) {
			saidInOrder(t, f, "Internal error: Oops", "---[ end trace ",
				"Kernel panic - not syncing: Oops: Fatal exception in interrupt")
		}),
	},
	{
		"3.2 (3)", "or if panic_on_oops is set, which is asked after that", "",
		func(t *testing.T) {
			caseOf{
				kernels: armKernels, cfg: Config{Cmdline: "oops=panic"},
				at: []Action{Fail{In: InSoftIRQ, How: toNull}},
			}.play(t, func(t *testing.T, f *fate) {
				wantPanic(t, f, "Oops: Fatal exception in interrupt")
			})
		},
	},
}

var claimsOfPanic = []claim{
	{
		"3.3 (1)", "of two CPUs that panic, the second stops", "",
		func(t *testing.T) {
			caseOf{
				kernels: armKernels, cfg: Config{Reboot: RebootConfig{CPUs: 2}},
				at: []Action{Fail{How: PanicTwice{First: "one", Second: "two"}}},
			}.play(t, func(t *testing.T, f *fate) {
				wantPanic(t, f, "one")
				wantUnsaid(t, f, "not syncing: two")
			})
		},
	},
	{
		"3.3 (2)", "the reason is printed", "",
		fails(PanicCall{"why"}, "", func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 Kernel panic - not syncing: why")
		}),
	},
	{
		"3.3 (2)", "a debugger that is there gets the machine before all else", "",
		failsIn(Config{Panic: PanicConfig{Debugger: &Notifier{Says: "kgdb", Takes: time.Hour}}},
			Oops{How: PanicCall{"x"}}, func(t *testing.T, f *fate) {
				saidInOrder(t, f, "Kernel panic", "kgdb")
				wantUnsaid(t, f, "Kernel Offset")
			}),
	},
	{
		"3.3 (3)", "with another kernel loaded it is started, and nobody on the chain is told", "",
		failsIn(Config{Kexec: capture}, Oops{How: PanicCall{"x"}}, func(t *testing.T, f *fate) {
			wantEqual(t, "how", f.how(), Kexeced)
			wantEqual(t, "called", f.stepsOf("panic_notifier_list", "kmsg_dump"), nil)
		}),
	},
	{
		"3.3 (3)", "without one it goes on", "",
		fails(PanicCall{"x"}, "", func(t *testing.T, f *fate) {
			saidInOrder(t, f, "Kernel panic", "Kernel Offset", "---[ end Kernel panic")
		}),
	},
	{
		"3.3 (3, 8)", "who does not trust that has the chain told and the log dumped before", "",
		failsIn(Config{Kexec: capture, Cmdline: "crash_kexec_post_notifiers"},
			Oops{How: PanicCall{"x"}}, func(t *testing.T, f *fate) {
				wantEqual(t, "how", f.how(), Kexeced)
				saidInOrder(t, f, "Kernel panic", "Kernel Offset")
				wantEqual(t, "dumped", len(f.stepsOf("kmsg_dump")), 1)
			}),
	},
	{
		"3.3 (4, 5)", "the other CPUs are stopped", "",
		func(t *testing.T) {
			caseOf{
				kernels: armKernels, cfg: Config{Reboot: RebootConfig{CPUs: 2}},
				at: []Action{Fail{How: PanicCall{"x"}}},
			}.play(t, func(t *testing.T, f *fate) {
				wantEqual(t, "processes", f.Answers().Processes, false)
				saidInOrder(t, f, "Kernel panic", "SMP: stopping secondary CPUs", "Kernel Offset")
			})
		},
	},
	{
		"3.3 (6, 7)", "modules are told, and then the log is dumped", "",
		failsIn(Config{Panic: PanicConfig{Notifiers: []Notifier{{Name: "a module's"}}}},
			Oops{How: PanicCall{"x"}}, func(t *testing.T, f *fate) {
				stages := f.stages()
				if i := slices.Index(stages, "panic_notifier_list"); i < 0 || i > slices.Index(stages, "kmsg_dump") {
					t.Errorf("steps are %q", stages)
				}
			}),
	},
	{
		"3.3 (9)", "if no other kernel takes over the state is printed", "only what panic_print asks for, and " +
			"from 5.18 on before the log is dumped",
		func(t *testing.T) {
			fails(PanicCall{"x"}, "", func(t *testing.T, f *fate) { wantUnsaid(t, f, "task:") })(t)
			fails(PanicCall{"x"}, "sysctl.kernel.panic_print=1", func(t *testing.T, f *fate) {
				saidInOrder(t, f, "Kernel panic", "task:", "---[ end Kernel panic")
			})(t)
		},
	},
	{
		"3.3 (10, 11)", "with a time it waits for so long, and restarts", "the loop of the text never " +
			"ends as it is printed there",
		fails(PanicCall{"x"}, "panic=5", func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 Rebooting in 5 seconds..")
			if waited := f.end.At - f.end.Since; f.end.Then != Restarted || waited < 5*time.Second ||
				waited > 6*time.Second {
				t.Errorf("got %+v", f.end)
			}
		}),
	},
	{
		"3.3 (11)", "only with a time", "a negative one restarts at once",
		fails(PanicCall{"x"}, "panic=-1", func(t *testing.T, f *fate) {
			wantUnsaid(t, f, "Rebooting in")
			if f.end.Then != Restarted || f.end.At != f.end.Since {
				t.Errorf("got %+v", f.end)
			}
		}),
	},
	{
		"3.3 (12)", "without one it loops for ever", "interrupts are on meanwhile, and are taken",
		fails(PanicCall{"x"}, "", func(t *testing.T, f *fate) {
			wantEqual(t, "then", f.end.Then, Hung)
			wantEqual(t, "interrupts", f.Answers().Interrupts, true)
			wantEqual(t, "last words", f.said[len(f.said)-1],
				"0 ---[ end Kernel panic - not syncing: x ]---")
		}),
	},
}

var claimsByHand = []claim{
	{
		"4 (1)", "WARN_ON says so, and all goes on", "",
		fails(WarnCall{}, "", func(t *testing.T, f *fate) {
			saidInOrder(t, f, "------------[ cut here ]", "WARNING: ", "---[ end trace ")
			wantStatus(t, f, 0)
		}),
	},
	{
		"4 (1)", "it never panics", "with panic_on_warn it does",
		fails(WarnCall{}, "sysctl.kernel.panic_on_warn=1", func(t *testing.T, f *fate) {
			wantPanic(t, f, "kernel: panic_on_warn set ...")
		}),
	},
	{
		"4 (2)", "BUG_ON says so, and oopses", "",
		fails(BugCall{}, "", func(t *testing.T, f *fate) {
			saidInOrder(t, f, "------------[ cut here ]", "kernel BUG at ", "Internal error: Oops - BUG: ")
		}),
	},
	{
		"4 (3)", "panic() hangs the machine", "unless panic_timeout says otherwise",
		fails(PanicCall{"x"}, "", func(t *testing.T, f *fate) { wantEqual(t, "then", f.end.Then, Hung) }),
	},
	{
		"4", "writing c to /proc/sysrq-trigger panics", "",
		func(t *testing.T) {
			caseOf{
				kernels: armKernels,
				cfg: Config{
					MagicSysrq: true, Mounts: []Mount{{Type: "proc", Target: "/proc"}},
				},
				steps: []Step{WriteFile{"/proc/sysrq-trigger", "c"}},
			}.play(t, func(t *testing.T, f *fate) { wantPanic(t, f, "sysrq triggered crash") })
		},
	},
}

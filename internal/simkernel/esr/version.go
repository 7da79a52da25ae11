package esr

// A Version is a kernel whose way with exceptions is known. One that is not in the list does as the
// nearest older one.
type Version uint8

const (
	Linux510 Version = iota // 5.10.262
	Linux61                 // 6.1.192
	Linux72                 // 7.2.13
)

// Versions are all.
func Versions() []Version { return []Version{Linux510, Linux61, Linux72} }

func (v Version) String() string { return v.data().name }

// version is what differs between versions.
type version struct {
	name    string
	classes [64]string
	faults  [statuses]FaultInfo

	// short says that do_mem_abort and what it calls have the register as an unsigned int: the
	// upper half is lost, and it is printed with eight digits.
	short bool
	// signed says that arm64_notify_die hands it on as an int, whose sign die() then extends.
	signed bool
	// saysStatus says that there is a line for the status (mem_abort_decode).
	saysStatus bool
	// saysISS2 says that data_abort_decode prints ISS2, too.
	saysISS2 bool
	// unhandled says that do_mem_abort has words of its own for a fault that its handler leaves.
	unhandled bool
	// recoversTags says that a failed tag check in the kernel switches checking off, and no more.
	recoversTags bool
	// taints says that do_sea and an SError taint the kernel with a machine check.
	taints bool
	// kernelDS says that there is set_fs(KERNEL_DS), and a message for it.
	kernelDS bool

	// routes are where each class goes, by where it comes from. Without one it is unexpected.
	kernel, user, user32 map[Class]Route
	// badMode says that what is unexpected in the kernel ends in bad_mode, and not in
	// __panic_unhandled.
	badMode bool
	// fiq says that there is a handler for FIQs.
	fiq bool
	// diesOfBRK is what a BRK that nobody knows is called.
	diesOfBRK string
	// debugTable says that debug exceptions go through a table of handlers.
	debugTable bool

	// perRow is how many registers a line has, and rowEnd what ends it.
	perRow int
	rowEnd string
	// dit says that PSTATE.DIT and PSTATE.SSBS are printed.
	dit bool
	// afterOops is what comes after the number of an oops. A preemptible kernel would say so
	// there up to 6.x, but Debian's are not.
	afterOops string
	// unreadable is what stands for each instruction that cannot be read. Without it the line
	// ends at the first.
	unreadable string
}

// data finds a version's data. A number that is none is a fault of the caller's.
func (v Version) data() *version { return &versions[v] }

var versions = [...]version{
	Linux510: {
		name: "5.10", classes: classTable(nil), faults: faultTable(commonFaults()),
		short: true, signed: true, unhandled: true, kernelDS: true, badMode: true,
		kernel: routes(kernelRoutes(), debugRoutes(kernelDebug())),
		user:   routes(userRoutes(), debugRoutes(userDebug())),
		user32: routes(user32Routes(), debugRoutes(user32Debug())),

		diesOfBRK: "BRK handler", debugTable: true,
		perRow: 2, rowEnd: " ", afterOops: " SMP",
	},
	Linux61: {
		name:    "6.1",
		classes: classTable(map[Class]string{SME: "SME"}), faults: faultTable(commonFaults()),
		saysStatus: true, recoversTags: true, taints: true, fiq: true,
		kernel: routes(kernelRoutes(), debugRoutes(kernelDebug()), undefRoutes61()),
		user: routes(userRoutes(), debugRoutes(userDebug()), undefRoutes61User(),
			map[Class]Route{SME: {"el0_sme_acc", "do_sme_acc", Fate{Kind: Served}}}),
		user32: routes(user32Routes(), debugRoutes(user32Debug()), undefRoutes61User32()),

		diesOfBRK: "BRK handler", debugTable: true,
		perRow: 3, dit: true, afterOops: " SMP",
	},
	Linux72: {
		name: "7.2",
		classes: classTable(map[Class]string{
			SME: "SME", MOPS: "MOPS", GCS: "Guarded Control Stack",
		}),
		faults:     faultTable(commonFaults(), wideFaults()),
		saysStatus: true, saysISS2: true, recoversTags: true, taints: true, fiq: true,
		kernel: routes(kernelRoutes(), ownDebugRoutes(kernelDebug()), map[Class]Route{
			GCS:  {"el1_gcs", "do_el1_gcs", Fate{Kind: Dies, Die: "Oops - GCS"}},
			MOPS: {"el1_mops", "do_el1_mops", Fate{Kind: Served}},
		}),
		user: routes(userRoutes(), ownDebugRoutes(userDebug()), map[Class]Route{
			SME:  {"el0_sme_acc", "do_sme_acc", Fate{Kind: Served}},
			MOPS: {"el0_mops", "do_el0_mops", Fate{Kind: Served}},
			GCS:  {"el0_gcs", "do_el0_gcs", injected(illegalAccess, "SEGV_CPERR")},
		}),
		user32: routes(user32Routes(), ownDebugRoutes(user32Debug())),

		diesOfBRK: "Oops - BRK",
		perRow:    3, dit: true, afterOops: "  SMP", unreadable: "????????",
	},
}

// unrecognized is what a class without a name is called.
const unrecognized = "UNRECOGNIZED EC"

// classTable is esr_class_str[] (arch/arm64/kernel/traps.c), as 5.10 has it, and newer names.
func classTable(newer map[Class]string) (table [64]string) {
	for c := range table {
		table[c] = unrecognized
	}
	for c, name := range map[Class]string{
		Unknown: "Unknown/Uncategorized", WFx: "WFI/WFE",
		CP15x32: "CP15 MCR/MRC", CP15x64: "CP15 MCRR/MRRC",
		CP14MR: "CP14 MCR/MRC", CP14LS: "CP14 LDC/STC",
		FPASIMD: "ASIMD", CP10ID: "CP10 MRC/VMRS", PAC: "PAC", CP14x64: "CP14 MCRR/MRRC",
		BTI: "BTI", Illegal: "PSTATE.IL",
		SVC32: "SVC (AArch32)", HVC32: "HVC (AArch32)", SMC32: "SMC (AArch32)",
		SVC64: "SVC (AArch64)", HVC64: "HVC (AArch64)", SMC64: "SMC (AArch64)",
		Sys64: "MSR/MRS (AArch64)", SVE: "SVE", ERET: "ERET/ERETAA/ERETAB", FPAC: "FPAC",
		ImpDef:      "EL3 IMP DEF",
		IAbortLower: "IABT (lower EL)", IAbort: "IABT (current EL)", PCAlign: "PC Alignment",
		DAbortLower: "DABT (lower EL)", DAbort: "DABT (current EL)", SPAlign: "SP Alignment",
		FP32: "FP (AArch32)", FP64: "FP (AArch64)", SError: "SError",
		BreakLower: "Breakpoint (lower EL)", Break: "Breakpoint (current EL)",
		StepLower: "Software Step (lower EL)", Step: "Software Step (current EL)",
		WatchLower: "Watchpoint (lower EL)", Watch: "Watchpoint (current EL)",
		BKPT32: "BKPT (AArch32)", Vector32: "Vector catch (AArch32)", BRK64: "BRK (AArch64)",
	} {
		table[c] = name
	}
	for c, name := range newer {
		table[c] = name
	}
	return table
}

// Class is what the kernel calls a class.
func (v Version) Class(c Class) string { return v.data().classes[c&ecMask] }

// Fault is the kernel's row for a status.
func (v Version) Fault(s Status) FaultInfo { return v.data().faults[s&fscMask] }

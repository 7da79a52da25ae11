package simkernel

// The versions of die() [Kernel 3.1 to 3.9].
var (
	die26Steps = []dieStep{
		dieEnter, dieVerbose, dieLock, dieBust, dieReportBug, dieHeader, dieNotify, dieShow,
		dieUnbust, dieUnlock, dieStopped, dieKexec, dieInIRQ, dieOnOops, dieExit, dieKill,
	}
	die2617 = dieProfile{
		steps:  die26Steps,
		header: []string{"{str}: {err} [#{n}]", "SMP "}, digits: 4, level: emergency,
		shows: []dieLine{
			{part: (*Machine).modulesOf},
			{saying: saying{emergency, "CPU:    {cpu}"}},
			{saying: saying{emergency, "EIP:    0060:[<c0100000>]    {taint} VLI"}},
			{saying: saying{emergency, "EFLAGS: 00010246   ({release} {version}) "}},
			{saying: saying{emergency, "EIP is at {sym}"}},
			{saying: saying{emergency, "eax: 00000000   ebx: 00000000   ecx: 00000000   edx: 00000000"}},
			{saying: saying{emergency, "esi: 00000000   edi: 00000000   ebp: 00000000   esp: 00000000"}},
			{saying: saying{emergency, "ds: 007b   es: 007b   ss: 0068"}},
			{saying: saying{emergency, "Process {comm} (pid: {pid}, threadinfo=c0000000 task=c0000000)"}},
			{saying: saying{emergency, "Stack: "}},
			{saying: saying{emergency, "Call Trace:"}},
			{saying: saying{emergency, "Code: 00 00 00 00 <90> "}},
			{saying: saying{emergency, "EIP: [<c0100000>] {sym} SS:ESP 0068:c0000000"}},
		},
		nests: true, quiet: "Recursive die() failure, output suppressed",
		waits: "Fatal exception: panic in 5 seconds",
		fault: fault26(true),
		bug:   "invalid opcode",
		bugSays: []saying{
			{emergency, cutHere}, {emergency, "kernel BUG at {file}:{line}!"},
		},
	}
	die2624 = dieProfile{
		steps: []dieStep{
			dieEnter, dieVerbose, dieLock, dieBust, dieReportBug, dieHeader, dieNotify, dieShow,
			dieUnbust, dieTaint, dieUnlock, dieStopped, dieKexec, dieInIRQ, dieOnOops, dieExit,
			dieKill,
		},
		header: []string{"{str}: {err} [#{n}] SMP "}, digits: 4, level: emergency,
		shows: []dieLine{
			{part: (*Machine).modulesOf},
			{saying: saying{defaultMessageLevel, ""}},
			{saying: saying{defaultMessageLevel, "Pid: {pid}, comm: {comm} {taint} ({release} {version})"}},
			{saying: saying{defaultMessageLevel, "EIP: 0060:[<c0100000>] EFLAGS: 00010246 CPU: {cpu}"}},
			{saying: saying{defaultMessageLevel, "EIP is at {sym}"}},
			{saying: saying{defaultMessageLevel, "EAX: 00000000 EBX: 00000000 ECX: 00000000 EDX: 00000000"}},
			{saying: saying{defaultMessageLevel, "ESI: 00000000 EDI: 00000000 EBP: 00000000 ESP: 00000000"}},
			{saying: saying{defaultMessageLevel, " DS: 007b ES: 007b FS: 00d8 GS: 0033 SS: 0068"}},
			{saying: saying{emergency, "Process {comm} (pid: {pid}, ti=c0000000 task=c0000000 task.ti=c0000000)"}},
			{saying: saying{emergency, "Stack: "}},
			{saying: saying{emergency, "Call Trace:"}},
			{saying: saying{emergency, " ======================="}},
			{saying: saying{emergency, "Code: 00 00 00 00 <90> "}},
			{saying: saying{emergency, "EIP: [<c0100000>] {sym} SS:ESP 0068:c0000000"}},
		},
		nests: true, quiet: die2617.quiet,
		fault: fault26(false),
		bug:   "invalid opcode",
		bugSays: []saying{
			{emergency, cutHere}, {critical, "kernel BUG at {file}:{line}!"},
		},
	}

	dieARM = dieProfile{
		steps: []dieStep{
			dieEnter, dieLock, dieVerbose, dieBust, dieReportBug, dieHeader, dieNotify, dieShow,
			dieKexec, dieUnbust, dieTaint, dieUnlock, dieExit, dieInIRQ, dieOnOops, dieStopped,
			dieKill,
		},
		header: []string{"Internal error: {str}: {err} [#{n}] SMP ARM"}, level: emergency,
		shows: []dieLine{
			{part: (*Machine).modulesOf},
			{part: (*Machine).dumpStackInfo},
			{saying: saying{defaultMessageLevel, "task: c0000000 ti: c0000000 task.ti: c0000000"}},
			{saying: saying{defaultMessageLevel, "PC is at {sym}"}},
			{saying: saying{defaultMessageLevel, "LR is at {sym}"}},
			{saying: saying{defaultMessageLevel, "pc : [<c0008000>]    lr : [<c0008000>]    psr: 60000013"}},
			{saying: saying{defaultMessageLevel, "sp : c0000000  ip : 00000000  fp : 00000000"}},
			{saying: saying{defaultMessageLevel, "r10: 00000000  r9 : 00000000  r8 : 00000000"}},
			{saying: saying{defaultMessageLevel, "r7 : 00000000  r6 : 00000000  r5 : 00000000  r4 : 00000000"}},
			{saying: saying{defaultMessageLevel, "r3 : 00000000  r2 : 00000000  r1 : 00000000  r0 : 00000000"}},
			{saying: saying{defaultMessageLevel, "Flags: nZCv  IRQs on  FIQs on  Mode SVC_32  ISA ARM  Segment user"}},
			{saying: saying{defaultMessageLevel, "Control: 10c5387d  Table: 00000000  DAC: 00000015"}},
			{saying: saying{emergency, "Process {comm} (pid: {pid}, stack limit = 0xc0000000)"}},
			{saying: saying{emergency, "Stack: (0xc0000000 to 0xc0002000)"}},
			{part: (*Machine).showStack},
			{saying: saying{emergency, "Code: 00000000 00000000 00000000 00000000 (e1a00000) "}},
		},
		nests: true, fault: faultARM,
		bug: "Oops - BUG",
		bugSays: []saying{
			{defaultMessageLevel, cutHere}, {critical, "kernel BUG at {file}:{line}!"},
		},
	}

	dieMIPS = dieProfile{
		steps: []dieStep{
			dieEnter, dieNotify, dieVerbose, dieLock, dieBust, dieHeader, dieShow, dieTaint,
			dieUnlock, dieExit, dieInIRQ, dieOnOops, dieKexec, dieKill,
		},
		header: []string{"{str}[#{n}]:"}, level: defaultMessageLevel, evenStopped: true,
		shows: []dieLine{
			{part: (*Machine).dumpStackInfo},
			{saying: saying{defaultMessageLevel, "task: 80000000 ti: 80000000 task.ti: 80000000"}},
			{saying: saying{defaultMessageLevel, "$ 0   : 00000000 00000000 00000000 00000000"}},
			{saying: saying{defaultMessageLevel, "epc   : 80000000 {sym}"}},
			{saying: saying{defaultMessageLevel, "ra    : 80000000 {sym}"}},
			{saying: saying{defaultMessageLevel, "Status: 1000fc03\tKERNEL EXL IE "}},
			{saying: saying{defaultMessageLevel, "Cause : 0080000c"}},
			{part: (*Machine).modulesOf},
			{saying: saying{defaultMessageLevel, "Process {comm} (pid: {pid}, threadinfo=80000000, task=80000000, tls=00000000)"}},
			{saying: saying{defaultMessageLevel, "Stack :"}},
			{part: (*Machine).showStack},
			{saying: saying{defaultMessageLevel, "Code: 00000000  00000000  00000000 <ac400000> 00000000 "}},
			{saying: saying{defaultMessageLevel, ""}},
		},
		waits: "Fatal exception: panic in 5 seconds", waitsOpen: true,
		fault: faultMIPS, bug: "Kernel bug detected",
	}

	dieX86Steps = []dieStep{
		dieEnter, dieLock, dieVerbose, dieBust, dieFault, dieHeader, dieShow, dieNotify, dieCR2,
		dieKexec, dieUnbust, dieTaint, dieUnlock, dieExit, dieSummary, dieStopped, dieInIRQ,
		dieOnOops, dieKill,
	}
	dieX86Shows = []dieLine{{part: (*Machine).showRegs}, {part: (*Machine).modulesOf}}
	dieX86Bug   = []saying{
		{defaultMessageLevel, cutHere}, {critical, "kernel BUG at {file}:{line}!"},
	}
	// die4 is 4.19 and 5.10 on a PC, but for the page fault.
	die4 = dieProfile{
		steps: dieX86Steps, header: []string{"{str}: {err} [#{n}] SMP NOPTI"}, digits: 4,
		level: defaultMessageLevel, shows: dieX86Shows, nests: true, fault: fault419,
		bug: "invalid opcode", bugSays: dieX86Bug,
	}
	die5   = die4.with(func(p *dieProfile) { p.fault = faultX86 })
	die6   = die5.with(func(p *dieProfile) { p.header = []string{"{str}: {err} [#{n}] PREEMPT SMP NOPTI"} })
	die612 = die5.with(func(p *dieProfile) { p.header = []string{"Oops: {str}: {err} [#{n}] PREEMPT SMP NOPTI"} })
	die7   = die5.with(func(p *dieProfile) { p.header = []string{"Oops: {str}: {err} [#{n}] SMP NOPTI"} })
)

// with is a profile with a difference.
func (p dieProfile) with(change func(*dieProfile)) dieProfile {
	change(&p)
	return p
}

// modulesOf is printModules as a part of what die() shows.
func (m *Machine) modulesOf(*context) { m.printModules() }

// The versions of WARN() [Kernel 3.34 to 3.37].
var (
	warn2617 = warnProfile{
		steps: []warnStep{warnLine, warnStack}, level: defaultMessageLevel,
		line: "BUG: warning at {file}:{line}/{func}()",
	}
	warn2624 = warnProfile{
		steps: []warnStep{warnLine, warnStack}, level: defaultMessageLevel,
		line: "WARNING: at {file}:{line} {func}()",
	}
	warn3 = warnProfile{
		steps: []warnStep{
			warnCut, warnLine, warnText, warnModules, warnStack, warnEnd, warnTaint,
		},
		level: warning, line: "WARNING: at {file}:{line} {sym}()",
	}
	warn4 = warnProfile{
		steps: []warnStep{
			warnCut, warnText, warnLine, warnPanic, warnModules, warnRegs, warnEnd, warnTaint,
		},
		level: warning, line: "WARNING: CPU: {cpu} PID: {pid} at {file}:{line} {sym}",
		set: "panic_on_warn set ...\n", clears: true,
	}
	warn5 = warnProfile{
		steps: []warnStep{
			warnCut, warnText, warnLine, warnModules, warnRegs, warnPanic, warnEnd, warnTaint,
		},
		level: warning, line: warn4.line, set: "{origin}: panic_on_warn set ...\n", limit: true,
	}
	warn7 = func() warnProfile {
		p := warn5
		p.line = "WARNING: {file}:{line} at {sym}, CPU#{cpu}: {comm}/{pid}"
		return p
	}()
)

package esr

import "fmt"

// A Severity is how bad an SError is, if the processor can tell (RAS extension): ISS.AET.
type Severity uint8

const (
	Uncontainable Severity = 0 // also where nothing is known
	Unrecoverable Severity = 1
	Restartable   Severity = 2
	Recoverable   Severity = 3
	Corrected     Severity = 6
)

const (
	idsBit   = 1 << 24 // the syndrome is the implementer's own
	aetShift = 10
	aetMask  = 7
)

// Severity is how bad an SError is (arm64_ras_serror_get_severity). Without the RAS extension, with a
// syndrome of the implementer's own, or with a status that has no severity, nothing is known.
func (e ESR) Severity(ras bool) Severity {
	if !ras || e.ISS()&idsBit != 0 || e.Abort().FSC != AsyncSError {
		return Uncontainable
	}
	return Severity(e.ISS() >> aetShift & aetMask)
}

// SError is do_serror: what becomes of an SError, an asynchronous abort by which something outside of
// the processor says that it has failed. The line comes before the registers.
//
// A processor without the RAS extension takes every one for the worst. Which process was running does
// not matter: it may be another's, and the kernel panics for one of a program's, too.
func (v Version) SError(cpu int, e ESR, ras bool) (fate Fate, said Line, machineCheck bool) {
	switch e.Severity(ras) {
	case Corrected, Restartable:
		return Fate{Kind: Served}, Line{}, false
	}
	return Fate{Kind: Panics, Panic: "Asynchronous SError Interrupt"}, Line{
		Critical, fmt.Sprintf("SError Interrupt on CPU%d, code %s -- %s", cpu, v.esr(e),
			v.Class(e.EC())), "arm64_serror_panic",
	}, v.data().taints
}

// A Stack is where a stack lies.
type Stack struct{ Low, Size uint64 }

// BadStack is what the kernel says before the registers when there is no room on its stack for the
// exception that has come (handle_bad_stack, from 5.14 on panic_bad_stack). Then it panics by
// nmi_panic: "kernel stack overflow".
func (v Version) BadStack(e ESR, far uint64, task, irq, overflow Stack) []Line {
	from := "panic_bad_stack"
	if v.data().badMode {
		from = "handle_bad_stack"
	}
	line := func(format string, args ...any) Line {
		return Line{Emergency, fmt.Sprintf(format, args...), from}
	}
	stack := func(name string, s Stack) Line {
		return line("%-16s[%s..%s]", name, hex64(s.Low), hex64(s.Low+s.Size))
	}
	return []Line{
		line("Insufficient stack space to handle exception!"),
		line("ESR: %s -- %s", v.esr(e), v.Class(e.EC())),
		line("FAR: %s", hex64(far)),
		stack("Task stack:", task), stack("IRQ stack:", irq), stack("Overflow stack:", overflow),
	}
}

// StackOverflow is what panic() is called with then.
const StackOverflow = "kernel stack overflow"

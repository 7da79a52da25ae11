package simkernel

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Place is where in the kernel's source something stands. The zero value is somewhere in a module
// for such things; a line of 0 in a file that is named is one that is not known.
type Place struct {
	File     string
	Line     int
	Function string
	Module   string
}

// orDefault is the place, or that of the module.
func (p Place) orDefault() Place {
	if p.File == "" {
		p.File = "crash/crash.c"
		if p.Line == 0 {
			p.Line = 42
		}
	}
	if p.Function == "" {
		p.Function, p.Module = "crash_write", "crash"
	}
	return p
}

// symbol is the place as the kernel prints an address. The numbers mean nothing.
func (p Place) symbol() string {
	p = p.orDefault()
	s := p.Function + "+0x10/0x100"
	if p.Module != "" {
		s += " [" + p.Module + "]"
	}
	return s
}

// put puts a place into a line.
func (p Place) put(text string) string {
	p = p.orDefault()
	return strings.NewReplacer("{file}", p.File, "{line}", strconv.Itoa(p.Line), "{func}", p.Function,
		"{sym}", p.symbol()).Replace(text)
}

// BugCall is a BUG() on a machine that has an instruction for it.
type BugCall struct{ At Place }

// fail traps. If a notifier stops die(), the CPU is where it was, and traps again. Only arm64 goes on.
func (f BugCall) fail(m *Machine, x *context) {
	defer m.enterDebug(x)()
	p := &m.kernel.die
	// What a debugger does not mend the third time it never does.
	for range 3 {
		if !p.reports() {
			m.sayBug(f.At)
		}
		m.die(x, oops{str: p.bug, err: p.bugErr, bug: &f.At, code: p.bugCode, at: f.At})
		if x.over(m) || m.kernel.arch == archARM64 {
			return // on arm64 behind the instruction
		}
	}
	m.keepCPU(x)
}

// keepCPU lets the context compute for ever.
func (m *Machine) keepCPU(x *context) {
	m.stick(x.cpu, x.who, x.irqsOff)
	if t := x.who.task; t != nil {
		t.flags |= taskDying
	}
	x.gone = true
}

// reports says whether it is die() itself that says where the BUG is.
func (p *dieProfile) reports() bool {
	for _, s := range p.steps {
		if s == dieReportBug {
			return true
		}
	}
	return false
}

// sayBug says where a BUG is (lib/bug.c, report_bug).
func (m *Machine) sayBug(at Place) {
	defer m.in("report_bug")()
	for _, l := range m.kernel.die.bugSays {
		m.printk(l.level, at.put(l.text))
	}
}

// GenericBug is a BUG() on a machine without an instruction for it: it panics at once
// (include/asm-generic/bug.h).
type GenericBug struct{ At Place }

func (f GenericBug) fail(m *Machine, x *context) {
	defer m.in("BUG")()
	m.printk(defaultMessageLevel, f.At.put("BUG: failure at {file}:{line}/{func}()!"))
	m.panic(x, "BUG!")
}

// BugLeftOut is a BUG() in a kernel that was built without (CONFIG_BUG): it is nothing, and the kernel
// goes on with what must not be.
type BugLeftOut struct{}

func (BugLeftOut) fail(*Machine, *context) {}

// warnStep is a step of WARN().
type warnStep string

const (
	warnCut     warnStep = "cut here"
	warnText    warnStep = "text"
	warnLine    warnStep = "WARNING"
	warnModules warnStep = "print_modules"
	warnRegs    warnStep = "show_regs"
	warnPanic   warnStep = "check_panic_on_warn"
	warnStack   warnStep = "dump_stack"
	warnEnd     warnStep = "print_oops_end_marker"
	warnTaint   warnStep = "add_taint"
)

// warnProfile is what WARN() is in a version (kernel/panic.c, __warn).
type warnProfile struct {
	steps []warnStep
	// line is the one that says where, with names in braces, and level the one that it has.
	line  string
	level kernel.Level
	// set is the panic's text if warnings are to be fatal. clears says that the knob is cleared
	// before panic() could.
	set    string
	clears bool
	// limit says that there is warn_limit.
	limit bool
}

// WarnCall is a WARN() with a text, or a WARN_ON() without.
type WarnCall struct {
	Text string
	// Once is a WARN_ONCE(): of one place the first counts.
	Once bool
	At   Place
}

func (f WarnCall) fail(m *Machine, x *context) {
	if x.over(m) {
		return
	}
	if f.Once {
		if m.oopses.once[f.At] {
			return
		}
		if m.oopses.once == nil {
			m.oopses.once = make(map[Place]bool)
		}
		m.oopses.once[f.At] = true
	}
	defer m.in("__warn")()
	for _, s := range m.kernel.warn.steps {
		out := m.in(string(s))
		m.warnStep(x, f, s)
		out()
		if x.over(m) {
			return
		}
	}
}

func (m *Machine) warnStep(x *context, f WarnCall, s warnStep) {
	p := &m.kernel.warn
	switch s {
	case warnCut:
		m.printk(p.level, cutHere)
	case warnText:
		if f.Text != "" {
			m.printk(p.level, f.Text)
		}
	case warnLine:
		line := strings.NewReplacer("{cpu}", strconv.Itoa(x.cpu.id), "{pid}",
			strconv.Itoa(int(x.who.pid)), "{comm}", x.who.comm).Replace(p.line)
		m.printk(p.level, f.At.put(line))
	case warnModules:
		m.printModules()
	case warnRegs:
		m.showRegs(x)
	case warnPanic:
		m.checkPanicOnWarn(x, "kernel")
	case warnStack:
		m.dumpStack(x)
	case warnEnd:
		m.sayEndTrace()
	case warnTaint:
		m.addTaint(x, taintWarn)
	}
}

const cutHere = "------------[ cut here ]------------"

// checkPanicOnWarn panics if a warning is to be fatal, or one too many (kernel/panic.c,
// check_panic_on_warn). Sanitizers and the scheduler ask it, too, as origin.
func (m *Machine) checkPanicOnWarn(x *context, origin string) {
	p := &m.kernel.warn
	if m.isSet("kernel/panic_on_warn") {
		if p.clears {
			m.keepKnob("kernel/panic_on_warn", "0")
		}
		m.panic(x, "%s", strings.ReplaceAll(p.set, "{origin}", origin))
		return
	}
	if !p.limit {
		return
	}
	limit := uint32(m.knobNumber("kernel/warn_limit"))
	m.oopses.warned++
	if limit != 0 && m.oopses.warned >= limit {
		m.panic(x, "%s", fmt.Sprintf("%s: system warned too often (kernel.warn_limit is %d)", origin,
			int32(limit)))
	}
}

package simkernel

import (
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// taint is a flag of kernel.tainted (include/linux/panic.h).
type taint uint

// The flags that the model sets.
const (
	taintMachineCheck taint = 4
	taintDie          taint = 7
	taintWarn         taint = 9
	taintOutOfTree    taint = 12
	taintUnsigned     taint = 13
	taintSoftLockup   taint = 14
)

// taintLetters are what stands for the flags that are set. Of the first there is one for not being
// set, too.
const (
	taintLetters = "PFSRMBUDAWCIOELKXTNJ"
	taintGPL     = 'G'
)

func (m *Machine) isTainted(t taint) bool { return m.knobNumber("kernel/tainted")&(1<<t) != 0 }

// addTaint sets a flag, which may be one that must not be set (kernel/panic.c, add_taint).
func (m *Machine) addTaint(x *context, t taint) {
	n := m.knobNumber("kernel/tainted") | 1<<t
	m.keepKnob("kernel/tainted", strconv.FormatInt(n, 10))
	m.checkPanicOnTaint(x, n)
}

// checkPanicOnTaint panics if a flag is set that panic_on_taint has. It is asked once.
func (m *Machine) checkPanicOnTaint(x *context, n int64) {
	if m.kernel.panicOnTaint && uint64(n)&m.panicOnTaint != 0 {
		m.panicOnTaint = 0
		m.panic(x, "panic_on_taint set ...")
	}
}

// panicOnTaintArgument takes panic_on_taint=MASK[,nousertaint] (kernel/panic.c,
// panic_on_taint_setup).
func (m *Machine) panicOnTaintArgument(value string) {
	mask, mode, _ := strings.Cut(value, ",")
	n, err := strconv.ParseUint(strings.TrimPrefix(mask, "0x"), 16, 64)
	n &= 1<<m.kernel.taints - 1
	if !m.kernel.panicOnTaint || err != nil || n == 0 {
		return
	}
	m.panicOnTaint, m.noUserTaint = n, mode == "nousertaint"
	state := "disabled"
	if m.noUserTaint {
		state = "enabled"
	}
	defer m.in("panic_on_taint_setup")()
	m.printk(info, "panic_on_taint: bitmask=0x"+strconv.FormatUint(n, 16)+" nousertaint_mode="+state)
}

// writeTainted writes kernel.tainted, with all that follows from it (kernel/sysctl.c, proc_taint).
func (m *Machine) writeTainted(value string) kernel.Errno {
	n, _ := strconv.ParseInt(value, 10, 64)
	if m.noUserTaint && uint64(n)&m.panicOnTaint != 0 {
		return kernel.EINVAL
	}
	m.keepKnob("kernel/tainted", value)
	if len(m.cpus) == 0 {
		return 0 // the command line, and nobody runs yet
	}
	m.checkPanicOnTaint(m.here(m.caller()), n)
	return 0
}

// taintNames are what 6.12 spells the flags out as (kernel/panic.c, taint_flags).
var taintNames = [...]string{
	"PROPRIETARY_MODULE", "FORCED_MODULE", "CPU_OUT_OF_SPEC", "FORCED_RMMOD", "MACHINE_CHECK",
	"BAD_PAGE", "USER", "DIE", "OVERRIDDEN_ACPI_TABLE", "WARN", "CRAP", "FIRMWARE_WORKAROUND",
	"OOT_MODULE", "UNSIGNED_MODULE", "SOFTLOCKUP", "LIVEPATCH", "AUX", "RANDSTRUCT", "TEST", "FWCTL",
}

// spellTaints is the line that 6.12 has behind the one with the letters, if there are any
// (lib/dump_stack.c, print_tainted_verbose).
func (m *Machine) spellTaints() {
	n := m.knobNumber("kernel/tainted")
	if !m.kernel.dump.uid || n == 0 {
		return
	}
	var set []string
	for i, l := range taintLetters[:m.kernel.taints] {
		if n&(1<<i) != 0 {
			set = append(set, "["+string(l)+"]="+taintNames[i])
		}
	}
	m.printk(defaultMessageLevel, "Tainted: "+strings.Join(set, ", "))
}

// printTainted is what a kernel says of its taint (kernel/panic.c, print_tainted).
func (m *Machine) printTainted() string {
	n := m.knobNumber("kernel/tainted")
	if n == 0 {
		return "Not tainted"
	}
	var b strings.Builder
	b.WriteString("Tainted: ")
	for i, l := range taintLetters[:m.kernel.taints] {
		switch {
		case n&(1<<i) != 0:
			b.WriteRune(l)
		case i == 0:
			b.WriteRune(taintGPL)
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

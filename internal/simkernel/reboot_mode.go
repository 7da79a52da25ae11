package simkernel

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// RebootMode is reboot_mode (include/linux/reboot.h).
type RebootMode uint8

// The modes.
const (
	ModeCold RebootMode = iota
	ModeWarm
	ModeHard
	ModeSoft
	ModeGPIO
	ModeUndefined
)

// String returns the name that /sys/kernel/reboot/mode has for it.
func (r RebootMode) String() string {
	return [...]string{"cold", "warm", "hard", "soft", "gpio", "undefined"}[r]
}

// setUpRebootMode gives the knobs their defaults, and what the kernel command line says.
func (m *Machine) setUpRebootMode() {
	r := &m.reboot
	r.method, r.panicMode = ResetACPI, ModeUndefined
	if m.kernel.arch == archARM {
		r.mode = ModeHard
	}
	if m.cfg.Cmdline == "" {
		return
	}
	for word := range strings.FieldsSeq(m.cfg.Cmdline) {
		switch name, value, _ := strings.Cut(word, "="); {
		case name == "reboot":
			m.rebootSetup(value)
		case word == "acpi=off":
			r.acpiOff = true
		case word == "initcall_debug":
			r.initcallDebug = true
		case name == "hw_protection" && m.kernel.protectsBy:
			r.protection.reboots = value == "reboot"
		}
	}
}

// rebootSetup is reboot= of the kernel command line (kernel/reboot.c, reboot_setup). Of each word
// only the first letter counts.
func (m *Machine) rebootSetup(text string) {
	r := &m.reboot
	for s := range strings.SplitSeq(text, ",") {
		mode := &r.mode
		if rest, ok := strings.CutPrefix(s, "panic_"); ok && m.kernel.panicModes {
			s, mode = rest, &r.panicMode
		}
		if s == "" {
			continue
		}
		switch s[0] {
		case 'w':
			*mode = ModeWarm
		case 'c':
			*mode = ModeCold
		case 'h':
			*mode = ModeHard
		case 'g':
			*mode = ModeGPIO
		case 's':
			m.rebootSetupCPU(s, mode)
		case 'b', 'a', 'k', 't', 'e', 'p':
			r.method = ResetMethod(s[0])
		case 'f':
			r.force = true
		}
	}
}

// rebootSetupCPU is s or smp with a number: the CPU to restart on. Without a number s is soft.
func (m *Machine) rebootSetupCPU(s string, mode *RebootMode) {
	digits := strings.TrimPrefix(s, "smp")
	if digits == s {
		digits = s[1:]
	}
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	if n == 0 {
		*mode = ModeSoft
		return
	}
	cpu, err := strconv.Atoi(digits[:n])
	if err != nil || m.kernel.limitsCPU && cpu >= m.possibleCPUs() {
		m.printk(kernel.Error, m.kernel.prefix+"Ignoring the CPU number in reboot= option. CPU "+
			digits[:n]+" exceeds possible cpu number "+strconv.Itoa(m.possibleCPUs()))
		return
	}
	m.reboot.cpu = cpu
}

func (m *Machine) possibleCPUs() int { return max(m.cfg.Reboot.CPUs, 1) }

// migrateToRebootCPU goes on on the CPU that is to restart, or the first that is there, and reports
// whether it gets on: who keeps that CPU for ever keeps the way down, too (kernel/reboot.c,
// migrate_to_reboot_cpu).
func (m *Machine) migrateToRebootCPU() bool {
	cpu := m.reboot.cpu
	if !m.online(cpu) {
		for cpu = 0; !m.online(cpu) && cpu < m.possibleCPUs(); {
			cpu++
		}
	}
	if m.cfg.Reboot.Trace != nil {
		m.trace("migrate_to_reboot_cpu", strconv.Itoa(cpu))
	}
	return cpu >= len(m.cpus) || m.cpus[cpu].stuck == nil
}

func (m *Machine) online(cpu int) bool {
	for _, off := range m.cfg.Reboot.OfflineCPUs {
		if off == cpu {
			return false
		}
	}
	return cpu < m.possibleCPUs()
}

// sysReboot is where the knobs are, below /sys.
const sysReboot = "kernel/reboot/"

// rebootKnobs are their names.
var rebootKnobs = [...]string{"cpu", "force", "hw_protection", "mode", "type"}

// rebootKnob reads one (kernel/reboot.c, mode_show and its like).
func (m *Machine) rebootKnob(name string) (string, kernel.Errno) {
	r := &m.reboot
	x86 := m.kernel.arch == archX86
	switch {
	case !m.kernel.sysfs:
	case name == "mode":
		return r.mode.String() + "\n", 0
	case name == "type" && x86:
		return r.method.String() + "\n", 0
	case name == "force" && x86:
		if r.force {
			return "1\n", 0
		}
		return "0\n", 0
	case name == "cpu":
		return strconv.Itoa(r.cpu) + "\n", 0
	case name == "hw_protection" && m.kernel.protectsBy:
		return r.protection.action() + "\n", 0
	}
	return "", kernel.ENOENT
}

// setRebootKnob writes one (kernel/reboot.c, mode_store and its like): the word only has to begin
// the text.
func (m *Machine) setRebootKnob(p *process, name, value string) kernel.Errno {
	if _, e := m.rebootKnob(name); e != 0 {
		return e
	}
	if !p.capable(CapSysBoot) {
		return kernel.EPERM
	}
	r := &m.reboot
	switch name {
	case "mode":
		for mode := ModeCold; mode < ModeUndefined; mode++ {
			if strings.HasPrefix(value, mode.String()) {
				r.mode = mode
				return 0
			}
		}
	case "type":
		for method := range resetOrder {
			if strings.HasPrefix(value, method.String()) {
				r.method = method
				return 0
			}
		}
	case "force":
		switch force, ok := kstrtobool(value); {
		case ok:
			r.force = force
			return 0
		}
	case "cpu":
		cpu, err := strconv.ParseUint(strings.TrimSuffix(value, "\n"), 0, 32)
		switch {
		case err != nil:
			return kernel.EINVAL
		case int(cpu) >= m.possibleCPUs():
			return syscall.ERANGE
		}
		r.cpu = int(cpu)
		return 0
	case "hw_protection":
		switch {
		case strings.HasPrefix(value, "shutdown"), strings.HasPrefix(value, "reboot"):
			r.protection.reboots = value[0] == 'r'
			return 0
		}
	}
	return kernel.EINVAL
}

// kstrtobool reads a truth value (lib/kstrtox.c, kstrtobool).
func kstrtobool(s string) (value, ok bool) {
	if s == "" {
		return false, false
	}
	switch s[0] {
	case 'y', 'Y', 't', 'T', '1':
		return true, true
	case 'n', 'N', 'f', 'F', '0':
		return false, true
	case 'o', 'O':
		if len(s) > 1 && (s[1] == 'n' || s[1] == 'N') {
			return true, true
		}
		if len(s) > 1 && (s[1] == 'f' || s[1] == 'F') {
			return false, true
		}
	}
	return false, false
}

// Package qemu starts virtual machines and talks to them: reads and writes their serial
// consoles, hears what ended them, presses their buttons.
//
// Launch and what it returns know nothing of tests; a Guest wraps them for tests, where anything
// unexpected ends the test with the last lines of the console.
package qemu

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// A Machine says how a virtual machine is to be built. Its zero value with an Initrd boots.
type Machine struct {
	Arch   string   // "amd64", which is the default, "arm64", "arm" or "riscv64"
	Kernel string   // file; if empty the one of `make deps`
	Initrd []string // files; the kernel unpacks them in this order, one over the other
	Files  []File   // unpacked last, so that they replace what the Initrd has
	Append string   // words for the kernel command line; they override the ones given anyway

	Board   string   // QEMU's -machine; if empty "pc" or "virt"
	Memory  int      // MiB; if 0, 256
	CPUs    int      // if 0, 1
	Serial  int      // serial ports; if 0, 1; the first is the console
	Options []string // further options of QEMU
	Accel   string   // if empty "tcg"

	// KeepResets lets the guest boot again when it resets itself; otherwise that ends the machine.
	KeepResets bool

	// KernelPanic leaves panics to the kernel's defaults, and to init; otherwise the boot line
	// says panic=-1, so that a panic ends the machine at once.
	KernelPanic bool

	// Loud leaves the console's level to the kernel's default; otherwise the boot line says quiet.
	Loud bool

	// Room is how many bytes of each console may wait for a reader that is slow; with 0 it is a few
	// hundred. If there is none, the machine waits, by its own clock.
	Room int

	// Limit is the longest the machine may live. If 0, ten minutes.
	Limit time.Duration
}

// A File is put into the guest's initramfs. It has either Data or a Source.
type File struct {
	Path   string // without a leading slash
	Perm   uint32 // if 0, 0644
	Data   string
	Source string // a file of this machine
}

// A platform is what differs between architectures.
type platform struct {
	program string
	board   string
	cpu     string
	words   string // of the kernel command line
}

// On a busy host an emulated timer is late, which a PC's kernel may take for broken wiring and
// panic; no_timer_check keeps it from looking [arch/x86/kernel/apic/io_apic.c, check_timer].
var platforms = map[string]platform{
	"amd64":   {"qemu-system-x86_64", "pc", "", "console=ttyS0 no_timer_check"},
	"arm64":   {"qemu-system-aarch64", "virt", "cortex-a57", "console=ttyAMA0"},
	"arm":     {"qemu-system-arm", "virt", "cortex-a15", "console=ttyAMA0"},
	"riscv64": {"qemu-system-riscv64", "virt", "", "console=ttyS0"},
}

// withDefaults fills in what the caller left open.
func (m Machine) withDefaults() (Machine, error) {
	if m.Arch == "" {
		m.Arch = "amd64"
	}
	p, ok := platforms[m.Arch]
	if !ok {
		return m, fmt.Errorf("machine architecture %q: want amd64, arm64, arm or riscv64", m.Arch)
	}
	if m.Kernel == "" {
		m.Kernel = Kernel(m.Arch)
	}
	if m.Board == "" {
		m.Board = p.board
	}
	if m.Memory == 0 {
		m.Memory = 256
	}
	if m.CPUs == 0 {
		m.CPUs = 1
	}
	if m.Serial == 0 {
		m.Serial = 1
	}
	if m.Accel == "" {
		m.Accel = "tcg"
	}
	if m.Limit == 0 {
		m.Limit = 10 * time.Minute
	}
	return m, nil
}

// Command is the QEMU program and its arguments for a machine whose serial ports and monitor are
// yet to be added. The initrd is one file or empty.
//
// A kernel that panics reboots at once, which ends the machine unless resets are kept: a test
// should not wait for a machine that is dead.
func (m Machine) Command(initrd string) (program string, args []string, err error) {
	m, err = m.withDefaults()
	if err != nil {
		return "", nil, err
	}
	p := platforms[m.Arch]
	args = []string{
		"-nodefaults", "-no-user-config", "-display", "none",
		"-machine", m.Board, "-accel", m.Accel,
		"-m", strconv.Itoa(m.Memory), "-smp", strconv.Itoa(m.CPUs),
		"-kernel", m.Kernel,
		"-append", m.words(p),
	}
	if p.cpu != "" {
		args = append(args, "-cpu", p.cpu)
	}
	if initrd != "" {
		args = append(args, "-initrd", initrd)
	}
	if !m.KeepResets {
		args = append(args, "-no-reboot")
	}
	return p.program, append(args, m.Options...), nil
}

// words are the kernel's command line.
func (m Machine) words(p platform) string {
	said := p.words
	if !m.KernelPanic {
		said += " panic=-1"
	}
	if !m.Loud {
		said += " quiet"
	}
	return said + " " + m.Append
}

// Kernel is where `make deps` puts the kernel for an architecture.
func Kernel(arch string) string {
	return filepath.Join(BuildDir(), "kernels", arch, "vmlinuz")
}

// Image is where `make image` puts the initramfs for an architecture.
func Image(arch string) string {
	return filepath.Join(BuildDir(), "image-"+arch+".cpio.gz")
}

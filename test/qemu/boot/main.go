// Boot starts an initramfs in QEMU: it is what `make run` runs.
//
//	boot [--arch ARCH] [--kernel FILE] [--memory MIB] [--append WORDS] [--accel NAME]
//	     --initrd FILE [--demo FILE]
//
// On a terminal the guest's console is the terminal, until the guest powers off or Ctrl-A x is
// pressed. Otherwise the initramfs of --demo is booted, which is to power off by itself; the exit
// status is 0 only if the kernel said that it powered down, and the machine then did.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/qemu"
)

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "boot: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var m qemu.Machine
	f := pflag.NewFlagSet("boot", pflag.ContinueOnError)
	f.StringVar(&m.Arch, "arch", "amd64", "`ARCH` of the guest: amd64, arm64, arm or riscv64")
	f.StringVar(&m.Kernel, "kernel", "", "kernel `FILE`; if empty the one that make deps fetched")
	f.StringVar(&m.Append, "append", "", "further `WORDS` of the kernel command line")
	f.StringVar(&m.Accel, "accel", "tcg", "QEMU's accelerator, by `NAME`")
	f.IntVar(&m.Memory, "memory", 256, "`MIB` of memory")
	initrd := f.String("initrd", "", "initramfs `FILE`")
	demo := f.String("demo", "", "initramfs `FILE` without a terminal; if empty the same")
	f.DurationVar(&m.Limit, "limit", 3*time.Minute, "without a terminal: `TIME` to power off")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *initrd == "" || f.NArg() > 0 {
		return errors.New("want --initrd FILE and no further argument; see --help")
	}
	if isTerminal(os.Stdin) {
		m.Initrd = []string{*initrd}
		m.KeepResets = true
		return interactive(m)
	}
	if *demo == "" {
		*demo = *initrd
	}
	m.Initrd = []string{*demo}
	return unattended(m, os.Stdout)
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// interactive becomes QEMU, so that nothing stands between it and the terminal. Keys such as
// Ctrl-C go to the guest.
func interactive(m qemu.Machine) error {
	if err := m.Check(); err != nil {
		return err
	}
	program, args, err := m.Command(m.Initrd[0])
	if err != nil {
		return err
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	fmt.Print("boot: in the guest: poweroff, reboot, halt. " +
		"To leave at any time, also after halt: Ctrl-A, then x.\n")
	argv := append([]string{program}, args...)
	err = syscall.Exec(path, append(argv, "-serial", "mon:stdio"), os.Environ())
	return &os.PathError{Op: "exec", Path: path, Err: err}
}

// unattended boots and waits for the end, and shows the console meanwhile.
func unattended(m qemu.Machine, console io.Writer) error {
	begin := time.Now()
	vm, err := qemu.Launch(m, console)
	if err != nil {
		return err
	}
	defer vm.Kill()
	// QEMU ends itself by the limit; the rest is for a QEMU that does not.
	end, err := vm.Wait(m.Limit + time.Minute)
	if err != nil {
		return err
	}
	took := time.Since(begin).Round(time.Millisecond)
	said := false
	for _, r := range qemu.KernelLog(vm.Console(0).Transcript()) {
		said = said || r.Text == "reboot: Power down"
	}
	switch {
	case !said && !end.TimedOut() && strings.TrimSpace(vm.Console(0).Transcript()) == "":
		return fmt.Errorf("ended by %s after %v, and nothing stood on the console: %d MiB of memory "+
			"may be too little, or the kernel is for another machine", end.Reason, took, m.Memory)
	case !said && end.TimedOut():
		return fmt.Errorf("not powered down after %v", took)
	case !said:
		return fmt.Errorf("ended by %s after %v, and the kernel did not say `reboot: Power down`",
			end.Reason, took)
	// QEMU's riscv64 board ends without a word [QEMU 7.2, hw/misc/sifive_test.c].
	case (end.Reason != "guest-shutdown" && end.Reason != "") || end.Err != nil:
		return fmt.Errorf("the kernel powered down, but the machine ended by %q (%v)",
			end.Reason, end.Err)
	}
	fmt.Fprintf(console, "boot: powered down after %v\n", took)
	return nil
}

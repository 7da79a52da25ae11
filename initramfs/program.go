package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
)

// A machine is what a program must be made for.
type machine struct {
	arch  string // as Go names it
	elf   elf.Machine
	class elf.Class
}

// machineFor returns the machine that Go calls arch. All four are little-endian.
func machineFor(arch string) (machine, error) {
	switch arch {
	case "amd64":
		return machine{arch, elf.EM_X86_64, elf.ELFCLASS64}, nil
	case "arm64":
		return machine{arch, elf.EM_AARCH64, elf.ELFCLASS64}, nil
	case "arm":
		return machine{arch, elf.EM_ARM, elf.ELFCLASS32}, nil
	case "riscv64":
		return machine{arch, elf.EM_RISCV, elf.ELFCLASS64}, nil
	}
	return machine{}, fmt.Errorf("--arch %s: want amd64, arm64, arm or riscv64", arch)
}

// checkProgram refuses a file that the kernel of that machine cannot execute by itself: there is
// no dynamic loader in the image, and a script's interpreter would have to come first.
func checkProgram(flag, name string, m machine) error {
	why, err := programFault(name, m)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if why != "" {
		return fmt.Errorf("%s: %s: %s", flag, name, why)
	}
	return nil
}

// programFault says why a file is no static program for the machine.
func programFault(name string, m machine) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "not a regular file", nil
	}
	f, err := elf.Open(name)
	var format *elf.FormatError
	switch {
	case errors.As(err, &format):
		return "not an ELF program", nil
	case err != nil:
		// An empty or short file is one that ends before its header does.
		return fmt.Sprintf("not an ELF program: %v", err), nil
	}
	defer f.Close()
	switch {
	case f.Machine != m.elf || f.Class != m.class || f.Data != elf.ELFDATA2LSB:
		return fmt.Sprintf("a program for %v %v %v, but --arch %s wants %v %v %v",
			f.Machine, f.Class, f.Data, m.arch, m.elf, m.class, elf.ELFDATA2LSB), nil
	case f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN:
		return fmt.Sprintf("not a program but %v", f.Type), nil
	}
	return linkFault(f)
}

// linkFault says what a program wants to be linked with when it starts.
func linkFault(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "not static: it wants a dynamic loader (build with CGO_ENABLED=0 or -static)", nil
		}
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		return "", err
	}
	if len(needed) > 0 {
		return fmt.Sprintf("not static: it wants %s", needed[0]), nil
	}
	if f.Entry == 0 {
		return "a library, not a program", nil
	}
	return "", nil
}

package main

import (
	"debug/elf"
	"os"
	"strings"
	"testing"
)

func TestProgramsThatAreAccepted(t *testing.T) {
	for _, tt := range []struct {
		arch string
		p    fakeProgram
	}{
		{"amd64", static("")},
		{"amd64", fakeProgram{machine: elf.EM_X86_64, class: elf.ELFCLASS64, kind: elf.ET_DYN}},
		{"arm64", fakeProgram{machine: elf.EM_AARCH64, class: elf.ELFCLASS64, kind: elf.ET_EXEC}},
		{"riscv64", fakeProgram{machine: elf.EM_RISCV, class: elf.ELFCLASS64, kind: elf.ET_EXEC}},
		{"arm", fakeProgram{machine: elf.EM_ARM, class: elf.ELFCLASS32, kind: elf.ET_EXEC}},
	} {
		m, err := machineFor(tt.arch)
		if err != nil {
			t.Fatal(err)
		}
		file := put(t, t.TempDir(), "init", tt.p.bytes(), 0o755)
		if err := checkProgram("--init", file, m); err != nil {
			t.Errorf("%s %v: got %v, want no error", tt.arch, tt.p.kind, err)
		}
	}
}

func TestProgramsThatAreRefused(t *testing.T) {
	with := func(change func(*fakeProgram)) []byte {
		p := static("")
		change(&p)
		return p.bytes()
	}
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"script", []byte("#!/bin/sh\nexec /bin/busybox init\n"), "not an ELF program"},
		{"empty", nil, "not an ELF program"},
		{"cut short", static("").bytes()[:40], "not an ELF program"},
		{
			"other machine", with(func(p *fakeProgram) { p.machine = elf.EM_AARCH64 }),
			"a program for EM_AARCH64 ELFCLASS64 ELFDATA2LSB, but --arch amd64 wants EM_X86_64",
		},
		{
			"i386", with(func(p *fakeProgram) { p.machine, p.class = elf.EM_386, elf.ELFCLASS32 }),
			"a program for EM_386 ELFCLASS32",
		},
		{"x32", with(func(p *fakeProgram) { p.class = elf.ELFCLASS32 }), "ELFCLASS32"},
		{
			"object file", with(func(p *fakeProgram) { p.kind = elf.ET_REL }),
			"not a program but ET_REL",
		},
		{
			"dynamic", with(func(p *fakeProgram) { p.interp = "/lib64/ld-linux-x86-64.so.2" }),
			"not static: it wants a dynamic loader",
		},
		{
			"library needed", with(func(p *fakeProgram) { p.needed = "libc.so.6" }),
			"not static: it wants libc.so.6",
		},
		{
			"library", with(func(p *fakeProgram) { p.kind, p.noEntry = elf.ET_DYN, true }),
			"a library, not a program",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := machineFor("amd64")
			if err != nil {
				t.Fatal(err)
			}
			file := put(t, t.TempDir(), "prog", tt.data, 0o755)
			err = checkProgram("--init", file, m)
			if err == nil || !strings.HasPrefix(err.Error(), "--init: "+file+": ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant --init: %s: %s", err, file, tt.want)
			}
		})
	}
}

// FuzzProgram: no file makes the check panic.
func FuzzProgram(f *testing.F) {
	f.Add(static("").bytes())
	p := static("")
	p.needed = "libc.so.6"
	f.Add(p.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := machineFor("amd64")
		if err != nil {
			t.Fatal(err)
		}
		file := put(t, t.TempDir(), "prog", data, 0o755)
		if err := checkProgram("--init", file, m); err != nil && os.IsNotExist(err) {
			t.Error(err)
		}
	})
}

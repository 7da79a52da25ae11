package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A fakeProgram is an ELF file with as much in it as the builder looks at.
type fakeProgram struct {
	machine elf.Machine
	class   elf.Class
	kind    elf.Type
	interp  string // dynamic loader
	needed  string // library
	noEntry bool
	tail    string // what follows the headers
}

// static is a program that is accepted for amd64.
func static(tail string) fakeProgram {
	return fakeProgram{machine: elf.EM_X86_64, class: elf.ELFCLASS64, kind: elf.ET_EXEC, tail: tail}
}

// bytes builds the file: headers, program headers, the text of the loader's name, strings, the
// dynamic section, section headers, tail.
func (p fakeProgram) bytes() []byte {
	if p.class == elf.ELFCLASS32 {
		return p.bytes32()
	}
	const names = "\x00.dynamic\x00.dynstr\x00.shstrtab\x00"
	interp, dynstr := p.interp+"\x00", "\x00"+p.needed+"\x00"
	const phoff, phsize = 64, 56
	interpOff := uint64(phoff + phsize)
	strOff := interpOff + uint64(len(interp))
	dynOff := strOff + uint64(len(dynstr))
	dynamic := []uint64{uint64(elf.DT_NEEDED), 1, uint64(elf.DT_NULL), 0}
	if p.needed == "" {
		dynamic = dynamic[2:]
	}
	namesOff := dynOff + uint64(8*len(dynamic))
	prog := elf.Prog64{Type: uint32(elf.PT_LOAD)}
	if p.interp != "" {
		prog = elf.Prog64{Type: uint32(elf.PT_INTERP), Off: interpOff, Filesz: uint64(len(interp))}
	}
	sections := []elf.Section64{
		{},
		{
			Name: 1, Type: uint32(elf.SHT_DYNAMIC), Off: dynOff, Size: uint64(8 * len(dynamic)),
			Link: 2, Entsize: 16,
		},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: strOff, Size: uint64(len(dynstr))},
		{Name: 18, Type: uint32(elf.SHT_STRTAB), Off: namesOff, Size: uint64(len(names))},
	}
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', 2, 1, 1},
		Type:  uint16(p.kind), Machine: uint16(p.machine), Version: 1, Entry: 0x401000,
		Phoff: phoff, Phentsize: phsize, Phnum: 1, Ehsize: 64, Shentsize: 64,
		Shoff: namesOff + uint64(len(names)), Shnum: 4, Shstrndx: 3,
	}
	if p.noEntry {
		header.Entry = 0
	}
	return encode(header, prog, []byte(interp), []byte(dynstr), dynamic, []byte(names), sections,
		[]byte(p.tail))
}

// bytes32 is the same for 32 bits, with nothing to link.
func (p fakeProgram) bytes32() []byte {
	return encode(elf.Header32{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', 1, 1, 1},
		Type:  uint16(p.kind), Machine: uint16(p.machine), Version: 1, Entry: 0x401000,
		Phoff: 52, Phentsize: 32, Phnum: 1, Ehsize: 52, Shentsize: 40,
	}, elf.Prog32{Type: uint32(elf.PT_LOAD)}, []byte(p.tail))
}

func encode(parts ...any) []byte {
	var b bytes.Buffer
	for _, part := range parts {
		// Writing to memory fails only for types without a fixed size.
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// appletNul is a table of applets as it lies in BusyBox.
func appletNul(names ...string) string { return strings.Join(names, "\x00") + "\x00\x00" }

// put writes a file into dir and returns its path.
func put(t *testing.T, dir, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, data, mode); err != nil {
		t.Fatal(err)
	}
	return p
}

package modules

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// version is the kernel that made-up modules are for.
const version = "6.1.0-test"

// ko is a module as the builder sees one: an ELF object with a section .modinfo.
func ko(machine elf.Machine, fields ...string) []byte {
	const names = "\x00.modinfo\x00.shstrtab\x00"
	info := strings.Join(append(fields, "vermagic="+version+" SMP mod_unload"), "\x00") + "\x00"
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(info))},
		{
			Name: 10, Type: uint32(elf.SHT_STRTAB), Off: 64 + uint64(len(info)),
			Size: uint64(len(names)),
		},
	}
	header := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', 2, 1, 1},
		Type:    uint16(elf.ET_REL),
		Machine: uint16(machine), Version: 1, Ehsize: 64, Shentsize: 64,
		Shoff: 64 + uint64(len(info)+len(names)), Shnum: 3, Shstrndx: 2,
	}
	var b bytes.Buffer
	// Writing to memory fails only for types without a fixed size.
	for _, part := range []any{header, []byte(info), []byte(names), sections} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// pack compresses data as the suffix of name says.
func pack(t *testing.T, name string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch filepath.Ext(name) {
	case ".gz":
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	case ".zst":
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(w.EncodeAll(data, nil))
	case ".xz":
		b.WriteString("\xfd7zXZ\x00 and what only xz can read")
	default:
		return data
	}
	return b.Bytes()
}

// plant makes a module tree of files by their content: for a module, the fields of .modinfo, one
// a line; for anything else the text itself.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), version)
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		data := []byte(text)
		if _, ok := packing(name); ok {
			data = pack(t, name, ko(elf.EM_X86_64, strings.Split(text, "\n")...))
		}
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

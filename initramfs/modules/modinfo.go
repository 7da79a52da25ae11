package modules

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxModule bounds what a compressed module may unpack to. The largest of Debian's has 30 MB.
const maxModule = 256 << 20

// packing returns the compression of a module file by its suffix: "", "gz", "xz" or "zst".
func packing(file string) (string, bool) {
	_, suffix, ok := strings.Cut(file, ".ko")
	switch suffix {
	case "":
		return "", ok
	case ".gz", ".xz", ".zst":
		return suffix[1:], true
	}
	return "", false
}

// unpacked returns the path that a module has when it is not compressed.
func unpacked(file string) string {
	if p, ok := packing(file); ok && p != "" {
		return strings.TrimSuffix(file, "."+p)
	}
	return file
}

// unpack returns the content of a module file, uncompressed. An xz file stays as it is, and says
// so by readable being false.
func unpack(file string) (data []byte, readable bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	var r io.Reader = f
	p, _ := packing(file)
	switch p {
	case "gz":
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", file, err)
		}
		r = z
	case "zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", file, err)
		}
		defer z.Close()
		r = z
	}
	data, err = io.ReadAll(io.LimitReader(r, maxModule+1))
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", file, err)
	}
	if len(data) > maxModule {
		return nil, false, fmt.Errorf("%s: more than %d bytes", file, maxModule)
	}
	return data, p != "xz", nil
}

// modinfo is what a module says about itself, by field; a field may be there several times.
type modinfo struct {
	fields  map[string][]string
	machine elf.Machine
}

// readModinfo reads the .modinfo section of a module [scripts/mod/modpost.c].
func readModinfo(file string, data []byte) (modinfo, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return modinfo{}, fmt.Errorf("%s: not a kernel module: %w", file, err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return modinfo{}, fmt.Errorf("%s: not a kernel module: no section .modinfo", file)
	}
	text, err := section.Data()
	if err != nil {
		return modinfo{}, fmt.Errorf("%s: section .modinfo: %w", file, err)
	}
	info := modinfo{fields: map[string][]string{}, machine: f.Machine}
	for field := range strings.SplitSeq(string(text), "\x00") {
		if key, value, ok := strings.Cut(field, "="); ok {
			info.fields[key] = append(info.fields[key], value)
		}
	}
	return info, nil
}

// first returns a field that is there at most once.
func (m modinfo) first(key string) string {
	if v := m.fields[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// depends returns the names of the modules whose symbols this one uses.
func (m modinfo) depends() []string {
	return strings.FieldsFunc(m.first("depends"), func(r rune) bool { return r == ',' })
}

// release returns the kernel that the module was built for: the first word of vermagic.
func (m modinfo) release() string {
	release, _, _ := strings.Cut(m.first("vermagic"), " ")
	return release
}

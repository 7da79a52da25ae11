package main

import (
	"os"
	"path/filepath"
	"strings"
)

// running is the machine that panicctl runs on, below a directory that stands for its root.
type running struct{ root string }

// Read reads a setting by its path below /, such as proc/sys/kernel/panic or
// sys/module/kernel/parameters/panic. The error is that of the file, so that errors.Is knows a setting
// that the kernel does not have (fs.ErrNotExist).
func (r running) Read(path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(r.root, "/", path))
	return strings.TrimRight(string(text), "\n"), err
}

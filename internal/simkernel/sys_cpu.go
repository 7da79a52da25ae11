package simkernel

import (
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysCPUs is where the CPUs are, below /sys.
const sysCPUs = "devices/system/cpu"

// crashNotesOf says of which CPU a path is crash_notes or crash_notes_size: where the note for its
// registers is, in hexadecimal digits, and how many bytes it has (drivers/base/cpu.c). Only a kernel
// that can start a crash kernel has them.
func (m *Machine) crashNotesOf(path string) (cpu int, file string, ok bool) {
	rest, ok := strings.CutPrefix(path, sysCPUs+"/cpu")
	number, file, found := strings.Cut(rest, "/")
	cpu, err := strconv.Atoi(number)
	if !ok || !found || err != nil || cpu < 0 || cpu >= len(m.cpus) || len(m.kernel.kexecs.shutdown) == 0 {
		return 0, "", false
	}
	return cpu, file, file == "crash_notes" || file == "crash_notes_size"
}

// crashNotes is the text of one.
func (m *Machine) crashNotes(cpu int, file string) string {
	addr, size := m.kexec().NoteOf(cpu)
	if file == "crash_notes" {
		return strconv.FormatUint(addr, 16) + "\n"
	}
	return strconv.FormatUint(size, 10) + "\n"
}

// statCPU says what is at a path: the directory of the CPUs, of one, or a file there.
func (m *Machine) statCPU(path string) (nodeKind, uint16, bool) {
	if path == "devices/system" || path == sysCPUs {
		return kindDir, 0o755, true
	}
	if _, _, ok := m.crashNotesOf(path); ok {
		return kindFile, 0o400, true
	}
	if _, _, ok := m.crashNotesOf(path + "/crash_notes"); ok {
		return kindDir, 0o755, true
	}
	return 0, 0, false
}

// listCPUs are the names there.
func (m *Machine) listCPUs(path string) []string {
	var names []string
	switch path {
	case "devices":
		return []string{"system"}
	case "devices/system":
		return []string{"cpu"}
	case sysCPUs:
		for i := range m.cpus {
			name := "cpu" + strconv.Itoa(i)
			if _, _, ok := m.statCPU(path + "/" + name); ok {
				names = append(names, name)
			}
		}
	default:
		for _, name := range []string{"crash_notes", "crash_notes_size"} {
			if _, _, ok := m.crashNotesOf(path + "/" + name); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// readCPU reads one of the files.
func (m *Machine) readCPU(path string) (string, kernel.Errno) {
	if cpu, file, ok := m.crashNotesOf(path); ok {
		return m.crashNotes(cpu, file), 0
	}
	return "", kernel.ENOENT
}

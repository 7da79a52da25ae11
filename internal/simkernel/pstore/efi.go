package pstore

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// EFI keeps records in variables of the firmware (drivers/firmware/efi/efi-pstore.c), which need no
// power. Every part of a dump is a variable.
type EFI struct {
	rules Rules
	// vars are the firmware's, by the name that the driver gives them.
	vars map[string][]byte
	room int
}

// efiRecord is how long a variable may be.
const efiRecord = 1024

// NewEFI is the backend over the variables of a firmware, which has room for so many bytes of them.
func NewEFI(rules Rules, vars map[string][]byte, room int) *EFI {
	return &EFI{rules: rules, vars: vars, room: room}
}

// Name was efi before 6.6, and is the module's since.
func (e *EFI) Name() string { return e.rules.efi }

// BufSize is that of a variable.
func (e *EFI) BufSize() int { return efiRecord }

// MaxReason is not set: printk.always_kmsg_dump decides.
func (e *EFI) MaxReason() Reason { return Undefined }

// efiID is a record's number, of its time in seconds, part and count.
func efiID(sec int64, part, count int) uint64 {
	return (uint64(sec)*100+uint64(part))*1000 + uint64(count)
}

// Write makes a variable of a record, or returns syscall.ENOSPC.
func (e *EFI) Write(r Record) error {
	used := 0
	for name, data := range e.vars {
		used += len(name) + len(data)
	}
	name := variable(r)
	if used+len(name)+len(r.Data) > e.room {
		return syscall.ENOSPC
	}
	e.vars[name] = slices.Clone(r.Data)
	return nil
}

// Records are the variables with a name of this form, in the order of their names.
func (e *EFI) Records() []Record {
	var all []Record
	for name, data := range e.vars {
		if r, ok := parseVariable(name); ok && len(data) > 0 {
			r.Data = data
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return strings.Compare(variable(a), variable(b)) })
	return all
}

// variable is the name of a record's.
func variable(r Record) string {
	letter := 'D'
	if r.Compressed {
		letter = 'C'
	}
	return fmt.Sprintf("dump-type%d-%d-%d-%d-%c", int(r.Type), r.Part, r.Count, r.Time.Unix(), letter)
}

func parseVariable(name string) (Record, bool) {
	var kind, part, count int
	var sec int64
	var letter rune
	n, err := fmt.Sscanf(name, "dump-type%d-%d-%d-%d-%c", &kind, &part, &count, &sec, &letter)
	if err != nil || n != 5 || kind < 0 || part < 0 || count < 0 || sec < 0 {
		return Record{}, false
	}
	r := Record{
		Type: Type(kind), ID: efiID(sec, part, count), Part: part, Count: count,
		Time: time.Unix(sec, 0).UTC(), Compressed: letter == 'C',
	}
	// Another name for the same record would be one that cannot be erased.
	return r, variable(r) == name
}

// Erase deletes a record's variable.
func (e *EFI) Erase(r Record) error {
	for name := range e.vars {
		if found, ok := parseVariable(name); ok && found.Type == r.Type && found.ID == r.ID {
			delete(e.vars, name)
			return nil
		}
	}
	return syscall.ENOENT
}

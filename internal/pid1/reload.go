package pid1

import (
	"errors"
	"strconv"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
)

// maxBad is how many bad entries are named. A file that is no inittab at all may have a million,
// and a serial console takes milliseconds for each.
const maxBad = 100

// readTable reads the inittab. A file that cannot be read gives the built-in table, an existing
// file without entries an empty one [BusyBox 2.18].
func (in *Init) readTable() inittab.Table {
	b, err := in.k.ReadFile(InittabPath)
	switch {
	case err == nil:
	case errors.Is(err, kernel.ENOENT):
		in.note(kernel.Info, InittabPath+" does not exist: using the built-in table")
		return inittab.BuiltIn()
	case errors.Is(err, kernel.EISDIR):
		in.warn(InittabPath + " is a directory, and holds no entries: a file was expected")
		return nil
	default:
		in.warn(InittabPath + ": " + strerror(err) + ": using the built-in table")
		return inittab.BuiltIn()
	}
	table, found := inittab.Parse(InittabPath, b)
	bad := 0
	for _, d := range found {
		m := d.ConsoleMessage()
		if m == "" {
			continue
		}
		bad++
		if bad <= maxBad {
			in.warn(m)
			in.note(kernel.Info, d.String())
		}
	}
	if bad > maxBad {
		in.warn(strconv.Itoa(bad-maxBad) + " more bad inittab entries: init --check names them")
	}
	return table
}

// reloadTable reads the inittab again. Running processes are not touched: what has no line any
// more runs on, and is not started again when it ends [BusyBox 2.31 to 2.38].
func (in *Init) reloadTable() {
	in.note(kernel.Info, "reloading "+InittabPath)
	in.table = in.readTable()

	lines := make(map[inittab.Key]*inittab.Entry, len(in.table))
	for i := range in.table {
		lines[in.table[i].Key()] = &in.table[i]
	}
	for _, sv := range in.services.all {
		e := lines[sv.Key()]
		sv.listed = e != nil && isService(e.Action)
		if e != nil {
			sv.Entry = e
		}
		if sv.listed {
			continue
		}
		if sv.index >= 0 {
			in.services.remove(sv)
		}
		if sv.prompt != 0 {
			// Nobody is asked to activate what is no longer there.
			in.stopAsking(sv)
		}
	}
	in.services.forget()
	if in.boot.phase == booted {
		in.scheduleNew()
	}
}

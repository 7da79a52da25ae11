package pid1

import (
	"errors"
	"strconv"
	"strings"

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
	in.checkPolicy()
	in.use(in.readTable())
	if in.boot.phase == booted {
		in.scheduleIdle()
	}
}

// use takes a table in the place of the former one.
func (in *Init) use(t inittab.Table) {
	in.table = nil
	for _, e := range t {
		if !isService(e.Action) {
			// A copy of the words, for they would keep the whole file in memory.
			e = inittab.Entry{
				TTY: strings.Clone(e.TTY), Command: strings.Clone(e.Command), Action: e.Action,
			}
			in.table = append(in.table, e)
		}
	}
	for _, fd := range in.services.list(t) {
		// Nobody is asked to activate what is no longer there.
		_ = in.k.Close(fd)
	}
}

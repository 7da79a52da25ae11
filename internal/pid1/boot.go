package pid1

import (
	"github.com/rebound-init/rebound/internal/inittab"
)

// phase is how far the boot has come.
type phase uint8

// The phases, in order.
const (
	toCome  phase = iota // nothing has been started
	sysinit              // the sysinit entries, one after another
	wait                 // the wait entries, one after another
	once                 // the once entries, then the services: no waiting
	booted
)

// boot is the way up. The zero value stands before its first step.
type boot struct {
	phase phase
	seq   sequence
}

// startBoot begins with the first group.
func (in *Init) startBoot() {
	in.boot.phase = sysinit
	in.boot.seq.queue = of(in.table, inittab.Sysinit)
}

// stepBoot goes on with the boot as far as it can without waiting.
func (in *Init) stepBoot() {
	if in.boot.phase == booted {
		return
	}
	for in.boot.phase != booted {
		in.stepSequence(&in.boot.seq)
		if !in.boot.seq.done() {
			return
		}
		// A reload takes effect between groups: the entries of those that have run are not
		// run again [BusyBox 2.39].
		if in.reload {
			in.reload = false
			in.reloadTable()
		}
		in.core.next = 0 // An entry of the group may have made the switch.
		in.boot.phase++
		switch in.boot.phase {
		case wait:
			in.boot.seq.queue = of(in.table, inittab.Wait)
		case once:
			for _, e := range of(in.table, inittab.Once) {
				// If it cannot be started, Start has said so.
				_, _ = in.Start(e, nil)
			}
		case toCome, sysinit, booted:
		}
	}
	in.scheduleIdle()
}

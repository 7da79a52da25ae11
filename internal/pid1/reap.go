package pid1

import (
	"errors"
	"strconv"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/utmp"
)

// UtmpLayout is how utmp records lie in their file.
type UtmpLayout = utmp.Layout

// The files of login records (utmp(5)).
const (
	utmpPath = "/var/run/utmp"
	wtmpPath = "/var/log/wtmp"
)

// reap takes the status of every child that has ended, orphans included. It reports whether
// children are left. It is the one place where children are waited for.
func (in *Init) reap() (left bool) {
	for {
		e, err := in.k.Wait()
		if err != nil {
			return !errors.Is(err, kernel.ECHILD)
		}
		in.reaped(e)
	}
}

func (in *Init) reaped(e kernel.Exit) {
	in.logOut(e.PID)
	c, ours := in.services.children[e.PID]
	delete(in.services.children, e.PID)
	if ours && e.Failed != nil {
		in.explain(c.entry, c.sv, e.Failed)
	}
	if in.way != nil {
		in.way.Reaped(e)
	}
	in.boot.seq.reaped(e.PID)
	in.cad.reaped(e.PID)
	if c.sv == nil {
		return
	}
	c.sv.pid = 0
	if c.sv.terminal != 0 {
		_ = in.k.Close(c.sv.terminal)
		c.sv.terminal = 0
	}
	if in.way != nil {
		return
	}
	next := "Scheduling for restart."
	if !c.sv.listed {
		next = "The inittab does not ask for it any more."
		in.services.forget()
	}
	in.note(kernel.Info, "process '"+c.entry.Command+"' (pid "+strconv.Itoa(int(e.PID))+
		") exited. "+next)
	in.again(c.sv, e.Failed != nil)
}

// logOut marks the login records of a dead process [BusyBox 3.19].
func (in *Init) logOut(pid kernel.PID) {
	if in.way != nil {
		return
	}
	b, err := in.k.ReadFile(utmpPath)
	if err != nil {
		return // Nobody keeps such records here.
	}
	for _, u := range in.opt.Utmp.MarkDead(b, int32(pid), in.k.Wall()) {
		err := in.k.WriteAt(utmpPath, u.Record, u.Offset)
		if err == nil {
			err = in.k.WriteAt(wtmpPath, u.Record, kernel.AtEnd)
		}
		if err != nil && !errors.Is(err, kernel.ENOENT) {
			in.note(kernel.Warning, "login record of pid "+strconv.Itoa(int(pid))+": "+
				err.Error())
		}
	}
}

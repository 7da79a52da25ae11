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
	if in.dogs != nil && in.dogs.Reaped(e.PID) {
		return
	}
	in.logOut(e.PID)
	i := in.services.ended(e.PID)
	command, known := in.commands[e.PID]
	delete(in.commands, e.PID)
	switch {
	case e.Failed == nil:
	case i != none:
		in.explain(in.services.entry(i), i, e.Failed)
	case known:
		in.explain(command, none, e.Failed)
	}
	if in.way != nil {
		in.way.Reaped(e)
	}
	if in.dogs != nil && e.PID == in.boot.seq.waiting {
		in.dogs.LookAgain() // It may have loaded a module.
	}
	in.boot.seq.reaped(e.PID)
	in.cad.reaped(e.PID)
	if i == none {
		return
	}
	sv := in.services.at(i)
	in.letGo(sv)
	if in.way != nil {
		return
	}
	next := "Scheduling for restart."
	if !sv.has(listed) {
		next = "The inittab does not ask for it any more."
	}
	in.note(kernel.Info, "process '"+in.services.key(i).Command+"' (pid "+strconv.Itoa(int(e.PID))+
		") exited. "+next)
	if e.Failed != nil {
		in.again(i, cannotStart)
		return
	}
	in.again(i, howEnded(e.Status))
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

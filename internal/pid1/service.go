package pid1

import (
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	// longLife is how long a command must run to be started again at once.
	longLife = 10 * time.Second
	// firstDelay is the pause after a shorter life, in seconds. It doubles up to lastDelay, and
	// there it stays: a command is never given up.
	firstDelay = 1
	lastDelay  = 30
)

// isService reports whether an entry is kept running.
func isService(a inittab.Action) bool {
	return a == inittab.Respawn || a == inittab.AskFirst
}

// scheduleIdle lets all services start that neither run nor wait for anything.
func (in *Init) scheduleIdle() {
	now := in.k.Now()
	for i := range in.services.all {
		if sv := &in.services.all[i]; sv.has(listed) && sv.idle() {
			in.services.schedule(int32(i), now)
		}
	}
}

// startDue starts what is due.
func (in *Init) startDue() {
	if in.services.nextStart() == kernel.Never {
		return
	}
	now := in.k.Now()
	first, last := int32(len(in.services.all)), none // of those that are to be noted
	for {
		i, ok := in.services.takeDue(now)
		if !ok {
			break
		}
		sv := in.services.at(i)
		sv.at = now
		sv.set(typed, false)
		if sv.has(askFirst) {
			in.ask(i)
			continue
		}
		in.startService(i)
		sv.set(unnoted, true)
		first, last = min(first, i), max(last, i)
	}
	for i := first; i <= last; i++ {
		if sv := in.services.at(i); sv.has(unnoted) {
			sv.set(unnoted, false)
			in.noteService(i)
		}
	}
}

func (in *Init) startService(i int32) {
	if _, err := in.start(in.services.entry(i), i, nil); err != nil {
		in.again(i, cannotStart)
	}
}

// noteService notes a service's start, if it could be started.
func (in *Init) noteService(i int32) {
	if pid := in.services.at(i).pid; pid != 0 {
		in.noteStart(kernel.PID(pid), in.services.entry(i))
	}
}

// cannotStart is what becomes of a service that could not be started. The console has been told why.
const cannotStart = "cannot be started"

// howEnded says how a process has ended.
func howEnded(s kernel.WaitStatus) string {
	if s.Signaled() {
		return "was ended by SIG" + kernel.SignalName(s.Signal())
	}
	return "has ended with status " + strconv.Itoa(s.ExitStatus())
}

// again decides when a service whose process has ended, or could not be started, is started anew.
func (in *Init) again(i int32, what string) {
	sv := in.services.at(i)
	if !sv.has(listed) {
		return
	}
	now := in.k.Now()
	if now-sv.at >= longLife || sv.has(typed) {
		// Where somebody has pressed Enter, it is that person who sets the pace.
		sv.delay, sv.said = 0, 0
		sv.set(announced, false)
		in.services.schedule(i, now)
		return
	}
	sv.delay = min(max(2*sv.delay, firstDelay), lastDelay)
	if !sv.has(announced) {
		sv.set(announced, true)
		say, then := in.warn, " within "+longLife.String()+": starting it again"
		if what == cannotStart {
			// The console has the reason already, and one line is enough there.
			say, then = in.Note, ": trying again"
		}
		e := in.services.entry(i)
		say("'" + e.Command + "'" + on(e.TTY) + " " + what + then + " in " +
			seconds(firstDelay).String() + "; the delay doubles up to " +
			seconds(lastDelay).String())
	}
	in.services.schedule(i, now+seconds(sv.delay))
}

func seconds(n uint8) time.Duration { return time.Duration(n) * time.Second }

// isNews reports whether a failure to start is another one than the last, and keeps it. Of what is
// no service everything is news. The stage is 0 for fork.
func (sv *service) isNews(stage kernel.Stage, errno kernel.Errno) bool {
	if sv == nil {
		return true
	}
	const maxErrno = 4095 // MAX_ERRNO of linux/err.h
	failure := uint16(stage)<<12 | uint16(errno&maxErrno)
	if sv.said == failure {
		return false
	}
	sv.said = failure
	return true
}

func on(tty string) string {
	if tty == "" {
		return ""
	}
	return " on " + tty
}

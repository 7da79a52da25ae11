package pid1

import (
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/shutdown"
)

// entriesLimit is how long the shutdown entries may take all in all once the kernel has failed. They
// have no limit else; but what an oops has left locked never comes back.
const entriesLimit = time.Minute

// followLog begins to follow the kernel log, if the configuration says that something is to be done
// about what stands there.
func (in *Init) followLog(from panicwatch.Position) {
	var rules panicwatch.Rules
	for i, a := range in.set.Panic.After {
		rules[i] = panicwatch.Response(a)
	}
	in.log = panicwatch.Follow(in.k, in, rules, from)
}

// Failed acts on a failure that the kernel has survived. Nothing is done twice: whatever it is, it
// ends the machine.
func (in *Init) Failed(how panicwatch.Response, why string) {
	if in.failed {
		return
	}
	in.failed = true
	why = "the kernel has failed: " + why + ": "
	then := "rebooting"
	switch {
	case in.way != nil:
		// What a person has asked for stands, and comes to an end.
		then = "going down already"
	case how == panicwatch.Panic:
		in.warn(why + "panicking")
		// The kernel takes it from init whatever kernel.sysrq says. Whoever goes on after it
		// is still there.
		err := in.k.SetProc("sysrq-trigger", "c")
		then = "sysrq c has changed nothing: rebooting instead"
		if err != nil {
			then = "sysrq c: " + strerror(err) + ": rebooting instead"
		}
	case how == panicwatch.StopFeeding:
		if in.StopFeeding(strings.TrimSuffix(why, ": ")) {
			return
		}
		then = "there is no watchdog to stop feeding: rebooting instead"
	}
	in.warn(why + then)
	// What was asked for during a pause comes first.
	in.resumeFromPause()
	if in.way == nil {
		in.goDown(shutdown.Reboot)
	}
	in.way.LimitEntries(entriesLimit)
}

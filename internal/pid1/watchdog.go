package pid1

import (
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/shutdown"
	"github.com/rebound-init/rebound/internal/wdt"
)

// openWatchdogs begins to keep the watchdogs, if there are any to keep.
func (in *Init) openWatchdogs() {
	if in.set.Watchdog.Devices == "" {
		return
	}
	if !in.at.Own {
		in.warn("watchdog.device: the machine is not init's own: its watchdogs are left alone")
		return
	}
	in.dogs = in.keeper()
	if in.starved != "" {
		in.dogs.Starve(in.starved)
		return
	}
	in.dogs.Open(in.opt.State == nil)
}

func (in *Init) keeper() *wdt.Keeper {
	set := in.set.Watchdog
	ws := wdt.Settings{
		Devices: strings.Fields(set.Devices), Timeout: set.Timeout, Pretimeout: set.Pretimeout,
		Endless: set.ShutdownTimeout,
	}
	if set.Governor != config.GovernorKeep {
		ws.Governor = set.Governor.String()
	}
	return wdt.New(in.k, in, ws)
}

// StopFeeding lets the watchdogs reset the machine, for a reason that is said. It reports whether
// there is one that does.
func (in *Init) StopFeeding(reason string) bool { return in.dogs != nil && in.dogs.StopFeeding(reason) }

// stepWatchdogs feeds them, if it is time to.
func (in *Init) stepWatchdogs() {
	if in.dogs != nil {
		in.dogs.Step()
	}
}

// feedingTime is when to feed them next.
func (in *Init) feedingTime() time.Duration {
	if in.dogs == nil {
		return kernel.Never
	}
	return in.dogs.Deadline()
}

// Entering arms the watchdogs for a phase of the way down.
func (in *Init) Entering(a shutdown.Action, p shutdown.Phase, limit time.Duration) {
	switch {
	case in.dogs == nil:
	case p != shutdown.Rebooting:
		in.dogs.Guard(p.String(), limit)
	case a == shutdown.Restart:
		// Whoever comes next has as long to open them as init to feed them.
		in.dogs.Guard(p.String(), in.k.Now())
	case a == shutdown.Reboot:
		in.dogs.Guard(p.String(), limit)
	default:
		in.dogs.Last(p.String(), in.set.Watchdog.PowerOff == config.WatchdogStop)
	}
}

// Reset has a watchdog reset the machine: the one that is kept, or else the usual one.
func (in *Init) Reset() (within time.Duration, ok bool) {
	if !in.at.Own {
		return 0, false
	}
	dogs := in.dogs
	if dogs == nil {
		dogs = in.keeper()
	}
	within, ok = dogs.Reset()
	if ok {
		in.dogs = dogs
	}
	return within, ok
}

// Warn prints a line about something that has gone wrong on the console and in the log.
func (in *Init) Warn(text string) { in.warn(text) }

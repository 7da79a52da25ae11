package crash

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Watchdog is a watchdog of the machine, which a process feeds as long as it runs.
type Watchdog struct {
	// Name is the driver: one of simkernel.WatchdogDrivers.
	Name string
	// Timeout is in whole seconds; Pretimeout, too. There is none if it is zero.
	Timeout, Pretimeout time.Duration
	// Noop says that the pretimeout's governor only tells of it. Else it panics.
	Noop bool
	// SoftPanic and SoftNoBoot are softdog's parameters.
	SoftPanic, SoftNoBoot bool
}

// ParseWatchdog reads NAME,TIMEOUT or NAME,TIMEOUT,PRETIMEOUT, and after that words: noop for a governor
// that only tells of the pretimeout, soft_panic and soft_noboot for softdog. The times are in
// seconds, or have a unit.
func ParseWatchdog(text string) (Watchdog, error) {
	words := strings.Split(text, ",")
	const least = 2
	if len(words) < least {
		return Watchdog{}, fmt.Errorf("%q: expected NAME,TIMEOUT or NAME,TIMEOUT,PRETIMEOUT", text)
	}
	w := Watchdog{Name: words[0]}
	var times []time.Duration
	for _, word := range words[1:] {
		switch word {
		case "noop":
			w.Noop = true
			continue
		case "soft_panic":
			w.SoftPanic = true
			continue
		case "soft_noboot":
			w.SoftNoBoot = true
			continue
		}
		d, err := time.ParseDuration(word)
		if n, e := strconv.ParseUint(word, 10, 31); e == nil {
			d, err = time.Duration(n)*time.Second, nil
		}
		if err != nil {
			return Watchdog{}, fmt.Errorf("%q: expected a time such as 30 or 30s, noop, soft_panic or "+
				"soft_noboot", word)
		}
		times = append(times, d)
	}
	switch len(times) {
	case 1:
		w.Timeout = times[0]
	case 2:
		w.Timeout, w.Pretimeout = times[0], times[1]
	default:
		return Watchdog{}, fmt.Errorf("%q: expected NAME,TIMEOUT or NAME,TIMEOUT,PRETIMEOUT", text)
	}
	return w, nil
}

// check says what is wrong with it.
func (w *Watchdog) check(k *profile) error {
	if all := simkernel.WatchdogDrivers(); !slices.Contains(all, w.Name) {
		return unknown("watchdog", w.Name, all)
	}
	from, to := simkernel.WatchdogTimeouts(w.Name)
	if to == 0 {
		to = int(longestWatchdog / time.Second)
	}
	if (w.SoftPanic || w.SoftNoBoot) && w.Name != "softdog" {
		return fmt.Errorf("%s has no soft_panic and no soft_noboot: softdog has", w.Name)
	}
	switch seconds := w.Timeout / time.Second; {
	case w.Timeout%time.Second != 0:
		return fmt.Errorf("timeout %v of %s: expected whole seconds", w.Timeout, w.Name)
	case seconds < time.Duration(from) || seconds > time.Duration(to):
		return fmt.Errorf("timeout %v of %s: expected %d to %d seconds", w.Timeout, w.Name, from, to)
	case w.Pretimeout == 0:
		return nil
	case k.is < pretimeouts:
		return fmt.Errorf("%s has no pretimeouts: they need Linux %v or later", k.name, pretimeouts)
	case w.Pretimeout%time.Second != 0 || w.Pretimeout < 0 || w.Pretimeout >= w.Timeout:
		return fmt.Errorf("pretimeout %v of %s: expected whole seconds, and less than the timeout",
			w.Pretimeout, w.Name)
	}
	return nil
}

const (
	// longestWatchdog is as long as anybody wants to see.
	longestWatchdog = 18 * time.Hour
	// pretimeouts is when they came with a governor that panics.
	pretimeouts = version(4<<16 | 9<<8)
)

// usualWatchdog is the one that fails if there is no other.
var usualWatchdog = Watchdog{Name: "softdog", Timeout: 30 * time.Second}

// guard gives the machine its watchdogs, and who feeds them.
func (p *play) guard(k *profile, all []Watchdog) error {
	if len(all) == 0 && p.starve {
		all = []Watchdog{usualWatchdog}
	}
	for i, w := range all {
		if p.pretimeout && w.Pretimeout == 0 {
			w.Pretimeout = min(10*time.Second, w.Timeout/2/time.Second*time.Second)
		}
		if err := w.check(k); err != nil {
			return err
		}
		if p.pretimeout && w.Pretimeout == 0 {
			return fmt.Errorf("timeout %v of %s: it leaves no room for a pretimeout", w.Timeout, w.Name)
		}
		cfg := simkernel.Watchdog{Driver: w.Name, Panic: w.SoftPanic, NoBoot: w.SoftNoBoot}
		if w.Pretimeout != 0 && !w.Noop {
			cfg.Governor = "panic"
		}
		p.cfg.Watchdogs = append(p.cfg.Watchdogs, cfg)
		p.longest = max(p.longest, w.Timeout)
		watch := simkernel.Watch{
			Watchdog: i, Timeout: int(w.Timeout / time.Second), Pretimeout: int(w.Pretimeout / time.Second),
			Every: w.Timeout / 2,
		}
		if p.starve {
			// It is fed for the last time when it is opened.
			watch.Every = kernel.Never
			p.start(feeder(i), simkernel.Sleep{For: p.at}, watch)
		} else {
			p.start(feeder(i), watch)
		}
	}
	return nil
}

// feeder is the name of who feeds a watchdog.
func feeder(i int) string {
	if i == 0 {
		return "watchdogd"
	}
	return "watchdogd" + strconv.Itoa(i+1)
}

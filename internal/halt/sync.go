package halt

import (
	"strconv"
	"time"
)

// Limits of the sync that comes before reboot -f. It is asked for by somebody who wants the
// machine down now, from a machine that may be half dead.
const (
	// syncStall is how long it may make no progress at all.
	syncStall = 10 * time.Second
	// syncLimit is how long it may take while it does: other processes are still running and
	// may write as fast as the disk can take it.
	syncLimit = 2 * time.Minute
	// syncPause is the longest time between two looks at it.
	syncPause = 100 * time.Millisecond
)

// A progress watches a number that should sink.
type progress struct {
	lowest int64
	known  bool
	since  time.Time // when it last sank
}

// stalled takes the number at time now, or ok = false if there is none to be had, and says whether
// it has not sunk for syncStall. What comes and goes does not count, only new lows.
func (p *progress) stalled(now time.Time, left int64, ok bool) bool {
	if ok && (!p.known || left < p.lowest) {
		p.lowest, p.known, p.since = left, true, now
	}
	return now.Sub(p.since) >= syncStall
}

// sync writes out the disks and waits for it within the limits.
func (c *command) sync() {
	start := c.sys.Now()
	if err := c.sys.StartSync(); err != nil {
		c.say("sync: %s; going on without it", strerror(err))
		return
	}
	watch := progress{since: start}
	said := start
	for pause := time.Millisecond; !c.sys.SyncDone(); pause = min(2*pause, syncPause) {
		c.sys.Sleep(pause)
		now := c.sys.Now()
		meminfo, _ := c.sys.ReadFile("/proc/meminfo", 64<<10)
		left, ok := unwritten(meminfo)
		switch {
		case watch.stalled(now, left, ok):
			c.say("sync makes no progress for %v (%s); going on without it", syncStall, amount(left, ok))
			return
		case now.Sub(start) >= syncLimit:
			c.say("sync is not done after %v (%s); going on without it", syncLimit, amount(left, ok))
			return
		case now.Sub(said) >= syncStall:
			said = now
			c.say("sync: %s", amount(left, ok))
		}
	}
}

// amount says how much is unwritten.
func amount(kB int64, ok bool) string {
	if !ok {
		return "/proc/meminfo does not say how much is unwritten"
	}
	return strconv.FormatInt(kB, 10) + " kB unwritten"
}

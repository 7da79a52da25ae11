// Package wdt keeps the machine's watchdogs: it opens them, feeds them as long as PID 1 proves to be
// well, and on the way down only as the way goes on.
//
//	Keeping   fed at a third of the timeout that was granted, after each proof of health
//	Guarding  on the way down: armed for what a phase may take, and fed when the next one begins
//	Starving  never fed again: the machine is to be reset
//
// A proof is a child that was started and reaped: that there can be processes, that PID 1's loop
// turns, and that it hears of their ends. A timer that feeds proves that timers run.
//
// It is a state machine, stepped by PID 1. No error is fatal: each is said once, and what can be
// tried again is.
package wdt

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Settings is what the watchdogs are kept by.
type Settings struct {
	// Devices are the paths of their nodes. There is nothing to keep without any.
	Devices []string
	// Timeout is how long the machine may show no sign of life, and Pretimeout how long before
	// the reset the kernel gives a warning, 0 for none. The kernel counts whole seconds.
	Timeout, Pretimeout time.Duration
	// Governor is what the kernel does at the pretimeout: the name of one of its governors, or
	// empty for what is set already.
	Governor string
	// Endless is what a phase of the way down may take that has no limit of its own.
	Endless time.Duration
}

// Kernel is what keeping watchdogs takes.
type Kernel interface {
	kernel.Clock
	kernel.Watchdogs
	Call(c kernel.Call) (kernel.PID, error)
	Write(fd kernel.FD, b []byte) (int, error)
	Close(fd kernel.FD) error
	SetSys(name, value string) error
}

// Host is PID 1, which says what there is to say: Warn on the console and in the log, Note in the
// log only.
type Host interface {
	Warn(text string)
	Note(text string)
}

// mode is what the keeper does.
type mode uint8

const (
	keeping mode = iota
	guarding
	starving
)

// Keeper keeps the watchdogs.
type Keeper struct {
	k    Kernel
	host Host
	set  Settings
	all  []device
	mode mode

	next time.Duration // when to prove, or on the way down to feed or to say what hangs
	look time.Duration // when to look for devices that cannot be opened yet
	wait time.Duration // how long to wait between two looks

	proof  kernel.PID    // the child that is to be reaped, or 0
	since  time.Duration // when it was started
	unwell bool          // it was said that there is no proof

	phase  string        // of the way down
	last   bool          // it is the last one
	began  time.Duration // when the phase began,
	end    time.Duration // and when it is to be over
	starve string        // why nothing is fed any more
}

const (
	// How long to wait between two looks for a device, at first and at most.
	firstLook = 100 * time.Millisecond
	lastLook  = 5 * time.Second
	// late is how long after the first look people want to know that it is not there.
	late = 10 * time.Second
	// unknownTimeout is taken for that of a device that does not tell its own.
	unknownTimeout = 3 * time.Second
	// meals is how often a timeout a watchdog is fed.
	meals = 3
)

// New makes a keeper. Nothing happens before Open.
func New(k Kernel, host Host, set Settings) *Keeper {
	w := &Keeper{k: k, host: host, set: set, next: kernel.Never, look: kernel.Never, wait: firstLook}
	w.all = make([]device, len(set.Devices))
	for i, path := range set.Devices {
		w.all[i].path = path
	}
	return w
}

// Open opens the watchdogs and so starts them. Those that are not there are looked for again and
// again: their modules may be loaded later. With tell it says why the machine has booted, as far as
// they know: init that goes on after a crash of its own has not.
func (w *Keeper) Open(tell bool) {
	now := w.k.Now()
	for i := range w.all {
		w.all[i].since, w.all[i].tell = now, tell
	}
	w.lookFor(now)
}

// LookAgain says that a device may have appeared.
func (w *Keeper) LookAgain() {
	if w.look != kernel.Never {
		w.look = 0
	}
}

// Deadline is when Step wants to be called.
func (w *Keeper) Deadline() time.Duration { return min(w.next, w.look) }

// Step does what is due.
func (w *Keeper) Step() {
	now := w.k.Now()
	if now >= w.look {
		w.lookFor(now)
	}
	if now < w.next {
		return
	}
	switch w.mode {
	case keeping:
		w.prove(now)
	case guarding:
		w.guard(now)
	case starving:
		w.next = kernel.Never
	}
}

// lookFor opens what is not open yet.
func (w *Keeper) lookFor(now time.Duration) {
	w.look = kernel.Never
	if w.mode == starving {
		return
	}
	opened := false
	for i := range w.all {
		d := &w.all[i]
		if d.fd != 0 || d.gone {
			continue
		}
		opened = w.open(d, now) || opened
		if d.fd == 0 && !d.gone {
			w.look = now + w.wait
		}
	}
	w.wait = min(2*w.wait, lastLook)
	if opened && w.mode == guarding {
		w.arm(now)
	} else if opened {
		w.next = min(w.next, now+w.period())
	}
}

// period is how often to feed: a third of the shortest timeout that was granted.
func (w *Keeper) period() time.Duration { return w.shortest() / meals }

// shortest is the shortest timeout of those that are open, or Never.
//
//go:noinline
func (w *Keeper) shortest() time.Duration {
	least := time.Duration(kernel.Never)
	for i := range w.all {
		if w.all[i].fd != 0 {
			least = min(least, w.all[i].timeout)
		}
	}
	return least
}

// prove starts a child. The watchdogs are fed when it is reaped.
func (w *Keeper) prove(now time.Duration) {
	p := w.period()
	if w.shortest() == kernel.Never {
		w.next = kernel.Never
		return
	}
	if w.proof != 0 {
		w.ail("a child that was started " + text(now-w.since) + " ago has not ended")
		w.next = now + p
		return
	}
	pid, err := w.k.Call(kernel.Nothing{})
	if err != nil {
		w.ail("cannot start a child: " + err.Error())
		const tries = 4
		w.next = now + p/tries
		return
	}
	w.proof, w.since, w.next = pid, now, now+p
}

// notFed begins the lines of a machine that is to be reset.
const notFed = "watchdog: not fed: "

// ail says which proof has failed, once as long as it fails.
func (w *Keeper) ail(why string) {
	if !w.unwell {
		w.unwell = true
		w.host.Warn(notFed + why + ": the machine is reset if this lasts")
	}
}

// Reaped tells that a child has ended, and reports whether it was the keeper's.
func (w *Keeper) Reaped(pid kernel.PID) bool {
	if pid != w.proof || pid == 0 {
		return false
	}
	w.proof = 0
	if w.mode != keeping {
		return true
	}
	if w.unwell {
		w.unwell = false
		w.host.Note("watchdog: fed again")
	}
	for i := range w.all {
		w.feed(&w.all[i])
	}
	return true
}

// feed feeds a watchdog, if it is open.
func (w *Keeper) feed(d *device) {
	if d.fd == 0 {
		return
	}
	// Any byte but a V [Kernel 6.2]. The call of ioctl(2) for it is one that not every driver has.
	if w.write(d, 0) {
		d.fed = w.k.Now()
	} else if d.said == kernel.ENODEV {
		// Its driver is gone, and may come back.
		w.close(d)
		w.look = 0
	}
}

// write writes a byte. If that has failed it says so.
func (w *Keeper) write(d *device, b byte) bool {
	_, err := w.k.Write(d.fd, []byte{b})
	if err != nil {
		w.news(d, "write", kernel.ErrnoOf(err))
	}
	return err == nil
}

// Guard tells that the machine goes down and has come to a phase that is to be over at an instant, or
// Never if it has no limit. From now on nothing is fed but by the next phase, except devices whose
// longest timeout is shorter than the phase: those are fed until it is to be over. The machine is
// reset when PID 1 is later than that by what it may be late at other times.
func (w *Keeper) Guard(phase string, end time.Duration) {
	if w.mode == starving {
		return
	}
	w.mode = guarding
	now := w.k.Now()
	if end == kernel.Never {
		end = now + w.set.Endless
	}
	if w.last && end < w.end {
		return // A power-off that takes long is not to become a reset.
	}
	w.phase, w.began, w.end = phase, now, max(end, now)
	w.arm(now)
}

// arm sets the timeouts for the phase, which feeds.
func (w *Keeper) arm(now time.Duration) {
	w.next = kernel.Never
	for i := range w.all {
		d := &w.all[i]
		if d.fd == 0 {
			continue
		}
		w.setTimeout(d, d.needs(w.end-now))
		w.next = w.end
	}
	w.plan(now)
}

// plan says when to feed next the devices whose timeouts are too short for the phase.
func (w *Keeper) plan(now time.Duration) {
	for i := range w.all {
		if d := &w.all[i]; d.fd != 0 && d.tooShort(w.end-w.began) {
			w.next = min(w.next, now+d.timeout/meals)
		}
	}
}

// guard is due in a phase: it feeds those that cannot wait for its end, or says that it is over.
func (w *Keeper) guard(now time.Duration) {
	if now >= w.end {
		w.next = kernel.Never
		w.host.Warn(notFed + w.phase + ": not over after " + text(w.end-w.began) + w.within())
		return
	}
	w.next = w.end
	for i := range w.all {
		if d := &w.all[i]; d.tooShort(w.end - w.began) {
			w.feed(d)
		}
	}
	w.plan(now)
}

// Last tells that the machine is about to be off, or halted. That gets as long as an endless phase.
// With stop, those that can be are stopped: whoever wants a machine that stays down does not want it
// to be reset.
func (w *Keeper) Last(phase string, stop bool) {
	if w.mode == starving {
		return
	}
	w.Guard(phase, kernel.Never)
	w.last = true
	w.look = kernel.Never // What is stopped is not to be opened once more.
	for i := range w.all {
		if d := &w.all[i]; stop && d.fd != 0 {
			w.stop(d)
		}
	}
	if w.shortest() == kernel.Never {
		w.next = kernel.Never
	}
}

// stop stops a watchdog, if it lets itself be stopped.
func (w *Keeper) stop(d *device) {
	_, err := w.k.WatchdogControl(d.fd, kernel.SetOptions, kernel.DisableCard)
	if err != nil && kernel.ErrnoOf(err) == kernel.EBUSY {
		w.warn(d, "cannot be stopped: the machine is reset if it is still on in "+text(d.timeout))
		return
	}
	// Some drivers know only the one way, and some only the other.
	w.write(d, 'V')
	w.close(d)
}

// StopFeeding lets the watchdogs reset the machine, for a reason that is said. It reports whether
// there is one that does. There is no way back.
func (w *Keeper) StopFeeding(reason string) bool {
	if w.mode != starving {
		w.Starve(reason)
		w.host.Warn(notFed + reason + w.within())
	}
	return w.shortest() != kernel.Never
}

// Starving is why nothing is fed any more, or "".
func (w *Keeper) Starving() string { return w.starve }

// Starve goes on with what an init that has crashed has begun by StopFeeding. What it had open was
// closed with it, and counts [Kernel 6.3].
func (w *Keeper) Starve(reason string) {
	w.mode, w.starve, w.next, w.look = starving, reason, kernel.Never, kernel.Never
}

// Reset has the machine reset by a watchdog as soon as one can, and returns how long that may take.
// It takes the usual one if none is kept.
func (w *Keeper) Reset() (within time.Duration, ok bool) {
	if w.shortest() == kernel.Never {
		d := device{path: usual}
		fd, err := w.k.OpenWatchdog(d.path)
		if err != nil {
			return 0, false
		}
		d.fd = fd
		if _, err := w.k.WatchdogSupport(fd); err != nil {
			_ = w.k.Close(fd)
			return 0, false
		}
		d.timeout = w.ownTimeout(fd)
		w.all = append(w.all, d)
	}
	w.mode, w.next, w.look = starving, kernel.Never, kernel.Never
	for i := range w.all {
		d := &w.all[i]
		for n := time.Second; d.fd != 0 && n < d.timeout; n *= 2 {
			if granted, err := w.k.WatchdogControl(d.fd, kernel.SetTimeout, whole(n)); err == nil {
				d.timeout = time.Duration(granted) * time.Second
				break
			}
		}
	}
	return w.shortest(), true
}

// usual is the first watchdog under its old name.
const usual = "/dev/watchdog"

// within says when the machine is reset at the latest.
func (w *Keeper) within() string {
	left := time.Duration(kernel.Never)
	for i := range w.all {
		if d := &w.all[i]; d.fd != 0 {
			left = min(left, d.fed+d.timeout-w.k.Now())
		}
	}
	if left == kernel.Never {
		return ", and none is open"
	}
	return ": the machine is reset within " + text(left)
}

// text writes a time span in whole seconds, rounded up, unless it is shorter.
//
//go:noinline
func text(d time.Duration) string {
	if d >= time.Second {
		d = (d + time.Second - 1).Truncate(time.Second)
	}
	return d.String()
}

// whole is a time span in seconds, as C has it.
//
//go:noinline
func whole(d time.Duration) int32 {
	const most = 1<<31 - 1
	return int32(min((d+time.Second-1)/time.Second, most))
}

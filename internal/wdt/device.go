package wdt

import (
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// device is a watchdog. The zero value is one that has not been looked for.
type device struct {
	path     string
	fd       kernel.FD     // 0 if it is not open
	gone     bool          // it is no watchdog: nobody looks for it any more
	since    time.Duration // when it was first looked for
	tell     bool          // say why the machine has booted
	lateSaid bool
	fed      time.Duration // when it began to count
	// timeout is the one that was granted last, and normal the one that counts when the machine
	// is not going down.
	timeout, normal time.Duration
	said            kernel.Errno // the last error that was said
}

// needs is the timeout for a phase that takes so long: PID 1 may be late by as much as ever.
func (d *device) needs(phase time.Duration) time.Duration { return phase + d.normal }

// tooShort reports whether it would reset the machine before such a phase is over.
func (d *device) tooShort(phase time.Duration) bool { return d.timeout < d.needs(phase) }

// open opens a device, and reports whether that was possible.
func (w *Keeper) open(d *device, now time.Duration) bool {
	fd, err := w.k.OpenWatchdog(d.path)
	if err != nil {
		w.missing(d, now, kernel.ErrnoOf(err))
		return false
	}
	s, err := w.k.WatchdogSupport(fd)
	if err != nil {
		_ = w.k.Close(fd)
		d.gone = true
		w.warn(d, "is no watchdog: "+err.Error())
		return false
	}
	d.fd, d.said = fd, 0
	if d.tell {
		d.tell = false
		w.bootStatus(d)
	}
	w.setTimeout(d, w.set.Timeout)
	d.normal = d.timeout
	tell := w.host.Note
	if d.timeout != w.set.Timeout {
		tell = w.host.Warn
	}
	tell(d.name() + s.Identity + ": " + text(w.set.Timeout) + " were asked for, " + text(d.timeout) +
		" are granted")
	if w.set.Pretimeout != 0 {
		w.setPretimeout(d)
	}
	if w.set.Governor != "" {
		w.setGovernor(d)
	}
	return true
}

// missing says that a device cannot be opened: in the log at once, and to people if it lasts, or if
// it is there.
func (w *Keeper) missing(d *device, now time.Duration, e kernel.Errno) {
	switch e {
	case kernel.ENOENT, kernel.ENODEV, kernel.ENXIO:
		if now-d.since < late {
			if d.said == 0 {
				d.said = e
				w.host.Note(d.name() + "is not there yet")
			}
			return
		}
		if !d.lateSaid {
			d.lateSaid, d.said = true, 0
		}
	}
	w.news(d, "open", e)
}

// name begins what is said of a device.
//
//go:noinline
func (d *device) name() string { return "watchdog: " + d.path + ": " }

func (w *Keeper) warn(d *device, what string) { w.host.Warn(d.name() + what) }

// news says an error, if it is another one than the last.
func (w *Keeper) news(d *device, what string, e kernel.Errno) {
	if e != d.said {
		d.said = e
		w.warn(d, what+": "+e.Error())
	}
}

// bootStatus says why the machine has booted, if the device knows.
func (w *Keeper) bootStatus(d *device) {
	n, err := w.k.WatchdogControl(d.fd, kernel.GetBootStatus, 0)
	switch {
	case err != nil || n == 0:
	case n&int32(kernel.WatchdogCardReset) != 0:
		w.warn(d, "has reset the machine before this boot")
	default:
		w.warn(d, "boot status "+strconv.Itoa(int(n)))
	}
}

// setTimeout asks for a timeout, which feeds, too [Kernel 6.5]. What the driver grants counts; if it
// refuses, what it had, and then it is fed.
func (w *Keeper) setTimeout(d *device, t time.Duration) {
	n, err := w.k.WatchdogControl(d.fd, kernel.SetTimeout, whole(t))
	if err == nil && n > 0 {
		d.fed, d.timeout = w.k.Now(), time.Duration(n)*time.Second
		return
	}
	d.timeout = w.ownTimeout(d.fd)
	w.feed(d)
}

// ownTimeout is the timeout that a device has.
func (w *Keeper) ownTimeout(fd kernel.FD) time.Duration {
	n, err := w.k.WatchdogControl(fd, kernel.GetTimeout, 0)
	if err != nil || n <= 0 {
		return unknownTimeout
	}
	return time.Duration(n) * time.Second
}

// setPretimeout asks for the warning before the reset.
func (w *Keeper) setPretimeout(d *device) {
	n, err := w.k.WatchdogControl(d.fd, kernel.SetPretimeout, whole(w.set.Pretimeout))
	if err != nil {
		w.news(d, "pretimeout", kernel.ErrnoOf(err))
	} else if n != whole(w.set.Pretimeout) {
		w.warn(d, "a pretimeout of "+strconv.Itoa(int(n))+"s is granted")
	}
	// The kernel counts from the next time that it is fed [Kernel 6.6].
	w.feed(d)
}

// setGovernor says what is to happen at the pretimeout.
func (w *Keeper) setGovernor(d *device) {
	name := d.path[strings.LastIndexByte(d.path, '/')+1:]
	if d.path == usual {
		name += "0" // The old name of the first one.
	}
	err := w.k.SetSys("class/watchdog/"+name+"/pretimeout_governor", w.set.Governor)
	if err != nil {
		w.news(d, "pretimeout governor "+w.set.Governor, kernel.ErrnoOf(err))
	}
}

// close closes a device.
func (w *Keeper) close(d *device) {
	_ = w.k.Close(d.fd)
	d.fd, d.since = 0, w.k.Now()
}

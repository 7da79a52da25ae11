package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Device is a device that is shut down on the way down.
type Device struct {
	Name string
	// Driver is what shuts it down: a device without one is left alone.
	Driver string
	// Takes is how long that takes: kernel.Never if it hangs.
	Takes time.Duration
	// Says is what the driver prints, if anything, at this level.
	Says  string
	Level kernel.Level
}

// shutDownNext shuts down the device that was registered last of those left, and reports whether
// there may be more (drivers/base/core.c, device_shutdown). Config.RebootTime is a device without a
// name that came last of all.
func (m *Machine) shutDownNext(w *wayDown) bool {
	i := w.i
	w.i++
	if m.cfg.RebootTime != 0 {
		if i == 0 {
			m.trace("device_shutdown", "")
			w.until = m.later(m.cfg.RebootTime)
			return true
		}
		i--
	}
	devices := m.cfg.Reboot.Devices
	if i >= len(devices) {
		m.shutDownDisks()
		return false
	}
	d := &devices[len(devices)-1-i]
	if d.Driver == "" {
		return true
	}
	m.trace("device_shutdown", d.Name)
	if m.reboot.initcallDebug {
		m.printk(kernel.Info, d.Driver+" "+d.Name+": shutdown")
	}
	if d.Says != "" {
		m.printk(d.Level, d.Says)
	}
	w.until = m.later(d.Takes)
	return true
}

// shutDownDisks lets the disks that answer write down what is in their own caches, as their drivers
// do (drivers/scsi/sd.c, sd_shutdown).
func (m *Machine) shutDownDisks() {
	for _, d := range m.disks {
		if d.answers() {
			d.settle()
			d.flush(d.written)
		}
	}
}

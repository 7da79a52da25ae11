package simkernel

import "time"

// Syscore is one of the parts of the core that are shut down after all devices, by one CPU: an
// interrupt controller, a clock.
type Syscore struct {
	Name  string
	Takes time.Duration
}

// syscoreNext shuts down the next of them, the last to be registered first, and reports whether
// there may be more (drivers/base/syscore.c, syscore_shutdown; before 3.0 sysdev_shutdown).
func (m *Machine) syscoreNext(w *wayDown) bool {
	parts := m.cfg.Reboot.Syscore
	if w.i >= len(parts) {
		return false
	}
	s := &parts[len(parts)-1-w.i]
	w.i++
	m.trace("syscore_shutdown", s.Name)
	w.until = m.later(s.Takes)
	return true
}

package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// orderlyWork is the work item of orderly_poweroff or orderly_reboot.
type orderlyWork struct {
	reboots bool
	force   bool // was asked for once, and is never taken back
	queued  bool
	running bool
}

// OrderlyPowerOff is a part of the kernel that wants the machine off: it starts
// kernel.poweroff_cmd. Force says to go on without it if that cannot be started (kernel/reboot.c,
// orderly_poweroff).
type OrderlyPowerOff struct{ Force bool }

// OrderlyReboot is a part of the kernel that wants a restart: it starts /sbin/reboot
// (kernel/reboot.c, orderly_reboot).
type OrderlyReboot struct{}

func (a OrderlyPowerOff) act(m *Machine) {
	w := &m.reboot.orderlyOff
	w.force = w.force || a.Force
	m.scheduleOrderly(w)
}

func (OrderlyReboot) act(m *Machine) {
	w := &m.reboot.orderlyRestart
	w.reboots, w.force = true, true
	m.scheduleOrderly(w)
}

// scheduleOrderly queues a work item that is not queued (kernel/workqueue.c, schedule_work). It
// runs again if it is queued while it runs.
func (m *Machine) scheduleOrderly(w *orderlyWork) {
	if m.cfg.Namespace || w.queued {
		return
	}
	w.queued = true
	if !w.running {
		m.post(m.now, Do(w.run))
	}
}

// run is the work (kernel/reboot.c, __orderly_poweroff and __orderly_reboot). Only a failure to
// start the command counts: if it runs and does nothing, nothing is forced.
func (w *orderlyWork) run(m *Machine) {
	w.queued, w.running = false, true
	force := w.force
	command, what := m.reboot.powerOffCmd, "shutdown"
	if w.reboots {
		command, what = "/sbin/reboot", "reboot"
	}
	m.callUsermodehelper(command, func(e kernel.Errno) {
		if e == 0 || !force {
			w.end(m)
			return
		}
		defer m.in("orderly_" + what)()
		m.printk(kernel.Warning,
			m.kernel.prefix+"Failed to start orderly "+what+": forcing the issue")
		m.emergencySync()
		way := m.kernelPowerOff()
		if w.reboots {
			way = m.kernelRestart()
		}
		m.queue(way, func() { w.end(m) })
	})
}

func (w *orderlyWork) end(m *Machine) {
	w.running = false
	if w.queued {
		m.post(m.now, Do(w.run))
	}
}

// maxPowerOffCmd is how much of kernel.poweroff_cmd is kept (kernel/reboot.c,
// POWEROFF_CMD_PATH_LEN, with its zero byte).
const maxPowerOffCmd = 255

func (m *Machine) setPowerOffCmd(value string) {
	m.reboot.powerOffCmd = value[:min(len(value), maxPowerOffCmd)]
}

package simkernel

import (
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysrqActions are the keys with what the kernel says to them (drivers/tty/sysrq.c).
var sysrqActions = map[byte]string{
	'b': "Resetting", 'c': "Trigger a crash", 'e': "Terminate All Tasks", 'i': "Kill All Tasks",
	'l': "Show backtrace of all active CPUs", 'm': "Show Memory", 'o': "Power Off",
	's': "Emergency Sync", 't': "Show State", 'u': "Emergency Remount R/O",
	'w': "Show Blocked State",
}

// sysrqHelp is said to any other key.
const sysrqHelp = "sysrq: HELP : loglevel(0-9) reboot(b) crash(c) terminate-all-tasks(e) " +
	"kill-all-tasks(i) show-memory-usage(m) poweroff(o) sync(s) show-task-states(t) unmount(u) " +
	"show-blocked-tasks(w) "

// sysrqTrigger is a write to /proc/sysrq-trigger. Its first byte counts, and kernel.sysrq does not.
func (m *Machine) sysrqTrigger(text string) kernel.Errno {
	if m.cfg.Namespace {
		return syscall.EROFS
	}
	if text == "" {
		return 0
	}
	defer m.in("__handle_sysrq")()
	key := text[0]
	levels := &m.ring.levels
	// The header is always seen.
	before := levels[0]
	levels[0] = defaultConsoleLevel
	if key >= '0' && key <= '9' {
		m.printk(kernel.Info, "sysrq: Changing Loglevel")
		m.printk(kernel.Info, "sysrq: Loglevel set to "+string(key))
		levels[0] = int(key - '0')
		return 0
	}
	action, ok := sysrqActions[key]
	if !ok {
		m.printk(kernel.Info, sysrqHelp)
		levels[0] = before
		return 0
	}
	m.printk(kernel.Info, "sysrq: "+action)
	levels[0] = before
	switch key {
	case 'b':
		m.reboot.words = End{Text: "sysrq: " + action}
		m.emergencyRestart()
	case 'c':
		m.panic(m.here(m.caller()), "sysrq triggered crash")
	case 'o':
		m.queue(m.kernelPowerOff(), nil) // kernel/power/poweroff.c
	case 'e', 'i':
		sig := kernel.SIGTERM
		if key == 'i' {
			sig = kernel.SIGKILL
		}
		levels[0] = debugConsoleLevel
		for p := m.all.first; p != nil; p = p.nextAll {
			if p != m.init && !p.is(taskKthread) {
				m.send(p, sig, true)
			}
		}
	case 's':
		m.emergencySync()
	case 'u':
		m.kworker(m.emergencyRemount().and(&ioWait{then: func() {
			m.printk(kernel.Info, "Emergency Remount complete")
		}}))
	}
	return 0
}

// emergencyRemount makes all file systems that lie on disks read-only, whoever writes to them
// (fs/super.c, do_emergency_remount). A dead disk keeps the s_umount of its own file system only.
func (m *Machine) emergencyRemount() *ioWait {
	var all *ioWait
	for _, mnt := range m.mounts {
		if fs := mnt.fs; fs.disk != nil && !fs.readOnly {
			io := m.setReadOnly(fs, true)
			m.kworker(io)
			all = all.and(&ioWait{disks: io.disks, answer: io.answer})
		}
	}
	return all
}

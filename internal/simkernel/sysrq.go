package simkernel

import (
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysrqProfile is what a kernel makes of the keys of SysRq (drivers/tty/sysrq.c, before 2.6.38
// drivers/char/sysrq.c).
type sysrqProfile struct {
	// prefix is before what is done.
	prefix string
	// crash is what the key c does.
	crash sysrqCrash
	// all says that a written text that begins with _ has more than one key.
	all bool
	// keys are those that it knows besides the digits, and help is said to any other.
	keys, help string
	// levelBare says that nothing stands before the new level.
	levelBare bool
}

// sysrqCrash is how the key c crashes the machine.
type sysrqCrash uint8

const (
	crashKexecs sysrqCrash = iota // by crash_kexec alone, which needs a kernel to be loaded
	crashOopses                   // by a null pointer, after panic_on_oops has been set
	crashPanics                   // by panic()
)

var (
	sysrq2617 = sysrqProfile{
		prefix: "SysRq : ", levelBare: true, keys: "bcefikmnoprstu",
		help: "HELP : loglevel0-8 reBoot Crashdump tErm Full kIll saK showMem Nice powerOff showPc unRaw " +
			"Sync showTasks Unmount ",
	}
	sysrq2624 = sysrqProfile{
		prefix: "SysRq : ", levelBare: true, keys: "bcefikmnopqrstuw",
		help: "HELP : loglevel0-8 reBoot Crashdump tErm Full kIll saK showMem Nice powerOff showPc " +
			"show-all-timers(Q) unRaw Sync showTasks Unmount shoW-blocked-tasks ",
	}
	sysrq3 = sysrqProfile{
		prefix: "SysRq : ", crash: crashOopses, levelBare: true, keys: sysrqKeys3, help: sysrqHelp,
	}
	sysrq4 = sysrqProfile{prefix: "sysrq: SysRq : ", crash: crashOopses, keys: sysrqKeys3, help: sysrqHelp}
	sysrq5 = sysrqProfile{prefix: "sysrq: ", crash: crashPanics, keys: sysrqKeys3, help: sysrqHelp}

	sysrq612 = sysrqProfile{
		prefix: "sysrq: ", crash: crashPanics, all: true, keys: "R" + sysrqKeys3,
		help: sysrqHelp,
	}
)

// sysrqKeys3 are the keys from 3.10 on. The key d is for a kernel that is built to look for deadlocks
// (CONFIG_LOCKDEP), which nobody's is.
const sysrqKeys3 = "bcefijklmnopqrstuwz"

// sysrqKey is a key: what the kernel says, and the bit of kernel.sysrq that allows it.
type sysrqKey struct {
	key    byte
	says   string
	enable int64
}

// The bits of kernel.sysrq (include/linux/sysrq.h).
const (
	sysrqLog      = 0x2
	sysrqKeyboard = 0x4
	sysrqDump     = 0x8
	sysrqSync     = 0x10
	sysrqRemount  = 0x20
	sysrqSignal   = 0x40
	sysrqBoot     = 0x80
	sysrqNice     = 0x100
)

// sysrqKeys are the keys besides the digits.
var sysrqKeys = [...]sysrqKey{
	{'R', "Replay kernel logs on consoles", sysrqDump},
	{'b', "Resetting", sysrqBoot},
	{'c', "Trigger a crash", sysrqDump},
	{'e', "Terminate All Tasks", sysrqSignal},
	{'f', "Manual OOM execution", sysrqSignal},
	{'i', "Kill All Tasks", sysrqSignal},
	{'j', "Emergency Thaw of all frozen filesystems", sysrqSignal},
	{'k', "SAK", sysrqKeyboard},
	{'l', "Show backtrace of all active CPUs", sysrqDump},
	{'m', "Show Memory", sysrqDump},
	{'n', "Nice All RT Tasks", sysrqNice},
	{'o', "Power Off", sysrqBoot},
	{'p', "Show Regs", sysrqDump},
	{'q', "Show clockevent devices & pending hrtimers (no others)", sysrqDump},
	{'r', "Keyboard mode set to system default", sysrqKeyboard},
	{'s', "Emergency Sync", sysrqSync},
	{'t', "Show State", sysrqDump},
	{'u', "Emergency Remount R/O", sysrqRemount},
	{'w', "Show Blocked State", sysrqDump},
	{'z', "Dump ftrace buffer", sysrqDump},
}

// sysrqHelp is said to any other key from 3.10 on.
const sysrqHelp = "HELP : loglevel(0-9) reboot(b) crash(c) terminate-all-tasks(e) " +
	"memory-full-oom-kill(f) kill-all-tasks(i) thaw-filesystems(j) sak(k) " +
	"show-backtrace-all-active-cpus(l) show-memory-usage(m) nice-all-RT-tasks(n) poweroff(o) " +
	"show-registers(p) show-all-timers(q) unraw(r) sync(s) show-task-states(t) unmount(u) " +
	"show-blocked-tasks(w) dump-ftrace-buffer(z) "

// findSysrq finds a key that the kernel knows.
func (m *Machine) findSysrq(key byte) *sysrqKey {
	for i := range sysrqKeys {
		if k := &sysrqKeys[i]; k.key == key && strings.IndexByte(m.kernel.sysrq.keys, key) >= 0 {
			return k
		}
	}
	return nil
}

// sysrqTrigger is a write to /proc/sysrq-trigger. Its first byte counts, and kernel.sysrq does not.
func (m *Machine) sysrqTrigger(text string) kernel.Errno {
	if m.cfg.Namespace {
		return syscall.EROFS
	}
	keys := text[:min(len(text), 1)]
	if keys == "_" && m.kernel.sysrq.all {
		keys = text[1:]
	}
	for i := range len(keys) {
		if i > 0 && keys[i] == '\n' {
			break
		}
		x := m.here(m.caller())
		m.handleSysrq(x, keys[i])
		if x.over(m) {
			break
		}
	}
	return 0
}

// PressSysrq is the key on a keyboard or a serial line: it is an interrupt, and kernel.sysrq says
// which keys count.
type PressSysrq struct{ Key byte }

func (a PressSysrq) act(m *Machine) {
	for i := range m.cpus {
		if !m.cpus[i].takesInterrupts() {
			continue
		}
		x := m.timerContext()
		x.cpu = &m.cpus[i]
		if m.sysrqAllows(a.Key) {
			m.handleSysrq(x, a.Key)
			return
		}
		m.printk(kernel.Info, m.kernel.sysrq.prefix+"This sysrq operation is disabled.")
		return
	}
}

// sysrqAllows is sysrq_on_mask. The word sysrq_always_enabled counts whatever its value is.
func (m *Machine) sysrqAllows(key byte) bool {
	mask := m.knobNumber("kernel/sysrq")
	if m.sysrqAlways || mask == 1 {
		return true
	}
	if key >= '0' && key <= '9' {
		return mask&sysrqLog != 0
	}
	k := m.findSysrq(key)
	return k == nil && mask != 0 || k != nil && mask&k.enable != 0
}

// handleSysrq is __handle_sysrq.
func (m *Machine) handleSysrq(x *context, key byte) {
	defer m.in("__handle_sysrq")()
	levels := &m.ring.levels
	// The header is always seen.
	before := levels[0]
	levels[0] = defaultConsoleLevel
	prefix := m.kernel.sysrq.prefix
	if key >= '0' && key <= '9' {
		m.printk(kernel.Info, prefix+"Changing Loglevel")
		says := "Loglevel set to " + string(key)
		if !m.kernel.sysrq.levelBare {
			says = "sysrq: " + says
		}
		m.printk(kernel.Info, says)
		levels[0] = int(key - '0')
		return
	}
	k := m.findSysrq(key)
	if k == nil {
		m.printk(kernel.Info, prefix+m.kernel.sysrq.help)
		levels[0] = before
		return
	}
	m.printk(kernel.Info, prefix+k.says)
	levels[0] = before
	switch key {
	case 'b':
		m.reboot.words = End{Text: "sysrq: " + k.says}
		m.emergencyRestart()
	case 'c':
		m.sysrqCrash(x)
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
	case 'f':
		m.post(m.now, Do(func(m *Machine) { OutOfMemory{Sysrq: true}.fail(m, m.kthread("kworker")) }))
	case 'j':
		m.post(m.now, Do(func(m *Machine) {
			defer m.in("do_thaw_all")()
			m.printk(kernel.Warning, "Emergency Thaw complete")
		}))
	case 'l':
		m.showAllCPUs(x)
	case 'm':
		m.showMem()
	case 'o':
		m.queue(m.kernelPowerOff(), nil) // kernel/power/poweroff.c
	case 'p':
		m.showRegs(x)
	case 'q':
		m.showTimers()
	case 'R':
		m.replayLog()
	case 's':
		m.emergencySync()
	case 't', 'w':
		m.showState(key == 'w')
	case 'z':
		m.dumpFtrace()
	case 'u':
		m.kworker(m.emergencyRemount().and(&ioWait{then: func() {
			defer m.in("do_emergency_remount")()
			m.printk(defaultMessageLevel, "Emergency Remount complete")
		}}))
	}
}

// showAllCPUs is sysrq_handle_showallcpus. Where CPUs cannot be asked by an NMI, this one shows where it is,
// which it does since 5.8 at the latest, and then a thread of the kernel asks the others by an interrupt.
func (m *Machine) showAllCPUs(x *context) {
	if m.backtraceOfAll(x) {
		return
	}
	level, prefix := kernel.Level(defaultMessageLevel), ""
	if m.kernel.hung.low {
		level = kernel.Info
	}
	if m.kernel.sysrq.prefix == "sysrq: " {
		prefix = m.kernel.sysrq.prefix
	}
	is := func(c *cpu) { m.printk(kernel.Info, prefix+"CPU"+strconv.Itoa(c.id)+":") }
	switch {
	case x.in == InHardIRQ: // pressed on a keyboard: it has interrupted somebody
		is(x.cpu)
		m.showRegs(x)
	case m.kernel.hung.low:
		is(x.cpu)
		m.showStackAt(level, x)
	}
	m.post(m.now, Do(func(m *Machine) {
		defer m.in("showacpu")()
		m.others(x.cpu, func(c *cpu) {
			if c.stuck != nil && c.takesInterrupts() {
				is(c)
				m.showStackAt(level, &context{cpu: c, who: c.stuck, in: InHardIRQ})
			}
		})
	}))
}

// sysrqCrash is sysrq_handle_crash.
func (m *Machine) sysrqCrash(x *context) {
	switch m.kernel.sysrq.crash {
	case crashKexecs:
		m.crashKexec(x)
	case crashOopses:
		m.keepKnob("kernel/panic_on_oops", "1")
		NullWrite{}.fail(m, x)
	case crashPanics:
		m.panic(x, "sysrq triggered crash")
	}
}

// showState tells of all tasks, or of those in D (kernel/sched/core.c, show_state_filter).
func (m *Machine) showState(blocked bool) {
	for p := m.all.first; p != nil; p = p.nextAll {
		m.eachThread(p, func(t *process) {
			if !blocked || t.state == Uninterruptible {
				m.showTask(t)
			}
		})
	}
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

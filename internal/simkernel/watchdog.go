package simkernel

import (
	"fmt"
	"math"
	"strconv"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Watchdog is a watchdog of the machine, as data.
type Watchdog struct {
	// Driver is one of WatchdogDrivers.
	Driver string
	// NoWayOut is the driver's parameter: once started it cannot be stopped.
	NoWayOut bool
	// Running says that the firmware has started it, so that it counts when the kernel boots.
	Running bool
	// Appears is when it is there, if that is not so from the start: when its module is loaded.
	Appears time.Duration
	// Governor says what a pretimeout does: "noop" if empty, or "panic".
	Governor string
	// NoBoot, Panic and RebootCommand are softdog's parameters.
	NoBoot, Panic bool
	RebootCommand string
}

// watchdogDriver is what a driver can do (drivers/watchdog).
type watchdogDriver struct {
	name, identity string
	// min, max and start are the timeouts in seconds: the range, and what it begins with. max
	// is 0 where the hardware has none of its own.
	min, max, start int
	// options are info.options.
	options watchdogOptions
	// hardware says that it counts by itself. The other is a timer of the kernel.
	hardware bool
	// keepsStatus says that it remembers a reset of its own.
	keepsStatus bool
	// beats is the longest that the hardware itself can wait: with a longer timeout a thread of
	// the kernel feeds it meanwhile.
	beats time.Duration
	// unstoppable is hardware that cannot be switched off.
	unstoppable bool
	// stopsOnReboot says that it asks to be stopped on the way down.
	stopsOnReboot bool
	// says is what is printed when it is there.
	says func(c *Watchdog) []string
}

// watchdogOptions are the bits of WDIOC_GETSUPPORT (include/uapi/linux/watchdog.h).
type watchdogOptions uint32

const (
	wdCardReset     watchdogOptions = 0x20
	wdSetTimeout    watchdogOptions = 0x80
	wdMagicClose    watchdogOptions = 0x100
	wdPretimeout    watchdogOptions = 0x200
	wdKeepAlivePing watchdogOptions = 0x8000
)

const wdUsual = wdSetTimeout | wdMagicClose | wdKeepAlivePing

var watchdogDrivers = [...]watchdogDriver{
	{
		name: "softdog", identity: "Software Watchdog", min: 1, max: 65535, start: 60,
		options: wdUsual, stopsOnReboot: true,
		says: func(c *Watchdog) []string {
			command := c.RebootCommand
			if command == "" {
				command = "<not set>"
			}
			return []string{
				fmt.Sprintf("softdog: initialized. soft_noboot=%d soft_margin=60 sec "+
					"soft_panic=%d (nowayout=%d)", digit(c.NoBoot), digit(c.Panic),
					digit(c.NoWayOut)),
				"softdog:              soft_reboot_cmd=" + command + " soft_active_on_boot=0",
			}
		},
	},
	{
		name: "i6300esb", identity: "i6300ESB timer", min: 1, max: 2046, start: 30,
		options: wdUsual, hardware: true, keepsStatus: true, stopsOnReboot: true,
		says: func(c *Watchdog) []string {
			return []string{fmt.Sprintf("i6300ESB timer 0000:00:04.0: initialized. "+
				"heartbeat=30 sec (nowayout=%d)", digit(c.NoWayOut))}
		},
	},
	{
		// A board whose hardware waits for 16 s at most: the kernel feeds it in between.
		name: "board", identity: "Board Watchdog", min: 1, start: 60,
		options: wdUsual, hardware: true, keepsStatus: true, beats: 16 * time.Second,
	},
	{
		// One that, once it runs, nothing stops.
		name: "latch", identity: "Latched Watchdog", min: 1, max: 128, start: 30,
		options: wdUsual, hardware: true, keepsStatus: true, unstoppable: true,
	},
	{
		// One whose timeout is what its jumper says.
		name: "fixed", identity: "Fixed Watchdog", min: 1, max: 30, start: 30,
		options: wdMagicClose | wdKeepAlivePing, hardware: true,
	},
}

// WatchdogDrivers are the names that Watchdog.Driver may have.
func WatchdogDrivers() []string {
	names := make([]string, len(watchdogDrivers))
	for i := range watchdogDrivers {
		names[i] = watchdogDrivers[i].name
	}
	return names
}

// watchdog is a watchdog device (drivers/watchdog/watchdog_dev.c and watchdog_core.c).
type watchdog struct {
	cfg     Watchdog
	driver  *watchdogDriver
	id      int
	timeout int // seconds, as pretimeout
	pre     int
	// active says that a program has started it, counts that the hardware does, and opened
	// that somebody has it open: owner, or nobody of the model's.
	active, counts, opened bool
	owner                  *process
	everOpened             bool
	magic                  bool // a V has been written
	noWayOut               bool
	pinged                 bool // since GETSTATUS was last asked
	status                 watchdogOptions
	// fed is when it was last fed by a program, and beaten when the hardware was told so.
	fed, beaten time.Duration
	bites, warn hardwareTimer
	worker      hardwareTimer
}

// setUpWatchdogs registers those of the configuration.
func (m *Machine) setUpWatchdogs() {
	for _, cfg := range m.cfg.Watchdogs {
		if cfg.Appears == 0 {
			m.registerWatchdog(cfg)
			continue
		}
		m.At(cfg.Appears, Do(func(m *Machine) {
			m.readBootStatus(m.registerWatchdog(cfg))
		}))
	}
}

// registerWatchdog is a driver that finds its device. Each has the next number (watchdog_core.c).
func (m *Machine) registerWatchdog(cfg Watchdog) *watchdog {
	w := &watchdog{cfg: cfg, id: len(m.watchdogs), noWayOut: cfg.NoWayOut}
	for j := range watchdogDrivers {
		if watchdogDrivers[j].name == cfg.Driver {
			w.driver = &watchdogDrivers[j]
		}
	}
	if w.driver == nil {
		panic("simkernel: no watchdog driver is named " + cfg.Driver)
	}
	w.timeout = w.driver.start
	m.watchdogs = append(m.watchdogs, w)
	for _, n := range w.nodes() {
		m.addDevice("/dev/"+n.name, node{kind: kindChar, mode: n.mode, device: n.device})
	}
	if w.driver.says != nil {
		out := m.in(w.driver.name)
		for _, line := range w.driver.says(&w.cfg) {
			m.printk(kernel.Info, line)
		}
		out()
	}
	if cfg.Running && w.driver.hardware {
		w.counts = true
		m.beat(w)
	}
	return w
}

// devWatchdog is the first one under its old name, which has the number of a miscellaneous device
// (include/linux/miscdevice.h, WATCHDOG_MINOR).
var devWatchdog = devID{10, 130}

// watchdogMajor is the number that the others have. The kernel takes one that is free.
const watchdogMajor = 247

// watchdogNode is a device node of a watchdog, by its name in /dev.
type watchdogNode struct {
	name   string
	mode   uint16
	device devID
}

// nodes are a watchdog's device nodes (drivers/watchdog/watchdog_dev.c, watchdog_cdev_register).
func (w *watchdog) nodes() []watchdogNode {
	const mode = 0o600
	own := watchdogNode{"watchdog" + strconv.Itoa(w.id), mode, devID{watchdogMajor, uint16(w.id)}}
	if w.id > 0 {
		return []watchdogNode{own}
	}
	return []watchdogNode{{"watchdog", mode, devWatchdog}, own}
}

// openWatchdogFile opens a device node.
func (m *Machine) openWatchdogFile(p *process, f *openFile, id int) kernel.Errno {
	if id >= len(m.watchdogs) {
		return kernel.ENXIO
	}
	if p != nil {
		p = p.lead
	}
	f.dog = m.watchdogs[id]
	return m.openWatchdog(f.dog, p)
}

// OpenWatchdog opens a watchdog for PID 1. What is below /dev is looked for in the file system of
// devices, wherever that is mounted, as internal/linux does it.
func (k *pid1Calls) OpenWatchdog(path string) (kernel.FD, error) {
	if e := k.enter(callOpenWatchdog); e != 0 {
		return -1, e
	}
	m := k.m
	f, e := &openFile{writes: true, path: path}, kernel.Errno(0)
	if id := m.watchdogNamed(path); id >= 0 {
		e = m.openWatchdogFile(m.init, f, id)
	} else {
		f, e = m.open(m.init, path, syscall.O_WRONLY, 0)
	}
	if e != 0 {
		return -1, e
	}
	return m.install(f, 3), nil
}

// watchdogNamed is the number of a watchdog by the path that its node has in /dev, or -1.
func (m *Machine) watchdogNamed(path string) int {
	for _, w := range m.watchdogs {
		for _, n := range w.nodes() {
			if path == "/dev/"+n.name {
				return w.id
			}
		}
	}
	return -1
}

func (k *pid1Calls) WatchdogSupport(fd kernel.FD) (kernel.WatchdogSupport, error) {
	if e := k.enter(callWatchdogSupport); e != 0 {
		return kernel.WatchdogSupport{}, e
	}
	w, e := k.m.watchdogAt(fd)
	if e != 0 {
		return kernel.WatchdogSupport{}, e
	}
	return kernel.WatchdogSupport{
		Options: kernel.WatchdogOptions(w.driver.options), Identity: w.driver.identity,
	}, nil
}

func (k *pid1Calls) WatchdogControl(fd kernel.FD, c kernel.WatchdogCall, n int32) (int32, error) {
	if e := k.enter(callWatchdogControl); e != 0 {
		return 0, e
	}
	w, e := k.m.watchdogAt(fd)
	if e != 0 {
		return 0, e
	}
	got, e := k.m.ioctlWatchdog(w, int(c), int64(n))
	return int32(got), asError(e)
}

// watchdogAt is the watchdog behind a descriptor of PID 1.
func (m *Machine) watchdogAt(fd kernel.FD) (*watchdog, kernel.Errno) {
	d, e := m.descriptor(fd)
	switch {
	case e != 0:
		return nil, e
	case d.file.dog == nil:
		return nil, kernel.ENOTTY
	}
	return d.file.dog, 0
}

// readBootStatus lets a driver ask its hardware why the machine has booted. Asked once, it forgets
// (drivers/watchdog/i6300esb.c, esb_initdevice).
func (m *Machine) readBootStatus(w *watchdog) {
	if w.driver.keepsStatus {
		w.status = watchdogOptions(m.persistent.BootStatus) & wdCardReset
		m.persistent.BootStatus &^= uint32(wdCardReset)
	}
}

// digit is a flag as the kernel prints it.
func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// openWatchdog starts a watchdog, for one at a time (watchdog_open).
func (m *Machine) openWatchdog(w *watchdog, p *process) kernel.Errno {
	if w.opened {
		return syscall.EBUSY
	}
	w.opened, w.everOpened, w.owner, w.magic = true, true, p, false
	m.startWatchdog(w)
	return 0
}

// startWatchdog lets it count (watchdog_start).
func (m *Machine) startWatchdog(w *watchdog) {
	w.active, w.counts = true, true
	m.pingWatchdog(w)
}

// writeWatchdog is write(2): any byte feeds it, and a V among them says that the next close is meant.
func (m *Machine) writeWatchdog(w *watchdog, b []byte) (int, kernel.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	w.magic = false
	for _, c := range b {
		w.magic = w.magic || c == 'V'
	}
	m.feedWatchdog(w)
	return len(b), 0
}

// feedWatchdog is a ping that a program asks for.
func (m *Machine) feedWatchdog(w *watchdog) {
	w.pinged = true
	if w.active {
		m.pingWatchdog(w)
	}
}

// closeWatchdog stops it, if that was announced and is possible; else it goes on counting, from now
// (watchdog_release).
func (m *Machine) closeWatchdog(w *watchdog) {
	defer m.in("watchdog_release")()
	defer func() { w.opened, w.owner = false, nil }()
	switch {
	case !w.active:
		return
	case w.magic || w.driver.options&wdMagicClose == 0:
		if m.stopWatchdog(w) == 0 {
			return
		}
	}
	m.printk(critical, "watchdog: watchdog"+strconv.Itoa(w.id)+": watchdog did not stop!")
	m.pingWatchdog(w)
}

// stopWatchdog is watchdog_stop.
func (m *Machine) stopWatchdog(w *watchdog) kernel.Errno {
	if !w.active {
		return 0
	}
	if w.noWayOut {
		defer m.in("watchdog_stop")()
		m.printk(kernel.Info, "watchdog: watchdog"+strconv.Itoa(w.id)+
			": nowayout prevents watchdog being stopped!")
		return syscall.EBUSY
	}
	w.active = false
	if w.driver.unstoppable {
		m.beat(w) // the kernel feeds it from now on
		return 0
	}
	w.counts = false
	m.cancelWatchdog(w)
	return 0
}

func (m *Machine) cancelWatchdog(w *watchdog) {
	m.cancel(w.bites)
	m.cancel(w.warn)
	m.cancel(w.worker)
}

// pingWatchdog begins a new timeout (watchdog_ping).
func (m *Machine) pingWatchdog(w *watchdog) {
	w.fed = m.now
	m.cancel(w.warn)
	if w.pre > 0 {
		w.warn = m.interruptAt(m.now+time.Duration(w.timeout-w.pre)*time.Second, 0,
			Do(func(m *Machine) { m.watchdogPretimeout(w) }))
	}
	m.beat(w)
}

// beat tells the hardware, and says when it bites and when a thread of the kernel has to tell it
// again (__watchdog_ping, watchdog_next_keepalive).
func (m *Machine) beat(w *watchdog) {
	m.cancel(w.bites)
	m.cancel(w.worker)
	w.beaten = m.now
	left := time.Duration(w.timeout) * time.Second
	if b := w.driver.beats; b != 0 && (b < left || !w.active) {
		left = b
	}
	if w.driver.hardware {
		w.bites = m.raise(m.now+left, Do(func(m *Machine) { m.watchdogBites(w) }))
	} else {
		w.bites = m.interruptAt(m.now+left, 0, Do(func(m *Machine) { m.softdogFire(w) }))
	}
	if !m.kernelFeeds(w) {
		return
	}
	next := m.now + left/2
	if w.active {
		// Not beyond the program's own timeout: then it is to bite.
		virtual := w.fed + time.Duration(w.timeout)*time.Second
		if last := virtual - left; last <= m.now {
			return
		} else if last < next {
			next = last
		}
	}
	w.worker = m.interruptAt(next, 0, Do(func(m *Machine) {
		if m.aCPUIsFree() && m.kernelFeeds(w) {
			m.beat(w)
		}
	}))
}

// kernelFeeds reports whether the kernel feeds a watchdog in the place of a program
// (watchdog_need_worker).
func (m *Machine) kernelFeeds(w *watchdog) bool {
	if w.active {
		return w.driver.beats != 0 && w.driver.beats < time.Duration(w.timeout)*time.Second
	}
	if !w.counts || !m.attrIsSet("module/watchdog/parameters/handle_boot_enabled") {
		return false
	}
	text, _ := m.attr("module/watchdog/parameters/open_timeout")
	limit, _ := strconv.Atoi(text)
	return limit == 0 || w.everOpened || m.now < time.Duration(limit)*time.Second
}

// watchdogBites is the hardware's reset.
func (m *Machine) watchdogBites(w *watchdog) {
	if w.driver.keepsStatus {
		m.persistent.BootStatus |= uint32(wdCardReset)
	}
	m.finish(End{How: ResetByWatchdog, By: w.driver.name})
}

// WatchdogFires is a watchdog of the machine's that nobody knew of: it resets the machine now.
type WatchdogFires struct{}

func (WatchdogFires) act(m *Machine) { m.finish(End{How: ResetByWatchdog, By: "hardware"}) }

// softdogFire is softdog's timer (drivers/watchdog/softdog.c).
func (m *Machine) softdogFire(w *watchdog) {
	defer m.in("softdog_fire")()
	x := m.timerContext()
	switch c := w.cfg; {
	case c.NoBoot:
		m.printk(critical, "softdog: Triggered - Reboot ignored")
	case c.Panic:
		m.printk(critical, "softdog: Initiating panic")
		m.panic(x, "Software Watchdog Timer expired")
	default:
		m.printk(critical, "softdog: Initiating system reboot")
		if c.RebootCommand != "" {
			// A thread of the kernel does it, and the timer comes back in a minute.
			w.cfg.RebootCommand = ""
			w.bites = m.interruptAt(m.now+time.Minute, 0, Do(func(m *Machine) { m.softdogFire(w) }))
			m.queue(m.kernelRestartWith(c.RebootCommand), nil)
			return
		}
		m.diesOf(End{How: ResetByWatchdog, By: w.driver.name})
		m.dying.rescuer = w.driver.name
		m.emergencyRestart()
		if !m.ended {
			m.printk(critical, "softdog: Reboot didn't ?????")
		}
	}
}

// watchdogPretimeout is the warning before (watchdog_notify_pretimeout).
func (m *Machine) watchdogPretimeout(w *watchdog) {
	defer m.in("watchdog_notify_pretimeout")()
	if w.cfg.Governor == "panic" {
		m.panic(m.timerContext(), "watchdog pretimeout event")
		return
	}
	m.printk(alert, "watchdog"+strconv.Itoa(w.id)+": pretimeout event")
}

// timerContext is the interrupt of the first CPU's timer.
func (m *Machine) timerContext() *context {
	c := &m.cpus[0]
	who := c.stuck
	if who == nil {
		who = idleTask(0)
	}
	return &context{cpu: c, who: who, in: InHardIRQ}
}

// The commands of ioctl(2) (include/uapi/linux/watchdog.h), by their numbers.
const (
	wdGetSupport     = 0
	wdGetStatus      = 1
	wdGetBootStatus  = 2
	wdGetTemp        = 3
	wdSetOptions     = 4
	wdKeepAlive      = 5
	wdSetTimeoutCmd  = 6
	wdGetTimeout     = 7
	wdSetPretimeout  = 8
	wdGetPretimeout  = 9
	wdGetTimeLeft    = 10
	wdDisableCard    = 1
	wdEnableCard     = 2
	maxWatchdogValue = math.MaxUint32 / 1000
)

// ioctlWatchdog is watchdog_ioctl: a command with its value, and the value that comes back.
func (m *Machine) ioctlWatchdog(w *watchdog, cmd int, value int64) (int64, kernel.Errno) {
	d := w.driver
	switch cmd {
	case wdGetSupport:
		return int64(d.options), 0
	case wdGetStatus:
		s := w.status
		if w.magic {
			s |= wdMagicClose
		}
		if w.pinged {
			s, w.pinged = s|wdKeepAlivePing, false
		}
		return int64(s), 0
	case wdGetBootStatus:
		return int64(w.status), 0
	case wdGetTemp:
		return 0, syscall.EOPNOTSUPP
	case wdSetOptions:
		if value&wdDisableCard != 0 {
			if e := m.stopWatchdog(w); e != 0 {
				return 0, e
			}
		}
		if value&wdEnableCard != 0 {
			m.startWatchdog(w)
		}
		return 0, 0
	case wdKeepAlive:
		if d.options&wdKeepAlivePing == 0 {
			return 0, syscall.EOPNOTSUPP
		}
		m.feedWatchdog(w)
		return 0, 0
	case wdSetTimeoutCmd:
		return m.setWatchdogTimeout(w, value)
	case wdGetTimeout:
		return int64(w.timeout), 0
	case wdSetPretimeout:
		if value != 0 && value >= int64(w.timeout) || value < 0 {
			return 0, kernel.EINVAL
		}
		w.pre = int(value) // it counts from the next time that it is fed
		return value, 0
	case wdGetPretimeout:
		return int64(w.pre), 0
	case wdGetTimeLeft:
		return 0, syscall.EOPNOTSUPP
	}
	return 0, syscall.ENOTTY
}

// setWatchdogTimeout is watchdog_set_timeout. It feeds the watchdog, too, and takes away a pretimeout
// that is no longer before it.
func (m *Machine) setWatchdogTimeout(w *watchdog, seconds int64) (int64, kernel.Errno) {
	d := w.driver
	switch {
	case d.options&wdSetTimeout == 0:
		return 0, syscall.EOPNOTSUPP
	case seconds < int64(d.min), d.max != 0 && seconds > int64(d.max), seconds > maxWatchdogValue:
		return 0, kernel.EINVAL
	}
	w.timeout = int(seconds)
	if w.pre >= w.timeout {
		w.pre = 0
	}
	if w.active {
		m.pingWatchdog(w)
	}
	return seconds, 0
}

// rebootNotifiers are those of reboot_notifier_list: the core's of the watchdogs came first.
func (m *Machine) rebootNotifiers(action int) []Notifier {
	if len(m.watchdogs) == 0 {
		return m.cfg.Reboot.Notifiers
	}
	own := Notifier{
		Name: "watchdog", calls: func(m *Machine) NotifyResult { return m.watchdogOnReboot(action) },
	}
	return append([]Notifier{own}, m.cfg.Reboot.Notifiers...)
}

// watchdogOnReboot is the core's reboot notifier (watchdog_reboot_notifier): it stops those that ask
// for it, or all, or none, by watchdog.stop_on_reboot. One that cannot be stopped ends the chain.
func (m *Machine) watchdogOnReboot(action int) NotifyResult {
	if action == 3 && !m.kernel.stopsAtPowerOff {
		return NotifyDone
	}
	text, _ := m.attr("module/watchdog/parameters/stop_on_reboot")
	for _, w := range m.watchdogs {
		stops := w.driver.stopsOnReboot
		switch text {
		case "0":
			stops = false
		case "1":
			stops = true
		}
		if !stops || !w.active && !w.counts {
			continue
		}
		if w.driver.unstoppable {
			return NotifyBad
		}
		w.active, w.counts = false, false
		m.cancelWatchdog(w)
	}
	return NotifyDone
}

// leaveWatchdogs closes what a process had open.
func (m *Machine) leaveWatchdogs(p *process) {
	for _, w := range m.watchdogs {
		if w.opened && w.owner == p {
			m.closeWatchdog(w)
		}
	}
}

// Watch opens a watchdog, sets its times, which may be zero, and feeds it every so often, for ever:
// as long as it runs. A process that does so and dies leaves it counting.
type Watch struct {
	Watchdog            int
	Timeout, Pretimeout int
	Every               time.Duration
}

func (s Watch) do(m *Machine, p *process) verdict {
	if s.Watchdog >= len(m.watchdogs) {
		m.exit(p, kernel.WaitStatus(kernel.ENOENT)<<8)
		return gone
	}
	w := m.watchdogs[s.Watchdog]
	if !p.frame.begun {
		p.frame.begun = true
		if e := m.openWatchdog(w, p.lead); e != 0 {
			m.exit(p, kernel.WaitStatus(e)<<8)
			return gone
		}
		if s.Timeout != 0 {
			m.setWatchdogTimeout(w, int64(s.Timeout))
		}
		if s.Pretimeout != 0 {
			m.ioctlWatchdog(w, wdSetPretimeout, int64(s.Pretimeout))
			m.feedWatchdog(w)
		}
	} else {
		m.feedWatchdog(w)
	}
	m.sleepUntil(p, m.later(s.Every), Sleeping)
	return again
}

// Package shutdown is the way down: from a request to the call of reboot(2), phase by phase.
//
//	Entries      the shutdown entries of the inittab, one after another, everything alive
//	Terminating  TERM to all; ends the instant the last process is gone
//	Killing      KILL to all that are left after the time limit
//	Syncing      sync(2) in a child, if there is a file system with a disk behind it
//	Draining     until the console has sent the last words; ends at once if it has
//	Rebooting    reboot(2) in a child; or a new program in the place of init, for a restart
//	Parked       the kernel did not do it, and nothing more can be tried
//
// The way is a state machine: PID 1 tells it what has happened, and it does what is next. It
// waits for nothing itself. The messages and the order are those of BusyBox [BusyBox 5.1], without
// its sleeps.
package shutdown

import (
	"errors"
	"time"

	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/mountinfo"
)

// Action is what the way down leads to. The zero Action is none.
type Action uint8

// The actions.
const (
	Reboot Action = iota + 1
	Halt
	PowerOff
	Restart // init itself, or what the restart entry names
)

// String returns the word that messages and REBOUND_ACTION use.
//
//go:noinline
func (a Action) String() string {
	switch a {
	case Reboot:
		return "reboot"
	case Halt:
		return "halt"
	case PowerOff:
		return "poweroff"
	case Restart:
		return "restart"
	}
	return "nothing"
}

// ActionNamed returns the action that word stands for, or 0.
func ActionNamed(word string) Action {
	for a := Reboot; a <= Restart; a++ {
		if a.String() == word {
			return a
		}
	}
	return 0
}

// Phase is how far the way has come.
type Phase uint8

// The phases, in order.
const (
	Entries Phase = iota + 1
	Terminating
	Killing
	Syncing
	Draining
	Rebooting
	Parked
)

// String returns the phase's name in messages.
//
//go:noinline
func (p Phase) String() string {
	switch p {
	case Entries:
		return "shutdown entries"
	case Terminating:
		return "waiting for processes to end"
	case Killing:
		return "killing processes"
	case Syncing:
		return "writing to the disks"
	case Draining:
		return "waiting for the console"
	case Rebooting:
		return "calling the kernel"
	case Parked:
		return "stopped"
	}
	return "unknown"
}

// rebootLimit is how long reboot(2) may take until PID 1 tries the next thing. Drivers that shut
// their devices down slowly take seconds.
const rebootLimit = 30 * time.Second

// pollInterval is how often PID 1 looks whether processes are left that are not its descendants.
// Nothing tells it of their end.
const pollInterval = 10 * time.Millisecond

// What is left for the console when reboot(2) is called is lost: the kernel neither waits for its
// serial ports nor keeps their interrupts on. But a console that does not take it must not stop the
// machine.
const (
	// drainLimit is how long to wait as long as it goes on. The 4 KiB that a serial driver keeps
	// take 4.3 s at 9600 baud, ten bits a byte.
	drainLimit = 5 * time.Second
	// drainPatience is how long to wait for a byte: the 128 of a large port go at once, and take
	// 133 ms at 9600 baud.
	drainPatience = 250 * time.Millisecond
	// How long to wait between two looks, at first and at most: nothing tells when the last byte
	// has gone.
	firstDrainLook = 100 * time.Microsecond
	lastDrainLook  = 5 * time.Millisecond
)

// Limits bound the phases.
type Limits struct {
	Term time.Duration // from TERM to KILL
	Kill time.Duration // how long to wait for what KILL does not end: a process in state D
	Sync time.Duration // for sync(2)
	// ByWatchdog asks for a reboot by a watchdog in the place of reboot(2).
	ByWatchdog bool
}

// Kernel is what the way down asks of the kernel.
type Kernel interface {
	kernel.Clock
	kernel.Processes
	kernel.Machine
	kernel.Files
}

// Host is PID 1, as the way down sees it.
type Host interface {
	// Say prints a line on the console and in the log, Print on the console only.
	Say(text string)
	Print(text string)
	// Unsent returns about how many bytes of all that the console has not sent yet. It goes
	// down by itself if the console takes them.
	Unsent() int
	// Note writes a line to the log only.
	Note(text string)
	// Start runs a shutdown entry. It has said why if that failed.
	Start(e inittab.Entry, env []string) (kernel.PID, error)
	// Become replaces init by an entry's command. It has said why if that failed.
	Become(e inittab.Entry) error
	// Entering tells of each phase before anything is done in it, and when it is to be over:
	// an instant of the clock, or kernel.Never if it has no limit.
	Entering(a Action, p Phase, limit time.Duration)
	// Reset has a watchdog reset the machine, and returns how long that may take; not ok if
	// there is none.
	Reset() (within time.Duration, ok bool)
}

// Machine says where PID 1 runs.
type Machine struct {
	// Own is false in a container: there the end of init is the end of the container.
	Own bool
	// Orphans is false where orphans do not become our children: as linuxrc, which is not
	// PID 1. Then nobody knows when the last process is gone.
	Orphans bool
}

// Way is a way down under way.
type Way struct {
	k      Kernel
	host   Host
	limits Limits
	at     Machine

	action  Action
	phase   Phase
	entries []inittab.Entry // shutdown entries still to run
	restart inittab.Entry
	waiting kernel.PID    // the child that the phase waits for, or 0
	limit   time.Duration // when the phase ends at the latest
	look    time.Duration // when to look for processes that are not our descendants
	arg     string        // of the reboot
	exit    bool
	hopes   bool // that a watchdog resets the machine
	// entriesLimit is how long the shutdown entries were given, if they were given a limit.
	entriesLimit time.Duration

	// Of the phase Draining.
	drained  func()        // what comes next
	unsent   int           // what was left at the last look
	hopeless time.Duration // when to go on if it does not become less
	lookIn   time.Duration // after which time to look again
}

// Begin starts the way down. The entries are the shutdown entries; restart is the restart entry,
// used for Restart only.
func Begin(k Kernel, host Host, limits Limits, at Machine, a Action,
	entries []inittab.Entry, restart inittab.Entry,
) *Way {
	w := &Way{
		k: k, host: host, limits: limits, at: at, action: a, restart: restart,
		entries: entries, phase: Entries, limit: kernel.Never, look: kernel.Never,
	}
	w.readArgument()
	host.Entering(a, Entries, kernel.Never)
	w.nextEntry()
	return w
}

// Resume goes on with a way down that a crash of init has interrupted. The shutdown entries are
// not run again: which of them had run is not known.
func Resume(k Kernel, host Host, limits Limits, at Machine, a Action,
	restart inittab.Entry, arg string,
) *Way {
	w := &Way{
		k: k, host: host, limits: limits, at: at, action: a, restart: restart, arg: arg,
		phase: Entries, limit: kernel.Never, look: kernel.Never,
	}
	if arg == "" {
		w.readArgument()
	}
	// It has no entries to run: what comes next tells of itself.
	w.nextEntry()
	return w
}

// Argument returns the argument of the reboot, or "".
func (w *Way) Argument() string { return w.arg }

// Action returns where the way leads.
func (w *Way) Action() Action { return w.action }

// Phase returns how far it has come.
func (w *Way) Phase() Phase { return w.phase }

// Deadline returns when Tick wants to be called.
func (w *Way) Deadline() time.Duration { return min(w.limit, w.look) }

// Exit reports whether init is to exit, with status 0: in a container whose kernel refuses
// reboot(2) that is the only way to end it [BusyBox 5.8].
func (w *Way) Exit() bool { return w.exit }

// Ask answers a further request. A second one never starts a phase again, but whoever asks last
// decides between reboot, halt and power-off. A restart is none of these: it is refused once the
// machine goes down, and gives way to all of them.
func (w *Way) Ask(a Action) {
	switch {
	case w.phase == Parked:
		w.action = a
		w.readArgument()
		w.host.Say("Trying again: " + a.String())
		w.reboot()
	case a == w.action:
		w.readArgument()
		w.host.Say("Already going down for " + a.String() + ": " + w.phase.String())
	case a == Restart:
		w.host.Say("Already going down for " + w.action.String() + ": not restarting init")
	case w.phase == Rebooting:
		w.host.Say("Too late for " + a.String() + ": already going down for " +
			w.action.String())
	default:
		w.host.Say("Already going down for " + w.action.String() + ": now for " + a.String())
		w.action = a
		w.readArgument()
		if w.phase == Draining {
			w.drained = w.request
		}
	}
}

// LimitEntries bounds the shutdown entries, which have no limit else, if they still run.
func (w *Way) LimitEntries(d time.Duration) {
	if w.phase == Entries {
		w.limit, w.entriesLimit = min(w.limit, w.k.Now()+d), d
		w.host.Entering(w.action, w.phase, w.limit)
	}
}

// nextEntry starts the next shutdown entry, or the next phase if there is none.
func (w *Way) nextEntry() {
	env := []string{"REBOUND_ACTION=" + w.action.String()}
	for len(w.entries) > 0 {
		e := w.entries[0]
		w.entries = w.entries[1:]
		if pid, err := w.host.Start(e, env); err == nil {
			w.waiting = pid
			return
		}
	}
	w.terminate()
}

// enter begins a phase that is to be over within a time.
func (w *Way) enter(p Phase, within time.Duration) {
	w.phase, w.limit = p, w.k.Now()+within
	w.host.Entering(w.action, p, w.limit)
}

func (w *Way) terminate() {
	w.enter(Terminating, w.limits.Term)
	w.host.Say("The system is going down NOW!")
	w.killAll(kernel.SIGTERM)
	// A stopped process gets TERM only when it goes on.
	w.killAll(kernel.SIGCONT)
	w.host.Print("Sent SIGTERM to all processes")
	w.limit = w.k.Now() + w.limits.Term
}

// killAll signals everybody. ESRCH says that nobody is there, which is no error.
func (w *Way) killAll(sig kernel.Signal) {
	if err := w.k.KillAll(sig); err != nil && !errors.Is(err, kernel.ESRCH) {
		w.host.Say("kill -1: " + err.Error())
	}
}

func (w *Way) kill() {
	w.enter(Killing, w.limits.Kill)
	w.killAll(kernel.SIGKILL)
	w.host.Print("Sent SIGKILL to all processes")
	w.limit = w.k.Now() + w.limits.Kill
}

// Reaped tells that a child has ended.
func (w *Way) Reaped(e kernel.Exit) {
	if e.PID != w.waiting {
		return
	}
	w.waiting = 0
	switch w.phase {
	case Entries:
		w.nextEntry()
	case Syncing:
		w.reboot()
	case Rebooting:
		errno := kernel.Errno(e.Status.ExitStatus())
		if errno == 0 && !w.at.Own {
			return // The kernel ends the container; the caller is the first to go.
		}
		w.refused(errno)
	case Terminating, Killing, Draining, Parked:
	}
}

// Settled tells that all children that have ended are reaped, and whether any is left.
func (w *Way) Settled(left bool) {
	if left || w.phase != Terminating && w.phase != Killing {
		return
	}
	if w.at.Own && w.at.Orphans {
		// Every process descends from init, and an orphan becomes its child.
		w.sync()
		return
	}
	// A container can be entered from outside, by processes that init never hears of.
	if errors.Is(w.k.KillAll(0), kernel.ESRCH) {
		w.sync()
		return
	}
	w.look = w.k.Now() + pollInterval
}

// Tick tells that the deadline has come.
func (w *Way) Tick(now time.Duration) {
	if w.phase == Draining {
		w.lookAtConsole()
		return
	}
	if now < w.limit {
		if now >= w.look {
			w.look = kernel.Never
			w.Settled(false)
		}
		return
	}
	w.look = kernel.Never
	switch w.phase {
	case Terminating:
		w.kill()
	case Killing:
		// A process in state D outlives KILL. Waiting for it would mean never going down.
		w.host.Say("Processes are left that SIGKILL does not end: going on without them")
		w.sync()
	case Syncing:
		w.host.Say("sync has not finished after " + w.limits.Sync.String() +
			": going on without it")
		w.reboot()
	case Rebooting:
		if w.hopes && w.waiting == 0 {
			w.host.Say("The watchdog has not reset the machine: asking the kernel")
			w.drain(w.request)
			return
		}
		w.desperate("reboot(2) has not come back after " + rebootLimit.String())
	case Entries:
		w.host.Say("The shutdown entries have not finished after " + w.entriesLimit.String() +
			": going on without them")
		w.entries, w.waiting = nil, 0
		w.terminate()
	case Parked:
		w.limit = kernel.Never
	case Draining:
	}
}

// sync writes the file systems to their disks, in a child, for a disk may not answer.
func (w *Way) sync() {
	w.phase = Syncing
	w.limit, w.look = kernel.Never, kernel.Never
	if !w.hasDisks() {
		w.reboot()
		return
	}
	w.enter(Syncing, w.limits.Sync)
	pid, err := w.k.Call(kernel.Sync{})
	if err != nil {
		w.host.Say("sync: can't fork: " + err.Error())
		w.reboot()
		return
	}
	w.waiting = pid
	w.limit = w.k.Now() + w.limits.Sync
}

// inMemory are the file systems that have nothing to write.
func inMemory(fstype string) bool {
	switch fstype {
	case "rootfs", "ramfs", "tmpfs", "devtmpfs", "proc", "sysfs", "devpts", "cgroup", "cgroup2",
		"securityfs", "debugfs", "tracefs", "configfs", "mqueue", "bpf", "hugetlbfs",
		"pstore", "efivarfs", "binfmt_misc", "autofs", "nsfs", "fusectl", "selinuxfs",
		"squashfs", "erofs", "cramfs", "romfs", "iso9660":
		return true
	}
	return false
}

// hasDisks reports whether a file system is mounted that may have something to write.
func (w *Way) hasDisks() bool {
	b, err := w.k.Proc("self/mountinfo")
	if err != nil {
		return true
	}
	for _, m := range mountinfo.Parse(b) {
		if !inMemory(m.Type) {
			return true
		}
	}
	return false
}

// reboot says what is done next, and does it.
func (w *Way) reboot() {
	if w.action != Restart {
		w.host.Print("Requesting system " + w.action.String())
	}
	// A program that takes over from init may end the machine at once, too.
	w.drain(w.request)
}

// drain waits until the console has sent what was written to it, but not for ever.
func (w *Way) drain(then func()) {
	w.enter(Draining, drainLimit)
	w.waiting = 0
	w.hopeless = w.k.Now() + drainPatience
	w.drained, w.unsent, w.lookIn = then, 0, firstDrainLook
	w.lookAtConsole()
}

// lookAtConsole goes on if the console has sent everything, or does not.
func (w *Way) lookAtConsole() {
	left, now := w.host.Unsent(), w.k.Now()
	if left < w.unsent {
		w.hopeless = now + drainPatience
	}
	w.unsent = left
	if left == 0 || now >= min(w.limit, w.hopeless) {
		w.limit, w.look = kernel.Never, kernel.Never
		w.drained()
		return
	}
	w.look = min(now+w.lookIn, w.hopeless, w.limit)
	w.lookIn = min(2*w.lookIn, lastDrainLook)
}

// request does what was asked for.
func (w *Way) request() {
	w.enter(Rebooting, rebootLimit)
	if w.action == Restart {
		w.limit = kernel.Never
		w.become()
		return
	}
	if w.action == Reboot && w.limits.ByWatchdog && w.byWatchdog() {
		return
	}
	call := kernel.Reboot{Cmd: w.command()}
	if w.action == Reboot && w.arg != "" {
		call = kernel.Reboot{Cmd: kernel.Restart2, Arg: w.arg}
	}
	// In a child: on kernels that cannot halt or power off, the call ends its caller
	// (do_exit at the end of those cases in kernel/reboot.c), and the end of init is a panic.
	// The child needs no program, so no file system has to be alive.
	pid, err := w.k.Call(call)
	if err != nil {
		how := ": calling reboot(2) from init itself"
		if call.Arg != "" {
			how += ", without its argument"
		}
		w.host.Say("can't fork: " + err.Error() + how)
		w.drain(w.rebootSelf)
		return
	}
	w.waiting = pid
	w.limit = w.k.Now() + rebootLimit
}

// watchdogGrace is how much longer than it may take a watchdog's reset is waited for.
const watchdogGrace = 5 * time.Second

// byWatchdog has a watchdog reset the machine. Once only: if it does not, the kernel has to.
func (w *Way) byWatchdog() bool {
	if w.hopes {
		return false
	}
	within, ok := w.host.Reset()
	if !ok {
		w.host.Say("There is no watchdog to reset the machine: asking the kernel")
		return false
	}
	w.hopes = true
	w.host.Say("Waiting for the watchdog to reset the machine: " + within.String() + " at most")
	w.limit = w.k.Now() + within + watchdogGrace
	return true
}

// rebootSelf calls reboot(2) without a child.
func (w *Way) rebootSelf() {
	w.phase = Rebooting
	if err := w.k.RebootSelf(w.command()); err != nil {
		w.refused(kernel.ErrnoOf(err))
	}
}

func (w *Way) command() kernel.RebootCmd {
	switch w.action {
	case Halt:
		return kernel.Halt
	case PowerOff:
		return kernel.PowerOff
	case Reboot, Restart:
	}
	return kernel.Restart
}

// readArgument takes the argument that the reboot command has left for the kernel. It does so when
// the request comes: the shutdown entries may unmount where it lies.
func (w *Way) readArgument() {
	if w.action != Reboot {
		return
	}
	b, err := w.k.ReadTrusted(rebootparam.Path)
	if errors.Is(err, kernel.ENOENT) || errors.Is(err, kernel.ENOTDIR) {
		return
	}
	if err != nil {
		w.host.Say(rebootparam.Path + ": " + err.Error() + ": rebooting without it")
		return
	}
	// It is for this request only.
	_ = w.k.Remove(rebootparam.Path)
	arg, err := rebootparam.Decode(b)
	if err != nil {
		w.host.Say(err.Error() + ": rebooting without it")
		return
	}
	w.arg = arg
}

// become replaces init.
func (w *Way) become() {
	// The new init decides about Ctrl-Alt-Del; a container has none. CAD_ON would do it too, but
	// where an earlier reboot(2) hangs it waits for that one's lock, and PID 1 with it.
	if w.at.Own {
		_ = w.k.SetProc("sys/kernel/ctrl-alt-del", "1")
	}
	err := w.host.Become(w.restart)
	// BusyBox halts here [BusyBox 5.22], and somebody has to go to the machine.
	_ = err // Become has said it.
	w.host.Say("No init to restart: rebooting")
	w.action = Reboot
	w.reboot()
}

// refused goes on when reboot(2) has come back.
func (w *Way) refused(errno kernel.Errno) {
	if errno == 0 {
		w.desperate("reboot(2) came back: the kernel cannot " + w.action.String())
		return
	}
	w.desperate("reboot(2): " + errno.Error())
}

// desperate tries what is left when reboot(2) has not worked.
func (w *Way) desperate(why string) {
	w.waiting = 0
	w.limit, w.look = kernel.Never, kernel.Never
	w.phase = Parked
	if !w.at.Own {
		w.host.Say(why + ": ending the container")
		w.drain(func() { w.phase, w.exit = Parked, true })
		return
	}
	key := w.sysrq()
	if key == "" {
		w.host.Say(why + ": it is safe to switch the machine off")
		return
	}
	w.host.Say(why + ": trying sysrq " + key)
	w.drain(func() { w.press(key) })
}

// press presses the magic key.
func (w *Way) press(key string) {
	w.phase = Parked
	err := w.k.SetProc("sysrq-trigger", key)
	why := "sysrq " + key + " has no effect"
	if err != nil {
		why = "sysrq " + key + ": " + err.Error()
	}
	if w.action == Reboot || w.action == Restart {
		if within, ok := w.host.Reset(); ok {
			w.host.Say(why + ": the watchdog resets the machine within " + within.String())
			return
		}
	}
	if err != nil {
		w.host.Say(why + ": it is safe to switch the machine off")
	}
}

// sysrq returns the letter of the magic key that does nearly the same, or "" if there is none.
func (w *Way) sysrq() string {
	switch w.action {
	case Reboot, Restart:
		return "b"
	case PowerOff:
		return "o"
	case Halt:
	}
	return ""
}

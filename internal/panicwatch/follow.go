package panicwatch

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Response is what PID 1 does when the kernel has failed and goes on. The zero Response is nothing.
type Response uint8

// The responses.
const (
	Continue Response = iota
	// Reboot is an orderly reboot, which has an end whatever the kernel has lost.
	Reboot
	// Panic is a panic of the kernel, for what that leaves behind.
	Panic
	// StopFeeding leaves the machine to its watchdog.
	StopFeeding
)

// Rules are the responses to each Kind.
type Rules [kinds]Response

// follows reports whether there is anything to follow the log for.
func (r *Rules) follows() bool { return *r != Rules{} }

// Host is PID 1, as the follower sees it.
type Host interface {
	// Failed says that the kernel has failed, and how PID 1 is to respond. Why names the kind,
	// and has the kernel's own line.
	Failed(how Response, why string)
}

// A kernel that fails may have much to say, and one that is well, too. PID 1 has other things to do.
const (
	// turn is how many records are read before something else has its turn: a millisecond of work
	// on a slow board.
	turn = 64
	// pause is how long the log is left alone after each look that has found something. So at
	// most 6,400 records a second are read, and a flood of any size costs a slow board an eighth of
	// its processor at most (TestLogFlood of test/qemu).
	pause = 10 * time.Millisecond
	// sayEvery is how often it is said that lines were not read.
	sayEvery = 10 * time.Second
	// taintAfter is how long after a line that may have come with a flag kernel.tainted is
	// read: a WARN() sets its flag behind its last line.
	taintAfter = time.Second
	// openFor is how many records there may be between the line that introduces an oops and
	// the one that counts. arm64 has about a dozen.
	openFor = 40
	// longest is the longest record (CONSOLE_EXT_LOG_MAX of the kernels before 6.6; those
	// after have shorter ones).
	longest = 8192
	// lineMax is how much of the kernel's line is told.
	lineMax = 160
)

// The flags of kernel.tainted that the kernel sets because something has gone wrong, as bits. What
// the others tell of is somebody's wish: to load a certain module, for instance.
const (
	taintMachineCheck = 1 << 4
	taintBadPage      = 1 << 5
	taintDie          = 1 << 7
	taintWarn         = 1 << 9
	taintSoftLockup   = 1 << 14

	taintFailures = taintMachineCheck | taintBadPage | taintDie | taintWarn | taintSoftLockup
)

// Position is how far the log was followed: for an init that takes over from a crashed one.
type Position struct {
	Next  uint64 // number of the next record; 0 if none was read
	Taint uint64 // kernel.tainted
}

// Follower follows the kernel log, and tells of failures that the kernel has survived. It is a state
// machine: PID 1 steps it when its descriptor is ready and when its deadline has come. A Follower that
// is nil follows nothing.
//
// Only what the kernel itself says counts. Whoever may write to /dev/kmsg could otherwise reboot the
// machine; but the kernel never lets a program's record have the facility of its own
// (kernel/printk/printk.c, devkmsg_write). And a line counts by how it begins, which no program
// chooses.
type Follower struct {
	_ [0]func() // nobody compares it, and code to do so would be a waste

	k     kernel.Kernel
	host  Host
	rules Rules
	fd    kernel.FD

	known  bool // that at.Next is set
	at     Position
	resume time.Duration // when to read again; Never while the log is watched
	look   time.Duration // when to read kernel.tainted, or Never
	lost   uint64        // records that were not read, and that was not said yet
	say    time.Duration // when that may be said
	missed bool          // some were not read since kernel.tainted was read

	// The line that introduces an oops.
	opening  [lineMax]byte
	openLen  int
	openedAt uint64

	room [longest]byte
}

// Follow begins to follow the log from now on, if there is a rule that needs it. What has happened
// before is said, but nothing is done about it: where it happens at each boot, to reboot would be to
// reboot for ever.
//
// With a position it goes on there.
func Follow(k kernel.Kernel, host Host, rules Rules, from Position) *Follower {
	if !rules.follows() {
		return nil
	}
	f := &Follower{
		k: k, host: host, rules: rules, at: from, known: from.Next > 0,
		resume: kernel.Never, look: kernel.Never,
	}
	start := kernel.LogEnd
	if f.known {
		start = kernel.LogOldest
	}
	var err error
	if f.fd, err = k.FollowLog(start); err != nil {
		k.Log(kernel.Warning, "the kernel log: "+err.Error()+
			": nothing will be done after a failure of the kernel")
		return nil
	}
	if f.known {
		// The flags are looked at when the lines of meanwhile are read.
		f.look = k.Now() + taintAfter
	} else if f.at.Taint = f.tainted(); f.at.Taint&taintFailures != 0 {
		k.Log(kernel.Warning, "kernel.tainted is "+decimal(f.at.Taint)+
			" already: the kernel has failed before init could look: going on")
	}
	// This is the first record of those to be read. Its number is what the next are counted
	// from.
	k.Log(kernel.Info, "following the kernel log for what is to be done after a failure")
	f.resume = k.Now()
	return f
}

// Owns reports whether a descriptor is the log's.
func (f *Follower) Owns(fd kernel.FD) bool { return f != nil && f.fd == fd }

// Deadline returns when Step wants to be called.
//
//go:noinline
func (f *Follower) Deadline() time.Duration {
	if f == nil {
		return kernel.Never
	}
	due := min(f.resume, f.look)
	if f.lost > 0 {
		due = min(due, f.say)
	}
	return due
}

// Position returns how far the log was followed.
func (f *Follower) Position() Position {
	if f == nil {
		return Position{}
	}
	return f.at
}

// Step does what is due, or reads what has come if the descriptor is ready.
func (f *Follower) Step(now time.Duration, ready bool) {
	if f == nil {
		return
	}
	if ready || now >= f.resume {
		f.read(now)
	}
	if now >= f.look {
		f.checkTaint()
	}
	if f.lost > 0 && now >= f.say {
		f.k.Log(kernel.Warning, decimal(f.lost)+
			" lines of the kernel log were not looked at")
		f.lost, f.say = 0, now+sayEvery
	}
}

// read takes a turn. If there was nothing to read, it asks to be told of the next record; if that is
// not to be had, it gives up. Kernels before 3.5 end here: their /dev/kmsg can only be written to.
func (f *Follower) read(now time.Duration) {
	f.resume = now + pause
	for n := range turn {
		size, err := f.k.Read(f.fd, f.room[:])
		switch {
		case err == nil:
			f.take(f.room[:size], now)
			continue
		case errors.Is(err, kernel.EPIPE):
			// How many are gone, the next one tells by its number.
			f.miss(now, 0)
			continue
		case errors.Is(err, kernel.EAGAIN):
			if n > 0 {
				return
			}
			f.resume = kernel.Never
			if err = f.k.Watch(f.fd, kernel.In); err == nil {
				return
			}
		}
		f.k.Log(kernel.Warning, "reading the kernel log: "+err.Error()+
			": nothing more will be done after a failure of the kernel")
		_ = f.k.Close(f.fd)
		f.fd, f.resume, f.look, f.lost = -1, kernel.Never, kernel.Never, 0
		return
	}
}

// miss counts records that were not read.
func (f *Follower) miss(now time.Duration, n uint64) {
	f.lost += n
	f.missed, f.openLen = true, 0
	f.lookLater(now)
}

func (f *Follower) lookLater(now time.Duration) { f.look = min(f.look, now+taintAfter) }

// take looks at a record.
func (f *Follower) take(b []byte, now time.Duration) {
	r, ok := ParseRecord(b)
	if !ok || f.known && r.Seq < f.at.Next {
		return
	}
	if f.known && r.Seq > f.at.Next {
		f.miss(now, r.Seq-f.at.Next)
	}
	f.known, f.at.Next = true, r.Seq+1
	if r.Facility != 0 {
		return
	}
	if r.Level <= kernel.Warning {
		f.lookLater(now)
	}
	kind, opens := Recognise(r.Text)
	line := r.Text
	switch {
	case kind == Oops && f.openLen > 0 && r.Seq-f.openedAt <= openFor:
		line = f.opening[:f.openLen]
		f.openLen = 0
	case opens:
		f.openLen, f.openedAt = copy(f.opening[:], r.Text), r.Seq
	}
	if kind != Nothing {
		f.found(kind, line)
	}
	if kind == Bug && Died(r.Text) {
		f.found(Oops, line)
	}
}

// found tells of a failure, if anything is to be done about it.
func (f *Follower) found(kind Kind, line []byte) {
	if how := f.rules[kind]; how != Continue {
		f.host.Failed(how, kindNames[kind]+": "+string(line[:min(len(line), lineMax)]))
	}
}

// tainted reads kernel.tainted, or returns what it was if it cannot be read.
func (f *Follower) tainted() uint64 {
	b, err := f.k.Proc("sys/kernel/tainted")
	if err == nil {
		var n uint64
		if n, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil {
			return n
		}
	}
	return f.at.Taint
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// checkTaint tells of flags that are new. A flag whose lines were not read stands for them.
func (f *Follower) checkTaint() {
	f.look = kernel.Never
	before, now := f.at.Taint, f.tainted()
	f.at.Taint = now
	fresh := now &^ before & taintFailures
	missed := f.missed
	f.missed = false
	if fresh == 0 {
		return
	}
	line := []byte("kernel.tainted went from " + decimal(before) + " to " + decimal(now))
	f.found(Taint, line)
	for kind, flag := range [...]uint64{Oops: taintDie, Warn: taintWarn, Lockup: taintSoftLockup} {
		if missed && fresh&flag != 0 {
			f.found(Kind(kind), line)
		}
	}
}

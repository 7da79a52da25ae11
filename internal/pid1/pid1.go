// Package pid1 is init: it boots by the inittab, keeps services running, reaps, and takes the
// requests to go down.
//
// It is one loop over the kernel's events. Its parts are state machines that the events step: the
// boot (boot.go), the services (service.go), Ctrl-Alt-Del and the other signals (signal.go), the
// way down (package shutdown). Nothing but kernel.Next waits, so that a request is heard at any
// moment, in the middle of sysinit too. Every child is started in start.go and reaped in reap.go.
package pid1

import (
	"time"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/shutdown"
	"github.com/rebound-init/rebound/internal/wdt"
)

// The files that init reads.
const (
	InittabPath = "/etc/inittab"
	ConfigPath  = "/etc/rebound.conf"
)

// Options is what init is started with.
type Options struct {
	Args []string // after the program's name
	Env  []string
	// Linuxrc is set for a process that is not PID 1: orphans do not come to it.
	Linuxrc bool
	// Utmp is the layout of utmp records on this architecture.
	Utmp UtmpLayout
	// NoSyslog is called when the configuration turns syslog off.
	NoSyslog func()
	// State is the snapshot of an init that has crashed, or nil.
	State []byte
}

// Init is PID 1.
type Init struct {
	k   kernel.Kernel
	opt Options
	set config.Settings
	env []string
	con console
	at  shutdown.Machine

	table    inittab.Table // as last read, without the services
	services services
	// commands are those that run and are not kept running.
	commands map[kernel.PID]inittab.Entry
	cmd      kernel.Command // the last one that was started
	boot     boot
	cad      sequence // the ctrlaltdel entries that run now
	cadAgain bool     // Ctrl-Alt-Del was pressed while they ran
	reload   bool     // SIGHUP came while a group of the boot ran

	core struct {
		lifted bool
		next   time.Duration // when to look again
	}

	paused bool   // SIGTSTP: nothing is started, requests are kept
	held   uint64 // the signals kept, bit n-1 for signal n
	// heldTTYs are terminals on which somebody has pressed Enter during a pause.
	heldTTYs []kernel.FD
	policy   []panicwatch.Outcome // what came of the policy for panics
	asked    shutdown.Action      // what the way down was begun for
	way      *shutdown.Way

	dogs    *wdt.Keeper          // or nil
	starved string               // why the init that has crashed has let them starve
	log     *panicwatch.Follower // of the kernel log, or nil
	failed  bool                 // the kernel has, and something was done about it
}

// New makes an init. Nothing happens before Run.
func New(k kernel.Kernel, opt Options) *Init {
	in := &Init{k: k, opt: opt, commands: make(map[kernel.PID]inittab.Entry)}
	in.con.k = k
	return in
}

// Run boots the machine and stays until it goes down. It returns, with an exit status, only in a
// container that cannot be ended otherwise.
func (in *Init) Run() int {
	in.setUp()
	if in.opt.State != nil {
		in.resume()
	} else {
		in.followLog(panicwatch.Position{})
		in.startBoot()
	}
	for {
		in.advance()
		if in.way != nil && in.way.Exit() {
			return 0
		}
		in.stepWatchdogs()
		in.handle(in.k.Next(min(in.deadline(), in.feedingTime(), in.log.Deadline())))
		if due := in.log.Deadline(); due != kernel.Never && in.k.Now() >= due {
			in.log.Step(in.k.Now(), false)
		}
		if in.way != nil && in.k.Now() >= in.way.Deadline() {
			// A storm of signals must not keep a limit from being noticed.
			in.way.Tick(in.k.Now())
		}
	}
}

// advance does what is due, until there is nothing left to do but to wait.
func (in *Init) advance() {
	if in.way != nil {
		in.way.Settled(in.reap())
		return
	}
	if in.paused {
		return
	}
	in.stepBoot()
	if in.way == nil {
		in.stepCtrlAltDel()
		in.startDue()
	}
}

func (in *Init) handle(ev kernel.Event) {
	switch ev := ev.(type) {
	case kernel.Signaled:
		in.signal(ev.Signal)
	case kernel.Ready:
		if ev.FD == in.con.fd {
			in.con.drain()
			return
		}
		if in.log.Owns(ev.FD) {
			in.log.Step(in.k.Now(), true)
			return
		}
		in.terminalReady(ev.FD)
	case kernel.Expired:
		if in.way != nil {
			in.way.Tick(in.k.Now())
		}
	}
}

// deadline is when something is due without an event.
func (in *Init) deadline() time.Duration {
	switch {
	case in.way != nil:
		return in.way.Deadline()
	case in.paused:
		return kernel.Never
	}
	return in.services.nextStart()
}

// running reports whether the boot is over and the machine is not going down.
func (in *Init) running() bool { return in.boot.phase == booted && in.way == nil }

// goDown starts the way down, or tells one that is under way of a further request.
func (in *Init) goDown(a shutdown.Action) {
	if in.way != nil {
		in.way.Ask(a)
		return
	}
	restart := in.restartEntry()
	if a == shutdown.Restart && restart.Command == "" {
		in.note(kernel.Info, "restart asked for, but the inittab has no restart entry")
		return
	}
	in.checkPolicy()
	in.asked = a
	in.way = shutdown.Begin(in.k, in, in.limits(), in.at, a, of(in.table, inittab.Shutdown), restart)
}

// restartEntry is the first one, which counts [BusyBox 2.28], or none.
func (in *Init) restartEntry() inittab.Entry {
	if es := of(in.table, inittab.Restart); len(es) > 0 {
		return es[0]
	}
	return inittab.Entry{}
}

func (in *Init) limits() shutdown.Limits {
	return shutdown.Limits{
		Term: in.set.Shutdown.TermTimeout,
		Kill: in.set.Shutdown.KillTimeout,
		Sync: in.set.Shutdown.SyncTimeout,

		ByWatchdog: in.set.Reboot.Method == config.RebootByWatchdog,
	}
}

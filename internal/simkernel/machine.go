// Package simkernel is a Linux kernel in virtual time, for PID 1 to run on.
//
// It is a discrete-event machine with one CPU, no goroutine, no clock and one seed. While PID 1
// computes, no time passes and nobody else runs. Inside Next the machine runs the processes that
// can run, moves its clock to the next timer when none can, and comes back when something
// concerns PID 1. So a boot of an hour takes microseconds, and the same configuration with the
// same seed leaves the same transcript.
//
// There is a file for each behaviour of the kernel, named as the kernel names it. Functions that
// follow one of the kernel's say which.
package simkernel

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Config describes a machine. The zero value is a privileged machine of its own, with a console,
// /bin/sh and nothing else.
type Config struct {
	// Seed draws what a real machine leaves to chance: in which order things happen that
	// happen at one instant, which zombie is reaped first, how long loading and sync(2) take,
	// from half to twice as long, and how much too long a process sleeps. With 0 all is
	// orderly: first come, first served, and as long as said.
	Seed uint64

	// Files are the plain files, by absolute path. Their directories are there too.
	Files map[string]string
	// Dirs are further directories.
	Dirs []string
	// Programs are the executable files, by absolute path. /bin/sh is there by itself,
	// unless NoShell says it is not.
	Programs map[string]Program
	NoShell  bool
	// Mounts are mounted before PID 1 runs, from Disks or the kernel's own. The first of them
	// may be the root; all else of this configuration is put onto what is mounted.
	Mounts []Mount
	// Disks are the disks. They keep what was written to them for the next machine.
	Disks []*Disk
	// Terminals are the devices that can be opened, by absolute path.
	Terminals map[string]Terminal
	// Console is the device behind /dev/console: /dev/ttyS0 if empty. "none" is no console:
	// then descriptors 0, 1 and 2 are closed at the start.
	Console string
	// Stdio is what PID 1 has as descriptors 0, 1 and 2: /dev/console if empty.
	Stdio string
	// Closed are those of the descriptors 0 to 2 that are closed at the start.
	Closed []kernel.FD

	// Namespace makes PID 1 the init of a PID namespace and not of the machine.
	Namespace bool
	// Privileges are who PID 1 is and what it may do, Limits how many processes there may be.
	Privileges Privileges
	Limits     Limits
	// Threads are what the further threads of PID 1 do. Go's runtime has some, which sleep:
	// {Pause{}}. Each takes a process number.
	Threads [][]Step
	// Cmdline is the kernel command line.
	Cmdline string
	// MagicSysrq is a kernel with /proc/sysrq-trigger.
	MagicSysrq bool
	// Epoch is the time of day at boot: 1970 if zero.
	Epoch time.Time
	// PIDMax is kernel.pid_max; 32768 if zero.
	PIDMax int

	// ExecTime is how long it takes to load a program: 300 microseconds if zero. Programs
	// may say otherwise.
	ExecTime time.Duration
	// SyncTime is how long sync(2) takes: 100 microseconds if zero. kernel.Never is a dead
	// disk.
	SyncTime time.Duration
	// RebootTime is how long reboot(2) takes to shut the devices down. With kernel.Never
	// it hangs there.
	RebootTime time.Duration
	// HaltReturns and PowerOffReturns are kernels that cannot do it, print that they have,
	// and come back. The caller ends, and a later reboot(2) hangs
	// (kernel/reboot.c: system_transition_mutex is never unlocked).
	HaltReturns, PowerOffReturns bool
	// Reboot is the rest of what is on the way down, and Firmware what is at its end.
	Reboot   RebootConfig
	Firmware Firmware
	// Watchdogs are the machine's, from /dev/watchdog0 on.
	Watchdogs []Watchdog
	// Ramoops are the parameters of the module of that name, with blanks or commas between, as if
	// somebody loaded it before PID 1; a word ramoops.NAME=VALUE of Cmdline is one, too. Without
	// mem_size it is not there. What it keeps stands in Persistent.Memory.
	Ramoops string
	// EFIVariables is how many bytes of variables the firmware has room for, if it keeps the kernel's
	// log. They stand in Persistent.Flash.
	EFIVariables int
	// Panic is what is in the way when the kernel dies.
	Panic PanicConfig
	// Kexec is what there is for other kernels to be started.
	Kexec KexecConfig
	// Kernel is the version, one of Kernels: linux-6.1-x86_64 if empty.
	Kernel string

	// Until bounds the run, in virtual time: an hour if zero.
	Until time.Duration
	// Trace, if set, is told every call of PID 1 with its result.
	Trace func(at time.Duration, call string)
	// Passages says that the machine is to note through which functions it dies.
	Passages bool
}

// Machine is a simulated machine. It is made by New and used by one goroutine.
type Machine struct {
	cfg Config
	rng *rand.Rand // nil: orderly

	// Time and what is to be done in it.
	now     time.Duration
	events  eventHeap
	seq     uint64
	actions []scheduled
	runq    runQueue
	current *process // that is running
	work    int      // done since time last moved
	steps   uint64   // done since the boot
	most    int      // threads that there were together since then

	// Processes.
	pids  pidMap
	slots []slot
	all   processList // in order of birth
	init  *process
	// Not yet used.
	processes []process
	sessions  []newSession
	births    uint64
	states    [stateCount]int
	users     map[int]*user
	tasks     int // threads of processes, zombies included
	root      *pidNamespace
	nested    map[kernel.PID]*pidNamespace // the innermost that a number is of, if not root

	// What PID 1 is told.
	ready []readiness
	fds   []*descriptor
	stdio *stdio
	waits []Blocked

	// Files.
	nodes       []node // not yet used
	mounts      []*mount
	rootMount   *mount
	fs          *fsState // PID 1's
	singles     []*superblock
	anonymous   uint16        // file systems without a device
	lazy        []*superblock // unmounted, and still open
	disks       []*Disk
	backings    []backing
	swapAreas   []*swapArea
	swaps       int // that there ever were
	works       []*ioWait
	writerAwake bool

	terminals map[string]*terminal
	console   *terminal
	knobs     map[string]string // those that are not at their defaults
	procTexts map[string]string // files of proc that a test has made
	whens     map[string][]*whenLine

	ring         logRing
	devkmsg      devkmsgMode
	devkmsgFixed bool // by the command line

	loopback bool
	wallJump time.Duration

	syncTime time.Duration
	kernel   *profile
	passages []Passage
	reboot   rebootState
	cpus     []cpu
	hardware hardwareEvents
	// stuckCPUs is how many may not be free, so that nobody else needs to look.
	stuckCPUs int
	dying     deathState
	oopses    oopsState
	// forcedCPU is panic_force_cpu, if it is set.
	forcedCPU *int
	// panicOnTaint and noUserTaint are panic_on_taint.
	panicOnTaint uint64
	noUserTaint  bool
	watchdogs    []*watchdog
	// sysrqAlways is sysrq_always_enabled.
	sysrqAlways bool
	// inD is how many threads are in D, hungSeen what khungtaskd has seen of them, and hungAt
	// when it looks next.
	inD      int
	hungSeen map[*process]seenHung
	hungAt   time.Duration
	attrs    map[string]string // files of sysfs that are not at their defaults

	kexecs kernelsToStart
	// from is what another kernel has handed over, and powerOn the configuration with which
	// the firmware starts the machine: not this one's, if another kernel has.
	from    *handedOver
	powerOn Config

	persistent   Persistent
	pstore       pstoreState
	earlierBoots int

	counts [callCount]int
	faults map[call][]fault

	running bool
	ending  bool // PID 1 is no more; rest says how
	rest    End
	// lastThread is the thread of PID 1 that has ended last, and restOfFirst says that rest
	// is of the first thread alone: the others end when they like.
	lastThread  kernel.PID
	restOfFirst bool
	ended       bool
	end         End
	answers     Answers // at the end
}

// New makes a machine. The maps of the configuration are only read.
func New(cfg Config) *Machine { return newMachine(cfg, nil) }

// newMachine makes a machine whose kernel may have been started by another.
func newMachine(cfg Config, from *handedOver) *Machine {
	powerOn := cfg
	if cfg.PIDMax == 0 {
		cfg.PIDMax = 32768
	}
	if cfg.ExecTime == 0 {
		cfg.ExecTime = 300 * time.Microsecond
	}
	if cfg.SyncTime == 0 {
		cfg.SyncTime = 100 * time.Microsecond
	}
	if cfg.Until == 0 {
		cfg.Until = time.Hour
	}
	if cfg.Console == "" {
		cfg.Console = "/dev/ttyS0"
	}
	if cfg.Epoch.IsZero() {
		cfg.Epoch = time.Unix(0, 0).UTC()
	}
	k := profileOf(cfg.Kernel)
	if cfg.Kexec.Crash != nil && !strings.Contains(cfg.Cmdline, "crashkernel=") {
		cfg.Cmdline = strings.TrimSpace(cfg.Cmdline + " " + k.usualCrashkernel())
	}
	if strings.Contains(cfg.Cmdline, "nr_cpus=") {
		cfg.Reboot.CPUs = limitCPUs(cfg.Cmdline, max(cfg.Reboot.CPUs, 1))
	}
	m := &Machine{
		cfg: cfg, kernel: k, syncTime: cfg.SyncTime, from: from, powerOn: powerOn,
	}
	if cfg.Seed != 0 {
		m.rng = rand.New(rand.NewPCG(cfg.Seed, 0))
	}
	m.pids.max = cfg.PIDMax
	m.nested = make(map[kernel.PID]*pidNamespace)
	m.setUpPstore()
	m.setUpKnobs()
	m.setUpDisks()
	m.setUpFiles()
	m.setUpTerminals()
	m.keepSetUp()
	m.setUpProcesses()
	m.setUpReboot()
	m.setUpCPUs()
	m.setUpWatchdogs()
	m.setUpSysctls()
	m.setUpKexec()
	return m
}

// How says how a machine ended.
type How uint8

// The ways to end.
const (
	// Restarted: reboot(2) with RESTART or RESTART2, or a Ctrl-Alt-Del that asked nobody.
	Restarted How = 1 + iota
	// Halted: reboot(2) with HALT.
	Halted
	// PoweredOff: reboot(2) with POWER_OFF.
	PoweredOff
	// Exited: PID 1 ended. In the initial namespace the kernel panics.
	Exited
	// Panicked: the kernel panicked for another reason.
	Panicked
	// Execed: PID 1 replaced itself. Boot may be called once more, for the new program, and
	// goes on with the same processes.
	Execed
	// Stuck: PID 1 waits for something that cannot come.
	Stuck
	// TimedOut: the bound on virtual time was reached.
	TimedOut
	// Livelocked: endless work at one instant.
	Livelocked
	// Lingering: PID 1 has ended, or would have, but one of its threads never does, or a process
	// of its namespace, and nobody outside sees the end before.
	Lingering
	// Hung: the kernel or the firmware does nothing more, and nobody else can.
	Hung
	// Kexeced: reboot(2) with KEXEC has started another kernel.
	Kexeced
	// ResetByHand: somebody has pressed the reset button.
	ResetByHand
	// LostPower: the power was cut, or the power button held.
	LostPower
	// ResetByWatchdog: a hardware watchdog was not fed in time.
	ResetByWatchdog
)

// String returns the name.
func (h How) String() string {
	switch h {
	case Restarted:
		return "restarted"
	case Halted:
		return "halted"
	case PoweredOff:
		return "powered off"
	case Exited:
		return "exited"
	case Panicked:
		return "panicked"
	case Execed:
		return "execed"
	case Stuck:
		return "stuck"
	case TimedOut:
		return "timed out"
	case Livelocked:
		return "livelocked"
	case Lingering:
		return "lingering"
	case Hung:
		return "hung"
	case Kexeced:
		return "replaced by kexec"
	case ResetByHand:
		return "reset by hand"
	case LostPower:
		return "without power"
	case ResetByWatchdog:
		return "reset by a watchdog"
	}
	return "running"
}

// End is the end of a machine, or of a PID namespace.
type End struct {
	How How
	// At is when, since boot.
	At time.Duration
	// Since is when the kernel panicked, if it did, and Then what has become of the machine
	// after that: Restarted, Kexeced, ResetByWatchdog, Hung or what else ends one.
	Since time.Duration
	Then  How
	// By is the watchdog that it was.
	By string
	// Status is what the parent of a namespace's PID 1 sees: death by SIGHUP after
	// RESTART, by SIGINT after HALT and POWER_OFF. In the initial namespace it is set when
	// How is Exited only.
	Status kernel.WaitStatus
	// Arg is RESTART2's argument.
	Arg string
	// Command is what PID 1 replaced itself by.
	Command *kernel.Command
	// Text is the kernel's last line, or what PID 1 is stuck in.
	Text string
}

// unwind is thrown to end PID 1's code, and caught in Boot.
//
// A real PID 1 does not come back from these calls: the machine is gone, and its stack with it.
// Here the stack must go some way, and PID 1 must not need to know; so the call does not return
// and does not fail, but panics. Deferred code of PID 1 that catches the panic is thrown out
// again by its next call.
type unwind struct{}

func (unwind) String() string { return "simkernel: the machine has ended" }

// Boot runs PID 1 until the machine ends. Returning from pid1 is exiting with that status.
// A panic of PID 1 passes through.
func (m *Machine) Boot(pid1 func(k kernel.Kernel) int) (end End) {
	if m.running {
		panic("simkernel: Boot within Boot")
	}
	if m.ended {
		if m.end.How != Execed {
			panic("simkernel: Boot of a machine that has " + m.end.How.String())
		}
		m.ended, m.end = false, End{}
	}
	m.running = true
	m.loadPstore()
	defer func() {
		m.running = false
		switch r := recover().(type) {
		case nil:
		case unwind:
			end = m.end
		default:
			panic(r)
		}
	}()
	var k kernel.Kernel = &pid1Calls{m}
	if m.cfg.Trace != nil {
		k = Traced(k, func(s string) { m.cfg.Trace(m.now, s) })
	}
	status := pid1(k)
	if !m.ended {
		m.endInit(End{How: Exited, Status: kernel.WaitStatus(status&0xff) << 8})
		m.drain()
	}
	return m.end
}

// finish ends the machine, or lets PID 1 begin to end where that takes others along. The caller
// must get back to PID 1's call at once.
func (m *Machine) finish(e End) {
	switch e.How {
	case Exited:
		m.endInit(e)
		return
	case Restarted, Halted, PoweredOff:
		if m.cfg.Namespace {
			m.endInit(e)
			return
		}
	case Panicked, Execed, Stuck, TimedOut, Livelocked, Lingering, Hung, Kexeced, ResetByHand,
		LostPower, ResetByWatchdog:
	}
	m.over(e)
}

// over is the end.
func (m *Machine) over(e End) {
	if m.ended {
		return
	}
	if first := m.dying.first; first != nil {
		then, by := e.How, e.By
		e = *first
		e.Then = then
		switch {
		case by != "":
			e.By = by
		case m.dying.rescuer != "":
			e.By = m.dying.rescuer
		}
	}
	e.At = m.now
	m.answers = m.Answers()
	m.ended, m.end = true, e
}

// pid1Calls is the kernel as PID 1 sees it.
type pid1Calls struct{ m *Machine }

var _ kernel.Kernel = (*pid1Calls)(nil)

// enter begins a call of PID 1. It returns the errno that the test asked for, or 0.
func (k *pid1Calls) enter(c call) kernel.Errno {
	m := k.m
	k.check()
	m.toil()
	k.check()
	return m.fault(c)
}

// check throws PID 1 out if it, or the machine, has ended.
func (k *pid1Calls) check() {
	if k.m.ending {
		k.m.drain()
	}
	if k.m.ended {
		panic(unwind{})
	}
}

// asError turns 0 into nil.
func asError(e kernel.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

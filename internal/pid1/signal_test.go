package pid1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// answers says what each signal does in each state of init [BusyBox 4.5 to 4.10, 4.20 to 4.23,
// 4.30]. Signals that have no column do nothing, in any state.
//
// On the way up:
//
//   - nothing
//     reload    the inittab is read, at once or when the group of the boot is over
//     cad       the ctrlaltdel entry runs
//     pause     nothing is started any more
//     continue  the pause is over
//     reboot, halt, poweroff, restart
//     the machine goes down
//
// On the way down, which here is for a reboot and comes to no end:
//
//	unread    the log says that the inittab is not read
//	already   it is answered that the machine goes down already
//	norestart ... and that init is not restarted
//	halt, poweroff
//	          that is what the kernel is asked for in the end
//	late      the kernel has been asked already
//	unpaused  the log says that there is no pause
//	again     the kernel is asked again, for what the signal says
const answers = `
              HUP     INT      QUIT       USR1   USR2      TERM     CONT      TSTP      PWR
  sysinit     reload  cad      restart    halt   poweroff  reboot   -         pause     halt
  wait        reload  cad      restart    halt   poweroff  reboot   -         pause     halt
  booted      reload  cad      restart    halt   poweroff  reboot   -         pause     halt
  pausedboot  reload  cad      restart    halt   poweroff  reboot   continue  -         halt
  paused      reload  cad      restart    halt   poweroff  reboot   continue  -         halt
  entries     unread  already  norestart  halt   poweroff  already  -         unpaused  halt
  terminating unread  already  norestart  halt   poweroff  already  -         unpaused  halt
  killing     unread  already  norestart  halt   poweroff  already  -         unpaused  halt
  syncing     unread  already  norestart  halt   poweroff  already  -         unpaused  halt
  rebooting   unread  already  norestart  late   late      already  -         unpaused  late
  parked      unread  already  again      again  again     again    -         unpaused  again
`

// moment is a state of init in the worlds below.
type moment struct {
	down bool          // which of the worlds
	at   time.Duration // when it is in the state
	acts time.Duration // when a request that comes then takes effect, if not at once
	till time.Duration // when the group of the boot is over, and a reload takes effect
	// next is what is started next, and when if SIGCONT comes.
	next   string
	starts time.Duration
}

const (
	exec      = pid1test.ExecTime
	entryTime = 10*time.Second + exec // of the wait and the shutdown entry
	pauseAt   = 2 * time.Second       // before the signal
	pauseFor  = 4 * time.Second
	downAt    = 30 * time.Second
	// The phases of the way down: entries for 10 s, then 5 s, 1 s, 30 s and 30 s.
	termAt   = downAt + entryTime
	killAt   = termAt + 5*time.Second
	syncAt   = killAt + time.Second
	rebootAt = syncAt + 30*time.Second
	parkAt   = rebootAt + 30*time.Second
	allUntil = 3 * time.Minute
)

func moments() map[string]moment {
	return map[string]moment{
		"sysinit": {at: 5 * time.Second, till: 10*time.Second + 2*exec},
		"wait":    {at: 15 * time.Second, till: 20*time.Second + 3*exec},
		"booted":  {at: 25 * time.Second},
		// The first entry ends during the pause.
		"pausedboot": {
			at: 5 * time.Second, acts: 7 * time.Second, till: 13*time.Second + exec,
			next: "actor as second, sleep 6s", starts: 5 * time.Second,
		},
		// So does the service, a second before it is to be started again.
		"paused": {
			at: 25 * time.Second, acts: 27 * time.Second,
			next: "actor as service, sleep 4s", starts: 25*time.Second + 4*exec,
		},

		"entries":     {down: true, at: downAt + time.Second},
		"terminating": {down: true, at: termAt + time.Second},
		"killing":     {down: true, at: killAt + time.Second/2},
		"syncing":     {down: true, at: syncAt + time.Second},
		"rebooting":   {down: true, at: rebootAt + time.Second},
		"parked":      {down: true, at: parkAt + time.Second},
	}
}

// world is a machine in the state, when its time has come.
func (s moment) world(t *testing.T, name string) *pid1test.World {
	inittab := `
		::sysinit:actor as first, sleep 4s
		::sysinit:actor as second, sleep 6s
		::wait:actor as wait, sleep 10s
		::respawn:actor as service, sleep 4s
		::ctrlaltdel:actor as cad
		::restart:actor as restart
		::shutdown:actor as entry, sleep 10s
	`
	c := simkernel.Config{Until: allUntil}
	if s.down {
		// Nothing ends as it should.
		inittab += "::respawn:actor ignore TERM, pause\n::respawn:actor hang\n"
		c.SyncTime, c.RebootTime = kernel.Never, kernel.Never
	}
	setup := pid1test.Setup{Config: c, Inittab: inittab}
	if s.down {
		setup.Mounts = []kernel.Mount{{Type: "ext4", Target: "/data"}}
	}
	w := pid1test.New(t, setup)
	if s.down {
		w.At(downAt, simkernel.Signals(kernel.SIGTERM))
	}
	if strings.HasPrefix(name, "paused") {
		w.At(s.at-pauseAt, simkernel.Signals(kernel.SIGTSTP))
		w.At(s.at-pauseAt+pauseFor, simkernel.Signals(kernel.SIGCONT))
	}
	return w
}

// TestEverySignalInEveryState sends each of the 64 signals in each state, and looks at what comes
// of it.
func TestEverySignalInEveryState(t *testing.T) {
	rows := strings.Split(strings.Trim(answers, "\n"), "\n")
	columns := strings.Fields(rows[0])
	states := moments()
	for _, row := range rows[1:] {
		words := strings.Fields(row)
		state, ok := states[words[0]]
		if !ok || len(words) != len(columns)+1 {
			t.Fatalf("row %q: want a state and %d answers", row, len(columns))
		}
		delete(states, words[0])
		t.Run(words[0], func(t *testing.T) {
			calm := state.world(t, words[0])
			calm.Boot()
			for sig := kernel.Signal(1); sig <= 64; sig++ {
				answer := "-"
				if i := slices.Index(columns, kernel.SignalName(sig)); i >= 0 {
					answer = words[i+1]
				}
				t.Run(kernel.SignalName(sig), func(t *testing.T) {
					w := state.world(t, words[0])
					w.At(state.at, simkernel.Signals(sig))
					w.Boot()
					if state.down {
						state.checkDown(t, w, calm, sig, answer)
					} else {
						state.checkUp(t, w, calm, answer)
					}
				})
			}
		})
	}
	if len(states) > 0 {
		t.Errorf("states without a row: %v", states)
	}
}

// TestEverySignalTwice: the second one, a little later, changes nothing about how and when it ends.
func TestEverySignalTwice(t *testing.T) {
	for name, state := range moments() {
		t.Run(name, func(t *testing.T) {
			for sig := kernel.Signal(1); sig <= 64; sig++ {
				once, twice := state.world(t, name), state.world(t, name)
				once.At(state.at, simkernel.Signals(sig))
				twice.At(state.at, simkernel.Signals(sig))
				twice.At(state.at+time.Millisecond, simkernel.Signals(sig))
				once.Boot()
				twice.Boot()
				if !once.Alive() {
					twice.WantEnd(once.End.How, once.End.At)
				} else {
					twice.WantAlive()
				}
				if a, b := len(once.Reboots()), len(twice.Reboots()); a != b {
					t.Errorf("%v: reboot(2) was called %d times, and %d for two signals", sig, a, b)
				}
			}
		})
	}
}

// checkUp checks the answer to a signal before the way down.
func (s moment) checkUp(t *testing.T, w, calm *pid1test.World, answer string) {
	t.Helper()
	acts := max(s.at, s.acts)
	switch answer {
	case "-":
		wantSame(t, w, calm)
	case "continue":
		w.WantAlive()
		if !slices.Contains(w.Starts(s.next), s.starts) {
			t.Errorf("%q was not started after %v\n%s", s.next, s.starts, w.Story())
		}
		if slices.Contains(calm.Starts(s.next), s.starts) {
			t.Errorf("%q was started during a pause\n%s", s.next, calm.Story())
		}
	case "reload":
		w.WantAlive()
		at := []time.Duration{max(acts, s.till)}
		if got := logged(w, "reloading /etc/inittab"); !slices.Equal(got, at) {
			t.Errorf("reloaded: got %v, want %v\n%s", got, at, w.Story())
		}
		wantSameStarts(t, w, calm)
	case "cad":
		w.WantAlive()
		w.WantStarts("actor as cad", acts)
	case "pause":
		w.WantAlive()
		for _, sp := range w.Spawned {
			if sp.At > s.at {
				t.Errorf("started during the pause: %q\n%s", sp.Argv, w.Story())
			}
		}
	case "reboot":
		w.WantEnd(simkernel.Restarted, acts+entryTime)
	case "halt":
		w.WantEnd(simkernel.Halted, acts+entryTime)
	case "poweroff":
		w.WantEnd(simkernel.PoweredOff, acts+entryTime)
	case "restart":
		w.WantEnd(simkernel.Execed, acts+entryTime+exec)
	default:
		t.Fatalf("no answer is called %q", answer)
	}
	w.WantStarts("actor as first, sleep 4s", 0)
}

// checkDown checks the answer to a signal on the way down.
func (s moment) checkDown(
	t *testing.T, w, calm *pid1test.World, sig kernel.Signal, answer string,
) {
	t.Helper()
	asked := map[kernel.Signal]string{
		kernel.SIGQUIT: "restart", kernel.SIGUSR1: "halt", kernel.SIGUSR2: "poweroff",
		kernel.SIGTERM: "reboot", kernel.SIGPWR: "halt",
	}[sig]
	commands := map[string]kernel.RebootCmd{
		"reboot": kernel.Restart, "halt": kernel.Halt, "poweroff": kernel.PowerOff,
	}
	console, log := "", ""
	want := []kernel.RebootCmd{kernel.Restart}
	switch answer {
	case "-":
	case "unread":
		log = "going down: not reloading /etc/inittab"
	case "unpaused":
		log = "going down: not pausing"
	case "already":
		console = "Already going down for reboot: " + s.phase()
	case "norestart":
		console = "Already going down for reboot: not restarting init"
	case "halt", "poweroff":
		console = "Already going down for reboot: now for " + asked
		want[0] = commands[asked]
	case "late":
		console = "Too late for " + asked + ": already going down for reboot"
	case "again":
		console = "Trying again: " + asked
		if asked == "restart" {
			w.WantEnd(simkernel.Execed, s.at+exec)
			return
		}
		want = append(want, commands[asked])
	default:
		t.Fatalf("no answer is called %q", answer)
	}
	w.WantAlive()
	var got []kernel.RebootCmd
	for _, r := range w.Reboots() {
		got = append(got, r.Cmd)
	}
	if !slices.Equal(got, want) {
		t.Errorf("reboot(2):\ngot  %v\nwant %v\n%s", got, want, w.Story())
	}
	if answer == "-" {
		wantSame(t, w, calm)
		return
	}
	wantSameStarts(t, w, calm)
	if console != "" {
		if at := w.Times("", console); !slices.Equal(at, []time.Duration{s.at}) {
			t.Errorf("%q on the console: got %v, want %v\n%s", console, at, s.at, w.Story())
		}
		log = console
	}
	if at := logged(w, log); !slices.Equal(at, []time.Duration{s.at}) {
		t.Errorf("%q in the log: got %v, want %v\n%s", log, at, s.at, w.Story())
	}
}

// phase is what messages call the phase of the way down.
func (s moment) phase() string {
	switch {
	case s.at < termAt:
		return "shutdown entries"
	case s.at < killAt:
		return "waiting for processes to end"
	case s.at < syncAt:
		return "killing processes"
	case s.at < rebootAt:
		return "writing to the disks"
	case s.at < parkAt:
		return "calling the kernel"
	}
	return "stopped"
}

// logged is when a line was written to the log.
func logged(w *pid1test.World, line string) []time.Duration {
	var at []time.Duration
	for _, l := range w.Log() {
		if l.Text == line {
			at = append(at, l.At)
		}
	}
	return at
}

func wantSame(t *testing.T, w, calm *pid1test.World) {
	t.Helper()
	if d := cmp.Diff(calm.Log(), w.Log()); d != "" {
		t.Errorf("the log differs from that without the signal (-want +got):\n%s", d)
	}
	if d := cmp.Diff(calm.Console(), w.Console()); d != "" {
		t.Errorf("the console differs from that without the signal (-want +got):\n%s", d)
	}
	wantSameStarts(t, w, calm)
}

func wantSameStarts(t *testing.T, w, calm *pid1test.World) {
	t.Helper()
	starts := func(w *pid1test.World) []string {
		var lines []string
		for _, s := range w.Spawned {
			lines = append(lines, fmt.Sprint(s.At, s.Argv))
		}
		return lines
	}
	if d := cmp.Diff(starts(calm), starts(w)); d != "" {
		t.Errorf("what is started differs from that without the signal (-want +got):\n%s", d)
	}
}

// TestSeveralSignalsAtOnce: the lowest number comes first, and each is acted on [BusyBox 4.3]. Of
// several requests to go down the last one decides.
func TestSeveralSignalsAtOnce(t *testing.T) {
	const (
		hup, intr, usr1, usr2 = kernel.SIGHUP, kernel.SIGINT, kernel.SIGUSR1, kernel.SIGUSR2
		term, pwr, quit       = kernel.SIGTERM, kernel.SIGPWR, kernel.SIGQUIT
		tstp, cont            = kernel.SIGTSTP, kernel.SIGCONT
	)
	for _, c := range []struct {
		signals []kernel.Signal
		how     simkernel.How // 0: the machine stays up
		log     []string
	}{
		{[]kernel.Signal{term, intr, hup}, simkernel.Restarted, []string{"reload", "cad", "down"}},
		{[]kernel.Signal{usr2, usr1}, simkernel.PoweredOff, []string{"down", "now for poweroff"}},
		{
			[]kernel.Signal{pwr, term, usr2, usr1},
			simkernel.Halted,
			[]string{"down", "now for poweroff", "now for reboot", "now for halt"},
		},
		{[]kernel.Signal{usr1, pwr}, simkernel.Halted, []string{"down", "already"}},
		{[]kernel.Signal{quit, term}, simkernel.Restarted, []string{"down", "now for reboot"}},
		// A pause that is over before it begins, and one that begins after a request.
		{[]kernel.Signal{tstp, cont, hup}, 0, []string{"reload"}},
		{[]kernel.Signal{tstp, term}, simkernel.Restarted, []string{"down", "not pausing"}},
		{[]kernel.Signal{term, term, term}, simkernel.Restarted, []string{"down"}},
		{[]kernel.Signal{hup, hup, intr, intr}, 0, []string{"reload", "cad"}},
	} {
		t.Run(fmt.Sprint(c.signals), func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: time.Minute},
				Inittab: `
				::respawn:actor pause
				::ctrlaltdel:actor as cad
				::shutdown:actor as down
				::restart:actor as restart
				`,
			})
			w.At(time.Second, simkernel.Signals(c.signals...))
			w.Boot()
			if c.how == 0 {
				w.WantAlive()
			} else if w.End.How != c.how {
				t.Errorf("end: got %v, want %v\n%s", w.End.How, c.how, w.Story())
			}
			words := []struct{ end, word string }{
				{"reloading /etc/inittab", "reload"},
				{"'actor as cad'", "cad"},
				{"'actor as down'", "down"},
				{"now for poweroff", "now for poweroff"},
				{"now for reboot", "now for reboot"},
				{"now for halt", "now for halt"},
				{": shutdown entries", "already"},
				{"going down: not pausing", "not pausing"},
			}
			var got []string
			for _, l := range w.Log() {
				for _, word := range words {
					if strings.HasSuffix(l.Text, word.end) {
						got = append(got, word.word)
					}
				}
			}
			if !slices.Equal(got, c.log) {
				t.Errorf("what was done:\ngot  %q\nwant %q\n%s", got, c.log, w.Story())
			}
		})
	}
}

// TestCtrlAltDel: all entries run in order, each waited for, beside normal life; pressed while they
// run, they run once more [BusyBox 2.26].
func TestCtrlAltDel(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute},
		Inittab: `
		::ctrlaltdel:actor as one, sleep 2s
		::ctrlaltdel:/no/such
		::ctrlaltdel:actor as two, fork, sleep 10s
		::respawn:actor sleep 15s
		`,
	})
	for _, at := range []time.Duration{10, 11, 12} {
		w.At(at*time.Second, simkernel.CtrlAltDel{})
	}
	w.At(30*time.Second, simkernel.CtrlAltDel{})
	w.Boot()
	w.WantAlive()
	first := 10 * time.Second
	again := first + 2*time.Second + 2*exec
	later := 30 * time.Second
	w.WantStarts("actor as one, sleep 2s", first, again, later)
	w.WantStarts("actor as two, fork, sleep 10s", first+2*time.Second+exec,
		again+2*time.Second+exec, later+2*time.Second+exec)
	life := 15*time.Second + exec
	w.WantStarts("actor sleep 15s", 0, life, 2*life, 3*life)
	w.WantLine("", "can't run '/no/such': No such file or directory", 3)
}

// TestCtrlAltDelWithoutEntries does nothing, but the kernel asks init and does not restart by
// itself [BusyBox 1.8, 4.7].
func TestCtrlAltDelWithoutEntries(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
	w.At(time.Second, simkernel.CtrlAltDel{})
	w.Boot()
	w.WantAlive()
	if w.CadOn() {
		t.Error("the kernel restarts by itself")
	}
}

// TestCtrlAltDelDuringTheBoot: a machine whose sysinit hangs can be rebooted with the three keys
// [BusyBox 4.5, where it cannot].
func TestCtrlAltDelDuringTheBoot(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Programs: map[string]simkernel.Program{
			"/sbin/reboot": {Steps: []simkernel.Step{
				simkernel.Kill{PID: 1, Signal: kernel.SIGTERM},
			}},
		}},
		Inittab: "::sysinit:actor pause\n::ctrlaltdel:reboot\n",
	})
	w.At(time.Minute, simkernel.CtrlAltDel{})
	w.Boot()
	w.WantEnd(simkernel.Restarted, time.Minute+exec)
}

// TestPause: nothing is started between SIGTSTP and SIGCONT; what was asked for meanwhile happens
// then [BusyBox 4.20, 4.22].
func TestPause(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute},
		Inittab: `
		::respawn:actor as short, exit 1
		::respawn:actor as long, sleep 15s
		::ctrlaltdel:actor as cad
		`,
	})
	const from, to = 10 * time.Second, 30 * time.Second
	w.At(from, simkernel.Signals(kernel.SIGTSTP))
	w.At(from+time.Second, simkernel.CtrlAltDel{})
	w.At(from+2*time.Second, simkernel.CtrlAltDel{})
	reloadWith(w, from+3*time.Second, `
		::respawn:actor as short, exit 1
		::respawn:actor as new, pause
		::ctrlaltdel:actor as cad two
	`)
	w.At(to, simkernel.Signals(kernel.SIGCONT))
	w.Boot()
	w.WantAlive()
	w.WantStarts("actor as short, exit 1", append(starts(0, exec, from), to,
		to+16*time.Second+exec)...)
	w.WantStarts("actor as long, sleep 15s", 0)
	w.WantStarts("actor as new, pause", to)
	w.WantStarts("actor as cad")
	w.WantStarts("actor as cad two", to)
}

// TestPauseTwice: one SIGCONT ends it, however often it was asked for [BusyBox 4.23].
func TestPauseTwice(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute}, Inittab: "::respawn:actor sleep 15s\n",
	})
	for _, at := range []time.Duration{10, 11, 12} {
		w.At(at*time.Second, simkernel.Signals(kernel.SIGTSTP))
	}
	w.At(20*time.Second, simkernel.Signals(kernel.SIGCONT))
	w.At(30*time.Second, simkernel.Signals(kernel.SIGCONT)) // means nothing
	w.Boot()
	w.WantStarts("actor sleep 15s", 0, 20*time.Second, 35*time.Second+exec, 50*time.Second+2*exec)
}

// TestStoppedInit: in a container the host can stop init for real; when it goes on nothing is lost
// [BusyBox 4.11].
func TestStoppedInit(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config:  simkernel.Config{Until: time.Minute, Namespace: true},
		Inittab: "::respawn:actor sleep 15s\n::ctrlaltdel:actor as cad\n",
	})
	w.At(10*time.Second, simkernel.Signal{
		Signals: []kernel.Signal{kernel.Signal(19)}, Ancestor: true, // SIGSTOP
	})
	w.At(20*time.Second, simkernel.Signals(kernel.SIGINT))
	w.At(30*time.Second, simkernel.Signals(kernel.SIGCONT))
	w.Boot()
	w.WantAlive()
	w.WantStarts("actor sleep 15s", 0, 30*time.Second, 45*time.Second+exec)
	w.WantStarts("actor as cad", 30*time.Second)
}

// TestSignalStorm: thousands of signals of all kinds that ask for nothing change nothing.
func TestSignalStorm(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute}, Inittab: "::respawn:actor sleep 15s\n",
	})
	for i := range 5000 {
		sig := kernel.Signal(i%64 + 1)
		switch sig {
		case kernel.SIGQUIT, kernel.SIGUSR1, kernel.SIGUSR2, kernel.SIGTERM, kernel.SIGPWR,
			kernel.SIGTSTP:
			continue
		}
		w.At(time.Duration(i)*10*time.Millisecond, simkernel.Signals(sig))
	}
	w.Boot()
	w.WantAlive()
	w.WantStarts("actor sleep 15s", 0, 15*time.Second+exec, 30*time.Second+2*exec,
		45*time.Second+3*exec)
}

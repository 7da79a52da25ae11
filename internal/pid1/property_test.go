package pid1_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// life is a random machine, a random table, and what happens to them. The numbers are drawn once,
// so that the same life can be led twice.
type life struct {
	seed    uint64
	config  simkernel.Config
	inittab string
	events  []happening
	crashes map[int]bool // waits at which init crashes
}

type happening struct {
	at   time.Duration
	what simkernel.Action
	name string
}

// stormEnds is when the last random thing happens, and lastWish when the machine is asked to go
// down for good.
const (
	stormEnds = 60 * time.Second
	lastWish  = 70 * time.Second
)

// drawLife draws one. Its commands all end within bounds, but for those that do not end at all.
func drawLife(t *rapid.T) life {
	l := life{seed: rapid.Uint64().Draw(t, "seed")}
	l.config = simkernel.Config{
		Seed: l.seed, Until: time.Hour,
		Terminals:  map[string]simkernel.Terminal{"/dev/tty1": {}, "/dev/tty2": {}},
		SyncTime:   rapid.SampledFrom([]time.Duration{0, time.Second, kernel.Never}).Draw(t, "sync"),
		RebootTime: rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "reboot"),
		Namespace:  rapid.IntRange(0, 3).Draw(t, "namespace") == 0,
		PIDMax:     rapid.SampledFrom([]int{32768, 32768, 20}).Draw(t, "pid_max"),
	}
	l.inittab = drawTable(t)
	signals := rapid.SampledFrom([]kernel.Signal{
		kernel.SIGHUP, kernel.SIGINT, kernel.SIGTSTP, kernel.SIGCONT, kernel.SIGCHLD,
		kernel.SIGUSR1, kernel.SIGUSR2, kernel.SIGTERM, kernel.SIGPWR, kernel.SIGQUIT,
		kernel.Signal(14), kernel.Signal(13), kernel.Signal(34),
	})
	calls := rapid.SampledFrom([]string{
		"Spawn", "Call", "Watch", "Open", "Reopen", "Read", "Write", "ReadFile", "Proc", "SetProc", "Sys", "SetSys",
	})
	errnos := rapid.SampledFrom([]kernel.Errno{kernel.EAGAIN, kernel.EIO, kernel.EPERM, kernel.ENOENT})
	for range rapid.IntRange(0, 20).Draw(t, "events") {
		h := happening{at: time.Duration(rapid.Int64Range(0, int64(stormEnds)).Draw(t, "at"))}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			h.what = simkernel.Type{Text: rapid.StringOf(rapid.SampledFrom(
				[]rune("a \n\x03\x04\x11\x13\x1a"))).Draw(t, "typed")}
		case 1:
			h.what = simkernel.HangUp{TTY: rapid.SampledFrom(
				[]string{"/dev/tty1", "/dev/tty2", ""}).Draw(t, "tty")}
		case 2:
			text := drawTable(t)
			h.what = simkernel.WriteFile{Path: "/etc/inittab", Text: text}
		case 3:
			call, errno := calls.Draw(t, "call"), errnos.Draw(t, "errno")
			n := rapid.IntRange(1, 5).Draw(t, "n")
			h.what = simkernel.Do(func(m *simkernel.Machine) { m.Fail(call, n, errno) })
			h.name = fmt.Sprint(call, n, errno)
		case 4:
			h.what = simkernel.Signal{Name: "actor", Signals: []kernel.Signal{signals.Draw(t, "sig")}}
		default:
			h.what = simkernel.Signals(rapid.SliceOfN(signals, 1, 4).Draw(t, "sigs")...)
		}
		l.events = append(l.events, h)
	}
	l.crashes = make(map[int]bool)
	if rapid.Bool().Draw(t, "crashes") {
		for range rapid.IntRange(1, 4).Draw(t, "crash count") {
			l.crashes[rapid.IntRange(1, 60).Draw(t, "crash")] = true
		}
	}
	return l
}

// drawTable draws an inittab, with a bad line now and then.
func drawTable(t *rapid.T) string {
	steps := []string{
		"exit 1", "sleep 300ms", "sleep 20s", "pause", "ignore TERM, pause", "fork 3, sleep 2s",
		"fork, ignore TERM, sleep 1m", "beside 2, sleep 1s", "say hello", "die SEGV", "hang 2s",
		"catch TERM, sleep 2s, exit 0", "stop", "readline",
	}
	// Entries that are waited for on the way down must end.
	ending := []string{"exit 1", "sleep 300ms", "fork 2, sleep 5s", "say bye", "die KILL", "hang 2s"}
	actions := []string{
		"sysinit", "wait", "once", "respawn", "respawn", "askfirst", "ctrlaltdel", "shutdown",
		"restart", "off",
	}
	var b strings.Builder
	for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
		action := rapid.SampledFrom(actions).Draw(t, "action")
		do := rapid.SampledFrom(steps).Draw(t, "steps")
		if action == "shutdown" {
			do = rapid.SampledFrom(ending).Draw(t, "steps")
		}
		tty := rapid.SampledFrom([]string{"", "", "tty1", "tty2", "tty9"}).Draw(t, "tty")
		// The same command may stand in a table that is read later, but not twice in one.
		fmt.Fprintf(&b, "%s::%s:actor as %d, %s\n", tty, action, i, do)
	}
	return b.String()
}

// lead lets the life happen.
func (l life) lead(t pid1test.TB) *pid1test.World {
	w := pid1test.New(t, pid1test.Setup{
		Config:  l.config,
		Inittab: l.inittab,
		Mounts:  []kernel.Mount{{Type: "ext4", Target: "/data"}},
		Prompts: 12,
		// once to respawn, by a new table, is the one way to two copies [BusyBox 2.35].
		Twice: true,
		Crash: func(wait int) bool { return l.crashes[wait] },
	})
	for _, h := range l.events {
		w.At(h.at, h.what)
	}
	w.At(lastWish, simkernel.Signals(kernel.SIGCONT))
	w.At(lastWish+time.Second, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	return w
}

// TestWhateverHappens: the machine goes down within bounds once it is asked to, by one call of
// reboot(2), without a panic of PID 1, and, with the same seed, in the same way to the microsecond.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLife(t)
		w := l.lead(t)

		// Twelve entries of at most four seconds, then the limits of the phases; chance makes
		// what is simulated take up to twice as long.
		const bound = lastWish + 12*5*time.Second + 5*time.Second + time.Second +
			30*time.Second + 10*time.Second
		hangs := l.config.Namespace && l.config.SyncTime == kernel.Never
		switch w.End.How {
		case simkernel.Restarted, simkernel.Halted, simkernel.PoweredOff, simkernel.Execed:
		case simkernel.Lingering:
			// A namespace ends after all its processes, and the one that hangs in sync(2) does
			// not. No init can help that.
			if !hangs {
				t.Fatalf("end: got %s\n%s%s", w.End.Text, l.inittab, w.Story())
			}
		default:
			t.Fatalf("end: got %v %s at %v, want the machine to go down\n%s%s",
				w.End.How, w.End.Text, w.End.At, l.inittab, w.Story())
		}
		if w.End.At > bound && w.End.How != simkernel.Lingering {
			t.Errorf("end at %v, want it after %v at most\n%s", w.End.At, bound, w.Story())
		}
		if n := len(w.Reboots()); n > 1 || n == 0 && w.End.How != simkernel.Execed &&
			!forkFailed(w) {
			t.Errorf("reboot(2) was called %d times, want once\n%s", n, w.Story())
		}

		again := l.lead(t)
		if a, b := whole(w), whole(again); a != b {
			t.Errorf("the same life, led twice, differs:\n%s\n---\n%s", a, b)
		}
	})
}

// forkFailed reports whether PID 1 had to call reboot(2) itself.
func forkFailed(w *pid1test.World) bool {
	return slices.ContainsFunc(w.Console(), func(l simkernel.Line) bool {
		return strings.HasSuffix(l.Text, "calling reboot(2) from init itself")
	}) || w.Calls("RebootSelf") > 1
}

// whole is all that can be seen of a life.
func whole(w *pid1test.World) string {
	var b strings.Builder
	fmt.Fprintln(&b, w.End.How, w.End.At, w.End.Status, w.End.Arg, w.Crashes)
	for _, l := range w.Log() {
		fmt.Fprintln(&b, l)
	}
	for _, l := range w.Console() {
		fmt.Fprintln(&b, l)
	}
	for _, s := range w.Spawned {
		fmt.Fprintln(&b, s.At, s.PID, s.Argv)
	}
	return b.String()
}

// TestNeverTwice: as long as nobody changes the table, no entry has two processes at a time,
// whatever signals and crashes there are. pid1test looks at each start.
func TestNeverTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLife(t)
		l.events = slices.DeleteFunc(l.events, func(h happening) bool {
			_, table := h.what.(simkernel.WriteFile)
			return table
		})
		w := pid1test.New(t, pid1test.Setup{
			Config: l.config, Inittab: l.inittab, Prompts: 12,
			Crash: func(wait int) bool { return l.crashes[wait] },
		})
		for _, h := range l.events {
			w.At(h.at, h.what)
		}
		w.At(lastWish, simkernel.Signals(kernel.SIGCONT))
		w.At(lastWish+time.Second, simkernel.Signals(kernel.SIGTERM))
		w.Boot()
		// Each sysinit and wait entry is run once at most.
		for line := range strings.Lines(l.inittab) {
			f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 4)
			if f[2] != "sysinit" && f[2] != "wait" && f[2] != "once" && f[2] != "shutdown" {
				continue
			}
			if n := len(w.Starts(f[3])); n > 1 {
				t.Errorf("%s was run %d times\n%s", line, n, w.Story())
			}
		}
	})
}

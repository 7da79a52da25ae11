package pid1_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// reloadWith is a new inittab and SIGHUP.
func reloadWith(w *pid1test.World, at time.Duration, inittab string) {
	w.At(at, simkernel.WriteFile{Path: pid1.InittabPath, Text: pid1test.Text(inittab)},
		simkernel.Signals(kernel.SIGHUP))
}

// TestReload: what is started when the table has changed, and what runs on.
func TestReload(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after string
		started       []string // by the reload, or since
		running       []string // in the end
		twice         bool
	}{
		{
			name:   "nothing has changed [BusyBox 2.33]",
			before: "::respawn:actor as a, pause\n", after: "::respawn:actor as a, pause\n",
			running: []string{"actor as a, pause"},
		},
		{
			name:    "a new service starts [BusyBox 2.36]",
			before:  "::respawn:actor as a, pause\n",
			after:   "::respawn:actor as b, pause\n::respawn:actor as a, pause\n",
			started: []string{"actor as b, pause"},
			running: []string{"actor as a, pause", "actor as b, pause"},
		},
		{
			name:    "a service that is gone runs on [BusyBox 2.33]",
			before:  "::respawn:actor as a, pause\n::respawn:actor as b, pause\n",
			after:   "::respawn:actor as b, pause\n",
			running: []string{"actor as a, pause", "actor as b, pause"},
		},
		{
			name:   "a service that is gone is not started again [BusyBox 2.33]",
			before: "::respawn:actor as a, sleep 20s\n", after: "::ctrlaltdel:actor\n",
		},
		{
			name:   "nor is one that was to be started soon",
			before: "::respawn:actor as a, exit 1\n", after: "::ctrlaltdel:actor\n",
		},
		{
			name:   "new sysinit, wait and once entries are not run [BusyBox 2.36]",
			before: "::respawn:actor as a, pause\n",
			after: "::sysinit:actor as s\n::wait:actor as w\n::once:actor as o\n" +
				"::respawn:actor as a, pause\n",
			running: []string{"actor as a, pause"},
		},
		{
			name:   "old ones are not run again [BusyBox 2.36]",
			before: "::sysinit:actor as s\n::wait:actor as w\n::once:actor as o\n",
			after:  "::sysinit:actor as s\n::wait:actor as w\n::once:actor as o\n",
		},
		{
			name:   "one blank makes another entry [BusyBox 2.38]",
			before: "::respawn:actor as a, pause\n", after: "::respawn:actor as a,  pause\n",
			started: []string{"actor as a, pause"}, twice: true,
			running: []string{"actor as a, pause", "actor as a, pause"},
		},
		{
			name:   "another id makes another entry [BusyBox 2.31]",
			before: "::respawn:actor as a, pause\n", after: "tty1::respawn:actor as a, pause\n",
			started: []string{"actor as a, pause"},
			running: []string{"actor as a, pause", "actor as a, pause"},
		},
		{
			name:   "respawn to once: not started again [BusyBox 2.35]",
			before: "::respawn:actor as a, sleep 20s\n", after: "::once:actor as a, sleep 20s\n",
		},
		{
			name:   "once to respawn: a second copy [BusyBox 2.35]",
			before: "::once:actor as a, pause\n", after: "::respawn:actor as a, pause\n",
			started: []string{"actor as a, pause"}, twice: true,
			running: []string{"actor as a, pause", "actor as a, pause"},
		},
		{
			name:   "respawn to askfirst: asked for when it ends",
			before: "::respawn:actor as a, sleep 20s\n", after: "::askfirst:actor as a, sleep 20s\n",
		},
		{
			name:    "the same under another name of the terminal",
			before:  "tty1::respawn:actor as a, pause\n",
			after:   "/dev/tty1:2345:respawn:actor as a, pause\n",
			running: []string{"actor as a, pause"},
		},
		{
			name:    "bad lines are left out [BusyBox 2.31]",
			before:  "::respawn:actor as a, pause\n",
			after:   "::respawn\n::respawn:actor as b, pause\n::reboot:now\n",
			started: []string{"actor as b, pause"},
			running: []string{"actor as a, pause", "actor as b, pause"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{
					Until:     time.Minute,
					Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}},
				},
				Prompts: 1, Twice: c.twice, Inittab: c.before,
			})
			const at = 10500 * time.Millisecond
			reloadWith(w, at, c.after)
			w.Boot()
			w.WantAlive()
			w.WantLog("reloading /etc/inittab", 1)
			var started, running []string
			for _, s := range w.Spawned {
				if s.At >= at {
					started = append(started, strings.Join(s.Argv, " "))
				}
			}
			for _, p := range w.Processes() {
				running = append(running, strings.Join(p.Argv, " "))
			}
			if !slices.Equal(started, c.started) {
				t.Errorf("started after the reload:\ngot  %q\nwant %q", started, c.started)
			}
			if !slices.Equal(running, c.running) {
				t.Errorf("running in the end:\ngot  %q\nwant %q", running, c.running)
			}
		})
	}
}

// TestGoneAndBackAgain: a line that comes back while its process runs gets it back [BusyBox 2.34].
func TestGoneAndBackAgain(t *testing.T) {
	const line, other = "::respawn:actor sleep 30s\n", "::ctrlaltdel:actor\n"
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: 50 * time.Second}, Inittab: line,
	})
	reloadWith(w, 10*time.Second, other)
	reloadWith(w, 20*time.Second, line)
	w.Boot()
	w.WantStarts("actor sleep 30s", 0, 30*time.Second+pid1test.ExecTime)
	w.WantLog("process 'actor sleep 30s' (pid 3) exited. Scheduling for restart.", 1)

	// If it has ended in between it starts at once.
	w = pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{Until: 50 * time.Second}, Inittab: line,
	})
	reloadWith(w, 10*time.Second, other)
	reloadWith(w, 40*time.Second, line)
	w.Boot()
	w.WantStarts("actor sleep 30s", 0, 40*time.Second)
	w.WantLog("process 'actor sleep 30s' (pid 3) exited. The inittab does not ask for it any more.", 1)
}

// TestReloadOfWhatIsForLater: new ctrlaltdel, shutdown and restart entries count at once, in their
// new order [BusyBox 2.37].
func TestReloadOfWhatIsForLater(t *testing.T) {
	const before = `
		::ctrlaltdel:actor as cad one
		::shutdown:actor as down one
		::shutdown:actor as down two
		::restart:actor as restart one
	`
	const after = `
		::restart:actor as restart two
		::shutdown:actor as down two
		::ctrlaltdel:actor as cad two
		::shutdown:actor as down one
		::restart:actor as restart one
	`
	w := pid1test.New(t, pid1test.Setup{Inittab: before})
	reloadWith(w, time.Second, after)
	w.At(2*time.Second, simkernel.CtrlAltDel{})
	w.At(3*time.Second, simkernel.Signals(kernel.SIGQUIT))
	w.Boot()
	want := []string{"actor as cad two", "actor as down two", "actor as down one"}
	if got := w.Order(); !slices.Equal(got, want) {
		t.Errorf("started:\ngot  %q\nwant %q", got, want)
	}
	if w.End.How != simkernel.Execed || !slices.Equal(w.End.Command.Argv,
		[]string{"actor", "as", "restart", "two"}) {
		t.Errorf("end: got %+v, want the new restart entry", w.End)
	}
}

// TestReloadWithoutAFile: the built-in table takes its place, and rcS is not run [BusyBox 2.32].
func TestReloadWithoutAFile(t *testing.T) {
	s := builtIn()
	s.Inittab = "::respawn:actor pause\n"
	w := pid1test.New(t, s)
	w.At(time.Second, simkernel.RemoveFile{Path: pid1.InittabPath},
		simkernel.Signals(kernel.SIGHUP))
	w.At(2*time.Second, simkernel.CtrlAltDel{})
	w.Boot()
	w.WantAlive()
	if got, want := w.Order(), []string{"actor pause", "reboot"}; !slices.Equal(got, want) {
		t.Errorf("started:\ngot  %q\nwant %q", got, want)
	}
	for _, tty := range []string{"/dev/ttyS0", "/dev/tty2", "/dev/tty3", "/dev/tty4"} {
		wantPrompts(t, w, tty, 1)
	}
}

// TestReloadLeavesThePromptAlone [BusyBox 2.40]: unless its line is gone, and then nobody is asked
// to activate what is no longer there.
func TestReloadLeavesThePromptAlone(t *testing.T) {
	for _, c := range []struct {
		name, after string
		prompts     int
		starts      bool
	}{
		{name: "same", after: "::askfirst:actor pause\n", prompts: 1, starts: true},
		{name: "respawn now", after: "::respawn:actor pause\n", prompts: 1, starts: true},
		{name: "gone", after: "::ctrlaltdel:actor\n", prompts: 1},
		{name: "once now", after: "::once:actor pause\n", prompts: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: time.Minute}, Inittab: "::askfirst:actor pause\n",
			})
			reloadWith(w, 10*time.Second, c.after)
			w.At(20*time.Second, simkernel.Type{Text: "\n"})
			w.Boot()
			wantPrompts(t, w, "/dev/ttyS0", c.prompts)
			var want []time.Duration
			if c.starts {
				want = append(want, 20*time.Second)
			}
			w.WantStarts("actor pause", want...)
		})
	}
}

// TestReloadDuringTheBoot takes effect when the group that runs is over; the entries of a group
// that has run are not run again [BusyBox 2.39].
func TestReloadDuringTheBoot(t *testing.T) {
	const before = `
		::sysinit:actor as s1, sleep 10s
		::sysinit:actor as s2
		::wait:actor as w1, sleep 10s
		::wait:actor as w2
		::once:actor as o1
		::respawn:actor as r1, pause
	`
	const after = `
		::sysinit:actor as s3
		::wait:actor as w3, sleep 10s
		::once:actor as o3
		::respawn:actor as r3, pause
	`
	for _, c := range []struct {
		name string
		at   time.Duration
		want []string
	}{
		{
			name: "in sysinit", at: 5 * time.Second,
			want: []string{"s1, sleep 10s", "s2", "w3, sleep 10s", "o3", "r3, pause"},
		},
		{
			name: "in wait", at: 15 * time.Second,
			want: []string{"s1, sleep 10s", "s2", "w1, sleep 10s", "w2", "o3", "r3, pause"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Until: time.Minute}, Inittab: before,
			})
			reloadWith(w, c.at, after)
			w.Boot()
			w.WantAlive()
			w.WantLog("reloading /etc/inittab", 1)
			var got []string
			for _, command := range w.Order() {
				got = append(got, strings.TrimPrefix(command, "actor as "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("started:\ngot  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestManyReloads leave nothing behind: neither processes nor descriptors nor memory of services.
func TestManyReloads(t *testing.T) {
	const n = 500
	w := pid1test.New(t, pid1test.Setup{
		Config: simkernel.Config{
			Until:     time.Hour,
			Terminals: map[string]simkernel.Terminal{"/dev/tty1": {}, "/dev/tty2": {}},
		},
		Prompts: 1,
		Inittab: "tty1::askfirst:actor as 0\n::respawn:actor sleep 1m\n",
	})
	for i := range n {
		tty := []string{"tty1", "tty2"}[i%2]
		reloadWith(w, time.Duration(i+1)*time.Second,
			tty+"::askfirst:actor as new\n::respawn:actor sleep 1m\n")
	}
	w.Boot()
	w.WantAlive()
	w.WantLog("reloading /etc/inittab", n)
	if ps := w.Processes(); len(ps) != 1 {
		t.Errorf("processes: got %v, want one", ps)
	}
	if got, want := len(w.Starts("actor sleep 1m")), 60; got != want {
		t.Errorf("starts in an hour: got %d, want %d", got, want)
	}
}

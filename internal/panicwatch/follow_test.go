package panicwatch_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// listener is a PID 1 that does nothing but listen.
type listener struct {
	k     kernel.Kernel
	f     *panicwatch.Follower
	told  []string
	turns int
	most  int // calls of Read in a turn
}

func (l *listener) Failed(how panicwatch.Response, why string) {
	l.told = append(l.told, fmt.Sprintf("%d %s", how, why))
}

// all are rules that tell of everything.
func all() (r panicwatch.Rules) {
	for k := range r {
		r[k] = panicwatch.Reboot
	}
	return r
}

// listen follows the log on a machine until a time.
func listen(m *simkernel.Machine, rules panicwatch.Rules, from panicwatch.Position, until time.Duration) *listener {
	l := &listener{}
	m.Boot(func(k kernel.Kernel) int {
		l.k = k
		l.f = panicwatch.Follow(k, l, rules, from)
		for k.Now() < until {
			ev := k.Next(min(until, l.f.Deadline()))
			before := m.Calls("Read")
			r, ready := ev.(kernel.Ready)
			if ready && !l.f.Owns(r.FD) {
				continue
			}
			l.f.Step(k.Now(), ready)
			if n := m.Calls("Read") - before; n > 0 {
				l.turns++
				l.most = max(l.most, n)
			}
		}
		return 0
	})
	return l
}

// own are the lines that PID 1 has written.
func own(m *simkernel.Machine) (lines []string) {
	for _, l := range m.Log() {
		if !l.Kernel {
			lines = append(lines, l.Text)
		}
	}
	return lines
}

const following = "following the kernel log for what is to be done after a failure"

// event is a failure of the kernel.
func event(t *testing.T, name string) simkernel.Action {
	t.Helper()
	a, ok := crash.Event(name, "crash")
	if !ok {
		t.Fatalf("no failure %q", name)
	}
	return a
}

// TestFollowTells: what happens while the log is followed is told at once, with the kernel's own line,
// and what an oops has set in kernel.tainted a second later.
func TestFollowTells(t *testing.T) {
	const oops = "1 oops: BUG: kernel NULL pointer dereference, address: 0000000000000020"
	for _, c := range []struct {
		kernel, failure string
		want            []string
	}{
		{"", "oops", []string{oops, "1 taint: kernel.tainted went from 0 to 128"}},
		{"linux-6.12-x86_64", "oops", []string{oops, "1 taint: kernel.tainted went from 0 to 128"}},
		{"linux-7.2-x86_64", "oops", []string{oops, "1 taint: kernel.tainted went from 0 to 128"}},
		{"linux-6.1-arm64", "oops", []string{
			"1 oops: Unable to handle kernel NULL pointer dereference at virtual address 0000000000000020",
			"1 taint: kernel.tainted went from 0 to 128",
		}},
		{"linux-3.10-mips-wdt", "bug", []string{
			"1 BUG: Kernel bug detected[#1]:", "1 oops: Kernel bug detected[#1]:",
			"1 taint: kernel.tainted went from 0 to 128",
		}},
		{"", "bug", []string{
			"1 BUG: kernel BUG at crash/crash.c:42!", "1 oops: kernel BUG at crash/crash.c:42!",
			"1 taint: kernel.tainted went from 0 to 128",
		}},
		{"linux-7.2-x86_64", "warn", []string{
			"1 WARN: WARNING: crash/crash.c:42 at crash_write+0x10/0x100 [crash], CPU#0: crash/3",
			"1 taint: kernel.tainted went from 0 to 512",
		}},
		{"", "schedule-atomic", []string{
			"1 BUG: BUG: scheduling while atomic: crash/3/0x00000001",
			"1 taint: kernel.tainted went from 0 to 512",
		}},
		{"", "sysrq-s", nil},
	} {
		name := c.kernel + " " + c.failure
		m := simkernel.New(simkernel.Config{Kernel: c.kernel})
		if c.failure != "sysrq-s" {
			m.At(time.Second, event(t, c.failure))
		}
		l := listen(m, all(), panicwatch.Position{}, time.Minute)
		if d := cmp.Diff(c.want, l.told); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff([]string{following}, own(m)); d != "" {
			t.Errorf("%s: log (-want +got):\n%s", name, d)
		}
		// Twice it looks: it reads, and finds after a while that there is no more.
		if l.turns > 4 {
			t.Errorf("%s: it has looked %d times", name, l.turns)
		}
	}
}

// TestFollowNothing: without a rule there is nothing to follow, and no call of the kernel is made.
func TestFollowNothing(t *testing.T) {
	m := simkernel.New(simkernel.Config{})
	m.At(time.Second, event(t, "oops"))
	l := listen(m, panicwatch.Rules{}, panicwatch.Position{}, 3*time.Second)
	for _, call := range []string{"FollowLog", "Proc", "Watch", "Read", "Log"} {
		if n := m.Calls(call); n != 0 {
			t.Errorf("%s: called %d times", call, n)
		}
	}
	if l.f != nil || l.told != nil || l.f.Deadline() != kernel.Never || l.f.Owns(3) ||
		l.f.Position() != (panicwatch.Position{}) {
		t.Errorf("got %+v", l)
	}
}

// TestFollowRules: only what has a rule is told of.
func TestFollowRules(t *testing.T) {
	var rules panicwatch.Rules
	rules[panicwatch.Warn] = panicwatch.Panic
	m := simkernel.New(simkernel.Config{})
	m.At(time.Second, event(t, "oops"))
	m.At(2*time.Second, event(t, "warn"), event(t, "warn"))
	l := listen(m, rules, panicwatch.Position{}, time.Minute)
	want := []string{
		"2 WARN: WARNING: CPU: 0 PID: 4 at crash/crash.c:42 crash_write+0x10/0x100 [crash]",
		"2 WARN: WARNING: CPU: 0 PID: 5 at crash/crash.c:42 crash_write+0x10/0x100 [crash]",
	}
	if d := cmp.Diff(want, l.told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

// TestFollowFromHere: what was before is said, and nothing is done about it.
func TestFollowFromHere(t *testing.T) {
	m := simkernel.New(simkernel.Config{})
	m.Apply(simkernel.SetProc{Name: "sys/kernel/tainted", Value: "4737"}) // P, D, O
	m.Apply(simkernel.Flood{Lines: 1, Text: "Oops: 0002 [#1] PREEMPT SMP NOPTI"})
	l := listen(m, all(), panicwatch.Position{}, time.Minute)
	if l.told != nil {
		t.Errorf("told: %q", l.told)
	}
	want := []string{
		"kernel.tainted is 4737 already: the kernel has failed before init could look: going on",
		following,
	}
	if d := cmp.Diff(want, own(m)); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

// TestFollowModules: a module from elsewhere is no failure.
func TestFollowModules(t *testing.T) {
	m := simkernel.New(simkernel.Config{})
	m.At(time.Second, simkernel.SetProc{Name: "sys/kernel/tainted", Value: "12289"}, // P, O, E
		simkernel.Flood{Lines: 1, Level: kernel.Warning, Text: "x: loading out-of-tree module taints kernel."})
	m.At(20*time.Second, simkernel.SetProc{Name: "sys/kernel/tainted", Value: "12321"}, // and B
		simkernel.Flood{Lines: 1, Level: kernel.Warning, Text: "a line"})
	l := listen(m, all(), panicwatch.Position{}, time.Minute)
	if d := cmp.Diff([]string{"1 taint: kernel.tainted went from 12289 to 12321"}, l.told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

// TestFollowPrograms: what programs write to the log does not count, PID 1's own lines included.
func TestFollowPrograms(t *testing.T) {
	lines := []string{
		"Oops: 0002 [#1] PREEMPT SMP NOPTI", "kernel BUG at x.c:1!", "WARNING: CPU: 0 PID: 1 at x.c:1 f",
		"watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]",
	}
	var steps []simkernel.Step
	for _, l := range lines {
		for _, prefix := range []string{"", "<0>", "<4>", "<12>", "<7>"} {
			steps = append(steps, simkernel.Append{Path: "/dev/kmsg", Text: prefix + l + "\n"})
		}
	}
	m := simkernel.New(simkernel.Config{
		Cmdline:  "printk.devkmsg=on",
		Programs: map[string]simkernel.Program{"/bin/forger": {Steps: steps}},
	})
	l := &listener{}
	m.Boot(func(k kernel.Kernel) int {
		l.f = panicwatch.Follow(k, l, all(), panicwatch.Position{})
		if _, err := k.Spawn(&kernel.Command{Paths: []string{"/bin/forger"}, Argv: []string{"forger"}}); err != nil {
			t.Error(err)
		}
		for _, line := range lines {
			k.Log(kernel.Error, line)
		}
		for k.Now() < time.Minute {
			_, ready := k.Next(min(time.Minute, l.f.Deadline())).(kernel.Ready)
			l.f.Step(k.Now(), ready)
		}
		return 0
	})
	if l.told != nil {
		t.Errorf("told: %q", l.told)
	}
	if n := len(own(m)); n != 1+len(lines)+len(steps) {
		t.Errorf("lines of programs: got %d, want %d", n, 1+len(lines)+len(steps))
	}
}

var notLookedAt = regexp.MustCompile(`^(\d+) lines of the kernel log were not looked at$`)

// TestFollowFlood: of a flood as much is read as may be, at most 6,400 lines a second and 64 at a
// time. The rest is counted, and said now and then.
func TestFollowFlood(t *testing.T) {
	const rate, seconds = 100_000, 12
	m := simkernel.New(simkernel.Config{})
	m.At(time.Second, simkernel.Flood{
		Lines: rate * seconds, Every: time.Second / rate, Level: kernel.Debug, Text: "a line",
	})
	lost, said := 0, 0
	var when []time.Duration
	var calls []string
	l := &listener{}
	m.Boot(func(k kernel.Kernel) int {
		k = simkernel.Traced(k, func(call string) { // the log itself overwrites what was said
			if strings.HasPrefix(call, "Log(4, ") {
				calls = append(calls, call)
				text, _ := strconv.Unquote(strings.TrimSuffix(strings.TrimPrefix(call, "Log(4, "), ")"))
				if f := notLookedAt.FindStringSubmatch(text); f != nil {
					n, _ := strconv.Atoi(f[1])
					lost += n
					said++
					when = append(when, m.Now())
				}
			}
		})
		l.f = panicwatch.Follow(k, l, all(), panicwatch.Position{})
		for k.Now() < 60*time.Second {
			before := m.Calls("Read")
			_, ready := k.Next(min(60*time.Second, l.f.Deadline())).(kernel.Ready)
			l.f.Step(k.Now(), ready)
			l.most = max(l.most, m.Calls("Read")-before)
		}
		return 0
	})
	reads := m.Calls("Read")
	if limit := 6_400*(seconds+1) + 10_000; reads > limit {
		t.Errorf("reads: got %d, want at most %d", reads, limit)
	}
	if l.most > 64 {
		t.Errorf("reads in a turn: got %d, want at most 64", l.most)
	}
	// Each EPIPE and each EAGAIN is a read of no record, and PID 1 has written a few itself.
	records := int(l.f.Position().Next) - 1 - said
	if all := rate * seconds; records != all {
		t.Errorf("records up to the end: got %d, want %d", records, all)
	}
	if lost < rate*seconds*9/10 || lost > rate*seconds {
		t.Errorf("lines not looked at: said %d of %d", lost, rate*seconds)
	}
	if got := records + 1 + said - lost; got > reads {
		t.Errorf("%d lines must have been looked at, with %d reads", got, reads)
	}
	if said < 2 || said > 3 {
		t.Errorf("said %d times: %q", said, calls)
	}
	for i := 1; i < len(when); i++ {
		if when[i]-when[i-1] < 10*time.Second {
			t.Errorf("said at %v", when)
		}
	}
	if l.told != nil {
		t.Errorf("told: %q", l.told)
	}
}

// TestFollowWhatAFloodHides: an oops whose lines were overwritten before they could be read leaves its
// flag, and is told of by that.
func TestFollowWhatAFloodHides(t *testing.T) {
	for _, c := range []struct {
		failure string
		want    []string
	}{
		{"oops", []string{"1 taint: kernel.tainted went from 0 to 128", "1 oops: kernel.tainted went from 0 to 128"}},
		{"warn", []string{"1 taint: kernel.tainted went from 0 to 512", "1 WARN: kernel.tainted went from 0 to 512"}},
	} {
		m := simkernel.New(simkernel.Config{})
		// So much at one instant that nothing of the oops is left.
		m.At(time.Second, event(t, c.failure), simkernel.Do(func(m *simkernel.Machine) {
			for range 5000 {
				m.Apply(simkernel.Flood{Lines: 1, Level: kernel.Debug, Text: "a line"})
			}
		}))
		l := listen(m, all(), panicwatch.Position{}, time.Minute)
		if d := cmp.Diff(c.want, l.told); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.failure, d)
		}
		lines := own(m)
		if len(lines) != 1 || !notLookedAt.MatchString(lines[0]) {
			t.Errorf("%s: log: %q", c.failure, lines)
		}
	}
}

// TestFollowGoesOn: an init that takes over reads what came meanwhile, and nothing twice.
func TestFollowGoesOn(t *testing.T) {
	m := simkernel.New(simkernel.Config{})
	first, second := &listener{}, &listener{}
	m.Boot(func(k kernel.Kernel) int {
		step := func(l *listener, until time.Duration) {
			for k.Now() < until {
				_, ready := k.Next(min(until, l.f.Deadline())).(kernel.Ready)
				l.f.Step(k.Now(), ready)
			}
		}
		m.Apply(event(t, "warn")) // before anybody looks
		first.f = panicwatch.Follow(k, first, all(), panicwatch.Position{})
		step(first, time.Second)
		m.Apply(event(t, "oops"))
		step(first, 5*time.Second)
		at := first.f.Position()
		m.Apply(event(t, "bug")) // while nobody looks
		second.f = panicwatch.Follow(k, second, all(), at)
		step(second, 30*time.Second)
		return 0
	})
	if d := cmp.Diff([]string{
		"1 oops: BUG: kernel NULL pointer dereference, address: 0000000000000020",
		"1 taint: kernel.tainted went from 512 to 640",
	}, first.told); d != "" {
		t.Errorf("first (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{
		"1 BUG: kernel BUG at crash/crash.c:42!", "1 oops: kernel BUG at crash/crash.c:42!",
	}, second.told); d != "" {
		t.Errorf("second (-want +got):\n%s", d)
	}
	for _, l := range own(m) {
		if notLookedAt.MatchString(l) {
			t.Error(l)
		}
	}
}

// TestFollowErrors: what does not work is said once, and then there is peace.
func TestFollowErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    simkernel.Config
		call   string
		n      int
		errno  kernel.Errno
		want   string
		follow bool
	}{
		{
			name: "container", cfg: simkernel.Config{Namespace: true},
			want: "the kernel log: operation not permitted: nothing will be done after a failure of the kernel",
		},
		{
			name: "no devtmpfs", call: "FollowLog", n: 1, errno: syscall.ENODEV,
			want: "the kernel log: no such device: nothing will be done after a failure of the kernel",
		},
		{
			name: "a kernel whose log cannot be read", cfg: simkernel.Config{Kernel: "linux-2.6.24-i386"},
			follow: true,
			want: "reading the kernel log: invalid argument: nothing more will be done after a failure of " +
				"the kernel",
		},
		{
			name: "no watch", call: "Watch", n: 1, errno: syscall.ENOSPC, follow: true,
			want: "reading the kernel log: no space left on device: nothing more will be done after a " +
				"failure of the kernel",
		},
		{
			name: "a read that fails", call: "Read", n: 3, errno: kernel.EIO, follow: true,
			want: "reading the kernel log: input/output error: nothing more will be done after a failure " +
				"of the kernel",
		},
	} {
		m := simkernel.New(c.cfg)
		if c.call != "" {
			m.Fail(c.call, c.n, c.errno)
		}
		m.At(time.Second, event(t, "oops"))
		l := listen(m, all(), panicwatch.Position{}, 10*time.Second)
		if (l.f != nil) != c.follow {
			t.Errorf("%s: follower %v", c.name, l.f)
		}
		lines := slices.DeleteFunc(own(m), func(l string) bool { return l == following })
		if d := cmp.Diff([]string{c.want}, lines); d != "" {
			t.Errorf("%s: log (-want +got):\n%s", c.name, d)
		}
		if fds := m.OpenFDs(); len(fds) != 3 {
			t.Errorf("%s: descriptors: %v", c.name, fds)
		}
		if l.f.Deadline() != kernel.Never {
			t.Errorf("%s: deadline %v", c.name, l.f.Deadline())
		}
	}
}

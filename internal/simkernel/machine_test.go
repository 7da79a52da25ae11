package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
)

// command is a program without arguments, by the name it has in /bin.
func command(name string) *kernel.Command {
	return &kernel.Command{Paths: []string{"/bin/" + name}, Argv: []string{name}}
}

// programs are programs in /bin by their names.
func programs(steps map[string][]Step) map[string]Program {
	ps := make(map[string]Program)
	for name, s := range steps {
		ps["/bin/"+name] = Program{Steps: s}
	}
	return ps
}

// spawn starts programs of /bin.
func spawn(t *testing.T, k kernel.Kernel, names ...string) []kernel.PID {
	t.Helper()
	var pids []kernel.PID
	for _, n := range names {
		pid, err := k.Spawn(command(n))
		if err != nil {
			t.Fatalf("Spawn(%s): %v", n, err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// until lets PID 1 wait until an instant, reaping, and returns what it has reaped.
func until(k kernel.Kernel, at time.Duration) []kernel.Exit {
	var exits []kernel.Exit
	for k.Next(at) != (kernel.Expired{}) {
		for {
			e, err := k.Wait()
			if err != nil {
				break
			}
			exits = append(exits, e)
		}
	}
	return exits
}

// statuses are the ends of processes, without their numbers.
func statuses(exits []kernel.Exit) []kernel.WaitStatus {
	var ws []kernel.WaitStatus
	for _, e := range exits {
		ws = append(ws, e.Status)
	}
	return ws
}

func wantEqual[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func wantErr(t *testing.T, what string, got error, want kernel.Errno) {
	t.Helper()
	if want == 0 && got == nil {
		return
	}
	if got == nil || !strings.Contains(got.Error(), want.Error()) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestTrivialInitBootsAndReboots(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"daemon": {
		Catch{kernel.SIGTERM, []Step{Sleep{time.Second}, Say{"bye"}, Exit{3}}}, Say{"up"}, Pause{},
	}})})
	m.At(2*time.Second, Signals(kernel.SIGTERM))
	end := m.Boot(func(k kernel.Kernel) int { return trivial(k, 2, command("daemon")) })
	wantEqual(t, "end", end,
		End{How: Restarted, At: 3 * time.Second, Text: "reboot: Restarting system"})
	wantEqual(t, "console", m.Console(), []Line{
		{300 * time.Microsecond, "up"},
		{300 * time.Microsecond, "up"},
		{3 * time.Second, "bye"},
		{3 * time.Second, "bye"},
	})
}

func TestPanicOfPID1PassesThrough(t *testing.T) {
	defer func() {
		if r := recover(); r != "a bug" {
			t.Errorf("recovered: got %v, want the panic of PID 1", r)
		}
	}()
	New(Config{}).Boot(func(kernel.Kernel) int { panic("a bug") })
}

func TestPID1CannotCatchItsEnd(t *testing.T) {
	m := New(Config{})
	caught := 0
	end := m.Boot(func(k kernel.Kernel) int {
		defer func() {
			// What PID 1 does after a crash.
			caught++
			recover()
			k.Log(kernel.Error, "crashed")
			t.Error("a call of the kernel came back after the end")
		}()
		return int(k.RebootSelf(kernel.PowerOff).(kernel.Errno))
	})
	if caught != 1 || end.How != PoweredOff {
		t.Errorf("got %d deferred calls and %+v, want 1 and a power-off", caught, end)
	}
}

func TestExit(t *testing.T) {
	exit := func(kernel.Kernel) int { return 3 }
	end := New(Config{Namespace: true}).Boot(exit)
	wantEqual(t, "end of a namespace", end, End{How: Exited, Status: 3 << 8})

	m := New(Config{})
	end = m.Boot(exit)
	const text = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000300"
	wantEqual(t, "end of a machine", end, End{How: Exited, Status: 3 << 8, Text: text, Then: Hung})
	wantEqual(t, "log", m.Log()[0], LogLine{
		Text: text, Kernel: true, By: "do_exit: panic: pr_emerg", Shown: true,
	})
}

func TestStuck(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"sleeper": {Pause{}}})})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "sleeper")
		k.Next(kernel.Never)
		return 0
	})
	wantEqual(t, "end", end, End{
		How: Stuck, At: 300 * time.Microsecond, Text: "waiting for an event, and none can come",
	})
}

func TestTimedOut(t *testing.T) {
	m := New(Config{Until: time.Minute})
	end := m.Boot(func(k kernel.Kernel) int {
		for {
			k.Next(k.Now() + time.Second)
		}
	})
	wantEqual(t, "end", end,
		End{How: TimedOut, At: time.Minute, Text: "still running after 1m0s"})
}

func TestLivelocked(t *testing.T) {
	for name, pid1 := range map[string]func(kernel.Kernel) int{
		"a past deadline for ever": func(k kernel.Kernel) int {
			for {
				k.Next(0)
			}
		},
		"wait for ever without Next": func(k kernel.Kernel) int {
			for {
				k.Wait()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if end := New(Config{}).Boot(pid1); end.How != Livelocked {
				t.Errorf("end: got %+v, want livelocked", end)
			}
		})
	}
}

func TestEndlessLoopMovesTime(t *testing.T) {
	m := New(Config{Until: time.Second, Programs: programs(map[string][]Step{
		"busy": {Loop{Do: []Step{Kill{PID: 1, Signal: kernel.SIGHUP}}}},
	})})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "busy")
		for {
			k.Next(kernel.Never)
		}
	})
	if end.How != TimedOut {
		t.Errorf("end: got %+v, want timed out", end)
	}
}

func TestExecAndBootAgain(t *testing.T) {
	m := New(Config{
		Programs: programs(map[string][]Step{"next": nil, "daemon": {Pause{}}}),
	})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "daemon")
		until(k, time.Second)
		if _, err := k.Reopen(1, kernel.Out); err != nil {
			t.Error(err)
		}
		wantErr(t, "Exec", k.Exec(command("missing")), kernel.ENOENT)
		k.Kill(1, kernel.SIGHUP)
		k.Exec(command("next"))
		t.Error("Exec came back")
		return 0
	})
	if end.How != Execed || end.Command.Paths[0] != "/bin/next" ||
		end.At != time.Second+300*time.Microsecond {
		t.Fatalf("end: got %+v, want exec of /bin/next after its loading", end)
	}
	end = m.Boot(func(k kernel.Kernel) int {
		wantEqual(t, "descriptors", m.OpenFDs(), []kernel.FD{0, 1, 2})
		wantEqual(t, "event", k.Next(kernel.Never),
			kernel.Event(kernel.Signaled{Signal: kernel.SIGHUP}))
		// The child is still there.
		k.KillAll(kernel.SIGTERM)
		wantEqual(t, "reaped", statuses(until(k, 2*time.Second)), []kernel.WaitStatus{15})
		return 0
	})
	if end.How != Exited {
		t.Errorf("end: got %+v, want an exit", end)
	}
}

func TestExecFromDeadDiskHangs(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"next": nil})})
	m.Apply(ExecTakes{kernel.Never})
	end := m.Boot(func(k kernel.Kernel) int {
		k.Exec(command("next"))
		return 0
	})
	wantEqual(t, "end", end, End{How: Stuck, Text: "waiting in Exec for ever"})
}

func TestFaults(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"x": nil})})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "x")
		m.Fail("Spawn", 2, kernel.EAGAIN)
		m.Fail("Chdir", 0, kernel.EIO)
		for i, want := range []kernel.Errno{0, kernel.EAGAIN, 0} {
			_, err := k.Spawn(command("x"))
			wantErr(t, "Spawn "+string(rune('1'+i)), err, want)
		}
		for range 2 {
			wantErr(t, "Chdir", k.Chdir("/"), kernel.EIO)
		}
		return 0
	})
	if n := m.Calls("Spawn"); n != 4 {
		t.Errorf("Calls(Spawn): got %d, want 4", n)
	}
}

func TestTrace(t *testing.T) {
	var calls []string
	m := New(Config{
		Programs: programs(map[string][]Step{"x": {Exit{7}}}),
		Trace: func(at time.Duration, call string) {
			calls = append(calls, stamp(at)+" "+call)
		},
	})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "x")
		k.Next(time.Second)
		k.Wait()
		k.Wait()
		k.KillAll(kernel.SIGTERM)
		k.RebootSelf(kernel.Halt)
		return 0
	})
	wantEqual(t, "trace", calls, []string{
		`0.000000 Spawn(["/bin/x"] ["x"]) = 3`,
		`0.000300 Next(1s) = CHLD`,
		`0.000300 Wait() = 3 exit 7`,
		`0.000300 Wait() = no child processes`,
		`0.000300 KillAll(TERM) = 0`,
		`0.000300 RebootSelf(HALT)`,
	})
}

func TestSeedsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for seed := range uint64(8) {
		m := New(Config{Seed: seed, Programs: programs(map[string][]Step{
			"a": {Sleep{time.Second}, Say{"a"}}, "b": {Sleep{time.Second}, Say{"b"}},
		})})
		m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "a", "b")
			until(k, time.Minute)
			return 0
		})
		text := m.ConsoleText()
		if text != "a\nb\n" && text != "b\na\n" {
			t.Fatalf("seed %d: got %q", seed, text)
		}
		seen[text] = true
	}
	if len(seen) != 2 {
		t.Errorf("orders seen: got %v, want both", seen)
	}
}

func TestPIDs(t *testing.T) {
	m := New(Config{Namespace: true, PIDMax: 310, Programs: programs(map[string][]Step{
		"x": nil, "daemon": {Pause{}},
	})})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "daemon") // has 2
		var last kernel.PID
		for range 307 {
			last = spawn(t, k, "x")[0]
			until(k, k.Now()+time.Millisecond)
		}
		if last != 309 {
			t.Errorf("last number: got %d, want 309", last)
		}
		// From the beginning again, which is 300 and not 1.
		if next := spawn(t, k, "x")[0]; next != 300 {
			t.Errorf("next number: got %d, want 300", next)
		}
		until(k, k.Now()+time.Millisecond)
		// When all are taken fork fails.
		for range 309 - 300 + 1 {
			spawn(t, k, "daemon")
		}
		_, err := k.Spawn(command("x"))
		wantErr(t, "Spawn", err, kernel.EAGAIN)
		_, err = k.Call(kernel.Sync{})
		wantErr(t, "Call", err, kernel.EAGAIN)
		return 0
	})
}

func TestNumberOfAGroupIsNotGivenOut(t *testing.T) {
	// A leader is gone and reaped, but a member of its group lives on.
	m := New(Config{Namespace: true, PIDMax: 303, Programs: programs(map[string][]Step{
		"leader": {Fork{Do: []Step{Pause{}}}}, "x": nil,
	})})
	m.Boot(func(k kernel.Kernel) int {
		m.pids.last = 299
		leader := spawn(t, k, "leader")[0]
		until(k, time.Second)
		wantEqual(t, "processes", len(m.Processes()), 1)
		var got []kernel.PID
		for range 2 {
			got = append(got, spawn(t, k, "x")...)
			until(k, k.Now()+time.Second)
		}
		if leader != 300 || slices.Contains(got, leader) {
			t.Errorf("numbers: leader %d, then %v", leader, got)
		}
		return 0
	})
}

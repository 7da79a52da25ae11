package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// keeper starts a process that keeps the first watchdog.
func keeper(timeout, pre int, every time.Duration) Action {
	return starts("keeper", Watch{Timeout: timeout, Pretimeout: pre, Every: every})
}

// TestWatchdogs lets machines die with a watchdog that a process keeps every second, and looks at
// what becomes of them.
func TestWatchdogs(t *testing.T) {
	soft, hard := []Watchdog{{Driver: "softdog"}}, []Watchdog{{Driver: "i6300esb"}}
	two := RebootConfig{CPUs: 2}
	panics := Do(func(m *Machine) { m.At(10*time.Second, Fail{How: PanicCall{"x"}}) })
	for _, test := range []struct {
		name  string
		cfg   Config
		do    []Action
		how   How
		then  How
		by    string
		after time.Duration
		says  string
	}{
		{
			"nothing happens as long as it is fed",
			Config{Watchdogs: hard},
			[]Action{keeper(8, 0, time.Second)},
			TimedOut, 0, "", 10 * time.Minute, "",
		},
		{
			"softdog when nobody feeds it",
			Config{Watchdogs: soft},
			[]Action{keeper(8, 0, kernel.Never)},
			ResetByWatchdog, Restarted, "softdog", 9 * time.Second,
			"softdog: Initiating system reboot",
		},
		{
			"softdog panics",
			Config{Watchdogs: []Watchdog{{Driver: "softdog", Panic: true}}, Cmdline: "panic=2"},
			[]Action{keeper(8, 0, kernel.Never)},
			Panicked, Restarted, "", 11 * time.Second,
			"softdog: Initiating panic",
		},
		{
			"softdog only says so",
			Config{Watchdogs: []Watchdog{{Driver: "softdog", NoBoot: true}}},
			[]Action{keeper(8, 0, kernel.Never)},
			Stuck, 0, "", 9 * time.Second,
			"softdog: Triggered - Reboot ignored",
		},
		{
			"softdog asks for a restart",
			Config{Watchdogs: []Watchdog{{Driver: "softdog", RebootCommand: "loader"}}},
			[]Action{keeper(8, 0, kernel.Never)},
			Restarted, 0, "", 9 * time.Second,
			"reboot: Restarting system with command 'loader'",
		},
		{
			"softdog does not rescue a panic",
			Config{Watchdogs: soft},
			[]Action{keeper(8, 0, time.Second), panics},
			Panicked, Hung, "", 10 * time.Second, "",
		},
		{
			"but on arm64 it does",
			Config{Watchdogs: soft, Kernel: "linux-6.1-arm64"},
			[]Action{keeper(8, 0, time.Second), panics},
			Panicked, Restarted, "softdog", 17 * time.Second, "",
		},
		{
			"hardware rescues a panic",
			Config{Watchdogs: hard},
			[]Action{keeper(8, 0, time.Second), panics},
			Panicked, ResetByWatchdog, "i6300esb", 17 * time.Second, "",
		},
		{
			"and before a long panic_timeout is over",
			Config{Watchdogs: hard, Cmdline: "panic=60"},
			[]Action{keeper(8, 0, time.Second), panics},
			Panicked, ResetByWatchdog, "i6300esb", 17 * time.Second,
			"Rebooting in 60 seconds..",
		},
		{
			"hardware rescues a machine whose only CPU takes no interrupts",
			Config{Watchdogs: hard},
			[]Action{keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(10*time.Second, Fail{How: StuckCPU{IRQsOff: true}})
			})},
			ResetByWatchdog, 0, "i6300esb", 17 * time.Second, "",
		},
		{
			"softdog does not",
			Config{Watchdogs: soft},
			[]Action{keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(10*time.Second, Fail{How: StuckCPU{IRQsOff: true}})
			})},
			Hung, 0, "", 10 * time.Second, "",
		},
		{
			"but one with interrupts",
			Config{Watchdogs: soft},
			[]Action{keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(10*time.Second, Fail{How: StuckCPU{}})
			})},
			ResetByWatchdog, Restarted, "softdog", 17 * time.Second, "softdog: Initiating system reboot",
		},
		{
			"another CPU goes on, and feeds",
			Config{Watchdogs: hard, Reboot: two},
			[]Action{keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(10*time.Second, Fail{CPU: 1, How: StuckCPU{IRQsOff: true}})
			})},
			TimedOut, 0, "", 10 * time.Minute, "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
		},
		{
			"a keeper that dies does not stop it",
			Config{Watchdogs: hard},
			[]Action{keeper(8, 0, time.Second), Do(func(m *Machine) {
				m.At(10500*time.Millisecond, Signal{Name: "keeper", Signals: []kernel.Signal{syscall.SIGKILL}})
			})},
			ResetByWatchdog, 0, "i6300esb", 18500 * time.Millisecond, "watchdog: watchdog0: watchdog did not stop!",
		},
		{
			"pretimeout",
			Config{Watchdogs: []Watchdog{{Driver: "i6300esb", Governor: "panic"}}, Cmdline: "panic=1"},
			[]Action{keeper(8, 3, kernel.Never)},
			Panicked, Restarted, "", 7 * time.Second, "",
		},
		{
			"pretimeout by noop",
			Config{Watchdogs: hard},
			[]Action{keeper(8, 3, kernel.Never)},
			ResetByWatchdog, 0, "i6300esb", 9 * time.Second,
			"watchdog0: pretimeout event",
		},
		{
			"a board that waits for 16 s at most is fed by the kernel",
			Config{Watchdogs: []Watchdog{{Driver: "board"}}},
			[]Action{keeper(60, 0, kernel.Never)},
			ResetByWatchdog, 0, "board", 61 * time.Second, "",
		},
		{
			"until that has died",
			Config{Watchdogs: []Watchdog{{Driver: "board"}}},
			[]Action{keeper(60, 0, time.Second), panics},
			Panicked, ResetByWatchdog, "board", 25 * time.Second, "",
		},
		{
			"one that the firmware has started",
			Config{Watchdogs: []Watchdog{{Driver: "latch", Running: true}}},
			nil, TimedOut, 0, "", 10 * time.Minute, "",
		},
		{
			"without handle_boot_enabled",
			Config{
				Watchdogs: []Watchdog{{Driver: "latch", Running: true}}, Cmdline: "watchdog.handle_boot_enabled=0",
			},
			nil, ResetByWatchdog, 0, "latch", 30 * time.Second, "",
		},
		{
			"with an open_timeout",
			Config{
				Watchdogs: []Watchdog{{Driver: "latch", Running: true}}, Cmdline: "watchdog.open_timeout=20",
			},
			nil, ResetByWatchdog, 0, "latch", 45 * time.Second, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Until = 10 * time.Minute
			_, end, said := dead(t, test.cfg, test.do...)
			late := end.At - test.after
			if end.How != test.how || end.Then != test.then || end.By != test.by || late < 0 ||
				late > time.Second {
				t.Errorf("got %+v", end)
			}
			if test.says != "" && !has(said, test.says) {
				t.Errorf("said %q", said)
			}
		})
	}
}

// TestWatchdogCalls looks at what the device answers.
func TestWatchdogCalls(t *testing.T) {
	m := New(Config{Watchdogs: []Watchdog{{Driver: "i6300esb"}, {Driver: "fixed"}, {Driver: "softdog", NoWayOut: true}}})
	esb, fixed, soft := m.watchdogs[0], m.watchdogs[1], m.watchdogs[2]
	want := func(what string, got, want kernel.Errno) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	ioctl := func(w *watchdog, cmd int, value int64) kernel.Errno {
		_, e := m.ioctlWatchdog(w, cmd, value)
		return e
	}
	want("open", m.openWatchdog(esb, nil), 0)
	want("open again", m.openWatchdog(esb, nil), syscall.EBUSY)
	want("SETTIMEOUT 0", ioctl(esb, wdSetTimeoutCmd, 0), kernel.EINVAL)
	want("SETTIMEOUT 2047", ioctl(esb, wdSetTimeoutCmd, 2047), kernel.EINVAL)
	if n, _ := m.ioctlWatchdog(esb, wdGetTimeout, 0); n != 30 {
		t.Errorf("the old timeout is %d, want 30", n)
	}
	want("SETTIMEOUT of fixed", ioctl(fixed, wdSetTimeoutCmd, 10), syscall.EOPNOTSUPP)
	want("GETTIMELEFT", ioctl(esb, wdGetTimeLeft, 0), syscall.EOPNOTSUPP)
	want("SETPRETIMEOUT too long", ioctl(esb, wdSetPretimeout, 30), kernel.EINVAL)
	want("SETPRETIMEOUT", ioctl(esb, wdSetPretimeout, 20), 0)
	want("SETTIMEOUT", ioctl(esb, wdSetTimeoutCmd, 10), 0)
	if esb.pre != 0 {
		t.Errorf("the pretimeout is still %d", esb.pre)
	}
	want("unknown", ioctl(esb, 99, 0), syscall.ENOTTY)
	m.writeWatchdog(esb, []byte("V"))
	m.closeWatchdog(esb)
	if esb.active || len(m.hardware) != 0 {
		t.Error("V does not stop it")
	}
	m.openWatchdog(soft, nil)
	want("DISABLECARD", ioctl(soft, wdSetOptions, wdDisableCard), syscall.EBUSY)
	m.writeWatchdog(soft, []byte("V"))
	m.closeWatchdog(soft)
	if !soft.active {
		t.Error("nowayout has been stopped")
	}
}

// TestBootStatus is kept by the hardware for one boot.
func TestBootStatus(t *testing.T) {
	for driver, want := range map[string]string{"i6300esb": "32\n", "softdog": "0\n"} {
		m, _, _ := dead(t, Config{Watchdogs: []Watchdog{{Driver: driver}}}, keeper(8, 0, kernel.Never))
		for _, want := range []string{want, "0\n"} {
			next, err := m.NextBoot(PowerOn{})
			if err != nil {
				t.Fatal(err)
			}
			got, e := (sysFS{}).read(next, nil, "class/watchdog/watchdog0/bootstatus")
			if got != want || e != 0 {
				t.Errorf("%s: bootstatus %q, %v, want %q", driver, got, e, want)
			}
			next.At(time.Second, Fail{How: PanicCall{"x"}})
			next.keepKnob("kernel/panic", "1")
			next.Boot(idle)
			m = next
		}
	}
}

// TestWatchdogsOnTheWayDown are stopped by the notifier, if they ask for it.
func TestWatchdogsOnTheWayDown(t *testing.T) {
	hangs := RebootConfig{Devices: []Device{{Name: "sda", Driver: "sd", Takes: kernel.Never}}}
	for _, test := range []struct {
		driver, cmdline string
		cmd             kernel.RebootCmd
		kernel          string
		reset           bool
	}{
		{"i6300esb", "", kernel.Restart, "", false},
		{"i6300esb", "watchdog.stop_on_reboot=0", kernel.Restart, "", true},
		{"board", "", kernel.Restart, "", true},
		{"board", "watchdog.stop_on_reboot=1", kernel.Restart, "", false},
		{"latch", "watchdog.stop_on_reboot=1", kernel.Halt, "", true},
		{"i6300esb", "", kernel.PowerOff, "linux-6.1-x86_64", true},
		{"i6300esb", "", kernel.PowerOff, "linux-6.12-x86_64", false},
	} {
		cfg := Config{
			Reboot: hangs, Watchdogs: []Watchdog{{Driver: test.driver}}, Cmdline: test.cmdline,
			Kernel: test.kernel,
		}
		_, end, _ := dead(t, cfg, starts("keeper", Watch{Timeout: 20, Every: time.Second}),
			Do(func(m *Machine) {
				m.At(2*time.Second, starts("off", Reboot{Cmd: test.cmd}))
				m.At(2*time.Second+time.Millisecond, Signal{Name: "keeper", Signals: []kernel.Signal{syscall.SIGSTOP}})
			}))
		if (end.How == ResetByWatchdog) != test.reset {
			t.Errorf("%+v: got %+v", test, end)
		}
	}
}

func TestWatchdogGreeting(t *testing.T) {
	m := New(Config{Watchdogs: []Watchdog{{Driver: "softdog", Panic: true}}})
	var said []string
	for _, l := range m.Log() {
		said = append(said, l.Text)
	}
	want := []string{
		"softdog: initialized. soft_noboot=0 soft_margin=60 sec soft_panic=1 (nowayout=0)",
		"softdog:              soft_reboot_cmd=<not set> soft_active_on_boot=0",
	}
	if !slices.Equal(said, want) {
		t.Errorf("said %s", strings.Join(said, "\n"))
	}
}

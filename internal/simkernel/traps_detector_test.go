package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestTrap3 is softdog, which rescues no panic on x86, and hardware that does, even before
// panic_timeout is over.
func TestTrap3(t *testing.T) {
	panics := Do(func(m *Machine) { m.At(2*time.Second, Fail{How: PanicCall{"x"}}) })
	for driver, want := range map[string]How{"softdog": Hung, "i6300esb": ResetByWatchdog} {
		cfg := Config{Watchdogs: []Watchdog{{Driver: driver}}}
		_, end, _ := dead(t, cfg, keeper(8, 0, time.Second), panics)
		if end.Then != want {
			t.Errorf("%s, panic=0: got %+v", driver, end)
		}
	}
	cfg := Config{Watchdogs: []Watchdog{{Driver: "i6300esb"}}, Cmdline: "panic=60"}
	_, end, _ := dead(t, cfg, keeper(8, 0, time.Second), panics)
	if end.Then != ResetByWatchdog || end.At > 11*time.Second {
		t.Errorf("panic=60: got %+v", end)
	}
}

// writes is a write to /proc/sysrq-trigger by PID 1.
func writes(text string) Action { return Do(func(m *Machine) { m.sysrqTrigger(text) }) }

// TestTrap17 is the key c: a panic since 5.0 and an oops before, whatever kernel.sysrq says, and of
// "cb" only the c counts.
func TestTrap17(t *testing.T) {
	for kernel, want := range map[string]string{
		"linux-6.1-x86_64":  "Kernel panic - not syncing: sysrq triggered crash",
		"linux-5.10-arm64":  "Kernel panic - not syncing: sysrq triggered crash",
		"linux-4.19-x86_64": "Kernel panic - not syncing: Fatal exception",
		"linux-3.10-arm":    "Kernel panic - not syncing: Fatal exception",
	} {
		_, end, said := dead(t, Config{Kernel: kernel, Cmdline: "sysctl.kernel.sysrq=0"}, writes("cb"))
		if end.Text != want || end.Then != Hung {
			t.Errorf("%s: got %+v, said %q", kernel, end, said)
		}
	}
	// 2.6 has it start the crash kernel, and without one does nothing.
	_, end, _ := dead(t, Config{Kernel: "linux-2.6.24-i386", Until: time.Minute}, writes("c"))
	if end.Since != 0 {
		t.Errorf("2.6.24: got %+v", end)
	}
	_, _, said := dead(t, Config{Kernel: "linux-6.12-x86_64", Until: time.Minute}, writes("_sw"))
	if !has(said, "sysrq: Emergency Sync") || !has(said, "sysrq: Show Blocked State") {
		t.Errorf("6.12: said %q", said)
	}
}

// TestTrap20 is closing without a V: a whole timeout from then on.
func TestTrap20(t *testing.T) {
	for text, want := range map[string]How{"x": ResetByWatchdog, "xVx": Stuck} {
		cfg := Config{Watchdogs: []Watchdog{{Driver: "i6300esb"}}}
		_, end, said := dead(t, cfg, Do(func(m *Machine) {
			w := m.watchdogs[0]
			m.openWatchdog(w, nil)
			m.setWatchdogTimeout(w, 10)
			m.At(5*time.Second, Do(func(m *Machine) {
				m.writeWatchdog(w, []byte(text))
				m.closeWatchdog(w)
			}))
		}))
		if end.How != want || want == ResetByWatchdog && end.At != 15*time.Second {
			t.Errorf("%q: got %+v", text, end)
		}
		if has(said, "watchdog: watchdog0: watchdog did not stop!") != (want == ResetByWatchdog) {
			t.Errorf("%q: said %q", text, said)
		}
	}
	// The next boot can tell who it was, if it was hardware.
	for driver, want := range map[string]string{"i6300esb": "32\n", "softdog": "0\n"} {
		m, end, _ := dead(t, Config{Watchdogs: []Watchdog{{Driver: driver}}}, Do(func(m *Machine) {
			w := m.watchdogs[0]
			m.openWatchdog(w, nil)
			m.setWatchdogTimeout(w, 10)
			m.closeWatchdog(w)
		}))
		next, err := m.NextBoot(PowerOn{})
		if err != nil {
			t.Errorf("%s: %+v, %v", driver, end, err)
			continue
		}
		if got, e := (sysFS{}).read(next, nil, "class/watchdog/watchdog0/bootstatus"); got != want || e != 0 {
			t.Errorf("%s: bootstatus is %q, %v, want %q", driver, got, e, want)
		}
	}
}

// TestTrap21 is what the device refuses.
func TestTrap21(t *testing.T) {
	for _, driver := range []string{"softdog", "i6300esb"} {
		m := New(Config{Watchdogs: []Watchdog{{Driver: driver}}})
		w := m.watchdogs[0]
		m.openWatchdog(w, nil)
		_, left := m.ioctlWatchdog(w, wdGetTimeLeft, 0)
		_, long := m.ioctlWatchdog(w, wdSetTimeoutCmd, 65536)
		timeout, _ := m.ioctlWatchdog(w, wdGetTimeout, 0)
		if left != syscall.EOPNOTSUPP || long != kernel.EINVAL || int(timeout) != w.driver.start ||
			m.openWatchdog(w, nil) != syscall.EBUSY {
			t.Errorf("%s: got %v, %v, %d", driver, left, long, timeout)
		}
	}
}

// TestTrap26 is reboot=force, which lets the other CPUs run, in a panic as well.
func TestTrap26(t *testing.T) {
	for cmdline, want := range map[string]bool{"reboot=force": true, "": false} {
		cfg := Config{Reboot: RebootConfig{CPUs: 2}, Cmdline: cmdline + " panic=10"}
		alive := false
		m := New(cfg)
		m.At(time.Second, Fail{How: PanicCall{"x"}})
		m.At(5*time.Second, Do(func(m *Machine) { alive = m.Answers().Processes }))
		end := m.Boot(idle)
		if end.Then != Restarted || alive != want {
			t.Errorf("%q: got %+v, others alive: %v", cmdline, end, alive)
		}
	}
}

// TestTrap33 is a fatal machine check, which restarts the machine although panic is 0.
func TestTrap33(t *testing.T) {
	_, end, said := dead(t, Config{}, Fail{How: MachineCheck{}})
	if end.Then != Restarted || end.At-end.Since != 30*time.Second || !has(said, "Rebooting in 30 seconds..") {
		t.Errorf("got %+v, said %q", end, said)
	}
}

// TestTrap34 is when the detectors speak: a hung task between once and twice the time, never for one
// that can be killed; a soft lockup at the first tick after twice the threshold.
func TestTrap34(t *testing.T) {
	// khungtaskd looks every five seconds. What it sees for the first time it tells of the next time.
	const ms = time.Millisecond
	for _, test := range []struct{ begun, told time.Duration }{
		{1000 * ms, 10000 * ms},
		{2500 * ms, 10000 * ms},
		{4990 * ms, 10000 * ms}, // hardly more than once the time
		{5010 * ms, 15000 * ms}, // hardly less than twice
		{8200 * ms, 15000 * ms},
		{9990 * ms, 15000 * ms},
	} {
		cfg := Config{Cmdline: "hung_task_panic=1 sysctl.kernel.hung_task_timeout_secs=5"}
		_, end, _ := dead(t, cfg, Do(func(m *Machine) { m.At(test.begun, starts("dead", Hang{})) }))
		if end.Since != test.told {
			t.Errorf("begun at %v: got %+v, want %v", test.begun, end, test.told)
		}
	}
	cfg := Config{Until: time.Hour, Cmdline: "hung_task_panic=1"}
	_, end, _ := dead(t, cfg, starts("waits", Hang{Killable: true}))
	if end.Since != 0 {
		t.Errorf("killable: got %+v", end)
	}
	// The timer comes every 1.2 s, and counts in units of 2^30 ns from when it has last found the CPU
	// well. It speaks when there are more than 6 of them: 7, or 8 as it was seen.
	for _, test := range []struct {
		at, told time.Duration
		says     string
	}{
		{1000 * ms, 8400 * ms, "7s"},
		{2000 * ms, 9600 * ms, "7s"},
		{3000 * ms, 10800 * ms, "8s"},
		{4000 * ms, 10800 * ms, "7s"},
		{5000 * ms, 12000 * ms, "7s"},
	} {
		m := New(Config{Cmdline: "watchdog_thresh=3 softlockup_panic=1"})
		m.At(test.at, Fail{How: StuckCPU{Comm: "loop", PID: 7}})
		end := m.Boot(idle)
		line := "watchdog: BUG: soft lockup - CPU#0 stuck for " + test.says + "! [loop:7]"
		told := slices.ContainsFunc(m.Log(), func(l LogLine) bool { return l.Text == line && l.At == test.told })
		if end.Since != test.told || !told {
			t.Errorf("at %v: got %+v, want %q at %v", test.at, end, line, test.told)
		}
	}
}

// TestTrap37 are words of the command line that count whatever their value is.
func TestTrap37(t *testing.T) {
	m := New(Config{Cmdline: "sysctl.kernel.sysrq=0 sysrq_always_enabled=0 unknown_nmi_panic=0"})
	if !m.sysrqAllows('b') || !m.isSet("kernel/unknown_nmi_panic") {
		t.Error("sysrq_always_enabled=0 or unknown_nmi_panic=0 does not count")
	}
	if m.Log()[0].Text != "sysrq: sysrq always enabled." {
		t.Errorf("said %q", m.Log())
	}
}

// TestTrap39 is the key b, which helps a live kernel, and not one that has panicked.
func TestTrap39(t *testing.T) {
	press := Do(func(m *Machine) { m.At(3*time.Second, hardwareKey('b')) })
	_, end, said := dead(t, Config{}, press)
	if end.How != Restarted || !has(said, "sysrq: Resetting") {
		t.Errorf("live: got %+v, said %q", end, said)
	}
	m, end, said := dead(t, Config{}, press, Fail{How: PanicCall{"x"}})
	if end.Then != Hung || has(said, "sysrq: Resetting") || m.Answers().Interrupts {
		t.Errorf("dead: got %+v, %+v, said %q", end, m.Answers(), said)
	}
	// Where nothing makes it deaf it still answers.
	_, end, said = dead(t, Config{Kernel: "linux-3.10-mips-wdt"}, press, Fail{How: PanicCall{"x"}})
	if end.Then != Restarted || !has(said, "SysRq : Resetting") {
		t.Errorf("on a board: got %+v, said %q", end, said)
	}
}

// hardwareKey is a key of a keyboard, which raises an interrupt of the first CPU.
func hardwareKey(key byte) Action {
	return Do(func(m *Machine) { m.interruptAt(m.now, 0, PressSysrq{Key: key}) })
}

// TestSysrqMask are keys from a keyboard, which kernel.sysrq can forbid.
func TestSysrqMask(t *testing.T) {
	for _, test := range []struct {
		mask string
		key  byte
		ok   bool
	}{
		{"438", 'b', true},
		{"438", 's', true},
		{"438", 't', false},
		{"438", 'e', false},
		{"0", 'b', false},
		{"1", 'e', true},
		{"64", 'e', true},
		{"64", 'b', false},
		{"2", '7', true},
		{"4", '7', false},
	} {
		_, _, said := dead(t, Config{Cmdline: "sysctl.kernel.sysrq=" + test.mask, Until: time.Minute},
			PressSysrq{Key: test.key})
		if refused := slices.Contains(said, "sysrq: This sysrq operation is disabled."); refused == test.ok {
			t.Errorf("%s %c: said %q", test.mask, test.key, said)
		}
	}
}

// TestStackOverflow is noticed by a double fault, which is an oops in an interrupt since 5.8.
func TestStackOverflow(t *testing.T) {
	for kernel, want := range map[string]string{
		"linux-6.1-x86_64": "Fatal exception in interrupt", "linux-5.10-x86_64": "Fatal exception in interrupt",
		"linux-4.19-x86_64": "",
	} {
		_, end, said := dead(t, Config{Kernel: kernel, Until: time.Minute},
			starts("deep", Oops{How: StackOverflow{}}))
		if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, "stack guard page was hit") }) {
			t.Errorf("%s: said %q", kernel, said)
		}
		if got := strings.TrimPrefix(end.Text, "Kernel panic - not syncing: "); want != "" && got != want ||
			want == "" && end.Since != 0 {
			t.Errorf("%s: got %+v", kernel, end)
		}
	}
	_, end, _ := dead(t, Config{}, Fail{How: StackEnd{}})
	if end.Text != "Kernel panic - not syncing: corrupted stack end detected inside scheduler" {
		t.Errorf("got %+v", end)
	}
	_, end, said := dead(t, Config{}, Fail{How: DoubleFault{}})
	if end.Since == 0 || !has(said, "PANIC: double fault, error_code: 0x0") {
		t.Errorf("got %+v, said %q", end, said)
	}
}

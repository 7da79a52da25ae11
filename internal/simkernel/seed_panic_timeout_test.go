package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// board is the machine that the document is about: MIPS, and its machine_restart is its watchdog.
const board = "linux-3.10-mips-wdt"

// TestRestartOfABoard walks a description of how such a board restarts after a panic, and by BusyBox's
// reboot, from its first claim to its last.
func TestRestartOfABoard(t *testing.T) {
	for _, c := range slices.Concat(claimsOfTimeout, claimsOfEmergency, claimsOfReboot, claimsOfKernelRestart) {
		name := c.at + ": " + c.says
		if c.but != "" {
			name += " (but " + c.but + ")"
		}
		t.Run(name, c.test)
	}
}

// boardPlay is the board with a device, a notifier and a syscore operation, on which a program runs,
// and on which something is done after two seconds.
func boardPlay(t *testing.T, cmdline string, steps []Step, at ...Action) *fate {
	t.Helper()
	return caseOf{
		cfg: Config{Cmdline: cmdline, Reboot: RebootConfig{
			Notifiers: []Notifier{{Name: "a driver's"}}, Devices: []Device{{Name: "disk", Driver: "sd"}},
			Syscore: []Syscore{{Name: "clock"}},
		}},
		steps: steps, at: at,
	}.playOn(board)
}

var claimsOfTimeout = []claim{
	{at: "panic_timeout", says: "it is a parameter of the kernel, to be read and written", test: func(t *testing.T) {
		m := New(Config{Kernel: board, Cmdline: "panic=7"})
		m.At(time.Second, panics)
		const path = "/sys/module/kernel/parameters/panic"
		end := m.Boot(func(k kernel.Kernel) int {
			if err := k.Mount(kernel.Mount{Type: "sysfs", Target: "/sys"}); err != nil {
				t.Error(err)
			}
			if text, err := k.ReadFile(path); string(text) != "7\n" {
				t.Errorf("read %q, %v", text, err)
			}
			if err := k.WriteAt(path, []byte("3\n"), 0); err != nil {
				t.Error(err)
			}
			// It is the same number as the sysctl.
			if text, _ := k.Proc("sys/kernel/panic"); string(text) != "3\n" {
				t.Errorf("the sysctl is %q", text)
			}
			return idle(k)
		})
		if end.Then != Restarted || end.At-end.Since != 3*time.Second {
			t.Errorf("got %+v", end)
		}
		if _, mode, ok := m.statAttr("module/kernel/parameters/panic"); !ok || mode != 0o644 {
			t.Errorf("mode %o, %v", mode, ok)
		}
	}},
	{at: "panic_timeout", says: "a parameter of a module is in the directory of that module", test: func(t *testing.T) {
		m := New(Config{Kernel: board, Cmdline: "printk.always_kmsg_dump=1"})
		if v, e := m.attr("module/printk/parameters/always_kmsg_dump"); v != "Y" || e != 0 {
			t.Errorf("got %q, %v", v, e)
		}
		if _, e := m.attr("module/kernel/parameters/always_kmsg_dump"); e != kernel.ENOENT {
			t.Errorf("it is also the kernel's: %v", e)
		}
	}},
	{at: "panic_timeout", says: "more than 0 is counted down, which is said", test: func(t *testing.T) {
		f := boardPlay(t, "panic=5", nil, panics)
		wantSaid(t, f, "0 Kernel panic - not syncing: x", "0 Rebooting in 5 seconds..")
		if f.end.Then != Restarted || f.end.At-f.end.Since != 5*time.Second {
			t.Errorf("got %+v", f.end)
		}
		// The line has no end: nothing of it is read before the next one begins.
		if last := f.ring.records[len(f.ring.records)-1]; !last.open {
			t.Errorf("%q is a line of its own", last.Text)
		}
	}},
	{at: "panic_timeout", says: "no timer is needed, for the CPU counts itself", test: func(t *testing.T) {
		late := Do(func(m *Machine) {
			m.interruptAt(m.now+time.Second, 0, Do(func(m *Machine) { t.Error("an interrupt came") }))
		})
		if f := boardPlay(t, "panic=5", nil, late, panics); f.end.At-f.end.Since != 5*time.Second {
			t.Errorf("got %+v", f.end)
		}
	}},
	{at: "panic_timeout", says: "ten steps a second, and a blink at every second one", test: func(t *testing.T) {
		if f := boardPlay(t, "panic=5", nil, panics); f.Blinks() != 25 {
			t.Errorf("%d blinks", f.Blinks())
		}
		p := &profileOf(board).panic
		if p.step != 100*time.Millisecond || p.blink != 200*time.Millisecond {
			t.Errorf("step %v, blink %v", p.step, p.blink)
		}
	}},
	{
		at: "panic_timeout", says: "it must be more than 0 to restart",
		but: "less than 0 restarts, too: at once, and without a word",
		test: func(t *testing.T) {
			f := boardPlay(t, "sysctl.kernel.panic=-1", nil, panics)
			if f.end.Then != Restarted || f.end.At != f.end.Since {
				t.Errorf("got %+v", f.end)
			}
			wantUnsaid(t, f, "Rebooting")
			if f := boardPlay(t, "panic=0", nil, panics); f.end.Then != Hung {
				t.Errorf("panic=0: got %+v", f.end)
			}
		},
	},
	{at: "panic_timeout", says: "nothing is shut down", test: func(t *testing.T) {
		f := boardPlay(t, "panic=1", nil, panics)
		if got := f.stepsOf("reboot_notifier_list", "device_shutdown", "syscore_shutdown"); got != nil {
			t.Errorf("got %q", got)
		}
	}},
}

var claimsOfEmergency = []claim{
	{
		at: "emergency_restart", says: "it is machine_emergency_restart, that is machine_restart",
		but: "the log is offered to who keeps it first",
		test: func(t *testing.T) {
			f := boardPlay(t, "panic=1", nil, panics)
			wantEqual(t, "steps", f.steps, []string{
				"kmsg_dump: 1", "kmsg_dump: 3", "machine_emergency_restart: ",
			})
		},
	},
	{at: "emergency_restart", says: "in the end the watchdog resets the machine", test: func(t *testing.T) {
		f := boardPlay(t, "panic=1", nil, panics)
		if f.end.How != Panicked || f.end.Then != Restarted {
			t.Errorf("got %+v", f.end)
		}
		if _, err := f.NextBoot(PowerOn{}); err != nil {
			t.Error(err)
		}
		// Only it can: without it the machine stays where it is.
		f = caseOf{
			cfg: Config{Cmdline: "panic=1", Firmware: stubborn}, at: []Action{panics},
		}.playOn(board)
		if f.end.Then != Hung {
			t.Errorf("without the watchdog: got %+v", f.end)
		}
	}},
}

// busybox is an init that does what the document shows of BusyBox's. If there is one, restart is the
// program of its entry for that.
func busybox(k kernel.Kernel, restart string) int {
	say := func(text string) { k.Log(kernel.Info, text) }
	pause := func(d time.Duration) {
		for until := k.Now() + d; k.Now() < until; {
			k.Next(until)
		}
	}
	runShutdownAndKillProcesses := func() {
		// The entries for shutdown, each to its end.
		if pid, err := k.Spawn(command("goodbye")); err == nil {
			for k.Kill(pid, 0) == nil {
				k.Next(k.Now() + 10*time.Millisecond)
				_, _ = k.Wait()
			}
		}
		say("The system is going down NOW!")
		_ = k.KillAll(kernel.SIGTERM)
		say("Sent SIGTERM to all processes")
		_, _ = k.Call(kernel.Sync{})
		pause(time.Second)
		_ = k.KillAll(kernel.SIGKILL)
		say("Sent SIGKILL to all processes")
		_, _ = k.Call(kernel.Sync{})
	}
	pauseAndLowLevelReboot := func(cmd kernel.RebootCmd) {
		pause(time.Second)
		// A child calls it, and this process stays.
		_, _ = k.Call(kernel.Reboot{Cmd: cmd})
		for {
			k.Next(kernel.Never)
		}
	}
	_ = k.RebootSelf(kernel.CadOff)
	for {
		s, ok := k.Next(kernel.Never).(kernel.Signaled)
		if !ok {
			continue
		}
		var cmd kernel.RebootCmd
		var word string
		switch s.Signal {
		case kernel.SIGQUIT:
			if restart == "" {
				continue
			}
			runShutdownAndKillProcesses()
			_ = k.RebootSelf(kernel.CadOn)
			_ = k.Exec(command(restart))
			pauseAndLowLevelReboot(kernel.Halt)
		case kernel.SIGUSR1:
			cmd, word = kernel.Halt, "halt"
		case kernel.SIGTERM:
			cmd, word = kernel.Restart, "reboot"
		case kernel.SIGUSR2:
			cmd, word = kernel.PowerOff, "poweroff"
		default:
			continue
		}
		runShutdownAndKillProcesses()
		say("Requesting system " + word)
		pauseAndLowLevelReboot(cmd)
	}
}

// asked plays that init, two programs, and a signal after two seconds.
func asked(t *testing.T, sig kernel.Signal, cfg Config, at ...Action) *fate {
	t.Helper()
	return askedOf(t, sig, cfg, "", at...)
}

// askedOf is the same of one that has an entry for restart.
func askedOf(t *testing.T, sig kernel.Signal, cfg Config, restart string, at ...Action) *fate {
	t.Helper()
	cfg.Kernel, cfg.Until = board, time.Minute
	f := &fate{}
	cfg.Reboot.Trace = func(_ time.Duration, step, what string) { f.steps = append(f.steps, step+": "+what) }
	cfg.Programs = map[string]Program{
		"/bin/polite":   {Steps: []Step{Pause{}}},
		"/bin/stubborn": {Steps: []Step{Ignore{kernel.SIGTERM}, Pause{}}},
		"/bin/goodbye":  {Steps: []Step{Sleep{200 * time.Millisecond}}},
		"/bin/next":     {Steps: []Step{Pause{}}},
	}
	f.Machine = New(cfg)
	f.At(2*time.Second, Signals(sig))
	for _, a := range at {
		f.At(2100*time.Millisecond, a)
	}
	f.end = f.Boot(func(k kernel.Kernel) int {
		for _, name := range []string{"polite", "stubborn"} {
			if _, err := k.Spawn(command(name)); err != nil {
				t.Error(err)
			}
		}
		return busybox(k, restart)
	})
	for _, l := range f.Log() {
		f.said = append(f.said, l.Text)
	}
	return f
}

var claimsOfReboot = []claim{
	{
		at: "reboot, messages", says: "what one sees on the way down, with the kernel's last word",
		but: "the messages are of another BusyBox than the code, which says other ones",
		test: func(t *testing.T) {
			wantSaid(t, asked(t, kernel.SIGTERM, Config{}), "The system is going down NOW!",
				"Sent SIGTERM to all processes", "Sent SIGKILL to all processes",
				"Requesting system reboot", "Restarting system.")
		},
	},
	{at: "init_main", says: "USR1 halts, TERM restarts, USR2 powers off", test: func(t *testing.T) {
		for sig, want := range map[kernel.Signal]string{
			kernel.SIGUSR1: "System halted.", kernel.SIGTERM: "Restarting system.",
		} {
			wantSaid(t, asked(t, sig, Config{}), want)
		}
		// The board has no method to power off, and halts instead.
		wantSaid(t, asked(t, kernel.SIGUSR2, Config{}), "Requesting system poweroff", "System halted.")
	}},
	{at: "halt_reboot_pwoff", says: "a second request on the way changes nothing", test: func(t *testing.T) {
		f := asked(t, kernel.SIGTERM, Config{}, Signals(kernel.SIGTERM), Signals(kernel.SIGUSR1), Signals(kernel.SIGQUIT))
		n := 0
		for _, s := range f.said {
			if strings.HasPrefix(s, "The system is going down") {
				n++
			}
		}
		if n != 1 || f.end.How != Restarted {
			t.Errorf("%d times, %+v", n, f.end)
		}
	}},
	{at: "restart_handler", says: "QUIT does nothing without an entry for restart", test: func(t *testing.T) {
		if f := asked(t, kernel.SIGQUIT, Config{}); f.end.How != Stuck || len(f.said) > 0 {
			t.Errorf("got %+v, said %q", f.end, f.said)
		}
	}},
	{at: "restart_handler", says: "with one all ends, the keys restart again, and another init goes on", test: func(t *testing.T) {
		f := askedOf(t, kernel.SIGQUIT, Config{}, "next")
		wantSaid(t, f, "The system is going down NOW!", "Sent SIGKILL to all processes")
		if f.end.How != Execed || f.reboot.cad != 1 || f.has("Requesting system") {
			t.Errorf("got %+v, Ctrl-Alt-Del is %d, said %q", f.end, f.reboot.cad, f.said)
		}
	}},
	{at: "restart_handler", says: "if that cannot be executed the machine halts", test: func(t *testing.T) {
		f := askedOf(t, kernel.SIGQUIT, Config{}, "missing")
		wantSaid(t, f, "Sent SIGKILL to all processes", "System halted.")
	}},
	{at: "run_shutdown_and_kill_processes", says: "the entries for shutdown come first, while all else runs", test: func(t *testing.T) {
		f := asked(t, kernel.SIGTERM, Config{}, Do(func(m *Machine) {
			alive := 0
			for _, p := range m.Processes() {
				if (p.Name == "polite" || p.Name == "goodbye") && p.State != Zombie {
					alive++
				}
			}
			wantEqual(t, "alive while goodbye runs", alive, 2)
		}))
		for _, l := range f.Log() {
			if strings.HasPrefix(l.Text, "The system is going down") && l.At < 2200*time.Millisecond {
				t.Errorf("said at %v", l.At)
			}
		}
	}},
	{at: "run_shutdown_and_kill_processes", says: "TERM, a second, KILL", test: func(t *testing.T) {
		f := asked(t, kernel.SIGTERM, Config{})
		var at []time.Duration
		for _, l := range f.Log() {
			if strings.HasPrefix(l.Text, "Sent SIG") {
				at = append(at, l.At.Round(time.Second))
			}
		}
		wantEqual(t, "times", at, []time.Duration{2 * time.Second, 3 * time.Second})
		for _, p := range f.Processes() {
			if (p.Name == "polite" || p.Name == "stubborn") && p.State != Zombie {
				t.Errorf("%s is in %v", p.Name, p.State)
			}
		}
	}},
	{
		at: "pause_and_low_level_reboot", says: "a child calls reboot, for the caller ends, and PID 1 must not",
		but: "it ends only where halting comes back, as on this board, and restarting does not",
		test: func(t *testing.T) {
			f := asked(t, kernel.SIGUSR1, Config{})
			if f.end.How == Exited || f.has("Kernel panic") {
				t.Errorf("by a child: got %+v", f.end)
			}
			single := Config{Reboot: RebootConfig{SingleThreaded: true}}
			self := caseOf{cfg: single, pid1: func(k kernel.Kernel) { _ = k.RebootSelf(kernel.Halt) }}.playOn(board)
			wantHow(t, self, Exited)
			wantSaid(t, self, "0 System halted.",
				"0 Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000\n")
			self = caseOf{cfg: single, pid1: func(k kernel.Kernel) { _ = k.RebootSelf(kernel.Restart) }}.playOn(board)
			wantHow(t, self, Restarted)
		},
	},
}

func (f *fate) has(part string) bool {
	return slices.ContainsFunc(f.said, func(s string) bool { return strings.Contains(s, part) })
}

var claimsOfKernelRestart = []claim{
	{at: "kernel space", says: "notifiers, syscore, machine_restart", but: "the devices are between them", test: func(t *testing.T) {
		f := boardPlay(t, "", []Step{restart})
		wantEqual(t, "steps", f.stages(), []string{
			"reboot_notifier_list", "system_state", "usermodehelper_disable", "device_shutdown",
			"migrate_to_reboot_cpu", "syscore_shutdown", "kmsg_dump", "machine_restart",
		})
		if f.end.How != Restarted {
			t.Errorf("got %+v", f.end)
		}
	}},
	{at: "kernel space", says: "a driver's notifier hears of SYS_RESTART", test: func(t *testing.T) {
		f := boardPlay(t, "", []Step{restart})
		wantEqual(t, "notified", f.stepsOf("reboot_notifier_list"), []string{"action 1", "a driver's"})
		wantEqual(t, "syscore", f.stepsOf("syscore_shutdown"), []string{"clock"})
	}},
	{at: "kernel space", says: "from machine_restart on it is as after a panic", test: func(t *testing.T) {
		for _, f := range []*fate{boardPlay(t, "", []Step{restart}), boardPlay(t, "panic=1", nil, panics)} {
			if f.end.How != Restarted && f.end.Then != Restarted {
				t.Errorf("got %+v", f.end)
			}
			if _, err := f.NextBoot(PowerOn{}); err != nil {
				t.Error(err)
			}
		}
	}},
}

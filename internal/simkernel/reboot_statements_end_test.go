package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// stubborn is firmware that does nothing it is asked for.
var stubborn = Firmware{OnReset: Refuses, OnPowerOff: Refuses}

// returning is a machine that cannot power off though there is a handler for it.
func returning() Config {
	return Config{Reboot: RebootConfig{
		NoPowerOff: true, PowerOffHandlers: []Notifier{{Name: "mute"}},
	}}
}

// returningPointer is the same with a function of the old kind.
func returningPointer() Config {
	return Config{Reboot: RebootConfig{NoPowerOff: true, PMPowerOff: &Notifier{Name: "mute"}}}
}

var machineStatements = []statement{
	{"5.36 x86 restarts", func(t *testing.T) {
		cfg := Config{Reboot: RebootConfig{RestartHandlers: []Notifier{{Name: "wdt", Does: Resets}}}}
		caseOf{cfg: cfg, steps: []Step{restart}, kernels: x86s[:4]}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "said", f.said,
					[]string{"0 reboot: Restarting system", "5 reboot: machine restart"})
				wantEqual(t, "by", f.steps[len(f.steps)-1], "reset: acpi")
			})
		caseOf{cfg: cfg, steps: []Step{restart}, kernels: x86s[4:]}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "by", f.steps[len(f.steps)-1], "restart_handler_list: wdt")
				wantHow(t, f, Restarted)
			})
		caseOf{cfg: cfg, steps: []Step{restart}, kernels: linux26s}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "said", f.said, []string{"0 Restarting system."})
			})
	}},
	{"5.37 arm restarts by its handlers", func(t *testing.T) {
		handlers := []Notifier{
			{Name: "last resort"},
			{Name: "first", Priority: 255, Takes: time.Second},
			{Name: "default", Priority: 128},
		}
		c := caseOf{
			cfg:   Config{Firmware: stubborn, Reboot: RebootConfig{RestartHandlers: handlers}},
			steps: []Step{restart}, kernels: arms[1:],
		}
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("restart_handler_list"),
				[]string{"first", "psci", "default", "last resort"})
			wantHow(t, f, Hung)
			wantEqual(t, "text", f.end.Text, "Reboot failed -- System halted")
			wantEqual(t, "at", f.end.At, time.Second+300*time.Microsecond)
			wantSaid(t, f, "4 Reboot failed -- System halted")
		})
		c.cfg.Reboot.RestartHandlers[1].Returns = NotifyBad
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("restart_handler_list"), []string{"first"})
			wantHow(t, f, Hung)
		})
		c.kernels = arms[:1]
		c.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Hung)
			wantEqual(t, "at", f.end.At, time.Second+300*time.Microsecond)
		})
		c.cfg = Config{}
		c.kernels = arms
		c.play(t, func(t *testing.T, f *fate) { wantHow(t, f, Restarted) })
	}},
	{"5.38 the methods of x86", func(t *testing.T) {
		every := []string{
			"acpi", "kbd", "acpi", "kbd", "efi", "bios", "pci", "triple", "kbd", "efi", "bios", "pci",
		}
		caseOf{cfg: Config{Firmware: stubborn}, steps: []Step{restart}, kernels: x86s}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "methods", f.stepsOf("reset"), every)
				wantHow(t, f, Hung)
			})
		qemu := Config{Firmware: Firmware{NoReset: []ResetMethod{ResetACPI}}}
		caseOf{cfg: qemu, steps: []Step{restart}, kernels: x86s}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "methods", f.stepsOf("reset"), every[:2])
				wantHow(t, f, Restarted)
			})
		caseOf{
			cfg: Config{Firmware: stubborn, Cmdline: "reboot=k"}, steps: []Step{restart}, kernels: x86s,
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "methods", f.stepsOf("reset")[:6],
				[]string{"kbd", "efi", "bios", "pci", "triple", "kbd"})
		})
	}},
	{"5.39 the mips board's restart returns", func(t *testing.T) {
		caseOf{
			cfg: Config{Firmware: stubborn}, steps: []Step{restart, Reboot{Cmd: kernel.CadOff}, Exit{5}},
			kernels: linux3s[1:],
		}.play(t, func(t *testing.T, f *fate) {
			wantExit(t, f, 5)
			if f.CadOn() {
				t.Error("the lock was not given back")
			}
		})
		caseOf{cfg: Config{Firmware: stubborn}, kernels: linux3s[1:], pid1: func(k kernel.Kernel) {
			if err := k.RebootSelf(kernel.Restart); err != nil {
				panic(err)
			}
		}}.play(t, func(t *testing.T, f *fate) {
			if !f.lived() {
				t.Errorf("end: got %+v, want PID 1 going on", f.end)
			}
		})
		caseOf{steps: []Step{restart}, kernels: linux3s[1:]}.play(
			t, func(t *testing.T, f *fate) { wantHow(t, f, Restarted) })
	}},
	{"5.39 who has waited for the lock goes on", func(t *testing.T) {
		var took time.Duration
		caseOf{
			cfg:   Config{Firmware: stubborn, Reboot: slowDevices},
			steps: []Step{restart}, second: []Step{Reboot{Cmd: kernel.CadOff}, Exit{6}},
			kernels: linux3s[1:],
			pid1: func(k kernel.Kernel) {
				k.Spawn(command("first"))
				k.Spawn(command("second"))
				until(k, 2*time.Second)
				wantErr(t, "RebootSelf", k.RebootSelf(kernel.CadOn), 0)
				took = k.Now() - 2*time.Second
			},
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "PID 1 waited", took, time.Second+300*time.Microsecond)
			if !slices.Contains(f.exits, kernel.WaitStatus(6)<<8) {
				t.Errorf("ends: got %v, want one with status 6", f.exits)
			}
		})
	}},
	{"5.40 halt never returns", func(t *testing.T) {
		for _, single := range []bool{false, true} {
			c := caseOf{
				cfg:     Config{Reboot: RebootConfig{SingleThreaded: single}},
				kernels: slices.Concat(x86s, arms),
				pid1:    func(k kernel.Kernel) { k.RebootSelf(kernel.Halt) },
			}
			c.play(t, func(t *testing.T, f *fate) {
				wantHow(t, f, Halted)
				wantUnsaid(t, f, "panic")
			})
		}
	}},
	{"5.41 halt of 2.6 and of the mips board returns", func(t *testing.T) {
		caseOf{steps: []Step{halt}, kernels: append(linux26s, linux3s[1])}.play(
			t, func(t *testing.T, f *fate) {
				wantExit(t, f, 0)
				wantSaid(t, f, "0 System halted.")
				if !f.lived() || f.SystemState() != SystemHalt {
					t.Errorf("got %+v in state %v", f.end, f.SystemState())
				}
			})
	}},
	{"5.42 powering off stops everything, or not", func(t *testing.T) {
		// What is stopped shows when the handlers return.
		caseOf{cfg: returning(), steps: []Step{powerOff}, kernels: slices.Concat(linux6s, later6s)}.play(
			t, func(t *testing.T, f *fate) { wantHow(t, f, Hung) })
		forced := returning()
		forced.Cmdline = "reboot=f"
		caseOf{
			cfg: forced, steps: []Step{powerOff}, kernels: append(later6s, linux6s[0]),
		}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, 0) })
		caseOf{
			cfg: Config{Reboot: RebootConfig{NoPowerOff: true}}, at: []Action{OrderlyPowerOff{Force: true}},
			kernels: x86s,
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("power_off_handler_list"), nil)
			if !f.lived() {
				t.Errorf("end: got %+v", f.end)
			}
		})
	}},
	{"5.43 emergency_restart", func(t *testing.T) {
		emergency := []Action{Do(func(m *Machine) { m.emergencyRestart() })}
		c := caseOf{cfg: Config{Reboot: furnished}, at: emergency}
		for _, k := range []struct {
			kernels []string
			want    string
		}{
			{linux26s, "machine_emergency_restart"},
			{append(linux3s, linux4s...), "kmsg_dump machine_emergency_restart"},
			{modern, "kmsg_dump system_state machine_emergency_restart"},
		} {
			c.kernels = k.kernels
			c.play(t, func(t *testing.T, f *fate) {
				got := strings.Join(f.stages(), " ")
				got = strings.TrimSuffix(strings.TrimSuffix(got, " reset"), " restart_handler_list")
				wantEqual(t, "stages", got, k.want)
				wantHow(t, f, Restarted)
				wantEqual(t, "said", f.said, nil)
			})
		}
	}},
}

var namespaceStatements = []statement{
	{"5.44 what the parent of a namespace sees", func(t *testing.T) {
		for _, c := range []struct {
			step   Reboot
			how    How
			status kernel.WaitStatus
		}{
			{restart, Restarted, 1},
			{Reboot{Cmd: kernel.Restart2, Arg: "again"}, Restarted, 1},
			{halt, Halted, 2},
			{powerOff, PoweredOff, 2},
		} {
			caseOf{cfg: Config{Namespace: true}, steps: []Step{c.step}, kernels: modern}.play(
				t, func(t *testing.T, f *fate) {
					wantEqual(t, "end", f.end,
						End{How: c.how, Status: c.status, At: 300 * time.Microsecond})
					if !f.end.Status.Signaled() {
						t.Error("PID 1 was not killed")
					}
				})
		}
	}},
	{"5.44 what the parent of a nested namespace's init sees", func(t *testing.T) {
		for cmd, want := range map[kernel.RebootCmd]kernel.WaitStatus{
			kernel.Restart: 1, kernel.Restart2: 1, kernel.Halt: 2, kernel.PowerOff: 2,
		} {
			// The machine's process waits for the namespace's init, whose child it is.
			var nested *process
			m := New(Config{Reboot: furnished, Programs: programs(map[string][]Step{
				"outside": {
					Clone{NewPID: true, Do: []Step{
						Fork{Do: []Step{Sleep{time.Second}, Reboot{Cmd: cmd, BadArg: true}}}, Pause{},
					}},
					Pause{},
				},
			})})
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "outside")
				until(k, 500*time.Millisecond)
				nested = m.find(4)
				until(k, 2*time.Second)
				return 0
			})
			wantEqual(t, cmd.String(), nested.status, want)
			wantEqual(t, "state", m.SystemState(), SystemRunning)
		}
	}},
	{"5.45 the other commands", func(t *testing.T) {
		for _, cmd := range []kernel.RebootCmd{
			kernel.CadOn, kernel.CadOff, Kexec, SWSuspend, 77,
		} {
			caseOf{
				cfg: Config{Namespace: true, Reboot: RebootConfig{
					Image: ImageLoaded, Hibernation: Built,
				}},
				steps: []Step{Reboot{Cmd: cmd}},
			}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EINVAL) })
		}
	}},
	{"5.46 RESTART2's pointer is not looked at", func(t *testing.T) {
		caseOf{
			cfg:   Config{Namespace: true},
			steps: []Step{Reboot{Cmd: kernel.Restart2, BadArg: true}},
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "status", f.end.Status, kernel.WaitStatus(syscall.SIGHUP))
			wantEqual(t, "argument", f.end.Arg, "")
		})
	}},
	{"5.47 nothing is printed, nothing is shut down", func(t *testing.T) {
		caseOf{cfg: Config{Namespace: true, Reboot: furnished}, steps: []Step{powerOff}}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "said", f.said, nil)
				wantEqual(t, "steps", f.steps, nil)
			})
	}},
}

var returnStatements = []statement{
	{"5.48 the caller ends and the lock stays", func(t *testing.T) {
		caseOf{steps: []Step{halt, Exit{9}}, second: []Step{restart}, kernels: linux26s}.play(
			t, func(t *testing.T, f *fate) {
				wantExit(t, f, 0)
				if !f.lived() || f.Count(Uninterruptible) != 1 {
					t.Errorf("got %+v, %d in D", f.end, f.Count(Uninterruptible))
				}
			})
	}},
	{"5.49 the caller is PID 1", func(t *testing.T) {
		self := func(k kernel.Kernel) { k.RebootSelf(kernel.Halt) }
		single := Config{Reboot: RebootConfig{SingleThreaded: true}}
		caseOf{cfg: single, pid1: self, kernels: linux26s}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Exited)
			wantSaid(t, f, "0 System halted.",
				"0 Kernel panic - not syncing: Attempted to kill init!")
		})
		caseOf{pid1: self, kernels: linux26s}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Stuck)
			wantUnsaid(t, f, "panic")
		})
		caseOf{cfg: Config{Threads: [][]Step{{halt}}}, kernels: linux26s}.play(
			t, func(t *testing.T, f *fate) {
				wantSaid(t, f, "0 System halted.")
				if !f.lived() || len(f.init.others()) != 0 {
					t.Errorf("got %+v with %d threads more", f.end, len(f.init.others()))
				}
			})
	}},
	{"5.50 a power-off that returns", func(t *testing.T) {
		self := func(k kernel.Kernel) { k.RebootSelf(kernel.PowerOff) }
		warned := func(t *testing.T, f *fate, who string) {
			t.Helper()
			if !f.has("kernel/exit.c:806") || !f.has("Comm: "+who+" ") {
				t.Errorf("said %q", f.said)
			}
		}
		single := returning()
		single.Reboot.SingleThreaded = true
		c := caseOf{cfg: single, pid1: self, kernels: append(linux6s, later6s...)}
		c.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Exited)
			warned(t, f, "init")
			wantSaid(t, f, "0 reboot: Power down",
				"0 Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000")
		})
		c.cfg = returning()
		c.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Hung)
			warned(t, f, "init")
			wantUnsaid(t, f, "panic")
		})
		c.pid1, c.steps = nil, []Step{powerOff}
		c.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Hung)
			warned(t, f, "first")
			wantUnsaid(t, f, "panic")
		})
	}},
	{"5.51 pm_power_off that returns", func(t *testing.T) {
		cfg := returningPointer()
		cfg.Reboot.SingleThreaded = true
		self := func(k kernel.Kernel) { k.RebootSelf(kernel.PowerOff) }
		caseOf{cfg: cfg, pid1: self, kernels: append(linux6s, later6s...)}.play(
			t, func(t *testing.T, f *fate) {
				wantHow(t, f, Hung)
				wantUnsaid(t, f, "WARNING")
				wantUnsaid(t, f, "panic")
			})
		caseOf{cfg: cfg, pid1: self, kernels: linux5s}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Exited)
			wantUnsaid(t, f, "WARNING")
			wantSaid(t, f,
				"0 Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000")
		})
		caseOf{cfg: cfg, steps: []Step{powerOff}, kernels: linux5s}.play(
			t, func(t *testing.T, f *fate) {
				wantHow(t, f, Hung)
				wantUnsaid(t, f, "panic")
			})
	}},
	{"5.52 where nothing was stopped", func(t *testing.T) {
		forced := returningPointer()
		forced.Cmdline = "reboot=force"
		for name, cfg := range map[string]Config{
			"linux-3.10-mips-wdt": returningPointer(), "linux-5.10-x86_64": forced,
			"linux-6.12-x86_64": forced,
		} {
			f := caseOf{
				cfg: cfg, steps: []Step{powerOff}, second: []Step{Sleep{10 * time.Second}, Say{"alive"}},
			}.playOn(name)
			wantEqual(t, "ends of both", f.exits, []kernel.WaitStatus{0, 0})
			if !f.lived() || len(f.Console()) != 1 {
				t.Errorf("%s: got %+v, %v", name, f.end, f.Console())
			}
		}
	}},
}

var cadStatements = []statement{
	{"5.53 kernel.ctrl-alt-del", func(t *testing.T) {
		m := New(Config{})
		for _, c := range []struct {
			write, read string
			on          bool
			errno       kernel.Errno
		}{
			{"1", "1\n", true, 0},
			{"0", "0\n", false, 0},
			{"7\n", "7\n", true, 0},
			{"-1", "-1\n", true, 0},
			{"0x10", "16\n", true, 0},
			{"yes", "16\n", true, kernel.EINVAL},
			{"", "16\n", true, kernel.EINVAL},
			{"99999999999", "16\n", true, kernel.EINVAL},
		} {
			e := m.setKnob("kernel/ctrl-alt-del", c.write)
			text, _ := m.knob("kernel/ctrl-alt-del")
			if e != c.errno || text != c.read || m.CadOn() != c.on {
				t.Errorf("%q: got %v, %q, %t", c.write, e, text, m.CadOn())
			}
		}
	}},
	{"5.54 the keys restart by a work item", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: slowDevices}, at: []Action{CtrlAltDel{}, CtrlAltDel{}},
			second: []Step{Sleep{2 * time.Second}, Say{"meanwhile"}}, kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Restarted)
			wantEqual(t, "at", f.end.At, 5*time.Second)
			wantEqual(t, "ways down", len(f.stepsOf("system_state")), 1)
			wantEqual(t, "syncs", f.Machine.counts[callSync], 0)
			if len(f.Console()) != 1 {
				t.Error("processes stood still")
			}
		})
		// The lock is held, and the keys do not ask for it.
		caseOf{
			steps: []Step{halt}, at: []Action{CtrlAltDel{}}, kernels: linux26s,
		}.play(t, func(t *testing.T, f *fate) { wantHow(t, f, Restarted) })
	}},
	{"5.55 the keys send SIGINT", func(t *testing.T) {
		caseOf{
			steps: []Step{Reboot{Cmd: kernel.CadOff}},
			at:    []Action{CtrlAltDel{}},
			pid1: func(k kernel.Kernel) {
				k.RebootSelf(kernel.CadOff)
				until := k.Next(kernel.Never)
				if until != (kernel.Signaled{Signal: kernel.SIGINT}) {
					t.Errorf("PID 1: got %v, want SIGINT", until)
				}
			},
		}.play(t, func(t *testing.T, f *fate) {
			if !f.lived() {
				t.Errorf("end: got %+v", f.end)
			}
		})
	}},
	{"5.56 cad_pid", func(t *testing.T) {
		m := New(Config{Programs: programs(map[string][]Step{
			"p": {Catch{kernel.SIGINT, []Step{Exit{3}}}, Pause{}},
		})})
		press := func() { m.Apply(CtrlAltDel{}) }
		m.Boot(func(k kernel.Kernel) int {
			k.RebootSelf(kernel.CadOff)
			read := func() string {
				b, err := k.Proc("sys/kernel/cad_pid")
				wantErr(t, "cad_pid", err, 0)
				return string(b)
			}
			wantEqual(t, "at first", read(), "1\n")
			wantErr(t, "nobody", k.SetProc("sys/kernel/cad_pid", "99"), kernel.ESRCH)
			wantErr(t, "no number", k.SetProc("sys/kernel/cad_pid", "init"), kernel.EINVAL)
			spawn(t, k, "p")
			wantErr(t, "p", k.SetProc("sys/kernel/cad_pid", "3"), 0)
			until(k, time.Second)
			press()
			wantEqual(t, "p's end", statuses(until(k, 2*time.Second)), []kernel.WaitStatus{3 << 8})
			wantEqual(t, "afterwards", read(), "3\n")
			press()
			if ev := k.Next(3 * time.Second); ev != (kernel.Expired{}) {
				t.Errorf("keys for nobody: got %v", ev)
			}
			return 0
		})
	}},
}

// helpers are programs that the kernel can start.
func helpers(steps ...Step) Config {
	return Config{Programs: map[string]Program{
		"/sbin/poweroff": {Steps: steps}, "/sbin/reboot": {Steps: steps},
	}}
}

var orderlyStatements = []statement{
	{"5.57 orderly_poweroff starts a program", func(t *testing.T) {
		m := New(helpers(Say{"for nobody"}, Sleep{time.Second}, Exit{4}))
		m.At(time.Second, OrderlyPowerOff{Force: true})
		m.Boot(func(k kernel.Kernel) int {
			until(k, 1500*time.Millisecond)
			p, ok := m.Process(3)
			if !ok || p.PPID != 2 || p.PGID != 0 || p.SID != 0 || p.Name != "poweroff" {
				t.Errorf("process 3: got %+v", p)
			}
			wantEqual(t, "reaped by PID 1", until(k, 10*time.Second), nil)
			if p, ok := m.Process(3); ok {
				t.Errorf("nobody has reaped %+v", p)
			}
			return 0
		})
		wantEqual(t, "console", m.Console(), nil)
		wantEqual(t, "state", m.SystemState(), SystemRunning)
	}},
	{"5.57 another program", func(t *testing.T) {
		cfg := Config{Programs: map[string]Program{"/bin/off": {Main: func(argv []string) []Step {
			return []Step{WriteFile{"/argv", strings.Join(argv, "|")}}
		}}}}
		caseOf{
			cfg: cfg, at: []Action{OrderlyPowerOff{}},
			pid1: func(k kernel.Kernel) {
				wantErr(t, "SetProc", k.SetProc("sys/kernel/poweroff_cmd", "/bin/off  now -f\n"), 0)
			},
		}.play(t, func(t *testing.T, f *fate) {
			text, _ := f.File("/argv")
			wantEqual(t, "argv", text, "/bin/off|now|-f")
		})
	}},
	{"5.58 it cannot be started", func(t *testing.T) {
		for name, p := range map[string]*Program{
			"absent": nil, "not executable": {NotExecutable: true}, "text": {Text: true},
		} {
			cfg := Config{Reboot: slowDevices}
			if p != nil {
				cfg.Programs = map[string]Program{"/sbin/poweroff": *p}
			}
			c := caseOf{cfg: cfg, at: []Action{OrderlyPowerOff{Force: true}}, kernels: modern}
			c.play(t, func(t *testing.T, f *fate) {
				wantHow(t, f, PoweredOff)
				wantEqual(t, name, f.end.At, 5*time.Second)
				wantSaid(t, f, "4 reboot: Failed to start orderly shutdown: forcing the issue",
					"4 Emergency Sync complete", "0 reboot: Power down")
			})
			c.at = []Action{OrderlyPowerOff{}}
			c.play(t, func(t *testing.T, f *fate) {
				if !f.lived() || len(f.said) == 0 || !strings.Contains(f.said[0], "Attempted to kill init") {
					t.Errorf("%s: got %+v, %q", name, f.end, f.said)
				}
			})
		}
	}},
	{"5.58 it is killed while it is loaded", func(t *testing.T) {
		caseOf{
			cfg: Config{Programs: map[string]Program{"/sbin/poweroff": {Load: 10 * time.Second}}},
			at:  []Action{OrderlyPowerOff{Force: true}},
			pid1: func(k kernel.Kernel) {
				until(k, 3*time.Second)
				k.KillAll(kernel.SIGKILL)
			},
		}.play(t, func(t *testing.T, f *fate) { wantHow(t, f, PoweredOff) })
	}},
	{"5.59 orderly_reboot", func(t *testing.T) {
		caseOf{at: []Action{OrderlyReboot{}}, kernels: modern}.play(
			t, func(t *testing.T, f *fate) {
				wantHow(t, f, Restarted)
				wantSaid(t, f, "4 reboot: Failed to start orderly reboot: forcing the issue",
					"0 reboot: Restarting system")
			})
		caseOf{cfg: helpers(restart), at: []Action{OrderlyReboot{}}}.play(
			t, func(t *testing.T, f *fate) {
				wantHow(t, f, Restarted)
				wantUnsaid(t, f, "orderly")
			})
	}},
	{"5.60 a program that does nothing", func(t *testing.T) {
		caseOf{cfg: helpers(Exit{1}), at: []Action{OrderlyPowerOff{Force: true}, OrderlyReboot{}}}.play(
			t, func(t *testing.T, f *fate) {
				if !f.lived() {
					t.Errorf("end: got %+v", f.end)
				}
			})
	}},
	{"5.61 it goes down itself while another way hangs", func(t *testing.T) {
		cfg := helpers(Pause{})
		cfg.Reboot.Devices = []Device{{Name: "first", Driver: "d", Takes: 5 * time.Second}}
		caseOf{cfg: cfg, steps: []Step{halt}, at: []Action{OrderlyPowerOff{Force: true}}}.play(
			t, func(t *testing.T, f *fate) {
				wantSaid(t, f, "4 reboot: Failed to start orderly shutdown: forcing the issue")
				wantEqual(t, "states", f.stepsOf("system_state"), []string{"halt", "power off"})
				wantHow(t, f, Halted)
			})
	}},
	{"5.62 the command", func(t *testing.T) {
		m := New(Config{})
		long := "/bin/" + strings.Repeat("x", 300)
		wantEqual(t, "errno", m.setKnob("kernel/poweroff_cmd", long), kernel.Errno(0))
		text, _ := m.knob("kernel/poweroff_cmd")
		wantEqual(t, "text", text, long[:255]+"\n")
		caseOf{
			cfg: helpers(Pause{}), at: []Action{OrderlyPowerOff{Force: true}},
			pid1: func(k kernel.Kernel) { k.SetProc("sys/kernel/poweroff_cmd", "") },
		}.play(t, func(t *testing.T, f *fate) { wantHow(t, f, PoweredOff) })
	}},
	{"5.63 a power-off without a method", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: RebootConfig{NoPowerOff: true}}, kernels: x86s,
			at: []Action{OrderlyPowerOff{Force: true}}, second: []Step{Sleep{9 * time.Second}, restart},
		}.play(t, func(t *testing.T, f *fate) {
			// The lock was not taken, so the next call of reboot(2) works.
			wantSaid(t, f, "0 reboot: Power down")
			wantHow(t, f, Restarted)
		})
	}},
	{"5.64 hw_protection_shutdown", func(t *testing.T) {
		hot := HWProtection{Reason: "Temperature too high"}
		c := caseOf{cfg: helpers(powerOff), at: []Action{hot, hot}, kernels: append(linux6s, later6s...)}
		c.play(t, func(t *testing.T, f *fate) {
			line := "0 reboot: HARDWARE PROTECTION shutdown (Temperature too high)"
			wantEqual(t, "said", f.said[:2], []string{line, line})
			wantHow(t, f, PoweredOff)
			wantEqual(t, "helpers", f.stepsOf("usermodehelper_disable"), []string{""})
		})
		c.cfg = Config{}
		c.play(t, func(t *testing.T, f *fate) { wantHow(t, f, PoweredOff) })
	}},
	{"5.65 its time is over", func(t *testing.T) {
		c := caseOf{
			cfg: helpers(Pause{}), kernels: linux6s,
			at: []Action{HWProtection{Reason: "hot", After: 10 * time.Second}},
		}
		c.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 reboot: Hardware protection timed-out. Trying forced poweroff",
				"0 reboot: Power down")
			wantHow(t, f, PoweredOff)
			wantEqual(t, "at", f.end.At, 12*time.Second)
		})
		c.cfg.Reboot.NoPowerOff = true
		c.kernels = linux6s[:1]
		c.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 reboot: Hardware protection timed-out. Trying forced poweroff",
				"0 reboot: Hardware protection shutdown failed. Trying emergency restart")
			wantHow(t, f, Restarted)
		})
		c.at = []Action{HWProtection{Reason: "hot"}}
		c.play(t, func(t *testing.T, f *fate) {
			if !f.lived() {
				t.Errorf("end: got %+v", f.end)
			}
		})
	}},
	{"5.66 7.2 can restart instead", func(t *testing.T) {
		cfg := helpers(Pause{})
		cfg.Cmdline = "hw_protection=reboot"
		caseOf{
			cfg: cfg, kernels: later6s[1:], at: []Action{HWProtection{Reason: "hot", After: time.Second}},
		}.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 reboot: HARDWARE PROTECTION reboot (hot)",
				"0 reboot: Hardware protection timed-out. Trying forced reboot")
			wantHow(t, f, Restarted)
		})
		cfg.Cmdline = ""
		caseOf{
			cfg: cfg, kernels: later6s[1:], at: []Action{HWProtection{Reason: "hot", After: time.Second}},
		}.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "0 reboot: HARDWARE PROTECTION shutdown (hot)",
				"0 reboot: Hardware protection timed-out. Trying forced shutdown")
			wantHow(t, f, PoweredOff)
		})
	}},
}

// rebootTexts are the files of /sys/kernel/reboot with their texts.
func rebootTexts(m *Machine) string {
	var text []string
	for _, name := range []string{"mode", "type", "force", "cpu", "hw_protection"} {
		if s, e := m.rebootKnob(name); e == 0 {
			text = append(text, name+"="+strings.TrimSuffix(s, "\n"))
		}
	}
	return strings.Join(text, " ")
}

var knobStatements = []statement{
	{"5.67 the files", func(t *testing.T) {
		for name, want := range map[string]string{
			"linux-5.10-x86_64": "",
			"linux-6.1-x86_64":  "mode=cold type=acpi force=0 cpu=0",
			"linux-6.1-arm64":   "mode=cold cpu=0",
			"linux-7.2-x86_64":  "mode=cold type=acpi force=0 cpu=0 hw_protection=shutdown",
		} {
			wantEqual(t, name, rebootTexts(New(Config{Kernel: name})), want)
		}
		wantEqual(t, "arm", New(Config{Kernel: "linux-3.10-arm"}).reboot.mode, ModeHard)
		cfg := Config{Mounts: []Mount{
			{Type: "tmpfs", Target: "/"}, {Type: "sysfs", Target: "/sys"},
		}}
		New(cfg).Boot(func(k kernel.Kernel) int {
			const file = "/sys/kernel/reboot/mode"
			wantErr(t, "WriteAt", k.WriteAt(file, []byte("warm\n"), 0), 0)
			wantErr(t, "WriteAt", k.WriteAt(file, []byte("tepid\n"), 0), kernel.EINVAL)
			b, err := k.ReadFile(file)
			wantErr(t, "ReadFile", err, 0)
			wantEqual(t, "mode", string(b), "warm\n")
			return 0
		})
		wantEqual(t, "undefined", ModeUndefined.String(), "undefined")
	}},
	{"5.68 writing them", func(t *testing.T) {
		m := New(Config{Kernel: "linux-7.2-x86_64"})
		for _, c := range []struct {
			name, value string
			errno       kernel.Errno
			want        string
		}{
			{"mode", "warm\n", 0, "mode=warm"},
			{"mode", "hardly", 0, "mode=hard"},
			{"mode", "war", kernel.EINVAL, "mode=hard"},
			{"mode", "undefined", kernel.EINVAL, "mode=hard"},
			{"mode", "gpio", 0, "mode=gpio"},
			{"mode", "soft", 0, "mode=soft"},
			{"type", "triple", 0, "type=triple"},
			{"type", "pci\n", 0, "type=pci"},
			{"type", "cf9", kernel.EINVAL, "type=pci"},
			{"force", "yes", 0, "force=1"},
			{"force", "off", 0, "force=0"},
			{"force", "on", 0, "force=1"},
			{"force", "2", kernel.EINVAL, "force=1"},
			{"force", "", kernel.EINVAL, "force=1"},
			{"hw_protection", "reboot", 0, "hw_protection=reboot"},
			{"hw_protection", "restart", kernel.EINVAL, "hw_protection=reboot"},
			{"pid", "1", kernel.ENOENT, ""},
		} {
			wantEqual(t, c.name+" "+c.value, m.setRebootKnob(m.init, c.name, c.value), c.errno)
			if !strings.Contains(rebootTexts(m), c.want) {
				t.Errorf("%s %q: got %q, want %q", c.name, c.value, rebootTexts(m), c.want)
			}
		}
		m = New(lacking(CapSysBoot))
		wantEqual(t, "errno", m.setRebootKnob(m.init, "mode", "nonsense"), kernel.EPERM)
	}},
	{"5.69 a CPU that cannot be", func(t *testing.T) {
		m := New(Config{Reboot: RebootConfig{CPUs: 4}})
		for value, want := range map[string]kernel.Errno{
			"3\n": 0, "0x2": 0, "4": syscall.ERANGE, "-1": kernel.EINVAL, "": kernel.EINVAL,
		} {
			wantEqual(t, value, m.setRebootKnob(m.init, "cpu", value), want)
		}
	}},
	{"5.70 reboot=", func(t *testing.T) {
		for text, want := range map[string]string{
			"w":                  "mode=warm type=acpi force=0 cpu=0",
			"c,k":                "mode=cold type=kbd force=0 cpu=0",
			"hard,triple,force":  "mode=hard type=triple force=1 cpu=0",
			"soft,bios":          "mode=soft type=bios force=0 cpu=0",
			"gpio,efi":           "mode=gpio type=efi force=0 cpu=0",
			"pci,warm,cold":      "mode=cold type=pci force=0 cpu=0",
			",,x,acpi":           "mode=cold type=acpi force=0 cpu=0",
			"":                   "mode=cold type=acpi force=0 cpu=0",
			"w reboot=k":         "mode=warm type=kbd force=0 cpu=0",
			"panic_warm,smp1,s2": "mode=cold type=acpi force=0 cpu=2",
		} {
			m := New(Config{Cmdline: "quiet reboot=" + text, Reboot: RebootConfig{CPUs: 4}})
			wantEqual(t, text, rebootTexts(m), want)
		}
	}},
	{"5.71 a CPU in reboot=", func(t *testing.T) {
		for text, want := range map[string]int{"s1": 1, "smp3": 3, "s": 0, "smp": 0, "s9": 0, "smp4": 0} {
			m := New(Config{Cmdline: "reboot=" + text, Reboot: RebootConfig{CPUs: 4}})
			wantEqual(t, text, m.reboot.cpu, want)
		}
		m := New(Config{Cmdline: "reboot=s9"})
		wantEqual(t, "line", m.Log()[0], LogLine{Level: 3, Kernel: true, Shown: true, Text: "reboot: " +
			"Ignoring the CPU number in reboot= option. CPU 9 exceeds possible cpu number 1"})
		old := New(Config{Cmdline: "reboot=s9", Kernel: "linux-4.19-x86_64"})
		wantEqual(t, "in 4.19", old.reboot.cpu, 9)
	}},
	{"5.72 panic_", func(t *testing.T) {
		m := New(Config{Cmdline: "reboot=warm,panic_cold"})
		wantEqual(t, "mode", m.reboot.mode, ModeWarm)
		wantEqual(t, "panic mode", m.reboot.panicMode, ModeCold)
		old := New(Config{Cmdline: "reboot=warm,panic_cold", Kernel: "linux-4.19-x86_64"})
		wantEqual(t, "panic mode in 4.19", old.reboot.panicMode, ModeUndefined)
		wantEqual(t, "type in 4.19", old.reboot.method, ResetCF9) // for its first letter
	}},
	{"5.73 force stops nothing", func(t *testing.T) {
		cfg := returning()
		c := caseOf{cfg: cfg, steps: []Step{powerOff}, kernels: linux6s[:1]}
		c.play(t, func(t *testing.T, f *fate) { wantHow(t, f, Hung) })
		c.pid1 = func(k kernel.Kernel) {}
		c.cfg.Cmdline = "reboot=force"
		c.play(t, func(t *testing.T, f *fate) { wantExit(t, f, 0) })
	}},
}

// nextBoot is the next boot, or the test's end.
func nextBoot(t *testing.T, m *Machine, on PowerOn) *Machine {
	t.Helper()
	n, err := m.NextBoot(on)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// end lets a machine end by a step, and leaves something in its memories.
func end(cfg Config, step Step, at ...Action) *Machine {
	cfg.Programs = programs(map[string][]Step{"p": {Sleep{time.Second}, step}})
	m := New(cfg)
	m.At(2*time.Second, at...)
	*m.Persistent() = Persistent{
		Memory:     map[string][]byte{"ramoops": []byte("Panic#1")},
		Flash:      map[string][]byte{"efi": []byte("dump")},
		BootStatus: 0x20,
	}
	m.Boot(func(k kernel.Kernel) int {
		k.Spawn(command("p"))
		until(k, time.Minute)
		return 0
	})
	return m
}

var afterStatements = []statement{
	{"5.74 memory survives what does not take its power", func(t *testing.T) {
		for _, c := range []struct {
			name string
			cfg  Config
			step Step
			at   []Action
			by   By
			kept bool
		}{
			{"restart", Config{}, restart, nil, ByItself, true},
			{"kexec", Config{Reboot: RebootConfig{Image: ImageLoaded}}, Reboot{Cmd: Kexec}, nil, ByItself, true},
			{"power-off", Config{}, powerOff, nil, ByButton, false},
			{"halt and reset", Config{}, halt, nil, ByReset, true},
			{"halt and button", Config{}, halt, nil, ByButton, false},
			{"halt and power cut", Config{}, halt, nil, ByCut, false},
			{"power cut", Config{}, Pause{}, []Action{CutPower{}}, ByItself, false},
			{"reset button", Config{}, Pause{}, []Action{PressReset{}}, ByItself, true},
			{"firmware that clears", Config{Firmware: Firmware{ClearsMemory: true}}, restart, nil, ByItself, false},
		} {
			p := nextBoot(t, end(c.cfg, c.step, c.at...), PowerOn{By: c.by}).Persistent()
			if (p.Memory != nil) != c.kept || string(p.Flash["efi"]) != "dump" {
				t.Errorf("%s: got %+v", c.name, *p)
			}
		}
	}},
	{"5.75 port CF9", func(t *testing.T) {
		for cmdline, kept := range map[string]bool{
			"reboot=p": false, "reboot=p,w": true, "reboot=t": true, "reboot=p,hard": false,
		} {
			m := nextBoot(t, end(Config{Cmdline: cmdline}, restart), PowerOn{})
			if (m.Persistent().Memory != nil) != kept {
				t.Errorf("%s: got %q", cmdline, m.Persistent().Memory)
			}
		}
	}},
	{"5.76 the clock goes on", func(t *testing.T) {
		epoch := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		cfg := Config{Epoch: epoch, Firmware: Firmware{ResetTime: 5 * time.Second}}
		m := end(cfg, Pause{}, JumpWall{time.Hour}, CutPower{})
		n := nextBoot(t, m, PowerOn{After: time.Minute})
		wantEqual(t, "time of day", n.cfg.Epoch, epoch.Add(67*time.Second))
		wantEqual(t, "boot", n.Boots(), 2)
		cfg.Firmware.NoClock = true
		n = nextBoot(t, end(cfg, restart), PowerOn{After: time.Minute})
		wantEqual(t, "without a clock", n.cfg.Epoch, epoch)
		held := nextBoot(t, end(Config{Epoch: epoch}, halt), PowerOn{By: ByButton})
		wantEqual(t, "button held", held.cfg.Epoch, epoch.Add(5*time.Second+300*time.Microsecond))
	}},
	{"5.77 what is gone", func(t *testing.T) {
		cfg := Config{Reboot: RebootConfig{Image: ImageLoaded}}
		m := end(cfg, restart)
		m.setKnob("kernel/panic", "10")
		n := nextBoot(t, m, PowerOn{Change: func(c *Config) { c.Cmdline = "single" }})
		n.Boot(func(k kernel.Kernel) int {
			for name, want := range map[string]string{
				"sys/kernel/panic": "0\n", "sys/kernel/ctrl-alt-del": "1\n", "cmdline": "single\n",
			} {
				b, err := k.Proc(name)
				wantErr(t, name, err, 0)
				wantEqual(t, name, string(b), want)
			}
			wantEqual(t, "processes", n.Processes(), nil)
			e, err := callAndWait(k, kernel.Reboot{Cmd: Kexec})
			wantErr(t, "Call", err, 0)
			wantEqual(t, "KEXEC", e.Status, kernel.WaitStatus(kernel.EINVAL)<<8)
			return 0
		})
		wantEqual(t, "state", n.SystemState(), SystemRunning)
	}},
	{"5.78 what the disks have", func(t *testing.T) {
		const file = "/data/f"
		for _, c := range []struct {
			name     string
			volatile bool
			sync     bool
			step     Step
			at       []Action
			by       By
			kept     bool
		}{
			{"restart", false, false, restart, nil, ByItself, false},
			{"sync and restart", false, true, restart, nil, ByItself, true},
			{"power-off", false, false, powerOff, nil, ByButton, false},
			{"power cut", false, false, Pause{}, []Action{CutPower{}}, ByItself, false},
			{"sync and power cut", true, true, Pause{}, []Action{CutPower{}}, ByItself, true},
			{"written, reset", true, false, Sleep{time.Hour}, []Action{PressReset{}}, ByItself, true},
			{"written, power cut", true, false, Sleep{time.Hour}, []Action{CutPower{}}, ByItself, false},
			{"written, no cache, power cut", false, false, Sleep{time.Hour}, []Action{CutPower{}}, ByItself, true},
			{"written, power-off", true, false, Sleep{time.Hour}, []Action{OrderlyPowerOff{Force: true}}, ByButton, true},
			{"written, restart", true, false, Sleep{time.Hour}, []Action{CtrlAltDel{}}, ByItself, true},
		} {
			steps := []Step{WriteFile{file, "news"}}
			if c.sync {
				steps = append(steps, Sync{})
			}
			m := New(Config{
				Disks:    []*Disk{{Name: "vda", Type: "ext4", Volatile: c.volatile}},
				Mounts:   []Mount{{Source: "/dev/vda", Target: "/data", Type: "ext4"}},
				Programs: programs(map[string][]Step{"p": append(steps, c.step)}),
			})
			// After 30 s the kernel writes what is dirty.
			when := 3 * time.Second
			if strings.HasPrefix(c.name, "written") {
				when = 40 * time.Second
			}
			m.At(when, c.at...)
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Minute)
				return 0
			})
			n := nextBoot(t, m, PowerOn{By: c.by})
			text, ok := n.File(file)
			if ok != c.kept || ok && text != "news" {
				t.Errorf("%s: got %q, %t, want it to be there: %t", c.name, text, ok, c.kept)
			}
		}
	}},
	{"5.79 what a serial port has not sent", func(t *testing.T) {
		for last, step := range map[string]Step{
			"reboot: Restarting system": restart, "reboot: System halted": halt,
			"reboot: Power down": powerOff,
		} {
			words := strings.Repeat("x", 100)
			m := New(Config{
				Terminals: map[string]Terminal{"/dev/ttyS0": {Baud: 9600}},
				Programs:  programs(map[string][]Step{"p": {Say{words}, Sleep{50 * time.Millisecond}, step}}),
			})
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Minute)
				return 0
			})
			// 48 bytes take 50 ms at 9600 baud, and go by sixteen.
			wantEqual(t, "sent before "+last, m.ConsoleText(), words[:48]+"\n")
			said := func(l Line) bool { return strings.HasSuffix(l.Text, last) }
			wantEqual(t, "the kernel's "+last, slices.ContainsFunc(m.Screen(), said), true)
		}
	}},
}

func TestMachinesThatDoNotComeBack(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		step Step
		at   []Action
		by   By
		want string
	}{
		{"halted", Config{}, halt, nil, ByItself, "has halted"},
		{"powered off", Config{}, powerOff, nil, ByItself, "has powered off"},
		{"reset while off", Config{}, powerOff, nil, ByReset, "is off"},
		{"hung", Config{Firmware: stubborn}, restart, nil, ByItself, "has hung"},
		{"stays off", Config{Firmware: Firmware{StaysOff: true}}, Pause{}, []Action{CutPower{}}, ByItself, "stays off"},
		{"stays off too", Config{Firmware: Firmware{StaysOff: true}}, halt, nil, ByCut, "stays off"},
		{"panicked", Config{}, Pause{}, nil, ByItself, "has exited"},
		{"namespace", Config{Namespace: true}, restart, nil, ByItself, "namespace"},
	} {
		_, err := end(c.cfg, c.step, c.at...).NextBoot(PowerOn{By: c.by})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := New(Config{}).NextBoot(PowerOn{}); err == nil {
		t.Error("next boot of a machine that has not ended: got no error")
	}
}

func TestPanicRestartsByItself(t *testing.T) {
	for _, c := range []struct {
		kernel, panic string
		after         time.Duration // -1: not at all
	}{
		{"", "10", 10 * time.Second},
		{"", "-1", 0},
		{"", "0", -1},
		{"linux-2.6.24-i386", "-1", -1},
		{"linux-2.6.24-i386", "5", 5 * time.Second},
	} {
		m := New(Config{Kernel: c.kernel})
		m.Boot(func(k kernel.Kernel) int {
			k.SetProc("sys/kernel/panic", c.panic)
			return 1
		})
		n, err := m.NextBoot(PowerOn{})
		if (err == nil) != (c.after >= 0) {
			t.Errorf("%+v: got %v", c, err)
		}
		if err == nil && !n.cfg.Epoch.Equal(time.Unix(0, 0).Add(c.after)) {
			t.Errorf("%+v: back at %v", c, n.cfg.Epoch)
		}
	}
}

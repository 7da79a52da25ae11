package simkernel

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// fate is what became of a machine.
type fate struct {
	*Machine
	end   End
	exits []kernel.WaitStatus // of the processes that PID 1 has reaped
	steps []string            // of the ways down
	said  []string            // by the kernel
}

// lived reports whether PID 1 was there to the end of the minute.
func (f *fate) lived() bool { return f.end.How == Exited && f.end.At == time.Minute }

// stepsOf are the steps of some names.
func (f *fate) stepsOf(names ...string) []string {
	var found []string
	for _, s := range f.steps {
		name, rest, _ := strings.Cut(s, ": ")
		if slices.Contains(names, name) {
			found = append(found, rest)
		}
	}
	return found
}

// stages are the names of the steps, each once in a row.
func (f *fate) stages() []string {
	var found []string
	for _, s := range f.steps {
		name, _, _ := strings.Cut(s, ": ")
		found = append(found, name)
	}
	return slices.Compact(found)
}

// caseOf is a machine on which programs run until the end of a minute.
type caseOf struct {
	cfg     Config
	steps   []Step // of the first program
	second  []Step // of another one, which starts a second later
	at      []Action
	kernels []string // on which it is the same; the first one if there are none
	pid1    func(k kernel.Kernel)
}

// play plays a case, and returns what became of the machine on each of its kernels.
func (c caseOf) play(t *testing.T, check func(t *testing.T, f *fate)) {
	t.Helper()
	kernels := c.kernels
	if len(kernels) == 0 {
		kernels = []string{""}
	}
	for _, name := range kernels {
		t.Run(name, func(t *testing.T) {
			t.Helper()
			check(t, c.playOn(name))
		})
	}
}

func (c caseOf) playOn(name string) *fate {
	cfg, f := c.cfg, &fate{}
	cfg.Kernel = name
	cfg.Until = time.Hour
	cfg.Reboot.Trace = func(_ time.Duration, step, what string) {
		f.steps = append(f.steps, step+": "+what)
	}
	cfg.Programs = map[string]Program{
		"/bin/first":  {Steps: c.steps},
		"/bin/second": {Steps: append([]Step{Sleep{time.Second}}, c.second...)},
	}
	for path, p := range c.cfg.Programs {
		cfg.Programs[path] = p
	}
	f.Machine = New(cfg)
	f.At(2*time.Second, c.at...)
	f.end = f.Boot(func(k kernel.Kernel) int {
		if c.pid1 != nil {
			c.pid1(k)
		}
		if c.steps != nil {
			k.Spawn(command("first"))
		}
		if c.second != nil {
			k.Spawn(command("second"))
		}
		f.exits = statuses(until(k, time.Minute))
		return 0
	})
	for _, l := range f.Log() {
		if l.Kernel {
			f.said = append(f.said, fmt.Sprint(l.Level, " ", l.Text))
		}
	}
	return f
}

// wantExit checks the one process's end.
func wantExit(t *testing.T, f *fate, errno kernel.Errno) {
	t.Helper()
	wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{kernel.WaitStatus(errno) << 8})
}

func wantHow(t *testing.T, f *fate, how How) {
	t.Helper()
	if f.end.How != how {
		t.Errorf("end: got %v (%+v), want %v\n%q\n%q", f.end.How, f.end, how, f.steps, f.said)
	}
}

// wantSaid checks that the kernel has said these lines, in this order and perhaps others besides.
func wantSaid(t *testing.T, f *fate, lines ...string) {
	t.Helper()
	left := lines
	for _, s := range f.said {
		if len(left) > 0 && s == left[0] {
			left = left[1:]
		}
	}
	if len(left) > 0 {
		t.Errorf("the kernel has not said %q, but\n%q", left, f.said)
	}
}

func wantUnsaid(t *testing.T, f *fate, part string) {
	t.Helper()
	for _, s := range f.said {
		if strings.Contains(s, part) {
			t.Errorf("the kernel has said %q", s)
		}
	}
}

// Sets of kernels.
var (
	linux26s = []string{"linux-2.6.17-i386", "linux-2.6.24-i386"}
	linux3s  = []string{"linux-3.10-arm", "linux-3.10-mips-wdt"}
	linux4s  = []string{"linux-4.19-x86_64"}
	linux5s  = []string{"linux-5.10-x86_64", "linux-5.10-arm64"}
	linux6s  = []string{"linux-6.1-x86_64", "linux-6.1-arm64"}
	later6s  = []string{"linux-6.12-x86_64", "linux-7.2-x86_64"}
	modern   = slices.Concat(linux5s, linux6s, later6s)
	x86s     = []string{
		"linux-4.19-x86_64", "linux-5.10-x86_64", "linux-6.1-x86_64", "linux-6.12-x86_64",
		"linux-7.2-x86_64",
	}
	arms = []string{"linux-3.10-arm", "linux-5.10-arm64", "linux-6.1-arm64"}
)

var (
	restart  = Reboot{Cmd: kernel.Restart}
	halt     = Reboot{Cmd: kernel.Halt}
	powerOff = Reboot{Cmd: kernel.PowerOff}
)

// slowDevices is a machine whose devices take three seconds.
var slowDevices = RebootConfig{Devices: []Device{{Name: "sda", Driver: "sd", Takes: 3 * time.Second}}}

// furnished has one of everything.
var furnished = RebootConfig{
	Notifiers:       []Notifier{{Name: "notified"}},
	Devices:         []Device{{Name: "sda", Driver: "sd"}},
	Syscore:         []Syscore{{Name: "clock"}},
	RestartPrepare:  []Notifier{{Name: "restart"}},
	PowerOffPrepare: []Notifier{{Name: "power-off"}},
}

func lacking(c Capabilities) Config { return Config{Privileges: Privileges{Without: c}} }

// statement is a statement of docs/kernel.md, and its test.
type statement struct {
	name string
	test func(t *testing.T)
}

func TestRebootStatements(t *testing.T) {
	for _, s := range slices.Concat(
		callStatements, wayStatements, machineStatements, namespaceStatements, returnStatements,
		cadStatements, orderlyStatements, knobStatements, afterStatements,
	) {
		t.Run(s.name, s.test)
	}
}

// TestEveryStatementHasATest holds docs/kernel.md against these tables.
func TestEveryStatementHasATest(t *testing.T) {
	wantTested(t, 70, `5\.\d+`,
		callStatements, wayStatements, machineStatements, namespaceStatements, returnStatements,
		cadStatements, orderlyStatements, knobStatements, afterStatements)
}

// wantTested holds the statements of docs/kernel.md whose numbers match against tables, and wants to
// find some number of them at least.
func wantTested(t *testing.T, least int, numbers string, tables ...[]statement) {
	t.Helper()
	page, err := os.ReadFile("../../docs/kernel.md")
	if err != nil {
		t.Fatal(err)
	}
	var there, tested []string
	for _, m := range regexp.MustCompile(`(?m)^- \*\*(`+numbers+`)\*\* `).FindAllSubmatch(page, -1) {
		there = append(there, string(m[1]))
	}
	for _, s := range slices.Concat(tables...) {
		number, _, _ := strings.Cut(s.name, " ")
		tested = append(tested, number)
	}
	if len(there) < least {
		t.Errorf("%d statements, want %d at least: are they found?", len(there), least)
	}
	wantEqual(t, "statements with a test", slices.Compact(tested), there)
}

var callStatements = []statement{
	{"5.1 the permission comes first", func(t *testing.T) {
		caseOf{cfg: lacking(CapSysBoot), steps: []Step{Reboot{Magic1: 1}}, kernels: Kernels()}.play(
			t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EPERM) })
	}},
	{"5.1 a user who has given it up", func(t *testing.T) {
		caseOf{steps: []Step{SetUID{1000}, restart}}.play(
			t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EPERM) })
	}},
	{"5.2 the magic numbers", func(t *testing.T) {
		for _, c := range []struct {
			one, two uint32
			errno    kernel.Errno
		}{
			{RebootMagic1, RebootMagic2, 0},
			{RebootMagic1, RebootMagic2A, 0},
			{RebootMagic1, RebootMagic2B, 0},
			{RebootMagic1, RebootMagic2C, 0},
			{RebootMagic1, 0x12345678, kernel.EINVAL},
			{RebootMagic2, RebootMagic2, kernel.EINVAL},
			{RebootMagic2, RebootMagic1, kernel.EINVAL},
		} {
			step := Reboot{Cmd: kernel.CadOff, Magic1: c.one, Magic2: c.two}
			caseOf{steps: []Step{step}}.play(t, func(t *testing.T, f *fate) {
				wantExit(t, f, c.errno)
				if f.CadOn() != (c.errno != 0) {
					t.Errorf("%#x, %#x: CadOn %t", c.one, c.two, f.CadOn())
				}
			})
		}
	}},
	{"5.3 the namespace comes after the magic numbers", func(t *testing.T) {
		caseOf{
			cfg:   Config{Namespace: true},
			steps: []Step{Reboot{Cmd: kernel.Restart, Magic2: 1}},
		}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EINVAL) })
	}},
	{"5.4 without a method a power-off is a halt", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: RebootConfig{NoPowerOff: true}}, steps: []Step{powerOff},
			kernels: slices.Concat([]string{"linux-3.10-arm"}, linux4s, modern),
		}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Halted)
			wantEqual(t, "action", f.stepsOf("reboot_notifier_list"), []string{"action 2"})
		})
		caseOf{cfg: Config{Cmdline: "quiet acpi=off"}, steps: []Step{powerOff}}.play(
			t, func(t *testing.T, f *fate) { wantHow(t, f, Halted) })
	}},
	{"5.5 6.12 says so", func(t *testing.T) {
		no := Config{Reboot: RebootConfig{NoPowerOff: true}}
		said := "reboot: Power off not available: System halted instead"
		caseOf{cfg: no, steps: []Step{powerOff}, kernels: later6s}.play(
			t, func(t *testing.T, f *fate) { wantEqual(t, "text", f.end.Text, said) })
		caseOf{cfg: no, steps: []Step{powerOff}}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "text", f.end.Text, "reboot: System halted")
		})
		no.Reboot.Devices = slowDevices.Devices
		caseOf{cfg: no, steps: []Step{halt}, second: []Step{powerOff}, kernels: later6s}.play(
			t, func(t *testing.T, f *fate) { wantEqual(t, "text", f.end.Text, said) })
	}},
	{"5.6 every command waits for the lock", func(t *testing.T) {
		for _, cmd := range []kernel.RebootCmd{kernel.CadOff, kernel.Restart, 77, Kexec, SWSuspend} {
			caseOf{
				cfg:    Config{Reboot: RebootConfig{Devices: []Device{{Driver: "d", Takes: kernel.Never}}}},
				steps:  []Step{halt},
				second: []Step{Reboot{Cmd: cmd}},
				at:     []Action{Signal{Name: "second", Signals: []kernel.Signal{kernel.SIGKILL}}},
			}.play(t, func(t *testing.T, f *fate) {
				if !f.lived() || f.Count(Uninterruptible) != 2 || !f.CadOn() {
					t.Errorf("%v: got %+v, %d in D", cmd, f.end, f.Count(Uninterruptible))
				}
			})
		}
	}},
	{"5.6 PID 1 waits for the lock too", func(t *testing.T) {
		caseOf{
			cfg:   Config{Reboot: RebootConfig{Devices: []Device{{Driver: "d", Takes: kernel.Never}}}},
			steps: []Step{halt},
			pid1: func(k kernel.Kernel) {
				k.Spawn(command("first"))
				until(k, time.Second)
				k.RebootSelf(kernel.CadOff)
			},
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "text", f.end.Text, "waiting in RebootSelf for ever")
		})
	}},
	{"5.7 an unknown command", func(t *testing.T) {
		caseOf{steps: []Step{Reboot{Cmd: 77}}, second: []Step{restart}, kernels: Kernels()}.play(
			t, func(t *testing.T, f *fate) {
				wantHow(t, f, Restarted)
				wantEqual(t, "calls", f.Machine.counts[callReboot], 2)
			})
		caseOf{steps: []Step{Reboot{Cmd: 77}}}.play(
			t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EINVAL) })
	}},
	{"5.8 CAD_ON and CAD_OFF", func(t *testing.T) {
		caseOf{steps: []Step{
			Reboot{Cmd: kernel.CadOff}, Reboot{Cmd: kernel.CadOn}, Reboot{Cmd: kernel.CadOff}, Exit{7},
		}}.play(t, func(t *testing.T, f *fate) {
			wantExit(t, f, 7)
			if f.CadOn() {
				t.Error("CadOn after CAD_OFF")
			}
		})
	}},
	{"5.9 a pointer to nowhere", func(t *testing.T) {
		caseOf{steps: []Step{Reboot{Cmd: kernel.Restart2, BadArg: true}}}.play(
			t, func(t *testing.T, f *fate) { wantExit(t, f, syscall.EFAULT) })
		caseOf{
			steps:  []Step{Reboot{Cmd: kernel.Restart2, BadArg: true}},
			second: []Step{restart},
		}.play(t, func(t *testing.T, f *fate) { wantHow(t, f, Restarted) })
	}},
	{"5.10 255 bytes of RESTART2", func(t *testing.T) {
		for _, n := range []int{0, 1, 254, 255, 256, 5000} {
			arg := strings.Repeat("x", n)
			caseOf{steps: []Step{Reboot{Cmd: kernel.Restart2, Arg: arg}}}.play(
				t, func(t *testing.T, f *fate) {
					wantEqual(t, "argument", f.end.Arg, arg[:min(n, 255)])
				})
		}
	}},
	{"5.10 RESTART2 up to a zero byte", func(t *testing.T) {
		caseOf{steps: []Step{Reboot{Cmd: kernel.Restart2, Arg: "one\x00two"}}}.play(
			t, func(t *testing.T, f *fate) { wantEqual(t, "argument", f.end.Arg, "one") })
	}},
	{"5.11 KEXEC without a loaded kernel", func(t *testing.T) {
		caseOf{steps: []Step{Reboot{Cmd: Kexec}}}.play(
			t, func(t *testing.T, f *fate) { wantExit(t, f, kernel.EINVAL) })
		caseOf{
			cfg: Config{Reboot: RebootConfig{Image: ImageLocked}}, steps: []Step{Reboot{Cmd: Kexec}},
		}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, syscall.EBUSY) })
	}},
	{"5.12 SW_SUSPEND", func(t *testing.T) {
		for h, e := range map[Hibernation]kernel.Errno{
			NotBuilt: kernel.EINVAL, Forbidden: kernel.EPERM,
		} {
			caseOf{
				cfg:   Config{Reboot: RebootConfig{Hibernation: h}},
				steps: []Step{Reboot{Cmd: SWSuspend}}, kernels: Kernels(),
			}.play(t, func(t *testing.T, f *fate) { wantExit(t, f, e) })
		}
	}},
	{"5.13 hibernation waits for its own lock", func(t *testing.T) {
		c := caseOf{
			cfg:   Config{Reboot: RebootConfig{Hibernation: Built}},
			steps: []Step{Reboot{Cmd: SWSuspend}}, second: []Step{restart},
			kernels: slices.Concat(linux4s, modern),
		}
		c.play(t, func(t *testing.T, f *fate) {
			if !f.lived() || f.Count(Uninterruptible) != 2 {
				t.Errorf("got %+v, %d in D", f.end, f.Count(Uninterruptible))
			}
		})
		c.second, c.kernels = nil, slices.Concat(linux26s, linux3s)
		c.play(t, func(t *testing.T, f *fate) { wantExit(t, f, syscall.ENODEV) })
	}},
	{"5.14 nothing is synced", func(t *testing.T) {
		caseOf{steps: []Step{restart}, kernels: Kernels()}.play(t, func(t *testing.T, f *fate) {
			wantHow(t, f, Restarted)
			wantEqual(t, "calls of sync", f.Machine.counts[callSync], 0)
		})
	}},
}

var wayStatements = []statement{
	{"5.15 the stages of a restart", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: furnished}, steps: []Step{restart},
			kernels: append(linux6s[:1:1], later6s[0]),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "stages", f.stages(), []string{
				"reboot_notifier_list", "system_state", "usermodehelper_disable",
				"device_shutdown", "restart_prep_handler_list", "migrate_to_reboot_cpu",
				"syscore_shutdown", "kmsg_dump", "machine_restart", "reset",
			})
			wantHow(t, f, Restarted)
		})
	}},
	{"5.16 the stages of a halt", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: furnished}, steps: []Step{halt},
			kernels: slices.Concat([]string{"linux-3.10-arm"}, linux4s, modern),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "stages", f.stages(), []string{
				"reboot_notifier_list", "system_state", "usermodehelper_disable",
				"device_shutdown", "migrate_to_reboot_cpu", "syscore_shutdown", "kmsg_dump",
				"machine_halt",
			})
			wantHow(t, f, Halted)
		})
	}},
	{"5.17 the stages of a power-off", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: furnished}, steps: []Step{powerOff},
			kernels: slices.Concat([]string{"linux-3.10-arm"}, linux4s, modern),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "stages", f.stages(), []string{
				"reboot_notifier_list", "system_state", "usermodehelper_disable",
				"device_shutdown", "power_off_prep_handler_list", "migrate_to_reboot_cpu",
				"syscore_shutdown", "kmsg_dump", "machine_power_off", "power_off_handler_list",
			})
			wantHow(t, f, PoweredOff)
		})
	}},
	{"5.18 the stages of KEXEC", func(t *testing.T) {
		loaded := furnished
		loaded.Image = ImageLoaded
		for name, want := range map[string]string{
			"linux-4.19-x86_64": "migrate_to_reboot_cpu machine_kexec",
			"linux-5.10-x86_64": "migrate_to_reboot_cpu syscore_shutdown machine_kexec",
			"linux-6.1-x86_64":  "migrate_to_reboot_cpu syscore_shutdown kmsg_dump machine_kexec",
		} {
			f := caseOf{cfg: Config{Reboot: loaded}, steps: []Step{Reboot{Cmd: Kexec}}}.playOn(name)
			wantEqual(t, name, strings.Join(f.stages(), " "),
				"reboot_notifier_list system_state usermodehelper_disable device_shutdown "+want)
			wantEqual(t, "state", f.stepsOf("system_state"), []string{"restart"})
			wantHow(t, f, Kexeced)
		}
	}},
	{"5.19 the stages of 2.6", func(t *testing.T) {
		for _, c := range []struct {
			step Step
			want string
		}{
			{restart, "syscore_shutdown machine_restart reset"},
			{halt, "syscore_shutdown machine_halt"},
			{powerOff, "power_off_prep_handler_list syscore_shutdown machine_power_off " +
				"power_off_handler_list"},
		} {
			caseOf{cfg: Config{Reboot: furnished}, steps: []Step{c.step}, kernels: linux26s}.play(
				t, func(t *testing.T, f *fate) {
					wantEqual(t, "stages", strings.Join(f.stages(), " "),
						"reboot_notifier_list system_state device_shutdown "+c.want)
				})
		}
	}},
	{"5.20 what prepares before 6.0", func(t *testing.T) {
		many := furnished
		many.PowerOffPrepare = []Notifier{{Name: "first", Priority: 10}, {Name: "last"}}
		olds := slices.Concat([]string{"linux-3.10-arm"}, linux4s, linux5s)
		caseOf{cfg: Config{Reboot: many}, steps: []Step{restart}, kernels: olds}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "prepares", f.stepsOf("restart_prep_handler_list"), nil)
				wantHow(t, f, Restarted)
			})
		caseOf{cfg: Config{Reboot: many}, steps: []Step{powerOff}, kernels: olds}.play(
			t, func(t *testing.T, f *fate) {
				wantEqual(t, "prepares", f.stepsOf("power_off_prep_handler_list"), []string{"last"})
				wantHow(t, f, PoweredOff)
			})
	}},
	{"5.21 the last words", func(t *testing.T) {
		for _, c := range []struct {
			step     Step
			old, now string
		}{
			{restart, "Restarting system.", "reboot: Restarting system"},
			{
				Reboot{Cmd: kernel.Restart2, Arg: "again"},
				"Restarting system with command 'again'.",
				"reboot: Restarting system with command 'again'",
			},
			{halt, "System halted.", "reboot: System halted"},
		} {
			caseOf{steps: []Step{c.step}, kernels: slices.Concat(linux26s, linux3s)}.play(
				t, func(t *testing.T, f *fate) { wantSaid(t, f, "0 "+c.old) })
			caseOf{steps: []Step{c.step}, kernels: slices.Concat(linux4s, modern)}.play(
				t, func(t *testing.T, f *fate) { wantSaid(t, f, "0 "+c.now) })
		}
		caseOf{steps: []Step{powerOff}, kernels: modern}.play(
			t, func(t *testing.T, f *fate) { wantSaid(t, f, "0 reboot: Power down") })
		caseOf{steps: []Step{powerOff}, kernels: linux26s}.play(
			t, func(t *testing.T, f *fate) { wantSaid(t, f, "0 Power down.") })
	}},
	{"5.22 what kmsg_dump is told", func(t *testing.T) {
		for i, step := range []Step{restart, halt, powerOff} {
			caseOf{steps: []Step{step}, kernels: append(linux4s[:1:1], "linux-3.10-arm")}.play(
				t, func(t *testing.T, f *fate) {
					wantEqual(t, "reason", f.stepsOf("kmsg_dump"), []string{fmt.Sprint(4 + i)})
				})
			caseOf{steps: []Step{step}, kernels: modern}.play(t, func(t *testing.T, f *fate) {
				wantEqual(t, "reason", f.stepsOf("kmsg_dump"), []string{"4"})
			})
		}
	}},
	{"5.23 the numbers of system_state", func(t *testing.T) {
		for _, c := range []struct {
			kernels []string
			values  [4]int // running, halt, power off, restart
		}{
			{slices.Concat(linux26s, linux3s[:1]), [4]int{1, 2, 3, 4}},
			{slices.Concat(linux4s, linux5s), [4]int{2, 3, 4, 5}},
			{slices.Concat(linux6s, later6s), [4]int{3, 4, 5, 6}},
		} {
			for i, step := range []Step{nil, halt, powerOff, restart} {
				steps := []Step{step}
				if step == nil {
					steps = nil
				}
				caseOf{steps: steps, kernels: c.kernels}.play(t, func(t *testing.T, f *fate) {
					wantEqual(t, "value", f.SystemStateValue(), c.values[i])
				})
			}
		}
	}},
	{"5.24 who sees which system_state", func(t *testing.T) {
		var m *Machine
		var seen []string
		cfg := Config{Reboot: furnished, Programs: programs(map[string][]Step{"p": {halt}})}
		cfg.Reboot.Trace = func(_ time.Duration, step, _ string) {
			if len(seen) == 0 || !strings.HasSuffix(seen[len(seen)-1], m.SystemState().String()) {
				seen = append(seen, step+" "+m.SystemState().String())
			}
		}
		m = New(cfg)
		m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			until(k, time.Minute)
			return 0
		})
		wantEqual(t, "seen first by", seen, []string{
			"reboot_notifier_list running", "system_state halt",
		})
	}},
	{"5.25 what the notifiers are told", func(t *testing.T) {
		for _, c := range []struct {
			step Step
			want string
		}{
			{restart, "action 1"},
			{Reboot{Cmd: kernel.Restart2, Arg: "hello world"}, "action 1 hello world"},
			{halt, "action 2"},
			{powerOff, "action 3"},
		} {
			caseOf{steps: []Step{c.step}, kernels: append(linux4s, modern...)}.play(
				t, func(t *testing.T, f *fate) {
					wantEqual(t, "told", f.stepsOf("reboot_notifier_list"), []string{c.want})
				})
		}
	}},
	{"5.26 the last words of KEXEC", func(t *testing.T) {
		for name, want := range map[string][]string{
			"linux-2.6.24-i386": {"0 Starting new kernel"},
			"linux-3.10-arm":    {"0 Starting new kernel", "6 Bye!"},
			"linux-4.19-x86_64": {"0 kexec_core: Starting new kernel"},
			"linux-6.1-x86_64":  {"5 kexec_core: Starting new kernel"},
			"linux-6.1-arm64":   {"5 kexec_core: Starting new kernel", "6 Bye!"},
		} {
			f := caseOf{
				cfg:   Config{Reboot: RebootConfig{Image: ImageLoaded}},
				steps: []Step{Reboot{Cmd: Kexec}},
			}.playOn(name)
			wantEqual(t, name, f.said, want)
			wantHow(t, f, Kexeced)
		}
	}},
	{"5.27 a chain is called by priority", func(t *testing.T) {
		caseOf{
			cfg: Config{Reboot: RebootConfig{Notifiers: []Notifier{
				{Name: "zero"},
				{Name: "low", Priority: -1},
				{Name: "high", Priority: 100},
				{Name: "zero too"},
				{Name: "highest", Priority: 1 << 30},
			}}}, steps: []Step{restart}, kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("reboot_notifier_list")[1:],
				[]string{"highest", "high", "zero", "zero too", "low"})
		})
	}},
	{"5.28 NOTIFY_BAD ends the chain only", func(t *testing.T) {
		for _, result := range []NotifyResult{NotifyBad, NotifyStop} {
			caseOf{
				cfg: Config{Reboot: RebootConfig{Notifiers: []Notifier{
					{Name: "ten", Priority: 10, Returns: NotifyOK},
					{Name: "five", Priority: 5, Returns: result},
					{Name: "zero"},
				}}}, steps: []Step{restart}, kernels: Kernels(),
			}.play(t, func(t *testing.T, f *fate) {
				wantEqual(t, "called", f.stepsOf("reboot_notifier_list")[1:], []string{"ten", "five"})
				wantHow(t, f, Restarted)
			})
		}
	}},
	{"5.29 the chain that powers off", func(t *testing.T) {
		handlers := []Notifier{
			{Name: "platform", Priority: SysOffPlatform},
			{Name: "default"},
			{Name: "low", Priority: SysOffLow},
			{Name: "high", Priority: SysOffHigh},
			{Name: "refused", Priority: SysOffHigh},
			{Name: "default too"},
			{Name: "refused too", Priority: SysOffFirmware},
		}
		pm := &Notifier{Name: "pm_power_off", Priority: 99}
		cfg := Config{
			Reboot:   RebootConfig{PowerOffHandlers: handlers, PMPowerOff: pm},
			Firmware: Firmware{OnPowerOff: Refuses},
		}
		c := caseOf{cfg: cfg, steps: []Step{powerOff}, kernels: append(later6s, linux6s[0])}
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("power_off_handler_list"), []string{
				"firmware", "high", "default", "default too", "pm_power_off", "low", "platform",
			})
		})
		c.kernels = slices.Concat(linux26s, linux3s, linux4s, linux5s)
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("power_off_handler_list"), []string{"pm_power_off"})
		})
		c.cfg.Reboot.PMPowerOff, c.cfg.Reboot.NoPowerOff = nil, true
		c.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "called", f.stepsOf("power_off_handler_list"), nil)
		})
	}},
	{"5.30 helpers are waited for", func(t *testing.T) {
		for load, want := range map[time.Duration]struct {
			at    time.Duration
			steps int
		}{
			time.Second:      {3 * time.Second, 1},
			10 * time.Second: {7500 * time.Millisecond, 2},
			kernel.Never:     {7500 * time.Millisecond, 2},
		} {
			caseOf{
				cfg: Config{Programs: map[string]Program{
					"/sbin/poweroff": {Load: load, Steps: []Step{Pause{}}},
				}},
				steps: []Step{Sleep{2500*time.Millisecond - 300*time.Microsecond}, restart},
				at:    []Action{OrderlyPowerOff{}},
			}.play(t, func(t *testing.T, f *fate) {
				wantHow(t, f, Restarted)
				wantEqual(t, "at", f.end.At, want.at)
				wantEqual(t, "steps", len(f.stepsOf("usermodehelper_disable")), want.steps)
			})
		}
	}},
	{"5.31 devices in reverse order", func(t *testing.T) {
		cfg := Config{Reboot: RebootConfig{Devices: []Device{
			{Name: "bridge", Driver: "pcieport", Takes: time.Second},
			{Name: "nobody's"},
			{Name: "eth0", Driver: "e1000e", Takes: 2 * time.Second, Says: "down", Level: 6},
		}}}
		caseOf{
			cfg: cfg, steps: []Step{restart}, second: []Step{Say{"meanwhile"}}, kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "devices", f.stepsOf("device_shutdown"), []string{"eth0", "bridge"})
			wantEqual(t, "at", f.end.At, 3*time.Second+300*time.Microsecond)
			wantEqual(t, "console", f.Console(), []Line{
				{time.Second + 300*time.Microsecond, "meanwhile"},
			})
			wantSaid(t, f, "6 down")
		})
		cfg.Reboot.Devices[0].Takes = kernel.Never
		caseOf{cfg: cfg, steps: []Step{restart}, kernels: Kernels()}.play(
			t, func(t *testing.T, f *fate) {
				if !f.lived() {
					t.Errorf("end: got %+v, want PID 1 going on", f.end)
				}
			})
	}},
	{"5.32 initcall_debug names them", func(t *testing.T) {
		cfg := Config{Cmdline: "initcall_debug", Reboot: RebootConfig{
			Devices: []Device{{Name: "0000:00:03.0", Driver: "e1000e"}},
		}}
		caseOf{cfg: cfg, steps: []Step{restart}}.play(t, func(t *testing.T, f *fate) {
			wantSaid(t, f, "6 e1000e 0000:00:03.0: shutdown")
		})
	}},
	{"5.33 ACPI prepares", func(t *testing.T) {
		cfg := Config{Firmware: Firmware{ACPI: true}}
		for _, step := range []Step{restart, powerOff} {
			caseOf{cfg: cfg, steps: []Step{step}, kernels: append(later6s, linux6s[0])}.play(
				t, func(t *testing.T, f *fate) {
					wantSaid(t, f, "6 ACPI: PM: Preparing to enter system sleep state S5")
				})
		}
		caseOf{cfg: cfg, steps: []Step{powerOff}, kernels: linux4s}.play(
			t, func(t *testing.T, f *fate) {
				wantSaid(t, f, "6 ACPI: Preparing to enter system sleep state S5")
			})
		caseOf{cfg: cfg, steps: []Step{restart}, kernels: linux4s}.play(
			t, func(t *testing.T, f *fate) { wantUnsaid(t, f, "ACPI") })
		cfg.Cmdline = "acpi=off"
		caseOf{cfg: cfg, steps: []Step{restart}}.play(
			t, func(t *testing.T, f *fate) { wantUnsaid(t, f, "ACPI") })
	}},
	{"5.34 the reboot CPU", func(t *testing.T) {
		for _, c := range []struct {
			cmdline string
			off     []int
			want    string
		}{
			{"", nil, "0"},
			{"reboot=s2", nil, "2"},
			{"reboot=smp3", []int{3}, "0"},
			{"", []int{0, 1}, "2"},
		} {
			caseOf{
				cfg:   Config{Cmdline: c.cmdline, Reboot: RebootConfig{CPUs: 4, OfflineCPUs: c.off}},
				steps: []Step{restart},
			}.play(t, func(t *testing.T, f *fate) {
				wantEqual(t, c.cmdline, f.stepsOf("migrate_to_reboot_cpu"), []string{c.want})
			})
		}
	}},
	{"5.35 syscore in reverse order", func(t *testing.T) {
		caseOf{
			cfg:   Config{Reboot: RebootConfig{Syscore: []Syscore{{"irq", time.Second}, {"clock", 0}}}},
			steps: []Step{restart}, kernels: Kernels(),
		}.play(t, func(t *testing.T, f *fate) {
			wantEqual(t, "syscore", f.stepsOf("syscore_shutdown"), []string{"clock", "irq"})
			wantEqual(t, "at", f.end.At, time.Second+300*time.Microsecond)
		})
	}},
}

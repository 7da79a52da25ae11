package simkernel

import (
	"fmt"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestAsSeenInQEMU compares ways down with what Linux 6.1.192 did in QEMU, on its machine pc, with
// a module that has two reboot notifiers, a part of syscore and a kmsg_dump of its own: what was
// called, with the value of system_state, and what was printed, in one order.
func TestAsSeenInQEMU(t *testing.T) {
	const s5 = "6 ACPI: PM: Preparing to enter system sleep state S5"
	notified := func(action string) []string {
		return []string{
			"reboot_notifier_list " + action + " 3", "reboot_notifier_list high 3",
			"reboot_notifier_list low 3",
		}
	}
	for _, c := range []struct {
		name    string
		cmdline string
		step    Step
		want    []string
		how     How
	}{
		{"RESTART", "", restart, append(notified("action 1"), s5,
			"syscore_shutdown lab 6", "0 reboot: Restarting system", "kmsg_dump 4 6",
			"5 reboot: machine restart"), Restarted},
		{
			"RESTART2", "",
			Reboot{Cmd: kernel.Restart2, Arg: "hello world"},
			append(notified("action 1 hello world"), s5,
				"syscore_shutdown lab 6", "0 reboot: Restarting system with command 'hello world'",
				"kmsg_dump 4 6", "5 reboot: machine restart"), Restarted,
		},
		{"HALT", "", halt, append(notified("action 2"),
			"syscore_shutdown lab 4", "0 reboot: System halted", "kmsg_dump 4 4"), Halted},
		{"POWER_OFF", "", powerOff, append(notified("action 3"), s5,
			"syscore_shutdown lab 5", "0 reboot: Power down", "kmsg_dump 4 5"), PoweredOff},
		{"POWER_OFF without ACPI", "acpi=off", powerOff, append(notified("action 2"),
			"syscore_shutdown lab 4", "0 reboot: System halted", "kmsg_dump 4 4"), Halted},
		{"sysrq b", "", WriteFile{"/proc/sysrq-trigger", "b"}, []string{
			"6 sysrq: Resetting", "kmsg_dump 3 3",
		}, Restarted},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m *Machine
			var seen []string
			logged := 0
			flush := func() {
				for _, l := range m.Log()[logged:] {
					seen = append(seen, fmt.Sprint(l.Level, " ", l.Text))
					logged++
				}
			}
			cfg := Config{
				Cmdline: c.cmdline, MagicSysrq: true,
				Mounts:   []Mount{{Type: "proc", Target: "/proc"}},
				Programs: programs(map[string][]Step{"p": {c.step, Pause{}}}),
				Firmware: Firmware{ACPI: true, NoReset: []ResetMethod{ResetACPI}},
				Reboot: RebootConfig{
					Notifiers: []Notifier{{Name: "low"}, {Name: "high", Priority: 100}},
					Syscore:   []Syscore{{Name: "lab"}},
					Trace: func(_ time.Duration, step, what string) {
						flush()
						switch step {
						case "reboot_notifier_list", "syscore_shutdown", "kmsg_dump":
							seen = append(seen, fmt.Sprint(step, " ", what, " ", m.SystemStateValue()))
						}
					},
				},
			}
			m = New(cfg)
			end := m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Minute)
				return 0
			})
			flush()
			wantEqual(t, "how", end.How, c.how)
			wantEqual(t, "seen", seen, c.want)
		})
	}
}

package shutdown_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// safe is what is said when nothing more can be tried.
const safe = "it is safe to switch the machine off"

// refuse makes reboot(2) fail from a time on.
func refuse(w *pid1test.World, at time.Duration, n int, errno kernel.Errno) {
	w.At(at, simkernel.Do(func(m *simkernel.Machine) { m.Fail("Reboot", n, errno) }))
}

// withSysrq is a machine whose kernel has the magic key.
func withSysrq(w *pid1test.World) { w.Apply(simkernel.SetProc{Name: "sysrq-trigger"}) }

// TestRefusedInAContainer: without CAP_SYS_BOOT the end of init is the only end there is, and it is
// a good one [BusyBox 5.8].
func TestRefusedInAContainer(t *testing.T) {
	for _, c := range ways() {
		w := boot(t, pid1test.Setup{
			Config: simkernel.Config{
				Namespace:  true,
				Privileges: simkernel.Privileges{Without: simkernel.CapSysBoot},
			},
			Inittab: "::respawn:actor ignore TERM, pause\n",
		}, c.signal)
		w.WantEnd(simkernel.Exited, asked+5*time.Second)
		if w.End.Status != 0 {
			t.Errorf("status: got %#x, want 0", w.End.Status)
		}
		w.WantConsole(`
			The system is going down NOW!
			Sent SIGTERM to all processes
			Sent SIGKILL to all processes
			Requesting system ` + c.word + `
			reboot(2): operation not permitted: ending the container
		`)
		if len(w.SetProcs) > 0 {
			t.Errorf("written to proc: %q, which is the host's", w.SetProcs)
		}
	}
}

// TestAllowedInAContainer: the kernel ends it, and its parent sees why (reboot(2), "Behavior inside
// PID namespaces").
func TestAllowedInAContainer(t *testing.T) {
	for _, c := range ways() {
		w := boot(t, pid1test.Setup{
			Config: simkernel.Config{Namespace: true}, Inittab: "::respawn:actor pause\n",
		}, c.signal)
		w.WantEnd(c.how, asked)
		want := kernel.SIGINT
		if c.how == simkernel.Restarted {
			want = kernel.SIGHUP
		}
		if got := w.End.Status.Signal(); got != want {
			t.Errorf("the parent sees %v, want %v", got, want)
		}
	}
}

// TestRefusedOnTheMachine: the magic key is tried, and init stays: its end would be a panic. It
// answers whatever is asked for then, and tries again.
func TestRefusedOnTheMachine(t *testing.T) {
	for _, c := range ways() {
		for _, sysrq := range []bool{false, true} {
			t.Run(fmt.Sprint(c.signal, sysrq), func(t *testing.T) {
				w := pid1test.New(t, pid1test.Setup{
					Config: simkernel.Config{Until: time.Hour}, Inittab: "::respawn:actor pause\n",
				})
				key := map[string]string{"reboot": "b", "poweroff": "o"}[c.word]
				if sysrq {
					withSysrq(w)
				}
				refuse(w, time.Second, 1, kernel.EPERM)
				w.At(asked, simkernel.Signals(c.signal))
				stayed := false
				w.Look(asked+time.Minute, func() { stayed = true })
				w.At(asked+2*time.Minute, simkernel.Signals(kernel.SIGUSR2))
				w.Boot()
				if !stayed {
					t.Error("init has not stayed")
				}
				// The second time it is allowed.
				w.WantEnd(simkernel.PoweredOff, asked+2*time.Minute)

				const refused = "reboot(2): operation not permitted: "
				var want []string // that is written to proc
				switch {
				case key == "":
					w.WantLine("", refused+safe, 1)
				case sysrq:
					w.WantLine("", refused+"trying sysrq "+key, 1)
					want = []string{"sysrq-trigger=" + key}
				default:
					w.WantLine("", refused+"trying sysrq "+key, 1)
					w.WantLine("", "sysrq "+key+": no such file or directory: "+safe, 1)
				}
				got := slices.DeleteFunc(slices.Clone(w.SetProcs), func(s string) bool {
					return s == "sys/kernel/panic=10"
				})
				if !slices.Equal(got, want) {
					t.Errorf("written to proc: got %q, want %q", got, want)
				}
				w.WantLine("", "Trying again: poweroff", 1)
			})
		}
	}
}

// TestRefusedAgainAndAgain: init never tires, and never ends.
func TestRefusedAgainAndAgain(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::restart:/no/such\n"})
	withSysrq(w)
	refuse(w, time.Second, 0, kernel.EPERM)
	requests := []kernel.Signal{
		kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGUSR2, kernel.SIGPWR, kernel.SIGQUIT,
	}
	for i := range 100 {
		w.At(asked+time.Duration(i)*time.Second, simkernel.Signals(requests[i%len(requests)]))
	}
	w.Boot()
	w.WantAlive()
	if n := len(w.Reboots()); n != 100 {
		t.Errorf("reboot(2) was tried %d times, want 100", n)
	}
}

// TestRebootThatHangs: a driver that does not shut its device down is not waited for for ever.
func TestRebootThatHangs(t *testing.T) {
	for _, c := range []struct{ word, key string }{{"reboot", "b"}, {"poweroff", "o"}, {"halt", ""}} {
		t.Run(c.word, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{RebootTime: kernel.Never},
				Inittab: "::respawn:actor pause\n",
			})
			withSysrq(w)
			i := slices.IndexFunc(ways(), func(w way) bool { return w.word == c.word })
			w.At(asked, simkernel.Signals(ways()[i].signal))
			w.Boot()
			w.WantAlive()
			said := "reboot(2) has not come back after 30s: trying sysrq " + c.key
			if c.key == "" {
				said = "reboot(2) has not come back after 30s: " + safe
			}
			if at := w.Times("", said); !slices.Equal(at, []time.Duration{asked + 30*time.Second}) {
				t.Errorf("%q: got %v, want %v\n%s", said, at, asked+30*time.Second, w.Story())
			}
		})
	}
}

// TestSlowReboot: devices that take their time are given it.
func TestSlowReboot(t *testing.T) {
	w := boot(t, pid1test.Setup{
		Config:  simkernel.Config{RebootTime: 29 * time.Second},
		Inittab: "::respawn:actor pause\n",
	}, kernel.SIGTERM)
	w.WantEnd(simkernel.Restarted, asked+29*time.Second)
	w.WantLine("", "Requesting system reboot", 1)
	if n := len(w.Reboots()); n != 1 {
		t.Errorf("reboot(2) was called %d times, want once", n)
	}
}

// TestKernelsThatComeBack: where the kernel cannot halt or power off it ends the caller, which is
// not init (kernel/reboot.c). Init stays and answers; the kernel's lock is held for good, so the
// next reboot(2) hangs, and the magic key is what is left.
func TestKernelsThatComeBack(t *testing.T) {
	for _, c := range []struct {
		signal kernel.Signal
		word   string
		said   string
	}{
		{kernel.SIGUSR1, "halt", "reboot(2) came back: the kernel cannot halt: " + safe},
		{
			kernel.SIGUSR2, "poweroff",
			"reboot(2) came back: the kernel cannot poweroff: trying sysrq o",
		},
	} {
		t.Run(c.word, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{HaltReturns: true, PowerOffReturns: true},
				Inittab: "::respawn:actor pause\n",
			})
			withSysrq(w)
			w.At(asked, simkernel.Signals(c.signal))
			w.At(2*asked, simkernel.Signals(kernel.SIGTERM))
			w.Boot()
			w.WantAlive()
			w.WantLine("", c.said, 1)
			w.WantLine("", "Trying again: reboot", 1)
			w.WantLine("", "reboot(2) has not come back after 30s: trying sysrq b", 1)
		})
	}
}

// TestForkFailsAndInitIsRefused: calling reboot(2) itself is the last thing init can try before the
// magic key.
func TestForkFailsAndInitIsRefused(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::respawn:actor pause\n"})
	withSysrq(w)
	refuse(w, time.Second, 0, kernel.EPERM)
	w.Fail("Call", 0, kernel.EAGAIN)
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantAlive()
	w.WantLine("", "reboot(2): operation not permitted: trying sysrq b", 1)
}

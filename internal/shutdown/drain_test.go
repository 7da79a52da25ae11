package shutdown_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

const consolePath = "/dev/ttyS0"

// serial is a machine whose console is a serial line.
func serial(s pid1test.Setup, t simkernel.Terminal) pid1test.Setup {
	s.Terminals = map[string]simkernel.Terminal{consolePath: t}
	return s
}

// sent is how long a line takes for a text, with the carriage returns and newlines of init.
func sent(baud int, lines ...string) time.Duration {
	n := 0
	for _, l := range lines {
		n += len(l) + 2
	}
	return time.Duration(n) * 10 * time.Second / time.Duration(baud)
}

// TestLastWordsOnASerialLine: the kernel throws away what its serial driver has not sent when it goes
// down, so init waits for it, by the interval of its looks longer at most.
func TestLastWordsOnASerialLine(t *testing.T) {
	for _, c := range ways() {
		for _, baud := range []int{2400, 9600, 115200, 1000000} {
			t.Run(fmt.Sprint(c.signal, baud), func(t *testing.T) {
				w := boot(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"},
					simkernel.Terminal{Baud: baud}), c.signal)
				words := []string{
					"The system is going down NOW!", "Sent SIGTERM to all processes",
					"Requesting system " + c.word,
				}
				w.WantConsole(strings.Join(words, "\n") + "\n")
				least := asked + sent(baud, words...)
				if w.End.How != c.how || w.End.At < least || w.End.At > least+5*time.Millisecond {
					t.Errorf("end: got %v at %v, want %v within 5ms after %v", w.End.How, w.End.At,
						c.how, least)
				}
				if len(w.Blocked()) > 0 {
					t.Errorf("init has waited outside of its loop: %v", w.Blocked())
				}
			})
		}
	}
}

// TestLastWordsOfServices, which are more than the driver keeps: init's come with them.
func TestLastWordsOfServices(t *testing.T) {
	const lines = 200
	text := strings.Repeat("x", 50)
	w := boot(t, serial(pid1test.Setup{
		Inittab: fmt.Sprintf("::once:actor beside %d, catch TERM, say %s, exit 0\n", lines-1, text),
		Conf:    "shutdown.term_timeout = 1m\n",
	}, simkernel.Terminal{Baud: 115200}), kernel.SIGTERM)
	w.WantLine("", text, lines)
	w.WantLine("", "Sent SIGKILL to all processes", 0)
	w.WantLine("", "Requesting system reboot", 1)
}

// TestConsoleThatTakesNothing: what a stopped serial line keeps does not leave by itself, so nothing
// is waited for. Where init itself had to keep something back, it gives the console a moment.
func TestConsoleThatTakesNothing(t *testing.T) {
	const moment = 250 * time.Millisecond
	for _, c := range []struct {
		name     string
		terminal simkernel.Terminal
		takes    time.Duration
	}{
		{name: "stopped", terminal: simkernel.Terminal{Stopped: true}},
		{name: "a stopped line", terminal: simkernel.Terminal{Stopped: true, Baud: 9600}},
		{name: "full", terminal: simkernel.Terminal{Stopped: true, Buffer: 50}, takes: moment},
		{name: "no terminal", terminal: simkernel.Terminal{Plain: true}},
		{
			name:     "a full line",
			terminal: simkernel.Terminal{Stopped: true, Baud: 9600, Buffer: 50}, takes: moment,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := boot(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"}, c.terminal),
				kernel.SIGTERM)
			w.WantEnd(simkernel.Restarted, asked+c.takes)
			// At the first look, unless something is left.
			if n := w.Calls("Unsent"); c.takes == 0 && n != 1 {
				t.Errorf("init has asked %d times what is unsent, want once", n)
			}
		})
	}
}

// TestConsoleThatIsTooSlow: at this pace the last words would take most of a minute. The wait ends
// after a time that is bounded.
func TestConsoleThatIsTooSlow(t *testing.T) {
	for baud, takes := range map[int]time.Duration{
		// A byte takes 16.7 ms, and the port sends sixteen at a time.
		600: 250 * time.Millisecond,
		// It goes on, but too slowly.
		2400: 5 * time.Second,
	} {
		w := boot(t, serial(pid1test.Setup{
			Inittab: "::once:actor beside 99, catch TERM, say " + strings.Repeat("x", 30) +
				", exit 0\n",
			Conf: "shutdown.term_timeout = 1m\n",
		}, simkernel.Terminal{Baud: baud, Buffer: 4096}), kernel.SIGTERM)
		w.WantEnd(simkernel.Restarted, asked+takes)
		w.WantLine("", "Requesting system reboot", 0)
	}
}

// TestStoppedWhileItDrains: a Ctrl-S in the middle ends the wait, after what the port already has.
func TestStoppedWhileItDrains(t *testing.T) {
	w := pid1test.New(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"},
		simkernel.Terminal{Baud: 2400}))
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.At(asked+20*time.Millisecond, simkernel.StopOutput{})
	w.Boot()
	if took := w.End.At - asked; w.End.How != simkernel.Restarted || took > 100*time.Millisecond {
		t.Errorf("end: got %v after %v, want a restart at once", w.End.How, took)
	}
}

// TestAskedWhileTheConsoleIsSlow: who asks last decides, as long as the kernel has not been called,
// and a request does not make the wait longer than it may be.
func TestAskedWhileTheConsoleIsSlow(t *testing.T) {
	w := pid1test.New(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"},
		simkernel.Terminal{Baud: 2400}))
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.At(asked+100*time.Millisecond, simkernel.Signals(kernel.SIGUSR2))
	w.At(asked+200*time.Millisecond, simkernel.Signals(kernel.SIGUSR2))
	w.Boot()
	w.WantConsole(`
		The system is going down NOW!
		Sent SIGTERM to all processes
		Requesting system reboot
		Already going down for reboot: now for poweroff
		Already going down for poweroff: waiting for the console
	`)
	if w.End.How != simkernel.PoweredOff {
		t.Errorf("end: got %v, want a power-off", w.End.How)
	}

	w = pid1test.New(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"},
		simkernel.Terminal{Baud: 2400}))
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	for at := asked; at < asked+time.Minute; at += 50 * time.Millisecond {
		w.At(at, simkernel.Signals(kernel.SIGUSR1), simkernel.Signals(kernel.SIGTERM))
	}
	w.Boot()
	if took := w.End.At - asked; took > 5*time.Second {
		t.Errorf("end: got %v after %v, want it after 5s at most", w.End.How, took)
	}
}

// TestLastWordsBeforeTheMagicKey, which ends the machine at once, too.
func TestLastWordsBeforeTheMagicKey(t *testing.T) {
	w := pid1test.New(t, serial(pid1test.Setup{
		Config: simkernel.Config{Until: time.Minute}, Inittab: "::respawn:actor pause\n",
	}, simkernel.Terminal{Baud: 9600}))
	withSysrq(w)
	refuse(w, time.Second, 1, kernel.EIO)
	pressed := time.Duration(0)
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.When("reboot(2): input/output error: trying sysrq b", simkernel.Do(func(m *simkernel.Machine) {
		pressed = m.Now()
		if n := len(w.SetProcs); n > 0 && strings.HasPrefix(w.SetProcs[n-1], "sysrq-trigger") {
			t.Errorf("the key was pressed before the line was sent")
		}
	}))
	w.Boot()
	if pressed == 0 {
		t.Errorf("the reason has not come\n%s", w.Story())
	}
	w.WantLine("", "reboot(2): input/output error: trying sysrq b", 1)
}

// TestLastWordsWithoutAFork: that is said in the last moment, and sent all the same.
func TestLastWordsWithoutAFork(t *testing.T) {
	w := pid1test.New(t, serial(pid1test.Setup{Inittab: "::respawn:actor pause\n"},
		simkernel.Terminal{Baud: 9600}))
	w.Fail("Call", 0, kernel.EAGAIN)
	w.At(asked, simkernel.Signals(kernel.SIGTERM))
	w.Boot()
	w.WantLine("", "can't fork: resource temporarily unavailable: calling reboot(2) from init itself", 1)
}

// TestRestartOnASerialLine: what takes over from init may end the machine at once, as kexec -e does.
func TestRestartOnASerialLine(t *testing.T) {
	w := boot(t, serial(pid1test.Setup{
		Inittab: "::respawn:actor pause\n::restart:/bin/actor reboot restart\n",
	}, simkernel.Terminal{Baud: 9600}), kernel.SIGQUIT)
	w.WantConsole("The system is going down NOW!\nSent SIGTERM to all processes\n")
}

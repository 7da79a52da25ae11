package qemu

import (
	"errors"
	"regexp"
	"strings"
	"time"
)

// A TB is what a Guest needs of a testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
}

// A Guest is a machine in a test: whatever is not as expected ends the test and shows the last
// lines of the console.
type Guest struct {
	*VM
	t TB

	// Patience bounds every single wait. It is for a machine emulated on a busy host: what must
	// be quick is to be measured by the guest's own clock.
	Patience time.Duration
}

// Start starts a machine that lives no longer than the test. Without QEMU, a kernel or an image
// the test is skipped, but it fails if $REBOUND_REQUIRE has "qemu".
func Start(t TB, m Machine) *Guest {
	t.Helper()
	vm, err := Launch(m, nil)
	var missing *MissingError
	switch {
	case err == nil:
	case errors.As(err, &missing) && !Required("qemu"):
		t.Skipf("needs QEMU: %v", err)
	default:
		t.Fatalf("start the machine: %v", err)
	}
	t.Cleanup(vm.Kill)
	return &Guest{VM: vm, t: t, Patience: 3 * time.Minute}
}

// Expect waits until the first console has shown the text, which may be part of a line.
func (g *Guest) Expect(text string) Match {
	g.t.Helper()
	return g.ExpectMatch(regexp.QuoteMeta(text))
}

// ExpectMatch is Expect for a regular expression.
func (g *Guest) ExpectMatch(pattern string) Match {
	g.t.Helper()
	return g.ExpectOn(0, pattern)
}

// ExpectOn is ExpectMatch for serial port i.
func (g *Guest) ExpectOn(i int, pattern string) Match {
	g.t.Helper()
	m, err := g.Console(i).Expect(regexp.MustCompile(pattern), g.Patience)
	if err != nil {
		g.Fatalf("port %d: %v", i, err)
	}
	return m
}

// Type types a line and Enter at the first console.
func (g *Guest) Type(line string) {
	g.t.Helper()
	if err := g.Console(0).Send(line + "\r"); err != nil {
		g.Fatalf("type %q: %v", line, err)
	}
}

// Command gives QEMU's monitor a command.
func (g *Guest) Command(name string, arguments any) {
	g.t.Helper()
	if _, err := g.Monitor.Execute(name, arguments); err != nil {
		g.Fatalf("%v", err)
	}
}

// PressKeys presses keys together, by QEMU's names: "ctrl", "alt", "delete".
func (g *Guest) PressKeys(keys ...string) {
	g.t.Helper()
	type key struct {
		Type string `json:"type"`
		Data string `json:"data"`
	}
	var all []key
	for _, k := range keys {
		all = append(all, key{"qcode", k})
	}
	g.Command("send-key", map[string]any{"keys": all})
}

// WantPowerOff waits until the kernel says that it powers down, and QEMU says that it did.
func (g *Guest) WantPowerOff() {
	g.t.Helper()
	g.ExpectMatch(`(?m)^\[[ 0-9.]+\] reboot: Power down\r$`)
	g.WantEnd("guest-shutdown")
}

// WantReset waits until the kernel says that it restarts, and QEMU says that the machine did.
func (g *Guest) WantReset() {
	g.t.Helper()
	g.ExpectMatch(`(?m)^\[[ 0-9.]+\] reboot: Restarting system`)
	g.WantEnd("guest-reset")
}

// WantEnd waits for the machine's end and compares the reason QEMU gives.
func (g *Guest) WantEnd(reason string) {
	g.t.Helper()
	end, err := g.Wait(g.Patience)
	if err != nil {
		g.Fatalf("%v", err)
	}
	if end.Reason != reason || end.Err != nil {
		g.Fatalf("the machine's end:\n got %q (%v)\nwant %q", end.Reason, end.Err, reason)
	}
}

// WantStillUp fails unless the machine goes on, with QEMU answering, and has not been reset.
func (g *Guest) WantStillUp() {
	g.t.Helper()
	g.Command("query-status", nil)
	for _, e := range g.Monitor.Events() {
		switch e.Name {
		case "RESET", "SHUTDOWN", "GUEST_PANICKED":
			g.Fatalf("the machine is not up any more: event %s %v", e.Name, e.Data)
		}
	}
}

// Fatalf ends the test and shows where the machine was.
func (g *Guest) Fatalf(format string, args ...any) {
	g.t.Helper()
	const shown = 40
	lines := strings.Split(strings.TrimRight(g.Console(0).Transcript(), "\n"), "\n")
	if len(lines) > shown {
		lines = lines[len(lines)-shown:]
	}
	g.t.Fatalf(format+"\n--- last lines of the console\n%s\n---",
		append(args, strings.Join(lines, "\n"))...)
}

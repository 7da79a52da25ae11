//go:build crashtest

package linux

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

const (
	// crashSignal is SIGRTMAX, for a crash that init survives.
	crashSignal = unix.Signal(64)
	// overflowSignal is for one that Go lets nobody survive.
	overflowSignal = unix.Signal(62)
	// hangSignal is for a loop that does not go on, for which there is the watchdog.
	hangSignal = unix.Signal(61)
)

// crash makes the main loop crash when a signal asks for it, for the tests of what happens then.
type crash struct{ asked chan os.Signal }

func (c *crash) listen() {
	c.asked = make(chan os.Signal, 1)
	signal.Notify(c.asked, crashSignal, hangSignal)
	fatal := make(chan os.Signal, 1)
	signal.Notify(fatal, overflowSignal)
	go func() {
		<-fatal
		overflow(0)
	}()
}

func (c *crash) happen(sig os.Signal) {
	if sig == hangSignal {
		select {}
	}
	panic("crash asked for by a signal")
}

//go:noinline
func overflow(n int) int { return overflow(n+1) + 1 }

//go:build crashtest

package linux

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// crashSignal is SIGRTMAX.
const crashSignal = unix.Signal(64)

// crash makes the main loop panic when a signal asks for it, for the tests of what happens then.
type crash struct{ asked chan os.Signal }

func (c *crash) listen() {
	c.asked = make(chan os.Signal, 1)
	signal.Notify(c.asked, crashSignal)
}

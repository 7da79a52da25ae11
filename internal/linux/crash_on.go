//go:build crashtest

package linux

import (
	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// crashSignal makes the main loop panic, in builds with the tag crashtest only. It is SIGRTMAX.
const crashSignal = unix.Signal(64)

func crashIfAsked(sig kernel.Signal) {
	if sig == crashSignal {
		panic("crash asked for by a signal")
	}
}

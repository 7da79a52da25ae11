//go:build crashtest

package linux

import "github.com/rebound-init/rebound/internal/kernel"

// crashIfAsked makes the main loop panic, for the tests of what happens then.
func crashIfAsked(sig kernel.Signal) {
	if sig == crashSignal {
		panic("crash asked for by a signal")
	}
}

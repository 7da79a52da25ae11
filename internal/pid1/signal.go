package pid1

import (
	"math/bits"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/shutdown"
)

// signal acts on a signal [BusyBox 4.7, 4.8, 4.20].
func (in *Init) signal(sig kernel.Signal) {
	if sig == kernel.SIGCHLD {
		if in.way == nil {
			in.reap()
		}
		return
	}
	if in.paused && sig == kernel.SIGTSTP {
		return // One SIGCONT ends the pause, however often it was asked for [BusyBox 4.23].
	}
	if in.paused && sig != kernel.SIGCONT {
		// It acts after the pause [BusyBox 4.22].
		in.held |= 1 << (sig - 1)
		return
	}
	switch sig {
	case kernel.SIGHUP:
		in.askReload()
	case kernel.SIGINT:
		in.ctrlAltDel()
	case kernel.SIGQUIT:
		in.goDown(shutdown.Restart)
	case kernel.SIGUSR1, kernel.SIGPWR:
		in.goDown(shutdown.Halt)
	case kernel.SIGUSR2:
		in.goDown(shutdown.PowerOff)
	case kernel.SIGTERM:
		in.goDown(shutdown.Reboot)
	case kernel.SIGTSTP:
		in.pause()
	case kernel.SIGCONT:
		in.resumeFromPause()
	}
}

func (in *Init) askReload() {
	switch {
	case in.way != nil:
		in.note(kernel.Info, "going down: not reloading "+InittabPath)
	case in.boot.phase != booted:
		in.reload = true
	default:
		in.reloadTable()
	}
}

// ctrlAltDel starts the ctrlaltdel entries. Life goes on beside them.
func (in *Init) ctrlAltDel() {
	switch {
	case in.way != nil:
		in.Say("Already going down for " + in.way.Action().String() + ": " +
			in.way.Phase().String())
	case !in.cad.done():
		in.cadAgain = true
	default:
		in.cad.queue = of(in.table, inittab.CtrlAltDel)
	}
}

func (in *Init) stepCtrlAltDel() {
	in.stepSequence(&in.cad)
	if in.cadAgain && in.cad.done() {
		in.cadAgain = false
		in.cad.queue = of(in.table, inittab.CtrlAltDel)
		in.stepSequence(&in.cad)
	}
}

// pause stops init from starting anything, until SIGCONT. It goes on reaping.
func (in *Init) pause() {
	if in.way != nil {
		in.note(kernel.Info, "going down: not pausing")
		return
	}
	in.paused = true
}

// resumeFromPause acts on what has come during the pause, the lowest signal first.
func (in *Init) resumeFromPause() {
	if !in.paused {
		return
	}
	in.paused = false
	held := in.held
	in.held = 0
	for held != 0 {
		n := bits.TrailingZeros64(held)
		held &^= 1 << n
		in.signal(kernel.Signal(n + 1))
	}
	ttys := in.heldTTYs
	in.heldTTYs = nil
	for _, fd := range ttys {
		in.terminalReady(fd)
	}
}

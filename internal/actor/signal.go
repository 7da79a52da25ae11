package actor

import (
	"strconv"

	"github.com/rebound-init/rebound/internal/kernel"
)

// signalNames are the names that signals have.
func signalNames() []string {
	var names []string
	for sig := kernel.Signal(1); sig <= LastSignal; sig++ {
		if name := kernel.SignalName(sig); name != strconv.Itoa(int(sig)) {
			names = append(names, name)
		}
	}
	return names
}

// SignalNamed is the signal that a word names: TERM, or 15.
func SignalNamed(word string) (kernel.Signal, bool) {
	for sig := kernel.Signal(1); sig <= LastSignal; sig++ {
		if word == kernel.SignalName(sig) || word == strconv.Itoa(int(sig)) {
			return sig, true
		}
	}
	return 0, false
}

// all are the signals that can be ignored and blocked.
func all() []kernel.Signal {
	var sigs []kernel.Signal
	for sig := kernel.Signal(1); sig <= LastSignal; sig++ {
		if !unstoppable(sig) {
			sigs = append(sigs, sig)
		}
	}
	return sigs
}

// unstoppable are the signals that can be neither ignored nor blocked.
func unstoppable(sig kernel.Signal) bool {
	name := kernel.SignalName(sig)
	return name == "KILL" || name == "STOP"
}

package actor

import (
	"strconv"

	"github.com/rebound-init/rebound/internal/kernel"
)

// signalNames are the names of signals 1 to 31 (signal(7); the numbers are those of all the
// architectures Rebound is built for).
func signalNames() []string {
	return []string{
		"HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
		"USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
		"URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
	}
}

// SignalNamed is the signal that a word names: TERM, or 15.
func SignalNamed(word string) (kernel.Signal, bool) {
	for i, name := range signalNames() {
		if name == word {
			return kernel.Signal(i + 1), true
		}
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 || n > LastSignal || strconv.Itoa(n) != word {
		return 0, false
	}
	return kernel.Signal(n), true
}

// SignalName is the word for a signal.
func SignalName(sig kernel.Signal) string {
	if names := signalNames(); sig >= 1 && int(sig) <= len(names) {
		return names[sig-1]
	}
	return strconv.Itoa(int(sig))
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
	name := SignalName(sig)
	return name == "KILL" || name == "STOP"
}

package kernel

import "strconv"

// SignalName returns the name of a signal without its SIG, as kill(1) takes it, or the number of one
// that has no name. The names are those of signal(7) on all architectures Rebound is built for.
func SignalName(sig Signal) string {
	names := [...]string{
		"0", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
		"USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
		"URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
	}
	if sig >= 0 && int(sig) < len(names) {
		return names[sig]
	}
	return strconv.Itoa(int(sig))
}

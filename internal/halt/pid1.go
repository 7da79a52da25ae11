package halt

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A process is what /proc tells about PID 1.
type process struct {
	comm    string // the name the kernel has for it
	exe     string // its program's path, "" if that may not be seen
	cmdline string // its words, each ended by a NUL
	hears   uint64 // bit n-1: signal n is caught or blocked
	same    bool   // it runs the very file that this command runs from
}

// listens says whether a signal reaches PID 1. The kernel drops one that PID 1 neither catches nor
// blocks, and kill(2) succeeds all the same (kernel/signal.c, sig_task_ignored) [BusyBox 6.9].
func (p process) listens(sig unix.Signal) bool {
	return sig >= 1 && sig <= 64 && p.hears&(1<<(sig-1)) != 0
}

// parseStatus reads name and signal masks from the text of /proc/PID/status.
func parseStatus(text []byte) (comm string, hears uint64, err error) {
	values := map[string]string{"Name": "", "SigBlk": "", "SigCgt": ""}
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(string(line), ":")
		if _, wanted := values[key]; wanted {
			values[key] = strings.TrimSpace(value)
		}
	}
	if values["Name"] == "" {
		return "", 0, fmt.Errorf("/proc/1/status: no Name in its %d bytes", len(text))
	}
	for _, key := range []string{"SigBlk", "SigCgt"} {
		mask, err := strconv.ParseUint(values[key], 16, 64)
		if err != nil {
			return "", 0, fmt.Errorf("/proc/1/status: %s is %q, expected 16 hex digits",
				key, values[key])
		}
		hears |= mask
	}
	return values["Name"], hears, nil
}

// A dialect is how one kind of PID 1 is asked to bring the machine down.
type dialect struct {
	name    string         // what people call it
	signals [3]unix.Signal // by Action; 0 where no signal means that
	instead string         // what to use where there is none
	takes   bool           // whether it reads the argument of "reboot ARG" (package rebootparam)
	unsure  bool           // whether it is a program not known here
}

// sigRTMin is the first real-time signal as glibc counts, which keeps two for itself (signal(7)).
const sigRTMin = 34

// recognise tells the dialect of a PID 1. The table is in the order in which it decides.
//
// There is no search for a process called linuxrc, which BusyBox makes first: any script of that
// name swallows every request there [BusyBox 6.10, 10.24].
func recognise(p process) dialect {
	// The signals of BusyBox's init, which Rebound and others share [BusyBox 4.8].
	busybox := [3]unix.Signal{Halt: unix.SIGUSR1, PowerOff: unix.SIGUSR2, Reboot: unix.SIGTERM}
	exe := strings.TrimSuffix(p.exe[strings.LastIndexByte(p.exe, '/')+1:], " (deleted)")
	is := func(names ...string) bool {
		for _, name := range names {
			if p.comm == name || exe == name {
				return true
			}
		}
		return false
	}
	switch {
	case p.same:
		return dialect{name: "Rebound", signals: busybox, takes: true}

	// systemd(1): TERM re-executes it, USR1 and USR2 concern D-Bus and its log.
	case is("systemd"):
		return dialect{name: "systemd", signals: [3]unix.Signal{
			Halt: sigRTMin + 3, PowerOff: sigRTMin + 4, Reboot: sigRTMin + 5,
		}, instead: "systemctl"}

	// sysvinit is called init like many others, but writes its run level behind that name.
	// It is asked by a FIFO; USR1 and USR2 open and close that.
	case strings.HasPrefix(p.cmdline, "init ["):
		return dialect{name: "sysvinit", instead: "telinit 0 or 6"}

	case is("finit"): // USR1 reopens its socket since 4.1
		return dialect{name: "finit", signals: [3]unix.Signal{
			PowerOff: unix.SIGUSR2, Reboot: unix.SIGTERM,
		}, instead: "initctl halt"}
	case is("procd"): // USR1 powers off as well
		return dialect{name: "procd", signals: [3]unix.Signal{
			PowerOff: unix.SIGUSR2, Reboot: unix.SIGTERM,
		}, instead: "poweroff"}
	case is("sinit"): // TERM and USR2 are blocked and thrown away
		return dialect{name: "sinit", signals: [3]unix.Signal{
			PowerOff: unix.SIGUSR1, Reboot: unix.SIGINT,
		}, instead: "poweroff"}
	case is("oneit"):
		return dialect{name: "toybox oneit", signals: busybox}

	// What TERM, USR1 and USR2 mean to these is not what is asked here.
	case is("dinit"):
		return dialect{name: "dinit", instead: "its own shutdown"}
	case is("openrc-init"):
		return dialect{name: "openrc-init", instead: "openrc-shutdown"}
	case is("runit"):
		return dialect{name: "runit", instead: "runit-init 0 or 6"}
	case is("s6-svscan"):
		return dialect{name: "s6-svscan", instead: "its own shutdown"}
	case is("tini", "docker-init", "dumb-init", "catatonit", "podman-init"):
		// They pass signals on to the one program they run, where USR1 may mean anything.
		return dialect{name: p.comm, instead: "the container's own tools"}

	case strings.HasPrefix(exe, "busybox"):
		return dialect{name: "BusyBox", signals: busybox}
	case is("init", "linuxrc"):
		return dialect{name: "init", signals: busybox}
	}
	return dialect{name: p.comm, signals: busybox, unsure: true}
}

// signalName returns the name of a signal of a dialect.
func signalName(sig unix.Signal) string {
	switch sig {
	case unix.SIGUSR1:
		return "SIGUSR1"
	case unix.SIGUSR2:
		return "SIGUSR2"
	case unix.SIGTERM:
		return "SIGTERM"
	case unix.SIGINT:
		return "SIGINT"
	}
	return "SIGRTMIN+" + strconv.Itoa(int(sig)-sigRTMin)
}

// isRebound says whether a program's content is that of Rebound's init, for a system where the
// reboot command is a file of its own. It looks for the line that the Go linker leaves in every
// program about its main package (debug/buildinfo).
func isRebound(program []byte) bool {
	// Put together here, so that a program that only contains this function is not taken for it.
	mark := strings.Join([]string{"path", "github.com/rebound-init/rebound/cmd/init\n"}, "\t")
	return bytes.Contains(program, []byte(mark))
}

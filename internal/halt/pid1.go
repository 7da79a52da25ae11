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

// recognise tells the dialect of a PID 1, by its name or that of its program.
//
// There is no search for a process called linuxrc, which BusyBox makes first: any script of that
// name swallows every request there [BusyBox 6.10, 10.24].
func recognise(p process) dialect {
	exe := strings.TrimSuffix(p.exe[strings.LastIndexByte(p.exe, '/')+1:], " (deleted)")
	// The signals of BusyBox's init, which Rebound and others share [BusyBox 4.8].
	d := dialect{signals: [3]unix.Signal{
		Halt: unix.SIGUSR1, PowerOff: unix.SIGUSR2, Reboot: unix.SIGTERM,
	}}
	switch {
	case p.same:
		d.name, d.takes = "Rebound", true
		return d
	case strings.HasPrefix(p.cmdline, "init ["):
		// sysvinit is called init like many others, but writes its run level behind that name.
		// It is asked by a FIFO; USR1 and USR2 open and close that.
		return dialect{name: "sysvinit", instead: "telinit 0 or 6"}
	case strings.HasPrefix(exe, "busybox"):
		d.name = "BusyBox"
		return d
	}
	for _, name := range [...]string{p.comm, exe} {
		d.name = name
		switch name {
		case "oneit": // toybox's
			return d
		case "systemd":
			// systemd(1): TERM re-executes it, USR1 and USR2 concern D-Bus and its log.
			d.signals = [3]unix.Signal{
				Halt: sigRTMin + 3, PowerOff: sigRTMin + 4, Reboot: sigRTMin + 5,
			}
			d.instead = "systemctl"
			return d
		case "finit": // USR1 reopens its socket since 4.1
			d.signals[Halt], d.instead = 0, "initctl halt"
			return d
		case "procd": // USR1 powers off as well
			d.signals[Halt], d.instead = 0, "poweroff"
			return d
		case "sinit": // TERM and USR2 are blocked and thrown away
			d.signals = [3]unix.Signal{PowerOff: unix.SIGUSR1, Reboot: unix.SIGINT}
			d.instead = "poweroff"
			return d

		// What TERM, USR1 and USR2 mean to the others is not what is asked here.
		case "dinit", "s6-svscan":
			return dialect{name: name, instead: "its own shutdown"}
		case "openrc-init":
			return dialect{name: name, instead: "openrc-shutdown"}
		case "runit":
			return dialect{name: name, instead: "runit-init 0 or 6"}
		case "tini", "docker-init", "dumb-init", "catatonit", "podman-init":
			// They pass signals on to the one program they run.
			return dialect{name: name, instead: "the container's own tools"}
		}
	}
	// What has only the name in common is asked as BusyBox's init would be.
	d.name = p.comm
	d.unsure = p.comm != "init" && p.comm != "linuxrc" && exe != "init"
	return d
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

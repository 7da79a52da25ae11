package halt

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Action is the state that a command leaves the machine in.
type Action int

// The actions, in no order that matters.
const (
	Halt Action = iota
	PowerOff
	Reboot
)

// String returns the command's name, which is also the word PID 1 uses on the console.
func (a Action) String() string {
	switch a {
	case Halt:
		return "halt"
	case PowerOff:
		return "poweroff"
	case Reboot:
		return "reboot"
	}
	return "Action(" + strconv.Itoa(int(a)) + ")"
}

// ActionOf tells which command a program was called as, from its argv[0]: the last part of the
// path, without the dash that login puts before a shell's name [BusyBox 1.1, 6.1]. It reports
// false for any other name. BusyBox goes by the first letter alone; a program that brings a
// machine down should not answer to a name it has never heard.
func ActionOf(argv0 string) (Action, bool) {
	name := argv0[strings.LastIndexByte(argv0, '/')+1:]
	switch strings.TrimPrefix(name, "-") {
	case "halt":
		return Halt, true
	case "poweroff":
		return PowerOff, true
	case "reboot":
		return Reboot, true
	}
	return 0, false
}

// settings is what a command line asks for.
type settings struct {
	action   Action
	delay    time.Duration
	noSync   bool
	force    bool
	wtmpOnly bool
	help     bool
	version  bool
	arg      string // of reboot(2), "" if none
	ignored  string // an operand that has no meaning here, "" if none
}

// parse reads the command line without its first word.
func parse(action Action, args []string) (settings, error) {
	s := settings{action: action}
	flag := func(b *bool) func(string) error {
		return func(string) error { *b = true; return nil }
	}
	operands, err := getopt(args, []option{
		{letter: 'd', long: "delay", value: true, set: func(v string) (err error) {
			s.delay, err = seconds(v)
			return err
		}},
		{letter: 'n', long: "no-sync", set: flag(&s.noSync)},
		{letter: 'f', long: "force", set: flag(&s.force)},
		{letter: 'w', long: "wtmp-only", set: flag(&s.wtmpOnly)},
		// sysvinit takes the network down at -i. Scripts still pass it [BusyBox 6.2].
		{letter: 'i', set: func(string) error { return nil }},
		{long: "help", set: flag(&s.help)},
		{long: "version", set: flag(&s.version)},
	})
	if err != nil {
		return s, err
	}
	switch {
	case len(operands) == 0:
	case action != Reboot:
		// "poweroff now" and the like come from people who mean shutdown(8).
		s.ignored = operands[0]
	case len(operands) > 1:
		// BusyBox ignores them all [BusyBox 6.2], but to restart a machine into something
		// else than was meant is worse than to refuse.
		return s, fmt.Errorf("at most one argument, got %d", len(operands))
	default:
		s.arg = operands[0]
	}
	return s, nil
}

// seconds reads the value of -d: digits only, up to 32 bits [BusyBox 6.3].
func seconds(v string) (time.Duration, error) {
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("invalid number '%s'", v)
	}
	return time.Duration(n) * time.Second, nil
}

// usage returns the text of --help for a command.
func usage(a Action) string {
	head, tail, does := "", "", ""
	switch a {
	case Halt:
		does = "Stop the machine and leave it powered."
	case PowerOff:
		does = "Stop the machine and switch it off."
	case Reboot:
		does, head = "Restart the machine.", " [ARG]"
		tail = "  ARG                  tell the firmware or boot loader, as reboot(2) passes it on\n"
	}
	return "Usage: " + a.String() + " [-d SECONDS] [-fnwi]" + head + "\n\n" + does + "\n\n" +
		"  -d, --delay=SECONDS  wait first\n" +
		"  -f, --force          do not ask PID 1, call reboot(2); nothing is stopped or unmounted\n" +
		"  -n, --no-sync        with -f: do not write out the disks first\n" +
		"  -w, --wtmp-only      only write the record of /var/log/wtmp\n" +
		"  -i                   ignored\n" +
		tail +
		"      --help           print this\n" +
		"      --version        print the version\n"
}

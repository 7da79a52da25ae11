// Package inittab reads /etc/inittab, the file that says what init runs, when, and on which
// terminal.
//
// Each line is one entry of four fields:
//
//	id:runlevels:action:command
//
//	::sysinit:/etc/init.d/rcS
//	tty2::askfirst:-/bin/sh
//	ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100
//	::shutdown:/bin/umount -a -r
//
// The id is the terminal of the command, a name in /dev; left empty, the command shares
// init's own. The runlevels are ignored. The action says when the command runs, and what
// happens when it ends. The command takes the rest of the line, further colons included.
//
// A line that is empty or has # as its first byte is skipped. A # further on starts a comment
// too, wherever it stands, and no quote or backslash protects it. A backslash at the end of a
// line joins the next one to it.
//
// The format is that of BusyBox init, to the byte, and so are its traps: [Parse] reports them
// beside the mistakes. References such as [BusyBox 2.14] are to the numbered statements in
// docs/busybox.md.
//
// The package works on text alone. It opens no file and starts nothing.
package inittab

import "strings"

// An Action says when init runs an entry's command, and what it does when the command ends.
// The zero Action is none of them.
type Action uint8

// The actions, in the order in which the groups run [BusyBox 2.22 to 2.28].
const (
	// Sysinit entries run first at boot, one after another, each waited for.
	Sysinit Action = iota + 1
	// Wait entries run after all sysinit entries, in the same way.
	Wait
	// Once entries are started after all wait entries, and not waited for.
	Once
	// Respawn entries are started after all once entries, and again whenever they end.
	Respawn
	// AskFirst is Respawn that waits for Enter on the terminal before each start.
	AskFirst
	// CtrlAltDel entries run one after another when Ctrl-Alt-Del is pressed, that is, when
	// init gets SIGINT.
	CtrlAltDel
	// Shutdown entries run one after another on the way down, before any process is killed.
	Shutdown
	// Restart names the program that init becomes on SIGQUIT. Only the first one counts.
	Restart
)

// Actions returns all actions, in the order of their constants.
func Actions() []Action {
	return []Action{Sysinit, Wait, Once, Respawn, AskFirst, CtrlAltDel, Shutdown, Restart}
}

// String returns the action as it is written in the file. For a value that is no action it
// returns "no action".
func (a Action) String() string {
	switch a {
	case Sysinit:
		return "sysinit"
	case Wait:
		return "wait"
	case Once:
		return "once"
	case Respawn:
		return "respawn"
	case AskFirst:
		return "askfirst"
	case CtrlAltDel:
		return "ctrlaltdel"
	case Shutdown:
		return "shutdown"
	case Restart:
		return "restart"
	default:
		return "no action"
	}
}

// actionNamed returns the action written as word: its exact name, in lower case and without
// blanks around it [BusyBox 2.8]. For any other word it returns 0.
func actionNamed(word string) Action {
	for a := Sysinit; a <= Restart; a++ {
		if word == a.String() {
			return a
		}
	}
	return 0
}

// An Entry is one command of the table.
type Entry struct {
	ID        string // the first field as written
	Runlevels string // the second field as written; init ignores it
	TTY       string // the device made of the id, or "" for init's own terminal
	Action    Action
	Command   string // never empty
	FirstLine int    // where the entry begins in the file, from 1; 0 in a built-in table
	Line      int    // where it ends: the same line, unless backslashes join several
}

// A Key is what makes two entries the same one: their commands, byte by byte, and their
// devices [BusyBox 2.14]. No table holds a key twice.
//
// A running process belongs to a key, not to an entry. When the file is read again, the
// process is that of the entry which has its key now, whatever action that entry has and
// wherever it stands; a process whose key is gone runs on alone, and is found again if its
// line comes back before it ends [BusyBox 2.31, 2.34].
type Key struct {
	Command string
	TTY     string
}

// Key returns the entry's key.
func (e Entry) Key() Key {
	return Key{Command: e.Command, TTY: e.TTY}
}

// String returns the entry as a line of the file, without a newline. Behind a backslash at the
// end of the command it puts a comment: the backslash would join the next line.
func (e Entry) String() string {
	line := e.ID + ":" + e.Runlevels + ":" + e.Action.String() + ":" + e.Command
	if strings.HasSuffix(line, `\`) {
		line += "#"
	}
	return line
}

// A Table holds the entries in the order in which init goes through them.
type Table []Entry

// BuiltIn returns the table for a machine without an inittab [BusyBox 2.20].
func BuiltIn() Table {
	return table(`::sysinit:/etc/init.d/rcS
::askfirst:-/bin/sh
tty2::askfirst:-/bin/sh
tty3::askfirst:-/bin/sh
tty4::askfirst:-/bin/sh
::ctrlaltdel:reboot
::shutdown:umount -a -r
::shutdown:swapoff -a
::restart:init
`)
}

// SingleUser returns the table for a boot into single-user mode: one shell on init's own
// terminal, and nothing on the way down [BusyBox 1.22].
func SingleUser() Table {
	return table("::respawn:-/bin/sh\n")
}

// table reads a table that is in no file.
func table(text string) Table {
	t, _ := Parse("", []byte(text))
	for i := range t {
		t[i].FirstLine, t[i].Line = 0, 0
	}
	return t
}

// device returns the path of the terminal that an id names: one leading /dev/ and then all
// leading slashes are dropped, and /dev/ is put in front. The empty id names init's own
// terminal, which has no path [BusyBox 2.11].
//
// BusyBox cuts the path to 31 bytes [BusyBox 2.12] and then opens another device than the
// one asked for. We keep it whole, and report it.
func device(id string) string {
	if id == "" {
		return ""
	}
	return "/dev/" + strings.TrimLeft(strings.TrimPrefix(id, "/dev/"), "/")
}

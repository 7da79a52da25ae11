package inittab

import (
	"strconv"
	"strings"
)

// This file knows what is accepted and yet does something else than it seems to say.

// lineTraps reports what joined lines and NUL bytes hide.
func (p *parser) lineTraps(l line) {
	if l.swallowed > 0 {
		into := "entry"
		if strings.HasPrefix(l.text, "#") {
			into = "comment"
		}
		p.report(Trap, l,
			"the entry at line "+strconv.Itoa(l.swallowed)+" is taken for part of the "+into+
				" that begins at line "+strconv.Itoa(l.first)+
				": a backslash at the end of a line joins the next one to it",
			"delete the backslash")
	}
	if l.dangling && !strings.HasPrefix(l.text, "#") {
		p.report(Trap, l, "the backslash at the end of the file joins nothing, and is dropped",
			"delete the backslash, or write the rest of the command")
	}
	if l.nul {
		p.report(Trap, l, "a NUL byte ends the line: what follows it is not read",
			"delete the NUL byte")
	}
}

// entryTraps reports what is surprising about one entry by itself. In a line that a # cut
// short, commented is true.
func (p *parser) entryTraps(l line, e Entry, commented bool) {
	trap := func(text, remedy string) {
		if text != "" {
			p.report(Trap, l, text, remedy)
		}
	}
	trap(deviceTrap(e))
	if e.Runlevels != "" {
		trap("there are no runlevels: the entry is used, whatever "+quote(e.Runlevels)+
			" is to select",
			"leave the second field empty; delete the entry if it is for another runlevel")
	}
	if strings.HasSuffix(e.Command, "\r") {
		// One for the file, in tableTraps: whole files have DOS line ends.
		if p.carriageReturns++; p.carriageReturns == 1 {
			p.firstCR = l
		}
	}

	bare, login := strings.CutPrefix(e.Command, "-")
	words := strings.Trim(bare, " \t\r")
	if words == "" {
		trap("the command has no words: running it fails each time", "write a command")
		return
	}
	shell := needsShell(bare)
	var sc script
	if shell {
		sc = scan(bare)
	}
	// A # behind a blank and outside quotes is a comment to everyone. In any other place
	// someone meant it.
	last := e.Command[len(e.Command)-1]
	cut := commented && (sc.unclosed != "" || last != ' ' && last != '\t')
	if cut {
		trap("the # cuts the command short: what runs is "+quote(e.Command),
			"no quote or backslash protects a #: put the command into a script and run that")
	} else if commented {
		p.report(Note, l, "the command ends before the #: the rest of the line is a comment", "")
	}
	if !shell && blank(rune(bare[0])) {
		text := "the command begins with a blank: running it fails each time"
		if login {
			text = "the dash has no program right behind it: running the command fails each time"
		}
		trap(text, "delete the blanks before "+quote(firstWord(words)))
		return
	}
	if cut && sc.unclosed != "" {
		return // The quote was closed behind the #.
	}
	trap(execTrap(e, bare, sc))
}

// deviceTrap says what is odd about the terminal of an entry.
func deviceTrap(e Entry) (text, remedy string) {
	name := strings.TrimPrefix(e.TTY, "/dev/")
	switch {
	case e.TTY == "":
		return "", ""
	case name == "":
		return "the id " + quote(e.ID) + " names no device",
			"leave the id empty, or write the name of a terminal"
	case strings.ContainsAny(name, " \t\r\v\f") || strings.Contains(name, byteOrderMark):
		return "the device " + quote(e.TTY) +
				" has blanks in its name: an id is taken as it stands",
			"delete the blanks"
	case len(name) <= 2 || strings.Trim(name, "0123456789") == "":
		// No terminal has such a name. The entry comes from sysvinit, where it is a label.
		return "the id is no label but a terminal: the command is run on " + quote(e.TTY),
			"leave the id empty, or write the name of a terminal"
	case name == ".." || strings.HasPrefix(name, "../") || strings.Contains(name, "/.."):
		return "the device " + quote(e.TTY) + " leads out of /dev", "write a name in /dev"
	case len(e.TTY) > 31:
		return "the device name is longer than BusyBox init's 31 bytes: it would open " +
				strconv.Quote(e.TTY[:31]) + "; Rebound opens the whole name",
			"give the device a shorter link in /dev if BusyBox may read this file"
	}
	return "", ""
}

// execTrap says what becomes of a command that the shell does not run as it stands, because
// init puts exec in front of it [BusyBox 3.13]; and of commands that are no programs.
func execTrap(e Entry, bare string, sc script) (text, remedy string) {
	const exec = "init puts exec in front of the command, "
	word := firstWord(bare)
	switch {
	case sc.unclosed != "":
		return "the shell cannot read the command: a " + sc.unclosed + " in it is never closed",
			"close it"
	case isKeyword(word):
		return exec + "behind which " + quote(word) + " does not begin a command", inShell(bare)
	case word == "exec":
		return "exec is no program: running it fails each time",
			"delete exec: the command replaces the shell in any case"
	case isBuiltin(word):
		return quote(word) +
				" is a command of the shell and no program: running it fails each time",
			inShell(bare)
	case isAssignment(word):
		return exec + "which takes " + quote(word) + " for the program", "put env in front of it"
	case sc.operator == "(" || sc.operator == ")":
		return "the shell cannot read the command: a " + sc.operator + " in it stands alone",
			"put it between quotes"
	case sc.operator == "&" || sc.trailing:
		text = "the & sends the command to the background: init takes it for ended at once"
		switch e.Action {
		case Respawn, AskFirst:
			text += ", and starts the next one"
		case Sysinit, Wait, CtrlAltDel, Shutdown:
			text += ", and does not wait for it"
		case Once, Restart:
		}
		return text, "delete the &; write once for a command that init is not to wait for"
	case sc.operator == ";" || sc.operator == "&&" || sc.operator == "||":
		rest := strings.Trim(bare[sc.at+len(sc.operator):], " \t")
		if rest == "" {
			return "", ""
		}
		return "only " + quote(strings.Trim(bare[:sc.at], " \t")) + " runs: " + exec +
			"so that the shell never comes to " + quote(rest), inShell(bare)
	}
	// A pipeline is fine: each of its commands has a process of its own to be replaced.
	return "", ""
}

// inShell is the usual way around exec.
func inShell(bare string) string {
	bare = strings.Trim(bare, " \t\r")
	control := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	if strings.Contains(bare, "'") || strings.ContainsFunc(bare, control) {
		return "put the command into a script and run that"
	}
	return "write /bin/sh -c '" + bare + "'"
}

// replaced says what becomes of an entry that has a later twin [BusyBox 2.14, 2.15].
func replaced(e, twin Entry) (text, remedy string) {
	line := strconv.Itoa(twin.Line)
	if e.Action == twin.Action {
		return "line " + line + " repeats this entry, and stands for both: it runs once, there",
			"delete one of the lines; if it is to run twice, add a blank at the end of one"
	}
	return "this " + e.Action.String() + " entry is replaced by the " + twin.Action.String() +
			" entry at line " + line + ", which has the same command on the same device",
		"add a blank at the end of one of the lines: commands are compared byte by byte"
}

// tableTraps reports entries that get in each other's way.
func (p *parser) tableTraps() {
	if p.carriageReturns > 0 {
		p.report(Trap, p.firstCR,
			"the command ends in a carriage return, which becomes part of its last word"+
				others(p.carriageReturns-1), unixLines)
	}
	readers := make(map[string]int) // by terminal: where in the table its first reader is
	var restart Entry
	for i, e := range p.table {
		if e.Action == Restart {
			if restart.Action == 0 {
				restart = e
			} else {
				p.reportEntry(Trap, e, "never used: only the first restart entry counts, at line "+
					strconv.Itoa(restart.Line), "delete one of the two")
			}
		}
		if !readsTerminal(e) {
			continue
		}
		first, taken := readers[e.TTY]
		if !taken {
			readers[e.TTY] = i
			continue
		}
		tty := e.TTY
		if tty == "" {
			tty = "init's own terminal"
		}
		other := p.table[first]
		p.reportEntry(Trap, e, "the "+other.Action.String()+" entry at line "+
			strconv.Itoa(other.Line)+" reads "+tty+" too: each gets some of what is typed",
			"give each its own terminal, or delete one")
	}
}

// others counts the further places of a trap that is reported once for the file.
func others(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "; so does 1 other"
	default:
		return "; so do " + strconv.Itoa(n) + " others"
	}
}

// readsTerminal reports whether an entry keeps reading a terminal: one that was given its own,
// and on init's own terminal a login shell or whatever waits for Enter first. Daemons on
// init's own terminal do not read it.
func readsTerminal(e Entry) bool {
	if e.Action != Respawn && e.Action != AskFirst {
		return false
	}
	switch e.TTY {
	case "":
		return e.Action == AskFirst || strings.HasPrefix(e.Command, "-")
	case "/dev/null", "/dev/zero", "/dev/full", "/dev/kmsg":
		return false
	default:
		return true
	}
}

// tableNotes says what the table does without.
func (p *parser) tableNotes() {
	note := func(text string) {
		p.found = append(p.found, Diagnostic{Severity: Note, File: p.file, Text: text})
	}
	if len(p.table) == 0 {
		p.found = append(p.found, Diagnostic{
			Severity: Trap, File: p.file,
			Text:   "there are no entries: init will start nothing at all",
			Remedy: "write some, or remove the file: without one init uses a built-in table",
		})
		return
	}
	var has [Restart + 1]bool
	for _, e := range p.table {
		has[e.Action] = true
	}
	if !has[Respawn] && !has[AskFirst] {
		note("there is no respawn or askfirst entry: nothing is kept running")
	}
	if !has[Shutdown] {
		note("there is no shutdown entry: no command runs on the way down")
	}
	if !has[CtrlAltDel] {
		note("there is no ctrlaltdel entry: Ctrl-Alt-Del does nothing")
	}
}

// quote makes text from the file fit for a message: in quotes, control characters visible,
// and the middle of something long left out.
func quote(s string) string {
	const most = 80
	if len(s) <= most {
		return strconv.Quote(s)
	}
	head := strconv.Quote(s[:most/2])
	tail := strconv.Quote(s[len(s)-most/4:])
	return head[:len(head)-1] + " ... " + tail[1:]
}

package differential

import (
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/pidns"
)

// transcript is all that was seen of one init, one fact a line, with what cannot be equal (pids,
// times, numbers of pseudo-terminals) replaced by what it stands for.
func (p *player) transcript(v pidns.View, killed bool) []string {
	lines := append([]string{}, p.records...)
	names := []string{"console"}
	names = append(names, p.plan.Terminals...)
	for _, name := range names {
		for _, line := range strings.SplitAfter(v.Text(name), "\n") {
			if line != "" {
				lines = append(lines, name+" "+visible(line))
			}
		}
	}
	for _, e := range v.Events {
		switch e.From {
		case "log":
			lines = append(lines, "log "+logLine(e.Text))
		case "trouble":
			lines = append(lines, "trouble "+e.Text)
		}
	}
	lines = append(lines, p.starts(v)...)
	if killed {
		return append(lines, "end: still running when the steps were over")
	}
	return append(lines, "end: "+ending(v.Status))
}

func ending(ws syscall.WaitStatus) string {
	switch {
	case ws.Exited():
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	case ws.Signaled():
		return "killed by " + unix.SignalName(ws.Signal())
	}
	return fmt.Sprintf("status %#x", uint32(ws))
}

// visible shows control characters as Go escapes.
func visible(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

var (
	syslogDate = regexp.MustCompile(`^<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d `)
	pidNumber  = regexp.MustCompile(`\bpid \d+`)
)

// logLine is a syslog datagram without its date and pids, but with its priority.
func logLine(s string) string {
	s = syslogDate.ReplaceAllString(s, "<$1> ")
	return visible(pidNumber.ReplaceAllString(s, "pid N"))
}

// starts lists what each probe reported. Processes started together report in any order, so that
// they are listed by name; the order of starting is in the log.
func (p *player) starts(v pidns.View) []string {
	groups := map[string][]string{}
	var names []string
	count := map[string]int{}
	for _, e := range v.Events {
		r := e.Report
		if r == nil {
			continue
		}
		name := r.Name
		if _, ok := groups[name]; !ok {
			names = append(names, name)
		}
		if r.Note != "" {
			groups[name] = append(groups[name],
				fmt.Sprintf("%s noted %s %s", name, r.Note, visible(r.Text)))
			continue
		}
		count[name]++
		label := name
		if count[name] > 1 {
			label = fmt.Sprintf("%s(%d)", name, count[name])
		}
		groups[name] = append(groups[name], p.describe(label, r)...)
	}
	sort.Strings(names)
	var lines []string
	for _, name := range names {
		lines = append(lines, groups[name]...)
	}
	return lines
}

// describe is one probe's report, a fact a line, each with the probe's name.
func (p *player) describe(label string, r *pidns.Report) []string {
	var lines []string
	say := func(form string, args ...any) {
		lines = append(lines, label+" "+fmt.Sprintf(form, args...))
	}
	say("argv %q", r.Argv)
	for _, fd := range r.FDs {
		say("fd %d %s", fd.FD, p.describeFD(fd))
	}
	env := append([]string{}, r.Env...)
	sort.Strings(env)
	for _, e := range env {
		say("env %s", visible(e))
	}
	say("process %s parent %s session %s group %s", kin(r.PID, r.PID), kin(r.PPID, r.PID),
		kin(r.SID, r.PID), kin(r.PGID, r.PID))
	say("terminal %s, /dev/tty opens %v, in the foreground %v",
		p.terminalName(r.TTYMajor, r.TTYMinor), r.DevTTY == 1, r.Foreground == 1)
	say("cwd %s umask %04o nice %s oom_score_adj %s", r.CWD, r.Umask,
		orGiven(r.Nice, given().Nice), orGiven(r.OOM, given().OOM))
	say("signals blocked %s ignored %s caught %s pending %s", signalSet(r.Blocked),
		signalSet(r.Ignored), signalSet(r.Caught), signalSet(r.SharedPending))
	say("ids %s; %s; groups %s capabilities %s no_new_privs %s seccomp %s", r.UID, r.GID,
		orGiven(r.Groups, given().Groups), capabilities(r.Capabilities),
		orGiven(r.NoNewPrivs, given().NoNewPrivs), orGiven(r.Seccomp, given().Seccomp))
	say("limits%s", limits(r.Limits))
	for i, line := range lines {
		lines[i] = strings.ReplaceAll(line, "\t", " ")
	}
	return lines
}

// kin names a pid as seen from a process: itself, init, or the namespace's outside.
func kin(pid, self int) string {
	switch pid {
	case 0:
		return "outside"
	case 1:
		return "1"
	case self:
		return "own"
	}
	return "another"
}

func (p *player) terminalName(major, minor uint32) string {
	if major == 0 {
		return "none"
	}
	for name, t := range p.room.Terminals {
		if major == pidns.PTYMajor && t.Minor == minor {
			return name
		}
	}
	return fmt.Sprintf("device %d:%d", major, minor)
}

func (p *player) describeFD(fd pidns.FD) string {
	var what string
	switch fd.Type {
	case unix.S_IFCHR:
		what = p.terminalName(uint32(fd.Major), uint32(fd.Minor))
		if fd.Major == 1 && fd.Minor == 3 {
			what = "/dev/null"
		}
	case unix.S_IFIFO:
		what = "pipe"
	case unix.S_IFSOCK:
		what = "socket"
	case unix.S_IFDIR:
		what = "directory"
	case unix.S_IFREG:
		what = "file"
	default:
		what = fmt.Sprintf("type %#o", fd.Type)
	}
	how := []string{"read-only", "write-only", "read-write", "?"}[fd.Flags&unix.O_ACCMODE]
	// The kernel sets O_LARGEFILE on its own, 0100000 on every 64-bit architecture but two.
	rest := fd.Flags &^ (unix.O_ACCMODE | 0o100000)
	if rest&unix.O_NONBLOCK != 0 {
		rest &^= unix.O_NONBLOCK
		how += " non-blocking"
	}
	if rest != 0 {
		how += fmt.Sprintf(" flags %#o", rest)
	}
	if fd.CloExec != 0 {
		how += " close-on-exec"
	}
	return what + " " + how
}

// signalSet names the signals of a mask of /proc/PID/status.
func signalSet(mask string) string {
	bits, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		return mask
	}
	var names []string
	for n := 1; n <= 64; n++ {
		if bits&(1<<(n-1)) == 0 {
			continue
		}
		name := strings.TrimPrefix(unix.SignalName(syscall.Signal(n)), "SIG")
		if name == "" {
			name = strconv.Itoa(n)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "+")
}

// difference lists the lines that only one of two transcripts has, in order: "-" before those of
// the first, "+" before those of the second.
func difference(a, b []string) []string {
	// The lengths of the longest common subsequences of all tails.
	tails := make([][]int, len(a)+1)
	for i := range tails {
		tails[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				tails[i][j] = tails[i+1][j+1] + 1
			} else {
				tails[i][j] = max(tails[i+1][j], tails[i][j+1])
			}
		}
	}
	var out []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || tails[i+1][j] >= tails[i][j+1]):
			out = append(out, "-"+a[i])
			i++
		default:
			out = append(out, "+"+b[j])
			j++
		}
	}
	return out
}

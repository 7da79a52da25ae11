package pid1

import (
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/shutdown"
)

// Snapshot says which processes are whose, for the init that takes over after a crash of this one.
// It is text, a fact a line, so that a half-written one is still of use:
//
//	phase 3
//	waiting 17
//	down reboot
//	service 21 5000000000 /dev/tty1<NUL>/sbin/getty 38400 tty1
//
// An inittab's words hold neither a newline nor a NUL [BusyBox 2.6].
func (in *Init) Snapshot() []byte {
	var b strings.Builder
	b.WriteString("phase " + strconv.Itoa(int(in.boot.phase)) + "\n")
	if in.boot.seq.waiting != 0 {
		b.WriteString("waiting " + strconv.Itoa(int(in.boot.seq.waiting)) + "\n")
		b.WriteString("left " + strconv.Itoa(len(in.boot.seq.queue)) + "\n")
	}
	if in.way != nil {
		b.WriteString("down " + in.way.Action().String() + "\n")
	}
	for _, sv := range in.services.all {
		if sv.pid == 0 {
			continue
		}
		b.WriteString("service " + strconv.Itoa(int(sv.pid)) + " " +
			strconv.FormatInt(int64(sv.since), 10) + " " + sv.TTY + "\x00" +
			sv.Command + "\n")
	}
	return []byte(b.String())
}

// resume goes on where an init that has crashed has left off. Lines that say nothing are skipped.
func (in *Init) resume() {
	in.note(kernel.Error, "init has crashed and goes on with its children")
	left, down := 0, shutdown.Action(0)
	for line := range strings.Lines(string(in.opt.State)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch word {
		case "phase":
			if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= int(booted) {
				in.boot.phase = phase(n)
			}
		case "waiting":
			if pid, err := strconv.Atoi(rest); err == nil && pid > 1 {
				in.boot.seq.waiting = kernel.PID(pid)
			}
		case "left":
			left, _ = strconv.Atoi(rest)
		case "down":
			down = shutdown.ActionNamed(rest)
		case "service":
			in.adopt(rest)
		}
	}
	switch in.boot.phase {
	case sysinit:
		in.boot.seq.queue = lastOf(of(in.table, inittab.Sysinit), left)
	case wait:
		in.boot.seq.queue = lastOf(of(in.table, inittab.Wait), left)
	case once:
		// Which of them were started is not known, and starting one twice is worse.
		in.boot.phase = booted
	case booted:
	}
	if in.boot.seq.waiting != 0 {
		in.services.children[in.boot.seq.waiting] = child{entry: &inittab.Entry{}}
	}
	if in.boot.phase == booted {
		in.scheduleNew()
	}
	// No SIGCHLD comes for what the former program has left unreaped.
	in.reap()
	if down != 0 {
		in.services.stop()
		in.way = shutdown.Resume(in.k, in, in.limits(), in.at, down, in.restartEntry())
	}
}

func lastOf(es []*inittab.Entry, n int) []*inittab.Entry {
	return es[len(es)-max(0, min(n, len(es))):]
}

// adopt takes over a service's process.
func (in *Init) adopt(rest string) {
	fields := strings.SplitN(rest, " ", 3)
	if len(fields) != 3 {
		return
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || pid <= 1 {
		return
	}
	since, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return
	}
	tty, command, ok := strings.Cut(fields[2], "\x00")
	if !ok {
		return
	}
	sv := &service{
		Entry: &inittab.Entry{TTY: tty, Command: command, Action: inittab.Respawn},
		pid:   kernel.PID(pid), since: time.Duration(since), index: -1,
	}
	for i := range in.table {
		if e := &in.table[i]; e.Key() == sv.Key() {
			sv.Entry, sv.listed = e, isService(e.Action)
		}
	}
	in.services.all = append(in.services.all, sv)
	in.services.children[sv.pid] = child{entry: sv.Entry, sv: sv}
}

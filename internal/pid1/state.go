package pid1

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/shutdown"
)

// Snapshot says how far the boot has come and which processes are whose, for the init that takes
// over after a crash of this one. It is text, a fact a line:
//
//	phase 1
//	waiting 17
//	left 2
//	cadwaiting 0
//	cadleft 0
//	log 812
//	taint 512
//	paused 16384
//	down reboot
//	starved the kernel has oopsed
//	service 21 5000000000 /dev/tty1<NUL>/sbin/getty 38400 tty1
//
// An inittab's words hold neither a newline nor a NUL [BusyBox 2.6].
func (in *Init) Snapshot() []byte {
	var f facts
	f.number("phase", int(in.boot.phase))
	f.number("waiting", int(in.boot.seq.waiting))
	f.number("left", len(in.boot.seq.queue))
	f.number("cadwaiting", int(in.cad.waiting))
	f.number("cadleft", len(in.cad.queue))
	at := in.log.Position()
	f.number("log", int(at.Next))
	f.number("taint", int(at.Taint))
	if in.paused {
		f.add("paused", strconv.FormatUint(in.held, 10))
	}
	down := in.asked
	if in.way != nil {
		down = in.way.Action()
		f.add("argument", in.way.Argument())
	}
	if down != 0 {
		f.add("down", down.String())
	}
	if in.dogs != nil {
		f.add("starved", in.dogs.Starving())
	}
	for i, sv := range in.services.all {
		if sv.pid == 0 {
			continue
		}
		key := in.services.key(int32(i))
		f.add("service", strconv.Itoa(int(sv.pid))+" "+strconv.FormatInt(int64(sv.at), 10)+" "+
			key.TTY+"\x00"+key.Command)
	}
	return f
}

// facts are the lines of a snapshot. Its methods inlined in all their places would show in the size
// of PID 1.
type facts []byte

// add adds a line, unless there is nothing to say.
//
//go:noinline
func (f *facts) add(word, rest string) {
	if rest != "" {
		*f = append(*f, word+" "+rest+"\n"...)
	}
}

//go:noinline
func (f *facts) number(word string, n int) { f.add(word, strconv.Itoa(n)) }

// resume goes on where an init that has crashed has left off. Lines that say nothing are skipped.
func (in *Init) resume() {
	in.note(kernel.Error, "init has crashed and goes on with its children")
	if len(in.opt.State) == 0 {
		// The snapshot is lost. To start everything once more beside what runs is worse than
		// to start nothing: an init without its services still goes down in order.
		in.warn("what init knew is lost in its crash: reboot when you can")
		in.boot.phase = booted
		in.openWatchdogs()
		in.followLog(panicwatch.Position{})
		in.reap()
		return
	}
	var log panicwatch.Position
	left, cadLeft, down, arg := uint64(0), uint64(0), shutdown.Action(0), ""
	places := in.services.places()
	for line := range strings.Lines(string(in.opt.State)) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseUint(rest, 10, 64)
		switch word {
		case "phase":
			if err == nil && n <= uint64(booted) {
				in.boot.phase = phase(n)
			}
		case "waiting":
			in.boot.seq.waiting = in.adoptWaited(rest)
		case "left":
			left = n
		case "cadwaiting":
			in.cad.waiting = in.adoptWaited(rest)
		case "cadleft":
			cadLeft = n
		case "paused":
			in.paused, in.held = true, n
		case "down":
			down = shutdown.ActionNamed(rest)
		case "argument":
			arg = rest
		case "starved":
			in.starved = rest
		case "service":
			in.adopt(rest, places)
		}
	}
	in.openWatchdogs()
	in.followLog(log)
	switch in.boot.phase {
	case toCome:
		// The crash came first.
		in.startBoot()
	case sysinit:
		in.boot.seq.queue = lastOf(of(in.table, inittab.Sysinit), left)
	case wait:
		in.boot.seq.queue = lastOf(of(in.table, inittab.Wait), left)
	case once:
		// Which of them were started is not known, and starting one twice is worse.
		in.boot.phase = booted
	case booted:
	}
	in.cad.queue = lastOf(of(in.table, inittab.CtrlAltDel), cadLeft)
	if in.boot.phase == booted {
		in.scheduleIdle()
	}
	// No SIGCHLD comes for what the former program has left unreaped.
	in.reap()
	if down != 0 {
		in.asked, in.paused = down, false
		in.way = shutdown.Resume(in.k, in, in.limits(), in.at, down, in.restartEntry(), arg)
	}
}

// adoptable reports whether there is such a process, and nobody knows it yet. It may be gone: the
// crash came when its status had just been taken.
func (in *Init) adoptable(pid kernel.PID) bool {
	service := in.services.whose(pid) != none
	_, command := in.commands[pid]
	return pid > 1 && !service && !command && !errors.Is(in.k.Kill(pid, 0), kernel.ESRCH)
}

// adoptWaited takes over a process that a sequence waits for.
//
//go:noinline
func (in *Init) adoptWaited(rest string) kernel.PID {
	n, err := strconv.Atoi(rest)
	pid := kernel.PID(n)
	if err != nil || !in.adoptable(pid) {
		return 0
	}
	in.commands[pid] = inittab.Entry{}
	return pid
}

//go:noinline
func lastOf(es []inittab.Entry, n uint64) []inittab.Entry {
	return es[len(es)-int(min(n, uint64(len(es)))):]
}

// adopt takes over a service's process.
//
//go:noinline
func (in *Init) adopt(rest string, places map[inittab.Key]int32) {
	fields := strings.SplitN(rest, " ", 3)
	if len(fields) != 3 {
		return
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil || !in.adoptable(kernel.PID(pid)) {
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
	key := inittab.Key{Command: command, TTY: tty}
	i, known := places[key]
	if !known {
		i = in.services.addStray(key)
		places[key] = i
	}
	if in.services.at(i).pid != 0 {
		return // One process of an entry is enough.
	}
	in.services.at(i).at = time.Duration(since)
	in.services.started(i, kernel.PID(pid))
}

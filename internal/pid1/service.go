package pid1

import (
	"container/heap"
	"slices"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
)

const (
	// longLife is how long a command must run to be started again at once.
	longLife = 10 * time.Second
	// firstDelay is the pause after a shorter life. It doubles up to lastDelay, and there it
	// stays: a command is never given up.
	firstDelay = time.Second
	lastDelay  = 30 * time.Second
)

// service is a respawn or askfirst entry, with what has become of it. It outlives its line in the
// inittab while its process runs.
type service struct {
	*inittab.Entry
	pid    kernel.PID // 0 when it does not run
	prompt kernel.FD  // the terminal on which we wait for Enter, or 0
	// terminal is the one on which Enter was pressed, kept open while the command runs, or 0.
	// Were we to close it before the command opens it, what was typed ahead would be lost.
	terminal  kernel.FD
	since     time.Duration
	delay     time.Duration
	typed     bool   // somebody has pressed Enter for this life
	announced bool   // that it keeps dying
	said      uint16 // the last failure to start it, see isNews
	listed    bool   // it is in the inittab, as respawn or askfirst

	due   time.Duration // when it is to be started
	order int           // of two that are due, the one with the lower number first
	index int           // in the queue, -1 when it is not there
}

// services are all of them.
type services struct {
	all      []*service
	asking   map[kernel.FD]*service
	children map[kernel.PID]child
	queue    queue
	next     int
}

// child is a command that runs.
type child struct {
	entry *inittab.Entry
	sv    *service // or nil, for one that is not kept running
}

func (s *services) init() {
	s.asking = make(map[kernel.FD]*service)
	s.children = make(map[kernel.PID]child)
}

// expect makes room for n services, before many are started one after another.
func (s *services) expect(n int) {
	s.all = slices.Grow(s.all, n)
	s.queue = slices.Grow(s.queue, n)
	if len(s.children) == 0 {
		s.children = make(map[kernel.PID]child, n)
	}
}

// byKey finds services by their keys.
func (s *services) byKey() map[inittab.Key]*service {
	m := make(map[inittab.Key]*service, len(s.all))
	for _, sv := range s.all {
		m[sv.Key()] = sv
	}
	return m
}

// forget drops the services that have neither a line nor a process.
func (s *services) forget() {
	s.all = slices.DeleteFunc(s.all, func(sv *service) bool {
		return !sv.listed && sv.pid == 0
	})
}

// schedule puts a service in the queue.
func (s *services) schedule(sv *service, due time.Duration) {
	if sv.index >= 0 {
		s.remove(sv)
	}
	sv.due, sv.order = due, s.next
	s.next++
	heap.Push(&s.queue, sv)
}

// remove takes a service out of the queue.
func (s *services) remove(sv *service) { heap.Remove(&s.queue, sv.index) }

// nextStart is when the next service is due.
func (s *services) nextStart() time.Duration {
	if len(s.queue) == 0 {
		return kernel.Never
	}
	return s.queue[0].due
}

// startDue starts what is due.
func (in *Init) startDue() {
	q := &in.services.queue
	if len(*q) == 0 {
		return
	}
	now := in.k.Now()
	var started []*service
	for len(*q) > 0 && (*q)[0].due <= now {
		sv := heap.Pop(q).(*service)
		sv.since, sv.typed = now, false
		if sv.Action == inittab.AskFirst {
			in.ask(sv)
			continue
		}
		in.startService(sv)
		started = append(started, sv)
	}
	for _, sv := range started {
		if sv.pid != 0 {
			in.noteStart(sv.pid, sv.Entry)
		}
	}
}

func (in *Init) startService(sv *service) {
	pid, err := in.start(sv.Entry, sv, nil)
	if err != nil {
		in.again(sv, true)
		return
	}
	sv.pid = pid
}

// again decides when a service whose process has ended, or could not be started, is started anew.
// It is explained if the console has been told why it could not.
func (in *Init) again(sv *service, explained bool) {
	if !sv.listed {
		return
	}
	now := in.k.Now()
	if now-sv.since >= longLife || sv.typed {
		// Where somebody has pressed Enter, it is that person who sets the pace.
		sv.delay, sv.announced, sv.said = 0, false, 0
		in.services.schedule(sv, now)
		return
	}
	sv.delay = min(max(2*sv.delay, firstDelay), lastDelay)
	if !sv.announced {
		sv.announced = true
		say := in.warn
		if explained {
			// The console has the reason already, and one line is enough there.
			say = in.Note
		}
		say("'" + sv.Command + "'" + on(sv.TTY) + " has ended within " +
			longLife.String() + ": starting it again in " +
			firstDelay.String() + "; the delay doubles up to " + lastDelay.String())
	}
	in.services.schedule(sv, now+sv.delay)
}

// isNews reports whether a failure to start is another one than the last, and keeps it. Of what is
// no service everything is news. The stage is 0 for fork.
func (sv *service) isNews(stage kernel.Stage, errno kernel.Errno) bool {
	if sv == nil {
		return true
	}
	const maxErrno = 4095 // MAX_ERRNO of linux/err.h
	failure := uint16(stage)<<12 | uint16(errno&maxErrno)
	if sv.said == failure {
		return false
	}
	sv.said = failure
	return true
}

func on(tty string) string {
	if tty == "" {
		return ""
	}
	return " on " + tty
}

// queue is a heap of services by the time they are due.
type queue []*service

func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	if q[i].due != q[j].due {
		return q[i].due < q[j].due
	}
	return q[i].order < q[j].order
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push is for package heap.
func (q *queue) Push(x any) {
	sv := x.(*service)
	sv.index = len(*q)
	*q = append(*q, sv)
}

// Pop is for package heap.
func (q *queue) Pop() any {
	old := *q
	sv := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	sv.index = -1
	return sv
}

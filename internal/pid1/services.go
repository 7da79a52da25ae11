package pid1

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pages"
)

// services are the respawn and askfirst entries, in the order of the inittab, with what has become
// of each. An entry outlives its line while its process runs.
//
// A machine may have a thousand, and what PID 1 takes nobody else has: a service is 24 bytes, with
// no pointer for the garbage collector to follow, and the words of all are one text. Each array has
// much room (package pages), and another inittab uses it again. A service is known by its place in
// the list, which changes only when another inittab is listed.
type services struct {
	all    []service
	text   string              // of each its terminal and its command, with a NUL after both
	byPID  []running           // those that run or have run, by rising number
	asking map[kernel.FD]int32 // those that wait for Enter, by the terminal
	queue  []int32             // those that are to be started: a heap, see before
}

// service is one of them.
type service struct {
	at    time.Duration // when it was started or, in the queue, when it is to be
	words uint32        // where its words begin in the text
	pid   int32         // 0 when it does not run
	// tty is the terminal on which we wait for Enter, or on which it was pressed. That is kept
	// open while the command runs: were we to close it before the command opens it, what was
	// typed ahead would be lost. 0 when there is none.
	tty   int32
	said  uint16 // the last failure to start it, see isNews
	delay uint8  // the last pause before a start, in seconds
	is    condition
}

// running is a service that runs, or has run: on the way down all end one after the other, and to
// close each gap would take longer than all else.
type running struct {
	pid   int32
	place int32 // none when it has ended
}

func (r running) compare(pid int32) int { return cmp.Compare(r.pid, pid) }

func (r running) ended() bool { return r.place == none }

// condition is what is so of a service.
type condition uint8

const (
	listed    condition = 1 << iota // it is in the inittab, as respawn or askfirst
	askFirst                        // as askfirst
	queued                          // it is in the queue
	prompted                        // it waits for Enter
	typed                           // somebody has pressed Enter for this life
	announced                       // the console was told that it keeps dying
	unnoted                         // its start is to be written to the log
)

func (sv *service) has(c condition) bool { return sv.is&c != 0 }

// set makes a condition so, or not so.
func (sv *service) set(c condition, so bool) {
	sv.is &^= c
	if so {
		sv.is |= c
	}
}

// idle reports whether a service neither runs nor waits for anything.
func (sv *service) idle() bool { return sv.pid == 0 && !sv.has(queued|prompted) }

// none is the place of what is no service.
const none int32 = -1

// at returns the service at a place, or nil for none.
func (s *services) at(i int32) *service {
	if i == none {
		return nil
	}
	return &s.all[i]
}

// entry returns a service's entry, as far as it is kept.
func (s *services) entry(i int32) inittab.Entry {
	key := s.key(i)
	action := inittab.Respawn
	if s.all[i].has(askFirst) {
		action = inittab.AskFirst
	}
	return inittab.Entry{TTY: key.TTY, Command: key.Command, Action: action}
}

// key returns a service's key.
func (s *services) key(i int32) inittab.Key {
	tty, rest, _ := strings.Cut(s.text[s.all[i].words:], "\x00")
	command, _, _ := strings.Cut(rest, "\x00")
	return inittab.Key{TTY: tty, Command: command}
}

// places finds services by their keys, but for those that have lost their line and then ended.
func (s *services) places() map[inittab.Key]int32 {
	m := make(map[inittab.Key]int32, len(s.all))
	for i, sv := range s.all {
		if sv.has(listed) || sv.pid != 0 {
			m[s.key(int32(i))] = int32(i)
		}
	}
	return m
}

// list makes the services those of a table. Those that were there already keep their state. Those
// that are no longer there are kept while they run, to be recognised if their lines come back
// [BusyBox 2.34]; it returns the terminals on which they have asked for Enter.
func (s *services) list(t inittab.Table) (unasked []kernel.FD) {
	former := services{all: slices.Clone(s.all), text: s.text}
	gone := former.places()
	n, length := 0, 0
	for _, e := range t {
		if isService(e.Action) {
			delete(gone, e.Key())
			n++
			length += len(e.TTY) + len(e.Command) + 2
		}
	}
	for key, i := range gone {
		if former.all[i].pid != 0 {
			n++
			length += len(key.TTY) + len(key.Command) + 2
		}
	}
	s.all = empty(s.all, n, serviceSize)
	s.byPID = empty(s.byPID, n, runningSize)
	s.queue = empty(s.queue, n, placeSize)
	s.asking = make(map[kernel.FD]int32)
	var text strings.Builder
	text.Grow(pages.Room(length, 1))
	add := func(key inittab.Key, sv service) {
		sv.words = uint32(text.Len())
		for _, word := range []string{key.TTY, key.Command} {
			text.WriteString(word)
			text.WriteByte(0)
		}
		s.add(sv)
	}
	places := former.places()
	for _, e := range t {
		if !isService(e.Action) {
			continue
		}
		var sv service
		if i, ok := places[e.Key()]; ok {
			sv = former.all[i]
		}
		sv.set(listed, true)
		sv.set(askFirst, e.Action == inittab.AskFirst)
		add(e.Key(), sv)
	}
	for i, sv := range former.all {
		key := former.key(int32(i))
		_, gone := gone[key]
		switch {
		case gone && sv.pid != 0:
			sv.set(listed, false)
			add(key, sv)
		case gone && sv.has(prompted):
			unasked = append(unasked, kernel.FD(sv.tty))
		}
	}
	s.text = text.String()
	return unasked
}

// The sizes of the elements, in bytes.
const (
	serviceSize = 24
	runningSize = 8
	placeSize   = 4
)

// empty returns an array without elements, with room for n at least: the given one if it will do.
func empty[T any](array []T, n, size int) []T {
	if cap(array) < n || array == nil {
		return make([]T, 0, pages.Room(n, size))
	}
	return array[:0]
}

// add adds a service whose words are in the text, or will be.
func (s *services) add(sv service) int32 {
	i := int32(len(s.all))
	s.all = append(s.all, sv)
	switch {
	case sv.pid != 0:
		s.started(i, kernel.PID(sv.pid))
	case sv.has(prompted):
		s.asking[kernel.FD(sv.tty)] = i
	case sv.has(queued):
		s.push(i)
	}
	return i
}

// addStray adds a service that is not in the inittab. Few outlive both their line and a crash of
// init, so that it does not matter what adding to the text costs.
func (s *services) addStray(key inittab.Key) int32 {
	i := s.add(service{words: uint32(len(s.text))})
	s.text += key.TTY + "\x00" + key.Command + "\x00"
	return i
}

// started says that a service runs.
func (s *services) started(i int32, pid kernel.PID) {
	s.at(i).pid = int32(pid)
	if len(s.byPID) >= len(s.all) {
		s.byPID = slices.DeleteFunc(s.byPID, running.ended)
	}
	at, known := s.find(pid)
	if !known {
		s.byPID = append(s.byPID, running{})
		copy(s.byPID[at+1:], s.byPID[at:])
	}
	s.byPID[at] = running{int32(pid), i}
}

// find returns where a process stands among those that run or have run, or would stand.
func (s *services) find(pid kernel.PID) (int, bool) {
	return slices.BinarySearchFunc(s.byPID, int32(pid), running.compare)
}

// whose returns the service that runs as a process, or none.
func (s *services) whose(pid kernel.PID) int32 {
	at, known := s.find(pid)
	if !known {
		return none
	}
	return s.byPID[at].place
}

// ended says that a process has ended, and returns which service it was, or none.
func (s *services) ended(pid kernel.PID) int32 {
	at, known := s.find(pid)
	if !known || s.byPID[at].ended() {
		return none
	}
	i := s.byPID[at].place
	s.byPID[at].place = none
	s.at(i).pid = 0
	return i
}

// asks says that a service waits for Enter on a terminal.
func (s *services) asks(i int32, fd kernel.FD) {
	sv := s.at(i)
	sv.tty = int32(fd)
	sv.set(prompted, true)
	s.asking[fd] = i
}

// answered says that it does so no longer. The terminal is still open.
func (s *services) answered(i int32) {
	sv := s.at(i)
	sv.set(prompted, false)
	delete(s.asking, kernel.FD(sv.tty))
}

// schedule puts a service in the queue.
func (s *services) schedule(i int32, due time.Duration) {
	sv := s.at(i)
	sv.at = due
	sv.set(queued, true)
	s.push(i)
}

// takeDue takes the first service out of the queue that is due, if there is one.
func (s *services) takeDue(now time.Duration) (int32, bool) {
	if s.nextStart() > now {
		return none, false
	}
	i := s.pop()
	s.at(i).set(queued, false)
	return i, true
}

// nextStart is when the next service is due.
func (s *services) nextStart() time.Duration {
	if len(s.queue) == 0 {
		return kernel.Never
	}
	return s.at(s.queue[0]).at
}

// before is the order of the queue: what is due first comes first, and of what is due at one time
// what comes first in the inittab.
func (s *services) before(i, j int32) bool {
	return cmp.Or(cmp.Compare(s.all[i].at, s.all[j].at), cmp.Compare(i, j)) < 0
}

// push adds a place to the queue, a binary heap. Package heap would put each place into an interface,
// which is a piece of garbage for each service.
func (s *services) push(i int32) {
	s.queue = append(s.queue, i)
	at := len(s.queue) - 1
	for at > 0 {
		above := (at - 1) / 2
		if !s.before(i, s.queue[above]) {
			break
		}
		s.queue[at] = s.queue[above]
		at = above
	}
	s.queue[at] = i
}

// pop takes the first place out of the queue, which is not empty.
func (s *services) pop() int32 {
	first := s.queue[0]
	n := len(s.queue) - 1
	last := s.queue[n]
	s.queue = s.queue[:n]
	if n == 0 {
		return first
	}
	// The last one sinks from the top to its place.
	at := 0
	for {
		below := 2*at + 1
		if below >= n {
			break
		}
		if below+1 < n && s.before(s.queue[below+1], s.queue[below]) {
			below++
		}
		if !s.before(s.queue[below], last) {
			break
		}
		s.queue[at] = s.queue[below]
		at = below
	}
	s.queue[at] = last
	return first
}

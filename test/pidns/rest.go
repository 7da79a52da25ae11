package pidns

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// A room is at rest while none of its threads runs or could run if it were given a processor:
// nothing more happens in it before a timer expires or something comes from outside. However slow
// the machine is, a signal that was sent or a process that was started keeps it from being at rest
// until all that follows has been done.

// look describes all threads of the room: the state of each, and how often it has stopped running.
// They all sleep if none of them runs or could; if one does, what they are is not described. Of two
// equal looks at a room whose threads all sleep, none has run between the one and the other.
func (r *Room) look() (threads string, asleep bool) {
	var b strings.Builder
	seen := map[string]bool{}
	for next := []string{fmt.Sprint(r.PID)}; len(next) > 0; {
		pid := next[0]
		next = next[1:]
		if seen[pid] {
			continue // It got another parent meanwhile.
		}
		seen[pid] = true
		for _, tid := range namesIn("/proc/" + pid + "/task") {
			task := "/proc/" + pid + "/task/" + tid
			status, err := os.ReadFile(task + "/status")
			if err != nil {
				return "", false // It has ended just now, which its parent may have to hear.
			}
			b.WriteString(tid)
			for line := range strings.Lines(string(status)) {
				key, value, _ := strings.Cut(line, ":\t")
				switch key {
				case "State":
					if !strings.ContainsAny(value[:1], "STtZX") {
						return "", false
					}
					b.WriteString(" " + value[:1])
				case "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches":
					b.WriteString(" " + strings.TrimSpace(value))
				}
			}
			b.WriteByte('\n')
			children, _ := os.ReadFile(task + "/children")
			next = append(next, strings.Fields(string(children))...)
		}
	}
	return b.String(), true
}

// namesIn lists a directory, which may have gone.
func namesIn(dir string) []string {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	return names
}

// AwaitRest waits until the room is at rest, and is false if it is not within the time.
func (r *Room) AwaitRest(within time.Duration) bool {
	// To look takes time that the room needs itself on a busy machine.
	const mostSeldom = 50 * time.Millisecond
	pause := time.Millisecond
	for deadline := time.Now().Add(within); time.Now().Before(deadline); {
		if before, asleep := r.look(); asleep {
			if after, still := r.look(); still && after == before {
				return true
			}
		}
		time.Sleep(pause)
		pause = min(2*pause, mostSeldom)
	}
	return false
}

// A Rest adds up how long a room has been at rest. Unlike the time that passes it does not grow
// with the slowness of the machine, so that it tells whether an init has slept. It looks every now
// and then, and may miss that much of each rest.
type Rest struct {
	stop chan struct{}
	over sync.WaitGroup

	mu    sync.Mutex
	total time.Duration
}

// MeasureRest begins to add up. The room must stay open until Stop.
func (r *Room) MeasureRest() *Rest {
	rest := &Rest{stop: make(chan struct{})}
	rest.over.Go(func() { rest.measure(r) })
	return rest
}

func (rest *Rest) measure(r *Room) {
	var last string
	var since time.Time // when the first of equal looks was over
	for {
		begin := time.Now()
		threads, asleep := r.look()
		switch {
		case !asleep || threads == "": // Nobody rests in a room that has ended.
			last = ""
		case threads == last:
			rest.add(begin.Sub(since))
			since = begin
		default:
			last, since = threads, time.Now()
		}
		select {
		case <-rest.stop:
			return
		case <-time.After(40 * time.Millisecond):
		}
	}
}

func (rest *Rest) add(d time.Duration) {
	rest.mu.Lock()
	defer rest.mu.Unlock()
	rest.total += d
}

// Total is how long the room has been at rest so far.
func (rest *Rest) Total() time.Duration {
	rest.mu.Lock()
	defer rest.mu.Unlock()
	return rest.total
}

// Stop ends the adding up.
func (rest *Rest) Stop() {
	close(rest.stop)
	rest.over.Wait()
}

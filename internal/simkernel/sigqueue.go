package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// firstRealTime is the first signal of which each one counts.
const firstRealTime = 32

// sigqueue counts the pending real-time signals, from firstRealTime on. Those of one number are all
// alike here, and nobody is told in which order different ones came.
type sigqueue []uint32

// add queues one more.
func (q *sigqueue) add(sig kernel.Signal) {
	if *q == nil {
		*q = make(sigqueue, lastSignal-firstRealTime+1)
	}
	(*q)[sig-firstRealTime]++
}

// take takes one and reports whether it was the last of its number.
func (q sigqueue) take(sig kernel.Signal) bool {
	if q == nil {
		return true
	}
	n := &q[sig-firstRealTime]
	if *n > 0 {
		*n--
	}
	return *n == 0
}

// flush forgets those of a set.
func (q sigqueue) flush(sigs sigset) {
	for i := range q {
		if sigs.has(firstRealTime + kernel.Signal(i)) {
			q[i] = 0
		}
	}
}

// queue remembers one more real-time signal, to the process or to one thread.
func (t *process) queue(sig kernel.Signal, group bool) {
	if group {
		t.lead.more().queued.add(sig)
	} else {
		t.more().queuedOwn.add(sig)
	}
}

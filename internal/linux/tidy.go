package linux

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// quiet is how long nothing must have happened before PID 1 tidies up after itself. The
	// work costs a few hundred microseconds, which nobody is to wait for.
	quiet = time.Second
	// spareThreads are kept for the runtime: a process that cannot start the thread it needs
	// dies, and a fork bomb in a container makes that happen. Eight survive it.
	spareThreads = 8
)

// tidy gives memory back and keeps threads in store, when PID 1 has nothing to do.
type tidy struct {
	timer   *time.Timer
	started bool // the threads are there
	wakes   int  // since the last time
}

// arm starts the wait for a quiet moment. It is called before each wait for events.
func (t *tidy) arm() {
	if t.timer == nil {
		t.timer = time.NewTimer(quiet)
		return
	}
	t.wakes++
	// After the first time, only a busy spell is worth tidying up after.
	if !t.started || t.wakes > 64 {
		t.timer.Reset(quiet)
	}
}

func (t *tidy) due() <-chan time.Time { return t.timer.C }

func (t *tidy) run() {
	if !t.started {
		t.started = true
		startThreads(spareThreads)
	}
	t.wakes = 0
	debug.FreeOSMemory()
}

// startThreads makes the runtime start n threads and keep them: each goroutine insists on one,
// and none lets go before all have one.
func startThreads(n int) {
	var all, ended sync.WaitGroup
	all.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			runtime.LockOSThread()
			all.Done()
			all.Wait()
			runtime.UnlockOSThread()
			ended.Done()
		}()
	}
	ended.Wait()
}

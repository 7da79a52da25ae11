package linux

import (
	"math/bits"
	"os"
	"os/signal"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/kernel"
)

// taken are the signals that PID 1 acts on. Each has a channel of its own with room for one: a
// shared channel that is full of SIGCHLD would lose the SIGTERM that comes then, and more than
// one place would count signals, which the kernel does not do either.
var taken = [...]unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGTERM,
	unix.SIGCHLD, unix.SIGPWR,
}

// fatal are the signals that a Go program dies of unless it has asked for them. As PID 1 it is
// protected from those without a handler by the kernel, but the runtime has handlers for all. The
// rest it leaves alone, and asking for them takes a switch of threads each: all 65 would cost PID 1
// a millisecond of its start.
var fatal = [...]os.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGILL, unix.SIGTRAP, unix.SIGABRT, unix.SIGBUS,
	unix.SIGFPE, unix.SIGSEGV, unix.SIGPIPE, unix.SIGTERM, unix.SIGSTKFLT, unix.SIGSYS,
}

// left are the signals that the runtime leaves alone until they are asked for. Had our parent
// ignored one, our children would inherit that.
var left = [...]unix.Signal{unix.SIGTTIN, unix.SIGTTOU}

// barred are the signals that C libraries keep to themselves, and that os/signal has no handler for.
// PID 1 must have one: the kernel does not drop a signal without a handler while the first thread
// blocks it, which Go's threads do at times, and then it ends the whole process (kernel/signal.c:
// sig_ignored, complete_signal; seen with Linux 6.1).
var barred = [...]unix.Signal{32, 33, 34}

// noopHandler is the address of a handler that does nothing.
var noopHandler uintptr

// signals collects what the runtime delivers.
type signals struct {
	ch      [len(taken)]chan os.Signal
	stops   chan os.Signal // SIGTSTP and SIGCONT, in the order in which they come
	pending uint64         // bit n-1 is signal n
	marked  chan os.Signal // gets the marker
}

func (s *signals) listen() {
	// Nobody reads this channel. Room for one, because go vet asks for it.
	signal.Notify(make(chan os.Signal, 1), fatal[:]...)
	// The kernel lets the later of the two cancel the earlier, so here the order matters. So many
	// are not sent between two calls of Next.
	s.stops = make(chan os.Signal, 64)
	signal.Notify(s.stops, unix.SIGTSTP, unix.SIGCONT)
	s.marked = make(chan os.Signal, 1)
	signal.Notify(s.marked, marker)
	for _, sig := range left {
		setDefault(sig)
	}
	for _, sig := range barred {
		setNoop(sig)
	}
	for i, sig := range taken {
		s.ch[i] = make(chan os.Signal, 1)
		signal.Notify(s.ch[i], sig)
	}
}

func setDefault(sig unix.Signal) {
	var dfl [4]uint64 // a struct sigaction of zeros: SIG_DFL, on every architecture
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&dfl)), 0, sigsetSize, 0, 0)
}

// setNoop gives a signal the handler that does nothing. To ignore it would do as well for PID 1, but
// its children would inherit that. The rest of the action, such as the way back from a handler, is
// that of a signal for which the runtime has one.
func setNoop(sig unix.Signal) {
	// A struct sigaction: no architecture has a larger one, and all have the handler first.
	var action [4]uint64
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGUSR1),
		0, uintptr(unsafe.Pointer(&action)), sigsetSize, 0, 0)
	*(*uintptr)(unsafe.Pointer(&action)) = noopHandler
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(&action)), 0, sigsetSize, 0, 0)
}

// collect marks all signals that have arrived as pending.
func (s *signals) collect() {
	for i := range s.ch {
		select {
		case sig := <-s.ch[i]:
			s.mark(sig)
		default:
		}
	}
	for len(s.stops) > 0 {
		s.mark(<-s.stops)
	}
}

func (s *signals) mark(sig os.Signal) {
	if n, ok := sig.(unix.Signal); ok && n > 0 && n <= 64 {
		s.pending |= 1 << (n - 1)
		switch n {
		case unix.SIGTSTP:
			if s.pending&(1<<(unix.SIGCONT-1)) != 0 {
				// The runtime hands over what comes together by number and not in order. To
				// miss a pause is better than to pause for ever.
				s.pending &^= 1 << (unix.SIGTSTP - 1)
			}
		case unix.SIGCONT:
			s.pending &^= 1 << (unix.SIGTSTP - 1)
		}
	}
}

// lowest takes the pending signal with the lowest number, or returns 0.
func (s *signals) lowest() kernel.Signal {
	if s.pending == 0 {
		return 0
	}
	n := bits.TrailingZeros64(s.pending)
	s.pending &^= 1 << n
	return kernel.Signal(n + 1)
}

// Next waits for the next event.
func (k *Kernel) Next(deadline time.Duration) kernel.Event {
	s := &k.signals
	s.collect()
	if sig := s.lowest(); sig != 0 {
		return kernel.Signaled{Signal: sig}
	}
	if ev, ok := k.poll.now(); ok && !k.log.syslog.ready(ev) {
		return ev
	}
	if ev := k.wait(deadline); ev != nil {
		return ev
	}
	s.settle()
	return kernel.Signaled{Signal: s.lowest()}
}

// marker is a signal that PID 1 sends to itself. It must be a real-time signal: those have the
// highest numbers, and the kernel takes SIGSYS, the next one below, before all others.
const marker = unix.Signal(63)

// markerLimit is far more than the marker takes. Nothing may keep PID 1 waiting for ever.
const markerLimit = 20 * time.Millisecond

// settle waits for the signals that were sent in the same moment as the one that has come, so that
// the lowest number comes first. The runtime hands them over one by one, from several threads. The
// kernel takes pending signals in the order of their numbers, so one with a high number that PID 1
// sends now comes after all that are pending.
func (s *signals) settle() {
	const children = 1 << (unix.SIGCHLD - 1)
	if s.pending&^children == 0 {
		return
	}
	if len(s.marked) > 0 {
		<-s.marked // Somebody else has sent it.
	}
	if unix.Kill(unix.Getpid(), marker) != nil {
		return
	}
	select {
	case <-s.marked:
	case <-time.After(markerLimit):
	}
	// Another thread may still be handing over the one before: give it the processor. Where several
	// have come together a further one is likely, and a busy machine may hold its thread back.
	const moment, longer = 100 * time.Microsecond, 5 * time.Millisecond
	s.handOver(moment)
	if bits.OnesCount64(s.pending&^children) > 1 {
		s.handOver(longer)
	}
}

// handOver lets other threads run for a while, and collects what they bring.
func (s *signals) handOver(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		runtime.Gosched()
	}
	s.collect()
}

// wait blocks until something happens. It returns nil when it is a signal, now pending.
func (k *Kernel) wait(deadline time.Duration) kernel.Event {
	var expired <-chan time.Time
	if deadline != kernel.Never {
		left := deadline - k.Now()
		if left <= 0 {
			return kernel.Expired{}
		}
		k.timer.Reset(left)
		defer k.timer.Stop()
		expired = k.timer.C
	}
	s := &k.signals
	k.tidy.arm()
	for {
		var sig os.Signal
		select {
		case sig = <-s.ch[0]:
		case sig = <-s.ch[1]:
		case sig = <-s.ch[2]:
		case sig = <-s.ch[3]:
		case sig = <-s.ch[4]:
		case sig = <-s.ch[5]:
		case sig = <-s.ch[6]:
		case sig = <-s.ch[7]:
		case sig = <-s.stops:
		case ev := <-k.poll.ready:
			if k.log.syslog.ready(ev) {
				continue
			}
			return ev
		case p := <-k.poll.crashed:
			panic(p)
		case sig := <-k.crash.asked:
			k.crash.happen(sig)
		case <-k.tidy.due():
			k.tidy.run(k)
			continue
		case <-expired:
			return kernel.Expired{}
		}
		s.mark(sig)
		return nil
	}
}

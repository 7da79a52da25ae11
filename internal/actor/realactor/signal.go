package realactor

import (
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/kernel"
)

// signals is what the actor does about signals.
type signals struct {
	goes             map[kernel.Signal]sigaction // the handlers of Go's runtime
	ignored, blocked map[kernel.Signal]bool
	// held are the blocked ones that have come, by Go's handlers on other threads.
	held map[kernel.Signal]chan os.Signal
}

// takeSignalsBack gives the signals back to the kernel that Go has a handler for.
func takeSignalsBack() signals {
	s := signals{
		goes:    make(map[kernel.Signal]sigaction),
		ignored: make(map[kernel.Signal]bool),
		blocked: make(map[kernel.Signal]bool),
		held:    make(map[kernel.Signal]chan os.Signal),
	}
	for sig := kernel.Signal(1); sig <= actor.LastSignal; sig++ {
		now := action(sig)
		if h := now.handler(); h != sigDefault && h != sigIgnore {
			s.goes[sig] = now
			setAction(sig, sigaction{sigDefault})
		}
	}
	return s
}

// The variables that tell an actor what was ignored and blocked before its start.
const (
	ignoredVariable = "ACTOR_IGNORED"
	blockedVariable = "ACTOR_BLOCKED"
)

// inherit goes on with what the actor before has ignored and blocked.
func (s *signals) inherit() {
	s.ignore(listed(ignoredVariable))
	s.block(listed(blockedVariable))
}

// listed takes the signals that a variable names out of the environment.
func listed(variable string) []kernel.Signal {
	var sigs []kernel.Signal
	for name := range strings.SplitSeq(os.Getenv(variable), ",") {
		if sig, ok := actor.SignalNamed(name); ok {
			sigs = append(sigs, sig)
		}
	}
	os.Unsetenv(variable)
	return sigs
}

// variables are those for the next actor.
func (s *signals) variables() []string {
	var all []string
	for name, sigs := range map[string]map[kernel.Signal]bool{
		ignoredVariable: s.ignored, blockedVariable: s.blocked,
	} {
		var names []string
		for sig := range sigs {
			names = append(names, kernel.SignalName(sig))
		}
		if names != nil {
			all = append(all, name+"="+strings.Join(names, ","))
		}
	}
	return all
}

func (s *signals) ignore(sigs []kernel.Signal) {
	for _, sig := range sigs {
		s.release(sig)
		s.ignored[sig] = true
		// Go resets in a child what it has a handler for, and must know that it has none.
		signal.Ignore(sig)
		setAction(sig, sigaction{sigIgnore})
	}
}

// restore takes back that signals are ignored.
func (s *signals) restore(sigs []kernel.Signal) {
	for _, sig := range sigs {
		delete(s.ignored, sig)
		if s.blocked[sig] {
			s.hold(sig)
		} else {
			setAction(sig, sigaction{sigDefault})
		}
	}
}

func (s *signals) block(sigs []kernel.Signal) {
	for _, sig := range sigs {
		s.blocked[sig] = true
		if !s.ignored[sig] {
			s.hold(sig)
		}
	}
	mask(unix.SIG_BLOCK, sigs...)
}

func (s *signals) unblock(sigs []kernel.Signal) {
	for _, sig := range sigs {
		came := s.release(sig)
		if !s.ignored[sig] {
			setAction(sig, sigaction{sigDefault})
		}
		delete(s.blocked, sig)
		mask(unix.SIG_UNBLOCK, sig)
		if came {
			_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
		}
	}
}

// hold lets Go's handler take a signal, for later.
func (s *signals) hold(sig kernel.Signal) {
	if s.held[sig] == nil {
		s.held[sig] = s.listen(sig)
	}
}

// release no longer does so, and reports whether the signal has come.
func (s *signals) release(sig kernel.Signal) bool {
	held := s.held[sig]
	if held == nil {
		return false
	}
	delete(s.held, sig)
	signal.Stop(held)
	return len(held) > 0
}

// listen sets Go's handler for a signal, which keeps one.
func (s *signals) listen(sig kernel.Signal) chan os.Signal {
	came := make(chan os.Signal, 1)
	signal.Notify(came, sig)
	if h, ok := s.goes[sig]; ok {
		// Go believes that it is still there.
		setAction(sig, h)
	}
	return came
}

// die ends the process by a signal, if that does.
func (s *signals) die(sig kernel.Signal) {
	s.release(sig)
	delete(s.ignored, sig)
	delete(s.blocked, sig)
	setAction(sig, sigaction{sigDefault})
	mask(unix.SIG_UNBLOCK, sig)
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
}

// mask changes what the thread blocks: what the process shows, and what its children inherit.
func mask(how int, sigs ...kernel.Signal) {
	var set unix.Sigset_t
	bits := 1024 / len(set.Val) // a set has 1024, in words of the machine
	for _, sig := range sigs {
		n := int(sig) - 1
		set.Val[n/bits] |= 1 << (n % bits)
	}
	_ = unix.PthreadSigmask(how, &set, nil)
}

// catch does the rest each time the signal comes, in a process that pauses.
func (a *act) catch(c actor.Catch) int {
	s := &a.signals
	if s.blocked[c.Signal] {
		pause()
	}
	delete(s.ignored, c.Signal)
	for range s.listen(c.Signal) {
		// For the children. The actor itself hears the signal again when it is back here.
		s.blocked[c.Signal] = true
		mask(unix.SIG_BLOCK, c.Signal)
		if status := a.steps(c.Rest); status != onward {
			return status
		}
		delete(s.blocked, c.Signal)
		mask(unix.SIG_UNBLOCK, c.Signal)
	}
	return onward
}

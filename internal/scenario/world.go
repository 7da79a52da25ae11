package scenario

import (
	"context"
	"time"
)

// World plays scenarios.
type World interface {
	// Name is the word that people and scenarios call it by, one of Worlds.
	Name() string
	// Play plays a scenario from the start of PID 1 to the end of the machine, or until
	// Scenario.Lasts is over. The error is an *Unplayable where it cannot be played, and why;
	// else the world itself has failed. A transcript that is not what the scenario wants is
	// no error.
	Play(ctx context.Context, s *Scenario, o Options) (*Transcript, error)
}

// Options are how to play.
type Options struct {
	// Seed draws what chance decides, where the world can be told. 0 is no chance.
	Seed uint64
	// Trace, if set, is told every call of PID 1 to the kernel with its result, where the
	// world can see them.
	Trace func(at time.Duration, call string)
	// Init and Actor are the programs for worlds that need files: paths on this machine.
	Init, Actor string
}

// Unplayable is the error of a world that cannot play a scenario.
type Unplayable struct {
	World string
	// Why is a part of a sentence: "a PID namespace has no Ctrl-Alt-Del".
	Why string
	// Missing says that it is for want of something on this machine (root, podman, a kernel)
	// and not for what the scenario asks.
	Missing bool
}

// Error names the world and the reason.
func (e *Unplayable) Error() string { return "not played in " + e.World + ": " + e.Why }

// Playable returns an *Unplayable if the scenario itself says that the world cannot play it, else
// nil. Worlds ask it first.
func (s *Scenario) Playable(world string) error {
	if why, no := s.Not[world]; no {
		return &Unplayable{World: world, Why: why}
	}
	return nil
}

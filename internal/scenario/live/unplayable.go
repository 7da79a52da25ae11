package live

import (
	"strings"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/scenario"
)

// Unplayable returns an *Unplayable if no running kernel can play a scenario, or if the scenario
// says itself that a world cannot.
func Unplayable(world string, s *scenario.Scenario) error {
	if err := s.Playable(world); err != nil {
		return err
	}
	if why := reason(s); why != "" {
		return &scenario.Unplayable{World: world, Why: why}
	}
	return nil
}

func reason(s *scenario.Scenario) string {
	m := &s.Machine
	switch {
	case len(m.Faults) > 0:
		return "a running kernel cannot be told to let calls fail"
	case len(m.Slow) > 0:
		return "a running kernel cannot be told how long things take"
	case len(m.Returns) > 0:
		return "its kernel does not come back from halting and powering off"
	case m.Linuxrc:
		return "init is always PID 1 there"
	case m.Disk:
		return "it has no disk"
	}
	for _, e := range s.Events {
		if _, ok := e.Do.(scenario.Thaw); ok {
			return "nothing wakes a process in D but what it waits for"
		}
	}
	for _, t := range m.Terminals {
		if t.Dead {
			return "it has no terminal that cannot be opened"
		}
	}
	for _, f := range s.Files {
		if why := unreal(f.Text); why != "" {
			return why
		}
	}
	return ""
}

// unreal returns what an actor in a text, such as an inittab, is to do and cannot, or "".
func unreal(text string) string {
	for line := range strings.Lines(text) {
		_, words, ok := strings.Cut(line, "actor ")
		if !ok {
			continue
		}
		ops, err := actor.Parse(strings.Fields(words))
		if err != nil {
			continue // it will say so
		}
		if why := actor.Unreal(ops); why != "" {
			return why
		}
	}
	return ""
}

package pid1test

import (
	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/actor/simactor"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// actorProgram is the actor, which does what its arguments say: see package actor. It panics if it
// does not understand them, for then the test is wrong.
func actorProgram() simkernel.Program {
	return simkernel.Program{Main: func(argv []string) []simkernel.Step {
		ops, err := actor.Parse(argv[min(1, len(argv)):])
		if err != nil {
			panic("actor: " + err.Error())
		}
		return simactor.Steps(ops)
	}}
}

package sim

import (
	"fmt"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/kernel"
)

// actor is the actor in the place of init, after a restart. The model plays it there only as far as
// a restart needs it.
func (p *play) actor(words, env []string) func(kernel.Kernel) int {
	return func(k kernel.Kernel) int {
		ops, err := actor.Parse(words)
		if err != nil {
			say(k, "actor: "+err.Error())
			return actor.ExitUnreadable
		}
		for _, op := range ops {
			switch op := op.(type) {
			case actor.As:
			case actor.Say:
				say(k, op.Text)
			case actor.Env:
				for _, v := range env {
					if strings.HasPrefix(v, op.Name+"=") {
						say(k, v)
					}
				}
			case actor.Sleep:
				wait(k, k.Now()+op.For)
			case actor.Pause:
				wait(k, kernel.Never)
			case actor.Exit:
				return op.Status
			default:
				p.complain(fmt.Sprintf(
					"the model does not know how %q is done in the place of init", words))
				return 1
			}
		}
		return 0
	}
}

// say writes a line to the console.
func say(k kernel.Kernel, text string) { _, _ = k.Write(1, []byte(text+"\n")) }

// wait waits until an instant. Signals do nothing meanwhile: PID 1 has no handler for them.
func wait(k kernel.Kernel, until time.Duration) {
	for k.Now() < until {
		k.Next(until)
	}
}

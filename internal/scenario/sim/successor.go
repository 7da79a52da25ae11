package sim

import (
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// actor is the actor in the place of init, after a restart. It knows few of its words there: the
// model plays programs that are PID 1 only as far as scenarios of a restart need it.
func (p *play) actor(words []string) func(kernel.Kernel) int {
	steps := strings.Split(strings.Join(words, " "), ",")
	return func(k kernel.Kernel) int {
		for _, step := range steps {
			word, arg, _ := strings.Cut(strings.TrimSpace(step), " ")
			switch word {
			case "say":
				_, _ = k.Write(1, []byte(arg+"\n"))
			case "sleep":
				d, _ := time.ParseDuration(arg)
				wait(k, k.Now()+d)
			case "pause":
				wait(k, kernel.Never)
			case "exit":
				status, _ := strconv.Atoi(arg)
				return status
			default:
				p.complain("the model does not know how " + strconv.Quote(word) +
					" is done in the place of init")
				return 1
			}
		}
		return 0
	}
}

// wait waits until an instant. Signals do nothing meanwhile: PID 1 has no handler for them.
func wait(k kernel.Kernel, until time.Duration) {
	for k.Now() < until {
		k.Next(until)
	}
}

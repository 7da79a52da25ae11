package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// syncStep is sync(2), and the exit after it.
type syncStep struct{}

func (syncStep) step() {}

// do waits in D: no signal reaches a process whose disk does not answer.
func (syncStep) do(m *Machine, p *process) verdict {
	if !p.frame.begun {
		if e := m.fault(callSync); e != 0 {
			m.exit(p, kernel.WaitStatus(e)<<8)
			return gone
		}
	}
	return m.sleepFor(p, m.syncTime, Uninterruptible)
}

// SyncTakes changes how long a sync(2) takes that begins from now on.
type SyncTakes struct{ Time time.Duration }

func (a SyncTakes) act(m *Machine) { m.syncTime = a.Time }

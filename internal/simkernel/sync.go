package simkernel

import (
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Sync is sync(2): it waits in D until what is dirty now is on the disks.
type Sync struct{}

func (Sync) step() {}

func (Sync) do(m *Machine, p *process) verdict { return m.sync(p) }

// syncStep is sync(2), and the exit after it.
type syncStep struct{}

func (syncStep) step() {}

func (syncStep) do(m *Machine, p *process) verdict {
	if !p.frame.begun {
		if e := m.fault(callSync); e != 0 {
			m.exit(p, kernel.WaitStatus(e)<<8)
			return gone
		}
	}
	return m.sync(p)
}

// sync waits in D: no signal reaches a process whose disk does not answer. All disks write at the
// same time (fs/sync.c, ksys_sync).
func (m *Machine) sync(p *process) verdict {
	f := &p.frame
	if !f.begun && f.io == nil {
		f.io = m.syncAll()
	}
	if v := m.sleepFor(p, m.syncTime, Uninterruptible); v != done || f.io == nil {
		return v
	}
	return m.await(p)
}

// syncAll begins to write all that is dirty, or returns nil if there is nothing.
func (m *Machine) syncAll() *ioWait {
	var io *ioWait
	for _, d := range m.disks {
		if d.Dirty() > 0 {
			io = io.and(m.writeOut(d))
		}
	}
	return io
}

// SyncTakes changes how long a sync(2) takes that begins from now on, besides what the disks need.
type SyncTakes struct{ Time time.Duration }

func (a SyncTakes) act(m *Machine) { m.syncTime = a.Time }

// fsync is fsync(2): the log is written as far as the file's last change, for that is what a
// journal does.
func (m *Machine) fsync(n *node) (*ioWait, kernel.Errno) {
	switch n.kind {
	case kindFile, kindDir, kindLink:
	case kindBlock:
		if d := m.diskOf(n.device); d != nil {
			return m.writeOut(d), 0
		}
		return nil, 0
	case kindChar, kindFifo, kindSocket:
		return nil, kernel.EINVAL
	}
	d := n.fs.disk
	if d == nil {
		return nil, 0
	}
	d.settle()
	path, to := n.path(), d.flushed
	for i := range d.log {
		if d.log[i].path == path || d.log[i].to == path {
			to = d.log[i].end
		}
	}
	d.want(to)
	return &ioWait{disks: []diskWait{{d, to}}}, 0
}

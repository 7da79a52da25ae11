package simkernel

import (
	"slices"
	"strconv"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// diskWait is a position of a disk's log that somebody waits for.
type diskWait struct {
	disk *Disk
	to   int64
}

// ioWait is what a system call waits for in D: disks, and then what it does in the end.
type ioWait struct {
	disks []diskWait
	// answer says that the disks must answer even if there is nothing to write.
	answer bool
	// killable says that a fatal signal ends it.
	killable bool
	// behind are file systems whose s_umount is waited for too.
	behind []*superblock
	then   func()
	// next is what the system call does after that, and may have to wait for again.
	next func() (*ioWait, kernel.Errno)
}

// and is both waits, one after the other.
func (w *ioWait) and(o *ioWait) *ioWait {
	if w == nil {
		return o
	}
	if o == nil {
		return w
	}
	first, second := w.then, o.then
	return &ioWait{
		disks: append(slices.Clone(w.disks), o.disks...), answer: w.answer || o.answer,
		behind: append(slices.Clone(w.behind), o.behind...),
		then: func() {
			if first != nil {
				first()
			}
			if second != nil {
				second()
			}
		},
	}
}

// done is the end of the wait.
func (w *ioWait) done() {
	for _, o := range w.disks {
		o.disk.flush(min(o.to, o.disk.written))
	}
	if w.then != nil {
		w.then()
	}
}

// now is a call that waits for nothing: PID 1's, and those before it runs.
func (w *ioWait) now() kernel.Errno {
	if w == nil {
		return 0
	}
	w.done()
	if w.next == nil {
		return 0
	}
	_, e := w.next()
	return e
}

// writeOut begins to write all that is dirty.
func (m *Machine) writeOut(d *Disk) *ioWait {
	d.want(d.dirtied)
	return &ioWait{disks: []diskWait{{d, d.wanted}}, answer: d.dirtied > d.flushed}
}

// pending is a disk that keeps w waiting, or nil, and when it will not any more.
func (w *ioWait) pending() (*Disk, time.Duration) {
	for _, o := range w.disks {
		d := o.disk
		d.settle()
		switch {
		case d.written >= o.to && (!w.answer || d.answers()) || o.to > d.dirtied:
			// Done; or what was to be written has been given up.
			continue
		case !d.answers():
			return d, kernel.Never
		case d.written < o.to:
			return d, d.arrives(o.to)
		}
	}
	return nil, 0
}

// await lets p wait in D.
func (m *Machine) await(p *process) verdict {
	for w := p.frame.io; w != nil; w = p.frame.io {
		if fs := w.locked(); fs != nil {
			m.sleepUntil(p, kernel.Never, Uninterruptible)
			fs.waiters = append(fs.waiters, waiter{p, p.turn})
			return again
		}
		d, at := w.pending()
		if d != nil {
			if w.killable {
				p.flags |= taskKillable
			}
			m.sleepUntil(p, at, Uninterruptible)
			d.waits(p)
			return again
		}
		p.frame.io = nil
		w.done()
		if w.next != nil {
			io, e := w.next()
			p.result(e)
			p.frame.io = io
		}
	}
	return done
}

// waits enters p among those who are woken when the disk's behaviour changes.
func (d *Disk) waits(p *process) {
	const many = 16
	if len(d.waiters) > many {
		d.waiters = slices.DeleteFunc(d.waiters, func(w waiter) bool { return w.turn != w.p.turn })
	}
	d.waiters = append(d.waiters, waiter{p, p.turn})
}

// kworker lets the kernel wait for something by itself.
func (m *Machine) kworker(w *ioWait) {
	if w == nil {
		return
	}
	m.works = append(m.works, w)
	m.post(m.now, workTick{})
}

// workTick goes on with what the kernel waits for.
type workTick struct{}

func (workTick) act(m *Machine) {
	next := kernel.Never
	m.works = slices.DeleteFunc(m.works, func(w *ioWait) bool {
		if w.locked() != nil {
			return false // it is looked at again when that is unlocked
		}
		d, at := w.pending()
		if d == nil {
			w.done()
			return true
		}
		next = min(next, at)
		return false
	})
	if next != kernel.Never {
		m.post(next, workTick{})
	}
}

// The times of the writer in the background (mm/page-writeback.c), in centiseconds.
const (
	writebackPeriod = "sys/vm/dirty_writeback_centisecs"
	writebackExpire = "sys/vm/dirty_expire_centisecs"
	centisecond     = 10 * time.Millisecond
)

// writebackSoon lets the writer look after its period, unless it will anyway.
func (m *Machine) writebackSoon() {
	period := m.knobTime(writebackPeriod)
	if m.writerAwake || period <= 0 {
		return
	}
	m.writerAwake = true
	m.post(m.now+period, writebackTick{})
}

// writebackTick is a turn of the writer in the background.
type writebackTick struct{}

// act begins to write what has been dirty for long (fs/fs-writeback.c, wb_old_data_flush).
func (writebackTick) act(m *Machine) {
	m.writerAwake = false
	old := m.now - m.knobTime(writebackExpire)
	left := false
	for _, d := range m.disks {
		d.settle()
		to := d.wanted
		for i := range d.log {
			if c := &d.log[i]; c.at <= old {
				to = max(to, c.end)
			}
		}
		d.want(to)
		left = left || d.wanted < d.dirtied
	}
	if left {
		m.writebackSoon()
	}
}

// dirtyLimit is a part of memory, in bytes: a knob with the hundredth, unless the one in bytes is
// set.
func (m *Machine) dirtyLimit(name string) int64 {
	if n, _ := strconv.ParseInt(m.knobValue(findKnob("vm/"+name+"_bytes")), 10, 64); n > 0 {
		return n
	}
	n, _ := strconv.ParseInt(m.knobValue(findKnob("vm/"+name+"_ratio")), 10, 64)
	return m.memory() / 100 * n
}

// balanceDirty begins to write once much is dirty, and makes who has written wait, killably, once
// too much is (mm/page-writeback.c, balance_dirty_pages).
func (m *Machine) balanceDirty(d *Disk) *ioWait {
	if d == nil || d.dirtied-d.flushed < 1<<20 {
		return nil
	}
	w := m.Writeback()
	dirty := w.Dirty + w.Writing
	if dirty > m.dirtyLimit("dirty_background") {
		for _, o := range m.disks {
			o.want(o.dirtied)
		}
	}
	over := dirty - m.dirtyLimit("dirty")
	if over <= 0 {
		return nil
	}
	d.want(d.dirtied)
	return &ioWait{disks: []diskWait{{d, min(d.written+over, d.dirtied)}}, killable: true}
}

// wrote is the end of a step that has written to a file.
func (m *Machine) wrote(p *process, f *openFile, e kernel.Errno) verdict {
	p.result(e)
	if f == nil || f.at.node.kind != kindFile {
		return done
	}
	p.frame.io = m.balanceDirty(f.at.node.fs.disk)
	if p.frame.io == nil {
		return done
	}
	return m.await(p)
}

// Writeback is what the disks are to be told, in bytes: Dirty has not been begun with, Writing has.
type Writeback struct{ Dirty, Writing int64 }

// Writeback returns what is dirty.
func (m *Machine) Writeback() Writeback {
	var w Writeback
	// A disk takes but so many requests at once.
	const queue = 8 << 20
	for _, d := range m.disks {
		d.settle()
		writing := min(d.wanted-d.written, queue)
		w.Writing += writing
		w.Dirty += d.dirtied - d.written - writing
	}
	return w
}

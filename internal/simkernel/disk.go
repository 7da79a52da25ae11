package simkernel

import (
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Disk is a block device, and what stands on it. The value outlives the machine it is in: it goes
// into the Config of the next boot, with what was written back and nothing else.
//
// Writing is remembered as a log of changes in the order in which they were made. A disk takes
// them in that order, as a journaling file system sees to, so what is found after a crash is what
// was there at some earlier instant.
type Disk struct {
	// Name is the name of the device below /dev: "vda".
	Name string
	// Type is the file system on it, or "swap"; nothing if empty.
	Type string
	// Size is in bytes: 1 GiB if 0.
	Size int64
	// Speed is how many bytes it writes in a second: 100 MB if 0.
	Speed int64
	// Dead is a disk that does not answer.
	Dead bool
	// ReadOnly is a disk that is write-protected.
	ReadOnly bool
	// Volatile is a disk with a cache of its own, which a power cut empties. Only sync(2) and
	// its kin make it write that down.
	Volatile bool
	// Files are the plain files on it when it is first used.
	Files map[string]string
	// On are the devices, or the plain file, that it is made of: a loop, dm or md device.
	On []string

	stored  map[string]stored // what stands on it, by path
	boots   int               // of machines that it was in
	unclean bool              // mounted for writing, and not unmounted since

	// Positions are bytes of the log since the disk was first used.
	log     []change
	dirtied int64 // its end
	wanted  int64 // up to here it is to be written
	written int64 // up to here it is, if only into the disk's cache
	flushed int64 // up to here for good
	begun   span

	waiters []waiter
	machine *Machine
	super   *superblock // that is mounted from it
	swap    *swapArea
	goes    bool // when it is not mounted any more
}

// span is a time of steady writing.
type span struct {
	from int64 // position
	at   time.Duration
}

// stored is a file on a disk.
type stored struct {
	kind     nodeKind
	mode     uint16
	uid, gid int32
	content  []byte
	size     int64
	target   string // of a symbolic link
	device   devID
}

// change is one of a disk's changes.
type change struct {
	at   time.Duration // when it was made in memory
	end  int64         // position after it
	what changeKind
	path string
	to   string // the new path of a rename
	off  int64  // of data, or the new size
	data []byte // may be shorter than size: the rest are zeros
	size int64
	made stored // by changeMake, changeAttr
}

type changeKind uint8

const (
	changeMake changeKind = iota
	changeData
	changeSize
	changeAttr
	changeRemove
	changeRename
)

// block is the least that is written, in bytes.
const block = 4096

func (d *Disk) size() int64 {
	if d.Size == 0 {
		return 1 << 30
	}
	return d.Size
}

func (d *Disk) speed() int64 {
	if d.Speed == 0 {
		return 100_000_000
	}
	return d.Speed
}

// attach puts the disk into a machine. If it still was in another one, that has lost its power
// without more ado.
func (d *Disk) attach(m *Machine) {
	if d.machine != nil {
		d.PowerCut()
	}
	d.machine = m
	d.boots++
	if d.boots > 1 {
		return
	}
	d.stored = make(map[string]stored, len(d.Files))
	for p, text := range d.Files {
		d.stored[p] = stored{
			kind: kindFile, mode: 0o644, content: []byte(text), size: int64(len(text)),
		}
	}
}

// Reset takes the disk out of its machine as a reset of the machine does: what had reached the
// disk stays, in its own cache too.
func (d *Disk) Reset() {
	d.settle()
	d.apply(d.written)
	d.detach()
}

// PowerCut takes the disk out of its machine as the end of its power does.
func (d *Disk) PowerCut() {
	d.settle()
	if !d.Volatile {
		d.apply(d.written)
	}
	d.detach()
}

func (d *Disk) detach() {
	d.log, d.waiters, d.machine, d.super, d.swap = nil, nil, nil, nil, nil
	d.dirtied, d.wanted, d.written, d.flushed = 0, 0, 0, 0
}

// Clean reports whether the file system on it was unmounted, or made read-only, since it was last
// written to: fsck has nothing to do.
func (d *Disk) Clean() bool { return !d.unclean }

// File returns the text of a file on the disk, as far as it has been written for good.
func (d *Disk) File(path string) (string, bool) {
	d.settle()
	s, ok := d.stored[path]
	if !ok && d.boots == 0 {
		text, ok := d.Files[path]
		return text, ok
	}
	if !ok || s.kind != kindFile {
		return "", false
	}
	return string(s.content), true
}

// Dirty is how many bytes have not been written for good.
func (d *Disk) Dirty() int64 {
	d.settle()
	return d.dirtied - d.flushed
}

// Disks returns the machine's disks.
func (m *Machine) Disks() []*Disk { return m.disks }

// Disk returns a disk by its name, or nil.
func (m *Machine) Disk(name string) *Disk {
	for _, d := range m.disks {
		if d.Name == name {
			return d
		}
	}
	return nil
}

func (m *Machine) setUpDisks() {
	m.disks = slices.Clone(m.cfg.Disks)
	for _, d := range m.disks {
		d.attach(m)
	}
}

// keepSetUp makes what the configuration has put onto the disks what was there before.
func (m *Machine) keepSetUp() {
	for _, d := range m.disks {
		d.apply(d.dirtied)
		d.wanted, d.written, d.flushed = d.dirtied, d.dirtied, d.dirtied
	}
}

// answers reports whether the disk, and what it is made of, answers.
func (d *Disk) answers() bool {
	// What rests on more disks than there are rests on itself: a loop device whose file's path leads
	// to the device by now.
	return d.answersAbove(len(d.machine.disks))
}

// answersAbove is answers of a disk that has so many others below it at most.
func (d *Disk) answersAbove(others int) bool {
	if d.Dead {
		return false
	}
	if others == 0 {
		return true
	}
	for _, name := range d.On {
		if under := d.machine.below(d, name); under != nil && !under.answersAbove(others-1) {
			return false
		}
	}
	return true
}

// below is the disk that carries a device or a file that d is made of, or nil. If the kernel has the
// file open it is that one, whatever has been mounted over it since.
func (m *Machine) below(d *Disk, name string) *Disk {
	if o := m.Disk(strings.TrimPrefix(name, "/dev/")); o != nil || !strings.HasPrefix(name, "/") {
		return o
	}
	for _, b := range m.backings {
		if b.disk == d {
			return b.file.at.node.fs.disk
		}
	}
	if at, e := m.walk(nil, name, followLast); e == 0 {
		return at.node.fs.disk
	}
	return nil
}

// change enters a change into the log. It begins where the last one ended.
func (d *Disk) change(c change) {
	// A name or an attribute is a block.
	n := int64(block)
	if c.what == changeData {
		n = (c.size + block - 1) / block * block
	}
	if d.dirtied == d.wanted && d.machine.init != nil {
		d.machine.writebackSoon()
	}
	d.dirtied += n
	c.at, c.end = d.machine.now, d.dirtied
	d.log = append(d.log, c)
}

// pieceSize is how much of a file goes to the disk at once: less is not seen after a crash.
const pieceSize = 64 << 10

// write enters data into the log.
func (d *Disk) write(path string, off int64, data []byte, size int64) {
	for size > 0 {
		n := min(size, pieceSize)
		piece := data[:min(int64(len(data)), n)]
		d.change(change{
			what: changeData, path: path, off: off, data: slices.Clone(piece), size: n,
		})
		off, size, data = off+n, size-n, data[len(piece):]
	}
}

// settle moves on what has been written to where it is by now.
func (d *Disk) settle() {
	if d.machine == nil || d.written >= d.wanted || !d.answers() {
		return
	}
	d.written = min(d.wanted, d.begun.from+through(d.machine.now-d.begun.at, d.speed()))
	if !d.Volatile {
		d.flush(d.written)
	}
}

// through is how much can be written in a time.
func through(t time.Duration, speed int64) int64 {
	hi, lo := bits.Mul64(uint64(t), uint64(speed))
	if hi >= uint64(time.Second) {
		return 1 << 62
	}
	n, _ := bits.Div64(hi, lo, uint64(time.Second))
	return int64(min(n, 1<<62))
}

// want begins to write up to a position.
func (d *Disk) want(to int64) {
	d.settle()
	if to <= d.wanted {
		return
	}
	if d.written == d.wanted {
		d.begun = span{d.written, d.machine.now}
	}
	d.wanted = to
}

// arrives is when a position will have been written, if it is wanted and the disk answers.
func (d *Disk) arrives(to int64) time.Duration {
	n, speed := uint64(to-d.begun.from), uint64(d.speed())
	hi, lo := bits.Mul64(n, uint64(time.Second))
	q, r := bits.Div64(hi, lo, speed)
	if r > 0 {
		q++
	}
	return d.begun.at + time.Duration(q)
}

// flush makes sure of what has been written up to a position.
func (d *Disk) flush(to int64) {
	if to > d.flushed {
		d.apply(to)
		d.flushed = to
	}
}

// apply makes the changes up to a position what stands on the disk.
func (d *Disk) apply(to int64) {
	i := 0
	for ; i < len(d.log) && d.log[i].end <= to; i++ {
		d.keep(&d.log[i])
		d.log[i] = change{}
	}
	d.log = d.log[i:]
}

func (d *Disk) keep(c *change) {
	s := d.stored[c.path]
	switch c.what {
	case changeMake:
		s = c.made
	case changeAttr:
		s.mode, s.uid, s.gid = c.made.mode, c.made.uid, c.made.gid
	case changeData:
		s.content = overwrite(s.content, c.off, c.data)
		s.size = max(s.size, c.off+c.size)
	case changeSize:
		s.content = s.content[:min(int64(len(s.content)), c.off)]
		s.size = c.off
	case changeRemove:
		delete(d.stored, c.path)
		return
	case changeRename:
		d.rename(c.path, c.to)
		return
	}
	d.stored[c.path] = s
}

// rename moves a file, or a directory with all that is in it.
func (d *Disk) rename(from, to string) {
	moved := make(map[string]stored)
	for p, s := range d.stored {
		if rest, ok := strings.CutPrefix(p, from); ok && (rest == "" || rest[0] == '/') {
			moved[to+rest] = s
			delete(d.stored, p)
		}
	}
	for p, s := range moved {
		d.stored[p] = s
	}
}

// overwrite puts data at an offset. What lies between it and the end of the content are zeros.
func overwrite(content []byte, off int64, data []byte) []byte {
	if len(data) == 0 {
		return content
	}
	if n := off + int64(len(data)); n > int64(len(content)) {
		content = append(content, make([]byte, n-int64(len(content)))...)
	}
	copy(content[off:], data)
	return content
}

// The actions on disks, by their names.
type (
	// DiskDies makes a disk not answer any more, and DiskRevives makes it go on where it was.
	DiskDies    struct{ Name string }
	DiskRevives struct{ Name string }
	// DiskSpeed changes how many bytes a second it writes.
	DiskSpeed struct {
		Name  string
		Speed int64
	}
)

func (a DiskDies) act(m *Machine) {
	m.diskChanges(a.Name, func(d *Disk) { d.Dead = true })
}

func (a DiskRevives) act(m *Machine) {
	m.diskChanges(a.Name, func(d *Disk) { d.Dead = false })
}

func (a DiskSpeed) act(m *Machine) {
	m.diskChanges(a.Name, func(d *Disk) { d.Speed = a.Speed })
}

// diskChanges changes a disk's behaviour. Those who wait for it, or for one that lies on it, look
// again how long that will take.
func (m *Machine) diskChanges(name string, how func(d *Disk)) {
	d := m.Disk(name)
	if d == nil {
		panic("simkernel: no disk " + name)
	}
	for _, o := range m.disks {
		o.settle()
	}
	how(d)
	for _, o := range m.disks {
		o.begun = span{o.written, m.now}
		m.wakeAll(&o.waiters)
	}
}

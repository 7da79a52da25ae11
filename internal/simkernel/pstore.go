package simkernel

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/pstore"
)

// pstoreType is the file system that shows what earlier boots have left.
const pstoreType = "pstore"

// pstoreState is what the kernel keeps its log in.
type pstoreState struct {
	store  *pstore.Store // nil in a kernel that has none
	params pstore.Params // of ramoops
	// loaded says that the drivers have been, ramoops that this one is.
	loaded, ramoops bool
	fs              *superblock // mounted
}

// ramoopsMemory is the name of ramoops' memory in Persistent.
const ramoopsMemory = "ramoops"

// setUpPstore makes the store, as far as the kernel has one.
func (m *Machine) setUpPstore() {
	var major, minor int
	// The name of a profile begins with the version that it stands for.
	if _, err := fmt.Sscanf(m.kernel.name, "linux-%d.%d", &major, &minor); err != nil {
		return
	}
	if rules, ok := pstore.For(major, minor, 0); ok {
		m.pstore.store = pstore.New(rules, pstore.Defaults())
		m.pstore.params = pstore.DefaultParams()
	}
}

// loadPstore loads the drivers, once in a boot. The kernel says what they are.
func (m *Machine) loadPstore() {
	s := &m.pstore
	if s.loaded || s.store == nil || m.cfg.Namespace {
		return
	}
	s.loaded = true
	defer m.in("pstore_register")()
	for word := range strings.FieldsFuncSeq(m.cfg.Ramoops, func(r rune) bool { return r == ' ' || r == ',' }) {
		name, value, _ := strings.Cut(word, "=")
		if err := s.params.Set(name, value); err != nil {
			m.printk(kernel.Error, "ramoops: `"+value+"' invalid for parameter `"+name+"'")
			return
		}
	}
	if s.params.MemSize > 0 {
		lines, err := s.store.LoadRamoops(m.ramoopsZone(), &s.params, m.possibleCPUs(), m.wallClock())
		m.pstoreSays(lines)
		s.ramoops = err == nil
	}
	if room := m.cfg.EFIVariables; room > 0 {
		if m.persistent.Flash == nil {
			m.persistent.Flash = make(map[string][]byte)
		}
		lines, _ := s.store.Register(s.store.NewEFI(m.persistent.Flash, room), m.wallClock())
		m.pstoreSays(lines)
	}
	m.showRecords()
}

// ramoopsZone is the memory that ramoops is told of. What an earlier boot has left there is copied, for
// a machine may have more than one next boot. Memory that has been without power comes up with noise.
func (m *Machine) ramoopsZone() []byte {
	size := m.pstore.params.MemSize
	zone := make([]byte, size)
	if old := m.persistent.Memory[ramoopsMemory]; old != nil {
		copy(zone, old)
	} else if m.cfg.Seed != 0 {
		noise := rand.New(rand.NewPCG(m.cfg.Seed, uint64(size)))
		for i := range zone {
			zone[i] = byte(noise.Uint32())
		}
	}
	memory := map[string][]byte{ramoopsMemory: zone}
	for name, b := range m.persistent.Memory {
		if name != ramoopsMemory {
			memory[name] = bytes.Clone(b)
		}
	}
	m.persistent.Memory = memory
	return zone
}

// wallClock is the time of day.
func (m *Machine) wallClock() time.Time { return m.cfg.Epoch.Add(m.now + m.wallJump) }

func (m *Machine) pstoreSays(lines []pstore.Line) {
	for _, l := range lines {
		m.printk(kernel.Level(l.Level), l.Text)
	}
}

// pstoreDump keeps the log (fs/pstore/platform.c, pstore_dump).
func (m *Machine) pstoreDump(why DumpReason) {
	s := &m.pstore
	if !s.loaded {
		return
	}
	always := m.attrIsSet("module/printk/parameters/always_kmsg_dump")
	m.pstoreSays(s.store.Dump(pstore.Reason(why), always, m.wallClock(), m.syslog()))
	if ms := s.store.UpdateMS; ms >= 0 && s.store.Fresh() {
		m.interruptAt(m.now+time.Duration(ms)*time.Millisecond, 0, Do(func(m *Machine) {
			if s.fs != nil {
				m.pstoreSays(s.store.Update(m.wallClock()))
				m.showRecords()
			}
		}))
	}
}

// syslog is the log as syslog(2) shows it: records with level, facility and time before each line.
func (m *Machine) syslog() []string {
	lines := make([]string, 0, len(m.ring.records)-m.ring.head)
	var b []byte
	for i := m.ring.head; i < len(m.ring.records); i++ {
		r := &m.ring.records[i]
		b = b[:0]
		for line := range strings.SplitSeq(strings.TrimSuffix(r.Text, "\n"), "\n") {
			b = fmt.Appendf(b, "<%d>", int(r.facility)<<3|int(r.level))
			if !m.ring.noTime {
				b = appendStamp(b, r.At)
			}
			b = append(append(b, line...), '\n')
		}
		lines = append(lines, string(b))
	}
	return lines
}

// pstoreOptions takes the options of a mount, and shows those that are not at their defaults.
func (m *Machine) pstoreOptions(fs *superblock, data string) {
	if s := m.pstore.store; s != nil {
		s.SetOptions(data)
		fs.options = s.Options()
	}
}

// pstoreMounted fills a file system that has been made.
func (m *Machine) pstoreMounted(fs *superblock) {
	s := &m.pstore
	fs.root.mode = 0o750
	s.fs = fs
	if s.store != nil {
		m.pstoreSays(s.store.Mount(m.wallClock()))
		m.showRecords()
	}
}

// pstoreUnmounted is the end of a file system. The next mount reads the records again.
func (m *Machine) pstoreUnmounted(fs *superblock) {
	for i, s := range m.singles {
		if s == fs {
			m.singles = append(m.singles[:i:i], m.singles[i+1:]...)
			break
		}
	}
	if m.pstore.fs != fs {
		return
	}
	m.pstore.fs = nil
	if m.pstore.store != nil {
		m.pstore.store.Unmount()
	}
}

// showRecords makes files of the records that have none.
func (m *Machine) showRecords() {
	s := &m.pstore
	if s.fs == nil {
		return
	}
	for _, f := range s.store.Files() {
		if s.fs.root.child(f.Name) == nil {
			n := m.newNode(f.Name, kindFile, 0o444)
			s.fs.root.add(n)
			n.text = string(f.Data)
			n.size = int64(len(f.Data))
		}
	}
}

// eraseRecord is the removal of a record's file (fs/pstore/inode.c, pstore_unlink).
func (m *Machine) eraseRecord(n *node) {
	if m.pstore.store != nil && n.fs == m.pstore.fs {
		// The file was there, so the store has it, too.
		_ = m.pstore.store.Unlink(n.name)
	}
}

// pstoreAttr is a parameter of pstore.
func pstoreAttr(name string, mode uint16) sysAttr {
	return sysAttr{
		path: "module/pstore/parameters/" + name, kind: attrText, mode: mode,
		get: func(m *Machine) (string, kernel.Errno) {
			if m.pstore.store == nil {
				return "", kernel.ENOENT
			}
			set := m.pstore.store.Settings
			switch name {
			case "backend":
				return orNull(set.Backend), 0
			case "compress":
				if m.pstore.store.HasCompression() {
					return orNull(set.Compress), 0
				}
			case "kmsg_bytes":
				if m.pstore.store.HasKmsgBytes() {
					return strconv.Itoa(set.KmsgBytes), 0
				}
			case "update_ms":
				return strconv.Itoa(set.UpdateMS), 0
			}
			return "", kernel.ENOENT
		},
		set: func(m *Machine, _ *process, text string) kernel.Errno {
			if m.pstore.store == nil {
				return kernel.ENOENT
			}
			set := &m.pstore.store.Settings
			text = strings.TrimSuffix(text, "\n")
			n, err := strconv.ParseInt(text, 0, 32)
			switch name {
			case "backend":
				set.Backend = text
			case "compress":
				set.Compress = text
			case "kmsg_bytes":
				if err != nil {
					return paramErrno(err)
				}
				set.KmsgBytes = int(n)
			case "update_ms":
				if err != nil {
					return paramErrno(err)
				}
				set.UpdateMS = int(n)
			}
			return 0
		},
	}
}

// orNull is how a parameter that is a string shows when there is none.
func orNull(s string) string {
	if s == "" {
		return "(null)"
	}
	return s
}

// ramoopsAttr is a parameter of ramoops, which shows when the module is loaded.
func ramoopsAttr(name string) sysAttr {
	return sysAttr{
		path: "module/ramoops/parameters/" + name, kind: attrText, mode: 0o400,
		get: func(m *Machine) (string, kernel.Errno) {
			if v, ok := m.pstore.params.Get(name); ok && m.pstore.ramoops {
				return v, 0
			}
			return "", kernel.ENOENT
		},
		set: func(m *Machine, _ *process, text string) kernel.Errno {
			if m.pstore.store == nil || m.pstore.params.Set(name, text) != nil {
				return kernel.EINVAL
			}
			return 0
		},
	}
}

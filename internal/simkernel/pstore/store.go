package pstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Type is what a record is (include/linux/pstore.h, enum pstore_type_id).
type Type int

// The types that a backend of this package keeps.
const (
	TypeDmesg   Type = 0
	TypeConsole Type = 2
	TypeFtrace  Type = 3
	TypePmsg    Type = 7
)

func (t Type) String() string {
	switch t {
	case TypeDmesg:
		return "dmesg"
	case TypeConsole:
		return "console"
	case TypeFtrace:
		return "ftrace"
	case TypePmsg:
		return "pmsg"
	}
	return "unknown"
}

// A Record is one piece of evidence.
type Record struct {
	Type Type
	// ID tells records of a type apart.
	ID uint64
	// Part is which piece of a dump it is, from 1, the newest.
	Part int
	// Count is which dump of its boot it belongs to, from 1.
	Count  int
	Reason Reason
	// Time is when it was written; the zero time if nobody knows.
	Time time.Time
	// Compressed is whether Data is a deflate stream without a header.
	Compressed bool
	Data       []byte
	// Notice is what is said of its parity behind it.
	Notice string
}

// A Backend keeps records where they outlive the kernel.
type Backend interface {
	Name() string
	// BufSize is how many bytes a dump may have.
	BufSize() int
	// MaxReason is the highest reason it wants to be called for, or Undefined.
	MaxReason() Reason
	// Write keeps a record, or returns the syscall.Errno that the driver does.
	Write(Record) error
	// Records are all it has, in the driver's order. Those that make no sense may be gone after.
	Records() []Record
	Erase(Record) error
}

// Settings are the front end's, /sys/module/pstore/parameters.
type Settings struct {
	// Backend is the name of the only one that is let in; empty lets in the first.
	Backend string
	// Compress is the method; a Store knows deflate.
	Compress string
	// KmsgBytes is how much of a log a dump takes at least, if there is as much; also the mount
	// option kmsg_bytes.
	KmsgBytes int
	// UpdateMS is after how many milliseconds a dump of this boot shows in the mounted file
	// system; negative is never.
	UpdateMS int
}

// Defaults are the settings of a kernel that nobody has set anything of.
func Defaults() Settings {
	return Settings{Compress: "deflate", KmsgBytes: 10240, UpdateMS: -1}
}

// A File is a record in the mounted file system.
type File struct {
	Name string
	// Time is that of the record, or of the mount.
	Time   time.Time
	Data   []byte
	record Record
}

// Store is the front end: it has one backend at most, and a file system that is mounted or not.
type Store struct {
	Settings
	rules   Rules
	backend Backend
	// packs is whether dumps are compressed.
	packs bool
	// dumps is how many there have been in this boot.
	dumps   int
	mounted bool
	files   []*File
	// fresh is whether an oops has been kept since the file system was brought up to date.
	fresh bool
	told  bool // of an error of the backend
}

// New is a store as its kernel boots.
func New(rules Rules, set Settings) *Store { return &Store{rules: rules, Settings: set} }

// Errors of Register.
var (
	ErrOther  = errors.New("pstore: another backend was asked for")
	ErrLoaded = errors.New("pstore: there is a backend already")
)

// Register lets a backend in, if it is the first. Its records show at once if the file system is
// mounted (pstore_register).
func (s *Store) Register(b Backend, now time.Time) ([]Line, error) {
	if s.Backend != "" && s.Backend != b.Name() {
		if s.rules.inUse {
			return []Line{{kernWarn, fmt.Sprintf("pstore: backend '%s' already in use: ignoring '%s'",
				s.Backend, b.Name())}}, ErrLoaded
		}
		return []Line{{kernWarn, fmt.Sprintf("pstore: ignoring unexpected backend '%s'", b.Name())}}, ErrOther
	}
	if s.backend != nil {
		return []Line{{kernWarn, fmt.Sprintf("pstore: backend '%s' already loaded: ignoring '%s'",
			s.backend.Name(), b.Name())}}, ErrLoaded
	}
	s.backend = b
	lines := s.chooseCompression()
	lines = append(lines, s.update(now, false)...)
	s.Backend = b.Name()
	return append(lines, Line{kernInfo, fmt.Sprintf(
		"pstore: Registered %s as persistent store backend", b.Name())}), nil
}

func (s *Store) chooseCompression() []Line {
	if !s.rules.deflate || s.Compress == "" || s.Compress == "none" {
		return nil
	}
	var lines []Line
	if s.rules.names == nil && s.Compress != "deflate" {
		lines = []Line{{kernErr, fmt.Sprintf(
			"pstore: Unsupported compression '%s', falling back to deflate", s.Compress)}}
		s.Compress = "deflate"
	}
	if s.rules.names != nil && !slices.Contains(s.rules.names, s.Compress) {
		return nil
	}
	s.packs = true
	return append(lines, Line{kernInfo, fmt.Sprintf("pstore: Using %s: %s", s.rules.using, s.Compress)})
}

// Dump keeps the log (pstore_dump). The log is what syslog(2) would show: records from the oldest
// since the last clear, each with its level and time in front and a newline behind.
func (s *Store) Dump(why Reason, always bool, now time.Time, log []string) []Line {
	b := s.backend
	if b == nil || b.BufSize() == 0 || !s.rules.Wanted(why, b.MaxReason(), always) {
		return nil
	}
	var lines []Line
	var failed error
	rest := chunks{log}
	s.dumps++
	total := 0
	for part := 1; total < s.KmsgBytes; part++ {
		room := b.BufSize()
		if s.packs {
			room = s.rules.room(room)
		}
		header := fmt.Sprintf("%s#%d Part%d\n", s.rules.Word(why), s.dumps, part)
		text, ok := rest.next(room - len(header))
		if !ok {
			break
		}
		record := Record{Type: TypeDmesg, Part: part, Count: s.dumps, Reason: why, Time: now}
		var told []Line
		record.Data, record.Compressed, told = s.pack(header, text)
		lines = append(lines, told...)
		err := b.Write(record)
		if err == nil && why == Oops {
			s.fresh = true
		}
		if failed == nil {
			failed = err
		}
		total += len(record.Data)
	}
	var errno syscall.Errno
	if s.rules.tellsErrors && errors.As(failed, &errno) && !s.told {
		s.told = true
		lines = append(lines, Line{kernErr, fmt.Sprintf("pstore: backend (%s) writing error (%d)",
			b.Name(), -int(errno))})
	}
	return lines
}

// pack is what a part of a dump is stored as, and whether that is compressed.
func (s *Store) pack(header, text string) ([]byte, bool, []Line) {
	plain := []byte(header + text)
	if !s.packs {
		return plain, false, nil
	}
	size := s.backend.BufSize()
	if packed, ok := deflate(plain, size); ok {
		return packed, true, nil
	}
	// What does not become short enough is cut: before 6.6 the oldest of it, since then the newest.
	if !s.rules.oldPercent {
		return plain[:min(size, len(plain))], false, nil
	}
	var lines []Line
	if s.rules.crypto {
		lines = []Line{{kernErr, fmt.Sprintf("pstore: crypto_comp_compress failed, ret = %d!",
			-int(syscall.EINVAL))}}
	}
	if cut := len(plain) - size; cut > 0 {
		plain = append([]byte(header), plain[cut+len(header):]...)
	}
	return plain, false, lines
}

// Mount mounts the file system: the records that the backend has are its files.
func (s *Store) Mount(now time.Time) []Line {
	s.mounted = true
	return s.update(now, false)
}

// Unmount takes the files away. The records stay where they are.
func (s *Store) Unmount() { s.mounted, s.files = false, nil }

// Mounted reports whether the file system is mounted.
func (s *Store) Mounted() bool { return s.mounted }

// Fresh reports whether an oops of this boot is waiting to be shown.
func (s *Store) Fresh() bool { return s.fresh }

// Update shows what has been kept since the mount, if there is something; the kernel's timer does
// this UpdateMS after a dump.
func (s *Store) Update(now time.Time) []Line {
	if !s.fresh {
		return nil
	}
	s.fresh = false
	return s.update(now, true)
}

// update makes a file of each record that has none (pstore_get_records). A record that has taken the
// place of one whose file is still there does not show.
func (s *Store) update(now time.Time, quiet bool) []Line {
	if !s.mounted || s.backend == nil {
		return nil
	}
	var lines []Line
	failed := 0
	for _, record := range s.backend.Records() {
		if len(record.Data) == 0 {
			break // the kernel takes it for the end
		}
		told := s.unpack(&record)
		lines = append(lines, told...)
		if slices.ContainsFunc(s.files, func(f *File) bool {
			return f.record.Type == record.Type && f.record.ID == record.ID
		}) {
			if !quiet {
				failed++
			}
			continue
		}
		s.files = append(s.files, s.file(record, now))
	}
	if failed > 0 {
		lines = append(lines, Line{kernWarn, fmt.Sprintf("pstore: failed to create %d record(s) from '%s'",
			failed, s.backend.Name())})
	}
	return lines
}

func (s *Store) file(record Record, now time.Time) *File {
	suffix := ""
	if record.Compressed {
		suffix = ".enc.z"
	}
	at := now
	if record.Time.Unix() != 0 && !record.Time.IsZero() {
		at = record.Time
	}
	return &File{
		Name: fmt.Sprintf("%v-%s-%d%s", record.Type, s.backend.Name(), record.ID, suffix),
		Time: at, Data: append(slices.Clone(record.Data), record.Notice...), record: record,
	}
}

// unpack replaces a compressed record by its text, if that can be done.
func (s *Store) unpack(record *Record) []Line {
	if !record.Compressed {
		return nil
	}
	if !s.packs {
		return []Line{{kernWarn, "pstore: no decompression method initialized!"}}
	}
	text, code := inflate(record.Data, s.rules.unpacked(s.backend.BufSize()))
	switch {
	case code == 0:
		record.Data, record.Compressed = text, false
		return nil
	case s.rules.crypto:
		return []Line{{kernErr, fmt.Sprintf("pstore: crypto_comp_decompress failed, ret = %d!",
			-int(syscall.EINVAL))}}
	}
	return []Line{{kernErr, fmt.Sprintf("pstore: zlib_inflate() failed, ret = %d!", code)}}
}

// Files are those of the mounted file system.
func (s *Store) Files() []*File { return s.files }

// Unlink removes a file and erases its record, or returns syscall.ENOENT.
func (s *Store) Unlink(name string) error {
	i := slices.IndexFunc(s.files, func(f *File) bool { return f.Name == name })
	if i < 0 {
		return syscall.ENOENT
	}
	// The kernel does not look at what the driver says.
	_ = s.backend.Erase(s.files[i].record)
	s.files = slices.Delete(s.files, i, i+1)
	return nil
}

// Options is how the mount's options show in /proc/mounts, behind the others.
func (s *Store) Options() string {
	if s.KmsgBytes == Defaults().KmsgBytes {
		return ""
	}
	return fmt.Sprintf(",kmsg_bytes=%d", s.KmsgBytes)
}

// SetOptions takes the options of a mount or a remount. The kernel ignores what it does not know.
func (s *Store) SetOptions(data string) {
	for o := range strings.SplitSeq(data, ",") {
		if v, ok := strings.CutPrefix(o, "kmsg_bytes="); ok {
			n := 0
			if _, err := fmt.Sscanf(v, "%d", &n); err == nil {
				s.KmsgBytes = n
			}
		}
	}
}

// NewEFI is the backend in the variables of a firmware, for a kernel of this version.
func (s *Store) NewEFI(vars map[string][]byte, room int) *EFI { return NewEFI(s.rules, vars, room) }

// HasCompression reports whether there is the parameter compress (4.18).
func (s *Store) HasCompression() bool { return s.rules.crypto || !s.rules.oldPercent }

// HasKmsgBytes reports whether kmsg_bytes is a parameter, and not a mount option alone (6.6).
func (s *Store) HasKmsgBytes() bool { return !s.rules.oldPercent }

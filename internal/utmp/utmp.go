// Package utmp encodes and decodes the login records of /var/run/utmp and /var/log/wtmp, and
// works out the two changes that Rebound makes to them: a process that died, and a machine that
// goes down.
//
// It is pure: bytes and times come in, bytes go out. PID 1 does the reading and the writing
// through its kernel seam, the reboot command does its own, and neither has to agree on anything
// but this package.
//
// The records are glibc's struct utmp (bits/utmp.h), little-endian. There is no version and no
// magic number in these files: who reads them has to know the layout, and it is not the same on
// every machine. Musl writes no records at all: its functions for them are empty.
package utmp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"
)

// A Type says what a record is about (utmp(5)).
type Type int16

// The types that matter here; utmp(5) has the others.
const (
	Empty        Type = 0
	RunLevel     Type = 1
	BootTime     Type = 2
	InitProcess  Type = 5
	LoginProcess Type = 6
	UserProcess  Type = 7
	DeadProcess  Type = 8
)

// A Layout is the shape of a record. The zero value is Narrow.
//
// Glibc lets 32-bit and 64-bit programs of one processor family share these files, and keeps
// session and time in 32 bits for that where such a family exists
// (__WORDSIZE_TIME64_COMPAT32 in bits/wordsize.h).
type Layout int

const (
	// Narrow has 32-bit session and time, 384 bytes in all: x86, arm, riscv64.
	Narrow Layout = iota
	// Wide has 64-bit session and time, 400 bytes in all: arm64, which never had 32-bit
	// programs to share its files with.
	Wide
)

// Offsets of the fields that are where they are in both layouts.
const (
	offType        = 0
	offPID         = 4
	offLine        = 8
	offID          = 40
	offUser        = 44
	offHost        = 76
	offTermination = 332
	offExit        = 334
	offSession     = 336
)

// Lengths of the text fields. A text of full length has no NUL behind it.
const (
	LineLen = offID - offLine
	IDLen   = offUser - offID
	UserLen = offHost - offUser
	HostLen = offTermination - offHost
)

// LayoutOf returns the layout that glibc uses on an architecture, named as GOARCH names it. It
// reports false for one that Rebound is not built for.
func LayoutOf(goarch string) (Layout, bool) {
	switch goarch {
	case "amd64", "386", "arm", "riscv64":
		return Narrow, true
	case "arm64":
		return Wide, true
	}
	return 0, false
}

// Size returns the length of a record in bytes.
func (l Layout) Size() int {
	if l == Wide {
		return 400
	}
	return 384
}

func (l Layout) String() string {
	if l == Wide {
		return "wide"
	}
	return "narrow"
}

func (l Layout) offSec() int {
	if l == Wide {
		return 344
	}
	return 340
}

func (l Layout) offAddr() int {
	if l == Wide {
		return 360
	}
	return 348
}

// A Record is one decoded record.
type Record struct {
	Type Type
	PID  int32
	Line string // the terminal, without /dev/; "~" and the like where there is none
	ID   string // up to four bytes: the entry of inittab, or the end of the terminal's name
	User string
	Host string // the remote host, or the kernel's release

	Termination int16 // the signal that ended a DeadProcess
	Exit        int16 // its exit status
	Session     int64
	Time        time.Time // to the microsecond
	Addr        [16]byte  // the remote address, in network order
}

// Decode returns the record in b, which must be of the layout's size. A text ends at its first
// NUL; what is behind it is not kept.
func (l Layout) Decode(b []byte) (Record, error) {
	if len(b) != l.Size() {
		return Record{}, fmt.Errorf("utmp record: %d bytes, expected %d", len(b), l.Size())
	}
	r := Record{
		Type:        Type(binary.LittleEndian.Uint16(b[offType:])),
		PID:         int32(binary.LittleEndian.Uint32(b[offPID:])),
		Line:        text(b[offLine:][:LineLen]),
		ID:          text(b[offID:][:IDLen]),
		User:        text(b[offUser:][:UserLen]),
		Host:        text(b[offHost:][:HostLen]),
		Termination: int16(binary.LittleEndian.Uint16(b[offTermination:])),
		Exit:        int16(binary.LittleEndian.Uint16(b[offExit:])),
	}
	sec := b[l.offSec():]
	if l == Wide {
		r.Session = int64(binary.LittleEndian.Uint64(b[offSession:]))
		r.Time = stamp(int64(binary.LittleEndian.Uint64(sec)),
			int64(binary.LittleEndian.Uint64(sec[8:])))
	} else {
		r.Session = int64(int32(binary.LittleEndian.Uint32(b[offSession:])))
		// Unsigned, as glibc reads it since 2.40: that lasts until 2106 instead of 2038.
		r.Time = stamp(int64(binary.LittleEndian.Uint32(sec)),
			int64(int32(binary.LittleEndian.Uint32(sec[4:]))))
	}
	copy(r.Addr[:], b[l.offAddr():])
	return r, nil
}

// Encode returns the record in the layout. A text that is too long is cut, as glibc cuts it.
func (l Layout) Encode(r Record) []byte {
	b := make([]byte, l.Size())
	binary.LittleEndian.PutUint32(b[offPID:], uint32(r.PID))
	copy(b[offLine:][:LineLen], r.Line)
	copy(b[offID:][:IDLen], r.ID)
	copy(b[offUser:][:UserLen], r.User)
	copy(b[offHost:][:HostLen], r.Host)
	binary.LittleEndian.PutUint16(b[offTermination:], uint16(r.Termination))
	binary.LittleEndian.PutUint16(b[offExit:], uint16(r.Exit))
	if l == Wide {
		binary.LittleEndian.PutUint64(b[offSession:], uint64(r.Session))
	} else {
		binary.LittleEndian.PutUint32(b[offSession:], uint32(r.Session))
	}
	copy(b[l.offAddr():], r.Addr[:])
	l.set(b, r.Type, r.Time)
	return b
}

// set writes a record's type and time, and touches nothing else.
func (l Layout) set(b []byte, t Type, at time.Time) {
	binary.LittleEndian.PutUint16(b[offType:], uint16(t))
	sec, usec := at.Unix(), at.Nanosecond()/1000
	p := b[l.offSec():]
	if l == Wide {
		binary.LittleEndian.PutUint64(p, uint64(sec))
		binary.LittleEndian.PutUint64(p[8:], uint64(usec))
		return
	}
	binary.LittleEndian.PutUint32(p, uint32(sec))
	binary.LittleEndian.PutUint32(p[4:], uint32(usec))
}

// An Update is one record to write: at Offset in utmp, and once more at the end of wtmp.
type Update struct {
	Offset int64 // in bytes from the start of utmp
	Record []byte
}

// MarkDead returns what to write when the process pid has died, where content is the whole of
// utmp. The records are those of the types INIT, LOGIN and USER with an id; type and time are
// changed and everything else is kept, the host too [BusyBox 3.19]. An incomplete record at the
// end is left alone. Usually nothing is to be done, and nothing is allocated for it.
//
// A record that is dead already is left as it is. BusyBox would date it anew and copy it to wtmp
// a second time; since process ids come round again, that ends a session in wtmp which belongs to
// somebody else on the same terminal.
func (l Layout) MarkDead(content []byte, pid int32, now time.Time) []Update {
	if pid <= 0 {
		// Records that belong to no process (boot, run level, clock) have pid 0.
		return nil
	}
	var updates []Update
	size := l.Size()
	for off := 0; off+size <= len(content); off += size {
		b := content[off : off+size]
		if int32(binary.LittleEndian.Uint32(b[offPID:])) != pid || b[offID] == 0 {
			continue
		}
		switch Type(binary.LittleEndian.Uint16(b[offType:])) {
		case InitProcess, LoginProcess, UserProcess:
			dead := bytes.Clone(b)
			l.set(dead, DeadProcess, now)
			updates = append(updates, Update{Offset: int64(off), Record: dead})
		}
	}
	return updates
}

// Shutdown returns the record that wtmp gets when the machine is asked to go down, for halt,
// poweroff and reboot alike [BusyBox 6.6]. The release is the kernel's, as uname -r prints it;
// the time is kept to the second.
func Shutdown(release string, now time.Time) Record {
	return Record{
		Type: RunLevel,
		Line: "~~",
		ID:   "~~",
		User: "shutdown",
		Host: release,
		Time: time.Unix(now.Unix(), 0),
	}
}

// text returns a text field up to its NUL, or all of it.
func text(b []byte) string {
	if n := bytes.IndexByte(b, 0); n >= 0 {
		b = b[:n]
	}
	return string(b)
}

// stamp makes a time of the two numbers of a record. Microseconds out of range come from a file
// that is not what it seems; they are dropped, not carried.
func stamp(sec, usec int64) time.Time {
	if usec < 0 || usec > 999999 {
		usec = 0
	}
	return time.Unix(sec, usec*1000)
}

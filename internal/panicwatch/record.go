package panicwatch

import (
	"bytes"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Record is one record of the kernel log, as /dev/kmsg gives it.
type Record struct {
	// Facility is who has written it: 0 for the kernel, and never 0 for a program.
	Facility uint64
	Level    kernel.Level
	// Seq is its number. Those between two that were read are records that were not.
	Seq uint64
	// Text is its first line, with \xNN for what cannot be printed. It is part of what was
	// parsed.
	Text []byte
}

// ParseRecord takes a record apart: "LEVEL,SEQ,USEC,FLAGS[,MORE];TEXT\n", and then lines of a
// dictionary, each with a blank in front (Documentation/ABI/testing/dev-kmsg). LEVEL has the facility
// in its upper bits, as for syslog(3).
func ParseRecord(b []byte) (r Record, ok bool) {
	level, rest := number(b)
	seq, rest := number(rest)
	at := bytes.IndexByte(rest, ';')
	if at < 0 {
		return Record{}, false
	}
	text := rest[at+1:]
	if end := bytes.IndexByte(text, '\n'); end >= 0 {
		text = text[:end]
	}
	const levels = 8
	return Record{level / levels, kernel.Level(level % levels), seq, text}, true
}

// number takes a number and the comma behind it off the front, or returns nothing. strconv would
// make a string of it, for each record of a flood.
//
//go:noinline
func number(b []byte) (n uint64, rest []byte) {
	const most = 18 // digits, which always fit
	for i, c := range b {
		switch {
		case c == ',' && i > 0:
			return n, b[i+1:]
		case c < '0' || c > '9' || i == most:
			return 0, nil
		}
		n = n*10 + uint64(c-'0')
	}
	return 0, nil
}

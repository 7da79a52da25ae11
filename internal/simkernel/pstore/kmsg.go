package pstore

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

// chunks hands out a log from its newest lines back (kernel/printk/printk.c, kmsg_dump_get_buffer).
type chunks struct {
	log []string // the oldest first, each with its newline
}

// next is the newest text that has not been handed out, in whole records, as much as leaves one byte
// of size free. It is false if there is none left. A record that is too long for the buffer hides
// all that are older.
func (c *chunks) next(size int) (string, bool) {
	if len(c.log) == 0 || size <= 0 {
		return "", false
	}
	first, length := len(c.log), 0
	for first > 0 && length+len(c.log[first-1]) < size {
		first--
		length += len(c.log[first])
	}
	text := make([]byte, 0, length)
	for _, record := range c.log[first:] {
		text = append(text, record...)
	}
	if first == len(c.log) {
		c.log = nil
	} else {
		c.log = c.log[:first]
	}
	return string(text), true
}

// deflate compresses a dump, into size bytes at most.
func deflate(text []byte, size int) ([]byte, bool) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, false
	}
	if _, err := w.Write(text); err != nil || w.Close() != nil {
		return nil, false
	}
	return packed.Bytes(), packed.Len() <= size
}

// The codes of zlib for data that is wrong, and for data that does not end.
const (
	zlibData   = -3
	zlibBuffer = -5
)

// inflate is what deflate was given, if that is not longer than size; else a code of zlib's.
func inflate(packed []byte, size int) ([]byte, int) {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), int64(size)+1))
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt):
		return nil, zlibData
	case err != nil || len(text) > size:
		return nil, zlibBuffer
	}
	return text, 0
}

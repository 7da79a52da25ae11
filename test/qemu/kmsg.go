package qemu

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Record is a line of the kernel log as a console shows it.
type Record struct {
	Time   time.Duration // since boot
	Caller string        // "T1", "C0": with CONFIG_PRINTK_CALLER, else empty
	Text   string
}

// recordPrefix is what printk puts before a line: seconds and microseconds, then perhaps the task
// or CPU that spoke [kernel/printk/printk.c, info_print_prefix].
var recordPrefix = regexp.MustCompile(`^\[ *(\d+)\.(\d{6})\](?:\[ *([TC]\d+)\])? (.*)$`)

// ParseRecord takes a console line apart. It reports false for a line that does not come from the
// kernel.
func ParseRecord(line string) (Record, bool) {
	m := recordPrefix.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return Record{}, false
	}
	sec, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return Record{}, false
	}
	usec, err := strconv.ParseInt(m[2], 10, 32)
	if err != nil {
		return Record{}, false
	}
	at := time.Duration(sec)*time.Second + time.Duration(usec)*time.Microsecond
	return Record{Time: at, Caller: m[3], Text: m[4]}, true
}

// KernelLog returns the records among the lines of a console.
func KernelLog(console string) []Record {
	var log []Record
	for line := range strings.Lines(console) {
		if r, ok := ParseRecord(line); ok {
			log = append(log, r)
		}
	}
	return log
}

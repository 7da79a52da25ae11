package differential

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/test/pidns"
)

// given is what the tests' process has got from the machine. What a probe has the same is as the
// machine gives it, and the transcript says no more of it: the machines that play the cases differ.
var given = sync.OnceValue(func() *pidns.Report {
	r := &pidns.Report{}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return r
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		switch key {
		case "Groups":
			r.Groups = value
		case "CapBnd": // A program that root executes has all of these.
			r.Capabilities = value
		case "NoNewPrivs":
			r.NoNewPrivs = value
		case "Seccomp":
			r.Seccomp = value
		}
	}
	// The system call counts from 20 down to -19 (getpriority(2), kernel/library differences).
	if n, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
		r.Nice = 20 - n
	}
	if b, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil {
		r.OOM, _ = strconv.Atoi(strings.TrimSpace(string(b)))
	}
	for i := range unix.RLIMIT_RTTIME + 1 {
		var l unix.Rlimit
		_ = unix.Getrlimit(i, &l)
		r.Limits = append(r.Limits, [2]int64{int64(l.Cur), int64(l.Max)})
	}
	return r
})

// orGiven is a value, or the word for that of the machine.
func orGiven[T comparable](got, machine T) string {
	if got == machine {
		return "given"
	}
	return fmt.Sprint(got)
}

// capabilities names those that a mask lacks of the machine's.
func capabilities(mask string) string {
	got, errGot := strconv.ParseUint(mask, 16, 64)
	all, errAll := strconv.ParseUint(given().Capabilities, 16, 64)
	if errGot != nil || errAll != nil {
		return mask
	}
	text := "given"
	for c := range 64 {
		if bit := uint64(1) << c; got&bit != all&bit {
			text += fmt.Sprintf(" but %d", c)
		}
	}
	return text
}

// limits are the resource limits that the cases set and those that are not the machine's, by
// number: soft and hard.
func limits(got [][2]int64) string {
	var b strings.Builder
	for i, l := range got {
		set := i == unix.RLIMIT_CORE || i == unix.RLIMIT_NOFILE
		if machine := given().Limits; set || i >= len(machine) || l != machine[i] {
			fmt.Fprintf(&b, " %d:%d,%d", i, l[0], l[1])
		}
	}
	return b.String()
}

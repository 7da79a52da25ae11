// Package mountinfo reads what PID 1 needs of /proc/self/mountinfo (proc_pid_mountinfo(5)): where
// something is mounted, and of which type.
//
// The library for this, github.com/moby/sys/mountinfo, brings bufio and fmt's scanner into PID 1,
// which is a twentieth of its size.
package mountinfo

import "strings"

// Mount is a line of the file.
type Mount struct {
	// Point is the mount point. Blanks and backslashes in it are written as octal numbers
	// (\040), as in the file.
	Point string
	// Type is the type of the file system.
	Type string
}

// Parse returns the mounts in the order of the file. Lines that are none are left out: the kernel
// writes the file.
func Parse(text []byte) []Mount {
	const pointField = 4
	var ms []Mount
	for line := range strings.Lines(string(text)) {
		// ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPEROPTIONS
		before, after, ok := strings.Cut(line, " - ")
		if !ok {
			continue
		}
		fields := strings.Fields(before)
		fstype, _, _ := strings.Cut(after, " ")
		if len(fields) <= pointField || fstype == "" {
			continue
		}
		ms = append(ms, Mount{Point: fields[pointField], Type: fstype})
	}
	return ms
}

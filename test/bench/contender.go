package main

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/rebound-init/rebound/initramfs/image"
)

// maxServices is what the ids of sysvinitTable have room for.
const maxServices = 0xfff

// A contender is one PID 1 of the comparison.
type contender struct {
	name  string
	init  string                    // its executable, on the host
	libs  map[string]string         // shared libraries it needs: path in the guest, file on the host
	table func(services int) string // its inittab; nil if it starts no services
}

// busyboxTable is what BusyBox and Rebound read. The entries differ by their number, because
// BusyBox takes identical ones for one [BusyBox 2.14].
func busyboxTable(services int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "::sysinit:/bin/action\n::once:/bin/ask term\n")
	for i := 1; i <= services; i++ {
		fmt.Fprintf(&b, "::respawn:/bin/service %d %d\n", i, services)
	}
	return b.String()
}

// sysvinitTable is the same in sysvinit's form, where an id has four characters at most
// [inittab(5)]. Debian's run level 6 runs a shell with a dozen scripts that end what init did
// not start, unmount and call reboot(8). Here is nothing of that kind to do, so it is one
// static program that syncs and calls reboot(2): less than any real machine would have. The
// services are ended by init itself, before it starts the entry of the new run level.
func sysvinitTable(services int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "id:2:initdefault:\nsi::sysinit:/bin/action\nask:2:once:/bin/ask initctl\n")
	for i := 1; i <= services; i++ {
		fmt.Fprintf(&b, "s%03x:2:respawn:/bin/service %d %d\n", i, i, services)
	}
	fmt.Fprintf(&b, "l6:6:wait:/bin/rc6\n")
	return b.String()
}

// loopTable is what cloop.c and goloop read.
func loopTable(services int) string { return strconv.Itoa(services) + "\n" }

// writeImage makes the initramfs of a contender: its executable as /init, the guest programs
// by name in /bin, and its table. It is not compressed, which would save nothing but disk.
func (c contender) writeImage(file string, programs map[string]string, services int) error {
	entries := []image.Entry{
		{Path: "dev/console", Kind: image.Char, Perm: 0o600, Major: 5, Minor: 1},
		{Path: "dev/kmsg", Kind: image.Char, Perm: 0o600, Major: 1, Minor: 11},
		{Path: "dev/null", Kind: image.Char, Perm: 0o666, Major: 1, Minor: 3},
		{Path: "proc", Kind: image.Dir, Perm: 0o755},
		{Path: "run", Kind: image.Dir, Perm: 0o755},
		{Path: "sys", Kind: image.Dir, Perm: 0o755},
		{Path: "init", Perm: 0o755, Source: c.init},
	}
	for name, lib := range c.libs {
		entries = append(entries, image.Entry{Path: name, Perm: 0o755, Source: lib})
	}
	for name, program := range programs {
		entries = append(entries,
			image.Entry{Path: path.Join("bin", name), Perm: 0o755, Source: program})
	}
	if c.table != nil {
		entries = append(entries,
			image.Entry{Path: "etc/inittab", Perm: 0o644, Data: []byte(c.table(services))})
	}
	var im image.Image
	for _, e := range entries {
		e.From, e.Rank = c.name, image.Asked
		if err := im.Add(e); err != nil {
			return err
		}
	}
	if err := im.Settle(); err != nil {
		return err
	}
	_, err := im.WriteFile(file, image.None)
	return err
}

// size is that of the executable and of the libraries it needs together, in kB (1024 bytes).
func (c contender) size() (executable, libraries float64, err error) {
	if executable, err = kilobytes(c.init); err != nil {
		return 0, 0, err
	}
	for _, lib := range c.libs {
		n, err := kilobytes(lib)
		if err != nil {
			return 0, 0, err
		}
		libraries += n
	}
	return executable, libraries, nil
}

func kilobytes(file string) (float64, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()) / 1024, nil
}

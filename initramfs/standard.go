package main

import "github.com/rebound-init/rebound/initramfs/image"

// standardFrom is how messages name what this file brings.
const standardFrom = "the standard set"

// standard returns what is in every image: the directories on which file systems are mounted, and
// the device nodes of a machine whose kernel has no devtmpfs or has not mounted it yet.
//
// Two of the nodes decide whether there is a PID 1 at all. The kernel opens /dev/console of the
// initramfs as the file descriptors 0, 1 and 2 of init, before anything can be mounted
// [init/main.c, console_on_rootfs]. Without it, or on a machine without a usable console, they are
// closed; the Go runtime then opens /dev/null in their place, and if that is not there either it
// throws before main, and the kernel panics: `Attempted to kill init!`.
//
// Numbers are those of Documentation/admin-guide/devices.txt; modes are those that devtmpfs gives
// [drivers/char/mem.c, drivers/tty/tty_io.c], so that nothing changes when it is mounted over them.
func standard(arch string) []image.Entry {
	dir := func(path string, perm uint32) image.Entry {
		return image.Entry{Path: path, Kind: image.Dir, Perm: perm}
	}
	node := func(path string, perm, major, minor uint32) image.Entry {
		return image.Entry{
			Path: path, Kind: image.Char, Perm: perm, Major: major, Minor: minor,
		}
	}
	entries := []image.Entry{
		dir("dev", 0o755),
		dir("dev/pts", 0o755),
		dir("dev/shm", 0o1777),
		dir("etc", 0o755),
		dir("mnt", 0o755),
		dir("proc", 0o555),
		dir("root", 0o700),
		dir("run", 0o755),
		dir("sys", 0o555),
		dir("tmp", 0o1777),

		node("dev/console", 0o600, 5, 1),
		node("dev/null", 0o666, 1, 3),

		node("dev/full", 0o666, 1, 7),
		node("dev/hvc0", 0o600, 229, 0),
		node("dev/kmsg", 0o644, 1, 11),
		node("dev/ptmx", 0o666, 5, 2),
		node("dev/random", 0o666, 1, 8),
		node("dev/tty", 0o666, 5, 0),
		node("dev/tty0", 0o600, 4, 0),
		node("dev/tty1", 0o600, 4, 1),
		node("dev/ttyS0", 0o600, 4, 64),
		node("dev/urandom", 0o666, 1, 9),
		node("dev/watchdog", 0o600, 10, 130),
		node("dev/zero", 0o666, 1, 5),
	}
	if arch == "arm" || arch == "arm64" {
		// The PL011 serial port of most ARM boards, and of QEMU's virt machine.
		entries = append(entries, node("dev/ttyAMA0", 0o600, 204, 64))
	}
	for i := range entries {
		entries[i].Rank, entries[i].From = image.Standard, standardFrom
	}
	return entries
}

// runtimeDirs are filled while the machine runs, on every machine. /tmp is not among them: where
// a tree was made below /tmp, a link to its place on that machine would pass for one on ours.
func runtimeDirs() []string { return []string{"dev", "proc", "run", "sys"} }

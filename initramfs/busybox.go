package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/initramfs/image"
)

// busyboxPath is where BusyBox lies in the image.
const busyboxPath = "bin/busybox"

// ownCommand says whether a name belongs to our init. BusyBox's applet would ask for another way
// down than our init takes, and its linuxrc, while it runs, swallows every reboot [BusyBox 6.10].
func ownCommand(name string) bool {
	return slices.Contains([]string{"init", "linuxrc", "reboot", "halt", "poweroff"}, name)
}

// applets returns where in the image the applets of the BusyBox in file are to be linked. List is
// a file that names them, one a line, as `busybox --list` or `busybox --list-full` prints them; if
// it is empty, BusyBox is asked.
func applets(file, list string, m machine) ([]string, error) {
	names, err := appletNames(file, list, m)
	if err != nil {
		return nil, err
	}
	var places []string
	for _, name := range names {
		place := strings.TrimLeft(name, "/")
		if !strings.Contains(place, "/") {
			place = path.Join(appletDir(place), place)
		}
		if base := path.Base(place); base == path.Base(busyboxPath) || ownCommand(base) {
			continue
		}
		places = append(places, place)
	}
	return places, nil
}

func appletNames(file, list string, m machine) ([]string, error) {
	if list != "" {
		return appletList(list)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	// The table in the file is the same wherever the image is built. Running the program is
	// only the second choice, for a BusyBox whose table looks different.
	if names := appletTable(data); names != nil {
		return names, nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != m.arch {
		return nil, fmt.Errorf("%s: no table of applets found in it, and it cannot run here: "+
			"name them by --applets FILE", file)
	}
	return askApplets(file)
}

// appletList reads the names from a file.
func appletList(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var names []string
	for n, line := range strings.Split(string(data), "\n") {
		name := strings.TrimSpace(line)
		if name == "" || name[0] == '#' {
			continue
		}
		if _, err := image.CleanPath(name); err != nil || len(strings.Fields(name)) != 1 {
			return nil, fmt.Errorf("%s:%d: %q: want the name or path of an applet", file, n+1, name)
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: names no applet", file)
	}
	return names, nil
}

// appletTable finds the names of the applets in a BusyBox program: strings one after the other,
// sorted, each ended by a NUL, `busybox` among them.
func appletTable(data []byte) []string {
	const anchor = "\x00busybox\x00"
	var best []string
	for at := 0; ; {
		i := bytes.Index(data[at:], []byte(anchor))
		if i < 0 {
			break
		}
		at += i + 1
		names := append(namesBefore(data[:at], "busybox"), "busybox")
		names = append(names, namesAfter(data[at+len("busybox\x00"):], "busybox")...)
		if len(names) > len(best) {
			best = names
		}
	}
	// The bare word stands in other places too, with other text beside it.
	if !slices.Contains(best, "sh") && !slices.Contains(best, "ash") {
		return nil
	}
	return best
}

// namesAfter reads names up to the first string that cannot be the next.
func namesAfter(data []byte, last string) []string {
	name := appletName()
	var names []string
	for {
		end := bytes.IndexByte(data, 0)
		if end < 0 {
			return names
		}
		next := string(data[:end])
		if next <= last || name.FindString(next) != next {
			return names
		}
		names, last, data = append(names, next), next, data[end+1:]
	}
}

// namesBefore reads names backwards down to the first string that cannot be the one before. The
// first of the table may follow on any byte, so that of a string only the end may count.
func namesBefore(data []byte, last string) []string {
	name := appletName()
	var names []string
	for len(data) > 0 && data[len(data)-1] == 0 {
		data = data[:len(data)-1]
		start := bytes.LastIndexByte(data, 0) + 1
		text := string(data[start:])
		whole := text
		for text != "" && (text >= last || name.FindString(text) != text) {
			text = text[1:]
		}
		if text == "" {
			break
		}
		names, last = append(names, text), text
		if text != whole {
			break
		}
		data = data[:start]
	}
	slices.Reverse(names)
	return names
}

// appletName matches what applets are called.
func appletName() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\[\[?|[a-z0-9][a-z0-9_.+-]*)$`)
}

// askApplets lets BusyBox list them.
func askApplets(file string) ([]string, error) {
	if !strings.Contains(file, "/") {
		file = "./" + file // otherwise it would be looked up in PATH
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, file, "--list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --list: %w (name the applets by --applets FILE)", file, err)
	}
	names := strings.Fields(string(out))
	if len(names) == 0 {
		return nil, fmt.Errorf("%s --list: no applets (name them by --applets FILE)", file)
	}
	return names, nil
}

// appletDir returns the directory in which people and scripts look for an applet: that of
// `busybox --list-full`, which follows the Filesystem Hierarchy Standard. The kernel itself looks
// for /sbin/modprobe, and scripts for /usr/bin/env.
func appletDir(name string) string {
	switch name {
	case "acpid", "adjtimex", "arp", "blkid", "blockdev", "bootchartd", "depmod", "devmem",
		"fbsplash", "fdisk", "findfs", "freeramdisk", "fsck", "fsck.minix", "fstrim", "getty",
		"hdparm", "hwclock", "ifconfig", "ifdown", "ifenslave", "ifup", "insmod", "ip", "ipaddr",
		"iplink", "ipneigh", "iproute", "iprule", "iptunnel", "klogd", "loadkmap", "logread",
		"losetup", "lsmod", "makedevs", "mdev", "mkdosfs", "mke2fs", "mkfs.ext2", "mkfs.minix",
		"mkfs.vfat", "mkswap", "modinfo", "modprobe", "nameif", "pivot_root", "raidautorun",
		"rmmod", "route", "run-init", "runlevel", "slattach", "start-stop-daemon", "sulogin",
		"swapoff", "swapon", "switch_root", "sysctl", "syslogd", "tc", "tunctl", "udhcpc",
		"uevent", "vconfig", "watchdog", "zcip":
		return "sbin"
	case "add-shell", "addgroup", "adduser", "arping", "brctl", "chat", "chpasswd", "chroot",
		"crond", "delgroup", "deluser", "dhcprelay", "dnsd", "ether-wake", "fakeidentd", "fbset",
		"fsfreeze", "ftpd", "httpd", "i2cdetect", "i2cdump", "i2cget", "i2cset", "i2ctransfer",
		"inetd", "killall5", "loadfont", "lpd", "mim", "nanddump", "nandwrite", "nbd-client",
		"nologin", "ntpd", "partprobe", "popmaildir", "powertop", "rdate", "rdev", "readahead",
		"readprofile", "remove-shell", "rtcwake", "sendmail", "setfont", "setlogcons", "svlogd",
		"telnetd", "tftpd", "ubiattach", "ubidetach", "ubimkvol", "ubirename", "ubirmvol",
		"ubirsvol", "ubiupdatevol", "udhcpd":
		return "usr/sbin"
	case "arch", "ash", "base32", "base64", "bash", "cat", "chattr", "chgrp", "chmod", "chown",
		"conspy", "cp", "cpio", "cttyhack", "date", "dd", "df", "dmesg", "dnsdomainname",
		"dumpkmap", "echo", "ed", "egrep", "false", "fatattr", "fdflush", "fgrep", "fsync",
		"getopt", "grep", "gunzip", "gzip", "hostname", "hush", "ionice", "iostat", "ipcalc",
		"kbd_mode", "kill", "link", "linux32", "linux64", "ln", "login", "ls", "lsattr", "lzop",
		"makemime", "mkdir", "mknod", "mktemp", "more", "mount", "mountpoint", "mpstat", "mt",
		"mv", "netstat", "nice", "nuke", "pidof", "ping", "ping6", "pipe_progress", "printenv",
		"ps", "pwd", "readlink", "reformime", "resume", "rev", "rm", "rmdir", "rpm", "run-parts",
		"scriptreplay", "sed", "setarch", "setpriv", "setserial", "sh", "sleep", "stat", "stty",
		"su", "sync", "tar", "touch", "true", "umount", "uname", "uncompress", "usleep", "vi",
		"watch", "zcat":
		return "bin"
	}
	return "usr/bin"
}

package simkernel

import (
	"strconv"
	"strings"
	"syscall"
)

// The options of a mount, in the order of fs/proc_namespace.c (show_mnt_opts).
var mountOptions = [...]struct {
	flag uintptr
	name string
}{
	{syscall.MS_NOSUID, ",nosuid"},
	{syscall.MS_NODEV, ",nodev"},
	{syscall.MS_NOEXEC, ",noexec"},
	{syscall.MS_NOATIME, ",noatime"},
	{syscall.MS_NODIRATIME, ",nodiratime"},
	{syscall.MS_RELATIME, ",relatime"},
	{msNosymfollow, ",nosymfollow"},
}

func writeMountOptions(b *strings.Builder, flags uintptr) {
	for _, o := range mountOptions {
		if flags&o.flag != 0 {
			b.WriteString(o.name)
		}
	}
}

// rw is the first of the options.
func rw(readOnly bool) string {
	if readOnly {
		return "ro"
	}
	return "rw"
}

// mountTable is /proc/PID/mounts (fs/proc_namespace.c, show_vfsmnt). What is covered by another
// mount is there, too; what is outside the root directory is not.
func (m *Machine) mountTable(root place) string {
	var b strings.Builder
	for _, mnt := range m.mounts {
		path, seen := m.pathOf(root, place{mnt, mnt.root})
		if !seen {
			continue
		}
		mangle(&b, mnt.device(), "#")
		b.WriteByte(' ')
		mangle(&b, path, "")
		b.WriteByte(' ')
		mangle(&b, mnt.fs.typ.name, "#")
		b.WriteString(" " + rw(mnt.readOnly() || mnt.fs.readOnly))
		writeMountOptions(&b, mnt.flags)
		b.WriteString(mnt.fs.options + " 0 0\n")
	}
	return b.String()
}

// mountinfo is /proc/PID/mountinfo (fs/proc_namespace.c, show_mountinfo).
func (m *Machine) mountinfo(root place) string {
	var b strings.Builder
	for _, mnt := range m.mounts {
		path, seen := m.pathOf(root, place{mnt, mnt.root})
		if !seen {
			continue
		}
		parent := mnt.id
		if mnt.parent != nil {
			parent = mnt.parent.id
		}
		number(&b, mnt.id, ' ')
		number(&b, parent, ' ')
		number(&b, int(mnt.fs.dev.major), ':')
		number(&b, int(mnt.fs.dev.minor), ' ')
		mangle(&b, mnt.root.path(), "")
		b.WriteByte(' ')
		mangle(&b, path, "")
		b.WriteString(" " + rw(mnt.readOnly()))
		writeMountOptions(&b, mnt.flags)
		b.WriteString(" - ")
		mangle(&b, mnt.fs.typ.name, "#")
		b.WriteByte(' ')
		mangle(&b, mnt.device(), "#")
		b.WriteString(" " + rw(mnt.fs.readOnly) + mnt.fs.options + "\n")
	}
	return b.String()
}

// device is what stands for the source of a mount.
func (mnt *mount) device() string {
	if mnt.source == "" {
		return "none"
	}
	return mnt.source
}

func number(b *strings.Builder, n int, end byte) {
	b.WriteString(strconv.Itoa(n))
	b.WriteByte(end)
}

// mangle writes blanks, backslashes and what else is to be escaped as octal numbers
// (fs/seq_file.c, seq_escape).
func mangle(b *strings.Builder, s, more string) {
	for i := range len(s) {
		c := s[i]
		if strings.IndexByte(" \t\n\\", c) < 0 && strings.IndexByte(more, c) < 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString(`\`)
		for shift := 6; shift >= 0; shift -= 3 {
			b.WriteByte('0' + c>>shift&7)
		}
	}
}

package main

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAppletTable(t *testing.T) {
	table := appletNul("[", "[[", "ash", "busybox", "fsck.ext2", "i2c-get", "sh", "zcat")
	want := []string{"[", "[[", "ash", "busybox", "fsck.ext2", "i2c-get", "sh", "zcat"}
	for name, text := range map[string]string{
		"alone":                table,
		"at the very start":    table,
		"after zeros":          "\x00\x00\x00" + table,
		"after a string":       "some usage text\x00" + table + "more\x00",
		"right after a number": "\x12\x00\xbb\x82" + table,
		"right after text":     "Zz" + table,
		"with the bare word":   "/bin/busybox\x00busybox\x00busybox.conf\x00\x00" + table,
	} {
		if diff := cmp.Diff(want, appletTable([]byte(text))); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	for name, text := range map[string]string{
		"empty":    "",
		"no table": "usage: busybox\x00busybox\x00multi-call\x00",
		"no shell": appletNul("awk", "busybox", "cat"),
		"unsorted": appletNul("sh", "cat", "busybox", "awk"),
	} {
		if got := appletTable([]byte(text)); got != nil {
			t.Errorf("%s: got %q, want nothing", name, got)
		}
	}
}

// TestThisMachinesBusyBox compares what is read out of a real BusyBox with what it says itself.
func TestThisMachinesBusyBox(t *testing.T) {
	file, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs the program busybox")
	}
	out, err := exec.Command(file, "--list-full").Output()
	if err != nil {
		t.Skipf("needs a busybox that knows --list-full: %v", err)
	}
	var want []string
	for _, p := range strings.Fields(string(out)) {
		if p != busyboxPath && !ownCommand(path.Base(p)) {
			want = append(want, p)
		}
	}
	got, err := applets(file, "", machine{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-busybox --list-full +applets\n%s", diff)
	}
}

func TestAppletList(t *testing.T) {
	dir := t.TempDir()
	list := put(t, dir, "applets", []byte("# as from --list\nsh\n\nmodprobe\nusr/local/bin/own\n"+
		"init\nlinuxrc\nsbin/reboot\n/sbin/halt\npoweroff\nbusybox\nhttpd\nenv\n"), 0o644)
	got, err := applets("/none", list, machine{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"bin/sh", "sbin/modprobe", "usr/local/bin/own", "usr/sbin/httpd", "usr/bin/env"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"two words": {"sh\nls cat\n", "applets:2: \"ls cat\": want the name"},
		"outside":   {"../sh\n", "applets:1: \"../sh\": want the name"},
		"nothing":   {"# none\n", "names no applet"},
	} {
		list := put(t, dir, "applets", []byte(tt.text), 0o644)
		_, err := applets("/none", list, machine{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", name, err, tt.want)
		}
	}
}

func TestBusyBoxIsAskedWhereItsTableIsUnknown(t *testing.T) {
	script := put(t, t.TempDir(), "busybox",
		[]byte("#!/bin/sh\n[ \"$1\" = --list ] && printf 'sh\\nhalt\\nls\\n'\n"), 0o755)
	here := machine{arch: hostArch()}
	got, err := applets(script, "", here)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"bin/sh", "bin/ls"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := applets(script, "", machine{arch: "other"}); err == nil ||
		!strings.Contains(err.Error(), "it cannot run here: name them by --applets FILE") {
		t.Errorf("a foreign BusyBox: got %v, want the flag to use", err)
	}
	silent := put(t, t.TempDir(), "busybox", []byte("#!/bin/sh\nexit 0\n"), 0o755)
	if _, err := applets(silent, "", here); err == nil ||
		!strings.Contains(err.Error(), "no applets") {
		t.Errorf("a silent BusyBox: got %v", err)
	}
	broken := put(t, t.TempDir(), "busybox", []byte("#!/bin/sh\nexit 3\n"), 0o755)
	if _, err := applets(broken, "", here); err == nil ||
		!strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a broken BusyBox: got %v", err)
	}
}

// FuzzAppletTable: no file makes the search panic, and what it finds is sorted.
func FuzzAppletTable(f *testing.F) {
	f.Add([]byte("Zz" + appletNul("[", "ash", "busybox", "sh")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if names := appletTable(data); !slices.IsSorted(names) {
			t.Errorf("not sorted: %q", names)
		}
	})
}

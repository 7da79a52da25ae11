package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BusyBox takes identical entries for one, and sysvinit refuses a second entry of the same id
// and an id of five characters.
func TestEveryEntryIsItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(busyboxTable(maxServices)) {
		if seen[line] {
			t.Errorf("%q is there twice", line)
		}
		seen[line] = true
	}
	ids := map[string]bool{}
	for line := range strings.Lines(sysvinitTable(maxServices)) {
		id, _, _ := strings.Cut(line, ":")
		if ids[id] || len(id) > 4 {
			t.Errorf("%q: want an id of 4 characters at most that no other entry has", line)
		}
		ids[id] = true
	}
}

func TestEveryServiceIsToldHowManyThereAre(t *testing.T) {
	for name, table := range map[string]string{
		"BusyBox": busyboxTable(3), "sysvinit": sysvinitTable(3),
	} {
		for _, entry := range []string{"service 1 3\n", "service 2 3\n", "service 3 3\n"} {
			if strings.Count(table, ":respawn:/bin/"+entry) != 1 {
				t.Errorf("%s: want one entry with %q:\n%s", name, entry, table)
			}
		}
	}
}

func TestNumbersOfServices(t *testing.T) {
	if got, err := parseServices("4,100,1000"); err != nil || len(got) != 3 || got[2] != 1000 {
		t.Errorf("got %v, %v, want [4 100 1000]", got, err)
	}
	for _, bad := range []string{"", "0", "4,", "4,4", "100,4", "x", "4096", "4, 100"} {
		if got, err := parseServices(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestContendersAreChosenByName(t *testing.T) {
	o := options{work: "w", packages: "none", only: "busybox,c LOOP"}
	got, err := chooseContenders(o)
	if err != nil || len(got) != 2 || got[0].name != "BusyBox" || got[1].name != "C loop" {
		t.Errorf("got %v, %v, want BusyBox and C loop", got, err)
	}
	for only, want := range map[string]string{
		"Rebound":  "no -init",
		"runit":    `"runit"`,
		"sysvinit": "package:sysvinit-core",
	} {
		o.only = only
		if _, err := chooseContenders(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-only %s: got %v, want an error with %s", only, err, want)
		}
	}
}

// The dynamic loader must lie where the executable says, the rest where the loader looks.
func TestSysvinitHasItsLibraries(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{
		"sysvinit-core/sbin/init", "libselinux1/lib/x86_64-linux-gnu/libselinux.so.1",
		"libc6/lib/x86_64-linux-gnu/libc.so.6", "libc6/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"libpcre2-8-0/usr/lib/x86_64-linux-gnu/libpcre2-8.so.0",
	} {
		file = filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, 1536), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := chooseContenders(options{packages: dir, only: "sysvinit"})
	if err != nil {
		t.Fatal(err)
	}
	for _, lib := range []string{
		"lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/libc.so.6",
		"lib/x86_64-linux-gnu/libselinux.so.1", "lib/x86_64-linux-gnu/libpcre2-8.so.0",
	} {
		if got[0].libs[lib] == "" {
			t.Errorf("the image lacks %s: %v", lib, got[0].libs)
		}
	}
	executable, libraries, err := got[0].size()
	if err != nil || executable != 1.5 || libraries != 6 {
		t.Errorf("sizes: got %v and %v kB, %v, want 1.5 and 6", executable, libraries, err)
	}
}

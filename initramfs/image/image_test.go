package image

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// from is what test entries say about their origin.
const from = "test"

func file(p, content string) Entry {
	return Entry{Path: p, Kind: File, Rank: Asked, Perm: 0o644, From: from, Data: []byte(content)}
}

func dir(p string, perm uint32) Entry {
	return Entry{Path: p, Kind: Dir, Rank: Asked, Perm: perm, From: from}
}

func link(target, p string) Entry {
	return Entry{Path: p, Kind: Link, Rank: Asked, From: from, Target: target}
}

func char(p string, major, minor uint32) Entry {
	return Entry{
		Path: p, Kind: Char, Rank: Asked, Perm: 0o600, From: from, Major: major, Minor: minor,
	}
}

func ranked(r Rank, e Entry) Entry {
	e.Rank, e.From = r, fmt.Sprintf("rank %d", r)
	return e
}

// chain is a file at the end of n links.
func chain(n int) []Entry {
	entries := []Entry{file(fmt.Sprintf("l%d", n), "")}
	for i := range n {
		entries = append(entries, link(fmt.Sprintf("l%d", i+1), fmt.Sprintf("l%d", i)))
	}
	return entries
}

// settle makes an image of the entries.
func settle(entries ...Entry) (*Image, error) {
	im := &Image{}
	for _, e := range entries {
		if err := im.Add(e); err != nil {
			return nil, err
		}
	}
	return im, im.Settle()
}

func TestPathsAreCleaned(t *testing.T) {
	for in, want := range map[string]string{
		"bin/sh": "bin/sh", "/bin/sh": "bin/sh", "//bin//./sh": "bin/sh", "a..b/...": "a..b/...",
		"bin/": "bin", "dev/TRAILER!!!": "dev/TRAILER!!!",
	} {
		got, err := CleanPath(in)
		if err != nil || got != want {
			t.Errorf("CleanPath(%q)\n got %q, %v\nwant %q", in, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"empty name", []Entry{file("", "")}, "the name is empty"},
		{"only the root", []Entry{file("/./", "")}, "the name is empty"},
		{"dots", []Entry{file("etc/../../passwd", "")}, "`..` in the name"},
		{"dots that stay inside", []Entry{file("etc/../passwd", "")}, "`..` in the name"},
		{"NUL", []Entry{file("a\x00b", "")}, "NUL"},
		{"end of archive", []Entry{file("/TRAILER!!!", "")}, "would end the archive"},
		{"long name", []Entry{file(strings.Repeat("d/", 2100)+"f", "")}, "the kernel takes 4095"},
		{"mode", []Entry{dir("a", 0o10000)}, "want 0 to 07777"},
		{"missing file", []Entry{{Path: "a", Source: missing, From: from}}, "no such file"},
		{
			"directory for a file",
			[]Entry{{Path: "a", Source: t.TempDir(), From: from}},
			"is not a regular file",
		},
		{"empty link", []Entry{link("", "a")}, "want a path"},
		{
			"relative to nothing",
			[]Entry{{Path: "a", Kind: Link, Target: "b", Relative: true}},
			"want it from the root",
		},
		{"long link", []Entry{link(strings.Repeat("x", 5000), "a")}, "the kernel takes 4095"},

		{
			"absolute link out of the tree",
			[]Entry{link("/usr/share/zone", "etc/zone")},
			"link target /usr/share/zone is not in the image (there is no /usr)",
		},
		{"dangling link", []Entry{link("nothing", "etc/some")}, "there is no /etc/nothing"},
		{
			"climbing link",
			[]Entry{link("../../etc/passwd", "etc/p"), file("etc/passwd", "")},
			"link target ../../etc/passwd leaves the image",
		},
		{"link to itself", []Entry{link("a", "a")}, "more than 40 links"},
		{"links in a circle", []Entry{link("b", "a"), link("a", "b")}, "more than 40 links"},
		{"too many links", chain(maxLinks + 1), "more than 40 links"},
		{
			"link through a file",
			[]Entry{file("f", ""), link("f/x", "l")},
			"goes through /f, which is a file",
		},
		{
			"directories in a circle",
			[]Entry{link("b", "a"), link("a", "b"), file("a/f", "")},
			"more than 40 links",
		},
		{
			"directory that leaves the image",
			[]Entry{link("../..", "a/b"), file("a/b/f", "")},
			"leaves the image",
		},

		{"other content", []Entry{file("a", "1"), file("a", "2")}, "differs: the contents"},
		{"other length", []Entry{file("a", "1"), file("a", "12")}, "differs: the contents"},
		{"other mode", []Entry{dir("a", 0o700), dir("a", 0o755)}, "modes 0700 and 0755"},
		{"other target", []Entry{link("x", "a"), link("y", "a")}, "link targets x and y"},
		{"other device", []Entry{char("a", 1, 3), char("a", 1, 5)}, "devices 1,3 and 1,5"},
		{"other type", []Entry{file("a", ""), link("b", "a")}, "a file and a link"},
		{
			"same place through a link",
			[]Entry{
				dir("usr/sbin", 0o755), link("usr/sbin", "sbin"), file("sbin/x", "1"),
				file("usr/sbin/x", "2"),
			},
			"/usr/sbin/x is already there from test",
		},
		{
			"file in place of a device",
			[]Entry{ranked(Standard, char("a", 1, 3)), file("a", "")},
			"a character device and a file",
		},
		{
			"directory and link",
			[]Entry{dir("a", 0o755), ranked(Overlaid, link("b", "a"))},
			"a directory and a link",
		},
		{
			"file with children",
			[]Entry{file("a", ""), file("a/b", "")},
			"/a is a file and cannot hold it",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := settle(tt.entries...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestErrorsNameThePathAndWhoAsked(t *testing.T) {
	e := file("etc/motd", "one")
	e.From = "--file a:etc/motd"
	f := file("/etc/motd", "two")
	f.From = "board.manifest:3"
	_, err := settle(e, f)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want a ConflictError", err)
	}
	const want = "board.manifest:3: /etc/motd is already there from --file a:etc/motd, " +
		"and differs: the contents"
	if err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
}

func TestAllowed(t *testing.T) {
	source := filepath.Join(t.TempDir(), "same")
	if err := os.WriteFile(source, []byte("same"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromDisk := file("a", "")
	fromDisk.Data, fromDisk.Source = nil, source
	tests := []struct {
		name    string
		entries []Entry
	}{
		{"the same twice", []Entry{file("a", "same"), file("a", "same"), fromDisk}},
		{"the same device twice", []Entry{char("a", 1, 3), char("a", 1, 3)}},
		{"absolute link in the image", []Entry{link("/bin/b", "sbin/a"), file("bin/b", "")}},
		{"relative link", []Entry{link("../bin/b", "sbin/a"), file("bin/b", "")}},
		{"link through a link", []Entry{
			link("usr/bin", "bin"), link("/bin/b", "a"),
			file("usr/bin/b", ""),
		}},
		{"link to a directory", []Entry{link("../run", "var/run"), dir("run", 0o755)}},
		{"link to the root", []Entry{link("/", "mnt/root")}},
		{"as many links as the kernel follows", chain(maxLinks)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := settle(tt.entries...); err != nil {
				t.Errorf("got %v, want no error", err)
			}
		})
	}
}

func TestLinksMayPointIntoWhatIsFilledAtRunTime(t *testing.T) {
	im := &Image{}
	for _, d := range []string{"/proc", "data"} {
		if err := im.Runtime(d, from); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []Entry{
		link("/proc/mounts", "etc/mtab"), link("../data/etc/hosts", "etc/hosts"),
	} {
		if err := im.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Settle(); err != nil {
		t.Error(err)
	}
	if e, ok := im.Lookup("data"); !ok || e.Kind != Dir {
		t.Errorf("the mount point data is %v, %v, want a directory", e.Kind, ok)
	}
	if err := im.Runtime("..", from); err == nil {
		t.Error("a run-time directory outside the image is accepted")
	}
}

func TestWhoStays(t *testing.T) {
	implied := func(e Entry) Entry { return ranked(Implied, e) }
	standard := func(e Entry) Entry { return ranked(Standard, e) }
	asked := func(e Entry) Entry { return ranked(Asked, e) }
	overlaid := func(e Entry) Entry { return ranked(Overlaid, e) }
	tests := []struct {
		name          string
		first, second Entry
		want          Entry
	}{
		{
			"a tree's directory does not undo ours", standard(dir("a", 0o1777)),
			implied(dir("a", 0o755)), standard(dir("a", 0o1777)),
		},
		{
			"a mode that was asked for does", standard(dir("a", 0o1777)), asked(dir("a", 0o700)),
			asked(dir("a", 0o700)),
		},
		{
			"a file takes an applet's place", standard(link("x", "a")), asked(file("a", "own")),
			asked(file("a", "own")),
		},
		{
			"an overlay replaces", asked(file("a", "old")), overlaid(file("a", "new")),
			overlaid(file("a", "new")),
		},
		{
			"an overlay replaces a link", asked(link("x", "a")), overlaid(file("a", "new")),
			overlaid(file("a", "new")),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, order := range [][]Entry{{tt.first, tt.second}, {tt.second, tt.first}} {
				im, err := settle(order...)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := im.Lookup("a")
				if got.From != tt.want.From || got.Perm != tt.want.Perm {
					t.Errorf("\n got %+v\nwant %+v", got, tt.want)
				}
			}
		})
	}
}

func TestTheLastOverlayStays(t *testing.T) {
	im, err := settle(ranked(Overlaid, file("etc/a", "first")), file("etc/a", "tree"),
		ranked(Overlaid, file("etc/a", "last")), ranked(Overlaid, file("etc/new", "")))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := im.Lookup("etc/a"); string(e.Data) != "last" {
		t.Errorf("got %q, want the last overlay's", e.Data)
	}
	if got := fmt.Sprint(im.Replaced()); got != "[etc/a]" {
		t.Errorf("replaced\n got %s\nwant [etc/a]", got)
	}
}

func TestEntriesFollowLinksToDirectories(t *testing.T) {
	im, err := settle(
		file("sbin/init", "x"), dir("lib/modules", 0o755), // before the links that move them
		link("usr/sbin", "sbin"), link("/usr/lib", "lib"), dir("usr/sbin", 0o755),
		link("lib/modules", "modules"), file("modules/list", "y"),
	)
	if err != nil {
		t.Fatal(err)
	}
	for p, kind := range map[string]Kind{
		"usr/sbin/init": File, "usr/lib/modules": Dir, "usr/lib/modules/list": File,
		"sbin": Link, "lib": Link, "modules": Link, "usr": Dir,
	} {
		if e, ok := im.settled[p]; !ok || e.Kind != kind {
			t.Errorf("%s\n got %v, %v\nwant %v", p, e.Kind, ok, kind)
		}
	}
	if e, ok := im.Lookup("sbin/init"); !ok || string(e.Data) != "x" {
		t.Errorf("Lookup through a link got %q, %v, want the file", e.Data, ok)
	}
	if _, ok := im.Lookup("sbin/none"); ok {
		t.Error("Lookup finds what is not there")
	}
}

func TestRelativeLinksAreWrittenFromWhereTheyLie(t *testing.T) {
	rel := func(target, p string) Entry {
		e := link(target, p)
		e.Relative = true
		return e
	}
	im, err := settle(file("init", ""), file("bin/busybox", ""), rel("/init", "linuxrc"),
		rel("/init", "sbin/init"), rel("/bin/busybox", "bin/sh"), rel("/bin/busybox", "usr/bin/env"),
		link("usr/sbin", "sbin"), dir("usr/sbin", 0o755))
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]string{
		"linuxrc": "init", "usr/sbin/init": "../../init", "bin/sh": "busybox",
		"usr/bin/env": "../../bin/busybox",
	} {
		if got := im.settled[p].Target; got != want {
			t.Errorf("%s\n got %s\nwant %s", p, got, want)
		}
	}
}

// TestSettledImagesCanBeUnpacked: whatever is put in, in whatever order, either is refused or
// every entry lies in a directory that comes before it and is no link.
func TestSettledImagesCanBeUnpacked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		component := rapid.SampledFrom([]string{"a", "b", "c", "..", "."})
		anyPath := rapid.Custom(func(t *rapid.T) string {
			s := path.Join(rapid.SliceOfN(component, 1, 3).Draw(t, "components")...)
			if rapid.Bool().Draw(t, "absolute") {
				s = "/" + s
			}
			return s
		})
		im := &Image{}
		for range rapid.IntRange(1, 8).Draw(t, "entries") {
			e := Entry{Path: anyPath.Draw(t, "path"), From: from, Perm: 0o644, Rank: Asked}
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				e.Kind = Dir
			case 1:
				e.Kind, e.Target = Link, anyPath.Draw(t, "target")
			}
			if err := im.Add(e); err != nil && !strings.Contains(err.Error(), "name") {
				t.Fatalf("Add: %v", err)
			}
		}
		if im.Settle() != nil {
			return
		}
		unpacked := map[string]bool{".": true}
		for _, p := range sortedPaths(im.settled) {
			if !unpacked[path.Dir(p)] {
				t.Fatalf("%s comes before its directory: %v", p, sortedPaths(im.settled))
			}
			unpacked[p] = im.settled[p].Kind == Dir
		}
	})
}

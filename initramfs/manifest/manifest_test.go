package manifest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/initramfs/image"
)

func TestRead(t *testing.T) {
	const text = `
# A board.
dir /data 0700          # for the user
dir empty
file hello /bin/hello   4755
file /abs/data etc/data
file "two words" "etc/a \"quoted\" #name"
link /bin/busybox /bin/sh
node dev/rtc c 254 0
node /dev/mmcblk0 b 179 8 0660
node run/pipe p
node run/open p 666
tree rootfs
tree /srv/files /opt/files
overlay mine /
`
	items, err := Read(strings.NewReader(text), "boards/one/manifest")
	if err != nil {
		t.Fatal(err)
	}
	entry := func(line int, e image.Entry) Item {
		e.Rank, e.From = image.Asked, fmt.Sprintf("boards/one/manifest:%d", line)
		return Item{Entry: &e}
	}
	tree := func(line int, tr image.Tree) Item {
		tr.From = fmt.Sprintf("boards/one/manifest:%d", line)
		return Item{Tree: &tr}
	}
	want := []Item{
		entry(3, image.Entry{Kind: image.Dir, Path: "data", Perm: 0o700}),
		entry(4, image.Entry{Kind: image.Dir, Path: "empty", Perm: 0o755}),
		entry(5, image.Entry{Source: "boards/one/hello", Path: "bin/hello", Perm: 0o4755}),
		entry(6, image.Entry{Source: "/abs/data", Path: "etc/data", PlainPerm: true}),
		entry(7, image.Entry{
			Source: "boards/one/two words", Path: `etc/a "quoted" #name`,
			PlainPerm: true,
		}),
		entry(8, image.Entry{Kind: image.Link, Target: "/bin/busybox", Path: "bin/sh"}),
		entry(9, image.Entry{Kind: image.Char, Path: "dev/rtc", Perm: 0o600, Major: 254}),
		entry(10, image.Entry{
			Kind: image.Block, Path: "dev/mmcblk0", Perm: 0o660, Major: 179,
			Minor: 8,
		}),
		entry(11, image.Entry{Kind: image.Fifo, Path: "run/pipe", Perm: 0o600}),
		entry(12, image.Entry{Kind: image.Fifo, Path: "run/open", Perm: 0o666}),
		tree(13, image.Tree{Dir: "boards/one/rootfs", Rank: image.Asked}),
		tree(14, image.Tree{Dir: "/srv/files", Dest: "opt/files", Rank: image.Asked}),
		tree(15, image.Tree{Dir: "boards/one/mine", Rank: image.Overlaid}),
	}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestRefusedLines(t *testing.T) {
	tests := []struct{ line, want string }{
		{"copy a b", `"copy": want dir, file, link, node, tree or overlay`},
		{"dir", "0 words after the first: want dir DEST [MODE]"},
		{"dir a 755 x", "3 words after the first"},
		{"dir a 0o755", `mode "0o755": want octal`},
		{"dir a 10000", `mode "10000": want octal`},
		{"dir a -1", `mode "-1": want octal`},
		{"dir ../a", "`..` in the name"},
		{"dir /", "the name is empty"},
		{"file a", "want file SOURCE DEST [MODE]"},
		{`file "" a`, "empty source"},
		{"file a TRAILER!!!", "would end the archive"},
		{"link a", "want link TARGET DEST"},
		{"link a b 777", "want link TARGET DEST"},
		{"node a", "want node DEST"},
		{"node a x 1 2", `"x": want c, b or p`},
		{"node a c 1", "want node DEST c|b|p [MAJOR MINOR [MODE]]"},
		{"node a c 4096 1", `major "4096": want a number from 0 to 4095`},
		{"node a b 1 1048576", `minor "1048576": want a number from 0 to 1048575`},
		{"node a c one 1", `major "one"`},
		{"node a c 1 3 9", `mode "9"`},
		{"node a p 1 3", "want node DEST p [MODE]"},
		{"tree", "want tree|overlay SOURCE [DEST]"},
		{"tree a b/../c", "`..` in the name"},
		{`tree a ""`, "the name is empty"},
		{`overlay ""`, "empty source"},
		{`dir "a`, "the quote is not closed"},
		{`dir a"b"`, "a quote inside a word"},
		{`dir "a"b`, "want a blank after the quote"},
		{`dir "\q"`, "the quote is not closed"},
		{strings.Repeat("x", 100_000), "token too long"},
	}
	for _, tt := range tests {
		t.Run(tt.line[:min(len(tt.line), 20)], func(t *testing.T) {
			_, err := Read(strings.NewReader("# first\n\n"+tt.line+"\n"), "list")
			var at *LineError
			if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), "list:3: ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant list:3: %s", err, tt.want)
			}
		})
	}
}

func TestReadFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list")
	if _, err := ReadFile(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing manifest: got %v, want ErrNotExist", err)
	}
	if err := os.WriteFile(name, []byte("dir a\r\nfile b c"), 0o644); err != nil {
		t.Fatal(err)
	}
	items, err := ReadFile(name)
	if err != nil || len(items) != 2 {
		t.Fatalf("got %d items, %v, want 2", len(items), err)
	}
	if want := filepath.Join(filepath.Dir(name), "b"); items[1].Entry.Source != want {
		t.Errorf("source\n got %s\nwant %s", items[1].Entry.Source, want)
	}
}

// FuzzRead: no text makes the parser panic, every error names its line, and what is accepted can
// be added to an image or is refused there, by name.
func FuzzRead(f *testing.F) {
	f.Add("dir a 0755\nfile b c\nlink d e\nnode f c 1 3\nnode p p\ntree t /\noverlay o p # x")
	f.Add("file \"a b\" \"c\\x00d\"")
	f.Add("node a b 4095 1048575 7777")
	f.Add("tree x ..\n")
	f.Fuzz(func(t *testing.T, text string) {
		items, err := Read(strings.NewReader(text), "list")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "list:") {
				t.Errorf("%v: want list:LINE first", err)
			}
			return
		}
		for _, item := range items {
			switch {
			case (item.Entry == nil) == (item.Tree == nil):
				t.Errorf("%+v: want an entry or a tree", item)
			case item.Tree != nil:
				if strings.HasPrefix(item.Tree.Dest, "/") || item.Tree.Dir == "" {
					t.Errorf("%+v: want a source, and a place without a leading slash", item.Tree)
				}
			case item.Entry.Source == "":
				e := *item.Entry
				if err := (&image.Image{}).Add(e); err != nil &&
					!strings.Contains(err.Error(), "link target") {
					t.Errorf("%+v: %v", e, err)
				}
			}
		}
	})
}

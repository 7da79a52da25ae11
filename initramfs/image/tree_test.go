package image

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// modes makes files with these modes, and returns the directory.
func modes(t *testing.T, files map[string]os.FileMode) string {
	t.Helper()
	root := t.TempDir()
	for name, mode := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if mode.IsDir() {
			err = os.MkdirAll(p, 0o755)
		} else {
			err = os.WriteFile(p, nil, 0o644)
		}
		if err == nil {
			err = os.Chmod(p, mode) // not bound by the umask
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestModesOfTrees(t *testing.T) {
	root := modes(t, map[string]os.FileMode{
		"closed": 0o700 | os.ModeDir, "closed/as/all": 0o600, "closed/as": 0o700 | os.ModeDir,
		"etc/shadow": 0o600, "bin/tool": 0o700, "bin/su": 0o755 | os.ModeSetuid,
		"bin/wall": 0o755 | os.ModeSetgid, "data": 0o770 | os.ModeDir | os.ModeSetgid,
		"tmp": 0o777 | os.ModeDir | os.ModeSticky,
	})
	for keep, want := range map[bool]map[string]uint32{
		false: {
			"etc/shadow": 0o644, "bin/tool": 0o755, "bin/su": 0o4755, "bin/wall": 0o2755,
			"data": 0o755, "tmp": 0o1777,
		},
		true: {
			"etc/shadow": 0o600, "bin/tool": 0o700, "bin/su": 0o4755, "bin/wall": 0o2755,
			"data": 0o2770, "tmp": 0o1777,
		},
	} {
		im := &Image{}
		if err := im.AddTree(Tree{Dir: root, Rank: Asked, From: from, KeepModes: keep}); err != nil {
			t.Fatal(err)
		}
		if err := im.Settle(); err != nil {
			t.Fatal(err)
		}
		for p, perm := range want {
			if e, _ := im.Lookup(p); e.Perm != perm {
				t.Errorf("keep %v: %s\n got %04o\nwant %04o", keep, p, e.Perm, perm)
			}
		}
		wantOpened := map[bool]string{false: "[bin/tool etc/shadow]", true: "[]"}[keep]
		if got := fmt.Sprint(im.Opened()); got != wantOpened {
			t.Errorf("keep %v: opened\n got %s\nwant %s", keep, got, wantOpened)
		}
	}
}

func TestTreesGoWhereTheyShould(t *testing.T) {
	root := modes(t, map[string]os.FileMode{"a": 0o644, "sub/b": 0o644})
	alias := filepath.Join(t.TempDir(), "alias")
	for _, err := range []error{
		os.Symlink(root, alias), unix.Mkfifo(filepath.Join(root, "pipe"), 0o640),
		os.Symlink("../a", filepath.Join(root, "sub/link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	im := &Image{}
	if err := im.AddTree(Tree{Dir: alias, Dest: "opt/x", Rank: Asked, From: from}); err != nil {
		t.Fatal(err)
	}
	if err := im.Settle(); err != nil {
		t.Fatal(err)
	}
	for p, kind := range map[string]Kind{
		"opt/x": Dir, "opt/x/a": File, "opt/x/sub/b": File, "opt/x/pipe": Fifo,
		"opt/x/sub/link": Link,
	} {
		if e, ok := im.settled[p]; !ok || e.Kind != kind {
			t.Errorf("%s\n got %v, %v\nwant %v", p, e.Kind, ok, kind)
		}
	}
}

func TestTreesWithDevices(t *testing.T) {
	root := t.TempDir()
	for name, mode := range map[string]uint32{"c": unix.S_IFCHR | 0o620, "b": unix.S_IFBLK | 0o660} {
		p := filepath.Join(root, name)
		err := unix.Mknod(p, mode, int(unix.Mkdev(204, 300)))
		if errors.Is(err, unix.EPERM) {
			t.Skip("needs CAP_MKNOD")
		}
		if err == nil {
			err = os.Chmod(p, os.FileMode(mode&0o777))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	im := &Image{}
	if err := im.AddTree(Tree{Dir: root, Rank: Asked, From: from}); err != nil {
		t.Fatal(err)
	}
	if err := im.Settle(); err != nil {
		t.Fatal(err)
	}
	c, b := im.settled["c"], im.settled["b"]
	if c.Kind != Char || c.Major != 204 || c.Minor != 300 || c.Perm != 0o620 {
		t.Errorf("character device: got %+v", c)
	}
	if b.Kind != Block || b.Major != 204 || b.Minor != 300 || b.Perm != 0o660 {
		t.Errorf("block device: got %+v", b)
	}
}

func TestTreesThatAreRefused(t *testing.T) {
	withSocket := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(withSocket, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ending := modes(t, map[string]os.FileMode{"TRAILER!!!": 0o644})
	plain := filepath.Join(modes(t, map[string]os.FileMode{"f": 0o644}), "f")
	for name, tt := range map[string]struct {
		tree Tree
		want string
	}{
		"socket":        {Tree{Dir: withSocket}, "/sock: "},
		"missing":       {Tree{Dir: withSocket + "/none"}, "no such file"},
		"file":          {Tree{Dir: plain}, "is not a directory"},
		"ends archive":  {Tree{Dir: ending}, "would end the archive"},
		"outside of it": {Tree{Dir: ending, Dest: "../x"}, "`..` in the name"},
	} {
		tt.tree.Rank, tt.tree.From = Asked, "--tree x"
		err := (&Image{}).AddTree(tt.tree)
		if err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), "--tree x") {
			t.Errorf("%s\n got %v\nwant --tree x ... %s", name, err, tt.want)
		}
	}
}

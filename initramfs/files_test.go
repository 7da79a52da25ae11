package main

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/initramfs/image"
	"github.com/rebound-init/rebound/internal/inittab"
)

// assembled returns the default image, with an overlay if one is named.
func assembled(t *testing.T, overlay string) *builder {
	t.Helper()
	dir := t.TempDir()
	// The applets that the trees call, as a BusyBox would have them.
	applets := appletNul("ash", "busybox", "dmesg", "echo", "false", "hostname", "sh", "sleep",
		"syslogd", "uname")
	b := &builder{options: options{
		arch:    "amd64",
		init:    put(t, dir, "init", static("").bytes(), 0o755),
		busybox: put(t, dir, "busybox", static(applets).bytes(), 0o755),
		trees:   []string{"files"},
	}}
	if overlay != "" {
		b.overlays = []string{overlay}
	}
	if err := b.assemble(); err != nil {
		t.Fatal(err)
	}
	return b
}

// table reads the inittab of an image, and refuses any that has something to be said about.
func table(t *testing.T, b *builder) inittab.Table {
	t.Helper()
	e, ok := b.image.Lookup("etc/inittab")
	if !ok {
		t.Fatal("no /etc/inittab")
	}
	text, err := os.ReadFile(e.Source)
	if err != nil {
		t.Fatal(err)
	}
	entries, diagnostics := inittab.Parse(e.Source, text)
	for _, d := range diagnostics {
		t.Errorf("%v", d)
	}
	return entries
}

func TestInittabsStartOnlyWhatIsThere(t *testing.T) {
	for _, overlay := range []string{"", "demo"} {
		b := assembled(t, overlay)
		seen := map[inittab.Action]bool{}
		for _, e := range table(t, b) {
			seen[e.Action] = true
			words := []string{inittab.Words(e.Command).Path}
			if _, script, ok := strings.Cut(e.Command, "sh -c "); ok {
				// Of a script, the words that are programs by name.
				words = append(words, strings.FieldsFunc(script, func(r rune) bool {
					return strings.ContainsRune(" ;'\"$()", r)
				})...)
			}
			for _, w := range words {
				if !path.IsAbs(w) && !slices.Contains([]string{"sleep", "poweroff", "uname"}, w) {
					continue
				}
				if !runs(b, w) {
					t.Errorf("%q: %s is not in the image", e, w)
				}
			}
			if e.TTY != "" {
				t.Errorf("%q: not every machine has %s", e, e.TTY)
			}
		}
		for _, a := range inittab.Actions() {
			if !seen[a] {
				t.Errorf("overlay %q shows no %v", overlay, a)
			}
		}
	}
}

// runs says whether a command names a program of the image, looked up as init does.
func runs(b *builder, command string) bool {
	places := []string{command}
	if !strings.Contains(command, "/") {
		places = nil
		for _, dir := range []string{"sbin", "usr/sbin", "bin", "usr/bin"} {
			places = append(places, path.Join(dir, command))
		}
	}
	return slices.ContainsFunc(places, func(p string) bool {
		e, ok := b.image.Lookup(p)
		return ok && e.Kind == image.File && e.Perm&0o111 != 0
	})
}

func TestOnlyTheDemoPowersOffByItself(t *testing.T) {
	for overlay, want := range map[string]bool{"": false, "demo": true} {
		got := slices.ContainsFunc(table(t, assembled(t, overlay)), func(e inittab.Entry) bool {
			return e.Action == inittab.Once && strings.Contains(e.Command, "poweroff")
		})
		if got != want {
			t.Errorf("overlay %q powers off by itself\n got %v\nwant %v", overlay, got, want)
		}
	}
}

// TestTreesAreFitForGit: git keeps neither empty directories nor modes, so that a tree that had
// them would not be the same in every checkout.
func TestTreesAreFitForGit(t *testing.T) {
	for _, root := range []string{"files", "demo"} {
		err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			inside, err := os.ReadDir(p)
			if len(inside) == 0 {
				t.Errorf("%s is empty", p)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

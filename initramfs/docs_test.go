package main

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/rebound-init/rebound/initramfs/manifest"
)

// page is the documentation.
func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/initramfs.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fences returns the examples of one language.
func fences(text, language string) []string {
	var found []string
	fence := regexp.MustCompile("(?s)```" + language + "\n(.*?)```")
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

func TestDocumentedFlags(t *testing.T) {
	var have, documented []string
	(&options{}).flagSet().VisitAll(func(f *pflag.Flag) { have = append(have, f.Name) })
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)").FindAllStringSubmatch(page(t), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(have)
	slices.Sort(documented)
	if !slices.Equal(have, documented) {
		t.Errorf("flags\n got %v\nwant %v", documented, have)
	}
}

func TestDocumentedNodes(t *testing.T) {
	_, section, _ := strings.Cut(page(t), "## What is always there")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`/([a-zA-Z0-9/]+)`").FindAllStringSubmatch(section, -1) {
		documented[m[1]] = true
	}
	for _, e := range standard("arm64") {
		if !documented[e.Path] {
			t.Errorf("/%s is not documented", e.Path)
		}
		delete(documented, e.Path)
	}
	if len(documented) > 0 {
		t.Errorf("documented but not there: %v", documented)
	}
}

// TestDocumentedExamples runs every example of the page, on made-up inputs of the names in it.
func TestDocumentedExamples(t *testing.T) {
	examples := fences(page(t), "sh")
	manifests := fences(page(t), "manifest")
	if len(examples) < 4 || len(manifests) != 1 {
		t.Fatalf("%d examples and %d manifests, want at least 4 and 1", len(examples), len(manifests))
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	r := newRoom(t)
	for _, err := range []error{
		os.Mkdir("initramfs", 0o755),
		os.Symlink(filepath.Join(here, "files"), "initramfs/files"),
		os.Symlink(filepath.Join(here, "demo"), "initramfs/demo"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	arm := fakeProgram{machine: elf.EM_AARCH64, class: elf.ELFCLASS64, kind: elf.ET_EXEC}
	r.put("build/init-amd64", static("").bytes(), 0o755)
	r.put("build/init-arm64", arm.bytes(), 0o755)
	r.put("build/busybox/amd64", static(appletNul("ash", "busybox", "sh")).bytes(), 0o755)
	r.put("board/manifest", []byte(manifests[0]), 0o644)
	for _, name := range []string{
		"firmware.bin", "key", "rootfs/etc/motd", "with blanks/note",
		"site/motd",
	} {
		r.put("board/"+name, []byte(name), 0o644)
	}
	tree := "kernel/lib/modules/6.1.0-56-cloud-amd64/"
	r.put(tree+"kernel/drivers/net/virtio_net.ko.xz", []byte("unread"), 0o644)
	r.put(tree+"modules.dep", []byte("kernel/drivers/net/virtio_net.ko.xz:\n"), 0o644)
	r.put(tree+"modules.builtin", []byte("kernel/fs/ext4/ext4.ko\n"), 0o644)

	for _, example := range examples {
		words := strings.Fields(strings.ReplaceAll(example, "\\\n", " "))
		if len(words) < 4 || strings.Join(words[:3], " ") != "go run ./initramfs" {
			t.Errorf("want `go run ./initramfs`, not\n%s", example)
			continue
		}
		var out, errs bytes.Buffer
		if status := run(words[3:], &out, &errs); status != 0 {
			t.Errorf("%s\nstatus %d: %s", example, status, errs.String())
		}
	}
}

func TestDocumentedManifestLines(t *testing.T) {
	// Every line of the table, with its words filled in, is one that the parser takes.
	fill := strings.NewReplacer("SOURCE", "a", "DEST", "/b", "TARGET", "c", "MAJOR", "1", "MINOR", "2",
		"MODE", "0600")
	rows := regexp.MustCompile("(?m)^\\| `((?:dir|file|link|node|tree|overlay) [^`]*)`").
		FindAllStringSubmatch(page(t), -1)
	if len(rows) != 7 {
		t.Fatalf("%d lines in the table, want 7", len(rows))
	}
	for _, row := range rows {
		long := fill.Replace(strings.NewReplacer("[", "", "]", "").Replace(row[1]))
		short := fill.Replace(regexp.MustCompile(` *\[.*\]`).ReplaceAllString(row[1], ""))
		for _, line := range []string{long, short} {
			if items, err := manifest.Read(strings.NewReader(line), "list"); err != nil ||
				len(items) != 1 {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

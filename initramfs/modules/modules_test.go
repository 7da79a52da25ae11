package modules

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kernel is a tree as it comes out of a kernel package, before depmod: a file system on a
// checksum, a network driver in three parts, and one module in each packing.
func kernel() map[string]string {
	return map[string]string{
		"kernel/fs/btrfs/btrfs.ko": "alias=fs-btrfs\ndepends=libcrc32c,raid6-pq\n" +
			"softdep=pre: crc32c post: extra-checks",
		"kernel/lib/libcrc32c.ko":        "depends=\nsoftdep=pre: crc32c",
		"kernel/lib/raid6_pq.ko":         "depends=xor",
		"kernel/crypto/xor.ko":           "depends=",
		"kernel/crypto/crc32c-intel.ko":  "alias=crc32c\ndepends=",
		"kernel/crypto/crc32c_other.ko":  "alias=crc32c\ndepends=",
		"kernel/net/virtio-net.ko.zst":   "alias=virtio:d00000001v*\ndepends=net-failover,virtio",
		"kernel/net/net_failover.ko.gz":  "depends=failover\nsoftdep=gcm",
		"kernel/net/failover.ko":         "depends=",
		"kernel/net/unrelated.ko":        "alias=pci:v00008086d*sv*\ndepends=",
		"modules.builtin":                "kernel/drivers/virtio/virtio.ko\nkernel/fs/ext4/ext4.ko\n",
		"modules.builtin.modinfo":        "ext4.license=GPL\x00ext4.alias=fs-ext4\x00",
		"modules.order":                  "kernel/fs/btrfs/btrfs.ko\n",
		"kernel/net/readme.txt":          "no module\n",
		"kernel/net/firmware.ko.sig.txt": "no module either\n",
	}
}

// afterDepmod is the same tree with the indexes that depmod (kmod 30) makes of it, and one module
// packed by xz.
func afterDepmod() map[string]string {
	files := kernel()
	files["kernel/net/xpacked.ko.xz"] = "unread"
	files["modules.dep"] = "kernel/fs/btrfs/btrfs.ko: kernel/lib/libcrc32c.ko " +
		`kernel/lib/raid6_pq.ko kernel/crypto/xor.ko
kernel/lib/libcrc32c.ko:
kernel/lib/raid6_pq.ko: kernel/crypto/xor.ko
kernel/crypto/xor.ko:
kernel/crypto/crc32c-intel.ko:
kernel/crypto/crc32c_other.ko:
kernel/net/virtio-net.ko.zst: kernel/net/net_failover.ko.gz kernel/net/failover.ko
kernel/net/net_failover.ko.gz: kernel/net/failover.ko
kernel/net/failover.ko:
kernel/net/unrelated.ko:
kernel/net/xpacked.ko.xz: kernel/net/failover.ko
`
	files["modules.softdep"] = `# Soft dependencies extracted from modules themselves.
softdep btrfs pre: crc32c post: extra-checks
softdep libcrc32c pre: crc32c
softdep net_failover gcm
`
	files["modules.alias"] = `# Aliases extracted from modules themselves.
alias fs_btrfs btrfs
alias crc32c crc32c_intel
alias crc32c crc32c_other
alias virtio:d00000001v* virtio_net
alias pci:v00008086d*sv* unrelated
alias xalias xpacked
`
	return files
}

// names lists the selected modules by name, sorted.
func names(s *Selection) []string {
	var list []string
	for _, m := range s.Modules {
		list = append(list, m.Name)
	}
	slices.Sort(list)
	return list
}

func TestSelect(t *testing.T) {
	tests := []struct {
		ask     []string
		want    string
		builtin string
		missing string
		asked   int
	}{
		{ask: []string{"failover"}, want: "failover", asked: 1},
		{ask: []string{"virtio_net"}, want: "failover net_failover virtio_net", asked: 1},
		{ask: []string{"virtio-net", "virtio_net"}, want: "failover net_failover virtio_net", asked: 1},
		{ask: []string{"net_failover", "failover"}, want: "failover net_failover", asked: 2},
		{ask: []string{"ext4", "xor"}, want: "xor", builtin: "ext4", asked: 1},
		{ask: []string{"raid6-pq"}, want: "raid6_pq xor", asked: 1},
		{ask: []string{"kernel/crypto/xor.ko"}, want: "xor", asked: 1},
		{
			ask: []string{"btrfs"}, want: "btrfs crc32c_intel crc32c_other libcrc32c raid6_pq xor",
			missing: "extra_checks", asked: 1,
		},
	}
	for name, files := range map[string]map[string]string{
		"asking the modules": kernel(), "from modules.dep": afterDepmod(),
	} {
		root := plant(t, files)
		for _, tt := range tests {
			t.Run(name+"/"+strings.Join(tt.ask, " "), func(t *testing.T) {
				tree, err := Open(root)
				if err != nil {
					t.Fatal(err)
				}
				s, err := tree.Select(tt.ask)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Check(elf.EM_X86_64); err != nil {
					t.Error(err)
				}
				if got := strings.Join(names(s), " "); got != tt.want {
					t.Errorf("modules\n got %s\nwant %s", got, tt.want)
				}
				if got := strings.Join(s.Builtin, " "); got != tt.builtin {
					t.Errorf("built in\n got %s\nwant %s", got, tt.builtin)
				}
				if got := strings.Join(s.Missing, " "); got != tt.missing {
					t.Errorf("missing\n got %s\nwant %s", got, tt.missing)
				}
				if s.Asked != tt.asked {
					t.Errorf("asked\n got %d\nwant %d", s.Asked, tt.asked)
				}
			})
		}
	}
}

// files returns what a selection puts into the image, by path below the module directory.
func files(t *testing.T, root string, ask ...string) map[string]string {
	t.Helper()
	tree, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tree.Select(ask)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(elf.EM_X86_64); err != nil {
		t.Fatal(err)
	}
	list, err := s.Files()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range list {
		data := f.Data
		if f.Source != "" {
			if data, err = os.ReadFile(f.Source); err != nil {
				t.Fatal(err)
			}
		}
		rel, ok := strings.CutPrefix(f.Path, path.Join("lib/modules", version)+"/")
		if !ok {
			t.Errorf("%s does not lie in the directory of the kernel", f.Path)
		}
		got[rel] = string(data)
	}
	return got
}

func TestFiles(t *testing.T) {
	plain := func(name string) string {
		return string(ko(elf.EM_X86_64, strings.Split(kernel()[name], "\n")...))
	}
	want := map[string]string{
		"kernel/net/virtio-net.ko":   plain("kernel/net/virtio-net.ko.zst"),
		"kernel/net/net_failover.ko": plain("kernel/net/net_failover.ko.gz"),
		"kernel/net/failover.ko":     plain("kernel/net/failover.ko"),
		"modules.dep": "kernel/net/failover.ko:\n" +
			"kernel/net/net_failover.ko: kernel/net/failover.ko\n" +
			"kernel/net/virtio-net.ko: kernel/net/net_failover.ko kernel/net/failover.ko\n",
		"modules.alias":   "alias virtio:d00000001v* virtio_net\n",
		"modules.softdep": "softdep net_failover gcm\n",
		"modules.builtin": kernel()["modules.builtin"],
	}
	for name, tree := range map[string]map[string]string{
		"asking the modules": kernel(), "from modules.dep": afterDepmod(),
	} {
		if diff := cmp.Diff(want, files(t, plant(t, tree), "virtio_net")); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestXzStaysPacked(t *testing.T) {
	got := files(t, plant(t, afterDepmod()), "xpacked")
	if !strings.HasPrefix(got["kernel/net/xpacked.ko.xz"], "\xfd7zXZ") {
		t.Errorf("the module is %q, want it as it was", got["kernel/net/xpacked.ko.xz"])
	}
	want := "kernel/net/failover.ko:\nkernel/net/xpacked.ko.xz: kernel/net/failover.ko\n"
	if got["modules.dep"] != want {
		t.Errorf("modules.dep\n got %q\nwant %q", got["modules.dep"], want)
	}
	if want := "alias xalias xpacked\n"; got["modules.alias"] != want {
		t.Errorf("modules.alias\n got %q\nwant %q", got["modules.alias"], want)
	}
}

// TestModulesLoadFromRightToLeft: a diamond and a chain, where every module must be on the line
// and stand left of all that it needs.
func TestModulesLoadFromRightToLeft(t *testing.T) {
	needs := map[string]string{
		"top": "left,right", "left": "base", "right": "left,base",
		"base": "root", "root": "",
	}
	tree := map[string]string{}
	for name, deps := range needs {
		tree["kernel/"+name+".ko"] = "depends=" + deps
	}
	for line := range strings.Lines(files(t, plant(t, tree), "top")["modules.dep"]) {
		rest, ok := strings.CutPrefix(line, "kernel/top.ko:")
		if !ok {
			continue
		}
		loaded := map[string]bool{}
		order := strings.Fields(rest)
		slices.Reverse(order)
		for _, f := range order {
			for _, d := range strings.Split(needs[Name(f)], ",") {
				if d != "" && !loaded[d] {
					t.Errorf("%s is loaded before %s: %s", f, d, rest)
				}
			}
			loaded[Name(f)] = true
		}
		if len(loaded) != 4 {
			t.Errorf("got %d modules, want 4: %s", len(loaded), rest)
		}
		return
	}
	t.Error("modules.dep has no line for top")
}

func TestUpdatesComeFirst(t *testing.T) {
	tree := map[string]string{
		"kernel/a.ko": "depends=old", "updates/dkms/a.ko": "depends=", "kernel/z.ko": "depends=",
		"updates/z.ko": "depends=",
	}
	got := files(t, plant(t, tree), "a", "z")
	for _, p := range []string{"updates/dkms/a.ko", "updates/z.ko"} {
		if _, ok := got[p]; !ok {
			t.Errorf("%s is not there: %v", p, got)
		}
	}
}

func TestRefused(t *testing.T) {
	with := func(extra map[string]string) map[string]string {
		files := kernel()
		for name, text := range extra {
			files[name] = text
		}
		return files
	}
	tests := []struct {
		name  string
		files map[string]string
		ask   string
		want  string
	}{
		{"unknown module", kernel(), "nvme", "module nvme: neither in "},
		{"unknown module after depmod", afterDepmod(), "nvme", "module nvme: neither in "},
		{
			"unknown dependency", with(map[string]string{"kernel/a.ko": "depends=ghost"}), "a",
			"module ghost, needed by a: neither in ",
		},
		{
			"circle", with(map[string]string{"kernel/a.ko": "depends=b", "kernel/b.ko": "depends=a"}),
			"a", "module a needs itself, through b",
		},
		{
			"two files", with(map[string]string{"kernel/a/xor.ko": "depends="}), "xor",
			"two files for module xor: kernel/",
		},
		{
			"xz without modules.dep", with(map[string]string{"kernel/a.ko.xz": ""}), "a",
			"a.ko.xz: packed by xz, and ",
		},
		{
			"other kernel", with(map[string]string{"kernel/a.ko": "vermagic=5.10.0 SMP"}), "a",
			"a.ko: a module for kernel 5.10.0, but the kernel looks for its modules in",
		},
		{
			"modules.dep",
			map[string]string{"modules.dep": "a.ko:\nb.ko c.ko\n"},
			"a",
			"modules.dep:2: \"b.ko c.ko\": want `module: dependencies`",
		},
		{"file that has gone", map[string]string{"modules.dep": "a.ko:\n"}, "a", "no such file"},
		{
			"packed file that has gone",
			map[string]string{"modules.dep": "a.ko.gz:\n"},
			"a",
			"no such file",
		},
		{
			"path outside",
			map[string]string{"modules.dep": "../a.ko:\n"},
			"a",
			"modules.dep:1: \"../a.ko\": want a path inside the tree",
		},
		{"blank", map[string]string{"modules.dep": "kernel/a b.ko:\n"}, "a", "a blank in the name"},
		{"no module", map[string]string{"modules.dep": "a.so:\n"}, "a", "want a .ko file"},
		{
			"modules.softdep", with(map[string]string{"modules.dep": "", "modules.softdep": "alias x\n"}),
			"a", "modules.softdep:1: \"alias x\": want `softdep",
		},
		{
			"modules.alias", with(map[string]string{"modules.dep": "", "modules.alias": "alias x\n"}),
			"a", "modules.alias:1: \"alias x\": want `alias",
		},
		{
			"modules.builtin", with(map[string]string{"modules.builtin": "/a.ko\n"}), "a",
			"modules.builtin:1: \"/a.ko\": want a path inside",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tryAll(plant(t, tt.files), elf.EM_X86_64, tt.ask)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("\n got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// tryAll opens, selects, checks and lists.
func tryAll(root string, machine elf.Machine, ask ...string) error {
	tree, err := Open(root)
	if err != nil {
		return err
	}
	s, err := tree.Select(ask)
	if err != nil {
		return err
	}
	if err := s.Check(machine); err != nil {
		return err
	}
	_, err = s.Files()
	return err
}

func TestDamagedModulesAreRefused(t *testing.T) {
	noModinfo := bytes.Replace(ko(elf.EM_X86_64), []byte(".mod"), []byte(".xyz"), 1)
	for name, tt := range map[string]struct {
		file string
		data []byte
		want string
	}{
		"no ELF":         {"a.ko", []byte("#!/bin/sh\nexit\n"), "a.ko: not a kernel module: "},
		"empty":          {"a.ko", nil, "a.ko: not a kernel module: "},
		"no modinfo":     {"a.ko", noModinfo, "no section .modinfo"},
		"no gzip":        {"a.ko.gz", []byte("plain text"), "a.ko.gz: gzip: invalid header"},
		"cut gzip":       {"a.ko.gz", pack(t, "x.gz", ko(elf.EM_X86_64))[:40], "a.ko.gz: "},
		"no zstd":        {"a.ko.zst", []byte("plain text"), "a.ko.zst: "},
		"cut zstd":       {"a.ko.zst", pack(t, "x.zst", ko(elf.EM_X86_64))[:40], "a.ko.zst: "},
		"other machine":  {"a.ko", ko(elf.EM_AARCH64), "a module for EM_AARCH64, want EM_X86_64"},
		"wrong order":    {"a.ko", ko(elf.EM_X86_64, "depends=a"), "module a needs itself"},
		"blank vermagic": {"a.ko", ko(elf.EM_X86_64, "vermagic=4.4"), "for kernel 4.4"},
	} {
		root := plant(t, nil)
		if err := os.WriteFile(filepath.Join(root, tt.file), tt.data, 0o644); err != nil {
			t.Fatal(err)
		}
		err := tryAll(root, elf.EM_X86_64, "a")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", name, err, tt.want)
		}
	}
}

func TestOpenNamesAMissingTree(t *testing.T) {
	if _, err := Open("/nowhere/6.1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want ErrNotExist", err)
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"kernel/net/virtio-net.ko.zst": "virtio_net", "snd-hda-intel": "snd_hda_intel",
		"a.ko": "a", "i2c_dev.ko.gz": "i2c_dev",
	} {
		if got := Name(in); got != want {
			t.Errorf("Name(%q)\n got %q\nwant %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"crypto-crc32c": "crypto_crc32c", "usb:v05ACp[0-9-]*-x": "usb:v05ACp[0-9-]*_x",
	} {
		if got := aliasName(in); got != want {
			t.Errorf("aliasName(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

// FuzzIndexes: no text makes a parser panic, errors name the line, and the modules.dep that is
// written can be read again.
func FuzzIndexes(f *testing.F) {
	f.Add(afterDepmod()["modules.dep"])
	f.Add(afterDepmod()["modules.softdep"])
	f.Add(afterDepmod()["modules.alias"])
	f.Add(kernel()["modules.builtin"])
	f.Add("a.ko: b.ko\nb.ko: a.ko\n")
	f.Fuzz(func(t *testing.T, text string) {
		check := func(err error) {
			var at *LineError
			if err != nil && !errors.As(err, &at) {
				t.Errorf("%v: want file and line", err)
			}
		}
		read := func() *strings.Reader { return strings.NewReader(text) }
		_, err := parseSoftdep(read(), "softdep")
		check(err)
		_, err = parseAlias(read(), "alias")
		check(err)
		_, err = parseBuiltin(read(), "builtin")
		check(err)
		parseBuiltinAliases(text)

		lines, err := parseDep(read(), "dep")
		check(err)
		if err != nil {
			return
		}
		tree := &Tree{byDepmod: true, modules: map[string]Module{}}
		for _, l := range lines {
			if tree.add(Module{Name: Name(l.file), File: l.file, deps: l.deps}) != nil {
				return
			}
		}
		for name := range tree.modules {
			s, err := tree.Select([]string{name})
			if err != nil {
				continue
			}
			written, err := s.depFile()
			if err != nil {
				t.Fatal(err)
			}
			again, err := parseDep(bytes.NewReader(written), "again")
			if err != nil || len(again) != len(s.Modules) {
				t.Errorf("%d lines, %v, want %d of\n%s", len(again), err, len(s.Modules), written)
			}
		}
	})
}

// FuzzModinfo: no file makes the reader of modules panic.
func FuzzModinfo(f *testing.F) {
	f.Add(ko(elf.EM_X86_64, "depends=a,b", "softdep=pre: c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := readModinfo("a.ko", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "a.ko: ") {
				t.Errorf("%v: want the file's name", err)
			}
			return
		}
		info.depends()
		info.release()
	})
}

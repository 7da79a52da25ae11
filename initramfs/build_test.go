package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"
)

func hostArch() string { return runtime.GOARCH }

// A room is a directory with inputs for the builder.
type room struct {
	t   *testing.T
	dir string
}

// newRoom makes one with an init, a BusyBox, a tree, an overlay and a manifest, and goes there.
func newRoom(t *testing.T) room {
	t.Helper()
	r := room{t, t.TempDir()}
	applets := appletNul("[", "ash", "busybox", "halt", "init", "linuxrc", "modprobe", "sh", "top")
	r.put("init", static("init").bytes(), 0o755)
	r.put("busybox", static(applets).bytes(), 0o755)
	r.put("tree/etc/inittab", []byte("::askfirst:-/bin/sh\n"), 0o644)
	r.put("tree/usr/bin/top", []byte("#!/bin/sh\n"), 0o755)
	r.put("overlay/etc/inittab", []byte("::respawn:/bin/sh\n"), 0o644)
	r.put("board/manifest", []byte("dir data 0750\nfile key etc/key 0600\n"+
		"node dev/rtc0 c 254 0\nlink ../etc/key data/key\ntree more opt\n"), 0o644)
	r.put("board/key", []byte("secret"), 0o644)
	r.put("board/more/readme", []byte("text"), 0o644)
	t.Chdir(r.dir)
	return r
}

func (r room) put(name string, data []byte, mode os.FileMode) {
	r.t.Helper()
	put(r.t, r.dir, name, data, mode)
}

// build runs the builder for amd64 and returns status and output.
func (r room) build(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = run(append([]string{"--arch", "amd64"}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

// list reads the image back: type, mode, device numbers, name and content of every entry.
func (r room) list(name string) []string {
	r.t.Helper()
	f, err := os.Open(name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		r.t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		r.t.Fatal(err)
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(plain)))
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for _, rec := range records {
		line := fmt.Sprintf("%06o %s", rec.Mode, rec.Name)
		switch rec.Mode & unix.S_IFMT {
		case unix.S_IFCHR:
			line += fmt.Sprintf(" %d,%d", rec.Rmajor, rec.Rminor)
		case unix.S_IFLNK:
			target := make([]byte, rec.FileSize)
			if _, err := rec.ReadAt(target, 0); err != nil && err != io.EOF {
				r.t.Fatal(err)
			}
			line += " -> " + string(target)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestImage(t *testing.T) {
	r := newRoom(t)
	status, out, errs := r.build("--init", "init", "--busybox", "busybox", "--tree", "tree",
		"--overlay", "overlay", "--manifest", "board/manifest", "--file", "board/key:/root/k:0400",
		"--file", "tree/usr/bin/top:bin/tool", "--link", "/proc/mounts:etc/mtab", "--output", "image")
	if status != 0 || errs != "" {
		t.Fatalf("status %d: %s", status, errs)
	}
	want := []string{
		"040755 .",
		"040755 bin",
		"120777 bin/ash -> busybox",
		"100755 bin/busybox",
		"120777 bin/sh -> busybox",
		"100755 bin/tool",
		"040750 data",
		"120777 data/key -> ../etc/key",
		"040755 dev",
		"020600 dev/console 5,1",
		"020666 dev/full 1,7",
		"020600 dev/hvc0 229,0",
		"020644 dev/kmsg 1,11",
		"020666 dev/null 1,3",
		"020666 dev/ptmx 5,2",
		"040755 dev/pts",
		"020666 dev/random 1,8",
		"020600 dev/rtc0 254,0",
		"041777 dev/shm",
		"020666 dev/tty 5,0",
		"020600 dev/tty0 4,0",
		"020600 dev/tty1 4,1",
		"020600 dev/ttyS0 4,64",
		"020666 dev/urandom 1,9",
		"020600 dev/watchdog 10,130",
		"020666 dev/zero 1,5",
		"040755 etc",
		"100644 etc/inittab",
		"100600 etc/key",
		"120777 etc/mtab -> /proc/mounts",
		"100755 init",
		"040755 mnt",
		"040755 opt",
		"100644 opt/readme",
		"040555 proc",
		"040700 root",
		"100400 root/k",
		"040755 run",
		"040755 sbin",
		"120777 sbin/halt -> ../init",
		"120777 sbin/init -> ../init",
		"120777 sbin/modprobe -> ../bin/busybox",
		"120777 sbin/poweroff -> ../init",
		"120777 sbin/reboot -> ../init",
		"040555 sys",
		"041777 tmp",
		"040755 usr",
		"040755 usr/bin",
		"120777 usr/bin/[ -> ../../bin/busybox",
		"100755 usr/bin/top", // the tree's own, not the applet
	}
	if diff := cmp.Diff(want, r.list("image")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	const summary = "for amd64: 50 entries (8 files, 17 directories, 10 links, 15 nodes): init; " +
		"busybox with 5 applets; overlaid /etc/inittab\n"
	if !strings.HasPrefix(out, "image: ") || !strings.HasSuffix(out, summary) {
		t.Errorf("summary\n got %swant image: ... %s", out, summary)
	}
}

func TestArmsHaveTheirSerialPort(t *testing.T) {
	for arch, want := range map[string]bool{
		"amd64": false, "arm64": true, "arm": true, "riscv64": false,
	} {
		got := false
		for _, e := range standard(arch) {
			got = got || e.Path == "dev/ttyAMA0" && e.Major == 204 && e.Minor == 64
		}
		if got != want {
			t.Errorf("%s: ttyAMA0\n got %v\nwant %v", arch, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	r := newRoom(t)
	r.put("arm", fakeProgram{machine: elf.EM_ARM, class: elf.ELFCLASS32, kind: elf.ET_EXEC}.bytes(),
		0o755)
	r.put("script", []byte("#!/bin/sh\n"), 0o755)
	r.put("dangling/manifest", []byte("# nothing there\nlink /opt/tool bin/tool\n"), 0o644)
	r.put("nonode/manifest", []byte("node dev/null c 1 5\n"), 0o644)
	r.put("nulltree/dev/null", nil, 0o644)
	r.put("inittree/init", static("other").bytes(), 0o755)
	r.put("sbintree/sbin/reboot", []byte("#!/bin/sh\n"), 0o755)
	r.put("modules/6.1/modules.builtin", []byte("kernel/fs/ext4.ko\n"), 0o644)
	if err := os.MkdirAll("absolute/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(r.dir, "init"), "absolute/etc/tool"); err != nil {
		t.Fatal(err)
	}
	good := func(args ...string) []string {
		return append([]string{"--init", "init", "--output", "image"}, args...)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no output", []string{"--init", "init"}, "--output is missing"},
		{"no init", []string{"--output", "image"}, "--init is missing"},
		{"unknown flag", good("--what"), "unknown flag: --what (see --help)"},
		{"words", good("what"), `"what": want only flags`},
		{"arch", good("--arch", "mips"), "--arch mips: want amd64, arm64, arm or riscv64"},
		{"compression", good("--compress", "xz"), `compression "xz": want gzip, zstd or none`},
		{"applets alone", good("--applets", "x"), "--applets without --busybox"},
		{"module alone", good("--module", "x"), "--module without --modules-from"},
		{"tree alone", good("--modules-from", "x"), "--modules-from without --module"},
		{"output", []string{"--init", "init", "--output", "none/image"}, "--output none/image: "},

		{"missing init", []string{"--init", "gone", "--output", "image"}, "--init: stat gone: no such"},
		{
			"script as init",
			[]string{"--init", "script", "--output", "image"},
			"--init: script: not an ELF program",
		},
		{
			"init for arm",
			[]string{"--init", "arm", "--output", "image"},
			"--init: arm: a program for EM_ARM",
		},
		{"BusyBox for arm", good("--busybox", "arm"), "--busybox: arm: a program for EM_ARM"},
		{"BusyBox without applets", good("--arch", "amd64", "--busybox", "init"), "--busybox: "},
		{"missing list", good("--busybox", "busybox", "--applets", "gone"), "open gone: no such"},

		{"missing tree", good("--tree", "gone"), "--tree gone: lstat gone: no such file"},
		{"tree value", good("--tree", "a:b:c"), "--tree a:b:c: want DIR[:DEST]"},
		{"tree outside", good("--tree", "tree:../x"), "--tree tree:../x: \"../x\": `..` in the name"},
		{"overlay value", good("--overlay", ":x"), "--overlay :x: want DIR[:DEST]"},
		{"missing file", good("--file", "gone:/etc/x"), "--file gone:/etc/x: stat gone: no such file"},
		{"file value", good("--file", "init"), "--file init: want SRC:DEST[:MODE]"},
		{"file mode", good("--file", "init:x:9"), `--file init:x:9: mode "9": want octal`},
		{"file as directory", good("--file", "init:bin/"), "bin/ is a directory"},
		{"file outside", good("--file", "init:../x"), "`..` in the name"},
		{"directory as file", good("--file", "tree:x"), "tree is not a regular file"},
		{"link value", good("--link", "x"), "--link x: want TARGET:DEST"},
		{"mounted", good("--mounted", "../data"), "--mounted ../data: /../data: `..` in the name"},

		{
			"absolute link out of the tree", good("--tree", "absolute"),
			"--tree absolute: /etc/tool: the link target " + r.dir + "/init is not in the image",
		},
		{"dangling link", good("--link", "nothing:etc/x"), "there is no /etc/nothing"},
		{"climbing link", good("--link", "../../x:etc/x"), "leaves the image"},
		{
			"manifest link", good("--manifest", "dangling/manifest"),
			"dangling/manifest:2: /bin/tool: the link target /opt/tool is not in the image",
		},
		{"missing manifest", good("--manifest", "gone"), "--manifest: open gone: no such file"},

		{
			"twins", good("--tree", "tree", "--file", "init:etc/inittab"),
			"--file init:etc/inittab: /etc/inittab is already there from --tree tree, and differs",
		},
		{"another reboot", good("--tree", "sbintree"), "/sbin/reboot is already there from --init init"},
		{"another init", good("--overlay", "inittree"), "--overlay inittree: takes the place of /init"},
		{
			"null as zero", good("--manifest", "nonode/manifest"),
			"/dev/null is not the character device 1,3: init would die before main",
		},
		{"null as file", good("--overlay", "nulltree"), "a character device and a file"},

		{"missing modules", good("--modules-from", "gone", "--module", "x"), "--modules-from: "},
		{
			"unknown module", good("--modules-from", "modules/6.1", "--module", "nvme"),
			"--module: module nvme: neither in modules/6.1 nor built in",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := r.build(tt.args...)
			if status != 1 || out != "" {
				t.Errorf("status %d, output %q, want 1 and none", status, out)
			}
			if !strings.HasPrefix(errs, "initramfs: ") || strings.Count(errs, "\n") != 1 ||
				!strings.Contains(errs, tt.want) {
				t.Errorf("\n got %swant one line with %s", errs, tt.want)
			}
			if _, err := os.Stat("image"); err == nil {
				t.Error("an image was written all the same")
			}
		})
	}
}

func TestRuntimeDirectoriesMayBeLinkedTo(t *testing.T) {
	r := newRoom(t)
	status, _, errs := r.build("--init", "init", "--output", "image", "--mounted", "data",
		"--link", "/data/hosts:etc/hosts", "--link", "../run/resolv.conf:etc/resolv.conf")
	if status != 0 {
		t.Errorf("status %d: %s", status, errs)
	}
}

// TestMerged: in a tree where /sbin is a link, as Debian's, our links lie where it leads.
func TestMerged(t *testing.T) {
	r := newRoom(t)
	r.put("merged/usr/sbin/getty", static("getty").bytes(), 0o755)
	if err := os.Symlink("usr/sbin", "merged/sbin"); err != nil {
		t.Fatal(err)
	}
	status, _, errs := r.build("--init", "init", "--busybox", "busybox", "--tree", "merged",
		"--output", "image")
	if status != 0 {
		t.Fatalf("status %d: %s", status, errs)
	}
	all := strings.Join(r.list("image"), "\n") + "\n"
	for _, want := range []string{
		"120777 sbin -> usr/sbin\n", "120777 usr/sbin/reboot -> ../../init\n", "100755 usr/sbin/getty\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("got\n%swant %s", all, want)
		}
	}
}

// TestSameInputsSameImage builds twice: from two copies, at two places, with other times and
// permissions, on another number of processors.
func TestSameInputsSameImage(t *testing.T) {
	for _, compress := range []string{"none", "gzip", "zstd"} {
		var images [][]byte
		for i, umask := range []int{0o022, 0o077} {
			old := unix.Umask(umask)
			r := newRoom(t)
			mtime := time.Unix(int64(1_000_000_000*(i+1)), 0)
			err := filepath.Walk(r.dir, func(p string, _ os.FileInfo, err error) error {
				if err != nil {
					return err
				}
				return os.Chtimes(p, mtime, mtime)
			})
			if err != nil {
				t.Fatal(err)
			}
			procs := runtime.GOMAXPROCS(i + 1)
			status, _, errs := r.build("--init", "init", "--busybox", "busybox", "--tree", "tree",
				"--overlay", "overlay", "--manifest", "board/manifest", "--output", "image",
				"--compress", compress)
			runtime.GOMAXPROCS(procs)
			unix.Umask(old)
			if status != 0 {
				t.Fatal(errs)
			}
			data, err := os.ReadFile("image")
			if err != nil {
				t.Fatal(err)
			}
			images = append(images, data)
		}
		if !bytes.Equal(images[0], images[1]) {
			t.Errorf("%s: the images differ, %d and %d bytes",
				compress, len(images[0]), len(images[1]))
		}
	}
}

func TestHelp(t *testing.T) {
	status, out, errs := newRoom(t).build("--help")
	if status != 0 || errs != "" || !strings.Contains(out, "--modules-from DIR") {
		t.Errorf("status %d, output\n%s%s", status, out, errs)
	}
}

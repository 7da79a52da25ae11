package qemu_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/test/qemu"
)

// build compiles a program of ours for a guest, and returns the file.
func build(t *testing.T, arch, tags, program string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(program))
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "../../"+program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// on makes a machine boot as on an older kernel: a filter that init and all its children inherit
// refuses what that one did not have. With no version it is the kernel that it is.
func on(t *testing.T, version string, m qemu.Machine) qemu.Machine {
	t.Helper()
	if version == "" {
		return m
	}
	old := "linux-" + version
	m.Append += " rdinit=/" + old
	m.Files = append(m.Files, qemu.File{
		Path: old, Perm: 0o755, Source: build(t, m.Arch, "", "test/oldkernel/init"),
	})
	return m
}

// A world is an architecture and a version to look like.
type world struct{ arch, version string }

func (w world) String() string {
	if w.version == "" {
		return w.arch
	}
	return w.arch + " as Linux " + w.version
}

// On an older kernel the machine boots, children start with no signal blocked or ignored, init
// has its own proc and kernel log before anything is mounted, and the machine goes down in order.
//
// 5.1 has neither fsmount(2) nor clone3(2), so that init mounts proc for a moment and starts
// children by clone(2), which each architecture has in a form of its own. 5.4 has a clone3 that
// cannot reset signal handlers. 3.2 is the oldest that Go runs on.
func TestOlderKernels(t *testing.T) {
	for _, w := range []world{
		{"amd64", "3.2"}, {"amd64", "5.1"}, {"amd64", "5.4"}, {"arm64", "3.2"}, {"arm64", ""},
	} {
		t.Run(w.String(), func(t *testing.T) {
			m := qemu.Machine{
				Arch: w.arch, KernelPanic: true,
				Files: []qemu.File{{Path: "etc/rebound.conf", Data: noMounts}},
			}
			g := boot(t, on(t, w.version, m), `
::sysinit:/t/script
::sysinit:/bin/grep -E "^(Sig[BI]|Sec)" /proc/self/status
::wait:/bin/grep -E ^Sig[BI] /proc/self/status
::once:/bin/grep -E ^Sig[IB] /proc/self/status
::respawn:/bin/sh -c 'echo mark service; [ -e /again ] && exec /sbin/poweroff; >/again'
::shutdown:/bin/echo mark shutdown
`, `
[ -e /proc/1 ] && echo mark proc is mounted already
mount -t proc proc /proc
while read -r device dir type rest; do echo mark "$dir $type"; done </proc/mounts
cd /proc/sys/kernel
echo mark "panic $(cat panic) devkmsg $(cat printk_devkmsg)"
dmesg | grep -q 'init: starting pid' && echo mark kernel log
`)
			g.Expect("The system is going down NOW!\r\n")
			g.Expect("Sent SIGTERM to all processes\r\n")
			g.Expect("Requesting system poweroff\r\n")
			g.WantPowerOff()
			want := []string{
				"/ rootfs", "/proc proc", "panic 10 devkmsg on", "kernel log",
				"service", "service", "shutdown",
			}
			if got := marks(g); !slices.Equal(got, want) {
				t.Errorf("marks:\n got %q\nwant %q", got, want)
			}
			seen := map[string]int{}
			for line := range strings.Lines(g.Console(0).Transcript()) {
				if f := strings.Fields(line); len(f) == 2 && strings.HasSuffix(f[0], ":") {
					seen[f[0]+" "+f[1]]++
				}
			}
			filtered := "Seccomp: 0"
			if w.version != "" {
				filtered = "Seccomp: 2"
			}
			const none = "0000000000000000"
			for line, times := range map[string]int{
				filtered: 1, "SigBlk: " + none: 3, "SigIgn: " + none: 3,
			} {
				if seen[line] != times {
					t.Errorf("%q: %d times, want %d; got %v", line, seen[line], times, seen)
				}
			}
		})
	}
}

// Init crashes and goes on in place, with its children, though nothing is mounted: it finds its
// own program by its own proc.
func TestCrashInPlace(t *testing.T) {
	for _, w := range []world{{"amd64", "3.2"}, {"arm64", "3.2"}, {"arm64", ""}} {
		t.Run(w.String(), func(t *testing.T) {
			m := qemu.Machine{
				Arch: w.arch,
				Files: []qemu.File{
					{Path: "etc/rebound.conf", Data: noMounts},
					{Path: "init", Perm: 0o755, Source: build(t, w.arch, "crashtest", "cmd/init")},
				},
			}
			g := boot(t, on(t, w.version, m), `
::sysinit:/bin/echo mark sysinit
::respawn:/bin/sh -c 'echo mark service; echo $$ >>/services; exec sleep 1000'
::once:/t/script
::shutdown:/bin/echo mark shutdown
`, `
await() {
	until [ "$(wc -l </services)" = $1 ]; do sleep 1; done
}
>>/services
await 1
kill -64 1
until dmesg | grep -q 'init has crashed: crash asked for'; do sleep 1; done
echo mark crashed
kill -9 $(cat /services)
await 2
exec /sbin/poweroff
`)
			g.Expect("Requesting system poweroff\r\n")
			g.WantPowerOff()
			want := []string{"sysinit", "service", "crashed", "service", "shutdown"}
			if got := marks(g); !slices.Equal(got, want) {
				t.Errorf("marks:\n got %q\nwant %q", got, want)
			}
		})
	}
}

// Children share init's memory until their exec, by code that each architecture has in a form of
// its own. On arm64 the test of internal/linux that puts it under stress runs in a guest.
func TestChildrenUnderStress(t *testing.T) {
	const program = "t/linux.test"
	path := filepath.Join(t.TempDir(), "linux.test")
	cmd := exec.Command("go", "test", "-c", "-o", path, "../../internal/linux")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	g := boot(t, qemu.Machine{
		Arch: "arm64", Memory: 512,
		Files: []qemu.File{{Path: program, Perm: 0o755, Source: path}},
	}, "::once:/t/script\n", `
for kernel in "this kernel" "Linux 3.2"; do
	/t/linux.test -test.short -test.run "^TestChildrenUnderStress$/^$kernel$" >/run/out 2>&1
	echo mark "$kernel" $?
	cat /run/out
done
exec /sbin/poweroff
`)
	g.Expect("Requesting system poweroff\r\n")
	g.WantPowerOff()
	want := []string{"this kernel 0", "Linux 3.2 0"}
	if got := marks(g); !slices.Equal(got, want) {
		g.Fatalf("exit statuses:\n got %q\nwant %q", got, want)
	}
}

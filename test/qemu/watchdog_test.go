package qemu_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rebound-init/rebound/test/qemu"
)

// guarded boots a machine with QEMU's i6300esb, whose driver is loaded by the inittab, after init has
// first looked for it. The script runs until the machine is reset, and the next boot powers off. That
// says by whom it was reset.
func guarded(t *testing.T, conf, inittab, script string, files ...qemu.File) *qemu.Guest {
	t.Helper()
	const tree = "amd64-generic"
	m := qemu.Machine{
		Kernel: qemu.Kernel(tree), Options: []string{"-device", "i6300esb"}, KeepResets: true,
		Limit: 5 * time.Minute, Files: files,
	}
	for _, name := range []string{"watchdog.ko", "i6300esb.ko"} {
		all, err := filepath.Glob(filepath.Join(qemu.BuildDir(), "kernels", tree,
			"lib/modules/*/kernel/drivers/watchdog", name))
		if err == nil && len(all) == 0 && !qemu.Required("qemu") {
			t.Skip("needs Debian's kernel for all machines, which has a driver of i6300esb: run make deps")
		}
		if err != nil || len(all) == 0 {
			t.Fatalf("%s of %s: got %d files, error %v", name, tree, len(all), err)
		}
		m.Files = append(m.Files, qemu.File{Path: "m/" + name, Source: all[0]})
	}
	m.Files = append(m.Files, qemu.File{
		Path: "etc/rebound.conf", Data: "mounts = auto\nwatchdog.device = /dev/watchdog0\n" + conf,
	})
	return boot(t, m, `
::sysinit:/bin/busybox insmod /m/watchdog.ko
::sysinit:/bin/busybox insmod /m/i6300esb.ko
::once:/bin/sh /t/script
`+inittab, `
echo mark bootstatus $(cat /sys/class/watchdog/watchdog0/bootstatus)
if grep -q 32 /sys/class/watchdog/watchdog0/bootstatus; then
	exec /sbin/poweroff -f
fi
`+script)
}

// bite waits for the boot after a reset by the watchdog, and returns when that was.
func bite(g *qemu.Guest) time.Time {
	g.Expect("watchdog: /dev/watchdog0: has reset the machine before this boot")
	g.WantPowerOff()
	all := g.Monitor.Events()
	i := slices.IndexFunc(all, func(e qemu.Event) bool { return e.Name == "WATCHDOG" })
	if i < 0 {
		g.Fatalf("QEMU's watchdog has not reset the machine")
	}
	return all[i].At
}

// TestHardwareWatchdogEndsAShutdown lets a shutdown entry hang: the machine is reset in the time that
// the watchdog was armed for.
func TestHardwareWatchdogEndsAShutdown(t *testing.T) {
	g := guarded(t, "watchdog.timeout = 8s\nwatchdog.shutdown_timeout = 4s\n",
		"::shutdown:/bin/busybox sleep 1000\n", `
sleep 20
echo mark fed
kill -TERM 1
`)
	g.Expect("mark fed")
	over := g.Expect("watchdog: not fed: shutdown entries: not over after 4s: " +
		"the machine is reset within 8s")
	t.Logf("the reset came %v after it was announced for 8s", bite(g).Sub(over.At))
	if got, want := marks(g), []string{"bootstatus 0", "fed", "bootstatus 32"}; !slices.Equal(got, want) {
		g.Fatalf("marks:\n got %q\nwant %q", got, want)
	}
}

// TestHardwareWatchdogEndsAHangOfInit lets init's loop hang. The last meal was before that.
func TestHardwareWatchdogEndsAHangOfInit(t *testing.T) {
	g := guarded(t, "watchdog.timeout = 10s\n", "", `
sleep 20
echo mark hangs
kill -61 1
`, qemu.File{Path: "init", Perm: 0o755, Source: build(t, "amd64", "crashtest", "cmd/init")})
	hangs := g.Expect("mark hangs")
	t.Logf("the reset came %v after init began to hang, with a timeout of 10s", bite(g).Sub(hangs.At))
	if got, want := marks(g), []string{"bootstatus 0", "hangs", "bootstatus 32"}; !slices.Equal(got, want) {
		g.Fatalf("marks:\n got %q\nwant %q", got, want)
	}
}

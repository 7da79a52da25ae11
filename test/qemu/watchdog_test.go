package qemu_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rebound-init/rebound/test/qemu"
)

// TestHardwareWatchdogResetsAndRemembers lets a shutdown entry hang on a machine with QEMU's i6300esb,
// whose driver is loaded by the inittab, after init has first looked for it. The machine is reset
// in the time that the watchdog was armed for, and the next boot says by whom.
func TestHardwareWatchdogResetsAndRemembers(t *testing.T) {
	const tree = "amd64-generic"
	m := qemu.Machine{
		Kernel: qemu.Kernel(tree), Options: []string{"-device", "i6300esb"}, KeepResets: true,
		Limit: 5 * time.Minute,
	}
	for _, name := range []string{"watchdog.ko", "i6300esb.ko"} {
		all, err := filepath.Glob(filepath.Join(qemu.BuildDir(), "kernels", tree,
			"lib/modules/*/kernel/drivers/watchdog", name))
		if err != nil || len(all) == 0 {
			t.Skip("needs Debian's kernel for all machines, which has a driver of i6300esb; " +
				"`make agree-kernels` fetches it")
		}
		m.Files = append(m.Files, qemu.File{Path: "m/" + name, Source: all[0]})
	}
	m.Files = append(m.Files, qemu.File{Path: "etc/rebound.conf", Data: `
mounts = auto
watchdog.device = /dev/watchdog0
watchdog.timeout = 8s
watchdog.shutdown_timeout = 4s
`})
	g := boot(t, m, `
::sysinit:/bin/busybox insmod /m/watchdog.ko
::sysinit:/bin/busybox insmod /m/i6300esb.ko
::once:/bin/sh /t/script
::shutdown:/bin/busybox sleep 1000
`, `
echo mark bootstatus $(cat /sys/class/watchdog/watchdog0/bootstatus)
if grep -q 32 /sys/class/watchdog/watchdog0/bootstatus; then
	exec /sbin/poweroff -f
fi
sleep 20
echo mark fed
kill -TERM 1
`)
	g.Expect("mark fed")
	over := g.Expect("watchdog: not fed: shutdown entries: not over after 4s: " +
		"the machine is reset within 8s")
	said := g.Expect("watchdog: /dev/watchdog0: has reset the machine before this boot")
	g.WantPowerOff()
	if got, want := marks(g), []string{"bootstatus 0", "fed", "bootstatus 32"}; !slices.Equal(got, want) {
		g.Fatalf("marks:\n got %q\nwant %q", got, want)
	}
	for _, e := range g.Monitor.Events() {
		if e.Name == "WATCHDOG" {
			t.Logf("the watchdog bit %v after it was said that it would, and was told of %v after that",
				e.At.Sub(over.At), said.At.Sub(e.At))
			return
		}
	}
	g.Fatalf("QEMU's watchdog has not reset the machine")
}

package qemu_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/rebound-init/rebound/test/qemu"
)

// TestLogFlood: PID 1 follows the kernel log while a program writes to it as fast as it can, and a
// poweroff is answered at once all the same. An instruction takes a nanosecond of the guest's time,
// however busy the host is.
//
// The program and PID 1 have one CPU between them. So what the answer takes is one turn of the scheduler
// at least, and the command that asks is in it, too.
func TestLogFlood(t *testing.T) {
	g := boot(t, qemu.Machine{
		Options: []string{"-icount", "shift=2,sleep=off"},
		Append:  "rebound.panic.after_oops=reboot rebound.panic.after_warn=reboot",
	}, `
::respawn:/bin/sh -c 'exec >/dev/kmsg; while :; do echo line of the flood; done'
::once:/t/script
::shutdown:/bin/sh -c 'echo mark answered $(cut -d" " -f1 /proc/uptime)'
`, `
mount -t proc proc /proc 2>/dev/null
sleep 5
ticks() { cut -d' ' -f14,15 /proc/1/stat; }
seq() {
	until line=$(dd if=/dev/kmsg bs=8192 count=1 2>/dev/null) && [ -n "$line" ]; do :; done
	echo "$line" | cut -d, -f2
}
set -- $(ticks); before=$(($1 + $2)); first=$(seq)
sleep 5
set -- $(ticks); echo mark cpu $(($1 + $2 - before)); echo mark lines $(($(seq) - first))
echo mark kmsg $(ls -l /proc/1/fd | grep -c kmsg)
echo mark asked $(cut -d' ' -f1 /proc/uptime)
/sbin/poweroff
`)
	g.Expect("Requesting system poweroff\r\n")
	g.WantPowerOff()
	got := make(map[string]float64)
	for _, m := range marks(g) {
		name, value, _ := strings.Cut(m, " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			g.Fatalf("mark %s: %v", m, err)
		}
		got[name] = n
	}
	t.Logf("%v", got)
	if got["kmsg"] < 2 {
		g.Fatalf("PID 1 has %v descriptors of the kernel log, want one to write and one to read", got["kmsg"])
	}
	if got["lines"] < 5*1000 {
		g.Fatalf("the flood was %v lines in 5 s", got["lines"])
	}
	// Of 500 ticks, at 250 million instructions a second. What PID 1 reads is bounded, whatever
	// comes: it was 58 of a flood of 20,000 lines a second (2026-11-22).
	if got["cpu"] > 75 {
		g.Fatalf("PID 1 has taken %v ticks of 500 to read the log", got["cpu"])
	}
	if took := got["answered"] - got["asked"]; took < 0 || took > 0.5 {
		g.Fatalf("answered after %v s", took)
	}
}

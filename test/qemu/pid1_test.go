package qemu_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/test/qemu"
)

// These tests boot the image of `make image` with an inittab of their own. A boot costs a few
// seconds, so that each one looks at several things, and two run at a time.

// script is the path of a shell script in the guest. In it the commands that take the machine down
// are called by their path: to Debian's BusyBox shell their bare names are its own applets.
const script = "t/script"

// boot starts the image with an inittab, and a script for the inittab to call as /t/script.
func boot(t *testing.T, m qemu.Machine, inittab, commands string) *qemu.Guest {
	t.Helper()
	t.Parallel()
	if m.Arch == "" {
		m.Arch = "amd64"
	}
	m.Initrd = []string{qemu.Image(m.Arch)}
	m.Files = append(m.Files,
		qemu.File{Path: "etc/inittab", Data: inittab},
		qemu.File{Path: script, Perm: 0o755, Data: "#!/bin/sh\n" + commands})
	return qemu.Start(t, m)
}

// marks are the console's lines that begin with "mark ", without that.
func marks(g *qemu.Guest) []string {
	var found []string
	for line := range strings.Lines(g.Console(0).Transcript()) {
		if text, ok := strings.CutPrefix(line, "mark "); ok {
			found = append(found, strings.TrimSpace(text))
		}
	}
	return found
}

// A file system mounted by the inittab, for guests whose rebound.conf mounts nothing.
const noMounts = "# nothing is mounted\n"

func TestInittabRunsInOrder(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, qemu.Machine{Arch: arch}, `
::respawn:/bin/sh -c 'echo mark respawn; echo >>/run/respawned; exec sleep 1'
::once:/bin/sh -c 'echo mark once; exec /t/script'
::wait:/bin/sh -c 'sleep 1; echo mark wait 1'
::wait:/bin/echo mark wait 2
::sysinit:/bin/sh -c 'sleep 1; echo mark sysinit 1'
::sysinit:/bin/echo mark sysinit 2
::shutdown:/bin/sh -c 'echo mark shutdown 1 $REBOUND_ACTION'
::shutdown:/bin/echo mark shutdown 2
`, `
until [ -e /run/respawned ] && [ $(wc -l </run/respawned) -ge 2 ]; do sleep 1; done
exec /sbin/poweroff
`)
			g.Expect("The system is going down NOW!\r\n")
			g.Expect("Sent SIGTERM to all processes\r\n")
			g.Expect("Requesting system poweroff\r\n")
			g.WantPowerOff()

			got := marks(g)
			// An entry of respawn runs several times, and side by side with one of once.
			got = slices.DeleteFunc(got, func(m string) bool { return m == "respawn" })
			want := []string{
				"sysinit 1", "sysinit 2", "wait 1", "wait 2", "once",
				"shutdown 1 poweroff", "shutdown 2",
			}
			if !slices.Equal(got, want) {
				g.Fatalf("order of the actions:\n got %q\nwant %q", got, want)
			}
		})
	}
}

// Each way down, by the command and by the signal that stands for it [BusyBox 4.8], ends as the
// kernel says.
func TestWaysDown(t *testing.T) {
	for _, c := range []struct {
		ask    string
		action string // what shutdown entries are told
		kernel string
		end    string // QEMU's reason; empty: the machine stays
	}{
		{"/sbin/reboot", "reboot", "reboot: Restarting system", "guest-reset"},
		{"/sbin/poweroff", "poweroff", "reboot: Power down", "guest-shutdown"},
		{"/sbin/halt", "halt", "reboot: System halted", ""},
		{"kill -TERM 1", "reboot", "reboot: Restarting system", "guest-reset"},
		{"kill -USR1 1", "halt", "reboot: System halted", ""},
		{"kill -USR2 1", "poweroff", "reboot: Power down", "guest-shutdown"},
		{"kill -PWR 1", "halt", "reboot: System halted", ""},
		{
			"/sbin/reboot recovery", "reboot",
			"reboot: Restarting system with command 'recovery'", "guest-reset",
		},
	} {
		t.Run(c.ask, func(t *testing.T) {
			g := boot(t, qemu.Machine{}, `
::respawn:/bin/sleep 1000
::respawn:/bin/sleep 1001
::once:/t/script
::shutdown:/bin/sh -c 'echo mark $REBOUND_ACTION'
::shutdown:/bin/umount -a -r
`, "sleep 1\n"+c.ask+"\n")
			g.ExpectMatch("mark " + c.action + "\r\n")
			g.ExpectMatch(`Requesting system ` + c.action + "\r\n")
			g.ExpectMatch(`(?m)^\[[ 0-9.]+\] ` + regexp.QuoteMeta(c.kernel) + "\r\n")
			if c.end != "" {
				g.WantEnd(c.end)
				return
			}
			g.WantStillUp()
		})
	}
}

// The kernel gives PID 1 no stdin, stdout or stderr when it has no console to open; a Go runtime
// then needs /dev/null to start at all. The machine is mute, so that the proof of life is how it
// ends: a panic would be a reset.
func TestNoConsole(t *testing.T) {
	t.Run("no serial port", func(t *testing.T) {
		g := boot(t, qemu.Machine{Append: "8250.nr_uarts=0"},
			"::sysinit:/t/script\n::respawn:-/bin/sh\n::once:/sbin/poweroff\n", "sleep 1; echo x\n")
		g.WantEnd("guest-shutdown")
	})
	// An archive cannot take the device node away, but it can put a file in its place.
	t.Run("dev/console is a file", func(t *testing.T) {
		g := boot(t, qemu.Machine{Files: []qemu.File{{Path: "dev/console", Data: "x"}}},
			"::sysinit:/t/script\n::respawn:-/bin/sh\n::once:/sbin/poweroff\n", "sleep 1; echo x\n")
		g.WantEnd("guest-shutdown")
	})
}

// Huge pages are given to whoever touches memory first on a machine with at least 512 MiB, and
// more than double a Go program's memory unless the linker was told otherwise. [kernel: mm/Kconfig,
// TRANSPARENT_HUGEPAGE_ALWAYS; runtime: GODEBUG disablethp]
func TestMemoryOfPID1(t *testing.T) {
	const maxPSS, maxThreads = 2600, 16
	g := boot(t, qemu.Machine{Memory: 1024}, `
::once:/t/script
::respawn:/bin/sleep 1000
::respawn:/bin/sleep 1001
`, fmt.Sprintf(`
sleep 3 # past the boot's last clean-up, which a busy host delays
pss() { sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' /proc/1/smaps_rollup; }
tries=30
while [ $(pss) -gt %d ] && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 1; done
sed 's/^/mark /' /proc/1/smaps_rollup /proc/1/status
/sbin/poweroff
`, maxPSS))
	// Measured on 22 November 2026: 2460 KiB.
	const maxExecutable = 2500 << 10
	if exe, err := os.Stat("../../build/init-amd64"); err != nil {
		t.Error(err)
	} else if exe.Size() > maxExecutable {
		t.Errorf("init-amd64 has %d bytes, the limit is %d", exe.Size(), maxExecutable)
	}
	g.WantPowerOff()
	figure := func(name string) int {
		for _, m := range marks(g) {
			if value, ok := strings.CutPrefix(m, name+":"); ok {
				n, err := strconv.Atoi(strings.Fields(value)[0])
				if err != nil {
					g.Fatalf("%q: %v", m, err)
				}
				return n
			}
		}
		g.Fatalf("no %s in /proc/1", name)
		return 0
	}
	pss, threads := figure("Pss"), figure("Threads")
	t.Logf("PID 1: PSS %d kB (limit %d), anonymous %d kB, %d threads (limit %d)",
		pss, maxPSS, figure("Anonymous"), threads, maxThreads)
	if huge := figure("AnonHugePages"); huge != 0 {
		t.Errorf("AnonHugePages of PID 1: got %d kB, want 0", huge)
	}
	if pss > maxPSS {
		t.Errorf("PSS of PID 1: got %d kB, want at most %d", pss, maxPSS)
	}
	if threads > maxThreads {
		t.Errorf("threads of PID 1: got %d, want at most %d", threads, maxThreads)
	}
}

// storm sends every signal twice, but for those named, which ask PID 1 for something.
func storm(but ...int) string {
	var b strings.Builder
	for sig := 1; sig <= 64; sig++ {
		if !slices.Contains(but, sig) {
			fmt.Fprintf(&b, "kill -%d 1; kill -%d 1\n", sig, sig)
		}
	}
	b.WriteString("kill -CONT 1\n") // after TSTP
	return b.String()
}

// The kernel protects PID 1 from signals that it does not handle; the Go runtime handles all of
// them and dies of a dozen unless told otherwise [signal(7), os/signal].
func TestEverySignalTwiceAtAnyTime(t *testing.T) {
	const usr1, usr2, term, pwr = 10, 12, 15, 30
	g := boot(t, qemu.Machine{}, `
::sysinit:/t/script sysinit
::wait:/t/script wait
::once:/t/script once
::respawn:/bin/sh -c 'echo mark alive; : >/run/alive; exec sleep 1'
::shutdown:/t/script shutdown
`, storm(usr1, usr2, term, pwr)+`
echo mark signals in $1
case $1 in
once)
	until [ -e /run/alive ]; do sleep 1; done
	echo mark asking
	kill -USR2 1
	;;
esac
`)
	g.Expect("mark signals in sysinit")
	g.Expect("mark signals in wait")
	g.Expect("mark alive")
	g.Expect("mark asking")
	g.Expect("mark signals in shutdown")
	g.WantPowerOff()
}

// All ways down at once, some twice: one of them is taken, which one PID 1 decides, and the machine
// goes down by it.
func TestEveryWayDownAtOnce(t *testing.T) {
	g := boot(t, qemu.Machine{}, `
::once:/t/script
::shutdown:/bin/sh -c 'kill -PWR 1; kill -TERM 1; kill -USR1 1; sleep 1; kill -USR2 1'
`, "sleep 1; kill -USR2 1; kill -TERM 1; kill -USR2 1; kill -TERM 1\n")
	way := g.ExpectMatch(`Requesting system (\w+)\r\n`).Groups[0]
	g.ExpectMatch(map[string]string{
		"reboot":   `\] reboot: Restarting system\r\n`,
		"poweroff": `\] reboot: Power down\r\n`,
		"halt":     `\] reboot: System halted\r\n`,
	}[way])
	if n := strings.Count(g.Console(0).Transcript(), "Requesting system "); n != 1 {
		g.Fatalf("%d ways down were taken", n)
	}
}

// Words behind "--" on the kernel command line reach PID 1 as arguments. What a person may ask of
// init at a shell must not make PID 1 exit.
func TestArgumentsDoNotEndPID1(t *testing.T) {
	for _, word := range []string{"--help", "--version", "--check", "-q", "--no-such-option", "6"} {
		t.Run(word, func(t *testing.T) {
			g := boot(t, qemu.Machine{Append: "-- " + word}, "::once:/t/script\n",
				"echo mark $(cat /proc/1/comm) $(tr '\\0' ' ' </proc/cmdline)\nexec /sbin/poweroff\n")
			g.Expect("mark init ")
			g.WantPowerOff()
		})
	}
}

// A terminal that takes no more must not hold up the way down: PID 1 writes to it, and so may
// not wait for it.
func TestStoppedConsoleDoesNotStopTheReboot(t *testing.T) {
	const inittab = "::respawn:/bin/sh -c 'i=0; while :; do i=$((i+1)); echo noise $i; " +
		"echo $i >/run/said; done'\n::once:/t/script\n"
	// Who writes to the console gets no further once it takes no more.
	const whenStopped = `
was=
until is=$(cat /run/said) && [ -n "$is" ] && [ "$is" = "$was" ]; do was=$is; sleep 3; done
exec /sbin/reboot
`
	t.Run("by Ctrl-S", func(t *testing.T) {
		g := boot(t, qemu.Machine{}, inittab, whenStopped)
		g.Expect("noise")
		if err := g.Console(0).Send("\x13"); err != nil {
			g.Fatalf("%v", err)
		}
		g.WantEnd("guest-reset")
		if strings.Contains(g.Console(0).Transcript(), "Requesting system reboot") {
			g.Fatalf("the console went on after Ctrl-S, so that this test shows nothing")
		}
	})
	t.Run("by a busy line", func(t *testing.T) {
		g := boot(t, qemu.Machine{}, inittab, whenStopped)
		g.Expect("noise")
		g.Console(0).Pause()
		g.WantEnd("guest-reset")
		g.Console(0).Resume()
	})
}

// A line that is slower than the machine goes down gets the last words all the same: PID 1 waits
// until they have been sent, for the kernel throws away what it has not sent. They are more than what
// is on its way between QEMU and us, and less than what the driver keeps, so that nobody but PID 1
// waits for the line. QEMU's port for arm64 stops the whole machine until the line takes more.
func TestLastWordsOnASlowLine(t *testing.T) {
	const lines = 40
	g := boot(t, qemu.Machine{}, `
::once:/bin/sh -c 'echo mark up; read go; exec /sbin/reboot'
::shutdown:/t/script
`, fmt.Sprintf(`
i=0
while [ $i -lt %d ]; do i=$((i+1)); echo mark the shutdown entry has come to line $i; done
`, lines))
	g.Expect("mark up")
	g.Console(0).Slow(64, 4*time.Millisecond)
	if err := g.Console(0).Send("\r"); err != nil {
		g.Fatalf("%v", err)
	}
	g.WantEnd("guest-reset")
	if got := len(marks(g)); got != 1+lines {
		g.Fatalf("got %d marks, want %d", got, 1+lines)
	}
	if !strings.Contains(g.Console(0).Transcript(), "\nRequesting system reboot\n") {
		g.Fatalf("init's last words are lost")
	}
}

// askfirst waits, on every terminal it is given, without a process of its own; Enter starts a
// login shell with job control; when that ends it waits again.
func TestAskfirst(t *testing.T) {
	const prompt = "\nPlease press Enter to activate this console. "
	g := boot(t, qemu.Machine{Serial: 2},
		"::askfirst:-/bin/sh\nttyS1::askfirst:-/bin/sh\n::once:/t/script\n", `
until ls -l /proc/1/fd | grep -q ttyS1; do sleep 1; done # it waits for Enter there
for p in /proc/[0-9]*; do
	read -r pid comm state parent rest <$p/stat && [ "$parent" = 1 ] && echo mark child $comm
done
echo mark no more
`)
	g.ExpectMatch("\r?" + prompt)
	g.ExpectOn(1, prompt)
	// The script is the only process that init has started.
	g.Expect("mark child (script)")
	g.Expect("mark no more")
	g.Type("")
	g.Expect("# ")
	if n := strings.Count(g.Console(0).Transcript(), "mark child"); n != 1 {
		g.Fatalf("init has %d children while it waits for Enter, want only the script", n)
	}

	// The program speaks first: a key that comes before it runs would be the shell's.
	g.Type("sh -c 'trap \"echo resumed\" CONT; echo started; while :; do sleep 1; done'")
	g.Expect("\nstarted\r\n")
	if err := g.Console(0).Send("\x1a"); err != nil { // Ctrl-Z
		g.Fatalf("%v", err)
	}
	g.Expect("Stopped")
	g.Expect("# ")
	g.Type("fg")
	g.Expect("\nresumed\r\n")
	if err := g.Console(0).Send("\x03"); err != nil { // Ctrl-C
		g.Fatalf("%v", err)
	}
	g.Expect("# ")
	// The controlling terminal is the seventh word of stat: 4, 64 is ttyS0 [proc(5), devices.txt].
	g.Type("echo shell is $0 on $(cut -d' ' -f7 /proc/$$/stat)")
	g.Expect("shell is -/bin/sh on 1088\r\n")
	g.Type("exit")
	g.Expect(prompt[1:])

	// What is typed after Enter is the command's, even before it runs.
	if err := g.Console(1).Send("\recho typed $((40 + 2)) ahead\r"); err != nil {
		g.Fatalf("%v", err)
	}
	g.ExpectOn(1, "typed 42 ahead\r\n")
	g.ExpectOn(1, "# ")
	if err := g.Console(1).Send("tty; exec /sbin/poweroff\r"); err != nil {
		g.Fatalf("%v", err)
	}
	g.ExpectOn(1, "/dev/ttyS1\r\n")
	g.WantPowerOff()
}

// With mounts = auto, as in the image's rebound.conf, the usual file systems are there before
// sysinit, and the loopback interface is up in any case.
func TestMountsAuto(t *testing.T) {
	g := boot(t, qemu.Machine{}, "::sysinit:/t/script\n::once:/sbin/poweroff\n", `
while read -r device dir type rest; do echo mark "$dir $type"; done </proc/mounts
ping -c 1 127.0.0.1 >/run/ping && echo mark loopback answers
`)
	g.WantPowerOff()
	got := marks(g)
	for _, want := range []string{
		"/proc proc", "/sys sysfs", "/dev devtmpfs", "/dev/pts devpts", "/run tmpfs",
		"loopback answers",
	} {
		n := 0
		for _, m := range got {
			if m == want {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%q: %d times, want once; got %q", want, n, got)
		}
	}
}

// A machine that panics comes back by itself, unless the boot line says otherwise. And the kernel
// log takes all lines of init.
func TestKernelSettings(t *testing.T) {
	for _, c := range []struct{ append, want string }{
		{"", "panic 10 devkmsg on"},
		{"panic=0", "panic 0 devkmsg on"},
		{"panic=3 printk.devkmsg=off", "panic 3 devkmsg off"},
	} {
		t.Run(c.want, func(t *testing.T) {
			g := boot(t, qemu.Machine{KernelPanic: true, Append: c.append},
				"::sysinit:/t/script\n::once:/sbin/poweroff\n", `
cd /proc/sys/kernel
echo mark "panic $(cat panic) devkmsg $(cat printk_devkmsg)"
`)
			g.WantPowerOff()
			if got := marks(g); !slices.Contains(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// What Go lets nobody survive, such as an endless recursion, stands in the kernel log before the
// kernel panics of it.
func TestLastWordsOfPID1(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			g := boot(t, qemu.Machine{
				Arch: arch, Append: "ignore_loglevel",
				Files: []qemu.File{
					{Path: "init", Perm: 0o755, Source: build(t, arch, "crashtest", "cmd/init")},
				},
			}, "::once:/t/script\n", "kill -62 1; exec sleep 1000\n")
			g.Expect("fatal error: stack overflow")
			g.Expect("Kernel panic - not syncing: Attempted to kill init!")
		})
	}
}

// Go's runtime would keep files of the cpu cgroup open that it finds at its start, here after a
// restart, and then the cgroups could not be unmounted.
func TestCgroupsCanBeUnmounted(t *testing.T) {
	const script = `
if [ -e /run/cg/a ]; then
	umount /run/cg && echo mark unmounted
	exec /sbin/poweroff
fi
mkdir /run/cg && mount -t cgroup2 none /run/cg &&
	echo +cpu >/run/cg/cgroup.subtree_control && mkdir /run/cg/a &&
	echo 1 >/run/cg/a/cgroup.procs && [ -e /run/cg/a/cpu.max ] && echo mark in a cgroup
kill -QUIT 1
`
	g := boot(t, qemu.Machine{}, "::once:/t/script\n::restart:/sbin/init\n", script)
	g.Expect("mark in a cgroup")
	g.WantPowerOff()
	if got := marks(g); !slices.Contains(got, "unmounted") {
		t.Errorf("the cgroups are still mounted: %q", got)
	}
}

// An inittab that mounts everything itself, as one written for BusyBox does, works as it is: with
// no configuration PID 1 has mounted nothing that stands in its way, and has nothing to say.
func TestInittabThatMountsByItself(t *testing.T) {
	g := boot(t, qemu.Machine{
		Files: []qemu.File{{Path: "etc/rebound.conf", Data: noMounts}},
	}, `
::sysinit:/t/script
::sysinit:/bin/mount -t proc proc /proc
::sysinit:/bin/mount -t sysfs sysfs /sys
::sysinit:/bin/mount -t devtmpfs devtmpfs /dev
::sysinit:/bin/mkdir -p /dev/pts
::sysinit:/bin/mount -t devpts devpts /dev/pts
::sysinit:/bin/sh -c 'while read -r d dir type rest; do echo mark "$dir $type"; done </proc/mounts'
::once:/sbin/poweroff
`, "[ -e /proc/1 ] && echo mark proc is mounted already\n[ -e /sys/class ] && echo mark sys too\n")
	g.WantPowerOff()
	want := []string{
		"/ rootfs", "/proc proc", "/sys sysfs", "/dev devtmpfs", "/dev/pts devpts",
	}
	if got := marks(g); !slices.Equal(got, want) {
		t.Errorf("mounts:\n got %q\nwant %q", got, want)
	}
	for line := range strings.Lines(g.Console(0).Transcript()) {
		if strings.Contains(line, "going down") {
			break
		}
		line = strings.TrimSpace(line)
		if _, kernel := qemu.ParseRecord(line); !kernel && line != "" &&
			!strings.HasPrefix(line, "mark ") && !strings.HasPrefix(line, "\x1b") {
			t.Errorf("on the console, unasked: %q", line)
		}
	}
}

// The kernel turns Ctrl-Alt-Del into SIGINT for PID 1, which has asked for that [reboot(2),
// CAD_OFF]. Every ctrlaltdel entry runs; by itself the key does nothing.
func TestCtrlAltDel(t *testing.T) {
	g := boot(t, qemu.Machine{}, `
::sysinit:/bin/sh -c 'until grep -q "^H: .*kbd" /proc/bus/input/devices; do sleep 1; done'
::once:/bin/echo mark keyboard
::ctrlaltdel:/bin/echo mark three keys
::ctrlaltdel:/t/script
`, "[ -e /run/once ] && exec /sbin/reboot\n: >/run/once\necho mark nothing yet\n")
	// The driver asks the keyboard of a slow machine for a second or two before it takes keys.
	g.Expect("mark keyboard")
	g.PressKeys("ctrl", "alt", "delete")
	g.Expect("mark three keys")
	g.Expect("mark nothing yet")
	g.WantStillUp()
	g.PressKeys("ctrl", "alt", "delete")
	g.Expect("mark three keys")
	g.WantReset()
}

// Single-user: a shell on the console and nothing of the inittab [BusyBox 1.22].
func TestSingleUser(t *testing.T) {
	for _, word := range []string{"single", "-- -s"} {
		t.Run(word, func(t *testing.T) {
			g := boot(t, qemu.Machine{Append: word},
				"::sysinit:/bin/echo mark sysinit\n::once:/bin/echo mark once\n", "")
			g.Expect("# ")
			g.Type("echo $RUNLEVEL; exec /sbin/poweroff")
			g.ExpectMatch(regexp.QuoteMeta(strings.TrimPrefix(word, "-- ")) + "\r\n")
			g.WantPowerOff()
			if got := marks(g); len(got) != 0 {
				t.Errorf("of the inittab ran %q", got)
			}
		})
	}
}

// What the inittab asks for that cannot be done is said once, and the rest goes on.
func TestWhatCannotBeStarted(t *testing.T) {
	g := boot(t, qemu.Machine{}, `
::sysinit:/no/such/program
::sysinit:/etc/inittab
nosuchtty::sysinit:/bin/echo mark no terminal
not an entry
::respawn:/no/such/service
::once:/t/script
`, "until dmesg | grep -q /no/such/service; do sleep 1; done; exec /sbin/poweroff\n")
	g.Expect("Bad inittab entry at line 5")
	g.Expect("can't run '/no/such/program': No such file or directory")
	g.Expect("can't run '/etc/inittab': Permission denied")
	g.Expect("can't open /dev/nosuchtty: No such file or directory")
	g.Expect("can't run '/no/such/service'")
	g.WantPowerOff()
	if got := marks(g); len(got) != 0 {
		t.Errorf("ran without its terminal: %q", got)
	}
}

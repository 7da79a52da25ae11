package pidns

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A console that takes no more must not stop init. Each console is one that nobody reads, or that
// Ctrl-S has stopped; the bad lines fill it.
func TestConsoleThatTakesNothing(t *testing.T) {
	t.Parallel()
	bad := strings.Repeat("bad line\n", 10_000)
	table := File{
		Path: "etc/inittab", Mode: 0o644,
		Data: []byte(bad + "::respawn:/bin/probe last stay\n::shutdown:/bin/probe down\n"),
	}
	for name, plan := range map[string]Plan{
		"undrained": {Files: []File{table}, Undrained: true},
		"pipe":      {Files: []File{table}, Console: ConsoleFull},
		"XOFF": {Files: []File{table}, BeforeStart: func(r *Room) error {
			return r.Console.Type("\x13")
		}},
		"broken": {Files: []File{table}, Console: ConsoleBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, plan)
			awaitStart(t, r, "last", 1)
			if r.Console != nil {
				// Init may have set the terminal anew, which lets output go on.
				if err := r.Console.Type("\x13"); err != nil {
					t.Fatal(err)
				}
			}
			if v := goesDown(t, r, syscall.SIGTERM); v.Count("down") != 1 {
				t.Error("the shutdown entry has not run")
			}
		})
	}
}

// With /dev/log bound and never read, each message beyond the first dozen blocks whoever sends it
// as BusyBox does [BusyBox 10.3].
func TestSyslogThatNobodyReads(t *testing.T) {
	t.Parallel()
	lines := make([]string, 0, 102)
	for i := range 100 {
		lines = append(lines, "::sysinit:/bin/true "+strconv.Itoa(i))
	}
	lines = append(lines, "::respawn:/bin/probe last stay", "::shutdown:/bin/probe down")
	r := start(t, Plan{Files: []File{inittab(lines...)}, DeafSyslog: true})
	awaitStart(t, r, "last", 1)
	alive(t, r, "last")
	if v := goesDown(t, r, syscall.SIGTERM); v.Count("down") != 1 {
		t.Error("the shutdown entry has not run")
	}
}

func TestCommandsThatCannotRun(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{
		Files: []File{
			{Path: "tmp/text", Mode: 0o644, Data: []byte("text\n")},
			{Path: "tmp/empty", Mode: 0o755},
			{Path: "tmp/elf", Mode: 0o755, Data: []byte("\x7fELF\x02\x01\x01 and no more")},
			{Path: "dev/sock", Mode: os.ModeSocket | 0o666},
			inittab(
				"::sysinit:/bin/missing", "::sysinit:/tmp/text", "::sysinit:/tmp/elf",
				"::sysinit:/tmp/empty", "::sysinit:/tmp", "nowhere::sysinit:/bin/true",
				"sock::wait:/bin/true", "::once:/bin/missing", "::respawn:/bin/missing",
				"::respawn:/bin/false", "nowhere::respawn:/bin/true",
				"nowhere::askfirst:/bin/true", "::askfirst:/bin/missing",
				"sock::askfirst:/bin/true", "::ctrlaltdel:/bin/missing",
				"::shutdown:/bin/missing", "sock::shutdown:/bin/true",
				"::shutdown:/bin/probe down", "::respawn:/bin/probe last stay",
			),
		},
	})
	awaitStart(t, r, "last", 1)
	if err := r.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := r.Console.Type("\n\n\n"); err != nil {
		t.Fatal(err)
	}
	// What cannot run is tried again, and must not keep the rest from their turn.
	for range 3 {
		alive(t, r, "last")
	}
	if v := goesDown(t, r, syscall.SIGTERM); v.Count("down") != 1 {
		t.Error("the shutdown entry has not run")
	}
}

// pidsCgroup makes a cgroup that limits the number of processes, or skips the test.
func pidsCgroup(t *testing.T) string {
	t.Helper()
	name := "rebound-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(rand.IntN(1<<30))
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		dir := filepath.Join(root, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "pids.max")); err != nil {
			os.Remove(dir)
			continue
		}
		t.Cleanup(func() {
			// It is empty once the last process is gone from the kernel's tables.
			for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
				if os.Remove(dir) == nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("cannot remove %s", dir)
		})
		return dir
	}
	t.Skip("needs a cgroup hierarchy with the pids controller that can be written to")
	return ""
}

func setPidsMax(t *testing.T, dir, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(value), 0o644); err != nil {
		t.Fatal(err)
	}
}

func pidsCurrent(t *testing.T, dir string) int { return pidsCount(t, dir, "pids.current") }

// forksRefused is how often the limit has kept a process from being made.
func forksRefused(t *testing.T, dir string) int { return pidsCount(t, dir, "pids.events") }

// pidsCount is the last word of a file of the cgroup.
func pidsCount(t *testing.T, dir, name string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(b))
	n, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// With no process to be had, init lives on, says so, and starts its services when it can again.
func TestForkRefused(t *testing.T) {
	t.Parallel()
	Require(t)
	dir := pidsCgroup(t)
	r := start(t, Plan{
		Cgroup: dir,
		Files: []File{inittab(
			"::respawn:/bin/probe one stay",
			"::ctrlaltdel:/bin/probe cad",
			"::respawn:/bin/probe two stay",
			"::shutdown:/bin/probe down",
		)},
	})
	awaitStart(t, r, "one", 1)
	v := awaitStart(t, r, "two", 1)
	setPidsMax(t, dir, "1")
	for _, rep := range v.Reports(false) {
		if err := unix.Kill(rep.HostPID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	await(t, r, "a word about it", func(v View) bool {
		return strings.Contains(v.Text("console"), "can't fork")
	})
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGCHLD} {
		if err := r.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	// Both services are tried again in vain.
	for deadline := time.Now().Add(Patience); forksRefused(t, dir) < 4; {
		if v := r.View(); v.Ended {
			t.Fatalf("PID 1 has ended: status %#x", uint32(v.Status))
		}
		if time.Now().After(deadline) {
			t.Fatalf("a process was refused %d times, want 4", forksRefused(t, dir))
		}
		time.Sleep(10 * time.Millisecond)
	}
	setPidsMax(t, dir, "max")
	awaitStart(t, r, "one", 2)
	awaitStart(t, r, "two", 2)
	goesDown(t, r, syscall.SIGTERM)
}

// Even the way down must not depend on a process to be had.
func TestForkRefusedOnTheWayDown(t *testing.T) {
	t.Parallel()
	Require(t)
	dir := pidsCgroup(t)
	r := start(t, Plan{
		Cgroup: dir,
		Files:  []File{inittab("::respawn:/bin/probe one stay", "::shutdown:/bin/probe down")},
	})
	awaitStart(t, r, "one", 1)
	setPidsMax(t, dir, "1")
	goesDown(t, r, syscall.SIGTERM)
}

// Threads are processes to the pids controller, and a Go program that is refused one dies of it
// unless it has them beforehand.
func TestFewProcessesAllowed(t *testing.T) {
	t.Parallel()
	Require(t)
	dir := pidsCgroup(t)
	r := start(t, Plan{Cgroup: dir, Files: []File{inittab("::respawn:/bin/probe one stay")}})
	awaitStart(t, r, "one", 1)
	// As many as there are: the service can be started again, and no thread more.
	setPidsMax(t, dir, strconv.Itoa(pidsCurrent(t, dir)))
	for range 3 {
		alive(t, r, "one")
	}
	goesDown(t, r, syscall.SIGUSR2)
}

// Without CAP_SYS_BOOT the end of init is the end of the container, with status 0.
func TestRebootRefused(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGPWR,
	} {
		t.Run(unix.SignalName(sig), func(t *testing.T) {
			t.Parallel()
			r := start(t, Plan{
				Stage: []string{"dropcap", strconv.Itoa(unix.CAP_SYS_BOOT)},
				Files: []File{inittab("::respawn:/bin/probe one stay")},
			})
			awaitStart(t, r, "one", 1)
			if err := r.Signal(sig); err != nil {
				t.Fatal(err)
			}
			v := await(t, r, "the end", func(v View) bool { return v.Ended })
			if !v.Status.Exited() || v.Status.ExitStatus() != 0 {
				t.Errorf("status %#x, want exit status 0", uint32(v.Status))
			}
		})
	}
}

// A container without any capability: nothing can be mounted, signalled or rebooted.
func TestNoCapabilities(t *testing.T) {
	t.Parallel()
	var drop []string
	for c := range unix.CAP_LAST_CAP + 1 {
		drop = append(drop, "dropcap", strconv.Itoa(c))
	}
	r := start(t, Plan{
		Stage:   drop,
		Console: ConsolePipe,
		NoProc:  true,
		Files: []File{inittab(
			"::sysinit:/bin/probe first", "::respawn:/bin/probe one stay",
		)},
	})
	awaitStart(t, r, "one", 1)
	alive(t, r, "one")
	if err := r.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	v := await(t, r, "the end", func(v View) bool { return v.Ended })
	if !v.Status.Exited() || v.Status.ExitStatus() != 0 {
		t.Errorf("status %#x, want exit status 0", uint32(v.Status))
	}
}

// An inittab that mounts /proc itself works unchanged and says nothing new.
func TestInittabMountsProc(t *testing.T) {
	t.Parallel()
	r := start(t, Plan{
		NoProc: true,
		Files: []File{inittab(
			"::sysinit:/bin/mount -t proc proc /proc",
			"::sysinit:/bin/mount -t sysfs sysfs /sys",
			"::respawn:/bin/probe one file /proc/mounts stay",
		)},
	})
	mounts := awaitNote(t, r, "one", "/proc/mounts").Reports(true)[0].Text
	for _, want := range []string{"proc /proc proc", "sysfs /sys sysfs"} {
		if strings.Count(mounts, want) != 1 {
			t.Errorf("%q is %d times in what is mounted, want once:\n%s", want,
				strings.Count(mounts, want), mounts)
		}
	}
	v := goesDown(t, r, syscall.SIGTERM)
	before, _, _ := strings.Cut(v.Text("console"), "\rThe system is going down NOW!")
	if before != "" {
		t.Errorf("console %q before the way down, want nothing", before)
	}
}

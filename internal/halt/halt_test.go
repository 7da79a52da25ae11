package halt

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/utmp"
)

// fake is a system on virtual time, which writes down what is asked of it. Its zero value has
// PID 1 as an init of BusyBox's kind that listens.
type fake struct {
	t     *testing.T
	pid   int
	now   time.Time
	calls []string // what leaves a trace outside the command

	comm     string // "" is init
	exe      string
	cmdline  string
	deafFor  time.Duration // from the start; PID 1 listens after that
	same     bool
	program  string // PID 1's executable
	noProc   bool
	otherNS  bool
	noStatus bool

	kill, reboot, startSync, record, place error
	hang                                   string // what never comes back: record, look, sync
	syncTakes                              time.Duration
	unwritten                              func(since time.Duration) int64 // nil: not told
	syncing                                time.Time
}

func (f *fake) start() time.Time { return time.Unix(1800000000, 0) }

func (f *fake) note(format string, args ...any) {
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fake) Getpid() int { return f.pid }

func (f *fake) Now() time.Time { return f.now }

func (f *fake) Sleep(d time.Duration) { f.now = f.now.Add(d) }

func (f *fake) Within(limit time.Duration, g func()) bool {
	before := len(f.calls)
	g()
	if len(f.calls) > before && f.hang == "record" || len(f.calls) == before && f.hang == "look" {
		f.calls = f.calls[:before]
		f.Sleep(limit)
		return false
	}
	return true
}

func (f *fake) OutliveTerm() {}

func (f *fake) Kill(pid int, sig unix.Signal) error {
	if pid != 1 {
		f.t.Errorf("kill(%d, %d): got pid %d, want 1", pid, sig, pid)
	}
	if sig != 0 {
		f.note("kill %s", signalName(sig))
	}
	return f.kill
}

func (f *fake) Reboot(cmd uint32, arg string) error {
	f.note("reboot %#x %q", cmd, arg)
	return f.reboot
}

func (f *fake) StartSync() error {
	f.note("sync")
	f.syncing = f.now
	return f.startSync
}

func (f *fake) SyncDone() bool {
	return f.hang != "sync" && f.now.Sub(f.syncing) >= f.syncTakes
}

func (f *fake) ReadFile(path string, limit int) ([]byte, error) {
	switch path {
	case "/proc/meminfo":
		if f.unwritten == nil {
			return nil, unix.ENOENT
		}
		return fmt.Appendf(nil, "MemTotal:  1 kB\nDirty:     %d kB\nWriteback:  2 kB\n",
			f.unwritten(f.now.Sub(f.syncing))-2), nil
	case "/proc/1/status":
		if f.noStatus {
			return nil, &os.PathError{Op: "open", Path: path, Err: unix.ENOENT}
		}
		comm := f.comm
		if comm == "" {
			comm = "init"
		}
		caught, blocked := uint64(0), uint64(0)
		if f.now.Sub(f.start()) >= f.deafFor {
			// Both ways of listening have to be seen.
			caught = 1<<(unix.SIGTERM-1) | 1<<(unix.SIGUSR1-1) | 1<<(unix.SIGINT-1)
			blocked = 1<<(unix.SIGUSR2-1) | 7<<(sigRTMin+3-1)
		}
		return fmt.Appendf(nil, "Name:\t%s\nUmask:\t0022\nSigPnd:\tffffffffffffffff\n"+
			"SigBlk:\t%016x\nSigIgn:\tffffffffffffffff\nSigCgt:\t%016x\n", comm, blocked, caught), nil
	case "/proc/1/cmdline":
		return []byte(f.cmdline), nil
	case "/proc/1/exe":
		return []byte(f.program), nil
	}
	f.t.Errorf("ReadFile(%q): not expected", path)
	return nil, unix.ENOENT
}

func (f *fake) Readlink(path string) (string, error) {
	switch {
	case f.noProc:
		return "", &os.PathError{Op: "readlink", Path: path, Err: unix.ENOENT}
	case path == "/proc/self" && f.otherNS:
		return "4711", nil
	case path == "/proc/self":
		return fmt.Sprint(f.pid), nil
	case path == "/proc/1/exe" && f.exe != "":
		return f.exe, nil
	}
	return "", unix.EACCES
}

func (f *fake) SameFile(a, b string) bool { return f.same }

func (f *fake) Release() string { return "6.1.0" }

func (f *fake) AppendRecord(r utmp.Record) error {
	f.note("wtmp %s %s +%v", r.User, r.Host, r.Time.Sub(f.start()))
	return f.record
}

func (f *fake) PlaceParam(content []byte) error {
	f.note("place %q", content)
	return f.place
}

func (f *fake) RemoveParam() error {
	f.note("remove")
	return nil
}

// play runs a command line on the fake.
func (f *fake) play(t *testing.T, line string) (status int, stdout, stderr string) {
	f.t, f.now = t, f.start()
	if f.pid == 0 {
		f.pid = 300
	}
	var out, errs strings.Builder
	status = run(strings.Split(line, " "), "1.2.3", &out, &errs, f)
	return status, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	const (
		record = "wtmp shutdown 6.1.0 +0s"
		toInit = "remove\n" + record + "\nkill "
	)
	marked := "\x00path\tgithub.com/rebound-init/rebound/cmd/init\nmod\tx"
	for _, c := range []struct {
		name   string
		sys    fake
		line   string
		status int
		calls  string // one a line
		stderr string // first line, "" means silence
	}{
		{"reboot", fake{}, "reboot", 0, toInit + "SIGTERM", ""},
		{"halt", fake{}, "halt", 0, toInit + "SIGUSR1", ""},
		{"poweroff", fake{}, "/sbin/poweroff", 0, toInit + "SIGUSR2", ""},
		{"login's dash", fake{}, "-reboot", 0, toInit + "SIGTERM", ""},
		{"-i", fake{}, "reboot -i", 0, toInit + "SIGTERM", ""},
		{"-n alone changes nothing", fake{}, "reboot -n", 0, toInit + "SIGTERM", ""},
		{"empty argument", fake{}, "reboot ", 0, toInit + "SIGTERM", ""},

		{"-d", fake{}, "reboot -d 3", 0, "remove\nwtmp shutdown 6.1.0 +3s\nkill SIGTERM", ""},
		{"-d with -w", fake{}, "reboot -d3 -w", 0, "wtmp shutdown 6.1.0 +3s", ""},
		{"-w", fake{}, "halt -w", 0, record, ""},
		{"--wtmp-only", fake{}, "halt --wtmp-only", 0, record, ""},
		{
			"-w, no permission",
			fake{record: unix.EACCES},
			"halt -w", 1, record,
			"halt: permission denied",
		},

		{"-f", fake{}, "reboot -f", 0, record + "\nsync\nreboot 0x1234567 \"\"", ""},
		{"halt -f", fake{}, "halt -f", 0, record + "\nsync\nreboot 0xcdef0123 \"\"", ""},
		{
			"poweroff -f",
			fake{},
			"poweroff --force", 0,
			record + "\nsync\nreboot 0x4321fedc \"\"", "",
		},
		{"-nf", fake{}, "reboot -nf", 0, record + "\nreboot 0x1234567 \"\"", ""},
		{"--no-sync", fake{}, "reboot --no-sync -f", 0, record + "\nreboot 0x1234567 \"\"", ""},
		{
			"-f ARG",
			fake{},
			"reboot recovery -nf", 0,
			record + "\nreboot 0xa1b2c3d4 \"recovery\"", "",
		},
		{
			"-f without PID 1's leave",
			fake{reboot: unix.EPERM},
			"reboot -nf", 1,
			record + "\nreboot 0x1234567 \"\"", "reboot: Operation not permitted",
		},
		{
			"-f needs no /proc",
			fake{noProc: true},
			"reboot -f", 0,
			record + "\nsync\nreboot 0x1234567 \"\"", "",
		},
		{
			"-f cannot start the sync",
			fake{startSync: unix.EAGAIN},
			"reboot -f", 0,
			record + "\nsync\nreboot 0x1234567 \"\"",
			"reboot: sync: Resource temporarily unavailable; going on without it",
		},

		{"not root", fake{kill: unix.EPERM}, "reboot", 1, "", "reboot: Operation not permitted"},
		{"no PID 1", fake{kill: unix.ESRCH}, "halt", 1, "", "halt: No such process"},
		{
			"as PID 1",
			fake{pid: 1},
			"reboot", 1, "",
			"reboot: this is PID 1 itself, there is no init to ask; use reboot -f",
		},
		{"as PID 1, -f", fake{pid: 1}, "reboot -nf", 0, record + "\nreboot 0x1234567 \"\"", ""},

		{
			"record refused",
			fake{record: unix.EROFS},
			"reboot", 0, toInit + "SIGTERM",
			"reboot: read-only file system; going on without the record",
		},
		{
			"record hangs",
			fake{hang: "record"},
			"reboot", 0, "remove\nkill SIGTERM",
			"reboot: /var/log/wtmp: no answer within 2s; going on without the record",
		},
		{
			"record hangs, -w",
			fake{hang: "record"},
			"reboot -w", 1, "",
			"reboot: /var/log/wtmp: no answer within 2s",
		},

		{
			"PID 1 is deaf",
			fake{comm: "sh", deafFor: time.Hour},
			"reboot", 1, "",
			"reboot: PID 1 (sh) neither catches nor blocks SIGTERM: it would not hear; use reboot -f",
		},
		{
			"PID 1 is about to listen",
			fake{deafFor: 100 * time.Millisecond},
			"reboot", 0,
			"remove\nwtmp shutdown 6.1.0 +0s\nkill SIGTERM", "",
		},
		{
			"no /proc",
			fake{noProc: true},
			"reboot", 0, toInit + "SIGTERM",
			"reboot: SIGTERM sent; cannot see whether PID 1 listens " +
				"(no /proc: No such file or directory)",
		},
		{
			"/proc of another namespace",
			fake{otherNS: true},
			"halt", 0, toInit + "SIGUSR1",
			"halt: SIGUSR1 sent; cannot see whether PID 1 listens " +
				"(/proc is that of another PID namespace: self is \"4711\", expected 300)",
		},
		{
			"hidepid",
			fake{noStatus: true},
			"reboot", 0, toInit + "SIGTERM",
			"reboot: SIGTERM sent; cannot see whether PID 1 listens " +
				"(/proc/1/status: No such file or directory)",
		},
		{
			"PID 1's memory is locked",
			fake{hang: "look"},
			"reboot", 0,
			"remove\nwtmp shutdown 6.1.0 +2s\nkill SIGTERM",
			"reboot: SIGTERM sent; cannot see whether PID 1 listens (/proc/1: no answer within 2s)",
		},

		{"systemd", fake{comm: "systemd"}, "reboot", 0, toInit + "SIGRTMIN+5", ""},
		{"systemd", fake{exe: "/usr/lib/systemd/systemd"}, "halt", 0, toInit + "SIGRTMIN+3", ""},
		{
			"sysvinit",
			fake{cmdline: "init [2]\x00"},
			"reboot", 1, "",
			"reboot: PID 1 is sysvinit, which takes no signal for reboot; " +
				"use telinit 0 or 6, or reboot -f",
		},
		{
			"finit halts no more",
			fake{comm: "finit"},
			"halt", 1, "",
			"halt: PID 1 is finit, which takes no signal for halt; use initctl halt, or halt -f",
		},
		{"finit", fake{comm: "finit"}, "poweroff", 0, toInit + "SIGUSR2", ""},
		{"sinit", fake{comm: "sinit"}, "reboot", 0, toInit + "SIGINT", ""},
		{
			"container",
			fake{comm: "tini"},
			"poweroff", 1, "",
			"poweroff: PID 1 is tini, which takes no signal for poweroff; " +
				"use the container's own tools, or poweroff -f",
		},
		{
			"BusyBox replaced on disk",
			fake{comm: "x", exe: "/bin/busybox (deleted)"},
			"reboot", 0,
			toInit + "SIGTERM", "",
		},
		{
			"unknown",
			fake{comm: "mydaemon"},
			"reboot", 0, toInit + "SIGTERM",
			"reboot: SIGTERM sent to PID 1 (mydaemon), which is no init known here",
		},

		{
			"ARG",
			fake{same: true},
			"reboot recovery", 0,
			"place \"recovery\\n\"\n" + record + "\nkill SIGTERM", "",
		},
		{
			"ARG, another copy of init",
			fake{program: marked},
			"reboot recovery", 0,
			"place \"recovery\\n\"\n" + record + "\nkill SIGTERM", "",
		},
		{
			"ARG, BusyBox",
			fake{exe: "/bin/busybox"},
			"reboot recovery", 1, "",
			"reboot: PID 1 is BusyBox, which cannot be told the argument \"recovery\"; " +
				"use reboot -f recovery",
		},
		{
			"ARG, systemd",
			fake{comm: "systemd"},
			"reboot recovery", 1, "",
			"reboot: PID 1 is systemd, which cannot be told the argument \"recovery\"; " +
				"use systemctl or reboot -f recovery",
		},
		{
			"ARG, no /proc",
			fake{noProc: true, same: true},
			"reboot recovery", 1, "",
			"reboot: cannot see whether PID 1 takes an argument " +
				"(no /proc: No such file or directory); use reboot -f recovery",
		},
		{
			"ARG, no place for it",
			fake{same: true, place: unix.EROFS},
			"reboot recovery", 1,
			"place \"recovery\\n\"",
			"reboot: cannot tell PID 1 the argument: read-only file system; use reboot -f recovery",
		},
		{
			"ARG, control character",
			fake{same: true},
			"reboot a\x1bb", 1, "",
			"reboot: reboot argument contains a control character",
		},
		{"ARG twice", fake{}, "reboot a b", 1, "", "reboot: at most one argument, got 2"},
		{
			"ARG for poweroff",
			fake{},
			"poweroff now", 0, toInit + "SIGUSR2",
			"poweroff: argument \"now\" means nothing to poweroff and is ignored",
		},

		{"-d 0.5", fake{}, "reboot -d 0.5", 1, "", "reboot: invalid number '0.5'"},
		{"-d -1", fake{}, "reboot -d -1", 1, "", "reboot: invalid number '-1'"},
		{"-d +1", fake{}, "reboot -d +1", 1, "", "reboot: invalid number '+1'"},
		{"-d 1_0", fake{}, "reboot -d 1_0", 1, "", "reboot: invalid number '1_0'"},
		{
			"-d past 32 bits",
			fake{},
			"reboot -d 4294967296", 1, "",
			"reboot: invalid number '4294967296'",
		},
		{"-d 5s", fake{}, "reboot --delay=5s", 1, "", "reboot: invalid number '5s'"},
		{"-d nothing", fake{}, "reboot -d", 1, "", "reboot: option requires an argument -- 'd'"},
		{"-p", fake{}, "halt -p", 1, "", "halt: invalid option -- 'p'"},
		{
			"unknown name",
			fake{},
			"/sbin/rm -f", 1, "",
			"/sbin/rm: called by an unknown name, expected reboot, halt or poweroff",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := c.sys.play(t, c.line)
			if status != c.status || stdout != "" {
				t.Errorf("got status %d, stdout %q; want %d, none", status, stdout, c.status)
			}
			if got := strings.Join(c.sys.calls, "\n"); got != c.calls {
				t.Errorf("calls:\n got %q\nwant %q", got, c.calls)
			}
			if first, _, _ := strings.Cut(stderr, "\n"); first != c.stderr {
				t.Errorf("stderr:\n got %q\nwant %q", first, c.stderr)
			}
		})
	}
}

// TestCleansUpWhenTheSignalIsRefused: between the look at PID 1 and the signal things may change,
// and then no argument may be left lying about for the next restart.
func TestCleansUpWhenTheSignalIsRefused(t *testing.T) {
	f := refusing{fake{same: true}}
	f.t, f.pid, f.now = t, 300, f.start()
	var stderr strings.Builder
	status := run([]string{"reboot", "recovery"}, "", nil, &stderr, &f)
	want := []string{`place "recovery\n"`, "wtmp shutdown 6.1.0 +0s", "kill SIGTERM", "remove"}
	if status != 1 || !slices.Equal(f.calls, want) {
		t.Errorf("got status %d, calls %q\nwant 1, %q", status, f.calls, want)
	}
	if got, want := stderr.String(), "reboot: Operation not permitted\n"; got != want {
		t.Errorf("stderr: got %q, want %q", got, want)
	}
}

// refusing lets signal 0 pass and no other.
type refusing struct{ fake }

func (r *refusing) Kill(pid int, sig unix.Signal) error {
	if err := r.fake.Kill(pid, sig); err != nil || sig == 0 {
		return err
	}
	return unix.EPERM
}

func TestDelayComesBeforeEverything(t *testing.T) {
	f := fake{kill: unix.EPERM}
	f.play(t, "reboot -d 4294967295")
	if got := f.now.Sub(f.start()); got != 4294967295*time.Second {
		t.Errorf("slept %v, want 4294967295s", got)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, name := range []string{"reboot", "halt", "poweroff"} {
		f := &fake{}
		status, out, errs := f.play(t, name+" --help")
		if status != 0 || errs != "" || !strings.HasPrefix(out, "Usage: "+name+" ") ||
			strings.Contains(out, "ARG") != (name == "reboot") || len(f.calls) != 0 {
			t.Errorf("%s --help: status %d, stdout %q, stderr %q, calls %q",
				name, status, out, errs, f.calls)
		}
		for _, option := range []string{"-d", "-f", "-n", "-w", "-i", "--delay", "--version"} {
			if !strings.Contains(out, option) {
				t.Errorf("%s --help does not name %s", name, option)
			}
		}
		status, out, errs = f.play(t, name+" --version")
		if status != 0 || errs != "" || out != name+" (Rebound) 1.2.3\n" {
			t.Errorf("%s --version: status %d, stdout %q, stderr %q", name, status, out, errs)
		}
	}
}

// TestSyncBeforeForce: however the disk behaves, reboot(2) is called, and within the limits.
func TestSyncBeforeForce(t *testing.T) {
	const stop = "going on without it"
	sinking := func(kBPerSecond int64) func(time.Duration) int64 {
		return func(d time.Duration) int64 {
			return 1000000 - kBPerSecond*int64(d/time.Second)
		}
	}
	for _, c := range []struct {
		name  string
		sys   fake
		takes [2]time.Duration // from, to
		want  []string         // stderr, in order, among other lines
	}{
		{"quick", fake{syncTakes: 3 * time.Millisecond}, [2]time.Duration{0, 10 * time.Millisecond}, nil},
		{
			"slow",
			fake{syncTakes: 25 * time.Second, unwritten: sinking(40000)},
			[2]time.Duration{25 * time.Second, 26 * time.Second},
			[]string{"reboot: sync: 600000 kB unwritten", "reboot: sync: 200000 kB unwritten"},
		},
		{
			"hangs",
			fake{hang: "sync", unwritten: sinking(0)},
			[2]time.Duration{10 * time.Second, 11 * time.Second},
			[]string{"sync makes no progress for 10s (1000000 kB unwritten); " + stop},
		},
		{
			"hangs, nothing known",
			fake{hang: "sync"},
			[2]time.Duration{10 * time.Second, 11 * time.Second},
			[]string{"sync makes no progress for 10s (/proc/meminfo does not say how much is unwritten); " +
				stop},
		},
		{
			"never ends",
			fake{hang: "sync", unwritten: sinking(1000)},
			[2]time.Duration{120 * time.Second, 121 * time.Second},
			[]string{
				"sync: 990000 kB unwritten",
				"sync is not done after 2m0s (880000 kB unwritten); " + stop,
			},
		},
		{
			"up and down is no progress",
			fake{hang: "sync", unwritten: func(d time.Duration) int64 {
				return 500000 + 1000*int64(d/time.Second%7)
			}},
			[2]time.Duration{10 * time.Second, 11 * time.Second},
			[]string{"no progress"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, stderr := c.sys.play(t, "reboot -f")
			if last := c.sys.calls[len(c.sys.calls)-1]; status != 0 || last != `reboot 0x1234567 ""` {
				t.Errorf("status %d, last call %q; want 0, reboot", status, last)
			}
			took := c.sys.now.Sub(c.sys.start())
			if took < c.takes[0] || took > c.takes[1] {
				t.Errorf("took %v, want between %v and %v", took, c.takes[0], c.takes[1])
			}
			rest := stderr
			for _, line := range c.want {
				_, after, found := strings.Cut(rest, line)
				if !found {
					t.Errorf("stderr:\n got %q\nwant %q in it, in this order", stderr, c.want)
					break
				}
				rest = after
			}
			if len(c.want) == 0 && stderr != "" {
				t.Errorf("stderr: got %q, want none", stderr)
			}
		})
	}
}

func TestParseStatusRefusesOtherText(t *testing.T) {
	for _, text := range []string{
		"", "Name:\tinit\n", "Name:\tinit\nSigBlk:\t00\n", "SigBlk:\t00\nSigCgt:\t00\n",
		"Name:\tinit\nSigBlk:\tzz\nSigCgt:\t00\n",
	} {
		if _, _, err := parseStatus([]byte(text)); err == nil {
			t.Errorf("parseStatus(%q): got no error", text)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		f.Skip("needs /proc for its seed: ", err)
	}
	f.Add(text)
	f.Add([]byte("Name:\tinit\nSigBlk:\t0000000000004000\nSigCgt:\t0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		comm, _, err := parseStatus(text)
		if (err == nil) == (comm == "") {
			t.Fatalf("got name %q, error %v", comm, err)
		}
	})
}

func FuzzUnwritten(f *testing.F) {
	f.Add([]byte("Dirty:             136 kB\nWriteback:             0 kB\n"))
	f.Add([]byte("Dirty:\nWriteback: x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, ok := unwritten(text); ok && !strings.Contains(string(text), "Dirty:") {
			t.Fatalf("found numbers in %q", text)
		}
	})
}

// TestOwnStatus: the real text of this kernel is understood, and says what is known of a Go
// program: it catches SIGTERM.
func TestOwnStatus(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc: ", err)
	}
	comm, hears, err := parseStatus(text)
	p := process{comm: comm, hears: hears}
	if err != nil || comm == "" || !p.listens(unix.SIGTERM) || p.listens(unix.SIGKILL) {
		t.Errorf("got %q, %#x, %v; want a name, and SIGTERM but not SIGKILL heard", comm, hears, err)
	}
}

func TestStrerror(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{unix.EPERM, "Operation not permitted"},
		{&os.PathError{Op: "open", Path: "/x", Err: unix.ENOENT}, "No such file or directory"},
		{errors.New("odd"), "odd"},
	} {
		if got := strerror(c.err); got != c.want {
			t.Errorf("strerror(%v): got %q, want %q", c.err, got, c.want)
		}
	}
}

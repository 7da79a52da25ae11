package halt_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/utmp"
)

// tools returns a directory with the three commands, built from cmd/reboot.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := workshop.open()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// busybox is Debian's BusyBox, or another with these applets.
func busybox(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("needs busybox to compare with: ", err)
	}
	return path
}

func layout(t *testing.T) utmp.Layout {
	t.Helper()
	l, ok := utmp.LayoutOf(runtime.GOARCH)
	if !ok {
		t.Fatalf("no layout of utmp for %s", runtime.GOARCH)
	}
	return l
}

// play runs one of our commands in a room.
func play(t *testing.T, r *room, line string) result {
	t.Helper()
	argv := strings.Fields(line)
	return r.run(filepath.Join(tools(t), argv[0]), argv...)
}

const (
	usr1 = int(unix.SIGUSR1)
	usr2 = int(unix.SIGUSR2)
	term = int(unix.SIGTERM)
)

// TestLikeBusyBox plays the lines that mean the same to both, under the same PID 1, and compares
// everything that is left behind.
func TestLikeBusyBox(t *testing.T) {
	other := busybox(t)
	for _, c := range []struct {
		line    string
		uid     int
		noBoot  bool
		noWtmp  bool
		signals []int
		status  int
		end     string // of the namespace, "exit 0" if not given
		records int
		// stderr is its first line, up to a colon and the program's own name.
		stderr string
	}{
		{line: "reboot", signals: []int{term}, records: 1},
		{line: "halt", signals: []int{usr1}, records: 1},
		{line: "poweroff", signals: []int{usr2}, records: 1},
		{line: "reboot -n", signals: []int{term}, records: 1},
		{line: "halt -i", signals: []int{usr1}, records: 1},
		{line: "reboot -d 0", signals: []int{term}, records: 1},
		{line: "reboot -d1 -n", signals: []int{term}, records: 1},
		{line: "reboot", noWtmp: true, signals: []int{term}},
		{line: "halt -w", records: 1},
		{line: "reboot -wn", records: 1},
		{line: "poweroff -fw", records: 1},
		{line: "halt -w", noWtmp: true},

		{line: "reboot -nf", end: "hangup", records: 1},
		{line: "halt -nf", end: "interrupt", records: 1},
		{line: "poweroff -n -f", end: "interrupt", records: 1},
		{line: "reboot -nf -d 1", end: "hangup", records: 1},
		{
			line: "reboot -nf", noBoot: true, status: 1, records: 1,
			stderr: "reboot: Operation not permitted",
		},

		{line: "reboot -n", uid: 1, status: 1, stderr: "reboot: Operation not permitted"},
		{line: "poweroff -n", uid: 1, status: 1, stderr: "poweroff: Operation not permitted"},

		{line: "reboot -d 0.5", status: 1, stderr: "reboot: invalid number '0.5'"},
		{line: "reboot -d -1", status: 1, stderr: "reboot: invalid number '-1'"},
		{line: "reboot -d 4294967296", status: 1, stderr: "reboot: invalid number '4294967296'"},
		{line: "reboot -d 0x1", status: 1, stderr: "reboot: invalid number '0x1'"},
		{line: "reboot -d", status: 1, stderr: "reboot: option requires an argument -- 'd'"},
		{line: "halt -p", status: 1, stderr: "halt: invalid option -- 'p'"},
		{line: "reboot -nh", status: 1, stderr: "reboot: invalid option -- 'h'"},
		{line: "reboot --bogus", status: 1, stderr: "reboot: unrecognized option '--bogus'"},
	} {
		name := c.line
		switch {
		case c.uid != 0:
			name += ", not root"
		case c.noBoot:
			name += ", no CAP_SYS_BOOT"
		case c.noWtmp:
			name += ", no wtmp"
		}
		t.Run(name, func(t *testing.T) {
			if c.uid != 0 && os.Getuid() != 0 {
				t.Skip("needs root: a namespace with two users")
			}
			l := layout(t)
			end := c.end
			if end == "" {
				end = "exit 0"
			}
			var records [2][]byte
			for i, program := range []string{"ours", "BusyBox's"} {
				r := newRoom(t)
				r.UID, r.NoBoot = c.uid, c.noBoot
				if c.noWtmp {
					if err := os.Remove(filepath.Join(r.Log, "wtmp")); err != nil {
						t.Fatal(err)
					}
				}
				before := time.Now()
				var got result
				if program == "ours" {
					got = play(t, r, c.line)
				} else {
					got = r.run(other, strings.Fields(c.line)...)
				}
				took := time.Since(before)

				if got.end != end || got.Status != c.status {
					t.Errorf("%s: got status %d, namespace ended by %q; want %d, %q",
						program, got.Status, got.end, c.status, end)
				}
				// Some builds of BusyBox put this in front of the error [BusyBox 6.16].
				line := strings.Replace(got.firstLine(), "(null): ", "", 1)
				if line != c.stderr || got.stdout != "" {
					t.Errorf("%s: got stderr %q, stdout %q; want %q, none",
						program, line, got.stdout, c.stderr)
				}
				if !slices.Equal(got.Signals, c.signals) {
					t.Errorf("%s: PID 1 got signals %v, want %v", program, got.Signals, c.signals)
				}
				if strings.Contains(c.line, "-d1") || strings.Contains(c.line, "-d 1") {
					if took < time.Second {
						t.Errorf("%s: took %v, want a delay of 1s", program, took)
					}
				}
				if _, err := os.Stat(filepath.Join(r.Log, "wtmp")); c.noWtmp {
					if !os.IsNotExist(err) {
						t.Errorf("%s: stat of wtmp: %v, want it not to be made", program, err)
					}
					continue
				}
				file := r.wtmp()
				if len(file) != c.records*l.Size() {
					t.Fatalf("%s: wtmp has %d bytes, want %d records of %d",
						program, len(file), c.records, l.Size())
				}
				if c.records == 0 {
					continue
				}
				rec, err := l.Decode(file)
				if err != nil {
					t.Fatal(err)
				}
				if rec.Time.Before(before.Truncate(time.Second)) || rec.Time.After(time.Now()) {
					t.Errorf("%s: record of %v, want now", program, rec.Time)
				}
				rec.Time = time.Unix(0, 0)
				// All that is not time has to be the same, to the last byte.
				again := l.Encode(rec)
				copy(file[timeOffset(l):][:l.Size()-384+8], again[timeOffset(l):])
				records[i] = file
			}
			if !bytes.Equal(records[0], records[1]) {
				t.Errorf("records differ:\nours      %q\nBusyBox's %q", records[0], records[1])
			}
		})
	}
}

// timeOffset is where a record's time is: the last but the address and what is reserved.
func timeOffset(l utmp.Layout) int {
	if l == utmp.Wide {
		return 344
	}
	return 340
}

// TestOrderOfCalls looks at the system calls themselves.
func TestOrderOfCalls(t *testing.T) {
	const magic = "0xfee1dead 0x28121969 "
	for _, c := range []struct {
		line  string
		calls []string
		end   string
	}{
		// PID 1 is asked and no disk is waited for. BusyBox calls sync first.
		{"reboot", []string{"kill 1 0", "record", "kill 1 15"}, "exit 0"},
		{"halt", []string{"kill 1 0", "record", "kill 1 10"}, "exit 0"},
		{"reboot -w", []string{"record"}, "exit 0"},
		{"reboot -nf", []string{"record", "reboot " + magic + `0x1234567 ""`}, "hangup"},
		{"halt -nf", []string{"record", "reboot " + magic + `0xcdef0123 ""`}, "interrupt"},
		{"poweroff -nf", []string{"record", "reboot " + magic + `0x4321fedc ""`}, "interrupt"},
		{"reboot -f", []string{"record", "sync", "reboot " + magic + `0x1234567 ""`}, "hangup"},
		{
			"reboot -nf recovery",
			[]string{"record", "reboot " + magic + `0xa1b2c3d4 "recovery"`},
			"hangup",
		},
		{
			"reboot -n --force " + strings.Repeat("x", 255),
			[]string{"record", "reboot " + magic + `0xa1b2c3d4 "` + strings.Repeat("x", 255) + `"`},
			"hangup",
		},
		{"reboot -nf " + strings.Repeat("x", 256), []string{}, "exit 0"},
	} {
		t.Run(c.line, func(t *testing.T) {
			r := newRoom(t)
			r.Trace = true
			got := play(t, r, c.line)
			if !slices.Equal(got.calls, c.calls) || got.end != c.end {
				t.Errorf("got %q, end %q, stderr %q\nwant %q, end %q",
					got.calls, got.end, got.stderr, c.calls, c.end)
			}
		})
	}
}

// TestSyncThatHangs: with -f the machine goes down all the same, and if it must not, the command
// at least comes back.
func TestSyncThatHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 10s: the time that sync is given")
	}
	const hung = "; going on without it\n"
	for name, c := range map[string]struct {
		noBoot bool
		end    string
		status int
		stderr string // the last of it
	}{
		"reboots": {false, "hangup", 0, hung},
		"refused": {true, "exit 0", 1, hung + "reboot: Operation not permitted\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			r.Trace, r.HoldSync, r.NoBoot = true, true, c.noBoot
			got := play(t, r, "reboot -f")
			if got.end != c.end || got.Status != c.status || !strings.HasSuffix(got.stderr, c.stderr) ||
				!strings.Contains(got.stderr, "reboot: sync makes no progress for 10s (") {
				t.Errorf("got end %q, status %d, stderr %q\nwant %q, %d, ...%q",
					got.end, got.Status, got.stderr, c.end, c.status, c.stderr)
			}
			want := []string{"record", "sync", `reboot 0xfee1dead 0x28121969 0x1234567 ""`}
			if !slices.Equal(got.calls, want) {
				t.Errorf("got %q, want %q", got.calls, want)
			}
		})
	}
}

// TestSucceedsThoughInitIsQuicker: PID 1 may send SIGTERM to all before the command has ended. It
// has done its work then, and "reboot || echo failed" must not say otherwise.
func TestSucceedsThoughInitIsQuicker(t *testing.T) {
	for range 10 {
		r := newRoom(t)
		r.Sweep = true
		if got := play(t, r, "reboot"); got.Status != 0 || got.stderr != "" {
			t.Fatalf("got status %d, stderr %q; want 0, none", got.Status, got.stderr)
		}
	}
}

// TestOtherInits: what other kinds of PID 1 are asked, and what the user is told.
func TestOtherInits(t *testing.T) {
	for _, c := range []struct {
		init, title string
		line        string
		signals     []int
		status      int
		stderr      string
	}{
		{"systemd", "", "halt", []int{37}, 0, ""},
		{"systemd", "", "poweroff", []int{38}, 0, ""},
		{"systemd", "/sbin/init", "reboot", []int{39}, 0, ""},
		{
			"init", "init [2]", "reboot",
			[]int{},
			1,
			"reboot: PID 1 is sysvinit, which takes no signal for reboot; " +
				"use telinit 0 or 6, or reboot -f\n",
		},
		{
			"tini", "", "halt",
			[]int{},
			1,
			"halt: PID 1 is tini, which takes no signal for halt; " +
				"use the container's own tools, or halt -f\n",
		},
		{
			"dinit", "", "reboot",
			[]int{},
			1,
			"reboot: PID 1 is dinit, which takes no signal for reboot; " +
				"use its own shutdown, or reboot -f\n",
		},
		{"linuxrc", "", "reboot", []int{term}, 0, ""},
		{
			"daemon", "", "poweroff",
			[]int{usr2},
			0,
			"poweroff: SIGUSR2 sent to PID 1 (daemon), which is no init known here\n",
		},
		{
			"init", "", "poweroff now",
			[]int{usr2},
			0,
			"poweroff: argument \"now\" means nothing to poweroff and is ignored\n",
		},
		{
			"init", "", "reboot recovery",
			[]int{},
			1,
			"reboot: PID 1 is init, which cannot be told the argument \"recovery\"; " +
				"use reboot -f recovery\n",
		},
	} {
		t.Run(c.init+" "+c.title+" "+c.line, func(t *testing.T) {
			r := newRoom(t)
			r.init, r.title = c.init, c.title
			got := play(t, r, c.line)
			if !slices.Equal(got.Signals, c.signals) || got.Status != c.status || got.stderr != c.stderr {
				t.Errorf("got signals %v, status %d, stderr %q\nwant %v, %d, %q",
					got.Signals, got.Status, got.stderr, c.signals, c.status, c.stderr)
			}
			if wrote := len(r.wtmp()) > 0; wrote != (c.status == 0) {
				t.Errorf("record written: %v; want one only if the request was made", wrote)
			}
			if entries, err := os.ReadDir(r.Run); err != nil || len(entries) > 0 {
				t.Errorf("/run has %v (%v), want nothing left", entries, err)
			}
		})
	}
}

// TestDeafInit: a shell as PID 1 has no handler for the signal. BusyBox reports success.
func TestDeafInit(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs a shell: ", err)
	}
	r := newRoom(t)
	r.Become = true
	got := r.run(sh, "sh", "-c", filepath.Join(tools(t), "reboot")+"; exit $?")
	want := "reboot: PID 1 (sh) neither catches nor blocks SIGTERM: it would not hear; use reboot -f\n"
	if got.end != "exit 1" || got.stderr != want {
		t.Errorf("got %q, stderr %q\nwant exit 1, %q", got.end, got.stderr, want)
	}
	if n := len(r.wtmp()); n != 0 {
		t.Errorf("wtmp has %d bytes, want no record of a request that was not made", n)
	}
}

// TestUnderItself: the command as PID 1 has nobody to ask, and says so instead of ending the
// machine by its own signal.
func TestUnderItself(t *testing.T) {
	r := newRoom(t)
	r.Become = true
	got := r.run(filepath.Join(tools(t), "reboot"), "reboot")
	want := "reboot: this is PID 1 itself, there is no init to ask; use reboot -f\n"
	if got.end != "exit 1" || got.stderr != want {
		t.Errorf("got %q, stderr %q\nwant exit 1, %q", got.end, got.stderr, want)
	}
	r = newRoom(t)
	r.Become = true
	if got := r.run(filepath.Join(tools(t), "poweroff"), "poweroff", "-nf"); got.end != "interrupt" {
		t.Errorf("-f: namespace ended by %q, stderr %q; want interrupt", got.end, got.stderr)
	}
}

// TestWithoutProc: BusyBox gives up if there is no /proc [BusyBox 6.11].
func TestWithoutProc(t *testing.T) {
	for proc, reason := range map[string]string{
		"none":  "no /proc: No such file or directory",
		"outer": "/proc is that of another PID namespace",
	} {
		t.Run(proc, func(t *testing.T) {
			r := newRoom(t)
			r.Proc = proc
			got := play(t, r, "reboot")
			want := "reboot: SIGTERM sent; cannot see whether PID 1 listens (" + reason
			if got.Status != 0 || !slices.Equal(got.Signals, []int{term}) ||
				!strings.HasPrefix(got.stderr, want) {
				t.Errorf("got status %d, signals %v, stderr %q\nwant 0, SIGTERM, %q...",
					got.Status, got.Signals, got.stderr, want)
			}
			r = newRoom(t)
			r.Proc = proc
			if got := play(t, r, "reboot -nf"); got.end != "hangup" {
				t.Errorf("-f: namespace ended by %q, stderr %q; want hangup", got.end, got.stderr)
			}
		})
	}
}

// copyOfInit makes a program that is not the test binary but has the mark of cmd/init.
func copyOfInit(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	// Put together here, or this test binary would have the mark, too.
	mark := strings.Join([]string{"path", "github.com/rebound-init/rebound/cmd/init\n"}, "\t")
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, append(program, mark...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestArgument: an init of ours finds the argument when the signal arrives.
func TestArgument(t *testing.T) {
	link := func(t *testing.T) string { // the command in the very program that PID 1 is
		path := filepath.Join(t.TempDir(), "reboot")
		if err := os.Symlink(self(t), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := filepath.Join("rebound", rebootparam.Name)
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, r *room)
		argv    []string
		path    func(t *testing.T) string
		want    string // in the file, "" for none
		stderr  string // how it begins
	}{
		{"same program", nil, []string{"reboot", "recovery"}, link, "recovery\n", ""},
		{
			"two programs", func(t *testing.T, r *room) { r.program = copyOfInit(t) },
			[]string{"reboot", "a b"},
			func(t *testing.T) string { return filepath.Join(tools(t), "reboot") }, "a b\n", "",
		},
		{"directory there", func(t *testing.T, r *room) {
			must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o755))
		}, []string{"reboot", "recovery"}, link, "recovery\n", ""},
		{"old argument replaced", func(t *testing.T, r *room) {
			must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o700))
			must(t, os.WriteFile(filepath.Join(r.Run, file), []byte("old\n"), 0o600))
		}, []string{"reboot", "recovery"}, link, "recovery\n", ""},
		{"old argument removed", func(t *testing.T, r *room) {
			must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o700))
			must(t, os.WriteFile(filepath.Join(r.Run, file), []byte("old\n"), 0o600))
		}, []string{"reboot"}, link, "", ""},
		{"link in the file's place", func(t *testing.T, r *room) {
			must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o700))
			must(t, os.Symlink("/var/log/wtmp", filepath.Join(r.Run, file)))
		}, []string{"reboot", "recovery"}, link, "recovery\n", ""},
		{
			"link in the directory's place", func(t *testing.T, r *room) {
				must(t, os.Symlink("/var/log", filepath.Join(r.Run, "rebound")))
			},
			[]string{"reboot", "recovery"},
			link, "",
			"reboot: cannot tell PID 1 the argument: open /run/rebound: not a directory",
		},
		{
			"file in the directory's place", func(t *testing.T, r *room) {
				must(t, os.WriteFile(filepath.Join(r.Run, "rebound"), nil, 0o600))
			},
			[]string{"reboot", "recovery"},
			link, "",
			"reboot: cannot tell PID 1 the argument: open /run/rebound: not a directory",
		},
		{
			"directory that others may write", func(t *testing.T, r *room) {
				must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o700))
				must(t, os.Chmod(filepath.Join(r.Run, "rebound"), 0o777))
			},
			[]string{"reboot", "recovery"},
			link, "",
			"reboot: cannot tell PID 1 the argument: /run/rebound: owner 0, mode 0777, expected",
		},
		{
			"directory of somebody else", func(t *testing.T, r *room) {
				if os.Getuid() != 0 {
					t.Skip("needs root: a directory of another user")
				}
				must(t, os.Mkdir(filepath.Join(r.Run, "rebound"), 0o700))
				must(t, os.Chown(filepath.Join(r.Run, "rebound"), 1, 1))
			},
			[]string{"reboot", "recovery"},
			link, "",
			"reboot: cannot tell PID 1 the argument: ",
		},
		{
			"not root", func(t *testing.T, r *room) {
				if os.Getuid() != 0 {
					t.Skip("needs root: a namespace with two users")
				}
				r.UID = 1
			},
			[]string{"reboot", "recovery"},
			func(t *testing.T) string { return filepath.Join(tools(t), "reboot") }, "",
			"reboot: Operation not permitted\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			if c.prepare != nil {
				c.prepare(t, r)
			}
			got := r.run(c.path(t), c.argv...)
			refused := c.stderr != ""
			want := []int{term}
			if refused {
				want = []int{}
			}
			if (got.Status == 1) != refused || !slices.Equal(got.Signals, want) ||
				!strings.HasPrefix(got.stderr, c.stderr) || !refused && got.stderr != "" {
				t.Errorf("got status %d, signals %v, stderr %q; want signals %v, %q",
					got.Status, got.Signals, got.stderr, want, c.stderr)
			}
			path := filepath.Join(r.Run, file)
			content, err := os.ReadFile(path)
			if c.want == "" {
				if err == nil {
					t.Errorf("%s has %q, want no such file", file, content)
				}
				return
			}
			if err != nil || string(content) != c.want {
				t.Fatalf("%s has %q (%v), want %q", file, content, err, c.want)
			}
			var st unix.Stat_t
			must(t, unix.Lstat(path, &st))
			if st.Mode != unix.S_IFREG|0o600 || st.Nlink != 1 {
				t.Errorf("%s: mode %#o, %d links; want a file of mode 0600, one link",
					file, st.Mode, st.Nlink)
			}
			entries, err := os.ReadDir(filepath.Join(r.Run, "rebound"))
			if err != nil || len(entries) != 1 {
				t.Errorf("/run/rebound has %v (%v), want one file", entries, err)
			}
			if n := len(r.wtmp()); n != layout(t).Size() {
				t.Errorf("wtmp has %d bytes, want one record", n)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWtmpThatIsNotAsItShouldBe: nothing about that file may keep the machine up.
func TestWtmpThatIsNotAsItShouldBe(t *testing.T) {
	l := layout(t)
	old := l.Encode(utmp.Record{Type: utmp.BootTime, User: "reboot", Line: "~", ID: "~~"})
	replace := func(make func(path string) error) func(t *testing.T, r *room) {
		return func(t *testing.T, r *room) {
			path := filepath.Join(r.Log, "wtmp")
			must(t, os.Remove(path))
			must(t, make(path))
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, r *room)
		size    int // of the file afterwards, -1 if there is none to look at
		stderr  string
	}{
		{"with records", func(t *testing.T, r *room) { r.writeWtmp(old) }, 2 * l.Size(), ""},
		{"cut short", func(t *testing.T, r *room) {
			r.writeWtmp(append(bytes.Clone(old), "half a rec"...))
		}, 2 * l.Size(), ""},
		{"/dev/null", replace(func(path string) error { return os.Symlink("/dev/null", path) }), -1, ""},
		{
			"FIFO", replace(func(path string) error { return unix.Mkfifo(path, 0o600) }), -1,
			"reboot: /var/log/wtmp: open: No such device or address; going on without the record\n",
		},
		{
			"directory", replace(func(path string) error { return os.Mkdir(path, 0o700) }), -1,
			"reboot: /var/log/wtmp: open: Is a directory; going on without the record\n",
		},
		{
			"loop", replace(func(path string) error { return os.Symlink("wtmp", path) }), -1,
			"reboot: /var/log/wtmp: open: Too many levels of symbolic links; " +
				"going on without the record\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t)
			c.prepare(t, r)
			got := play(t, r, "reboot")
			if got.Status != 0 || !slices.Equal(got.Signals, []int{term}) || got.stderr != c.stderr {
				t.Errorf("got status %d, signals %v, stderr %q; want 0, SIGTERM, %q",
					got.Status, got.Signals, got.stderr, c.stderr)
			}
			if c.size < 0 {
				return
			}
			file := r.wtmp()
			if len(file) != c.size || !bytes.Equal(file[:l.Size()], old) {
				t.Fatalf("wtmp has %d bytes, want %d, the first record kept", len(file), c.size)
			}
			if rec, err := l.Decode(file[l.Size():]); err != nil || rec.User != "shutdown" {
				t.Errorf("got %+v, %v; want the record of the shutdown", rec, err)
			}
		})
	}
}

// TestLockedWtmp: a process that holds the lock on wtmp for ever costs two seconds.
func TestLockedWtmp(t *testing.T) {
	r := newRoom(t)
	f, err := os.OpenFile(filepath.Join(r.Log, "wtmp"), os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	must(t, unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	got := play(t, r, "reboot")
	want := "reboot: /var/log/wtmp: no answer within 2s; going on without the record\n"
	if got.Status != 0 || !slices.Equal(got.Signals, []int{term}) || got.stderr != want {
		t.Errorf("got status %d, signals %v, stderr %q; want 0, SIGTERM, %q",
			got.Status, got.Signals, got.stderr, want)
	}
	if len(r.wtmp()) != 0 {
		t.Error("wtmp was written without the lock")
	}
}

// TestDeadRecordsAsBusyBoxMarksThem lets BusyBox's init reap a process that has a record in utmp,
// and compares the file with what package utmp makes of it [BusyBox 3.19].
func TestDeadRecordsAsBusyBoxMarksThem(t *testing.T) {
	path, l := busybox(t), layout(t)
	login := func(typ utmp.Type, pid int32, id string) []byte {
		return l.Encode(utmp.Record{
			Type: typ, PID: pid, ID: id, Line: "pts/" + id, User: "ann", Host: "far.example",
			Session: 41, Time: time.Unix(1700000000, 0), Addr: [16]byte{1, 2, 3},
		})
	}
	for _, typ := range []utmp.Type{utmp.InitProcess, utmp.LoginProcess, utmp.UserProcess} {
		t.Run(fmt.Sprint(typ), func(t *testing.T) {
			r := newRoom(t)
			r.Become = true
			r.Etc = t.TempDir()
			if link, err := os.Readlink("/var/run"); err != nil || link != "/run" {
				t.Skip("needs /var/run to be a link to /run, which the room makes its own")
			}
			// Which pid the one process of the inittab gets depends on how many threads PID 1
			// had before it became BusyBox.
			var before []byte
			for pid := range int32(200) {
				before = append(before, login(utmp.UserProcess, pid, "")...)
				before = append(before, login(typ, pid, "b")...)
			}
			must(t, os.WriteFile(filepath.Join(r.Run, "utmp"), before, 0o644))
			must(t, os.WriteFile(filepath.Join(r.Etc, "inittab"),
				[]byte("::sysinit:"+path+" true\n"), 0o644))

			cmd, _ := r.command(path, []string{"init"})
			must(t, cmd.Start())
			var after []byte
			for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
				// The record in wtmp is the last thing that is written.
				if len(r.wtmp()) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			must(t, cmd.Process.Signal(syscall.SIGKILL))
			cmd.Wait()
			after, err := os.ReadFile(filepath.Join(r.Run, "utmp"))
			must(t, err)

			if bytes.Equal(after, before) {
				t.Fatalf("BusyBox has changed nothing in utmp")
			}
			at := 0
			for bytes.Equal(after[:at+l.Size()], before[:at+l.Size()]) {
				at += l.Size()
			}
			rec, err := l.Decode(after[at:][:l.Size()])
			must(t, err)
			want := bytes.Clone(before)
			updates := l.MarkDead(before, rec.PID, rec.Time)
			for _, u := range updates {
				copy(want[u.Offset:], u.Record)
			}
			if len(updates) != 1 || !bytes.Equal(after, want) {
				t.Fatalf("utmp after the death of %d: %d updates, file differs: %v",
					rec.PID, len(updates), !bytes.Equal(after, want))
			}
			if wtmp := r.wtmp(); !bytes.Equal(wtmp, updates[0].Record) {
				t.Errorf("wtmp:\nours      %q\nBusyBox's %q", updates[0].Record, wtmp)
			}
		})
	}
}

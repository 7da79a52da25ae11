package simkernel

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestConsoleLevel: a message stands on the console if it matters more than console_loglevel.
func TestConsoleLevel(t *testing.T) {
	for _, test := range []struct {
		cmdline string
		knob    string // written to kernel.printk
		want    string // the levels that are seen
		shown   string // of kernel.printk
	}{
		{"", "", "0123456", "7\t4\t1\t7"},
		{"quiet", "", "0123", "4\t4\t1\t7"},
		{"debug", "", "01234567", "10\t4\t1\t7"},
		{"loglevel=2", "", "01", "2\t4\t1\t7"},
		{"quiet loglevel=6", "", "012345", "6\t4\t1\t7"},
		{"quiet ignore_loglevel", "", "01234567", "4\t4\t1\t7"},
		{"quiet", "8", "01234567", "8\t4\t1\t7"},
		{"", "1 5 1 6", "0", "1\t5\t1\t6"},
	} {
		m := New(Config{Cmdline: test.cmdline})
		m.Boot(func(k kernel.Kernel) int {
			if test.knob != "" {
				wantErr(t, "SetProc", k.SetProc("sys/kernel/printk", test.knob+"\n"), 0)
			}
			b, _ := k.Proc("sys/kernel/printk")
			wantEqual(t, "kernel.printk with "+test.cmdline, string(b), test.shown+"\n")
			until(k, 1500*time.Millisecond)
			for level := range kernel.Level(8) {
				m.printk(level, fmt.Sprint("level ", level))
			}
			m.finish(End{})
			return 0
		})
		var seen strings.Builder
		for _, l := range m.Screen() {
			fmt.Fprint(&seen, strings.TrimPrefix(l.Text, "[    1.500000] level "))
			wantEqual(t, "time", l.At, 1500*time.Millisecond)
		}
		wantEqual(t, "seen with "+test.cmdline, seen.String(), test.want)
		wantEqual(t, "in the log", len(m.Log()), 8)
	}
}

// TestScreen: the kernel goes on in the line where a program has stopped, and is not stopped by
// Ctrl-S. Without the kernel's lines the console is what the programs have written.
func TestScreen(t *testing.T) {
	m := New(Config{})
	m.When("kernel line", Do(func(m *Machine) { m.printk(6, "seen") }))
	m.Boot(func(k kernel.Kernel) int {
		write := func(s string) { k.Write(1, []byte(s)) }
		m.printk(6, "first")
		write("one\ntwo, ")
		m.printk(6, "kernel line")
		write("and more\n")
		until(k, time.Second)
		m.Apply(StopOutput{})
		write("held")
		m.printk(5, "two\nlines")
		m.printk(7, "too low")
		m.Apply(StartOutput{})
		m.finish(End{})
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "one\ntwo, and more\nheld\n")
	var lines []string
	for _, l := range m.Screen() {
		lines = append(lines, l.Text)
	}
	wantEqual(t, "screen", lines, []string{
		"[    0.000000] first", "one", "two, [    0.000000] kernel line", "and more",
		"[    0.000000] seen", "[    1.000000] two", "[    1.000000] lines", "held",
	})
	var none []Line
	wantEqual(t, "screen without a console", New(Config{Console: "none"}).Screen(), none)
	c := New(Config{Namespace: true})
	c.printk(0, "x")
	wantEqual(t, "screen of a container", c.Screen(), none)
}

// TestLastWords: the end stands on the console last, whatever the level.
func TestLastWords(t *testing.T) {
	m := New(Config{Cmdline: "quiet printk.time=0"})
	m.Boot(func(k kernel.Kernel) int {
		k.RebootSelf(kernel.PowerOff)
		return 0
	})
	lines := m.Screen()
	if len(lines) == 0 || lines[len(lines)-1].Text != "reboot: Power down" {
		t.Errorf("screen: got %v", lines)
	}
}

// TestRing overwrites its oldest records.
func TestRing(t *testing.T) {
	for _, test := range []struct {
		cmdline   string
		text      string
		kept, all int
	}{
		{"", "x", 4096, 5000},
		{"", strings.Repeat("x", 504), 256, 5000},
		{"log_buf_len=256K", strings.Repeat("x", 504), 512, 5000},
		{"log_buf_len=1", "x", 4096, 5000},
	} {
		m := New(Config{Cmdline: test.cmdline})
		for i := range test.all {
			m.printk(7, fmt.Sprintf("%s%d", test.text, i)[:len(test.text)])
		}
		wantEqual(t, "kept", len(m.Log()), test.kept)
		wantEqual(t, "overwritten", m.Overwritten(), test.all-test.kept)
	}
}

func TestKmsgRecords(t *testing.T) {
	m := New(Config{})
	m.Boot(func(k kernel.Kernel) int {
		m.printk(6, "a\tb\\c\x7f\xffd")
		until(k, 1234567*time.Microsecond)
		k.Log(kernel.Warning, "from PID 1")
		fd, err := k.Open("/dev/kmsg")
		wantErr(t, "Open", err, 0)
		b := make([]byte, 1024)
		read := func() string {
			n, err := k.Read(fd, b)
			if err != nil {
				return err.Error()
			}
			return string(b[:n])
		}
		wantEqual(t, "record", read(), "6,0,0,-;a\\x09b\\x5cc\\x7f\\xffd\n")
		wantEqual(t, "record", read(), "15,1,1234567,-;from PID 1\n")
		wantEqual(t, "record", read(), kernel.EAGAIN.Error())
		for _, test := range []struct{ write, want string }{
			{"plain\n", "12,2,1234567,-;plain\n"},
			{"<3>level\n", "11,3,1234567,-;level\n"},
			{"<30>daemon\n", "30,4,1234567,-;daemon\n"},
			{"<0>\n", "8,5,1234567,-;\n"},
			{"<x>text\n", "12,6,1234567,-;<x>text\n"},
			{"<7 text\n", "12,7,1234567,-;<7 text\n"},
		} {
			n, err := k.Write(fd, []byte(test.write))
			wantErr(t, "Write", err, 0)
			wantEqual(t, "written", n, len(test.write))
			wantEqual(t, "record", read(), test.want)
		}
		// Without a newline it could still be added to.
		k.Write(fd, []byte("open"))
		wantEqual(t, "record", read(), kernel.EAGAIN.Error())
		k.Write(fd, []byte("next\n"))
		wantEqual(t, "record", read(), "12,8,1234567,-;open\n")
		wantEqual(t, "record", read(), "12,9,1234567,-;next\n")
		_, err = k.Write(fd, make([]byte, 2000))
		wantErr(t, "Write", err, kernel.EINVAL)
		m.printk(6, strings.Repeat("long", 100))
		_, err = k.Read(fd, b[:100])
		wantErr(t, "Read", err, kernel.EINVAL)
		// For this reader it is gone.
		wantEqual(t, "record", read(), kernel.EAGAIN.Error())
		m.finish(End{})
		return 0
	})
}

// TestFollowLog begins at either end, and reads what comes from then on, whatever PID 1 sees of /dev.
func TestFollowLog(t *testing.T) {
	for _, test := range []struct {
		from   kernel.LogStart
		kernel string
		want   []string
	}{
		{kernel.LogEnd, "", []string{"6,2,0,-;two\n", kernel.EAGAIN.Error()}},
		{kernel.LogOldest, "", []string{"6,0,0,-;zero\n", "6,1,0,-;one\n", "6,2,0,-;two\n", kernel.EAGAIN.Error()}},
		{kernel.LogOldest, "linux-3.10-arm", []string{"6,0,0,-;zero\n"}},
		{kernel.LogOldest, "linux-2.6.24-i386", []string{kernel.EINVAL.Error()}},
	} {
		m := New(Config{Kernel: test.kernel})
		m.Boot(func(k kernel.Kernel) int {
			m.printk(6, "zero")
			m.printk(6, "one")
			fd, err := k.FollowLog(test.from)
			wantErr(t, "FollowLog", err, 0)
			_, err = k.Write(fd, []byte("x\n"))
			wantErr(t, "Write", err, syscall.EBADF)
			m.printk(6, "two")
			for _, want := range test.want {
				b := make([]byte, 1024)
				n, err := k.Read(fd, b)
				got := string(b[:n])
				if err != nil {
					got = err.Error()
				}
				wantEqual(t, "record", got, want)
			}
			m.finish(End{})
			return 0
		})
	}
}

// TestFlood says as many lines as it is told to, at their times.
func TestFlood(t *testing.T) {
	m := New(Config{})
	m.At(time.Second, Flood{Lines: 3, Every: time.Millisecond, Level: 7, Text: "line"})
	m.Boot(func(k kernel.Kernel) int {
		until(k, 2*time.Second)
		m.finish(End{})
		return 0
	})
	var got []string
	for _, l := range m.Log() {
		got = append(got, fmt.Sprint(l, l.Level, l.Kernel))
	}
	wantEqual(t, "log", got, []string{
		"[    1.000000] line 7 true", "[    1.001000] line 7 true", "[    1.002000] line 7 true",
	})
}

// TestKmsgIsWatched: PID 1 is told of a record, once for many; of those that are overwritten it
// learns by EPIPE, and goes on with the oldest.
func TestKmsgIsWatched(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{"flood": {
		Sleep{time.Second}, Loop{Times: 10, Do: []Step{
			noteStep{func(m *Machine) {
				for range 1000 {
					m.printk(7, "flood")
				}
			}},
		}}, Pause{},
	}})})
	m.Boot(func(k kernel.Kernel) int {
		fd, _ := k.Open("/dev/kmsg")
		wantErr(t, "Watch", k.Watch(fd, kernel.In), 0)
		spawn(t, k, "flood")
		next(t, k, 30*time.Second, kernel.Ready{FD: fd, What: kernel.In})
		wantEqual(t, "now", m.Now().Round(time.Second), time.Second)
		b := make([]byte, 1024)
		until(k, 5*time.Second)
		_, err := k.Read(fd, b)
		wantErr(t, "Read", err, syscall.EPIPE)
		n, err := k.Read(fd, b)
		wantErr(t, "Read", err, 0)
		seq := fmt.Sprintf("7,%d,", 10000-4096)
		if !strings.HasPrefix(string(b[:n]), seq) {
			t.Errorf("record: got %q, want %s...", b[:n], seq)
		}
		wantErr(t, "Watch", k.Watch(fd, kernel.In), 0)
		next(t, k, 30*time.Second, kernel.Ready{FD: fd, What: kernel.In})
		wantErr(t, "Close", k.Close(fd), 0)
		wantEqual(t, "readers", len(m.ring.readers), 0)
		m.finish(End{})
		return 0
	})
}

// TestKmsgLimit: programs write ten records in five seconds, unless that is turned off.
func TestKmsgLimit(t *testing.T) {
	flood := []Step{
		Open{Path: "/dev/kmsg", Flags: syscall.O_WRONLY, FD: 3},
		SayErrno{},
		Loop{Times: 15, Do: []Step{Write{3, "line\n"}}},
		SayErrno{},
		Sleep{6 * time.Second},
		Write{3, "later\n"},
		Close{3},
	}
	const told = "p: 5 output lines suppressed due to ratelimiting"
	for _, test := range []struct {
		cmdline, knob string
		errno         kernel.Errno
		want          []string
		said          string
	}{
		{"", "", 0, append(slices.Repeat([]string{"line"}, 10), "later", told), "ok ok"},
		{"printk.devkmsg=on", "", 0, append(slices.Repeat([]string{"line"}, 15), "later"), "ok ok"},
		{"", "on\n", 0, append(slices.Repeat([]string{"line"}, 15), "later"), "ok ok"},
		{"printk.devkmsg=off", "", 0, nil, "EPERM EBADF"},
		{"printk.devkmsg=off", "on\n", kernel.EINVAL, nil, "EPERM EBADF"},
		{"printk.devkmsg=off", "off\n", 0, nil, "EPERM EBADF"},
		{"", "on", kernel.EINVAL, append(slices.Repeat([]string{"line"}, 10), "later", told), "ok ok"},
	} {
		m := New(Config{
			Cmdline: test.cmdline, Programs: programs(map[string][]Step{"p": flood}),
		})
		m.Boot(func(k kernel.Kernel) int {
			if test.knob != "" {
				wantErr(t, "SetProc", k.SetProc("sys/kernel/printk_devkmsg", test.knob), test.errno)
			}
			spawn(t, k, "p")
			until(k, 20*time.Second)
			m.finish(End{})
			return 0
		})
		var texts []string
		for _, l := range m.Log() {
			texts = append(texts, l.Text)
		}
		wantEqual(t, "log", texts, test.want)
		wantEqual(t, "said", strings.Join(strings.Fields(m.ConsoleText()), " "), test.said)
	}
}

// TestDmesgRestrict keeps the log from who has not CAP_SYSLOG.
func TestDmesgRestrict(t *testing.T) {
	m, got := perform(t, Config{Cmdline: "sysctl.kernel.dmesg_restrict=1"},
		openRO("/dev/kmsg"), SayErrno{}, SetUID{7}, openRO("/dev/kmsg"), SayErrno{})
	_ = m
	wantEqual(t, "said", got, "ok EPERM")
}

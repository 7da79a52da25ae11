package simkernel

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

func TestKnobsAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(knobs[:], func(a, b knob) int { return strings.Compare(a.name, b.name) }) {
		t.Error("knobs are not sorted by name")
	}
	m := New(Config{})
	for i := range knobs {
		k := &knobs[i]
		if k.has != nil && !k.has(m) {
			if _, e := m.knob(k.name); e != kernel.ENOENT {
				t.Errorf("%s: got %v from a kernel that does not have it", k.name, e)
			}
			continue
		}
		text, e := m.knob(k.name)
		if e != 0 || text == "\n" {
			t.Errorf("%s: got %q, %v", k.name, text, e)
		}
		if e := m.mayWriteKnob(k.name); (e != 0) != (k.perm()&0o200 == 0) {
			t.Errorf("%s: writing: %v", k.name, e)
		}
		// What it says itself it takes, unless it lies outside of its range until it is set.
		if e := m.setKnob(k.name, text); e != 0 && k.name != "kernel/max_rcu_stall_to_panic" &&
			k.name != "kernel/kexec_load_disabled" {
			t.Errorf("%s: writing %q: %v", k.name, text, e)
		}
	}
}

// TestKnobs: what may be written, and what is read back.
func TestKnobs(t *testing.T) {
	const inval, acces = kernel.EINVAL, syscall.EACCES
	for _, test := range []struct {
		name, write string
		errno       kernel.Errno
		want        string
	}{
		{"kernel/panic", "10\n", 0, "10"},
		{"kernel/panic", "-1", 0, "-1"},
		{"kernel/panic", " 0x10 ", 0, "16"},
		{"kernel/panic", "010", 0, "8"},
		{"kernel/panic", "2147483648", inval, "0"},
		{"kernel/panic", "-2147483648", 0, "-2147483648"},
		{"kernel/panic", "ten", inval, "0"},
		{"kernel/panic", "10s", inval, "0"},
		{"kernel/panic", "", inval, "0"},
		{"kernel/panic", "1 2", 0, "1"},
		{"kernel/panic_on_warn", "2", inval, "0"},
		{"kernel/hung_task_warnings", "-1", 0, "-1"},
		{"kernel/hung_task_warnings", "-2", inval, "10"},
		{"kernel/hung_task_timeout_secs", "0", 0, "0"},
		{"kernel/oops_limit", "4294967295", 0, "4294967295"},
		{"kernel/oops_limit", "4294967296", inval, "10000"},
		{"kernel/oops_limit", "-1", inval, "10000"},
		{"vm/dirty_expire_centisecs", "2147483648", inval, "3000"},
		{"kernel/kexec_load_disabled", "1", 0, "1"},
		{"kernel/tainted", "512", 0, "512"},
		{"kernel/osrelease", "7", acces, osRelease},
		{"kernel/hostname", "box\n", 0, "box"},
		{"kernel/printk", "5", 0, "5\t4\t1\t7"},
		{"kernel/printk", "1 2 3 4", 0, "1\t2\t3\t4"},
		{"kernel/printk", "x", inval, "7\t4\t1\t7"},
		{"kernel/ctrl-alt-del", "0", 0, "0"},
		{"kernel/watchdog_thresh", "61", inval, "10"},
		{"kernel/none", "1", kernel.ENOENT, ""},
	} {
		m := New(Config{})
		m.Boot(func(k kernel.Kernel) int {
			wantErr(t, test.name+"="+test.write, k.SetProc("sys/"+test.name, test.write), test.errno)
			if b, _ := k.Proc("sys/" + test.name); string(b) != test.want+"\n" && test.want != "" {
				t.Errorf("%s after %q: got %q, want %q", test.name, test.write, b, test.want)
			}
			m.finish(End{})
			return 0
		})
	}
}

func TestKnobsThatOnlyGrow(t *testing.T) {
	m := New(Config{})
	wantEqual(t, "on", m.setKnob("kernel/kexec_load_disabled", "1"), 0)
	wantEqual(t, "off", m.setKnob("kernel/kexec_load_disabled", "0"), kernel.EINVAL)
	m.setKnob("kernel/tainted", "1")
	m.setKnob("kernel/tainted", "4")
	text, _ := m.knob("kernel/tainted")
	wantEqual(t, "tainted", text, "5\n")
}

// TestBootArguments set knobs, those of later words in place of earlier ones.
func TestBootArguments(t *testing.T) {
	m := New(Config{Cmdline: "panic=5 oops=panic sysctl.vm.swappiness=7 sysctl.kernel.panic=6 panic"})
	for name, want := range map[string]string{
		"kernel/panic": "6\n", "kernel/panic_on_oops": "1\n", "vm/swappiness": "7\n",
	} {
		text, _ := m.knob(name)
		wantEqual(t, name, text, want)
	}
}

// TestProcIsMounted: programs see the same files that PID 1 sees.
func TestProcIsMounted(t *testing.T) {
	cfg := Config{Cmdline: "some words", Mounts: []Mount{
		{Type: "proc", Target: "/proc"}, {Type: "sysfs", Target: "/sys"},
	}}
	for _, test := range []struct {
		steps []Step
		want  string
	}{
		{[]Step{Cat{"/proc/cmdline"}}, "some words"},
		{[]Step{Cat{"/proc/self/comm"}}, "p"},
		{[]Step{Cat{"/proc/1/comm"}}, "init"},
		{[]Step{Cat{"/proc/mounts"}}, "rootfs / rootfs rw 0 0 none /proc proc rw,relatime 0 0 " +
			"none /sys sysfs rw,relatime 0 0"},
		{[]Step{Sleep{1500 * time.Millisecond}, Cat{"/proc/uptime"}}, "1.50 1.50"},
		{[]Step{Cat{"/proc/swaps"}}, "Filename Type Size Used Priority"},
		{[]Step{Cat{"/proc/version"}}, strings.TrimSpace(versionText)},
		{[]Step{Append{"/proc/sys/kernel/panic", "7\n"}, Cat{"/proc/sys/kernel/panic"}}, "7"},
		{[]Step{Append{"/proc/sys/kernel/panic", "x\n"}, SayErrno{}}, "EINVAL"},
		{[]Step{Append{"/proc/sys/kernel/osrelease", "x\n"}, SayErrno{}}, "EACCES"},
		{[]Step{Append{"/proc/uptime", "x\n"}, SayErrno{}}, "EIO"},
		{[]Step{Append{"/proc/sys/kernel/new", "x\n"}, SayErrno{}}, "ENOENT"},
		{[]Step{Append{"/proc/new", "x\n"}, SayErrno{}}, "ENOENT"},
		{[]Step{Append{"/sys/power/x", "x\n"}, SayErrno{}}, "EACCES"},
		{[]Step{Mkdir{Path: "/sys/power/x"}, SayErrno{}}, "EPERM"},
		{[]Step{Delete{"/proc/uptime"}, SayErrno{}}, "EPERM"},
		{[]Step{Rename{"/proc/uptime", "/proc/x"}, SayErrno{}}, "ENOENT"},
		{[]Step{Mkdir{Path: "/proc/x"}, SayErrno{}}, "ENOENT"},
		{[]Step{Cat{"/proc/sys/kernel"}, SayErrno{}}, "EISDIR"},
		{[]Step{Cat{"/proc/99/comm"}, SayErrno{}}, "ENOENT"},
		{[]Step{Chdir{"/proc/self"}, SayErrno{}}, "ok"},
		{[]Step{Chdir{"/proc/self/task"}, List{"."}}, "3"},
		{[]Step{Cat{"/proc/2/cmdline"}, SayErrno{}}, "ok"},
		{[]Step{List{"/proc/sys"}}, "fs kernel net vm"},
		{[]Step{Open{Path: "/bin/p", FD: 4}, List{"/proc/self/fd"}}, "0 1 2 4"},
		{[]Step{Open{Path: "/etc/x", Flags: syscall.O_CREAT | syscall.O_RDWR, FD: 4}, SayErrno{}}, "ENOENT"},
		{[]Step{List{"/sys/fs"}}, "bpf cgroup fuse pstore"},
		{[]Step{
			Mount{Type: "cgroup2", Target: "/sys/fs/cgroup"},
			SayErrno{},
			Umount{Target: "/sys"},
			SayErrno{},
			UmountAll{},
			List{"/sys"},
		}, "ok EBUSY"},
		{[]Step{SetUID{7}, Append{"/proc/sys/kernel/panic", "7\n"}, SayErrno{}}, "EACCES"},
	} {
		_, got := perform(t, cfg, test.steps...)
		if got != test.want {
			t.Errorf("%+v: got %q, want %q", test.steps, got, test.want)
		}
	}
}

// TestSysrq: the keys that leave the machine running, and those that do not.
func TestSysrq(t *testing.T) {
	for _, test := range []struct {
		key  string
		how  How
		said string
		left int // processes
	}{
		{"b", Restarted, "sysrq: Resetting", 1},
		{"c", Panicked, "sysrq: Trigger a crash", 1},
		{"o", PoweredOff, "sysrq: Power Off", 1},
		{"e", TimedOut, "sysrq: Terminate All Tasks", 1},
		{"i", TimedOut, "sysrq: Kill All Tasks", 0},
		{"s", TimedOut, "Emergency Sync complete", 1},
		{"u", TimedOut, "Emergency Remount complete", 1},
		{"7", TimedOut, "sysrq: Loglevel set to 7", 1},
		{"?", TimedOut, "sysrq: " + sysrqHelp, 1},
	} {
		d := &Disk{}
		cfg := slow(d)
		cfg.MagicSysrq, cfg.Until = true, time.Minute
		cfg.Cmdline = "quiet"
		cfg.Programs = programs(map[string][]Step{
			"p": {openRW("/data/f"), Append{"/data/f", "x"}, Ignore{kernel.SIGTERM}, Pause{}},
		})
		m := New(cfg)
		end := m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			until(k, time.Second)
			wantErr(t, "SetProc", k.SetProc("sysrq-trigger", test.key+"b"), 0)
			until(k, 2*time.Minute)
			return 0
		})
		wantEqual(t, "end by "+test.key, end.How, test.how)
		if !slices.ContainsFunc(m.Log(), func(l LogLine) bool { return l.Text == test.said }) {
			t.Errorf("%s: the log has no %q: %v", test.key, test.said, m.Log())
		}
		wantEqual(t, "processes after "+test.key, len(m.Processes()), test.left)
		wantEqual(t, "clean after "+test.key, d.Clean(), test.key == "u")
	}
	m := New(Config{})
	wantEqual(t, "without it", m.setProc(nil, "sysrq-trigger", "b"), kernel.ENOENT)
}

// TestSysctlsOnTheCommandLine are set when all else is there: those that stand elsewhere in the
// model, too.
func TestSysctlsOnTheCommandLine(t *testing.T) {
	m := New(Config{Cmdline: "sysctl.kernel.cad_pid=1 sysctl.kernel.ctrl-alt-del=0 " +
		"sysctl.kernel.poweroff_cmd=/bin/off sysctl.kernel.pid_max=400 sysctl.kernel.panic=3 panic=5"})
	for name, want := range map[string]string{
		"kernel/cad_pid": "1\n", "kernel/ctrl-alt-del": "0\n", "kernel/poweroff_cmd": "/bin/off\n",
		"kernel/pid_max": "400\n",
		// Wherever it stands: the words that are no sysctl are read earlier.
		"kernel/panic": "3\n",
	} {
		if got, e := m.knob(name); got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, e, want)
		}
	}
}

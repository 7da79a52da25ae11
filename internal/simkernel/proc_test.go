package simkernel

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// TestProcTexts are the files of the root of proc, in full where they are short.
func TestProcTexts(t *testing.T) {
	cfg := disks()
	cfg.Epoch = time.Unix(1_000_000, 0)
	cfg.Programs = programs(map[string][]Step{"p": {Hang{}}, "q": {Spin{}}})
	m := New(cfg)
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p", "q")
		until(k, 2500*time.Millisecond)
		for name, want := range map[string]string{
			"loadavg":  "0.00 0.00 0.00 1/4 4\n",
			"uptime":   "2.50 2.50\n",
			"consoles": "ttyS0                -W- (EC p  )    136:0\n",
			"partitions": "major minor  #blocks  name\n\n" +
				" 254        0    1048576 vda\n 254       16    1048576 vdb\n 254       32    1048576 vdc\n" +
				"   7        0       1024 loop0\n 253        0    1048576 dm-0\n 254       48    1048576 vdd\n",
			"stat": "cpu  0 0 0 250 0 0 0 0 0 0\ncpu0 0 0 0 250 0 0 0 0 0 0\nintr 0\nctxt 0\n" +
				"btime 1000000\nprocesses 4\nprocs_running 1\nprocs_blocked 1\nsoftirq 0\n",
		} {
			b, err := k.Proc(name)
			wantErr(t, name, err, 0)
			wantEqual(t, name, string(b), want)
		}
		b, _ := k.Proc("filesystems")
		for _, line := range []string{"nodev\tproc\n", "nodev\ttmpfs\n", "\text4\n", "\tvfat\n"} {
			if !strings.Contains(string(b), line) {
				t.Errorf("filesystems: got %q, want %q in it", b, line)
			}
		}
		m.finish(End{})
		return 0
	})
}

// TestWchan tells where a process sleeps.
func TestWchan(t *testing.T) {
	steps := map[string]Step{
		"sync": Sync{}, "sleep": Sleep{time.Hour}, "pause": Pause{}, "read": ReadLine{},
		"wait": Wait{}, "run": Spin{},
	}
	cfg := slow(&Disk{})
	cfg.Programs = make(map[string]Program)
	for name, s := range steps {
		cfg.Programs["/bin/"+name] = Program{Steps: []Step{
			Fork{Do: []Step{Pause{}}}, Append{"/data/f", "x"}, s,
		}}
	}
	m := New(cfg)
	m.Apply(DiskDies{"vda"})
	m.Boot(func(k kernel.Kernel) int {
		got := make(map[string]string)
		for name := range steps {
			pid := spawn(t, k, name)[0]
			until(k, k.Now()+time.Second)
			got[name], _ = m.procOf(m.find(pid), "wchan")
		}
		wantEqual(t, "wchan", got, map[string]string{
			"sync": "folio_wait_bit_common", "sleep": "hrtimer_nanosleep", "pause": "sys_pause",
			"read": "n_tty_read", "wait": "do_wait", "run": "0",
		})
		m.finish(End{})
		return 0
	})
}

func TestSysfs(t *testing.T) {
	cfg := disks()
	cfg.Mounts = append(cfg.Mounts, Mount{Type: "sysfs", Target: "/sys"})
	for _, test := range []struct {
		steps []Step
		want  string
	}{
		{[]Step{List{"/sys/block"}}, "dm-0 loop0 vda vdb vdc vdd"},
		{[]Step{List{"/sys/block/vda"}}, "dev holders ro size slaves"},
		{[]Step{List{"/sys/block/dm-0"}}, "dev dm holders ro size slaves"},
		{[]Step{Cat{"/sys/block/vda/dev"}}, "254:0"},
		{[]Step{Cat{"/sys/block/vdc/ro"}}, "1"},
		{[]Step{Cat{"/sys/block/loop0/size"}}, "2048"},
		{[]Step{Cat{"/sys/block/dm-0/dm/name"}}, "dm-0"},
		{[]Step{List{"/sys/block/vdd/holders"}}, "dm-0"},
		{[]Step{List{"/sys/block/dm-0/slaves"}}, "vdd"},
		{[]Step{Cat{"/sys/block/dm-0/slaves/vdd/size"}}, "2097152"},
		{[]Step{Cat{"/sys/block/vdd/holders/vda/size"}, SayErrno{}}, "ENOENT"},
		{[]Step{Append{"/sys/block/vda/ro", "1"}, SayErrno{}}, "EACCES"},
		{[]Step{Cat{"/sys/block/none/size"}, SayErrno{}}, "ENOENT"},
	} {
		_, got := perform(t, cfg, test.steps...)
		if got != test.want {
			t.Errorf("%+v: got %q, want %q", test.steps, got, test.want)
		}
		cfg.Disks = disks().Disks
	}
}

func TestDeviceNumbers(t *testing.T) {
	for name, want := range map[string]devID{
		"sda": {8, 0}, "sda3": {8, 3}, "sdb": {8, 16}, "sdc15": {8, 47}, "vdb1": {254, 17}, "loop7": {7, 7},
		"md127": {9, 127}, "dm-3": {253, 3}, "hdb": {3, 64}, "mmcblk0": {179, 0},
	} {
		wantEqual(t, name, deviceNumber(name) == want, true)
	}
	if deviceNumber("sd") == deviceNumber("pmem") {
		t.Error("two unknown disks have one number")
	}
}

func TestMemparse(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "12": 12, "4k": 4096, "4K": 4096, "2m": 2 << 20, "1G": 1 << 30, "50%": memTotal / 2,
		"": -1, "x": -1, "k": -1, "-1": -1,
	} {
		n, ok := memparse(text)
		if !ok {
			n = -1
		}
		if n != want {
			t.Errorf("%q: got %d, want %d", text, n, want)
		}
	}
}

// TestInitReadsAndWrites files by its descriptors.
func TestInitReadsAndWrites(t *testing.T) {
	cfg := Config{
		Files: map[string]string{"/f": "0123456789", "/ro": ""}, Mounts: []Mount{{Type: "proc", Target: "/proc"}},
		Cmdline: "a command line",
	}
	m := New(cfg)
	m.Boot(func(k kernel.Kernel) int {
		read := func(path string, sizes ...int) string {
			fd, err := k.Open(path)
			wantErr(t, "Open "+path, err, 0)
			var parts []string
			for _, n := range sizes {
				b := make([]byte, n)
				n, err := k.Read(fd, b)
				wantErr(t, "Read "+path, err, 0)
				parts = append(parts, string(b[:n]))
			}
			wantErr(t, "Close", k.Close(fd), 0)
			return strings.Join(parts, "|")
		}
		wantEqual(t, "file", read("/f", 4, 4, 4, 4), "0123|4567|89|")
		fd, _ := k.Open("/f")
		k.Write(fd, []byte("ab"))
		k.Close(fd)
		wantErr(t, "WriteAt", k.WriteAt("/f", []byte("end"), kernel.AtEnd), 0)
		wantErr(t, "WriteAt", k.WriteAt("/f", []byte("gap"), 15), 0)
		wantErr(t, "WriteAt", k.WriteAt("/f", []byte("x"), -2), kernel.EINVAL)
		wantErr(t, "WriteAt", k.WriteAt("/dev/null", []byte("x"), 0), 0)
		wantErr(t, "WriteAt", k.WriteAt("/proc", []byte("x"), 0), kernel.EISDIR)
		wantEqual(t, "file", read("/f", 30), "ab23456789end\x00\x00gap")
		wantErr(t, "WriteAt", k.WriteAt("/proc/sys/kernel/panic", []byte("4"), 0), 0)
		b, err := k.ReadFile("/proc/sys/kernel/panic")
		wantErr(t, "ReadFile", err, 0)
		wantEqual(t, "panic", string(b), "4\n")
		wantEqual(t, "null", read("/dev/null", 5), "")
		fd, err = k.Open("/proc/cmdline")
		wantErr(t, "Open", err, 0)
		text := make([]byte, 100)
		n, _ := k.Read(fd, text[:9])
		n2, _ := k.Read(fd, text[n:])
		wantEqual(t, "cmdline", string(text[:n+n2]), "a command line\n")
		_, err = k.Write(fd, []byte("x"))
		wantErr(t, "Write", err, kernel.EIO)
		wantErr(t, "Remove", k.Remove("/f"), 0)
		wantErr(t, "Remove", k.Remove("/f"), kernel.ENOENT)
		wantErr(t, "Remove", k.Remove("/proc"), kernel.EISDIR)
		wantErr(t, "Chdir", k.Chdir("/proc/self"), 0)
		wantEqual(t, "directory", m.Cwd(), "/proc/1")
		wantErr(t, "Chdir", k.Chdir("../.."), 0)
		wantEqual(t, "directory", m.Cwd(), "/")
		wantErr(t, "Remove", k.Remove("/dev/ttyS0"), 0)
		_, err = k.Open("/dev/ttyS0")
		wantErr(t, "Open", err, kernel.ENOENT)
		m.finish(End{})
		return 0
	})
}

// TestDiskOnADeadDisk does not answer either.
func TestDiskOnADeadDisk(t *testing.T) {
	for _, test := range []struct {
		device, fstype, below string
	}{{"dm-0", "ext4", "vdd"}, {"loop0", "vfat", "vda"}} {
		cfg := disks()
		cfg.Disks[0].Files["/image"] = "x"
		cfg.Programs = programs(map[string][]Step{"p": {
			Mount{"/dev/" + test.device, "/mnt", test.fstype, 0, ""},
			Append{"/mnt/f", "x"},
			Sleep{2 * time.Second},
			Fsync{"/mnt/f"},
			sayNow{},
		}})
		m := New(cfg)
		m.At(time.Second, DiskDies{test.below})
		m.At(10*time.Second, DiskRevives{test.below})
		m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			until(k, 20*time.Second)
			m.finish(End{})
			return 0
		})
		wantEqual(t, "done at", m.ConsoleText(), "10000\n")
	}
}

// TestRemountOptions take the place of the old ones, or leave them.
func TestRemountOptions(t *testing.T) {
	on := func(flags uintptr, data string) Mount {
		return Mount{"t", "/mnt", "tmpfs", flags, data}
	}
	for _, test := range []struct{ data, want string }{
		{"size=8k", ",size=8k"},
		{"", ",size=16k,mode=700"},
		{"sise=1", ",size=16k,mode=700"},
	} {
		m, _ := perform(t, Config{Dirs: []string{"/mnt"}}, on(0, "size=16k,mode=700"),
			on(remountRW, test.data))
		wantEqual(t, "options", m.mounts[1].fs.options, test.want)
	}
}

// TestRemovedMountPoint: through another mount a mount point can be removed, and what stands on it
// goes with it.
func TestRemovedMountPoint(t *testing.T) {
	m, got := perform(t, disks(), told(
		Mount{Source: "/data", Target: "/mnt", Flags: syscall.MS_BIND}, Delete{"/data/sub/x"},
		Mount{Source: "t", Target: "/data/sub", Type: "tmpfs"}, Rmdir{"/data/sub"}, Rmdir{"/mnt/sub"},
		openRO("/data/sub"),
	)...)
	wantEqual(t, "said", got, "ok ok ok EBUSY ok ENOENT")
	wantEqual(t, "mounts", len(m.mounts), 3)
}

// TestStandardStreams can be opened anew by a program.
func TestStandardStreams(t *testing.T) {
	m, got := perform(t, Config{}, Open{Path: "/log", Flags: syscall.O_WRONLY | syscall.O_CREAT, FD: 1},
		Say{"to the file"}, Cat{"/proc/none"}, Write{1, "and more\n"}, Fork{Do: []Step{Say{"a child"}}},
		Open{Path: "/dev/console", Flags: syscall.O_WRONLY, FD: 1}, Write{1, "to the console\n"})
	wantEqual(t, "console", got, "to the console")
	text, _ := m.File("/log")
	wantEqual(t, "file", text, "to the file\nand more\na child\n")
}

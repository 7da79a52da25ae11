package pid1_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestMounts: nothing is mounted unless the configuration asks for it, and then only what is
// missing, parents first, before the first command.
func TestMounts(t *testing.T) {
	const auto = "mounts = auto\n"
	all := []string{
		"proc on /proc", "sysfs on /sys", "devtmpfs on /dev", "devpts on /dev/pts", "tmpfs on /run",
	}
	ext4 := func(target string) kernel.Mount { return kernel.Mount{Type: "ext4", Target: target} }
	for _, c := range []struct {
		name    string
		conf    string
		cmdline string
		before  []kernel.Mount
		fail    int // of the calls
		want    []string
		said    string
	}{
		{name: "not asked for"},
		{name: "asked for", conf: auto, want: all},
		{name: "asked for on the kernel's command line", cmdline: "rebound.mounts=auto", want: all},
		{name: "taken back there", conf: auto, cmdline: "rebound.mounts=none"},
		{
			name: "some are there", conf: auto,
			before: []kernel.Mount{{Type: "devtmpfs", Target: "/dev"}, {Type: "proc", Target: "/proc"}},
			want:   []string{"sysfs on /sys", "devpts on /dev/pts", "tmpfs on /run"},
		},
		{
			name: "something else is there", conf: auto,
			before: []kernel.Mount{ext4("/run"), ext4("/dev"), ext4("/data")},
			want:   []string{"proc on /proc", "sysfs on /sys", "devpts on /dev/pts"},
		},
		{
			name: "one fails", conf: auto, fail: 2,
			want: []string{"proc on /proc", "devtmpfs on /dev", "devpts on /dev/pts", "tmpfs on /run"},
			said: "mount sysfs on /sys: Operation not permitted",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config: simkernel.Config{Cmdline: c.cmdline},
				Conf:   c.conf, Mounts: c.before, Inittab: "::sysinit:actor say up\n",
			})
			if c.fail > 0 {
				w.Fail("Mount", len(c.before)+c.fail, kernel.EPERM)
			}
			var got []string
			w.Look(0, func() {
				for _, m := range w.Mounted()[len(c.before):] {
					got = append(got, fmt.Sprintf("%s on %s", m.Type, m.Target))
				}
			})
			w.Boot()
			w.WantAlive()
			if !slices.Equal(got, c.want) {
				t.Errorf("mounted before the first command:\ngot  %q\nwant %q", got, c.want)
			}
			if c.said != "" {
				w.WantLine("", c.said, 1)
			}
			w.WantLine("", "up", 1)
		})
	}
}

// TestMountOptions are those that distributions use.
func TestMountOptions(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Conf: "mounts = auto\n", Inittab: "::sysinit:actor\n"})
	w.Boot()
	const nosuid, nodev, noexec = 2, 4, 8
	want := []kernel.Mount{
		{Type: "proc", Target: "/proc", Flags: nosuid | nodev | noexec},
		{Type: "sysfs", Target: "/sys", Flags: nosuid | nodev | noexec},
		{Type: "devtmpfs", Target: "/dev", Flags: nosuid, Data: "mode=0755"},
		{
			Type: "devpts", Target: "/dev/pts", Flags: nosuid | noexec,
			Data: "mode=0620,gid=5,ptmxmode=0666",
		},
		{Type: "tmpfs", Target: "/run", Flags: nosuid | nodev, Data: "mode=0755"},
	}
	if got := w.Mounted(); !slices.Equal(got, want) {
		t.Errorf("mounted:\ngot  %v\nwant %v", got, want)
	}
}

// TestMountsCannotBeSeen: then nothing is mounted over anything, and it is said.
func TestMountsCannotBeSeen(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Conf: "mounts = auto\n", Inittab: "::sysinit:actor say up\n"})
	w.Fail("Proc", 0, kernel.ENOENT)
	w.Boot()
	w.WantConsole("mounts = auto: cannot see what is mounted: No such file or directory\nup\n")
	if got := w.Mounted(); len(got) > 0 {
		t.Errorf("mounted: got %v, want nothing", got)
	}
}

// TestPanicTimeout: a machine of its own comes back from a panic; the knob of a container is its
// host's, and is left alone.
func TestPanicTimeout(t *testing.T) {
	for _, c := range []struct {
		name   string
		config simkernel.Config
		want   []string
	}{
		{name: "machine", want: []string{"sys/kernel/panic=10"}},
		{name: "panic=0 was asked for", config: simkernel.Config{Cmdline: "panic=0"}},
		{name: "container", config: simkernel.Config{Namespace: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Config: c.config, Inittab: "::sysinit:actor\n"})
			w.Boot()
			if !slices.Equal(w.SetProcs, c.want) {
				t.Errorf("written to proc: got %q, want %q", w.SetProcs, c.want)
			}
		})
	}
}

package simkernel

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rebound-init/rebound/internal/kernel"
)

const mega = 1_000_000

// slow is an ext4 that writes a megabyte a second, mounted on /data.
func slow(d *Disk) Config {
	d.Name, d.Type = "vda", "ext4"
	if d.Speed == 0 {
		d.Speed = mega
	}
	return Config{
		Dirs: []string{"/data"}, Disks: []*Disk{d}, SyncTime: time.Nanosecond,
		Mounts: []Mount{ext4("/dev/vda", "/data")},
	}
}

// sayNow says the time, in milliseconds.
type sayNow struct{}

func (sayNow) step() {}

func (sayNow) do(m *Machine, p *process) verdict {
	return Say{fmt.Sprint(m.now.Round(time.Millisecond).Milliseconds())}.do(m, p)
}

// TestWhatWaitsForADisk: what is dirty is written at the disk's speed, and no sooner.
func TestWhatWaitsForADisk(t *testing.T) {
	fill := Fill{"/data/big", 2 * mega}
	begin := []Step{Sleep{time.Second}}
	for _, test := range []struct {
		name  string
		steps []Step
		disk  Disk
		want  string
	}{
		{"write", []Step{fill}, Disk{}, "1000"},
		{"sync", []Step{fill, Sync{}}, Disk{}, "3007"},
		{"sync twice", []Step{fill, Sync{}, Sync{}}, Disk{}, "3007"},
		{"sync of a fast disk", []Step{fill, Sync{}}, Disk{Speed: 1000 * mega}, "1002"},
		{"fsync", []Step{fill, Fsync{"/data/big"}}, Disk{}, "3007"},
		{"fsync of what came before", []Step{
			Append{"/data/a", "x"}, fill, Fsync{"/data/a"},
		}, Disk{}, "1008"},
		{"fsync of what came after", []Step{
			fill, Append{"/data/a", "x"}, Fsync{"/data/a"},
		}, Disk{}, "3015"},
		{"umount", []Step{fill, Umount{Target: "/data"}}, Disk{}, "3007"},
		{"read-only", []Step{fill, Mount{Target: "/data", Flags: remountRO}}, Disk{}, "3007"},
		{"sync in memory", []Step{Fill{"/big", 2 * mega}, Sync{}}, Disk{}, "1000"},
		{"too much is dirty", []Step{
			Fill{"/data/a", 100 * mega}, Fill{"/data/a", 100 * mega},
		}, Disk{Speed: 10 * mega}, "10264"},
		{"too much by another limit", []Step{
			Append{"/proc/sys/vm/dirty_bytes", "3000000\n"}, fill, Fill{"/data/b", 2 * mega},
		}, Disk{}, "2014"},
		{"much is dirty, and is being written", []Step{
			Append{"/proc/sys/vm/dirty_background_bytes", "1000000\n"}, fill, Sleep{3 * time.Second}, Sync{},
		}, Disk{}, "4000"},
		{"background writer", []Step{fill, Sleep{37 * time.Second}, Sync{}}, Disk{}, "38000"},
		{"background writer, not yet", []Step{fill, Sleep{25 * time.Second}, Sync{}}, Disk{}, "28007"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slow(&test.disk)
			cfg.ExecTime, cfg.Until = time.Nanosecond, time.Minute
			cfg.Mounts = append(cfg.Mounts, Mount{Type: "proc", Target: "/proc"})
			cfg.Programs = programs(map[string][]Step{
				"p": append(append(begin, test.steps...), sayNow{}),
			})
			m := New(cfg)
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, 50*time.Second)
				return 0
			})
			wantEqual(t, "done at", strings.TrimSpace(m.ConsoleText()), test.want)
		})
	}
}

// TestDeadDisk: what waits for it hangs in D until it answers, and goes on where it was.
func TestDeadDisk(t *testing.T) {
	for name, step := range map[string]Step{
		"sync": Sync{}, "fsync": Fsync{"/data/f"}, "umount": Umount{Target: "/data"},
		"remount": Mount{Target: "/data", Flags: remountRO},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Disk{}
			cfg := slow(d)
			cfg.Programs = programs(map[string][]Step{
				"p": {Fill{"/data/f", 4 * mega}, step, sayNow{}},
			})
			m := New(cfg)
			m.At(2*time.Second, DiskDies{"vda"})
			m.At(10*time.Second, DiskRevives{"vda"})
			m.At(11*time.Second, DiskSpeed{"vda", 10 * mega})
			m.Boot(func(k kernel.Kernel) int {
				pid := spawn(t, k, "p")[0]
				until(k, 9*time.Second)
				k.Kill(pid, kernel.SIGKILL)
				until(k, 9500*time.Millisecond)
				p, _ := m.Process(pid)
				wantEqual(t, "state", p.State, Uninterruptible)
				w := m.Writeback()
				if sum := w.Dirty + w.Writing; sum < 1_900_000 || sum > 2_100_000 {
					t.Errorf("still to be written: got %d, want half of it", sum)
				}
				until(k, 20*time.Second)
				_, there := m.Process(pid)
				wantEqual(t, "still there", there, false)
				m.finish(End{})
				return 0
			})
			wantEqual(t, "dirty", d.Dirty(), int64(0))
		})
	}
}

// TestWriterOnADeadDisk goes on for long, and then hangs; it can be killed.
func TestWriterOnADeadDisk(t *testing.T) {
	cfg := slow(&Disk{Size: 1 << 40})
	cfg.Programs = programs(map[string][]Step{"p": {Loop{Do: []Step{
		Fill{"/data/f", 10 * mega}, Truncate{"/data/f", 0}, Sleep{time.Second},
	}}}})
	m := New(cfg)
	m.Apply(DiskDies{"vda"})
	m.Boot(func(k kernel.Kernel) int {
		pid := spawn(t, k, "p")[0]
		state := func(at time.Duration) State {
			until(k, at)
			p, _ := m.Process(pid)
			return p.State
		}
		wantEqual(t, "state at first", state(8500*time.Millisecond), Sleeping)
		wantEqual(t, "state in the end", state(30*time.Second), Uninterruptible)
		k.Kill(pid, kernel.SIGKILL)
		until(k, 31*time.Second)
		_, there := m.Process(pid)
		wantEqual(t, "still there", there, false)
		m.finish(End{})
		return 0
	})
}

// TestProgressCanBeSeen in /proc/meminfo, by whom else.
func TestProgressCanBeSeen(t *testing.T) {
	cfg := slow(&Disk{})
	cfg.Programs = programs(map[string][]Step{"p": {Fill{"/data/f", 4 << 20}, Sync{}}})
	m := New(cfg)
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		last := int64(1 << 40)
		for i := range 4 {
			until(k, time.Duration(i+1)*time.Second)
			text, err := k.Proc("meminfo")
			wantErr(t, "Proc", err, 0)
			var dirty, writeback int64
			for line := range strings.Lines(string(text)) {
				fmt.Sscanf(line, "Dirty: %d kB", &dirty)
				fmt.Sscanf(line, "Writeback: %d kB", &writeback)
			}
			if now := dirty + writeback; now >= last || now == 0 {
				t.Errorf("after %d s: %d kB, and before %d", i+1, now, last)
			} else {
				last = now
			}
		}
		return 0
	})
}

// TestWhatSurvives a reset and a power cut.
func TestWhatSurvives(t *testing.T) {
	steps := []Step{
		Append{"/data/synced", "a"},
		Mkdir{Path: "/data/dir"},
		Symlink{"synced", "/data/link"},
		Append{"/data/dir/x", "deep"},
		Rename{"/data/dir", "/data/moved"},
		Append{"/data/gone", "x"},
		Delete{"/data/gone"},
		Chmod{"/data/synced", 0o600},
		Sync{},
		// Written by itself after half a minute, into the disk's cache.
		Append{"/data/written", "b"},
		Sleep{40 * time.Second},
		Append{"/data/dirty", "c"},
		Truncate{"/data/synced", 0},
	}
	for _, test := range []struct {
		volatile bool
		end      func(*Disk)
		want     string
		after    []Step // besides
		clean    bool
	}{
		{false, (*Disk).Reset, "a deep b ENOENT", nil, false},
		{false, (*Disk).PowerCut, "a deep b ENOENT", nil, false},
		{true, (*Disk).Reset, "a deep b ENOENT", nil, false},
		{true, (*Disk).PowerCut, "a deep ENOENT ENOENT", nil, false},
		{true, (*Disk).PowerCut, "deep b c", []Step{Sync{}}, false},
		{true, (*Disk).PowerCut, "deep b c", []Step{Umount{Target: "/data"}}, true},
		{true, (*Disk).PowerCut, "deep b c", []Step{Mount{Target: "/data", Flags: remountRO}}, true},
	} {
		d := &Disk{Volatile: test.volatile}
		cfg := slow(d)
		cfg.Programs = programs(map[string][]Step{"p": append(steps, test.after...)})
		m := New(cfg)
		m.Boot(func(k kernel.Kernel) int {
			spawn(t, k, "p")
			until(k, 45*time.Second)
			m.finish(End{})
			return 0
		})
		test.end(d)
		wantEqual(t, "clean", d.Clean(), test.clean)
		next := slow(d)
		m, got := perform(t, next,
			Cat{"/data/link"}, Say{}, Cat{"/data/moved/x"}, Say{}, Cat{"/data/written"}, orErrno{},
			Cat{"/data/dirty"}, orErrno{})
		wantEqual(t, "found", got, test.want)
		recovered := 0
		for _, l := range m.Log() {
			if l.Text == "EXT4-fs (vda): recovery complete" {
				recovered++
			}
		}
		if (recovered == 0) != test.clean {
			t.Errorf("clean %t, and the kernel has recovered it %d times", test.clean, recovered)
		}
		if n := m.mounts[len(m.mounts)-1].fs.root.child("synced"); n == nil || n.mode != 0o600 {
			t.Errorf("synced: got %+v, want mode 0600", n)
		}
	}
}

// TestConfigurationOnADisk is there at the first boot. What becomes of it there is what the next
// machine finds.
func TestConfigurationOnADisk(t *testing.T) {
	cfg := Config{
		Disks:  []*Disk{{Name: "vda", Type: "ext4", Files: map[string]string{"/etc/f": "disk"}}},
		Mounts: []Mount{ext4("/dev/vda", "/"), {Type: "tmpfs", Target: "/run"}},
		Files: map[string]string{
			"/etc/f": "configured\n", "/etc/g": "kept\n", "/etc/h": "removed\n", "/run/x": "made anew\n",
		},
		Dirs: []string{"/etc/d"},
	}
	m, _ := perform(t, cfg, Append{"/etc/g", "and more\n"}, Delete{"/etc/h"}, Rmdir{"/etc/d"},
		WriteFile{"/etc/deep/new", "new\n"}, Delete{"/bin/sh"}, Sync{}, Append{"/etc/g", "and lost\n"})
	text, _ := m.Disk("vda").File("/etc/g")
	wantEqual(t, "on the disk", text, "kept\nand more\n")
	cfg.Disks[0].PowerCut()
	m, got := perform(t, cfg, Cat{"/etc/f"}, Cat{"/etc/g"}, Cat{"/etc/deep/new"}, Cat{"/run/x"},
		List{"/etc"}, List{"/bin"})
	wantEqual(t, "found", got, "configured kept and more new made anew deep f g p")
	wantEqual(t, "dirty", m.Disk("vda").Dirty(), int64(0))
}

// orErrno says the errno of the last step, if it failed, on a line of its own.
type orErrno struct{}

func (orErrno) step() {}

func (orErrno) do(m *Machine, p *process) verdict {
	if p.errno == 0 {
		return Say{}.do(m, p)
	}
	return SayErrno{}.do(m, p)
}

// TestUncleanDisk becomes clean when its journal is played back, if it has one, or when it is
// mounted for writing and unmounted; not by being looked at.
func TestUncleanDisk(t *testing.T) {
	for _, test := range []struct {
		fstype string
		flags  uintptr
		want   bool
	}{
		{"ext4", syscall.MS_RDONLY, true},
		{"vfat", syscall.MS_RDONLY, false},
		{"ext4", 0, true},
		{"vfat", 0, true},
	} {
		d := &Disk{Name: "vda", Type: test.fstype}
		cfg := Config{Disks: []*Disk{d}, Dirs: []string{"/data"}}
		mount := Mount{"/dev/vda", "/data", test.fstype, 0, ""}
		perform(t, cfg, mount, Append{"/data/f", "x"})
		d.PowerCut()
		wantEqual(t, "clean", d.Clean(), false)
		mount.Flags = test.flags
		_, got := perform(t, cfg, mount, SayErrno{}, Umount{Target: "/data"}, SayErrno{})
		wantEqual(t, "said", got, "ok ok")
		wantEqual(t, test.fstype+" is clean", d.Clean(), test.want)
	}
}

// TestWriteToWhatBecameReadOnly by the magic key, which asks no writer.
func TestWriteToWhatBecameReadOnly(t *testing.T) {
	cfg := slow(&Disk{})
	cfg.MagicSysrq = true
	cfg.Mounts = append(cfg.Mounts, Mount{Type: "proc", Target: "/proc"})
	_, got := perform(t, cfg, Append{"/data/f", "x"}, openRW("/data/f"),
		Append{"/proc/sysrq-trigger", "u"}, SayErrno{}, Write{3, "y"}, SayErrno{})
	wantEqual(t, "said", got, "ok EROFS")
}

// TestDiskOfAMachineThatIsStillOn has lost its power.
func TestDiskOfAMachineThatIsStillOn(t *testing.T) {
	d := &Disk{}
	perform(t, slow(d), Append{"/data/a", "x"}, Sync{}, Append{"/data/b", "x"})
	_, got := perform(t, slow(d), Cat{"/data/a"}, Say{}, Cat{"/data/b"}, SayErrno{})
	wantEqual(t, "found", got, "x ENOENT")
}

// TestNetworkFileSystem that does not answer: it can be unmounted by force, and what was to be
// written is lost.
func TestNetworkFileSystem(t *testing.T) {
	server := &Disk{Name: "server:/x", Type: "nfs", Speed: mega, Files: map[string]string{"/f": "x"}}
	cfg := Config{
		Disks: []*Disk{server}, SyncTime: time.Nanosecond,
		Mounts: []Mount{{Source: "server:/x", Target: "/net", Type: "nfs"}},
		Programs: programs(map[string][]Step{
			"writer": {Fill{"/net/f", 10 * mega}, Sync{}, Say{"writer is done"}},
			"reader": {Sleep{2 * time.Second}, Cat{"/net/f"}},
			"plain":  {Sleep{3 * time.Second}, Umount{Target: "/net"}, Say{"umount is done"}},
			"force":  {Sleep{20 * time.Second}, Umount{"/net", mntForce}, SayErrno{}},
		}),
	}
	m := New(cfg)
	m.At(time.Second, DiskDies{"server:/x"})
	m.Boot(func(k kernel.Kernel) int {
		pids := spawn(t, k, "writer", "reader")
		until(k, 5*time.Second)
		for _, pid := range pids {
			p, _ := m.Process(pid)
			wantEqual(t, "state", p.State, Uninterruptible)
		}
		// A read can be killed (TASK_KILLABLE), sync cannot.
		k.Kill(pids[0], kernel.SIGKILL)
		k.Kill(pids[1], kernel.SIGKILL)
		until(k, 6*time.Second)
		_, writer := m.Process(pids[0])
		_, reader := m.Process(pids[1])
		wantEqual(t, "writer and reader are there", [2]bool{writer, reader}, [2]bool{true, false})
		spawn(t, k, "force")
		until(k, 30*time.Second)
		_, writer = m.Process(pids[0])
		wantEqual(t, "writer is there", writer, false)
		m.finish(End{})
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "ok\n")
}

// TestSwapoff reads back what was swapped out.
func TestSwapoff(t *testing.T) {
	swap := &Disk{Name: "vdb", Type: "swap", Speed: mega, Size: 100 * mega}
	m := New(Config{Disks: []*Disk{swap}, ExecTime: time.Nanosecond, Programs: programs(map[string][]Step{
		"p": {
			Swapon{"/dev/vdb"}, Sleep{2 * time.Second}, Swapoff{"/dev/vdb"}, sayNow{}, SayErrno{},
		},
	})})
	m.At(time.Second, SwapOut{"/dev/vdb", 5 * mega})
	m.At(3*time.Second, DiskDies{"vdb"})
	m.At(4*time.Second, DiskRevives{"vdb"})
	m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "p")
		until(k, 1500*time.Millisecond)
		text, _ := k.Proc("swaps")
		wantEqual(t, "swaps", string(text), "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"+
			"/dev/vdb                                partition\t97652\t\t4882\t\t-2\n")
		until(k, 20*time.Second)
		return 0
	})
	wantEqual(t, "console", m.ConsoleText(), "9000\nok\n")
}

// TestDiskKeepsAnEarlierState: whatever is written, and whenever the power fails, the disk has what
// stood in memory at some earlier moment, and not before the last sync.
func TestDiskKeepsAnEarlierState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &Disk{Volatile: rapid.Bool().Draw(t, "volatile")}
		cfg := slow(d)
		cfg.Seed = rapid.Uint64Range(0, 100).Draw(t, "seed")
		var states []string
		synced := 0
		name := rapid.SampledFrom([]string{"/data/a", "/data/b", "/data/d/a", "/data/d/b", "/data/d"})
		var steps []Step
		note := noteStep{func(m *Machine) { states = append(states, m.tree("/data")) }}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			p := name.Draw(t, "path")
			switch rapid.IntRange(0, 8).Draw(t, "kind") {
			case 0:
				steps = append(steps, Append{p, ""}, note, Append{p, rapid.StringN(1, 9, 9).Draw(t, "text")}, note)
			case 1:
				steps = append(steps, Mkdir{Path: p}, note)
			case 2:
				steps = append(steps, Delete{p}, note)
			case 3:
				steps = append(steps, Rmdir{p}, note)
			case 4:
				steps = append(steps, Rename{p, name.Draw(t, "to")}, note)
			case 5:
				steps = append(steps, Truncate{p, int64(rapid.IntRange(0, 20).Draw(t, "size"))}, note)
			case 6:
				steps = append(steps, Sleep{time.Duration(rapid.IntRange(0, 20).Draw(t, "s")) * time.Second})
			case 7:
				steps = append(steps, Sync{}, noteStep{func(*Machine) { synced = len(states) }})
			case 8:
				steps = append(steps, Symlink{"a", p}, note)
			}
		}
		cfg.Programs = programs(map[string][]Step{"p": append([]Step{note}, steps...)})
		m := New(cfg)
		m.Boot(func(k kernel.Kernel) int {
			k.Spawn(command("p"))
			until(k, time.Duration(rapid.IntRange(1, 200).Draw(t, "end"))*time.Second)
			m.finish(End{})
			return 0
		})
		d.PowerCut()
		found := New(slow(d)).tree("/data")
		for i := max(synced-1, 0); i < len(states); i++ {
			if states[i] == found {
				return
			}
		}
		if len(states) > 0 {
			t.Fatalf("found %q, which never was after state %d of %q", found, synced-1, states)
		}
	})
}

// noteStep does something to the test.
type noteStep struct{ note func(m *Machine) }

func (noteStep) step() {}

func (s noteStep) do(m *Machine, _ *process) verdict {
	s.note(m)
	return done
}

// tree is what is in a directory, in one string.
func (m *Machine) tree(dir string) string {
	at, e := m.walk(nil, dir, followLast)
	if e != 0 {
		return e.Error()
	}
	var b strings.Builder
	var write func(n *node)
	write = func(n *node) {
		fmt.Fprintf(&b, "%s %d %q %s;", n.path(), n.kind, n.load(), n.target)
		for _, name := range n.names() {
			write(n.child(name))
		}
	}
	write(at.node)
	return b.String()
}

// A loop device rests on the file that the kernel has open, not on what is mounted over it since.
func TestLoopDeviceOverItsFile(t *testing.T) {
	for name, c := range map[string]struct {
		plan []Action
		want string
	}{
		"all answer":              {nil, "synced\n"},
		"the file's disk is dead": {[]Action{DiskDies{"vda"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := disks()
			cfg.Disks[0].Files["/image"], cfg.Files = "x", nil
			cfg.Programs = programs(map[string][]Step{"p": {
				Mount{"/dev/loop0", "/data", "vfat", 0, ""},
				Append{"/data/image", "x"},
				Sleep{time.Second},
				Fsync{"/data/image"},
				Say{"synced"},
			}})
			m := New(cfg)
			m.At(time.Millisecond, c.plan...)
			m.Boot(func(k kernel.Kernel) int {
				spawn(t, k, "p")
				until(k, time.Minute)
				return 0
			})
			if got := m.ConsoleText(); got != c.want {
				t.Errorf("console: got %q, want %q", got, c.want)
			}
		})
	}
}

// A loop device whose file is found on itself rests on nothing else.
func TestLoopDeviceOnItself(t *testing.T) {
	m := New(Config{
		Disks: []*Disk{{
			Name: "loop0", Type: "vfat", On: []string{"/data/image"},
			Files: map[string]string{"/image": "x"},
		}},
		Mounts: []Mount{{Source: "/dev/loop0", Target: "/data", Type: "vfat"}},
	})
	if text, ok := m.File("/data/image"); !ok || text != "x" {
		t.Errorf("/data/image: got %q, %t", text, ok)
	}
	if !m.Disk("loop0").answers() {
		t.Error("the disk does not answer")
	}
}

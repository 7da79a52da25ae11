package simkernel

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rebound-init/rebound/internal/kernel"
)

// anyFileSteps draws what programs may do with files and mounts.
func anyFileSteps(t *rapid.T, label string) []Step {
	path := rapid.SampledFrom([]string{
		"/mnt", "/mnt/a", "/mnt/a/b", "/data", "/data/f", "/data/sub", "/data/sub/x", "/net", "/d",
		"/d/l", "/d/l/a", "/", ".", "..", "a", "/data/image", "/dev/vda",
	})
	mounted := rapid.SampledFrom([]string{"/mnt", "/data", "/net", "/data/sub", "/mnt/a", "/d", "/"})
	flags := rapid.SampledFrom([]uintptr{
		0, 1, remountRO, remountRW, remountRO | 4096, 4096, 4096 | 16384, 8192, 1 << 18,
	})
	source := rapid.SampledFrom([]string{
		"/dev/vda", "/dev/vdd", "/dev/dm-0", "/dev/loop0", "server:/export", "/mnt", "/data",
		"/data/sub",
	})
	fstype := rapid.SampledFrom([]string{"ext4", "tmpfs", "proc", "sysfs", "devtmpfs", "nfs", "vfat"})
	var steps []Step
	for range rapid.IntRange(1, 25).Draw(t, label) {
		p := path.Draw(t, "path")
		fd := rapid.IntRange(3, 5).Draw(t, "fd")
		kinds := map[int]Step{
			0:  Open{Path: p, Flags: rapid.SampledFrom([]int{0, 1, 2, 65, 66, 1025}).Draw(t, "flags"), FD: fd},
			1:  Close{fd},
			2:  Write{fd, "text"},
			3:  Append{p, "more"},
			4:  Fill{p, int64(rapid.IntRange(0, 3_000_000).Draw(t, "bytes"))},
			5:  Truncate{p, int64(rapid.IntRange(0, 9000).Draw(t, "size"))},
			6:  Delete{p},
			7:  Rmdir{p},
			8:  Mkdir{Path: p},
			9:  Symlink{path.Draw(t, "target"), p},
			10: Rename{p, path.Draw(t, "to")},
			11: Chdir{p},
			12: Mount{source.Draw(t, "source"), mounted.Draw(t, "on"), fstype.Draw(t, "type"), flags.Draw(t, "how"), ""},
			13: Mount{source.Draw(t, "source"), mounted.Draw(t, "on"), fstype.Draw(t, "type"), 0, ""},
			14: Umount{mounted.Draw(t, "at"), rapid.SampledFrom([]int{0, 0, 1, 2, 4}).Draw(t, "flag")},
			15: Sync{},
			16: Fsync{p},
			17: Sleep{time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond},
			18: Swapon{rapid.SampledFrom([]string{"/dev/vdb", "/data/swapfile"}).Draw(t, "swap")},
			19: SwapoffAll{},
			20: UmountAll{ReadOnly: rapid.Bool().Draw(t, "ro")},
			21: Detach{rapid.SampledFrom([]string{"loop0", "dm-0"}).Draw(t, "device")},
			22: Chroot{p},
		}
		steps = append(steps, kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")])
	}
	return steps
}

// TestWhateverIsMounted: the tables stay consistent, nobody hangs for ever on disks that answer,
// and the same seed does the same.
func TestWhateverIsMounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all [3][]Step
		for i := range all {
			all[i] = anyFileSteps(t, fmt.Sprint("steps", i))
		}
		seed := rapid.Uint64Range(0, 1000).Draw(t, "seed")
		dies := rapid.IntRange(0, 9000).Draw(t, "dies")
		run := func() string {
			cfg := disks()
			cfg.Seed = seed
			cfg.Programs = make(map[string]Program)
			for i := range all {
				cfg.Programs[fmt.Sprint("/bin/p", i)] = Program{Steps: all[i]}
			}
			m := New(cfg)
			m.At(time.Duration(dies)*time.Millisecond, DiskDies{"vda"}, DiskDies{"server:/export"})
			m.At(10*time.Second, DiskRevives{"vda"}, DiskRevives{"server:/export"})
			end := m.Boot(func(k kernel.Kernel) int {
				for i := range all {
					k.Spawn(command(fmt.Sprint("p", i)))
				}
				for at := time.Second; at < 100*time.Second; at += 3 * time.Second {
					until(k, at)
					if e := m.auditFiles(); e != nil {
						t.Fatalf("at %v: %v", at, e)
					}
				}
				for _, p := range m.Processes() {
					if p.State == Uninterruptible {
						t.Fatalf("hangs: %+v at %+v", p, m.find(p.PID).step())
					}
				}
				m.finish(End{How: TimedOut})
				return 0
			})
			var out strings.Builder
			fmt.Fprint(&out, end.At, m.mountinfo(m.fs.root), m.swapTable(), m.Log(), m.Writeback())
			for _, d := range m.disks {
				fmt.Fprint(&out, d.Name, d.Clean(), d.dirtied, d.written, d.flushed)
			}
			return out.String()
		}
		if first, second := run(), run(); first != second {
			t.Fatalf("two runs differ:\n%s\n%s", first, second)
		}
	})
}

// auditFiles looks for contradictions in the tables of mounts, files and disks.
func (m *Machine) auditFiles() error {
	on := make(map[*node]uint16)
	children := make(map[*mount]int)
	supers := make(map[*superblock]int)
	ids := make(map[int]bool)
	for _, mnt := range m.mounts {
		supers[mnt.fs]++
		if ids[mnt.id] {
			return fmt.Errorf("two mounts have the number %d", mnt.id)
		}
		ids[mnt.id] = true
		if !mnt.attached {
			return fmt.Errorf("mount %d is in the table, and detached", mnt.id)
		}
		if mnt.parent == nil {
			if mnt != m.rootMount {
				return fmt.Errorf("mount %d has no parent", mnt.id)
			}
			continue
		}
		if !mnt.parent.attached {
			return fmt.Errorf("the parent of mount %d is detached", mnt.id)
		}
		on[mnt.at]++
		children[mnt.parent]++
	}
	for n, count := range on {
		if n.mounts != count {
			return fmt.Errorf("%s has %d mounts, counted %d", n.path(), count, n.mounts)
		}
	}
	for _, mnt := range m.mounts {
		if mnt.children != children[mnt] {
			return fmt.Errorf("mount %d carries %d, counted %d", mnt.id, children[mnt], mnt.children)
		}
	}
	for fs, count := range supers {
		if fs.mounts != count {
			return fmt.Errorf("%s has %d mounts, counted %d", fs.source, count, fs.mounts)
		}
		if fs.disk != nil && fs.disk.super != fs {
			return fmt.Errorf("%s is mounted, and its disk says it is not", fs.source)
		}
		if fs.disk != nil && fs.disk.Clean() && !fs.readOnly {
			return fmt.Errorf("%s is mounted for writing, and clean", fs.source)
		}
		if fs.typ.name == "ext4" || fs.typ.name == "tmpfs" {
			if used := fs.root.audit() - fs.root.takes(); used > fs.used {
				return fmt.Errorf("%s has %d blocks in use, counted %d", fs.source, used, fs.used)
			}
		}
	}
	for _, d := range m.disks {
		d.settle()
		if d.flushed > d.written || d.written > d.wanted || d.wanted > d.dirtied {
			return fmt.Errorf("%s: flushed %d, written %d, wanted %d, dirtied %d",
				d.Name, d.flushed, d.written, d.wanted, d.dirtied)
		}
	}
	return nil
}

// audit is how many blocks the files in a directory take.
func (n *node) audit() int64 {
	sum := n.takes()
	for c := n.first; c != nil; c = c.next {
		sum += c.audit()
	}
	return sum
}

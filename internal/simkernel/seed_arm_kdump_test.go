package simkernel

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// onARM310 is the kernel of the model that is nearest to the document's, which is between 3.3 and 3.6: it
// has the lock in panic(), and turns no interrupts off there.
const onARM310 = "linux-3.10-arm"

// TestKdumpOnARM walks a description of how a crash on ARM gets to the crash kernel from its first claim
// to its last.
func TestKdumpOnARM(t *testing.T) {
	for _, c := range slices.Concat(claimsOfARMPanic, claimsOfARMKexec, claimsOfARMHandover) {
		name := c.at + " " + c.says
		if c.but != "" {
			name += " (but " + c.but + ")"
		}
		t.Run(name, c.test)
	}
}

// integratorBoard is the document's board: a kernel of 3.4, whose machine_kexec does not look at other
// CPUs, with an image at the usual place of the reserved region.
func integratorBoard(t *testing.T, segments ...kexec.Segment) (*kexec.State, *kexec.Image) {
	t.Helper()
	const start = 0x4000000
	s := kexec.New(kexec.Config{
		Arch: kexec.ARM, Rules: kexec.RulesOf(kexec.ARM, 3, 4), MachType: integrator,
		Memory: kexec.NewMemory(kexec.Region{Start: 0, Size: 128 << 20}),
		Kernel: kexec.Region{Start: 0x8000, Size: 8 << 20},
		Crash:  kexec.Region{Start: start, Size: 32 << 20},
	})
	segments = append(segments, kexec.Segment{
		Buf: []byte("zImage"), Mem: start + 0x8000, MemSize: kexec.PageSize,
	})
	if e := s.Load(true, start+0x8000, segments, kexec.OnCrash); e != 0 {
		t.Fatal(e)
	}
	return s, s.Image(kexec.CrashImage)
}

// reinitialised is what the same board does in a hook of its own.
func reinitialised(t *testing.T, hook func(c *kexec.CPU)) []string {
	t.Helper()
	const start = 0x4000000
	s := kexec.New(kexec.Config{
		Arch: kexec.ARM, Rules: kexec.RulesOf(kexec.ARM, 3, 4), MachType: integrator, Reinit: hook,
		Memory: kexec.NewMemory(kexec.Region{Start: 0, Size: 128 << 20}),
		Kernel: kexec.Region{Start: 0x8000, Size: 8 << 20},
		Crash:  kexec.Region{Start: start, Size: 32 << 20},
	})
	if e := s.Load(true, start+0x8000, []kexec.Segment{{
		Buf: []byte("zImage"), Mem: start + 0x8000, MemSize: kexec.PageSize,
	}}, kexec.OnCrash); e != 0 {
		t.Fatal(e)
	}
	c := s.Running()
	steps, err := s.Handover(s.Image(kexec.CrashImage), &c, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range steps {
		names = append(names, s.Func)
	}
	return names
}

// handedOverARM is the CPU after the document's way, and the steps.
func handedOverARM(t *testing.T) (kexec.CPU, []string) {
	t.Helper()
	s, im := integratorBoard(t)
	c := s.Running()
	steps, err := s.Handover(im, &c, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range steps {
		names = append(names, s.Func)
	}
	return c, names
}

// armList executes a page list of ARM's.
func armList(t *testing.T, words ...uint64) (*kexec.Memory, kexec.Relocation) {
	t.Helper()
	m := kexec.NewMemory(kexec.Region{Start: 0, Size: 1 << 20})
	m.Write(0x20000, []byte("one"))
	m.Write(0x30000, []byte("two"))
	for i, w := range words {
		m.SetWord(0x10000+uint64(4*i), 4, w)
	}
	r, err := kexec.Relocate(m, kexec.ARM, &kexec.Image{Head: 0x10000 | uint64(kexec.Indirection)}, 20)
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// textAt is what stands in memory.
func textAt(m *kexec.Memory, addr uint64, n int) string {
	b := make([]byte, n)
	m.Read(addr, b)
	return string(b)
}

var claimsOfARMPanic = []claim{
	{
		at: "panic", says: "a lock lets one CPU in, others stop themselves",
		but: "3.10 turns interrupts off first", test: func(t *testing.T) {
			d := crashed(t, Config{Kernel: onARM310, Cmdline: "panic=1", Reboot: RebootConfig{CPUs: 2}},
				Do(func(m *Machine) {
					m.dying.owner = &m.cpus[0]
					m.panic(&context{cpu: &m.cpus[1], who: idleTask(1)}, "late")
					wantEqual(t, "online", m.cpus[1].online, false)
					m.dying.owner = nil
				}), panics)
			wantEqual(t, "said", d.has("late"), false)
			wantEqual(t, "steps", d.kernel.panic.steps[:2], []panicStep{panicIRQOff, panicTrylock})
		},
	},
	{at: "panic", says: "verbose, bust_spinlocks, the message, the stack", test: func(t *testing.T) {
		wantEqual(t, "steps", profileOf(onARM310).panic.steps[2:6],
			[]panicStep{panicVerbose, panicBust, panicMessage, panicDumpStack})
	}},
	{at: "panic", says: "then crash_kexec is tried, whatever is set", test: func(t *testing.T) {
		wantEqual(t, "step", profileOf(onARM310).panic.steps[6], panicCrashKexec)
		cfg := cpus(onARM310, 1)
		cfg.Cmdline = "crash_kexec_post_notifiers"
		crashed(t, cfg, panics).wantThen(t, Kexeced)
	}},
}

var claimsOfARMKexec = []claim{
	{at: "crash_kexec", says: "the mutex is tried", test: func(t *testing.T) {
		cfg := cpus(onARM310, 1)
		cfg.Cmdline = "panic=1"
		d := crashed(t, cfg, Do(func(m *Machine) { m.kexec().TryLock() }), panics)
		d.wantThen(t, Restarted)
		wantEqual(t, "steps", d.shutdown(), nil)
	}},
	{at: "crash_kexec", says: "four steps", test: func(t *testing.T) {
		d := crashed(t, cpus(onARM310, 1), panics)
		var order []string
		for _, s := range d.steps {
			name, _, _ := strings.Cut(s, ":")
			order = append(order, name)
		}
		wantEqual(t, "order", slices.Compact(order), []string{
			"crash_setup_regs", "crash_save_vmcoreinfo", "machine_crash_shutdown", "machine_kexec",
		})
	}},
	{
		at: "crash_save_vmcoreinfo", says: "the time goes into the note whose address a file of sysfs has",
		test: func(t *testing.T) {
			s, _ := integratorBoard(t)
			addr, _, _ := strings.Cut(s.Vmcoreinfo(), " ")
			at, ok := kexec.Memparse("0x" + addr)
			s.SaveInfo(1795293386)
			if note := textAt(s.Memory(), at, 200); !ok || !strings.Contains(note, "CRASHTIME=1795293386\n") {
				t.Errorf("at %s: %q", addr, note)
			}
		},
	},
	{
		at: "machine_crash_shutdown", says: "the registers go into a note of the CPU, and interrupts are masked",
		test: func(t *testing.T) {
			d := crashed(t, cpus(onARM310, 1), panics)
			wantEqual(t, "saved", d.Kexec().Saved(0), true)
			addr, size := d.Kexec().NoteOf(0)
			wantEqual(t, "name", textAt(d.Kexec().Memory(), addr+12, 4), "CORE")
			wantEqual(t, "size", size, 180)
			const file = "devices/system/cpu/cpu0/crash_notes"
			text, e := sysFS{}.read(d.Machine, nil, file)
			if e != 0 || text != fmt.Sprintf("%x\n", addr) {
				t.Errorf("crash_notes is %q, %v; the note is at %#x", text, e, addr)
			}
			kind, mode, ok := sysFS{}.stat(d.Machine, nil, file)
			wantEqual(t, "file", [...]any{kind, mode, ok}, [...]any{kindFile, uint16(0o400), true})
			wantEqual(t, "CPUs", sysFS{}.list(d.Machine, nil, "devices/system/cpu"), []string{"cpu0"})
			steps := d.shutdown()
			wantEqual(t, "steps", steps[len(steps)-3:],
				[]string{"crash_save_cpu", "machine_kexec_mask_interrupts", "pr_info"})
		},
	},
	{
		at: "machine_crash_shutdown", says: "nothing of other CPUs",
		but: "they are stopped first, for a second at most", test: func(t *testing.T) {
			d := crashed(t, cpus(onARM310, 2), panics)
			wantEqual(t, "steps", d.shutdown()[:2], []string{"local_irq_disable", "machine_crash_nonpanic_core"})
			cfg := cpus(onARM310, 2)
			cfg.Cmdline = "panic=1"
			d = crashed(t, cfg, stuck(1, true, false), panics)
			// A second here, one more in smp_send_stop, panic=1, and one before the restart.
			wantEqual(t, "time", d.end.At-d.end.Since, 4*time.Second)
		},
	},
	{
		at: "machine_kexec", says: "four words are put behind the code: list, start, machine, parameters",
		test: func(t *testing.T) {
			s, im := integratorBoard(t)
			c := s.Running()
			if _, err := s.Handover(im, &c, 1, 1); err != nil {
				t.Fatal(err)
			}
			var words []uint64
			for i := range uint64(4) {
				w, _ := s.Memory().Word(im.ControlPage+0x80+4*i, 4)
				words = append(words, w)
			}
			wantEqual(t, "start, list, machine, parameters", words, []uint64{0x4008000, 0, 21, 0x4001000})
		},
	},
	{at: "machine_kexec", says: "a board may do something of its own then", test: func(t *testing.T) {
		taken := false
		names := reinitialised(t, func(c *kexec.CPU) { taken = c.IRQ && c.MMU })
		wantEqual(t, "steps", names[1:4], []string{"machine_kexec", "kexec_reinit", "soft_restart"})
		wantEqual(t, "with the kernel still whole", taken, true)
	}},
	{at: "machine_kexec", says: "Bye! is said, and soft_restart called", test: func(t *testing.T) {
		d := crashed(t, cpus(onARM310, 1), panics)
		wantEqual(t, "last line", d.said[len(d.said)-1], "6 Bye!")
		_, names := handedOverARM(t)
		wantEqual(t, "steps", names[:3], []string{"machine_kexec", "machine_kexec", "soft_restart"})
	}},
}

var claimsOfARMHandover = []claim{
	{at: "soft_restart", says: "IRQ and FIQ off; the second cache, if this is the last CPU", test: func(t *testing.T) {
		c, names := handedOverARM(t)
		wantEqual(t, "state", [...]bool{c.IRQ, c.FIQ, c.Outer}, [...]bool{false, false, false})
		wantEqual(t, "step", names[3], "outer_disable")
		s, im := integratorBoard(t)
		c = s.Running()
		if _, err := s.Handover(im, &c, 2, 1); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "with two", c.Outer, true)
	}},
	{at: "call_with_stack", says: "on a stack of its own", test: func(t *testing.T) {
		_, names := handedOverARM(t)
		wantEqual(t, "step", names[4], "call_with_stack")
	}},
	{
		at: "__soft_restart", says: "memory mapped to itself, caches flushed, turned off, flushed again",
		test: func(t *testing.T) {
			c, names := handedOverARM(t)
			wantEqual(t, "steps", names[5:9],
				[]string{"setup_mm_for_reboot", "flush_cache_all", "cpu_proc_fin", "flush_cache_all"})
			wantEqual(t, "caches", c.ICache || c.DCache, false)
		},
	},
	{at: "cpu_v7_reset", says: "the MMU is turned off, and Thumb exceptions", test: func(t *testing.T) {
		c, names := handedOverARM(t)
		wantEqual(t, "steps", names[9:], []string{"cpu_reset", "relocate_new_kernel"})
		wantEqual(t, "state", [...]bool{c.MMU, c.Thumb}, [...]bool{false, false})
	}},
	{
		at: "relocate_new_kernel", says: "the image's head is 0",
		but: "it is DONE, and 0 when its offset is taken off", test: func(t *testing.T) {
			_, im := integratorBoard(t)
			wantEqual(t, "head", im.Head, uint64(kexec.Done))
		},
	},
	{at: "relocate_new_kernel", says: "so nothing is moved", test: func(t *testing.T) {
		s, im := integratorBoard(t)
		r, err := kexec.Relocate(s.Memory(), kexec.ARM, im, 0)
		if err != nil || r != (kexec.Relocation{}) {
			t.Errorf("got %+v, %v", r, err)
		}
	}},
	{at: "relocate_new_kernel", says: "1 is a destination", test: func(t *testing.T) {
		_, r := armList(t, 0x40001, 4)
		wantEqual(t, "last", r.Last, 0x40000)
	}},
	{at: "relocate_new_kernel", says: "2 leads on to another page of the list", test: func(t *testing.T) {
		_, r := armList(t, 0x10010|2, 0, 0, 0, 4)
		wantEqual(t, "words", r.Words, 2)
	}},
	{at: "relocate_new_kernel", says: "4 is the end", test: func(t *testing.T) {
		_, r := armList(t, 0x40001, 4, 0x20008)
		wantEqual(t, "copied", r.Copied, 0)
	}},
	{
		at: "relocate_new_kernel", says: "8 is a source of 1024 words, and the destination moves with them",
		test: func(t *testing.T) {
			m, r := armList(t, 0x40001, 0x20008, 0x30008, 4)
			wantEqual(t, "copied", r.Copied, 2)
			wantEqual(t, "there", textAt(m, 0x40000, 3)+textAt(m, 0x41000, 3), "onetwo")
		},
	},
	{at: "relocate_new_kernel", says: "a word with none of them is passed over", test: func(t *testing.T) {
		_, r := armList(t, 0x40000, 0, 4)
		wantEqual(t, "words", r.Words, 3)
	}},
	{at: "registers", says: "r0 is 0, r1 the machine", test: func(t *testing.T) {
		c, _ := handedOverARM(t)
		wantEqual(t, "r0, r1", [...]uint64{c.Regs["r0"], c.Regs["r1"]}, [...]uint64{0, 21})
	}},
	{at: "registers", says: "r2 is the region's start and 1 KiB", but: "it is 4 KiB", test: func(t *testing.T) {
		c, _ := handedOverARM(t)
		wantEqual(t, "r2", c.Regs["r2"], 0x4000000+4096)
	}},
	{at: "registers", says: "the program counter is the region's start and 32 KiB", test: func(t *testing.T) {
		c, _ := handedOverARM(t)
		wantEqual(t, "pc, lr", [...]uint64{c.Regs["pc"], c.Regs["lr"]}, [...]uint64{0x4008000, 0x4008000})
	}},
	{at: "summary", says: "interrupts, caches and MMU go off, in this order", test: func(t *testing.T) {
		_, names := handedOverARM(t)
		order := []int{
			slices.Index(names, "soft_restart"), slices.Index(names, "cpu_proc_fin"),
			slices.Index(names, "cpu_reset"),
		}
		wantEqual(t, "in order", slices.IsSorted(order) && order[0] >= 0, true)
	}},
	{at: "note", says: "kexec_load brings parameters, elfcorehdr and kernel", test: func(t *testing.T) {
		m := New(cpus(onARM310, 1))
		im := m.Kexec().Image(kexec.CrashImage)
		start := m.Kexec().Crash().Start
		wantEqual(t, "segments", []uint64{im.Segments[0].Mem, im.Segments[1].Mem, im.Segments[2].Mem},
			[]uint64{start + 0x8000, start + 0x1000, im.Elfcorehdr})
		wantEqual(t, "by file", im.ByFile, false)
	}},
}

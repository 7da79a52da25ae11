package simkernel

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// capture is the kernel that a crash starts in these tests.
var capture = KexecConfig{Crash: &NewKernel{Cmdline: "console=ttyS0 nr_cpus=1"}}

// kernelsWithCrash are all that can have one.
var kernelsWithCrash = slices.DeleteFunc(Kernels(), func(name string) bool {
	return name == "linux-3.10-mips-wdt"
})

// death is a machine that has died.
type death struct {
	*Machine
	end   End
	said  []string // by the kernel since it failed, with the levels
	steps []string // since it failed
}

// crashed plays a machine on which the kernel fails after a second.
func crashed(t *testing.T, cfg Config, fails ...Action) *death {
	t.Helper()
	d := &death{}
	cfg.Reboot.Trace = func(_ time.Duration, step, what string) {
		d.steps = append(d.steps, step+": "+what)
	}
	d.Machine = New(cfg)
	before := 0
	d.At(time.Second, Do(func(m *Machine) { before, d.steps = len(m.Log()), nil }))
	d.At(time.Second, fails...)
	d.end = d.Boot(idle)
	for _, l := range d.Log()[before:] {
		if l.Kernel {
			d.said = append(d.said, fmt.Sprint(l.Level, " ", l.Text))
		}
	}
	return d
}

// shutdown are the steps of machine_crash_shutdown that were made.
func (d *death) shutdown() []string {
	var found []string
	for _, s := range d.steps {
		if step, ok := strings.CutPrefix(s, "machine_crash_shutdown: "); ok {
			found = append(found, step)
		}
	}
	return found
}

func (d *death) heard(line string) bool { return slices.Contains(d.said, line) }

func (d *death) wantThen(t *testing.T, then How) {
	t.Helper()
	if d.end.Then != then {
		t.Errorf("then: got %v, want %v (%+v)\n%q", d.end.Then, then, d.end, d.said)
	}
}

// stuck keeps a CPU in its kernel.
func stuck(cpu int, irqsOff, nmi bool) Action {
	return Do(func(m *Machine) {
		m.stick(&m.cpus[cpu], &occupant{comm: "spinner", pid: 42}, irqsOff)
		m.cpus[cpu].inNMI = nmi
	})
}

// oopses is the part of an oops that starts the crash kernel.
func oopses(on func(m *Machine, x *context)) Action {
	return Do(func(m *Machine) {
		x := &context{cpu: &m.cpus[0], who: &occupant{comm: "insmod", pid: 101}}
		if on != nil {
			on(m, x)
		}
		if m.kexecShouldCrash(x) {
			m.crashKexec(x)
		}
	})
}

// notes are the processes of the notes that a crash has left, one for each CPU that answered.
func notes(t *testing.T, m *Machine) (pids []int, info string) {
	t.Helper()
	all, info := savedNotes(t, m)
	for _, n := range all {
		pids = append(pids, n.pid)
	}
	return pids, info
}

// savedNote is the note of a CPU.
type savedNote struct {
	pid  int
	regs kexec.Regs
}

// savedNotes are the notes of the CPUs, as the next kernel's /proc/vmcore has them, and vmcoreinfo.
func savedNotes(t *testing.T, m *Machine) (all []savedNote, info string) {
	t.Helper()
	n := nextBoot(t, m, PowerOn{})
	if n.Vmcore() == nil {
		t.Fatalf("no /proc/vmcore: %v", n.Log())
	}
	f, err := elf.NewFile(n.Vmcore())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, f.Progs[0].Filesz)
	if _, err := f.Progs[0].ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	pid, regs, word := 24, 72, 4
	if f.Class == elf.ELFCLASS64 {
		pid, regs, word = 32, 112, 8
	}
	for len(b) > 0 {
		name, size := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		desc := b[12+(name+3)/4*4:]
		if string(b[12:16]) == "CORE" {
			n := savedNote{int(binary.LittleEndian.Uint32(desc[pid:])), make(kexec.Regs)}
			for i, reg := range m.kernel.kexecs.arch.Registers() {
				var value [8]byte
				copy(value[:], desc[regs+i*word:][:word])
				n.regs[reg] = binary.LittleEndian.Uint64(value[:])
			}
			all = append(all, n)
		} else {
			info = string(desc[:size])
		}
		b = desc[(size+3)/4*4:]
	}
	return all, info
}

// cpus is a machine with so many, and a crash kernel.
func cpus(name string, n int) Config {
	return Config{Kernel: name, Kexec: capture, Reboot: RebootConfig{CPUs: n}}
}

func TestCrashStatements(t *testing.T) {
	for _, s := range slices.Concat(crashStatements, stopStatements, captureStatements) {
		t.Run(s.name, s.test)
	}
}

// TestEveryCrashStatementHasATest holds section 2 of docs/kernel.md against these tables, and those
// of the package kexec.
func TestEveryCrashStatementHasATest(t *testing.T) {
	read := func(name, pattern string) (found []string) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
		return found
	}
	there := read("../../docs/kernel.md", `(?m)^- \*\*(2\.\d+)\*\* `)
	tested := read("kexec/statements_test.go", `(?m)^\t\{"(2\.\d+) `)
	for _, s := range slices.Concat(crashStatements, stopStatements, captureStatements) {
		number, _, _ := strings.Cut(s.name, " ")
		tested = append(tested, number)
	}
	if len(there) < 60 {
		t.Errorf("%d statements, want 60 at least: are they found?", len(there))
	}
	wantEqual(t, "statements with a test", tested, there)
}

var crashStatements = []statement{
	{"2.43 somebody is loading", func(t *testing.T) {
		for _, name := range kernelsWithCrash {
			d := crashed(t, cpus(name, 1), Do(func(m *Machine) { m.kexec().TryLock() }), panics)
			d.wantThen(t, Hung)
			wantEqual(t, name, d.shutdown(), nil)
		}
		// Until it is done: a crash within the three seconds is not dumped, one after them is.
		for _, after := range []time.Duration{2, 5} {
			cfg := cpus("", 1)
			cfg.Programs = programs(map[string][]Step{"p": {
				KexecLoad{New: *capture.Crash, Crash: true, ByFile: true, Takes: 3 * time.Second},
			}})
			m := New(cfg)
			m.At(after*time.Second, panics)
			end := m.Boot(func(k kernel.Kernel) int {
				k.Spawn(command("p"))
				return idle(k)
			})
			want := Kexeced
			if after == 2 {
				want = Hung
			}
			wantEqual(t, fmt.Sprint(after), end.Then, want)
		}
	}},
	{"2.44 no image", func(t *testing.T) {
		for _, post := range []string{"", " crash_kexec_post_notifiers"} {
			d := crashed(t, Config{Cmdline: "crashkernel=64M panic=1" + post}, panics)
			d.wantThen(t, Restarted)
			wantEqual(t, "lock", d.kexec().TryLock(), true)
			wantEqual(t, "heard", d.heard("0 Rebooting in 1 seconds.."), true)
		}
	}},
	{"2.45 an oops takes panic_cpu, and gives it back", func(t *testing.T) {
		cfg := Config{Cmdline: "sysctl.kernel.panic_on_oops=1 panic=1"}
		d := crashed(t, cfg, oopses(nil), Do(func(m *Machine) {
			wantEqual(t, "owner", m.dying.owner == nil, true)
		}), panics)
		d.wantThen(t, Restarted)
		// Within a panic it does nothing, even on the panic's own CPU.
		for name, want := range map[string]How{"linux-6.1-x86_64": 0, "linux-3.10-arm": Kexeced} {
			m := New(Config{Kernel: name, Kexec: capture})
			m.dying.owner = &m.cpus[0]
			m.crashKexec(&context{cpu: &m.cpus[0], who: idleTask(0)})
			wantEqual(t, name, m.how(), want)
		}
	}},
	{"2.46 which oops starts it", func(t *testing.T) {
		for _, c := range []struct {
			what string
			on   func(m *Machine, x *context)
			want bool
		}{
			{"a process", nil, false},
			{"in an interrupt", func(_ *Machine, x *context) { x.in = InHardIRQ }, true},
			{"the idle task", func(_ *Machine, x *context) { x.who = idleTask(0) }, true},
			{"init", func(m *Machine, x *context) { x.who = &occupant{pid: 1, task: m.init} }, true},
			{"panic_on_oops", func(m *Machine, _ *context) { m.setKnob("kernel/panic_on_oops", "1") }, true},
		} {
			cfg := cpus("", 1)
			cfg.Until = time.Minute
			d := crashed(t, cfg, oopses(c.on))
			wantEqual(t, c.what, d.how() == Kexeced, c.want)
			wantEqual(t, c.what+": panic", d.heard("0 Kernel panic - not syncing: x"), false)
		}
	}},
	{"2.47 none with crash_kexec_post_notifiers", func(t *testing.T) {
		cfg := cpus("", 1)
		cfg.Cmdline, cfg.Until = "crash_kexec_post_notifiers oops=panic", time.Minute
		d := crashed(t, cfg, oopses(nil))
		wantEqual(t, "end", d.how(), Stuck) // nothing happens to it
	}},
	{"2.48 the console ends after the backtrace", func(t *testing.T) {
		for _, name := range x86s {
			cfg := cpus(name, 2)
			cfg.Cmdline = "panic=5"
			cfg.Panic.Notifiers = []Notifier{{Name: "lab", Says: "LAB panic_notifier"}}
			d := crashed(t, cfg, panics)
			d.wantThen(t, Kexeced)
			wantEqual(t, name, d.said[0], "0 Kernel panic - not syncing: x")
			last := d.said[len(d.said)-1]
			if !strings.Contains(last, "</TASK>") && !strings.Contains(last, "Call Trace:") {
				t.Errorf("%s: the last line is %q", name, last)
			}
			for _, s := range d.steps {
				if strings.HasPrefix(s, "kmsg_dump") || strings.HasPrefix(s, "panic_notifier") {
					t.Errorf("%s: %s", name, s)
				}
			}
			wantEqual(t, "end", d.end.At, time.Second)
			wantEqual(t, "first cause", d.end.Text, "Kernel panic - not syncing: x")
		}
	}},
	{"2.49 notifiers and dumpers first", func(t *testing.T) {
		cfg := cpus("", 2)
		cfg.Cmdline = "panic=5 crash_kexec_post_notifiers=1"
		online := 0
		cfg.Panic.Notifiers = []Notifier{{Name: "lab", Fails: failFunc(func(m *Machine, _ *context) {
			online = m.onlineCPUs()
		})}}
		d := crashed(t, cfg, panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "online", online, 2)
		var order []string
		for _, s := range d.steps {
			name, _, _ := strings.Cut(s, ":")
			if len(order) == 0 || order[len(order)-1] != name {
				order = append(order, name)
			}
		}
		wantEqual(t, "order", order, []string{
			"panic_notifier_list", "kmsg_dump", "crash_setup_regs", "crash_save_vmcoreinfo",
			"machine_crash_shutdown", "machine_kexec",
		})
		wantEqual(t, "Rebooting", d.heard("0 Rebooting in 5 seconds.."), false)
		// Without an image the other CPU is offline by then.
		cfg.Kexec, cfg.Cmdline = KexecConfig{}, "panic=5"
		crashed(t, cfg, panics)
		wantEqual(t, "online", online, 1)
	}},
	{"2.50 a stack dump tells that an image is loaded", func(t *testing.T) {
		for _, name := range kernelsWithCrash {
			d := crashed(t, cpus(name, 1), panics)
			marked := slices.ContainsFunc(d.said, func(s string) bool {
				return strings.Contains(s, " Kdump: loaded Not tainted ")
			})
			wantEqual(t, name, marked, !strings.Contains(name, "2.6") && !strings.Contains(name, "3.10"))
		}
	}},
	{"2.51 machine_crash_shutdown on x86", func(t *testing.T) {
		const first, last = "local_irq_disable crash_smp_send_stop ",
			"cpu_emergency_disable_virtualization cpu_emergency_stop_pt ioapic_zap_locks " +
				"clear_IO_APIC lapic_shutdown restore_boot_irq_mode hpet_disable "
		for name, want := range map[string]string{
			"linux-2.6.24-i386": "local_irq_disable nmi_shootdown_cpus lapic_shutdown " +
				"clear_IO_APIC crash_save_cpu",
			"linux-4.19-x86_64": first + "cpu_crash_vmclear_loaded_vmcss " + last + "crash_save_cpu",
			"linux-6.1-x86_64":  first + last + "crash_save_cpu",
			"linux-6.12-x86_64": first + last + "enc_kexec crash_save_cpu",
		} {
			d := crashed(t, cpus(name, 2), panics)
			wantEqual(t, name, strings.Join(d.shutdown(), " "), want)
			wantEqual(t, "interrupts", d.cpus[0].irqsOff && d.cpus[0].deaf, true)
		}
	}},
}

// failFunc is a failure that a test writes itself.
type failFunc func(m *Machine, x *context)

func (f failFunc) fail(m *Machine, x *context) { f(m, x) }

// TestSavedRegisters: each CPU leaves registers of its own (2.36).
func TestSavedRegisters(t *testing.T) {
	for _, name := range kernelsWithCrash {
		d := crashed(t, cpus(name, 4), stuck(2, false, false),
			Fail{Name: "init", How: PanicCall{"x"}})
		d.wantThen(t, Kexeced)
		all, _ := savedNotes(t, d.Machine)
		ip, state, off := "ip", "flags", uint64(0)
		switch d.kernel.arch {
		case archARM:
			ip, state, off = "pc", "cpsr", 0x80
		case archARM64:
			ip, state, off = "pc", "pstate", 0x80
		case archX86, archMIPS:
		}
		if d.kernel.arch == archX86 {
			// There the flag says that interrupts are on.
			off = 0x200
		}
		if slices.Contains(linux26s, name) {
			off = 0 // there panic() leaves them on
		}
		if len(all) != 4 {
			t.Errorf("%s: got %v", name, all)
			continue
		}
		seen := make(map[uint64]bool)
		for i, n := range all {
			if n.regs["sp"] == 0 || seen[n.regs["sp"]] || n.regs[ip] == 0 {
				t.Errorf("%s: CPU %d: got %x", name, i, n.regs)
			}
			seen[n.regs["sp"]] = true
		}
		wantEqual(t, name+": two idle CPUs are in the same place", all[1].regs[ip], all[3].regs[ip])
		if a, b, c := all[0].regs[ip], all[1].regs[ip], all[2].regs[ip]; a == b || b == c || a == c {
			t.Errorf("%s: who panics, who is idle and who is stuck: got %x, %x, %x", name, a, b, c)
		}
		wantEqual(t, name+": where interrupts are", (all[0].regs[state]^all[1].regs[state])&off, off)
	}
	// An oops leaves those of where it has happened.
	d := crashed(t, cpus("", 1), Fail{In: InHardIRQ, How: NullWrite{Addr: 0x20}})
	all, _ := savedNotes(t, d.Machine)
	said := slices.ContainsFunc(d.said, func(s string) bool {
		return strings.HasSuffix(s, fmt.Sprintf("RIP: 0010:%#x", all[0].regs["ip"]))
	})
	if !said {
		t.Errorf("got %x, said %q", all, d.said)
	}
}

var stopStatements = []statement{
	{"2.52 an NMI stops the others", func(t *testing.T) {
		d := crashed(t, cpus("", 4), stuck(2, true, false), panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "no wait", d.end.At, time.Second)
		pids, _ := notes(t, d.Machine)
		wantEqual(t, "notes", pids, []int{0, 0, 42, 0})
		for i := range d.cpus {
			c := d.cpus[i]
			wantEqual(t, fmt.Sprint("CPU ", i), [...]bool{c.online, c.deaf, c.saved}, [...]bool{true, true, true})
		}
	}},
	{"2.53 one that never answers costs a second", func(t *testing.T) {
		for _, name := range x86s {
			d := crashed(t, cpus(name, 3), stuck(1, true, true), panics)
			d.wantThen(t, Kexeced)
			wantEqual(t, name, d.end.At, 2*time.Second)
			wantEqual(t, "lines", d.said[len(d.said)-1][0], '4')
			pids, _ := notes(t, d.Machine)
			wantEqual(t, "notes", len(pids), 2)
			wantEqual(t, "saved", d.cpus[1].saved || d.Kexec().Saved(1), false)
			warned := slices.ContainsFunc(nextBoot(t, d.Machine, PowerOn{}).Log(), func(l LogLine) bool {
				return l.Text == "Warning: Zero PT_NOTE entries found"
			})
			wantEqual(t, "the next kernel warns", warned, true)
		}
	}},
	{"2.54 one that waits in an NMI of its own joins", func(t *testing.T) {
		second := Do(func(m *Machine) {
			m.dying.owner = &m.cpus[0]
			m.cpus[1].inNMI = true
			m.nmiPanic(&context{cpu: &m.cpus[1], who: idleTask(1), in: InNMI}, "late")
		})
		d := crashed(t, cpus("", 2), second, panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "no wait", d.end.At, time.Second)
		wantEqual(t, "saved", d.Kexec().Saved(1), true)
	}},
	{"2.55 once only", func(t *testing.T) {
		for name, warns := range map[string]int{"linux-6.1-x86_64": 1, "linux-2.6.24-i386": 0} {
			d := crashed(t, cpus(name, 2), Do(func(m *Machine) {
				x := &context{cpu: &m.cpus[0], who: idleTask(0)}
				called := 0
				for range 3 {
					m.nmiShootdownCPUs(x, func(*cpu) { called++ })
				}
				wantEqual(t, "callbacks", called, 1)
				wantEqual(t, "saved", m.cpus[1].saved, false)
			}), CutPower{})
			got := 0
			for _, s := range d.said {
				if strings.HasPrefix(s, "4 WARNING: CPU: 0") && strings.Contains(s, " nmi_shootdown_cpus+") {
					got++
				}
			}
			wantEqual(t, name, got, warns)
		}
		// Where it stands in Debian's kernels, by their table of bugs.
		for name, line := range map[string]string{
			"linux-6.1-x86_64": "897", "linux-6.12-x86_64": "920", "linux-5.10-x86_64": "0",
		} {
			m := New(cpus(name, 2))
			x := m.here(nil)
			m.nmiShootdownCPUs(x, nil)
			m.nmiShootdownCPUs(x, nil)
			wantEqual(t, name, slices.ContainsFunc(m.Log(), func(l LogLine) bool {
				return strings.Contains(l.Text, " at arch/x86/kernel/reboot.c:"+line+" nmi_shootdown_cpus+")
			}), true)
		}
		// The way to a reset has no callback.
		m := New(cpus("", 2))
		m.nmiShootdownCPUs(&context{cpu: &m.cpus[0], who: idleTask(0)}, nil)
		wantEqual(t, "stopped", m.cpus[1].stopped, true)
	}},
	{"2.56 crash_smp_send_stop is for once, too", func(t *testing.T) {
		cfg := cpus("", 2)
		cfg.Cmdline = "crash_kexec_post_notifiers"
		d := crashed(t, cfg, stuck(1, true, true), panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "waited once", d.end.At, 2*time.Second)
	}},
	{"2.57 ARM", func(t *testing.T) {
		d := crashed(t, cpus("linux-3.10-arm", 3), panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "steps", d.shutdown(), []string{
			"local_irq_disable", "machine_crash_nonpanic_core", "crash_save_cpu",
			"machine_kexec_mask_interrupts", "pr_info",
		})
		wantEqual(t, "lines", d.said[len(d.said)-4:], []string{
			"7 CPU 1 will stop doing anything useful since another CPU has crashed",
			"7 CPU 2 will stop doing anything useful since another CPU has crashed",
			"6 Loading crashdump kernel...", "6 Bye!",
		})
		wantEqual(t, "online", d.onlineCPUs(), 1)
		wantEqual(t, "no wait", d.end.At, time.Second)
		pids, _ := notes(t, d.Machine)
		wantEqual(t, "notes", len(pids), 3)
		c, _ := d.Handover()
		start := d.Kexec().Crash().Start
		wantEqual(t, "registers", c.Regs, kexec.Regs{
			"r0": 0, "r1": 21, "r2": start + 0x1000, "lr": start + 0x8000, "pc": start + 0x8000,
		})
	}},
	{"2.58 ARM: a CPU with interrupts off keeps the crash kernel from starting", func(t *testing.T) {
		cfg := cpus("linux-3.10-arm", 2)
		cfg.Cmdline = "panic=3"
		d := crashed(t, cfg, stuck(1, true, false), panics)
		d.wantThen(t, Restarted)
		for _, line := range []string{
			"4 Non-crashing CPUs did not react to IPI", "6 Loading crashdump kernel...",
			"3 kexec: error: multiple CPUs still online", "0 Rebooting in 3 seconds..",
		} {
			if !d.heard(line) {
				t.Errorf("no %q in %q", line, d.said)
			}
		}
		wantEqual(t, "Bye", d.heard("6 Bye!"), false)
		wantEqual(t, "lock", d.kexec().TryLock(), true)
	}},
	{"2.59 arm64", func(t *testing.T) {
		d := crashed(t, cpus("linux-6.1-arm64", 3), panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "lines", d.said[len(d.said)-3:], []string{
			"2 SMP: stopping secondary CPUs", "6 Starting crashdump kernel...", "6 Bye!",
		})
		wantEqual(t, "online", d.onlineCPUs(), 3)
		wantEqual(t, "steps", d.shutdown(), []string{
			"local_irq_disable", "crash_smp_send_stop", "crash_save_cpu",
			"machine_kexec_mask_interrupts", "pr_info",
		})
		alone := crashed(t, cpus("linux-6.1-arm64", 1), panics)
		wantEqual(t, "alone", alone.heard("2 SMP: stopping secondary CPUs"), false)
		// The firmware's events are masked in both cases, as part of stopping the others.
		for n := 1; n <= 2; n++ {
			cfg := cpus("linux-6.1-arm64", n)
			cfg.Passages = true
			var masked []string
			all := crashed(t, cfg, panics).Passages()
			for i, p := range all {
				if p.Name != "sdei_mask_local_cpu" {
					continue
				}
				for i >= 0 && all[i].Depth >= p.Depth {
					i--
				}
				masked = append(masked, all[i].Name)
			}
			wantEqual(t, "SDEI", masked, []string{"crash_smp_send_stop"})
		}
		c, _ := d.Handover()
		wantEqual(t, "state", [...]any{c.MMU, c.DCache, c.IRQ, c.Mode}, [...]any{false, false, false, "el1"})
	}},
	{"2.60 arm64: CPUs that do not answer", func(t *testing.T) {
		d := crashed(t, cpus("linux-6.1-arm64", 5), stuck(1, true, false), stuck(2, true, false),
			stuck(4, true, false), panics)
		d.wantThen(t, Kexeced)
		wantEqual(t, "waited", d.end.At, 2*time.Second)
		from := slices.Index(d.said, "2 SMP: stopping secondary CPUs")
		wantEqual(t, "lines", d.said[from:from+6], []string{
			"2 SMP: stopping secondary CPUs", "4 SMP: failed to stop secondary CPUs 1-2,4",
			"6 Starting crashdump kernel...", "4 ------------[ cut here ]------------",
			"4 Some CPUs may be stale, kdump will be unreliable.",
			"4 WARNING: CPU: 0 PID: 0 at arch/arm64/kernel/machine_kexec.c:184 machine_kexec+0x10/0x100",
		})
		wantEqual(t, "the last", d.said[len(d.said)-2:], []string{
			"4 ---[ end trace 0000000000000000 ]---", "6 Bye!",
		})
		pids, _ := notes(t, d.Machine)
		wantEqual(t, "notes", len(pids), 2)

		// It counts as any other warning.
		cfg := cpus("linux-6.1-arm64", 2)
		cfg.Cmdline = "panic=-1 sysctl.kernel.panic_on_warn=1"
		d = crashed(t, cfg, stuck(1, true, false), panics)
		d.wantThen(t, Kexeced) // the panic itself has cleared it
		cfg.Cmdline = "panic=-1 sysctl.kernel.warn_limit=1"
		d = crashed(t, cfg, stuck(1, true, false), panics)
		wantEqual(t, "panic", d.heard("0 Kernel panic - not syncing: kernel: system warned too often "+
			"(kernel.warn_limit is 1)"), true)
		wantEqual(t, "started", d.heard("6 Bye!"), false)
		d.wantThen(t, Restarted)
	}},
}

// sees runs PID 1 on a machine for a moment.
func sees(m *Machine, do func(k kernel.Kernel)) {
	m.Boot(func(k kernel.Kernel) int {
		do(k)
		return 0
	})
}

// ends runs a program, and returns its exit status.
func ends(t *testing.T, k kernel.Kernel, name string) kernel.WaitStatus {
	t.Helper()
	k.Spawn(command(name))
	exits := until(k, k.Now()+time.Second)
	if len(exits) != 1 {
		t.Fatalf("%s: %d exits", name, len(exits))
	}
	return exits[0].Status
}

// file reads a file as PID 1.
func file(k kernel.Kernel, path string) string {
	b, err := k.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var captureStatements = []statement{
	{"2.61 crashkernel=", func(t *testing.T) {
		const arm = "linux-3.10-arm"
		for _, c := range []struct {
			kernel, arg, says string
			region            kexec.Region
		}{
			{
				"", "crashkernel=192M", "6 Reserving 192MB of memory at 304MB for crashkernel (System RAM: 511MB)",
				kexec.Region{Start: 304 << 20, Size: 192 << 20},
			},
			{
				"", "crashkernel=64M crashkernel=32M@256M",
				"6 Reserving 32MB of memory at 256MB for crashkernel (System RAM: 511MB)",
				kexec.Region{Start: 256 << 20, Size: 32 << 20},
			},
			{
				"linux-6.12-x86_64", "crashkernel=192M",
				"6 crashkernel reserved: 0x0000000013000000 - 0x000000001f000000 (192 MB)",
				kexec.Region{Start: 304 << 20, Size: 192 << 20},
			},
			{"", "crashkernel=2G", "6 crashkernel reservation failed - No suitable area found.", kexec.Region{}},
			{"", "crashkernel=x", "", kexec.Region{}},
			{arm, "crashkernel=64M", "4 crashkernel reservation failed - memory is in use (0x0)", kexec.Region{}},
			{
				arm, "crashkernel=64M@0x60000000",
				"4 crashkernel reservation failed - memory is in use (0x60000000)",
				kexec.Region{},
			},
			{
				arm, "crashkernel=64M@0x64000000",
				"6 Reserving 64MB of memory at 1600MB for crashkernel (System RAM: 512MB)",
				kexec.Region{Start: 0x64000000, Size: 64 << 20},
			},
			{"linux-3.10-mips-wdt", "crashkernel=64M@64M", "", kexec.Region{}},
		} {
			m := New(Config{Kernel: c.kernel, Cmdline: c.arg})
			wantEqual(t, c.arg, m.Kexec().Crash(), c.region)
			var said []string
			for _, l := range m.Log() {
				said = append(said, fmt.Sprint(l.Level, " ", l.Text))
			}
			wantEqual(t, c.arg, strings.Join(said, "\n"), c.says)
		}
	}},
	{"2.62 the files of /sys/kernel", func(t *testing.T) {
		none := syscall.ENOENT.Error()
		for _, c := range []struct {
			kernel string
			want   map[string]string
		}{
			{"linux-6.1-x86_64", map[string]string{
				"kexec_loaded": "0\n", "kexec_crash_loaded": "1\n", "kexec_crash_size": "201326592\n",
				"vmcoreinfo": "0x0000000000102000 1024\n", "kexec/loaded": none,
			}},
			{"linux-7.2-x86_64", map[string]string{
				"kexec_loaded": "0\n", "kexec/loaded": "0\n", "kexec/crash_loaded": "1\n",
				"kexec/crash_size": "201326592\n",
			}},
			{"linux-2.6.24-i386", map[string]string{
				"kexec_loaded": "0\n", "kexec_crash_loaded": "1\n", "kexec_crash_size": none,
			}},
		} {
			cfg := cpus(c.kernel, 1)
			cfg.Mounts = []Mount{{Type: "sysfs", Target: "/sys"}}
			sees(New(cfg), func(k kernel.Kernel) {
				for name, want := range c.want {
					wantEqual(t, c.kernel+" "+name, file(k, "/sys/kernel/"+name), want)
				}
			})
		}
	}},
	{"2.63 shrinking by a file", func(t *testing.T) {
		cfg := cpus("", 1)
		m := New(cfg)
		const size = "kernel/kexec_crash_size"
		wantEqual(t, "loaded", m.writeAttr(m.init, size, "67108864\n"), syscall.ENOENT)
		m.kexecLoad(true, KexecLoad{Crash: true, Unload: true})
		wantEqual(t, "larger", m.writeAttr(m.init, size, "0x80000000\n"), kernel.EINVAL)
		wantEqual(t, "no number", m.writeAttr(m.init, size, "64M\n"), kernel.EINVAL)
		total := m.memory()
		wantEqual(t, "less", m.writeAttr(m.init, size, "67108864\n"), 0)
		text, _ := m.attr(size)
		wantEqual(t, "size", text, "67108864")
		wantEqual(t, "memory", m.memory()-total, 128<<20)
	}},
	{"2.64 the knobs", func(t *testing.T) {
		cfg := Config{Kernel: "linux-6.12-x86_64", Cmdline: "crashkernel=64M"}
		cfg.Programs = programs(map[string][]Step{
			"p": {KexecLoad{Crash: true}, KexecLoad{Crash: true}},
			"q": {KexecLoad{}},
		})
		sees(New(cfg), func(k kernel.Kernel) {
			wantErr(t, "limit", k.SetProc("sys/kernel/kexec_load_limit_panic", "1"), 0)
			wantErr(t, "more", k.SetProc("sys/kernel/kexec_load_limit_panic", "2"), kernel.EINVAL)
			wantEqual(t, "the second load", ends(t, k, "p"), kernel.WaitStatus(kernel.EPERM)<<8)
			b, _ := k.Proc("sys/kernel/kexec_load_limit_panic")
			wantEqual(t, "left", string(b), "0\n")
			wantErr(t, "0", k.SetProc("sys/kernel/kexec_load_disabled", "0"), kernel.EINVAL)
			wantErr(t, "1", k.SetProc("sys/kernel/kexec_load_disabled", "1"), 0)
			wantEqual(t, "disabled", ends(t, k, "q"), kernel.WaitStatus(kernel.EPERM)<<8)
		})
		_, e := New(Config{}).knob("kernel/kexec_load_limit_panic")
		wantEqual(t, "6.1 has no limits", e, kernel.ENOENT)
	}},
	{"2.65 the capture kernel is the next boot", func(t *testing.T) {
		for _, name := range kernelsWithCrash {
			cfg := cpus(name, 2)
			cfg.Epoch = time.Unix(1795293385, 0)
			cfg.Kexec.Crash = &NewKernel{Cmdline: "nr_cpus=1 panic=1", Kernel: name}
			d := crashed(t, cfg, panics)
			d.wantThen(t, Kexeced)
			n := nextBoot(t, d.Machine, PowerOn{})
			wantEqual(t, "boot", n.Boots(), 2)
			wantEqual(t, "CPUs", n.possibleCPUs(), 1)
			wantEqual(t, "memory", n.memory(), int64(d.Kexec().Crash().Size))
			wantEqual(t, "images", n.isLoaded(kexec.CrashImage) || n.isLoaded(kexec.NormalImage), false)
			_, info := notes(t, d.Machine)
			for _, want := range []string{"OSRELEASE=" + d.kernel.release + "\n", "CRASHTIME=1795293386\n"} {
				if !strings.Contains(info, want) {
					t.Errorf("%s: no %q in %q", name, want, info)
				}
			}
		}
		for name, want := range map[string]string{
			"linux-6.1-x86_64": "elfcorehdr=0x13000000 console=ttyS0 nr_cpus=1",
			"linux-3.10-arm":   "console=ttyS0 nr_cpus=1 elfcorehdr=1639424K",
			"linux-6.1-arm64":  "console=ttyS0 nr_cpus=1",
		} {
			n := nextBoot(t, crashed(t, cpus(name, 1), panics).Machine, PowerOn{})
			sees(n, func(k kernel.Kernel) {
				b, _ := k.Proc("cmdline")
				wantEqual(t, name, string(b), want+"\n")
			})
		}
	}},
	{"2.66 /proc/vmcore", func(t *testing.T) {
		d := crashed(t, cpus("", 1), panics)
		n := nextBoot(t, d.Machine, PowerOn{})
		sees(n, func(k kernel.Kernel) {
			_, mode, ok := procFS{}.stat(n, n.init, "vmcore")
			wantEqual(t, "there", ok, true)
			wantEqual(t, "mode", mode, 0o400)
			b, err := k.Proc("vmcore")
			wantErr(t, "Proc", err, 0)
			wantEqual(t, "magic", string(b[:4]), elf.ELFMAG)
		})
		_, _, ok := procFS{}.stat(d.Machine, nil, "vmcore")
		wantEqual(t, "in the first kernel", ok, false)
	}},
	{"2.67 its restart brings the first kernel back", func(t *testing.T) {
		cfg := cpus("", 2)
		cfg.Cmdline = "quiet"
		d := crashed(t, cfg, panics)
		n := nextBoot(t, d.Machine, PowerOn{})
		n.Boot(func(k kernel.Kernel) int {
			k.RebootSelf(kernel.Restart)
			return 0
		})
		third := nextBoot(t, n, PowerOn{})
		wantEqual(t, "command line", third.cfg.Cmdline, "quiet crashkernel=192M")
		wantEqual(t, "CPUs", third.possibleCPUs(), 2)
		wantEqual(t, "loaded", third.isLoaded(kexec.CrashImage), true)
		wantEqual(t, "boot", third.Boots(), 3)
		wantEqual(t, "vmcore", third.Vmcore() == nil, true)
	}},
	{"2.68 an image that has been written over", func(t *testing.T) {
		d := crashed(t, cpus("", 1), Do(func(m *Machine) {
			im := m.Kexec().Image(kexec.CrashImage)
			last := im.Segments[len(im.Segments)-1]
			m.Kexec().Memory().Write(last.Mem+100, []byte("stray"))
		}), panics)
		d.wantThen(t, Hung)
	}},
	{"2.69 KEXEC starts what has been loaded", func(t *testing.T) {
		load := KexecLoad{New: NewKernel{Kernel: "linux-5.10-x86_64", Cmdline: "second"}, ByFile: true}
		f := caseOf{cfg: Config{Cmdline: "first"}, steps: []Step{load, Reboot{Cmd: Kexec}}}.playOn("")
		wantHow(t, f, Kexeced)
		n := nextBoot(t, f.Machine, PowerOn{})
		wantEqual(t, "command line", n.cfg.Cmdline, "second")
		wantEqual(t, "kernel", n.kernel.name, "linux-5.10-x86_64")
		wantEqual(t, "memory", n.memory(), defaultRAM)
		wantEqual(t, "vmcore", n.Vmcore() == nil, true)
		// Another one is loading: busy.
		slow := load
		slow.Takes = time.Minute
		f = caseOf{steps: []Step{slow}, second: []Step{Reboot{Cmd: Kexec}}}.playOn("")
		wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{kernel.WaitStatus(syscall.EBUSY) << 8})
		f = caseOf{steps: []Step{slow}, second: []Step{load}}.playOn("")
		wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{kernel.WaitStatus(syscall.EBUSY) << 8})
		// What has been unloaded is not there.
		unload := KexecLoad{Unload: true, ByFile: true}
		f = caseOf{steps: []Step{load, unload, Reboot{Cmd: Kexec}}}.playOn("")
		wantEqual(t, "statuses", f.exits, []kernel.WaitStatus{kernel.WaitStatus(kernel.EINVAL) << 8})
	}},
}

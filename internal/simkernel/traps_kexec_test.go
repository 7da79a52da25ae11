package simkernel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel/kexec"
)

// Where a simulation of crash kernels goes wrong if it does what one would expect. The numbers are
// those of section 10 of docs/kernel.md.

// has reports whether the kernel has said something with a part.
func (d *death) has(part string) bool {
	return slices.ContainsFunc(d.said, func(s string) bool { return strings.Contains(s, part) })
}

// TestTrap12 is all that does not happen with a crash kernel loaded, and what
// crash_kexec_post_notifiers changes: the CPUs that an NMI has stopped are still online.
func TestTrap12(t *testing.T) {
	for _, c := range []struct {
		what, cmdline string
		loaded        bool
		then          How
		offset, dump  bool
		online        int
	}{
		{"loaded", "", true, Kexeced, false, false, 0},
		{"loaded, notifiers first", "crash_kexec_post_notifiers", true, Kexeced, true, true, 2},
		{"not loaded", "crashkernel=192M panic=1", false, Restarted, true, true, 1},
	} {
		cfg, online := cpus("", 2), 0
		cfg.Cmdline = c.cmdline
		if !c.loaded {
			cfg.Kexec = KexecConfig{}
		}
		cfg.Panic.Notifiers = []Notifier{{Fails: failFunc(func(m *Machine, _ *context) {
			online = m.onlineCPUs()
		})}}
		d := crashed(t, cfg, panics)
		d.wantThen(t, c.then)
		wantEqual(t, c.what+": Kernel Offset", d.has("Kernel Offset"), c.offset)
		wantEqual(t, c.what+": kmsg_dump", slices.Contains(d.steps, "kmsg_dump: 1"), c.dump)
		wantEqual(t, c.what+": online", online, c.online)
	}
}

// TestTrap13 is the death of init, which starts the crash kernel like any panic, and an oops in PID 1,
// which does so without panic_on_oops and without a panic.
func TestTrap13(t *testing.T) {
	m := New(cpus("", 1))
	end := m.Boot(func(kernel.Kernel) int { return 0 })
	if end.How != Exited || end.Then != Kexeced {
		t.Errorf("init has exited: got %+v", end)
	}
	nextBoot(t, m, PowerOn{})

	cfg := cpus("", 1)
	d := crashed(t, cfg, Do(func(m *Machine) { NullWrite{}.fail(m, m.here(m.init)) }))
	wantEqual(t, "oops in PID 1", d.how(), Kexeced)
	wantEqual(t, "a panic", d.has("Kernel panic"), false)

	// In any other process it does not.
	cfg.Programs = programs(map[string][]Step{"p": {Oops{How: NullWrite{}}}})
	m = New(cfg)
	end = m.Boot(func(k kernel.Kernel) int {
		k.Spawn(command("p"))
		until(k, time.Minute)
		k.RebootSelf(kernel.PowerOff)
		return 0
	})
	wantEqual(t, "oops elsewhere", end.How, PoweredOff)
}

// TestTrap29 is loading: the old image goes first, the size cannot be read meanwhile, and with an image
// the region cannot shrink.
func TestTrap29(t *testing.T) {
	m := New(cpus("", 1))
	const size = "kernel/kexec_crash_size"
	wantEqual(t, "shrinking", m.writeAttr(m.init, size, "1048576"), kernel.ENOENT)
	bad := KexecLoad{Crash: true, Segments: []kexec.Segment{{Mem: 1, MemSize: 1}}}
	if e := m.kexecLoad(true, bad); e == 0 {
		t.Error("an image outside of the region was loaded")
	}
	loaded, _ := m.attr("kernel/kexec_crash_loaded")
	wantEqual(t, "loaded after a load has failed", loaded, "0")

	cfg := Config{Cmdline: "crashkernel=64M"}
	cfg.Mounts = []Mount{{Type: "sysfs", Target: "/sys"}}
	cfg.Programs = programs(map[string][]Step{
		"load": {KexecLoad{Crash: true, ByFile: true, Takes: 2 * time.Second}},
		"read": {Sleep{time.Second}, SayFile{"/sys/" + size}, Sleep{2 * time.Second}, SayFile{"/sys/" + size}},
	})
	m = New(cfg)
	m.Boot(func(k kernel.Kernel) int {
		k.Spawn(command("load"))
		k.Spawn(command("read"))
		until(k, 10*time.Second)
		return 0
	})
	wantEqual(t, "read", strings.Count(string(m.Output("/dev/ttyS0")), "device or resource busy"), 1)
	wantEqual(t, "read", strings.Count(string(m.Output("/dev/ttyS0")), "67108864"), 1)
}

// TestTrap32 is where ARM's new kernel looks for its parameters: 4 KiB above the start of its memory, and
// not 1 KiB; and consecutive pages of a segment need but one destination.
func TestTrap32(t *testing.T) {
	d := crashed(t, cpus("linux-3.10-arm", 1), panics)
	c, _ := d.Handover()
	wantEqual(t, "r2", c.Regs["r2"], d.Kexec().Crash().Start+4096)

	mem := kexec.NewMemory(kexec.Region{Start: 0x60000000, Size: 1 << 20})
	for i, w := range []uint64{0x60080001, 0x60010008, 0x60020008, 4} {
		mem.SetWord(0x60001000+uint64(4*i), 4, w)
	}
	mem.Write(0x60020000, []byte("second page"))
	r, err := kexec.Relocate(mem, kexec.ARM, &kexec.Image{Head: 0x60001002}, 10)
	if err != nil || r.Last != 0x60082000 {
		t.Errorf("got %+v, %v", r, err)
	}
	b := make([]byte, 11)
	mem.Read(0x60081000, b)
	wantEqual(t, "a page further", string(b), "second page")
}

// TestTrap35 is what cannot be taken back: loading that was forbidden, and limits.
func TestTrap35(t *testing.T) {
	m := New(Config{Kernel: "linux-6.12-x86_64"})
	for _, c := range []struct {
		knob, value string
		want        kernel.Errno
	}{
		{"kernel/kexec_load_disabled", "0", kernel.EINVAL},
		{"kernel/kexec_load_disabled", "1", 0},
		{"kernel/kexec_load_disabled", "0", kernel.EINVAL},
		{"kernel/kexec_load_limit_reboot", "5", 0},
		{"kernel/kexec_load_limit_reboot", "6", kernel.EINVAL},
		{"kernel/kexec_load_limit_reboot", "-1", kernel.EINVAL},
		{"kernel/kexec_load_limit_reboot", "4", 0},
	} {
		wantEqual(t, c.knob+" = "+c.value, m.setKnob(c.knob, c.value), c.want)
	}
	text, _ := m.knob("kernel/kexec_load_disabled")
	wantEqual(t, "disabled", text, "1\n")
}

// TestTrap36 is a number without a sign of its base: 1024 is 4132 bytes.
func TestTrap36(t *testing.T) {
	text, _ := New(Config{}).attr("kernel/vmcoreinfo")
	addr, size, _ := strings.Cut(text, " ")
	if !strings.HasPrefix(addr, "0x") || size != "1024" {
		t.Errorf("got %q", text)
	}
	const headers, name, page = 2 * 12, 12, 4096
	wantEqual(t, "size", headers+name+page, 0x1024)
}

// TestTrap38 is an oops with panic_on_oops and a crash kernel: it starts within the oops, and nobody ever
// says that the kernel panics, nor where the trace ends. Without one both are said.
func TestTrap38(t *testing.T) {
	cfg := cpus("", 1)
	cfg.Cmdline = "oops=panic"
	oops := Do(func(m *Machine) {
		NullWrite{}.fail(m, &context{cpu: &m.cpus[0], who: &occupant{comm: "insmod", pid: 101}})
	})
	d := crashed(t, cfg, oops)
	wantEqual(t, "end", d.how(), Kexeced)
	for part, want := range map[string]bool{
		"Oops: 0002 [#1]": true, "Kdump: loaded": true, "Kernel panic": false, "end trace": false,
	} {
		wantEqual(t, part, d.has(part), want)
	}
	cfg.Kexec, cfg.Cmdline = KexecConfig{}, "oops=panic panic=1"
	d = crashed(t, cfg, oops)
	wantEqual(t, "end", d.how(), Restarted)
	wantEqual(t, "Kernel panic", d.has("Kernel panic - not syncing: Fatal exception"), true)
	wantEqual(t, "end trace", d.has("end trace"), true)
}

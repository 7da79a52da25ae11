package simkernel

import (
	"slices"
	"testing"
	"time"
)

// TestNMISays is what each kernel says of an NMI that nobody has asked for, and does.
func TestNMISays(t *testing.T) {
	const (
		unknown = "0 Uhhuh. NMI received for unknown reason 21 on CPU 0."
		power   = "0 Do you have a strange power saving mode enabled?"
		goesOn  = "0 Dazed and confused, but trying to continue"
		serr    = "0 NMI: PCI system error (SERR) for reason a1 on CPU 0."
	)
	for _, test := range []struct {
		kernel string
		reason uint8
		want   []string
	}{
		{"linux-6.1-x86_64", 0x21, []string{unknown, goesOn}},
		{"linux-6.12-x86_64", 0x21, []string{unknown, goesOn}},
		{"linux-5.10-x86_64", 0x21, []string{unknown, power, goesOn}},
		{"linux-4.19-x86_64", 0x21, []string{unknown, power, goesOn}},
		{"linux-2.6.24-i386", 0x21, []string{unknown, power, goesOn}},
		{"linux-2.6.17-i386", 0x21, []string{
			"4 " + unknown[2:], "4 " + goesOn[2:], "4 " + power[2:],
		}},
		{"linux-6.1-x86_64", 0xa1, []string{serr, goesOn}},
		{"linux-4.19-x86_64", 0xa1, []string{serr, goesOn}},
		{"linux-2.6.24-i386", 0xa1, []string{
			"0 Uhhuh. NMI received for unknown reason a1 on CPU 0.",
			"0 You have some hardware problem, likely on the PCI bus.", goesOn,
		}},
		{"linux-2.6.17-i386", 0xa1, []string{
			"0 Uhhuh. NMI received. Dazed and confused, but trying to continue",
			"0 You probably have a hardware problem with your RAM chips",
		}},
		{"linux-6.1-arm64", 0x21, nil},
	} {
		d := crashed(t, Config{Kernel: test.kernel, Until: time.Minute}, Fail{How: NMI{Reason: test.reason}})
		if !slices.Equal(d.said, test.want) {
			t.Errorf("%s, %#x: said %q, want %q", test.kernel, test.reason, d.said, test.want)
		}
	}
	for kernel, first := range map[string]string{
		"linux-6.1-x86_64":  "0 NMI: IOCK error (debug interrupt?) for reason 61 on CPU 0.",
		"linux-2.6.24-i386": "0 NMI: IOCK error (debug interrupt?)",
	} {
		d := crashed(t, Config{Kernel: kernel, Until: time.Minute}, Fail{How: NMI{Reason: 0x61}})
		if len(d.said) < 2 || d.said[0] != first {
			t.Errorf("%s: said %q", kernel, d.said)
		}
	}
}

// TestIOCKWaits: the CPU is away for two seconds, and what needs it comes later.
func TestIOCKWaits(t *testing.T) {
	for panics, want := range map[string]time.Duration{
		"": 2999900 * time.Microsecond, "sysctl.kernel.panic_on_io_nmi=1 panic=1": 0,
	} {
		var came time.Duration
		m := New(Config{Cmdline: panics, Until: time.Minute})
		m.At(time.Second, Do(func(m *Machine) {
			m.interruptAt(m.now+time.Second, 0, Do(func(m *Machine) { came = m.now }))
		}), Fail{How: NMI{Reason: 0x61}})
		m.Boot(idle)
		if came != want {
			t.Errorf("%q: the interrupt came at %v, want %v", panics, came, want)
		}
	}
}

package knob_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/knob"
)

// TestTable: every knob has a name of its own, a file or none as its place says, and values that its
// own parser takes.
func TestTable(t *testing.T) {
	names, keys, paths := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, k := range knob.Table() {
		if k.Name == "" || names[k.Name] {
			t.Errorf("%q: no name, or one that is there twice", k.Name)
		}
		names[k.Name] = true
		if k.Key != "" && keys[k.Key] {
			t.Errorf("%s: the key %s is there twice", k.Name, k.Key)
		}
		keys[k.Key] = true
		if path := k.File(); (path == "") != (k.Place == knob.Boot) || path != "" && paths[path] {
			t.Errorf("%s: %v with the file %q, which must be its own", k.Name, k.Place, path)
		}
		paths[k.File()] = true
		if k.Min > k.Max {
			t.Errorf("%s: from %d to %d", k.Name, k.Min, k.Max)
		}
		for text := range strings.SplitSeq(k.Words, ",") {
			name, value, valued := strings.Cut(text, "=")
			if name == "" {
				continue
			}
			if !valued {
				value = name
			}
			if got, expected := k.Parse(name); got != value {
				t.Errorf("%s = %s: got %q, expected %q; want %q", k.Name, name, got, expected, value)
			}
			if got := k.Text(value + "\n"); got != name {
				t.Errorf("%s: the text of %q is %q, want %q", k.Name, value, got, name)
			}
		}
	}
	if got, least := len(names), 80; got < least {
		t.Errorf("%d knobs, want %d at least", got, least)
	}
}

// TestAbout: each knob is explained, and nothing else.
func TestAbout(t *testing.T) {
	for _, k := range knob.Table() {
		a := k.About()
		if a.Meaning == "" || !strings.HasSuffix(a.Meaning, ".") {
			t.Errorf("%s: the meaning is %q, want sentences", k.Name, a.Meaning)
		}
		for _, v := range []string{a.Since, a.Gone} {
			if v != "" && strings.Trim(v, "0123456789.") != "" {
				t.Errorf("%s: version %q, want numbers with dots", k.Name, v)
			}
		}
	}
}

// TestFiles: where a knob is.
func TestFiles(t *testing.T) {
	for _, c := range []struct{ name, file, path string }{
		{"kernel.panic", "/proc/sys/kernel/panic", "sys/kernel/panic"},
		{"vm.panic_on_oom", "/proc/sys/vm/panic_on_oom", "sys/vm/panic_on_oom"},
		{"kernel.ctrl-alt-del", "/proc/sys/kernel/ctrl-alt-del", "sys/kernel/ctrl-alt-del"},
		{
			"crash_kexec_post_notifiers", "/sys/module/kernel/parameters/crash_kexec_post_notifiers",
			"module/kernel/parameters/crash_kexec_post_notifiers",
		},
		{
			"watchdog.open_timeout", "/sys/module/watchdog/parameters/open_timeout",
			"module/watchdog/parameters/open_timeout",
		},
		{"/sys/kernel/reboot/mode", "/sys/kernel/reboot/mode", "kernel/reboot/mode"},
		{"panic_on_taint", "", ""},
	} {
		k := knob.ByName(c.name)
		if k == nil {
			t.Errorf("%s: not there", c.name)
			continue
		}
		if k.File() != c.file || k.Path() != c.path {
			t.Errorf("%s:\ngot  %q, %q\nwant %q, %q", c.name, k.File(), k.Path(), c.file, c.path)
		}
	}
}

// TestByName: a knob is found however people write its name.
func TestByName(t *testing.T) {
	for _, c := range []struct{ spelled, want string }{
		{"panic", "kernel.panic"},
		{"kernel/panic", "kernel.panic"},
		{"/proc/sys/kernel/panic", "kernel.panic"},
		{"panic_on_oom", ""}, // it is vm's
		{"vm/panic_on_oom", "vm.panic_on_oom"},
		{"kernel/reboot/mode", "/sys/kernel/reboot/mode"},
		{"/sys/module/watchdog/parameters/open_timeout", "watchdog.open_timeout"},
		{"panic.timeout", ""}, // a key
		{"", ""},
	} {
		got := ""
		if k := knob.ByName(c.spelled); k != nil {
			got = k.Name
		}
		if got != c.want {
			t.Errorf("ByName(%q): got %q, want %q", c.spelled, got, c.want)
		}
	}
	if k := knob.ByKey("panic.timeout"); k == nil || k.Name != "kernel.panic" {
		t.Errorf("ByKey(panic.timeout): got %v, want kernel.panic", k)
	}
	if k := knob.ByKey(""); k != nil {
		t.Errorf("ByKey of nothing: got %s, want none", k.Name)
	}
}

// TestParse: values as people write them, and what is said of those that are none.
func TestParse(t *testing.T) {
	const (
		timeouts = "never, now, a time from 1s to 596h31m23s in whole seconds with its unit " +
			"(s, m or h)"
		limits = "off, a number from 1 to 4294967295"
		prints = "none, tasks, mem, timers, locks, ftrace, replay, all_bt, blocked_tasks, a " +
			"number from 0 to 255, or several with commas between"
	)
	for _, c := range []struct{ key, text, value, expected string }{
		{"panic.timeout", "10s", "10", ""},
		{"panic.timeout", "1m30s", "90", ""},
		{"panic.timeout", "never", "0", ""},
		{"panic.timeout", "now", "-1", ""},
		{"panic.timeout", "2147483s", "2147483", ""},
		{"panic.timeout", "2147484s", "", timeouts},
		{"panic.timeout", "0s", "", timeouts},
		{"panic.timeout", "-1s", "", timeouts},
		{
			"panic.timeout", "10", "",
			timeouts,
		},
		{
			"panic.timeout", "1500ms", "",
			timeouts,
		},
		{"rcu_stall.timeout", "2s", "", "a time from 3s to 5m in whole seconds with its unit (s, m or h)"},
		{"panic.on_oops", "yes", "1", ""},
		{"panic.on_oops", "no", "0", ""},
		{"panic.on_oops", "1", "", "yes or no"},
		{"panic.on_oops", "", "", "yes or no"},
		{"crash_kexec.post_notifiers", "yes", "Y", ""},
		{"crash_kexec.post_notifiers", "no", "N", ""},
		{"panic.on_oom", "system", "1", ""},
		{"panic.on_oom", "yes", "", "one of no, system, always"},
		{"panic.oops_limit", "off", "0", ""},
		{"panic.oops_limit", "1", "1", ""},
		{"panic.oops_limit", "0x10", "", limits},
		{"panic.oops_limit", "1_0", "", limits},
		{"panic.oops_limit", "4294967296", "", limits},
		{"panic.print", "66", "66", ""},
		{"panic.print", "64,mem", "66", ""},
		{"panic.print", "mem,", "", prints},
		{"panic.print", "mem,all_bt", "66", ""},
		{"panic.print", "all_bt, mem, mem", "66", ""},
		{"panic.print", "none", "0", ""},
		{"panic.print", "256", "", prints},
		{
			"panic.print", "mem,tusks", "",
			prints,
		},
		{"reboot.mode", "warm", "warm", ""},
		{"reboot.mode", "tepid", "", "one of cold, warm, hard, soft, gpio"},
		{"printk.console_level", "8", "8", ""},
		{"printk.console_level", "0", "", "a number from 1 to 8"},
	} {
		value, expected := knob.ByKey(c.key).Parse(c.text)
		if value != c.value || expected != c.expected {
			t.Errorf("%s = %s:\ngot  %q, %q\nwant %q, %q", c.key, c.text, value, expected, c.value,
				c.expected)
		}
	}
}

// TestText: what the kernel's file shows, as rebound.conf has it.
func TestText(t *testing.T) {
	for _, c := range []struct{ key, shown, want string }{
		{"panic.timeout", "10\n", "10s"},
		{"panic.timeout", "0\n", "never"},
		{"panic.timeout", "-7\n", "-7"},
		{"panic.on_oops", "1\n", "yes"},
		{"panic.on_oops", "3\n", "3"},
		{"crash_kexec.post_notifiers", "N\n", "no"},
		{"panic.print", "66\n", "mem,all_bt"},
		{"panic.print", "0\n", "none"},
		{"panic.print", "257\n", "257"},
		{"printk.console_level", "4\t4\t1\t7\n", "4"},
		{"reboot.mode", "cold\n", "cold"},
	} {
		if got := knob.ByKey(c.key).Text(c.shown); got != c.want {
			t.Errorf("%s: %q is %q, want %q", c.key, c.shown, got, c.want)
		}
	}
}

// TestSetBy: words of the boot line that are the user's own word on a knob.
func TestSetBy(t *testing.T) {
	for _, c := range []struct {
		name, word string
		want       bool
	}{
		{"kernel.panic", "panic=5", true},
		{"kernel.panic", "panic", false},
		{"kernel.panic", "nopanic=1", false},
		{"kernel.panic", "sysctl.kernel.panic=5", true},
		{"kernel.panic", "sysctl/kernel/panic=5", true},
		{"kernel.panic", "sysctl.kernel.panic_on_oops=1", false},
		{"kernel.panic", "sysctl=1", false},
		{"kernel.panic_on_oops", "oops=panic", true},
		{"kernel.panic_on_oops", "oops=other", false},
		{"kernel.panic_on_oops", "panic_on_oops=1", false},
		{"kernel.panic_on_warn", "panic-on-warn=1", true},
		{"kernel.hardlockup_panic", "nmi_watchdog=panic", true},
		{"kernel.hardlockup_panic", "nmi_watchdog=panic,1", true},
		{"kernel.hardlockup_panic", "nmi_watchdog=0", false},
		{"kernel.nmi_watchdog", "nmi_watchdog=0", true},
		{"kernel.soft_watchdog", "nowatchdog", true},
		{"kernel.printk", "quiet", true},
		{"crash_kexec_post_notifiers", "crash_kexec_post_notifiers", true},
		{"crash_kexec_post_notifiers", "crash-kexec-post-notifiers=1", true},
		{"rcupdate.rcu_cpu_stall_timeout", "rcupdate.rcu_cpu_stall_timeout=60", true},
		{"kernel.print-fatal-signals", "print-fatal-signals=1", true},
	} {
		want := ""
		if c.want {
			want = c.word
		}
		line := "quiet_ " + c.word + " -- panic=7 sysctl.kernel.panic=7\n"
		if got := knob.ByName(c.name).SetBy(line); got != want {
			t.Errorf("%s by %q: got %q, want %q", c.name, line, got, want)
		}
	}
}

// TestPresets: each line of a preset is one that rebound.conf could have, and says no key twice. The
// two that save a machine differ from the kernel's defaults where it matters.
func TestPresets(t *testing.T) {
	for i, name := range knob.Presets() {
		p := knob.Preset(i)
		if p.String() != name {
			t.Errorf("preset %d: got %s, want %s", i, p, name)
		}
		made := make(map[string]string)
		for line := range strings.Lines(strings.TrimPrefix(p.Text(), "\n")) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
			k := knob.ByKey(key)
			if k == nil {
				t.Errorf("%v: no key %s", p, key)
				continue
			}
			v, expected := k.Parse(value)
			if expected != "" {
				t.Errorf("%v: %s = %s: expected %s", p, key, value, expected)
			}
			if made[key] != "" {
				t.Errorf("%v: %s twice", p, key)
			}
			made[key] = v
		}
		choices := knob.Plan{Preset: p}.Choices()
		if len(choices) != len(made) {
			t.Errorf("%v: %d choices of %d lines", p, len(choices), len(made))
		}
		for _, c := range choices {
			if made[c.Knob.Key] != c.Value || c.Asked {
				t.Errorf("%v: %s = %s, asked %t; want %s, unasked", p, c.Knob.Key, c.Value, c.Asked,
					made[c.Knob.Key])
			}
		}
	}
	for _, p := range []knob.Preset{knob.Comeback, knob.Capture} {
		for _, c := range (knob.Plan{Preset: p}).Choices() {
			if c.Knob.Key == "panic.timeout" && c.Knob.Off(c.Value) {
				t.Errorf("%v: panic.timeout = %s: it does not come back", p, c.Value)
			}
		}
	}
}

// TestPlan: what the user names comes over the preset, in the table's order, the last word counts.
func TestPlan(t *testing.T) {
	p := knob.Plan{Preset: knob.Comeback}
	if !p.Asks() || (knob.Plan{}).Asks() || !(knob.Plan{Preset: knob.Kernel}).Asks() {
		t.Error("a preset is something that is asked for, the standard is not")
	}
	p.Ask("panic.on_oops", "no")
	p.Ask("printk.console_level", "8")
	p.Ask("panic.timeout", "1m")
	p.Ask("panic.timeout", "30s")
	p.Ask("panic.on_warn", "yes")
	p.Ask("panic.on_warn", "")
	var asked, keys []string
	for _, c := range p.Choices() {
		keys = append(keys, c.Knob.Key)
		if c.Asked {
			asked = append(asked, c.Knob.Key+"="+c.Value)
		}
	}
	want := []string{"panic.timeout=30", "panic.on_oops=0", "printk.console_level=8"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked:\ngot  %q\nwant %q", asked, want)
	}
	var inOrder []string
	for _, k := range knob.Policy() {
		if slices.Contains(keys, k.Key) {
			inOrder = append(inOrder, k.Key)
		}
	}
	if !slices.Equal(keys, inOrder) {
		t.Errorf("order:\ngot  %q\nwant %q", keys, inOrder)
	}
}

// FuzzParse: whatever is written, a value that is taken is one that the kernel can hold, and means
// the same when it is read back.
func FuzzParse(f *testing.F) {
	for i, k := range knob.Policy() {
		f.Add(i, strings.ReplaceAll(k.Words, "=", ","))
		for _, s := range []string{
			"yes", "10s", "0", "-1", "0x10", "010", "mem,all_bt", "1h", "9999999999999999999s", "+1",
			"1_0", "0b11", "", ",", "-0",
		} {
			f.Add(i, s)
		}
	}
	all := knob.Table()
	f.Fuzz(func(t *testing.T, i int, text string) {
		k := all[uint(i)%uint(len(all))]
		value, expected := k.Parse(text)
		if (value == "") == (expected == "") {
			t.Fatalf("%s = %q: got %q and %q", k.Name, text, value, expected)
		}
		if expected != "" {
			return
		}
		if strings.ContainsAny(value, "\n\x00") {
			t.Errorf("%s = %q: %q is more than a line", k.Name, text, value)
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if bounded := k.Kind == knob.Number || k.Kind == knob.Seconds; bounded &&
			(err != nil || (n < k.Min || n > k.Max) && !strings.Contains(k.Words+",", "="+value+",")) {
			t.Errorf("%s = %q: %q is neither from %d to %d nor of %s", k.Name, text, value, k.Min,
				k.Max, k.Words)
		}
		// What is shown for it can be written again.
		again, expected := k.Parse(k.Text(value + "\n"))
		if k.Kind != knob.Text && (again != value || expected != "") {
			t.Errorf("%s = %q is %q, shown as %q, and that is %q (expected %q)", k.Name, text, value,
				k.Text(value), again, expected)
		}
	})
}

// TestTimesAreWrittenTheShortWay: and so that they can be read again.
func TestTimesAreWrittenTheShortWay(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                "0s",
		5 * time.Second:                  "5s",
		300 * time.Millisecond:           "300ms",
		10 * time.Minute:                 "10m",
		time.Hour:                        "1h",
		time.Hour + time.Second:          "1h0m1s",
		90 * time.Second:                 "1m30s",
		20 * time.Hour:                   "20h",
		time.Hour + 10*time.Minute:       "1h10m",
		-10 * time.Minute:                "-10m",
		100*time.Second + 10*time.Second: "1m50s",
	} {
		got := knob.Span(d)
		back, err := time.ParseDuration(got)
		if got != want || err != nil || back != d {
			t.Errorf("Span(%v)\n got  %s\n want %s", d, got, want)
		}
	}
}

package panicwatch_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// on runs something as PID 1 of a machine.
func on(c simkernel.Config, do func(m *simkernel.Machine, k kernel.Kernel)) {
	m := simkernel.New(c)
	m.Boot(func(k kernel.Kernel) int {
		do(m, k)
		return 0
	})
}

// shown is what a kernel shows of a knob.
func shown(t *testing.T, k kernel.Kernel, of *knob.Knob) string {
	t.Helper()
	read := k.Sys
	if of.Place == knob.Sysctl {
		read = k.Proc
	}
	b, err := read(of.Path())
	if err != nil {
		t.Errorf("%s: %v", of.Name, err)
	}
	return of.Shown(string(b))
}

// TestPresets applies every preset on every kernel that there is a model of: what the kernel has is
// as the preset says, what it lacks is said to be lacking, and a second time nothing is written.
func TestPresets(t *testing.T) {
	for _, name := range simkernel.Kernels() {
		for i := range knob.Presets() {
			plan := knob.Plan{Preset: knob.Preset(i)}
			t.Run(fmt.Sprint(name, "/", plan.Preset), func(t *testing.T) {
				on(simkernel.Config{Kernel: name}, func(m *simkernel.Machine, k kernel.Kernel) {
					outcomes := panicwatch.Apply(k, plan, nil)
					choices := plan.Choices()
					if len(outcomes) != len(choices) {
						t.Errorf("outcomes: got %d of %d choices", len(outcomes), len(choices))
					}
					for i := range outcomes {
						o := &outcomes[i]
						switch o.Result {
						case panicwatch.Lacking:
							if o.Worth() {
								t.Errorf("%v: worth a word, though nobody has asked", o)
							}
						case panicwatch.Same, panicwatch.Set:
							if got := shown(t, k, o.Knob); got != o.Value || o.Is != o.Value || o.Worth() {
								t.Errorf("%s: got %s, and %q was read back; want %s", o.Knob.Name, got, o.Is,
									o.Value)
							}
							if o.Check(k) {
								t.Errorf("%v: changed at once", o)
							}
						default:
							t.Errorf("%v", o)
						}
					}
					written := m.Calls("SetProc") + m.Calls("SetSys")
					again := panicwatch.Apply(k, plan, nil)
					for i := range again {
						if r := again[i].Result; r != panicwatch.Same && r != panicwatch.Lacking {
							t.Errorf("again: %v", &again[i])
						}
					}
					if n := m.Calls("SetProc") + m.Calls("SetSys") - written; n != 0 {
						t.Errorf("again: %d writes, want none", n)
					}
				})
			})
		}
	}
}

// TestNoWorseInBetween: on the way from one preset to another there is no moment at which a failure
// would become a panic that waits for ever, unless it would have before or will afterwards.
func TestNoWorseInBetween(t *testing.T) {
	hangs := func(t *testing.T, k kernel.Kernel) (by []string) {
		t.Helper()
		for i := range knob.Policy() {
			of := &knob.Policy()[i]
			if of.Name == "kernel.panic" && shown(t, k, of) != "0" {
				return nil
			}
			if of.Role != knob.Trigger || of.Name == "kernel.panic_on_stackoverflow" {
				continue
			}
			if !of.Off(shown(t, k, of)) {
				by = append(by, of.Name)
			}
		}
		return by
	}
	presets := []knob.Preset{knob.Comeback, knob.Capture, knob.Debug}
	for _, from := range presets {
		for _, to := range presets {
			t.Run(fmt.Sprint(from, " to ", to), func(t *testing.T) {
				on(simkernel.Config{}, func(_ *simkernel.Machine, k kernel.Kernel) {
					panicwatch.Apply(k, knob.Plan{Preset: from}, nil)
					allowed := hangs(t, k)
					var between [][]string
					told := simkernel.Traced(k, func(call string) {
						if strings.HasPrefix(call, "Set") {
							between = append(between, hangs(t, k))
						}
					})
					panicwatch.Apply(told, knob.Plan{Preset: to}, nil)
					allowed = append(allowed, hangs(t, k)...)
					for i, by := range between {
						for _, name := range by {
							if !slices.Contains(allowed, name) {
								t.Errorf("write %d: a panic by %s would wait for ever", i, name)
							}
						}
					}
					if from != to && len(between) == 0 {
						t.Error("nothing was written")
					}
				})
			})
		}
	}
}

// ask makes a plan of lines "key = value", the first of which may be a preset.
func ask(lines string) knob.Plan {
	var p knob.Plan
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " = ")
		if key == "panic.policy" {
			p.Preset = knob.Preset(slices.Index(knob.Presets(), value))
			continue
		}
		p.Ask(key, value)
	}
	return p
}

// TestApply: what is said of each choice, where something is to be said.
func TestApply(t *testing.T) {
	for _, c := range []struct {
		name, plan, boot, kernel string
		fail                     string // a call that always fails
		errno                    kernel.Errno
		want                     []string // what is worth a word
		set                      map[string]string
	}{
		{
			name: "what is asked for is so", plan: "panic.timeout = 1m\nreboot.mode = warm\n" +
				"crash_kexec.post_notifiers = yes\nprintk.console_level = 3\npanic.print = mem,all_bt",
			set: map[string]string{
				"kernel.panic": "60", "/sys/kernel/reboot/mode": "warm",
				"crash_kexec_post_notifiers": "Y", "kernel.printk": "3", "kernel.panic_print": "66",
			},
		},
		{
			name: "the boot line is the user's word, over a preset",
			plan: "panic.policy = comeback", boot: "panic=0 oops=other softlockup_panic=0",
			want: []string{
				"kernel.panic = 10: the kernel command line has panic=0: it stays 0",
				"kernel.softlockup_panic = 1: the kernel command line has softlockup_panic=0: it stays 0",
			},
			set: map[string]string{"kernel.panic": "0", "kernel.panic_on_oops": "1"},
		},
		{
			name: "and what says the same is no news",
			plan: "panic.policy = comeback", boot: "sysctl.kernel.panic=10 quiet",
			set: map[string]string{"kernel.panic": "10"},
		},
		{
			name: "but not over what is asked for in so many words",
			plan: "panic.policy = comeback\npanic.timeout = 30s", boot: "panic=5",
			set: map[string]string{"kernel.panic": "30"},
		},
		{
			name: "an older kernel lacks what is asked for", kernel: "linux-4.19-x86_64",
			plan: "reboot.mode = warm\npanic.on_stack_overflow = yes",
			want: []string{
				"/sys/kernel/reboot/mode = warm: this kernel has no such setting",
				"kernel.panic_on_stackoverflow = 1: this kernel has no such setting",
			},
		},
		{
			name: "a read-only proc", plan: "panic.on_oops = yes\ncrash_kexec.post_notifiers = yes",
			fail: "SetProc", errno: syscall.EROFS,
			want: []string{"kernel.panic_on_oops = 1: read-only file system: it stays 0"},
			set:  map[string]string{"crash_kexec_post_notifiers": "Y"},
		},
		{
			name: "no proc", plan: "panic.on_oops = yes", fail: "Proc", errno: kernel.ENODEV,
			want: []string{"kernel.panic_on_oops = 1: no such device"},
		},
		{
			name: "no sysfs", plan: "panic.on_oops = yes\ncrash_kexec.post_notifiers = yes",
			fail: "Sys", errno: kernel.ENODEV,
			want: []string{"crash_kexec_post_notifiers = Y: no such device"},
			set:  map[string]string{"kernel.panic_on_oops": "1"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(simkernel.Config{Kernel: c.kernel, Cmdline: c.boot}, func(m *simkernel.Machine, k kernel.Kernel) {
				if c.fail != "" {
					m.Fail(c.fail, 0, c.errno)
				}
				var got []string
				outcomes := panicwatch.Apply(k, ask(c.plan), []byte(c.boot+"\n"))
				for i := range outcomes {
					if outcomes[i].Worth() {
						got = append(got, outcomes[i].String())
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("said:\ngot  %q\nwant %q", got, c.want)
				}
				for name, want := range c.set {
					if got := shown(t, k, knob.ByName(name)); got != want {
						t.Errorf("%s: got %s, want %s", name, got, want)
					}
				}
			})
		})
	}
}

// other makes something else of what is written to a knob.
type other struct {
	kernel.Kernel
	name, value string
}

func (o other) SetProc(name, value string) error {
	if name == o.name {
		value = o.value
	}
	return o.Kernel.SetProc(name, value)
}

// TestAltered: what the kernel makes something else of is said, and what another has changed later is
// said once.
func TestAltered(t *testing.T) {
	on(simkernel.Config{}, func(_ *simkernel.Machine, k kernel.Kernel) {
		plan := ask("panic.timeout = 30s\npanic.on_oops = yes\nlockup.threshold = 20s")
		outcomes := panicwatch.Apply(other{k, "sys/kernel/panic", "25"}, plan, nil)
		var got []string
		say := func(i int) { got = append(got, outcomes[i].String()) }
		for i := range outcomes {
			if outcomes[i].Worth() {
				say(i)
			}
		}
		for _, name := range []string{"panic", "panic_on_oops", "watchdog_thresh"} {
			if err := k.SetProc("sys/kernel/"+name, "0"); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			for i := range outcomes {
				if outcomes[i].Check(k) {
					say(i)
				}
			}
		}
		// Of the first it was known that it is another, and the file of the third may wait.
		want := []string{
			"kernel.panic = 30: the kernel has made 25 of it",
			"kernel.panic_on_oops = 1: somebody has made 0 of it since",
		}
		if !slices.Equal(got, want) {
			t.Errorf("said:\ngot  %q\nwant %q", got, want)
		}
	})
}

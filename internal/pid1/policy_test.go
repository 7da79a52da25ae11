package pid1_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/pid1/pid1test"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// lastTo are the last values that were written to files of proc.
func lastTo(writes []string) map[string]string {
	last := make(map[string]string)
	for _, w := range writes {
		name, value, _ := strings.Cut(w, "=")
		last[name] = value
	}
	return last
}

// TestPolicy: what rebound.conf and the boot line ask for is set before anything runs, and what cannot
// be is said on the console.
func TestPolicy(t *testing.T) {
	const timeout, oops = "sys/kernel/panic", "sys/kernel/panic_on_oops"
	for _, c := range []struct {
		name, conf, boot string
		namespace        bool
		want             map[string]string
		console          string
	}{
		{name: "none", want: map[string]string{timeout: "10"}},
		{
			name: "comeback", conf: "panic.policy = comeback",
			want: map[string]string{
				timeout: "10", oops: "1", "sys/kernel/softlockup_panic": "1",
				"sys/kernel/hung_task_panic": "1", "sys/kernel/hung_task_timeout_secs": "600",
				"sys/kernel/hardlockup_panic": "1", "sys/kernel/panic_on_rcu_stall": "1",
				"sys/kernel/hung_task_check_interval_secs": "60",
			},
		},
		{
			name: "debug takes back what was set first", conf: "panic.policy = debug\npanic.on_oops = yes",
			want: map[string]string{
				timeout: "0", oops: "1", "sys/kernel/oops_limit": "0", "sys/kernel/panic_print": "207",
				"sys/kernel/oops_all_cpu_backtrace":       "1",
				"sys/kernel/softlockup_all_cpu_backtrace": "1",
				"sys/kernel/hardlockup_all_cpu_backtrace": "1",
				"sys/kernel/hung_task_all_cpu_backtrace":  "1",
				"sys/kernel/hung_task_warnings":           "-1", "sys/kernel/printk": "8",
			},
		},
		{name: "kernel", conf: "panic.policy = kernel", want: map[string]string{timeout: "0"}},
		{name: "kernel, on the boot line", boot: "rebound.panic.policy=kernel"},
		{
			name: "kernel with one setting", conf: "panic.policy = kernel\npanic.on_oops = yes",
			want: map[string]string{timeout: "0", oops: "1"},
		},
		{
			name: "a setting without a policy", conf: "panic.on_oops = yes",
			want: map[string]string{timeout: "10", oops: "1"},
		},
		{
			name: "the boot line wins over the file", conf: "panic.timeout = 1m\npanic.on_oops = yes",
			boot: "rebound.panic.timeout=now rebound.panic.on_oops=policy",
			want: map[string]string{timeout: "-1"},
		},
		{
			name: "the kernel's own words win over a preset", conf: "panic.policy = kernel",
			boot: "panic=7",
		},
		{
			name: "what the kernel lacks", conf: "panic.on_stack_overflow = yes",
			want:    map[string]string{timeout: "10"},
			console: "kernel.panic_on_stackoverflow = 1: this kernel has no such setting\n",
		},
		{
			name: "a container", conf: "panic.policy = comeback", namespace: true,
			console: "panic policy comeback: in a container the kernel is the host's: nothing is set\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{
				Config:  simkernel.Config{Cmdline: c.boot, Namespace: c.namespace},
				Conf:    c.conf,
				Inittab: "::sysinit:actor say up\n",
			})
			w.Boot()
			w.WantConsole(c.console + "up\n")
			got := lastTo(w.SetProcs)
			for name, value := range c.want {
				if got[name] != value {
					t.Errorf("%s: got %q, want %s", name, got[name], value)
				}
				delete(got, name)
			}
			if len(got) > 0 {
				t.Errorf("written, too: %v", got)
			}
		})
	}
}

// TestPolicyOnReadOnlyProc: each setting that the kernel refuses is said in a line of its own, and the
// machine boots.
func TestPolicyOnReadOnlyProc(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{
		Conf:    "panic.on_oops = yes\npanic.on_soft_lockup = yes\n",
		Inittab: "::sysinit:actor say up\n",
	})
	w.Fail("SetProc", 0, syscall.EROFS)
	w.Boot()
	w.WantConsole("kernel.panic_on_oops = 1: read-only file system: it stays 0\n" +
		"kernel.softlockup_panic = 1: read-only file system: it stays 0\nup\n")
}

// TestPolicyBehindOurBack: a setting of the policy that somebody has changed is said of in the log, once,
// when the inittab is read again or the machine goes down. Nobody is asked about others.
func TestPolicyBehindOurBack(t *testing.T) {
	const change = "kernel.panic_on_oops = 1: somebody has made 0 of it since"
	for _, c := range []struct {
		name, conf string
		signals    []kernel.Signal
		want       []string
	}{
		{
			name: "going down", conf: "panic.policy = comeback",
			signals: []kernel.Signal{kernel.SIGUSR2}, want: []string{change},
		},
		{
			name: "reload, and then going down", conf: "panic.policy = comeback",
			signals: []kernel.Signal{kernel.SIGHUP, kernel.SIGUSR2}, want: []string{change},
		},
		{
			name: "not in the policy", conf: "panic.on_oom = always",
			signals: []kernel.Signal{kernel.SIGHUP, kernel.SIGUSR2},
		},
		{name: "no policy", signals: []kernel.Signal{kernel.SIGHUP, kernel.SIGUSR2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := pid1test.New(t, pid1test.Setup{Conf: c.conf, Inittab: "::sysinit:actor say up\n"})
			w.At(time.Second, simkernel.SetProc{Name: "sys/kernel/panic_on_oops", Value: "0"})
			for i, sig := range c.signals {
				w.At(time.Duration(i+2)*time.Second, simkernel.Signals(sig))
			}
			w.Boot()
			var got []string
			for _, l := range w.Log() {
				if strings.Contains(l.Text, "since") {
					got = append(got, l.Text)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("log: got %q, want %q", got, c.want)
			}
		})
	}
}

// TestDefaultPolicyCosts: without a configuration the policy is one read and one write.
func TestDefaultPolicyCosts(t *testing.T) {
	w := pid1test.New(t, pid1test.Setup{Inittab: "::sysinit:actor say up\n"})
	w.Boot()
	// The other read is that of the command line.
	for call, want := range map[string]int{"Proc": 2, "SetProc": 1, "Sys": 0, "SetSys": 0} {
		if got := w.Calls(call); got != want {
			t.Errorf("%s: got %d calls, want %d", call, got, want)
		}
	}
}

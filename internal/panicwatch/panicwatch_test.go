package panicwatch_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/panicwatch"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestComeBack: a machine that would wait for ever after a panic comes back after ten seconds,
// unless the user has said something else, and what is wrong is said once.
func TestComeBack(t *testing.T) {
	const set = `SetProc(sys/kernel/panic, "10")`
	for _, c := range []struct {
		name    string
		knob    string // 0 if empty
		cmdline string
		fail    string // a call
		errno   kernel.Errno
		want    string // the knob afterwards
		touched bool
		log     []string
	}{
		{name: "the kernel's default", want: "10", touched: true},
		{
			name: "words that say nothing of it", cmdline: "quiet nopanic=1 panic_on_oops=1 panic",
			want: "10", touched: true,
		},
		{name: "another value is there", knob: "60", want: "60"},
		{name: "at once", knob: "-1", want: "-1"},
		{name: "the default was asked for", cmdline: "console=ttyS0 panic=0 quiet", want: "0"},
		{name: "and comes first", cmdline: "panic=0", want: "0"},
		{name: "another value was asked for", knob: "5", cmdline: "panic=5", want: "5"},
		{
			name: "no proc", fail: "Proc", errno: kernel.ENOENT, want: "0",
			log: []string{"kernel.panic: no such file or directory: a panic may wait for ever"},
		},
		{
			name: "a read-only proc", fail: "SetProc", errno: syscall.EROFS, want: "0",
			touched: true,
			log: []string{
				"kernel.panic = 10: read-only file system: a panic waits for ever",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls []string
			m := simkernel.New(simkernel.Config{})
			if c.knob == "" {
				c.knob = "0"
			}
			m.Apply(simkernel.SetProc{Name: "sys/kernel/panic", Value: c.knob})
			var after []byte
			m.Boot(func(k kernel.Kernel) int {
				if c.fail != "" {
					m.Fail(c.fail, 1, c.errno)
				}
				told := simkernel.Traced(k, func(call string) {
					if strings.HasPrefix(call, "SetProc") {
						calls = append(calls, call)
					}
				})
				panicwatch.ComeBack(told, []byte(c.cmdline+"\n"))
				var err error
				if after, err = k.Proc("sys/kernel/panic"); err != nil {
					t.Error(err)
				}
				return 0
			})
			if got := strings.TrimSpace(string(after)); got != c.want {
				t.Errorf("kernel.panic: got %s, want %s", got, c.want)
			}
			if touched := len(calls) == 1 && strings.HasPrefix(calls[0], set); touched != c.touched ||
				len(calls) > 1 {
				t.Errorf("written: got %q, want %s: %t", calls, set, c.touched)
			}
			var log []string
			for _, l := range m.Log() {
				if l.Kernel {
					continue
				}
				log = append(log, l.Text)
				if l.Level != kernel.Warning {
					t.Errorf("%q: level %d, want that of a warning", l.Text, l.Level)
				}
			}
			if !slices.Equal(log, c.log) {
				t.Errorf("log:\ngot  %q\nwant %q", log, c.log)
			}
		})
	}
}

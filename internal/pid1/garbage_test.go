package pid1

import (
	"testing"
	"unsafe"

	"github.com/rebound-init/rebound/internal/inittab"
	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// TestStartOfAServiceLeavesNoGarbage: what the start of one leaves behind, a boot leaves a thousand
// times, and Go's runtime keeps books about it for good.
func TestStartOfAServiceLeavesNoGarbage(t *testing.T) {
	var table inittab.Table
	for _, command := range []string{"/bin/service 1 2", "/bin/service 3", "-/bin/service"} {
		table = append(table, inittab.Entry{Action: inittab.Respawn, Command: command})
	}
	got := -1.0
	simkernel.New(simkernel.Config{}).Boot(func(k kernel.Kernel) int {
		in := New(k, Options{})
		in.env = []string{"HOME=/", "TERM=linux"}
		in.use(table)
		start := func(i int32) {
			if c := in.command(in.services.entry(i), nil); len(c.Paths) != 1 {
				t.Errorf("paths: got %q, want one", c.Paths)
			}
			in.services.started(i, kernel.PID(100+i))
		}
		got = testing.AllocsPerRun(100, func() {
			for i := range in.services.all {
				in.services.schedule(int32(i), 0)
			}
			for i, ok := in.services.takeDue(0); ok; i, ok = in.services.takeDue(0) {
				start(i)
			}
			for i := range in.services.all {
				in.services.ended(kernel.PID(100 + i))
			}
		})
		return 0
	})
	if got != 0 {
		t.Errorf("pieces of garbage for three starts: got %v, want 0", got)
	}
}

// TestSizes: the sizes that the arrays are made for.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want uintptr
	}{
		{"service", unsafe.Sizeof(service{}), serviceSize},
		{"running", unsafe.Sizeof(running{}), runningSize},
		{"place", unsafe.Sizeof(none), placeSize},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d bytes, want %d", c.what, c.got, c.want)
		}
	}
}

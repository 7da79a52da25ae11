package panicwatch

import (
	"testing"
	"time"
	"unsafe"
)

// TestAFloodTakesNoMemory: looking at a line takes no memory, whatever it is, unless something is done
// about it. And a follower is as large as one record and a bit.
func TestAFloodTakesNoMemory(t *testing.T) {
	f := &Follower{known: true}
	for _, text := range []string{
		"a line", "usb 1-1: Product: x: 0000 [#1]", "watchdog: something else", "INFO: task x:1 said something",
		"WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2", "BUG: kernel NULL pointer dereference, address: 0000000000000010",
		"Oops: 0002 [#1] SMP", "general protection fault, probably for x: 0000 [#1] SMP", "kernel BUG at x.c:1!",
		"rcu: INFO: rcu_preempt self-detected stall on CPU",
	} {
		for _, facility := range []string{"4", "30"} {
			record := []byte(facility + ",99999,1000,-,caller=T1;" + text + "\n SUBSYSTEM=x\n")
			if n := testing.AllocsPerRun(100, func() { f.take(record, time.Second) }); n != 0 {
				t.Errorf("%s: %v allocations", record, n)
			}
			if n := testing.AllocsPerRun(100, func() { f.take(record[:9], time.Second) }); n != 0 {
				t.Errorf("%s: %v allocations", record[:9], n)
			}
		}
	}
	if size := unsafe.Sizeof(*f); size > longest+1024 {
		t.Errorf("size: got %d, want at most %d", size, longest+1024)
	}
}

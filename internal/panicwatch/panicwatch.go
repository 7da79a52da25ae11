// Package panicwatch is the policy for kernel panics: what the kernel does when it, or init, dies.
package panicwatch

import (
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
)

// comeBackAfter is how long a panic stays on the screen, in seconds.
const comeBackAfter = "10"

// knob is the sysctl kernel.panic: 0 waits for ever, n reboots after n seconds (panic_timeout of
// kernel/panic.c).
const knob = "sys/kernel/panic"

// Kernel is what the policy needs.
type Kernel interface {
	kernel.Files
	kernel.Log
}

// ComeBack makes a machine that panics reboot, unless the user has said otherwise: with "panic=" on
// the kernel's command line, or by a value that is there already. It matters most for init itself,
// whose end is a panic.
func ComeBack(k Kernel, cmdline []byte) {
	for _, word := range strings.Fields(string(cmdline)) {
		if strings.HasPrefix(word, "panic=") {
			return
		}
	}
	now, err := k.Proc(knob)
	if err != nil {
		k.Log(kernel.Warning, "kernel.panic: "+err.Error()+": a panic may wait for ever")
		return
	}
	if strings.TrimSpace(string(now)) != "0" {
		return
	}
	if err := k.SetProc(knob, comeBackAfter); err != nil {
		k.Log(kernel.Warning, "kernel.panic = "+comeBackAfter+": "+err.Error()+
			": a panic waits for ever")
	}
}

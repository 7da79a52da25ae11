// Package panicwatch is the policy for kernel panics: what the kernel does when it, or init, dies.
package panicwatch

import (
	"strings"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/knob"
)

// comeBackAfter is how long a panic stays on the screen, in seconds.
const comeBackAfter = "10"

// panicTimeout is the sysctl kernel.panic: 0 waits for ever, n reboots after n seconds (panic_timeout
// of kernel/panic.c).
const panicTimeout = "sys/kernel/panic"

// Kernel is what the policy needs.
type Kernel interface {
	kernel.Files
	kernel.Log
}

// ComeBack makes a machine that panics reboot, unless the user has said otherwise: with "panic=" on
// the kernel's command line, or by a value that is there already. It matters most for init itself,
// whose end is a panic. It reports whether it has changed anything.
func ComeBack(k Kernel, cmdline []byte) bool {
	if boot := string(cmdline); knob.Policy()[0].SetBy(boot) != "" || strings.Contains(boot, leaveAlone) {
		return false
	}
	now, err := k.Proc(panicTimeout)
	if err != nil {
		k.Log(kernel.Warning, "kernel.panic: "+err.Error()+": a panic may wait for ever")
		return false
	}
	if strings.TrimSpace(string(now)) != "0" {
		return false
	}
	if err := k.SetProc(panicTimeout, comeBackAfter); err != nil {
		k.Log(kernel.Warning, "kernel.panic = "+comeBackAfter+": "+err.Error()+
			": a panic waits for ever")
		return false
	}
	return true
}

// leaveAlone is the word of the command line for a policy that touches nothing. If it stands in
// rebound.conf, that has not been read yet.
const leaveAlone = "rebound.panic.policy=kernel"

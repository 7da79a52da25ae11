package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// bootLine makes every record reach the console with its time, those of user space without
// the limit on their rate, and ends a reboot by a triple fault, at which QEMU exits.
const bootLine = "console=ttyS0 printk.time=1 printk.devkmsg=on loglevel=7 panic=-1 reboot=t"

// bootLimit is far above what a boot takes, seconds of the host's time, so that only a hung
// guest meets it.
const bootLimit = 3 * time.Minute

// timedOut is the exit status of timeout(1) when it had to end its command.
const timedOut = 124

// machine is what all contenders boot on. With -icount an instruction takes one nanosecond of
// guest time, and a guest with nothing to do is at its next timer at once: the kernel's time
// stamps count instructions and do not depend on the host.
func machine(kernel, initrd string) []string {
	return []string{
		"-M", "microvm", "-accel", "tcg", "-m", "1024", "-icount", "shift=0,sleep=off",
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
		"-kernel", kernel, "-initrd", initrd, "-append", bootLine,
	}
}

// boot boots the image once and returns what came out of the console. timeout(1) sees to it
// that no guest outlives a bench that was killed.
func boot(ctx context.Context, qemu, kernel, initrd string) (console string, err error) {
	limit := strconv.Itoa(int(bootLimit.Seconds()))
	args := append([]string{"--kill-after=5", limit, qemu}, machine(kernel, initrd)...)
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "timeout", args...)
	cmd.Stdout = &stdout
	cmd.Stderr = &stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err = cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == timedOut {
		err = fmt.Errorf("the guest was still up after %v", bootLimit)
	} else if err != nil {
		err = fmt.Errorf("%s: %w: %s", qemu, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), err
}

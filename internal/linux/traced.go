package linux

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// forkTraced starts a program that stops before its first instruction.
func forkTraced(path string) (int, error) {
	pid, err := syscall.ForkExec(path, []string{path}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, err
	}
	// It is stopped once wait4 says so; until then its limit may not yet be set.
	_, err = again(func() (int, error) { return unix.Wait4(pid, nil, 0, nil) })
	return pid, err
}

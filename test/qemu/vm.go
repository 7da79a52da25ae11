package qemu

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A VM is a machine that was started.
type VM struct {
	Machine Machine // with defaults filled in
	Monitor *Monitor

	consoles []*Console
	cmd      *exec.Cmd
	stderr   strings.Builder
	dir      string
	done     chan struct{} // closed when QEMU has gone; status is set then
	status   error
	kill     sync.Once
}

// An End says how a machine ended.
type End struct {
	// Reason is QEMU's: "guest-shutdown" (powered off), "guest-reset", "guest-panic",
	// "host-qmp-quit", "host-signal"; empty if QEMU was killed or never got so far.
	Reason string
	// Err is how the QEMU process ended, nil for exit status 0.
	Err error
}

// TimedOut reports whether the machine was ended because it had reached its Limit.
func (e End) TimedOut() bool {
	const timedOut = 124 // timeout(1)
	var exit *exec.ExitError
	return errors.As(e.Err, &exit) && exit.ExitCode() == timedOut
}

// Launch starts a machine. What its consoles say from the first byte on is kept. If tee is not
// nil, it gets a copy of the first console as it comes.
func Launch(m Machine, tee io.Writer) (vm *VM, err error) {
	if m, err = m.withDefaults(); err != nil {
		return nil, err
	}
	if err := m.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rebound-vm-")
	if err != nil {
		return nil, err
	}
	vm = &VM{Machine: m, dir: dir, done: make(chan struct{})}
	defer func() {
		if err != nil {
			vm.Kill()
		}
	}()
	initrd := ""
	if len(m.Initrd) > 0 || len(m.Files) > 0 {
		initrd = filepath.Join(dir, "initrd")
		if err := writeInitrd(initrd, m.Initrd, m.Files); err != nil {
			return vm, err
		}
	}
	program, args, err := m.Command(initrd)
	if err != nil {
		return vm, err
	}
	if err := vm.start(program, args, tee); err != nil {
		return vm, err
	}
	// The processor was held until somebody listened (-S).
	for _, command := range []string{"qmp_capabilities", "cont"} {
		if _, err := vm.Monitor.Execute(command, nil); err != nil {
			<-vm.done
			return vm, fmt.Errorf("%s: %w\n%s", program, err, vm.stderr.String())
		}
	}
	return vm, nil
}

// start runs QEMU with a socket pair for its monitor and one for each serial port.
//
// QEMU gets its ends as open files: there is no name to clash, no moment when nobody listens yet.
// It runs under timeout(1), in a process group of its own, so that it comes to an end even if
// this process is killed.
func (vm *VM) start(program string, args []string, tee io.Writer) error {
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
	}()
	connect := func() (net.Conn, int, error) {
		ours, other, err := socketPair()
		if err != nil {
			return nil, 0, err
		}
		theirs = append(theirs, other)
		return ours, 2 + len(theirs), nil // ExtraFiles begin with file descriptor 3
	}
	control, fd, err := connect()
	if err != nil {
		return err
	}
	vm.Monitor = newMonitor(control)
	args = append(args, "-S",
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", fd), "-mon", "chardev=monitor,mode=control")
	for i := range vm.Machine.Serial {
		line, fd, err := connect()
		if err != nil {
			return err
		}
		if room := vm.Machine.Room; room > 0 {
			their := int(theirs[len(theirs)-1].Fd())
			if err := unix.SetsockoptInt(their, unix.SOL_SOCKET, unix.SO_SNDBUF, room); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
		if i > 0 {
			tee = nil
		}
		vm.consoles = append(vm.consoles, newConsole(line, tee))
		serial, format := "-serial", "chardev:serial%d"
		if i > 0 && vm.Machine.Arch != "amd64" {
			// A board for ARM or RISC-V has one port of its own.
			serial, format = "-device", "pci-serial,chardev=serial%d"
		}
		args = append(args, "-chardev", fmt.Sprintf("socket,id=serial%d,fd=%d", i, fd),
			serial, fmt.Sprintf(format, i))
	}
	limit := strconv.FormatFloat(vm.Machine.Limit.Seconds(), 'f', 3, 64)
	vm.cmd = exec.Command("timeout", append([]string{"--kill-after=5", limit, program}, args...)...)
	vm.cmd.ExtraFiles = theirs
	vm.cmd.Stderr = &vm.stderr
	vm.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := vm.cmd.Start(); err != nil {
		vm.cmd = nil
		return err
	}
	go func() {
		vm.status = vm.cmd.Wait()
		close(vm.done)
	}()
	return nil
}

// socketPair makes two connected stream sockets, one for this process and one for a child.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file := os.NewFile(uintptr(fds[0]), "socket")
	defer file.Close() // FileConn has its own copy
	theirs = os.NewFile(uintptr(fds[1]), "socket")
	if ours, err = net.FileConn(file); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Console is serial port i, counted from 0. The first one is the kernel's console.
func (vm *VM) Console(i int) *Console { return vm.consoles[i] }

// Wait waits for the machine's end, and for the last of what its consoles had to say. It returns
// an error if the machine goes on.
func (vm *VM) Wait(within time.Duration) (End, error) {
	select {
	case <-vm.done:
	case <-time.After(within):
		return End{}, fmt.Errorf("the machine is still up after %v", within)
	}
	for _, c := range vm.consoles {
		c.finish()
	}
	end := End{Err: vm.status}
	if vm.status != nil && vm.stderr.Len() > 0 {
		end.Err = fmt.Errorf("%w: %s", vm.status, strings.TrimSpace(vm.stderr.String()))
	}
	// The last event may still be on its way. After it the connection ends.
	if shutdown, err := vm.Monitor.Await("SHUTDOWN", time.Minute); err == nil {
		end.Reason, _ = shutdown.Data["reason"].(string)
	}
	return end, nil
}

// gone reports whether the machine's process has been reaped. Its number may be somebody else's then.
func (vm *VM) gone() bool {
	select {
	case <-vm.done:
		return true
	default:
		return false
	}
}

// Kill ends the machine as if its plug were pulled, and frees what it held. It may be called
// again.
func (vm *VM) Kill() {
	vm.kill.Do(func() {
		if vm.cmd != nil && !vm.gone() {
			// The group: timeout(1) and QEMU.
			_ = unix.Kill(-vm.cmd.Process.Pid, unix.SIGKILL)
			<-vm.done
		}
		for _, c := range vm.consoles {
			c.close()
		}
		if vm.Monitor != nil {
			vm.Monitor.conn.Close()
		}
		os.RemoveAll(vm.dir)
	})
}

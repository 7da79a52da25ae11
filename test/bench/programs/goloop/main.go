// Command goloop is the floor of the language: what cloop.c does, in Go. It runs the
// action, starts the asker and as many services as its table says, reaps, and on TERM ends
// them all and reboots. It reports nothing and brings nothing back.
package main

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	signal.Notify(make(chan os.Signal, 1)) // All: Go dies of twelve that nobody asked for.
	events := make(chan os.Signal, 16)
	signal.Notify(events, syscall.SIGCHLD, syscall.SIGTERM)

	if pid := start("/bin/action"); pid > 0 {
		syscall.Wait4(pid, nil, 0, nil)
	}
	start("/bin/ask", "term")
	services := count("/etc/inittab")
	for i := 1; i <= services; i++ {
		start("/bin/service", strconv.Itoa(i), strconv.Itoa(services))
	}

	for event := range events {
		if event == syscall.SIGCHLD {
			reap(syscall.WNOHANG)
			continue
		}
		syscall.Kill(-1, syscall.SIGTERM)
		reap(0)
		syscall.Sync()
		syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	}
}

// start starts a program in a session of its own and returns its pid, 0 if it cannot. Who
// is missing is found by the asker, which counts the services.
func start(argv ...string) int {
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Files: []uintptr{0, 1, 2},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0
	}
	return pid
}

// count reads the number of services, 0 if it cannot.
func count(file string) int {
	fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer syscall.Close(fd)
	var buf [16]byte
	n, err := syscall.Read(fd, buf[:])
	if err != nil {
		return 0
	}
	services, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		return 0
	}
	return services
}

// reap waits for children until there is none left, or with WNOHANG none dead.
func reap(options int) {
	for {
		pid, err := syscall.Wait4(-1, nil, options, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == 0 {
			return
		}
	}
}

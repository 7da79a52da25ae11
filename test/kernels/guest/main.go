// Guest is PID 1 of the machines whose kernels are to fail, or the PID 1 of this project starts it. It
// does what lines on its console say,
// commands separated by ";", one after the other, and says on the console, as the kernel does and in
// order with it, how each went.
//
//	set KNOB VALUE          of /proc/sys/kernel or another of knobDirs
//	module NAME [WORD...]   loads /modules/NAME with these parameters; if it is not there, the
//	                        kernel has it built in
//	crash WAY               a child writes WAY to /proc/rebound-crash
//	crash& WAY              the same, but the child is not waited for
//	crash-init WAY          so does PID 1 itself
//	sysrq LETTER            writes to /proc/sysrq-trigger
//	watchdog N [T [PRE]]    opens watchdog N, sets its timeouts, and never feeds it
//	kexec WORD...           loads the crash kernel, with this command line
//	reboot                  restarts by reboot(2)
//	exit N                  PID 1 exits
//	kill 11                 PID 1, which has several threads, dies of a signal
//	wait SECONDS            leaves the processor to others
//	clock                   says what the HPET counts, which a monitor can read as well
//	poweroff                asks PID 1, which is another program then, to power off
//	init-dies WAY           asks that one to become this program and to die: exit, segv or oops
//	show FILE...            copies files that match to the console, each line behind "| "
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mark begins each line of the guest's own.
const mark = "rebound-kernels: "

// A report of the kernel about PID 1 names the thread that failed. This way it is the first one.
func init() { runtime.LockOSThread() }

func main() {
	if os.Getpid() == 1 && len(os.Args) > 1 && os.Args[1] == "die" {
		die()
	}
	if err := prepare(); err != nil {
		say("error %v", err)
	}
	boot := "first"
	if exists("/proc/vmcore") {
		boot = "capture"
	}
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = raw(fd)
	}
	if err != nil {
		say("error /dev/console: %v", err)
		select {}
	}
	// A file that was opened so is read and written without the runtime's poller.
	console := os.NewFile(uintptr(fd), "/dev/console")
	g := guest{console: console}
	say("ready %s", boot)
	lines := bufio.NewScanner(console)
	for lines.Scan() {
		for command := range strings.SplitSeq(lines.Text(), ";") {
			words := strings.Fields(command)
			if len(words) == 0 {
				continue
			}
			if err := g.do(words[0], words[1:]); err != nil {
				say("error %s: %v", command, err)
				continue
			}
			say("done %s", command)
		}
	}
	say("error end of console")
	select {}
}

// A guest keeps what must stay open.
type guest struct {
	console   *os.File
	watchdogs []*os.File
}

// say writes a line that is in order with those of the kernel. The kernel would keep a line without
// its end to itself, until the next one.
func say(format string, args ...any) {
	line := "<0>" + mark + fmt.Sprintf(format, args...) + "\n"
	fd, err := unix.Open("/dev/kmsg", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, []byte(line))
	_ = unix.Close(fd)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// prepare mounts what the commands need, and lets everything into the kernel's log.
func prepare() error {
	pin()
	var errs []error
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"},
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"pstore", "/sys/fs/pstore"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			errs = append(errs, err)
		}
		err := unix.Mount(m.kind, m.at, m.kind, 0, "")
		if err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.at, err))
		}
	}
	errs = append(errs, os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0), pinRCU())
	return errors.Join(errs...)
}

// pin keeps this thread on the first processor, so that reports name the same one each time.
func pin() { _ = pinTo(0) }

// pinTo keeps a thread on the first processor.
func pinTo(thread int) error {
	var first unix.CPUSet
	first.Set(0)
	return unix.SchedSetaffinity(thread, &first)
}

// pinRCU keeps the thread there that begins and ends RCU's grace periods. On a processor that is to be
// deaf it would begin none, and nobody would see that none ends.
func pinRCU() error {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	found := false
	for _, path := range names {
		name, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		switch strings.TrimSpace(string(name)) {
		case "rcu_preempt", "rcu_sched":
			thread, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return err
			}
			if err := pinTo(thread); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			found = true
		}
	}
	if !found {
		return errors.New("no thread of RCU")
	}
	return nil
}

// raw takes the echo and the line editing from the console.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Lflag &^= unix.ECHO | unix.ICANON | unix.ISIG
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (g *guest) do(verb string, args []string) error {
	n := 0
	if len(args) > 0 {
		n, _ = strconv.Atoi(args[0])
	}
	switch {
	case verb == "set" && len(args) >= 2:
		return set(args[0], strings.Join(args[1:], " "))
	case verb == "module" && len(args) >= 1:
		return loadModule(args[0], strings.Join(args[1:], " "))
	case verb == "crash" && len(args) == 1:
		return inChild("echo " + args[0] + " >/proc/rebound-crash")
	case verb == "crash&" && len(args) == 1:
		return child("echo " + args[0] + " >/proc/rebound-crash").Start()
	case verb == "crash-init" && len(args) == 1:
		return become("echo " + args[0] + " >/proc/rebound-crash")
	case verb == "sysrq" && len(args) == 1:
		return os.WriteFile("/proc/sysrq-trigger", []byte(args[0]), 0)
	case verb == "watchdog" && len(args) >= 1:
		return g.watchdog(args)
	case verb == "kexec":
		return loadCrashKernel(strings.Join(args, " "))
	case verb == "reboot":
		return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	case verb == "exit" && len(args) == 1:
		return become("exit " + args[0])
	case verb == "kill" && len(args) == 1:
		return dieOf(unix.Signal(n))
	case verb == "wait" && len(args) == 1:
		return unix.Nanosleep(&unix.Timespec{Sec: int64(n)}, nil)
	case verb == "clock":
		return clock()
	case verb == "poweroff":
		return unix.Kill(1, unix.SIGUSR2)
	case verb == "init-dies" && len(args) == 1:
		if err := os.WriteFile(wayToDie, []byte(args[0]), 0o600); err != nil {
			return err
		}
		return unix.Kill(1, unix.SIGQUIT)
	case verb == "show":
		return g.show(args)
	}
	return errors.New("no such command")
}

// knobDirs are where a knob's file may lie.
var knobDirs = []string{
	"/proc/sys/kernel", "/proc/sys/vm", "/sys/module/kernel/parameters",
	"/sys/module/rcupdate/parameters", "/sys/module/printk/parameters",
	"/sys/kernel/reboot", "/sys/class/watchdog/watchdog0",
}

func set(knob, value string) error {
	for _, dir := range knobDirs {
		if path := filepath.Join(dir, knob); exists(path) {
			return os.WriteFile(path, []byte(value+"\n"), 0)
		}
	}
	return fs.ErrNotExist
}

// child is a shell. It has but one thread: an oops ends only the thread that had it.
func child(script string) *exec.Cmd {
	return &exec.Cmd{Path: "/crasher", Args: []string{"sh", "-c", script}}
}

// become makes a shell of PID 1, for the same reason.
func become(script string) error {
	return unix.Exec("/shell/init", []string{"sh", "-c", script}, nil)
}

// inChild lets a child do something, and tells how it ended.
func inChild(script string) error {
	err := child(script).Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		status := exit.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			return fmt.Errorf("signal %d", int(status.Signal()))
		}
		return fmt.Errorf("status %d", status.ExitStatus())
	}
	return err
}

func loadModule(name, params string) error {
	path, flags := filepath.Join("/modules", name+".ko"), 0
	if !exists(path) {
		const compressed = 4 // MODULE_INIT_COMPRESSED_FILE
		path, flags = path+".xz", compressed
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), params, flags)
}

// loadCrashKernel loads /kernel and /capture.cpio into the memory that crashkernel= has reserved.
// A kernel that cannot read the files itself comes with a program that can.
func loadCrashKernel(cmdline string) error {
	if exists("/sbin/kexec") {
		return runKexec(cmdline)
	}
	kernel, err := os.Open("/kernel")
	if err != nil {
		return err
	}
	defer kernel.Close()
	initrd, err := os.Open("/capture.cpio")
	if err != nil {
		return err
	}
	defer initrd.Close()
	line := append([]byte(cmdline), 0)
	const onCrash = 2 // KEXEC_FILE_ON_CRASH
	_, _, errno := unix.Syscall6(unix.SYS_KEXEC_FILE_LOAD, kernel.Fd(), initrd.Fd(),
		uintptr(len(line)), uintptr(unsafe.Pointer(&line[0])), onCrash, 0)
	if errno != 0 {
		return os.NewSyscallError("kexec_file_load", errno)
	}
	return nil
}

// runKexec lets kexec(8) load them. Purgatory is not to compute digests: without caches that takes a
// simulated ARM half a minute, and another one for a CPU that is busy beside it.
func runKexec(cmdline string) error {
	if err := nameText(); err != nil {
		return err
	}
	defer unix.Unmount(symbols, 0)
	said, err := exec.Command("/sbin/kexec", "--kexec-syscall", "--load-panic", "--no-checks",
		"--initrd=/capture.cpio", "--append="+cmdline, "/kernel").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(strings.Fields(string(said)), " "))
	}
	return nil
}

const symbols = "/proc/kallsyms"

// nameText lets the kernel's symbols have _text. From it kexec(8) learns in which half of the addresses
// the kernel is, but Debian's kernel names only functions, and so only _stext behind it.
func nameText() error {
	all, err := os.ReadFile(symbols)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(all)) {
		at, ok := strings.CutSuffix(line, " T _stext\n")
		if !ok {
			continue
		}
		if err := os.WriteFile("/symbols", []byte(at+" T _text\n"+line), 0o644); err != nil {
			return err
		}
		return unix.Mount("/symbols", symbols, "", unix.MS_BIND, "")
	}
	return errors.New("the kernel has no _stext")
}

// watchdog opens a watchdog and sets its timeout and pretimeout, in seconds. The pretimeout must
// be the shorter one, so it comes second.
func (g *guest) watchdog(args []string) error {
	f, err := os.OpenFile("/dev/watchdog"+args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	g.watchdogs = append(g.watchdogs, f)
	requests := []uint{unix.WDIOC_SETTIMEOUT, unix.WDIOC_SETPRETIMEOUT}
	for i, arg := range args[1:] {
		n, err := strconv.Atoi(arg)
		if err != nil || i >= len(requests) {
			return fmt.Errorf("timeout %q: want a timeout and a pretimeout in seconds", arg)
		}
		if err := unix.IoctlSetPointerInt(int(f.Fd()), requests[i], n); err != nil {
			return os.NewSyscallError("ioctl", err)
		}
	}
	// A pretimeout counts from the first time that it is fed with it.
	_, err = f.Write([]byte{0})
	return err
}

// dieOf ends this process by a signal that the kernel raises for something it did: any other
// would not end PID 1.
func dieOf(s unix.Signal) error {
	if s != unix.SIGSEGV {
		return errors.New("only SIGSEGV is known how to die of")
	}
	// Go handles it, unless the kernel's own action is put back.
	var action struct{ handler, flags, restorer, mask uintptr }
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s),
		uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	*(*int)(unsafe.Add(unsafe.Pointer(nil), 8)) = 1
	return nil
}

// wayToDie says how PID 1 is to die when it restarts as this program.
const wayToDie = "/way-to-die"

// die is what PID 1 does then.
func die() {
	if err := clock(); err != nil {
		say("error clock: %v", err)
	}
	way, err := os.ReadFile(wayToDie)
	switch string(way) {
	case "segv":
		err = dieOf(unix.SIGSEGV)
	case "oops":
		err = become("echo null-write >/proc/rebound-crash")
	}
	if err != nil {
		say("error %s: %v", way, err)
	}
	os.Exit(1)
}

// clock says what the main counter of the HPET has. It needs iomem=relaxed: the kernel uses it, too.
func clock() error {
	const base, counter = 0xfed00000, 0xf0
	mem, err := os.OpenFile("/dev/mem", os.O_RDONLY|unix.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	page, err := unix.Mmap(int(mem.Fd()), base, os.Getpagesize(), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return os.NewSyscallError("mmap", err)
	}
	say("hpet %d", *(*uint64)(unsafe.Pointer(&page[counter])))
	return unix.Munmap(page)
}

// show copies files to the console itself. The kernel is silent meanwhile, so that no line of its
// own comes between.
func (g *guest) show(patterns []string) error {
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			fmt.Fprintf(g.console, "file %s %d %v\n", f, len(text), err)
			for line := range strings.Lines(string(text)) {
				fmt.Fprintf(g.console, "| %s\n", strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return unix.IoctlSetInt(int(g.console.Fd()), unix.TCSBRK, 1)
}

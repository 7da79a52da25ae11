// Package halt is the commands reboot, halt and poweroff.
//
// Each asks PID 1 by the signal that BusyBox's init knows (SIGTERM, SIGUSR1, SIGUSR2) and exits
// at once; with -f it calls reboot(2) itself. The difference to BusyBox is in what may go wrong:
//
//   - PID 1 is asked before any disk is touched, and does the syncing. BusyBox syncs first, so a
//     disk that no longer answers keeps the request from ever being made [BusyBox 6.7, 10.14].
//   - With -f the sync is a child's, and is left behind when it makes no progress.
//   - A PID 1 that would not hear is not reported as success [BusyBox 6.9, 10.13]. Other inits are
//     asked in their own way where a signal says the same, and otherwise not at all.
//   - "reboot ARG" hands ARG to the firmware (reboot(2), LINUX_REBOOT_CMD_RESTART2) instead of
//     dropping it [BusyBox 6.2, 10.12].
//
// The package is linked into the init program as well, which serves the commands by the name it
// is called: it has no globals, does nothing at start, and uses none of os/exec, regexp and
// flag packages, which would cost every process of PID 1's program.
package halt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/halt/rebootparam"
	"github.com/rebound-init/rebound/internal/utmp"
)

// Exit statuses.
const (
	accepted = 0 // PID 1 has been told, or there was nothing to ask
	refused  = 1 // bad usage, no permission, or PID 1 cannot have heard
)

// Time limits.
const (
	// recordLimit is for the record in wtmp: /var/log may be on a disk that no longer answers.
	recordLimit = 2 * time.Second
	// lookLimit is for reading about PID 1: /proc/1/cmdline waits for a lock that PID 1 may
	// hold while it waits for a disk.
	lookLimit = 2 * time.Second
	// listenLimit is for a PID 1 that does not listen yet. BusyBox's commands wait up to 4 s
	// for an init that the kernel has started a moment ago [BusyBox 6.12]; that init, like
	// ours, listens a few milliseconds after its start.
	listenLimit = time.Second
	listenPause = 50 * time.Millisecond
)

// A system is what the commands ask of the running system. Paths are absolute.
type system interface {
	Getpid() int
	Now() time.Time
	Sleep(d time.Duration)
	// Within runs f, which may hang, and reports whether it came back in time. What f writes
	// may be read only if it did.
	Within(limit time.Duration, f func()) bool

	// OutliveTerm makes this process ignore SIGTERM and SIGHUP from now on.
	OutliveTerm()
	// Kill is kill(2).
	Kill(pid int, sig unix.Signal) error
	// Reboot is reboot(2); a non-empty arg goes with RESTART2. It returns only if refused.
	Reboot(cmd uint32, arg string) error
	// StartSync starts sync(2) where it can hang without harm; SyncDone says whether it is over.
	StartSync() error
	SyncDone() bool

	// ReadFile returns up to limit bytes of a file.
	ReadFile(path string, limit int) ([]byte, error)
	Readlink(path string) (string, error)
	// SameFile says whether two paths lead to one file.
	SameFile(a, b string) bool
	// Release is the kernel's release, as uname -r prints it.
	Release() string
	// AppendRecord appends a record to wtmp, made for the layout of the running machine. It is
	// not an error if the file does not exist.
	AppendRecord(r utmp.Record) error
	// PlaceParam and RemoveParam write and remove the file of package rebootparam. To remove
	// what is not there is not an error.
	PlaceParam(content []byte) error
	RemoveParam() error
}

// Main runs the command that argv[0] names and returns the exit status: 0 if the request was
// accepted, 1 if it was refused or cannot have been heard. The version is what --version prints.
func Main(argv []string, version string, stdout, stderr io.Writer) int {
	return run(argv, version, stdout, stderr, &linux{})
}

// A command is one call of reboot, halt or poweroff.
type command struct {
	settings
	sys    system
	stderr io.Writer
}

func run(argv []string, version string, stdout, stderr io.Writer, sys system) int {
	if len(argv) == 0 {
		argv = []string{"reboot"}
	}
	action, ok := ActionOf(argv[0])
	if !ok {
		fmt.Fprintf(stderr, "%s: called by an unknown name, expected reboot, halt or poweroff\n", argv[0])
		return refused
	}
	c := command{sys: sys, stderr: stderr}
	s, err := parse(action, argv[1:])
	c.settings = s
	switch {
	case err != nil:
		c.say("%v", err)
		fmt.Fprint(stderr, usage(action))
		return refused
	case c.help:
		fmt.Fprint(stdout, usage(action))
		return accepted
	case c.version:
		fmt.Fprintf(stdout, "%s (Rebound) %s\n", action, version)
		return accepted
	}
	var param []byte
	if c.arg != "" {
		if param, err = rebootparam.Encode(c.arg); err != nil {
			c.say("%v", err)
			return refused
		}
	}
	if c.ignored != "" {
		c.say("argument %q means nothing to %s and is ignored", c.ignored, action)
	}
	c.sys.Sleep(c.delay)
	switch {
	case c.wtmpOnly:
		if err := c.record(); err != nil {
			c.say("%v", err)
			return refused
		}
		return accepted
	case c.force:
		return c.reboot()
	}
	return c.ask(param)
}

// say prints one line for the user.
func (c *command) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, "%s: %s\n", c.action, fmt.Sprintf(format, args...))
}

// fail prints a failed call as the C library words it, which is what people search their logs
// for, and returns the exit status.
func (c *command) fail(err error) int {
	c.say("%s", strerror(err))
	return refused
}

// record writes the shutdown record, in limited time.
func (c *command) record() error {
	r := utmp.Shutdown(c.sys.Release(), c.sys.Now())
	var err error
	if !c.sys.Within(recordLimit, func() { err = c.sys.AppendRecord(r) }) {
		return fmt.Errorf("%s: no answer within %v", wtmpPath, recordLimit)
	}
	return err
}

// recordOrSay is record for those who have something more important to do.
func (c *command) recordOrSay() {
	if err := c.record(); err != nil {
		c.say("%v; going on without the record", err)
	}
}

// ask asks PID 1. The param is the content of rebootparam's file, nil if there is no argument.
//
// Everything that can be refused is looked at before the first trace is left, so that a refused
// reboot is not in wtmp, where BusyBox leaves one.
func (c *command) ask(param []byte) int {
	if c.sys.Getpid() == 1 {
		c.say("this is PID 1 itself, there is no init to ask; use %s -f", c.action)
		return refused
	}
	if err := c.sys.Kill(1, 0); err != nil {
		return c.fail(err)
	}
	sig, note, err := c.choose(param != nil)
	if err != nil {
		c.say("%v", err)
		return refused
	}
	if param != nil {
		err = c.sys.PlaceParam(param)
	} else {
		// One that was left by a command that died before its signal is not for this restart.
		err = c.sys.RemoveParam()
	}
	if err != nil && param != nil {
		c.say("cannot tell PID 1 the argument: %v; use reboot -f %s", err, c.arg)
		return refused
	}
	if err != nil {
		c.say("%v", err)
	}
	c.recordOrSay()
	// PID 1 may send SIGTERM to all before this process has ended, and whoever waits for it must
	// not take that for a failure.
	c.sys.OutliveTerm()
	if err := c.sys.Kill(1, sig); err != nil {
		if param != nil {
			if err := c.sys.RemoveParam(); err != nil {
				c.say("%v", err)
			}
		}
		return c.fail(err)
	}
	if note != "" {
		c.say("%s", note)
	}
	return accepted
}

// choose finds the signal for PID 1, or says why there is none. The note is for the user, once
// the signal is sent.
func (c *command) choose(withArg bool) (sig unix.Signal, note string, err error) {
	p, err := c.look()
	if err != nil {
		// BusyBox gives up without /proc [BusyBox 6.11]. A machine can do without it, and the
		// signal of a BusyBox-style init is the best guess there is.
		if withArg {
			return 0, "", fmt.Errorf("cannot see whether PID 1 takes an argument (%w); use reboot -f %s",
				err, c.arg)
		}
		sig = recognise(process{same: true}).signals[c.action]
		return sig, fmt.Sprintf("%s sent; cannot see whether PID 1 listens (%v)",
			signalName(sig), err), nil
	}
	d := recognise(p)
	if withArg && !d.takes && c.runsRebound() {
		d = recognise(process{same: true})
	}
	sig = d.signals[c.action]
	if sig == 0 {
		return 0, "", fmt.Errorf("PID 1 is %s, which takes no signal for %s; use %s, or %s -f",
			d.name, c.action, d.instead, c.action)
	}
	for deadline := c.sys.Now().Add(listenLimit); !p.listens(sig); {
		if !c.sys.Now().Before(deadline) {
			return 0, "", fmt.Errorf("PID 1 (%s) neither catches nor blocks %s: it would not hear; "+
				"use %s -f", p.comm, signalName(sig), c.action)
		}
		c.sys.Sleep(listenPause)
		if now, err := c.look(); err == nil {
			p = now
		}
	}
	switch {
	case withArg && !d.takes:
		instead := ""
		if d.instead != "" {
			instead = d.instead + " or "
		}
		return 0, "", fmt.Errorf("PID 1 is %s, which cannot be told the argument %q; use %sreboot -f %s",
			d.name, c.arg, instead, c.arg)
	case d.unsure:
		note = fmt.Sprintf("%s sent to PID 1 (%s), which is no init known here", signalName(sig), p.comm)
	}
	return sig, note, nil
}

// look reads what /proc tells about PID 1, in limited time. What only root may see is left out.
func (c *command) look() (process, error) {
	var p process
	var err error
	if !c.sys.Within(lookLimit, func() { p, err = c.lookUnlimited() }) {
		return process{}, fmt.Errorf("/proc/1: no answer within %v", lookLimit)
	}
	return p, err
}

func (c *command) lookUnlimited() (process, error) {
	// In a new PID namespace /proc may still show the old one, whose PID 1 is not ours.
	self, err := c.sys.Readlink("/proc/self")
	if err != nil {
		return process{}, fmt.Errorf("no /proc: %s", strerror(err))
	}
	if self != strconv.Itoa(c.sys.Getpid()) {
		return process{}, fmt.Errorf("/proc is that of another PID namespace: self is %q, expected %d",
			self, c.sys.Getpid())
	}
	text, err := c.sys.ReadFile("/proc/1/status", 64<<10)
	if err != nil {
		return process{}, fmt.Errorf("/proc/1/status: %s", strerror(err))
	}
	var p process
	if p.comm, p.hears, err = parseStatus(text); err != nil {
		return process{}, err
	}
	p.exe, _ = c.sys.Readlink("/proc/1/exe")
	p.same = c.sys.SameFile("/proc/1/exe", "/proc/self/exe")
	cmdline, _ := c.sys.ReadFile("/proc/1/cmdline", 4<<10)
	p.cmdline = string(cmdline)
	return p, nil
}

// runsRebound says whether PID 1's program is Rebound's init though it is not the file that this
// command runs from. It reads the program, so it is asked only if there is an argument to pass.
func (c *command) runsRebound() bool {
	var program []byte
	return c.sys.Within(lookLimit, func() {
		program, _ = c.sys.ReadFile("/proc/1/exe", 32<<20)
	}) && isRebound(program)
}

// reboot is -f: record, sync, reboot(2).
func (c *command) reboot() int {
	c.recordOrSay()
	if !c.noSync {
		c.sync()
	}
	cmd := [...]uint32{
		Halt:     unix.LINUX_REBOOT_CMD_HALT,
		PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF,
		Reboot:   unix.LINUX_REBOOT_CMD_RESTART,
	}[c.action]
	if c.arg != "" {
		cmd = unix.LINUX_REBOOT_CMD_RESTART2
	}
	if err := c.sys.Reboot(cmd, c.arg); err != nil {
		return c.fail(err)
	}
	return accepted
}

// strerror words an error as the C library does: Go's texts for errno values begin with a small
// letter.
func strerror(err error) string {
	errno, ok := errors.AsType[unix.Errno](err)
	if !ok {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// unwritten returns how much is waiting to be written to disks, in kB, from the text of
// /proc/meminfo. It reports false if the text does not tell.
func unwritten(meminfo []byte) (kB int64, ok bool) {
	dirty, writeback := int64(-1), int64(-1)
	for line := range bytes.Lines(meminfo) {
		key, value, _ := strings.Cut(string(line), ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseUint(number, 10, 48)
		switch {
		case err != nil:
		case key == "Dirty":
			dirty = int64(n)
		case key == "Writeback":
			writeback = int64(n)
		}
	}
	return dirty + writeback, dirty >= 0 && writeback >= 0
}

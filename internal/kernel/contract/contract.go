// Package contract says what PID 1 may rely on: a list of checks that every kernel.Kernel must
// pass, the running kernel and the simulated one alike. It is what keeps the model honest.
//
// A check runs as PID 1 of a world of its own, because what it finds there depends on which
// processes there are.
package contract

//lint:file-ignore ST1005 The errors begin with the names of the methods that they are about.

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// World is where a check runs.
type World struct {
	// Actor is the command of a program that does as its steps say: see package actor.
	Actor func(steps ...string) *kernel.Command
	// Dir is a directory, File a plain file in it that is not executable, and its text is
	// FileText. Missing is a path in Dir where nothing is.
	Dir, File, Missing string
	// Terminal is a terminal that is nobody's controlling terminal, or empty.
	Terminal string
}

// FileText is what stands in World.File.
const FileText = "plain\n"

// Check is one thing that must be so.
type Check struct {
	Name string
	// Run returns what is wrong.
	Run func(k kernel.Kernel, w World) error
	// Ends, if not 0, is how PID 1 ends in a PID namespace before Run returns, as its parent
	// sees it.
	Ends kernel.WaitStatus
}

// patience bounds every wait of a check. On a loaded machine nothing is quick.
const patience = time.Minute

// while is long enough for something wrong to happen.
const while = 50 * time.Millisecond

// Checks are all of them.
func Checks() []Check {
	return []Check{
		{Name: "no child: ECHILD", Run: noChild},
		{Name: "no child has ended: EAGAIN", Run: noneEnded},
		{Name: "exit status", Run: exitStatus},
		{Name: "all are reaped", Run: allReaped},
		{Name: "program missing", Run: programMissing},
		{Name: "program not executable", Run: notExecutable},
		{Name: "program is a directory", Run: programIsDirectory},
		{Name: "paths in turn", Run: pathsInTurn},
		{Name: "terminal missing", Run: terminalMissing},
		{Name: "a NUL in an argument: EINVAL", Run: nulInArgument},
		{Name: "exec that fails", Run: execFails},
		{Name: "stdio that fails leaves what was", Run: stdioFails},
		{Name: "lowest signal first", Run: lowestFirst},
		{Name: "a signal many times comes once", Run: manyTimes},
		{Name: "CONT takes back a TSTP", Run: contAfterStop},
		{Name: "TSTP and CONT: never both", Run: stopAfterCont},
		{Name: "KILL and STOP do not reach PID 1", Run: unkillable},
		{Name: "no such process: ESRCH", Run: noSuchProcess},
		{Name: "a zombie can be signaled", Run: zombieSignaled},
		{Name: "a wrong signal: ESRCH, then EINVAL", Run: wrongSignal},
		{Name: "a group can be signaled", Run: groupSignaled},
		{Name: "a stopped orphan stays stopped", Run: stoppedOrphan},
		{Name: "KillAll with nobody there: ESRCH", Run: killAllNobody},
		{Name: "KillAll counts zombies", Run: killAllZombies},
		{Name: "KillAll", Run: killAll},
		{Name: "an ignored signal does nothing", Run: ignored},
		{Name: "stopped: TERM waits for CONT", Run: stoppedTerm},
		{Name: "stopped: KILL does not wait", Run: stoppedKill},
		{Name: "orphans come to PID 1", Run: orphans},
		{Name: "a child's session, group and masks", Run: session},
		{Name: "the deadline", Run: deadline},
		{Name: "a plain file is ready at once, once", Run: plainReady},
		{Name: "close ends the watch", Run: closeEndsWatch},
		{Name: "bad descriptor", Run: badDescriptor},
		{Name: "the kernel log of a container: EPERM", Run: followLog},
		{Name: "reopen", Run: reopen},
		{Name: "reopen a high descriptor", Run: reopenHigh},
		{Name: "terminal", Run: terminal},
		{Name: "what a terminal has not sent", Run: unsent},
		{Name: "files", Run: files},
		{Name: "write at", Run: writeAt},
		{Name: "remove", Run: remove},
		{Name: "sync", Run: sync},
		{Name: "a child that does nothing", Run: nothing},
		{Name: "a watchdog that is none", Run: noWatchdog},
		{Name: "CAD_OFF in a namespace: EINVAL", Run: cadOff},
		{Name: "RESTART", Run: reboot(kernel.Restart), Ends: 1},
		{Name: "RESTART2", Run: reboot(kernel.Restart2), Ends: 1},
		{Name: "HALT", Run: reboot(kernel.Halt), Ends: 2},
		{Name: "POWER_OFF", Run: reboot(kernel.PowerOff), Ends: 2},
		{Name: "PID 1 restarts itself", Run: rebootSelf, Ends: 1},
		{Name: "setsid twice: EPERM", Run: setsid},
		{Name: "change directory", Run: chdir},
		{Name: "proc", Run: proc},
		{Name: "sysfs", Run: sysfs},
	}
}

// want compares an error with an errno; 0 is no error.
func want(what string, err error, errno kernel.Errno) error {
	if errno == 0 && err != nil || errno != 0 && !errors.Is(err, errno) {
		w := "no error"
		if errno != 0 {
			w = errno.Error()
		}
		return fmt.Errorf("%s: got %v, want %s", what, err, w)
	}
	return nil
}

// nextSignal waits for a signal and returns the next event if that is not it.
func nextSignal(k kernel.Kernel, sig kernel.Signal) error {
	ev := k.Next(k.Now() + patience)
	if s, ok := ev.(kernel.Signaled); !ok || s.Signal != sig {
		return fmt.Errorf("Next: got %#v, want %v", ev, sig)
	}
	return nil
}

// quiet says whether nothing happens for a while.
func quiet(k kernel.Kernel) error {
	if ev := k.Next(k.Now() + while); ev != (kernel.Expired{}) {
		return fmt.Errorf("Next: got %#v, want nothing for %v", ev, while)
	}
	return nil
}

// until lets time pass until something is so.
func until(k kernel.Kernel, what string, so func() bool) error {
	for end := k.Now() + patience; !so(); {
		if k.Now() > end {
			return fmt.Errorf("%s: not within %v", what, patience)
		}
		k.Next(k.Now() + 5*time.Millisecond)
	}
	return nil
}

// reap waits for one child to end.
func reap(k kernel.Kernel) (kernel.Exit, error) {
	var e kernel.Exit
	var err error
	late := until(k, "a child's end", func() bool {
		e, err = k.Wait()
		return !errors.Is(err, kernel.EAGAIN)
	})
	return e, errors.Join(late, err)
}

// spawn starts an actor.
func spawn(k kernel.Kernel, w World, steps ...string) (kernel.PID, error) {
	return k.Spawn(w.Actor(steps...))
}

// ready starts an actor and waits until it has done its first steps.
func ready(k kernel.Kernel, w World, steps ...string) (kernel.PID, error) {
	pid, err := spawn(k, w, append(steps, "kill 1 USR1", "pause")...)
	if err != nil {
		return 0, err
	}
	return pid, nextSignal(k, kernel.SIGUSR1)
}

// ended compares a child's end.
func ended(e kernel.Exit, pid kernel.PID, status kernel.WaitStatus) error {
	if e.PID != pid || e.Status != status || e.Failed != nil {
		return fmt.Errorf("Wait: got %+v, want the end of %d with status %#x", e, pid, status)
	}
	return nil
}

// state is a process's state, as proc says it.
func state(k kernel.Kernel, pid kernel.PID) string {
	f := stat(k, pid)
	if f == nil {
		return ""
	}
	return f[0]
}

// isProcess reports whether a number is that of a process, not of one of its other threads.
func isProcess(k kernel.Kernel, pid kernel.PID) bool {
	b, err := k.Proc(fmt.Sprintf("%d/status", pid))
	return err == nil && strings.Contains(string(b), fmt.Sprintf("\nTgid:\t%d\n", pid))
}

// stat are the fields of /proc/PID/stat after the name.
func stat(k kernel.Kernel, pid kernel.PID) []string {
	b, err := k.Proc(fmt.Sprintf("%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

func noChild(k kernel.Kernel, w World) error {
	_, err := k.Wait()
	return want("Wait", err, kernel.ECHILD)
}

func noneEnded(k kernel.Kernel, w World) error {
	if _, err := spawn(k, w, "pause"); err != nil {
		return err
	}
	_, err := k.Wait()
	return want("Wait", err, kernel.EAGAIN)
}

func exitStatus(k kernel.Kernel, w World) error {
	pid, err := spawn(k, w, "exit 3")
	if err != nil {
		return err
	}
	if err := nextSignal(k, kernel.SIGCHLD); err != nil {
		return err
	}
	e, err := k.Wait()
	if err != nil {
		return err
	}
	if err := ended(e, pid, 3<<8); err != nil {
		return err
	}
	return noChild(k, w)
}

func allReaped(k kernel.Kernel, w World) error {
	ends := make(map[kernel.PID]kernel.WaitStatus)
	for i := range 5 {
		pid, err := spawn(k, w, fmt.Sprint("exit ", i))
		if err != nil {
			return err
		}
		ends[pid] = kernel.WaitStatus(i) << 8
	}
	// In which order is left open: it depends on which thread of PID 1 forked and waits.
	for len(ends) > 0 {
		e, err := reap(k)
		if err != nil {
			return err
		}
		status, mine := ends[e.PID]
		if !mine {
			return fmt.Errorf("Wait: got %+v, want one of %v", e, ends)
		}
		if err := ended(e, e.PID, status); err != nil {
			return err
		}
		delete(ends, e.PID)
	}
	return noChild(k, w)
}

// fails starts a command that cannot be started.
func fails(k kernel.Kernel, c *kernel.Command, stage kernel.Stage, errno kernel.Errno) error {
	pid, err := k.Spawn(c)
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	if e.PID != pid || e.Failed == nil ||
		*e.Failed != (kernel.StartError{Stage: stage, Errno: errno}) {
		return fmt.Errorf("Wait: got %+v (%v), want stage %d, %v", e, e.Failed, stage, errno)
	}
	return nil
}

func program(w World, paths ...string) *kernel.Command {
	c := w.Actor("exit 0")
	c.Paths = paths
	return c
}

func programMissing(k kernel.Kernel, w World) error {
	return fails(k, program(w, w.Missing), kernel.StageExec, kernel.ENOENT)
}

func notExecutable(k kernel.Kernel, w World) error {
	// EACCES is said though the last path is missing.
	return fails(k, program(w, w.File, w.Missing), kernel.StageExec, eacces)
}

func programIsDirectory(k kernel.Kernel, w World) error {
	return fails(k, program(w, w.Dir), kernel.StageExec, eacces)
}

func pathsInTurn(k kernel.Kernel, w World) error {
	c := w.Actor("exit 4")
	c.Paths = append([]string{w.Missing, w.File + "/x", w.File}, c.Paths...)
	pid, err := k.Spawn(c)
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, 4<<8)
}

func terminalMissing(k kernel.Kernel, w World) error {
	c := w.Actor("exit 0")
	c.TTY = w.Missing
	return fails(k, c, kernel.StageTTY, kernel.ENOENT)
}

func nulInArgument(k kernel.Kernel, w World) error {
	c := w.Actor("exit 0")
	c.Argv = append(c.Argv, "a\x00b")
	_, err := k.Spawn(c)
	return want("Spawn", err, kernel.EINVAL)
}

func execFails(k kernel.Kernel, w World) error {
	err := k.Exec(program(w, w.Missing))
	if err := want("Exec", err, kernel.ENOENT); err != nil {
		return err
	}
	var start *kernel.StartError
	if !errors.As(err, &start) || start.Stage != kernel.StageExec {
		return fmt.Errorf("Exec: got %#v, want stage %d", err, kernel.StageExec)
	}
	c := w.Actor("exit 0")
	c.TTY = w.Missing
	err = k.Exec(c)
	if err := want("Exec on a terminal", err, kernel.ENOENT); err != nil {
		return err
	}
	if !errors.As(err, &start) || start.Stage != kernel.StageTTY {
		return fmt.Errorf("Exec: got %#v, want stage %d", err, kernel.StageTTY)
	}
	return exitStatus(k, w)
}

func stdioFails(k kernel.Kernel, w World) error {
	for _, ctty := range []bool{false, true} {
		err := want("Stdio", k.Stdio(w.Missing, ctty), kernel.ENOENT)
		if err != nil {
			return err
		}
		for fd := range kernel.FD(3) {
			n, err := k.Reopen(fd, kernel.Out)
			if err != nil {
				return fmt.Errorf("descriptor %d after Stdio(ctty=%t): %w", fd, ctty, err)
			}
			if err := k.Close(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle gives a real kernel time to hand over what has been sent, without a call of Next. A
// simulated one needs none and none passes.
func settle(k kernel.Kernel, w World) {
	for range 50 {
		for range 10_000 {
			k.Now()
		}
		k.Exists(w.Missing)
	}
}

func lowestFirst(k kernel.Kernel, w World) error {
	for _, sig := range []kernel.Signal{kernel.SIGTERM, kernel.SIGUSR1, kernel.SIGHUP} {
		if err := k.Kill(1, sig); err != nil {
			return err
		}
	}
	settle(k, w)
	for _, sig := range []kernel.Signal{kernel.SIGHUP, kernel.SIGUSR1, kernel.SIGTERM} {
		if err := nextSignal(k, sig); err != nil {
			return err
		}
	}
	return quiet(k)
}

func manyTimes(k kernel.Kernel, w World) error {
	// On its way through the Go runtime it can be pending in more than one place, but it is
	// not counted.
	const times = 200
	for range times {
		if err := k.Kill(1, kernel.SIGUSR2); err != nil {
			return err
		}
	}
	n := 0
	for {
		ev := k.Next(k.Now() + while)
		if ev == (kernel.Expired{}) {
			break
		}
		if ev != (kernel.Signaled{Signal: kernel.SIGUSR2}) {
			return fmt.Errorf("Next: got %#v", ev)
		}
		n++
	}
	if n < 1 || n > times/10 {
		return fmt.Errorf("signal sent %d times: got it %d times, want it once or little more", times, n)
	}
	return nil
}

// Stopping and going on cancel each other (signal(7)). If both came, the lower number would be
// CONT: PID 1 would go on and then stop for good.
func contAfterStop(k kernel.Kernel, w World) error {
	return onlyLast(k, w, kernel.SIGTSTP, kernel.SIGCONT)
}

func stopAfterCont(k kernel.Kernel, w World) error {
	err := onlyLast(k, w, kernel.SIGCONT, kernel.SIGTSTP)
	if err == nil {
		return nil
	}
	// A runtime that hands signals over by number cannot tell which came first. Then the pause
	// is the one to go, for one that nobody ends is worse than one that is missed.
	return onlyLast(k, w, kernel.SIGTSTP, kernel.SIGCONT)
}

// onlyLast sends two signals and wants the last one only.
func onlyLast(k kernel.Kernel, w World, first, last kernel.Signal) error {
	for _, sig := range []kernel.Signal{first, last} {
		if err := k.Kill(1, sig); err != nil {
			return err
		}
		settle(k, w)
	}
	if err := nextSignal(k, last); err != nil {
		return err
	}
	return quiet(k)
}

func unkillable(k kernel.Kernel, w World) error {
	for _, sig := range []kernel.Signal{kernel.SIGKILL, sigstop} {
		if err := want("Kill", k.Kill(1, sig), 0); err != nil {
			return err
		}
	}
	return quiet(k)
}

func noSuchProcess(k kernel.Kernel, w World) error {
	pid, err := spawn(k, w, "exit 0")
	if err != nil {
		return err
	}
	if _, err := reap(k); err != nil {
		return err
	}
	if err := want("Kill", k.Kill(pid, 0), kernel.ESRCH); err != nil {
		return err
	}
	return want("Kill", k.Kill(1, 65), kernel.EINVAL)
}

func zombieSignaled(k kernel.Kernel, w World) error {
	pid, err := spawn(k, w, "exit 0")
	if err != nil {
		return err
	}
	err = until(k, "a zombie", func() bool { return state(k, pid) == "Z" })
	if err != nil {
		return err
	}
	return want("Kill", k.Kill(pid, kernel.SIGKILL), 0)
}

// Whether there is anybody is asked first [Kernel 7.20].
func wrongSignal(k kernel.Kernel, w World) error {
	const wrong = 65
	if err := want("KillAll", k.KillAll(wrong), kernel.ESRCH); err != nil {
		return err
	}
	pid, err := ready(k, w)
	if err != nil {
		return err
	}
	if err := want("KillAll", k.KillAll(wrong), kernel.EINVAL); err != nil {
		return err
	}
	if err := want("Kill", k.Kill(pid, wrong), kernel.EINVAL); err != nil {
		return err
	}
	if err := killed(k, pid); err != nil {
		return err
	}
	return want("Kill", k.Kill(pid, wrong), kernel.ESRCH)
}

// A group can be signaled as long as it has a member, be it a zombie [Kernel 7.21].
func groupSignaled(k kernel.Kernel, w World) error {
	pid, err := ready(k, w)
	if err != nil {
		return err
	}
	if err := want("Kill", k.Kill(-pid, kernel.SIGTERM), 0); err != nil {
		return err
	}
	if err := until(k, "a zombie", func() bool { return state(k, pid) == "Z" }); err != nil {
		return err
	}
	if err := want("Kill", k.Kill(-pid, kernel.SIGTERM), 0); err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	if err := ended(e, pid, kernel.WaitStatus(kernel.SIGTERM)); err != nil {
		return err
	}
	return want("Kill", k.Kill(-pid, kernel.SIGTERM), kernel.ESRCH)
}

// A stopped process that comes to PID 1 is sent neither HUP nor CONT if nobody in its session but
// not in its group was there to continue it before [Kernel 7.34].
func stoppedOrphan(k kernel.Kernel, w World) error {
	parent, err := spawn(k, w, "fork", "stop", "exit 5")
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	if err := ended(e, parent, 0); err != nil {
		return err
	}
	// Its number is not known, but it is the only one.
	orphan := parent
	err = until(k, "a stopped orphan", func() bool {
		for pid := parent + 1; pid < parent+20; pid++ {
			// Any thread has a directory in proc, though only processes are listed. One that is
			// stopped may be ahead of its process.
			if state(k, pid) == "T" && isProcess(k, pid) {
				orphan = pid
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	for range 5 {
		k.Next(k.Now() + while)
	}
	if s := state(k, orphan); s != "T" {
		return fmt.Errorf("state: got %q, want T", s)
	}
	if err := k.Kill(orphan, kernel.SIGCONT); err != nil {
		return err
	}
	if e, err = reap(k); err != nil {
		return err
	}
	return ended(e, orphan, 5<<8)
}

func killAllNobody(k kernel.Kernel, w World) error {
	return want("KillAll", k.KillAll(0), kernel.ESRCH)
}

func killAllZombies(k kernel.Kernel, w World) error {
	if err := zombieSignaled(k, w); err != nil {
		return err
	}
	if err := want("KillAll", k.KillAll(0), 0); err != nil {
		return err
	}
	if _, err := reap(k); err != nil {
		return err
	}
	return killAllNobody(k, w)
}

func killAll(k kernel.Kernel, w World) error {
	const n = 4
	for range n {
		if _, err := ready(k, w); err != nil {
			return err
		}
	}
	if err := want("KillAll", k.KillAll(kernel.SIGTERM), 0); err != nil {
		return err
	}
	for range n {
		e, err := reap(k)
		if err != nil {
			return err
		}
		if err := ended(e, e.PID, kernel.WaitStatus(kernel.SIGTERM)); err != nil {
			return err
		}
	}
	return killAllNobody(k, w)
}

func ignored(k kernel.Kernel, w World) error {
	pid, err := ready(k, w, "ignore TERM")
	if err != nil {
		return err
	}
	if err := k.Kill(pid, kernel.SIGTERM); err != nil {
		return err
	}
	if err := quiet(k); err != nil {
		return err
	}
	return killed(k, pid)
}

// killed sends SIGKILL and waits.
func killed(k kernel.Kernel, pid kernel.PID) error {
	if err := k.Kill(pid, kernel.SIGKILL); err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, kernel.WaitStatus(kernel.SIGKILL))
}

// stopped starts an actor and waits until it is stopped, which PID 1 is told by SIGCHLD.
func stopped(k kernel.Kernel, w World) (kernel.PID, error) {
	pid, err := spawn(k, w, "stop", "pause")
	if err != nil {
		return 0, err
	}
	if err := nextSignal(k, kernel.SIGCHLD); err != nil {
		return 0, err
	}
	if s := state(k, pid); s != "T" {
		return 0, fmt.Errorf("state: got %q, want T", s)
	}
	_, err = k.Wait()
	return pid, want("Wait", err, kernel.EAGAIN)
}

func stoppedTerm(k kernel.Kernel, w World) error {
	pid, err := stopped(k, w)
	if err != nil {
		return err
	}
	if err := k.Kill(pid, kernel.SIGTERM); err != nil {
		return err
	}
	if err := quiet(k); err != nil {
		return err
	}
	if err := k.Kill(pid, kernel.SIGCONT); err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, kernel.WaitStatus(kernel.SIGTERM))
}

func stoppedKill(k kernel.Kernel, w World) error {
	pid, err := stopped(k, w)
	if err != nil {
		return err
	}
	return killed(k, pid)
}

func orphans(k kernel.Kernel, w World) error {
	parent, err := spawn(k, w, "fork", "exit 5")
	if err != nil {
		return err
	}
	var statuses [2]kernel.WaitStatus
	for range statuses {
		e, err := reap(k)
		if err != nil {
			return err
		}
		i := 0
		if e.PID != parent {
			i = 1
		}
		statuses[i] = e.Status
	}
	if statuses != [2]kernel.WaitStatus{0, 5 << 8} {
		return fmt.Errorf("statuses of parent and orphan: got %#x, want 0 and 0x500", statuses)
	}
	return noChild(k, w)
}

func session(k kernel.Kernel, w World) error {
	pid, err := ready(k, w)
	if err != nil {
		return err
	}
	f := stat(k, pid)
	if len(f) < 4 {
		return fmt.Errorf("stat: got %q", f)
	}
	if me := fmt.Sprint(pid); f[1] != "1" || f[2] != me || f[3] != me {
		return fmt.Errorf("parent, group and session: got %q, want 1 and twice %s", f[1:4], me)
	}
	b, err := k.Proc(fmt.Sprintf("%d/status", pid))
	if err != nil {
		return err
	}
	for _, key := range []string{"SigBlk", "SigIgn"} {
		line := key + ":\t0000000000000000\n"
		if !strings.Contains(string(b), line) {
			return fmt.Errorf("%d/status: got no %q in:\n%s", pid, line, b)
		}
	}
	return nil
}

func deadline(k kernel.Kernel, w World) error {
	at := k.Now() + while
	if ev := k.Next(at); ev != (kernel.Expired{}) {
		return fmt.Errorf("Next: got %#v, want the deadline", ev)
	}
	if now := k.Now(); now < at {
		return fmt.Errorf("Next: came back at %v, before %v", now, at)
	}
	now := k.Now()
	if ev := k.Next(0); ev != (kernel.Expired{}) {
		return fmt.Errorf("Next: got %#v, want a deadline in the past", ev)
	}
	if took := k.Now() - now; took > patience {
		return fmt.Errorf("Next: took %v for a deadline in the past", took)
	}
	return nil
}

func plainReady(k kernel.Kernel, w World) error {
	fd, err := k.Open(w.File)
	if err != nil {
		return err
	}
	if err := k.Watch(fd, kernel.In); err != nil {
		return err
	}
	ev := k.Next(k.Now() + patience)
	if ev != (kernel.Ready{FD: fd, What: kernel.In}) {
		return fmt.Errorf("Next: got %#v, want descriptor %d ready", ev, fd)
	}
	return quiet(k)
}

func closeEndsWatch(k kernel.Kernel, w World) error {
	fd, err := k.Open(w.File)
	if err != nil {
		return err
	}
	if err := k.Watch(fd, kernel.In); err != nil {
		return err
	}
	if err := k.Close(fd); err != nil {
		return err
	}
	return quiet(k)
}

func badDescriptor(k kernel.Kernel, w World) error {
	const fd = 77
	var b [1]byte
	_, readErr := k.Read(fd, b[:])
	_, writeErr := k.Write(fd, b[:])
	_, reopenErr := k.Reopen(fd, kernel.In)
	return errors.Join(
		want("Read", readErr, ebadf),
		want("Write", writeErr, ebadf),
		// It is looked up by its name in proc, and there it is not.
		anError("Reopen", reopenErr),
		want("Watch", k.Watch(fd, kernel.In), ebadf),
		want("Close", k.Close(fd), ebadf),
	)
}

// followLog: the log is the host's, though its device may be there.
func followLog(k kernel.Kernel, w World) error {
	for _, from := range []kernel.LogStart{kernel.LogEnd, kernel.LogOldest} {
		_, err := k.FollowLog(from)
		if err := want("FollowLog", err, kernel.EPERM); err != nil {
			return err
		}
	}
	return nil
}

func anError(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: got no error, want one", what)
	}
	return nil
}

func reopen(k kernel.Kernel, w World) error {
	fd, err := k.Open(w.File)
	if err != nil {
		return err
	}
	// What has been read through the one is not read again through the other.
	b := make([]byte, 2*len(FileText))
	for _, text := range []string{FileText, ""} {
		again, err := k.Reopen(fd, kernel.In)
		if err != nil {
			return err
		}
		if again == fd || again < 3 {
			return fmt.Errorf("Reopen: got %d for %d, want a new one above 2", again, fd)
		}
		n, err := k.Read(again, b)
		if err != nil || string(b[:n]) != text {
			return fmt.Errorf("Read: got %q, %v, want %q", b[:n], err, text)
		}
		if err := k.Close(again); err != nil {
			return err
		}
	}
	return nil
}

func reopenHigh(k kernel.Kernel, w World) error {
	for fd := kernel.FD(0); fd < 12; {
		var err error
		if fd, err = k.Open("/dev/null"); err != nil {
			return err
		}
		again, err := k.Reopen(fd, kernel.Out)
		if err != nil {
			return fmt.Errorf("Reopen(%d): %w", fd, err)
		}
		if err := k.Close(again); err != nil {
			return err
		}
	}
	return nil
}

func terminal(k kernel.Kernel, w World) error {
	if w.Terminal == "" {
		return nil
	}
	fd, err := k.Open(w.Terminal)
	if err != nil {
		return err
	}
	var b [16]byte
	_, err = k.Read(fd, b[:])
	if err := want("Read", err, kernel.EAGAIN); err != nil {
		return err
	}
	if k.IsVT(fd) {
		return fmt.Errorf("IsVT(%s): got true", w.Terminal)
	}
	k.Sane(fd)
	if err := k.Watch(fd, kernel.Out); err != nil {
		return err
	}
	ev := k.Next(k.Now() + patience)
	if ev != (kernel.Ready{FD: fd, What: kernel.Out}) {
		return fmt.Errorf("Next: got %#v, want descriptor %d ready", ev, fd)
	}
	if n, err := k.Write(fd, []byte("x\n")); n != 2 || err != nil {
		return fmt.Errorf("Write: got %d, %v, want 2", n, err)
	}
	// It becomes the controlling terminal of a child that is started on it.
	c := w.Actor("kill 1 USR1", "pause")
	c.TTY = w.Terminal
	first, err := k.Spawn(c)
	if err != nil {
		return err
	}
	if err := nextSignal(k, kernel.SIGUSR1); err != nil {
		return err
	}
	if f := stat(k, first); len(f) < 5 || f[4] == "0" {
		return fmt.Errorf("controlling terminal: got %q, want one", f)
	}
	// But not of a second one: it is taken.
	second, err := k.Spawn(c)
	if err != nil {
		return err
	}
	if err := nextSignal(k, kernel.SIGUSR1); err != nil {
		return err
	}
	if f := stat(k, second); len(f) < 5 || f[4] != "0" {
		return fmt.Errorf("controlling terminal: got %q, want none", f)
	}
	return nil
}

// Nobody reads the terminal, but it is no serial line: what is written has left.
func unsent(k kernel.Kernel, w World) error {
	const bad = 77
	if n := k.Unsent(bad); n != 0 {
		return fmt.Errorf("Unsent(%d), which is not open: got %d", bad, n)
	}
	for _, path := range []string{w.File, "/dev/null", w.Terminal} {
		if path == "" {
			continue
		}
		fd, err := k.Open(path)
		if err != nil {
			return err
		}
		if _, err := k.Write(fd, []byte("x\n")); err != nil {
			return err
		}
		if err := until(k, path+" has sent all", func() bool { return k.Unsent(fd) == 0 }); err != nil {
			return err
		}
		if err := k.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

func files(k kernel.Kernel, w World) error {
	b, err := k.ReadFile(w.File)
	if err != nil || string(b) != FileText {
		return fmt.Errorf("ReadFile: got %q, %v, want %q", b, err, FileText)
	}
	for path, errno := range map[string]kernel.Errno{
		w.Missing: kernel.ENOENT, w.Dir: kernel.EISDIR, w.File + "/x": enotdir,
	} {
		_, err := k.ReadFile(path)
		if err := want("ReadFile "+path, err, errno); err != nil {
			return err
		}
	}
	for path, exists := range map[string]bool{
		w.File: true, w.Dir: true, w.Missing: false, w.File + "/x": false,
	} {
		if got := k.Exists(path); got != exists {
			return fmt.Errorf("Exists(%s): got %t", path, got)
		}
	}
	return nil
}

func writeAt(k kernel.Kernel, w World) error {
	err := errors.Join(
		want("WriteAt", k.WriteAt(w.File, []byte("PL"), 0), 0),
		want("WriteAt", k.WriteAt(w.File, []byte("more\n"), kernel.AtEnd), 0),
		want("WriteAt", k.WriteAt(w.Missing, []byte("x"), 0), kernel.ENOENT),
	)
	if err != nil {
		return err
	}
	b, err := k.ReadFile(w.File)
	if got := string(b); err != nil || got != "PLain\nmore\n" {
		return fmt.Errorf("ReadFile: got %q, %v", got, err)
	}
	if k.Exists(w.Missing) {
		return fmt.Errorf("WriteAt has made %s", w.Missing)
	}
	return nil
}

func remove(k kernel.Kernel, w World) error {
	err := errors.Join(
		want("Remove", k.Remove(w.Missing), kernel.ENOENT),
		want("Remove", k.Remove(w.Dir), kernel.EISDIR),
		want("Remove", k.Remove(w.File), 0),
	)
	if err == nil && k.Exists(w.File) {
		err = fmt.Errorf("Remove has left %s", w.File)
	}
	return err
}

func sync(k kernel.Kernel, w World) error {
	pid, err := k.Call(kernel.Sync{})
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, 0)
}

func nothing(k kernel.Kernel, w World) error {
	pid, err := k.Call(kernel.Nothing{})
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, 0)
}

// noWatchdog opens what is none, for to open one of the machine's would start it.
func noWatchdog(k kernel.Kernel, w World) error {
	const bad = 77
	_, missing := k.OpenWatchdog(w.Missing)
	_, dir := k.OpenWatchdog(w.Dir)
	_, badSupport := k.WatchdogSupport(bad)
	_, badTimeout := k.WatchdogControl(bad, kernel.SetTimeout, 1)
	fd, err := k.OpenWatchdog(w.File)
	if err != nil {
		return err
	}
	if fd < 3 {
		return fmt.Errorf("OpenWatchdog: got %d, want one above 2", fd)
	}
	_, support := k.WatchdogSupport(fd)
	errs := []error{
		want("OpenWatchdog", missing, kernel.ENOENT),
		want("OpenWatchdog", dir, kernel.EISDIR),
		want("WatchdogSupport", badSupport, ebadf),
		want("WatchdogControl", badTimeout, ebadf),
		want("WatchdogSupport", support, kernel.ENOTTY),
	}
	for c := kernel.GetStatus; c <= kernel.GetTimeLeft; c++ {
		_, err := k.WatchdogControl(fd, c, 1)
		errs = append(errs, want("WatchdogControl "+c.String(), err, kernel.ENOTTY))
	}
	return errors.Join(append(errs, want("Close", k.Close(fd), 0))...)
}

func cadOff(k kernel.Kernel, w World) error {
	if err := want("RebootSelf", k.RebootSelf(kernel.CadOff), kernel.EINVAL); err != nil {
		return err
	}
	pid, err := k.Call(kernel.Reboot{Cmd: kernel.CadOn})
	if err != nil {
		return err
	}
	e, err := reap(k)
	if err != nil {
		return err
	}
	return ended(e, pid, kernel.WaitStatus(kernel.EINVAL)<<8)
}

func reboot(cmd kernel.RebootCmd) func(kernel.Kernel, World) error {
	return func(k kernel.Kernel, w World) error {
		if _, err := spawn(k, w, "pause"); err != nil {
			return err
		}
		if _, err := k.Call(kernel.Reboot{Cmd: cmd, Arg: "again"}); err != nil {
			return err
		}
		e, err := reap(k)
		return fmt.Errorf("still here: %+v, %v", e, err)
	}
}

func rebootSelf(k kernel.Kernel, w World) error {
	return fmt.Errorf("still here: %v", k.RebootSelf(kernel.Restart))
}

func setsid(k kernel.Kernel, w World) error {
	// Whoever started PID 1 may have made it one.
	if err := k.Setsid(); err != nil && !errors.Is(err, kernel.EPERM) {
		return err
	}
	return want("Setsid", k.Setsid(), kernel.EPERM)
}

func chdir(k kernel.Kernel, w World) error {
	err := errors.Join(
		want("Chdir", k.Chdir(w.Missing), kernel.ENOENT),
		want("Chdir", k.Chdir(w.File), enotdir),
		want("Chdir", k.Chdir(w.Dir), 0),
	)
	if name := w.File[len(w.Dir)+1:]; err == nil && !k.Exists(name) {
		err = fmt.Errorf("Exists(%s): got false in %s", name, w.Dir)
	}
	return err
}

func proc(k kernel.Kernel, w World) error {
	if b, err := k.Proc("sys/kernel/panic"); err != nil || !bytes.HasSuffix(b, []byte("\n")) {
		return fmt.Errorf("Proc: got %q, %v, want a line", b, err)
	}
	_, err := k.Proc("sys/kernel/there_is_none")
	return errors.Join(
		want("Proc", err, kernel.ENOENT),
		want("SetProc", k.SetProc("sys/kernel/there_is_none", "1"), kernel.ENOENT),
	)
}

func sysfs(k kernel.Kernel, w World) error {
	// A parameter that no kernel lacks.
	const file = "module/kernel/parameters/panic"
	b, err := k.Sys(file)
	if err != nil || !bytes.HasSuffix(b, []byte("\n")) {
		return fmt.Errorf("Sys: got %q, %v, want a line", b, err)
	}
	_, none := k.Sys("kernel/there_is_none")
	_, dir := k.Sys("kernel")
	return errors.Join(
		want("Sys", none, kernel.ENOENT),
		want("Sys of a directory", dir, kernel.EISDIR),
		want("SetSys", k.SetSys("kernel/there_is_none", "1"), kernel.ENOENT),
		want("SetSys of a directory", k.SetSys("kernel", "1"), kernel.EISDIR),
		want("SetSys of what can be read only", k.SetSys("kernel/vmcoreinfo", "1"), eacces),
		// What it is it may stay: this is the host's.
		want("SetSys", k.SetSys(file, strings.TrimSpace(string(b))), 0),
	)
}

package simkernel

import (
	"fmt"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// Traced is a kernel whose calls are told, with their results, as strace(1) does it.
func Traced(k kernel.Kernel, tell func(call string)) kernel.Kernel { return &traced{k, tell} }

type traced struct {
	k    kernel.Kernel
	tell func(string)
}

var _ kernel.Kernel = (*traced)(nil)

func (t *traced) err(err error, format string, args ...any) {
	result := "0"
	if err != nil {
		result = err.Error()
	}
	t.tell(fmt.Sprintf(format, args...) + " = " + result)
}

func (t *traced) value(v any, err error, format string, args ...any) {
	result := fmt.Sprint(v)
	if err != nil {
		result = err.Error()
	}
	t.tell(fmt.Sprintf(format, args...) + " = " + result)
}

// Now and Wall are not told: they are asked all the time and say what the trace says anyway.
func (t *traced) Now() time.Duration { return t.k.Now() }
func (t *traced) Wall() time.Time    { return t.k.Wall() }

func (t *traced) Next(deadline time.Duration) kernel.Event {
	until := "never"
	if deadline != kernel.Never {
		until = deadline.String()
	}
	ev := t.k.Next(deadline)
	t.tell(fmt.Sprintf("Next(%s) = %s", until, eventText(ev)))
	return ev
}

func eventText(ev kernel.Event) string {
	switch ev := ev.(type) {
	case kernel.Signaled:
		return kernel.SignalName(ev.Signal)
	case kernel.Ready:
		return fmt.Sprintf("ready %d %s", ev.FD, directionText(ev.What))
	case kernel.Expired:
		return "expired"
	}
	return fmt.Sprint(ev)
}

func directionText(d kernel.Direction) string {
	if d == kernel.In {
		return "in"
	}
	return "out"
}

func (t *traced) Watch(fd kernel.FD, what kernel.Direction) error {
	err := t.k.Watch(fd, what)
	t.err(err, "Watch(%d, %s)", fd, directionText(what))
	return err
}

func (t *traced) Spawn(c *kernel.Command) (kernel.PID, error) {
	pid, err := t.k.Spawn(c)
	t.value(pid, err, "Spawn(%s)", commandText(c))
	return pid, err
}

func commandText(c *kernel.Command) string {
	s := fmt.Sprintf("%q %q", c.Paths, c.Argv)
	if c.TTY != "" {
		s += " tty=" + c.TTY
	}
	if c.TakeTTY {
		s += " take-tty"
	}
	if c.Core {
		s += " core"
	}
	return s
}

func (t *traced) Call(c kernel.Call) (kernel.PID, error) {
	pid, err := t.k.Call(c)
	t.value(pid, err, "Call(%s)", callText(c))
	return pid, err
}

func callText(c kernel.Call) string {
	switch c := c.(type) {
	case kernel.Nothing:
		return "nothing"
	case kernel.Sync:
		return "sync"
	case kernel.Reboot:
		if c.Arg != "" {
			return fmt.Sprintf("reboot %s %q", c.Cmd, c.Arg)
		}
		return "reboot " + c.Cmd.String()
	}
	return fmt.Sprint(c)
}

func (t *traced) Wait() (kernel.Exit, error) {
	e, err := t.k.Wait()
	t.value(exitText(e), err, "Wait()")
	return e, err
}

func exitText(e kernel.Exit) string {
	s := fmt.Sprintf("%d ", e.PID)
	if e.Status.Signaled() {
		s += kernel.SignalName(e.Status.Signal())
	} else {
		s += fmt.Sprintf("exit %d", e.Status.ExitStatus())
	}
	if e.Failed != nil {
		s += " (" + e.Failed.Error() + ")"
	}
	return s
}

func (t *traced) Kill(pid kernel.PID, sig kernel.Signal) error {
	err := t.k.Kill(pid, sig)
	t.err(err, "Kill(%d, %s)", pid, kernel.SignalName(sig))
	return err
}

func (t *traced) KillAll(sig kernel.Signal) error {
	err := t.k.KillAll(sig)
	t.err(err, "KillAll(%s)", kernel.SignalName(sig))
	return err
}

func (t *traced) Exec(c *kernel.Command) error {
	// If it succeeds it does not return, so what is asked is told first.
	t.tell("Exec(" + commandText(c) + ")")
	err := t.k.Exec(c)
	t.err(err, "Exec")
	return err
}

func (t *traced) Setsid() error {
	err := t.k.Setsid()
	t.err(err, "Setsid()")
	return err
}

func (t *traced) Chdir(dir string) error {
	err := t.k.Chdir(dir)
	t.err(err, "Chdir(%s)", dir)
	return err
}

func (t *traced) Open(path string) (kernel.FD, error) {
	fd, err := t.k.Open(path)
	t.value(fd, err, "Open(%s)", path)
	return fd, err
}

func (t *traced) Reopen(fd kernel.FD, what kernel.Direction) (kernel.FD, error) {
	n, err := t.k.Reopen(fd, what)
	t.value(n, err, "Reopen(%d, %s)", fd, directionText(what))
	return n, err
}

func (t *traced) Stdio(path string, ctty bool) error {
	err := t.k.Stdio(path, ctty)
	t.err(err, "Stdio(%s, %t)", path, ctty)
	return err
}

func (t *traced) FillStdio() {
	t.k.FillStdio()
	t.tell("FillStdio()")
}

func (t *traced) Read(fd kernel.FD, b []byte) (int, error) {
	n, err := t.k.Read(fd, b)
	t.value(fmt.Sprintf("%q", b[:max(n, 0)]), err, "Read(%d)", fd)
	return n, err
}

func (t *traced) Write(fd kernel.FD, b []byte) (int, error) {
	n, err := t.k.Write(fd, b)
	t.value(n, err, "Write(%d, %q)", fd, b)
	return n, err
}

func (t *traced) Close(fd kernel.FD) error {
	err := t.k.Close(fd)
	t.err(err, "Close(%d)", fd)
	return err
}

func (t *traced) Unsent(fd kernel.FD) int {
	n := t.k.Unsent(fd)
	t.value(n, nil, "Unsent(%d)", fd)
	return n
}

func (t *traced) IsVT(fd kernel.FD) bool {
	yes := t.k.IsVT(fd)
	t.value(yes, nil, "IsVT(%d)", fd)
	return yes
}

func (t *traced) Sane(fd kernel.FD) {
	t.k.Sane(fd)
	t.tell(fmt.Sprintf("Sane(%d)", fd))
}

func (t *traced) ReadFile(path string) ([]byte, error) {
	b, err := t.k.ReadFile(path)
	t.value(fmt.Sprintf("%d bytes", len(b)), err, "ReadFile(%s)", path)
	return b, err
}

func (t *traced) ReadTrusted(path string) ([]byte, error) {
	b, err := t.k.ReadTrusted(path)
	t.value(fmt.Sprintf("%d bytes", len(b)), err, "ReadTrusted(%s)", path)
	return b, err
}

func (t *traced) Exists(path string) bool {
	yes := t.k.Exists(path)
	t.value(yes, nil, "Exists(%s)", path)
	return yes
}

func (t *traced) Remove(path string) error {
	err := t.k.Remove(path)
	t.err(err, "Remove(%s)", path)
	return err
}

func (t *traced) WriteAt(path string, b []byte, off int64) error {
	err := t.k.WriteAt(path, b, off)
	t.err(err, "WriteAt(%s, %d bytes, %d)", path, len(b), off)
	return err
}

func (t *traced) Proc(name string) ([]byte, error) {
	b, err := t.k.Proc(name)
	t.value(fmt.Sprintf("%q", b), err, "Proc(%s)", name)
	return b, err
}

func (t *traced) SetProc(name, value string) error {
	err := t.k.SetProc(name, value)
	t.err(err, "SetProc(%s, %q)", name, value)
	return err
}

func (t *traced) Sys(name string) ([]byte, error) {
	b, err := t.k.Sys(name)
	t.value(fmt.Sprintf("%q", b), err, "Sys(%s)", name)
	return b, err
}

func (t *traced) SetSys(name, value string) error {
	err := t.k.SetSys(name, value)
	t.err(err, "SetSys(%s, %q)", name, value)
	return err
}

func (t *traced) Mount(m kernel.Mount) error {
	err := t.k.Mount(m)
	t.err(err, "Mount(%s, %s)", m.Type, m.Target)
	return err
}

func (t *traced) RebootSelf(cmd kernel.RebootCmd) error {
	// It may not return, so what is asked is told first.
	t.tell("RebootSelf(" + cmd.String() + ")")
	err := t.k.RebootSelf(cmd)
	t.err(err, "RebootSelf")
	return err
}

func (t *traced) LoopbackUp() error {
	err := t.k.LoopbackUp()
	t.err(err, "LoopbackUp()")
	return err
}

func (t *traced) OpenWatchdog(path string) (kernel.FD, error) {
	fd, err := t.k.OpenWatchdog(path)
	t.value(fd, err, "OpenWatchdog(%s)", path)
	return fd, err
}

func (t *traced) WatchdogSupport(fd kernel.FD) (kernel.WatchdogSupport, error) {
	s, err := t.k.WatchdogSupport(fd)
	t.value(fmt.Sprintf("%#x %q", uint32(s.Options), s.Identity), err, "WatchdogSupport(%d)", fd)
	return s, err
}

func (t *traced) WatchdogControl(fd kernel.FD, c kernel.WatchdogCall, n int32) (int32, error) {
	got, err := t.k.WatchdogControl(fd, c, n)
	t.value(got, err, "WatchdogControl(%d, %s, %d)", fd, c, n)
	return got, err
}

func (t *traced) Log(level kernel.Level, text string) {
	t.k.Log(level, text)
	t.tell(fmt.Sprintf("Log(%d, %q)", level, text))
}

func (t *traced) FollowLog(from kernel.LogStart) (kernel.FD, error) {
	fd, err := t.k.FollowLog(from)
	t.value(fd, err, "FollowLog(%d)", from)
	return fd, err
}

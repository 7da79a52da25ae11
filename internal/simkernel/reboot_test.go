package simkernel

import (
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// callAndWait makes a call in a child and waits for the machine's end, or the child's.
func callAndWait(k kernel.Kernel, c kernel.Call) (kernel.Exit, error) {
	if _, err := k.Call(c); err != nil {
		return kernel.Exit{}, err
	}
	for {
		if e, err := k.Wait(); err != kernel.EAGAIN {
			return e, err
		}
		k.Next(kernel.Never)
	}
}

func TestRebootByAChild(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		name string
		cfg  Config
		call kernel.Reboot
		end  End // or
		exit kernel.Errno
	}{
		{
			"restart",
			Config{},
			kernel.Reboot{Cmd: kernel.Restart},
			End{How: Restarted, Text: "reboot: Restarting system"},
			0,
		},
		{
			"restart with an argument",
			Config{},
			kernel.Reboot{Cmd: kernel.Restart2, Arg: "again"},
			End{
				How: Restarted, Arg: "again",
				Text: "reboot: Restarting system with command 'again'",
			},
			0,
		},
		{
			"the argument is cut",
			Config{},
			kernel.Reboot{Cmd: kernel.Restart2, Arg: long},
			End{
				How: Restarted, Arg: long[:255],
				Text: "reboot: Restarting system with command '" + long[:255] + "'",
			},
			0,
		},
		{
			"halt",
			Config{},
			kernel.Reboot{Cmd: kernel.Halt},
			End{How: Halted, Text: "reboot: System halted"},
			0,
		},
		{
			"power off",
			Config{},
			kernel.Reboot{Cmd: kernel.PowerOff},
			End{How: PoweredOff, Text: "reboot: Power down"},
			0,
		},
		{
			"devices take time",
			Config{RebootTime: time.Second},
			kernel.Reboot{Cmd: kernel.PowerOff},
			End{How: PoweredOff, At: time.Second, Text: "reboot: Power down"},
			0,
		},
		{
			"a device hangs",
			Config{RebootTime: kernel.Never},
			kernel.Reboot{Cmd: kernel.PowerOff},
			// khungtaskd tells of it ten times.
			End{How: Stuck, At: 22 * time.Minute, Text: "waiting for an event, and none can come"},
			0,
		},
		{"halt comes back", Config{HaltReturns: true}, kernel.Reboot{Cmd: kernel.Halt}, End{}, 0},
		{
			"power off comes back",
			Config{PowerOffReturns: true},
			kernel.Reboot{Cmd: kernel.PowerOff},
			End{},
			0,
		},
		{
			"no capability",
			Config{Privileges: Privileges{Without: CapSysBoot}},
			kernel.Reboot{Cmd: kernel.Restart},
			End{},
			kernel.EPERM,
		},
		{
			"no capability comes before no such command",
			Config{Privileges: Privileges{Without: CapSysBoot}},
			kernel.Reboot{Cmd: 77},
			End{},
			kernel.EPERM,
		},
		{"no such command", Config{}, kernel.Reboot{Cmd: 77}, End{}, kernel.EINVAL},
		{
			"restart of a namespace",
			Config{Namespace: true},
			kernel.Reboot{Cmd: kernel.Restart},
			End{How: Restarted, Status: 1},
			0,
		},
		{
			"restart of a namespace, argument unread",
			Config{Namespace: true},
			kernel.Reboot{Cmd: kernel.Restart2, Arg: "again"},
			End{How: Restarted, Status: 1},
			0,
		},
		{
			"halt of a namespace",
			Config{Namespace: true},
			kernel.Reboot{Cmd: kernel.Halt},
			End{How: Halted, Status: 2},
			0,
		},
		{
			"power-off of a namespace",
			Config{Namespace: true},
			kernel.Reboot{Cmd: kernel.PowerOff},
			End{How: PoweredOff, Status: 2},
			0,
		},
		{
			"CAD in a namespace",
			Config{Namespace: true},
			kernel.Reboot{Cmd: kernel.CadOff},
			End{},
			kernel.EINVAL,
		},
		{
			"no capability in a namespace",
			Config{Namespace: true, Privileges: Privileges{Without: CapSysBoot}},
			kernel.Reboot{Cmd: kernel.CadOff},
			End{},
			kernel.EPERM,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := New(test.cfg)
			end := m.Boot(func(k kernel.Kernel) int {
				e, err := callAndWait(k, test.call)
				if want := kernel.WaitStatus(test.exit) << 8; err != nil || e.Status != want {
					t.Errorf("child: got %+v, %v, want status %#x", e, err, want)
				}
				return 0
			})
			if test.end.How == 0 {
				test.end = m.end // PID 1 has come back and exited
				if end.How != Exited {
					t.Errorf("end: got %+v, want PID 1's exit", end)
				}
				return
			}
			wantEqual(t, "end", end, test.end)
		})
	}
}

func TestRebootByPID1(t *testing.T) {
	self := func(cmd kernel.RebootCmd) func(kernel.Kernel) int {
		return func(k kernel.Kernel) int { return int(k.RebootSelf(cmd).(kernel.Errno)) }
	}
	for _, test := range []struct {
		name string
		cfg  Config
		cmd  kernel.RebootCmd
		end  End
	}{
		{"restart", Config{}, kernel.Restart, End{How: Restarted, Text: "reboot: Restarting system"}},
		{
			"in a namespace",
			Config{Namespace: true},
			kernel.PowerOff,
			End{How: PoweredOff, Status: 2},
		},
		{
			"refused",
			Config{Privileges: Privileges{Without: CapSysBoot}, Namespace: true},
			kernel.Restart,
			End{How: Exited, Status: kernel.WaitStatus(kernel.EPERM) << 8},
		},
		{
			"halt comes back, to a dead thread",
			Config{HaltReturns: true},
			kernel.Halt,
			End{How: Stuck, Text: "PID 1's thread has ended in reboot(2)"},
		},
		{
			"a device hangs",
			Config{RebootTime: kernel.Never},
			kernel.Restart,
			End{How: Stuck, Text: "waiting in RebootSelf for ever"},
		},
		{
			"devices take time",
			Config{RebootTime: time.Second},
			kernel.Halt,
			End{How: Halted, At: time.Second, Text: "reboot: System halted"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			wantEqual(t, "end", New(test.cfg).Boot(self(test.cmd)), test.end)
		})
	}
}

func TestSecondRebootHangsAfterOneThatReturned(t *testing.T) {
	m := New(Config{HaltReturns: true})
	end := m.Boot(func(k kernel.Kernel) int {
		if _, err := callAndWait(k, kernel.Reboot{Cmd: kernel.Halt}); err != nil {
			t.Error(err)
		}
		callAndWait(k, kernel.Reboot{Cmd: kernel.Restart})
		return 0
	})
	if end.How != Stuck || m.Count(Uninterruptible) != 1 {
		t.Errorf("end: got %+v with %d in D, want stuck with the child in D",
			end, m.Count(Uninterruptible))
	}
}

func TestRebootByAnyProcess(t *testing.T) {
	m := New(Config{Programs: programs(map[string][]Step{
		"reboot-f": {Sleep{time.Second}, Reboot{Cmd: kernel.Restart}},
	})})
	end := m.Boot(func(k kernel.Kernel) int {
		spawn(t, k, "reboot-f")
		until(k, time.Minute)
		return 0
	})
	if end.How != Restarted || end.At != time.Second+300*time.Microsecond {
		t.Errorf("end: got %+v, want restarted after 1.0003s", end)
	}
}

func TestCtrlAltDel(t *testing.T) {
	m := New(Config{})
	m.At(time.Second, CtrlAltDel{})
	end := m.Boot(func(k kernel.Kernel) int {
		until(k, time.Minute)
		return 0
	})
	if end.How != Restarted || end.At != time.Second {
		t.Errorf("end: got %+v, want restarted by the keys", end)
	}

	m = New(Config{})
	m.At(time.Second, CtrlAltDel{})
	m.Boot(func(k kernel.Kernel) int {
		if err := k.RebootSelf(kernel.CadOff); err != nil || m.CadOn() {
			t.Errorf("CAD_OFF: got %v and CadOn %t", err, m.CadOn())
		}
		b, err := k.Proc("sys/kernel/ctrl-alt-del")
		wantEqual(t, "proc", string(b), "0\n")
		wantErr(t, "Proc", err, 0)
		wantEqual(t, "event", k.Next(kernel.Never),
			kernel.Event(kernel.Signaled{Signal: kernel.SIGINT}))
		if err := k.RebootSelf(kernel.CadOn); err != nil || !m.CadOn() {
			t.Errorf("CAD_ON: got %v and CadOn %t", err, m.CadOn())
		}
		return 0
	})
}

func TestSync(t *testing.T) {
	m := New(Config{SyncTime: 5 * time.Second})
	m.Fail("Sync", 2, kernel.EIO)
	m.At(20*time.Second, SyncTakes{kernel.Never})
	m.Boot(func(k kernel.Kernel) int {
		for _, want := range []kernel.WaitStatus{0, kernel.WaitStatus(kernel.EIO) << 8} {
			if e, err := callAndWait(k, kernel.Sync{}); err != nil || e.Status != want {
				t.Errorf("sync: got %+v, %v, want status %#x", e, err, want)
			}
		}
		if now := k.Now(); now != 5*time.Second {
			t.Errorf("now: got %v, want 5s", now)
		}
		until(k, 30*time.Second)
		pid, _ := k.Call(kernel.Sync{})
		until(k, 40*time.Second)
		k.KillAll(kernel.SIGKILL)
		until(k, 50*time.Second)
		if p, _ := m.Process(pid); p.State != Uninterruptible {
			t.Errorf("sync from a dead disk: got %v, want D, killed or not", p.State)
		}
		return 0
	})
}

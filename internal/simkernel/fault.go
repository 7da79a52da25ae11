package simkernel

import "github.com/rebound-init/rebound/internal/kernel"

// call is a call of the seam, or a system call that a child makes.
type call uint8

const (
	callNow call = iota
	callWall
	callNext
	callWatch
	callSpawn
	callCall
	callWait
	callKill
	callKillAll
	callExec
	callSetsid
	callChdir
	callOpen
	callReopen
	callStdio
	callFillStdio
	callRead
	callWrite
	callClose
	callUnsent
	callIsVT
	callSane
	callReadFile
	callReadTrusted
	callExists
	callRemove
	callWriteAt
	callProc
	callSetProc
	callSys
	callSetSys
	callMount
	callRebootSelf
	callLoopbackUp
	callOpenWatchdog
	callWatchdogSupport
	callWatchdogControl
	callLog
	callFollowLog
	callSync
	callReboot
	callCount
)

var callNames = [callCount]string{
	"Now", "Wall", "Next", "Watch", "Spawn", "Call", "Wait", "Kill", "KillAll", "Exec", "Setsid",
	"Chdir", "Open", "Reopen", "Stdio", "FillStdio", "Read", "Write", "Close", "Unsent", "IsVT",
	"Sane", "ReadFile", "ReadTrusted", "Exists", "Remove", "WriteAt", "Proc", "SetProc", "Sys",
	"SetSys", "Mount", "RebootSelf", "LoopbackUp", "OpenWatchdog", "WatchdogSupport",
	"WatchdogControl", "Log", "FollowLog", "Sync", "Reboot",
}

// fault is a failure to come.
type fault struct {
	n     int // 0: always
	errno kernel.Errno
}

// Fail makes the n-th call of a name return an errno, counted from 1 and from now on; every call
// if n is 0. The name is a method of the kernel that returns an error, or Sync or Reboot for the
// system calls, whoever makes them.
func (m *Machine) Fail(name string, n int, errno kernel.Errno) {
	for c, s := range callNames {
		if s == name {
			if m.faults == nil {
				m.faults = make(map[call][]fault)
			}
			if n > 0 {
				n += m.counts[c]
			}
			m.faults[call(c)] = append(m.faults[call(c)], fault{n, errno})
			return
		}
	}
	panic("simkernel: no call is named " + name)
}

// Calls returns how often PID 1 has made a call.
func (m *Machine) Calls(name string) int {
	for c, s := range callNames {
		if s == name {
			return m.counts[c]
		}
	}
	panic("simkernel: no call is named " + name)
}

// fault counts a call and returns the errno it is to fail with, or 0.
func (m *Machine) fault(c call) kernel.Errno {
	m.counts[c]++
	for _, f := range m.faults[c] {
		if f.n == 0 || f.n == m.counts[c] {
			return f.errno
		}
	}
	return 0
}

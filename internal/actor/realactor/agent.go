package realactor

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/actor"
	"github.com/rebound-init/rebound/internal/actor/stage"
	"github.com/rebound-init/rebound/internal/kernel"
)

// agent carries out orders from outside, in a world whose processes nobody can reach otherwise. It
// is a child of PID 1 that this does not know of, ends only by SIGKILL or when it is told to leave,
// and has the name of agent, so that nothing meant for actors hits it.
func agent() int {
	a := &act{signals: takeSignalsBack()}
	var all []kernel.Signal
	for sig := kernel.Signal(1); sig <= actor.LastSignal; sig++ {
		if sig != unix.SIGKILL && sig != unix.SIGSTOP && sig != unix.SIGCHLD {
			all = append(all, sig)
		}
	}
	a.signals.ignore(all)
	a.call("agent")
	rename(os.Args[0], "agent")
	// On one processor nobody runs between two signals then.
	_ = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1,
	}, 0)
	unix.Close(stage.AgentReady)

	line := os.NewFile(stage.AgentLine, "line")
	for orders := bufio.NewScanner(line); orders.Scan(); {
		var o stage.Order
		then := func() {}
		err := json.Unmarshal(orders.Bytes(), &o)
		if err == nil {
			then, err = carryOut(o)
		}
		answer := stage.Done
		if err != nil {
			answer = err.Error()
		}
		fmt.Fprintln(line, answer)
		if err == nil {
			then()
		}
		if o.Leave {
			break
		}
	}
	return 0
}

// rename changes the first argument as proc shows it: it is a part of the stack.
func rename(arg, name string) {
	copy(unsafe.Slice(unsafe.StringData(arg), len(arg)), name)
}

// settle waits until PID 1 leads a session, which an init makes after it has taken its signals: what
// comes before is lost, and on a slow machine that is late.
func settle() {
	const patience = 20 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if sid, err := unix.Getsid(1); err != nil || sid == 1 {
			return
		}
		sleep(time.Millisecond)
	}
}

// carryOut carries out an order, but for what comes after the answer.
func carryOut(o stage.Order) (then func(), err error) {
	then = func() {}
	for _, sig := range o.Signals {
		k := actor.Kill{Name: o.Name, Signal: sig}
		if o.Name == "" {
			k.PID = 1
			settle()
		}
		kill(k)
	}
	if o.Write != "" {
		if err := os.MkdirAll(filepath.Dir(o.Write), 0o755); err != nil {
			return nil, err
		}
		part := o.Write + ".part"
		if err := os.WriteFile(part, []byte(o.Text), 0o644); err != nil {
			return nil, err
		}
		if err := os.Rename(part, o.Write); err != nil {
			return nil, err
		}
	}
	if o.Remove != "" {
		return then, os.Remove(o.Remove)
	}
	if last := len(o.Poke) - 1; last >= 0 {
		for _, p := range o.Poke[:last] {
			if err := os.WriteFile(p.File, []byte(p.Text), 0); err != nil {
				return nil, err
			}
		}
		return poke(o.Poke[last])
	}
	return then, nil
}

// poke prepares to write to a file of the kernel's. It is written when the answer has left the
// machine.
func poke(p stage.Poke) (then func(), err error) {
	f, err := os.OpenFile(p.File, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return func() {
		const drain = 1 // with this TCSBRK is tcdrain(3)
		_ = unix.IoctlSetInt(stage.AgentLine, unix.TCSBRK, drain)
		_, _ = f.WriteString(p.Text)
		f.Close()
	}, nil
}

package simkernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// setUpProc gives the kernel's settings their defaults.
func (m *Machine) setUpProc() {
	m.sysctls = map[string]string{
		"sys/kernel/panic":         "0",
		"sys/kernel/panic_on_oops": "0",
		"sys/kernel/printk":        "7\t4\t1\t7",
		"sys/kernel/pid_max":       strconv.Itoa(m.cfg.PIDMax),
		"sys/kernel/hostname":      "(none)",
	}
	m.mounts = []kernel.Mount{{Type: "rootfs", Target: "/"}}
}

func (k *pid1Calls) Proc(name string) ([]byte, error) {
	if e := k.enter(callProc); e != 0 {
		return nil, e
	}
	text, e := k.m.proc(name)
	if e != 0 {
		return nil, e
	}
	return []byte(text), nil
}

// proc is the text of a file of proc(5).
func (m *Machine) proc(name string) (string, kernel.Errno) {
	switch name {
	case "cmdline":
		return m.cfg.Cmdline + "\n", 0
	case "self/mountinfo", "1/mountinfo":
		return m.mountinfo(), 0
	case "mounts", "self/mounts":
		return m.mountTable(), 0
	case "uptime":
		return fmt.Sprintf("%.2f 0.00\n", m.now.Seconds()), 0
	case "sys/kernel/ctrl-alt-del":
		if m.cad {
			return "1\n", 0
		}
		return "0\n", 0
	}
	if v, ok := m.sysctls[name]; ok {
		return v + "\n", 0
	}
	pid, rest, ok := strings.Cut(name, "/")
	if pid == "self" {
		pid = "1"
	}
	n, err := strconv.Atoi(pid)
	p := m.find(kernel.PID(n))
	if !ok || err != nil || p == nil {
		return "", kernel.ENOENT
	}
	return m.procOf(p, rest)
}

func (k *pid1Calls) SetProc(name, value string) error {
	if e := k.enter(callSetProc); e != 0 {
		return e
	}
	m := k.m
	value = strings.TrimSuffix(value, "\n")
	if name == "sys/kernel/ctrl-alt-del" {
		m.cad = value != "0"
		return nil
	}
	if _, ok := m.sysctls[name]; !ok {
		return kernel.ENOENT
	}
	m.sysctls[name] = value
	return nil
}

// SetProc gives a file of proc a text, or a new one.
type SetProc struct{ Name, Value string }

func (a SetProc) act(m *Machine) { m.sysctls[a.Name] = a.Value }

// single are the file systems of which there is but one, however often they are mounted.
var single = []string{"proc", "sysfs", "devtmpfs"}

// Mount mounts (fs/namespace.c, do_new_mount).
func (k *pid1Calls) Mount(mt kernel.Mount) error {
	if e := k.enter(callMount); e != 0 {
		return e
	}
	m := k.m
	mt.Target = m.abs(mt.Target)
	if m.something(mt.Target) && !m.isDir(mt.Target) {
		return syscall.ENOTDIR
	}
	if slices.Contains(single, mt.Type) {
		for _, o := range slices.Backward(m.mounts) {
			if o.Target == mt.Target {
				if o.Type == mt.Type {
					return syscall.EBUSY
				}
				break
			}
		}
	}
	if !m.isDir(mt.Target) {
		m.changed()
		m.files[mt.Target] = nil
	}
	m.mounts = append(m.mounts, mt)
	return nil
}

// Mounted returns what PID 1 has mounted, in order.
func (m *Machine) Mounted() []kernel.Mount {
	return slices.Clone(m.mounts[1:])
}

// mountinfo is /proc/self/mountinfo (proc_pid_mountinfo(5)).
func (m *Machine) mountinfo() string {
	var b strings.Builder
	for i, mt := range m.mounts {
		parent := 1
		if i == 0 {
			parent = 0
		}
		fmt.Fprintf(&b, "%d %d 0:%d / %s rw - %s %s rw\n",
			i+1, parent, i+1, mt.Target, mt.Type, mt.Type)
	}
	return b.String()
}

func (m *Machine) mountTable() string {
	var b strings.Builder
	for _, mt := range m.mounts {
		fmt.Fprintf(&b, "%s %s %s rw 0 0\n", mt.Type, mt.Target, mt.Type)
	}
	return b.String()
}

// LoopbackUp brings lo up.
func (k *pid1Calls) LoopbackUp() error {
	if e := k.enter(callLoopbackUp); e != 0 {
		return e
	}
	if !k.m.init.capable(CapNetAdmin) {
		return kernel.EPERM
	}
	k.m.loopback = true
	return nil
}

// Loopback reports whether lo is up.
func (m *Machine) Loopback() bool { return m.loopback }

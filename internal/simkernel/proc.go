package simkernel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
)

// procFS is proc(5).
type procFS struct{}

// procFile is a file of its root.
type procFile struct {
	name string
	mode uint16
	text func(m *Machine) string
}

// procFiles are those that are not about a process.
var procFiles = [...]procFile{
	{"cmdline", 0o444, func(m *Machine) string { return m.cfg.Cmdline + "\n" }},
	{"consoles", 0o444, (*Machine).consolesText},
	{"filesystems", 0o444, func(*Machine) string { return filesystemsText() }},
	{"loadavg", 0o444, (*Machine).loadavgText},
	{"meminfo", 0o444, (*Machine).meminfoText},
	{"stat", 0o444, (*Machine).statText},
	{"swaps", 0o444, (*Machine).swapTable},
	{"uptime", 0o444, (*Machine).uptimeText},
	{"version", 0o444, func(*Machine) string { return versionText }},
	{"partitions", 0o444, (*Machine).partitionsText},
}

// The release that the model says it is.
const (
	osRelease   = "6.1.0"
	osVersion   = "#1 SMP PREEMPT_DYNAMIC"
	versionText = "Linux version " + osRelease + " (rebound@simkernel) " + osVersion + "\n"
)

// procLinks are the symbolic links of the root.
func procLink(name string) (string, bool) {
	switch name {
	case "mounts":
		return "self/mounts", true
	case "net":
		return "self/net", true
	case "self", "thread-self":
		return "", true
	}
	return "", false
}

func (procFS) stat(m *Machine, p *process, path string) (nodeKind, uint16, bool) {
	first, rest, _ := strings.Cut(path, "/")
	if _, ok := m.procTexts[path]; ok {
		return kindFile, 0o644, true
	}
	if rest == "" {
		if _, ok := procLink(first); ok {
			return kindLink, 0o777, true
		}
		for i := range procFiles {
			if procFiles[i].name == first {
				return kindFile, procFiles[i].mode, true
			}
		}
		if first == "sys" {
			return kindDir, 0o555, true
		}
		if first == "sysrq-trigger" && m.cfg.MagicSysrq {
			return kindFile, 0o200, true
		}
	}
	if path == procVmcore && m.kexecs.vmcore != nil {
		return kindFile, 0o400, true
	}
	if first == "sys" {
		return m.statKnob(rest)
	}
	if first == "fs" && strings.Count(rest, "/") == 0 {
		return kindDir, 0o555, true // for nfsd and the like to be mounted on
	}
	if of := m.processAt(first); of != nil {
		return m.statPID(of, rest)
	}
	return 0, 0, false
}

// processAt is the process of a directory of proc, or nil.
func (m *Machine) processAt(name string) *process {
	n, err := strconv.Atoi(name)
	if err != nil {
		return nil
	}
	return m.find(kernel.PID(n))
}

func (procFS) list(m *Machine, p *process, path string) []string {
	first, rest, _ := strings.Cut(path, "/")
	var names []string
	switch {
	case first == "sys":
		return m.listKnobs(rest)
	case first != "":
		if of := m.processAt(first); of != nil {
			return m.listPID(of, rest)
		}
		return nil
	}
	for q := m.all.first; q != nil; q = q.nextAll {
		names = append(names, strconv.Itoa(int(q.pid)))
	}
	for i := range procFiles {
		names = append(names, procFiles[i].name)
	}
	names = append(names, "mounts", "self", "sys")
	if m.kexecs.vmcore != nil {
		names = append(names, procVmcore)
	}
	for name := range m.procTexts {
		if !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (procFS) readlink(m *Machine, p *process, path string) (string, place, kernel.Errno) {
	if p == nil {
		p = m.init
	}
	if path == "self" || path == "thread-self" {
		return strconv.Itoa(int(p.pid)), place{}, 0
	}
	if target, ok := procLink(path); ok {
		return target, place{}, 0
	}
	first, rest, _ := strings.Cut(path, "/")
	of := m.processAt(first)
	if of == nil {
		return "", place{}, kernel.ENOENT
	}
	return m.linkPID(of, rest)
}

func (procFS) open(m *Machine, p *process, path string, write bool) kernel.Errno {
	if !write {
		return 0
	}
	if name, ok := strings.CutPrefix(path, "sys/"); ok {
		return m.mayWriteKnob(name)
	}
	return 0
}

func (procFS) read(m *Machine, p *process, path string) (string, kernel.Errno) {
	return m.proc(p, path)
}

func (procFS) write(m *Machine, p *process, path, text string) kernel.Errno {
	return m.setProc(p, path, text)
}

// proc is the text of a file of proc(5), for a process that reads it.
func (m *Machine) proc(p *process, path string) (string, kernel.Errno) {
	if text, ok := m.procTexts[path]; ok {
		return text + "\n", 0
	}
	first, rest, _ := strings.Cut(path, "/")
	switch first {
	case "sys":
		return m.knob(rest)
	case "mounts":
		first, rest = "self", "mounts"
	case "sysrq-trigger":
		if m.cfg.MagicSysrq {
			return "", kernel.EIO
		}
	}
	if first == "self" || first == "thread-self" {
		if p == nil {
			p = m.init
		}
		return m.procOf(p, rest)
	}
	if path == procVmcore && m.kexecs.vmcore != nil {
		return m.vmcoreHead(), 0
	}
	if rest == "" {
		for i := range procFiles {
			if procFiles[i].name == first {
				return procFiles[i].text(m), 0
			}
		}
	}
	of := m.processAt(first)
	if of == nil {
		return "", kernel.ENOENT
	}
	return m.procOf(of, rest)
}

// setProc writes to a file of proc(5).
func (m *Machine) setProc(p *process, path, text string) kernel.Errno {
	if _, ok := m.procTexts[path]; ok {
		m.procTexts[path] = strings.TrimSuffix(text, "\n")
		return 0
	}
	if name, ok := strings.CutPrefix(path, "sys/"); ok {
		return m.setKnob(name, text)
	}
	if path == "sysrq-trigger" && m.cfg.MagicSysrq {
		return m.sysrqTrigger(text)
	}
	if _, e := m.proc(p, path); e != 0 {
		return e
	}
	return kernel.EIO // it has nothing that could be written
}

// Proc reads PID 1's own proc.
func (k *pid1Calls) Proc(name string) ([]byte, error) {
	if e := k.enter(callProc); e != 0 {
		return nil, e
	}
	text, e := k.m.proc(k.m.init, name)
	if e != 0 {
		return nil, e
	}
	return []byte(text), nil
}

func (k *pid1Calls) SetProc(name, value string) error {
	if e := k.enter(callSetProc); e != 0 {
		return e
	}
	if path, ok := strings.CutPrefix(name, "sys/"); ok && k.m.procTexts[name] == "" {
		if e := k.m.mayWriteKnob(path); e != 0 {
			return e
		}
	}
	return asError(k.m.setProc(k.m.init, name, value))
}

// SetProc gives a file of proc a text, or a new one. It is not asked whether the kernel would take
// it.
type SetProc struct{ Name, Value string }

func (a SetProc) act(m *Machine) {
	if name, ok := strings.CutPrefix(a.Name, "sys/"); ok {
		if k := findKnob(name); k != nil && k.set == nil {
			m.keepKnob(name, a.Value)
			return
		}
	}
	if m.procTexts == nil {
		m.procTexts = make(map[string]string)
	}
	m.procTexts[a.Name] = a.Value
}

func (m *Machine) uptimeText() string {
	// Nobody but the processes uses the CPU, and they take no time.
	return fmt.Sprintf("%d.%02d %d.%02d\n", m.now/time.Second, m.now%time.Second/centisecond,
		m.now/time.Second, m.now%time.Second/centisecond)
}

func (m *Machine) loadavgText() string {
	running := max(m.states[Running], 1)
	return fmt.Sprintf("0.00 0.00 0.00 %d/%d %d\n", running, m.all.n, m.pids.last)
}

func (m *Machine) statText() string {
	idle := m.now / centisecond
	return fmt.Sprintf("cpu  0 0 0 %d 0 0 0 0 0 0\ncpu0 0 0 0 %d 0 0 0 0 0 0\nintr 0\nctxt 0\n"+
		"btime %d\nprocesses %d\nprocs_running %d\nprocs_blocked %d\nsoftirq 0\n",
		idle, idle, m.cfg.Epoch.Add(m.wallJump).Unix(), m.births,
		max(m.states[Running], 1), m.states[Uninterruptible])
}

func (m *Machine) consolesText() string {
	t := m.terminals[consoleDevice]
	if t == nil {
		return ""
	}
	return fmt.Sprintf("%-21s-W- (EC p  )    %d:%d\n", strings.TrimPrefix(m.cfg.Console, "/dev/"),
		t.device>>8, t.device&0xff)
}

func filesystemsText() string {
	var b strings.Builder
	for i := range fsTypes {
		if fsTypes[i].noDev {
			b.WriteString("nodev")
		}
		b.WriteString("\t" + fsTypes[i].name + "\n")
	}
	return b.String()
}

func (m *Machine) partitionsText() string {
	var b strings.Builder
	b.WriteString("major minor  #blocks  name\n\n")
	for _, d := range m.disks {
		if !d.onServer() {
			n := deviceNumber(d.Name)
			fmt.Fprintf(&b, "%4d  %7d %10d %s\n", n.major, n.minor, d.size()/1024, d.Name)
		}
	}
	return b.String()
}

// memTotal is the machine's memory, in bytes.
const memTotal = 512 << 20

// meminfoText is /proc/meminfo (fs/proc/meminfo.c), the lines that mean something here.
func (m *Machine) meminfoText() string {
	w := m.Writeback()
	var cached, swapTotal, swapFree int64
	for _, mnt := range m.mounts {
		cached += mnt.fs.used * block
	}
	for _, a := range m.swapAreas {
		swapTotal += a.size
		swapFree += a.size - a.used
	}
	const kernelTakes = 32 << 20
	total := m.memory()
	free := max(total-kernelTakes-cached-w.Dirty-w.Writing, 1<<20)
	var b strings.Builder
	for _, line := range []struct {
		name  string
		bytes int64
	}{
		{"MemTotal", total},
		{"MemFree", free},
		{"MemAvailable", free},
		{"Buffers", 0},
		{"Cached", cached},
		{"SwapCached", 0},
		{"SwapTotal", swapTotal},
		{"SwapFree", swapFree},
		{"Dirty", w.Dirty},
		{"Writeback", w.Writing},
	} {
		fmt.Fprintf(&b, "%-16s%8d kB\n", line.name+":", line.bytes/1024)
	}
	return b.String()
}

// LoopbackUp brings lo up.
func (k *pid1Calls) LoopbackUp() error {
	if e := k.enter(callLoopbackUp); e != 0 {
		return e
	}
	if !k.m.init.capable(CapNetAdmin) {
		return syscall.EPERM
	}
	k.m.loopback = true
	return nil
}

// Loopback reports whether lo is up.
func (m *Machine) Loopback() bool { return m.loopback }

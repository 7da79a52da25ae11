// Package crash plays one failure of a kernel on a model machine, and tells what the console shows,
// what ends the machine, when it is back, and what is left to find out why.
//
// A failure has a name, and so has every setting; Failures and Settings list them. All is virtual
// time, and the same Spec always gives the same Report.
package crash

import (
	"fmt"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Spec says what to play. The zero value is the panic of a machine with one CPU, on the first of
// simkernel.Kernels, with nothing set.
type Spec struct {
	// Kernel is the profile: one of simkernel.Kernels.
	Kernel string
	// CPUs is how many the machine has: from 1 to MaxCPUs. If it is zero it is as many as the
	// failure needs to be seen, which is 1 for most.
	CPUs int
	// Settings are sysctls, parameters of modules and words of the kernel's command line.
	Settings []Setting
	// CrashKernel says that a kernel has been loaded that is started when this one crashes, and
	// Ramoops that this one keeps its log in memory.
	CrashKernel, Ramoops bool
	// Watchdogs are the machine's.
	Watchdogs []Watchdog
	// Cmdline is put on the kernel's command line behind the settings, as it is.
	Cmdline string
	// Failure is the name of one of Failures: "panic" if it is empty.
	Failure string
	// Then are the names of further ones, each a second after the one before: what has
	// survived once may not survive the next time.
	Then []string
	// Seed draws what chance decides. With 0 there is no chance.
	Seed uint64
}

// MaxCPUs is how many CPUs a machine may have here.
const MaxCPUs = 64

// Report is what a play has left.
type Report struct {
	// Lines are those of the kernel log, whether or not they came to the console.
	Lines []Line `json:"lines"`
	// At is when the kernel was made to fail, since boot.
	At      time.Duration `json:"at"`
	Verdict Verdict       `json:"verdict"`
	// Steps is how much the model has done for it (simkernel.Machine.Steps).
	Steps uint64 `json:"steps"`
	// Passages are the functions and steps of the kernel that it has died through. Their lines count
	// from the first of Lines on.
	Passages []simkernel.Passage `json:"-"`
}

// Line is a line of the kernel log.
type Line struct {
	// At is when, since boot.
	At    time.Duration `json:"at"`
	Level kernel.Level  `json:"level"`
	// OnConsole says that its level was low enough for the console when it was said.
	OnConsole bool   `json:"on_console"`
	Text      string `json:"text"`
	// By is which functions and steps of the kernel have said it, from the outermost on, or of
	// a line of the boot the name of the driver. It is empty if a process has.
	By string `json:"by,omitempty"`
}

// failsAt is when the kernel fails, where it can be chosen.
const failsAt = time.Second

// patience is for how long a machine that has survived is watched, at least.
const patience = 5 * time.Minute

// watched is for how long it is: as long as the settings let a detector wait.
func (p *play) watched() time.Duration {
	const day = 24 * time.Hour
	seconds := func(name string) time.Duration {
		return time.Duration(min(p.lastNumber(name), int64(day/time.Second))) * time.Second
	}
	// Of a task that hangs the kernel knows between one timeout and two.
	hung := 2*seconds("sysctl.kernel.hung_task_timeout_secs") + 10*time.Second
	stalled := seconds("rcupdate.rcu_cpu_stall_timeout") + time.Minute
	return max(patience, hung, stalled) + 2*p.longest
}

// Play plays a failure. The error says what is wrong with the Spec.
func Play(spec Spec) (*Report, error) {
	p, err := prepare(spec)
	if err != nil {
		return nil, err
	}
	m := simkernel.New(p.cfg)
	if len(p.actions) > 0 {
		m.At(p.at, p.actions...)
	}
	for i, actions := range p.later {
		m.At(p.at+time.Duration(i+1)*time.Second, actions...)
	}
	m.EndAt(p.at + p.watched())
	end := m.Boot(p.pid1)
	r := &Report{At: p.at}
	for _, l := range m.Log() {
		r.Lines = append(r.Lines, Line{
			At: l.At, Level: l.Level, OnConsole: l.Shown, Text: l.Text, By: l.By,
		})
	}
	for _, q := range m.Passages() {
		if q.From < p.at {
			continue // of the boot
		}
		gone := m.Overwritten()
		q.Said, q.Until = max(q.Said-gone, 0), max(q.Until-gone, 0)
		r.Passages = append(r.Passages, q)
	}
	r.Verdict = p.judge(m, end, r)
	r.Steps += m.Steps()
	return r, nil
}

// play is one play.
type play struct {
	failure *failure
	cfg     simkernel.Config
	at      time.Duration
	// starts are the programs that PID 1 starts. then is what it does when it is time; if that
	// says true, it exits.
	starts []string
	then   func(kernel.Kernel) bool
	// actions happen when it is time, and later those of the further failures, a second after
	// each other.
	actions []simkernel.Action
	later   [][]simkernel.Action
	thens   []func(kernel.Kernel) bool
	// starve says that nobody feeds the watchdogs, and pretimeout that they have one. longest
	// is the longest of their timeouts.
	starve, pretimeout bool
	longest            time.Duration
}

// prepare checks what is asked for.
func prepare(spec Spec) (*play, error) {
	if spec.Kernel == "" {
		spec.Kernel = simkernel.Kernels()[0]
	}
	if spec.Failure == "" {
		spec.Failure = "panic"
	}
	k, err := kernelNamed(spec.Kernel)
	if err != nil {
		return nil, err
	}
	f, err := failureNamed(spec.Failure)
	if err != nil {
		return nil, err
	}
	if why := f.lacks(k); why != "" {
		return nil, fmt.Errorf("%s has no failure %q: %s", k.name, f.Name, why)
	}
	if spec.CPUs == 0 {
		spec.CPUs = max(f.cpus, 1)
	}
	if spec.CPUs < 1 || spec.CPUs > MaxCPUs {
		return nil, fmt.Errorf("%d CPUs: expected a number from 1 to %d", spec.CPUs, MaxCPUs)
	}
	p := &play{failure: f, at: failsAt}
	p.cfg = simkernel.Config{
		Kernel: k.name, Seed: spec.Seed, MagicSysrq: true, Passages: true,
		Reboot:   simkernel.RebootConfig{CPUs: spec.CPUs},
		Firmware: simkernel.Firmware{ACPI: k.arch == x86},
		Dirs:     []string{"/proc", "/sys", "/dev"},
		Mounts:   []simkernel.Mount{{Type: "proc", Target: "/proc"}, {Type: "sysfs", Target: "/sys"}},
		Programs: make(map[string]simkernel.Program),
	}
	if err := p.keep(k, spec); err != nil {
		return nil, err
	}
	f.plan(p)
	for _, name := range spec.Then {
		if err := p.goOn(k, name); err != nil {
			return nil, err
		}
	}
	for _, s := range spec.Settings {
		if err := p.set(k, s); err != nil {
			return nil, err
		}
	}
	p.word(spec.Cmdline)
	if err := p.guard(k, spec.Watchdogs); err != nil {
		return nil, err
	}
	p.cfg.Until = p.at + p.watched() + p.waits()
	return p, nil
}

// goOn puts down a further failure.
func (p *play) goOn(k *profile, name string) error {
	f, err := failureNamed(name)
	if err != nil {
		return err
	}
	if why := f.lacks(k); why != "" {
		return fmt.Errorf("%s has no failure %q: %s", k.name, f.Name, why)
	}
	before, at, then := p.actions, p.at, p.then
	p.actions, p.then = nil, nil
	f.plan(p)
	if p.at != at {
		return fmt.Errorf("failure %q: it cannot follow another one", f.Name)
	}
	p.later, p.thens = append(p.later, p.actions), append(p.thens, p.then)
	p.actions, p.then = before, then
	return nil
}

// ramoops is the module's parameters, as boards and virtual machines are usually given them.
const ramoops = "mem_address=0x1e000000 mem_size=0x100000 record_size=0x8000 console_size=0x8000 " +
	"pmsg_size=0 ftrace_size=0"

// keep gives the machine what keeps evidence.
func (p *play) keep(k *profile, spec Spec) error {
	if spec.CrashKernel {
		if k.arch == mips {
			return fmt.Errorf("%s cannot start a crash kernel", k.name)
		}
		p.cfg.Kexec.Crash = &simkernel.NewKernel{Cmdline: "nr_cpus=1"}
	}
	if spec.Ramoops {
		if since := v(3, 5, 0); k.is < since {
			return fmt.Errorf("%s has no ramoops that others can read: it needs Linux %v or later", k.name, since)
		}
		p.cfg.Ramoops = ramoops
		p.cfg.Mounts = append(p.cfg.Mounts, simkernel.Mount{Type: "pstore", Target: pstorePath})
	}
	return nil
}

// act lets something happen when it is time.
func (p *play) act(a simkernel.Action) { p.actions = append(p.actions, a) }

// start lets PID 1 start a process.
func (p *play) start(name string, steps ...simkernel.Step) {
	path := "/bin/" + name
	p.cfg.Programs[path] = simkernel.Program{Steps: steps}
	p.starts = append(p.starts, path)
}

// pid1 starts what is to be there, and reaps it.
func (p *play) pid1(k kernel.Kernel) int {
	if p.at > 0 {
		for _, path := range p.starts {
			// Without a process the failure does not come about, and the report says so.
			_, _ = k.Spawn(&kernel.Command{Paths: []string{path}, Argv: []string{path}})
		}
	}
	for i, then := range append([]func(kernel.Kernel) bool{p.then}, p.thens...) {
		at := p.at + time.Duration(i)*time.Second
		for then != nil && k.Now() < at {
			reap(k, at)
		}
		if then != nil && then(k) {
			return 1
		}
	}
	for {
		reap(k, kernel.Never)
	}
}

// reap waits for an event, and takes the processes that have ended.
func reap(k kernel.Kernel, until time.Duration) {
	k.Next(until)
	for {
		if _, err := k.Wait(); err != nil {
			return
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/test/qemu"
)

// A provoked failure is one that a guest can have under any policy.
type provoked struct {
	Failure string   // panicctl's name for it
	Setup   []string // what the guest does before it
	How     []string // and what makes it, or "!" before what QEMU does
}

// provokable are all failures of one machine with one CPU and nothing that keeps evidence. Its time is
// the instructions that it has executed.
func provokable() []provoked {
	crash := func(failure, way string) provoked {
		return provoked{Failure: failure, How: []string{"crash " + way, "wait 3"}}
	}
	sysrq := func(letter string) provoked {
		return provoked{Failure: "sysrq-" + letter, How: []string{"sysrq " + letter, "wait 3"}}
	}
	return []provoked{
		crash("panic", "panic"), crash("panic-softirq", "timer-panic"),
		crash("double-panic", "notifier-panic"), crash("emergency-restart", "emergency-restart"),
		crash("oops", "null-write"), crash("oops-read", "null-read"), crash("bad-jump", "null-jump"),
		crash("bad-pointer", "wild-read"), crash("read-only", "text-write"),
		crash("bad-instruction", "undefined"), crash("oops-softirq", "timer-oops"),
		crash("oops-irq", "irq-oops"), crash("oops-kthread", "kthread-oops"),
		crash("oops-idle", "idle-oops"),
		crash("oops-locked", "locked-oops"), crash("oops-irqs-off", "irqs-off-oops"),
		crash("oops-atomic", "atomic-oops"),
		crash("bug", "bug"), crash("bug-irq", "timer-bug"),
		crash("warn", "warn"), crash("warn-on", "bare-warn"), crash("schedule-atomic", "atomic-schedule"),
		{Failure: "init-death", How: []string{"init-dies exit", "wait 30"}},
		// The oops of one of the threads of our PID 1 leaves the others.
		{Failure: "oops-init", How: []string{"init-dies oops", "wait 30"}},
		{Failure: "init-fault", How: []string{"init-dies segv", "wait 30"}},
		crash("soft-lockup", "self-lockup"), crash("hard-lockup", "self-irqs-off"),
		{Failure: "hung-task", How: []string{"crash& d-state", "wait 1300"}},
		{Failure: "nmi", How: []string{"!nmi", "wait 3"}},
		{Failure: "mce", How: []string{"!mce", "wait 3"}},
		crash("stack-overflow", "stack-overflow"), crash("stack-canary", "stack-canary"),
		crash("stack-end", "stack-end"),
		{
			Failure: "watchdog",
			Setup:   []string{"module watchdog", "module softdog", "watchdog 0 30"},
			How:     []string{"wait 60"},
		},
		{
			Failure: "pretimeout",
			Setup: []string{
				"module watchdog", "module pretimeout_panic", "module softdog",
				"set pretimeout_governor panic", "watchdog 0 30 10",
			},
			How: []string{"wait 60"},
		},
		sysrq("b"), sysrq("c"), sysrq("o"), sysrq("s"), sysrq("u"), sysrq("x"), sysrq("9"), sysrq("r"),
		sysrq("l"), sysrq("m"), sysrq("p"), sysrq("q"), sysrq("t"), sysrq("w"),
	}
}

// A Fate is what becomes of a machine, as panicctl matrix -json says it of the model.
type Fate struct {
	Policy  string `json:"policy"`
	Failure string `json:"failure"`
	Outcome string `json:"outcome"`
	// After is when the kernel has ended, in seconds since the failure; nil if it does not.
	After *float64 `json:"ended_after_seconds"`
	// Evidence are the places where something is left.
	Evidence []string `json:"evidence"`
}

// String is the fate in words.
func (f Fate) String() string {
	s := strings.ReplaceAll(f.Outcome, "-", " ")
	if f.After != nil {
		s += fmt.Sprintf(" after %.2f s", *f.After)
	}
	return s + ", left " + list(f.Evidence)
}

// differs says in which way a prediction is not what happened, or nothing. Times may be apart by a
// fifth, or by a second.
func (f Fate) differs(predicted Fate) string {
	switch {
	case f.Outcome != predicted.Outcome:
		return "outcome"
	case !slices.Equal(f.Evidence, predicted.Evidence):
		return "evidence"
	case (f.After == nil) != (predicted.After == nil):
		return "time"
	case f.After != nil && math.Abs(*f.After-*predicted.After) > max(1, *predicted.After/5):
		return "time"
	}
	return ""
}

// is reports whether a fate is that of a provoked failure under a policy.
func (f Fate) is(policy string, p provoked) bool {
	return f.Policy == policy && f.Failure == p.Failure
}

// panicctl says what it predicts for each failure under a policy.
func panicctl(ctx context.Context, root string, k Kernel, policy string) (map[string]Fate, error) {
	cmd := exec.CommandContext(ctx, "go", "run", "./cmd/panicctl", "matrix",
		"-kernel", k.Profile, "-policy", policy, "-cpus", "1", "-json")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("panicctl matrix -policy %s: %w", policy, err)
	}
	var rows []struct {
		Failure, Outcome string
		After            *float64 `json:"ended_after_seconds"`
		Evidence         []struct{ Where string }
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("panicctl matrix -policy %s: %w", policy, err)
	}
	all := map[string]Fate{}
	for _, r := range rows {
		f := Fate{Policy: policy, Failure: r.Failure, Outcome: r.Outcome, After: r.After}
		for _, e := range r.Evidence {
			if !slices.Contains(f.Evidence, e.Where) {
				f.Evidence = append(f.Evidence, e.Where)
			}
		}
		all[r.Failure] = f
	}
	return all, nil
}

// policyKernel is the one whose policies are played.
func policyKernel() Kernel { return kernels()[0] }

// fatesFile is where what happened is kept, below a directory.
func fatesFile(dir string, k Kernel) string { return filepath.Join(dir, "policies", k.Name+".json") }

// loadFates reads what has been kept.
func loadFates(dir string, k Kernel) ([]Fate, error) {
	text, err := os.ReadFile(fatesFile(dir, k))
	if err != nil {
		return nil, err
	}
	var fates []Fate
	return fates, json.Unmarshal(text, &fates)
}

// saveFates keeps what happened. What is not played again stays.
func saveFates(dir string, k Kernel, fates []Fate) error {
	old, err := loadFates(dir, k)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var lines []string
	for _, policy := range knob.Presets() {
		for _, p := range provokable() {
			for _, all := range [][]Fate{fates, old} {
				i := slices.IndexFunc(all, func(f Fate) bool { return f.is(policy, p) })
				if i < 0 {
					continue
				}
				line, err := json.Marshal(all[i])
				if err != nil {
					return err
				}
				lines = append(lines, string(line))
				break
			}
		}
	}
	file := fatesFile(dir, k)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644)
}

// A policyAgreement plays failures under each policy, and compares.
type policyAgreement struct {
	guests           guests
	chosen           *regexp.Regexp
	record, recorded string
	out              io.Writer
}

// make plays what was chosen, or takes what was kept.
func (a *policyAgreement) make(ctx context.Context, file string) error {
	k := policyKernel()
	var fates []Fate
	var err error
	if a.recorded != "" {
		fates, err = loadFates(a.recorded, k)
	} else {
		fates, err = a.play(ctx, k)
	}
	if err != nil {
		return err
	}
	predicted := map[string]map[string]Fate{}
	for _, policy := range knob.Presets() {
		if predicted[policy], err = panicctl(ctx, filepath.Dir(a.guests.build), k, policy); err != nil {
			return err
		}
	}
	bad := 0
	for _, f := range fates {
		if f.differs(predicted[f.Policy][f.Failure]) != "" {
			bad++
		}
	}
	fmt.Fprintf(a.out, "%d failures under policies: %d as predicted\n", len(fates), len(fates)-bad)
	if file != "" {
		if err := writeHalf(file, secondHalf, policyTable(k, fates, predicted)); err != nil {
			return err
		}
	}
	if bad > 0 {
		return errDiffer
	}
	return nil
}

// play plays what was chosen. With an error it returns what it has all the same.
func (a *policyAgreement) play(ctx context.Context, k Kernel) ([]Fate, error) {
	if err := a.guests.prepare(ctx, k); err != nil {
		return nil, err
	}
	var fates []Fate
	var failed []error
	for _, policy := range knob.Presets() {
		var mine []provoked
		for _, p := range provokable() {
			if a.chosen.MatchString(policy + "/" + p.Failure) {
				mine = append(mine, p)
			}
		}
		if len(mine) == 0 {
			continue
		}
		predicted, err := panicctl(ctx, filepath.Dir(a.guests.build), k, policy)
		if err != nil {
			return fates, err
		}
		if err := a.guests.bootPolicy(k, policy); err != nil {
			return fates, fmt.Errorf("policy %s: %w", policy, err)
		}
		for _, p := range mine {
			begun := time.Now()
			f, err := a.guests.provoke(k, policy, p)
			if err != nil {
				failed = append(failed, fmt.Errorf("%s/%s: %w", policy, p.Failure, err))
				fmt.Fprintf(a.out, "%s/%s: %v\n", policy, p.Failure, err)
				continue
			}
			fates = append(fates, f)
			if a.record != "" {
				if err := saveFates(a.record, k, fates); err != nil {
					return fates, err
				}
			}
			word := "as predicted"
			if d := f.differs(predicted[p.Failure]); d != "" {
				word = fmt.Sprintf("**%s differs**: predicted %v", d, predicted[p.Failure])
			}
			fmt.Fprintf(a.out, "%-40s %v: %s (%v)\n", policy+"/"+p.Failure, f, word,
				time.Since(begun).Round(100*time.Millisecond))
		}
	}
	return fates, errors.Join(failed...)
}

// policySnapshot is where the state of a machine is kept whose PID 1 has set a policy.
func (g guests) policySnapshot(k Kernel, policy string) string {
	return filepath.Join(g.build, "crash", "policy-"+k.Name+"-"+policy)
}

// policyMachine is one with our PID 1 and a policy. It stops where it would restart or be off, so that
// its time can be read then.
func (g guests) policyMachine(k Kernel, policy string) (qemu.Machine, error) {
	m, err := g.machine(k, 1)
	if err != nil {
		return m, err
	}
	m.KeepResets, m.Loud, m.Room = false, true, 4<<20
	// The guest reads the HPET. QEMU's processor is one of AMD's of family 15, on which no log of machine
	// checks is kept from before the boot, and their panic has no timeout of its own: as on the model's
	// and most others there is to be one.
	m.Append += " iomem=relaxed mce=bootlog"
	// What a kernel waits in it executes: eight times as long for each instruction is eight times sooner.
	m.Options[slices.Index(m.Options, icount[1])] = "shift=8,sleep=off"
	m.Options = append(m.Options, "-no-shutdown")
	i := slices.IndexFunc(m.Files, func(f qemu.File) bool { return f.Path == "init" })
	m.Files[i].Source = filepath.Join(g.build, "init-"+k.Arch)
	m.Files = append(m.Files,
		qemu.File{Path: "guest", Perm: 0o755, Source: g.guest(k)},
		qemu.File{Path: "etc/rebound.conf", Data: "panic.policy = " + policy + "\n"},
		qemu.File{Path: "etc/inittab", Data: "::once:/guest\n::restart:/guest die\n"},
	)
	return m, nil
}

// bootPolicy boots a machine with a policy, looks whether PID 1 has set it, and keeps the machine as it
// is then.
func (g guests) bootPolicy(k Kernel, policy string) error {
	m, err := g.policyMachine(k, policy)
	if err != nil {
		return err
	}
	in := newLines()
	vm, err := qemu.Launch(m, in)
	if err != nil {
		return err
	}
	defer vm.Kill()
	s := session{vm, in}
	said, n, err := s.await(0, bootTime)
	if err == nil && said != "ready first" {
		err = fmt.Errorf("the guest said %q after the boot", said)
	}
	if err == nil {
		err = s.hasPolicy(n, policy)
	}
	if err != nil {
		return s.explain(err)
	}
	return s.keep(g.policySnapshot(k, policy))
}

// hasPolicy reads back what PID 1 should have set.
func (s session) hasPolicy(n int, policy string) error {
	want := map[string]knob.Choice{}
	show := "show"
	preset := knob.Preset(slices.Index(knob.Presets(), policy))
	for _, c := range (knob.Plan{Preset: preset}).Choices() {
		want[c.Knob.File()] = c
		show += " " + c.Knob.File()
	}
	if len(want) == 0 {
		// These two name no knob: one gives kernel.panic 10 s, the other leaves it.
		timeout := knob.ByName("kernel.panic")
		value := "0"
		if preset == knob.Standard {
			value = "10"
		}
		want[timeout.File()], show = knob.Choice{Knob: timeout, Value: value}, show+" "+timeout.File()
	}
	next, err := s.tell(n, []string{show})
	if err != nil {
		return err
	}
	all, _, _ := s.in.from(n)
	name, seen := "", 0
	for _, line := range all[:next-n] {
		if m := fileLine.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		c, ok := want[name]
		if content, is := strings.CutPrefix(line, "| "); is && ok {
			seen++
			if got := c.Knob.Shown(content); got != c.Value {
				return fmt.Errorf("PID 1 has left %s at %s, not %s", name, got, c.Value)
			}
		}
	}
	if seen == 0 {
		return errors.New("the guest has shown no knob")
	}
	return nil
}

// provoke lets one failure happen under a policy.
func (g guests) provoke(k Kernel, policy string, p provoked) (Fate, error) {
	f := Fate{Policy: policy, Failure: p.Failure}
	m, err := g.policyMachine(k, policy)
	if err != nil {
		return f, err
	}
	m.Options = append(m.Options, "-incoming", "exec:cat "+g.policySnapshot(k, policy))
	in := newLines()
	vm, err := qemu.Launch(m, in)
	if err != nil {
		return f, err
	}
	defer vm.Kill()
	if err := resume(vm); err != nil {
		return f, err
	}
	s := session{vm, in}
	if err := s.fate(p, &f); err != nil {
		return f, s.explain(err)
	}
	return f, nil
}

// well is how a guest shows that the machine goes on: its PID 1 powers it off.
const well = "poweroff"

// fate lets the failure happen, and sees what becomes of the machine.
func (s session) fate(p provoked, f *Fate) error {
	setup := append([]string{"module rebound_crash"}, p.Setup...)
	button, how := "", append(p.How[:len(p.How):len(p.How)], well)
	if strings.HasPrefix(how[0], "!") {
		button, how = how[0][1:], how[1:]
	}
	commands := setup
	if button == "" {
		commands = slices.Concat(setup, []string{"clock"}, how)
	}
	if err := s.send(commands); err != nil {
		return err
	}
	n, err := s.done(0, setup)
	if err != nil {
		return err
	}
	var begun uint64
	if button == "" {
		var said string
		if said, n, err = s.await(n, time.Minute); err != nil {
			return err
		}
		if begun, err = strconv.ParseUint(strings.TrimPrefix(said, "hpet "), 10, 64); err != nil {
			return fmt.Errorf("clock: the guest said %q", said)
		}
		if n, err = s.done(n, []string{"clock"}); err != nil {
			return err
		}
	} else {
		// What the guest has said must have left the kernel: a panic would say it again.
		time.Sleep(300 * time.Millisecond)
		if begun, err = s.pressed(button); err != nil {
			return err
		}
		if err := s.send(how); err != nil {
			return err
		}
	}
	ended, err := s.outcome(n, len(how))
	if err != nil {
		return err
	}
	f.Outcome = ended.outcome
	all, _, _ := s.in.from(n)
	for _, line := range all {
		// A PID 1 that is to die begins later, and says when.
		if text, mine := own(line); mine && strings.HasPrefix(text, "hpet ") {
			if begun, err = strconv.ParseUint(text[len("hpet "):], 10, 64); err != nil {
				return fmt.Errorf("clock: the guest said %q", text)
			}
		}
	}
	if f.Outcome == "comes-back" || f.Outcome == "powers-off" {
		end, err := s.hpet()
		if err != nil {
			return err
		}
		const period = 1e-8 // of QEMU's HPET, in seconds
		after := math.Round(float64(end-begun)*period*1e3) / 1e3
		f.After = &after
	}
	all = all[:min(ended.lines, len(all))]
	if slices.ContainsFunc(all, said) {
		f.Evidence = []string{"console"}
	}
	return nil
}

// said reports whether a line of the console is one that the kernel has said of itself.
func said(line string) bool {
	if _, mine := own(line); mine {
		return false
	}
	// PID 1 remarks on what it has seen in the log.
	return kernelLine.MatchString(line) && !strings.Contains(line, "] init: ")
}

var kernelLine = regexp.MustCompile(`^<\d+>\[[ 0-9.]+\] `)

// A conclusion is an outcome, and how many lines belong to it.
type conclusion struct {
	outcome string
	lines   int
}

// outcome watches what becomes of a machine from line n on that was given so many commands, the last of
// which powers it off.
func (s session) outcome(n, commands int) (conclusion, error) {
	const (
		quiet     = 12 * time.Second
		afterLast = 3 * time.Second
		patience  = 2 * time.Minute
		lasting   = 400.0 // seconds of the guest in which nobody answers: as good as for ever
	)
	begun, silence, seen, answered, well := time.Now(), quiet, n, 0, 0
	first := -1.0
	for {
		all, heard, changed := s.in.from(seen)
		for i, line := range all {
			switch {
			case strings.Contains(line, "---[ end Kernel panic"):
				silence = afterLast
			case strings.Contains(line, "] Rebooting in "):
				silence = patience
			}
			said, ok := own(line)
			if ok && (strings.HasPrefix(said, "done ") || strings.HasPrefix(said, "error ")) {
				answered++
				// Only the last command remains: what comes now is the way down.
				if answered == commands-1 {
					well = seen + i + 1 - n
				}
			}
			if m := stamp.FindStringSubmatch(line); m != nil && answered < commands-1 {
				at, _ := strconv.ParseFloat(m[1], 64)
				if first < 0 {
					first = at
				}
				if answered == 0 && at-first > lasting {
					return conclusion{"hangs", seen + i - n}, nil
				}
			}
		}
		seen += len(all)
		for _, e := range s.vm.Monitor.Events() {
			if e.Name != "SHUTDOWN" {
				continue
			}
			// What was on the way before it is still to come.
			time.Sleep(200 * time.Millisecond)
			all, _, _ := s.in.from(n)
			switch reason, _ := e.Data["reason"].(string); {
			case reason != "guest-shutdown":
				return conclusion{"comes-back", len(all)}, nil
			case well > 0:
				return conclusion{"goes-on", well}, nil
			default:
				return conclusion{"powers-off", len(all)}, nil
			}
		}
		switch {
		case time.Since(heard) > silence && time.Since(begun) > silence:
			if well > 0 {
				return conclusion{}, errors.New("the guest goes on, but PID 1 does not power off")
			}
			return conclusion{"hangs", seen - n}, nil
		case time.Since(begun) > patience:
			return conclusion{}, errors.New("no end after two minutes")
		}
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stamp is the time of a line, in seconds.
var stamp = regexp.MustCompile(`^<\d+>\[ *([0-9]+\.[0-9]+)\] `)

// pressed does what only QEMU can, and returns when.
func (s session) pressed(button string) (at uint64, err error) {
	if _, err := s.vm.Monitor.Execute("stop", nil); err != nil {
		return 0, err
	}
	if at, err = s.hpet(); err != nil {
		return 0, err
	}
	if err := s.press(button); err != nil {
		return 0, err
	}
	_, err = s.vm.Monitor.Execute("cont", nil)
	return at, err
}

// hpet is what the main counter of the HPET has.
func (s session) hpet() (uint64, error) {
	answer, err := s.vm.Monitor.Execute("human-monitor-command", map[string]any{
		"command-line": "xp /2xw 0xfed000f0",
	})
	if err != nil {
		return 0, err
	}
	var text string
	if err := json.Unmarshal(answer, &text); err != nil {
		return 0, err
	}
	_, words, _ := strings.Cut(text, ": ")
	var low, high uint64
	if _, err := fmt.Sscanf(words, "0x%x 0x%x", &low, &high); err != nil {
		return 0, fmt.Errorf("HPET: QEMU said %q", text)
	}
	return high<<32 | low, nil
}

package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
)

// A NoModelError says that the model cannot play a cell.
type NoModelError struct{ Why string }

func (e *NoModelError) Error() string { return "the model: " + e.Why }

// fullName is what internal/crash calls a knob whose file is not below /proc/sys/kernel.
var fullName = map[string]string{
	"rcu_cpu_stall_timeout": "rcupdate.rcu_cpu_stall_timeout",
	"panic_on_oom":          "vm.panic_on_oom",
}

// spec is what the model is asked for a cell.
func spec(k Kernel, c Cell) (crash.Spec, error) {
	s := crash.Spec{
		Kernel: k.Profile, CPUs: max(c.CPUs, 1), Failure: c.Failure,
		Settings: []crash.Setting{{Name: "nokaslr"}},
	}
	for _, knob := range c.Settings {
		if name, ok := fullName[knob.Knob]; ok {
			knob.Knob = name
		}
		if knob == (Setting{"printk", "4 4 1 7"}) {
			knob = Setting{Knob: "quiet"}
		}
		s.Settings = append(s.Settings, crash.Setting{Name: knob.Knob, Value: knob.Value})
	}
	if k.Arch == "amd64" {
		// QEMU's processor is one of AMD's of family 15, of which the kernel keeps no log of
		// machine checks before the boot.
		s.Cmdline = "mce=nobootlog"
	}
	if w := c.Watchdog; w.Name != "" {
		s.Watchdogs = []crash.Watchdog{{
			Name: w.Name, Timeout: time.Duration(w.Timeout) * time.Second,
			Pretimeout: time.Duration(w.Pretimeout) * time.Second,
			Noop:       w.Governor == "noop", SoftPanic: w.Params == "soft_panic=1",
			SoftNoBoot: w.Params == "soft_noboot=1",
		}}
	}
	if s.CrashKernel = c.CrashKernel; c.Ramoops > 0 {
		s.Ramoops = true
		s.Cmdline += fmt.Sprintf(" ramoops.max_reason=%d", c.Ramoops)
	}
	var names []string
	for _, how := range c.How {
		if verb, way, _ := strings.Cut(how, " "); verb != "wait" && way != "observe" {
			names = append(names, how)
		}
	}
	if len(names) < 2 {
		return s, nil
	}
	// The last is the one that the cell is named for.
	for i, how := range names {
		name, ok := several[how]
		switch {
		case !ok:
			return s, &NoModelError{"several failures, and no name for " + how}
		case i == 0:
			s.Failure = name
		default:
			s.Then = append(s.Then, name)
		}
	}
	return s, nil
}

// several are the model's names for what the guest is told, where it is told more than one thing.
var several = map[string]string{
	"crash hard-lockup": "hard-lockup", "crash null-write": "oops", "crash warn": "warn",
	"sysrq c": "sysrq-c",
}

// An Outcome is what a cell came to, in a real kernel or in the model, made comparable.
type Outcome struct {
	Ended string
	Left  []string
	Lines []string
}

// outcome is what a recording came to.
func (r Recording) outcome() Outcome {
	return Outcome{r.Ended, r.Left, normal(consoleLines(r.Lines))}
}

// endings are the ends by the model's names.
var endings = map[crash.Ending]string{
	crash.Survived: endGoesOn, crash.Restarted: endReset, crash.Rescued: endWatchdog,
	crash.Captured: endCapture, crash.Off: endPowerOff, crash.Hung: endHang,
}

// playModel plays a cell on the model.
func playModel(k Kernel, c Cell) (Outcome, error) {
	s, err := spec(k, c)
	if err != nil {
		return Outcome{}, err
	}
	r, err := crash.Play(s)
	if err != nil {
		return Outcome{}, &NoModelError{err.Error()}
	}
	o := Outcome{Ended: endings[r.Verdict.Ending]}
	if r.Verdict.Watchdog == "softdog" && o.Ended == endWatchdog {
		// For QEMU it is the kernel that restarts, as it is.
		o.Ended = endReset
	}
	// A real kernel that goes on was watched only for as long as its guest waited.
	until := r.At + patience(c)
	var lines []Line
	for _, l := range r.Lines {
		if l.OnConsole && l.At >= r.At && (o.Ended != endGoesOn || l.At < until) {
			lines = append(lines, Line{int(l.Level), l.Text})
		}
	}
	o.Lines = normal(lines)
	for _, e := range r.Verdict.Evidence {
		switch e.Where {
		case "console":
		case "vmcore":
			o.Left = append(o.Left, "vmcore")
		case "watchdog":
			o.Left = append(o.Left, "bootstatus: "+e.What[strings.LastIndex(e.What, " ")+1:])
		case "pstore":
			// The real one is asked for the first line of each record of the log.
			name, what, _ := strings.Cut(path.Base(e.What), ": ")
			if head, _, _ := strings.Cut(what, ", "); strings.HasPrefix(name, "dmesg-") {
				o.Left = append(o.Left, name+": "+head)
			}
		default:
			o.Left = append(o.Left, e.What)
		}
	}
	return o, nil
}

// patience is for how long the guest of a cell waits, and a little more.
func patience(c Cell) time.Duration {
	wait := time.Second / 2
	for _, how := range c.aftermath() {
		if seconds, ok := strings.CutPrefix(how, "wait "); ok {
			n, _ := strconv.Atoi(seconds)
			wait += time.Duration(n) * time.Second
		}
	}
	return wait
}

// without leaves out the lines that are there or not by chance.
func (o Outcome) without(chance []string) Outcome {
	o.Lines = slices.DeleteFunc(slices.Clone(o.Lines), func(line string) bool {
		return slices.Contains(chance, line)
	})
	return o
}

// differs says where the model's outcome is another than the real one first, or nothing.
func differs(real, model Outcome) string {
	for i := range max(len(real.Lines), len(model.Lines)) {
		r, m := "the end", "the end"
		if i < len(real.Lines) {
			r = fmt.Sprintf("%q", real.Lines[i])
		}
		if i < len(model.Lines) {
			m = fmt.Sprintf("%q", model.Lines[i])
		}
		if r != m {
			return fmt.Sprintf("line %d: real %s, model %s", i+1, r, m)
		}
	}
	if real.Ended != model.Ended {
		return fmt.Sprintf("real %s, model %s", real.Ended, model.Ended)
	}
	if !slices.Equal(real.Left, model.Left) {
		return fmt.Sprintf("left: real %s, model %s", list(real.Left), list(model.Left))
	}
	return ""
}

func list(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

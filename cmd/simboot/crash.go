package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rebound-init/rebound/internal/crash"
	"github.com/rebound-init/rebound/internal/options"
	"github.com/rebound-init/rebound/internal/simkernel"
)

const crashDoes = `Let a kernel fail on a model machine. Print what its console shows, with the time since
boot, and then what ended the machine, when it was back, and what is left to find out why.
Of several failures each comes a second after the one before, if the machine is still there.`

// crashOutput is how the report is printed.
type crashOutput struct{ list, explain, json bool }

func (t *tool) crash(args []string) int {
	fs := t.flags("crash", "FAILURE...", crashDoes)
	var (
		spec crash.Spec
		o    crashOutput
	)
	fs.BoolVar(&o.list, "list", false, "list the failures, the kernels and the settings")
	fs.BoolVar(&o.explain, "explain", false,
		"show all lines of the kernel log, and behind each which step of the kernel has said it")
	fs.BoolVar(&o.json, "json", false, "print the report, or the list, as JSON")
	crashFlags(fs, &spec)
	words, status, done := t.parse(fs, args)
	if done {
		return status
	}
	switch {
	case o.list && len(words) > 0:
		return t.wrong("crash: -list lists everything, and %q is too much", words[0])
	case o.list:
		return t.listCrashes(o)
	case len(words) == 0:
		return t.wrong("crash: expected the name of a failure: `simboot crash -list` names all")
	}
	// What has survived one failure may not survive the next, a second later.
	spec.Failure, spec.Then = words[0], words[1:]
	r, err := crash.Play(spec)
	if err != nil {
		return t.wrong("crash: %v", err)
	}
	if o.json {
		return t.printJSON(r)
	}
	t.showCrash(r, o)
	return exitOK
}

// crashFlags are the options that say what machine it is.
func crashFlags(fs *flag.FlagSet, spec *crash.Spec) {
	fs.StringVar(&spec.Kernel, "kernel", simkernel.Kernels()[0], "the kernel `profile`")
	fs.IntVar(&spec.CPUs, "cpus", 0, "the `number` of CPUs: 1, if the failure needs no other to be seen")
	fs.Var(options.Several(&spec.Settings, crash.ParseSetting), "set", "a `setting`: NAME=VALUE of a sysctl, a parameter of a "+
		"module or a word of the\nkernel's command line; may be given several times")
	fs.BoolVar(&spec.CrashKernel, "crash-kernel", false, "a crash kernel has been loaded (kdump)")
	fs.BoolVar(&spec.Ramoops, "ramoops", false, "the kernel keeps its log in memory, for the next boot (pstore)")
	fs.Var(options.Several(&spec.Watchdogs, crash.ParseWatchdog), "watchdog", "a watchdog that a process feeds: "+
		"`NAME,TIMEOUT[,PRETIMEOUT]`; may be given several times.\nNames: "+
		strings.Join(simkernel.WatchdogDrivers(), ", "))
	fs.StringVar(&spec.Cmdline, "cmdline", "", "further `words` of the kernel's command line, as they are")
	fs.Uint64Var(&spec.Seed, "seed", 0, "draw what chance decides from this `number`; 0 is no chance")
}

func (t *tool) printJSON(v any) int {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		fmt.Fprintf(t.err, "simboot: crash: %v\n", err)
		return exitDiffers
	}
	return exitOK
}

// showCrash prints a report for people.
func (t *tool) showCrash(r *crash.Report, o crashOutput) {
	hidden, width := 0, 0
	if o.explain {
		for _, l := range r.Lines {
			const widest = 72
			width = max(width, min(len(l.Text), widest))
		}
	}
	for _, l := range r.Lines {
		if !l.OnConsole && !o.explain {
			hidden++
			continue
		}
		line := fmt.Sprintf("[%12.6f] %-*s", l.At.Seconds(), width, l.Text)
		if o.explain {
			line += "  <- " + origin(l)
		}
		fmt.Fprintln(t.out, line)
	}
	if hidden > 0 {
		fmt.Fprintf(t.out, "(lines only in the kernel log: %d; -explain shows them)\n", hidden)
	}
	if len(r.Lines) > 0 {
		fmt.Fprintln(t.out)
	}
	v := &r.Verdict
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	if v.Cause != "" {
		row(w, "cause", v.Cause)
	}
	row(w, "ended by", ended(r))
	if v.Answers != nil {
		row(w, "answers", answers(v.Answers))
	}
	if v.Ending != crash.Survived {
		row(w, "back", back(r))
	}
	if len(v.Evidence) == 0 {
		row(w, "evidence", "none")
	}
	for i, e := range v.Evidence {
		name := ""
		if i == 0 {
			name = "evidence"
		}
		row(w, name, e.Where+": "+e.What)
	}
	w.Flush()
}

func row(w io.Writer, name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, value) }

// origin is who has said a line, for people.
func origin(l crash.Line) string {
	by := l.By
	if by == "" {
		by = "devkmsg_write"
	}
	if !l.OnConsole {
		by += fmt.Sprintf("  (level %d: not on the console)", l.Level)
	}
	return by
}

// ended is what has ended a machine, and when.
func ended(r *crash.Report) string {
	v := &r.Verdict
	switch v.Ending {
	case crash.Survived:
		return "nothing: the kernel goes on"
	case crash.Hung:
		return "nothing: it hangs until somebody comes"
	case crash.Rescued:
		return "watchdog " + v.Watchdog + ", " + after(v.At-r.At)
	default:
		return v.Ending.String() + ", " + after(v.At-r.At)
	}
}

// answers is what a machine that hangs still answers, and what is in the way.
func answers(a *simkernel.Answers) string {
	what := "nothing"
	switch {
	case a.Processes:
		what = "processes run, and interrupts are taken"
	case a.Ping:
		what = "interrupts are taken (ping, the keys of SysRq), and no process runs"
	case a.Interrupts:
		what = "interrupts are taken (the keys of SysRq), but no soft ones (no ping), and no process runs"
	}
	if a.Why != "" {
		what += ": " + a.Why
	}
	return what
}

// back is when the next kernel starts.
func back(r *crash.Report) string {
	b := r.Verdict.Back
	switch {
	case b == crash.Never:
		return "never by itself"
	case r.Verdict.Ending == crash.Captured:
		return "the crash kernel starts " + after(time.Duration(b)-r.At) + ", without any firmware"
	}
	return "the next kernel starts " + after(time.Duration(b)-r.At) + ", plus what the firmware takes"
}

func after(d time.Duration) string {
	if d == 0 {
		return "at once"
	}
	return span(d) + " after the failure"
}

// listCrashes lists what can be asked for.
func (t *tool) listCrashes(o crashOutput) int {
	list := struct {
		Failures []crash.Failure `json:"failures"`
		Kernels  []string        `json:"kernels"`
		Settings []string        `json:"settings"`
	}{crash.Failures(), simkernel.Kernels(), crash.Settings()}
	if o.json {
		return t.printJSON(list)
	}
	w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "Failures:")
	for _, f := range list.Failures {
		where := ""
		if len(f.Kernels) < len(list.Kernels) {
			where = fmt.Sprintf(" (%d of %d kernels)", len(f.Kernels), len(list.Kernels))
		}
		fmt.Fprintf(w, "  %s\t%s%s\n", f.Name, f.Means, where)
		for line := range strings.Lines(columns(strings.Fields(f.Caused), 80)) {
			fmt.Fprintf(w, "\t%s\n", strings.TrimRight(line, "\n"))
		}
	}
	w.Flush()
	fmt.Fprintf(t.out, "\nKernels:\n  %s\n\nSettings:\n", strings.Join(list.Kernels, "\n  "))
	fmt.Fprintln(t.out, columns(list.Settings, 96))
	return exitOK
}

// columns puts words into lines.
func columns(words []string, width int) string {
	var b strings.Builder
	line := " "
	for _, w := range words {
		if len(line)+1+len(w) > width {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + w
	}
	b.WriteString(line)
	return b.String()
}

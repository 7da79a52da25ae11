package main

import (
	"regexp"
	"strconv"
	"strings"
)

// A Line is a line of the kernel's log, of a real kernel or of the model.
type Line struct {
	Level int // -1 if it is not known
	Text  string
}

// consoleLine is a line as console_msg_format=syslog shows it. The number has the facility in it.
var consoleLine = regexp.MustCompile(`^<(\d+)>\[ *\d+\.\d+\] ?(.*)$`)

// consoleLines reads the kernel's own lines from a console. What others say there has no level, and
// the facility of what programs say is not zero.
func consoleLines(console []string) []Line {
	var lines []Line
	for _, text := range console {
		m := consoleLine.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 7 {
			continue
		}
		lines = append(lines, Line{n, m[2]})
	}
	return lines
}

// Normal makes lines comparable between two kernels, or two runs of the same: what is by chance,
// by hardware or by compiler is taken out, and nothing else. Each line begins with its level.
//
//   - Lines of parts that have nothing to do with the failure are dropped.
//   - Registers become one line "registers", frames of a stack nothing.
//   - Addresses, numbers of processes, counts and times become "#".
//   - Programs and threads have no names of their own but init and the idle task.
func normal(lines []Line) []string {
	var out []string
	n := normaliser{}
	for _, l := range lines {
		text, ok := n.line(l.Text)
		if !ok {
			continue
		}
		text = "<" + strconv.Itoa(l.Level) + ">" + text
		if (strings.HasSuffix(text, ">"+registers) || strings.HasSuffix(text, ">[#] #")) && len(out) > 0 && out[len(out)-1] == text {
			continue
		}
		out = append(out, text)
	}
	return out
}

const registers = "registers"

// A normaliser knows where in a report it is.
type normaliser struct {
	inTrace  bool // behind "Call Trace:"
	inNMI    bool // behind "<NMI>" there
	inMemory bool // behind "Mem-Info:"
	lockup   bool // behind a soft lockup
	nmi      bool // behind an NMI, which comes to whoever is there
}

var (
	// unrelated begin lines of parts of the kernel that are not what a cell is about.
	unrelated = regexp.MustCompile(`^(clocksource|hrtimer|tsc|random|perf|sched|input|i8042|` +
		`rebound_crash|rebound-crash|kauditd|audit|ramoops|pstore|softdog: initialized|` +
		`softdog: +soft_reboot_cmd|oom_reaper|i6300ESB timer|i6300esb|watchdog: pretimeout|NET|ACPI): ?`)

	// How long the handler of an NMI has taken is the host's matter.
	slowNMI = regexp.MustCompile(`^INFO: NMI handler \(\w+\) took too long to run: `)

	// Processors of AMD's, as QEMU has one, need no tool.
	mcelog = regexp.MustCompile(`Run the above through 'mcelog --ascii'$`)

	traceStart = regexp.MustCompile(`^Call [Tt]race:`)
	traceTag   = regexp.MustCompile(`^ *<(/?)(TASK|IRQ|NMI|SOFTIRQ|ENTRY_TRAMPOLINE|#DF|#[A-Z]+)>$`)
	frame      = regexp.MustCompile(`^ (\? )?(0x)?[\w.]+(\+0x[0-9a-f]+/0x[0-9a-f]+)?( \[\w+\])?( \([A-Z]+\))?$`)

	registerLine = regexp.MustCompile(`^(RIP: |Code: |RSP: |R[A-D]X: |R[SD]I: |RBP: |R\d\d: |FS: |CS: |` +
		`CR2: [0-9a-f]{16} CR3|DR\d: |PKRU: |pstate: |pc : |lr : |sp : |x\d+ ?: )`)

	memoryStart = regexp.MustCompile(`^Mem-Info:`)
	memoryEnd   = regexp.MustCompile(`^(oom-kill:|Kernel panic|Out of memory|Tasks state|Unreclaimable|System is deadlocked)`)

	cpuLine = regexp.MustCompile(`^CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: (.+?) (Kdump: loaded )?` +
		`(Not tainted|Tainted: .*?)  ?\d+\.\d+\S* #\d.*$`)
)

// rules replace what is by chance in lines that stay.
var rules = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`^Hardware name: .*`), "Hardware name: #"},
	{regexp.MustCompile(`^Modules linked in:.*`), "Modules linked in: #"},
	{regexp.MustCompile(`^PGD .*`), "PGD #"},
	{regexp.MustCompile(`^WARNING: CPU: \d+ PID: \d+ at \S+ .*`), "WARNING: CPU: # PID: # at #"},
	{regexp.MustCompile(`^kernel BUG at .*!$`), "kernel BUG at #!"},
	{regexp.MustCompile(`\[#\d+\]`), "[#]"},
	{
		regexp.MustCompile(`(segfault at )\S+ ip \S+ sp \S+( error \d+ in \w+)\[\S+\](.*on CPU )\d+ \(.*\)`),
		"${1}#${2}[#]${3}#",
	},
	{regexp.MustCompile(`^(note: )\S+\[\d+\]`), "${1}#[#]"},
	{regexp.MustCompile(`^(INFO: task )\S+:\d+ `), "${1}#:# "},
	{regexp.MustCompile(`stuck for \d+s! \[.*\]`), "stuck for #s! [#]"},
	{regexp.MustCompile(`^task:.*`), "task:#"},
	{regexp.MustCompile(`(blocked for more than )\d+( seconds)`), "${1}#${2}"},
	{regexp.MustCompile(`^( +)(Not tainted|Tainted: .*?)  ?\d+\.\d+\S* #\d.*`), "${1}# "},
	{regexp.MustCompile(`\(t=\d+ jiffies.*\)`), "(t=# jiffies #)"},
	{regexp.MustCompile(`^(rcu: \t)\d+-\S+ \(.*`), "${1}#-#: (#"},
	{regexp.MustCompile(`^((?:rcu: )?\t)\(detected by .*`), "${1}(detected by #"},
	{regexp.MustCompile(`^\[[0-9a-f]{16}\] pgd=.*`), "[#] pgd=#"},
	{regexp.MustCompile(`pgdp=[0-9a-f]+`), "pgdp=#"},
	{regexp.MustCompile(`(virtual address |address: )[0-9a-f]{16}`), "${1}#"},
	{regexp.MustCompile(`at \S+ \(stack is \S+\.\.\S+\)`), "at # (stack is #)"},
	{regexp.MustCompile(`^Kernel Offset: 0x.*`), "Kernel Offset: #"},
	{regexp.MustCompile(`^CPU features: .*`), "CPU features: #"},
	{regexp.MustCompile(`^Memory Limit: .*`), "Memory Limit: #"},
	{regexp.MustCompile(`^(PHYS_OFFSET: ).*`), "${1}#"},
	{regexp.MustCompile(`^Code: .*`), "Code: #"},
	{regexp.MustCompile(`^CR2: .*`), "CR2: #"},
	{regexp.MustCompile(`^\S+ invoked oom-killer: .*`), "# invoked oom-killer: #"},
	{regexp.MustCompile(`Killed process \d+ .*`), "Killed process #"},
	{regexp.MustCompile(`^\[ *\d+\] +\d+ .*`), "[#] #"},
	{regexp.MustCompile(`^(VFS: Cannot open root device ).*: error -\d+`), "${1}#"},
	{regexp.MustCompile(`^oom-kill:.*`), "oom-kill:#"},
	{regexp.MustCompile(`(for reason )[0-9a-f]{2}( on CPU )\d+`), "${1}#${2}#"},
	{regexp.MustCompile(`(BUG: scheduling while atomic: )\S+`), "${1}#"},
	{regexp.MustCompile(`(Kernel stack is corrupted in: ).*`), "${1}#"},
	{regexp.MustCompile(`(RIP !INEXACT! )\S+.*`), "${1}#"},
	{regexp.MustCompile(`\b(TSC|ADDR|MISC|RIP|TIME|PROCESSOR|microcode|MCG status)[: ]*[0-9a-fx:]+\S*`), "${1} #"},
	// How far the tables go that say where an address is, is by chance: the last four bits.
	{regexp.MustCompile(`FSC = 0x\w+: level \d translation fault`), "FSC = #: level # translation fault"},
	{regexp.MustCompile(`^(  ESR = 0x[0-9a-f]{15}|Internal error: Oops: [0-9a-f]{15})[4-7]\b`), "${1}#"},
	{regexp.MustCompile(`^(  ISV = 0, ISS = 0x[0-9a-f]{7})[4-7]$`), "${1}#"},
	// As the tables of AMD's and of Intel's processors have it.
	{regexp.MustCompile(`Processor Context Corrupt`), "Processor context corrupt"},
	{regexp.MustCompile(`Fatal local machine check`), "Fatal machine check"},
	{regexp.MustCompile(`0xffff[0-9a-f]{4,}`), "0x#"},
}

// line is a line made comparable, unless it is dropped.
func (n *normaliser) line(text string) (string, bool) {
	text = strings.TrimRight(text, " ")
	if text == "" || unrelated.MatchString(text) || mcelog.MatchString(text) || slowNMI.MatchString(text) {
		return "", false
	}
	if n.inMemory && !memoryEnd.MatchString(text) {
		return "", false
	}
	n.inMemory = false
	n.nmi = n.nmi || strings.HasPrefix(text, "Uhhuh. NMI")
	n.lockup = n.lockup || strings.Contains(text, "soft lockup")
	if n.inTrace {
		if m := traceTag.FindStringSubmatch(text); m != nil {
			n.inNMI = n.inNMI || m[2] == "NMI"
			// What an NMI interrupts may just be an interrupt.
			return "<" + m[1] + m[2] + ">", m[2] != "IRQ" || !n.inNMI
		}
		if frame.MatchString(text) || registerLine.MatchString(text) && !strings.HasPrefix(text, "Code: ") {
			return "", false
		}
		if strings.HasPrefix(text, "Code: ") && strings.Count(text, " ") > 20 {
			return "", false // of the program that has called
		}
		n.inTrace, n.inNMI = false, false
	}
	switch {
	case memoryStart.MatchString(text):
		n.inMemory = true
		return "Mem-Info:", true
	case traceStart.MatchString(text):
		n.inTrace = true
		return text, true
	case registerLine.MatchString(text) && !arm64Code.MatchString(text):
		return registers, true
	}
	if m := cpuLine.FindStringSubmatch(text); m != nil {
		who := comm(m[1])
		if n.nmi {
			who = "#"
		}
		return "CPU: # Comm: " + who + " " + m[2] + n.taint(m[3]), true
	}
	if names, ok := strings.CutPrefix(text, "Tainted: ["); ok {
		// 6.12 spells them out, too.
		if text = n.spelledTaint("[" + names); text == "" {
			return "", false
		}
		return text, true
	}
	for _, r := range rules {
		text = r.what.ReplaceAllString(text, r.by)
	}
	return text, true
}

// arm64Code is the line of instructions of arm64, which stands for itself, behind the stack.
var arm64Code = regexp.MustCompile(`^Code: ([0-9a-f]{8} |\?{8} )+\(`)

// comm is a task's name, if it is a meaningful one.
func comm(name string) string {
	switch {
	case name == "init":
		return name
	case strings.HasPrefix(name, "swapper/"):
		return "swapper"
	}
	return "#"
}

// taint leaves out that a module has been loaded that is not the kernel's own, and that a busy host has
// made the machine stand still before what is looked at.
func (n *normaliser) taint(text string) string {
	flags, ok := strings.CutPrefix(text, "Tainted: ")
	if !ok {
		return text
	}
	kept := ""
	for _, f := range flags {
		if !strings.ContainsRune(" OEG", f) && (f != 'L' || n.lockup) {
			kept += string(f)
		}
	}
	if kept == "" {
		return "Not tainted"
	}
	return "Tainted: " + kept
}

// spelledTaint does the same to flags such as "[W]=WARN, [O]=OOT_MODULE".
func (n *normaliser) spelledTaint(flags string) string {
	var kept []string
	for f := range strings.SplitSeq(flags, ", ") {
		own := strings.HasPrefix(f, "[L]") && !n.lockup
		if !own && !strings.HasPrefix(f, "[O]") && !strings.HasPrefix(f, "[E]") {
			kept = append(kept, f)
		}
	}
	if kept == nil {
		return ""
	}
	return "Tainted: " + strings.Join(kept, ", ")
}

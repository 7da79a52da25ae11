package knob

import "strings"

// A Choice is a knob and the value it is to have.
type Choice struct {
	Knob *Knob
	// Value is as the kernel's file shows it.
	Value string
	// Asked says that the user has named the knob. Else it comes from a preset.
	Asked bool
}

// Preset is a policy with a name.
type Preset uint8

// The presets. What they consist of, and why, is at their texts below.
const (
	// Standard is what is there without a policy: a machine that would wait for ever after a
	// panic comes back after ten seconds. PID 1 does so before it has read any file.
	Standard Preset = iota
	Comeback        // the machine always comes back
	Capture         // as much as possible is known afterwards
	Debug           // the machine stays as it is and shows all it knows
	Kernel          // nothing is touched
)

// presetNames lists the presets by their numbers.
func presetNames() []string {
	return []string{
		Standard: "standard", Comeback: "comeback", Capture: "capture", Debug: "debug",
		Kernel: "kernel",
	}
}

// Presets are their names, in the order of their numbers.
func Presets() []string { return presetNames() }

// String is the preset's name.
func (p Preset) String() string {
	if names := presetNames(); int(p) < len(names) {
		return names[p]
	}
	return "no preset"
}

// Text is what one would write into rebound.conf to have the same: an empty line, and lines of
// "key = value".
func (p Preset) Text() string {
	switch p {
	case Comeback:
		return comeback
	case Capture:
		return capture
	case Debug:
		return debug
	case Standard, Kernel:
	}
	return ""
}

// A preset names a knob even where the kernel's default is the same, for a distribution may have
// another.

// comeback makes a panic of what takes the machine away, and lets be what takes a process away.
//
//   - An oops leaves locks taken for ever, and stops the detector of hung tasks, so that what hangs
//     next is not even noticed.
//   - A CPU that is stuck takes all with it sooner or later, and a watchdog that PID 1 feeds from
//     another CPU does not see it.
//   - A task that has not run for ten minutes, and cannot be killed, waits for a disk or a driver
//     that will not answer. The kernel's own two minutes are too few for that: a slow
//     card that is full of data to be written takes as long. Checked each minute, the
//     panic comes after ten to eleven minutes; else it would be up to twenty.
//   - A WARN is a remark after which the kernel goes on as it should; to restart for each is to
//     restart for ever.
//   - For the memory that is full there is the OOM killer, and PID 1 starts again what it has killed.
//   - The crash kernel, if there is one, goes first: notifiers run on what has just broken, and one
//     that hangs takes away the crash dump and the restart.
const comeback = `
panic.timeout = 10s
crash_kexec.post_notifiers = no
lockup.detect = yes
soft_lockup.detect = yes
hung_task.timeout = 10m
hung_task.interval = 1m
panic.on_oops = yes
panic.on_warn = no
panic.on_soft_lockup = yes
panic.on_hard_lockup = yes
panic.on_hung_task = yes
panic.on_rcu_stall = yes
panic.on_oom = no
`

// capture panics for the same, and for what else there is to learn from: hardware that says it is
// broken, and the NMI that somebody sends to a machine that hangs, by a button or from afar, so
// as to have a dump of it.
//
//   - Half a minute is enough to read a screen, and less than most watchdogs have.
//   - The crash kernel goes first: the whole memory is worth more than what a kernel that has just
//     broken can say of itself. Without a crash kernel pstore gets its record all the same.
//   - Of the other CPUs the backtraces are shown, and how the memory stood. The list of all tasks is
//     not: it is long, comes last, and pstore keeps the last ten kilobytes, so that it
//     would push out the panic itself.
const capture = `
panic.timeout = 30s
crash_kexec.post_notifiers = no
lockup.detect = yes
soft_lockup.detect = yes
hung_task.timeout = 10m
hung_task.interval = 1m
panic.on_oops = yes
panic.on_warn = no
panic.on_soft_lockup = yes
panic.on_hard_lockup = yes
panic.on_hung_task = yes
panic.on_rcu_stall = yes
panic.on_oom = no
panic.on_unknown_nmi = yes
panic.on_unrecovered_nmi = yes
panic.on_io_nmi = yes
panic.print = mem,all_bt
oops.all_cpu_backtrace = yes
soft_lockup.all_cpu_backtrace = yes
hard_lockup.all_cpu_backtrace = yes
hung_task.all_cpu_backtrace = yes
`

// debug is for somebody who sits before the machine: nothing that it survives becomes a panic, and
// after a panic it waits for ever. All keys of sysrq work, and no report is left out because
// there were others.
const debug = `
panic.timeout = never
sysrq.mask = yes
lockup.detect = yes
soft_lockup.detect = yes
hung_task.warnings = unlimited
panic.on_oops = no
panic.on_warn = no
panic.on_soft_lockup = no
panic.on_hard_lockup = no
panic.on_hung_task = no
panic.on_rcu_stall = no
panic.on_oom = no
panic.on_unknown_nmi = no
panic.on_unrecovered_nmi = no
panic.on_io_nmi = no
panic.oops_limit = off
panic.warn_limit = off
panic.print = tasks,mem,timers,locks,all_bt,blocked_tasks
oops.all_cpu_backtrace = yes
soft_lockup.all_cpu_backtrace = yes
hard_lockup.all_cpu_backtrace = yes
hung_task.all_cpu_backtrace = yes
printk.console_level = 8
`

// A Plan is what is to be done about panics.
type Plan struct {
	Preset Preset
	// asked is what the user has named, in the form of a preset's text, the last first.
	asked string
}

// Asks reports whether anything is asked for but the standard.
func (p Plan) Asks() bool { return p.Preset != Standard || p.asked != "" }

// Ask gives a key a value as rebound.conf has it, instead of what the preset says. An empty one takes
// that back. The knob must take the value.
func (p *Plan) Ask(key, text string) {
	if p.Asked(key) != text {
		p.asked = "\n" + key + " = " + text + p.asked
	}
}

// Asked is the value that the user has given to a key, or empty.
func (p Plan) Asked(key string) string { return find(p.asked, key) }

// find is the value of a key in a text of lines, each of them behind a newline.
func find(lines, key string) string {
	_, rest, _ := strings.Cut(lines, "\n"+key+" = ")
	text, _, _ := strings.Cut(rest, "\n")
	return text
}

// Choices are all that are to be made, in the order of [Policy]: those of the preset, and over
// them those that the user has named.
func (p Plan) Choices() []Choice {
	var choices []Choice
	for row := range policy {
		k := &policy[row]
		text := p.Asked(k.Key)
		asked := text != ""
		if !asked {
			text = find(p.Preset.Text(), k.Key)
		}
		if text != "" {
			value, _ := k.Parse(text)
			choices = append(choices, Choice{k, value, asked})
		}
	}
	return choices
}

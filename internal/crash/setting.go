package crash

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/simkernel"
)

// Setting is a setting of the kernel with its value: a sysctl with or without "kernel." before its
// name, a parameter of a module, or a word of the kernel's command line.
type Setting struct{ Name, Value string }

// ParseSetting reads NAME=VALUE, or NAME where that says all.
func ParseSetting(text string) (Setting, error) {
	name, value, given := strings.Cut(text, "=")
	if w, ok := findBootWord(name); ok && w.alone && !given {
		return Setting{Name: name}, nil
	}
	if name == "" || !given {
		return Setting{}, fmt.Errorf("%q: expected NAME=VALUE", text)
	}
	return Setting{name, value}, nil
}

// bootWord is a word of the kernel's command line that is neither a sysctl nor a parameter.
type bootWord struct {
	name string
	// alone says that it has no value, values are those that it may have: any if there are
	// none.
	alone  bool
	values []string
	since  version
	does   string
}

var bootWords = []bootWord{
	{name: "debug", alone: true, does: "show all lines on the console"},
	{name: "ignore_loglevel", alone: true, since: v(2, 6, 20), does: "show all lines on the console"},
	{
		name: "loglevel", values: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"},
		does: "show lines below this level on the console",
	},
	{name: "nokaslr", alone: true, since: v(3, 14, 0), does: "let the kernel be where it was linked"},
	{name: "oops", values: []string{"panic"}, since: v(2, 6, 31), does: "panic_on_oops"},
	{name: "panic_force_cpu", since: v(7, 0, 0), does: "which CPU is to panic"},
	{
		name: "printk.devkmsg", values: []string{"on", "off", "ratelimit"}, since: v(4, 9, 0),
		does: "how much programs may say in the kernel log",
	},
	{name: "quiet", alone: true, does: "show only lines that matter on the console"},
	{name: "reboot", does: "how to restart: force, warm, acpi, triple, panic_warm ..."},
}

func findBootWord(name string) (*bootWord, bool) {
	for i := range bootWords {
		if bootWords[i].name == name {
			return &bootWords[i], true
		}
	}
	return nil, false
}

// came are the versions that brought a setting, where a profile may be older. What is older than
// all of them is left out (the kernel's own tags, by the name of the variable).
var came = map[string]version{
	"crash_kexec_post_notifiers":           v(3, 16, 0),
	"fs.protected_hardlinks":               v(3, 6, 0),
	"fs.protected_symlinks":                v(3, 6, 0),
	"kernel.dmesg_restrict":                v(2, 6, 37),
	"kernel.hardlockup_all_cpu_backtrace":  v(4, 4, 0),
	"kernel.hardlockup_panic":              v(4, 5, 0),
	"kernel.hung_task_all_cpu_backtrace":   v(5, 9, 0),
	"kernel.hung_task_check_count":         v(2, 6, 25),
	"kernel.hung_task_check_interval_secs": v(4, 19, 0),
	"kernel.hung_task_panic":               v(2, 6, 30),
	"kernel.hung_task_timeout_secs":        v(2, 6, 25),
	"kernel.hung_task_warnings":            v(2, 6, 25),
	"kernel.kexec_load_disabled":           v(3, 14, 0),
	"kernel.kexec_load_limit_panic":        v(6, 3, 0),
	"kernel.kexec_load_limit_reboot":       v(6, 3, 0),
	"kernel.max_rcu_stall_to_panic":        v(5, 11, 0),
	"kernel.oops_all_cpu_backtrace":        v(5, 8, 0),
	"kernel.oops_limit":                    v(5, 10, 0), // see backported
	"kernel.panic_on_io_nmi":               v(2, 6, 31),
	"kernel.panic_on_rcu_stall":            v(4, 8, 0),
	"kernel.panic_on_unrecovered_nmi":      v(2, 6, 19),
	"kernel.panic_on_warn":                 v(3, 19, 0),
	"kernel.panic_print":                   v(5, 0, 0),
	"kernel.poweroff_cmd":                  v(2, 6, 24),
	"kernel.print-fatal-signals":           v(2, 6, 24),
	"kernel.printk_delay":                  v(2, 6, 33),
	"kernel.soft_watchdog":                 v(4, 1, 0),
	"kernel.softlockup_all_cpu_backtrace":  v(3, 16, 0),
	"kernel.softlockup_panic":              v(2, 6, 27),
	"kernel.warn_limit":                    v(5, 10, 0), // see backported
	"kernel.watchdog":                      v(2, 6, 38),
	"kernel.watchdog_thresh":               v(2, 6, 38),
	"printk.always_kmsg_dump":              v(3, 3, 0),
	"pstore.update_ms":                     v(3, 1, 0),
	"rcupdate.rcu_cpu_stall_suppress":      v(2, 6, 37),
	"rcupdate.rcu_cpu_stall_timeout":       v(3, 3, 0),
	"vm.oom_dump_tasks":                    v(2, 6, 25),
	"vm.oom_kill_allocating_task":          v(2, 6, 24),
	"vm.panic_on_oom":                      v(2, 6, 18),
	"watchdog.handle_boot_enabled":         v(4, 12, 0),
	"watchdog.open_timeout":                v(5, 3, 0),
}

// backported are settings that came later than the oldest version with them: stable releases have
// got them, too.
var backported = map[string]string{
	"kernel.oops_limit": "6.2 or later, or a stable 5.10 to 6.1 that has got it",
	"kernel.warn_limit": "6.2 or later, or a stable 5.10 to 6.1 that has got it",
}

// only are the settings of one architecture.
var only = map[string]arch{
	"kernel.panic_on_io_nmi":          x86,
	"kernel.panic_on_unrecovered_nmi": x86,
	"kernel.unknown_nmi_panic":        x86,
}

// Settings are the names of all settings, in order.
func Settings() []string {
	names := slices.Concat(simkernel.Sysctls(), simkernel.Parameters())
	for _, w := range bootWords {
		names = append(names, w.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Defaults are the values that a kernel's settings have if nobody sets them, by their names. Those that
// it does not have are not there.
func Defaults(name string) (map[string]string, error) {
	values, _, err := Settle(Spec{Kernel: name}, func(kernel.Kernel) {})
	return values, err
}

// Settle boots a machine, and lets a PID 1 change its settings. It returns their values before and after,
// by their names.
func Settle(spec Spec, init func(k kernel.Kernel)) (before, after map[string]string, err error) {
	p, err := prepare(spec)
	if err != nil {
		return nil, nil, err
	}
	k, err := kernelNamed(p.cfg.Kernel)
	if err != nil {
		return nil, nil, err
	}
	simkernel.New(p.cfg).Boot(func(seam kernel.Kernel) int {
		before = settingsOf(k, seam)
		init(seam)
		after = settingsOf(k, seam)
		return 0
	})
	return before, after, nil
}

// settingsOf reads all settings of a kernel.
func settingsOf(k *profile, seam kernel.Files) map[string]string {
	values := make(map[string]string)
	for _, s := range Settings() {
		if k.is < came[s] || only[s] != "" && k.arch != only[s] {
			continue
		}
		text, err := seam.Proc("sys/" + strings.ReplaceAll(s, ".", "/"))
		if !simkernel.HasSysctl(s) {
			module, parameter, found := strings.Cut(s, ".")
			if !found {
				module, parameter = "kernel", s
			}
			text, err = seam.Sys("module/" + module + "/parameters/" + parameter)
		}
		if err == nil {
			values[s] = strings.TrimSpace(string(text))
		}
	}
	return values
}

// word adds words to the kernel's command line.
func (p *play) word(text string) {
	if text != "" {
		p.cfg.Cmdline = strings.TrimSpace(p.cfg.Cmdline + " " + text)
	}
}

// first puts words in front of all others, which take precedence over them.
func (p *play) first(text string) { p.cfg.Cmdline = strings.TrimSpace(text + " " + p.cfg.Cmdline) }

// set makes a setting, for a kernel that knows it.
func (p *play) set(k *profile, s Setting) error {
	if strings.ContainsAny(s.Value, " \t\n\"") {
		return fmt.Errorf("%s=%q: expected a value without blanks and quotation marks", s.Name, s.Value)
	}
	if w, ok := findBootWord(s.Name); ok {
		return p.setWord(k, w, s)
	}
	dotted := strings.ReplaceAll(s.Name, "/", ".")
	name := dotted
	if !simkernel.HasSysctl(name) {
		name = "kernel." + dotted
	}
	var err error
	word := "sysctl." + name + "=" + s.Value
	switch {
	case simkernel.HasSysctl(name):
		err = simkernel.CheckSysctl(name, s.Value)
	case slices.Contains(simkernel.Parameters(), dotted):
		name = dotted
		err, word = simkernel.CheckParameter(name, s.Value), name+"="+s.Value
	default:
		return unknown("setting", s.Name, spellings())
	}
	if from := came[name]; k.is < from {
		needs := from.String() + " or later"
		if b := backported[name]; b != "" {
			needs = b
		}
		return fmt.Errorf("%s has no setting %s: it needs Linux %s", k.name, name, needs)
	}
	if on := only[name]; on != "" && k.arch != on {
		return fmt.Errorf("%s has no setting %s: only %s has it", k.name, name, on)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: %w", s.Name, s.Value, err)
	}
	p.word(word)
	return nil
}

// spellings are all names that a setting may be called by.
func spellings() []string {
	names := Settings()
	for _, n := range names {
		if short, ok := strings.CutPrefix(n, "kernel."); ok {
			names = append(names, short)
		}
	}
	return names
}

func (p *play) setWord(k *profile, w *bootWord, s Setting) error {
	switch {
	case k.is < w.since:
		return fmt.Errorf("%s has no setting %s: it needs Linux %v or later", k.name, w.name, w.since)
	case w.alone && s.Value != "":
		return fmt.Errorf("%s=%s: expected %s without a value", s.Name, s.Value, s.Name)
	case len(w.values) > 0 && !slices.Contains(w.values, s.Value):
		return fmt.Errorf("%s=%s: expected %s", s.Name, s.Value, strings.Join(w.values, ", "))
	}
	if w.name == "nokaslr" {
		p.cfg.Panic.NoKASLR = true
	}
	if w.alone {
		p.word(w.name)
	} else {
		p.word(w.name + "=" + s.Value)
	}
	return nil
}

// lastNumber is the number that a word of the command line sets last: 0 if none does.
func (p *play) lastNumber(name string) int64 {
	var last int64
	for word := range strings.FieldsSeq(p.cfg.Cmdline) {
		if has, value, _ := strings.Cut(word, "="); has == name {
			last, _ = strconv.ParseInt(value, 0, 64)
		}
	}
	return max(last, 0)
}

// waits is how long the settings let a kernel wait before it restarts, at most.
func (p *play) waits() time.Duration {
	const longest = (1<<31 - 1) * time.Millisecond // the loop counts them in an int
	for word := range strings.FieldsSeq(p.cfg.Cmdline) {
		name, value, _ := strings.Cut(word, "=")
		if name != "panic" && name != "sysctl.kernel.panic" {
			continue
		}
		if n, err := strconv.ParseInt(value, 0, 32); err == nil && n > 0 {
			return min(time.Duration(n)*time.Second, longest)
		}
	}
	return 0
}

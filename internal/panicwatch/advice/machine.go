package advice

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Machine is what the rules look at: a machine as it is, or as it would be with other settings.
type Machine struct {
	// Kernel is its version. The zero value is one that is not known, and taken to be new.
	Kernel Version
	// Arch is x86, arm64, arm, mips or what the kernel calls it; empty if it is not known.
	Arch string
	// Values are the settings, by the name of the knob and as the kernel shows them. One that the
	// kernel lacks, or that could not be read, is not among them.
	Values map[string]string
	// BootLine is the kernel's command line, and Boot are its words.
	BootLine string
	Boot     []Word
	// Watchdogs are those that sysfs shows.
	Watchdogs []Watchdog
	Crash     CrashKernel
	Pstore    Pstore
	// Modules are those that are loaded, if that is known.
	Modules []string
	// Wanted are the settings that somebody has asked for, by the name of the knob.
	Wanted map[string]bool
	// Capture says that the policy is to have evidence first, and Attended that somebody sits before
	// the machine.
	Capture, Attended bool
}

// Version is a version of Linux, as far as the rules tell versions apart.
type Version struct{ Major, Minor int }

// Word is a word of the kernel's command line.
type Word struct {
	Name, Value string
	HasValue    bool
}

// Watchdog is a watchdog of the machine.
type Watchdog struct {
	// Name is the device's, as in watchdog0; Identity is what the driver calls it.
	Name     string `json:"name"`
	Identity string `json:"identity"`
	// Silent says that the kernel tells no more of it than its name. Active says that it counts.
	Silent     bool          `json:"silent,omitempty"`
	Active     bool          `json:"active"`
	Timeout    time.Duration `json:"-"`
	Pretimeout time.Duration `json:"-"`
	Governor   string        `json:"governor,omitempty"`
	NoWayOut   bool          `json:"nowayout"`
	Bootstatus string        `json:"bootstatus,omitempty"`
}

// Software reports whether it is a timer of the kernel, which ends with it.
func (w *Watchdog) Software() bool { return w.Identity == "Software Watchdog" }

// String is its name with the driver's.
func (w *Watchdog) String() string {
	if w.Identity == "" {
		return w.Name
	}
	return w.Name + " (" + w.Identity + ")"
}

// CrashKernel is the kernel that is started when this one crashes.
type CrashKernel struct {
	// Known says that the kernel tells of it; then Loaded and Reserved count. Reserved is in bytes.
	Known    bool
	Loaded   bool
	Reserved int64
}

// Pstore is what keeps the log for the next boot.
type Pstore struct {
	// Known says that it could be seen whether there is one.
	Known bool
	// Backend is its name, as in ramoops; empty if there is none.
	Backend string
}

// hardware is the watchdog in hardware that resets the machine first, or nil if none counts.
func (m *Machine) hardware() *Watchdog {
	var first *Watchdog
	for i := range m.Watchdogs {
		w := &m.Watchdogs[i]
		if w.Active && !w.Software() && (first == nil || w.Timeout < first.Timeout) {
			first = w
		}
	}
	return first
}

// softdog is the watchdog that is a timer, if it counts.
func (m *Machine) softdog() *Watchdog {
	for i := range m.Watchdogs {
		if w := &m.Watchdogs[i]; w.Active && w.Software() {
			return w
		}
	}
	return nil
}

// number is the value of a setting, or the first of several.
func (m *Machine) number(name string) (int64, bool) {
	words := strings.Fields(m.Values[name])
	if len(words) == 0 {
		return 0, false
	}
	switch words[0] {
	case "Y", "y", "yes", "on":
		return 1, true
	case "N", "n", "no", "off":
		return 0, true
	}
	n, err := strconv.ParseInt(words[0], 0, 64)
	return n, err == nil
}

// boot finds the last of the words of the command line that have a name.
func (m *Machine) boot(name string) (Word, bool) {
	for i := len(m.Boot) - 1; i >= 0; i-- {
		// The kernel takes - and _ for the same.
		if strings.ReplaceAll(m.Boot[i].Name, "-", "_") == strings.ReplaceAll(name, "-", "_") {
			return m.Boot[i], true
		}
	}
	return Word{}, false
}

// taintMask is the mask of panic_on_taint=.
func (m *Machine) taintMask() int64 {
	w, _ := m.boot("panic_on_taint")
	mask, _, _ := strings.Cut(w.Value, ",")
	n, _ := strconv.ParseInt(strings.TrimPrefix(mask, "0x"), 16, 64)
	return n
}

// word is what stands for a word in braces.
func (m *Machine) word(name string) string {
	if f, ok := placeholders[name]; ok {
		return f(m)
	}
	return strings.Join(strings.Fields(m.Values[name]), " ")
}

// placeholders are the words that are no setting.
var placeholders = map[string]func(m *Machine) string{
	"triggers": func(m *Machine) string { return list(m.triggers()) },
	"watchdog": func(m *Machine) string {
		if w := m.hardware(); w != nil {
			return w.String()
		}
		return "a watchdog"
	},
	"timeout":     func(m *Machine) string { return seconds(m.bite()) },
	"half":        func(m *Machine) string { return strconv.Itoa(max(1, int(m.bite()/2/time.Second))) },
	"a fifth":     func(m *Machine) string { return strconv.Itoa(max(1, int(m.bite()/5/time.Second))) },
	"silent":      func(m *Machine) string { w, _ := m.silent(); return w.Name },
	"idle":        func(m *Machine) string { w, _ := m.idle(); return w.Name },
	"pretimeout":  func(m *Machine) string { w, _ := m.pretimed(); return seconds(w.Pretimeout) },
	"pretimed":    func(m *Machine) string { w, _ := m.pretimed(); return w.String() },
	"soft lockup": func(m *Machine) string { return seconds(m.softLockup()) },
	"reserved":    func(m *Machine) string { return fmt.Sprintf("%d MiB", m.Crash.Reserved>>20) },
	"backend":     func(m *Machine) string { return m.Pstore.Backend },
	"notifiers":   func(m *Machine) string { return list(m.riskyNotifiers()) },
	"warn limit+": func(m *Machine) string { return m.more("/sys/kernel/warn_count") },
	"oops limit+": func(m *Machine) string { return m.more("/sys/kernel/oops_count") },
	"sysrq+128": func(m *Machine) string {
		n, _ := m.number("kernel.sysrq")
		return strconv.FormatInt(n|sysrqReboot, 10)
	},
	"taints": func(m *Machine) string {
		n, _ := m.number("kernel.tainted")
		return fmt.Sprintf("%#x", n&m.taintMask())
	},
}

// more is a limit that a count will not reach soon.
func (m *Machine) more(count string) string {
	n, _ := m.number(count)
	const enough = 100
	return strconv.FormatInt(n+enough, 10)
}

// bite is when the first watchdog in hardware resets the machine.
func (m *Machine) bite() time.Duration {
	if w := m.hardware(); w != nil {
		return w.Timeout
	}
	return 0
}

// idle is a watchdog in hardware that does not count.
func (m *Machine) idle() (*Watchdog, bool) {
	for i := range m.Watchdogs {
		if w := &m.Watchdogs[i]; !w.Active && !w.Silent && !w.Software() {
			return w, true
		}
	}
	return &Watchdog{}, false
}

// silent is a watchdog of which the kernel tells nothing.
func (m *Machine) silent() (*Watchdog, bool) {
	for i := range m.Watchdogs {
		if w := &m.Watchdogs[i]; w.Silent {
			return w, true
		}
	}
	return &Watchdog{}, false
}

// pretimed is a watchdog that counts and has a pretimeout.
func (m *Machine) pretimed() (*Watchdog, bool) {
	for i := range m.Watchdogs {
		if w := &m.Watchdogs[i]; w.Active && w.Pretimeout > 0 {
			return w, true
		}
	}
	return &Watchdog{}, false
}

// softLockup is by when a soft lockup has been told of: at the first tick after twice the threshold,
// and there are five ticks in that [Kernel 3.40].
func (m *Machine) softLockup() time.Duration {
	n, _ := m.number("kernel.watchdog_thresh")
	return time.Duration(n) * time.Second * 12 / 5
}

// triggers are the settings that make a panic of what the kernel would live through.
func (m *Machine) triggers() []string {
	var names []string
	for _, name := range triggers {
		if n, ok := m.number(name); ok && n > 0 {
			names = append(names, name)
		}
	}
	if w, ok := m.pretimed(); ok && w.Governor == "panic" {
		names = append(names, "the pretimeout of "+w.Name)
	}
	if m.taintMask() != 0 {
		names = append(names, "panic_on_taint")
	}
	return names
}

// triggers are settings that, if they are not 0, make a panic of what the kernel would live through.
var triggers = [...]string{
	"kernel.panic_on_oops", "kernel.panic_on_warn", "kernel.warn_limit", "kernel.softlockup_panic",
	"kernel.hardlockup_panic", "kernel.hung_task_panic", "kernel.panic_on_rcu_stall",
	"kernel.unknown_nmi_panic", "kernel.panic_on_unrecovered_nmi", "kernel.panic_on_io_nmi",
	"kernel.panic_on_stackoverflow", "vm.panic_on_oom",
}

// risky are modules whose panic notifiers talk to hardware or firmware, and wait for it.
var risky = [...]string{"hv_vmbus", "ipmi_msghandler", "ipmi_watchdog", "gsmi", "efi_pstore"}

func (m *Machine) riskyNotifiers() []string {
	var names []string
	for _, name := range risky {
		for _, loaded := range m.Modules {
			if name == loaded {
				names = append(names, name)
			}
		}
	}
	return names
}

// list is words as people write them.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s" }

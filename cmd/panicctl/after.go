package main

import (
	"slices"
	"strings"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/panicwatch/advice"
)

// afterKey begins the keys that say what init does when the kernel has failed and goes on.
const afterKey = "panic.after_"

// aftermath is what decides about one of these keys.
type aftermath struct {
	kind string // the end of the key
	// panics is the setting by which the kernel panics instead, so that init never hears of it.
	panics string
	// finds are settings without which nobody looks for such a failure.
	finds []string
}

var aftermaths = [...]aftermath{
	{kind: "oops", panics: "kernel.panic_on_oops"},
	{kind: "bug", panics: "kernel.panic_on_oops"},
	{kind: "warn", panics: "kernel.panic_on_warn"},
	{
		kind: "lockup", panics: "kernel.softlockup_panic",
		finds: []string{"kernel.watchdog", "kernel.soft_watchdog", "kernel.watchdog_thresh"},
	},
	{kind: "hung_task", panics: "kernel.hung_task_panic", finds: []string{"kernel.hung_task_timeout_secs"}},
	{kind: "rcu_stall", panics: "kernel.panic_on_rcu_stall"},
}

// afterwards are contradictions between what init does after a failure and what the machine does.
func afterwards(m *advice.Machine, p *policy) []finding {
	var found []finding
	add := func(key string, s advice.Severity, rule, what, reason, remedy string) {
		found = append(found, finding{
			Place: p.Source(key), Severity: s, Rule: rule, What: what, Reason: reason, Remedy: remedy,
		})
	}
	for _, key := range config.Keys() {
		kind, ok := strings.CutPrefix(key.Name, afterKey)
		does := key.Value(p.Settings)
		if !ok || does == key.Default() {
			continue
		}
		is := key.Name + " is " + does
		switch {
		case does == "stop-feeding-watchdog" && len(advice.DevicesOf(p.Settings.Watchdog)) == 0:
			add(key.Name, advice.Mistake, "stops-feeding-none", is+", and init feeds no watchdog",
				"there is nothing that could reset the machine, so that it goes on",
				"watchdog.device = /dev/watchdog0, or "+key.Name+" = reboot")
		case does == "panic" && m.Values["kernel.panic"] == "0" && !slices.ContainsFunc(m.Watchdogs, resets) &&
			!m.Crash.Loaded:
			add(key.Name, advice.Mistake, "panics-and-hangs", is+", and kernel.panic is 0",
				"init makes the kernel panic, and that waits for ever [Kernel 1.24]", "panic.timeout = 10s")
		}
		i := slices.IndexFunc(aftermaths[:], func(a aftermath) bool { return a.kind == kind })
		if i < 0 {
			continue
		}
		a := aftermaths[i]
		if v := m.Values[a.panics]; v != "" && v != "0" {
			add(key.Name, advice.Note, "panics-before", is+", and "+a.panics+" is "+v,
				"the kernel panics before init hears of it", "leave one of the two out")
		}
		for _, name := range a.finds {
			if m.Values[name] == "0" {
				add(key.Name, advice.Trap, "nobody-looks", is+", and "+name+" is 0",
					"the kernel does not look for such a failure, and so there is nothing to hear of",
					remedy(advice.Remedy{Settings: []advice.Setting{{Name: name, Value: usual(name)}}}))
			}
		}
	}
	return found
}

// resets reports whether a watchdog counts that outlives the kernel.
func resets(w advice.Watchdog) bool { return w.Active && !w.Software() }

// usual is the value that a setting has by default.
func usual(name string) string {
	switch name {
	case "kernel.hung_task_timeout_secs":
		return "120"
	case "kernel.watchdog_thresh":
		return "10"
	}
	return "1"
}

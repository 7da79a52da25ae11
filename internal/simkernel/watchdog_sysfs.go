package simkernel

import (
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rebound-init/rebound/internal/kernel"
)

// sysWatchdogs is where they are, below /sys.
const sysWatchdogs = "class/watchdog"

// watchdogFile is a file of a watchdog's directory (drivers/watchdog/watchdog_dev.c).
type watchdogFile struct {
	name string
	mode uint16
	text func(w *watchdog) string
}

var watchdogFiles = [...]watchdogFile{
	{"bootstatus", 0o444, func(w *watchdog) string { return strconv.Itoa(int(w.status)) }},
	{"identity", 0o444, func(w *watchdog) string { return w.driver.identity }},
	{"max_timeout", 0o444, func(w *watchdog) string { return strconv.Itoa(w.driver.max) }},
	{"min_timeout", 0o444, func(w *watchdog) string { return strconv.Itoa(w.driver.min) }},
	{"nowayout", 0o644, func(w *watchdog) string { return strconv.Itoa(digit(w.noWayOut)) }},
	{"pretimeout", 0o444, func(w *watchdog) string { return strconv.Itoa(w.pre) }},
	{"pretimeout_available_governors", 0o444, func(*watchdog) string { return "noop\npanic" }},
	{"pretimeout_governor", 0o644, func(w *watchdog) string { return w.governor() }},
	{"state", 0o444, func(w *watchdog) string {
		if w.active {
			return "active"
		}
		return "inactive"
	}},
	{"status", 0o444, func(w *watchdog) string {
		return "0x" + strconv.FormatUint(uint64(w.status), 16)
	}},
	{"timeout", 0o444, func(w *watchdog) string { return strconv.Itoa(w.timeout) }},
}

func (w *watchdog) governor() string {
	if w.cfg.Governor == "" {
		return "noop"
	}
	return w.cfg.Governor
}

// watchdogFile finds a file of theirs by its path below /sys.
func (m *Machine) watchdogFile(path string) (*watchdog, *watchdogFile) {
	rest, ok := strings.CutPrefix(path, sysWatchdogs+"/")
	if !ok {
		return nil, nil
	}
	dir, name, _ := strings.Cut(rest, "/")
	for _, w := range m.watchdogs {
		if dir != "watchdog"+strconv.Itoa(w.id) {
			continue
		}
		for i := range watchdogFiles {
			if watchdogFiles[i].name == name {
				return w, &watchdogFiles[i]
			}
		}
		return w, nil
	}
	return nil, nil
}

// statWatchdog says what is at a path below /sys/class/watchdog.
func (m *Machine) statWatchdog(path string) (nodeKind, uint16, bool) {
	if path == sysWatchdogs {
		return kindDir, 0o755, len(m.watchdogs) > 0
	}
	w, f := m.watchdogFile(path)
	switch {
	case f != nil:
		return kindFile, f.mode, true
	case w != nil && path == sysWatchdogs+"/watchdog"+strconv.Itoa(w.id):
		return kindDir, 0o755, true
	}
	return 0, 0, false
}

// listWatchdogs are the names of theirs in a directory.
func (m *Machine) listWatchdogs(dir string) []string {
	var names []string
	switch w, _ := m.watchdogFile(dir + "/"); {
	case dir == "class" && len(m.watchdogs) > 0:
		return []string{"watchdog"}
	case dir == sysWatchdogs:
		for _, w := range m.watchdogs {
			names = append(names, "watchdog"+strconv.Itoa(w.id))
		}
	case w != nil:
		for i := range watchdogFiles {
			names = append(names, watchdogFiles[i].name)
		}
	}
	return names
}

// setWatchdogFile writes one: nowayout can only become 1, and a governor must be there.
func (m *Machine) setWatchdogFile(w *watchdog, f *watchdogFile, text string) kernel.Errno {
	text = strings.TrimSuffix(text, "\n")
	switch f.name {
	case "nowayout":
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < 0 || n > 1:
			return kernel.EINVAL
		case n == 0 && w.noWayOut:
			return kernel.EPERM
		}
		w.noWayOut = n == 1
		return 0
	case "pretimeout_governor":
		if !slices.Contains([]string{"noop", "panic"}, text) {
			return kernel.EINVAL
		}
		w.cfg.Governor = text
		return 0
	}
	return syscall.EACCES
}

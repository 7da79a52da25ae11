package advice

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/knob"
)

// Files are the files of a machine.
type Files interface {
	// Read reads one by its path below /, such as proc/sys/kernel/panic. The error is that of
	// the file, so that errors.Is knows one that is not there (fs.ErrNotExist).
	Read(path string) (string, error)
}

// Sight is a machine as its files show it, with what they do not show.
type Sight struct {
	Machine
	// Unread are the settings that the kernel has and that could not be read, by the name of the
	// knob.
	Unread map[string]error
	// NoProc and NoSys are why nothing could be seen of /proc/sys and of /sys. They are nil if
	// something could.
	NoProc, NoSys error
}

// Look looks at a machine.
func Look(f Files) *Sight {
	s := &Sight{Unread: make(map[string]error)}
	s.Values = make(map[string]string)
	s.NoProc, s.NoSys = missing(f, "proc/sys/kernel"), missing(f, "sys/kernel")
	for _, k := range knob.Table() {
		if k.Place == knob.Boot {
			continue
		}
		text, err := f.Read(strings.TrimPrefix(k.File(), "/"))
		switch {
		case err == nil:
			s.Values[k.Name] = strings.TrimSpace(text)
		case !errors.Is(err, fs.ErrNotExist):
			s.Unread[k.Name] = err
		}
	}
	if text, err := f.Read("proc/cmdline"); err == nil {
		s.BootLine = text
		params, _ := config.CommandLine(text)
		for _, p := range params {
			s.Boot = append(s.Boot, Word(p))
		}
	}
	if text, err := f.Read("proc/sys/kernel/osrelease"); err == nil {
		// What does not fit is a version that is not known.
		_, _ = fmt.Sscanf(text, "%d.%d", &s.Kernel.Major, &s.Kernel.Minor)
	}
	s.Arch = s.arch(f)
	if text, err := f.Read("proc/modules"); err == nil {
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, " ")
			s.Modules = append(s.Modules, name)
		}
	}
	s.devices(f)
	return s
}

// missing is why a directory cannot be seen.
func missing(f Files, dir string) error {
	// A directory that is there refuses to be read.
	if _, err := f.Read(dir); err != nil && !errors.Is(err, syscall.EISDIR) {
		return err
	}
	return nil
}

// arch is what the kernel calls its architecture, if it tells.
func (s *Sight) arch(f Files) string {
	if text, err := f.Read("proc/sys/kernel/arch"); err == nil { // from 6.1 on
		return Arch(strings.TrimSpace(text))
	}
	if _, ok := s.Values["kernel.unknown_nmi_panic"]; ok {
		return "x86"
	}
	return ""
}

// Arch is the architecture of a machine by the word that uname(1) has for it.
func Arch(machine string) string {
	switch {
	case machine == "x86_64", len(machine) == 4 && machine[0] == 'i' && strings.HasSuffix(machine, "86"):
		return "x86"
	case machine == "aarch64":
		return "arm64"
	case strings.HasPrefix(machine, "arm"):
		return "arm"
	case strings.HasPrefix(machine, "mips"):
		return "mips"
	}
	return machine
}

// devices looks at the crash kernel, pstore and the watchdogs.
func (s *Sight) devices(f Files) {
	if s.NoSys != nil {
		return
	}
	if text, err := f.Read("sys/kernel/kexec_crash_loaded"); err == nil {
		s.Crash.Known, s.Crash.Loaded = true, strings.TrimSpace(text) == "1"
		if text, err := f.Read("sys/kernel/kexec_crash_size"); err == nil {
			s.Crash.Reserved, _ = strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		}
	} else if errors.Is(err, fs.ErrNotExist) {
		// A kernel without kexec has no crash kernel.
		s.Crash.Known = true
	}
	text, err := f.Read("sys/module/pstore/parameters/backend")
	s.Pstore.Known = err == nil || errors.Is(err, fs.ErrNotExist)
	if name := strings.TrimSpace(text); name != "(null)" && name != "N" {
		s.Pstore.Backend = name
	}
	const most = 32 // watchdogs that the kernel numbers (drivers/watchdog/watchdog_dev.c)
	for i := range most {
		name := "watchdog" + strconv.Itoa(i)
		if w, ok := watchdogIn(f, name, "sys/class/watchdog/"+name+"/"); ok {
			s.Watchdogs = append(s.Watchdogs, w)
		}
	}
}

// watchdogIn looks at a watchdog in its directory of sysfs, if it is there.
func watchdogIn(f Files, name, dir string) (Watchdog, bool) {
	if missing(f, strings.TrimSuffix(dir, "/")) != nil {
		return Watchdog{}, false
	}
	w := Watchdog{Name: name}
	text := func(file string) string {
		s, _ := f.Read(dir + file)
		return strings.TrimSpace(s)
	}
	span := func(file string) time.Duration {
		n, _ := strconv.Atoi(text(file))
		return time.Duration(n) * time.Second
	}
	w.Identity = text("identity")
	state := text("state")
	w.Silent, w.Active = state == "", state == "active"
	w.Timeout, w.Pretimeout, w.Governor = span("timeout"), span("pretimeout"), text("pretimeout_governor")
	w.NoWayOut = text("nowayout") == "1"
	w.Bootstatus = text("bootstatus")
	return w, true
}

// With is the machine when a plan has been carried out: with those settings that the kernel has.
func (m *Machine) With(plan knob.Plan) *Machine {
	after := *m
	after.Values, after.Wanted = maps.Clone(m.Values), maps.Clone(m.Wanted)
	if after.Values == nil {
		after.Values = make(map[string]string)
	}
	if after.Wanted == nil {
		after.Wanted = make(map[string]bool)
	}
	after.Capture = plan.Preset == knob.Capture
	after.Attended = plan.Preset == knob.Debug
	for _, c := range plan.Choices() {
		if c.Asked {
			after.Wanted[c.Knob.Name] = true
		} else if m.SetBy(c.Knob) != "" {
			continue
		}
		after.put(c.Knob, c.Value)
	}
	if k := knob.ByName("kernel.panic"); plan.Preset == knob.Standard && !after.Wanted[k.Name] &&
		m.SetBy(k) == "" && after.Values[k.Name] == "0" {
		after.put(k, "10")
	}
	return &after
}

// Feeding is the machine when init keeps the watchdogs of a configuration, those of them that there are.
func (m *Machine) Feeding(set config.Watchdog) *Machine {
	after := *m
	after.Watchdogs = slices.Clone(m.Watchdogs)
	for _, name := range DevicesOf(set) {
		for i := range after.Watchdogs {
			w := &after.Watchdogs[i]
			if w.Name != name {
				continue
			}
			w.Silent, w.Active = false, true
			w.Timeout, w.Pretimeout = set.Timeout, set.Pretimeout
			if set.Governor != config.GovernorKeep {
				w.Governor = set.Governor.String()
			}
		}
	}
	return &after
}

// DevicesOf are the names of the watchdogs of a configuration, as sysfs has them.
func DevicesOf(set config.Watchdog) []string {
	var names []string
	for _, file := range strings.Fields(set.Devices) {
		name := path.Base(file)
		if name == "watchdog" {
			name = "watchdog0" // an older name of the first (drivers/watchdog/watchdog_dev.c)
		}
		names = append(names, name)
	}
	return names
}

// SetBy is the word of the kernel's command line that sets a knob, or empty: a preset leaves it then.
func (m *Machine) SetBy(k *knob.Knob) string {
	return k.SetBy(m.BootLine)
}

// put gives a knob a value, if the kernel has it.
func (m *Machine) put(k *knob.Knob, value string) {
	now, has := m.Values[k.Name]
	if !has {
		return
	}
	if words := strings.Fields(now); k.Kind == knob.Level && len(words) > 1 {
		value = strings.Join(slices.Concat([]string{value}, words[1:]), " ")
	}
	m.Values[k.Name] = value
}

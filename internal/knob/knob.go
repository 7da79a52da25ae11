// Package knob is what can be turned at a kernel for the case that it dies: its names, where they
// are, what may be written there, and what it means.
//
// It is data and text. It opens no file and knows no kernel; package panicwatch turns the knobs.
//
// PID 1 has the knobs of its policy in it, those with a Key, and nothing else: [Policy]
// reaches no others. [Table], [ByName], [Knob.Text] and [Knob.About] are for programs that have room.
package knob

import "strings"

// A Knob is one setting of the kernel.
type Knob struct {
	// Nobody compares knobs, and what the compiler would make for that shows in the size of PID 1.
	_ [0]func()
	// Name is what people call it: kernel.panic, crash_kexec_post_notifiers,
	// watchdog.open_timeout, /sys/kernel/reboot/mode, and for a word of the boot line that word.
	Name string
	// Key is its name in rebound.conf, or empty if no policy sets it.
	Key   string
	Place Place
	Kind  Kind
	Role  Role
	// Min and Max bound a number, in the unit of the kernel's file: what the kernel takes and
	// what then means what it says. Beyond that there are Words. Where both are 0, the type is
	// the bound.
	Min, Max int64
	// Words are values that have names, as name=value with commas between. In a Mask they are its
	// bits, in a Word all the values there are.
	Words string
	// Boot are the words of the kernel's boot line that set it, with blanks between: with "=" at
	// the end for any value, with a value for that value, and without both for a flag. That its
	// name sets it, for a parameter, and sysctl.NAME, for a sysctl, goes without saying.
	Boot string
}

// Place is where a knob is.
type Place uint8

// The places.
const (
	Sysctl    Place = iota // below /proc/sys
	Parameter              // of a module: below /sys/module
	Sysfs                  // elsewhere below /sys
	Boot                   // a word of the boot line, and nowhere else
)

// Kind is how its values are written.
type Kind uint8

// The kinds. The first are as in rebound.conf; Text is left as it is.
const (
	Switch  Kind = iota // yes or no; 1 or 0 for a sysctl, Y or N for a parameter
	Number              // a whole number
	Seconds             // a whole number of seconds; a time with its unit in rebound.conf
	Mask                // bits, as a number or by their names
	Word                // one of Words
	Level               // the first of several numbers; the others stay as they are
	Text                // one line
)

// Role is what a knob does for a machine that fails, which decides about when it is turned.
type Role uint8

// The roles.
const (
	Aid     Role = iota // what is shown, measured or kept: it brings no machine down, and none back
	Rescue              // brings a machine back
	Trigger             // makes a panic of a failure
)

// Policy is all knobs that a policy can set, in the order of the documentation. It is not the
// caller's to change.
func Policy() []Knob { return policy[:] }

// Path is its file below /proc, for a sysctl, or below /sys. A word of the boot line has none.
func (k *Knob) Path() string {
	switch k.Place {
	case Sysctl:
		// Of the names here none has a dot within a part. strings.ReplaceAll is two kilobytes more
		// of PID 1.
		path := []byte("sys/" + k.Name)
		for i := range path {
			if path[i] == '.' {
				path[i] = '/'
			}
		}
		return string(path)
	case Parameter:
		module, name, ok := strings.Cut(k.Name, ".")
		if !ok {
			module, name = "kernel", k.Name
		}
		return "module/" + module + "/parameters/" + name
	case Sysfs:
		return strings.TrimPrefix(k.Name, "/sys/")
	case Boot:
	}
	return ""
}

// Waits reports whether its file waits for a lock of the kernel that somebody else may hold for long:
// that of all parameters (kernel/params.c, param_lock), and that of the detectors of lockups
// (kernel/watchdog.c, watchdog_mutex), within which the kernel waits for each CPU.
func (k *Knob) Waits() bool {
	return k.Place == Parameter || k.Place == Sysctl && strings.HasPrefix(k.Name, "kernel.") &&
		strings.Contains(k.Name, "watchdog")
}

// SetBy returns the word of the kernel's boot line that sets the knob, or empty. The last one counts.
func (k *Knob) SetBy(bootLine string) string {
	words := k.Boot + " sysctl." + k.Name + "="
	if k.Place != Sysctl {
		words = k.Boot + " " + k.Name
		if k.Kind != Switch {
			words += "="
		}
	}
	by := ""
	for _, said := range strings.Fields(bootLine) {
		if said == "--" {
			break // what follows is for init
		}
		name, value, valued := strings.Cut(said, "=")
		for _, word := range strings.Fields(words) {
			of, needs, needsValue := strings.Cut(word, "=")
			if same(name, of) && (!needsValue || valued && strings.HasPrefix(value, needs)) {
				by = said
			}
		}
	}
	return by
}

// same reports whether two names of the boot line are the same: dashes and underscores are
// (kernel/params.c, parameq), and so are dots and slashes in those of sysctls
// (fs/proc/proc_sysctl.c, process_sysctl_arg).
func same(a, b string) bool {
	plain := func(c byte) byte {
		switch c {
		case '-':
			return '_'
		case '/':
			return '.'
		}
		return c
	}
	for i := range min(len(a), len(b)) {
		if plain(a[i]) != plain(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// Package knob is what can be turned at a kernel for the case that it dies: its names, where they
// are, what may be written there, and what it means.
//
// It is data and text. It opens no file and knows no kernel; package panicwatch turns the knobs.
//
// PID 1 has the knobs of its policy in it, those with a Key, and nothing else: [Policy] and [ByKey]
// reach no others. [Table], [ByName] and [Knob.About] are for programs that have room.
package knob

import "strings"

// A Knob is one setting of the kernel.
type Knob struct {
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

// String says it in a word.
func (p Place) String() string {
	switch p {
	case Sysctl:
		return "sysctl"
	case Parameter:
		return "parameter"
	case Sysfs:
		return "sysfs"
	case Boot:
		return "boot"
	}
	return "nowhere"
}

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

// String says it in a word.
func (r Role) String() string {
	switch r {
	case Aid:
		return "aid"
	case Rescue:
		return "rescue"
	case Trigger:
		return "trigger"
	}
	return "nothing"
}

// Policy is all knobs that a policy can set, in the order of the documentation. It is not the
// caller's to change.
func Policy() []Knob { return policy[:] }

// ByKey finds a knob by its key in rebound.conf, or returns nil.
func ByKey(key string) *Knob {
	for i := range policy {
		if policy[i].Key == key {
			return &policy[i]
		}
	}
	return nil
}

// Path is its file below /proc, for a sysctl, or below /sys. A word of the boot line has none.
func (k *Knob) Path() string {
	switch k.Place {
	case Sysctl:
		// Of the names here none has a dot within a part.
		return "sys/" + strings.ReplaceAll(k.Name, ".", "/")
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

// SetBy reports whether a word of the kernel's boot line sets the knob. A word without a value is
// one without "=".
func (k *Knob) SetBy(name, value string, hasValue bool) bool {
	if rest, ok := strings.CutPrefix(name, "sysctl"); ok && hasValue && rest != "" {
		// Both separators will do (fs/proc/proc_sysctl.c, process_sysctl_arg).
		return k.Place == Sysctl && (rest[0] == '.' || rest[0] == '/') &&
			strings.ReplaceAll(rest[1:], "/", ".") == k.Name
	}
	// Dashes and underscores are the same (kernel/params.c, parameq).
	name = strings.ReplaceAll(name, "-", "_")
	if k.Place != Sysctl && name == k.Name {
		return hasValue || k.Kind == Switch
	}
	for of := range strings.FieldsSeq(k.Boot) {
		word, needs, valued := strings.Cut(of, "=")
		if word == name && (!valued || hasValue && strings.HasPrefix(value, needs)) {
			return true
		}
	}
	return false
}

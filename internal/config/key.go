package config

import (
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/knob"
)

// A Key is one row of the table of settings.
type Key struct {
	Name    string
	Meaning string // what it is for, in a line
	field   field
	// knob is what a key without a field sets.
	knob *knob.Knob
}

// Default returns the default value as it would be written in the file.
func (k Key) Default() string {
	return k.Value(Default())
}

// asPolicy leaves a knob of the kernel to the policy.
const asPolicy = "policy"

// Value returns the value in s as it would be written in the file.
func (k Key) Value(s Settings) string {
	if k.field != nil {
		return k.field.value(&s)
	}
	if text := s.Panic.Plan.Asked(k.Name); text != "" {
		return text
	}
	return asPolicy
}

// Takes says which values the key takes, such as "auto or none".
func (k Key) Takes() string {
	if k.field != nil {
		return k.field.takes()
	}
	return asPolicy + ", " + k.knob.Takes()
}

// set sets the value written as text. If it is none, set changes nothing and returns what was
// expected.
func (k Key) set(s *Settings, text string) (expected string) {
	switch {
	case k.field != nil:
		return k.field.set(s, text)
	case text == asPolicy:
		text = ""
	default:
		_, expected = k.knob.Parse(text)
	}
	if expected == "" {
		s.Panic.Plan.Ask(k.Name, text)
	}
	return expected
}

// A field connects a key with its place in Settings. There is one implementation for each type
// of value.
type field interface {
	// reset sets the default.
	reset(s *Settings)
	// set sets the value written as text. If it is none, set changes nothing and returns
	// what was expected.
	set(s *Settings, text string) (expected string)
	// value returns the value as set would take it.
	value(s *Settings) string
	// takes says which values there are.
	takes() string
}

// A duration is a time span with a unit. Bare numbers are refused: other programs mean
// seconds by them, or milliseconds.
type duration struct {
	at            func(*Settings) *time.Duration
	def, min, max time.Duration
}

func (d duration) reset(s *Settings) { *d.at(s) = d.def }

func (d duration) set(s *Settings, text string) string {
	const form = "a time with a unit, such as 5s"
	if strings.Trim(text, "0123456789") == "" {
		return form // ParseDuration takes a bare 0.
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return form
	}
	if v < d.min || v > d.max {
		return knob.Span(d.min) + " to " + knob.Span(d.max)
	}
	*d.at(s) = v
	return ""
}

func (d duration) value(s *Settings) string { return knob.Span(*d.at(s)) }

func (d duration) takes() string {
	return "a time from " + knob.Span(d.min) + " to " + knob.Span(d.max) +
		" with its unit (ms, s, m or h)"
}

// A choice is one word of a few. Its values are numbered in the order of their names. It is one
// type for all choices: a generic one would be in PID 1 once for each.
type choice struct {
	at    func(*Settings) *uint8
	names []string
	def   uint8
}

func (c choice) reset(s *Settings) { *c.at(s) = c.def }

func (c choice) set(s *Settings, text string) string {
	i := slices.Index(c.names, text)
	if i < 0 {
		return c.takes()
	}
	*c.at(s) = uint8(i)
	return ""
}

func (c choice) value(s *Settings) string { return c.names[*c.at(s)] }

func (c choice) takes() string {
	last := len(c.names) - 1
	return strings.Join(c.names[:last], ", ") + " or " + c.names[last]
}

// A yesNo is a switch.
type yesNo struct {
	at  func(*Settings) *bool
	def bool
}

func (y yesNo) reset(s *Settings) { *y.at(s) = y.def }

func (y yesNo) set(s *Settings, text string) string {
	if text != "yes" && text != "no" {
		return y.takes()
	}
	*y.at(s) = text == "yes"
	return ""
}

func (y yesNo) value(s *Settings) string {
	if *y.at(s) {
		return "yes"
	}
	return "no"
}

func (y yesNo) takes() string { return "yes or no" }

// devices is a list of device nodes by their paths, or none.
type devices struct {
	at func(*Settings) *string
}

// noDevices is how an empty list is written.
const noDevices = "none"

func (d devices) reset(s *Settings) { *d.at(s) = "" }

func (d devices) set(s *Settings, text string) string {
	if text == noDevices {
		d.reset(s)
		return ""
	}
	paths := strings.Fields(text)
	for i, path := range paths {
		if path[0] != '/' || slices.Contains(paths[:i], path) {
			return d.takes()
		}
	}
	if len(paths) == 0 {
		return d.takes()
	}
	*d.at(s) = strings.Join(paths, " ")
	return ""
}

func (d devices) value(s *Settings) string {
	if list := *d.at(s); list != "" {
		return list
	}
	return noDevices
}

func (d devices) takes() string { return "one or more paths such as /dev/watchdog0, or none" }

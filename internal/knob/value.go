package knob

import (
	"strconv"
	"strings"
	"time"
)

// Parse reads a value as rebound.conf has it, and returns it as the kernel's file shows it. If it
// is none, Parse returns what was expected.
//
// PID 1 has this, Takes and what they call in it, and each line of them twice, for the runtime's
// tables are as long as the code.
func (k *Knob) Parse(text string) (value, expected string) {
	if k.Kind == Text && text != "" && !strings.ContainsAny(text, "\n\x00") {
		return text, ""
	}
	var bits int64
	for rest, more := text, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, ",")
		v, ok := k.word(strings.TrimSpace(part))
		if !ok {
			v, ok = k.parseNumber(part)
		}
		switch {
		case !ok || more && k.Kind != Mask:
			return "", k.Takes()
		case k.Kind != Mask:
			return v, ""
		}
		bit, _ := strconv.ParseInt(v, 10, 64)
		bits |= bit
	}
	return strconv.FormatInt(bits, 10), ""
}

// parseNumber reads a number, which for Seconds is a time with its unit. Bare numbers are refused
// there: other programs mean seconds by them, or milliseconds. So are parts of a second, which
// the kernel does not have.
func (k *Knob) parseNumber(text string) (value string, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	if k.Kind == Seconds {
		var d time.Duration
		bare := err == nil
		d, err = time.ParseDuration(text)
		n = int64(d / time.Second)
		if bare || d%time.Second != 0 {
			return "", false
		}
	}
	return strconv.FormatInt(n, 10), err == nil && k.numbered() && n >= k.Min && n <= k.Max
}

// numbered reports whether there are numbers among its values.
func (k *Knob) numbered() bool { return k.Kind != Switch && k.Kind != Word && k.Kind != Text }

// words are the values with names.
func (k *Knob) words() string {
	switch {
	case k.Kind != Switch:
		return k.Words
	case k.Place == Sysctl:
		return "yes=1,no=0"
	}
	return "yes=Y,no=N"
}

// word is the value with a name.
func (k *Knob) word(name string) (value string, ok bool) {
	for rest := k.words(); rest != "" && name != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, ",")
		if n, v, valued := strings.Cut(word, "="); n == name {
			if !valued {
				v = n
			}
			return v, true
		}
	}
	return "", false
}

// Takes says which values there are.
func (k *Knob) Takes() string {
	names := ""
	for rest := k.Words; rest != ""; {
		var word string
		word, rest, _ = strings.Cut(rest, ",")
		word, _, _ = strings.Cut(word, "=")
		names += word + ", "
	}
	from, to := strconv.FormatInt(k.Min, 10), strconv.FormatInt(k.Max, 10)
	switch k.Kind {
	case Switch:
		return "yes or no"
	case Word:
		return "one of " + strings.TrimSuffix(names, ", ")
	case Seconds:
		const second = int64(time.Second)
		from, to = Span(time.Duration(k.Min*second)), Span(time.Duration(k.Max*second))
		return names + "a time from " + from + " to " + to + " in whole seconds with its unit (s, m or h)"
	case Mask:
		to += ", or several with commas between"
	case Number, Level:
	case Text:
		return "a text"
	}
	return names + "a number from " + from + " to " + to
}

// Shown is what the kernel's file shows without what is around the value: the newline, and the
// other numbers of a Level.
func (k *Knob) Shown(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.IndexByte(text, '\t'); i > 0 && k.Kind == Level {
		text = text[:i]
	}
	return text
}

// Off reports whether a value is the one that leaves the knob without an effect, so that as a
// trigger it lets failures be, and as a rescue it does not come.
func (k *Knob) Off(value string) bool { return value == "0" || value == "N" }

// Span writes a time the short way: 10m, where Duration.String writes 10m0s.
func Span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-len("0s")]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-len("0m")]
	}
	return s
}

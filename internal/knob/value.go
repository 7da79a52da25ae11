package knob

import (
	"strconv"
	"strings"
	"time"
)

// Parse reads a value as rebound.conf has it, and returns it as the kernel's file shows it. If it
// is none, Parse returns what was expected.
func (k *Knob) Parse(text string) (value, expected string) {
	if k.Kind == Mask && !numeric(text) {
		return k.parseBits(text)
	}
	if v, ok := k.word(text); ok {
		return v, ""
	}
	switch k.Kind {
	case Switch:
		if text == "yes" || text == "no" {
			return k.switched(text == "yes"), ""
		}
	case Seconds:
		return k.parseTime(text)
	case Number, Level, Mask:
		n, err := strconv.ParseInt(text, 0, 64)
		if err != nil || !numeric(text) {
			break
		}
		if n < k.Min || n > k.Max {
			return "", k.words() + k.number(k.Min) + " to " + k.number(k.Max)
		}
		return strconv.FormatInt(n, 10), ""
	case Text:
		if text != "" && !strings.ContainsAny(text, "\n\x00") {
			return text, ""
		}
	case Word:
	}
	return "", k.Takes()
}

// numeric reports whether a text begins as a number does. What Go takes besides, underscores and
// plus signs, the kernel does not.
func numeric(text string) bool {
	return text != "" && text[0] <= '9' && text[0] != '+' && !strings.Contains(text, "_")
}

func (k *Knob) switched(on bool) string {
	if k.Place == Sysctl {
		if on {
			return "1"
		}
		return "0"
	}
	if on {
		return "Y"
	}
	return "N"
}

// parseTime reads a time. Bare numbers are refused: other programs mean seconds by them, or
// milliseconds. So are parts of a second, which the kernel does not have here.
func (k *Knob) parseTime(text string) (value, expected string) {
	d, err := time.ParseDuration(text)
	if err != nil || strings.Trim(text, "0123456789") == "" || d%time.Second != 0 {
		return "", k.Takes()
	}
	n := int64(d / time.Second)
	if n < k.Min || n > k.Max {
		return "", k.words() + k.number(k.Min) + " to " + k.number(k.Max)
	}
	return strconv.FormatInt(n, 10), ""
}

// parseBits reads the names of bits.
func (k *Knob) parseBits(text string) (value, expected string) {
	var bits int64
	for name := range strings.SplitSeq(text, ",") {
		v, ok := k.word(strings.TrimSpace(name))
		if !ok {
			return "", k.Takes()
		}
		bit, _ := strconv.ParseInt(v, 10, 64)
		bits |= bit
	}
	return strconv.FormatInt(bits, 10), ""
}

// word is the value of one of Words.
func (k *Knob) word(text string) (value string, ok bool) {
	for w := range strings.SplitSeq(k.Words, ",") {
		name, v, valued := strings.Cut(w, "=")
		if name != text || name == "" {
			continue
		}
		if !valued {
			v = name
		}
		return v, true
	}
	return "", false
}

// names are the names of Words.
func (k *Knob) names() []string {
	var names []string
	for w := range strings.SplitSeq(k.Words, ",") {
		if name, _, _ := strings.Cut(w, "="); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// words are the words that a number or a time may be instead, for a message.
func (k *Knob) words() string {
	if k.Kind == Mask || k.Words == "" {
		return ""
	}
	return strings.Join(k.names(), ", ") + " or "
}

// number is one as rebound.conf has it.
func (k *Knob) number(n int64) string {
	if k.Kind == Seconds {
		return Span(time.Duration(n) * time.Second)
	}
	return strconv.FormatInt(n, 10)
}

// Takes says which values there are.
func (k *Knob) Takes() string {
	span := " from " + k.number(k.Min) + " to " + k.number(k.Max)
	switch k.Kind {
	case Switch:
		return "yes or no"
	case Number, Level:
		return k.words() + "a number" + span
	case Seconds:
		return k.words() + "a time" + span + " in whole seconds with its unit (s, m or h)"
	case Mask:
		return "a number" + span + ", or with commas between some of " +
			strings.Join(k.names(), ", ")
	case Word:
		names := k.names()
		last := len(names) - 1
		return strings.Join(names[:last], ", ") + " or " + names[last]
	case Text:
	}
	return "a text"
}

// Text writes what the kernel's file shows as rebound.conf has it, the shortest way. What has no
// such form is left as it is.
func (k *Knob) Text(shown string) string {
	shown = k.Shown(shown)
	n, err := strconv.ParseInt(shown, 10, 64)
	if k.Kind == Mask && err == nil && n > 0 {
		return k.bits(n)
	}
	for w := range strings.SplitSeq(k.Words, ",") {
		if name, v, _ := strings.Cut(w, "="); v == shown && v != "" {
			return name
		}
	}
	switch {
	case k.Kind == Switch && shown == k.switched(true):
		return "yes"
	case k.Kind == Switch && shown == k.switched(false):
		return "no"
	case k.Kind == Seconds && err == nil && n >= k.Min && n <= k.Max:
		return k.number(n)
	}
	return shown
}

// bits are the names of the bits of a number, or the number if some have none.
func (k *Knob) bits(n int64) string {
	var names []string
	rest := n
	for w := range strings.SplitSeq(k.Words, ",") {
		name, v, _ := strings.Cut(w, "=")
		if bit, _ := strconv.ParseInt(v, 10, 64); bit != 0 && n&bit == bit {
			names = append(names, name)
			rest &^= bit
		}
	}
	if rest != 0 {
		return strconv.FormatInt(n, 10)
	}
	return strings.Join(names, ",")
}

// Shown is what the kernel's file shows without what is around the value: the newline, and the
// other numbers of a Level.
func (k *Knob) Shown(text string) string {
	text = strings.Trim(text, " \t\n")
	if i := strings.IndexAny(text, " \t"); i > 0 && k.Kind == Level {
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

package knob

import (
	"strconv"
	"strings"
	"time"
)

// Text writes what the kernel's file shows as rebound.conf has it, the shortest way. What has no
// such form is left as it is.
func (k *Knob) Text(shown string) string {
	shown = k.Shown(shown)
	n, err := strconv.ParseInt(shown, 10, 64)
	if k.Kind == Mask && err == nil && n > 0 {
		return k.bits(n)
	}
	for w := range strings.SplitSeq(k.words(), ",") {
		if name, v, _ := strings.Cut(w, "="); v == shown && v != "" {
			return name
		}
	}
	if k.Kind == Seconds && err == nil && n >= k.Min && n <= k.Max {
		return Span(time.Duration(n) * time.Second)
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

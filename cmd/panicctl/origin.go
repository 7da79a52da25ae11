package main

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/panicwatch/advice"
)

// origin is where a value is from.
type origin string

// The origins. They are what the JSON of show has, and stay the same.
const (
	fromNowhere  origin = ""         // there is no value
	fromDefault  origin = "default"  // it is the kernel's
	fromDebian   origin = "debian"   // it is that of Debian's kernels
	fromBoot     origin = "boot"     // a word of the kernel's command line
	fromPolicy   origin = "policy"   // a key of rebound.conf or of the command line
	fromPreset   origin = "preset"   // the preset of the policy
	fromInit     origin = "init"     // process 1, which nobody has told
	fromSysctl   origin = "sysctl"   // a file of sysctl(8)
	fromKernel   origin = "kernel"   // the kernel or a module, which nobody has told
	fromSomebody origin = "somebody" // somebody since the boot, or who has built the kernel
)

// origins finds out where values are from. Nobody keeps books about it: it is the last of those who could
// have set what is there.
type origins struct {
	sight   *advice.Sight
	policy  *policy
	sysctls map[string]sysctlLine
	// byInit says that process 1 may be ours.
	byInit bool
}

func (m running) origins(s *advice.Sight, p *policy) *origins {
	name, err := m.Read("proc/1/comm")
	return &origins{s, p, m.sysctls(), err != nil || name == "init"}
}

// of says where the value of a knob is from, and in words which line or word has set it.
func (o *origins) of(k *knob.Knob, value string) (from origin, by string) {
	about := k.About()
	shown := k.Shown(value)
	if w, ok := o.word(k); ok && k.Place == knob.Boot {
		return fromBoot, w
	}
	for _, c := range o.policy.plan().Choices() {
		switch {
		case c.Knob != k || !same(k, c.Value, shown) || o.policy.missing && !c.Asked:
		case c.Asked:
			return fromPolicy, o.policy.Source(k.Key)
		case !o.said(k):
			return fromPreset, "preset " + o.policy.plan().Preset.String()
		}
	}
	if l, ok := o.sysctls[k.Name]; ok && same(k, l.value, shown) {
		return fromSysctl, l.place()
	}
	if w, ok := o.word(k); ok && o.agrees(k, w, shown) {
		return fromBoot, w
	}
	switch {
	case same(k, defaultOf(k), shown):
		return fromDefault, ""
	case about.Debian != "" && same(k, about.Debian, shown):
		return fromDebian, ""
	case k.Name == "kernel.panic" && shown == "10" && o.byInit && o.policy.plan().Preset == knob.Standard,
		k.Name == "kernel.ctrl-alt-del" && shown == "0": // CAD_OFF of reboot(2)
		return fromInit, ""
	case about.Access != "" || !plainValue(defaultOf(k)) || k.Name == "kernel.tainted":
		return fromKernel, ""
	}
	return fromSomebody, ""
}

// said reports whether the command line sets a knob.
func (o *origins) said(k *knob.Knob) bool { _, ok := o.word(k); return ok }

// word is the last word of the kernel's command line that sets a knob, or that is it.
func (o *origins) word(k *knob.Knob) (string, bool) {
	if w := o.sight.SetBy(k); w != "" {
		return w, true
	}
	for _, w := range slices.Backward(o.sight.Boot) {
		if k.Place == knob.Boot && w.Name == k.Name {
			return w.Name, true
		}
	}
	return "", false
}

// agrees reports whether a word of the command line can have given a knob this value. What a word that
// has no number does is the kernel's to know; it does not leave the default.
func (o *origins) agrees(k *knob.Knob, word, shown string) bool {
	_, value, _ := strings.Cut(word, "=")
	if _, err := strconv.ParseInt(value, 0, 64); err == nil {
		return same(k, value, shown)
	}
	return !same(k, defaultOf(k), shown)
}

// defaultOf is the kernel's default without what else is said of it, on which machine it is another.
func defaultOf(k *knob.Knob) string {
	value, _, _ := strings.Cut(k.About().Default, ";")
	return strings.Join(strings.Fields(value), " ")
}

// same reports whether two values are the same to the kernel.
func same(k *knob.Knob, a, b string) bool {
	a, b = k.Shown(a), k.Shown(b)
	m, errA := strconv.ParseInt(yesNo(a), 0, 64)
	n, errB := strconv.ParseInt(yesNo(b), 0, 64)
	if errA == nil && errB == nil {
		return m == n
	}
	return a == b
}

// yesNo is a number for what a parameter shows of a switch.
func yesNo(value string) string {
	switch value {
	case "Y", "y":
		return "1"
	case "N", "n":
		return "0"
	}
	return value
}

// plainValue reports whether a default is a value, and not words about it.
func plainValue(text string) bool {
	return !strings.ContainsFunc(text, unicode.IsLetter) || !strings.Contains(text, " ")
}

// Package advice finds settings of a kernel that contradict each other, the machine, or what their names
// say, and tells of each why, and what to set instead.
//
// The rules are data: rows of a table with a condition on a [Machine]. A condition on what is not
// known does not hold, so that nothing is said of what could not be read.
package advice

import "strings"

// Severity is how much a finding matters.
type Severity uint8

// The severities.
const (
	// Note is worth knowing, and nothing is wrong.
	Note Severity = iota
	// Trap does something else than it seems to.
	Trap
	// Mistake keeps the machine from coming back.
	Mistake
)

// String is the severity in a word.
func (s Severity) String() string { return [...]string{"note", "trap", "mistake"}[s] }

// MarshalText is the word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is what a rule says of a machine.
type Finding struct {
	// Rule is its name, which stays the same.
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// What is wrong, why it is, and what helps. Each is a text in a line.
	What   string `json:"what"`
	Reason string `json:"reason"`
	Remedy Remedy `json:"remedy"`
	// About are the settings that it comes from: names of knobs.
	About []string `json:"about"`
}

// Remedy is what helps.
type Remedy struct {
	// Settings are to be made, and then the finding is gone.
	Settings []Setting `json:"settings,omitempty"`
	// Text is what else there is to do, or to do instead.
	Text string `json:"text,omitempty"`
}

// Setting is a setting of the kernel and its value, as the kernel takes it.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// String is the remedy in a line.
func (r Remedy) String() string {
	parts := make([]string, 0, len(r.Settings)+1)
	for _, s := range r.Settings {
		parts = append(parts, s.Name+" = "+s.Value)
	}
	if r.Text != "" {
		parts = append(parts, r.Text)
	}
	return strings.Join(parts, "; ")
}

// Findings goes through all rules. What matters most comes first.
func Findings(m *Machine) []Finding {
	var all []Finding
	table := rules()
	for s := Mistake; ; s-- {
		for i := range table {
			if r := &table[i]; r.severity == s && r.when(m) {
				all = append(all, r.finding(m))
			}
		}
		if s == Note {
			return all
		}
	}
}

// Rule is a rule as a list of them shows it.
type Rule struct {
	Name     string   `json:"rule"`
	Severity Severity `json:"severity"`
	// Reason is why it is wrong, and About which settings it looks at first of all.
	Reason string   `json:"reason"`
	About  []string `json:"about,omitempty"`
}

// Rules are all that there are, in the order of the table.
func Rules() []Rule {
	var all []Rule
	for _, r := range rules() {
		// What stands for a value is the setting itself, where there is no machine.
		reason := strings.NewReplacer("{", "", "}", "").Replace(r.reason)
		all = append(all, Rule{r.name, r.severity, reason, r.about})
	}
	return all
}

// rule is a row of the table.
type rule struct {
	name     string
	severity Severity
	when     condition
	// what, reason and the remedy may have words in braces, which stand for what the machine has:
	// the name of a setting for its value, or one of placeholders.
	what, reason string
	set          []Setting
	remedy       string
	about        []string
}

func (r *rule) finding(m *Machine) Finding {
	f := Finding{
		Rule: r.name, Severity: r.severity, What: m.expand(r.what), Reason: m.expand(r.reason),
		Remedy: Remedy{Text: m.expand(r.remedy)}, About: r.about,
	}
	for _, s := range r.set {
		f.Remedy.Settings = append(f.Remedy.Settings, Setting{s.Name, m.expand(s.Value)})
	}
	return f
}

// expand puts in what stands for the words in braces.
func (m *Machine) expand(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return b.String()
		}
		b.WriteString(m.word(name))
		text = after
	}
}

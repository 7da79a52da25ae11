package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/panicwatch/advice"
)

const checkDoes = `Say what is wrong: lines of the policy that init would leave out, settings that contradict each other or
the machine, each with its reason and what to do about it, and settings that are not as the policy has
them. Without FILE it is about this machine as it is, and its /etc/rebound.conf; with FILE, or - for
standard input, about what this machine would be with that policy.`

// finding is what check says, and its JSON.
type finding struct {
	// Place is FILE:LINE, or what else it is about.
	Place    string          `json:"place"`
	Severity advice.Severity `json:"severity"`
	// Rule is the name of the rule that has found it: "policy" for a line of the policy, and
	// "changed" for a setting that is not as the policy has it.
	Rule   string           `json:"rule"`
	What   string           `json:"what"`
	Reason string           `json:"reason,omitempty"`
	Remedy string           `json:"remedy,omitempty"`
	Set    []advice.Setting `json:"settings,omitempty"`
}

func (t *tool) check(args []string) int {
	fs := t.flags("check", "[FILE]", checkDoes)
	var (
		m            running
		asJSON, list bool
	)
	fs.StringVar(&m.root, "root", "/", rootDoes)
	fs.BoolVar(&asJSON, "json", false, "print JSON: an array with an object for each finding")
	fs.BoolVar(&list, "list", false, "list the rules that a machine is held against, each with its reason")
	words, status, done := t.parse(fs, args)
	switch {
	case done:
		return status
	case len(words) > 1:
		return t.wrong("check: expected one file, and %q is too much", words[1])
	case list && len(words) > 0:
		return t.wrong("check: -list checks nothing, and %q is too much", words[0])
	case list && asJSON:
		return t.printJSON(advice.Rules())
	case list:
		t.listRules()
		return exitOK
	}
	file := ""
	if len(words) == 1 {
		file = words[0]
	}
	p, err := t.policy(m, file)
	if err != nil {
		return t.failsBy(err, "check")
	}
	found := problems(p)
	sight := m.look()
	switch {
	case sight.NoProc != nil && file == "":
		return t.unseen(m, sight)
	case sight.NoProc != nil:
		fmt.Fprintf(t.err, "panicctl: %v: is proc mounted? Nothing but the lines of %s is checked\n",
			sight.NoProc, p.file)
	default:
		t.unseen(m, sight)
		after := &sight.Machine
		if file == "" {
			after = asPlanned(after, p.plan())
			found = append(found, changes(sight, p)...)
			found = append(found, unfed(sight, p)...)
		} else {
			after = after.With(p.plan()).Feeding(p.Settings.Watchdog)
		}
		found = append(found, watchdogsOf(sight, p)...)
		found = append(found, afterwards(after, p)...)
		found = append(found, contradictions(after, p)...)
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(b.Severity, a.Severity) })
	bad := slices.ContainsFunc(found, func(f finding) bool { return f.Severity > advice.Note })
	status = exitOK
	if bad {
		status = exitAmiss
	}
	if asJSON {
		if found == nil {
			found = []finding{}
		}
		if s := t.printJSON(found); s != exitOK {
			return s
		}
		return status
	}
	t.showFindings(found)
	return status
}

// listRules prints the rules.
func (t *tool) listRules() {
	tb := &table{}
	for _, r := range advice.Rules() {
		tb.add(cell{r.Name, plain}, cell{r.Severity.String(), colourOfSeverity(r.Severity)}, cell{r.Reason, plain})
	}
	t.print(t.out, tb, "")
}

// colourOfSeverity is the colour for it.
func colourOfSeverity(s advice.Severity) colour {
	switch s {
	case advice.Mistake:
		return bad
	case advice.Trap:
		return fair
	case advice.Note:
	}
	return plain
}

// asPlanned is a machine as it is, with what the plan says of what is wanted.
func asPlanned(m *advice.Machine, plan knob.Plan) *advice.Machine {
	now := *m
	now.Wanted = make(map[string]bool)
	for _, c := range plan.Choices() {
		if c.Asked {
			now.Wanted[c.Knob.Name] = true
		}
	}
	now.Capture = plan.Preset == knob.Capture
	now.Attended = plan.Preset == knob.Debug
	return &now
}

// problems are lines of the policy that are wrong, or that somebody may want to know of.
func problems(p *policy) []finding {
	var found []finding
	for _, problem := range p.Problems {
		f := finding{
			Place: problem.Place(), Severity: advice.Mistake, Rule: "policy", What: problem.What(),
			Remedy: problem.Remedy,
		}
		if problem.Note {
			f.Severity = advice.Note
		}
		found = append(found, f)
	}
	return found
}

// contradictions are what the rules say.
func contradictions(m *advice.Machine, p *policy) []finding {
	var found []finding
	for _, a := range advice.Findings(m) {
		found = append(found, finding{
			Place: place(a.About, p), Severity: a.Severity, Rule: a.Rule, What: a.What, Reason: a.Reason,
			Remedy: remedy(a.Remedy), Set: a.Remedy.Settings,
		})
	}
	return found
}

// place is the line of the policy that has set one of these knobs, or the first of their names.
func place(names []string, p *policy) string {
	for _, name := range names {
		if k := knob.ByName(name); k != nil && k.Key != "" {
			if line := p.Source(k.Key); line != "" {
				return line
			}
		}
	}
	if len(names) == 0 {
		return "this machine"
	}
	return names[0]
}

// remedy is what to do, as one would write it into the policy where it has a key for that.
func remedy(r advice.Remedy) string {
	parts := make([]string, 0, len(r.Settings)+1)
	for _, s := range r.Settings {
		if k := knob.ByName(s.Name); k != nil && k.Key != "" {
			parts = append(parts, k.Key+" = "+k.Text(s.Value))
			continue
		}
		parts = append(parts, s.Name+" = "+s.Value)
	}
	if r.Text != "" {
		parts = append(parts, r.Text)
	}
	return strings.Join(parts, "; ")
}

// changes are settings that are not as the policy has them.
func changes(s *advice.Sight, p *policy) []finding {
	var found []finding
	after := s.With(p.plan())
	for _, k := range knob.Table() {
		now, has := s.Values[k.Name]
		want := after.Values[k.Name]
		if !has || p.missing && !after.Wanted[k.Name] || same(k, now, want) {
			continue
		}
		where := p.Source(k.Key)
		if where == "" {
			where = "preset " + p.plan().Preset.String()
		}
		found = append(found, finding{
			Place: where, Severity: advice.Trap, Rule: "changed",
			What: fmt.Sprintf("%s is %s, and the policy has %s", k.Name, k.Text(now), k.Text(want)),
			Reason: "somebody has changed it since init has set it, or the kernel has refused it, or init has " +
				"not read this policy yet",
			Remedy: "panicctl apply sets it, and says what the kernel refuses",
			Set:    []advice.Setting{{Name: k.Name, Value: k.Shown(want)}},
		})
	}
	return found
}

// unfed are watchdogs that do not count as the policy has it.
func unfed(s *advice.Sight, p *policy) []finding {
	if p.missing {
		return nil
	}
	var found []finding
	set := p.Settings.Watchdog
	for _, name := range advice.DevicesOf(set) {
		i := slices.IndexFunc(s.Watchdogs, func(w advice.Watchdog) bool { return w.Name == name })
		if i < 0 || s.Watchdogs[i].Silent {
			continue
		}
		f := finding{Severity: advice.Trap, Rule: "changed"}
		switch w := &s.Watchdogs[i]; {
		case !w.Active:
			f.Place = p.Source("watchdog.device")
			f.What = w.String() + " does not count, and the policy has init feed it"
			f.Reason = "init has not read this policy yet, could not open it, or is not process 1"
			f.Remedy = "the log says what init has met; it reads its configuration when it starts"
		case w.Timeout != set.Timeout:
			if f.Place = p.Source("watchdog.timeout"); f.Place == "" {
				f.Place = p.Source("watchdog.device")
			}
			f.What = fmt.Sprintf("%s resets the machine after %s, and the policy has %s", w,
				knob.Span(w.Timeout), knob.Span(set.Timeout))
			f.Reason = "the driver has granted another timeout, the machine is on its way down, or init has not " +
				"read this policy yet"
			f.Remedy = "watchdog.timeout = " + knob.Span(w.Timeout) + " if that is what it has"
		default:
			continue
		}
		found = append(found, f)
	}
	return found
}

// watchdogsOf are what contradicts itself in what the policy says of watchdogs.
func watchdogsOf(s *advice.Sight, p *policy) []finding {
	var found []finding
	set := p.Settings.Watchdog
	names := advice.DevicesOf(set)
	if p.Settings.Reboot.Method == config.RebootByWatchdog && len(names) == 0 {
		found = append(found, finding{
			Place: p.Source("reboot.method"), Severity: advice.Mistake, Rule: "reboot-by-no-watchdog",
			What:   "reboot.method is watchdog, and init feeds none",
			Reason: "there is nothing that could reset the machine",
			Remedy: "watchdog.device = /dev/watchdog0",
		})
	}
	if len(names) > 0 && set.Pretimeout >= set.Timeout {
		found = append(found, finding{
			Place: p.Source("watchdog.pretimeout"), Severity: advice.Trap, Rule: "pretimeout-too-long",
			What: fmt.Sprintf("watchdog.pretimeout is %s, and watchdog.timeout %s", knob.Span(set.Pretimeout),
				knob.Span(set.Timeout)),
			Reason: "it is the time before the reset, and the kernel refuses one that is not less than the " +
				"timeout [Kernel 6.6]",
			Remedy: "watchdog.pretimeout = " + knob.Span((set.Timeout / 3).Round(time.Second)),
		})
	}
	if s.NoSys != nil {
		return found
	}
	for _, name := range names {
		if !slices.ContainsFunc(s.Watchdogs, func(w advice.Watchdog) bool { return w.Name == name }) {
			found = append(found, finding{
				Place: p.Source("watchdog.device"), Severity: advice.Trap, Rule: "no-such-watchdog",
				What:   "this machine has no " + name,
				Reason: "init waits for it to appear, and until then nothing resets the machine",
				Remedy: "load its driver, or softdog if there is no hardware; panicctl show --devices lists those that " +
					"there are",
			})
		}
	}
	return found
}

// showFindings prints findings for people.
func (t *tool) showFindings(found []finding) {
	counts := make(map[advice.Severity]int)
	for _, f := range found {
		counts[f.Severity]++
		fmt.Fprintf(t.out, "%s: %s: %s\n", f.Place,
			t.paint(colourOfSeverity(f.Severity), f.Severity.String()), f.What)
		if f.Reason != "" {
			fmt.Fprintf(t.out, "  reason: %s\n", f.Reason)
		}
		if f.Remedy != "" {
			fmt.Fprintf(t.out, "  remedy: %s\n", f.Remedy)
		}
	}
	if len(found) > 0 {
		fmt.Fprintln(t.out)
	}
	verdict := "Nothing is wrong"
	if counts[advice.Mistake]+counts[advice.Trap] > 0 {
		verdict = counted(counts[advice.Mistake], "mistake") + ", " + counted(counts[advice.Trap], "trap")
	}
	if n := counts[advice.Note]; n > 0 {
		verdict += ", " + counted(n, "note")
	}
	fmt.Fprintln(t.out, verdict+".")
}

// counted is a number of things, in words for none.
func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

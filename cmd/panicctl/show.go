package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/nearest"
	"github.com/rebound-init/rebound/internal/panicwatch/advice"
)

const showDoes = `Show every knob that decides about what the kernel does when it fails: its value, where that is from, its
default and what it means; and the watchdogs, the crash kernel and what keeps the log. A NAME is that of
a knob, as kernel.panic or panic.timeout, of which all there is to know is shown.`

// rootDoes is the help of -root.
const rootDoes = "examine the tree of another machine: a `directory` with its proc, sys and etc"

// state is how a knob is on a machine.
type state string

// The states. They are what the JSON of show has, and stay the same.
const (
	stateSet        state = "set"
	stateLacking    state = "lacking"    // the kernel does not have it
	stateUnreadable state = "unreadable" // the kernel has it, and did not show it
	stateUnknown    state = "unknown"    // nothing could be seen of where it is
	stateUnsaid     state = "unsaid"     // a word that does not stand on the command line
)

// shownKnob is a knob in the JSON of show.
type shownKnob struct {
	Name  string `json:"name"`
	Key   string `json:"key,omitempty"`
	Place string `json:"place"`
	File  string `json:"file,omitempty"`
	State state  `json:"state"`
	// Value is as the kernel shows it: null if there is none. Text is as rebound.conf has it.
	Value *string `json:"value"`
	Text  string  `json:"text,omitempty"`
	From  origin  `json:"from,omitempty"`
	By    string  `json:"by,omitempty"`
	// Default is the kernel's, and Debian that of Debian's where it is another.
	Default string `json:"default"`
	Debian  string `json:"debian_default,omitempty"`
	Takes   string `json:"takes"`
	Meaning string `json:"meaning"`
	Since   string `json:"since,omitempty"`
	Error   string `json:"error,omitempty"`

	knob *knob.Knob
}

// shownDevices is what show says of devices, and its JSON.
type shownDevices struct {
	Watchdogs   []shownWatchdog `json:"watchdogs"`
	CrashKernel shownCrash      `json:"crash_kernel"`
	Pstore      shownPstore     `json:"pstore"`
}

type shownWatchdog struct {
	advice.Watchdog
	TimeoutSeconds    int  `json:"timeout_seconds"`
	PretimeoutSeconds int  `json:"pretimeout_seconds"`
	Software          bool `json:"software"`
}

type shownCrash struct {
	Known    bool  `json:"known"`
	Loaded   bool  `json:"loaded"`
	Reserved int64 `json:"reserved_bytes"`
}

type shownPstore struct {
	Known   bool   `json:"known"`
	Backend string `json:"backend"`
}

func (t *tool) show(args []string) int {
	fs := t.flags("show", "[NAME...]", showDoes)
	var (
		m                                running
		asJSON, devices, changed, hasAll bool
	)
	fs.StringVar(&m.root, "root", "/", rootDoes)
	fs.BoolVar(&asJSON, "json", false, "print JSON: an array with an object for each knob; with -devices one object")
	fs.BoolVar(&devices, "devices", false, "show the watchdogs, the crash kernel and pstore only")
	fs.BoolVar(&changed, "changed", false, "show only knobs that do not have the kernel's default")
	fs.BoolVar(&hasAll, "all", false, "show knobs, too, that this kernel lacks; JSON has them in any case")
	words, status, done := t.parse(fs, args)
	if done {
		return status
	}
	if devices && len(words) > 0 {
		return t.wrong("show: -devices shows no knobs, and %q is too much", words[0])
	}
	knobs, err := knobsNamed(words)
	if err != nil {
		return t.wrong("show: %v", err)
	}
	sight := m.look()
	if status := t.unseen(m, sight); status != exitOK {
		return status
	}
	if devices {
		d := devicesOf(sight)
		if asJSON {
			return t.printJSON(d)
		}
		t.showDevices(sight)
		return exitOK
	}
	p, err := t.policy(m, "")
	if err != nil {
		// Who may not read the policy may see what has become of it.
		fmt.Fprintf(t.err, "panicctl: %v: what is from there is not known\n", err)
		p = &policy{missing: true}
	}
	o := m.origins(sight, p)
	var all []shownKnob
	for _, k := range knobs {
		s := shown(sight, o, k)
		if changed && (s.State != stateSet || s.From == fromDefault || s.From == fromKernel) {
			continue
		}
		all = append(all, s)
	}
	switch {
	case asJSON && all == nil:
		return t.printJSON([]shownKnob{})
	case asJSON:
		return t.printJSON(all)
	case len(words) > 0:
		for i := range all {
			if i > 0 {
				fmt.Fprintln(t.out)
			}
			t.showKnob(&all[i])
		}
	default:
		t.showKnobs(all, hasAll)
		if !changed {
			fmt.Fprintln(t.out)
			t.showDevices(sight)
		}
	}
	return exitOK
}

// knobsNamed finds knobs by what people call them: all if there is no name.
func knobsNamed(names []string) ([]*knob.Knob, error) {
	if len(names) == 0 {
		return knob.Table(), nil
	}
	var knobs []*knob.Knob
	for _, name := range names {
		k := knob.ByName(name)
		if k == nil {
			k = withKey(name)
		}
		if k == nil {
			hint := "`panicctl show --all` lists all"
			if w := nearest.Word(name, knob.Names()); w != "" {
				hint = fmt.Sprintf("did you mean %q?", w)
			}
			return nil, fmt.Errorf("there is no knob %q: %s", name, hint)
		}
		knobs = append(knobs, k)
	}
	return knobs, nil
}

// withKey finds a knob by its key in rebound.conf, or returns nil.
func withKey(key string) *knob.Knob {
	all := knob.Table()
	i := slices.IndexFunc(all, func(k *knob.Knob) bool { return k.Key == key && key != "" })
	if i < 0 {
		return nil
	}
	return all[i]
}

// unseen says what of the machine could not be seen. Without /proc/sys there is nothing to show.
func (t *tool) unseen(m running, s *advice.Sight) int {
	if s.NoProc != nil {
		return t.failsBy(s.NoProc, "no settings of a kernel below %s: is proc mounted?", m.file("proc/sys"))
	}
	if s.NoSys != nil {
		fmt.Fprintf(t.err, "panicctl: %v: is sysfs mounted? Nothing is known of parameters of modules, "+
			"watchdogs, the crash kernel and pstore\n", s.NoSys)
	}
	return exitOK
}

// shown is how a knob is.
func shown(s *advice.Sight, o *origins, k *knob.Knob) shownKnob {
	about := k.About()
	r := shownKnob{
		Name: k.Name, Key: k.Key, Place: k.Place.String(), File: k.File(), Takes: k.Takes(),
		Default: about.Default, Debian: about.Debian, Meaning: about.Meaning, Since: about.Since, knob: k,
	}
	value, has := s.Values[k.Name]
	err := s.Unread[k.Name]
	switch {
	case k.Place == knob.Boot:
		word, said := o.word(k)
		if !said {
			r.State = stateUnsaid
			return r
		}
		_, value, _ = strings.Cut(word, "=")
	case err != nil:
		r.State, r.Error = stateUnreadable, errno(err).Error()
		return r
	case !has && k.Place != knob.Sysctl && s.NoSys != nil:
		r.State = stateUnknown
		return r
	case !has:
		r.State = stateLacking
		return r
	}
	value = strings.Join(strings.Fields(value), " ")
	r.State, r.Value = stateSet, &value
	if k.Place != knob.Boot {
		r.Text = k.Text(value)
	}
	r.From, r.By = o.of(k, value)
	return r
}

// words are what the table has for a value.
func (s *shownKnob) words() cell {
	switch s.State {
	case stateLacking:
		return cell{"lacking", faint}
	case stateUnreadable:
		return cell{"unreadable", fair}
	case stateUnknown:
		return cell{"unknown", fair}
	case stateUnsaid:
		return cell{"-", faint}
	case stateSet:
	}
	if *s.Value == "" {
		return cell{`""`, plain}
	}
	return cell{*s.Value, plain}
}

// origin is what the table has for where a value is from.
func (s *shownKnob) origin() cell {
	switch s.From {
	case fromDefault:
		return cell{"default", faint}
	case fromDebian:
		return cell{"Debian", faint}
	case fromBoot:
		return cell{"boot: " + s.By, good}
	case fromPolicy, fromPreset, fromSysctl:
		return cell{s.By, good}
	case fromInit:
		return cell{"init", good}
	case fromKernel:
		return cell{"kernel", faint}
	case fromSomebody:
		return cell{"somebody", fair}
	case fromNowhere:
	}
	return cell{"-", faint}
}

// showKnobs prints the table.
func (t *tool) showKnobs(all []shownKnob, lacking bool) {
	tb := &table{}
	tb.add(cell{"NAME", bold}, cell{"VALUE", bold}, cell{"DEFAULT", bold}, cell{"FROM", bold}, cell{"MEANING", bold})
	var left []string
	for i := range all {
		s := &all[i]
		if s.State == stateLacking && !lacking {
			left = append(left, s.Name)
			continue
		}
		def := defaultOf(s.knob)
		if !plainValue(def) || def == "" || s.knob.Place == knob.Boot {
			def = "-"
		}
		first, _, _ := strings.Cut(s.Meaning, ". ")
		value := s.words()
		if s.State == stateSet && s.From != fromDefault {
			value.colour = bold
		}
		tb.add(cell{s.Name, plain}, value, cell{def, faint}, s.origin(), cell{strings.TrimSuffix(first, "."), plain})
	}
	t.print(t.out, t.fit(tb), "")
	if len(left) > 0 {
		fmt.Fprintf(t.out, "\nNot there, as the kernel lacks it or its module is not loaded:\n%s\n", columns(left, 96))
	}
}

// fit cuts the last column of a table to the width of a terminal, if it goes to one.
func (t *tool) fit(tb *table) *table {
	if width := t.width(); width > 0 {
		cut(tb, width)
	}
	return tb
}

// cut cuts the last of the five columns.
func cut(tb *table, width int) {
	used := 0
	for column := range 4 {
		widest := 0
		for _, row := range tb.rows {
			widest = max(widest, len(row[column].text))
		}
		used += widest + 2
	}
	const least = 20
	room := max(width-used, least)
	for _, row := range tb.rows {
		if last := &row[len(row)-1]; len(last.text) > room {
			last.text = strings.TrimSpace(last.text[:room-1]) + "…"
		}
	}
}

// width is how wide the terminal is that the output goes to, or 0 if it is none.
func (t *tool) width() int {
	f, ok := t.out.(*os.File)
	if !ok {
		return 0
	}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		return int(size.Col)
	}
	return 0
}

// columns puts words into lines.
func columns(words []string, width int) string {
	var b strings.Builder
	line := " "
	for _, w := range words {
		if len(line)+1+len(w) > width {
			b.WriteString(line + "\n")
			line = " "
		}
		line += " " + w
	}
	b.WriteString(line)
	return b.String()
}

// showKnob prints all there is to know of a knob.
func (t *tool) showKnob(s *shownKnob) {
	about := s.knob.About()
	fmt.Fprintln(t.out, t.paint(bold, s.Name))
	tb := &table{}
	row := func(name, text string) {
		if text != "" {
			tb.add(cell{name, faint}, cell{text, plain})
		}
	}
	value := s.words().text
	if s.Text != "" && s.Value != nil && s.Text != *s.Value {
		value += " (" + s.Text + ")"
	}
	row("value", value)
	row("error", s.Error)
	if s.State == stateSet {
		row("from", originInWords(s))
	}
	row("default", s.Default)
	row("Debian", about.Debian)
	row("takes", s.Takes)
	row("", about.Takes)
	row("meaning", s.Meaning)
	row("needs", about.Needs)
	row("access", about.Access)
	row("key", s.Key)
	row("file", s.File)
	row("boot", spelledAtBoot(s.knob))
	since := about.Since
	if about.Older != "" {
		since += ", and " + about.Older
	}
	row("since", since)
	row("gone", about.Gone)
	row("only on", about.On)
	t.print(t.out, tb, "  ")
}

// spelledAtBoot are the words of the command line that set a knob.
func spelledAtBoot(k *knob.Knob) string {
	words := strings.Fields(k.Boot)
	switch k.Place {
	case knob.Sysctl:
		words = append(words, "sysctl."+k.Name+"=")
	case knob.Parameter, knob.Boot:
		if word := k.Name + "="; !slices.Contains(words, word) {
			words = append(words, word)
		}
	case knob.Sysfs:
	}
	return strings.Join(words, " ")
}

// originInWords says where a value is from.
func originInWords(s *shownKnob) string {
	switch s.From {
	case fromDefault:
		return "the kernel's default"
	case fromDebian:
		return "the default of Debian's kernels"
	case fromBoot:
		return s.By + " on the kernel's command line"
	case fromPolicy, fromPreset, fromSysctl:
		return s.By
	case fromInit:
		return "process 1, by itself"
	case fromKernel:
		return "the kernel itself, or how a module was loaded"
	case fromSomebody:
		return "somebody who has changed it since the boot, or who has built this kernel otherwise"
	case fromNowhere:
	}
	return ""
}

func devicesOf(s *advice.Sight) shownDevices {
	d := shownDevices{
		Watchdogs:   []shownWatchdog{},
		CrashKernel: shownCrash(s.Crash), Pstore: shownPstore(s.Pstore),
	}
	for _, w := range s.Watchdogs {
		d.Watchdogs = append(d.Watchdogs, shownWatchdog{
			w, int(w.Timeout.Seconds()), int(w.Pretimeout.Seconds()), w.Software(),
		})
	}
	return d
}

// showDevices prints what could rescue the machine, or keep evidence.
func (t *tool) showDevices(s *advice.Sight) {
	tb := &table{}
	switch {
	case s.NoSys != nil:
		tb.add(cell{"watchdog", faint}, cell{"unknown", fair})
	case len(s.Watchdogs) == 0:
		tb.add(cell{"watchdog", faint}, cell{"none", fair})
	}
	for i := range s.Watchdogs {
		text, c := watchdogInWords(&s.Watchdogs[i])
		tb.add(cell{"watchdog", faint}, cell{text, c})
	}
	switch c := s.Crash; {
	case !c.Known:
		tb.add(cell{"crash kernel", faint}, cell{"unknown", fair})
	case c.Loaded:
		tb.add(cell{"crash kernel", faint}, cell{"loaded, in " + mebibytes(c.Reserved), good})
	case c.Reserved > 0:
		tb.add(cell{"crash kernel", faint}, cell{"not loaded, although " + mebibytes(c.Reserved) + " are reserved", fair})
	default:
		tb.add(cell{"crash kernel", faint}, cell{"none", plain})
	}
	switch p := s.Pstore; {
	case !p.Known:
		tb.add(cell{"pstore", faint}, cell{"unknown", fair})
	case p.Backend == "":
		tb.add(cell{"pstore", faint}, cell{"no backend: nothing is kept", plain})
	default:
		tb.add(cell{"pstore", faint}, cell{"kept by " + p.Backend, good})
	}
	t.print(t.out, tb, "")
}

func mebibytes(n int64) string { return strconv.FormatInt(n>>20, 10) + " MiB" }

// watchdogInWords says how a watchdog is.
func watchdogInWords(w *advice.Watchdog) (string, colour) {
	switch {
	case w.Silent:
		return w.String() + ": the kernel tells nothing of it", fair
	case !w.Active:
		return w.String() + ": does not count; nobody has opened it", fair
	}
	text := w.String() + fmt.Sprintf(": counts, resets the machine after %d s", int(w.Timeout.Seconds()))
	if w.Pretimeout > 0 {
		text += fmt.Sprintf(", pretimeout %d s before (%s)", int(w.Pretimeout.Seconds()), w.Governor)
	}
	if w.NoWayOut {
		text += ", cannot be stopped"
	}
	if w.Bootstatus != "" && w.Bootstatus != "0" {
		text += ", bootstatus " + w.Bootstatus
	}
	if w.Software() {
		return text + "; a timer of the kernel, which ends with it", fair
	}
	return text, good
}

package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rebound-init/rebound/internal/config"
	"github.com/rebound-init/rebound/internal/knob"
	"github.com/rebound-init/rebound/internal/panicwatch"
)

const applyDoes = `Set what a policy asks for, as init does at boot, and print what came of each setting. Without FILE it is the
policy in /etc/rebound.conf; a dash is standard input. Wrong lines are said and left out.`

// applied is an outcome, and its JSON.
type applied struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	// Value is the one asked for, by the user (Asked) or a preset; Was and Is what the kernel showed
	// before and afterwards.
	Value  string `json:"value"`
	Asked  bool   `json:"asked"`
	Result string `json:"result"`
	Was    string `json:"was"`
	Is     string `json:"is"`
	// Word is the word of the command line that sets the same knob.
	Word  string `json:"word,omitempty"`
	Error string `json:"error,omitempty"`
}

func (t *tool) apply(args []string) int {
	fs := t.flags("apply", "[FILE]", applyDoes)
	var (
		m           running
		dry, asJSON bool
	)
	fs.StringVar(&m.root, "root", "/", "set the files of a tree: a `directory` with proc, sys and etc")
	fs.BoolVar(&dry, "dry-run", false, "change nothing, and print what would be changed")
	fs.BoolVar(&asJSON, "json", false, "print JSON: an array with an object for each setting")
	words, status, done := t.parse(fs, args)
	switch {
	case done:
		return status
	case len(words) > 1:
		return t.wrong("apply: expected one file, and %q is too much", words[1])
	}
	file := ""
	if len(words) == 1 {
		file = words[0]
	}
	p, err := t.policy(m, file)
	if err != nil {
		return t.failsBy(err, "apply")
	}
	sight := m.look()
	if status := t.unseen(m, sight); status != exitOK {
		return status
	}
	wrong := false
	for _, problem := range p.Problems {
		fmt.Fprintf(t.err, "panicctl: %v\n", problem)
		wrong = wrong || !problem.Note
	}
	var knobs panicwatch.Knobs = m
	if dry {
		knobs = &dryRun{running: m, written: make(map[string]string)}
	}
	// The boot line is that of this kernel, or of the tree.
	line, _ := m.Read("proc/cmdline")
	outcomes := panicwatch.Apply(knobs, p.plan(), []byte(line))
	// Without a policy init sees to it that the machine comes back.
	if after := sight.With(p.plan()); p.plan().Preset == knob.Standard &&
		after.Values["kernel.panic"] != sight.Values["kernel.panic"] && !asks(p, "panic.timeout") {
		standard := config.Read("", []byte("panic.timeout = 10s"), nil).Settings.Panic.Plan
		for _, o := range panicwatch.Apply(knobs, standard, nil) {
			o.Asked = false
			outcomes = append(outcomes, o)
		}
	}
	status = statusOfOutcomes(outcomes)
	if wrong && status == exitOK {
		status = exitAmiss
	}
	if asJSON {
		if s := t.printJSON(appliedAll(outcomes)); s != exitOK {
			return s
		}
	} else {
		t.showOutcomes(outcomes, dry)
	}
	if status == exitDenied && m.ours() && os.Geteuid() != 0 {
		fmt.Fprintln(t.err, "panicctl: only root can set the kernel's settings")
	}
	return status
}

// asks reports whether the user has named a key.
func asks(p *policy, key string) bool { return p.Source(key) != "" }

// statusOfOutcomes is the exit status: who was not allowed to set something gets another one than who
// has met a kernel that did not want to. That the boot line goes before a preset is as it must be.
func statusOfOutcomes(outcomes []panicwatch.Outcome) int {
	status := exitOK
	for i := range outcomes {
		o := &outcomes[i]
		switch {
		case !o.Worth() || o.Result == panicwatch.Kept:
		case errors.Is(o.Err, unix.EACCES), errors.Is(o.Err, unix.EPERM), errors.Is(o.Err, unix.EROFS):
			return exitDenied
		default:
			status = exitAmiss
		}
	}
	return status
}

// resultWord is a result in JSON.
func resultWord(r panicwatch.Result) string {
	switch r {
	case panicwatch.Same:
		return "same"
	case panicwatch.Set:
		return "set"
	case panicwatch.Kept:
		return "kept"
	case panicwatch.Lacking:
		return "lacking"
	case panicwatch.Refused:
		return "refused"
	case panicwatch.Altered:
		return "altered"
	case panicwatch.Changed:
		return "changed"
	}
	return "unknown"
}

func appliedAll(outcomes []panicwatch.Outcome) []applied {
	all := make([]applied, 0, len(outcomes))
	for _, o := range outcomes {
		a := applied{
			Name: o.Knob.Name, Key: o.Knob.Key, Value: o.Value, Asked: o.Asked,
			Result: resultWord(o.Result), Was: o.Was, Is: o.Is, Word: o.Word,
		}
		if o.Err != nil {
			a.Error = o.Err.Error()
		}
		all = append(all, a)
	}
	return all
}

// showOutcomes prints what came of each setting, and a line for all.
func (t *tool) showOutcomes(outcomes []panicwatch.Outcome, dry bool) {
	tb := &table{}
	counts := make(map[panicwatch.Result]int)
	for i := range outcomes {
		o := &outcomes[i]
		counts[o.Result]++
		word, c := resultWord(o.Result), plain
		switch {
		case o.Result == panicwatch.Set:
			c = good
		case o.Result == panicwatch.Kept, o.Result == panicwatch.Lacking && !o.Asked:
			c = fair
		case o.Worth():
			c = bad
		}
		if dry && o.Result == panicwatch.Set {
			word = "would set"
		}
		tb.add(cell{word, c}, cell{o.String(), plain})
	}
	t.print(t.out, tb, "")
	if len(outcomes) > 0 {
		fmt.Fprintln(t.out)
	}
	verb := "set"
	if dry {
		verb = "to be set"
	}
	fmt.Fprintf(t.out, "%s %s, %d as they were", counted(counts[panicwatch.Set], "setting"), verb, counts[panicwatch.Same])
	for _, r := range []struct {
		result panicwatch.Result
		says   string
	}{
		{panicwatch.Kept, "left to the kernel's command line"},
		{panicwatch.Lacking, "lacking"},
		{panicwatch.Refused, "refused"},
		{panicwatch.Altered, "altered by the kernel"},
	} {
		if n := counts[r.result]; n > 0 {
			fmt.Fprintf(t.out, ", %d %s", n, r.says)
		}
	}
	fmt.Fprintln(t.out, ".")
}

// dryRun is a machine to which nothing is written: it only says what would be refused to whoever calls.
type dryRun struct {
	running
	written map[string]string
}

func (d *dryRun) Proc(name string) ([]byte, error) { return d.read("proc/" + name) }

func (d *dryRun) Sys(name string) ([]byte, error) { return d.read("sys/" + name) }

func (d *dryRun) read(path string) ([]byte, error) {
	if value, ok := d.written[path]; ok {
		return []byte(value + "\n"), nil
	}
	return d.bytes(path)
}

func (d *dryRun) SetProc(name, value string) error { return d.note("proc/"+name, value) }

func (d *dryRun) SetSys(name, value string) error { return d.note("sys/"+name, value) }

// note takes a value instead of the file, if that could be written.
func (d *dryRun) note(path, value string) error {
	if err := unix.Access(d.file(path), unix.W_OK); err != nil {
		return err
	}
	d.written[path] = value
	return nil
}

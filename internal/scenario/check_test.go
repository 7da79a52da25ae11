package scenario_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rebound-init/rebound/internal/scenario"
)

// transcript makes a transcript from lines "TIME TEXT" of the console.
func transcript(t *testing.T, end scenario.End, lines ...string) *scenario.Transcript {
	t.Helper()
	tr := &scenario.Transcript{
		World: "w", End: end, Terminals: map[string][]scenario.Line{"": {}},
	}
	for _, l := range lines {
		at, text, _ := strings.Cut(l, " ")
		d, err := time.ParseDuration(at)
		if err != nil {
			t.Fatal(err)
		}
		tr.Terminals[""] = append(tr.Terminals[""], scenario.Line{At: d, Text: text})
	}
	return tr
}

func ends(at time.Duration, how ...scenario.How) scenario.End {
	return scenario.End{How: how, At: at}
}

func parse(t *testing.T, head string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Parse("x.txtar", []byte("# T.\n"+head))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWants holds one transcript against expectations: the first of each pair fits, the second
// does not.
func TestWants(t *testing.T) {
	tr := transcript(t, ends(5*time.Second, scenario.Halt, scenario.PowerOff),
		"1s one", "2s two", "2s two", "3s three  ")
	tr.Files = map[string]string{"/x": "a\nb\n"}
	tr.Parent = "SIGINT"
	tr.Done = []time.Duration{4 * time.Second}
	for yes, no := range map[string]string{
		`want end halt`:                 `want end reboot`,
		`want end poweroff`:             `want end exit 0`,
		`want down < 2s`:                `want down < 1s`,
		`want down <= 1s`:               `want down > 1s`,
		`want order "one" < "three"`:    `want order "three" < "one"`,
		`want order "one" < "two"`:      `want order "one" < "four"`,
		`want line "three"`:             `want line "four"`,
		`want line "one" < 1001ms`:      `want line "one" < 1s`,
		`want line "one" >= 1s`:         `want line "one" > 1s`,
		`want span "one" "three" <= 2s`: `want span "one" "three" < 2s`,
		`want span "one" "two" > 0s`:    `want span "one" "four" > 0s`,
		`want no "four"`:                `want no "one"`,
		`want count "two" 2`:            `want count "two" 1`,
		`want count "two" > 1`:          `want count "two" > 2`,
		`want file x "a\nb\n"`:          `want file x "a\n"`,
		`want no file y`:                `want no file x`,
		`want parent SIGINT`:            `want parent SIGHUP`,
	} {
		s := parse(t, "at 4s signal TERM\n"+yes+"\n")
		if ds := scenario.Check(s, tr); len(ds) != 0 {
			t.Errorf("%s:\ngot  %v\nwant no difference", yes, ds)
		}
		s = parse(t, "at 4s signal TERM\n"+no+"\n")
		ds := scenario.Check(s, tr)
		if len(ds) != 1 || ds[0].Line != 3 || !strings.HasPrefix(ds[0].Text, no) {
			t.Errorf("%s:\ngot  %v\nwant one difference, at line 3", no, ds)
		}
	}
}

func TestLateWorldsAreGrantedTheirSlack(t *testing.T) {
	tr := transcript(t, ends(5*time.Second, scenario.Halt), "2s one")
	s := parse(t, "want line \"one\" < 1s\nwant line \"one\" > 1900ms\n")
	if ds := scenario.Check(s, tr); len(ds) != 1 {
		t.Errorf("without slack: got %v, want one difference", ds)
	}
	tr.Slack = 1500 * time.Millisecond
	if ds := scenario.Check(s, tr); len(ds) != 0 {
		t.Errorf("with slack: got %v, want none", ds)
	}
	// A lower bound stays what it is, but for what the world may be wrong by.
	s = parse(t, "want line \"one\" > 2005ms\n")
	if ds := scenario.Check(s, tr); len(ds) != 1 {
		t.Errorf("lower bound: got %v, want one difference", ds)
	}
	tr.Blur = 10 * time.Millisecond
	if ds := scenario.Check(s, tr); len(ds) != 0 {
		t.Errorf("lower bound with blur: got %v, want none", ds)
	}
}

func TestWhatHasNotHappenedIsTold(t *testing.T) {
	s := parse(t, "when \"four\" signal TERM\nat 9s signal TERM\nwant end halt\n")
	tr := transcript(t, ends(5*time.Second, scenario.Halt), "2s one")
	tr.Done = []time.Duration{scenario.Undone, scenario.Undone}
	ds := scenario.Check(s, tr)
	if len(ds) != 2 || !strings.Contains(ds[0].Text, `there was no line "four"`) ||
		!strings.Contains(ds[1].Text, "the play ended at 5s") {
		t.Errorf("got  %v\nwant the missing line, and the end", ds)
	}
}

func TestComplaintsAreDifferences(t *testing.T) {
	s := parse(t, "want end halt\n")
	tr := transcript(t, ends(0, scenario.Halt))
	tr.Complaints = []string{"PID 1 has waited"}
	if ds := scenario.Check(s, tr); len(ds) != 1 || ds[0].Text != "PID 1 has waited" {
		t.Errorf("got  %v\nwant the complaint", ds)
	}
}

// TestPatterns compares a console section with consoles, whose lines are divided by "|" here.
func TestPatterns(t *testing.T) {
	const pattern = "a\n% any order\nb\nc\nb\n% in order\nd\n% anything\ne\n\n"
	s := parse(t, "-- console --\n"+pattern)
	for _, c := range []struct {
		console string
		fits    bool
	}{
		{"a|b|c|b|d|e", true},
		{"a|c|b|b|d|e", true},
		{"a|b|b|c|d|x|y|e", true},
		{"a|b|b|c|d|e|x|e", true},
		{"a|b|b|c|d|e  ||", true},
		{"a|b|b|c|d", false},
		{"a|b|c|d|e", false},
		{"a|b|c|c|d|e", false},
		{"b|a|c|b|d|e", false},
		{"a|b|c|b|d|e|f", false},
		{"", false},
	} {
		var lines []string
		for i, text := range strings.Split(c.console, "|") {
			lines = append(lines, fmt.Sprintf("%ds %s", i, text))
		}
		tr := transcript(t, ends(0, scenario.Halt), lines...)
		if ds := scenario.Check(s, tr); (len(ds) == 0) != c.fits {
			t.Errorf("%s: got %v, want it to fit: %v", c.console, ds, c.fits)
		}
	}
}

// TestDifferencesAreShown: with the lines around, and without those that may come in any order.
func TestDifferencesAreShown(t *testing.T) {
	s := parse(t, "-- console --\na\n% any order\nb\nc\n% in order\nd\ne\n")
	tr := transcript(t, ends(0, scenario.Halt), "0s a", "0s c", "0s b", "0s x", "0s e")
	ds := scenario.Check(s, tr)
	want := `console:
--- wanted
+++ came
@@ -1,5 +1,5 @@
 a
 c
 b
-d
+x
 e`
	if len(ds) != 1 || ds[0].Text != want || ds[0].Line != 3 {
		t.Errorf("got\n%v\nwant\n%s", ds, want)
	}
}

func TestAgree(t *testing.T) {
	s := parse(t, "want file /f \"\"\n-- console --\na\n% any order\nb\nc\n% in order\n% anything\n")
	at := func(how scenario.How, lines ...string) *scenario.Transcript {
		return transcript(t, ends(0, how), lines...)
	}
	base := at(scenario.Halt, "0s a", "0s b", "0s c", "0s x")
	same := at(scenario.Halt, "1s a", "2s c", "3s b", "4s y", "5s z")
	if ds := scenario.Agree(s, base, same); len(ds) != 0 {
		t.Errorf("got  %v\nwant agreement", ds)
	}
	either := at(scenario.Halt, "0s a", "0s b", "0s c")
	either.End.How = []scenario.How{scenario.PowerOff, scenario.Halt}
	if ds := scenario.Agree(s, base, either); len(ds) != 0 {
		t.Errorf("ends that cannot be told apart:\ngot  %v\nwant agreement", ds)
	}
	unseen := at(scenario.Halt, "0s a", "0s b", "0s c")
	for then, want := range map[scenario.Then]int{0: 0, scenario.ThenRestart: 0, scenario.ThenHung: 1} {
		died := at(scenario.Halt, "0s a", "0s b", "0s c")
		died.End.Then = scenario.ThenRestart
		other := unseen
		if then != 0 {
			other = at(scenario.Halt, "0s a", "0s b", "0s c")
			other.End.Then = then
		}
		if ds := scenario.Agree(s, died, other); len(ds) != want {
			t.Errorf("after a death, restart and %v: got %v, want %d", then, ds, want)
		}
	}
	file := at(scenario.Halt, "0s a", "0s b", "0s c")
	file.Files = map[string]string{"/f": ""}
	parent := at(scenario.Halt, "0s a", "0s b", "0s c")
	parent.Parent, base.Parent = "SIGHUP", "SIGINT"
	status := at(scenario.Exit, "0s a", "0s b", "0s c")
	for name, other := range map[string]*scenario.Transcript{
		"a line more at the front": at(scenario.Halt, "0s 0", "0s a", "0s b", "0s c"),
		"another end":              at(scenario.PowerOff, "0s a", "0s b", "0s c"),
		"a file":                   file,
		"the parent":               parent,
		"an exit":                  status,
	} {
		if ds := scenario.Agree(s, base, other); len(ds) != 1 {
			t.Errorf("%s: got %v, want one difference", name, ds)
		}
	}
	other := at(scenario.Exit)
	other.End.Status = 3
	if ds := scenario.Agree(parse(t, "want end exit 0\n"), at(scenario.Exit), other); len(ds) != 1 {
		t.Errorf("exit statuses: got %v, want one difference", ds)
	}
}

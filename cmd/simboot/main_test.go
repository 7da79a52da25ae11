package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/pid1"
	"github.com/rebound-init/rebound/internal/scenario"
)

// simboot runs a command line.
func simboot(t *testing.T, args ...string) (status int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	status = (&tool{ctx: t.Context(), out: &o, err: &e}).main(args)
	return status, o.String(), e.String()
}

// put writes a file and returns its path.
func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wants checks a status, and that texts are in the output.
func wants(t *testing.T, status, want int, out string, texts ...string) {
	t.Helper()
	if status != want {
		t.Errorf("status: got %d, want %d\n%s", status, want, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("want %q in the output\ngot\n%s", text, out)
		}
	}
}

func TestDemoGoesDownToThePowerOff(t *testing.T) {
	status, out, _ := simboot(t)
	wants(t, status, exitOK, out,
		"[    0.102000]  Rebound is up. Commands: reboot, halt, poweroff.\n",
		"  Going down: poweroff\n", "  The system is going down NOW!\n",
		"  Sent SIGKILL to all processes\n",
		"  Requesting system poweroff\n\nThe machine is off after 7.10",
		"line 9    /bin/hostname -F /etc/hostname\n            runs for 100ms")
}

// TestDemoIsTheDefaultImage: its files are those that go into the image.
func TestDemoIsTheDefaultImage(t *testing.T) {
	s, err := scenario.Parse("demo.txtar", demoText)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range s.Files {
		got[f.Path] = f.Text
	}
	want := make(map[string]string)
	for _, path := range []string{pid1.InittabPath, pid1.ConfigPath} {
		text, err := os.ReadFile(filepath.Join("../../initramfs/files", path))
		if err != nil {
			t.Fatal(err)
		}
		want[path] = string(text)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("demo.txtar (+) and initramfs/files (-):\n%s", d)
	}
}

const passes = `# It says hello.
at 1s signal USR2
want end poweroff
-- etc/inittab --
::sysinit:/bin/actor say hello
`

func TestRunTellsPassFromDifference(t *testing.T) {
	pass := put(t, "pass.txtar", passes)
	status, out, _ := simboot(t, "run", pass)
	wants(t, status, exitOK, out, "pass     "+pass+" (sim): poweroff after 1s\n")

	differs := put(t, "differs.txtar", strings.Replace(passes, "poweroff", "reboot", 1)+
		"-- console --\nhello\nworld\n")
	status, out, _ = simboot(t, "run", pass, differs)
	wants(t, status, exitDiffers, out, "pass     ", "differs  "+differs+" (sim): It says hello.",
		differs+":3: want end reboot: the end was poweroff at 1s",
		"-world\n", "+The system is going down NOW!")
}

func TestRunShowsConsoleAndTrace(t *testing.T) {
	status, out, _ := simboot(t, "run", "-console", "-trace", "-seed", "7", put(t, "x.txtar", passes))
	wants(t, status, exitOK, out, "]  hello\n", "Spawn([\"/bin/actor\"]", ") = USR2\n", "(sim -seed 7)")
}

// TestOptionsMayStandAnywhere: behind names, too, until "--".
func TestOptionsMayStandAnywhere(t *testing.T) {
	path := put(t, "x.txtar", passes)
	status, out, _ := simboot(t, "run", path, "-world", "sim", path, "-seed", "7")
	wants(t, status, exitOK, out, "pass     "+path+" (sim -seed 7)")
	if n := strings.Count(out, "pass"); n != 2 {
		t.Errorf("plays: got %d, want 2\n%s", n, out)
	}
	status, _, err := simboot(t, "run", path, "--", "-seed", "7")
	wants(t, status, exitUsage, err, "-seed: no such file or directory")
	table := put(t, "inittab", "::respawn:/bin/service\n")
	status, out, _ = simboot(t, "run", "poweroff", "-inittab", table, "-at", "5s")
	wants(t, status, exitOK, out, "The end is poweroff (reboot: Power down) at 5s")
}

func TestRunSaysWhatIsWrongWithAScenario(t *testing.T) {
	path := put(t, "x.txtar", "# T.\nwant end pwoeroff\n")
	status, _, err := simboot(t, "run", path)
	wants(t, status, exitUsage, err, path+`:2: "pwoeroff" is no way to end: did you mean "poweroff"?`)
	if n := strings.Count(err, "\n"); n != 1 {
		t.Errorf("got %d lines, want the mistake alone\n%s", n, err)
	}
}

func TestRunSaysWhatCannotBePlayed(t *testing.T) {
	path := put(t, "x.txtar", strings.Replace(passes, "want", "not sim: it is for others\nwant", 1))
	status, out, _ := simboot(t, "run", path)
	wants(t, status, exitDiffers, out, path+": not played in sim: it is for others\n")
}

func TestOwnInittab(t *testing.T) {
	table := put(t, "inittab", "::sysinit:/bin/mount -a\ntty7::respawn:/sbin/getty 38400 tty7\n"+
		"::respawn:echo hi\n::shutdown:/bin/sh -c 'echo \"now: $REBOUND_ACTION\"'\n::nonsense:x\n"+
		"::ctrlaltdel:/sbin/reboot\n")
	conf := put(t, "rebound.conf", "shutdown.term_timeout = 3s\n")
	status, out, _ := simboot(t, "run", "-inittab", table, "-config", conf, "-at", "5s", "poweroff")
	wants(t, status, exitOK, out, "has mistakes or traps, 1 in all",
		"line 1    /bin/mount -a\n            runs for 100ms and exits with status 0",
		"line 2    /sbin/getty 38400 tty7\n            stays until TERM",
		"  hi\n", "  now: poweroff\n", "The end is poweroff (reboot: Power down) at 5.00")

	status, out, _ = simboot(t, "run", "-inittab", table, "-at", "5s", "ctrl-alt-del")
	wants(t, status, exitOK, out, "  now: reboot\n", "The end is reboot (reboot: Restarting system) at")

	status, out, _ = simboot(t, "run", "-at", "5s", "reboot", "-inittab", table, "-trace")
	wants(t, status, exitOK, out, ") = TERM\n", "The end is reboot")

	status, out, _ = simboot(t, "run", "-inittab", table)
	wants(t, status, exitOK, out, "The machine is up after 1m0s.")

	status, out, _ = simboot(t, "run", "-inittab", table, "-at", "5s", "signal", "HUP")
	wants(t, status, exitOK, out, "The machine is up after")

	// What the model knows need not be taken to be so.
	table = put(t, "inittab", "::respawn:/bin/actor say known, pause\n")
	status, out, _ = simboot(t, "run", "-inittab", table, "-at", "5s", "poweroff")
	wants(t, status, exitOK, out, "]  known\n")
	if strings.Contains(out, "Taken to be so") {
		t.Errorf("want no assumptions\ngot\n%s", out)
	}
}

// TestAMachineThatStaysUpIsNoSuccess, if it was asked to go down.
func TestAMachineThatStaysUpIsNoSuccess(t *testing.T) {
	deed, err := request([]string{"reboot"})
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario.Scenario{Events: []scenario.Event{{At: 5 * time.Second, Do: deed}}}
	tr := &scenario.Transcript{
		End: scenario.End{How: []scenario.How{scenario.Alive}, At: time.Minute},
	}
	var out bytes.Buffer
	status := (&tool{ctx: t.Context(), out: &out}).tell(s, tr)
	wants(t, status, exitDiffers, out.String(), "up after 1m0s", "It was asked to go down at 5s.")
}

func TestNewPlays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mine.txtar")
	status, out, _ := simboot(t, "new", path)
	wants(t, status, exitOK, out, "simboot run "+path)
	status, out, _ = simboot(t, "run", path)
	wants(t, status, exitOK, out, "pass")
	status, _, err := simboot(t, "new", path)
	wants(t, status, exitUsage, err, "file exists")
	status, out, _ = simboot(t, "new")
	wants(t, status, exitOK, out, string(template))
}

func TestListNamesAndTitles(t *testing.T) {
	status, out, _ := simboot(t, "list", "../../test/scenarios")
	wants(t, status, exitOK, out, "down-service-ignores-term  ",
		"  A service that ignores TERM delays the way down")
}

func TestAgreePrintsATable(t *testing.T) {
	dir := filepath.Dir(put(t, "good.txtar", passes))
	for name, text := range map[string]string{
		"bad.txtar":  strings.Replace(passes, "poweroff", "halt", 1),
		"none.txtar": strings.Replace(passes, "want", "not sim: it is for others\nwant", 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, out, _ := simboot(t, "agree", "-world", "sim", dir)
	wants(t, status, exitDiffers, out, "scenario  sim", "\nbad       differs", "\ngood      pass",
		"\nnone      no", "sim         1 pass, 1 differ, 1 cannot be played there, 0 lack something",
		"not played in sim: it is for others:\n  none\n",
		"bad.txtar:3: want end halt: the end was poweroff at 1s (reboot: Power down) (sim)")
	status, out, _ = simboot(t, "agree", "-world", "sim", filepath.Join(dir, "good.txtar"))
	wants(t, status, exitOK, out, "pass")
}

// TestChooseKnowsEachWorld: all that a scenario can name are there, and qemu is each architecture's.
func TestChooseKnowsEachWorld(t *testing.T) {
	for names, want := range map[string][]string{
		strings.Join(scenario.Worlds(), ","): scenario.Worlds(),
		"qemu sim":                           {"qemu-amd64", "qemu-arm64", "sim"},
		"qemu-arm64":                         {"qemu-arm64"},
	} {
		chosen, err := choose(names)
		var got []string
		for _, w := range chosen {
			got = append(got, w.Name())
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %v, %v\nwant %v", names, got, err, want)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"rnu x", `"rnu" is no command: did you mean "run"?`},
		{"xyzzy", "`simboot help` lists the commands"},
		{"run", "run: expected scenarios, or -inittab FILE"},
		{"run -wrold sim x", "flag provided but not defined: -wrold"},
		{"run -world smi x", `"smi" is no world: did you mean "sim"?`},
		{"run -world , x", `expected the name of a world`},
		{"run -trace -world pidns x", "only the simulated world sees calls"},
		{"run nothere.txtar", "nothere.txtar: no such file or directory"},
		{"run -at 5s reboot", "-config and -at belong to -inittab"},
		{"run -inittab x -at 5s", "-at says when, and not what"},
		{"run -inittab x -at 5s rboot", `"rboot": expected reboot, halt, poweroff`},
		{"run -inittab x -at 5s signal TREM", `"TREM" is no signal: did you mean "TERM"?`},
		{"run -inittab x -at 5 reboot", `"5" for flag -at: expected a time such as 5s`},
		{"run -inittab x -at -5s reboot", `"-5s" for flag -at: expected a time such as 5s`},
		{"run -inittab x -at 2s signal HUP -at 5s reboot", `"signal HUP reboot": expected reboot`},
		{"run -inittab x -world qemu", "-world belongs to scenarios"},
		{"run -inittab x -init y", "-init belongs to scenarios"},
		{"run -inittab nothere reboot", "nothere: no such file or directory"},
		{"new a b", `"b": expected one name at most`},
		{"agree", "no scenarios"},
		{"bench -time 5", `"5" for flag -time: expected a time such as 5s`},
		{"bench -processes 5", "expected no arguments, a time, and 1000 to"},
	} {
		status, out, err := simboot(t, strings.Fields(c.args)...)
		wants(t, status, exitUsage, err, c.want)
		if out != "" {
			t.Errorf("%s: got %q as output, want none", c.args, out)
		}
	}
}

func TestHelp(t *testing.T) {
	status, out, _ := simboot(t, "help")
	wants(t, status, exitOK, out, "Usage: simboot [COMMAND]", "agree DIR|FILE...")
	for _, c := range commands() {
		if c.run == nil {
			continue
		}
		status, out, _ := simboot(t, c.name, "-help")
		wants(t, status, exitOK, out, "Usage: simboot "+c.name+" [OPTIONS]")
	}
}

func TestBenchMeasures(t *testing.T) {
	status, out, _ := simboot(t, "bench", "-time", "10ms", "-processes", "1000")
	wants(t, status, exitOK, out, "1,000 processes, forked", "(restarted)", "boots in",
		"         1,000  ")
}

// TestEveryOptionIsInTheManual holds simboot(1) against the commands' own help.
func TestEveryOptionIsInTheManual(t *testing.T) {
	page, err := os.ReadFile("../../docs/man/simboot.1")
	if err != nil {
		t.Fatal(err)
	}
	options := 0
	for _, c := range commands() {
		if c.run == nil {
			continue
		}
		if !strings.Contains(string(page), "\n.Ss "+c.name+"\n") {
			t.Errorf("simboot(1) does not tell of %s", c.name)
		}
		_, out, _ := simboot(t, c.name, "-help")
		for line := range strings.Lines(out) {
			option, ok := strings.CutPrefix(line, "  -")
			if !ok {
				continue
			}
			options++
			name := strings.Fields(option)[0]
			if !strings.Contains(string(page), "\n.It Fl "+name) {
				t.Errorf("simboot(1) does not tell of -%s", name)
			}
		}
	}
	const least = 10
	if options < least {
		t.Errorf("options: got %d, want %d at least", options, least)
	}
}

package scenario_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rebound-init/rebound/internal/kernel"
	"github.com/rebound-init/rebound/internal/scenario"
)

// whole uses every word of the format.
const whole = `# What it shows.
# More about it.

cmdline quiet rebound.mounts=auto
args single
env A=1 B=2
linuxrc
console stopped
terminal tty2 stopped
terminal tty3 dead
shell
container unprivileged
disk
fail fork 3 EAGAIN
fail reboot EPERM
slow sync never
slow exec 100ms
returns halt
lasts 20s
cpus 2
not qemu: it has no such thing
only sim, pidns: the others are slow
at 2s signal TERM USR1
at 3s signal SIGUSR2 twice
at 3s signal 40
at 3s signal RTMIN+3
at 4s kill getty HUP
when "line \"a\"" type tty2 "x\ny\x13"
when "line" after 100ms type "z"
when "line" write etc/inittab <<second
when "line" write /tmp/x "text"
at 5s remove /tmp/x
at 5s hangup tty2
at 5s stop
at 5s start console
at 5s press ctrl-alt-del
at 5s thaw disk
want end exit 3
want down < 6s
want order "a" < "b" < "c"
want line "a"
want line "a" >= 1s
want span "a" "b" <= 3s
want no "d"
want count "a" 3
want count "a" >= 2
want file tmp/x "text"
want file tmp/y <<second
want no file /tmp/z
want parent SIGINT
want parent exit 3
want then restart
want then watchdog < 5s
want kernel "panic"
want no kernel "Oops"
-- etc/inittab --
::sysinit:/bin/actor
-- second --
other
-- bin/script x --
echo
-- mnt/disk/ --
-- console --
first
% any order
b
a
% in order
c
% anything
%% literal  

-- console tty2 --
`

func TestParseReadsEveryWord(t *testing.T) {
	s, err := scenario.Parse("dir/whole.txtar", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	sig := func(s ...kernel.Signal) scenario.Signal { return scenario.Signal{Signals: s} }
	const second, ms = time.Second, time.Millisecond
	want := &scenario.Scenario{
		Name: "whole", File: "dir/whole.txtar", Title: "What it shows.",
		Machine: scenario.Machine{
			Cmdline: "quiet rebound.mounts=auto", Args: []string{"single"},
			Env: []string{"A=1", "B=2"}, Linuxrc: true, Console: scenario.ConsoleStopped,
			Terminals: []scenario.Terminal{
				{Name: "tty2", Stopped: true}, {Name: "tty3", Dead: true},
			},
			Shell: true, CPUs: 2, Privilege: scenario.Unprivileged, Disk: true,
			Faults: []scenario.Fault{
				{Line: 14, Call: "fork", N: 3, Errno: kernel.EAGAIN},
				{Line: 15, Call: "reboot", Errno: kernel.EPERM},
			},
			Slow:    map[string]time.Duration{"sync": kernel.Never, "exec": 100 * ms},
			Returns: []string{"halt"},
		},
		Files: []scenario.File{
			{Line: 56, Path: "/etc/inittab", Text: "::sysinit:/bin/actor\n"},
			{Line: 60, Path: "/bin/script", Text: "echo\n", Executable: true},
			{Line: 62, Path: "/mnt/disk", Dir: true},
		},
		Events: []scenario.Event{
			{Line: 23, At: 2 * second, Do: sig(kernel.SIGTERM, kernel.SIGUSR1)},
			{Line: 24, At: 3 * second, Do: sig(kernel.SIGUSR2, kernel.SIGUSR2)},
			{Line: 25, At: 3 * second, Do: sig(40)},
			{Line: 26, At: 3 * second, Do: sig(37)},
			{Line: 27, At: 4 * second, Do: scenario.Kill{Name: "getty", Signal: kernel.SIGHUP}},
			{Line: 28, When: `line "a"`, Do: scenario.Type{TTY: "tty2", Text: "x\ny\x13"}},
			{Line: 29, When: "line", After: 100 * ms, Do: scenario.Type{Text: "z"}},
			{Line: 30, When: "line", Do: scenario.WriteFile{Path: "/etc/inittab", Text: "other\n"}},
			{Line: 31, When: "line", Do: scenario.WriteFile{Path: "/tmp/x", Text: "text"}},
			{Line: 32, At: 5 * second, Do: scenario.RemoveFile{Path: "/tmp/x"}},
			{Line: 33, At: 5 * second, Do: scenario.HangUp{TTY: "tty2"}},
			{Line: 34, At: 5 * second, Do: scenario.StopOutput{}},
			{Line: 35, At: 5 * second, Do: scenario.StartOutput{}},
			{Line: 36, At: 5 * second, Do: scenario.CtrlAltDel{}},
			{Line: 37, At: 5 * second, Do: scenario.Thaw{Name: "disk"}},
		},
		Wants: []scenario.Want{
			{38, "want end exit 3", scenario.WantEnd{How: scenario.Exit, Status: 3}},
			{39, "want down < 6s", scenario.WantDown{scenario.Bound{"<", int64(6 * second)}}},
			{40, `want order "a" < "b" < "c"`, scenario.WantOrder{[]string{"a", "b", "c"}}},
			{41, `want line "a"`, scenario.WantCount{"a", scenario.Bound{">=", 1}}},
			{42, `want line "a" >= 1s`, scenario.WantLine{"a", scenario.Bound{">=", int64(second)}}},
			{43, `want span "a" "b" <= 3s`, scenario.WantSpan{
				"a", "b",
				scenario.Bound{"<=", int64(3 * second)},
			}},
			{44, `want no "d"`, scenario.WantCount{"d", scenario.Bound{"=", 0}}},
			{45, `want count "a" 3`, scenario.WantCount{"a", scenario.Bound{"=", 3}}},
			{46, `want count "a" >= 2`, scenario.WantCount{"a", scenario.Bound{">=", 2}}},
			{47, `want file tmp/x "text"`, scenario.WantFile{Path: "/tmp/x", Text: "text"}},
			{48, `want file tmp/y <<second`, scenario.WantFile{Path: "/tmp/y", Text: "other\n"}},
			{49, `want no file /tmp/z`, scenario.WantFile{Path: "/tmp/z", Absent: true}},
			{50, `want parent SIGINT`, scenario.WantParent{"SIGINT"}},
			{51, `want parent exit 3`, scenario.WantParent{"exit 3"}},
			{52, "want then restart", scenario.WantThen{Then: scenario.ThenRestart}},
			{53, "want then watchdog < 5s", scenario.WantThen{
				scenario.ThenWatchdog,
				scenario.Bound{"<", int64(5 * second)},
			}},
			{54, `want kernel "panic"`, scenario.WantKernel{Text: "panic"}},
			{55, `want no kernel "Oops"`, scenario.WantKernel{Text: "Oops", Absent: true}},
		},
		Consoles: map[string]scenario.Pattern{
			"": {Line: 64, Parts: []scenario.Part{
				{Line: 64, Lines: []string{"first"}},
				{Line: 66, Lines: []string{"b", "a"}, AnyOrder: true},
				{Line: 69, Lines: []string{"c"}},
				{Line: 70, Anything: true},
				{Line: 71, Lines: []string{"% literal"}},
			}},
			"tty2": {Line: 74},
		},
		Not: map[string]string{
			"container": "the others are slow", "qemu-amd64": "the others are slow",
			"qemu-arm64": "the others are slow",
		},
		Lasts: 20 * second,
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("the scenario (-want +got):\n%s", d)
	}
}

// TestErrorsNameWhatWasExpected: file and line, what was found, what was expected, and the word that
// was probably meant.
func TestErrorsNameWhatWasExpected(t *testing.T) {
	// The line under test is the third.
	for line, want := range map[string]string{
		`signl TERM`:                      `"signl" is no word that begins a line: expected `,
		`wnat end halt`:                   `did you mean "want"?`,
		`at 2x signal TERM`:               `"2x" is no time: expected one such as 2s, 300ms or 1m30s`,
		`at 2s`:                           `the line ends: expected what happens: cpu, hangup, kernel, kill, press`,
		`at -1s signal TERM`:              `"-1s" is no time`,
		`at 999h signal TERM`:             `at most 24h`,
		`at 40s signal TERM`:              `40s is after the end of the play: it lasts 30s`,
		`at 2s signal TREM`:               `"TREM" is no signal: did you mean "TERM"?`,
		`at 2s signal 65`:                 `65 is no signal: they go from 1 to 64`,
		`at 2s signal RTMIN+31`:           `expected RTMIN+0 to RTMIN+30`,
		`at 2s signal`:                    `the line ends: expected a signal such as TERM`,
		`at 2s signal twice`:              `expected a signal such as TERM`,
		`at 2s sginal TERM`:               `"sginal" is no thing that can happen: did you mean "signal"?`,
		`at 2s signal TERM "x"`:           `"x": expected a signal such as TERM, without quotes`,
		`at 2s remove x y`:                `"y": expected the end of the line`,
		`at 2s type tty9 "x"`:             `"tty9" is no terminal of this machine: expected console`,
		`at 2s press return`:              `"return" is no key that can be pressed: expected ctrl-alt-del`,
		`at 2s write x <<nothng`:          `"nothng" is no section of this file: did you mean "nothing"?`,
		`at 2s write x text`:              `text: expected a text in double quotes, or <<SECTION`,
		`when line signal TERM`:           `line: expected a line of the console in double quotes`,
		`when "a\n" signal TERM`:          `expected a line that is not empty, without \n and \r`,
		`when "a" "b"`:                    `expected what happens`,
		`when "a`:                         `"a: expected a text in double quotes, with \n`,
		`when "a"b`:                       `expected a blank after the quotes`,
		`want end pwoeroff`:               `"pwoeroff" is no way to end: did you mean "poweroff"?`,
		`want end exit 256`:               `"256": expected an exit status, from 0 to 255`,
		`want end alive`:                  "to be alive in the end needs a line `lasts TIME`",
		`want down 6s`:                    `"6s": expected <, <=, =, >= or >, with blanks around it`,
		`want down = 6s`:                  `=: times can be bounded only`,
		`want order "a"`:                  `the order of one line: expected "LINE" < "LINE"`,
		`want count "a" many`:             `"many": expected how often it must stand there`,
		`want parent 99`:                  `99 is no signal`,
		`want`:                            `the line ends: expected what is expected: count, down, end`,
		`env A`:                           `"A": expected NAME=VALUE`,
		`env =A`:                          `"=A": expected NAME=VALUE`,
		`console pip`:                     `"pip" is no kind of console: did you mean "pipe"?`,
		`console none now`:                `"now": expected the end of the line`,
		`terminal dev/tty2`:               `expected the name of a device in /dev`,
		`terminal console`:                `and not the console's`,
		`terminal tty2 stoped`:            `did you mean "stopped"?`,
		`container privileged`:            `did you mean "unprivileged"?`,
		`fail frok EAGAIN`:                `"frok" is no call that can be made to fail: did you mean "fork"?`,
		`fail fork EAGIAN`:                `"EAGIAN" is no error: did you mean "EAGAIN"?`,
		`fail fork SOMETHING`:             `"SOMETHING" is no error: expected a name of errno(3)`,
		`fail fork 0 EAGAIN`:              `0: expected which call of the name, counted from 1`,
		`slow disk 3s`:                    `"disk" is no thing that can be slow: expected sync, exec or reboot`,
		`slow sync nver`:                  `"nver" is no time`,
		`returns reboot`:                  `expected halt or poweroff`,
		`lasts 0s`:                        `expected a time that something can happen in`,
		`not sim`:                         `"sim": expected WORLD: REASON`,
		`not smi: reason`:                 `"smi" is no world: did you mean "sim"?`,
		`not : reason`:                    `no world before the colon`,
		`not qmeu: reason`:                `"qmeu" is no world: did you mean "qemu"?`,
		"not sim pidns container qemu: a": `no world is left that can play this`,
	} {
		text := "# Title.\nwant end halt\n" + line + "\n-- nothing --\n"
		_, err := scenario.Parse("x.txtar", []byte(text))
		if err == nil {
			t.Errorf("%s: got no error\nwant %s", line, want)
			continue
		}
		// What concerns no line is told for the first.
		wantLine := "x.txtar:3: "
		if strings.HasPrefix(want, "no world is left") {
			wantLine = "x.txtar:1: "
		}
		if got := err.Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, wantLine) {
			t.Errorf("%s:\ngot  %s\nwant %s ... %s", line, got, wantLine, want)
		}
	}
}

// TestParseReadsWhatFailsTheKernel is apart, as it takes a machine of its own.
func TestParseReadsWhatFailsTheKernel(t *testing.T) {
	text := "# T.\ncpus 2\nwant then hung\nat 1s kernel oops-irq\nat 1s cpu 1 stuck\n" +
		"at 1s cpu 0 stuck with irqs off\nat 1s watchdog fires\n"
	s, err := scenario.Parse("x.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []scenario.Deed{
		scenario.KernelFails{Failure: "oops-irq"},
		scenario.CPUStuck{CPU: 1},
		scenario.CPUStuck{IRQsOff: true},
		scenario.WatchdogFires{},
	}
	for i, e := range s.Events {
		if e.Do != want[i] {
			t.Errorf("got  %+v\nwant %+v", e.Do, want[i])
		}
	}
	for line, want := range map[string]string{
		"at 1s kernel opps":               `"opps" is no way for the kernel to fail: did you mean "oops"?`,
		"at 1s cpu 1 stuck":               "there is no CPU 1: with `cpus 2` there would be",
		"at 1s cpu 0 stuk":                `"stuk" is no thing that happens to a CPU: did you mean "stuck"?`,
		"at 1s cpu 0 stuck with irqs on":  `"on" is no word behind stuck: expected off`,
		"at 1s watchdog bites":            `"bites" is no thing that a watchdog does: expected fires`,
		"cpus 9":                          `expected how many CPUs there are`,
		"cpus 0":                          `0: expected how many CPUs there are`,
		"want then rstart":                `"rstart" is no thing that becomes of a machine: did you mean "restart"?`,
		"want then restart = 5s":          "times can be bounded only",
		`want kernel ""`:                  `"": expected a part of a line of the kernel`,
		"container\nat 1s kernel oops":    "a container's kernel is that of its machine",
		"container\nat 1s watchdog fires": "a container's kernel is that of its machine",
	} {
		_, err := scenario.Parse("x.txtar", []byte("# T.\nwant end died\n"+line+"\n"))
		at := fmt.Sprintf("x.txtar:%d: ", 3+strings.Count(line, "\n"))
		if err == nil || !strings.HasPrefix(err.Error(), at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s%s", line, err, at, want)
		}
	}
}

// TestErrorsOfSections are those of the parts behind the head.
func TestErrorsOfSections(t *testing.T) {
	for text, want := range map[string]string{
		"want end halt\n":                                                               "x.txtar:1: no title: expected a comment at the top",
		"# T.\n":                                                                        "x.txtar:1: nothing is expected: want a line such as",
		"# T.\n-- console tty2 --\n":                                                    `x.txtar:2: "tty2" is no terminal of this machine`,
		"# T.\n-- console --\n%any\n":                                                   `x.txtar:3: %any: expected "% any order"`,
		"# T.\n-- console --\na\n% in order\n":                                          `x.txtar:4: % in order without % any order`,
		"# T.\n-- console --\n-- console --\n":                                          `x.txtar:3: a second section "console"`,
		"# T.\nwant end halt\n-- consle --\n":                                           `x.txtar:3: "consle" would be a file in the root directory: did you mean "console"?`,
		"# T.\nwant end halt\n-- inittab --\n":                                          `x.txtar:3: "inittab" would be a file in the root directory: did you mean "etc/inittab"?`,
		"# T.\n-- console --\n-- dev/x --\n":                                            "x.txtar:3: /dev/x: devices are made by `terminal NAME`",
		"# T.\n-- console --\na\nb\n-- x y --\n":                                        `x.txtar:5: "y" behind the path: expected nothing, or x`,
		"# T.\n-- console --\n-- x/ --\ntext\n":                                         `x.txtar:3: x/ is a directory by its slash, and has a text`,
		"# T.\nconsole null\nat 1s type \"a\"\n":                                        "x.txtar:3: the console is no terminal here: `console null`",
		"# T.\nmachine\ncontainer\nwant end halt\n":                                     "x.txtar:3: this is `container`, after `machine`: expected one",
		"# T.\nlasts 5s\nwant end halt\nlasts 7s\n":                                     `x.txtar:4: a second line "lasts": the first is line 2`,
		"# T.\nwant end halt\nterminal a\nterminal /dev/a\n":                            `x.txtar:4: a second terminal "a"`,
		"# T.\nwant end halt\nwrong\nwronger\n":                                         "x.txtar:3: \"wrong\"",
		"# T.\nwant end halt\nconsole pipe\nstop\n":                                     `x.txtar:4: "stop" is no word`,
		"# T.\nwant end halt\nconsole none\nat 1s stop\n":                               "x.txtar:4: the console is no terminal here",
		"# T.\nwant end halt\n-- --\n":                                                  `x.txtar:3: -- --: a section without a name`,
		"# T.\nwant end halt\n-- etc/inittab --\n#\n::once:/bin/actor sya hello\n":      `x.txtar:5: actor: word 1, "sya": want`,
		"# T.\nat 1s write etc/inittab <<b\nwant end halt\n-- b --\n::once:actor die\n": `x.txtar:5: actor: word 2 is missing`,
		"# T.\nwant end halt\n-- etc/inittab --\n::once:/bin/actor say $HOME\n":         `x.txtar:4: a shell would have to run this`,
	} {
		_, err := scenario.Parse("x.txtar", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestAllErrorsAreTold(t *testing.T) {
	_, err := scenario.Parse("x.txtar", []byte("# T.\nwant end halt\nwrong\nwronger\n"))
	if ps, ok := err.(scenario.Problems); !ok || len(ps) != 2 {
		t.Errorf("got  %v\nwant two problems", err)
	}
}

// FuzzParse: no text makes it panic, and every error names the file and a line of it.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	files, err := filepath.Glob("../../test/scenarios/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := scenario.Parse("x.txtar", []byte(text))
		if err != nil {
			ps, ok := err.(scenario.Problems)
			if !ok || len(ps) == 0 {
				t.Fatalf("got %T, want Problems", err)
			}
			for _, p := range ps {
				if p.Line < 1 || p.Line > strings.Count(text, "\n")+1 || p.Text == "" {
					t.Errorf("%v: a line that is not there, or no text", p)
				}
			}
			return
		}
		for _, e := range s.Events {
			if sigs, ok := e.Do.(scenario.Signal); ok && len(sigs.Signals) == 0 {
				t.Error("a signal event without a signal")
			}
		}
		// Whatever is expected can be compared with nothing.
		if len(s.Events)+len(s.Wants)+len(s.Consoles) == 0 {
			t.Error("a scenario that nothing can fail")
		}
		_ = scenario.Check(s, &scenario.Transcript{})
		if s.Lasts <= 0 || s.Machine.Slow["sync"] < 0 {
			t.Error("a time that is not there")
		}
		for _, fault := range s.Machine.Faults {
			if fault.Errno == 0 || fault.Errno > syscall.Errno(133) {
				t.Errorf("errno %d", fault.Errno)
			}
		}
	})
}

// TestQemuStandsForItsWorlds: a line that names qemu is about all architectures, and one that names a
// world is about no other.
func TestQemuStandsForItsWorlds(t *testing.T) {
	for line, want := range map[string][]string{
		"not qemu: why":        {"qemu-amd64", "qemu-arm64"},
		"not qemu-arm64: why":  {"qemu-arm64"},
		"only qemu: why":       {"container", "pidns", "sim"},
		"only qemu-amd64: why": {"container", "pidns", "qemu-arm64", "sim"},
	} {
		s, err := scenario.Parse("x.txtar", []byte("# Title.\n"+line+"\nwant end halt\n"))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		got := slices.Sorted(maps.Keys(s.Not))
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  no %v\nwant no %v", line, got, want)
		}
		for _, w := range scenario.Worlds() {
			if cannot := s.Playable(w) != nil; cannot != slices.Contains(want, w) {
				t.Errorf("%s: got that %s cannot play it: %v", line, w, cannot)
			}
		}
	}
}

func TestParseReadsWatchdogs(t *testing.T) {
	s, err := scenario.Parse("x.txtar", []byte("# A title.\nwatchdog softdog\nwatchdog latch nowayout running\n"+
		"want end reboot\nat 1s signal TERM\n-- etc/inittab --\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []scenario.Watchdog{
		{Driver: "softdog"}, {Driver: "latch", NoWayOut: true, Running: true},
	}
	if diff := cmp.Diff(want, s.Machine.Watchdogs); diff != "" {
		t.Errorf("got (+) is not want (-):\n%s", diff)
	}
	for line, want := range map[string]string{
		"watchdog":               "expected softdog, i6300esb, board, latch or fixed",
		"watchdog softdg":        `"softdg" is no watchdog: did you mean "softdog"?`,
		"watchdog softdog never": `"never" is no kind of watchdog: expected nowayout or running`,
	} {
		_, err := scenario.Parse("x.txtar", []byte("# A title.\n"+line+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v\nwant %s", line, err, want)
		}
	}
}
